"""The catalogue: a table of all objectives that can be searched and sorted, and a page for each."""

import ast
import re
import textwrap
from collections.abc import Iterable
from functools import lru_cache
from html import escape
from pathlib import Path

import numpy as np
from scipy.special import expit

from diffviz import recipes
from diffviz.recipes.entries import CATALOGUE
from diffviz.recipes.nearest import Match
from diffviz.reports import pictures
from diffviz.reports.card import Card, card_of
from diffviz.theory import analysis
from diffviz.theory.objectives import Objective
from pages import markdown
from pages.folders import Folders, Selection
from pages.formulas import formulas
from pages.popular import small_curve

HEAD = (
    "name",
    "family",
    "year",
    "target",
    "path",
    "log w, −10 to 10",
    "median λ",
    "negative share",
    "loss at λ < 0",
)
ARXIV = re.compile(r"arXiv (\d{4}\.\d{4,5})")


def write(folders: Folders, selection: Selection, bodies: dict[str, str]) -> None:
    """Write the table and the page of each objective.

    Args:
        folders: Where they go.
        selection: Which objectives have a page.
        bodies: What ``pages`` returned for each of them.
    """
    rows = [table_row(CATALOGUE[name]) for name in selection.objectives]
    listed = markdown.table(HEAD, rows, "All objectives", "name, family, target, path")
    folders.write(
        "catalogue/index.md",
        markdown.WIDE + "# Catalogue\n\n"
        f"{len(rows)} objectives as their papers and code state them. Every weighting follows from "
        "its recipe. The *negative share* says how far a loss is from a sum of ELBOs of noised "
        "data, and is 0 where its weighting never rises. The last column is the share of the loss "
        "on data from N(0, I) at levels with more noise than data. A click on a heading sorts.\n\n"
        + listed,
    )
    for name in selection.objectives:
        folders.write(f"catalogue/{name}.md", bodies[name])


def table_row(objective: Objective) -> tuple[str, ...]:
    """The cells of an objective in the table, as HTML."""
    verdict = analysis.verdict(objective)
    below = analysis.share_below(objective, mmse=expit)
    curve = small_curve(objective, objective.name)
    return (
        f'<a href="{objective.name}.html">{escape(objective.name)}</a>',
        escape(objective.family),
        str(objective.year),
        escape(objective.target.name),
        escape(objective.path.name),
        curve,
        f"{round(float(objective.law.median()), 2) + 0.0:.2f}",  # + 0 makes −0 a 0
        "0" if verdict.monotone else f"{verdict.negative_share:.2%}",
        f"{below:.0%}",
    )


def pages(names: tuple[str, ...], chosen: tuple[str, ...]) -> dict[str, str]:
    """The pages of some objectives.

    Args:
        names: Their names.
        chosen: All objectives that have a page, in their order.

    Returns:
        Markdown by name.
    """
    return {name: page(name, chosen) for name in names}


def page(name: str, chosen: tuple[str, ...]) -> str:
    """The page of an objective.

    Args:
        name: Its name.
        chosen: The objectives that have a page, in their order.

    Returns:
        Markdown.
    """
    objective = CATALOGUE[name]
    card = card_of(objective)
    explorer = f'<a href="../explorers/weighting.html#names={name}">Explore it</a>'
    around = markdown.around(name, chosen, "All objectives", explorer)
    sections = {
        "Curve": curves(card),
        "Formula": typeset(objective),
        "Recipe in code": code(objective),
        "Equal objectives": links(equals(objective), chosen),
        "Neighbours": neighbours(card.nearest, chosen),
        "Note": markdown.plain(objective.note),
    }
    body = "\n\n".join(f"## {head}\n\n{text}" for head, text in sections.items() if text)
    return (
        f"{markdown.ORPHAN}# {name}\n\n{around}\n\n"
        f"{markdown.rows((head, sourced(str(value))) for head, value in card.facts)}\n\n{body}\n"
    )


def sourced(text: str) -> str:
    """A text as HTML, with a link to each paper on arXiv."""
    link = r'<a href="https://arxiv.org/abs/\1">arXiv \1</a>'
    return ARXIV.sub(link, escape(text))


