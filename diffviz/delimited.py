"""Tables of numbers, in text and in frames, with the place of whatever cannot be read.

The first line of cells decides how a table is written. A tab or a semicolon in it separates the
cells, and a number may then have a decimal comma; else commas do, else white space. If no cell of
the first line is a number, it holds the names of the columns; a comment ("# t,weight") may hold
them too. Every cell after that is a finite number, or the error says in which row and column not.
A frame is anything with named columns, such as those of pandas and polars.
"""

import codecs
import csv
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from diffviz.checks import attribute, has, holds_mask, real_numbers, require

COMMENT = "#"
STORED_INDEX = "__index_level_"  # before the number of an index that pandas writes to parquet
MISSING = ("NAType", "NaTType", "MaskedConstant")  # what pandas and NumPy put for nothing
SEPARATOR_LINES = ("sep=,", "sep=;", "sep=\\t", "sep=\t")  # what spreadsheets write above a table


class Frame(Protocol):
    """A table with named columns, such as a frame of pandas or polars."""

    @property
    def columns(self) -> Iterable[Any]:
        """The names of the columns."""

    def __getitem__(self, name: Any) -> Any:
        """The values of a column."""


@dataclass(frozen=True, eq=False)
class Columns:
    """A table of numbers.

    Args:
        values: The numbers, shape (rows, columns).
        names: Names of the columns, or none.
        source: What messages call the table.
    """

    values: NDArray
    names: tuple[str, ...]
    source: str

    def without_index(self) -> "Columns":
        """The table without columns that are an index; a warning says which are dropped.

        It is a first column without a name, and wherever they stand those that pandas writes to
        parquet.
        """
        dropped = [
            place
            for place, name in enumerate(self.names)
            if name.startswith(STORED_INDEX) or (place == 0 and is_index(name))
        ]
        if not dropped or len(dropped) == len(self.names):
            return self
        for place in dropped:
            which = "the first column" if place == 0 else f"column {place + 1}"
            warnings.warn(
                f"{self.source}: {which} has no name and is dropped as an index; "
                "give it a name to keep it",
                stacklevel=5,
            )
        kept = [place for place in range(len(self.names)) if place not in dropped]
        return Columns(self.values[:, kept], tuple(self.names[k] for k in kept), self.source)


def is_index(name: str) -> bool:
    """Whether a column has no name, as the index that pandas writes."""
    return not name or name.startswith(("Unnamed: ", STORED_INDEX))


@dataclass(frozen=True)
class Layout:
    """How a table is written.

    Args:
        delimiter: What separates cells; None is white space.
        decimal: "," or ".".
    """

    delimiter: str | None
    decimal: str


@dataclass(frozen=True)
class Line:
    """A line with cells.

    Args:
        number: Its number in the text, from 1.
        text: The line.
    """

    number: int
    text: str


def read_file(path: Path) -> Columns:
    """The table in a text file.

    Args:
        path: The file, in UTF-8.

    Returns:
        The table.

    Raises:
        OSError: The file cannot be opened.
        ValueError: It is no text, or holds no table; see ``read_text``.
    """
    return read_text(text_of(path), str(path))


def text_of(path: Path) -> str:
    """The text of a file in UTF-8, or in UTF-16 if it starts with that mark.

    Args:
        path: The file. Spreadsheets and PowerShell write UTF-16.

    Returns:
        The text.

    Raises:
        OSError: The file cannot be opened.
        ValueError: It is no text.
    """
    content = path.read_bytes()
    is_wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    encoding = "utf-16" if is_wide else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(f"cannot read {path} as text: {error}; save it as UTF-8") from None
    is_plain = "\0" not in text and (text.isspace() or not text or re.search("[!-~]", text))
    require(is_plain, f"cannot read {path} as text: it holds no letters or zero bytes")
    return text


def read_text(text: str, source: str) -> Columns:
    """The table in a text.

    Args:
        text: The lines of the table.
        source: What messages call it.

    Returns:
        The table.

    Raises:
        ValueError: The text is empty or has names only, rows differ in length, or a cell is
            missing or no finite number; the message has its row and column.
    """
    lines, comment = _lines_of(text)
    require(lines, f"{source} is empty: there is no table in it")
    layout = _layout_of(lines)
    names, rows = _split_names(lines, layout, comment)
    require(rows, f"{source} has names of columns ({', '.join(names)}) but no numbers")
    try:
        values = _parse(rows, layout)
    except ValueError as error:
        raise _error_of(rows, layout, names, source) or ValueError(f"{source}: {error}") from None
    bad = ~np.isfinite(values)
    if bad.any() or (names and len(names) != values.shape[1]):
        raise _error_of(rows, layout, names, source) or ValueError(f"{source} is no table")
    return Columns(values, names, source)


