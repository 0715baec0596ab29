"""Experiments refuse bad input by name, and what they make travels between processes."""

import copy
import pickle

import numpy as np
import pytest
import torch
from cells import in_one_test

import diffviz as dv
from diffviz.lab import figures, losses
from diffviz.lab.exercises import EXERCISES
from diffviz.lab.experiments import (
    common,
    composer,
    elbo,
    few_steps,
    masked,
    perception,
    policy,
    prior,
    sampling,
    schedule,
    search,
    starts,
    tracking,
    training,
    walks,
    weighting,
)
from diffviz.lab.figures import training as training_figures
from diffviz.lab.figures.registry import FIGURES, figure
from diffviz.theory.paths import COSINE, LINEAR

DOORS = {
    "composer.parts": lambda grid: composer.parts(dv.objective("edm"), grid),
    "weighting.factors": weighting.factors,
    "weighting.heuristics": weighting.heuristics,
    "weighting.min_snr_plus_one": weighting.min_snr_plus_one,
    "weighting.max_snr": weighting.max_snr,
    "weighting.likeness": lambda grid: weighting.likeness("sd3", "edm", grid),
    "weighting.spending": lambda grid: weighting.spending(logsnr=grid),
    "weighting.augmentation": lambda grid: weighting.augmentation("edm", grid),
    "weighting.drawn_levels": weighting.drawn_levels,
    "schedule.cosine_views": schedule.cosine_views,
    "schedule.shifted": schedule.shifted,
    "schedule.scales": lambda time: schedule.scales(COSINE, time),
    "schedule.views": lambda time: schedule.views(COSINE.schedule, time=time),
    "schedule.over_least": lambda p: schedule.over_least(dv.objective("fm-ot"), p),
    "elbo.divergences": lambda grid: elbo.divergences(logsnr=grid),
    "elbo.divergence": lambda x: elbo.divergence("gmm1", x, 0.0),
    "elbo.signed_mixture": lambda low: elbo.signed_mixture(
        dv.objective("edm"), elbo.known("gmm1"), low
    ),
    "elbo.gaps": lambda low: elbo.gaps(elbo.known("gmm1"), low, 10.0),
    "elbo.stack_costs": lambda low: elbo.stack_costs(elbo.known("gmm1"), low, 10.0, 8),
    "elbo.terms": lambda level: elbo.known("gmm1").terms(level, 10.0),
    "few_steps.LeastError": few_steps.LeastError(0.3),
    "masked.curves": lambda grid: masked.curves(("maskgit",), "sum", grid),
    "masked.elbo_density": masked.elbo_density,
    "training.weighted_excess": lambda log: training.weighted_excess({"edm": log}),
    "perception.noised": lambda image: perception.noised(image, 0.0),
    "perception.photo_spending": perception.photo_spending,
    "perception.sensitivity_curves": perception.sensitivity_curves,
    "perception.slopes": lambda knots: perception.slopes(np.exp, knots),
    "prior.kl": prior.kl,
    "prior.terminal_bias": prior.terminal_bias,
    "prior.brightness": prior.brightness,
    "prior.offset_shifts": prior.offset_shifts,
    "prior.paired_errors": lambda x: prior.paired_errors(x, [1.0, -1.0, 0.5], 0.0, degree=1),
    "prior.offset_bias": lambda strength: prior.offset_bias(-5.0, strength),
    "sampling.exact_path": lambda t: sampling.exact_path(0.5, "FM", t),
    "sampling.off_chords": sampling.off_chords,
    "sampling.share_of_spectrum": lambda grid: sampling.share_of_spectrum([1.0, 2.0], grid),
    "sampling.error_of": lambda levels: sampling.error_of("ddim", levels, "gmm2d"),
    "starts.started": lambda images: starts.started(images, -5.0),
    "tracking.over_least": tracking.over_least,
    "training.Truth": lambda grid: training.Truth("ring8", grid),
    "walks.end_colours": walks.end_colours,
    "policy.two_scale_correlation": policy.two_scale_correlation,
}
NOT_NUMBERS = {
    "masked": np.ma.masked_array([-1.0, 0.0, 1.0], [False, True, False]),
    "complex": np.array([-1.0, 0.0, 1.0j]),
    "text": np.array(["a", "b", "c"]),
    "dates": np.array(["2020-01-01", "2020-01-02", "2020-01-03"], "M8[D]"),
    "objects": np.array([None, 1.0, {}]),
    "NaN": np.array([-1.0, np.nan, 1.0]),
}


@in_one_test
@pytest.mark.parametrize("bad", NOT_NUMBERS.values(), ids=NOT_NUMBERS)
@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
def test_what_is_no_real_number_is_refused(door, bad):
    with pytest.raises((TypeError, ValueError), match=r"masked|real numbers|NaN|finite"):
        door(bad)


