"""Targets a x + b eps: the gain rule, conversions, and the velocity as a derivative."""

import numpy as np
import pytest
from cells import in_one_test
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from diffviz.theory import paths, targets
from diffviz.theory.paths import COSINE, LINEAR
from diffviz.theory.targets import BASES, EPS, SCORE, TARGETS, F, U, V, X, base_gain, convert

PATHS = {
    path.name: path
    for path in (
        LINEAR,
        COSINE,
        paths.vp_linear(),
        paths.scaled_linear(),
        paths.sub_vp(),
        paths.ve(0.01, 50),
        paths.edm(),
        paths.karras(),
        paths.sigmoid(),
        paths.power(2),
        paths.linear_vp(),
        paths.icfm(0.1),
        paths.sigma_min_path(1e-4),
        paths.cosine(0.008),
        paths.zero_terminal_snr(paths.scaled_linear()),
        paths.uniform_logsnr(-5, 13.3),
        paths.shifted(LINEAR, 3),
        paths.shifted(COSINE, 0.25),
        paths.from_density(stats.laplace(0, 2)),
        paths.from_density(stats.cauchy(0, 1)),
    )
}
KINDS = {**TARGETS, "F(1)": targets.edm_output(1.0), "mu": targets.PREVIOUS}
TIMES = np.array([0.05, 0.3, 0.6, 0.93])


def sample(path, dims=3):
    rng = np.random.default_rng(1)
    x, eps = rng.standard_normal((2, len(TIMES), dims))
    logsnr = path.logsnr(TIMES)[:, None]
    return x, eps, logsnr, path.frame.alpha(logsnr) * x + path.frame.sigma(logsnr) * eps


def value(target, x, eps, logsnr, path):
    return target.a(logsnr, path) * x + target.b(logsnr, path) * eps


@pytest.mark.slow
@in_one_test
@pytest.mark.parametrize("to", KINDS)
@pytest.mark.parametrize("source", KINDS)
@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_conversions_are_exact_for_all_pairs(path, source, to):
    x, eps, logsnr, z = sample(path)
    given_, wanted = (value(KINDS[name], x, eps, logsnr, path) for name in (source, to))
    found = convert(given_, z, logsnr, KINDS[source], KINDS[to], path)
    assert found.shape == x.shape
    scale = np.abs(wanted) + KINDS[to].gain(logsnr, path) * (
        1 + path.frame.alpha(logsnr) / path.frame.sigma(logsnr)
    )
    assert (np.abs(found - wanted) <= 1e-11 * scale).all()
    back = convert(found, z, logsnr, KINDS[to], KINDS[source], path)
    np.testing.assert_allclose(back, given_, rtol=1e-8, atol=1e-8 * np.abs(given_).max())


@in_one_test
@pytest.mark.parametrize("target", KINDS)
@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_gain_is_how_an_error_in_eps_shows_up(path, target):
    x, eps, logsnr, z = sample(path)
    delta = 0.01
    x_hat = (z - path.frame.sigma(logsnr) * (eps + delta)) / path.frame.alpha(logsnr)
    error = value(KINDS[target], x_hat, eps + delta, logsnr, path) - value(
        KINDS[target], x, eps, logsnr, path
    )
    expected = delta * np.broadcast_to(KINDS[target].gain(logsnr, path), error.shape)
    np.testing.assert_allclose(np.abs(error), expected, rtol=1e-8)


@in_one_test
@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_the_gain_of_u_is_that_of_its_coefficients(path):
    logsnr = path.logsnr(TIMES)
    by_the_rule = U.b(logsnr, path) - U.a(logsnr, path) * np.exp(-logsnr / 2)
    np.testing.assert_allclose(U.gain(logsnr, path), np.abs(by_the_rule), rtol=1e-12)


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_u_is_the_velocity_of_z(path):
    x, eps, logsnr, _ = sample(path)
    h = 1e-5
    before, after = (
        path.alpha(t)[:, None] * x + path.sigma(t)[:, None] * eps for t in (TIMES - h, TIMES + h)
    )
    np.testing.assert_allclose(
        value(U, x, eps, logsnr, path), (after - before) / (2 * h), rtol=1e-6, atol=1e-6
    )


