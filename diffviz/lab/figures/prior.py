"""Figures 25 and 26 and their kin: where sampling starts, what that does to brightness, and which start goes with which sample."""

import numpy as np
from matplotlib.axes import Axes

from diffviz import plots
from diffviz.lab.experiments.prior import (
    C_VALUES,
    COUPLINGS,
    MEAN,
    NOWHERE,
    SIDE,
    SIZES,
    STD,
    TERMINAL,
    ZERO,
    coupled,
    gaussian_flow,
    gaussian_images,
    kl,
    measured_brightness,
    offset_bias,
)
from diffviz.lab.figures.registry import figure
from diffviz.theory import prior


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
    "What the prior term costs by the log-SNR at the end, and the part of it that sampling feels "
    "(64² Gaussian images)",
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
    "Brightness where sampling starts from N(0, I): Stable Diffusion ends at α_T = .0683, SNR_T = "
    ".00468; zero terminal SNR mends it",
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
        (left, right),
        (measured_brightness()[0] / MEAN, measured_brightness()[1] / STD),
        strict=True,
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


@figure(
    "brightness",
    "The same noise, three starts: only the start from N(0, I) at Stable Diffusion's last level "
    "turns dark images grey",
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


@figure(
    "offset-noise",
    "Offset noise at Stable Diffusion's last level: what it moves, and what becomes of brightness "
    "with it at both ends or in training only",
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


@figure(
    "straightness",
    "Flow matching from N(0, 1) to N(0, c): even between equal Gaussians paths bend, S = √c (2 − "
    "π/2)",
)
def straightness_figure() -> Axes:
    from diffviz.sampling.couplings import straightness

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


@figure(
    "couplings",
    "Which source goes with which sample: independent, minibatch OT and reflow; crossings, "
    "transport cost, straightness",
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
