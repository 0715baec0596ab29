"""Multipliers: the factor c(λ) on the squared error of a target.

Each is a function of λ in nats; a constructor returns a frozen callable that holds its parameters.

Example:
    >>> dv.multipliers.min_snr(gamma=5.0)([-2.0, 0.0, 4.0]).round(3)
    array([1.   , 1.   , 0.092])
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import expit, log_expit, logit

from diffviz.checks import brief, number, offers, positive
from diffviz.theory.frames import Curve, levels
from diffviz.theory.paths import Path, checked_path

LEAST_LEVEL = -745.0  # λ in nats at which e^λ is the least positive number of float64


class WithLogarithm(Protocol):
    """A multiplier that knows its logarithm, also where the multiplier itself is 0 in float64."""

    def log(self, logsnr: ArrayLike) -> NDArray:
        """The logarithm of the multiplier at λ in nats, same shape."""
        ...


def logarithm(multiplier: Curve, logsnr: NDArray) -> NDArray:
    """The logarithm of a multiplier, -inf where it is 0.

    Args:
        multiplier: c(λ).
        logsnr: λ in nats, any shape.

    Returns:
        log c(λ), same shape.
    """
    if offers(multiplier, WithLogarithm):
        return multiplier.log(logsnr)
    with np.errstate(divide="ignore"):
        return np.log(np.asarray(multiplier(logsnr)))


def _defined(multiplier: NDArray, level: NDArray) -> NDArray:
    """A multiplier; a ValueError where it is 0/0 or inf·0, as at an infinite level."""
    lost = np.isnan(multiplier)
    if lost.any():
        raise ValueError(
            f"the multiplier has no value at logsnr {level[lost].flat[0]:g}, where it is a product "
            "of 0 and infinity; take finite levels"
        )
    return multiplier


# --- multipliers: functions of λ (any shape, nats) that return an array of that shape -------------


def constant(logsnr: ArrayLike) -> NDArray:
    """1: the plain squared error.

    Args:
        logsnr: λ in nats, any shape.

    Returns:
        Ones, same shape.
    """
    level = levels(logsnr)
    return np.ones_like(level)


def snr(logsnr: ArrayLike) -> NDArray:
    """SNR = e^λ on the x error: the eps loss.

    Source: Salimans and Ho 2022 (arXiv 2202.00512), sec. 4.

    Args:
        logsnr: λ in nats, any shape.

    Returns:
        The multiplier, same shape.
    """
    level = levels(logsnr)
    return np.exp(level)


def truncated_snr(logsnr: ArrayLike) -> NDArray:
    """max(SNR, 1) on the x error.

    Source: Salimans and Ho 2022 (arXiv 2202.00512), eq. 9.

    Args:
        logsnr: λ in nats, any shape.

    Returns:
        The multiplier, same shape.
    """
    level = levels(logsnr)
    return np.maximum(np.exp(level), 1)


def snr_plus_one(logsnr: ArrayLike) -> NDArray:
    """SNR + 1 on the x error: the v loss.

    Source: Salimans and Ho 2022 (arXiv 2202.00512), eq. 9.

    Args:
        logsnr: λ in nats, any shape.

    Returns:
        The multiplier, same shape.
    """
    level = levels(logsnr)
    return np.exp(level) + 1


# what min(SNR, γ) is divided by on the error of each target
MIN_SNR_DIVISORS: Mapping[str, Curve] = MappingProxyType(
    {"eps": snr, "x": constant, "v": snr_plus_one}
)


@dataclass(frozen=True)
class MinSNR:
    """min(SNR, γ) over a divisor.

    Args:
        gamma: γ.
        divisor: What the target's own error asks for, a function of λ.
    """

    gamma: float
    divisor: Curve

    def __call__(self, logsnr: ArrayLike) -> NDArray:
        """The multiplier at λ in nats, same shape."""
        level = levels(logsnr)
        if self.divisor is snr:  # the ratio is 1 there, and not 0/0
            level = np.maximum(level, LEAST_LEVEL)
        return np.minimum(np.exp(level), self.gamma) / self.divisor(level)


def min_snr(gamma: float = 5.0, target: str = "eps") -> MinSNR:
    """min(SNR, γ) over SNR, 1, SNR + 1 on the eps, x, v error.

    Source: Hang et al. 2023 (arXiv 2303.09556).

    Args:
        gamma: γ.
        target: "eps", "x" or "v".

    Returns:
        The multiplier.

    Raises:
        ValueError: gamma is not above 0, or the target is another.
    """
    gamma = positive(gamma, "gamma")
    if not isinstance(target, str) or target not in MIN_SNR_DIVISORS:
        known = ", ".join(MIN_SNR_DIVISORS)
        raise ValueError(f"min-SNR is defined on {known}, not on {brief(target)}")
    return MinSNR(gamma, MIN_SNR_DIVISORS[target])


@dataclass(frozen=True)
class SoftMinSNR:
    """γ/(SNR + γ).

    Args:
        gamma: γ.
    """

    gamma: float

    def __call__(self, logsnr: ArrayLike) -> NDArray:
        """The multiplier at λ in nats, same shape."""
        level = levels(logsnr)
        return np.exp(log_expit(np.log(self.gamma) - level))  # expit is 0 from −710


def soft_min_snr(gamma: float = 4.0) -> SoftMinSNR:
    """γ/(SNR + γ) on the eps error.

    Source: Crowson et al. 2024 (arXiv 2401.11605).

    Args:
        gamma: γ.

    Returns:
        The multiplier.

    Raises:
        ValueError: gamma is not above 0.
    """
    return SoftMinSNR(positive(gamma, "gamma"))


@dataclass(frozen=True)
class P2:
    """1/(k + SNR)^γ.

    Args:
        gamma: γ.
        k: k.
    """

    gamma: float
    k: float

    def __call__(self, logsnr: ArrayLike) -> NDArray:
        """The multiplier at λ in nats, same shape."""
        level = levels(logsnr)
        return (self.k + np.exp(level)) ** -self.gamma

    def log(self, logsnr: ArrayLike) -> NDArray:
        """The logarithm of the multiplier at λ in nats, where that is too small for float64."""
        level = levels(logsnr)
        return -self.gamma * np.logaddexp(np.log(self.k), level)


def p2(gamma: float = 1.0, k: float = 1.0) -> P2:
    """1/(k + SNR)^γ on the eps error.

    Source: Choi et al. 2022 (arXiv 2204.00227), eq. 8.

    Args:
        gamma: γ.
        k: k.

    Returns:
        The multiplier.

    Raises:
        ValueError: gamma or k is not above 0.
    """
    return P2(positive(gamma, "gamma"), positive(k, "k"))


@dataclass(frozen=True)
class Debiased:
    """1/sqrt(min(SNR, cap)).

    Args:
        cap: Largest SNR that counts.
    """

    cap: float

    def __call__(self, logsnr: ArrayLike) -> NDArray:
        """The multiplier at λ in nats, same shape."""
        level = levels(logsnr)
        with np.errstate(over="ignore", divide="ignore"):
            plain = np.minimum(np.exp(level), self.cap) ** -0.5
            beyond = np.maximum(np.exp(-level / 2), self.cap**-0.5)  # where SNR has lost digits
        return np.where(abs(level) > 700, beyond, plain)[()]  # a number for a number


def debiased(cap: float = np.inf) -> Debiased:
    """1/sqrt(min(SNR, cap)) on the eps error.

    Source: Yu et al. 2023 (arXiv 2310.08442). kohya-ss/sd-scripts caps at 1000.

    Args:
        cap: Largest SNR that counts; inf for none.

    Returns:
        The multiplier.

    Raises:
        ValueError: The cap is not above 0.
    """
    uncapped = isinstance(cap, (float, np.floating)) and np.isposinf(cap)
    return Debiased(np.inf if uncapped else positive(cap, "cap"))


@dataclass(frozen=True)
class Likelihood:
    """−dλ/dt on a path.

    Args:
        path: The path.
    """

    path: Path

    def __call__(self, logsnr: ArrayLike) -> NDArray:
        """The multiplier at λ in nats, same shape."""
        level = levels(logsnr)
        return 1 / self.path.schedule.pdf(level)


def likelihood(path: Path) -> Likelihood:
    """−dλ/dt on the eps error, under uniform time on a path: the ELBO.

    Source: Kingma et al. 2021 (arXiv 2107.00630), eq. 17.

    Args:
        path: The path.

    Returns:
        The multiplier.
    """
    return Likelihood(checked_path(path))


@dataclass(frozen=True)
class Sigmoid:
    """−dλ/dt e^b sigmoid(λ − b) on a path.

    Args:
        bias: b.
        path: The path.
    """

    bias: float
    path: Path

    def __call__(self, logsnr: ArrayLike) -> NDArray:
        """The multiplier at λ in nats, same shape."""
        level = levels(logsnr)
        on_x = np.exp(self.bias + log_expit(level - self.bias))  # expit is 0 from −710
        with np.errstate(divide="ignore", invalid="ignore"):
            return _defined(on_x / self.path.schedule.pdf(level), level)


def sigmoid(bias: float, path: Path) -> Sigmoid:
    """−dλ/dt e^b/(1 + e^(b − λ)) on the x error, so that w = 1/(1 + e^(λ − b)).

    Source: Kingma and Gao 2023 (arXiv 2303.00848); Hoogeboom et al. 2024 (arXiv 2410.19324), eq. 4.

    Args:
        bias: b.
        path: The path on which time is uniform.

    Returns:
        The multiplier.

    Raises:
        ValueError: The bias is not finite.
    """
    return Sigmoid(number(bias, "bias"), checked_path(path))


@dataclass(frozen=True)
class EDM:
    """(σ² + σ_data²)/(σ σ_data)², σ = e^(−λ/2).

    Args:
        sigma_data: Standard deviation of the data.
    """

    sigma_data: float

    def __call__(self, logsnr: ArrayLike) -> NDArray:
        """The multiplier at λ in nats, same shape."""
        level = levels(logsnr)
        return 1 / self.sigma_data**2 + np.exp(level)


def edm(sigma_data: float = 0.5) -> EDM:
    """(σ² + σ_data²)/(σ σ_data)² on the x error, σ = e^(−λ/2).

    Source: Karras et al. 2022 (arXiv 2206.00364), table 1.

    Args:
        sigma_data: Standard deviation of the data.

    Returns:
        The multiplier.

    Raises:
        ValueError: sigma_data is not above 0.
    """
    return EDM(positive(sigma_data, "sigma_data"))


@dataclass(frozen=True)
class MonotonicEDM:
    """EDM's multiplier, raised so that w at λ is the largest w at λ or above.

    Args:
        edm: EDM's multiplier c.
        centre: Mean of λ.
        scale: Standard deviation of λ.
        peaks: λ at which EDM's w is larger than around it: one, or two where the law is wide.
    """

    edm: EDM
    centre: float
    scale: float
    peaks: tuple[float, ...]

    def __call__(self, logsnr: ArrayLike) -> NDArray:
        """The multiplier at λ in nats, same shape."""
        level = levels(logsnr)
        held = [self._held(level, peak) for peak in self.peaks]
        return _defined(np.maximum.reduce([self.edm(level), *held]), level)

    def _held(self, level: NDArray, peak: float) -> NDArray:
        """The multiplier at which w below a peak is that at the peak; EDM's above it."""
        # w ∝ c e^(−λ) p: below the peak c = c(peak) · e^(λ − peak) · p(peak)/p(λ)
        below = np.minimum(level, peak)
        squares = (below - self.centre) ** 2 - (peak - self.centre) ** 2
        with np.errstate(over="ignore", invalid="ignore"):  # p underflows first
            rise = np.exp(below - peak + squares / (2 * self.scale**2))
            return self.edm(np.maximum(level, peak)) * rise


