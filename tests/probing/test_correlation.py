"""Noise that is not white: its variance by frequency and by direction."""

import numpy as np
import pytest

from diffviz.probing.correlation import BANDS, Spread, spread

SHAPE = (2, 16, 16)


def images_with(gain, n=400):
    """White noise of which each frequency is multiplied by a gain, as rows of shape (n, d)."""
    white = np.random.default_rng(0).standard_normal((n, *SHAPE))
    rows, columns = (np.fft.fftfreq(size) for size in SHAPE[1:])
    radius = np.hypot(rows[:, None], columns)
    return np.fft.ifft2(np.fft.fft2(white) * gain(radius / radius.max())).real.reshape(n, -1)


def test_white_noise_has_no_spread():
    assert spread(images_with(np.ones_like), SHAPE) is None
    assert spread(np.random.default_rng(1).standard_normal((4000, 5)), (5,)) is None


@pytest.mark.parametrize("end", ["low", "high"])
def test_the_band_at_either_end_is_compared_with_the_others(end):
    """All frequencies have one variance, and those of one band four times as much.

    The last band holds the farthest frequency too, which lies on its edge.
    """
    width = 1 / BANDS
    is_louder = (lambda r: r < width) if end == "low" else (lambda r: r >= 1 - width)
    found = spread(images_with(lambda r: 1.0 + is_louder(r)), SHAPE)
    assert found.over == "frequency"
    assert found.high / found.low == pytest.approx(4, rel=0.1)


def test_the_farthest_frequency_is_no_band_of_its_own():
    """Its only mode has 25 times the variance, and shares a band with eight others."""
    found = spread(images_with(lambda r: np.where(r == 1, 5.0, 1.0)), SHAPE)
    assert found.high / found.low == pytest.approx((8 + 25) / 9, rel=0.1)


def test_a_direction_that_is_louder_is_found():
    """Among 40, so that samples of one size have nearly the variances of the noise."""
    noise = np.random.default_rng(2).standard_normal((20_000, 40))
    noise[:, 7] *= 2
    found = spread(noise, (40,))
    assert found.over == "direction"
    assert found.high / found.low == pytest.approx(4, rel=0.2)


def test_log_snr_is_lower_where_noise_is_louder():
    """Noise of four times the variance takes log 4 = 1.39 nats, that of half gives log 2."""
    words = "nats about it by frequency"
    assert str(Spread(0.5, 4.0, "frequency")) == f"from -1.39 to +0.69 {words}"
    assert str(Spread(0.0, 4.0, "frequency")) == f"from -1.39 to +inf {words}"


def test_noise_of_size_zero_is_passed_over():
    assert spread(np.zeros((10, 5)), (5,)) is None
