"""A smooth surface of any shape through noisy measurements over a box, and where it is least.

Where a quadratic (``surface``) misses more than the noise, a Gaussian process takes its place
(Rasmussen and Williams 2006, chapter 2). With x scaled to [−1, 1], it is a constant and a function
of which neighbouring values go together:

    f(x) = c + g(x),    cov(g(x), g(x')) = a² exp(−½ Σ_j (x_j − x'_j)²/ℓ_j²).

Its size a and its lengths ℓ_j are those under which the measurements are likeliest. The noise is
that of the points' means; what a seed adds to all points is taken out, as in ``surface``.

A surface as likely as this one is drawn by Matheron's rule: a random g with random noise is taken
off the measurements, the rest is fitted, and g is added again. The noise recombines the seeds,
since a seed moves neighbours alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import linalg, optimize

from diffviz import checks
from diffviz.search.surface import SURFACES, Surface, checked_places, ends_of, lattice, scaled

NODES = 1089  # of the lattice on which surfaces are compared, 33 a side for two parameters
LENGTHS = (0.15, 6.0)  # least and largest length; the box has the width 2
STARTS = (0.4, 1.5)  # lengths from which the likeliest are looked for, in each parameter
SIZES = (1e-3, 30.0)  # least and largest a, in units of the spread of the measurements
JITTER = 1e-9  # on the diagonal, in units of a²


class Scales(NamedTuple):
    """What a Gaussian process depends on.

    Attributes:
        size: a, in the unit of the goal.
        lengths: ℓ of each parameter, on [−1, 1], shape (d,).
    """

    size: float
    lengths: NDArray


class Likely(NamedTuple):
    """Surfaces that fit the measurements as well as the one that is drawn.

    Attributes:
        nodes: Points of a lattice on the box, in the units of the parameters, shape (m, d).
        heights: The goal of each surface there, shape (m, 200).
    """

    nodes: NDArray
    heights: NDArray

    @property
    def grid(self) -> tuple[NDArray, NDArray, NDArray]:
        """Values of two parameters, (n₁,) and (n₂,), and the heights there, (n₂, n₁, 200)."""
        first, second = (np.unique(column) for column in self.nodes.T)
        return first, second, self.heights.reshape(len(second), len(first), -1)


@dataclass(frozen=True, eq=False)
class SmoothSurface:
    """A Gaussian process through the means over seeds of points in a box; see the module.

    Args:
        box: Name, lowest and highest value of each of d parameters.
        points: Where it was measured, in the units of the parameters, shape (n, d).
        values: What was measured, shape (n, seeds), two seeds or more; NaN or infinite where a
            training failed. A point with a failed training is left out.

    Raises:
        TypeError: Points or values are masked, complex, text or objects, or an end of a range is no
            number.
        ValueError: A range is empty or has no end, the shapes do not fit, there is one seed, or
            the points that are left do not fix a quadratic and its misfit.
    """

    box: Sequence[tuple[str, float, float]]
    points: NDArray
    values: NDArray

    def __post_init__(self) -> None:
        plain = self._plain
        for name in ("box", "points", "values"):
            object.__setattr__(self, name, getattr(plain, name))
        seeds = self.values.shape[1]
        checks.require(seeds > 1, f"a smooth surface needs two seeds or more, got {seeds}")

    @cached_property
    def _plain(self) -> Surface:
        """The quadratic through the same measurements, which has their noise."""
        return Surface(self.box, self.points, self.values)

    @property
    def kept(self) -> NDArray:
        """Whether none of a point's trainings failed, shape (n,)."""
        return self._plain.kept

    @property
    def alone(self) -> NDArray:
        """Values without what a seed adds to all points, shape (n, seeds)."""
        return self._plain.alone

    @property
    def stderr(self) -> NDArray:
        """Standard error of each point's mean, shape (n,)."""
        return self._plain.stderr

    @cached_property
    def scales(self) -> Scales:
        """Size and lengths under which the measurements are likeliest."""
        spread = max(float(self._measured.std()), float(self.stderr[self.kept].mean()))
        low, high = (spread * size for size in SIZES)
        bounds = [(np.log(low), np.log(high))] + [tuple(np.log(LENGTHS))] * len(self.box)
        starts = [np.log([spread, *lengths]) for lengths in lattice(STARTS, len(self.box))]
        fits = [
            optimize.minimize(self._surprise, start, jac=True, method="L-BFGS-B", bounds=bounds)
            for start in starts
        ]
        size, *lengths = np.exp(min(fits, key=lambda fit: fit.fun).x)
        return Scales(float(size), np.array(lengths))

    @property
    def misfit(self) -> float:
        """Mean squared error of points that are left out one at a time, in units of its variance.

        About 1 if the surface and its noise describe the measurements.
        """
        inverse = self._fitted.inverse
        return float(np.mean((inverse @ self._centred) ** 2 / np.diag(inverse)))

    def at(self, points: ArrayLike) -> NDArray:
        """The surface at points of the box.

        Args:
            points: In the units of the parameters, shape (m, d).

        Returns:
            The goal, shape (m,).

        Raises:
            TypeError: Points are masked, complex, text or objects.
            ValueError: A point is not finite, or the shape is another.
        """
        return self._heights(self._scaled(checked_places(points, len(self.box))))

    def least(self) -> NDArray:
        """Where the surface is least in the box.

        The descent starts at the lowest node of a lattice.

        Returns:
            The point, in the units of the parameters, shape (d,).
        """
        nodes = self._nodes
        start = nodes[self._heights(nodes).argmin()]

        def height(x: NDArray) -> float:
            return float((self._predictor(x[None]) @ self._centred)[0])

        ends = [(-1, 1)] * len(self.box)
        return self._unscaled(optimize.minimize(height, start, bounds=ends, method="L-BFGS-B").x)

    @property
    def optima(self) -> NDArray:
        """Optima of surfaces as likely as this one, on a lattice, shape (200, d)."""
        nodes, heights = self.likely
        return nodes[heights.argmin(0)]

    @cached_property
    def likely(self) -> "Likely":
        """Surfaces as likely as this one, on a lattice on the box."""
        rng = np.random.default_rng(0)
        nodes, x = self._nodes, self._scaled(self.points[self.kept])
        everywhere = np.concatenate([x, nodes])
        covariance = self._covariance(everywhere, everywhere)
        covariance[np.diag_indices(len(covariance))] += JITTER * self.scales.size**2
        root = linalg.cholesky(covariance, lower=True)
        deviations = self.alone[self.kept] - self._measured[:, None]
        seeds = deviations.shape[1]
        predictor = self._predictor(nodes)
        randoms, noises = [], []
        for _ in range(SURFACES):
            randoms.append(rng.standard_normal(len(everywhere)))
            recombined = deviations @ rng.standard_normal(seeds)
            noises.append(recombined / np.sqrt(seeds * rng.chisquare(seeds - 1)))
        here, there = np.split(root @ np.array(randoms).T, [len(x)])
        left = self._centred[:, None] - here - np.array(noises).T
        heights = there + predictor @ left + self._measured.mean()
        return Likely(self._unscaled(nodes), heights)

    def _scaled(self, points: NDArray) -> NDArray:
        """Points with each parameter on [−1, 1]."""
        return scaled(points, self.box)

    def _unscaled(self, x: NDArray) -> NDArray:
        """Points in the units of the parameters."""
        low, high = ends_of(self.box)
        return low + (high - low) * (x + 1) / 2

    @property
    def _nodes(self) -> NDArray:
        """A lattice on the box, scaled, shape (m, d)."""
        dimension = len(self.box)
        side = np.linspace(-1, 1, round(NODES ** (1 / dimension)))
        return lattice(side, dimension)

    @property
    def _measured(self) -> NDArray:
        """Mean of each kept point, shape (k,)."""
        return self.alone[self.kept].mean(1)

    @property
    def _centred(self) -> NDArray:
        """Means of the kept points less their own mean, which loses no digits to an offset."""
        return self._measured - self._measured.mean()

    def _heights(self, x: NDArray) -> NDArray:
        """The surface at scaled points, shape (m,)."""
        return self._predictor(x) @ self._centred + self._measured.mean()

    def _covariance(self, x: NDArray, y: NDArray, scales: Scales | None = None) -> NDArray:
        """Covariance of g at scaled points (n, d) and (m, d), shape (n, m)."""
        size, lengths = self.scales if scales is None else scales
        distance = ((x[:, None, :] - y[None, :, :]) / lengths) ** 2
        return size**2 * np.exp(-distance.sum(-1) / 2)

    def _fit(self, scales: Scales) -> "Fit":
        """What follows from the measurements' places and noise at given scales."""
        x = self._scaled(self.points[self.kept])
        noise = self.stderr[self.kept] ** 2 + JITTER * scales.size**2
        factor = linalg.cho_factor(self._covariance(x, x, scales) + np.diag(noise), lower=True)
        inverse = linalg.cho_solve(factor, np.eye(len(x)))
        ones = inverse.sum(1)
        centred = inverse - np.outer(ones, ones) / ones.sum()
        log_determinant = 2 * float(np.log(np.diag(factor[0])).sum())
        return Fit(centred, ones / ones.sum(), inverse, log_determinant)

    @cached_property
    def _fitted(self) -> "Fit":
        """The fit at the likeliest scales."""
        return self._fit(self.scales)

    def _surprise(self, log_scales: NDArray) -> tuple[float, NDArray]:
        """−log of the likelihood at log scales, up to a constant, and its slope.

        The slope is that of Rasmussen and Williams (2006, equation 5.9). The constant is the
        likeliest one, and so adds nothing to it.
        """
        size, *lengths = np.exp(log_scales)
        scales = Scales(float(size), np.array(lengths))
        fit = self._fit(scales)
        pull = fit.inverse @ self._centred
        surprise = float(self._centred @ pull + fit.log_determinant) / 2
        x = self._scaled(self.points[self.kept])
        covariance = self._covariance(x, x, scales)
        jitter = JITTER * scales.size**2 * np.eye(len(x))
        squares = (x[:, None, :] - x[None, :, :]) ** 2 / scales.lengths**2
        changes = [2 * (covariance + jitter), *(covariance * np.moveaxis(squares, 2, 0))]
        slopes = [((fit.precision - np.outer(pull, pull)) * change).sum() for change in changes]
        return surprise, np.array(slopes) / 2

    def _predictor(self, x: NDArray) -> NDArray:
        """The matrix that takes measurements to the surface at scaled points, shape (m, k)."""
        near = self._covariance(x, self._scaled(self.points[self.kept]))
        return near @ self._fitted.inverse + self._fitted.mean


class Fit(NamedTuple):
    """A Gaussian process with a constant that is not known.

    Attributes:
        inverse: Inverse of the covariance of the measurements, less what the constant takes up,
            shape (k, k).
        mean: Weights of the measurements in the constant, shape (k,).
        precision: Inverse of the covariance, shape (k, k).
        log_determinant: Of the covariance.
    """

    inverse: NDArray
    mean: NDArray
    precision: NDArray
    log_determinant: float
