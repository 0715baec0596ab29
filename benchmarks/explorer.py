"""What a slider step of the weighting explorer costs, kernel side, beside rebuilding the figure at each step.

Run: PYTHONPATH=notebooks python benchmarks/explorer.py
"""

import io
import statistics
import time
from functools import partial

import numpy as np
from timing import seconds

from diffviz import plots
from diffviz.lab.explorers.weighting import WeightingExplorer


def milliseconds(step, values) -> float:
    """Median time of step(value) on the wall clock."""
    return 1e3 * statistics.median(
        seconds((partial(step, value) for value in values), time.perf_counter)
    )


def main() -> None:
    explorer = WeightingExplorer()
    grid = np.linspace(-1, 1, 41)

    def slide(value):
        explorer.controls["p0"].value = value

    def rebuild(value):
        explorer.controls["p0"].unobserve_all()
        explorer.controls["p0"].value = value
        ax = plots.weighting_curves(
            explorer.grid, explorer.curves(), ax=plots.axes(8.0, 4.6, legend=2.0)[0]
        )
        ax.figure.savefig(io.BytesIO(), format="png")

    def switch(value):
        explorer.controls["base"].value = ("eps", "x")[int(value)]

    moved, full, again = (
        milliseconds(slide, grid),
        milliseconds(switch, [1, 0] * 10),
        milliseconds(rebuild, grid),
    )
    print(f"parameter slider (lines moved over a cached background)  {moved:7.1f} ms")
    print(f"base switch (axes drawn again)                           {full:7.1f} ms")
    print(f"new figure at each step                                  {again:7.1f} ms")
    print(f"ratio new figure : slider                                {again / moved:7.1f}")


if __name__ == "__main__":
    main()
