"""Densities over log-SNR: mass one, inverses, closed forms, and the samplers of their codes."""

import numpy as np
import pytest
from cells import in_one_test
from numpy import exp, log, pi, sqrt
from paper_losses import truncated_audio
from scipy import stats
from scipy.optimize import elementwise
from scipy.special import expit

import diffviz as dv
from diffviz.theory import atoms, laws, paths
from diffviz.theory.mixed_laws import Mixture
from diffviz.theory.paths import COSINE, LINEAR

TIMES = {
    "logit-normal": laws.logit_normal(0.5, 0.6),
    "mode(1.29)": laws.mode(1.29),
    "mode(-0.5)": laws.mode(-0.5),
    "CosMap": laws.cosmap(),
    "U": laws.u_shaped(4),
    "stretched": laws.stretched(laws.u_shaped(4), 0.1, 0.9),
    "Beta": stats.beta(1.5, 1),
}
LAWS = TIMES | {
    "lower of two": laws.lower_of_two(stats.norm(0.8, 2)),
    "truncated": laws.truncated(stats.norm(1, 2), -3, 2.5),
    "split": laws.split_lognormal_sigma(-1.2, 0.8, 1.6),
    "log-uniform": laws.loguniform_sigma(0.01, 80),
    "log-logistic": laws.loglogistic_sigma(-0.7, 0.5),
    "log-normal": laws.logit_normal_logsnr(-1.2, 1.2),
    "logit-normal λ": laws.logit_normal_logsnr(0.5, 0.6, 3),
    "atoms": laws.atoms([-3.0, 0.0, 0.5, 4.0], [1, 2, 3, 4]),
    "mixture": laws.mixture(
        [stats.norm(-3, 1), stats.uniform(1, 2), stats.norm(5, 0.2)], [3, 1, 2]
    ),
    "blended": laws.blended(stats.norm(1.6, 3.4), 0.02),
    "half blended": laws.blended(stats.logistic(0, 2), 0.5),
    "blended of a cut law": laws.blended(laws.truncated(stats.norm(0, 1), -6, 7), 0.3),
    "squeezed": laws.squeezed(stats.logistic(-1, 2), 0.02, 0.9),
    "squeezed beyond": laws.squeezed(laws.truncated(stats.norm(0, 2), -3, 2), -0.3, 1.2),
    "from an end": laws.truncated(stats.norm(1, 2), -np.inf, 2.5),
}
LAWS |= {
    f"{t} on {path.name}": paths.push_forward(law, path)
    for t, law in TIMES.items()
    for path in (LINEAR, COSINE, paths.vp_linear(), paths.ve(0.01, 50), paths.sub_vp())
}
LAWS |= {f"catalogue: {name}": o.law for name, o in dv.catalogue.items()}
each = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)


@in_one_test
@each
def test_mass_is_one(law):
    tails = 10.0 ** -np.arange(13, 1, -1)
    cuts = np.unique(
        np.concatenate([law.ppf(tails), law.ppf(np.linspace(0.02, 0.98, 49)), law.isf(tails)])
    )
    if hasattr(law.dist, "_hbins"):
        cuts = law.dist._hbins  # its steps
    if isinstance(law.dist, Mixture):  # which may jump where a component ends
        ends = np.ravel([part.support() for part in law.dist.components])
        cuts = np.unique([*cuts, *ends[np.isfinite(ends)]])
    nodes, weights = np.polynomial.legendre.leggauss(40)
    half = np.diff(cuts) / 2
    mass = ((law.pdf(cuts[:-1, None] + half[:, None] * (1 + nodes)) * weights).sum(1) * half).sum()
    assert mass == pytest.approx(1, abs=1e-8)


@in_one_test
@each
def test_quantiles_invert_probabilities(law):
    q = np.concatenate(
        [10.0 ** -np.arange(9, 1, -1), np.linspace(0.02, 0.98, 49), 1 - 10.0 ** -np.arange(2, 9)]
    )
    np.testing.assert_allclose(law.cdf(law.ppf(q)), q, atol=2e-14)
    np.testing.assert_allclose(law.sf(law.isf(q)), q, atol=2e-14)
    np.testing.assert_allclose(law.cdf(law.ppf(q)) + law.sf(law.ppf(q)), 1, atol=1e-14)
    assert (np.diff(law.ppf(q)) >= 0).all()


