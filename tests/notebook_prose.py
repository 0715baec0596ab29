"""The prose of a notebook, in which tests look for the numbers that they compute again."""

import re
from pathlib import Path

import nbformat

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


def prose(name: str) -> str:
    cells = nbformat.read(NOTEBOOKS / f"{name}.ipynb", 4).cells
    return re.sub(
        r"\s+",
        " ",
        " ".join(c.source for c in cells if c.cell_type == "markdown").replace("−", "-"),
    )
