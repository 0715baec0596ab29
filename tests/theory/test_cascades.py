"""Weighted losses as averages of bounds with partly exact models, by closed forms and by layers."""

import copy
import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from cells import in_one_test
from scipy import stats
from scipy.integrate import quad
from scipy.special import expit

import diffviz as dv
from diffviz.theory import cascades


def divergence(variance, logsnr):
    """KL of z at λ between data of N(0, 1) and of N(0, v): z of the second has α²v + σ²."""
    noised = expit(logsnr) * variance + expit(-logsnr)
    return (1 / noised - 1 + np.log(noised)) / 2


def loss(variance):
    """½ (error − mmse) on N(0, 1) of the denoiser of N(0, v), from the two linear denoisers."""

    def excess(level):
        alpha, sigma = np.sqrt(expit(level)), np.sqrt(expit(-level))
        wrong = alpha * variance / (alpha**2 * variance + sigma**2)
        return np.exp(level) * (wrong - alpha) ** 2 / 2  # z has variance 1

    return excess


def triangles(level):
    """Two peaks, of heights 1 and ½ and of width 4 and 2."""
    first = np.maximum(0, 1 - np.abs(level + 3) / 2)
    return np.maximum(first, np.maximum(0, 0.5 - np.abs(level - 3) / 2))


@in_one_test
@pytest.mark.parametrize("variance", [0.2, 2.0, 9.0])
@pytest.mark.parametrize("level", [-4.3, 0.0, 5.0])
def test_the_gap_of_a_step_is_the_kl_of_the_noised_gaussians(variance, level):
    found = dv.cascade(lambda at: 3.0 * (at <= level), low=-30)
    assert found.gap(loss(variance)) == pytest.approx(divergence(variance, level), abs=1e-9)


@in_one_test
@pytest.mark.parametrize("variance", [0.2, 2.0, 9.0])
def test_the_gap_of_a_smooth_w_is_a_mean_of_these_kls_by_parts(variance):
    """w = sigmoid(−λ) has the law −w′ = sigmoid(λ) sigmoid(−λ) of levels."""
    slope = lambda level: expit(level) * expit(-level) * divergence(variance, level)
    mean = quad(slope, -40, 40, epsabs=1e-12, limit=200)[0]
    found = dv.cascade(lambda at: expit(-at), low=-40, high=40)
    assert found.top == pytest.approx(1, abs=1e-9)
    assert found.gap(loss(variance)) == pytest.approx(mean, abs=1e-9)


def test_w_1_gives_the_elbo():
    found = dv.cascade(dv.objective("elbo"))
    assert found.shape == "flat" and found.learned == pytest.approx(1, abs=1e-9)
    whole = divergence(2.0, 10) - divergence(2.0, -10)
    assert found.gap(loss(2.0)) == pytest.approx(whole, abs=1e-9)
    [(low, high)] = found.stretches(0.3)
    assert (low, high) == pytest.approx((-10, 10))


@in_one_test
@pytest.mark.parametrize("w", ["edm", "sd3", "min-snr-5-eps", "sigmoid-bias2", triangles])
def test_the_bounds_of_all_heights_add_up_to_the_weighted_loss(w):
    """Each bound is a sum of differences of KLs over its stretches; heights by midpoints."""
    found = dv.cascade(w if callable(w) else dv.objective(w))
    heights = (np.arange(400) + 0.5) / 400
    kl = lambda stretch: np.diff(divergence(2.0, np.array(stretch)))[0]
    bounds = [sum(map(kl, found.stretches(one))) for one in heights]
    assert np.mean(bounds) == pytest.approx(found.gap(loss(2.0)), rel=2e-3)


def test_stretches_of_two_peaks_are_where_the_triangles_are():
    found = dv.cascade(triangles)
    assert found.shape == "several peaks"
    assert found.top == pytest.approx(1, abs=1e-7)  # a kink
    low, high = found.stretches(0.25)
    assert low == pytest.approx((-4.5, -1.5), abs=1e-7)
    assert high == pytest.approx((2.5, 3.5), abs=1e-7)
    assert len(found.stretches(0.75)) == 1


def test_a_larger_set_of_learned_steps_has_a_larger_bound():
    ladder = [dv.cascade(lambda at, end=end: 1.0 * (at <= end)) for end in range(-8, 9)]
    assert (np.diff([one.gap(loss(2.0)) for one in ladder]) > 0).all()


@pytest.mark.slow
def test_falling_shapes_are_those_that_a_verdict_calls_monotone():
    for name, entry in dv.catalogue.items():
        shape = dv.cascade(entry, low=-20, high=20).shape
        assert (shape in ("flat", "falling")) == dv.verdict(entry).monotone, (name, shape)


