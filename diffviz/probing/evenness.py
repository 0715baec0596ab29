"""Whether the levels of a measurement are even, or scatter like numbers drawn at random.

Levels that are quantiles of their law come equally often in each part of the calls of a loss. Those
from a source that was not intercepted, or of which a loss rejects some, come as often as chance has
it. The share of chance is the statistic of a chi-square test that all parts of the calls have the
same law, over its mean for numbers at random: 0 for even levels, and 1 for independent ones. It is
above 1 where something is chosen once a call.
"""

import numpy as np
from numpy.typing import NDArray

from diffviz.probing.measured import Measured

GROUPS = 10  # of calls, whose levels are compared
BINS = 20  # of equal probability
SOME = 0.1  # share of chance from which on levels count as sampled
ROUNDING = GROUPS * BINS  # share that rounding to whole numbers of draws gives, times the draws
LEFT_OUT = 2e-3  # the same share where the loss leaves some of its numbers out
ALL = 2.0  # share of chance from which on something differs between calls


def share_of_chance(measured: Measured, calls: int) -> float:
    """How much the levels scatter between calls, in units of independent draws.

    Args:
        measured: The measurement.
        calls: Number of calls of the loss.

    Returns:
        The share: 0 for even levels, 1 for independent ones.
    """
    call = measured.order % calls if calls >= GROUPS else measured.order
    counts = _counts(_level_of_each_draw(measured), call % GROUPS)
    expected = counts.sum(1, keepdims=True) * counts.sum(0) / counts.sum()
    freedom = (counts.shape[0] - 1) * (counts.shape[1] - 1)
    if not freedom:
        return 0.0
    statistic = float(((counts - expected) ** 2 / expected).sum())
    draws_of_an_order = len(measured.order) / measured.samples
    return statistic / freedom / draws_of_an_order


def is_sampled(share: float, draws: int, *, fits: bool = True) -> bool:
    """Whether levels with this share of chance count as drawn at random.

    Args:
        share: The share of chance.
        draws: Number of draws.
        fits: Whether numbers were drawn for all samples, or for equal parts of them. Where they
            were not, some levels of an even grid are left out.

    Returns:
        Whether the levels scatter more than even ones do.
    """
    least = SOME + ROUNDING / draws if fits else LEFT_OUT
    return least < share < ALL


def note_on_sampling(measured: Measured, share: float) -> str:
    """Says that levels are sampled, and how well the density is known.

    Args:
        measured: The measurement.
        share: The share of chance.

    Returns:
        A sentence.
    """
    error = np.sqrt(share * BINS / measured.samples)
    return (
        "levels could not be put in even order (drawn by a source that is not known, or some are "
        "left out, as rejected or odd ones?): they are sampled, and w is known to "
        f"±{100 * error:.2g} % in each of {BINS} bins; more draws= tell more"
    )


def _level_of_each_draw(measured: Measured) -> NDArray:
    """Log-SNR of the level of each draw, the same for draws of one level, shape (n,)."""
    repeats = np.bincount(measured.label)
    mean = np.bincount(measured.label, measured.logsnr) / np.maximum(repeats, 1)
    return mean[measured.label]


def _counts(logsnr: NDArray, group: NDArray) -> NDArray:
    """Draws of each group in each bin of about equal probability, without empty ones."""
    quantiles = np.quantile(logsnr, np.arange(1, BINS) / BINS, method="inverted_cdf")
    place = np.searchsorted(np.unique(quantiles), logsnr)
    counts = np.zeros((GROUPS, BINS))
    np.add.at(counts, (group, place), 1)
    return counts[counts.any(1)][:, counts.any(0)]
