"""Laws of λ that are put together from others: mixtures, and sums of times.

A training code that draws its level from one of several laws draws from a mixture. One that adds
two random times draws from a convolution, which is another law: its draws lie between those of
both.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import expit

SMALLEST = 1e-300  # of a time, so that a density at an end is its limit there
HALVINGS = 100  # of a bracket, at most, until it is no longer than a rounding error
NODES, WEIGHTS = np.polynomial.legendre.leggauss(96)  # of the average over a uniform draw
Probability = Callable[[NDArray], NDArray]
Condition = Callable[[NDArray, NDArray], NDArray]


def halved(below: Condition, q: NDArray, low: NDArray, high: NDArray) -> NDArray:
    """Where a condition stops holding, by halving brackets.

    A halving that leaves a bracket as it is would do so for ever, so that it is the last.

    Args:
        below: Whether points lie below the roots for some q, two arrays of shape (k,) to bools.
        q: What the roots are sought for, any shape.
        low: Points below the root or at it, same shape.
        high: Points above the root or at it, same shape.

    Returns:
        The roots, same shape.
    """
    probability = np.ravel(q)
    first = np.array(low, dtype=float).ravel()
    last = np.array(high, dtype=float).ravel()
    left = np.arange(len(first))
    for _ in range(HALVINGS):
        middle = (first[left] + last[left]) / 2
        is_below = below(middle, probability[left])
        moves = np.where(is_below, first[left], last[left]) != middle
        first[left] = np.where(is_below, middle, first[left])
        last[left] = np.where(is_below, last[left], middle)
        left = left[moves]
        if not len(left):
            break
    return ((first + last) / 2).reshape(np.shape(q))


class Mixture(stats.rv_continuous):
    """Law of a λ that is drawn from one of several laws.

    Args:
        components: Frozen SciPy distributions of λ with a density.
        shares: Probability of each; they sum to 1.
        **options: Of ``scipy.stats.rv_continuous``, which passes them when it freezes a law.
    """

    def __init__(self, components: tuple[Any, ...], shares: tuple[float, ...], **options: Any):
        self.components = components
        self.shares = shares
        ends = np.array([law.support() for law in components], dtype=float)
        defaults = {"a": ends[:, 0].min(), "b": ends[:, 1].max(), "name": "mixture"}
        super().__init__(**(defaults | options))

    def _updated_ctor_param(self) -> dict:
        """What SciPy builds the frozen law from."""
        parts = {"components": self.components, "shares": self.shares}
        return super()._updated_ctor_param() | parts

    def _mean(self, method: str, x: NDArray) -> NDArray:
        """The average of a method of the components."""
        parts = zip(self.shares, self.components, strict=True)
        return sum((share * getattr(law, method)(x) for share, law in parts), np.zeros_like(x))

    def _pdf(self, x: NDArray) -> NDArray:
        return self._mean("pdf", x)

    def _cdf(self, x: NDArray) -> NDArray:
        return self._mean("cdf", x)

    def _sf(self, x: NDArray) -> NDArray:
        return self._mean("sf", x)

    def _bracket(self, method: str, q: NDArray) -> tuple[NDArray, NDArray]:
        """The least and the largest of the components' quantiles, between which the root lies."""
        quantiles = np.array([getattr(law, method)(q) for law in self.components])
        return quantiles.min(axis=0), quantiles.max(axis=0)

    def _ppf(self, q: NDArray) -> NDArray:
        return halved(lambda x, below: self._cdf(x) < below, q, *self._bracket("ppf", q))

    def _isf(self, q: NDArray) -> NDArray:
        return halved(lambda x, above: self._sf(x) > above, q, *self._bracket("isf", q))


def logsnr_of(noise: NDArray, signal: NDArray) -> NDArray:
    """λ on the linear path where t is ``noise`` and 1 − t is ``signal``; infinite at the ends."""
    with np.errstate(divide="ignore"):
        return 2 * (np.log(np.clip(signal, 0, 1)) - np.log(np.clip(noise, 0, 1)))


