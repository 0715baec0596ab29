"""A log as named columns, read in chunks.

Nothing is kept but the chunk at hand and what is asked for, so that a log may be long and wide.
"""

import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from diffviz.checks import require

CHUNK = 2**15  # rows that are converted together
PEEK = 2  # chunks at the beginning whose columns count as those of the log

Chunk = Mapping[str, Sequence[Any]]  # name of a column to its cells, None where a row has none


@dataclass(frozen=True, eq=False)
class Table:
    """A log that can be read again and again.

    Args:
        source: What messages call it.
        form: Its format, such as "CSV".
        names: Names of its columns, those of the first rows.
        read: Yields chunks with the columns that it is asked for. What it meets on the way, such
            as a line that is cut, it appends to the list that it gets.
    """

    source: str
    form: str
    names: tuple[str, ...]
    read: Callable[[Sequence[str], list[str]], Iterator[Chunk]] = field(repr=False)


def batched(items: Iterable[Any], size: int = CHUNK) -> Iterator[list[Any]]:
    """Lists of at most ``size`` items, in order."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def names_of(rows: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Names of the columns of rows, in the order in which they are met.

    What is nested in a column has the name of that column before its own, as in "metrics.loss".
    """
    names: dict[str, None] = {}
    for row in rows:
        for name, cell in row.items():
            if isinstance(cell, dict):
                names |= dict.fromkeys(f"{name}.{inner}" for inner in names_of([cell]))
            else:
                names[str(name)] = None
    return tuple(names)


def picked(rows: Sequence[Mapping[str, Any]], names: Iterable[str]) -> Chunk:
    """The cells of some columns of rows, None where a row has none."""
    return {name: _cells(rows, name) for name in names}


def _cells(rows: Sequence[Mapping[str, Any]], name: str) -> list[Any]:
    """The cells of a column of rows; quickly where all rows are nested alike."""
    outer, dot, inner = name.partition(".")
    if not dot:
        return [row.get(name) for row in rows]
    within: list[Any] = [row.get(outer) for row in rows]
    if all(type(one) is dict for one in within):
        return _cells(within, inner)
    return [_nested(row, name) for row in rows]


def _nested(row: Mapping[str, Any], name: str) -> Any:
    """The cell of a column that may lie in another, None where a row has none."""
    if name in row:
        return row[name]
    for place in (at for at, sign in enumerate(name) if sign == "."):
        inner = row.get(name[:place])
        if isinstance(inner, dict):
            return _nested(inner, name[place + 1 :])
    return None


def of_rows(rows: Sequence[Any], source: str, form: str) -> Table:
    """The table of a list of mappings.

    Args:
        rows: The rows, each a mapping from the name of a column to a cell.
        source: What messages call the log.
        form: What messages call its format.

    Returns:
        The table.

    Raises:
        ValueError: There is no row.
        TypeError: A row is no mapping.
    """
    require(rows, f"{source} is empty: it has no rows")
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise TypeError(
                f"row {number} of {source} must be a mapping such as "
                f"{{'timestep': 417, 'loss': 0.1}}, got {reprlib.repr(row)}"
            )

    def read(names: Sequence[str], remarks: list[str]) -> Iterator[Chunk]:
        return (picked(chunk, names) for chunk in batched(rows))

    return Table(source, form, names_of(rows[: PEEK * CHUNK]), read)


def of_columns(columns: Mapping[str, Sequence[Any]], source: str, form: str) -> Table:
    """The table of columns that are in memory.

    Args:
        columns: Name to cells, all of one length.
        source: What messages call the log.
        form: What messages call its format.

    Returns:
        The table.

    Raises:
        ValueError: There is no column or no row, or the columns differ in length.
    """
    sizes = {name: len(cells) for name, cells in columns.items()}
    require(sizes and max(sizes.values()), f"{source} is empty: it has no rows")
    require(
        len(set(sizes.values())) == 1,
        f"the columns of {source} differ in length: {sizes}",
    )
    (size,) = set(sizes.values())

    def read(names: Sequence[str], remarks: list[str]) -> Iterator[Chunk]:
        for start in range(0, size, CHUNK):
            stop = min(start + CHUNK, size)
            empty = [None] * (stop - start)
            yield {name: columns[name][start:stop] if name in columns else empty for name in names}

    return Table(source, form, tuple(columns), read)
