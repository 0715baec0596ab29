"""What several figures share: colours of roles, short legends, text with a typographic minus."""

from collections.abc import Callable, Iterable, Mapping
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from diffviz import plots
from diffviz.plots.style import OTHERS

NEUTRAL = "0.4"  # lines of reference
TRUTH = "0.35"  # points of the data
PALEST = 0.4  # share of its colour that the first of ordered curves has
SHORT_LOGSNR = "log-SNR λ   [noise ← → data]"


def minus(text: str) -> str:
    """The text with typographic minus signs in the place of hyphens."""
    return text.replace("-", "−")


def colours_of(names: Iterable[str]) -> Callable[[str], str]:
    """Colours for curves that are no objectives, in their order.

    Args:
        names: Names of the curves.

    Returns:
        The function from a name to its colour, for ``plots.lines``.
    """
    return dict(zip(names, cycle(OTHERS), strict=False)).__getitem__


def shades_of(names: Iterable[str], dark: str = OTHERS[0]) -> Callable[[str], str]:
    """Shades of one colour for curves that have an order.

    Args:
        names: Names of the curves, in their order.
        dark: Colour of the last one; the others are the paler, the earlier they come.

    Returns:
        The function from a name to its shade, for ``plots.lines``.
    """
    ordered = list(names)
    shares = np.linspace(PALEST, 1, len(ordered))[:, None]
    shades = 1 - shares * (1 - np.array(to_rgb(dark)))
    return dict(zip(ordered, map(to_hex, shades.tolist()), strict=True)).__getitem__


def from_noise(ax: Axes) -> None:
    """Let time run from noise on the left to data on the right, as log-SNR does everywhere."""
    ax.set_xlim(1, 0)


def put_under(axes: Iterable[Axes], strip: plots.Strip | None) -> None:
    """Draw a strip under each of several axes of log-SNR in the lowest row, where there is one."""
    if strip is not None:
        for ax in axes:
            plots.draw_strip(ax, strip)


def named_lines(ax: Axes) -> list[Line2D]:
    """The curves that ``plots.lines`` drew first on these Axes, without the dots at their ends."""
    return list(ax.lines[::2])


def line_of(ax: Axes, name: str) -> Line2D:
    """The curve of that name."""
    return next(line for line in ax.lines if line.get_gid() == name)


def draw_under(ax: Axes, name: str) -> None:
    """Draw a curve wide, pale and whole, so that a thin one in the same place is seen over it."""
    line_of(ax, name).set(lw=7, alpha=0.35, ls="-", zorder=2, solid_capstyle="butt")


def legend(ax: Axes, handles: Iterable[Artist] | None = None, **options: Any) -> Legend:
    """A legend without a frame, in small type; for all labelled artists by default."""
    chosen: Mapping[str, Any] = {} if handles is None else {"handles": list(handles)}
    return ax.legend(**chosen, **{"frameon": False, "fontsize": 9, **options})


def label_ends(
    ax: Axes, curves: Mapping[str, NDArray], colours: Callable[[str], str], apart: float = 0.06
) -> None:
    """Name curves at their last points, to the right of the Axes, and spread names that collide.

    Args:
        ax: The Axes, with its final limits.
        curves: Name to values, shape (n,), the last of them finite.
        colours: Colour of a name.
        apart: Least distance of two names, as a share of the height.
    """
    low, high = ax.get_ylim()
    heights = {name: (values[-1] - low) / (high - low) for name, values in curves.items()}
    lowest = 0.0
    for name in sorted(heights, key=lambda each: heights[each]):
        at = max(heights[name], lowest)
        lowest = at + apart
        ax.annotate(
            name,
            (1.0, at),
            xycoords="axes fraction",
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            color=colours(name),
            fontsize=9,
        )
