"""Spectra against fields of known spectrum, and the Gaussian channel against its identities."""

import copy
import pickle
import warnings

import numpy as np
import pytest
from PIL import Image
from scipy import fft, integrate, stats
from scipy.io import wavfile

import diffviz as dv
from diffviz.data import files, signals
from diffviz.perception import sensitivities, spectra

N = 256
FLAT = np.ones_like


def radius(n):
    """Cycles per pixel of each DCT coefficient, inf for the mean."""
    f = np.hypot.outer(np.arange(n), np.arange(n)) / (2 * n)
    f[0, 0] = np.inf
    return f


def fields(beta, m=1, n=N, seed=0):
    """m Gaussian images with power f^−beta."""
    rng = np.random.default_rng(seed)
    return fft.idctn(
        radius(n) ** (-beta / 2) * rng.standard_normal((m, n, n)), axes=(1, 2), norm="ortho"
    )


def power_law(beta=2.52, std=0.5, n=N):
    """Every DCT frequency of an n² image on its own, in the shape of natural images."""
    f, count = np.unique(radius(n), return_counts=True)
    f, count = f[:-1], count[:-1].astype(float)
    power = f**-beta
    return spectra.Spectrum(f, power[None] * (std**2 * n * n / (power @ count)), count)


@pytest.fixture(scope="module")
def picture():
    return power_law()


# ---- measuring a spectrum
@pytest.mark.parametrize("window", [None, "hann"])
def test_white_noise_is_flat_within_its_standard_error(window):
    seen = spectra.image_spectrum(fields(0, m=4), window)
    score = (seen.power - 1) / seen.stderr
    inside = slice(8, None)  # the lowest rings have few coefficients: no Gauss yet
    assert abs(score[inside].mean()) < 4 / np.sqrt(len(score) / 2)
    assert 0.85 < score[inside].std() < 1.15
    assert abs(score).max() < 5


def test_white_sound_is_flat_within_its_standard_error():
    """The lowest frequency is left out: a Hann window without mean lacks a sixth of it."""
    sound = np.random.default_rng(1).standard_normal(2**18)
    seen = spectra.sound_spectrum(sound)
    power = np.ones(len(seen.power))
    power[0] = 5 / 6
    score = (seen.power - power) / seen.stderr
    assert abs(score).max() < 5 and 0.85 < score.std() < 1.15 and abs(score.mean()) < 0.2


def test_rings_hold_all_the_variance_of_a_picture():
    images = fields(2, m=3, n=32)
    seen = spectra.image_spectrum(images)
    assert seen.each.shape == (3, len(seen.frequency))
    assert np.allclose(seen.each @ seen.count, images.var((1, 2)) * 32**2, rtol=1e-12)
    assert seen.count.sum() == 32**2 - 1


def test_ring_averages_are_those_of_a_loop_over_coefficients():
    image = fields(1, n=8)[0]
    power = fft.dctn(image - image.mean(), norm="ortho") ** 2
    rings = {}
    for i in range(8):
        for j in range(8):
            rings.setdefault(round(np.hypot(i, j)), []).append((np.hypot(i, j) / 16, power[i, j]))
    seen = spectra.image_spectrum(image)
    for row, ring in enumerate(sorted(rings)[1:]):
        assert np.mean(rings[ring], axis=0) == pytest.approx(
            [seen.frequency[row], seen.power[row]], rel=1e-12
        )


@pytest.mark.parametrize("window", [None, "hann"])
@pytest.mark.parametrize("beta", [0.0, 1.0, 2.5])
def test_slope_of_a_power_law_lies_in_its_confidence_interval(beta, window):
    images = fields(beta, m=64, n=128, seed=2)
    mean, low, high = spectra.interval(
        spectra.image_spectrum(images, window).slopes(1 / 32, 1 / 4), 0.99
    )
    assert low < beta < high and low < mean < high and high - low < 0.15


def test_slope_of_pink_sound():
    rng = np.random.default_rng(3)
    n = 2**17
    f = fft.rfftfreq(n)
    f[0] = np.inf
    sound = fft.irfft(f**-0.5 * fft.rfft(rng.standard_normal(n)))
    assert spectra.sound_spectrum(sound).slopes()[0] == pytest.approx(1, abs=0.03)


def test_slope_of_an_exact_power_law_is_exact_but_for_the_chi_square(picture):
    many = spectra.Spectrum(picture.frequency, picture.each, picture.count * 1e9)
    assert many.slopes() == pytest.approx([2.52], abs=1e-7)


