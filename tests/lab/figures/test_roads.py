"""The figure of two roads shows what the experiment computes."""

import numpy as np
from pictures import check

from diffviz.lab import figures
from diffviz.lab.experiments import forward_process, roads


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


def test_the_forward_process_shows_its_numbers():
    first, learned, gains = figures.draw("forward-process").axes
    for ax, policy in ((first, forward_process.FIRST), (learned, forward_process.LEARNED)):
        lines = {line.get_gid(): line for line in ax.lines}
        assert set(forward_process.FORWARD) <= set(lines)
        for name in forward_process.FORWARD:
            at, heights = map(np.asarray, lines[name].get_data())
            w = forward_process.forward_objective(name, policy).weighting(at)
            middle = np.flatnonzero(at == 0).item()
            np.testing.assert_allclose(heights, np.log10(w / w[middle]), atol=1e-9)
    line = next(line for line in gains.lines if line.get_gid() == "AWM")
    np.testing.assert_allclose(line.get_ydata(), np.asarray(line.get_xdata()) / 2, atol=1e-6)


def test_the_forward_process_has_the_same_bytes_on_every_run(tmp_path):
    check("forward-process", tmp_path)
