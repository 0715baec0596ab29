"""The explorer of the probe: a control is set, the line is read."""

import numpy as np
import pytest

import diffviz as dv
from diffviz.lab import losses
from diffviz.lab.experiments import probing
from diffviz.lab.explorers.probe import OWN, ProbeExplorer, anchored

GOOD = """
def helper(t):
    return (t / (1 - t)) ** 2

def loss(model, x):
    t = torch.rand(len(x), 1)
    eps = torch.randn_like(x)
    out = model((1 - t) * x + t * eps, t)
    return (helper(t) * (out - (eps - x)) ** 2).mean()
"""


@pytest.fixture(scope="module")
def made():
    return ProbeExplorer()


@pytest.fixture
def explorer(made):
    for name, value in made.description.start.items():
        if name != "own":
            made.set(name, value)
    return made


def curve(explorer, panel, side):
    curves = explorer.view.charts[panel].curves
    return next(values for name, values in curves.items() if name.split(":")[0] == side)


def test_the_ratio_of_two_losses_is_that_of_their_closed_forms(explorer):
    explorer.set("loss", "EDM")
    explorer.set("beside", "mystery A")
    grid, wanted = (
        explorer.grid,
        np.log10((np.exp(-explorer.grid) + 0.25) / (np.exp(-explorer.grid) + 1)),
    )
    inside = np.isfinite(curve(explorer, 1, "ratio"))
    np.testing.assert_allclose(
        curve(explorer, 1, "ratio")[inside], (wanted - wanted[80])[inside], atol=2e-3
    )
    loss, beside = explorer.view.text.splitlines()[1:3]
    assert grid[inside].min() < -4.5
    assert loss.startswith("EDM  x  variance-exploding  edm (0.0%)")
    assert "sgm-edm-v" in beside


def test_what_is_far_from_every_objective_has_nothing_close(explorer):
    """Mystery E deviates by 45 % from the nearest, mystery C by 80 %; A and D have a twin each."""
    explorer.set("loss", "mystery E")
    explorer.set("beside", "mystery C")
    for row in explorer.view.text.splitlines()[1:3]:
        assert "nothing close" in row
        assert "%" not in row
    names = {name.split(":")[0] for name in explorer.view.panels[0].curves}
    assert names == {"loss", "beside"}
    explorer.set("beside", "mystery D")
    assert "sd3-ln-minus0.5-1 (0.0%)" in explorer.view.text
    assert "meanflow" not in explorer.view.text


def test_the_anchor_is_where_both_are_zero(explorer):
    explorer.set("loss", "flow matching")
    explorer.set("beside", "SD3")
    explorer.set("anchor", 2)
    at = np.abs(explorer.grid - 2).argmin()
    assert curve(explorer, 0, "loss")[at] == curve(explorer, 0, "beside")[at] == 0


def test_where_nothing_is_drawn_at_the_anchor_the_nearest_level_stands_for_it():
    grid = np.array([-1.0, 0.0, 1.0, 2.0])
    moved = anchored(np.array([np.nan, np.nan, 3.0, 5.0]), grid, -1.0)
    np.testing.assert_array_equal(moved, [np.nan, np.nan, 0.0, 2.0])


def test_on_the_error_of_x_a_weighting_is_e_to_the_logsnr_times_that_on_eps(explorer):
    on_eps = curve(explorer, 0, "loss")
    ratio = curve(explorer, 1, "ratio")
    explorer.set("base", "x")
    inside = np.isfinite(on_eps)
    gained = (curve(explorer, 0, "loss") - on_eps)[inside]
    np.testing.assert_allclose(gained, (explorer.grid / np.log(10))[inside], atol=1e-9)
    np.testing.assert_array_equal(curve(explorer, 1, "ratio"), ratio)


