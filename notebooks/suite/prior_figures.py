"""Figures 25 and 26 and their kin: where sampling starts, what that does to brightness, and which start goes with which sample."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray
from scipy import fft, stats
from scipy.special import expit, logit

from diffviz import paths, plots
from suite import prior
from suite.figures import figure

# pixels a side; mean and standard deviation of an image's mean brightness, in [−1, 1]
SIDE, MEAN, STD = 64, -0.6, np.sqrt(0.05)
TEXTURE = 0.15  # variance of a pixel about the brightness of its image
_COSINE = np.cos((np.arange(1001) / 1000 + 0.008) / 1.008 * np.pi / 2) ** 2
BETAS = {  # T = 1000 steps, as released
    "Stable Diffusion": np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2,  # "scaled-linear"
    "DDPM linear": np.linspace(1e-4, 0.02, 1000),
    "iDDPM cosine": np.minimum(1 - _COSINE[1:] / _COSINE[:-1], 0.999),
}
LEVELS = {
    name: logit(np.cumprod(1 - beta))[::-1] for name, beta in BETAS.items()
}  # λ, noise to data
TERMINAL = {name: float(level[0]) for name, level in LEVELS.items()}
ZERO = "zero terminal SNR"
SIZES = {16: plots.PALETTE[0], 64: plots.PALETTE[1], 256: plots.PALETTE[2]}
NOWHERE = -23.0  # where λ = −inf is drawn


def zero_grid(steps: int = 1000) -> NDArray:
    """Stable Diffusion's schedule moved to zero terminal SNR, levels even in time; the first, −inf, stands at −30."""
    from diffviz.samplers import grid_of

    return grid_of(paths.zero_terminal_snr(paths.scaled_linear()).schedule, steps, low=-30)


def grids() -> dict[str, NDArray]:
    """Levels of the three tables and of ``zero_grid``, noise to data, by name."""
    return LEVELS | {ZERO: zero_grid()}


def spectrum(side: int = SIDE, std: float = STD) -> NDArray:
    """Variance of each coefficient of the orthonormal DCT of an image, (side, side): 1/f^2.5 texture and side² std² at frequency 0."""
    rate = np.hypot(*np.indices((side, side)))
    power = np.divide(1, rate**2.5, where=rate > 0, out=np.zeros_like(rate))
    power *= TEXTURE * side**2 / power.sum()
    power[0, 0] = side**2 * std**2
    return power


def kl(
    level: ArrayLike, side: int = SIDE, mean: float = MEAN, std: float = STD
) -> tuple[NDArray, NDArray]:
    """Prior KL of an image in nats, on average, and the part of it that sampling feels, both like λ (n,).

    The first, E KL(q(z|x) ‖ N(0, I)), is the term of the ELBO. The second, KL(q(z) ‖ N(0, I)), is what a start from the prior gets
    wrong; the rest is what z still tells of x.
    """
    level, power = np.atleast_1d(np.asarray(level, dtype=float)), spectrum(side, std).ravel()
    shift = np.r_[side * mean, np.zeros(side**2 - 1)]
    square = np.sqrt(power + shift**2)  # a point whose ‖x‖² is the mean one: the KL is linear in it
    total = np.concatenate([prior.prior_kl(one, square[None]) for one in level])
    excess = expit(level)[:, None] * (power - 1)  # of the variance of z over 1
    return total, (excess - np.log1p(excess) + expit(level)[:, None] * shift**2).sum(1) / 2


def _denoiser(mean, power):
    """x_hat of independent Gaussian coefficients; tensors of their means and variances, like one point."""

    def denoise(z, logsnr):
        alpha, noise = logsnr.sigmoid().sqrt(), (-logsnr).sigmoid()
        return mean + alpha * power / (alpha**2 * power + noise) * (z - alpha * mean)

    return denoise


def brightness(
    grid: ArrayLike,
    side: ArrayLike = SIDE,
    mean: ArrayLike = MEAN,
    std: ArrayLike = STD,
    n: int = 1000,
) -> tuple[NDArray, NDArray]:
    """Mean and standard deviation of the brightness of samples started from N(0, 1) at grid[0], by DDIM on the grid.

    The coefficients of a Gaussian image do not talk to each other, so that of brightness, ``side`` times the mean of the pixels, is
    sampled alone, from n quantiles of N(0, 1). For numbers or arrays (k,) of sizes, means, standard deviations.
    """
    import torch

    from diffviz import samplers

    sides, means, stds = (
        torch.from_numpy(one)
        for one in np.broadcast_arrays(*(1.0 * np.asarray(x) for x in (side, mean, std)))
    )
    start = torch.from_numpy(stats.norm.ppf((np.arange(n) + 0.5) / n))
    start = (start / start.std(correction=0)).reshape(-1, *[1] * sides.ndim).expand(n, *sides.shape)
    found = (
        samplers.sample(
            _denoiser(sides * means, (sides * stds) ** 2), grid, solver="ddim", start=start
        ).samples
        / sides
    )
    return found.mean(0).numpy(), found.std(0, correction=0).numpy()


