"""Data and draws of a training, 32 steps at a time.

Points of few dimensions and their noise are spread evenly over the steps; see ``designs``. Every
draw alone has the law of a plain one.

What is random in a block of steps follows from the seed and the number of the block alone, so that
a training goes on from a checkpoint without the state of a generator.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from diffviz.compute import threads
from diffviz.learning.designs import (
    MOST_DIMENSIONS,
    Design,
    even_design,
    halving_order,
    plain_design,
)
from diffviz.learning.doors import real_array, real_tensor
from diffviz.learning.outputs import Coefficients, output_coefficients
from diffviz.learning.settings import Settings
from diffviz.protocols import Trainable

BLOCK = 32  # steps drawn at once: a quantile function costs by the call
LIMIT = 80.0  # nats; beyond, coefficients in float32 underflow


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Points to train on, with their mean and spread.

    Args:
        points: Data in float32, shape (n, *shape).
        mean: Mean of the data, shape (*shape).
        std: Root mean square over coordinates of their standard deviations.
        unit: The data at zero mean and unit variance, shape (n, *shape).
    """

    points: Tensor
    mean: Tensor
    std: float
    unit: Tensor

    @cached_property
    def even_order(self) -> NDArray | None:
        """Neighbours beside each other, shape (n,); None for points of many dimensions."""
        if self.unit.ndim != 2 or self.unit.shape[1] > MOST_DIMENSIONS:
            return None
        return halving_order(self.unit.cpu().numpy())

    def design(self, n: int, rng: np.random.Generator) -> Design:
        """Points and noise of a block of steps, even where the points have few dimensions."""
        shape = tuple(self.mean.shape)
        if self.even_order is None:
            return plain_design(BLOCK, n, len(self.points), shape, rng)
        return even_design(BLOCK, n, self.even_order, len(self.mean), rng)


@threads.decided_by(threads.elements)
def training_data(data: ArrayLike | Tensor) -> TrainingData:
    """Data as points to train on.

    Args:
        data: Points (n, d) or images (n, h, w), (n, channels, h, w).

    Returns:
        The points in float32 on the device of the data.

    Raises:
        TypeError: The data is masked, complex, text or no numbers at all.
        ValueError: The shape is another, a point is not finite, or all points are equal.
    """
    points = real_tensor(data, "data").detach()
    if not 2 <= points.ndim <= 4 or not points.numel():
        raise ValueError(
            "data must be real, (n, d), (n, h, w) or (n, channels, h, w); "
            f"got {points.dtype} {tuple(points.shape)}; numbers on a line are data[:, None]"
        )
    points = points.float()
    bad_rows = (~torch.isfinite(points)).flatten(1).any(1).nonzero()
    if len(bad_rows):
        raise ValueError(
            f"data has NaN or inf in {len(bad_rows)} rows, the first is row {bad_rows[0].item()}; "
            "drop them"
        )
    if (points == points[0]).all():
        raise ValueError("all points of data are equal; there is nothing to denoise")
    mean = points.mean(0)
    std = points.var(0, correction=0).mean().sqrt().item()
    if not 0 < std < math.inf:
        raise ValueError(
            f"the standard deviation of data is {std:g} in float32; bring data to about unit scale"
        )
    return TrainingData(points, mean, std, (points - mean) / std)


@dataclass(frozen=True, eq=False)
class Block:
    """All that is random in ``BLOCK`` steps of k objectives on n points.

    Args:
        number: Number of the block, from 0.
        logsnr: λ of the draws in nats, shape (BLOCK, k, n).
        level: λ' of the data at unit variance, like ``logsnr``.
        inverse_gain2: 1/g², from a squared error of the output to one of eps, like ``logsnr``.
        weight: The objective's factor times 1/g², like ``logsnr``.
        coefficients: Of z' and of the output, like ``logsnr``.
        index: Which points of the data are used, shape (BLOCK, n).
        noise: Standard Gaussian noise, shape (BLOCK, n, *shape).
    """

    number: int
    logsnr: Tensor
    level: Tensor
    inverse_gain2: Tensor
    weight: Tensor
    coefficients: Coefficients
    index: Tensor
    noise: Tensor

    def coefficients_at(self, row: int) -> Coefficients:
        """Coefficients of one step, with axes of length 1 for the shape of a point."""
        parts = self.coefficients
        axes = [1] * (self.noise.ndim - 2)
        alpha, sigma, a, b = (
            part[row].reshape(*part[row].shape, *axes)
            for part in (parts.alpha, parts.sigma, parts.a, parts.b)
        )
        return Coefficients(alpha, sigma, a, b)


