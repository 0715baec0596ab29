"""How z is made of the numbers that were drawn: which of them each component holds, and how much.

A loss may permute, pack, cut or repeat its data before the network sees them. A number that reaches
z can be found from outside: the loss is replayed with digits of the numbers' places in their stead.
With ones, the component shows its coefficient; with the digits, it shows these times the
coefficient. A few replays tell every place.

Components of z are then put into groups that have one noise level in every sample. Most losses have
one group. Levels that are drawn for each frame make a group of each frame.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffviz.probing.session import Chunk, State

BASE = 16  # digits are told apart also in bfloat16
MAX_GROUPS = 32
SCOUTS = 4  # components that are read where no groups are found
SAME_LEVEL = 0.01  # difference of log-SNR up to which components have one level


@dataclass(frozen=True, eq=False)
class Source:
    """Which numbers of a draw the components of z hold.

    Attributes:
        places: Places in the flattened draw, shape (rows, d).
        inside: Places in the flattened sample, shape (d,), where each row of z holds numbers of
            its own sample, and the same ones in every row; None elsewhere.
        held: Which components hold a number at all, shape (rows, d); None where all do.
    """

    places: Tensor
    inside: Tensor | None
    held: Tensor | None = None

    def of(self, values: Tensor) -> Tensor:
        """Numbers of a draw in the order of z.

        Args:
            values: The draw, shape (n, ...).

        Returns:
            Shape (rows, d).
        """
        if self.inside is not None:
            return values.reshape(len(values), -1)[:, self.inside]
        return values.reshape(-1)[self.places]

    @property
    def sharers(self) -> int:
        """How many components of a row hold one and the same number, at most."""
        row = self.places[0]
        if self.held is not None and self.held.any():
            first = int(self.held.any(1).nonzero()[0])
            row = self.places[first][self.held[first]]
        _, count = row.unique(return_counts=True)
        return int(count.max())

    @property
    def shared(self) -> bool:
        """Whether components of a row hold one and the same number."""
        return self.sharers > 1

    @property
    def in_order(self) -> bool:
        """Whether z holds the numbers in their own order."""
        if self.inside is None:
            return False
        return torch.equal(self.inside, torch.arange(len(self.inside)))


@dataclass(frozen=True, eq=False)
class Traced:
    """A draw that reaches z component by component.

    Attributes:
        source: Which numbers the components of z hold.
        coefficient: How strongly, shape (rows, d).
    """

    source: Source
    coefficient: Tensor

    @property
    def held(self) -> Tensor | None:
        """Which components hold a number of the draw, shape (rows, d); None where all do."""
        held = self.coefficient != 0
        return None if bool(held.all()) else held

    def reaches_all(self, total: int) -> bool:
        """Whether every number of the draw is somewhere in z.

        Args:
            total: How many numbers the draw has.
        """
        return len(self.source.places[self.coefficient != 0].unique()) == total


@dataclass(frozen=True, eq=False)
class Layout:
    """How the components of z are made and grouped.

    Attributes:
        data: Which numbers of x they hold; None where they are in order.
        noises: The same of each recorded noise.
        groups: Components of one noise level each; one group of all where there is none.
        data_scale: Relative size of the data in each component, shape (d,); None where it is one.
        mixed: Levels differ within a sample in no fixed groups; each group is one component.
        retraced: Places differ from batch to batch and are found anew in each.
        held: Which components hold data at all, shape (rows, d); None where all do.
        gaps: Some components hold no data, others in each sample, and are left out of it.
    """

    data: Source | None = None
    noises: tuple[Source | None, ...] = ()
    groups: tuple[Tensor, ...] = ()
    data_scale: Tensor | None = None
    mixed: bool = False
    retraced: bool = False
    held: Tensor | None = None
    gaps: bool = False

    @property
    def plain(self) -> bool:
        """Whether z holds the data in their order, at one level in each sample."""
        as_they_are = not (self.data or self.noises or self.has_parts)
        return as_they_are and self.data_scale is None

    @property
    def has_parts(self) -> bool:
        """Whether some components are at other levels than the rest, or hold no data."""
        return bool(self.groups) or self.gaps

    def rows_of_data(self, chunk: Chunk) -> Tensor:
        """The data as z holds them, shape (rows, d).

        Args:
            chunk: The batch.

        Returns:
            x in the order of z, times its relative size.
        """
        values = chunk.rows(chunk.x) if self.data is None else self.data.of(chunk.x).to(chunk.dtype)
        if self.held is not None:
            values = values * self.held
        return values if self.data_scale is None else values * self.data_scale

    def retrace(self, chunk: Chunk) -> "Layout":
        """The layout of another batch.

        Args:
            chunk: The batch.

        Returns:
            The same groups, with the places of this batch.
        """
        data, noises = trace_all(chunk)
        return replace(
            self,
            data=None if data is None else data.source,
            held=None if data is None or self.groups else data.held,
            noises=tuple(None if noise is None else noise.source for noise in noises),
        )


# Places ------------------------------------------------------------------------------------------


def trace_all(chunk: Chunk) -> tuple[Traced | None, list[Traced | None]]:
    """Find the places of the data and of each noise in z.

    Args:
        chunk: The batch that the loss is run on.

    Returns:
        For the data and for each noise what was found; None where z does not hold their numbers
        one by one.
    """
    origin = chunk.run(State.NOTHING).z

    needs_data = chunk.draws.known.needs_data  # and a mask of them is to stay as it is
    held = chunk.x != 0 if needs_data else torch.ones_like(chunk.x)

    def from_data(pattern: Tensor) -> Tensor:
        data = held * pattern.reshape(chunk.x.shape).to(chunk.x)
        return chunk.run(State.DATA, data=data).z - origin

    numbers = range(len(chunk.draws.noises))
    return (
        trace(from_data, chunk.x.shape, _tolerance(chunk)),
        [trace_noise(chunk, number) for number in numbers],
    )


def trace_noise(chunk: Chunk, number: int) -> Traced | None:
    """Find the places of one noise in z.

    Args:
        chunk: The batch that the loss is run on, with recorded draws.
        number: Number of the noise.

    Returns:
        What was found; None where z does not hold its numbers one by one.
    """
    origin = chunk.run(State.NOTHING).z

    def respond(pattern: Tensor) -> Tensor:
        return chunk.run(State.NOISE, noises={number: pattern}).z - origin

    return trace(respond, chunk.draws.noises[number].shape, _tolerance(chunk))


def _tolerance(chunk: Chunk) -> float:
    """Relative error up to which z is made of single numbers, by the bits that it has."""
    few_bits = torch.finfo(chunk.run(State.NOTHING).dtype).bits < 32
    return 0.05 if few_bits else 2e-3


def trace(
    respond: Callable[[Tensor], Tensor], shape: Sequence[int], tolerance: float
) -> Traced | None:
    """Find the places of one draw in z.

    Args:
        respond: z as a function of the numbers of the draw, without its constant part.
        shape: Shape of the draw.
        tolerance: Relative error up to which z is made of single numbers.

    Returns:
        Places and coefficients, or None where z is made of sums or functions of the numbers.
    """
    total = int(np.prod(shape))
    coefficient = respond(torch.ones(total))
    held = coefficient != 0
    places = torch.zeros(coefficient.shape, dtype=torch.long)
    number, weight = torch.arange(total), 1
    while weight < total:
        digit = (number // weight) % BASE
        # from 1 on, since a loss may leave out what is 0
        seen = BASE * respond((digit.float() + 1) / BASE) / coefficient - 1
        if not bool((seen[held] - seen[held].round()).abs().max() < 0.25) if held.any() else True:
            return None
        places += torch.where(held, seen.nan_to_num(0).round(), 0).long() * weight
        weight *= BASE
    if bool((places >= total).any()) or bool((places < 0).any()):
        return None
    source = _source(places, held, shape)
    pattern = torch.from_numpy(np.random.default_rng(1).uniform(0.5, 1.5, total)).to(coefficient)
    expected = coefficient * pattern[source.places]
    if (respond(pattern) - expected).norm() > tolerance * expected.norm():
        return None
    return Traced(source, coefficient)


def _source(places: Tensor, held: Tensor, shape: Sequence[int]) -> Source:
    """Places that are completed where z holds no number, and told apart by their rows."""
    rows, d = places.shape
    known = None if bool(held.all()) else held
    size = int(np.prod(shape[1:]))
    own = torch.arange(rows)[:, None] * size
    inside = places - own
    if rows == shape[0] and bool(((inside >= 0) & (inside < size) | ~held).all()):
        common = torch.where(held, inside, -1).max(0).values
        fits = bool(((inside == common) | ~held).all())
        if fits:
            in_place = torch.arange(d) if d == size else torch.zeros(d, dtype=torch.long)
            common = torch.where(common < 0, in_place, common)
            return Source(own + common, common, known)
    return Source(places, None, known)


# Groups ------------------------------------------------------------------------------------------


def level_groups(logsnr: Tensor) -> tuple[tuple[Tensor, ...], bool]:
    """Put components together that have one level in each sample.

    Args:
        logsnr: Log-SNR of each component, shape (rows, d); infinite where there is no noise.

    Returns:
        Components of each group with noise and data, and whether there are no fixed groups: then
        each is one of a few components.
    """
    finite = torch.isfinite(logsnr)
    left = finite.any(0)
    groups: list[Tensor] = []
    while left.any() and len(groups) <= MAX_GROUPS:
        first = int(left.nonzero()[0])
        alike = _alike(logsnr, finite, first) & left
        groups.append(alike.nonzero()[:, 0])
        left &= ~alike
    if len(groups) <= MAX_GROUPS:
        return tuple(groups), False
    places = torch.linspace(0, logsnr.shape[1] - 1, SCOUTS).long().unique()
    return tuple(places[i : i + 1] for i in range(len(places))), True


def _alike(logsnr: Tensor, finite: Tensor, first: int) -> Tensor:
    """Which components have the levels of a given one, shape (d,)."""
    difference = (logsnr - logsnr[:, first : first + 1]).abs()
    comparable = finite & finite[:, first : first + 1]
    same = torch.where(comparable, difference, 0).max(0).values < SAME_LEVEL
    return same & (finite == finite[:, first : first + 1]).all(0)


def has_gaps(alpha: Tensor, sigma: Tensor) -> bool:
    """Whether a sample has one level where it has data, and some components have none.

    Args:
        alpha: Coefficient of x in each component, shape (rows, d).
        sigma: Coefficient of the noise in each component, shape (rows, d).

    Returns:
        Whether components lack data, others in each sample, and the rest has one level.
    """
    held = alpha != 0
    if bool((held == held[:1]).all()) or bool((held & (sigma == 0)).any()):
        return False
    logsnr = 2 * (alpha.abs() / sigma).log()
    highest = torch.where(held, logsnr, -torch.inf).max(1).values
    lowest = torch.where(held, logsnr, torch.inf).min(1).values
    return bool((highest - lowest)[held.any(1)].max() < SAME_LEVEL)


def relative_data_scale(alpha: NDArray, sigma: NDArray) -> NDArray | None:
    """Sizes of the data by component, where noise is the same for all and sizes keep their ratio.

    Args:
        alpha: Coefficient of x in each component, shape (rows, d).
        sigma: Coefficient of the noise in each component, shape (rows, d).

    Returns:
        Sizes with geometric mean 1, shape (d,), or None where components differ otherwise.
    """
    if not (alpha != 0).all() or not (sigma > 0).all():
        return None
    one_noise = np.abs(sigma / sigma[:, :1] - 1).max() < SAME_LEVEL / 2
    log_ratio = np.log(np.abs(alpha / alpha[:, :1]))
    scale = np.median(log_ratio, axis=0)
    one_ratio = np.abs(log_ratio - scale).max() < SAME_LEVEL / 2
    if not (one_noise and one_ratio):
        return None
    sign = np.sign(alpha[0] / alpha[0, 0])
    return sign * np.exp(scale - scale.mean())
