"""Multipliers, tables, and what a weighting says: verdicts, shares and comparisons."""

import re
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy import exp, log
from scipy import integrate, stats
from scipy.special import expit

import diffviz as dv
from diffviz.theory import analysis, multipliers, paths
from diffviz.theory.analysis import (
    augmentation_density,
    compare,
    equivalent,
    evaluate,
    loss_density,
    share_below,
    verdict,
    window,
)
from diffviz.theory.paths import COSINE, LINEAR, vp_linear
from diffviz.theory.tables import tabulated
from diffviz.theory.weightings import rebase

L = np.linspace(-20, 20, 401)
SNR, SIGMA = exp(L), 1 / (1 + exp(L / 2))  # sigma of the linear path
FORMULAS = {
    "constant": (multipliers.constant, 1 + 0 * L),
    "snr": (multipliers.snr, SNR),
    "truncated": (multipliers.truncated_snr, np.where(SNR > 1, SNR, 1)),
    "snr + 1": (multipliers.snr_plus_one, SNR + 1),
    "min-snr eps": (multipliers.min_snr(5), np.minimum(SNR, 5) / SNR),
    "min-snr x": (multipliers.min_snr(5, "x"), np.minimum(SNR, 5)),
    "min-snr v": (multipliers.min_snr(5, "v"), np.minimum(SNR, 5) / (SNR + 1)),
    "soft-min-snr": (multipliers.soft_min_snr(4), 1 / (SNR * (1 / SNR + 1 / 4))),
    "p2": (multipliers.p2(0.5, 2), 1 / (2 + SNR) ** 0.5),
    "debiased": (multipliers.debiased(), 1 / np.sqrt(SNR)),
    "debiased, capped": (multipliers.debiased(1000), 1 / np.sqrt(np.minimum(SNR, 1000))),
    "ELBO": (multipliers.likelihood(COSINE), 2 * np.pi * np.cosh(L / 2)),
    "sigmoid": (
        multipliers.sigmoid(2, COSINE),
        2 * np.pi * np.cosh(L / 2) * exp(2) / (1 + exp(2 - L)),
    ),
    "EDM": (multipliers.edm(0.5), (exp(-L) + 0.25) / (0.25 * exp(-L))),
    "sigma_sqrt": (multipliers.sigma_sqrt, SIGMA**-2.0),
    "CosMap": (multipliers.cosmap, 2 / (np.pi * (1 - 2 * SIGMA + 2 * SIGMA**2))),
    "bell": (multipliers.bell, exp(-2 * (SIGMA - 0.5) ** 2) - exp(-0.5)),
}


@pytest.mark.parametrize(("multiplier", "formula"), FORMULAS.values(), ids=FORMULAS)
def test_multipliers_are_the_papers_formulas(multiplier, formula):
    np.testing.assert_allclose(multiplier(L), formula, rtol=1e-11, atol=1e-15)
    assert np.shape(multiplier(0.3)) == ()
    far = np.linspace(-40, 40, 81)
    assert np.isfinite(multiplier(far)).all() and (multiplier(far) >= 0).all()


def test_min_snr_is_one_weighting_on_three_targets():
    eps = multipliers.min_snr(5)(L)
    np.testing.assert_allclose(multipliers.min_snr(5, "x")(L) * exp(-L), eps, rtol=1e-13)
    np.testing.assert_allclose(multipliers.min_snr(5, "v")(L) * (1 + exp(-L)), eps, rtol=1e-13)


def test_the_likelihood_multiplier_makes_any_density_the_elbo():
    for path in (COSINE, LINEAR, vp_linear(), paths.karras()):
        grid = window(dv.from_weighting(multipliers.constant, path=path), low=-8, high=8)
        np.testing.assert_allclose(
            multipliers.likelihood(path)(grid) * path.schedule.pdf(grid), 1, rtol=1e-12
        )
        np.testing.assert_allclose(
            multipliers.sigmoid(1, path)(grid) * path.schedule.pdf(grid) * exp(-grid),
            expit(1 - grid),
            rtol=1e-12,
        )


