"""Figures of the loss of a training by log-SNR, laws that adapt to it, and samples."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from diffviz import plots
from diffviz.lab.experiments.tracking import (
    GRIDS,
    MIDDLE,
    RULES,
    STEPS,
    STILL,
    DensityOrGrid,
    WatchedLoss,
    adapted,
    adapted_weightings,
    density_or_grid,
    least_variance_density,
    variance_gains,
    variance_ratios,
    watched_loss,
)
from diffviz.lab.figures.registry import figure
from diffviz.lab.figures.style import NEUTRAL, draw_under, legend, line_of

EXACT = "exact denoiser"
BLACK = "#222222"  # nearly, since black is the ELBO's colour
LAW_COLOURS = dict(zip(RULES, plots.PALETTE, strict=False)) | {
    "least variance": BLACK,
    "FM, uniform t": NEUTRAL,
    "cosine": NEUTRAL,
    "flow matching": NEUTRAL,
    "EDM2 log-variance": plots.PALETTE[6],
}
GAINS = {  # column of ``learning.variance.gains``, in the words of the picture
    0: "value, one draw",
    2: "value, stratified draws",
    3: "gradient",
}
GAIN_COLOURS = ("#333333", "#888888", plots.PALETTE[4])
GRID_COLOURS = dict(zip(GRIDS, plots.PALETTE, strict=False))


def law_colour(name: str) -> str:
    """The colour of a law or of a weighting under it."""
    return LAW_COLOURS[name]


@figure(
    "ema-loss",
    "Loss by noise level while training: moving averages in 100 bins at three decays, the "
    "irreducible loss under them",
)
def ema_loss(loss: WatchedLoss | None = None) -> Axes:
    """Draw the loss by log-SNR, and its ratio to the floor with errors.

    Args:
        loss: What ``experiments.tracking.watched_loss`` returned; computed by default.

    Returns:
        The left panel.
    """
    left, right = plots.axes(11.5, 4.4, columns=2)
    loss = watched_loss() if loss is None else loss
    curves = {f"decay {decay:g}": mean for decay, mean in loss.mean.items()}
    curves[EXACT] = loss.floor
    colours = dict(zip(curves, plots.PALETTE, strict=False)) | {EXACT: BLACK}
    plots.lines(
        MIDDLE,
        curves,
        xlabel=plots.LOGSNR,
        ylabel="E‖ε̂ − ε‖², summed over 2 dimensions",
        title="the loss in 100 bins of λ",
        colours=colours.__getitem__,
        ax=left,
    )
    left.set_yscale("log")
    plots.lines(
        MIDDLE,
        {name: curve / loss.floor for name, curve in curves.items()},
        xlabel=plots.LOGSNR,
        ylabel="loss / irreducible loss",
        title="over the floor, ± 1 standard error",
        outside=None,
        colours=colours.__getitem__,
        ax=right,
    )
    for decay, mean in loss.mean.items():
        name = f"decay {decay:g}"
        ratio, error = mean / loss.floor, loss.stderr[decay] / loss.floor
        right.fill_between(
            MIDDLE,
            ratio - error,
            ratio + error,
            color=colours[name],
            alpha=0.2,
            lw=0,
            gid=f"{name}:stderr",
        )
    right.set_ylim(0.6, 1.8)
    for ax in (left, right):
        draw_under(ax, EXACT)
    legend(left)
    return left


def _draw_variance(ax: Axes) -> dict[str, Line2D]:
    """E[Y²] over the least by step; returns lines of laws that do not adapt, with their values."""
    steps, ratios = variance_ratios()
    plots.lines(
        steps,
        ratios,
        xlabel="step",
        ylabel="E Y² / least E Y²",
        title="noise of the loss's value",
        outside=None,
        colours=law_colour,
        ax=ax,
    )
    draw_under(ax, "minimum variance")
    ax.set_ylim(0.95, 2.6)
    return {f"{name}: {ratios[name][0]:.3f}": line_of(ax, name) for name in STILL}


@figure(
    "adaptive-schedules",
    "Densities that five adaptive rules learn, what they save in variance, and EDM2's "
    "log-variance, which changes the weighting",
)
def adaptive_schedules(rules: Iterable[str] = tuple(RULES)) -> Axes:
    """Draw learned densities, their variance and their weightings.

    Args:
        rules: Names of ``experiments.tracking.RULES`` whose densities are drawn.

    Returns:
        The left panel.

    Raises:
        ValueError: A rule is unknown.
    """
    left, middle, right = plots.axes(14, 4.2, columns=3, legend=2.2)
    densities = {name: adapted(name)[0][-1] for name in rules}
    densities["least variance"] = least_variance_density()
    plots.lines(
        MIDDLE,
        densities,
        xlabel=plots.LOGSNR,
        ylabel="density p(λ) per nat",
        title="learned densities",
        outside=None,
        colours=law_colour,
        ax=left,
    )
    entries: dict[str, Line2D] = {name: line_of(left, name) for name in densities}
    entries |= _draw_variance(middle)
    scale = "log10, anchored"
    plots.lines(
        MIDDLE,
        {name: plots.scaled(w, MIDDLE, scale) for name, w in adapted_weightings().items()},
        xlabel=plots.LOGSNR,
        ylabel=plots.SCALES[scale][1].format("ε", 0),
        title="the weighting: kept, and changed",
        outside=None,
        colours=law_colour,
        ax=right,
    )
    draw_under(right, "flow matching")
    entries["flow matching's w"] = line_of(right, "flow matching")
    entries["EDM2 log-variance"] = line_of(right, "EDM2 log-variance")
    place = {"loc": "upper left", "bbox_to_anchor": (1.02, 1.0), "borderaxespad": 0}
    legend(right, entries.values(), labels=list(entries), handlelength=2.5, **place)
    return left


@figure(
    "density-or-grid",
    "One weighting trained under two densities of log-SNR, both sampled on three grids: the grid "
    "sets the quality, not the training's density",
)
def train_sample_schedules(trained: DensityOrGrid | None = None) -> Axes:
    """Draw distances by steps, and samples on two grids over true points.

    Args:
        trained: What ``experiments.tracking.density_or_grid`` returned; computed by default.

    Returns:
        The first panel.
    """
    distances, *clouds = plots.axes(12.5, 4.4, columns=3)
    trained = density_or_grid() if trained is None else trained
    curves, colours = {}, {"truth": NEUTRAL}
    for (place, training), values in trained.distances.items():
        name = f"{place} grid, trained with {training}"
        curves[name] = values
        colours[name] = GRID_COLOURS[place]
    plots.lines(
        STEPS,
        {**curves, "truth": [1.0] * len(STEPS)},
        xlabel="steps of DDIM",
        ylabel="sliced W₂ to the truth, in floors",
        title="two trainings, three grids",
        outside=None,
        colours=colours.__getitem__,
        ax=distances,
    )
    for line in distances.lines:
        uniform = str(line.get_gid()).endswith("trained with uniform λ")
        line.set(linestyle="--" if uniform else "-", marker="o", markersize=4)
    line_of(distances, "truth").set_marker("")
    distances.set(yscale="log", ylim=(0.8, 60))
    _explain_lines(distances)
    for ax, place in zip(clouds, ("cosine", "uniform λ"), strict=True):
        ax.plot(*trained.truth.T, ".", ms=2, color="0.8", gid="truth")
        samples = trained.samples[place]
        ax.plot(*samples.T, ".", ms=2, color=GRID_COLOURS[place], gid="samples")
        ax.set(title=f"uniform-λ network, {place} grid", xlim=(-1.7, 2.7))
        ax.set_aspect("equal", adjustable="datalim")
    return distances


def _explain_lines(ax: Axes) -> None:
    """A legend that says what colours and dashes mean, in the place of one entry for each line."""
    entries = {f"{place} grid": Line2D([], [], color=GRID_COLOURS[place], lw=2) for place in GRIDS}
    entries["trained with uniform t"] = Line2D([], [], color="black", marker="o", ms=4)
    entries["trained with uniform λ"] = Line2D([], [], color="black", marker="o", ms=4, ls="--")
    entries["true points"] = line_of(ax, "truth")
    packed = {"fontsize": 8, "handlelength": 2, "columnspacing": 1, "ncols": 2}
    legend(ax, entries.values(), labels=list(entries), loc="upper right", **packed)


def _draw_gains(ax: Axes, gains: Mapping[str, Sequence[float]], title: str) -> None:
    """Bars from 1, where nothing is gained: a group for each objective, a bar for each column."""
    rows = np.arange(len(gains))[::-1]
    height = 0.8 / len(GAINS)
    for place, (column, name) in enumerate(GAINS.items()):
        values = np.array([row[column] for row in gains.values()])
        at = rows + (1 - place) * height
        colour = GAIN_COLOURS[place]
        ax.barh(at, values - 1, height, left=1, color=colour, label=name, gid=name)
        for level, value in zip(at, values, strict=True):
            side = "left" if value >= 1 else "right"  # beyond the end of the bar
            ax.annotate(f" {value:.3g} ", (value, level), va="center", ha=side, fontsize=9)
    ax.axvline(1, color="black", lw=1)
    ax.set(xscale="log", xlim=(0.25, 2000), title=title)
    ax.set(xlabel="times less variance than under its own density")
    ax.set_yticks(rows, list(gains))
    ax.set_xticks([1, 10, 100, 1000], ["1", "10", "100", "1000"])
    ax.minorticks_off()
    ax.grid(False, axis="y")


@figure(
    "variance-gains",
    "What the density that is best for the value of a loss saves: in the value, with stratified "
    "draws, and in the gradient",
)
def variance_gains_figure(
    by_data: Mapping[str, Mapping[str, Sequence[float]]] | None = None,
) -> Axes:
    """Draw how many times less variance an adapted density has, a panel for each data set.

    Args:
        by_data: Data set to objective to ``learning.variance.gains`` of value and gradient, as
            ``experiments.tracking.variance_gains`` returns them; computed by default.

    Returns:
        The left panel.

    Raises:
        ValueError: There is no data set.
    """
    by_data = variance_gains() if by_data is None else by_data
    panels = plots.axes(11.5, 4.6, columns=len(by_data))
    for ax, (name, gains) in zip(panels, by_data.items(), strict=True):
        _draw_gains(ax, gains, name)
    legend(panels[0], loc="lower right")
    panels[0].figure.subplots_adjust(left=0.11, wspace=0.3)
    return panels[0]
