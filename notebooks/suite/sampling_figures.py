"""Figures 27 to 33: frames, straightness, solvers, grids, and when a sample is settled; with the numbers that their notebook prints."""

from functools import lru_cache, partial
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy import fft, stats

import diffviz as dv
from diffviz import paths, plots
from diffviz.frames import STRAIGHT, VP, Frame, noise_ratio
from diffviz.paths import COSINE, LINEAR, Path
from suite.figures import figure

TIME, STEPS = "time t   [0 data, 1 noise]", "share of the steps done"
GRIDS = {
    "FM, uniform t": LINEAR, "FM, shift 3": paths.shifted(LINEAR, 3), "VP cosine": COSINE, "DDPM linear β": paths.vp_linear(),
    "EDM, Karras ρ = 7": paths.karras(),
}  # fmt: skip
LIKE = dict(zip(GRIDS, ("fm-ot", "sd3", "v-cosine", "ddpm-linear", "edm"), strict=True))
TRAINED = "fm-ot", "v-cosine", "edm", "sd3"  # the first two are one weighting under two densities
LOW, HIGH = -9.0, 9.0  # within what all of these look at in training
BANDS = {"below 2": (0, 2), "2 to 8": (2, 8), "8 to 32": (8, 33)}  # per image of 64²


def ink(name: str) -> str:
    """Colour of a grid: that of the objective that it is the schedule of."""
    return plots.colour(LIKE.get(name, name))


def normal(n: int, *shape: int, seed: int = 0) -> Any:
    """Standard normal starts (n, *shape), the same on every call."""
    import torch

    return torch.randn(
        n, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )


def unit_grid(name: str) -> Path:
    """A grid of ``GRIDS`` for data of unit variance: EDM's is made for a standard deviation of 0.5."""
    return paths.shifted(GRIDS[name], 2) if name.startswith("EDM") else GRIDS[name]


def karras(low: float, high: float) -> Any:
    """Law of Karras' grid between two levels."""
    return paths.karras(float(noise_ratio(high)), float(noise_ratio(low))).schedule


def exact(name: str) -> Any:
    """The exact denoiser of a mixture toy of unit variance; x_hat alone, a few times faster than the toy's own ``denoise``."""
    toy = dv.toy(name, unit=True)
    logs, means, variance = toy.law.weights.log(), toy.law.means, toy.law.std**2

    def denoise(z, logsnr):
        flat, alpha, noise = z.flatten(1).double(), logsnr.sigmoid().sqrt(), (-logsnr).sigmoid()
        total = alpha**2 * variance + noise
        square = (
            flat.square().sum(1, keepdim=True)
            - 2 * alpha * flat @ means.T
            + alpha**2 * means.square().sum(1)
        )
        share = (logs - means.shape[1] / 2 * total.log() - square / (2 * total)).softmax(1) / total
        x_hat = noise * share @ means + alpha * (share * variance).sum(1, keepdim=True) * flat
        return x_hat.to(z).view_as(z)

    return SimpleNamespace(denoise=denoise, mean=toy.mean)


# --- frames and straightness -------------------------------------------------------------------------------------------------


def between(share: float) -> Frame:
    """A frame on the way from the linear one (0) to VP (1): alpha = (1 − t)/((1 − t)² + t²)^(share/2), sigma likewise."""
    return Frame(
        f"to VP, {share:g}",
        lambda l: STRAIGHT.alpha(l) ** (1 - share) * VP.alpha(l) ** share,
        lambda l: STRAIGHT.sigma(l) ** (1 - share) * VP.sigma(l) ** share,
        lambda l: (1 - share) * STRAIGHT.slope(l) + share * VP.slope(l),
    )