@pytest.mark.parametrize(
    "values", [(-1.2, 1.2, 0.5), (-0.4, 1.0, 0.5), (0.0, 0.6, 1.0), (-2.0, 0.5, 0.2)]
)
def test_monotone_edm_is_edm_held_at_its_maximum(values):
    mean, std, data = values
    grid = np.linspace(-25, 25, 50_001)
    density = stats.norm(-2 * mean, 2 * std)
    plain, held = (
        m(grid) * exp(-grid) * density.pdf(grid)
        for m in (multipliers.edm(data), multipliers.edm_monotonic(*values))
    )
    top = plain.argmax()
    np.testing.assert_allclose(held[top + 2 :], plain[top + 2 :], rtol=1e-13)
    inside = density.pdf(grid[:top]) > 1e-280
    np.testing.assert_allclose(held[:top][inside], plain.max(), rtol=1e-7)


@pytest.mark.parametrize(
    ("values", "peaks"),
    [
        ((-3.0, 2.0, 0.5), 2),  # w is largest at the left peak
        ((-4.0, 2.0, 0.5), 2),  # at the right one
        ((-1.0, 2.0, 0.5), 1),
        ((-9.0, 2.0, 0.5), 1),
        ((0.0, 1000.0, 1.0), 1),
        ((-1.2, 1.2, 0.5), 1),
    ],
)
def test_monotone_edm_is_the_largest_w_at_a_level_or_above(values, peaks):
    mean, std, data = values
    held = multipliers.edm_monotonic(*values)
    assert len(held.peaks) == peaks
    grid = np.linspace(-30, 30, 60_001)
    share = exp(-grid + stats.norm(-2 * mean, 2 * std).logpdf(grid))
    largest = np.maximum.accumulate((multipliers.edm(data)(grid) * share)[::-1])[::-1]
    inside = grid > min(held.peaks) if std > 100 else share > 1e-280
    np.testing.assert_allclose((held(grid) * share)[inside], largest[inside], rtol=1e-6)


def test_edm_peaks_where_known():
    o = dv.objective("edm-monotonic")
    assert o.weighting(-8.0) == pytest.approx(
        float(dv.objective("edm").weighting(-3.307777567)), rel=1e-12
    )


# reading w
def test_verdict_of_a_falling_w_is_monotone_with_no_negative_share():
    v = verdict(lambda l: exp(-l / 2), L)
    assert v.monotone and v.rises == () and v.negative_share == 0 and "monotone" in str(v)
    np.testing.assert_allclose(v.augmentation[1:-1], exp(-L[1:-1] / 2) / 2, rtol=1e-3)


def test_verdict_says_where_w_rises():
    v = verdict(lambda l: 2 + np.sin(l), np.linspace(-6, 6, 4001))
    assert not v.monotone and len(v.rises) == 3
    np.testing.assert_allclose(
        v.rises, [(-6, -1.5 * np.pi), (-np.pi / 2, np.pi / 2), (1.5 * np.pi, 6)], atol=4e-3
    )
    assert "rises below -4.71, on [-1.57, 1.57]" in str(v)
    assert not verdict(exp, L).monotone and verdict(np.ones_like, L).monotone


def test_negative_share_is_the_signed_elbo_mixture():
    # ∫ (w')₊ L / (w(end) L(end) + ∫ (−w')₊ L) for sech(λ/2) and L(λ) = ½ log(1 + e^λ),
    # by quadrature on each side of the mode
    slope = lambda l: -np.tanh(l / 2) / np.cosh(l / 2) / 2
    level = lambda l: np.logaddexp(0, l) / 2
    up = integrate.quad(lambda l: slope(l) * level(l), -20, 0)[0]
    down = integrate.quad(lambda l: -slope(l) * level(l), 0, 20)[0]
    expected = up / (down + level(20) / np.cosh(10))
    assert verdict(
        lambda l: 1 / np.cosh(l / 2), np.linspace(-20, 20, 4001)
    ).negative_share == pytest.approx(expected, rel=1e-4)
    flat = verdict(
        lambda l: 1 / np.cosh(l / 2),
        np.linspace(-20, 20, 4001),
        information=lambda l: np.ones_like(l),
    )
    assert flat.negative_share == pytest.approx(
        1, abs=2e-4
    )  # all of the rise against all of the fall


