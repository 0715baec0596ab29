"""Frames: where z = alpha x + sigma eps lives at a log-SNR.

λ = log(alpha²/sigma²) fixes sigma/alpha = e^(−λ/2); a frame (variance-preserving, linear, variance-exploding ...) fixes the common scale.
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
    return Frame(
        "VP" if signal == noise == 1 else f"trigonometric({signal:g}, {noise:g})",
        alpha=lambda logsnr: signal * np.exp(log_expit(logsnr - shift) / 2),
        sigma=lambda logsnr: noise * np.exp(log_expit(shift - logsnr) / 2),
        slope=lambda logsnr: expit(shift - logsnr) / 2,
    )


def straight(sigma_min: float = 0.0) -> Frame:
    """alpha = s, sigma = 1 − (1 − sigma_min) s: linear interpolation (Lipman et al. 2022, arXiv 2210.02747, eq. 20)."""
    if not 0 <= sigma_min < 1:
        raise ValueError(f"sigma_min must lie in [0, 1), got {sigma_min}")

    def alpha(logsnr):
        return 1 / (1 - sigma_min + noise_ratio(logsnr))

    def sigma(logsnr):
        return 1 / (1 + (1 - sigma_min) * noise_ratio(-logsnr))

    return Frame(f"linear(sigma_min={sigma_min:g})" if sigma_min else "linear", alpha, sigma, lambda logsnr: sigma(logsnr) / 2)


def smoothed(width: float) -> Frame:
    """alpha = s, sigma² = (1 − s)² + width²: I-CFM's total noise (Tong et al. 2023, torchcfm), for λ up to −2 log width."""
    c2 = positive(width, "width") ** 2

    def alpha(logsnr):
        inside = np.maximum(1 + c2 - c2 * noise_ratio(-2 * np.asarray(logsnr)), 0)
        return (1 + c2) / (1 + noise_ratio(logsnr) * np.sqrt(inside))

    def sigma(logsnr):
        return np.hypot(1 - alpha(logsnr), width)

    def slope(logsnr):
        a, s2 = alpha(logsnr), sigma(logsnr) ** 2
        return 0.5 * s2 / (s2 + a * (1 - a))

    return Frame(f"smoothed({width:g})", alpha, sigma, slope)


def _sub_vp() -> Frame:
    def alpha(logsnr):
        return 2 / (noise_ratio(logsnr) + np.hypot(noise_ratio(logsnr), 2))

    def sigma(logsnr):
        return 2 / (1 + np.hypot(1, 2 * noise_ratio(-logsnr)))

    return Frame("sub-VP", alpha, sigma, lambda logsnr: 0.5 * sigma(logsnr) / (sigma(logsnr) + 2 * alpha(logsnr) ** 2))


VP = trigonometric()
STRAIGHT = straight()
SUB_VP = _sub_vp()
VE = Frame("VE", np.ones_like, noise_ratio, np.zeros_like)
