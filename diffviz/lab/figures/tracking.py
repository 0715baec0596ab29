"""Figures of the loss of a training by log-SNR, laws that adapt to it, and samples."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MultipleLocator, NullFormatter
from numpy.typing import NDArray

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
from diffviz.lab.figures.style import NEUTRAL, SHORT_LOGSNR, label_ends, legend, line_of
from diffviz.plots.style import BEST, FOCUS, UNIFORM

EXACT = "exact denoiser"
REMEMBERED, FINISHED = "remembered ± its error", "the finished network"
MEMORIES = {0.9: "noisy", 0.99: "in between", 0.999: "smooth and late"}  # by decay
OF_OBJECTIVES = {  # densities that are no rule's
    "FM, uniform t": plots.colour("fm-ot"),
    "cosine": plots.colour("iddpm-cosine"),
}
GAINS = {  # column of ``learning.variance.gains``, in the words of the picture
    0: "value, one draw",
    2: "value, stratified draws",
    3: "gradient",
}
LOSS_NAMES = {  # of objectives, as the text calls them
    "iddpm-cosine": "ε-cosine",
    "elbo": "ELBO",
    "sigmoid-bias2": "sigmoid",
    "fm-ot": "flow matching",
    "sd3": "SD3",
}
GAIN_COLOURS = ("#333333", "#888888", plots.PALETTE[4])
# A grid has the colour of the objective that draws from its density.
GRID_COLOURS = {
    "cosine": plots.colour("iddpm-cosine"),
    "log-normal σ (EDM)": plots.colour("edm"),
    "uniform λ": UNIFORM,
}
TRUE = "true points"
SAME_END = ("minimum variance", "VDM")  # rules that end at one density
SHORT_GRIDS = {"cosine": "cosine", "log-normal σ (EDM)": "EDM", "uniform λ": "uniform-λ"}


def law_colour(name: str) -> str:
    """The colour of a law."""
    return OF_OBJECTIVES.get(name, FOCUS)


@figure(
    "ema-loss",
    "Loss by noise level while training, over the irreducible loss: moving averages in 100 bins at "
    "three decays",
)
def ema_loss(loss: WatchedLoss | None = None) -> Axes:
    """Draw the ratio of loss and floor by log-SNR with its error, a panel for each decay.

    Args:
        loss: What ``experiments.tracking.watched_loss`` returned; computed by default.

    Returns:
        The left panel.
    """
    loss = watched_loss() if loss is None else loss
    panels = plots.axes(11.5, 3.7, columns=len(loss.mean))
    for ax, (decay, mean) in zip(panels, loss.mean.items(), strict=True):
        name = f"decay {decay:g}"
        ratio, error = mean / loss.floor, loss.stderr[decay] / loss.floor
        plots.lines(
            MIDDLE,
            {name: ratio},
            xlabel=SHORT_LOGSNR,
            ylabel="loss / loss of the exact denoiser",
            title=f"{name}: {MEMORIES.get(decay, 'another memory')}",
            outside=None,
            colours=lambda _: FOCUS,
            ax=ax,
        )
        low, high = ratio - error, ratio + error
        ax.fill_between(MIDDLE, low, high, color=FOCUS, alpha=0.2, lw=0, gid=f"{name}:stderr")
        finished = loss.measured / loss.floor
        ax.plot(MIDDLE, finished, color=BEST, lw=1.6, label=FINISHED, gid=FINISHED)
        ax.axhline(1, color=NEUTRAL, lw=1, zorder=1, gid=EXACT)
        ax.set_ylim(0.6, 1.6)
        ax.xaxis.set_major_locator(MultipleLocator(5))
    share_scale(panels)
    left = panels[0]
    handles = [line_of(left, f"decay {next(iter(loss.mean)):g}"), line_of(left, FINISHED)]
    legend(left, handles, labels=[REMEMBERED, FINISHED], loc="upper left")
    return left


def share_scale(panels: Sequence[Axes]) -> None:
    """Leave the vertical axis of panels with one scale to the first of them."""
    for ax in panels[1:]:
        ax.set_ylabel("")
        ax.yaxis.set_major_formatter(NullFormatter())
    panels[0].figure.subplots_adjust(wspace=0.08)


def settled_ratio(ratios: NDArray) -> float:
    """The median over the second half of the steps, in which a law that adapts has settled."""
    return float(np.median(ratios[len(ratios) // 2 :]))


def _draw_rule(ax: Axes, densities: Mapping[str, NDArray], ratio: float) -> None:
    """Densities over the one of least variance, a grey area, and what the first one costs."""
    best = least_variance_density()
    ax.fill_between(MIDDLE, 0, best, color="0.8", lw=0, zorder=1, gid="least variance")
    plots.lines(
        MIDDLE,
        densities,
        xlabel="",
        ylabel="",
        title=", ".join(densities),
        outside=None,
        colours=law_colour,
        ax=ax,
    )
    for other in list(densities)[1:]:
        line_of(ax, other).set(ls=plots.DASHES[2], color=BEST)
    ax.annotate(f"{ratio:.2f} ×", (0.97, 0.86), xycoords="axes fraction", ha="right", fontsize=12)
    ax.set_ylim(0, 0.34)


def _by_panel(names: Iterable[str]) -> list[list[str]]:
    """The densities of each panel: one, or those that end alike."""
    apart = list(names)
    if not {*SAME_END} <= {*apart}:
        return [[name] for name in apart]
    first, *others = SAME_END
    return [[*SAME_END] if name == first else [name] for name in apart if name not in others]


def _arrange(panels: Sequence[Axes], still: int, columns: int) -> list[Axes]:
    """The panels in use: those of the densities that learn nothing first, rules in the next row."""
    first, second = panels[:columns], panels[columns:]
    return [*first[:still], *second]


def _label_panels(panels: Sequence[Axes], columns: int) -> None:
    """Labels at the left and in the lower row only."""
    for place, ax in enumerate(panels):
        is_left = place % columns == 0
        ax.xaxis.set_major_locator(MultipleLocator(5))
        if place >= columns:
            ax.set_xlabel(SHORT_LOGSNR)
        ax.set_ylabel("density per nat" if is_left else "")
        if not is_left:
            ax.yaxis.set_major_formatter(NullFormatter())


def _explain_rules(ax: Axes, *, has_both: bool) -> None:
    """Say in the place of an empty panel what the areas, lines (both, if two) and numbers are."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    place = ax.get_position()
    entries: dict[str, Artist] = {
        "the best density": Patch(color="0.8", lw=0),
        "what a rule learnt": Line2D([], [], color=FOCUS, lw=2),
    }
    if has_both:
        entries[SAME_END[1]] = Line2D([], [], color=BEST, lw=2, ls=plots.DASHES[2])
    handles, labels = list(entries.values()), list(entries)
    corner = {"bbox_to_anchor": (place.x0, place.y1), "borderaxespad": 0}
    figure.legend(handles, labels, loc="upper left", frameon=False, fontsize=11, **corner)
    words = "the number: E Y² over\nits least value"
    figure.text(place.x0 + 0.01, place.y0 + 0.3 * place.height, words, fontsize=11)


