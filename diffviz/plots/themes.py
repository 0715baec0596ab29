"""Looks of a figure: for paper, for a slide, for a dark slide, in other proportions.

A figure is drawn once, in its own size. A look changes what is drawn: the proportions of the
canvas, the size of the type, as large as fits, and on a dark ground the colours. Greys change
places with their complements, and colours are mixed with white until they can be read.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import Collection
from matplotlib.colors import to_rgba, to_rgba_array
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from diffviz import checks

GROUND = "#181818"  # of a dark figure
READABLE = 4.5  # least contrast of a colour against a dark ground
GREY = 0.06  # largest distance of two channels of a grey
PAD = 0.04  # inches that stay free at the edges of the canvas
GAP = 5.0  # pixels between a title or label and what stands beside it
ROUNDS = 8  # times that margins are fitted to the type
LEAST = 0.35  # share of the canvas that the panels keep in each direction
SIDES = ("left", "right", "bottom", "top")
WIDEST = 50.0  # inches


@dataclass(frozen=True)
class Theme:
    """A look.

    Args:
        factors: Factors of the type, the largest first; the first that fits is taken.
        lines: Factor of the widths of curves.
        is_dark: Whether the ground is dark.
    """

    factors: tuple[float, ...] = (1.0,)
    lines: float = 1.0
    is_dark: bool = False


THEMES = {
    "paper": Theme(),
    "slide": Theme(factors=(1.5, 1.35, 1.2, 1.1, 1.0), lines=1.4),
    "dark": Theme(factors=(1.5, 1.35, 1.2, 1.1, 1.0), lines=1.4, is_dark=True),
}


def restyle(
    figure: Figure, theme: str = "paper", size: tuple[float, float] | None = None
) -> Figure:
    """Give a figure another look, in place.

    Args:
        figure: A figure of this package, such as ``ax.figure``.
        theme: "paper" leaves type and colours, "slide" makes the type as large as fits, "dark" does
            the same on a dark ground.
        size: Width and height, such as (16, 9). The figure gets these proportions and keeps the
            longer of its sides; its own proportions by default.

    Returns:
        The same figure.

    Raises:
        TypeError: ``figure`` is no figure, or ``size`` holds no two numbers.
        ValueError: The theme is unknown, or a side is not above 0.

    Example:
        >>> ax = dv.plots.lines([0.0, 1.0], {"a": [0.0, 1.0]}, xlabel="x", ylabel="y")
        >>> figure = dv.plots.restyle(ax.figure, "dark", (16, 9))
        >>> round(float(np.divide(*figure.get_size_inches())), 3)
        1.778
    """
    message = f"figure must be a Matplotlib figure, such as ax.figure; got {figure!r}"
    checks.require(isinstance(figure, Figure), message, TypeError)
    look = THEMES[checks.one_of(theme, "theme", THEMES)]
    if not isinstance(figure.canvas, FigureCanvasAgg):
        FigureCanvasAgg(figure)
    if size is not None:
        _reshape(figure, checked_size(size))
    _scale_lines(figure, look.lines)
    if size is not None or look.factors != (1.0,):
        _enlarge_type(figure, look.factors)
    if look.is_dark:
        _darken(figure)
    return figure


def checked_size(size: tuple[float, float]) -> tuple[float, float]:
    """Width and height of a picture.

    Args:
        size: Two numbers.

    Returns:
        The numbers.

    Raises:
        TypeError: There are not two numbers.
        ValueError: A number is not above 0, or above 50.
    """
    message = f"size must be a width and a height, such as (16, 9), got {size!r}"
    checks.require(isinstance(size, (tuple, list)) and len(size) == 2, message, TypeError)
    width, height = (checks.positive(side, "side of size") for side in size)
    checks.require(max(width, height) <= WIDEST, f"size is at most 50 x 50 inches, got {size!r}")
    return width, height


# --- proportions ----------------------------------------------------------------------------------


def _reshape(figure: Figure, size: tuple[float, float]) -> None:
    """Make a figure higher or wider until it has these proportions."""
    width, height = figure.get_size_inches()
    shape = size[0] / size[1]
    figure.set_size_inches(max(width, height * shape), max(height, width / shape))


def _scale_lines(figure: Figure, factor: float) -> None:
    """Make curves wider; the lines of axes stay."""
    for ax in figure.axes:
        for line in ax.lines:
            line.set_linewidth(line.get_linewidth() * factor)
            line.set_markersize(line.get_markersize() * factor)


# --- type -----------------------------------------------------------------------------------------


def _texts(figure: Figure) -> list[Text]:
    """All texts of a figure, ticks and legends among them."""
    figure.draw_without_rendering()  # which makes the ticks
    return [one for one in figure.findobj(Text) if isinstance(one, Text)]


def _enlarge_type(figure: Figure, factors: Iterable[float]) -> None:
    """Multiply the size of the type by the first factor that fits."""
    texts = _texts(figure)
    sizes = [float(text.get_fontsize()) for text in texts]
    numbers = [_tick_size(ax) for ax in figure.axes]
    margins = {side: getattr(figure.subplotpars, side) for side in SIDES}
    for factor in factors:
        figure.subplots_adjust(**margins)
        for text, size in zip(texts, sizes, strict=True):
            text.set_fontsize(size * factor)
        for ax, size in zip(figure.axes, numbers, strict=True):
            ax.tick_params(labelsize=size * factor)
        if _fit_margins(figure) and not _collisions(figure):
            return


def _tick_size(ax: Axes) -> float:
    """The size of the numbers of an axis."""
    ticks = [*ax.get_xticklabels(), *ax.get_yticklabels()]
    return float(ticks[0].get_fontsize()) if ticks else 10.0


def _overflow(figure: Figure) -> NDArray:
    """How far what is drawn goes beyond the canvas, in inches: left, bottom, right, top."""
    figure.draw_without_rendering()
    box = figure.get_tightbbox(figure.canvas.get_renderer())  # type: ignore[attr-defined]
    width, height = figure.get_size_inches()
    return PAD + np.array([-box.x0, -box.y0, box.x1 - width, box.y1 - height])


def _fit_margins(figure: Figure) -> bool:
    """Move the panels inwards until nothing is cut; whether they keep enough room."""
    for _ in range(ROUNDS):
        over = np.maximum(_overflow(figure), 0)
        if not over.any():
            return True
        width, height = figure.get_size_inches()
        now = figure.subplotpars
        left, right = now.left + over[0] / width, now.right - over[2] / width
        bottom, top = now.bottom + over[1] / height, now.top - over[3] / height
        if min(right - left, top - bottom) < LEAST:
            return False
        figure.subplots_adjust(left=left, right=right, bottom=bottom, top=top)
    return bool((_overflow(figure) <= PAD).all())


def _boxes(figure: Figure) -> list[tuple[Axes, Bbox, bool]]:
    """The titles, labels and numbers of the panels, with the panel; and whether it is a number."""
    found = []
    for ax in figure.axes:
        if not ax.axison:
            labels, ticks = [ax.title], []
        else:
            labels = [ax.title, ax.xaxis.label, ax.yaxis.label]
            ticks = [*_shown(ax, "x"), *_shown(ax, "y")]
        for text in (*labels, *ticks):
            if text.get_visible() and text.get_text().strip():
                found.append((ax, text.get_window_extent(), text not in labels))
    return found


def _shown(ax: Axes, which: str) -> list[Text]:
    """The numbers of an axis that lie within its limits."""
    axis = ax.xaxis if which == "x" else ax.yaxis
    low, high = sorted(ax.get_xlim() if which == "x" else ax.get_ylim())
    pairs = zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
    return [text for place, text in pairs if low <= place <= high]


def _names_beside(ax: Axes) -> list[Bbox]:
    """What is written to the left or the right of a panel, such as names at ends of curves."""
    panel = ax.get_window_extent()
    texts = [text for text in ax.texts if text.get_text() and ax.axison]
    boxes = [Text.get_window_extent(text) for text in texts]  # without the lines to the curves
    return [box for box in boxes if box.x0 >= panel.x1 or box.x1 <= panel.x0]


def _names_meet(figure: Figure) -> bool:
    """Whether a name beside a panel lies on another panel, or on what is written around that."""
    around = _boxes(figure)
    for ax in figure.axes:
        others = [panel.get_window_extent() for panel in figure.axes if panel is not ax]
        others += [box for owner, box, _ in around if owner is not ax]
        for name in _names_beside(ax):
            if any(name.overlaps(other) for other in others):
                return True
    return False


def _collisions(figure: Figure) -> bool:
    """Whether a title, label, number or name covers another, or lies on another panel."""
    if _names_meet(figure):
        return True
    boxes = _boxes(figure)
    for place, (ax, box, is_number) in enumerate(boxes):
        for other_ax, other, other_is_number in boxes[place + 1 :]:
            are_numbers = is_number and other_is_number and ax is other_ax
            if box.overlaps(other.shrunk(0.9, 0.9) if are_numbers else other.padded(GAP)):
                return True
        for panel in figure.axes:
            if panel is not ax and panel.get_window_extent().overlaps(box):
                return True
    return False


# --- a dark ground --------------------------------------------------------------------------------


def _darken(figure: Figure) -> None:
    """Turn greys round and lighten colours, so that all can be read on a dark ground.

    An image keeps its colours, and so does what is written on it.
    """
    on_images = _texts_on_images(figure)
    for artist in figure.findobj(Artist):
        if isinstance(artist, Line2D):
            face, edge = artist.get_markerfacecolor(), artist.get_markeredgecolor()
            artist.set_color(_on_dark(artist.get_color()))  # which markers may follow
            artist.set_markerfacecolor(_on_dark(face))
            artist.set_markeredgecolor(_on_dark(edge))
        elif isinstance(artist, Text) and artist not in on_images:
            artist.set_color(_on_dark(artist.get_color()))
            if (ground := artist.get_bbox_patch()) is not None:  # no child of the text
                _darken_patch(ground)
        elif isinstance(artist, Patch):
            _darken_patch(artist)
        elif isinstance(artist, Collection) and artist.get_array() is None:
            artist.set(facecolor=[_on_dark(one) for one in artist.get_facecolor()])
            artist.set(edgecolor=[_on_dark(one) for one in artist.get_edgecolor()])
    for ax in figure.axes:
        ax.tick_params(colors=_on_dark("black"), which="both")
    figure.set_facecolor(GROUND)


def _darken_patch(patch: Patch) -> None:
    """Turn or lighten the colours of an area and of an edge that is drawn."""
    face, edge = patch.get_facecolor(), patch.get_edgecolor()
    patch.set_facecolor(_on_dark(face))
    if to_rgba(edge)[3] > 0:  # else the opacity of the patch would show it
        patch.set_edgecolor(_on_dark(edge))


def _texts_on_images(figure: Figure) -> set[Text]:
    """The texts whose middle lies within a panel with an image."""
    found = set()
    for ax in figure.axes:
        if ax.images:
            middles = {text: text.get_window_extent().get_points().mean(0) for text in ax.texts}
            found |= {text for text, middle in middles.items() if ax.bbox.contains(*middle)}
    return found


def _on_dark(colour: Any) -> Any:
    """A colour as it is shown on a dark ground; what is no colour, such as "none", stays."""
    if isinstance(colour, str) and colour in ("none", "auto"):
        return colour
    red, green, blue, opacity = to_rgba(colour)
    rgb = np.array([red, green, blue])
    dark = to_rgba_array(GROUND)[0, :3]
    if np.ptp(rgb) <= GREY:
        return (*(dark + (1 - rgb) * (0.95 - dark)), opacity)
    for white in np.arange(0, 1.05, 0.1):
        mixed = rgb + white * (1 - rgb)
        if _contrast(mixed, dark) >= READABLE:
            break
    return (*mixed, opacity)


def _contrast(first: NDArray, second: NDArray) -> float:
    """Contrast of two colours (WCAG 2.2)."""
    high, low = sorted([_luminance(first), _luminance(second)], reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(rgb: NDArray) -> float:
    """Relative luminance of a colour (WCAG 2.2)."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
