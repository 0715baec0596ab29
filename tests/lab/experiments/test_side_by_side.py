"""Trainings side by side: what they train, what is known of the data, and how they end."""

import gc
import threading

import numpy as np
import pytest
import torch
from cells import in_one_test

import diffviz as dv
from diffviz.lab.experiments import progress, side_by_side
from diffviz.lab.experiments.side_by_side import (
    EDGES,
    TOYS,
    Training,
    known,
    known_objective,
    least_loss,
    toy_of,
    trained,
    truth_of,
)
from diffviz.lab.experiments.training import EVEN, GRID, Truth, chosen, evened, samples, sliced_w2
from diffviz.learning.models import MLP
from diffviz.learning.training import Trainer

LONGEST = 60.0  # s that a test waits for a thread
NAMES = ("elbo", "fm-ot")
SQUARE = ((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0))


def training(*names, **settings):
    """Settings of a training of few steps."""
    objectives = tuple(map(known_objective, names or NAMES))
    return Training(objectives, **{"steps": 40, "width": 8, **settings})


@pytest.fixture(scope="module")
def done():
    return trained(training())


def test_a_training_is_what_fit_does(done):
    data = truth_of("ring8").data
    seen = {name: [] for name in NAMES}

    def watch(step):
        for rows, *draws in zip(seen.values(), step.logsnr, step.error, strict=True):
            rows.append(draws)

    runs = dv.fit(
        chosen(*NAMES),
        data,
        steps=40,
        batch=256,
        model=MLP(width=8),
        callback=watch,
        progress=False,
    )
    for k, run in enumerate(runs):
        np.testing.assert_array_equal(done.loss[0, k], run.loss)
        np.testing.assert_array_equal(done.excess[0, k], truth_of("ring8").excess(run))
        np.testing.assert_array_equal(done.samples[k], samples(run, 500, steps=10))
        level, error = (torch.stack(part).double() for part in zip(*seen[run.name], strict=True))
        age = torch.arange(39, -1, -1)[:, None]
        share = (0.98**age).expand_as(level).numpy().ravel()
        bins = np.digitize(level.numpy().ravel(), EDGES) - 1
        for at in range(len(GRID)):
            inside = bins == at
            if np.isfinite(done.by_level[k, at]):
                mean = np.average(error.numpy().ravel()[inside], weights=share[inside])
                assert done.by_level[k, at] == pytest.approx(mean, rel=1e-6)
        assert np.isfinite(done.by_level[k]).sum() > 10


def test_distances_are_multiples_of_that_of_true_points(done):
    there = known("ring8").points
    toy = dv.toy("ring8", unit=True)
    others = [
        toy.sample(500, torch.Generator().manual_seed(seed)).numpy() for seed in range(20, 40)
    ]
    least = np.median([sliced_w2(other, there) for other in others])
    assert known("ring8").distance == pytest.approx(least, rel=0.5)
    distances = [sliced_w2(points, there) for points in done.samples]
    np.testing.assert_allclose(done.distance * known("ring8").distance, distances)


def test_several_seeds_are_trainings_of_their_own():
    both = trained(training(seeds=(3, 4)))
    for k, seed in enumerate((3, 4)):
        one = trained(training(seeds=(seed,)))
        np.testing.assert_array_equal(both.loss[k], one.loss[0])
        np.testing.assert_array_equal(both.excess[k], one.excess[0])
    assert (both.loss[0] != both.loss[1]).all()


# --- even levels ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["fm-ot", "edm", "sd3", "min-snr-5-eps", "ddpm-linear"])
def test_even_levels_keep_the_weighting(name):
    objective = known_objective(name)
    even = evened(objective)
    inside = np.linspace(-9.9, 13.9, 60)
    np.testing.assert_allclose(even.weighting(inside), objective.weighting(inside), rtol=1e-12)
    logsnr, factor = even.draw(50_000, np.random.default_rng(0))
    assert logsnr.min() > -10 and logsnr.max() < 14 and abs(logsnr.mean() - 2) < 0.01
    # the loss of a denoiser by draws, and as an integral over the weighting
    fine = np.linspace(-10, 14, 20_001)
    integral = np.trapezoid(objective.weighting(fine) * known("ring8").mmse(fine), fine) / 2
    assert (factor * known("ring8").mmse(logsnr)).mean() == pytest.approx(integral, rel=2e-3)


