"""Noise paths z = alpha x + sigma eps: a frame says where z lives, a schedule says when.

Time runs from data (t = 0) to noise (t = 1), and λ(t) falls. Draw t uniformly: λ becomes a random
variable that knows all about the schedule. With its survival function S and its density p,

    t(λ) = S(λ),      λ(t) = S⁻¹(t),      |dt/dλ| = p(λ).

That is why a path carries a SciPy distribution: logistic(scale=2) for the linear path,
hypsecant(scale=2) for the cosine path. Schedules that SciPy does not have are transformed laws.

Example:
    >>> dv.paths.LINEAR.logsnr([0.25, 0.75]).round(3)
    array([ 2.197, -2.197])
    >>> dv.paths.COSINE.time([0.0, 4.0]).round(3)
    array([0.5  , 0.086])
"""

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.special import expit, log_expit, logit

from diffviz.checks import array, brief, count, instance, number, one_of, positive, require
from diffviz.theory.atoms import AtomicLaw, atomic
from diffviz.theory.frames import (
    STRAIGHT,
    SUB_VP,
    VE,
    VP,
    Curve,
    Frame,
    levels,
    noise_ratio,
    smoothed,
    straight,
)
from diffviz.theory.laws import (
    FURTHEST_MEAN,
    CurveMap,
    MonotoneMap,
    Transformed,
    atoms,
    completed,
    inverted,
    moved,
    ordered,
    quantile_of,
)

LARGEST_EXPONENT = 700.0  # x at which e^x and e^(−x) are within float64
FARTHEST_END = 40.0  # nats; the frame of I-CFM ends before, all others go on beyond


@dataclass(frozen=True)
class Path:
    """A noise path.

    All methods take a float or an array of any shape and return an array of that shape. λ is in
    nats, t = 0 is data and t = 1 is noise.

    Args:
        name: What plots and errors call the path.
        frame: alpha and sigma as functions of λ.
        schedule: Law of λ under uniform time, a frozen SciPy distribution.
    """

    name: str
    frame: Frame
    schedule: Any

    def __post_init__(self) -> None:
        if not isinstance(self.frame, Frame):
            raise TypeError(
                f"frame must be a Frame such as diffviz.theory.frames.VP, got {brief(self.frame)}"
            )
        object.__setattr__(self, "schedule", completed(self.schedule, "schedule"))

    def logsnr(self, t: ArrayLike) -> NDArray:
        """λ at a time.

        Args:
            t: Times in [0, 1], any shape.

        Returns:
            λ, same shape; ±inf where the path ends without noise or without signal.

        Raises:
            TypeError: A time is no real number.
            ValueError: A time lies outside [0, 1].
        """
        time = array(t, "t", infinite=True)  # refused below with what 0 and 1 mean
        outside = (time < 0) | (time > 1)
        if outside.any():
            raise ValueError(f"t must lie in [0, 1] (0 is data, 1 noise), got {time[outside][0]}")
        return self.schedule.isf(time)

    def time(self, logsnr: ArrayLike) -> NDArray:
        """Time at a λ, the inverse of ``logsnr``.

        Args:
            logsnr: λ in nats, any shape.

        Returns:
            Times, same shape: 0 above and 1 below the range of the path.

        Raises:
            TypeError: λ is no real number.
            ValueError: A λ is NaN.
        """
        return self.schedule.sf(levels(logsnr))

    def slope(self, t: ArrayLike) -> NDArray:
        """dλ/dt at a time, below 0.

        Args:
            t: Times in [0, 1], any shape.

        Returns:
            dλ/dt, same shape; −inf at an end that the path reaches only in the limit.

        Raises:
            TypeError: A time is no real number.
            ValueError: A time lies outside [0, 1].
        """
        with np.errstate(divide="ignore"):
            return -1 / self.schedule.pdf(self.logsnr(t))

    def alpha(self, t: ArrayLike) -> NDArray:
        """Scale of the signal at a time.

        Args:
            t: Times in [0, 1], any shape.

        Returns:
            alpha, same shape.

        Raises:
            TypeError: A time is no real number.
            ValueError: A time lies outside [0, 1].
        """
        return self.frame.alpha(self.logsnr(t))

    def sigma(self, t: ArrayLike) -> NDArray:
        """Scale of the noise at a time.

        Args:
            t: Times in [0, 1], any shape.

        Returns:
            sigma, same shape.

        Raises:
            TypeError: A time is no real number.
            ValueError: A time lies outside [0, 1].
        """
        return self.frame.sigma(self.logsnr(t))


def checked_path(value: Any, name: str = "path") -> Path:
    """A path that a caller passed; a TypeError for anything else.

    Args:
        value: The path.
        name: Name of the argument, for messages.

    Returns:
        The path.

    Raises:
        TypeError: The value is no path.
    """
    return instance(value, name, Path, "a path such as dv.paths.COSINE")


def path_of(name: str, frame: Frame, schedule: MonotoneMap) -> Path:
    """A path whose schedule is a map from t to λ.

    Args:
        name: What plots and errors call the path.
        frame: alpha and sigma as functions of λ.
        schedule: λ(t), t(λ) and |dt/dλ|.

    Returns:
        The path.
    """
    return Path(name, frame, Transformed(stats.uniform(), schedule).freeze())


