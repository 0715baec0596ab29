"""Laws of log-SNR that follow the measured loss, while the weighting stays what it was."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import isotonic_regression

from diffviz.checks import unknown
from diffviz.learning.tracking import LossByLogSNR
from diffviz.theory.objectives import Objective, from_weighting
from diffviz.theory.targets import base_gain


def _least(law: "AdaptiveObjective", mean: NDArray, second: NDArray) -> NDArray:
    """The masses m where E Y² ∝ Σ w² E‖·‖⁴/m is least."""
    return law.weight * np.sqrt(second)


def _warp(law: "AdaptiveObjective", mean: NDArray, second: NDArray) -> NDArray:
    """The fitted loss is the cdf: p ∝ −slope of a monotone piecewise linear fit to the x error; w plays no part."""
    middle, fit = (
        law.tracker.middle,
        isotonic_regression(mean * base_gain("x", law.tracker.middle) ** 2, increasing=False),
    )
    first, last = fit.blocks[:-1], fit.blocks[1:] - 1  # of each run of bins with one value
    return -np.diff(np.interp(law.tracker.edges, (middle[first] + middle[last]) / 2, fit.x[first]))


RULES: dict[str, Callable[..., NDArray]] = {  # masses of bins, up to a constant
    "kingma-gao": lambda law, mean, second: law.weight * mean,  # arXiv 2303.00848
    "minimum-variance": _least,
    "second-moment": _least,  # Nichol & Dhariwal 2021, arXiv 2102.09672, eq. 18
    "vdm": _least,  # where its gradient descent ends, with ends pinned at the edges: arXiv 2107.00630, appendix I.2
    "time-warp": _warp,  # Dieleman et al. 2022, arXiv 2211.15089 (CDCD)
}


class AdaptiveObjective:
    """An objective whose law of λ follows a tracker, by a rule of ``RULES``; its weighting stays, since the factor is w/(2p).

    It ends at the tracker's edges: w beyond them is cut off. A share stays ``uniform``, so that no bin starves; before anything
    is seen all of it is. Raises ValueError for an unknown rule, a share outside (0, 1], or a w that is 0 within the edges.
    """

    def __init__(
        self,
        objective: Objective,
        tracker: LossByLogSNR,
        rule: str = "kingma-gao",
        uniform: float = 0.05,
    ):
        if rule not in RULES:
            raise unknown("rule", rule, RULES, "diffviz.tracking.RULES")
        self.objective, self.tracker, self.rule, self.uniform = (
            objective,
            tracker,
            RULES[rule],
            uniform,
        )
        self.name, self.weight = (
            f"{objective.name}, {rule}",
            objective.weighting(tracker.middle) * tracker.width,
        )
        if not 0 < uniform <= 1 or not self.weight.any():
            raise ValueError(
                f"uniform lies in (0, 1], got {uniform}, and w is above 0 somewhere within the edges"
            )
        self.flat = tracker.width / tracker.width.sum()

    @property
    def law(self):
        """The law of λ now, a SciPy distribution."""
        at, (mean, stderr, second) = (
            self.tracker.middle,
            np.reshape(self.tracker.curve(), (3, -1, len(self.flat)))[:, 0],
        )
        mass, seen = self.flat, np.isfinite(stderr)
        if seen.any():
            mass = self.rule(
                self, *(np.interp(at, at[seen], row[seen]) for row in (mean, second))
            ) * (self.weight > 0)
        mixed = (
            (1 - self.uniform) * mass / mass.sum() + self.uniform * self.flat
            if mass.any()
            else self.flat
        )
        return stats.rv_histogram((mixed / self.tracker.width, self.tracker.edges), density=True)()

    def draw(
        self, n: int, rng: np.random.Generator, stratified: bool = True
    ) -> tuple[NDArray, NDArray]:
        """As ``Objective.draw``, under the law as it is now."""
        return from_weighting(self.objective.weighting, self.law, self.name).draw(
            n, rng, stratified
        )
