"""Paths against the papers' own alpha(t) and sigma(t), their ends, inverses and derivatives."""

import warnings

import numpy as np
import pytest
from cells import in_one_test
from hypothesis import given
from hypothesis import strategies as st
from numpy import cos, exp, hypot, log, pi, sin, sqrt
from scipy import stats
from scipy.special import expit, logit, ndtri

import diffviz as dv
from diffviz.theory import frames, laws, paths
from diffviz.theory.frames import VP
from diffviz.theory.paths import LINEAR, Path

INNER = np.concatenate(
    [np.logspace(-9, -2, 29), np.linspace(0.02, 0.98, 97), 1 - np.logspace(-2, -9, 29)]
)


def vp(t, low=0.1, high=20.0):
    b = low * t + (high - low) * t**2 / 2
    return exp(-b / 2), sqrt(-np.expm1(-b))


def ldm(t):
    start, slope = sqrt(0.00085), sqrt(0.012) - sqrt(0.00085)
    b = 1000 * (start**2 * t + start * slope * t**2 + slope**2 * t**3 / 3)
    return exp(-b / 2), sqrt(-np.expm1(-b))


def cosine(t, s=0.0, normalise=True):
    first, passed = s / (1 + s) * pi / 2, t / (1 + s) * pi / 2
    top = cos(first) if normalise else 1.0
    squares = sin(passed) * sin(passed + 2 * first) if normalise else sin(passed + first) ** 2
    return sin((1 - t) / (1 + s) * pi / 2) / top, sqrt(squares) / top


def ztsnr(t):
    start, last = 1.0, ldm(1.0)[0]
    gap = ldm(t)[1] ** 2 / (1 + ldm(t)[0]) / (1 - last)
    return (ldm(t)[0] - last) * start / (start - last), sqrt(gap * (2 - gap))


def sigmoid(t):
    span = expit(3) - expit(-3)
    return sqrt((expit(3) - expit(6 * t - 3)) / span), sqrt((expit(6 * t - 3) - expit(-3)) / span)


def from_logsnr(l):
    return sqrt(expit(l)), sqrt(expit(-l))


