"""Interception of the random draws of a training loss: recorded once, then replayed.

While ``Draws`` is active, every random function of torch passes through it. The first run of the
loss records what is drawn, and each later run gets the same numbers again, with the noise on or
off.

A draw has one of three roles, decided by ``classify``:

- noise is normal and has many numbers for each sample; it can be switched off, or replaced;
- a time is one number or a few for each sample, or one for each part of it; it is replaced by
  quantiles of its own law;
- anything else is replayed as it was drawn.

The quantiles belong to evenly spread probabilities u = (i + 1/2)/N. Those of the first time axis
are even three times: over all batches, over the rows of one batch, each of which has a stratum of
its own, and over the batches for one row alone, so that a loss that leaves some rows out still sees
even levels. Each other axis takes the grid in the order of Kronecker sequences, so that several
axes are even jointly. Each replicate of a measurement has a sequence of its own, shifted at random,
so that their scatter tells the error of what several axes make together; the shifts are even too,
so that it rather states too much. Where there are more numbers for each sample than Kronecker axes,
each is even by itself and their order is random, as in a Latin hypercube.

A normal draw may also be a time, such as that of a logit-normal law for each frame. By its shape it
is noise; a first look at its effect tells, and then its role is in ``Draws.known``. So is that of a
normal draw that reaches neither z nor the target, such as a condition. Noise may be drawn in parts,
such as for each half of a batch, or for each sample; a first look tells that too, and then these
count as one noise.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.overrides import TorchFunctionMode

from diffviz.checks import require
from diffviz.probing.quantiles import NUMPY_QUANTILES, QUANTILES, distinct

MAX_TIME_AXES = 10  # a loop that rejects draws ends only if later draws are new ones
MAX_TIMES_PER_SAMPLE = 4
SHARE_OF_LEVELS = 1 / 3  # rows for so many samples may be levels of all
MAX_REPEATS = 8  # of the data inside a loss
MAX_PARTS = 64  # parts of a sample up to which one number for each is a time
PLASTIC = 1.324717957244746  # p^3 = p + 1: steps 1/p and 1/p^2 make threes of axes even jointly
KRONECKER_STEPS = np.array(
    [0, 1 / PLASTIC, PLASTIC**-2, *np.sqrt([2, 3, 7, 11, 13, 17, 19, 23, 29, 31])]
)
REPLICATES = 10  # of a measurement, whose scatter gives the standard error
STEP_OF_BATCHES = np.sqrt(5)  # from batch to batch, of the strata of a row
WITHOUT_QUANTILES = frozenset({"randperm", "_standard_gamma", "poisson", "geometric_"})
RANDOM = frozenset(QUANTILES) | WITHOUT_QUANTILES
NORMAL = frozenset({"randn", "randn_like", "normal", "normal_"})
STANDARD_NORMAL = frozenset({"randn", "randn_like", "standard_normal"})  # the last of NumPy
WHOLE = frozenset({"randint", "randint_like", "random_", "integers"})
FEWEST_OF_A_CHANNEL = 64  # numbers whose noise is of unit size by itself
FEWEST_BITS = 8  # in a draw that is none of a choice for each sample
BELOW_ONE = frozenset({"rand", "rand_like"})


# Roles -------------------------------------------------------------------------------------------


class Role(Enum):
    """What a random draw is for.

    ``NOISE``: normal and as large as the data, or one number for several components; can be off.
    ``TIME``: a number or a few for each sample, of a law whose quantiles are known.
    ``OTHER``: anything else.
    """

    NOISE = auto()
    TIME = auto()
    OTHER = auto()


@dataclass(frozen=True)
class RandomCall:
    """A call of one of torch's random functions.

    Attributes:
        function: Name of the function.
        args: Its positional arguments; the first one is filled if it works in place.
        kwargs: Its keyword arguments.
    """

    function: str
    args: tuple
    kwargs: dict[str, Any]

    @property
    def in_place(self) -> bool:
        """Whether the call fills its first argument."""
        return self.function.endswith("_")


@dataclass(frozen=True, eq=False)
class Recorded:
    """A draw as it is replayed.

    Attributes:
        function: Name of the torch function that made it.
        value: The numbers.
        role: What it is for; noise can be switched off.
    """

    function: str
    value: Tensor
    role: Role


def classify(
    call: RandomCall,
    drawn: Tensor,
    data: Tensor,
    roles: Mapping["Signature", Role] = MappingProxyType({}),
) -> Role:
    """Tell what a random draw is for.

    Args:
        call: The call that made it.
        drawn: The numbers that it gave, of any shape.
        data: The data of this run, shape (n, ...).
        roles: Roles that are known and not those of the shape.

    Returns:
        Whether it is noise, a time whose quantiles are known, or anything else.
    """
    if signature(call, drawn) in roles:
        return roles[signature(call, drawn)]
    if _is_list_of_bits(call, drawn, data):
        return Role.OTHER
    if _is_without_replacement(call, drawn, data):
        return Role.TIME
    if _is_for_each_part(call, drawn, data):
        return Role.TIME
    if call.function != "_sample_dirichlet" and _is_as_large_as_data(call, drawn, data):
        is_noise = call.function in NORMAL and _is_in_order(drawn, data)
        return Role.NOISE if is_noise else Role.OTHER
    if _has_quantiles(call) and _is_few_per_sample(drawn, data):
        return Role.TIME
    return Role.OTHER


def _is_in_order(drawn: Tensor, data: Tensor) -> bool:
    """Whether a draw as large as the data has their order, or may have it."""
    is_list = drawn.ndim == 1 and len(drawn) != len(data)
    return not is_list or drawn.shape == data.shape[1:]


def _is_without_replacement(call: RandomCall, drawn: Tensor, data: Tensor) -> bool:
    """Whether a draw is of more whole numbers than samples, of which none comes twice."""
    if call.function == "multinomial":
        weights = _weights(call)
        is_even = weights.ndim == 1 and bool((weights == weights[0]).all())
        is_subset = len(drawn) == len(data) and may_be_levels(len(weights), data)
        return is_even and is_subset and not _draws_with_replacement(call)
    return _is_order(call, drawn, data)


def _is_list_of_bits(call: RandomCall, drawn: Tensor, data: Tensor) -> bool:
    """Whether a draw is of bits for something else than samples, such as to scramble a sequence."""
    rows = drawn.numel()
    if call.function not in WHOLE or rows < FEWEST_BITS or drawn.max() > 1 or drawn.min() < 0:
        return False
    return len(data) % rows != 0 and rows % len(data) != 0


def _is_order(call: RandomCall, drawn: Tensor, data: Tensor) -> bool:
    """Whether a draw is an order of whole numbers, or uniform numbers whose order may be one."""
    if call.function == "randperm":
        return may_be_levels(len(drawn), data)
    is_list = call.function in BELOW_ONE and drawn.ndim == 1
    if not is_list or len(drawn) <= MAX_REPEATS * len(data):
        return False
    repeats, rest = divmod(len(drawn), len(data))
    is_for_parts = rest == 0 and _is_a_number_of_parts(repeats, data)
    return not is_for_parts and may_be_levels(len(drawn), data)


def may_be_levels(total: int, data: Tensor) -> bool:
    """Whether whole numbers in random order may be levels, and not places in the data.

    Args:
        total: How many numbers there are.
        data: The data of this run, shape (n, ...).

    Returns:
        Whether there are more of them than samples, and not as many as a sample has parts.
    """
    return total > len(data) and total not in (*data.shape, data[0].numel())


Signature = tuple[str, tuple[int, ...]]


def signature(call: RandomCall, drawn: Tensor) -> Signature:
    """What draws of one kind have in common in all batches.

    Args:
        call: The call that made a draw.
        drawn: Its numbers.

    Returns:
        The function, and the shape of a sample's share.
    """
    return call.function, tuple(drawn.shape[1:])


@dataclass(frozen=True)
class Known:
    """What is known of draws beyond their shapes.

    Attributes:
        roles: Roles of draws that are not those of their shape.
        in_parts: Normal draws for some samples, or for some components of all, are parts of one
            noise, if together they are as large as the data.
        always_on: Noise cannot be switched off, as where it is divided by its own size.
        needs_data: Noise reaches the network only where there are data, as where a mask is made
            from them.
        grows_with_data: Noise is as large as the data make it, as where it is drawn in units of
            their own spread. It needs data too.
        unit_noise: Each sample's noise has mean 0 and mean square 1, so that a loss that rescales
            or turns it leaves its size as it is. So it has in each channel of an image, and where
            noise needs data, apart in components with data and without.
    """

    roles: Mapping[Signature, Role] = field(default_factory=dict)
    in_parts: bool = False
    always_on: bool = False
    needs_data: bool = False
    grows_with_data: bool = False
    unit_noise: bool = False

    def role(self, call: RandomCall, drawn: Tensor, data: Tensor) -> Role:
        """Tell what a random draw is for; see ``classify``."""
        if self.in_parts and call.function in NORMAL and kind_of_part(drawn, data) is not None:
            role = Role.NOISE
        else:
            role = classify(call, drawn, data, self.roles)
        return Role.OTHER if role is Role.NOISE and self.always_on else role

    def noise(self, call: RandomCall, drawn: Tensor, data: Tensor) -> Tensor:
        """Standard noise as it is used: of unit size in each sample, where that is asked for.

        Args:
            call: The call that drew it.
            drawn: Its numbers.
            data: The data of this run, shape (n, ...).

        Returns:
            The same numbers, or others of the same shape.
        """
        is_whole = drawn.numel() == data.numel()
        is_of_samples = is_whole or kind_of_part(drawn, data) == "samples"
        if not (self.unit_noise and call.function in STANDARD_NORMAL and is_of_samples):
            return drawn
        is_of_channels = data.ndim > 2 and data[0, 0].numel() >= FEWEST_OF_A_CHANNEL
        rows = drawn.reshape(-1, (data[0, 0] if is_of_channels else data[0]).numel())
        if not (self.needs_data and is_whole):
            return of_unit_size(rows).reshape(drawn.shape)
        held = (data != 0).reshape(rows.shape)
        parts = of_unit_size(rows, held), of_unit_size(rows, ~held)
        return torch.where(held, *parts).reshape(drawn.shape)


def of_unit_size(rows: Tensor, held: Tensor | None = None) -> Tensor:
    """Numbers with mean 0 and mean square 1 in each row.

    Args:
        rows: The numbers, shape (n, d).
        held: Which of them count, bool, shape (n, d); by default all. Where fewer than two of a row
            do, they stay as they are.

    Returns:
        The numbers less their mean and over their size, shape (n, d).
    """
    held = torch.ones_like(rows, dtype=torch.bool) if held is None else held
    count = held.sum(1, keepdim=True)
    centred = rows - (rows * held).sum(1, keepdim=True) / count
    size = ((centred.square() * held).sum(1, keepdim=True) / count).sqrt()
    return torch.where(count > 1, centred / size, rows)


NOTHING_KNOWN = Known()


def kind_of_part(drawn: Tensor, data: Tensor) -> str | None:
    """What share of the data's numbers a draw may have, by its shape.

    Args:
        drawn: The numbers, of any shape.
        data: The data of this run, shape (n, ...).

    Returns:
        "samples" of the numbers of some samples, "components" of those of some components of all,
        and None elsewhere.
    """
    if drawn.numel() >= data.numel():
        return None
    is_one = drawn.shape == data.shape[1:] and len(drawn) != len(data)
    if is_one or drawn.shape[1:] == data.shape[1:]:
        return "samples"
    is_for_all = drawn.ndim > 1 and len(drawn) == len(data) < drawn.numel()
    is_like_it = drawn.ndim == data.ndim or _lacks_a_dimension(drawn, data)
    return "components" if is_for_all and is_like_it else None


def _lacks_a_dimension(drawn: Tensor, data: Tensor) -> bool:
    """Whether a draw has all dimensions of the data but one, as one channel has."""
    shape = list(data.shape)
    return any(list(drawn.shape) == shape[:i] + shape[i + 1 :] for i in range(1, len(shape)))


def _is_for_each_part(call: RandomCall, drawn: Tensor, data: Tensor) -> bool:
    """Whether a draw that is not normal has a number for each part of a sample, as for a frame."""
    if call.function in NORMAL or not _has_quantiles(call) or drawn.numel() >= data.numel():
        return False
    fits = drawn.ndim > 1 and len(drawn) == len(data)
    parts = drawn.numel() // max(len(data), 1)
    return fits and parts <= MAX_PARTS and (_broadcasts(drawn, data) or _leads(drawn, data))


def _is_as_large_as_data(call: RandomCall, drawn: Tensor, data: Tensor) -> bool:
    """Whether a draw is as large as the data, or has several numbers for each sample."""
    if drawn.numel() == data.numel():
        return True
    if drawn.numel() <= len(data):
        return False
    if _broadcasts(drawn, data):
        return True
    return call.function in NORMAL and (_leads(drawn, data) or _is_long(drawn, data))


def _is_long(drawn: Tensor, data: Tensor) -> bool:
    """Whether a draw has many numbers for each sample, or for each of other samples like it."""
    if drawn.ndim < 2:
        return False
    if drawn.shape[1:] == data.shape[1:]:
        return len(drawn) > 1
    if _is_for_repeated_parts(drawn, data):
        return True
    return len(drawn) == len(data) and drawn.numel() > MAX_TIMES_PER_SAMPLE * len(data)


def _is_for_repeated_parts(drawn: Tensor, data: Tensor) -> bool:
    """Whether a draw is for the parts of all samples one by one, each several times."""
    is_of_parts = drawn.ndim < data.ndim and drawn.shape[1:] == data.shape[1 - drawn.ndim :]
    repeats, rest = divmod(drawn.numel(), data.numel())
    return is_of_parts and rest == 0 and 1 <= repeats <= MAX_REPEATS


def _is_a_number_of_parts(repeats: int, data: Tensor) -> bool:
    """Whether so many rows for each sample are one for each of its parts, or a few."""
    parts = [int(np.prod(data.shape[1:end])) for end in range(2, data.ndim)]
    few = [number for number in parts if repeats % number == 0 and repeats // number <= MAX_REPEATS]
    return repeats <= MAX_PARTS and bool(few)


def _broadcasts(drawn: Tensor, data: Tensor) -> bool:
    """Whether each dimension of a draw is that of the data, or 1."""
    if drawn.ndim != data.ndim:
        return False
    pairs = zip(drawn.shape, data.shape, strict=True)
    return all(size in (1, full) for size, full in pairs)


def _leads(drawn: Tensor, data: Tensor) -> bool:
    """Whether a draw has the first dimensions of the data, such as one number for each channel."""
    return drawn.ndim > 1 and drawn.shape == data.shape[: drawn.ndim]


def _has_quantiles(call: RandomCall) -> bool:
    """Whether the law of a call has a quantile function that can stand for it."""
    if call.function == "random_":
        return len(call.args) > 1  # without bounds the full range of integers is meant
    if call.function == "multinomial":
        return _draws_with_replacement(call)
    if call.function == "_sample_dirichlet":
        return call.args[0].shape[-1] == 2  # torch draws a Beta variable so
    return call.function in QUANTILES or call.function in NUMPY_QUANTILES


def _draws_with_replacement(call: RandomCall) -> bool:
    """Whether a call of ``multinomial`` draws each time from all of one list of weights."""
    replacement = call.kwargs.get("replacement") or call.args[2:3] == (True,)
    return _weights(call).ndim == 1 and bool(replacement)


def _weights(call: RandomCall) -> Tensor:
    """The weights that a call of ``multinomial`` draws from."""
    return call.args[0] if call.args else call.kwargs["input"]


def _is_few_per_sample(drawn: Tensor, data: Tensor) -> bool:
    """Whether a draw has a number or a few for each sample, or fewer."""
    rows = rows_of(drawn, data)
    if rows > len(data):  # the data may be repeated
        repeats, rest = divmod(rows, len(data))
        is_few = repeats <= MAX_REPEATS or _is_a_number_of_parts(repeats, data)
        return rest == 0 and is_few and drawn.ndim == 1 and len(data) > 1
    return rows > 0 and drawn.numel() <= MAX_TIMES_PER_SAMPLE * rows


def rows_of(drawn: Tensor, data: Tensor) -> int:
    """Rows of a draw: all its numbers if they are at most one a sample, else its length.

    Args:
        drawn: The numbers, of any shape.
        data: The data of this run, shape (n, ...).

    Returns:
        Number of rows.
    """
    return drawn.numel() if drawn.numel() <= len(data) else drawn.shape[0]


def repeated(values: Tensor, kept: int, n: int) -> Tensor:
    """A draw of n rows in which all from one on are like the first; any other draw as it is.

    Args:
        values: The numbers, of any shape.
        kept: Number of rows that stay.
        n: Number of samples.

    Returns:
        The same or a changed copy.
    """
    if not values.ndim or len(values) != n:
        return values
    values = values.clone()
    values[kept:] = values[:1]
    return values


# Even probabilities ------------------------------------------------------------------------------


class KroneckerGrids:
    """Grids (i + 1/2)/N of probabilities in the order of Kronecker sequences, made once."""

    def __init__(self) -> None:
        self._grids: dict[tuple[int, int, int], NDArray] = {}

    def grid(self, axis: int, rows: int, total: int) -> NDArray:
        """The grid of one time axis.

        Args:
            axis: Number of the time axis. The first is in its own order, each other has an
                irrational step.
            rows: Number of rows of a batch.
            total: Number of batches.

        Returns:
            (i + 1/2)/N with N = rows * total in the order of the sequence, for all batches in one
            row after another, shape (N,).
        """
        key = axis, rows, total
        if key not in self._grids:
            replicates = REPLICATES if axis and total >= REPLICATES else 1
            sequence = _kronecker(axis, rows * total, replicates)
            self._grids[key] = (_rank(sequence) + 0.5) / (rows * total)
        return self._grids[key]


def _kronecker(axis: int, points: int, replicates: int) -> NDArray:
    """Numbers in [0, 1) of which each replicate, one point in so many, is a Kronecker sequence."""
    if replicates == 1:
        return np.arange(points) * KRONECKER_STEPS[axis] % 1
    rng = np.random.default_rng([axis, points])
    shifts = (rng.permutation(replicates) + rng.random()) / replicates
    places = (rng.permutation(replicates) + 0.5) / replicates  # in the cells of a replicate's grid
    sequence = np.empty(points)
    for replicate in range(replicates):
        own = np.arange(len(sequence[replicate::replicates]))
        rank = _rank((own * KRONECKER_STEPS[axis] + shifts[replicate]) % 1)
        sequence[replicate::replicates] = (rank + places[replicate]) / len(own)
    return sequence


def _rank(values: NDArray) -> NDArray:
    """Places of values in increasing order, int, shape (n,)."""
    return np.argsort(np.argsort(values, kind="stable"))


@dataclass(frozen=True, eq=False)
class Batch:
    """The data of one run of the loss, and its place among all runs.

    Attributes:
        x: Data, shape (n, ...).
        number: Number of this batch, from 0.
        total: Number of batches in all.
        seed: Seed of the draws that are recorded for it.
        independent: Whether the levels of a batch are independent of each other; otherwise they
            are even in each batch too.
    """

    x: Tensor
    number: int
    total: int
    seed: int
    independent: bool = False

    def places(self, rows: int, axis: int = 0) -> NDArray:
        """This batch's places in a grid of ``rows * total`` points, shuffled, shape (rows,)."""
        if self.independent:
            return self._independent_places(rows, axis)
        return self.strata(rows) * self.total + self.number

    def _independent_places(self, rows: int, axis: int) -> NDArray:
        """Places that are in random order over the batches of a replicate, and even in all of it.

        So do replicates differ in what the samples of a batch have in common, and not in levels.
        """
        replicates = REPLICATES if self.total % REPLICATES == 0 else 1
        replicate, place = self.number % replicates, self.number // replicates
        points = rows * self.total // replicates
        order = _shuffled(points, REPLICATES * (axis + 1) + replicate)
        return order[place * rows :][:rows] * replicates + replicate

    @property
    def order(self) -> NDArray:
        """Places of the samples in the sequence of all draws, int, shape (n,).

        Those of one batch are alike modulo the number of batches, so that draws that have something
        in common are in one replicate.
        """
        rows = len(self.x)
        first = np.arange(rows) if self.independent else self.strata(rows)
        return first * self.total + self.number

    def strata(self, rows: int) -> NDArray:
        """Number of the stratum of each row, shape (rows,).

        From batch to batch all are shifted by a Kronecker step. The strata of one row are then even
        over all batches.
        """
        shift = int(rows * (self.number * STEP_OF_BATCHES % 1))
        return (_shuffled(rows, 0) + shift) % rows


