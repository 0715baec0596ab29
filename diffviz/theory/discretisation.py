"""Whether a table of levels is that of a continuous weighting.

A loss on T levels λ_i, with probabilities m_i and factors f_i on the eps squared error, never has
the weighting of its continuous limit exactly. What can be asked is whether it is a table of it.
Two rules make a table.

1. *Quantiles.* With the table's own factor f, the continuous weighting w is that of the law with
   density w/(2 f). The table is one of it if that law gives each stretch between neighbouring
   levels the probability of a step: m_i if each level lies at the near end of its step, m_{i+1} if
   at the far end, and their mean if in the middle. This is exact for any T where steps are equally
   likely, and where levels lie at an end.
2. *Products of 1 − β* (Ho et al. 2020, arXiv 2006.11239): alpha² of step i is the product of
   1 − β(t_j)/T over j <= i, with β(t) = −d log alpha²/dt at t_j = j/(T − 1).

The outermost stretches are left out: tables cap their last step.

Two tables of different T are tables of one weighting if the one with fewer levels is a table of the
weighting that the other has between its levels. Its law has the probability up to each level that
the steps say, again with the level at either end of its step or in the middle; between levels the
log-odds of that probability are a cubic spline.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.special import expit, logit

from diffviz.checks import attribute, offers
from diffviz.protocols import Law
from diffviz.theory.atoms import FactorBetweenLevels, WeightedLevels
from diffviz.theory.weightings import Resolved

TOLERANCE = 0.005  # deviation up to which a table is one of a continuous weighting
FEWEST = 5  # stretches between levels below which nothing is said
NODES, SHARES = np.polynomial.legendre.leggauss(8)  # quadrature between neighbouring levels
FIRST_TIME = 1e-9  # in place of t = 0, where alpha is 1


class Recipe(Protocol):
    """A law of λ with a factor on the eps squared error."""

    @property
    def law(self) -> Law:
        """The law of λ."""

    def factor(self, logsnr: NDArray) -> NDArray:
        """The factor at λ."""


@dataclass(frozen=True, eq=False)
class Departure:
    """How far a table is from one of a continuous weighting.

    Args:
        logsnr: Middles of the stretches that were compared in nats, shape (n,).
        ratio: Weight of the table on each over that of the continuous weighting, with median 1;
            infinite where that is 0. Shape (n,).
    """

    logsnr: NDArray
    ratio: NDArray

    @property
    def deviation(self) -> float:
        """Largest deviation of the ratio from 1."""
        return float(np.abs(self.ratio - 1).max())


def implied_probabilities(levels: WeightedLevels, curve: Any) -> NDArray:
    """∫ w/(2 f) between neighbouring levels, with the factor f of the table.

    Args:
        levels: The table.
        curve: The continuous weighting w, a function of λ.

    Returns:
        Probabilities up to a constant, shape (T − 1,).
    """
    half = np.diff(levels.logsnr)[:, None] / 2
    nodes = levels.logsnr[:-1, None] + half * (1 + NODES)
    with np.errstate(divide="ignore", invalid="ignore"):  # where the table has no weight
        density = np.asarray(curve(nodes.ravel())) / (2 * levels.factor(nodes.ravel()))
    return (np.nan_to_num(density, nan=0.0).reshape(nodes.shape) * half) @ SHARES


def nearest_rule(masses: list[NDArray], implied: NDArray) -> NDArray:
    """Masses over implied probabilities, by the rule for the masses that comes nearest.

    Args:
        masses: Masses of stretches by each rule, shapes (n,).
        implied: Their probabilities up to a constant, shape (n,).

    Returns:
        The ratios with median 1, and 1 where there is neither mass nor probability, shape (n,).
    """
    ratios = [_ratio(mass, implied) for mass in masses]
    return min(ratios, key=lambda ratio: np.abs(ratio - 1).max())


def _ratio(one: NDArray, other: NDArray) -> NDArray:
    """One over the other, and 1 where both are 0; infinite where the other is 0 alone.

    The median of what is neither 0 nor infinite is 1.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = one / other
    plain = ratio[np.isfinite(ratio) & (ratio > 0)]
    scale = np.median(plain) if len(plain) else 1.0
    return np.nan_to_num(ratio / scale, nan=1.0, posinf=np.inf)


