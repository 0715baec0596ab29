"""Losses that are not squared in the explorer of weightings: what their sliders do to w."""

import subprocess
import sys

import numpy as np
import pytest
from cells import in_one_test
from scipy.special import erf, expit

import diffviz as dv
from diffviz.lab.explorers import error_losses
from diffviz.lab.explorers.weighting import WeightingExplorer


@pytest.fixture
def explorer():
    return WeightingExplorer(("fm-ot", "edm"), "EDM", loss="Huber", scale="w / max")


@pytest.fixture
def before(explorer):
    """The picture before anything is set."""
    return explorer.png


def drawn(explorer, name="fm-ot"):
    """The curve of an objective before it is scaled."""
    return explorer.curves()[name]


def error_of_u(logsnr):
    """Mean squared error of the exact velocity on N(0, 1): 1/((1 − t)² + t²)."""
    time = 1 / (1 + np.exp(logsnr / 2))
    return 1 / ((1 - time) ** 2 + time**2)


@pytest.mark.parametrize("size", [0.02, 0.5, 3.0])
def test_huber_multiplies_w_by_an_error_function(explorer, size):
    explorer.set("threshold", size)
    at = explorer.grid
    expected = np.exp(-at / 2) * erf(size / np.sqrt(2 * error_of_u(at)))
    np.testing.assert_allclose(drawn(explorer), expected, rtol=1e-9)
    assert explorer.view.panels[1].head == error_losses.HEAD
    least = erf(size / np.sqrt(2 * error_of_u(at).max()))
    assert explorer.view.panels[1].rows[0][3] == f"{least:.3f}"


def test_the_threshold_may_follow_the_snr(explorer):
    explorer.set("schedule", "by SNR")
    explorer.set("least", 0.2)
    at = explorer.grid
    size = 0.8 / (1 + np.exp(-at / 2)) ** 2 + 0.2
    expected = np.exp(-at / 2) * erf(size / np.sqrt(2 * error_of_u(at)))
    np.testing.assert_allclose(drawn(explorer), expected, rtol=1e-9)
    assert "from 1 at data to 0.2 at noise" in explorer.view.text


@pytest.mark.parametrize(("name", "toy"), error_losses.TOYS.items())
def test_errors_on_a_toy_are_those_of_one_component(explorer, name, toy):
    explorer.set("errors", name)
    at = explorer.grid[::100]
    known = dv.toy(toy)
    error = known.mmse(at) / known.shape[0] * (1 + np.exp(-at / 2)) ** 2
    expected = np.exp(-at / 2) * erf(0.5 / np.sqrt(2 * error))
    np.testing.assert_allclose(drawn(explorer)[::100], expected, rtol=1e-9)


def test_errors_on_photographs_are_those_of_one_pixel(explorer):
    explorer.set("errors", "photographs")
    error = error_losses.photograph_errors(np.array([-12.0, 30.0]))
    assert error[0] < 1e-3 and error[1] == pytest.approx(1, abs=1e-3)
    assert drawn(explorer)[300] < expit(0) * 2


@pytest.mark.parametrize("loss", error_losses.KINDS)
def test_a_large_threshold_gives_the_squared_loss_back(loss):
    plain = WeightingExplorer(("edm",), "none")
    local = WeightingExplorer(("edm",), "none", loss=loss, threshold=10)
    ratio = drawn(local, "edm") / drawn(plain, "edm")
    assert ratio.min() > 0.98
    assert ratio.max() <= 1
    small = WeightingExplorer(("edm",), "none", loss=loss, threshold=0.01)
    assert (drawn(small, "edm") / drawn(plain, "edm")).min() < 0.02


def test_what_is_shown_is_what_python_gets(explorer):
    explorer.set("loss", "log-cosh")
    for name, objective in explorer.objectives().items():
        np.testing.assert_allclose(drawn(explorer, name), objective.weighting(explorer.grid))
    flow = dv.with_loss(dv.objective("fm-ot"), dv.losses.log_cosh(0.5), expit)
    np.testing.assert_allclose(drawn(explorer), flow.weighting(explorer.grid), rtol=1e-12)
    again = WeightingExplorer.from_link(explorer.link())
    assert again.state == explorer.state
    names = {}
    exec(explorer.code().replace("\n\n", "\n\nagain = "), names)
    assert names["again"].state == explorer.state


def test_a_loss_is_not_changed_twice():
    own = dv.with_loss(dv.objective("fm-ot"), "huber", expit)
    explorer = WeightingExplorer((), "none", objectives={"mine": own}, loss="Huber", threshold=0.01)
    np.testing.assert_array_equal(drawn(explorer, "mine"), own.weighting(explorer.grid))
    assert explorer.objectives()["mine"] is own


