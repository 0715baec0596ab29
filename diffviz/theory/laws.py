"""Where the training loss looks: densities over log-SNR as SciPy distributions.

A training code states the law f(t) of time. Through a path it becomes p(λ) = f(t(λ)) |dt/dλ|. Where
a closed form exists, it is a SciPy distribution: logit-normal time on the linear path is normal in
λ, and so is EDM's log-normal sigma. Everywhere else one push-forward gives the same methods: pdf,
cdf, sf, ppf, isf, rvs, support.

Example:
    >>> law = dv.laws.logit_normal_logsnr(mean=0.0, std=1.0)
    >>> law.ppf([0.25, 0.75]).round(3)
    array([-1.349,  1.349])
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.special import expit, ndtr, ndtri

from diffviz.checks import (
    array,
    attribute,
    brief,
    count,
    finite,
    increasing,
    items,
    number,
    offers,
    positive,
    require,
)
from diffviz.protocols import Law
from diffviz.theory.atoms import AtomicLaw, atomic, cell_edges, nearest_level, quantiles
from diffviz.theory.frames import Curve
from diffviz.theory.mixed_laws import BlendedTime, Mixture, SqueezedTime

CurveWithSlope = Callable[[NDArray], tuple[NDArray, NDArray]]

LAST_STEP = 1e-10  # a Newton step this small, relative to x, leaves an error of its square
FURTHEST_MEAN = 1e300  # of logit t, so that the level −2 mean is finite
ROUNDING = 1e-12  # of a level and the step that it is, relative to 1 + |λ|
MOST_STEPS = 200  # of a root search; halving alone needs 60
ROUNDED = 1e-6  # of the mass between two ends, by which its quantiles may be off
SHARES_OF_A_SIDE = (0.5, 0.7)  # of the probability on a side of a gap: where there is density
NARROWEST = 1e-9  # width of a gap over the size of λ, or over 1
UNDERFLOWN = 1e-250  # a density that is smaller falls exponentially
HALVINGS = 60  # until the end of a gap is found to all digits
LEAST_SOUND = np.finfo(float).eps / ROUNDED  # mass that no rounding of a probability moves so much


def checked_law(value: Any, name: str = "law") -> Any:
    """A law that a caller passed; a TypeError unless it has the methods of a frozen distribution.

    Args:
        value: The law.
        name: Name of the argument, for messages.

    Returns:
        The law.

    Raises:
        TypeError: The value is no law.
    """
    # SciPy's laws that are not frozen have the methods, but no shape parameters
    is_open = isinstance(value, stats.rv_continuous | stats.rv_discrete) and value.numargs
    if not offers(value, Law) or isinstance(value, type) or is_open:
        raise TypeError(
            f"{name} must be a frozen SciPy distribution such as scipy.stats.norm(0, 2), "
            f"got {brief(value)}"
        )
    return value


def ordered(
    low: Any, high: Any, low_name: str = "low", high_name: str = "high"
) -> tuple[float, float]:
    """Two finite numbers of which the second is larger.

    Args:
        low: The smaller number.
        high: The larger number.
        low_name: Name of its argument, for messages.
        high_name: Name of its argument, for messages.

    Returns:
        Both as floats.

    Raises:
        TypeError: One is no number.
        ValueError: One is not finite, or the second is not larger.
    """
    first = number(low, low_name)
    last = number(high, high_name)
    positive(last - first, f"{high_name} - {low_name}")
    return first, last


class MonotoneMap(Protocol):
    """A monotone change of variable y = forward(x), with its inverse. Arrays go in and come out."""

    def forward(self, x: NDArray, /) -> NDArray:
        """Value y at x."""

    def inverse(self, y: NDArray, /) -> NDArray:
        """Value x at y."""

    def slope(self, y: NDArray, /) -> NDArray:
        """|dx/dy| at y."""


@dataclass(frozen=True)
class CurveMap:
    """A monotone map given by three functions.

    Args:
        forward: y at x.
        inverse: x at y.
        slope: |dx/dy| at y.
        log_slope: Its logarithm, where it does not underflow as the slope does; None without.
    """

    forward: Curve
    inverse: Curve
    slope: Curve
    log_slope: Curve | None = None


@dataclass(frozen=True)
class SurvivalMap:
    """The falling map y = S⁻¹(x) from a probability to a quantile of a law.

    Args:
        law: Frozen SciPy distribution with the survival function S.
    """

    law: Any

    def forward(self, x: NDArray) -> NDArray:
        """Quantile that is exceeded with probability x."""
        return self.law.isf(x)

    def inverse(self, y: NDArray) -> NDArray:
        """Probability to exceed y."""
        return self.law.sf(y)

    def slope(self, y: NDArray) -> NDArray:
        """Density of the law at y."""
        return self.law.pdf(y)


@dataclass(frozen=True)
class AffineMap:
    """The rising map y = start + width · x.

    Args:
        start: y at x = 0.
        width: dy/dx, above 0.
    """

    start: float
    width: float = 1.0

    def forward(self, x: NDArray) -> NDArray:
        """Value start + width · x."""
        return self.start + self.width * x

    def inverse(self, y: NDArray) -> NDArray:
        """(y − start)/width."""
        return (y - self.start) / self.width

    def slope(self, y: NDArray) -> NDArray:
        """1/width."""
        return np.ones_like(y) / self.width


def _all_between(
    x: ArrayLike, low: float, high: float, shape: tuple, placement: dict
) -> TypeGuard[NDArray]:
    """Whether x is an array of float64 strictly between two numbers, and no option is set."""
    if shape or placement or not isinstance(x, np.ndarray):
        return False
    return x.ndim > 0 and x.dtype == np.float64 and bool(((x > low) & (x < high)).all())


def density(law: Any, x: NDArray) -> NDArray:
    """Density of a law. SciPy's checks of each value take longer than most densities.

    They have nothing to do where all values are inside the support.

    Args:
        law: Law of x, a frozen SciPy distribution or what has its methods.
        x: Values, shape (n,).

    Returns:
        The density, the same numbers as ``law.pdf(x)``, shape (n,).
    """
    placed = _placed(law)
    if placed is None:
        return law.pdf(x)
    kind, centre, scale = placed
    unit = (x - centre) / scale
    if not _all_between(unit, kind.a, kind.b, (), {}):
        return law.pdf(x)
    return kind._pdf(unit) / scale


def quantile(law: Any, probability: NDArray) -> NDArray:
    """``atoms.quantiles``, at which to train, in less time.

    SciPy's checks of each value take longer than those of a small batch. They have nothing to do
    where all probabilities are strictly between 0 and 1.

    Args:
        law: Law of x, a frozen SciPy distribution or what has its methods.
        probability: Probabilities, any shape.

    Returns:
        The same numbers as ``law.ppf(probability)``, same shape; of discrete levels, these.
    """
    if atomic(law) is not None:
        return quantiles(law, probability)
    placed = _placed(law)
    if placed is None or not _all_between(probability, 0.0, 1.0, (), {}):
        return law.ppf(probability)
    kind, centre, scale = placed
    return kind._ppf(probability) * scale + centre


def _placed(law: Any) -> tuple[Any, float, float] | None:
    """SciPy's distribution behind a law, with its place and its scale.

    None where there is none, or where it has shapes, whose checks are needed.
    """
    kind = attribute(law, "dist")
    if isinstance(kind, Transformed) or not isinstance(kind, stats.rv_continuous) or kind.numargs:
        return None
    _, centre, scale = kind._parse_args(*law.args, **law.kwds)
    is_plain = np.ndim(scale) == np.ndim(centre) == 0 and scale > 0
    return (kind, centre, scale) if is_plain else None


def survival(law: Law, x: NDArray) -> NDArray:
    """Probability above x.

    Args:
        law: Law of x, with or without a survival function of its own.
        x: Values, any shape.

    Returns:
        The probabilities, same shape.
    """
    own = attribute(law, "sf")
    return 1 - law.cdf(x) if own is None else own(x)


def probabilities(law: Law, edges: NDArray) -> NDArray:
    """Probabilities between neighbouring edges, to all digits in both tails.

    Args:
        law: Law of x.
        edges: Increasing values of x, shape (n + 1,).

    Returns:
        The probabilities, shape (n,).
    """
    below, above = law.cdf(edges), survival(law, edges)
    return np.where(below[1:] <= 0.5, np.diff(below), -np.diff(above))


def exceeded(law: Law, probability: NDArray) -> NDArray:
    """The value above which a probability lies.

    Args:
        law: Law of x, with or without an inverse survival function of its own.
        probability: Numbers in [0, 1], any shape.

    Returns:
        The values, same shape.
    """
    own = attribute(law, "isf")
    return law.ppf(1 - probability) if own is None else own(probability)


def is_in_gap(law: Law, x: NDArray) -> NDArray:
    """Whether x, where a law has no density, lies in a stretch in which it draws nothing.

    On both sides there is probability. At the ends of the stretch the density begins with a jump or
    as a power. Where it only is too small for float64, it begins with the smallest numbers, and a
    single x without density has no width.

    Args:
        law: Law of x.
        x: Values without density, shape (n,).

    Returns:
        The answers, same shape.
    """
    below, above = law.cdf(x), survival(law, x)
    found = (below > 0) & (above > 0)
    at, below, above = x[found], below[found], above[found]
    left = _last_drawn(law, at, [law.ppf(share * below) for share in SHARES_OF_A_SIDE])
    right = _last_drawn(law, at, [exceeded(law, share * above) for share in SHARES_OF_A_SIDE])
    is_wide = right - left > NARROWEST * np.maximum(1, np.abs(at))
    found[found] = is_wide & (np.minimum(law.pdf(left), law.pdf(right)) > UNDERFLOWN)
    return found


def _last_drawn(law: Law, empty: NDArray, drawn: list[NDArray]) -> NDArray:
    """The last x with density on the way to one without, from the first start that has any."""
    start = np.where(law.pdf(drawn[0]) > 0, *drawn)
    for _ in range(HALVINGS):
        middle = (start + empty) / 2
        has_density = law.pdf(middle) > 0
        start = np.where(has_density, middle, start)
        empty = np.where(has_density, empty, middle)
    return start


def log_density(law: Law, x: NDArray) -> NDArray:
    """Logarithm of the density.

    Args:
        law: Law of x, with or without a logarithm of its own, which does not underflow.
        x: Values, any shape.

    Returns:
        The logarithms, −inf where there is no density, same shape.
    """
    own = attribute(law, "logpdf")
    if own is not None:
        return own(x)
    with np.errstate(divide="ignore"):
        return np.log(law.pdf(x))


class Completed(stats.rv_continuous):
    """A law of one's own as a SciPy distribution.

    Args:
        base: The law. What it lacks follows from what it has.
        **options: Of ``scipy.stats.rv_continuous``, which passes them when it freezes a law.
    """

    def __init__(self, base: Law, **options: Any):
        self.base = base
        low, high = map(float, base.support())
        super().__init__(**({"a": low, "b": high, "name": "completed"} | options))

    def _updated_ctor_param(self) -> dict:
        """What SciPy builds the frozen law from."""
        return super()._updated_ctor_param() | {"base": self.base}

    def _pdf(self, x: NDArray) -> NDArray:
        return self.base.pdf(x)

    def _logpdf(self, x: NDArray) -> NDArray:
        return log_density(self.base, x)

    def _cdf(self, x: NDArray) -> NDArray:
        return self.base.cdf(x)

    def _sf(self, x: NDArray) -> NDArray:
        return survival(self.base, x)

    def _ppf(self, q: NDArray) -> NDArray:
        return self.base.ppf(q)

    def _isf(self, q: NDArray) -> NDArray:
        return exceeded(self.base, q)


def completed(law: Any, name: str = "law") -> Any:
    """A law that a caller passed, with all methods of a frozen SciPy distribution.

    What is put together from a law needs more of it than ``protocols.Law`` asks for.

    Args:
        law: The law.
        name: Name of the argument, for messages.

    Returns:
        The law itself where it is a frozen SciPy distribution, else one with the same numbers.

    Raises:
        TypeError: The value is no law.
    """
    checked_law(law, name)
    return law if isinstance(law, stats.distributions.rv_frozen) else Completed(law).freeze()


class Transformed(stats.rv_continuous):
    """Law of y = forward(x) for x with a law of its own.

    Args:
        base: Law of x, a frozen SciPy distribution.
        change: The monotone map from x to y.
        rising: Whether forward increases. A schedule λ(t) does not.
        **options: Of ``scipy.stats.rv_continuous``, which passes them when it freezes a law.
    """

    def __init__(self, base: Any, change: MonotoneMap, rising: bool = False, **options: Any):
        self.base = base
        self.change = change
        self.rising = rising
        low, high = sorted(float(self._image(np.array(end))) for end in base.support())
        defaults = {"a": low, "b": high, "name": "transformed"}
        super().__init__(**(defaults | options))

    def _updated_ctor_param(self) -> dict:
        """What SciPy builds the frozen law from."""
        parts = {"base": self.base, "change": self.change, "rising": self.rising}
        return super()._updated_ctor_param() | parts

    def _image(self, x: NDArray) -> NDArray:
        """Value y at x; ±inf at an end without noise or without signal."""
        with np.errstate(divide="ignore"):
            return self.change.forward(x)

    # SciPy's methods take longer to check their arguments than most maps here take, and a law made
    # of other laws pays that again for each of them. Where all values are inside the support and
    # nothing moves the law, the checks have nothing to do.

    def pdf(self, x: ArrayLike, *shape: float, **placement: float) -> NDArray:
        """Density at x, as in SciPy."""
        if _all_between(x, self.a, self.b, shape, placement):
            return self._pdf(x)
        return super().pdf(x, *shape, **placement)

    def cdf(self, x: ArrayLike, *shape: float, **placement: float) -> NDArray:
        """Probability of at most x, as in SciPy."""
        if _all_between(x, self.a, self.b, shape, placement):
            return self._cdf(x)
        return super().cdf(x, *shape, **placement)

    def sf(self, x: ArrayLike, *shape: float, **placement: float) -> NDArray:
        """Probability of more than x, as in SciPy."""
        if _all_between(x, self.a, self.b, shape, placement):
            return self._sf(x)
        return super().sf(x, *shape, **placement)

    def ppf(self, q: ArrayLike, *shape: float, **placement: float) -> NDArray:
        """Quantile of the probability q, as in SciPy."""
        if _all_between(q, 0.0, 1.0, shape, placement):
            return self._ppf(q)
        return super().ppf(q, *shape, **placement)

    def isf(self, q: ArrayLike, *shape: float, **placement: float) -> NDArray:
        """Quantile that is exceeded with probability q, as in SciPy."""
        if _all_between(q, 0.0, 1.0, shape, placement):
            return self._isf(q)
        return super().isf(q, *shape, **placement)

    def _logpdf(self, y: NDArray) -> NDArray:
        own = attribute(self.change, "log_slope")
        with np.errstate(divide="ignore"):
            slope = np.log(self.change.slope(y)) if own is None else own(y)
            return log_density(self.base, self.change.inverse(y)) + slope

    def _cdf(self, y: NDArray) -> NDArray:
        below = self.base.cdf if self.rising else self.base.sf
        return below(self.change.inverse(y))

    def _sf(self, y: NDArray) -> NDArray:
        above = self.base.sf if self.rising else self.base.cdf
        return above(self.change.inverse(y))

    def _ppf(self, q: NDArray) -> NDArray:
        lower = self.base.ppf if self.rising else self.base.isf
        return self._image(lower(q))

    def _isf(self, q: NDArray) -> NDArray:
        upper = self.base.isf if self.rising else self.base.ppf
        return self._image(upper(q))

    def _pdf(self, y: NDArray) -> NDArray:
        with np.errstate(all="ignore"):  # at an infinite end, where the density is 0
            return np.where(np.isfinite(y), self._base_pdf(y) * self.change.slope(y), 0.0)

    def _base_pdf(self, y: NDArray) -> NDArray | float:
        """Density of x at the inverse of y, which a uniform law does not need."""
        low, high = self.base.support()
        if self.base.dist.name == "uniform":
            return 1 / (high - low)
        within = np.clip(self.change.inverse(y), low, high)  # rounding may leave the support
        return density(self.base, within)


class TwoSidedMap(MonotoneMap, Protocol):
    """A rising map from a probability to a quantile that also counts probability from above."""

    def forward_above(self, q: NDArray, /) -> NDArray:
        """Quantile that is exceeded with probability q."""

    def inverse_above(self, y: NDArray, /) -> NDArray:
        """Probability above y."""


class TwoSided(Transformed):
    """Law given by its quantiles, which keeps its digits in both tails.

    ``Transformed`` has the probability above y as 1 less that below, which is 0 where the latter
    rounds to 1.

    Args:
        base: The uniform law on [0, 1].
        change: The map from a probability to a quantile.
        rising: True.
        **options: Of ``scipy.stats.rv_continuous``.
    """

    change: TwoSidedMap

    def _sf(self, y: NDArray) -> NDArray:
        return self.change.inverse_above(y)

    def _isf(self, q: NDArray) -> NDArray:
        return self.change.forward_above(q)


def two_sided(change: TwoSidedMap, **ends: float) -> Any:
    """Law of the quantiles that a two-sided map gives.

    Args:
        change: The map from a probability to a quantile.
        **ends: The ends ``a`` and ``b`` of the support, where they are known.

    Returns:
        A frozen SciPy distribution.
    """
    return TwoSided(stats.uniform(), change, rising=True, **ends).freeze()


def _chosen(where: NDArray, x: NDArray, first: Curve, y: NDArray, second: Curve) -> NDArray:
    """first(x) where a condition holds, second(y) elsewhere; neither is computed in vain."""
    if where.all():
        return np.asarray(first(x))
    if not where.any():
        return np.asarray(second(y))
    result = np.empty(where.shape)
    result[where] = first(x[where])
    result[~where] = second(y[~where])
    return result


def inverted(curve: CurveWithSlope, value: NDArray, start: NDArray) -> NDArray:
    """Where a monotone map of [0, 1] takes a value, by Newton's method within a bracket.

    A step that leaves the bracket is replaced by halving it. Points that have converged are not
    computed again.

    Args:
        curve: The map y(x) with its derivative: an array x to arrays y and dy/dx.
        value: Values of the map, any shape.
        start: First guesses in [0, 1], same shape.

    Returns:
        The points of [0, 1], same shape.
    """
    goal = np.ravel(value)
    root = np.ravel(start).astype(float)
    with np.errstate(all="ignore"):  # a map may be infinite at its ends
        first, last = curve(np.array([0.0, 1.0]))[0]
    direction = np.sign(last - first)
    low = np.zeros_like(root)
    high = np.ones_like(root)
    active = np.arange(root.size)
    for _ in range(MOST_STEPS):
        x = root[active]
        with np.errstate(all="ignore"):  # an infinite slope or value, which halving deals with
            y, slope = curve(x)
            excess = direction * (y - goal[active])
            newton = x - excess / (direction * slope)
        low[active] = np.where(excess <= 0, x, low[active])
        high[active] = np.where(excess >= 0, x, high[active])
        inside = (newton >= low[active]) & (newton <= high[active])
        root[active] = np.where(inside, newton, (low[active] + high[active]) / 2)
        moved = np.abs(root[active] - x) > LAST_STEP * x
        active = active[moved]
        if not active.size:
            break
    return root.reshape(np.shape(value))


def atoms(
    logsnr: ArrayLike,
    mass: ArrayLike | None = None,
    steps: int | None = None,
    table: ArrayLike | None = None,
) -> Any:
    """Law of discrete levels λ_i.

    Draws are levels. Quantiles run through the cell of each level, which ends midway to its
    neighbours; the outer cells are symmetric about their level. So do the cdf and the pdf, which
    are those of even masses in the cells: ``rvs`` alone gives the levels themselves. The weighting
    of an objective under this law follows from the levels and their spacing (see
    ``diffviz.theory.atoms``).

    Args:
        logsnr: Distinct levels in nats, any order, shape (T,).
        mass: Probabilities up to a constant, shape (T,). By default all are equal.
        steps: Number of steps of the table, with those without signal that have no level. By
            default it is the number of levels.
        table: λ of every step in nats, any order, shape (steps,), where some are never drawn: −inf
            without signal, inf without noise. It tells which step a level is, and their number.

    Returns:
        A frozen SciPy distribution.

    Raises:
        TypeError: ``steps`` is no whole number.
        ValueError: Levels repeat or are not finite (a step of zero SNR has λ = −inf and no cell:
            leave it out), a mass is negative, there are fewer steps than levels, or a level does
            not stand in ``table``.
    """
    levels = array(logsnr, "logsnr of the atoms", ndim=1)
    order = np.argsort(levels)
    repeated = levels[order][1:][np.diff(levels[order]) == 0].tolist()
    require(
        not repeated,
        f"logsnr of the atoms must be distinct, got {repeated[:3]} again: give each level once, "
        "with the sum of its masses as mass=",
    )
    require(
        len(levels) > 1,
        f"logsnr of the atoms must be two levels or more, got {levels}: one has no spacing, and "
        "so no density",
    )
    levels = increasing(levels[order], "logsnr of the atoms")
    weight = np.ones_like(levels) if mass is None else finite(mass, "mass")
    if weight.shape != levels.shape or (weight < 0).any() or not weight.any():
        raise ValueError(
            f"mass is one probability >= 0 for each of the {len(levels)} levels, not all 0; "
            f"got {weight}"
        )
    return AtomicLaw(levels, weight[order], _every_step(levels, steps, table)).freeze()


def _every_step(levels: NDArray, steps: int | None, table: ArrayLike | None) -> NDArray:
    """Falling λ of every step of a table, shape (steps,); see ``atoms``."""
    if table is None:
        number_of_steps = count(len(levels) if steps is None else steps, "steps", len(levels))
        without_signal = np.full(number_of_steps - len(levels), -np.inf)
        return np.concatenate([levels[::-1], without_signal])
    require(steps is None, "the table tells the number of steps: pass steps= or table=, not both")
    every = np.sort(array(table, "table of the atoms", ndim=1, infinite=True))
    finite_steps = every[np.isfinite(every)]
    if not len(finite_steps):
        raise ValueError(
            f"table of the atoms must hold the logsnr of every step, got {brief(table)}"
        )
    away = abs(finite_steps[nearest_level(finite_steps, levels)] - levels)
    missing = levels[away > ROUNDING * (1 + abs(levels))]
    require(
        not len(missing),
        f"each level must stand in the table of the atoms, but {missing[:3].tolist()} does not: "
        "give table= the logsnr of every step, of those that are drawn too",
    )
    return every[::-1]


@dataclass(frozen=True)
class PushedTime:
    """The map from a probability to the λ that a time with a law of its own is taken to.

    Noisy times are counted from t = 1 by the law of 1 − t, since t itself rounds to 1 there.

    Args:
        time: Law of t, a frozen SciPy distribution on [0, 1].
        rest: Law of 1 − t.
        law: Law of λ under uniform time.
    """

    time: Any
    rest: Any
    law: Any

    def _level(self, t: NDArray, rest: NDArray) -> NDArray:
        """λ at t, from the smaller of t and 1 − t."""
        return _chosen(t <= 0.5, t, self.law.isf, rest, self.law.ppf)

    def _by_time(self, y: NDArray, of_time: Curve, of_rest: Curve) -> NDArray:
        """A function of the time at y, from the smaller of t and 1 − t."""
        t = np.asarray(self.law.sf(y))
        return _chosen(t <= 0.5, t, of_time, np.asarray(self.law.cdf(y)), of_rest)

    def forward(self, q: NDArray) -> NDArray:
        """Quantile of q."""
        return self._level(np.asarray(self.time.isf(q)), np.asarray(self.rest.ppf(q)))

    def forward_above(self, q: NDArray) -> NDArray:
        """Quantile that is exceeded with probability q."""
        return self._level(np.asarray(self.time.ppf(q)), np.asarray(self.rest.isf(q)))

    def inverse(self, y: NDArray) -> NDArray:
        """Probability below y."""
        return self._by_time(y, self.time.sf, self.rest.cdf)

    def inverse_above(self, y: NDArray) -> NDArray:
        """Probability above y."""
        return self._by_time(y, self.time.cdf, self.rest.sf)

    def slope(self, y: NDArray) -> NDArray:
        """Density at y."""
        pace = self.law.pdf(y)
        density = self._by_time(y, self.time.pdf, self.rest.pdf)
        underflown = np.isinf(density) & (pace < 1e-300)  # t(y) is 0 or 1 by underflow
        return np.where(underflown, 0.0, density * pace)


def reflected(time: Any) -> Any:
    """Law of 1 − t, where it is known without rounding.

    Args:
        time: Law of t, a frozen SciPy distribution.

    Returns:
        The law for beta and logit-normal time and for the symmetric laws of this module, also
        stretched; None for others.
    """
    time = completed(time, "time")
    law = time.dist
    if isinstance(law, Transformed):
        return _reflected_map(time)
    if law.name not in ("beta", "johnsonsb") or time.support() != (0.0, 1.0):
        return None
    first, second = law._parse_args(*time.args, **time.kwds)[0]
    return stats.beta(second, first) if law.name == "beta" else stats.johnsonsb(-first, second)


def _reflected_map(time: Any) -> Any:
    """``reflected`` for a law of this module."""
    law = time.dist
    if isinstance(law.change, ModeTime | CosMapTime | UShapedTime):
        return time
    base = reflected(law.base) if isinstance(law.change, AffineMap) else None
    if base is None:
        return None
    change = AffineMap(1 - law.change.start - law.change.width, law.change.width)
    return Transformed(base, change, rising=True).freeze()


def quantile_of(time: Any, law: Any) -> Any:
    """Law of the λ that is exceeded with probability t, for t with a law of its own.

    Args:
        time: Law of t in [0, 1], a frozen SciPy distribution.
        law: Law of λ, a frozen SciPy distribution. Of discrete levels the same are drawn, each
            with the probability that t falls into its cell.

    Returns:
        A frozen SciPy distribution, of discrete levels where one of the two is.

    Raises:
        TypeError: One of them is no law.
        ValueError: Fewer than two discrete levels are drawn, or one of them has no finite λ.
    """
    time = completed(time, "time")
    law = completed(law)
    table = atomic(law)
    if table is not None:
        mass = -np.diff(time.cdf(law.sf(cell_edges(table.levels))))
        return _kept(table, mass, "the law of time draws")
    at_times = atomic(time)
    if at_times is not None:
        every = np.where(np.isfinite(at_times.table), law.isf(at_times.table), -np.inf)
        return atoms(law.isf(at_times.levels), at_times.mass, table=every)
    rest = reflected(time)
    if rest is None:
        return Transformed(time, SurvivalMap(law)).freeze()
    low, high = time.support()
    ends = law.isf([high, low])
    return two_sided(PushedTime(time, rest, law), a=float(ends[0]), b=float(ends[1]))


def _kept(table: AtomicLaw, mass: NDArray, what: str) -> Any:
    """The levels of a table that have a mass; a ValueError if they are not two or more."""
    kept = mass > 0
    if kept.sum() < 2:
        raise ValueError(
            f"{what} {table.levels[kept].tolist()} of {len(table.levels)} discrete levels in "
            f"[{table.levels[0]:g}, {table.levels[-1]:g}]; a law needs two or more, since one "
            "level has no spacing: keep two, or take a law with a density"
        )
    return atoms(table.levels[kept], mass[kept], table=table.table)


def moved(law: Any, move: float) -> Any:
    """Law of λ + move.

    Args:
        law: Law of λ, a frozen SciPy distribution.
        move: How far λ is moved, in nats.

    Returns:
        A frozen SciPy distribution.
    """
    law = completed(law)
    table = atomic(law)
    if table is not None:
        return atoms(table.levels + move, table.mass, table=table.table + move)
    return Transformed(law, AffineMap(move), rising=True).freeze()


def logit_normal(mean: float = 0.0, std: float = 1.0) -> Any:
    """Law of t with logit t ~ N(mean, std²): SD3's rf/lognorm, SciPy's Johnson SB.

    Source: Esser et al. 2024 (arXiv 2403.03206), eq. 19.

    Args:
        mean: Mean of logit t.
        std: Standard deviation of logit t.

    Returns:
        A frozen SciPy distribution.

    Raises:
        TypeError: An argument is no number.
        ValueError: std is not above 0, or mean is not finite.
    """
    std = positive(std, "std")
    mean = number(mean, "mean")
    return stats.johnsonsb(-mean / std, 1 / std)


def logit_normal_logsnr(mean: float = 0.0, std: float = 1.0, shift: float = 1.0) -> Any:
    """Law of λ under shifted ``logit_normal`` time on the linear path.

    It is N(−2 mean − 2 log shift, (2 std)²) exactly. As such it is also the law for
    ln(sigma/alpha) ~ N(mean, std²), EDM's P_mean and P_std.

    Source: Esser et al. 2024 (arXiv 2403.03206), eq. 19 and 23; Karras et al. 2022
    (arXiv 2206.00364), table 1.

    Args:
        mean: Mean of logit t.
        std: Standard deviation of logit t.
        shift: Factor on sigma/alpha.

    Returns:
        A frozen SciPy distribution.

    Raises:
        ValueError: std or shift is not above 0, or mean is not within ±1e300.
    """
    mean = number(mean, "mean", -FURTHEST_MEAN, FURTHEST_MEAN)
    centre = -2 * mean - 2 * np.log(positive(shift, "shift"))
    return stats.norm(centre, 2 * positive(std, "std"))


def loglogistic_sigma(mean: float, scale: float) -> Any:
    """Law of λ for ln sigma ~ logistic(mean, scale), k-diffusion's ``rand_log_logistic``.

    Args:
        mean: Mean of ln sigma.
        scale: Scale of ln sigma.

    Returns:
        A frozen SciPy distribution.

    Raises:
        ValueError: The scale is not above 0, or mean is not finite.
    """
    centre = -2 * number(mean, "mean")
    return stats.logistic(centre, 2 * positive(scale, "scale"))


def loguniform_sigma(low: float, high: float) -> Any:
    """Law of λ for ln sigma uniform between the logs of its ends.

    Args:
        low: Least sigma.
        high: Largest sigma.

    Returns:
        A frozen SciPy distribution.

    Raises:
        ValueError: Not 0 < low < high.
    """
    high = positive(high, "high")
    ratio = high / positive(low, "low")
    width = 2 * np.log(positive(ratio - 1, "high/low - 1") + 1)
    return stats.uniform(-2 * np.log(high), width)


@dataclass(frozen=True)
class TwoPieceNormalQuantiles:
    """The map from a probability to a quantile of a two-piece normal law.

    Args:
        mode: Where the two pieces meet.
        left: Scale below the mode.
        right: Scale above the mode.
    """

    mode: float
    left: float
    right: float

    @property
    def share(self) -> float:
        """Probability below the mode."""
        return self.left / (self.left + self.right)

    def forward(self, q: NDArray) -> NDArray:
        """Quantile of q."""
        return self._quantile(q, 1 - q)

    def forward_above(self, q: NDArray) -> NDArray:
        """Quantile that is exceeded with probability q."""
        return self._quantile(1 - q, q)

    def _quantile(self, below: NDArray, above: NDArray) -> NDArray:
        """Quantile, from the probability on its own side of the mode."""
        left = self.left * ndtri(below / 2 / self.share)
        right = -self.right * ndtri(above / 2 / (1 - self.share))
        return self.mode + np.where(below < self.share, left, right)

    def inverse(self, y: NDArray) -> NDArray:
        """Probability below y."""
        left, right = self._tails(y)
        return np.where(y < self.mode, left, 1 - right)

    def inverse_above(self, y: NDArray) -> NDArray:
        """Probability above y."""
        left, right = self._tails(y)
        return np.where(y < self.mode, 1 - left, right)

    def _tails(self, y: NDArray) -> tuple[NDArray, NDArray]:
        """Probability below y if it is below the mode, and above y if it is above."""
        left = 2 * self.share * ndtr((y - self.mode) / self.left)
        right = 2 * (1 - self.share) * ndtr((self.mode - y) / self.right)
        return left, right

    def slope(self, y: NDArray) -> NDArray:
        """Density at y."""
        scale = np.where(y < self.mode, self.left, self.right)
        return stats.norm.pdf((y - self.mode) / scale) * 2 / (self.left + self.right)


def split_lognormal_sigma(mean: float, below: float, above: float) -> Any:
    """Law of λ for ln sigma two-piece normal, k-diffusion's ``rand_split_log_normal``.

    Args:
        mean: Mode of ln sigma.
        below: Scale of ln sigma below its mode.
        above: Scale of ln sigma above its mode.

    Returns:
        A frozen SciPy distribution.

    Raises:
        ValueError: A scale is not above 0, or mean is not finite.
    """
    centre = -2 * number(mean, "mean")
    left = 2 * positive(above, "above")  # λ falls with sigma
    right = 2 * positive(below, "below")
    return two_sided(TwoPieceNormalQuantiles(centre, left, right))


def _law_of_time(quantiles: MonotoneMap) -> Any:
    """Law of a time in [0, 1] that is given by its quantiles.

    The images of 0 and 1 are not taken for the ends, since rounding may move them out of [0, 1].
    """
    return Transformed(stats.uniform(), quantiles, rising=True, a=0.0, b=1.0).freeze()


@dataclass(frozen=True)
class ModeTime:
    """The map w → t = (1 + s) w − s sin²(πw/2) of SD3's mode sampling.

    Args:
        scale: s.
    """

    scale: float

    def forward(self, w: NDArray) -> NDArray:
        """Time t at w."""
        return (1 + self.scale) * w - self.scale * np.sin(np.pi * w / 2) ** 2

    def growth(self, w: NDArray) -> NDArray:
        """dt/dw = 1 + s − s π/2 sin πw."""
        return 1 + self.scale - self.scale * np.pi / 2 * np.sin(np.pi * w)

    def with_growth(self, w: NDArray) -> tuple[NDArray, NDArray]:
        """Time t at w, and dt/dw."""
        return self.forward(w), self.growth(w)

    def inverse(self, t: NDArray) -> NDArray:
        """Variable w at t, by root search."""
        return inverted(self.with_growth, t, start=t)

    def slope(self, t: NDArray) -> NDArray:
        """dw/dt."""
        return 1 / self.growth(self.inverse(t))


def mode(scale: float) -> Any:
    """Law of t = 1 − u − s (cos²(πu/2) − 1 + u) with u uniform: SD3's rf/mode.

    With w = 1 − u this is t = (1 + s) w − s sin²(πw/2), symmetric about ½.

    Source: Esser et al. 2024 (arXiv 2403.03206), eq. 20.

    Args:
        scale: s.

    Returns:
        A frozen SciPy distribution.

    Raises:
        ValueError: s lies outside [−1, 2/(π − 2)], where t is not monotone in u.
    """
    scale = number(scale, "mode scale")
    highest = 2 / (np.pi - 2)
    if not -1 <= scale <= highest:
        raise ValueError(
            f"mode scale must lie in [-1, {highest:.4f}], got {scale:g}: t(u) is not monotone there"
        )
    return _law_of_time(ModeTime(scale))


@dataclass(frozen=True)
class CosMapTime:
    """The map u → t = 1 − 1/(tan(πu/2) + 1) of SD3's CosMap."""

    def forward(self, u: NDArray) -> NDArray:
        """Time t at u, as sin/(sin + cos)."""
        sine = np.sin(np.pi * u / 2)
        return sine / (sine + np.cos(np.pi * u / 2))

    def inverse(self, t: NDArray) -> NDArray:
        """Variable u at t."""
        return 2 / np.pi * np.arctan2(t, 1 - t)

    def slope(self, t: NDArray) -> NDArray:
        """du/dt = 2/(π (1 − 2t + 2t²))."""
        return 2 / (np.pi * (1 - 2 * t + 2 * t**2))


