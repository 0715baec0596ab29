"""The pictures of a report: the curve in four bases, the law of levels, the loss by log-SNR."""

import re
from collections.abc import Callable, Iterable
from functools import partial
from io import StringIO
from textwrap import wrap
from typing import Any
from xml.etree import ElementTree

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath
from matplotlib.ticker import LogFormatterSciNotation, LogLocator, MultipleLocator
from numpy.typing import NDArray

from diffviz import plots
from diffviz.plots.curves import place_legend
from diffviz.plots.files import UNDATED
from diffviz.plots.scales import ERROR_OF, LOGSNR, SCALES, scaled
from diffviz.plots.style import DASHES
from diffviz.recipes.entries import CATALOGUE
from diffviz.reports.card import Card, distance
from diffviz.theory.targets import base_gain

BASES = ("eps", "x", "v", "u")
OWN, OTHER = plots.PALETTE[0], plots.PALETTE[4]  # of what the report is on, and of the nearest
INK = "#0a0b0c"  # colour of text and axes, which becomes that of the page
THIS = "this training"
DECADES = 8  # below the highest point, beyond which nothing is shown
LEAST = 12.0  # factor between the ends of the axis of losses, so that it has a power of ten
SCALE = "log10, anchored"
WIDE = 9.2  # width of a line above the pictures in inches, with spare room for its letters
WIDTHS = (136, 120, 100, 80, 60)  # characters of such a line, the first that fits
TITLE = 0.3  # height of a line of the title in inches
LINE = 0.19  # height of such a line in inches
ROW = 3.1  # height of a row of pictures in inches

Panel = Callable[[Axes], None]


def panels(card: Card) -> dict[str, Panel]:
    """The pictures of a card, by what they show.

    Args:
        card: The card.

    Returns:
        Captions and functions that draw on Axes.
    """
    drawn: dict[str, Panel] = {}
    if card.weighting is not None and (card.weighting.values > 0).any():
        for base in BASES:
            caption = f"Weighting on the {ERROR_OF[base]} error"
            drawn[caption] = partial(draw_weighting, card, base)
    if card.law is not None:
        drawn["Noise levels that are drawn"] = partial(draw_law, card)
    if card.losses is not None and (card.losses.mean > 0).any():
        over = " over the floor" if card.losses.band is not None else ""
        base = card.losses.base
        over += "" if base == "eps" else f", on the {ERROR_OF[base]} error"
        drawn[f"Loss by log-SNR{over}"] = partial(draw_losses, card)
    return drawn


def _colour(name: str) -> str:
    """The colour of a line."""
    return OWN if name == THIS else OTHER


def draw_weighting(card: Card, base: str, ax: Axes) -> None:
    """Draw the weighting on the error of a base, over the nearest entry.

    Args:
        card: A card with a weighting.
        base: "eps", "x", "v" or "u".
        ax: Axes to draw on. The lines have the ``gid`` "this training" and the entry's name.
    """
    assert card.weighting is not None
    grid = card.weighting.logsnr
    curves = {THIS: card.weighting.values / base_gain(base, grid) ** 2}
    for match in card.nearest[:1]:
        curves[match.name] = CATALOGUE[match.name].weighting(grid, base)
    logs = {name: scaled(w, grid, SCALE) for name, w in curves.items()}
    label = SCALES[SCALE].label.format(ERROR_OF[base], 0)
    plots.lines(grid, logs, xlabel=LOGSNR, ylabel=label, outside=None, colours=_colour, ax=ax)
    for line in ax.lines[2:]:  # after the line and the end dots of this training
        line.set_linestyle(DASHES[1])
    place_legend(ax, list(logs), outside=False)
    top = np.nanmax(logs[THIS])
    lowest = np.nanmin(logs[THIS])
    ax.set_ylim(max(lowest, top - DECADES) - 0.5, top + 0.5)
    _show_all(ax, grid)


def _show_all(ax: Axes, logsnr: NDArray) -> None:
    """Show the whole range of λ, in which a training may look at little."""
    ax.set_xlim(logsnr[0] - 0.5, logsnr[-1] + 0.5)
    ax.xaxis.set_major_locator(MultipleLocator(5))


def draw_law(card: Card, ax: Axes) -> None:
    """Draw the density of the levels that are drawn.

    Args:
        card: A card with a law.
        ax: Axes to draw on. The line has the ``gid`` "this training".
    """
    assert card.law is not None
    density = np.where(card.law.values > 0, card.law.values, np.nan)
    plots.lines(
        card.law.logsnr,
        {THIS: density},
        xlabel=LOGSNR,
        ylabel="density p(λ) per nat",
        outside=None,
        colours=_colour,
        ax=ax,
    )
    ax.set_ylim(bottom=0)
    _show_all(ax, card.law.logsnr)


def draw_losses(card: Card, ax: Axes) -> None:
    """Draw the loss by log-SNR with its standard error, over the floor if there is one.

    Args:
        card: A card with losses.
        ax: Axes to draw on. The line has the ``gid`` "loss", the band "floor".
    """
    losses = card.losses
    assert losses is not None
    plots.loss_curves(
        losses.logsnr,
        {"loss": losses.mean},
        errors={"loss": losses.stderr},
        band=losses.band,
        base=losses.base,
        outside=None,
        ax=ax,
    )
    low, high = ax.get_ylim()
    spare = max(1.0, np.sqrt(LEAST / (high / low)))
    ax.set_ylim(low / spare, high * spare)
    ax.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))  # more labels would overlap
    # in a range of little more than a decade too, which Matplotlib before 3.11 leaves bare
    ax.yaxis.set_minor_formatter(LogFormatterSciNotation(minor_thresholds=(1.5, 0.4)))
    _show_all(ax, losses.logsnr)
    # the longer words need a higher picture
    ax.set_ylabel(f"squared {ERROR_OF[losses.base]} error, summed")