def scheduled(name: str, frame: Frame, logsnr: Curve, time: Curve, rate: Curve) -> Path:
    """A path from three functions, for the laws that SciPy does not have.

    Args:
        name: What plots and errors call the path.
        frame: alpha and sigma as functions of λ.
        logsnr: λ(t).
        time: t(λ).
        rate: |dt/dλ| as a function of λ.

    Returns:
        The path. It pickles if the three functions do.
    """
    return path_of(name, frame, CurveMap(logsnr, time, rate))


# --- schedules from a rate β(t), with B(t) = ∫β -------------------------------------------------


class Rate(Protocol):
    """A rate β(t) > 0 with its integral B(t)."""

    def integral(self, t: NDArray, /) -> NDArray:
        """B at t."""

    def time(self, integral: NDArray, /) -> NDArray:
        """Time t at B."""

    def rate(self, integral: NDArray, /) -> NDArray:
        """β at B."""


@dataclass(frozen=True)
class LinearRate:
    """β(t) = beta_min + rise · t.

    Args:
        beta_min: β at t = 0.
        rise: β(1) − β(0).
    """

    beta_min: float
    rise: float

    def integral(self, t: NDArray) -> NDArray:
        """B = beta_min t + rise t²/2."""
        return self.beta_min * t + self.rise * t**2 / 2

    def time(self, integral: NDArray) -> NDArray:
        """The root of the quadratic in t, without cancellation."""
        return 2 * integral / (self.beta_min + self.rate(integral))

    def rate(self, integral: NDArray) -> NDArray:
        """β = sqrt(beta_min² + 2 rise B)."""
        return np.sqrt(self.beta_min**2 + 2 * self.rise * integral)


@dataclass(frozen=True)
class ScaledLinearRate:
    """β(t) = steps · (root + rise · t)².

    Args:
        root: sqrt β of a step at t = 0.
        rise: Growth of sqrt β of a step from t = 0 to 1.
        steps: Number of steps of the table.
    """

    root: float
    rise: float
    steps: int

    @property
    def growth(self) -> float:
        """(root + rise t)³ = root³ (1 + growth · B)."""
        return 3 * self.rise / (self.steps * self.root**3)

    def integral(self, t: NDArray) -> NDArray:
        """B = steps ((root + rise t)³ − root³)/(3 rise), multiplied out."""
        step = self.rise * t / self.root
        return self.steps * self.root**2 * t * (1 + step + step**2 / 3)

    def time(self, integral: NDArray) -> NDArray:
        """Time t = root/rise · ((1 + growth B)^⅓ − 1)."""
        return self.root / self.rise * np.expm1(np.log1p(self.growth * integral) / 3)

    def rate(self, integral: NDArray) -> NDArray:
        """β = steps root² (1 + growth B)^⅔."""
        power = np.exp(2 / 3 * np.log1p(self.growth * integral))
        return self.steps * self.root**2 * power


@dataclass(frozen=True)
class VPSchedule:
    """alpha² = e^(−B), sigma² = 1 − e^(−B), in the variance-preserving frame.

    Source: Song et al. 2021 (arXiv 2011.13456), eq. 29.

    Args:
        beta: The rate.
    """

    beta: Rate

    def forward(self, t: NDArray) -> NDArray:
        """λ = −B − log(1 − e^(−B))."""
        integral = self.beta.integral(t)
        return -integral - np.log(-np.expm1(-integral))

    def inverse(self, logsnr: NDArray) -> NDArray:
        """Time t where B = log(1 + e^(−λ))."""
        return self.beta.time(np.logaddexp(0, -logsnr))

    def slope(self, logsnr: NDArray) -> NDArray:
        """|dt/dλ| = 2 (d log alpha/dλ)/β, since log alpha = −B/2."""
        return 2 * VP.slope(logsnr) / self.beta.rate(np.logaddexp(0, -logsnr))


@dataclass(frozen=True)
class SubVPSchedule:
    """alpha² = e^(−B), sigma = 1 − e^(−B), in the sub-VP frame.

    Source: Song et al. 2021 (arXiv 2011.13456), eq. 29.

    Args:
        beta: The rate.
    """

    beta: Rate

    def forward(self, t: NDArray) -> NDArray:
        """λ = −B − 2 log(1 − e^(−B))."""
        integral = self.beta.integral(t)
        return -integral - 2 * np.log(-np.expm1(-integral))

    def integral(self, logsnr: NDArray) -> NDArray:
        """B at λ: sigma/alpha = 2 sinh(B/2)."""
        return 2 * np.arcsinh(noise_ratio(logsnr) / 2)

    def inverse(self, logsnr: NDArray) -> NDArray:
        """Time t at λ."""
        return self.beta.time(self.integral(logsnr))

    def slope(self, logsnr: NDArray) -> NDArray:
        """|dt/dλ| = 2 (d log alpha/dλ)/β, since log alpha = −B/2."""
        return 2 * SUB_VP.slope(logsnr) / self.beta.rate(self.integral(logsnr))


def linear_rate(beta_min: float, beta_max: float) -> LinearRate:
    """The rate that rises linearly between two values.

    Args:
        beta_min: β at t = 0.
        beta_max: β at t = 1.

    Returns:
        The rate.

    Raises:
        ValueError: Not 0 < beta_min < beta_max.
    """
    positive(beta_min, "beta_min")
    start, end = ordered(beta_min, beta_max, "beta_min", "beta_max")
    return LinearRate(start, end - start)