def draw_block(
    objectives: Sequence[Trainable], settings: Settings, data: TrainingData, number: int
) -> Block:
    """Draw the levels, the points and the noise of a block of steps.

    Args:
        objectives: The objectives; ``draw`` of each is called once.
        settings: Settings of the training.
        data: Points to train on.
        number: Number of the block, from 0.

    Returns:
        The block, on the device of the data.

    Raises:
        TypeError: An objective draws no real numbers.
        ValueError: An objective draws too few numbers, or numbers out of range.
    """
    design = data.design(settings.batch, np.random.default_rng((settings.seed, number, 1)))
    drawn = [dealt_draws(objective, settings, number, design.order) for objective in objectives]
    logsnr, factor = torch.from_numpy(np.stack(drawn, 2))  # (BLOCK, k, n) each
    level = logsnr + 2 * math.log(data.std)
    exact = output_coefficients(level, settings.output)
    inverse_gain2 = exact.inverse_gain**2
    parts = (exact.alpha, exact.sigma, exact.a, exact.b)
    return Block(
        number=number,
        logsnr=logsnr.to(data.points),
        level=level.to(data.points),
        inverse_gain2=inverse_gain2.to(data.points),
        weight=(factor * inverse_gain2).to(data.points),
        coefficients=Coefficients(*(part.to(data.points) for part in parts)),
        index=torch.from_numpy(design.index).to(data.points.device),
        noise=torch.from_numpy(design.noise).to(data.points),
    )


def dealt_draws(objective: Trainable, settings: Settings, number: int, order: NDArray) -> NDArray:
    """Draws of an objective for a block, dealt out so that each step gets one of every stratum.

    A stratum is ``BLOCK`` neighbours in λ.

    Args:
        objective: What draws.
        settings: Settings of the training.
        number: Number of the block, from 0.
        order: For each stratum the order in which its draws go to the steps, shape (n, BLOCK).

    Returns:
        λ and factor, shape (2, BLOCK, n).
    """
    n = settings.batch
    rng = np.random.default_rng((settings.seed, number))
    drawn = checked_draws(objective, n * BLOCK, rng)
    strata = np.argsort(drawn[0], kind="stable").reshape(n, BLOCK)
    return drawn[:, np.take_along_axis(strata, order, 1).T]


def checked_draws(objective: Trainable, total: int, rng: np.random.Generator) -> NDArray:
    """Draws of an objective, refused where the trainer cannot use them.

    Args:
        objective: What draws.
        total: How many.
        rng: NumPy generator.

    Returns:
        λ in nats and factor, shape (2, total).

    Raises:
        TypeError: The draws are masked, complex or no numbers.
        ValueError: Their shape is another, a λ is beyond ±80 nats, or a factor is negative or not
            finite.
    """
    name = objective.name
    pair = objective.draw(total, rng)
    parts = [real_array(part, f"what {name} drew") for part in pair]
    shapes = [part.shape for part in parts]
    if shapes != [(total,), (total,)]:
        listed = " and ".join(map(str, shapes))
        raise ValueError(
            f"{name} drew logsnr and factor of shape {listed}; needed: (2, {total}), "
            f"a pair of arrays of shape ({total},)"
        )
    drawn = np.array(parts, dtype=float)
    low = [[-LIMIT], [0]]
    high = [[LIMIT], [np.finfo(float).max]]
    if not ((drawn >= low) & (drawn <= high)).all():
        raise ValueError(
            f"{name} drew logsnr and factor from {drawn.min(-1)} to {drawn.max(-1)}; needed: "
            f"logsnr within ±{LIMIT:g}, finite factors >= 0: truncate its density"
        )
    return drawn
