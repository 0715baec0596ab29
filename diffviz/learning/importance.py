"""Draw log-SNR where the data can be told from the noise; the loss stays what it was.

A draw of an objective is a level λ = ppf(u), u uniform, and a factor on the error there. Cut (0, 1)
into bins b of own mass P_b, and draw a bin with mass M_b instead, u uniform within it. The factor
is then multiplied by P_b/M_b, so that for any g, such as the loss or its gradient,

    Σ_b M_b E[(P_b/M_b) g | b] = Σ_b P_b E[g | b] = E g        (importance sampling).

Half of each mass is the objective's own, which bounds P_b/M_b by 2 (Hesterberg 1995). A fifth is
even in λ, so that samples pass through no level at which the network was not trained (laplace-eps
draws one of 40,000 levels above λ = 5). The rest follows, by width in λ, the share of the variance
of v = alpha eps − sigma x that the network explains, for data of unit variance:

    R² = 1 − E‖v_hat − v‖²/d.

It is measured from the errors of the training, and vanishes at both ends, where v is pure noise or
pure data. A bin of few draws takes the mean share of its neighbours.

Masses of least variance (M_b ∝ P_b sqrt(E[g² | b])) would do the opposite for the ELBO: the
gradient is largest at λ above 13, and there it is all noise. Clean draws come in pairs that are
free of it instead; see ``designs.opposite_pairs``.

No level is lost: bins end where the law ends, and within a bin the law is the objective's own.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffviz import checks
from diffviz.learning.outputs import output_coefficients
from diffviz.learning.tracking import Bins
from diffviz.theory.atoms import quantiles
from diffviz.theory.objectives import Objective, quantile_draws

BINS = 32  # between the ends below
ENDS = 1e-6, 1 - 1e-6  # quantiles of the law, between which samples are drawn by default
FEW = 800  # draws in a bin; of fewer, two standard errors are above 0.1
DECAY = 0.8  # of what was seen, for each block of steps
OWN = 0.5  # share of the objective's own law in the masses
EVEN = 0.2  # share that is even in λ


@dataclass(frozen=True)
class DataScale:
    """What turns a squared error of eps into a share of the variance of v.

    Args:
        std: Standard deviation of the data.
        dimensions: Numbers in a point.
    """

    std: float
    dimensions: int


@dataclass(frozen=True, eq=False)
class ImportanceSampled:
    """An objective drawn by other masses of its bins; its loss and gradient stay in the mean.

    Args:
        objective: The objective.
        seen: Number of draws and sum of their ‖v_hat − v‖²/d in each bin, shape (2, bins + 2);
            the first and the last are the bins beyond the edges. Without draws the objective's own
            law is drawn.
    """

    objective: Objective
    seen: NDArray

    @property
    def name(self) -> str:
        """Name of the objective."""
        return self.objective.name

    @cached_property
    def quantiles(self) -> NDArray:
        """Quantiles of the objective's own law at which bins end, shape (bins + 3,)."""
        return np.concatenate(
            [[0.0], self.objective.law.cdf(level_bins(self.objective).edges), [1.0]]
        )

    @property
    def own(self) -> NDArray:
        """Masses of the bins under the objective's own law, shape (bins + 2,)."""
        return np.diff(self.quantiles)

    @property
    def even(self) -> NDArray:
        """Masses that are even in λ between the edges, shape (bins + 2,)."""
        inside = self.own > 0
        inside[[0, -1]] = False  # beyond the edges a bin has no end
        return inside / inside.sum()

    @cached_property
    def masses(self) -> NDArray:
        """Masses by which bins are drawn, shape (bins + 2,)."""
        explained = _explained(*self.seen) * (self.own > 0)
        if not explained.any():
            return self.own
        adapted = explained / explained.sum()
        return OWN * self.own + EVEN * self.even + (1 - OWN - EVEN) * adapted

    def draw(
        self, n: int, rng: np.random.Generator, stratified: bool = True
    ) -> tuple[NDArray, NDArray]:
        """Levels by the masses and the factor on the eps error.

        Args:
            n: Number of draws.
            rng: NumPy generator.
            stratified: Take one draw in each of n equal shares of probability, in mixed order.

        Returns:
            λ in nats and factor, both of shape (n,); see ``Objective.draw``.
        """
        u = quantile_draws(n, rng, stratified)
        ends = np.concatenate([[0.0], self.masses.cumsum()])
        ends /= ends[-1]
        # a bin without mass has no width, and no u lies in it
        bins = (np.searchsorted(ends, u, side="right") - 1).clip(0, len(self.masses) - 1)
        ratio = self.own[bins] / self.masses[bins]
        quantile = self.quantiles[bins] + (u - ends[bins]) * ratio
        logsnr = quantiles(self.objective.law, quantile.clip(0, 1))
        return logsnr, self.objective.factor(logsnr) * ratio


