"""Laws and weightings against mpmath, far out in both tails and on both sides of a truncation."""

import dataclasses

import mpmath as mp
import numpy as np
import pytest
from scipy import stats

import diffviz as dv
from diffviz.theory import laws, paths

mp.mp.dps = 40
FAR = np.array([-700.0, -690.0, -300.0, -40.0, -3.0, 0.0, 3.0, 40.0, 300.0, 690.0, 700.0])


def normal_between(low, high):
    """Probability of the standard normal law, without cancellation."""
    if low > 0:
        return normal_between(-high, -low)
    return mp.ncdf(high) - mp.ncdf(low)


def relative(values, expected):
    """Largest relative error of numbers that float64 can hold."""
    return max(abs(float(mp.mpf(float(v)) / e - 1)) for v, e in zip(values, expected, strict=True))


@pytest.mark.parametrize("ends", [(-8, -6), (6, 8), (-12, -9), (9, 12), (-9, 2), (-1, 9), (-2, 2)])
def test_truncated_laws_are_right_on_both_sides(ends):
    low, high = ends
    law = laws.truncated(stats.norm(0, 1), low, high)
    y = low + (high - low) * np.array([0.05, 0.3, 0.6, 0.95])
    exact = [mp.mpf(float(v)) for v in y]
    mass = normal_between(mp.mpf(low), mp.mpf(high))
    below = [normal_between(mp.mpf(low), v) / mass for v in exact]
    above = [normal_between(v, mp.mpf(high)) / mass for v in exact]
    assert relative(law.cdf(y), below) < 1e-11
    assert relative(law.sf(y), above) < 1e-11
    assert relative(law.pdf(y), [mp.npdf(v) / mass for v in exact]) < 1e-11
    left = law.cdf(y) < 0.5
    np.testing.assert_allclose(law.ppf(law.cdf(y[left])), y[left], rtol=1e-9)
    np.testing.assert_allclose(law.isf(law.sf(y[~left])), y[~left], rtol=1e-9)


@pytest.mark.parametrize(
    "law",
    [
        laws.truncated(stats.norm(0, 1), -30, 30),
        laws.truncated(stats.logistic(1, 2), -300, np.inf),
        paths.push_forward(stats.beta(1.5, 0.7), paths.edm()),
    ],
)
def test_a_quantile_does_not_depend_on_those_that_are_asked_for_with_it(law):
    """Each tail keeps its digits, also where the other is in the same array."""
    share = np.array([1e-60, 1e-20, 0.3, 0.7])
    for quantile in (law.ppf, law.isf):
        alone = [float(quantile(one)) for one in share]
        np.testing.assert_allclose(quantile(share), alone, rtol=1e-12)
        assert len(set(alone)) == 4


def test_a_truncation_in_the_left_tail_has_the_known_value():
    law = laws.truncated(stats.norm(0, 1), -8, -6)
    assert law.cdf(-7.9) == pytest.approx(7.829e-7, rel=1e-4)


def test_a_truncation_beyond_float64_is_refused():
    with pytest.raises(ValueError, match="mass of the density"):
        laws.truncated(stats.norm(0, 1), 50, 60)


def test_two_piece_normal_laws_keep_both_tails():
    law = laws.split_lognormal_sigma(-1.2, 0.8, 1.6)
    y = np.array([-25.0, -5.0, 1.0, 4.0, 15.0])
    left = [2 * mp.mpf(2) / 3 * mp.ncdf((mp.mpf(float(v)) - mp.mpf("2.4")) / mp.mpf("3.2"))
            for v in y]  # fmt: skip
    right = [2 * mp.mpf(1) / 3 * mp.ncdf((mp.mpf("2.4") - mp.mpf(float(v))) / mp.mpf("1.6"))
             for v in y]  # fmt: skip
    below = y < 2.4
    assert relative(law.cdf(y[below]), np.array(left)[below]) < 1e-12
    assert relative(law.sf(y[~below]), np.array(right)[~below]) < 1e-12
    np.testing.assert_allclose(law.isf(law.sf(y[~below])), y[~below], rtol=1e-12)


@pytest.mark.parametrize("shape", [(2.0, 0.3), (0.3, 2.0), (0.5, 0.5), (3.0, 1.0)])
def test_beta_time_keeps_its_digits_at_both_ends(shape):
    first, second = map(mp.mpf, shape)
    law = paths.push_forward(stats.beta(*shape), paths.edm())
    y = np.array([-40.0, -20.0, -10.0, 0.0, 10.0, 30.0, 45.0])
    for level in y:
        z = (mp.mpf(level) - mp.mpf("2.4")) / mp.mpf("2.4")
        time, rest = mp.ncdf(-z), mp.ncdf(z)
        density = time ** (first - 1) * rest ** (second - 1) / mp.beta(first, second)
        density *= mp.npdf(z) / mp.mpf("2.4")
        assert relative([law.pdf(level)], [density]) < 1e-10
        tail = law.cdf(level) if level < 0 else law.sf(level)
        ends = (second, first, rest) if level < 0 else (first, second, time)
        expected = mp.betainc(ends[0], ends[1], 0, ends[2], regularized=True)
        assert relative([tail], [expected]) < 1e-10


