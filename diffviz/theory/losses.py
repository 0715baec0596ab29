r"""Losses that are not squared, and what they weight at the error that a network makes.

A loss ρ(r) of the length r of an error has no weighting of its own: how strongly it pulls at a
level depends on how large the error is there. At a given error it has a *local* one. Take the error
of d components to be Gaussian, N(0, m I), with m the mean squared error of a component. Then the
loss falls, for each unit by which the squared error falls, by

    φ(m) = d E ρ(r) / d(d m) = E[r ρ'(r)]/(2 d m) = E₊[ρ'(r)/(2r)],

where E₊ is the average under a Gaussian error of d + 2 components: it is the mean of the weight
that iteratively reweighted least squares gives an error. φ is 1 for the squared loss. A multiplier
c(λ) φ(m(λ)) on the squared error therefore has the same gradient as the loss with respect to the
size of the errors, at the present errors and nowhere else.

All losses here are r² for errors much smaller than their threshold δ, where φ is 1, and 2 δ r for
much larger ones, where φ is δ E r/(d m) and falls as 1/sqrt(m):

    Huber:         r² up to δ, then 2 δ r − δ²
    pseudo-Huber:  2 δ (sqrt(r² + δ²) − δ)
    log-cosh:      2 δ² log cosh(r/δ)

Where the components are compared one by one, d is 1. A loss of the length of the whole error, as in
consistency training, has the d of the data.

Example:
    >>> loss = dv.losses.huber(threshold=1.0)
    >>> loss.slope([0.01, 1.0, 100.0]).round(3)
    array([1.   , 0.683, 0.08 ])
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammainc, gammaincc, gammaln

from diffviz.checks import (
    brief,
    count,
    finite,
    increasing,
    number,
    offers,
    one_of,
    positive,
    require,
)
from diffviz.theory.frames import Curve, levels, noise_ratio
from diffviz.theory.objectives import Objective
from diffviz.theory.paths import Path, checked_path
from diffviz.theory.targets import Target

POINTS = 400  # of the trapezoidal rule in the logarithm of r²
WIDEST = 1e20  # δ/sqrt(m) beyond which φ is 1
MANY = 1e4  # components of which Stirling's series has all digits
FAR = 40.0  # exponent below which the density of r² does not count

# --- thresholds: functions of λ (any shape, nats) that return δ in that shape ---------------------


@dataclass(frozen=True)
class ConstantThreshold:
    """The same δ at all levels.

    Args:
        value: δ.
    """

    value: float

    def __call__(self, logsnr: ArrayLike) -> NDArray:
        """δ at λ in nats, same shape."""
        return np.full(np.shape(logsnr), self.value)


@dataclass(frozen=True)
class ExponentialThreshold:
    """scale · least^t at the time t of a path.

    Args:
        least: δ at noise over δ at data.
        scale: δ at data.
        path: The path.
    """

    least: float
    scale: float
    path: Path

    def __call__(self, logsnr: ArrayLike) -> NDArray:
        """δ at λ in nats, same shape."""
        return self.scale * self.least ** self.path.time(levels(logsnr))


@dataclass(frozen=True)
class SNRThreshold:
    """(1 − least)/(1 + sigma/alpha)² + least.

    Args:
        least: δ at noise; at data it is 1.
    """

    least: float

    def __call__(self, logsnr: ArrayLike) -> NDArray:
        """δ at λ in nats, same shape."""
        return (1 - self.least) / (1 + noise_ratio(levels(logsnr))) ** 2 + self.least


def exponential(path: Path, least: float = 0.1, scale: float = 1.0) -> ExponentialThreshold:
    """Threshold scale · least^t, which falls from data to noise.

    Source: kohya-ss/sd-scripts, ``huber_schedule = "exponential"``.

    Args:
        path: The path whose time it is, such as the objective's.
        least: δ at noise over δ at data.
        scale: δ at data.

    Returns:
        The threshold.

    Raises:
        TypeError: ``path`` is no path, or an argument is no number.
        ValueError: ``least`` or ``scale`` is not above 0.

    Example:
        >>> dv.losses.exponential(dv.paths.LINEAR)([-100.0, 0.0, 100.0]).round(3)
        array([0.1  , 0.316, 1.   ])
    """
    return ExponentialThreshold(
        positive(least, "least"), positive(scale, "scale"), checked_path(path)
    )


def by_snr(least: float = 0.1) -> SNRThreshold:
    """Threshold (1 − least)/(1 + sigma/alpha)² + least, which falls from 1 at data to noise.

    Source: kohya-ss/sd-scripts, ``huber_schedule = "snr"``, which reads no ``huber_scale``.

    Args:
        least: δ at noise, in (0, 1].

    Returns:
        The threshold.

    Raises:
        TypeError: ``least`` is no number.
        ValueError: ``least`` lies outside (0, 1].

    Example:
        >>> dv.losses.by_snr(0.1)([-100.0, 0.0, 100.0]).round(3)
        array([0.1  , 0.325, 1.   ])
    """
    return SNRThreshold(number(least, "least", np.finfo(float).tiny, 1.0))


# --- losses ---------------------------------------------------------------------------------------


def _average(weight: Curve, root: NDArray, components: int) -> NDArray:
    """E₊ of a function of r/δ, by the trapezoidal rule in the log of u = r²/(2m).

    The law of u is the gamma law of shape p = d/2 + 1, so that r/δ is sqrt(2u)/root. The rule
    converges exponentially, since the functions are analytic near the real axis.

    Args:
        weight: The function of r/δ, array to array.
        root: δ/sqrt(m), shape (n,).
        components: d.

    Returns:
        The average, shape (n,).
    """
    shape = components / 2 + 1
    reach = np.sqrt(2 * FAR / shape)
    offset = np.linspace(-reach - FAR / shape, reach, POINTS)
    logarithm = shape * (offset - np.expm1(offset))  # of the density over its peak
    mass = np.exp(logarithm)
    u = shape * np.exp(offset)
    value = weight(np.sqrt(2 * u) / root[..., None])
    return (value * mass).sum(-1) / mass.sum()


def _length(components: int) -> float:
    """E r/sqrt(m) of a Gaussian error of d components, over d: sqrt(2) Γ((d + 1)/2)/(Γ(d/2) d)."""
    half = components / 2
    if half > MANY:  # where the logarithms of both are too large for their difference
        ratio = np.sqrt(half) * (1 - 1 / (8 * half) + 1 / (128 * half**2))
    else:
        ratio = np.exp(gammaln(half + 0.5) - gammaln(half))
    return float(np.sqrt(2) * ratio / components)


def _huber_slope(root: NDArray, components: int) -> NDArray:
    """P(χ²_{d+2} < a²) + a E[r] P(χ²_{d+1} > a²)/d with a = δ/sqrt(m); erf(a/sqrt 2) for d = 1."""
    half = root**2 / 2
    inside = gammainc(components / 2 + 1, half)
    beyond = gammaincc((components + 1) / 2, half)
    return inside + root * _length(components) * beyond


def _pseudo_huber_weight(q: NDArray) -> NDArray:
    """ρ'/(2r) of pseudo-Huber where q = r/δ is given."""
    return 1 / np.hypot(1, q)


