"""What an eye sees: its weighting, and the error that is visible to it."""

import numpy as np
import pytest
from scipy import fft

from diffviz.perception import spectra
from diffviz.search import datasets, vision

GRID = np.linspace(-7.5, 9.5, 35)


def test_the_eye_is_blind_to_the_mean_and_weighs_a_wave_by_its_sensitivity_squared():
    assert vision.visible_error(np.ones((1, 14, 14)))[0] == pytest.approx(0, abs=1e-20)
    wave = np.zeros((1, 14, 14))
    wave[0, 0, 5] = 2.0  # 5/28 cycles per pixel, alone in direction but not in its ring
    spectrum = spectra.image_spectrum(datasets.images("fashion"))
    error = fft.idctn(wave, axes=(1, 2), norm="ortho")
    assert vision.visible_error(error)[0] == pytest.approx(
        4 * vision.SENSITIVITY(30 * spectrum.frequency[4]) ** 2
    )


def test_the_power_of_the_eyes_weighting_goes_from_the_elbo_to_what_the_eye_implies():
    np.testing.assert_allclose(vision.EyeWeighting("digits", 0.0, 1.0)(GRID), 1)
    np.testing.assert_allclose(
        vision.EyeWeighting("digits", 1.0, 0.0)(GRID), vision.eye("digits").rate_distortion(GRID)
    )
    far = vision.EyeWeighting("digits", 1.0, 1.0)(GRID)
    np.testing.assert_allclose(far, vision.eye("digits", 60.0).rate_distortion(GRID))


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (("ring8",), ValueError, "unknown images 'ring8'"),
        (("digits", np.inf), ValueError, "power must be finite"),
        (("digits", 1.0, "2"), TypeError, "octaves must hold real numbers"),
    ],
)
def test_weightings_of_no_eye_are_refused(arguments, kind, message):
    with pytest.raises(kind, match=message):
        vision.EyeWeighting(*arguments)


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (np.ones((8, 8)), ValueError, "error must have 3 dimension"),
        (np.ones((1, 8, 7)), ValueError, "need square images"),
        (np.full((1, 8, 8), np.nan), ValueError, "error must be finite"),
        (np.ones((1, 8, 8)) * 1j, TypeError, "error must hold real numbers"),
        (np.ma.masked_equal(np.ones((1, 8, 8)), 1), TypeError, "error is a masked array"),
    ],
)
def test_errors_that_are_no_images_are_refused(error, kind, message):
    with pytest.raises(kind, match=message):
        vision.visible_error(error)
