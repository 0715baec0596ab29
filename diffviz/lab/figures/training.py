"""Figures of what each of several weightings buys a small network, and where."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Patch
from matplotlib.ticker import NullFormatter
from numpy.typing import ArrayLike, NDArray
from scipy.stats import spearmanr

from diffviz import plots
from diffviz.checks import array, number, require
from diffviz.lab.experiments.training import (
    GRID,
    LARGE,
    NAMES,
    SMALL,
    Control,
    Interval,
    Quality,
    chosen,
    control,
    excesses,
    held,
    interval,
    sample_quality,
    shares_astray,
    truth,
    weighted_excess,
)
from diffviz.lab.experiments.weighting import DRAWN as BY_HAND
from diffviz.lab.figures.registry import figure
from diffviz.lab.figures.style import (
    NEUTRAL,
    SHORT_LOGSNR,
    TRUTH,
    draw_under,
    headline,
    label_ends,
    last_points,
    line_of,
    minus,
    name_curve,
    named_lines,
    put_under,
    put_under_first,
    set_gaps,
)
from diffviz.learning.floors.record import Floor
from diffviz.plots.style import DRAWN

if TYPE_CHECKING:
    from diffviz.data.densities import Mixture

EXCESS = "log₁₀ excess ε error,  E‖ε̂ − ε̂*‖²"
LOGGED = "0.45"  # what a log shows
KINDS = (  # which draws of λ: their name, the shift of their dots, their face
    ("own density", -0.16, ""),
    ("equal draws", 0.16, "white"),
)
ANCHOR = 4.0  # λ in nats where all five networks lose most
HIGHEST = 1.7  # of a loss over its floor that is drawn
SAMPLE_SIZE = 2.6  # points, of a dot
SEED_MARKS, SEED_STEP = "osD^v", 0.18  # the mark of each seed; nats between objectives
REACH, SAMPLES_REACH = 4.5, 2.3  # of a panel of samples, from its middle
LEAVING = {"sd3": 8.8, "edm": 11.6}  # whose weighting leaves the frame: the λ where it is named
LEFT_DECADES, LEFT_GAP = (-5.0, 0.3), 0.9  # of weight times excess; inches between its panels
STEEP = {"sd3": (7.6, (6, 6)), "edm": (11.9, (6, 6))}  # named beside their lines: λ, points away
ASTRAY = 4.0  # standard deviations from a mode beyond which a sample is astray
LEAST_WIDE = 10.4  # inches of the figure of few widths
NAMED, BESIDE = 1.95, 0.2  # inches between panels, with names and an axis or with neither
FACES = {SMALL: "", LARGE: "white"}  # of dots, by the width of the network


def over_floor(
    logged: Mapping[str, tuple[ArrayLike, ArrayLike]],
    excess: Mapping[str, ArrayLike],
    floor: ArrayLike,
    strip: plots.Strip | None = None,
    *,
    title: str = "the loss over its floor, as it was logged and as it is",
) -> Axes:
    """Draw what a log shows over the floor beside what the networks really have, a panel each.

    Args:
        logged: Name of an objective to its logged loss on ``GRID`` and the standard error of that,
            shape (45,) each; NaN where nothing was drawn.
        excess: Name to the excess, shape (45,).
        floor: Error of the exact denoiser, shape (45,).
        strip: One example at several noise levels, drawn under the axes.
        title: What is seen, in a line above the panels.

    Returns:
        The first panel.

    Raises:
        ValueError: There are no objectives, or an objective has no excess.
    """
    require(len(logged) > 0, "logged is empty: give at least one objective")
    missing = [name for name in logged if name not in excess]
    require(not missing, f"excess has no values for {', '.join(missing)}")
    least = array(floor, "floor")
    panels = plots.axes(2.6 * len(logged), 3.7, columns=len(logged))
    headline(panels[0], title)
    for ax, (name, (mean, stderr)) in zip(panels, logged.items(), strict=True):
        _draw_over_floor(ax, np.divide(mean, least), np.divide(stderr, least))
        exact = 1 + np.divide(excess[name], least)
        ax.plot(GRID, exact, color=plots.colour(name), lw=2.2, gid=name)
        ax.set_title(name)
        ax.set(ylim=(0.6, HIGHEST), xlabel="λ   [noise ← → data]")
    panels[0].set_ylabel("loss / loss of the exact denoiser")
    put_under(panels, strip)
    _explain_panels(panels[0], logged)
    return panels[0]


def _explain_panels(ax: Axes, names: Iterable[str]) -> None:
    """Say under the panels what is grey and what has the colours of these objectives."""
    entries: dict[str, Artist | tuple[Artist, ...]] = {
        "logged in training": Line2D([], [], color=LOGGED, lw=1.2),
        "± two standard errors": Patch(color=LOGGED, alpha=0.35, lw=0),
    }
    drawn = [Line2D([], [], color=plots.colour(name), lw=2.2) for name in names]
    entries["measured afterwards, in the objective's colour"] = tuple(drawn)
    _legend_under(ax, entries, ncols=3)


def _legend_under(ax: Axes, entries: Mapping[str, Artist | tuple[Artist, ...]], ncols: int) -> None:
    """A legend in a line of its own at the foot of the figure; several artists stand in a row."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    height = figure.get_figheight()
    figure.subplots_adjust(bottom=figure.subplotpars.bottom + 0.3 / height)
    handles: list[Any] = list(entries.values())
    figure.legend(
        handles,
        list(entries),
        loc="lower center",
        ncols=ncols,
        frameon=False,
        fontsize=9,
        handler_map={tuple: HandlerTuple(ndivide=None)},
    )