def _pseudo_huber_slope(root: NDArray, components: int) -> NDArray:
    """x^p U(p, p + ½, x) with x = δ²/(2m) and p = d/2 + 1, by quadrature."""
    return _average(_pseudo_huber_weight, root, components)


def _log_cosh_weight(q: NDArray) -> NDArray:
    """ρ'/(2r) of log-cosh where q = r/δ is given: tanh(q)/q."""
    inner = np.maximum(q, 1e-4)
    return np.where(q < 1e-4, 1 - np.minimum(q, 1e-4) ** 2 / 3, np.tanh(inner) / inner)


def _log_cosh_slope(root: NDArray, components: int) -> NDArray:
    """E₊ tanh(r/δ)/(r/δ), by quadrature."""
    return _average(_log_cosh_weight, root, components)


# Each loss is r² times a function of r/δ up to the threshold, and 2 δ r times one of δ/r beyond it:
# δ² or r² alone may leave float64 where the loss does not.


def _huber_outside(p: NDArray) -> NDArray:
    """Huber's loss over 2 δ r at p = δ/r, at most 1."""
    return 1 - p / 2


def _pseudo_huber_inside(q: NDArray) -> NDArray:
    """Pseudo-Huber over r² at q = r/δ, at most 1: 2/(sqrt(q² + 1) + 1)."""
    return 2 / (np.sqrt(q**2 + 1) + 1)


