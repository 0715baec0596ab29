"""Frames: where z = alpha x + sigma eps lives at a log-SNR.

λ = log(alpha²/sigma²) fixes sigma/alpha = e^(−λ/2); a frame (variance-preserving, linear, variance-exploding ...) fixes the common scale.
Parameters out of range raise ValueError.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, log_expit

from diffviz.checks import positive

Curve = Callable[[NDArray], NDArray]


def noise_ratio(logsnr: ArrayLike) -> NDArray:
    """sigma/alpha = e^(−λ/2); inf at λ = −inf, where there is no signal."""
    with np.errstate(over="ignore"):
        return np.exp(-np.asarray(logsnr, dtype=float) / 2)


@dataclass(frozen=True)
class Frame:
    """Scales as functions of λ: alpha, sigma and d log alpha/dλ (d log sigma/dλ is that less ½)."""

    name: str
    alpha: Curve
    sigma: Curve
    slope: Curve


def trigonometric(signal: float = 1.0, noise: float = 1.0) -> Frame:
    """alpha = signal cos θ, sigma = noise sin θ: the variance-preserving frame for 1 and 1, TrigFlow's for noise = sigma_data."""
    shift = 2 * np.log(positive(signal, "signal") / positive(noise, "noise"))
    name = "VP" if signal == noise == 1 else f"trigonometric({signal:g}, {noise:g})"
    alpha = lambda l: signal * np.exp(log_expit(l - shift) / 2)
    sigma = lambda l: noise * np.exp(log_expit(shift - l) / 2)
    return Frame(name, alpha, sigma, lambda l: expit(shift - l) / 2)


def straight(sigma_min: float = 0.0) -> Frame:
    """alpha = s, sigma = 1 − (1 − sigma_min) s: linear interpolation (Lipman et al. 2022, arXiv 2210.02747, eq. 20)."""
    if not 0 <= sigma_min < 1:
        raise ValueError(f"sigma_min must lie in [0, 1), got {sigma_min}")

    alpha = lambda l: 1 / (1 - sigma_min + noise_ratio(l))
    sigma = lambda l: 1 / (1 + (1 - sigma_min) * noise_ratio(-l))
    return Frame(
        f"linear(sigma_min={sigma_min:g})" if sigma_min else "linear",
        alpha,
        sigma,
        lambda l: sigma(l) / 2,
    )


def smoothed(width: float) -> Frame:
    """alpha = s, sigma² = (1 − s)² + width²: I-CFM's total noise (Tong et al. 2023, torchcfm), for λ up to −2 log width."""
    c2 = positive(width, "width") ** 2
    root = lambda l: np.sqrt(np.maximum(1 + c2 - c2 * noise_ratio(-2 * np.asarray(l)), 0))
    alpha = lambda l: (1 + c2) / (1 + noise_ratio(l) * root(l))
    sigma = lambda l: np.hypot(1 - alpha(l), width)
    slope = lambda l: 0.5 * sigma(l) ** 2 / (sigma(l) ** 2 + alpha(l) * (1 - alpha(l)))
    return Frame(f"smoothed({width:g})", alpha, sigma, slope)


VP = trigonometric()
STRAIGHT = straight()
SUB_VP: Frame = Frame(
    "sub-VP",
    alpha=lambda l: 2 / (noise_ratio(l) + np.hypot(noise_ratio(l), 2)),
    sigma=lambda l: 2 / (1 + np.hypot(1, 2 * noise_ratio(-l))),
    slope=lambda l: 0.5 * SUB_VP.sigma(l) / (SUB_VP.sigma(l) + 2 * SUB_VP.alpha(l) ** 2),
)
VE = Frame("VE", np.ones_like, noise_ratio, np.zeros_like)
