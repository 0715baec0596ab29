"""Curves c(λ) on a target's own error, and what a weighting w(λ) on the eps error says.

    L_w = ½ ∫ w(λ) E‖eps_hat − eps‖² dλ        (Kingma and Gao 2023, arXiv 2303.00848)

Weightings are compared up to a constant. A w that falls with λ makes the loss an ELBO of noised
data, with −dw/dλ as the law of the noise level. Where w rises, that law would be negative. The
product w(λ) E‖eps_hat − eps‖², the *loss density*, is the same in every base.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import simpson
from scipy.special import expit

from diffviz.checks import finite, increasing, positive
from diffviz.theory.frames import Curve
from diffviz.theory.multipliers import constant
from diffviz.theory.targets import base_gain


def measured_values(measured: Any, logsnr: ArrayLike) -> NDArray:
    """A measured weighting on a grid: bin averages, log-linear between the middles of the bins.

    Args:
        measured: What probing a loss gives, with ``edges`` and ``weighting``.
        logsnr: λ in nats, any shape.

    Returns:
        The weighting, same shape.

    Raises:
        ValueError: The grid leaves the bins.
    """
    edges = measured.edges()
    if np.min(logsnr) < edges[0] or np.max(logsnr) > edges[-1]:
        raise ValueError(
            f"the loss was measured on logsnr [{edges[0]:.4g}, {edges[-1]:.4g}] only; "
            "nothing is extrapolated"
        )
    middles = (edges[1:] + edges[:-1]) / 2
    averages = measured.weighting(edges)[0]
    return np.exp(np.interp(np.asarray(logsnr), middles, np.log(averages)))


def raw_values(w: Any, logsnr: ArrayLike) -> ArrayLike:
    """A weighting on a grid, before any check.

    Args:
        w: A measured loss, an objective (or anything with ``weighting``), a callable, or values.
        logsnr: λ in nats, any shape.

    Returns:
        What ``w`` says of the grid.
    """
    if hasattr(w, "edges"):
        return measured_values(w, logsnr)
    if hasattr(w, "weighting"):
        return w.weighting(logsnr)
    if callable(w):
        return w(logsnr)
    return w


def evaluate(w: Any, logsnr: ArrayLike) -> NDArray:
    """A weighting on a grid.

    Args:
        w: An objective (or anything with ``weighting``), a measured loss, a callable of λ, or
            values on the grid.
        logsnr: λ in nats, any shape.

    Returns:
        The weighting, same shape.

    Raises:
        TypeError: ``w`` is a name.
        ValueError: A value is negative or not finite, or the shapes differ.
    """
    if isinstance(w, str):
        raise TypeError(
            "a weighting is an objective, a callable or an array; "
            f"for a name say dv.objective({w!r})"
        )
    values = finite(raw_values(w, logsnr), "weighting")
    if values.shape != np.shape(logsnr):
        raise ValueError(f"weighting has shape {values.shape}, logsnr {np.shape(logsnr)}")
    if (values < 0).any():
        where = np.ravel(logsnr)[values.argmin()]
        raise ValueError(f"a weighting is >= 0, got {values.min():g} at logsnr {where:g}")
    return values


def ends_of(item: Any) -> tuple[float, float] | None:
    """Where an object has support.

    Args:
        item: A measured loss, an objective, or anything else.

    Returns:
        Least and largest λ in nats. None for an object without a law and without bins.
    """
    if hasattr(item, "edges"):
        edges = item.edges()
        return edges[1], edges[-2]
    if hasattr(item, "law"):
        return item.law.support()
    return None


def window(*objects: Any, low: float = -20.0, high: float = 20.0, points: int = 4001) -> NDArray:
    """Grid over the stretch of [low, high] on which every object has support, ends a hair inside.

    Args:
        *objects: Objectives and measured losses; other things set no limit.
        low: Least λ in nats.
        high: Largest λ in nats.
        points: Number of grid points.

    Returns:
        Increasing λ, shape (points,).

    Raises:
        ValueError: The supports do not overlap.
    """
    ends = [end for end in map(ends_of, objects) if end is not None]
    low = max([low, *(first for first, _ in ends)])
    high = min([high, *(last for _, last in ends)])
    if low >= high:
        listing = ", ".join(f"[{first:.3g}, {last:.3g}]" for first, last in ends)
        raise ValueError(f"the supports do not overlap: {listing}")
    hair = 1e-12 * (high - low)
    return np.linspace(low + hair, high - hair, points)


def augmentation_density(w: Any, logsnr: ArrayLike) -> NDArray:
    """Density of the noise augmentation under which a weighted loss is an ELBO.

    For a non-increasing w it is −dw/dλ (Kingma and Gao 2023, arXiv 2303.00848, sec. 3). Where w
    rises it is negative, and the loss is no ELBO. With w(λ_max) as a last lump it adds up to
    w(λ_min).

    Args:
        w: Weighting on the eps error: an objective, a callable, or values on the grid.
        logsnr: Increasing λ in nats, shape (n,).

    Returns:
        −dw/dλ by central differences, shape (n,).

    Raises:
        ValueError: The grid does not increase, or a value is negative or not finite.
    """
    grid = increasing(logsnr, "logsnr")
    return -np.gradient(evaluate(w, grid), grid)


def gaussian_mmse(logsnr: ArrayLike) -> NDArray:
    """E‖eps_hat − eps‖² per dimension of the exact denoiser on N(0, 1): sigmoid(λ).

    Args:
        logsnr: λ in nats, any shape.

    Returns:
        The error, same shape.
    """
    return expit(logsnr)


def gaussian_information(logsnr: ArrayLike) -> NDArray:
    """I(x; z_λ) = ½ log(1 + e^λ) for x ~ N(0, 1).

    Args:
        logsnr: λ in nats, any shape.

    Returns:
        The information in nats, same shape.
    """
    return np.logaddexp(0, logsnr) / 2


@dataclass(frozen=True)
class Verdict:
    """What ``verdict`` found.

    Args:
        monotone: Whether w never rises with λ.
        rises: Intervals of λ on which w rises.
        peak: λ of the largest w.
        negative_share: Share of the ELBO mixture with a negative sign.
        logsnr: The grid, shape (n,).
        w: The weighting on it, shape (n,).
        augmentation: −dw/dλ on it, shape (n,).
    """

    monotone: bool
    rises: tuple[tuple[float, float], ...]
    peak: float
    negative_share: float
    logsnr: NDArray
    w: NDArray
    augmentation: NDArray

    def __str__(self) -> str:
        if self.monotone:
            return "monotone: an ELBO with noise augmentation"
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


def _peak(grid: NDArray, values: NDArray) -> float:
    """Place of the largest value, by a quartic through it and two neighbours on each side."""
    i = int(values.argmax())
    if not 2 <= i < len(grid) - 2:
        return float(grid[i])
    near = slice(i - 2, i + 3)
    quartic = np.polynomial.Polynomial.fit(grid[near], values[near] / values[i], 4)
    turns = quartic.deriv().roots()
    if not len(turns):
        return float(grid[i])
    nearest = turns[np.abs(turns - grid[i]).argmin()].real
    inside = grid[i - 1] < nearest < grid[i + 1]
    return float(nearest if inside else grid[i])


def _stretches(grid: NDArray, rising: NDArray) -> tuple[tuple[float, float], ...]:
    """Ends of the runs of grid steps that are marked, as pairs of λ."""
    turns = np.flatnonzero(np.diff(rising, prepend=0, append=0))
    pairs = grid[turns].reshape(-1, 2).tolist()
    return tuple((first, last) for first, last in pairs)


def verdict(
    w: Any, logsnr: ArrayLike | None = None, information: Curve = gaussian_information
) -> Verdict:
    """Is w monotone (non-increasing in λ), where does it rise, and how much is negative?

    The loss is a signed mixture of ELBOs (Kingma and Gao 2023, arXiv 2303.00848, theorem 1):

        L_w = w(λ_max) L(λ_max) − w(λ_min) L(λ_min) − ∫ w′(λ) L(λ) dλ.

    The negative share is ∫ (w′)₊ L over w(λ_max) L(λ_max) + ∫ (−w′)₊ L, where L(λ) = I(x; z_λ) is
    that of the exact denoiser. The term at λ_min is left out, since it vanishes as the range grows.

    Args:
        w: An objective, a callable of λ, or values on ``logsnr``.
        logsnr: Increasing grid in nats, shape (n,). By default [−20, 20] cut to the support.
        information: I(x; z_λ) of the data, a function of λ.

    Returns:
        The verdict.

    Raises:
        ValueError: The grid does not increase, a w is negative or not finite or 0 throughout, or
            values come without a grid.
    """
    if logsnr is None and not (callable(w) or hasattr(w, "weighting")):
        raise ValueError("values of w need their grid: verdict(w, logsnr)")
    grid = window(w) if logsnr is None else increasing(logsnr, "logsnr")
    values = evaluate(w, grid)
    if not values.any():
        raise ValueError("the weighting is 0 on the whole grid; pass a grid inside its support")
    steps = np.diff(values)
    rising = steps > 1e-9 * np.maximum(values[1:], values[:-1])
    rises = _stretches(grid, rising)
    spent = steps * finite(information((grid[1:] + grid[:-1]) / 2), "information")
    negative = spent[rising].sum()
    whole = values[-1] * float(information(grid[-1])) - spent[~rising].sum()
    return Verdict(
        monotone=not rises,
        rises=rises,
        peak=_peak(grid, values),
        negative_share=float(negative / whole) if negative else 0.0,
        logsnr=grid,
        w=values,
        augmentation=augmentation_density(values, grid),
    )


@dataclass(frozen=True)
class Comparison:
    """Whether two weightings agree up to a constant.

    Args:
        same: Whether the deviation is within the tolerance.
        deviation: Largest relative deviation of the ratio from its median.
        at: λ where it is met.
        logsnr: The grid, shape (n,).
        ratio: The ratio on it with median 1, shape (n,).
    """

    same: bool
    deviation: float
    at: float
    logsnr: NDArray
    ratio: NDArray

    def __str__(self) -> str:
        outcome = "same up to a constant" if self.same else "different"
        return (
            f"{outcome}: the ratio deviates by {self.deviation:.2g} at most, "
            f"at logsnr {self.at:.2f}"
        )


def compare(a: Any, b: Any, logsnr: ArrayLike | None = None, tolerance: float = 1e-6) -> Comparison:
    """Are two weightings the same up to a constant?

    Args:
        a: An objective, a callable of λ, or values on ``logsnr``.
        b: The same.
        logsnr: Increasing grid in nats, shape (n,). By default the stretch of [−12, 12] on which
            both have support.
        tolerance: Relative deviation of the ratio that still counts as the same.

    Returns:
        The comparison.

    Raises:
        ValueError: The supports do not overlap, or a weighting is 0 on the grid.
    """
    positive(tolerance, "tolerance")
    if logsnr is None:
        grid = window(a, b, low=-12, high=12, points=2001)
    else:
        grid = increasing(logsnr, "logsnr")
    over = evaluate(a, grid)
    under = evaluate(b, grid)
    if not ((over > 0) & (under > 0)).all():
        raise ValueError(
            "a weighting is 0 inside the window, the ratio has no meaning there; "
            "pass a narrower logsnr grid"
        )
    ratio = over / under / np.median(over / under)
    worst = np.abs(ratio - 1).argmax()
    deviation = float(abs(ratio[worst] - 1))
    return Comparison(
        same=deviation <= tolerance,
        deviation=deviation,
        at=float(grid[worst]),
        logsnr=grid,
        ratio=ratio,
    )


def _agree(w: NDArray, known: NDArray, tolerance: float) -> bool:
    """Whether two weightings on a grid agree up to a constant where both are above 0."""
    both = (w > 0) & (known > 0)
    ratio = w[both] / known[both]
    return both.sum() > 100 and np.ptp(ratio) <= tolerance * np.median(ratio)


def equivalent(objectives: Iterable, tolerance: float = 1e-6) -> list[list]:
    """Objectives grouped by identical weighting, up to a constant and where supports overlap.

    Args:
        objectives: What is to be grouped.
        tolerance: Relative deviation of the ratio that still counts as the same.

    Returns:
        Lists of objectives, the longest first. The first member of each stands for it.
    """
    grid = np.linspace(-12, 12, 2001)
    groups: list[tuple[NDArray, list]] = []
    for objective in objectives:
        w = evaluate(objective, grid)
        for known, group in groups:
            if _agree(w, known, tolerance):
                group.append(objective)
                break
        else:
            groups.append((w, [objective]))
    return sorted((group for _, group in groups), key=len, reverse=True)


def rebase(w: ArrayLike, logsnr: ArrayLike, base: str) -> NDArray:
    """A weighting on the eps error as one on the error of a base; the loss does not change.

    Args:
        w: Weighting on the eps error, shape (n,).
        logsnr: λ in nats, shape (n,).
        base: "eps", "x", "v" or "u".

    Returns:
        w over the squared gain of the base, shape (n,).

    Raises:
        ValueError: A value is not finite, or the base is unknown.
    """
    return finite(w, "weighting") / base_gain(base, finite(logsnr, "logsnr")) ** 2


def loss_density(w: Any, logsnr: ArrayLike, mmse: Curve = gaussian_mmse) -> NDArray:
    """w(λ) E‖eps_hat − eps‖² per nat, for an exact denoiser.

    Args:
        w: An objective, a callable of λ, or values on ``logsnr``.
        logsnr: λ in nats, shape (n,).
        mmse: Error of the denoiser as a function of λ. By default it is that for N(0, 1).

    Returns:
        The loss density, shape (n,).

    Raises:
        ValueError: A value is not finite, or w is negative.
    """
    return evaluate(w, logsnr) * finite(mmse(np.asarray(logsnr, dtype=float)), "mmse")


def share_below(
    w: Any, at: float = 0.0, mmse: Curve | None = None, low: float = -10.0, high: float = 10.0
) -> float:
    """Share of ∫ w dλ, or of the loss ∫ w · mmse dλ, that lies below a λ.

    Args:
        w: An objective or a callable of λ.
        at: λ in nats below which the share is taken.
        mmse: Error of the denoiser as a function of λ. By default w alone counts.
        low: Least λ of the whole.
        high: Largest λ of the whole.

    Returns:
        The share, between 0 and 1.

    Raises:
        ValueError: The whole is 0, low >= high, ``at`` is not finite, or w is an array.
    """
    if not (low < high and np.isfinite(at)) or not (callable(w) or hasattr(w, "weighting")):
        raise ValueError(
            "a share needs an objective or a callable, a finite at and low < high; "
            f"got at {at}, [{low}, {high}]"
        )
    start = max(low, w.law.support()[0]) if hasattr(w, "law") else low
    error = mmse or constant

    def mass_below(end: float) -> float:
        if start >= end:
            return 0.0
        grid = window(w, low=low, high=end)
        return simpson(evaluate(w, grid) * error(grid), x=grid)

    whole = mass_below(high)
    if not whole > 0:
        raise ValueError(f"there is no weight on logsnr [{low:g}, {high:g}]; widen the range")
    return float(mass_below(min(at, high)) / whole)
