"""What trainers draw beyond one law: mixtures, ranges of time, and factors at the steps of a table.

On the linear path with t the share of noise, λ = −2 logit t. A shift s of time multiplies
t/(1 − t) by s, so that it moves λ by −2 log s.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.special import expit

from diffviz.recipes.settings.levels import Levels, drawn_from, linear_logsnr
from diffviz.theory import laws

STEPS = 1000  # of every table that the trainers here draw from
HALVINGS = 80  # of a bracket, until it is no longer than a rounding error
RAREST = 1e-9  # probability of a step that is never drawn in practice
FARTHEST = 700.0  # |λ| at which a cut of time is as good as none

UNIFORM_TIME = stats.logistic(scale=2)  # law of λ for uniform t on the linear path

# --- laws -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MixtureQuantiles:
    """The map from a probability to a quantile of a mixture of laws.

    Args:
        components: Frozen SciPy distributions.
        shares: Their probabilities, which sum to 1.
    """

    components: tuple[Any, ...]
    shares: tuple[float, ...]

    def forward(self, q: NDArray) -> NDArray:
        """Quantile of q, which lies between those of the components; by halving that bracket."""
        quantiles = [component.ppf(q) for component in self.components]
        low = np.min(quantiles, axis=0)
        high = np.max(quantiles, axis=0)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            below = self.inverse(middle) < q
            low = np.where(below, middle, low)
            high = np.where(below, high, middle)
        return np.where(np.isfinite(low), (low + high) / 2, low)

    def inverse(self, y: NDArray) -> NDArray:
        """Probability of at most y."""
        parts = zip(self.shares, self.components, strict=True)
        return sum((share * law.cdf(y) for share, law in parts), np.zeros(np.shape(y)))

    def slope(self, y: NDArray) -> NDArray:
        """Density at y."""
        parts = zip(self.shares, self.components, strict=True)
        return sum((share * law.pdf(y) for share, law in parts), np.zeros(np.shape(y)))


def mixture(components: Sequence[Any], shares: Sequence[float]) -> Any:
    """Law of a λ that is drawn from one of several laws.

    Args:
        components: Frozen SciPy distributions.
        shares: Probability of each, up to a constant.

    Returns:
        A frozen SciPy distribution.
    """
    whole = sum(shares)
    quantiles = MixtureQuantiles(tuple(components), tuple(share / whole for share in shares))
    return laws.Transformed(stats.uniform(), quantiles, rising=True).freeze()


@dataclass(frozen=True)
class StretchedTime:
    """The map of λ for t → low + (high − low) t on the linear path.

    Args:
        low: Where t = 0 goes.
        high: Where t = 1 goes.
    """

    low: float
    high: float

    def forward(self, logsnr: NDArray) -> NDArray:
        """λ after stretching."""
        return linear_logsnr(self.low + (self.high - self.low) * expit(-logsnr / 2))

    def _before(self, logsnr: NDArray) -> NDArray:
        """Time before stretching."""
        return np.clip((expit(-logsnr / 2) - self.low) / (self.high - self.low), 0, 1)

    def inverse(self, logsnr: NDArray) -> NDArray:
        """λ before stretching."""
        return linear_logsnr(self._before(logsnr))

    def slope(self, logsnr: NDArray) -> NDArray:
        """dλ before over dλ after."""
        before = self._before(logsnr)
        after = expit(-logsnr / 2) * expit(logsnr / 2)
        return after / (before * (1 - before) * (self.high - self.low))


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
    return laws.Transformed(law, StretchedTime(low, high), rising=True).freeze()


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
    return laws.truncated(law, max(ends[0], -FARTHEST), min(ends[1], FARTHEST))


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
