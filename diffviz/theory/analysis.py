"""What a weighting w(λ) on the eps error says about its loss.

    L_w = ½ ∫ w(λ) E‖eps_hat − eps‖² dλ        (Kingma and Gao 2023, arXiv 2303.00848)

Weightings are compared up to a constant. A w that falls with λ makes the loss a sum of ELBOs of
noised data, with −dw/dλ as the law of the noise level. Where w rises, that law would be negative.
The product w(λ) E‖eps_hat − eps‖², the *loss density*, is the same in every base.

``weightings`` says what counts as a weighting: an objective, a measured loss, a callable of λ, or
values on a grid.
"""

import math
from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from diffviz import markup
from diffviz.checks import finite, increasing, number, positive, require
from diffviz.theory import discretisation
from diffviz.theory.atoms import WeightedLevels, measured_levels, weighted_levels
from diffviz.theory.discretisation import between_tables, departure, ratio_on_levels, table_of
from diffviz.theory.elbo_mixture import NODE, WEIGHT, about, narrow_places, with_ends
from diffviz.theory.frames import LARGEST_LEVEL, Curve, levels
from diffviz.theory.multipliers import constant
from diffviz.theory.weightings import (
    Resolved,
    WeightingLike,
    evaluate,
    evaluate_inside,
    is_of_cross_entropy,
    relative_to_elbo,
    require_one_error,
    resolve,
    resolve_curve,
    window,
)

Item = TypeVar("Item", bound=WeightingLike)

NEWTON_STEPS = 20  # at most, to the peak of a quartic
FALL_BETWEEN = (-1.0, 1.0)  # λ at which weightings are told apart before they are compared
CURVE_GRID = np.linspace(-12, 12, 2001)  # λ at which weightings are compared
SHARE_PANELS = 400  # between which a share is integrated, each by as many nodes as a panel has
FAR = 1.5  # ratio of weightings at inner levels beyond which none is a table of the other


def augmentation_density(w: WeightingLike, logsnr: ArrayLike) -> NDArray:
    """Density of the noise augmentation under which a weighted loss is a sum of ELBOs.

    For a non-increasing w it is −dw/dλ (Kingma and Gao 2023, arXiv 2303.00848, sec. 3). Where w
    rises it is negative: there ELBOs of noised data count with a minus. With w(λ_max) as a last
    lump it adds up to w(λ_min).

    Args:
        w: Weighting on the eps error: an objective, a measured loss, a callable of λ, or values
            on the grid.
        logsnr: Increasing λ in nats, shape (n,).

    Returns:
        −dw/dλ by central differences, shape (n,).

    Raises:
        TypeError: ``w`` is a name, or values are no real numbers.
        ValueError: The grid does not increase, or a value is negative or not finite.

    Example:
        >>> dv.augmentation_density([2.0, 1.0, 0.0], [-1.0, 0.0, 1.0])
        array([1., 1., 1.])
    """
    grid = increasing(logsnr, "logsnr")
    return -np.gradient(evaluate(relative_to_elbo(w), grid), grid)


def gaussian_mmse(logsnr: ArrayLike) -> NDArray:
    """Eps error of the exact denoiser on N(0, 1), for each dimension: sigmoid(λ).

    Args:
        logsnr: λ in nats, any shape; ±inf is allowed.

    Returns:
        The error, same shape.

    Raises:
        TypeError: λ is no real number.
        ValueError: λ is NaN.
    """
    return expit(levels(logsnr))


def gaussian_information(logsnr: ArrayLike) -> NDArray:
    """Mutual information I(x; z_λ) = ½ log(1 + e^λ) for x ~ N(0, 1).

    Args:
        logsnr: λ in nats, any shape; ±inf is allowed.

    Returns:
        The information in nats, same shape.

    Raises:
        TypeError: λ is no real number.
        ValueError: λ is NaN.
    """
    at = levels(logsnr)
    # as np.logaddexp(0, at), in a third of its time
    return (np.maximum(at, 0) + np.log1p(np.exp(-np.abs(at)))) / 2


