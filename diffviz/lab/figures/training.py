"""Figures 18 and 19: the same small network trained under several weightings, what each of them buys, and where.

Errors are measured at fixed points z = alpha x + sigma eps of each level, against the exact denoiser:

    E‖eps_hat − eps‖² = mmse + excess,    excess = E‖eps_hat − eps_hat*‖² = e^λ E‖x_hat − x_hat*‖²

since eps_hat* is the mean of eps given z. The excess has none of the noise of a loss: it is what training can still win.
"""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from diffviz import plots
from diffviz.lab.experiments.training import (
    GRID,
    LARGE,
    NAMES,
    SMALL,
    astray,
    chosen,
    excesses,
    held,
    samples,
    sliced_w2,
    trained,
)
from diffviz.lab.figures.registry import figure

EXCESS = "log₁₀ excess ε error,  E‖ε̂ − ε̂*‖²"


@figure(
    "capacity",
    "The same small network under five weightings: excess error over the exact denoiser, three "
    "seeds, two widths",
)
def capacity() -> Axes:
    left, *row = plots.axes(12.5, 4.4, columns=3, legend=1.45)
    plots.weighting_curves(
        GRID,
        dict(zip(NAMES, chosen(), strict=True)),
        outside=None,
        title="what each weights",
        ax=left,
    )
    left.set_ylim(-5, 5)
    for ax, width in zip(row, (SMALL, LARGE), strict=True):
        spread = excesses(width)
        mean = {name: logs.mean(0) for name, logs in spread.items()}
        title = f"what it buys: width {width}"
        outside = True if width == LARGE else None
        plots.lines(
            GRID,
            mean,
            xlabel=plots.LOGSNR,
            ylabel=EXCESS,
            title=title,
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
    for ax in (left, *row):
        ax.set_xlabel("log-SNR λ   [noise ← → data]")
    for ax in row:
        for line in ax.lines:
            line.set_linestyle("-")
    return left


def cloud(
    ax: Axes, points: NDArray, name: str, colour: str, centre=(0.0, 0.0), size: float = 1.5
) -> None:
    """Dots for points (n, 2), moved if they are there."""
    known = {line.get_gid(): line for line in ax.lines}
    if name not in known:
        (known[name],) = ax.plot([], [], ".", ms=size, mew=0, gid=name)
    known[name].set(data=(points + np.asarray(centre)).T, color=colour)


def beside(clouds: Mapping[str, NDArray], reach: float = 2.5) -> Axes:
    """Point sets (n, 2) by name, one panel each, beside one another."""
    row = plots.axes(4 * len(clouds), 4.2, columns=len(clouds))
    for ax, (name, points) in zip(row, clouds.items(), strict=True):
        cloud(ax, points, name, "0.35" if ax is row[0] else plots.colour(name), size=3)
        ax.set(
            xlim=(-reach, reach),
            ylim=(-reach, reach),
            aspect="equal",
            xticks=[],
            yticks=[],
            title=name,
        )
    return row[0]


@figure(
    "samples",
    "Samples of each run beside the truth: sliced Wasserstein-2 distance in multiples of the "
    "truth-against-truth floor",
)
def samples_beside_truth() -> Axes:
    grid = plots.axes(12.5, 5.6, columns=6, rows=2)
    there, floor, floors = held()
    for row, width in zip((grid[:6], grid[6:]), (SMALL, LARGE), strict=True):
        clouds = {"truth": there} | {name: samples(run) for name, run in trained(width).items()}
        for ax, (name, points) in zip(row, clouds.items(), strict=True):
            cloud(ax, points, name, "0.35" if name == "truth" else plots.colour(name))
            words = f"floor {floor:.3f}\n({floors.min():.3f} to {floors.max():.3f})"
            if name != "truth":
                words = (
                    f"{sliced_w2(points, there) / floor:.1f} × floor\n{astray(points):.1%} astray"
                )
            ax.set_title(f"{name}\n{words}", fontsize=10)
            ax.set(xlim=(-2, 2), ylim=(-2, 2), aspect="equal", xticks=[], yticks=[])
        row[0].set_ylabel(f"width {width}")
    grid[0].figure.subplots_adjust(
        left=0.03, right=0.99, bottom=0.02, top=0.87, wspace=0.05, hspace=0.4
    )
    return grid[0]
