"""An objective: w = 2 c gain² p in every base, unbiased draws, families, and what is refused."""

import numpy as np
import pytest
from cells import in_one_test
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy import exp, log
from scipy import integrate, stats
from scipy.special import expit

import diffviz as dv
from diffviz.theory import analysis, families, multipliers, paths
from diffviz.theory.families import FAMILIES
from diffviz.theory.objectives import Objective, from_weighting
from diffviz.theory.paths import COSINE, LINEAR
from diffviz.theory.targets import EPS, U, X

GRID = np.linspace(-12, 12, 241)


def make(**changes):
    return Objective(
        **{
            "name": "mine",
            "family": "test",
            "year": 0,
            "source": "here",
            "path": LINEAR,
            "target": EPS,
        }
        | changes
    )


def test_weighting_is_two_c_gain_squared_p():
    o = make(target=X, multiplier=lambda l: exp(l) + 3, law=stats.norm(1, 2))
    np.testing.assert_allclose(
        o.weighting(GRID), 2 * (exp(GRID) + 3) * exp(-GRID) * stats.norm(1, 2).pdf(GRID), rtol=1e-12
    )
    np.testing.assert_allclose(o.factor(GRID), (exp(GRID) + 3) * exp(-GRID), rtol=1e-12)


def test_time_is_uniform_on_the_path_unless_said():
    assert make().law is LINEAR.schedule
    np.testing.assert_allclose(
        make(path=COSINE).weighting(GRID), 1 / np.cosh(GRID / 2) / np.pi, rtol=1e-12
    )


def test_weighting_keeps_the_shape_and_ends_with_the_support():
    o = dv.objective("vdm")
    assert (
        o.weighting(0.0).shape == ()
        and o.weighting(np.zeros((2, 3))).shape == (2, 3)
        and o.weighting([]).shape == (0,)
    )
    np.testing.assert_array_equal(o.weighting([-5.1, 13.31, -40.0]), 0)
    np.testing.assert_allclose(o.weighting([-5.0, 13.3]), 2, rtol=1e-9)


@pytest.mark.parametrize("name", ["fm-ot", "iddpm-cosine", "edm", "sd3", "v-linear"])
def test_base_switch_divides_by_the_gain_of_the_base(name):
    o = dv.objective(name)
    grid = GRID[o.law.support()[0] < GRID]
    eps = o.weighting(grid)
    np.testing.assert_allclose(o.weighting(grid, base="x"), eps * exp(grid), rtol=1e-12)
    np.testing.assert_allclose(o.weighting(grid, base="v"), eps / (1 + exp(-grid)), rtol=1e-12)
    np.testing.assert_allclose(
        o.weighting(grid, base="u"), eps / (1 + exp(-grid / 2)) ** 2, rtol=1e-12
    )


def test_flow_matching_in_three_bases():
    o = dv.objective("fm-ot")
    np.testing.assert_allclose(o.weighting(GRID), exp(-GRID / 2), rtol=1e-12)
    np.testing.assert_allclose(o.weighting(GRID, base="x"), exp(GRID / 2), rtol=1e-12)
    np.testing.assert_allclose(o.weighting(GRID, base="u"), 2 * o.law.pdf(GRID), rtol=1e-12)


@pytest.mark.parametrize("stratified", [True, False])
@pytest.mark.parametrize(
    "name",
    [
        "edm",
        "sd3",
        "min-snr-5-v",
        "vdm-discrete",
        "score-sde-subvp",
        "meanflow-as-coded",
        "kdiff-split-lognormal-karras",
        "jit",
    ],
)
def test_draws_estimate_the_loss(name, stratified):
    o, n = dv.objective(name), 40_000
    logsnr, factor = o.draw(n, np.random.default_rng(7), stratified)
    assert logsnr.shape == factor.shape == (n,) and logsnr.dtype == factor.dtype == np.float64
    error = exp(-((logsnr - 0.5) ** 2) / 8)  # ‖eps_hat − eps‖² at each draw
    low, high = np.maximum(o.law.support()[0], -14), np.minimum(o.law.support()[1], 15)
    grid = np.linspace(low, high, 60_001)
    middle = (grid[1:] + grid[:-1]) / 2
    loss = 0.5 * (o.weighting(middle) * exp(-((middle - 0.5) ** 2) / 8)).mean() * (high - low)
    spread = (factor * error).std() / np.sqrt(n)
    assert abs((factor * error).mean() - loss) < (0.05 if stratified else 4) * spread
    np.testing.assert_allclose(factor, o.factor(logsnr), rtol=0)


