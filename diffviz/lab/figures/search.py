"""What a search found: the surface with its points and their noise, and the optimum's rivals."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.contour import QuadContourSet
from numpy.typing import ArrayLike, NDArray

from diffviz import plots
from diffviz.lab.experiments.search import (
    GAUSSIAN,
    LINEAR,
    MEMBERS,
    GoalParts,
    goal_parts,
    members,
    small,
)
from diffviz.lab.figures.registry import figure
from diffviz.lab.figures.style import label_ends, last_points, legend, minus, named_lines
from diffviz.plots.style import FOCUS, OTHERS, REFERENCE
from diffviz.recipes.entries import CATALOGUE
from diffviz.search import goals as search_goals
from diffviz.search import report as search_report
from diffviz.search.smooth import SmoothSurface
from diffviz.search.surface import Surface
from diffviz.theory.frames import Curve

OPTIMUM = plots.PALETTE[6]
BEST, EDGE = OTHERS[6], "0.25"  # the best of each row, and the edge of the floor
INTERVAL: dict[str, Any] = {"fmt": "o", "ms": 7, "lw": 2, "capsize": 5, "capthick": 2}
OUTER = (0.025, 0.975)  # quantiles of a 95 % band
LABELLED = 12  # points up to which each has its value beside it
FLOOR = 0.01  # what lies within this of the least is the floor of the valley
GUESSES = {"csf-mixture": (1.0, 0.0)}  # theory's weighting, by family
GUESS_NAME = "rate-distortion"  # the same in the second round
STAR: dict[str, Any] = {"ms": 15, "color": OPTIMUM, "mec": "black", "gid": "optimum", "zorder": 4}
WHITE_EDGE = {"mec": "white", "mew": 1.2}  # of a star on dark shades
GUESS_COLOUR = OTHERS[5]  # theory's guess, a diamond, in all pictures and in the explorer
GUESS: dict[str, Any] = {"ms": 9, "color": GUESS_COLOUR, "mec": "black", "gid": "guess"}
NAMED: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": 10, "zorder": 5}
FLOOR_SHADE = "0.87"
SPREAD: dict[str, Any] = {"color": OPTIMUM, "alpha": 0.5, "gid": "optima"}
RIMMED: dict[str, Any] = {"ms": 5.5, "mec": "white", "mew": 0.9, "alpha": 1.0}
AXES = {  # what stands at the axis of a parameter, where its name alone would not do
    "power": "power   [of the eye's weighting]",
    "octaves": "octaves   [nearer ← → farther eye]",
}
# of the small search
SEEN = "a wide floor: theory's guess lies on it", "trained again, six are worse than the optimum"
# of the pictures in which notebook 13 tells it step by step
GRID = np.linspace(-8, 10, 181)  # λ in nats, the range of the search
SIDES = 81  # places along each side of the box at which the surface is drawn
PERCENT = 100.0
STEPS = (0, 0.5, 1, 2, 3, 4, 6, 8, 10, 12)  # percent above the least, between shades
SHADES = (0.0, 0.3, 0.47, 0.6, 0.68, 0.75, 0.81, 0.87, 0.93, 1.0)  # on viridis; far apart at first
OPACITY = 0.8  # of the shades, under which white and coloured marks stand out
WRITTEN = (0.5, 1.0)  # those of them that are drawn as lines with their numbers
DOT = 5.0  # area in points² that each surface adds to a dot at its least
SMALLEST_DOT = 15.0  # what a dot has besides, to be seen from afar
GUESS_TEXT = "theory's guess"
BOTH_FLOOR = "on the floor in both searches: flow matching and two weightings of an eye"
AHEAD = "two weightings are ahead of the optimum"
ABOVE = "above the least of the surface   [%]"
OWN_COLOURS = {"visible-error": OTHERS[0], "projection": OTHERS[1]}
EYE = OTHERS[0]  # Mannos and Sakrison's, as in the pictures of perception
MEMBER_SHADES = {"power": "viridis", "octaves": "plasma"}  # colour maps, by what is varied
LIGHTEST = 0.82  # where on a colour map the last of some curves is; beyond, a projector hides it
GAUSSIAN_DASHES = {GAUSSIAN: plots.DASHES[1], LINEAR: plots.DASHES[2]}
LABELS = {
    "fm-ot": "flow matching",
    GUESS_NAME: "theory's guess,\nrate–distortion",
    "visible-error": "the goal's own",
    "projection": "projection of ε",
    "sd3": "SD3",
    "edm": "EDM",
    "sigmoid-bias2": "sigmoid, bias 2",
    "iddpm-cosine": "ε-cosine",
    "elbo": "ELBO",
    GAUSSIAN: "Gaussian, mean zero",
    LINEAR: "linear, with the mean",
    "power 0": "power 0, the ELBO",
}
SAME, OWN = "levels alike", "own levels"
FILLS = {SAME: True, OWN: False}


class Heights(Protocol):
    """A surface over a box, as searches fit it."""

    def at(self, points: ArrayLike) -> NDArray:
        """The goal at points of the box, shape (m, d); shape (m,)."""

    def least(self) -> NDArray:
        """Where it is least, shape (d,)."""


def goal_unit(result: search_report.Search) -> str:
    """The unit of the goal of a search."""
    return search_goals.GOALS[result.settings["goal"]].unit


def surface(result: search_report.Search, ax: Axes) -> None:
    """Draw a surface over one or two parameters with its points, its optimum and its spread.

    Args:
        result: What a search found.
        ax: Axes to draw on.
    """
    (name, low, high), *second = result.surface.box
    if second:
        _draw_plane(result, ax)
    else:
        _draw_curve(result, ax)
    ax.set(xlim=(low, high), xlabel=AXES.get(name, name))
    ax.set_title(f"{result.settings['goal']} on {result.settings['data']}: less is better", pad=12)


def _draw_plane(result: search_report.Search, ax: Axes) -> None:
    """A surface over two parameters: shades, points, its valley, optima of resampled surfaces."""
    fitted = result.surface
    (_, low, high), (other, bottom, top) = fitted.box
    x, y = np.meshgrid(np.linspace(low, high, 61), np.linspace(bottom, top, 61))
    z = fitted.at(np.c_[x.ravel(), y.ravel()]).reshape(x.shape)
    shades = ax.contourf(x, y, z, 12, cmap="viridis", alpha=0.4)
    bar = ax.figure.colorbar(shades, cax=ax.inset_axes((1.02, 0, 0.025, 1)))
    bar.set_label(goal_unit(result), fontsize=10)
    bar.ax.tick_params(labelsize=9)
    label = "optima of surfaces as likely"
    ax.plot(*fitted.optima.T, "o", zorder=2, clip_on=False, label=label, **(SPREAD | RIMMED))
    kept = fitted.kept
    dots: dict[str, Any] = {
        "ms": 5,
        "mfc": "white",
        "mec": "0.25",
        "gid": "points",
        "label": "trained weightings",
    }
    ax.plot(*fitted.points[kept].T, "o", zorder=3, clip_on=False, **dots)
    ax.plot(*fitted.points[~kept].T, "x", ms=7, color="red", gid="failed", zorder=3)
    ax.plot(*result.optimum[:, None], "*", clip_on=False, **STAR)
    side = "right" if result.optimum[0] > (low + high) / 2 else "left"
    offset = (-11 if side == "right" else 11, 0)
    ax.annotate(
        "least", (result.optimum[0], result.optimum[1]), offset, ha=side, gid="least: name", **NAMED
    )
    guess = GUESSES.get(result.settings["family"])
    if guess is not None:
        ax.plot(*guess, "D", zorder=4, **GUESS)
        ax.annotate("theory's guess", guess, (10, 9), gid="guess: name", **NAMED)
    ax.contour(x, y, z, [z.min() + FLOOR], colors=[EDGE], linewidths=1.2, linestyles=":")
    ax.plot([], [], color=EDGE, lw=1.2, ls=":", label=f"within {FLOOR:g} of the least")
    best = f"best {fitted.box[0][0]} for each {other.removesuffix('s')}"
    ax.plot(*valley(fitted).T, color=BEST, lw=1.5, gid="valley", zorder=3, label=best)
    if len(fitted.points) <= LABELLED:
        _label_points(result, ax)
    ax.set(ylim=(bottom, top), ylabel=AXES.get(other, other))


def valley(fitted: Surface | SmoothSurface) -> NDArray:
    """Where a surface over two parameters is least for each value of the second.

    Args:
        fitted: The surface.

    Returns:
        Points of the box whose first parameter is not at an end, shape (n, 2).
    """
    (_, low, high), (_, bottom, top) = fitted.box
    first, second = np.linspace(low, high, 201), np.linspace(bottom, top, 61)
    x, y = np.meshgrid(first, second)
    heights = fitted.at(np.c_[x.ravel(), y.ravel()]).reshape(x.shape)
    least = heights.argmin(1)
    inside = (least > 0) & (least < len(first) - 1)
    return np.c_[first[least], second][inside]


def valley_band(fitted: SmoothSurface) -> tuple[NDArray, NDArray, NDArray]:
    """Where surfaces as likely as this one are least for each value of the second parameter.

    Args:
        fitted: The surface, over two parameters.

    Returns:
        The 2.5th and the 97.5th percentile of the first parameter, and the values of the second,
        each of shape (33,).
    """
    first, second, heights = fitted.likely.grid
    best = first[heights.argmin(1)]
    low, high = np.quantile(best, OUTER, axis=1)
    return low, high, second


def _label_points(result: search_report.Search, ax: Axes) -> None:
    """The mean and the standard error of each point beside it, towards the middle of the box."""
    fitted = result.surface
    (_, low, high), (_, bottom, top) = fitted.box
    kept = fitted.kept
    values = fitted.alone.mean(1)[kept]
    for point, value, error in zip(fitted.points[kept], values, fitted.stderr[kept], strict=True):
        left = point[0] < (low + high) / 2
        at_top = point[1] >= top - (top - bottom) / 10  # stars may lie on top
        offset = (5 if left else -5, -14 if at_top else 4)
        text = f"{value:.4f} ± {error:.4f}" if np.isfinite(error) else f"{value:.4f}"
        ax.annotate(
            minus(text),
            point,
            offset,
            textcoords="offset points",
            fontsize=8,
            ha="left" if left else "right",
            bbox={"fc": "white", "ec": "none", "alpha": 0.75, "pad": 0.5},
            zorder=5,
        )


def _draw_curve(result: search_report.Search, ax: Axes) -> None:
    """A surface over one parameter: a curve, points with errors, optima of resampled curves."""
    fitted = result.surface
    ((_, low, high),) = fitted.box
    x = np.linspace(low, high, 201)
    ax.plot(x, fitted.at(x[:, None]), color=plots.PALETTE[0], gid="surface")
    kept = fitted.kept
    ax.errorbar(
        fitted.points[kept, 0],
        fitted.alone.mean(1)[kept],
        fitted.stderr[kept],
        fmt="o",
        ms=4,
        color="black",
        capsize=3,
        gid="points",
    )
    for place in fitted.points[~kept, 0]:
        ax.axvline(place, color="red", ls=":", gid="failed")
    best = result.optimum
    height = fitted.at(best[None])[0]
    heights = np.full(len(fitted.optima), height)
    ax.plot(fitted.optima[:, 0], heights, "|", ms=9, **SPREAD)
    ax.plot(best, [height], "*", **STAR)
    ax.set_ylabel(goal_unit(result))


def _difference_text(off: float, half: float) -> str:
    """A difference with half of its interval, as far as they are known."""
    if not np.isfinite(off):
        return "failed"
    return minus(f"{off:+.4f} ± {half:.4f}" if np.isfinite(half) else f"{off:+.4f}")


def _failed_last(row: tuple[str, tuple[float, float]]) -> tuple[bool, float]:
    """Order of candidates: by their difference, those that failed at the end."""
    off = row[1][0]
    return bool(np.isnan(off)), off


def beside(result: search_report.Search, ax: Axes) -> None:
    """Draw the candidates of the second round: goal less the optimum's, with 95 % intervals.

    Args:
        result: What a search found.
        ax: Axes to draw on.
    """
    rows = sorted(result.beside.items(), key=_failed_last)
    for place, (name, (off, half)) in enumerate(rows):
        interval = [[half], [half]]
        style = INTERVAL | {"gid": name, "color": colour_of(name), "fmt": mark_of(name)}
        ax.errorbar([off], [place], xerr=interval, **style)
        ax.text(
            1.02,
            place,
            _difference_text(off, half),
            transform=ax.get_yaxis_transform(),
            va="center",
            fontsize=10,
            gid=f"{name}:words",
        )
    line = ax.axvline(0, color=OPTIMUM, lw=1.5, zorder=1, gid="optimum", label="the optimum")
    legend(ax, [line], loc="best")
    ax.set(
        yticks=range(len(rows)),
        yticklabels=[name for name, _ in rows],
        ylim=(len(rows) - 0.5, -0.5),
        xlabel=f"{goal_unit(result)},\nless the optimum's, with 95 % intervals",
        title="trained again under fresh seeds",
    )


def drawn(result: search_report.Search, titles: Sequence[str] = ()) -> Axes:
    """Draw the surface of a search, and its optimum beside the other candidates.

    Args:
        result: What a search found.
        titles: Titles of the two panels; by default they name what is drawn.

    Returns:
        The panel of the surface.
    """
    left, right = plots.axes(11.5, 5.4, columns=2, legend=1.3)
    surface(result, left)
    beside(result, right)
    for ax, title in zip((left, right), titles, strict=False):
        ax.set_title(title, pad=12)
    left.figure.subplots_adjust(left=0.06, bottom=0.21, right=0.86, wspace=0.65)
    named = [line for line in left.lines if not str(line.get_label()).startswith("_")]
    place: dict[str, Any] = {"loc": "lower center", "frameon": False, "fontsize": 10}
    left.figure.legend(handles=named, ncols=len(named), **place)
    return left


@figure(
    "search",
    "Which weighting is best, measured: the surface of a search with its noise, and its optimum "
    "beside the catalogue",
)
def searched(result: search_report.Search | None = None, titles: Sequence[str] = ()) -> Axes:
    """Draw what a search found.

    Args:
        result: What ``search.search`` returned; that of the small search by default.
        titles: Titles of the two panels; by default they name what is drawn.

    Returns:
        The panel of the surface.
    """
    if result is None:
        return drawn(small(), titles or SEEN)
    return drawn(result, titles)


# --- step by step, as notebook 13 tells it --------------------------------------------------------


def colour_of(name: str) -> str:
    """The colour of a weighting: its own in the catalogue, else one that no objective has."""
    if name in GAUSSIAN_DASHES:
        return REFERENCE
    if name == GUESS_NAME:
        return GUESS_COLOUR
    return plots.colour(name) if name in CATALOGUE else OWN_COLOURS.get(name, FOCUS)


def mark_of(name: str) -> str:
    """The mark of a weighting: a diamond for theory's guess, else a dot."""
    return "D" if name == GUESS_NAME else "o"


