"""Cells of a log as numbers: one row for each sample.

A cell may hold one number, or a list with one for each sample of a batch. A loss that is the mean
over several levels is refused: which of them it came from can no longer be told.
"""

import json
import re
import reprlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffviz import checks
from diffviz.delimited import MISSING
from diffviz.learning.logs.columns import WIDTH, Columns
from diffviz.learning.logs.table import Chunk, Table

NAMES_OF_NAN = {"nan", "+nan", "-nan", "none", "null", "<na>"}
# how a tensor prints itself: tensor(0.5, device='cuda:0'), array([1., 2.])
PRINTED = re.compile(r"(?:tensor|array|Tensor)\((.*?)(?:,\s*\w+=.*)?\)", re.DOTALL)
DATES = (np.datetime64, np.timedelta64)
NOT_CONVERTED = (bool, np.bool_, complex, np.complexfloating, np.ndarray, *DATES)
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")  # or a decimal comma: nothing tells
LIST = re.compile(r"[\s,\[\]]+")  # between the numbers of a list, as Python or NumPy prints it

shown = reprlib.Repr()
shown.maxstring = shown.maxother = WIDTH


@dataclass(frozen=True, eq=False)
class Samples:
    """The samples of a log, in its order.

    Args:
        level: Noise level as it was logged, shape (n,).
        loss: Loss as it was logged, shape (n,).
        step: Step, shape (n,); the number of the row where there is no column of steps.
        run: Name of the run, shape (n,), or None.
        settings: Name of a setting to its values, each of shape (n,).
        passed_over: Number of rows without level or loss.
        remarks: What was met on the way.
    """

    level: NDArray
    loss: NDArray
    step: NDArray
    run: NDArray | None
    settings: dict[str, NDArray]
    passed_over: int
    remarks: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.loss)

    def at(self, chosen: NDArray) -> "Samples":
        """Some of the samples, by a mask or by places."""
        return Samples(
            level=self.level[chosen],
            loss=self.loss[chosen],
            step=self.step[chosen],
            run=None if self.run is None else self.run[chosen],
            settings={name: values[chosen] for name, values in self.settings.items()},
            passed_over=self.passed_over,
            remarks=self.remarks,
        )


@dataclass(frozen=True, eq=False)
class Piece:
    """The samples of a chunk of rows.

    Args:
        row: Row of each sample within the chunk, shape (n,).
        level: Noise level, shape (n,).
        loss: Loss, shape (n,).
    """

    row: NDArray
    level: NDArray
    loss: NDArray


def samples_of(table: Table, columns: Columns) -> Samples:
    """Read the columns of a log.

    Args:
        table: The log.
        columns: Which columns hold what.

    Returns:
        Its samples.

    Raises:
        ValueError: A loss is the mean over several levels, a cell holds text, or no row has both a
            level and a loss.
    """
    remarks: list[str] = []
    pieces: list[Piece] = []
    steps: list[NDArray] = []
    kept: dict[str, list[NDArray]] = {name: [] for name in _words(columns)}
    rows = 0
    for chunk in table.read(columns.names, remarks):
        piece = _piece(chunk, columns, rows)
        pieces.append(piece)
        steps.append(_steps(chunk, columns, rows, piece.row))
        for name, parts in kept.items():
            parts.append(_text(chunk[name])[piece.row])
        rows += len(chunk[columns.loss])
    _check_any(pieces, table, columns, rows)
    words = {name: np.concatenate(parts) for name, parts in kept.items()}
    return Samples(
        level=np.concatenate([piece.level for piece in pieces]),
        loss=np.concatenate([piece.loss for piece in pieces]),
        step=np.concatenate(steps),
        run=words.get(str(columns.run)),
        settings={name: words[name] for name in columns.settings},
        passed_over=rows - sum(len(np.unique(piece.row)) for piece in pieces),
        remarks=tuple(remarks),
    )


def _check_any(pieces: list[Piece], table: Table, columns: Columns, rows: int) -> None:
    """Refuse a log of which no row has both a level and a loss."""
    if any(len(piece.loss) for piece in pieces):
        return
    raise ValueError(
        f"no row of {table.source} has both {columns.level!r} and {columns.loss!r} "
        f"({rows} rows); log them in the same row, or name other columns of "
        f"{', '.join(table.names)}"
    )


