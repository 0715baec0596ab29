"""What it costs that sampling starts from N(0, I) and not from where training ended.

All is in the variance-preserving frame, alpha² = sigmoid(λ) and sigma² = sigmoid(−λ), at the last
and noisiest level λ in nats.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, log_expit, logit

from diffviz.checks import array, finite, number, positive, require


def prior_kl(logsnr: ArrayLike, x: ArrayLike) -> NDArray:
    """KL(q(z|x) ‖ N(0, I)) = ½(sigma² d + alpha² ‖x‖² − d − d log sigma²).

    Source: Kingma et al. 2021 (arXiv 2107.00630), eq. 11.

    Args:
        logsnr: λ in nats, a number or shape (n,).
        x: Data, shape (n, *shape).

    Returns:
        The divergence in nats, shape (n,).

    Raises:
        TypeError: An argument holds no real numbers.
        ValueError: A number is not finite, or the shapes do not fit.
    """
    level = finite(logsnr, "logsnr")
    points = finite(x, "x")
    require(
        points.ndim > 1, f"x is (n, *shape), got {points.shape}; numbers on a line are x[:, None]"
    )
    require(
        level.shape in ((), (1,), (len(points),)),
        f"logsnr is one number or one for each of the {len(points)} points, got {level.shape}",
    )
    dimensions = math.prod(points.shape[1:])
    square = (points**2).sum(tuple(range(1, points.ndim)))
    # sigma² − 1 = −alpha²
    return (expit(level) * (square - dimensions) - dimensions * log_expit(-level)) / 2


def terminal_bias(
    logsnr: ArrayLike, mean: ArrayLike, variance: ArrayLike
) -> tuple[NDArray, NDArray]:
    """What the exact flow makes of a start from N(0, 1) where training ended at λ.

    The data are N(m, V) along one direction, and v = alpha² V + sigma² is the variance of z. Then
    the samples have the mean m (1 − alpha √(V/v)) and 1/√v of the standard deviation of the data.
    A terminal SNR of zero, λ = −inf, mends both (Lin et al. 2023, arXiv 2305.08891;
    ``paths.zero_terminal_snr``).

    Args:
        logsnr: λ in nats, any shape; −inf is no signal, inf no noise.
        mean: m, of a shape that broadcasts with it.
        variance: V, above 0, likewise.

    Returns:
        Mean of the samples, and their standard deviation over that of the data; both of the common
        shape.

    Raises:
        TypeError: An argument holds no real numbers.
        ValueError: A variance is not above 0, a mean is not finite, or λ is NaN.
    """
    level = array(logsnr, "logsnr", infinite=True)
    centre = finite(mean, "mean")
    spread = finite(variance, "variance")
    require((spread > 0).all(), f"a variance must be > 0, got {spread.min(initial=np.inf):g}")
    total = expit(level) * spread + expit(-level)
    bias = centre * (1 - np.sqrt(expit(level) * spread / total))
    return bias, 1 / np.sqrt(total)


def lowest_logsnr(variance: float, loss: float = 0.01) -> float:
    """Where training must end for samples to lose no more than a share of their spread.

    It solves 1/√v = 1 − loss with v = alpha² V + sigma²; see ``terminal_bias``.

    Args:
        variance: V, the variance of the data along one direction.
        loss: Share of the standard deviation that may be lost, between 0 and 1.

    Returns:
        λ in nats.

    Raises:
        TypeError: An argument is no number.
        ValueError: The share lies outside (0, 1), or any level will do for this variance.
    """
    variance = number(variance, "variance")
    loss = number(loss, "loss")
    require(0 < loss < 1, f"loss is a share between 0 and 1, got {loss:g}")
    highest = (1 - loss) ** -2  # variance of z that loses just this share
    require(
        variance > highest,
        f"any level will do unless variance > 1/(1 - loss)² = {highest:g}; got {variance:g}",
    )
    return float(logit((highest - 1) / (variance - 1)))


def offset_shift(strength: float, pixels: int) -> float:
    """Shift of λ at frequency 0 with offset noise eps + κ ξ · 1.

    The noise has the variance 1 + κ² N there, so λ moves by −ln(1 + κ² N).

    Args:
        strength: κ, above 0.
        pixels: N, the number of pixels of a channel.

    Returns:
        The shift in nats.

    Raises:
        ValueError: An argument is not a number above 0.
    """
    # log(1 + κ² N), where κ² may be beyond float64
    log_variance = 2 * np.log(positive(strength, "strength")) + np.log(positive(pixels, "pixels"))
    return float(-np.logaddexp(0.0, log_variance))