def goal(parts: GoalParts | None = None) -> Axes:
    """Draw how the goal is made: the error that is left, what an eye sees, and both over λ.

    Args:
        parts: What ``experiments.search.goal_parts`` returned; computed by default.

    Returns:
        The first panel.
    """
    parts = goal_parts() if parts is None else parts
    left, middle, right = plots.axes(11.4, 4.0, columns=3)
    at = minus(f"λ = {parts.level:g}")
    plots.lines(
        parts.cycles,
        parts.left,
        xlabel="cycles per image",
        ylabel="squared error of x̂",
        title=f"1. the error that is left at {at}",
        outside=None,
        colours=colour_of,
        ax=left,
    )
    plots.lines(
        parts.cycles,
        {"eye": parts.sensitivity / parts.sensitivity.max()},
        xlabel="cycles per image",
        ylabel="squared sensitivity / its maximum",
        title="2. times how well an eye sees it",
        outside=None,
        colours=lambda _: EYE,
        ax=middle,
    )
    plots.lines(
        parts.logsnr,
        {name: seen / parts.sensitivity.max() for name, seen in parts.seen.items()},
        xlabel="λ   [nats; noise ← → data]",
        ylabel="visible error D(λ)",
        title="3. summed: two areas make the goal",
        outside=None,
        colours=colour_of,
        ax=right,
    )
    for ax in (left, middle, right):
        ax.set_ylim(0, None)
    left.set_ylim(0, 1.45 * max(error.max() for error in parts.left.values()))  # for the legend
    _dash_gaussian(left, right)
    right.axvline(parts.level, color="0.5", lw=0.8, zorder=1, gid="level")
    right.annotate(
        at,
        (parts.level, 1),
        (4, -2),
        xycoords=right.get_xaxis_transform(),
        textcoords="offset points",
        va="top",
        color="0.4",
        fontsize=9,
    )
    handles = [line for line in left.lines[::2] if line.get_gid() in parts.left]
    labels = [LABELS.get(str(line.get_gid()), str(line.get_gid())) for line in handles]
    place: dict[str, Any] = {"loc": "upper right", "bbox_to_anchor": (1.03, 1.02)}
    legend(left, handles, labels=labels, handlelength=2.6, **place)
    left.figure.subplots_adjust(wspace=0.32)
    return left


