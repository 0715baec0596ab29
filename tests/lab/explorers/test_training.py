"""The explorers of training: buttons are pressed, charts are read."""

import gc
import itertools
import threading
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
from ipywidgets.widgets import widget

import diffviz as dv
from diffviz.lab.experiments import progress, side_by_side
from diffviz.lab.experiments import training as training_experiments
from diffviz.lab.experiments.side_by_side import Trained, known, least_loss, trained, truth_of
from diffviz.lab.experiments.training import GRID
from diffviz.lab.explorers import training_views as views
from diffviz.lab.explorers.training import (
    EXAMPLE,
    LEVELS,
    SAMPLES,
    STEPS,
    WIDTH,
    CapacityExplorer,
    TrainingDashboard,
    training_of,
)
from diffviz.learning.training import Trainer
from diffviz.recipes.entries import CATALOGUE
from diffviz.web.pictures import Chart, Cloud, Working

pytestmark = pytest.mark.slow

LONGEST = 60.0  # s that a test waits for a thread
SMALL = {"width": 8, "steps": 200}


def press(explorer, name="train"):
    """Press a button, and wait until the work has ended."""
    explorer.act(name)
    explorer.wait(LONGEST)
    assert explorer.error == "" and not explorer.is_working


def charts(explorer):
    """The charts on show, by title."""
    return {chart.title: chart for chart in explorer.view.charts}


def clouds(explorer):
    """The clouds on show."""
    return [panel for panel in explorer.view.panels if isinstance(panel, Cloud)]


def curve(explorer, title, name):
    """Values of a curve."""
    return np.asarray(charts(explorer)[title].curves[name])


@pytest.fixture(scope="module")
def done():
    """An explorer whose training is done; the tests leave its settings as they are."""
    explorer = TrainingDashboard(**SMALL)
    press(explorer)
    return explorer


@pytest.fixture
def untrained(monkeypatch):
    """Nothing is in the cache, and nothing is trained."""
    monkeypatch.setattr(progress, "kept", lambda *_: None)
    monkeypatch.setattr(side_by_side, "_Session", None)


def test_nothing_is_trained_before_it_is_asked_for(untrained):
    explorer = TrainingDashboard(("elbo", "fm-ot"), **SMALL)
    floor = curve(explorer, "loss by noise level", views.FLOOR)
    np.testing.assert_allclose(floor, dv.toy("ring8", unit=True).mmse(GRID), rtol=1e-6)
    (cloud,) = clouds(explorer)
    np.testing.assert_array_equal(cloud.points[views.DATA], known("ring8").points[: views.SHOWN])
    assert "press Train for 2 networks; nothing is trained yet" in explorer.view.text
    least = least_loss(training_experiments.chosen("fm-ot")[0], known("ring8"))
    assert explorer.view.text.splitlines()[-1] == f"fm-ot  {least:.3g}"


def test_a_training_shows_its_progress_at_once_and_its_curves(monkeypatch):
    ticks = SimpleNamespace(monotonic=itertools.count().__next__)  # a clock without load
    monkeypatch.setattr(side_by_side, "time", ticks)
    explorer = TrainingDashboard(("edm",), width=4, steps=200, seed=31)
    seen = []
    take = explorer._take_step
    explorer._work._step = lambda step: (seen.append(step), take(step))
    press(explorer)
    assert isinstance(seen[0], Working) and seen[0].progress == 0
    shares = [step.progress for step in seen if isinstance(step, Working)]
    assert len(shares) > 10 and shares == sorted(shares) and shares[-1] == 1
    assert f"{explorer.state['seed']}: done" in explorer.view.text


def test_the_curves_are_those_of_the_training(done):
    here = trained(training_of(done.state))
    for k, name in enumerate(done.state["names"]):
        np.testing.assert_array_equal(curve(done, "loss by noise level", name), here.by_level[k])
        excess = curve(done, "excess over the floor", name)
        np.testing.assert_allclose(excess, np.log10(here.excess[0, k]))
    done.set("picture", STEPS)
    for k, objective in enumerate(training_experiments.chosen(*done.state["names"])):
        ratio = curve(done, "loss by step", objective.name)
        last = here.loss[0, k, -10:].mean() / least_loss(objective, known("ring8"))
        assert ratio[-1] == pytest.approx(last, rel=1e-6)
        assert 0.95 < ratio[-1] < 1.2  # soon near the least possible
    assert curve(done, "loss by step", views.FLOOR).tolist() == [1, 1]
    done.set("picture", LEVELS)


