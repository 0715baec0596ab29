"""Variances of the loss's value and gradient, against closed forms, slopes by hand, and draws."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.integrate import quad
from scipy.special import expit

import diffviz as dv
from diffviz.learning import variance
from diffviz.learning.variance import Moments
from diffviz.theory.paths import COSINE

pytestmark = pytest.mark.slow

FM = dv.objective("fm-ot")
WIDE = np.linspace(-60, 60, 4801)
GAUSSIAN = Moments(WIDE, np.tile(expit(WIDE), (2, 1))[..., None], 3 * expit(WIDE) ** 2)


@pytest.fixture(scope="module")
def run():
    x = dv.toy("ring8").sample(5000, torch.Generator().manual_seed(0)).float()
    return dv.fit("fm-ot", x, steps=100, batch=128, model=dv.models.MLP(16, 2), progress=False)[0]


def test_variances_on_gaussian_data_have_their_closed_forms():
    mean = np.pi / 2
    assert GAUSSIAN.variance(FM) == pytest.approx(3 + 1.5 * np.pi - mean**2, rel=1e-6)
    assert GAUSSIAN.variance(FM, COSINE.schedule.pdf(WIDE)) == pytest.approx(
        0.75 * np.pi**2 - mean**2, rel=1e-6
    )
    assert GAUSSIAN.variance(FM, GAUSSIAN.best(FM)) == pytest.approx(0.5 * np.pi**2, rel=1e-6)
    assert GAUSSIAN.variance(FM, stratified=True) == pytest.approx(
        2 / 3 * (3 + 1.5 * np.pi), rel=1e-6
    )  # E‖·‖⁴ − m² = 2m²
    np.testing.assert_allclose(
        GAUSSIAN.best(FM) / 0.025, COSINE.schedule.pdf(WIDE), rtol=1e-6, atol=1e-12
    )


def test_no_density_beats_the_best():
    rng, least = np.random.default_rng(0), GAUSSIAN.variance(FM, GAUSSIAN.best(FM))
    for _ in range(20):
        law = stats.logistic(rng.normal(0, 1), rng.uniform(1.5, 3))
        assert GAUSSIAN.variance(FM, law.pdf(WIDE)) > least


def test_a_uniform_share_is_one():
    mixed = GAUSSIAN.best(FM, 0.2)
    assert mixed.sum() == pytest.approx(1) and mixed[0] == pytest.approx(0.2 / len(WIDE))


def test_stratified_draws_have_the_variance_that_is_computed():
    rng, n, law = (
        np.random.default_rng(0),
        64,
        dv.from_weighting(FM.weighting, stats.logistic(0, 4)),
    )
    means = []
    for _ in range(4000):
        logsnr, factor = law.draw(n, rng)
        means.append(np.mean(factor * expit(logsnr) * rng.standard_normal(n) ** 2))
    assert n * np.var(means) == pytest.approx(GAUSSIAN.variance(law, stratified=True), rel=0.08)
    assert GAUSSIAN.variance(law) > 1.2 * GAUSSIAN.variance(law, stratified=True)


def test_gradients_are_those_of_one_sample_after_the_other(run):
    x = dv.toy("ring8").sample(6, torch.Generator().manual_seed(1)).float()
    levels, generator = np.array([-2.0, 0.0, 3.0]), torch.Generator().manual_seed(0)
    value, slope = variance.trained(run, x, levels)
    for i, level in enumerate(levels):
        z = np.sqrt(expit(level)) * x + np.sqrt(expit(-level)) * torch.randn(
            x.shape, generator=generator
        )
        errors, slopes = [], []
        for one, point in zip(z.float(), x, strict=True):
            flat = run.state[run.ema].clone().requires_grad_()
            x_hat = replace(run, state={run.ema: flat}).denoise(one[None], level)[0]
            error = (x_hat - point).square().sum() * np.exp(level)
            slopes.append(torch.autograd.grad(error, flat)[0].double())
            errors.append(error.item())
        slopes = torch.stack(slopes).numpy()
        np.testing.assert_allclose(
            value.means[:, i, 0], [np.mean(errors[:3]), np.mean(errors[3:])], rtol=1e-4
        )
        np.testing.assert_allclose(value.second[i], np.mean(np.square(errors)), rtol=1e-4)
        np.testing.assert_allclose(slope.second[i], (slopes**2).sum(1).mean(), rtol=1e-4)
        np.testing.assert_allclose(
            slope.means[0, i], slopes[:3].mean(0), rtol=1e-3, atol=1e-4 * np.abs(slopes).max()
        )


def test_the_variance_of_the_gradient_is_that_of_gradients(run):
    ring, levels = dv.toy("ring8"), np.linspace(-6, 6, 25)
    x = ring.sample(400, torch.Generator().manual_seed(1)).float()
    _, slope = variance.trained(run, x, levels)
    masses = FM.law.pdf(levels) / FM.law.pdf(levels).sum()
    rng, y = np.random.default_rng(2), []
    for i in rng.choice(len(levels), 300, p=masses):  # λ drawn on the same levels
        _, one = variance.trained(
            run,
            ring.sample(2, torch.Generator().manual_seed(int(rng.integers(2**31)))).float(),
            levels[[i]],
            int(rng.integers(2**31)),
        )
        y += list(FM.weighting(levels[i]) / 2 * 0.5 / masses[i] * one.means[:, 0])
    y = np.array(y)
    found, squares = np.trace(np.cov(y.T)), ((y - y.mean(0)) ** 2).sum(1)
    assert found == pytest.approx(slope.variance(FM), abs=4 * squares.std() / np.sqrt(len(squares)))
    assert squares.std() / np.sqrt(len(squares)) < 0.15 * found


def test_images_have_gradients_too():
    x = dv.toy("digits").sample(64, torch.Generator().manual_seed(0)).float()
    (net,) = dv.fit(
        "fm-ot", x, steps=20, batch=16, model=dv.models.Transformer(16, 1, 2), progress=False
    )
    value, slope = variance.trained(net, x[:8], [-1.0, 1.0])
    assert (
        np.isfinite(slope.second).all()
        and (slope.second > 0).all()
        and slope.means.shape[:2] == value.means.shape[:2] == (2, 2)
    )


def test_draws_have_the_mean_of_the_exact_loss_under_any_law():
    ring, wide = dv.toy("ring8"), np.linspace(-20, 20, 81)
    exact = np.trapezoid(FM.weighting(wide) / 2 * ring.mmse(wide), wide)
    for law in (
        COSINE.schedule,
        FM.law,
        stats.uniform(-15, 30),
        stats.norm(2.4, 2.4),
        stats.norm(0, 2),
    ):
        y = variance.draws(FM, law, ring)
        assert (
            abs(y.mean() - exact) < 2 * y.std() / np.sqrt(len(y)) + 0.0034
        )  # ends of [−15, 15]: 6 e^−7.5


def test_a_table_names_objectives_and_gains():
    text = variance.table([FM, dv.objective("iddpm-cosine")], GAUSSIAN)
    assert "its best p" not in text and text.splitlines()[1].split()[0] == "fm-ot"
    one = (3 + 1.5 * np.pi - np.pi**2 / 4) / (np.pi**2 / 2)
    assert float(text.splitlines()[1].split()[1]) == pytest.approx(one, abs=0.006)
    assert len(variance.gains(FM, GAUSSIAN, GAUSSIAN)) == len(variance.COLUMNS) == 5


def test_moments_and_densities_that_do_not_fit_are_refused():
    levels, second = np.linspace(-1, 1, 3), np.ones(3)
    for means, error, says in (
        (np.ones((2, 4, 1)), ValueError, r"means must be \(2, 3, d\)"),
        (np.ones((2, 3)), ValueError, r"means must have 3 dimension\(s\)"),
        (np.full((2, 3, 1), np.nan), ValueError, "means must be finite"),
        (np.ones((2, 3, 1)) * 1j, TypeError, "means must hold real numbers"),
    ):
        with pytest.raises(error, match=says):
            Moments(levels, means, second)
    for wrong in (levels[[1, 0, 2]], levels[::-1], np.zeros(3)):
        with pytest.raises(ValueError, match="logsnr must increase from level to level, got array"):
            Moments(wrong, np.ones((2, 3, 1)), second)
    for p in (np.ones(3), np.zeros(len(WIDE)), -np.ones(len(WIDE))):
        with pytest.raises(ValueError, match="p must be a density on 4801 levels"):
            GAUSSIAN.variance(FM, p)
    for uniform in (-0.1, 1.1):
        with pytest.raises(ValueError, match="uniform must lie in"):
            GAUSSIAN.best(FM, uniform)
    uneven = Moments([-2.0, 0.0, 3.0], np.ones((2, 3, 1)), second)
    with pytest.raises(ValueError, match=r"evenly spaced, got steps from 2 to 3; take np.linspace"):
        uneven.best(FM)
    with pytest.raises(ValueError, match="at least one objective"):
        variance.table([], GAUSSIAN)


def test_levels_outside_the_support_cost_nothing():
    inside = np.linspace(-4, 4, 81)
    wide = np.linspace(-6, 6, 121)
    narrow = dv.from_weighting(np.ones_like, stats.uniform(-4 - 1e-9, 8 + 2e-9))
    for stratified in (False, True):
        variances = [
            Moments(at, np.tile(expit(at), (2, 1))[..., None], 3 * expit(at) ** 2).variance(
                narrow, stratified=stratified
            )
            for at in (inside, wide)
        ]
        assert variances[0] == pytest.approx(variances[1], rel=1e-9)


def test_a_density_that_leaves_out_weighted_levels_has_an_infinite_variance():
    assert GAUSSIAN.variance(FM, WIDE > 0) == np.inf
    far = dv.from_weighting(np.ones_like, stats.uniform(100, 1))
    with pytest.raises(ValueError, match="p must be a density"):
        GAUSSIAN.variance(far)
    with pytest.raises(ValueError, match="loss of custom is 0 at every level"):
        GAUSSIAN.best(far)


def test_lists_and_integers_are_moments():
    whole = Moments([-1, 0, 1], np.ones((2, 3, 1), int).tolist(), [2, 2, 2])
    floats = Moments(np.linspace(-1, 1, 3), np.ones((2, 3, 1)), 2 * np.ones(3))
    assert whole.variance(FM) == floats.variance(FM)
    np.testing.assert_array_equal(whole.best(FM), floats.best(FM))


def test_points_and_draws_that_do_not_fit_are_refused(run):
    x = torch.zeros(4, 2)
    for change, error, says in (
        ({"x": x[:1]}, ValueError, "two or more points"),
        ({"x": x * torch.nan}, ValueError, "x must be finite"),
        ({"logsnr": [np.nan]}, ValueError, "logsnr must be finite"),
        ({"logsnr": 0.0}, ValueError, r"logsnr must have 1 dimension\(s\)"),
        ({"seed": 1.5}, TypeError, "seed must be a whole number"),
        ({"x": x + 1e20}, ValueError, "logsnr 0 leaves the range of .*x holds numbers up to 1e.20"),
    ):
        with pytest.raises(error, match=says):
            variance.trained(**({"run": run, "x": x, "logsnr": [0.0]} | change))
    ring = dv.toy("ring8")
    with pytest.raises(TypeError, match="law must be a frozen SciPy distribution"):
        variance.draws(FM, "uniform", ring)
    with pytest.raises(ValueError, match="n must be at least 1"):
        variance.draws(FM, FM.law, ring, n=0)
    with pytest.raises(ValueError, match="logsnr must be finite"):
        variance.squared_errors(ring, [np.inf], torch.Generator())


def test_end_levels_have_half_a_cell():
    elbo = dv.objective("elbo")
    levels = np.linspace(-10, 10, 41)
    moments = Moments(levels, np.tile(expit(levels), (2, 1))[..., None], 3 * expit(levels) ** 2)
    # w = 2 on data N(0, 1): variance of one draw under p = sech(λ/2)/(2π), by quadrature
    weight = elbo.weighting(0.0) / 2
    mass, _ = quad(COSINE.schedule.pdf, -10, 10)
    cost, _ = quad(lambda x: 3 * expit(x) ** 2 / COSINE.schedule.pdf(x), -10, 10)
    mean, _ = quad(expit, -10, 10)
    expected = weight**2 * (mass * cost - mean**2)
    assert moments.variance(elbo) == pytest.approx(expected, rel=7e-3)  # 14 % with full cells
    gain = moments.variance(elbo) / moments.variance(elbo, moments.best(elbo))
    assert gain == pytest.approx(13.293, abs=1e-3)


def test_one_level_is_no_grid():
    with pytest.raises(ValueError, match="two or more levels"):
        Moments(np.zeros(1), np.ones((2, 1, 1)), np.ones(1)).variance(FM)