def _dash_gaussian(*panels: Axes) -> None:
    """Dash the curves of what is computed, with which the networks are compared."""
    for ax in panels:
        for line in named_lines(ax):
            line.set_linestyle(GAUSSIAN_DASHES.get(str(line.get_gid()), "-"))


def family(beside: Sequence[str] = ("fm-ot",)) -> Axes:
    """Draw what power and octaves do to a weighting of the family that is searched.

    Args:
        beside: Names of the catalogue, drawn pale and wide.

    Returns:
        The left panel.
    """
    panels = plots.axes(12.0, 4.4, columns=2)
    titles = "the power tilts it (octaves 0)", "the octaves bend it (power 1)"
    for ax, varied, title in zip(panels, MEMBERS, titles, strict=True):
        _draw_members(ax, members(varied), beside, title, MEMBER_SHADES[varied])
    left = panels[0]
    left.set_ylabel("log₁₀ w on the ε error, 0 at λ = 0")
    left.figure.subplots_adjust(wspace=0.42, right=0.89)
    return left


def _draw_members(
    ax: Axes, curves: Mapping[str, Curve], beside: Sequence[str], title: str, shades: str
) -> None:
    """Weightings in colours with an order, over published ones; each is named at its end."""
    ordered = colormaps[shades](np.linspace(0, LIGHTEST, len(curves)))
    colours = dict(zip(curves, map(to_hex, ordered), strict=True)) | {
        name: plots.colour(name) for name in beside
    }
    every = {name: CATALOGUE[name].weighting for name in beside} | dict(curves)
    plots.lines(
        GRID,
        {name: plots.scaled(w(GRID), GRID, "log10, anchored") for name, w in every.items()},
        xlabel="λ   [nats; noise ← → data]",
        ylabel="",
        title=title,
        outside=None,
        colours=colours.__getitem__,
        ax=ax,
    )
    for line in named_lines(ax):
        line.set(**({"lw": 5, "alpha": 0.35} if line.get_gid() in beside else {"lw": 2}), ls="-")
    heights = np.concatenate([np.asarray(line.get_ydata(), float) for line in named_lines(ax)])
    ax.set(xlim=(GRID[0], GRID[-1]), ylim=(heights.min() - 0.3, heights.max() + 0.3))
    label_ends(ax, last_points(ax), colours.__getitem__, labels=LABELS, apart=0.06)


