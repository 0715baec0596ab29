"""What a loss does in a few calls or samples alone, and what repeats because of the batch.

A first look at one call sees none of it. Each is read right, or named in a note.
"""

import itertools
import random
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import diffviz as dv
from diffviz.probing.measure import probe

pytestmark = pytest.mark.slow

FRAMES = 4


@pytest.fixture(scope="module")
def x():
    return 0.5 * torch.randn(64, FRAMES, 4, 4, generator=torch.Generator().manual_seed(0))


def wide(t, x):
    return t.reshape(len(x), *[1] * (x.ndim - 1))


def flow(model, x, t=None, noise=None):
    """Flow matching on the linear path: w = exp(-λ/2) for uniform times."""
    t = torch.rand(len(x)) if t is None else t
    noise = torch.randn_like(x) if noise is None else noise
    level = wide(t, x)
    return ((model((1 - level) * x + level * noise, t) - (noise - x)) ** 2).mean()


def says(measured, text):
    return any(text in note for note in measured.notes)


# Rare in calls or samples ------------------------------------------------------------------------


def clean_first_frame(model, x):
    level = wide(torch.rand(len(x)), x).expand(-1, FRAMES, 1, 1).clone()
    if random.random() < 0.08:
        level[:, 0] = 0
    noise = torch.randn_like(x)
    return ((model((1 - level) * x + level * noise) - (noise - x)) ** 2).mean()


def clipped_in_the_tail(model, x):
    sigma = wide((1.2 * torch.randn(len(x)) - 1.2).exp(), x)
    z = (x + sigma * torch.randn_like(x)).clamp(-20, 20)
    return ((model(z, sigma) - x) ** 2 / sigma**2).mean()


def clipped_noise(model, x):
    return flow(model, x, noise=torch.randn_like(x).clamp(-4, 4))


class CycleOfLaws:
    """Every twelfth call draws other times, by a counter that a replay cannot put back."""

    def __init__(self):
        self.turn = itertools.cycle([0] * 11 + [1])

    def __call__(self, model, x):
        return flow(model, x, torch.rand(len(x)) * (0.3 if next(self.turn) else 1))


@pytest.mark.parametrize(
    "loss", [clean_first_frame, clipped_in_the_tail, clipped_noise, CycleOfLaws()]
)
def test_what_a_few_draws_do_otherwise_is_named(loss, x):
    measured = dv.probe(loss, x, draws=4000)
    assert says(measured, "of the draws z or the target is made otherwise than in the rest")
    assert not measured.exact
    assert "equal to" not in str(measured)


def test_a_loss_that_does_always_the_same_has_no_such_note(x):
    assert probe(flow, x, draws=4000).notes == ()


def test_another_target_in_a_few_calls_is_named(x):
    def loss(model, x):
        t, noise = torch.rand(len(x)), torch.randn_like(x)
        target = x if random.random() < 0.08 else noise - x
        return ((model((1 - wide(t, x)) * x + wide(t, x) * noise, t) - target) ** 2).mean()

    measured = dv.probe(loss, x, draws=4000)
    assert says(measured, "w is an average over several targets")
    assert "equal to" not in str(measured)


def test_another_target_of_few_samples_is_named_too(x):
    def loss(model, x):
        t, noise = torch.rand(len(x)), torch.randn_like(x)
        target = torch.where(torch.rand(len(x), 1, 1, 1) < 0.03, x, noise - x)
        return ((model((1 - wide(t, x)) * x + wide(t, x) * noise, t) - target) ** 2).mean()

    measured = probe(loss, x, draws=4000)
    assert says(measured, "of the draws the target is another one")
    assert not measured.exact


def test_a_target_without_a_name_is_not_taken_for_several(x):
    def loss(model, x):
        t, noise = torch.rand(len(x)), torch.randn_like(x)
        z = (1 - wide(t, x)) * x + wide(t, x) * noise
        target = (1 + wide(t, x)) * noise - wide(t, x) ** 2 * x
        return ((model(z, t) - target) ** 2).mean()

    measured = probe(loss, x, draws=2000)
    assert measured.kind == "other"
    assert measured.notes == ()


