"""The law of masking rates in words, from the rates that a loss drew."""

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from diffviz.masked import schedules
from diffviz.masked.schedules import Schedule

NEAR = 0.02  # largest distance of distribution functions at which a law has a name
SMALLEST_STEP = 5e-5  # between rates that are multiples of it
KNOWN_RATES = {
    "uniform masking rate": schedules.LINEAR,
    "m = sin(πt/2), MaskGIT's cosine": schedules.SINE,
    "m = 1 − cos(πt/2), MDLM's cosine": schedules.COSINE,
    "m = sin²(πt/2)": schedules.SQUARED_COSINE,
    "m = t²": schedules.power(2),
    "m = √t": schedules.power(0.5),
    "m = 1 − t², MaskGIT's square": schedules.kept_power(2),
    "m = 1 − t³, MaskGIT's cubic": schedules.kept_power(3),
    "m = 1 − √t": schedules.kept_power(0.5),
}


def in_words(logsnr: NDArray, masks: str, length: int) -> str:
    """The law of masking rates: a known one, or where most of them are.

    Args:
        logsnr: λ of the draws in nats, shape (n,).
        masks: "independent", or "counted" where the number of masked tokens is fixed.
        length: Number of tokens that may be masked.

    Returns:
        A few words.
    """
    rate = np.sort(schedules.rates_at(logsnr)[0])
    if np.ptp(rate) < 1e-4:
        return f"one masking rate, {rate[0]:.3g}"
    found = _counted(rate, length) if masks == "counted" else _independent(rate, logsnr)
    if found:
        return found
    first, low, high, last = np.quantile(rate, [0.0, 0.25, 0.75, 1.0])
    return (
        f"masking rates from {first:.2f} to {last:.2f}, half of them between {low:.2f} and "
        f"{high:.2f}{_steps(rate)}"
    )


def _independent(rate: NDArray, logsnr: NDArray) -> str:
    """A known law of rates; empty if there is none."""
    even = (np.arange(len(rate)) + 0.5) / len(rate)
    distance = {
        name: float(np.abs(_below(known, rate) - even).max()) for name, known in KNOWN_RATES.items()
    }
    best = min(distance, key=lambda name: distance[name])
    if distance[best] < NEAR:
        return best + _steps(rate)
    mean, std = logsnr.mean(), logsnr.std()
    if np.abs(stats.norm(mean, std).cdf(np.sort(logsnr)) - even).max() < NEAR:
        return f"logit-normal masking rate, λ = {mean:.2f} ± {std:.2f}".replace("-0.00", "0.00")
    return ""


def _counted(rate: NDArray, length: int) -> str:
    """A known law of rates, rounded to numbers of tokens; empty if there is none."""
    masked = np.arange(1, length)
    hidden = np.round(rate * length + 1e-6)
    measured = (hidden[None] <= masked[:, None]).mean(1)
    distance = {}
    for name, known in KNOWN_RATES.items():
        for words, ends in (("up", masked), ("to the nearest", masked + 0.5)):
            below = _below(known, ends / length)
            distance[f"{name}, rounded {words}"] = float(np.abs(below - measured).max())
    best = min(distance, key=lambda name: distance[name])
    return best if distance[best] < NEAR else ""


def _below(known: Schedule, rate: NDArray) -> NDArray:
    """Probability of at most a rate under uniform time; every known rate rises with its time."""
    return known.form.time(rate, 1 - rate)


def _steps(rate: NDArray) -> str:
    """Of rates that are multiples of one step, the step; empty for any others."""
    gaps = np.diff(np.unique(rate.round(6)))
    if gaps.min() < SMALLEST_STEP:
        return ""
    steps = round(1 / gaps.min())
    inner = rate[(rate > 1e-4) & (rate < 1 - 1e-4)] * steps
    is_multiple = np.abs(inner - np.round(inner)).max(initial=0.0) < 1e-2
    return f" in steps of 1/{steps}" if is_multiple else ""
