"""Figures of the loss of a training by log-SNR, laws that adapt to it, and samples."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MultipleLocator

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
from diffviz.lab.figures.style import NEUTRAL, UNIFORM, draw_under, legend, line_of

EXACT = "exact denoiser"
BLACK = "#222222"  # nearly, since black is the ELBO's colour
LAW_COLOURS = dict(zip(RULES, plots.PALETTE, strict=False)) | {
    "least variance": BLACK,
    "FM, uniform t": NEUTRAL,
    "cosine": NEUTRAL,
    "flow matching": NEUTRAL,
    "EDM2 log-variance": plots.PALETTE[8],
}
GAINS = {  # column of ``learning.variance.gains``, in the words of the picture
    0: "value, one draw",
    2: "value, stratified draws",
    3: "gradient",
}
GAIN_COLOURS = ("#333333", "#888888", plots.PALETTE[4])
# A grid has the colour of the objective that draws from its density.
GRID_COLOURS = {
    "cosine": plots.colour("iddpm-cosine"),
    "log-normal σ (EDM)": plots.colour("edm"),
    "uniform λ": UNIFORM,
}
SHORT_GRIDS = {place: place for place in GRIDS} | {"log-normal σ (EDM)": "EDM"}
SMOOTH = ("Kingma–Gao", "minimum variance", "VDM")  # rules whose densities are no zigzag


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
        title="over the floor, with ± 1 standard error",
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
        ax.xaxis.set_major_locator(MultipleLocator(5))
    legend(left)
    return left


def _draw_densities(ax: Axes, names: Sequence[str], title: str) -> None:
    """Densities that rules have learned, beside the one of least variance."""
    densities = {name: adapted(name)[0][-1] for name in names}
    densities["least variance"] = least_variance_density()
    plots.lines(
        MIDDLE,
        densities,
        xlabel=plots.LOGSNR,
        ylabel="density p(λ) per nat",
        title=title,
        outside=None,
        colours=law_colour,
        ax=ax,
    )
    if "minimum variance" in names:
        draw_under(ax, "minimum variance")  # the others run over it
    ax.set_ylim(-0.01, 0.42)  # room for the legend
    legend(ax, [line_of(ax, name) for name in densities], loc="upper right", handlelength=2.5)


def _draw_variance(ax: Axes) -> None:
    """E[Y²] over the least by step, with those of laws that do not adapt in the legend."""
    steps, ratios = variance_ratios()
    plots.lines(
        steps,
        ratios,
        xlabel="step",
        ylabel="E Y² / least E Y²",
        title="minimum variance is the least noisy",
        outside=None,
        colours=law_colour,
        ax=ax,
    )
    draw_under(ax, "minimum variance")
    ax.set_ylim(0.95, 2.75)
    labels = {name: f"{name}: {ratios[name][0]:.3f}" for name in STILL}
    names = [labels.get(name, name) for name in ratios]
    place = {"loc": "upper right", "fontsize": 8, "handlelength": 2.5}
    legend(ax, [line_of(ax, name) for name in ratios], labels=names, **place)


def _draw_weightings(ax: Axes) -> None:
    """The weighting that was asked, and what two rules make of it."""
    scale = "log10, anchored"
    weightings = adapted_weightings()
    plots.lines(
        MIDDLE,
        {name: plots.scaled(w, MIDDLE, scale) for name, w in weightings.items()},
        xlabel=plots.LOGSNR,
        ylabel=plots.SCALES[scale][1].format("ε", 0),
        title="EDM2's rule changes the weighting",
        outside=None,
        colours=law_colour,
        ax=ax,
    )
    draw_under(ax, "flow matching")
    labels = [
        "flow matching's w, as asked" if one == "flow matching" else one for one in weightings
    ]
    lines = [line_of(ax, name) for name in weightings]
    legend(ax, lines, labels=labels, loc="lower left", handlelength=2.5)


@figure(
    "adaptive-schedules",
    "Densities that five adaptive rules learn, what they save in variance, and EDM2's "
    "log-variance, which changes the weighting",
)
def adaptive_schedules(rules: Iterable[str] = tuple(RULES)) -> Axes:
    """Draw learned densities, their variance and their weightings.

    Args:
        rules: Names of ``experiments.tracking.RULES`` whose densities are drawn, the smooth ones in
            the first panel and the others in the second.

    Returns:
        The first of four panels.

    Raises:
        ValueError: A rule is unknown.
    """
    first, second, third, fourth = plots.axes(9.8, 7.6, columns=2, rows=2)
    names = list(rules)
    smooth = [name for name in names if name in SMOOTH]
    others = [name for name in names if name not in SMOOTH]
    _draw_densities(first, smooth, "learned densities near the best one")
    _draw_densities(second, others, "learned densities farther from it")
    _draw_variance(third)
    _draw_weightings(fourth)
    for ax in (first, second, fourth):
        ax.xaxis.set_major_locator(MultipleLocator(5))
    return first


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
    distances, *clouds = plots.axes(11, 3.6, columns=3)
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
        ylabel="distance to the truth, in floors",
        title="the grid counts for more",
        outside=None,
        colours=colours.__getitem__,
        ax=distances,
    )
    for line in distances.lines:
        uniform = str(line.get_gid()).endswith("trained with uniform λ")
        line.set(linestyle="--" if uniform else "-", marker="o", markersize=4)
    line_of(distances, "truth").set_marker("")
    distances.set(xscale="log", yscale="log", ylim=(0.8, 32), xlim=(3.4, 140))
    distances.set_xticks(STEPS, map(str, STEPS))
    distances.set_yticks([1, 2, 5, 10, 20], ["1", "2", "5", "10", "20"])
    distances.minorticks_off()
    _name_lines(distances, trained)
    for ax, place in zip(clouds, ("cosine", "uniform λ"), strict=True):
        ax.plot(*trained.truth.T, ".", ms=2.5, color="0.8", gid="truth")
        samples = trained.samples[place]
        ax.plot(*samples.T, ".", ms=2.5, color=GRID_COLOURS[place], gid="samples")
        ax.set(title=f"8 steps on the {place} grid", xlim=(-1.5, 2.5), ylim=(-1.4, 1.8))
        ax.set_aspect("equal", anchor="N")
    return distances


def _name_lines(ax: Axes, trained: DensityOrGrid) -> None:
    """Name each grid at the end of its two lines; a legend says what the dashes mean."""
    for place in GRIDS:
        ends = [values[-1] for (grid, _), values in trained.distances.items() if grid == place]
        at = (1.12 * STEPS[-1], float(np.exp(np.mean(np.log(ends)))))
        ax.annotate(f"{SHORT_GRIDS[place]} grid", at, va="center", color=GRID_COLOURS[place])
    ax.annotate("true points", (1.12 * STEPS[-1], 1.0), va="center", color=NEUTRAL)
    entries = {
        "trained with uniform t": Line2D([], [], color="0.3", marker="o", ms=4),
        "trained with uniform λ": Line2D([], [], color="0.3", marker="o", ms=4, ls="--"),
    }
    legend(ax, entries.values(), labels=list(entries), loc="upper right", handlelength=3)


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
            ax.annotate(
                f" {value:.0f} " if value >= 10 else f" {value:.2f} ",
                (value, level),
                va="center",
                ha=side,
                fontsize=9,
            )
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