@figure(
    "scaling-slider",
    "From the linear to the variance-preserving frame: DDIM does not move, Euler does (N(0, 0.25), 6 steps)",
)
def scaling_slider() -> Axes:
    import torch

    left, right = plots.axes(10.5, 4.2, columns=2)
    data, one = dv.data.mixture([[0.0]], 0.5), torch.ones(1, 1, dtype=torch.float64)
    t = np.linspace(1 - 1e-9, 1e-9, 7)
    grid, fine = LINEAR.logsnr(t), np.linspace(1, 0, 201)

    def run(share=None):
        options: dict = {} if share is None else {"path": Path("", between(share), LINEAR.schedule)}
        return (
            dv.sample(data, grid, solver="ddim" if share is None else "euler", start=one, **options)
            .z[:, 0, 0]
            .numpy()
        )

    curves = {
        "DDIM": run(),
        "Euler, linear frame": run(0.0),
        "Euler, half way": run(0.5),
        "Euler, VP frame": run(1.0),
    }
    exact = np.hypot((1 - fine) * 0.5, fine) / np.hypot(1 - fine, fine)
    title = "6 steps from z = 1, all drawn in the VP frame"
    plots.lines(t, curves, xlabel=TIME, ylabel="z", title=title, outside=None, ax=left)
    left.plot(fine, exact, color="black", lw=1.5, ls=":", gid="exact flow", label="exact flow")
    left.legend(frameon=False, fontsize=9, handlelength=3)
    shares = np.linspace(0, 1, 21)
    ends = {
        "DDIM": np.full(21, run()[-1]),
        "Euler": np.array([run(share)[-1] for share in shares]),
        "exact flow": np.full(21, exact[-1]),
    }
    label = "frame   [0 linear ← → 1 VP]"
    colours = {
        "exact flow": "black",
        "DDIM": plots.PALETTE[0],
        "Euler": plots.PALETTE[3],
    }.__getitem__
    plots.lines(
        shares,
        ends,
        xlabel=label,
        ylabel="where the 6 steps end",
        title="the last z",
        colours=colours,
        ax=right,
    )
    next(line for line in right.lines if line.get_gid() == "exact flow").set(ls=":", lw=1.5)
    right.legend(frameon=False, fontsize=9, handlelength=3)
    return left


VARIANCES = 0.01, 0.05, 0.1, 0.5, 1.0


def off_chord(variance: float, path: str) -> float:
    """Largest distance of the exact flow of N(0, variance) from its chord, started at z = 1, over uniform time; path "FM" or "VP"."""
    t = np.linspace(0, 1, 4001)
    z = exact_path(variance, path, t)
    return float(np.abs(z - z[0] - t * (z[-1] - z[0])).max())


def exact_path(variance: float, path: str, t: NDArray) -> NDArray:
    """The flow keeps z in units of its standard deviation: z(t) = sqrt(alpha² variance + sigma²), from 1 at t = 1."""
    alpha, sigma = (1 - t, t) if path == "FM" else (np.cos(np.pi * t / 2), np.sin(np.pi * t / 2))
    return np.sqrt(alpha**2 * variance + sigma**2)


@figure(
    "vp-vs-fm",
    "How straight an exact path is depends on the data: N(0, c) under flow matching and under VP-cosine",
)
def vp_vs_fm() -> Axes:
    row = plots.axes(12.5, 4.2, columns=3)
    t = np.linspace(0, 1, 201)
    for ax, path in zip(row, ("FM", "VP"), strict=False):
        curves = {f"c = {c:g}": exact_path(c, path, t) for c in (0.01, 0.1, 1.0)}
        plots.lines(
            t,
            curves,
            xlabel=TIME,
            ylabel="z",
            title={"FM": "linear path (FM); dotted: chords", "VP": "cosine path (VP)"}[path],
            ax=ax,
        )
        for c, colour in zip((0.01, 0.1, 1.0), plots.PALETTE, strict=False):
            ax.plot([0, 1], [np.sqrt(c), 1], color=colour, lw=1, ls=":")
        ax.set_ylim(0, 1.05)
    variances = np.geomspace(0.005, 4, 60)
    off = {name: np.array([off_chord(v, name) for v in variances]) for name in ("FM", "VP")}
    shade = {"FM": ink("FM, uniform t"), "VP": ink("VP cosine")}
    labels: dict[str, Any] = {
        "xlabel": "variance c of the data",
        "ylabel": "largest distance from the chord",
        "title": "which is straighter?",
    }
    plots.lines(variances, off, colours=lambda name: shade[name], ax=row[2], **labels)
    for name in off:
        row[2].plot(
            VARIANCES,
            [off_chord(v, name) for v in VARIANCES],
            "o",
            color=shade[name],
            gid=f"{name}, dots",
        )
    row[2].set_xscale("log")
    return row[0]


# --- noise on the way --------------------------------------------------------------------------------------------------------


