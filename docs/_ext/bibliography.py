"""Show ``references.bib`` as a page, and read it: the one list of what is cited.

The file holds entries of a plain form, one field a line. What BibTeX can do beyond that is refused.
"""

import re
from pathlib import Path
from typing import NamedTuple

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

ENTRY = re.compile(r"@(\w+)\{([\w-]+),\n(.*?)\n\}", re.S)
FIELD = re.compile(r"  (\w+) = \{(.*)\},")
ACCENTS = {r"{\"u}": "ü", r"{\"o}": "ö", r"{\'e}": "é", r"{\'u}": "ú"}


class Reference(NamedTuple):
    """An entry of the bibliography.

    Attributes:
        key: Its key.
        authors: Family names, in order; the last may be "others".
        year: Year.
        title: Title.
        link: Address of the text.
    """

    key: str
    authors: tuple[str, ...]
    year: str
    title: str
    link: str

    def names(self) -> str:
        """The authors as a reader cites them, such as "Lin et al."."""
        if len(self.authors) > 2:
            return f"{self.authors[0]} et al."
        return " and ".join(self.authors)


def read(path: Path) -> list[Reference]:
    """The entries of a bibliography, by first author and year.

    Args:
        path: The BibTeX file.

    Returns:
        The entries.

    Raises:
        ValueError: A line is of no form that is read, or an entry has no author, year, title or
            address.
    """
    text = path.read_text(encoding="utf-8")
    left = re.sub(r"%.*", "", ENTRY.sub("", text)).strip()
    if left:
        raise ValueError(f"{path.name} has text that is no entry: {left[:60]!r}")
    found = [_reference(key, body) for _, key, body in ENTRY.findall(text)]
    return sorted(found, key=lambda one: (one.authors[0], one.year, one.title))


def _reference(key: str, body: str) -> Reference:
    """An entry from its fields."""
    lines = body.splitlines()
    fields = dict(match.groups() for line in lines if (match := FIELD.fullmatch(line)))
    if len(fields) != len(lines) or not {"author", "year", "title"} <= set(fields):
        raise ValueError(f"the entry {key} needs author, year and title, one field a line")
    for accent, letter in ACCENTS.items():
        fields["author"] = fields["author"].replace(accent, letter)
    family_names = tuple(name.split(",")[0] for name in fields["author"].split(" and "))
    return Reference(key, family_names, fields["year"], fields["title"], _link(key, fields))


def _link(key: str, fields: dict[str, str]) -> str:
    """The address of an entry: arXiv, a DOI, or its own."""
    if "eprint" in fields:
        return f"https://arxiv.org/abs/{fields['eprint']}"
    if "doi" in fields:
        return f"https://doi.org/{fields['doi']}"
    if "url" in fields:
        return fields["url"]
    raise ValueError(f"the entry {key} needs eprint, doi or url")


class Bibliography(Directive):
    """``{bibliography} FILE``: the entries of a BibTeX file as a list."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The list."""
        page = Path(self.state.document["source"])
        shown = nodes.bullet_list()
        for entry in read(page.parent / self.arguments[0]):
            line = nodes.paragraph()
            line += nodes.Text(f"{entry.names()} ({entry.year}). ")
            line += nodes.emphasis(text=f"{entry.title}. ")
            line += nodes.reference(text=entry.link.split("://")[1], refuri=entry.link)
            shown += nodes.list_item("", line)
        return [shown]


def setup(app: Sphinx) -> dict[str, bool]:
    """Offer the directive to Sphinx."""
    app.add_directive("bibliography", Bibliography)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