def above_least(fitted: Heights, places: NDArray) -> NDArray:
    """How far a surface of logarithms lies above its least.

    Args:
        fitted: The surface.
        places: Points of the box, shape (n, d).

    Returns:
        In percent, shape (n,).
    """
    least = fitted.at(fitted.least()[None])[0]
    return PERCENT * np.expm1(fitted.at(places) - least)


def _percent_plane(fitted: Surface | SmoothSurface) -> tuple[NDArray, NDArray, NDArray]:
    """Both parameters and the percent above the least, on a lattice over the box."""
    (_, low, high), (_, bottom, top) = fitted.box
    x, y = np.meshgrid(np.linspace(low, high, SIDES), np.linspace(bottom, top, SIDES))
    return x, y, above_least(fitted, np.c_[x.ravel(), y.ravel()]).reshape(x.shape)


def _plane_axes(result: search_report.Search, title: str, width: float, beside: float) -> Axes:
    """Axes over the two parameters of a search, with room beside them in inches."""
    (first, low, high), (second, bottom, top) = result.surface.box
    (ax,) = plots.axes(width, 5.0, legend=beside)
    ax.set(xlim=(low, high), ylim=(bottom, top), title=title)
    ax.set(xlabel=AXES.get(first, first), ylabel=AXES.get(second, second))
    return ax


