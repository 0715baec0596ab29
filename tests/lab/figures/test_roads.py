"""The figure of two roads shows what the experiment computes."""

import numpy as np
import pytest
from pictures import check, check_nothing_is_cut, check_type

from diffviz import plots
from diffviz.lab import figures
from diffviz.lab.experiments import forward_process, roads
from diffviz.lab.figures.roads import draw_learning, method_colour, noise_and_cost
from diffviz.plots.style import METHOD_COLOURS


def test_two_roads_shows_its_numbers():
    noise, kl, learning = figures.draw("two-roads").axes
    for ax in (noise, kl):
        assert [line.get_label() for line in ax.lines] == list(roads.RULES)
    np.testing.assert_allclose(
        noise.lines[0].get_ydata(), roads.equal_etas(roads.RULES[0], 10), rtol=1e-12
    )
    np.testing.assert_allclose(kl.lines[1].get_ydata()[1], roads.excess(roads.RULES[1], 10))
    names = [line.get_gid() for line in learning.lines]
    assert names == list(roads.ROADS)
    assert learning.lines[0].get_label() == "FPO under fm-ot"
    assert learning.lines[0].get_color() == METHOD_COLOURS["FPO"]
    for line in learning.lines:
        road = roads.learned(line.get_gid())
        np.testing.assert_allclose(line.get_ydata(), road.reward.mean(0))
        np.testing.assert_allclose(line.get_xdata(), road.calls)


def test_the_costs_of_steps_add_up_to_that_of_the_trajectory():
    ax = figures.roads.costs_of_steps(10)
    for line in (one for one in ax.lines if one.get_gid()):
        costs = np.asarray(line.get_ydata())
        assert costs.sum() == pytest.approx(roads.excess(line.get_gid(), 10))
    names = {text.get_text() for text in ax.texts}
    assert "DanceGRPO, η_D = 0.3: sum 7.9" in names and len(names) == 4
    dance = roads.step_costs(roads.rule("DanceGRPO, η_D = 0.3"), 10)
    assert dance[:6].sum() > 0.8 * dance.sum()  # as the title says: there its noise is least
    check_type(ax.figure)
    check_nothing_is_cut(ax.figure)


def test_each_released_ratio_stands_beside_the_one_as_written():
    left, right = figures.roads.tempered().figure.axes
    assert {line.get_gid() for line in right.lines} == {"FPO", "FPO as released"}
    assert "CPS as released:\n1 of 4 goals" in {text.get_text() for text in left.texts}
    for ax in (left, right):
        for line in ax.lines:
            np.testing.assert_allclose(
                line.get_ydata(), roads.learned(line.get_gid()).reward.mean(0)
            )
    assert left.get_xlim() == right.get_xlim()
    released, own = (roads.learned(name).reward for name in ("FPO as released", "FPO"))
    assert released[:, -1].min() > own[:, -1].max() + 0.05
    check_type(left.figure)
    check_nothing_is_cut(left.figure)


def test_the_names_of_roads_stand_beside_the_ends_of_their_lines():
    (ax,) = plots.axes(8.5, 4.8, legend=1.9)
    shown = ("Flow-GRPO", "Flow-GRPO as released", "CPS as released")
    draw_learning(ax, shown, at_ends=True)
    assert ax.get_legend() is None
    assert {text.get_text().split(":")[0]: text.get_color() for text in ax.texts} == {
        name: method_colour(name) for name in shown
    }
    for text in ax.texts:
        road = roads.learned(text.get_text().split(":")[0])
        end = (road.calls[-1], road.reward.mean(0)[-1])
        assert text.xy == pytest.approx(ax.transLimits.transform(end))
        kept = road.goals[:, -1]
        assert text.get_text().split("\n")[1] == f"{kept.min()} of 4 goals"
    heights = [text.xyann[1] for text in ax.texts]
    assert np.diff(sorted(heights)).min() > 0.1299  # of the height, so that names do not touch
    check_nothing_is_cut(ax.figure)


def test_the_names_of_rules_stand_beside_their_lines():
    figure = noise_and_cost(5).figure
    for ax in figure.axes:
        assert ax.get_legend() is None
        assert {text.get_text() for text in ax.texts} == set(roads.RULES)
        assert [line.get_label() for line in ax.lines] == list(roads.RULES)
    np.testing.assert_allclose(
        figure.axes[0].lines[0].get_ydata(), roads.equal_etas(roads.RULES[0], 5)
    )
    noise = figure.axes[0]
    assert noise.get_yscale() == "log"
    assert noise.get_ylabel() == "noise over ancestral noise"
    assert noise.get_title() == "DanceGRPO adds little until the end (5 steps)"
    check_type(figure)
    check_nothing_is_cut(figure)


def test_tempered_flow_grpo_learns_faster_as_the_title_says():
    """After the first batches each seed of the one is above all seeds of the other."""
    (ax,) = plots.axes(8.5, 4.8)
    draw_learning(ax)
    assert ax.get_title() == "tempered, Flow-GRPO learns faster"
    released, own = (roads.learned(f"Flow-GRPO{kind}").reward for kind in (" as released", ""))
    assert (released.mean(0)[4:] > own.mean(0)[4:] + 0.05).all()
    assert released[:, -1].min() > own[:, -1].max() + 0.1


def test_each_method_of_the_forward_process_has_its_colour_and_all_are_named_once():
    gains = figures.draw("forward-process").axes[2]
    colours = {line.get_gid(): line.get_color() for line in gains.lines}
    assert colours["AWM"] == colours["AWM as released"] == METHOD_COLOURS["AWM"]
    assert colours["FPO"] == METHOD_COLOURS["FPO"]
    assert colours["NFT as released"] == METHOD_COLOURS["NFT"]
    (legend,) = gains.figure.legends
    assert {text.get_text() for text in legend.get_texts()} == {
        "FPO's default",
        "AWM in the paper: flow matching",
        "AWM as released",
        "NFT as released",
    }
    widths = [panel.get_position().width for panel in gains.figure.axes]
    assert widths[1] > 1.3 * max(widths[0], widths[2])  # the shoulder is in the middle
    check_nothing_is_cut(gains.figure)


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


def test_a_method_has_one_colour_whatever_its_settings():
    for name in (*roads.RULES, *roads.ROADS, *forward_process.FORWARD):
        method = next(key for key in METHOD_COLOURS if name.startswith(key))
        assert method_colour(name) == METHOD_COLOURS[method]
    assert len(set(METHOD_COLOURS.values())) == len(METHOD_COLOURS)
    assert method_colour("AWM as released") == method_colour("AWM")


def test_the_type_is_large_enough():
    for name in ("two-roads", "forward-process"):
        check_type(figures.draw(name))
