"""What trainers draw beyond one law: ranges of time, and factors at the steps of a table.

On the linear path with t the share of noise, λ = −2 logit t. A shift s of time multiplies
t/(1 − t) by s, so that it moves λ by −2 log s.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from diffviz.recipes.settings.levels import Levels, drawn_from, linear_logsnr
from diffviz.theory import laws
from diffviz.theory.frames import LARGEST_LEVEL

STEPS = 1000  # of every table that the trainers here draw from
RAREST = 1e-9  # probability of a step that is never drawn in practice

UNIFORM_TIME = stats.logistic(scale=2)  # law of λ for uniform t on the linear path

# --- laws -----------------------------------------------------------------------------------------


def stretched(law: Any, low: float, high: float) -> Any:
    """Law of λ when t is mapped to low + (high − low) t on the linear path.

    Args:
        law: Law of λ before, a frozen SciPy distribution.
        low: Least t, in [0, 1).
        high: Largest t, above it.

    Returns:
        A frozen SciPy distribution.
    """
    if (low, high) == (0.0, 1.0):
        return law
    return laws.squeezed(law, low, high)


def cut(law: Any, low: float, high: float) -> Any:
    """Law of λ conditioned on low <= t <= high on the linear path.

    Args:
        law: Law of λ before, a frozen SciPy distribution.
        low: Least t, in [0, 1).
        high: Largest t, above it.

    Returns:
        A frozen SciPy distribution.
    """
    if (low, high) == (0.0, 1.0):
        return law
    ends = linear_logsnr([high, low])
    # a cut of time beyond these levels is as good as none
    return laws.truncated(law, max(ends[0], -LARGEST_LEVEL), min(ends[1], LARGEST_LEVEL))


def drawn_steps(logsnr: NDArray, mass: NDArray) -> Levels:
    """The law of the steps of a table, without those that no training ever draws.

    Args:
        logsnr: λ of each step in nats, ±inf where a step holds no signal or no noise; shape (T,).
        mass: Probability of each step, shape (T,).

    Returns:
        The levels.
    """
    return drawn_from(logsnr, np.where(mass > RAREST, mass, 0.0))


# --- multipliers ----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class OnLevels:
    """A multiplier that is known at the levels of a table, linear in λ between them.

    Args:
        logsnr: Increasing λ in nats, shape (n,).
        factor: The multiplier there, shape (n,).
    """

    logsnr: NDArray
    factor: NDArray

    def __call__(self, logsnr: ArrayLike) -> NDArray:
        """The multiplier at λ in nats, same shape."""
        return np.interp(np.asarray(logsnr, dtype=float), self.logsnr, self.factor)


def on_levels(logsnr: NDArray, factor: NDArray) -> OnLevels:
    """The multiplier with a given value at each step of a table.

    Args:
        logsnr: λ of each step in any order, shape (T,); steps that are not finite are left out.
        factor: The multiplier at each step, shape (T,).

    Returns:
        The multiplier.
    """
    kept = np.isfinite(logsnr)
    order = np.argsort(logsnr[kept])
    return OnLevels(logsnr[kept][order], np.asarray(factor)[kept][order])