@dataclass(frozen=True, eq=False)
class Verdict:
    """Whether a weighted loss is a sum of ELBOs, and what counts with a minus; from ``verdict``.

    Args:
        monotone: Whether w never rises with λ.
        rises: Intervals of λ on which w rises.
        peak: λ of the largest w.
        negative_share: Share of the ELBO mixture with a negative sign.
        logsnr: The grid, shape (n,).
        w: The weighting on it, shape (n,).
    """

    monotone: bool
    rises: tuple[tuple[float, float], ...]
    peak: float
    negative_share: float
    logsnr: NDArray
    w: NDArray

    @cached_property
    def augmentation(self) -> NDArray:
        """−dw/dλ on the grid, the law of the noise augmentation where w falls, shape (n,)."""
        return -np.gradient(self.w, self.logsnr)

    def __str__(self) -> str:
        if self.monotone:
            return "monotone: a sum of ELBOs of noised data"
        stretches = [
            f"below {last:.2f}" if first == self.logsnr[0] else f"on [{first:.2f}, {last:.2f}]"
            for first, last in self.rises[:3]
        ]
        where = ", ".join(stretches)
        more = " ..." if len(self.rises) > 3 else ""
        return (
            f"not monotone: rises {where}{more}; peak at {self.peak:.3f}; "
            f"negative share {self.negative_share:.2%}"
        )

    def _repr_html_(self) -> str:
        return markup.verdict(self)


def _peak(grid: NDArray, values: NDArray) -> float:
    """Place of the largest value, by a quartic through it and two neighbours on each side."""
    i = int(values.argmax())
    if not 2 <= i < len(grid) - 2:
        return float(grid[i])
    near = slice(i - 2, i + 3)
    unit = grid[i + 1] - grid[i - 1]
    powers = np.vander((grid[near] - grid[i]) / unit, increasing=True)
    _, slope, *higher = np.linalg.solve(powers, values[near] / values[i]).tolist()
    turn = _root_near_zero(slope, *higher)
    place = float(grid[i] + unit * turn)
    inside = grid[i - 1] < place < grid[i + 1]  # NaN is not
    return place if inside else float(grid[i])


def _root_near_zero(slope: float, second: float, third: float, fourth: float) -> float:
    """Where slope x + second x² + third x³ + fourth x⁴ turns, by Newton's method from 0; else NaN.

    General root finders of a polynomial take longer than the rest of a verdict.
    """
    x = 0.0
    for _ in range(NEWTON_STEPS):
        value = slope + x * (2 * second + x * (3 * third + x * 4 * fourth))
        growth = 2 * second + x * (6 * third + x * 12 * fourth)
        if growth == 0:
            return math.nan
        step = value / growth
        x -= step
        if abs(step) <= 1e-14:
            return x
    return math.nan


def _stretches(grid: NDArray, rising: NDArray) -> tuple[tuple[float, float], ...]:
    """Ends of the runs of grid steps that are marked, as pairs of λ."""
    turns = np.flatnonzero(np.diff(rising, prepend=0, append=0))
    pairs = grid[turns].reshape(-1, 2).tolist()
    return tuple((first, last) for first, last in pairs)


def _negative_share(grid: NDArray, values: NDArray, rising: NDArray, information: Curve) -> float:
    """Share of the mixture of ELBOs that has a negative sign."""
    last = values[-1] * number(information(grid[-1]), "information")
    if not rising.any():
        return 0.0
    steps = np.diff(values)
    steps = np.where(rising, steps, np.minimum(steps, 0))  # the start of a support is no rise
    middles = (grid[1:] + grid[:-1]) / 2
    spent = steps * finite(information(middles), "information")
    negative = spent[rising].sum()
    if not negative:
        return 0.0
    whole = last - spent[~rising].sum()
    require(whole > 0, "information must be >= 0, and above 0 where the weighting falls or ends")
    return float(negative / whole)


def _own_grid(resolved: Resolved) -> NDArray:
    """The grid on which a weighting is judged: its levels, or evenly over its support.

    Where the law has a component narrower than a few steps, its quantiles are added.
    """
    grid = window(resolved)
    if resolved.levels is None:
        narrow = narrow_places(resolved, (grid[1] - grid[0]) / 4)
        return with_ends(np.concatenate([grid, narrow]), grid[0], grid[-1]) if len(narrow) else grid
    levels = resolved.levels.logsnr
    inside = levels[(levels >= grid[0]) & (levels <= grid[-1])]
    return inside if len(inside) > 1 else grid


