"""Draw log-SNR where a draw tells most, and divide by the density: the loss stays what it was.

A draw of an objective is a level λ = ppf(u), u uniform, and a factor on the error there. Cut (0, 1)
into bins b of own mass P_b, and draw a bin with mass M_b instead, u uniform within it. The factor
is then multiplied by P_b/M_b, so that for any g

    Σ_b M_b E[(P_b/M_b) g | b] = Σ_b P_b E[g | b] = E g,        (importance sampling)
    E of the square of a draw = Σ_b (P_b²/M_b) E[g² | b],        least at M_b ∝ P_b sqrt(E[g² | b]).

Here g is the length of the gradient by the raw output of the network, twice the factor on its error
times that error.

Where nothing can be learnt the gradient may be all noise: λ above 13 has most of it under the ELBO.
Half of the masses therefore follows what is known there, by width in λ: the share of the variance
of v = alpha eps − sigma x that the network explains, R² = 1 − E‖v_hat − v‖²/d for data of unit
variance. It vanishes at both ends, where v is pure noise or pure data.

The own law keeps a share of the masses, which bounds P_b/M_b (Hesterberg 1995). No level is lost:
bins end where the law ends, and within a bin the law is the objective's own.
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
from diffviz.theory.objectives import Objective

BINS = 32  # between the ends below
ENDS = 1e-3, 1 - 1e-3  # quantiles of the law; one more bin lies beyond each
DECAY = 0.8  # of what was seen, for each block of steps
OWN = 0.2  # share of the own law


@dataclass(frozen=True)
class DataScale:
    """What turns an error of eps into one of the output of the network.

    Args:
        std: Standard deviation of the data.
        dimensions: Numbers in a point.
        output: What the network puts out; see ``outputs``.
    """

    std: float
    dimensions: int
    output: str


@dataclass(frozen=True, eq=False)
class ImportanceSampled:
    """An objective drawn by other masses of its bins; its loss and gradient stay in the mean.

    Args:
        objective: The objective.
        seen: Number of draws, sum of their g² and of their ‖v_hat − v‖²/d in each bin, shape
            (3, bins + 2); the first and the last are the bins beyond the edges. Without draws the
            objective's own law is drawn.
    """

    objective: Objective
    seen: NDArray

    @property
    def name(self) -> str:
        """Name of the objective."""
        return self.objective.name

    @cached_property
    def quantiles(self) -> NDArray:
        """Quantiles of the own law at which bins end, shape (bins + 3,)."""
        return np.concatenate(
            [[0.0], self.objective.law.cdf(level_bins(self.objective).edges), [1.0]]
        )

    @property
    def own(self) -> NDArray:
        """Masses of the bins under the own law, shape (bins + 2,)."""
        return np.diff(self.quantiles)

    @cached_property
    def masses(self) -> NDArray:
        """Masses by which bins are drawn, shape (bins + 2,)."""
        draws, *sums = self.seen
        known = draws >= 1
        if not known.any():
            return self.own
        place = np.arange(len(draws))
        square, v_error = (
            np.interp(place, place[known], row[known] / draws[known]) for row in sums
        )
        quiet = self.own * np.sqrt(square)
        # less two standard errors of ‖v‖² in one dimension: what is noise explains nothing
        certain = 1 - v_error - 2 * np.sqrt(2 / draws.clip(min=1))
        explained = certain.clip(min=0) * (self.own > 0)
        follow = [self._shares(quiet), self._shares(explained)]
        return OWN * self.own + (1 - OWN) * np.mean(follow, 0)

    def _shares(self, mass: NDArray) -> NDArray:
        """Masses that sum to one; those of the own law if there are none."""
        return mass / mass.sum() if mass.any() else self.own

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
        u = (rng.permutation(n) + rng.random(n)) / n if stratified else rng.random(n)
        ends = np.concatenate([[0.0], self.masses.cumsum()])
        ends /= ends[-1]
        # a bin without mass has no width, and no u lies in it
        bins = (np.searchsorted(ends, u, side="right") - 1).clip(0, len(self.masses) - 1)
        ratio = self.own[bins] / self.masses[bins]
        quantile = self.quantiles[bins] + (u - ends[bins]) * ratio
        logsnr = self.objective.law.ppf(quantile.clip(0, 1))
        return logsnr, self.objective.factor(logsnr) * ratio


def level_bins(objective: Objective) -> Bins:
    """Bins of λ of one width between the outer quantiles of an objective's law."""
    low, high = objective.law.ppf(ENDS)
    if low == high:  # the law is one atom, or nearly so
        low, high = low - 1, high + 1
    return Bins(np.linspace(low, high, BINS + 1))


def begin(k: int) -> Tensor:
    """What is known of k objectives before the first step: nothing, shape (k, 3, bins + 2)."""
    return torch.zeros(k, 3, BINS + 2, dtype=torch.float64)


def learn(
    seen: Tensor, objectives: Sequence[Objective], logsnr: Tensor, error: Tensor, scale: DataScale
) -> Tensor:
    """What is known after one more block of steps; what was known before fades.

    Args:
        seen: What was known, shape (k, 3, bins + 2).
        objectives: The k objectives.
        logsnr: λ of the block in nats, shape (steps, k, n).
        error: Squared errors of eps there, summed over dimensions, like ``logsnr``.
        scale: Of the data, and the output of the network.

    Returns:
        Number of draws, sum of g² and of ‖v_hat − v‖²/d in each bin, shape (k, 3, bins + 2).
    """
    fresh = [
        _sums(objective, levels, errors, scale)
        for objective, levels, errors in zip(
            objectives, logsnr.transpose(0, 1), error.transpose(0, 1), strict=True
        )
    ]
    return DECAY * seen + torch.stack(fresh).to(seen.device)


def _sums(objective: Objective, logsnr: Tensor, error: Tensor, scale: DataScale) -> Tensor:
    """Sums of ``learn`` over the draws of one objective, shape (3, bins + 2)."""
    # a level in float32 may have left the support of the law
    inside = logsnr.double().cpu().flatten().numpy().clip(*objective.law.support())
    logsnr = torch.from_numpy(inside)
    error = error.double().cpu().flatten()
    level = logsnr + 2 * math.log(scale.std)
    factor = torch.from_numpy(objective.factor(inside))
    inverse_gain = output_coefficients(level, scale.output).inverse_gain
    squares = 4 * (factor * inverse_gain) ** 2 * error
    v_error = error / (output_coefficients(level, "v").inverse_gain ** 2 * scale.dimensions)
    bins = level_bins(objective)
    both = bins.sums(logsnr.expand(2, -1), torch.stack([squares, v_error]))
    return torch.stack([both[0, 0], both[1, 0], both[1, 1]])[:, :-1]  # without what has no level


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
