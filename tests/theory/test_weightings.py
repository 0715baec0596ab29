"""What counts as a weighting, where it is known, and on whose error it acts."""

import numpy as np
import pytest
import torch
from scipy import stats

import diffviz as dv
from diffviz.theory import analysis, weightings
from diffviz.theory.targets import BASES, base_gain
from diffviz.theory.weightings import evaluate, rebase, support, window

GRID = np.linspace(-12, 12, 241)
PAIRS = [(base, to) for base in BASES for to in BASES]


class Probed:
    """A measured loss with w = e^(−λ/2) on [−4, 4]."""

    kind = "u"
    discrete = False

    def edges(self, bins=160, mass=0.998):
        return np.linspace(-4, 4, bins + 1)

    def weighting(self, edges):
        w = -2 * np.diff(np.exp(-np.asarray(edges) / 2)) / np.diff(edges)
        return w, 1e-4 * w


# --- from base to base ---


@pytest.mark.parametrize(("base", "to"), PAIRS)
def test_rebase_is_exact_for_all_pairs_and_goes_there_and_back(base, to):
    w = dv.objective("edm").weighting(GRID, base=base)
    there = rebase(w, GRID, base, to)
    np.testing.assert_allclose(there, dv.objective("edm").weighting(GRID, base=to), rtol=1e-13)
    np.testing.assert_allclose(rebase(there, GRID, to, base), w, rtol=1e-13)
    errors = base_gain(to, GRID) ** 2 * there / (base_gain(base, GRID) ** 2 * w)
    np.testing.assert_allclose(errors, 1, rtol=1e-13)  # the loss does not change


def test_flow_matching_has_its_known_weighting_on_every_base():
    w = np.exp(-GRID / 2)
    np.testing.assert_allclose(rebase(w, GRID, "eps", "x"), np.exp(GRID / 2), rtol=1e-13)
    density = stats.logistic(scale=2).pdf(GRID)
    on_u = rebase(w, GRID, "eps", "u")
    np.testing.assert_allclose(on_u / density, on_u[0] / density[0], rtol=1e-12)


def test_a_rebased_weighting_keeps_its_base_if_both_are_the_same():
    w = np.arange(241)
    for base in BASES:
        np.testing.assert_array_equal(rebase(w, GRID, base, base), w)


@pytest.mark.parametrize("shape", [list, tuple, lambda a: a[::-1][::-1], torch.from_numpy])
def test_rebase_takes_what_people_have(shape):
    whole = rebase(np.ones(241), GRID, "x", "v")
    np.testing.assert_array_equal(rebase(shape(np.ones(241)), shape(GRID), "x", "v"), whole)
    frozen = GRID.copy()
    frozen.flags.writeable = False
    np.testing.assert_array_equal(rebase(np.ones(241), frozen, "x", "v"), whole)


@pytest.mark.parametrize(
    ("w", "logsnr", "base", "to", "error", "says"),
    [
        ([1.0], [0.0], "F", "x", ValueError, "one of eps, x, v, u"),
        ([1.0], [0.0], "x", "score", ValueError, "'score'; one of eps, x, v, u"),
        ([1.0], [0.0], 3, "x", ValueError, "unknown base 3"),
        ([np.nan], [0.0], "eps", "x", ValueError, "weighting must be finite, got nan"),
        ([1.0], [np.inf], "eps", "x", ValueError, "logsnr must be finite, got inf"),
        ([-1.0], [2.0], "eps", "x", ValueError, "got -1 at logsnr 2"),
        ([1.0, 2.0], [0.0], "eps", "x", ValueError, "one value for each logsnr"),
        ([1j], [0.0], "eps", "x", TypeError, "complex"),
        (["a"], [0.0], "eps", "x", TypeError, "text"),
        (np.ma.array([1.0], mask=[True]), [0.0], "eps", "x", TypeError, "masked"),
        (
            [1.0],
            [-3000.0],
            "u",
            "x",
            ValueError,
            "logsnr -3000 the weighting on x leaves the range",
        ),
    ],
)
def test_a_rebase_without_a_meaning_is_refused(w, logsnr, base, to, error, says):
    with pytest.raises(error, match=says):
        rebase(w, logsnr, base, to)


def test_a_rebased_weighting_may_underflow_to_zero():
    assert rebase([1.0], [-1500.0], "eps", "v") == 0


# --- what counts as a weighting ---


def test_a_weighting_is_an_objective_a_measured_loss_a_callable_or_values():
    grid = np.linspace(-3, 3, 61)
    expected = np.exp(-grid / 2)
    flow = dv.objective("fm-ot")
    scale = flow.weighting(0.0)
    np.testing.assert_allclose(evaluate(flow, grid) / scale, expected, rtol=1e-12)
    np.testing.assert_allclose(evaluate(Probed(), grid), expected, rtol=1e-3)
    np.testing.assert_array_equal(evaluate(lambda logsnr: np.exp(-logsnr / 2), grid), expected)
    np.testing.assert_array_equal(evaluate(expected.tolist(), grid.tolist()), expected)


def test_a_callable_sees_an_array_of_floats_whatever_the_grid_was():
    np.testing.assert_allclose(evaluate(lambda logsnr: logsnr**-2.0, [1, 2]), [1, 0.25])


