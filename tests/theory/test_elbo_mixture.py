"""A weighted loss as a signed mixture of ELBOs, and its gain, by second routes."""

import numpy as np
import pytest
from cells import in_one_test
from scipy.integrate import quad
from scipy.special import expit

import diffviz as dv
from diffviz.data import toys
from diffviz.theory.elbo_mixture import gain, masses

W = dict(dv.catalogue)


def information(logsnr):
    return np.logaddexp(0, logsnr) / 2


def both(found, error, level):
    return found.mass @ error(found.logsnr) / 2, found.lump @ level(found.level)


@in_one_test
@pytest.mark.parametrize("name", W)
def test_the_signed_mixture_is_the_weighted_loss_on_a_gaussian(name):
    direct, signed = both(masses(W[name]), expit, information)
    assert signed == pytest.approx(direct, rel=1e-9)


@pytest.fixture(scope="module", params=["gmm1", "ring8"])
def curves(request):
    """e(λ) from Cov[eps|z] and L(λ) = I(x; z_λ) from the entropy of z, as Chebyshev series."""
    toy, d = toys.toy(request.param), toys.toy(request.param).law.means.shape[1]
    noise = lambda level: d / 2 * np.log(2 * np.pi * np.e * expit(-level))
    fit = lambda f: np.polynomial.Chebyshev.interpolate(f, 110, [-6, 8])
    return fit(toy.mmse), fit(
        lambda levels: np.array([toy.entropy(one) for one in levels]) - noise(levels)
    )


@pytest.mark.slow
def test_the_signed_mixture_is_the_weighted_loss_on_mixtures_for_the_whole_catalogue(curves):
    for name, one in W.items():
        direct, signed = both(masses(one, -6, 8), *curves)
        assert signed == pytest.approx(direct, rel=1e-9), name


@pytest.mark.parametrize(
    "name", ["min-snr-5-eps", "laplace-eps", "edm-monotonic", "vdm-discrete", "pd-truncated-snr"]
)
def test_kinks_and_jumps_are_found(name):
    grid = np.linspace(-20, 20, 400_001)
    middle = (grid[1:] + grid[:-1]) / 2
    slow = (W[name].weighting(middle) * expit(middle)).sum() * (grid[1] - grid[0])
    found = masses(W[name])
    assert found.mass @ expit(found.logsnr) == pytest.approx(slow, rel=2e-5)
    assert len(found.mass) < 100_000


def test_the_loss_of_min_snr_has_the_value_of_adaptive_quadrature():
    f = lambda level: W["min-snr-5-eps"].weighting(level).item() * expit(level) / 2
    whole = sum(
        quad(f, *ends, epsabs=1e-12, limit=200)[0] for ends in ((-20, np.log(5)), (np.log(5), 20))
    )
    found = masses(W["min-snr-5-eps"])
    assert found.mass @ expit(found.logsnr) / 2 == pytest.approx(whole, abs=1e-9)


def test_a_jump_down_leaves_one_lump_that_is_not_negative():
    found = masses(lambda level: 2.0 - (level > 0.3))
    level, rest = found.level[1:], found.lump[1:]
    assert rest.min() > -1e-9
    assert rest[np.abs(level - 0.3) < 1e-6].sum() == pytest.approx(1, abs=1e-9)
    assert rest[-1] == pytest.approx(1, abs=1e-9)  # what is left at the end of the range


class InBins:
    """A measured loss with the weighting 1 + λ² in bins of three nats."""

    kind = "eps"
    discrete = False

    def edges(self, bins=160, mass=0.998):
        return np.arange(-9.0, 10.0, 3.0)

    def weighting(self, edges):
        middles = (edges[1:] + edges[:-1]) / 2
        return 1 + middles**2, np.zeros_like(middles)


def test_a_measured_weighting_has_its_kinks_at_the_middles_of_its_bins():
    """Log w is linear between them, and the mean of w the logarithmic mean of its ends."""
    places = np.array([-6, -4.5, -1.5, 1.5, 4.5, 6])  # the outermost bins only support the curve
    middles = np.arange(-7.5, 8, 3)
    w = np.exp(np.interp(places, middles, np.log(1 + middles**2)))
    rise = np.diff(np.log(w))
    means = np.where(rise == 0, w[1:], np.diff(w) / np.where(rise == 0, 1, rise))
    found = masses(InBins())
    assert found.mass.sum() == pytest.approx(means @ np.diff(places), rel=1e-9)
    assert len(found.mass) < 12 * 60


@pytest.mark.parametrize(
    "name", ["fm-ot", "v-cosine", "sigmoid-bias2", "vdm-discrete", "edm-monotonic"]
)
def test_a_falling_weighting_leaves_a_law_of_noise(name):
    found = masses(W[name])
    rest = found.lump[1:]
    assert (rest >= -1e-9 * rest.sum()).all()
    assert rest.sum() == pytest.approx(
        -found.lump[0], rel=1e-9
    )  # w(low): what the probabilities are divided by