def _draw_over_floor(ax: Axes, mean: NDArray, stderr: NDArray) -> None:
    """A logged loss over the floor with twice its standard error, in grey, and the floor."""
    ax.axhline(1, color=NEUTRAL, lw=0.8)
    low, high = mean - 2 * stderr, mean + 2 * stderr
    ax.fill_between(GRID, low, high, color=LOGGED, alpha=0.35, lw=0, gid="stderr")
    ax.plot(GRID, mean, color=LOGGED, lw=1.2, gid="logged")


def excess_by_level(logs: Mapping[str, ArrayLike], strip: plots.Strip | None = None) -> Axes:
    """Draw what training can still win over log-SNR, each curve named at its end.

    Args:
        logs: Name of an objective to log10 of its excess on ``GRID``, shape (45,).
        strip: One example at several noise levels, drawn under the axis.

    Returns:
        The Axes.
    """
    (ax,) = plots.axes(8.2, 4.2, legend=1.1)
    plots.lines(
        GRID,
        logs,
        xlabel=plots.LOGSNR,
        ylabel=EXCESS,
        title="the excess, by noise level",
        outside=None,
        colours=plots.colour,
        ax=ax,
    )
    for line in ax.lines:
        line.set_linestyle("-")  # their names stand at their ends
    label_ends(ax, last_points(ax), plots.colour, size=10)
    put_under([ax], strip)
    return ax


def _draw_excess(ax: Axes, width: int, spread: Mapping[str, NDArray]) -> None:
    """log10 of the excess of networks of that width: means over seeds, with their range."""
    plots.lines(
        GRID,
        {name: logs.mean(0) for name, logs in spread.items()},
        xlabel=SHORT_LOGSNR,
        ylabel=EXCESS,
        title=f"what it buys: width {width}",
        outside=None,
        colours=plots.colour,
        ax=ax,
    )
    for name, logs in spread.items():
        ax.fill_between(
            GRID,
            logs.min(0),
            logs.max(0),
            color=plots.colour(name),
            alpha=0.15,
            lw=0,
            gid=f"{name}:seeds",
        )
    ax.set_ylim(-6.5, 0.5)
    for line in ax.lines:
        line.set_linestyle("-")


@figure(
    "capacity",
    "The same small network under five weightings: excess error over the exact denoiser, three "
    "seeds, two widths",
)
def capacity(
    spread: Mapping[int, Mapping[str, NDArray]] | None = None, strip: plots.Strip | None = None
) -> Axes:
    """Draw weightings, and the excess at several widths.

    Args:
        spread: By width, what ``experiments.training.excesses`` returned; widths 8 and 64 by
            default.
        strip: One example at several noise levels, drawn under the axes.

    Returns:
        The left panel.
    """
    spread = {width: excesses(width) for width in (SMALL, LARGE)} if spread is None else spread
    columns = 1 + len(spread)
    left, *others = plots.axes(max(4.1 * columns, LEAST_WIDE), 4.4, columns=columns, legend=1.1)
    weightings = dict(zip(NAMES, chosen(), strict=True))
    title = "what each weights, beside λ = 4"
    plots.weighting_curves(GRID, weightings, anchor=ANCHOR, outside=None, title=title, ax=left)
    left.set(ylim=(-5, 5), xlabel=SHORT_LOGSNR)
    draw_under(left, "fm-ot")  # ε-cosine runs along it on the right
    for ax, (width, logs) in zip(others, spread.items(), strict=True):
        _draw_excess(ax, width, logs)
    _share_heights(others)
    set_gaps((left, *others), (NAMED, *[BESIDE] * (len(others) - 1)))
    _name_weightings(left)
    label_ends(others[-1], last_points(others[-1]), plots.colour, size=10)
    put_under_first((left, *others), strip)
    for ax in (left, *others):
        _mark_anchor(ax)
    return left


