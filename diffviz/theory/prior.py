"""The prior: what it costs that sampling starts from N(0, I) and not from what training left at its noisiest level.

All in the variance-preserving frame, alpha² = sigmoid(λ), sigma² = sigmoid(−λ), at the last level λ in nats.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, log_expit, logit

from diffviz.checks import finite, positive


def prior_kl(logsnr: ArrayLike, x: ArrayLike) -> NDArray:
    """KL(q(z|x) ‖ N(0, I)) = ½(sigma² d + alpha² ‖x‖² − d − d log sigma²) in nats (Kingma et al. 2021, arXiv 2107.00630, eq. 11).

    For x (n, *shape), and λ a number or (n,); shape (n,).
    """
    level, points = finite(logsnr, "logsnr"), finite(x, "x")
    if points.ndim < 2:
        raise ValueError(f"x is (n, *shape), got {points.shape}; numbers on a line are x[:, None]")
    d, square = math.prod(points.shape[1:]), (points**2).sum(tuple(range(1, points.ndim)))
    return (expit(level) * (square - d) - d * log_expit(-level)) / 2  # sigma² − 1 = −alpha²


def terminal_bias(
    logsnr: ArrayLike, mean: ArrayLike, variance: ArrayLike
) -> tuple[NDArray, NDArray]:
    """What the exact flow makes of a start from N(0, 1) where training ended at λ, for data N(mean, variance) along one direction.

    Returns:
        (mean of the samples, their standard deviation over the data's): m (1 − alpha √(V/v)) and 1/√v with v = alpha² V + sigma².
        A terminal SNR of zero, λ = −inf, mends both (Lin et al. 2023, arXiv 2305.08891; ``paths.zero_terminal_snr``).
    """
    m, v, level = (
        finite(mean, "mean"),
        finite(variance, "variance"),
        np.asarray(logsnr, dtype=float),
    )
    if not (v > 0).all() or np.isnan(level).any():
        raise ValueError(f"a variance must be > 0 and logsnr a number, got {v}, {logsnr!r}")
    total = expit(level) * v + expit(-level)
    return m * (1 - np.sqrt(expit(level) * v / total)), 1 / np.sqrt(total)


def lowest_logsnr(variance: float, loss: float = 0.01) -> float:
    """λ where training must end for samples to lose no more than that share of their standard deviation: 1/√v = 1 − loss."""
    if not (0 < loss < 1 and variance > (1 - loss) ** -2):
        raise ValueError(
            f"0 < loss < 1, and any level will do unless variance > 1/(1 - loss)²; got {loss}, {variance}"
        )
    return float(logit(((1 - loss) ** -2 - 1) / (variance - 1)))


def offset_shift(strength: float, pixels: int) -> float:
    """Shift of λ at frequency 0 with offset noise eps + c ξ·1: its variance there is 1 + c² N, so −ln(1 + c² N)."""
    return float(-np.log1p(positive(strength, "strength") ** 2 * positive(pixels, "pixels")))
