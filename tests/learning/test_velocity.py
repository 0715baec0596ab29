"""The learnt velocity: right where it is known, straighter where pairs do not cross."""

import copy
import math
import pickle

import pytest
import torch

from diffviz.learning.velocity import Velocity, fit_velocity
from diffviz.sampling import couplings

pytestmark = pytest.mark.slow


def generator(seed):
    return torch.Generator().manual_seed(seed)


def modes(n, seed, up):
    """Two clusters on one axis: from one axis to the other, independent pairs cross."""
    signs = torch.randint(2, (n, 1), generator=generator(seed)) * 2.0 - 1
    return 0.2 * torch.randn(n, 2, generator=generator(seed + 1)) + signs * torch.tensor(
        [[0.0, 3.0] if up else [3.0, 0.0]]
    )


def test_the_velocity_between_gaussians_is_learnt():
    source, x = (torch.randn(4000, 1, generator=generator(k)) for k in (0, 1))
    velocity = fit_velocity(source, 0.5 * x + 2, generator(2), steps=600)
    z = torch.linspace(-1, 1, 5)[:, None]
    for t in (0.3, 0.7):
        variance = t**2 + (1 - t) ** 2 / 4
        at = (1 - t) * 2 + math.sqrt(variance) * z
        exact = -2 + (t - (1 - t) / 4) / variance * (at - (1 - t) * 2)
        assert (velocity(at, torch.tensor(t)) - exact).abs().max() < 0.25


def test_optimal_pairs_make_a_straighter_flow_than_independent_ones():
    source, x = modes(2048, 0, up=False), modes(2048, 5, up=True)
    found = {}
    for couple in (couplings.independent, couplings.minibatch_ot):
        velocity = fit_velocity(*couple(source, x, generator(9)), generator(2), steps=500)
        found[couple.__name__] = couplings.straightness(*couplings.flow(velocity, source[:200], 30))
    assert found["minibatch_ot"] < 0.5 * found["independent"], found


def test_the_same_generator_gives_the_same_velocity_and_the_global_one_is_left_alone():
    source, x, before = modes(64, 0, up=False), modes(64, 5, up=True), torch.random.get_rng_state()
    one, two = (
        fit_velocity(source, x, generator(3), steps=3)(source, torch.tensor(0.5)) for _ in range(2)
    )
    assert torch.equal(one, two) and one.shape == (64, 2)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    ("source", "x", "says"),
    [
        (torch.zeros(4, 2), torch.full((4, 2), math.nan), "finite"),
        (torch.zeros(4, 2), torch.zeros(3, 2), r"\(4, 2\) and \(3, 2\)"),
        (torch.ones(4, 2, 2), torch.ones(4, 2, 2), "flatten"),
        (torch.zeros(4, 2), torch.zeros(4, 2), "not all alike"),
    ],
)
def test_what_are_no_pairs_of_vectors_is_refused(source, x, says):
    with pytest.raises(ValueError, match=says):
        fit_velocity(source, x, generator(0), steps=1)


def test_settings_of_the_training_are_refused_by_name():
    x = modes(8, 0, up=True)
    for change, error, says in (
        ({"steps": 0}, ValueError, "steps must be at least 1"),
        ({"batch": 2.0}, TypeError, "batch must be a whole number"),
        ({"width": -3}, ValueError, "width must be at least 1"),
        ({"generator": 0}, TypeError, "generator must be a torch.Generator, got 0"),
        ({"x": x * 1j}, TypeError, "x must hold real numbers, got complex"),
    ):
        with pytest.raises(error, match=says):
            fit_velocity(**({"source": x, "x": x, "generator": generator(0), "steps": 1} | change))


def test_a_velocity_pickles_and_deep_copies():
    source, x = modes(64, 0, up=False), modes(64, 5, up=True)
    velocity = fit_velocity(source, x, generator(3), steps=3)
    expected = velocity(source, torch.tensor(0.5))
    for copied in (pickle.loads(pickle.dumps(velocity)), copy.deepcopy(velocity)):
        assert torch.equal(copied(source, torch.tensor(0.5)), expected)


@pytest.mark.parametrize(
    ("scale", "source_mean", "x_mean"), [(1.0, 1e8, 1e8), (1.0, 0.0, 1e4), (1e39, 0.0, 0.0)]
)
def test_points_of_any_place_and_scale_are_learnt_as_those_about_0(scale, source_mean, x_mean):
    source, x = (torch.randn(200, 2, generator=generator(k), dtype=torch.float64) for k in (0, 1))
    source, x = source - source.mean(0), x - x.mean(0)
    velocity = fit_velocity(source, x, generator(2), steps=100)
    far = fit_velocity(scale * source + source_mean, scale * x + x_mean, generator(2), steps=100)
    t = torch.tensor(0.25)
    mean = 0.25 * source_mean + 0.75 * x_mean
    expected = scale * velocity(source, t) + (source_mean - x_mean)
    found = far(scale * source + mean, t)
    torch.testing.assert_close(found / scale, expected / scale, rtol=0, atol=2e-3)


def test_what_no_scale_holds_is_refused_and_a_loss_that_is_not_finite_says_so(monkeypatch):
    x = 1e200 * torch.randn(4, 2, generator=generator(0), dtype=torch.float64)
    with pytest.raises(ValueError, match="is inf in float64; scale both down first"):
        fit_velocity(x, x, generator(0), steps=1)
    monkeypatch.setattr(Velocity, "in_units", lambda self, z, time: z * math.nan)
    with pytest.raises(FloatingPointError, match="the loss is nan at step 0"):
        fit_velocity(x / 1e200, x / 1e200, generator(0), steps=1)