def _pseudo_huber_outside(p: NDArray) -> NDArray:
    """Pseudo-Huber over 2 δ r at p = δ/r, at most 1: 1/(sqrt(p² + 1) + p)."""
    return 1 / (np.sqrt(p**2 + 1) + p)


def _log_cosh_inside(q: NDArray) -> NDArray:
    """Log-cosh over r² at q = r/δ, at most 1: 2 log(cosh q)/q², with cosh q = 1 + 2 sinh²(q/2)."""
    inner = np.maximum(q, 1e-4)
    return np.where(q < 1e-4, 1.0, 2 * np.log1p(2 * np.sinh(inner / 2) ** 2) / inner**2)


def _log_cosh_outside(p: NDArray) -> NDArray:
    """Log-cosh over 2 δ r at p = δ/r, at most 1: 1 + p log((1 + e^(−2/p))/2)."""
    inverse = 1 / np.maximum(p, np.finfo(float).tiny)
    return 1 + p * (np.log1p(np.exp(-2 * inverse)) - np.log(2))


@dataclass(frozen=True)
class Shape:
    """The form of a loss.

    Args:
        inside: The loss over r² where r/δ is given, at most 1.
        outside: The loss over 2 δ r where δ/r is given, at most 1.
        slope: φ where δ/sqrt(m) and the number of components are given.
    """

    inside: Curve
    outside: Curve
    slope: Callable[[NDArray, int], NDArray]


SHAPES: Mapping[str, Shape] = MappingProxyType(
    {
        "huber": Shape(np.ones_like, _huber_outside, _huber_slope),
        "pseudo-huber": Shape(_pseudo_huber_inside, _pseudo_huber_outside, _pseudo_huber_slope),
        "log-cosh": Shape(_log_cosh_inside, _log_cosh_outside, _log_cosh_slope),
    }
)


def _not_negative(values: ArrayLike, name: str) -> NDArray:
    """Numbers of at least 0."""
    checked = finite(values, name)
    if (checked < 0).any():
        raise ValueError(f"{name} must be >= 0, got {checked.min():g}")
    return checked


def _together(delta: NDArray, error: NDArray) -> tuple[NDArray, ...]:
    """Thresholds and errors in one shape."""
    try:
        return np.broadcast_arrays(delta, error)
    except ValueError:
        raise ValueError(
            f"errors of shape {error.shape} and logsnr of shape {delta.shape} do not go together"
        ) from None


