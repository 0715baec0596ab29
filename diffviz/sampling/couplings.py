"""Couplings for flow matching: which point of a source goes with which point of the data, and how straight the flow gets.

On the linear path z_t = (1 − t) x + t source, t = 0 being data, the flow is the mean velocity E[source − x | z_t]. Every conditional
path is straight; the paths of the flow are straight only if those of the pairs never cross. Any source will do. But with one that is
not Gaussian z_t is no Gaussian channel: the log-SNR, w(λ), the ELBO and the mmse identities do not apply to it; what is here does.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torchdiffeq import odeint

from diffviz.checks import finite


def check_pairs(source: Tensor, x: Tensor, least: int = 1) -> None:
    """Refuses with a ValueError what are no pairs: of different shapes, fewer than ``least``, or not finite."""
    if source.shape != x.shape or source.ndim < 2 or len(x) < least:
        shapes = f"{tuple(source.shape)} and {tuple(x.shape)}"
        raise ValueError(
            f"source and x are as many points of one shape, (n, *shape) with n >= {least}, got {shapes}"
        )
    if not (source.isfinite().all() and x.isfinite().all()):
        raise ValueError("source and x must be finite; drop points with NaN or inf first")


def _walk(z: Tensor) -> Tensor:
    """Steps of trajectories z (steps + 1, n, *shape), (steps, n, d)."""
    if z.ndim < 3 or len(z) < 2 or not z.isfinite().all():
        raise ValueError(
            f"trajectories are finite, (steps + 1, n, *shape) with at least one step, got {tuple(z.shape)}"
        )
    return z.detach().double().cpu().flatten(2).diff(dim=0)


def independent(source: Tensor, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Every point of the source (n, *shape) with a random one of x (n, *shape); n pairs (source, x)."""
    check_pairs(source, x)
    return source, x[torch.randperm(len(x), generator=generator, device=x.device)]


def minibatch_ot(
    source: Tensor, x: Tensor, generator: torch.Generator, batch: int = 128
) -> tuple[Tensor, Tensor]:
    """Optimal transport in squared distance within random batches (Tong et al. 2023, arXiv 2302.00482, sec. 3.3.2).

    Found once for all n points, (n, *shape) both, so that training only reads pairs (source, x).
    """
    if batch < 1:
        raise ValueError(f"a batch has at least one point, got {batch}")
    source, x = independent(source, x, generator)
    batches = enumerate(
        zip(*(one.flatten(1).double().cpu().split(batch) for one in (source, x)), strict=True)
    )
    order = [
        k * batch + linear_sum_assignment(torch.cdist(one, two) ** 2)[1]
        for k, (one, two) in batches
    ]
    return source, x[torch.from_numpy(np.concatenate(order)).to(x.device)]


def flow(
    velocity: Callable, source: Tensor, steps: int, method: str = "rk4"
) -> tuple[Tensor, Tensor]:
    """The flow from the source (t = 1) to data (t = 0): times (steps + 1,) and z (steps + 1, n, *shape).

    Args:
        velocity: u(z, t) = dz/dt for points z (n, *shape) at a time t (). Train another on (source, z[-1]), and it is reflowed.
        method: "euler", "midpoint", "rk4" of torchdiffeq.
    Raises ValueError for steps < 1, a source that is not finite or not floating, a velocity of another shape than z;
    FloatingPointError if the velocity returns NaN or inf.
    """
    check_pairs(source, source)
    if steps < 1 or not source.is_floating_point():
        raise ValueError(
            f"the flow needs at least one step and floating points, got {steps}, {source.dtype}"
        )
    t = torch.linspace(1, 0, steps + 1, dtype=source.dtype, device=source.device)

    def slope(t, z):
        u = velocity(z, t)
        if u.shape != z.shape:  # else it would be spread over all points
            raise ValueError(f"the velocity must be like z, {tuple(z.shape)}, got {tuple(u.shape)}")
        return u

    with torch.no_grad():
        z = odeint(slope, source, t, method=method)
    if not torch.isfinite(z).all():
        raise FloatingPointError(
            f"the flow is not finite from t = {t[~torch.isfinite(z).flatten(1).all(1)][0]:.3g} on"
        )
    return t, z


def transport_cost(source: Tensor, x: Tensor) -> float:
    """Mean squared distance of pairs (n, *shape)."""
    check_pairs(source, x)
    return (source - x).flatten(1).square().sum(1).mean().item()


def straightness(t: ArrayLike | Tensor, z: Tensor) -> float:
    """S = mean of ∫‖dz/dt − (z₁ − z₀)‖² dt over trajectories z (steps + 1, n, *shape) at times t (steps + 1,); 0 if straight.

    (Liu et al. 2022, arXiv 2209.03003, eq. 4.) A mean over the times given. N(0, 1) → N(0, c), independent: √c (2 − π/2).
    """
    dt, dz = torch.as_tensor(np.diff(finite(t, "times"))), _walk(z)
    if len(dt) != len(dz) or (dt * dt.sum() <= 0).any():
        raise ValueError(
            f"times, one for each of the {len(z)} places, must rise or fall at every step, got {t!r}"
        )
    off = (dz / dt[:, None, None] - dz.sum(0) / dt.sum()).square().sum(-1).mean(1)
    return float((off * dt).sum() / dt.sum())


def path_ratio(z: Tensor) -> float:
    """Mean length of trajectories z (steps + 1, n, *shape) over the mean distance of their ends; 1 if straight."""
    dz = _walk(z)
    if not dz.any():
        raise ValueError("no trajectory moves: their length over their distance is 0/0")
    return float(dz.norm(dim=-1).sum(0).mean() / dz.sum(0).norm(dim=-1).mean())


def crossings(source: Tensor, x: Tensor) -> float:
    """Share of couples of pairs (n, *shape) that swapping partners would bring closer, (s_i − s_j)·(x_i − x_j) < 0.

    On a line these are the ones whose straight paths cross. About ½ at random, 0 for optimal transport (cyclical monotonicity).
    """
    check_pairs(source, x, least=2)
    mixed = source.double().flatten(1) @ x.double().flatten(1).T  # s_i · x_j
    own = mixed.diagonal()
    swapped = own[:, None] + own - mixed - mixed.T < 0  # never i with itself
    return float(swapped.double().mean() * len(x) / (len(x) - 1))
