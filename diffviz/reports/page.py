"""One page to share about an objective, a measured loss or a run's loss by log-SNR.

The page is one HTML file without scripts. Pictures are inline SVG in the colour of the text, so
that it is readable on light and dark screens, narrow and wide, and on paper. Nothing is fetched,
and a policy in its head forbids it. Text from outside is escaped. The same input gives the same
bytes.
"""

import json
import shlex
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from diffviz import plots
from diffviz.checks import refuse_address, require
from diffviz.recipes.entries import CATALOGUE
from diffviz.recipes.settings.door import Explained
from diffviz.reports import pictures
from diffviz.reports.card import Card, card_of, distance
from diffviz.theory.objectives import Objective

if TYPE_CHECKING:
    from diffviz.learning.floors.record import Floor

ENDINGS = (".html", ".png")
NUMBERS = 41  # rows of the curve that are printed as numbers

STYLE = """
:root { color-scheme: light dark; --ground: #fff; --ink: #1a1c1e; --faint: #5a6068;
  --line: #d8dce0; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #15171a; --ink: #e6e8ea; --faint: #a4abb3; --line: #3a3f45; } }
@media print { :root { color-scheme: light; --ground: #fff; --ink: #000; --faint: #444;
  --line: #bbb; }
  figure, dt, dd { break-inside: avoid; } main { max-width: none; padding: 0; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
main { overflow-wrap: anywhere; max-width: 76rem; margin: 0 auto; padding: 1.25rem 1rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0; }
h2 { font-size: 1.15rem; margin: 1.75rem 0 .5rem; }
.kind, footer { color: var(--faint); }
.kind { margin: 0 0 1rem; }
.rows { display: grid; grid-template-columns: minmax(7rem, 14rem) 1fr; margin: 0; }
.rows > * { margin: 0; padding: .3rem .75rem .3rem 0; border-top: 1px solid var(--line);
  min-width: 0; }
dt { color: var(--faint); }
@media (max-width: 40rem) { .rows { grid-template-columns: 1fr; }
  .rows > dt { padding-bottom: 0; } .rows > dd { border-top: 0; padding-top: 0; } }
.panels { display: grid; gap: 1rem 1.5rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }
figure { margin: 0; min-width: 0; }
figcaption { font-weight: 600; }
svg { display: block; width: 100%; max-width: 42rem; height: auto; color: var(--ink); }
pre { white-space: pre-wrap; font-size: .85rem; padding: .6rem .75rem;
  border: 1px solid var(--line); border-radius: .3rem; margin: 0; }
footer { margin-top: 2rem; font-size: .85rem; }
"""

PAGE = Template(
    """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>$title</title>
<style>$style</style>
</head>
<body>
<main>
<h1>$title</h1>
<p class="kind">$kind</p>
<dl class="rows">
$facts
</dl>
$sections
<footer>Made by $versions.</footer>
</main>
</body>
</html>
"""
)


@dataclass(frozen=True, eq=False)
class Page:
    """A report that can be saved.

    Args:
        card: What it says.

    Example:
        >>> page = dv.report(dv.objective("edm"))
        >>> page.card.title, page.card.kind
        ('edm', 'objective')
    """

    card: Card

    def html(self) -> str:
        """The page as one self-contained HTML document.

        Returns:
            HTML.

        Example:
            >>> dv.report(dv.objective("edm")).html()[:15]
            '<!DOCTYPE html>'
        """
        card = self.card
        return PAGE.substitute(
            title=escape(card.title),
            kind=escape(card.kind),
            style=STYLE,
            facts=_rows(card),
            sections="\n".join(_sections(card)),
            versions=escape(card.versions),
        )

    def figure(self) -> Figure:
        """The report as one figure, for a model card or a pull request.

        Returns:
            A new Matplotlib figure.

        Example:
            >>> len(dv.report(dv.objective("edm")).figure().axes)
            6
        """
        return pictures.figure(self.card)

    def save(self, path: str | Path) -> Path:
        """Write the report, with the same bytes on every run.

        Args:
            path: A file that ends in .html or .png, in a folder that exists.

        Returns:
            The path of the file.

        Raises:
            FileNotFoundError: The folder does not exist.
            TypeError: ``path`` is no path.
            ValueError: The file has another ending.

        Example:
            >>> dv.report(dv.objective("edm")).save("edm.html").name
            'edm.html'
        """
        file = checked_path(path)
        if file.suffix.lower() == ".png":
            return plots.save(self.figure(), file)
        file.write_text(self.html(), encoding="utf-8", newline="\n")
        return file

    def text(self) -> str:
        """What the report says, in words.

        Returns:
            A line for each fact.

        Example:
            >>> dv.report(dv.objective("edm")).text().splitlines()[0]
            'edm (objective)'
        """
        return self.card.text()

    __str__ = __repr__ = text

    def _repr_png_(self) -> bytes:
        """The picture, for notebooks: it stays in the saved file."""
        return self.figure().png()  # type: ignore[attr-defined]


