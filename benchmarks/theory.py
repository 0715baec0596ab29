"""What the theory costs: all curves of the catalogue in one call, and the import, each beside what it is measured against.

Run: python benchmarks/theory.py
"""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from timing import seconds


def milliseconds(step, repeats: int) -> float:
    """Median time of step() on the wall clock."""
    return 1e3 * statistics.median(seconds([step] * repeats, time.perf_counter))


def load(module: str):
    """A fresh interpreter that imports ``module`` from this checkout."""
    root = str(Path(__file__).resolve().parents[1])
    environment = os.environ | {"PYTHONPATH": root}
    return lambda: subprocess.run(
        [sys.executable, "-c", f"import {module}"], check=True, env=environment
    )


def main() -> None:
    names = ("scipy.stats", "diffviz")
    for name in names:
        load(name)()  # files into the cache
    scipy, ours = (
        statistics.median(one)
        for one in zip(*([milliseconds(load(n), 1) for n in names] for _ in range(9)), strict=True)
    )
    import diffviz as dv

    grid = np.linspace(-12, 12, 1001)
    curves = milliseconds(lambda: [o.weighting(grid) for o in dv.catalogue.values()], 21)
    laws = milliseconds(lambda: [o.law.pdf(grid) for o in dv.catalogue.values()], 21)
    print(f"{len(dv.catalogue)} weightings at {len(grid)} points  {curves:7.1f} ms   (budget 50)")
    print(f"their SciPy densities alone       {laws:7.1f} ms   ratio {curves / laws:.2f}")
    print(f"import diffviz                    {ours:7.0f} ms")
    print(
        f"import scipy.stats                {scipy:7.0f} ms   ratio {ours / scipy:.2f}   (budget 2)"
    )


if __name__ == "__main__":
    main()
