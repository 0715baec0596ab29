"""Denoisers as users write them: networks in float32, levels with an axis, means by channel."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

import diffviz as dv
from diffviz.few_steps.maps import exact_map
from diffviz.learning.validation import validation_loss
from diffviz.sampling.calls import answer

X = torch.linspace(-2, 2, 12, dtype=torch.float64).reshape(6, 2)


def generator():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize(
    "axis",
    [len, lambda level: torch.outer(level, level), lambda level: level[:, None], torch.diag],
    ids=["len", "outer", "new axis", "diag"],
)
def test_a_denoiser_that_looks_for_the_axis_of_the_level_is_given_one(axis):
    def denoise(z, logsnr):
        assert axis(logsnr) is not None
        return z / 2

    samples = dv.sample(denoise, [-4.0, 0.0, 4.0], start=X).samples
    assert torch.equal(
        samples, dv.sample(lambda z, level: z / 2, [-4.0, 0.0, 4.0], start=X).samples
    )


def test_an_error_of_a_denoiser_is_not_masked_by_a_second_try():
    def full(z, logsnr):
        z * torch.sigmoid(logsnr)
        raise RuntimeError("my cache is full")

    with pytest.raises(RuntimeError, match="my cache is full"):
        dv.sample(full, [-4.0, 4.0], start=torch.ones(64, 2))


class Network(nn.Module):
    """Two layers of z and of λ, which looks for the axis of λ."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 8)
        self.last = nn.Linear(8, 2)
        with torch.no_grad():
            for weight in self.parameters():
                weight.copy_(0.3 * torch.randn(weight.shape, generator=generator()))

    def forward(self, z, logsnr):
        return self.last(torch.cat([z, logsnr[:, None] / 8], 1).relu() @ self.first.weight.mT)

    def denoise(self, z, logsnr):
        return self(z, logsnr)


NETWORK = Network()
EXACT = copy.deepcopy(NETWORK).double()


def test_a_network_in_float32_has_the_bound_and_the_density_of_the_same_in_float64():
    """They differ by the rounding of float32 alone."""
    one, other = (
        dv.elbo(model, X, levels=8, generator=generator()).nats for model in (NETWORK, EXACT)
    )
    assert one.dtype == torch.float64
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    one, other = (
        dv.log_likelihood(model, X, low=-6, high=4, steps=20)[0] for model in (NETWORK, EXACT)
    )
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("call", [lambda model: model, lambda model: model.denoise])
def test_samples_and_losses_are_those_of_the_same_in_float64(call):
    grid = np.linspace(-4, 6, 9)
    one, other = (dv.sample(call(m), grid, start=X.numpy()).samples for m in (NETWORK, EXACT))
    assert one.dtype == torch.float64
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    one, other = (
        validation_loss(call(m), X.numpy(), dv.objective("fm-ot"), levels=4).each
        for m in (NETWORK, EXACT)
    )
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_a_function_and_a_network_in_half_the_digits_are_called_in_their_own_type():
    level = torch.zeros(6)
    half = copy.deepcopy(NETWORK).bfloat16()
    assert answer(lambda z, l: NETWORK(z, l), X, level.double()).dtype == torch.float64
    assert answer(half, X.float(), level).dtype == torch.float32
    found = exact_map(NETWORK, X, 0.5, 0.4, tolerance=1e-4)
    torch.testing.assert_close(found, exact_map(EXACT, X, 0.5, 0.4), rtol=1e-3, atol=1e-3)


def test_other_errors_stay_and_say_what_was_given():
    def wrong(z, logsnr):
        return z @ torch.ones(3, 3, dtype=z.dtype)

    with pytest.raises(RuntimeError, match="shapes cannot be multiplied") as caught:
        answer(wrong, X, torch.zeros((), dtype=torch.float64))
    (note,) = caught.value.__notes__
    assert "z of torch.float64 and shape (6, 2), and logsnr of shape ()" in note

    def two_types(z, logsnr):
        return (z.double() @ torch.ones(2, 2, dtype=torch.float64)) @ torch.ones(2, 2)

    with pytest.raises(RuntimeError, match="same dtype") as caught:
        answer(two_types, X, torch.zeros(6))
    assert len(caught.value.__notes__) == 1


