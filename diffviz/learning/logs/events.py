"""Logs of TensorBoard: scalars of one tag each, joined by their step.

Where a step has several values of a tag, such as one for each sample, the first loss belongs to the
first level, and so on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffviz.checks import require
from diffviz.learning.logs import table
from diffviz.learning.logs.frames import read_records
from diffviz.learning.logs.scalars import Scalars, scalars_of
from diffviz.learning.logs.table import Chunk, Table

STEP = "step"  # column of the step of a row
RUN = "run"  # column of the folder of a row, where there are several


@dataclass(frozen=True, eq=False)
class Run:
    """The rows of a run: one for each step and place within it.

    Args:
        name: Name of its folder.
        step: Step of each row, shape (rows,).
        row: Row of each scalar, shape (n,).
        scalars: The scalars, in the order of their files.
    """

    name: str
    step: NDArray[np.int64]
    row: NDArray[np.int64]
    scalars: Scalars

    def cells(self, tag: str) -> Any:
        """An array or list with the cells of a tag, None where a row has none.

        What was written last counts.
        """
        cells = np.full(len(self.step), np.nan)
        is_given = np.zeros(len(self.step), dtype=bool)
        if tag in self.scalars.tags:
            ours = self.scalars.tag == self.scalars.tags.index(tag)
            cells[self.row[ours]] = self.scalars.value[ours]
            is_given[self.row[ours]] = True
        if is_given.all():
            return cells
        return [
            cell if given else None
            for cell, given in zip(cells.tolist(), is_given.tolist(), strict=True)
        ]


def read_events(files: list[Path], folder: Path) -> Table:
    """The table of event files.

    Args:
        files: The files. Those of one folder are of one run, which was stopped and resumed.
        folder: Where they lie; runs are named by their folders in it.

    Returns:
        The table: a column for each tag of a scalar, one for the step, and one for the run where
        there are several.

    Raises:
        ModuleNotFoundError: TensorBoard is not installed.
        ValueError: There are no scalars.
    """
    remarks: list[str] = []
    runs = [
        _run_of(
            [file for file in sorted(files) if file.parent == parent],
            str(parent.relative_to(folder)),
            remarks,
        )
        for parent in sorted({file.parent for file in files})
    ]
    tags = dict.fromkeys(tag for run in runs for tag in run.scalars.tags)
    require(tags, f"{folder} has no scalars; log the loss and the level with add_scalar")
    names = ((RUN,) if len(runs) > 1 else ()) + (STEP, *tags)

    def read(wanted: Sequence[str], met: list[str]) -> Iterator[Chunk]:
        met += remarks
        for run in runs:
            yield from _chunks(run, wanted)

    return Table(str(folder), "TensorBoard", names, read)


def _chunks(run: Run, wanted: Sequence[str]) -> Iterator[Chunk]:
    """The wanted columns of a run in chunks."""
    size = len(run.step)
    columns = {name: _column(run, name) for name in wanted}
    for start in range(0, size, table.CHUNK):
        yield {name: cells[start : start + table.CHUNK] for name, cells in columns.items()}


def _column(run: Run, name: str) -> Any:
    """A column of a run as an array or list."""
    if name in run.scalars.tags:
        return run.cells(name)
    if name == STEP:
        return run.step
    return [run.name if name == RUN else None] * len(run.step)


def _run_of(files: list[Path], name: str, remarks: list[str]) -> Run:
    """The rows of a run; a file that goes on writes over the steps of those before."""
    parts: list[Scalars] = []
    places: list[NDArray] = []
    for file in files:
        records = read_records(file)
        remarks += records.remarks
        parts.append(scalars_of(records))
        places.append(_places_within(parts[-1]))
    scalars = _joined(parts)
    place = np.concatenate(places)
    order = np.lexsort((place, scalars.step))
    step = scalars.step[order]
    is_first = _is_first(step, place[order])
    row = np.empty(len(order), dtype=np.int64)
    row[order] = np.cumsum(is_first) - 1
    return Run(name, step[is_first], row, scalars)


def _places_within(scalars: Scalars) -> NDArray[np.int64]:
    """How many values of its tag and step each scalar has before it in its file, shape (n,)."""
    order = np.lexsort((scalars.step, scalars.tag))  # stable: in the order of the file
    number = np.arange(len(order))
    is_first = _is_first(scalars.tag[order], scalars.step[order])
    first = np.maximum.accumulate(np.where(is_first, number, 0))
    place = np.empty(len(order), dtype=np.int64)
    place[order] = number - first
    return place


def _is_first(one: NDArray, other: NDArray) -> NDArray[np.bool_]:
    """Where a pair of numbers is not the pair before it, shape (n,)."""
    is_first = np.ones(len(one), dtype=bool)
    is_first[1:] = (one[1:] != one[:-1]) | (other[1:] != other[:-1])
    return is_first


def _joined(parts: list[Scalars]) -> Scalars:
    """The scalars of several files, one after the other, under common numbers of tags."""
    names = dict.fromkeys(tag for part in parts for tag in part.tags)
    numbers = {tag: number for number, tag in enumerate(names)}
    tags = [np.array([numbers[tag] for tag in part.tags], dtype=np.int64) for part in parts]
    return Scalars(
        tuple(numbers),
        np.concatenate([new[part.tag] for new, part in zip(tags, parts, strict=True)]),
        np.concatenate([part.step for part in parts]),
        np.concatenate([part.value for part in parts]),
    )
