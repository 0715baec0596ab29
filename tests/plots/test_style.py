"""Style: one colour for each objective."""

import pytest

from diffviz import plots
from diffviz.lab.experiments.policy import DEFAULT
from diffviz.lab.figures.policy import METHOD_COLOURS
from diffviz.plots.style import METHODS


def test_a_name_without_a_colour_of_its_own_takes_one_of_the_palette():
    assert plots.colour("my own") == plots.colour("my own")
    assert plots.colour("my own") in plots.PALETTE


def test_the_weighting_of_a_method_has_the_colour_of_the_method():
    assert plots.colour(DEFAULT) == METHOD_COLOURS["FPO"]
    assert set(METHODS.values()) <= set(METHOD_COLOURS.values())


def test_the_palette_leaves_black_to_the_elbo():
    assert plots.colour("elbo") == "#000000"
    assert "#000000" not in plots.PALETTE


@pytest.mark.parametrize("name", [None, 3, ["edm"]])
def test_a_name_that_is_no_text_is_refused(name):
    with pytest.raises(TypeError, match="name must be text"):
        plots.colour(name)
