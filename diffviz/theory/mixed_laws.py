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
from scipy.special import expit, logsumexp

SMALLEST = 1e-300  # of a time, so that a density at an end is its limit there
MOST_STEPS = 200  # at which a quantile is found, even if they only halve its bracket
LAST_STEP = 2  # longest step, in rounding errors, at which a quantile is found
LAST_EXCESS = 4 * np.finfo(float).eps  # largest relative error of its probability, likewise
NODES, WEIGHTS = np.polynomial.legendre.leggauss(96)  # of the average over a uniform draw
Probability = Callable[[NDArray], NDArray]


def quantile_within(
    probability: Probability,
    density: Probability,
    q: NDArray,
    bracket: tuple[NDArray, NDArray],
    *,
    rises: bool,
) -> NDArray:
    """Where a probability takes a value, by Newton's method on its logarithm within a bracket.

    A step that leaves the bracket, or is more than half as long as the one before, is replaced by
    halving the bracket. Points that have converged are not computed again.

    Args:
        probability: That of lying below a point, or above it: points of shape (k,) to numbers.
        density: Its derivative but for the sign, shape (k,) to (k,).
        q: Values of the probability, in (0, 1), any shape.
        bracket: Points below the roots or at them, and points above or at them, same shapes.
        rises: Whether the probability rises, as that of lying below a point.

    Returns:
        The roots, same shape.
    """
    goal = np.ravel(q)
    first, last = (np.array(end, dtype=float).ravel() for end in bracket)
    root = (first + last) / 2
    step = last - first
    width = np.abs(step)
    left = np.arange(len(root))
    for _ in range(MOST_STEPS):
        x = root[left]
        value = probability(x)
        with np.errstate(all="ignore"):  # where there is no density, the bracket is halved
            excess = (1 if rises else -1) * np.log(value / goal[left])
            newton = x - excess * value / density(x)
        first[left] = np.where(excess <= 0, x, first[left])
        last[left] = np.where(excess >= 0, x, last[left])
        inside = (newton >= first[left]) & (newton <= last[left])
        is_short = 2 * np.abs(newton - x) <= np.abs(step[left])
        root[left] = np.where(inside & is_short, newton, (first[left] + last[left]) / 2)
        step[left] = root[left] - x
        size = np.maximum(np.abs(x), width[left])
        moves = np.abs(step[left]) > LAST_STEP * np.spacing(size)
        left = left[moves & (np.abs(excess) > LAST_EXCESS)]
        if not len(left):
            break
    return root.reshape(np.shape(q))


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

    def _logpdf(self, x: NDArray) -> NDArray:
        parts = np.array([law.logpdf(x) for law in self.components])
        shares = np.reshape(self.shares, (-1, *np.ones(parts.ndim - 1, dtype=int)))
        with np.errstate(divide="ignore"):  # a gap between the components
            return logsumexp(parts, axis=0, b=shares)

    def _cdf(self, x: NDArray) -> NDArray:
        return self._mean("cdf", x)

    def _sf(self, x: NDArray) -> NDArray:
        return self._mean("sf", x)

    def _bracket(self, method: str, q: NDArray) -> tuple[NDArray, NDArray]:
        """The least and the largest of the components' quantiles, between which the root lies."""
        quantiles = np.array([getattr(law, method)(q) for law in self.components])
        return quantiles.min(axis=0), quantiles.max(axis=0)

    def _ppf(self, q: NDArray) -> NDArray:
        return quantile_within(self._cdf, self._pdf, q, self._bracket("ppf", q), rises=True)

    def _isf(self, q: NDArray) -> NDArray:
        return quantile_within(self._sf, self._pdf, q, self._bracket("isf", q), rises=False)


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
        return quantile_within(self._cdf, self._pdf, q, ends, rises=True)

    def _isf(self, q: NDArray) -> NDArray:
        plain = np.asarray(self.base.isf(q))
        ends = self._blended(plain, 1.0), self._blended(plain, 0.0)
        return quantile_within(self._sf, self._pdf, q, ends, rises=False)


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
