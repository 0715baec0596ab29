"""Figures of frames, straightness, solvers, grids, and when a sample is settled."""

from collections.abc import Callable, Iterable

import numpy as np
from matplotlib.axes import Axes

from diffviz import plots
from diffviz.lab.experiments.common import TIME
from diffviz.lab.experiments.sampling import (
    BANDS,
    COUNTS,
    GRIDS,
    LAWS,
    STEPS,
    VARIANCES,
    churn_weights,
    convergence,
    ddpm_chain,
    ddpm_step,
    distance,
    exact_path,
    frame_walks,
    off_chords,
    point_runs,
    settled,
    settled_bands,
    settled_photos,
)
from diffviz.lab.figures.registry import figure
from diffviz.lab.figures.style import NEUTRAL, legend, line_of, named_lines

OBJECTIVE_OF_GRID = dict(
    zip(GRIDS, ("fm-ot", "sd3", "v-cosine", "ddpm-linear", "edm"), strict=True)
)
# Lines that cover one another differ in width, so that both are seen.
GRID_WIDTHS = dict(zip(GRIDS, (3.5, 3.5, 2.0, 1.5, 2.0), strict=True))


def grid_colour(name: str) -> str:
    """The colour of a grid: that of the objective that it is the schedule of.

    Args:
        name: Name of a grid.

    Returns:
        A Matplotlib colour.
    """
    return plots.colour(OBJECTIVE_OF_GRID.get(name, name))


def _palette(names: Iterable[str]) -> Callable[[str], str]:
    """Colours of names in the order of the palette."""
    return dict(zip(names, plots.PALETTE, strict=False)).__getitem__


@figure(
    "scaling-slider",
    "From the linear to the variance-preserving frame: DDIM does not move, Euler does (N(0, "
    "0.25), 6 steps)",
)
def scaling_slider() -> Axes:
    """Draw six steps in several frames, and where they end; returns the left panel."""
    left, right = plots.axes(10.5, 4.2, columns=2)
    walks = frame_walks()
    title = "6 steps from z = 1, all drawn in the VP frame"
    plots.lines(
        walks.time, walks.walks, xlabel=TIME, ylabel="z", title=title, outside=None, ax=left
    )
    name = "exact flow"
    left.plot(walks.exact_time, walks.exact, color="black", lw=1.5, ls=":", gid=name, label=name)
    legend(left, handlelength=3)
    colours = {"exact flow": "black", "DDIM": plots.PALETTE[0], "Euler": plots.PALETTE[3]}
    plots.lines(
        walks.shares,
        walks.ends,
        xlabel="frame   [0 linear ← → 1 VP]",
        ylabel="where the 6 steps end",
        title="the last z",
        colours=colours.__getitem__,
        ax=right,
    )
    line_of(right, "exact flow").set(ls=":", lw=1.5)
    legend(right, handlelength=3)
    return left


def _draw_paths(ax: Axes, path: str, title: str) -> None:
    """Exact paths of N(0, c) for three c, with their chords dotted."""
    t, variances = np.linspace(0, 1, 201), (0.01, 0.1, 1.0)
    curves = {f"c = {c:g}": exact_path(c, path, t) for c in variances}
    plots.lines(t, curves, xlabel=TIME, ylabel="z", title=title, ax=ax)
    for c, colour in zip(variances, plots.PALETTE, strict=False):
        ax.plot([0, 1], [np.sqrt(c), 1], color=colour, lw=1, ls=":")
    ax.set_ylim(0, 1.05)


@figure(
    "vp-vs-fm",
    "How straight an exact path is depends on the data: N(0, c) under flow matching and under "
    "VP-cosine",
)
def vp_vs_fm() -> Axes:
    """Draw exact paths under both, and how far they leave their chords; returns the first panel."""
    linear, cosine, straight = plots.axes(12.5, 4.2, columns=3)
    _draw_paths(linear, "FM", "linear path (FM); dotted: chords")
    _draw_paths(cosine, "VP", "cosine path (VP)")
    variances = np.geomspace(0.005, 4, 60)
    colours = {"FM": grid_colour("FM, uniform t"), "VP": grid_colour("VP cosine")}
    plots.lines(
        variances,
        off_chords(variances),
        xlabel="variance c of the data",
        ylabel="largest distance from the chord",
        title="which is straighter?",
        colours=colours.__getitem__,
        ax=straight,
    )
    for name, distances in off_chords(VARIANCES).items():
        straight.plot(VARIANCES, distances, "o", color=colours[name], gid=f"{name}, dots")
    straight.set_xscale("log")
    return linear