@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("iddpm-cosine", 0.0375),
        ("edm", 0.0029),
        ("sd3", 0.0051),
        ("min-snr-5-eps", 0.0567),
        ("p2-gamma1", 0.0407),
    ],
)
def test_where_w_rises_the_mixture_is_negative_by_the_share_of_the_verdict(name, share):
    found = masses(W[name])
    terms = (found.lump * information(found.level))[1:]
    negative = -terms[terms < 0].sum() / terms[terms > 0].sum()
    assert negative == pytest.approx(share, abs=1e-4)
    assert negative == pytest.approx(dv.verdict(W[name]).negative_share, abs=1e-4)


@pytest.mark.parametrize(
    ("w", "scale", "closed"),
    [
        (np.ones_like, 1, 1),
        (np.ones_like, 0.01, 1),
        (W["fm-ot"], 1, np.pi / 2),
        (W["fm-ot"], 0.01, 0.1 * np.pi / 2),
        (W["iddpm-cosine"], 1, 1 / 4),
        (W["sit-linear-eps"], 1, None),
        (lambda l: np.cosh(l / 4) ** -2 / 4, 1, 1 - np.pi / 4),
        (W["sd3"], 1, 1.7412642741),
        (W["edm"], 1, 1.0976336759),
        (lambda l: expit(2 - l), 1, None),
        (W["min-snr-5-eps"], 0.3, None),
    ],
)
def test_the_gain_has_its_closed_form_or_that_of_adaptive_quadrature(w, scale, closed):
    if closed is None:
        curve = lambda level: float(w.weighting(level) if hasattr(w, "weighting") else w(level))
        f = lambda level: (
            curve(level) * expit(level + np.log(scale)) * expit(-level - np.log(scale))
        )
        closed = sum(
            quad(f, *ends, epsabs=1e-11, limit=300)[0]
            for ends in ((-50, 0), (0, np.log(5)), (np.log(5), 50))
        )
    assert gain(w, scale) == pytest.approx(closed, abs=1e-6)


def test_the_gain_is_what_the_loss_makes_of_a_moved_gaussian():
    """N(0, c) against N(m, c) for single x, by 200,000 draws of level and noise."""
    rng, c, m = np.random.default_rng(0), 0.5, 0.7
    level, factor = W["sd3"].draw(200_000, rng)
    alpha, sigma, eps = expit(level) ** 0.5, expit(-level) ** 0.5, rng.standard_normal(200_000)
    error = lambda x, mean: (
        (sigma * (alpha * (x - mean) + sigma * eps) / (c * alpha**2 + sigma**2) - eps) ** 2
    )
    for x in (-1.0, 0.3):
        gap = factor * (error(x, 0) - error(x, m))
        ratio = (x**2 - (x - m) ** 2) / (2 * c)
        assert abs(gap.mean() - gain(W["sd3"], c) * ratio) < 4 * gap.std() / len(gap) ** 0.5


@pytest.mark.parametrize("name", ["fm-ot", "sd3", "min-snr-5-eps"])
def test_gains_at_many_scales_are_the_single_ones_and_the_integral(name):
    scales = np.logspace(-4, 1, 6).reshape(2, 3)
    found = masses(W[name], -60, 60).gain(scales)
    assert found.shape == scales.shape
    assert masses(W[name]).gain([]).shape == (0,)
    logsnr = np.linspace(-60, 60, 240_001)
    for c, one in zip(scales.ravel(), found.ravel(), strict=True):
        slope = expit(logsnr + np.log(c)) * expit(-logsnr - np.log(c))
        weight = W[name].weighting(logsnr)
        assert one == pytest.approx(gain(W[name], c), rel=1e-12)
        assert one == pytest.approx(np.trapezoid(weight * slope, logsnr), rel=1e-6)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: masses(W["fm-ot"], 3, 3), "low must be below high, got low = 3 and high = 3"),
        (lambda: masses(lambda l: np.ones_like(l), 5, -5), "low must be below high"),
        (lambda: masses(lambda l: -np.ones_like(l)), ">= 0"),
        (lambda: masses(lambda l: np.full_like(l, np.nan)), "finite"),
        (lambda: masses(lambda l: 1 + np.modf(np.sin(l) * 1e9)[0] ** 2), "noise at every scale"),
        (lambda: gain(W["fm-ot"], 0), "scale"),
        (lambda: masses(W["fm-ot"]).gain([1.0, -2.0]), "scale must be > 0, got -2"),
        (lambda: masses(W["fm-ot"]).gain(np.nan), "scale must be finite"),
    ],
)
def test_bad_input_is_refused_with_the_way_out(make, says):
    with pytest.raises(ValueError, match=says):
        make()