def vp_linear(beta_min: float = 0.1, beta_max: float = 20.0) -> Path:
    """Linear β(t), the continuous limit of DDPM's table.

    Source: Song et al. 2021 (arXiv 2011.13456), eq. 32.

    Args:
        beta_min: β at t = 0.
        beta_max: β at t = 1.

    Returns:
        The path, in the variance-preserving frame.

    Raises:
        ValueError: Not 0 < beta_min < beta_max.
    """
    beta = linear_rate(beta_min, beta_max)
    name = f"VP linear beta({beta.beta_min:g}, {number(beta_max, 'beta_max'):g})"
    return path_of(name, VP, VPSchedule(beta))


def sub_vp(beta_min: float = 0.1, beta_max: float = 20.0) -> Path:
    """Sub-VP: alpha² = e^(−B), sigma = 1 − e^(−B), with linear β(t).

    Source: Song et al. 2021 (arXiv 2011.13456), eq. 29.

    Args:
        beta_min: β at t = 0.
        beta_max: β at t = 1.

    Returns:
        The path.

    Raises:
        ValueError: Not 0 < beta_min < beta_max.
    """
    return path_of("sub-VP", SUB_VP, SubVPSchedule(linear_rate(beta_min, beta_max)))


def scaled_linear(beta_start: float = 0.00085, beta_end: float = 0.012, steps: int = 1000) -> Path:
    """sqrt(β) linear, the continuous limit of Stable Diffusion's table.

    The code of LDM calls this schedule "linear", diffusers "scaled_linear".

    Args:
        beta_start: β of the first step.
        beta_end: β of the last step.
        steps: Number of steps of the table.

    Returns:
        The path, in the variance-preserving frame.

    Raises:
        ValueError: Not 0 < beta_start < beta_end, or steps is not above 0.
    """
    beta_start = positive(beta_start, "beta_start")
    beta_end = positive(beta_end, "beta_end")
    steps = count(steps, "steps")
    root = np.sqrt(beta_start)
    rise = positive(np.sqrt(beta_end) - root, "beta_end - beta_start")
    name = f"VP scaled-linear beta({beta_start:g}, {beta_end:g})"
    return path_of(name, VP, VPSchedule(ScaledLinearRate(root, rise, steps)))


# --- cosine -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OffsetCosineSchedule:
    """Scales alpha = cos θ/cos θ(0), θ = (t + s)/(1 + s) · π/2.

    Args:
        offset: s, above 0.
    """

    offset: float

    @property
    def start(self) -> float:
        """θ at t = 0."""
        return np.pi / 2 * (self.offset / (1 + self.offset))

    @property
    def span(self) -> float:
        """What is left of the quarter turn."""
        return np.pi / 2 * (1 - self.offset / (1 + self.offset))

    def sine(self, logsnr: NDArray) -> NDArray:
        """Sine of θ at λ."""
        return np.hypot(np.sin(self.start), np.cos(self.start) * VP.sigma(logsnr))

    def cosine(self, logsnr: NDArray) -> NDArray:
        """Cosine of θ at λ."""
        return np.cos(self.start) * VP.alpha(logsnr)

    def forward(self, t: NDArray) -> NDArray:
        """λ(t), with cos θ = sin((1 − t) span) to avoid cancellation at t = 1."""
        squared_signal = 2 * np.log(np.sin((1 - t) * self.span))
        turn = t * self.span
        return squared_signal - np.log(np.sin(turn) * np.sin(turn + 2 * self.start))

    def inverse(self, logsnr: NDArray) -> NDArray:
        """t(λ), from the sine and cosine of the turn θ − start.

        The sine is (sin² θ − sin² start)/sin(θ + start), which keeps a small t exact.
        """
        low = np.sin(self.start)
        high = np.cos(self.start)
        sine = self.sine(logsnr)
        cosine = self.cosine(logsnr)
        turn_sine = (high * VP.sigma(logsnr)) ** 2 / (sine * high + cosine * low)
        turn_cosine = cosine * high + sine * low
        return np.arctan2(turn_sine, turn_cosine) / self.span

    def slope(self, logsnr: NDArray) -> NDArray:
        """|dt/dλ|, from sin θ dθ = cos θ sigma²/2 dλ."""
        variance = VP.sigma(logsnr) ** 2
        return self.cosine(logsnr) * variance / (2 * self.sine(logsnr) * self.span)


def cosine(offset: float = 0.0, normalise: bool = True, frame: Frame = VP) -> Path:
    """Cosine path: alpha² = cos²(θ(t)), θ = (t + s)/(1 + s) · π/2.

    Source: Nichol and Dhariwal 2021 (arXiv 2102.09672), eq. 17.

    Args:
        offset: s. It is 0 for the ideal path and 0.008 for the published one.
        normalise: Divide alpha² by its value at t = 0, as the code does. Without it, and with the
            published offset, λ(0) = 8.769.
        frame: alpha and sigma as functions of λ.

    Returns:
        The path.

    Raises:
        ValueError: The offset is negative or not finite, or ``normalise`` is no bool.
    """
    ideal = Path("cosine", frame, stats.hypsecant(scale=2))
    offset = number(offset, "offset", low=0)
    normalise = one_of(normalise, "normalise", (False, True))
    if offset == 0:
        return ideal
    name = f"cosine(s={offset:g})"
    if not normalise:
        return restricted(ideal, offset / (1 + offset), 1.0, name)
    return path_of(name, frame, OffsetCosineSchedule(offset))


