"""A weighted loss as a signed mixture of ELBOs, for any w.

With e(λ) = E‖eps − eps_hat‖² and L(λ) = KL(q(z_λ|x) ‖ p(z_λ)), so that L′ = e/2, the loss is
(Kingma and Gao 2023, arXiv 2303.00848, theorem 1)

    L_w = ½ ∫ w e dλ = w(high) L(high) − w(low) L(low) − ∫ w′(λ) L(λ) dλ.

Both integrals become sums here. The range is cut into panels, w is a Legendre series on each, and
panels are bisected until the series is exact: around a kink, or down to a jump.

A panel must also agree with w at levels that are read before any bisection, 2e-3 nats apart in
usual ranges. What is narrower is found where it is known: at the quantiles of an objective's law,
at the levels of a table, or at points that a caller names.
"""

from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from diffviz.checks import attribute, finite, number, positive, real_numbers, require
from diffviz.theory.frames import Curve
from diffviz.theory.laws import Transformed, Truncation, exceeded
from diffviz.theory.losses import ErrorOnGrid
from diffviz.theory.mixed_laws import Mixture
from diffviz.theory.tables import Table
from diffviz.theory.weightings import (
    MeasuredCurve,
    Resolved,
    WeightingLike,
    evaluate,
    resolve_curve,
    window,
)

ORDER = 12  # nodes and Legendre coefficients of a panel
NODE, WEIGHT = legendre.leggauss(ORDER)
PLACES = np.concatenate([[1e-9 - 1], NODE, [1 - 1e-9]])  # of a panel, where w is read
# values at the nodes to Legendre coefficients
FIT = legendre.legvander(NODE, ORDER - 1).T * WEIGHT * (np.arange(ORDER)[:, None] + 0.5)
TOLERANCE = 1e-10  # of the last two coefficients, relative to the largest value of a panel
NARROWEST = 1e-10  # half width in nats at which a panel holds a jump
MOST_PANELS = 100_000
EVEN = 128.0  # |λ| up to which the panels of a very wide range are half a nat wide
GROWTH = 0.25  # log of the ratio of the ends of a panel beyond
FARTHEST = 1e15  # |λ| that is accepted
READINGS = 256  # of w on each panel to begin with
DISAGREE = 1e-7  # of the series and a reading, relative to the largest value of a panel
ROUNDINGS = 64  # of λ by half a digit, of which w may have the error
NOISE = "the weighting is noise at every scale: smooth it, or give a table"
SHORT = (np.float16, np.float32)
SMALLEST = 1e-311  # of w, of which float64 has few digits
FAINT = 1e-100  # of the largest value of w; panels that stay below have w to no digits
EVEN_SHARES = np.arange(1, 16) / 16  # of a law, at whose quantiles panels end
TAIL_SHARES = 10.0 ** -np.array([2, 3, 6, 9, 12, 15])
FAR = 60.0  # |λ| in nats beyond which a gain at ordinary scales has nothing left
AROUND = 10.0 ** np.arange(-9, 0)  # distances in nats from a point at which panels end too


class Masses(NamedTuple):
    """Both forms of a weighted loss, ½ Σ mass · e(logsnr) = Σ lump · L(level).

    Args:
        logsnr: Nodes of the first form in nats, shape (m,).
        mass: Their masses, shape (m,).
        level: Increasing levels of the second form in nats, the ends first and last, shape (k,).
        lump: Their signed masses, shape (k,).
    """

    logsnr: NDArray
    mass: NDArray
    level: NDArray
    lump: NDArray

    def gain(self, scale: ArrayLike) -> NDArray[np.float64]:
        """The gain κ_w(c) at many scales, from the first form; see ``gain``.

        Args:
            scale: Variances c, above 0, any shape.

        Returns:
            κ_w(c), in the shape of ``scale``.

        Raises:
            TypeError: A scale is no number.
            ValueError: A scale is not finite, or not above 0.
        """
        variance = finite(scale, "scale")
        lowest = variance.min(initial=np.inf)
        require(lowest > 0, f"scale must be > 0, got {lowest:g}")
        shifted = self.logsnr + np.log(variance)[..., None]
        return (expit(shifted) * expit(-shifted)) @ self.mass


@dataclass(frozen=True, eq=False)
class Panels:
    """Neighbouring stretches of λ with a Legendre series of w on each.

    Args:
        start: Left ends in nats, shape (p, 1).
        half: Half widths in nats, shape (p, 1).
        series: Coefficients, shape (p, ORDER).
    """

    start: NDArray
    half: NDArray
    series: NDArray

    @property
    def nodes(self) -> NDArray:
        """Gauss-Legendre nodes of each panel in nats, shape (p, ORDER)."""
        return self.start + self.half * (1 + NODE)

    @property
    def widths(self) -> NDArray:
        """Weights of the nodes in nats, shape (p, ORDER); they add up to the range."""
        return self.half * WEIGHT