@pytest.mark.parametrize(
    "time",
    [
        stats.beta(1.5, 0.7),
        laws.logit_normal(0.5, 0.6),
        laws.mode(1.29),
        laws.cosmap(),
        laws.u_shaped(4),
        laws.stretched(stats.beta(2, 3), 0.1, 0.7),
    ],
)
def test_the_reflected_law_is_that_of_the_rest_of_the_time(time):
    rest = laws.reflected(time)
    t = np.linspace(0.15, 0.65, 11)
    np.testing.assert_allclose(rest.pdf(1 - t), time.pdf(t), rtol=1e-9)
    np.testing.assert_allclose(rest.sf(1 - t), time.cdf(t), rtol=1e-9)


def cosine_density(level):
    """sech(λ/2)/(2π)."""
    return mp.sech(level / 2) / (2 * mp.pi)


@pytest.mark.parametrize("bias", [20.0, 0.0, -3.0])
def test_the_sigmoid_weighting_is_right_to_700_nats(bias):
    expected = [2 / (1 + mp.exp(mp.mpf(v) - mp.mpf(bias))) for v in FAR]
    assert relative(dv.families.sigmoid(bias).weighting(FAR), expected) < 1e-12


def min_snr_on_eps(level):
    """min(SNR, 5)/SNR under the cosine path."""
    return min(mp.mpf(1), 5 * mp.exp(-level)) * 2 * cosine_density(level)


def soft_min_snr_on_eps(level):
    """γ/(SNR + γ) under the cosine path with γ = 4."""
    return 4 / (mp.exp(level) + 4) * 2 * cosine_density(level)


def x_cosine_on_eps(level):
    """1/SNR under the cosine path."""
    return mp.exp(-level) * 2 * cosine_density(level)


def p2_on_eps(gamma, k):
    """1/(k + SNR)^γ under the cosine path; from γ = 1.02 float64 cannot hold it at λ = 700."""
    return lambda level: (k + mp.exp(level)) ** -mp.mpf(gamma) * 2 * cosine_density(level)


def p2_under_cosine(gamma, k):
    multiplier = dv.multipliers.p2(gamma, k)
    return dataclasses.replace(dv.objective("iddpm-cosine"), multiplier=multiplier)


@pytest.mark.parametrize(
    ("objective", "on_eps"),
    [
        (p2_under_cosine(1.0, 1.0), p2_on_eps(1.0, 1.0)),
        (p2_under_cosine(1.02, 0.5), p2_on_eps(1.02, 0.5)),
        (p2_under_cosine(1.4, 2.0), p2_on_eps(1.4, 2.0)),
        (dv.families.min_snr(5.0), min_snr_on_eps),
        (dv.families.soft_min_snr(4.0), soft_min_snr_on_eps),
        (dv.objective("x-cosine"), x_cosine_on_eps),
    ],
    ids=["P2", "P2 1.02", "P2 1.4", "min-SNR", "soft min-SNR", "x-cosine"],
)
@pytest.mark.parametrize("base", ["eps", "x", "v", "u"])
def test_weightings_of_every_base_are_right_to_700_nats(objective, on_eps, base):
    levels = [mp.mpf(v) for v in FAR]
    gain = {
        "eps": lambda r: mp.mpf(1),
        "x": lambda r: r,
        "v": lambda r: mp.sqrt(1 + r**2),
        "u": lambda r: 1 + r,
    }[base]
    expected = [on_eps(v) / gain(mp.exp(-v / 2)) ** 2 for v in levels]
    held = [1e-290 < e < 1e300 for e in expected]
    values = objective.weighting(FAR, base)
    assert relative(values[held], [e for e, kept in zip(expected, held, strict=True) if kept]) < (
        1e-11
    )
    assert (values[~np.array(held)] < 1e-285).all()


def test_multipliers_go_on_where_the_snr_leaves_float64():
    levels = np.array([-np.inf, -1000.0, -800.0, -745.0, -740.0, -710.0, -3.0, 0.0])
    np.testing.assert_array_equal(dv.multipliers.min_snr()(levels), 1)
    assert dv.multipliers.min_snr()(-800.0) == 1
    np.testing.assert_array_equal(dv.multipliers.min_snr(target="x")(levels[:3]), 0)
    far = np.array([-1400.0, -800.0, -740.0, -699.0, -3.0, 0.0, 3.0, 699.0, 740.0, 1400.0])
    with np.errstate(over="ignore"):
        free, capped = dv.multipliers.debiased()(far), dv.multipliers.debiased(1000)(far)
    assert relative(free, [mp.exp(-mp.mpf(float(l)) / 2) for l in far]) < 1e-12
    exact = [mp.exp(-min(mp.mpf(float(l)), mp.log(1000)) / 2) for l in far]
    assert relative(capped, exact) < 1e-12


def test_a_shift_beyond_the_range_of_the_frame_is_refused():
    with pytest.raises(ValueError, match=r"shift 0\.5 of 'I-CFM\(0\.1\)' reaches logsnr 5\.991"):
        paths.shifted(paths.icfm(0.1), 0.5)
    moved = paths.shifted(paths.icfm(0.1), 2.0)
    level = moved.logsnr([0.0, 0.3, 0.9])
    ratio = 2 * np.log(moved.frame.alpha(level) / moved.frame.sigma(level))
    np.testing.assert_allclose(ratio, level, rtol=1e-9)
