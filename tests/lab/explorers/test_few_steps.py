"""The explorer of few-step objectives: a control is set, curves and words are read."""

import numpy as np
import pytest
import torch

import diffviz as dv
from diffviz.few_steps import maps
from diffviz.few_steps.objectives import LARGER_OF_TWO
from diffviz.lab.explorers.few_steps import (
    AVERAGE,
    DRAWN,
    EULER,
    IDENTITY,
    ITSELF,
    JUMP,
    LOCAL,
    MAP,
    NAMES,
    PATH,
    PLAIN,
    SPENT,
    TARGET,
    VELOCITY,
    FewStepExplorer,
)
from diffviz.lab.figures.few_steps import colour


def curves(explorer):
    """The curves of both charts by name."""
    return {name: y for chart in explorer.view.charts for name, y in chart.curves.items()}


def test_no_power_is_no_factor():
    shown = curves(FewStepExplorer(power=0.0))
    np.testing.assert_array_equal(shown[PLAIN], shown[LOCAL])


@pytest.mark.parametrize("std", [0.3, 2.0])
def test_the_factor_itself_is_what_lies_between_the_weightings(std):
    shown = curves(FewStepExplorer(std=std))
    ratio = shown[LOCAL] / shown[PLAIN]
    np.testing.assert_allclose(shown[ITSELF] / shown[ITSELF].max(), ratio / ratio.max(), rtol=1e-9)
    assert shown[ITSELF].max() == pytest.approx(max(shown[PLAIN].max(), shown[LOCAL].max()))


def test_a_factor_of_power_one_spends_what_is_drawn():
    """With p = 1 and a small c each draw counts as much as any other."""
    explorer = FewStepExplorer(floor=1e-4, std=1.0)
    shown = curves(explorer)
    expected = LARGER_OF_TWO.pdf(explorer.grid)
    np.testing.assert_allclose(shown[SPENT], expected, atol=1e-4)
    np.testing.assert_allclose(shown[DRAWN], expected, atol=1e-4)
    assert "overlap by 100 %" in explorer.view.text
    assert explorer.set("power", 0.0) is None
    assert np.abs(curves(explorer)[SPENT] - expected).max() > 0.02


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("control", "value"), [("std", 1.0), ("power", 0.3), ("floor", 2.0)])
def test_each_control_changes_the_view(name, control, value):
    explorer = FewStepExplorer(name)
    before = curves(explorer)[LOCAL]
    explorer.set(control, value)
    assert np.abs(curves(explorer)[LOCAL] - before).max() > 0.01


@pytest.mark.parametrize("name", NAMES)
def test_a_diagonal_has_the_colour_of_its_objective_in_both_charts(name):
    weightings, densities = FewStepExplorer(name).view.charts
    own = colour(f"{name}, diagonal")
    assert (weightings.colours[PLAIN], densities.colours[DRAWN]) == (own, own)
    assert weightings.colours[LOCAL] == densities.colours[SPENT] == colour("with the factor")
    assert own != colour("with the factor")


def test_meanflow_has_one_colour_with_a_remark_and_without():
    shades = {colour(name) for name in ("meanflow", "meanflow, diagonal", "without the factor")}
    assert len(shades) == 1


def test_objectives_without_a_diagonal_are_refused():
    with pytest.raises(ValueError, match="ict"):
        FewStepExplorer("ict")


def ends(explorer):
    """Where the jump by the average velocity and one Euler step begin and end."""
    along = explorer.view.charts[0]
    return along.curves[JUMP], along.curves[EULER]