def test_rings_of_few_coefficients_do_not_bend_the_slope():
    images = fields(2.0, m=4000, n=16, seed=5)
    slopes = spectra.image_spectrum(images).slopes(
        1 / 40, 1 / 4
    )  # from the ring of three coefficients
    assert abs(slopes.mean() - 2) < 4 * slopes.std() / np.sqrt(len(slopes)) < 0.05


def test_octaves_weigh_alike_in_a_slope():
    """Two octaves of slope 3 lie below two of slope 1, so the line has slope 2 by symmetry."""
    f = np.linspace(1, 16, 150001)[1:-1] / 64
    broken = spectra.Spectrum(
        f, np.where(f < 1 / 16, (16 * f) ** -3.0, (16 * f) ** -1.0)[None], np.full(len(f), 1e12)
    )
    assert broken.slopes(0, 1) == pytest.approx([2], abs=1e-3)


def test_the_mean_of_an_image_has_no_part_in_its_spectrum():
    image = fields(2, n=32)[0]
    for window in (None, "hann"):
        bright, dark = (spectra.image_spectrum(image + level, window).power for level in (5.0, 0.0))
        assert np.allclose(bright, dark, rtol=1e-9)


@pytest.fixture(scope="module")
def photos():
    return {name: spectra.image_spectrum(photo) for name, photo in files.load("photos").items()}


def test_slopes_of_the_photographs(photos):
    """Five scenes are near f^−2.7 and three close-ups near f^−1.3: an illustration, not a law."""
    slopes = {name: one.slopes()[0] for name, one in photos.items()}
    scenes = {"camera": 2.71, "astronaut": 2.82, "coffee": 2.89, "chelsea": 2.52, "rocket": 2.32}
    assert slopes == pytest.approx(
        scenes | {"brick": 1.27, "grass": 1.25, "gravel": 1.28}, abs=0.01
    )
    assert spectra.interval(list(slopes.values())) == pytest.approx((2.13, 1.52, 2.75), abs=0.01)
    assert spectra.interval([slopes[name] for name in scenes]) == pytest.approx(
        (2.65, 2.36, 2.94), abs=0.01
    )


@pytest.mark.slow
def test_shares_of_the_loss_below_zero_on_the_photographs(photos):
    """The rule of ``share_below`` agrees with adaptive quadrature over single coefficients."""
    shares = lambda name: [
        dv.share_below(dv.objective(name), mmse=one.mmse) for one in photos.values()
    ]
    ranges = {
        "elbo": (0.003, 0.011),
        "iddpm-cosine": (0.028, 0.072),
        "edm": (0.056, 0.137),
        "fm-ot": (0.154, 0.315),
    }
    for name, ends in ranges.items():
        assert (min(shares(name)), max(shares(name))) == pytest.approx(ends, abs=6e-4)
    picture = signals.samples(files.load("photos")["camera"])
    power = fft.dctn(picture - picture.mean(), norm="ortho").ravel()[1:] ** 2
    spent = lambda l: np.exp(-l / 2) * (power / (power + np.exp(-l))).sum()
    below, above = (integrate.quad(spent, *ends, epsrel=1e-6)[0] for ends in ((-10, 0), (0, 10)))
    assert shares("fm-ot")[0] == pytest.approx(
        below / (below + above), abs=0.03
    )  # rings hold means of power, not each one


def test_interval_is_students():
    values = np.array([2.1, 2.5, 2.3, 2.9])
    mean, low, high = spectra.interval(values)
    half = 3.182446305284263 * values.std(ddof=1) / 2  # t(0.975, 3)
    assert (mean, low, high) == pytest.approx((2.45, 2.45 - half, 2.45 + half), rel=1e-12)
    assert spectra.interval([2.0, 2.0]) == (2.0, 2.0, 2.0)


def test_lower_resolution_drowns_later_by_two_log_of_the_factor():
    images = fields(2.5, m=4)
    fine, coarse = (
        spectra.image_spectrum(x) for x in (images, images.reshape(4, 64, 4, 64, 4).mean((2, 4)))
    )
    lowest = slice(0, 8)  # up to 4 cycles per image: below, pixels' own blur is nil
    assert np.allclose(
        coarse.drowns[lowest] - fine.drowns[lowest],
        spectra.logsnr_shift(resolution=1 / 4),
        atol=0.05,
    )
    assert spectra.logsnr_shift(resolution=1 / 4) == pytest.approx(2.7725887, abs=1e-7)