@figure(
    "churn",
    "Weight of each prediction in the final sample, 100 steps of the cosine grid: flat for DDIM, rising for DDPM",
)
def churn() -> Axes:
    from suite import trajectories

    grid = COSINE.logsnr(np.linspace(1 - 1e-9, 1e-9, 101))
    curves = {
        name: np.abs(trajectories.prediction_weights(grid, eta=eta))[1:]
        for name, eta in (
            ("DDIM", 0.0),
            ("half of DDPM's noise, η = 0.5", 0.5),
            ("DDPM, η = 1", 1.0),
        )
    }
    label, title = "|weight| of the step's v in the last z", "100 steps, cosine grid"
    ax = plots.lines(
        np.arange(1, 101), curves, xlabel="step   [noise ← → data]", ylabel=label, title=title
    )
    flat = np.sin(np.pi / 200)
    ax.axhline(flat, color="0.4", ls=":", lw=1)
    ax.annotate(f"sin(π/200) = {flat:.6f}", (62, flat - 0.0014), fontsize=9)
    ax.set_ylim(0, None)
    return ax


def _next(draws, like):
    return next(draws)


@figure(
    "ddpm-is-ddim",
    "A DDPM step is a DDIM step of twice the length in log-SNR, and noise half of the way back",
)
def ddpm_is_ddim() -> Axes:
    import torch

    left, right = plots.axes(10.5, 4.2, columns=2)
    data, grid = dv.toy("gmm1", unit=True), np.linspace(-6, 6, 9)
    noise = iter(normal(20, 1, seed=3))

    def ddpm(start, levels, draw):
        return dv.sample(data, levels, solver="ddim", eta=1.0, start=start, noise=draw)

    def twice(start, begin, end):
        return dv.sample(data, [begin, 2 * end - begin], solver="ddim", start=start).z[-1]

    def noised(z, begin, end, draw):
        """From the level of ``begin`` up to that of ``end``: y gains the variance s_end² − s_begin²."""
        y = z / VP.alpha(begin) + np.sqrt(noise_ratio(end) ** 2 - noise_ratio(begin) ** 2) * draw
        return y * VP.alpha(end)

    draws = [next(noise)[None] for _ in grid[1:]]
    chain = ddpm(torch.full((1, 1), 0.4, dtype=torch.float64), grid, partial(_next, iter(draws)))
    level, z = [grid[0]], [chain.z[0].item()]
    for k, (begin, end) in enumerate(pairwise(grid)):
        far = twice(torch.tensor([[z[-1]]], dtype=torch.float64), begin, end)
        level, z = (
            [*level, 2 * end - begin, end],
            [*z, far.item(), noised(far, 2 * end - begin, end, draws[k]).item()],
        )
    for k in range(0, len(z) - 1, 2):
        left.plot(
            level[k : k + 2],
            z[k : k + 2],
            color=plots.PALETTE[0],
            lw=2,
            gid=f"down {k // 2}",
            label="" if k else "DDIM, twice the length",
        )
        left.plot(
            level[k + 1 : k + 3],
            z[k + 1 : k + 3],
            color=plots.PALETTE[1],
            lw=1.2,
            ls=plots.DASHES[2],
            label="" if k else "noise, half way back",
        )
    left.plot(
        grid, chain.z[:, 0, 0], "o", color="black", ms=6, gid="DDPM", label="DDPM, the same draws"
    )
    left.set(
        xlabel="log-SNR λ   [nats; noise ← → data]",
        ylabel="z, VP frame",
        title="one chain of 8 steps",
    )
    left.legend(frameon=False, fontsize=9)
    begin, end, n = -1.0, 1.0, 20_000
    start = torch.full((n, 1), 0.4, dtype=torch.float64)
    draw = normal(n, 1, seed=1), normal(n, 1, seed=2)
    step = {
        "DDPM step": ddpm(start, [begin, end], lambda like: draw[0]).z[-1],
        "DDIM twice, then noise": noised(twice(start, begin, end), 2 * end - begin, end, draw[1]),
    }
    edges = np.linspace(-2.5, 2.5, 51)
    curves = {name: np.histogram(z.numpy(), edges, density=True)[0] for name, z in step.items()}
    middle = (edges[1:] + edges[:-1]) / 2
    title = "one step from z = 0.4, λ −1 → 1, 20,000 draws"
    plots.lines(
        middle, curves, xlabel="z at λ = 1", ylabel="density", title=title, outside=None, ax=right
    )
    right.lines[2].set_linestyle(plots.DASHES[1])  # two samples of one law
    right.legend(
        handles=right.lines[::2], frameon=False, fontsize=9, loc="upper right", handlelength=3
    )
    right.set_ylim(0, 1.35 * max(curve.max() for curve in curves.values()))
    return left