def _words(columns: Columns) -> list[str]:
    """The columns that are read as text."""
    return [*([columns.run] if columns.run is not None else []), *columns.settings]


def _text(cells: Sequence[Any]) -> NDArray:
    """Cells as text, empty where there is none."""
    return np.array(["" if cell is None else str(cell) for cell in cells], dtype=object)


def _steps(chunk: Chunk, columns: Columns, rows: int, at: NDArray) -> NDArray:
    """The step of some rows; the number of the row where the log has no steps."""
    if columns.step is None:
        return rows + at.astype(float)
    cells = chunk[columns.step]
    numbers = _numbers(cells)
    if numbers is not None:
        steps = numbers[at]
    else:  # of a row that does not count, the step may be missing
        steps = np.array([_one(cells[int(row)], columns.step, rows + int(row)) for row in at])
    lost = np.flatnonzero(~np.isfinite(steps))
    if len(lost):
        row = int(at[lost[0]])
        raise _step_error(cells[row], columns.step, rows + row)
    return steps


def _one(cell: Any, name: str, row: int) -> float:
    """The one number of a cell."""
    numbers = _parsed_in(cell, name, row)
    if isinstance(numbers, float):
        return numbers
    raise _step_error(cell, name, row)


def _step_error(cell: Any, name: str, row: int) -> ValueError:
    """What to raise for a cell that holds no step."""
    return ValueError(
        f"{name!r} must hold one number a row, got {shown.repr(cell)} in row {row}; name another "
        "column by step="
    )


def _piece(chunk: Chunk, columns: Columns, rows: int) -> Piece:
    """The samples of a chunk that has ``rows`` rows before it."""
    levels, losses = chunk[columns.level], chunk[columns.loss]
    level, loss = _numbers(levels), _numbers(losses)
    if level is None or loss is None:
        return _expanded(levels, losses, columns, rows)
    whole = np.flatnonzero(_is_given(levels, level) & _is_given(losses, loss) & _any(level, loss))
    return Piece(row=whole, level=level[whole], loss=loss[whole])


def _any(level: NDArray, loss: NDArray) -> NDArray:
    """Where not both are NaN, as in a frame whose row lacks them."""
    return ~(np.isnan(level) & np.isnan(loss))


def _numbers(cells: Sequence[Any]) -> NDArray | None:
    """Cells as float64, NaN where there is none, shape (n,).

    None where a cell is no number, or none that NumPy should convert: it takes Booleans for 0 and
    1, drops imaginary parts, and reads what a mask hides.
    """
    is_text = len(cells) > 0 and isinstance(cells[0], str)
    if not isinstance(cells, np.ndarray) and any(map(_is_converted, set(map(type, cells)))):
        return None
    try:  # of text, float is three times as fast as NumPy
        numbers = np.array(list(map(float, cells)) if is_text else cells, dtype=float)
    except (ValueError, TypeError, RuntimeError):  # an empty text, a list, a word, a tensor
        return None
    return numbers if numbers.ndim == 1 else None


def _is_converted(kind: type) -> bool:
    """Whether NumPy makes numbers of things of a kind although they may be none."""
    return issubclass(kind, NOT_CONVERTED) or hasattr(kind, "detach")


def _is_given(cells: Sequence[Any], numbers: NDArray) -> NDArray:
    """Where a cell holds something, NaN included, shape (n,)."""
    given = np.ones(len(numbers), dtype=bool)
    for place in np.flatnonzero(np.isnan(numbers)):
        given[place] = cells[int(place)] is not None
    return given


def _expanded(levels: Sequence[Any], losses: Sequence[Any], columns: Columns, rows: int) -> Piece:
    """The samples of rows with lists, texts and empty cells."""
    found = list(_by_row(levels, losses, columns, rows))
    if not found:
        return Piece(np.empty(0, dtype=int), np.empty(0), np.empty(0))
    counts = [len(loss) for _, _, loss in found]
    return Piece(
        row=np.repeat([row for row, _, _ in found], counts),
        level=np.concatenate([level for _, level, _ in found]),
        loss=np.concatenate([loss for _, _, loss in found]),
    )


