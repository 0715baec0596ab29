"""A quadratic through noisy measurements over a box of parameters, and where it is least.

Each of n points x_i is measured under the same seeds s, and a quadratic goes through the means by
weighted least squares, with x scaled to [−1, 1] (Box and Wilson 1951):

    f(x) ≈ c_0 + Σ c_j x_j + Σ c_jk x_j x_k,    y_is = f(x_i) + b_s + e_is.

What a seed adds to all points, b_s, is taken out before the standard error of a point is
estimated. A seed may also tilt the surface, so that its e_is go together. The errors of the
coefficients and of the optimum are therefore the spread over seeds. What the quadratic misses, χ²
for each degree of freedom above 1, is added as more noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from diffviz import checks

# degrees of freedom of the common variance beside a point's own (Smyth 2004,
# doi 10.2202/1544-6115.1027)
PRIOR = 4.0
NO_NOISE = 1e-9  # standard error where seeds agree to all digits, as a share of the largest value
LEAST_NOISE = 1e-100  # of which float64 has the square
SURFACES = 200  # drawn for the spread of the optimum


class Parameter(NamedTuple):
    """A parameter of a family, and the range that is searched."""

    name: str
    low: float
    high: float


def coefficient_count(dimension: int) -> int:
    """Number of coefficients of a quadratic.

    Args:
        dimension: Number of parameters d.

    Returns:
        (d + 1)(d + 2)/2.
    """
    return (dimension + 1) * (dimension + 2) // 2


def points_needed(dimension: int) -> int:
    """Fewest points that fix a quadratic and leave a degree of freedom for its misfit.

    Args:
        dimension: Number of parameters d.

    Returns:
        One more than there are coefficients.
    """
    return coefficient_count(dimension) + 1


def checked_places(points: ArrayLike, dimension: int) -> NDArray:
    """Points at which a surface is looked at.

    Args:
        points: In the units of the parameters, shape (m, d).
        dimension: Number of parameters d.

    Returns:
        The points.

    Raises:
        TypeError: Points are masked, complex, text or objects.
        ValueError: A point is not finite, or the shape is another.
    """
    places = checks.array(points, "points", ndim=2)
    if places.shape[1] != dimension:
        raise ValueError(f"points must have shape (m, {dimension}), got {places.shape}")
    return places


def checked_box(box: Sequence[tuple[str, float, float]]) -> Sequence[tuple[str, float, float]]:
    """A box of which each parameter has a range.

    Args:
        box: Name, lowest and highest value of each of d parameters, in any iterable.

    Returns:
        The box; as a list if it was one that is used up by reading.

    Raises:
        TypeError: It is no list, or an end is no number.
        ValueError: A parameter is no such triple, an end is not finite, or a range is empty.
    """
    parameters = checks.items(box, "box")
    if not all(isinstance(one, tuple) and len(one) == 3 for one in parameters):
        raise ValueError(f"box must hold (name, low, high), got {checks.brief(parameters)}")
    for name, low, high in parameters:
        checks.number(low, f"the lowest value of {name}")
        checks.number(high, f"the highest value of {name}")
        checks.require(low < high, f"the range of {name} is empty: {low} to {high}")
    return box if isinstance(box, Sequence) else parameters


def ends_of(box: Sequence[tuple[str, float, float]]) -> NDArray:
    """Lowest and highest values of the parameters.

    Args:
        box: Name, lowest and highest value of each of d parameters.

    Returns:
        The values, shape (2, d).
    """
    return np.array([ends for _, *ends in box]).T


def scaled(points: NDArray, box: Sequence[tuple[str, float, float]]) -> NDArray:
    """Points with each parameter on [−1, 1].

    Args:
        points: In the units of the parameters, shape (m, d).
        box: As for ``ends_of``.

    Returns:
        The points, shape (m, d).
    """
    low, high = ends_of(box)
    return (2 * points - low - high) / (high - low)


def lattice(side: ArrayLike, dimension: int) -> NDArray:
    """All points whose parameters are among some values.

    Args:
        side: The values, shape (k,).
        dimension: Number of parameters d.

    Returns:
        The points, shape (k^d, d).
    """
    return np.stack(np.meshgrid(*[side] * dimension), -1).reshape(-1, dimension)


def least_in_cube(quadratics: NDArray, dimension: int) -> NDArray:
    """Where quadratics, convex or not, are least on the cube [−1, 1]^d.

    The least value lies inside the cube or inside one of its faces, edges and corners, and there
    the slope along it is zero and the curvature positive. All 3^d are tried.

    Args:
        quadratics: Coefficients of 1, x_j and x_j x_k with j <= k, row by row, shape (m, k).
        dimension: Number of parameters d.

    Returns:
        The points, shape (m, d).
    """
    form = np.zeros((len(quadratics), dimension + 1, dimension + 1))  # of (1, x)
    form[:, *np.triu_indices(dimension + 1)] = quadratics
    form = form + form.swapaxes(1, 2)
    slope, curvature = form[:, 1:, 0], form[:, 1:, 1:]
    best = np.zeros((len(quadratics), dimension))
    least = np.full(len(quadratics), np.inf)
    for face in product((-1.0, 0.0, 1.0), repeat=dimension):
        x, is_inside = _still_points(slope, curvature, np.array(face))
        heights = (slope * x).sum(1) + (x * (curvature @ x[..., None])[..., 0]).sum(1) / 2
        is_lower = is_inside & (heights < least)
        best[is_lower] = x[is_lower]
        least[is_lower] = heights[is_lower]
    return best


def _still_points(slope: NDArray, curvature: NDArray, face: NDArray) -> tuple[NDArray, NDArray]:
    """Least points of quadratics along a face of the cube, and whether they lie within it.

    Args:
        slope: Slopes at the middle of the cube, shape (m, d).
        curvature: Second derivatives, shape (m, d, d).
        face: −1 or 1 for a parameter at an end, and 0 for a free one, shape (d,).

    Returns:
        Points, shape (m, d), and whether the curvature is positive and the point in the cube, (m,).
    """
    free = face == 0
    x = np.tile(face, (len(slope), 1))
    if not free.any():
        return x, np.full(len(slope), True)
    block = curvature[:, free][:, :, free]
    is_valley = np.linalg.eigvalsh(block)[:, 0] > 0
    block[~is_valley] = np.eye(free.sum())
    downhill = -(slope + curvature @ face)[:, free]
    x[:, free] = np.linalg.solve(block, downhill[..., None])[..., 0]
    return x, is_valley & (abs(x) <= 1).all(1)


@dataclass(frozen=True, eq=False)
class Surface:
    """A quadratic through the means over seeds of points in a box; see the module.

    Args:
        box: Name, lowest and highest value of each of d parameters.
        points: Where it was measured, in the units of the parameters, shape (n, d).
        values: What was measured, shape (n, seeds); NaN or infinite where a training failed. A
            point with a failed training is left out.

    Raises:
        TypeError: Points or values are masked, complex, text or objects, or an end of a range is no
            number.
        ValueError: A range is empty or has no end, the shapes do not fit, fewer different points
            are left than ``points_needed``, or they lie on one curve that a quadratic describes.
    """

    box: Sequence[tuple[str, float, float]]
    points: NDArray
    values: NDArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", checks.array(self.points, "points", ndim=2))
        object.__setattr__(self, "values", _measured_values(self.values))
        object.__setattr__(self, "box", checked_box(self.box))
        if self.points.shape[1] != len(self.box) or len(self.points) != len(self.values):
            raise ValueError(
                f"need points (n, {len(self.box)}) and values (n, seeds) for a box of "
                f"{len(self.box)} parameters, got shapes {self.points.shape} and "
                f"{self.values.shape}"
            )
        self._check_design()

    def _check_design(self) -> None:
        """Refuse points that do not fix a quadratic and its misfit."""
        needed, kept = points_needed(len(self.box)), self.points[self.kept]
        if len(kept) < needed:
            raise ValueError(
                f"a quadratic with its noise needs {needed} points without a failed training, "
                f"there are {len(kept)} with finite values"
            )
        different = len(np.unique(kept, axis=0))
        if different < needed:
            raise ValueError(
                f"a quadratic with its noise needs {needed} different points, there are "
                f"{different} among {len(kept)} with finite values; measure at more places"
            )
        rank = np.linalg.matrix_rank(self._terms(kept))
        if rank < needed - 1:
            raise ValueError(
                f"points fix {rank} of the {needed - 1} coefficients of a quadratic, since they "
                "lie on a line or another such curve; spread them over the box"
            )

    @property
    def kept(self) -> NDArray:
        """Whether none of a point's trainings failed, shape (n,)."""
        return np.isfinite(self.values).all(1)

    @property
    def names(self) -> list[str]:
        """Names of the coefficients, such as "1", "mean", "mean std"."""
        factors = ["1", *(name for name, *_ in self.box)]
        return [
            " ".join([factors[j], factors[k]]).removeprefix("1 ")
            for j, k in zip(*np.triu_indices(len(factors)), strict=True)
        ]

    @cached_property
    def alone(self) -> NDArray:
        """Values without what a seed adds to all points, shape (n, seeds).

        That is the median over points, so that one wild point does not blur the others.
        """
        kept = self.values[self.kept]
        shift = np.median(kept - kept.mean(1, keepdims=True), axis=0)
        return self.values - shift + shift.mean()

    @cached_property
    def stderr(self) -> NDArray:
        """Standard error of each point's mean, shape (n,); NaN for one seed.

        The variance of a point is drawn towards the common one.
        """
        seeds = self.values.shape[1]
        if seeds < 2:
            return np.full(len(self.points), np.nan)
        variance = self.alone.var(1, ddof=1)
        free = seeds - 1
        common = np.median(variance[self.kept]) * free / stats.chi2.median(free)
        drawn_together = (free * variance + PRIOR * common) / (free + PRIOR)
        sizes = np.abs(self.alone[self.kept])
        size = np.median(sizes) or sizes.max() or 1.0
        return np.sqrt(drawn_together / seeds).clip(max(NO_NOISE * size, LEAST_NOISE))

    @cached_property
    def coefficients(self) -> NDArray:
        """Coefficients in the order of ``names``, for parameters on [−1, 1]."""
        return self._fit(self.alone.mean(1))

    @cached_property
    def misfit(self) -> float:
        """χ² for each degree of freedom: about 1 if a quadratic is enough, NaN for one seed."""
        residual = (self.alone.mean(1) - self.at(self.points)) / self.stderr
        free = self.kept.sum() - len(self.coefficients)
        return float((residual[self.kept] ** 2).sum() / free)

    @property
    def errors(self) -> NDArray:
        """Standard errors of the coefficients; NaN for one seed.

        They are the spread over seeds, and what a misfit above 1 adds. For an interval take
        Student's t with (seeds − 1) degrees of freedom.
        """
        seeds = self.values.shape[1]
        by_seed = (self._solution @ self.alone[self.kept]).var(1, ddof=min(1, seeds - 1)) / seeds
        by_point = ((self._solution * self.stderr[self.kept]) ** 2).sum(1)
        return np.sqrt(by_seed + by_point * np.maximum(self.misfit - 1, 0))

    @cached_property
    def optima(self) -> NDArray:
        """Optima of surfaces as likely as this one, shape (200, d); none, (0, d), for one seed.

        Seeds are recombined, not points, since a seed moves neighbours alike. Few seeds give
        Student's tails. A misfit above 1 is added as more noise.
        """
        rng = np.random.default_rng(0)
        seeds = self.values.shape[1]
        mean = self.alone.mean(1)
        if seeds < 2:
            return np.empty((0, len(self.box)))
        deviations = self.alone - mean[:, None]
        extra = self.stderr * np.sqrt(max(self.misfit - 1, 0))
        quadratics = []
        for _ in range(SURFACES):
            recombined = deviations @ rng.standard_normal(seeds)
            noise = recombined / np.sqrt(seeds * rng.chisquare(seeds - 1))
            missed = rng.standard_normal(len(mean)) * extra
            quadratics.append(self._fit(mean + noise + missed))
        return self._least(np.array(quadratics))

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
        return self._terms(checked_places(points, len(self.box))) @ self.coefficients

    def least(self, coefficients: ArrayLike | None = None) -> NDArray:
        """Where a quadratic, convex or not, is least in the box.

        Args:
            coefficients: Of the quadratic, in the order of ``names``; those of this surface by
                default.

        Returns:
            The point, in the units of the parameters, shape (d,).

        Raises:
            TypeError: Coefficients are masked, complex, text or objects.
            ValueError: A coefficient is not finite, or there are too few or too many.
        """
        if coefficients is None:
            coefficients = self.coefficients
        quadratic = checks.array(coefficients, "coefficients", ndim=1)
        if len(quadratic) != len(self.names):
            raise ValueError(f"need {len(self.names)} coefficients, got {len(quadratic)}")
        return self._least(quadratic[None])[0]

    def _least(self, quadratics: NDArray) -> NDArray:
        """Where quadratics (m, coefficients) are least in the box, shape (m, d)."""
        low, high = ends_of(self.box)
        x = least_in_cube(quadratics, len(low))
        return low + (high - low) * (x + 1) / 2

    def _terms(self, points: NDArray) -> NDArray:
        """1, x_j and x_j x_k at points (m, d), x scaled to [−1, 1], shape (m, coefficients)."""
        x = np.c_[np.ones(len(points)), scaled(points, self.box)]
        pairs = zip(*np.triu_indices(x.shape[1]), strict=True)
        return np.stack([x[:, j] * x[:, k] for j, k in pairs], 1)

    @cached_property
    def _solution(self) -> NDArray:
        """The matrix that takes values at the kept points to coefficients."""
        scale = 1 / np.nan_to_num(self.stderr[self.kept], nan=1.0)
        return np.linalg.pinv(scale[:, None] * self._terms(self.points[self.kept])) * scale

    def _fit(self, values: NDArray) -> NDArray:
        """Coefficients through one value for each of the n points."""
        return self._solution @ values[self.kept]


def _measured_values(values: ArrayLike) -> NDArray:
    """Values as float64, shape (n, seeds), with NaN wherever a training failed."""
    given = checks.real_numbers(values, "values")
    if given.dtype.kind != "f":
        return checks.array(given, "values", ndim=2)
    failed = ~np.isfinite(given)
    numbers = checks.array(np.where(failed, 0.0, given), "values", ndim=2)
    return np.where(failed, np.nan, numbers)