@in_one_test
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: common.chosen("fm-ott"), "fm-ot"),
        (lambda: training.chosen("fm-ott"), "fm-ot"),
        (lambda: weighting.spending(["edn"]), "edm"),
        (lambda: weighting.factors([1.0, 0.0]), "logsnr must be 1-D and strictly increasing"),
        (lambda: schedule.second_moment(dv.objective("edm"), COSINE.schedule, shift=0), "shift"),
        (lambda: schedule.draws(0), "n must be at least 1, got 0"),
        (lambda: schedule.shifted([0.1, 0.2], shifts=[-1]), "shift must be a finite number > 0"),
        (lambda: elbo.known("gmm1").terms(-30.0, 10.0), r"low must lie in \[−20, 20\], got -30"),
        (lambda: elbo.negative_share("edn"), "edm"),
        (lambda: elbo.stack_costs(elbo.known("gmm1"), 1.0, 1.0, 4), "high must be above low"),
        (lambda: perception.smaller(3), "unknown times 3"),
        (lambda: perception.seen(rate=-1.0), "rate must be a finite number > 0"),
        (lambda: perception.nearest(np.exp, 0), "k must be at least 1"),
        (lambda: perception.shares("edn"), "edm"),
        (lambda: prior.zero_grid(0), "steps must be at least 1"),
        (lambda: prior.gaussian_images(-5.0, "priori"), "did you mean 'prior'"),
        (lambda: prior.offset_bias(-5.0, 0.1, mean=0.0), "mean must not be 0"),
        (lambda: prior.gaussian_flow(-1.0), "c must be a finite number > 0"),
        (lambda: sampling.unit_grid("VP cosin"), "did you mean 'VP cosine'"),
        (lambda: sampling.distance("fm-ot", "VP cosin", 4), "did you mean 'VP cosine'"),
        (lambda: sampling.karras(2, 1), "low must be below high, got 2 and 1"),
        (lambda: sampling.between(1.5), r"share must lie in \[0, 1\]"),
        (lambda: sampling.exact_path(0.5, "VE", 0.5), "unknown path 'VE'"),
        (lambda: sampling.spectrum(100), "size must divide 256, got 100"),
        (lambda: sampling.settled("ring8", "VP cosine", "edm"), "networks are trained on digits"),
        (lambda: sampling.rms("heum", "uniform in λ", "gmm2d", 4), "Heun"),
        (lambda: sampling.calls_to("Heun", "uniform in λ", "gmm2d", 0), "tolerance"),
        (lambda: tracking.adapted("VDN"), "did you mean 'VDM'"),
        (lambda: tracking.over_least([1.0, 2.0]), r"100 bins, got shape \(2,\)"),
        (lambda: training.Truth("ring8", points=0), "points must be at least 1"),
        (lambda: training.astray(np.ones((4, 3))), r"x must have shape \(n, 2\), got \(4, 3\)"),
        (lambda: training.astray([[np.nan, 0.0]]), "x must be finite"),
        (lambda: training.sliced_w2(np.ones((4, 2)), np.ones((5, 2))), "two sets of one size"),
        (lambda: training.sliced_w2([[np.inf, 0]], [[0, 0]]), "x must be finite"),
        (lambda: training.trained(0), "width must be at least 1"),
        (lambda: policy.learned("FPOO"), "did you mean 'FPO'"),
        (lambda: policy.drawn("edn"), "edm"),
        (lambda: policy.drawn("edm", "fin"), "did you mean 'fine'"),
        (lambda: policy.two_scale_correlation(0.5, 2.0), r"share must lie in \[0, 1\]"),
        (lambda: figures.write(["weighting"], "."), "did you mean 'weightings'"),
        (lambda: figures.write(["weightings"], ".", "gif"), "unknown ending 'gif'"),
        (lambda: figures.draw(3), "unknown figure 3"),
        (lambda: training_figures.beside({}), "clouds is empty"),
        (lambda: training_figures.beside({"a": np.ones(3)}), r"shape \(n, 2\), got \(3,\)"),
    ],
)
def test_a_value_that_makes_no_sense_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: schedule.draws(10.5), "n must be a whole number"),
        (lambda: schedule.draws(10, seed=True), "seed must be a whole number"),
        (lambda: sampling.normal(3, 2, seed=0.5), "seed must be a whole number"),
        (lambda: perception.pink(100.0), "n must be a whole number"),
        (lambda: sampling.karras("a", 1), "low must hold real numbers"),
        (lambda: prior.exact_velocity(dv.toy("circle"), dv.toy("gmm2d")), "must be a mixture"),
        (lambda: prior.exact_velocity(3, dv.toy("gmm2d")), "source must be a mixture, got 3"),
        (lambda: figures.write("weightings", "."), r"write \['weightings'\]"),
        (lambda: figure(3, "three"), "name must be text"),
    ],
)
def test_a_thing_of_the_wrong_kind_is_named(call, message):
    with pytest.raises(TypeError, match=message):
        call()


