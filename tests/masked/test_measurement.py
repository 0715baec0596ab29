"""The probe of masked losses, on losses written from papers, and what it refuses."""

import math
import random
import re
from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from masked_losses import LOSSES, MASK, VOCABULARY

import diffviz as dv
from diffviz.masked import closest_masked
from diffviz.masked.measurement import weight_elsewhere
from diffviz.masked.replay import Draws, Plan

X = torch.randint(0, VOCABULARY, (16, 16), generator=torch.Generator().manual_seed(0))


@cache
def probed(loss, draws=256):
    return dv.probe_masked(loss, X, vocabulary=VOCABULARY + 1, draws=draws)


def entropies(model, x, hidden):
    logits = model(torch.where(hidden, MASK, x))
    return F.cross_entropy(logits.transpose(1, 2), x, reduction="none")


# --- losses of papers -----------------------------------------------------------------------------

COUNTED = ("maskgit", "amused", "mask-predict", "any-order")


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_of_a_paper_has_the_weights_of_its_entry(name):
    entry = dv.masked_objective(name)
    measured = probed(LOSSES[name])
    truth = entry.count_weights(measured.length)
    assert weight_elsewhere(measured.count_weights(), truth) < 0.02
    assert measured.masks == ("counted" if name in COUNTED else "independent")
    assert measured.is_elbo == dv.compare(entry, dv.masked_objective("elbo")).same


AVERAGES = {
    "mdlm": "length",
    "elbo": "sum",
    "md4-cosine": "sum",
    "llada": "length",
    "sedd-absorb": "sum",
    "maskgit": "masked",
    "amused": "batch",
    "mask-predict": "batch",
    "any-order": "masked",
    "dplm": "batch",
    "dream-linear": "batch",
    "bd3lm": "length",
    "masked-mean": "masked",
    "simple": "length",
}


@pytest.mark.parametrize("name", AVERAGES)
def test_the_probe_tells_what_a_sum_is_divided_by(name):
    assert probed(LOSSES[name]).average == AVERAGES[name]


LAWS = {
    "llada": "uniform masking rate",
    "md4-cosine": "m = sin(πt/2), MaskGIT's cosine",
    "maskgit": "m = sin(πt/2), MaskGIT's cosine, rounded up",
    "amused": "m = sin(πt/2), MaskGIT's cosine, rounded to the nearest",
    "any-order": "uniform masking rate, rounded up",
}


@pytest.mark.parametrize("name", LAWS)
def test_the_probe_names_the_law_of_rates(name):
    assert probed(LOSSES[name]).rate_law == LAWS[name]


def test_the_weighting_of_an_independent_loss_is_that_of_its_entry():
    for name in ("llada", "md4-cosine", "masked-mean", "simple", "dream-linear"):
        measured = probed(LOSSES[name])
        edges = measured.edges(12, 0.8)
        middle = (edges[1:] + edges[:-1]) / 2
        ratio = measured.weighting(edges) / dv.masked_objective(name).weighting(middle)
        constant = np.median(ratio)
        assert constant == pytest.approx(1, rel=0.03)  # the code's own constant too
        assert np.abs(ratio / constant - 1).max() < 0.05


def test_the_density_of_a_uniform_rate_is_logistic():
    measured = probed(LOSSES["simple"])
    edges = measured.edges(8, 0.8)
    middle = (edges[1:] + edges[:-1]) / 2
    truth = 1 / (np.cosh(middle / 2) ** 2 * 4)
    assert measured.density(edges) == pytest.approx(truth, rel=0.05)


def test_smoothed_labels_and_shifted_logits_are_noticed():
    assert probed(LOSSES["maskgit"]).smoothing == pytest.approx(0.1, abs=1e-4)
    shifted = str(probed(LOSSES["dream-linear"]))
    assert "logits of a token stand one place before it" in shifted
    assert "never masked, as those of a prompt: 1 of 16" in shifted


def test_steps_of_a_rate_are_counted():
    assert "in steps of 1/20" in probed(lambda m, x: LOSSES["dplm"](m, x, steps=20)).rate_law


def uniform(model, x):
    t = torch.rand(len(x), 1)
    hidden = torch.rand(x.shape) < t
    return (entropies(model, x, hidden) * hidden / t).sum(1).mean()


