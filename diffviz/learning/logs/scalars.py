"""The scalars of an event file of TensorBoard as arrays.

Records that a writer makes of one tag differ in their time, step and value only. The first of them
is decoded by TensorBoard's own messages; the others of its shape are read at the same places, all
together. What has another shape, such as a scalar in a tensor, is decoded by itself.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffviz import extras
from diffviz.learning.logs.frames import Records

TIME = slice(1, 9)  # bytes of the time of an event, which comes first
STEP = 9  # place of the mark of its step
MARK = 0x10  # which says that a step follows
VALUE = 4  # bytes of a value, which comes last
SHAPES = 64  # shapes of one length beyond which records are decoded by themselves
FEW = 16  # records below which they are too
TOGETHER = 2**24  # bytes that are read together
FLOATS = (1, 2)  # types of tensors that are read: float and double


@dataclass(frozen=True, eq=False)
class Scalars:
    """Scalars in the order of a file.

    Args:
        tags: Names of the tags.
        tag: Number of the tag of each scalar, shape (n,).
        step: Its step, shape (n,).
        value: Its value, shape (n,).
    """

    tags: tuple[str, ...]
    tag: NDArray[np.int64]
    step: NDArray[np.int64]
    value: NDArray[np.float64]


class Gatherer:
    """Collects scalars with the places of their records.

    Args:
        records: The records of a file.
    """

    def __init__(self, records: Records):
        with extras.needed_by("an event file"):
            from tensorboard.compat.proto import event_pb2
        self.event = event_pb2.Event
        self.records = records
        self.numbers: dict[str, int] = {}
        self.parts: list[tuple[NDArray, ...]] = []

    def number(self, tag: str) -> int:
        """The number of a tag."""
        return self.numbers.setdefault(tag, len(self.numbers))

    def decode(self, places: NDArray) -> None:
        """Decode records one by one."""
        found = [
            (place, self.number(value.tag), event.step, number)
            for place in places.tolist()
            for event in (self.event.FromString(self.records.record(place)),)
            for value in event.summary.value
            if (number := number_of(value)) is not None
        ]
        if found:
            place, tag, step, value = zip(*found, strict=True)
            self._add(np.array(place), np.array(tag), np.array(step), np.array(value))

    def gather(self, places: NDArray, length: int) -> None:
        """Read records of one length, those of one shape together."""
        rows = self.records.of_length(places, length)
        for _ in range(SHAPES):
            if len(places) < FEW:
                break
            alike = self._gather_like_first(places, rows)
            places, rows = places[~alike], rows[~alike]
        self.decode(places)

    def _gather_like_first(self, places: NDArray, rows: NDArray) -> NDArray:
        """Read the records of the shape of the first one; whether each is of it, shape (n,)."""
        event = self.event.FromString(rows[0].tobytes())
        if not _is_plain(event):
            self.decode(places[:1])
            return np.arange(len(places)) == 0
        width = _width_of_step(rows[0])
        step = slice(STEP + 1, STEP + 1 + width)
        fixed = np.ones(rows.shape[1], dtype=bool)
        fixed[TIME] = fixed[step] = fixed[-VALUE:] = False
        alike = (rows[:, fixed] == rows[0, fixed]).all(1)
        alike &= ((rows[:, step] >= 128) == (rows[0, step] >= 128)).all(1)
        chosen = rows[alike]
        value = np.ascontiguousarray(chosen[:, -VALUE:]).view("<f4")[:, 0].astype(np.float64)
        tag = np.full(len(chosen), self.number(event.summary.value[0].tag))
        self._add(places[alike], tag, _varints(chosen[:, step]), value)
        return alike

    def _add(self, *part: NDArray) -> None:
        """Keep places, tags, steps and values."""
        self.parts.append(part)

    def result(self) -> Scalars:
        """All scalars in the order of the file."""
        if not self.parts:
            empty = np.empty(0, dtype=np.int64)
            return Scalars((), empty, empty, np.empty(0))
        place, tag, step, value = map(np.concatenate, zip(*self.parts, strict=True))
        order = np.argsort(place, kind="stable")
        return Scalars(tuple(self.numbers), tag[order], step[order].astype(np.int64), value[order])


def scalars_of(records: Records) -> Scalars:
    """The scalars of the records of an event file.

    Args:
        records: The records.

    Returns:
        The scalars.

    Raises:
        ModuleNotFoundError: TensorBoard is not installed.
    """
    gatherer = Gatherer(records)
    for places, length in records.pieces(TOGETHER):
        gatherer.gather(places, length)
    return gatherer.result()


def _is_plain(event: Any) -> bool:
    """Whether an event holds one number, and the bytes of that number come last."""
    values = event.summary.value
    if len(values) != 1 or not values[0].HasField("simple_value"):
        return False
    if not event.wall_time or event.step < 0:
        return False
    plain = type(event)(wall_time=event.wall_time, step=event.step)
    plain.summary.value.add(tag=values[0].tag, simple_value=values[0].simple_value)
    return plain == event


def _width_of_step(row: NDArray) -> int:
    """Number of bytes of the step of an event; 0 where there is none, which means step 0."""
    if row[STEP] != MARK:
        return 0
    return int(np.argmax(row[STEP + 1 :] < 128)) + 1


def _varints(digits: NDArray) -> NDArray[np.int64]:
    """Whole numbers from their digits to the base of 128, least first, shape (n, digits)."""
    total = np.zeros(len(digits), dtype=np.int64)
    for place, digit in enumerate(digits.T):
        total |= (digit & 127).astype(np.int64) << (7 * place)
    return total


def number_of(value: Any) -> float | None:
    """The number of a value in a summary; None for pictures, texts and histograms."""
    if value.HasField("simple_value"):
        return float(value.simple_value)
    if not value.HasField("tensor") or value.tensor.dtype not in FLOATS:
        return None
    from tensorboard.util import tensor_util

    numbers = tensor_util.make_ndarray(value.tensor)
    return float(numbers.reshape(())) if numbers.size == 1 else None
