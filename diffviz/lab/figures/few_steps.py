"""The figure of few-step objectives: where they look, and what is learned of the flow map."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from diffviz import plots
from diffviz.few_steps.objectives import few_step
from diffviz.lab.experiments.few_steps import DATA, EDGES, NAMES, STEPS, errors, plane
from diffviz.lab.figures.registry import figure
from diffviz.lab.figures.style import legend

COLOURS = dict(zip(NAMES, plots.PALETTE, strict=False))
LEAST = 1e-5  # of the probability of a bin, below which the plane is left white


def draw_plane(ax: Axes, name: str) -> None:
    """Draw the probability of jumps over the plane (λ_t, λ_r), and its diagonal as a line.

    Args:
        ax: Axes to draw on.
        name: A key of ``dv.few_step_catalogue``.
    """
    entry = few_step(name)
    mass, on = plane(name)
    shown = np.log10(np.where(mass < LEAST, np.nan, mass))
    ax.pcolormesh(EDGES, EDGES, shown.T, cmap="Greys", vmin=-5.5, vmax=-1.5, lw=0)
    ax.plot(EDGES[[0, -1]], EDGES[[0, -1]], color="0.6", lw=0.8, ls=":")
    middles = (EDGES[1:] + EDGES[:-1]) / 2
    if on.any():
        height = 8 * on / on.max()
        ax.plot(middles, middles - height, color=COLOURS[name], lw=1.8, gid=f"{name} diagonal")
        text = f"{entry.diagonal_share:.0%} on the diagonal"
    else:
        text = "no loss on the diagonal"
    ax.text(0.97, 0.05, text, transform=ax.transAxes, ha="right", fontsize=9)
    ax.set(
        xlabel="λ where a jump starts",
        ylabel="λ where it ends",
        title=name,
        xlim=EDGES[[0, -1]],
        ylim=EDGES[[0, -1]],
    )


def draw_errors(ax: Axes, data: str, names: Sequence[str] = NAMES) -> None:
    """Draw the error of one, two and four steps.

    Args:
        ax: Axes to draw on.
        data: One of the experiment's ``DATA``.
        names: Objectives to show, of the experiment's ``NAMES``.
    """
    for name in names:
        result = errors(name, data)
        ax.plot(result.steps, result.rms, "o-", color=COLOURS[name], ms=6, label=name)
    unmoved = errors(names[0], data).unmoved
    ax.axhline(unmoved, color="0.3", lw=1.4, ls="--", label="not moved")
    ax.set(
        xlabel="steps",
        ylabel="RMS distance from the exact map",
        title=f"learned of {data}",
        xscale="log",
        xlim=(0.9, 4.5),
    )
    ax.set_ylim(0, 1.5 * max(unmoved, ax.dataLim.y1))  # leaves room for the legend
    ax.set_xticks(STEPS, [str(each) for each in STEPS])
    ax.minorticks_off()
    legend(ax, fontsize=8.5, loc="upper right")


@figure(
    "few-steps",
    "Where four few-step objectives look in the plane of two levels, and how far one, two and four "
    "steps of a small network are from the exact flow map",
)
def few_steps(names: Sequence[str] = NAMES) -> Axes:
    """Draw the plane of each objective, and the errors on two data sets.

    Args:
        names: Four objectives, of the experiment's ``NAMES``.

    Returns:
        The first panel.
    """
    panels = plots.axes(13.2, 7.6, columns=3, rows=2)
    planes = (panels[0], panels[1], panels[3], panels[4])
    for ax, name in zip(planes, names, strict=True):
        draw_plane(ax, name)
    for ax, data in zip((panels[2], panels[5]), DATA, strict=True):
        draw_errors(ax, data, names)
    return panels[0]