def test_the_mixture_of_elbos_is_the_loss():
    # L_w = w(hi) L(hi) − w(lo) L(lo) − ∫ w' L, with L' = mmse/2, for a w that rises and falls
    w, level = dv.objective("edm").weighting, analysis.gaussian_information
    grid = np.linspace(-20, 20, 40_001)
    direct = integrate.simpson(loss_density(w, grid), x=grid) / 2
    middle = (grid[1:] + grid[:-1]) / 2
    mixture = (
        w(grid)[-1] * level(20) - w(grid)[0] * level(-20) - (np.diff(w(grid)) * level(middle)).sum()
    )
    assert mixture == pytest.approx(direct, rel=1e-7)


@given(st.floats(-6, 6), st.floats(0.5, 3))
def test_the_peak_is_found_between_grid_points(centre, width):
    v = verdict(lambda l: exp(-(((l - centre) / width) ** 2)), np.linspace(-20, 20, 4001))
    assert v.peak == pytest.approx(centre, abs=1e-7)


def test_the_augmentation_density_and_the_end_mass_sum_to_the_noisy_end():
    grid = np.linspace(-8, 8, 8001)
    w = expit(2 - grid)
    assert np.trapezoid(augmentation_density(w, grid), grid) + w[-1] == pytest.approx(
        w[0], rel=1e-6
    )
    assert augmentation_density(w, grid).shape == grid.shape


def test_compare_finds_constants_and_differences():
    same = compare(lambda l: 3 * exp(-l / 2), dv.objective("fm-ot"))
    assert same.same and same.deviation < 1e-12 and "same" in str(same)
    other = compare(dv.objective("sd3"), dv.objective("fm-ot"), np.linspace(-4, 4, 401))
    assert not other.same and abs(other.at) == pytest.approx(4) and "different" in str(other)
    assert np.median(other.ratio) == pytest.approx(1)


def test_compare_uses_the_common_support_and_refuses_none():
    assert compare(dv.objective("ncsn"), dv.objective("edm-repo-ve")).same
    with pytest.raises(ValueError, match="do not overlap"):
        compare(
            dv.from_weighting(np.ones_like, stats.uniform(-5, 1)),
            dv.from_weighting(np.ones_like, stats.uniform(1, 1)),
        )
    with pytest.raises(ValueError, match="0 inside the window"):
        compare(lambda l: np.maximum(l, 0), np.ones_like, L)


def test_classes_put_equals_together_largest_first():
    some = [
        dv.objective(n)
        for n in ("edm", "fm-ot", "v-cosine", "sd3", "fm-cosine", "kdiff-lognormal-karras")
    ]
    assert [[o.name for o in g] for g in equivalent(some)] == [
        ["fm-ot", "v-cosine", "fm-cosine"],
        ["edm", "kdiff-lognormal-karras"],
        ["sd3"],
    ]


@pytest.mark.parametrize("name", ["fm-ot", "edm", "ddpm-linear", "sd3"])
def test_rebase_is_the_base_of_the_objective_and_keeps_the_loss(name):
    o, grid = dv.objective(name), np.linspace(-9, 12, 101)
    factor = {
        "eps": 1,
        "x": exp(grid),
        "v": 1 / (1 + exp(-grid)),
        "u": (1 + exp(-grid / 2)) ** -2.0,
    }
    for base, by in factor.items():
        np.testing.assert_allclose(
            rebase(o.weighting(grid), grid, "eps", base), o.weighting(grid) * by, rtol=1e-12
        )
        np.testing.assert_allclose(
            rebase(o.weighting(grid), grid, "eps", base), o.weighting(grid, base=base), rtol=1e-12
        )


def test_loss_density_takes_any_mmse_curve():
    np.testing.assert_allclose(loss_density(np.ones_like, L), expit(L), rtol=1e-14)
    np.testing.assert_allclose(
        loss_density(dv.objective("fm-ot"), L, mmse=np.ones_like), exp(-L / 2), rtol=1e-12
    )


