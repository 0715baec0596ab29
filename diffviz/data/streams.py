"""Data of any size, read piece by piece: arrays in memory or on disk, and batches.

An array or tensor may be memory-mapped; it is read where points are asked for, and never copied as
a whole. Batches come from anything that can be gone through again, such as a torch ``DataLoader``.
Either way points come out in float32, or in float64 to be centred first: data of unit variance
around 10⁷ have few different values in float32.

Images of uint8 are read as they are kept, (n, h, w), (n, h, w, c) or (n, c, h, w). Their 0 to 255
become −1 to 1, and channels come first.
"""

import mmap
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from diffviz import checks

PIECE = 2**20  # numbers that are read at once
MOST_NUMBERS = 2**24  # of examples that are held in memory
MOST_SAMPLES = 20_000
CHANNELS = 1, 3, 4
WHITE = 255.0


class Source(Protocol):
    """Points that can be read again and again."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one point."""
        ...

    @property
    def device(self) -> torch.device:
        """Where the points are handed out."""
        ...

    @property
    def ordered(self) -> bool:
        """Whether a point keeps its place, so that the content can be told by a checksum."""
        ...

    def pieces(self, dtype: torch.dtype = torch.float32) -> Iterator[Tensor]:
        """All points once, piece by piece, each piece of a type and of shape (n, *shape)."""
        ...

    def places(self, rng: np.random.Generator, total: int, first: int, size: int) -> NDArray:
        """Which points a training uses.

        Args:
            rng: NumPy generator.
            total: Number of points.
            first: How many were used before.
            size: How many are used now.

        Returns:
            Places to hand to ``rows``, int64, shape (size,).
        """
        ...

    def rows(self, places: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Points at places, of a type, shape (n, *shape)."""
        ...


# --- one array ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Stored:
    """Points of an array or tensor, which is read where it is asked for.

    Args:
        values: Points, shape (n, ...), as they are kept.
    """

    values: NDArray | Tensor

    ordered = True

    def __reduce__(self) -> tuple[Any, ...]:
        """How it pickles: an array of a file as a reference to the file, which is not read."""
        values: Any = self.values
        file = values if isinstance(values, np.memmap) else getattr(values, "base", None)
        if file is None or not _is_all_of(values, file):
            return Stored, (values,)
        order = "C" if file.flags.c_contiguous else "F"
        return _stored_in_file, (file.filename, file.dtype, file.offset, file.shape, order)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one point, with channels first."""
        return tuple(self.rows(torch.zeros(1, dtype=torch.int64, device="cpu")).shape[1:])

    @property
    def device(self) -> torch.device:
        """Device of a tensor; of an array it is the CPU."""
        return self.values.device if isinstance(self.values, Tensor) else torch.device("cpu")

    def pieces(self, dtype: torch.dtype = torch.float32) -> Iterator[Tensor]:
        """All points in their order; see ``Source``."""
        size = int(np.prod(self.values.shape[1:]))
        step = max(1, PIECE // size)
        for start in range(0, len(self.values), step):
            yield as_points(self.values[start : start + step], dtype)

    def places(self, rng: np.random.Generator, total: int, first: int, size: int) -> NDArray:
        """Places drawn with replacement; see ``Source``."""
        return rng.integers(total, size=size)

    def rows(self, places: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Points at places; see ``Source``."""
        if isinstance(self.values, Tensor):
            return as_points(self.values[places.to(self.device)], dtype)
        return as_points(self.values[places.cpu().numpy()], dtype)


def _is_all_of(values: Any, file: Any) -> bool:
    """Whether values are all that was mapped from a file, and not a part of it."""
    return (
        isinstance(file, np.memmap)
        and isinstance(file.base, mmap.mmap)
        and values.__array_interface__ == file.__array_interface__
    )


def _stored_in_file(
    file: Any, dtype: np.dtype, offset: int, shape: tuple[int, ...], order: Literal["C", "F"]
) -> Stored:
    """Points of an array in a file, which is mapped again."""
    return Stored(np.memmap(file, dtype, "r", offset, shape, order))


@dataclass(frozen=True, eq=False)
class Moved:
    """Points of another source, handed out on another device.

    Args:
        points: Where the points are read from.
        device: Where they are handed out.
    """

    points: Source
    device: torch.device

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one point."""
        return self.points.shape

    @property
    def ordered(self) -> bool:
        """Whether a point keeps its place; see ``Source``."""
        return self.points.ordered

    def pieces(self, dtype: torch.dtype = torch.float32) -> Iterator[Tensor]:
        """All points once; see ``Source``."""
        for piece in self.points.pieces(dtype):
            yield piece.to(self.device)

    def places(self, rng: np.random.Generator, total: int, first: int, size: int) -> NDArray:
        """Which points a training uses; see ``Source``."""
        return self.points.places(rng, total, first, size)

    def rows(self, places: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Points at places; see ``Source``."""
        return self.points.rows(places, dtype).to(self.device)


def widest_type(device: torch.device) -> torch.dtype:
    """float64, or float32 on a device without it."""
    return torch.float32 if device.type == "mps" else torch.float64


def as_points(values: NDArray | Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Values as points of a type, with a memory of their own unless they are such a tensor.

    Args:
        values: Values of any real type, shape (n, ...).
        dtype: float32 or float64. Images of uint8 are scaled in float32 for either.

    Returns:
        The points. Images of uint8 have their channels first, on [−1, 1].
    """
    scaled = are_images(values)
    read_as = torch.float32 if scaled else dtype
    if isinstance(values, Tensor):
        points = values.detach().to(read_as)
    else:
        # a copy, since torch takes neither negative strides, nor read-only arrays, nor the byte
        # order of another machine; too large a number becomes infinite, as it does in torch
        kind = np.float32 if read_as == torch.float32 else np.float64
        with np.errstate(over="ignore"):
            points = torch.from_numpy(np.array(values, dtype=kind, order="C"))
    if not scaled:
        return points
    if points.ndim == 4 and points.shape[1] not in CHANNELS and points.shape[3] in CHANNELS:
        points = points.movedim(3, 1)
    return (points / (WHITE / 2) - 1).to(dtype)


def are_images(values: NDArray | Tensor) -> bool:
    """Whether values are images of uint8, which are brought to [−1, 1].

    Args:
        values: Values of any real type, shape (n, ...).

    Returns:
        True for uint8 of three or four dimensions.
    """
    kind = torch.uint8 if isinstance(values, Tensor) else np.uint8
    return values.dtype == kind and values.ndim in (3, 4)


# --- batches --------------------------------------------------------------------------------------


class Batches:
    """Points of batches, one after another, from the first batch again after the last.

    A batch is an array or tensor of points, a tuple or list that begins with one, such as (x,
    label), or a mapping with one.

    Args:
        batches: What can be gone through again and again.

    Raises:
        TypeError: It can be gone through only once.
        ValueError: There is no batch with a point.
    """

    ordered = False  # a loader may shuffle

    def __init__(self, batches: Iterable[Any]):
        if isinstance(batches, Iterator):
            raise TypeError(
                f"data is a {type(batches).__name__}, which is used up once it was read, but is "
                "read for its mean and then in every epoch; give a torch DataLoader, or an object "
                "whose __iter__ starts afresh"
            )
        for batch in batches:
            values = points_of(batch)
            if len(values):
                break
        else:
            raise ValueError(f"data has no batch to give: {batches!r}")
        first = as_points(values)
        self.batches = batches
        self.shape = tuple(first.shape[1:])
        self._holds_images = are_images(values)
        self.device = first.device
        self._restart()

    def pieces(self, dtype: torch.dtype = torch.float32) -> Iterator[Tensor]:
        """The points of one time through; see ``Source``."""
        for number, batch in enumerate(self.batches):
            values = points_of(batch)
            if len(values):
                yield self._checked(values, number, dtype)

    def places(self, rng: np.random.Generator, total: int, first: int, size: int) -> NDArray:
        """The next points in their order; see ``Source``."""
        return np.arange(first, first + size)

    def rows(self, places: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """The points at neighbouring places; see ``Source``.

        Places that do not follow those of the last call are searched from the first batch on.
        """
        first = int(places[0])
        if first != self._next:
            self._restart()
            for _ in self._next_pieces(first):
                pass  # what is passed over is not kept
        return torch.cat(list(self._next_pieces(len(places)))).to(dtype)

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: the batches, and not where they are read."""
        at_work = ("_next", "_stream", "_left")
        return {name: value for name, value in vars(self).items() if name not in at_work}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._restart()

    def _restart(self) -> None:
        """Go back to the first batch."""
        self._next = 0
        self._stream = self._endless()
        self._left: Tensor | None = None

    def _endless(self) -> Iterator[Tensor]:
        """Batches, again and again."""
        while True:
            empty = True
            for piece in self.pieces(widest_type(self.device)):
                empty = False
                yield piece
            if empty:
                raise ValueError(f"data has no batch to give any more: {self.batches!r}")

    def _next_pieces(self, size: int) -> Iterator[Tensor]:
        """The next points in pieces, of which only the rest of the last one is kept in memory."""
        missing = size
        while missing > 0:
            piece = next(self._stream) if self._left is None else self._left
            part, rest = piece[:missing], piece[missing:]
            self._left = rest if len(rest) else None
            missing -= len(part)
            yield part
        self._next += size

    def _checked(self, values: NDArray | Tensor, number: int, dtype: torch.dtype) -> Tensor:
        """The points of a batch, refused if shape or scale are not those of the first batch.

        They have a memory of their own: a loader may fill the same tensor again for its next batch.
        """
        piece = as_points(values, dtype)
        if isinstance(values, Tensor) and piece.data_ptr() == values.data_ptr():
            piece = piece.clone()
        if tuple(piece.shape[1:]) != self.shape:
            raise ValueError(
                f"batch {number} of data has points of shape {tuple(piece.shape[1:])}, the first "
                f"has {self.shape}; bring them to one shape"
            )
        if are_images(values) != self._holds_images:
            raise ValueError(
                f"batch {number} of data is of type {values.dtype}, but only images of uint8 are "
                "brought from [0, 255] to [−1, 1]; let all batches be uint8, or none"
            )
        return piece


def are_batches(data: Any) -> bool:
    """Whether data come batch by batch, and are not one array.

    Args:
        data: Anything.

    Returns:
        True for an iterable that is neither an array, a tensor nor nested lists of numbers, and
        for a list of mappings, of pairs (x, label) or of batches that do not make one array.

    Raises:
        ValueError: A list holds arrays of one shape that may be batches or single points.
    """
    if isinstance(data, list | tuple):
        first = data[0] if data else None
        if _holds_points(first):
            return _lists_batches(data)
        return isinstance(first, Mapping) or (
            isinstance(first, tuple | list) and bool(first) and _holds_points(first[0])
        )
    if isinstance(data, str | bytes | Mapping) or checks.has(data, "__array__"):
        return False
    return isinstance(data, Iterable)


def _lists_batches(listed: Sequence[Any]) -> bool:
    """Whether a list of arrays of two or more dimensions holds batches, and not single points.

    Batches may differ in length, single points may not. Arrays of one shape are single points if
    they look like images; else the shape does not tell.
    """
    shapes = [tuple(part.shape) if _holds_points(part) else () for part in listed]
    if any(shape[1:] != shapes[0][1:] for shape in shapes):
        return False
    if len(set(shapes)) > 1:
        return True
    if _look_like_images(shapes[0], len(shapes)):
        return False
    raise ValueError(
        f"data is a list of {len(listed)} arrays of shape {shapes[0]}, which may be batches or "
        "single points; join batches with np.concatenate or torch.cat, and points with np.stack "
        "or torch.stack"
    )


def _look_like_images(shape: tuple[int, ...], number: int) -> bool:
    """Whether so many arrays of a shape look like single images: square ones, or with channels.

    Fewer square arrays than each has rows may be batches of points.
    """
    if len(shape) == 2:
        return shape[0] == shape[1] <= number
    if len(shape) != 3:
        return False
    has_channels_last = shape[2] in CHANNELS and min(shape[:2]) > max(CHANNELS)
    return shape[0] in CHANNELS or has_channels_last


def points_of(batch: Any) -> NDArray | Tensor:
    """The points in a batch.

    Args:
        batch: Points of shape (n, ...); a tuple or list that begins with them, such as (x, label);
            or a mapping in which one value is an array of two or more dimensions.

    Returns:
        The points as they are kept.

    Raises:
        TypeError: There are none.
        ValueError: A mapping holds several; or what stands beside them has no row for each, as the
            label or the mask of a single sample.
    """
    points: Any = batch
    beside: tuple[Any, ...] = ()
    if isinstance(batch, Mapping):
        beside = tuple(batch.values())
        names = [name for name, value in batch.items() if _holds_points(value)]
        if len(names) > 1:
            raise ValueError(
                f"a batch of data has several arrays, {', '.join(map(repr, names))}; let it hold "
                "the points alone, by the collate_fn of a DataLoader for example"
            )
        points = batch[names[0]] if names else None
    elif isinstance(batch, tuple | list) and batch:
        points, beside = batch[0], tuple(batch[1:])
    if not _holds_points(points):
        raise TypeError(
            "a batch of data must be an array (n, ...), a tuple that begins with one or a mapping "
            f"with one, got {type(batch).__name__}"
        )
    _refuse_single(beside, points)
    return checked_values(points, "a batch of data")


def _refuse_single(beside: Iterable[Any], points: Tensor | NDArray) -> None:
    """Refuse points beside which the label of one sample stands.

    Args:
        beside: What else is in the batch.
        points: The points, shape (n, ...). What belongs to them has n rows, too.
    """
    shape = tuple(points.shape)
    for label in beside:
        if _is_single(label):
            said = f"one label, {checks.brief(label)}"
        elif isinstance(label, Tensor | np.ndarray) and len(label) != len(points):
            said = f"an array of shape {tuple(label.shape)}"
        else:
            continue
        raise ValueError(
            f"a batch of data has {said}, beside an array of shape {shape}, so that it seems to be "
            "a single sample; let a torch.utils.data.DataLoader join samples to batches, or give "
            "the points alone"
        )


def _is_single(value: Any) -> bool:
    """Whether a value is one number or one text, such as the label of one sample."""
    if isinstance(value, Tensor | np.ndarray):
        return value.ndim == 0
    return isinstance(value, int | float | str | bytes | np.generic)


def _holds_points(value: Any) -> bool:
    """Whether a value is an array or tensor of points."""
    return isinstance(value, Tensor | np.ndarray) and value.ndim > 1


# --- doors ----------------------------------------------------------------------------------------


def checked_values(data: ArrayLike | Tensor, name: str) -> NDArray | Tensor:
    """Real numbers of an array or tensor, without a copy and without a look at them.

    Args:
        data: Numbers: a list, array or tensor; memory-mapped ones stay so.
        name: Name of the argument, for messages.

    Returns:
        A NumPy array or a tensor.

    Raises:
        TypeError: They are masked, complex, dates, text or objects, or a tensor is not dense.
        ValueError: Rows differ in length.
    """
    if isinstance(data, Tensor):
        checks.tensor(data.new_empty(0), name)  # the kind of number without the numbers
        return checks.dense_tensor(data, name)
    return checks.real_numbers(data, name)


def source(data: Any, name: str = "data") -> Source:
    """Data as points that can be read again and again.

    Args:
        data: An array or tensor (n, ...), also memory-mapped, or what can be gone through again
            for batches of points, such as a torch ``DataLoader``; see ``Batches``. A source of this
            module is taken as it is.
        name: Name of the argument, for messages.

    Returns:
        The points, not yet read.

    Raises:
        TypeError: They are no real numbers, or can be gone through only once.
        ValueError: There is no batch, or rows differ in length.
    """
    if isinstance(data, Stored | Batches | Moved):
        return data
    _refuse_dataset(data, name)
    if are_batches(data):
        return Batches(data)
    return Stored(checked_values(data, name))


def _refuse_dataset(data: Any, name: str) -> None:
    """Refuse a data set of torch, whose samples would be taken for batches."""
    if isinstance(data, torch.utils.data.Dataset):
        raise TypeError(
            f"{name} is a Dataset, which gives single points; "
            "wrap it: torch.utils.data.DataLoader(dataset, batch_size=256), or with "
            "batch_size=None if it gives batches"
        )


def examples(data: Any) -> Any:
    """The first samples of data as a tensor, in the type in which they are kept.

    Args:
        data: A tensor, a memory-mapped array of floating point, or an iterable of batches as
            ``points_of`` reads them, of which no more is used up than is needed.

    Returns:
        A tensor of at most 2²⁴ numbers, of batches also of at most 20,000 samples. A large tensor
        is cut without a copy. What is none of these comes back as it is, to be refused.

    Raises:
        TypeError: The data are a ``Dataset`` of torch, which gives single samples, or a tensor that
            is not dense.
        ValueError: A batch is a single sample, or holds several arrays.
    """
    _refuse_dataset(data, "data")
    if isinstance(data, Tensor):
        checks.dense_tensor(data, "x")  # before it is cut, which torch can do with no other
        return _first_samples(data)
    if isinstance(data, np.memmap):
        known_to_torch = data.dtype.kind == "f" and data.dtype.itemsize <= 8
        return _owned(data) if known_to_torch else data
    return _first_of_batches(data) if are_batches(data) else data


def _first_of_batches(batches: Iterable[Any]) -> Any:
    """Samples of as many batches as are needed, or the batches themselves if there is none."""
    parts: list[Tensor] = []
    for batch in batches:
        points = points_of(batch)
        # a copy, since a loader may fill the same tensor again
        parts.append(points.clone() if isinstance(points, Tensor) else _owned(points))
        samples = sum(len(part) for part in parts)
        numbers = sum(part.numel() for part in parts)
        if samples >= MOST_SAMPLES or numbers >= MOST_NUMBERS:
            break
    return _first_samples(torch.cat(parts)[:MOST_SAMPLES]) if parts else batches


def _first_samples(values: Any) -> Any:
    """As many samples of an array or tensor as hold no more than ``MOST_NUMBERS``."""
    size = int(np.prod(values.shape[1:]))
    return values[: max(1, MOST_NUMBERS // max(size, 1))] if len(values.shape) > 1 else values


def _owned(values: NDArray) -> Tensor:
    """The first samples of an array as a tensor with a memory of its own."""
    first = _first_samples(values)
    return torch.from_numpy(np.array(first, dtype=first.dtype.newbyteorder("="), order="C"))


# --- statistics -----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Statistics:
    """Mean, spread and defects of data, in float64.

    Args:
        count: Number of points.
        mean: Mean of each coordinate, shape (*shape).
        std: Root mean square over coordinates of their standard deviations.
        equal: Whether all points are equal.
        bad: How many points have NaN or infinity.
        first_bad: The first of them, or −1.
        checksum: CRC-32 of the points in float32, in their order, and of what float32 leaves of
            them if that is anything.
    """

    count: int
    mean: Tensor
    std: float
    equal: bool
    bad: int
    first_bad: int
    checksum: int


def statistics(points: Source) -> Statistics:
    """Mean, spread and checksum of data in one pass.

    Means and sums of squares of the pieces are joined as Chan, Golub and LeVeque (1983, eq. 2.1)
    do, which loses no digits where the mean is far from 0. What is not finite spoils both.

    Args:
        points: Where the points are read from.

    Returns:
        What was found.
    """
    count = bad = checksum = 0
    first_bad = -1
    equal = True
    mean = squares = torch.zeros(points.shape, dtype=torch.float64, device="cpu")
    first: Tensor | None = None
    for piece in points.pieces(widest_type(points.device)):
        exact = piece.cpu().double()
        single = exact.float()
        checksum = zlib.crc32(single.contiguous().numpy().data, checksum)
        rest = exact - single
        if rest.count_nonzero():  # also where float32 is not finite
            checksum = zlib.crc32(rest.contiguous().numpy().data, checksum)
            rows = (~torch.isfinite(single)).flatten(1).any(1).nonzero()
            if len(rows) and not bad:
                first_bad = count + int(rows[0])
            bad += len(rows)
        first = exact[0].clone() if first is None else first
        equal = equal and bool((exact == first).all())
        own_mean = exact.mean(0)
        step = own_mean - mean
        total = count + len(exact)
        mean = mean + step * (len(exact) / total)
        squares = squares + torch.sub(exact, own_mean, out=rest).square_().sum(0)
        squares = squares + step**2 * (count * len(exact) / total)
        count = total
    std = (squares.mean() / max(count, 1)).sqrt().item()
    return Statistics(count, mean, std, equal, bad, first_bad, checksum)
