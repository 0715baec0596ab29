"""Logs of TensorBoard: scalars of one tag each, joined by their step.

The reader is TensorBoard's own. Where a step has several values of a tag, such as one for each
sample, the first loss belongs to the first level, and so on.
"""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from diffviz import extras
from diffviz.checks import require
from diffviz.learning.logs import table
from diffviz.learning.logs.table import Table

STEP = "step"  # column of the step of a row
RUN = "run"  # column of the folder of a row, where there are several


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
    runs = {file.parent for file in files}
    rows: list[dict[str, Any]] = []
    for run in sorted(runs):
        cells = _cells([file for file in sorted(files) if file.parent == run])
        name = {RUN: str(run.relative_to(folder))} if len(runs) > 1 else {}
        rows += [name | row for _, row in sorted(cells.items(), key=lambda item: item[0])]
    require(rows, f"{folder} has no scalars; log the loss and the level with add_scalar")
    return table.of_rows(rows, str(folder), "TensorBoard")


def _cells(files: list[Path]) -> dict[tuple[int, int], dict[str, float]]:
    """Rows of a run, by step and place within the step."""
    rows: dict[tuple[int, int], dict[str, float]] = {}
    for file in files:
        places: dict[tuple[str, int], Iterator[int]] = {}  # anew: a resumed run writes over steps
        for step, tag, value in _scalars(file):
            place = next(places.setdefault((tag, step), count()))
            rows.setdefault((step, place), {STEP: step})[tag] = value
    return rows


def _scalars(file: Path) -> Iterator[tuple[int, str, float]]:
    """Step, tag and value of each scalar of a file, in order."""
    with extras.needed_by("an event file"):
        from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    for event in LegacyEventFileLoader(str(file)).Load():
        for value in event.summary.value:
            number = _number(value)
            if number is not None:
                yield event.step, value.tag, number


def _number(value: Any) -> float | None:
    """The number of a summary; None for pictures, texts and histograms."""
    if value.HasField("simple_value"):
        return float(value.simple_value)
    if not value.HasField("tensor") or value.tensor.dtype not in (1, 2):  # float and double
        return None
    from tensorboard.util import tensor_util

    numbers = tensor_util.make_ndarray(value.tensor)
    return float(numbers.reshape(())) if numbers.size == 1 else None