def test_contrast_shifts_by_two_log_of_the_factor():
    image = fields(2)[0]
    assert np.allclose(
        spectra.image_spectrum(3 * image).drowns - spectra.image_spectrum(image).drowns,
        spectra.logsnr_shift(contrast=3),
        atol=1e-10,
    )


def test_an_octave_is_beta_log_two(picture):
    by = np.interp(np.log([0.05, 0.1]), np.log(picture.frequency), picture.drowns)
    assert np.diff(by)[0] == pytest.approx(2.52 * np.log(2), abs=1e-4)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
def test_integers_mean_their_full_scale(dtype):
    ends = np.array([np.iinfo(dtype).min, np.iinfo(dtype).max], dtype)
    assert signals.samples(ends).tolist() == [-1, 1]
    full = signals.samples(np.linspace(ends[0], ends[1], 64).astype(dtype).reshape(8, 8))
    assert full == pytest.approx(np.linspace(-1, 1, 64).reshape(8, 8), abs=0.01)


# ---- the Gaussian channel
def test_information_grows_by_half_the_mmse(picture):
    area, _ = integrate.quad(picture.mmse, -6, 5, epsabs=0, epsrel=1e-11, limit=200)
    assert area / 2 == pytest.approx(
        float(picture.information(5.0) - picture.information(-6.0)), rel=1e-10
    )


def test_mmse_is_that_of_a_denoiser_on_drawn_data():
    spectrum = power_law(2.0, n=8)
    rng = np.random.default_rng(4)
    logsnr, alpha, sigma = 0.7, np.sqrt(1 / (1 + np.exp(-0.7))), np.sqrt(1 / (1 + np.exp(0.7)))
    power = np.repeat(spectrum.power, spectrum.count.astype(int))
    x, eps = np.sqrt(power) * rng.standard_normal((40000, 63)), rng.standard_normal((40000, 63))
    z = alpha * x + sigma * eps
    eps_hat = sigma * z / (alpha**2 * power + sigma**2)  # E[eps|z] of Gaussian data
    assert float(spectrum.mmse(logsnr)) == pytest.approx(
        ((eps_hat - eps) ** 2).sum(1).mean(), rel=0.01
    )


def test_a_frequency_drowns_where_half_of_it_is_known(picture):
    at = np.array([3, 500, 9000])
    assert np.diag(picture.captured(picture.drowns[at])[:, at]) == pytest.approx(0.5, abs=1e-12)
    assert np.allclose(picture.captured(1.5), np.exp(1.5) * picture.remaining(1.5), rtol=1e-12)


def test_the_channel_keeps_the_shape_of_logsnr_and_is_finite_at_forty(picture):
    rings = spectra.image_spectrum(fields(2.5))
    view = spectra.implied(rings, sensitivities.barten_2004, 30)
    for curve in (rings.mmse, rings.information, *view):
        values = curve(np.array([[-40.0, 0.0, 40.0], [-20.0, 3.0, 20.0]]))
        assert values.shape == (2, 3) and (values > 0).all() and np.isfinite(values).all()
        assert np.shape(curve(0.0)) == ()
    assert rings.remaining(np.zeros((2, 3))).shape == (2, 3, len(rings.frequency))


def test_rings_stand_for_single_coefficients(picture):
    ring = np.rint(picture.frequency * 2 * N).astype(int)
    count = np.bincount(ring, picture.count)[1:]
    mean = lambda x: np.bincount(ring, picture.count * x)[1:] / count
    rings = spectra.Spectrum(mean(picture.frequency), mean(picture.power)[None], count)
    logsnr = np.linspace(-8, 8, 9)
    assert np.allclose(rings.mmse(logsnr), picture.mmse(logsnr), rtol=0.015)
    one, other = (
        spectra.implied(x, sensitivities.mannos_sakrison, 30).rate_distortion(logsnr)
        for x in (rings, picture)
    )
    assert np.allclose(one, other, rtol=0.035)


# ---- implied weightings
@pytest.mark.parametrize("rate", [10, 30, 60])
@pytest.mark.parametrize(
    "curve", [FLAT, *sensitivities.SENSITIVITIES.values(), sensitivities.species("mouse")]
)
def test_rate_distortion_weighting_times_mmse_adds_up_to_the_distortion_removed(
    picture, curve, rate
):
    rings = spectra.image_spectrum(fields(2.5, n=64))
    view = spectra.implied(rings, curve, rate)
    area, _ = integrate.quad(
        lambda l: view.rate_distortion(l) * rings.mmse(l),
        -10,
        10,
        epsabs=0,
        epsrel=1e-12,
        limit=500,
    )
    assert area / 2 == pytest.approx(
        float(view.distortion(-10.0) - view.distortion(10.0)), rel=1e-10
    )