def cosmap() -> Any:
    """Law of t = 1 − 1/(tan(πu/2) + 1) with u uniform: SD3's CosMap.

    Source: Esser et al. 2024 (arXiv 2403.03206), eq. 21.

    Returns:
        A frozen SciPy distribution, with density 2/(π (1 − 2t + 2t²)).
    """
    return _law_of_time(CosMapTime())


@dataclass(frozen=True)
class UShapedTime:
    """The map q → t for a density of t proportional to cosh(a (t − ½)).

    Args:
        a: How steep the ends are, above 0.
    """

    a: float

    @property
    def half(self) -> float:
        """sinh(a/2)."""
        return np.sinh(self.a / 2)

    def forward(self, q: NDArray) -> NDArray:
        """Time t at q."""
        return 0.5 + np.arcsinh((2 * q - 1) * self.half) / self.a

    def inverse(self, t: NDArray) -> NDArray:
        """Probability q at t."""
        return 0.5 + np.sinh(self.a * (t - 0.5)) / (2 * self.half)

    def slope(self, t: NDArray) -> NDArray:
        """dq/dt."""
        return self.a * np.cosh(self.a * (t - 0.5)) / (2 * self.half)


def u_shaped(a: float = 4.0) -> Any:
    """Law of t with a density proportional to cosh(a (t − ½)).

    Source: Lee et al. 2024 (arXiv 2405.20320), as coded in rfpp.

    Args:
        a: How steep the ends are.

    Returns:
        A frozen SciPy distribution.

    Raises:
        ValueError: a is not above 0.
    """
    return _law_of_time(UShapedTime(positive(a, "a")))


