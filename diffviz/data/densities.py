"""Densities whose noised versions are known exactly: mixtures, a circle, a checkerboard.

Each of them states what z = alpha x + sigma eps says of x. Bayes' rule gives the density of z, and
from it the ideal denoiser x_hat = E[x|z] and the error that even this denoiser makes,
eps_hat − eps = (alpha/sigma) (x − x_hat). Everything is float64 and in log space, and every formula
is written so that nothing cancels where alpha or sigma is tiny.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffviz.checks import brief, dense_tensor, instance, positive, require
from diffviz.data import separable

MAX_LATTICE = 2**28  # elements that a quadrature may take
NODES_PER_STD = 8  # of a lattice for the entropy, whose error is then 1e-12
REACH = 8  # standard deviations that this lattice goes beyond the centres
CHUNK = 2**17  # elements of a temporary: they stay in the cache
CANCELLED = 1e-7  # nats that rounding may cost where distances are taken from products
LOG_TWO_PI = math.log(2 * math.pi)


class Estimate(NamedTuple):
    """What points z (n, d) say of the mean of the data.

    Args:
        log_prob: Log density of z in nats, shape (n,).
        x_hat: E[x|z], the ideal denoiser, shape (n, d).
        score: Gradient of the log density at z, shape (n, d). Tweedie: eps_hat = −sigma score.
    """

    log_prob: Tensor
    x_hat: Tensor
    score: Tensor


class Posterior(NamedTuple):
    """What points z (n, d) say of the data: an ``Estimate``, and how wrong it is.

    Args:
        log_prob: Log density of z in nats, shape (n,).
        x_hat: E[x|z], the ideal denoiser, shape (n, d).
        score: Gradient of the log density at z, shape (n, d). Tweedie: eps_hat = −sigma score.
        error: E[‖eps_hat − eps‖²|z], shape (n,).
        fourth: E[‖eps_hat − eps‖⁴|z], shape (n,).
    """

    log_prob: Tensor
    x_hat: Tensor
    score: Tensor
    error: Tensor
    fourth: Tensor


class KnownDensity(Protocol):
    """A density of x whose noised versions are known; what a ``Toy`` is made of."""

    @property
    def mean(self) -> Tensor:
        """Mean of x, shape (d,)."""

    @property
    def variance(self) -> Tensor:
        """Variance of x, averaged over its coordinates, shape ()."""

    @property
    def has_density(self) -> bool:
        """Whether x has a density of its own, without noise."""

    @property
    def row_size(self) -> int:
        """Elements of the largest temporary that ``posterior`` needs for one z."""

    def unit(self) -> "KnownDensity":
        """The same density, shifted and scaled to mean 0 and a variance of 1 per dimension."""

    def draw(self, u: Tensor, generator: torch.Generator) -> Tensor:
        """Points x (n, d), for a uniform u (n,) that stratifies them and a generator."""

    def posterior(self, z: Tensor, alpha: Tensor, sigma: Tensor) -> Posterior:
        """What z (n, d) says of x, for alpha and sigma (n, 1)."""

    def quadrature(self, alpha: Tensor, sigma: Tensor) -> tuple[Posterior, Tensor] | None:
        """Posterior at nodes, and weights with E f(z) = Σ weight · density · f; None if too big."""


def posterior_in_pieces(law: KnownDensity, z: Tensor, alpha: Tensor, sigma: Tensor) -> Posterior:
    """What z says of x, computed in pieces of rows that fit in the cache.

    Args:
        law: The density of x.
        z: Points, shape (n, d).
        alpha: Scale of the signal, shape (n, 1) or ().
        sigma: Scale of the noise, shape (n, 1) or ().

    Returns:
        The posterior at all points.
    """
    posteriors = [law.posterior(*piece) for piece in _pieces(law, z, alpha, sigma)]
    return Posterior(*map(torch.cat, zip(*posteriors, strict=True)))


def estimate_in_pieces(law: KnownDensity, z: Tensor, alpha: Tensor, sigma: Tensor) -> Estimate:
    """What z says of the mean of x, computed in pieces of rows that fit in the cache.

    Args:
        law: The density of x.
        z: Points, shape (n, d).
        alpha: Scale of the signal, shape (n, 1) or ().
        sigma: Scale of the noise, shape (n, 1) or ().

    Returns:
        The estimate at all points.
    """
    # others take nearly as long without the moments of the error
    compute = law.estimate if isinstance(law, Mixture) else law.posterior
    estimates = [compute(*piece)[:3] for piece in _pieces(law, z, alpha, sigma)]
    return Estimate(*map(torch.cat, zip(*estimates, strict=True)))


def _pieces(
    law: KnownDensity, z: Tensor, alpha: Tensor, sigma: Tensor
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Points with their scales, (n, 1) each, in pieces of as many rows as fit in the cache."""
    rows = max(1, CHUNK // law.row_size)
    alphas = alpha.reshape(-1, 1).expand(len(z), 1)
    sigmas = sigma.reshape(-1, 1).expand(len(z), 1)
    return zip(z.split(rows), alphas.split(rows), sigmas.split(rows), strict=True)


def gauss_legendre(breaks: Tensor, order: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights of Gauss–Legendre quadrature on every panel between sorted breaks.

    Args:
        breaks: Ends of the panels, shape (panels + 1,).
        order: Number of nodes in each panel.

    Returns:
        Nodes and weights, shape (panels · order,) both.
    """
    node, weight = map(torch.from_numpy, _legendre(order))
    low = breaks[:-1, None]
    half = breaks.diff()[:, None] / 2
    return (low + half * (1 + node)).flatten(), (half * weight).flatten()


@cache
def _legendre(order: int) -> tuple[NDArray, NDArray]:
    """Nodes in (−1, 1) and weights, shape (order,) each; not to be written to.

    NumPy finds them as eigenvalues anew each time, which takes longer than most of what they are
    for.
    """
    return np.polynomial.legendre.leggauss(order)


# --- mixtures of Gaussians ----------------------------------------------------------------------


def mixture_moments(share: Tensor, offset: Tensor, spread: Tensor, d: int) -> tuple[Tensor, Tensor]:
    """E‖r‖² and E‖r‖⁴ of a residual r that is a Gaussian in each component of a mixture.

    In component k, ‖r‖² has the mean offset_k + d spread_k and the variance
    2 d spread_k² + 4 offset_k spread_k.

    Args:
        share: Posterior probability of the components, shape (n, k).
        offset: Squared distance of each Gaussian's mean from 0, shape (n, k).
        spread: Variance of each Gaussian per dimension, shape (n, k).
        d: Number of dimensions.

    Returns:
        The second and the fourth moment, shape (n,) both.
    """
    square = offset + d * spread
    fourth = square**2 + 2 * d * spread**2 + 4 * offset * spread
    return (share * square).sum(1), (share * fourth).sum(1)


def squared_lengths(vectors: Callable[[slice], Tensor], n: int, row_size: int) -> Tensor:
    """‖v‖² of vectors that are formed in pieces, for differences that products would cancel.

    Args:
        vectors: The vectors of a slice of points, (m, k, d).
        n: Number of points.
        row_size: Elements of the vectors of one point.

    Returns:
        Squared lengths, shape (n, k).
    """
    step = max(1, CHUNK // row_size)
    pieces = [vectors(slice(row, row + step)).square().sum(2) for row in range(0, max(n, 1), step)]
    return torch.cat(pieces)


class _Components(NamedTuple):
    """What points z (n, d) say of the k components of a mixture; see ``Mixture._compared``.

    Args:
        mean: Mean of the mixture, shape (d,).
        means: m_k, measured from the mean, shape (k, d).
        variance: s_k², shape (k,) or (1,).
        z: Points, measured from alpha times the mean, shape (n, d).
        v: v_k, shape (n, k) or (n, 1).
        common: V, shape (n, 1).
        c: c_k, shape (n, k) or (n, 1).
        squares: ‖m_k‖², shape (k,).
        z_square: ‖z‖², shape (n, 1).
        products: z · m_k, shape (n, k).
        is_narrow: Whether distances need differences, since products would cancel.
        log_prob: Log density of z in nats, shape (n,).
        share: Posterior probability of k, shape (n, k).
        pull: Mean of (m_k − c_k z)/v_k under the posterior of k, shape (n, d).
    """

    mean: Tensor
    means: Tensor
    variance: Tensor
    z: Tensor
    v: Tensor
    common: Tensor
    c: Tensor
    squares: Tensor
    z_square: Tensor
    products: Tensor
    is_narrow: bool
    log_prob: Tensor
    share: Tensor
    pull: Tensor

    def estimate(self, alpha: Tensor, sigma: Tensor) -> Estimate:
        """What the points say of the mean of x, for alpha and sigma (n, 1)."""
        shrunk = alpha * self.variance.mean() * self.z / self.common
        return Estimate(
            log_prob=self.log_prob,
            x_hat=self.mean + shrunk + sigma**2 * self.pull,
            score=alpha * self.pull - self.z / self.common,
        )


def normal_density(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Densities of Gaussians on a line.

    Args:
        x: Points, shape (n,).
        mean: Means, shape (k,).
        std: Standard deviations, shape (k,).

    Returns:
        N(x; mean, std²), shape (n, k).
    """
    scaled = (x[:, None] - mean) / std
    return (-(scaled**2) / 2).exp() / (math.sqrt(2 * math.pi) * std)


@dataclass(frozen=True, eq=False)
class Mixture:
    """Mixture of isotropic Gaussians, p(x) = Σ_k w_k N(x; m_k, s_k² I).

    Args:
        weights: w_k, above 0 with sum 1, shape (k,).
        means: m_k, shape (k, d).
        std: s_k, above 0, shape (k,), or (1,) if all are equal.

    Raises:
        ValueError: The shapes do not fit.
    """

    weights: Tensor
    means: Tensor
    std: Tensor

    def __post_init__(self) -> None:
        for name in ("weights", "means", "std"):
            value = getattr(self, name)
            instance(value, name, Tensor, "a tensor")
            dense_tensor(value, name)
            if not value.isfinite().all():
                raise ValueError(f"{name} must be finite, got {brief(value)}")
        fits = self.means.ndim == 2 and self.weights.shape == self.means.shape[:1]
        require(
            fits and self.std.shape in (self.weights.shape, (1,)),
            "a mixture has weights (k,), means (k, d) and std (k,) or (1,), got "
            f"{tuple(self.weights.shape)}, {tuple(self.means.shape)}, {tuple(self.std.shape)}",
        )

    def __repr__(self) -> str:
        count, dimension = self.means.shape
        return f"Mixture({count} Gaussians in {dimension} dimensions)"

    @property
    def mean(self) -> Tensor:
        """Mean of x, shape (d,)."""
        return self.weights @ self.means

    @property
    def variance(self) -> Tensor:
        """Variance of x, averaged over its coordinates, shape ()."""
        return self.weights @ ((self.means - self.mean).square().mean(1) + self.std**2)

    @property
    def has_density(self) -> bool:
        """True: x has a density of its own."""
        return True

    @property
    def row_size(self) -> int:
        """Elements of a temporary for one z: one for each component."""
        return len(self.weights)

    def parameters(self) -> NDArray:
        """Weights, means and standard deviations in one row; they decide the density."""
        parts = (self.weights, self.means.flatten(), self.std.expand_as(self.weights))
        return torch.cat(parts).numpy()

    def unit(self) -> "Mixture":
        """The same mixture, shifted and scaled to mean 0 and a variance of 1 per dimension."""
        scale = self.variance.sqrt()
        return Mixture(self.weights, (self.means - self.mean) / scale, self.std / scale)

    def draw(self, u: Tensor, generator: torch.Generator) -> Tensor:
        """Points of the mixture.

        Args:
            u: Uniform numbers in [0, 1) that choose the components, shape (n,).
            generator: Source of the Gaussian part.

        Returns:
            x, shape (n, d).
        """
        last = len(self.weights) - 1
        component = torch.searchsorted(self.weights.cumsum(0), u).clamp(max=last)
        means = self.means[component]
        std = self.std.expand_as(self.weights)[component, None]
        return means + std * torch.randn(means.shape, generator=generator, dtype=u.dtype)

    def _compared(self, z: Tensor, alpha: Tensor, sigma: Tensor) -> _Components:
        """What z (n, d) says of the components, for alpha and sigma (n, 1).

        With z and m_k measured from the mean, v_k = alpha² s_k² + sigma², S² the average of s_k²,
        V = alpha² S² + sigma² and c_k = alpha (S² − s_k²)/V, the score of component k is

            alpha (m_k − c_k z)/v_k − z/V,

        so that nothing cancels where noise makes all components alike.
        """
        mean = self.mean.to(z.device)
        means = self.means.to(z.device) - mean
        weights = self.weights.to(z.device)
        variance = (self.std**2).to(z.device)
        z = z - alpha * mean
        d = z.shape[1]

        v = alpha**2 * variance + sigma**2
        common = alpha**2 * variance.mean() + sigma**2
        c = alpha * (variance.mean() - variance) / common
        squares = means.square().sum(1)
        z_square = z.square().sum(1, keepdim=True)
        products = z @ means.T
        rounding = torch.finfo(z.dtype).eps * alpha**2 * squares.max() / v
        if is_narrow := bool((rounding > CANCELLED).any()):
            distances = squared_lengths(
                lambda rows: z[rows, None] - alpha[rows, None] * means, len(z), means.numel()
            )
        else:
            distances = z_square - 2 * alpha * products + alpha**2 * squares
        terms = weights.log() - d / 2 * (2 * math.pi * v).log() - distances / (2 * v)
        share = terms.softmax(1)
        return _Components(
            mean=mean,
            means=means,
            variance=variance,
            z=z,
            v=v,
            common=common,
            c=c,
            squares=squares,
            z_square=z_square,
            products=products,
            is_narrow=is_narrow,
            log_prob=terms.logsumexp(1),
            share=share,
            pull=share / v @ means - z * (share / v * c).sum(1, keepdim=True),
        )

    def estimate(self, z: Tensor, alpha: Tensor, sigma: Tensor) -> Estimate:
        """What z says of the mean of x; a sigma near 0 asks for the density of x itself.

        Args:
            z: Points, shape (n, d).
            alpha: Scale of the signal, shape (n, 1).
            sigma: Scale of the noise, shape (n, 1).

        Returns:
            The estimate.
        """
        return self._compared(z, alpha, sigma).estimate(alpha, sigma)

    def posterior(self, z: Tensor, alpha: Tensor, sigma: Tensor) -> Posterior:
        """What z says of x; a sigma near 0 asks for the density of x itself.

        Args:
            z: Points, shape (n, d).
            alpha: Scale of the signal, shape (n, 1).
            sigma: Scale of the noise, shape (n, 1).

        Returns:
            The posterior.
        """
        parts = self._compared(z, alpha, sigma)
        v, c, pull = parts.v, parts.c, parts.pull
        # ‖(m_k − c_k z)/v_k − pull‖², the squared offset of component k's own eps_hat
        if parts.is_narrow:
            apart = squared_lengths(
                lambda rows: (
                    (parts.means - c[rows, :, None] * parts.z[rows, None]) / v[rows, :, None]
                    - pull[rows, None]
                ),
                len(z),
                parts.means.numel(),
            )
        else:
            inner = (pull @ parts.means.T - (parts.z * pull).sum(1, keepdim=True) * c) / v
            own = (parts.squares - 2 * c * parts.products + c**2 * parts.z_square) / v**2
            apart = own - 2 * inner + pull.square().sum(1, keepdim=True)
        offset = (alpha * sigma) ** 2 * apart.clamp(min=0)
        spread = alpha**2 * parts.variance / v
        error, fourth = mixture_moments(parts.share, offset, spread, z.shape[1])
        return Posterior(*parts.estimate(alpha, sigma), error=error, fourth=fourth)

    def quadrature(self, alpha: Tensor, sigma: Tensor) -> tuple[Posterior, Tensor] | None:
        """Posterior on a lattice, where a plain sum is spectrally accurate.

        Args:
            alpha: Scale of the signal, shape ().
            sigma: Scale of the noise, shape ().

        Returns:
            The posterior at the nodes and the weights of the nodes, such that the sum of
            weight · density · f is E f(z). None in more than two dimensions and where the lattice
            would be too big.
        """
        lattice = self._lattice(alpha, sigma)
        if lattice is None:
            return None
        axes, step = lattice
        d = len(axes)
        z = torch.cartesian_prod(*axes).reshape(-1, d)
        return posterior_in_pieces(self, z, alpha, sigma), (step**d).expand(len(z))

    def entropy(self, alpha: Tensor, sigma: Tensor) -> Tensor | None:
        """Differential entropy of z on the lattice of ``quadrature``, from the density alone.

        A component is a product over coordinates, so that the density at all nodes is a product of
        matrices. Where it underflows, p log p is 0 to rounding.

        Args:
            alpha: Scale of the signal, shape ().
            sigma: Scale of the noise, shape ().

        Returns:
            −E log p(z) in nats, shape (); None where there is no lattice.
        """
        lattice = self._lattice(alpha, sigma)
        if lattice is None:
            return None
        axes, step = lattice
        std = (alpha**2 * self.std**2 + sigma**2).sqrt().expand_as(self.weights)
        columns = torch.ones(1, len(std), dtype=std.dtype)  # of data on a line
        if len(axes) == 2:
            columns = normal_density(axes[1], alpha * self.means[:, 1], std)
        total = torch.zeros((), dtype=std.dtype)
        for nodes in axes[0].split(max(1, CHUNK // len(std))):
            rows = self.weights * normal_density(nodes, alpha * self.means[:, 0], std)
            density = rows @ columns.T
            total -= torch.special.xlogy(density, density).sum()
        return step ** len(axes) * total

    def _lattice(self, alpha: Tensor, sigma: Tensor) -> tuple[list[Tensor], Tensor] | None:
        """Nodes along each axis and their distance; None where they would be too many."""
        std = (alpha**2 * self.std**2 + sigma**2).sqrt().expand_as(self.weights)[:, None]
        step = std.min() / NODES_PER_STD
        centres = alpha * self.means
        low = (centres - REACH * std).min(0).values
        high = (centres + REACH * std).max(0).values
        size = ((high - low) / step).ceil().long() + 1
        d = self.means.shape[1]
        if d > 2 or size.double().prod() * max(64, len(centres)) > MAX_LATTICE:
            return None
        axes = [start + step * torch.arange(k) for start, k in zip(low, size, strict=True)]
        return axes, step


# --- a circle -----------------------------------------------------------------------------------

SERIES_FROM = 200  # argument of the Bessel functions from which their series is more exact


def angle_moments(k: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Moments of an angle with the density e^(k cos angle)/(2π I₀(k)).

    For large k, where 1 − I₁/I₀ cancels, by series (Abramowitz and Stegun 1964, 9.7.1).

    Args:
        k: Concentration, any shape.

    Returns:
        E cos = I₁(k)/I₀(k), E(1 − cos) and E(1 − cos)², same shape.
    """
    ratio = torch.special.i1e(k) / torch.special.i0e(k)
    x = 1 / k.clamp(min=SERIES_FROM)
    series = x**2 / 4 + x**3 / 4 + 25 * x**4 / 64 + 13 * x**5 / 16 + 1073 * x**6 / 512
    loss = torch.where(k > SERIES_FROM, (x + series) / 2, 1 - ratio)
    square = torch.where(k > SERIES_FROM, series + x * loss, 2 * loss - ratio / k)
    return ratio, loss, square


@dataclass(frozen=True, eq=False)
class Circle:
    """Uniform on a circle of radius R in the plane.

    With r = ‖z‖ and k = alpha R r/sigma², z has the density e^(−(r² + alpha² R²)/(2 sigma²)) I₀(k)
    /(2π sigma²), and x_hat = R I₁(k)/I₀(k) z/r. Without noise there is no density in the plane.

    Args:
        radius: R; √2 has unit variance.

    Raises:
        ValueError: The radius is not a finite number above 0.
    """

    radius: float = math.sqrt(2)

    def __post_init__(self) -> None:
        positive(self.radius, "radius")

    @property
    def mean(self) -> Tensor:
        """Mean of x, shape (2,)."""
        return torch.zeros(2, dtype=torch.float64)

    @property
    def variance(self) -> Tensor:
        """Variance of a coordinate, R²/2, shape ()."""
        return torch.tensor(self.radius**2 / 2, dtype=torch.float64)

    @property
    def has_density(self) -> bool:
        """False: a circle has no density in the plane."""
        return False

    @property
    def row_size(self) -> int:
        """Elements of a temporary for one z: its two coordinates."""
        return 2

    def parameters(self) -> NDArray:
        """The radius, which decides the density, shape (1,)."""
        return np.array([self.radius])

    def unit(self) -> "Circle":
        """The circle of unit variance."""
        return Circle()

    def draw(self, u: Tensor, generator: torch.Generator) -> Tensor:
        """Points of the circle.

        Args:
            u: Shares of a turn, in [0, 1), shape (n,).
            generator: Not used: u says everything.

        Returns:
            x, shape (n, 2).
        """
        return self.radius * torch.stack([(2 * math.pi * u).cos(), (2 * math.pi * u).sin()], 1)

    def posterior(self, z: Tensor, alpha: Tensor, sigma: Tensor) -> Posterior:
        """What z says of x.

        Args:
            z: Points, shape (n, 2).
            alpha: Scale of the signal, shape (n, 1).
            sigma: Scale of the noise, shape (n, 1).

        Returns:
            The posterior.
        """
        r = z.square().sum(1, keepdim=True).clamp(min=1e-300).sqrt()
        a = alpha * self.radius
        k = (a * r / sigma**2).clamp(1e-150, 1e300)
        ratio, loss, square = angle_moments(k)
        log_prob = torch.special.i0e(k).log() - (r - a) ** 2 / (2 * sigma**2)
        fourth = loss**4 + 4 * ratio * loss**3 + 4 * ratio**2 * square
        return Posterior(
            log_prob=(log_prob - (2 * math.pi * sigma**2).log())[:, 0],
            x_hat=self.radius * ratio * z / r,
            score=(a - r - a * loss) / sigma**2 * z / r,
            error=((a / sigma) ** 2 * loss * (2 - loss))[:, 0],
            fourth=((a / sigma) ** 4 * fourth)[:, 0],
        )

    def quadrature(self, alpha: Tensor, sigma: Tensor) -> tuple[Posterior, Tensor]:
        """Posterior along a radius: whatever is averaged depends on r only.

        Args:
            alpha: Scale of the signal, shape ().
            sigma: Scale of the noise, shape ().

        Returns:
            The posterior at the nodes and the weights of the nodes.
        """
        middle = alpha * self.radius
        breaks = [(middle - 10 * sigma).clamp(min=0), middle, middle + 10 * sigma]
        r, weight = gauss_legendre(torch.stack(breaks), 150)
        nodes = torch.stack([r, torch.zeros_like(r)], 1)
        return posterior_in_pieces(self, nodes, alpha, sigma), 2 * math.pi * r * weight


# --- a checkerboard -----------------------------------------------------------------------------

FINE_ORDER = 40  # nodes of a panel for moments, whose poles lie near the edges of squares

# the eight dark squares: both coordinates lie in even intervals of four, or both in odd ones
DARK_COLUMNS = [0, 0, 2, 2, 1, 1, 3, 3]
DARK_ROWS = [0, 2, 0, 2, 1, 3, 1, 3]


class IntervalMoments(NamedTuple):
    """What one coordinate of z says of x, if x lies in an interval; all are (n, intervals).

    Args:
        log_prob: Log density of the coordinate of z.
        x_hat: Mean of the coordinate of x.
        noise: E[−eps|z] of the coordinate.
        second: Second central moment of eps.
        third: Third central moment of −eps.
        fourth: Fourth central moment of eps.
    """

    log_prob: Tensor
    x_hat: Tensor
    noise: Tensor
    second: Tensor
    third: Tensor
    fourth: Tensor


@dataclass(frozen=True, eq=False)
class Checkerboard:
    """Uniform on the eight dark squares of the 4 × 4 board [−half, half]².

    Args:
        half: Half the side of the board; √3 has unit variance.

    Raises:
        ValueError: ``half`` is not a finite number above 0.
    """

    half: float = math.sqrt(3)

    def __post_init__(self) -> None:
        positive(self.half, "half")

    @property
    def mean(self) -> Tensor:
        """Mean of x, shape (2,)."""
        return torch.zeros(2, dtype=torch.float64)

    @property
    def variance(self) -> Tensor:
        """Variance of a coordinate, half²/3, shape ()."""
        return torch.tensor(self.half**2 / 3, dtype=torch.float64)

    @property
    def has_density(self) -> bool:
        """True: x has a density of its own."""
        return True

    @property
    def row_size(self) -> int:
        """Elements of a temporary for one z: 40 nodes in four intervals of two coordinates."""
        return 320

    def parameters(self) -> NDArray:
        """Half the side, which decides the density, shape (1,)."""
        return np.array([self.half])

    def unit(self) -> "Checkerboard":
        """The board of unit variance."""
        return Checkerboard()

    def draw(self, u: Tensor, generator: torch.Generator) -> Tensor:
        """Points of the dark squares.

        Args:
            u: Uniform numbers that choose even or odd intervals, shape (n,).
            generator: Source of the rest.

        Returns:
            x, shape (n, 2).
        """
        odd = (u > 0.5).long()[:, None]
        corner = 2 * torch.randint(2, (len(u), 2), generator=generator) + odd - 2
        inside = torch.rand(len(u), 2, generator=generator, dtype=u.dtype)
        return self.half / 2 * (corner + inside)

    def _coordinate(self, z: Tensor, alpha: Tensor, sigma: Tensor) -> IntervalMoments:
        """What a coordinate z (n, 1) says of x, for each of the four intervals, (n, 4).

        Within [a, b], −eps is a standard normal cut to [(alpha a − z)/sigma, (alpha b − z)/sigma].
        40 Gauss nodes where it is above e^−40 of its mode give all moments to rounding; differences
        of erf cancel in short or far intervals.
        """
        a = self.half * z.new_tensor([-1, -0.5, 0, 0.5])
        low = (alpha * a - z) / sigma
        side = (alpha * self.half / (2 * sigma)).expand(len(z), 4)
        mode = torch.minimum((-low).clamp(min=0), side)
        reach = 81 / (9 + (low + mode).abs())
        start = (mode - reach).clamp(min=0)
        width = (torch.minimum(mode + reach, side) - start).clamp(min=1e-300)

        panel = torch.tensor([0.0, 1.0], dtype=torch.float64)
        node, weight = (part.to(z) for part in gauss_legendre(panel, 40))
        offset = width[..., None] * node
        terms = weight.log() - ((low + start)[..., None] + offset) ** 2 / 2
        share = terms.softmax(-1)
        middle = (share * offset).sum(-1)
        second, third, fourth = (
            (share * (offset - middle[..., None]) ** power).sum(-1) for power in (2, 3, 4)
        )
        log_mass = terms.logsumexp(-1) + (width / side).log()
        return IntervalMoments(
            log_prob=log_mass - LOG_TWO_PI / 2 - sigma.log(),
            x_hat=a + sigma / alpha * (start + middle),
            noise=low + start + middle,
            second=second,
            third=third,
            fourth=fourth,
        )

    def _residuals(
        self, nodes: Tensor, weight: Tensor, alpha: Tensor, sigma: Tensor
    ) -> separable.Axis:
        """Moments along an axis for ``separable``, of even and odd intervals together, (n, 2)."""
        interval = self._coordinate(nodes[:, None], alpha, sigma)
        density = weight[:, None] * interval.log_prob.exp()
        share = interval.log_prob.softmax(1)
        centre = (share * interval.x_hat).sum(1, keepdim=True)
        offset = alpha / sigma * (interval.x_hat - centre)
        square = offset**2
        moments = (
            torch.ones_like(offset),
            offset,
            square + interval.second,
            offset * (square + 3 * interval.second) + interval.third,
            square * (square + 6 * interval.second) + 4 * offset * interval.third + interval.fourth,
        )
        products = [density * moment for moment in moments]
        return [(part[:, :2] + part[:, 2:]).numpy() for part in products]

    def moments(self, logsnr: float) -> NDArray:
        """Both moments of the error of the ideal denoiser at λ in nats, shape (2,).

        A dark square is a product of intervals that are both even or both odd, so that the density
        is a mixture of two products.
        """
        level = torch.tensor([[logsnr]], dtype=torch.float64)
        alpha, sigma = level.sigmoid().sqrt(), (-level).sigmoid().sqrt()
        breaks = self._breaks(alpha, sigma)
        # half the plane is enough; the eight squares are equally likely
        nodes, weight = gauss_legendre(breaks.clamp(min=0).unique(), FINE_ORDER)
        x = self._residuals(nodes, 2 * weight / 8, alpha, sigma)
        nodes, weight = gauss_legendre(breaks, FINE_ORDER)
        y = self._residuals(nodes, weight, alpha, sigma)
        return separable.residual_sums(separable.joint_sums(x, y))

    def _breaks(self, alpha: Tensor, sigma: Tensor) -> Tensor:
        """Ends of panels that close in on the edges of the intervals."""
        edges = alpha * self.half * torch.linspace(-1, 1, 5, dtype=torch.float64)[:, None]
        around = torch.tensor([-8, -5, -2.5, 0, 2.5, 5, 8], dtype=torch.float64)
        return (edges + sigma * around).flatten().unique()

    def _join(
        self, x: IntervalMoments, y: IntervalMoments, alpha: Tensor, sigma: Tensor
    ) -> Posterior:
        """Both coordinates together: a mixture of the eight dark squares."""
        pairs = zip(x, y, strict=True)
        # every field (n, squares, coordinates)
        square = IntervalMoments(
            *(torch.stack([a[:, DARK_COLUMNS], b[:, DARK_ROWS]], -1) for a, b in pairs)
        )
        log_prob = square.log_prob.sum(-1)
        share = log_prob.softmax(-1)[..., None]
        x_hat = (share * square.x_hat).sum(1)
        # eps_hat − eps in a square: mean ``offset``, and the central moments of eps about it
        offset = (alpha / sigma)[..., None] * (square.x_hat - x_hat[:, None])
        second = square.second + offset**2
        fourth = (
            square.fourth + 4 * offset * square.third + 6 * offset**2 * square.second + offset**4
        )
        error = second.sum(-1, keepdim=True)
        excess = (fourth - second**2).sum(-1, keepdim=True)  # the coordinates are independent
        return Posterior(
            log_prob=log_prob.logsumexp(-1) - math.log(8),
            x_hat=x_hat,
            score=(share * square.noise).sum(1) / sigma,
            error=(share * error).sum((1, 2)),
            fourth=(share * (error**2 + excess)).sum((1, 2)),
        )

    def posterior(self, z: Tensor, alpha: Tensor, sigma: Tensor) -> Posterior:
        """What z says of x.

        Args:
            z: Points, shape (n, 2).
            alpha: Scale of the signal, shape (n, 1).
            sigma: Scale of the noise, shape (n, 1).

        Returns:
            The posterior.
        """
        x, y = (self._coordinate(part, alpha, sigma) for part in z.split(1, 1))
        return self._join(x, y, alpha, sigma)

    def quadrature(self, alpha: Tensor, sigma: Tensor) -> tuple[Posterior, Tensor]:
        """Posterior on panels that close in on the edges of the squares.

        Half the plane is enough, since the board looks the same from both sides.

        Args:
            alpha: Scale of the signal, shape ().
            sigma: Scale of the noise, shape ().

        Returns:
            The posterior at the nodes and the weights of the nodes.
        """
        alpha = alpha.reshape(1, 1)
        sigma = sigma.reshape(1, 1)
        breaks = self._breaks(alpha, sigma)
        x, x_weight = gauss_legendre(breaks.clamp(min=0).unique(), 12)
        y, y_weight = gauss_legendre(breaks, 12)
        columns = self._coordinate(x[:, None], alpha, sigma)
        rows = self._coordinate(y[:, None], alpha, sigma)
        posterior = self._join(
            IntervalMoments(*(field.repeat_interleave(len(y), 0) for field in columns)),
            IntervalMoments(*(field.repeat(len(x), 1) for field in rows)),
            alpha,
            sigma,
        )
        return posterior, 2 * torch.outer(x_weight, y_weight).flatten()
