"""Curves over log-SNR or time, drawn on a Matplotlib figure of their own.

Every line carries its name as ``gid``. Called again on the same Axes, a function moves the lines
that are there. An objective has one colour everywhere. Two lines that have the same colour, or that
run in the same place, differ in their dashes.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from typing import Any, Protocol

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import is_color_like
from matplotlib.lines import Line2D
from matplotlib.ticker import MultipleLocator
from numpy.typing import ArrayLike, NDArray

from diffviz import checks
from diffviz.plots.canvas import axes
from diffviz.plots.names import printable, shown
from diffviz.plots.places import places_of, with_gaps
from diffviz.plots.scales import ERROR_OF, LOGSNR, SCALES, scaled
from diffviz.plots.strips import Strip, draw_strip
from diffviz.plots.style import COLOURS, DASHES, PALETTE, colour


class Weighted(Protocol):
    """Anything with a weighting on the error of a base, such as an objective."""

    def weighting(self, logsnr: ArrayLike, base: Any = "eps") -> NDArray:
        """Weighting on the error of the base, in the shape of ``logsnr``."""
        ...


def lines(
    x: ArrayLike | Mapping[str, ArrayLike],
    curves: Mapping[str, ArrayLike],
    *,
    xlabel: str,
    ylabel: str,
    title: str = "",
    outside: bool | None = False,
    colours: Callable[[str], str] | None = None,
    strip: Strip | Sequence[Strip] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw one line for each curve, with a dot where it starts or stops inside the picture.

    Args:
        x: Places, shape (n,), or a mapping from name to places where curves have their own.
        curves: Name to values, shape (n,). Nothing is drawn where a value is NaN or infinite. The
            legend shows the first 48 characters of a name.
        xlabel: Label of the horizontal axis.
        ylabel: Label of the vertical axis.
        title: Title of the axes.
        outside: True puts the legend to the right of the axes, False where it is best inside,
            and None draws none.
        colours: Colour of a name. By default an objective has its own, and every other name the
            next one of the palette that is free.
        strip: One example at several noise levels, drawn under an axis of log-SNR; or several
            examples, one below the other.
        ax: Where to draw; a new figure by default.

    Returns:
        The Axes. The ``gid`` of a line is its name, that of its end dots the name and ":ends".

    Raises:
        TypeError: ``curves`` is no mapping, ``ax`` no Axes, an array holds no real numbers, or a
            name or label is no text.
        ValueError: A curve is not 1-D or differs in length from its places, or has none, or a name
            or label holds control characters.
    """
    _check_curves(curves)
    checks.one_of(outside, "outside", (True, False, None))
    for what, text in (("xlabel", xlabel), ("ylabel", ylabel), ("title", title)):
        printable(text, what)
    values = {
        name: with_gaps(curve, f"curve {checks.brief(name)}") for name, curve in curves.items()
    }
    places = places_of(x, values)
    ax = _axes_for(ax, legend=1.9 if outside else 0.0)
    has_new_lines = draw_lines(ax, places, values, _curve_colours(values, colours))
    label_axes(ax, xlabel, ylabel, title)
    is_legend_stale = outside is not None and _legend_names(ax) != list(map(shown, values))
    if has_new_lines or is_legend_stale:
        ax.relim()
        ax.autoscale_view()
    if is_legend_stale:
        place_legend(ax, list(values), outside=bool(outside))
    if strip is not None:
        draw_strip(ax, strip)
    return ax


def draw_lines(
    ax: Axes,
    places: Mapping[str, NDArray],
    curves: Mapping[str, NDArray],
    colours: Mapping[str, str],
) -> bool:
    """Draw the lines that are missing, move those that are there, remove those without a curve.

    Args:
        ax: Where to draw.
        places: Name to horizontal places, shape (n,).
        curves: Name to values, shape (n,).
        colours: Name to colour.

    Returns:
        Whether a line is new.
    """
    drawn = _lines_by_gid(ax)
    for gid in drawn.keys() - {*curves, *map(_ends_gid, curves)}:
        drawn.pop(gid).remove()
    names = list(curves)
    new = [name for name in names if name not in drawn]
    for position, name in enumerate(names):
        if name in new:
            rank = sum(_is_alike(name, other, curves, colours) for other in names[:position])
            drawn |= _add_line(ax, name, rank)
        ends = _ends_inside(curves[name])
        drawn[name].set(data=(places[name], curves[name]), color=colours[name])
        dots = places[name][ends], curves[name][ends]
        drawn[_ends_gid(name)].set(data=dots, color=colours[name])
    return bool(new)


