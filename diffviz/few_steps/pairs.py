"""Laws of two times: from which level λ_t a few-step objective jumps, and to which λ_r.

On the linear path t and r are noise levels with r ≤ t, so λ_r ≥ λ_t. A law draws pairs, and says
exactly how much of its mass lies in each cell of a grid over the plane (λ_t, λ_r).
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from diffviz import checks
from diffviz.theory.atoms import atomic
from diffviz.theory.laws import checked_law, quantile
from diffviz.theory.paths import checked_rho


class PairLaw(Protocol):
    """A law of pairs (λ_t, λ_r) with λ_t < λ_r."""

    def draw(self, n: int, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
        """Draw n pairs.

        Args:
            n: Number of pairs.
            rng: NumPy generator.

        Returns:
            λ_t and λ_r in nats, each of shape (n,); ±inf is no signal or no noise.
        """
        ...

    def mass(self, edges: ArrayLike) -> NDArray:
        """Probability of each cell of a grid.

        Args:
            edges: Increasing edges of bins of λ, in nats, shape (k + 1,).

        Returns:
            Probabilities, shape (k, k): the first index is the bin of λ_t, the second that of λ_r.
        """
        ...


@dataclass(frozen=True)
class SortedPairs:
    """The smaller and the larger of two independent draws of one law.

    Args:
        law: Law of each level before they are sorted, a frozen SciPy distribution. Of discrete
            levels both may be the same.
    """

    law: Any

    def __post_init__(self) -> None:
        checked_law(self.law)

    def draw(self, n: int, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
        """Draw two levels n times and sort them; see ``PairLaw.draw``."""
        n = checks.count(n, "n")
        both = quantile(self.law, checks.random_generator(rng).random((2, n)))
        return both.min(0), both.max(0)

    def mass(self, edges: ArrayLike) -> NDArray:
        """Exact: p_i² on the diagonal of the grid, 2 p_i p_j above it; see ``PairLaw.mass``."""
        grid = checks.increasing(edges, "edges")
        table = atomic(self.law)
        if table is None:
            in_bins = np.diff(self.law.cdf(grid))
        else:
            in_bins = np.histogram(table.levels, grid, weights=table.mass)[0]
        both = np.outer(in_bins, in_bins)
        return np.triu(2 * both, 1) + np.diag(in_bins**2)


@dataclass(frozen=True)
class Jumps:
    """Finitely many jumps, each with its probability.

    Args:
        start: λ_t of each, in nats, shape (k,).
        end: λ_r of each, above ``start``, shape (k,).
        share: Probability of each, shape (k,); made to sum to 1.

    Raises:
        ValueError: Shapes differ, a jump does not go up, or a share is negative.
    """

    start: tuple[float, ...]
    end: tuple[float, ...]
    share: tuple[float, ...]

    def __post_init__(self) -> None:
        names = ("start", "end", "share")
        start, end, share = (
            checks.array(column, name, infinite=True)  # an end may have no signal or no noise
            for column, name in zip(self._columns, names, strict=True)
        )
        checks.require(
            start.shape == end.shape == share.shape and start.size > 0,
            f"start, end and share need one shape, got {start.shape}, {end.shape}, {share.shape}",
        )
        checks.require(bool((start < end).all()), "every jump goes up in λ, from start to end")
        checks.require(
            bool((share >= 0).all()) and 0 < share.sum() < math.inf,
            "share must hold probabilities, not all of them 0",
        )

    @property
    def _columns(self) -> tuple[tuple[float, ...], ...]:
        return self.start, self.end, self.share

    @cached_property
    def _table(self) -> tuple[NDArray, NDArray, NDArray]:
        """The jumps as arrays, with shares that sum to 1."""
        start, end, share = (np.asarray(each, dtype=float) for each in self._columns)
        return start, end, share / share.sum()

    def draw(self, n: int, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
        """Draw n of the jumps; see ``PairLaw.draw``."""
        start, end, share = self._table
        places = checks.random_generator(rng).choice(len(share), size=checks.count(n, "n"), p=share)
        return start[places], end[places]

    def mass(self, edges: ArrayLike) -> NDArray:
        """Sum the shares by cell; what lies beyond an end counts to it. See ``PairLaw.mass``."""
        grid = checks.increasing(edges, "edges")
        start, end, share = self._table
        last = len(grid) - 2
        rows, columns = (
            np.clip(np.searchsorted(grid, each, side="right") - 1, 0, last) for each in (start, end)
        )
        result = np.zeros((last + 1, last + 1))
        np.add.at(result, (rows, columns), share)
        return result


def dyadic(steps: int = 128) -> Jumps:
    """Jumps of shortcut models: all lengths 2^−k of t, each as often, at multiples of themselves.

    Source: Frans et al. 2024 (arXiv 2410.12557) and its code, where the shortest jump that is
    learned from two others is 2/steps.

    Args:
        steps: Number of shortest steps, a power of two from 2.

    Returns:
        The jumps; those from pure noise have λ_t = −inf, those to the data λ_r = +inf.

    Raises:
        ValueError: ``steps`` is no power of two.
    """
    steps = checks.count(steps, "steps", least=2)
    halvings = steps.bit_length() - 1
    checks.require(steps == 2**halvings, f"steps must be a power of two, got {steps}")
    starts: list[float] = []
    ends: list[float] = []
    shares: list[float] = []
    for halving in range(halvings):
        count = 2**halving
        times = 1 - np.arange(count) / count
        starts += _levels(times).tolist()
        ends += _levels(times - 1 / count).tolist()
        shares += [1 / (halvings * count)] * count
    return Jumps(tuple(starts), tuple(ends), tuple(shares))


def adjacent(sigma: ArrayLike, share: ArrayLike | None = None) -> Jumps:
    """Jumps from each level of a grid to the next cleaner one.

    Args:
        sigma: Noise levels of a variance-exploding grid, increasing, shape (k + 1,).
        share: How often each jump is drawn, from the cleanest on, shape (k,); all as often by
            default.

    Returns:
        The jumps, from the cleanest on.

    Raises:
        ValueError: A level is not above 0, they do not increase, or the shares do not fit.
    """
    grid = checks.increasing(sigma, "sigma")
    if grid.size < 2 or grid[0] <= 0:
        raise ValueError(f"sigma needs 2 or more levels above 0, {checks.brief(grid)}")
    logsnr = -2 * np.log(grid)
    shares = np.ones(len(grid) - 1) if share is None else checks.finite(share, "share")
    return Jumps(tuple(logsnr[1:]), tuple(logsnr[:-1]), tuple(np.ravel(shares)))


def lognormal_shares(sigma: ArrayLike, mean: float = -1.1, std: float = 2.0) -> NDArray:
    """How often each jump is drawn if log sigma of its cleaner end is about normal.

    Source: Song and Dhariwal 2023 (arXiv 2310.14189), eq. 10.

    Args:
        sigma: Noise levels, increasing, shape (k + 1,).
        mean: Mean of log sigma.
        std: Standard deviation of log sigma.

    Returns:
        Probabilities, shape (k,), from the cleanest jump on.

    Raises:
        ValueError: A level is not above 0, they do not increase, or std is not above 0.
    """
    grid = checks.increasing(sigma, "sigma")
    checks.require(grid[0] > 0, f"sigma must be above 0, got {grid[0]}")
    mean = checks.number(mean, "mean")
    std = checks.positive(std, "std")
    mass = np.diff(special.erf((np.log(grid) - mean) / (math.sqrt(2) * std)))
    checks.require(
        mass.sum() > 0,
        f"no level of sigma is drawn at a mean of {mean:g} and an std of {std:g} of log sigma",
    )
    return mass / mass.sum()


def karras_levels(count: int, low: float = 0.002, high: float = 80.0, rho: float = 7.0) -> NDArray:
    """The grid of consistency training, from clean to noisy.

    Source: Karras et al. 2022 (arXiv 2206.00364), eq. 5.

    Args:
        count: Number of levels, from 2.
        low: Smallest sigma.
        high: Largest sigma.
        rho: ρ.

    Returns:
        Increasing sigma, shape (count,).

    Raises:
        ValueError: An argument is out of range.
    """
    count = checks.count(count, "count", least=2)
    low, high = checks.positive(low, "low"), checks.positive(high, "high")
    checks.require(low < high, f"need low < high, got {low} and {high}")
    rho = checked_rho(rho, low, high)
    return np.linspace(low ** (1 / rho), high ** (1 / rho), count) ** rho


def _levels(times: NDArray) -> NDArray:
    """λ of times of the linear path, ∓inf at its ends."""
    with np.errstate(divide="ignore"):
        return 2 * (np.log1p(-times) - np.log(times))
