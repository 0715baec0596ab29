"""Losses that are not squared: their slope by several routes, its limits, and its uses."""

import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from numpy import exp, log, pi, sqrt
from scipy import integrate, stats
from scipy.special import erf, expit

import diffviz as dv
from diffviz.theory import losses
from diffviz.theory.analysis import gaussian_mmse
from diffviz.theory.paths import COSINE, LINEAR

KINDS = {"huber": losses.huber, "pseudo-huber": losses.pseudo_huber, "log-cosh": losses.log_cosh}
MEANS = np.array([1e-4, 0.03, 0.5, 1.0, 4.0, 300.0])
GRID = np.linspace(-8, 8, 65)
each = pytest.mark.parametrize("kind", KINDS)


def value(kind, r, delta):
    """The loss once more, as its source states it."""
    if kind == "huber":
        return np.where(r <= delta, r**2, 2 * delta * r - delta**2)
    if kind == "pseudo-huber":
        return 2 * delta * (sqrt(r**2 + delta**2) - delta)
    return 2 * delta**2 * log(np.cosh(r / delta))


def expected(kind, mean_square, delta, components):
    """E ρ(r) of a Gaussian error, by adaptive quadrature over its length."""
    scale = sqrt(mean_square)
    law = stats.chi(components)

    def integrand(r):
        return value(kind, scale * r, delta) * law.pdf(r)

    top = law.isf(1e-18)
    knots = [point for point in (delta / scale,) if 0 < point < top]
    return integrate.quad(integrand, 0, top, points=knots, epsabs=0, epsrel=1e-12, limit=400)[0]


@each
@pytest.mark.parametrize("components", [1, 2, 7])
@pytest.mark.parametrize("delta", [0.4, 1.7])
def test_the_slope_is_the_derivative_of_the_expected_loss(kind, components, delta):
    """d E ρ/d(d m), by differences of the expected loss at four points."""
    slope = KINDS[kind](delta, components).slope(MEANS)
    for mean_square, got in zip(MEANS, slope, strict=True):
        step = 1e-2 * mean_square
        at = [expected(kind, mean_square + k * step, delta, components) for k in (-2, -1, 1, 2)]
        derivative = (at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * step) / components
        assert got == pytest.approx(derivative, rel=3e-7)


def test_hubers_slope_of_one_component_is_the_probability_of_a_small_error():
    """Half the average curvature: 1 inside the threshold, 0 beyond it."""
    m = np.geomspace(1e-6, 1e6, 61)
    got = losses.huber(0.7).slope(m)
    np.testing.assert_allclose(got, erf(0.7 / sqrt(2 * m)), rtol=1e-12)


@pytest.mark.parametrize("components", [1, 2, 5, 30])
def test_pseudo_hubers_slope_is_tricomis_function(components):
    mpmath = pytest.importorskip("mpmath")  # SciPy's function loses digits where p + ½ is whole
    m = np.geomspace(1e-3, 1e3, 21)
    p = components / 2 + 1
    at = [mpmath.mpf(0.3**2 / (2 * one)) for one in m]
    expected_slope = [float(x**p * mpmath.hyperu(p, p + 0.5, x)) for x in at]
    got = losses.pseudo_huber(0.3, components).slope(m)
    np.testing.assert_allclose(got, expected_slope, rtol=1e-11)


