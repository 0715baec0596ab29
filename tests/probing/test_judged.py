"""Losses whose target or judge is another network, and losses of categories."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from diffviz.probing.measure import probe

X = torch.randn(64, 12, generator=torch.Generator().manual_seed(0))
TEACHER = nn.Linear(12, 12)
WEIGHT = TEACHER.weight.detach()


class Predictor:
    def predict(self, z):
        return torch.tanh(z @ WEIGHT)


PREDICTOR = Predictor()


def noised(x):
    t = torch.rand(len(x))
    noise = torch.randn_like(x)
    return (1 - t)[:, None] * x + t[:, None] * noise, noise - x, t


def as_function(model, z, target):
    return F.linear(z, WEIGHT)


def as_method(model, z, target):
    return PREDICTOR.predict(z)


def as_forward(model, z, target):
    return TEACHER.forward(z)


def as_a_small_part(model, z, target):
    return target + 0.1 * PREDICTOR.predict(z)


def by_functional_call(model, z, target):
    return torch.func.functional_call(TEACHER, dict(TEACHER.named_parameters()), (z,))


def as_a_copy(model, z, target):
    return copy.deepcopy(model)(z).detach()


TEACHERS = {
    as_function: "a network called as a function (as_function)",
    as_method: "a network called as a function (predict)",
    as_forward: "a network called as a function (as_forward)",
    as_a_small_part: "a network called as a function (predict)",
    by_functional_call: "another network (Linear)",
    as_a_copy: "another network (a copy of the probed one)",
}


@pytest.mark.parametrize("teacher", TEACHERS)
def test_a_target_from_a_network_is_found_however_it_is_called(teacher):
    def loss(model, x):
        z, target, t = noised(x)
        return ((model(z, t) - teacher(model, z, target).detach()) ** 2).mean()

    TEACHER.requires_grad_(False)
    measured = probe(loss, X, draws=200)
    assert measured.kind == "network"
    assert not measured.exact
    assert any(TEACHERS[teacher] in note for note in measured.notes)
    assert measured.refusal.startswith("no weighting: the target depends on")


def test_a_derivative_by_differences_of_the_network_is_a_target_from_it():
    def loss(model, x):
        z, velocity, t = noised(x)
        with torch.no_grad():
            slope = (model(z + 0.01 * velocity, t + 0.01) - model(z, t)) / 0.01
        return ((model(z, t) - (velocity - 0.3 * slope)) ** 2).mean()

    measured = probe(loss, X, draws=200)
    assert measured.kind == "network"
    assert "another call of the same network" in measured.refusal


def test_a_fixed_rotation_of_data_and_noise_is_no_teacher():
    basis, _ = torch.linalg.qr(torch.randn(12, 12, generator=torch.Generator().manual_seed(1)))

    def loss(model, x):
        z, target, t = noised(x @ basis)
        return ((model(z, t) - target) ** 2).mean()

    assert probe(loss, X, draws=200).kind != "network"


def test_a_function_of_the_data_in_the_target_is_said_to_be_unexplained():
    def loss(model, x):
        z, target, t = noised(x)
        return ((model(z, t) - target - z.abs()) ** 2).mean()

    measured = probe(loss, X, draws=200)
    assert any("a function of the data, or of a network that was not" in n for n in measured.notes)


def test_an_adversarial_loss_has_no_target():
    critic = nn.Linear(12, 1)

    def loss(model, x):
        z, _, t = noised(x)
        return F.softplus(-critic(model(z, t))).mean()

    measured = probe(loss, X, draws=200)
    assert any("something judges it (Linear): an adversarial" in note for note in measured.notes)
    assert measured.refusal.startswith("no weighting: the loss pulls the output towards no target")
    assert measured.density([-1.0, 1.0])[0] > 0


@pytest.mark.parametrize("distance", [F.mse_loss, F.smooth_l1_loss])
@pytest.mark.parametrize(("scale", "mean"), [(1.0, 1e5), (1e5, 0.0)])
def test_data_far_from_0_hide_the_target_and_the_way_out_finds_it(scale, mean, distance):
    def loss(model, x):
        z, velocity, t = noised(x)
        return distance(model(z, t), velocity)

    data = scale * X + mean
    measured = probe(loss, data, draws=200)
    assert measured.refusal.startswith("no weighting")
    assert "standardise them, x = (x - x.mean(0)) / x.std(), and probe" in measured.refusal
    assert "adversarial" not in measured.refusal
    again = probe(loss, (data - data.mean(0)) / data.std(), draws=200)
    assert not again.refusal


def test_categories_are_named():
    def loss(model, x):
        token = (x > 0).long()
        masked = torch.rand(x.shape) < torch.rand(len(x), 1)
        logits = model(F.one_hot(torch.where(masked, 2, token), 3).float().reshape(len(x), 36))
        return F.cross_entropy(logits.reshape(-1, 3), token.reshape(-1))

    tokens = X.repeat(1, 3)

    def on_tokens(model, x):
        return loss(model, x[:, :12])

    measured = probe(on_tokens, tokens, draws=100)
    assert "categories (cross_entropy): a discrete or masked diffusion" in measured.refusal
    assert not measured.exact


def test_whole_numbers_as_input_are_named():
    def loss(model, x):
        token = torch.randint(0, 50, (len(x), 16))
        return F.cross_entropy(model(token), token)

    with pytest.raises(ValueError, match=r"whole numbers of shape .* a discrete or masked"):
        probe(loss, X, draws=200)


def test_a_crop_of_another_size_says_what_to_give():
    with pytest.raises(ValueError, match="crops or resizes x, give x as cropped"):
        probe(lambda model, x: (model(x[:, :7] + torch.randn(len(x), 7)) ** 2).mean(), X, draws=200)


def test_z_joined_with_a_condition_says_how_to_take_it_out():
    def loss(model, x):
        z, target, t = noised(x)
        joined = torch.cat([z, torch.ones(len(x), 3)], 1)
        return ((model(joined, t)[:, :12] - target) ** 2).mean()

    with pytest.raises(ValueError, match=r"It gets \(15,\): where z is joined with a condition"):
        probe(loss, X, draws=200)
    measured = probe(loss, X, draws=200, inputs=lambda joined, *others: joined[:, :12])
    assert measured.kind == "u"
    assert measured.exact


def critic(kind, seed):
    """A network that judges the output, with weights of its own."""
    torch.manual_seed(seed)
    if kind == "linear":
        return nn.Linear(12, 1)
    return nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 1))


@pytest.mark.parametrize("seed", [0, 2, 3])
@pytest.mark.parametrize("kind", ["linear", "deep"])
def test_the_score_of_a_critic_has_no_weighting(kind, seed):
    judge = critic(kind, seed)

    def loss(model, x):
        z, _, t = noised(x)
        return -judge(z - t[:, None] * model(z, t)).mean()

    measured = probe(loss, X, draws=200)
    assert not measured.exact
    with pytest.raises(ValueError, match="no weighting"):
        measured.weighting(measured.edges(4))
    if kind == "linear":
        said = "no weighting: the loss pulls the output towards no target"
        assert measured.refusal.startswith(said)


def test_a_loss_that_overflows_at_large_outputs_still_has_a_target():
    """log cosh is squared near 0, and cosh is infinite in float32 from 89 on."""

    def loss(model, x):
        z, target, t = noised(x)
        return torch.log(torch.cosh(model(z, t) - target)).mean()

    measured = probe(loss, X, draws=400)
    assert measured.kind == "u"
    assert not measured.refusal


def test_a_squared_error_of_neighbours_is_called_mixed_and_nothing_else():
    def loss(model, x):
        z, target, t = noised(x)
        error = model(z, t) - target
        return (error**2).mean() + (error.diff(dim=-1) ** 2).mean()

    notes = probe(loss, X, draws=400).notes
    assert any("errors are mixed across components" in note for note in notes)
    assert not any("clamped" in note or "several targets" in note for note in notes)


def test_distribution_matching_is_refused_for_the_score_that_is_its_target():
    def loss(model, x):
        t, noise = torch.rand(len(x), 1), torch.randn_like(x)
        sample = model(torch.randn_like(x), t)
        noised_sample = (1 - t) * sample + t * noise
        with torch.no_grad():
            gradient = TEACHER(noised_sample) - noised_sample
        return F.mse_loss(sample, (sample - gradient).detach())

    with pytest.raises(ValueError, match="no weighting: the target depends on another network"):
        probe(loss, X, draws=200)


def test_masked_signs_are_named_as_categories():
    def loss(model, x):
        masked = torch.rand_like(x) < torch.rand(len(x), 1)
        output = model(torch.where(masked, 0.0, x.sign()))
        return F.binary_cross_entropy_with_logits(output[masked], (x > 0).float()[masked])

    with pytest.raises(ValueError, match="no weighting: the network answers with categories"):
        probe(loss, X, draws=200)


def test_score_matching_by_derivatives_says_why_it_has_no_weighting():
    def loss(model, x):
        z, _, t = noised(x)
        z.requires_grad_()
        score, side = model(z, t), torch.randn_like(z)
        (slope,) = torch.autograd.grad((score * side).sum(), z, create_graph=True)
        return ((slope * side).sum(1) + 0.5 * (score**2).sum(1)).mean()

    with pytest.raises(RuntimeError, match="as in sliced or Hutchinson score matching"):
        probe(loss, X, draws=200)
