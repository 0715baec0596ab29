"""What trainers draw, written anew from their own steps, against the objectives of their settings.

A trainer's step is a function of uniform numbers. On an even grid of these it gives the levels
that are trained, each with its factor on the eps squared error, without any randomness.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, ndtri

from diffviz.theory.atoms import atomic

N = 100_000  # points of the even grid
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


def grid(n=N):
    """An even grid of (0, 1)."""
    return (np.arange(n) + 0.5) / n


def normal():
    """Stratified draws from N(0, 1)."""
    return ndtri(grid())


def density(scheme, mean=0.0, std=1.0, scale=1.29):
    """The u of the SD3 scripts of diffusers, stratified."""
    u = grid()
    if scheme == "logit_normal":
        return expit(mean + std * normal())
    if scheme == "mode":
        return 1 - u - scale * (np.cos(np.pi * u / 2) ** 2 - 1 + u)
    return u


def logsnr_of(sigma):
    """λ = log((1 − sigma)²/sigma²)."""
    with np.errstate(divide="ignore"):
        return np.log((1 - sigma) ** 2) - np.log(sigma**2)


def on_velocity(sigma):
    """How often a squared eps error counts in eps − x on the linear path: 1/(1 − sigma)²."""
    with np.errstate(divide="ignore"):
        return 1 / (1 - sigma) ** 2


def on_data(sigma):
    """How often a squared eps error counts in x on the linear path: sigma²/(1 − sigma)²."""
    with np.errstate(divide="ignore"):
        return sigma**2 / (1 - sigma) ** 2


def flow_draws(sigma, weight=1.0):
    """Draws of flow matching, whose loss compares the velocity eps − x."""
    sigma = np.asarray(sigma, dtype=float)
    with np.errstate(invalid="ignore"):
        factor = weight * on_velocity(sigma)
    return Draws(logsnr_of(sigma), factor)


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


def check_law(objective, logsnr, share=None):
    """The law holds the draws: equal probabilities below edges, and equal levels of a table."""
    share = np.full(len(logsnr), 1 / len(logsnr)) if share is None else share
    held = np.isfinite(logsnr)
    logsnr, share = logsnr[held], share[held] / share[held].sum()
    order = np.argsort(logsnr)
    logsnr, below = logsnr[order], np.cumsum(share[order])
    table = atomic(objective.law)
    if table is None:
        at = np.linspace(0, len(logsnr) - 1, 41).astype(int)[1:-1]
        edges = (logsnr[at] + logsnr[at + 1]) / 2
        np.testing.assert_allclose(objective.law.cdf(edges), below[at], atol=2 / N)
        return
    levels = table.levels[table.mass > 1e-4]  # rarer ones need not be among the draws
    gap = np.abs(levels[:, None] - logsnr[np.searchsorted(logsnr, levels - 1e-9)][:, None])
    assert gap.max() < 1e-8
    edges = (table.levels[1:] + table.levels[:-1]) / 2
    counted = np.append(0, below)[np.searchsorted(logsnr, edges)]
    np.testing.assert_allclose(np.cumsum(table.mass)[:-1], counted, atol=2 / N)


def check_factor(objective, logsnr, factor, rtol=1e-9):
    """The factor on the eps squared error is that of the trainer."""
    held = np.isfinite(logsnr)
    logsnr, factor = logsnr[held], np.broadcast_to(factor, held.shape)[held]
    np.testing.assert_allclose(objective.factor(logsnr[::97]), factor[::97], rtol=rtol)
