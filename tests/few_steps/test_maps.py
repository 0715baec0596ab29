"""Exact flow maps and the losses that have them as their optimum."""

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from scipy.special import ndtr
from torch import nn

import diffviz as dv
from diffviz import checks
from diffviz.few_steps import maps, training

STD = 0.6


class ExactGaussian(nn.Module):
    """u of N(0, STD²) in closed form, smooth at r = t."""

    def forward(self, z, r, t):
        def spread(time):
            return ((1 - time) ** 2 * STD**2 + time**2).sqrt()

        slope = (t + r) - STD**2 * (2 - t - r)
        return z * (slope / ((spread(t) + spread(r)) * spread(t)))[:, None]


def batch_on_the_flow(t, r, n=6, seed=0):
    """Pairs whose velocity is that of the flow, so that no error is left to average."""
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(n, 2, generator=generator, dtype=torch.float64)
    times = [torch.full((n,), each, dtype=torch.float64) for each in (t, r)]
    u = ExactGaussian()(z, times[0], times[0])
    return training.Batch(x=z - t * u, eps=z + (1 - t) * u, t=times[0], r=times[1])


def started(seed=0):
    """A network whose output layer is not 0 any more."""
    model = maps.FlowMap(2, width=16, seed=seed).double()
    nn.init.normal_(model.net[-1].weight, 0, 0.3, torch.Generator().manual_seed(seed))
    return model


def test_the_exact_map_of_a_gaussian_keeps_its_quantiles():
    toy = dv.mixture([[0.5]], STD)
    z = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]

    def place(time):
        return (1 - time) * 0.5, math.hypot((1 - time) * STD, time)

    for t, r in ((0.99, 0.01), (0.7, 0.3), (0.2, 0.0001)):
        (mean, std), (end_mean, end_std) = place(t), place(r)
        expected = end_mean + (z - mean) / std * end_std
        torch.testing.assert_close(maps.exact_map(toy, z, t, r), expected, rtol=0, atol=1e-9)


def excess(z, t, share=0.0):
    """Probability of a state under z, less a share: of the toy "gmm1" at t on the linear path."""
    means = (1 - t) * np.array([-1.5, 0.5])
    std = np.hypot((1 - t) * np.array([0.3, 0.2]), t)
    return ndtr((z - means) / std) @ [0.3, 0.7] - share


@pytest.mark.parametrize(("t", "r"), [(0.99, 0.5), (0.9, 0.1), (0.6, 0.2)])
def test_the_exact_map_of_a_mixture_keeps_its_quantiles(t, r):
    """States on a line do not pass each other, so that the probability below each stays."""
    z = np.linspace(-1.5, 1.5, 9)
    shares = [excess(each, t) for each in z]
    expected = [brentq(excess, -9, 9, (r, share), xtol=1e-14, rtol=1e-14) for share in shares]
    carried = maps.exact_map(dv.toy("gmm1"), torch.from_numpy(z)[:, None], t, r)
    np.testing.assert_allclose(carried.ravel(), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("name", "dim"), [("gmm1", 1), ("gmm2d", 2)])
def test_maps_of_a_mixture_compose(name, dim):
    toy = dv.toy(name)
    z = torch.linspace(-1.5, 1.5, 14, dtype=torch.float64).reshape(-1, dim)
    at_once = maps.exact_map(toy, z, 0.9, 0.1)
    in_two = maps.exact_map(toy, maps.exact_map(toy, z, 0.9, 0.4), 0.4, 0.1)
    torch.testing.assert_close(at_once, in_two, rtol=0, atol=1e-9)


def test_the_velocity_in_closed_form_is_that_of_the_map():
    toy = dv.mixture([[0.0, 0.0]], STD)
    batch = batch_on_the_flow(0.8, 0.3)
    u = ExactGaussian()(batch.z, batch.r, batch.t)
    carried = maps.exact_map(toy, batch.z, 0.8, 0.3)
    torch.testing.assert_close(batch.z - 0.5 * u, carried, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["meanflow", "imeanflow", "shortcut"])
@pytest.mark.parametrize(("t", "r"), [(0.8, 0.3), (0.5, 0.0), (0.6, 0.6)])
def test_the_exact_map_has_no_error_under_a_loss(name, t, r):
    errors = training.ERRORS[name](ExactGaussian(), batch_on_the_flow(t, r))
    assert float(errors.abs().max()) < 1e-12