def by_quantiles(
    levels: WeightedLevels, weighting: Resolved, ends: NDArray | None = None
) -> Departure | None:
    """How far a table is from the quantiles of a continuous weighting.

    Args:
        levels: The table.
        weighting: The continuous weighting, with its support.
        ends: Indices of the levels between which stretches are compared, shape (n + 1,). By
            default all levels but the outermost are ends.

    Returns:
        The departure on the stretches on which the weighting is known and above 0; None if they
        are fewer than ``FEWEST``.
    """
    if ends is None:
        ends = np.arange(1, len(levels.logsnr) - 1)
    low, high = weighting.support
    logsnr = levels.logsnr[ends]
    known = (logsnr[:-1] >= low) & (logsnr[1:] <= high)
    if known.sum() < FEWEST:
        return None
    first, last = ends[:-1][known], ends[1:][known]
    inside = WeightedLevels(
        levels.logsnr[first[0] : last[-1] + 1],
        levels.mass[first[0] : last[-1] + 1],
        levels.factor,
        levels.steps,
    )
    # sums, since differences of cumulative sums lose the digits of the upper tail
    implied = np.add.reduceat(implied_probabilities(inside, weighting.curve), first - first[0])
    with_first = np.add.reduceat(levels.mass[: last[-1]], first)
    with_last = np.add.reduceat(levels.mass[: last[-1] + 1], first + 1)
    counted = (implied > 0) | (with_first + with_last > 0)
    if counted.sum() < FEWEST or not (implied > 0).sum() > counted.sum() / 2:
        return None
    middles = (logsnr[1:] + logsnr[:-1])[known][counted] / 2
    masses = [with_first, (with_first + with_last) / 2, with_last]
    return Departure(middles, nearest_rule([mass[counted] for mass in masses], implied[counted]))


@dataclass(frozen=True, eq=False)
class CurveBetweenLevels:
    """2 f p of a table, with the density p of a law that is smooth between its levels.

    Args:
        log_odds: Log-odds of the probability of at most λ, a function of λ with a derivative.
        factor: Factor on the eps squared error, a function of λ.
    """

    log_odds: CubicSpline
    factor: Any

    def __call__(self, logsnr: NDArray) -> NDArray:
        """The weighting at λ in nats, same shape."""
        below = expit(self.log_odds(logsnr))
        density = below * (1 - below) * self.log_odds(logsnr, 1)
        return 2 * self.factor(logsnr) * density


def between_tables(few: WeightedLevels, many: WeightedLevels) -> Departure | None:
    """How far a table is from one of the weighting that another has between its levels.

    Args:
        few: The table with fewer levels.
        many: The other.

    Returns:
        The departure, by the rule for the levels of ``many`` that comes nearest; None if too few
        levels overlap.
    """
    until = np.cumsum(many.mass)
    before = until - many.mass
    departures = []
    for probability in (before, (before + until) / 2, until):
        inner = (probability > FIRST_TIME) & (probability < 1 - FIRST_TIME)
        if inner.sum() < FEWEST:
            return None
        levels = many.logsnr[inner]
        curve = CurveBetweenLevels(CubicSpline(levels, logit(probability[inner])), many.factor)
        found = by_quantiles(few, Resolved(curve, (levels[0], levels[-1])))
        if found is not None:
            departures.append(found)
    return min(departures, key=lambda each: each.deviation, default=None)


def product_levels(law: Law, steps: int) -> NDArray | None:
    """Levels of the products of 1 − β(t_j)/T, where λ has a law under uniform time.

    They are made once for each law that has a hash, which must not change.

    Args:
        law: The law of λ, a frozen SciPy distribution.
        steps: T, at least 2.

    Returns:
        Increasing λ in nats, shape (T,), not to be written to; None where a β is not within (0, 1).
    """
    try:
        hash(law)
    except TypeError:  # such as a dataclass that is not frozen
        return _product_levels(law, steps)
    return _remembered_levels(cast("Hashable", law), steps)


