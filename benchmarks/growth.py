"""How the cost of each part grows with the size of what it is given.

Each row is the least-squares slope of log CPU time over log size, beside what the algorithm needs:
1 is linear. Sizes start where the work outweighs the fixed cost of a call.

Run: python benchmarks/growth.py [--repeats N]
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from timing import machine, seconds

import diffviz as dv
from diffviz.data import separable
from diffviz.lab import losses
from diffviz.probing.measure import probe

ENTRIES = list(dv.catalogue.values())


@dataclass(frozen=True)
class Growth:
    """A piece of work at several sizes.

    Args:
        name: What is done.
        size: What grows.
        need: The slope that the algorithm needs.
        sizes: The sizes, increasing.
        work: What is done at a size.
    """

    name: str
    size: str
    need: float
    sizes: tuple[int, ...]
    work: Callable[[int], object]

    def slope(self, repeats: int) -> tuple[float, float]:
        """Slope of log CPU time over log size, and the CPU time at the largest size."""
        steps = [partial(self.work, size) for size in self.sizes]
        for step in steps:
            step()
        times = np.array([min(seconds([step] * repeats)) for step in steps])
        return np.polyfit(np.log(self.sizes), np.log(times), 1)[0], times[-1]


class Shrinking:
    """A denoiser that costs as much as reading its input."""

    def denoise(self, z: torch.Tensor, logsnr: torch.Tensor) -> torch.Tensor:
        """Half of z."""
        return z / 2


def curves(points: int) -> None:
    """All weightings of the catalogue on a grid."""
    grid = np.linspace(-12, 12, points)
    for entry in ENTRIES:
        entry.weighting(grid)


def distinct(count: int) -> list[dv.Objective]:
    """Objectives with as many different weightings."""
    return [dv.families.edm(mean=mean) for mean in np.linspace(-3, 3, count)]


FAMILY = {count: distinct(count) for count in (50, 100, 200, 400, 800)}


def classes(count: int) -> None:
    """Groups of equal objectives, all of them different."""
    dv.equivalent(FAMILY[count])


def bound(points: int, d: int, levels: int) -> None:
    """The evidence lower bound by draws."""
    x = torch.zeros(points, d)
    generator = torch.Generator().manual_seed(0)
    dv.elbo(Shrinking(), x, levels=levels, generator=generator)


def mixture(components: int, levels: int) -> None:
    """Both exact moments of a mixture in the plane, with the memory left out."""
    means = np.random.default_rng(0).normal(size=(components, 2))
    weights = np.full(components, 1 / components)
    grid = np.linspace(-10, 10, levels)
    separable.mixture_moments(weights, means, np.array([0.1]), grid)


def measure(draws: int, d: int) -> None:
    """A probe of a flow-matching loss."""
    x = torch.randn(64, d, generator=torch.Generator().manual_seed(0))
    probe(losses.LOSSES["flow matching"], x, draws=draws)


def growths() -> Iterator[Growth]:
    """What is measured."""
    thousands = (4_000, 16_000, 64_000)
    yield Growth("curves of the catalogue", "points", 1, thousands, curves)
    yield Growth("classes", "objectives", 1, tuple(FAMILY), classes)
    yield Growth("elbo", "points", 1, thousands, lambda n: bound(n, 4, 64))
    yield Growth("elbo", "dimensions", 1, (256, 1024, 4096), lambda d: bound(64, d, 64))
    yield Growth("elbo", "levels", 1, (256, 1024, 4096), lambda k: bound(256, 16, k))
    yield Growth("exact mmse", "components", 1, (500, 2000, 8000), lambda k: mixture(k, 5))
    yield Growth("exact mmse", "levels", 1, (5, 20, 80), lambda k: mixture(50, k))
    yield Growth("probe", "draws", 1, thousands, lambda n: measure(n, 2))
    yield Growth("probe", "dimensions", 1, (256, 1024, 4096), lambda d: measure(4000, d))


def main() -> None:
    """Print one row for each growth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="the least of so many times counts")
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    print(machine())
    print(f"{'work':24} {'size':12} {'slope':>5} {'needs':>6} {'CPU s at the largest':>22}")
    for growth in growths():
        slope, last = growth.slope(repeats)
        print(f"{growth.name:24} {growth.size:12} {slope:5.2f} {growth.need:6.0f} {last:22.3f}")


if __name__ == "__main__":
    main()