def verdict(
    w: WeightingLike, logsnr: ArrayLike | None = None, information: Curve | None = None
) -> Verdict:
    """Is w monotone (non-increasing in λ), where does it rise, and how much is negative?

    The loss is a signed mixture of ELBOs (Kingma and Gao 2023, arXiv 2303.00848, theorem 1):

        L_w = w(λ_max) L(λ_max) − w(λ_min) L(λ_min) − ∫ w′(λ) L(λ) dλ.

    The negative share is ∫ (w′)₊ L over w(λ_max) L(λ_max) + ∫ (−w′)₊ L, where L(λ) = I(x; z_λ) is
    that of the exact denoiser. The term at λ_min is left out, since it vanishes as the range grows.

    Args:
        w: An objective, a measured loss, a callable of λ, or values on ``logsnr``.
        logsnr: Increasing grid in nats, shape (n,). By default [−20, 20] cut to the support, or the
            levels in it of a loss on a table. The start of the support is no rise.
        information: I(x; z_λ) of the data, a function of λ. By default that of N(0, 1), and of a
            token that depends on no other for masked diffusion, whose w is taken over the ELBO's.

    Returns:
        The verdict.

    Raises:
        TypeError: ``w`` is a name, or values are no real numbers.
        ValueError: The grid does not increase, a w is negative or not finite or 0 throughout, or
            values come without a grid.

    Example:
        >>> print(dv.verdict(dv.objective("fm-ot")))
        monotone: a sum of ELBOs of noised data
        >>> edm = dv.verdict(dv.objective("edm"))
        >>> edm.monotone, round(edm.peak, 2)
        (False, -3.31)
    """
    if information is None:
        information = w.information if is_of_cross_entropy(w) else gaussian_information
    _require_curve(information, "information")
    w = relative_to_elbo(w)
    resolved: Resolved | None
    if logsnr is None:
        resolved = resolve_curve(w, "verdict(w)")
        grid = _own_grid(resolved)
    else:
        resolved = resolve(w)
        grid = increasing(logsnr, "logsnr")
    values = evaluate(w if resolved is None else resolved, grid)
    require(values.any(), "the weighting is 0 on the whole grid; pass a grid inside its support")
    rising = np.diff(values) > 1e-9 * np.maximum(values[1:], values[:-1])
    if resolved is not None:
        low, high = resolved.support
        rising &= (grid[:-1] >= low) & (grid[1:] <= high)
    rises = _stretches(grid, rising)
    return Verdict(
        monotone=not rises,
        rises=rises,
        peak=_peak(grid, values),
        negative_share=_negative_share(grid, values, rising, information),
        logsnr=grid,
        w=values,
    )


@dataclass(frozen=True, eq=False)
class Comparison:
    """Whether two weightings agree up to a constant; from ``compare``.

    Args:
        same: Whether the deviation is within the tolerance.
        deviation: Largest relative deviation of the ratio from its median.
        at: λ where it is met.
        logsnr: The grid, shape (n,). For a table of levels, the middles of the stretches between
            them.
        ratio: The ratio on it with median 1, shape (n,).
        table: Which of them is a table of the other, in words; empty if none is.
    """

    same: bool
    deviation: float
    at: float
    logsnr: NDArray
    ratio: NDArray
    table: str = ""

    def __str__(self) -> str:
        return (
            f"{self.outcome}: the ratio deviates by {self.deviation:.2g} at most, "
            f"at logsnr {self.at:.2f}"
        )

    @property
    def outcome(self) -> str:
        """Same, different, or a table of the other, in words."""
        if not self.same:
            return "different"
        return f"same up to a constant{', ' if self.table else ''}{self.table}"

    def _repr_html_(self) -> str:
        return markup.comparison(self)


def _comparison(logsnr: NDArray, ratio: NDArray, tolerance: float, table: str = "") -> Comparison:
    """What a ratio with median 1 says."""
    worst = np.abs(ratio - 1).argmax()
    deviation = float(abs(ratio[worst] - 1))
    same = deviation <= tolerance
    return Comparison(
        same=same,
        deviation=deviation,
        at=float(logsnr[worst]),
        logsnr=logsnr,
        ratio=ratio,
        table=table if same else "",
    )