@in_one_test
@each
def test_ends_are_exact_and_quiet(law):
    low, high = law.support()
    assert low < high
    np.testing.assert_allclose(
        [law.ppf(0), law.ppf(1), law.isf(1), law.isf(0)],
        [low, high, low, high],
        rtol=1e-12,
        atol=1e-12,
    )
    assert (law.cdf([low, high]) == [0, 1]).all() and (law.sf([low, high]) == [1, 0]).all()
    assert (
        not np.isnan(law.pdf([low, high])).any()
        and law.pdf(high + 1.0 if np.isfinite(high) else np.inf) == 0
    )


def spread_over_cells(levels, drawn):
    """Each draw of a level moved at random within the cell of the level."""
    edges = atoms.cell_edges(levels)
    cell = np.searchsorted(levels, drawn)
    assert (levels[cell] == drawn).all()
    return edges[cell] + np.random.default_rng(6).random(len(drawn)) * np.diff(edges)[cell]


@in_one_test
@each
def test_draws_follow_the_law(law):
    first, again = (law.rvs(100, random_state=np.random.default_rng(5)) for _ in range(2))
    assert (first == again).all()
    drawn = law.rvs(4000, random_state=np.random.default_rng(5))
    if atoms.atomic(law) is not None:  # whose draws are levels, and whose quantiles fill cells
        drawn = spread_over_cells(law.dist.levels, drawn)
    assert stats.kstest(drawn, law.cdf).pvalue > 1e-4


# what the codes do with their random numbers, then λ = log(alpha²/sigma²)
def logsnr_of_time(t):
    return -2 * (log(t) - np.log1p(-t))


def split_lognormal(u, n):  # k-diffusion utils.rand_split_log_normal
    n, below = np.abs(n), u < 0.8 / (0.8 + 1.6)
    return exp(np.where(below, n * -0.8 - 1.2, n * 1.6 - 1.2))


def ltx2(u, n):  # ltx_trainer ShiftedLogitNormalTimestepSampler at 4,096 tokens
    low, high = expit(2.05 - 2.5758), expit(2.05 + 3.0902)
    raw = (expit(2.05 + n) - low) / (high - low)
    t = np.clip(np.where(raw >= 1e-3, raw, 2e-3 - raw), 0, 1)
    t = np.where(u > 0.1, t, 1e-3 + (1 - 1e-3) * u / 0.1)
    return logsnr_of_time(t[t < 1])  # the others hold no data


SAMPLERS = {
    "SD3 lognorm(0.5, 0.6)": (
        lambda u, n: logsnr_of_time(expit(0.5 + 0.6 * n)),
        laws.logit_normal_logsnr(0.5, 0.6),
    ),
    "SD3 lognorm(0, 1), shift 3": (
        lambda u, n: logsnr_of_time(3 * expit(n) / (1 + 2 * expit(n))),
        laws.logit_normal_logsnr(0, 1, 3),
    ),
    "SD3 mode(1.29)": (
        lambda u, n: logsnr_of_time(1 - u - 1.29 * (np.cos(pi / 2 * u) ** 2 - 1 + u)),
        paths.push_forward(laws.mode(1.29), LINEAR),
    ),
    "SD3 CosMap": (
        lambda u, n: logsnr_of_time(1 - 1 / (np.tan(pi / 2 * u) + 1)),
        paths.push_forward(laws.cosmap(), LINEAR),
    ),
    "EDM": (lambda u, n: -2 * (1.2 * n - 1.2), laws.logit_normal_logsnr(-1.2, 1.2)),
    "k-diffusion log-logistic": (
        lambda u, n: -2 * (log(0.5) + 0.5 * (log(u) - np.log1p(-u))),
        laws.loglogistic_sigma(log(0.5), 0.5),
    ),
    "k-diffusion log-uniform": (
        lambda u, n: -2 * (log(0.01) + u * log(80 / 0.01)),
        laws.loguniform_sigma(0.01, 80),
    ),
    "k-diffusion split log-normal": (
        lambda u, n: -2 * log(split_lognormal(u, n)),
        laws.split_lognormal_sigma(-1.2, 0.8, 1.6),
    ),
    "pi0": (lambda u, n: logsnr_of_time(0.999 * u ** (1 / 1.5) + 0.001), dv.objective("pi0").law),
    "DDPM": (
        lambda u, n: (lambda b: -b - log(-np.expm1(-b)))(0.1 * u + 9.95 * u**2),
        dv.objective("ddpm-linear").law,
    ),
    "iDDPM": (lambda u, n: -2 * log(np.tan(pi / 2 * u)), dv.objective("iddpm-cosine").law),
    "SimpleFold": (
        lambda u, n: -logsnr_of_time(0.98 * expit(0.8 + 1.7 * n) + 0.02 * u),
        dv.objective("simplefold-as-coded").law,
    ),
    "Stable Audio": (
        lambda u, n: logsnr_of_time(truncated_audio(u)),
        dv.objective("stable-audio-trunc-logit-normal").law,
    ),
    "musubi-tuner qinglong": (
        lambda u, n: np.where(u < 0.8, 2 * n - 2.3, np.where(u < 0.875, n, 5.36 + n)),
        dv.objective("musubi-qinglong-flux").law,
    ),
    "LTX-2": (ltx2, dv.objective("ltx2-trainer-4096").law),
}


