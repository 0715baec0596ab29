"""Scales on which weightings are compared.

The constant of a weighting is free, so each curve is normalised before it is drawn.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffviz import checks

ERROR_OF = {"eps": "ε", "x": "x", "v": "v", "u": "u"}
LOGSNR = "log-SNR λ = log(α²/σ²)   [nats; noise ← → data]"


class Scale(NamedTuple):
    """A way to normalise a weighting.

    Args:
        normalise: Function of w, the grid of λ and the anchor, with the values that are drawn.
        label: Label of the axis, with places for the error and the anchor.
    """

    normalise: Callable[[NDArray, NDArray, float], NDArray]
    label: str


def log_anchored(w: NDArray, logsnr: NDArray, anchor: float) -> NDArray:
    """log10 w, moved to 0 at the anchor or at the end of the support that is nearest to it."""
    support = np.flatnonzero(w > 0)
    logs = np.log10(np.where(w > 0, w, np.nan))
    return logs - logs[support[np.abs(logsnr[support] - anchor).argmin()]]


def over_maximum(w: NDArray, logsnr: NDArray, anchor: float) -> NDArray:
    """A weighting over its largest value."""
    return w / w.max()


def unit_area(w: NDArray, logsnr: NDArray, anchor: float) -> NDArray:
    """A weighting over its integral, so that it is a share per nat."""
    return w / np.trapezoid(w, logsnr)


SCALES: dict[str, Scale] = {
    "log10, anchored": Scale(log_anchored, "log₁₀ w on the {} error, 0 at λ = {:g}"),
    "w / max": Scale(over_maximum, "w(λ) / max on the {} error"),
    "unit area": Scale(unit_area, "share per nat, on the {} error"),
}


def scaled(w: ArrayLike, logsnr: ArrayLike, scale: str, anchor: float = 0.0) -> NDArray:
    """A weighting in one of the ``SCALES``.

    Args:
        w: Weighting, shape (n,).
        logsnr: Increasing grid in nats, shape (n,).
        scale: "log10, anchored", "w / max" or "unit area".
        anchor: Where log10 w is 0, in nats; the other scales do not need it.

    Returns:
        The scaled values, shape (n,); NaN where w is not positive, so that nothing is drawn there.

    Raises:
        TypeError: An array holds no real numbers.
        ValueError: The scale is unknown, a value is not finite, the grid does not increase, or the
            shapes differ.
    """
    checks.one_of(scale, "scale", SCALES)
    grid = checks.increasing(logsnr, "logsnr")
    values = checks.array(w, "w")
    if values.shape != grid.shape:
        raise ValueError(f"w must have the shape {grid.shape} of logsnr, got {values.shape}")
    anchor = checks.number(anchor, "anchor")
    positive = values > 0
    if not positive.any():
        return np.full(grid.shape, np.nan)
    return np.where(positive, SCALES[scale].normalise(values, grid, anchor), np.nan)
