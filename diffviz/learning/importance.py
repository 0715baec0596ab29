"""Draw log-SNR where the gradient is large, and divide by the density: the loss stays what it was.

A draw of an objective is a level λ = ppf(u), u uniform, and a factor on the error there. Cut (0, 1)
into bins b of own mass P_b, and draw a bin with mass M_b instead, u uniform within it. The factor
is then multiplied by P_b/M_b, so that for any g

    Σ_b M_b E[(P_b/M_b) g | b] = Σ_b P_b E[g | b] = E g,        (importance sampling)
    E of the square of a draw = Σ_b (P_b²/M_b) E[g² | b],        least at M_b ∝ P_b sqrt(E[g² | b]).

Here g is the length of the gradient by the raw output of the network, twice the factor on its error
times that error. The own law keeps a share of the masses, which bounds P_b/M_b (Hesterberg 1995).
No level is lost: bins end where the law ends, and within a bin the law is the objective's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffviz import checks
from diffviz.learning.tracking import Bins
from diffviz.theory.objectives import Objective

BINS = 32  # between the ends below
ENDS = 1e-3, 1 - 1e-3  # quantiles of the law; one more bin lies beyond each
DECAY = 0.8  # of what was seen, for each block of steps
OWN = 0.2  # share of the own law


@dataclass(frozen=True, eq=False)
class ImportanceSampled:
    """An objective drawn by other masses of its bins; its loss and gradient stay in the mean.

    Args:
        objective: The objective.
        seen: Number of draws and sum of their g² in each bin, shape (2, bins + 2); the first and
            the last are the bins beyond the edges. Without draws the objective's own law is drawn.
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
        draws, squares = self.seen
        known = draws >= 1
        if not squares[known].any():
            return self.own
        place = np.arange(len(draws))
        square = np.interp(place, place[known], squares[known] / draws[known])
        best = self.own * np.sqrt(square)
        return (1 - OWN) * best / best.sum() + OWN * self.own

    def draw(self, n: int, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
        """Levels by the masses, one in each of n equal shares, and the factor on the eps error.

        Args:
            n: Number of draws.
            rng: NumPy generator.

        Returns:
            λ in nats and factor, both of shape (n,); see ``Objective.draw``.
        """
        u = (rng.permutation(n) + rng.random(n)) / n
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
    """What is known of k objectives before the first step: nothing, shape (k, 2, bins + 2)."""
    return torch.zeros(k, 2, BINS + 2, dtype=torch.float64)


def learn(
    seen: Tensor,
    objectives: Sequence[Objective],
    logsnr: Tensor,
    error: Tensor,
    inverse_gain2: Tensor,
) -> Tensor:
    """What is known after one more block of steps; what was known before fades.

    Args:
        seen: What was known, shape (k, 2, bins + 2).
        objectives: The k objectives.
        logsnr: λ of the block in nats, shape (steps, k, n).
        error: Squared eps errors there, like ``logsnr``.
        inverse_gain2: Squared error of eps for one of the output, like ``logsnr``.

    Returns:
        Number of draws and sum of g² in each bin, shape (k, 2, bins + 2).
    """
    fresh = torch.zeros_like(seen)
    for row, objective, *parts in zip(
        fresh,
        objectives,
        *(x.double().transpose(0, 1) for x in (logsnr, error, inverse_gain2)),
        strict=True,
    ):
        levels, errors, inverse = (part.flatten().cpu() for part in parts)
        inside = levels.numpy().clip(*objective.law.support())  # float32 may have left it
        factor = torch.from_numpy(objective.factor(inside))
        squares = 4 * factor**2 * inverse * errors
        row.copy_(level_bins(objective).sums(levels[None], squares[None])[:2, 0])
    return DECAY * seen + fresh


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
