"""Losses over log-SNR, above what is known about the least loss."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from diffviz import checks
from diffviz.plots.curves import lines, place_legend
from diffviz.plots.places import places_of
from diffviz.plots.scales import ERROR_OF, LOGSNR

FLOOR = "floor"  # gid of the band
DECADES = 6  # below the largest number, beyond which nothing is shown
EMPTY = 0.1, 10.0  # the vertical axis where there is nothing to show
SPARE = 1.5  # factor between the curves and the ends of the vertical axis


def loss_curves(
    logsnr: ArrayLike | Mapping[str, ArrayLike],
    curves: Mapping[str, ArrayLike],
    *,
    errors: Mapping[str, ArrayLike] | None = None,
    band: tuple[ArrayLike, ArrayLike, ArrayLike] | None = None,
    base: str = "eps",
    title: str = "",
    outside: bool | None = False,
    ax: Axes | None = None,
) -> Axes:
    """Draw losses over log-SNR on a logarithmic axis, over a band for the least loss.

    Args:
        logsnr: λ in nats, shape (n,), or a mapping from name to λ where curves have their own.
        curves: Name to loss, shape (n,).
        errors: Name to standard error of a curve, like it; drawn as a shade on both sides.
        band: λ in nats and both ends of the least loss, shape (m,) each.
        base: Error that is meant: "eps", "x", "v" or "u".
        title: Title of the axes.
        outside: Where the legend stands; see ``lines``.
        ax: Where to draw; a new figure by default.

    Returns:
        The Axes. The ``gid`` of a line is its name, that of its shade the name and ":stderr", and
        that of the band "floor", as it is called in the legend.

    Raises:
        TypeError: ``curves`` is no mapping, or an array holds no real numbers.
        ValueError: The base is unknown, or shapes do not fit.
    """
    checks.one_of(base, "base", ERROR_OF)
    if not isinstance(curves, Mapping):
        raise TypeError(f"curves must map names to values, got {checks.brief(curves)}")
    if errors is not None and not isinstance(errors, Mapping):
        raise TypeError(f"errors must map names to values, got {checks.brief(errors)}")
    around = {} if errors is None else dict(errors)
    unknown = around.keys() - dict(curves).keys()
    checks.require(not unknown, f"errors has no curve for {', '.join(sorted(map(str, unknown)))}")
    ends = None if band is None else _checked_band(band)
    ax = lines(
        places_of(logsnr, curves, "logsnr"),
        curves,
        xlabel=LOGSNR,
        ylabel=f"squared error of {ERROR_OF[base]}, summed over components",
        title=title,
        outside=outside,
        ax=ax,
    )
    _set_limits(ax, ends)  # first: an axis around zero cannot become logarithmic
    ax.set_yscale("log")
    for old in [shade for shade in ax.collections if shade.get_gid() is not None]:
        old.remove()
    for name, error in around.items():
        _shade(ax, name, np.asarray(error, dtype=float))
    if ends is not None:
        x, low, high = ends
        shade: dict[str, Any] = {"color": "0.5", "alpha": 0.35, "lw": 1.5, "zorder": 1}
        bottom = np.maximum(low, ax.get_ylim()[0])  # 0 would be an edge straight down
        shades = {FLOOR: ax.fill_between(x, bottom, high, gid=FLOOR, **shade)}
        if outside is not None:
            place_legend(ax, list(curves), outside=outside, shades=shades)
    return ax


def _checked_band(band: tuple[ArrayLike, ArrayLike, ArrayLike]) -> tuple[NDArray, ...]:
    """λ and both ends of a band, of one shape."""
    checks.require(
        isinstance(band, tuple) and len(band) == 3,
        "band must be (logsnr, low, high), as floor.logsnr, *floor.band()",
        TypeError,
    )
    x, low, high = (checks.array(part, "band", ndim=1) for part in band)
    checks.require(
        x.shape == low.shape == high.shape,
        f"the parts of band must have one shape, got {x.shape}, {low.shape}, {high.shape}",
    )
    return x, low, high


def _positive(values: NDArray) -> NDArray:
    """Values that a logarithmic axis can show."""
    return np.maximum(values, np.finfo(float).tiny)


def _shade(ax: Axes, name: str, error: NDArray) -> None:
    """Shade one standard error on both sides of a line."""
    (line,) = (line for line in ax.lines if line.get_gid() == name)
    x, y = (np.asarray(values, dtype=float) for values in line.get_data())
    checks.require(
        error.shape == y.shape,
        f"errors of {name!r} must have the shape {y.shape} of the curve, got {error.shape}",
    )
    low = _positive(y - error)
    gid = f"{name}:stderr"
    ax.fill_between(x, low, y + error, color=line.get_color(), alpha=0.2, lw=0, gid=gid)


def _set_limits(ax: Axes, band: tuple[NDArray, ...] | None) -> None:
    """Show all curves and the band, but no more than some decades below the top."""
    parts = [np.asarray(line.get_ydata(), dtype=float) for line in ax.lines]
    values = np.concatenate([*parts, *(() if band is None else band[1:])])
    shown = values[np.isfinite(values) & (values > 0)]
    if not shown.size:  # a logarithmic axis around nothing cannot be drawn
        ax.set_ylim(*EMPTY)
        return
    top = shown.max()
    ax.set_ylim(max(shown.min(), top / 10**DECADES) / SPARE, top * SPARE)