def _draw_guess(ax: Axes, result: search_report.Search) -> None:
    """Theory's guess as a diamond."""
    guess = GUESSES.get(result.settings["family"])
    ax.plot(*(guess or ([], [])), "D", zorder=4, **GUESS)


def trained_surface(result: search_report.Search | None = None) -> Axes:
    """Draw the surface of a search in percent above its least, with what was trained.

    Args:
        result: What ``search.search`` returned, for two parameters; the small search by default.

    Returns:
        The Axes.
    """
    result = small() if result is None else result
    fitted = result.surface
    ax = _plane_axes(result, "a wide valley, and theory's guess lies in it", 8.2, 1.2)
    x, y, z = _percent_plane(fitted)
    shades = ax.contourf(x, y, z, STEPS, colors=colormaps["viridis"](SHADES), extend="max")
    shades.set_alpha(OPACITY)
    bar = ax.figure.colorbar(shades, cax=ax.inset_axes((1.03, 0, 0.03, 1)), format="%g")
    bar.set_label(ABOVE, fontsize=10)
    edges = ax.contour(x, y, z, WRITTEN, colors="white", linewidths=1.4, linestyles=(":", "-"))
    ax.clabel(edges, fmt="%g %%", fontsize=12, manual=_free_places(edges, fitted.points))
    kept = fitted.kept
    ax.plot(
        *fitted.points[kept].T,
        "o",
        ms=6,
        mfc="white",
        mec="0.2",
        zorder=3,
        clip_on=False,
        gid="points",
    )
    ax.plot(*result.optimum[:, None], "*", clip_on=False, **(STAR | WHITE_EDGE))
    _draw_guess(ax, result)
    names = {"points": "trained under three seeds", "optimum": "the least", "guess": GUESS_TEXT}
    handles = [next(line for line in ax.lines if line.get_gid() == gid) for gid in names]
    ax.figure.subplots_adjust(bottom=0.23)
    place: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.17), "ncols": 3}
    legend(ax, handles, labels=list(names.values()), fontsize=10, **place)
    return ax