@pytest.mark.parametrize("draws", [64, 128])
def test_numbers_of_few_masked_tokens_that_agree_by_chance_are_not_fixed(draws):
    measured = dv.probe_masked(uniform, X[:2, :4], vocabulary=VOCABULARY + 1, draws=draws)
    assert measured.masks == "independent"
    assert measured.rate_law == "uniform masking rate"


def test_the_nearest_entries_average_alike():
    assert closest_masked(probed(LOSSES["masked-mean"]), 1)[0].name == "masked-mean"
    assert closest_masked(probed(LOSSES["amused"]), 2)[0].name in ("amused", "show-o")
    with pytest.raises(TypeError, match="must come from"):
        closest_masked(dv.masked_objective("mdlm"))


# --- other losses that are read -------------------------------------------------------------------


def prompt(model, x):
    t = torch.rand(len(x), 1)
    hidden = torch.rand(x.shape) < t
    hidden[:, :4] = False
    return (entropies(model, x, hidden) * hidden / t).sum() / (x.shape[1] - 4) / len(x)


def kept_side(model, x):
    t = torch.rand(len(x), 1)
    hidden = torch.rand(x.shape) >= t
    return (entropies(model, x, hidden) * hidden / (1 - t)).sum(1).mean()


def categories(model, x):
    t = torch.rand(len(x), 1)
    kept = (1 - t)[..., None] * F.one_hot(x, VOCABULARY)
    law = torch.cat([kept, t[..., None].expand(*x.shape, 1)], -1)
    hidden = torch.distributions.Categorical(law).sample() == MASK
    return (entropies(model, x, hidden) * hidden / t).sum(1).mean()


def one_rate_for_all(model, x):
    t = torch.rand(1)
    hidden = torch.rand(x.shape) < t
    return (entropies(model, x, hidden) * hidden / t).mean()


def score_entropy_to_pure_noise(model, x):
    """SEDD's under a constant rate of masking, with p_hat for the scores: weights down to e^−20."""
    total = 1e-3 + (20 - 1e-3) * torch.rand(len(x), 1)
    rate = -torch.expm1(-total)
    hidden = torch.rand(x.shape) < rate
    ratio = torch.exp(-total) / rate
    return (ratio * entropies(model, x, hidden) * hidden).sum(1).mean()


def one_number_for_all(model, x):
    t = torch.rand(())
    hidden = torch.rand(x.shape) < t
    return (entropies(model, x, hidden) * hidden / t).mean()


def loop(model, x):
    hidden = torch.zeros(x.shape, dtype=torch.bool)
    for row in hidden:
        number = int(torch.randint(1, x.shape[1] + 1, (1,)))
        row[torch.randperm(x.shape[1])[:number]] = True
    each = entropies(model, x, hidden) * hidden
    return (each.sum(1) / hidden.sum(1)).mean()


ELBOS = (
    prompt,
    kept_side,
    categories,
    one_rate_for_all,
    one_number_for_all,
    score_entropy_to_pure_noise,
    loop,
)


@pytest.mark.parametrize("loss", ELBOS)
def test_elbos_in_other_forms_are_recognised(loss):
    assert probed(loss).is_elbo


def test_a_prompt_is_left_out_of_the_length():
    measured = probed(prompt)
    assert measured.length == 12 and measured.average == "length"


def test_rates_that_are_estimated_are_said_to_be():
    assert "rates are estimated" in str(probed(categories))


def test_visible_tokens_that_count_are_noted():
    def all_tokens(model, x):
        return entropies(model, x, torch.rand(x.shape) < torch.rand(len(x), 1)).mean()

    assert "visible count too" in str(probed(all_tokens))


def test_a_logit_normal_rate_is_named():
    def loss(model, x):
        t = torch.sigmoid(1 + 2 * torch.randn(len(x), 1))
        hidden = torch.rand_like(x, dtype=torch.float) < t
        return (entropies(model, x, hidden) * hidden).sum(1).mean()

    words = r"logit-normal masking rate, λ = -1\.0\d ± (1\.9\d|2\.00)"
    assert re.fullmatch(words, probed(loss).rate_law)


# --- refusals -------------------------------------------------------------------------------------


def focal(model, x):
    hidden = torch.rand(x.shape) < torch.rand(len(x), 1)
    each = entropies(model, x, hidden)
    return ((1 - torch.exp(-each)) * each * hidden).mean()