# path, alpha and sigma as the paper has them, λ at t = 0 and at t = 1
CASES: dict[str, tuple] = {
    "linear": (LINEAR, lambda t: (1 - t, t), np.inf, -np.inf),
    "cosine": (paths.COSINE, cosine, np.inf, -np.inf),
    "GVP": (paths.GVP, cosine, np.inf, -np.inf),
    "cosine, s": (paths.cosine(0.008), lambda t: cosine(t, 0.008), np.inf, -np.inf),
    "cosine, s, not normalised": (
        paths.cosine(0.008, normalise=False),
        lambda t: cosine(t, 0.008, False),
        8.769,
        -np.inf,
    ),
    "VP": (paths.vp_linear(), vp, np.inf, -10.049957),
    "scaled-linear": (paths.scaled_linear(), ldm, np.inf, -5.343145),
    "zero-SNR": (paths.zero_terminal_snr(paths.scaled_linear()), ztsnr, np.inf, -np.inf),
    "sub-VP": (paths.sub_vp(), lambda t: (vp(t)[0], vp(t)[1] ** 2), np.inf, -10.049914),
    "VE": (paths.ve(0.01, 50), lambda t: (1 + 0 * t, 0.01 * 5000**t), 9.210340, -7.824046),
    "VDM": (paths.uniform_logsnr(-5, 13.3), lambda t: from_logsnr(13.3 - 18.3 * t), 13.3, -5),
    "EDM": (paths.edm(), lambda t: (1 + 0 * t, exp(-1.2 + 1.2 * ndtri(t))), np.inf, -np.inf),
    "Karras": (
        paths.karras(),
        lambda t: (1 + 0 * t, (0.002 ** (1 / 7) + t * (80 ** (1 / 7) - 0.002 ** (1 / 7))) ** 7),
        12.429216,
        -8.764053,
    ),
    "sigmoid": (paths.sigmoid(), sigmoid, np.inf, -np.inf),
    "polynomial": (paths.power(2), lambda t: ((1 - t) ** 2, t * (2 - t)), np.inf, -np.inf),
    "square root": (
        paths.power(0.5),
        lambda t: (sqrt(1 - t), t / (1 + sqrt(1 - t))),
        np.inf,
        -np.inf,
    ),
    "linear VP": (paths.linear_vp(), lambda t: (1 - t, sqrt(t * (2 - t))), np.inf, -np.inf),
    "I-CFM": (paths.icfm(0.1), lambda t: (1 - t, hypot(t, 0.1)), 4.605170, -np.inf),
    "sigma_min": (
        paths.sigma_min_path(1e-4),
        lambda t: (1 - t, 1e-4 + (1 - 1e-4) * t),
        18.420681,
        -np.inf,
    ),
    "shifted": (
        paths.shifted(LINEAR, 3),
        lambda t: ((1 - t) / (1 + 2 * t), 3 * t / (1 + 2 * t)),
        np.inf,
        -np.inf,
    ),
    "restricted": (
        paths.restricted(LINEAR, 1e-3, 1 - 1e-3),
        lambda t: (1 - (1e-3 + 0.998 * t), 1e-3 + 0.998 * t),
        13.813510,
        -13.813510,
    ),
    "Laplace": (
        paths.from_density(stats.laplace(0, 0.5)),
        lambda t: from_logsnr(0.5 * np.where(t < 0.5, -log(2 * t), log(2 - 2 * t))),
        np.inf,
        -np.inf,
    ),
    "interpolated": (
        paths.interpolated(paths.restricted(LINEAR, 0.01, 0.98), paths.ve(0.02, 70)),
        lambda t: (
            1 + 0 * t,
            exp(-0.5 * (-2 * t * logit(0.01 + 0.97 * t) + (1 - t) * -2 * log(0.02 * 3500**t))),
        ),
        -2 * log(0.02),
        -2 * logit(0.98),
    ),
    "TrigFlow": (
        paths.Path("trig", frames.trigonometric(1, 0.5), paths.shifted(paths.COSINE, 0.5).schedule),
        lambda t: (cosine(t)[0], 0.5 * cosine(t)[1]),
        np.inf,
        -np.inf,
    ),
}
every = pytest.mark.parametrize(("path", "scales", "first", "last"), CASES.values(), ids=CASES)


@every
def test_alpha_and_sigma_are_the_papers(path, scales, first, last):
    alpha, sigma = scales(INNER)
    room = (
        1e-9 if path.name.startswith("sigmoid") else 1e-11
    )  # its differences of sigmoids cancel in the paper's form
    middle = slice(20, -20) if path.name.startswith("sigmoid") else slice(None)
    np.testing.assert_allclose(path.alpha(INNER)[middle], alpha[middle], rtol=room, atol=5e-16)
    np.testing.assert_allclose(path.sigma(INNER)[middle], sigma[middle], rtol=room)


@every
def test_ends_are_exact_and_nothing_is_nan(path, scales, first, last):
    ends = np.array([0.0, 1.0])
    np.testing.assert_allclose(
        path.logsnr(ends), (first, last), atol=1e-3 if first == 8.769 else 1e-6
    )
    np.testing.assert_array_equal(path.time(path.logsnr(ends)), ends)
    for values in (path.alpha(ends), path.sigma(ends), path.slope(ends)):
        assert not np.isnan(values).any()
    assert np.isfinite(path.slope(ends)[np.isfinite([first, last])]).all()
    clean, noisy = path.sigma(0.0), path.alpha(1.0)
    assert (clean == 0) == np.isposinf(first) and (noisy == 0) == (
        np.isneginf(last) and path.frame.name != "VE"
    )
    assert path.logsnr(0.0).shape == path.time(1.0).shape == ()


