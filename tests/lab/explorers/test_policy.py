"""The explorers of notebook 6: a control is set, the curve, the dots or the words are read."""

import base64
import threading

import numpy as np
import pytest

from diffviz.lab.experiments import policy as policy_experiments
from diffviz.lab.experiments import progress
from diffviz.lab.experiments.policy import Learned, Learning
from diffviz.lab.explorers.colours import BEST
from diffviz.lab.explorers.policy import (
    ACTIONS,
    BEFORE,
    GOALS,
    NO_DRAWS,
    REWARD,
    LearningExplorer,
    PolicyExplorer,
    captions_of,
)
from diffviz.web.pictures import Cloud

pytestmark = pytest.mark.slow

LONGEST = 120.0  # s that a test waits for a run


@pytest.fixture
def explorer():
    return PolicyExplorer()


def dots(explorer, panel=0):
    """Places and values of the dots of the chosen weighting."""
    x, y = explorer.view.charts[panel].dots[explorer.state["weighting"]]
    return np.asarray(x), np.asarray(y)


def test_the_elbo_is_the_exact_log_ratio_at_every_scale(explorer):
    explorer.set("weighting", "elbo")
    for log_c in (-4, -1, 1):
        explorer.set("log_c", log_c)
        x, y = dots(explorer)
        np.testing.assert_allclose(x, y, atol=1e-9)
        assert "correlation with the exact log-ratio 1.000" in explorer.view.text


@pytest.mark.parametrize(("log_c", "fine"), [(-2, 0.5), (-1, 0.2), (0, 0.5)])
def test_flow_matching_counts_the_fine_part_by_the_square_root_of_c(log_c, fine):
    explorer = PolicyExplorer("fm-ot", log_c=log_c, fine=fine, size=0.8)
    move = 0.8 * np.sqrt([1 - fine, fine])
    parts = explorer.x * move - move**2 / 2
    x, y = dots(explorer)
    np.testing.assert_allclose(x, parts.sum(1), atol=1e-12)
    np.testing.assert_allclose(y, parts @ [1, 10 ** (log_c / 2)], atol=1e-6)
    np.testing.assert_allclose(np.concatenate(dots(explorer, 1)), [log_c, log_c / 2], atol=1e-6)
    wanted = policy_experiments.two_scale_correlation(10 ** (log_c / 2), 1 - fine)
    row = explorer.view.panels[2].rows[0]
    assert row[0] == "fm-ot" and row[-1] == f"{wanted:.3f}"
    assert row[3] == f"{10 ** (log_c / 2):.4f}"


def test_more_draws_come_closer_and_another_seed_draws_others(explorer):
    exact, off = dots(explorer)[1], {}
    for m in ("1", "8", "128"):
        explorer.set("draws", m)
        off[m] = np.std(dots(explorer)[1] - exact)
    assert off["1"] > 2 * off["8"] > 6 * off["128"]
    assert "before the average" in explorer.view.text
    before = dots(explorer)[1]
    explorer.set("seed", 1)
    assert not np.allclose(before, dots(explorer)[1])
    explorer.set("seed", 0)
    np.testing.assert_array_equal(before, dots(explorer)[1])
    explorer.set("draws", NO_DRAWS)
    np.testing.assert_array_equal(exact, dots(explorer)[1])
    assert "before the average" not in explorer.view.text


@pytest.mark.parametrize("name", policy_experiments.WEIGHTINGS)
def test_no_end_of_a_slider_is_an_error(name):
    explorer = PolicyExplorer(name)
    for slider in ("log_c", "fine", "size"):
        control = explorer.description[slider]
        for value in (control.low, control.high):
            explorer.set(slider, value)
            assert explorer.error == "" and "nan" not in explorer.view.text, (slider, value)


def test_the_gains_are_drawn_beside_those_of_others(explorer):
    explorer.set("beside", ("elbo", "p2-gamma1", "fm-ot"))
    curves = explorer.view.charts[1].curves
    assert set(curves) == {"elbo", "p2-gamma1", "fm-ot"}
    np.testing.assert_allclose(curves["elbo"], 0, atol=1e-9)
    scales = policy_experiments.SCALES
    np.testing.assert_allclose(curves["fm-ot"], np.log10(scales) / 2, atol=1e-6)
    np.testing.assert_allclose(
        curves["p2-gamma1"], np.log10(policy_experiments.gains("p2-gamma1")), atol=1e-12
    )
    rows = explorer.view.panels[2].rows
    assert [row[0] for row in rows] == ["fm-ot", "elbo", "p2-gamma1"]
    at_hundredth = np.interp(-2, np.log10(scales), curves["p2-gamma1"])
    assert np.log10(float(rows[2][3])) == pytest.approx(at_hundredth, abs=2e-3)


def test_it_leaves_its_picture(explorer):
    explorer.set("log_c", -1.3)
    content, _ = explorer._repr_mimebundle_()
    assert base64.b64decode(content["image/png"]) == explorer.png
    left, _ = explorer.figure().axes[:2]
    line = next(line for line in left.lines if line.get_gid() == "fm-ot")
    np.testing.assert_array_equal(line.get_data(), dots(explorer))


def test_an_unknown_weighting_names_near_ones_and_two_actions_are_too_few():
    with pytest.raises(ValueError, match="'fm-ot'"):
        PolicyExplorer("fm-otx")
    with pytest.raises(ValueError, match="three actions or more, got 2"):
        PolicyExplorer(n=2)
    assert PolicyExplorer("p2-gamma1").state["weighting"] == "p2-gamma1"
    assert dots(PolicyExplorer(n=5))[0].shape == (5,)


