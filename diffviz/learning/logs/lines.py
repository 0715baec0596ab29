"""Logs in JSON: one object a line, a list of objects, or a trainer's state.

A run that was killed leaves half a line at the end. Prints between the objects are passed over and
counted.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

from diffviz.checks import require
from diffviz.learning.logs import columns, table, text
from diffviz.learning.logs.table import Chunk, Table

HISTORY = "log_history"  # of the state that the Hugging Face Trainer writes


def read_json(file: Path) -> Table:
    """The table of a file of JSON.

    Args:
        file: The file: an object a line, a list of objects, an object of lists, or a
            ``trainer_state.json``.

    Returns:
        The table.

    Raises:
        ValueError: Nothing in it is an object.
    """
    if not _has_an_object_a_line(file):
        whole = _parsed(text.whole_of(file))
        if whole is not None:
            return _of_document(whole, file)
    return _of_lines(file)


def _has_an_object_a_line(file: Path) -> bool:
    """Whether the first line is an object; a single line in a file of JSON is a document."""
    lines = chain.from_iterable(text.pieces_of(file))
    filled = list(islice((line for line in lines if line.strip()), 2))
    first = _parsed(filled[0])
    if not isinstance(first, dict) or HISTORY in first:
        return False
    return len(filled) == 2 or file.suffix.lower() != ".json"


def _parsed(content: str) -> Any:
    """What a text of JSON says; None where it is none."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _of_document(content: Any, file: Path) -> Table:
    """The table of one document of JSON."""
    source = str(file)
    if isinstance(content, list):
        return table.of_rows(content, source, "JSON")
    if not isinstance(content, Mapping):
        raise ValueError(f"{file} holds no rows: a log is an object a line, or a list of objects")
    if isinstance(content.get(HISTORY), list):
        return table.of_rows(content[HISTORY], source, "trainer state")
    named = _columns_of(content)
    if named is not None:
        return table.of_columns(named, source, "JSON")
    histories = [value for value in content.values() if _is_history(value)]
    if len(histories) == 1:  # a history among other things
        return table.of_rows(histories[0], source, "JSON")
    return table.of_rows([content], source, "JSON")


def _columns_of(content: Mapping[str, Any]) -> Mapping[str, list[Any]] | None:
    """The columns of an object that holds columns, as pandas' ``to_json`` writes them too."""
    if {"columns", "data"} <= content.keys():
        return _split_columns(content["columns"], content["data"])
    values = list(content.values())
    if values and all(isinstance(value, list) for value in values):
        return None if _is_history(values[0]) else content
    if values and all(isinstance(value, Mapping) for value in values):
        return _indexed_columns(content)
    return None


def _split_columns(names: Any, rows: Any) -> dict[str, list[Any]] | None:
    """Columns whose names and rows are given; None where the rows are of another length."""
    if not isinstance(names, list) or not isinstance(rows, list):
        return None
    if not all(isinstance(row, list) and len(row) == len(names) for row in rows):
        return None
    return {str(name): [row[at] for row in rows] for at, name in enumerate(names)}


def _indexed_columns(content: Mapping[str, Mapping]) -> dict[str, list[Any]] | None:
    """Columns that are objects from row numbers to cells; None where they are something else."""
    keys = [list(column) for column in content.values()]
    is_index = bool(keys[0]) and all(key.isdecimal() for key in keys[0])
    if not is_index or any(one != keys[0] for one in keys):
        return None
    return {name: list(column.values()) for name, column in content.items()}


def _is_history(value: Any) -> bool:
    """Whether a value of JSON is a list of objects."""
    return isinstance(value, list) and bool(value) and all(isinstance(r, Mapping) for r in value)


def _of_lines(file: Path) -> Table:
    """The table of a file with an object a line."""
    first = islice(_row_chunks(file, []), table.PEEK)
    rows = list(chain.from_iterable(first))

    def read(names: Sequence[str], remarks: list[str]) -> Iterator[Chunk]:
        return (table.picked(rows, names) for rows in _row_chunks(file, remarks))

    remarks: list[str] = []
    if not rows:  # wrong lines only, as far as was looked
        rows = next((chunk for chunk in _row_chunks(file, remarks) if chunk), [])
    require(rows, f"{file} has no line of JSON; {'; '.join(remarks)}")
    return Table(str(file), "JSON lines", table.names_of(rows), read)


def _row_chunks(file: Path, remarks: list[str]) -> Iterator[list[dict[str, Any]]]:
    """The objects of a file in chunks; what is none is remarked at the end."""
    wrong: list[tuple[int, str]] = []
    number = 0
    for lines in text.pieces_of(file):
        yield _objects(lines, number, wrong)
        number += len(lines)
    remarks += _remarks_on(wrong, number)


def _objects(lines: list[str], number: int, wrong: list[tuple[int, str]]) -> list[dict[str, Any]]:
    """The objects of some lines, the first of which has ``number`` lines before it."""
    rows = _parsed(f"[{','.join(lines)}]")  # at once, which takes half the time
    if rows is not None and len(rows) == len(lines) and all(isinstance(r, dict) for r in rows):
        return rows
    objects = []
    for at, line in enumerate(lines, number + 1):
        row = _parsed(line)
        if isinstance(row, dict):
            objects.append(row)
        elif line.strip():
            wrong.append((at, line))
    return objects


def _remarks_on(wrong: list[tuple[int, str]], lines: int) -> list[str]:
    """What to say about lines that are no objects."""
    remarks = []
    if wrong and wrong[-1][0] == lines and wrong[-1][1].lstrip().startswith("{"):
        wrong = wrong[:-1]
        remarks.append(f"line {lines}, the last one, is cut and was left out")
    if wrong:
        number, line = wrong[0]
        remarks.append(
            f"{len(wrong)} of {lines} lines are no JSON object and were left out, "
            f"the first is line {number}: {line.strip()[: columns.WIDTH]!r}"
        )
    return remarks
