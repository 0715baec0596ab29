"""What a search found: the surface with its points and their noise, and the optimum's rivals."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from diffviz import plots
from diffviz.lab.experiments.search import small
from diffviz.lab.figures.registry import figure
from diffviz.lab.figures.style import legend, minus
from diffviz.plots.style import FOCUS
from diffviz.recipes.entries import CATALOGUE
from diffviz.search import goals as search_goals
from diffviz.search import report as search_report
from diffviz.search.smooth import SmoothSurface
from diffviz.search.surface import Surface

OPTIMUM = plots.PALETTE[6]
BEST, EDGE = plots.PALETTE[0], "0.25"  # the best of each row, and the edge of the floor
INTERVAL: dict[str, Any] = {"fmt": "o", "ms": 7, "lw": 2, "capsize": 5, "capthick": 2}
LABELLED = 12  # points up to which each has its value beside it
FLOOR = 0.01  # what lies within this of the least is the floor of the valley
GUESSES = {"csf-mixture": (1.0, 0.0)}  # theory's weighting, by family
STAR: dict[str, Any] = {"ms": 15, "color": OPTIMUM, "mec": "black", "gid": "optimum", "zorder": 4}
GUESS: dict[str, Any] = {"ms": 8, "color": "white", "mec": "black", "gid": "guess", "zorder": 4}
NAMED: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": 10, "zorder": 5}
SPREAD: dict[str, Any] = {"color": OPTIMUM, "alpha": 0.5, "gid": "optima"}
RIMMED: dict[str, Any] = {"ms": 5.5, "mec": "white", "mew": 0.9, "alpha": 1.0}
AXES = {  # what stands at the axis of a parameter, where its name alone would not do
    "share": "share   [power of the eye's weighting]",
    "octaves": "octaves   [nearer ← → farther eye]",
}
# of the small search
SEEN = "a wide floor: theory's guess lies on it", "trained again, five are worse than the optimum"


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
        ax.plot(*guess, "D", **GUESS)
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
        colour = plots.colour(name) if name in CATALOGUE else FOCUS
        ax.errorbar([off], [place], xerr=interval, color=colour, gid=name, **INTERVAL)
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