@lru_cache(maxsize=64)
def _shuffled(total: int, number: int) -> NDArray:
    """Whole numbers below a total in random order, the same for one number, shape (total,)."""
    return np.random.default_rng([total, number]).permutation(total)


class Axes:
    """The probabilities of one batch for one time after another.

    Attributes:
        fits: Every draw with numbers for many samples has as many rows as samples, a divisor of
            them or a multiple; otherwise the loss must leave some of its numbers out.
        rows: Largest number of rows of a draw.
    """

    def __init__(self, batch: Batch, grids: KroneckerGrids):
        """Start with the first time.

        Args:
            batch: The data and their place among all batches.
            grids: Grids of probabilities, common to all batches.
        """
        self._batch = batch
        self._grids = grids
        self.fits = True
        self.rows = 0
        self._taken = 0
        self._calls = 0
        self._small_calls = 0

    @property
    def in_use(self) -> bool:
        """Whether any draw has got probabilities."""
        return self._calls > 0

    def used_up(self, numbers: int) -> bool:
        """Whether further draws are to be new ones.

        Args:
            numbers: Size of the draw. Those of fewer numbers than samples, such as a loop over the
                samples makes, are counted apart: they leave axes for times.

        Returns:
            Whether as many draws have got probabilities as may.
        """
        small = self._small_calls
        return (small if self._is_small(numbers) else self._calls - small) >= MAX_TIME_AXES

    def _is_small(self, numbers: int) -> bool:
        """Whether a draw has fewer numbers than there are samples."""
        return numbers < len(self._batch.x)

    def probabilities(self, shape: Sequence[int], rows: int) -> NDArray:
        """Probabilities for the numbers of one draw.

        Args:
            shape: Shape of the draw.
            rows: Number of its rows.

        Returns:
            Numbers in (0, 1), in the shape of the draw.
        """
        columns = int(np.prod(shape)) // rows
        n = len(self._batch.x)
        is_for_others = rows < SHARE_OF_LEVELS * n  # such as the size of a crop
        self.fits = self.fits and (is_for_others or n % rows == 0 or rows % n == 0)
        self.rows = max(self.rows, rows)
        self._calls += 1
        self._small_calls += self._is_small(int(np.prod(shape)))
        if columns > MAX_TIMES_PER_SAMPLE or self._taken + columns > len(KRONECKER_STEPS):
            u = self._latin_hypercube(rows, columns)
        else:
            u = np.stack([self._next_axis(rows) for _ in range(columns)], -1)
        return u.reshape(shape)

    def _next_axis(self, rows: int) -> NDArray:
        """This batch's share of the grid of the next time axis, shape (rows,)."""
        axis = self._taken
        self._taken += 1
        if rows > 1:
            return self._of_rows(axis, rows)
        u = self._grids.grid(axis, 1, self._batch.total)[self._batch.places(1, axis)]
        n = len(self._batch.x)
        if self._batch.total <= n:
            # one offset for n evenly spread times: make it even between them too
            return (np.floor(u * n) + u) / n
        return _even_between(u, n, self._batch.total)

    def _of_rows(self, axis: int, rows: int) -> NDArray:
        """One probability in each stratum of width 1/rows on the first axis, shape (rows,).

        In a stratum, each batch has a place of its own. On other axes the grid of all batches is
        in the order of a Kronecker sequence.
        """
        batch = self._batch
        if batch.independent:
            return (batch.places(rows, axis) + 0.5) / (rows * batch.total)
        if axis:
            return self._grids.grid(axis, rows, batch.total)[batch.places(rows)]
        return (batch.strata(rows) + self._grids.grid(0, 1, batch.total)[batch.number]) / rows

    def _latin_hypercube(self, rows: int, columns: int) -> NDArray:
        """Columns that are even by themselves and in random order, shape (rows, columns)."""
        rng = np.random.default_rng([self._batch.seed, self._calls])
        order = rng.permuted(np.tile(np.arange(rows), (columns, 1)), axis=1).T
        return (order * self._batch.total + self._batch.number + 0.5) / (rows * self._batch.total)


