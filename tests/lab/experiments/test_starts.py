"""Photographs after a start from N(0, I), and couplings of two toys."""

import numpy as np
import pytest
import torch
from scipy import fft
from scipy.special import expit

import diffviz as dv
from diffviz.lab.experiments import prior, starts
from diffviz.lab.experiments.sampling import spectrum


@pytest.mark.parametrize(("side", "level"), [(64, -5.0), (256, -8.0)])
def test_photographs_are_where_a_sampler_takes_the_same_quantiles(side, level):
    """The closed form against the flow, integrated from N(0, I) with the exact denoiser."""
    images = starts.photographs()[:2]
    mean, std = -0.4, 0.25
    scale = side / starts.SIDE
    power = scale**2 * spectrum(starts.SIDE)
    power[0, 0] = (side * std) ** 2
    centre = np.zeros_like(power)
    centre[0, 0] = side * mean
    coefficients = scale * fft.dctn(images, axes=(1, 2), norm="ortho")
    quantiles = torch.from_numpy((coefficients - centre) / np.sqrt(power))
    denoise = prior.Coefficients(torch.from_numpy(centre), torch.from_numpy(power))
    walk = dv.sample(denoise, np.linspace(level, 16, 400), solver="rk4", start=quantiles)
    expected = fft.idctn(walk.samples.numpy() / scale, axes=(1, 2), norm="ortho")
    found = starts.started(images, level, side=side, mean=mean, std=std)
    assert np.abs(found - images).max() > 0.1
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_offset_noise_mends_the_brightness_and_leaves_the_rest():
    images = starts.photographs()
    plain = starts.started(images, -5.0)
    offset = starts.started(images, -5.0, offset=0.3)
    difference = offset - plain
    np.testing.assert_allclose(difference, difference[:, :1, :1] + np.zeros((64, 64)), atol=1e-12)
    kept, mended = (np.abs(one.mean((1, 2)) - images.mean((1, 2))) for one in (plain, offset))
    assert (mended < kept).all()


def test_zero_terminal_snr_leaves_photographs_as_they_are():
    images = starts.photographs()
    np.testing.assert_allclose(starts.started(images, -np.inf), images, atol=1e-12)
    assert expit(-np.inf) == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((np.zeros((1, 8, 8)), -5.0), "images must be"),
        ((np.zeros((1, 64, 64)), np.nan), "level"),
        ((np.zeros((1, 64, 64)), -5.0, 0.0, 64, np.inf), "mean"),
        ((np.zeros((1, 64, 64)), -5.0, 0.0, 64, 0.1, 0.0), "std"),
    ],
)
def test_bad_input_is_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        starts.started(*arguments)


def test_a_coupling_that_is_unknown_is_refused():
    with pytest.raises(ValueError, match="did you mean"):
        starts.paired("exact flwo")


def test_ways_are_straight_but_for_the_flow_and_end_at_their_partners():
    for coupling in starts.COUPLINGS:
        z = starts.paired(coupling, 40).z
        middle = (z[0] + z[-1]) / 2
        is_straight = np.allclose(z[starts.STEPS // 2], middle)
        assert is_straight is (coupling != starts.FLOW)
    flow, reflow = (starts.paired(name, 40).z for name in (starts.FLOW, starts.REFLOW))
    np.testing.assert_array_equal(flow[-1], reflow[-1])


def test_photographs_take_a_brightness_of_the_datas_law_and_keep_their_texture():
    plain, moved = starts.photographs(), starts.as_bright(-0.6, 0.2)
    brightness = moved.mean((1, 2))
    np.testing.assert_allclose(brightness, [-0.84, -0.72, -0.6, -0.48, -0.36], atol=1e-12)
    centred, before = (one - one.mean((1, 2), keepdims=True) for one in (moved, plain))
    np.testing.assert_allclose(centred, before, atol=1e-12)
    assert starts.QUANTILES.mean() == pytest.approx(0)
    with pytest.raises(ValueError, match="std"):
        starts.as_bright(-0.6, 0)
