"""The figure of two roads shows what the experiment computes."""

import numpy as np

from diffviz.lab import figures
from diffviz.lab.experiments import roads


def test_two_roads_shows_its_numbers():
    noise, kl, learning = figures.draw("two-roads").axes
    for ax in (noise, kl):
        assert [line.get_label() for line in ax.lines] == list(roads.RULES)
    np.testing.assert_allclose(
        noise.lines[0].get_ydata(), roads.equal_etas(roads.RULES[0], 10), rtol=1e-12
    )
    np.testing.assert_allclose(kl.lines[1].get_ydata()[1], roads.excess(roads.RULES[1], 10))
    names = [line.get_label() for line in learning.lines]
    assert names == list(roads.ROADS)
    for line in learning.lines:
        road = roads.learned(line.get_label())
        np.testing.assert_allclose(line.get_ydata(), road.reward.mean(0))
        np.testing.assert_allclose(line.get_xdata(), road.calls)
