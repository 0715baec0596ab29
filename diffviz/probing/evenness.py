"""Whether the levels of a measurement are even, or scatter like numbers drawn at random.

Levels that are quantiles of their law come equally often in each part of the calls of a loss. Those
from a source that was not intercepted, or of which a loss rejects some, come as often as chance has
it. The share of chance is the statistic of a chi-square test that all parts of the calls have the
same law, over its mean for numbers at random: 0 for even levels, and 1 for independent ones. It is
above 1 where something is chosen once a call.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from diffviz.probing.binning import log_odds
from diffviz.probing.draws import REPLICATES
from diffviz.probing.measured import Measured

GROUPS = 10  # of calls, whose levels are compared
BINS = 20  # of equal probability
FEWEST_GAPS = 100
SLOWLY = 0.2  # step of the log distance between levels
MIDDLE = 0.9  # of the draws
NEARLY_ALL = 0.998  # of the draws
LIMIT = float(stats.t.ppf(0.975, REPLICATES - 1))  # standard errors that hold in 95 of 100 cases
KNOWN = 0.01  # standard error of w in one of these bins up to which nothing is said
ROUNDING = GROUPS * BINS / 4  # share that rounding to whole numbers of draws gives, times the draws
LEFT_OUT = 2e-3  # share from which on levels of which some are left out count as sampled
ALL = 2.0  # share of chance from which on something differs between calls


@dataclass(frozen=True)
class Evenness:
    """What is known of the numbers that levels are made of.

    Attributes:
        fits: They were drawn for all samples, or for equal parts of them. Otherwise some levels of
            an even grid are left out.
        loose: Levels depend on others than those in even order, as where a source is not known, or
            a loop rejects some.
        estimated: The size of the noise is estimated, so that levels scatter with it.
        lost: Draws without a finite level are left out.
    """

    fits: bool = True
    loose: bool = False
    estimated: bool = False
    lost: bool = False

    @property
    def is_sampled(self) -> bool:
        """Whether levels are drawn at random, at least some of them."""
        return self.loose or not self.fits


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


def is_uneven(share: float, draws: int, evenness: Evenness) -> bool:
    """Whether levels with this share of chance leave w less well known than quantiles do.

    Levels that are sampled count from the share on that makes an error of ``KNOWN`` in each bin.
    Those made of several even numbers count from that of rounding on, as they are less even in the
    tails. Those of which some are left out count at once.

    Args:
        share: The share of chance.
        draws: Number of draws.
        evenness: What is known of the numbers that levels are made of.

    Returns:
        Whether something is to be said.
    """
    least = ROUNDING / draws
    if not evenness.fits:
        least = LEFT_OUT
    elif evenness.is_sampled:
        least = max(least, KNOWN**2 * draws / BINS)
    return least < share < ALL


def note_on_levels(measured: Measured, share: float, evenness: Evenness) -> str:
    """Says why levels are uneven, and how well the density is known.

    Args:
        measured: The measurement.
        share: The share of chance.
        evenness: What is known of the numbers that levels are made of.

    Returns:
        A sentence.
    """
    if evenness.is_sampled:
        limit = 100 * LIMIT * np.sqrt(share * BINS / measured.samples)
        return (
            "levels could not be put in even order (drawn by a source that is not known, or some "
            "are left out, as rejected or odd ones?): they are sampled, and w is known to "
            f"±{limit:.2g} % (in 95 of 100 cases) in each of {BINS} bins of as many draws; more "
            "draws= tell more"
        )
    middle, tails = _limits(measured)
    return (
        f"{_cause(evenness)}: in {BINS} bins, w is known to ±{_percent(middle)} % in the middle "
        f"{_percent(MIDDLE)} % of the draws and to ±{_percent(tails)} % in the tails (in 95 of 100 "
        "cases); more draws= tell more"
    )


def _percent(share: float) -> str:
    """A share in percent to two digits, or as a whole number."""
    return f"{100 * share:.2g}" if share < 0.995 else f"{100 * share:.0f}"


def _cause(evenness: Evenness) -> str:
    """Why levels whose random numbers are known are uneven."""
    if evenness.estimated:
        return "levels scatter, since the size of the noise is estimated in each draw"
    if evenness.lost:
        return "levels are less even where draws are left out"
    return (
        "a level is made of several random numbers (the largest of two, a sum, a choice?), which "
        "are even each by itself and less so jointly, or it is of a table with more levels than "
        "draws"
    )


def _limits(measured: Measured) -> tuple[float, float]:
    """Largest relative error of the density that is likely, in the middle and in the tails.

    They are those of bins of equal width over nearly all draws.
    """
    edges = measured.edges(BINS, NEARLY_ALL)
    density, error = measured.density(edges)
    relative = np.divide(error, density, out=np.zeros_like(error), where=density > 0)
    low, high = measured.edges(1, MIDDLE)
    inside = (edges[:-1] >= low) & (edges[1:] <= high)
    middle = relative[inside] if inside.any() else relative
    return LIMIT * float(middle.max()), LIMIT * float(relative.max())


def are_quantiles(measured: Measured) -> bool:
    """Whether levels are quantiles of their law at even probabilities, in whatever order they come.

    Their distances from each other vary slowly, but for a few in a hundred, as they are or in units
    of those of even log-odds.

    Args:
        measured: The measurement.

    Returns:
        Whether they are. A table is none.
    """
    measured = measured.without_atoms()
    gaps = np.diff(np.sort(measured.logsnr))
    if len(gaps) < FEWEST_GAPS or measured.discrete or not gaps.min() > 0:
        return False
    units = (1.0, np.diff(log_odds(len(measured.logsnr))))
    steps = [np.quantile(np.abs(np.diff(np.log(gaps / unit))), 0.98) for unit in units]
    return bool(min(steps) < SLOWLY)


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
