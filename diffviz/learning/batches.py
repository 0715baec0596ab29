"""Data and draws of a training, 32 steps at a time.

Points of few dimensions and their noise are spread evenly over the steps; see ``designs``. Every
draw alone has the law of a plain one.

What is random in a block of steps follows from the seed and the number of the block alone, so that
a training goes on from a checkpoint without the state of a generator. Points of batches are used
in their order instead, from where the block begins.
"""

import copy
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffviz import checks
from diffviz.compute import threads
from diffviz.data.points import refuse_channels_last
from diffviz.data.streams import Source, Stored, source, statistics, widest_type
from diffviz.learning.designs import (
    MOST_DIMENSIONS,
    Design,
    Pairs,
    any_order,
    even_design,
    halving_order,
    opposite_pairs,
)
from diffviz.learning.outputs import Coefficients, output_coefficients
from diffviz.learning.settings import Settings
from diffviz.protocols import Trainable

BLOCK = 32  # steps drawn at once: a quantile function costs by the call
FEW = 2**24  # numbers up to which the data at unit variance are kept in memory
LIMIT = 80.0  # nats; beyond, coefficients in float32 underflow


@dataclass(frozen=True, eq=False)
class Scaled:
    """Points at zero mean and unit variance in float32, each computed when it is asked for.

    Args:
        points: Where the points are read from.
        mean: Mean of the data, shape (*shape).
        std: Root mean square over coordinates of their standard deviations.
    """

    points: Source
    mean: Tensor
    std: float

    def __getitem__(self, places: Tensor) -> Tensor:
        """Scaled points at places, shape (n, *shape)."""
        rows = self.points.rows(places, self.mean.dtype)
        return ((rows - self.mean) / self.std).to(torch.float32)


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Points to train on, with their mean and spread.

    Args:
        points: Where the points are read from.
        count: Number of points.
        mean: Mean of the data in float64, shape (*shape); in float32 on a device without it.
        std: Root mean square over coordinates of their standard deviations.
        unit: The data at zero mean and unit variance, to be asked for at places; where they are
            few, a tensor of shape (n, *shape).
        checksum: What a checkpoint compares: CRC-32 of shape, number and points. The
            points of batches, whose order may change, do not enter.
    """

    points: Source
    count: int
    mean: Tensor
    std: float
    unit: Tensor | Scaled
    checksum: int

    @property
    def device(self) -> torch.device:
        """Where the training runs."""
        return self.mean.device

    @cached_property
    def even_order(self) -> NDArray | None:
        """Neighbours beside each other, shape (n,).

        None for points of many dimensions, for batches, and for what is too large for memory.
        """
        if not isinstance(self.unit, Tensor):
            return None
        if self.unit.ndim != 2 or self.unit.shape[1] > MOST_DIMENSIONS:
            return None
        return halving_order(self.unit.cpu().numpy())

    def design(self, n: int, number: int, rng: np.random.Generator) -> Design:
        """Points and noise of a block of steps, even where the points have few dimensions.

        Args:
            n: Number of points in a step.
            number: Number of the block, from 0.
            rng: NumPy generator.

        Returns:
            The design, with its noise on the device of the data.
        """
        if self.even_order is not None:
            design = even_design(BLOCK, n, self.even_order, self.mean.numel(), rng)
            return replace(design, noise=torch.from_numpy(design.noise).to(self.device))
        order = any_order(BLOCK, n, rng)
        places = self.points.places(rng, self.count, number * BLOCK * n, BLOCK * n)
        noise = NoiseRows(rng, (BLOCK, n, *self.mean.shape), self.device)
        return Design(order, places.reshape(BLOCK, n), noise)


@threads.decided_by(threads.elements)
def training_data(data: Any) -> TrainingData:
    """Data as points to train on; they are read once from beginning to end.

    Args:
        data: Points (n, d) or images (n, h, w), (n, channels, h, w), in memory or memory-mapped,
            or batches of them; see ``fit``.

    Returns:
        The points, on the device of the data.

    Raises:
        TypeError: The data are masked, complex, text or no numbers at all, or can be read only
            once.
        ValueError: The shape is another, a point is not finite, or all points are equal.
    """
    points = source(data)
    _check_shape(points)
    summary = statistics(points)
    if summary.bad:
        raise ValueError(
            f"data has NaN, infinity or a number too large for float32 in {summary.bad} rows, the "
            f"first is row {summary.first_bad}; drop them, or bring data to about unit scale"
        )
    if summary.equal:
        raise ValueError("all points of data are equal; there is nothing to denoise")
    with np.errstate(over="ignore", under="ignore"):
        variance = np.float32(summary.std**2)
    if not 0 < variance < math.inf:
        raise ValueError(
            f"the standard deviation of data is {variance**0.5:g} in float32; "
            "bring data to about unit scale"
        )
    mean = summary.mean.to(points.device, widest_type(points.device))
    scaled = Scaled(points, mean, summary.std)
    few = points.ordered and summary.count * mean.numel() <= FEW
    content = summary.checksum if points.ordered else 0
    return TrainingData(
        points=points,
        count=summary.count,
        mean=mean,
        std=summary.std,
        unit=scaled[torch.arange(summary.count, device="cpu")] if few else scaled,
        checksum=zlib.crc32(repr((points.shape, summary.count)).encode(), content),
    )


def _check_shape(points: Source) -> None:
    """Refuse data that are neither points nor images, and data without a number."""
    if isinstance(points, Stored):
        shape = tuple(points.values.shape)
        kind = f"{points.values.dtype} {shape}"
    else:
        shape = (1, *points.shape)
        kind = f"points of shape {points.shape}"
    if not 2 <= len(shape) <= 4 or not math.prod(shape):
        raise ValueError(
            "data must be real, (n, d), (n, h, w) or (n, channels, h, w); "
            f"got {kind}; numbers on a line are data[:, None]"
        )
    refuse_channels_last((0, *points.shape))  # bytes with channels last were turned round


class NoiseRows:
    """Standard Gaussian noise of the steps of a block, drawn row by row as it is asked for.

    The noise of a whole block of images would be larger than the network. A row has the same bytes
    whichever rows were asked for before it.

    Args:
        rng: NumPy generator, which is left as it is.
        shape: Shape of all rows together, (BLOCK, n, *shape).
        device: Where the noise is needed.
    """

    def __init__(self, rng: np.random.Generator, shape: tuple[int, ...], device: torch.device):
        self.shape = shape
        self.device = device
        self._start = copy.deepcopy(rng)
        self._rng = copy.deepcopy(rng)
        self._latest = -1
        self._row: Tensor | None = None

    def __getitem__(self, row: int) -> Tensor:
        """Noise of one step, shape (n, *shape)."""
        if row < self._latest:
            self._rng = copy.deepcopy(self._start)
            self._latest = -1
        while self._row is None or self._latest < row:
            drawn = self._rng.standard_normal(self.shape[1:], "f4")
            self._row = torch.from_numpy(drawn).to(self.device)
            self._latest += 1
        return self._row


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
        index: Places of the points that are used, shape (BLOCK, n).
        noise: Standard Gaussian noise, shape (n, *shape) for each of the steps.
        pairs: Which draws take the point and the opposite noise of another; None for none.
    """

    number: int
    logsnr: Tensor
    level: Tensor
    inverse_gain2: Tensor
    weight: Tensor
    coefficients: Coefficients
    index: Tensor
    noise: Tensor | NoiseRows
    pairs: Pairs | None

    def draws_at(self, row: int, data: TrainingData) -> tuple[Tensor, Tensor]:
        """Points and noise of one step, of shape (n, *shape) or, with pairs, (k, n, *shape)."""
        x = data.unit[self.index[row]]
        eps = self.noise[row]
        return (x, eps) if self.pairs is None else self.pairs.at(row, x, eps)

    def coefficients_at(self, row: int) -> Coefficients:
        """Coefficients of one step, with axes of length 1 for the shape of a point."""
        parts = self.coefficients
        axes = [1] * (len(self.noise.shape) - 2)
        alpha, sigma, a, b = (
            part[row].reshape(*part[row].shape, *axes)
            for part in (parts.alpha, parts.sigma, parts.a, parts.b)
        )
        return Coefficients(alpha, sigma, a, b)