@figure(
    "adaptive-schedules",
    "Densities that learn nothing and densities that rules learn, over the best one, with their "
    "mean square",
)
def adaptive_schedules(rules: Iterable[str] = tuple(RULES)) -> Axes:
    """Draw one density a panel over the one of least variance: above what learns nothing.

    The number in a panel is E Y² over the least, the median over the second half of the steps. VDM
    ends where minimum variance does, and shares its panel.

    Args:
        rules: Names of ``experiments.tracking.RULES`` that are shown, in the lower row.

    Returns:
        The first panel.

    Raises:
        ValueError: A rule is unknown.
    """
    _, ratios = variance_ratios()
    still = {name: law.pdf(MIDDLE) for name, law in STILL.items()}
    learnt = {name: adapted(name)[0][-1] for name in rules}
    densities = still | learnt
    below = _by_panel(learnt)
    columns = max(len(still) + 1, len(below))
    panels = plots.axes(2.95 * columns, 5.4, columns=columns, rows=2)
    shown = [*([name] for name in still), *below]
    for ax, names in zip(_arrange(panels, len(still), columns), shown, strict=False):
        _draw_rule(ax, {name: densities[name] for name in names}, settled_ratio(ratios[names[0]]))
    _label_panels(panels, columns)
    panels[0].figure.subplots_adjust(wspace=0.12, hspace=0.32)
    _explain_rules(panels[len(still)], has_both=[*SAME_END] in below)
    for ax in (*panels[len(still) : columns], *panels[columns + len(below) :]):
        ax.remove()
    return panels[0]


