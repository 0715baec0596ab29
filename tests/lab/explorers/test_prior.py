"""The explorer of the prior: a control is set, the lines are read."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from diffviz.lab.explorers.base import Picture
from diffviz.lab.explorers.prior import OWN_LEVEL, PriorExplorer
from diffviz.theory import prior


@pytest.fixture
def explorer():
    return PriorExplorer()


def curve(explorer, panel, name):
    line = next(line for line in explorer.panels[panel].lines if line.get_gid() == name)
    return np.asarray(line.get_xdata(), dtype=float), np.asarray(line.get_ydata(), dtype=float)


def centre(explorer, name):
    x, y = curve(explorer, 0, name)
    mean = (x * y).sum() / y.sum()
    return mean, np.sqrt(((x - mean) ** 2 * y).sum() / y.sum())


def test_brightness_is_that_of_the_closed_form(explorer):
    explorer.controls["std"].value, explorer.controls["mean"].value = 0.1, -0.3
    level = explorer.level()
    mean, ratio = prior.terminal_bias(level, -0.3, (64 * 0.1) ** 2)
    assert centre(explorer, "data") == pytest.approx((-0.3, 0.1), abs=1e-3)
    assert centre(explorer, "samples") == pytest.approx((float(mean), 0.1 * float(ratio)), abs=1e-3)
    assert f"samples {mean:.3f}".replace("-", "−") in explorer.text.value
    grid, kept = curve(explorer, 1, "mean / data's")
    assert np.interp(curve(explorer, 1, "here")[0][0], grid, kept) == pytest.approx(
        mean / -0.3, abs=1e-3
    )


def test_zero_terminal_snr_keeps_everything_and_a_moved_slider_is_a_level_of_ones_own(explorer):
    explorer.controls["schedule"].value = "zero terminal SNR"
    assert "λ = −∞" in explorer.text.value and (curve(explorer, 1, "here")[0] == -24).all()
    assert centre(explorer, "samples") == pytest.approx(centre(explorer, "data"), abs=1e-9)
    explorer.controls["logsnr"].value = -7
    assert explorer.controls["schedule"].value == OWN_LEVEL and explorer.level() == -7
    explorer.controls["schedule"].value = "DDPM linear"
    assert explorer.level() == pytest.approx(-10.118, abs=1e-3)
    assert explorer.controls["logsnr"].value == pytest.approx(-10.118, abs=1e-3)
    assert explorer.controls["schedule"].value == "DDPM linear"


def test_the_curves_are_those_of_size_and_offset(explorer):
    explorer.controls["side"].value, explorer.controls["offset"].value = 128, 0.1
    k, v = 1 + 0.01 * 128**2, (128 * 0.22) ** 2
    level, means = curve(explorer, 1, "mean / data's")
    wanted = prior.terminal_bias(level, 1.0, v / k)
    np.testing.assert_allclose(means, wanted[0])
    np.testing.assert_allclose(curve(explorer, 1, "std / data's")[1], wanted[1])
    explorer.controls["start"].value = False
    np.testing.assert_allclose(curve(explorer, 1, "std / data's")[1], wanted[1] / np.sqrt(k))
    assert f"{-np.log(k):.3f}".replace("-", "−") in explorer.text.value


def test_sliders_move_lines_over_a_background_that_stays(explorer, monkeypatch):
    explorer.controls["side"].value = 256
    before, drawn = explorer._picture._background, []
    monkeypatch.setattr(explorer.figure.canvas, "draw", lambda: drawn.append(1))
    for name, value in {
        "logsnr": -8,
        "side": 16,
        "mean": 0.4,
        "std": 0.3,
        "offset": 0.2,
        "start": False,
    }.items():
        explorer.controls[name].value = value
    assert not drawn and explorer._picture._background is before
    assert Image.open(io.BytesIO(explorer.png)).size[0] > 800


def test_the_picture_after_a_slider_is_that_of_a_full_drawing(explorer):
    explorer.controls["offset"].value = 0.15
    blitted = np.asarray(Image.open(io.BytesIO(explorer.png)), dtype=int)
    full = np.asarray(Image.open(io.BytesIO(Picture(explorer.figure).png())), dtype=int)
    assert abs(blitted - full).max() == 0
    assert base64.b64decode(explorer._repr_mimebundle_()["image/png"]) == explorer.png


def test_an_unknown_schedule_names_near_ones():
    with pytest.raises(ValueError, match="'DDPM linear'"):
        PriorExplorer("DDPM lineal")


@pytest.mark.parametrize("schedule", ["Stable Diffusion", "DDPM linear", "iDDPM cosine"])
def test_a_schedule_stays_when_the_browser_rounds_its_level_to_a_step(explorer, schedule):
    explorer.controls["schedule"].value = schedule
    level, slider = explorer.level(), explorer.controls["logsnr"]
    slider.value = slider.min + round((slider.value - slider.min) / slider.step) * slider.step
    assert explorer.controls["schedule"].value == schedule and explorer.level() == level
    slider.value += slider.step
    assert explorer.controls["schedule"].value == OWN_LEVEL and explorer.level() == slider.value
