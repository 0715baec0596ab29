"""The figures of masked diffusion show their numbers, read from the artists."""

import numpy as np
import pytest
from pictures import check_nothing_is_cut, check_type, data
from scipy.special import expit

from diffviz.lab.experiments import masked
from diffviz.lab.figures import masked as masked_figures

pytestmark = pytest.mark.slow

NAMES = "masked-weightings", "masked-elbo", "masked-training", "masked-noises"


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_cut_off_at_the_edge(name, drawn):
    check_nothing_is_cut(drawn[name])


@pytest.mark.parametrize("name", NAMES)
def test_the_type_is_large_enough(name, drawn):
    check_type(drawn[name])


def test_the_elbo_is_twice_the_sigmoid_and_constant_over_itself(drawn):
    x, w = data(drawn["masked-weightings"], 0, "elbo")
    assert w == pytest.approx(2 * expit(x), rel=1e-9)
    _, ratio = data(drawn["masked-weightings"], 1, "elbo")
    assert ratio == pytest.approx(np.ones_like(x), rel=1e-9)


def test_the_sentence_under_the_axis_has_as_many_words_as_are_visible(drawn):
    for panel in drawn["masked-weightings"].axes:
        (words,) = [child for child in panel.child_axes if child.get_label() == "sentence"]
        for level in masked_figures.WORD_LEVELS:
            shown = [text for text in words.texts if text.get_position()[0] == level]
            assert abs(len(shown) - 6 * expit(level)) <= 0.5
        assert len(words.texts) + len(words.patches) == 6 * len(masked_figures.WORD_LEVELS)


def test_the_classes_of_the_picture_are_classes_of_the_catalogue(drawn):
    """Five names of which no two are in one class."""
    rows = [row.names for row in masked.classes()]
    where = [next(i for i, names in enumerate(rows) if one in names) for one in masked.CLASSES]
    assert len(set(where)) == len(masked.CLASSES)


def test_curves_are_named_at_their_ends_and_the_one_that_leaves_is_measured(drawn):
    for panel in drawn["masked-weightings"].axes:
        names = {text.get_text(): text for text in panel.texts}
        assert set(masked.CLASSES) <= set(names)
        places = sorted(names[name].xyann[1] for name in masked.CLASSES)
        assert min(np.diff(places)) > 0.05
    ratio = masked.curves(["maskgit"], "elbo")["maskgit"]
    assert f"maskgit: {ratio[0]:.0f} at λ = −8 (long sequences)" in names


def test_the_trained_objectives_have_colours_of_their_own():
    inks = [masked_figures.colour(name) for name in (*masked.TRAINED, *masked.CLASSES)]
    assert len(set(inks)) == len({*masked.TRAINED, *masked.CLASSES})


def test_the_shaded_area_is_the_entropy(drawn):
    x, density = data(drawn["masked-elbo"], 0, "sigmoid(λ) · C")
    inner = np.trapezoid(density, x)
    tails = masked.WORLD.entropy - inner
    assert 0 < tails < 0.01
    title = drawn["masked-elbo"].axes[0].get_title()
    assert f"{masked.WORLD.entropy:.3f} nats" in title


def test_the_bound_falls_by_halves_and_the_sampler_by_quarters(drawn):
    _, bound = data(drawn["masked-elbo"], 1, "bound in T steps")
    _, sampler = data(drawn["masked-elbo"], 1, "sampler in T steps")
    assert np.log2(bound[-2] / bound[-1]) == pytest.approx(1, abs=0.05)
    assert np.log2(sampler[-2] / sampler[-1]) == pytest.approx(2, abs=0.1)
    assert bound[0] == pytest.approx(sampler[0], rel=1e-12)
    assert abs(masked.gaps().continuous) < 1e-9


def test_bars_are_bounds_and_likelihoods_over_the_entropy(drawn):
    """Means over seeds, whose own values are dots."""
    panel = drawn["masked-training"].axes[-1]
    seeds = [masked.trained(seed=seed) for seed in masked.SEEDS]
    bounds = np.array([[run.elbo for run in runs] for runs in seeds]) - masked.WORLD.entropy
    likely = np.array([[run.likelihood for run in runs] for runs in seeds]) - masked.WORLD.entropy
    heights = [bar.get_height() for bar in panel.patches]
    assert heights == pytest.approx(np.concatenate([bounds.mean(0), likely.mean(0)]))
    dots = [line.get_ydata() for line in panel.lines]
    assert np.array(dots) == pytest.approx(np.concatenate([bounds, likely]))
    assert (bounds >= likely).all() and (likely > 0).all()
    names = np.array([run.name for run in seeds[0]])
    for values in (bounds, likely):
        assert set(names[values.argmin(1)]) == {"any-order"}
        assert set(names[values.argmax(1)]) == {"elbo"}
    title = " ".join(panel.get_title().split())
    assert title == "any-order is best and elbo worst, at each seed (dots)"


def test_a_panel_for_each_seed_has_what_its_trainings_leave(drawn):
    *panels, _ = drawn["masked-training"].axes
    assert [ax.get_title() for ax in panels] == [f"seed {seed}" for seed in masked.SEEDS]
    assert len({ax.get_ylim() for ax in panels}) == 1
    for number, seed in enumerate(masked.SEEDS):
        runs = masked.trained(seed=seed)
        logsnr = runs[0].logsnr
        left = {run.name: run.exact - masked.WORLD.floor(logsnr) for run in runs}
        for name, values in left.items():
            assert data(drawn["masked-training"], number, name)[1] == pytest.approx(values)
        assert left["elbo"] == pytest.approx(np.max([*left.values()], axis=0))
        of_two = np.minimum(left["maskgit"], left["simple"])
        low = logsnr < -3
        assert of_two[low] == pytest.approx(np.min([*left.values()], axis=0)[low])
    (headline,) = [text.get_text() for text in panels[1].texts]
    assert headline == "elbo has most left at every λ; below −3 maskgit or simple has least"


def test_the_moving_loss_is_above_its_floor_within_its_errors(drawn):
    run = masked.trained()[0]
    floor = masked.WORLD.floor(run.logsnr)
    assert (run.exact > floor).all()
    known = np.isfinite(run.seen) & (run.stderr > 0)
    assert (np.abs(run.seen - run.exact)[known] < 6 * run.stderr[known] + 0.2).all()


def test_each_noise_has_the_entropy_as_its_area(drawn):
    for name in masked.NOISES:
        x, density = data(drawn["masked-noises"], 0, name)
        assert np.trapezoid(density, x) == pytest.approx(masked.SMALL.entropy, abs=0.02)
        assert masked.noise_areas()[name] == pytest.approx(masked.SMALL.entropy, rel=1e-9)
    panel = drawn["masked-noises"].axes[0]
    names = {text.get_text(): text for text in panel.texts}
    assert set(names) == set(masked.NOISES)
    for name, text in names.items():
        (line,) = [line for line in panel.lines if line.get_gid() == name]
        assert text.get_color() == line.get_color()
        place, height = text.xy
        assert np.interp(place, *line.get_data()) == pytest.approx(height)