@pytest.mark.parametrize(("sampler", "law"), SAMPLERS.values(), ids=SAMPLERS)
def test_the_codes_own_sampler_draws_from_the_law(sampler, law):
    rng = np.random.default_rng(3)
    drawn = sampler(rng.random(40_000), rng.standard_normal(40_000))
    assert stats.kstest(drawn, law.cdf).pvalue > 1e-3


def test_the_push_forward_meets_the_closed_forms():
    l = np.linspace(-25, 25, 301)
    uniform = stats.uniform()
    np.testing.assert_allclose(
        paths.push_forward(uniform, LINEAR).pdf(l), stats.logistic(scale=2).pdf(l), rtol=1e-12
    )
    np.testing.assert_allclose(
        paths.push_forward(uniform, COSINE).pdf(l), 1 / np.cosh(l / 2) / (2 * pi), rtol=1e-12
    )
    pushed = paths.push_forward(laws.logit_normal(0.5, 0.6), LINEAR)
    np.testing.assert_allclose(
        pushed.pdf(l[abs(l + 1) < 10]), stats.norm.pdf(l[abs(l + 1) < 10], -1, 1.2), rtol=1e-7
    )
    np.testing.assert_allclose(
        paths.push_forward(laws.cosmap(), LINEAR).pdf(l),
        stats.hypsecant(scale=2).pdf(l),
        rtol=1e-10,
    )
    assert stats.logistic(scale=2).std() == pytest.approx(2 * pi / sqrt(3)) and stats.hypsecant(
        scale=2
    ).std() == pytest.approx(pi)
    assert paths.push_forward(laws.cosmap(), LINEAR).std() == pytest.approx(pi, abs=1e-6)


@pytest.mark.parametrize(("scale", "at_half"), [(1.29, 3.793), (0.81, 1.860), (-0.54, 0.764)])
def test_mode_densities_at_one_half(scale, at_half):
    law, t = laws.mode(scale), np.linspace(0.01, 0.99, 99)
    assert law.pdf(0.5) == pytest.approx(at_half, abs=5.1e-4)
    np.testing.assert_allclose(law.pdf(t), law.pdf(1 - t), rtol=1e-9)


def test_mode_1_75_has_a_spike_and_mode_0_is_uniform():
    assert laws.mode(1.75).pdf(0.5) == pytest.approx(904, abs=0.5)
    np.testing.assert_allclose(laws.mode(0).pdf([0.1, 0.7]), 1)


def test_mode_minus_1_is_the_arcsine_law():
    t = np.linspace(0.001, 0.999, 99)
    np.testing.assert_allclose(laws.mode(-1).cdf(t), stats.arcsine.cdf(t), rtol=1e-9)
    np.testing.assert_allclose(laws.mode(-1).pdf(t), stats.arcsine.pdf(t), rtol=1e-9)


def test_cosmap_is_the_known_density():
    np.testing.assert_allclose(laws.cosmap().pdf([0, 0.5, 1]), [2 / pi, 4 / pi, 2 / pi], rtol=1e-12)


def test_logit_normal_is_sd3s_formula():
    t = np.linspace(0.01, 0.99, 99)
    z = (log(t / (1 - t)) - 0.5) / 0.6
    np.testing.assert_allclose(
        laws.logit_normal(0.5, 0.6).pdf(t),
        exp(-(z**2) / 2) / (0.6 * sqrt(2 * pi)) / (t * (1 - t)),
        rtol=1e-11,
    )


def test_the_u_shape_is_cosh():
    t = np.linspace(0, 1, 101)
    np.testing.assert_allclose(
        laws.u_shaped(4).pdf(t) / laws.u_shaped(4).pdf(0.5),
        np.cosh(4 * (t - 0.5)),
        rtol=1e-12,
    )


