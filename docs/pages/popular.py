"""What popular trainings weight: the table of trainers' settings, each row with its curve."""

from html import escape

import numpy as np

from diffviz.lab.experiments import popular
from diffviz.theory.objectives import Objective
from pages import markdown
from pages.folders import ROOT, Folders, Selection

GRID = np.linspace(-10.0, 10.0, 81)
WIDTH, HEIGHT = 120, 36  # of a small curve in pixels
DECADES = 4.0  # below the highest point, beyond which nothing is shown


def write(folders: Folders, selection: Selection) -> None:
    """Write the page: the words of ``docs/popular.md`` around a table that can be sorted.

    Args:
        folders: Where it goes.
        selection: Which objectives have a page.
    """
    words, _, _ = (
        (ROOT / "docs" / "popular.md").read_text(encoding="utf-8").partition("```{include}")
    )
    rows = popular.rows()
    head = (*popular.HEAD[:2], "log w(λ), −10 to 10", *popular.HEAD[2:])
    cells = [_cells(row, selection.objectives) for row in rows]
    table = markdown.table(head, cells, "Popular settings", "model, trainer, nearest entry")
    settings = popular.markdown(rows).partition("## The settings")[2]
    folders.write("popular.md", f"{markdown.WIDE}{words}\n{table}\n## The settings\n{settings}")


def _cells(row: popular.PopularRow, chosen: tuple[str, ...]) -> list[str]:
    """The cells of a row, as HTML."""
    texts = [escape(text) for text in popular.cells(row)]
    name = row.entry.partition(" ")[0]
    if name in chosen:
        texts[-1] = f'<a href="catalogue/{name}.html">{escape(name)}</a>' + texts[-1][len(name) :]
    curve = small_curve(row.setting.objective(), row.setting.title)
    return [*texts[:2], curve, *texts[2:]]


def small_curve(objective: Objective, title: str) -> str:
    """The logarithm of a weighting on the eps error as a small picture.

    Args:
        objective: The objective.
        title: What it is called.

    Returns:
        An SVG element in the colour of the text.
    """
    with np.errstate(all="ignore"):
        logs = np.log10(objective.weighting(GRID))
    top = np.max(logs[np.isfinite(logs)])
    known = np.isfinite(logs) & (logs >= top - DECADES)
    x = (GRID - GRID[0]) / (GRID[-1] - GRID[0]) * (WIDTH - 2) + 1
    y = (top - logs) / DECADES * (HEIGHT - 4) + 2
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x[known], y[known], strict=True))
    words = f"log w over λ from −10 to 10, {title}"
    return (
        f'<svg class="spark" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img" aria-label="{escape(words)}"><line x1="{WIDTH / 2:g}" x2="{WIDTH / 2:g}" '
        f'y1="0" y2="{HEIGHT}" class="zero"/><polyline points="{points}"/></svg>'
    )