def _name_weightings(ax: Axes) -> None:
    """Name weightings at their ends, and those that leave the frame before beside their lines."""
    ends = last_points(ax)
    for name, place in LEAVING.items():
        name_curve(ax, name, place, (8, 0), ha="left")
    rest = {name: end for name, end in ends.items() if name not in LEAVING}
    label_ends(ax, rest, plots.colour, size=10)


def left_to_win(
    spread: Mapping[str, NDArray] | None = None, strip: plots.Strip | None = None
) -> Axes:
    """Draw weight times excess by noise level: as shares of the whole, and as logarithms.

    Args:
        spread: What ``experiments.training.excesses`` returned for one width; 8 by default.
        strip: One example at several noise levels, drawn under the axes.

    Returns:
        The left panel.
    """
    spread = excesses(SMALL) if spread is None else spread
    shares = weighted_excess({name: logs.mean(0) for name, logs in spread.items()})
    peaks = {name: np.log10(share / share.max()) for name, share in shares.items()}
    left, right = plots.axes(LEAST_WIDE, 4.2, columns=2, legend=1.1)
    titles = {left: "what is left to win lies in the middle", right: "the same, on a log scale"}
    labels = {left: "weight × excess, share per nat", right: "log₁₀ of it, 0 at its largest"}
    for ax, curves in ((left, shares), (right, peaks)):
        plots.lines(
            GRID,
            curves,
            xlabel=SHORT_LOGSNR,
            ylabel=labels[ax],
            title=titles[ax],
            outside=None,
            colours=plots.colour,
            ax=ax,
        )
        for line in ax.lines:
            line.set_linestyle("-")
    left.set_ylim(0, None)
    right.set_ylim(*LEFT_DECADES)
    set_gaps((left, right), (LEFT_GAP,))
    rest = {name: end for name, end in last_points(right).items() if name not in STEEP}
    label_ends(right, rest, plots.colour, size=10)
    name_curve(left, "elbo", 6.0, (6, 4), ha="left")
    for name, (level, offset) in STEEP.items():
        name_curve(right, name, level, offset, ha="left")
    put_under_first((left, right), strip)
    _mark_anchor(left, height=0.92)
    _mark_anchor(right)
    return left


def width_gains(
    spread: Mapping[int, Mapping[str, NDArray]] | None = None, strip: plots.Strip | None = None
) -> Axes:
    """Draw how many times less excess the wider network has, at each noise level.

    Shades are the range of the seeds, and lines their geometric means. Marks are single seeds at
    the first level.

    Args:
        spread: By width, what ``experiments.training.excesses`` returned, for two widths; 8 and 64
            by default.
        strip: One example at several noise levels, drawn under the axis.

    Returns:
        The Axes.

    Raises:
        ValueError: There are not two widths.
    """
    spread = {width: excesses(width) for width in (SMALL, LARGE)} if spread is None else spread
    require(len(spread) == 2, f"spread must hold two widths, got {len(spread)}")
    small, large = sorted(spread)
    gains = {name: spread[small][name] - spread[large][name] for name in NAMES}
    (ax,) = plots.axes(8.2, 4.4, legend=1.1)
    plots.lines(
        GRID,
        {name: 10 ** gain.mean(0) for name, gain in gains.items()},
        xlabel=plots.LOGSNR,
        ylabel=f"excess at width {small} / excess at width {large}",
        title="width buys most at λ = 5 to 7",
        outside=None,
        colours=plots.colour,
        ax=ax,
    )
    ax.set_yscale("log")
    ax.set_yticks([0.2, 0.5, 1, 2, 5, 10, 20])
    ax.set_ylim(0.15, 25)
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())
    for line in named_lines(ax):
        line.set_linestyle("-")
    label_ends(ax, last_points(ax), plots.colour, size=10)
    for name, gain in gains.items():
        shade, factors = plots.colour(name), 10**gain
        band: dict[str, Any] = {"color": shade, "alpha": 0.13, "lw": 0, "zorder": 1.5}
        ax.fill_between(GRID, factors.min(0), factors.max(0), gid=f"{name}: seeds", **band)
        _draw_first_seeds(ax, name, factors[:, 0])
    ax.axhline(1, color=NEUTRAL, lw=0.8, zorder=1, gid="no gain")
    words = "shades: range of seeds\ndots: single seeds at λ = −8"
    ax.text(0.98, 0.04, words, transform=ax.transAxes, ha="right", color=NEUTRAL)
    put_under([ax], strip)
    return ax