def label_axes(ax: Axes, xlabel: str, ylabel: str, title: str) -> None:
    """Set labels and title where they differ, since any setting makes a whole figure stale.

    Args:
        ax: The Axes.
        xlabel: Label of the horizontal axis.
        ylabel: Label of the vertical axis.
        title: Title of the axes.
    """
    if ax.get_xlabel() != xlabel:
        ax.set_xlabel(xlabel)
    if ax.get_ylabel() != ylabel:
        ax.set_ylabel(ylabel)
    if ax.get_title() != title:
        ax.set_title(title)


def place_legend(
    ax: Axes, names: list[str], *, outside: bool, shades: Mapping[str, Artist] | None = None
) -> None:
    """Put a legend of some lines beside the axes, or inside them where it is best.

    Args:
        ax: Axes with the lines.
        names: The lines' ``gid``, in the legend's order.
        outside: Whether the legend stands to the right of the axes.
        shades: Name to shades, which come after the lines.
    """
    place: dict[str, Any] = {"loc": "best"}
    if outside:
        place = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "borderaxespad": 0}
    drawn = _lines_by_gid(ax)
    handles: dict[str, Artist] = {name: drawn[name] for name in names}
    handles |= shades or {}
    labels = list(map(shown, handles))
    ax.legend(handles.values(), labels, frameon=False, fontsize=9, handlelength=3, **place)