def lower_of_two(density: Any) -> Any:
    """Law of the smaller of two independent λ, the noisier of two times: 2 S p.

    MeanFlow's sampler draws so when r is set to t.

    Args:
        density: Law of each λ, a frozen SciPy distribution.

    Returns:
        A frozen SciPy distribution.

    Raises:
        TypeError: ``density`` is no law.
    """
    law = completed(density, "density")
    return quantile_of(stats.beta(2, 1), law)


def stretched(density: Any, low: float, high: float) -> Any:
    """Law of low + (high − low) t: a time density kept off the ends of [0, 1].

    Args:
        density: Law of t, a frozen SciPy distribution.
        low: Where t = 0 goes.
        high: Where t = 1 goes.

    Returns:
        A frozen SciPy distribution.

    Raises:
        TypeError: ``density`` is no law, or an end is no number.
        ValueError: Not low < high.
    """
    law = completed(density, "density")
    start, end = ordered(low, high)
    table = atomic(law)
    if table is not None:
        every = start + (end - start) * table.table
        return atoms(start + (end - start) * table.levels, table.mass, table=every)
    return Transformed(law, AffineMap(start, end - start), rising=True).freeze()


@dataclass(frozen=True)
class Truncation:
    """The map from a probability to a quantile of a law conditioned on low <= λ <= high.

    Probabilities are differences of the cdf below the median and of the survival function above
    it, so that those far out in a tail keep their digits.

    Args:
        law: The law before, a frozen SciPy distribution.
        low: Least λ in nats.
        high: Largest λ in nats.
        cdf: The cdf of the law at low and high.
        sf: Its survival function at low and high.
    """

    law: Any
    low: float
    high: float
    cdf: tuple[float, float]
    sf: tuple[float, float]

    @property
    def mass(self) -> float:
        """Probability of the law between the ends."""
        on_the_left = self.cdf[1] <= 0.5
        return self.cdf[1] - self.cdf[0] if on_the_left else self.sf[0] - self.sf[1]

    def _quantile(self, below: NDArray, above: NDArray) -> NDArray:
        """Quantile of the law, from the probabilities below and above it between the ends."""
        cdf = self.cdf[0] + below * self.mass
        sf = self.sf[1] + above * self.mass
        quantile = _chosen(cdf <= 0.5, cdf, self.law.ppf, sf, self.law.isf)
        return np.clip(quantile, self.low, self.high)

    def forward(self, q: NDArray) -> NDArray:
        """Quantile of q."""
        return self._quantile(q, 1 - q)

    def forward_above(self, q: NDArray) -> NDArray:
        """Quantile that is exceeded with probability q."""
        return self._quantile(1 - q, q)

    def inverse(self, y: NDArray) -> NDArray:
        """Probability below y."""
        cdf = self.law.cdf(y)
        left = cdf - self.cdf[0]
        return np.where(cdf <= 0.5, left, self.sf[0] - self.law.sf(y)) / self.mass

    def inverse_above(self, y: NDArray) -> NDArray:
        """Probability above y."""
        sf = self.law.sf(y)
        right = sf - self.sf[1]
        return np.where(sf <= 0.5, right, self.cdf[1] - self.law.cdf(y)) / self.mass

    def slope(self, y: NDArray) -> NDArray:
        """Density at y."""
        return self.law.pdf(y) / self.mass


