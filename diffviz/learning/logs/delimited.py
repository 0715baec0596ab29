"""Logs in CSV: a header, and rows with commas, semicolons, tabs or bars between their cells."""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from diffviz.checks import require
from diffviz.learning.logs import cells, columns, text
from diffviz.learning.logs.table import Chunk, Table

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "spaces"}
DECIMAL_COMMA = re.compile(r"\s*[+-]?\d+,\d+(?:[eE][+-]?\d+)?\s*")
DECIMAL_POINT = re.compile(DECIMAL_COMMA.pattern.replace(",", r"\."))
COMMENT = "#"  # before a header, or before the lines above it


@dataclass(frozen=True)
class Header:
    """The first lines of a file.

    Args:
        delimiter: What stands between cells.
        names: Names of the columns.
        above: Number of lines up to the header.
    """

    delimiter: str
    names: tuple[str, ...]
    above: int


@dataclass(eq=False)
class LeftOut:
    """Rows that were left out.

    Args:
        short: Numbers of the lines that lack cells.
        long: Numbers of the lines with more cells than names.
        cells: Number of cells of the first of these.
        last: Number of the last line.
        is_cut: Whether the last line ends within a number.
    """

    short: list[int] = field(default_factory=list)
    long: list[int] = field(default_factory=list)
    cells: int = 0
    last: int = 1
    is_cut: bool = False

    def remarks(self, rows: int) -> list[str]:
        """What to say about them."""
        remarks = []
        if self.short:
            alone = self.short == [self.last]
            place = "the last one, is cut" if alone else f"the first is line {self.short[0]}"
            fate = "and was" if alone else "; such rows were"
            remarks.append(f"{len(self.short)} of {rows} rows lack cells, {place} {fate} left out")
        if self.long:
            remarks.append(
                f"{len(self.long)} of {rows} rows have more cells than the header names, the first "
                f"is line {self.long[0]}; such rows were left out"
            )
        if self.is_cut:
            remarks.append(f"line {self.last}, the last one, is cut and was left out")
        return remarks


def read_csv(file: Path) -> Table:
    """The table of a file of delimited text.

    Args:
        file: The file. Its first line names the columns; comments and empty lines may be above.

    Returns:
        The table.

    Raises:
        ValueError: There is no header, or nothing below it.
    """
    header = _header_of(file)
    words = ", ".join(header.names[: columns.SHOWN])
    lines = chain.from_iterable(text.pieces_of(file))
    has_rows = any(line.strip() for number, line in enumerate(lines) if number >= header.above)
    require(has_rows, f"{file} is empty: it has no rows below its header {words}")

    def read(wanted: Sequence[str], remarks: list[str]) -> Iterator[Chunk]:
        return _chunks(file, header, wanted, remarks)

    return Table(str(file), f"CSV with {DELIMITERS[header.delimiter]}", header.names, read)


def _header_of(file: Path) -> Header:
    """The header of a file; of one that is written by NumPy it is a comment."""
    comment = ""
    for number, line in enumerate(chain.from_iterable(text.pieces_of(file)), 1):
        if not line.strip():
            continue
        if line.startswith(COMMENT):
            comment = line.lstrip(f"{COMMENT} ")
            continue
        delimiter = _delimiter_of(line)
        names = _names_in(line, delimiter)
        if not any(map(_is_number, names)):
            return Header(delimiter, names, number)
        if len(_names_in(comment, delimiter)) == len(names):
            return Header(delimiter, _names_in(comment, delimiter), number - 1)
        raise ValueError(
            f"the first line of {file} must name the columns, such as timestep,loss; got "
            f"{line.strip()[: columns.WIDTH]!r}"
        )
    raise ValueError(f"{file} is empty: it has no header")


def _delimiter_of(line: str) -> str:
    """What stands between the cells of a line; spaces only where there is nothing else."""
    best = max(list(DELIMITERS)[:-1], key=line.count)
    return best if best in line else " "


def _names_in(line: str, delimiter: str) -> tuple[str, ...]:
    """The cells of a header."""
    names = next(_rows([line], delimiter), [])
    return tuple(name.strip() for name in names)


def _rows(lines: Sequence[str], delimiter: str) -> Iterator[list[str]]:
    """The cells of some lines; several spaces in a row are one."""
    if delimiter != " ":
        return csv.reader(lines, delimiter=delimiter)
    return csv.reader([line.strip() for line in lines], delimiter=" ", skipinitialspace=True)


