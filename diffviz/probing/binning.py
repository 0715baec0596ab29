"""Densities and weightings in bins of log-SNR, from levels with their masses and factors.

Stratified draws are quantiles of the law of log-SNR, so its density is the derivative of a quantile
function. The derivative is taken in log-odds, where the tails of the usual laws are straight lines.
Where it jumps, as where one law of a mixture ends, draws are counted instead.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

FAMILIES = (
    stats.hypsecant,
    stats.logistic,
    stats.norm,
    stats.uniform,
    stats.laplace,
    stats.cauchy,
)
NODES, RULE = np.polynomial.legendre.leggauss(5)  # in (−1, 1), of the integral over a part
FEWEST_REGULAR = 200  # gaps from which on a quantile function is smooth enough to differentiate
REACH = 0.01  # half-width of the derivative, as a share of the distance to the nearer end
JUMP = 0.3  # difference of the log derivatives to the left and to the right that is no curvature
FEWEST_FOR_A_FAMILY = 20
SCATTER = 0.003  # mean relative distance of draws from their neighbours that is no curvature
SCATTER_LEFT = 0.004  # after smoothing
TREND = 4  # how much wider than a line is a trend, so that it does not follow the scatter
DRAWS_OF_A_PART = 8
MOST_PARTS = 32  # of a bin
FEWEST_OF_A_LINE = 8  # draws on either side
SHARE_OF_A_LINE = 0.01  # of all draws, at most, on either side
SURE = 5  # standard errors of a difference of means that is a jump
POOLED = 2  # bins to either side whose scatter counts for the error of a bin
OFTEN = 10  # times as often as those beside it comes a level that is an atom
BESIDE = 2  # levels on either side that are compared with it
LEAST_REST = 20  # levels from which on a law may have atoms


@dataclass(frozen=True, eq=False)
class Levels:
    """Distinct values of log-SNR that a loss draws.

    Attributes:
        logsnr: The values in increasing order, shape (n,).
        mass: Probability of each, shape (n,).
        factor: Mean factor on the eps squared error of each, shape (n,).
    """

    logsnr: NDArray
    mass: NDArray
    factor: NDArray


def atoms_of(label: NDArray) -> NDArray:
    """Which levels come back more often than chance has it.

    So do those at which times are clamped, in a continuous law or in a table. Their neighbours
    tell, since masses of a law vary slowly. A table of a few levels has no atoms in this sense,
    however uneven its masses are.

    Args:
        label: A whole number that draws of one level share, in the order of levels, int, shape
            (n,).

    Returns:
        For each label up to the largest whether it is that of an atom, bool.
    """
    counts = np.bincount(label)
    is_atom = np.zeros(len(counts), bool)
    drawn = np.flatnonzero(counts)
    n = len(drawn)
    if n < LEAST_REST or counts.max() < OFTEN:  # each of its neighbours comes at least once
        return is_atom
    first = np.clip(np.arange(n) - BESIDE, 0, n - 1 - 2 * BESIDE)
    beside = counts[drawn][first[:, None] + np.arange(1 + 2 * BESIDE)]
    is_atom[drawn] = counts[drawn] >= OFTEN * np.median(beside, axis=1)
    return is_atom


def cells(logsnr: NDArray) -> NDArray:
    """Ends of the cells of increasing levels.

    Args:
        logsnr: Levels in increasing order, shape (n,).

    Returns:
        The midpoints, and as far again beyond the first and the last level, shape (n + 1,).
    """
    if len(logsnr) == 1:
        return np.repeat(logsnr, 2)
    middle = (logsnr[1:] + logsnr[:-1]) / 2
    first = 2 * logsnr[0] - middle[0]
    last = 2 * logsnr[-1] - middle[-1]
    return np.concatenate([[first], middle, [last]])


def bin_averages(levels: Levels, edges: NDArray, *, weighted: bool, discrete: bool) -> NDArray:
    """Averages of p or of w = 2 factor p over bins.

    Args:
        levels: What was drawn.
        edges: Increasing edges of the bins, shape (bins + 1,).
        weighted: Whether the weighting is averaged; otherwise the density is.
        discrete: Whether the levels are those of a table.

    Returns:
        The averages, shape (bins,).
    """
    value = 2 * levels.factor if weighted else np.ones_like(levels.factor)
    if not discrete and are_smooth(levels):
        return _averages_of_quantiles(levels, value, edges)
    cumulative = np.append(0, np.cumsum(levels.mass * value))
    return np.diff(np.interp(edges, cells(levels.logsnr), cumulative)) / np.diff(edges)


def pooled_errors(mean: NDArray, error: NDArray, draws: NDArray) -> NDArray:
    """Standard errors that a few replicates tell, averaged over neighbouring bins.

    What is averaged is the square of an error over that of independent draws, which varies slowly
    from bin to bin.

    Args:
        mean: Averages over bins, shape (bins,).
        error: Their standard errors, each from a few replicates, shape (bins,).
        draws: Number of draws in each bin, shape (bins,).

    Returns:
        Standard errors, shape (bins,); as they were where a bin holds no draw.
    """
    known = (mean != 0) & (draws > 0) & np.isfinite(error)
    relative = np.divide(error, mean, out=np.zeros_like(error), where=known)
    share_of_chance = relative**2 * draws
    place = np.arange(len(mean))
    low, high = np.maximum(place - POOLED, 0), np.minimum(place + POOLED + 1, len(mean))
    total, count = (np.append(0, np.cumsum(values)) for values in (share_of_chance, known))
    share = np.divide(
        total[high] - total[low], count[high] - count[low], out=np.zeros_like(error), where=known
    )
    pooled = np.abs(mean) * np.sqrt(np.divide(share, draws, out=np.zeros_like(error), where=known))
    return np.where(known, pooled, error)


def are_smooth(levels: Levels) -> bool:
    """Whether levels are quantiles at even probabilities, with gaps that vary slowly.

    Args:
        levels: What was drawn.

    Returns:
        Whether they are.
    """
    gaps = np.diff(levels.logsnr)
    if len(gaps) <= FEWEST_REGULAR or np.ptp(levels.mass) != 0 or not gaps.min() > 0:
        return False
    return bool(np.median(np.abs(np.diff(np.log(gaps)))) < 0.2)


def smoothing_reach(logsnr: NDArray, values: NDArray) -> int:
    """How many draws to either side values are averaged over, so that their scatter is small.

    Args:
        logsnr: Log-SNR of the draws, shape (n,).
        values: What may scatter, shape (n,).

    Returns:
        The number of draws; 0 where the values do not scatter.
    """
    order = np.argsort(logsnr, kind="stable")
    scatter = _scatter(logsnr[order], values[order])
    if scatter < SCATTER:
        return 0
    most = max(FEWEST_OF_A_LINE, SHARE_OF_A_LINE * len(values))
    return int(np.clip((scatter / SCATTER_LEFT) ** 2, FEWEST_OF_A_LINE, most))


def smoothed(logsnr: NDArray, values: NDArray, reach: int | None = None) -> NDArray:
    """Values that scatter at the same log-SNR, as a function of it.

    Near draws are fitted by a line, so many of them that the scatter averages out. Before that
    values that are not below 0 are divided by their exponential trend, since weights fall off as
    powers of the SNR.

    Args:
        logsnr: Log-SNR of the draws, shape (n,).
        values: What scatters, shape (n,).
        reach: Number of draws to either side that are averaged over; by default as the scatter
            asks for. Of a part of the draws it is in proportion, so that the same stretch counts.

    Returns:
        The mean at each draw, shape (n,); the values themselves where they do not scatter.
    """
    half = smoothing_reach(logsnr, values) if reach is None else reach
    if not half:
        return values
    order = np.argsort(logsnr, kind="stable")
    x, y = logsnr[order], values[order]
    is_signed = bool((y < 0).any())
    trend = np.ones_like(y) if is_signed else _exponential_trend(x, y, TREND * half)
    relative = y / trend
    ends = np.array([0, *_jumps(relative, half), len(y)])
    for first, last in pairwise(ends):
        part = slice(first, last)
        relative[part] = _moving_lines(x[part], relative[part], half)
    lines = np.empty_like(y)
    lines[order] = (relative if is_signed else np.maximum(relative, 0)) * trend
    return lines


def _jumps(values: NDArray, half: int) -> list[int]:
    """Places at which the mean of so many values before differs from that of those after.

    Lines are not drawn across them. Of near places the one with the largest difference counts, in
    standard errors.
    """
    n = len(values)
    place = np.arange(half, n - half + 1)
    if not len(place):
        return []
    sums, squares = (np.append(0, np.cumsum(one)) for one in (values, values**2))

    def mean_and_variance(low: NDArray) -> tuple[NDArray, NDArray]:
        mean = (sums[low + half] - sums[low]) / half
        return mean, np.maximum((squares[low + half] - squares[low]) / half - mean**2, 0)

    (before, spread_before), (after, spread_after) = map(mean_and_variance, (place - half, place))
    error = np.sqrt((spread_before + spread_after) / half) + SCATTER * np.abs(before + after) / 2
    size = np.divide(np.abs(after - before), error, out=np.zeros(len(place)), where=error > 0)
    sure = np.flatnonzero(size >= SURE)
    found: list[int] = []
    is_near = np.zeros(len(place), bool)  # to a place that was found
    for index in sure[np.argsort(-size[sure], kind="stable")]:
        if not is_near[index]:
            found.append(int(place[index]))
            is_near[max(index - half + 1, 0) : index + half] = True
    return sorted(found)


def _scatter(x: NDArray, y: NDArray) -> float:
    """Mean relative distance of values from what their two neighbours have between them.

    An exponential function of x has none, however steep it is.
    """
    left, middle, right = y[:-2], y[1:-1], y[2:]
    width = x[2:] - x[:-2]
    share = np.divide(x[1:-1] - x[:-2], width, out=np.full_like(width, 0.5), where=width > 0)
    between = (1 - share) * left + share * right
    positive = (left > 0) & (right > 0)
    of_right = share[positive]
    between[positive] = left[positive] ** (1 - of_right) * right[positive] ** of_right
    size = np.abs(middle) + np.abs(between)
    distance = np.abs(middle - between)[size > 0] / size[size > 0]
    return float(distance.mean()) if len(distance) else 0.0


def _exponential_trend(x: NDArray, y: NDArray, half: int) -> NDArray:
    """Lines through the logarithms of so many neighbours on either side, shape (n,), above 0."""
    positive = y > 0
    if positive.sum() < 2:
        return np.ones_like(y)
    logs = _moving_lines(x[positive], np.log(y[positive]), half)
    return np.exp(np.interp(x, x[positive], logs))


def _moving_lines(x: NDArray, y: NDArray, half: int) -> NDArray:
    """Least-squares lines through so many neighbours on either side, at each point, shape (n,)."""
    place = np.arange(len(x))
    low = np.maximum(place - half, 0)
    high = np.minimum(place + half + 1, len(x))
    count = high - low

    def mean(values: NDArray) -> NDArray:
        cumulative = np.append(0, np.cumsum(values))
        return (cumulative[high] - cumulative[low]) / count

    middle, level = mean(x), mean(y)
    spread = mean(x * x) - middle**2
    slope = np.divide(mean(x * y) - middle * level, spread, out=0 * x, where=spread > 1e-9)
    return level + slope * (x - middle)


def _averages_of_quantiles(levels: Levels, value: NDArray, edges: NDArray) -> NDArray:
    """Averages over bins of value times density, the derivative of the quantile function.

    Each bin is cut into parts of a few draws, as values may scatter between draws. Each part is
    integrated by Gauss's rule of five points as far as the levels cover it. Where the density
    jumps, the draws in a part are counted.
    """
    ends = cells(levels.logsnr)
    drawn = np.diff(np.searchsorted(levels.logsnr, edges))
    parts = int(np.clip(drawn.max() / DRAWS_OF_A_PART, 1, MOST_PARTS))
    fine = np.interp(np.arange(len(edges[1:]) * parts + 1) / parts, np.arange(len(edges)), edges)
    left = np.maximum(fine[:-1], ends[0])
    right = np.minimum(fine[1:], ends[-1])
    half = np.maximum(right - left, 0) / 2
    points = left + half * (1 + NODES[:, None])
    reach = _reach(len(levels.logsnr))
    log_density = _log_density(levels.logsnr, reach)
    density = np.exp(np.interp(points, levels.logsnr, log_density))
    integral = RULE @ (density * _between(points, levels.logsnr, value)) * half
    counted = np.diff(np.interp(fine, ends, np.append(0, np.cumsum(levels.mass * value))))
    is_rough = _holds_any(_near_jumps(levels.logsnr, reach), ends, fine)
    integral = np.where(is_rough, counted, integral)
    return integral.reshape(-1, parts).sum(1) / np.diff(edges)


def _between(points: NDArray, logsnr: NDArray, value: NDArray) -> NDArray:
    """Values between levels: geometric means where all are positive, as factors are exponential."""
    if (value > 0).all():
        return np.exp(np.interp(points, logsnr, np.log(value)))
    return np.interp(points, logsnr, value)


def _reach(n: int) -> NDArray:
    """How many draws to either side the derivative at each of n draws goes, shape (n,)."""
    place = np.arange(n)
    distance_to_end = np.minimum(place, n - 1 - place)
    return np.maximum(1, np.round(REACH * distance_to_end)).astype(int)


def log_odds(n: int) -> NDArray:
    """Log-odds of even probabilities.

    Args:
        n: How many there are.

    Returns:
        Those of (i + 1/2)/n, shape (n,).
    """
    return special.logit((np.arange(n) + 0.5) / n)


def _log_density(logsnr: NDArray, reach: NDArray) -> NDArray:
    """Log density at quantiles of even probabilities, from differences in log-odds, shape (n,)."""
    n = len(logsnr)
    place = np.arange(n)
    share = (place + 0.5) / n
    low = np.maximum(place - reach, 0)
    high = np.minimum(place + reach, n - 1)
    odds = log_odds(n)
    share_gained = share * (1 - share) * (odds[high] - odds[low])
    return np.log(share_gained / (logsnr[high] - logsnr[low]))


def _near_jumps(logsnr: NDArray, reach: NDArray) -> NDArray:
    """Which draws have a derivative that takes in a jump of the density, shape (n,)."""
    n = len(logsnr)
    place = np.arange(1, n - 1)
    low = np.maximum(place - reach[1:-1], 0)
    high = np.minimum(place + reach[1:-1], n - 1)
    odds = log_odds(n)
    left = (odds[place] - odds[low]) / (logsnr[place] - logsnr[low])
    right = (odds[high] - odds[place]) / (logsnr[high] - logsnr[place])
    jumps = np.abs(np.log(right / left)) > JUMP
    opened = np.zeros(n + 1, int)
    np.add.at(opened, low[jumps], 1)
    np.add.at(opened, high[jumps] + 1, -1)
    return np.cumsum(opened[:-1]) > 0


def _holds_any(marked: NDArray, ends: NDArray, edges: NDArray) -> NDArray:
    """Which parts between edges overlap the cell of any marked draw, shape (parts,)."""
    until = np.append(0, np.cumsum(marked))
    first = np.clip(np.searchsorted(ends, edges[:-1], side="right") - 1, 0, len(marked))
    last = np.clip(np.searchsorted(ends, edges[1:], side="left"), 0, len(marked))
    return until[last] > until[first]


@dataclass(frozen=True)
class FamilyFit:
    """A SciPy family fitted to levels.

    Attributes:
        name: Name of the family.
        loc: Location.
        scale: Scale.
        distance: Largest difference of the cdf.
    """

    name: str
    loc: float
    scale: float
    distance: float

    def __str__(self) -> str:
        loc = self.loc if abs(self.loc) > 5e-3 else 0
        return f"{self.name}(loc={loc:.3g}, scale={self.scale:.3g})"


def describe_family(levels: Levels, *, discrete: bool = False) -> str:
    """The nearest of a few SciPy families, in words.

    Args:
        levels: What was drawn.
        discrete: Whether the levels are those of a table.

    Returns:
        The family with its parameters and the largest difference of the cdf. Of a short table it is
        the number of its levels.
    """
    count = len(levels.logsnr)
    if count < FEWEST_FOR_A_FAMILY:
        return f"{count} level{'s' * (count > 1)}"
    fit = nearest_family(levels)
    text = f"{_certainty(fit.distance)}{fit}"
    if discrete:
        text += f" on {count} levels"
    return f"{text} (largest difference of the cdf {fit.distance:.1g})"


def nearest_family(levels: Levels) -> FamilyFit:
    """Fit a few SciPy families and take the nearest.

    Args:
        levels: What was drawn.

    Returns:
        The family with the least of the largest differences of the cdf. Location and scale follow
        from the 10, 50 and 90 % quantiles.
    """
    fits = [_fit(family, levels) for family in FAMILIES]
    return min(fits, key=lambda fit: fit.distance)


def _fit(family: Any, levels: Levels) -> FamilyFit:
    """A family fitted to three quantiles."""
    cdf = np.cumsum(levels.mass) - levels.mass / 2
    low, middle, high = np.interp([0.1, 0.5, 0.9], cdf, levels.logsnr)
    scale = (high - low) / (family.ppf(0.9) - family.ppf(0.1))
    loc = middle - scale * family.ppf(0.5)
    with np.errstate(over="ignore"):  # SciPy's hypsecant overflows far out, where its cdf is 1
        fitted = family(loc, scale).cdf(levels.logsnr)
    distance = np.abs(fitted - cdf).max()
    return FamilyFit(family.name, float(loc), float(scale), float(distance))


def _certainty(distance: float) -> str:
    """How near a family is, in words."""
    if distance < 0.004:
        return ""
    return "about " if distance < 0.03 else "unnamed, nearest "