@every
def test_time_inverts_logsnr_within_conditioning(path, scales, first, last):
    logsnr = path.logsnr(INNER)
    assert (np.diff(logsnr) < 0).all()
    allowed = 1e-12 * (1 + np.abs(logsnr)) + 1e-14 * np.abs(path.slope(INNER))
    assert (np.abs(path.logsnr(path.time(logsnr)) - logsnr) < allowed).all()
    resolution = 2e-14 + 8e-16 * (1 + np.abs(logsnr)) / np.abs(path.slope(INNER))
    assert (np.abs(path.time(logsnr) - INNER) < resolution).all()


@every
def test_slope_is_the_derivative_of_logsnr(path, scales, first, last):
    edges = path.logsnr(np.linspace(0.02, 0.98, 49))
    nodes, weights = np.polynomial.legendre.leggauss(30)
    half = (edges[:-1] - edges[1:]) / 2
    passed = (path.schedule.pdf(edges[1:, None] + half[:, None] * (1 + nodes)) * weights).sum(
        1
    ) * half
    kink = 1e-3 if path.name == "from density" else 1e-11  # Laplace at 0
    np.testing.assert_allclose(
        passed, 0.02, rtol=kink
    )  # exact quadrature of |dt/dλ| between steps of t
    middle = INNER[(INNER > 1e-6) & (INNER < 1 - 1e-6) & (np.abs(INNER - 0.5) > 0.005)]
    h = 1e-4 * np.minimum(middle, 1 - middle)
    np.testing.assert_allclose(
        (path.logsnr(middle + h) - path.logsnr(middle - h)) / (2 * h), path.slope(middle), rtol=1e-5
    )


FRAMES = [
    frames.VP,
    frames.STRAIGHT,
    frames.SUB_VP,
    frames.VE,
    frames.trigonometric(1, 0.5),
    frames.trigonometric(0.5, 1),
    frames.straight(1e-4),
    frames.straight(0.3),
    frames.smoothed(0.1),
]


@pytest.mark.parametrize("frame", FRAMES, ids=lambda f: f.name)
def test_a_frame_keeps_logsnr_and_its_slope_is_dlogalpha(frame):
    top = {
        "linear(sigma_min=0.0001)": 18.42,
        "linear(sigma_min=0.3)": 2.4,
        "smoothed(0.1)": 4.5,
    }.get(frame.name, 40.0)
    logsnr = np.linspace(-40, top - 1e-3, 500)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        alpha, sigma = frame.alpha(logsnr), frame.sigma(logsnr)
    assert (alpha > 0).all() and (sigma > 0).all()
    np.testing.assert_allclose(
        2 * log(alpha / sigma), logsnr, atol=2e-9 if "smoothed" in frame.name else 1e-12
    )
    h = 1e-4
    numeric = (log(frame.alpha(logsnr + h)) - log(frame.alpha(logsnr - h))) / (2 * h)
    np.testing.assert_allclose(
        frame.slope(logsnr), numeric, atol=2e-7 * (1 + np.abs(numeric).max())
    )


def test_frames_are_what_their_names_say():
    l = np.linspace(-12, 4, 50)
    np.testing.assert_allclose(VP.alpha(l) ** 2 + VP.sigma(l) ** 2, 1, rtol=1e-14)
    np.testing.assert_allclose(frames.STRAIGHT.alpha(l) + frames.STRAIGHT.sigma(l), 1, rtol=1e-14)
    np.testing.assert_allclose(frames.SUB_VP.alpha(l) ** 2 + frames.SUB_VP.sigma(l), 1, rtol=1e-14)
    np.testing.assert_allclose(
        frames.straight(0.1).sigma(l), 1 - 0.9 * frames.straight(0.1).alpha(l), rtol=1e-13
    )
    np.testing.assert_allclose(
        frames.smoothed(0.1).sigma(l) ** 2,
        (1 - frames.smoothed(0.1).alpha(l)) ** 2 + 0.01,
        rtol=1e-12,
    )