def _levels_of(item: WeightingLike, resolved: Resolved) -> WeightedLevels | None:
    """The levels of a loss on a table; of a measured one if it drew them equally often."""
    measured = measured_levels(item)
    return measured if measured is not None and measured.is_even else resolved.levels


def _compare_tables(
    first: WeightedLevels, second: WeightedLevels, tolerance: float
) -> Comparison | None:
    """Compare two tables of different levels; None if too few of them overlap."""
    first_has_fewer = len(first.logsnr) <= len(second.logsnr)
    few, many = (first, second) if first_has_fewer else (second, first)
    nearest = between_tables(few, many)
    if nearest is None:
        return None
    return _comparison(
        nearest.logsnr,
        nearest.ratio if first_has_fewer else 1 / nearest.ratio,
        max(tolerance, discretisation.TOLERANCE),
        f"tables of one weighting with {first.steps} and {second.steps} steps",
    )


def _compare_levels(a: WeightingLike, b: WeightingLike, tolerance: float) -> Comparison | None:
    """Compare at the levels of a table; None if neither is one, or too few levels overlap."""
    one = resolve_curve(a, "compare(a, b)")
    other = resolve_curve(b, "compare(a, b)")
    pairs = [(_levels_of(a, one), other, b), (_levels_of(b, other), one, a)]
    (first, _, _), (second, _, _) = pairs
    if first is not None and second is not None:
        ratio = ratio_on_levels(first, second)
        if ratio is not None:
            return _comparison(first.logsnr, ratio, tolerance)
        over_tables = _compare_tables(first, second, tolerance)
        if over_tables is not None:
            return over_tables
    tables = [(levels, curve, item) for levels, curve, item in pairs if levels is not None]
    if not tables:
        return None
    table, curve, item = min(tables, key=lambda pair: len(pair[0].logsnr))
    nearest = departure(table, curve, item)
    if nearest is None:
        return None
    return _comparison(
        nearest.logsnr,
        nearest.ratio if item is b else 1 / nearest.ratio,
        max(tolerance, discretisation.TOLERANCE),
        table_of(table, item),
    )


def compare(
    a: WeightingLike,
    b: WeightingLike,
    logsnr: ArrayLike | None = None,
    tolerance: float = 1e-6,
) -> Comparison:
    """Are two weightings the same up to a constant?

    A loss on a table of levels is the same as a continuous weighting if it is a table of it (see
    ``diffviz.theory.discretisation``): if the weight between neighbouring levels deviates by at
    most 0.5 %, or by the tolerance where that is more. Two tables of different steps are the same
    if the shorter is so a table of what lies between the levels of the longer.

    Args:
        a: An objective, a measured loss, a callable of λ, or values on ``logsnr``.
        b: The same.
        logsnr: Increasing grid in nats, shape (n,), on which curves are compared. By default it is
            the stretch of [−12, 12] on which both have support, or the levels of a table.
        tolerance: Relative deviation of the ratio that still counts as the same.

    Returns:
        The comparison.

    Raises:
        TypeError: A weighting is a name, values are no real numbers, or one acts on a cross-entropy
            and the other on a squared error.
        ValueError: The supports do not overlap, a weighting is 0 on the grid, or values come
            without a grid.

    Example:
        >>> dv.compare(dv.objective("fm-ot"), dv.objective("v-cosine")).same
        True
        >>> print(dv.compare(dv.objective("fm-ot"), dv.objective("edm"), [-4.0, 0.0, 4.0]))
        different: the ratio deviates by 2.6 at most, at logsnr -4.00
    """
    positive(tolerance, "tolerance")
    require_one_error((a, b))
    if logsnr is None:
        over_levels = _compare_levels(a, b, tolerance)
        if over_levels is not None:
            return over_levels
        a = resolve_curve(a, "compare(a, b)")
        b = resolve_curve(b, "compare(a, b)")
        grid = window(a, b, low=-12, high=12, points=2001)
    else:
        grid = increasing(logsnr, "logsnr")
    over = evaluate(a, grid)
    under = evaluate(b, grid)
    require(
        ((over > 0) & (under > 0)).all(),
        "a weighting is 0 inside the window, the ratio has no meaning there; "
        "pass a narrower logsnr grid",
    )
    return _comparison(grid, over / under / np.median(over / under), tolerance)


