"""Dashboard and slider of notebook 3: buttons are pressed, lines are read."""

import asyncio
import base64
import io
import time

import numpy as np
import pytest
from diffviz.lab.explorers.base import Picture
from PIL import Image

import diffviz as dv
from diffviz.lab.experiments import training as training_experiments
from diffviz.lab.explorers.training import EXCESS, SLICE, CapacityExplorer, TrainingDashboard
from diffviz.learning.models import MLP

pytestmark = pytest.mark.slow


@pytest.fixture
def dashboard():
    return TrainingDashboard(width=8, steps=400, first=40)


def line(ax, name):
    (found,) = (one for one in ax.lines if one.get_gid() == name)
    return np.asarray(found.get_xdata(), float), np.asarray(found.get_ydata(), float)


def steps(dashboard):
    return [len(run.loss) for run in dashboard.runs]


def test_a_dashboard_leaves_the_picture_of_its_first_steps(dashboard):
    assert steps(dashboard) == [40, 40] and "<b>paused</b>, step 40 of 400" in dashboard.text.value
    assert base64.b64decode(dashboard._repr_mimebundle_()["image/png"]) == dashboard.png
    x, floor = line(dashboard.left, "exact floor")
    np.testing.assert_allclose(floor, dv.toy("ring8", unit=True).mmse(x), rtol=0.1, atol=1e-3)


def test_advancing_trains_as_fit_does_and_draws(dashboard):
    before = dashboard.png
    dashboard.advance(60)
    data, about = (
        training_experiments.truth("ring8", 256).data,
        {"steps": 400, "batch": 256, "model": MLP(width=8), "progress": False},
    )
    trackers = [
        dv.LossByLogSNR(training_experiments.GRID[0] - 0.25 + 0.5 * np.arange(46), decay=0.98)
        for _ in range(2)
    ]
    seen = []

    def stop(step):
        [
            tracker.update(*pair)
            for tracker, *pair in zip(trackers, step.logsnr, step.error, strict=True)
        ]
        seen.append(step)
        if len(seen) == 100:
            raise KeyboardInterrupt

    for run, other, tracker in zip(
        dashboard.runs,
        dv.fit(training_experiments.chosen("elbo", "fm-ot"), data, callback=stop, **about),
        trackers,
        strict=True,
    ):
        np.testing.assert_array_equal(run.loss, other.loss)
        np.testing.assert_allclose(line(dashboard.left, run.name)[1], tracker.mean)
    assert dashboard.png != before


def test_samples_are_drawn_beside_the_truth(dashboard):
    truth = np.stack(line(dashboard.right, "truth"), 1)
    np.testing.assert_allclose(
        truth, training_experiments.truth("ring8", 256).data[:500], atol=1e-6
    )
    drawn = np.stack(line(dashboard.right, "fm-ot"), 1)
    inside = np.isfinite(drawn[:, 0])
    wanted = training_experiments.samples(dashboard.runs[1], n=500, steps=10)
    np.testing.assert_allclose(drawn[inside] - [0, -6], wanted[inside], atol=1e-6)
    assert inside.mean() > 0.5 and (abs(wanted[~inside]).max(1) >= 2.9).all()


def test_the_other_view_is_the_excess_error(dashboard):
    dashboard.controls["view"].value = EXCESS
    for run in dashboard.runs:
        y = line(dashboard.right, run.name)[1]
        np.testing.assert_allclose(
            y, np.log10(training_experiments.truth("ring8", 256).excess(run)), atol=1e-6
        )
    dashboard.advance(100)
    assert len(dashboard.right.lines) == 4  # two curves and the dots at their ends, moved