@given(st.floats(1e-6, 1 - 1e-6), st.floats(0.05, 20))
def test_a_flow_shift_is_the_papers_time_map(t, shift):
    there = paths.shifted(LINEAR, shift)
    assert float(there.logsnr(t)) == pytest.approx(
        float(LINEAR.logsnr(shift * t / (1 + (shift - 1) * t))), abs=1e-8
    )
    assert float(there.logsnr(t) - LINEAR.logsnr(t)) == pytest.approx(-2 * log(shift), abs=1e-12)


@given(st.floats(-30, 30), st.sampled_from(sorted(CASES)))
def test_time_of_any_logsnr_lies_in_the_unit_interval(logsnr, name):
    path, _, first, last = CASES[name]
    t = float(path.time(logsnr))
    assert 0 <= t <= 1
    if last < logsnr < first and 1e-6 < t < 1 - 1e-6:
        assert float(path.logsnr(t)) == pytest.approx(logsnr, abs=1e-7)


def test_resolution_shift_moves_by_log_four_for_each_doubling():
    assert float(
        paths.shifted(paths.COSINE, 2).logsnr(0.3) - paths.COSINE.logsnr(0.3)
    ) == pytest.approx(-log(4), abs=1e-13)


def test_discrete_paths_put_each_step_in_its_cell():
    alphas = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
    path, levels = paths.discrete(alphas), np.sort(logit(alphas))
    assert (levels[0], levels[-1]) == (
        pytest.approx(-10.118, abs=1e-3),
        pytest.approx(9.210, abs=1e-3),
    )
    np.testing.assert_allclose(
        path.schedule.ppf(np.arange(1, 1000) / 1000), (levels[1:] + levels[:-1]) / 2, atol=1e-9
    )
    np.testing.assert_allclose(
        paths.vp_linear().logsnr(np.linspace(0.05, 0.95, 19)),
        path.logsnr(np.linspace(0.05, 0.95, 19)),
        atol=0.07,
    )
    assert laws.atoms(levels[::-1]).support() == path.schedule.support()


def test_atoms_carry_their_masses():
    law = laws.atoms([2.0, -1.0, 0.0], [0.2, 0.5, 0.3])
    np.testing.assert_allclose(law.cdf([-0.5, 1.0, 3.0]), [0.5, 0.8, 1.0])
    np.testing.assert_allclose(law.support(), (-1.5, 3.0))


def test_zero_terminal_snr_is_algorithm_1_on_a_long_table():
    steps = 200_000
    alphas = ldm((np.arange(steps) + 1) / steps)[0]
    moved = (alphas - alphas[-1]) * alphas[0] / (alphas[0] - alphas[-1])
    t = np.array([0.1, 0.5, 0.9, 0.99])
    path = paths.zero_terminal_snr(paths.scaled_linear())
    np.testing.assert_allclose(path.alpha(t), moved[(t * steps).astype(int) - 1], rtol=2e-5)


@pytest.mark.parametrize("whole", [paths.COSINE, paths.vp_linear()], ids=["cosine", "VP"])
def test_zero_terminal_snr_moves_the_stretch_of_a_restricted_path(whole):
    """Its ends are those of the stretch: by algorithm 1 on the alphas of the whole path."""
    t = np.linspace(0, 0.999, 30)
    alpha = whole.alpha(0.1 + 0.7 * t)
    first, last = whole.alpha(np.array([0.1, 0.8]))
    path = paths.zero_terminal_snr(paths.restricted(whole, 0.1, 0.8))
    np.testing.assert_allclose(path.alpha(t), (alpha - last) * first / (first - last), rtol=1e-8)
    assert path.logsnr(1.0) == -np.inf


