"""The catalogue entries whose weighting is nearest to that of a measured loss.

The probe itself reads nothing of the catalogue, so that each can check the other. Here they meet.
"""

from dataclasses import dataclass, replace
from functools import cache, cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from diffviz.checks import count, offers, require
from diffviz.protocols import Measured
from diffviz.recipes.entries import CATALOGUE
from diffviz.theory.atoms import WeightedLevels, measured_levels
from diffviz.theory.discretisation import departure, table_of
from diffviz.theory.objectives import Objective
from diffviz.theory.weightings import MeasuredMasked, resolve_curve

NODES = 480  # quadrature nodes over all bins of a comparison
FINER = 2400  # points of a bin in which a weighting jumps
JUMP = 1.5  # ratio of weightings at neighbouring nodes from which on they are no smooth curve
LEAST_OVERLAP = 0.9  # share of the bins on which an entry must have support
TABLE = 0.02  # deviation up to which a measured table is one of an entry
LEEWAY = 0.1  # of the standard error, which is no difference between entries
SMOOTH = 0.01  # relative standard error below which it does not count
NO_DIFFERENCE = 0.001  # of deviations where each bin is known
FITS = 3.0  # standard errors, in the mean over bins, up to which an entry may be that of the loss
CHANCE = 9.0  # difference of chi-squares that chance makes: three standard errors
KNOWN = 0.05  # relative standard error up to which a fine bin is known
KEPT = 32  # sets of edges whose averages are kept, each of a quarter of a megabyte


@dataclass(frozen=True)
class Match:
    """A catalogue entry beside a measured loss.

    Args:
        name: Name of the entry.
        deviation: Largest relative deviation of the ratio of weightings from its median.
        at: λ in nats where it is met.
        error: Relative standard error of the measured weighting there.
        mass: Central share of what the loss draws, over which they were compared.
        table: Which table of the entry the loss trains on, in words; empty if on none.
        beyond: Share of the compared stretch that lies beyond the support of the entry, or where
            its ratio is not known, and is left out.
        alike: Entries with another weighting that are as near, as far as is known.
    """

    name: str
    deviation: float
    at: float
    error: float
    mass: float
    table: str = ""
    beyond: float = 0.0
    alike: tuple[str, ...] = ()


@dataclass(frozen=True)
class Binning:
    """How finely a measured loss is compared.

    Args:
        bins: Number of bins.
        mass: Central share of what the loss draws that they cover.
    """

    bins: int
    mass: float


FINE = tuple(Binning(bins=160, mass=mass) for mass in (0.998, 0.99, 0.98))
COARSE = Binning(bins=20, mass=0.98)
WHOLE = Binning(bins=40, mass=0.998)