def test_log_coshs_slope_of_one_component_is_the_average_of_sech_squared():
    """Half the average curvature, by Gauss and Hermite's rule."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(160)
    for m in (0.01, 0.3, 1.0, 3.0):
        curvature = np.cosh(sqrt(m) * nodes / 1.3) ** -2.0
        average = weights @ curvature / sqrt(2 * pi)
        assert losses.log_cosh(1.3).slope(m) == pytest.approx(average, rel=1e-7)


@each
@pytest.mark.parametrize("components", [1, 3, 4096])
def test_small_errors_are_squared_and_large_ones_absolute(kind, components):
    loss = KINDS[kind](2.0, components)
    assert loss.slope(1e-9 / components) == pytest.approx(1, abs=1e-9)
    assert loss.slope(0.0) == 1
    m = 1e10
    length = stats.chi(components).mean()  # of an error with unit components
    absolute = 2.0 * length / (sqrt(m) * components)
    assert loss.slope(m) == pytest.approx(absolute, rel=1e-4)
    m = np.geomspace(1e-8, 1e8, 200)
    slope = loss.slope(m)
    assert (np.diff(slope) <= 1e-15).all() and (slope > 0).all() and (slope <= 1).all()


@each
def test_of_many_components_the_length_is_certain(kind):
    """φ tends to ρ'(r)/(2r) at r² = d m."""
    components, delta = 10**6, 30.0
    m = np.array([1e-5, 9e-4, 0.04])
    r = sqrt(components * m)
    step = 1e-4 * r
    derivative = (value(kind, r + step, delta) - value(kind, r - step, delta)) / (2 * step)
    got = KINDS[kind](delta, components).slope(m)
    np.testing.assert_allclose(got, derivative / (2 * r), rtol=2e-3)


@each
def test_the_loss_is_that_of_its_source(kind):
    r = np.concatenate([[0.0], np.geomspace(1e-5, 50, 40)])
    np.testing.assert_allclose(KINDS[kind](0.8)(r), value(kind, r, 0.8), rtol=1e-7, atol=1e-15)


@each
@pytest.mark.parametrize("delta", [1e-300, 1e-160, 1e-9, 1e9, 1e160, 1e300])
def test_thresholds_of_any_size_keep_the_digits_of_the_loss(kind, delta):
    """By mpmath; of log-cosh by its exponentials, where cosh itself is too large."""
    mpmath = pytest.importorskip("mpmath")
    for length in (0.0, 1e-150, 1e-9, 0.3, 1e3, 1e150):
        with mpmath.workdps(1000):
            r, d = mpmath.mpf(length), mpmath.mpf(delta)
            forms = {
                "huber": r**2 if r <= d else 2 * d * r - d**2,
                "pseudo-huber": 2 * d * (mpmath.sqrt(r**2 + d**2) - d),
                "log-cosh": 2 * d**2 * (r / d + mpmath.log((1 + mpmath.exp(-2 * r / d)) / 2)),
            }
            truth = float(forms[kind])
        assert KINDS[kind](delta)(length) == pytest.approx(truth, rel=1e-9, abs=1e-300)


@each
@pytest.mark.parametrize("components", [1, 3])
def test_thresholds_of_any_size_keep_the_digits_of_the_slope(kind, components):
    """Far below the error φ is δ E r/(d m), and far above it 1."""
    m = np.array([1e-280, 1e-9, 1.0, 1e9, 1e280])
    absolute = stats.chi(components).mean() / components / sqrt(m)
    tiny = KINDS[kind](1e-160, components).slope(m[1:])
    np.testing.assert_allclose(tiny, 1e-160 * absolute[1:], rtol=1e-9)
    tiniest = KINDS[kind](1e-300, components).slope(m[:-1])
    np.testing.assert_allclose(tiniest, 1e-300 * absolute[:-1], rtol=1e-9)
    np.testing.assert_allclose(KINDS[kind](1e300, components).slope(m), 1, rtol=1e-12)


@each
def test_where_the_threshold_is_0_to_float64_so_is_the_slope(kind):
    assert (KINDS[kind](1e-320).slope([1.0, 1e300]) < 1e-300).all()


@pytest.mark.parametrize("components", [19_998, 20_002, 10**7, 10**15])
def test_the_length_of_an_error_of_many_components_keeps_its_digits(components):
    """E χ_d by mpmath, in the slope far beyond the threshold."""
    mpmath = pytest.importorskip("mpmath")
    half = mpmath.mpf(components) / 2
    with mpmath.workdps(60):
        mean = mpmath.sqrt(2) * mpmath.exp(mpmath.loggamma(half + 0.5) - mpmath.loggamma(half))
        exact = float(mean / components)
    got = losses.huber(1e-6, components).slope(1.0)
    assert got == pytest.approx(1e-6 * exact, rel=1e-10)