def draw_block(
    objectives: Sequence[Trainable],
    settings: Settings,
    data: TrainingData,
    number: int,
    is_paired: bool = False,
) -> Block:
    """Draw the levels, the points and the noise of a block of steps.

    Args:
        objectives: The objectives; ``draw`` of each is called once.
        settings: Settings of the training.
        data: Points to train on.
        number: Number of the block, from 0.
        is_paired: Whether clean draws come in pairs of opposite noise; see ``opposite_pairs``.

    Returns:
        The block, on the device of the data.

    Raises:
        TypeError: An objective draws no real numbers.
        ValueError: An objective draws too few numbers, or numbers out of range.
    """
    rng = np.random.default_rng((settings.seed, number, 1))
    design = data.design(settings.batch, number, rng)
    drawn = [dealt_draws(objective, settings, number, design.order) for objective in objectives]
    logsnr, factor = torch.from_numpy(np.stack(drawn, 2))  # (BLOCK, k, n) each
    level = logsnr + 2 * math.log(data.std)
    level_on_device = level.to(data.device, torch.float32)
    exact = output_coefficients(level, settings.output)
    inverse_gain2 = exact.inverse_gain**2
    parts = (exact.alpha, exact.sigma, exact.a, exact.b)
    return Block(
        number=number,
        logsnr=logsnr.to(data.device, torch.float32),
        level=level_on_device,
        inverse_gain2=inverse_gain2.to(data.device, torch.float32),
        weight=(factor * inverse_gain2).to(data.device, torch.float32),
        coefficients=Coefficients(*(part.to(data.device, torch.float32) for part in parts)),
        index=torch.from_numpy(design.index).to(data.device),
        noise=design.noise,
        pairs=opposite_pairs(level_on_device) if is_paired else None,
    )


def dealt_draws(objective: Trainable, settings: Settings, number: int, order: NDArray) -> NDArray:
    """Draws of an objective for a block, dealt out so that each step gets one of every stratum.

    A stratum is ``BLOCK`` neighbours in λ.

    Args:
        objective: What draws.
        settings: Settings of the training.
        number: Number of the block, from 0.
        order: For each stratum the place of its draw for each step, shape (n, BLOCK).

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
    parts = [checks.real_numbers(part, f"what {name} drew") for part in pair]
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