def test_the_noisier_of_two_draws_has_the_known_mean():
    law, rng = laws.lower_of_two(stats.norm(0.8, 2)), np.random.default_rng(0)
    assert law.mean() == pytest.approx(0.8 - 2 / sqrt(pi), abs=1e-7)  # −0.33
    assert stats.kstest(rng.normal(0.8, 2, (40_000, 2)).min(1), law.cdf).pvalue > 1e-3


def test_a_truncated_law_ends_where_it_is_cut_even_far_out_in_a_tail():
    law = laws.truncated(stats.norm(10, 1), -5, 20)  # sf(−5) rounds to 1
    assert law.support() == (-5, 20)
    assert laws.truncated(stats.uniform(0, 1), -5, 0.5).support() == (0, 0.5)
    np.testing.assert_allclose(law.pdf([-5, 9, 20]), stats.norm(10, 1).pdf([-5, 9, 20]))


@pytest.mark.parametrize("a", np.linspace(0.5, 10, 60))
def test_a_u_shaped_law_lives_on_the_unit_interval_exactly(a):
    law = laws.u_shaped(a)
    assert law.support() == (0, 1)
    paths.push_forward(law, COSINE)


def test_a_truncated_law_is_the_conditioned_one():
    law, plain = laws.truncated(stats.norm(1, 2), -3, 2.5), stats.truncnorm(-2, 0.75, 1, 2)
    np.testing.assert_allclose(law.pdf([-2.9, 0, 2.4]), plain.pdf([-2.9, 0, 2.4]), rtol=1e-12)
    assert law.support() == pytest.approx((-3, 2.5)) and law.pdf(2.6) == 0


@in_one_test
@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: paths.push_forward(stats.norm(), LINEAR), r"\[0, 1\]"),
        (lambda: paths.push_forward(stats.uniform(0, 1.1), LINEAR), r"\[0, 1\]"),
        (lambda: laws.logit_normal(0, 0), "std"),
        (lambda: laws.logit_normal_logsnr(0, -1), "std"),
        (lambda: laws.logit_normal_logsnr(0, 1, 0), "shift"),
        (lambda: laws.logit_normal_logsnr(0, np.nan), "std"),
        (lambda: laws.loglogistic_sigma(0, 0), "scale"),
        (lambda: laws.loguniform_sigma(1, 1), "high/low"),
        (lambda: laws.loguniform_sigma(0, 1), "low"),
        (lambda: laws.split_lognormal_sigma(0, 0, 1), "below"),
        (lambda: laws.split_lognormal_sigma(0, 1, 0), "above"),
        (lambda: laws.split_lognormal_sigma(np.nan, 1, 1), "mean must be finite"),
        (lambda: laws.mode(1.76), "not monotone"),
        (lambda: laws.mode(-1.1), "not monotone"),
        (lambda: laws.mode(np.nan), "mode scale"),
        (lambda: laws.u_shaped(0), "a must"),
        (lambda: laws.stretched(stats.uniform(), 1, 1), "high - low"),
        (lambda: laws.truncated(stats.uniform(), 2, 3), "mass"),
        (lambda: laws.truncated(stats.norm(), 2, 1), "mass"),
        (lambda: laws.truncated(stats.norm(), np.nan, 1), "low must be finite"),
        (lambda: laws.mixture([], []), "shares are 0 numbers"),
        (lambda: laws.mixture([stats.norm()], [0.5, 0.5]), "shares are 1 numbers"),
        (lambda: laws.mixture([stats.norm()], [0]), "shares are 1 numbers above 0"),
        (
            lambda: laws.mixture([stats.norm(), laws.atoms([0, 1])], [1, 1]),
            r"components\[1\].*levels",
        ),
        (lambda: laws.blended(stats.norm(), 0), "share"),
        (lambda: laws.blended(stats.norm(), 1), "at 1 take"),
        (lambda: laws.blended(laws.atoms([0, 1]), 0.1), "levels"),
        (lambda: laws.atoms([1, 0, 1]), r"got \[1.0\] again: give each level once"),
        (lambda: laws.atoms([2.0]), "must be two levels or more"),
        (lambda: laws.squeezed(stats.norm(), 0.5, 0.5), "high - low"),
        (lambda: laws.squeezed(stats.norm(), -0.1, 1), "outside"),
        (lambda: laws.squeezed(laws.atoms([0, 1]), 0, 0.9), "levels"),
    ],
)
def test_bad_values_are_refused_by_name(make, says):
    with pytest.raises(ValueError, match=says):
        make()