@pytest.mark.parametrize(
    ("control", "value", "told"),
    [
        ("width", 32, "width 32"),
        ("toy", "moons", "data moons"),
        ("steps", 900, "steps 900"),
        ("rate", 1e-3, "rate 0.001"),
        ("objectives", ("edm",), "objectives edm"),
    ],
)
def test_a_changed_setting_is_told_in_the_picture_and_waits_for_the_next_start(
    dashboard, control, value, told
):
    before, trained = dashboard.png, steps(dashboard)
    dashboard.controls[control].value = value
    assert f"at the next start or reset: {told}" in dashboard.text.value and dashboard.png != before
    assert steps(dashboard) == trained
    dashboard.controls["reset"].click()
    assert "at the next start" not in dashboard.text.value and max(steps(dashboard)) == 0
    assert "<b>not started</b>, step 0" in dashboard.text.value
    dashboard.advance(3)
    assert steps(dashboard) == [3] * (1 if control == "objectives" else 2)


def test_a_setting_put_back_waits_for_nothing(dashboard):
    for value in (32, 8):
        dashboard.controls["width"].value = value
    assert "at the next start" not in dashboard.text.value


async def until(condition, seconds=300.0):
    """Wait for a condition; the limit is only there so that a failure ends."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        await asyncio.sleep(0.01)


def idle(dashboard):
    """Whether no task of its training is left, so that nothing more can happen."""
    return dashboard._task.done


class Clock:
    """Time as the dashboard sees it: a millisecond passes with every look, and more when told."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        self.now += 0.001
        return self.now


@pytest.fixture
def clock(monkeypatch):
    """Slices of training have the same number of steps on every machine."""
    made = Clock()
    monkeypatch.setattr("diffviz.lab.explorers.training.time", made)
    return made


def test_start_pause_and_reset_train_on_the_loop_and_leave_it_alive(dashboard, clock):
    async def press():
        buttons, alive = dashboard.controls, []

        async def beat():
            while True:
                alive.append(steps(dashboard)[0])
                await asyncio.sleep(0)

        pulse = asyncio.create_task(beat())
        buttons["start"].click()
        assert dashboard.running and "Error" not in dashboard.text.value
        buttons["start"].click()  # twice is once
        await until(lambda: steps(dashboard)[0] > 60)
        assert len(alive) > 2
        buttons["pause"].click()
        paused = steps(dashboard)
        assert paused[0] < 400
        await until(idle(dashboard))
        assert steps(dashboard) == paused and "<b>paused</b>" in dashboard.text.value
        kept = dashboard.runs[0].loss
        buttons["start"].click()  # goes on, to the end
        await until(lambda: not dashboard.running)
        assert steps(dashboard) == [400, 400] and "<b>done</b>" in dashboard.text.value
        np.testing.assert_array_equal(dashboard.runs[0].loss[: len(kept)], kept)
        buttons["start"].click()  # anew
        await until(lambda: 0 < steps(dashboard)[0] < 400)
        buttons["reset"].click()
        await until(idle(dashboard))
        assert steps(dashboard) == [0, 0] and not dashboard.running
        pulse.cancel()

    asyncio.run(press())


@pytest.mark.parametrize(("drawing", "least"), [(0.03, 0.25), (0.4, 0.4)])
def test_pictures_come_at_most_four_times_a_second_and_half_of_the_time(
    monkeypatch, clock, drawing, least
):
    """From the end of one picture to the start of the next: at most two slices of training."""
    dashboard, drawn = TrainingDashboard(width=8, steps=4000, first=1), []
    redraw = dashboard.redraw

    def timed(name=""):
        start = clock.now
        redraw(name)
        clock.now += drawing
        if name == "training":
            drawn.append((start, clock.now))

    monkeypatch.setattr(dashboard, "redraw", timed)

    async def press():
        dashboard.controls["start"].click()
        await until(lambda: len(drawn) >= 6)
        dashboard.controls["pause"].click()
        await until(idle(dashboard))

    asyncio.run(press())
    start, end = np.array(drawn[:6]).T
    gaps = start[1:] - end[:-1]
    assert least <= gaps.min() and gaps.max() < least + 2 * SLICE


def test_what_training_raises_is_shown_inside_and_the_next_start_goes_on(dashboard, monkeypatch):
    def fail():
        raise dv.Diverged("loss not finite at step 40")

    async def press():
        with monkeypatch.context() as broken:
            broken.setattr(dashboard._session.trainer, "advance", fail)
            dashboard.controls["start"].click()
            await until(lambda: not dashboard.running)
            await until(idle(dashboard))
            assert "Diverged: loss not finite at step 40" in dashboard.text.value
        dashboard.controls["start"].click()
        await until(lambda: steps(dashboard)[0] > 40)
        dashboard.controls["pause"].click()
        await until(idle(dashboard))

    asyncio.run(press())