def _straight(values: NDArray) -> NDArray:
    """Series of the straight line through the first and the last value; it does not overshoot."""
    constant_and_slope = values[:, [0, -1]] @ [[0.5, -0.5], [0.5, 0.5]]
    return np.pad(constant_and_slope, ((0, 0), (0, ORDER - 2)))


def _even_edges(low: float, high: float) -> NDArray:
    """Ends of panels of half a nat.

    In a very wide range those far from 0 grow with |λ|, so that their number grows with the
    logarithm of the range.

    Args:
        low: Least λ in nats.
        high: Largest λ in nats.

    Returns:
        Increasing λ in nats, the first ``low`` and the last ``high``.
    """
    if high - low <= 4 * EVEN:
        return np.linspace(low, high, int(np.ceil(2 * (high - low))) + 1)
    beyond = EVEN * np.exp(GROWTH * np.arange(1, np.log(FARTHEST / EVEN) / GROWTH))
    middle = np.linspace(-EVEN, EVEN, int(4 * EVEN) + 1)
    return with_ends(np.concatenate([-beyond, middle, beyond]), low, high)


class Landmarks(NamedTuple):
    """Quantiles of a law, between which its density has no narrow features.

    Args:
        even: Those of even shares, increasing λ in nats, shape (m,).
        tails: Those of small shares at both ends, shape (k,).
    """

    even: NDArray
    tails: NDArray


def _landmarks(law: Any) -> list[Landmarks]:
    """Quantiles of a law, and of every law that it is put together from.

    A component that is drawn seldom may be narrow.

    Args:
        law: Law of λ, a frozen SciPy distribution or what has its methods.

    Returns:
        Finite λ in nats, for each component of the law.
    """
    made = attribute(law, "dist")
    is_moved = bool(attribute(law, "args") or attribute(law, "kwds"))
    below, above = _finite(law.ppf, TAIL_SHARES), _finite(partial(exceeded, law), TAIL_SHARES)
    own = Landmarks(_finite(law.ppf, EVEN_SHARES), np.concatenate([below, above]))
    if isinstance(made, Mixture) and not is_moved:
        return [found for part in made.components for found in _landmarks(part)]
    if isinstance(made, Transformed) and not is_moved:
        if isinstance(made.change, Truncation):
            return [own, *_landmarks(made.change.law)]
        if isinstance(attribute(made.base, "dist"), Mixture | Transformed):
            forward = partial(_finite, made.change.forward)
            return [Landmarks(*map(forward, found)) for found in _landmarks(made.base)]
    return [own]


def narrow_places(resolved: Resolved, width: float) -> NDArray:
    """Quantiles of the narrow components of an objective's law, which an even grid may miss.

    Args:
        resolved: The weighting.
        width: Distance in nats. A component that has a sixteenth of itself within it is narrow.

    Returns:
        Finite λ in nats in no order, shape (n,); none without a law.
    """
    found = [] if resolved.law is None else _landmarks(resolved.law)
    gaps = [abs(np.diff(marks.even)) for marks in found]
    narrow = [
        np.concatenate(marks)
        for marks, gap in zip(found, gaps, strict=True)
        if gap.min(initial=np.inf) < width
    ]
    return np.concatenate([np.empty(0), *narrow])


def about(places: NDArray) -> NDArray:
    """Places, and others ever nearer to them on both sides.

    Args:
        places: λ in nats, shape (n,).

    Returns:
        λ in nats in no order, shape (m,).
    """
    return (places[:, None] + np.concatenate([-AROUND, [0.0], AROUND])).ravel()


def _knots(part: Any) -> list[NDArray]:
    """Levels between which a curve is interpolated, of the curve or of one that it is made of."""
    if isinstance(part, Table | ErrorOnGrid):
        return [part.logsnr]
    if isinstance(part, MeasuredCurve):
        return [(part.edges[1:] + part.edges[:-1]) / 2]
    if not is_dataclass(part) or isinstance(part, type):
        return []
    values = [getattr(part, field.name) for field in fields(part)]
    return [found for value in values if callable(value) for found in _knots(value)]