class BlendedTime(stats.rv_continuous):
    """Law of λ on the linear path for t = (1 − share) t₀ + share u, with u uniform on [0, 1].

    With F the probability of t₀ below a time, t has the density
    (F(t/(1 − share)) − F((t − share)/(1 − share)))/share. Its probabilities are averages over u.

    Args:
        base: Law of the λ of t₀, a frozen SciPy distribution with a density.
        share: Weight of the uniform draw, in (0, 1).
        **options: Of ``scipy.stats.rv_continuous``, which passes them when it freezes a law.
    """

    def __init__(self, base: Any, share: float, **options: Any):
        self.base = base
        self.share = share
        low, high = base.support()
        noisy, clean = (self._blended(np.array(end), u) for end, u in ((low, 1.0), (high, 0.0)))
        defaults = {"a": float(noisy), "b": float(clean), "name": "blended time"}
        super().__init__(**(defaults | options))

    def _updated_ctor_param(self) -> dict:
        """What SciPy builds the frozen law from."""
        return super()._updated_ctor_param() | {"base": self.base, "share": self.share}

    def _blended(self, logsnr: NDArray, u: float) -> NDArray:
        """λ of t where that of t₀ is given."""
        rest = 1 - self.share
        noise = rest * expit(-logsnr / 2) + self.share * u
        signal = rest * expit(logsnr / 2) + self.share * (1 - u)
        return logsnr_of(noise, signal)

    def _before(self, logsnr: NDArray, u: NDArray | float) -> NDArray:
        """λ of t₀ where that of t is given."""
        rest = 1 - self.share
        noise = (expit(-logsnr / 2) - self.share * u) / rest
        signal = (expit(logsnr / 2) - self.share * (1 - u)) / rest
        return logsnr_of(noise, signal)

    def _pdf(self, x: NDArray) -> NDArray:
        first = self._before(x, 0.0)  # at the least u, where t₀ is largest
        last = self._before(x, 1.0)
        right = self.base.cdf(last) - self.base.cdf(first)
        left = self.base.sf(first) - self.base.sf(last)
        mass = np.where(self.base.cdf(last) < 0.5, right, left)
        return mass / self.share * expit(x / 2) * expit(-x / 2) / 2

    def _average(self, probability: Probability, x: NDArray, *, large_certain: bool) -> NDArray:
        """The average of a probability of t₀ over u.

        Where t₀ would leave [0, 1], the probability is 1 for the large u and 0 for the small ones,
        or the other way round.
        """
        noise = expit(-x / 2)
        least = np.clip((noise - 1 + self.share) / self.share, 0, 1)  # below, t₀ would exceed 1
        most = np.clip(noise / self.share, 0, 1)  # above, t₀ would be negative
        u = least[..., None] + (most - least)[..., None] * (1 + NODES) / 2
        inner = (probability(self._before(x[..., None], u)) * WEIGHTS).sum(-1) / 2
        outer = 1 - most if large_certain else least
        return (most - least) * inner + outer

    def _cdf(self, x: NDArray) -> NDArray:
        # λ below x is t above its time, which large u make certain
        return self._average(self.base.cdf, x, large_certain=True)

    def _sf(self, x: NDArray) -> NDArray:
        return self._average(self.base.sf, x, large_certain=False)

    def _ppf(self, q: NDArray) -> NDArray:
        plain = np.asarray(self.base.ppf(q))
        ends = self._blended(plain, 1.0), self._blended(plain, 0.0)
        return halved(lambda x, below: self._cdf(x) < below, q, *ends)

    def _isf(self, q: NDArray) -> NDArray:
        plain = np.asarray(self.base.isf(q))
        ends = self._blended(plain, 1.0), self._blended(plain, 0.0)
        return halved(lambda x, above: self._sf(x) > above, q, *ends)


def combined(first: NDArray, second: NDArray) -> NDArray:
    """A sum of two numbers, 0 where they cancel but for rounding."""
    total = first + second
    rounding = 16 * np.finfo(float).eps * np.maximum(np.abs(first), np.abs(second))
    return np.where(np.abs(total) <= rounding, 0.0, total)


@dataclass(frozen=True)
class SqueezedTime:
    """The map of λ for t → low + (high − low) t on the linear path.

    Args:
        low: Where t = 0 goes.
        high: Where t = 1 goes, above it.
    """

    low: float
    high: float

    def forward(self, logsnr: NDArray) -> NDArray:
        """λ after the map."""
        noise = expit(-logsnr / 2)
        signal = expit(logsnr / 2)
        after = combined(self.low * signal, self.high * noise)
        return logsnr_of(after, combined((1 - self.low) * signal, (1 - self.high) * noise))

    def _before(self, logsnr: NDArray) -> tuple[NDArray, NDArray]:
        """The time t and 1 − t, both before the map."""
        noise = expit(-logsnr / 2)
        signal = expit(logsnr / 2)
        width = self.high - self.low
        t = combined((1 - self.low) * noise, -self.low * signal) / width
        rest = combined(self.high * signal, -(1 - self.high) * noise) / width
        return np.clip(t, SMALLEST, 1), np.clip(rest, SMALLEST, 1)

    def inverse(self, logsnr: NDArray) -> NDArray:
        """λ before the map."""
        return logsnr_of(*self._before(logsnr))

    def slope(self, logsnr: NDArray) -> NDArray:
        """dλ before over dλ after."""
        t, rest = self._before(logsnr)
        after = expit(-logsnr / 2) * expit(logsnr / 2)
        return after / (t * rest * (self.high - self.low))
