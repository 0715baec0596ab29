"""Losses in which the weight of a sample is not its own, and clamped ones."""

import random

import numpy as np
import pytest
import torch

from diffviz.probing.measure import probe
from diffviz.probing.quantiles import distinct
from diffviz.reports.measurement import Report

X = torch.randn(64, 8, generator=torch.Generator().manual_seed(0))


def sample_losses(model, x, t=None):
    """Flow matching on the linear path, one number a sample."""
    t = torch.rand(len(x)) if t is None else t
    noise = torch.randn_like(x)
    z = (1 - t)[:, None] * x + t[:, None] * noise
    return ((model(z, t) - (noise - x)) ** 2).mean(1), t


def weight(t):
    return t * torch.exp(-2 * t)


def says(measured, text):
    return any(text in note for note in measured.notes)


def is_called_equal(measured):
    return "equal to" in str(Report(**vars(measured)))


# Weights of the batch ----------------------------------------------------------------------------


def normalised_by_sum(model, x):
    loss, t = sample_losses(model, x)
    w = weight(t)
    return (w / w.sum() * loss).sum()


def normalised_by_numpy_times(model, x):
    times = torch.from_numpy(np.random.rand(len(x))).float()  # noqa: NPY002
    loss, t = sample_losses(model, x, times)
    return (weight(t) * loss).sum() / weight(t).sum()


def divided_by_its_masks(model, x):
    loss, t = sample_losses(model, x)
    mask = (t > 0.5).float()
    return (mask * loss).sum() / mask.sum().clamp(min=1)


@pytest.mark.parametrize(
    "loss", [normalised_by_sum, normalised_by_numpy_times, divided_by_its_masks]
)
def test_weights_that_are_normalised_over_the_batch_are_named(loss):
    measured = probe(loss, X, draws=2000)
    assert says(measured, "weights are normalised over the batch")
    assert says(measured, "the curve is that of batches of 20; give your own as batch=")
    assert not measured.exact
    assert not is_called_equal(measured)


def test_normalised_weights_are_those_of_the_given_batch():
    batch = 8
    measured = probe(normalised_by_sum, X, draws=8000, batch=batch)
    assert says(measured, "batches of 8, as given")
    edges = np.linspace(-4, 4, 9)
    flow = -np.diff(np.exp(-edges / 2)) / np.diff(edges)
    found = measured.weighting(edges)[0] / flow

    rng = np.random.default_rng(0)
    others = torch.from_numpy(rng.random((20_000, batch - 1)))
    total = weight(others).sum(1).numpy()
    middle = (edges[1:] + edges[:-1]) / 2
    own = weight(torch.from_numpy(1 / (1 + np.exp(middle / 2)))).numpy()
    expected = (own[:, None] / (own[:, None] + total)).mean(1)
    ratio = found / expected
    np.testing.assert_allclose(ratio / ratio.mean(), 1, atol=0.03)
    asymptotic = found / own
    assert np.ptp(asymptotic / asymptotic.mean()) > 0.08


def test_weights_of_each_sample_alone_are_not_called_normalised():
    def loss(model, x):
        losses, t = sample_losses(model, x)
        return (weight(t) * losses).mean()

    assert probe(loss, X, draws=2000).notes == ()


# Errors of the batch, and clamps -----------------------------------------------------------------