def edm_monotonic(mean: float = -1.2, std: float = 1.2, sigma_data: float = 0.5) -> MonotonicEDM:
    """EDM's, raised so that w at λ is the largest w at λ or above; under λ ~ N(−2 mean, (2 std)²).

    Below its peak w is held at its maximum. Under a wide law w may have two peaks.

    Source: Kingma and Gao 2023 (arXiv 2303.00848), sec. 5.

    Args:
        mean: Mean of ln sigma.
        std: Standard deviation of ln sigma.
        sigma_data: Standard deviation of the data.

    Returns:
        The multiplier.

    Raises:
        ValueError: mean is beyond ±350, where λ is beyond ±700 nats, std is outside [0.001, 1000],
            or sigma_data is not above 0.
    """
    centre = -2 * number(mean, "mean", -350, 350)
    scale = 2 * number(std, "std", 1e-3, 1e3)
    sigma_data = positive(sigma_data, "sigma_data")
    plain = edm(sigma_data)

    def log_slope(logsnr: float) -> float:
        """Derivative d log w/dλ of EDM."""
        return (centre - logsnr) / scale**2 - expit(-logsnr - 2 * np.log(sigma_data))

    edges = [centre - 2 * scale**2 - 1, *_turns(scale, sigma_data), centre]
    falling = list(pairwise(edges))[::2]  # there the slope falls, and may pass through 0
    peaks = [
        brentq(log_slope, low, high, xtol=1e-14, rtol=1e-14)
        for low, high in falling
        if low < high and log_slope(low) > 0 >= log_slope(high)
    ]
    return MonotonicEDM(plain, centre, scale, tuple(peaks))