@given(st.floats(-9, 9))
@settings(max_examples=30, deadline=None)
def test_shares_below_are_the_integrals(at):
    assert share_below(lambda l: exp(-l / 2), at) == pytest.approx(
        (exp(5) - exp(-at / 2)) / (exp(5) - exp(-5)), rel=1e-8
    )
    assert share_below(dv.objective("vdm"), at) == pytest.approx(
        np.clip((at + 5) / 15, 0, 1), abs=1e-8
    )


def test_shares_stay_within_zero_and_one():
    o = dv.objective("ncsn")
    assert share_below(o, -3) == share_below(o, 0) == 0.0
    assert share_below(o, 30) == share_below(o, 10) == pytest.approx(1.0)


@pytest.mark.parametrize("std", [1e-5, 1e-3, 5e-3, 0.03, 0.3])
def test_a_narrow_law_has_its_share_and_its_peak(std):
    """On eps and without a multiplier w is twice the density of levels."""
    objective = replace(dv.objective("iddpm-cosine"), law=stats.norm(3.0013, std))
    assert share_below(objective, 5.0) == pytest.approx(1.0, abs=1e-9)
    place = 3.0013 + 0.7 * std
    assert share_below(objective, place) == pytest.approx(stats.norm.cdf(0.7), abs=1e-9)
    assert verdict(objective).peak == pytest.approx(3.0013, abs=0.01 * std)


class TwoPeaks(stats.rv_continuous):
    """A law of one's own with a narrow peak, which is not put together from others."""

    def _pdf(self, x):
        return (stats.norm.pdf(x, -6, 1) + stats.norm.pdf(x, 3.005, 4e-4)) / 2

    def _cdf(self, x):
        return (stats.norm.cdf(x, -6, 1) + stats.norm.cdf(x, 3.005, 4e-4)) / 2


@pytest.mark.parametrize(
    ("law", "peak", "width"),
    [
        (
            dv.laws.mixture([stats.norm(-6, 1), stats.norm(3.005, 4e-4)], [0.5, 0.5]),
            3.005,
            1e-5,
        ),
        (TwoPeaks()(), 3.005, 1e-5),
        (
            dv.laws.mixture(
                [stats.norm(-6, 1), dv.laws.truncated(stats.norm(0, 5), 3.0031, 3.0034)],
                [0.5, 0.5],
            ),
            3.0031,
            4e-4,
        ),
    ],
    ids=["mixture", "of one's own", "truncated"],
)
def test_a_narrow_component_is_found(law, peak, width):
    objective = replace(dv.objective("iddpm-cosine"), law=law)
    above = 0.5 * stats.norm.cdf(4)  # the range begins at -10
    assert share_below(objective, 0.0) == pytest.approx(above / (above + 0.5), abs=1e-8)
    found = verdict(objective)
    assert found.peak == pytest.approx(peak, abs=width)
    assert [last for _, last in found.rises] == pytest.approx([-6, peak], abs=0.01)


def test_the_share_of_a_function_is_none_below_the_range_and_all_above():
    assert share_below(np.ones_like, -10.0) == share_below(np.ones_like, -25.0) == 0.0
    assert share_below(np.ones_like, 10.0) == share_below(np.ones_like, 25.0) == 1.0
    assert share_below(np.ones_like, 9.0, low=0.0, high=4.0) == 1.0
    assert share_below(np.ones_like, 3.0, low=0.0, high=4.0) == pytest.approx(0.75)


def test_a_grid_of_a_window_lies_in_every_support():
    grid = window(dv.objective("vdm"), dv.objective("ncsn"))
    assert grid[0] > 0 and grid[-1] < 9.2104 and grid[0] < 1e-9


def test_tables_are_read_from_arrays_and_csv_with_and_without_header(tmp_path):
    rows = np.column_stack([np.linspace(-4, 4, 9), exp(-np.linspace(-4, 4, 9) / 2)])
    np.savetxt(tmp_path / "w.csv", rows, delimiter=",", fmt="%.17g")
    (tmp_path / "named.csv").write_text("logsnr,w\n" + (tmp_path / "w.csv").read_text())
    for table in (rows, rows.tolist(), tmp_path / "w.csv", str(tmp_path / "named.csv")):
        w, low, high = tabulated(table)
        assert (low, high) == (-4, 4)
        np.testing.assert_allclose(
            w(np.linspace(-4, 4, 33)), exp(-np.linspace(-4, 4, 33) / 2), rtol=1e-12
        )  # log-linear between


