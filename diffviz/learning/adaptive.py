"""Laws of log-SNR that follow the measured loss, while the weighting stays what it was.

One draw of the loss is Y = w/(2p) ‖eps_hat − eps‖² with λ ~ p:

    E Y = ½ ∫ w E‖eps_hat − eps‖² dλ for any p,
    E Y² = ¼ ∫ w² E‖eps_hat − eps‖⁴/p dλ, which is least at p ∝ w sqrt(E‖eps_hat − eps‖⁴).

An adaptive law changes p, never w. What the best p makes quiet is the value of the loss, not its
gradient.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.optimize import isotonic_regression

from diffviz import checks
from diffviz.learning.tracking import Bins, LossByLogSNR
from diffviz.protocols import Law
from diffviz.theory.atoms import WeightedLevels, atomic, cell_edges, curve_through, weighted_levels
from diffviz.theory.frames import Curve
from diffviz.theory.laws import atoms
from diffviz.theory.objectives import Objective, from_weighting
from diffviz.theory.targets import base_gain


@dataclass(frozen=True, eq=False)
class Measurement:
    """What a rule makes a law from: a measured loss in every bin, and the weighting there.

    Args:
        bins: Bins of λ.
        weight: ∫ w dλ over each bin, by its middle, shape (bins,).
        mean: E‖eps_hat − eps‖² in each bin, shape (bins,).
        second: E‖eps_hat − eps‖⁴ in each bin, shape (bins,).
    """

    bins: Bins
    weight: NDArray
    mean: NDArray
    second: NDArray


def proportional_to_loss(measured: Measurement) -> NDArray:
    """Masses ∝ w E‖·‖² (Kingma and Gao 2023, arXiv 2303.00848).

    Args:
        measured: The measured loss.

    Returns:
        Masses of the bins up to a constant, shape (bins,).
    """
    return measured.weight * measured.mean


def least_variance(measured: Measurement) -> NDArray:
    """Masses where E Y² ∝ Σ w² E‖·‖⁴/mass is least: ∝ w sqrt(E‖·‖⁴).

    Improved DDPM's importance sampling is the same (Nichol and Dhariwal 2021, arXiv 2102.09672,
    eq. 18). VDM's gradient descent ends there, with ends pinned at the edges (Kingma et al. 2021,
    arXiv 2107.00630, appendix I.2).

    Args:
        measured: The measured loss.

    Returns:
        Masses of the bins up to a constant, shape (bins,).
    """
    return measured.weight * np.sqrt(measured.second)


def time_warp(measured: Measurement) -> NDArray:
    """Masses where the fitted loss is the cdf (Dieleman et al. 2022, arXiv 2211.15089).

    The density is the negative slope of a falling piecewise linear fit to the x error. The
    weighting plays no part.

    Args:
        measured: The measured loss.

    Returns:
        Masses of the bins up to a constant, shape (bins,).
    """
    bins = measured.bins
    x_error = measured.mean * base_gain("x", bins.middle) ** 2
    fit = isotonic_regression(x_error, increasing=False)
    # the fit is flat over blocks of bins; the line goes through the middles of the blocks
    first = fit.blocks[:-1]
    last = fit.blocks[1:] - 1
    centre = (bins.middle[first] + bins.middle[last]) / 2
    return -np.diff(np.interp(bins.edges, centre, fit.x[first]))


RULES: dict[str, Callable[[Measurement], NDArray]] = {
    "kingma-gao": proportional_to_loss,
    "minimum-variance": least_variance,
    "second-moment": least_variance,
    "vdm": least_variance,
    "time-warp": time_warp,
}


@dataclass(frozen=True, eq=False)
class AdaptiveObjective:
    """An objective whose law of λ follows a tracker; its weighting stays, as the factor is w/(2p).

    The law ends at the tracker's edges: w beyond them is cut off. A share of the law stays uniform,
    so that no bin starves. Before anything is seen, all of it is uniform. Of an objective on a
    table the levels within the edges are drawn, each with the mass of its cell.

    Args:
        objective: The objective whose weighting is kept.
        tracker: The loss that the law follows; with several decays, by the first.
        rule: How the law follows from the loss; a name in ``RULES``.
        uniform: Share of the law that stays uniform, in (0, 1].

    Raises:
        TypeError: The objective or the tracker is none, or the share is no number.
        ValueError: The rule is unknown, the share is outside (0, 1], w is 0 within the edges, or
            fewer than two levels of a table are.

    Example:
        >>> tracker = dv.LossByLogSNR([-4.0, 0.0, 4.0])
        >>> adaptive = dv.AdaptiveObjective(dv.objective("fm-ot"), tracker)
        >>> tracker.update([-3.0, -1.0, 1.0, 3.0], [0.25, 0.75, 1.0, 1.0])
        >>> round(float(adaptive.law.cdf(0.0)), 3)
        0.773
    """

    objective: Objective
    tracker: LossByLogSNR
    rule: str = "kingma-gao"
    uniform: float = 0.05

    def __post_init__(self) -> None:
        _check_objective(self.objective)
        checks.require(
            isinstance(self.tracker, LossByLogSNR),
            f"tracker must be a dv.LossByLogSNR, got {self.tracker!r}",
            TypeError,
        )
        if not isinstance(self.rule, str) or self.rule not in RULES:
            raise checks.unknown("rule", self.rule, RULES, "diffviz.learning.RULES")
        uniform = checks.number(self.uniform, "uniform")
        checks.require(0 < uniform <= 1, f"uniform lies in (0, 1], got {self.uniform!r}")
        object.__setattr__(self, "uniform", uniform)
        low, high = self.tracker.edges[[0, -1]]
        checks.require(
            self.weight.any(),
            f"the weighting of {self.objective.name} is 0 within the edges of the tracker, "
            f"[{low:g}, {high:g}]; take edges where it is above 0",
        )
        if self._levels is not None and len(self._levels.logsnr) < 2:
            raise ValueError(
                f"{self.objective.name} has {len(self._levels.logsnr)} of its levels within the "
                f"edges of the tracker, [{low:g}, {high:g}]; take edges with two or more"
            )

    @property
    def name(self) -> str:
        """Names of the objective and of the rule."""
        return f"{self.objective.name}, {self.rule}"

    @cached_property
    def weight(self) -> NDArray:
        """∫ w dλ over each bin, by its middle, shape (bins,)."""
        return self.objective.weighting(self.tracker.middle) * self.tracker.width

    @property
    def identity(self) -> str:
        """What a checkpoint compares, as 16 hexadecimal digits.

        It is a hash of the objective's identity, the rule, the uniform share, and the tracker's
        edges and decays. What the tracker has seen does not enter: it changes as training goes, and
        has to be restored beside the checkpoint.
        """
        numbers = np.concatenate(
            [[self.uniform], self.tracker.edges, np.atleast_1d(self.tracker.decay)]
        )
        text = " ".join([self.objective.identity, self.rule, *(f"{x:.7e}" for x in numbers + 0.0)])
        return sha256(text.encode()).hexdigest()[:16]

    @property
    def law(self) -> Law:
        """The law of λ as it is now, a frozen SciPy distribution on the tracker's range."""
        bins = self.tracker.bins
        flat = bins.width / bins.width.sum()
        mass = self._followed_mass()
        if not mass.any():
            mass = flat
        mixed = (1 - self.uniform) * mass / mass.sum() + self.uniform * flat
        law = stats.rv_histogram((mixed / bins.width, bins.edges), density=True)()
        if self._levels is None:
            return law
        levels = self._levels.logsnr
        table = atomic(self.objective.law)
        every = None if table is None else table.table
        return atoms(levels, np.diff(law.cdf(cell_edges(levels))), table=every)

    @cached_property
    def _levels(self) -> WeightedLevels | None:
        """The levels within the edges, of an objective that trains on a table; else None."""
        table = weighted_levels(self.objective)
        if table is None:
            return None
        low, high = self.tracker.edges[[0, -1]]
        inside = (table.logsnr >= low) & (table.logsnr <= high)
        return replace(table, logsnr=table.logsnr[inside], mass=table.mass[inside])

    def _followed_mass(self) -> NDArray:
        """Masses of the bins by the rule, up to a constant; uniform before anything is seen."""
        bins = self.tracker.bins
        mean, stderr, second = (row.reshape(-1, len(bins))[0] for row in self.tracker.curve())
        seen = np.isfinite(stderr)
        if not seen.any():
            return bins.width / bins.width.sum()
        measured = Measurement(
            bins=bins,
            weight=self.weight,
            mean=np.interp(bins.middle, bins.middle[seen], mean[seen]),
            second=np.interp(bins.middle, bins.middle[seen], second[seen]),
        )
        return RULES[self.rule](measured) * (self.weight > 0)

    def draw(
        self, n: int, rng: np.random.Generator, stratified: bool = True
    ) -> tuple[NDArray, NDArray]:
        """Levels to train at under the law as it is now, and the factor on the eps squared error.

        Args:
            n: Number of draws.
            rng: NumPy generator.
            stratified: Take one draw in each of n equal shares of probability, in mixed order.

        Returns:
            λ in nats and factor w/(2p), both of shape (n,); see ``Objective.draw``.

        Raises:
            ValueError: n is not a whole number of at least 1, or rng is no generator.

        Example:
            >>> tracker = dv.LossByLogSNR([-4.0, 0.0, 4.0])
            >>> adaptive = dv.AdaptiveObjective(dv.objective("fm-ot"), tracker)
            >>> logsnr, factor = adaptive.draw(1000, np.random.default_rng(0))
            >>> round(float((logsnr < 0).mean()), 3)
            0.5
        """
        law = self.law
        table = atomic(law)
        weighting: Curve = self.objective.weighting
        if table is not None and self._levels is not None:
            weighting = curve_through(table, self._levels.terms)
        moved = from_weighting(weighting, law, self.name)
        return moved.draw(n, rng, stratified)


def _check_objective(objective: Any) -> None:
    """Refuse what is no ``Objective``; a name is told how to become one."""
    if isinstance(objective, str):
        raise TypeError(f"objective must be an Objective: dv.objective({checks.brief(objective)})")
    if not isinstance(objective, Objective):
        raise TypeError(f"objective must be an Objective, got {checks.brief(objective)}")