class Images(nn.Module):
    """A convolution with a mean for each channel."""

    def __init__(self, *mean):
        super().__init__()
        self.register_buffer("mean", torch.full(mean, 0.5))
        self.net = nn.Conv2d(3, 3, 3, padding=1)

    def denoise(self, z, logsnr):
        return self.net(z - self.mean)


@pytest.mark.parametrize("mean", [(), (3, 1, 1), (1, 1, 1)])
def test_a_mean_by_channel_is_spread_over_samples_and_says_no_shape(mean):
    model = Images(*mean)
    start = torch.randn(2, 3, 8, 8, generator=generator())
    assert dv.sample(model, [-2.0, 0.0, 2.0], start=start).samples.shape == start.shape
    assert dv.elbo(model, start, levels=2).nats.shape == (2,)
    with pytest.raises(ValueError, match=r"does not say their shape; give start, \(n, \*shape\)"):
        dv.sample(model, n=2)
    if mean == (3, 1, 1):
        with pytest.raises(ValueError, match=r"mean of shape \(3, 1, 1\) can be spread, got"):
            dv.sample(model, start=start[:, :2])


def test_a_mean_that_is_a_sample_says_the_shape_whatever_its_axes():
    data = torch.randn(64, 3, 1, generator=generator())
    (run,) = dv.fit("fm-ot", data, steps=2, batch=8, progress=False)
    assert run.shape == (3, 1)
    for model in (run, dv.dataset(data)):
        assert dv.sample(model, n=2).samples.shape == (2, 3, 1)
    with pytest.raises(ValueError, match=r"start must have shape \('n', 3, 1\), as the data"):
        dv.sample(run, start=torch.randn(2, 3, 4))
    with pytest.raises(ValueError, match=r"start must have shape \('n', 3, 8, 8\)"):
        dv.sample(Images(3, 8, 8), start=torch.randn(2, 3, 1, 1))


class HandedOn:
    """What hands on to another object, as a compiled or distributed network does."""

    def __init__(self, inner):
        self.inner = inner

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def __call__(self, z, logsnr):
        raise AssertionError("the function was called, and not denoise")


def test_a_wrapper_hands_on_what_is_behind_it():
    """From Python 3.12 on, isinstance with a protocol asks the class alone."""
    (run,) = dv.fit("edm", 3 * X + 5, steps=2, batch=4, progress=False)
    wrapped = HandedOn(run)
    for call in (
        lambda model: dv.sample(model, n=3, generator=generator()).samples,
        lambda model: dv.elbo(model, X.float(), levels=3, generator=generator()).nats,
        lambda model: dv.log_likelihood(model, X.float(), generator=generator()),
    ):
        assert str(call(wrapped)) == str(call(run))


def test_a_trajectory_beyond_a_path_has_no_time_on_it():
    """The path of Karras ends at sigma = 0.002 and 80, λ = 12.43 and −8.76."""
    path = dv.paths.karras()
    low, high = path.schedule.support()
    for grid, worst in (([-10.0, 0.0, 8.0], "-10"), ([-8.0, 0.0, 14.0], "14")):
        walk = dv.sample(dv.toy("gaussian"), grid, "ddim", n=3)
        with pytest.raises(ValueError, match=rf"-8.764 to 12.43, .* goes to {worst}"):
            walk.on(path)
        assert np.ptp(walk.on(dv.paths.LINEAR)[0]) > 0.9
    times, _ = dv.sample(dv.toy("gaussian"), [low, 0.0, high], "ddim", n=3).on(path)
    np.testing.assert_allclose(times[[0, -1]], [1, 0], atol=1e-9)
