"""What a trainer's own steps draw, beside the objective that was read from its settings."""

import numpy as np
from scipy.special import expit, ndtri

from diffviz.theory.atoms import atomic

N = 100_000
Q = (np.arange(N) + 0.5) / N  # stratified uniform draws


def normal():
    """Stratified draws from N(0, 1)."""
    return ndtri(Q)


def density(scheme, mean=0.0, std=1.0, scale=1.29):
    """The u of the SD3 scripts of diffusers, stratified."""
    if scheme == "logit_normal":
        return expit(mean + std * normal())
    if scheme == "mode":
        return 1 - Q - scale * (np.cos(np.pi * Q / 2) ** 2 - 1 + Q)
    return Q


def logsnr_of(sigma):
    """λ = log((1 − sigma)²/sigma²)."""
    with np.errstate(divide="ignore"):
        return np.log((1 - sigma) ** 2) - np.log(sigma**2)


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


def on_velocity(sigma):
    """How often a squared eps error counts in eps − x on the linear path: 1/(1 − sigma)²."""
    with np.errstate(divide="ignore"):
        return 1 / (1 - sigma) ** 2


def on_data(sigma):
    """How often a squared eps error counts in x on the linear path: sigma²/(1 − sigma)²."""
    with np.errstate(divide="ignore"):
        return sigma**2 / (1 - sigma) ** 2


def stable_diffusion_alphas():
    """Products of 1 − β of Stable Diffusion's scaled-linear table, shape (1000,)."""
    return np.cumprod(1 - np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2)


def with_zero_snr(alphas):
    """The products after the square root is moved to end at 0, shape (1000,)."""
    root = np.sqrt(alphas)
    return ((root - root[-1]) * root[0] / (root[0] - root[-1])) ** 2