@figure(
    "edm2-weighting",
    "EDM2's log-variance is no rule for a density: the weighting that was asked, and the one that "
    "it trains",
)
def edm2_weighting() -> Axes:
    """Draw flow matching's weighting, and what EDM2's rule makes of it on the ring of eight.

    Returns:
        The Axes. The lines have the ``gid`` "flow matching" and "EDM2 log-variance".
    """
    weightings = adapted_weightings()
    names = {"flow matching": "asked: flow matching", "EDM2 log-variance": "trained by EDM2's rule"}
    ax = plots.lines(
        MIDDLE,
        {name: plots.scaled(weightings[name], MIDDLE, "log10, anchored") for name in names},
        xlabel=plots.LOGSNR,
        ylabel="log₁₀ w, 0 at λ = 0",
        title="EDM2's rule changes the weighting",
        outside=None,
        colours={
            "flow matching": plots.colour("fm-ot"),
            "EDM2 log-variance": FOCUS,
        }.__getitem__,
    )
    legend(ax, [line_of(ax, name) for name in names], labels=[*names.values()], loc="upper right")
    ax.xaxis.set_major_locator(MultipleLocator(5))
    return ax


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
        ylabel="distance to the truth, × truth",
        title="with more steps all come nearer",
        outside=None,
        colours=colours.__getitem__,
        ax=distances,
    )
    for line in distances.lines:
        uniform = str(line.get_gid()).endswith("trained with uniform λ")
        line.set(linestyle="--" if uniform else "-", marker="o", markersize=4)
    line_of(distances, "truth").set_marker("")
    distances.set(xscale="log", yscale="log", ylim=(0.8, 32), xlim=(0.62, 40))
    distances.set_xticks(STEPS, map(str, STEPS))
    distances.set_yticks([1, 2, 5, 10, 20], ["1", "2", "5", "10", "20"])
    distances.minorticks_off()
    _name_lines(distances, trained)
    distances.figure.subplots_adjust(top=0.84)  # for titles of two lines
    for ax, place in zip(clouds, ("cosine", "uniform λ"), strict=True):
        ax.plot(*trained.truth.T, ".", ms=2.5, color="0.8", gid="truth")
        samples = trained.samples[place]
        ax.plot(*samples.T, ".", ms=2.5, color=GRID_COLOURS[place], gid="samples")
        ax.set(
            title=f"{SHORT_GRIDS[place]} grid, 8 steps,\ntrained with uniform λ",
            xlim=(-1.5, 2.5),
            ylim=(-1.4, 1.8),
        )
        ax.set(xlabel="x₁", ylabel="x₂")
        ax.set_aspect("equal", anchor="N")
    return distances


def _name_lines(ax: Axes, trained: DensityOrGrid) -> None:
    """Name each grid where its two lines begin; a legend says what the dashes mean."""
    logs: dict[str, list[float]] = {place: [] for place in GRIDS}
    for (place, _), errors in trained.distances.items():
        logs[place].append(float(np.log(errors[0])))
    heights = {place: float(np.exp(np.mean(starts))) for place, starts in logs.items()}
    heights |= {TRUE: 1.0}
    label_ends(
        ax,
        {name: (STEPS[0], height) for name, height in heights.items()},
        {**GRID_COLOURS, TRUE: NEUTRAL}.__getitem__,
        labels={place: f"{SHORT_GRIDS[place]} grid" for place in GRIDS},
        side="left",
        size=10,
    )
    entries = {
        "trained with uniform t": Line2D([], [], color="0.3", marker="o", ms=4),
        "trained with uniform λ": Line2D([], [], color="0.3", marker="o", ms=4, ls="--"),
    }
    corner = {"loc": "lower left", "bbox_to_anchor": (0, 0.11)}
    legend(ax, entries.values(), labels=list(entries), handlelength=3, **corner)


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
    ax.set_yticks(rows, [LOSS_NAMES.get(name, name) for name in gains])
    ax.set_xticks([1, 10, 100, 1000], ["1", "10", "100", "1000"])
    ax.minorticks_off()
    ax.grid(False, axis="y")
    ax.set_axisbelow(True)


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
