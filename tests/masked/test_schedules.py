"""Masking schedules: inverses, densities, and the laws of papers."""

import pickle

import mpmath
import numpy as np
import pytest
from cells import in_one_test
from scipy import integrate, stats

from diffviz.masked import schedules

ALL = (
    schedules.LINEAR,
    schedules.SINE,
    schedules.COSINE,
    schedules.SQUARED_COSINE,
    schedules.power(2),
    schedules.power(0.5),
    schedules.kept_power(2),
    schedules.kept_power(0.5),
    schedules.geometric(1e-3, 20.0),
    schedules.exponential(10.0),
    schedules.of_law(stats.beta(2, 3)),
    schedules.squeezed(schedules.SINE, 1e-4, 1 - 1e-4),
)
T = np.linspace(0.001, 0.999, 333)


@in_one_test
@pytest.mark.parametrize("schedule", ALL, ids=str)
def test_time_inverts_the_rate(schedule):
    assert np.abs(schedule.time(schedule.logsnr(T)) - T).max() < 1e-12


@in_one_test
@pytest.mark.parametrize("schedule", ALL, ids=str)
def test_the_end_of_time_is_told_exactly_too(schedule):
    """By 1 − t, as by t in the middle, and without a loss of digits where t rounds to 1."""
    for one, other in zip(schedule.form.late_rates(1 - T), schedule.form.rates(T), strict=True):
        assert one == pytest.approx(other, rel=1e-10)
    late = np.array([1e-12, 1e-9, 1e-6, 1e-3])
    assert schedule.form.rest(*schedule.form.late_rates(late)) == pytest.approx(late, rel=1e-3)
    law = schedule.law
    assert law.cdf(law.ppf(late)) == pytest.approx(late, rel=1e-3)
    assert law.sf(law.isf(late)) == pytest.approx(late, rel=1e-3)


@in_one_test
@pytest.mark.parametrize("schedule", ALL, ids=str)
def test_rates_add_up_to_one_and_rise_with_time(schedule):
    mask, keep = schedule.form.rates(T)
    assert np.abs(mask + keep - 1).max() < 1e-14
    assert (np.diff(mask) > 0).all()


@in_one_test
@pytest.mark.parametrize("schedule", ALL, ids=str)
def test_the_density_is_the_slope_of_time(schedule):
    level = schedule.logsnr(T[10:-10])
    slope = (schedule.time(level - 1e-5) - schedule.time(level + 1e-5)) / 2e-5
    assert schedule.density(level) == pytest.approx(slope, rel=1e-6)
    assert schedule.law.pdf(level) == pytest.approx(slope, rel=1e-6)


@in_one_test
@pytest.mark.parametrize("schedule", ALL, ids=str)
def test_the_law_has_the_mass_one_and_is_that_of_uniform_time(schedule):
    law = schedule.law
    low, high = law.ppf([1e-9, 1 - 1e-9])
    mass, _ = integrate.quad(law.pdf, low, high, limit=400)
    assert mass == pytest.approx(1, abs=1e-6)
    assert law.sf(schedule.logsnr(T)) == pytest.approx(T, abs=1e-12)


@pytest.mark.parametrize("level", [-38.0, -20.0, 0.0, 20.0, 38.0])
def test_far_out_the_density_of_the_cosine_is_exact(level):
    with mpmath.workdps(60):
        mask = 1 / (1 + mpmath.exp(level))
        truth = 2 / mpmath.pi / mpmath.sqrt(1 - mask**2) * mask * (1 - mask)
    assert schedules.SINE.law.pdf(level) == pytest.approx(float(truth), rel=1e-12)


def test_mdlm_has_the_rate_of_its_code():
    """1 − exp(−total) of LogLinearNoise and of CosineNoise, with eps = 0.001."""
    t = (1 - 1e-3) * T + 1e-3
    linear = schedules.squeezed(schedules.LINEAR, 1e-3 * (1 - 1e-3), 1 - 1e-3)
    assert linear.form.rates(T)[0] == pytest.approx(1 - np.exp(np.log1p(-(1 - 1e-3) * t)))
    cosine = schedules.squeezed(schedules.COSINE, 0, 1 - 1e-3)
    total = -np.log(1e-3 + (1 - 1e-3) * np.cos(T * np.pi / 2))
    assert cosine.form.rates(T)[0] == pytest.approx(1 - np.exp(-total))


def test_md4_has_the_alpha_of_its_code():
    md4 = schedules.squeezed(schedules.SINE, 1e-4, 1 - 1e-4)
    alpha = (1 - 2e-4) * (1 - np.cos(np.pi / 2 * (1 - T))) + 1e-4
    assert md4.form.rates(T)[1] == pytest.approx(alpha, rel=1e-12)


def test_the_linear_schedule_is_a_logistic_law():
    assert schedules.power(1.0).law.pdf([-3.0, 0.0, 5.0]) == pytest.approx(
        stats.logistic().pdf([-3.0, 0.0, 5.0])
    )


@in_one_test
@pytest.mark.parametrize("schedule", ALL, ids=str)
def test_schedules_and_their_laws_pickle(schedule):
    copy = pickle.loads(pickle.dumps(schedule))
    assert copy == schedule or isinstance(schedule.form, schedules.OfLaw)
    law = pickle.loads(pickle.dumps(schedule.law))
    assert law.ppf(0.3) == schedule.law.ppf(0.3)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: schedules.power(0), "exponent must be a finite number > 0"),
        (lambda: schedules.geometric(2.0, 1.0), "largest - smallest"),
        (lambda: schedules.squeezed(schedules.LINEAR, 0.5, 0.5), "high - low"),
        (lambda: schedules.squeezed(schedules.LINEAR, -0.1), "low must lie in"),
        (lambda: schedules.of_law(stats.norm()), "a masking rate lies in"),
    ],
)
def test_what_is_no_schedule_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: schedules.squeezed("linear"), "schedule must be a schedule"),
        (lambda: schedules.Schedule("own", "linear"), "form must have rates"),
        (lambda: schedules.Schedule(1, schedules.Linear()), "name must be text"),
        (lambda: schedules.Schedule("own", schedules.Linear), "form must have rates"),
    ],
)
def test_what_has_no_rates_is_no_schedule(make, words):
    with pytest.raises(TypeError, match=words):
        make()