def test_a_loss_beyond_float64_is_refused():
    with pytest.raises(ValueError, match="the loss leaves float64 at the length 1e\\+200"):
        losses.log_cosh(1e250)([1.0, 1e200])


def test_torch_and_kohya_have_these_losses():
    torch = pytest.importorskip("torch")
    pair = torch.linspace(-3, 3, 61, dtype=torch.float64), torch.zeros(61, dtype=torch.float64)
    r = np.abs(pair[0].numpy())
    huber = torch.nn.functional.huber_loss(*pair, reduction="none", delta=0.6)
    np.testing.assert_allclose(losses.huber(0.6)(r), 2 * huber.numpy(), rtol=1e-12)
    smooth = torch.nn.functional.smooth_l1_loss(*pair, reduction="none", beta=0.6)
    np.testing.assert_allclose(losses.huber(0.6)(r) / 0.6, 2 * smooth.numpy(), rtol=1e-12)
    c = 0.1  # sd-scripts: 2 c (sqrt((pred − target)² + c²) − c)
    kohya = 2 * c * (torch.sqrt((pair[0] - pair[1]) ** 2 + c**2) - c)
    np.testing.assert_allclose(losses.pseudo_huber(c)(r), kohya.numpy(), rtol=1e-9, atol=1e-15)


@each
def test_the_gradient_of_a_training_loss_is_that_of_the_weighted_square(kind):
    """Of the size of many errors, at one level: by autograd, on the quantiles of a Gaussian."""
    torch = pytest.importorskip("torch")
    delta, size = 0.5, 0.8
    q = torch.from_numpy(stats.norm.ppf((np.arange(200_000) + 0.5) / 200_000))
    scale = torch.tensor(size, dtype=torch.float64, requires_grad=True)
    r = (scale * q).abs()
    forms = {
        "huber": torch.where(r <= delta, r**2, 2 * delta * r - delta**2),
        "pseudo-huber": 2 * delta * (torch.sqrt(r**2 + delta**2) - delta),
        "log-cosh": 2 * delta**2 * torch.log(torch.cosh(r / delta)),
    }
    forms[kind].mean().backward()
    squared = 2 * size * (q**2).mean().item()
    weight = KINDS[kind](delta).slope(size**2)
    assert scale.grad.item() == pytest.approx(weight * squared, rel=2e-4)


# --- thresholds ---


def test_thresholds_are_kohyas():
    t = np.linspace(0.001, 0.999, 101)
    l = COSINE.logsnr(t)
    least, scale = 0.2, 1.5
    alpha = -log(least)
    np.testing.assert_allclose(
        losses.exponential(COSINE, least, scale)(l), exp(-alpha * t) * scale, rtol=1e-9
    )
    bar = expit(l)
    sigmas = sqrt((1 - bar) / bar)
    np.testing.assert_allclose(
        losses.by_snr(least)(l), (1 - least) / (1 + sigmas) ** 2 + least, rtol=1e-12
    )
    np.testing.assert_allclose(losses.ConstantThreshold(0.3)(l), 0.3)


# --- with_loss ---


@each
def test_a_weighting_with_a_loss_is_the_squared_one_times_the_slope(kind):
    objective = dv.objective("sd3")
    loss = KINDS[kind](losses.by_snr(0.1))
    changed = dv.with_loss(objective, loss, gaussian_mmse)
    m = (1 + exp(-GRID / 2)) ** 2 * expit(GRID)  # of the velocity, on N(0, 1)
    expected_ratio = loss.slope(m, GRID)
    np.testing.assert_allclose(
        changed.weighting(GRID) / objective.weighting(GRID), expected_ratio, rtol=1e-12
    )
    assert changed.law is objective.law and changed.name == f"sd3, {kind}"
    assert changed.stated is None and "errors given" in changed.note


