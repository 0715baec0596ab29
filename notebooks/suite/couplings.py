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


def independent(source: Tensor, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Every point of the source (n, *shape) with a random one of x (n, *shape); n pairs (source, x)."""
    if source.shape != x.shape or not len(x):
        raise ValueError(f"source and x are as many points of one shape, got {tuple(source.shape)} and {tuple(x.shape)}")
    return source, x[torch.randperm(len(x), generator=generator, device=x.device)]


def minibatch_ot(source: Tensor, x: Tensor, generator: torch.Generator, batch: int = 128) -> tuple[Tensor, Tensor]:
    """Optimal transport in squared distance within random batches (Tong et al. 2023, arXiv 2302.00482, sec. 3.3.2).

    Found once for all n points, (n, *shape) both, so that training only reads pairs (source, x).
    """
    if batch < 1:
        raise ValueError(f"a batch has at least one point, got {batch}")
    source, x = independent(source, x, generator)
    batches = enumerate(zip(*(one.flatten(1).double().cpu().split(batch) for one in (source, x)), strict=True))
    order = [k * batch + linear_sum_assignment(torch.cdist(one, two) ** 2)[1] for k, (one, two) in batches]
    return source, x[torch.from_numpy(np.concatenate(order)).to(x.device)]


def flow(velocity: Callable, source: Tensor, steps: int, method: str = "rk4") -> tuple[Tensor, Tensor]:
    """The flow from the source (t = 1) to data (t = 0): times (steps + 1,) and z (steps + 1, n, *shape).

    Args:
        velocity: u(z, t) = dz/dt for points z (n, *shape) at a time t (). Train another on (source, z[-1]), and it is reflowed.
        method: "euler", "midpoint", "rk4" of torchdiffeq. Raises FloatingPointError if the velocity returns NaN or inf.
    """
    if steps < 1:
        raise ValueError(f"the flow needs at least one step, got {steps}")
    t = torch.linspace(1, 0, steps + 1, dtype=source.dtype, device=source.device)
    with torch.no_grad():
        z = odeint(lambda t, z: velocity(z, t), source, t, method=method)
    if not torch.isfinite(z).all():
        raise FloatingPointError(f"the flow is not finite from t = {t[~torch.isfinite(z).flatten(1).all(1)][0]:.3g} on")
    return t, z


def transport_cost(source: Tensor, x: Tensor) -> float:
    """Mean squared distance of pairs (n, *shape)."""
    return (source - x).flatten(1).square().sum(1).mean().item()


def straightness(t: ArrayLike | Tensor, z: Tensor) -> float:
    """S = mean of ∫‖dz/dt − (z₁ − z₀)‖² dt over trajectories z (steps + 1, n, *shape) at times t (steps + 1,); 0 if straight.

    (Liu et al. 2022, arXiv 2209.03003, eq. 4.) A mean over the times given. N(0, 1) → N(0, c), independent: √c (2 − π/2).
    """
    dt, dz = torch.as_tensor(np.diff(np.asarray(t, dtype=float))), z.detach().double().cpu().flatten(2).diff(dim=0)
    if (dt * dt.sum() <= 0).any():
        raise ValueError(f"times must rise or fall at every step, got {t!r}")
    off = (dz / dt[:, None, None] - dz.sum(0) / dt.sum()).square().sum(-1).mean(1)
    return float((off * dt).sum() / dt.sum())


def path_ratio(z: Tensor) -> float:
    """Mean length of trajectories z (steps + 1, n, *shape) over the mean distance of their ends; 1 if straight."""
    dz = z.detach().double().cpu().flatten(2).diff(dim=0)
    return float(dz.norm(dim=-1).sum(0).mean() / dz.sum(0).norm(dim=-1).mean())


def crossings(source: Tensor, x: Tensor) -> float:
    """Share of couples of pairs (n, *shape) that swapping partners would bring closer, (s_i − s_j)·(x_i − x_j) < 0.

    On a line these are the ones whose straight paths cross. About ½ at random, 0 for optimal transport (cyclical monotonicity).
    """
    mixed = source.double().flatten(1) @ x.double().flatten(1).T  # s_i · x_j
    own = mixed.diagonal()
    swapped = own[:, None] + own - mixed - mixed.T < 0  # never i with itself
    return float(swapped.double().mean() * len(x) / (len(x) - 1))
