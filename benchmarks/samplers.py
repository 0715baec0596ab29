"""What sampling costs: the time of Euler steps, and the calls that a solver and a grid need.

The first table is of 10,000 points of the plane in 50 Euler steps, with an MLP of the size that the
notebooks train and without. The second one is the reason for the defaults of ``dv.sample``: the
fewest calls that bring the RMS error of a coordinate below 0.01, against an adaptive reference from
the same starts, on data of unit variance with exact denoisers. The third one asks the same of
ten mixtures, within the levels that an objective trains on: how many calls the default grid and
solver need, and how many the best of all grids and solvers, with the default solver among them and
without it. The default was chosen on the first five of them, and on none of the others.

Run: python benchmarks/samplers.py [--parts steps toys unseen] (about ten minutes)
"""

import argparse
import math
import statistics
import time
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor

import diffviz as dv
from diffviz.sampling import grids
from diffviz.sampling.integrate import HIGHEST, LOWEST, RARE, SHIFT, default_grid
from diffviz.theory import paths
from diffviz.theory.paths import COSINE, LINEAR

TOYS = ("ring8", "gmm2d", "moons", "checkerboard")
STARTS = 256
GOAL = 1e-2
OBJECTIVES = (None, "edm", "laplace-eps")  # whose levels are sampled on
# seed, components and standard deviation: the default was chosen on the first five alone
MIXTURES = ((1, 7, 0.15), (2, 3, 0.5), (3, 12, 0.08), (5, 9, 0.1), (6, 20, 0.2))
MIXTURES += ((11, 5, 0.3), (12, 16, 0.06), (13, 4, 0.9), (14, 8, 0.04), (15, 30, 0.12))
STEPS = (*range(4, 21), *range(22, 33, 2), *range(36, 65, 4), 80, 96, 128)
SOLVERS = ("ddim", "heun", "dpm++2m", "dpm++2s", "ab3", "abm4", "rk4")
DEFAULT = "abm4"
LAWS = {
    f"linear time, shift {SHIFT:g}": paths.shifted(LINEAR, SHIFT).schedule,
    "linear time": LINEAR.schedule,
    "cosine time": COSINE.schedule,
    "uniform in logsnr": stats.uniform(LOWEST, HIGHEST - LOWEST),
    "Karras, rho 7": paths.karras(math.exp(-HIGHEST / 2), math.exp(-LOWEST / 2)).schedule,
}


def seconds(step, repeats: int = 5) -> float:
    """Median time of step(), in s, after one to warm up."""
    step()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def time_of_steps() -> None:
    """Print the time of 50 Euler steps on 10,000 points."""
    sizes = [3, 64, 64, 64]
    layers = [
        layer for i, o in pairwise(sizes) for layer in (torch.nn.Linear(i, o), torch.nn.SiLU())
    ]
    net = torch.nn.Sequential(*layers, torch.nn.Linear(64, 2))

    def network(z: Tensor, logsnr: Tensor) -> Tensor:
        return net(torch.cat([z, logsnr.expand(len(z), 1) / 10], 1))

    def nothing(z: Tensor, logsnr: Tensor) -> Tensor:
        return logsnr.sigmoid().sqrt() * z

    grid = grids.grid(COSINE.schedule, 50)
    for name, denoise in {"MLP 3 x 64": network, "no network": nothing}.items():
        model = SimpleNamespace(denoise=denoise, mean=torch.zeros(2))
        taken = seconds(partial(dv.sample, model, grid, solver="ddim", n=10_000))
        threads = torch.get_num_threads()
        print(f"10,000 samples, 50 Euler steps, {name}  {taken:6.3f} s   on {threads} threads")


@dataclass(frozen=True)
class Reference:
    """A toy, starts, and where the exact flow takes them."""

    toy: Any
    start: Tensor
    end: Tensor

    def error(self, levels: Any, solver: Any) -> float:
        """RMS error of a coordinate of the samples on a grid."""
        samples = dv.sample(self.toy, levels, solver, start=self.start).samples  # None: the default
        return (samples - self.end).square().mean().sqrt().item()


