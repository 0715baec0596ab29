"""Losses in which the weight of a sample is not its own, and clamped ones."""

import random

import numpy as np
import pytest
import torch
from flow_curve import off_flow_matching

from diffviz.probing.coupling import without_common_factors
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


def halves(x, frame="linear"):
    """z, target and time of chosen and rejected halves with the same time and noise."""
    n = len(x) // 2
    t = torch.rand(n).repeat(2)[:, None]
    noise = torch.randn(n, x.shape[1]).repeat(2, 1)
    if frame == "linear":
        return (1 - t) * x + t * noise, noise - x, t
    alpha, sigma = torch.cos(t), torch.sin(t)
    return alpha * x + sigma * noise, alpha * noise - sigma * x, t


REFERENCE = torch.nn.Linear(8, 8)


def preference(model, x):
    """Diffusion-DPO (Wallace et al. 2023): errors less those of a frozen network."""
    z, target, t = halves(x)
    ours = ((model(z, t) - target) ** 2).mean(1)
    with torch.no_grad():
        reference = ((REFERENCE(z) - target) ** 2).mean(1)
    chosen, rejected = (ours - reference).chunk(2)
    return -torch.nn.functional.logsigmoid(-5 * (chosen - rejected)).mean()


def preference_by_its_own_adapter(model, x):
    """The reference is the same network, called without gradients."""
    z, target, t = halves(x, "circle")
    ours = ((model(z, t) - target) ** 2).mean(1)
    with torch.no_grad():
        reference = ((model(z, t) - target) ** 2).mean(1)
    chosen, rejected = (ours - reference).chunk(2)
    return -torch.nn.functional.logsigmoid(-5 * (chosen - rejected)).mean()


@pytest.mark.parametrize(
    ("loss", "kind"),
    [(hardest, "u"), (pairs, "u"), (preference, "u"), (preference_by_its_own_adapter, "v")],
)
def test_the_target_of_a_loss_of_pairs_is_named_though_it_has_no_weighting(loss, kind):
    measured = probe(loss, X, draws=400)
    assert measured.kind == kind
    assert "path, density and target are as told" in measured.refusal
    assert np.isnan(measured.multiplier).all()
    assert not is_called_equal(measured)


def test_a_reference_that_weights_samples_is_no_target_from_a_network():
    notes = probe(preference, X, draws=400).notes
    assert any("the weight of a sample depends on another network (Linear)" in n for n in notes)
    assert not any("the target depends on" in n for n in notes)


def groups(model, x):
    """Errors of four samples each, whether they have a model's own order or not."""
    return sample_losses(model, x)[0].reshape(-1, 4)


def best_of_group(model, x):
    return -torch.log_softmax(-3 * groups(model, x), 1)[:, 0].mean()


def plackett_luce(model, x):
    scores = -3 * groups(model, x)
    rest = torch.logcumsumexp(scores.flip(1), 1).flip(1)
    return (rest - scores).sum(1).mean()


def contrastive(model, x):
    scores = -sample_losses(model, x)[0]
    return (torch.logsumexp(scores, 0) - scores).mean() + (scores.softmax(0) * scores).sum()


def neighbours(model, x):
    winner, loser = sample_losses(model, x)[0].reshape(-1, 2).T
    return -torch.nn.functional.logsigmoid(3 * (loser - winner)).mean()


@pytest.mark.parametrize("loss", [best_of_group, plackett_luce, contrastive, neighbours])
def test_the_target_of_a_loss_that_ranks_samples_is_named(loss):
    measured = probe(loss, X, draws=400)
    assert measured.kind == "u"
    assert says(measured, "the weight of a sample depends on the errors of the others")
    assert "path, density and target are as told" in measured.refusal
    assert not is_called_equal(measured)


def clamped(model, x):
    return sample_losses(model, x)[0].clamp(max=2.5).mean()


def at_most(model, x):
    return torch.minimum(sample_losses(model, x)[0], torch.tensor(3.0)).mean()


@pytest.mark.parametrize(("loss", "sign"), [(clamped, 1), (at_most, 1), (clamped, -1)])
def test_a_clamped_loss_is_read_below_its_bound(loss, sign):
    """Errors of the outputs 0 and ±1 are beyond these bounds in many samples."""
    measured = probe(lambda model, x: sign * loss(model, x), X, draws=1000, batch=100)
    assert measured.kind == "u"
    assert says(measured, "the loss is clamped")
    assert says(measured, "have a negative weight") == (sign < 0)
    assert not is_called_equal(measured)
    assert np.sign(measured.multiplier).mean() == sign
    assert off_flow_matching(measured) < 0.01


