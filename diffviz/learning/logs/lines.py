"""Logs in JSON: one object a line, a list of objects, or a trainer's state.

A run that was killed leaves half a line at the end. Prints between the objects are passed over and
counted.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from diffviz.checks import require
from diffviz.learning.logs import table
from diffviz.learning.logs.table import Chunk, Table

SIZE = 2**20  # characters that are parsed together
SHOWN = 60  # characters of a wrong line in a message
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
    with file.open(encoding="utf-8-sig") as stream:
        first = stream.readline()
        is_lines = isinstance(_parsed(first), dict) and HISTORY not in first
    if not is_lines:
        whole = _parsed(file.read_text(encoding="utf-8-sig"))
        if whole is not None:
            return _of_document(whole, file)
    return _of_lines(file)


def _parsed(text: str) -> Any:
    """What a text of JSON says; None where it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def _of_document(content: Any, file: Path) -> Table:
    """The table of one document of JSON."""
    if isinstance(content, Mapping) and isinstance(content.get(HISTORY), list):
        return table.of_rows(content[HISTORY], str(file), "trainer state")
    if isinstance(content, list):
        return table.of_rows(content, str(file), "JSON")
    if isinstance(content, Mapping) and all(isinstance(one, list) for one in content.values()):
        return table.of_columns(content, str(file), "JSON")
    if isinstance(content, Mapping):
        return table.of_rows([content], str(file), "JSON")
    raise ValueError(f"{file} holds no rows: a log is an object a line, or a list of objects")


def _of_lines(file: Path) -> Table:
    """The table of a file with an object a line."""
    remarks: list[str] = []
    chunks = _row_chunks(file, remarks)
    rows = [row for chunk, _ in zip(chunks, range(table.PEEK), strict=False) for row in chunk]

    def read(names: Sequence[str], remarks: list[str]) -> Iterator[Chunk]:
        return (table.picked(rows, names) for rows in _row_chunks(file, remarks))

    if not rows:  # wrong lines only, as far as was looked
        rows = next((chunk for chunk in _row_chunks(file, remarks) if chunk), [])
    require(rows, f"{file} has no line of JSON; {'; '.join(remarks)}")
    return Table(str(file), "JSON lines", table.names_of(rows), read)


def _row_chunks(file: Path, remarks: list[str]) -> Iterator[list[dict[str, Any]]]:
    """The objects of a file in chunks; what is none is remarked at the end."""
    wrong: list[tuple[int, str]] = []
    number = 0
    with file.open(encoding="utf-8-sig") as stream:
        while lines := stream.readlines(SIZE):
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
            f"the first is line {number}: {line.strip()[:SHOWN]!r}"
        )
    return remarks