@dataclass(frozen=True, eq=False)
class Bins:
    """A measured weighting in bins.

    Args:
        edges: Increasing edges in nats, shape (n + 1,).
        w: Average of the weighting over each bin, shape (n,).
        error: Its standard error, shape (n,).
        binning: How finely it was asked for.
    """

    edges: NDArray
    w: NDArray
    error: NDArray
    binning: Binning

    @cached_property
    def middles(self) -> NDArray:
        """Middles of the bins in nats, shape (n,)."""
        return (self.edges[1:] + self.edges[:-1]) / 2

    def average(self, objective: Objective) -> NDArray:
        """The weighting of an objective averaged over each bin, shape (n,); not to be written to.

        A ranking asks for the same averages again and again, and so does the next look at the same
        measurement, so that they are kept.
        """
        if objective not in self._averages:
            self._averages[objective] = self._averaged(objective)
        return self._averages[objective]

    @cached_property
    def _averages(self) -> dict[Objective, NDArray]:
        """What is kept of averages over these bins."""
        return _kept_averages(self.edges.tobytes(), self.binning.bins)

    def _averaged(self, objective: Objective) -> NDArray:
        """The averages of ``average``.

        They are taken at more points where the weighting jumps, as where one law of a mixture ends.
        """
        nodes, weights = _gauss_legendre(NODES // self.binning.bins)
        half = np.diff(self.edges) / 2
        w = objective.weighting(self.middles + half * nodes[:, None])
        average = weights / 2 @ w
        jumps = _holds_a_jump(w)
        if jumps.any():
            points = (np.arange(FINER) + 0.5) / (FINER / 2) - 1
            finer = self.middles[jumps] + half[jumps] * points[:, None]
            average[jumps] = objective.weighting(finer).mean(0)
        return average

    @cached_property
    def relative_error(self) -> NDArray:
        """Standard error over the weighting, shape (n,); 0 where that is 0."""
        return np.divide(self.error, self.w, out=np.zeros_like(self.w), where=self.w > 0)

    def inside(self, objective: Objective) -> NDArray:
        """Bins within the support of an objective, shape (n,).

        A table of steps reaches half a step beyond its continuous limit.
        """
        low, high = _support(objective)
        return (self.edges[:-1] >= low) & (self.edges[1:] <= high)


@cache
def _support(objective: Objective) -> tuple[float, float]:
    """Support of the law in nats, which SciPy works out anew each time."""
    return objective.law.support()


@lru_cache(KEPT)
def _kept_averages(edges: bytes, bins: int) -> dict[Objective, NDArray]:
    """Averages of weightings over bins, which fill up as they are asked for.

    Args:
        edges: The edges of the bins, as bytes.
        bins: How many bins were asked for, which says at how many points each is averaged.
    """
    return {}


@lru_cache
def _gauss_legendre(count: int) -> tuple[NDArray, NDArray]:
    """Nodes in (-1, 1) and weights of a quadrature, shape (count,) each; not to be written to."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return nodes, weights


def _holds_a_jump(w: NDArray) -> NDArray:
    """Which bins hold a jump of a weighting, or may, by its values at their nodes.

    Args:
        w: Values of shape (nodes, bins), not below 0.

    Returns:
        Shape (bins,).
    """
    in_order = w.T.ravel()
    low = np.minimum(in_order[1:], in_order[:-1])
    high = np.maximum(in_order[1:], in_order[:-1])
    jumps = np.flatnonzero(high > JUMP * low)
    nodes, bins = w.shape
    held = np.zeros(bins, bool)
    held[jumps // nodes] = True
    held[(jumps + 1) // nodes] = True
    return held


def in_bins(measured: Measured, binning: Binning) -> Bins:
    """A measured weighting in bins.

    Args:
        measured: A measured loss.
        binning: How finely it is asked for.

    Returns:
        The bins, with averages and their standard errors.
    """
    edges = measured.edges(binning.bins, binning.mass)
    w, error = measured.weighting(edges)
    return Bins(edges, w, error, binning)


def _bins(measured: Measured) -> Bins:
    """A measured weighting in bins as fine as it bears, over as much as is known in each."""
    if not measured.discrete:
        for binning in FINE:
            fine = in_bins(measured, binning)
            errors = fine.relative_error
            if np.median(errors) >= SMOOTH:
                break
            if errors.max() <= KNOWN:
                return fine
    return in_bins(measured, COARSE)


def _typical_ratio(ratio: NDArray, error: NDArray) -> float:
    """The median of ratios in which each counts as far as it is known.

    Args:
        ratio: Measured over known weighting in each bin, shape (n,).
        error: Relative standard error of each, shape (n,).

    Returns:
        The ratio at which half of the inverse variance is reached.
    """
    order = np.argsort(ratio)
    certainty = np.cumsum(np.maximum(np.nan_to_num(error[order]), SMOOTH) ** -2)
    middles = certainty - np.diff(certainty, prepend=0) / 2
    return float(np.interp(certainty[-1] / 2, middles, ratio[order]))


def _match(objective: Objective, measured: Bins) -> Match | None:
    """An objective beside a measured weighting; None where their supports differ too much."""
    inside = measured.inside(objective)
    if inside.mean() <= LEAST_OVERLAP:
        return None
    known = measured.average(objective)
    comparable = inside & (known > 0)
    ratio = np.divide(measured.w, known, out=np.zeros_like(measured.w), where=comparable)
    if (ratio[inside] <= 0).any():
        return None
    typical = _typical_ratio(ratio[inside], measured.relative_error[inside])
    deviations = np.abs(ratio / typical - 1) * inside
    worst = deviations.argmax()
    return Match(
        name=objective.name,
        deviation=float(deviations[worst]),
        at=float(measured.middles[worst]),
        error=float(measured.error[worst] / measured.w[worst]),
        mass=measured.binning.mass,
        beyond=float(1 - inside.mean()),
    )


def _distance(match: Match, table: "MeasuredTable | None", bins: Bins) -> float:
    """How far an entry is from sampled levels, in standard errors.

    The largest deviation of sampled levels is in the tails, where it tells least.
    """
    if table is not None:
        return match.deviation / max(match.error, SMOOTH)
    objective = CATALOGUE[match.name]
    known = bins.average(objective)
    usable = bins.inside(objective) & (known > 0)
    ratio = bins.w[usable] / known[usable]
    error = bins.error[usable] / bins.w[usable]
    # it is itself known from few replicates, and may come out as 0
    error = np.maximum(error, max(np.median(error) / 2, np.finfo(float).eps))
    ratio /= np.average(ratio, weights=error**-2)
    return float(np.sqrt(np.mean(((ratio - 1) / error) ** 2)))


@dataclass(frozen=True, eq=False)
class MeasuredTable:
    """A measured loss on a table of levels.

    Args:
        levels: The levels with their masses and factors.
        ends: Indices of the levels between which weights are compared, shape (n + 1,).
        bins: The weighting in bins between these levels.
    """

    levels: WeightedLevels
    ends: NDArray
    bins: Bins


def _measured_table(measured: Measured, bins: Bins) -> MeasuredTable | None:
    """The levels of a measured loss; None if it has no table of them."""
    levels = measured_levels(measured)
    if levels is None:
        return None
    ends = np.searchsorted(levels.logsnr, bins.edges).clip(0, len(levels.logsnr) - 1)
    return MeasuredTable(levels, np.unique(ends), bins)


def _match_table(objective: Objective, table: MeasuredTable) -> Match | None:
    """An objective beside a measured table; None where their supports differ too much."""
    found = departure(table.levels, resolve_curve(objective, "closest"), objective, table.ends)
    if found is None or len(found.ratio) <= LEAST_OVERLAP * (len(table.ends) - 1):
        return None
    worst = np.abs(found.ratio - 1).argmax()
    if not np.isfinite(found.ratio[worst]):
        return None
    bins = table.bins
    at = np.abs(bins.middles - found.logsnr[worst]).argmin()
    return Match(
        name=objective.name,
        deviation=found.deviation,
        at=float(found.logsnr[worst]),
        error=float(bins.error[at] / bins.w[at]),
        mass=bins.binning.mass,
        table=table_of(table.levels, objective) if found.deviation <= TABLE else "",
        beyond=1 - len(found.ratio) / (len(table.ends) - 1),
    )


@dataclass(frozen=True, eq=False)
class Ranking:
    """The order of entries by how near they are to a measured loss.

    Args:
        kind: Name of the target of the loss.
        is_even: Whether every bin is known, so that the largest deviation tells; otherwise
            distances are in standard errors.
        distances: How far each entry is, by name, the nearest first.
        count: Number of bins.
        whole: Bins over nearly all draws, which need not all be known.
    """

    kind: str
    is_even: bool
    distances: dict[str, float]
    count: int
    whole: Bins

    @cached_property
    def least(self) -> float:
        """The distance of the nearest entry."""
        return min(self.distances.values(), default=0.0)

    def place(self, match: Match) -> tuple[float, float, bool]:
        """Distance to three digits, then that over nearly all draws, then whether targets differ.

        Where distances are in standard errors, a tenth is no difference.
        """
        distance = self._rounded[match.name]
        other_target = CATALOGUE[match.name].target.name != self.kind
        if distance != round(self.least, 3):
            return distance, 0.0, other_target
        same = [name for name in self._nearest if self._is_same(name, match.name)]
        return distance, min(self._nearest[name] for name in same), other_target

    @cached_property
    def _rounded(self) -> dict[str, float]:
        """Distances to three digits, without what is no difference."""
        no_difference = 0.0 if self.is_even else LEEWAY
        return {
            name: round(self.least if distance - self.least < no_difference else distance, 3)
            for name, distance in self.distances.items()
        }

    @cached_property
    def _nearest(self) -> dict[str, float]:
        """The entries whose rounded distance is the least, with that over nearly all draws."""
        least = round(self.least, 3)
        names = [name for name, distance in self._rounded.items() if distance == least]
        return {name: self._over_nearly_all(name) for name in names}

    def _over_nearly_all(self, name: str) -> float:
        """The distance over nearly all draws: deviations to two digits, errors to one."""
        match = _match(CATALOGUE[name], self.whole)
        if match is None:
            return float("inf")
        if self.is_even:
            return round(match.deviation, 2)
        return round(_distance(match, None, self.whole), 1)

    def alike(self, match: Match) -> tuple[str, ...]:
        """Entries that are as near as the nearest one, as far as is known.

        Args:
            match: An entry.

        Returns:
            Names of one entry of each other weighting, the nearest first; none for an entry that
            is itself not as near, or where no entry fits the loss.
        """
        fits = self.least < (TABLE if self.is_even else FITS)
        if not (fits and self._is_as_near(match.name)):
            return ()
        names: list[str] = [match.name]
        for name in self.distances:
            if self._is_as_near(name) and not any(self._is_same(name, other) for other in names):
                names.append(name)
        return tuple(names[1:])

    def _is_as_near(self, name: str) -> bool:
        """Whether nothing tells an entry from the nearest one."""
        distance = self.distances[name]
        if self.is_even:
            return distance - self.least < NO_DIFFERENCE
        return self.count * (distance**2 - self.least**2) < CHANCE

    def _is_same(self, name: str, other: str) -> bool:
        """Whether two entries have one weighting, as far as both are drawn by the loss."""
        if name == other:
            return True
        first, second = CATALOGUE[name], CATALOGUE[other]
        usable = self.whole.inside(first) & self.whole.inside(second)
        w, v = self.whole.average(first)[usable], self.whole.average(second)[usable]
        if not usable.any() or not ((w > 0) & (v > 0)).all():
            return False
        ratio = w / v
        return bool(np.ptp(ratio) < TABLE * np.median(ratio))


def _ranking(
    measured: Measured, bins: Bins, table: MeasuredTable | None, matches: list[Match]
) -> Ranking:
    """The order of entries beside a measured loss."""
    is_even = getattr(measured, "stratified", True)  # curves from elsewhere do not say
    is_even = is_even and (measured.discrete or bins.binning != COARSE)
    distances = {
        match.name: match.deviation if is_even else _distance(match, table, bins)
        for match in matches
    }
    nearest_first = dict(sorted(distances.items(), key=lambda item: item[1]))
    whole = bins if table is not None else in_bins(measured, WHOLE)
    return Ranking(measured.kind, is_even, nearest_first, len(bins.w), whole)


def closest(measured: Measured, k: int = 3) -> list[Match]:
    """The catalogue entries whose weighting is nearest to a measured one, up to a constant.

    Bins are compared with bin averages: 160 bins over 99.8 % of what the loss draws, or over 99 or
    98 % where a bin further out is not known to 5 %. There are 20 bins over 98 % for times that
    were sampled and not stratified, for factors that scatter, and for a table of levels. A table is
    compared with the tables of an entry (see ``diffviz.theory.discretisation``), and a match says
    where it is one. Entries must have support on nine tenths of that stretch. Of entries that are
    equally near, one that is nearer over all draws comes first, and of these one with the same
    target. Where bins are not known well, entries are ordered by their distance in standard errors,
    of which a tenth is no difference. A match names the entries with another weighting that cannot
    be told from it.

    Args:
        measured: A measured loss, as ``dv.probe`` returns it.
        k: Number of entries.

    Returns:
        At most k matches, the nearest first.

    Raises:
        TypeError: ``measured`` is no measured loss, or k is no whole number.
        ValueError: k < 1, or the weighting of the loss could not be measured.

    Example:
        >>> x = torch.linspace(-1, 1, 128).reshape(64, 2)
        >>> measured = dv.probe(dv.lab.losses.edm, x, draws=2000)
        >>> dv.closest(measured, 1)[0].deviation < 0.01
        True
    """
    k = count(k, "k")
    require(
        not offers(measured, MeasuredMasked),
        "measured is a loss of masked diffusion, whose entries are others: "
        "diffviz.masked.closest_masked(measured) finds the nearest of them",
        TypeError,
    )
    require(
        offers(measured, Measured),
        f"measured must be what dv.probe returns, got {type(measured).__name__}; "
        "dv.compare takes two objectives",
        TypeError,
    )
    bins = _bins(measured)
    table = _measured_table(measured, bins)
    matches = [
        _match(objective, bins) if table is None else _match_table(objective, table)
        for objective in CATALOGUE.values()
    ]
    found = [match for match in matches if match is not None]
    ranking = _ranking(measured, bins, table, found)
    first = sorted(found, key=ranking.place)[:k]
    return [replace(match, alike=ranking.alike(match)) for match in first]