@figure(
    "churn",
    "Weight of each prediction in the final sample, 100 steps of the cosine grid: flat for DDIM, "
    "rising for DDPM",
)
def churn(ax: Axes | None = None) -> Axes:
    """Draw how much each step's prediction counts, with three shares of DDPM's noise.

    Args:
        ax: Axes to draw on; new ones by default.

    Returns:
        The Axes.
    """
    labels = {0.0: "DDIM", 0.5: "half of DDPM's noise, η = 0.5", 1.0: "DDPM, η = 1"}
    curves = {labels[eta]: weights for eta, weights in churn_weights(tuple(labels)).items()}
    ax = plots.lines(
        np.arange(1, 101),
        curves,
        xlabel="step   [noise ← → data]",
        ylabel="|weight| of the step's v in the last z",
        title="100 steps, cosine grid",
        ax=ax,
    )
    flat = np.sin(np.pi / 200)
    ax.axhline(flat, color=NEUTRAL, ls=":", lw=1)
    ax.annotate(f"sin(π/200) = {flat:.6f}", (62, flat - 0.0014), fontsize=9)
    ax.set_ylim(0, None)
    return ax


def _draw_chain(ax: Axes) -> None:
    """DDPM's steps as dots on a chain of DDIM steps and noise."""
    chain = ddpm_chain()
    for step in range(len(chain.grid) - 1):
        first = 2 * step
        down, back = slice(first, first + 2), slice(first + 1, first + 3)
        ax.plot(
            chain.level[down],
            chain.z[down],
            color=plots.PALETTE[0],
            lw=2,
            gid=f"down {step}",
            label="" if step else "DDIM, twice the length",
        )
        ax.plot(
            chain.level[back],
            chain.z[back],
            color=plots.PALETTE[1],
            lw=1.2,
            ls=plots.DASHES[2],
            label="" if step else "noise, half way back",
        )
    label = "DDPM, the same draws"
    ax.plot(chain.grid, chain.ddpm, "o", color="black", ms=6, gid="DDPM", label=label)
    ax.set(
        xlabel="log-SNR λ   [nats; noise ← → data]",
        ylabel="z, VP frame",
        title="one chain of 8 steps",
    )
    legend(ax)


@figure(
    "ddpm-is-ddim",
    "A DDPM step is a DDIM step of twice the length in log-SNR, and noise half of the way back",
)
def ddpm_is_ddim() -> Axes:
    """Draw one chain both ways, and both laws of one step; returns the left panel."""
    left, right = plots.axes(10.5, 4.2, columns=2)
    _draw_chain(left)
    step = ddpm_step()
    plots.lines(
        step.middle,
        step.densities,
        xlabel="z at λ = 1",
        ylabel="density",
        title="one step from z = 0.4, λ −1 → 1, 20,000 draws",
        outside=None,
        ax=right,
    )
    right.lines[2].set_linestyle(plots.DASHES[1])  # two samples of one law
    legend(right, named_lines(right), loc="upper right", handlelength=3)
    right.set_ylim(0, 1.35 * max(density.max() for density in step.densities.values()))
    return left


def _draw_bands(ax: Axes) -> None:
    """R² in bands of frequency: one colour for each band, the cosine grid dashed."""
    bands = settled_bands()
    curves = {f"{band}, {grid[:2]}": values for (grid, band), values in bands.items()}
    colours = {name: plots.PALETTE[k % len(BANDS)] for k, name in enumerate(curves)}
    plots.lines(
        np.linspace(0, 1, 101),
        curves,
        xlabel=STEPS,
        ylabel="R² = 1 − mmse/Var in the band",
        title="by cycles per image: FM, dashed VP cosine",
        colours=colours.__getitem__,
        outside=None,
        ax=ax,
    )
    handles = [line_of(ax, f"{band}, FM") for band in BANDS]
    legend(ax, handles, labels=list(BANDS), loc="upper left", bbox_to_anchor=(1.0, 1.0))


