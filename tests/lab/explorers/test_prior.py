"""The explorer of the prior: a control is set, the curves are read."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from diffviz.lab.experiments import prior as prior_experiments
from diffviz.lab.experiments import starts
from diffviz.lab.explorers.prior import OWN_LEVEL, PriorExplorer
from diffviz.theory import prior
from diffviz.web.description import nearest_step


@pytest.fixture
def explorer():
    return PriorExplorer()


def curve(explorer, panel, name):
    chart = explorer.view.charts[panel]
    return chart.places(name), np.asarray(chart.curves[name])


def here(explorer):
    return explorer.view.charts[1].marks["here"]


def centre(explorer, name):
    x, y = curve(explorer, 0, name)
    mean = (x * y).sum() / y.sum()
    return mean, np.sqrt(((x - mean) ** 2 * y).sum() / y.sum())


def test_brightness_is_that_of_the_closed_form(explorer):
    explorer.set("std", 0.1)
    explorer.set("mean", -0.3)
    level = explorer.level()
    mean, ratio = prior.terminal_bias(level, -0.3, (64 * 0.1) ** 2)
    assert centre(explorer, "data") == pytest.approx((-0.3, 0.1), abs=1e-3)
    assert centre(explorer, "samples") == pytest.approx((float(mean), 0.1 * float(ratio)), abs=1e-3)
    assert f"samples {mean:.3f}".replace("-", "−") in explorer.view.text
    grid, kept = curve(explorer, 1, "mean / data's")
    assert np.interp(here(explorer), grid, kept) == pytest.approx(mean / -0.3, abs=1e-3)


def test_zero_terminal_snr_keeps_everything_and_a_moved_slider_is_a_level_of_ones_own(explorer):
    explorer.set("schedule", "zero terminal SNR")
    assert "λ = −∞" in explorer.view.text and here(explorer) == -24
    assert centre(explorer, "samples") == pytest.approx(centre(explorer, "data"), abs=1e-9)
    explorer.set("logsnr", -7)
    assert explorer.state["schedule"] == OWN_LEVEL and explorer.level() == -7
    explorer.set("schedule", "DDPM linear")
    assert explorer.level() == pytest.approx(-10.118, abs=1e-3)
    assert explorer.state["logsnr"] == pytest.approx(-10.118, abs=1e-3)
    assert explorer.state["schedule"] == "DDPM linear"


def test_the_curves_are_those_of_size_and_offset(explorer):
    explorer.set("side", 128)
    explorer.set("offset", 0.1)
    k, v = 1 + 0.01 * 128**2, (128 * 0.22) ** 2
    level, means = curve(explorer, 1, "mean / data's")
    mean, std = prior.terminal_bias(level, 1.0, v / k)
    np.testing.assert_allclose(means, mean)
    np.testing.assert_allclose(curve(explorer, 1, "std / data's")[1], std)
    explorer.set("start", False)
    np.testing.assert_allclose(curve(explorer, 1, "std / data's")[1], std / np.sqrt(k))
    assert f"{-np.log(k):.3f}".replace("-", "−") in explorer.view.text


def test_each_control_changes_what_is_shown(explorer):
    values = {"logsnr": -8, "side": 16, "mean": 0.4, "std": 0.3, "offset": 0.2, "start": False}
    for name, value in values.items():
        before = explorer.view
        explorer.set(name, value)
        assert explorer.error == ""
        assert explorer.view.text != before.text
        assert np.ptp(explorer.view.panels[2].pixels - before.panels[2].pixels) > 0
    assert Image.open(io.BytesIO(explorer.png)).size[0] >= 800


def test_the_saved_picture_is_that_of_the_view(explorer):
    explorer.set("offset", 0.15)
    lines = {line.get_gid(): line for line in explorer.figure().axes[1].lines}
    np.testing.assert_array_equal(
        lines["std / data's"].get_ydata(), curve(explorer, 1, "std / data's")[1]
    )
    content, _ = explorer._repr_mimebundle_()
    assert base64.b64decode(content["image/png"]) == explorer.png


def test_an_unknown_schedule_names_near_ones():
    with pytest.raises(ValueError, match="'DDPM linear'"):
        PriorExplorer("DDPM lineal")


@pytest.mark.parametrize("schedule", ["Stable Diffusion", "DDPM linear", "iDDPM cosine"])
def test_a_schedule_stays_although_its_slider_shows_the_nearest_step(explorer, schedule):
    explorer.set("schedule", schedule)
    level, slider = explorer.level(), explorer.description["logsnr"]
    assert level == PriorExplorer(schedule).level() == explorer.state["logsnr"]
    shown = nearest_step(slider, level)
    assert shown != level and abs(shown - level) <= slider.step / 2
    explorer.set("logsnr", level)  # as "reset" does
    assert explorer.state["schedule"] == schedule and explorer.level() == level
    explorer.set("logsnr", shown + slider.step)
    assert explorer.state["schedule"] == OWN_LEVEL and explorer.level() == shown + slider.step


def test_photographs_have_the_brightness_of_the_curves(explorer):
    explorer.set("mean", -0.2)
    pixels = np.asarray(explorer.view.panels[2].pixels).reshape(2, 5, 64, 64)
    data, samples = 2 * pixels.mean((2, 3)) - 1
    mean_ratio, std_ratio = map(float, explorer.ratios(explorer.level()))
    np.testing.assert_allclose(data, -0.2 + 0.22 * starts.QUANTILES, atol=1e-12)
    np.testing.assert_allclose(samples, -0.2 * mean_ratio + (data + 0.2) * std_ratio, atol=1e-12)
    explorer.set("schedule", "zero terminal SNR")
    kept = np.asarray(explorer.view.panels[2].pixels).reshape(2, 5, 64, 64)
    np.testing.assert_allclose(kept[1], kept[0], atol=1e-12)
    np.testing.assert_allclose(kept[0], pixels[0])


@pytest.mark.parametrize("coupling", starts.COUPLINGS)
def test_a_coupling_is_played_from_the_ring_to_the_moons(explorer, coupling):
    explorer.set("shows", "couplings")
    explorer.set("coupling", coupling)
    assert explorer.error == ""
    (cloud, table) = explorer.view.panels
    z = cloud.paths["samples"]
    assert z.shape == (starts.STEPS + 1, starts.PAIRS, 2)
    source = np.hypot(*z[0].T)
    assert abs(source.mean() - 5) < 0.1 and source.std() < 0.5  # eight Gaussians on a circle of 5
    marked = next(row for row in table.rows if row[0].startswith("▸"))
    assert coupling in marked[0] and marked[2] == f"{((z[-1] - z[0]) ** 2).sum(1).mean():.1f}"
    explorer.set("time", 0.5)
    assert explorer.view.panels[0].present == 0.5


def test_two_couplings_are_played_on_one_clock(explorer):
    explorer.set("shows", "couplings")
    explorer.set("beside", starts.FLOW)
    explorer.set("time", 0.25)
    left, right, table = explorer.view.panels
    assert (left.title, right.title) == (starts.INDEPENDENT, starts.FLOW)
    assert left.present == right.present == 0.25 and explorer.view.columns == 2
    np.testing.assert_array_equal(left.times, right.times)
    for cloud, name in ((left, starts.INDEPENDENT), (right, starts.FLOW)):
        np.testing.assert_array_equal(cloud.paths["samples"], starts.paired(name).z)
    marked = [row[0].removeprefix("▸ ") for row in table.rows if row[0].startswith("▸")]
    assert marked == [starts.INDEPENDENT, starts.FLOW]


def test_the_numbers_of_the_couplings_are_those_of_the_experiment(explorer):
    ring, moons = prior_experiments.ring_and_moons()
    independent, optimal, flow, reflow = (starts.paired(name).numbers for name in starts.COUPLINGS)
    assert abs(independent["crossings"] - 0.5) < 0.05 > optimal["crossings"]
    assert optimal["cost"] < reflow["cost"]
    assert reflow["cost"] < independent["cost"] / 3
    assert flow["cost"] == reflow["cost"]
    assert flow["path ratio"] == pytest.approx(1.53, abs=0.05)  # of the notebook
    assert reflow["path ratio"] == pytest.approx(1, abs=1e-9)
    assert ring.shape == moons.shape == (2,)


def test_the_state_comes_back_from_code_and_link(explorer):
    explorer.set("schedule", "DDPM linear")
    explorer.set("offset", 0.1)
    assert PriorExplorer.from_link(explorer.link()).state == explorer.state
    again = eval(repr(explorer), {"PriorExplorer": PriorExplorer})
    assert again.state == explorer.state