# --- λ or sigma by its law ----------------------------------------------------------------------


def ve(sigma_min: float, sigma_max: float) -> Path:
    """Geometric sigma on the variance-exploding path: λ is uniform.

    Source: Song et al. 2021 (arXiv 2011.13456), eq. 30.

    Args:
        sigma_min: sigma at t = 0.
        sigma_max: sigma at t = 1.

    Returns:
        The path.

    Raises:
        ValueError: Not 0 < sigma_min < sigma_max.
    """
    positive(sigma_min, "sigma_min")
    sigma_min, sigma_max = ordered(sigma_min, sigma_max, "sigma_min", "sigma_max")
    path = uniform_logsnr(-2 * np.log(sigma_max), -2 * np.log(sigma_min), VE)
    return replace(path, name=f"VE({sigma_min:g}, {sigma_max:g})")


def uniform_logsnr(low: float, high: float, frame: Frame = VP) -> Path:
    """λ linear in t between its ends.

    Source: Kingma et al. 2021 (arXiv 2107.00630): VDM's γ = −λ.

    Args:
        low: λ at t = 1.
        high: λ at t = 0.
        frame: alpha and sigma as functions of λ.

    Returns:
        The path.

    Raises:
        ValueError: Not low < high.
    """
    low, high = ordered(low, high)
    schedule = stats.uniform(low, high - low)
    return Path(f"uniform logsnr({low:g}, {high:g})", frame, schedule)


def from_density(density: Any, frame: Frame = VP, name: str = "from density") -> Path:
    """The path whose λ has a given law under uniform time, such as EDM's, Laplace's or Cauchy's.

    Args:
        density: Law of λ, a frozen SciPy distribution.
        frame: alpha and sigma as functions of λ.
        name: What plots and errors call the path.

    Returns:
        The path.
    """
    return Path(name, frame, density)


def edm(mean: float = -1.2, std: float = 1.2) -> Path:
    """Path with ln sigma ~ N(mean, std²), with alpha = 1.

    Source: Karras et al. 2022 (arXiv 2206.00364), table 1.

    Args:
        mean: Mean of ln sigma.
        std: Standard deviation of ln sigma.

    Returns:
        The path.

    Raises:
        ValueError: std is not above 0, or mean is not within ±1e300.
    """
    mean = number(mean, "mean", -FURTHEST_MEAN, FURTHEST_MEAN)
    std = positive(std, "std")
    law = stats.norm(-2 * mean, 2 * std)
    return from_density(law, VE, f"EDM({mean:g}, {std:g})")


@dataclass(frozen=True)
class KarrasSchedule:
    """sigma^(1/ρ) linear in t, with alpha = 1.

    Args:
        sigma_min: sigma at t = 0.
        sigma_max: sigma at t = 1.
        rho: ρ.
    """

    sigma_min: float
    sigma_max: float
    rho: float

    @property
    def low(self) -> float:
        """sigma^(1/ρ) at t = 0."""
        return self.sigma_min ** (1 / self.rho)

    @property
    def span(self) -> float:
        """Growth of sigma^(1/ρ) from t = 0 to 1."""
        return self.sigma_max ** (1 / self.rho) - self.low

    def root(self, logsnr: NDArray) -> NDArray:
        """sigma^(1/ρ) at λ."""
        return np.exp(-logsnr / (2 * self.rho))

    def forward(self, t: NDArray) -> NDArray:
        """λ(t) = −2 ln sigma."""
        return -2 * self.rho * np.log(self.low + t * self.span)

    def inverse(self, logsnr: NDArray) -> NDArray:
        """t(λ)."""
        return (self.root(logsnr) - self.low) / self.span

    def slope(self, logsnr: NDArray) -> NDArray:
        """|dt/dλ|."""
        return self.root(logsnr) / (2 * self.rho * self.span)


def checked_rho(rho: float, low: float, high: float) -> float:
    """The ρ of a grid of sigma, if sigma^(1/ρ) is within float64.

    Args:
        rho: ρ.
        low: Smallest sigma.
        high: Largest sigma.

    Returns:
        ρ as a float.

    Raises:
        ValueError: ρ is too small, or an argument is not a finite number above 0.
    """
    rho, low, high = positive(rho, "rho"), positive(low, "low"), positive(high, "high")
    require(
        max(abs(np.log([low, high]))) < LARGEST_EXPONENT * rho,
        f"rho={rho:g} is too small: sigma^(1/rho) is beyond float64 at {low:g} or {high:g}",
    )
    return rho


