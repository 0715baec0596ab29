"""Files whose bytes do not change from run to run."""

from io import BytesIO
from pathlib import Path as File

import matplotlib
from matplotlib.figure import Figure

from diffviz import checks

# What each format would write of its date or its program, left out.
UNDATED: dict[str, dict[str, None]] = {
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None},
    ".png": {"Software": None},
}


def save(figure: Figure, path: str | File) -> File:
    """Write a figure to a file, with the same bytes on every run.

    Args:
        figure: The figure, such as ``ax.figure``.
        path: Where to write. Its ending, .svg, .pdf or .png, says the format. Folders that are
            missing are made.

    Returns:
        The path of the file.

    Raises:
        TypeError: ``figure`` is no Matplotlib figure, or ``path`` is no path.
        ValueError: The path has another ending.
    """
    message = f"figure must be a Matplotlib figure, such as ax.figure; got {figure!r}"
    checks.require(isinstance(figure, Figure), message, TypeError)
    if not isinstance(path, (str, File)):
        raise TypeError(f"path must be text or a path, got {path!r}")
    file = File(path)
    if file.suffix not in UNDATED:
        raise ValueError(f"cannot write {str(path)!r}: the ending is one of {', '.join(UNDATED)}")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(encoded(figure, file.suffix))
    return file


def encoded(figure: Figure, ending: str) -> bytes:
    """A figure as the bytes of a file, the same on every run.

    Args:
        figure: The figure.
        ending: ".svg", ".pdf" or ".png".

    Returns:
        The bytes.

    Raises:
        ValueError: The ending is another one.
    """
    checks.one_of(ending, "ending", UNDATED)
    buffer = BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "diffviz"}):
        figure.savefig(buffer, format=ending[1:], metadata=UNDATED[ending], dpi=150)
    return buffer.getvalue()