def _agree(w: NDArray, known: NDArray, tolerance: float) -> bool:
    """Whether two weightings on a grid agree up to a constant where both are above 0."""
    both = (w > 0) & (known > 0)
    ratio = w[both] / known[both]
    return both.sum() > 100 and np.ptp(ratio) <= tolerance * np.median(ratio)


def _is_far(table: "_Table", group: "_Group") -> bool:
    """Whether a look at a few inner levels tells a table from a weighting, to spare the others."""
    low, high = group.known.support
    step = CURVE_GRID[1] - CURVE_GRID[0]  # next to an end of the support w may be 0 on the grid
    inside = (table.few >= max(low, CURVE_GRID[0]) + step) & (
        table.few <= min(high, CURVE_GRID[-1]) - step
    )
    if inside.sum() < 2:
        return False
    own = table.w_at_few[inside]
    other = np.interp(table.few[inside], CURVE_GRID, group.w)
    if not ((own > 0) & (other > 0)).all():
        return False
    ratio = own / other
    return bool(ratio.max() > FAR * ratio.min())


def _distance_of_tables(one: WeightedLevels, other: WeightedLevels, tolerance: float) -> float:
    """How far two tables are from each other; infinite where they are not of one weighting."""
    ratio = ratio_on_levels(one, other)
    if ratio is not None:
        spread = float(np.ptp(ratio))
        return spread if spread <= tolerance else np.inf
    compared = _compare_tables(one, other, tolerance)
    return compared.deviation if compared is not None and compared.same else np.inf


def _distance(table: "_Table", group: "_Group", tolerance: float) -> float:
    """How far a loss on a table is from a group; infinite where they are not the same."""
    known = group.known
    if known.levels is not None:
        return _distance_of_tables(table.levels, known.levels, tolerance)
    if tolerance < FAR - 1 and _is_far(table, group):
        return np.inf
    nearest = departure(table.levels, known, group.items[0])
    limit = max(tolerance, discretisation.TOLERANCE)
    if nearest is None or nearest.deviation > limit:
        return np.inf
    return nearest.deviation


def _add_table(groups: list["_Group"], item: Any, levels: WeightedLevels, tolerance: float) -> None:
    """Put a loss on a table into the nearest group whose table it is, or into a new one."""
    table = _table(levels)
    distances = [_distance(table, group, tolerance) for group in groups]
    nearest = min(distances, default=np.inf)
    if np.isfinite(nearest):
        groups[distances.index(nearest)].items.append(item)
    else:
        known = resolve_curve(item, "equivalent")
        groups.append(_Group(np.zeros_like(CURVE_GRID), [item], known))


@dataclass(frozen=True, eq=False)
class _Table:
    """The levels of a loss, and its weighting at a few inner ones."""

    levels: WeightedLevels
    few: NDArray
    w_at_few: NDArray


def _table(levels: WeightedLevels) -> _Table:
    """A table with its weighting at every tenth part of its levels, without the ends."""
    tenth = len(levels.logsnr) // 10
    few = slice(tenth, -tenth or None, tenth or 1)
    w = levels.terms / np.gradient(levels.logsnr)
    return _Table(levels, levels.logsnr[few], w[few])


@dataclass(frozen=True, eq=False)
class _Group:
    """Items of one weighting.

    Attributes:
        w: The weighting of the first on ``CURVE_GRID``, 0 outside its support; 0 for a table.
        items: The items.
        known: The weighting of the first as a function.
    """

    w: NDArray
    items: list
    known: Resolved