def test_samples_stand_side_by_side_over_the_data(done):
    done.set("picture", SAMPLES)
    data, *others = clouds(done)
    here = trained(training_of(done.state))
    assert data.strokes == "drawing" and [one.title for one in others] == ["elbo", "fm-ot"]
    for samples, cloud in zip(here.samples, others, strict=True):
        np.testing.assert_array_equal(cloud.points[cloud.title], samples)
        np.testing.assert_array_equal(cloud.points[views.DATA], data.points[views.DATA])
    done.set("picture", LEVELS)


def test_a_training_that_is_done_is_shown_at_once_the_next_time(done, monkeypatch):
    monkeypatch.setattr(side_by_side, "_Session", None)
    again = TrainingDashboard(**SMALL)
    assert again.view.text == done.view.text and "done" in again.view.text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("width", 12),
        ("toy", "moons"),
        ("steps", 900),
        ("rate", 1e-3),
        ("names", ("edm",)),
        ("seeds", 3),
        ("seed", 5),
        ("even", True),
    ],
)
def test_another_setting_is_not_trained_until_it_is_asked_for(name, value, monkeypatch):
    monkeypatch.setattr(progress, "kept", lambda *_: None)
    explorer = TrainingDashboard(**SMALL)
    here = trained(training_of(explorer.state))
    explorer._results.keep(training_of(explorer.state), here)
    before = explorer.state[name]
    text = explorer.view.text
    explorer.set(name, value)
    assert "nothing is trained yet" in explorer.view.text and not explorer.is_working
    explorer.set(name, before)
    assert explorer.view.text == text and "done" in text


def test_the_training_before_is_drawn_pale(done):
    wide = TrainingDashboard(width=16, steps=200)
    press(wide)
    assert charts(wide)["excess over the floor"].faint == []
    wide.set("width", 8)
    press(wide)
    chart = charts(wide)["excess over the floor"]
    assert chart.faint == ["elbo, before", "fm-ot, before"]
    wider = trained(training_of(wide.state | {"width": 16}))
    np.testing.assert_allclose(chart.curves["elbo, before"], np.log10(wider.excess[0, 0]))
    np.testing.assert_array_equal(chart.curves["elbo"], curve(done, chart.title, "elbo"))
    wide.set("toy", "moons")
    press(wide)  # other data have another floor
    assert charts(wide)["excess over the floor"].faint == []


def test_seeds_are_a_band_around_their_mean():
    explorer = TrainingDashboard(("edm",), width=4, steps=200, seeds=2)
    press(explorer)
    chart = charts(explorer)["excess over the floor"]
    low, high = chart.bands["edm"]
    logs = np.log10(trained(training_of(explorer.state)).excess[:, 0])
    np.testing.assert_allclose([low, high], [logs.min(0), logs.max(0)])
    np.testing.assert_allclose(chart.curves["edm"], logs.mean(0))
    assert (low < high).all() and "seeds 0 to 1" in explorer.view.text


# --- data of one's own ---------------------------------------------------------------------------


def test_a_drawing_over_the_data_becomes_the_data_and_is_trained_on():
    explorer = TrainingDashboard(("edm",), width=4, steps=200)
    strokes = [(-1.0, 0.0), (0.0, 1.0), (1.0, 0.0)]
    explorer.set("drawing", [*EXAMPLE, *strokes])  # the browser adds to what the control holds
    assert explorer.state["toy"] == "drawn" and explorer.state["drawing"] == tuple(strokes)
    (cloud,) = clouds(explorer)
    assert np.abs(cloud.points[views.DATA]).max() < 2
    press(explorer)
    training = training_of(explorer.state)
    result = trained(training)
    np.testing.assert_array_equal(curve(explorer, "loss by noise level", "edm"), result.by_level[0])
    truth = truth_of("drawn", tuple(strokes), 0.1)
    np.testing.assert_array_equal(curve(explorer, "loss by noise level", views.FLOOR), truth.mmse)


def test_drawn_data_are_chosen_where_they_can_be_drawn():
    explorer = TrainingDashboard(**SMALL)
    explorer.set("toy", "drawn")
    assert explorer.state["picture"] == SAMPLES
    assert clouds(explorer)[0].strokes == "drawing"


@pytest.mark.parametrize("drawing", [(), ((0.5, 0.5),)])
def test_without_two_points_it_says_how_to_draw(drawing):
    explorer = TrainingDashboard(toy="drawn", drawing=drawing)
    (cloud,) = clouds(explorer)
    assert cloud.strokes == "drawing" and "click two points or more" in explorer.view.text
    explorer.act("train")
    explorer.wait(LONGEST)
    assert "two different points or more" in explorer.error


# --- how it ends ---------------------------------------------------------------------------------