def test_an_interpolated_path_goes_from_the_clean_end_of_one_to_the_noisy_end_of_the_other():
    low, high = paths.uniform_logsnr(-12, 8), paths.uniform_logsnr(-6, 14)
    path, t = paths.interpolated(low, high), np.linspace(0, 1, 21)
    np.testing.assert_allclose(
        path.logsnr(t), t * (8 - 20 * t) + (1 - t) * (14 - 20 * t), atol=1e-12
    )


@in_one_test
@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: LINEAR.logsnr(-0.1), "0 is data"),
        (lambda: LINEAR.logsnr([0.5, np.nan]), "nan"),
        (lambda: LINEAR.logsnr(1.5), "1.5"),
        (lambda: LINEAR.time(np.nan), "NaN"),
        (lambda: paths.shifted(LINEAR, 0), "shift"),
        (lambda: paths.shifted(LINEAR, -1.0), "shift"),
        (lambda: paths.shifted(LINEAR, np.inf), "finite"),
        (lambda: paths.ve(1.0, 0.1), "sigma_max"),
        (lambda: paths.ve(0.0, 1.0), "sigma_min"),
        (lambda: paths.vp_linear(20, 0.1), "beta_max"),
        (lambda: paths.vp_linear(-1, 20), "beta_min"),
        (lambda: paths.scaled_linear(0.02, 0.01), "beta_end"),
        (lambda: paths.cosine(-0.1), "offset"),
        (lambda: paths.karras(rho=0), "rho"),
        (lambda: paths.uniform_logsnr(3, -3), "high"),
        (lambda: paths.edm(std=0), "std"),
        (lambda: paths.sigmoid(3, -3), "end"),
        (lambda: paths.sigmoid(tau=0), "tau"),
        (lambda: paths.power(0), "n must"),
        (lambda: paths.icfm(0), "width"),
        (lambda: paths.sigma_min_path(0), "sigma_min"),
        (lambda: paths.sigma_min_path(1.0), "sigma_min"),
        (lambda: paths.sigma_min_path(-0.1), "sigma_min"),
        (lambda: frames.straight(1.0), "sigma_min"),
        (lambda: frames.straight(-0.1), "sigma_min"),
        (lambda: paths.restricted(LINEAR, 0.6, 0.4), "start < end"),
        (lambda: paths.restricted(LINEAR, -0.1, 0.4), "start < end"),
        (lambda: paths.interpolated(LINEAR, paths.COSINE), "restricted"),
        (lambda: laws.atoms([1.0, 1.0]), "distinct"),
        (lambda: laws.atoms([1.0, -np.inf]), "finite"),
        (lambda: laws.atoms([1.0, 2.0], [1.0, -1.0]), "mass"),
        (lambda: laws.atoms([1.0, 2.0], [1.0]), "mass"),
        (lambda: laws.atoms([1.0, 2.0], [0.0, 0.0]), "mass"),
        (lambda: paths.discrete([0.9, 0.0]), "zero SNR"),
        (lambda: paths.discrete([0.9, np.nan]), "finite"),
        (lambda: paths.discrete([0.9]), r"alphas_cumprod must hold two steps or more, got \[0.9\]"),
        (
            lambda: paths.discrete([0.9, 0.5, 0.9]),
            r"alphas_cumprod must differ .* \[0.9\] more than",
        ),
        (lambda: frames.trigonometric(0, 1), "signal"),
    ],
)
def test_bad_values_are_refused_by_name(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_a_path_is_its_frame_and_the_law_of_logsnr():
    path = Path("mine", VP, stats.norm(1.0, 2.0))
    assert float(path.logsnr(0.5)) == 1.0 and float(path.slope(0.5)) == pytest.approx(
        -2.0 * sqrt(2 * pi)
    )
    assert dv.paths.from_density(stats.norm(1.0, 2.0)).logsnr(0.25) == path.logsnr(0.25)
