"""Files whose bytes do not change from run to run."""

from io import BytesIO
from pathlib import Path as File

import matplotlib
from matplotlib.figure import Figure

from diffviz import checks

DPI = 150  # pixels per inch of a picture
MOST_DPI = 1200.0
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
        ValueError: The path has another ending, or ``dpi`` is not within [1, 1200].
    """
    message = f"figure must be a Matplotlib figure, such as ax.figure; got {figure!r}"
    checks.require(isinstance(figure, Figure), message, TypeError)
    if not isinstance(path, (str, File)):
        raise TypeError(f"path must be text or a path, got {path!r}")
    file = File(path)
    if file.suffix not in UNDATED:
        raise ValueError(f"cannot write {str(path)!r}: the ending is one of {', '.join(UNDATED)}")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(encoded(figure, file.suffix, dpi))
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
        ValueError: The ending is another one, or ``dpi`` is not within [1, 1200].
    """
    checks.one_of(ending, "ending", UNDATED)
    dpi = checks.number(dpi, "dpi", 1.0, MOST_DPI)
    buffer = BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "diffviz"}):
        figure.savefig(buffer, format=ending[1:], metadata=UNDATED[ending], dpi=dpi)
    return buffer.getvalue()
