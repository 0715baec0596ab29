"""Decks of slides; see the package."""

import base64
import tomllib
from argparse import ArgumentParser
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from importlib import import_module
from io import BytesIO
from pathlib import Path as File
from typing import Any

from PIL import Image

from diffviz import checks, extras
from diffviz.lab.figures import FIGURES
from diffviz.lab.figures.gallery import draw
from diffviz.plots.canvas import png_of
from diffviz.web import bundle

HERE = File(__file__).parent
TITLE = "What does a diffusion loss weight?"
SUBTITLE = "Weightings over log-SNR, computed and measured with diffviz"
THEMES = ("slide", "dark")
ENDINGS = (".html", ".pptx")
SHAPE = (16.0, 6.9)  # proportions of a figure between title and sentence
PIXELS = 1800  # width of a figure
PAGE = (13.333, 7.5)  # inches of a slide in PowerPoint
INK = {"slide": "1A1A1A", "dark": "E8E8E8"}
GROUND = {"slide": "FFFFFF", "dark": "181818"}


@dataclass(frozen=True)
class Slide:
    """What a slide says beside its figure.

    Args:
        name: Name of the figure.
        title: Its heading.
        sentence: What the figure shows, in one sentence.
        source: Where it comes from.
        notes: What the speaker says.
    """

    name: str
    title: str
    sentence: str
    source: str
    notes: str


Shown = tuple[Slide, bytes]  # a slide and the PNG of its figure


@lru_cache
def _texts() -> dict[str, dict[str, str]]:
    """Titles, notes and sources by name of the figure, in the order of the talk."""
    return tomllib.loads((HERE / "texts.toml").read_text(encoding="utf-8"))


def slides(names: Iterable[str] | None = None) -> tuple[Slide, ...]:
    """The slides of some figures.

    Args:
        names: Names of figures, in the order of the deck; all in the order of the talk by default.

    Returns:
        The slides.

    Raises:
        TypeError: ``names`` is one text.
        ValueError: There is no such figure.

    Example:
        >>> from diffviz.lab import slides
        >>> [slide.name for slide in slides.slides()][:2]
        ['weightings', 'fm-is-v-cosine']
    """
    message = f"names must be a list of names, got {names!r}; write [{names!r}]"
    checks.require(not isinstance(names, str), message, TypeError)
    known = [name for name in _texts() if name in FIGURES]
    every = [*known, *(name for name in FIGURES if name not in known)]
    chosen = every if names is None else [checks.one_of(one, "figure", FIGURES) for one in names]
    return tuple(map(_slide, chosen))


def _slide(name: str) -> Slide:
    """The slide of a figure; one without texts of its own says what is known of the figure."""
    function, caption = FIGURES[name]
    first = (function.__doc__ or caption).strip().partition("\n")[0]
    plain = {"title": name.replace("-", " ").capitalize(), "notes": first, "source": "diffviz"}
    texts = plain | _texts().get(name, {})
    end = "" if caption.endswith((".", "?", "!")) else "."
    return Slide(name, texts["title"], caption + end, texts["source"], texts["notes"])


def picture(name: str, theme: str = "slide") -> bytes:
    """A figure as it stands on a slide.

    Args:
        name: Name of the figure.
        theme: "slide" or "dark".

    Returns:
        A PNG of few colours.
    """
    figure = draw(name, theme, SHAPE)
    return png_of(figure, PIXELS / figure.get_size_inches()[0])