def weighting_curves(
    logsnr: ArrayLike,
    curves: Mapping[str, Weighted | ArrayLike],
    *,
    base: str = "eps",
    scale: str = "log10, anchored",
    anchor: float = 0.0,
    title: str = "",
    outside: bool | None = True,
    colours: Callable[[str], str] = colour,
    strip: Strip | Sequence[Strip] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw weightings over log-SNR, on the error of ``base``.

    Nothing is drawn outside the support of a weighting.

    Args:
        logsnr: Increasing grid in nats, shape (n,).
        curves: Name to an objective, or to values of w that are already in ``base``, shape (n,).
        base: The error on which the weighting acts: "eps", "x", "v" or "u".
        scale: "log10, anchored", which is 0 at ``anchor`` or at the end of the support that is
            nearest to it, "w / max" or "unit area".
        anchor: Where log10 w is 0, in nats.
        title: Title of the axes.
        outside: True puts the legend to the right of the axes, False where it is best inside,
            and None draws none.
        colours: Function from a name to a colour; that of the objective by default.
        strip: One example at several noise levels, drawn under the axis; or several examples, one
            below the other.
        ax: Where to draw; a new figure by default.

    Returns:
        The Axes. The ``gid`` of a line is its name, that of its end dots the name and ":ends".

    Raises:
        TypeError: ``curves`` is no mapping, ``ax`` no Axes, an array holds no real numbers, or a
            name is no text.
        ValueError: The base or the scale is unknown, the grid does not increase, a value is not
            finite, or a name holds control characters.
    """
    checks.one_of(scale, "scale", SCALES)
    checks.one_of(base, "base", ERROR_OF)
    checks.one_of(outside, "outside", (True, False, None))
    _check_curves(curves)
    anchor = checks.number(anchor, "anchor")
    grid = checks.increasing(logsnr, "logsnr")
    values = {name: _weighting_of(curve, name, grid, base) for name, curve in curves.items()}
    longest_name = max(map(len, map(shown, curves)), default=0)
    ax = _axes_for(ax, legend=0.6 + 0.085 * longest_name if outside else 0.0)
    ax.xaxis.set_major_locator(MultipleLocator(5))
    return lines(
        grid,
        {name: scaled(w, grid, scale, anchor) for name, w in values.items()},
        xlabel=LOGSNR,
        ylabel=SCALES[scale].label.format(ERROR_OF[base], anchor),
        title=title,
        outside=outside,
        colours=colours,
        strip=strip,
        ax=ax,
    )


def _check_curves(curves: Any) -> None:
    """Refuse what is no mapping, and names that cannot be written in a picture."""
    if not isinstance(curves, Mapping):
        raise TypeError(f"curves must map names to values, got {checks.brief(curves)}")
    for name in curves:
        printable(name, "the name of each of the curves")


def _weighting_of(curve: Weighted | ArrayLike, name: str, grid: NDArray, base: str) -> NDArray:
    """Values of a weighting on the grid, shape (n,)."""
    w = curve.weighting(grid, base) if checks.offers(curve, Weighted) else curve
    values = checks.array(w, f"curve {checks.brief(name)}")
    if values.shape != grid.shape:
        raise ValueError(
            f"curve {checks.brief(name)} must have the shape {grid.shape} of logsnr, "
            f"got {values.shape}"
        )
    return values


def _axes_for(ax: Axes | None, legend: float) -> Axes:
    """The Axes to draw on: those given, or new ones with that much room for a legend in inches."""
    if ax is None:
        return axes(legend=legend)[0]
    checks.require(isinstance(ax, Axes), f"ax must be Matplotlib Axes, got {ax!r}", TypeError)
    return ax


def _curve_colours(
    curves: Mapping[str, NDArray], colours: Callable[[str], str] | None
) -> dict[str, str]:
    """Name to colour: by the function, the objective's own, or the next one that is free."""
    if colours is not None:
        chosen = {name: checks.function(colours, "colours")(name) for name in curves}
        for name, shade in chosen.items():
            message = f"colours must return a colour of Matplotlib, got {shade!r} for {name!r}"
            checks.require(is_color_like(shade), message)
        return chosen
    taken = {COLOURS.get(name) for name in curves}
    free = cycle([shade for shade in PALETTE if shade not in taken] or PALETTE)
    return {name: COLOURS.get(name) or next(free) for name in curves}


def _lines_by_gid(ax: Axes) -> dict[str, Line2D]:
    """The lines that have a ``gid``, by it."""
    return {gid: line for line in ax.lines if (gid := line.get_gid()) is not None}


def _ends_gid(name: str) -> str:
    """The ``gid`` of the dots at the ends of a curve."""
    return f"{name}:ends"


def _is_alike(
    name: str, other: str, curves: Mapping[str, NDArray], colours: Mapping[str, str]
) -> bool:
    """Whether two lines could be taken for each other: one colour, or a quarter in one place."""
    if colours[name] == colours[other]:
        return True
    here, there = curves[name], curves[other]
    if here.shape != there.shape or not here.size:
        return False
    return bool(np.isclose(there, here, rtol=1e-3, atol=1e-9).mean() > 0.25)


def _add_line(ax: Axes, name: str, rank: int) -> dict[str, Line2D]:
    """An empty line and its end dots by ``gid``; its dash and order follow from lines like it."""
    dash = DASHES[rank % len(DASHES)]
    order = 3 + 0.1 * rank
    (line,) = ax.plot([], [], ls=dash, label=name, gid=name, lw=2, zorder=order)
    (dots,) = ax.plot([], [], "o", ms=4, gid=_ends_gid(name))
    return {name: line, _ends_gid(name): dots}


def _ends_inside(values: NDArray) -> list[int]:
    """Indices of the first and the last finite value, but for those at the ends of the grid."""
    finite = np.flatnonzero(np.isfinite(values))
    return [index for index in (*finite[:1], *finite[-1:]) if 0 < index < len(values) - 1]


def _legend_names(ax: Axes) -> list[str]:
    """The names in the legend, an empty list without one."""
    legend = ax.get_legend()
    return [text.get_text() for text in legend.get_texts()] if legend else []