def _draw_first_seeds(ax: Axes, name: str, factors: NDArray) -> None:
    """Gains of single seeds at the first level of the grid, each seed in a mark of its own."""
    place = GRID[0] + SEED_STEP * NAMES.index(name)
    for seed, (factor, mark) in enumerate(zip(factors, SEED_MARKS, strict=False)):
        style: dict[str, Any] = {"ms": 5, "color": plots.colour(name), "mec": "white", "mew": 0.6}
        ax.plot(place, factor, mark, zorder=4, gid=f"{name}: seed {seed}", **style)


def _share_heights(panels: Sequence[Axes]) -> None:
    """Give panels of a row one vertical scale, and leave its numbers to the first."""
    top = max(ax.get_ylim()[1] for ax in panels)
    low = min(ax.get_ylim()[0] for ax in panels)
    for ax in panels:
        ax.set_ylim(low, top)
    for ax in panels[1:]:
        ax.set_ylabel("")
        ax.yaxis.set_major_formatter(NullFormatter())


def _mark_anchor(ax: Axes, height: float = 0.02) -> None:
    """A thin line at the level at which weightings are compared, with its λ at that height."""
    ax.axvline(ANCHOR, color=NEUTRAL, ls=":", lw=1.2, zorder=1, gid="anchor")
    ax.annotate(
        f"λ = {ANCHOR:g}",
        (ANCHOR, height),
        (4, 0),
        xycoords=ax.get_xaxis_transform(),
        textcoords="offset points",
        color=NEUTRAL,
        fontsize=10,
    )


@figure(
    "equal-draws",
    "The five weightings on a small network with the densities of their papers and with equal "
    "draws: excess at four noise levels, five seeds, 95 % intervals",
)
def equal_draws(
    fair: Control | None = None,
    levels: Sequence[float] = (-6.0, 0.0, 4.0, 10.0),
    beside: str | None = None,
    *,
    title: str = "the excess at a few noise levels, with 95 % intervals",
) -> Axes:
    """Draw the excess at some noise levels, with own densities and with equal draws.

    All panels have axes of one length, so that bars of one length mean one factor.

    Args:
        fair: What ``experiments.training.control`` returned; computed by default.
        levels: λ in nats, a panel each, an even number of them in two columns; the nearest of
            ``GRID`` is drawn.
        beside: Name of an objective whose excess is subtracted, seed by seed.
        title: What is seen, in a line above the panels.

    Returns:
        The first panel.

    Raises:
        TypeError: A level is no number.
        ValueError: A level is not finite, there are none, or there is no such objective.
    """
    fair = control() if fair is None else fair
    columns = 2 if len(levels) % 2 == 0 else len(levels)
    rows = len(levels) // columns
    panels = plots.axes(1.0 + 3.7 * columns, 0.3 + 3.4 * rows, columns=columns, rows=rows)
    headline(panels[0], title)
    nearest = [GRID[abs(GRID - number(level, "a level")).argmin()] for level in levels]
    spreads = _spreads(fair, beside)
    for ax, level in zip(panels, nearest, strict=True):
        for row, (name, kinds) in enumerate(spreads.items()):
            for spread, (kind, shift, face) in zip(kinds, KINDS, strict=True):
                _draw_interval(ax, spread, level, row + shift, name, kind, face)
        ax.set(title=minus(f"λ = {level:g}"), xlabel="log₁₀ excess")
        ax.set(ylim=(len(spreads) - 0.4, -0.6), yticks=range(len(spreads)), yticklabels=[])
        if beside is not None:
            ax.axvline(0, color=NEUTRAL, lw=0.8)
            ax.set_xlabel(f"log₁₀ (excess / that of {beside})")
    _share_span(panels)
    for ax in panels[::columns]:
        ax.set_yticklabels(list(spreads))
    _tell_kinds(panels[-columns])
    return panels[0]


