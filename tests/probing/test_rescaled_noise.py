"""Noise that a loss divides by its own size, centres or turns: the weighting of white noise."""

import numpy as np
import pytest
import torch
from flow_curve import off_flow_matching
from torch.nn import functional as F

from diffviz.probing.draws import Known, RandomCall
from diffviz.probing.measure import probe
from diffviz.reports.measurement import Report

X = torch.randn(32, 3, 8, 8, generator=torch.Generator().manual_seed(0))
EACH = (1, 2, 3)


def says(measured, text):
    return any(text in note for note in measured.notes)


def flow(model, x, noise):
    t = torch.rand(len(x))
    level = t[:, None, None, None]
    return ((model((1 - level) * x + level * noise, t) - (noise - x)) ** 2).mean()


RESCALED = {
    "over the spread of a batch": lambda noise: noise / noise.std(),
    "over a spread that is never 0": lambda noise: noise / (noise.std() + 1e-6),
    "over the spread of each": lambda noise: noise / noise.std(EACH, keepdim=True),
    "over the norm": lambda noise: F.normalize(noise.flatten(1)).reshape(noise.shape) * 192**0.5,
    "standardised in a batch": lambda noise: (noise - noise.mean()) / noise.std(),
    "by a layer's norm": lambda noise: F.layer_norm(noise, noise.shape[1:]),
    "over the spread of each channel in a batch": lambda noise: (
        noise / noise.std((0, 2, 3), keepdim=True)
    ),
    "standardised by channel in a batch": lambda noise: (
        (noise - noise.mean((0, 2, 3), keepdim=True)) / noise.std((0, 2, 3), keepdim=True)
    ),
    "by a batch norm": lambda noise: F.batch_norm(noise, None, None, training=True),
}


@pytest.mark.parametrize("name", RESCALED)
def test_white_noise_that_is_rescaled_by_its_own_statistics_is_read_and_named(name):
    def loss(model, x):
        return flow(model, x, RESCALED[name](torch.randn_like(x)))

    measured = probe(loss, X, draws=500)
    assert measured.kind == "u"
    assert off_flow_matching(measured) < 0.005
    assert says(measured, "the noise is rescaled by its own statistics")
    assert "equal to" not in str(Report(**vars(measured)))


def test_pairs_of_opposite_noise_over_their_spread_are_read():
    def loss(model, x):
        half = torch.randn(len(x) // 2, *x.shape[1:])
        noise = torch.cat([half, -half])
        return flow(model, x, noise / noise.std())

    measured = probe(loss, X, draws=500, batch=20)
    assert measured.kind == "u"
    assert off_flow_matching(measured) < 0.005


def haar(values):
    """Sums and differences of neighbours, an orthogonal map."""
    pairs = values.unflatten(-1, (-1, 2))
    return torch.cat([pairs.sum(-1), pairs[..., 0] - pairs[..., 1]], -1) / 2**0.5


def on_wavelets(model, x):
    t = torch.rand(len(x))
    level = t[:, None, None, None]
    noise = torch.randn_like(x)
    return ((model(haar((1 - level) * x + level * noise), t) - haar(noise - x)) ** 2).mean()


def centred(model, x):
    noise = torch.randn_like(x)
    return flow(model, x, noise - noise.mean())


@pytest.mark.parametrize("loss", [on_wavelets, centred])
def test_noise_that_is_turned_or_centred_has_the_weighting_of_white_noise(loss):
    measured = probe(loss, X, draws=500)
    assert measured.kind == "u"
    assert off_flow_matching(measured) < 0.005
    assert not says(measured, "correlated")


def test_noise_of_numpy_over_its_own_spread_is_read_too():
    def loss(model, x):
        noise = np.random.standard_normal(x.shape)  # noqa: NPY002
        return flow(model, x, torch.from_numpy(noise / noise.std()).float())

    measured = probe(loss, X, draws=500)
    assert measured.kind == "u"
    assert off_flow_matching(measured) < 0.005


def test_centring_each_sample_leaves_no_noise_in_one_direction_and_is_named():
    def loss(model, x):
        noise = torch.randn_like(x)
        return flow(model, x, noise - noise.mean(EACH, keepdim=True))

    measured = probe(loss, X, draws=500)
    assert says(measured, "the noise is correlated between components")
    assert not measured.exact


def test_standardising_each_channel_of_each_sample_leaves_no_noise_in_its_mean_and_is_named():
    def loss(model, x):
        noise = torch.randn_like(x)
        mean, spread = noise.mean((2, 3), keepdim=True), noise.std((2, 3), keepdim=True)
        return flow(model, x, (noise - mean) / spread)

    measured = probe(loss, X, draws=500)
    assert off_flow_matching(measured) < 0.005
    assert says(measured, "the noise is correlated between components")


@pytest.mark.parametrize(
    ("x", "rows"),
    [(X, 96), (X[..., :4, :4], 32), (X.flatten(2), 96), (X.flatten(1), 32)],
    ids=["images", "few numbers", "sequences", "vectors"],
)
def test_noise_of_unit_size_has_mean_0_and_mean_square_1(x, rows):
    """So it has in each channel of images and sequences, unless this has few numbers."""
    known = Known(unit_noise=True)
    noise = known.noise(RandomCall("randn_like", (x,), {}), 3 * x + 1, x)
    assert noise.shape == x.shape
    numbers = noise.reshape(rows, -1)
    torch.testing.assert_close(numbers.mean(1), torch.zeros(rows), rtol=0, atol=1e-6)
    torch.testing.assert_close(numbers.square().mean(1), torch.ones(rows))


def test_noise_of_unit_size_is_so_apart_in_components_with_data_and_without():
    x = X[:, :1, :2, :2].clone()
    held = torch.tensor([[True, True], [False, True]]).expand_as(x)
    x[~held] = 0
    known = Known(unit_noise=True, needs_data=True)
    noise = known.noise(RandomCall("randn_like", (x,), {}), 3 * X[:, :1, :2, :2] + 1, x)
    torch.testing.assert_close(noise[held].reshape(32, 3).square().mean(1), torch.ones(32))
    torch.testing.assert_close(noise[~held], 3 * X[:, :1, 1:2, :1].reshape(-1) + 1)  # one alone


def test_standard_noise_alone_is_put_to_unit_size_and_only_where_it_has_to_be():
    known = Known(unit_noise=True)
    for call, values in (("randn", X[:, 0, 0, 0]), ("rand_like", X), ("normal_", X)):
        assert known.noise(RandomCall(call, (X,), {}), values, X) is values
    assert Known().noise(RandomCall("randn", (X.shape,), {}), X, X) is X


def test_data_that_are_standardised_over_the_batch_are_read():
    def loss(model, x):
        x = (x - x.mean((0, 2, 3), keepdim=True)) / x.std((0, 2, 3), keepdim=True)
        return flow(model, x, torch.randn_like(x))

    measured = probe(loss, 3 * X + 2, draws=500)
    assert measured.kind == "u"
    assert off_flow_matching(measured) < 0.005
    assert says(measured, "data reach the network changed")
    assert not measured.exact
