"""The defaults of sampling: their error on exact denoisers, and what they take from a denoiser."""

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

import diffviz as dv
from diffviz.sampling.integrate import HIGHEST, LOWEST, STEPS, default_grid
from diffviz.theory.paths import LINEAR, shifted

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class TrainedToy:
    """The exact denoiser of a toy, as if it had been trained under a law."""

    toy: Any
    objective: Any

    @property
    def mean(self):
        return self.toy.mean

    @property
    def std(self):
        return self.toy.std

    def denoise(self, z, logsnr):
        return self.toy.denoise(z, logsnr)


@dataclass(frozen=True)
class Objective:
    law: Any


def starts(toy, n=128):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, *toy.shape, generator=generator, dtype=torch.float64)


def exact_ends(toy, start):
    move = 2 * math.log(toy.std)
    adaptive = partial(dv.solvers.runge_kutta, method="dopri8")
    return dv.sample(toy, [-12 - move, 16 - move], adaptive, start=start).z[-1]


def rms(x):
    return x.square().mean().sqrt().item()


@pytest.mark.parametrize(
    ("name", "unit", "error"),
    [
        # benchmarks/samplers.py measures 0.0009, 0.0004 and 0.0005
        ("ring8", True, 5e-3),
        ("gmm2d", True, 5e-3),
        ("moons", True, 5e-3),
        # data of standard deviation 3.55 and 0.68, the second off the origin
        ("8gaussians", False, 1e-2),
        ("swissroll", False, 1e-2),
    ],
)
def test_the_default_is_close_to_the_exact_flow_in_21_calls(name, unit, error):
    toy = dv.toy(name, unit=unit)
    start = starts(toy)
    trajectory = dv.sample(toy, start=start)
    assert trajectory.calls == STEPS + 1 == 21
    assert rms(trajectory.samples - exact_ends(toy, start)) < error * toy.std


def test_the_default_is_close_to_the_exact_flow_in_more_dimensions():
    """The median of six mixtures: a sample on the border of two components may change sides."""
    errors = []
    for seed in range(6):
        means = 2 * np.random.default_rng(seed).normal(size=(10, 8))
        toy = dv.mixture(means, 0.3).unit()
        start = starts(toy, 64)
        errors.append(rms(dv.sample(toy, start=start).samples - exact_ends(toy, start)))
    assert np.median(errors) < 5e-3


def test_the_default_needs_fewer_calls_than_other_solvers_on_the_same_grid():
    toy = dv.toy("moons", unit=True)
    start = starts(toy)
    ends = exact_ends(toy, start)
    by_default = rms(dv.sample(toy, start=start).samples - ends)
    for solver in ("ddim", "heun", "dpm++2m", "dpm++2s", "rk4"):
        other = dv.sample(toy, default_grid(toy), solver, start=start)
        assert other.calls >= 21
        assert rms(other.samples - ends) > 3 * by_default


def test_the_default_solver_takes_the_standard_deviation_of_the_data():
    toy = dv.toy("swissroll")
    start = starts(toy)
    grid = default_grid(toy)
    by_default = dv.sample(toy, grid, start=start).samples
    named = dv.sample(toy, grid, "abm4", std=toy.std, start=start).samples
    assert torch.equal(by_default, named)
    other = dv.sample(toy, grid, start=start, std=3.0).samples
    assert torch.equal(other, dv.sample(toy, grid, "abm4", std=3.0, start=start).samples)
    assert not torch.equal(by_default, other)
    # a function states nothing: standard deviation 1
    plain = dv.sample(toy.denoise, grid, start=start).samples
    assert torch.equal(plain, dv.sample(toy, grid, "abm4", start=start).samples)


def test_the_default_grid_is_even_in_linear_time_and_moves_with_the_scale():
    unit = default_grid(dv.toy("ring8", unit=True))
    assert len(unit) == STEPS + 1
    assert unit[[0, -1]] == pytest.approx([LOWEST, HIGHEST])
    time = shifted(LINEAR, 0.5).schedule.cdf(unit)
    assert np.diff(time) == pytest.approx(np.full(STEPS, np.ptp(time) / STEPS))
    toy = dv.toy("8gaussians")
    assert default_grid(toy) == pytest.approx(unit - 2 * math.log(toy.std))
    assert default_grid(toy.denoise) == pytest.approx(unit)


@pytest.mark.filterwarnings("error")
def test_the_default_grid_stays_where_training_looked():
    run = TrainedToy(dv.toy("gmm2d", unit=True), Objective(stats.uniform(-6, 10)))
    trajectory = dv.sample(run, n=5)
    assert trajectory.logsnr[[0, -1]] == pytest.approx([-6, 4], abs=2e-5)
    wide = TrainedToy(run.toy, Objective(stats.norm(0, 50)))
    assert dv.sample(wide, n=5).logsnr[[0, -1]] == pytest.approx([LOWEST, HIGHEST])
    unlawful = TrainedToy(run.toy, "a name")
    assert dv.sample(unlawful, n=5).logsnr[[0, -1]] == pytest.approx([LOWEST, HIGHEST])