def _turns(scale: float, sigma_data: float) -> list[float]:
    """The two λ between which the slope d log w/dλ of EDM rises; none under a narrow law."""
    if scale <= 2:
        return []
    root = np.sqrt(1 - 4 / scale**2)
    shares = np.array([(1 + root) / 2, 2 / scale**2 / (1 + root)])  # where share (1 − share) s² = 1
    return (-logit(shares) - 2 * np.log(sigma_data)).tolist()


def sigma_sqrt(logsnr: ArrayLike) -> NDArray:
    """σ^−2 on the linear path, despite its name (diffusers ``compute_loss_weighting_for_sd3``).

    Args:
        logsnr: λ in nats, any shape.

    Returns:
        The multiplier, same shape.
    """
    level = levels(logsnr)
    return (1 + np.exp(level / 2)) ** 2


def cosmap(logsnr: ArrayLike) -> NDArray:
    """2/(π(1 − 2σ + 2σ²)) on the linear path: CosMap's density as a loss weight (diffusers).

    Args:
        logsnr: λ in nats, any shape.

    Returns:
        The multiplier, same shape.
    """
    level = levels(logsnr)
    sigma = expit(-level / 2)
    return 2 / (np.pi * (1 - 2 * sigma + 2 * sigma**2))


def bell(logsnr: ArrayLike) -> NDArray:
    """exp(−2(σ − ½)²) − e^(−½) on the linear path, which is 0 at both ends.

    Source: DiffSynth-Studio's Wan template.

    Args:
        logsnr: λ in nats, any shape.

    Returns:
        The multiplier, same shape.
    """
    level = levels(logsnr)
    half = level / 2
    exponent = 2 * expit(half) * expit(-half)  # −2(σ − ½)² = −½ + 2σ(1 − σ)
    return np.exp(-0.5) * np.expm1(exponent)
