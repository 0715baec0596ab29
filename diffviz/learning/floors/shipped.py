"""Floors of data that ship with the package, which take a quarter of a minute to compute.

A table has what depends on the data alone: the floor of the set itself, and how a kernel density of
its points does. What a network adds is measured each time, with the same noise as without a table.

A table is found by the content of the data and by all settings, never by a name. Other points,
levels, seeds or numbers of draws are computed, until ``data/tabulate_floors.py`` has made the table
anew.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from diffviz.learning.floors.own import OwnFloor
from diffviz.learning.floors.parts import Points
from diffviz.learning.floors.record import Loss

FILE = Path(__file__).with_name("shipped.npz")
PARTS = ("own", "used", "ratios", "losses")  # of a table
Counts = tuple[int, ...]  # of points, of points held out, of numbers in a point, of levels


@dataclass(frozen=True, eq=False)
class KnownFloor:
    """What a table has of a floor.

    Args:
        own: The floor of the data set itself.
        kernels: Number of points of the kernel density.
        ratios: Variances of its kernels over those of the noise, shape (levels,).
        losses: Its losses on both halves of the points that are held out.
    """

    own: OwnFloor
    kernels: int
    ratios: NDArray
    losses: tuple[Loss, Loss]

    def arrays(self) -> dict[str, NDArray]:
        """What the file has of it, by name."""
        return {
            "own": np.stack([self.own.mean, self.own.stderr, self.own.half]),
            "used": np.array([self.own.points, self.kernels]),
            "ratios": self.ratios,
            "losses": np.stack([[half.mean, half.stderr] for half in self.losses]),
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray]) -> "KnownFloor":
        """The inverse of ``arrays``."""
        points, kernels = arrays["used"].tolist()
        mean, stderr, half_as_many = arrays["own"]
        first, second = (Loss(*half) for half in arrays["losses"])
        own = OwnFloor(mean, stderr, half_as_many, points)
        return cls(own, kernels, arrays["ratios"], (first, second))


def digest(points: Points, tried: Points, logsnr: NDArray, **settings: int | bool | None) -> str:
    """What tells a floor from any other: content, levels and settings.

    Args:
        points: The data.
        tried: Points that are held out.
        logsnr: λ in nats, shape (levels,).
        **settings: Number of draws, seed, and whether a network draws noise too.

    Returns:
        64 hexadecimal digits.
    """
    content = hashlib.sha256(repr(sorted(settings.items())).encode())
    content.update(np.asarray(logsnr, "<f8").tobytes())
    for part in (points, tried):
        rows = part.source.rows(torch.arange(part.count, device="cpu")).cpu().numpy()
        content.update(repr(rows.shape).encode())
        content.update(np.asarray(rows, "<f4").tobytes())
    return content.hexdigest()


def find(
    points: Points, tried: Points | None, logsnr: NDArray, **settings: int | bool | None
) -> KnownFloor | None:
    """What a table has of a floor, if there is one.

    Args:
        points: The data.
        tried: Points that are held out, if any were given.
        logsnr: λ in nats, shape (levels,).
        **settings: See ``digest``.

    Returns:
        The entry, or None.
    """
    if tried is None:
        return None
    alike = shipped().get(counts_of(points, tried, logsnr))
    if alike is None:
        return None  # without reading the data once more
    return alike.get(digest(points, tried, logsnr, **settings))


def counts_of(points: Points, tried: Points, logsnr: NDArray) -> Counts:
    """The sizes of what a floor is computed from.

    Args:
        points: The data.
        tried: Points that are held out.
        logsnr: λ in nats, shape (levels,).

    Returns:
        Numbers of points, of points held out, of numbers in a point, and of levels.
    """
    return points.total, tried.total, len(points.centre), len(logsnr)


@cache
def shipped() -> dict[Counts, dict[str, KnownFloor]]:
    """The tables of the package, by the sizes of the data and by what ``digest`` returns."""
    tables: dict[Counts, dict[str, KnownFloor]] = {}
    with np.load(FILE, allow_pickle=False) as arrays:
        for name in arrays["digests"].tolist():
            parts = {part: arrays[f"{name}.{part}"] for part in PARTS}
            counts = tuple(arrays[f"{name}.counts"].tolist())
            tables.setdefault(counts, {})[name] = KnownFloor.from_arrays(parts)
    return tables


def write(entries: dict[str, tuple[Counts, KnownFloor]]) -> None:
    """Write the file of the tables.

    Args:
        entries: Sizes and table by what ``digest`` returns.
    """
    arrays: dict[str, Any] = {"digests": np.array(list(entries))}
    for name, (counts, known) in entries.items():
        arrays[f"{name}.counts"] = np.array(counts)
        arrays |= {f"{name}.{part}": values for part, values in known.arrays().items()}
    np.savez_compressed(FILE, **arrays)