def _is_number(word: str) -> bool:
    """Whether a text is a number."""
    try:
        float(word.replace(",", "."))
    except ValueError:
        return False
    return True


def _chunks(
    file: Path, header: Header, wanted: Sequence[str], remarks: list[str]
) -> Iterator[Chunk]:
    """The wanted columns of a file in chunks; rows of another length are remarked."""
    places = [header.names.index(name) for name in wanted if name in header.names]
    present = [header.names[place] for place in places]
    left_out = LeftOut()
    number = kept = 0
    for lines in text.pieces_of(file):
        rows = lines[max(0, header.above - number) :]
        parts = _numeric_columns(rows, header, places)
        if parts is None:
            parts = _text_columns(rows, header, places, number + len(lines) - len(rows), left_out)
        number += len(lines)
        kept += len(parts[0])
        read = dict(zip(present, parts, strict=True))
        empty = [None] * len(parts[0])
        yield {name: read.get(name, empty) for name in wanted}
    _refuse_other_columns(left_out, kept, file, header)
    left_out.last = number
    remarks += left_out.remarks(number - header.above)


def _refuse_other_columns(left_out: LeftOut, kept: int, file: Path, header: Header) -> None:
    """Refuse a file whose cells have no names: most of its rows have more cells than the header."""
    if len(left_out.long) <= kept:
        return
    raise ValueError(
        f"line {left_out.long[0]} of {file} has {left_out.cells} cells, but the header names "
        f"{len(header.names)}, so that it cannot be told which is which: give row names a name in "
        "the header, and write decimal points, or semicolons between cells with decimal commas"
    )


def _numeric_columns(lines: list[str], header: Header, places: list[int]) -> list[Any] | None:
    """Columns of numbers, shape (columns, rows); None where a cell is no number.

    None too where a row seems to have more or fewer cells than there are names, of which NumPy
    would take the first ones.
    """
    spaces = header.delimiter == " "
    size = len(header.names)
    filled = [line for line in lines if line.strip()]
    counts = (len(x.split()) if spaces else x.count(header.delimiter) + 1 for x in filled)
    if not filled or any(count != size for count in counts):
        return None
    try:
        rows = np.loadtxt(
            filled,
            delimiter=None if spaces else header.delimiter,
            usecols=places,
            ndmin=2,
            quotechar='"',
            comments=None,
        )
    except ValueError:  # text, an empty cell, a row that is cut
        return None
    return list(rows.T)


def _text_columns(
    lines: list[str], header: Header, places: list[int], number: int, left_out: LeftOut
) -> list[Any]:
    """Columns of text of lines behind ``number`` others; what is left out goes to ``left_out``."""
    size = len(header.names)
    rows = list(_whole_rows(lines, header, number, left_out))
    if rows and not lines[-1].endswith(("\n", "\r")):
        left_out.is_cut = _ends_in_a_number(rows, places)
        rows = rows[: len(rows) - left_out.is_cut]
    parts = list(zip(*rows, strict=True)) if rows else [()] * size
    wanted = [parts[place] for place in places]
    return wanted if header.delimiter == "," else _with_points(wanted)


def _whole_rows(
    lines: list[str], header: Header, number: int, left_out: LeftOut
) -> Iterator[list[str]]:
    """The rows with a cell for each name; the others are counted in ``left_out``."""
    size = len(header.names)
    for at, row in enumerate(_rows(lines, header.delimiter), number + 1):
        if len(row) >= size and not any(row[size:]):  # a separator may end each row
            yield row[:size]
        elif len(row) > size:
            left_out.cells = left_out.cells or len(row)
            left_out.long.append(at)
        elif row:
            left_out.short.append(at)


def _with_points(parts: list[Any]) -> list[Any]:
    """Columns of text with a decimal point for each decimal comma, if no number has a point."""
    if any(DECIMAL_POINT.fullmatch(cell) for part in parts for cell in part):
        return parts
    return [
        [cell.replace(",", ".") if DECIMAL_COMMA.fullmatch(cell) else cell for cell in part]
        for part in parts
    ]


def _ends_in_a_number(rows: list[list[str]], places: list[int]) -> bool:
    """Whether the last cell of the last row is the beginning of a number, such as "1.5e-"."""
    last = rows[-1][-1]
    if len(rows[-1]) - 1 not in places or len(rows) < 2:
        return False
    return cells.reads(rows[-2][-1]) and bool(last) and not cells.reads(last)