@figure(
    "early-commitment",
    "Share of the final sample already explained along the steps: it is the grid and the "
    "spectrum, with no weighting at all",
)
def early_commitment() -> Axes:
    """Draw R² along the steps for photographs, digits and bands; returns the first panel."""
    panels = plots.axes(14.5, 4.4, columns=3, legend=1.2)
    photos, digits, bands = panels
    plots.lines(
        np.linspace(0, 1, 101),
        {name: settled_photos(path) for name, path in GRIDS.items()},
        xlabel=STEPS,
        ylabel="R² = 1 − mmse/Var",
        title="Gaussian images, spectrum of photographs 64²",
        colours=grid_colour,
        outside=None,
        ax=photos,
    )
    plots.lines(
        np.linspace(0, 1, 61),
        {name: settled("digits", name) for name in GRIDS},
        xlabel=STEPS,
        ylabel="R² of x̂ with the sample",
        title="digits, exact denoiser",
        colours=grid_colour,
        ax=digits,
    )
    _draw_bands(bands)
    for ax in panels:
        ax.set_ylim(-0.02, 1.02)
    return photos


@figure(
    "solver-orders",
    "Error against calls, by solver and grid, on a mixture with the exact denoiser; slopes are "
    "the solvers' orders",
)
def solver_orders(data: str = "gmm2d") -> Axes:
    """Draw errors by calls, one panel for each grid.

    Args:
        data: Name of a toy.

    Returns:
        The first panel.

    Raises:
        ValueError: There is no such toy.
    """
    panels = plots.axes(10.5, 8.2, columns=2, rows=2)
    for ax, grid in zip(panels, LAWS, strict=True):
        records = {
            f"{solver}, order {record.order:.2f}": record
            for solver, record in convergence(grid, data).items()
        }
        plots.lines(
            {name: record.calls for name, record in records.items()},
            {name: record.errors for name, record in records.items()},
            xlabel="calls of the denoiser",
            ylabel="rms error of the last z",
            title=grid,
            colours=_palette(records),
            ax=ax,
        )
        ax.axhline(1e-2, color=NEUTRAL, ls=":", lw=1)
        ax.set(xscale="log", yscale="log", xlim=(7, 1200), ylim=(1e-9, 10))
        legend(ax, loc="lower left", handlelength=2)
    return panels[0]


def _draw_distances(ax: Axes) -> None:
    """Distances by steps: thick lines for the exact denoiser, dashed ones for networks."""
    for k, trained in enumerate(point_runs()):
        ideal = trained == "exact"
        dash = "-" if ideal else plots.DASHES[1 + k % 3]
        for grid in GRIDS:
            ax.plot(
                COUNTS,
                [distance(trained, grid, steps) for steps in COUNTS],
                color=grid_colour(grid),
                lw=GRID_WIDTHS[grid] if ideal else 1.2,
                ls=dash,
                gid=f"{trained}: {grid}",
                label=grid if ideal else "",
            )
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="DDIM steps",
        ylabel="rms distance from the exact flow's end",
        title="thick: exact denoiser; dashed: four trainings",
        xticks=COUNTS,
        xticklabels=COUNTS,
    )
    ax.minorticks_off()
    legend(ax)


def _draw_table(ax: Axes, steps: int) -> None:
    """Distances at one number of steps: rows are trainings, columns sampling grids."""
    rows = list(point_runs())
    table = np.array([[distance(trained, grid, steps) for grid in GRIDS] for trained in rows])
    shade = np.log(table / table.min()) / np.log(table.max() / table.min())
    ax.imshow(np.log(table), cmap="viridis_r", aspect="auto", gid="table")
    ax.grid(False)
    for (row, column), value in np.ndenumerate(table):
        colour = "white" if shade[row, column] > 0.5 else "black"
        ax.annotate(
            f"{value:.3f}",
            (column, row),
            ha="center",
            va="center",
            color=colour,
            fontsize=10,
        )
    labels = [
        name.replace(", ", "\n").replace("VP ", "VP\n").replace("DDPM ", "DDPM\n") for name in GRIDS
    ]
    ax.set(xticks=range(len(GRIDS)), xticklabels=labels, yticks=range(len(rows)), yticklabels=rows)
    ax.set(title=f"{steps} steps: rows are trainings, columns sampling grids")


@figure(
    "train-sample-schedules",
    "Models of four trainings on five sampling grids: with few steps quality is set by the grid, "
    "with many by the error of the network",
)
def train_sample_schedules() -> Axes:
    """Draw distances by steps, and as a table at 16 steps; returns the left panel."""
    left, right = plots.axes(12.5, 4.6, columns=2)
    _draw_distances(left)
    _draw_table(right, 16)
    left.figure.subplots_adjust(bottom=0.16, wspace=0.24)
    return left
