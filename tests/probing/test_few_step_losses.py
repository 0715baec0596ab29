"""Losses of few-step models from their papers' pseudo-code: which of them they are like."""

import re

import pytest
import torch

import diffviz as dv

NAMES = {
    "meanflow": r"MeanFlow \('meanflow'\)",
    "improved_meanflow": r"improved MeanFlow \('imeanflow'\)",
    "shortcut": r"shortcut models \('shortcut'\)",
    "consistency": r"consistency training \('consistency', 'ict'\)",
}
ON_THE_DIAGONAL = {"meanflow": 0.75, "improved_meanflow": 0.5, "shortcut": 0.75}
POINTS = 64


def column(values):
    return values[:, None]


def noised(x, t):
    noise = torch.randn_like(x)
    return (1 - column(t)) * x + column(t) * noise, noise - x


def two_times(count, law, diagonal):
    """Two draws of a law, the larger first; equal in the first part of the batch."""
    first, second = law(count), law(count)
    t, r = torch.maximum(first, second), torch.minimum(first, second)
    return t, torch.where(torch.arange(count) < int(diagonal * count), t, r)


def along(model, z, t, r, direction):
    tangents = (direction, torch.ones_like(t), torch.zeros_like(r))
    return torch.func.jvp(model, (z, t, r), tangents)


def meanflow(model, x, law=torch.rand, diagonal=0.75):
    """Algorithm 1 of arXiv 2505.13447, with its adaptive weight."""
    t, r = two_times(len(x), law, diagonal)
    z, velocity = noised(x, t)
    u, slope = along(model, z, t, r, velocity)
    squared = (u - (velocity - column(t - r) * slope).detach()).square().sum(1)
    return (squared / (squared.detach() + 0.01)).mean()


def improved_meanflow(model, x):
    """Algorithm 1 of arXiv 2512.02012: along the network's own velocity."""
    t, r = two_times(len(x), torch.rand, 0.5)
    z, velocity = noised(x, t)
    with torch.no_grad():
        own = model(z, t, t)
    u, slope = along(model, z, t, r, own)
    return (u + column(t - r) * slope.detach() - velocity).square().mean()


def shortcut(model, x):
    """Section 3 of arXiv 2410.12557: a quarter of the batch learns from two steps of half size."""
    length = 2.0 ** -torch.randint(0, 7, (len(x),))
    is_jump = torch.arange(len(x)) < len(x) // 4
    t = torch.rand(len(x)) * 0.9 + 0.05
    z, velocity = noised(x, t)
    half = length / 2
    with torch.no_grad():
        first = model(z, t, half)
        second = model(z - column(half) * first, t - half, half)
    target = torch.where(column(is_jump), (first + second) / 2, velocity)
    return (model(z, t, length * is_jump) - target).square().mean()


def consistency(model, x):
    """Algorithm 3 of arXiv 2303.01469 on ten levels."""
    levels = torch.linspace(0.002 ** (1 / 7), 80 ** (1 / 7), 11) ** 7
    place = torch.randint(0, 10, (len(x),))
    noise = torch.randn_like(x)
    with torch.no_grad():
        target = model(x + column(levels[place]) * noise, levels[place])
    above = levels[place + 1]
    return (model(x + column(above) * noise, above) - target).square().mean()


def three_calls(model, x):
    """Nobody's: the mean of three answers at other levels."""
    t = torch.rand(len(x))
    z, _ = noised(x, t)
    with torch.no_grad():
        target = sum(model(z, t * share) for share in (0.75, 0.5, 0.25)) / 3
    return (model(z, t) - target).square().mean()


def self_conditioned(model, x):
    """A diffusion loss whose network is told what it said before."""
    t = torch.rand(len(x))
    z, velocity = noised(x, t)
    with torch.no_grad():
        before = model(z, t)
    return (model(z, t, before) - velocity).square().mean()


@pytest.fixture(scope="module")
def points():
    return dv.toy("gmm2d").sample(POINTS, torch.Generator().manual_seed(0)).float()


