"""What training costs: CPU seconds until samples are within twice the floor of the truth, on one thread.

Distance: energy distance (the root, as SciPy's) and sliced Wasserstein-2 (128 directions, the root) from 10,000 samples to 10,000
held-out points. Floor: the same from 10,000 true points instead of samples, median of 20 draws. Samples: Heun, 40 steps, median of 5
draws (they are not counted). Training: ``dv.fit`` at its defaults on 50,000 points, process time, without the import.

Run: OMP_NUM_THREADS=1 python benchmarks/training.py [floor | toys | steps | together | digits]
"""

import os
import statistics
import sys
import time

import numpy as np
import torch

import diffviz as dv
from diffviz.data import load, toy
from diffviz.samplers import grid_of, sample
from diffviz.training import fit

TOYS = "moons", "checkerboard", "swissroll", "8gaussians"
POINTS, SEEDS = 10_000, (0, 1, 2)
TWELVE = (
    *("fm-ot", "sd3", "edm", "elbo", "iddpm-cosine", "ddpm-linear", "v-cosine", "x-cosine"),
    *("min-snr-5-eps", "p2-gamma1", "sigmoid-bias2", "laplace-eps"),
)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def inner(x: torch.Tensor, y: torch.Tensor) -> float:
    """Mean distance between the points of x and those of y, by the direct formula: products lose half the digits."""
    direct = "donot_use_mm_for_euclid_dist"
    return statistics.fmean(torch.cdist(part, y, compute_mode=direct).mean().item() for part in x.split(1000))


class Truth:
    """Held-out points of a toy and the floor of both distances to them."""

    def __init__(self, name: str):
        self.toy = toy(name)
        self.held = self.toy.sample(POINTS, generator(10_000))
        self.own = inner(self.held, self.held)
        angle = torch.arange(128, dtype=torch.float64) * torch.pi / 128
        self.directions = torch.stack([angle.cos(), angle.sin()])
        floors = [self.distances(self.toy.sample(POINTS, generator(20_000 + i))) for i in range(20)]
        self.floors = np.array(floors)
        self.floor = np.median(floors, 0)

    def distances(self, x: torch.Tensor) -> tuple[float, float]:
        energy = 2 * inner(x, self.held) - inner(x, x) - self.own
        apart = (x @ self.directions).sort(0).values - (self.held @ self.directions).sort(0).values
        return energy**0.5, apart.square().mean().sqrt().item()

    def score(self, run) -> np.ndarray:
        """Energy distance and sliced W2 of a run, in floors."""
        grid = grid_of(dv.objective("fm-ot").density, 40, -10, 14)
        draws = (sample(run, grid, n=POINTS, shape=(2,), generator=generator(i)).samples.double() for i in range(5))
        return np.median([self.distances(x) for x in draws], 0) / self.floor


def train(objectives, truth: Truth, seed: int, **settings):
    data = truth.toy.sample(50_000, generator(seed)).float()
    start = time.process_time()
    runs = fit(objectives, data, seed=seed, progress=False, **settings)
    return runs, time.process_time() - start


def table(title: str, rows) -> None:
    print(f"\n{title}")
    for row in rows:
        print("  ".join(f"{one:>14}" if isinstance(one, str) else f"{one:14.2f}" for one in row), flush=True)


def toys(truths) -> None:
    rows = [("toy", "CPU s", "energy", "(3 seeds)", "sliced W2", "(3 seeds)")]
    for name, truth in truths.items():
        trained = [train("fm-ot", truth, seed) for seed in SEEDS]
        scores = np.array([truth.score(runs[0]) for runs, _ in trained])
        spread = [f"{low:.2f}-{high:.2f}" for low, high in zip(scores.min(0), scores.max(0), strict=True)]
        median = np.median(scores, 0)
        rows.append((name, statistics.median(s for _, s in trained), median[0], spread[0], median[1], spread[1]))
    table("defaults, fm-ot, in floors", rows)


def steps(truths) -> None:
    """The fewest steps, of a few, whose median over seeds is within twice the floor by both distances."""
    rows = [("toy", "steps", "CPU s", "energy", "sliced W2")]
    for name, truth in truths.items():
        median = np.full(2, np.inf)
        for count in (200, 300, 450, 600, 800, 1000, 1400):
            trained = [train("fm-ot", truth, seed, steps=count) for seed in SEEDS]
            median = np.median([truth.score(runs[0]) for runs, _ in trained], 0)
            if median.max() <= 2:
                break
        rows.append((name, str(count), statistics.median(s for _, s in trained), *median))
    table("to twice the floor", rows)


def together(truths) -> None:
    truth = truths["moons"]
    runs, seconds = train(TWELVE, truth, 0)
    alone = sum(train(name, truth, 0)[1] for name in TWELVE)
    table(f"{len(TWELVE)} objectives on moons: {seconds:.1f} CPU s together, {alone:.1f} in turn", [
        ("objective", "energy", "sliced W2"), *((run.name, *truth.score(run)) for run in runs),
    ])  # fmt: skip


def digits() -> None:
    from sklearn.svm import SVC

    found = load("digits")
    images, labels = found["images"] / 8.0 - 1, found["labels"]
    seen = np.random.default_rng(0).permutation(len(images)) < 1300
    judge = SVC(gamma=0.03).fit(images[seen].reshape(-1, 64), labels[seen])
    torch.set_num_threads(os.cpu_count() or 1)
    wall, start = time.perf_counter(), time.process_time()
    (run,) = fit("fm-ot", images, progress=False)
    wall, start = time.perf_counter() - wall, time.process_time() - start
    drawn = sample(run, grid_of(dv.objective("fm-ot").density, 40, -10, 14), n=500, generator=generator(0)).samples
    margin = [np.diff(np.sort(judge.decision_function(x.reshape(len(x), -1)))[:, -2:])[:, 0] for x in (images[~seen], drawn)]
    limit = np.quantile(margin[0], 0.05)
    shares = np.bincount(judge.predict(drawn.reshape(len(drawn), -1)), minlength=10) / len(drawn)
    print(
        f"\ndigits: {wall:.0f} s on {torch.get_num_threads()} threads ({start:.0f} CPU s); {np.mean(margin[1] > limit):.0%} of samples"
    )
    print(f"are as clear to a classifier as 95 % of held-out digits; classes from {shares.min():.1%} to {shares.max():.1%}")


def main(*parts: str) -> None:
    parts = parts or ("floor", "toys", "steps", "together", "digits")
    print(f"torch {torch.__version__}, {torch.get_num_threads()} thread(s) of {os.cpu_count()}, load {os.getloadavg()[0]:.1f}")
    truths = {name: Truth(name) for name in TOYS} if set(parts) - {"digits"} else {}
    if "floor" in parts:
        spread = lambda truth: (truth.floors / truth.floor).T
        table("floors: median, and least and largest of 20 draws in it", [
            ("toy", "energy", "", "sliced W2", ""),
            *((n, f"{t.floor[0]:.4f}", f"{spread(t)[0].min():.2f}-{spread(t)[0].max():.2f}",
               f"{t.floor[1]:.4f}", f"{spread(t)[1].min():.2f}-{spread(t)[1].max():.2f}") for n, t in truths.items()),
        ])  # fmt: skip
    for part in (toys, steps, together):
        if part.__name__ in parts:
            part(truths)
    if "digits" in parts:
        digits()


if __name__ == "__main__":
    main(*sys.argv[1:])
