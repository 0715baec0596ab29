"""Sampling: from noise to data along the probability-flow ODE or an SDE, on any grid of log-SNR.

With y = z/alpha and s = sigma/alpha = e^(−λ/2) every Gaussian path is the variance-exploding one, and the flow is

    dy/ds = eps_hat = (y − x_hat)/s,        dy/dλ = −½ (y − x_hat)        (Song et al. 2021; Karras et al. 2022, eq. 1 and 3)

so a solver needs the denoiser and two levels. Euler in s is DDIM, and Euler in the time of the linear path (flow matching) is the
same step; only in other frames does Euler differ. A solver is a function (denoise, y, λ₀, λ₁, memory, noise) → y.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torchdiffeq import odeint

from diffviz.checks import positive
from diffviz.paths import Path

Denoiser = Callable[[Tensor, Tensor], Tensor]


def _s(logsnr: float) -> float:
    return math.exp(-logsnr / 2)


class _Calls:
    """The denoiser in y coordinates; counts its calls, refuses what is not finite, keeps the first x_hat of a step."""

    def __init__(self, denoise: Denoiser):
        self.denoise, self.count = denoise, 0
        self.first: Tensor | None = None

    def __call__(self, y: Tensor, logsnr: float) -> Tensor:
        self.count += 1
        alpha = math.sqrt(1 / (1 + math.exp(-logsnr)))
        x_hat = self.denoise(alpha * y, torch.tensor(logsnr, dtype=y.dtype, device=y.device))
        if x_hat.shape != y.shape:
            raise ValueError(f"the denoiser returned shape {tuple(x_hat.shape)} for z of shape {tuple(y.shape)}")
        if not torch.isfinite(x_hat).all():
            raise FloatingPointError(f"the denoiser returned NaN or inf at logsnr {logsnr:.4g}")
        self.first = x_hat if self.first is None else self.first
        return x_hat


def _to(x_hat: Tensor, y: Tensor, start: float, end: float) -> Tensor:
    """The straight step that x_hat implies: exact if x_hat were constant."""
    return x_hat + (_s(end) / _s(start)) * (y - x_hat)


def ddim(model, y, start, end, memory, noise):
    """Euler in s (Song et al. 2020, arXiv 2010.02502); also Euler of flow matching on the same levels. First order."""
    return _to(model(y, start), y, start, end)


def heun(model, y, start, end, memory, noise):
    """Heun in s (Karras et al. 2022, algorithm 1); the last step to s = 0 is Euler's. Second order, two calls."""
    first = model(y, start)
    guess = _to(first, y, start, end)
    if math.isinf(end):
        return guess
    slope, slope2 = (y - first) / _s(start), (guess - model(guess, end)) / _s(end)
    return y + (_s(end) - _s(start)) * (slope + slope2) / 2


def dpm_2m(model, y, start, end, memory, noise):
    """DPM-Solver++(2M) (Lu et al. 2022, arXiv 2211.01095, algorithm 2); h in half log-SNR. Second order, one call."""
    x_hat = model(y, start)
    mean = x_hat
    if "x_hat" in memory and not math.isinf(end):
        ratio = (start - memory["start"]) / (end - start)
        mean = x_hat + (x_hat - memory["x_hat"]) / (2 * ratio)
    memory.update(x_hat=x_hat, start=start)
    return _to(mean, y, start, end)


def dpm_2s(model, y, start, end, memory, noise):
    """DPM-Solver++(2S) (Lu et al. 2022, arXiv 2211.01095, algorithm 1) with the middle at half the log-SNR. Second order, two calls."""
    x_hat = model(y, start)
    if math.isinf(end):
        return x_hat
    middle = (start + end) / 2
    return _to(model(_to(x_hat, y, start, middle), middle), y, start, end)


def rk4(model, y, start, end, memory, noise):
    """Classical Runge–Kutta in λ. Fourth order, four calls."""
    if math.isinf(end):
        return model(y, start)
    h, middle = end - start, (start + end) / 2
    k1 = -(y - model(y, start)) / 2
    k2 = y + h / 2 * k1
    k2 = -(k2 - model(k2, middle)) / 2
    k3 = y + h / 2 * k2
    k3 = -(k3 - model(k3, middle)) / 2
    k4 = y + h * k3
    k4 = -(k4 - model(k4, end)) / 2
    return y + h * (k1 + 2 * k2 + 2 * k3 + k4) / 6


