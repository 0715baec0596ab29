"""What training costs: CPU seconds until samples are within twice the floor of the truth, on one thread.

Distance: energy distance (the root, as SciPy's) and sliced Wasserstein-2 (128 directions, the root) from 10,000 samples to
10,000 held-out points. Floor: the same from 10,000 true points instead of samples, median of 20 draws. Samples: Heun, 40 steps
even in fm-ot's time, median of 3 draws (they are not counted). Training: ``dv.fit`` on 50,000 points, process time, without the import. All runs are
over 3 seeds; what stands in brackets is the least and the largest of them.

Run: OMP_NUM_THREADS=1 python benchmarks/training.py [floor | defaults | fewest | together] [toy ...]
"""

import math
import os
import statistics
import sys
import time

import numpy as np
import torch

import diffviz as dv
from diffviz.sampling import grids
from diffviz.sampling.integrate import Stopped

TOYS = "moons", "checkerboard", "swissroll", "8gaussians"
POINTS, SEEDS, COUNTS = 10_000, (0, 1, 2), (150, 200, 300, 450, 600, 800, 1000, 1400, 2000)
GRID = grids.grid(dv.objective("fm-ot").law, 40)
TWELVE = (
    *("fm-ot", "sd3", "edm", "elbo", "iddpm-cosine", "ddpm-linear", "v-cosine", "x-cosine"),
    *("min-snr-5-eps", "p2-gamma1", "sigmoid-bias2", "laplace-eps"),
)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def inner(x: torch.Tensor, y: torch.Tensor) -> float:
    """Mean distance between the points of x and those of y, by the direct formula: products lose half the digits."""
    direct = "donot_use_mm_for_euclid_dist"
    return statistics.fmean(
        torch.cdist(part, y, compute_mode=direct).mean().item() for part in x.split(1000)
    )


class Truth:
    """Held-out points of a toy and the floor of both distances to them."""

    def __init__(self, name: str):
        self.toy = dv.toy(name)
        self.held = self.toy.sample(POINTS, generator(10_000))
        self.own = inner(self.held, self.held)
        angle = torch.arange(128, dtype=torch.float64) * torch.pi / 128
        self.directions = torch.stack([angle.cos(), angle.sin()])
        self.floors = np.array(
            [self.distances(self.toy.sample(POINTS, generator(20_000 + i))) for i in range(20)]
        )
        self.floor = np.median(self.floors, 0)

    def distances(self, x: torch.Tensor) -> tuple[float, float]:
        energy = 2 * inner(x, self.held) - inner(x, x) - self.own
        apart = (x @ self.directions).sort(0).values - (self.held @ self.directions).sort(0).values
        return math.sqrt(max(energy, 0)), apart.square().mean().sqrt().item()

    def score(self, model) -> np.ndarray:
        """Energy distance and sliced W2 of what ``dv.sample`` makes of a model, in floors; infinite if it is not finite."""
        try:
            draws = [
                dv.sample(model, GRID, "heun", n=POINTS, generator=generator(i)).samples.double()
                for i in range(3)
            ]
        except Stopped:
            return np.full(2, np.inf)
        return np.median([self.distances(x) for x in draws], 0) / self.floor


def train(objectives, truth: Truth, seed: int, **settings):
    data = truth.toy.sample(50_000, generator(seed)).float()
    start = time.process_time()
    runs = dv.fit(objectives, data, seed=seed, progress=False, **settings)
    return runs, time.process_time() - start


def row(name: str, values) -> str:
    """Median and spread over seeds of each column."""
    columns = (
        f"{np.median(one):.3g} ({min(one):.3g}-{max(one):.3g})" for one in np.transpose(values)
    )
    return f"{name:>18}" + "".join(f"{one:>24}" for one in columns)


def over_seeds(truth: Truth, **settings) -> list:
    """CPU seconds, energy distance and sliced W2 of fm-ot for each seed."""
    trained = [train("fm-ot", truth, seed, **settings) for seed in SEEDS]
    return [(seconds, *truth.score(run)) for (run,), seconds in trained]


def floor(truths) -> None:
    print(f"\nfloors (of 20 draws), in units of the toy\n{'':>18}{'energy':>24}{'sliced W2':>24}")
    for name, truth in truths.items():
        print(row(name, truth.floors))


def defaults(truths) -> None:
    print(
        f"\nfm-ot at the defaults, distances in floors\n{'':>18}{'CPU s':>24}{'energy':>24}{'sliced W2':>24}"
    )
    for name, truth in truths.items():
        print(row(name, over_seeds(truth)), flush=True)


def fewest(truths) -> None:
    print(
        f"\nthe fewest steps whose medians are within twice the floor\n{'':>18}{'CPU s':>24}{'energy':>24}{'sliced W2':>24}"
    )
    for name, truth in truths.items():
        for count in COUNTS:
            values = over_seeds(truth, steps=count)
            if np.median(values, 0)[1:].max() <= 2:
                break
        print(row(f"{name} {count}", values), flush=True)


def together(truths) -> None:
    name, truth = next(iter(truths.items()))
    trained = [train(TWELVE, truth, seed) for seed in SEEDS]
    alone = sum(train(objective, truth, 0)[1] for objective in TWELVE)
    spent = row("", [[one] for _, one in trained]).strip()
    print(f"\n{len(TWELVE)} objectives on {name}, CPU s: {spent}; in turn {alone:.1f}")
    for runs in zip(*(runs for runs, _ in trained), strict=True):
        print(row(runs[0].name, [truth.score(run) for run in runs]), flush=True)


def main(*words: str) -> None:
    parts = [part for part in (floor, defaults, fewest, together) if part.__name__ in words]
    names = [name for name in words if name in TOYS] or TOYS
    torch.set_num_threads(1)
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} thread of {os.cpu_count()}, load {os.getloadavg()[0]:.1f}"
    )
    truths = {name: Truth(name) for name in names}
    for part in parts or (floor, defaults, fewest, together):
        part(truths)


if __name__ == "__main__":
    main(*sys.argv[1:])
