"""Solvers on exact denoisers: orders, equalities, closed forms on a Gaussian, and clear stops."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import stats

from diffviz import samplers as S
from diffviz.paths import COSINE, LINEAR

LOW, HIGH = -10.0, 8.0
MEANS = torch.tensor([[1.0, 1.0], [-1.0, 0.5], [0.0, -1.2]], dtype=torch.float64)
VARIANCE, SHARE = (torch.tensor([0.05, 0.1, 0.2], dtype=torch.float64), torch.tensor([0.3, 0.3, 0.4], dtype=torch.float64))
GRIDS = {
    "uniform": lambda n: S.grid_of(stats.uniform(LOW, HIGH - LOW), n, LOW, HIGH),
    "karras": lambda n: S.karras_grid(n, LOW, HIGH),
    "flow": lambda n: S.grid_of(LINEAR.schedule, n, LOW, HIGH),
}


def mixture(z, logsnr):
    alpha, total = torch.sigmoid(logsnr).sqrt(), torch.sigmoid(logsnr) * VARIANCE + torch.sigmoid(-logsnr)
    d = z[:, None] - alpha * MEANS
    share = (SHARE.log() - d.square().sum(-1) / (2 * total) - total.log()).softmax(1)
    return (share[..., None] * (MEANS + (alpha * VARIANCE / total)[:, None] * d)).sum(1)


def gaussian(z, logsnr):
    return torch.sigmoid(logsnr).sqrt() * z


@pytest.fixture(scope="module")
def start():
    return torch.randn(150, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture(scope="module")
def truth(start):
    def tight(*args):
        return S.adaptive(*args, tolerance=1e-12)

    return S.sample(mixture, [LOW, HIGH], solver=tight, start=start).y[-1]


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize(("solver", "order"), [("ddim", 1), ("heun", 2), ("dpm++2m", 2), ("dpm++2s", 2), ("rk4", 4)])
def test_a_solver_has_its_order(solver, order, grid, start, truth):
    steps = np.array([128, 256, 512])
    errors = [
        (S.sample(mixture, GRIDS[grid](n), solver=solver, start=start).y[-1] - truth).norm(dim=1).median().item() for n in steps
    ]
    slope = -np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert order - 0.1 < slope < order + 0.1, errors


def test_euler_of_flow_matching_is_ddim_and_euler_in_another_frame_is_not(start):
    grid = GRIDS["flow"](16)
    ddim, flow, cosine = (
        S.sample(mixture, grid, solver=solver, start=start).y[-1]
        for solver in ("ddim", S.framed_euler(LINEAR), S.framed_euler(COSINE))
    )
    assert (ddim - flow).abs().max() < 1e-12
    assert (ddim - cosine).abs().max() > 0.05


@pytest.mark.parametrize("steps", [8, 32])
def test_ddim_on_the_cosine_path_has_the_gain_of_the_closed_form(steps):
    grid = COSINE.logsnr(np.linspace(1 - 1e-12, 0, steps + 1))
    out = S.sample(gaussian, grid, solver="ddim", start=torch.ones(1, 1, dtype=torch.float64)).y[-1].item()
    assert out == pytest.approx(math.cos(math.pi / 2 / steps) ** steps, abs=1e-9)


@pytest.mark.parametrize(("steps", "gain"), [(1, 0), (2, 0.5), (4, 0.72), (8, 0.8508217578)])
def test_euler_of_flow_matching_has_the_gain_of_the_closed_form(steps, gain):
    grid = LINEAR.logsnr(np.linspace(1 - 1e-12, 0, steps + 1))
    out = S.sample(gaussian, grid, solver="ddim", start=torch.ones(1, 1, dtype=torch.float64)).y[-1].item()
    assert out == pytest.approx(gain, abs=1e-9)


@pytest.mark.parametrize(("steps", "wanted"), [(10, 0.6791468346), (1000, 0.9951262513)])
def test_ancestral_sampling_is_under_dispersed_by_the_closed_form(steps, wanted):
    grid = COSINE.logsnr(np.linspace(1 - 2e-4 / np.pi, 2e-4 / np.pi, steps + 1))
    moves = {}

    def unit(like):  # noise drawn from a known basis: variances add up exactly
        moves["n"] = moves.get("n", 0) + 1
        out = torch.zeros_like(like)
        out[0, moves["n"]] = 1.0
        return out

    y = torch.zeros(1, steps + 1, dtype=torch.float64)
    y[0, 0] = math.sqrt(1 + math.exp(-grid[0]))
    model = S._Calls(gaussian)
    for before, after in pairwise(grid):
        y = S.ancestral(model, y, before, after, {}, unit)
    alpha2 = 1 / (1 + math.exp(-grid[-1]))
    assert alpha2 * y.square().sum().item() == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize(
    "solver",
    ["ancestral", "euler-maruyama", S.churn(40, 600, 1.0), S.ddim_eta(0.5)],
    ids=["ancestral", "euler-maruyama", "churn", "eta 0.5"],
)
def test_stochastic_solvers_keep_mean_and_covariance(solver):
    generator = torch.Generator().manual_seed(1)
    grid = S.grid_of(COSINE.schedule, 600, -12, 10)
    start = torch.randn(20_000, 2, generator=generator, dtype=torch.float64)
    x = S.sample(mixture, grid, solver=solver, start=start, generator=generator).samples
    mean = (SHARE[:, None] * MEANS).sum(0)
    second = (SHARE[:, None, None] * (MEANS[:, :, None] * MEANS[:, None] + VARIANCE[:, None, None] * torch.eye(2))).sum(0)
    covariance = second - mean[:, None] * mean
    bar = 4 * (torch.diag(covariance) / len(x)).sqrt()
    assert ((x.mean(0) - mean).abs() < bar).all()
    assert (torch.cov(x.T) - covariance).abs().max() < 0.03


def test_the_same_seed_gives_the_same_samples():
    one, two = (
        S.sample(
            mixture,
            GRIDS["karras"](5),
            solver="ancestral",
            n=10,
            shape=(2,),
            generator=torch.Generator().manual_seed(3),
            dtype=torch.float64,
        )
        for _ in range(2)
    )
    assert torch.equal(one.y, two.y)


def test_calls_are_counted_and_shapes_are_as_documented(start):
    t = S.sample(mixture, GRIDS["karras"](7), solver="heun", start=start)
    assert (
        t.calls == 14 and t.y.shape == t.x_hat.shape == (8, 150, 2) and t.logsnr.shape == (8,) and t.samples.shape == (150, 2)
    )
    assert S.sample(mixture, [*GRIDS["karras"](7), np.inf], solver="dpm++2m", start=start).calls == 8


@pytest.mark.parametrize("name", S.SOLVERS)
def test_every_solver_can_end_at_infinite_logsnr(name, start):
    x = S.sample(mixture, [*GRIDS["uniform"](40), np.inf], solver=name, start=start).y[-1]
    assert torch.isfinite(x).all()


@pytest.mark.parametrize("grid", [[1, 0], [0], [0, 0], [0, np.nan], [-np.inf, 0]])
def test_a_grid_that_does_not_run_to_data_is_refused(grid):
    with pytest.raises(ValueError, match="increasing"):
        S.sample(mixture, grid, n=2, shape=(2,))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: S.sample(mixture, [0, 1], solver="hein", n=2, shape=(2,)), "heun"),
        (lambda: S.sample(mixture, [0, 1]), "shape"),
        (lambda: S.sample(mixture, [0, 1], n=0, shape=(2,)), "n >= 1"),
        (lambda: S.ddim_eta(1.5), r"\[0, 1\]"),
        (lambda: S.churn(-1, 3), "amount >= 0"),
        (lambda: S.karras_grid(0, -1, 1), "steps >= 1"),
        (lambda: S.grid_of(stats.uniform(), 3, 1, 0), "low < high"),
        (lambda: S.grid_of(stats.uniform(), 3, 5, 6), "no mass"),
        (lambda: S.sample(lambda z, l: z[:1], [0, 1], n=3, shape=(2,)), "shape"),
    ],
)
def test_bad_input_is_refused_with_the_way_out(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_a_denoiser_that_fails_on_the_way_keeps_the_steps_before(start):
    def broken(z, logsnr):
        return mixture(z, logsnr) * (float("nan") if logsnr > 0 else 1)

    with pytest.raises(S.Stopped, match=r"step 6 of 10: .* logsnr 0\.8") as stop:
        S.sample(broken, np.linspace(LOW, HIGH, 11), solver="ddim", start=start)
    assert stop.value.trajectory.y.shape == (6, 150, 2) and not stop.value.trajectory.finished