def test_u_on_the_linear_path_is_eps_minus_x_and_differs_from_v():
    l = np.linspace(-30, 30, 61)
    np.testing.assert_allclose(U.a(l, LINEAR), -1, rtol=1e-12)
    np.testing.assert_allclose(U.b(l, LINEAR), 1, rtol=1e-9)
    np.testing.assert_allclose(U.gain(l, LINEAR), 1 + np.exp(-l / 2), rtol=1e-12)
    assert np.abs(V.gain(l, LINEAR) / U.gain(l, LINEAR) - 1).max() > 0.2


def test_u_on_the_cosine_path_is_v_times_half_pi():
    l = np.linspace(-30, 30, 61)
    np.testing.assert_allclose(U.a(l, COSINE), np.pi / 2 * V.a(l, COSINE), rtol=1e-11)
    np.testing.assert_allclose(U.b(l, COSINE), np.pi / 2 * V.b(l, COSINE), rtol=1e-11, atol=1e-9)


def test_the_score_is_that_of_the_noising_kernel():
    path = paths.vp_linear()
    x, eps, logsnr, z = sample(path)
    np.testing.assert_allclose(
        value(SCORE, x, eps, logsnr, path),
        -(z - path.frame.alpha(logsnr) * x) / path.frame.sigma(logsnr) ** 2,
        rtol=1e-9,
    )


@pytest.mark.parametrize("data", [0.5, 1.0])
def test_f_is_edms_preconditioned_output(data):
    path = paths.edm()
    x, eps, logsnr, z = sample(path)
    sigma = np.exp(-logsnr / 2)
    skip, out = data**2 / (sigma**2 + data**2), sigma * data / np.sqrt(sigma**2 + data**2)
    np.testing.assert_allclose(
        value(targets.edm_output(data), x, eps, logsnr, path), (x - skip * z) / out, rtol=1e-9
    )


def test_f_with_unit_data_is_minus_v():
    l = np.linspace(-30, 30, 61)
    np.testing.assert_allclose(
        targets.edm_output(1.0).gain(l, COSINE), V.gain(l, COSINE), rtol=1e-13
    )


def test_the_previous_step_is_ddpms_posterior_mean():
    path, steps, x, eps = paths.vp_linear(), 10_000_000, 0.7, -1.3
    t = 0.4
    alpha, sigma, logsnr = path.alpha(t), path.sigma(t), path.logsnr(t)
    z, beta = alpha * x + sigma * eps, (0.1 + 19.9 * t) / steps
    bar = alpha**2
    before = bar / (1 - beta)
    mean = np.sqrt(before) * beta / (1 - bar) * x + np.sqrt(1 - beta) * (1 - before) / (1 - bar) * z
    step = float(value(targets.PREVIOUS, x, eps, logsnr, path))
    assert abs(steps * (mean - z)) == pytest.approx(abs(step), rel=1e-5)


@given(st.floats(-40, 40))
def test_base_gains_are_the_known_factors(l):
    assert float(base_gain("eps", l)) == 1
    assert float(base_gain("x", l)) ** 2 == pytest.approx(np.exp(-l), rel=1e-12)
    assert float(base_gain("v", l)) ** 2 == pytest.approx(1 + np.exp(-l), rel=1e-12)
    assert float(base_gain("u", l)) == pytest.approx(1 + np.exp(-l / 2), rel=1e-12)


@pytest.mark.parametrize("target", [EPS, X, V, SCORE, F], ids=lambda t: t.name)
def test_gains_stay_finite_far_out_and_keep_the_shape(target):
    l = np.linspace(-40, 40, 81).reshape(9, 9)
    for path in (LINEAR, COSINE, paths.edm()):
        assert (
            np.isfinite(target.gain(l, path)).all()
            and target.gain(l, path).shape == (9, 9)
            and target.gain(0.0, path).shape == ()
        )


def test_an_unknown_base_is_refused_with_the_choice():
    with pytest.raises(ValueError, match="'score'; one of eps, x, v, u"):
        base_gain("score", 0.0)
    assert set(BASES) == {"eps", "x", "v", "u"}


def test_a_target_that_does_not_tell_x_from_eps_cannot_be_converted():
    z_again = targets.Target(
        "z", lambda l, path: path.frame.alpha(l), lambda l, path: path.frame.sigma(l)
    )
    with pytest.raises(ValueError, match="does not determine x and eps"):
        convert(np.ones(1), np.ones(1), np.zeros(1), z_again, EPS, LINEAR)


@pytest.mark.parametrize("data", [0, -1, np.nan, np.inf])
def test_sigma_data_is_positive_and_finite(data):
    with pytest.raises(ValueError, match="sigma_data"):
        targets.edm_output(data)
