"""What the theory costs: curves, verdicts, classes, exact errors, and the import of the package.

The curves are compared with their SciPy densities alone, the import with that of ``scipy.stats``.
Imports are timed in fresh interpreters, in turn, so that both meet the same load.

Run: python benchmarks/theory.py [--repeats N]
"""

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from timing import milliseconds, seconds

import diffviz as dv
from diffviz.data import separable
from diffviz.data.densities import Mixture
from diffviz.data.expectations import both_moments, computed_moments, expectation

GRID = np.linspace(-12, 12, 1001)


def importing(module: str) -> Callable[[], object]:
    """A function that imports a module in a fresh interpreter, from this checkout."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    command = [sys.executable, "-c", f"import {module}"]

    def run() -> object:
        return subprocess.run(command, check=True, env=environment)

    return run


def import_times(modules: tuple[str, ...], repeats: int) -> list[float]:
    """Median time of each module's import, in ms."""
    steps = [importing(module) for module in modules]
    for step in steps:
        step()  # brings the files into the cache
    rounds = [[milliseconds([step]) for step in steps] for _ in range(repeats)]
    return [statistics.median(times) for times in zip(*rounds, strict=True)]


def weightings() -> None:
    """All weightings of the catalogue."""
    for objective in dv.catalogue.values():
        objective.weighting(GRID)


def densities() -> None:
    """Their SciPy densities alone."""
    for objective in dv.catalogue.values():
        objective.law.pdf(GRID)


def verdicts() -> None:
    """All verdicts of the catalogue."""
    for objective in dv.catalogue.values():
        dv.verdict(objective)


def classes() -> None:
    """Groups of equal objectives in the catalogue."""
    dv.equivalent(dv.catalogue.values())


def exact_errors(name: str) -> None:
    """Print what the error of an ideal denoiser costs: by table, on a lattice, from posteriors."""
    toy = dv.toy(name)
    levels = np.linspace(-10, 12, 45)
    few = levels[::11]
    by_table = min(seconds([lambda: toy.mmse(levels)] * 3))
    law = toy.law
    if isinstance(law, Mixture):
        parts = (part.numpy() for part in (law.weights, law.means, law.std))
        lattice = partial(separable.mixture_moments, *parts, levels)
    else:
        lattice = partial(computed_moments, law, levels, 2)
    (by_lattice,) = seconds([lattice])
    (sample,) = seconds([lambda: expectation(law, both_moments, few, 2)])
    from_posteriors = sample * len(levels) / len(few)
    print(
        f"{name:14} table {1e3 * by_table:6.2f} ms, computed {by_lattice:6.2f} s, "
        f"from posteriors {from_posteriors:6.2f} s CPU"
    )


def main() -> None:
    """Print all comparisons."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=9, help="imports of each module")
    repeats = parser.parse_args().repeats
    scipy, ours = import_times(("scipy.stats", "diffviz"), repeats)
    curves = milliseconds([weightings] * 21)
    laws = milliseconds([densities] * 21)
    count = len(dv.catalogue)
    print(f"{count} weightings at {len(GRID)} points  {curves:7.1f} ms   (budget 50)")
    print(f"their SciPy densities alone       {laws:7.1f} ms   ratio {curves / laws:.2f}")
    print(f"import diffviz                    {ours:7.0f} ms")
    for name, work, budget in (("verdicts", verdicts, 150), ("classes", classes, 100)):
        print(f"{name:33} {milliseconds([work] * 7):7.1f} ms   (budget {budget})")
    torch.set_num_threads(1)
    for name in ("moons", "checkerboard", "dino"):
        exact_errors(name)
    ratio = ours / scipy
    print(f"import scipy.stats                {scipy:7.0f} ms   ratio {ratio:.2f}   (budget 2)")


if __name__ == "__main__":
    main()
