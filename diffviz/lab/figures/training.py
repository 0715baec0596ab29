"""Figures of what each of several weightings buys a small network, and where."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from diffviz import plots
from diffviz.checks import require
from diffviz.lab.experiments.training import (
    GRID,
    LARGE,
    NAMES,
    SMALL,
    chosen,
    excesses,
    held,
    sample_quality,
)
from diffviz.lab.figures.registry import figure
from diffviz.lab.figures.style import SHORT_LOGSNR, TRUTH

EXCESS = "log₁₀ excess ε error,  E‖ε̂ − ε̂*‖²"


def _draw_excess(ax: Axes, width: int, outside: bool | None) -> None:
    """log10 of the excess of networks of that width: means over seeds, with their range."""
    spread = excesses(width)
    plots.lines(
        GRID,
        {name: logs.mean(0) for name, logs in spread.items()},
        xlabel=SHORT_LOGSNR,
        ylabel=EXCESS,
        title=f"what it buys: width {width}",
        outside=outside,
        colours=plots.colour,
        ax=ax,
    )
    for name, logs in spread.items():
        ax.fill_between(
            GRID,
            logs.min(0),
            logs.max(0),
            color=plots.colour(name),
            alpha=0.15,
            lw=0,
            gid=f"{name}:seeds",
        )
    ax.set_ylim(-6.5, 0.5)
    for line in ax.lines:
        line.set_linestyle("-")


@figure(
    "capacity",
    "The same small network under five weightings: excess error over the exact denoiser, three "
    "seeds, two widths",
)
def capacity() -> Axes:
    """Draw five weightings, and the excess at two widths; returns the left panel."""
    left, small, large = plots.axes(12.5, 4.4, columns=3, legend=1.45)
    weightings = dict(zip(NAMES, chosen(), strict=True))
    plots.weighting_curves(GRID, weightings, outside=None, title="what each weights", ax=left)
    left.set(ylim=(-5, 5), xlabel=SHORT_LOGSNR)
    _draw_excess(small, SMALL, outside=None)
    _draw_excess(large, LARGE, outside=True)
    return left


def cloud(
    ax: Axes,
    points: ArrayLike,
    name: str,
    colour: str,
    centre: ArrayLike = (0.0, 0.0),
    size: float = 1.5,
) -> None:
    """Draw points as dots, or move those of the same name.

    Args:
        ax: Axes to draw on.
        points: Points of the plane, shape (n, 2); NaN where nothing is drawn.
        name: Name of the dots, their ``gid``.
        colour: A Matplotlib colour.
        centre: Where the origin of the points goes, shape (2,).
        size: Size of the dots in points.

    Raises:
        ValueError: The points are not in the plane.
    """
    places = np.asarray(points, dtype=float)
    in_plane = places.ndim == 2 and places.shape[1] == 2
    require(in_plane, f"points must have shape (n, 2), got {places.shape}")
    known = {line.get_gid(): line for line in ax.lines}
    if name not in known:
        (known[name],) = ax.plot([], [], ".", ms=size, mew=0, gid=name)
    known[name].set(data=(places + np.asarray(centre)).T, color=colour)


def _square(ax: Axes, reach: float) -> None:
    """A square around the origin without ticks."""
    ends = (-reach, reach)
    ax.set(xlim=ends, ylim=ends, aspect="equal", xticks=[], yticks=[])


def beside(clouds: Mapping[str, NDArray], reach: float = 2.5) -> Axes:
    """Draw point sets beside one another, the first in grey.

    Args:
        clouds: Points of the plane by name, each (n, 2).
        reach: Half of a panel's side.

    Returns:
        The first panel.

    Raises:
        ValueError: There are no sets, or points are not in the plane.
    """
    require(len(clouds) > 0, "clouds is empty: give at least one set of points")
    panels = plots.axes(4 * len(clouds), 4.2, columns=len(clouds))
    for ax, (name, points) in zip(panels, clouds.items(), strict=True):
        colour = TRUTH if ax is panels[0] else plots.colour(name)
        cloud(ax, points, name, colour, size=3)
        _square(ax, reach)
        ax.set_title(name)
    return panels[0]


def _draw_truth(ax: Axes) -> None:
    """True points, with the distance of others from them in the title."""
    there, floor, distances = held()
    cloud(ax, there, "truth", TRUTH)
    title = f"truth\nfloor {floor:.3f}\n({distances.min():.3f} to {distances.max():.3f})"
    ax.set_title(title, fontsize=10)


@figure(
    "samples",
    "Samples of each run beside the truth: sliced Wasserstein-2 distance in multiples of the "
    "truth-against-truth floor",
)
def samples_beside_truth() -> Axes:
    """Draw the truth and samples of each run, a row for each width; returns the first panel."""
    panels = plots.axes(12.5, 5.6, columns=6, rows=2)
    for row, width in ((panels[:6], SMALL), (panels[6:], LARGE)):
        first, *others = row
        _draw_truth(first)
        for ax, (name, quality) in zip(others, sample_quality(width).items(), strict=True):
            cloud(ax, quality.points, name, plots.colour(name))
            numbers = f"{quality.floors:.1f} × floor\n{quality.astray:.1%} astray"
            ax.set_title(f"{name}\n{numbers}", fontsize=10)
        for ax in row:
            _square(ax, 2)
        first.set_ylabel(f"width {width}")
    panels[0].figure.subplots_adjust(
        left=0.03, right=0.99, bottom=0.02, top=0.87, wspace=0.05, hspace=0.4
    )
    return panels[0]
