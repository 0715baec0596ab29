"""The gallery: each registered figure with its caption, its numbers, its files and its source."""

import csv
import inspect
import json
from html import escape
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from diffviz import plots
from diffviz.lab.figures import FIGURES, draw
from diffviz.lab.slides import decks
from pages import markdown
from pages.folders import Folders, Selection

ENDINGS = ("svg", "pdf", "png")
TABLE = 40  # curves of a figure that its page lists


def draw_files(names: tuple[str, ...], folder: str) -> dict[str, dict]:
    """Draw figures and write their files.

    Args:
        names: Their names.
        folder: Where the files go.

    Returns:
        By name: size of the picture on the page, and the rows of the table of numbers.
    """
    return {name: _draw_one(name, Path(folder)) for name in names}


def _draw_one(name: str, folder: Path) -> dict:
    """Draw one figure; see ``draw_files``."""
    figure = draw(name)
    shown = folder / f"{name}-page.png"
    folder.mkdir(parents=True, exist_ok=True)
    shown.write_bytes(figure.png())  # type: ignore[attr-defined]
    with Image.open(shown) as image:
        size = image.size
    curves = curves_of(figure)
    with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(["panel", "curve", "x", "y"])
        for (panel, curve), points in curves.items():
            lines.writerows([panel, curve, f"{x:.10g}", f"{y:.10g}"] for x, y in points)
    for ending in ENDINGS:
        plots.save(figure, folder / f"{name}.{ending}")
    (folder / f"{name}-slide.png").write_bytes(decks.picture(name))
    rows = [_summary(key, points) for key, points in curves.items()]
    return {"size": size, "rows": rows}


def curves_of(figure: Figure) -> dict[tuple[int, str], np.ndarray]:
    """The points of all named curves and dots of a figure.

    Args:
        figure: The figure.

    Returns:
        Arrays (n, 2) by panel, counted from 1, and name.
    """
    found = {}
    for panel, ax in enumerate(figure.axes, start=1):
        for line in ax.lines:
            name = line.get_gid() or _labelled(line.get_label())
            points = np.column_stack(
                [np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float)]
            )
            if name and len(points) > 1:
                found.setdefault((panel, name), points)
        for dots in ax.collections:
            name = dots.get_gid() or _labelled(dots.get_label())
            offsets = np.asarray(np.ma.filled(dots.get_offsets(), np.nan), float)
            if name and len(offsets) > 1:
                found.setdefault((panel, name), offsets)
    return found


def _labelled(label: object) -> str:
    """A label that a reader sees; Matplotlib's own begin with an underscore."""
    text = str(label)
    return "" if text.startswith("_") else text


def _summary(key: tuple[int, str], points: np.ndarray) -> list[str]:
    """The row of a curve in the table: its name, number of points, and ranges."""
    panel, name = key
    ranges = []
    for values in points.T:
        finite = values[np.isfinite(values)]
        text = f"{finite.min():.4g} to {finite.max():.4g}" if len(finite) else "none"
        ranges.append(text.replace("-", "−"))
    return [str(panel), name, str(len(points)), *ranges]


def write(folders: Folders, selection: Selection, drawn: dict[str, dict]) -> None:
    """Write the gallery and the page of each figure.

    Args:
        folders: Where they go.
        selection: Which figures.
        drawn: What ``draw_files`` returned.
    """
    cards = "\n".join(card(name, drawn[name]["size"]) for name in selection.figures)
    folders.write(
        "gallery/index.md",
        markdown.WIDE + "# Gallery\n\n"
        f"{len(selection.figures)} figures, computed by the package and drawn by one function "
        "each. The page of a figure has its numbers, its files and the source of that function. "
        'As slides: <a href="../slides/index.html">in the browser</a>, '
        '<a href="../slides/diffviz.pptx" download>for PowerPoint</a>.\n\n'
        f'<div class="cards">\n{cards}\n</div>\n',
    )
    for name in selection.figures:
        folders.write(f"gallery/{name}.md", page(name, selection.figures, drawn[name]))


def card(name: str, size: tuple[int, int]) -> str:
    """A small picture with its caption, which leads to the page."""
    caption = FIGURES[name][1]
    image = markdown.picture(f"../figures/{name}-page.png", caption, size)
    return f'<a class="card" href="{name}.html">{image}<span>{escape(caption)}</span></a>'


def page(name: str, chosen: tuple[str, ...], drawn: dict) -> str:
    """The page of a figure.

    Args:
        name: Its name.
        chosen: The figures that have a page, in their order.
        drawn: Size of its picture and rows of its table.

    Returns:
        Markdown.
    """
    function, caption = FIGURES[name]
    files = " · ".join(
        f'<a href="../figures/{name}.{ending}" download>{ending.upper()}</a>'
        for ending in (*ENDINGS, "csv")
    )
    files += f' · <a href="../figures/{name}-slide.png" download>PNG for a slide</a>'
    rows = [[escape(cell) for cell in row] for row in drawn["rows"]]
    head = ("panel", "curve", "points", "x", "y")
    table = markdown.table(head, rows[:TABLE], f"Numbers of the figure {name}")
    more = f"\n\n{len(rows) - TABLE} more are in the CSV file.\n" if len(rows) > TABLE else ""
    shown = f"{table}{more}" if rows else "The figure has no curves: its panels are pictures."
    image = markdown.picture(f"../figures/{name}-page.png", caption, drawn["size"])
    elsewhere = markdown.around(name, chosen, "All figures")
    return (
        f"{markdown.ORPHAN}# {name}\n\n{elsewhere}\n\n{markdown.plain(caption)}\n\n"
        f'<figure class="plate">{image}</figure>\n\n<p>Files: {files}</p>\n\n'
        f"## The numbers\n\n{shown}\n\n## The function that draws it\n\n"
        f"In `{function.__module__}`; `lab.figures.draw({json.dumps(name)})` calls it.\n\n"
        f"```python\n{inspect.getsource(function)}```\n"
    )


def write_decks(folders: Folders, selection: Selection) -> None:
    """Write the slides of the figures, for a browser and for PowerPoint.

    Args:
        folders: Where they go.
        selection: Which figures.
    """
    names = [slide.name for slide in decks.slides() if slide.name in selection.figures]
    pictures = {
        name: (folders.site / "figures" / f"{name}-slide.png").read_bytes() for name in names
    }
    for file in ("slides/index.html", "slides/diffviz.pptx"):
        decks.write(folders.place(file), names, pictures=pictures)