def karras(sigma_min: float = 0.002, sigma_max: float = 80.0, rho: float = 7.0) -> Path:
    """sigma^(1/ρ) uniform between its ends.

    Source: Karras et al. 2022 (arXiv 2206.00364), eq. 5.

    Args:
        sigma_min: sigma at t = 0.
        sigma_max: sigma at t = 1.
        rho: ρ.

    Returns:
        The path.

    Raises:
        ValueError: rho is not above 0 or too small for float64, or not 0 < sigma_min < sigma_max.
    """
    positive(sigma_min, "sigma_min")
    sigma_min, sigma_max = ordered(sigma_min, sigma_max, "sigma_min", "sigma_max")
    rho = checked_rho(rho, sigma_min, sigma_max)
    schedule = KarrasSchedule(sigma_min, sigma_max, rho)
    return path_of(f"Karras({sigma_min:g}, {sigma_max:g}, rho={rho:g})", VE, schedule)


# --- alpha(t) by a formula ----------------------------------------------------------------------


@dataclass(frozen=True)
class SigmoidSchedule:
    """sigma² is sigmoid((start + t (end − start))/tau), rescaled to run from 0 to 1.

    Args:
        start: Argument of the sigmoid at t = 0, times tau.
        end: Argument of the sigmoid at t = 1, times tau.
        tau: Temperature.
    """

    start: float
    end: float
    tau: float

    @property
    def width(self) -> float:
        """Growth of the sigmoid's argument from t = 0 to 1."""
        return (self.end - self.start) / self.tau

    @property
    def low(self) -> float:
        """The sigmoid at t = 0."""
        return expit(self.start / self.tau)

    def growth(self, logsnr: NDArray) -> NDArray:
        """The sigmoid less its value at t = 0: the noise variance before the rescaling."""
        return expit(-logsnr) * (expit(self.end / self.tau) - self.low)

    def forward(self, t: NDArray) -> NDArray:
        """λ(t), from differences of sigmoids without cancellation."""
        noise = np.sinh(t * self.width / 2) / np.cosh(self.start / self.tau / 2)
        signal = np.sinh((1 - t) * self.width / 2) / np.cosh(self.end / self.tau / 2)
        return np.log(signal) - np.log(noise)

    def inverse(self, logsnr: NDArray) -> NDArray:
        """t(λ), from a difference of logits without cancellation."""
        growth = self.growth(logsnr)
        rise = np.log1p(growth / self.low) - np.log1p(-growth / (1 - self.low))
        return rise / self.width

    def slope(self, logsnr: NDArray) -> NDArray:
        """|dt/dλ| = growth · sigmoid(λ)/(y (1 − y) width), y the sigmoid at t."""
        growth = self.growth(logsnr)
        spread = (self.low + growth) * (1 - self.low - growth)
        return growth * expit(logsnr) / (spread * self.width)


def sigmoid(start: float = -3.0, end: float = 3.0, tau: float = 1.0) -> Path:
    """alpha² is a rescaled sigmoid of t.

    Source: Jabri et al. 2022 (arXiv 2212.11972), pix2seq's ``sigmoid_schedule``.

    Args:
        start: Argument of the sigmoid at t = 0, times tau.
        end: Argument of the sigmoid at t = 1, times tau.
        tau: Temperature.

    Returns:
        The path, in the variance-preserving frame.

    Raises:
        ValueError: Not start < end, or tau is not above 0.
    """
    start, end = ordered(start, end, "start", "end")
    tau = positive(tau, "tau")
    return path_of(f"sigmoid({start:g}, {end:g}, {tau:g})", VP, SigmoidSchedule(start, end, tau))


@dataclass(frozen=True)
class PolynomialSchedule:
    """Scales alpha = (1 − t)^n, sigma = 1 − alpha.

    Args:
        n: Exponent, above 0.
    """

    n: float

    def forward(self, t: NDArray) -> NDArray:
        """λ(t) = 2 (log alpha − log(1 − alpha))."""
        log_alpha = self.n * np.log1p(-t)
        return 2 * (log_alpha - np.log(-np.expm1(log_alpha)))

    def inverse(self, logsnr: NDArray) -> NDArray:
        """t(λ), with alpha = sigmoid(λ/2)."""
        return -np.expm1(log_expit(logsnr / 2) / self.n)

    def slope(self, logsnr: NDArray) -> NDArray:
        """|dt/dλ| = (1 − t)/n · d log alpha/dλ."""
        return STRAIGHT.alpha(logsnr) ** (1 / self.n) * STRAIGHT.slope(logsnr) / self.n


def power(n: float = 2.0) -> Path:
    """Scales alpha = (1 − t)^n, sigma = 1 − alpha (flow_matching's ``PolynomialConvexScheduler``).

    Args:
        n: Exponent.

    Returns:
        The path, in the linear frame.

    Raises:
        ValueError: n is not above 0.
    """
    n = positive(n, "n")
    return path_of(f"polynomial(n={n:g})", STRAIGHT, PolynomialSchedule(n))


@dataclass(frozen=True)
class LinearVPSchedule:
    """Scales alpha = 1 − t, sigma² = 1 − alpha² = t (2 − t)."""

    def forward(self, t: NDArray) -> NDArray:
        """λ(t) = 2 (log alpha − log sigma)."""
        return 2 * (np.log1p(-t) - np.log(t * (2 - t)) / 2)

    def inverse(self, logsnr: NDArray) -> NDArray:
        """Time t = 1 − alpha, without cancellation."""
        return VP.sigma(logsnr) ** 2 / (1 + VP.alpha(logsnr))

    def slope(self, logsnr: NDArray) -> NDArray:
        """|dt/dλ| = alpha · d log alpha/dλ."""
        return VP.alpha(logsnr) * VP.slope(logsnr)


