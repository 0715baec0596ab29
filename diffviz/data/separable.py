"""The error of the ideal denoiser where data are a mixture of products over coordinates.

Within a component the coordinates of x are independent, and so are those of the residual
u = eps_hat − eps given z. In one or two dimensions, with nodes on both axes, the sums

    S_ij(z) = Σ_k P(z, k) E[u_x^i|z_x, k] E[u_y^j|z_y, k]

over components are products of matrices. From those with i + j <= 4 follow E‖u − E u‖² and
E‖u − E u‖⁴ given z. So u may be measured from any point that depends on z alone: near its mean,
nothing cancels. On a line it is measured from its mean.

``mixture_moments`` lays a lattice for Gaussians, on which a plain sum is spectrally accurate, and
cuts it into tiles. A tile only sees the components that reach it.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

NODES_PER_STD = 10  # of the narrowest component, at least
LATTICE_ERROR = 1e-17  # that a lattice adds to a moment, relative to it
REACH = 8.0  # standard deviations after which a component is not seen, at least: e^−32
FARTHEST_PAIR = 40.0  # standard deviations after which nothing is seen midway
TILE = 64  # nodes along the side of a tile
LINE_TILE = 2**12  # nodes times components of a tile on a line, unless it has fewer than TILE nodes
COMPONENTS = 2**12  # components that a product of matrices takes at once
MAX_LATTICE = 2**30  # nodes times components, above which there is no lattice

ORDERS = ((0, 1, 2, 3, 4), (0, 1, 2), (0, 1, 2), (0,), (0,))  # i for each j of the sums S_ij

Axis = Sequence[NDArray]  # E u^i times the density of a coordinate, i = 0 ... 4, (nodes, k) each


def joint_sums(x: Axis, y: Axis) -> NDArray:
    """The sums S_ij at all pairs of nodes, row by row of ``ORDERS``.

    Args:
        x: Moments along the first coordinate, with the weights of nodes and components.
        y: Moments along the second coordinate, with the weights of nodes.

    Returns:
        S_00, S_10, S_20, S_30, S_40, S_01, S_11, S_21, S_02, S_12, S_22, S_03, S_04, shape
        (13, nodes).
    """
    rows = []
    for j, orders in enumerate(ORDERS):
        columns = np.concatenate([x[i] for i in orders])
        rows.append((columns @ y[j].T).reshape(len(orders), -1))
    return np.concatenate(rows)


def residual_sums(joint: NDArray) -> NDArray:
    """Sums over nodes of p E[‖u − E u‖²|z] and p E[‖u − E u‖⁴|z].

    Args:
        joint: The sums S_ij of ``joint_sums``, shape (13, nodes).

    Returns:
        Both sums, shape (2,).
    """
    seen = joint[0] > 0  # the density may be 0 to rounding
    p = joint[0, seen]
    x, xx, xxx, x4, y, xy, xxy, yy, xyy, xxyy, yyy, y4 = joint[1:, seen] / p
    square = x**2 + y**2
    second = xx + yy - square
    odd = x * (xxx + xyy) + y * (xxy + yyy)
    along = x**2 * xx + 2 * x * y * xy + y**2 * yy
    fourth = x4 + 2 * xxyy + y4 - 4 * odd + 4 * along + 2 * square * (xx + yy) - 3 * square**2
    return np.array([p @ second, p @ fourth])


@dataclass(frozen=True, eq=False)
class NoisedMixture:
    """A mixture of isotropic Gaussians in the plane, seen through noise.

    Args:
        weights: w_k, shape (k,).
        means: m_k, with mean 0, shape (k, 2).
        variance: s_k², shape (k,).
        alpha: Scale of the signal.
        sigma: Scale of the noise.
    """

    weights: NDArray
    means: NDArray
    variance: NDArray
    alpha: float
    sigma: float

    @property
    def noised(self) -> NDArray:
        """Variance v_k of z in each component, shape (k,)."""
        return self.alpha**2 * self.variance + self.sigma**2

    @property
    def within(self) -> float:
        """Variance of the residual within the components, a part of its whole variance."""
        return float(self.weights @ (self.alpha**2 * self.variance / self.noised))

    @property
    def extent(self) -> float:
        """The most that two centres are apart, in standard deviations of the narrowest."""
        across = np.linalg.norm(np.ptp(self.means, axis=0))
        return float(self.alpha * across / math.sqrt(self.noised.min()))

    def reaching(self, tile: tuple[NDArray, NDArray], reach: float) -> "NoisedMixture":
        """The components within reach (standard deviations) of a tile, given by its axes."""
        apart = [
            np.clip(self.alpha * mean, nodes[0], nodes[-1]) - self.alpha * mean
            for mean, nodes in zip(self.means.T, tile, strict=True)
        ]
        near = apart[0] ** 2 + apart[1] ** 2 < reach**2 * self.noised
        return NoisedMixture(
            self.weights[near], self.means[near], self.variance[near], self.alpha, self.sigma
        )

    def parts(self) -> Iterator["NoisedMixture"]:
        """The components in portions that a product of matrices takes at once."""
        for start in range(0, len(self.weights), COMPONENTS):
            part = slice(start, start + COMPONENTS)
            yield NoisedMixture(
                self.weights[part], self.means[part], self.variance[part], self.alpha, self.sigma
            )

    def pull(self, nodes: NDArray, axis: int) -> NDArray:
        """(m_k − c_k z)/v_k along an axis, shape (nodes, k).

        The residual is centred at −alpha sigma times this, up to what all components share. With V
        the variance of z for an average width S², c_k = alpha (S² − s_k²)/V, so that nothing
        cancels where noise makes all components alike.
        """
        common = self.alpha**2 * self.variance.mean() + self.sigma**2
        c = self.alpha * (self.variance.mean() - self.variance) / common
        return (self.means[:, axis] - nodes[:, None] * c) / self.noised

    def centre(self, nodes: NDArray, axis: int) -> NDArray:
        """An average pull to measure residuals from, shape (nodes, 1)."""
        share = self.weights / self.weights.sum()
        return (self.pull(nodes, axis) @ share)[:, None]

    def density(self, nodes: NDArray, axis: int) -> NDArray:
        """Density of z in each component along an axis, shape (nodes, k)."""
        v = self.noised
        density = np.exp(-((nodes[:, None] - self.alpha * self.means[:, axis]) ** 2) / (2 * v))
        return density / np.sqrt(2 * math.pi * v)

    def posterior_centre(self, nodes: NDArray) -> NDArray:
        """The mean pull given z, for data on a line, shape (nodes, 1).

        From an average that all nodes share, the variance of narrow components would be a small
        difference of large numbers.
        """
        mass = np.zeros(len(nodes))
        total = np.zeros(len(nodes))
        for part in self.parts():
            density = part.weights * part.density(nodes, 0)
            mass += density.sum(1)
            total += (density * part.pull(nodes, 0)).sum(1)
        return np.divide(total, mass, out=np.zeros_like(mass), where=mass > 0)[:, None]

    def axis_moments(self, nodes: NDArray, axis: int, centre: NDArray) -> Axis:
        """Density of z and moments of the residual along an axis; see ``Axis``."""
        density = self.density(nodes, axis)
        offset = -self.alpha * self.sigma * (self.pull(nodes, axis) - centre)
        spread = self.alpha**2 * self.variance / self.noised
        square = offset**2
        moments = (
            1.0,
            offset,
            square + spread,
            offset * (square + 3 * spread),
            square * (square + 6 * spread) + 3 * spread**2,
        )
        return [density * moment for moment in moments]


def mixture_moments(weights: NDArray, means: NDArray, std: NDArray, logsnr: NDArray) -> NDArray:
    """E‖eps_hat − eps‖² and E‖eps_hat − eps‖⁴ of a mixture of isotropic Gaussians.

    Args:
        weights: w_k, above 0 with sum 1, shape (k,).
        means: m_k, shape (k, d).
        std: s_k, above 0, shape (k,), or (1,) if all are equal.
        logsnr: λ in nats, shape (n,).

    Returns:
        Both moments, shape (2, n); NaN in more than two dimensions and at levels where the lattice
        would be too big.
    """
    d = means.shape[1]
    if d > 2:
        return np.full((2, len(logsnr)), np.nan)
    plane = np.zeros((len(means), 2))
    plane[:, :d] = means - weights @ means
    variance = np.broadcast_to(std**2, weights.shape)
    moments = np.empty((2, len(logsnr)))
    for column, level in enumerate(logsnr):
        scales = math.sqrt(expit(level)), math.sqrt(expit(-level))
        moments[:, column] = _lattice_moments(NoisedMixture(weights, plane, variance, *scales), d)
    return moments


def _lattice_moments(mixture: NoisedMixture, d: int) -> NDArray:
    """Both moments at one level, where the first d coordinates count, shape (2,)."""
    reach = _reach(mixture)
    ends = [_ends(mixture, axis, reach) for axis in range(d)]
    for nodes in (_nodes_per_std(mixture), NODES_PER_STD):
        step = math.sqrt(mixture.noised.min()) / nodes
        counts = [math.ceil((high - low) / step) + 1 for low, high in ends]
        if math.prod(counts) * max(64, len(mixture.weights)) <= MAX_LATTICE:
            break
    else:
        return np.full(2, np.nan)
    axes = [low + step * np.arange(count) for (low, _), count in zip(ends, counts, strict=True)]
    total = np.zeros(2)
    for tile in _tiles(axes, len(mixture.weights)):
        near = mixture.reaching(tile, reach)
        if near.weights.size:
            total += step**d * _tile_sums(near, tile, d)
    return total


def _nodes_per_std(mixture: NoisedMixture) -> float:
    """Nodes for each standard deviation of the narrowest component that moments need.

    Where two components of variance v are u sqrt(v) apart, the density of z has zeros in the
    complex plane at a distance of π sqrt(v)/u from the real line, midway between them. A sum over n
    nodes for each sqrt(v) is wrong there by e^(−2π² n/u), times the density e^(−u²/8) midway
    (Trefethen and Weideman 2014, SIAM Review 56(3), theorem 5.1). The fourth moment comes from what
    is midway, too, and from φ², with φ the variance of the residual within components: what is left
    is to be small beside both.
    """
    apart = np.linspace(0, min(mixture.extent, FARTHEST_PAIR), 200)
    midway = np.exp(-(apart**2) / 8)
    digits = np.log(midway / (midway + mixture.within**2) / LATTICE_ERROR)
    return max(NODES_PER_STD, float((apart * digits).max()) / (2 * math.pi**2))


def _reach(mixture: NoisedMixture) -> float:
    """Standard deviations after which a component adds less than 1e-13 to the fourth moment."""
    known = max(mixture.within**2, math.exp(-(min(mixture.extent, FARTHEST_PAIR) ** 2) / 8))
    return max(REACH, math.sqrt(2 * math.log(1e13 / known)))


def _ends(mixture: NoisedMixture, axis: int, reach: float) -> tuple[float, float]:
    """Where the lattice starts and ends along an axis."""
    centres = mixture.alpha * mixture.means[:, axis]
    width = reach * np.sqrt(mixture.noised)
    return (centres - width).min(), (centres + width).max()


def _tiles(axes: list[NDArray], components: int) -> Iterator[tuple[NDArray, NDArray]]:
    """The lattice in pieces, each a pair of short axes; on a line the second is one node."""
    side = TILE if len(axes) == 2 else max(TILE, LINE_TILE // components)
    pieces = [np.array_split(axis, math.ceil(len(axis) / side)) for axis in axes]
    for x in pieces[0]:
        for y in pieces[1] if len(pieces) == 2 else [np.zeros(1)]:
            yield x, y


def _tile_sums(mixture: NoisedMixture, tile: tuple[NDArray, NDArray], d: int) -> NDArray:
    """Both moments summed over the nodes of a tile, weighted by the density, shape (2,)."""
    if d == 1:
        return _line_sums(mixture, tile[0])
    joint = np.zeros((13, len(tile[0]) * len(tile[1])))
    centres = [mixture.centre(nodes, axis) for axis, nodes in enumerate(tile)]
    for part in mixture.parts():
        x = [part.weights * moment for moment in part.axis_moments(tile[0], 0, centres[0])]
        y = part.axis_moments(tile[1], 1, centres[1])
        joint += joint_sums(x, y)
    return residual_sums(joint)


def _line_sums(mixture: NoisedMixture, nodes: NDArray) -> NDArray:
    """``_tile_sums`` on a line, where S_i0 alone counts."""
    centre = mixture.posterior_centre(nodes)
    sums = np.zeros((5, len(nodes)))
    for part in mixture.parts():
        sums += [moment @ part.weights for moment in part.axis_moments(nodes, 0, centre)]
    seen = sums[0] > 0  # the density may be 0 to rounding
    p = sums[0, seen]
    x, xx, xxx, x4 = sums[1:, seen] / p
    square = x**2
    second = xx - square
    fourth = x4 - 4 * x * xxx + 6 * square * xx - 3 * square**2
    return np.array([p @ second, p @ fourth])
