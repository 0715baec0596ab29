"""Solvers on exact denoisers.

Orders, closed forms on a Gaussian, the samplers of other codes, trajectories, and clear stops.
"""

import math
import warnings
from functools import partial
from itertools import pairwise
from types import SimpleNamespace

import diffusers
import numpy as np
import pytest
import torch
from cells import in_one_test
from scipy import fft, interpolate, stats

import diffviz as dv
from diffviz.data.files import FOLDER
from diffviz.lab.experiments.sampling import between
from diffviz.sampling import couplings, grids
from diffviz.sampling.integrate import Stopped
from diffviz.sampling.solvers import SOLVERS
from diffviz.sampling.trajectories import error_law, explained, prediction_weights
from diffviz.theory import paths
from diffviz.theory.frames import VE, VP
from diffviz.theory.paths import COSINE, LINEAR, Path
from diffviz.theory.targets import EPS, X

LOW, HIGH = -10.0, 8.0
MEANS = torch.tensor([[1.0, 1.0], [-1.0, 0.5], [0.0, -1.2]], dtype=torch.float64)
VARIANCE, SHARE = (
    torch.tensor([0.05, 0.1, 0.2], dtype=torch.float64),
    torch.tensor([0.3, 0.3, 0.4], dtype=torch.float64),
)
GRIDS = {
    "uniform": stats.uniform(LOW, HIGH - LOW),
    "flow": LINEAR.schedule,
    "karras": paths.karras(math.exp(-HIGH / 2), math.exp(-LOW / 2)).schedule,
}


def model(denoise, d=2):
    return SimpleNamespace(denoise=denoise, mean=torch.zeros(d, dtype=torch.float64))


@model
def mixture(z, logsnr):
    """The mean over parts of m + g (z - alpha m), where g = alpha V / total."""
    alpha, total = (
        torch.sigmoid(logsnr).sqrt(),
        torch.sigmoid(logsnr) * VARIANCE + torch.sigmoid(-logsnr),
    )
    gain = alpha * VARIANCE / total
    x, y = z.mT[:, None] - (alpha * MEANS).mT[..., None]
    share = ((SHARE / total).log()[:, None] - (x * x + y * y) / (2 * total)[:, None]).softmax(0)
    return share.mT @ ((1 - alpha * gain)[:, None] * MEANS) + (gain @ share)[:, None] * z


def normal(variance):
    """Denoiser of data N(0, variance), any shape."""
    return lambda z, logsnr: (
        logsnr.sigmoid().sqrt() * variance / (logsnr.sigmoid() * variance + (-logsnr).sigmoid()) * z
    )


gaussian = model(normal(1), 1)
ONE = torch.ones(1, 1, dtype=torch.float64)


def covariance():
    mean = (SHARE[:, None] * MEANS).sum(0)
    second = (
        SHARE[:, None, None]
        * (MEANS[:, :, None] * MEANS[:, None] + VARIANCE[:, None, None] * torch.eye(2))
    ).sum(0)
    return mean, second - mean[:, None] * mean