def test_the_nearest_objective_lies_over_the_loss(explorer):
    explorer.set("loss", "SD3")
    nearest = next(iter(explorer.measured("SD3").matches)).name
    drawn = explorer.view.charts[0].curves
    near = np.abs(explorer.grid) < 4  # where SD3 draws many
    np.testing.assert_allclose(
        curve(explorer, 0, "loss")[near], np.asarray(drawn[nearest])[near], atol=5e-3
    )
    w = dv.objective(nearest).weighting(explorer.grid)
    np.testing.assert_allclose(drawn[nearest], np.log10(w / w[80]), atol=1e-9)
    explorer.set("nearest", False)
    assert set(explorer.view.charts[0].curves) == {"loss: SD3", "beside: DDPM"}


def test_a_pasted_loss_is_run_and_shown(explorer):
    explorer.set("own", GOOD)
    assert explorer.error == "" and explorer.state["loss"] == OWN
    # w of flow matching is e^(−λ/2); (t / (1 − t))² on its path is e^(−λ)
    wanted = -1.5 * explorer.grid / np.log(10)
    near = np.abs(explorer.grid) < 4
    np.testing.assert_allclose(curve(explorer, 0, "loss")[near], wanted[near], atol=5e-3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def loss(model, x):\n    return y.mean()", "NameError in line 2 of your loss: name 'y'"),
        ("def loss(model, x)\n    return 1", "SyntaxError in line 1 of your loss"),
        ("1 / 0", "ZeroDivisionError in line 1 of your loss"),
        ("", "must define loss"),
        ("def one(a, b): pass\ndef two(a, b): pass", "it defines 2 functions"),
    ],
)
def test_a_pasted_loss_that_fails_is_explained_by_its_line_and_the_picture_stays(
    explorer, text, words
):
    before, state = explorer.view, explorer.state
    explorer.set("own", text)
    assert words in explorer.error
    assert explorer.view is before and explorer.state == state
    explorer.set("anchor", 1)
    assert explorer.error == ""


def test_a_loss_in_a_link_is_not_run_before_the_reader_says_so(tmp_path):
    mark = tmp_path / "ran"
    text = f"open({str(mark)!r}, 'w').close()\n{GOOD}"
    sender = ProbeExplorer(own=text, loss=OWN)
    link = sender.link()
    assert sender.view and mark.exists()
    mark.unlink()
    reader = ProbeExplorer.from_link(link)
    assert reader.state == sender.state
    assert "has not been run" in reader.view.text and not mark.exists()
    reader.set("own", text)
    assert "has not been run" not in reader.view.text and mark.exists()


def test_losses_of_the_reader_are_probed_on_their_data(explorer):
    ours = ProbeExplorer({"a <b> loss": losses.edm, "DDPM": losses.ddpm}, explorer.x[:64])
    assert ours.view.text.splitlines()[1].startswith("a <b> loss  x")
    np.testing.assert_allclose(
        ours.measured("a <b> loss").w, probing.library_reading("EDM").w, rtol=0.02
    )


def test_one_loss_is_not_enough():
    with pytest.raises(ValueError, match="two losses"):
        ProbeExplorer({"one": losses.edm})


@pytest.mark.parametrize(
    ("bad", "error", "words"),
    [
        ({"losses": [losses.edm, losses.edm]}, TypeError, "losses must map names to losses"),
        ({"losses": {}}, ValueError, "two losses are compared, 0 given"),
        ({"losses": {OWN: losses.edm, "b": losses.sd3}}, ValueError, "no loss can have the name"),
        ({"x": [[np.nan, 0.0]]}, ValueError, "x must not be NaN|x must be finite"),
        ({"x": [["a", "b"]]}, TypeError, "x must hold real numbers"),
        ({"loss": "EDMM"}, ValueError, "'EDM'"),
    ],
)
def test_what_cannot_be_probed_is_refused(bad, error, words):
    with pytest.raises(error, match=words):
        ProbeExplorer(**bad)


def test_names_of_losses_are_plain_text():
    explorer = ProbeExplorer({"a <b> loss": losses.edm, "another": losses.ddpm})
    assert "a <b> loss" in explorer.view.text