def _lines_of(text: str) -> tuple[list[Line], str]:
    """The lines that hold cells, and the last comment before them."""
    lines: list[Line] = []
    comment = ""
    for number, line in enumerate(text.removeprefix("\ufeff").splitlines(), 1):
        if not lines and line.strip() in SEPARATOR_LINES:
            continue
        bare = line.strip(" \r\n")
        if bare.startswith(COMMENT):
            comment = comment if lines else bare.lstrip(COMMENT).strip()
        elif bare.strip():
            lines.append(Line(number, bare))
    return _without_last_separator(lines), comment


def _without_last_separator(lines: list[Line]) -> list[Line]:
    """The lines without a separator that ends each of them."""
    for separator in (",", ";"):
        if lines and all(line.text.endswith(separator) for line in lines):
            return [Line(line.number, line.text.removesuffix(separator)) for line in lines]
    return lines


def _layout_of(lines: list[Line]) -> Layout:
    """How the first line is written, and whether numbers have a decimal comma."""
    first = lines[0].text
    for delimiter in ("\t", ";"):
        if delimiter in first:
            body = lines[1:] or lines
            has_comma = any("," in line.text for line in body)
            has_point = any("." in line.text for line in body)
            return Layout(delimiter, "," if has_comma and not has_point else ".")
    return Layout("," if "," in first else None, ".")


def _cells(line: str, layout: Layout) -> list[str]:
    """The cells of a line, without quotes and the space around them."""
    if layout.delimiter is None:
        return line.split()
    row = next(csv.reader([line], delimiter=layout.delimiter, skipinitialspace=True))
    return [cell.strip() for cell in row]


def _number(cell: str, layout: Layout) -> float:
    """The number of a cell; a ValueError if it is none."""
    require("_" not in cell, "Python alone reads 1_000 as a number")
    return float(cell.replace(",", ".") if layout.decimal == "," else cell)


def _is_number(cell: str, layout: Layout) -> bool:
    """Whether a cell holds a number, NaN and infinity among them."""
    try:
        _number(cell, layout)
    except ValueError:
        return False
    return True


def _split_names(
    lines: list[Line], layout: Layout, comment: str
) -> tuple[tuple[str, ...], list[Line]]:
    """The names of the columns, from the first line or a comment before it, and the other lines."""
    first = _cells(lines[0].text, layout)
    has_names = not any(_is_number(cell, layout) for cell in first) and any(first)
    if has_names or counts_columns(first):
        return tuple(first), lines[1:]
    named = tuple(_cells(comment, layout)) if comment else ()
    is_header = len(named) == len(first) and not any(_is_number(one, layout) for one in named)
    return (named if is_header else ()), lines


def counts_columns(cells: list[str]) -> bool:
    """Whether cells are numbers of columns after an empty one, as pandas writes them."""
    return len(cells) > 1 and cells == ["", *map(str, range(len(cells) - 1))]


def _parse(rows: list[Line], layout: Layout) -> NDArray:
    """The numbers of the rows, shape (rows, columns); a ValueError if there is none somewhere."""
    texts: Iterator[str] = (row.text for row in rows)
    if layout.decimal == ",":
        texts = (text.replace(",", ".") for text in texts)
    return np.loadtxt(
        texts, delimiter=layout.delimiter, ndmin=2, comments=None, quotechar='"', dtype=np.float64
    )


def _error_of(
    rows: list[Line], layout: Layout, names: tuple[str, ...], source: str
) -> ValueError | None:
    """The error for the first row or cell that cannot be read."""
    expected = len(names) or len(_cells(rows[0].text, layout))
    for index, row in enumerate(rows, 1):
        cells = _cells(row.text, layout)
        where = f"{source}: row {index} (line {row.number})"
        if len(cells) != expected:
            return ValueError(
                f"{where} has {len(cells)} cells, not {expected}; every row has as many as the "
                "first, and a decimal comma needs semicolons or tabs between cells"
            )
        for column, cell in enumerate(cells):
            problem = _problem_of(cell, layout)
            if problem:
                place = column_of(names, column)
                return ValueError(f"{where}, {place}: {problem}; correct the row or drop it")
    return None


def _problem_of(cell: str, layout: Layout) -> str:
    """What is wrong with a cell; nothing if it holds a finite number."""
    if not cell:
        return "the cell is empty"
    if not _is_number(cell, layout):
        return f"{cell!r} is no number"
    if not np.isfinite(_number(cell, layout)):
        return f"{cell!r} is not finite"
    return ""