def by_distance(model, x):
    hidden = torch.rand(x.shape) < torch.rand(len(x), 1)
    place = torch.arange(x.shape[1])
    near = 0.7 ** (place[:, None] - place).abs()
    return (entropies(model, x, hidden) * hidden * ((~hidden).float() @ near)).mean()


def other_tokens(model, x):
    replaced = torch.rand(x.shape) < torch.rand(len(x), 1)
    z = torch.where(replaced, torch.randint(0, VOCABULARY, x.shape), x)
    return F.cross_entropy(model(z).transpose(1, 2), x)


def outside_torch(model, x):
    hidden = torch.from_numpy(np.random.rand(*x.shape)) < random.random()  # noqa: NPY002
    return (entropies(model, x, hidden) * hidden).mean()


def nothing(model, x):
    return F.cross_entropy(model(x).transpose(1, 2), x)


def both_halves(model, x):
    hidden = torch.rand(x.shape) < torch.rand(len(x), 1)
    return entropies(model, x, hidden).mean() + entropies(model, x, ~hidden).mean()


def squared(model, x):
    hidden = torch.rand(x.shape) < torch.rand(len(x), 1)
    target = F.one_hot(x, VOCABULARY + 1)
    return ((model(torch.where(hidden, MASK, x)) - target) ** 2).mean()


def squared_count(model, x):
    hidden = torch.rand(x.shape) < torch.rand(len(x), 1)
    each = (entropies(model, x, hidden) * hidden).sum(1)
    return (each / hidden.sum(1).clamp(min=1) ** 2).mean()


def rate_of_each_token(model, x):
    hidden = torch.rand(x.shape) < torch.rand(x.shape)
    return (entropies(model, x, hidden) * hidden).mean()


def free_score(model, x):
    """A score entropy whose scores are exp(logits), which pays for their scale too."""
    t = torch.rand(len(x), 1)
    z = torch.where(torch.rand(x.shape) < t, MASK, x)
    log_score = model(z)[..., :VOCABULARY]
    ratio = (1 - t) / t
    own = log_score.gather(-1, x[..., None])[..., 0]
    return ((log_score.exp().sum(-1) - ratio * own) * (z == MASK)).sum(1).mean()


def of_no_weight(model, x):
    return LOSSES["simple"](model, x) * 0.0


def upside_down(model, x):
    return -LOSSES["simple"](model, x)


def infinite_weight(model, x):
    t = torch.rand(len(x), 1)
    hidden = torch.rand(x.shape) < t
    return (entropies(model, x, hidden) * hidden / (t > 0.3)).mean()


def mask_in_data(model, x):
    hidden = torch.rand(x.shape) < torch.rand(len(x), 1)
    logits = model(torch.where(hidden, x[0, 0], x))
    return (torch.nn.functional.cross_entropy(logits.mT, x, reduction="none") * hidden).mean()


def in_bfloat16(model, x):
    return LOSSES["simple"](lambda z: model(z).bfloat16(), x)


def for_each_token(model, x):
    hidden = torch.rand(x.shape) < torch.rand(len(x), 1)
    return entropies(model, x, hidden) * hidden


REFUSED = {
    infinite_weight: "NaN or infinite: a weight is not finite",
    mask_in_data: "that replaces others is in x too",
    in_bfloat16: "no more digits than bfloat16",
    for_each_token: r"one number as a tensor, got a tensor of shape",
    of_no_weight: "the gradient of the loss in the logits is 0",
    upside_down: "negative weight",
    focal: "depends on its own cross-entropy",
    by_distance: "different weights",
    other_tokens: "noise by other tokens",
    outside_torch: "draws outside torch",
    nothing: "nothing is masked",
    both_halves: "calls its network more than once",
    squared: "no weighted cross-entropy",
    squared_count: "no function of the masking rate",
    rate_of_each_token: "one uniform number for each token",
    free_score: "no weighted cross-entropy",
}


@pytest.mark.parametrize("loss", REFUSED, ids=lambda loss: loss.__name__)
def test_what_is_no_weighting_is_refused_in_words(loss):
    with pytest.raises(ValueError, match=REFUSED[loss]):
        probed(loss)


