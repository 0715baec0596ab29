"""A quadratic through noisy measurements over a box of parameters, and where it is least (Box & Wilson 1951).

    f(x) ≈ c0 + Σ c_j x_j + Σ c_jk x_j x_k,    y_is = f(x_i) + b_s + e_is,    weighted least squares, x scaled to [−1, 1]

Each of n points x_i is measured under the same seeds s. What a seed adds to all of them, b_s, is taken out before the standard
error of a point is. A seed may also tilt the surface, so that its e_is go together: the spread of coefficients and optimum is
that over seeds. What the quadratic misses, χ² by degree of freedom above 1, is added as more noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats

PRIOR = 4.0  # degrees of freedom of the common variance beside a point's own (Smyth 2004, doi 10.2202/1544-6115.1027)
DRAWS = 200  # of surfaces


@dataclass(frozen=True)
class Surface:
    """A quadratic through means over seeds of points in a box (module docstring).

    Args:
        box: (name, lowest, highest) of each of d parameters.
        points, values: (n, d), and (n, seeds) with NaN where a training failed; such points are left out.
    Raises:
        ValueError: if fewer points are left than the quadratic has coefficients, and one.
    """

    box: Sequence[tuple[str, float, float]]
    points: NDArray
    values: NDArray

    def __post_init__(self):
        need, left = self.terms(np.zeros((1, len(self.box)))).shape[1] + 1, int(self.kept.sum())
        if left < need:
            raise ValueError(
                f"a quadratic with its noise needs {need} points without a failed training, there are {left}"
            )

    @property
    def kept(self) -> NDArray:
        """Points none of whose trainings failed, shape (n,)."""
        return np.isfinite(self.values).all(1)

    def terms(self, points: ArrayLike) -> NDArray:
        """1, x_j and x_j x_k of points (m, d) in the units of the parameters, shape (m, coefficients)."""
        low, high = np.array([ends for _, *ends in self.box]).T
        x = np.c_[
            np.ones(len(np.asarray(points))), (2 * np.asarray(points) - low - high) / (high - low)
        ]
        return np.stack(
            [x[:, j] * x[:, k] for j, k in zip(*np.triu_indices(x.shape[1]), strict=True)], 1
        )

    @property
    def names(self) -> list[str]:
        """Of the coefficients."""
        x = ["1", *(name for name, *_ in self.box)]
        return [
            " ".join([x[j], x[k]]).removeprefix("1 ")
            for j, k in zip(*np.triu_indices(len(x)), strict=True)
        ]

    @cached_property
    def alone(self) -> NDArray:
        """Values less what a seed adds to all, (n, seeds): the median, so that one wild point does not blur the others."""
        kept = self.values[self.kept]
        shift = np.median(kept - kept.mean(1, keepdims=True), axis=0)
        return self.values - shift + shift.mean()

    @cached_property
    def stderr(self) -> NDArray:
        """Of a point's mean beside the other points, (n,); its variance is drawn to the common one. NaN for one seed."""
        seeds = self.values.shape[1]
        if seeds < 2:
            return np.full(len(self.points), np.nan)
        variance, free = self.alone.var(1, ddof=1), seeds - 1
        common = np.median(variance[self.kept]) * free / stats.chi2.median(free)
        return np.sqrt((free * variance + PRIOR * common) / (free + PRIOR) / seeds).clip(1e-9)

    @cached_property
    def _solve(self) -> NDArray:
        """Takes values at the kept points to coefficients."""
        scale = 1 / np.nan_to_num(self.stderr[self.kept], nan=1.0)
        return np.linalg.pinv(scale[:, None] * self.terms(self.points[self.kept])) * scale

    def fit(self, values: NDArray) -> NDArray:
        """Coefficients through values (n,) of the points."""
        return self._solve @ values[self.kept]

    @cached_property
    def coefficients(self) -> NDArray:
        return self.fit(self.alone.mean(1))

    @cached_property
    def misfit(self) -> float:
        """χ² for each degree of freedom: about 1 if a quadratic is all there is; NaN for one seed."""
        off = (self.alone.mean(1) - self.at(self.points)) / self.stderr
        return float((off[self.kept] ** 2).sum() / (self.kept.sum() - len(self.coefficients)))

    @property
    def errors(self) -> NDArray:
        """Standard errors of the coefficients: their spread over seeds, and what a misfit above 1 adds; NaN for one seed.

        Of s seeds: for an interval take Student's t with s − 1 degrees of freedom.
        """
        seeds = self.values.shape[1]
        by_seed = (self._solve @ self.alone[self.kept]).var(
            1, ddof=min(1, seeds - 1)
        ) / seeds  # seeds tilt a surface too
        return np.sqrt(
            by_seed
            + ((self._solve * self.stderr[self.kept]) ** 2).sum(1) * np.maximum(self.misfit - 1, 0)
        )

    def at(self, points: ArrayLike) -> NDArray:
        """The surface at points (m, d)."""
        return self.terms(points) @ self.coefficients

    def least(self, coefficients: NDArray | None = None) -> NDArray:
        """Where a quadratic, convex or not, is least in the box, (d,): descent from the lowest node of a lattice."""
        c = self.coefficients if coefficients is None else coefficients
        low, high = np.array([ends for _, *ends in self.box]).T
        height = lambda u: self.terms(low + (high - low) * np.atleast_2d(u)) @ c
        nodes = np.stack(np.meshgrid(*[np.linspace(0, 1, 9)] * len(low)), -1).reshape(-1, len(low))
        start = nodes[height(nodes).argmin()]
        return (
            low
            + (high - low)
            * optimize.minimize(lambda u: float(height(u)[0]), start, bounds=[(0, 1)] * len(low)).x
        )

    @cached_property
    def optima(self) -> NDArray:
        """Optima of 200 surfaces as likely as this one, (200, d); none, (0, d), for one seed.

        Seeds are recombined, not points, since a seed moves neighbours alike; few of them give Student's tails. A misfit above 1 is added as more noise.
        """
        rng, seeds, mean = np.random.default_rng(0), self.values.shape[1], self.alone.mean(1)
        if seeds < 2:
            return np.empty((0, len(self.box)))
        found, off = [], self.alone - mean[:, None]
        for _ in range(DRAWS):
            luck = off @ rng.standard_normal(seeds) / np.sqrt(seeds * rng.chisquare(seeds - 1))
            missed = rng.standard_normal(len(mean)) * self.stderr * np.sqrt(max(self.misfit - 1, 0))
            found.append(self.least(self.fit(mean + luck + missed)))
        return np.array(found)