def linear_vp() -> Path:
    """Scales alpha = 1 − t, sigma = sqrt(1 − alpha²) (flow_matching's ``LinearVPScheduler``).

    Returns:
        The path.
    """
    return path_of("linear VP", VP, LinearVPSchedule())


@dataclass(frozen=True)
class ICFMSchedule:
    """Scales alpha = 1 − t, sigma² = t² + width².

    Args:
        width: Standard deviation of the noise that is added all along the path.
    """

    width: float

    @property
    def frame(self) -> Frame:
        """The frame of these scales."""
        return smoothed(self.width)

    def forward(self, t: NDArray) -> NDArray:
        """λ(t) = 2 (log alpha − log sigma)."""
        return 2 * (np.log1p(-t) - np.log(np.hypot(t, self.width)))

    def inverse(self, logsnr: NDArray) -> NDArray:
        """Time t = 1 − alpha."""
        return 1 - self.frame.alpha(logsnr)

    def slope(self, logsnr: NDArray) -> NDArray:
        """|dt/dλ| = alpha · d log alpha/dλ."""
        return self.frame.alpha(logsnr) * self.frame.slope(logsnr)


def icfm(width: float) -> Path:
    """Scales alpha = 1 − t, sigma² = t² + width²: torchcfm's ``ConditionalFlowMatcher``.

    Source: Tong et al. 2023 (arXiv 2302.00482).

    Args:
        width: Standard deviation of the noise that is added all along the path.

    Returns:
        The path.

    Raises:
        ValueError: The width is not above 0.
    """
    width = positive(width, "width")
    schedule = ICFMSchedule(width)
    return path_of(f"I-CFM({width:g})", schedule.frame, schedule)


@dataclass(frozen=True)
class SigmaMinSchedule:
    """Scales alpha = 1 − t, sigma = sigma_min + (1 − sigma_min) t.

    Args:
        sigma_min: sigma at t = 0.
    """

    sigma_min: float

    @property
    def frame(self) -> Frame:
        """The frame of these scales."""
        return straight(self.sigma_min)

    def forward(self, t: NDArray) -> NDArray:
        """λ(t) = 2 (log alpha − log sigma)."""
        return 2 * (np.log1p(-t) - np.log(self.sigma_min + (1 - self.sigma_min) * t))

    def inverse(self, logsnr: NDArray) -> NDArray:
        """Time t = 1 − alpha, without cancellation."""
        return (self.frame.sigma(logsnr) - self.sigma_min) / (1 - self.sigma_min)

    def slope(self, logsnr: NDArray) -> NDArray:
        """|dt/dλ| = alpha · d log alpha/dλ."""
        return self.frame.alpha(logsnr) * self.frame.slope(logsnr)


def sigma_min_path(sigma_min: float) -> Path:
    """The optimal-transport path: alpha = 1 − t, sigma = sigma_min + (1 − sigma_min) t.

    Source: Lipman et al. 2022 (arXiv 2210.02747), eq. 20.

    Args:
        sigma_min: sigma at t = 0, in (0, 1).

    Returns:
        The path.

    Raises:
        ValueError: sigma_min lies outside (0, 1).
    """
    sigma_min = positive(sigma_min, "sigma_min")
    schedule = SigmaMinSchedule(sigma_min)
    return path_of(f"linear, sigma_min {sigma_min:g}", schedule.frame, schedule)


# --- paths from paths ---------------------------------------------------------------------------


def shifted(path: Path, shift: float) -> Path:
    """A path with λ moved by −2 log shift, as for a higher resolution.

    Source: Hoogeboom et al. 2023 (arXiv 2301.11093); Esser et al. 2024 (arXiv 2403.03206), eq. 23.

    Args:
        path: The path before the shift.
        shift: Factor on sigma/alpha.

    Returns:
        The path, in the same frame.

    Raises:
        ValueError: The shift is not a finite number above 0, or takes λ to where the frame has no
            alpha and sigma.
    """
    path = checked_path(path)
    shift = positive(shift, "shift")
    law = moved(path.schedule, -2 * np.log(shift))
    _check_within_frame(path.frame, law, f"shift {shift:g} of {path.name!r}")
    return replace(path, name=f"{path.name}, shift {shift:g}", schedule=law)


def _check_within_frame(frame: Frame, law: Any, name: str) -> None:
    """Refuse a law with an end where alpha and sigma of a frame do not have its log-SNR."""
    ends = np.clip(law.support(), -FARTHEST_END, FARTHEST_END)
    with np.errstate(all="ignore"):
        logsnr = 2 * np.log(frame.alpha(ends) / frame.sigma(ends))
    wrong = ~(np.abs(logsnr - ends) < 1e-6)  # NaN too
    if wrong.any():
        raise ValueError(
            f"{name} reaches logsnr {ends[wrong][0]:.4g}, where the frame {frame.name} has no "
            "alpha and sigma; take a shift of at least 1, or restrict the path first"
        )


