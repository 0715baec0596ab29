"""A weighted loss as a signed mixture of ELBOs, for any w.

With e(λ) = E‖eps − eps_hat‖² and L(λ) = KL(q(z_λ|x) ‖ p(z_λ)), so that L′ = e/2, the loss is
(Kingma and Gao 2023, arXiv 2303.00848, theorem 1)

    L_w = ½ ∫ w e dλ = w(high) L(high) − w(low) L(low) − ∫ w′(λ) L(λ) dλ.

Both integrals become sums here. The range is cut into panels, w is a Legendre series on each, and
panels are bisected until the series is exact: around a kink, or down to a jump.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray
from scipy.special import expit

from diffviz.checks import number, positive
from diffviz.theory.frames import Curve
from diffviz.theory.weightings import Resolved, WeightingLike, evaluate, resolve_curve, window

FARTHEST = 700.0  # nats; beyond, e^λ is infinite in float64
ORDER = 12  # nodes and Legendre coefficients of a panel
NODE, WEIGHT = legendre.leggauss(ORDER)
# values at the nodes to Legendre coefficients
FIT = legendre.legvander(NODE, ORDER - 1).T * WEIGHT * (np.arange(ORDER)[:, None] + 0.5)
TOLERANCE = 1e-10  # of the last two coefficients, relative to the largest value of a panel
NARROWEST = 1e-10  # half width in nats at which a panel holds a jump
MOST_PANELS = 100_000


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


@dataclass(frozen=True)
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


def _first_edges(resolved: Resolved, low: float, high: float) -> NDArray:
    """Ends of the panels to begin with: half a nat each, or the levels of a table."""
    if resolved.levels is None:
        return np.linspace(low, high, int(np.ceil(2 * (high - low))) + 1)
    knots = resolved.levels.knots
    return np.concatenate([[low], knots[(knots > low) & (knots < high)], [high]])


def _fit_panels(curve: Curve, edges: NDArray) -> Panels:
    """Panels between increasing edges, bisected until the series of w is exact on each."""
    start = edges[:-1, None]
    half = np.diff(edges)[:, None] / 2
    finished = []
    while len(start):
        nodes = start + half * (1 + NODE)
        values = curve(nodes.ravel()).reshape(nodes.shape)
        series = values @ FIT.T
        rough = np.abs(series[:, -2:]).max(1) > TOLERANCE * values.max(1)
        jump = rough & (half[:, 0] < NARROWEST)
        series[jump] = _straight(values[jump])
        split = rough & ~jump
        finished.append(np.hstack([start, half, series])[~split])
        start = np.concatenate([start[split], (start + half)[split]])
        half = np.tile(half[split] / 2, (2, 1))
        if len(start) > MOST_PANELS:
            raise ValueError("the weighting is noise at every scale: smooth it, or give a table")
    panels = np.concatenate(finished)
    return Panels(*np.split(panels[panels[:, 0].argsort()], [1, 2], axis=1))


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


def panels(w: WeightingLike, low: float = -20.0, high: float = 20.0) -> Panels:
    """Panels bisected around the kinks and jumps of w, over the range or the part with support.

    Args:
        w: An objective, a measured loss or a callable of λ.
        low: Least λ in nats.
        high: Largest λ in nats.

    Returns:
        The panels.

    Raises:
        TypeError: An end is no number, or ``w`` is a name.
        ValueError: low >= high, or w is negative, not finite, or noise at every scale.
    """
    resolved = resolve_curve(w, "masses")
    low = number(low, "low", -FARTHEST, FARTHEST)
    high = number(high, "high", -FARTHEST, FARTHEST)
    start, stop = window(resolved, low=low, high=high, points=2)

    def curve(logsnr: NDArray) -> NDArray:
        return evaluate(resolved, logsnr)

    return _fit_panels(curve, _first_edges(resolved, start, stop))


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


def gain(w: WeightingLike, scale: float = 1.0, low: float = -60.0, high: float = 60.0) -> float:
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
    shift = np.log(positive(scale, "scale"))
    parts = masses(w, low, high)
    slope = expit(parts.logsnr + shift) * expit(-parts.logsnr - shift)
    return float(parts.mass @ slope)