@pytest.fixture(scope="module")
def start():
    return torch.randn(100, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture(scope="module")
def best(start):
    return dv.sample(mixture, [LOW, HIGH], solver="adaptive", start=start).z[-1]


def step(solver, **options):
    """One step on the mixture."""
    return dv.sample(mixture, [0, 1], solver=solver, n=2, **options)


def order_of(solver, grid, start, best):
    steps = (128, 256, 512)
    ends = [dv.sample(mixture, grid(n), solver=solver, start=start).z[-1] for n in steps]
    return -np.polyfit(
        np.log(steps), np.log([(end - best).norm(dim=1).median().item() for end in ends]), 1
    )[0]


@pytest.mark.slow
@pytest.mark.parametrize("law", GRIDS)
@pytest.mark.parametrize(
    ("solver", "order"),
    [("ddim", 1), ("euler", 1), ("heun", 2), ("dpm++2m", 2), ("dpm++2s", 2), ("rk4", 4)],
)
def test_a_solver_has_its_order(solver, order, law, start, best):
    assert order_of(
        solver, lambda n: grids.grid(GRIDS[law], n, LOW, HIGH), start, best
    ) == pytest.approx(order, abs=0.1)


@pytest.mark.parametrize("law", GRIDS)
@pytest.mark.parametrize(("solver", "order", "within"), [("ab3", 3, 0.1), ("abm4", 4, 0.2)])
def test_adams_methods_have_their_order_once_under_way(solver, order, within, law, start, best):
    def grid(n):  # a short first step, which is Euler's
        levels = grids.grid(GRIDS[law], n, LOW, HIGH)
        return np.insert(levels, 1, levels[0] + 1e-3 * (levels[1] - levels[0]))

    assert order_of(solver, grid, start, best) == pytest.approx(order, abs=within)


@pytest.mark.parametrize("law", GRIDS)
@pytest.mark.parametrize("std", [0.5, 1.0, 3.0])
def test_rk4_has_its_order_in_the_angle_too(std, law, start, best):
    solver = partial(dv.solvers.rk4, std=std)
    steps = np.array([16, 32, 64])
    ends = [
        dv.sample(mixture, grids.grid(GRIDS[law], n, LOW, HIGH), solver=solver, start=start).z[-1]
        for n in steps
    ]
    errors = [(end - best).norm(dim=1).median().item() for end in ends]
    assert np.log2(errors[0] / errors[-1]) / 2 == pytest.approx(4, abs=0.7)


def test_rk4_in_the_angle_is_exact_where_the_flow_stands_still_in_it():
    """On N(0, 1) z does not move with θ, and each slope is 0."""
    toy = dv.toy("gaussian", unit=True)
    start = torch.linspace(-2, 2, 5, dtype=torch.float64)[:, None]
    walk = dv.sample(toy, [-9.0, -1.0, 7.0], solver="rk4", start=start, std=1.0)
    assert torch.allclose(walk.z[-1], start, rtol=1e-12)
    assert walk.calls == 9
    moved = dv.sample(toy, [-9.0, -1.0, 7.0], solver="rk4", start=start).z[-1]
    assert (moved - start).norm() > start.norm()


@pytest.mark.slow
def test_the_adaptive_reference_agrees_with_a_fine_grid(start, best):
    fine = dv.sample(mixture, np.linspace(LOW, HIGH, 2049), solver="rk4", start=start).z[-1]
    assert (fine - best).abs().max() < 5e-9


def test_euler_of_flow_matching_is_ddim_and_so_is_euler_in_sigma(start):
    for law in GRIDS.values():
        grid = grids.grid(law, 16, LOW, HIGH)
        sigma = paths.karras(
            math.exp(-HIGH / 2), math.exp(-LOW / 2), rho=1
        )  # the VE frame with s linear in time
        ddim, flow, ve, cosine = (
            dv.sample(mixture, grid, solver=solver, start=start, **options).z[-1]
            for solver, options in (
                ("ddim", {}),
                ("euler", {}),
                ("euler", {"path": sigma}),
                ("euler", {"path": COSINE}),
            )
        )
        assert (ddim - flow).abs().max() < 1e-12 and (ddim - ve).abs().max() < 1e-11
        assert (ddim - cosine).abs().max() > 0.05


def test_from_the_linear_to_the_vp_frame_ddim_stays_and_euler_moves():
    t = np.linspace(1 - 1e-9, 1e-9, 7)
    data, grid = model(normal(0.25), 1), LINEAR.logsnr(t)
    assert np.allclose(
        between(1).alpha(grid), (1 - t) / np.sqrt((1 - t) ** 2 + t**2), rtol=1e-7
    )  # with the root
    ends = [
        dv.sample(
            data, grid, solver="euler", start=ONE, path=Path("", between(share), LINEAR.schedule)
        )
        .z[-1]
        .item()
        for share in (0, 0.5, 1)
    ]
    assert ends[0] == pytest.approx(
        dv.sample(data, grid, solver="ddim", start=ONE).z[-1].item(), abs=1e-7
    )
    assert abs(ends[1] - ends[0]) > 0.003 and abs(ends[2] - ends[0]) > 0.01

    def expected(share):
        """Euler by hand in t, with q = (1 − t)² + t² and the scales (1 − t, t)/q^(share/2)."""
        z = math.hypot(1 - t[0], t[0]) ** (1 - share)
        for here, there in pairwise(t):
            q, bend = (1 - here) ** 2 + here**2, 1 - 2 * here  # dq/dt = −2 bend
            a, s = (1 - here) / q ** (share / 2), here / q ** (share / 2)
            da, ds = a * (share * bend / q - 1 / (1 - here)), s * (share * bend / q + 1 / here)
            x_hat = 0.25 * a / (0.25 * a**2 + s**2) * z
            z += (there - here) * (da * x_hat + ds * (z - a * x_hat) / s)
        return z / math.hypot(1 - t[-1], t[-1]) ** (1 - share)

    assert ends == pytest.approx([expected(share) for share in (0, 0.5, 1)], abs=1e-6)


@pytest.mark.parametrize("steps", [8, 32])
def test_ddim_on_the_cosine_path_has_the_gain_of_the_closed_form(steps):
    end = (
        dv.sample(
            gaussian,
            COSINE.logsnr(np.linspace(1 - 1e-12, 1e-12, steps + 1)),
            solver="ddim",
            start=ONE,
        )
        .z[-1]
        .item()
    )
    assert end == pytest.approx(math.cos(math.pi / 2 / steps) ** steps, abs=1e-9)


@pytest.mark.parametrize(("steps", "gain"), [(1, 0), (2, 0.5), (4, 0.72), (8, 0.8508217578)])
def test_euler_of_flow_matching_has_the_gain_of_the_closed_form(steps, gain):
    end = (
        dv.sample(
            gaussian,
            LINEAR.logsnr(np.linspace(1 - 1e-12, 1e-12, steps + 1)),
            solver="ddim",
            start=ONE,
        )
        .z[-1]
        .item()
    )
    assert end == pytest.approx(gain, abs=1e-9)


def option_name(options):
    """A readable name of a case, with a path by its own name."""
    return " ".join(f"{key} {getattr(value, 'name', value)}" for key, value in options.items())


def independent_draws():
    """Noise in ever new directions: the squared length of the sample is its variance, exactly."""
    count = iter(range(1, 10**6))

    def noise(like):
        unit = torch.zeros_like(like)
        unit[0, next(count)] = 1
        return unit

    return noise


def variance(data, steps, **options):
    grid = COSINE.logsnr(np.linspace(1 - 2e-4 / np.pi, 2e-4 / np.pi, steps + 1))
    first = torch.eye(1, steps + 1, dtype=torch.float64)
    return (
        dv.sample(data, grid, start=first, noise=independent_draws(), **options)
        .z[-1]
        .square()
        .sum()
        .item()
    )


@pytest.mark.parametrize(
    ("steps", "ancestral", "ddim"), [(10, 0.6791468346, 0.7806), (1000, 0.9951262513, 0.9975)]
)
def test_ancestral_sampling_is_under_dispersed_by_the_closed_form_and_more_than_ddim(
    steps, ancestral, ddim
):
    data = model(normal(1), steps + 1)
    assert variance(data, steps, solver="ddim", eta=1) == pytest.approx(ancestral, abs=1e-9)
    assert variance(data, steps, solver="ddim") == pytest.approx(ddim, abs=1e-4)
    half = variance(data, steps, solver="ddim", eta=0.5)
    assert ancestral < half < ddim


def test_a_ddpm_step_is_a_ddim_step_of_twice_the_length_and_noise():
    """In s² of the VE frame: DDPM from s to e keeps (e/s)² of eps_hat, which is DDIM from s to
    e²/s.
    """
    grid, y = np.array([0.0, 1.3]), torch.tensor([[0.7, -0.2]], dtype=torch.float64)
    mean = dv.sample(mixture, grid, solver="ddim", eta=1, start=y, noise=torch.zeros_like).z[
        -1
    ] / VP.alpha(grid[1])
    further = dv.sample(mixture, [0.0, 2.6], solver="ddim", start=y).z[-1] / VP.alpha(2.6)
    assert (mean - further).abs().max() < 1e-14


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"solver": "ddim"},
        {"solver": "ddim", "eta": 0.5},
        {"solver": "ddim", "eta": 1},
        {"solver": "euler-maruyama"},
        {"solver": "euler-maruyama", "path": COSINE},
        {"solver": "heun", "churn": 40, "inflate": 1},
    ],
    ids=option_name,
)
def test_samples_of_an_exact_denoiser_have_the_mean_and_covariance_of_the_data(options):
    n, steps = 20_000, 200
    generator = torch.Generator().manual_seed(1)
    first = torch.randn(n, 2, generator=generator)
    x = dv.sample(
        mixture,
        grids.grid(COSINE.schedule, steps, -12, 10),
        start=first,
        generator=generator,
        **options,
    ).samples.double()
    mean, cov = covariance()
    fourth = ((x - mean) ** 2).T.cov()  # of the entries' own spread
    bar = (
        4 * (torch.diag(cov) / n).sqrt(),
        4 * fourth.abs().max().sqrt() / math.sqrt(n) + 2 * cov.abs().max() / steps,
    )
    assert ((x.mean(0) - mean).abs() < bar[0]).all(), (x.mean(0) - mean) / bar[0]
    assert ((torch.cov(x.T) - cov).abs() < bar[1]).all(), (torch.cov(x.T) - cov) / bar[1]


