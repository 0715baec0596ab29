"""The files that ship with the package.

Small images and point sets; ``data/README.md`` states the licence and checksum of each.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffviz.checks import require, unknown

PACKAGE = Path(__file__).parents[1]
INSTALLED = PACKAGE / "_data"  # where a wheel puts the folder ``data`` of the repository
FOLDER = INSTALLED if INSTALLED.is_dir() else PACKAGE.parent / "data"


def load(name: str) -> dict[str, NDArray]:
    """Arrays of a file of ``data/``.

    Args:
        name: "digits" or "fashion" (arrays "images" and "labels"), or "photos" (eight by name).

    Returns:
        The arrays by name, in the integer types of the file.

    Raises:
        TypeError: The name is no text.
        ValueError: There is no such file; the message has near names.
    """
    require(isinstance(name, str), f"a data file is named by text, got {name!r}", TypeError)
    files = {file.stem: file for file in sorted(FOLDER.glob("*.npz"))}
    if name not in files:
        raise unknown("data file", name, files, "data/README.md")
    with np.load(files[name], allow_pickle=False) as arrays:
        return dict(arrays)