def _spreads(fair: Control, beside: str | None) -> dict[str, tuple[Interval, Interval]]:
    """The intervals with own densities and with equal draws, by objective."""
    if beside is None:
        return {name: (interval(fair.own[name]), interval(fair.even[name])) for name in fair.own}
    others = [name for name in fair.own if name != beside]
    return {name: (fair.gaps(name, beside, even=False), fair.gaps(name, beside)) for name in others}


def _share_span(panels: Sequence[Axes]) -> None:
    """Give all panels a horizontal axis of the length of the longest, about their own middle."""
    ends = np.array([ax.get_xlim() for ax in panels])
    reach = np.ptp(ends, axis=1).max() / 2
    for ax, middle in zip(panels, ends.mean(1), strict=True):
        ax.set_xlim(middle - reach, middle + reach)


def _draw_interval(
    ax: Axes, spread: Interval, level: float, row: float, name: str, kind: str, face: str
) -> None:
    """A dot with its interval in the row of an objective."""
    at = abs(GRID - level).argmin()
    shade = plots.colour(name)
    bar = ax.errorbar(
        spread.mean[at],
        row,
        xerr=spread.half[at],
        fmt="o",
        ms=6,
        color=shade,
        markerfacecolor=face or shade,
        capsize=2.5,
        lw=1.4,
    )
    bar[0].set_gid(f"{name}:{kind}")