@dataclass(frozen=True)
class ErrorLoss:
    """A loss of the length of an error that is not its square.

    Args:
        kind: "huber", "pseudo-huber" or "log-cosh".
        threshold: δ as a function of λ.
        components: Number d of components whose error has one length.

    Example:
        >>> loss = dv.losses.pseudo_huber(threshold=0.1)
        >>> loss([0.05, 10.0], logsnr=0.0).round(4)
        array([0.0024, 1.9801])
    """

    kind: str
    threshold: Curve
    components: int = 1

    def __post_init__(self) -> None:
        one_of(self.kind, "loss", tuple(SHAPES))
        if not callable(self.threshold):
            raise TypeError(
                f"threshold must be a function of λ, got {brief(self.threshold)}; dv.losses.huber "
                "and its like take a number too"
            )
        object.__setattr__(self, "components", count(self.components, "components"))

    def _sizes(self, logsnr: ArrayLike) -> NDArray:
        """δ at λ in nats, same shape or (); a ValueError unless it is above 0."""
        at = levels(logsnr)
        delta = finite(self.threshold(at), "what threshold returns")
        if delta.shape not in ((), at.shape) or not (delta > 0).all():
            raise ValueError(f"threshold must return a δ above 0 for each λ, got {brief(delta)}")
        return delta

    def __call__(self, length: ArrayLike, logsnr: ArrayLike = 0.0) -> NDArray:
        """The loss ρ(r).

        Args:
            length: r = ‖error‖ of the target, in its units, at least 0.
            logsnr: λ in nats, of a shape that broadcasts with it.

        Returns:
            The loss, of the broadcast shape.

        Raises:
            TypeError: An argument holds no real numbers.
            ValueError: A length is negative, a number is not finite, or the loss leaves float64.
        """
        delta, error = _together(self._sizes(logsnr), _not_negative(length, "length"))
        within = error <= delta
        shape = SHAPES[self.kind]
        loss = np.empty(error.shape)
        with np.errstate(over="ignore", under="ignore"):  # refused below
            small, large = error[within], error[~within]
            loss[within] = small * small * shape.inside(small / delta[within])
            beyond = delta[~within]
            loss[~within] = 2 * beyond * large * shape.outside(beyond / large)
        if not np.isfinite(loss).all():
            raise ValueError(
                f"the loss leaves float64 at the length {error[~np.isfinite(loss)][0]:g}; take "
                "smaller units"
            )
        return loss

    def slope(self, mean_square: ArrayLike, logsnr: ArrayLike = 0.0) -> NDArray:
        """What a unit of squared error costs, φ(m), at a mean squared error m.

        Args:
            mean_square: m, of one component of the error of the target; at least 0.
            logsnr: λ in nats, of a shape that broadcasts with it.

        Returns:
            φ in (0, 1], of the broadcast shape. It is 1 at m = 0.

        Raises:
            TypeError: An argument holds no real numbers.
            ValueError: m is negative, or a number is not finite.
        """
        delta, error = _together(self._sizes(logsnr), _not_negative(mean_square, "mean_square"))
        slope = np.ones(error.shape)
        some = error > 0
        with np.errstate(over="ignore", under="ignore", divide="ignore"):
            root = np.minimum(delta[some] / np.sqrt(error[some]), WIDEST)
            slope[some] = SHAPES[self.kind].slope(root, self.components)
        return np.minimum(slope, 1.0)


def _loss(kind: str, threshold: float | Curve, components: int) -> ErrorLoss:
    """A loss of a kind; δ is a number or a function of λ."""
    delta = (
        threshold if callable(threshold) else ConstantThreshold(positive(threshold, "threshold"))
    )
    return ErrorLoss(kind, delta, count(components, "components"))


def huber(threshold: float | Curve = 1.0, components: int = 1) -> ErrorLoss:
    """Huber's loss: r² up to δ, and 2 δ r − δ² beyond it.

    torch's ``huber_loss(delta=δ)`` is half of it, and ``smooth_l1_loss(beta=δ)`` is that over δ.
    Its φ is erf(δ/sqrt(2m)) where components are compared one by one.

    Args:
        threshold: δ, in units of the target; a number above 0 or a function of λ.
        components: Number of components whose error has one length; 1 for a loss of each.

    Returns:
        The loss.

    Raises:
        TypeError: An argument is of the wrong kind.
        ValueError: The threshold is not above 0, or there is no component.

    Example:
        >>> float(dv.losses.huber(threshold=0.5)(2.0))
        1.75
    """
    return _loss("huber", threshold, components)


