"""Figures 27 to 33: frames, straightness, solvers, grids, and when a sample is settled; with the numbers that their notebook prints."""

from functools import partial
from itertools import pairwise
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes

import diffviz as dv
from diffviz import plots
from diffviz.lab.experiments.sampling import (
    COUNTS,
    GRIDS,
    LAWS,
    SOLVERS,
    STEPS,
    TIME,
    VARIANCES,
    between,
    distance,
    exact_path,
    next_draw,
    normal,
    off_chord,
    order,
    point_runs,
    rms,
    settled,
    settled_photos,
    share_of_spectrum,
    spectrum,
)
from diffviz.lab.figures.registry import figure
from diffviz.theory.frames import VP, noise_ratio
from diffviz.theory.paths import COSINE, LINEAR, Path

LIKE = dict(zip(GRIDS, ("fm-ot", "sd3", "v-cosine", "ddpm-linear", "edm"), strict=True))
BANDS = {"below 2": (0, 2), "2 to 8": (2, 8), "8 to 32": (8, 33)}  # per image of 64²


def ink(name: str) -> str:
    """Colour of a grid: that of the objective that it is the schedule of."""
    return plots.colour(LIKE.get(name, name))


@figure(
    "scaling-slider",
    "From the linear to the variance-preserving frame: DDIM does not move, Euler does (N(0, "
    "0.25), 6 steps)",
)
def scaling_slider() -> Axes:
    import torch

    left, right = plots.axes(10.5, 4.2, columns=2)
    data, one = dv.mixture([[0.0]], 0.5), torch.ones(1, 1, dtype=torch.float64)
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


@figure(
    "vp-vs-fm",
    "How straight an exact path is depends on the data: N(0, c) under flow matching and under "
    "VP-cosine",
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
    "Weight of each prediction in the final sample, 100 steps of the cosine grid: flat for DDIM, "
    "rising for DDPM",
)
def churn() -> Axes:
    from diffviz.sampling import trajectories

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
    chain = ddpm(
        torch.full((1, 1), 0.4, dtype=torch.float64), grid, partial(next_draw, iter(draws))
    )
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


@figure(
    "early-commitment",
    "Share of the final sample already explained along the steps: it is the grid and the "
    "spectrum, with no weighting at all",
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
        levels = dv.grid(GRIDS[name].schedule, 100, -16, 16)
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


@figure(
    "solver-orders",
    "Error against calls, by solver and grid, on a mixture with the exact denoiser; slopes are "
    "the solvers' orders",
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


@figure(
    "train-sample-schedules",
    "Models of four trainings on five sampling grids: with few steps quality is set by the grid, "
    "with many by the training",
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
