"""Noise that a loss draws in parts, or rescales by its own statistics."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from diffviz.probing.draws import NOTHING_KNOWN, Batch, Draws, Known, kind_of_part
from diffviz.probing.layout import trace
from diffviz.probing.measure import probe
from diffviz.reports.measurement import Report

X = torch.randn(64, 3, 4, 4, generator=torch.Generator().manual_seed(0))
VECTORS = torch.randn(64, 8, generator=torch.Generator().manual_seed(1))


def flow(model, x, noise):
    """Flow matching on the linear path: w = exp(-λ/2) for uniform times."""
    t = torch.rand(len(x))
    level = t.reshape(len(x), *[1] * (x.ndim - 1))
    return ((model((1 - level) * x + level * noise, t) - (noise - x)) ** 2).mean()


def off(measured):
    edges = measured.edges(20, 0.96)
    exact = -np.diff(np.exp(-edges / 2)) / np.diff(edges)
    ratio = measured.weighting(edges)[0] / exact
    return np.abs(ratio / np.median(ratio) - 1).max()


def two_parts(x):
    first = len(x) // 3
    shape = x.shape[1:]
    return torch.cat([torch.randn(first, *shape), torch.randn(len(x) - first, *shape)])


def two_halves(x):
    one, other = x.chunk(2)
    return torch.cat([torch.randn_like(one), torch.randn_like(other)])


def halves_the_other_way_round(x):
    one, other = (torch.randn_like(half) for half in x.chunk(2))
    return torch.cat([other, one])


def sample_by_sample(x):
    return torch.stack([torch.randn(x.shape[1:]) for _ in x])


def channel_by_channel(x):
    return torch.stack([torch.randn_like(x[:, i]) for i in range(x.shape[1])], 1)


def one_channel_and_the_rest(x):
    return torch.cat([torch.randn_like(x[:, :1]), torch.randn_like(x[:, 1:])], 1)


def pairs_of_samples(x):
    return torch.randn((len(x) + 1) // 2, *x.shape[1:]).repeat_interleave(2, 0)[: len(x)]


def antithetic(x):
    half = torch.randn((len(x) + 1) // 2, *x.shape[1:])
    return torch.cat([half, -half])[: len(x)]


@pytest.mark.parametrize(
    "noise_of",
    [
        two_parts,
        two_halves,
        halves_the_other_way_round,
        sample_by_sample,
        channel_by_channel,
        one_channel_and_the_rest,
        pairs_of_samples,
        antithetic,
    ],
)
def test_white_noise_from_several_draws_is_read_as_one(noise_of):
    measured = probe(lambda model, x: flow(model, x, noise_of(x)), X, draws=1000)
    assert measured.kind == "u"
    assert measured.exact
    assert off(measured) < 0.01


def test_vectors_drawn_one_by_one_are_noise_and_no_times():
    measured = probe(lambda model, x: flow(model, x, sample_by_sample(x)), VECTORS, draws=1000)
    assert measured.exact
    assert off(measured) < 0.01


def test_two_noises_of_half_a_batch_are_apart_where_one_is_no_part_of_the_input():
    """The second is added to the target alone, so that the two are no one noise."""

    def loss(model, x):
        x = x[: len(x) // 2]
        t = torch.rand(len(x))
        level = t[:, None, None, None]
        noise, other = torch.randn_like(x), torch.randn_like(x)
        target = noise - x + 0.5 * other
        return ((model((1 - level) * x + level * noise, t) - target) ** 2).mean()

    measured = probe(loss, X, draws=1000)
    assert any("or noise that z does not hold" in note for note in measured.notes)
    assert not any("sigma is estimated" in note for note in measured.notes)


def test_a_share_of_the_data_is_told_by_its_shape():
    assert kind_of_part(torch.zeros(10, 3, 4, 4), X) == "samples"
    assert kind_of_part(torch.zeros(3, 4, 4), X) == "samples"
    assert kind_of_part(torch.zeros(64, 1, 4, 4), X) == "components"
    assert kind_of_part(torch.zeros(64, 1, 1, 1), X) is None
    assert kind_of_part(torch.zeros(64), X) is None
    assert kind_of_part(X, X) is None


@pytest.mark.parametrize("split", [(2, 6), (8,)])
def test_parts_are_put_together_and_taken_apart_again(split):
    x = VECTORS[:8]
    with Draws(Batch(x, 0, 1, 0), None, {}, Known(in_parts=True)) as draws:
        parts = [torch.randn(rows, 8) for rows in split]
    (noise,) = draws.noises
    assert torch.equal(noise, torch.cat(parts))
    other = torch.arange(64.0).reshape(8, 8)
    draws.rewind(noise=True, replaced={0: other})
    with draws:
        again = [torch.randn(rows, 8) for rows in split]
    assert torch.equal(torch.cat(again), other)


def test_nothing_is_put_together_before_it_is_known():
    with Draws(Batch(VECTORS[:8], 0, 1, 0), None, {}, NOTHING_KNOWN) as draws:
        torch.randn(2, 8)
        torch.randn(6, 8)
    assert len(draws.noises) == 2


def test_numbers_of_the_rows_that_hold_them_alone_tell_what_is_shared():
    source = trace(lambda numbers: torch.cat([torch.zeros(2, 3), numbers.reshape(2, 3)]), (2, 3), 0)
    assert source is not None
    assert not source.source.shared


def pyramid(x):
    noise = torch.randn_like(x)
    for level in (1, 2):
        coarse = torch.randn(len(x), 3, 4 // 2**level, 4 // 2**level)
        noise = noise + 0.8**level * F.interpolate(coarse, size=(4, 4), mode="nearest")
    return noise


def test_pyramid_noise_over_its_own_spread_is_named_as_both():
    """The mean of the variances is 1 once it is divided by its own spread."""

    def loss(model, x):
        noise = pyramid(x)
        return flow(model, x, noise / noise.std())

    measured = probe(loss, X, draws=1000)
    assert any("the noise is rescaled by its own statistics" in note for note in measured.notes)
    assert any("the noise is correlated between components" in note for note in measured.notes)
    assert not measured.exact
    assert "equal to" not in str(Report(**vars(measured)))


def test_white_noise_over_its_own_spread_has_the_weighting_of_white_noise():
    def loss(model, x):
        noise = torch.randn_like(x)
        return flow(model, x, noise / noise.square().mean((1, 2, 3), keepdim=True).sqrt())

    measured = probe(loss, X, draws=1000)
    assert measured.kind == "u"
    assert any("rescaled by its own statistics" in note for note in measured.notes)
    assert not any("correlated" in note for note in measured.notes)
    assert off(measured) < 0.02


# Parts of the data, one by one -------------------------------------------------------------------


def test_tokens_as_samples_that_are_repeated_are_read():
    """As where a small network denoises each token on four levels at once."""

    def loss(model, x):
        x = x.permute(0, 2, 3, 1).reshape(-1, 3).repeat(4, 1)
        mask = (torch.rand(len(x) // 4) < 0.7).repeat(4)
        t = torch.rand(len(x))
        noise = torch.randn_like(x)
        z = (1 - t)[:, None] * x + t[:, None] * noise
        error = ((model(z, t) - (noise - x)) ** 2).mean(1)
        return (error * mask).sum() / mask.sum()

    tokens = X.permute(0, 2, 3, 1).reshape(64, 4, 4, 3)[:, :, :2].reshape(64, 8, 3)

    def on_tokens(model, x):
        return loss(model, x.reshape(len(x), 2, 4, 3).permute(0, 3, 1, 2))

    measured = probe(on_tokens, tokens, draws=400)
    assert measured.kind == "u" and measured.exact
    assert off(measured) < 0.005


def test_parts_of_a_batch_one_after_another_are_read():
    """As where a loss accumulates gradients: the last part is read."""

    def loss(model, x):
        parts = x.chunk(4)
        return sum(flow(model, part, torch.randn_like(part)) for part in parts) / len(parts)

    measured = probe(loss, X, draws=4000)
    assert measured.kind == "u" and measured.exact
    assert off(measured) < 0.01
    assert not any("levels differ between calls" in note for note in measured.notes)
