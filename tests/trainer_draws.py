"""What trainers draw, written anew from their own steps, against the objectives of their settings.

A trainer's step is a function of uniform numbers. On an even grid of these it gives the levels
that are trained, each with its factor on the eps squared error, without any randomness.
"""

from dataclasses import dataclass

import numpy as np

CENTRES = np.linspace(-9, 9, 13)  # of bumps over λ


@dataclass(frozen=True)
class Draws:
    """Levels that a trainer draws, all with the same probability.

    Args:
        logsnr: λ in nats, ±inf where there is no signal or no noise, shape (n,).
        factor: Factor on the eps squared error, up to a constant, shape (n,).
    """

    logsnr: np.ndarray
    factor: np.ndarray


def grid(n=100_000):
    """An even grid of (0, 1)."""
    return (np.arange(n) + 0.5) / n


def flow_draws(sigma, weight=1.0):
    """Draws of flow matching: the velocity eps − x is wrong by the eps error over 1 − sigma."""
    sigma = np.asarray(sigma, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        logsnr = np.log((1 - sigma) ** 2 / sigma**2)
        factor = weight / (1 - sigma) ** 2
    return Draws(logsnr, factor)


def beta_draws(alphas_cumprod, weight=1.0, target="eps"):
    """Draws of a variance-preserving table; v is wrong by the eps error over alpha."""
    alphas_cumprod = np.asarray(alphas_cumprod, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        logsnr = np.log(alphas_cumprod / (1 - alphas_cumprod))
        factor = weight / {"eps": np.ones_like(alphas_cumprod), "v": alphas_cumprod}[target]
    return Draws(logsnr, factor)


def stable_diffusion(zero_terminal=False, start=0.00085, end=0.012, steps=1000):
    """alpha² of each step of Stable Diffusion's table."""
    product = np.cumprod(1 - np.linspace(start**0.5, end**0.5, steps) ** 2)
    if not zero_terminal:
        return product
    root = np.sqrt(product)
    first, last = root[0], root[-1]
    return ((root - last) * first / (first - last)) ** 2


def bumps(logsnr):
    """Smooth functions of λ, shape (13, n)."""
    return np.exp(-(((np.asarray(logsnr) - CENTRES[:, None]) / 1.5) ** 2))


def masses(objective):
    """Levels of an objective with their probabilities: its atoms, or an even grid of quantiles."""
    table = objective.law.dist
    if hasattr(table, "levels"):
        return table.levels, table.mass
    return objective.law.ppf(grid()), np.full(len(grid()), 1 / len(grid()))


def assert_agree(objective, draws, mass=2e-3, factor=1e-5):
    """The law and the factor of an objective are those of draws.

    Args:
        objective: The objective.
        draws: The draws.
        mass: Largest difference of the mean of a bump of height 1.
        factor: Largest relative difference of the factor, after one constant is divided out.
    """
    held = np.isfinite(draws.logsnr)
    at = draws.logsnr[held]
    level, share = masses(objective)
    difference = bumps(level) @ share - bumps(at).mean(axis=1)
    assert np.abs(difference).max() < mass, difference
    low, high = np.quantile(at, [0.001, 0.999])
    inner = (at >= low) & (at <= high)
    some = at[inner][:: max(1, inner.sum() // 2000)]
    expected = draws.factor[held][inner][:: max(1, inner.sum() // 2000)]
    counted = expected > 0
    ratio = objective.factor(some)[counted] / expected[counted]
    assert np.abs(ratio / np.median(ratio) - 1).max() < factor