def _free_places(edges: QuadContourSet, points: NDArray) -> list[tuple[float, float]]:
    """The place on each line of a surface that is farthest from trained points and from its ends.

    Args:
        edges: The lines.
        points: What must stay visible, shape (n, 2).

    Returns:
        A place for each line.
    """
    places = []
    for segments in edges.allsegs:
        inner = [segment[len(segment) // 8 : -len(segment) // 8] for segment in segments]
        line = np.concatenate([*inner, np.empty((0, 2))])
        if len(line):
            scale = np.ptp(points, axis=0)
            apart = np.linalg.norm((line[:, None] - points) / scale, axis=2).min(1)
            first, second = line[apart.argmax()]
            places.append((float(first), float(second)))
    return places


def floor_map(result: search_report.Search | None = None) -> Axes:
    """Draw where the surface of a search is within 1 % of its least, and where its least may be.

    Args:
        result: What ``search.search`` returned, for two parameters; the small search by default.

    Returns:
        The Axes.
    """
    result = small() if result is None else result
    fitted = result.surface
    ax = _plane_axes(result, "a wide floor: noise hides where on it the least lies", 9.4, 2.7)
    x, y, z = _percent_plane(fitted)
    ax.contourf(x, y, z, [0, PERCENT * FLOOR], colors=[FLOOR_SHADE], zorder=0)
    ax.plot(*valley(fitted).T, color=BEST, lw=2, gid="valley", zorder=2)
    if isinstance(fitted, SmoothSurface):
        low, high, second = valley_band(fitted)
        band: dict[str, Any] = {"color": BEST, "alpha": 0.22, "lw": 0, "gid": "valley: band"}
        ax.fill_betweenx(second, low, high, zorder=1, **band)
    _draw_optima(ax, fitted)
    ax.plot(*result.optimum[:, None], "*", clip_on=False, **STAR)
    _draw_guess(ax, result)
    ax.plot([], [], "s", ms=11, color=FLOOR_SHADE, gid="floor")
    names = {
        "optimum": "the least",
        "optima": f"the least of {len(fitted.optima)} surfaces\nas likely as this one;\n"
        "a larger dot is more\nof them in one place",
        "guess": GUESS_TEXT,
        "valley": "the best power\nat each distance, with\na 95 % band",
        "floor": f"the floor: within\n{PERCENT * FLOOR:g} % of the least",
    }
    drawn = [*ax.lines, *ax.collections]
    handles = [next(artist for artist in drawn if artist.get_gid() == gid) for gid in names]
    place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.02, 1), "fontsize": 10}
    legend(ax, handles, labels=list(names.values()), labelspacing=1.1, **place)
    return ax


