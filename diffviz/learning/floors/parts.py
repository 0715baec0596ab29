"""Points of a data set by their places, and their division into parts by chance."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffviz.data import streams
from diffviz.data.points import refuse_channels_last

HELD = 2**26  # numbers of batches that are kept in memory
MADE_FROM = 2**26  # numbers from which denoisers are made
TRIED_ON = 2**23  # numbers of each half on which they are tried
COARSE = 0.01  # steps of float32 at the mean, as a share of the standard deviation
LEAST = 8  # points: two for each step of making and trying a denoiser


@dataclass(frozen=True, eq=False)
class Points:
    """Points that are read at places, as vectors in float64 around a common centre.

    Args:
        source: Where they are read from.
        count: Number of points that can be read.
        total: Number of points of the data, more than ``count`` for batches that do not fit.
        centre: What is subtracted from each point, so that no digits are lost; shape (d,).
    """

    source: streams.Source
    count: int
    total: int
    centre: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one point."""
        return self.source.shape

    def at(self, places: NDArray) -> Tensor:
        """Points at places (n,) in the order asked for, in float64, shape (n, d)."""
        shape = len(places), len(self.centre)
        vectors = torch.empty(shape, dtype=torch.float64, device=self.centre.device)
        step = max(1, streams.PIECE // shape[1])
        order = np.argsort(places, kind="stable")  # a file is read from its start to its end
        for start in range(0, len(places), step):
            part = order[start : start + step]
            rows = self.source.rows(torch.from_numpy(places[part])).flatten(1)
            vectors[torch.from_numpy(part).to(vectors.device)] = rows - self.centre
        return vectors

    def blocks(self, places: NDArray, size: int) -> Iterator[tuple[NDArray, Tensor]]:
        """The points at places, some at a time, with the range of places that they come from."""
        for start in range(0, len(places), size):
            part = np.arange(start, min(start + size, len(places)))
            yield part, self.at(places[part])


@dataclass(frozen=True, eq=False)
class Parts:
    """Points that denoisers are made from, and two halves of others, on which they are tried.

    Args:
        made_from: Points around the centre in a random order, shape (m, d).
        available: Number of points from which ``made_from`` was drawn.
        halves: Points around the centre in a random order, shape (k, d) each.
        centre: The centre, shape (d,).
        shape: Shape of one point.
    """

    made_from: Tensor
    available: int
    halves: tuple[Tensor, Tensor]
    centre: Tensor
    shape: tuple[int, ...]


def read(data: Any, name: str, rng: np.random.Generator) -> Points:
    """The points of data, which are gone through once.

    Args:
        data: What ``streams.source`` takes.
        name: Name of the argument, for messages.
        rng: Draws the points that are kept of batches.

    Returns:
        The points.

    Raises:
        TypeError: The data are of the wrong kind.
        ValueError: There are too few points, one is not finite, all are equal, they are so far from
            0 that float32 rounds them away, or images have their channels last.
    """
    source = streams.source(data, name)
    total = 0
    if isinstance(source, streams.Batches):
        source, total = _kept(source, rng)
    values = getattr(source, "values", None)
    if values is not None and (values.ndim < 2 or len(values) < LEAST or 0 in values.shape):
        raise ValueError(
            f"{name} must be {LEAST} or more points (n, *shape), got shape {tuple(values.shape)}; "
            f"points on a line are {name}[:, None]"
        )
    refuse_channels_last((0 if values is None else len(values), *source.shape))
    found = streams.statistics(source)
    if found.bad:
        raise ValueError(
            f"{name} must be finite, but {found.bad} of {found.count} points have NaN, infinity or "
            f"a number too large for float32, the first at place {found.first_bad}; drop them first"
        )
    if found.equal:
        raise ValueError(f"{name} must have different points; the floor of equal ones is 0")
    _check_digits(found, name)
    centre = found.mean.flatten().to(source.device)
    return Points(source, found.count, max(total, found.count), centre)


def _check_digits(found: streams.Statistics, name: str) -> None:
    """Refuse points so far from 0 that float32, in which they are read, rounds them away."""
    farthest = float(found.mean.abs().max())
    step = float(np.spacing(np.float32(farthest)))
    if step > COARSE * found.std:
        raise ValueError(
            f"{name} must be near 0: its mean reaches {farthest:.3g}, where numbers in float32 are "
            f"{step:.2g} apart, but its standard deviation is {found.std:.2g}; subtract the mean "
            "in float64 first, the floor does not depend on it"
        )


def _kept(batches: streams.Batches, rng: np.random.Generator) -> tuple[streams.Stored, int]:
    """Points of one time through batches, drawn evenly if there are too many, and their number.

    Batches may come in another order each time, so that a point could not be found again. A point
    that comes after the first ones takes the place of one of them by chance (Vitter 1985,
    Algorithm R).
    """
    most = max(LEAST, HELD // max(1, int(np.prod(batches.shape))))
    first: list[Tensor] = []
    kept: Tensor | None = None
    seen = 0
    for piece in batches.pieces():
        if kept is not None:
            _replace(kept, piece, seen, rng)
        else:
            first.append(piece)
            if seen + len(piece) > most:
                both = torch.cat(first)
                first = []
                kept = both[:most].clone()
                _replace(kept, both[most:], most, rng)
        seen += len(piece)
    return streams.Stored(torch.cat(first) if kept is None else kept), seen


def _replace(kept: Tensor, later: Tensor, seen: int, rng: np.random.Generator) -> None:
    """Let points that come after ``seen`` others take places of those that are kept."""
    places = rng.integers(0, seen + 1 + np.arange(len(later)))
    taken = np.flatnonzero(places < len(kept))[::-1]
    _, last = np.unique(places[taken], return_index=True)  # of several for a place, the last
    taken = taken[last]
    kept[torch.from_numpy(places[taken])] = later[torch.from_numpy(taken)]


def divide(points: Points, held_out: Points | None, rng: np.random.Generator) -> Parts:
    """Divide points by chance into those that make denoisers, and those that try them.

    Each part is in a random order, so that its first points are a fair share of data that are
    sorted by class, as files often are.

    Args:
        points: The data; half of them make denoisers, or all if others are held out.
        held_out: Points that nothing was made from, if there are.
        rng: Draws the parts.

    Returns:
        The parts, no more of each than fit into memory.
    """
    size = len(points.centre)
    places = rng.permutation(points.count)
    if held_out is None:
        making, trying = np.split(places, [points.count - points.count // 2])
        tried = points
    else:
        making, trying = places, rng.permutation(held_out.count)
        tried = Points(held_out.source, held_out.count, held_out.total, points.centre)
    most = max(2, TRIED_ON // size)
    first, second = np.array_split(trying, 2)
    return Parts(
        made_from=points.at(making[: max(4, MADE_FROM // size)]),
        available=len(making),
        halves=(tried.at(first[:most]), tried.at(second[:most])),
        centre=points.centre,
        shape=points.shape,
    )