def report(
    item: Any,
    path: str | Path | None = None,
    *,
    objective: Objective | None = None,
    floor: "Floor | None" = None,
    title: str = "",
    again: str = "",
) -> Page:
    """One page to share: curve in four bases, law of levels, verdict, nearest entries, loss.

    Args:
        item: An objective, what ``dv.probe`` returns, or a loss by log-SNR (``dv.LossByLogSNR``,
            ``dv.read_log``).
        path: Where to write it: a file that ends in .html for a self-contained page, or in .png for
            one picture. By default nothing is written.
        objective: What the run of a loss by log-SNR trains on. By default what its log says.
        floor: What ``dv.floor`` says about the data of that run.
        title: Title of the page. By default the name of the objective.
        again: The line that makes the page again, which is printed on it. An entry of the
            catalogue has its own.

    Returns:
        The page.

    Raises:
        FileNotFoundError: The folder of ``path`` does not exist.
        TypeError: An argument is of the wrong kind.
        ValueError: ``path`` has another ending, or ``objective`` or ``floor`` does not apply.

    Example:
        >>> page = dv.report(dv.objective("fm-ot"), "card.html")
        >>> print(page.text().splitlines()[6])
        verdict: monotone: a sum of ELBOs of noised data
    """
    file = None if path is None else checked_path(path)
    page = Page(card_of(item, objective=objective, floor=floor, title=title, again=again))
    if file is not None:
        page.save(file)
    return page


def checked_path(path: str | Path) -> Path:
    """The file that a report goes to, refused before anything is computed.

    Args:
        path: Where to write it.

    Returns:
        The path.

    Raises:
        FileNotFoundError: The folder does not exist.
        TypeError: ``path`` is no path.
        ValueError: The file has another ending.
    """
    require(isinstance(path, str | Path), f"path must be text or a path, got {path!r}", TypeError)
    refuse_address(path)
    file = Path(path)
    require(
        file.suffix.lower() in ENDINGS,
        f"a report ends in {' or '.join(ENDINGS)}, got {str(path)!r}",
    )
    require(
        file.absolute().parent.is_dir(),
        f"the folder of {str(path)!r} does not exist; make it first",
        FileNotFoundError,
    )
    return file


def settings_line(explained: Explained, model: str | None = None, tokens: int | None = None) -> str:
    """The command that makes the report on a trainer's settings again.

    It holds only the options that were read, so that a pasted line with paths, names of runs or
    access tokens can be shared as a page.

    Args:
        explained: What ``diffviz.recipes.settings.explain`` returned.
        model: Name of the model that was given to it.
        tokens: Number of tokens that was given to it.

    Returns:
        A line for a shell.
    """
    words = ["python", "-m", "diffviz", "settings", _options_text(explained)]
    words += ["--trainer", explained.trainer.name]
    words += [] if model is None else ["--model", model]
    words += [] if tokens is None else ["--tokens", str(tokens)]
    return shlex.join([*words, "--report", "card.html"])


def _options_text(explained: Explained) -> str:
    """The options that were read: a command line if a script was run, else JSON.

    Without any, those whose defaults count are written down, since nothing at all is no settings.
    """
    lines = explained.lines
    given = {line.name: line.value for line in lines if line.where != "default"}
    if not given:
        given = {line.name: line.value for line in lines if line.value not in (None, "", False)}
    if not explained.script:
        return json.dumps(given, ensure_ascii=False)
    words = [f"{explained.script}.py"]
    for name, value in given.items():
        if value is not False:  # a flag that is not set is left out
            words += [f"--{name}"] if value is True else [f"--{name}={value}"]
    return shlex.join(words)


# --- the parts of the page ------------------------------------------------------------------------


def _rows(card: Card) -> str:
    """The facts as a list of terms."""
    return "\n".join(
        f"<dt>{escape(str(name))}</dt><dd>{escape(str(value))}</dd>" for name, value in card.facts
    )


def _sections(card: Card) -> list[str]:
    """What stands below the facts; parts that there are not are left out."""
    parts = {
        "Curves": _panels(card),
        "Nearest entries of the catalogue": _nearest(card),
        "Notes": "".join(f"<p>{escape(note)}</p>" for note in card.notes),
        "Make it again": f"<pre>{escape(card.again)}</pre>" if card.again else "",
        "Numbers": _numbers(card),
    }
    return [f"<section><h2>{name}</h2>{body}</section>" for name, body in parts.items() if body]


def _panels(card: Card) -> str:
    """The pictures, each with its caption."""
    drawn = [
        f"<figure><figcaption>{escape(caption)}</figcaption>"
        f"{pictures.svg(draw, f'p{place}', caption)}</figure>"
        for place, (caption, draw) in enumerate(pictures.panels(card).items())
    ]
    return f'<div class="panels">{"".join(drawn)}</div>' if drawn else ""


def _nearest(card: Card) -> str:
    """The nearest entries as a list of terms, each with its source."""
    if not card.nearest:
        return ""
    rows = "".join(
        f"<dt>{escape(match.name)}</dt><dd>{escape(distance(match))}<br>"
        f"{escape(CATALOGUE[match.name].source)}</dd>"
        for match in card.nearest
    )
    return f'<dl class="rows">{rows}</dl>'


def _numbers(card: Card) -> str:
    """The weighting as a folded table that ``dv.from_weighting`` reads."""
    if card.weighting is None:
        return ""
    grid, w = card.weighting.logsnr, card.weighting.values
    chosen = np.unique(np.linspace(0, len(grid) - 1, NUMBERS).round().astype(int))
    above = np.flatnonzero(w[chosen] > 0)
    chosen = chosen[above[0] : above[-1] + 1] if len(above) else chosen[:0]  # zeros between stay
    rows = "\n".join(f"{grid[place]:.6g},{w[place]:.6g}" for place in chosen)
    return (
        "<details><summary>w(λ) on the eps error, as <code>dv.from_weighting</code> reads it"
        f"</summary><pre>logsnr,w\n{rows}</pre></details>"
    )