def result_of(step):
    """A training of two objectives that has come to a step."""
    shape = 1, 2, len(GRID)
    return Trained(
        step=step,
        loss=np.ones((1, 2, step)),
        by_level=np.ones(shape[1:]),
        excess=np.full(shape, 0.1),
        samples=np.zeros((2, 500, 2)),
        distance=np.ones(2),
    )


def test_a_training_that_is_stopped_keeps_what_was_trained(monkeypatch):
    passed, gate = threading.Event(), threading.Event()

    def follow(experiment, training):
        assert experiment is trained
        yield result_of(10)
        passed.set()
        assert gate.wait(LONGEST)
        yield result_of(20)

    monkeypatch.setattr(progress, "followed", follow)
    explorer = TrainingDashboard(width=8, steps=300)
    explorer.act("train")
    assert passed.wait(LONGEST)
    assert explorer.is_working and "10 steps are done" in explorer.view.text
    explorer.act("stop")
    assert not explorer.is_working
    gate.set()
    explorer.wait(LONGEST)
    assert "10 steps are done" in explorer.view.text


def test_what_training_raises_is_told_and_the_next_one_goes_on():
    explorer = TrainingDashboard(("edm",), width=4, steps=200)
    explorer._state["rate"] = 1e30  # beyond what the slider allows
    explorer.act("train")
    explorer.wait(LONGEST)
    assert "Diverged" in explorer.error and "learning_rate" in explorer.error
    explorer.set("rate", 1e-2)
    press(explorer)
    assert "done" in explorer.view.text


def test_five_objectives_are_refused_and_none_is_told():
    explorer = TrainingDashboard(**SMALL)
    with pytest.raises(ValueError, match="names takes 4 at once; leave out sd3"):
        explorer.set("names", training_experiments.NAMES)
    explorer.set("names", ())
    assert "Choose an objective" in explorer.view.text
    explorer.act("train")
    assert "choose one objective or more" in explorer.error


def first_view(explorer):
    """An event that is set when a training has shown what it has trained."""
    shown = threading.Event()
    take = explorer._take_step

    def see(step):
        take(step)
        if not isinstance(step, Working):
            shown.set()

    explorer._work._step = see
    return shown


def test_fifty_explorers_that_train_and_are_closed_leave_nothing(monkeypatch):
    monkeypatch.setattr(side_by_side, "PAUSE", 0.0)
    known_widgets = len(widget._instances)
    threads = set(threading.enumerate())
    seen = []
    for seed in range(50):
        explorer = TrainingDashboard(("edm",), width=4, steps=4000, seed=seed)
        explorer._receive(None, {"kind": "open", "browser": "b"}, [])
        shown = first_view(explorer)
        explorer.act("train")
        if seed % 10 == 0:  # in the middle of a training, not only before its first step
            assert shown.wait(LONGEST)
        explorer._receive(None, {"kind": "closed", "browser": "b"}, [])
        assert not explorer.is_working
        explorer.close()
        seen.append(weakref.ref(explorer))
        del explorer
    while others := set(threading.enumerate()) - threads:  # a thread may have begun another
        for thread in others:
            thread.join(LONGEST)
            assert not thread.is_alive()
    gc.collect()
    assert sum(one() is not None for one in seen) == 0
    assert not any(type(one) is Trainer for one in gc.get_objects())
    assert len(widget._instances) == known_widgets


# --- arguments -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "near"), [({"names": ("fm-otx",)}, "'fm-ot'"), ({"toy": "ring9"}, "'ring8'")]
)
def test_a_dashboard_of_unknown_names_is_refused_with_near_ones(bad, near):
    with pytest.raises(ValueError, match=near):
        TrainingDashboard(**bad)


@pytest.mark.parametrize(
    ("bad", "error", "words"),
    [
        ({"names": "edm"}, TypeError, "names must be a list of names"),
        ({"width": 0}, ValueError, "width must lie in"),
        ({"steps": 100}, ValueError, "steps must lie in"),
        ({"steps": 5000}, ValueError, "steps must lie in"),
        ({"steps": 400.5}, ValueError, "steps must be whole"),
        ({"rate": np.nan}, ValueError, "rate must be finite"),
        ({"rate": 1.0}, ValueError, "rate must lie in"),
        ({"seeds": 0}, ValueError, "seeds must lie in"),
        ({"first": 1}, ValueError, "unknown control"),
    ],
)
def test_a_dashboard_refuses_settings_that_its_controls_cannot_show(bad, error, words):
    with pytest.raises(error, match=words):
        TrainingDashboard(**bad)


def test_code_and_link_bring_the_settings_back():
    explorer = TrainingDashboard(("edm",), "moons", width=4, even=True)
    assert "names=('edm',), toy='moons', width=4, even=True" in explorer.code()
    assert TrainingDashboard.from_link(explorer.link()).state == explorer.state