def test_weightings_are_the_ratios_they_are_defined_by(picture):
    view, h = spectra.implied(picture, sensitivities.barten_2004, 30), 1e-4
    slope = lambda f, l: float(f(l + h) - f(l - h)) / (2 * h)
    q = sensitivities.barten_2004(picture.frequency * 30) ** 2 * picture.count
    for l in (-6.0, 0.0, 5.0):
        assert view.rate_distortion(l) == pytest.approx(
            -slope(view.distortion, l) / slope(picture.information, l), rel=1e-6
        )
        assert view.projection(l) == pytest.approx(
            picture.captured(l) @ q / picture.mmse(l), rel=1e-10
        )


def test_weightings_keep_their_digits_until_float64_ends(picture):
    """At high SNR v is e^−λ for each coefficient that has power, so the ratios are averages."""
    rings = spectra.Spectrum(np.array([0.1, 0.2, 0.3]), [[9.0, 0.0, 1e-3]], [2.0, 5.0, 4.0])
    for data in (picture, rings):
        view = spectra.implied(data, sensitivities.barten_2004, 30)
        q = sensitivities.barten_2004(data.frequency * 30) ** 2
        mean = np.average(q, weights=data.count * (data.power > 0))
        levels = np.array([100.0, 330.0, 380.0, 700.0])
        expected = mean * np.exp(-levels)
        np.testing.assert_allclose(view.rate_distortion(levels), 2 * expected, rtol=1e-12)
        np.testing.assert_allclose(view.projection([*levels, 800.0]), mean, rtol=1e-12)
        assert view.rate_distortion(800.0) == 0
        both = view.rate_distortion([0.0, 380.0])
        assert both == pytest.approx([view.rate_distortion(l) for l in (0.0, 380.0)], rel=1e-12)
        assert np.ndim(view.projection(800.0)) == 0
        assert view.rate_distortion([[0.0, 800.0]]).shape == (1, 2)


def test_flat_sensitivity_means_plain_error(picture):
    view, logsnr = spectra.implied(picture, FLAT, 30), np.linspace(-8, 8, 9)
    assert np.allclose(view.projection(logsnr), 1, rtol=1e-12)
    white = spectra.implied(
        spectra.Spectrum(np.array([0.1, 0.2]), np.ones((1, 2)), np.array([2.0, 3.0])), FLAT, 1
    )
    assert np.allclose(
        white.rate_distortion(logsnr), 2 / (1 + np.exp(logsnr)), rtol=1e-12
    )  # 2 v: e^−λ at high SNR


@pytest.mark.parametrize("which", ["rate_distortion", "projection"])
def test_doubling_pixels_per_degree_moves_the_weighting_by_minus_beta_log_two(which):
    """On a power law without ends, doubled frequencies move w(λ) to w(λ − β ln 2)."""
    beta, f = 2.5, np.geomspace(1e-7, 1e12, 40001)
    endless = spectra.Spectrum(
        f, f[None] ** -beta, f**2
    )  # 2-D: as many coefficients as area, f² per step of log f
    near, far = (
        getattr(spectra.implied(endless, sensitivities.barten_2004, rate), which)
        for rate in (60, 30)
    )
    logsnr, shift = np.array([-12.0, -8.0, -4.0]), -beta * np.log(2)
    ratio = near(logsnr + shift) / far(logsnr)
    assert np.ptp(np.log(ratio)) < 1e-4


def test_the_two_definitions_disagree_about_low_snr(picture):
    view = spectra.implied(picture, sensitivities.mannos_sakrison, 30)
    low, high = np.array(-6.0), np.array(2.0)
    assert view.rate_distortion(low) > 10 * view.rate_distortion(high)
    assert view.projection(low) < view.projection(high) / 3


def test_implied_slopes_of_an_image_spectrum_lie_near_flow_matching_in_the_middle(picture):
    """Slopes d ln w/dλ over three ranges on a power law; measured spectra give them to 0.1."""
    measured = {
        FLAT: (-0.96, -0.95, -0.82),
        sensitivities.mannos_sakrison: (-0.57, -0.43, -0.76),
        sensitivities.barten_2004: (-0.18, -0.52, -0.99),
        sensitivities.movshon_kiorpes: (-0.34, -0.56, -0.95),
    }
    knots = np.array([-8.0, -4.0, 2.0, 8.0])
    for curve, wanted in measured.items():
        slopes = np.diff(
            np.log(spectra.implied(picture, curve, 30).rate_distortion(knots))
        ) / np.diff(knots)
        assert slopes[1:] == pytest.approx(wanted[1:], abs=0.02)
        assert slopes[0] == pytest.approx(
            wanted[0], abs=0.12
        )  # a handful of the lowest frequencies


