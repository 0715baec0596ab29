"""What training costs: CPU seconds until samples are within twice the floor of the truth.

Distances are the energy distance (the root, as SciPy's) and sliced Wasserstein-2 (128 directions,
the root) from 10,000 samples to 10,000 held-out points. The floor is the same from 10,000 true
points instead of samples, median of 20 draws. Samples are those of ``dv.sample`` without further
arguments, median of 3 draws, whose time does not count. Training is ``dv.fit`` on 50,000 points, in
process time of one thread, without the import. All runs are over 5 seeds; in brackets stand the
least and the largest of them.

Parts: "floor", "defaults" (fm-ot as ``dv.fit`` trains it), "fewest" (the fewest steps that reach
twice the floor), "together" (twelve objectives side by side, by their own laws at the defaults, and
with the settings ``ADAPTIVE``), "growth" (slopes of CPU seconds with the number of objectives, of
points in a step and of points of the data).

Run: OMP_NUM_THREADS=1 python benchmarks/training.py [--parts PART ...] [--toys TOY ...]
    [--points N] [--seeds N]
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from timing import machine
from torch import Tensor

import diffviz as dv
from diffviz.sampling.integrate import Stopped

POINTS = 10_000  # samples, and held-out points
TRAINING_POINTS = 50_000
SEEDS = 5
DIRECTIONS = 128  # of sliced Wasserstein-2
FLOOR_DRAWS = 20
SAMPLE_DRAWS = 3
COUNTS = (150, 200, 300, 450, 600, 800, 1000, 1400, 2000)  # steps that "fewest" tries
GROWTH_STEPS = 160
GROWTH = {
    "objectives": (1, 2, 4, 8, 12),
    "points in a step": (256, 512, 1024, 2048),
    "points of data": (10_000, 40_000, 160_000, 640_000),
}
DEFAULTS: dict[str, Any] = {}
# steps that twelve objectives make in 12 CPU s; of 1e-2 and 2e-2 the rate that suits laplace-eps
ADAPTIVE: dict[str, Any] = {"adaptive": True, "steps": 1300, "learning_rate": 2e-2}
TWELVE = (
    "fm-ot",
    "sd3",
    "edm",
    "elbo",
    "iddpm-cosine",
    "ddpm-linear",
    "v-cosine",
    "x-cosine",
    "min-snr-5-eps",
    "p2-gamma1",
    "sigmoid-bias2",
    "laplace-eps",
)


def generator(seed: int) -> torch.Generator:
    """A torch generator of that seed."""
    return torch.Generator().manual_seed(seed)


def grid_of_gaussians() -> Any:
    """Five by five narrow Gaussians."""
    side = np.arange(5) - 2.0
    return dv.mixture(np.stack(np.meshgrid(side, side), -1).reshape(-1, 2), 0.1, name="5x5 grid")


def spirals() -> Any:
    """Two arms of one and a half turns, each as a string of 120 Gaussians."""
    angle = 3 * np.pi * np.sqrt((np.arange(120) + 0.5) / 120)
    arm = angle / 3 * np.stack([np.cos(angle), np.sin(angle)], 1)
    return dv.mixture(np.concatenate([arm, -arm]), 0.1, name="spirals")


class Pinwheel:
    """Five bent blades (Johnson et al. 2016, arXiv 1603.06277, whose code draws them)."""

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Points, shape (n, 2)."""
        blade = torch.randint(5, (n,), generator=generator)
        width = torch.tensor([0.3, 0.1], dtype=torch.float64)
        along, across = (torch.randn(n, 2, generator=generator, dtype=torch.float64) * width).T
        along = along + 1
        angle = 2 * torch.pi * blade / 5 + 0.25 * along.exp()
        turned = [
            along * angle.cos() - across * angle.sin(),
            along * angle.sin() + across * angle.cos(),
        ]
        return 2 * torch.stack(turned, 1)