def _product_levels(law: Law, steps: int) -> NDArray | None:
    """``product_levels``, made anew."""
    time = np.linspace(FIRST_TIME, 1, steps)
    with np.errstate(all="ignore"):  # a law may have no density at its ends
        level = law.ppf(1 - time)
        beta = expit(-level) / law.pdf(level) / steps
    if not ((beta > 0) & (beta < 1)).all():
        return None
    depth = -np.cumsum(np.log1p(-beta))
    levels = (-depth - np.log(-np.expm1(-depth)))[::-1]
    levels.flags.writeable = False
    return levels


# a table is compared with all entries of the catalogue, again and again
_remembered_levels = lru_cache(maxsize=1024)(_product_levels)


def ratio_on_levels(one: WeightedLevels, other: WeightedLevels) -> NDArray | None:
    """The ratio of two losses on the same levels.

    Args:
        one: A table.
        other: Another.

    Returns:
        The ratio of their weights with median 1, and 1 where neither has any, shape (T,); None if
        the levels differ by more than a hundredth of their spacing, or nothing has weight in both.
    """
    if len(one.logsnr) != len(other.logsnr):
        return None
    apart = np.abs(one.logsnr - other.logsnr) > 1e-2 * np.gradient(one.logsnr)
    if apart.any() or not (one.terms * other.terms).any():
        return None
    return _ratio(one.terms, other.terms)


def by_products(levels: WeightedLevels, recipe: Any) -> Departure | None:
    """How far a table is from the products of 1 − β of a continuous recipe.

    Args:
        levels: The table.
        recipe: An objective; anything else has no such table.

    Returns:
        The departure at all levels but the outermost; None where the rule does not apply: steps
        that are not equally likely, or levels that lie more than their spacing away.
    """
    applies = offers(recipe, Recipe) and levels.is_even
    if not (applies and len(levels.logsnr) > FEWEST + 2):
        return None
    own = product_levels(recipe.law, len(levels.logsnr))
    if own is None or (np.diff(own) <= 0).any():
        return None
    spacing = np.gradient(own)
    if (np.abs(levels.logsnr - own) > spacing)[1:-1].any():
        return None
    low, high = recipe.law.support()
    inner = (own > low) & (own < high)
    inner[[0, -1]] = False
    if inner.sum() < FEWEST:
        return None
    density = np.gradient(levels.logsnr)[inner] / spacing[inner]
    factor = levels.factor(levels.logsnr[inner]) / recipe.factor(own[inner])
    ratio = factor / density
    return Departure(levels.logsnr[inner], ratio / np.median(ratio))


def table_of(levels: WeightedLevels, recipe: Any) -> str:
    """What to call a table of a continuous weighting.

    Args:
        levels: The table.
        recipe: The objective that has the weighting, or anything else.

    Returns:
        "the T = 1000 table of" and a name. Of levels that were not drawn equally often it is "a
        table of", since rare ones may be missing.
    """
    name = attribute(recipe, "name", "the other")
    if not levels.is_even and isinstance(levels.factor, FactorBetweenLevels):
        return f"a table of {name}, {len(levels.logsnr)} levels drawn"
    steps = levels.steps
    if offers(recipe, Recipe):
        share = np.diff(recipe.law.cdf(levels.logsnr))
        if np.ptp(share) < 1e-3 * share.max():  # so that a step without a level counts as well
            steps = round(1 / np.median(share))
    return f"the T = {steps} table of {name}"


def departure(
    levels: WeightedLevels, weighting: Resolved, recipe: Any, ends: NDArray | None = None
) -> Departure | None:
    """How far a table is from one of a continuous weighting, by the rule that comes nearer.

    Args:
        levels: The table.
        weighting: The continuous weighting, with its support.
        recipe: The objective that has it, if any.
        ends: Indices of the levels between which the first rule compares, shape (n + 1,). By
            default all levels but the outermost are ends.

    Returns:
        The departure; None if too few levels are within the support.
    """
    rules = (by_quantiles(levels, weighting, ends), by_products(levels, recipe))
    departures = [each for each in rules if each is not None]
    return min(departures, key=lambda each: each.deviation, default=None)