# --- capacity ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def capacity():
    explorer = CapacityExplorer((8, 16))
    press(explorer, "all")
    return explorer


def test_the_width_moves_excess_and_samples(capacity):
    capacity.set("name", "edm")
    for width in ("16", "8"):
        capacity.set("width", width)
        run = training_experiments.trained(int(width))["edm"]
        np.testing.assert_allclose(
            curve(capacity, f"width {width}", "edm"),
            np.log10(training_experiments.truth().excess(run)),
        )
        (cloud,) = clouds(capacity)
        np.testing.assert_array_equal(cloud.points["edm"], training_experiments.samples(run))
        quality = training_experiments.sample_quality(int(width))["edm"]
        excess = np.log10(training_experiments.truth().excess(run))[capacity.state["level"] == GRID]
        told = f"{excess[0]:.2f}".replace("-", "−")
        row = f"edm  {told}  {quality.floors:.1f} × truth  {quality.astray:.1%}"
        assert f"width {width}:" in capacity.view.text and row in capacity.view.text


def test_the_excess_at_a_level_is_shown_by_width(capacity):
    capacity.set("picture", WIDTH)
    capacity.set("level", -6.0)
    chart = charts(capacity)["at λ = −6"]
    places, values = chart.dots["sd3"]
    assert places.tolist() == [8, 16]
    at = abs(GRID + 6).argmin()
    wanted = [
        np.log10(training_experiments.truth().excess(training_experiments.trained(width)["sd3"]))
        for width in (8, 16)
    ]
    np.testing.assert_allclose(values, [one[at] for one in wanted])
    assert charts(capacity)["width 8"].marks == {"λ": -6}
    capacity.set("picture", SAMPLES)


def test_no_width_is_trained_before_it_is_asked_for(monkeypatch):
    monkeypatch.setattr(progress, "kept", lambda *_: None)
    monkeypatch.setattr(training_experiments, "_fit", None)
    explorer = CapacityExplorer((8, 16))
    assert "width 8 is not trained yet" in explorer.view.text
    assert np.isnan(curve(explorer, "width 8", "edm")).all()
    explorer.set("picture", WIDTH)
    assert charts(explorer)["at λ = 4"].dots == {}


def test_one_width_is_trained_and_the_others_are_not(monkeypatch):
    asked = []

    def follow(experiment, width):
        assert experiment is training_experiments.at_width
        asked.append(width)
        yield 0.5
        yield training_experiments.at_width(8)

    monkeypatch.setattr(progress, "kept", lambda *_: None)
    monkeypatch.setattr(progress, "followed", follow)
    explorer = CapacityExplorer((8, 16, 32), width=16)
    seen = []
    take = explorer._take_step
    explorer._work._step = lambda step: (seen.append(step), take(step))
    press(explorer)
    assert asked == [16] and "width 16:" in explorer.view.text
    press(explorer, "all")
    assert asked == [16, 8, 32]  # what is trained already is not trained again
    shares = [step.progress for step in seen if isinstance(step, Working)]
    assert shares == [0, 0.5, 0, 0.5 / 3, 2.5 / 3]


def test_a_training_of_a_width_reports_its_share():
    def train():
        return training_experiments._fit(training_experiments.chosen("edm"), 4, seed=0)

    *shares, runs = progress.followed(train)
    assert [run.name for run in runs] == ["edm"]
    assert shares == pytest.approx(np.arange(1, 41) / 40)


def test_a_capacity_explorer_of_an_unknown_objective_is_refused():
    with pytest.raises(ValueError, match="'fm-ot'"):
        CapacityExplorer(name="fm-otx")


@pytest.mark.parametrize(
    ("widths", "error"), [((), ValueError), ((8.5,), TypeError), ((0,), ValueError)]
)
def test_widths_that_are_no_counts_are_refused(widths, error):
    with pytest.raises(error, match="width"):
        CapacityExplorer(widths)


def test_a_width_that_is_not_among_the_widths_is_refused():
    with pytest.raises(ValueError, match="width"):
        CapacityExplorer((8, 16), width=32)


def test_the_code_of_a_capacity_explorer_makes_it_again(capacity):
    made = eval(repr(capacity))
    assert made.state == capacity.state and made.widths == (8, 16)


# --- every objective -----------------------------------------------------------------------------


def test_charts_and_views_pack_for_the_browser(done):
    for picture in (LEVELS, STEPS, SAMPLES):
        done.set("picture", picture)
        message, buffers = done.opening()
        assert len(message["panels"]) == len(done.view.panels) and buffers
        assert all(isinstance(one, Chart) for one in done.view.charts)
    done.set("picture", LEVELS)
    assert set(CATALOGUE) >= set(done.state["names"])
