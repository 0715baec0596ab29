"""Losses as people train with them, whose data choose weights or levels, or which use autograd."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import expit, ndtri
from torch.nn import functional as F

from diffviz.probing.measure import probe

X = torch.randn(64, 4, 8, 8, generator=torch.Generator().manual_seed(1234567))
CHOSEN = X[:, 0, 0, 0] > 0.5
UNIFORM = (np.arange(200_000) + 0.5) / 200_000


def wide(values):
    return values[:, None, None, None]


def flow(model, x, t, weight=1.0):
    noise = torch.randn_like(x)
    z = (1 - wide(t)) * x + wide(t) * noise
    return (weight * (model(z, t) - (noise - x)) ** 2).mean()


def off(measured, logsnr, factor):
    """Largest deviation in 20 bins over 96 % of the draws from equally likely exact ones."""
    edges = measured.edges(20, 0.96)
    exact, _ = np.histogram(logsnr, edges, weights=factor)
    ratio = measured.weighting(edges)[0] * np.diff(edges) / exact
    return np.abs(ratio / np.median(ratio) - 1).max()


def test_a_weight_by_data_that_few_samples_have_is_read_for_each():
    def loss(model, x):
        weight = 1 + 2 * (x[:, 0, 0, 0] > 0.5).float()
        return flow(model, x, torch.rand(len(x)), wide(weight))

    measured = probe(loss, X, draws=640, batch=64)
    assert measured.kind == "u"
    weights, counts = np.unique(np.round(256 * measured.multiplier, 3), return_counts=True)
    assert weights.tolist() == [1, 3]
    assert counts[1] == 10 * int(CHOSEN.sum())
    assert any("factors at the same λ scatter" in note for note in measured.notes)
    assert not any("target is another one" in note for note in measured.notes)


@pytest.mark.parametrize("threshold", [0, 0.5])
def test_levels_that_data_choose_are_read_with_the_data_on(threshold):
    def loss(model, x):
        n = len(x)
        is_chosen = x[:, 0, 0, 0] > threshold
        return flow(model, x, torch.where(is_chosen, torch.rand(n), torch.randn(n).sigmoid()))

    measured = probe(loss, X, draws=3200, batch=64)
    assert measured.kind == "u"
    np.testing.assert_allclose(measured.alpha + measured.sigma, 1, atol=1e-5)
    np.testing.assert_allclose(256 * measured.multiplier, 1, rtol=1e-4)
    share = float((X[:, 0, 0, 0] > threshold).double().mean())
    t = np.sort(measured.sigma)
    law = share * t + (1 - share) * stats.norm.cdf(np.log(t / (1 - t)))
    assert np.abs(law - (np.arange(len(t)) + 0.5) / len(t)).max() < 0.02


def test_a_schedule_that_is_differentiated_inside_the_loss_is_read():
    """SiD2's weight, with dλ/dt by autograd from times that ask for a gradient."""
    ends = [math.atan(math.exp(-end / 2)) for end in (10, -10)]

    def level(t, library):
        return -2 * library.log(library.tan(ends[0] + t * (ends[1] - ends[0]))) - 2 * math.log(2)

    def loss(model, x):
        t = torch.rand(len(x), requires_grad=True)
        logsnr = level(t, torch)
        (slope,) = torch.autograd.grad(logsnr.sum(), t)
        logsnr = logsnr.detach()
        noise = torch.randn_like(x)
        z = wide(logsnr.sigmoid().sqrt()) * x + wide((-logsnr).sigmoid().sqrt()) * noise
        weight = -slope * torch.sigmoid(-2 - logsnr)
        return (wide(weight) * (model(z, logsnr) - noise) ** 2).mean()

    measured = probe(loss, X, draws=2000)
    logsnr = level(UNIFORM, np)
    assert measured.kind == "eps"
    assert off(measured, logsnr, -np.gradient(logsnr, UNIFORM) * expit(-2 - logsnr)) < 0.005


def test_a_weight_that_a_second_network_learns_is_read_and_named():
    """EDM2's uncertainty u(σ): the weight is that of EDM over exp(u)."""
    uncertainty = torch.nn.Linear(1, 1)
    with torch.no_grad():
        uncertainty.weight.fill_(0.7)
        uncertainty.bias.fill_(0.1)

    def loss(model, x):
        sigma = torch.exp(torch.randn(len(x)) - 0.4)
        scale = wide((sigma**2 + 0.25).sqrt())
        z = x + wide(sigma) * torch.randn_like(x)
        u = wide(uncertainty(sigma.log()[:, None] / 4)[:, 0])
        output = model(z / scale, sigma.log() / 4)
        denoised = 0.25 / scale**2 * z + 0.5 * wide(sigma) / scale * output
        weight = scale**2 / (0.5 * wide(sigma)) ** 2
        return (weight / u.exp() * (denoised - x) ** 2 + u).mean()

    measured = probe(loss, X, draws=2000)
    sigma = np.exp(ndtri(UNIFORM) - 0.4)
    factor = (sigma**2 + 0.25) / 0.25 * np.exp(-0.7 * np.log(sigma) / 4)
    assert off(measured, -2 * np.log(sigma), factor) < 0.005
    assert any("the weight of a sample depends on another network" in n for n in measured.notes)


def biased_to_late_steps(n):
    weights = torch.ones(1000)
    weights[-250:] *= 2
    return torch.multinomial(weights, n, replacement=True)


def test_steps_that_a_bias_draws_more_often_have_more_weight():
    """diffusers' --timestep_bias_strategy later, with its multiplier 2 and portion 0.25."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    bars = (1 - betas).cumprod(0)

    def loss(model, x):
        step = biased_to_late_steps(len(x))
        bar, noise = wide(bars[step]).float(), torch.randn_like(x)
        return F.mse_loss(model(bar.sqrt() * x + (1 - bar).sqrt() * noise, step), noise)

    measured = probe(loss, X, draws=10_000)
    logsnr = torch.logit(bars).numpy()
    assert measured.kind == "eps"
    assert off(measured, logsnr, np.where(np.arange(1000) < 750, 1, 2)) < 0.02


@pytest.mark.parametrize("shape", [(0.7, 1.3), (2.0, 3.0)])
def test_times_of_kumaraswamy_are_even(shape):
    def loss(model, x):
        law = torch.distributions.Kumaraswamy(*torch.tensor(shape))
        return flow(model, x, law.sample((len(x),)))

    measured = probe(loss, X, draws=2000)
    t = (1 - (1 - UNIFORM) ** (1 / shape[1])) ** (1 / shape[0])
    assert off(measured, 2 * np.log((1 - t) / t), 1 / (1 - t) ** 2) < 0.01
