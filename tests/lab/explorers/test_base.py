"""What all explorers are made of: controls, a picture that is quick to draw again, messages."""

import importlib
import re

import ipywidgets as widgets
import numpy as np
import pytest

from diffviz import plots
from diffviz.lab import explorers
from diffviz.lab.explorers import base


class Recorder:
    """An update that writes down the controls that called it."""

    def __init__(self):
        self.calls = []

    def __call__(self, changed):
        self.calls.append(changed)
        if changed == "broken":
            raise RuntimeError("broken <here>")
        return f"after {changed}"


@pytest.fixture
def explorer():
    controls = {
        "level": widgets.IntSlider(0),
        "press": widgets.Button(),
        "broken": widgets.Checkbox(),
    }
    return base.Explorer(plots.axes()[0].figure, controls, Recorder(), widgets.VBox())


def test_a_change_and_a_press_update_by_the_name_of_the_control(explorer):
    explorer.controls["level"].value = 3
    explorer.controls["press"].click()
    assert explorer._update_view.calls == ["", "level", "press"]
    assert explorer.text.value == "after press"


def test_an_error_in_an_update_is_shown_and_the_picture_stays(explorer):
    before = explorer.png
    explorer.controls["broken"].value = True
    assert "RuntimeError: broken &lt;here&gt;" in explorer.text.value
    assert explorer.png == before
    explorer.controls["level"].value = 3
    assert explorer.text.value == "after level"


def test_a_control_that_the_update_sets_does_not_update_again():
    slider, calls = widgets.IntSlider(0), []

    def update(changed):
        calls.append(changed)
        if changed:
            slider.value = 7
        return ""

    explorer = base.Explorer(plots.axes()[0].figure, {"level": slider}, update)
    slider.value = 3
    assert calls == ["", "level"] and slider.value == 7
    assert repr(explorer) == "Explorer(level)"


@pytest.mark.parametrize("value", ["fm-otx", None, 3, ["fm-ot"], np.arange(3)])
def test_a_value_that_is_no_option_names_where_the_options_are(value):
    with pytest.raises(ValueError, match=r"unknown objective .* lists all 2"):
        base.require_option("objective", value, ["fm-ot", "edm"], "here")


@pytest.mark.parametrize("names", ["edm", 3, None])
def test_what_is_no_list_of_names_is_refused(names):
    with pytest.raises(TypeError, match="names must be a list of names"):
        base.name_tuple(names, "names")


@pytest.mark.parametrize(
    "make",
    [
        lambda: explorers.ElboExplorer("nothing"),
        lambda: explorers.ElboExplorer(data="nothing"),
        lambda: explorers.PriorExplorer("nothing"),
        lambda: explorers.ScheduleExplorer("nothing"),
        lambda: explorers.TrajectoryExplorer("nothing"),
        lambda: explorers.TrajectoryExplorer(solver="nothing"),
        lambda: explorers.TrajectoryExplorer(grid="nothing"),
        lambda: explorers.TrainingDashboard(("nothing",)),
        lambda: explorers.TrainingDashboard(toy="nothing"),
        lambda: explorers.CapacityExplorer(name="nothing"),
        lambda: explorers.WeightingExplorer(family="nothing"),
    ],
)
def test_a_refusal_names_a_listing_that_exists(make):
    with pytest.raises(ValueError, match="unknown") as refusal:
        make()
    listing = re.search(r"(diffviz[\w.]+)\.(\w+) lists all", str(refusal.value))
    assert len(getattr(importlib.import_module(listing[1]), listing[2])) > 1


@pytest.mark.parametrize("names", [np.array(3), np.ma.masked, b"edm"])
def test_what_has_nothing_to_go_through_is_no_list_of_names(names):
    with pytest.raises(TypeError, match="names must be a list of names"):
        base.name_tuple(names, "names")