def test_small_errors_leave_the_objective_as_it_is():
    objective = dv.objective("edm")
    changed = dv.with_loss(objective, "huber", lambda logsnr: 1e-12 * np.ones_like(logsnr))
    np.testing.assert_allclose(changed.weighting(GRID), objective.weighting(GRID), rtol=1e-9)
    assert dv.compare(changed, objective).same


def test_large_errors_make_flow_matching_an_absolute_loss():
    """φ = δ sqrt(2/(π m)), so that w falls by half a nat less for each nat of the error."""
    flow = dv.objective("fm-ot")
    changed = dv.with_loss(flow, losses.pseudo_huber(1e-5), gaussian_mmse)
    m = (1 + exp(-GRID / 2)) ** 2 * expit(GRID)
    expected_ratio = 1e-5 * sqrt(2 / (pi * m))
    np.testing.assert_allclose(
        changed.weighting(GRID) / flow.weighting(GRID), expected_ratio, rtol=1e-4
    )


def test_errors_come_as_a_function_a_pair_or_a_tracker():
    objective = dv.objective("fm-ot")
    edges = np.linspace(-6, 6, 25)
    middle = (edges[1:] + edges[:-1]) / 2
    mean = 3 * gaussian_mmse(middle)
    pair = dv.with_loss(objective, "huber", (middle, mean), components=3)
    function = dv.with_loss(objective, "huber", gaussian_mmse)
    np.testing.assert_allclose(pair.factor(middle), function.factor(middle), rtol=1e-12)
    holes = np.where(np.arange(24) % 5 == 2, np.nan, mean)
    tracked = SimpleNamespace(middle=middle, mean=np.array([holes, np.full(24, np.nan)]))
    partly = dv.with_loss(objective, "huber", tracked, components=3)
    seen = np.isfinite(holes)
    np.testing.assert_allclose(partly.factor(middle[seen]), function.factor(middle[seen]))
    between = middle[2] + 0.1
    geometric = exp(np.interp(between, middle[seen], log(mean[seen])))
    assert losses.errors_of(tracked)(between) == pytest.approx(geometric)
    np.testing.assert_allclose(losses.errors_of((middle, mean))([-50, 50]), mean[[0, -1]])


def test_a_tracker_of_a_training_serves_as_it_is():
    tracker = dv.LossByLogSNR(np.linspace(-4, 4, 9), decay=0.9)
    logsnr = np.repeat(tracker.middle, 3)
    tracker.update(logsnr, 2 * gaussian_mmse(logsnr))
    measured = dv.with_loss(dv.objective("edm"), losses.huber(0.5), tracker, components=2)
    known = dv.with_loss(dv.objective("edm"), losses.huber(0.5), gaussian_mmse)
    at = tracker.middle
    np.testing.assert_allclose(measured.factor(at), known.factor(at), rtol=1e-6)


@each
def test_what_is_made_pickles_and_trains(kind):
    loss = KINDS[kind](losses.exponential(LINEAR, 0.1), components=2)
    changed = dv.with_loss(dv.objective("fm-ot"), loss, (GRID, gaussian_mmse(GRID)))
    again = pickle.loads(pickle.dumps(changed))
    np.testing.assert_array_equal(again.factor(GRID), changed.factor(GRID))
    assert again.identity == changed.identity != dv.objective("fm-ot").identity
    logsnr, factor = changed.draw(64, np.random.default_rng(0))
    np.testing.assert_allclose(factor, changed.factor(logsnr))


def test_no_error_has_no_slope_and_a_function_may_return_one_number():
    assert losses.huber().slope([]).shape == (0,)
    assert losses.huber()([]).shape == (0,)
    np.testing.assert_array_equal(
        losses.huber(lambda l: 0.5).slope([0.1, 1.0], [0.0, 3.0]), losses.huber(0.5).slope([0.1, 1])
    )