@pytest.mark.parametrize(
    ("curve", "at"),
    [
        (sensitivities.mannos_sakrison, 4.7),
        (sensitivities.barten_2004, 0.8),
        (sensitivities.movshon_kiorpes, 1.4),
    ],
)
def test_projection_rises_to_a_peak(picture, curve, at):
    logsnr = np.linspace(-3, 8, 221)
    assert logsnr[spectra.implied(picture, curve, 30).projection(logsnr).argmax()] == pytest.approx(
        at, abs=0.15
    )


def test_pink_sound_gives_hearing_no_preference_for_low_frequencies():
    f = np.linspace(1, 22050, 4000) / 44100
    pink = spectra.Spectrum(f, f[None] ** -1 / np.mean(1 / f), np.full(len(f), 2.0))
    view = spectra.implied(pink, sensitivities.a_weighting, 44100)
    assert view.projection(np.array([-8.0, 2.0])) == pytest.approx(
        [0.29, 0.71], abs=0.04
    )  # it rises with λ
    assert np.diff(np.log(view.rate_distortion(np.array([4.0, 8.0]))))[0] / 4 == pytest.approx(
        -1, abs=0.02
    )


@pytest.mark.parametrize("which", ["rate_distortion", "projection"])
def test_an_implied_weighting_is_an_objective_like_those_of_the_catalogue(picture, which, tmp_path):
    w = getattr(
        spectra.implied(spectra.image_spectrum(fields(2.5, n=64)), sensitivities.barten_2004, 30),
        which,
    )
    logsnr, o = np.linspace(-8, 8, 33), dv.from_weighting(w, name="Barten 2004, 30 ppd")
    assert np.allclose(o.weighting(logsnr), w(logsnr), rtol=1e-10)
    ax = dv.plots.weighting_curves(logsnr, {"fm-ot": dv.objective("fm-ot"), o.name: o})
    line = next(line for line in ax.lines if line.get_gid() == o.name)
    assert np.allclose(line.get_ydata(), np.log10(w(logsnr) / w(0.0)), atol=1e-10)
    found = dv.verdict(o)
    assert found.monotone == (which == "rate_distortion") and found.w == pytest.approx(
        w(found.logsnr), rel=1e-9
    )
    assert dv.compare(o, w).same and not dv.compare(o, dv.objective("fm-ot")).same
    np.savetxt(
        tmp_path / "w.csv",
        np.column_stack([logsnr, o.weighting(logsnr)]),
        "%.17g",
        ",",
        header="logsnr,w",
        comments="",
    )
    again = dv.from_weighting(tmp_path / "w.csv")
    assert np.allclose(again.weighting(logsnr), w(logsnr), rtol=1e-9)
    assert dv.compare(again, o, logsnr).same


@pytest.mark.slow
def test_a_network_trains_under_an_implied_weighting_down_to_what_no_denoiser_gets_below():
    import torch

    view = spectra.implied(spectra.image_spectrum(fields(2.5, n=64)), sensitivities.barten_2004, 30)
    o = dv.from_weighting(view.rate_distortion, stats.uniform(-8, 16), name="Barten 2004, 30 ppd")
    toy, grid = dv.mixture([[-1.0], [1.0]], 0.05), np.linspace(-8, 8, 161)
    (run,) = dv.fit(
        o, toy.sample(4000, torch.Generator().manual_seed(0)), steps=600, batch=512, progress=False
    )
    floor = np.trapezoid(o.weighting(grid) * toy.mmse(grid), grid) / 2
    prior = 1 + 0.05**2
    linear = prior * np.exp(grid) / (1 + prior * np.exp(grid))  # where training starts
    assert np.trapezoid(o.weighting(grid) * linear, grid) / 2 > 1.05 * floor
    assert run.objective is o
    assert run.loss[-200:].mean() == pytest.approx(floor, rel=0.025)


@pytest.mark.slow
def test_flow_matching_spends_a_quarter_of_its_loss_below_zero_on_image_spectra(picture):
    """Of the spectrum itself, and of 16 images drawn from it within five standard errors."""
    exact = dv.share_below(dv.objective("fm-ot"), mmse=picture.mmse)
    assert exact == pytest.approx(0.238, abs=1e-3)
    rings = spectra.image_spectrum(fields(2.52, m=16, n=N))
    scale = np.sqrt(0.25 * N * N / (rings.power @ rings.count))
    rings = spectra.Spectrum(rings.frequency, rings.each * scale**2, rings.count)
    drawn = dv.share_below(dv.objective("fm-ot"), mmse=rings.mmse)
    assert drawn == pytest.approx(exact, abs=5 * 0.007)