def _even_between(u: NDArray, n: int, total: int) -> NDArray:
    """Move points of a grid within their cells, so that they are even modulo 1/n too.

    One offset a batch may be for n evenly spread times. Where n and the number of batches have a
    common divisor g, each remainder would come g times.

    Args:
        u: Points (k + 1/2)/total, shape (rows,).
        n: Number of times in a batch.
        total: Number of points of the grid.

    Returns:
        The points, moved by less than half a cell.
    """
    g = math.gcd(n, total)
    # moves by steps of at most two, from the middle to either end and back: tails hardly move
    tour = np.concatenate([np.arange(0, g, 2), np.arange(1, g, 2)[::-1]])
    tour = np.roll(tour, -int(np.flatnonzero(tour == g // 2)[0]))
    block = (u * total).astype(int) // (total // g)
    return u + (tour[block] + 0.5 - g / 2) / (n * total)


# Recording and replay ----------------------------------------------------------------------------


class Draws(TorchFunctionMode):
    """The random draws of the loss on one batch, recorded in its first run and replayed afterwards.

    Attributes:
        batch: The data and their place among all batches.
        order: Place of each sample in the stratified sequence, shape (n,).
        recorded: The draws in the order in which the loss makes them.
        known: What is known of draws beyond their shapes.
        axes: Probabilities for the times; None where they are left as drawn.
    """

    def __init__(
        self,
        batch: Batch,
        grids: KroneckerGrids | None,
        generator_states: dict[torch.Generator, Tensor],
        known: Known = NOTHING_KNOWN,
    ):
        """Prepare to record.

        Args:
            batch: The data and their place among all batches.
            grids: Probabilities for the times; None leaves the times as they were drawn.
            generator_states: Generators that the loss draws from, with the state in which they were
                met first. New ones are added, so that the caller can put them back.
            known: What is known of draws beyond their shapes.
        """
        super().__init__()
        self.batch = batch
        self.order = batch.order
        self.recorded: list[Recorded] = []
        self.known = known
        self.axes = None if grids is None else Axes(batch, grids)
        self._generator_states = generator_states
        self._rng_state = torch.Generator().manual_seed(batch.seed).get_state()
        self._position = 0
        self._noise_on = True
        self._replaced: Mapping[int, Tensor] = {}

    @property
    def has_even_times(self) -> bool:
        """Whether quantiles were put in the place of any draw."""
        return self.axes is not None and self.axes.in_use

    @property
    def times(self) -> int:
        """How many draws are times. It differs between batches where a loop rejects some."""
        return sum(draw.role is Role.TIME for draw in self.recorded)

    def fits(self, rows: int) -> bool:
        """Whether numbers were drawn for all samples, or for equal parts of them.

        Args:
            rows: Number of samples that reached the network. Where more numbers were drawn, and
                more than there are data, some were left out.
        """
        if self.axes is None:
            return True
        return self.axes.fits and self.axes.rows <= max(rows, len(self.batch.x))

    @property
    def noises(self) -> list[Tensor]:
        """The draws that are noise, in the order in which the loss makes them.

        Parts of one noise are put together in the shape of the data.
        """
        return [self._together(places) for places in self._places_of_noises()]

    def _together(self, places: Sequence[int]) -> Tensor:
        """The noise at some places of the record, put together where there are several."""
        x = self.batch.x
        values = [self.recorded[place].value for place in places]
        if len(values) == 1:
            return values[0]
        if kind_of_part(values[0], x) == "samples":
            return torch.cat([value.reshape(-1, *x.shape[1:]) for value in values])
        return torch.cat([value.reshape(len(x), -1) for value in values], 1).reshape(x.shape)

    def _places_of_noises(self) -> list[list[int]]:
        """Places of the noises in the record, those of the parts of one noise together."""
        places = [i for i, draw in enumerate(self.recorded) if draw.role is Role.NOISE]
        if not self.known.in_parts:
            return [[place] for place in places]
        noises: list[list[int]] = []
        open_noise: list[int] = []
        for place in places:
            if kind_of_part(self.recorded[place].value, self.batch.x) is None:
                noises.append([place])
                continue
            open_noise.append(place)
            if self._is_whole(open_noise):
                noises.append(open_noise)
                open_noise = []
        return noises + [[place] for place in open_noise]

    def _is_whole(self, places: Sequence[int]) -> bool:
        """Whether parts of one kind are together as large as the data."""
        x = self.batch.x
        values = [self.recorded[place].value for place in places]
        kinds = {kind_of_part(value, x) for value in values}
        return len(kinds) == 1 and sum(value.numel() for value in values) == x.numel()

    def signature_of_noise(self, number: int) -> Signature:
        """What a noise has in common with those of other batches.

        Args:
            number: Number of the noise.

        Returns:
            The function that drew it, and the shape of a sample's share.
        """
        draw = self.recorded[self._places_of_noises()[number][0]]
        return draw.function, tuple(draw.value.shape[1:])

    def rewind(self, noise: bool, replaced: Mapping[int, Tensor] | None = None) -> None:
        """Start the next run of the loss.

        Args:
            noise: Whether the noise is on; where it is off, zeros are replayed instead.
            replaced: What is replayed in the place of some noises, by their number; the other
                noises are then off.
        """
        self._position = 0
        self._noise_on = noise and replaced is None
        self._replaced = {} if replaced is None else self._by_position(replaced)

    @contextmanager
    def repeating_levels(self, kept: int) -> Iterator[None]:
        """Give all samples from one on the times of the first one, for the while.

        Args:
            kept: Number of samples that keep their times.
        """
        before = self.recorded
        self.recorded = [
            replace(draw, value=repeated(draw.value, kept, len(self.batch.x)))
            if draw.role is Role.TIME
            else draw
            for draw in before
        ]
        try:
            yield
        finally:
            self.recorded = before

    def _by_position(self, replaced: Mapping[int, Tensor]) -> dict[int, Tensor]:
        """Replacements by the place of a draw among all draws."""
        noises = self._places_of_noises()
        by_position: dict[int, Tensor] = {}
        for number, value in replaced.items():
            by_position |= self._apart(noises[number], value)
        return by_position

    def _apart(self, places: Sequence[int], value: Tensor) -> dict[int, Tensor]:
        """The parts of a noise by their places in the record; one alone is as it is."""
        if len(places) == 1:
            return {places[0]: value}
        x = self.batch.x
        shapes = [self.recorded[place].value.shape for place in places]
        of_samples = kind_of_part(self.recorded[places[0]].value, x) == "samples"
        numbers = value.reshape(-1) if of_samples else value.reshape(len(x), -1)
        sizes = [shape.numel() // (1 if of_samples else len(x)) for shape in shapes]
        parts = numbers.split(sizes, -1)
        return dict(zip(places, parts, strict=True))

    def __torch_function__(self, func, types, args=(), kwargs=None):
        """Answer a call of a random function from the record; let all other functions pass."""
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name not in RANDOM:  # nearly all calls, so that this comes before anything else
            return func(*args, **kwargs)
        call = RandomCall(name, args, kwargs)
        if self._position == len(self.recorded):
            self.recorded.append(self._record(func, call))
        value = self.replay(call)
        if call.in_place:
            return call.args[0].copy_(value)
        return value.requires_grad_() if call.kwargs.get("requires_grad") else value

    def add_noise(self, call: RandomCall, drawn: Tensor) -> None:
        """Record noise that torch has not drawn.

        Args:
            call: The call that made it.
            drawn: Its numbers.
        """
        self.recorded.append(Recorded(call.function, drawn, Role.NOISE))

    def replay(self, call: RandomCall) -> Tensor:
        """The next recorded numbers, or zeros for noise that is off.

        Args:
            call: The call that asks for them.

        Returns:
            A copy of the numbers.

        Raises:
            ValueError: They were drawn by another function.
        """
        draw = self.recorded[self._position]
        self._position += 1
        require(
            draw.function == call.function,
            f"the loss draws {draw.function} once and {call.function} the next time with the same "
            "seed: it cannot be replayed",
        )
        if self._position - 1 in self._replaced:
            value = self._replaced[self._position - 1]
            return value.reshape(draw.value.shape).to(draw.value).clone()
        if draw.role is Role.NOISE and not self._noise_on:
            return torch.zeros_like(draw.value)
        return draw.value.clone()

    def _record(self, func: Callable[..., Tensor], call: RandomCall) -> Recorded:
        """Make a draw, tell its role, and put quantiles in the place of a time."""
        self._remember_generator(call)
        drawn = self._draw(func, call)
        role = self.known.role(call, drawn, self.batch.x)
        drawn = self.known.noise(call, drawn, self.batch.x)
        if role is Role.TIME and self.axes is not None and not self.axes.used_up(drawn.numel()):
            drawn = self._stratified(call, drawn, self.axes)
        return Recorded(call.function, drawn, role)

    def _remember_generator(self, call: RandomCall) -> None:
        """Note the state of a generator that the loss gives to a random function."""
        generator = call.kwargs.get("generator")
        if generator is not None:
            self._generator_states.setdefault(generator, generator.get_state())

    def _draw(self, func: Callable[..., Tensor], call: RandomCall) -> Tensor:
        """Draw from a state of its own: a replay takes nothing from the generator of the loss."""
        before = torch.default_generator.get_state()
        torch.default_generator.set_state(self._rng_state)
        try:
            result = func(*call.args, **call.kwargs)
            drawn = result.detach()
            if call.in_place:  # what was filled is a tensor of the loss
                drawn = drawn.clone()
            self._rng_state = torch.default_generator.get_state()
        finally:
            torch.default_generator.set_state(before)
        return drawn

    def _stratified(self, call: RandomCall, drawn: Tensor, axes: Axes) -> Tensor:
        """Quantiles of the call's law at even probabilities, in the shape and type of the draw."""
        if call.function == "_sample_dirichlet":  # two shares of one number
            first = axes.probabilities(drawn.shape[:-1], rows_of(drawn[..., 0], self.batch.x))
            u = np.stack([first, first], -1)
        elif _is_without_replacement(call, drawn, self.batch.x):
            n = len(self.batch.x)
            total = len(_weights(call)) if call.function == "multinomial" else len(drawn)
            order = distinct(axes.probabilities((n,), n), total, self.batch.seed)
            if call.function in BELOW_ONE:  # numbers that argsort puts in this order
                numbers = (np.argsort(order) + 0.5) / total
                return torch.from_numpy(numbers).to(drawn)
            return torch.from_numpy(order[: len(drawn)]).to(drawn)
        else:
            u = axes.probabilities(drawn.shape, rows_of(drawn, self.batch.x))
        quantile = QUANTILES[call.function]
        value = quantile(torch.from_numpy(u).to(drawn.device), *call.args, **call.kwargs)
        if call.function in BELOW_ONE:  # also after rounding to few bits
            value = value.clamp(max=1 - torch.finfo(drawn.dtype).eps / 2)
        return value.to(drawn.dtype)
