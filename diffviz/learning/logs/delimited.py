"""Logs in CSV: a header, and rows with commas, semicolons or tabs between their cells."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from diffviz.checks import require
from diffviz.learning.logs.table import Chunk, Table

SIZE = 2**20  # characters that are read together
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}


def read_csv(file: Path) -> Table:
    """The table of a file of delimited text.

    Args:
        file: The file; its first line names the columns.

    Returns:
        The table.

    Raises:
        ValueError: There is no header, or nothing below it.
    """
    with file.open(encoding="utf-8-sig", newline="") as stream:
        header = stream.readline()
        below = stream.readline()
    delimiter = max(DELIMITERS, key=header.count)
    names = tuple(name.strip() for name in next(csv.reader([header], delimiter=delimiter)))
    require(
        not any(_is_number(name) for name in names),
        f"the first line of {file} must name the columns, such as timestep,loss; got "
        f"{header.strip()!r}",
    )
    require(below.strip(), f"{file} is empty: it has no rows below its header {', '.join(names)}")

    def read(wanted: Sequence[str], remarks: list[str]) -> Iterator[Chunk]:
        return _chunks(file, delimiter, names, wanted, remarks)

    return Table(str(file), f"CSV with {DELIMITERS[delimiter]}", names, read)


def _is_number(text: str) -> bool:
    """Whether a text is a number."""
    try:
        float(text.replace(",", "."))
    except ValueError:
        return False
    return True


def _chunks(
    file: Path, delimiter: str, names: tuple[str, ...], wanted: Sequence[str], remarks: list[str]
) -> Iterator[Chunk]:
    """The wanted columns of a file in chunks; rows of another length are remarked."""
    places = [names.index(name) for name in wanted if name in names]
    wrong: list[int] = []
    number = 1
    with file.open(encoding="utf-8-sig", newline="") as stream:
        stream.readline()
        while lines := stream.readlines(SIZE):
            columns = _numeric_columns(lines, delimiter, len(names), places)
            if columns is None:
                columns = _text_columns(lines, delimiter, len(names), places, number, wrong)
            cells = dict(zip([names[place] for place in places], columns, strict=True))
            empty = [None] * len(columns[0])
            yield {name: cells.get(name, empty) for name in wanted}
            number += len(lines)
    if wrong:
        fate = "and was" if wrong == [number] else "; such rows were"
        place = "the last one, is cut" if wrong == [number] else f"the first is line {wrong[0]}"
        remarks.append(f"{len(wrong)} of {number - 1} rows lack cells, {place} {fate} left out")


def _numeric_columns(
    lines: list[str], delimiter: str, size: int, places: list[int]
) -> list[Any] | None:
    """Columns of numbers, shape (columns, rows); None where a cell is no number."""
    is_blank = not any(line.strip() for line in lines)
    if is_blank or lines[-1].count(delimiter) < size - 1:  # the last line may be cut
        return None
    try:
        rows = np.loadtxt(
            lines, delimiter=delimiter, usecols=places, ndmin=2, quotechar='"', comments=None
        )
    except ValueError:  # text, an empty cell, a row that is cut
        return None
    return list(rows.T)


def _text_columns(
    lines: list[str],
    delimiter: str,
    size: int,
    places: list[int],
    number: int,
    wrong: list[int],
) -> list[Any]:
    """Columns of text; the numbers of rows of another length are added to ``wrong``."""
    rows = []
    for at, row in enumerate(csv.reader(lines, delimiter=delimiter), number + 1):
        if len(row) == size:
            rows.append(row)
        elif row:
            wrong.append(at)
    columns = list(zip(*rows, strict=True)) if rows else [()] * size
    return [columns[place] for place in places]
