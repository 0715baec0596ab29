"""The loss of a denoiser by quadrature over log-SNR, with the same noise at each call."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from diffviz.theory.frames import VP
from diffviz.theory.objectives import Objective


@torch.no_grad()
def validation_loss(
    denoise: Callable, x: Tensor, objective: Objective, levels: int = 32, seed: int = 0
):
    """An objective's loss by Gauss–Legendre quadrature over its law of λ, with the same noise and levels at each call.

    Args:
        denoise: x_hat from (z, logsnr), z variance-preserving and like x, (n, *shape), logsnr (n,); x: data, floating point.
    Returns the loss, its standard error over the data, and each sample's loss, (n,): two runs compare by their differences.
    """
    generator, each = (
        torch.Generator().manual_seed(seed),
        torch.zeros(len(x), dtype=torch.float64, device=x.device),
    )
    nodes, shares = np.polynomial.legendre.leggauss(levels)
    logsnr = objective.law.ppf((1 + nodes) / 2)
    for at, share in zip(
        logsnr, shares / 2 * objective.factor(logsnr) * np.exp(logsnr), strict=True
    ):
        noise = torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x)
        x_hat = denoise(
            float(VP.alpha(at)) * x + float(VP.sigma(at)) * noise, torch.full((len(x),), at).to(x)
        )
        each += share * (x_hat - x).double().flatten(1).square().sum(1)
    if len(x) < 2 or not each.isfinite().all():
        raise ValueError(
            f"a validation loss needs two or more samples with finite losses, got {each}"
        )
    return each.mean(), each.std() / len(each) ** 0.5, each