def test_even_levels_are_the_same_for_all():
    even = training("fm-ot", "edm", "sd3", even=True)
    levels = Trainer(even.trained_objectives, truth_of("ring8").data, batch=64).advance().logsnr
    assert (levels == levels[0]).all()
    own = training("fm-ot", "edm", "sd3").trained_objectives
    assert (Trainer(own, truth_of("ring8").data, batch=64).advance().logsnr[0] != levels[0]).any()


def test_even_levels_train_otherwise_but_elbo_is_even_already(done):
    even = trained(training(even=True))
    np.testing.assert_array_equal(even.loss[0, 0], done.loss[0, 0])
    assert (even.loss[0, 1] != done.loss[0, 1]).all()


# --- what is known of the data -------------------------------------------------------------------


@in_one_test
@pytest.mark.parametrize("name", TOYS)
def test_the_floor_is_that_of_the_exact_denoiser(name):
    here = known(name)
    drawn = Truth(name, points=400).mmse
    assert (abs(here.floor - drawn) < 0.25 * drawn + 1e-6).all()
    far = np.array([-30.0, -15.0, 14.0])
    np.testing.assert_allclose(here.mmse(far), dv.toy(name, unit=True).mmse(far), rtol=1e-3)
    np.testing.assert_allclose(here.mmse(GRID), here.floor)


@pytest.mark.parametrize("name", ["elbo", "fm-ot", "edm", "laplace-eps"])
def test_the_least_loss_is_the_integral_over_weighting_and_floor(name):
    objective = known_objective(name)
    low, high = objective.law.ppf([1e-7, 1 - 1e-7])
    fine = np.linspace(low, high, 40_001)
    product = objective.weighting(fine) * known("ring8").mmse(fine)
    assert least_loss(objective, known("ring8")) == pytest.approx(
        np.trapezoid(product, fine) / 2, rel=0.02
    )


def test_drawn_points_are_the_data_where_they_are_drawn():
    toy = toy_of("drawn", SQUARE, kernel=0.1)
    np.testing.assert_allclose(toy.mean, [0, 0], atol=1e-12)
    points = known("drawn", SQUARE, 0.1).points
    apart = np.linalg.norm(points[:, None] - np.array(SQUARE), axis=-1).min(1)
    assert apart.max() < 0.5 and apart.std() < 0.1  # the kernel is a tenth of a unit wide
    result = trained(training("edm", data="drawn", drawing=SQUARE))
    assert np.isfinite(result.excess).all() and result.samples.shape == (1, 500, 2)
    fine = known("drawn", SQUARE, 0.1).mmse(np.array([-20.0, 26.0]))
    np.testing.assert_allclose(fine, toy.mmse(np.array([-20.0, 26.0])), rtol=0.2)


@pytest.mark.parametrize("drawing", [(), ((0.0, 1.0),), ((0.0, 1.0), (0.0, 1.0))])
def test_a_drawing_of_one_point_is_refused(drawing):
    assert not side_by_side.has_data("drawn", drawing)
    with pytest.raises(ValueError, match="two different points"):
        trained(training(data="drawn", drawing=drawing))


# --- settings ------------------------------------------------------------------------------------


def test_trainings_that_do_the_same_are_equal():
    assert training() == training() and hash(training()) == hash(training())
    assert training() == training(drawing=SQUARE, kernel=0.3)  # ring8 is not drawn
    own = dv.from_weighting([[-8.0, 1.0], [8.0, 2.0]], name="own")
    same = dv.from_weighting([[-8.0, 1.0], [8.0, 2.0]], name="own")
    other = dv.from_weighting([[-8.0, 1.0], [8.0, 3.0]], name="own")
    assert Training((own,)) == Training((same,)) != Training((other,))
    for change in ({"steps": 41}, {"seeds": (1,)}, {"width": 9}, {"rate": 0.1}, {"even": True}):
        assert training() != training(**change)