def test_consistency_training_errs_by_a_step_of_euler():
    """Its target is reached along a straight line, so the error falls like the square of a jump."""
    sizes = [
        float(
            training.consistency_errors(ExactGaussian(), batch_on_the_flow(0.6, 0.6 - jump))
            .abs()
            .max()
        )
        for jump in (0.02, 0.01)
    ]
    assert sizes[0] / sizes[1] == pytest.approx(4, rel=0.05)
    z = torch.ones(3, 2)
    zero = torch.zeros(3)
    torch.testing.assert_close(training.clean(maps.FlowMap(2), z, zero), z)


def test_a_derivative_along_a_path_is_that_of_differences():
    """The target of MeanFlow by central differences, for a network that is not exact."""
    model = started(seed=3)
    batch = batch_on_the_flow(0.7, 0.2)
    h = 1e-5
    ends = [model(batch.z + side * h * batch.u, batch.r, batch.t + side * h) for side in (1, -1)]
    slope = (ends[0] - ends[1]) / (2 * h)
    u = model(batch.z, batch.r, batch.t)
    expected = u - (batch.u - 0.5 * slope)
    torch.testing.assert_close(
        training.meanflow_errors(model, batch), expected, rtol=1e-6, atol=1e-7
    )


class Wrapped(nn.Module):
    """A network of which nobody knows a derivative."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, z, r, t):
        return self.model(z, r, t)


@pytest.mark.parametrize("name", ["meanflow", "imeanflow"])
def test_the_chain_rule_by_hand_is_forward_differentiation(name):
    """Errors and their gradients, by the map's own rule and by torch's."""
    model = started(seed=2)
    batch = batch_on_the_flow(0.7, 0.2)
    parameters = list(model.parameters())
    results = []
    for network in (model, Wrapped(model)):
        errors = training.ERRORS[name](network, batch)
        gradients = torch.autograd.grad(errors.square().sum(), parameters)
        results.append((errors.detach(), *gradients))
    for own, torchs in zip(*results, strict=True):
        torch.testing.assert_close(own, torchs, rtol=1e-11, atol=1e-13)


class Doubled(maps.FlowMap):
    """A map with a forward of its own, which the inherited derivative does not know."""

    def forward(self, z, r, t):
        return 2 * super().forward(z, r, t)


@pytest.mark.parametrize("name", ["meanflow", "imeanflow"])
def test_a_subclass_with_its_own_forward_has_its_own_derivative(name):
    model = Doubled(2, width=16, seed=2).double()
    model.load_state_dict(started(seed=2).state_dict())
    batch = batch_on_the_flow(0.7, 0.2)
    found = training.ERRORS[name](model, batch)
    torch.testing.assert_close(found, training.ERRORS[name](Wrapped(model), batch))


@pytest.mark.parametrize("name", list(training.ERRORS))
def test_networks_side_by_side_have_the_losses_and_gradients_that_they_have_alone(name):
    models = [started(seed) for seed in (3, 4, 5)]
    batches = [batch_on_the_flow(0.7, 0.2, seed=seed) for seed in (3, 4, 5)]
    together = training._SideBySide(models)
    parts = zip(*((each.x, each.eps, each.t, each.r) for each in batches), strict=True)
    entry = dv.few_step(name)
    value = training.loss(entry, together, training.Batch(*map(torch.stack, parts)))
    gradients = torch.autograd.grad(3 * value, list(together.parameters()))
    alone = [training.loss(entry, *pair) for pair in zip(models, batches, strict=True)]
    torch.testing.assert_close(3 * value, sum(alone), rtol=1e-12, atol=0)
    for row, (model, loss) in enumerate(zip(models, alone, strict=True)):
        expected = torch.autograd.grad(loss, list(model.parameters()))
        for stacked, own in zip(gradients, expected, strict=True):
            torch.testing.assert_close(stacked[row], own, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("name", list(training.ERRORS))
def test_networks_side_by_side_see_the_draws_that_they_see_alone(name):
    """Two batches each: the second shows that no generator is moved by a neighbour."""
    entry = dv.few_step(name)

    def draws(seeds):
        return [training._Draws(entry, dv.toy("ring8"), seed) for seed in seeds]

    together, alone = draws((0, 7)), draws((7,))
    for _ in range(2):
        both = training._stacked(together, 16)
        one = training._stacked(alone, 16)
        for part in ("x", "eps", "t", "r"):
            assert torch.equal(getattr(both, part)[1], getattr(one, part)[0])
            assert not torch.equal(getattr(both, part)[0], getattr(both, part)[1])


def test_networks_side_by_side_are_trained_as_they_are_alone():
    """A shortcut model does not grow the last bits of a sum."""
    toy, settings = dv.toy("ring8"), {"steps": 8, "batch": 16, "width": 8}
    together = training.train_seeds("shortcut", toy, (2, 0), **settings)
    z = torch.linspace(-2, 2, 10).reshape(5, 2)
    carried = []
    for seed, model in zip((2, 0), together, strict=True):
        alone = training.train("shortcut", toy, seed=seed, **settings)
        carried.append(model.carry(z, [1.0, 0.0]))
        torch.testing.assert_close(carried[-1], alone.carry(z, [1.0, 0.0]), rtol=0, atol=1e-4)
        assert not any(each.requires_grad for each in model.parameters())
    assert float((carried[0] - carried[1]).abs().max()) > 1e-3


@pytest.mark.parametrize("name", list(training.ERRORS))
def test_targets_have_no_gradient_but_predictions_do(name):
    model = started()
    batch = batch_on_the_flow(0.7, 0.2)
    value = training.loss(dv.few_step(name), model, batch)
    gradient = torch.autograd.grad(value, list(model.parameters()))
    assert sum(float(each.abs().sum()) for each in gradient) > 0


def test_the_adaptive_factor_has_no_gradient():
    """The gradient is that of the squared error over its own size."""
    model = started()
    batch = batch_on_the_flow(0.7, 0.7)
    entry = dv.few_step("meanflow")
    parameter = model.net[0].weight
    (got,) = torch.autograd.grad(training.loss(entry, model, batch), parameter)
    squared = training.meanflow_errors(model, batch).square().sum(1)
    factor = 1 / (squared.detach() + 0.01)
    (expected,) = torch.autograd.grad((factor * squared).mean(), parameter)
    torch.testing.assert_close(got, expected)


def test_training_is_the_same_again_and_leaves_torch_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    runs = [training.train("shortcut", dv.toy("gaussian"), steps=5, width=8) for _ in range(2)]
    for one, other in zip(runs[0].parameters(), runs[1].parameters(), strict=True):
        assert torch.equal(one, other) and not one.requires_grad
    assert torch.equal(before, torch.get_rng_state())


def test_an_entry_of_ones_own_is_trained_by_the_formula_of_its_name():
    published = dv.few_step("meanflow")
    settings = {"steps": 3, "batch": 8, "width": 8}
    by_name = training.train("meanflow", dv.toy("gaussian"), **settings)
    same = training.train(published, dv.toy("gaussian"), **settings)
    assert all(map(torch.equal, by_name.parameters(), same.parameters()))
    plain = dataclasses.replace(published, adaptive=None)
    other = training.train(plain, dv.toy("gaussian"), **settings)
    assert not all(map(torch.equal, by_name.parameters(), other.parameters()))
    mine = dataclasses.replace(published, name="mine")
    with pytest.raises(ValueError, match="mine"):
        training.train(mine, dv.toy("gaussian"), **settings)


def test_a_seed_may_be_any_whole_number():
    seeds = (3, np.int64(3), torch.tensor(3))
    runs = [
        training.train("shortcut", dv.toy("gaussian"), steps=2, width=8, seed=seed)
        for seed in seeds
    ]
    expected = list(runs[0].parameters())
    for run in runs[1:]:
        assert all(map(torch.equal, run.parameters(), expected))


@pytest.mark.parametrize(("mean", "std"), [(100.0, 1.0), (0.0, 20.0)])
def test_data_far_from_0_are_warned_of(mean, std):
    data = dv.mixture([[mean]], std)
    with pytest.warns(UserWarning, match=r"deviation of .*shift and scale them.*\.unit\(\)"):
        training.train("shortcut", data, steps=2, width=8)
    training.train("shortcut", data.unit(), steps=2, width=8)  # warnings are errors here


@pytest.mark.parametrize("part", ["x", "eps", "t", "r"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_batch_holds_finite_numbers(part, value):
    parts = {
        "x": torch.zeros(3, 2),
        "eps": torch.zeros(3, 2),
        "t": torch.ones(3),
        "r": torch.ones(3),
    }
    parts[part].view(-1)[1] = value
    with pytest.raises(ValueError, match=f"{part} must be finite"):
        training.Batch(**parts)


class Points:
    """Data of one value, which may be another after some batches."""

    def __init__(self, value, later=None, batches=2):
        self.values = [value] * batches + [value if later is None else later] * 99

    def sample(self, n, generator):
        return torch.full((n, 1), self.values.pop(0), dtype=torch.float64)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (Points(np.nan), r"data must be finite in float32, got nan \(256 of 256 numbers of step 0"),
        (Points(1e39), "data must be finite in float32, got inf .*; drop such points, or scale"),
        (Points(0.0, np.nan), r"data must be finite in float32, got nan .*numbers of step 1\)"),
    ],
)
def test_data_that_are_not_finite_are_named(data, message):
    with pytest.raises(ValueError, match=message):
        training.train("shortcut", data, steps=3, width=8)


def test_a_loss_of_the_first_step_is_a_matter_of_the_data():
    with (
        pytest.warns(UserWarning, match="shift and scale"),
        pytest.raises(FloatingPointError, match=r"at step 0, before .*data reach 1e\+30; shift"),
    ):
        training.train("shortcut", Points(1e30), steps=3, width=8)


def test_data_are_tensors():
    data = SimpleNamespace(sample=lambda n, generator: np.zeros((n, 1)))
    with pytest.raises(
        TypeError, match=r"data.sample must return a tensor \(n, dim\), got ndarray"
    ):
        training.train("shortcut", data, steps=3, width=8)


def test_the_largest_rate_diverges_in_words():
    data = dv.toy("gaussian")
    with pytest.raises(FloatingPointError, match="lower rate"):
        training.train("shortcut", data, steps=9, width=8, rate=checks.LARGEST_RATE)


def test_a_shortcut_model_learns_the_map_of_a_gaussian():
    toy = dv.mixture([[0.0]], 0.3)
    z = torch.linspace(-2, 2, 41)[:, None]
    exact = maps.exact_map(toy, z.double(), 0.99, 0.01)
    model = training.train("shortcut", toy, steps=400, width=32)
    untrained = maps.FlowMap(1, 32)

    def error(network):
        return float((network.carry(z, np.linspace(0.99, 0.01, 5)) - exact).square().mean())

    assert error(model) < 0.1 * error(untrained)


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: maps.exact_map(dv.toy("gaussian"), torch.ones(1, 1), 0.5, 0.1), ValueError, "64"),
        (lambda: maps.exact_map(dv.toy("gaussian"), [[1.0]], 0.5, 0.1), TypeError, "tensor"),
        (
            lambda: maps.exact_map(dv.toy("gaussian"), torch.ones(1, 1).double(), 0.5, 0.6),
            ValueError,
            "r must lie",
        ),
        (
            lambda: maps.exact_map(dv.toy("gaussian"), torch.ones(1, 1).double(), 1.0, 0.6),
            ValueError,
            "t must lie",
        ),
        (lambda: maps.FlowMap(1).carry(torch.ones(1, 1), [0, 1]), ValueError, "decrease"),
        (lambda: maps.FlowMap(0), ValueError, "dim"),
        (lambda: training.train("shortcut", 3), TypeError, "sample"),
        (lambda: training.train("shortcut", dv.toy("gaussian"), steps=0), ValueError, "steps"),
        (lambda: training.train("shortcut", dv.toy("gaussian"), rate=np.nan), ValueError, "rate"),
        (lambda: training.train_seeds("shortcut", dv.toy("gaussian"), ()), ValueError, "empty"),
        (lambda: training.train_seeds("shortcut", dv.toy("gaussian"), 3), TypeError, "a list"),
        (
            lambda: training.train_seeds("ict", dv.toy("gaussian"), torch.zeros(2, device="meta")),
            TypeError,
            "seeds must be a dense tensor with values",
        ),
        (lambda: training.train("shortcut", dv.toy("gaussian"), rate=1e300), ValueError, "rate"),
    ],
)
def test_what_makes_no_sense_is_refused(make, error, says):
    with pytest.raises(error, match=says):
        make()


@pytest.mark.parametrize(
    ("x_hat", "says"),
    [
        (torch.ones(3, 1), r"returned \(3, 1\) for z \(3, 2\)"),
        (torch.ones(1, 2), r"returned \(1, 2\) for z \(3, 2\)"),
        (torch.full((3, 2), math.nan), "returned NaN or inf at logsnr 0"),
    ],
)
def test_an_answer_that_is_not_like_z_is_not_spread_over_it(x_hat, says):
    denoiser = SimpleNamespace(denoise=lambda z, logsnr: x_hat.to(z))
    z = torch.ones(3, 2, dtype=torch.float64)
    with pytest.raises(ValueError, match=says):
        maps.exact_map(denoiser, z, 0.5, 0.25)