def test_a_table_with_zeros_is_read_linearly():
    w, *_ = tabulated([[-1, 0], [0, 2], [3, 0]])
    np.testing.assert_allclose(w(np.array([-1, -0.5, 0, 1.5])), [0, 1, 2, 1])


BAD = {
    "one column": ([[1.0], [2.0]], "two columns"),
    "a row": ([1.0, 2.0], "two columns"),
    "three columns": ([[1, 2, 3], [2, 3, 4]], "two columns"),
    "one row": ([[1.0, 2.0]], "two rows"),
    "empty": ([], "two columns"),
    "unsorted": ([[1, 1], [0, 1]], "strictly increasing"),
    "repeated": ([[0, 1], [0, 1]], "strictly increasing"),
    "NaN w": ([[0, 1], [1, np.nan]], "finite"),
    "infinite w": ([[0, 1], [1, np.inf]], "finite"),
    "NaN level": ([[np.nan, 1], [1, 1]], "finite"),
    "negative": ([[0, 1], [1, -1]], ">= 0"),
    "all zero": ([[0, 0], [1, 0]], "somewhere positive"),
    "words": ([["a", "b"], ["c", "d"]], "table of numbers"),
}


@pytest.mark.parametrize(("table", "says"), BAD.values(), ids=BAD)
def test_a_bad_table_is_refused_with_the_reason(table, says):
    with pytest.raises(ValueError, match=says):
        tabulated(table)


def test_a_csv_of_words_is_refused(tmp_path):
    (tmp_path / "w.csv").write_text("logsnr,w\n0,1\none,2\n3,4\n")
    with pytest.raises(ValueError, match=r"row 2 \(line 3\), column 1 \(logsnr\): 'one' is no"):
        tabulated(tmp_path / "w.csv")
    (tmp_path / "ragged.csv").write_text("0,1\n1,2,3\n")
    with pytest.raises(ValueError, match=r"row 2 \(line 2\) has 3 cells, not 2"):
        tabulated(tmp_path / "ragged.csv")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: multipliers.min_snr(0), "gamma"),
        (lambda: multipliers.min_snr(-5), "gamma"),
        (lambda: multipliers.min_snr(np.nan), "gamma"),
        (lambda: multipliers.min_snr(5, "u"), "eps, x, v"),
        (lambda: multipliers.soft_min_snr(0), "gamma"),
        (lambda: multipliers.p2(0), "gamma"),
        (lambda: multipliers.p2(1, 0), "k must"),
        (lambda: multipliers.debiased(0), "cap"),
        (lambda: multipliers.debiased(np.nan), "cap"),
        (lambda: multipliers.sigmoid(np.inf, COSINE), "bias"),
        (lambda: multipliers.edm(0), "sigma_data"),
        (lambda: multipliers.edm_monotonic(std=0), "std"),
        (lambda: verdict(np.ones_like, L[::-1]), "increasing"),
        (lambda: verdict(np.ones_like, [0, np.nan]), "finite"),
        (lambda: verdict(np.ones(3)), "need their grid"),
        (lambda: verdict(lambda l: l, L), ">= 0"),
        (lambda: verdict(lambda l: l * np.nan, L), "finite"),
        (lambda: verdict(np.ones(5), L), "shape"),
        (lambda: augmentation_density(np.ones(3), [0, 0, 1]), "increasing"),
        (lambda: augmentation_density([1, np.inf], [0, 1]), "finite"),
        (lambda: evaluate(np.ones(3), np.zeros(4)), "shape"),
        (lambda: loss_density(lambda l: -1 + 0 * l, L), ">= 0"),
        (lambda: rebase(np.ones(2), np.zeros(2), "eps", "F"), "one of eps"),
        (lambda: compare(np.ones_like, np.ones_like, [1.0]), "increasing"),
    ],
)
def test_bad_values_are_refused_by_name(make, says):
    with pytest.raises(ValueError, match=says):
        make()


