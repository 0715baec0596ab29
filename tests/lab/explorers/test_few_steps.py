"""The explorer of few-step objectives: a control is set, curves and words are read."""

import numpy as np
import pytest

from diffviz.few_steps.objectives import LARGER_OF_TWO
from diffviz.lab.explorers.few_steps import DRAWN, LOCAL, NAMES, PLAIN, SPENT, FewStepExplorer


def curves(explorer):
    """The curves of both charts by name."""
    return {name: y for chart in explorer.view.charts for name, y in chart.curves.items()}


def test_no_power_is_no_factor():
    shown = curves(FewStepExplorer(power=0.0))
    np.testing.assert_array_equal(shown[PLAIN], shown[LOCAL])


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


def test_objectives_without_a_diagonal_are_refused():
    with pytest.raises(ValueError, match="ict"):
        FewStepExplorer("ict")
