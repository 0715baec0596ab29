"""What a notebook says and prints, in which tests look for the numbers that they compute again."""

import re
from pathlib import Path

import nbformat

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


def cells(name: str) -> list:
    """The cells of a notebook."""
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", 4).cells


def prose(name: str) -> str:
    """The text of a notebook in one line, with hyphens in the place of minus signs."""
    text = " ".join(cell.source for cell in cells(name) if cell.cell_type == "markdown")
    return re.sub(r"\s+", " ", text.replace("−", "-"))


def printed(name: str) -> str:
    """What the code of a notebook has printed."""
    outputs = [
        output for cell in cells(name) if cell.cell_type == "code" for output in cell.outputs
    ]
    return "\n".join(output.text for output in outputs if "text" in output)


def assert_says(text: str, *claims: str) -> None:
    """Assert that a text contains each claim, with hyphens in the place of minus signs."""
    for claim in claims:
        plain = claim.replace("−", "-")
        assert plain in text, f"the prose does not say {plain!r}"


def percent(share: float, digits: int = 1) -> str:
    """A share as notebooks write it: 12.3 %."""
    return f"{100 * share:.{digits}f} %"