@lru_cache
def _measured() -> tuple[NDArray, NDArray]:
    """Means and standard deviations by schedule and size, (4, 3) both."""
    mean, std = zip(*(brightness(grid, list(SIZES)) for grid in grids().values()), strict=True)
    return np.array(mean), np.array(std)


def _mark(ax: Axes, middle: float) -> None:
    """Dotted lines where schedules end, with their names on the side of more noise."""
    for name, level in (TERMINAL | {ZERO: NOWHERE}).items():
        side = 1 if name == ZERO else -1
        ax.axvline(level, color="0.55", ls=":", lw=1, zorder=1)
        text = ax.annotate(
            name,
            (level, middle),
            (7 * side, 0),
            textcoords="offset points",
            va="center",
            ha="center",
        )
        text.set(rotation=90, fontsize=8, color="0.25")


@figure(
    "prior-kl",
    "What the prior term costs by the log-SNR at the end, and the part of it that sampling feels (64² Gaussian images)",
)
def prior_kl_figure() -> Axes:
    (ax,) = plots.axes(7.8, 4.3)
    grid = np.linspace(-22, 0, 221)
    total, mismatch = kl(grid)
    curves = {
        "prior KL, a term of the ELBO": total,
        "of which samples feel, KL(q(z) ‖ N(0, I))": mismatch,
    }
    plots.lines(
        grid,
        curves,
        xlabel="log-SNR λ at the end   [nats]",
        ylabel="nats per image of 4,096 pixels",
        ax=ax,
    )
    ax.plot(
        list(TERMINAL.values()),
        kl(list(TERMINAL.values()))[0],
        "o",
        color=plots.PALETTE[0],
        gid="schedules",
    )
    ax.set(yscale="log", ylim=(1e-8, 1e6), xlim=(-24, 0))
    _mark(ax, 3e3)
    return ax


@figure(
    "terminal-snr",
    "Brightness where sampling starts from N(0, I): Stable Diffusion ends at α_T = .0683, SNR_T = .00468; zero terminal SNR mends it",
)
def terminal_snr() -> Axes:
    left, right = plots.axes(11.5, 4.5, columns=2)
    grid = np.linspace(-22, 0, 221)
    bias = {side: prior.terminal_bias(grid, side * MEAN, (side * STD) ** 2) for side in SIZES}
    curves = [
        {f"{side}² pixels": bias[side][0] / (side * MEAN) for side in SIZES},
        {f"{side}² pixels": bias[side][1] for side in SIZES},
    ]
    titles = "mean brightness of samples / of data", "its standard deviation / that of data"
    level = "log-SNR λ at the end   [nats]"
    ink = lambda name: SIZES[int(name.split("²")[0])]
    for ax, lines, title in zip((left, right), curves, titles, strict=True):
        plots.lines(
            grid, lines, xlabel=level, ylabel="ratio", title=title, colours=ink, outside=None, ax=ax
        )
        ax.set(ylim=(0, 1.06), xlim=(-24, 0))
        _mark(ax, 0.2 if ax is left else 0.58)  # where no curve runs
    places = [*TERMINAL.values(), NOWHERE]
    for ax, values in zip(
        (left, right), (_measured()[0] / MEAN, _measured()[1] / STD), strict=True
    ):
        for (side, colour), ratio in zip(SIZES.items(), values.T, strict=True):
            ax.plot(
                places,
                ratio,
                "o",
                ms=7,
                mfc="none",
                mew=1.6,
                color=colour,
                gid=f"{side}² measured",
                zorder=5,
            )
    right.legend(
        handles=right.lines[: 2 * len(SIZES) : 2],
        frameon=False,
        fontsize=9,
        loc="lower left",
        bbox_to_anchor=(0.1, 0.0),
    )
    right.annotate("circles: DDIM, 1000 steps", (0.12, 0.3), xycoords="axes fraction", fontsize=9)
    return left


