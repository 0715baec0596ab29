"""Masking schedules: how often a token is hidden at a time, and the law of log-SNR that follows.

At time t each token is kept with probability alpha and masked with the rate m = 1 − alpha, by
itself. The log-SNR of masking is

    λ = log(alpha/m),      alpha = sigmoid(λ),      m = sigmoid(−λ).

A schedule is three functions: the rate at a time, the time at a rate, and |dt/dm|. Uniform time
then has the density p(λ) = |dt/dm| · m · alpha. Each function takes or returns the pair (m, alpha),
so that neither end loses its digits. All forms here also count time from its end, by 1 − t: a time
near 1 is rounded, and where the rate goes on slowly there, much is lost with the digits.

Example:
    >>> from diffviz.masked import schedules
    >>> schedules.LINEAR.law.ppf([0.25, 0.75]).round(3)
    array([-1.099,  1.099])
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import expit, log_expit

from diffviz.checks import instance, number, offers, positive, require
from diffviz.theory.laws import CurveMap, Transformed, completed, reflected, two_sided

Rates = tuple[NDArray, NDArray]  # the masking rate m and alpha = 1 − m


def logsnr_of(mask: NDArray, keep: NDArray) -> NDArray:
    """Log-SNR of a masking rate.

    Args:
        mask: Masking rate m, any shape.
        keep: alpha = 1 − m, same shape.

    Returns:
        log(alpha/m) in nats, same shape; ±inf where nothing or everything is masked.
    """
    with np.errstate(divide="ignore"):
        return np.log(keep) - np.log(mask)


def rates_at(logsnr: NDArray) -> Rates:
    """Masking rate and alpha of a log-SNR.

    Args:
        logsnr: λ in nats, any shape.

    Returns:
        sigmoid(−λ) and sigmoid(λ), each of that shape.
    """
    level = np.asarray(logsnr, dtype=float)
    return expit(-level), expit(level)


class Form(Protocol):
    """The three functions of a schedule."""

    def rates(self, t: NDArray, /) -> Rates:
        """Masking rate and alpha at time t."""

    def time(self, mask: NDArray, keep: NDArray, /) -> NDArray:
        """Time of a masking rate."""

    def slope(self, mask: NDArray, keep: NDArray, /) -> NDArray:
        """|dt/dm| at a masking rate."""


class TwoSidedForm(Form, Protocol):
    """A form that rises with time, and that is exact at the end of time too."""

    def late_rates(self, rest: NDArray, /) -> Rates:
        """Masking rate and alpha where 1 − t is ``rest``."""

    def rest(self, mask: NDArray, keep: NDArray, /) -> NDArray:
        """1 − t at a masking rate."""


@dataclass(frozen=True)
class LevelQuantiles:
    """The map from a probability to a quantile of λ under uniform time, of a form that rises.

    Args:
        form: The form.
    """

    form: TwoSidedForm

    def forward(self, q: NDArray) -> NDArray:
        """Quantile of q."""
        return logsnr_of(*self.form.late_rates(q))

    def forward_above(self, q: NDArray) -> NDArray:
        """Quantile that is exceeded with probability q."""
        return logsnr_of(*self.form.rates(q))

    def inverse(self, y: NDArray) -> NDArray:
        """Probability below y."""
        return self.form.rest(*rates_at(y))

    def inverse_above(self, y: NDArray) -> NDArray:
        """Probability above y."""
        return self.form.time(*rates_at(y))

    def slope(self, y: NDArray) -> NDArray:
        """Density at y."""
        return _density(self.form, y)

    def log_slope(self, y: NDArray) -> NDArray:
        """Logarithm of the density at y."""
        return _log_density(self.form, y)


def _density(form: Form, logsnr: NDArray) -> NDArray:
    """|dt/dλ| of a form at λ in nats, same shape."""
    mask, keep = rates_at(logsnr)
    return form.slope(mask, keep) * mask * keep


def _log_density(form: Form, logsnr: NDArray) -> NDArray:
    """Logarithm of |dt/dλ| of a form, also where the product of its factors underflows."""
    with np.errstate(divide="ignore"):
        slope = np.log(form.slope(*rates_at(logsnr)))
    return slope + log_expit(-logsnr) + log_expit(logsnr)


@dataclass(frozen=True)
class Schedule:
    """A masking schedule.

    Args:
        name: What plots and errors call it.
        form: Rate at a time, time at a rate, and its slope; also by 1 − t, if it can.

    Raises:
        TypeError: The name is no text, or the form has not the three functions.
    """

    name: str
    form: Form

    def __post_init__(self) -> None:
        require(isinstance(self.name, str), f"name must be text, got {self.name!r}", TypeError)
        require(
            offers(self.form, Form) and not isinstance(self.form, type),
            f"form must have rates(t), time(mask, keep) and slope(mask, keep), got {self.form!r}",
            TypeError,
        )

    def __repr__(self) -> str:
        return f"Schedule({self.name})"

    def logsnr(self, t: NDArray) -> NDArray:
        """Log-SNR at time t in [0, 1] in nats, same shape."""
        return logsnr_of(*self.form.rates(np.asarray(t, dtype=float)))

    def time(self, logsnr: NDArray) -> NDArray:
        """Time of a log-SNR in nats, same shape."""
        return self.form.time(*rates_at(logsnr))

    def density(self, logsnr: NDArray) -> NDArray:
        """|dt/dλ| at a log-SNR in nats, same shape."""
        return _density(self.form, logsnr)

    def log_density(self, logsnr: NDArray) -> NDArray:
        """Logarithm of |dt/dλ| at a log-SNR in nats, same shape."""
        return _log_density(self.form, logsnr)

    @cached_property
    def law(self) -> Any:
        """Law of λ under uniform time, a frozen SciPy distribution."""
        if isinstance(self.form, Linear):
            return stats.logistic()
        first, last = self.logsnr(np.array([0.0, 1.0]))
        if offers(self.form, TwoSidedForm) and last < first:
            return two_sided(LevelQuantiles(self.form), a=float(last), b=float(first))
        change = CurveMap(self.logsnr, self.time, self.density, self.log_density)
        rising = bool(first < last)
        return Transformed(stats.uniform(), change, rising=rising).freeze()


# --- forms ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Linear:
    """m = t."""

    def rates(self, t: NDArray) -> Rates:
        """Masking rate and alpha at time t."""
        return t, 1 - t

    def time(self, mask: NDArray, keep: NDArray) -> NDArray:
        """Time of a masking rate."""
        return mask

    def late_rates(self, rest: NDArray) -> Rates:
        """Masking rate and alpha where 1 − t is ``rest``."""
        return 1 - rest, rest

    def rest(self, mask: NDArray, keep: NDArray) -> NDArray:
        """1 − t at a masking rate."""
        return keep

    def slope(self, mask: NDArray, keep: NDArray) -> NDArray:
        """|dt/dm| at a masking rate."""
        return np.ones_like(mask)


@dataclass(frozen=True)
class Sine:
    """m = sin(πt/2), so that alpha = 1 − sin(πt/2)."""

    def rates(self, t: NDArray) -> Rates:
        """Masking rate and alpha at time t."""
        return np.sin(np.pi * t / 2), 2 * np.sin(np.pi * (1 - t) / 4) ** 2

    def time(self, mask: NDArray, keep: NDArray) -> NDArray:
        """Time of a masking rate."""
        near_data = 2 / np.pi * np.arcsin(np.minimum(mask, 1))
        near_noise = 1 - 4 / np.pi * np.arcsin(np.sqrt(keep / 2))
        return np.where(mask < 0.5, near_data, near_noise)

    def late_rates(self, rest: NDArray) -> Rates:
        """Masking rate and alpha where 1 − t is ``rest``."""
        return np.cos(np.pi * rest / 2), 2 * np.sin(np.pi * rest / 4) ** 2

    def rest(self, mask: NDArray, keep: NDArray) -> NDArray:
        """1 − t at a masking rate."""
        near_data = 1 - 2 / np.pi * np.arcsin(np.minimum(mask, 1))
        near_noise = 4 / np.pi * np.arcsin(np.sqrt(keep / 2))
        return np.where(mask < 0.5, near_data, near_noise)

    def slope(self, mask: NDArray, keep: NDArray) -> NDArray:
        """|dt/dm| at a masking rate."""
        return 2 / np.pi / np.sqrt(keep * (1 + mask))


@dataclass(frozen=True)
class Cosine:
    """alpha = cos(πt/2)."""

    def rates(self, t: NDArray) -> Rates:
        """Masking rate and alpha at time t."""
        return 2 * np.sin(np.pi * t / 4) ** 2, np.sin(np.pi * (1 - t) / 2)

    def time(self, mask: NDArray, keep: NDArray) -> NDArray:
        """Time of a masking rate."""
        near_data = 4 / np.pi * np.arcsin(np.sqrt(mask / 2))
        near_noise = 1 - 2 / np.pi * np.arcsin(np.minimum(keep, 1))
        return np.where(mask < 0.5, near_data, near_noise)

    def late_rates(self, rest: NDArray) -> Rates:
        """Masking rate and alpha where 1 − t is ``rest``."""
        return 2 * np.sin(np.pi * (1 - rest) / 4) ** 2, np.sin(np.pi * rest / 2)

    def rest(self, mask: NDArray, keep: NDArray) -> NDArray:
        """1 − t at a masking rate."""
        near_data = 1 - 4 / np.pi * np.arcsin(np.sqrt(mask / 2))
        near_noise = 2 / np.pi * np.arcsin(np.minimum(keep, 1))
        return np.where(mask < 0.5, near_data, near_noise)

    def slope(self, mask: NDArray, keep: NDArray) -> NDArray:
        """|dt/dm| at a masking rate."""
        return 2 / np.pi / np.sqrt(mask * (1 + keep))


@dataclass(frozen=True)
class SquaredCosine:
    """alpha = cos²(πt/2)."""

    def rates(self, t: NDArray) -> Rates:
        """Masking rate and alpha at time t."""
        return np.sin(np.pi * t / 2) ** 2, np.sin(np.pi * (1 - t) / 2) ** 2

    def time(self, mask: NDArray, keep: NDArray) -> NDArray:
        """Time of a masking rate."""
        return 2 / np.pi * np.arctan2(np.sqrt(mask), np.sqrt(keep))

    def late_rates(self, rest: NDArray) -> Rates:
        """Masking rate and alpha where 1 − t is ``rest``."""
        return np.sin(np.pi * (1 - rest) / 2) ** 2, np.sin(np.pi * rest / 2) ** 2

    def rest(self, mask: NDArray, keep: NDArray) -> NDArray:
        """1 − t at a masking rate."""
        return 2 / np.pi * np.arctan2(np.sqrt(keep), np.sqrt(mask))

    def slope(self, mask: NDArray, keep: NDArray) -> NDArray:
        """|dt/dm| at a masking rate."""
        return 1 / np.pi / np.sqrt(mask * keep)


@dataclass(frozen=True)
class Power:
    """m = t^exponent.

    Args:
        exponent: Above 0.
    """

    exponent: float

    def rates(self, t: NDArray) -> Rates:
        """Masking rate and alpha at time t."""
        with np.errstate(divide="ignore"):
            return t**self.exponent, -np.expm1(self.exponent * np.log(t))

    def time(self, mask: NDArray, keep: NDArray) -> NDArray:
        """Time of a masking rate."""
        return mask ** (1 / self.exponent)

    def late_rates(self, rest: NDArray) -> Rates:
        """Masking rate and alpha where 1 − t is ``rest``."""
        with np.errstate(divide="ignore"):
            return (1 - rest) ** self.exponent, -np.expm1(self.exponent * np.log1p(-rest))

    def rest(self, mask: NDArray, keep: NDArray) -> NDArray:
        """1 − t at a masking rate."""
        with np.errstate(divide="ignore"):
            return -np.expm1(_log_mask(mask, keep) / self.exponent)

    def slope(self, mask: NDArray, keep: NDArray) -> NDArray:
        """|dt/dm| at a masking rate."""
        return mask ** (1 / self.exponent - 1) / self.exponent


@dataclass(frozen=True)
class KeptPower:
    """alpha = (1 − t)^exponent.

    Args:
        exponent: Above 0.
    """

    exponent: float

    def rates(self, t: NDArray) -> Rates:
        """Masking rate and alpha at time t."""
        with np.errstate(divide="ignore"):
            return -np.expm1(self.exponent * np.log1p(-t)), (1 - t) ** self.exponent

    def time(self, mask: NDArray, keep: NDArray) -> NDArray:
        """Time of a masking rate."""
        with np.errstate(divide="ignore"):
            return -np.expm1(_log_keep(mask, keep) / self.exponent)

    def late_rates(self, rest: NDArray) -> Rates:
        """Masking rate and alpha where 1 − t is ``rest``."""
        with np.errstate(divide="ignore"):
            return -np.expm1(self.exponent * np.log(rest)), rest**self.exponent

    def rest(self, mask: NDArray, keep: NDArray) -> NDArray:
        """1 − t at a masking rate."""
        return keep ** (1 / self.exponent)

    def slope(self, mask: NDArray, keep: NDArray) -> NDArray:
        """|dt/dm| at a masking rate."""
        return keep ** (1 / self.exponent - 1) / self.exponent


@dataclass(frozen=True)
class Geometric:
    """alpha = exp(−s) with log s even between the logarithms of two ends.

    Args:
        smallest: s at time 0.
        largest: s at time 1.
    """

    smallest: float
    largest: float

    @property
    def _width(self) -> float:
        """The logarithm of the largest s over the smallest, which itself may overflow."""
        return float(np.log(self.largest) - np.log(self.smallest))

    def rates(self, t: NDArray) -> Rates:
        """Masking rate and alpha at time t."""
        total = self.smallest ** (1 - t) * self.largest**t
        return -np.expm1(-total), np.exp(-total)

    def time(self, mask: NDArray, keep: NDArray) -> NDArray:
        """Time of a masking rate."""
        total = -_log_keep(mask, keep)
        return (np.log(total) - np.log(self.smallest)) / self._width

    def late_rates(self, rest: NDArray) -> Rates:
        """Masking rate and alpha where 1 − t is ``rest``."""
        total = self.smallest**rest * self.largest ** (1 - rest)
        return -np.expm1(-total), np.exp(-total)

    def rest(self, mask: NDArray, keep: NDArray) -> NDArray:
        """1 − t at a masking rate."""
        total = -_log_keep(mask, keep)
        return (np.log(self.largest) - np.log(total)) / self._width

    def slope(self, mask: NDArray, keep: NDArray) -> NDArray:
        """|dt/dm| at a masking rate."""
        total = -_log_keep(mask, keep)
        return 1 / (keep * total * self._width)


@dataclass(frozen=True)
class Exponential:
    """alpha = exp(−largest · t), a constant rate of masking.

    Args:
        largest: −log alpha at time 1.
    """

    largest: float

    def rates(self, t: NDArray) -> Rates:
        """Masking rate and alpha at time t."""
        return -np.expm1(-self.largest * t), np.exp(-self.largest * t)

    def time(self, mask: NDArray, keep: NDArray) -> NDArray:
        """Time of a masking rate."""
        return -_log_keep(mask, keep) / self.largest

    def late_rates(self, rest: NDArray) -> Rates:
        """Masking rate and alpha where 1 − t is ``rest``."""
        total = self.largest * (1 - rest)
        return -np.expm1(-total), np.exp(-total)

    def rest(self, mask: NDArray, keep: NDArray) -> NDArray:
        """1 − t at a masking rate."""
        return 1 + _log_keep(mask, keep) / self.largest

    def slope(self, mask: NDArray, keep: NDArray) -> NDArray:
        """|dt/dm| at a masking rate."""
        return 1 / (keep * self.largest)


@dataclass(frozen=True)
class OfLaw:
    """m with a law of its own, whose quantiles are the rates at even times.

    Args:
        rate: Law of the masking rate within [0, 1], a frozen SciPy distribution.
        kept: Law of alpha, where it is known without rounding; None for others.
    """

    rate: Any
    kept: Any = None

    def rates(self, t: NDArray) -> Rates:
        """Masking rate and alpha at time t."""
        mask = np.clip(self.rate.ppf(t), 0, 1)
        return mask, 1 - mask if self.kept is None else self.kept.isf(t)

    def late_rates(self, rest: NDArray) -> Rates:
        """Masking rate and alpha where 1 − t is ``rest``."""
        mask = np.clip(self.rate.isf(rest), 0, 1)
        return mask, 1 - mask if self.kept is None else self.kept.ppf(rest)

    def time(self, mask: NDArray, keep: NDArray) -> NDArray:
        """Time of a masking rate."""
        return self._of_smaller(mask, keep, "cdf", "sf")

    def rest(self, mask: NDArray, keep: NDArray) -> NDArray:
        """1 − t at a masking rate."""
        return self._of_smaller(mask, keep, "sf", "cdf")

    def slope(self, mask: NDArray, keep: NDArray) -> NDArray:
        """|dt/dm| at a masking rate."""
        return self._of_smaller(mask, keep, "pdf", "pdf")

    def _of_smaller(self, mask: NDArray, keep: NDArray, of_rate: str, of_kept: str) -> NDArray:
        """A method of the law of m, or that of the law of alpha where alpha is smaller."""
        by_rate = getattr(self.rate, of_rate)(mask)
        if self.kept is None:
            return by_rate
        return np.where(mask < 0.5, by_rate, getattr(self.kept, of_kept)(keep))


@dataclass(frozen=True)
class Squeezed:
    """A form whose rates are squeezed from [0, 1] into [low, high].

    Args:
        form: The form.
        low: Rate where that of the form is 0.
        high: Rate where that of the form is 1.
    """

    form: Form
    low: float
    high: float

    @property
    def _width(self) -> float:
        return self.high - self.low

    def rates(self, t: NDArray) -> Rates:
        """Masking rate and alpha at time t."""
        return self._squeezed(*self.form.rates(t))

    def time(self, mask: NDArray, keep: NDArray) -> NDArray:
        """Time of a masking rate."""
        return self.form.time(*self._stretched(mask, keep))

    def slope(self, mask: NDArray, keep: NDArray) -> NDArray:
        """|dt/dm| at a masking rate."""
        return self.form.slope(*self._stretched(mask, keep)) / self._width

    def _squeezed(self, mask: NDArray, keep: NDArray) -> Rates:
        """Rates between the ends."""
        return self.low + self._width * mask, (1 - self.high) + self._width * keep

    def _stretched(self, mask: NDArray, keep: NDArray) -> Rates:
        """Rates of the form, where rounding may have left [0, 1]."""
        inner = np.clip((mask - self.low) / self._width, 0, 1)
        outer = np.clip((keep - (1 - self.high)) / self._width, 0, 1)
        return inner, outer


@dataclass(frozen=True)
class TwoSidedSqueezed(Squeezed):
    """A squeezed form that is exact at the end of time too.

    Args:
        form: The form.
        low: Rate where that of the form is 0.
        high: Rate where that of the form is 1.
    """

    form: TwoSidedForm

    def late_rates(self, rest: NDArray) -> Rates:
        """Masking rate and alpha where 1 − t is ``rest``."""
        return self._squeezed(*self.form.late_rates(rest))

    def rest(self, mask: NDArray, keep: NDArray) -> NDArray:
        """1 − t at a masking rate."""
        return self.form.rest(*self._stretched(mask, keep))


def _log_mask(mask: NDArray, keep: NDArray) -> NDArray:
    """The logarithm of the masking rate, without loss of digits at either end."""
    return _log_keep(keep, mask)


def _log_keep(mask: NDArray, keep: NDArray) -> NDArray:
    """The logarithm of alpha, without loss of digits at either end."""
    with np.errstate(divide="ignore"):
        near_data = np.log1p(-np.minimum(mask, 0.5))
        return np.where(mask < 0.5, near_data, np.log(keep))


# --- schedules ------------------------------------------------------------------------------------

LINEAR = Schedule("linear", Linear())
SINE = Schedule("sine", Sine())
COSINE = Schedule("cosine", Cosine())
SQUARED_COSINE = Schedule("squared cosine", SquaredCosine())


def power(exponent: float) -> Schedule:
    """The schedule m = t^exponent.

    Source: Shi et al. 2024 (arXiv 2406.04329), the schedule "polynomial".

    Args:
        exponent: Above 0; 1 is the linear schedule.

    Returns:
        The schedule.

    Raises:
        ValueError: The exponent is not a finite number above 0.
    """
    exponent = positive(exponent, "exponent")
    return Schedule(f"power {exponent:g}", Power(exponent))


def kept_power(exponent: float) -> Schedule:
    """The schedule alpha = (1 − t)^exponent: MaskGIT's "square" and "cubic", with its time turned.

    Source: Chang et al. 2022 (arXiv 2202.04200).

    Args:
        exponent: Above 0; 1 is the linear schedule.

    Returns:
        The schedule.

    Raises:
        ValueError: The exponent is not a finite number above 0.
    """
    exponent = positive(exponent, "exponent")
    return Schedule(f"kept power {exponent:g}", KeptPower(exponent))


def geometric(smallest: float, largest: float) -> Schedule:
    """The schedule alpha = exp(−s) with s geometric in time.

    Source: Lou et al. 2023 (arXiv 2310.16834).

    Args:
        smallest: s at time 0, above 0.
        largest: s at time 1, above ``smallest``.

    Returns:
        The schedule.

    Raises:
        ValueError: An end is not a finite number above 0, or they do not increase.
    """
    smallest = positive(smallest, "smallest")
    largest = positive(largest, "largest")
    positive(largest - smallest, "largest - smallest")
    return Schedule(f"geometric {smallest:g} to {largest:g}", Geometric(smallest, largest))


def exponential(largest: float) -> Schedule:
    """The schedule alpha = exp(−largest · t).

    Source: kuleshov-group/mdlm, noise_schedule.py, Linear.

    Args:
        largest: −log alpha at time 1, above 0.

    Returns:
        The schedule.

    Raises:
        ValueError: It is not a finite number above 0.
    """
    largest = positive(largest, "largest")
    return Schedule(f"exponential {largest:g}", Exponential(largest))


def of_law(rate: Any) -> Schedule:
    """A masking rate that is drawn from a law of its own.

    Args:
        rate: Law of the masking rate, a frozen SciPy distribution within [0, 1].

    Returns:
        The schedule.

    Raises:
        TypeError: ``rate`` is no law.
        ValueError: It reaches outside [0, 1].
    """
    rate = completed(rate, "rate")
    low, high = rate.support()
    require(
        0 <= low < high <= 1,
        f"a masking rate lies in [0, 1], the law on [{low:g}, {high:g}]; truncate the law",
    )
    return Schedule(f"rate on [{low:g}, {high:g}]", OfLaw(rate, reflected(rate)))


def squeezed(schedule: Schedule, low: float = 0.0, high: float = 1.0) -> Schedule:
    """A schedule whose rates are squeezed into [low, high], as codes do near both ends.

    Args:
        schedule: The schedule.
        low: Least masking rate.
        high: Largest masking rate.

    Returns:
        The schedule.

    Raises:
        TypeError: The schedule is none, or an end is no number.
        ValueError: 0 <= low < high <= 1 does not hold.
    """
    instance(schedule, "schedule", Schedule, "a schedule such as power(2.0)")
    low = number(low, "low", 0.0, 1.0)
    high = number(high, "high", 0.0, 1.0)
    positive(high - low, "high - low")
    name = f"{schedule.name} on [{low:g}, {high:g}]"
    if offers(schedule.form, TwoSidedForm):
        return Schedule(name, TwoSidedSqueezed(schedule.form, low, high))
    return Schedule(name, Squeezed(schedule.form, low, high))
