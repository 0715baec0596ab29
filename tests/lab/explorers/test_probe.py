"""The explorer of the probe: a control is set, the line is read."""

import numpy as np
import pytest

from diffviz.lab import losses
from diffviz.lab.explorers.probe import ProbeExplorer


@pytest.fixture(scope="module")
def explorer():
    return ProbeExplorer()


def curve(explorer, panel, name):
    return next(line for line in explorer.panels[panel].lines if line.get_gid() == name).get_ydata()


def test_the_ratio_of_two_losses_is_that_of_their_closed_forms(explorer):
    explorer.controls["left"].value, explorer.controls["right"].value = "EDM", "mystery A"
    grid, wanted = (
        explorer.grid,
        np.log10((np.exp(-explorer.grid) + 0.25) / (np.exp(-explorer.grid) + 1)),
    )
    inside = np.isfinite(curve(explorer, 1, "ratio"))
    np.testing.assert_allclose(
        curve(explorer, 1, "ratio")[inside], (wanted - wanted[80])[inside], atol=2e-3
    )
    assert (
        grid[inside].min() < -4.5
        and "closest: edm" in explorer.text.value
        and "sgm-edm-v" in explorer.text.value
    )


def test_the_anchor_is_where_both_are_zero(explorer):
    explorer.controls["left"].value, explorer.controls["right"].value = "flow matching", "SD3"
    explorer.controls["anchor"].value = 2
    at = np.abs(explorer.grid - 2).argmin()
    assert curve(explorer, 0, "loss")[at] == curve(explorer, 0, "beside")[at] == 0


def test_one_loss_is_not_enough():
    with pytest.raises(ValueError, match="two losses"):
        ProbeExplorer({"one": losses.edm})


@pytest.mark.parametrize(
    ("bad", "error", "words"),
    [
        ({"losses": [losses.edm, losses.edm]}, TypeError, "losses must map names to losses"),
        ({"losses": {}}, ValueError, "two losses are compared, 0 given"),
        ({"x": [[np.nan, 0.0]]}, ValueError, "x must not be NaN|x must be finite"),
        ({"x": [["a", "b"]]}, TypeError, "x must hold real numbers"),
    ],
)
def test_what_cannot_be_probed_is_refused(bad, error, words):
    with pytest.raises(error, match=words):
        ProbeExplorer(**bad)


def test_names_of_losses_are_escaped():
    explorer = ProbeExplorer({"a <b> loss": losses.edm, "another": losses.ddpm})
    assert "a &lt;b&gt; loss" in explorer.text.value and "loss:" in explorer.text.value