def limit(value: Any, name: str) -> float:
    """A number or ±inf; NaN and what is no number are refused."""
    unlimited = isinstance(value, float | np.floating) and np.isinf(value)
    return float(value) if unlimited else number(value, name)


def truncated(density: Any, low: float, high: float) -> Any:
    """A law conditioned on low <= λ <= high. Of discrete levels those in between remain.

    Args:
        density: Law of λ, a frozen SciPy distribution.
        low: Least λ in nats; −inf for none.
        high: Largest λ in nats; inf for none.

    Returns:
        A frozen SciPy distribution.

    Raises:
        TypeError: ``density`` is no law, or an end is no number.
        ValueError: The law has no mass between the ends, fewer than two discrete levels, or so
            little mass that rounding moves its quantiles.
    """
    law = completed(density, "density")
    low = limit(low, "low")
    high = limit(high, "high")
    require(
        low < high,
        f"there is no mass unless low is below high, got low = {low:g} and high = {high:g}",
    )
    table = atomic(law)
    if table is not None:
        inside = (table.levels >= low) & (table.levels <= high)
        return _kept(table, table.mass * inside, f"[{low:g}, {high:g}] holds")
    between = stretch(law, low, high)
    positive(between.mass, f"mass of the density in [{low:g}, {high:g}]")
    if between.mass < LEAST_SOUND:
        check_quantiles(between)
    return two_sided(between, a=between.low, b=between.high)


