"""The explorer of notebook 12: a control is set, the curves, dots and numbers are read."""

import base64

import numpy as np
import pytest

from diffviz.lab.experiments import roads
from diffviz.lab.explorers import ClipExplorer, StepNoiseExplorer
from diffviz.lab.explorers.roads import CLIP, EXACT, SETTINGS
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


# --- clips of released codes ---------------------------------------------------------------------


def at_the_clip(explorer):
    """The exact ratios at the clip, by the table."""
    rows = explorer.view.panels[2].rows
    return {name: float(ratio.replace("10^", "1e")) for name, _, ratio in rows}


def test_each_code_is_clipped_where_its_power_of_the_exact_ratio_is():
    explorer = ClipExplorer(components=3, clip=0.1, time=0.5)
    powers = roads.released_powers(3)
    wanted = {
        EXACT: 1.1,
        "Flow-GRPO": 1.1 ** (1 / powers["Flow-GRPO, a = 0.7"].measured),
        "CPS": 1.1 ** (1 / powers["CPS, η_C = 0.5"].measured),
        "FPO": 1.1 ** (1 / powers["FPO, flow matching"].measured),
    }
    assert at_the_clip(explorer) == pytest.approx(wanted, rel=2e-3)
    ratios, clips = explorer.view.charts
    assert set(ratios.curves[CLIP]) == {1.1}
    for name, exact in wanted.items():
        place = np.log10(exact)
        assert ratios.dots[name][0][0] == pytest.approx(place, rel=3e-2)
        assert clips.dots[name][1][0] == pytest.approx(exact - 1, rel=2e-3)
        curve = np.interp(place, ratios.places(name), ratios.curves[name])
        assert curve == pytest.approx(1.1, rel=2e-3)
        above = np.interp(3, clips.places(name), clips.curves[name])
        assert above == pytest.approx(exact - 1, rel=0.02)


def test_each_control_of_the_clip_moves_what_it_says():
    explorer = ClipExplorer()
    first = at_the_clip(explorer)
    explorer.set("time", 0.1)
    moved = at_the_clip(explorer)
    assert {name for name in first if moved[name] != first[name]} == {"CPS"}
    explorer.set("weighting", "its default")
    assert at_the_clip(explorer)["FPO"] > first["FPO"]
    explorer.set("clip", 0.1)
    assert at_the_clip(explorer)[EXACT] == 1.1
    explorer.set("components", 256)
    rows = {name: ratio for name, _, ratio in explorer.view.panels[2].rows}
    assert rows["Flow-GRPO"] == f"10^{256 * np.log10(1.1):.0f}"
    assert explorer.error == "" and list(explorer.view.charts[1].dots) == [EXACT]


@pytest.mark.parametrize("wrong", [{"components": 0}, {"clip": 2.0}, {"weighting": "edm"}])
def test_a_wrong_clip_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ClipExplorer(**wrong)