def _tell_kinds(ax: Axes) -> None:
    """Say under a panel what a full and an empty dot mean."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.subplots_adjust(left=1.15 / figure.get_figwidth())
    entries = {
        kind: Line2D(
            [], [], marker="o", ls="", ms=6, color=NEUTRAL, markerfacecolor=face or NEUTRAL
        )
        for kind, _, face in KINDS
    }
    _legend_under(ax, entries, ncols=2)


def cloud(
    ax: Axes,
    points: ArrayLike,
    name: str,
    colour: str,
    centre: ArrayLike = (0.0, 0.0),
    size: float = 1.5,
) -> None:
    """Draw points as dots, or move those of the same name.

    Args:
        ax: Axes to draw on.
        points: Points of the plane, shape (n, 2); NaN where nothing is drawn.
        name: Name of the dots, their ``gid``.
        colour: A Matplotlib colour.
        centre: Where the origin of the points goes, shape (2,).
        size: Size of the dots in points.

    Raises:
        ValueError: The points are not in the plane.
    """
    places = np.asarray(points, dtype=float)
    in_plane = places.ndim == 2 and places.shape[1] == 2
    require(in_plane, f"points must have shape (n, 2), got {places.shape}")
    known = {line.get_gid(): line for line in ax.lines}
    if name not in known:
        (known[name],) = ax.plot([], [], ".", ms=size, mew=0, gid=name)
    known[name].set(data=(places + np.asarray(centre)).T, color=colour)


def _square(ax: Axes, reach: float) -> None:
    """A square around the origin without ticks."""
    ends = (-reach, reach)
    ax.set(xlim=ends, ylim=ends, aspect="equal", xticks=[], yticks=[])


def beside(clouds: Mapping[str, NDArray], reach: float = 2.5) -> Axes:
    """Draw point sets beside one another, the first in grey.

    Args:
        clouds: Points of the plane by name, each (n, 2).
        reach: Half of a panel's side.

    Returns:
        The first panel.

    Raises:
        ValueError: There are no sets, or points are not in the plane.
    """
    require(len(clouds) > 0, "clouds is empty: give at least one set of points")
    panels = plots.axes(4 * len(clouds), 4.3, columns=len(clouds))
    panels[0].figure.subplots_adjust(left=0.02, right=0.98, bottom=0.02, top=0.92, wspace=0.05)
    for ax, (name, points) in zip(panels, clouds.items(), strict=True):
        colour = TRUTH if ax is panels[0] else plots.colour(name)
        cloud(ax, points, name, colour, size=3)
        _square(ax, reach)
        ax.set_title(name)
    return panels[0]


def _own_colour(name: str) -> str:
    """The colour of an objective, or of the weighting that is drawn by hand."""
    return DRAWN if name == BY_HAND else plots.colour(name)


def trained_beside(
    logs: Mapping[str, ArrayLike], samples: Mapping[str, ArrayLike], title: str = ""
) -> Axes:
    """Draw the excess of a few networks in one panel, and samples of each in one of its own.

    Args:
        logs: Name of an objective, or "drawn", to log10 of its excess on ``GRID``, shape (45,).
        samples: The same names to samples of the ring, shape (n, 2) each.
        title: Title of the excess; what it shows by default.

    Returns:
        The panel of the excess.

    Raises:
        ValueError: There are no samples, or they are not in the plane.
    """
    require(len(samples) > 0, "samples is empty: give those of at least one network")
    left, *others = plots.axes(4 + 3.1 * len(samples), 3.9, columns=1 + len(samples))
    plots.lines(
        GRID,
        logs,
        xlabel=SHORT_LOGSNR,
        ylabel=EXCESS,
        title=title or "the excess, by noise level",
        outside=None,
        colours=_own_colour,
        ax=left,
    )
    for line in left.lines:
        line.set_linestyle("-")  # their names stand at their ends
    left.set_xlim(GRID[0], GRID[-1])
    set_gaps((left, *others), (0.9, *[BESIDE] * (len(others) - 1)))
    label_ends(left, last_points(left), _own_colour, size=10)
    _mark_anchor(left)
    for ax, (name, points) in zip(others, samples.items(), strict=True):
        cloud(ax, points, name, _own_colour(name), size=3)
        _square(ax, REACH)
        _circle_modes(ax)
        places = np.asarray(points)
        beyond = int((np.abs(places).max(1) > REACH).sum())
        words = f"{name}: {len(places)} samples,\n{beyond} of them outside the frame"
        ax.set_title(words, color=_own_colour(name), fontsize=10)
    return left


def _circle_modes(ax: Axes) -> None:
    """Faint circles around the modes of the ring; what lies outside of all is astray."""
    law = cast("Mixture", truth().toy.law)
    stds = np.broadcast_to(law.std.numpy().ravel(), len(law.means))
    for mean, std in zip(law.means.numpy(), stds, strict=True):
        circle = Circle(tuple(mean), ASTRAY * std, fill=False, ec=NEUTRAL, lw=0.8, alpha=0.6)
        circle.set_gid("mode")
        ax.add_patch(circle)


def _spread_of_truth() -> str:
    """How far true points are from other true points, in words."""
    _, floor, distances = held()
    low, high = distances.min() / floor, distances.max() / floor
    return f"two sets of true points: {low:.1f} to {high:.1f} × truth"


@figure(
    "samples",
    "Samples of each run, and circles around the modes of the truth: sliced Wasserstein-2 distance "
    "in multiples of that between two sets of true points",
)
def samples_beside_truth(qualities: Mapping[int, Mapping[str, Quality]] | None = None) -> Axes:
    """Draw samples of each run, a row for each width, with a circle around each mode of the data.

    Args:
        qualities: By two widths, what ``experiments.training.sample_quality`` returned; widths 8
            and 64 by default.

    Returns:
        The first panel.
    """
    if qualities is None:
        qualities = {width: sample_quality(width) for width in (SMALL, LARGE)}
    panels = plots.axes(12.5, 6.3, columns=5, rows=2)
    words = "the wider networks leave fewer samples between the modes"
    headline(panels[0], f"{words}   ({_spread_of_truth()})")
    for row, (width, runs) in zip((panels[:5], panels[5:]), qualities.items(), strict=True):
        for ax, (name, quality) in zip(row, runs.items(), strict=True):
            cloud(ax, quality.points, name, plots.colour(name), size=SAMPLE_SIZE)
            numbers = f"{quality.floors:.1f} × truth, {quality.astray:.1%} astray"
            ax.set_title(f"{name}\n{numbers}", fontsize=10)
            _square(ax, SAMPLES_REACH)
            _circle_modes(ax)
        row[0].set_ylabel(f"width {width}")
    panels[0].figure.subplots_adjust(
        left=0.03, right=0.99, bottom=0.02, top=0.86, wspace=0.08, hspace=0.3
    )
    return panels[0]


@figure(
    "astray-over-excess",
    "Thirty small networks: the share of samples far from every mode over the excess at three "
    "noise levels",
)
def astray_over_excess(
    shares: Mapping[int, Mapping[str, NDArray]] | None = None,
    spread: Mapping[int, Mapping[str, NDArray]] | None = None,
    levels: Sequence[float] = (-6.0, 4.0, 10.0),
    *,
    title: str = "the share of samples that is astray, over the excess at a few noise levels",
) -> Axes:
    """Draw the share of samples that is astray over the excess, a dot for each network.

    The title of a panel has the rank correlation of its dots. Each panel has a range of its own.

    Args:
        shares: By two widths, what ``experiments.training.shares_astray`` returned; widths 8 and 64
            by default.
        spread: By the same widths, what ``experiments.training.excesses`` returned.
        levels: λ in nats, a panel each; the nearest of ``GRID`` is drawn.
        title: What is seen, in a line above the panels.

    Returns:
        The first panel.

    Raises:
        TypeError: A level is no number.
        ValueError: A level is not finite, or there are none.
    """
    shares = {width: shares_astray(width) for width in (SMALL, LARGE)} if shares is None else shares
    spread = {width: excesses(width) for width in shares} if spread is None else spread
    panels = plots.axes(3.6 * len(levels), 4.1, columns=len(levels))
    headline(panels[0], title)
    for ax, level in zip(panels, levels, strict=True):
        at = abs(GRID - number(level, "a level")).argmin()
        dots = [
            (width, name, spread[width][name][:, at], 100 * astray)
            for width, of_width in shares.items()
            for name, astray in of_width.items()
        ]
        for width, name, excess, astray in dots:
            shade = plots.colour(name)
            face = FACES.get(width) or shade
            ax.plot(excess, astray, "o", ms=6, color=shade, mfc=face, gid=f"{name}:{width}")
        rank = spearmanr(*(np.concatenate([dot[part] for dot in dots]) for part in (2, 3)))
        words = f"λ = {GRID[at]:g}: rank correlation {rank.statistic:.2f}"
        ax.set(title=minus(words), xlabel="log₁₀ excess", ylim=(0, None))
    panels[0].set_ylabel("samples astray  [%]")
    _share_heights(panels)
    set_gaps(panels, [BESIDE] * (len(panels) - 1))
    _tell_objectives_and_widths(panels[0], shares)
    return panels[0]


def _tell_objectives_and_widths(ax: Axes, shares: Mapping[int, Mapping[str, NDArray]]) -> None:
    """Say under the panels which colour is which objective, and which dot which width."""
    names = {name: plots.colour(name) for of_width in shares.values() for name in of_width}
    colours = {name: (shade, shade) for name, shade in names.items()}
    faces = {f"width {width}": (NEUTRAL, FACES.get(width) or NEUTRAL) for width in shares}
    entries = {
        label: Line2D([], [], marker="o", ls="", ms=6, color=shade, markerfacecolor=face)
        for label, (shade, face) in (colours | faces).items()
    }
    _legend_under(ax, entries, ncols=len(entries))


BOUNDS = {  # name of a line of ``Floor.plot`` to what stands beside it, λ, points away, its side
    "network": ("the network's loss", 1.0, (-8, 6), "right"),
    "upper": ("upper bound", 3.0, (8, -10), "left"),
    "lower": ("lower bound", 1.0, (-8, -8), "right"),
}


def floor_between(band: Floor) -> Axes:
    """Draw the bounds of the least possible loss with the loss of a network, each line named.

    Args:
        band: What ``dv.floor`` returned, with a network among the denoisers that were tried.

    Returns:
        The Axes.
    """
    ax = band.plot()
    legend = ax.get_legend()
    assert legend is not None
    legend.remove()
    ax.set(title="the floor lies between two bounds", ylim=(1e-2, 400), xticks=range(-8, 13, 2))
    for name, (label, level, offset, side) in BOUNDS.items():
        line = line_of(ax, name)
        x, y = np.asarray(line.get_data(), dtype=float)
        ax.annotate(
            label,
            (level, np.interp(level, x, y)),
            offset,
            textcoords="offset points",
            ha=side,
            color=line.get_color(),
            fontsize=10,
        )
    ax.text(7, 1, "the floor most likely lies in here", ha="center", color="0.25", fontsize=10)
    ax.annotate(
        "up to λ = −4 the three\nlie on one another",
        (-4, np.interp(-4, *np.asarray(line_of(ax, "lower").get_data(), dtype=float))),
        (-40, 40),
        textcoords="offset points",
        ha="center",
        color=NEUTRAL,
        fontsize=10,
        arrowprops={"arrowstyle": "-", "color": NEUTRAL, "lw": 0.7},
    )
    return ax
