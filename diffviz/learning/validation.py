"""The loss of a denoiser by quadrature over log-SNR, with the same noise at each call."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from diffviz import checks
from diffviz.compute import threads
from diffviz.protocols import Law
from diffviz.sampling.calls import answer
from diffviz.theory.atoms import atomic, quantiles
from diffviz.theory.frames import VP
from diffviz.theory.objectives import Objective


class ValidationLoss(NamedTuple):
    """A validation loss.

    Args:
        loss: Mean over the data, a scalar.
        stderr: Its standard error over the data, a scalar.
        each: Loss of each sample, shape (n,). Two runs are compared by their differences.
    """

    loss: Tensor
    stderr: Tensor
    each: Tensor


@torch.no_grad()
def validation_loss(
    denoise: Callable[[Tensor, Tensor], Tensor],
    x: Tensor | ArrayLike,
    objective: Objective,
    levels: int = 32,
    seed: int = 0,
) -> ValidationLoss:
    """An objective's loss by Gauss–Legendre quadrature over its law of λ.

    Noise and levels are the same at each call. Of an objective on a table the levels are those of
    the table: all of them where there are at most ``levels``, and else the quantiles among them.

    Args:
        denoise: x_hat from (z, logsnr), with variance-preserving z like x and logsnr (n,) in nats.
            A network in another type than x is called in its own (``sampling.calls``).
        x: Data, shape (n, *shape) with n of at least 2. Integers become float.
        objective: The objective, with its law of λ and its factor.
        levels: Number of levels of λ.
        seed: Seed of the noise.

    Returns:
        The loss, its standard error and each sample's loss.

    Raises:
        TypeError: An argument is of the wrong kind.
        ValueError: There are fewer than two samples, one of them or its loss is not finite, or
            the denoiser returns another shape.
    """
    checks.require(callable(denoise), f"denoise must be callable, got {denoise!r}", TypeError)
    checks.require(
        isinstance(objective, Objective),
        f"objective must be an Objective such as dv.objective('fm-ot'), got {objective!r}",
        TypeError,
    )
    data = checks.tensor(x, "x")
    count = checks.count(levels, "levels")
    generator = torch.Generator().manual_seed(checks.seed(seed))
    if data.ndim < 2 or len(data) < 2:
        raise ValueError(f"x must hold two or more samples (n, *shape), got {tuple(data.shape)}")
    with threads.suited(threads.denoising(denoise, len(data)), data.device):
        return _quadrature(denoise, data, objective, count, generator)


def _nodes(law: Law, count: int) -> tuple[NDArray, NDArray]:
    """Levels of the quadrature and their shares, both of shape (k,)."""
    table = atomic(law)
    if table is not None and len(table.levels) <= count:
        return table.levels, table.mass
    nodes, shares = np.polynomial.legendre.leggauss(count)
    return quantiles(law, (1 + nodes) / 2), shares / 2


def _quadrature(
    denoise: Callable[[Tensor, Tensor], Tensor],
    data: Tensor,
    objective: Objective,
    count: int,
    generator: torch.Generator,
) -> ValidationLoss:
    """The loss with ``count`` levels, for data that are checked."""
    logsnr, shares = _nodes(objective.law, count)
    weights = shares * objective.factor(logsnr) * np.exp(logsnr)
    each = torch.zeros(len(data), dtype=torch.float64, device=data.device)
    for level, weight in zip(logsnr, weights, strict=True):
        noise = torch.randn(data.shape, generator=generator, dtype=data.dtype).to(data)
        z = float(VP.alpha(level)) * data + float(VP.sigma(level)) * noise
        levels = torch.full((len(data),), level).to(data)
        x_hat = checks.returned_tensor(answer(denoise, z, levels), "denoise")
        if x_hat.shape != data.shape:
            raise ValueError(
                f"denoise must return the shape of z, {tuple(data.shape)}, got {tuple(x_hat.shape)}"
            )
        each += weight * (x_hat - data).double().flatten(1).square().sum(1)
    if not each.isfinite().all():
        raise ValueError(f"a validation loss needs samples with finite losses, got {each}")
    return ValidationLoss(each.mean(), each.std() / len(each) ** 0.5, each)