class _Groups:
    """Groups of equal weightings, found by the fall of log w between two levels.

    If the ratio r of two weightings keeps within a tolerance, |Δ log r| between the levels is at
    most −log(1 − tolerance/(1 − tolerance)). So a weighting is compared only with the groups whose
    fall is as near as that, and with those that are 0 at one of the levels.

    Args:
        tolerance: Relative deviation of the ratio that still counts as the same.
    """

    def __init__(self, tolerance: float) -> None:
        self.tolerance = tolerance
        self.ends = np.searchsorted(CURVE_GRID, FALL_BETWEEN)
        loosest = 1 - 2 * tolerance
        # 1e-9 more than the bound, for rounding
        self.slack = np.log((1 - tolerance) / loosest) + 1e-9 if loosest > 0 else np.inf
        self.groups: list[_Group] = []
        self.falls: list[tuple[float, int]] = []  # sorted, each with the number of its group
        self.without_fall: list[int] = []

    def add(self, item: Any) -> None:
        """Put an item into the first group that agrees with its weighting, or into a new one."""
        known = resolve_curve(item, "equivalent")
        w = evaluate_inside(known, CURVE_GRID)
        first, last = w[self.ends]
        fall = np.log(first) - np.log(last) if first > 0 and last > 0 else None
        for index in self._candidates(fall):
            group = self.groups[index]
            if _agree(w, group.w, self.tolerance):
                group.items.append(item)
                return
        self._start(_Group(w, [item], known), fall)

    def _candidates(self, fall: float | None) -> Iterable[int]:
        """Numbers of the groups that a weighting may belong to, in the order of their making."""
        if fall is None:
            return range(len(self.groups))
        low = bisect_left(self.falls, (fall - self.slack,))
        high = bisect_left(self.falls, (fall + self.slack, len(self.groups)))
        return sorted([*self.without_fall, *(index for _, index in self.falls[low:high])])

    def _start(self, group: _Group, fall: float | None) -> None:
        """A new group."""
        index = len(self.groups)
        self.groups.append(group)
        if fall is None:
            self.without_fall.append(index)
        else:
            insort(self.falls, (fall, index))


def _group_curves(members: Iterable[Any], tolerance: float) -> list[_Group]:
    """Groups of continuous weightings that agree, in the order of their first members."""
    groups = _Groups(tolerance)
    for objective in members:
        groups.add(objective)
    return groups.groups


def equivalent(objectives: Iterable[Item], tolerance: float = 1e-6) -> list[list[Item]]:
    """Objectives grouped by identical weighting, up to a constant and where supports overlap.

    A loss on a table of levels is in the group of the continuous weighting whose table it is, as
    ``compare`` finds it.

    Args:
        objectives: Objectives, measured losses and callables of λ.
        tolerance: Relative deviation of the ratio that still counts as the same.

    Returns:
        Lists of objectives, the longest first. The first member of each stands for it.

    Raises:
        TypeError: ``objectives`` is a mapping or a single thing, or a member is a name.
        ValueError: A member holds values without their grid, or the tolerance is not above 0.

    Example:
        >>> objectives = [dv.objective(name) for name in ("edm", "fm-ot", "v-cosine")]
        >>> [[objective.name for objective in group] for group in dv.equivalent(objectives)]
        [['fm-ot', 'v-cosine'], ['edm']]
    """
    positive(tolerance, "tolerance")
    if isinstance(objectives, Mapping):
        raise TypeError("objectives is a mapping of names; pass its values: objectives.values()")
    message = f"objectives must be a list of objectives, got {objectives!r}"
    require(not isinstance(objectives, str), message, TypeError)
    try:
        members = list(objectives)
    except TypeError as error:  # nothing to go through, such as an array without dimensions
        raise TypeError(message) from error
    require_one_error(members)
    tables = [(member, weighted_levels(member)) for member in members]
    groups = _group_curves([member for member, table in tables if table is None], tolerance)
    for member, table in tables:
        if table is not None:
            _add_table(groups, member, table, tolerance)
    place = {id(member): index for index, member in enumerate(members)}
    in_order = [sorted(group.items, key=lambda item: place[id(item)]) for group in groups]
    return sorted(in_order, key=lambda items: (-len(items), place[id(items[0])]))


def _require_curve(curve: Any, name: str) -> None:
    """Refuse what is no function of λ, such as an array."""
    require(
        callable(curve) and not isinstance(curve, type),
        f"{name} must be a function of λ, got {curve!r}",
        TypeError,
    )


def _error_of_denoiser(mmse: Curve, grid: NDArray) -> NDArray:
    """The error of a denoiser on a grid, or one number for all of it; never negative."""
    _require_curve(mmse, "mmse")
    error = finite(mmse(grid), "mmse")
    if error.shape not in ((), grid.shape):
        raise ValueError(f"mmse gave shape {error.shape} for logsnr of shape {grid.shape}")
    if (error < 0).any():
        raise ValueError(f"mmse is a squared error and >= 0, got {error.min():g}")
    return error