# ---- bad input
IMAGE = fields(1, n=16)[0]


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (np.full((8, 8), 0.3), ValueError, "constant"),
        (np.zeros((8, 8), np.uint8), ValueError, "constant"),
        (np.stack([IMAGE, np.zeros((16, 16))]), ValueError, "constant"),
        (IMAGE[:, :12], ValueError, r"square, got \(16, 12\)"),
        (np.where(IMAGE > 1, np.nan, IMAGE), ValueError, "must be finite, got nan"),
        (np.where(IMAGE > 1, np.inf, IMAGE), ValueError, "must be finite, got inf"),
        (np.zeros((16, 16, 4), np.uint8), ValueError, "drop alpha, average the colours"),
        (np.zeros((16, 16, 3)), ValueError, "average the colours"),
        (np.zeros((16, 16, 16, 3)), ValueError, "grey and square"),
        (np.zeros((0, 16, 16)), ValueError, "none"),
        (np.zeros((0, 0)), ValueError, "none"),
        (np.arange(64).reshape(8, 8), TypeError, "int64 have no known full scale"),
        (IMAGE > 0, TypeError, "bool have no known full scale"),
        (np.full((4, 4), "a"), TypeError, "no known full scale"),
    ],
)
def test_an_image_without_a_spectrum_is_refused(image, error, message):
    with pytest.raises(error, match=message):
        spectra.image_spectrum(image)


def test_a_sixteen_bit_image_has_the_spectrum_of_its_floats():
    grey = (np.clip(IMAGE / 6 + 0.5, 0, 1) * 65535).astype(np.uint16)
    assert np.allclose(
        spectra.image_spectrum(grey).power,
        spectra.image_spectrum(grey / 32767.5 - 1).power,
        rtol=1e-12,
        atol=1e-25,
    )


@pytest.mark.parametrize(
    ("sound", "error", "message"),
    [
        (np.ones((4096, 2)), ValueError, "several channels"),
        (np.zeros(4096, np.int16), ValueError, "not constant"),
        (np.arange(100.0), ValueError, "got 100 samples"),
        (np.where(np.arange(4096) == 7, np.nan, 0.0), ValueError, "got nan"),
        (np.arange(4096, dtype=np.int32), TypeError, "int32 have no known full scale"),
    ],
)
def test_a_sound_without_a_spectrum_is_refused(sound, error, message):
    with pytest.raises(error, match=message):
        spectra.sound_spectrum(sound)


def test_impossible_views_are_refused(picture):
    for rate in (0, -30, np.nan, np.inf):
        with pytest.raises(
            ValueError, match=r"rate \(pixels per degree, or samples per second\) must be"
        ):
            spectra.implied(picture, sensitivities.daly, rate)
    with pytest.raises(ValueError, match="sensitivity must be >= 0"):
        spectra.implied(picture, lambda f: -f, 30)
    with pytest.raises(ValueError, match="positive at one"):
        spectra.implied(picture, np.zeros_like, 30)
    with pytest.raises(ValueError, match="sensitivity must be finite"):
        spectra.implied(picture, lambda f: f * np.nan, 30)
    with pytest.raises(ValueError, match=r"one value a frequency, shape \((\d+),\); got \(\1, 1\)"):
        spectra.implied(picture, lambda f: f[:, None], 30)
    for call in (
        lambda: sensitivities.barten_1999(1.0, luminance=0),
        lambda: sensitivities.barten_2004(1.0, field=-1),
        lambda: sensitivities.daly(1.0, distance=0),
        lambda: sensitivities.pixels_per_degree(0, 1),
        lambda: sensitivities.field_of_view(1, np.nan),
        lambda: spectra.logsnr_shift(resolution=0),
    ):
        with pytest.raises(ValueError, match="must be a finite number > 0"):
            call()