def pseudo_huber(threshold: float | Curve = 0.1, components: int = 1) -> ErrorLoss:
    """Pseudo-Huber: 2 δ (sqrt(r² + δ²) − δ), which is what kohya's sd-scripts call "huber".

    Its "smooth_l1" is that over δ. Consistency training has sqrt(r² + δ²) − δ of the whole error
    with δ = 0.00054 sqrt(d) (Song and Dhariwal 2023, arXiv 2310.14189).

    Args:
        threshold: δ, in units of the target; a number above 0 or a function of λ.
        components: Number of components whose error has one length; 1 for a loss of each.

    Returns:
        The loss.

    Raises:
        TypeError: An argument is of the wrong kind.
        ValueError: The threshold is not above 0, or there is no component.

    Example:
        >>> round(float(dv.losses.pseudo_huber(threshold=0.1).slope(0.01)), 3)
        0.565
    """
    return _loss("pseudo-huber", threshold, components)


def log_cosh(threshold: float | Curve = 1.0, components: int = 1) -> ErrorLoss:
    """Log-cosh: 2 δ² log cosh(r/δ).

    Args:
        threshold: δ, in units of the target; a number above 0 or a function of λ.
        components: Number of components whose error has one length; 1 for a loss of each.

    Returns:
        The loss.

    Raises:
        TypeError: An argument is of the wrong kind.
        ValueError: The threshold is not above 0, or there is no component.

    Example:
        >>> round(float(dv.losses.log_cosh(threshold=1.0).slope(1.0)), 3)
        0.606
    """
    return _loss("log-cosh", threshold, components)


# --- the weighting at given errors ----------------------------------------------------------------


class Tracked(Protocol):
    """Mean squared eps errors in bins of λ, such as a ``LossByLogSNR``."""

    @property
    def middle(self) -> NDArray:
        """Middles of the bins in nats, shape (bins,)."""

    @property
    def mean(self) -> NDArray:
        """Mean squared error in each bin, shape (bins,) or (k, bins); NaN where there is none."""


@dataclass(frozen=True, eq=False)
class ErrorOnGrid:
    """Errors at some levels, geometric between them and level beyond.

    Args:
        logsnr: Increasing λ in nats, shape (n,).
        error: Mean squared eps error there, above 0, shape (n,).
    """

    logsnr: NDArray
    error: NDArray

    def __call__(self, logsnr: ArrayLike) -> NDArray:
        """The error at λ in nats, same shape."""
        return np.exp(np.interp(levels(logsnr), self.logsnr, np.log(self.error)))


def _on_grid(logsnr: ArrayLike, error: ArrayLike) -> ErrorOnGrid:
    """Errors at levels, checked."""
    at = increasing(logsnr, "logsnr of errors")
    value = finite(error, "errors")
    require(value.shape == at.shape, f"errors has shape {value.shape}, its logsnr {at.shape}")
    require(bool((value > 0).all()), f"errors must be above 0, got {value.min():g}")
    return ErrorOnGrid(at, value)


def errors_of(errors: Any) -> Curve:
    """Mean squared eps errors as a function of λ.

    Args:
        errors: A function of λ, a pair (logsnr, error) of shape (n,), or what has ``middle`` and
            ``mean``, such as a ``LossByLogSNR``. Bins without an error are left out; of several
            averages the first counts.

    Returns:
        The function.

    Raises:
        TypeError: ``errors`` is none of these.
        ValueError: Levels do not increase, an error is not above 0, or there is none.
    """
    if offers(errors, Tracked):
        mean = np.atleast_2d(np.asarray(errors.mean, dtype=float))[0]
        seen = np.isfinite(mean) & (mean > 0)
        require(bool(seen.any()), "errors has seen no level yet: train first")
        return ErrorOnGrid(np.asarray(errors.middle, dtype=float)[seen], mean[seen])
    if callable(errors):
        return errors
    if isinstance(errors, tuple | list) and len(errors) == 2:
        return _on_grid(*errors)
    raise TypeError(
        "errors must be a function of λ, a pair (logsnr, error) or a tracker such as "
        f"dv.LossByLogSNR, got {errors!r}"
    )


