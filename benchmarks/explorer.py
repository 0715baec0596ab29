"""What a step of a slider of the weighting explorer costs in the kernel.

It is compared with a new figure at each step, which is what the explorer avoids.

Run: python benchmarks/explorer.py [--steps N]
"""

import argparse
import io
from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
from timing import milliseconds

from diffviz import plots
from diffviz.lab.explorers.weighting import WeightingExplorer


def median_time(step: Callable[[object], object], values: Iterable[object]) -> float:
    """Median time of step(value), in ms."""
    return milliseconds(partial(step, value) for value in values)


def slide(explorer: WeightingExplorer, value: float) -> None:
    """Move the first parameter's slider."""
    explorer.controls["p0"].value = value


def switch(explorer: WeightingExplorer, base: str) -> None:
    """Switch the base, which draws the axes again."""
    explorer.controls["base"].value = base


def rebuild(explorer: WeightingExplorer, value: float) -> None:
    """Draw a new figure after a move of the slider, without the explorer's own update."""
    explorer.controls["p0"].unobserve_all()
    explorer.controls["p0"].value = value
    ax = plots.axes(8.0, 4.6, legend=2.0)[0]
    plots.weighting_curves(explorer.grid, explorer.curves(), ax=ax)
    ax.figure.savefig(io.BytesIO(), format="png")


def main() -> None:
    """Print the times, and how much a new figure would cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=41, help="positions of the slider")
    positions = np.linspace(-1, 1, parser.parse_args().steps)
    explorer = WeightingExplorer()
    moved = median_time(partial(slide, explorer), positions)
    switched = median_time(partial(switch, explorer), ["x", "eps"] * 10)
    rebuilt = median_time(partial(rebuild, explorer), positions)  # last: it takes observers off
    print(f"parameter slider (lines moved over a cached background)  {moved:7.1f} ms")
    print(f"base switch (axes drawn again)                           {switched:7.1f} ms")
    print(f"new figure at each step                                  {rebuilt:7.1f} ms")
    print(f"ratio new figure : slider                                {rebuilt / moved:7.1f}")


if __name__ == "__main__":
    main()