def _draw_optima(ax: Axes, fitted: Surface | SmoothSurface) -> None:
    """The least of each resampled surface; the area of a dot is how many have it there."""
    places, number = np.unique(fitted.optima.round(6), axis=0, return_counts=True)
    x, y = places.T
    areas = SMALLEST_DOT + DOT * number
    style: dict[str, Any] = {"ec": "white", "lw": 0.8, "gid": "optima", "zorder": 3}
    ax.scatter(x, y, s=areas, color=OPTIMUM, clip_on=False, **style)


def intervals(found: Mapping[str, search_report.Search] | None = None) -> Axes:
    """Draw how far weightings lie above the optimum of their search, with 95 % intervals.

    Args:
        found: What searches found, by "levels alike" and "own levels"; the small ones by default.

    Returns:
        The Axes.
    """
    found = {SAME: small(), OWN: small(law="own")} if found is None else found
    (first, *_) = found.values()
    names = sorted(first.beside, key=lambda name: first.beside[name][0])
    (ax,) = plots.axes(9.0, 5.0)
    ax.figure.subplots_adjust(left=0.16)
    ax.axvspan(-PERCENT * FLOOR, PERCENT * FLOOR, color=FLOOR_SHADE, zorder=0, gid="floor")
    ax.axvline(0, color=OPTIMUM, lw=1.5, zorder=1, gid="optimum")
    shifts = np.linspace(-0.16, 0.16, len(found)) if len(found) > 1 else [0.0]
    for shift, (law, result) in zip(shifts, found.items(), strict=True):
        for place, name in enumerate(names):
            off, half = (PERCENT * value for value in result.beside[name])
            colour = colour_of(name)
            fill = colour if FILLS.get(law, True) else "white"
            style = INTERVAL | {"gid": f"{name}: {law}", "mfc": fill, "color": colour}
            style["fmt"] = mark_of(name)
            ax.errorbar([off], [place + shift], xerr=[[half], [half]], **style)
    ax.set(yticks=range(len(names)), ylim=(len(names) - 0.5, -0.5))
    ax.set_yticklabels([LABELS.get(name, name) for name in names])
    for label, name in zip(ax.get_yticklabels(), names, strict=True):
        label.set_color(colour_of(name))
    ax.set(
        xlabel="visible error above that of the search's optimum   [%, with 95 % intervals]",
        title=BOTH_FLOOR if len(found) > 1 else AHEAD,
    )
    _name_laws(ax, list(found))
    return ax


def _name_laws(ax: Axes, laws: Sequence[str]) -> None:
    """A legend of full and empty dots, of the floor and of the line at 0."""
    for law in laws:
        fill = "0.3" if FILLS.get(law, True) else "white"
        ax.plot([], [], "o", ms=7, color="0.3", mfc=fill, label=law)
    ax.plot([], [], color=OPTIMUM, lw=1.5, label="the optimum")
    ax.plot([], [], "s", ms=11, color=FLOOR_SHADE, label="within 1 %")
    legend(ax, loc="upper right", fontsize=10, borderaxespad=1)