# --- when is a sample settled? -----------------------------------------------------------------------------------------------


@lru_cache
def spectrum(size: int = 64) -> NDArray:
    """Power of the cosine coefficients of the photographs at hand, [−1, 1] scale, averaged over rings of frequency, (size, size)."""
    photos = dv.data.load("photos")
    images = (
        np.stack([photos[name] for name in ("camera", "astronaut", "coffee", "chelsea", "rocket")])
        / 127.5
        - 1
    )
    side = images.shape[1] // size
    images = images.reshape(len(images), size, side, size, side).mean((2, 4))
    power = (fft.dctn(images, axes=(1, 2), norm="ortho") ** 2).mean(0)
    ring = np.rint(np.hypot(*np.indices(power.shape))).astype(int)
    return (np.bincount(ring.flat, power.flat) / np.bincount(ring.flat))[ring]


def share_of_spectrum(power: NDArray, grid: NDArray) -> NDArray:
    """R² = 1 − mmse/Var along a grid for Gaussian data with these powers, exact denoiser; shape of the grid."""
    power = power.ravel()
    return (power / (1 + np.exp(-np.asarray(grid))[:, None] / power)).sum(1) / power.sum()


def settled_photos(path: Path, size: int = 64, steps: int = 100) -> NDArray:
    """R² along the steps of a grid, for images with the spectrum of photographs; shape (steps + 1,)."""
    return share_of_spectrum(spectrum(size), dv.samplers.grid_of(path.schedule, steps, -16, 16))


@lru_cache
def settled(data: str, grid: str, trained: str = "", steps: int = 60) -> NDArray:
    """R² of x_hat with the final sample along DDIM's steps, shape (steps + 1,).

    Args:
        data: "digits", "ring8" ..., of unit variance; grid: one of ``GRIDS``.
        trained: an objective of ``TRAINED`` for a network (digits only), or "" for the exact denoiser.
    """
    from suite import trajectories

    model = digit_runs()[trained] if trained else exact(data)
    low, high = (LOW, HIGH) if trained else (-14.0, 14.0)
    start = normal(150 if data == "digits" else 1000, *model.mean.shape).to(model.mean.dtype)
    levels = dv.samplers.grid_of(unit_grid(grid).schedule, steps, low, high)
    return trajectories.explained(dv.sample(model, levels, solver="ddim", start=start))


@lru_cache
def digit_runs() -> dict[str, Any]:
    """Networks trained on the digits as vectors (64,), one for each objective of ``TRAINED``."""
    import torch

    x = dv.toy("digits", unit=True).sample(20_000, torch.Generator().manual_seed(0)).flatten(1)
    model = dv.models.MLP(128, 3, ())
    return dict(
        zip(
            TRAINED,
            dv.fit(list(TRAINED), x, model=model, steps=600, batch=128, progress=False),
            strict=True,
        )
    )


@figure(
    "early-commitment",
    "Share of the final sample already explained along the steps: it is the grid and the spectrum, with no weighting at all",
)
def early_commitment() -> Axes:
    row = plots.axes(14.5, 4.4, columns=3, legend=1.2)
    x = np.linspace(0, 1, 101)
    photos = {name: settled_photos(path) for name, path in GRIDS.items()}
    title = "Gaussian images, spectrum of photographs 64²"
    plots.lines(
        x,
        photos,
        xlabel=STEPS,
        ylabel="R² = 1 − mmse/Var",
        title=title,
        colours=ink,
        outside=None,
        ax=row[0],
    )
    digits = {name: settled("digits", name) for name in GRIDS}
    x60, title = np.linspace(0, 1, 61), "digits, exact denoiser"
    plots.lines(
        x60,
        digits,
        xlabel=STEPS,
        ylabel="R² of x̂ with the sample",
        title=title,
        colours=ink,
        ax=row[1],
    )
    rate, curves = np.hypot(*np.indices((64, 64))) / 2, {}
    for name in ("FM, uniform t", "VP cosine"):
        levels = dv.samplers.grid_of(GRIDS[name].schedule, 100, -16, 16)
        for band, (low, high) in BANDS.items():
            curves[f"{band}, {name[:2]}"] = share_of_spectrum(
                spectrum()[(low <= rate) & (rate < high)], levels
            )
    colours = {key: plots.PALETTE[k % 3] for k, key in enumerate(curves)}.__getitem__
    title = "by cycles per image: FM, dashed VP cosine"
    plots.lines(
        x,
        curves,
        xlabel=STEPS,
        ylabel="R² = 1 − mmse/Var in the band",
        title=title,
        colours=colours,
        outside=None,
        ax=row[2],
    )
    handles = [line for line in row[2].lines if str(line.get_gid()).endswith(", FM")]
    row[2].legend(
        handles, list(BANDS), frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1.0, 1.0)
    )
    for ax in row:
        ax.set_ylim(-0.02, 1.02)
    return row[0]