def test_training_that_looked_elsewhere_has_no_default_grid():
    run = TrainedToy(dv.toy("gmm2d", unit=True), Objective(stats.uniform(20, 1)))
    with pytest.raises(ValueError, match="low < high"):
        dv.sample(run, n=5)


def test_a_trained_run_has_defaults():
    toy = dv.toy("gmm2d")
    x = toy.sample(500, torch.Generator().manual_seed(0)).float()
    run = dv.fit("edm", x, steps=20, progress=False)[0]
    trajectory = dv.sample(run, n=7, generator=torch.Generator().manual_seed(0))
    assert trajectory.samples.shape == (7, 2)
    assert trajectory.logsnr[0] > -10 - 2 * math.log(run.std)  # EDM looks at less


def test_a_standard_deviation_that_is_none_is_refused():
    class Odd:
        std = -1.0
        mean = torch.zeros(2)

        def denoise(self, z, logsnr):
            return z

    with pytest.raises(ValueError, match="std of the denoiser must be"):
        dv.sample(Odd())


def test_samples_start_with_the_mean_and_the_variance_of_z():
    toy = dv.toy("moons")
    grid = [-3.0, 0.0, 6.0]
    generator = torch.Generator().manual_seed(0)
    start = dv.sample(toy, grid, n=20_000, generator=generator).z[0].double()
    x = toy.sample(20_000, torch.Generator().manual_seed(1))
    noise = torch.randn(20_000, 2, generator=torch.Generator().manual_seed(2))
    z = (1 / (1 + math.exp(3))) ** 0.5 * x + (1 / (1 + math.exp(-3))) ** 0.5 * noise
    # moons have a mean of (0.5, 0.25); draws of 20,000 leave an error of 0.007
    assert start.mean(0) == pytest.approx(z.mean(0), abs=0.03)
    assert start.var(0).mean().item() == pytest.approx(z.var(0).mean().item(), rel=0.03)


@pytest.mark.parametrize("solver", [None, "euler"])
def test_samples_of_data_far_from_zero_are_those_near_zero(solver):
    near = dv.mixture([[-1.0], [1.0]], 0.1)
    draws = torch.randn(20, 1, generator=torch.Generator().manual_seed(0))
    grid = default_grid(near)
    alpha = 1 / math.sqrt(1 + math.exp(-grid[0]))
    expected = dv.sample(near, grid, solver, start=draws.double()).samples
    for offset in (1e4, 1e8):
        far = dv.mixture([[offset - 1], [offset + 1]], 0.1)
        start = draws.double() + alpha * offset
        trajectory = dv.sample(far, grid, solver, start=start)
        assert (trajectory.samples - offset - expected).abs().max() < 1e-6 * offset**0.5
        assert (trajectory.z[0] - start).abs().max() < 1e-15 * offset
        trajectory = dv.sample(far, grid, solver, n=20, generator=torch.Generator().manual_seed(0))
        assert len(trajectory.samples.unique()) == 20
        assert dv.sample(far, n=2, start=start.float()).samples.dtype == torch.float64
    assert dv.sample(near, n=2).samples.dtype == torch.float32


@pytest.mark.parametrize("mean", [[0.5, 0.25], np.array([0.5, 0.25]), np.float32([0.5, 0.25])])
def test_a_mean_may_be_any_array(mean):
    class Own:
        def __init__(self, mean):
            self.mean = mean

        def denoise(self, z, logsnr):
            return torch.zeros_like(z)

    own, other = (
        dv.sample(Own(m), [0.0, 1.0], n=4, generator=torch.Generator().manual_seed(0)).z
        for m in (mean, torch.tensor([0.5, 0.25]))
    )
    assert torch.equal(own, other)
    with pytest.raises(TypeError, match="mean of the denoiser must hold real numbers, got text"):
        dv.sample(Own("none"), n=4)


def test_a_denoiser_may_write_its_answers_into_one_tensor():
    toy = dv.toy("gmm2d")

    class Reused:
        mean = toy.mean
        std = toy.std
        buffer = torch.zeros(5, 2)

        def denoise(self, z, logsnr):
            return self.buffer.copy_(toy.denoise(z, logsnr))

    first = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    for solver in (None, "ab3", "dpm++2m", "heun"):
        own, other = (dv.sample(d, [-6, -2, 0, 2, 6], solver, start=first) for d in (Reused(), toy))
        assert torch.equal(own.samples, other.samples)
        assert torch.equal(own.x_hat, other.x_hat)


def test_a_denoiser_without_a_standard_deviation_starts_at_its_mean():
    class Means:
        mean = torch.full((2,), 3.0)

        def denoise(self, z, logsnr):
            return torch.zeros_like(z)

    start = dv.sample(Means(), [0.0, 1.0], n=1000, generator=torch.Generator().manual_seed(0)).z[0]
    draws = torch.randn(1000, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(start, draws + 3 / math.sqrt(2))
