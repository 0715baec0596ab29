"""A weighted loss as a signed mixture of ELBOs, for any w (Kingma & Gao 2023, arXiv 2303.00848, theorem 1).

With e(λ) = E‖eps − eps_hat‖², L(λ) = KL(q(z_λ|x) ‖ p(z_λ)) and so L′ = e/2,

    L_w = ½ ∫ w e dλ = w(high) L(high) − w(low) L(low) − ∫ w′(λ) L(λ) dλ.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray
from scipy.special import expit

from diffviz.checks import positive
from diffviz.theory.analysis import evaluate, window

NODE, WEIGHT = legendre.leggauss(12)
FIT = (
    legendre.legvander(NODE, 11).T * WEIGHT * (np.arange(12)[:, None] + 0.5)
)  # values at the nodes to coefficients


class Masses(NamedTuple):
    """L_w = ½ Σ mass · e(logsnr), all (m,), and = Σ lump · L(level), all (k,), with the ends first and last."""

    logsnr: NDArray
    mass: NDArray
    level: NDArray
    lump: NDArray


def masses(w: Any, low: float = -20.0, high: float = 20.0) -> Masses:
    """Both forms of a weighted loss, on panels bisected around the kinks and jumps of w.

    Where no lump but the first is negative, the others over their sum are the law of the noise on the data whose ELBO L_w is.

    Args:
        w: an objective or a callable of λ; low, high: range in nats, cut to the support.
    Raises:
        ValueError: for low >= high, or a w that is negative, not finite, or noise at every scale.
    """
    low, high = window(
        *[w] * (hasattr(w, "law") or hasattr(w, "edges")), low=low, high=high, points=2
    )
    edges, done = np.linspace(low, high, int(np.ceil(2 * (high - low))) + 1), []
    start, half = edges[:-1, None], np.diff(edges)[:, None] / 2
    while len(start):
        nodes = start + half * (1 + NODE)
        values = evaluate(w, nodes.ravel()).reshape(nodes.shape)
        fit = values @ FIT.T
        rough = np.abs(fit[:, -2:]).max(1) > 1e-10 * values.max(1)
        jump = rough & (half[:, 0] < 1e-10)  # taken as a straight line, which does not overshoot
        fit[jump] = np.pad(values[jump][:, [0, -1]] @ [[0.5, -0.5], [0.5, 0.5]], ((0, 0), (0, 10)))
        split = rough & ~jump
        done.append(np.hstack([start, half, fit])[~split])
        start, half = (
            np.concatenate([start[split], (start + half)[split]]),
            np.tile(half[split] / 2, (2, 1)),
        )
        if len(start) > 1e5:
            raise ValueError("the weighting is noise at every scale: smooth it, or give a table")
    panels = np.concatenate(done)
    start, half, fit = np.split(panels[panels[:, 0].argsort()], [1, 2], axis=1)
    nodes, ends = (
        (start + half * (1 + NODE)).ravel(),
        legendre.legval([-1, 1], fit.T),
    )  # one-sided limits of w
    level = np.r_[low, nodes, start[1:, 0], high]
    lump = np.r_[
        -ends[0, 0],
        (-legendre.legval(NODE, legendre.legder(fit.T)) * WEIGHT).ravel(),
        ends[:-1, 1] - ends[1:, 0],
        ends[-1, 1],
    ]
    order = level.argsort(kind="stable")
    return Masses(
        nodes, (legendre.legval(NODE, fit.T) * half * WEIGHT).ravel(), level[order], lump[order]
    )


def gain(w: Any, scale: float = 1.0, low: float = -60.0, high: float = 60.0) -> float:
    """κ_w(c) = ∫ w(λ) s′(λ + ln c) dλ, s the sigmoid: what a weighted loss makes of a log-ratio at scale c; 1 for w = 1.

    If N(μ, c) moves its mean, L_w(old) − L_w(new) is κ_w(c) times the log-ratio, for every x; ``scale`` is the variance c > 0.
    """
    found, shift = masses(w, low, high), np.log(positive(scale, "scale"))
    return float(found.mass @ (expit(found.logsnr + shift) * expit(-found.logsnr - shift)))