def _by_row(
    levels: Sequence[Any], losses: Sequence[Any], columns: Columns, rows: int
) -> Iterator[tuple[int, NDArray, NDArray]]:
    """Row, levels and losses of each row that has both."""
    for row, cells in enumerate(zip(levels, losses, strict=True)):
        level, loss = (
            _parsed_in(cell, name, rows + row)
            for cell, name in zip(cells, (columns.level, columns.loss), strict=True)
        )
        if level is None or loss is None:
            continue
        pair = np.atleast_1d(level), np.atleast_1d(loss)
        if np.isnan(np.concatenate(pair)).all():
            continue
        yield row, *_matched(*pair, columns, rows + row)


def _matched(level: NDArray, loss: NDArray, columns: Columns, row: int) -> tuple[NDArray, NDArray]:
    """Levels and losses of a row, one loss for each level."""
    if len(level) == 1:
        level = np.repeat(level, len(loss))  # a batch at one level
    if len(loss) == 1 and len(level) > 1:
        raise ValueError(
            f"{columns.loss!r} in row {row} is one number for {len(level)} levels, a mean over a "
            "batch: how much of it came from which level can no longer be told. Log the loss of "
            "each sample, as a list beside that of the levels"
        )
    if len(loss) != len(level):
        raise ValueError(
            f"row {row} has {len(level)} levels in {columns.level!r} but {len(loss)} losses in "
            f"{columns.loss!r}; log one loss for each level"
        )
    return level, loss


def _parsed_in(cell: Any, name: str, row: int) -> float | NDArray | None:
    """What a cell holds; a ValueError that names its place for a word."""
    try:
        return _parsed(cell)
    except (ValueError, TypeError):
        if isinstance(cell, str) and THOUSANDS.fullmatch(cell.strip()):
            raise ValueError(
                f"{name!r} holds {cell!r} in row {row}, which may be a thousand or more, or have a "
                f"decimal comma: write {cell.replace(',', '')} or {cell.replace(',', '.')}, or put "
                "semicolons or tabs between cells and a decimal comma in all numbers"
            ) from None
        raise ValueError(
            f"{name!r} holds {shown.repr(cell)} in row {row}, which is no number; name another "
            "column, or leave such rows out"
        ) from None


def _parsed(cell: Any) -> float | NDArray | None:
    """A number, a list of numbers, or None for an empty cell; a ValueError for a word."""
    if isinstance(cell, np.ndarray) and cell.dtype == object:
        cell = cell.tolist()
    if cell is None or type(cell).__name__ in MISSING:
        return None
    if isinstance(cell, str):
        return _read(cell.strip())
    numbers = np.asarray(_plain(cell), dtype=float)
    return float(numbers) if numbers.ndim == 0 else numbers.ravel()


def _plain(cell: Any) -> Any:
    """A cell that NumPy can read: tensors lose their gradients and leave their device.

    Booleans, complex numbers, dates and masked arrays are a TypeError: NumPy would convert them.
    """
    if isinstance(cell, list | tuple):
        return [_plain(one) for one in cell]
    is_array = isinstance(cell, np.ndarray | np.generic) or hasattr(cell, "detach")
    plain = checks.real_numbers(cell, "the cell") if is_array else cell
    if isinstance(plain, bool) or (is_array and plain.dtype.kind == "b"):
        raise TypeError("True and False are no numbers")
    return plain


def reads(text: str) -> bool:
    """Whether a cell of text holds a number or a list of numbers."""
    try:
        return _read(text.strip()) is not None
    except (ValueError, TypeError):
        return False


def _read(text: str) -> float | NDArray | None:
    """What a text in a file of CSV says."""
    if not text:
        return None
    printed = PRINTED.fullmatch(text)
    if printed is not None:
        text = printed[1].strip()
    if text.startswith("["):
        return _list_in(text)
    if text.lower() in NAMES_OF_NAN:
        return np.nan
    if THOUSANDS.fullmatch(text):
        raise ValueError("a thousand, or a decimal comma")
    return float(text.replace(",", "."))  # a decimal comma


def _list_in(text: str) -> NDArray:
    """The numbers of a list, as JSON, Python or NumPy prints it."""
    try:
        return np.array(_plain(json.loads(text)), dtype=float).ravel()
    except ValueError:
        if not text.endswith("]"):  # cut
            raise
        return np.array([float(word) for word in LIST.split(text) if word])