@pytest.mark.parametrize("n", [True, 5.0, "5"])
def test_a_number_of_actions_that_is_no_whole_number_is_refused(n):
    with pytest.raises(TypeError, match="n must be a whole number"):
        PolicyExplorer(n=n)


# --- learning -------------------------------------------------------------------------------------


def curve(explorer, panel, name):
    return np.asarray(explorer.view.charts[panel].curves[name])


def learn(explorer):
    """Press the button, and wait for the end."""
    explorer.act("learn")
    explorer.wait(LONGEST)
    assert explorer.error == "" and not explorer.is_working


def test_a_policy_learns_while_one_looks_on_and_is_known_the_next_time():
    learning = LearningExplorer(batches=6)
    assert "press Learn" in learning.view.text and np.isnan(curve(learning, 0, REWARD)).all()
    seen = []
    learning._show_step = learning._take_step
    learning._work._step = lambda step: (seen.append(step), learning._show_step(step))
    learn(learning)
    reward = curve(learning, 0, REWARD)
    lengths = [len(np.asarray(s.charts[0].curves[REWARD])) for s in seen if hasattr(s, "charts")]
    assert sorted(set(lengths)) == [1, 2, 3, 4, 5, 6, 7] and lengths == sorted(lengths)
    assert len(reward) == 7 and reward[-1] > 0.4
    assert curve(learning, 1, GOALS).tolist() == [4] * 7
    assert f"→ {reward[-1]:.2f}" in learning.view.text
    (cloud,) = [panel for panel in learning.view.panels if hasattr(panel, "paths")]
    assert cloud.paths[ACTIONS].shape == (7, 300, 2)
    again = LearningExplorer(batches=6)  # at once: the run is in the cache
    np.testing.assert_array_equal(curve(again, 0, REWARD), reward)
    assert not again.is_working
    again.set("batches", 2)
    assert "press Learn" in again.view.text
    learn(again)
    np.testing.assert_array_equal(curve(again, 0, BEFORE), reward)
    np.testing.assert_allclose(curve(again, 0, REWARD), reward[:3])
    assert again.view.charts[0].faint == (BEFORE,) and "the run before: " in again.view.text


def test_goals_are_crosses_that_stand_out():
    """Where the run is in the cache, starts are shown too, and they are dots."""
    (cloud,) = (one for one in LearningExplorer().view.panels if isinstance(one, Cloud))
    assert list(cloud.crosses) == ["goals"]
    np.testing.assert_allclose(np.abs(cloud.points["goals"]), 1.5)
    assert cloud.colours["goals"] == BEST and "+" in cloud.title


def test_the_clock_of_actions_says_what_is_kept_at_each_batch():
    run = policy_experiments.learning(policy_experiments.Learning(batches=2))
    captions = captions_of(run)
    assert len(captions) == len(run.actions) == 3
    for batch, caption in enumerate(captions):
        goals, reward = int(run.goals[batch]), run.reward[batch]
        assert caption == f"batch {batch}: {goals} goals, reward {reward:.2f}"


@pytest.mark.parametrize("method", ["AWR", "DPO", "DDPO"])
def test_every_method_runs_with_a_kl_term(method):
    learning = LearningExplorer(method=method, batches=2, keep=0.1)
    learn(learning)
    text = learning.view.text
    assert "2 batches" in text and "KL term 0.1" in text and "so far" not in text
    assert ("no weighting" in text) == (method == "DDPO")
    assert np.isfinite(curve(learning, 0, REWARD)).all()


def test_the_weighting_of_ddpo_is_no_control_and_no_part_of_its_run():
    learning = LearningExplorer(method="DDPO", weighting="edm")
    assert "weighting" not in learning.description.shown(learning.state)
    before = learning.view.text
    learning.set("weighting", "elbo")
    assert learning.view.text == before


def short(settings):
    """A run of three steps without a policy."""
    steps = range(1, 4)
    return [Learned(np.arange(k) / 4.0, np.full(k, 4), np.zeros((k, 2, 2))) for k in steps]


def test_a_run_that_is_stopped_keeps_what_was_learned(monkeypatch):
    passed, gate = threading.Event(), threading.Event()

    def follow(experiment, settings):
        assert experiment is policy_experiments.learning
        yield short(settings)[0]
        yield short(settings)[1]
        passed.set()
        assert gate.wait(LONGEST)
        yield short(settings)[2]

    monkeypatch.setattr(progress, "followed", follow)
    learning = LearningExplorer(seed=9)
    learning.act("learn")
    assert passed.wait(LONGEST)
    learning.act("stop")
    gate.set()
    learning.wait(LONGEST)
    assert len(curve(learning, 0, REWARD)) == 2
    assert "(1 so far)" in learning.view.text


def test_a_run_whose_reader_has_gone_stops_and_is_not_kept():
    settings = Learning(batches=60, seed=8)
    steps = progress.followed(policy_experiments.learning, settings)
    assert len(next(steps).reward) == 1
    steps.close()
    assert progress.kept(policy_experiments.learning, settings) is None


@pytest.mark.parametrize("setting", [{"method": "PPO"}, {"weighting": "fm-otx"}])
def test_settings_of_an_unknown_method_or_weighting_are_refused(setting):
    with pytest.raises(ValueError, match=r"'(FPO|fm-ot)'"):
        Learning(**setting)
