"""Examples at several noise levels have the noise that the level says."""

import numpy as np
import pytest
from scipy.special import expit

from diffviz.data import files
from diffviz.lab.experiments import strips


@pytest.mark.parametrize("kind", sorted(strips.EXAMPLES))
def test_clean_levels_show_the_example_and_noisy_ones_the_noise(kind):
    shown = strips.noised(kind, np.arange(-40.0, 41, 20))
    x = strips.EXAMPLES[kind]()
    assert np.abs(shown.z[-1] - x).max() < 1e-6
    noise = np.random.default_rng(0).standard_normal(x.shape)
    assert np.abs(shown.z[0] - noise).max() < 1e-6


def test_the_examples_have_unit_variance_so_that_lambda_is_their_log_snr():
    for example in strips.EXAMPLES.values():
        assert example().mean() == pytest.approx(0, abs=1e-12)
        assert example().var() == pytest.approx(1)


def test_a_photograph_that_is_noised_first_shows_more():
    """By least squares on the shrunk photograph: the noise of a block is a quarter as large."""
    shown = strips.noised_then_shrunk(np.array([-4.0, 0.0, 4.0]), seed=5)
    noise = np.random.default_rng(5).standard_normal((256, 256))
    blocks = noise.reshape(64, 4, 64, 4).mean((1, 3)).ravel()
    pixels = files.load("photos")["chelsea"] / 127.5 - 1
    x = strips.shrunk(pixels - pixels.mean()).ravel()
    columns = np.stack([x, blocks, np.ones_like(x)], 1)
    scales = np.linalg.lstsq(columns, shown.z.reshape(3, -1).T)[0]
    assert 2 * np.log(scales[0] / scales[1]) == pytest.approx([-4, 0, 4])
    assert blocks.std() == pytest.approx(0.25, rel=0.05)
    assert shown.z.var(axis=(1, 2)) == pytest.approx(1)


def test_the_ratio_of_signal_and_noise_is_that_of_the_level():
    """By least squares of z on x and the noise, at each level."""
    shown = strips.noised("image")
    x = strips.photograph().ravel()
    noise = np.random.default_rng(0).standard_normal(x.shape)
    scales = np.linalg.lstsq(np.stack([x, noise], 1), shown.z.reshape(len(shown.z), -1).T)[0]
    assert 2 * np.log(scales[0] / scales[1]) == pytest.approx(shown.logsnr)
    assert scales[0] ** 2 == pytest.approx(expit(shown.logsnr))


@pytest.mark.parametrize("kind", sorted(strips.EXAMPLES))
def test_one_level_is_that_of_the_strip(kind):
    x, eps = strips.example(kind, seed=3)
    shown = strips.noised(kind, [-2.0, 1.0, 4.0], seed=3)
    for level, z in zip(shown.logsnr, shown.z, strict=True):
        assert strips.mixed(x, eps, level) == pytest.approx(z)


def test_noise_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="eps must have the shape"):
        strips.mixed(np.ones(3), np.ones(4), 0.0)
    with pytest.raises(ValueError, match="logsnr"):
        strips.mixed(np.ones(3), np.ones(3), np.nan)
    with pytest.raises(ValueError, match="kind"):
        strips.example("film")


def test_an_unknown_kind_and_crooked_levels_are_refused():
    with pytest.raises(ValueError, match="kind"):
        strips.noised("film")
    with pytest.raises(ValueError, match="evenly spaced"):
        strips.noised("sound", [0.0, 1.0, 5.0])


def test_an_example_of_your_own_is_brought_to_unit_variance():
    own = np.array([[0.0, 1.0], [2.0, 5.0], [4.0, 9.0]])
    shown = strips.noised("points", [0.0, 40.0], x=own)
    assert shown.z[-1] == pytest.approx((own - own.mean()) / own.std(), abs=1e-6)
    with pytest.raises(ValueError, match="constant"):
        strips.noised("points", x=np.ones((3, 2)))
    with pytest.raises(ValueError, match="x"):
        strips.noised("points", x=[[0.0, np.nan]])
    with pytest.raises(ValueError, match="shape"):
        strips.noised("points", x=np.arange(4.0))
