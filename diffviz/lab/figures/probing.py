"""The figure of a loss with a mistake beside the loss that was meant, and of their ratio."""

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from diffviz import plots
from diffviz.lab.experiments.probing import MISTAKE_GRID, MistakenPair
from diffviz.lab.figures.style import NEUTRAL, SHORT_LOGSNR, put_under_first
from diffviz.plots.curves import place_legend
from diffviz.plots.style import FOCUS, OTHERS

MARGIN = 0.2  # of an axis around its values, over their range
MEASURED, MEANT, RATIO = FOCUS, OTHERS[5], OTHERS[2]  # as in the explorer of the probe


def _around(values: NDArray) -> tuple[float, float]:
    """Limits of an axis with room around the values, and around 0."""
    low, high = min(np.nanmin(values), 0.0), max(np.nanmax(values), 0.0)
    return low - MARGIN * (high - low), high + MARGIN * (high - low)


def mystery(pair: MistakenPair, strip: plots.Strip | None = None) -> Axes:
    """Draw both weightings, and their ratio beside them, each on a scale of its own.

    Args:
        pair: What ``experiments.probing.mistaken_pair`` returned.
        strip: One example at several noise levels, drawn under the left panel.

    Returns:
        The left panel. Lines have the ``gid`` "measured", "meant" and "ratio".
    """
    left, right = plots.axes(11, 3.8, columns=2)
    plots.lines(
        MISTAKE_GRID,
        {"measured": pair.measured, "meant": pair.meant},
        xlabel=SHORT_LOGSNR,
        ylabel="log₁₀ w, 0 at λ = 0",
        title=f"mystery {pair.letter}, and what was meant",
        outside=None,
        colours={"measured": MEASURED, "meant": MEANT}.__getitem__,
        ax=left,
    )
    place_legend(left, ["measured", "meant"], outside=False)
    plots.lines(
        MISTAKE_GRID,
        {"ratio": pair.ratio},
        xlabel=SHORT_LOGSNR,
        ylabel="log₁₀ (measured / meant)",
        title="the ratio of the two",
        outside=None,
        colours={"ratio": RATIO}.__getitem__,
        ax=right,
    )
    right.axhline(0, color=NEUTRAL, lw=0.8)
    ends = MISTAKE_GRID[[0, -1]]
    left.set(xlim=ends, ylim=_around(np.array([pair.measured, pair.meant])))
    right.set(xlim=ends, ylim=_around(pair.ratio))
    put_under_first((left, right), strip)
    return left