def _explained(draws: NDArray, v_error: NDArray) -> NDArray:
    """Shares of the variance of v that count as explained, zero beyond the edges, (bins + 2,)."""
    known = draws >= 1
    # less two standard errors of ‖v‖² in one dimension: what is noise explains nothing
    certain = 1 - v_error[known] / draws[known] - 2 * np.sqrt(2 / draws[known])
    explained = np.zeros(len(draws))
    explained[known] = certain.clip(min=0)
    beside = np.convolve(explained, [0.5, 0, 0.5], mode="same")
    explained = np.where(draws < FEW, np.maximum(explained, beside), explained)
    # beyond the edges a bin has no end, and so no share by width
    explained[[0, -1]] = 0
    return explained


def level_bins(objective: Objective) -> Bins:
    """Bins of λ of one width between the outer quantiles of an objective's law."""
    low, high = objective.law.ppf(ENDS)
    if low == high:  # the law is one atom, or nearly so
        low, high = low - 1, high + 1
    return Bins(np.linspace(low, high, BINS + 1))


def begin(k: int) -> Tensor:
    """What is known of k objectives before the first step: nothing, shape (k, 2, bins + 2)."""
    return torch.zeros(k, 2, BINS + 2, dtype=torch.float64)


def learn(
    seen: Tensor, objectives: Sequence[Objective], logsnr: Tensor, error: Tensor, scale: DataScale
) -> Tensor:
    """What is known after one more block of steps; what was known before fades.

    Args:
        seen: What was known, shape (k, 2, bins + 2).
        objectives: The k objectives.
        logsnr: λ of the block in nats, shape (steps, k, n).
        error: Squared errors of eps there, summed over dimensions, like ``logsnr``.
        scale: Scale of the data.

    Returns:
        Number of draws and sum of ‖v_hat − v‖²/d in each bin, shape (k, 2, bins + 2).
    """
    fresh = [
        _sums(objective, levels, errors, scale)
        for objective, levels, errors in zip(
            objectives, logsnr.transpose(0, 1), error.transpose(0, 1), strict=True
        )
    ]
    return DECAY * seen + torch.stack(fresh).to(seen.device)


def _sums(objective: Objective, logsnr: Tensor, error: Tensor, scale: DataScale) -> Tensor:
    """Sums of ``learn`` over the draws of one objective, shape (2, bins + 2)."""
    levels = logsnr.double().reshape(1, -1)
    inverse_gain = output_coefficients(levels + 2 * math.log(scale.std), "v").inverse_gain
    v_error = error.double().reshape(1, -1) / (inverse_gain**2 * scale.dimensions)
    return level_bins(objective).sums(levels, v_error)[:2, 0, :-1]  # without what has no level


def adaptable(objectives: Sequence[Any]) -> list[Objective]:
    """Objectives whose law can be drawn otherwise.

    Args:
        objectives: What is trained.

    Returns:
        The same objects.

    Raises:
        TypeError: One of them is no ``Objective``.
    """
    for objective in objectives:
        checks.require(
            isinstance(objective, Objective),
            "adaptive=True draws the levels of an Objective otherwise, and needs its law; "
            f"got {objective!r}: leave adaptive out",
            TypeError,
        )
    return list(objectives)
