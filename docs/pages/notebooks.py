"""The notebooks as pages: a copy of each, with links around it and words for its pictures."""

import re
import shutil
from html import escape
from pathlib import Path
from urllib.parse import quote

import nbformat
from docutils.nodes import make_id

from diffviz.lab.figures import FIGURES
from pages import markdown
from pages.folders import NOTEBOOKS, ROOT, Folders, Selection, repository

BRANCH = "main"


def write(folders: Folders, selection: Selection, live: dict[str, str]) -> None:
    """Write the page of each notebook and the page that lists them.

    Args:
        folders: Where they go.
        selection: Which notebooks.
        live: Names of the pages of explorers, by class.
    """
    for name in selection.notebooks:
        notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
        describe_pictures(notebook)
        link_explorers(notebook, live)
        unlink(notebook, set(NOTEBOOKS) - set(selection.notebooks))
        notebook.cells.insert(1, nbformat.v4.new_markdown_cell(links(name), id="open-elsewhere"))
        target = folders.source / "notebooks" / f"{name}.ipynb"
        target.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, target)
    for file in sorted((ROOT / "notebooks").glob("*.png")):
        shutil.copyfile(file, folders.source / "notebooks" / file.name)
    listed = "\n".join(selection.notebooks)
    folders.write(
        "notebooks/index.md",
        "# Notebooks\n\nEach notebook asks one question. They are shown here with their results; "
        "`make lab` opens them, and then every explorer moves.\n\n"
        f"```{{toctree}}\n:maxdepth: 1\n\n{listed}\n```\n",
    )


def link_explorers(notebook: nbformat.NotebookNode, live: dict[str, str]) -> None:
    """Say below the picture of an explorer where it moves without a kernel.

    Args:
        notebook: The notebook, which is changed.
        live: Names of the pages of explorers, by class.
    """
    cells = []
    for cell in notebook.cells:
        cells.append(cell)
        for kind, page in live.items():
            if cell.cell_type == "code" and re.search(rf"\b{kind}\(", cell.source):
                text = f"This is a picture; [here the explorer moves](../explorers/{page}.md)."
                cells.append(nbformat.v4.new_markdown_cell(text, id=f"live-{page}-{len(cells)}"))
    notebook.cells = cells


def unlink(notebook: nbformat.NotebookNode, absent: set[str]) -> None:
    """Turn links to notebooks that have no page into plain text; the README is another page.

    Args:
        notebook: The notebook, which is changed.
        absent: Names of those notebooks.
    """
    for cell in notebook.cells:
        if cell.cell_type != "markdown":
            continue
        cell.source = within_site(cell.source.replace("](../README.md", "](../start.md"))
        for name in absent:
            pattern = rf"\[([^\]]*)\]\({name}\.ipynb[^)]*\)"
            cell.source = re.sub(pattern, r"\1", cell.source)


def within_site(text: str) -> str:
    """Let links of a notebook to files of the repository lead where the site has them.

    Pages of ``docs`` are pages here. Sources are in the repository: the links lead there if its
    address is known, and are plain text otherwise.

    Args:
        text: Markdown of a cell.

    Returns:
        The text with links of the site.
    """
    text = text.replace("](../docs/", "](../")
    sources = r"\[([^\]]*)\]\(\.\./((?:diffviz|benchmarks|tests)/[^)]*)\)"
    address = repository()
    there = rf"[\1]({address}/blob/{BRANCH}/\2)" if address else r"\1"
    return re.sub(sources, there, text)


def links(name: str) -> str:
    """Where a notebook can be had and opened.

    Args:
        name: Name of the notebook.

    Returns:
        A line of Markdown and HTML.
    """
    file = f"{name}.ipynb"
    parts = [f'<a href="../downloads/{file}" download>Download this notebook</a>']
    address = repository()
    if address.startswith("https://github.com/"):
        place = address.removeprefix("https://github.com/")
        path = quote(f"notebooks/{file}")
        binder = f"https://mybinder.org/v2/gh/{place}/{BRANCH}?labpath={quote(path, safe='')}"
        colab = f"https://colab.research.google.com/github/{place}/blob/{BRANCH}/{path}"
        parts.append(f'<a href="{escape(binder)}">Open in Binder</a>')
        parts.append(f'<a href="{escape(colab)}">Open in Colab</a>')
    return markdown.elsewhere(parts)


def copy_downloads(folders: Folders, selection: Selection) -> None:
    """Copy the notebooks as they are, for the links that download them.

    Args:
        folders: Where they go.
        selection: Which notebooks.
    """
    for name in selection.notebooks:
        source = ROOT / "notebooks" / f"{name}.ipynb"
        shutil.copyfile(source, folders.place(f"downloads/{name}.ipynb"))


def describe_pictures(notebook: nbformat.NotebookNode) -> None:
    """Give each picture a text that stands for it, and drop what only a widget can show.

    Args:
        notebook: The notebook, which is changed.
    """
    heading = ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            found = re.findall(r"^#+ (.*)$", cell.source, re.M)
            heading = found[-1] if found else heading
            continue
        words = alternative(cell.source, heading)
        cell.metadata["mystnb"] = {"image": {"alt": words}}


def alternative(code: str, heading: str) -> str:
    """What the picture of a cell shows, in words.

    Args:
        code: The cell.
        heading: Heading above it.

    Returns:
        The caption of the figure that it draws, the explorer that it opens, or the heading.
    """
    for function, caption in FIGURES.values():
        subject = function.__module__.rpartition(".")[2]
        if re.search(rf"\b{subject}\.{function.__name__}\(", code):
            return caption
    explorer = re.search(r"\b(\w+)(?:Explorer|Dashboard)\(", code)
    if explorer:
        return f"The explorer “{explorer[1]}” as it was saved, in the section “{heading}”"
    return f"Figure in the section “{heading}”"


def title(name: str) -> str:
    """The heading of a notebook.

    Args:
        name: Name of the notebook.

    Returns:
        Its first heading.
    """
    return _headings(ROOT / "notebooks" / f"{name}.ipynb")[0]


def _headings(file: Path) -> list[str]:
    """All headings of a notebook."""
    notebook = nbformat.read(file, as_version=4)
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    return re.findall(r"^#+ (.*)$", "\n".join(texts), re.M)


def anchor(heading: str) -> str:
    """The part of an address that leads to a heading, as Sphinx writes it.

    Args:
        heading: The heading.

    Returns:
        The part after "#".
    """
    return make_id(heading)
