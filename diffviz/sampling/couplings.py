"""Couplings for flow matching: which point of a source goes with which point of the data.

On the linear path z_t = (1 − t) x + t source, t = 0 being data, the flow is the mean velocity
E[source − x | z_t]. The path of every pair is straight; the paths of the flow are straight only if
those of the pairs never cross. Any source will do. But with one that is not Gaussian z_t is no
Gaussian channel: the log-SNR, w(λ), the ELBO and the mmse identities do not apply to it; what is
here does.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from diffviz.checks import (
    count,
    finite,
    function,
    one_of,
    require,
    returned_tensor,
    tensor,
    torch_generator,
)
from diffviz.compute import threads
from diffviz.sampling.draws import drawn
from diffviz.sampling.odes import odeint

METHODS = ("euler", "midpoint", "rk4")

Velocity = Callable[[Tensor, Tensor], Tensor]


# --- which point goes with which ----------------------------------------------------------------


def check_pairs(
    source: Tensor | ArrayLike, x: Tensor | ArrayLike, least: int = 1
) -> tuple[Tensor, Tensor]:
    """Pairs as finite floating tensors.

    Args:
        source: Points of the source, shape (n, *shape).
        x: Points of the data, shape (n, *shape).
        least: Smallest number of pairs.

    Returns:
        Both as tensors; integers are made float.

    Raises:
        TypeError: A value is no real number.
        ValueError: The shapes differ, there are fewer pairs than ``least``, or a value is NaN or
            infinite.
    """
    first = tensor(source, "source")
    second = tensor(x, "x")
    least = count(least, "least", least=0)
    if first.shape != second.shape or first.ndim < 2 or len(second) < least:
        raise ValueError(
            f"source and x are as many points of one shape, (n, *shape) with n >= {least}, "
            f"got {tuple(first.shape)} and {tuple(second.shape)}"
        )
    return first, second


@threads.decided_by(threads.elements)
def independent(source: Tensor, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Every point of the source with a random one of the data.

    Args:
        source: Points of the source, shape (n, *shape).
        x: Points of the data, shape (n, *shape).
        generator: Source of the randomness.

    Returns:
        n pairs: the source as it is, and the data in a random order.

    Raises:
        TypeError: An argument is of the wrong kind.
        ValueError: The shapes do not fit, or a value is not finite.
    """
    source, x = check_pairs(source, x)
    torch_generator(generator)
    return source, x[drawn(torch.randperm, len(x), generator=generator, device=x.device)]


@threads.decided_by(threads.elements)
def minibatch_ot(
    source: Tensor, x: Tensor, generator: torch.Generator, batch: int = 128
) -> tuple[Tensor, Tensor]:
    """Optimal transport in squared distance within random batches.

    It is found once for all n points, so that training only reads pairs. Source: Tong et al. 2023
    (arXiv 2302.00482), sec. 3.3.2.

    Args:
        source: Points of the source, shape (n, *shape).
        x: Points of the data, shape (n, *shape).
        generator: Source of the batches.
        batch: Number of points in a batch; the last one may be smaller.

    Returns:
        n pairs: the source as it is, and the data in the order that goes with it.

    Raises:
        TypeError: An argument is of the wrong kind.
        ValueError: The shapes do not fit, a value is not finite, or ``batch`` is below 1.
    """
    size = count(batch, "batch")
    source, x = independent(source, x, generator)
    sources = source.flatten(1).double().cpu().split(size)
    targets = x.flatten(1).double().cpu().split(size)
    order = [
        k * size + linear_sum_assignment(_squared_distances(one, other))[1]
        for k, (one, other) in enumerate(zip(sources, targets, strict=True))
    ]
    return source, x[torch.from_numpy(np.concatenate(order)).to(x.device)]


def _squared_distances(source: Tensor, x: Tensor) -> Tensor:
    """‖s_i − x_j‖² by the direct formula, (n, m): products lose the digits of points far from 0."""
    return torch.cdist(source, x, compute_mode="donot_use_mm_for_euclid_dist") ** 2


def flow(
    velocity: Velocity, source: Tensor, steps: int, method: str = "rk4"
) -> tuple[Tensor, Tensor]:
    """The flow from the source (t = 1) to data (t = 0).

    Another velocity that is trained on the pairs (source, z[-1]) is that of the reflow.

    Args:
        velocity: u(z, t) = dz/dt for points z (n, *shape) at a time t ().
        source: Points at t = 1, shape (n, *shape); integers are made float.
        steps: Number of steps, from 1.
        method: "euler", "midpoint" or "rk4".

    Returns:
        Times from 1 to 0, shape (steps + 1,), and z there, shape (steps + 1, n, *shape).

    Raises:
        TypeError: ``steps`` is no whole number, or the source holds no real numbers.
        ValueError: ``steps`` is below 1, the source is not finite, the method is unknown, or the
            velocity has another shape than z.
        FloatingPointError: The velocity returns NaN or infinity.
    """
    function(velocity, "velocity")
    source, _ = check_pairs(source, source)
    size = count(steps, "steps")
    one_of(method, "method", METHODS)
    t = torch.linspace(1, 0, size + 1, dtype=source.dtype, device=source.device)

    def slope(time: Tensor, z: Tensor) -> Tensor:
        u = returned_tensor(velocity(z, time), "the velocity")
        if u.shape != z.shape:  # else it would be spread over all points
            raise ValueError(f"the velocity must be like z, {tuple(z.shape)}, got {tuple(u.shape)}")
        return u

    work = threads.denoising(velocity, len(source))
    with threads.suited(work, source.device), torch.no_grad():
        z = odeint(slope, source, t, method=method)
    is_finite = torch.isfinite(z).flatten(1).all(1)
    if not is_finite.all():
        raise FloatingPointError(f"the flow is not finite from t = {t[~is_finite][0]:.3g} on")
    return t, z


