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
from matplotlib.ticker import MultipleLocator

from diffviz import plots
from diffviz.plots.curves import place_legend
from diffviz.plots.files import UNDATED
from diffviz.plots.scales import ERROR_OF, LOGSNR, SCALES, scaled
from diffviz.plots.style import DASHES
from diffviz.recipes.entries import CATALOGUE
from diffviz.reports.card import Card, distance
from diffviz.theory.targets import base_gain

BASES = ("eps", "x", "v", "u")
OWN = "#0072B2"  # colour of what the report is on
OTHER = "#D55E00"  # colour of the nearest entry
INK = "#0a0b0c"  # colour of text and axes, which becomes that of the page
THIS = "this training"
DECADES = 8  # below the highest point, beyond which nothing is shown
SCALE = "log10, anchored"
WIDE = 96  # characters of a line above the pictures
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
    if card.losses is not None and np.isfinite(card.losses.mean).any():
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
    ax.xaxis.set_major_locator(MultipleLocator(5))


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
    ax.figure.subplots_adjust(top=0.97)
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
    rows = max(1, -(-len(drawn) // 2))
    head = 0.75 + LINE * len(lines)
    height = head + ROW * rows + 0.4
    with matplotlib.rc_context({"axes.labelsize": 9}):
        grid = plots.axes(10.5, height, columns=2, rows=rows)
    whole = grid[0].figure
    assert isinstance(whole, Figure)
    whole.subplots_adjust(
        top=1 - (head + 0.3) / height, bottom=0.6 / height, hspace=0.5, wspace=0.22
    )
    for ax, (caption, draw) in zip(grid, drawn.items(), strict=False):
        draw(ax)
        ax.set_title(caption)
    for ax in grid[len(drawn) :]:
        ax.set_axis_off()
    top = 1 - 0.35 / height
    title = "\n".join(wrap(card.title, 70)[:2])
    whole.text(0.05, top, title, size=15, weight="bold", va="bottom", parse_math=False)
    for place, line in enumerate(lines):
        down = 1 - (0.6 + LINE * place) / height
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
        lines += wrap(f"{name}: {value}", WIDE + 40, subsequent_indent="    ")
    return lines