def gaussian_images(level: float, start: str, n: int = 48, steps: int = 80):
    """Images (n, 64, 64) of the Gaussian model by DDIM from a level, the same noise whatever the ``start``: "data" or "prior"."""
    import torch

    from diffviz import samplers

    power, mean = torch.from_numpy(spectrum()).float(), torch.zeros(SIDE, SIDE)
    mean[0, 0] = SIDE * MEAN
    z = torch.randn(n, SIDE, SIDE, generator=torch.Generator().manual_seed(2))
    first = z[:, 0, 0]
    z[:, 0, 0] = (first - first.mean()) / first.std(
        correction=0
    )  # brightness without the accidents of n draws
    if start == "data":
        z = expit(level) ** 0.5 * mean + (expit(level) * power + expit(-level)).sqrt() * z
    grid = (
        samplers.grid_of(paths.scaled_linear().schedule, steps) if level > -20 else zero_grid(steps)
    )
    grid = np.r_[level, grid[grid > level + 1e-6]]
    found = samplers.sample(_denoiser(mean, power), grid, solver="ddim", start=z)
    return fft.idctn(found.samples.numpy(), axes=(1, 2), norm="ortho")


@figure(
    "brightness",
    "The same noise, three starts: only the start from N(0, I) at Stable Diffusion's last level turns dark images grey",
)
def brightness_figure() -> Axes:
    rows = plots.axes(8.2, 4.2, rows=3)
    sd = TERMINAL["Stable Diffusion"]
    kinds = {
        "start as training left it: z drawn from q(z), λ = −5.36": (sd, "data"),
        "start from N(0, I), λ = −5.36": (sd, "prior"),
        "start from N(0, I), zero terminal SNR": (-30.0, "prior"),
    }
    for ax, (name, (level, start)) in zip(rows, kinds.items(), strict=True):
        images = gaussian_images(level, start)
        strip = (
            np.pad(images[:8], ((0, 0), (0, 0), (0, 4)), constant_values=1.0)
            .transpose(1, 0, 2)
            .reshape(SIDE, -1)
        )
        ax.imshow(
            strip[:, :-4], cmap="gray", vmin=-1.2, vmax=1.0, gid="images", interpolation="nearest"
        )
        means = images.mean((1, 2))
        ax.set_title(
            f"{name}: mean brightness {means.mean():.2f} ± {means.std():.2f} over 48".replace(
                "-", "−"
            ),
            fontsize=10,
        )
        ax.axis("off")
    rows[0].figure.subplots_adjust(left=0.02, right=0.98, bottom=0.02, top=0.94, hspace=0.16)
    return rows[0]


def offset_bias(
    level: ArrayLike,
    strength: ArrayLike,
    side: int = SIDE,
    mean: float = MEAN,
    std: float = STD,
    also_at_start: bool = True,
) -> tuple[NDArray, NDArray]:
    """Mean brightness of samples over the data's, and standard deviations likewise, of a model trained with offset noise.

    At frequency 0 the noise has the variance K = 1 + c² N. Divided by √K it is the plain channel for data N(m/√K, V/K); a start from
    plain noise is one of standard deviation 1/√K there.
    """
    k = 1 + np.square(strength) * side**2
    found, spread = prior.terminal_bias(level, side * mean / np.sqrt(k), (side * std) ** 2 / k)
    return found / (side * mean / np.sqrt(k)), spread if also_at_start else spread / np.sqrt(k)


@figure(
    "offset-noise",
    "Offset noise at Stable Diffusion's last level: what it moves, and what becomes of brightness with it at both ends or in training only",
)
def offset_noise() -> Axes:
    left, right = plots.axes(11.5, 4.3, columns=2)
    c = np.linspace(0, 0.3, 151)
    shifts = {
        f"{side}² pixels": np.r_[0.0, [prior.offset_shift(one, side**2) for one in c[1:]]]
        for side in SIZES
    }
    label = "strength c of the offset, ε + c ξ"
    ink = lambda name: SIZES[int(name.split("²")[0])]
    plots.lines(
        c,
        shifts,
        xlabel=label,
        ylabel="shift of λ at frequency 0   [nats]",
        title="−ln(1 + c² N)",
        colours=ink,
        ax=left,
    )
    at = prior.offset_shift(0.1, SIDE**2)
    left.plot([0.1], [at], "o", color=SIZES[SIDE], gid="c = 0.1")
    left.annotate(
        f"c = 0.1: {at:.3f}".replace("-", "−"),
        (0.1, at),
        (8, 6),
        textcoords="offset points",
        fontsize=9,
    )
    sd = TERMINAL["Stable Diffusion"]
    (mean, spread), (_, plain) = offset_bias(sd, c), offset_bias(sd, c, also_at_start=False)
    curves = {
        "mean / data's": mean,
        "std / data's, offset in the start too": spread,
        "std / data's, plain start": plain,
    }
    title = "64² images from λ = −5.364"
    shade = dict(
        zip(curves, plots.PALETTE[3:], strict=False)
    ).__getitem__  # not those of sizes, on the left
    plots.lines(
        c, curves, xlabel=label, ylabel="ratio", title=title, outside=None, colours=shade, ax=right
    )
    right.set(ylim=(0, 1.06))
    right.legend(
        handles=right.lines[::2],
        frameon=False,
        fontsize=9,
        loc="center right",
        bbox_to_anchor=(1.0, 0.42),
    )
    return left