@pytest.mark.parametrize("scale", [-0.9, 0.5, 1.29, 1.75])
def test_a_root_search_agrees_with_scipy(scale):
    time = laws.ModeTime(scale)
    t = np.linspace(0, 1, 41)[1:-1]
    bracket = (np.zeros_like(t), np.ones_like(t))
    expected = elementwise.find_root(lambda w, t: time.forward(w) - t, bracket, args=(t,)).x
    np.testing.assert_allclose(time.inverse(t), expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(time.inverse(np.array([[0.0], [1.0]])), [[0.0], [1.0]], atol=1e-15)


def test_a_root_search_survives_flat_and_steep_maps():
    """A cubic that is flat in the middle, and a logit that is infinite at both ends."""
    x = np.array([0.01, 0.4, 0.5, 0.5001, 0.99])

    def cubic(u):
        return (u - 0.5) ** 3, 3 * (u - 0.5) ** 2

    def logit(u):
        return np.log(u / (1 - u)), 1 / (u * (1 - u))

    for curve, tolerance in ((cubic, 1e-5), (logit, 1e-13)):
        root = laws.inverted(curve, curve(x)[0], start=np.full(5, 0.9))
        np.testing.assert_allclose(root, x, rtol=0, atol=tolerance)


@pytest.mark.parametrize("method", ["pdf", "cdf", "sf", "ppf", "isf"])
def test_values_inside_the_support_are_as_in_scipy(method):
    """The short way past SciPy's checks, against SciPy's own methods."""
    law = laws.truncated(laws.stretched(laws.logit_normal(0.2, 0.7), -3, 4), -1, 2.5)
    values = (
        np.linspace(0.01, 0.99, 25) if method in ("ppf", "isf") else np.linspace(-0.99, 2.4, 25)
    )
    expected = getattr(stats.rv_continuous, method)(law.dist, values)
    result = getattr(law, method)(values)
    np.testing.assert_array_equal(result, expected)
    beyond = np.array([-50.0, 0.5, 50.0, np.nan])
    expected = getattr(stats.rv_continuous, method)(law.dist, beyond)
    np.testing.assert_array_equal(getattr(law, method)(beyond), expected)
    np.testing.assert_array_equal(getattr(law, method)(0.5), expected[1])


@in_one_test
@pytest.mark.parametrize(
    "law", [*LAWS.values(), stats.uniform(-2, 5), stats.gamma(2.0), stats.t(3, loc=1, scale=2)]
)
def test_the_density_is_that_of_scipy_inside_the_support_and_outside(law):
    inside = law.ppf(np.linspace(0.01, 0.99, 25))
    np.testing.assert_array_equal(laws.density(law, inside), law.pdf(inside))
    beyond = np.array([-300.0, -2.0, 0.5, 3.0, 300.0, np.nan])
    np.testing.assert_array_equal(laws.density(law, beyond), law.pdf(beyond))


def test_the_density_of_several_laws_at_once_is_that_of_scipy():
    several = stats.norm([0.0, 1.0], [1.0, 2.0])
    at = np.array([0.5, 0.7])
    np.testing.assert_array_equal(laws.density(several, at), several.pdf(at))
    np.testing.assert_array_equal(laws.quantile(several, at), several.ppf(at))


@in_one_test
@pytest.mark.parametrize(
    "law", [*LAWS.values(), stats.uniform(-2, 5), stats.gamma(2.0), stats.t(3, loc=1, scale=2)]
)
def test_quantiles_are_those_of_scipy_inside_the_unit_interval_and_outside(law):
    inside = np.linspace(0.01, 0.99, 24).reshape(2, 12)
    if atoms.atomic(law) is not None:  # whose quantiles to train at are levels
        assert np.isin(laws.quantile(law, inside), law.dist.levels).all()
        return
    np.testing.assert_array_equal(laws.quantile(law, inside), law.ppf(inside))
    beyond = np.array([-0.1, 0.0, 0.5, 1.0, 1.5, np.nan])
    np.testing.assert_array_equal(laws.quantile(law, beyond), law.ppf(beyond))


@pytest.mark.parametrize("scale", [1.03, 1.2, 1.41])
def test_the_mode_law_ends_at_0_and_1_where_rounding_would_go_beyond(scale):
    assert laws.ModeTime(scale).forward(1.0) > 1
    assert laws.mode(scale).support() == (0, 1)
    assert paths.push_forward(laws.mode(scale), paths.LINEAR).support() == (-np.inf, np.inf)
