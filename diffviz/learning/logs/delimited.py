"""Logs in CSV: a header, and rows with commas, semicolons or tabs between their cells."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from diffviz.checks import require
from diffviz.learning.logs import table
from diffviz.learning.logs.table import Chunk, Table

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
    size = len(names)
    wrong: list[int] = []
    number = 1
    with file.open(encoding="utf-8-sig", newline="") as stream:
        rows = csv.reader(stream, delimiter=delimiter)
        next(rows)
        for chunk in table.batched(rows):
            whole = [row for row in chunk if len(row) == size]
            if len(whole) < len(chunk):
                wrong += [
                    number + at for at, row in enumerate(chunk, 1) if len(row) != size and row
                ]
            number += len(chunk)
            cells = dict(zip(names, zip(*whole, strict=True), strict=True)) if whole else {}
            empty = [None] * len(whole)
            yield {name: cells.get(name, empty) for name in wanted}
    if wrong:
        cut = "the last one is cut and was left out" if wrong == [number] else "they were left out"
        remarks.append(f"{len(wrong)} rows lack cells, the first is line {wrong[0]}; {cut}")