def test_a_drawing_may_be_an_array():
    as_array = training(data="drawn", drawing=np.array(SQUARE))
    assert as_array == training(data="drawn", drawing=SQUARE) and hash(as_array)


def test_a_weighting_of_ones_own_is_trained_and_found_again():
    own = dv.from_weighting([[-8.0, 1.0], [0.0, 3.0], [8.0, 1.0]], name="own")
    *_, result = side_by_side.side_by_side([own, "edm"], steps=20, width=8)
    assert result.step == 20
    again = dv.from_weighting([[-8.0, 1.0], [0.0, 3.0], [8.0, 1.0]], name="own")
    found = progress.kept(trained, training(again, "edm", steps=20))
    np.testing.assert_array_equal(found.loss, result.loss)


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"objectives": []}, ValueError, "choose one objective or more"),
        ({"objectives": ["fm-otx"]}, ValueError, "'fm-ot'"),
        ({"objectives": ["edm", "edm"]}, ValueError, "two objectives are called 'edm'"),
        ({"objectives": [3]}, TypeError, "got 3"),
        ({"data": "ring9"}, ValueError, "'ring8'"),
        ({"steps": 0}, ValueError, "steps must be at least 1"),
        ({"seed": -1}, ValueError, "seed"),
        ({"seeds": 0}, ValueError, "seeds must be at least 1"),
        ({"width": 8.5}, TypeError, "width"),
        ({"rate": 0.0}, ValueError, "rate"),
        ({"data": "drawn", "drawing": SQUARE, "kernel": 0.0}, ValueError, "kernel"),
        ({"data": "drawn", "drawing": [[1.0]]}, ValueError, r"shape \(n, 2\)"),
        ({"data": "drawn", "drawing": [[1.0, np.nan]]}, ValueError, "drawing"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, error, words):
    with pytest.raises(error, match=words):
        next(side_by_side.side_by_side(**{"objectives": ["edm"], "steps": 20, **settings}))


# --- how it ends ---------------------------------------------------------------------------------


def test_a_training_that_is_done_is_not_trained_again(done, monkeypatch):
    monkeypatch.setattr(side_by_side, "_Session", None)
    steps = list(side_by_side.side_by_side(NAMES, steps=40, width=8))
    assert [one.step for one in steps] == [40]


def test_reports_come_before_the_end_and_each_is_whole(monkeypatch):
    monkeypatch.setattr(side_by_side, "PAUSE", 0.0)
    *reports, last = side_by_side.side_by_side(["edm"], steps=12, width=4, seed=77)
    steps = [one.step for one in reports]
    assert steps and steps == sorted(set(steps)) and steps[-1] < last.step == 12
    for one in reports:
        assert one.loss.shape == (1, 1, one.step) and one.excess.shape == (1, 1, len(GRID))
        np.testing.assert_array_equal(one.loss, last.loss[..., : one.step])


def test_a_training_whose_reader_has_gone_stops_and_is_not_kept(monkeypatch):
    monkeypatch.setattr(side_by_side, "PAUSE", 0.0)
    before = set(threading.enumerate())
    steps = side_by_side.side_by_side(["edm"], steps=4000, width=4, seed=78)
    assert next(steps).step < 4000
    steps.close()
    for thread in set(threading.enumerate()) - before:
        thread.join(LONGEST)
        assert not thread.is_alive()
    assert progress.kept(trained, training("edm", steps=4000, width=4, seeds=(78,))) is None
    gc.collect()
    assert not any(type(one) is Trainer for one in gc.get_objects())


@pytest.mark.parametrize(("pause", "says"), [(0.0, "samples are not finite"), (1e9, "edm: loss")])
def test_a_training_that_diverges_says_so(pause, says, monkeypatch):
    monkeypatch.setattr(side_by_side, "PAUSE", pause)  # between two looks at what is trained
    with pytest.raises(dv.Diverged, match=rf"{says}.*learning_rate"):
        list(side_by_side.side_by_side(["edm"], steps=20, width=4, rate=1e30))


def test_the_shared_law_covers_the_grid():
    assert EVEN.support() == (-10, 14)
    assert GRID[0] > -10 and GRID[-1] == 14
