"""Frames: where z = alpha x + sigma eps lives at a log-SNR.

λ = log(alpha²/sigma²) fixes the ratio sigma/alpha = e^(−λ/2). A frame (variance-preserving, linear,
variance-exploding and so on) fixes the common scale.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, log_expit

from diffviz.checks import array, attribute, number, positive

LARGEST_LEVEL = 700.0  # |λ| in nats up to which e^λ and e^(−λ) are within float64

Curve = Callable[[NDArray], NDArray]


def levels(logsnr: ArrayLike) -> NDArray:
    """Levels of log-SNR that a caller passed, as float64.

    Args:
        logsnr: λ in nats, any shape; ±inf is no noise or no signal.

    Returns:
        λ, same shape.

    Raises:
        TypeError: λ is no real number.
        ValueError: λ is NaN.
    """
    return array(logsnr, "logsnr", infinite=True)


def noise_ratio(logsnr: ArrayLike) -> NDArray:
    """Noise over signal, sigma/alpha = e^(−λ/2).

    Args:
        logsnr: λ in nats, any shape.

    Returns:
        sigma/alpha, same shape; inf at λ = −inf, where there is no signal.
    """
    with np.errstate(over="ignore"):
        return np.exp(-np.asarray(logsnr, dtype=float) / 2)


@dataclass(frozen=True, eq=False)
class Frame:
    """Scales of signal and noise as functions of λ.

    Frames are equal if their names and their curves are.

    Args:
        name: What plots and errors call the frame.
        alpha: Scale of the signal.
        sigma: Scale of the noise.
        slope: d log alpha/dλ. That of log sigma is less by ½.
    """

    name: str
    alpha: Curve
    sigma: Curve
    slope: Curve

    def __repr__(self) -> str:
        return f"Frame({self.name})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Frame):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash(self.name)

    def _values(self) -> list:
        """Name and curves; a method stands as its function and the object that it is bound to.

        Python compares the objects of two methods by identity, which a copy does not keep.
        """
        curves = (self.alpha, self.sigma, self.slope)
        functions = [attribute(curve, "__func__", curve) for curve in curves]
        owners = [attribute(curve, "__self__") for curve in curves]
        return [self.name, functions, owners]


@dataclass(frozen=True)
class TrigonometricScales:
    """Scales alpha = signal cos θ, sigma = noise sin θ.

    Args:
        signal: Largest alpha.
        noise: Largest sigma.
    """

    signal: float
    noise: float

    @property
    def shift(self) -> float:
        """λ where cos θ = sin θ."""
        return 2 * np.log(self.signal / self.noise)

    def alpha(self, logsnr: NDArray) -> NDArray:
        """Scale of the signal, signal · sqrt(sigmoid(λ − shift))."""
        return self.signal * np.exp(log_expit(logsnr - self.shift) / 2)

    def sigma(self, logsnr: NDArray) -> NDArray:
        """Scale of the noise, noise · sqrt(sigmoid(shift − λ))."""
        return self.noise * np.exp(log_expit(self.shift - logsnr) / 2)

    def slope(self, logsnr: NDArray) -> NDArray:
        """Derivative d log alpha/dλ = sigmoid(shift − λ)/2."""
        return expit(self.shift - logsnr) / 2


def trigonometric(signal: float = 1.0, noise: float = 1.0) -> Frame:
    """Scales alpha = signal cos θ, sigma = noise sin θ.

    It is the variance-preserving frame for 1 and 1. TrigFlow has noise = sigma_data
    (Lu and Song 2024, arXiv 2410.11081).

    Args:
        signal: Largest alpha.
        noise: Largest sigma.

    Returns:
        The frame.

    Raises:
        ValueError: A scale is not a finite number above 0.
    """
    signal = positive(signal, "signal")
    noise = positive(noise, "noise")
    scales = TrigonometricScales(signal, noise)
    name = "VP" if signal == noise == 1 else f"trigonometric({signal:g}, {noise:g})"
    return Frame(name, scales.alpha, scales.sigma, scales.slope)


@dataclass(frozen=True)
class StraightScales:
    """Scales alpha = s, sigma = 1 − (1 − sigma_min) s, for s in [0, 1].

    Args:
        sigma_min: Noise that is left at the clean end.
    """

    sigma_min: float

    def alpha(self, logsnr: NDArray) -> NDArray:
        """s, from sigma/alpha = 1/s − (1 − sigma_min)."""
        return 1 / (1 - self.sigma_min + noise_ratio(logsnr))

    def sigma(self, logsnr: NDArray) -> NDArray:
        """1 − (1 − sigma_min) s, without cancellation."""
        return 1 / (1 + (1 - self.sigma_min) * noise_ratio(-logsnr))

    def slope(self, logsnr: NDArray) -> NDArray:
        """Derivative d log alpha/dλ = sigma/2."""
        return self.sigma(logsnr) / 2


def straight(sigma_min: float = 0.0) -> Frame:
    """Linear interpolation: alpha = s, sigma = 1 − (1 − sigma_min) s.

    Source: Lipman et al. 2022 (arXiv 2210.02747), eq. 20.

    Args:
        sigma_min: Noise that is left at the clean end, in [0, 1).

    Returns:
        The frame.

    Raises:
        ValueError: sigma_min lies outside [0, 1).
    """
    sigma_min = number(sigma_min, "sigma_min")
    if not 0 <= sigma_min < 1:
        raise ValueError(f"sigma_min must lie in [0, 1), got {sigma_min:g}")
    scales = StraightScales(sigma_min)
    name = f"linear(sigma_min={sigma_min:g})" if sigma_min else "linear"
    return Frame(name, scales.alpha, scales.sigma, scales.slope)


@dataclass(frozen=True)
class SmoothedScales:
    """Scales alpha = s, sigma² = (1 − s)² + width², for λ up to −2 log width.

    Args:
        width: Standard deviation of the noise that is added all along the path.
    """

    width: float

    def alpha(self, logsnr: NDArray) -> NDArray:
        """s, the root of s² sigma²/alpha² = (1 − s)² + width² that falls to 0 with λ."""
        variance = self.width**2
        snr = noise_ratio(-2 * np.asarray(logsnr))
        root = np.sqrt(np.maximum(1 + variance - variance * snr, 0))
        return (1 + variance) / (1 + noise_ratio(logsnr) * root)

    def sigma(self, logsnr: NDArray) -> NDArray:
        """sqrt((1 − s)² + width²)."""
        return np.hypot(1 - self.alpha(logsnr), self.width)

    def slope(self, logsnr: NDArray) -> NDArray:
        """Derivative d log alpha/dλ = ½ sigma²/(sigma² + s (1 − s))."""
        alpha = self.alpha(logsnr)
        variance = self.sigma(logsnr) ** 2
        return 0.5 * variance / (variance + alpha * (1 - alpha))


def smoothed(width: float) -> Frame:
    """Scales alpha = s, sigma² = (1 − s)² + width² of I-CFM, for λ up to −2 log width.

    Source: Tong et al. 2023 (arXiv 2302.00482), torchcfm.

    Args:
        width: Standard deviation of the noise that is added all along the path.

    Returns:
        The frame.

    Raises:
        ValueError: The width is not a finite number above 0.
    """
    scales = SmoothedScales(positive(width, "width"))
    return Frame(f"smoothed({width:g})", scales.alpha, scales.sigma, scales.slope)


def sub_vp_alpha(logsnr: NDArray) -> NDArray:
    """Scale alpha of the sub-VP frame, where sigma = 1 − alpha².

    Args:
        logsnr: λ in nats, any shape.

    Returns:
        alpha, same shape.
    """
    ratio = noise_ratio(logsnr)
    return 2 / (ratio + np.hypot(ratio, 2))


def sub_vp_sigma(logsnr: NDArray) -> NDArray:
    """Scale sigma of the sub-VP frame, without the cancellation of 1 − alpha².

    Args:
        logsnr: λ in nats, any shape.

    Returns:
        sigma, same shape.
    """
    return 2 / (1 + np.hypot(1, 2 * noise_ratio(-logsnr)))


def sub_vp_slope(logsnr: NDArray) -> NDArray:
    """Derivative d log alpha/dλ of the sub-VP frame: ½ sigma/(sigma + 2 alpha²).

    Args:
        logsnr: λ in nats, any shape.

    Returns:
        The slope, same shape.
    """
    sigma = sub_vp_sigma(logsnr)
    return 0.5 * sigma / (sigma + 2 * sub_vp_alpha(logsnr) ** 2)


VP = trigonometric()
STRAIGHT = straight()
SUB_VP = Frame("sub-VP", sub_vp_alpha, sub_vp_sigma, sub_vp_slope)
VE = Frame("VE", np.ones_like, noise_ratio, np.zeros_like)
