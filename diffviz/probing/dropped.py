"""Samples whose data, noise or whole input a loss drops at random, at levels that others have.

Such a sample has no finite log-SNR. If it were merely left out, the levels of the others would
scatter as chance has it, and the curve with them. Its level is known all the same where the network
gets a time, or where the scale of what is left tells it. There it takes path, target and factor of
its neighbours in that time, so that the levels are even again. Where the share of dropped samples
depends on the level, it counts with a factor of 0.

Levels at which all samples are lost, such as the clean one of a table, are no dropped samples.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from diffviz.probing.coefficients import ARRAYS, Coefficients

FEWEST = 3  # dropped samples that are no accident
CHANCE = 1e-6  # probability of a gap of samples in a row that are dropped
CHANCE_OF_SHARE = 1e-3  # probability of shares as different as those that depend on the level
BINS = 20  # of equal probability, whose shares are compared
RARE = 1e-3  # share of skipped samples up to which rounding may be the cause
MONOTONE = 0.99  # share of the steps of log-SNR that go one way, where a time tells the level
SAME_LEVEL = 1e-4  # step of log-SNR that goes no way


@dataclass(frozen=True, eq=False)
class Dropped:
    """The samples that a loss drops.

    Attributes:
        mask: Which draws are dropped, bool, shape (n,).
        time: What tells the level of each draw, shape (n,).
        what: What does not reach the network, in words.
        depends: The share of dropped samples depends on the level.
        told: Whether it can be told at which levels draws are lost.
    """

    mask: NDArray
    time: NDArray
    what: str = ""
    depends: bool = False
    told: bool = True

    @property
    def share(self) -> float:
        """Share of the draws that are dropped."""
        return float(self.mask.mean())

    @property
    def without_weight(self) -> float:
        """Share of the draws that count with a factor of 0, since they are dropped."""
        return self.share if self.depends else 0.0


def nothing_dropped(draws: int = 1, *, told: bool = True) -> Dropped:
    """The record of so many draws of which none is dropped.

    Args:
        draws: Number of draws.
        told: Whether it can be told at which levels draws are lost.

    Returns:
        A record whose share is 0.
    """
    return Dropped(np.zeros(draws, bool), np.zeros(draws), told=told)


def find_dropped(
    coefficients: Coefficients, sigma: NDArray, logsnr: NDArray, usable: NDArray
) -> Dropped:
    """Find the draws that are lost at levels at which others are not.

    Args:
        coefficients: What was read off each draw, n in all.
        sigma: Coefficient of the noise in z, shape (n,).
        logsnr: Log-SNR of the draws, shape (n,); finite where they are usable.
        usable: Which draws have a finite log-SNR, target and factor, shape (n,).

    Returns:
        What was found; with an empty mask where nothing is dropped.
    """
    nothing = nothing_dropped(len(usable))
    lost = ~usable
    if lost.sum() < FEWEST or usable.sum() < FEWEST:
        return nothing
    for time in _times(coefficients, sigma, lost):
        if not _tells_levels(time[usable], logsnr[usable]):
            continue
        mask = lost & ~_in_gaps(time, lost)
        inside = mask & (time >= time[usable].min()) & (time <= time[usable].max())
        if inside.sum() < FEWEST:
            return nothing
        what = _what_is_missing(coefficients.alpha[mask], sigma[mask])
        return Dropped(mask, time, what, depends=_depends(time, mask, usable | mask))
    return nothing_dropped(len(usable), told=False)


def _times(coefficients: Coefficients, sigma: NDArray, lost: NDArray) -> Iterator[NDArray]:
    """What may tell the level of each draw, also of those that are lost, each of shape (n,)."""
    candidates = [*coefficients.scalars, sigma, np.abs(coefficients.alpha)]
    for values in candidates:
        is_known = np.isfinite(values).all()
        if is_known and (values[lost] != 0).any() and np.ptp(values) > 0:
            yield values


def _tells_levels(time: NDArray, logsnr: NDArray) -> bool:
    """Whether log-SNR is a monotone function of a time."""
    steps = np.diff(logsnr[np.argsort(time, kind="stable")])
    signs = np.sign(steps[np.abs(steps) > SAME_LEVEL])
    return bool(len(signs) and np.abs(signs.mean()) > 2 * MONOTONE - 1)


def _in_gaps(time: NDArray, lost: NDArray) -> NDArray:
    """Which lost draws are in stretches without any other, longer than chance makes them."""
    rng = np.random.default_rng(0)
    order = np.lexsort((rng.random(len(time)), time))
    sorted_lost = lost[order]
    run = np.cumsum(np.diff(sorted_lost, prepend=sorted_lost[0]))
    lengths = np.bincount(run)[run]
    longest = 1 + np.log(CHANCE / len(time)) / np.log(lost.mean())
    in_gaps = np.empty_like(lost)
    in_gaps[order] = sorted_lost & (lengths > longest)
    return in_gaps


def _what_is_missing(alpha: NDArray, sigma: NDArray) -> str:
    """What does not reach the network, in words."""
    no_data, no_noise = alpha == 0, sigma == 0
    if (no_data & no_noise).mean() > 0.5:
        return "neither data nor noise reach the network"
    if no_data.mean() > 0.5:
        return "the data do not reach the network"
    if no_noise.mean() > 0.5:
        return "no noise reaches the network"
    return "factor or target are not finite"


def _depends(time: NDArray, mask: NDArray, counted: NDArray) -> bool:
    """Whether the share of dropped draws depends on the level, by a chi-square test."""
    rank = np.argsort(np.argsort(time[counted], kind="stable"))
    place = rank * BINS // len(rank)
    drawn = np.bincount(place, minlength=BINS)
    dropped = np.bincount(place, mask[counted], minlength=BINS)
    share = dropped.sum() / drawn.sum()
    expected = share * drawn
    statistic = ((dropped - expected) ** 2 / (expected * (1 - share))).sum()
    return bool(stats.chi2.sf(statistic, BINS - 1) < CHANCE_OF_SHARE)


def without_skipped(h: NDArray, logsnr: NDArray) -> tuple[NDArray, float]:
    """Give samples that a loss skips at random the weight that others have at their level.

    Args:
        h: Weights, shape (n,); 0 where a sample is skipped.
        logsnr: Log-SNR in nats, finite, shape (n,).

    Returns:
        The weights, and the share of the draws that are skipped; 0 where the share depends on the
        level, since then it belongs to the weighting.
    """
    skipped = h == 0
    if min(skipped.sum(), (~skipped).sum()) < FEWEST or np.ptp(logsnr) == 0:
        return h, 0.0
    mask = skipped & ~_in_gaps(logsnr, skipped)
    if mask.sum() < max(FEWEST, RARE * len(h)) or _depends(logsnr, mask, ~skipped | mask):
        return h, 0.0
    order = np.argsort(logsnr[~skipped], kind="stable")
    h = h.copy()
    h[mask] = np.interp(logsnr[mask], logsnr[~skipped][order], h[~skipped][order])
    return h, float(mask.mean())


def filled(
    dropped: Dropped, coefficients: Coefficients, usable: NDArray, columns: dict[str, NDArray]
) -> tuple[Coefficients, dict[str, NDArray]]:
    """Give dropped draws what their neighbours have.

    Args:
        dropped: Which draws they are.
        coefficients: What was read off each draw, n in all.
        usable: Which draws are not lost, shape (n,).
        columns: Further arrays of shape (n,), such as those of the noises combined to one.

    Returns:
        Coefficients and columns for which dropped draws are usable too.
    """
    known = np.flatnonzero(usable)
    known = known[np.argsort(dropped.time[known], kind="stable")]
    time, at = dropped.time[known], dropped.time[dropped.mask]
    right = np.searchsorted(time, at).clip(1, len(known) - 1)
    width = time[right] - time[right - 1]
    share = np.divide(at - time[right - 1], width, out=np.full(len(at), 0.5), where=width > 0)
    nearest = known[np.where(share > 0.5, right, right - 1)]
    arrays = {name: getattr(coefficients, name).copy() for name in ARRAYS}
    for name in set(ARRAYS) - {"order", "group"}:
        arrays[name][dropped.mask] = arrays[name][nearest]

    def between(values: NDArray) -> NDArray:
        """Values at the dropped draws on straight lines between their neighbours, (n,)."""
        values = values.copy()
        left_value, right_value = values[known[right - 1]], values[known[right]]
        values[dropped.mask] = left_value * (1 - share) + right_value * share
        return values

    signs = np.where(coefficients.alpha < 0, -1, 1)  # may be random: sizes alone are interpolated
    new_signs = np.where(arrays["alpha"] < 0, -1, 1)
    arrays["alpha"] = new_signs * between(signs * coefficients.alpha)
    arrays["a"] = new_signs * between(signs * coefficients.a)
    arrays["h"] = between(coefficients.h)
    if dropped.depends:
        arrays["h"][dropped.mask] = 0
    columns = {name: between(values) for name, values in columns.items()}
    return replace(coefficients, **arrays), columns
