"""Experiments on noise schedules: the second moment of one draw of the loss."""

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import log_expit

from diffviz.checks import positive
from diffviz.recipes.entries import CATALOGUE
from diffviz.theory import analysis
from diffviz.theory.objectives import Objective
from diffviz.theory.paths import COSINE, LINEAR

TIME = "time t   [0 data, 1 noise]"
SAMPLERS = {
    "cosine": COSINE.schedule, "FM uniform t": LINEAR.schedule, "uniform λ on [−15, 15]": stats.uniform(-15, 30),
    "EDM log-normal": stats.norm(2.4, 2.4), "logit-normal(0, 1)": stats.norm(0, 2),
}  # fmt: skip


def _total(logs: NDArray, grid: NDArray, end: float) -> float:
    """∫ e^logs over a grid of λ, both (n,); inf where the integrand has not died out at ±end, which stands for infinity."""
    peak = logs.max()
    if not np.isfinite(peak):
        raise ValueError(
            f"there is no weight on logsnr [{grid[0]:g}, {grid[-1]:g}]; choose another density or weighting"
        )
    total = np.trapezoid(np.exp(logs - peak), grid)
    edges = logs[[0, -1]][np.abs(grid[[0, -1]]) > 0.999 * end]
    with np.errstate(over="ignore"):
        return (
            np.inf if (np.exp(edges - peak) > 1e-3 * total).any() else float(total * np.exp(peak))
        )


def second_moment(
    objective: Objective, law, shift: float = 1.0, variance: float = 1.0
) -> tuple[float, float, float]:
    """What one draw says about a weighted loss: Y = w/p · ½(eps_hat − eps)², N(0, variance) data, exact denoiser, λ ~ p.

    The error is Gaussian with variance mmse = sigmoid(λ + log variance), so E[Y²] = ¾ ∫ (w·mmse)²/p dλ, smallest for p ∝ w·mmse.

    Args:
        objective: whose w; law: frozen SciPy distribution of λ.
        shift: moves the law by −2 log shift nats; variance: of the data.
    Returns:
        E[Y²], its smallest value under any density on the same range, and the share of the loss outside that range (NaN where the
        whole loss is infinite). Infinite are integrals that have not died out at |λ| = 40.
    Raises:
        ValueError: if the law and the objective's own density do not overlap, or shift or variance is not a number above 0.
    """
    end, move, logvar = (
        40.0,
        2 * np.log(positive(shift, "shift")),
        np.log(positive(variance, "variance")),
    )

    def loss(grid):
        with np.errstate(divide="ignore"):
            return np.log(objective.weighting(grid)) + log_expit(grid + logvar)

    low, high = np.clip(np.subtract(law.support(), move), -end, end)
    whole, grid = (
        analysis.window(objective, low=a, high=b, points=8001)
        for a, b in ((-end, end), (low, high))
    )
    seen, everything = _total(loss(grid), grid, end), _total(loss(whole), whole, end)
    second = _total(2 * loss(grid) - law.logpdf(grid + move), grid, end)
    return (
        0.75 * second,
        0.75 * seen**2,
        float("nan") if np.isinf(everything) else max(0.0, 1 - seen / everything),
    )


def draw_variance(law) -> float:
    """Variance of one draw Y = w/p·ε² with w = e^(−λ/2) under ``law``, N(0, 1) data and the exact denoiser; its mean is π."""
    return 4 * second_moment(CATALOGUE["fm-ot"], law)[0] - np.pi**2