def test_a_jump_of_one_gaussian_keeps_the_standard_score():
    """The exact map of N(0, 0.3²) divides by one standard deviation and multiplies by the next."""
    explorer = FewStepExplorer(shows=MAP, data="N(0, 0.3²)", z=1.0, t=0.79, r=0.21)

    def std(t):
        return np.hypot((1 - t) * 0.3, t)

    jump, euler = ends(explorer)
    assert jump == pytest.approx([std(t) / std(0.99) for t in (0.79, 0.21)], abs=1e-3)
    slope = jump[0] * (-(1 - 0.79) * 0.09 + 0.79) / std(0.79) ** 2
    assert euler[1] == pytest.approx(jump[0] - (0.79 - 0.21) * slope, abs=2e-3)
    average = (jump[0] - jump[1]) / (0.79 - 0.21)
    assert f"u = {average:.3f}" in explorer.view.text.replace("−", "-")


def test_a_jump_of_two_clusters_lands_where_the_solver_does():
    explorer = FewStepExplorer(shows=MAP, z=0.5, t=0.99, r=0.01)
    z = torch.tensor([[0.5]], dtype=torch.float64)
    exact = maps.exact_map(dv.toy("gmm1"), z, 0.99, 0.01).item()
    jump, euler = ends(explorer)
    assert jump == pytest.approx([0.5, exact], abs=1e-6)
    assert abs(euler[1] - exact) > 0.2
    through = explorer.view.charts[1]
    assert np.interp(0.5, through.places(JUMP), through.curves[JUMP]) == pytest.approx(exact)
    path = explorer.view.charts[0].curves[PATH]
    assert path[0] == pytest.approx(0.5) and path[-1] == pytest.approx(exact, abs=1e-6)


def test_a_short_jump_is_an_euler_step():
    """On the diagonal the average velocity is the velocity; r stays below t."""
    explorer = FewStepExplorer(shows=MAP, t=0.5, r=0.9)
    jump, euler = ends(explorer)
    assert jump == pytest.approx(euler, abs=2e-3)
    assert "to r = 0.49" in explorer.view.text


@pytest.mark.parametrize(("control", "value"), [("z", 1.0), ("t", 0.6), ("r", 0.4)])
def test_each_control_of_the_map_changes_the_view(control, value):
    explorer = FewStepExplorer(shows=MAP)
    before = np.concatenate(ends(explorer))
    explorer.set(control, value)
    assert np.abs(np.concatenate(ends(explorer)) - before).max() > 0.01


@pytest.mark.parametrize(("z", "close"), [(-1.0, 5e-3), (-0.5, 0.02), (0.8, 5e-3)])
def test_the_identity_holds_along_each_path(z, close):
    """By differences of rows 0.02 apart; near z = -0.5, where paths part, they bend the most."""
    explorer = FewStepExplorer(shows=IDENTITY, z=z, end=0.21)
    chart = explorer.view.charts[1]
    t = chart.places(TARGET)
    np.testing.assert_allclose(chart.curves[TARGET], chart.curves[AVERAGE], atol=close)
    assert np.abs(chart.curves[VELOCITY] - chart.curves[AVERAGE]).max() > 0.1
    toy, start = dv.toy("gmm1"), torch.tensor([[z]], dtype=torch.float64)
    for place in (3, 20):
        begun, ended = (maps.exact_map(toy, start, 0.99, time).item() for time in (t[place], 0.21))
        average = (begun - ended) / (t[place] - 0.21)
        assert chart.curves[AVERAGE][place] == pytest.approx(average, abs=1e-6)


@pytest.mark.parametrize(
    ("control", "value"), [("z", 1.0), ("at", 0.51), ("end", 0.05), ("data", "N(0, 0.3²)")]
)
def test_each_control_of_the_identity_changes_the_view(control, value):
    explorer = FewStepExplorer(shows=IDENTITY)
    before = explorer.view.text
    explorer.set(control, value)
    assert explorer.view.text != before


def test_the_average_of_the_identity_ends_below_where_it_begins():
    explorer = FewStepExplorer(shows=IDENTITY, at=0.05, end=0.93)
    assert "At t = 0.95" in explorer.view.text
    assert explorer.view.charts[1].xlabel == "time t   [r stays at 0.93]"