# --- solvers and grids -------------------------------------------------------------------------------------------------------

RANGE = -10.0, 12.0
SOLVERS = {
    "DDIM": "ddim",
    "Heun": "heun",
    "DPM++ 2M": "dpm++2m",
    "RK4": "rk4",
    "AB3 on dz/dθ": "ab3",
}
EVEN, MEASURED = "uniform in λ", "even measured error"


@lru_cache
def best(name: str, points: int = 64) -> Any:
    """Exact denoiser of a unit-variance toy, starts (points, 2) and where the adaptive reference ends from them, over ``RANGE``."""
    toy, start = exact(name), normal(points, 2)
    adaptive = partial(
        dv.samplers.runge_kutta, method="dopri8"
    )  # a third of dopri5's time to the same tolerance
    return toy, start, dv.sample(toy, RANGE, solver=adaptive, start=start).z[-1]


@lru_cache
def law(grid: str, data: str) -> Any:
    """Law of λ of a grid over ``RANGE``; the measured one takes a pilot run of 100 Heun steps on that data."""
    from suite import trajectories

    if grid == MEASURED:
        toy, start, _ = best(data)
        return trajectories.error_law(
            dv.sample(toy, np.linspace(*RANGE, 101), solver="heun", start=start)
        )
    known = {
        "uniform in FM's t": LINEAR.schedule,
        EVEN: stats.uniform(RANGE[0], RANGE[1] - RANGE[0]),
        "Karras ρ = 7": karras(*RANGE),
    }
    return known[grid]


LAWS = "uniform in FM's t", EVEN, "Karras ρ = 7", MEASURED


def error_of(solver: str, levels: Any, data: str) -> tuple[float, int]:
    """Root mean square error of a coordinate of the last z against the adaptive reference, and the calls that it took.

    Args:
        solver: name in ``dv.samplers.SOLVERS``; levels: grid over ``RANGE``, shape (steps + 1,); data: a toy, of unit variance.
    """
    toy, start, end = best(data)
    if not np.allclose(np.asarray(levels, dtype=float)[[0, -1]], RANGE):
        raise ValueError(f"the grid runs from {RANGE[0]:g} to {RANGE[1]:g}")
    found = dv.sample(toy, levels, solver=solver, start=start)
    return (
        found.z[-1] - end
    ).square().mean().sqrt().item(), found.calls - 1  # the last call is for x_hat alone


@lru_cache(4096)
def rms(solver: str, grid: str, data: str, steps: int) -> tuple[float, int]:
    """``error_of`` a solver of ``SOLVERS`` on a grid of ``LAWS``."""
    return error_of(SOLVERS[solver], dv.samplers.grid_of(law(grid, data), steps, *RANGE), data)


def calls_to(
    solver: str, grid: str, data: str, wanted: float = 1e-2, most: int = 512
) -> int | None:
    """Fewest calls to an error, by bisection over the number of steps; None if ``most`` steps do not reach it."""
    low, high = 1, 2
    while rms(solver, grid, data, high)[0] > wanted:
        low, high = high, 2 * high
        if high > most:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if rms(solver, grid, data, middle)[0] > wanted else (low, middle)
    return rms(solver, grid, data, high)[1]


def order(
    solver: str, grid: str, data: str = "gmm2d", steps: tuple[int, ...] = (64, 128, 256)
) -> float:
    """Order of convergence: minus the slope of log error over log steps."""
    return -float(
        np.polyfit(np.log(steps), np.log([rms(solver, grid, data, n)[0] for n in steps]), 1)[0]
    )