@cache
def reference(name: str) -> Reference:
    """The reference of a toy, by an adaptive solver over a wider range than any grid."""
    return reference_of(dv.toy(name, unit=True), LOWEST - 2, HIGHEST + 2)


def reference_of(toy: Any, low: float, high: float) -> Reference:
    """The reference of a toy between two levels."""
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(STARTS, *toy.shape, generator=generator, dtype=torch.float64)
    adaptive = partial(dv.solvers.runge_kutta, method="dopri8")
    return Reference(toy, start, dv.sample(toy, [low, high], adaptive, start=start).samples)


def fewest_calls(name: str, solver: str, law: Any) -> int | None:
    """Calls of the shortest grid that reaches the goal, the last x_hat included; None for none."""
    return fewest_calls_of(reference(name), solver, law, LOWEST, HIGHEST)


def fewest_calls_of(known: Reference, solver: str, law: Any, low: float, high: float) -> int | None:
    """The same between two levels."""
    for steps in STEPS:
        levels = grids.grid(law, steps, low, high)
        if known.error(levels, solver) < GOAL:
            return dv.sample(known.toy, levels, solver, start=known.start[:1]).calls
    return None


def calls_to_the_goal() -> None:
    """Print the calls that each solver needs on each grid, and the error of the defaults."""
    print(f"calls to an RMS error below {GOAL:g} on {', '.join(TOYS)}")
    for law_name, law in LAWS.items():
        for solver in SOLVERS:
            calls = [fewest_calls(name, solver, law) for name in TOYS]
            cells = "".join(f"{'>' if n is None else n:>6}" for n in calls)
            print(f"  {law_name:24}{solver:10}{cells}", flush=True)
    for name in TOYS:
        known = reference(name)
        levels = default_grid(known.toy)
        print(f"default, {name:14}{known.error(levels, None):.4f} in {len(levels)} calls")


def unequal(seed: int, k: int, std: float) -> Any:
    """A mixture of k Gaussians at random places, with random weights."""
    rng = np.random.default_rng(seed)
    means = 2 * rng.normal(size=(k, 2))
    return dv.mixture(means, std, rng.dirichlet(np.full(k, 3.0)), name=f"{k} of std {std:g}").unit()


def calls_on_unseen_mixtures() -> None:
    """Print the calls of the default grid and solver beside those of the best of all."""
    print(f"\ncalls to an RMS error below {GOAL:g} on ten mixtures; the default was chosen on five")
    for toy in (unequal(*shape) for shape in MIXTURES):
        for name in OBJECTIVES:
            low, high = levels_of(name)
            known = reference_of(toy, low, high)
            calls = {
                (law_name, solver): fewest_calls_of(known, solver, law, low, high) or math.inf
                for law_name, law in LAWS.items()
                for solver in SOLVERS
            }
            default = calls[next(iter(LAWS)), DEFAULT]
            others = {way: count for way, count in calls.items() if way[1] != DEFAULT}
            line = f"  {toy.name:14}{name or 'all levels':14}default {default:>4}"
            for words, ways in (("best", calls), ("without it", others)):
                best = min(ways, key=ways.__getitem__)
                ratio = default / ways[best]
                line += f"   {words} {ways[best]:>4} ({', '.join(best)}), ratio {ratio:.2f}"
            print(line, flush=True)


def levels_of(name: str | None) -> tuple[float, float]:
    """Ends of the default grid of a run that was trained under an objective."""
    if name is None:
        return LOWEST, HIGHEST
    first, last = dv.objective(name).law.ppf([RARE, 1 - RARE])
    return max(LOWEST, first), min(HIGHEST, last)


PARTS = {"steps": time_of_steps, "toys": calls_to_the_goal, "unseen": calls_on_unseen_mixtures}


def main() -> None:
    """Print what a step costs and how many calls reach the goal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="all by default")
    for part in parser.parse_args().parts:
        PARTS[part]()


if __name__ == "__main__":
    main()
