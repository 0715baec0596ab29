"""A figure of what popular settings of models and trainers really weight."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from diffviz import plots
from diffviz.lab.experiments.popular import POPULAR, PopularRow, PopularSetting, rows
from diffviz.lab.figures.registry import figure
from diffviz.lab.figures.style import NEUTRAL

MONOTONE = plots.PALETTE[0]
RISING = plots.PALETTE[1]
ROW = 0.2  # height of a row in inches
MARGINS = 1.5  # above and below the rows, in inches


def _dots(ax: Axes, at: Sequence[float], table: Sequence[PopularRow], gid: str) -> None:
    """One dot for each row, its form and colour by the verdict."""
    places = np.arange(len(table))
    values = np.asarray(at, dtype=float)
    monotone = np.array([row.is_monotone for row in table])
    for chosen, colour, marker, name in (
        (monotone, MONOTONE, "o", "monotone: a sum of ELBOs"),
        (~monotone, RISING, "D", "rises somewhere: some ELBOs with a minus"),
    ):
        ax.plot(
            values[chosen],
            places[chosen],
            marker,
            color=colour,
            ms=5,
            label=name,
            gid=f"{gid}:{'monotone' if marker == 'o' else 'rising'}",
        )


@figure(
    "popular-settings",
    "What popular settings really weight: median and quartiles of log-SNR, and the share of the "
    "loss below 0",
)
def popular_settings(settings: Sequence[PopularSetting] = POPULAR) -> Axes:
    """Draw the levels that popular settings draw, and what they spend below λ = 0.

    Args:
        settings: The settings, one row each.

    Returns:
        The left panel. Dots have the ``gid`` "median:monotone", "median:rising" and the same with
        "below", quartiles "quartiles".
    """
    table = rows(settings)
    height = MARGINS + ROW * len(table)
    left, right = plots.axes(11, height, columns=2)
    whole = left.figure
    assert isinstance(whole, Figure)
    whole.subplots_adjust(
        left=0.36, right=0.98, wspace=0.08, bottom=0.7 / height, top=1 - 0.8 / height
    )
    places = np.arange(len(table))
    low, _, high = np.transpose([row.quartiles for row in table])
    left.hlines(places, low, high, color=NEUTRAL, lw=2, gid="quartiles")
    _dots(left, [row.median for row in table], table, "median")
    _dots(right, [100 * row.below for row in table], table, "below")
    names = [f"{row.setting.title} ({row.setting.trainer})" for row in table]
    left.set_yticks(places, names, fontsize=8)
    right.set_yticks(places, [])
    for ax in (left, right):
        ax.set_ylim(len(table) - 0.5, -0.5)
    left.axvline(0, color=NEUTRAL, lw=0.8, zorder=0)
    right.axvline(50, color=NEUTRAL, lw=0.8, zorder=0)
    right.set_xlim(0, 102)
    left.set(xlabel="log-SNR λ   [noise ← → data]", title="levels drawn: median, quartiles")
    right.set(xlabel="share below λ = 0 in %, on data from N(0, I)", title="loss below λ = 0")
    whole.legend(*left.get_legend_handles_labels(), loc="upper left", frameon=False, fontsize=9)
    return left
