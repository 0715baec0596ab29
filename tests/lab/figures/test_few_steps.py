"""The figure of few-step objectives shows what the experiment computes."""

import numpy as np
import pytest

from diffviz import plots
from diffviz.lab.experiments import few_steps
from diffviz.lab.figures import few_steps as figures


@pytest.mark.parametrize("name", few_steps.NAMES)
def test_a_plane_shows_the_probabilities(name):
    ax = plots.axes(4, 4)[0]
    figures.draw_plane(ax, name)
    mass, on = few_steps.plane(name)
    shown = ax.collections[0].get_array().filled(np.nan).reshape(mass.shape)
    seen = mass >= figures.LEAST
    np.testing.assert_allclose(shown.T[seen], np.log10(mass[seen]))
    assert np.isnan(shown.T[~seen]).all()
    gids = [line.get_gid() for line in ax.lines]
    assert (f"{name} diagonal" in gids) == bool(on.any())


@pytest.mark.slow
def test_errors_are_those_of_the_experiment():
    ax = plots.axes(4, 4)[0]
    figures.draw_errors(ax, few_steps.DATA[0], ["shortcut"])
    result = few_steps.errors("shortcut", few_steps.DATA[0])
    np.testing.assert_allclose(ax.lines[0].get_ydata(), result.rms)
    np.testing.assert_allclose(ax.lines[1].get_ydata(), result.unmoved)
