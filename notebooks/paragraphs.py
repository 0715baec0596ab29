"""Report paragraphs with more than three numbers: they want a table or a figure.

    python notebooks/paragraphs.py [NAME.ipynb ...]

Formulas, code, links, tables and headings are not counted. A paragraph is what stands between blank
lines, and each item of a list is one.
"""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat

HERE = Path(__file__).parent
MOST = 3
NOT_PROSE = (
    r"```.*?```",  # code
    r"`[^`]*`",
    r"\$\$.*?\$\$",  # formulas
    r"\$[^$]*\$",
    r"\[[^\]]*\]\([^)]*\)",  # links and citations
    r"^\|.*$",  # tables
    r"^#.*$",  # headings
    r"^<[^>]*>.*$",  # folds
    r"\*\*\d+\.\*\*",  # numbers of exercises
    r"\[[−\d., -]+\]",  # intervals
    r"N\([^)]*\)",  # Gaussian laws
    r"[|]?λ[|]? ?[=≈]? ?[−-]?\d+(\.\d+)?",  # places on the axis
    r"notebooks? \d( to \d)?",
    r"(Barten|Daly|Sakrison|Kiorpes) \d{4}",  # names of curves
)
NUMBER = re.compile(r"(?<![\w.])[−-]?\d[\d,]*(?:\.\d+)?(?:e[−-]?\d+)?")


def prose(text: str) -> str:
    """Markdown without what is not counted."""
    for pattern in NOT_PROSE:
        text = re.sub(
            pattern, " ", text, flags=re.S if "`" in pattern or "$" in pattern[:3] else re.M
        )
    return text


def paragraphs(text: str) -> list[str]:
    """The paragraphs of a Markdown cell, as they are read."""
    blocks = re.split(r"\n\s*\n|\n(?=- |\d+\. )", prose(text))
    return [" ".join(block.split()) for block in blocks if block.strip()]


def crowded(file: Path, most: int = MOST) -> Iterator[tuple[int, str]]:
    """The paragraphs of a notebook with more numbers than that, with their count."""
    for cell in nbformat.read(file, 4).cells:
        if cell.cell_type == "markdown":
            for paragraph in paragraphs(cell.source):
                found = len(NUMBER.findall(paragraph))
                if found > most:
                    yield found, paragraph


def main() -> None:
    """Print the crowded paragraphs of the named notebooks, or of all."""
    parser = argparse.ArgumentParser(description="Report paragraphs with many numbers.")
    parser.add_argument("names", nargs="*", metavar="NAME.ipynb", help="default: all")
    options = parser.parse_args()
    for file in [HERE / name for name in options.names] or sorted(HERE.glob("*.ipynb")):
        found = list(crowded(file))
        print(f"{file.name}: {len(found)} paragraphs with more than {MOST} numbers")
        for count, paragraph in found:
            print(f"  {count:3}  {paragraph[:150]}")


if __name__ == "__main__":
    main()