TOYS: dict[str, Callable[[], Any]] = {
    "moons": partial(dv.toy, "moons"),
    "checkerboard": partial(dv.toy, "checkerboard"),
    "swissroll": partial(dv.toy, "swissroll"),
    "8gaussians": partial(dv.toy, "8gaussians"),
    "5x5grid": grid_of_gaussians,
    "spirals": spirals,
    "pinwheel": Pinwheel,
}


def mean_distance(x: Tensor, y: Tensor) -> float:
    """Mean distance over all pairs, by the direct formula: products lose half the digits."""
    direct = "donot_use_mm_for_euclid_dist"
    return statistics.fmean(
        torch.cdist(part, y, compute_mode=direct).mean().item() for part in x.split(1000)
    )


class Truth:
    """Held-out points of a toy, and the floor of both distances to them.

    Args:
        name: One of ``TOYS``.
        points: Number of held-out points, and of samples that are compared with them.

    Attributes:
        floors: Distances of true points, shape (20, 2).
        floor: Their medians, shape (2,).
    """

    def __init__(self, name: str, points: int = POINTS) -> None:
        """Draw the points; see the class."""
        self.toy = TOYS[name]()
        self.points = points
        self.held = self.toy.sample(points, generator(10_000))
        self.mean_distance = mean_distance(self.held, self.held)
        angle = torch.arange(DIRECTIONS, dtype=torch.float64) * torch.pi / DIRECTIONS
        self.directions = torch.stack([angle.cos(), angle.sin()])
        draws = [self.toy.sample(points, generator(20_000 + i)) for i in range(FLOOR_DRAWS)]
        self.floors = np.array([self.distances(x) for x in draws])
        self.floor = np.median(self.floors, 0)

    def distances(self, x: Tensor) -> tuple[float, float]:
        """Energy distance and sliced Wasserstein-2 of points (n, 2) from the held-out ones."""
        energy = 2 * mean_distance(x, self.held) - mean_distance(x, x) - self.mean_distance
        projected = (x @ self.directions).sort(0).values
        held = (self.held @ self.directions).sort(0).values
        return math.sqrt(max(energy, 0)), (projected - held).square().mean().sqrt().item()

    def score(self, model: Any) -> NDArray:
        """Both distances of a model's samples, in floors; infinite if a sample is not finite."""
        try:
            draws = [
                dv.sample(model, n=self.points, generator=generator(i)).samples.double()
                for i in range(SAMPLE_DRAWS)
            ]
        except Stopped:
            return np.full(2, np.inf)
        return np.median([self.distances(x) for x in draws], 0) / self.floor


@dataclass(frozen=True)
class Bench:
    """What the parts of this benchmark measure on.

    Args:
        truths: Toys by name.
        seeds: Seeds of the trainings.
    """

    truths: dict[str, Truth]
    seeds: range


def train(objectives: Any, truth: Truth, seed: int, **settings: Any) -> tuple[list[Any], float]:
    """Runs on fresh points of a toy, and the CPU seconds that they took."""
    data = truth.toy.sample(TRAINING_POINTS, generator(seed)).float()
    start = time.process_time()
    runs = dv.fit(objectives, data, seed=seed, progress=False, **settings)
    return runs, time.process_time() - start


def over_seeds(truth: Truth, seeds: range, **settings: Any) -> list[tuple[float, float, float]]:
    """CPU seconds, energy distance and sliced Wasserstein-2 of fm-ot for each seed."""
    rows = []
    for seed in seeds:
        (run,), spent = train("fm-ot", truth, seed, **settings)
        energy, sliced = truth.score(run)
        rows.append((spent, energy, sliced))
    return rows


def row(name: str, values: Any) -> str:
    """Median and range over seeds of each column."""
    columns = [
        f"{np.median(column):.3g} ({min(column):.3g}-{max(column):.3g})"
        for column in np.transpose(values)
    ]
    return f"{name:>18}" + "".join(f"{column:>24}" for column in columns)


