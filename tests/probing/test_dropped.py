"""Losses that drop data, noise, components or weights at random: named, and the rest read right."""

import numpy as np
import pytest
import torch
from scipy.special import expit

from diffviz.probing.dropped import without_skipped
from diffviz.probing.measure import probe
from diffviz.reports.measurement import Report

X = torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
IMAGES = torch.randn(32, 4, 4, 4, generator=torch.Generator().manual_seed(1))


def wide(values, x):
    return values.reshape(len(x), *[1] * (x.ndim - 1))


def kept(x, share=0.9):
    return wide((torch.rand(len(x)) < share).float(), x)


def noised(x):
    t = torch.rand(len(x))
    return wide(t, x), torch.randn_like(x), t


def off(measured, closed=lambda logsnr: np.exp(-logsnr / 2)):
    """Largest deviation from a closed form in 20 bins over 98 % of the draws."""
    edges = measured.edges(20, 0.98)
    nodes = np.linspace(edges[:-1], edges[1:], 41)
    exact = closed((nodes[1:] + nodes[:-1]) / 2).mean(0)
    ratio = measured.weighting(edges)[0] / exact
    return np.abs(ratio / np.median(ratio) - 1).max()


def says(measured, text):
    return any(text in note for note in measured.notes)


def is_called_equal(measured):
    return "equal to" in str(Report(**vars(measured)))


# Whole samples -----------------------------------------------------------------------------------


def data_in_the_input(model, x):
    level, noise, t = noised(x)
    z = (1 - level) * x * kept(x) + level * noise
    return ((model(z, t) - (noise - x)) ** 2).mean()


def data_everywhere(model, x):
    x = x * wide(torch.bernoulli(torch.full((len(x),), 0.5)), x)
    level, noise, t = noised(x)
    return ((model((1 - level) * x + level * noise, t) - (noise - x)) ** 2).mean()


def data_without_a_time(model, x):
    level, noise, _ = noised(x)
    z = (1 - level) * x * kept(x) + level * noise
    return ((model(z) - (noise - x)) ** 2).mean()


def noise_in_the_input(model, x):
    level, noise, t = noised(x)
    z = (1 - level) * x + level * noise * kept(x)
    return ((model(z, t) - (noise - x)) ** 2).mean()


def input_of_a_sample(model, x):
    level, noise, t = noised(x)
    z = ((1 - level) * x + level * noise) * kept(x)
    return ((model(z, t) - (noise - x)) ** 2).mean()


def data_under_one_time(model, x):
    t = torch.rand(1)
    noise = torch.randn_like(x)
    z = (1 - t) * x * kept(x) + t * noise
    return ((model(z, t) - (noise - x)) ** 2).mean()


WHOLE = {
    data_in_the_input: "in 0.1 of the samples the data do not reach",
    data_everywhere: "in 0.5 of the samples the data do not reach",
    data_without_a_time: "in 0.1 of the samples the data do not reach",
    noise_in_the_input: "in 0.1 of the samples no noise reaches",
    input_of_a_sample: "in 0.1 of the samples neither data nor noise reach",
}


@pytest.mark.parametrize("loss", WHOLE, ids=lambda loss: loss.__name__)
def test_dropped_samples_are_named_and_the_others_are_those_of_the_entry(loss):
    measured = probe(loss, X, draws=2000)
    assert measured.kind == "u"
    assert says(measured, WHOLE[loss])
    assert off(measured) < 1e-3
    assert not measured.exact
    assert not is_called_equal(measured)


def test_samples_that_are_made_pure_noise_leave_the_levels_of_the_rest_less_even():
    def loss(model, x):
        t = torch.where(torch.rand(len(x)) < 0.1, 1.0, torch.rand(len(x)))
        noise = torch.randn_like(x)
        z = (1 - wide(t, x)) * x + wide(t, x) * noise
        return ((model(z, t) - (noise - x)) ** 2).mean()

    measured = probe(loss, X, draws=2000)
    assert measured.samples == 1800
    assert says(measured, "0.1 of the draws gave no finite log-SNR")
    assert says(measured, "levels are less even where draws are left out")


def test_dropped_samples_do_not_hide_that_a_batch_has_one_level():
    measured = probe(data_under_one_time, X, draws=300)
    assert says(measured, "of the samples the data do not reach")
    assert sum("dropped at random" in note for note in measured.notes) == 1
    assert off(measured) < 0.01