def test_stratified_draws_put_one_in_each_share_of_probability_in_mixed_order():
    o = dv.objective("edm")
    logsnr, _ = o.draw(1000, np.random.default_rng(0))
    np.testing.assert_array_equal(
        np.sort(np.floor(o.law.cdf(logsnr) * 1000 + 1e-9)), np.arange(1000)
    )
    assert abs(np.corrcoef(logsnr, np.arange(1000))[0, 1]) < 0.1
    plain, _ = o.draw(1000, np.random.default_rng(0), stratified=False)
    assert len(np.unique(np.floor(o.law.cdf(plain) * 1000))) < 700


def test_the_same_seed_draws_the_same_bytes():
    one, two, other = (
        dv.objective("sd3").draw(64, np.random.default_rng(s))[0].tobytes() for s in (3, 3, 4)
    )
    assert one == two != other


@in_one_test
@pytest.mark.parametrize("name", list(dv.catalogue))
def test_every_entry_can_be_drawn_from(name):
    logsnr, factor = dv.objective(name).draw(500, np.random.default_rng(1))
    low, high = dv.objective(name).law.support()
    assert np.isfinite(logsnr).all() and (logsnr >= low).all() and (logsnr <= high).all()
    assert np.isfinite(factor).all() and (factor >= 0).all()


def test_a_loss_does_not_depend_on_the_density_it_is_sampled_with():
    target = lambda l: exp(-l / 2)
    for density in (stats.hypsecant(scale=2), stats.uniform(-14, 28), stats.norm(0, 3)):
        o = from_weighting(target, density)
        logsnr, factor = o.draw(200_000, np.random.default_rng(2))
        assert (factor * expit(logsnr)).mean() == pytest.approx(np.pi / 2, rel=5e-3)
        np.testing.assert_allclose(o.weighting(GRID), exp(-GRID / 2), rtol=1e-11)


def test_an_objective_from_a_table_stays_on_the_table():
    rows = np.column_stack([np.linspace(-3, 5, 50), expit(2 - np.linspace(-3, 5, 50))])
    o = from_weighting(rows)
    assert (
        o.law.support() == pytest.approx((-3, 5)) and o.weighting(5.01) == o.weighting(-3.01) == 0
    )
    np.testing.assert_allclose(o.weighting(rows[1:-1, 0]), rows[1:-1, 1], rtol=1e-10)
    with pytest.raises(ValueError, match="nothing is extrapolated"):
        from_weighting(rows, stats.norm())


@pytest.mark.parametrize("law", [stats.uniform(-4, 6), stats.uniform(0, 6), stats.uniform(-4, 10)])
def test_a_law_may_not_reach_beyond_either_end_of_a_table(law):
    rows = np.column_stack([np.linspace(-3, 5, 50), np.ones(50)])
    with pytest.raises(ValueError, match=r"reaches outside .* \[-3, 5\]"):
        from_weighting(rows, law)
    assert from_weighting(rows, stats.uniform(-3, 8)).law.support() == (-3, 5)