def adaptive(model, y, start, end, memory, noise, tolerance: float = 1e-8):
    """Dormand–Prince in λ from torchdiffeq: the reference."""
    if math.isinf(end):
        return model(y, start)
    levels = torch.tensor([start, end], dtype=torch.float64, device=y.device)
    return odeint(lambda t, at: -(at - model(at, t.item())) / 2, y, levels, rtol=tolerance, atol=tolerance)[-1]


def ddim_eta(eta: float):
    """DDIM with noise η: 0 is ``ddim``, 1 the ancestral sampler of DDPM (Song et al. 2020, arXiv 2010.02502, eq. 16)."""
    if not 0 <= eta <= 1:
        raise ValueError(f"eta lies in [0, 1], got {eta}")

    def step(model, y, start, end, memory, noise):
        x_hat, before, after = model(y, start), _s(start), _s(end)
        fresh = eta * after * math.sqrt(max(1 - (after / before) ** 2, 0))
        return x_hat + math.sqrt(after**2 - fresh**2) / before * (y - x_hat) + fresh * noise(y)

    return step


ancestral = ddim_eta(1.0)


def euler_maruyama(model, y, start, end, memory, noise):
    """Euler–Maruyama on the reverse SDE, in λ: dy = −(y − x_hat) dλ + s dW (Song et al. 2021, eq. 6). Weak order one."""
    if math.isinf(end):
        return model(y, start)
    h = end - start
    return y - h * (y - model(y, start)) + _s(start) * math.sqrt(h) * noise(y)


def churn(amount: float, steps: int, inflate: float = 1.003):
    """EDM's stochastic Heun: noise is added before each step (Karras et al. 2022, algorithm 2; S_churn, S_noise)."""
    if not (amount >= 0 and steps >= 1 and inflate > 0):
        raise ValueError(f"churn needs amount >= 0, steps >= 1, inflate > 0; got {amount}, {steps}, {inflate}")
    gamma = min(amount / steps, math.sqrt(2) - 1)

    def step(model, y, start, end, memory, noise):
        raised = start - 2 * math.log1p(gamma)
        y = y + inflate * math.sqrt(max(_s(raised) ** 2 - _s(start) ** 2, 0)) * noise(y)
        return heun(model, y, raised, end, memory, noise)

    return step


def framed_euler(path: Path):
    """Euler on dz/dt in the frame and time of a path: DDIM on the linear path, something else on others."""

    def step(model, y, start, end, memory, noise):
        if math.isinf(end):
            return model(y, start)
        ends = np.array([start, end])
        (alpha, alpha2), (sigma, _) = path.frame.alpha(ends), path.frame.sigma(ends)
        t, t2 = path.time(ends)
        speed = -1 / path.schedule.pdf(start)
        x_hat = model(y, start)
        eps_hat = (y - x_hat) / _s(start)
        slope = float(path.frame.slope(np.array(start)))
        velocity = alpha * slope * speed * x_hat + sigma * (slope - 0.5) * speed * eps_hat
        return (alpha * y + (t2 - t) * velocity) / alpha2

    return step


SOLVERS: dict[str, Callable] = {
    "ddim": ddim, "heun": heun, "dpm++2m": dpm_2m, "dpm++2s": dpm_2s, "rk4": rk4, "adaptive": adaptive,
    "ancestral": ancestral, "euler-maruyama": euler_maruyama,
}  # fmt: skip


def grid_of(schedule: Any, steps: int, low: float, high: float) -> NDArray:
    """Levels from ``low`` to ``high`` equally probable under a law of λ: uniform in the time of a path (``path.schedule``), in λ
    (``scipy.stats.uniform``), or as a training density looks. Shape (steps + 1,).
    """
    if steps < 1 or not low < high:
        raise ValueError(f"a grid needs steps >= 1 and low < high, got {steps}, [{low}, {high}]")
    ends = schedule.cdf(np.array([low, high]))
    if not ends[1] > ends[0]:
        raise ValueError(f"the density has no mass between logsnr {low:g} and {high:g}")
    grid = schedule.ppf(np.linspace(ends[0], ends[1], steps + 1))
    grid[0], grid[-1] = low, high
    return grid