C_VALUES = (0.01, 0.25, 1.0, 4.0)


def gaussian_flow(c: float, n: int = 1000, steps: int = 100):
    """Times and paths of flow matching's exact flow from N(0, 1) to data N(0, c), paired at random; from n quantiles."""
    import torch

    from suite.couplings import flow

    start = torch.from_numpy(stats.norm.ppf((np.arange(n) + 0.5) / n))[:, None]
    start = start / start.square().mean().sqrt()
    return flow(lambda z, t: (t - (1 - t) * c) / (t**2 + (1 - t) ** 2 * c) * z, start, steps)


@figure(
    "straightness",
    "Flow matching from N(0, 1) to N(0, c): even between equal Gaussians paths bend, S = √c (2 − π/2)",
)
def straightness_figure() -> Axes:
    from suite.couplings import straightness

    left, right = plots.axes(10.5, 4.2, columns=2)
    t, z = gaussian_flow(1.0, 9)
    for k in range(z.shape[1]):
        left.plot(t, z[:, k, 0], color=plots.PALETTE[1], lw=1.6, gid=f"path {k}")
        left.plot([1, 0], z[[0, -1], k, 0], color="0.6", lw=0.9, ls="--", gid=f"chord {k}")
    left.set(
        xlabel="time t   [0 data, 1 noise]",
        ylabel="z",
        title="c = 1: every path goes in to 0.707 and back",
        xlim=(1, 0),
    )
    c = np.geomspace(0.003, 10, 100)
    curve = {"√c (2 − π/2)": np.sqrt(c) * (2 - np.pi / 2)}
    plots.lines(
        c, curve, xlabel="variance c of the data", ylabel="straightness S, 0 is straight", ax=right
    )
    right.plot(
        C_VALUES,
        [straightness(*gaussian_flow(one)) for one in C_VALUES],
        "o",
        color=plots.PALETTE[1],
        gid="measured",
    )
    right.set(xscale="log", yscale="log", title="dots: the integrated flow")
    return left


class Coupled(NamedTuple):
    """One way to couple: pairs (n, 2) that were trained on, times and z (steps + 1, k, 2) of the flow, W2 to the data by Euler steps."""

    source: NDArray
    x: NDArray
    t: NDArray
    z: NDArray
    euler: dict[int, float]

    def numbers(self) -> dict[str, float]:
        """Crossings, transport cost and straightness of the pairs' flow, S over the cost, and path ratio."""
        import torch

        from suite import couplings as C

        source, x, z = (torch.from_numpy(one) for one in (self.source, self.x, self.z))
        cost, carried, s = (
            C.transport_cost(source, x),
            C.transport_cost(z[0], z[-1]),
            C.straightness(self.t, z),
        )
        found = {
            "crossings": C.crossings(source[:1000], x[:1000]),
            "cost": cost,
            "flow's cost": carried,
            "S": s,
        }
        found |= {
            "S/energy": s / (s + carried),
            "path ratio": C.path_ratio(z),
        }  # energy: the mean of ∫‖velocity‖² dt
        return found | {f"W2, {k}": w for k, w in self.euler.items()}


EULER = (1, 2, 4, 8)
COUPLINGS = ("independent, exact", "independent, learnt", "minibatch OT", "reflow")


def ring_and_moons():
    """Source and data of figure 26: 8 Gaussians of radius 5 and variance 0.1; two moons, 3 x − 1, of standard deviation 0.15."""
    from diffviz import data

    moons = 3 * np.r_[data.ARC, [1, 0.5] - data.ARC] - 1
    return data.toy("8gaussians"), data.mixture(moons, 0.15, name="two moons")


def exact_velocity(source, x):
    """E[source − x | z] of two toys paired at random: a posterior over pairs of components, each jointly Gaussian with z."""
    m, k = source.law.means, x.law.means
    r, s = source.law.std[0] ** 2, x.law.std[0] ** 2  # one standard deviation for all components
    n, m = m.repeat_interleave(len(k), 0), k.repeat(len(m), 1)

    def velocity(z, t):
        variance = t**2 * r + (1 - t) ** 2 * s
        mean, gain = t * n + (1 - t) * m, (t * r - (1 - t) * s) / variance
        share = ((z @ mean.T - mean.square().sum(1) / 2) / variance).softmax(1)
        return share @ (n - m - gain * mean) + gain * z

    return velocity