@dataclass(frozen=True)
class LocalMultiplier:
    """c(λ) φ(m(λ)) on the squared error of the target.

    Args:
        multiplier: c.
        target: The target.
        path: The path that the target is taken on.
        loss: The loss, with its φ.
        errors: Mean squared eps error as a function of λ.
        components: Number of components that ``errors`` sums over.
    """

    multiplier: Curve
    target: Target
    path: Path
    loss: ErrorLoss
    errors: Curve
    components: int

    def __call__(self, logsnr: ArrayLike) -> NDArray:
        """The multiplier at λ in nats, same shape."""
        at = levels(logsnr)
        return np.asarray(self.multiplier(at)) * self.slope(at)

    def slope(self, logsnr: ArrayLike) -> NDArray:
        """What a unit of squared error costs at λ, φ(m(λ)).

        Args:
            logsnr: λ in nats, any shape.

        Returns:
            φ in (0, 1], same shape.

        Raises:
            TypeError: λ is no real number.
            ValueError: λ is NaN, or ``errors`` returns a number that is negative or not finite.
        """
        at = levels(logsnr)
        error = finite(self.errors(at), "the mean squared error that errors returns")
        if (error < 0).any():
            raise ValueError(f"errors returns {error.min():g}; a mean squared error is >= 0")
        require(
            error.shape in ((), at.shape),
            f"errors returns the shape {error.shape} for logsnr of shape {at.shape}",
        )
        on_target = self.target.gain(at, self.path) ** 2 * error / self.components
        return self.loss.slope(on_target, at)


def with_loss(
    objective: Objective, loss: ErrorLoss | str, errors: Any, components: int = 1
) -> Objective:
    """The squared objective that pulls as another loss does, at the errors of a network.

    The weighting of the result is w(λ) φ(m(λ)), with m the mean squared error of one component of
    the target and φ the slope of the loss (``diffviz.theory.losses``). It is local: it holds at
    these errors, assumes that they are Gaussian with components of one size, and changes as
    training goes on. For errors far below the threshold it is the objective itself.

    Args:
        objective: The objective with the squared loss.
        loss: A loss of ``dv.losses``, or the name of one with its default threshold.
        errors: Mean squared eps error: a function of λ such as the mmse of the data, a pair
            (logsnr, error), or a ``LossByLogSNR``.
        components: Number of components that ``errors`` sums over. A tracker sums over all.

    Returns:
        The objective, whose multiplier holds φ.

    Raises:
        TypeError: An argument is of the wrong kind.
        ValueError: The loss is unknown, an error is not above 0, there is no component, or the
            objective has another loss already.

    Example:
        >>> flow = dv.objective("fm-ot")
        >>> mmse = lambda logsnr: 1 / (1 + np.exp(-logsnr))  # of N(0, 1)
        >>> huber = dv.with_loss(flow, dv.losses.huber(0.5), mmse)
        >>> (huber.weighting([-4.0, 0.0, 4.0]) / flow.weighting([-4.0, 0.0, 4.0])).round(3)
        array([0.343, 0.276, 0.343])
    """
    if not isinstance(objective, Objective):
        raise TypeError(
            f"objective must be one, such as dv.objective('edm'), got {brief(objective)}"
        )
    require(
        not isinstance(objective.multiplier, LocalMultiplier),
        f"{objective.name!r} has another loss already: take the objective with the squared one",
    )
    if isinstance(loss, str):
        loss = {"huber": huber, "pseudo-huber": pseudo_huber, "log-cosh": log_cosh}[
            one_of(loss.replace("_", "-"), "loss", tuple(SHAPES))
        ]()
    if not isinstance(loss, ErrorLoss):
        raise TypeError(f"loss must be one of dv.losses, got {loss!r}")
    local = LocalMultiplier(
        multiplier=objective.multiplier,
        target=objective.target,
        path=objective.path,
        loss=loss,
        errors=errors_of(errors),
        components=count(components, "components"),
    )
    return replace(
        objective,
        name=f"{objective.name}, {loss.kind}",
        multiplier=local,
        stated=None,
        note=f"{objective.note} The weighting of the {loss.kind} loss at the errors given.".strip(),
    )
