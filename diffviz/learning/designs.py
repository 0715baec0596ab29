"""Points and noise of a block of steps, spread evenly so that gradients vary less.

A step estimates the loss, an integral over level, data and noise, by a mean over n draws. Draws of
scrambled Sobol points (Owen 1998) fill the cube of all three evenly, in every step and over the
steps of a block. Each draw alone has the law that it always had, so that no mean changes; their
sum varies less. For fm-ot on toys of the plane the variance of the gradient falls to a third.

One coordinate of the cube is the quantile of the level, one says which point, and d are quantiles
of the noise. Neighbours in the quantile of the point should be neighbours in space, which an order
by repeated halving gives. The gain is lost in many dimensions, where plain draws are as good.

Where z is nearly the data, the noise in it cannot be told, and the gradient is that noise times the
slope of the network. Draws there can come in pairs of one point and opposite noise, whose sum is
free of it; see ``opposite_pairs``.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import qmc
from torch import Tensor

from diffviz.compute import interrupts

MOST_DIMENSIONS = 16  # of a point whose noise is spread evenly
MOST_POINTS = 2**17  # of the data that are put in order, in 0.1 s; more stay as they are
CELLS = 4096  # in which the data are put in order
CLEAN = 4.0  # λ of data at unit variance, in nats, above which draws may come in pairs
BITS = 30  # of a Sobol coordinate


@dataclass(frozen=True, eq=False)
class Design:
    """What all objectives share in a block of steps of n draws.

    A stratum holds as many neighbours in λ as there are steps, one for each of them.

    Args:
        order: For each stratum the place of its draw for each step, shape (n, steps).
        index: Which point of the data each draw uses, shape (steps, n).
        noise: Standard normal noise in float32, shape (steps, n, *shape): an array, a tensor, or
            what gives the noise of a step when it is asked for.
    """

    order: NDArray
    index: NDArray
    noise: Any


def any_order(steps: int, n: int, rng: np.random.Generator) -> NDArray:
    """Any order in each stratum, as independent draws have it.

    Args:
        steps: Number of steps.
        n: Number of draws in a step.
        rng: NumPy generator.

    Returns:
        The order of ``Design``, shape (n, steps).
    """
    return rng.permuted(np.tile(np.arange(steps), (n, 1)), axis=1)


def even_design(steps: int, n: int, order: NDArray, d: int, rng: np.random.Generator) -> Design:
    """Draws by scrambled Sobol points in level, data and noise.

    Steps follow each other along the sequence, so that the draws of every step are even, and those
    of all steps are too.

    Args:
        steps: Number of steps.
        n: Number of draws in a step; even steps need a power of two.
        order: The data in the order of ``halving_order``, shape (points,).
        d: Dimension of a point.
        rng: NumPy generator.

    Returns:
        The design.
    """
    with interrupts.held_back():
        sobol = qmc.Sobol(d + 2, bits=BITS, rng=rng)
    # a power of two is what Sobol points are even in; the middle of a cell is neither 0 nor 1
    cube = sobol.random_base2(math.ceil(math.log2(steps * n)))[: steps * n] + 0.5**BITS / 2
    cube = cube.reshape(steps, n, d + 2)
    stratum = np.argsort(cube[..., 0], axis=1, kind="stable")
    cube = np.take_along_axis(cube, stratum[..., None], 1)
    return Design(
        order=_ranks(cube[..., 0]).T,
        index=order[(cube[..., 1] * len(order)).astype(int)],
        noise=ndtri(cube[..., 2:]).astype("f4"),
    )


@dataclass(frozen=True, eq=False)
class Pairs:
    """Which draws take the point and the opposite noise of another.

    Args:
        partner: For each draw the place whose point and noise it takes, shape (steps, k, n).
        sign: Factor on that noise, 1 or −1, like ``partner``.
    """

    partner: Tensor
    sign: Tensor

    def at(self, step: int, x: Tensor, eps: Tensor) -> tuple[Tensor, Tensor]:
        """Points and noise of the draws of a step.

        Args:
            step: The step, which is a row of the arrays.
            x: Points by place, shape (n, *shape).
            eps: Noise by place, like ``x``.

        Returns:
            Points and noise of each objective, both of shape (k, n, *shape).
        """
        partner = self.partner[step]
        sign = self.sign[step].reshape(*partner.shape, *[1] * (x.ndim - 1))
        return x[partner], sign * eps[partner]


def opposite_pairs(level: Tensor) -> Pairs:
    """Pairs of one point and opposite noise where the noise cannot be told from z.

    With z = alpha x + sigma eps and v = alpha eps − sigma x, the gradient of half the squared error
    of v_hat has the mean over a pair

        J(x)ᵀ (v_hat + sigma x) + O(sigma),

    J the slope of the network by its weights. The term J(x)ᵀ alpha eps, which is all noise where
    sigma is small, is gone (antithetic variates, Hammersley and Morton 1956). Each draw alone has
    the law that it had, so that no mean changes.

    Args:
        level: λ' of the draws, shape (steps, k, n). Neighbours along the last axis are neighbours
            in λ', the lower one first.

    Returns:
        The pairs: each second draw with the one before it, where that one is above ``CLEAN``.
    """
    place = torch.arange(level.shape[-1], device=level.device)
    before = level.roll(1, -1)
    is_second = (place % 2 == 1) & (before > CLEAN)
    partner = torch.where(is_second, place - 1, place)
    return Pairs(partner, torch.where(is_second, -1.0, 1.0))


def halving_order(points: NDArray) -> NDArray:
    """An order in which neighbours are near each other.

    The points are halved at the median of the coordinate in which they are widest, then each half
    again, and so on. More than ``MOST_POINTS`` stay in their order, which changes no mean either.

    Args:
        points: Shape (n, d).

    Returns:
        A permutation, shape (n,).
    """
    n = len(points)
    if n > MOST_POINTS:
        return np.arange(n)
    rank = _ranks(points)
    order = np.arange(n)
    starts = np.zeros(1, dtype=int)
    while len(starts) < min(CELLS, n / 2):
        sizes = np.diff(starts, append=n)
        cell = np.repeat(np.arange(len(starts)), sizes)
        width = np.maximum.reduceat(points[order], starts) - np.minimum.reduceat(
            points[order], starts
        )
        axis = width.argmax(1)[cell]
        order = order[np.argsort(cell * n + rank[order, axis])]
        starts = np.sort(np.concatenate([starts, starts + sizes // 2]))
    return order


def _ranks(values: NDArray) -> NDArray:
    """Rank of each value along the first axis, from 0; of equal values the first is lower."""
    return values.argsort(0, kind="stable").argsort(0)