def test_errors_of_a_network_are_passed_from_python():
    levels = np.linspace(-8, 8, 9)
    errors = {"a run": (levels, 2 * np.exp(levels / 4)), "exact": lambda at: 2 * expit(at)}
    explorer = WeightingExplorer(
        ("fm-ot",), "none", network_errors=errors, components=2, loss="Huber", errors="a run"
    )
    at = explorer.grid
    error = np.exp(np.clip(at, -8, 8) / 4) * (1 + np.exp(-at / 2)) ** 2
    np.testing.assert_allclose(drawn(explorer), np.exp(-at / 2) * erf(0.5 / np.sqrt(2 * error)))
    assert "at the errors that were passed as a run" in explorer.view.text
    explorer.set("errors", "exact")
    exact = WeightingExplorer(("fm-ot",), "none", loss="Huber")
    np.testing.assert_allclose(drawn(explorer), drawn(exact), rtol=1e-12)
    names = {"network_errors": errors}
    exec(explorer.code().replace("\n\n", "\n\nagain = "), names)
    assert names["again"].state == explorer.state


@pytest.mark.parametrize(
    ("errors", "components", "error", "message"),
    [
        ({"N(0, 1)": expit}, 1, ValueError, "'N\\(0, 1\\)' in network_errors is taken"),
        ([expit], 1, TypeError, "network_errors maps names"),
        ({3: expit}, 1, TypeError, "has the name 3"),
        ({"run": 0.3}, 1, TypeError, "errors must be a function"),
        ({"run": ([0.0, 1.0], [1.0, -1.0])}, 1, ValueError, "errors must be above 0"),
        ({"run": expit}, 0, ValueError, "components"),
    ],
)
def test_errors_that_cannot_be_used_are_refused(errors, components, error, message):
    with pytest.raises(error, match=message):
        WeightingExplorer(network_errors=errors, components=components)


def test_its_controls_show_only_where_they_count():
    explorer = WeightingExplorer(("edm",))
    mine = {"schedule", "threshold", "least", "errors"}
    assert not mine & set(explorer.description.shown(explorer.state))
    explorer.set("loss", "Huber")
    assert mine & set(explorer.description.shown(explorer.state)) == mine - {"least"}
    explorer.set("schedule", "by SNR")
    assert mine & set(explorer.description.shown(explorer.state)) == mine - {"threshold"}


def test_a_weighting_is_drawn_by_hand_for_the_squared_loss_only(explorer):
    explorer.set("scale", "log10, anchored")
    explorer.set("drawing", True)
    assert explorer.view.charts[0].strokes == ""
    explorer.set("loss", "squared")
    assert explorer.view.charts[0].strokes == "drawn"


def test_what_has_no_weight_on_the_picture_says_so():
    explorer = WeightingExplorer((), "none", table="logsnr, w\n13, 1\n14, 2", loss="Huber")
    assert explorer.view.panels[1].rows == [("own table", "outside [−12, 12]", "", "")]


def test_the_verdict_is_that_of_the_local_weighting(explorer):
    explorer.set("threshold", 0.02)
    cells = explorer.view.panels[1].rows[1]
    local = explorer.objectives()["edm"]
    verdict = dv.verdict(local, explorer.grid)
    assert cells[1] == error_losses.verdict_words(verdict)
    assert dv.verdict(dv.objective("edm")).peak < -3 < 5 < verdict.peak
    inside = np.linspace(-10, 10, 4001)
    w = local.weighting(inside)
    below = np.trapezoid(w[:2001], inside[:2001]) / np.trapezoid(w, inside)
    assert float(cells[2].rstrip("%")) == pytest.approx(100 * below, abs=0.1)


@in_one_test
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("threshold", -1, "threshold must"),
        ("threshold", 0, "threshold must"),
        ("threshold", float("nan"), "threshold must"),
        ("threshold", "wide", "threshold must"),
        ("least", 2, "least must"),
        ("loss", "hubr", "Huber"),
        ("errors", "ring8", "ring of 8"),
        ("schedule", "snr", "by SNR"),
    ],
)
def test_what_makes_no_sense_is_refused(explorer, before, name, value, message):
    with pytest.raises((ValueError, TypeError), match=message):
        explorer.set(name, value)
    assert explorer.png == before


def test_torch_is_imported_beside_other_work_when_a_loss_is_chosen():
    code = """
import sys
from diffviz.lab.explorers import WeightingExplorer, error_losses
explorer = WeightingExplorer()
assert "torch" not in sys.modules
explorer.settled(explorer.state | {"loss": "Huber"}, "loss")
error_losses.load_toys().join()
assert "torch" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
