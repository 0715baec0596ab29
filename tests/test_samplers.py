"""Solvers on exact denoisers: orders, gains of the closed form on a Gaussian, and clear stops."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats

import diffviz as dv
from diffviz.paths import COSINE, LINEAR
from diffviz.samplers import Stopped, grid_of

LOW, HIGH = -10.0, 8.0
MEANS = torch.tensor([[1.0, 1.0], [-1.0, 0.5], [0.0, -1.2]], dtype=torch.float64)
VARIANCE, SHARE = torch.tensor([0.05, 0.1, 0.2], dtype=torch.float64), torch.tensor([0.3, 0.3, 0.4], dtype=torch.float64)
GRIDS = {"uniform": stats.uniform(LOW, HIGH - LOW), "flow": LINEAR.schedule}


def model(denoise, d=2):
    return SimpleNamespace(denoise=denoise, mean=torch.zeros(d, dtype=torch.float64))


@model
def mixture(z, logsnr):
    alpha, total = torch.sigmoid(logsnr).sqrt(), torch.sigmoid(logsnr) * VARIANCE + torch.sigmoid(-logsnr)
    d = z[:, None] - alpha * MEANS
    share = (SHARE.log() - d.square().sum(-1) / (2 * total) - total.log()).softmax(1)
    return (share[..., None] * (MEANS + (alpha * VARIANCE / total)[:, None] * d)).sum(1)


gaussian = model(lambda z, logsnr: torch.sigmoid(logsnr).sqrt() * z, 1)
ONE = torch.ones(1, 1, dtype=torch.float64)


@pytest.mark.parametrize("law", GRIDS)
@pytest.mark.parametrize(("solver", "order"), [("ddim", 1), ("heun", 2)])
def test_a_solver_has_its_order(solver, order, law):
    start = torch.randn(150, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    steps = (128, 256, 512)
    ends = [dv.sample(mixture, grid_of(GRIDS[law], n, LOW, HIGH), solver=solver, start=start).z[-1] for n in steps]
    best = dv.sample(mixture, grid_of(GRIDS[law], 4096, LOW, HIGH), start=start).z[-1]
    errors = [(end - best).norm(dim=1).median().item() for end in ends]
    assert order - 0.1 < -np.polyfit(np.log(steps), np.log(errors), 1)[0] < order + 0.1, errors


@pytest.mark.parametrize("steps", [8, 32])
def test_ddim_on_the_cosine_path_has_the_gain_of_the_closed_form(steps):
    end = dv.sample(gaussian, COSINE.logsnr(np.linspace(1 - 1e-12, 1e-12, steps + 1)), solver="ddim", start=ONE).z[-1].item()
    assert end == pytest.approx(math.cos(math.pi / 2 / steps) ** steps, abs=1e-9)


@pytest.mark.parametrize(("steps", "gain"), [(1, 0), (2, 0.5), (4, 0.72), (8, 0.8508217578)])
def test_euler_of_flow_matching_has_the_gain_of_the_closed_form(steps, gain):
    end = dv.sample(gaussian, LINEAR.logsnr(np.linspace(1 - 1e-12, 1e-12, steps + 1)), solver="ddim", start=ONE).z[-1].item()
    assert end == pytest.approx(gain, abs=1e-9)


def test_samples_of_an_exact_denoiser_have_the_mean_and_covariance_of_the_data():
    x = dv.sample(mixture, grid_of(COSINE.schedule, 60), n=20_000, generator=torch.Generator().manual_seed(1)).samples.double()
    mean = (SHARE[:, None] * MEANS).sum(0)
    second = (SHARE[:, None, None] * (MEANS[:, :, None] * MEANS[:, None] + VARIANCE[:, None, None] * torch.eye(2))).sum(0)
    covariance = second - mean[:, None] * mean
    assert ((x.mean(0) - mean).abs() < 4 * (torch.diag(covariance) / len(x)).sqrt()).all()
    assert (torch.cov(x.T) - covariance).abs().max() < 0.03


def test_shapes_are_as_documented_and_the_same_seed_gives_the_same_samples():
    one, two = (dv.sample(mixture, [-8, -1, 3, 9], n=5, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    assert one.logsnr.shape == (4,) and one.z.shape == one.x_hat.shape == (4, 5, 2) and one.samples.shape == (5, 2)
    assert torch.equal(one.z, two.z)


def test_a_grid_has_equal_shares_of_its_law_and_its_ends():
    grid = grid_of(LINEAR.schedule, 6, -3, 5)
    assert (grid[0], grid[-1], len(grid)) == (-3, 5, 7)
    assert np.allclose(np.diff(LINEAR.schedule.cdf(grid), 2), 0, atol=1e-12)


@pytest.mark.parametrize("grid", [[1, 0], [0], [0, 0], [0, np.nan], [-np.inf, 0]])
def test_a_grid_that_does_not_run_to_data_is_refused(grid):
    with pytest.raises(ValueError, match="grid"):
        dv.sample(mixture, grid, n=2)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: dv.sample(mixture, [0, 1], solver="hein"), "heun"),
        (lambda: dv.sample(mixture, [0, 1], n=0), "n >= 1"),
        (lambda: grid_of(stats.norm(), 0, -1, 1), "steps >= 1"),
        (lambda: grid_of(stats.uniform(), 3, 1, 0), "low < high"),
        (lambda: grid_of(stats.uniform(), 3, 5, 6), "mass"),
    ],
)
def test_bad_input_is_refused_with_the_way_out(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_a_denoiser_that_fails_on_the_way_keeps_the_steps_before():
    broken = model(lambda z, logsnr: mixture.denoise(z, logsnr) * (float("nan") if logsnr > 0 else 1))
    with pytest.raises(Stopped, match=r"step 6 of 10: .* logsnr 0\.8") as stop:
        dv.sample(broken, np.linspace(LOW, HIGH, 11), solver="ddim", n=4)
    assert stop.value.trajectory.z.shape == stop.value.trajectory.x_hat.shape == (6, 4, 2)