def karras_grid(steps: int, low: float, high: float, rho: float = 7.0) -> NDArray:
    """Levels with s^(1/ρ) evenly spaced (Karras et al. 2022, eq. 5), from ``low`` to ``high``; shape (steps + 1,)."""
    if steps < 1 or not low < high:
        raise ValueError(f"a grid needs steps >= 1 and low < high, got {steps}, [{low}, {high}]")
    ends = np.exp(-np.array([low, high]) / (2 * positive(rho, "rho")))
    return -2 * rho * np.log(np.linspace(ends[0], ends[1], steps + 1))


@dataclass(frozen=True)
class Trajectory:
    """What a sampler did: ``logsnr`` (steps + 1,), ``y`` = z/alpha and ``x_hat`` (steps + 1, n, *shape), number of calls."""

    logsnr: NDArray
    y: Tensor
    x_hat: Tensor
    calls: int
    finished: bool = field(default=True)

    @property
    def samples(self) -> Tensor:
        """The last x_hat, shape (n, *shape)."""
        return self.x_hat[-1]


class Stopped(FloatingPointError):
    """The denoiser failed on the way; ``trajectory`` holds the steps before."""

    def __init__(self, message: str, trajectory: Trajectory):
        super().__init__(message)
        self.trajectory = trajectory


def sample(
    model: Any,
    grid: ArrayLike,
    *,
    solver: str | Callable = "heun",
    n: int = 1000,
    shape: tuple[int, ...] | None = None,
    start: Tensor | None = None,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float32,
) -> Trajectory:
    """Sample from a denoiser along a grid of log-SNR.

    Args:
        model: a denoiser (z, logsnr) → x_hat of the variance-preserving frame, or anything with ``denoise`` (a run, a toy).
        grid: increasing levels in nats, noise to data, shape (steps + 1,); the last may be inf.
        solver: one of ``SOLVERS``, or a solver such as ``ddim_eta(0.5)``, ``churn(40, steps)``, ``framed_euler(path)``.
        n, shape: how many points of which shape; ``shape`` defaults to that of the model's ``mean`` if it has one.
        start: z of the variance-preserving frame at grid[0] instead of standard normal draws, (n, *shape).
    Returns:
        The trajectory; its ``samples`` are x_hat at the last level.
    Raises:
        ValueError: for a grid that does not increase, or an unknown solver.
        Stopped: if the denoiser returns NaN or inf; it carries the steps so far.
    """
    levels = np.asarray(grid, dtype=float)
    if levels.ndim != 1 or len(levels) < 2 or not (np.diff(levels) > 0).all() or not np.isfinite(levels[:-1]).all():
        raise ValueError(f"the grid runs from noise to data: at least 2 strictly increasing logsnr; got {levels[:5]} ...")
    if isinstance(solver, str):
        if solver not in SOLVERS:
            raise ValueError(f"unknown solver {solver!r}; one of {', '.join(SOLVERS)}")
        solver = SOLVERS[solver]
    denoise = getattr(model, "denoise", model)
    if start is None:
        shape = shape or (tuple(model.mean.shape) if hasattr(model, "mean") else None)
        if not shape or n < 1:
            raise ValueError("say n >= 1 and the shape of a point, e.g. shape=(2,), or pass start")
        start = torch.randn(n, *shape, generator=generator, dtype=dtype)

    def noise(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=generator, dtype=like.dtype).to(like.device)

    with torch.no_grad():
        calls: _Calls = _Calls(denoise)
        memory: dict[str, Any] = {}
        y = start * math.sqrt(1 + math.exp(-levels[0]))
        ys: list[Tensor] = [y]
        x_hats: list[Any] = []
        try:
            for before, after in pairwise(levels):
                calls.first = None
                y = solver(calls, y, before, after, memory, noise)
                x_hats.append(calls.first)
                ys.append(y)
            count = calls.count  # the last x_hat is read, not stepped from
            x_hats.append(y if math.isinf(levels[-1]) else calls(y, levels[-1]))
        except FloatingPointError as error:
            k = len(x_hats)
            so_far = Trajectory(
                levels[:k],
                torch.stack(ys[:k]) if k else start[None][:0],
                torch.stack(x_hats) if k else start[None][:0],
                0,
                False,
            )
            raise Stopped(f"step {k} of {len(levels) - 1}: {error}", so_far) from error
    return Trajectory(levels, torch.stack(ys), torch.stack(x_hats), count)