def test_noise_that_is_added_now_and_then_is_refused_in_words(x):
    def loss(model, x):
        noise = torch.randn_like(x)
        if random.random() < 0.1:
            noise = noise + 0.5 * torch.randn(len(x), FRAMES, 1, 1)
        return flow(model, x, noise=noise)

    with pytest.raises(ValueError, match="1 noises in some calls and 2 in others"):
        probe(loss, x, draws=4000)


def test_laws_with_one_mean_and_several_widths_are_told_to_differ_between_calls(x):
    def loss(model, x):
        narrow = np.random.choice([True, False])  # noqa: NPY002
        size = 0.4 if narrow else 2.0
        return flow(model, x, torch.sigmoid(size * torch.randn(len(x))))

    assert says(probe(loss, x, draws=4000), "levels differ between calls of the loss")


# Targets of networks that answer in other forms --------------------------------------------------


@dataclass
class Sample:
    sample: Tensor


class Teacher(nn.Module):
    """A network without others inside it, whose answer is no bare tensor."""

    def __init__(self, form):
        super().__init__()
        self.weight = nn.Parameter(torch.full((FRAMES, FRAMES, 1, 1), 0.3))
        self.form = form

    def forward(self, z):
        return self.form(F.conv2d(z, self.weight))


FORMS = {
    "tuple": (lambda out: (out, None), lambda answer: answer[0]),
    "dict": (lambda out: {"sample": out}, lambda answer: answer["sample"]),
    "object": (Sample, lambda answer: answer.sample),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_teacher_is_found_whatever_the_form_of_its_answer(name, x):
    form, read = FORMS[name]
    teacher = Teacher(form)

    def loss(model, x):
        t, noise = torch.rand(len(x)), torch.randn_like(x)
        z = (1 - wide(t, x)) * x + wide(t, x) * noise
        with torch.no_grad():
            target = read(teacher(z))
        return ((model(z, t) - 0.5 * target - 0.5 * (noise - x)) ** 2).mean()

    measured = dv.probe(loss, x, draws=500)
    assert measured.kind == "network"
    assert says(measured, "another network (Teacher)")
    assert "catalogue" not in str(measured)


def test_a_target_that_z_tells_has_no_weighting(x):
    def loss(model, x):
        t = wide(torch.rand(len(x)), x)
        z = (1 - t) * x + t * torch.randn_like(x)
        return ((model(z) - 0.5 * z) ** 2).mean()

    measured = dv.probe(loss, x, draws=500)
    assert says(measured, "the target is a multiple of z")
    assert "catalogue" not in str(measured)
    with pytest.raises(ValueError, match="no weighting: the target is a multiple of z"):
        measured.weighting([-1.0, 1.0])


# What the batch repeats --------------------------------------------------------------------------


def off(measured):
    edges = measured.edges(40, 0.98)
    exact = -np.diff(np.exp(-edges / 2)) / np.diff(edges)
    ratio = measured.weighting(edges)[0] / exact
    return np.abs(ratio / np.median(ratio) - 1).max()


@pytest.mark.parametrize("batch", [None, 6, 40])
def test_evenly_spread_times_with_one_offset_are_continuous_in_all_batches(batch, x):
    """Offsets are even modulo 1/batch too, where batch and number of calls have a divisor."""

    def loss(model, x):
        return flow(model, x, (torch.rand(1) + torch.arange(len(x)) / len(x)) % 1)

    measured = probe(loss, x, draws=3600, batch=batch)
    assert not measured.discrete
    assert off(measured) < 0.01


@pytest.mark.parametrize("batch", [None, 32])
def test_one_time_a_batch_is_no_table(batch, x):
    def loss(model, x):
        return flow(model, x, torch.rand(1).expand(len(x)))

    report = dv.probe(loss, x, draws=400, batch=batch)
    assert not report.discrete
    assert "levels" not in str(report)
    assert dv.closest(report, 1)[0].deviation < 0.05


def test_samples_that_are_seen_twice_are_no_table(x):
    def loss(model, x):
        t, noise = torch.rand(len(x)), torch.randn_like(x)
        z = (1 - wide(t, x)) * x + wide(t, x) * noise
        both = model(torch.cat([z, z.flip(-1)]), t.repeat(2))
        target = noise - x
        return ((both - torch.cat([target, target.flip(-1)])) ** 2).mean()

    measured = probe(loss, x, draws=4000)
    assert not measured.discrete
    assert off(measured) < 0.01


def test_levels_that_all_calls_share_are_told_to_depend_on_the_batch(x):
    def loss(model, x):
        return flow(model, x, (torch.randperm(len(x)) + 0.5) / len(x))

    assert says(probe(loss, x, draws=4000), "all calls have the same 40 levels")
    assert not says(probe(loss, x, draws=4000, batch=40), "all calls")


def test_weights_between_far_levels_follow_an_exponential(x):
    """In the tails levels lie nats apart, over which w grows by factors: 1.9 % off by lines."""
    measured = dv.probe(flow, x, draws=4000)
    assert dv.closest(measured, 1)[0].deviation < 1e-3


def test_a_target_that_a_coin_of_numpy_chooses_for_each_call_is_an_average(x):
    """Levels next to each other come from calls that threw the coin alike."""

    def loss(model, x):
        t, noise = torch.rand(len(x)), torch.randn_like(x)
        level = wide(t, x)
        target = noise - x if np.random.rand() < 0.5 else noise  # noqa: NPY002
        return ((model((1 - level) * x + level * noise, t) - target) ** 2).mean()

    measured = probe(loss, x, draws=4000)
    assert measured.kind == "other"
    assert not measured.exact
    (note,) = (note for note in measured.notes if "w is an average over several targets" in note)
    assert float(note.split()[1]) > 0.25


@pytest.mark.parametrize("kind", ["x", "eps"])
def test_an_output_that_is_turned_into_another_target_is_read_as_what_it_is(kind, x):
    """The error of v is that of x over sigma, and that of eps over alpha."""

    def loss(model, x):
        t, noise = torch.rand(len(x)), torch.randn_like(x)
        alpha, sigma = torch.cos(wide(t, x) * np.pi / 2), torch.sin(wide(t, x) * np.pi / 2)
        z = alpha * x + sigma * noise
        output = model(z, t)
        data = output if kind == "x" else (z - sigma * output) / alpha
        eps = (z - alpha * output) / sigma if kind == "x" else output
        return ((alpha * eps - sigma * data - (alpha * noise - sigma * x)) ** 2).mean()

    measured = dv.probe(loss, x, draws=4000)
    assert measured.kind == kind
    assert not measured.notes
    assert "equal to" in str(measured)
    assert dv.closest(measured, 1)[0].deviation < 1e-3


GENERATOR = np.random.default_rng(5)
COIN = GENERATOR.random


def times_of_a_function(n):
    return torch.from_numpy(GENERATOR.random(n)).float()


def test_generators_are_reached_by_their_methods_and_by_functions_that_use_them(x):
    def loss(model, x):
        return (1 + (COIN() < 0.5)) * flow(model, x, times_of_a_function(len(x)))

    before = GENERATOR.bit_generator.state
    measured = probe(loss, x, draws=4000)
    assert measured.kind == "u"
    assert GENERATOR.bit_generator.state == before


def test_a_weight_that_cannot_be_replayed_is_refused(x):
    """One for each sample: of a single one two draws could come out nearly alike."""
    source = random.SystemRandom()

    def loss(model, x):
        t, eps = torch.rand(len(x)), torch.randn_like(x)
        z = (1 - wide(t, x)) * x + wide(t, x) * eps
        weights = torch.tensor([0.5 + source.random() for _ in x])
        return (wide(weights, x) * (model(z, t) - (eps - x)).square()).mean()

    with pytest.raises(ValueError, match="the loss draws what cannot be replayed"):
        probe(loss, x, draws=4000)


# Where a loss looks ------------------------------------------------------------------------------


def test_a_loss_that_leaves_levels_out_is_equal_on_the_others_alone(x):
    """Times from 0.3 on: log-SNR below 2 log(7/3) = 1.69, which 70 % of uniform times have."""
    report = dv.probe(lambda model, x: flow(model, x, 0.3 + 0.7 * torch.rand(len(x))), x)
    assert "to 1.69 alone, 70% of what the entry draws" in str(report)
    assert "alone" not in str(dv.probe(flow, x, draws=4000))