def test_a_clamped_loss_of_a_target_without_a_name_is_refused():
    def loss(model, x):
        t = torch.rand(len(x))[:, None]
        noise = torch.randn_like(x)
        error = model((1 - t) * x + t * noise, t) - (2 * noise - t * x)
        return (error**2).mean(1).clamp(max=2.5).mean()

    assert probe(loss, X, draws=400).refusal.startswith("no weighting: the loss is clamped")


def test_weights_of_both_signs_are_averaged_and_named():
    def loss(model, x):
        losses, t = sample_losses(model, x)
        return ((t - 0.3) * losses).mean()

    measured = probe(loss, X, draws=1000)
    assert says(measured, "of the draws have a negative weight")
    assert not measured.exact
    edges = np.linspace(-4, 4, 9)
    middle = (edges[1:] + edges[:-1]) / 2
    expected = (1 / (1 + np.exp(middle / 2)) - 0.3) * np.exp(-middle / 2)
    found = measured.weighting(edges)[0]
    np.testing.assert_allclose(found / found[0], expected / expected[0], atol=0.05)


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

    measured = probe(loss, X, draws=2000, batch=200)
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


# Losses divided by themselves --------------------------------------------------------------------


def rising(model, x):
    """Flow matching with a weight 1 + 3 t, which a common factor must not hide."""
    t = torch.rand(len(x))
    return (1 + 3 * t) * sample_losses(model, x, t)[0]


def by_its_mean(model, x):
    loss = rising(model, x).mean()
    return loss / loss.detach()


class ByRunningMean:
    """Divided by a running mean of itself, which starts with the first loss."""

    def __init__(self):
        self.mean = None

    def __call__(self, model, x):
        loss = rising(model, x).mean()
        last = loss.detach()
        self.mean = last if self.mean is None else 0.9 * self.mean + 0.1 * last
        return loss / self.mean


def by_running_mean_of_a_closure():
    mean = 1.0

    def loss(model, x):
        nonlocal mean
        value = rising(model, x).mean()
        mean = 0.9 * mean + 0.1 * float(value.detach())
        return value / mean

    return loss


@pytest.mark.parametrize("loss", [by_its_mean, ByRunningMean(), by_running_mean_of_a_closure()])
def test_a_loss_divided_by_itself_tells_levels_apart(loss):
    measured = probe(loss, X, draws=400)
    assert measured.kind == "u"
    assert says(measured, "gradients are divided by what the errors of the whole batch give")
    assert not measured.exact
    t = 1 / (1 + np.exp(measured.logsnr / 2))
    relative = measured.multiplier / (1 + 3 * t)
    np.testing.assert_allclose(relative / relative.mean(), 1, atol=0.02)


def test_a_batch_of_one_level_divided_by_itself_has_no_weighting():
    def loss(model, x):
        value = sample_losses(model, x, torch.rand(1).expand(len(x)))[0].mean()
        return value / value.detach()

    measured = probe(loss, X, draws=100)
    assert measured.refusal.startswith("no weighting: a batch has one level")


def test_losses_of_samples_divided_by_themselves_are_read_at_one_error():
    def loss(model, x):
        losses = sample_losses(model, x)[0]
        return (losses / losses.detach()).mean()

    measured = probe(loss, X, draws=200)
    assert measured.kind == "u"
    np.testing.assert_allclose(measured.multiplier / measured.multiplier.mean(), 1, rtol=0.01)
    assert says(measured, "the factor is local")


def test_common_factors_of_calls_are_taken_out_and_nothing_else():
    rng = np.random.default_rng(0)
    logsnr = rng.logistic(size=600)
    call = np.arange(600) % 30
    own = np.exp(0.3 * logsnr)
    h = own * rng.lognormal(sigma=2, size=30)[call]
    ratio = without_common_factors(h, logsnr, call) / own
    np.testing.assert_allclose(ratio / ratio.mean(), 1, atol=0.02)


@pytest.mark.parametrize("weight", [0.0, -1.0, np.nan])
def test_draws_without_a_positive_weight_tell_nothing_of_common_factors(weight):
    rng = np.random.default_rng(0)
    logsnr = rng.logistic(size=600)
    call = np.arange(600) % 30
    h = np.exp(0.3 * logsnr) * rng.lognormal(sigma=2, size=30)[call]
    is_known = np.arange(600) % 7 > 0
    found = without_common_factors(np.where(is_known, h, weight), logsnr, call)
    alone = without_common_factors(h[is_known], logsnr[is_known], call[is_known])
    np.testing.assert_allclose(found[is_known], alone, rtol=1e-12)
    np.testing.assert_array_equal(np.sign(found[~is_known]), np.sign(weight))