def test_a_figure_has_its_name_to_itself():
    before = dict(FIGURES)
    with pytest.raises(ValueError, match="there is a figure 'weightings' already"):
        figure("weightings", "another")(lambda: None)
    assert before == FIGURES


def test_lists_integers_and_views_are_welcome():
    grid = np.arange(-8, 9)
    expected = weighting.factors(grid.astype(float))
    for same in (grid, grid.tolist(), grid[::-1].copy()[::-1], torch.from_numpy(grid)):
        for name, values in weighting.factors(same).items():
            np.testing.assert_array_equal(values, expected[name])
    assert sampling.normal(np.int64(3), 2, seed=np.int64(1)).shape == (3, 2)
    assert perception.noised([[0, 1]], 0).shape == (1, 2)


def test_the_distance_needs_as_many_points_as_are_held_out():
    distance = tracking.Distance(dv.toy("moons"), 50)
    with pytest.raises(ValueError, match=r"x must have shape \(50, 2\), got \(49, 2\)"):
        distance(torch.zeros(49, 2))


# --- what travels ------------------------------------------------------------------------------

LEVEL = torch.tensor(0.7, dtype=torch.float64)


def copies(thing):
    return copy.deepcopy(thing), pickle.loads(pickle.dumps(thing))


def test_denoisers_travel():
    z = sampling.normal(5, 2)
    exact = sampling.exact("gmm2d")
    for twin in copies(exact):
        assert torch.equal(twin.denoise(z, LEVEL), exact.denoise(z, LEVEL))
    coefficients = prior.Coefficients(z.new_zeros(2), z.new_ones(2))
    for twin in copies(coefficients):
        assert torch.equal(twin(z, LEVEL), coefficients(z, LEVEL))


def test_velocities_travel():
    z = sampling.normal(5, 2)
    for velocity in (prior.exact_velocity(*prior.ring_and_moons()), prior.GaussianVelocity(0.3)):
        for twin in copies(velocity):
            assert torch.equal(twin(z, 0.4), velocity(z, 0.4))


def test_frames_and_known_data_travel():
    grid = np.linspace(-8, 8, 9)
    frame, data = sampling.between(0.3), elbo.known("gmm1")
    for twin in copies(frame):
        np.testing.assert_array_equal(twin.alpha(grid), frame.alpha(grid))
        assert twin == frame
    for twin in copies(data):
        np.testing.assert_array_equal(twin.information(grid), data.information(grid))


def test_wrong_weightings_losses_and_judges_travel():
    grid = np.linspace(-8, 8, 9)
    for pair in weighting.bugs().values():
        for entry in pair.values():
            for twin in copies(entry):
                np.testing.assert_array_equal(twin.weighting(grid), entry.weighting(grid))
    for loss in (*losses.LOSSES.values(), *losses.INTENDED.values(), *EXERCISES.values()):
        assert pickle.loads(pickle.dumps(loss)) == loss


# --- numbers by a second route -----------------------------------------------------------------


def test_the_factors_of_both_recipes_make_one_weighting():
    first, second, third, fourth = weighting.factors().values()
    ratio = first * second / (third * fourth)
    np.testing.assert_allclose(ratio / ratio[400], 1, rtol=1e-9)


def test_likeness_of_one_weighting_with_itself_is_complete():
    assert weighting.likeness("edm", "edm") == pytest.approx((1, 0))
    assert weighting.likeness("fm-ot", "v-cosine") == pytest.approx((1, 0), abs=1e-9)


def test_the_mean_of_a_loss_does_not_depend_on_the_law():
    steady = {name: d for name, d in schedule.draws().items() if np.isfinite(d.exact_variance)}
    assert len(steady) == 3
    for found in steady.values():
        assert found.mean == pytest.approx(np.pi / 2, abs=3 * found.half_width)  # six deviations


def test_a_shift_of_one_is_the_linear_path():
    time = np.linspace(0.1, 0.9, 5)
    np.testing.assert_allclose(schedule.shifted(time)[1.0].logsnr, LINEAR.logsnr(time))


def test_mistakes_are_named_once_each():
    made = ("numerator", "max", "no effect", "wrong sign", "sigma_data")
    assert tuple(losses.MISTAKE_OF.values()) == made
    assert (*made, *losses.DECOYS) == losses.MISTAKES
    assert len(set(losses.MISTAKES)) == 8
    assert set(losses.MYSTERIES.values()) == set(losses.MISTAKE_OF)


def test_the_search_refuses_an_unknown_law():
    with pytest.raises(ValueError, match="law"):
        search.small("sam")
