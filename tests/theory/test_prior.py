"""The prior: each closed form against torch's KL, an integrated flow, or a simulation."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from scipy.special import expit

from diffviz.theory import paths
from diffviz.theory.prior import lowest_logsnr, offset_shift, prior_kl, terminal_bias

STABLE_DIFFUSION = -5.364  # its last level: SNR 0.0046819


@pytest.mark.parametrize("level", [-10, -5.364, 0, 3])
def test_the_prior_kl_is_that_of_torch(level):
    x = np.random.default_rng(0).normal(size=(5, 3, 2))
    alpha, sigma = math.sqrt(expit(level)), math.sqrt(expit(-level))
    q = torch.distributions.Normal(torch.from_numpy(alpha * x), sigma)
    wanted = (
        torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0))
        .sum((1, 2))
        .numpy()
    )
    assert prior_kl(level, x) == pytest.approx(wanted, rel=1e-6 if level == -10 else 1e-11)
    assert prior_kl(level, x).shape == (5,) and prior_kl(level, x[:0]).shape == (0,)


def test_the_mean_prior_kl_of_unit_data_has_the_known_values():
    nodes, weights = np.polynomial.hermite_e.hermegauss(20)
    for level, wanted in ((-10, 2.26994e-5), (-5, 3.357674e-3), (-20, 1.0306e-9)):
        mean = weights @ prior_kl(level, nodes[:, None]) / weights.sum()
        assert mean == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("variance", [0.3, 1.0, 205.0])
def test_the_terminal_bias_is_that_of_the_integrated_flow(variance):
    mean = 1.7

    def slope(level, y):  # dy/dλ = ½ (x_hat − y) for data N(mean, variance)
        noise = math.exp(-level)
        return (mean + variance / (variance + noise) * (y - mean) - y) / 2

    start = np.array([0.0, 1.0]) * math.hypot(
        1, math.exp(-STABLE_DIFFUSION / 2)
    )  # y = z/alpha: of z = 0 and z = 1
    low, high = solve_ivp(slope, (STABLE_DIFFUSION, 25), start, rtol=1e-10, atol=1e-12).y[:, -1]
    found, ratio = terminal_bias(STABLE_DIFFUSION, mean, variance)
    assert found == pytest.approx(low, abs=2e-5) and ratio * math.sqrt(variance) == pytest.approx(
        high - low, rel=2e-5
    )


def test_a_terminal_snr_of_zero_has_no_bias_and_unit_variance_none_in_its_spread():
    path = paths.zero_terminal_snr(paths.scaled_linear())
    assert path.logsnr(1.0) == -np.inf
    mean, ratio = terminal_bias(path.logsnr(1.0), 3.0, 50.0)
    assert mean == 3 and ratio == 1
    assert terminal_bias(torch.tensor([-5.0, -6.0]), 3.0, 50.0)[0].shape == (2,)
    assert terminal_bias(paths.scaled_linear().logsnr(1.0), 3.0, 1.0)[1] == pytest.approx(
        1, abs=1e-12
    )


@pytest.mark.parametrize(
    ("variance", "level"), [(41, -7.6), (205, -9.2), (410, -9.9), (6667, -12.7)]
)
def test_the_lowest_level_for_a_loss_of_one_percent_has_the_known_values(variance, level):
    found = lowest_logsnr(variance, 0.01)
    assert found == pytest.approx(level, abs=0.06)
    assert terminal_bias(found, 0.0, variance)[1] == pytest.approx(0.99, abs=1e-12)


def test_offset_noise_shifts_the_mean_of_an_image_by_its_closed_form():
    assert offset_shift(0.1, 4096) == pytest.approx(-3.737, abs=5e-4) and math.exp(
        3.737
    ) == pytest.approx(41.96, rel=1e-3)
    rng, c, pixels = np.random.default_rng(1), 0.3, 64
    noise = rng.normal(size=(40_000, pixels)) + c * rng.normal(size=(40_000, 1))
    constant = noise.sum(1) / math.sqrt(
        pixels
    )  # the coefficient of frequency 0 in an orthonormal basis
    assert -math.log(constant.var()) == pytest.approx(
        offset_shift(c, pixels), abs=4 * math.sqrt(2 / 40_000)
    )


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: prior_kl(np.nan, [[1.0]]), "logsnr"),
        (lambda: prior_kl(0, [1.0, 2.0]), "numbers on a line"),
        (lambda: terminal_bias(-5, 0, -1.0), "variance"),
        (lambda: terminal_bias(-5, 0, [1.0, 0.0]), "variance must be > 0, got 0"),
        (lambda: terminal_bias(np.nan, 0, 1.0), "logsnr"),
        (lambda: lowest_logsnr(0.5), "any level will do"),
        (lambda: lowest_logsnr(40, 1.5), "loss"),
        (lambda: offset_shift(-0.1, 10), "strength"),
        (lambda: offset_shift(0.1, 0), "pixels"),
    ],
)
def test_bad_input_is_refused_with_the_way_out(make, says):
    with pytest.raises(ValueError, match=says):
        make()