def stretch(law: Any, low: float, high: float) -> Truncation:
    """A law between two ends, cut to its support.

    Args:
        law: A frozen SciPy distribution.
        low: Least λ in nats, or −inf.
        high: Largest λ in nats, or inf.

    Returns:
        The map from a probability to a quantile there.
    """
    cdf = float(law.cdf(low)), float(law.cdf(high))
    sf = float(law.sf(low)), float(law.sf(high))
    # not the quantiles of 0 and 1: far out in a tail they are infinite by rounding
    first, last = law.support()
    return Truncation(law, float(max(low, first)), float(min(high, last)), cdf, sf)


def check_quantiles(between: Truncation) -> None:
    """Refuse a stretch of a law whose quantiles are rounded, as those from 1 − cdf far up are.

    Args:
        between: The law between two ends.

    Raises:
        ValueError: A quantile is off by more than a millionth of the mass, and not because the
            stretch is narrow.
    """
    shares = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
    with np.errstate(all="ignore"):  # of a search that finds nothing
        quantile = between.forward(shares)
    spacing = np.spacing(abs(quantile).max()) / max(np.ptp(quantile), np.finfo(float).tiny)
    off = abs(between.inverse(quantile) - shares).max()
    if not off <= ROUNDED + 8 * spacing or spacing > 0.01:
        raise ValueError(
            f"the density has {between.mass:.2g} of its mass in [{between.low:g}, "
            f"{between.high:g}], where rounding moves its quantiles by {off:.1g} of that: give it "
            "methods sf and isf, the probability above λ and its inverse, or take wider ends"
        )


