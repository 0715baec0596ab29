"""Small pieces of Markdown and HTML."""

from collections.abc import Iterable, Sequence
from html import escape

ORPHAN = "---\norphan: true\n---\n\n"  # a page that no table of contents lists
WIDE = "---\nhide-toc: true\n---\n\n"  # a page without the list of its sections beside it


def plain(text: str) -> str:
    """A text in which no letter is markup.

    Args:
        text: The text.

    Returns:
        The text with a backslash before each letter that Markdown would read.
    """
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]<>#|$~" else letter for letter in text)


def elsewhere(links: Iterable[str]) -> str:
    """Links to other pages in one line below a heading.

    Args:
        links: HTML of each link.

    Returns:
        HTML.
    """
    return f'<p class="elsewhere">{" · ".join(links)}</p>'


def around(name: str, chosen: tuple[str, ...], every: str, *more: str) -> str:
    """Links from one of several pages to their list and to the pages before and after.

    Args:
        name: Name of the page.
        chosen: Names of all these pages, in their order.
        every: What the link to the list says.
        *more: HTML of other links.

    Returns:
        HTML.
    """
    place = chosen.index(name)
    parts = [f'<a href="index.html">{escape(every)}</a>']
    if place > 0:
        before = chosen[place - 1]
        parts.append(f'<a rel="prev" href="{before}.html">← {escape(before)}</a>')
    if place + 1 < len(chosen):
        after = chosen[place + 1]
        parts.append(f'<a rel="next" href="{after}.html">{escape(after)} →</a>')
    return elsewhere([*parts, *more])


def rows(facts: Iterable[tuple[str, str]]) -> str:
    """Facts as a list of terms.

    Args:
        facts: Names, and values as HTML.

    Returns:
        HTML.
    """
    items = "\n".join(f"<dt>{escape(name)}</dt><dd>{value}</dd>" for name, value in facts)
    return f'<dl class="facts">\n{items}\n</dl>\n'


def table(head: Sequence[str], body: Iterable[Sequence[str]], label: str, search: str = "") -> str:
    """A table that a reader can sort, and search if there is a text for the field.

    Args:
        head: Names of the columns.
        body: Rows of cells as HTML.
        label: What the table holds, for those who do not see it.
        search: What stands at the field of the search; none by default.

    Returns:
        HTML.
    """
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    lines = "\n".join(
        "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>" for cells in body
    )
    attributes = f' data-search="{escape(search)}"' if search else ""
    region = f'tabindex="0" role="region" aria-label="{escape(label)}"'
    return (
        f'<div class="table-wrapper wide" {region}>\n'
        f'<table class="sortable"{attributes}>\n'
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{lines}\n</tbody>\n</table>\n</div>\n"
    )


def picture(address: str, text: str, size: tuple[int, int] | None = None) -> str:
    """An image that is loaded when it comes into sight.

    Args:
        address: Where it lies.
        text: What it shows, for those who do not see it.
        size: Width and height in pixels, so that the page does not move when it comes.

    Returns:
        HTML.
    """
    room = f' width="{size[0]}" height="{size[1]}"' if size else ""
    return f'<img src="{escape(address)}" alt="{escape(text)}" loading="lazy"{room}>'