def write(
    path: str | File,
    names: Iterable[str] | None = None,
    theme: str = "slide",
    title: str = TITLE,
    pictures: Mapping[str, bytes] | None = None,
) -> File:
    """Write a deck.

    Args:
        path: Where to write: .html for a browser, .pptx for PowerPoint. Folders are made.
        names: Names of figures, in the order of the deck; all in the order of the talk by default.
        theme: "slide" or "dark".
        title: What stands on the first slide.
        pictures: What ``picture`` returned, by name, where that is known; others are drawn.

    Returns:
        The path of the file.

    Raises:
        ModuleNotFoundError: nbconvert or python-pptx is not installed.
        TypeError: ``names`` is one text, or the title is none.
        ValueError: A figure, the theme or the ending is unknown; nothing has been drawn then.
    """
    file = checks.place(path)
    checks.one_of(file.suffix, "ending of the deck", ENDINGS)
    checks.one_of(theme, "theme", THEMES)
    checks.require(isinstance(title, str), f"title must be text, got {title!r}", TypeError)
    chosen = slides(names)
    known = dict(pictures or {})
    with extras.needed_by("a deck of slides"):
        import_module("nbconvert" if file.suffix == ".html" else "pptx")  # before minutes of work
        shown = [(one, known.get(one.name) or picture(one.name, theme)) for one in chosen]
        content = (_html if file.suffix == ".html" else _pptx)(shown, theme, title)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


# --- for a browser --------------------------------------------------------------------------------


def _html(shown: Sequence[Shown], theme: str, title: str) -> bytes:
    """The deck as one page, by nbconvert and reveal.js."""
    from nbconvert import SlidesExporter
    from nbformat.v4 import new_notebook

    cells = [_cell(f"# {title}\n\n{SUBTITLE}\n", "slide", 0)]
    for place, (slide, image) in enumerate(shown, start=1):
        cells.append(_cell(_markdown(slide, image), "slide", place))
        cells.append(_cell(slide.notes, "notes", place))
    exporter = SlidesExporter(
        template_name="deck", extra_template_basedirs=[str(HERE)], embed_images=False
    )
    vendored = (bundle.read("vendor/reveal.js"), bundle.read("vendor/reveal-notes.js"))
    script = "\n".join(text.partition("//# sourceMappingURL")[0] for text in vendored)
    sheets = (bundle.read("vendor/reveal.css"), (HERE / "deck" / "deck.css").read_text("utf-8"))
    deck = {"title": title, "style": "\n".join(sheets), "script": script, "theme": theme}
    text, _ = exporter.from_notebook_node(new_notebook(cells=cells), resources={"deck": deck})
    return text.encode("utf-8")


def _cell(source: str, kind: str, place: int) -> Any:
    """A cell of Markdown that nbconvert takes for a slide or for its notes."""
    from nbformat.v4 import new_markdown_cell

    metadata = {"slideshow": {"slide_type": kind}}
    return new_markdown_cell(source, metadata=metadata, id=f"{kind}-{place}")


def _markdown(slide: Slide, image: bytes) -> str:
    """A slide as Markdown with its picture in it."""
    data = base64.b64encode(image).decode()
    shown = f'<img alt="{escape(slide.sentence)}" src="data:image/png;base64,{data}">'
    source = f'<p class="source">Source: {escape(slide.source)}. Figure: {slide.name}.</p>'
    return f"## {slide.title}\n\n{shown}\n\n<p>{escape(slide.sentence)}</p>\n\n{source}\n"


# --- for PowerPoint -------------------------------------------------------------------------------


def _pptx(shown: Sequence[Shown], theme: str, title: str) -> bytes:
    """The deck as the bytes of a PPTX file."""
    import datetime

    from pptx import Presentation
    from pptx.util import Inches

    deck = Presentation()
    deck.slide_width, deck.slide_height = (Inches(side) for side in PAGE)
    when = datetime.datetime(2025, 1, 1)  # the same bytes on every day
    deck.core_properties.created = deck.core_properties.modified = when
    deck.core_properties.title = title
    deck.core_properties.author = "diffviz"
    first = _page(deck, title, theme, (0.6, 2.4, 12.1, 1.4), 44)
    _write_text(first, SUBTITLE, theme, (0.6, 3.9, 12.1, 0.8), 24)
    for slide, image in shown:
        page = _page(deck, slide.title, theme, (0.4, 0.1, 12.5, 0.8), 32)
        _place(page, image, slide.sentence)
        _write_text(page, slide.sentence, theme, (0.4, 6.25, 12.5, 0.8), 18)
        source = f"Source: {slide.source}. Figure: {slide.name}."
        _write_text(page, source, theme, (0.4, 7.0, 12.5, 0.4), 12)
        page.notes_slide.notes_text_frame.text = slide.notes
    buffer = BytesIO()
    deck.save(buffer)
    return _undated(buffer.getvalue())