SAME = {
    "flow logit-normal": ("sd3-shift3", {"mean": 0, "std": 1, "shift": 3}),
    "flow uniform t": ("fm-shift3", {"shift": 3}),
    "flow mode": ("sd3-mode-1.29", {"scale": 1.29}),
    "EDM": ("edm2", {"mean": -0.4, "std": 1.0}),
    "sigmoid": ("sigmoid-bias2", {"bias": 2}),
    "Min-SNR": ("min-snr-5-x", {"gamma": 5}),
    "soft-Min-SNR": ("soft-min-snr-4", {"gamma": 4}),
    "P2": ("p2-gamma0.5", {"gamma": 0.5}),
    "Laplace": ("laplace-eps", {"scale": 0.5}),
    "cosine shifted": ("simple-diffusion-shifted-cosine-eps", {"shift": 4}),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_meets_the_catalogue_and_builds_over_its_whole_slider(name):
    entry, values = SAME[name]
    assert dv.compare(FAMILIES[name].build(**values), dv.objective(entry)).deviation < 1e-9
    family = FAMILIES[name]
    ends = np.array([[low, start, high] for _, start, low, high, _ in family.parameters])
    for column in range(3):
        o = family.build(
            **{p[0]: v for p, v in zip(family.parameters, ends[:, column], strict=True)}
        )
        grid = analysis.window(o, low=-15, high=15, points=301)
        assert np.isfinite(o.weighting(grid)).all()
        if o.stated is not None:
            w, stated = o.weighting(grid), o.stated(grid)
            ratio = (w / np.where(w > 1e-250, stated, np.nan))[w > 1e-250]
            np.testing.assert_allclose(ratio, ratio[0], rtol=1e-9)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_member_of_a_family_names_no_paper_and_no_year(name):
    made = FAMILIES[name].build()
    assert (made.family, made.year, made.source) == ("parametric", 0, "parametric family")
    assert made.note == ""


PUBLISHED = {  # defaults that a paper gave are those of its entry
    "edm": families.edm,
    "sd3": families.flow,
    "fm-ot": families.flow_uniform,
    "min-snr-5-x": families.min_snr,
    "soft-min-snr-4": families.soft_min_snr,
    "p2-gamma1": families.p2,
    "sd3-mode-1.29": families.mode,
    "laplace-eps": families.laplace,
}


@pytest.mark.parametrize("entry", PUBLISHED)
def test_the_defaults_of_a_family_are_those_of_the_paper(entry):
    assert dv.compare(PUBLISHED[entry](), dv.objective(entry)).deviation < 1e-9


@pytest.mark.parametrize(
    ("entry", "make"),
    [
        ("min-snr-5-eps", multipliers.min_snr),
        ("soft-min-snr-4", multipliers.soft_min_snr),
        ("p2-gamma1", multipliers.p2),
        ("debiased-cosine", multipliers.debiased),
        ("edm", multipliers.edm),
        ("edm-monotonic", multipliers.edm_monotonic),
    ],
)
def test_the_defaults_of_a_multiplier_are_those_of_the_paper(entry, make):
    assert dv.objective(entry).multiplier == make()


def test_the_defaults_of_edm_are_those_of_its_table_1():
    """P_mean = −1.2, P_std = 1.2 and sigma_data = 0.5, in the law of sigma and in the weight."""
    sigma = np.array([0.01, 0.3, 4.0])
    logsnr = -2 * log(sigma)
    by_hand = exp(-((log(sigma) + 1.2) ** 2) / (2 * 1.2**2)) * (sigma**2 + 0.25) / 0.25
    assert np.ptp(families.edm().weighting(logsnr) / by_hand) < 1e-9
    np.testing.assert_allclose(paths.edm().schedule.mean(), 2.4)
    np.testing.assert_allclose(
        dv.multipliers.edm()(logsnr), (sigma**2 + 0.25) / (0.5 * sigma) ** 2, rtol=1e-12
    )


@given(st.floats(-2, 2), st.floats(0.3, 2), st.floats(0.3, 5))
@settings(deadline=None, max_examples=40)
def test_logit_normal_flow_is_normal_in_logsnr_for_all_parameters(mean, std, shift):
    o = families.flow(mean, std, shift)
    l = o.law.mean() + o.law.std() * np.linspace(-4, 4, 41)
    z = (l + 2 * mean + 2 * log(shift)) / (2 * std)
    expected = exp(-(z**2) / 2) / (2 * std * np.sqrt(2 * np.pi)) * 2 * (1 + exp(-l / 2)) ** 2
    np.testing.assert_allclose(o.weighting(l), expected, rtol=1e-9)


@given(st.floats(0.1, 10), st.floats(0.1, 10))
@settings(deadline=None, max_examples=30)
def test_time_shifts_compose(one, two):
    twice = paths.shifted(paths.shifted(LINEAR, one), two)
    o = make(path=LINEAR, target=U, law=twice.schedule)
    assert dv.compare(o, families.flow_uniform(one * two)).deviation < 1e-9


def test_expected_losses_come_from_the_density_too():
    o = dv.objective("sd3")
    by_density = o.law.expect(lambda l: o.factor(l) * expit(l), lb=-40, ub=40)
    by_weight = integrate.quad(lambda l: float(o.weighting(l)) * expit(l) / 2, -40, 40)[0]
    assert by_density == pytest.approx(by_weight, rel=1e-8)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, [0.0, np.nan]])
