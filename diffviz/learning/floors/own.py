r"""The floor of a data set itself, which only a network that memorises it reaches.

Let x_i be one of the points, eps noise, y = x_i + s eps with s² = e^(−λ), and w_j the posterior
probability of x_j given y under the points. Given y, x_i is itself a draw from this posterior, so
that its variance is half the mean squared distance of two such draws, and the floor of the set is

    F_n(λ) = e^λ E[½ Σ_j w_j ‖x_i − x_j‖²],    w_j ∝ exp(−‖x_i − x_j‖²/2s² + eps·(x_j − x_i)/s).

All levels follow from the products of x_i and eps with all points. The exponent of the own point is
0, and the others are sums of normal numbers that are never large beside it.

The least error is concave in the law of the data. So E F_n over sets of n independent points is at
most the floor of their law, and grows with n. For the same reason it is still a lower bound with
only some of the points, as long as x_i is among them. Diagnosing and Improving Diffusion Models by
Estimating the Optimal Loss Value (2025, arXiv 2506.13763) estimates F_n itself from such subsets.

The error is that of a jackknife which leaves out a group of points, those that are drawn and those
that they are compared with. It is too large rather than too small (Efron and Stein 1981): for 100
and 1,000 points of the ten laws of ``benchmarks/floor.py`` it is 0.90 to 1.80 times the scatter
from set to set, 1.1 times in the mean.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm.auto import tqdm

from diffviz.learning.floors.parts import Points

GROUPS = 32  # of the jackknife
WORK = 2.0**39  # multiply-adds, some 20 s of one core
WEIGHT = 200  # multiply-adds in whose time a weight at a level is computed and summed
LEAST_DRAWS = 256
MOST_DRAWS = 2048
BLOCK = 2**18  # weights that are computed at once
SAME = 1e-13  # squared distance over the squared norms below which two points are equal
LARGEST = 600.0  # exponent that float64 holds; never met unless by a point of another scale


@dataclass(frozen=True, eq=False)
class OwnFloor:
    """The floor of a data set by level.

    Args:
        mean: Squared eps error, shape (levels,).
        stderr: Its standard error over sets of as many points, shape (levels,).
        half: The same from sets of half the points, shape (levels,).
        points: Number of points that it was computed from.
    """

    mean: NDArray
    stderr: NDArray
    half: NDArray
    points: int


@dataclass(frozen=True, eq=False)
class Draws:
    """Noisy points of the data set.

    Args:
        x: The points around the centre, shape (q, d).
        eps: Their noise, shape (q, d).
        group: Their groups in the jackknife, shape (q,).
    """

    x: Tensor
    eps: Tensor
    group: Tensor


def distances(x: Tensor, eps: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Squared distances of points from others, and the products of their noise with the way there.

    Both are exactly 0 for equal points, also where rounding is large beside the noise.

    Args:
        x: Points x_i, shape (q, d).
        eps: Their noise, shape (q, d).
        others: Points x_j, shape (b, d).

    Returns:
        ‖x_i − x_j‖² and eps·(x_j − x_i), shape (q, b) each.
    """
    norm = x.square().sum(1)[:, None] + others.square().sum(1)
    squares = torch.addmm(norm, x, others.T, alpha=-2)
    products = eps @ others.T - (eps * x).sum(1)[:, None]
    equal = squares < SAME * norm
    return squares.masked_fill_(equal, 0), products.masked_fill_(equal, 0)


def plan(count: int, size: int, levels: int, draws: int | None) -> tuple[int, int]:
    """Numbers of points and of draws that an amount of work allows.

    Args:
        count: Number of points of the data.
        size: Numbers in a point.
        levels: Number of levels.
        draws: Number of draws that was asked for, if any.

    Returns:
        Number of points that are compared with, and number of draws.
    """
    each = 2 * size + WEIGHT * levels  # for a draw and a point
    least = LEAST_DRAWS if draws is None else draws
    points = int(min(count, max(GROUPS, WORK / (least * each))))
    if draws is not None:
        return points, draws
    return points, int(np.clip(WORK / (points * each), LEAST_DRAWS, MOST_DRAWS))


