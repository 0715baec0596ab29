"""Write a figure to a file whose bytes do not change from run to run."""

from pathlib import Path as File

import matplotlib
from matplotlib.figure import Figure


def save(figure: Figure, path: str | File) -> File:
    """Write a figure (SVG, PDF or PNG by its ending, ValueError for another), the same bytes on every run."""
    file = File(path)
    undated = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}, ".png": {"Software": None}}
    if file.suffix not in undated:
        raise ValueError(f"cannot write {file.name!r}: the ending is one of {', '.join(undated)}")
    file.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context({"svg.hashsalt": "diffviz"}):
        figure.savefig(file, metadata=undated[file.suffix], dpi=150)
    return file