def with_huber(errors):
    """EDM with Huber's loss."""
    return dv.with_loss(dv.objective("edm"), "huber", errors)


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: losses.huber(0.0), ValueError, "threshold must be a finite number > 0"),
        (lambda: losses.huber("1"), ValueError, "threshold must be a finite number"),
        (lambda: losses.pseudo_huber(1.0, 0), ValueError, "components"),
        (lambda: losses.by_snr(1.5), ValueError, "least"),
        (lambda: losses.by_snr(0.0), ValueError, "least"),
        (lambda: losses.exponential(COSINE, 0.0), ValueError, "least"),
        (lambda: losses.exponential("cosine"), TypeError, "path"),
        (lambda: losses.huber().slope(-1.0), ValueError, "mean_square must be >= 0, got -1"),
        (lambda: losses.huber()(-1.0), ValueError, "length must be >= 0, got -1"),
        (lambda: dv.with_loss("edm", "huber", gaussian_mmse), TypeError, "objective must be one"),
        (lambda: dv.with_loss(dv.objective("edm"), "hubr", gaussian_mmse), ValueError, "huber"),
        (lambda: dv.with_loss(dv.objective("edm"), 1.0, gaussian_mmse), TypeError, "dv.losses"),
        (lambda: dv.with_loss(dv.objective("edm"), "huber", 1.0), TypeError, "errors must be"),
        (
            lambda: dv.with_loss(dv.objective("edm"), "huber", ([0, 1], [1, 0])),
            ValueError,
            "above 0",
        ),
        (lambda: dv.with_loss(dv.objective("edm"), "huber", ([0, 1], [1])), ValueError, "shape"),
        (
            lambda: dv.with_loss(dv.objective("edm"), "huber", ([1, 0], [1, 1])),
            ValueError,
            "increas",
        ),
        (
            lambda: dv.with_loss(dv.objective("edm"), "huber", dv.LossByLogSNR([0.0, 1.0])),
            ValueError,
            "seen no level",
        ),
        (
            lambda: dv.with_loss(with_huber(gaussian_mmse), "log-cosh", gaussian_mmse),
            ValueError,
            "'edm, huber' has another loss already",
        ),
        (lambda: with_huber(lambda l: -gaussian_mmse(l)).factor(0.0), ValueError, "returns -0.5"),
        (lambda: with_huber(lambda l: l * np.nan).factor(0.0), ValueError, "errors returns"),
        (
            lambda: with_huber(lambda l: np.ones(3)).factor([0.0, 1.0]),
            ValueError,
            r"errors returns the shape \(3,\)",
        ),
        (lambda: losses.huber(lambda l: l - 1).slope(1.0, 0.5), ValueError, "above 0 for each"),
        (lambda: losses.huber(lambda l: 0 * l)(1.0), ValueError, "above 0 for each"),
        (lambda: losses.huber(lambda l: l * np.nan)(1.0), ValueError, "threshold returns"),
        (lambda: losses.huber(lambda l: "wide")(1.0), TypeError, "threshold returns"),
        (lambda: losses.huber(lambda l: np.ones(3))([1.0, 2.0]), ValueError, "above 0 for each"),
        (lambda: losses.huber()([1.0, 2.0, 3.0], [0.0, 1.0]), ValueError, "do not go together"),
        (lambda: losses.ErrorLoss("hubr", np.ones_like), ValueError, "did you mean 'huber'"),
        (lambda: losses.ErrorLoss("huber", 0.5), TypeError, "threshold must be a function of λ"),
        (lambda: losses.ErrorLoss("huber", np.ones_like, 0), ValueError, "components"),
    ],
)
def test_bad_arguments_are_refused_by_name(make, error, says):
    with pytest.raises(error, match=says):
        make()
