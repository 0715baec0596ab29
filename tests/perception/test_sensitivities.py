"""Sensitivities against published values, the table of the standard, and colour-science."""

import pickle

import numpy as np
import pytest
from cells import in_one_test
from scipy import optimize, signal

from diffviz.perception import sensitivities

# IEC 61672-1, table 3: A-weighting in decibels at 1000 · 10^(n/10) Hz, n = -17 ... 13
IEC_A = (
    *(
        -56.7,
        -50.5,
        -44.7,
        -39.4,
        -34.6,
        -30.2,
        -26.2,
        -22.5,
        -19.1,
        -16.1,
        -13.4,
        -10.9,
        -8.6,
        -6.6,
        -4.8,
        -3.2,
        -1.9,
    ),
    *(-0.8, 0.0, 0.6, 1.0, 1.2, 1.3, 1.2, 1.0, 0.5, -0.1, -1.1, -2.5, -4.3, -6.6, -9.3),
)


def peak(curve, low=0.01, high=60.0):
    found = optimize.minimize_scalar(
        lambda l: -curve(np.exp(l)),
        bounds=np.log([low, high]),
        method="bounded",
        options={"xatol": 1e-10},
    )
    return np.exp(found.x), -found.fun


@pytest.mark.parametrize(
    ("curve", "place", "height"),
    [
        (sensitivities.mannos_sakrison, "7.89", "0.9809"),
        (sensitivities.barten_1999, "1.53", None),
        (sensitivities.barten_2004, "3.04", "655"),
        (sensitivities.daly, "3.19", "237"),
        (sensitivities.movshon_kiorpes, "4.00", "102.2"),  # 75 · 4^0.8 e^−0.8
        (sensitivities.species("triplefin"), "0.38", None),
        (sensitivities.species("mouse"), "0.10", None),
    ],
)
def test_contrast_sensitivity_peaks_where_published(curve, place, height):
    at, value = peak(curve)
    assert f"{at:.2f}" == place
    assert height is None or f"{value:.{len(height.partition('.')[2])}f}" == height


def test_barten_1999_is_the_documented_value_of_colour_science():
    assert f"{sensitivities.barten_1999(4.0):.8f}" == "360.86911223"


def test_barten_1999_is_colour_science():
    with (
        np.printoptions()
    ):  # the import sets NumPy's printing to that of 1.13, by which Matplotlib names its clips
        from colour import contrast
    u = np.geomspace(0.05, 60, 200)
    for field, luminance, pupil in ((60, 20, 2.1), (10, 100, 3.0), (30, 1, 6.0)):
        theirs = contrast.contrast_sensitivity_function_Barten1999(
            u,
            sigma=contrast.sigma_Barten1999(d=pupil),
            X_0=field,
            E=contrast.retinal_illuminance_Barten1999(luminance, pupil),
        )
        assert np.allclose(
            sensitivities.barten_1999(u, field, luminance, pupil), theirs, rtol=1e-12
        )


@pytest.mark.parametrize(
    "curve", [f for n, f in sensitivities.SENSITIVITIES.items() if n != "mannos_sakrison"]
)
def test_nothing_is_visible_past_acuity(curve):
    assert curve(60.0) < 1 and curve(1000.0) < curve(60.0)
    assert curve(np.array([1.0, 2.0, 4.0])).shape == (3,)


def test_a_larger_or_brighter_picture_is_seen_better():
    for curve in (sensitivities.barten_1999, sensitivities.barten_2004):
        assert curve(1.0, field=30.0) > curve(1.0, field=3.0) and curve(
            1.0, luminance=100.0
        ) > curve(1.0, luminance=1.0)
    assert sensitivities.daly(1.0, area=100.0) > sensitivities.daly(
        1.0, area=1.0
    ) and sensitivities.daly(4.0, luminance=100.0) > sensitivities.daly(4.0, luminance=0.1)
    assert sensitivities.daly(20.0, distance=10.0) > sensitivities.daly(20.0, distance=0.5)


def test_species_are_the_human_curve_at_another_scale():
    cat = sensitivities.species("cat")
    assert cat(np.array([0.4, 1.0])) == pytest.approx(
        sensitivities.movshon_kiorpes(np.array([4.0, 10.0])), rel=1e-12
    )
    assert sensitivities.species("human")(3.0) == sensitivities.movshon_kiorpes(3.0)
    with pytest.raises(
        ValueError, match=r"no published peak for species 'pigeon'; SPECIES has human, macaque"
    ):
        sensitivities.species("pigeon")


def test_a_weighting_is_the_table_of_the_standard():
    f = 1000 * 10 ** (np.arange(-18, 14) / 10)
    assert 20 * np.log10(sensitivities.a_weighting(f)) == pytest.approx(np.array(IEC_A), abs=0.06)


def test_a_weighting_at_nominal_frequencies():
    f = np.array([31.5, 63, 250, 500, 1000, 2000, 8000, 16000])
    wanted = np.array([-39.53, -26.22, -8.67, -3.25, 0, 1.20, -1.15, -6.71])
    assert 20 * np.log10(sensitivities.a_weighting(f)) == pytest.approx(wanted, abs=0.0051)


def test_a_weighting_is_the_filter_with_those_poles():
    w = 2 * np.pi * np.array([20.598997, 20.598997, 107.65265, 737.86223, 12194.217, 12194.217])
    f = np.array([30.0, 1000.0, 9000.0])
    _, response = signal.freqs_zpk([0] * 4, -w, 1.0, worN=2 * np.pi * f)
    assert sensitivities.a_weighting(f) == pytest.approx(
        abs(response) / abs(response[1]), rel=1e-12
    )


def test_viewing_geometry():
    assert sensitivities.field_of_view(2.0, 1.0) == pytest.approx(90)
    assert sensitivities.pixels_per_degree(0.25, 573.0) == pytest.approx(
        np.pi / 180 * 573 / 0.25, rel=1e-6
    )


@in_one_test
@pytest.mark.parametrize(
    "curve",
    [
        *sensitivities.SENSITIVITIES.values(),
        sensitivities.a_weighting,
        sensitivities.species("cat"),
    ],
)
@pytest.mark.parametrize("frequency", [0.0, -1.0, np.nan, np.inf, [1.0, 0.0]])
def test_a_sensitivity_outside_its_range_is_refused(curve, frequency):
    with pytest.raises(ValueError, match=r"frequency must be"):
        curve(frequency)


@pytest.mark.parametrize(
    "curve", [*sensitivities.SENSITIVITIES.values(), sensitivities.species("cat")]
)
def test_a_frequency_that_is_no_real_number_is_refused(curve):
    for bad in (
        1j,
        "4",
        None,
        np.ma.array([1.0], mask=[True]),
        np.array(["2020"], "datetime64[Y]"),
    ):
        with pytest.raises(TypeError, match="frequency"):
            curve(bad)
    np.testing.assert_array_equal(curve([1, 4]), curve(np.array([4.0, 1.0])[::-1]))


def test_a_species_travels_and_refuses_what_is_no_curve():
    cat = pickle.loads(pickle.dumps(sensitivities.species("cat")))
    assert cat(0.4) == sensitivities.species("cat")(0.4)
    with pytest.raises(TypeError, match="human must be a function"):
        sensitivities.species("cat", human=4.0)
    with pytest.raises(ValueError, match="no published peak for species 3"):
        sensitivities.species(3)
