"""Flow maps: the exact one of a mixture of Gaussians, and a network of two times.

On the linear path the flow is dz/dt = u*(z, t) = (z − x_hat)/t. Its map carries z from t to r, and

    z_r = z_t − (t − r) u(z_t, r, t)

defines the average velocity u that a few-step network learns. For one Gaussian the map is affine:
(z − mean)/std is kept.
"""

import math
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import cast

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn import functional as F

from diffviz import checks
from diffviz.compute import threads
from diffviz.protocols import Denoiser
from diffviz.sampling.likelihood import denoised
from diffviz.sampling.odes import odeint

FREQUENCIES = (1.0, 2.0, 4.0)  # of the features of the times, in half turns
CLEANEST = 1e-4  # the least t to which an exact map goes: nearer to 0 its slope is 0/0


@torch.no_grad()
def exact_map(
    denoiser: Denoiser, z: Tensor, t: float, r: float, tolerance: float = 1e-11
) -> Tensor:
    """Carry states along the exact flow, by a solver that chooses its steps.

    Args:
        denoiser: E[x|z] for variance-preserving z, such as a toy; exact where the map is to be.
        z: States of the linear path at t, float64, shape (n, *shape).
        t: Time where they are, in (0, 1).
        r: Time to which they go, in [1e-4, t].
        tolerance: Relative and absolute tolerance of the solver, from 1e-15 to 0.1.

    Returns:
        States at r, like z.

    Raises:
        TypeError: z is no tensor, or a time no number.
        ValueError: The times are out of range or out of order, the tolerance is out of range, z is
            not float64, or the denoiser returns NaN, infinity or another shape than that of z.

    Example:
        >>> z = torch.tensor([[1.0]], dtype=torch.float64)
        >>> float(exact_map(dv.toy("gaussian"), z, 0.5, 0.25)) / math.hypot(0.25, 0.75)
        1.4142135...
    """
    start = checks.number(t, "t", CLEANEST, 1 - CLEANEST)
    end = checks.number(r, "r", CLEANEST, start)
    checks.able(denoiser, "denoiser", ("denoise",), "a denoiser such as dv.toy('ring8')")
    checks.number(tolerance, "tolerance", 1e-15, 0.1)
    checks.require(isinstance(z, Tensor), f"z must be a tensor, got {type(z).__name__}", TypeError)
    checks.require(z.dtype == torch.float64, f"z must be float64 for an exact map, got {z.dtype}")
    checks.tensor(z, "z")
    if end == start:
        return z
    with threads.suited(threads.denoising(denoiser, len(z)), z.device):
        levels = z.new_tensor([_level(start), _level(end)])
        path = odeint(
            partial(_slope, denoiser),
            z / _scale(start),
            levels,
            rtol=tolerance,
            atol=tolerance,
            method="dopri8",
            options={"step_t": levels[1:]},  # else the end is interpolated, to 1e-7 only
        )
    return cast(Tensor, path[-1] * _scale(end))


def _slope(denoiser: Denoiser, level: Tensor, z: Tensor) -> Tensor:
    """Slope of the flow over λ for variance-preserving z: ½ alpha (x_hat − alpha z).

    λ has no end, so that a solver may look beyond the last one.
    """
    alpha = level.sigmoid().sqrt()
    x_hat = denoised(denoiser, z, level.expand(len(z)))
    return alpha / 2 * (x_hat - alpha * z)


def _level(t: float) -> float:
    """λ of a time of the linear path."""
    return 2 * (math.log1p(-t) - math.log(t))


def _scale(t: float) -> float:
    """Size of z of the linear path, where that of the variance-preserving z is 1."""
    return math.hypot(1 - t, t)


# --- parts of networks ----------------------------------------------------------------------------


def features(z: Tensor, r: Tensor, t: Tensor) -> Tensor:
    """What a network sees: z, the times t and t − r, and their sines and cosines.

    Args:
        z: States at t, shape (..., n, dim).
        r: Times to which they go, shape (..., n).
        t: Times where they are, shape (..., n).

    Returns:
        Features, shape (..., n, dim + 14).
    """
    times = torch.stack([t, t - r], -1)
    waves = [math.pi * each * times for each in FREQUENCIES]
    sines = (wave.sin() for wave in waves)
    cosines = (wave.cos() for wave in waves)
    return torch.cat([z, times, *sines, *cosines], -1)


def features_along(r: Tensor, t: Tensor, direction: Tensor) -> Tensor:
    """Derivative of the features along (direction, 0, 1), where t and t − r grow alike.

    Args:
        r: Times to which states go, shape (..., n).
        t: Times where they are, shape (..., n).
        direction: Derivative of z, shape (..., n, dim).

    Returns:
        Derivatives, shape (..., n, dim + 14).
    """
    times = torch.stack([t, t - r], -1)
    rates = [math.pi * each for each in FREQUENCIES]
    sines = (rate * (rate * times).cos() for rate in rates)
    cosines = (-rate * (rate * times).sin() for rate in rates)
    return torch.cat([direction, torch.ones_like(times), *sines, *cosines], -1)