@given(st.lists(st.floats(-50, 50), min_size=2, max_size=8), st.floats(0.1, 10))
def test_any_sorted_table_is_met_at_its_points_and_any_other_refused(levels, height):
    rows = np.column_stack([levels, np.full(len(levels), height)])
    if (np.diff(levels) > 0).all():
        np.testing.assert_allclose(tabulated(rows)[0](np.array(levels)), height, rtol=1e-12)
    else:
        with pytest.raises(ValueError, match="increasing"):
            tabulated(rows)


def test_gaussian_information_is_the_integral_of_half_the_mmse():
    for end in (-3.0, 0.0, 4.0):
        assert analysis.gaussian_information(end) == pytest.approx(
            integrate.quad(lambda l: analysis.gaussian_mmse(l) / 2, -60, end)[0], rel=1e-9
        )
    assert analysis.gaussian_mmse(log(3.0)) == pytest.approx(0.75)


@pytest.mark.parametrize(("low", "high"), [(5, -5), (-10, -5)])
def test_a_share_of_nothing_is_refused(low, high):
    with pytest.raises(ValueError, match=r"low < high|no weight"):
        dv.share_below(dv.objective("ncsn"), low=low, high=high)


@pytest.mark.parametrize("end", ["low", "high"])
@pytest.mark.parametrize("value", [1e300, -701.0])
def test_a_share_beyond_what_float64_holds_is_refused_by_name(end, value):
    edm = dv.objective("edm")
    with pytest.raises(ValueError, match=re.escape(f"{end} must lie in [-700, 700], got {value}")):
        dv.share_below(edm, **{end: value})
    whole = dv.share_below(edm, low=-700.0, high=700.0)
    assert whole == pytest.approx(dv.share_below(edm, low=-40.0, high=40.0), rel=1e-6)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: dv.compare("edm", "sd3"),
        lambda: dv.equivalent(["edm"]),
        lambda: dv.verdict("edm", [0, 1]),
    ],
)
def test_a_name_where_an_objective_belongs_is_met_with_the_way_out(ask):
    with pytest.raises((TypeError, ValueError), match=r"dv\.objective\('edm'\)|grid"):
        ask()


@dataclass(frozen=True)
class Bumps:
    """A weighting that may vanish on a stretch, with a ripple of a given size."""

    seed: int
    ripple: float

    def __call__(self, logsnr):
        rng = np.random.default_rng(self.seed)
        slope, start, end = rng.normal(), *rng.choice([-13.0, -4.0, 0.0, 0.5, 2.0, 13.0], 2, False)
        inside = (logsnr >= min(start, end)) & (logsnr <= max(start, end))
        wave = 1 + self.ripple * np.sin(3 * logsnr)
        return np.where(inside, np.exp(slope * logsnr) * wave, 0.0)


def rippled(size):
    """A weighting that departs from a constant by as much as ``size`` on either side."""
    return lambda logsnr: 1 + size * np.sin(logsnr)


def test_weightings_a_millionth_apart_are_the_limit_of_one_group():
    plain = rippled(0.0)
    assert len(dv.equivalent([plain, rippled(4e-7)])) == 1
    assert len(dv.equivalent([plain, rippled(4e-6)])) == 2
    assert len(dv.equivalent([plain, rippled(4e-6)], tolerance=1e-5)) == 1


@pytest.mark.parametrize("tolerance", [1e-6, 1e-2, 0.3, 0.5, 0.7])
def test_groups_are_those_of_comparing_each_with_all(tolerance):
    """Near ties, ripples about the tolerance, and stretches without weight."""
    members = [
        Bumps(seed, tolerance * ripple)
        for ripple in (0.0, 0.2, 0.45, 0.55, 0.9)
        for seed in range(12)
    ]
    grid = np.linspace(-12, 12, 2001)
    groups = []
    for member in members:
        w = member(grid)
        for first, group in groups:
            both = (w > 0) & (first > 0)
            ratio = w[both] / first[both]
            if both.sum() > 100 and np.ptp(ratio) <= tolerance * np.median(ratio):
                group.append(member)
                break
        else:
            groups.append((w, [member]))
    expected = sorted((group for _, group in groups), key=len, reverse=True)
    assert len(expected) > 3
    assert dv.equivalent(members, tolerance) == expected