def hardest(model, x):
    return sample_losses(model, x)[0].topk(len(x) // 2).values.mean()


def pairs(model, x):
    chosen, rejected = sample_losses(model, x)[0].chunk(2)
    return -torch.nn.functional.logsigmoid(rejected - chosen).mean()


@pytest.mark.parametrize("loss", [hardest, pairs])
def test_a_weight_by_the_errors_of_other_samples_is_refused(loss):
    measured = probe(loss, X, draws=1000)
    assert says(measured, "the weight of a sample depends on the errors of the others")
    assert not measured.exact
    with pytest.raises(ValueError, match="no weighting: the weight of a sample depends"):
        measured.weighting([0.0, 1.0])


@pytest.mark.parametrize("bound", [2.5, 5.0])
def test_a_loss_that_is_clamped_above_is_not_exact(bound):
    measured = probe(
        lambda model, x: sample_losses(model, x)[0].clamp(max=bound).mean(), X, draws=500
    )
    assert says(measured, "the loss is clamped") or says(measured, "no output gives a gradient")
    assert not measured.exact
    assert not is_called_equal(measured)


def test_a_loss_that_is_clamped_at_all_outputs_has_no_weighting():
    measured = probe(
        lambda model, x: sample_losses(model, x)[0].clamp(max=0.1).mean(), X, draws=500
    )
    assert measured.refusal.startswith("no weighting: no output gives a gradient")


def test_a_loss_that_is_clamped_below_is_not_exact():
    measured = probe(
        lambda model, x: sample_losses(model, x)[0].clamp(min=0.2).mean(), X, draws=500
    )
    assert says(measured, "clamped from below")
    assert not measured.exact


# Levels without replacement ----------------------------------------------------------------------


def from_torch(n):
    return torch.randperm(1000)[:n]


def from_multinomial(n):
    return torch.multinomial(torch.ones(1000), n)


def from_random(n):
    return torch.tensor(random.sample(range(1000), n))


def from_numpy(n):
    return torch.from_numpy(np.random.choice(1000, n, replace=False))  # noqa: NPY002


def from_permutation(n):
    return torch.from_numpy(np.random.permutation(1000)[:n])  # noqa: NPY002


def from_generator(n):
    return torch.from_numpy(np.random.default_rng().choice(1000, n, replace=False))


@pytest.mark.parametrize(
    "levels",
    [from_torch, from_multinomial, from_random, from_numpy, from_permutation, from_generator],
)
def test_levels_without_replacement_have_the_uniform_law(levels):
    def loss(model, x):
        return sample_losses(model, x, (levels(len(x)) + 0.5) / 1000)[0].mean()

    measured = probe(loss, X, draws=2000)
    _, probability, _ = measured.levels()
    np.testing.assert_allclose(probability, 1e-3)
    assert measured.exact
    assert is_called_equal(measured)


def test_a_shuffled_batch_is_not_taken_for_levels():
    def loss(model, x):
        return sample_losses(model, x[torch.randperm(len(x))])[0].mean()

    assert probe(loss, X, draws=500).kind == "u"


def test_distinct_numbers_are_a_permutation_that_starts_with_quantiles():
    order = distinct(np.array([0.99, 0.5, 0.5, 0.01, 0.98]), 10, seed=0)
    assert sorted(order) == list(range(10))
    assert set(order[:5]) == {8, 9, 5, 6, 0}


# Clean frames ------------------------------------------------------------------------------------


def test_a_random_number_of_clean_frames_leaves_the_noised_ones_readable():
    videos = torch.randn(64, 3, 2, 2, generator=torch.Generator().manual_seed(1))

    def loss(model, x):
        t = torch.rand(len(x), 1, 1, 1)
        noise = torch.randn_like(x)
        noised = torch.arange(3)[None] >= torch.randint(0, 3, (len(x), 1))
        mask = noised[..., None, None].float()
        z = mask * ((1 - t) * x + t * noise) + (1 - mask) * x
        return ((model(z, t) - (noise - x)) ** 2 * mask).mean()

    measured = probe(loss, videos, draws=3000)
    assert len(measured.parts) == 3
    for part, share in zip(measured.parts, (1 / 3, 2 / 3, 1), strict=True):
        assert part.kind == "u"
        assert len(part.logsnr) == pytest.approx(3000 * share, rel=0.02)
        np.testing.assert_allclose(part.multiplier, part.multiplier[0], rtol=1e-3)
        np.testing.assert_allclose(part.logsnr, 2 * np.log(1 / part.sigma - 1), atol=1e-2)