def _known_places(resolved: Resolved) -> NDArray:
    """Levels at which a weighting may be narrow or have a kink, as far as it says so itself."""
    found = [] if resolved.law is None else _landmarks(resolved.law)
    law = [places for marks in found for places in marks]
    owner = attribute(resolved.curve, "__self__", resolved.curve)
    return np.concatenate([np.empty(0), *law, *_knots(getattr(owner, "multiplier", owner))])


def _finite(curve: Curve, places: NDArray) -> NDArray:
    """The finite values of a function."""
    with np.errstate(all="ignore"):
        values = np.asarray(curve(places), dtype=float)
    return values[np.isfinite(values)]


def with_ends(places: NDArray, low: float, high: float) -> NDArray:
    """Places between two ends, in order and without repetition, and the ends.

    Args:
        places: λ in nats in any order, shape (n,).
        low: Least λ in nats.
        high: Largest λ in nats.

    Returns:
        Increasing λ in nats, the first ``low`` and the last ``high``.
    """
    inside = places[(places > low) & (places < high)]
    return np.unique(np.concatenate([[low], inside, [high]]))


@dataclass(frozen=True, eq=False)
class Readings:
    """Values of w between the nodes, at which each panel must agree.

    Args:
        logsnr: Increasing λ in nats, shape (m,); none for a table, whose kinks are known.
        value: w there, shape (m,).
    """

    logsnr: NDArray
    value: NDArray

    @property
    def largest(self) -> float:
        """The largest value; 0 where there are none."""
        return float(self.value.max(initial=0.0))

    def missed(self, start: NDArray, half: NDArray, series: NDArray, scale: NDArray) -> NDArray:
        """Which of some neighbouring panels disagree with a reading.

        Args:
            start: Increasing left ends in nats, shape (p, 1).
            half: Half widths in nats, shape (p, 1).
            series: Coefficients, shape (p, ORDER).
            scale: Largest value of w that is known in each panel, shape (p,).

        Returns:
            Truth values, shape (p,).
        """
        place = np.searchsorted(start[:, 0], self.logsnr, side="right") - 1
        within = np.maximum(place, 0)
        offset = (self.logsnr - start[within, 0]) / half[within, 0] - 1
        inside = (place >= 0) & (offset < 1)
        panel = place[inside]
        value = self.value[inside]
        fitted = legendre.legval(offset[inside], series[panel].T, tensor=False)
        off = np.abs(fitted - value) > DISAGREE * np.maximum(scale[panel], value)
        return np.bincount(panel, off, len(start)) > 0


def _readings(curve: Curve, edges: NDArray) -> Readings:
    """Values of w at even places between neighbouring edges."""
    share = (np.arange(READINGS) + 0.5) / READINGS
    logsnr = (edges[:-1, None] + np.diff(edges)[:, None] * share).ravel()
    return Readings(logsnr, curve(logsnr))


def _fit_panels(curve: Curve, edges: NDArray, readings: Readings, hint: str = "") -> Panels:
    """Panels between increasing edges, bisected until the series of w is exact on each."""
    start = edges[:-1, None]
    half = np.diff(edges)[:, None] / 2
    finished = []
    while len(start):
        places = start + half * (1 + PLACES)
        values = curve(places.ravel()).reshape(places.shape)
        series = values[:, 1:-1] @ FIT.T
        faint = max(FAINT * max(values.max(), readings.largest), SMALLEST)
        scale = np.maximum(values.max(1), faint)
        rough = np.abs(series[:, -2:]).max(1) > TOLERANCE * scale + _rounding(places, values)
        at_ends = legendre.legval(PLACES[[0, -1]], series.T)
        rough |= np.abs(at_ends - values[:, [0, -1]]).max(1) > DISAGREE * scale
        rough |= readings.missed(start, half, series, scale)
        jump = rough & (half[:, 0] < _narrowest(start[:, 0]))
        series[jump] = _straight(values[jump])
        split = rough & ~jump
        finished.append(np.hstack([start, half, series])[~split])
        halves = half[split] / 2
        # in the order of λ, by which readings are found
        start = np.hstack([start[split], start[split] + half[split]]).reshape(-1, 1)
        half = np.hstack([halves, halves]).reshape(-1, 1)
        if len(start) > MOST_PANELS:
            raise ValueError(NOISE + hint)
    panels = np.concatenate(finished)
    return Panels(*np.split(panels[panels[:, 0].argsort()], [1, 2], axis=1))


def _rounding(places: NDArray, values: NDArray) -> NDArray:
    """How much w changes on each panel by a rounding of λ, which matters on steep slopes."""
    steepest = np.ptp(values, axis=1) / np.maximum(np.ptp(places, axis=1), np.finfo(float).tiny)
    return ROUNDINGS * np.spacing(np.maximum(np.abs(places).max(1), 1.0)) * steepest