@pytest.mark.parametrize(
    ("w", "shape"),
    [
        (lambda at: np.exp(at), "rising"),
        (lambda at: np.exp(-at), "falling"),
        (lambda at: np.exp(-(at**2)), "one peak"),
        (lambda at: 2 + np.sin(at), "several peaks"),
        (lambda at: 1 / np.cosh(at) ** 2 + np.maximum(0, at - 5), "several peaks"),
    ],
)
def test_shapes(w, shape):
    assert dv.cascade(w).shape == shape


def test_the_scale_of_w_does_not_matter():
    one, ten = (dv.cascade(lambda at, c=c: c * np.exp(-(at**2))) for c in (1.0, 10.0))
    assert ten.gap(loss(2.0)) == pytest.approx(one.gap(loss(2.0)), rel=1e-12)


def test_outside_the_support_decoders_are_exact():
    """Levels between −3 and 2 are drawn only."""
    entry = dv.Objective(
        "cut",
        "test",
        2026,
        "here",
        dv.paths.LINEAR,
        dv.targets.U,
        law=dv.laws.truncated(dv.objective("fm-ot").law, -3, 2),
    )
    found = dv.cascade(entry)
    assert (found.low, found.high) == pytest.approx((-3, 2))
    assert found.learned < 0.25
    [(low, high)] = found.stretches(0.001)
    assert (low, high) == pytest.approx((-3, 2))


def test_a_masked_objective_is_taken_relative_to_the_elbo():
    assert dv.cascade(dv.masked_objective("elbo")).shape == "flat"
    simple = dv.cascade(dv.masked_objective("simple"), low=-30)
    assert simple.shape == "falling"
    assert simple.share == pytest.approx(expit(-simple.logsnr), abs=1e-9)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((lambda at: 0 * at,), "the weighting is 0"),
        ((lambda at: -1 + 0 * at,), "a weighting is >= 0"),
        ((lambda at: 1 + 0 * at, -1e300, 0), "low must lie in"),
        ((dv.objective("edm"), -1e9, 1e9), "stay within ±700 nats"),
        ((dv.masked_objective("simple"), -1e9, 1e9), "stay within ±700 nats"),
        ((dv.objective("edm"), -1, 1, np.nan), "points must be finite"),
        ((dv.objective("edm"), 3, 1), "low must be below high, got low = 3 and high = 1"),
        (([1.0, 2.0],), "cascade needs an objective"),
    ],
)
def test_what_is_no_weighting_is_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        dv.cascade(*arguments)


def test_a_name_is_refused():
    with pytest.raises(TypeError, match=r"say dv\.objective"):
        dv.cascade("edm")


@pytest.mark.parametrize("height", [0, 1, -0.5, 2])
def test_a_height_lies_between_0_and_1(height):
    with pytest.raises(ValueError, match="height must lie between 0 and 1"):
        dv.cascade(dv.objective("edm")).stretches(height)


def test_a_cascade_travels():
    found = dv.cascade(dv.objective("edm"))
    for twin in (pickle.loads(pickle.dumps(found)), copy.deepcopy(found)):
        assert isinstance(twin, cascades.Cascade)
        assert twin.stretches(0.5) == found.stretches(0.5)


@pytest.mark.parametrize("low", [5.0, 6.0, np.array([7.0])])
def test_the_ends_of_the_range_are_in_order(low):
    with pytest.raises(ValueError, match="low must be below high"):
        cascades.cascade(lambda logsnr: np.ones_like(logsnr), low, 5.0)


def test_an_end_may_be_an_array_of_one_number():
    found = cascades.cascade(lambda logsnr: np.ones_like(logsnr), np.array([1.0]), 3)
    assert found.span == 2


# --- narrow features and wide ranges --------------------------------------------------------------


def gaussian(middle, std, base=0.0):
    return lambda level: base + np.exp(-(((level - middle) / std) ** 2) / 2)


@in_one_test
@pytest.mark.parametrize("middle", [0.123, 1.7, -3.333, 7.01])
@pytest.mark.parametrize("std", [8e-4, 2e-3, 0.05])
def test_a_narrow_peak_of_a_callable_is_found(middle, std):
    found = dv.cascade(gaussian(middle, std, base=0.5))
    area = 20 * 0.5 + std * np.sqrt(2 * np.pi)
    assert found.shape == "one peak"
    assert found.learned == pytest.approx(area / 1.5 / 20, rel=1e-9)


def test_a_peak_of_any_width_is_found_at_a_point_that_is_named():
    curve = gaussian(1.234, 1e-6, base=0.5)
    assert dv.cascade(curve).shape == "flat"
    found = dv.cascade(curve, points=[1.234])
    area = 20 * 0.5 + 1e-6 * np.sqrt(2 * np.pi)
    assert found.learned == pytest.approx(area / 1.5 / 20, rel=1e-9)


