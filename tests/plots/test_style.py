"""Style: one colour for each objective."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from diffviz import plots
from diffviz.lab.experiments.policy import DEFAULT
from diffviz.plots.style import BROUGHT, METHOD_COLOURS


def test_a_name_without_a_colour_of_its_own_takes_one_of_the_palette():
    assert plots.colour("my own") == plots.colour("my own")
    assert plots.colour("my own") in plots.PALETTE


def oklab(colours):
    """Coordinates of colours "#RRGGBB" in OKLab, whose distances are those that are seen.

    Source: Ottosson 2020, https://bottosson.github.io/posts/oklab/
    """
    rgb = np.array([to_rgb(one) for one in colours])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    cones = [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
    opponents = [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
    return np.cbrt(linear @ np.transpose(cones)) @ np.transpose(opponents)


def test_no_method_has_a_colour_near_that_of_a_weighting():
    assert plots.colour(DEFAULT) == BROUGHT[DEFAULT]
    weightings = oklab([*plots.COLOURS.values(), *BROUGHT.values()])
    methods = oklab(METHOD_COLOURS.values())
    apart = np.linalg.norm(methods[:, None] - weightings, axis=-1).min(1)
    near = [name for name, distance in zip(METHOD_COLOURS, apart, strict=True) if distance < 0.065]
    assert near == []
    between = np.linalg.norm(methods[:, None] - methods, axis=-1) + np.eye(len(methods))
    assert between.min() > 0.07


def test_the_palette_leaves_black_to_the_elbo():
    assert plots.colour("elbo") == "#000000"
    assert "#000000" not in plots.PALETTE


@pytest.mark.parametrize("name", [None, 3, ["edm"]])
def test_a_name_that_is_no_text_is_refused(name):
    with pytest.raises(TypeError, match="name must be text"):
        plots.colour(name)