@pytest.mark.parametrize(
    ("w", "error", "says"),
    [
        ("edm", TypeError, r"dv\.objective\('edm'\)"),
        (dv.Objective, TypeError, "not the class Objective"),
        (object(), TypeError, "objects"),
        (None, TypeError, "objects"),
        (stats.norm(), TypeError, "objects"),
        (lambda logsnr: 1.0, ValueError, "one value for each logsnr"),
        (lambda logsnr: logsnr + 1j, TypeError, "complex"),
        (lambda logsnr: np.ma.masked_array(logsnr), TypeError, "masked"),
        (lambda logsnr: np.full_like(logsnr, np.nan), ValueError, "finite"),
        (lambda logsnr: -np.ones_like(logsnr), ValueError, ">= 0"),
        (np.array(["2020-01-01"] * 2, dtype="datetime64"), TypeError, "dates"),
    ],
)
def test_anything_else_is_refused(w, error, says):
    with pytest.raises(error, match=says):
        evaluate(w, [0.0, 1.0])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_grid_that_is_not_finite_is_refused(bad):
    for w in (dv.objective("edm"), np.ones_like, [1.0, 1.0]):
        with pytest.raises(ValueError, match="logsnr must be finite"):
            evaluate(w, [0.0, bad])


def test_a_measured_loss_is_not_extrapolated():
    with pytest.raises(ValueError, match=r"measured on logsnr \[-4, 4\] only"):
        evaluate(Probed(), [0.0, 5.0])


def test_a_measured_loss_with_an_empty_bin_is_read_linearly():
    class Gap(Probed):
        def weighting(self, edges):
            w, error = super().weighting(edges)
            w[80] = 0
            return w, error

    middles = (Probed().edges()[1:] + Probed().edges()[:-1]) / 2
    values = evaluate(Gap(), middles)
    assert values[80] == 0 and (np.delete(values, 80) > 0).all()


def test_supports_are_those_of_laws_and_bins():
    assert support(dv.objective("vdm")) == pytest.approx((-5, 13.3), abs=0.1)
    assert support(Probed()) == pytest.approx((-3.95, 3.95))
    assert support(np.exp) == support(np.ones(3)) == (-np.inf, np.inf)


def test_a_window_is_the_common_stretch():
    grid = window(dv.objective("fm-ot"), Probed(), low=-1, points=11)
    assert len(grid) == 11
    np.testing.assert_allclose(grid[[0, -1]], [-1, 3.95])
    with pytest.raises(ValueError, match=r"do not overlap: \[5, 20\], "):
        window(Probed(), low=5)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"points": 1}, ValueError, "points must be at least 2"),
        ({"points": 10.0}, TypeError, "points must be a whole number"),
        ({"low": np.nan}, ValueError, "low must be finite"),
        ({"high": "3"}, TypeError, "high must hold real numbers"),
        ({"low": 3, "high": 3}, ValueError, "low must be below high, got low = 3 and high = 3"),
    ],
)
def test_a_window_without_a_meaning_is_refused(options, error, says):
    with pytest.raises(error, match=says):
        window(dv.objective("fm-ot"), **options)


# --- the analysis takes them all ---


def test_every_analysis_takes_a_measured_loss():
    probed, flow = Probed(), dv.objective("fm-ot")
    assert dv.verdict(probed).monotone
    assert dv.compare(probed, flow).deviation < 1e-3
    share = dv.share_below(probed, low=-2, high=2)
    assert share == pytest.approx(dv.share_below(flow, low=-2, high=2), abs=1e-3)
    assert dv.share_below(probed, -5) == 0  # below all bins
    groups = dv.equivalent([probed, flow, dv.objective("edm")], tolerance=1e-2)
    assert [len(group) for group in groups] == [2, 1]


@pytest.mark.parametrize(
    ("ask", "error", "says"),
    [
        (lambda: dv.compare(np.ones(3), np.ones(3)), ValueError, "need their grid"),
        (lambda: dv.equivalent([np.ones(2001)]), ValueError, "need their grid"),
        (lambda: dv.equivalent(dv.catalogue), TypeError, r"objectives\.values\(\)"),
        (lambda: dv.equivalent(dv.objective("edm")), TypeError, "list of objectives"),
        (lambda: dv.equivalent([], tolerance=0), ValueError, "tolerance"),
        (lambda: dv.compare(np.exp, np.exp, tolerance=True), ValueError, "tolerance"),
        (lambda: dv.share_below(np.ones(3)), ValueError, "need their grid"),
        (lambda: dv.share_below("edm"), TypeError, "dv.objective"),
        (lambda: dv.share_below(np.exp, at=np.nan), ValueError, "at must be finite"),
        (lambda: dv.share_below(np.exp, mmse=lambda l: -l), ValueError, "mmse is a squared"),
        (lambda: dv.loss_density(np.exp, [0, 1], lambda l: np.ones(3)), ValueError, "mmse gave"),
        (lambda: dv.loss_density(np.exp, [0, np.nan]), ValueError, "logsnr must be finite"),
        (lambda: dv.verdict(np.exp, [[0, 1]]), ValueError, "1-D"),
        (lambda: dv.verdict(np.exp, [0, 1], lambda l: l * np.nan), ValueError, "information"),
        (lambda: analysis.gaussian_mmse(np.nan), ValueError, "logsnr must not be NaN"),
        (lambda: analysis.gaussian_information(1j), TypeError, "complex"),
    ],
)
def test_the_analysis_refuses_bad_input_with_the_way_out(ask, error, says):
    with pytest.raises(error, match=says):
        ask()


def test_the_ends_of_the_gaussian_curves_are_their_limits():
    np.testing.assert_array_equal(analysis.gaussian_mmse([-np.inf, np.inf]), [0, 1])
    np.testing.assert_array_equal(analysis.gaussian_information([-np.inf, np.inf]), [0, np.inf])


def test_evaluate_inside_is_zero_beyond_the_support():
    values = weightings.evaluate_inside(Probed(), GRID)
    inside = np.abs(GRID) <= 3.95
    assert (values[inside] > 0).all() and not values[~inside].any()
