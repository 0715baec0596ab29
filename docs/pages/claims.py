"""The claims of the talk, as the table beside the tests of the claims has them."""

import tomllib
from dataclasses import dataclass, field
from html import escape
from typing import Any

from pages import markdown, notebooks
from pages.folders import ROOT, Folders, Selection

TABLE = ROOT / "tests" / "claims" / "table.toml"
VERDICTS = ("confirmed", "true under a condition", "corrected")


@dataclass(frozen=True)
class Claim:
    """A statement and what came of it.

    Args:
        key: Its name.
        statement: What is said, in our words.
        verdict: One of ``VERDICTS``.
        finding: What was found, with a field for each value.
        figure: Name of the figure that shows it.
        notebook: Name of the notebook.
        section: Heading in the notebook.
        tests: Tests that compute it, as pytest names them.
        values: What the first test computes, by name.
    """

    key: str
    statement: str
    verdict: str
    finding: str
    figure: str
    notebook: str
    section: str
    tests: tuple[str, ...]
    values: dict[str, float] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The finding with its numbers."""
        return self.finding.format(**self.values)


def read() -> tuple[Claim, ...]:
    """The claims in the order of the talk."""
    rows: list[dict[str, Any]] = tomllib.loads(TABLE.read_text(encoding="utf-8"))["claim"]
    return tuple(Claim(**row | {"tests": tuple(row["tests"])}) for row in rows)


def write(folders: Folders, selection: Selection) -> None:
    """Write the page of the claims.

    Args:
        folders: Where it goes.
        selection: Which figures and notebooks have a page.
    """
    claims = read()
    counts = ", ".join(
        f"{sum(claim.verdict == verdict for claim in claims)} {verdict}" for verdict in VERDICTS
    )
    parts = "\n\n".join(section(number, one, selection) for number, one in enumerate(claims, 1))
    folders.write(
        "claims.md",
        "# Claims\n\nThe statements of the talk on diffusion objectives that this project follows, "
        "in its order and in our words, and what came of each when it was computed. "
        f"{len(claims)} statements: {counts}. Each number is computed by the test below it; the "
        "page and the tests read the same table.\n\n"
        f'<div class="claims"></div>\n\n{parts}\n',
    )


def section(number: int, claim: Claim, selection: Selection) -> str:
    """A claim on the page.

    Args:
        number: Its place in the talk.
        claim: The claim.
        selection: Which figures and notebooks have a page.

    Returns:
        Markdown.
    """
    places = []
    if claim.figure in selection.figures:
        places.append(f'figure <a href="gallery/{claim.figure}.html">{claim.figure}</a>')
    if claim.notebook in selection.notebooks:
        address = f"notebooks/{claim.notebook}.html#{notebooks.anchor(claim.section)}"
        name = escape(notebooks.title(claim.notebook))
        places.append(f'<a href="{address}">{escape(claim.section)}</a> in “{name}”')
    names = "<br>".join(f"<code>{escape(test)}</code>" for test in claim.tests)
    tests = f"<details><summary>{len(claim.tests)} by name</summary>{names}</details>"
    facts = [
        ("verdict", f'<span class="verdict">{claim.verdict}</span>'),
        ("found", escape(claim.text)),
        ("seen in", "; ".join(places) or "the notebooks"),
        ("tests", tests),
    ]
    return (
        f"({claim.key})=\n## {number}. {markdown.plain(claim.statement)}\n\n{markdown.rows(facts)}"
    )