def head(title: str, *columns: str) -> str:
    """The title of a table, and its columns."""
    return f"\n{title}\n{'':>18}" + "".join(f"{column:>24}" for column in columns)


def floor(bench: Bench) -> None:
    """Print the floors of both distances."""
    print(head(f"floors (of {FLOOR_DRAWS} draws), in units of the toy", "energy", "sliced W2"))
    for name, truth in bench.truths.items():
        print(row(name, truth.floors))


def defaults(bench: Bench) -> None:
    """Print cost and distances of fm-ot as ``dv.fit`` trains it by default."""
    title = "fm-ot at the defaults, distances in floors"
    print(head(title, "CPU s", "energy", "sliced W2"))
    for name, truth in bench.truths.items():
        print(row(name, over_seeds(truth, bench.seeds)), flush=True)


def fewest(bench: Bench) -> None:
    """Print the fewest steps that reach twice the floor."""
    title = "the fewest steps whose medians are within twice the floor"
    print(head(title, "CPU s", "energy", "sliced W2"))
    for name, truth in bench.truths.items():
        for count in COUNTS:
            values = over_seeds(truth, bench.seeds, steps=count)
            if np.median(values, 0)[1:].max() <= 2:
                break
        print(row(f"{name} {count}", values), flush=True)


def together(bench: Bench) -> None:
    """Print what twelve objectives side by side cost on the first toy, beside one by one."""
    name, truth = next(iter(bench.truths.items()))
    alone = sum(train(objective, truth, 0)[1] for objective in TWELVE)
    for settings in (DEFAULTS, ADAPTIVE):
        trained = [train(TWELVE, truth, seed, **settings) for seed in bench.seeds]
        spent = row("", [[seconds] for _, seconds in trained]).strip()
        title = f"{len(TWELVE)} objectives on {name}, {settings or 'defaults'}, CPU s: {spent}"
        print(head(f"{title}; one by one {alone:.1f}", "energy", "sliced W2"))
        for runs in zip(*(runs for runs, _ in trained), strict=True):
            print(row(runs[0].name, [truth.score(run) for run in runs]), flush=True)


def growth(bench: Bench) -> None:
    """Print CPU seconds at several sizes, and the slope of their logarithms."""
    print(f"\nCPU s of {GROWTH_STEPS} steps, and the power of the size with which they grow")
    for name, sizes in GROWTH.items():
        spent = [least_seconds(name, size) for size in sizes]
        slope = np.polyfit(np.log(sizes), np.log(spent), 1)[0]
        pairs = ", ".join(f"{size:,}: {s:.2f}" for size, s in zip(sizes, spent, strict=True))
        print(f"{name:>18}   {pairs}   slope {slope:.2f}", flush=True)


def least_seconds(name: str, size: int) -> float:
    """CPU seconds of a training in which one of ``GROWTH`` has a size; the least of three."""
    objectives = TWELVE[:size] if name == "objectives" else TWELVE[:1]
    batch = size if name == "points in a step" else 512
    count = size if name == "points of data" else TRAINING_POINTS
    data = dv.toy("moons").sample(count, generator(0)).float()
    times = []
    for _ in range(3):
        start = time.process_time()
        dv.fit(objectives, data, steps=GROWTH_STEPS, batch=batch, progress=False)
        times.append(time.process_time() - start)
    return min(times)


PARTS = {
    "floor": floor,
    "defaults": defaults,
    "fewest": fewest,
    "together": together,
    "growth": growth,
}


def main(argv: Sequence[str] | None = None) -> None:
    """Print the parts that are asked for, all by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="all by default")
    parser.add_argument("--toys", nargs="+", choices=TOYS, default=TOYS, help="all by default")
    parser.add_argument("--points", type=int, default=POINTS, help="samples and held-out points")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="seeds of the trainings")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    print(machine())
    truths = {name: Truth(name, options.points) for name in options.toys}
    bench = Bench(truths, range(options.seeds))
    for part in options.parts:
        PARTS[part](bench)


if __name__ == "__main__":
    main()
