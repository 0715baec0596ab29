"""The files that ship with the package: small images and point sets, each with a licence and checksum."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffviz.checks import unknown

PACKAGE = Path(__file__).parents[1]
INSTALLED = PACKAGE / "_data"  # where a wheel puts the folder ``data`` of the repository
FOLDER = INSTALLED if INSTALLED.is_dir() else PACKAGE.parent / "data"


def load(name: str) -> dict[str, NDArray]:
    """Arrays of a file of ``data/``: "digits" and "fashion" (images, labels) or "photos" (eight by name); else ValueError."""
    files = {file.stem: file for file in sorted(FOLDER.glob("*.npz"))}
    if name not in files:
        raise unknown("data file", name, files, "data/README.md")
    with np.load(files[name]) as found:
        return dict(found)
