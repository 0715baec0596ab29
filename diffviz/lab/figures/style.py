"""What several figures share: colours of roles, short legends, text with a typographic minus."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import cycle
from typing import Any, Literal

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.gridspec import GridSpec
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.transforms import offset_copy
from numpy.typing import NDArray

from diffviz import plots
from diffviz.plots.style import OTHERS

NEUTRAL = "0.4"  # lines of reference
TRUTH = "0.35"  # points of the data
NO_LEADER, LEADER = 5, 16  # points from the ends of curves to their names, and with lines between
LEADER_FROM = 0.25  # how far a name is moved before it needs one, over the distance of two names
PALEST = 0.4  # share of its colour that the first of ordered curves has
HEADLINE, ABOVE = 0.26, 0.08  # inches of a line above all panels, and free above it
SHORT_LOGSNR = "log-SNR λ   [noise ← → data]"


def minus(text: str) -> str:
    """The text with typographic minus signs in the place of hyphens."""
    return text.replace("-", "−")


def colours_of(names: Iterable[str]) -> Callable[[str], str]:
    """Colours for curves that are no objectives, in their order.

    Args:
        names: Names of the curves.

    Returns:
        The function from a name to its colour, for ``plots.lines``.
    """
    return dict(zip(names, cycle(OTHERS), strict=False)).__getitem__


def shades_of(
    names: Iterable[str], dark: str = OTHERS[0], palest: float = PALEST
) -> Callable[[str], str]:
    """Shades of one colour for curves that have an order.

    Args:
        names: Names of the curves, in their order.
        dark: Colour of the last one; the others are the paler, the earlier they come.
        palest: Share of that colour which the first one has.

    Returns:
        The function from a name to its shade, for ``plots.lines``.
    """
    ordered = list(names)
    shares = np.linspace(palest, 1, len(ordered))[:, None]
    shades = 1 - shares * (1 - np.array(to_rgb(dark)))
    return dict(zip(ordered, map(to_hex, shades.tolist()), strict=True)).__getitem__


def from_noise(ax: Axes) -> None:
    """Let time run from noise on the left to data on the right, as log-SNR does everywhere."""
    ax.set_xlim(1, 0)


def put_under(axes: Iterable[Axes], strip: plots.Strip | None) -> None:
    """Draw a strip under each of several axes of log-SNR in the lowest row, where there is one."""
    if strip is not None:
        for ax in axes:
            plots.draw_strip(ax, strip)


def put_under_first(panels: Sequence[Axes], strip: plots.Strip | None) -> None:
    """Draw a strip under the first of several panels, whose axis of log-SNR all of them get."""
    first, *others = panels
    put_under([first], strip)
    for ax in others:
        ax.set(xticks=first.get_xticks(), xlim=first.get_xlim())


def share_height(panels: Sequence[Axes]) -> None:
    """Give the panels of a row one vertical scale, with its numbers at the first one alone."""
    ends = np.array([ax.get_ylim() for ax in panels])
    for ax in panels:
        ax.set_ylim(ends.min(), ends.max())
    for ax in panels[1:]:
        ax.set_yticklabels([])


def title_over(panels: Sequence[Axes], text: str, height: float, size: float) -> None:
    """Write a title over a row of panels.

    Args:
        panels: The panels, from left to right.
        text: The title.
        height: How high it stands, in heights of a panel.
        size: Of its type, in points.
    """
    panels[len(panels) // 2].annotate(
        text,
        (0.5, height),
        xycoords="axes fraction",
        ha="center",
        fontsize=size,
        annotation_clip=False,
    )


def one_of_row(panels: Sequence[Axes], row: int) -> Axes:
    """Let the first panel of a row take the place of all of them.

    Args:
        panels: The panels of the row, from left to right.
        row: Its number, from 0 at the top.

    Returns:
        The panel.
    """
    first, *others = panels
    for ax in others:
        ax.remove()
    places = first.get_gridspec()
    if places is not None:
        first.set_subplotspec(places[row, :])
    return first


def named_lines(ax: Axes) -> list[Line2D]:
    """The curves that ``plots.lines`` drew first on these Axes, without the dots at their ends."""
    return list(ax.lines[::2])


def line_of(ax: Axes, name: str) -> Line2D:
    """The curve of that name."""
    return next(line for line in ax.lines if line.get_gid() == name)


def draw_under(ax: Axes, name: str) -> None:
    """Draw a curve wide, pale and whole, so that a thin one in the same place is seen over it."""
    line_of(ax, name).set(lw=7, alpha=0.35, ls="-", zorder=2, solid_capstyle="butt")


def legend(ax: Axes, handles: Iterable[Artist] | None = None, **options: Any) -> Legend:
    """A legend without a frame, in small type; for all labelled artists by default."""
    chosen: Mapping[str, Any] = {} if handles is None else {"handles": list(handles)}
    return ax.legend(**chosen, **{"frameon": False, "fontsize": 9, **options})


def set_gaps(panels: Sequence[Axes], gaps: Sequence[float]) -> None:
    """Set what is free between panels of a row, which stay equally wide.

    Args:
        panels: The panels, from left to right.
        gaps: Free widths in inches, one fewer than panels.
    """
    figure = panels[0].get_figure(root=True)
    assert figure is not None
    margins = figure.subplotpars
    free = (margins.right - margins.left) * figure.get_figwidth() - sum(gaps)
    widths = [free / len(panels)] * (2 * len(panels) - 1)
    widths[1::2] = gaps
    grid = GridSpec(1, len(widths), figure=figure, width_ratios=widths, wspace=0)
    for place, ax in enumerate(panels):
        ax.set_subplotspec(grid[0, 2 * place])


def headline(ax: Axes, words: str) -> None:
    """Write what several panels show together in a line of its own above them.

    Args:
        ax: One of the panels.
        words: The line.
    """
    figure = ax.get_figure(root=True)
    assert figure is not None
    height = figure.get_figheight()
    figure.subplots_adjust(top=figure.subplotpars.top - HEADLINE / height)
    figure.suptitle(words, y=1 - ABOVE / height, va="top", fontsize=12)


def last_points(ax: Axes) -> dict[str, tuple[float, float]]:
    """The last point of each named curve, for ``label_ends``.

    Args:
        ax: The Axes, on which ``plots.lines`` drew first.

    Returns:
        Name to the place where the curve ends, in the units of the axes.
    """
    points = {}
    for line in named_lines(ax):
        x, y = np.asarray(line.get_data(), dtype=float)
        last = np.flatnonzero(np.isfinite(x) & np.isfinite(y))[-1]
        points[str(line.get_gid())] = (float(x[last]), float(y[last]))
    return points


def name_curve(
    ax: Axes,
    name: str,
    at: float,
    offset: tuple[float, float] = (0, 7),
    *,
    label: str | None = None,
    ha: Literal["left", "center", "right"] = "center",
) -> None:
    """Write the name of a curve beside its point at one place, in its colour.

    Args:
        ax: The Axes, on which ``plots.lines`` drew the curve.
        name: Name of the curve.
        at: Place on the horizontal axis.
        offset: From the point to the text, in points.
        label: What is written; the name by default.
        ha: Which part of the text stands there.
    """
    line = line_of(ax, name)
    x, y = (np.asarray(values, dtype=float) for values in line.get_data())
    point = (at, float(np.interp(at, x, y)))
    style: dict[str, Any] = {"color": line.get_color(), "fontsize": 9, "ha": ha, "va": "center"}
    text = name if label is None else label
    ax.annotate(text, point, offset, textcoords="offset points", gid=f"{name}: name", **style)


def label_ends(
    ax: Axes,
    ends: Mapping[str, tuple[float, float]],
    colours: Callable[[str], str],
    *,
    labels: Mapping[str, str] | None = None,
    side: Literal["left", "right"] = "right",
    leaders: bool = True,
    apart: float = 0.06,
    size: float = 9,
) -> None:
    """Write the names of curves in a column beside their ends, spread where they would collide.

    Args:
        ax: The Axes, with its final limits and scales.
        ends: Name of a curve to the place where it ends, in the units of the axes. One beyond the
            limits is named at the edge.
        colours: Colour of a name.
        labels: Name to what is written in its place; the name by default.
        side: "right" of the last end, or "left" of the first.
        leaders: Whether names that are spread have thin lines to their ends.
        apart: Least distance of two names, as a share of the height.
        size: Size of the type in points.
    """
    sign = 1 if side == "right" else -1
    at, heights = (ax.transScale + ax.transLimits).transform([ends[name] for name in ends]).T
    edge = at.max() if side == "right" else at.min()
    order = np.argsort(heights, kind="stable")  # before those beyond the limits meet at the edge
    heights = np.clip(heights, 0, 1)
    moved = np.empty(len(heights))
    moved[order] = spread_out(heights[order], apart)
    has_leaders = leaders and bool((abs(moved - heights) > LEADER_FROM * apart).any())
    gap = sign * (LEADER if has_leaders else NO_LEADER)
    beside = offset_copy(ax.transAxes, ax.get_figure(root=True), x=gap, units="points")
    for name, height, place in zip(ends, heights, moved, strict=True):
        style: dict[str, Any] = {"color": colours(name), "lw": 0.7, "arrowstyle": "-"}
        style |= {"shrinkA": 1, "shrinkB": 1, "relpos": ((1 - sign) / 2, 0.5)}
        ax.annotate(
            (labels or {}).get(name, name),
            (edge, height),
            (edge, place),
            xycoords="axes fraction",
            textcoords=beside,
            ha="left" if side == "right" else "right",
            va="center",
            color=colours(name),
            fontsize=size,
            arrowprops=style if has_leaders else None,
        )


def spread_out(heights: NDArray, apart: float) -> NDArray:
    """Heights moved from one another as far as they must be, in the same order.

    Args:
        heights: Heights, shape (n,).
        apart: Least distance of two of them.

    Returns:
        The heights, shape (n,).
    """
    order = np.argsort(heights, kind="stable")
    steps = apart * np.arange(len(heights))
    free = heights[order] - steps  # at one distance or less these must not fall
    raised = np.maximum.accumulate(free)
    lowered = np.minimum.accumulate(free[::-1])[::-1]
    moved = np.empty(len(heights))
    moved[order] = (raised + lowered) / 2 + steps
    return moved