def test_spectra_that_are_none_are_refused(picture):
    f, one = np.array([0.1, 0.2, 0.3]), np.ones(3)
    for frequency, each, count, message in (
        (f[::-1], one[None], one, "must increase"),
        (f - 0.1, one[None], one, "above 0"),
        (f, one, one, "have shapes"),
        (f, one[None], one[:2], "have shapes"),
        (f, -one[None], one, ">= 0"),
        (f, np.stack([one, 0 * one]), one, "constant"),
        (f, np.nan * one[None], one, "finite"),
        (f, np.empty((0, 3)), one, "none"),
        (f, one[None], 0 * one, "count > 0"),
        (f, one[None], np.nan * one, "finite"),
    ):
        with pytest.raises(ValueError, match=message):
            spectra.Spectrum(frequency, each, count)
    with pytest.raises(ValueError, match="at least two"):
        spectra.interval([2.5])
    with pytest.raises(ValueError, match=r"between 0 and 1, such as 0\.95; got 95"):
        spectra.interval([2.5, 2.6], 95)
    with pytest.raises(ValueError, match="widen the band"):
        picture.slopes(0.2, 0.2)
    with pytest.raises(ValueError, match="must be finite"):
        picture.mmse(np.nan)


# ---- files of one's own
GREY = (np.clip(IMAGE / 6 + 0.5, 0, 1) * 255).astype(np.uint8)


