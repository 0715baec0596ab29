"""What the theory costs: all curves of the catalogue in one call, and the import of the package.

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
from pathlib import Path

import numpy as np
from timing import milliseconds

import diffviz as dv

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


def main() -> None:
    """Print both comparisons."""
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
    ratio = ours / scipy
    print(f"import scipy.stats                {scipy:7.0f} ms   ratio {ratio:.2f}   (budget 2)")


if __name__ == "__main__":
    main()