# --- laws put together from others ---------------------------------------------------------------


def smooth(value: Any, name: str) -> Any:
    """A law with a density; a ValueError for one of discrete levels."""
    law = completed(value, name)
    require(atomic(law) is None, f"{name} must have a density, got a law of discrete levels")
    return law


def mixture(components: Sequence[Any], shares: Sequence[float]) -> Any:
    """Law of a λ that is drawn from one of several laws.

    Args:
        components: Laws of λ, frozen SciPy distributions with densities.
        shares: Probability of each up to a constant, one for each law, above 0.

    Returns:
        A frozen SciPy distribution.

    Raises:
        TypeError: A component is no law, or a share no number.
        ValueError: There is no component, a share is not above 0, their numbers differ, or a
            component has discrete levels.

    Example:
        >>> from scipy import stats
        >>> law = dv.laws.mixture([stats.norm(0, 2), stats.norm(5, 1)], [0.75, 0.25])
        >>> round(float(law.mean()), 6)
        1.25
    """
    members = items(components, "components")
    parts = tuple(smooth(law, f"components[{i}]") for i, law in enumerate(members))
    masses = finite(shares, "shares")
    require(
        masses.shape == (len(parts),) and len(parts) > 0 and bool((masses > 0).all()),
        f"shares are {len(parts)} numbers above 0, one for each component; got {shares!r}",
    )
    return Mixture(parts, tuple((masses / masses.sum()).tolist())).freeze()