def column_of(names: tuple[str, ...], index: int) -> str:
    """What messages call a column: its number from 1, and its name if it has one."""
    name = names[index] if index < len(names) else ""
    return f"column {index + 1}" + (f" ({name})" if name else "")


# --- frames


def read_frame(frame: Frame, source: str) -> Columns:
    """The table in a frame; see ``read_columns``.

    Args:
        frame: The frame.
        source: What messages call it.

    Returns:
        The table.

    Raises:
        TypeError: The frame is a lazy one.
        ValueError: As in ``read_columns``, or two columns have the same name.
    """
    require(not has(frame, "collect"), f"{source} is a lazy frame: pass its collect()", TypeError)
    return read_columns(columns_of_frame(frame, source), source)


def columns_of_frame(frame: Frame, source: str) -> dict[str, Any]:
    """The columns of a frame by their names.

    Args:
        frame: The frame.
        source: What messages call it.

    Returns:
        Name to column, as the frame has it.

    Raises:
        ValueError: Two columns have the same name, so that neither can be taken.
    """
    names = list(attribute(frame, "column_names", frame.columns))  # as PyArrow calls them
    texts = [str(name) for name in names]
    for name in names:
        is_single = texts.count(str(name)) == 1
        require(is_single, f"{source} has two columns of the name {name!r}: rename one")
    return {str(name): frame[name] for name in names}


def read_columns(columns: Mapping[str, Any], source: str) -> Columns:
    """The table of named columns.

    Args:
        columns: The values of each column, shape (rows,), by its name.
        source: What messages call the table.

    Returns:
        The table.

    Raises:
        TypeError: A column is a masked array, or a tensor of complex numbers.
        ValueError: There are no columns or no rows, or a cell is missing or no finite number; the
            message has its row and column.
    """
    require(columns, f"{source} has no columns")
    names = tuple(columns)
    parts = [_column(columns[name], names, index, source) for index, name in enumerate(names)]
    require(len(parts[0]), f"{source} has columns ({', '.join(names)}) but no rows")
    lengths = [len(part) for part in parts]
    require(
        len(set(lengths)) == 1,
        f"the columns of {source} ({', '.join(names)}) differ in length: {lengths}; cut or fill",
    )
    return Columns(np.column_stack(parts), names, source)


def _column(values: Any, names: tuple[str, ...], index: int, source: str) -> NDArray:
    """A column as float64; a ValueError with the row of the first cell that is no number."""
    values = _plain(values, f"{source}, {column_of(names, index)}")
    cells = np.asarray(values)
    require(cells.ndim == 1, f"{source}, {column_of(names, index)}: a cell holds one number")
    if cells.dtype.kind in "biuf":
        numbers = cells.astype(np.float64)
    elif cells.dtype.kind in "cmM" and not isinstance(values, list):
        # NumPy would drop imaginary parts, and count nanoseconds
        numbers = np.full(len(cells), np.nan)
    else:  # as the cells are: NumPy makes text of numbers beside text
        cells = np.asarray(values, dtype=object)
        numbers = np.array([_number_in(cell) for cell in cells], dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(numbers))
    if bad.size:
        row = int(bad[0])
        problem = _problem_in(cells[row])
        raise ValueError(
            f"{source}: row {row + 1}, {column_of(names, index)}: {problem}; "
            "correct the row or drop it"
        )
    return numbers


def _plain(values: Any, name: str) -> Any:
    """A column that NumPy can read: tensors lose their gradients, and masked arrays are refused."""
    if has(values, "detach") or holds_mask(values):
        return real_numbers(values, name)
    if isinstance(values, list | tuple):
        return [real_numbers(one, name) if has(one, "detach") else one for one in values]
    return values


def _is_missing(cell: Any) -> bool:
    """Whether a cell of a frame holds nothing: None, NaN or pandas' NA."""
    if cell is None or type(cell).__name__ in MISSING:
        return True
    return isinstance(cell, (float, np.floating)) and bool(np.isnan(cell))


def _number_in(cell: Any) -> float:
    """A cell of a frame as a number; NaN if it is none. Text that reads as a number is none."""
    is_number = isinstance(cell, int | float) or has(cell, "as_integer_ratio")
    is_number = is_number or isinstance(cell, np.integer | np.floating)
    is_other = isinstance(cell, np.timedelta64)  # which NumPy counts among the integers
    return float(cell) if is_number and not is_other and not _is_missing(cell) else np.nan


def _problem_in(cell: Any) -> str:
    """What is wrong with a cell of a frame."""
    if _is_missing(cell):
        return "the cell is missing"
    if np.isinf(_number_in(cell)):
        return f"{cell!r} is not finite"
    return f"{cell!r} is no number"