def restricted(path: Path, start: float, end: float, name: str | None = None) -> Path:
    """The stretch start <= t <= end of a path, run through in unit time.

    Args:
        path: The whole path.
        start: Its time at the new t = 0.
        end: Its time at the new t = 1.
        name: What plots and errors call the stretch.

    Returns:
        The path, in the same frame.

    Raises:
        ValueError: Not 0 <= start < end <= 1.
    """
    path = checked_path(path)
    start = number(start, "start")
    end = number(end, "end")
    if not 0 <= start < end <= 1:
        raise ValueError(f"need 0 <= start < end <= 1, got {start}, {end}")
    time = stats.uniform(start, end - start)
    law = quantile_of(time, path.schedule)
    return replace(path, name=name or f"{path.name} on t in [{start:g}, {end:g}]", schedule=law)


@dataclass(frozen=True)
class InterpolatedSchedule:
    """λ(t) = t λ_low(t) + (1 − t) λ_high(t).

    Args:
        low: Law of λ under uniform time of the path that is reached at t = 1.
        high: The same of the path that is left at t = 0.
    """

    low: Any
    high: Any

    def forward(self, t: NDArray) -> NDArray:
        """λ(t)."""
        return t * self.low.isf(t) + (1 - t) * self.high.isf(t)

    def with_growth(self, t: NDArray) -> tuple[NDArray, NDArray]:
        """λ(t) and dλ/dt."""
        low = self.low.isf(t)
        high = self.high.isf(t)
        growth = low - high - t / self.low.pdf(low) - (1 - t) / self.high.pdf(high)
        return t * low + (1 - t) * high, growth

    def inverse(self, logsnr: NDArray) -> NDArray:
        """t(λ), by root search.

        It starts at the t for which t = t t_low(λ) + (1 − t) t_high(λ), the limit at either end.
        """
        first = self.high.sf(logsnr)
        between = first / np.maximum(self.low.cdf(logsnr) + first, np.finfo(float).tiny)
        return inverted(self.with_growth, logsnr, start=between)

    def slope(self, logsnr: NDArray) -> NDArray:
        """|dt/dλ|, from the derivative of λ(t)."""
        _, growth = self.with_growth(self.inverse(logsnr))
        return -1 / growth


def interpolated(low: Path, high: Path) -> Path:
    """λ(t) = t λ_low(t) + (1 − t) λ_high(t), whose inverse is a root search.

    Where one path is a table, or both are tables of the same steps, so is what is between: t is in
    the middle of each step, where the table has its level.

    Source: Hoogeboom et al. 2023 (arXiv 2301.11093), eq. 15.

    Args:
        low: The path that is reached at t = 1.
        high: The path that is left at t = 0.

    Returns:
        The path, in the frame of ``high``.

    Raises:
        ValueError: A path has an end at infinity.
    """
    low = checked_path(low, "low")
    high = checked_path(high, "high")
    ends = [*low.schedule.support(), *high.schedule.support()]
    if not np.isfinite(ends).all():
        raise ValueError(
            "interpolated paths need finite logsnr ends; use restricted(path, start, end) first"
        )
    name = f"{low.name} to {high.name}"
    table = _table_of_both(low, high)
    if table is None:
        return path_of(name, high.frame, InterpolatedSchedule(low.schedule, high.schedule))
    drawn = table.exceeded(table.levels)
    every = table.exceeded(table.table)
    levels = _between(drawn, *(_levels_at(path.schedule, drawn) for path in (low, high)))
    steps = _between(every, *(_steps_at(path.schedule, every) for path in (low, high)))
    return Path(name, high.frame, atoms(levels, table.mass, table=steps))


def _between(time: NDArray, at_low: NDArray, at_high: NDArray) -> NDArray:
    """λ between those of two paths by time, infinite where one of them is."""
    outside = ~np.isfinite(at_low + at_high)
    return np.where(outside, at_low + at_high, time * at_low + (1 - time) * at_high)


def _levels_at(schedule: Any, time: NDArray) -> NDArray:
    """Levels of a table, or those of a continuous schedule at given times."""
    table = atomic(schedule)
    return schedule.isf(time) if table is None else table.levels


def _steps_at(schedule: Any, time: NDArray) -> NDArray:
    """Every step of a table, or the levels of a continuous schedule at given times."""
    table = atomic(schedule)
    return schedule.isf(time) if table is None else table.table


def _table_of_both(low: Path, high: Path) -> AtomicLaw | None:
    """The steps that two paths have in common, where one is a table or both are of like steps."""
    tables = [table for path in (low, high) if (table := atomic(path.schedule)) is not None]
    times = [table.exceeded(table.table) for table in tables]
    alike = all(len(one) == len(times[0]) and np.allclose(one, times[0]) for one in times)
    return tables[0] if tables and alike else None


def rescaled_logsnr(
    logsnr: NDArray, alpha_change: float, gap_change: float, scale: float
) -> NDArray:
    """λ after an affine map of alpha, in the variance-preserving frame.

    Args:
        logsnr: λ before, any shape.
        alpha_change: Added to alpha before the scale.
        gap_change: Added to 1 − alpha before the scale, given apart to avoid cancellation.
        scale: Factor on both.

    Returns:
        λ after, same shape; infinite where alpha would leave [0, 1].
    """
    alpha = np.maximum(VP.alpha(logsnr) + alpha_change, 0) * scale
    gap = np.maximum(VP.sigma(logsnr) ** 2 / (1 + VP.alpha(logsnr)) + gap_change, 0) * scale
    with np.errstate(divide="ignore"):
        return 2 * np.log(alpha) - np.log(gap * (1 + alpha))


