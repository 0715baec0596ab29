"""Grids of log-SNR to sample on.

A grid has equal shares of a law of λ between its levels, so that every law is a grid: the schedule
of a path for levels that are uniform in the path's time, or the density that a training looks with.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffviz.checks import array, brief, count, offers, require
from diffviz.protocols import Law
from diffviz.theory.atoms import atomic
from diffviz.theory.laws import LEAST_SOUND, check_quantiles, completed, exceeded, stretch


def grid(law: Law, steps: int, low: float = -10.0, high: float = 14.0) -> NDArray:
    """Levels that are equally probable under a law of λ.

    The ends are ``low`` and ``high``, or those of the law if it is narrower.

    Args:
        law: A frozen distribution of λ: ``path.schedule`` for levels uniform in a path's time,
            ``paths.karras().schedule`` for EDM's levels, ``paths.shifted(COSINE, std).schedule``
            for levels uniform in atan(s/std), or ``objective.law``.
        steps: Number of steps, from 1.
        low: Noisiest level in nats.
        high: Cleanest level in nats.

    Returns:
        Increasing levels in nats, from noise to data, shape (steps + 1,).

    Raises:
        TypeError: ``law`` is no law, ``steps`` no whole number, or an end no number.
        ValueError: ``steps`` is below 1, an end is NaN or stays infinite, not low < high, or the
            law has no mass between them, or so little that levels coincide or are rounded.

    Example:
        >>> dv.grid(dv.paths.LINEAR.schedule, 3, -4, 4).round(3)
        array([-4.   , -1.038,  1.038,  4.   ])
    """
    steps = count(steps, "steps")
    if not offers(law, Law):
        raise TypeError(
            "law must be a law of log-SNR, such as path.schedule or objective.law; "
            f"got {brief(law)}"
        )
    first, last = _ends(law, low, high)
    between = stretch(completed(law), first, last)
    require(
        between.mass > 0,
        f"the law has no mass between low and high, {low!r} and {high!r}; its support is "
        "{:g} to {:g}".format(*law.support()),
    )
    below = np.linspace(*between.cdf, steps + 1)[1:-1]
    above = np.linspace(*between.sf, steps + 1)[1:-1]
    # near the clean end the probability below a level is 1 to all digits, and the rest is not
    inner = np.where(below <= 0.5, law.ppf(below), exceeded(law, above))
    levels = np.concatenate([[first], inner, [last]])
    require(
        (np.diff(levels) > 0).all(),
        f"{steps} steps are too many between {first:g} and {last:g}: their levels coincide under "
        "this law; take fewer, or move low and high to where it has mass",
    )
    if atomic(law) is None and between.mass < LEAST_SOUND:
        check_quantiles(between)
    return levels


def _ends(law: Law, low: Any, high: Any) -> tuple[float, float]:
    """Both ends as numbers, cut to the support of the law."""
    ends = np.array([_end(low, "low"), _end(high, "high")])
    require(ends[0] < ends[1], f"need low < high (noise to data); got {low!r} and {high!r}")
    first, last = np.clip(ends, *law.support()).tolist()
    require(
        np.isfinite([first, last]).all(),
        f"low and high must be finite where the law has no end; got {low!r} and {high!r}",
    )
    return first, last


def _end(value: Any, name: str) -> float:
    """One number, which may be infinite."""
    require(
        not isinstance(value, bool | np.bool_), f"{name} must be a number, got {value!r}", TypeError
    )
    single = array(value, name, infinite=True)
    require(single.size == 1, f"{name} must be one number, got shape {single.shape}")
    return float(single.reshape(()))
