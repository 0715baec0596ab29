"""The errors of somebody's network, which must return x_hat.

What a network returns is often eps_hat or v_hat instead, in the same shape. This is
refused where the errors tell: at high log-SNR it is far from x, and nowhere far from its target.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffviz import checks
from diffviz.learning.floors.parts import Parts
from diffviz.sampling.calls import answer
from diffviz.theory.frames import VP

BATCH = 256  # points that a network denoises at once
WRONG = 10.0  # times the error of z/alpha, from which x_hat is doubted at the highest level
NEAR = 0.5  # error as a share of a target, up to which much of the target is returned
FAR = 1.3  # the same, from which something else is returned; an output of 0 has 1
ENOUGH = 32  # points from which it is told which target is returned
COARSE = 0.1  # of the noise over alpha, from which rounding of the points counts
BACK = {  # how a target becomes x_hat
    "eps": "(z - sigma * eps_hat) / alpha",
    "v": "alpha * z - sigma * v_hat",
}

Denoise = Callable[[Tensor, Tensor], Tensor]


def network_errors(
    denoise: Denoise, parts: Parts, logsnr: NDArray, x: Tensor, eps: Tensor
) -> Tensor:
    """Squared eps errors of a network.

    Args:
        denoise: x_hat of variance-preserving z and λ (n,).
        parts: Where the points come from.
        logsnr: λ in nats, shape (levels,).
        x: Points around the centre, shape (q, d).
        eps: Their noise, shape (q, d).

    Returns:
        The errors, shape (levels, q).

    Raises:
        ValueError: The network returns another shape or target, or what is not finite; or float32,
            in which it is asked, rounds the points by more than little of the noise.
    """
    clean = (x + parts.centre).reshape(-1, *parts.shape).float()
    _check_rounding(clean, float(logsnr[-1]))
    noise = eps.reshape(clean.shape).float()
    errors = []
    shares = []
    for level in logsnr:
        alpha, sigma = float(VP.alpha(level)), float(VP.sigma(level))
        noisy = (alpha * clean + sigma * noise).split(BATCH)
        x_hat = torch.cat([_denoised(denoise, z, level) for z in noisy])
        if not x_hat.isfinite().all():
            raise ValueError(f"denoiser returns NaN or infinity at logsnr {level:g}")
        errors.append((clean - x_hat).flatten(1).square().sum(1) * float(np.exp(level)))
        targets = noise, alpha * noise - sigma * clean
        shares.append([_share(x_hat, target) for target in targets])
    found = torch.stack(errors)
    if len(x) >= ENOUGH and found[-1].mean() > WRONG * x.shape[1]:
        _check_target(np.array(shares))
    return found


def _check_rounding(clean: Tensor, level: float) -> None:
    """Refuse points that float32 rounds by a part of the noise that counts at the highest level."""
    largest = float(clean.abs().max())
    rounding = torch.finfo(torch.float32).eps / 2 * largest
    noise = math.exp(-level / 2)  # sigma/alpha
    checks.require(
        rounding <= COARSE * noise,
        f"the points reach {largest:g}, which float32 rounds by {rounding:.2g}, and the noise at "
        f"logsnr {level:g} is {noise:.2g}; train and try the denoiser on data without their mean, "
        "or give lower levels",
    )


def _denoised(denoise: Denoise, z: Tensor, level: float) -> Tensor:
    """What a network returns for z at a level, in float64."""
    levels = torch.full((len(z),), level, dtype=z.dtype, device=z.device)
    x_hat = checks.returned_tensor(answer(denoise, z, levels), "denoiser")
    checks.require(
        x_hat.shape == z.shape,
        f"denoiser must return the shape of z, {tuple(z.shape)}, got {tuple(x_hat.shape)}",
    )
    return x_hat.double()


def _share(output: Tensor, target: Tensor) -> float:
    """Squared error of an output as a share of the squared target, 1 for an output of 0."""
    exact = target.double()
    whole = exact.square().sum()
    return float((output - exact).square().sum() / whole) if whole > 0 else 1.0


def _check_target(shares: NDArray) -> None:
    """Refuse what is near to another target than x.

    Args:
        shares: Error as a share of eps and of v by level, shape (levels, 2).
    """
    meant = int(shares.mean(0).argmin())
    share = shares[:, meant]
    if share.max() < FAR and share.min() < NEAR:
        name, formula = tuple(BACK.items())[meant]
        raise ValueError(
            f"denoiser must return x_hat, but what it returns is near to {name}; let it return "
            f"{formula} with sigma**2 = sigmoid(-logsnr) and alpha**2 = sigmoid(logsnr)"
        )
