"""Masks that a loss makes of its data, such as padding: the weighting is that of what is kept."""

import numpy as np
import pytest
import torch
from flow_curve import off_flow_matching
from torch.nn import functional as F

from diffviz.probing.measure import probe
from diffviz.reports.measurement import Report

LENGTHS = 8 + torch.arange(32) % 2
TOKENS = torch.randn(32, 10, 6, generator=torch.Generator().manual_seed(0))
TOKENS[torch.arange(10) >= LENGTHS[:, None]] = 0
SMOOTH = {"delta": 0.5, "reduction": "none"}


def says(measured, text):
    return any(text in note for note in measured.notes)


def noised(x):
    t = torch.rand(len(x))
    level = t[:, None, None]
    noise = torch.randn_like(x)
    return (1 - level) * x + level * noise, noise - x, t


def mask_of(x):
    return (x.abs().sum(-1, keepdim=True) > 0).float()


def mean_over_tokens(model, x):
    z, target, t = noised(x)
    return ((model(z, t) - target) ** 2 * mask_of(x)).sum() / mask_of(x).sum()


def mean_over_at_least_one_token(model, x):
    z, target, t = noised(x)
    return ((model(z, t) - target) ** 2 * mask_of(x)).sum() / mask_of(x).sum().clamp(min=1)


def mean_over_each_sample(model, x):
    z, target, t = noised(x)
    error = ((model(z, t) - target) ** 2 * mask_of(x)).sum((1, 2))
    return (error / mask_of(x).sum((1, 2))).mean()


def chosen_tokens(model, x):
    z, target, t = noised(x)
    kept = (x != 0).any(-1)
    return F.mse_loss(model(z, t)[kept], target[kept])


def huber(model, x):
    z, target, t = noised(x)
    error = F.huber_loss(model(z, t), target, **SMOOTH)
    return (error * mask_of(x)).sum() / mask_of(x).sum()


LOSSES = (
    mean_over_tokens,
    mean_over_at_least_one_token,
    mean_over_each_sample,
    chosen_tokens,
    huber,
)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.__name__)
def test_a_mask_that_is_made_of_the_data_leaves_the_weighting_as_it_is(loss):
    measured = probe(loss, TOKENS, draws=2000)
    assert measured.kind == "u"
    assert off_flow_matching(measured) < 0.02


def masked_input(model, x):
    z, target, t = noised(x)
    return ((model(z * mask_of(x), t) - target) ** 2 * mask_of(x)).sum() / mask_of(x).sum()


def masked_noise(model, x):
    t = torch.rand(len(x))
    level = t[:, None, None]
    noise = torch.randn_like(x) * mask_of(x)
    z = (1 - level) * x + level * noise
    return ((model(z, t) - (noise - x)) ** 2 * mask_of(x)).sum() / mask_of(x).sum()


def masked_input_of_a_huber_loss(model, x):
    z, target, t = noised(x)
    error = F.huber_loss(model(z * mask_of(x), t), target, **SMOOTH)
    return (error * mask_of(x)).sum() / mask_of(x).sum()


def masked_noise_over_its_spread(model, x):
    noise = torch.randn_like(x)
    return masked_flow(model, x, noise / noise.std() * mask_of(x))


def masked_noise_over_the_spread_of_what_is_kept(model, x):
    noise, kept = torch.randn_like(x) * mask_of(x), x.shape[-1] * mask_of(x).sum()
    return masked_flow(model, x, noise / (noise.square().sum() / kept).sqrt())


def masked_input_with_noise_over_its_spread(model, x):
    noise = torch.randn_like(x)
    return masked_flow(lambda z, t: model(z * mask_of(x), t), x, noise / noise.std())


def masked_flow(model, x, noise):
    t = torch.rand(len(x))
    level = t[:, None, None]
    error = model((1 - level) * x + level * noise, t) - (noise - x)
    return (error**2 * mask_of(x)).sum() / mask_of(x).sum()


MASKED_INPUTS = (
    masked_input,
    masked_noise,
    masked_input_of_a_huber_loss,
    masked_noise_over_its_spread,
    masked_noise_over_the_spread_of_what_is_kept,
    masked_input_with_noise_over_its_spread,
)


@pytest.mark.parametrize("loss", MASKED_INPUTS, ids=lambda loss: loss.__name__)
def test_noise_that_is_masked_as_the_data_are_is_read_and_named(loss):
    """With the data off the mask is empty, and no noise reaches the network."""
    measured = probe(loss, TOKENS, draws=2000)
    assert measured.kind == "u"
    assert off_flow_matching(measured) < 0.02
    assert says(measured, "of the components reach the network without data")
    assert not says(measured, "correlated")
    assert "equal to" not in str(Report(**vars(measured)))


def test_noise_in_units_of_the_data_needs_them():
    """Here sigma is 2 t times the spread of each sample, which is 0 where the data are off."""
    x = TOKENS[:, :4]
    x = x / x.std((1, 2), keepdim=True)

    def loss(model, x):
        t = torch.rand(len(x))
        sigma = 2 * t[:, None, None] * x.std((1, 2), keepdim=True)
        noise = torch.randn_like(x)
        return ((model(x + sigma * noise, t) - noise) ** 2).mean()

    measured = probe(loss, x, draws=2000)
    assert measured.kind == "eps"
    assert measured.frame.startswith("variance-exploding")
    edges = np.linspace(0, 6, 11)
    exact = -np.diff(np.exp(-edges / 2) / 2) / np.diff(edges)
    np.testing.assert_allclose(measured.density(edges)[0], exact, rtol=0.02)
