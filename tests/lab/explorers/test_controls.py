"""Arguments of explorers: what is refused, and where the refusal points."""

import importlib
import re

import numpy as np
import pytest

from diffviz.lab import explorers
from diffviz.lab.explorers import controls


@pytest.mark.parametrize("value", ["fm-otx", None, 3, ["fm-ot"], np.arange(3)])
def test_a_value_that_is_no_option_names_where_the_options_are(value):
    with pytest.raises(ValueError, match=r"unknown objective .* lists all 2"):
        controls.require_option("objective", value, ["fm-ot", "edm"], "here")


@pytest.mark.parametrize("names", ["edm", 3, None])
def test_what_is_no_list_of_names_is_refused(names):
    with pytest.raises(TypeError, match="names must be a list of names"):
        controls.name_tuple(names, "names")


@pytest.mark.parametrize("names", [np.array(3), np.ma.masked, b"edm"])
def test_what_has_nothing_to_go_through_is_no_list_of_names(names):
    with pytest.raises(TypeError, match="names must be a list of names"):
        controls.name_tuple(names, "names")


@pytest.mark.parametrize(
    "make",
    [
        lambda: explorers.ElboExplorer("nothing"),
        lambda: explorers.ElboExplorer(data="nothing"),
        lambda: explorers.PriorExplorer("nothing"),
        lambda: explorers.ScheduleExplorer("nothing"),
        lambda: explorers.StackExplorer("nothing"),
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
