"""What counts as a weighting w(λ), on which λ it is known, and on whose error it acts.

Functions of the analysis take an objective, a measured loss, a callable of λ, or values on a grid.
``resolve`` decides once which of these it is. The rest of the code sees a function of λ and the
stretch on which it holds.

The same loss has a different weighting on the error of each base:

    ½ ∫ w_a(λ) ‖error_a‖² dλ = ½ ∫ w_b(λ) ‖error_b‖² dλ,      w_b = w_a gain_a² / gain_b².
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffviz.checks import brief, count, finite, number, offers, require
from diffviz.protocols import Law, Measured, Weighting
from diffviz.theory.atoms import WeightedLevels, measured_levels, weighted_levels
from diffviz.theory.frames import Curve
from diffviz.theory.targets import base_gain

EVERYWHERE = (-np.inf, np.inf)
UNEVEN_BINS = 40  # of a table whose rare levels were drawn a few times only


class WithLaw(Protocol):
    """What trains under a law of log-SNR, and so has a weighting on its support only."""

    @property
    def law(self) -> Law:
        """The law of log-SNR."""


class OfCrossEntropy(Protocol):
    """A weighting on a cross-entropy, whose ELBO is not constant in λ."""

    @property
    def law(self) -> Law:
        """The law of log-SNR."""

    @property
    def information(self) -> Curve:
        """I(x; z_λ) of data without structure, a function of λ."""

    @property
    def floor(self) -> Curve:
        """Least error on data without structure, a function of λ."""

    def over_elbo(self, logsnr: NDArray) -> NDArray:
        """The weighting over that of the ELBO, in the shape of ``logsnr``."""


class MeasuredMasked(Protocol):
    """A measured loss of masked diffusion, which has entries of its own."""

    @property
    def length(self) -> int:
        """Number of tokens of a sequence that may be masked."""

    def count_weights(self) -> NDArray:
        """Weights of k = 1 to ``length`` masked tokens up to a constant, shape (length,)."""


@dataclass(frozen=True, eq=False)
class MeasuredCurve:
    """A measured weighting as a function of λ: bin averages, log-linear between the bin middles.

    Args:
        edges: Increasing edges of the bins in nats, shape (n + 1,).
        averages: Average of w over each bin, shape (n,).
    """

    edges: NDArray
    averages: NDArray

    def __call__(self, logsnr: NDArray) -> NDArray:
        """The weighting at λ in nats, same shape; a ValueError beyond the bins."""
        first, last = self.edges[[0, -1]]
        require(
            (logsnr >= first).all() and (logsnr <= last).all(),
            f"the loss was measured on logsnr [{first:.4g}, {last:.4g}] only; "
            "nothing is extrapolated",
        )
        middles = (self.edges[1:] + self.edges[:-1]) / 2
        if (self.averages > 0).all():
            return np.exp(np.interp(logsnr, middles, np.log(self.averages)))
        return np.interp(logsnr, middles, self.averages)


@dataclass(frozen=True)
class Resolved:
    """A weighting as a function, with the stretch of λ on which it is known.

    Args:
        curve: w on the eps error, a function of λ.
        support: Least and largest λ in nats; infinite where nothing limits them.
        levels: The levels behind the curve, of a loss that trains on a table of them.
        law: Law of λ behind the curve, if there is one.
    """

    curve: Curve
    support: tuple[float, float]
    levels: WeightedLevels | None = None
    law: Law | None = None


# what the functions of the analysis accept
WeightingLike = Weighting | Measured | Curve | ArrayLike | Resolved


def _resolve_measured(measured: Measured) -> Resolved:
    """A measured loss: its bin averages, trusted up to the outermost bins."""
    levels = measured_levels(measured)
    is_coarse = levels is not None and not levels.is_even
    edges = measured.edges(UNEVEN_BINS) if is_coarse else measured.edges()
    averages, _ = measured.weighting(edges)
    return Resolved(MeasuredCurve(edges, averages), (edges[1], edges[-2]))


def resolve(w: WeightingLike) -> Resolved | None:
    """Decide what kind of weighting was passed.

    Args:
        w: An objective (or anything with ``weighting``), a measured loss, a callable of λ, values
            on a grid, or what this function returned before.

    Returns:
        The weighting as a function. None for values, which are known on their own grid only.

    Raises:
        TypeError: ``w`` is a name, a class, or a measured loss of masked diffusion.
        ValueError: A measured loss has no weighting.
    """
    if isinstance(w, Resolved):
        return w
    if isinstance(w, str):
        raise TypeError(
            "a weighting is an objective, a callable or an array; "
            f"for a name say dv.objective({brief(w)})"
        )
    if isinstance(w, type):
        raise TypeError(f"a weighting is an objective, not the class {w.__name__}; make one first")
    if offers(w, Measured):
        return _resolve_measured(w)
    if offers(w, MeasuredMasked):
        raise TypeError(
            "a measured loss of masked diffusion is known by its averages over bins: pass "
            'measured.weighting(edges, base="elbo") with the middles of the bins as logsnr; '
            "diffviz.masked.closest_masked(measured) finds the nearest entries"
        )
    if offers(w, Weighting):
        law = w.law if offers(w, WithLaw) else None
        support = EVERYWHERE if law is None else law.support()
        return Resolved(w.weighting, support, weighted_levels(w), law)
    if callable(w):
        return Resolved(w, EVERYWHERE)
    return None


def resolve_curve(w: WeightingLike, caller: str) -> Resolved:
    """Like ``resolve``, for functions that choose the grid themselves and cannot take values.

    Args:
        w: An objective, a measured loss or a callable of λ.
        caller: The function that asks, for the message.

    Returns:
        The weighting as a function.

    Raises:
        ValueError: ``w`` holds values.
    """
    resolved = resolve(w)
    if resolved is None:
        raise ValueError(
            f"{caller} needs an objective, a measured loss or a callable of λ here, since values "
            f"of w need their grid; got {type(w).__name__}"
        )
    return resolved


def is_of_cross_entropy(w: Any) -> TypeGuard[OfCrossEntropy]:
    """Whether a weighting is that of an objective on a cross-entropy.

    Args:
        w: An objective, a measured loss, a callable of λ, or values.

    Returns:
        Whether it is; not for a class of such objectives.
    """
    return offers(w, OfCrossEntropy) and not isinstance(w, type)


def relative_to_elbo(w: WeightingLike) -> WeightingLike:
    """A weighting of which that of the ELBO is constant.

    Args:
        w: An objective, a measured loss, a callable of λ, or values.

    Returns:
        Of an objective on a cross-entropy its weighting over that of the ELBO, anything else as it
        is.
    """
    if is_of_cross_entropy(w):
        return Resolved(w.over_elbo, w.law.support(), law=w.law)
    return w


def require_one_error(weightings: Iterable[Any]) -> None:
    """Refuse weightings of which some act on a cross-entropy and others on a squared error.

    Args:
        weightings: Objectives, measured losses, callables of λ or values.

    Raises:
        TypeError: Both kinds are among them.
    """
    members = list(weightings)
    on_entropy = [w for w in members if offers(w, OfCrossEntropy)]
    others = [w for w in members if offers(w, WithLaw) and not offers(w, OfCrossEntropy)]
    if on_entropy and others:
        raise TypeError(
            f"{on_entropy[0]!r} weights a cross-entropy and {others[0]!r} a squared error; "
            "compare objectives of one kind"
        )


def _accepted(values: Any, logsnr: NDArray) -> NDArray:
    """Values of a weighting, if they are finite, >= 0 and fit the grid."""
    w = finite(values, "weighting")
    if w.shape != logsnr.shape:
        raise ValueError(
            f"weighting has shape {w.shape}, logsnr {logsnr.shape}; one value for each logsnr"
        )
    if (w < 0).any():
        lowest = np.ravel(logsnr)[w.argmin()]
        raise ValueError(f"a weighting is >= 0, got {w.min():g} at logsnr {lowest:g}")
    return w


def evaluate(w: WeightingLike, logsnr: ArrayLike) -> NDArray:
    """A weighting on a grid.

    Args:
        w: An objective (or anything with ``weighting``), a measured loss, a callable of λ, or
            values on the grid.
        logsnr: λ in nats, any shape.

    Returns:
        The weighting, same shape.

    Raises:
        TypeError: ``w`` is a name, or values are no real numbers.
        ValueError: A value is negative or not finite, the shapes differ, or the grid leaves the
            stretch on which a loss was measured.
    """
    grid = finite(logsnr, "logsnr")
    resolved = resolve(w)
    return _accepted(w if resolved is None else resolved.curve(grid), grid)


def evaluate_inside(w: WeightingLike, logsnr: NDArray) -> NDArray:
    """A weighting on a grid that may leave its support, and 0 outside it.

    Args:
        w: An objective, a measured loss or a callable of λ.
        logsnr: λ in nats, shape (n,).

    Returns:
        The weighting, shape (n,).

    Raises:
        ValueError: ``w`` holds values, or a value is negative or not finite.
    """
    resolved = resolve_curve(w, "a comparison")
    low, high = resolved.support
    inside = (logsnr >= low) & (logsnr <= high)
    values = np.zeros_like(logsnr)
    if inside.any():
        values[inside] = _accepted(resolved.curve(logsnr[inside]), logsnr[inside])
    return values


def support(w: WeightingLike) -> tuple[float, float]:
    """Where a weighting is known.

    Args:
        w: An objective, a measured loss, a callable of λ, or values.

    Returns:
        Least and largest λ in nats; infinite for callables and values.
    """
    if isinstance(w, Resolved):
        return w.support
    if offers(w, WithLaw) and not isinstance(w, type):  # even without a weighting
        return w.law.support()
    resolved = resolve(w)
    return EVERYWHERE if resolved is None else resolved.support


def window(
    *objects: WeightingLike, low: float = -20.0, high: float = 20.0, points: int = 4001
) -> NDArray:
    """Grid over the stretch of [low, high] on which every object has support, ends a hair inside.

    Args:
        *objects: Objectives and measured losses; callables and values set no limit.
        low: Least λ in nats.
        high: Largest λ in nats.
        points: Number of grid points, at least 2.

    Returns:
        Increasing λ, shape (points,).

    Raises:
        TypeError: An end is no number, or the number of points is no whole number.
        ValueError: low >= high, or the supports do not overlap.
    """
    points = count(points, "points", least=2)
    ends = [support(w) for w in objects]
    limits = [_in_order(low, high), *ends]
    start = max(first for first, _ in limits)
    stop = min(last for _, last in limits)
    if start >= stop:
        listing = ", ".join(f"[{first:.3g}, {last:.3g}]" for first, last in limits)
        raise ValueError(f"the supports do not overlap: {listing}")
    hair = 1e-12 * (stop - start)
    return np.linspace(start + hair, stop - hair, points)


def _in_order(low: float, high: float) -> tuple[float, float]:
    """Two ends of a range as numbers, of which the first is smaller."""
    first = number(low, "low")
    last = number(high, "high")
    require(
        first < last,
        f"low must be below high, got low = {first:g} and high = {last:g}; low is the noisier end",
    )
    return first, last


def rebase(w: ArrayLike, logsnr: ArrayLike, base: str, to: str) -> NDArray:
    """A weighting on the error of one base as one on the error of another; the loss stays.

    Args:
        w: Weighting on the error of ``base``, shape (n,).
        logsnr: λ in nats, shape (n,).
        base: The base on which w acts: "eps", "x", "v" or "u".
        to: The base of the result, likewise.

    Returns:
        w times the squared gain of ``base`` over that of ``to``, shape (n,).

    Raises:
        TypeError: w or λ are no real numbers.
        ValueError: A value is negative or not finite, the shapes differ, a base is unknown, or a
            result leaves the range of float64.

    Example:
        >>> dv.rebase([1.0, 1.0], [-2.0, 0.0], base="eps", to="x").round(4)
        array([0.1353, 1.    ])
    """
    grid = finite(logsnr, "logsnr")
    values = _accepted(w, grid)
    with np.errstate(over="ignore", invalid="ignore"):  # refused below
        ratio = base_gain(base, grid) / base_gain(to, grid)
        rebased = values * ratio**2
    lost = np.ravel(grid)[~np.isfinite(np.ravel(rebased))]
    if lost.size:
        raise ValueError(
            f"at logsnr {lost[0]:g} the weighting on {to} leaves the range of float64; drop such "
            "levels first"
        )
    return np.asarray(rebased)
