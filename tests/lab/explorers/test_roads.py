"""The explorer of notebook 12: a control is set, the curves, dots and numbers are read."""

import base64

import numpy as np
import pytest

from diffviz.lab.experiments import roads
from diffviz.lab.explorers import StepNoiseExplorer
from diffviz.lab.explorers.roads import SETTINGS
from diffviz.policy import steps


@pytest.fixture
def explorer():
    return StepNoiseExplorer()


def names(explorer):
    """Labels of the rules that are drawn."""
    return list(explorer.view.charts[0].curves)


def test_it_opens_with_flow_grpo_and_the_others_pale(explorer):
    assert names(explorer) == list(roads.RULES)
    for chart in explorer.view.charts:
        assert chart.faint == roads.RULES[1:]
    noise, cost = explorer.view.charts
    for name in roads.RULES:
        np.testing.assert_allclose(noise.curves[name], roads.equal_etas(name, 10))
        wanted = [roads.excess(name, count) for count in roads.COUNTS]
        np.testing.assert_allclose(cost.curves[name], wanted)
    assert "differ 2.01 times as much as actions" in explorer.view.text


def test_the_noise_of_flow_grpo_is_that_of_its_formula(explorer):
    """a √(t/(1 − t)) √Δ on the line, over that of DDIM with η = 1."""
    explorer.set("a", 1.2)
    explorer.set("steps", 20)
    chart = explorer.view.charts[0]
    t = np.linspace(*roads.ENDS, 21)
    ratio = t / (1 - t)  # σ/α
    ancestral = t[1:] * np.sqrt(1 - (ratio[1:] / ratio[:-1]) ** 2)
    wanted = 1.2 * np.sqrt(ratio[:-1] * -np.diff(t)) / ancestral
    np.testing.assert_allclose(chart.places("Flow-GRPO, a = 1.2"), t[:-1])
    np.testing.assert_allclose(chart.curves["Flow-GRPO, a = 1.2"], wanted)
    assert chart.xlim == (1.0, 0.0)  # noise on the left


@pytest.mark.parametrize("method", roads.METHODS)
def test_each_method_has_its_own_setting(method):
    explorer = StepNoiseExplorer(method)
    assert names(explorer)[0].startswith(f"{method}, ")
    control = explorer.description[SETTINGS[method]]
    for value in (control.low, control.high):
        explorer.set(control.name, value)
        assert explorer.error == "" and "nan" not in explorer.view.text
        ((_, cost),) = explorer.view.charts[1].dots.values()
        assert cost[0] == roads.excess_of(roads.rule_of(method, value), 10)
    others = {one: explorer.state[SETTINGS[one]] for one in roads.METHODS if one != method}
    for one, value in others.items():
        assert value == StepNoiseExplorer().state[SETTINGS[one]]


def test_short_steps_of_ancestral_noise_cost_nothing(explorer):
    explorer.set("a", 1.4)
    explorer.set("steps", 160)
    cells = explorer.view.panels[2].rows[0]
    assert cells[0] == "Flow-GRPO, a = 1.4"
    assert cells[-1] == "1.00"
    assert float(cells[2]) == pytest.approx(1, abs=0.04)  # half-way, of short steps
    assert not explorer.view.charts[0].dots  # too many to be told apart


def test_the_others_can_be_left_out(explorer):
    explorer.set("others", False)
    assert names(explorer) == ["Flow-GRPO, a = 0.7"]
    assert len(explorer.view.panels[2].rows) == 1


def test_a_setting_is_that_of_the_rule():
    assert roads.rule_of("CPS", 0.3) == steps.CPSStep(0.3)
    for name in roads.RULES:
        method, setting = name.split(",")[0], float(name.split(" = ")[1])
        assert roads.rule(name) == roads.rule_of(method, setting)
    with pytest.raises(ValueError, match="'Flow-GRPO'"):
        roads.rule_of("flow-grpo", 0.5)
    with pytest.raises(ValueError, match="eta"):
        roads.rule_of("DDIM", 1.5)


def test_an_unknown_method_names_near_ones_and_a_wrong_value_is_refused():
    with pytest.raises(ValueError, match="Flow-GRPO"):
        StepNoiseExplorer("Flow-GPRO")
    with pytest.raises(ValueError, match="cps"):
        StepNoiseExplorer(cps=1.5)


def test_it_leaves_its_picture(explorer):
    content, _ = explorer._repr_mimebundle_()
    assert base64.b64decode(content["image/png"]) == explorer.png