def loss_density(w: WeightingLike, logsnr: ArrayLike, mmse: Curve | None = None) -> NDArray:
    """Loss per nat of an exact denoiser: w(λ) E‖eps_hat − eps‖².

    Args:
        w: An objective, a measured loss, a callable of λ, or values on ``logsnr``.
        logsnr: λ in nats, shape (n,).
        mmse: Error of the denoiser as a function of λ. By default it is that for N(0, 1), and for
            a token that depends on no other in masked diffusion.

    Returns:
        The loss density, shape (n,).

    Raises:
        TypeError: ``w`` is a name, or values are no real numbers.
        ValueError: A value is not finite, or w or the error is negative.

    Example:
        >>> dv.loss_density([4.0, 2.0, 1.0], [-2.0, 0.0, 2.0]).round(3)
        array([0.477, 1.   , 0.881])
    """
    grid = finite(logsnr, "logsnr")
    if mmse is None:
        mmse = w.floor if is_of_cross_entropy(w) else gaussian_mmse
    return evaluate(w, grid) * _error_of_denoiser(mmse, grid)


def _share_of_levels(
    levels: WeightedLevels, mmse: Curve, at: float, ends: tuple[float, float]
) -> float:
    """Share of the sum over the levels between two ends that belongs to levels below a λ."""
    low, high = ends
    inside = (levels.logsnr >= low) & (levels.logsnr <= high)
    at_levels = levels.logsnr[inside]
    spent = levels.terms[inside] * _error_of_denoiser(mmse, at_levels)
    whole = spent.sum()
    require(whole > 0, f"there is no weight on logsnr [{low:g}, {high:g}]; widen the range")
    return float(spent[at_levels < at].sum() / whole)


def share_below(
    w: WeightingLike,
    at: float = 0.0,
    mmse: Curve | None = None,
    low: float = -10.0,
    high: float = 10.0,
) -> float:
    """Share of ∫ w dλ, or of the loss ∫ w · mmse dλ, that lies below a λ.

    On a table of levels the integrals are sums over them.

    Args:
        w: An objective, a measured loss or a callable of λ.
        at: λ in nats below which the share is taken.
        mmse: Error of the denoiser as a function of λ. By default w alone counts.
        low: Least λ of the whole, from −700.
        high: Largest λ of the whole, up to 700.

    Returns:
        The share, between 0 and 1.

    Raises:
        TypeError: ``w`` is a name, or ``at``, ``low`` or ``high`` is no number.
        ValueError: The whole is 0, low >= high or one is beyond ±700, ``at`` is not finite, or w
            is an array.

    Example:
        >>> round(dv.share_below(dv.objective("edm"), at=0.0), 3)
        0.817
    """
    at = number(at, "at")
    low = number(low, "low", -LARGEST_LEVEL, LARGEST_LEVEL)
    high = number(high, "high", -LARGEST_LEVEL, LARGEST_LEVEL)
    require(low < high, f"a share needs low < high, got [{low:g}, {high:g}]")
    resolved = resolve_curve(w, "share_below")
    error = constant if mmse is None else mmse
    _require_curve(error, "mmse")
    if resolved.levels is not None:
        return _share_of_levels(resolved.levels, error, at, (low, high))

    nothing = f"there is no weight on logsnr [{low:g}, {high:g}]; widen the range"
    require(low < resolved.support[1] and high > resolved.support[0], nothing)
    places = window(resolved, low=low, high=high, points=SHARE_PANELS + 1)
    narrow = about(narrow_places(resolved, (places[1] - places[0]) / 32))
    edges = with_ends(np.concatenate([places, narrow, [at]]), places[0], places[-1])
    half = np.diff(edges) / 2
    nodes = (edges[:-1] + half)[:, None] + half[:, None] * NODE
    spent = evaluate(resolved, nodes.ravel()) * _error_of_denoiser(error, nodes.ravel())
    terms = spent.reshape(nodes.shape) @ WEIGHT * half
    whole = terms.sum()
    require(whole > 0, nothing)
    return float(terms[edges[1:] <= at].sum() / whole)