def test_a_picture_of_ones_own_is_its_middle_square_in_grey(tmp_path):
    wide = np.hstack([np.zeros((16, 3), np.uint8), GREY, np.full((16, 4), 255, np.uint8)])
    Image.fromarray(wide).save(tmp_path / "grey.png")
    assert np.array_equal(signals.image(tmp_path / "grey.png"), signals.samples(GREY))
    Image.fromarray(np.stack([GREY] * 3, 2)).save(tmp_path / "colour.png")
    assert np.array_equal(signals.image(str(tmp_path / "colour.png")), signals.samples(GREY))
    Image.fromarray(GREY.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    assert np.allclose(signals.image(tmp_path / "deep.png"), signals.samples(GREY), atol=1e-12)
    Image.fromarray(IMAGE.astype(np.float32)).save(tmp_path / "floats.tiff")
    assert np.array_equal(signals.image(tmp_path / "floats.tiff"), IMAGE.astype(np.float32))
    eight, sixteen = (
        spectra.image_spectrum(signals.image(tmp_path / f"{name}.png")).power
        for name in ("grey", "deep")
    )
    assert np.allclose(eight, sixteen, rtol=1e-9)


def test_an_alpha_channel_is_refused_where_it_hides_something(tmp_path):
    clear = np.dstack([GREY] * 3 + [np.full((16, 16), 255, np.uint8)])
    Image.fromarray(clear).save(tmp_path / "opaque.png")
    assert np.array_equal(signals.image(tmp_path / "opaque.png"), signals.samples(GREY))
    clear[0, 0, 3] = 0
    Image.fromarray(clear).save(tmp_path / "alpha.png")
    with pytest.raises(ValueError, match=r"alpha.png has an alpha channel.*save it flat"):
        signals.image(tmp_path / "alpha.png")


def test_a_picture_whose_white_is_not_known_is_refused(tmp_path):
    Image.fromarray(GREY.astype(np.int32) * 1000).save(tmp_path / "ints.tiff")
    with pytest.raises(TypeError, match=r"ints.tiff of type int32 have no known full scale"):
        signals.image(tmp_path / "ints.tiff")


def test_a_damaged_or_boundless_picture_is_refused(tmp_path, monkeypatch):
    noise = np.random.default_rng(6).integers(0, 256, (300, 300), np.uint8)
    Image.fromarray(noise).save(tmp_path / "whole.png")
    whole = (tmp_path / "whole.png").read_bytes()
    assert np.array_equal(signals.image(tmp_path / "whole.png"), signals.samples(noise))
    after = whole.rindex(b"IDAT") - 4  # between two chunks of data, one with a name that is none
    assert whole.count(b"IDAT") == 2
    for some in (whole[: len(whole) // 2], whole[:after] + b"\0\0\0\4????" + whole[after:]):
        (tmp_path / "spoilt.png").write_bytes(some)
        with pytest.raises(ValueError, match=r"cannot read an image from .*spoilt.png"):
            signals.image(tmp_path / "spoilt.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ValueError, match=r"cannot read an image from .*whole.png.*exceeds limit"):
        signals.image(tmp_path / "whole.png")


@pytest.mark.parametrize("at", [4, 16, 20, 22, 36, 200])
def test_a_damaged_sound_is_refused(tmp_path, at):
    """Cut off at a byte, or that byte of the header broken."""
    wavfile.write(tmp_path / "whole.wav", 8000, np.arange(4000, dtype=np.int16))
    whole = (tmp_path / "whole.wav").read_bytes()
    assert len(signals.sound(tmp_path / "whole.wav")[0]) == 4000
    spoilt = [whole[:at]] + [whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :]] * (at < 44)
    for some in spoilt:
        (tmp_path / "spoilt.wav").write_bytes(some)
        with (
            pytest.raises(ValueError, match=r"spoilt.wav"),
            warnings.catch_warnings(action="ignore"),
        ):
            signals.sound(tmp_path / "spoilt.wav")


@pytest.mark.parametrize("door", [signals.image, signals.sound])
def test_a_file_that_is_something_else_is_refused(door, tmp_path):
    (tmp_path / "text.txt").write_text("neither a picture nor a sound")
    for name in ("text.txt", "missing.png"):
        with pytest.raises(ValueError, match=f"cannot read .* from .*{name}"):
            door(tmp_path / name)
    Image.fromarray(GREY[:4]).save(tmp_path / "small.png")
    with pytest.raises(
        ValueError,
        match=r"has \(4, 16\) pixels" if door is signals.image else "cannot read a WAV file",
    ):
        door(tmp_path / "small.png")


@pytest.mark.parametrize(
    ("dtype", "scale"), [("u1", 127), ("i2", 32767), ("i4", 2**31 - 2**8), ("f4", 1), ("f8", 1)]
)
def test_a_sound_of_ones_own_is_read_at_any_depth(dtype, scale, tmp_path):
    tone = 0.9 * np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)
    wavfile.write(
        tmp_path / "a.wav", 8000, (tone * scale + (127.5 if dtype == "u1" else 0)).astype(dtype)
    )
    heard, rate = signals.sound(tmp_path / "a.wav")
    assert rate == 8000 and heard == pytest.approx(tone, abs=0.012 if dtype == "u1" else 1e-4)
    seen = spectra.sound_spectrum(heard)
    assert seen.frequency[seen.power.argmax()] * rate == pytest.approx(440, abs=8000 / 1024)


def test_a_sound_of_two_channels_is_refused(tmp_path):
    wavfile.write(tmp_path / "stereo.wav", 8000, np.zeros((4000, 2), np.int16))
    with pytest.raises(ValueError, match=r"stereo.wav has 2 channels; write one of them"):
        signals.sound(tmp_path / "stereo.wav")


def test_the_projection_of_x_is_the_visible_share_of_an_error_of_x(picture):
    """Times the eps error it is the distortion that is left: a sum over v, not over e^λ v."""
    view = spectra.implied(picture, sensitivities.daly, 30)
    logsnr = np.linspace(-8, 8, 33)
    seen = view.projection_of_x(logsnr) * picture.mmse(logsnr)
    np.testing.assert_allclose(seen, view.distortion(logsnr), rtol=1e-12)


# ---- what crosses processes, and what is no spectrum
def test_implied_weightings_travel(picture):
    view = spectra.implied(picture, sensitivities.daly, 30)
    grid = np.linspace(-8, 8, 9)
    for curve in view:
        for other in (pickle.loads(pickle.dumps(curve)), copy.deepcopy(curve)):
            np.testing.assert_array_equal(other(grid), curve(grid))
    objective = dv.from_weighting(view.projection)
    assert pickle.loads(pickle.dumps(objective)).identity == objective.identity


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda one: spectra.implied("photo", sensitivities.daly, 30), "spectrum must be"),
        (lambda one: spectra.implied(one, 4.0, 30), "sensitivity must be a function"),
        (lambda one: spectra.implied(one, lambda f: f * 1j, 30), "complex"),
        (lambda one: one.mmse("0"), "logsnr must hold real numbers"),
        (lambda one: one.information(np.ma.array([0.0], mask=[True])), "logsnr is a masked"),
        (lambda one: one.slopes(low="low"), "low must hold real numbers"),
        (lambda one: spectra.Spectrum([0.1, 0.2], [["a", "b"]], [1, 1]), "power must hold real"),
        (lambda one: spectra.interval(["a", "b"]), "values must hold real numbers"),
        (lambda one: spectra.sound_spectrum(np.arange(99.0), 8.0), "segment must be a whole"),
    ],
)
def test_what_is_no_number_and_no_curve_is_refused(call, message, picture):
    with pytest.raises(TypeError, match=message):
        call(picture)


def test_a_spectrum_takes_lists_and_integers():
    one = spectra.Spectrum([0.1, 0.2], [[4, 1]], [2, 3])
    assert one.power.tolist() == [4, 1] and one.mmse(0) == pytest.approx(2 * 0.8 + 3 * 0.5)