def test_a_level_that_is_not_finite_is_refused(bad):
    with pytest.raises(ValueError, match="logsnr must be finite"):
        dv.objective("edm").weighting(bad)


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf])
def test_a_multiplier_that_is_negative_or_not_finite_is_refused_where_it_is(value):
    o = make(multiplier=lambda l: np.where(l > 1, value, 1.0))
    assert (o.weighting([-1.0, 0.5]) > 0).all()
    with pytest.raises(ValueError, match=r"mine: multiplier .* of the eps target .* at logsnr 2"):
        o.weighting([0.0, 2.0])
    with pytest.raises(ValueError, match="finite and >= 0"):
        o.draw(1000, np.random.default_rng(0))


@pytest.mark.parametrize("density", [stats.norm(), stats.uniform(-6, 3), stats.uniform(10, 4)])
def test_a_density_outside_its_paths_range_is_refused(density):
    with pytest.raises(
        ValueError, match=r"only on\s+\[-5, 13.3\]; truncate the density or take another path"
    ):
        make(path=paths.uniform_logsnr(-5, 13.3), law=density)
    assert make(path=paths.uniform_logsnr(-5, 13.3), law=stats.uniform(-5, 18.3)).weighting(0.0) > 0


@in_one_test
@pytest.mark.parametrize(
    ("act", "says"),
    [
        (lambda: dv.objective("edm").weighting(0.0, base="score"), "unknown base 'score'"),
        (lambda: dv.objective("edm").draw(0, np.random.default_rng()), "at least 1"),
        (lambda: from_weighting([[1.0], [2.0]]), "two columns"),
        (lambda: from_weighting(lambda l: -1 + 0 * l).weighting(0.0), ">= 0"),
        (lambda: families.flow(0, 0), "std"),
        (lambda: families.flow(0, 1, -1), "shift"),
        (lambda: families.flow_uniform(0), "shift"),
        (lambda: families.edm(sigma_data=0), "sigma_data"),
        (lambda: families.edm(std=-1), "std"),
        (lambda: families.sigmoid(np.nan), "bias"),
        (lambda: families.min_snr(0), "gamma"),
        (lambda: families.soft_min_snr(-1), "gamma"),
        (lambda: families.p2(0), "gamma"),
        (lambda: families.mode(5), "not monotone"),
        (lambda: families.laplace(0, 0), "scale"),
        (lambda: families.cosine(0), "shift"),
    ],
)
def test_bad_values_are_refused_by_name(act, says):
    with pytest.raises(ValueError, match=says):
        act()


def test_a_law_around_nan_is_refused():
    for build in (
        lambda: families.flow(np.nan),
        lambda: families.edm(np.nan),
        lambda: families.laplace(np.nan),
    ):
        with pytest.raises(ValueError, match="nan"):
            build()


def test_repr_names_target_path_and_source():
    assert repr(dv.objective("edm")).startswith(
        "Objective('edm': x target, EDM(-1.2, 1.2) path, Karras et al. 2022"
    )


@pytest.mark.parametrize(
    ("n", "rng"),
    [(0, np.random.default_rng(0)), (2.5, np.random.default_rng(0)), (3, None), (3, 0)],
)
def test_draw_refuses_what_is_no_number_or_no_generator(n, rng):
    with pytest.raises((TypeError, ValueError), match=r"n must be|default_rng"):
        dv.objective("edm").draw(n, rng)


def test_a_logsnr_at_which_the_factor_overflows_is_named():
    with pytest.raises(ValueError, match="logsnr -1500"):
        dv.objective("fm-ot").weighting([-1500.0])


@pytest.mark.parametrize(
    "bad", [{"w": lambda l: 1.0}, {"w": lambda l: np.ones(3)}, {"w": np.exp, "law": "norm"}]
)
def test_a_weighting_or_density_of_the_wrong_kind_is_refused_when_built(bad):
    with pytest.raises((TypeError, ValueError), match=r"frozen SciPy dist|one value for each λ"):
        from_weighting(**bad)


@pytest.mark.parametrize("name", ["cauchy-eps", "laplace-eps", "edm", "fm-ot"])
def test_every_draw_has_a_factor_also_far_out(name):
    logsnr, factor = dv.objective(name).draw(8192, np.random.default_rng(0))
    assert np.isfinite(logsnr).all() and np.isfinite(factor).all() and (factor >= 0).all()