# --- as SVG for a page ----------------------------------------------------------------------------


def small_figure(draw: Panel) -> Figure:
    """A picture of the size that it has on a page.

    Args:
        draw: Function that draws on Axes.

    Returns:
        A new figure without a title, since the caption stands on the page.
    """
    (ax,) = plots.axes(4.3, 2.9)
    draw(ax)
    assert isinstance(ax.figure, Figure)
    for _ in range(2):  # as wide as the numbers of the axis are, which may then be others
        ax.figure.tight_layout(pad=0.5)
    return ax.figure


def svg(draw: Panel, name: str, caption: str) -> str:
    """A picture as inline SVG, with text and axes in the colour of the page.

    Args:
        draw: Function that draws on Axes.
        name: Prefix of the ids in it, so that several pictures fit into one page.
        caption: What it shows, for those who do not see it.

    Returns:
        The SVG element.
    """
    inked: dict[Any, Any] = dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK
    )
    fixed: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": name,
        "font.size": 9,
        "axes.labelsize": 9,
    }
    written = StringIO()
    with matplotlib.rc_context(inked | fixed):
        small_figure(draw).savefig(
            written, format="svg", transparent=True, metadata=UNDATED[".svg"]
        )
    return _inline(written.getvalue(), name, caption).replace(INK, "currentColor")


def _inline(text: str, name: str, caption: str) -> str:
    """An SVG file as an element of a page: no namespaces, no metadata, ids of its own."""
    root = ElementTree.fromstring(text)
    for element in root.iter():
        element.tag = _local(element.tag)
        element.attrib = {
            _local(key): _with_own_ids(_local(key), value, name)
            for key, value in element.attrib.items()
        }
    for child in [child for child in root if child.tag == "metadata"]:
        root.remove(child)
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    root.attrib |= {"role": "img", "aria-label": caption}
    return ElementTree.tostring(root, encoding="unicode")


def _local(name: str) -> str:
    """A name without its namespace."""
    return name.rsplit("}", 1)[-1]


def _with_own_ids(key: str, value: str, name: str) -> str:
    """The value of an attribute, with the prefix before each id that it has or refers to."""
    if key == "id":
        return f"{name}-{value}"
    if key == "href" and value.startswith("#"):
        return f"#{name}-{value[1:]}"
    return re.sub(r"url\(#", f"url(#{name}-", value)


# --- as one picture -------------------------------------------------------------------------------


def figure(card: Card) -> Figure:
    """All of a card as one figure, for a model card or a pull request.

    Args:
        card: The card.

    Returns:
        A new figure: title, facts and pictures.
    """
    drawn = panels(card)
    lines = _lines(card)
    title = wrap(card.title, 70)[:2]
    rows = max(1, -(-len(drawn) // 2))
    above = TITLE * len(title) + 0.1
    head = above + 0.4 + LINE * len(lines)
    height = head + ROW * rows + 0.4
    with matplotlib.rc_context({"axes.labelsize": 9}):
        grid = plots.axes(10.5, height, columns=2, rows=rows)
    whole = grid[0].figure
    assert isinstance(whole, Figure)
    for ax, (caption, draw) in zip(grid, drawn.items(), strict=False):
        draw(ax)
        ax.set_title(caption)
    for ax in grid[len(drawn) :]:
        ax.set_axis_off()
    for _ in range(2):
        whole.tight_layout(rect=(0.02, 0, 1, 1 - head / height), h_pad=2.0, w_pad=2.0)
    whole.text(
        0.05,
        1 - above / height,
        "\n".join(title),
        size=15,
        weight="bold",
        va="bottom",
        parse_math=False,
    )
    for place, line in enumerate(lines):
        down = 1 - (above + 0.25 + LINE * place) / height
        whole.text(0.05, down, line, size=9, va="center", parse_math=False)
    return whole


def _lines(card: Card) -> list[str]:
    """The facts of a card as lines of text above the pictures."""
    near = [("near", f"{match.name}, {distance(match)}") for match in card.nearest[:1]]
    notes = [("note", note) for note in card.notes]
    again = [("again", card.again)] if card.again else []
    rows: Iterable[tuple[str, object]] = (
        *card.facts,
        *near,
        *notes,
        *again,
        ("versions", card.versions),
    )
    lines: list[str] = []
    for name, value in rows:
        lines += _fitting(f"{name}: {value}")
    return lines


def _fitting(text: str) -> list[str]:
    """A text in lines that are not wider than the picture, whatever its letters are."""
    lines: list[str] = []
    for characters in WIDTHS:
        lines = wrap(text, characters, subsequent_indent="    ")
        if max(map(_inches, lines)) <= WIDE:
            break
    return lines


def _inches(line: str) -> float:
    """The width of a line above the pictures."""
    width, *_ = TextToPath().get_text_width_height_descent(
        line, FontProperties(size=9), ismath=False
    )
    return width / 72
