"""The denoiser of a kernel density, tried on points that it was not made from.

With Gaussian kernels of variance ρ s² around some points x_j, and y = x + s eps, s² = e^(−λ),

    x_hat = (Σ_j w_j x_j + ρ y) / (1 + ρ),    w_j ∝ exp(−‖y − x_j‖² / 2 (1 + ρ) s²).

ρ = 0 is the empirical denoiser of these points. Elsewhere it trusts the nearest of them too much;
the ratio ρ that is best at a level is found with some of the points on others of them.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffviz.learning.floors.own import WEIGHT, distances

RATIOS = (0.0, 0.25, 1.0, 4.0, 16.0, 64.0)
TRIALS = 128  # noisy points on which a ratio is chosen
WORK = 2.0**36  # multiply-adds of each trial, some 2 s of one core
LEAST_DRAWS = 128
MOST_DRAWS = 4096
NUMBERS = 2**22  # of noisy points that are held at once
SLICE = 2**17  # distances that are held at once: they stay in the cache


@dataclass(frozen=True, eq=False)
class KernelDenoiser:
    """The denoiser of a kernel density, with a ratio for each level.

    Args:
        points: x_j, shape (m, d).
        logsnr: λ in nats, shape (levels,).
        ratios: ρ, shape (levels,).
    """

    points: Tensor
    logsnr: NDArray
    ratios: NDArray

    def errors(self, x: Tensor, eps: Tensor) -> Tensor:
        """Squared eps errors of points x (q, d) with noise eps (q, d), shape (levels, q)."""
        return _errors(self.points, x, eps, self.logsnr, self.ratios[:, None])[:, 0]

    def copies(self, x: Tensor) -> int:
        """How many of some points x (q, d) are among its own."""
        step = max(1, SLICE // len(self.points))
        return sum(_copies(self.points, block) for block in x.split(step))


def kernel_denoiser(x: Tensor, logsnr: NDArray, eps: Tensor) -> KernelDenoiser:
    """The denoiser of a kernel density of points, with the best ratio at each level.

    Args:
        x: Points in a random order, shape (n, d).
        logsnr: λ in nats, shape (levels,).
        eps: Noise for the choice of the ratios, shape (q, d).

    Returns:
        The denoiser, made from as many points as an amount of work allows.
    """
    size = x.shape[1]
    candidates = len(x) - len(x) // 2
    each = len(eps) * _cost(size, len(logsnr) * len(RATIOS))
    tried_with = x[: int(np.clip(WORK / each, 2, candidates))]
    others = x[candidates:]
    chosen = others[torch.arange(len(eps)) % len(others)]
    ratios = np.broadcast_to(RATIOS, (len(logsnr), len(RATIOS)))
    errors = _errors(tried_with, chosen, eps, logsnr, ratios).mean(2)
    best = np.array(RATIOS)[errors.argmin(1).cpu().numpy()]
    most = WORK / (2 * LEAST_DRAWS * _cost(size, len(logsnr)))
    return KernelDenoiser(x[: int(np.clip(most, 2, len(x)))], logsnr, best)


def draws_of(denoiser: KernelDenoiser) -> int:
    """Number of noisy points on which an amount of work allows to try a denoiser, 128 to 4,096."""
    count, size = denoiser.points.shape
    allowed = WORK / (count * _cost(size, len(denoiser.logsnr)))
    return int(np.clip(min(allowed, NUMBERS / size), LEAST_DRAWS, MOST_DRAWS))


def _cost(size: int, levels: int) -> int:
    """Multiply-adds for a noisy point and a point of the denoiser."""
    return levels * (size + WEIGHT) + 2 * size


def _errors(points: Tensor, x: Tensor, eps: Tensor, logsnr: NDArray, ratios: NDArray) -> Tensor:
    """Squared eps errors of kernel denoisers.

    Args:
        points: Centres of the kernels, shape (m, d).
        x: Points that are denoised, shape (q, d).
        eps: Their noise, shape (q, d).
        logsnr: λ in nats, shape (levels,).
        ratios: ρ, shape (levels, r).

    Returns:
        The errors, shape (levels, r, q).
    """
    step = max(1, SLICE // len(points))
    blocks = zip(x.split(step), eps.split(step), strict=True)
    parts = [_errors_at_once(points, some, noise, logsnr, ratios) for some, noise in blocks]
    return torch.cat(parts, 2)


def _errors_at_once(
    points: Tensor, x: Tensor, eps: Tensor, logsnr: NDArray, ratios: NDArray
) -> Tensor:
    """``_errors`` for as many points as fit into memory."""
    squares, products = distances(x, eps, points)
    errors = []
    for logarithm, some in zip(logsnr, ratios, strict=True):
        inverse = float(np.exp(logarithm / 2))  # 1/s
        scaled = (products * inverse).sub_(squares, alpha=inverse**2 / 2)
        level = []
        for ratio in some:
            weight = torch.softmax(scaled / (1 + ratio) if ratio else scaled, 1)
            error = (x - weight @ points) * inverse  # of the mean of the points, in eps
            level.append(((error - ratio * eps) / (1 + ratio)).square().sum(1))
        errors.append(torch.stack(level))
    return torch.stack(errors)


def _copies(points: Tensor, x: Tensor) -> int:
    """How many of some points x (q, d) are among others (m, d)."""
    squares, _ = distances(x, torch.zeros_like(x), points)
    return int((squares == 0).any(1).sum())
