"""Run a solver along a grid of log-SNR and keep the trajectory."""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from diffviz.checks import increasing
from diffviz.sampling.solvers import SOLVERS
from diffviz.theory.frames import VP, noise_ratio
from diffviz.theory.paths import Path


@dataclass(frozen=True)
class Trajectory:
    """Where each step began, ``logsnr`` (steps + 1,), z, variance-preserving, and x_hat (steps + 1, n, *shape); number of calls."""

    logsnr: NDArray
    z: Tensor
    x_hat: Tensor
    calls: int

    @property
    def samples(self) -> Tensor:
        """The last x_hat, shape (n, *shape)."""
        return self.x_hat[-1]

    def on(self, path: Path) -> tuple[NDArray, Tensor]:
        """Times on a path, (steps + 1,), and z in its frame: what ``couplings.straightness`` and ``path_ratio`` take."""
        scale = torch.as_tensor(path.frame.alpha(self.logsnr) / VP.alpha(self.logsnr)).to(self.z)
        return path.time(self.logsnr), (scale * self.z.movedim(0, -1)).movedim(-1, 0)


class Stopped(FloatingPointError):
    """The denoiser failed on the way; ``trajectory`` holds the steps before."""

    trajectory: Trajectory


class _Calls:
    """The denoiser in y, as solvers see it: with noise, the number of steps, and (s, y, x_hat) of the first call in each."""

    def __init__(self, model: Callable, noise: Callable, steps: int):
        self.model, self.noise, self.steps, self.step, self.count = model, noise, steps, 0, 0
        self.past: list[tuple[float, Tensor, Tensor]] = []

    def __call__(self, y: Tensor, s: float) -> Tensor:
        x_hat = self.model(
            y / math.hypot(1, s), torch.tensor(-2 * math.log(s), dtype=y.dtype, device=y.device)
        )
        if x_hat.shape != y.shape or not torch.isfinite(x_hat).all():
            raise FloatingPointError(
                f"z or the denoiser's answer is NaN, inf or misshapen at logsnr {-2 * math.log(s):.4g}"
            )
        self.count += 1
        self.past += [(s, y, x_hat)] if len(self.past) == self.step else []
        return x_hat


def sample(
    model: Any, grid: ArrayLike, *, solver: str | Callable = "heun", n: int = 1000, start: Tensor | None = None,
    generator: torch.Generator | None = None, noise: Callable[[Tensor], Tensor] | None = None, **options: Any,
) -> Trajectory:  # fmt: skip
    """Sample from a denoiser along a grid of log-SNR; warns where the grid leaves what a run was trained on.

    Args:
        model: a run, a toy, anything with ``denoise(z, logsnr)`` → x_hat, z variance-preserving, and ``mean``; or that function.
        grid: increasing levels in nats, noise to data, shape (steps + 1,).
        solver: one of ``SOLVERS``, with its ``options``: ``eta`` of "ddim", ``path`` of "euler", ``churn`` of "heun", ``std`` of "ab3".
        n: number of samples, started from standard normal draws; ``start``: z at grid[0] instead, (n, *shape).
        noise: draws of a stochastic solver, like the tensor that it is given; standard normal by default.
    Raises ValueError for a grid that does not increase, an unknown solver, n < 1 or an option out of range, and Stopped, which
    carries the steps so far, if the denoiser returns NaN or inf.
    """
    levels, step = (
        increasing(grid, "the grid, noise to data,"),
        solver if callable(solver) else SOLVERS.get(solver),
    )
    if (
        step is None
        or not n >= 1
        or n % 1
        or not (hasattr(model, "mean") if start is None else torch.is_tensor(start))
    ):
        raise ValueError(
            f"need whole n >= 1, a tensor start or a mean, a solver of {', '.join(SOLVERS)}; got {n}, {solver!r}"
        )
    if density := getattr(getattr(model, "objective", None), "law", None):
        low, high = density.interval(1 - 2e-6)  # all but a millionth at either end
        if max(low - levels[0], levels[-1] - high) > (high - low) / 100:
            warnings.warn(
                f"the grid leaves logsnr {low:.4g} to {high:.4g}, where training looked",
                stacklevel=2,
            )
    start = (
        torch.randn(n, *model.mean.shape, generator=generator, device=model.mean.device)
        if start is None
        else start
    )
    draw = noise or (
        lambda y: torch.randn(y.shape, generator=generator, dtype=y.dtype, device=y.device)
    )
    calls, s = (
        _Calls(getattr(model, "denoise", model), draw, len(levels) - 1),
        noise_ratio(levels).tolist(),
    )
    y, stop = start * math.hypot(1, s[0]), None
    try:
        with torch.no_grad():
            for calls.step, here in enumerate(s):
                y = (
                    step(calls, y, here, s[calls.step + 1], **options)
                    if calls.step < calls.steps
                    else calls(y, here)
                )
    except FloatingPointError as error:
        stop = Stopped(f"step {calls.step} of {calls.steps}: {error}")
    z = torch.stack([start, *(y / math.hypot(1, s) for s, y, _ in calls.past)])[
        1:
    ]  # a stack needs one
    x_hat = torch.stack([start, *(x_hat for *_, x_hat in calls.past)])[1:]
    found = Trajectory(-2 * np.log([s for s, *_ in calls.past]), z, x_hat, calls.count)
    if stop:
        stop.trajectory = found
        raise stop
    return found
