"""Grids of log-SNR to sample on."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray


def grid(law: Any, steps: int, low: float = -10.0, high: float = 14.0) -> NDArray:
    """Levels between ``low`` and ``high``, or the ends of the law, equally probable under a law of λ; shape (steps + 1,).

    A law is a frozen distribution: ``path.schedule`` for levels uniform in the path's time, ``paths.karras().schedule`` for EDM's,
    ``paths.shifted(COSINE, std).schedule`` for atan(s/std), or the density that a training looks with.
    Raises ValueError for steps < 1, low >= high, an end that is not finite, what is no law, or no mass of it between the ends.
    """
    low, high = (
        np.clip([low, high], *law.support()).tolist()
        if hasattr(law, "support")
        else (math.nan, math.nan)
    )
    if (
        not steps >= 1
        or steps % 1
        or not -math.inf < low < high < math.inf
        or not law.cdf(high) > law.cdf(low)
    ):
        raise ValueError(
            f"need whole steps >= 1, a law, as path.schedule, with mass in low < high; got {steps}, {low}, {high}"
        )
    return np.r_[low, law.ppf(np.linspace(law.cdf(low), law.cdf(high), steps + 1)[1:-1]), high]