def curves(card: Card) -> str:
    """The weighting in four bases, and the law of levels."""
    drawn = [
        f"<figure><figcaption>{escape(caption)}</figcaption>"
        f"{pictures.svg(draw, f'p{place}', caption)}</figure>"
        for place, (caption, draw) in enumerate(pictures.panels(card).items())
    ]
    lines = re.sub(r"\n\s*", " ", "".join(drawn))  # an empty line would end the HTML
    return f'<div class="curves">{lines}</div>' if drawn else ""


def typeset(objective: Objective) -> str:
    """The weighting and its three factors."""
    found = formulas(objective)
    parts = [r"w(\lambda) = 2\, c(\lambda)\, \mathrm{gain}(\lambda)^2\, p(\lambda)"]
    if found.weighting:
        parts.append(rf"w(\lambda) \propto {found.weighting}")
    whole = "\n\n".join(f"$$\n{part}\n$$" for part in parts)
    target = markdown.plain(objective.target.name)
    path = markdown.plain(objective.path.name)
    factors = {
        f"the multiplier on the squared {target} error": ("c", found.multiplier),
        f"the squared gain of the target {target}": (r"\mathrm{gain}^2", found.gain),
        f"the density of λ on the path {path}": ("p", found.density),
    }
    lines = [
        f"- {meaning}: "
        + (rf"${symbol} \propto {formula}$" if formula else "as the recipe below computes it")
        for meaning, (symbol, formula) in factors.items()
    ]
    return whole + "\n\n" + "\n".join(lines)


def code(objective: Objective) -> str:
    """The entry as the catalogue states it, and how it is used."""
    place, entry = entries().get(objective.name, ("", ""))
    stated = f"As it stands in `{place}`:\n\n```python\n{entry}\n```\n\n" if entry else ""
    return (
        f"{stated}As it is used:\n\n"
        "```python\nimport numpy as np\n\nimport diffviz as dv\n\n"
        f"objective = dv.objective({objective.name!r})\n"
        'objective.weighting([-4.0, 0.0, 4.0], base="eps")  # w(λ), up to a constant\n'
        "logsnr, factor = objective.draw(512, np.random.default_rng(0))  # for a training step\n"
        "dv.verdict(objective)\n```\n"
    )


@lru_cache
def entries() -> dict[str, tuple[str, str]]:
    """Where each objective is stated, and the code that states it, by name."""
    found = {}
    for file in sorted(Path(recipes.__file__).parent.rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.Call):
                continue
            names = [word.value for word in node.keywords if word.arg == "name"]
            if names and isinstance(names[0], ast.Constant) and names[0].value in CATALOGUE:
                lines = ast.get_source_segment(text, node, padded=True) or ""
                place = file.relative_to(Path(recipes.__file__).parents[2]).as_posix()
                found.setdefault(names[0].value, (place, textwrap.dedent(lines)))
    return found


def equals(objective: Objective) -> list[str]:
    """The names of the other entries with the same weighting."""
    group = next(group for group in groups() if objective in group)
    return [other.name for other in group if other is not objective]


@lru_cache
def groups() -> list[list[Objective]]:
    """The objectives of the catalogue in groups of the same weighting."""
    return analysis.equivalent(CATALOGUE.values())


def links(names: Iterable[str], chosen: tuple[str, ...]) -> str:
    """Names as links where they have a page."""
    return ", ".join(link(name, chosen) for name in names) or "None."


def link(name: str, chosen: tuple[str, ...]) -> str:
    """A name as a link where it has a page."""
    return f'<a href="{name}.html">{escape(name)}</a>' if name in chosen else escape(name)


def neighbours(matches: Iterable[Match], chosen: tuple[str, ...]) -> str:
    """The nearest other entries and how far they are."""
    lines = [
        f"- {link(match.name, chosen)} deviates by {match.deviation:.2%} at most, "
        f"at λ = {np.round(match.at, 1) + 0.0:g}, over {match.mass:.0%} of the draws"
        for match in matches
    ]
    return "\n".join(lines)