def sigmas_and_levels(steps=17):
    levels = grids.grid(paths.karras().schedule, steps)
    return np.exp(-levels / 2), levels


def in_y(x, sigma):
    return mixture.denoise(
        x / math.hypot(1, sigma), torch.tensor(-2 * math.log(sigma), dtype=torch.float64)
    )


def k_heun(x, sigmas, noise, churn=0.0, s_noise=1.0, s_tmin=0.0, s_tmax=math.inf):
    """k-diffusion's ``sample_heun``."""
    for i in range(len(sigmas) - 1):
        gamma = min(churn / (len(sigmas) - 1), 2**0.5 - 1) if s_tmin <= sigmas[i] <= s_tmax else 0.0
        sigma_hat = sigmas[i] * (gamma + 1)
        if gamma > 0:
            x = x + noise(x) * s_noise * (sigma_hat**2 - sigmas[i] ** 2) ** 0.5
        d = (x - in_y(x, sigma_hat)) / sigma_hat
        x_2 = x + d * (sigmas[i + 1] - sigma_hat)
        d_2 = (x_2 - in_y(x_2, sigmas[i + 1])) / sigmas[i + 1]
        x = x + (d + d_2) / 2 * (sigmas[i + 1] - sigma_hat)
    return x


def k_ancestral(x, sigmas, noise):
    """k-diffusion's ``sample_euler_ancestral``."""
    for a, b in pairwise(sigmas):
        up = min(b, (b**2 * (a**2 - b**2) / a**2) ** 0.5)
        down = (b**2 - up**2) ** 0.5
        x = x + (x - in_y(x, a)) / a * (down - a)
        x = x + noise(x) * up
    return x


def k_dpmpp_2m(x, sigmas, noise):
    """k-diffusion's ``sample_dpmpp_2m``."""
    old = None
    for i in range(len(sigmas) - 1):
        denoised, (t, t_next) = in_y(x, sigmas[i]), (-math.log(sigmas[i]), -math.log(sigmas[i + 1]))
        h, mixed = t_next - t, denoised
        if old is not None:
            r = (t + math.log(sigmas[i - 1])) / h
            mixed = (1 + 1 / (2 * r)) * denoised - (1 / (2 * r)) * old
        x = math.exp(-t_next) / math.exp(-t) * x - math.expm1(-h) * mixed
        old = denoised
    return x


def k_dpmpp_2s(x, sigmas, noise):
    """k-diffusion's ``sample_dpmpp_2s_ancestral`` with eta = 0."""
    for a, b in pairwise(sigmas):
        t, t_next = -math.log(a), -math.log(b)
        h = t_next - t
        s = t + h / 2
        x_2 = math.exp(-s) / math.exp(-t) * x - math.expm1(-h / 2) * in_y(x, a)
        x = math.exp(-t_next) / math.exp(-t) * x - math.expm1(-h) * in_y(x_2, math.exp(-s))
    return x


def k_lms(x, sigmas, noise):
    """k-diffusion's ``sample_lms`` of order 3, the integrals by Gauss–Legendre."""
    node, weight = np.polynomial.legendre.leggauss(4)
    slopes, at = [], []
    for i in range(len(sigmas) - 1):
        slopes, at = [*slopes, (x - in_y(x, sigmas[i])) / sigmas[i]][-3:], [*at, sigmas[i]][-3:]
        half = (sigmas[i + 1] - sigmas[i]) / 2
        tau = sigmas[i] + half * (1 + node)
        for j, slope in enumerate(slopes):
            basis = np.prod(
                [(tau - at[k]) / (at[j] - at[k]) for k in range(len(at)) if k != j], axis=0
            )
            x = x + float(half * (weight * basis).sum()) * slope
    return x


def integral(slopes, at, begin, end):
    """Integral of the polynomial through slopes, by Gauss–Legendre on Lagrange's form."""
    node, weight = np.polynomial.legendre.leggauss(4)
    half = (end - begin) / 2
    tau = begin + half * (1 + node)
    total = 0
    for j, slope in enumerate(slopes):
        others = [(tau - at[k]) / (at[j] - at[k]) for k in range(len(at)) if k != j]
        total = total + float(half * (weight * np.prod([tau**0, *others], axis=0)).sum()) * slope
    return total