@dataclass(frozen=True)
class ZeroTerminalSchedule:
    """Path with alpha moved affinely to end at 0, with alpha(0) kept.

    Args:
        law: Law of λ under uniform time on the path before.
        first: alpha of that path at t = 0.
        last: alpha of that path at t = 1.
    """

    law: Any
    first: float
    last: float

    @property
    def scale(self) -> float:
        """Range of alpha before, over that after."""
        return (self.first - self.last) / self.first

    @property
    def kept(self) -> float:
        """What 1 − alpha lacks before the scale."""
        return self.last * (1 - self.first) / self.first

    def before(self, logsnr: NDArray) -> NDArray:
        """λ of the path before that is moved to a given one."""
        scale = self.scale
        return rescaled_logsnr(logsnr, self.last / scale, self.kept / scale, scale)

    def growth(self, logsnr: NDArray) -> NDArray:
        """2 d alpha/dλ = alpha sigma²."""
        return VP.alpha(logsnr) * VP.sigma(logsnr) ** 2

    def forward(self, t: NDArray) -> NDArray:
        """λ(t)."""
        return self.after(self.law.isf(t))

    def after(self, logsnr: NDArray) -> NDArray:
        """λ to which that of the path before is moved."""
        return rescaled_logsnr(logsnr, -self.last, -self.kept, 1 / self.scale)

    def inverse(self, logsnr: NDArray) -> NDArray:
        """t(λ)."""
        return self.law.sf(self.before(logsnr))

    def slope(self, logsnr: NDArray) -> NDArray:
        """|dt/dλ|, by the chain rule through alpha."""
        before = self.before(logsnr)
        return self.law.pdf(before) * self.growth(logsnr) * self.scale / self.growth(before)


def zero_terminal_snr(path: Path) -> Path:
    """Path with alpha moved affinely to end at 0, with alpha(0) kept.

    Of a table the levels are moved. The last step, which is left without signal, has none.

    Source: Lin et al. 2023 (arXiv 2305.08891), algorithm 1.

    Args:
        path: A path in the variance-preserving frame.

    Returns:
        The path that ends without signal.

    Raises:
        ValueError: The path is in another frame.
    """
    path = checked_path(path)
    if path.frame != VP:
        raise ValueError(
            "zero terminal SNR moves the alpha of a variance-preserving path; "
            f"{path.name!r} is {path.frame.name}"
        )
    name = f"{path.name}, zero terminal SNR"
    table = atomic(path.schedule)
    if table is not None:
        last, first = VP.alpha(table.levels[[0, -1]])
        schedule = ZeroTerminalSchedule(None, first, last)
        moved_levels = schedule.after(table.levels[1:])
        with_signal = table.table > table.levels[0]
        steps = np.full(table.steps, -np.inf)
        steps[with_signal] = schedule.after(table.table[with_signal])
        return Path(name, VP, atoms(moved_levels, table.mass[1:], table=steps))
    first, last = VP.alpha(path.schedule.isf([0.0, 1.0]))
    schedule = ZeroTerminalSchedule(path.schedule, first, last)
    return path_of(name, VP, schedule)


def discrete(alphas_cumprod: ArrayLike) -> Path:
    """Path through a table of steps, each equally likely.

    Args:
        alphas_cumprod: alpha², falling, shape (T,).

    Returns:
        The path, in the variance-preserving frame.

    Raises:
        ValueError: A value lies outside (0, 1) or stands in the table twice, or there is only one.
    """
    table = array(alphas_cumprod, "alphas_cumprod", ndim=1)
    if not ((table > 0) & (table < 1)).all():
        raise ValueError(
            "alphas_cumprod must lie strictly within (0, 1); "
            "drop a last step with zero SNR: it has logsnr -inf"
        )
    require(table.size > 1, f"alphas_cumprod must hold two steps or more, got {table}")
    values, counts = np.unique(table, return_counts=True)
    require(
        (counts == 1).all(),
        f"alphas_cumprod must differ from step to step, got {values[counts > 1][:3]} more than "
        "once; give each step once",
    )
    return Path(f"table of {table.size} steps", VP, atoms(logit(table)))


LINEAR = Path("linear", STRAIGHT, stats.logistic(scale=2))
COSINE = cosine()
GVP = Path("trigonometric (GVP)", VP, stats.hypsecant(scale=2))


def push_forward(time: Any, path: Path) -> Any:
    """Law of λ when t has a given law.

    Args:
        time: Law of t, a frozen SciPy distribution on [0, 1].
        path: The path that takes t to λ.

    Returns:
        A frozen SciPy distribution.

    Raises:
        ValueError: The law of t leaves [0, 1].
    """
    time = completed(time, "time")
    path = checked_path(path)
    low, high = time.support()
    if not (low >= 0 and high <= 1):  # NaN too
        raise ValueError(
            f"a time density lives on [0, 1] (0 is data), this one on [{low:g}, {high:g}]"
        )
    return quantile_of(time, path.schedule)
