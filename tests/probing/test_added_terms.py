"""Terms that are added to a squared error, noise in units of the data, and pairs: named as such."""

import numpy as np
import pytest
import torch
from flow_curve import off_flow_matching
from torch.nn import functional as F

import diffviz as dv
from diffviz.probing.measure import probe

X = torch.randn(64, 4, 4, 4, generator=torch.Generator().manual_seed(0))
EACH = (1, 2, 3)
FEATURES = torch.randn(64, 16, generator=torch.Generator().manual_seed(1))
OF_A_TEACHER = torch.randn(64, 16, generator=torch.Generator().manual_seed(2))


def wide(t):
    return t[:, None, None, None]


def flow(model, x, noise):
    t = torch.rand(len(x))
    return model((1 - wide(t)) * x + wide(t) * noise, t), noise - x


def dispersive(model, x):
    """Samples of the batch are pushed apart (Wang and He 2025, with squared distances)."""
    output, target = flow(model, x, torch.randn_like(x))
    distance = torch.pdist(output.flatten(1)) ** 2 / x[0].numel()
    return F.mse_loss(output, target) + 0.5 * torch.log(torch.exp(-distance).mean())


def contrastive(model, x):
    """The target of the next sample is pushed away (contrastive flow matching)."""
    output, target = flow(model, x, torch.randn_like(x))
    next_one = output.roll(1, 0)
    return F.mse_loss(output, target) - 0.05 * F.mse_loss(output, next_one)


def direction(model, x):
    """The direction of the velocity counts too."""
    output, target = flow(model, x, torch.randn_like(x))
    cosine = F.cosine_similarity(output.flatten(1), target.flatten(1))
    return F.mse_loss(output, target) + (1 - cosine).mean()


def aligned(model, x):
    """Features of the output are aligned with those of the data (representation alignment)."""
    output, target = flow(model, x, torch.randn_like(x))
    cosine = F.cosine_similarity(output.flatten(1) @ FEATURES, x.flatten(1) @ OF_A_TEACHER)
    return F.mse_loss(output, target) - 0.5 * cosine.mean()


OF_OTHERS = "the loss has a term besides the error of each sample"
OF_COMPONENTS = "the loss has a term besides the squared error that mixes components"
TERMS = {
    dispersive: OF_OTHERS,
    contrastive: OF_OTHERS,
    direction: OF_COMPONENTS,
    aligned: OF_COMPONENTS,
}


@pytest.mark.parametrize("loss", TERMS, ids=lambda loss: loss.__name__)
def test_an_added_term_is_named_and_nothing_else_is_guessed(loss):
    measured = probe(loss, X, draws=400)
    (note,) = measured.notes
    assert note.startswith(TERMS[loss])
    assert not measured.exact
    with pytest.raises(ValueError, match="the loss has a term besides"):
        measured.weighting(measured.edges(4))
    quantiles = np.quantile(measured.logsnr, [0.1, 0.5, 0.9])
    np.testing.assert_allclose(quantiles, 2 * np.log([1 / 9, 1, 9]), atol=0.03)


def infonce(model, x):
    """The output of a sample is told from the targets of others, as by cross-entropy."""
    output, target = flow(model, x, torch.randn_like(x))
    scores = F.normalize(output.flatten(1)) @ F.normalize(target.flatten(1)).T / 0.1
    return F.mse_loss(output, target) + 0.1 * F.cross_entropy(scores, torch.arange(len(x)))


def test_a_contrastive_term_is_no_loss_of_categories():
    notes = probe(infonce, X, draws=400).notes
    assert any(note.startswith(OF_COMPONENTS) for note in notes)
    assert not any("categories" in note for note in notes)


def test_a_perceptual_term_is_said_to_get_the_output():
    torch.manual_seed(1)
    features = torch.nn.Conv2d(4, 8, 3)

    def loss(model, x):
        t, noise = torch.rand(len(x)), torch.randn_like(x)
        z = (1 - wide(t)) * x + wide(t) * noise
        output = model(z, t)
        estimate = z - wide(t) * output
        perceptual = F.mse_loss(features(estimate).relu(), features(x).relu())
        return F.mse_loss(output, noise - x) + 0.1 * perceptual

    measured = probe(loss, X, draws=400)
    assert any("passed on to a network (Conv2d): if it compares" in n for n in measured.notes)
    assert measured.refusal


UNITS = {
    "of the batch": lambda x: x.std(),
    "of each sample": lambda x: x.std(EACH, keepdim=True),
    "of each channel in a batch": lambda x: x.std((0, 2, 3), keepdim=True).mean(),
    "of sizes": lambda x: x.abs().mean(EACH, keepdim=True),
}


@pytest.mark.parametrize("name", UNITS)
def test_noise_in_units_of_the_data_is_read_for_one_sample_and_named(name):
    def loss(model, x):
        output, target = flow(model, x, torch.randn_like(x) * UNITS[name](x))
        return F.mse_loss(output, target)

    scales = torch.linspace(0.5, 2, len(X))
    x = wide(scales) * X
    measured = dv.probe(loss, x, draws=2000)
    assert measured.kind == "u"
    assert off_flow_matching(measured) < 2e-3
    unit = float(UNITS[name](x[:1].repeat(50, 1, 1, 1)).reshape(-1)[0])
    assert np.median(measured.logsnr) == pytest.approx(-2 * np.log(unit), abs=0.02)
    assert any(note.startswith("the noise grows with the data") for note in measured.notes)
    assert "equal to" not in str(measured)


PAIRS = {
    "stacked": (torch.stack([X, X.flip(0)], 1), lambda pairs: pairs.unbind(1)),
    "in channels": (torch.cat([X, X.flip(0)], 1), lambda pairs: pairs.chunk(2, 1)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_pairs_of_data_and_noise_say_what_to_give(name):
    x, parts = PAIRS[name]

    def loss(model, pairs):
        data, noise = parts(pairs)
        output, target = flow(model, data, noise)
        return F.mse_loss(output, target)

    with pytest.raises(ValueError, match="pairs of data and noise, as for reflow"):
        probe(loss, x, draws=200)


def test_pyramid_noise_is_correlated_and_still_gaussian():
    def loss(model, x):
        noise = torch.randn_like(x)
        for size in (1, 2):
            coarse = torch.randn(len(x), 4, size, size)
            noise = noise + 0.7 * F.interpolate(coarse, size=(4, 4), mode="bilinear")
        output, target = flow(model, x, noise / noise.std())
        return F.mse_loss(output, target)

    notes = probe(loss, X, draws=400).notes
    assert any("the noise is correlated" in note for note in notes)
    assert not any("Gaussian" in note for note in notes)