def _page(deck: Any, title: str, theme: str, box: tuple[float, ...], points: int) -> Any:
    """A new slide with a ground and a title."""
    from pptx.dml.color import RGBColor
    from pptx.util import Inches

    page = deck.slides.add_slide(deck.slide_layouts[5])  # a title and nothing else
    fill = page.background.fill
    fill.solid()
    fill.fore_color.rgb = RGBColor.from_string(GROUND[theme])
    heading = page.shapes.title
    heading.left, heading.top, heading.width, heading.height = map(Inches, box)
    _style(heading.text_frame, title, theme, points)
    return page


def _write_text(page: Any, text: str, theme: str, box: tuple[float, ...], points: int) -> None:
    """A box of text; left, top, width and height in inches."""
    from pptx.util import Inches

    frame = page.shapes.add_textbox(*map(Inches, box)).text_frame
    _style(frame, text, theme, points)


def _style(frame: Any, text: str, theme: str, points: int) -> None:
    """Put a text into a frame, in the colour of the theme."""
    from pptx.dml.color import RGBColor
    from pptx.enum.text import PP_ALIGN
    from pptx.util import Pt

    frame.word_wrap = True
    frame.text = text
    paragraph = frame.paragraphs[0]
    paragraph.alignment = PP_ALIGN.LEFT
    paragraph.font.size = Pt(points)
    paragraph.font.color.rgb = RGBColor.from_string(INK[theme])


def _place(page: Any, image: bytes, words: str) -> None:
    """Put a picture into the middle of a slide, with words that stand for it."""
    from pptx.util import Inches

    width, height = Image.open(BytesIO(image)).size
    scale = min(12.5 / width, 5.3 / height)
    left = (PAGE[0] - width * scale) / 2
    box = map(Inches, (left, 0.92, width * scale, height * scale))
    shape = page.shapes.add_picture(BytesIO(image), *box)
    shape._element.nvPicPr.cNvPr.set("descr", words)


def _undated(content: bytes) -> bytes:
    """A zip file with the dates of its members fixed."""
    import zipfile

    fixed = BytesIO()
    with (
        zipfile.ZipFile(BytesIO(content)) as old,
        zipfile.ZipFile(fixed, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for member in old.infolist():
            new.writestr(zipfile.ZipInfo(member.filename), old.read(member), zipfile.ZIP_DEFLATED)
    return fixed.getvalue()


# --- the command line -----------------------------------------------------------------------------


def main(argv: list[str]) -> None:
    """Run ``python -m diffviz slides``.

    Args:
        argv: Arguments after ``slides``.

    Raises:
        SystemExit: The arguments cannot be read.
        ValueError: A figure or the ending of the file is unknown.
    """
    parser = ArgumentParser(
        "python -m diffviz slides",
        description="Write a deck of the figures, all in the order of the talk by default.",
    )
    parser.add_argument("names", nargs="*", help="names of figures, in the order of the deck")
    parser.add_argument(
        "--out", default="slides.html", help=".html or .pptx (default: slides.html)"
    )
    parser.add_argument("--theme", default="slide", choices=THEMES, help="default: slide")
    parser.add_argument("--title", default=TITLE, help="what stands on the first slide")
    args = parser.parse_args(argv)
    print(write(args.out, args.names or None, args.theme, args.title))