@lru_cache
def coupled(steps: int = 1500, n: int = 2048, shown: int = 600) -> dict[str, Coupled]:
    """The four of ``COUPLINGS``, by name: the exact flow of independent pairs, and three learnt from n pairs in that many steps."""
    import torch

    from suite import couplings as C
    from suite.velocity import fit_velocity

    seed = lambda k: torch.Generator().manual_seed(k)
    ring, moons = ring_and_moons()
    source, x = ring.sample(n, seed(0)), moons.sample(n, seed(1))
    fresh, truth, exact = (
        ring.sample(shown, seed(2)),
        moons.sample(shown, seed(3)),
        exact_velocity(ring, moons),
    )
    pairs = {name: C.independent(source, x, seed(4)) for name in COUPLINGS[:2]}
    pairs |= {
        "minibatch OT": C.minibatch_ot(source, x, seed(4)),
        "reflow": (source, C.flow(exact, source, 20)[1][-1]),
    }
    found = {}
    for name, (one, two) in pairs.items():
        velocity = exact if name == COUPLINGS[0] else fit_velocity(one, two, seed(5), steps=steps)
        ends = {k: C.flow(velocity, fresh, k, "euler")[1][-1] for k in EULER}
        euler = {
            k: C.transport_cost(*C.minibatch_ot(end, truth, seed(6), batch=shown)) ** 0.5
            for k, end in ends.items()
        }
        t, z = C.flow(velocity, fresh, 30)
        found[name] = Coupled(one.numpy(), two.numpy(), t.numpy(), z.numpy(), euler)
    return found


def floor(shown: int = 600) -> float:
    """W2 between two draws of the data, as many as ``coupled`` compares: what perfect samples would have."""
    import torch

    from suite import couplings as C

    moons = ring_and_moons()[1]
    one, two = (moons.sample(shown, torch.Generator().manual_seed(k)) for k in (7, 3))
    return (
        C.transport_cost(*C.minibatch_ot(one, two, torch.Generator().manual_seed(6), batch=shown))
        ** 0.5
    )


def table() -> str:
    """The numbers of ``coupled``, a row each."""
    rows = {name: one.numbers() for name, one in coupled().items()}
    head = [f"{name:>13}" for name in rows[COUPLINGS[0]]]
    lines = [
        f"{name:20}" + "".join(f"{value:13.3f}" for value in row.values())
        for name, row in rows.items()
    ]
    return "\n".join(
        [" " * 20 + "".join(head), *lines, f"W2 of two draws of the data: {floor():.3f}"]
    )


@figure(
    "couplings",
    "Which source goes with which sample: independent, minibatch OT and reflow; crossings, transport cost, straightness",
)
def couplings_figure() -> Axes:
    grid = plots.axes(12, 7.4, columns=3, rows=2)
    chosen = {name.split(",")[0]: coupled()[name] for name in (COUPLINGS[0], *COUPLINGS[2:])}
    for (name, one), top, bottom, colour in zip(
        chosen.items(), grid[:3], grid[3:], plots.PALETTE, strict=False
    ):
        found, gap = one.numbers(), np.full((120, 1, 2), np.nan)
        pairs = np.concatenate([one.source[:120, None], one.x[:120, None], gap], 1).reshape(-1, 2)
        ways = np.concatenate([one.z[:, :120].transpose(1, 0, 2), gap], 1).reshape(-1, 2)
        for ax, (x, y), word in ((top, pairs.T, "pairs"), (bottom, ways.T, "paths")):
            ax.plot(x, y, color=colour, lw=0.7, alpha=0.6, gid=f"{name}: {word}")
            ax.set(xlim=(-6.5, 7), ylim=(-6.5, 6.5), aspect="equal")
        for ax, start, end in (
            (top, one.source[:120], one.x[:120]),
            (bottom, one.z[0, :300], one.z[-1, :300]),
        ):
            ax.plot(*start.T, ".", ms=3, color="0.35", gid="source")
            ax.plot(*end.T, ".", ms=3, color="black", gid="data")
        top.set_title(
            f"{name}: {found['crossings']:.1%} cross, cost {found['cost']:.1f}", fontsize=11
        )
        bottom.set_title(
            f"its flow: S = {found['S']:.3f}, path ratio {found['path ratio']:.3f}", fontsize=11
        )
    grid[0].set_ylabel("120 pairs")
    grid[3].set_ylabel("paths of the flow")
    return grid[0]
