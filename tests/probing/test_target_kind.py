"""Frames and targets are named from exact coefficients, and not named from others."""

import numpy as np
import pytest

from diffviz.probing.target_kind import FRAMES, LINEAR, VE, VP, fit_frame, name_target

TOLERANCE = 2e-3
TIMES = (np.arange(500) + 0.5) / 500
PATHS = {
    VP: (np.cos(np.pi * TIMES / 2), np.sin(np.pi * TIMES / 2)),
    LINEAR: (1 - TIMES, TIMES),
    VE: (np.ones(500), 0.01 * 5000**TIMES),
}


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame.name)
def test_a_frame_is_recognised(frame):
    fit = fit_frame(*PATHS[frame], shift=0.0, scale=None, tolerance=TOLERANCE)
    assert (fit.frame, fit.description, fit.scale) == (frame, frame.name, 1.0)


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame.name)
def test_a_scale_that_is_given_puts_the_data_on_their_frame(frame):
    alpha, sigma = PATHS[frame]
    fit = fit_frame(0.3 * alpha, sigma, shift=0.0, scale=0.3, tolerance=TOLERANCE)
    assert (fit.frame, fit.scale) == (frame, 0.3)


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame.name)
def test_a_scale_that_is_not_given_is_said_with_the_way_out(frame):
    alpha, sigma = PATHS[frame]
    fit = fit_frame(0.3 * alpha, sigma, shift=0.0, scale=None, tolerance=TOLERANCE)
    assert fit.frame is None
    assert "if the loss multiplies x by 0.3, give that as scale=" in fit.description


@pytest.mark.parametrize("shift", [-0.5, 0.25])
def test_data_that_are_shifted_are_scaled_too(shift):
    """2x - 1 shifts x by half of its scale; with any other shift the size on the frame tells."""
    alpha, sigma = PATHS[LINEAR]
    fit = fit_frame(2 * alpha, sigma, shift=shift, scale=None, tolerance=TOLERANCE)
    assert (fit.frame, fit.scale) == (LINEAR, pytest.approx(2))


def test_another_path_is_on_none_of_the_frames():
    fit = fit_frame(1 - TIMES, TIMES**2, shift=0.0, scale=None, tolerance=TOLERANCE)
    assert (fit.frame, fit.description) == (None, "on none of the usual frames")


def test_levels_without_noise_are_on_no_frame():
    fit = fit_frame(np.ones(9), np.full(9, 0.01), shift=0.0, scale=None, tolerance=TOLERANCE)
    assert fit.frame is None


def edm_target(alpha, sigma, sigma_data=0.5):
    norm = np.hypot(sigma, sigma_data)
    return sigma / sigma_data / norm, -sigma_data / norm


TARGETS = {
    "eps": (VP, lambda alpha, sigma: (0 * alpha, 3 + 0 * alpha)),
    "x": (VP, lambda alpha, sigma: (-2 + 0 * alpha, 0 * alpha)),
    "v": (VP, lambda alpha, sigma: (-sigma, alpha)),
    "score": (VE, lambda alpha, sigma: (0 * alpha, -1 / sigma)),
    "F (sigma_data 0.5)": (VE, edm_target),
    "u": (LINEAR, lambda alpha, sigma: (-1 + 0 * alpha, 1 + 0 * alpha)),
    "other": (LINEAR, lambda alpha, sigma: (1 + 0 * alpha, 1 + 0 * alpha)),
}


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("kind", TARGETS)
def test_a_target_is_named_up_to_its_sign(kind, sign):
    frame, coefficients = TARGETS[kind]
    alpha, sigma = PATHS[frame]
    a, b = coefficients(alpha, sigma)
    assert name_target(alpha, sigma, sign * a, sign * b, frame, TOLERANCE) == kind


def test_the_velocity_is_named_on_any_path():
    alpha, sigma = 1 - TIMES**2, TIMES
    a, b = -2 * TIMES, np.ones(500)
    assert name_target(alpha, sigma, a, b, None, TOLERANCE) == "u"


def test_v_is_named_on_the_circle_alone():
    """Elsewhere its coefficients are those of EDM's F with sigma_data 1."""
    alpha, sigma = PATHS[LINEAR]
    norm = np.hypot(alpha, sigma)
    a, b = -sigma / norm, alpha / norm
    assert name_target(alpha, sigma, a, b, LINEAR, TOLERANCE) == "F (sigma_data 1)"


def test_one_draw_alone_can_be_named():
    one = [np.array([value]) for value in (0.6, 0.5, 0.0, 1.0)]
    assert name_target(*one, None, TOLERANCE) == "eps"
    one[2] = np.array([1.0])
    assert isinstance(name_target(*one, None, TOLERANCE), str)
