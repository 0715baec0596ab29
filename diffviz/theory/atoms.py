"""Laws on a table of levels, and the curves that follow from their atoms.

A loss that trains on T levels λ_i with probabilities m_i and factors f_i on the eps squared error
is a sum of T terms, w_i = 2 f_i m_i each. It has a curve because its levels have a spacing:

    Δ_i = (λ_{i+1} − λ_{i−1})/2,      p(λ_i) = m_i/Δ_i,      w(λ_i) = 2 f_i m_i/Δ_i,

with straight lines between the levels. The outer levels have the spacing to their one neighbour,
and the curve goes on level for half of it. The area under the curve is then the sum of the terms
exactly, and the curve rises only where its atoms do. A histogram with one cell a level has the same
area, but within a cell p stays while the gain falls, which makes a sawtooth of w.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from diffviz.checks import attribute, offers


def cell_edges(levels: NDArray) -> NDArray:
    """Ends of the cells of levels: midway to the neighbours, the outer cells symmetric.

    Args:
        levels: Increasing λ in nats, shape (T,).

    Returns:
        The ends in nats, shape (T + 1,).
    """
    inner = (levels[1:] + levels[:-1]) / 2
    first = 2 * levels[0] - inner[0]
    last = 2 * levels[-1] - inner[-1]
    return np.concatenate([[first], inner, [last]])


def nearest_level(levels: NDArray, logsnr: NDArray) -> NDArray:
    """The place of the level that is nearest to each λ.

    Args:
        levels: Increasing λ in nats, shape (T,).
        logsnr: λ in nats, any shape.

    Returns:
        Places from 0 to T − 1, same shape as ``logsnr``.
    """
    return np.searchsorted((levels[1:] + levels[:-1]) / 2, logsnr)


class AtomicLaw(stats.rv_histogram):
    """Law of discrete levels. Its draws are the levels.

    The quantile function runs through the cell of each level and does not jump. It is the schedule
    of a path on the table, which has a slope, and from which a sampler takes steps of any number.
    ``quantiles`` are those of the levels.

    Args:
        levels: Increasing λ in nats, shape (T,).
        mass: Probabilities up to a constant, shape (T,).
        table: Falling λ of every step of the table, from step 0 on, shape (steps,): those that are
            never drawn too, −inf without signal, inf without noise.
        **options: Of ``scipy.stats.rv_continuous``, which passes them when it freezes a law.
    """

    def __init__(self, levels: NDArray, mass: NDArray, table: NDArray, **options: Any):
        self.levels = levels
        self.mass = mass / mass.sum()
        self.table = table
        super().__init__((self.mass, cell_edges(levels)), density=False, **options)

    def _updated_ctor_param(self) -> dict:
        """What SciPy builds the frozen law from."""
        parts = super()._updated_ctor_param()
        del parts["histogram"]
        del parts["density"]
        return parts | {"levels": self.levels, "mass": self.mass, "table": self.table}

    @property
    def steps(self) -> int:
        """Number of steps of the table, with those that are never drawn."""
        return len(self.table)

    def _rvs(self, *args: Any, size: Any = None, random_state: Any = None) -> NDArray:
        """Draws of levels, as SciPy asks for them."""
        return self.levels_at(random_state.uniform(size=size))

    def exceeded(self, logsnr: NDArray) -> NDArray:
        """The probability of a larger λ, and half of that of the same: the time of a step.

        Args:
            logsnr: λ in nats, any shape.

        Returns:
            Probabilities, same shape.
        """
        below = np.concatenate([[0.0], np.cumsum(self.mass)])
        first = np.searchsorted(self.levels, logsnr, "left")
        last = np.searchsorted(self.levels, logsnr, "right")
        return np.clip(1 - (below[first] + below[last]) / 2, 0, 1)

    def levels_at(self, probability: NDArray) -> NDArray:
        """Levels at which the probability of at most as much reaches a number.

        Args:
            probability: Numbers in [0, 1], any shape.

        Returns:
            λ in nats, same shape.
        """
        reached = np.cumsum(self.mass)
        places = np.searchsorted(reached / reached[-1], probability)
        return self.levels[np.minimum(places, len(self.levels) - 1)]


def atomic(law: Any) -> AtomicLaw | None:
    """The atoms of a law.

    Args:
        law: A frozen SciPy distribution, or what has its methods.

    Returns:
        The law of discrete levels, moved and scaled as the frozen law is; None for a continuous
        law.
    """
    distribution = attribute(law, "dist")
    if not isinstance(distribution, AtomicLaw):
        return None
    moved = dict(zip(("loc", "scale"), law.args, strict=False)) | law.kwds
    if not moved:
        return distribution
    loc, scale = moved.get("loc", 0.0), moved.get("scale", 1.0)
    if not (np.isfinite(loc) and 0 < scale < np.inf):  # SciPy answers NaN everywhere
        return None
    levels = loc + scale * distribution.levels
    return AtomicLaw(levels, distribution.mass, loc + scale * distribution.table)


def quantiles(law: Any, probability: NDArray) -> NDArray:
    """Quantiles of a law to train at: of discrete levels, always one of these.

    Args:
        law: Law of λ, a frozen SciPy distribution.
        probability: Numbers in [0, 1], any shape.

    Returns:
        λ in nats, same shape.
    """
    table = atomic(law)
    return law.ppf(probability) if table is None else table.levels_at(probability)


def density(law: Any, logsnr: NDArray) -> NDArray:
    """The density of a law as a curve: of discrete levels, their mass over their spacing.

    Args:
        law: Law of λ, a frozen SciPy distribution.
        logsnr: λ in nats, any shape.

    Returns:
        p(λ), same shape.
    """
    table = atomic(law)
    if table is None:
        return law.pdf(logsnr)
    return curve_through(table, table.mass)(logsnr)


@dataclass(frozen=True, eq=False)
class LevelCurve:
    """Straight lines through values at levels, level over the outer half cells, and 0 beyond.

    Args:
        levels: Increasing λ in nats, shape (T,).
        values: Values there, shape (T,).
    """

    levels: NDArray
    values: NDArray

    def __call__(self, logsnr: NDArray) -> NDArray:
        """The curve at λ in nats, same shape."""
        edges = cell_edges(self.levels)
        inside = (logsnr >= edges[0]) & (logsnr <= edges[-1])
        return np.where(inside, np.interp(logsnr, self.levels, self.values), 0.0)


def curve_through(law: AtomicLaw, amounts: NDArray) -> LevelCurve:
    """The curve whose area is the sum of amounts that levels carry.

    Args:
        law: The law of discrete levels.
        amounts: What each level carries, shape (T,).

    Returns:
        Amounts over spacings, as a function of λ.
    """
    return LevelCurve(law.levels, amounts / np.diff(cell_edges(law.levels)))


@dataclass(frozen=True, eq=False)
class WeightedLevels:
    """A loss on a table of levels.

    Args:
        logsnr: Increasing λ in nats, shape (T,).
        mass: Probability of each, shape (T,).
        factor: Factor on the eps squared error, a function of λ.
        steps: Number of steps of the table, with those that have no level.
    """

    logsnr: NDArray
    mass: NDArray
    factor: Callable[[NDArray], NDArray]
    steps: int

    @cached_property
    def terms(self) -> NDArray:
        """What each level adds to the integral of w, 2 · factor · mass, shape (T,)."""
        return 2 * self.factor(self.logsnr) * self.mass

    @property
    def is_even(self) -> bool:
        """Whether all levels are equally likely."""
        return bool(np.ptp(self.mass) <= 1e-6 * self.mass.max())

    @property
    def knots(self) -> NDArray:
        """Levels between which the curve is straight, with both ends, shape (T + 2,)."""
        edges = cell_edges(self.logsnr)
        return np.concatenate([edges[:1], self.logsnr, edges[-1:]])


def weighted_levels(objective: Any) -> WeightedLevels | None:
    """The levels of an objective that trains on a table.

    Args:
        objective: Anything; only what has a law of discrete levels and a factor has levels.

    Returns:
        The levels with their masses and the factor; None without a table.
    """
    if isinstance(objective, type):
        return None
    table = atomic(attribute(objective, "law"))
    factor = attribute(objective, "factor")
    if table is None or not callable(factor):
        return None
    return WeightedLevels(table.levels, table.mass, factor, table.steps)


@dataclass(frozen=True, eq=False)
class FactorBetweenLevels:
    """A factor that is known at levels only: log-linear between them if it is above 0.

    Args:
        levels: Increasing λ in nats, shape (T,).
        factor: The factor there, shape (T,).
    """

    levels: NDArray
    factor: NDArray

    def __call__(self, logsnr: NDArray) -> NDArray:
        """The factor at λ in nats, same shape."""
        if (self.factor > 0).all():
            return np.exp(np.interp(logsnr, self.levels, np.log(self.factor)))
        return np.interp(logsnr, self.levels, self.factor)


class ListsLevels(Protocol):
    """A measured loss that knows whether it trains on a table, and lists the levels."""

    @property
    def discrete(self) -> bool:
        """Whether the loss draws from a table of levels."""

    def levels(self) -> tuple[NDArray, NDArray, NDArray]:
        """Increasing log-SNR, probability and factor on the eps squared error, each (levels,)."""


class MayHaveAtoms(Protocol):
    """A measured loss of which some levels may come back, as those of clamped times do."""

    def without_atoms(self) -> ListsLevels:
        """The same without these levels."""


def measured_levels(measured: Any) -> WeightedLevels | None:
    """The levels of a measured loss that trains on a table.

    Args:
        measured: Anything; only a measured loss on a table has levels.

    Returns:
        The levels that were drawn, with their masses and factors, without those of clamped times;
        None without a table.
    """
    if isinstance(measured, type) or not offers(measured, ListsLevels):
        return None
    if not measured.discrete:
        return None
    if offers(measured, MayHaveAtoms):
        measured = measured.without_atoms()
    logsnr, mass, factor = measured.levels()
    between = FactorBetweenLevels(logsnr, factor)
    return WeightedLevels(logsnr, mass, between, len(logsnr))