def test_a_share_that_depends_on_the_level_is_a_part_of_the_weighting():
    def loss(model, x):
        level, noise, t = noised(x)
        kept_more_in_noise = wide((torch.rand(len(x)) < 0.2 + 0.8 * t).float(), x)
        z = (1 - level) * x * kept_more_in_noise + level * noise
        return ((model(z, t) - (noise - x)) ** 2).mean()

    measured = probe(loss, X, draws=8000)
    assert says(measured, "the share depends on λ")

    def weighting(logsnr):
        return np.exp(-logsnr / 2) * (0.2 + 0.8 * expit(-logsnr / 2))

    edges = np.linspace(-5, 5, 11)
    middles = (edges[1:] + edges[:-1]) / 2
    ratio = measured.weighting(edges)[0] / weighting(middles)
    np.testing.assert_allclose(ratio / ratio.mean(), 1, atol=0.08)  # from 0.28 to 0.94 of the entry


def test_a_clean_level_of_a_table_is_not_dropped():
    def loss(model, x):
        t = torch.randint(0, 10, (len(x),)) / 10
        noise = torch.randn_like(x)
        z = (1 - wide(t, x)) * x + wide(t, x) * noise
        return ((model(z, t) - (noise - x)) ** 2).mean()

    measured = probe(loss, X, draws=2000)
    assert says(measured, "0.1 of the draws gave no finite log-SNR")
    assert not says(measured, "dropped")
    assert len(measured.logsnr) == 1800


def test_a_condition_that_is_dropped_or_drawn_leaves_the_loss_exact():
    def loss(model, x):
        level, noise, t = noised(x)
        label = torch.where(torch.rand(len(x)) < 0.1, 10, torch.randint(0, 10, (len(x),)))
        text = torch.randn(len(x), 5) * (torch.rand(len(x), 1) < 0.9)
        image = x * kept(x)
        output = model((1 - level) * x + level * noise, t, label, text, image)
        return ((output - (noise - x)) ** 2).mean()

    measured = probe(loss, X, draws=2000)
    assert measured.notes == ()
    assert measured.exact
    assert is_called_equal(measured)


# Components and weights --------------------------------------------------------------------------


def tokens_dropped(model, x, share, *, masks_the_loss, drops_noise=True):
    level, noise, t = noised(x)
    mask = (torch.rand(len(x), 1, *x.shape[2:]) < share).float()
    z = (1 - level) * x * mask + level * noise * (mask if drops_noise else 1)
    error = (model(z, t) - (noise - x)) ** 2
    return (error * mask).mean() if masks_the_loss else error.mean()


@pytest.mark.parametrize("drops_noise", [True, False])
@pytest.mark.parametrize("masks_the_loss", [True, False])
@pytest.mark.parametrize("share", [0.9, 0.25])
def test_dropped_tokens_are_named_and_the_kept_ones_read(share, masks_the_loss, drops_noise):
    def loss(model, x):
        options = {"masks_the_loss": masks_the_loss, "drops_noise": drops_noise}
        return tokens_dropped(model, x, share, **options)

    measured = probe(loss, IMAGES, draws=1000)
    assert measured.kind == "u"
    assert says(measured, "of the components reach the network without data, others in each sample")
    assert measured.parts == ()
    assert off(measured) < 1e-3
    assert not measured.exact


def test_samples_that_are_masked_at_random_leave_the_weighting_as_it_is():
    def loss(model, x):
        level, noise, t = noised(x)
        errors = (model((1 - level) * x + level * noise, t) - (noise - x)) ** 2
        mask = torch.from_numpy(np.random.rand(len(x)) < 0.5).float()  # noqa: NPY002
        return (errors.mean(1) * mask).mean()

    measured = probe(loss, X, draws=2000)
    assert says(measured, "0.5 of the draws have a weight of 0 at levels at which others have one")
    assert off(measured) < 1e-3
    assert is_called_equal(measured)


def test_weights_that_vanish_more_often_at_some_levels_stay_as_they_are():
    rng = np.random.default_rng(0)
    logsnr = np.sort(rng.logistic(size=4000))
    even = np.where(rng.random(4000) < 0.4, 0, np.exp(-logsnr))
    weights, share = without_skipped(even, logsnr)
    np.testing.assert_allclose(weights[1:-1], np.exp(-logsnr)[1:-1], rtol=0.5)
    assert share == pytest.approx(0.4, abs=0.03)
    uneven = np.where(rng.random(4000) < expit(logsnr), 0, np.exp(-logsnr))
    assert without_skipped(uneven, logsnr)[1] == 0
    above = np.where(logsnr > 1, 0, np.exp(-logsnr))
    assert without_skipped(above, logsnr)[1] == 0