# --- how straight, how far, how crossed ---------------------------------------------------------


@threads.decided_by(threads.elements)
def transport_cost(source: Tensor, x: Tensor) -> float:
    """Mean squared distance of pairs.

    Args:
        source: Points of the source, shape (n, *shape).
        x: The point of the data that goes with each, shape (n, *shape).

    Returns:
        The mean of ‖source − x‖².

    Raises:
        TypeError: A value is no real number.
        ValueError: The shapes do not fit, or a value is not finite.
    """
    source, x = check_pairs(source, x)
    return (source.double() - x.double()).flatten(1).square().sum(1).mean().item()


@threads.decided_by(threads.elements)
def straightness(t: ArrayLike | Tensor, z: Tensor) -> float:
    """How far trajectories are from straight lines at even speed; 0 if they are.

    S is the mean of ∫‖dz/dt − (z₁ − z₀)‖² dt (Liu et al. 2022, arXiv 2209.03003, eq. 4), a mean
    over the times given. From N(0, 1) to N(0, c), paired independently, it is √c (2 − π/2).

    Args:
        t: Times that rise or fall, shape (steps + 1,).
        z: Trajectories at these times, shape (steps + 1, n, *shape).

    Returns:
        S.

    Raises:
        TypeError: A value is no real number.
        ValueError: The times do not fit or turn round, or a value is not finite.
    """
    dt = torch.from_numpy(np.diff(np.atleast_1d(finite(t, "times")), axis=0))
    dz = step_vectors(z)
    if dt.shape != dz.shape[:1] or (dt * dt.sum() <= 0).any():
        raise ValueError(
            f"times, one for each of the {len(dz) + 1} places of z, must rise or fall at every "
            f"step, got {t!r}"
        )
    velocity = dz / dt[:, None, None]
    mean_velocity = dz.sum(0) / dt.sum()
    off = (velocity - mean_velocity).square().sum(-1).mean(1)
    return float((off * dt).sum() / dt.sum())


@threads.decided_by(threads.elements)
def path_ratio(z: Tensor) -> float:
    """Mean length of trajectories over the mean distance of their ends; 1 if straight.

    Args:
        z: Trajectories, shape (steps + 1, n, *shape).

    Returns:
        The ratio.

    Raises:
        TypeError: A value is no real number.
        ValueError: A value is not finite, there is no step, or no trajectory moves.
    """
    dz = step_vectors(z)
    require(dz.any(), "z: no trajectory moves, their length over their distance is 0/0")
    return float(dz.norm(dim=-1).sum(0).mean() / dz.sum(0).norm(dim=-1).mean())


def crossings(source: Tensor, x: Tensor) -> float:
    """Share of couples of pairs that swapping partners would bring closer.

    These are the couples with (s_i − s_j)·(x_i − x_j) < 0; on a line, those whose straight paths
    cross. It is about ½ for random pairs and 0 for optimal transport (cyclical monotonicity).

    Args:
        source: Points of the source, shape (n, *shape), with n of at least 2.
        x: The point of the data that goes with each, shape (n, *shape).

    Returns:
        The share, in [0, 1].

    Raises:
        TypeError: A value is no real number.
        ValueError: The shapes do not fit, there are fewer than two pairs, or a value is not finite.
    """
    source, x = check_pairs(source, x, least=2)
    with threads.suited(len(x) ** 2 * max(x[0].numel(), threads.ELEMENT), x.device):
        return _crossed_share(source, x)


def _crossed_share(source: Tensor, x: Tensor) -> float:
    """``crossings`` of pairs that are checked."""
    sources, points = (
        part - part.mean(0) for part in (source.double().flatten(1), x.double().flatten(1))
    )  # far from 0 products would lose their digits
    products = sources @ points.T  # s_i · x_j
    own = products.diagonal()
    crossed = own[:, None] + own - products - products.T < 0  # never i with itself
    return float(crossed.double().mean() * len(x) / (len(x) - 1))


def step_vectors(z: Tensor) -> Tensor:
    """Steps z_{k+1} − z_k of trajectories (steps + 1, n, *shape), (steps, n, d) in float64."""
    trajectory = tensor(z, "trajectories")
    require(
        trajectory.ndim >= 3 and len(trajectory) >= 2,
        "z must hold trajectories (steps + 1, n, *shape) with at least one step, "
        f"got {tuple(trajectory.shape)}",
    )
    return trajectory.double().cpu().flatten(2).diff(dim=0)
