"""The explorer of perception: a control is set, the lines and the picture are read."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image
from scipy import fft

import diffviz as dv
from diffviz.data import files
from diffviz.lab.experiments import perception as perception_experiments
from diffviz.lab.explorers.base import Picture
from diffviz.lab.explorers.perception import KNOWN, LEVEL, SEEN, PerceptionExplorer
from diffviz.perception import sensitivities, spectra

pytestmark = pytest.mark.slow


@pytest.fixture
def explorer():
    return PerceptionExplorer()


def curve(explorer, panel, name):
    line = next(line for line in explorer.panels[panel].lines if line.get_gid() == name)
    return np.asarray(line.get_xdata(), dtype=float), np.asarray(line.get_ydata(), dtype=float)


def test_the_curves_are_the_weightings_of_what_is_chosen(explorer):
    for name, value in {
        "image": "grass",
        "rate": 60.0,
        "curve": "Daly 1993",
        "species": "cat",
    }.items():
        explorer.controls[name].value = value
    rings = spectra.image_spectrum(files.load("photos")["grass"])
    view = spectra.implied(
        rings, lambda f: sensitivities.daly(10 * f), explorer.controls["rate"].value
    )
    for name, w in (("rate–distortion", view.rate_distortion), ("projection", view.projection)):
        logsnr, y = curve(explorer, 0, name)
        assert np.allclose(y, np.log10(w(logsnr) / w(0.0)), atol=1e-9)
    f, felt = curve(explorer, 1, SEEN)
    assert np.allclose(
        felt,
        sensitivities.daly(10 * f / 256 * explorer.controls["rate"].value)
        / sensitivities.daly(np.geomspace(0.05, 60, 200)).max(),
    )
    assert felt.max() <= 1.01
    slope = np.log(view.rate_distortion(2.0) / view.rate_distortion(-4.0)) / 6
    assert f"{slope:+.2f} from −4 to 2".replace("-", "−") in explorer.text.value
    explorer.controls["logsnr"].value = -3.0
    assert "at λ = −3.0: " in explorer.text.value


def test_objectives_of_the_catalogue_stand_beside(explorer):
    explorer.controls["beside"].value = ("edm", "indi")
    logsnr, y = curve(explorer, 0, "edm")
    edm = dv.objective("edm").weighting
    assert np.allclose(y, np.log10(edm(logsnr) / edm(0.0)))
    shown = [text.get_text() for text in explorer.panels[0].get_legend().get_texts()]
    assert shown == ["rate–distortion", "projection", "edm", "indi"]


def test_the_picture_is_noised_to_the_level(explorer):
    image = perception_experiments.photos()["camera"]
    for level in (-4.0, 0.0, 6.0):
        explorer.controls["logsnr"].value = level
        shown = np.asarray(explorer.panels[2].images[0].get_array())
        alpha, sigma = np.sqrt(1 / (1 + np.exp(-level))), np.sqrt(1 / (1 + np.exp(level)))
        eps = (shown - alpha * image) / sigma
        assert [eps.mean(), eps.std()] == pytest.approx([0, 1], abs=0.01) and abs(
            np.corrcoef(eps.flat, image.flat)[0, 1]
        ) < 0.02
        assert (curve(explorer, 0, LEVEL)[0] == level).all()


def test_the_known_share_of_a_band_is_what_the_guess_recovers(explorer):
    """Over an octave, the mean squared error of the guess is the share of power not known."""
    explorer.controls["logsnr"].value, explorer.controls["guess"].value = -1.0, True
    guess = np.asarray(explorer.panels[2].images[0].get_array())
    gap = fft.dctn(guess - perception_experiments.photos()["camera"], norm="ortho") ** 2
    f, share = curve(explorer, 1, KNOWN)
    radius = np.hypot.outer(np.arange(256), np.arange(256)) / 2
    power = fft.dctn(perception_experiments.photos()["camera"], norm="ortho") ** 2
    band = (radius >= 8) & (radius < 32)
    ring = (f >= 8) & (f < 32)
    weight = (
        perception_experiments.spectrum("camera").power
        * perception_experiments.spectrum("camera").count
    )
    weight = weight[perception_experiments.spectrum("camera").frequency < 0.5][ring]
    assert gap[band].sum() / power[band].sum() == pytest.approx(
        1 - share[ring] @ weight / weight.sum(), rel=0.05
    )


def test_the_table_of_octaves_counts_power(explorer):
    explorer.controls["logsnr"].value = 2.0
    radius, power = (
        np.hypot.outer(np.arange(256), np.arange(256)) / 2,
        fft.dctn(perception_experiments.photos()["camera"], norm="ortho") ** 2,
    )
    band = (radius >= 32) & (radius < 64)
    ring = np.rint(2 * radius[band]).astype(int)
    mean = np.bincount(ring, power[band]) / np.maximum(np.bincount(ring), 1)
    known = mean[ring] / (mean[ring] + np.exp(-2.0))
    row = re.findall(r">([^<>]*)</td>", explorer.text.value.split("known of its power")[1])
    assert float(row[-2].rstrip("%")) / 100 == pytest.approx(
        (known * power[band]).sum() / power[band].sum(), abs=0.011
    )
    assert (
        "32–64" in explorer.text.value and "3.8" in explorer.text.value
    )  # 32 cycles in 256/30 degrees


def test_the_distortion_left_is_the_share_of_what_is_seen(explorer):
    """At first for Barten 2004 at 30 pixels per degree; little is known, so nearly all is left."""
    explorer.controls["logsnr"].value = 1.0
    rings = perception_experiments.spectrum("camera")
    seen = rings.count * rings.power * sensitivities.barten_2004(rings.frequency * 30) ** 2
    left = (seen / (1 + rings.power * np.exp(1.0))).sum() / seen.sum()
    assert f"left at λ = 1.0: {left:.1%}" in explorer.text.value and 0 < left < 0.5
    explorer.controls["logsnr"].value = -8.0
    assert float(explorer.text.value.split("left at λ = −8.0: ")[1].split("%")[0]) > 90


def test_sliders_move_artists_over_a_background_that_stays(explorer, monkeypatch):
    explorer.controls["logsnr"].value = 1.0
    before, drawn = explorer._picture._background, []
    monkeypatch.setattr(explorer.figure.canvas, "draw", lambda: drawn.append(1))
    for name, value in {
        "logsnr": -3,
        "rate": 60.0,
        "image": "brick",
        "curve": "Daly 1993",
        "species": "cat",
        "guess": True,
    }.items():
        explorer.controls[name].value = value
    assert not drawn and explorer._picture._background is before
    assert Image.open(io.BytesIO(explorer.png)).size[0] > 1000


def test_the_picture_after_a_slider_is_that_of_a_full_drawing(explorer):
    explorer.controls["logsnr"].value = -2.5
    blitted = np.asarray(Image.open(io.BytesIO(explorer.png)), dtype=int)
    full = np.asarray(Image.open(io.BytesIO(Picture(explorer.figure).png())), dtype=int)
    assert abs(blitted - full).max() == 0
    assert base64.b64decode(explorer._repr_mimebundle_()["image/png"]) == explorer.png


@pytest.mark.parametrize(
    ("wrong", "near"),
    [({"image": "camra"}, "camera"), ({"curve": "Barten"}, "Barten"), ({"species": "cad"}, "cat")],
)
def test_an_unknown_choice_names_near_ones(wrong, near):
    with pytest.raises(ValueError, match=near):
        PerceptionExplorer(**wrong)