def perceptron_along(
    layers: Sequence[tuple[Tensor, Tensor]], x: Tensor, slope: Tensor
) -> tuple[Tensor, Tensor]:
    """Output of a perceptron with SiLU, and its derivative along a direction, layer by layer.

    Forward differentiation gives the same, and takes several times as long: where only one factor
    of a product has a derivative, it asks Python for the shape of the other one's.

    Args:
        layers: Weights (..., i, o) and biases that are added to (..., n, o).
        x: Inputs, shape (..., n, i).
        slope: Their derivative, the same shape.

    Returns:
        The output, and its derivative without a gradient, each (..., n, o).
    """
    *hidden, (last, shift) = layers
    for weight, bias in hidden:
        h = x @ weight + bias
        with torch.no_grad():
            gate = h.sigmoid()
            bend = torch.sub(1, gate).mul_(h).add_(1)
            slope = (slope @ weight).mul_(gate).mul_(bend)
        x = F.silu(h)
    with torch.no_grad():
        slope = slope @ last
    return x @ last + shift, slope


# --- networks -------------------------------------------------------------------------------------


class FlowMap(nn.Module):
    """u(z, r, t) by a perceptron on z, t and t − r with their sines and cosines.

    The output layer starts at 0, so that the first map leaves states where they are.

    Args:
        dim: Number of components of z.
        width: Units of each of three hidden layers.
        seed: Seed of the weights.

    Raises:
        TypeError: A size or the seed is no whole number.
        ValueError: A size is below 1, or the seed below 0.
    """

    def __init__(self, dim: int, width: int = 128, seed: int = 0) -> None:
        """Draw the weights without touching torch's global generator."""
        super().__init__()
        self.dim = dim = checks.count(dim, "dim")
        self.width = width = checks.count(width, "width")
        generator = torch.Generator().manual_seed(checks.seed(seed))
        times = 2 * (1 + 2 * len(FREQUENCIES))
        sizes = [dim + times, width, width, width]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(sizes):
            layers += [_linear(inputs, outputs, generator), nn.SiLU()]
        last = nn.utils.skip_init(nn.Linear, width, dim)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.net = nn.Sequential(*layers, last)

    def forward(self, z: Tensor, r: Tensor, t: Tensor) -> Tensor:
        """The average velocity.

        Args:
            z: States at t, shape (n, dim).
            r: Times to which they go, shape (n,).
            t: Times where they are, shape (n,).

        Returns:
            u, shape (n, dim).
        """
        return cast(Tensor, self.net(features(z, r, t)))

    def along(self, z: Tensor, r: Tensor, t: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
        """The average velocity, and its derivative along a path of states and times t.

        Args:
            z: States at t, shape (n, dim).
            r: Times to which they go, shape (n,).
            t: Times where they are, shape (n,).
            direction: Derivative of z by t, shape (n, dim).

        Returns:
            u, and its derivative along (direction, 0, 1) without a gradient, each (n, dim).
        """
        layers = [(part.weight.mT, part.bias) for part in self.net if isinstance(part, nn.Linear)]
        return perceptron_along(layers, features(z, r, t), features_along(r, t, direction))

    def multiply_adds(self, n: int) -> int:
        """Multiply-adds of the largest layer on n points."""
        return checks.count(n, "n", least=0) * self.width**2

    def carry(self, z: Tensor, times: ArrayLike) -> Tensor:
        """Carry states along a grid of times, one step each.

        Args:
            z: States at the first time, shape (n, dim).
            times: Decreasing times in [0, 1], shape (steps + 1,).

        Returns:
            States at the last time, like z.

        Raises:
            ValueError: The times do not decrease within [0, 1].
        """
        grid = _decreasing(times)
        checks.instance(z, "z", Tensor, "a tensor of shape (n, dim)")
        checks.require(
            z.ndim == 2 and z.shape[1] == self.dim,
            f"z must have shape (n, {self.dim}), got {tuple(z.shape)}",
        )
        checks.tensor(z, "z")
        moved = z.to(next(self.parameters()).dtype)
        with torch.no_grad(), threads.suited(self.multiply_adds(len(z)), z.device):
            for t, r in pairwise(grid):
                ends = (moved.new_full((len(z),), each) for each in (r, t))
                moved = moved - (t - r) * self(moved, *ends)
        return moved.to(z.dtype)


def _decreasing(times: ArrayLike) -> list[float]:
    """Times as a list; a ValueError unless they decrease within [0, 1]."""
    grid = checks.finite(times, "times").ravel().tolist()
    ordered = all(after < before for before, after in pairwise(grid))
    checks.require(
        len(grid) > 1 and ordered and grid[-1] >= 0 and grid[0] <= 1,
        f"times must decrease within [0, 1], got {grid}",
    )
    return grid


def _linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """A linear layer with He's normal weights and biases of 0, drawn by a generator."""
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs)
    nn.init.normal_(layer.weight, 0, (2 / inputs) ** 0.5, generator)
    nn.init.zeros_(layer.bias)
    return layer