def test_a_feature_is_found_that_is_0_at_the_point_that_is_named():
    """Two peaks 1e-5 to the left and to the right of it, with area √(2π) 1e-5 together."""
    at = lambda level: ((level - 1.234) / 1e-5) ** 2
    found = dv.cascade(lambda level: 0.5 + at(level) * np.exp(-at(level) / 2), points=[1.234])
    top = 0.5 + 2 / np.e
    assert found.top == pytest.approx(top, rel=1e-9)
    area = 20 * 0.5 + np.sqrt(2 * np.pi) * 1e-5
    assert found.learned == pytest.approx(area / top / 20, rel=1e-9)


@dataclass(frozen=True)
class PlainLaw:
    """A law of one's own, of which nobody knows what it is made of."""

    law: Any

    def pdf(self, level):
        return self.law.pdf(level)

    def cdf(self, level):
        return self.law.cdf(level)

    def ppf(self, share):
        return self.law.ppf(share)

    def support(self):
        return self.law.support()


@pytest.mark.parametrize("place", [-9.2105, 9.2105])
def test_a_narrow_peak_in_the_tail_of_a_plain_law_is_found(place):
    """Two thousandths of the draws are in it, so that a quantile of one in a thousand is, too."""
    mixed = dv.laws.mixture([stats.norm(0, 2), stats.norm(place, 1e-5)], [0.998, 0.002])
    entry = dv.Objective(
        "tail", "test", 2026, "here", dv.paths.LINEAR, dv.targets.EPS, law=PlainLaw(mixed)
    )
    found = dv.cascade(entry)
    largest = float(2 * mixed.pdf(place))
    assert found.top == pytest.approx(largest, rel=1e-6)
    assert found.learned * found.span * largest == pytest.approx(2, rel=1e-5)


RARE = dv.laws.mixture([stats.norm(0, 2), stats.norm(3.21, 1e-5)], [1 - 1e-4, 1e-4])


@in_one_test
@pytest.mark.parametrize("law", [RARE, dv.laws.truncated(RARE, -9, 9)])
def test_a_narrow_law_that_is_drawn_seldom_is_found(law):
    """w is 2p: ∫ w is twice the probability of the range, and 2p is largest in the narrow law."""
    entry = dv.Objective("rare", "test", 2026, "here", dv.paths.LINEAR, dv.targets.EPS, law=law)
    found = dv.cascade(entry)
    largest = float(2 * law.pdf(3.21))
    assert found.top == pytest.approx(largest, rel=1e-6)
    assert found.learned * found.span * largest == pytest.approx(2, rel=1e-5)


def test_a_narrow_peak_of_a_table_is_found_at_its_rows():
    entry = dv.from_weighting("logsnr,w\n-5,1\n0.1234,1\n0.12341,5\n0.12342,1\n5,1")
    found = dv.cascade(entry)
    assert found.top == pytest.approx(5, rel=1e-9) and found.shape == "one peak"
    peak = 2e-5 * (5 - 1) / np.log(5)  # log w is linear between rows
    assert found.learned == pytest.approx((10 - 2e-5 + peak) / 5 / 20, rel=1e-9)


def test_a_range_may_be_very_wide():
    found = dv.cascade(gaussian(1.0, 2.0), low=-1e9, high=1e9)
    assert found.learned == pytest.approx(2 * np.sqrt(2 * np.pi) / 2e9, rel=1e-9)
    assert len(found.logsnr) < 20_000
    step = dv.cascade(lambda at: 1.0 * (at > 12345.678), low=-1e9, high=1e9)
    assert step.learned == pytest.approx((1e9 - 12345.678) / 2e9, rel=1e-9)
    far = dv.cascade(gaussian(3e6, 1e5), low=-1e9, high=1e9)
    assert far.learned == pytest.approx(1e5 * np.sqrt(2 * np.pi) / 2e9, rel=1e-9)


def test_digits_that_underflow_are_no_noise():
    wide = dv.cascade(dv.objective("edm"), low=-600, high=600)
    usual = dv.cascade(dv.objective("edm"), low=-60, high=60)
    assert wide.learned * 10 == pytest.approx(usual.learned, rel=1e-9)


@pytest.mark.parametrize("scale", [1e-308, 1e-300, 1e308])
def test_the_size_of_w_may_be_extreme(scale):
    found = dv.cascade(lambda at: scale * np.exp(-(at**2)))
    assert found.learned == pytest.approx(np.sqrt(np.pi) / 20, rel=1e-9)


def test_a_weighting_with_the_digits_of_float32_is_refused_by_name():
    with pytest.raises(ValueError, match="It returns float32: compute it in float64"):
        dv.cascade(lambda at: np.exp(-(at**2)).astype(np.float32))