@figure(
    "solver-orders",
    "Error against calls, by solver and grid, on a mixture with the exact denoiser; slopes are the solvers' orders",
)
def solver_orders() -> Axes:
    row = plots.axes(10.5, 8.2, columns=2, rows=2)
    for ax, grid in zip(row, LAWS, strict=True):
        x, curves = {}, {}
        for solver in SOLVERS:
            found = [rms(solver, grid, "gmm2d", n) for n in (8, 16, 32, 64, 128, 256)]
            name = f"{solver}, order {order(solver, grid):.2f}"
            curves[name], x[name] = (
                np.array([error for error, _ in found]),
                np.array([calls for _, calls in found]),
            )
        ink = dict(zip(curves, plots.PALETTE, strict=False)).__getitem__
        label = "rms error of the last z"
        plots.lines(
            x, curves, xlabel="calls of the denoiser", ylabel=label, title=grid, colours=ink, ax=ax
        )
        ax.axhline(1e-2, color="0.4", ls=":", lw=1)
        ax.set(xscale="log", yscale="log", xlim=(7, 1200), ylim=(1e-9, 10))
        ax.legend(frameon=False, fontsize=9, loc="lower left", handlelength=2)
    return row[0]


# --- train on one schedule, sample on another --------------------------------------------------------------------------------


@lru_cache
def point_runs(data: str = "gmm2d") -> dict[str, Any]:
    """The exact denoiser of a toy of unit variance, and networks trained on it, one for each objective of ``TRAINED``."""
    import torch

    toy = dv.toy(data, unit=True)
    x = toy.sample(20_000, torch.Generator().manual_seed(0))
    return {
        "exact": exact(data),
        **dict(zip(TRAINED, dv.fit(list(TRAINED), x, steps=800, progress=False), strict=True)),
    }


@lru_cache(4096)
def distance(trained: str, grid: str, steps: int, data: str = "gmm2d") -> float:
    """Rms distance of a coordinate of DDIM's last z from where the exact flow takes the same start."""
    runs, start = point_runs(data), normal(256, 2)
    fixed = karras(LOW, HIGH) if grid.startswith("EDM") else unit_grid(grid).schedule
    levels = dv.samplers.grid_of(fixed, steps, LOW, HIGH)
    model = runs[trained]
    z = dv.sample(model, levels, solver="ddim", start=start.to(model.mean.dtype)).z[-1]
    return (z.double() - _flow_end(data)).square().mean().sqrt().item()


@lru_cache
def _flow_end(data: str) -> Any:
    return dv.sample(exact(data), [LOW, HIGH], solver="adaptive", start=normal(256, 2)).z[-1]


COUNTS = 4, 8, 16, 32, 64, 128


@figure(
    "train-sample-schedules",
    "Models of four trainings on five sampling grids: with few steps quality is set by the grid, with many by the training",
)
def train_sample_schedules() -> Axes:
    left, right = plots.axes(12.5, 4.6, columns=2)
    for k, trained in enumerate(point_runs()):
        for width, name in zip(
            (3.5, 3.5, 2.0, 1.5, 2.0), GRIDS, strict=True
        ):  # one over another shows both
            y = [distance(trained, name, n) for n in COUNTS]
            ideal = trained == "exact"
            style: dict[str, Any] = {
                "color": ink(name),
                "lw": width if ideal else 1.2,
                "ls": "-" if ideal else plots.DASHES[1 + k % 3],
            }
            left.plot(COUNTS, y, gid=f"{trained}: {name}", label=name if ideal else "", **style)
    left.set(
        xscale="log",
        yscale="log",
        xlabel="DDIM steps",
        ylabel="rms distance from the exact flow's end",
    )
    left.set(
        title="thick: exact denoiser; dashed: four trainings", xticks=COUNTS, xticklabels=COUNTS
    )
    left.minorticks_off()
    left.legend(frameon=False, fontsize=9)
    table = np.array([[distance(trained, name, 16) for name in GRIDS] for trained in point_runs()])
    right.imshow(np.log(table), cmap="viridis_r", aspect="auto", gid="table")
    right.grid(False)
    for (i, j), value in np.ndenumerate(table):
        dark = np.log(table[i, j] / table.min()) > 0.5 * np.log(table.max() / table.min())
        right.annotate(
            f"{value:.3f}",
            (j, i),
            ha="center",
            va="center",
            color="white" if dark else "black",
            fontsize=10,
        )
    short = [
        name.replace(", ", "\n").replace("VP ", "VP\n").replace("DDPM ", "DDPM\n") for name in GRIDS
    ]
    right.set(
        xticks=range(len(GRIDS)),
        xticklabels=short,
        yticks=range(len(table)),
        yticklabels=list(point_runs()),
    )
    right.set(title="16 steps: rows are trainings, columns sampling grids")
    cast(Any, left.figure).subplots_adjust(bottom=0.16, wspace=0.24)
    return left