def _narrowest(start: NDArray) -> NDArray:
    """Half width at which a panel holds a jump: 1e-10, or what float64 tells apart at λ."""
    return np.maximum(NARROWEST, 16 * np.spacing(np.abs(start)))


def _lumps(panels: Panels, low: float, high: float) -> tuple[NDArray, NDArray]:
    """Levels and signed masses of −dw: the slope within panels, jumps between, and both ends."""
    series = panels.series.T
    ends = legendre.legval([-1, 1], series)  # one-sided limits of w
    slopes = -legendre.legval(NODE, legendre.legder(series)) * WEIGHT
    jumps = ends[:-1, 1] - ends[1:, 0]
    level = np.concatenate([[low], panels.nodes.ravel(), panels.start[1:, 0], [high]])
    lump = np.concatenate([[-ends[0, 0]], slopes.ravel(), jumps, [ends[-1, 1]]])
    order = level.argsort(kind="stable")
    return level[order], lump[order]


def panels(
    w: WeightingLike, low: float = -20.0, high: float = 20.0, points: ArrayLike = ()
) -> Panels:
    """Panels bisected around the kinks and jumps of w, over the range or the part with support.

    Args:
        w: An objective, a measured loss or a callable of λ.
        low: Least λ in nats, from −1e15.
        high: Largest λ in nats, up to 1e15.
        points: λ in nats at which panels end, shape (k,). A callable that has features narrower
            than 2e-3 nats, or than a thousandth of λ beyond ±128, needs their places.

    Returns:
        The panels.

    Raises:
        TypeError: An end is no number, or ``w`` is a name.
        ValueError: low >= high, or w is negative, not finite, or noise at every scale.
    """
    resolved = resolve_curve(w, "masses")
    low = number(low, "low", -FARTHEST, FARTHEST)
    high = number(high, "high", -FARTHEST, FARTHEST)
    named = about(finite(points, "points").ravel())
    start, stop = window(resolved, low=low, high=high, points=2)

    def curve(logsnr: NDArray) -> NDArray:
        return evaluate(resolved, logsnr)

    if resolved.levels is not None:
        edges = with_ends(resolved.levels.knots, start, stop)
        return _fit_panels(curve, edges, Readings(np.empty(0), np.empty(0)))
    even = _even_edges(start, stop)
    edges = with_ends(np.concatenate([even, named, _known_places(resolved)]), start, stop)
    digits = real_numbers(resolved.curve(edges), "weighting").dtype
    hint = f". It returns {digits}: compute it in float64" if digits in SHORT else ""
    return _fit_panels(curve, edges, _readings(curve, even), hint)


def masses(w: WeightingLike, low: float = -20.0, high: float = 20.0) -> Masses:
    """Both forms of a weighted loss, on panels bisected around the kinks and jumps of w.

    Where no lump but the first is negative, the others over their sum are the law of the noise on
    the data whose ELBO L_w is.

    Args:
        w: An objective, a measured loss or a callable of λ.
        low: Least λ in nats; the range is cut to the support.
        high: Largest λ in nats.

    Returns:
        Nodes with masses, and levels with signed masses.

    Raises:
        TypeError: An end is no number, or ``w`` is a name.
        ValueError: low >= high, or w is negative, not finite, or noise at every scale.
    """
    fitted = panels(w, low, high)
    mass = legendre.legval(NODE, fitted.series.T) * fitted.widths
    start = fitted.start[0, 0]
    stop = fitted.start[-1, 0] + 2 * fitted.half[-1, 0]
    level, lump = _lumps(fitted, start, stop)
    return Masses(fitted.nodes.ravel(), mass.ravel(), level, lump)


def gain(w: WeightingLike, scale: float = 1.0, low: float = -FAR, high: float = FAR) -> float:
    """What a weighted loss makes of a log-ratio: κ_w(c) = ∫ w(λ) s′(λ + ln c) dλ, s the sigmoid.

    If N(μ, c) moves its mean, L_w(old) − L_w(new) is κ_w(c) times the log-ratio, for every x. For
    w = 1 it is 1.

    Args:
        w: An objective, a measured loss or a callable of λ.
        scale: The variance c, above 0.
        low: Least λ in nats; the range is cut to the support.
        high: Largest λ in nats.

    Returns:
        κ_w(c).

    Raises:
        TypeError: An end is no number, or ``w`` is a name.
        ValueError: The scale is not above 0, low >= high, or w is negative, not finite, or noise at
            every scale.
    """
    return float(masses(w, low, high).gain(positive(scale, "scale")))
