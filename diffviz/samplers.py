"""Sampling: from noise to data along the probability-flow ODE, on any grid of log-SNR.

With y = z/alpha and s = sigma/alpha = e^(−λ/2) every Gaussian path is the variance-exploding one, and the flow is

    dy/ds = eps_hat = (y − x_hat)/s        (Song et al. 2021, arXiv 2011.13456, eq. 13; Karras et al. 2022, arXiv 2206.00364, eq. 3)

so a solver needs the denoiser and two levels. Euler in s is DDIM, and Euler in the time of the linear path (flow matching) is the
same step. A solver is a function (denoise, y, s, s of the next level) → y, where denoise(y, s) is x_hat, like y (n, *shape).
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from diffviz.checks import increasing
from diffviz.frames import VP, noise_ratio


def ddim(denoise, y, start, end):
    """Euler in s (Song et al. 2020, arXiv 2010.02502, eq. 12). First order, one call."""
    x_hat = denoise(y, start)
    return x_hat + end / start * (y - x_hat)


def heun(denoise, y, start, end):
    """Heun in s (Karras et al. 2022, arXiv 2206.00364, algorithm 1). Second order, two calls."""
    slope = (y - denoise(y, start)) / start
    guess = y + (end - start) * slope
    return y + (end - start) * (slope + (guess - denoise(guess, end)) / end) / 2


SOLVERS: dict[str, Callable] = {"ddim": ddim, "heun": heun}


def grid_of(law: Any, steps: int, low: float = -10.0, high: float = 14.0) -> NDArray:
    """Levels from ``low`` to ``high`` equally probable under a law of λ, shape (steps + 1,).

    Args:
        law: frozen distribution: ``path.schedule`` for levels uniform in the path's time, or the density that a training looks with.
        steps: number of steps; low, high: first and last level in nats.
    Raises:
        ValueError: for steps < 1, low >= high, or no mass between them.
    """
    if steps < 1 or not low < high or not law.cdf(high) > law.cdf(low):
        raise ValueError(f"a grid needs steps >= 1 and mass of the law between low < high; got {steps}, [{low:g}, {high:g}]")
    return np.r_[low, law.ppf(np.linspace(law.cdf(low), law.cdf(high), steps + 1)[1:-1]), high]


@dataclass(frozen=True)
class Trajectory:
    """What a sampler did: ``logsnr`` (steps + 1,), noise to data; z, variance-preserving, and x_hat (steps + 1, n, *shape)."""

    logsnr: NDArray
    z: Tensor
    x_hat: Tensor

    @property
    def samples(self) -> Tensor:
        """The last x_hat, shape (n, *shape)."""
        return self.x_hat[-1]


class Stopped(FloatingPointError):
    """The denoiser failed on the way; ``trajectory`` holds the steps before."""

    trajectory: Trajectory


def sample(
    model: Any, grid: ArrayLike, *, solver: str = "heun", n: int = 1000, start: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Trajectory:  # fmt: skip
    """Sample from a denoiser along a grid of log-SNR.

    Args:
        model: a run, a toy, or anything with ``denoise(z, logsnr)`` → x_hat of the variance-preserving frame and ``mean`` (*shape).
        grid: increasing levels in nats, noise to data, shape (steps + 1,).
        solver: one of ``SOLVERS``.
        n: number of samples, started from standard normal draws of ``generator``.
        start: z at grid[0] instead, (n, *shape).
    Returns:
        The ``Trajectory``; its ``samples`` are the last x_hat.
    Raises:
        ValueError: for a grid that does not increase, an unknown solver or n < 1.
        Stopped: if the denoiser returns NaN or inf; it carries the steps so far.
    """
    levels = increasing(grid, "the grid, noise to data,")
    if solver not in SOLVERS or n < 1:
        raise ValueError(f"solver is one of {', '.join(SOLVERS)} and n >= 1; got {solver!r}, {n}")
    if start is None:
        start = torch.randn(n, *model.mean.shape, generator=generator, device=model.mean.device)
    first: list[Tensor] = []

    def denoise(y: Tensor, s: float) -> Tensor:
        level = -2 * np.log(s)
        x_hat = model.denoise(VP.alpha(level) * y, torch.tensor(level, dtype=y.dtype, device=y.device))
        if not torch.isfinite(x_hat).all():
            raise FloatingPointError(f"the denoiser returned NaN or inf at logsnr {level:.4g}")
        first.append(x_hat)
        return x_hat

    alpha, scale = VP.alpha(levels).tolist(), noise_ratio(levels).tolist()
    zs, x_hats, y = [start], [], start / alpha[0]
    with torch.no_grad():
        try:
            for k, (before, after) in enumerate(pairwise(scale)):
                first.clear()
                y = SOLVERS[solver](denoise, y, before, after)
                x_hats.append(first[0])
                zs.append(alpha[k + 1] * y)
            x_hats.append(denoise(y, scale[-1]))
        except FloatingPointError as error:
            stop = Stopped(f"step {len(x_hats)} of {len(levels) - 1}: {error}")
            stop.trajectory = Trajectory(
                levels[: len(x_hats)], *(torch.stack(v[: len(x_hats)] or [start[:0]]) for v in (zs, x_hats))
            )
            raise stop from error
    return Trajectory(levels, torch.stack(zs), torch.stack(x_hats))
