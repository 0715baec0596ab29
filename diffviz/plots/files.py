"""Files whose bytes do not change from run to run."""

import re
from io import BytesIO
from pathlib import Path as File

import matplotlib
from matplotlib.figure import Figure

from diffviz import checks

DPI = 150  # pixels per inch of a picture
MOST_DPI = 1200.0
NOT_IN_XML = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]")  # XML 1.0, section 2.2
# What each format would write of its date or its program, left out.
UNDATED: dict[str, dict[str, None]] = {
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
    ".png": {"Software": None},
}


def save(figure: Figure, path: str | File, dpi: float = DPI) -> File:
    """Write a figure to a file, with the same bytes on every run.

    Args:
        figure: The figure, such as ``ax.figure``.
        path: Where to write. Its ending, .svg, .pdf or .png, says the format. Folders that are
            missing are made.
        dpi: Pixels per inch of a PNG.

    Returns:
        The path of the file.

    Raises:
        TypeError: ``figure`` is no Matplotlib figure, or ``path`` is no path.
        ValueError: The path has another ending, ``dpi`` is not within [1, 1200], or a text of the
            figure holds characters that an SVG cannot hold.
    """
    _check_figure(figure)
    if not isinstance(path, (str, File)):
        raise TypeError(f"path must be text or a path, got {path!r}")
    file = checks.place(path)
    if file.suffix.lower() not in UNDATED:
        given = checks.brief(str(path))
        raise ValueError(
            f"cannot write {given}: of a path the ending is one of {', '.join(UNDATED)}"
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(encoded(figure, file.suffix.lower(), dpi))
    return file


def encoded(figure: Figure, ending: str, dpi: float = DPI) -> bytes:
    """A figure as the bytes of a file, the same on every run.

    Args:
        figure: The figure.
        ending: ".svg", ".pdf" or ".png".
        dpi: Pixels per inch of a PNG.

    Returns:
        The bytes.

    Raises:
        ValueError: The ending is another one, ``dpi`` is not within [1, 1200], or a text of the
            figure holds characters that an SVG cannot hold.
    """
    _check_figure(figure)
    checks.one_of(ending, "ending", UNDATED)
    dpi = checks.number(dpi, "dpi", 1.0, MOST_DPI)
    buffer = BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "diffviz"}):
        try:
            figure.savefig(buffer, format=ending[1:], metadata=UNDATED[ending], dpi=dpi)
        except UnicodeEncodeError as error:
            raise _unwritable(error.object[error.start]) from error
    content = buffer.getvalue()
    forbidden = NOT_IN_XML.search(content) if ending == ".svg" else None
    if forbidden:
        raise _unwritable(forbidden[0].decode())
    return content


def _check_figure(figure: object) -> None:
    """Refuse what is no figure, such as Axes."""
    message = f"figure must be a Matplotlib figure, such as ax.figure; got {figure!r}"
    checks.require(isinstance(figure, Figure), message, TypeError)


def _unwritable(character: str) -> ValueError:
    """The error for a character that a file of this format cannot hold."""
    return ValueError(
        f"a name, label or gid of the figure holds {character!r}, which cannot be written; "
        "leave it out"
    )