def notes(measured):
    return "\n".join(measured.notes)


def told_share(measured):
    """Share of the samples on the diagonal, None if none is told; even draws may be equal too."""
    found = re.search(r"in about ([\d.]+) of the samples of the first look", notes(measured))
    return found and float(found[1])


forward_mode = pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")


@forward_mode
@pytest.mark.parametrize("loss", [meanflow, improved_meanflow, shortcut, consistency])
def test_a_loss_of_a_paper_is_named(loss, points):
    measured = dv.probe(loss, points, draws=256)
    name = loss.__name__
    assert measured.kind == "network"
    with pytest.raises(ValueError, match="no weighting: the target depends on"):
        measured.weighting([-1.0, 1.0])
    assert re.search(f"that of {NAMES[name]}", notes(measured))
    share = ON_THE_DIAGONAL.get(name)
    assert told_share(measured) == (share and pytest.approx(share, abs=0.07))


@forward_mode
@pytest.mark.parametrize("diagonal", [0.25, 0.9])
def test_the_share_of_the_diagonal_is_that_of_the_loss(diagonal, points):
    measured = dv.probe(lambda model, x: meanflow(model, x, diagonal=diagonal), points, draws=256)
    assert told_share(measured) == pytest.approx(diagonal, abs=0.07)


@forward_mode
def test_the_law_of_two_times_does_not_matter(points):
    def beta(count):
        return torch.rand(count).sqrt()

    def logit_normal(count):
        return torch.sigmoid(torch.randn(count) - 0.4)

    for law in (beta, logit_normal):
        measured = dv.probe(lambda model, x, law=law: meanflow(model, x, law), points, draws=256)
        assert "that of MeanFlow" in notes(measured)


def test_what_is_like_none_is_named_after_none(points):
    text = notes(dv.probe(three_calls, points, draws=256))
    assert "the target depends on another call of the same network" in text
    assert "such a target is that of" not in text


def test_a_diffusion_loss_is_no_few_step_loss(points):
    measured = dv.probe(self_conditioned, points, draws=256)
    assert measured.kind == "u"
    assert "such a target" not in notes(measured)


@forward_mode
def test_on_the_diagonal_alone_meanflow_is_a_diffusion_loss(points):
    measured = dv.probe(lambda model, x: meanflow(model, x, diagonal=1.0), points, draws=2000)
    assert measured.kind == "u"
    assert "such a target" not in notes(measured)


def off_diagonal(model, x):
    """A jump from t to r whose target is the network's own, with its gradient stopped."""
    t, r = two_times(len(x), torch.rand, 0.0)
    z, velocity = noised(x, t)
    with torch.no_grad():
        target = model(z - column(t - r) * velocity, r, r)
    return (model(z, t, r) - target).square().mean()


def diagonal(model, x):
    """Flow matching by the same network."""
    t = torch.rand(len(x))
    z, velocity = noised(x, t)
    return (model(z, t, t) - velocity).square().mean()


def test_a_term_whose_target_is_the_network_is_named_wherever_it_stands(points):
    def jump_first(model, x):
        return off_diagonal(model, x) + diagonal(model, x)

    def jump_last(model, x):
        return diagonal(model, x) + off_diagonal(model, x)

    measured = dv.probe(jump_first, points, draws=1000)
    assert measured.kind == "u"
    assert "call 0 has a target that comes from the network" in notes(measured)
    assert "of call 1 alone" in notes(measured)
    assert dv.probe(jump_first, points, draws=1000, call=0).kind == "network"
    assert dv.probe(jump_last, points, draws=1000).kind == "network"


def test_two_terms_of_diffusion_are_no_few_step_training(points):
    measured = dv.probe(
        lambda model, x: diagonal(model, x) + 2 * diagonal(model, x), points, draws=1000
    )
    assert measured.kind == "u"
    assert "comes from the network" not in notes(measured)