def adams_moulton(x, sigmas, noise):
    """Predict by three slopes and correct by four, with what was corrected kept beside."""
    slopes, at, corrected = [], [], x
    for i in range(len(sigmas) - 1):
        slopes, at = [*slopes, (x - in_y(x, sigmas[i])) / sigmas[i]][-4:], [*at, sigmas[i]][-4:]
        if i:
            corrected = corrected + integral(slopes, at, sigmas[i - 1], sigmas[i])
        x = corrected + integral(slopes[-3:], at[-3:], sigmas[i], sigmas[i + 1])
    return x


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (adams_moulton, {"solver": "abm4", "std": 1e6}),
        (k_heun, {"solver": "heun"}),
        (partial(k_heun, churn=10, s_noise=1.003), {"solver": "heun", "churn": 10}),
        (
            partial(k_heun, churn=10, s_noise=1.003, s_tmin=0.1, s_tmax=9),
            {"solver": "heun", "churn": 10, "low": 0.1, "high": 9},
        ),
        (k_ancestral, {"solver": "ddim", "eta": 1}),
        (k_dpmpp_2m, {"solver": "dpm++2m"}),
        (k_dpmpp_2s, {"solver": "dpm++2s"}),
        (k_lms, {"solver": "ab3", "std": 1e6}),
    ],
)
def test_solvers_agree_with_the_formulas_of_k_diffusion(theirs, ours, start):
    """Transcribed from its ``sampling.py`` (0.1.1), which cannot be imported without a dozen
    packages more.
    """
    sigmas, levels = sigmas_and_levels()

    def noise(seed):
        generator = torch.Generator().manual_seed(seed)
        return lambda y: torch.randn(y.shape, generator=generator, dtype=y.dtype)

    expected = theirs(start * math.hypot(1, sigmas[0]), sigmas, noise(2))
    assert (
        dv.sample(mixture, levels, start=start, noise=noise(2), **ours).z[-1]
        - expected / math.hypot(1, sigmas[-1])
    ).abs().max() < 1e-8


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")
@pytest.mark.parametrize(
    ("name", "arguments", "ours"),
    [
        ("DDIMScheduler", {"set_alpha_to_one": False, "clip_sample": False}, {"solver": "ddim"}),
        ("EulerDiscreteScheduler", {}, {"solver": "ddim"}),
        ("HeunDiscreteScheduler", {}, {"solver": "heun"}),
        (
            "DPMSolverMultistepScheduler",
            {"lower_order_final": False, "final_sigmas_type": "sigma_min"},
            {"solver": "dpm++2m"},
        ),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_solvers_agree_with_diffusers(name, arguments, ours, start):
    """On its own table of levels, in its float32. Its VE samplers start at z sigma_max and end with
    x_hat.
    """
    scheduler = getattr(diffusers, name)(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, **arguments
    )
    scheduler.set_timesteps(20)
    alpha2 = scheduler.alphas_cumprod.double()
    levels = (alpha2 / (1 - alpha2)).log()
    exploding = name.startswith(("Euler", "Heun"))
    grid, z = [], start * float(scheduler.init_noise_sigma) if exploding else start
    for t in scheduler.timesteps:
        scaled = scheduler.scale_model_input(z, t)
        level = (
            -2 * scheduler.sigmas[scheduler.step_index].double().log()
            if exploding
            else levels[t.long()]
        )
        eps = (scaled - level.sigmoid().sqrt() * mixture.denoise(scaled, level)) / (
            -level
        ).sigmoid().sqrt()
        z = scheduler.step(eps, t, z).prev_sample
        grid.append(level.item())
    grid = np.unique(grid)
    if name.startswith("DPM"):
        grid = np.r_[grid, levels[0]]
    first = (
        start * float(scheduler.init_noise_sigma) / math.hypot(1, math.exp(-grid[0] / 2))
        if exploding
        else start
    )
    result = dv.sample(mixture, grid, start=first, **ours)
    assert ((result.samples if exploding else result.z[-1]) - z).abs().max() < 2e-4


def test_ddim_on_the_cosine_path_weighs_all_velocities_alike_and_ddpm_late_ones_more():
    grid = COSINE.logsnr(np.linspace(1 - 1e-12, 1e-12, 101))
    flat, rising = np.abs(prediction_weights(grid)), np.abs(prediction_weights(grid, eta=1))
    assert flat.shape == (101,) and flat[0] == pytest.approx(math.cos(math.pi / 200) ** 100)
    assert flat[1:] == pytest.approx(
        math.sin(math.pi / 200) * math.cos(math.pi / 200) ** np.arange(99, -1, -1), abs=1e-9
    )
    assert flat[-1] == pytest.approx(0.015707, abs=5e-7) and flat[1:].min() / flat[1:].max() > 0.987
    assert (np.diff(rising[1:80]) > 0).all() and rising[1] < 0.001 and rising[1:].max() > 0.025


@pytest.mark.parametrize(
    "solver", [one for one in SOLVERS if one not in ("adaptive", "euler-maruyama")]
)
@pytest.mark.parametrize("target", [EPS, X])
def test_the_weights_put_the_last_z_together_from_what_was_predicted(solver, target):
    grid, said = grids.grid(COSINE.schedule, 6, -6, 5), []

    def denoise(z, logsnr):
        x_hat = mixture.denoise(z, logsnr)
        eps_hat = (z - logsnr.sigmoid().sqrt() * x_hat) / (-logsnr).sigmoid().sqrt()
        said.append(x_hat if target is X else eps_hat)
        return x_hat

    first = torch.tensor([[0.3, -1.1]], dtype=torch.float64)
    result = dv.sample(denoise, grid, solver=solver, start=first)
    weights = prediction_weights(grid, solver, target)
    assert len(weights) == result.calls == len(said)
    total = sum(float(w) * one for w, one in zip(weights, [first, *said], strict=False))
    assert (total - result.z[-1]).abs().max() < 1e-12


def test_straightness_of_a_trajectory_depends_on_the_path_and_the_data():
    first = stats.norm.ppf((np.arange(400) + 0.5) / 400)[:, None]
    for c in (0.25, 1.0):
        t = dv.sample(
            model(normal(c), 1),
            grids.grid(LINEAR.schedule, 200, -12, 12),
            start=torch.tensor(first),
        )
        second = float((first**2).mean())
        assert couplings.straightness(*t.on(LINEAR)) == pytest.approx(
            math.sqrt(c) * (2 - math.pi / 2) * second, rel=0.01
        )
    assert couplings.straightness(*t.on(COSINE)) < 1e-3  # VP on unit data stands still
    assert couplings.path_ratio(t.on(Path("", VE, LINEAR.schedule))[1]) == pytest.approx(
        1, abs=1e-9
    )


@pytest.mark.parametrize(
    ("variance", "flow", "vp"),
    [(0.01, 0.065, 0.171), (0.1, 0.150, 0.108), (0.5, 0.244, 0.036), (1, 0.293, 0)],
)
def test_the_distance_of_a_path_from_its_chord_depends_on_the_data(variance, flow, vp):
    t = dv.sample(model(normal(variance), 1), grids.grid(LINEAR.schedule, 400, -16, 16), start=ONE)
    for path, expected in ((LINEAR, flow), (COSINE, vp)):
        time, z = t.on(path)
        z = z[:, 0, 0].numpy()
        chord = z[-1] + time * (z[0] - z[-1])
        assert np.abs(z - chord).max() == pytest.approx(expected, abs=2e-3)


# R² in percent: images of 64² and 256² (1 − mmse/Var) after 10, 20, 30, 50, 70 % of the steps;
# digits and ring8 after 10, 20, 30, 50 %
EARLY = {
    "flow": (
        LINEAR,
        (48, 66, 76, 86, 92),
        (72, 82, 86, 91, 95),
        (29, 56, 80, 99),
        (19, 38, 58, 88),
    ),
    "flow, shift 3": (
        paths.shifted(LINEAR, 3),
        (17, 39, 54, 72, 83),
        (52, 68, 76, 84, 90),
        (10, 22, 36, 69),
        (7, 14, 24, 48),
    ),
    "cosine": (
        COSINE,
        (57, 71, 78, 86, 91),
        (77, 84, 87, 91, 94),
        (39, 68, 86, 99),
        (26, 47, 64, 88),
    ),
    "DDPM": (
        paths.vp_linear(),
        (5, 19, 40, 69, 84),
        (32, 54, 68, 83, 90),
        (5, 11, 22, 63),
        (3, 7, 14, 43),
    ),
    "EDM": (
        paths.karras(),
        (8, 19, 39, 74, 94),
        (39, 54, 67, 86, 96),
        (3, 6, 11, 47),
        (2, 4, 7, 31),
    ),
}


def explained_by_power(path, power):
    """R² along 100 steps of a Gaussian with that power of its cosine coefficients, 1 − mmse/Var, in
    percent.
    """
    grid = grids.grid(path.schedule, 100, -16, 16)
    share = (power / (1 + np.exp(-grid)[:, None, None] / power)).sum((1, 2)) / power.sum()
    return 100 * share[[10, 20, 30, 50, 70]]


@pytest.mark.parametrize("name", EARLY)
@pytest.mark.parametrize(("size", "error"), [(256, 4), (64, 6)])
def test_with_the_spectrum_of_images_the_exact_denoiser_is_early_done_on_some_grids(
    name, size, error
):
    frequency = [
        0.5,
        1,
        2,
        4,
        8,
        16,
        32,
        64,
        96,
    ]  # cycles per image of 256², and the level that drowns each
    drowned = np.array([-7.38, -6.03, -4.65, -3.00, -1.30, 0.43, 2.26, 3.90, 4.75]) + 2 * math.log(
        256 / size
    )
    rate = np.hypot(*np.indices((size, size))) / 2
    rate[0, 0] = 0.25
    power = np.exp(
        -interpolate.interp1d(np.log(frequency), drowned, fill_value="extrapolate")(np.log(rate))
    )
    path, *expected = EARLY[name]
    assert explained_by_power(path, power) == pytest.approx(expected[size == 256], abs=error)


def test_on_the_photos_at_hand_cosine_is_done_before_flow_and_both_long_before_the_others():
    with np.load(FOLDER / "photos.npz") as photos:
        images = (
            np.stack(
                [photos[name] for name in ("camera", "astronaut", "coffee", "chelsea", "rocket")]
            )
            / 127.5
            - 1
        )
    power = (fft.dctn(images, axes=(1, 2), norm="ortho") ** 2).mean(0)
    ring = np.rint(np.hypot(*np.indices(power.shape))).astype(int)
    power = (np.bincount(ring.flat, power.flat) / np.bincount(ring.flat))[ring]
    result = {name: explained_by_power(path, power) for name, (path, *_) in EARLY.items()}
    assert (result["cosine"][:3] > result["flow"][:3]).all() and (
        result["flow"][:3] > result["flow, shift 3"][:3] + 10
    ).all()
    assert (result["flow, shift 3"][:2] > np.maximum(result["DDPM"], result["EDM"])[:2] + 10).all()
    for name, (*_, expected, _, _) in EARLY.items():
        assert result[name] == pytest.approx(expected, abs=15)


def kernel(points, std):
    """Exact denoiser of equal Gaussians at points (k, d)."""

    def denoise(z, logsnr):
        alpha, variance = logsnr.sigmoid().sqrt(), logsnr.sigmoid() * std**2 + (-logsnr).sigmoid()
        share = (
            -(
                torch.cdist(
                    z.double(), alpha.double() * points, compute_mode="use_mm_for_euclid_dist"
                )
                ** 2
            )
            / (2 * variance)
        ).softmax(1)
        return (alpha * std**2 * z + (-logsnr).sigmoid() * (share @ points)) / variance

    return model(denoise, points.shape[1])


def digits():
    with np.load(FOLDER / "digits.npz") as file:
        points = torch.from_numpy(file["images"].reshape(-1, 64).astype(float))
    points = (points - points.mean(0)) / points.var(0).mean().sqrt()
    return kernel(points / math.sqrt(1 + 0.05**2), 0.05)


def ring8():
    angle = torch.arange(8, dtype=torch.float64) * math.pi / 4
    scale = math.sqrt(2 + 0.1**2)  # of radius 2 and standard deviation 0.1 to unit variance
    return kernel(2 * torch.stack([angle.cos(), angle.sin()], 1) / scale, 0.1 / scale)


@pytest.mark.slow
@pytest.mark.parametrize("name", EARLY)
@pytest.mark.parametrize(("make", "n"), [(digits, 150), (ring8, 1000)])
def test_an_exact_denoiser_has_no_weighting_and_is_early_done_too(name, make, n):
    path, _, _, *expected = EARLY[name]
    law = (
        paths.shifted(path, 2).schedule if name == "EDM" else path.schedule
    )  # its σ_data is 0.5, that of these is 1
    first = torch.randn(
        n, len(make().mean), generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    t = dv.sample(make(), grids.grid(law, 60, -14, 14), start=first)
    assert 100 * explained(t)[[6, 12, 18, 30]] == pytest.approx(expected[make is ring8], abs=4)


@pytest.mark.slow
def test_ancestral_samples_of_few_steps_are_too_sharp():
    """Their mean −log p lies below the data's own, 0.312 nats on ring8, by what others measured:
    −0.029 and 0.203.
    """
    angle = torch.arange(8, dtype=torch.float64) * math.pi / 4
    centres, std = 2 * torch.stack([angle.cos(), angle.sin()], 1), 0.1
    data = kernel(centres, std)

    def surprise(x):
        terms = -(torch.cdist(x.double(), centres) ** 2) / (2 * std**2)
        return -(terms.logsumexp(1) - math.log(8 * 2 * math.pi * std**2)).mean().item()

    def result(steps, **options):
        grid = grids.grid(COSINE.schedule, steps, -18, 18)
        return surprise(
            dv.sample(
                data, grid, n=20_000, generator=torch.Generator().manual_seed(1), **options
            ).samples
        )

    assert result(50, solver="ddim", eta=1) == pytest.approx(-0.029, abs=0.03)
    assert result(250, solver="ddim", eta=1) == pytest.approx(0.203, abs=0.03)
    assert result(120, solver="ab3", std=2) == pytest.approx(0.312, abs=0.03)


@pytest.mark.slow
def test_explained_is_the_closed_form_of_a_gaussian_by_band():
    """With the ODE's own sample x = √(c/v) z and x_hat = alpha c/v z the unexplained share is (1 −
    alpha √(c/v))².
    """
    c = torch.tensor(1 / (1 + np.hypot(*np.indices((8, 8)))) ** 2)

    def transform(x, inverse=False):
        return torch.from_numpy(
            (fft.idctn if inverse else fft.dctn)(x.numpy(), axes=(-2, -1), norm="ortho")
        )

    def denoise(z, logsnr):
        return transform(normal(c)(transform(z), logsnr), inverse=True)

    first = torch.randn(2000, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    t = dv.sample(denoise, grids.grid(COSINE.schedule, 120, -12, 16), start=first)
    edges = [0, 0.5, 2, 9]
    rate = np.hypot(*np.indices((8, 8))) / 2
    alpha2 = VP.alpha(t.logsnr)[:, None, None] ** 2
    lost = c.numpy() * (1 - np.sqrt(alpha2 * c.numpy() / (alpha2 * c.numpy() + 1 - alpha2))) ** 2
    for k, (low, high) in enumerate(pairwise(edges)):
        band = (low <= rate) & (rate < high)
        expected = 1 - lost[:, band].sum(1) / c.numpy()[band].sum()
        assert np.abs(explained(t, edges)[:, k] - expected).max() < 0.05
    assert np.abs(explained(t) - (1 - lost.sum((1, 2)) / c.numpy().sum())).max() < 0.05
    assert explained(t).shape == (121,) and explained(t, edges).shape == (121, 3)
    assert (explained(t, edges)[40, 0] > explained(t, edges)[40, 1:]).all()  # coarse before fine


def test_a_measured_law_makes_local_errors_even(start):
    pilot = dv.sample(mixture, np.linspace(LOW, HIGH, 301), start=start)

    def spread(grid):
        """Ratio of the largest to the middle local error of DDIM on a grid, by steps from exact
        states.
        """
        fine = np.unique(np.r_[grid, np.linspace(LOW, HIGH, 400)])
        exact = dv.sample(mixture, fine, solver="rk4", start=start)
        at = np.searchsorted(fine, grid)
        off = [
            (
                dv.sample(mixture, grid[k : k + 2], solver="ddim", start=exact.z[at[k]]).z[-1]
                - exact.z[at[k + 1]]
            ).norm()
            for k in range(len(grid) - 1)
        ]
        return float(max(off) / np.median(off))

    assert spread(grids.grid(error_law(pilot), 40, LOW, HIGH)) < 2
    assert spread(np.linspace(LOW, HIGH, 41)) > 4


def test_a_pilot_so_fine_that_it_errs_by_rounding_alone_is_refused(start):
    toy, grid = dv.toy("ring8"), np.linspace(-14, 14, 601)
    exact = error_law(dv.sample(toy, grid, "heun", start=start[:50].double()))
    with pytest.raises(ValueError, match=r"of the law would lie .* rounding in torch\.float32"):
        error_law(dv.sample(toy, grid, "heun", start=start[:50].float()))
    coarser = error_law(dv.sample(toy, grid[::6], "heun", start=start[:50].float()))
    shares = [0.01, 0.5, 0.99]
    np.testing.assert_allclose(coarser.ppf(shares), exact.ppf(shares), atol=0.3)


def test_calls_are_counted_with_the_one_for_the_last_x_hat(start):
    counts = {"ddim": 8, "heun": 15, "dpm++2m": 8, "dpm++2s": 15, "rk4": 29, "ab3": 8, "euler": 8}
    counts["abm4"] = 8
    grid = grids.grid(GRIDS["uniform"], 7, LOW, HIGH)
    assert {
        one: dv.sample(mixture, grid, solver=one, start=start).calls for one in counts
    } == counts


def test_shapes_are_as_documented_and_the_same_seed_gives_the_same_samples():
    one, two = (
        dv.sample(
            mixture,
            [-8, -1, 3, 9],
            n=5,
            solver="ddim",
            eta=1,
            generator=torch.Generator().manual_seed(3),
        )
        for _ in range(2)
    )
    assert (
        one.logsnr.shape == (4,)
        and one.z.shape == one.x_hat.shape == (4, 5, 2)
        and one.samples.shape == (5, 2)
    )
    assert torch.equal(one.z, two.z)
    assert one.logsnr == pytest.approx([-8, -1, 3, 9])
    assert torch.isfinite(dv.sample(mixture, [-8, 3], n=5, solver="adaptive").z).all()


def test_a_grid_far_in_a_tail_has_equal_shares_of_what_is_there():
    """The linear path's λ has the probability 1/(1 + exp(λ/2)) above it, exp(−λ/2) far out."""
    share = np.linspace(math.exp(-35), math.exp(-45), 11)
    expected = -2 * np.log(share)
    np.testing.assert_allclose(grids.grid(LINEAR.schedule, 10, 70, 90), expected, atol=1e-12)
    noisy = grids.grid(LINEAR.schedule, 10, -90, -70)
    np.testing.assert_allclose(-noisy[::-1], expected, atol=1e-12)
    own = SimpleNamespace(cdf=stats.norm.cdf, ppf=stats.norm.ppf, pdf=stats.norm.pdf)
    own.support = stats.norm.support
    with pytest.raises(ValueError, match=r"rounding moves its quantiles .* give it methods sf"):
        grids.grid(own, 4, 7.9, 8.2)
    with pytest.raises(ValueError, match=r"4000 steps are too many .*; take fewer"):
        grids.grid(LINEAR.schedule, 4000, 1, 1 + 1e-13)


def test_a_grid_has_equal_shares_of_its_law_and_its_ends():
    grid = grids.grid(LINEAR.schedule, 6, -3, 5)
    assert (grid[0], grid[-1], len(grid)) == (-3, 5, 7)
    assert np.allclose(np.diff(LINEAR.schedule.cdf(grid), 2), 0, atol=1e-12)


def test_the_laws_of_paths_are_the_known_grids():
    edm = np.exp(-grids.grid(paths.karras(0.002, 80, 7).schedule, 17) / 2)
    assert edm == pytest.approx(
        (80 ** (1 / 7) + np.arange(18) / 17 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7, rel=1e-9
    )
    angle = np.arctan(np.exp(-grids.grid(paths.shifted(COSINE, 0.5).schedule, 9, -8, 8) / 2) / 0.5)
    assert np.allclose(np.diff(angle, 2), 0, atol=1e-12)


@pytest.mark.parametrize("grid", [[1, 0], [0], [0, 0], [0, np.nan], [-np.inf, 0]])
def test_a_grid_that_does_not_run_to_data_is_refused(grid):
    with pytest.raises(ValueError, match="grid"):
        dv.sample(mixture, grid, n=2)


@in_one_test
@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: dv.sample(mixture, [0, 1], solver="hein"), ValueError, "did you mean 'heun'"),
        (lambda: dv.sample(mixture, [0, 1], solver=3), TypeError, "a name or a function, got 3"),
        (lambda: dv.sample(mixture, [0, 1], n=0), ValueError, "n must be at least 1, got 0"),
        (lambda: dv.sample(mixture, [0, 1], n=2.5), TypeError, "n must be a whole number.* 2.5"),
        (lambda: dv.sample(mixture, [0, 1], n=math.nan), TypeError, "n must be a whole .* nan"),
        (lambda: dv.sample(mixture, [0, 1], n=True), TypeError, "n must be a whole .* True"),
        (lambda: dv.sample(3, [0, 1]), TypeError, "must have denoise"),
        (lambda: dv.sample(mixture, [0, 1], generator=0), TypeError, "must be a torch.Generator"),
        (lambda: dv.sample(mixture, [0, 1], noise=0), TypeError, "noise must be a function, got 0"),
        (
            lambda: step("ddim", eta=1, noise=lambda y: y[:1]),
            ValueError,
            r"noise must be like z, \(2, 2\), got \(1, 2\)",
        ),
        (
            lambda: dv.sample(lambda z, l: z.numpy(), [0, 1], start=ONE),
            TypeError,
            "must return a tensor like z, got ndarray; torch.as_tensor",
        ),
        (lambda: dv.sample(mixture, [0, 1], start="z"), TypeError, "start must hold real numbers"),
        (
            lambda: dv.sample(mixture, [0, 1], start=np.zeros(8)),
            ValueError,
            r"start must have shape \('n', \d\), as the data have it, got \(8,\)",
        ),
        (lambda: dv.sample(mixture, ["a", "b"]), TypeError, "the grid.* must hold real numbers"),
        *(
            (partial(dv.sample, mixture, [0, 1], solver=solver, std=one), ValueError, "std must")
            for one in (-1, 0, math.nan, math.inf)
            for solver in ("ab3", "rk4")
        ),
        (lambda: dv.sample(mixture.denoise, [0, 1]), ValueError, "mean"),
        (lambda: step("ddim", eta=1.5), ValueError, r"eta must lie in \[0, 1\], got 1.5"),
        (lambda: step("ddim", eta=math.nan), ValueError, "eta must be finite, got nan"),
        (
            lambda: dv.sample(mixture, [0, 1], solver="ddim", n=2, eta=1, noise=lambda y: 0.0),
            TypeError,
            "noise must return a tensor like z, got float; torch.as_tensor",
        ),
        (lambda: step("ddim", eta="much"), TypeError, "eta must hold real numbers"),
        (lambda: step("heun", churn=-1), ValueError, r"churn must lie in \[0, inf\], got -1"),
        (lambda: step("heun", churn=math.nan), ValueError, "churn must be finite"),
        (lambda: step("heun", churn=1, low=2, high=1), ValueError, "low < high"),
        (lambda: step("heun", churn=1, low=math.nan), ValueError, "low must be finite"),
        (lambda: step("heun", churn=1, low=-1), ValueError, r"low must lie in \[0, inf\]"),
        (lambda: step("heun", churn=1, high="1"), TypeError, "high must hold real numbers"),
        (lambda: step("euler", path="linear"), TypeError, "must be a path such as"),
        (
            lambda: dv.sample(mixture, [0, 1], n=2).on("linear"),
            TypeError,
            "must be a path such as",
        ),
        (lambda: step("heun", inflate=0), ValueError, "inflate must be .* > 0, got 0"),
        (lambda: step("ddim", eta=True), TypeError, "eta must be a number, got True"),
        (
            lambda: dv.sample(mixture, [-20, 1], solver="euler", path=paths.karras()),
            ValueError,
            "Karras.* -8.764",
        ),
        (lambda: step("euler", eta=-1), ValueError, r"eta must lie in \[0, inf\], got -1"),
        (lambda: dv.grid(stats.norm(), 0, -1, 1), ValueError, "steps must be at least 1, got 0"),
        (lambda: dv.grid(stats.norm(), 2.5, -1, 1), TypeError, "steps must be a whole number"),
        (lambda: dv.grid(stats.norm(), 3, -math.inf, 1), ValueError, "must be finite .* -inf"),
        (lambda: dv.grid(stats.norm(), 3, math.nan, 1), ValueError, "low must not be NaN"),
        (lambda: dv.grid(stats.norm(), 3, [0, 1], 2), ValueError, "low must be one number"),
        (lambda: dv.grid(stats.norm(), 3, 0, "much"), TypeError, "high must hold real numbers"),
        (lambda: dv.grid(LINEAR.schedule, 3, True), TypeError, "low must be a number, got True"),
        (lambda: prediction_weights([0, 1], 1j * np.ones(2)), TypeError, "a name or a function"),
        (lambda: dv.grid(LINEAR, 3), TypeError, "as path.schedule"),
        (lambda: dv.grid(stats.uniform(), 3, 1, 0), ValueError, "low < high"),
        (lambda: dv.grid(stats.uniform(), 3, 5, 6), ValueError, "no mass .* support is 0 to 1"),
        (lambda: prediction_weights([0, 1], "adaptive"), ValueError, "fixed steps"),
        (
            lambda: error_law(dv.sample(gaussian, [0, 1, 2], solver="ddim", start=ONE)),
            ValueError,
            "heun",
        ),
        (
            lambda: explained(dv.sample(lambda z, l: 0 * z, [0, 1], start=ONE)),
            ValueError,
            "band 0 of 1",
        ),
        (lambda: explained(dv.sample(gaussian, [0, 1], start=ONE), [0, 1]), ValueError, "images"),
        (
            lambda: explained(dv.sample(lambda z, l: z, [0, 1], start=torch.ones(2, 4, 4)), [2, 1]),
            ValueError,
            "edges of bands must be",
        ),
    ],
)
def test_bad_input_is_refused_with_the_way_out(make, error, says):
    with pytest.raises(error, match=says):
        make()


def test_integers_lists_and_read_only_arrays_are_welcome():
    values = np.array([[1, 0], [-2, 1]])
    expected = dv.sample(mixture, [-4, 0, 4], start=torch.from_numpy(values).double())
    locked = values.astype(float)
    locked.setflags(write=False)
    grids_alike = ([-4, 0, 4], np.array([4, 0, -4])[::-1], torch.tensor([-4.0, 0.0, 4.0]))
    for grid in grids_alike:
        for start in (locked, values.astype(float).tolist(), locked[::-1][::-1]):
            trajectory = dv.sample(mixture, grid, start=start)
            assert torch.equal(trajectory.z, expected.z)
    for start in (values, values.tolist(), torch.from_numpy(values)):
        trajectory = dv.sample(mixture, [-4, 0, 4], start=start)
        assert trajectory.z.is_floating_point()
        assert torch.allclose(trajectory.z.double(), expected.z, atol=1e-6)
    assert dv.sample(mixture, [-4, 4], n=np.int64(3)).z.shape == (2, 3, 2)
    assert np.array_equal(dv.grid(LINEAR.schedule, np.int32(5)), dv.grid(LINEAR.schedule, 5))


def test_an_unknown_option_is_refused():
    with pytest.raises(TypeError, match="eta"):
        dv.sample(mixture, [0, 1], solver="rk4", n=2, eta=0.5)


def test_a_grid_outside_what_training_looked_at_warns_with_the_range():
    run = SimpleNamespace(**vars(mixture), objective=SimpleNamespace(law=stats.uniform(-6, 10)))
    with pytest.warns(UserWarning, match=r"logsnr -6 to 4, where training looked"):
        dv.sample(run, [-8, 0, 4], n=2)
    with pytest.warns(UserWarning, match="where training looked"):
        dv.sample(run, [-6, 0, 5], n=2)
    run.objective.law = dv.objective("edm").law
    with pytest.warns(UserWarning, match=r"logsnr -9\.\d+ to 13\.8"):
        dv.sample(run, [-10, 0], n=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dv.sample(run, [-9, 0, 13], n=2)
        run.objective = "a name, when loaded without"
        dv.sample(run, [-10, 0, 20], n=2)


def test_a_denoiser_that_fails_on_the_way_keeps_the_steps_before(start):
    broken = model(
        lambda z, logsnr: mixture.denoise(z, logsnr) * (float("nan") if logsnr > 0 else 1)
    )
    with pytest.raises(Stopped, match=r"step 6 of 10: .* logsnr 0\.8") as stop:
        dv.sample(broken, np.linspace(LOW, HIGH, 11), solver="ddim", start=start[:4])
    kept = stop.value.trajectory
    assert kept.z.shape == kept.x_hat.shape == (6, 4, 2) and kept.calls == 6
    assert kept.logsnr == pytest.approx(np.linspace(LOW, HIGH, 11)[:6])
    whole = dv.sample(mixture, np.linspace(LOW, HIGH, 11), solver="ddim", start=start[:4])
    assert torch.equal(kept.z, whole.z[:6]) and torch.equal(kept.x_hat, whole.x_hat[:6])
    with pytest.raises(ValueError, match="start must be finite, got nan"):
        dv.sample(mixture, [0, 1], start=start * math.nan)
    with pytest.raises(Stopped, match="step 1 of 1"):  # on the last step, too
        dv.sample(mixture, [0, 1], start=start, solver="ddim", eta=1, noise=lambda y: y * math.nan)
    with pytest.raises(Stopped, match=r"step 0 of 1: .* returned \(1, 2\) for z \(4, 2\)") as stop:
        dv.sample(model(lambda z, logsnr: z[:1]), [0, 1], n=4)
    empty = stop.value.trajectory
    assert empty.z.shape == (0, 4, 2) and repr(empty) == "Trajectory(no step)"
    for use in (lambda: empty.samples, lambda: explained(empty), lambda: error_law(empty)):
        with pytest.raises(ValueError, match="has no step: the denoiser failed at its first call"):
            use()