def blended(density: Any, share: float) -> Any:
    """Law of λ on the linear path for t = (1 − share) t₀ + share u, u uniform on [0, 1].

    It is what a code draws that *adds* a uniform time to another, where its text says that it draws
    from a mixture of both.

    Args:
        density: Law of the λ of t₀, a frozen SciPy distribution with a density.
        share: Weight of the uniform draw, in (0, 1).

    Returns:
        A frozen SciPy distribution.

    Raises:
        TypeError: ``density`` is no law, or the share is no number.
        ValueError: The share lies outside (0, 1), or the law has discrete levels.

    Example:
        >>> from scipy import stats
        >>> law = dv.laws.blended(stats.norm(0, 2), share=0.5)
        >>> law.support() == tuple(dv.paths.LINEAR.logsnr([1.0, 0.0]))
        True
    """
    law = smooth(density, "density")
    weight = positive(share, "share")
    require(weight < 1, f"share must lie in (0, 1), got {weight:g}; at 1 take scipy.stats.uniform")
    return BlendedTime(law, weight).freeze()


def squeezed(density: Any, low: float, high: float) -> Any:
    """Law of λ on the linear path when t goes to low + (high − low) t.

    The ends may lie outside [0, 1] where the law has no time that would leave it.

    Args:
        density: Law of λ before, a frozen SciPy distribution with a density.
        low: Where t = 0 goes.
        high: Where t = 1 goes.

    Returns:
        A frozen SciPy distribution.

    Raises:
        TypeError: ``density`` is no law, or an end is no number.
        ValueError: Not low < high, the law has discrete levels, or a time leaves [0, 1].

    Example:
        >>> from scipy import stats
        >>> law = dv.laws.squeezed(stats.logistic(0, 2), 0.02, 1.0)
        >>> [round(float(end), 3) for end in law.support()]
        [-inf, 7.784]
    """
    law = smooth(density, "density")
    start, end = ordered(low, high)
    times = start + (end - start) * expit(-np.array(law.support()) / 2)
    require(
        bool(((times >= -1e-12) & (times <= 1 + 1e-12)).all()),
        f"low {start:g} and high {end:g} take times of the law to [{times.min():g}, "
        f"{times.max():g}], outside [0, 1]; truncate the law first",
    )
    return Transformed(law, SqueezedTime(start, end), rising=True).freeze()