def own_floor(
    points: Points,
    logsnr: NDArray,
    draws: int | None,
    rng: np.random.Generator,
    generator: torch.Generator,
    progress: bool,
    known: OwnFloor | None = None,
) -> OwnFloor:
    """The floor of a data set, with its error over sets.

    Args:
        points: The data.
        logsnr: λ in nats, shape (levels,).
        draws: Number of noisy points; by default what some 20 s of one core allow, 256 to 2,048.
        rng: Draws points and groups.
        generator: Draws the noise, on the CPU.
        progress: Whether to show a bar.
        known: The floor, where a table has it. Then nothing is computed, and the same numbers are
            drawn, so that what is drawn later does not depend on the table.

    Returns:
        The floor.
    """
    count, asked = plan(points.count, len(points.centre), len(logsnr), draws)
    places = rng.permutation(points.count)[:count]
    groups = min(GROUPS, count)
    group = np.arange(count) % groups  # places are in a random order
    repeats = -(-asked // count)
    drawn = np.tile(np.arange(min(count, asked)), repeats)
    device = points.centre.device
    x = points.at(places[drawn])
    noisy = Draws(
        x=x,
        eps=torch.randn(x.shape, generator=generator, dtype=torch.float64).to(device),
        group=torch.from_numpy(group[drawn]).to(device),
    )
    if known is not None:
        return known
    order = np.argsort(places)  # a file is read from its start to its end
    sums = torch.zeros(2, len(logsnr), len(x), groups, dtype=torch.float64, device=device)
    block = max(16, BLOCK // len(x))
    bar = tqdm(total=count, desc="floor", unit="point", disable=not progress, leave=False, delay=2)
    with bar:
        for part, others in points.blocks(places[order], block):
            member = torch.from_numpy(np.eye(groups)[group[order[part]]]).to(device)
            _add(sums, noisy, others, member, logsnr)
            bar.update(len(part))
    return _jackknife(sums.cpu().numpy(), noisy.group.cpu().numpy(), np.exp(logsnr), count)


def _add(sums: Tensor, draws: Draws, others: Tensor, member: Tensor, logsnr: NDArray) -> None:
    """Add the weights of other points, and weights times squared distances, by group.

    Args:
        sums: Where they are added, shape (2, levels, q, groups).
        draws: The noisy points.
        others: Points, shape (b, d).
        member: 1 for the group of a point, else 0, shape (b, groups).
        logsnr: λ in nats, shape (levels,).
    """
    squares, products = distances(draws.x, draws.eps, others)
    for level, logarithm in enumerate(logsnr):
        inverse = float(np.exp(logarithm / 2))  # 1/s
        weight = (products * inverse).sub_(squares, alpha=inverse**2 / 2)
        weight = weight.clamp_(max=LARGEST).exp_()
        sums[0, level] += weight @ member
        sums[1, level] += weight.mul_(squares) @ member


def _jackknife(sums: NDArray, group: NDArray, snr: NDArray, count: int) -> OwnFloor:
    """The floor, its jackknife error and that of half the points.

    Args:
        sums: Sums of weights, and of weights times squared distances, (2, levels, q, groups).
        group: Group of each draw, shape (q,).
        snr: e^λ, shape (levels,).
        count: Number of points.

    Returns:
        The floor.
    """
    groups = sums.shape[-1]
    weight, distance = sums
    all_weight, all_distance = sums.sum(-1)
    without = np.empty((groups, len(snr)))
    for left_out in range(groups):
        kept = group != left_out
        left_distance = all_distance[:, kept] - distance[:, kept, left_out]
        left_weight = all_weight[:, kept] - weight[:, kept, left_out]
        without[left_out] = (left_distance / left_weight).mean(1) / 2
    is_first = np.arange(groups) < groups // 2
    halves = [_of_half(sums, group, is_first), _of_half(sums, group, ~is_first)]
    return OwnFloor(
        mean=snr * (all_distance / all_weight).mean(1) / 2,
        stderr=snr * np.sqrt((groups - 1) * without.var(0)),
        half=snr * np.mean(halves, 0),
        points=count,
    )


def _of_half(sums: NDArray, group: NDArray, half: NDArray) -> NDArray:
    """Mean squared error in x where only the points of some groups (groups,) are there."""
    weight, distance = sums[:, :, half[group]][..., half].sum(-1)
    return (distance / weight).mean(1) / 2