def test_an_error_of_the_loss_says_what_the_network_answered():
    with pytest.raises(IndexError) as caught:
        probed(lambda model, x: model(x.masked_fill(torch.rand(x.shape) < 0.5, MASK))["logits"][0])
    assert "answered with logits of shape" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"loss": 3}, TypeError, "loss must be callable"),
        ({"x": torch.rand(4, 4)}, TypeError, "x must hold tokens"),
        ({"x": torch.zeros(4, dtype=torch.long)}, ValueError, "shape"),
        ({"x": None}, TypeError, "x must "),
        ({"x": "some text"}, TypeError, "x must "),
        ({"x": [[1, 2, 3], [1, 2]]}, TypeError, "x must be an array of tokens"),
        ({"x": X - 100}, ValueError, "x must hold tokens of at least 0, got -100"),
        ({"x": X + 10**7, "vocabulary": None}, ValueError, "number the tokens from 0"),
        ({"vocabulary": 10**7}, ValueError, "logits each"),
        ({"vocabulary": 3}, ValueError, "vocabulary must be above"),
        ({"draws": 10}, ValueError, "draws must be at least 64"),
        ({"loss": lambda m, x: None}, ValueError, "does not call its network"),
        ({"loss": lambda m, x: m(x[:, :3]).sum()}, ValueError, "holds tokens of shape"),
    ],
)
def test_wrong_arguments_are_refused(arguments, error, words):
    given = {"loss": LOSSES["simple"], "x": X, "vocabulary": 9, "draws": 64} | arguments
    loss, x = given.pop("loss"), given.pop("x")
    with pytest.raises(error, match=words):
        dv.probe_masked(loss, x, **given)


# --- replay ---------------------------------------------------------------------------------------


def test_times_are_even_over_all_batches_and_over_each_row():
    times = np.array([Plan(b, 32, (8, 4)).probabilities((8, 1), 0)[:, 0] for b in range(32)])
    even = (np.arange(256) + 0.5) / 256
    assert np.abs(np.sort(times.ravel()) - even).max() < 1 / 256
    assert np.abs(np.sort(times, 0) - ((np.arange(32) + 0.5) / 32)[:, None]).max() < 0.15


def test_the_state_of_the_generator_is_left_as_it_was():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    probed.__wrapped__(LOSSES["simple"], 64)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_run_is_the_same_with_the_same_plan():
    def draws(seed):
        with Draws(Plan(0, 4, (4, 8), seed)):
            return torch.rand(4, 1), torch.rand(4, 8), torch.randint(0, 9, (4, 8))

    first, again, other = draws(1), draws(1), draws(2)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert torch.equal(first[0], other[0]) and not torch.equal(first[1], other[1])


def test_measuring_twice_gives_the_same():
    first = probed(LOSSES["mdlm"])
    again = probed.__wrapped__(LOSSES["mdlm"])
    assert np.array_equal(first.logsnr, again.logsnr)
    assert np.array_equal(first.multiplier, again.multiplier)


def test_rates_are_found_to_all_digits():
    def loss(model, x):
        t = torch.tensor([[math.pi / 4]] * len(x)) * torch.linspace(0.5, 1, len(x))[:, None]
        hidden = torch.rand(x.shape) < t
        return (entropies(model, x, hidden) * hidden).mean()

    measured = probed(loss)
    rate = np.unique(1 / (1 + np.exp(measured.logsnr)))
    truth = math.pi / 4 * np.linspace(0.5, 1, 16)
    assert len(rate) >= 16
    assert np.abs(rate[:, None] - truth).min(1).max() < 1e-6


def test_what_is_for_squared_losses_says_what_to_use_for_a_masked_one():
    measured = probed(LOSSES["mdlm"])
    with pytest.raises(TypeError, match=r"diffviz\.masked\.closest_masked\(measured\)"):
        dv.closest(measured)
    with pytest.raises(TypeError, match=r"print\(measured\).*closest_masked\(measured\)"):
        dv.report(measured)
    with pytest.raises(TypeError, match=r"dv\.verdict and lab\.explorers\.MaskedExplorer"):
        dv.report(dv.masked_objective("mdlm"))
    with pytest.raises(TypeError, match=r"for tokens dv\.probe_masked"):
        dv.probe(LOSSES["mdlm"], X)
    for ask in (dv.verdict, dv.share_below, lambda w: dv.compare(w, dv.objective("edm"))):
        with pytest.raises(TypeError, match=r"weighting\(edges, base=\"elbo\"\)"):
            ask(measured)
    edges = measured.edges(bins=12)
    relative = measured.weighting(edges, base="elbo")
    assert dv.verdict(relative, (edges[1:] + edges[:-1]) / 2).logsnr.shape == (12,)