def test_without_an_event_loop_start_says_what_to_call(dashboard):
    dashboard.controls["start"].click()
    assert "call advance(steps)" in dashboard.text.value and not dashboard.running
    dashboard.advance(5)
    assert steps(dashboard) == [45, 45] and "Error" not in dashboard.text.value


def test_five_objectives_are_four_and_none_is_told(dashboard):
    dashboard.controls["objectives"].value = training_experiments.NAMES
    assert "up to 4 at once: sd3 left out" in dashboard.text.value
    dashboard.controls["reset"].click()
    assert [run.name for run in dashboard.runs] == list(training_experiments.NAMES[:4])
    dashboard.controls["objectives"].value = ()
    dashboard.controls["reset"].click()
    assert "nothing is chosen" in dashboard.text.value and len(dashboard.runs) == 4


@pytest.mark.parametrize(
    ("bad", "near"), [({"names": ("fm-otx",)}, "'fm-ot'"), ({"toy": "ring9"}, "'ring8'")]
)
def test_a_dashboard_of_unknown_names_is_refused_with_near_ones(bad, near):
    with pytest.raises(ValueError, match=near):
        TrainingDashboard(**bad)


@pytest.fixture(scope="module")
def explorer():
    return CapacityExplorer((8, 16))


def test_the_width_moves_excess_and_samples(explorer):
    for width in (16, 8):
        explorer.controls["width"].value = width
        run = training_experiments.trained(width)["edm"]
        explorer.controls["name"].value = "edm"
        np.testing.assert_allclose(
            line(explorer.left, "edm")[1], np.log10(training_experiments.truth().excess(run))
        )
        np.testing.assert_allclose(
            np.stack(line(explorer.right, "samples"), 1), training_experiments.samples(run)
        )
        assert f"<b>width {width}</b>" in explorer.text.value


def test_a_step_of_the_width_draws_what_a_full_redraw_draws(explorer):
    explorer.controls["width"].value = 16
    quick = np.asarray(Image.open(io.BytesIO(explorer.png)))
    np.testing.assert_array_equal(
        quick, np.asarray(Image.open(io.BytesIO(Picture(explorer.figure).png())))
    )
    assert base64.b64decode(explorer._repr_mimebundle_()["image/png"]) == explorer.png


def test_a_capacity_explorer_of_an_unknown_objective_is_refused():
    with pytest.raises(ValueError, match="'fm-ot'"):
        CapacityExplorer(name="fm-otx")


@pytest.mark.parametrize(
    ("bad", "error", "words"),
    [
        ({"names": "edm"}, TypeError, "names must be a list of names"),
        ({"width": 5}, ValueError, "unknown width 5"),
        ({"steps": 100}, ValueError, "steps must be at least 200"),
        ({"steps": 5000}, ValueError, "steps must be at most 4000"),
        ({"steps": 400.0}, TypeError, "steps must be a whole number"),
        ({"rate": np.nan}, ValueError, "rate must be finite"),
        ({"rate": 1.0}, ValueError, "rate must lie in"),
        ({"first": -1}, ValueError, "first must be at least 0"),
    ],
)
def test_a_dashboard_refuses_settings_that_its_controls_cannot_show(bad, error, words):
    with pytest.raises(error, match=words):
        TrainingDashboard(**bad)


@pytest.mark.parametrize(
    ("widths", "error"), [((), ValueError), ((8.5,), TypeError), ((0,), ValueError)]
)
def test_widths_that_are_no_counts_are_refused(widths, error):
    with pytest.raises(error, match="width"):
        CapacityExplorer(widths)


def test_training_a_negative_number_of_steps_is_refused(dashboard):
    with pytest.raises(ValueError, match="steps must be at least 0"):
        dashboard.advance(-1)
