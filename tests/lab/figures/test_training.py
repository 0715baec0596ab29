"""The figures read from the artists; excess errors and distances by a second route."""

import re

import numpy as np
import pytest
import torch
from pictures import check, check_nothing_is_cut, check_type, data
from scipy import stats

import diffviz as dv
from diffviz.lab import figures
from diffviz.lab.experiments import training as training_experiments
from diffviz.lab.figures import training as training_figures
from diffviz.lab.figures.training import BOUNDS
from diffviz.plots.style import DRAWN
from diffviz.theory.objectives import from_weighting

NAMES = ("astray-over-excess", "capacity", "equal-draws", "samples")

pytestmark = pytest.mark.slow


class Denoiser:
    """A denoiser from a function of (z, logsnr)."""

    def __init__(self, estimate):
        self.denoise = estimate


def at(level):
    return abs(training_experiments.GRID - level).argmin()


def band(figure, panel, name):
    """Lowest and highest of the seeds on the grid."""
    (shade,) = (c for c in figure.axes[panel].collections if c.get_gid() == f"{name}:seeds")
    corners = shade.get_paths()[0].vertices
    return [
        np.array(
            [
                pick(corners[np.isclose(corners[:, 0], level), 1])
                for level in training_experiments.GRID
            ]
        )
        for pick in (np.min, np.max)
    ]


def test_the_excess_of_the_best_linear_denoiser_is_its_error_less_the_mmse():
    """For unit variance it is x_hat = alpha z, with an error of sigmoid(λ) for each dimension."""
    linear = Denoiser(lambda z, logsnr: torch.sigmoid(logsnr).sqrt()[:, None] * z)
    excess, closed = (
        training_experiments.Truth("ring8", points=4096).excess(linear),
        2 / (1 + np.exp(-training_experiments.GRID)) - training_experiments.floor(),
    )
    where = closed > 1e-3
    assert where.sum() > 10
    np.testing.assert_allclose(excess[where], closed[where], rtol=0.06)


def test_an_offset_in_x_is_an_excess_of_the_snr_times_its_square():
    truth = training_experiments.truth("moons")
    off = Denoiser(lambda z, logsnr: truth.x_hat + torch.tensor([0.3, -0.4]))
    np.testing.assert_allclose(
        truth.excess(off), 0.25 * np.exp(training_experiments.GRID), rtol=1e-6
    )


@pytest.mark.parametrize("name", ["ring8", "moons"])
def test_the_floor_of_fixed_points_is_that_of_quadrature(name):
    levels = np.array([-6.0, 0, 2, 4, 10])
    there = [at(level) for level in levels]
    np.testing.assert_allclose(
        training_experiments.truth(name).mmse[there],
        training_experiments.truth(name).toy.mmse(levels),
        rtol=0.05,
    )


def test_sliced_distance_of_a_shift_is_the_shift_over_root_two():
    x = np.random.default_rng(0).standard_normal((500, 2))
    assert training_experiments.sliced_w2(x, x + np.array([3, 4])) == pytest.approx(5 / np.sqrt(2))
    assert training_experiments.sliced_w2(x, x[::-1]) == 0
    with pytest.raises(ValueError, match="one size"):
        training_experiments.sliced_w2(x, x[:100])


def test_sliced_distance_is_that_of_scaled_gaussians():
    x, y = np.random.default_rng(0).standard_normal((2, 40_000, 2))
    assert training_experiments.sliced_w2(x, 1.5 * y) == pytest.approx(0.5, rel=0.03)


def test_true_points_are_astray_as_rarely_as_four_standard_deviations_say():
    drawn = (
        training_experiments.truth().toy.sample(100_000, torch.Generator().manual_seed(5)).numpy()
    )
    assert training_experiments.astray(drawn) == pytest.approx(np.exp(-8), abs=2.5e-4)
    assert training_experiments.astray(np.zeros((10, 2))) == 1


def test_an_exact_denoisers_samples_are_at_the_floor():
    there, floor, floors = training_experiments.held()
    drawn = training_experiments.samples(training_experiments.truth().toy, steps=60)
    assert (
        training_experiments.sliced_w2(drawn, there) < 1.2 * floors.max()
        and floors.min() < floor < floors.max()
    )
    assert training_experiments.astray(drawn) < 0.01


def test_training_again_gives_the_same_runs():
    again = training_experiments.trained.__wrapped__(training_experiments.SMALL)
    for name, run in training_experiments.trained(training_experiments.SMALL).items():
        assert torch.equal(run.state[0.0], again[name].state[0.0])


def test_an_objective_of_your_own_is_trained_as_the_five_were():
    np.testing.assert_allclose(
        training_experiments.excess_of(training_experiments.chosen("fm-ot")[0], 8),
        training_experiments.excesses(8)["fm-ot"][0],
        atol=1e-3,
    )
    middle = from_weighting(lambda logsnr: np.exp(-((logsnr - 4) ** 2) / 2))
    least = min(logs[0, at(4)] for logs in training_experiments.excesses(8).values())
    assert (
        training_experiments.excess_of(middle, 8)[at(4)] < least - 0.05
    )  # 0.10, to 0.01 for the machine


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_has_the_same_bytes_on_every_run_and_nothing_is_cut(name, tmp_path):
    check(name, tmp_path)


def test_capacity_shows_flow_matching_better_at_low_snr_and_the_elbo_better_at_high():
    figure = figures.draw("capacity")
    for panel in (1, 2):
        (fm_low, fm_high), (elbo_low, elbo_high) = (
            band(figure, panel, name) for name in ("fm-ot", "elbo")
        )
        assert (
            fm_high[at(-6)] < elbo_low[at(-6)] - 1 and elbo_high[at(10)] < fm_low[at(10)] - 0.4
        )  # in every seed
        means = {name: data(figure, panel, name)[1] for name in training_experiments.NAMES}
        assert min(means, key=lambda name: means[name][at(-6)]) == "fm-ot"
        assert min(means, key=lambda name: means[name][at(10)]) == "elbo"
        assert max(means, key=lambda name: means[name][at(10)]) == "sd3"
        for name in training_experiments.NAMES:
            low, high = band(figure, panel, name)
            assert (low <= means[name] + 1e-9).all() and (means[name] <= high + 1e-9).all()


def test_capacity_shows_the_weightings_that_were_trained():
    figure = figures.draw("capacity")
    np.testing.assert_allclose(data(figure, 0, "elbo")[1], 0, atol=1e-12)
    x, fm = data(figure, 0, "fm-ot")
    np.testing.assert_allclose(fm, -(x - 4) / 2 / np.log(10), atol=1e-9)  # all are 0 at λ = 4


def test_width_buys_most_in_the_middle():
    figure = figures.draw("capacity")
    for name in training_experiments.NAMES:
        small, large = (data(figure, panel, name)[1] for panel in (1, 2))
        assert small[at(4)] - large[at(4)] > np.log10(3) and small[at(6)] - large[at(6)] > np.log10(
            8
        )


def test_the_gain_of_width_is_a_ratio_of_geometric_means():
    spread = {width: training_experiments.excesses(width) for width in (8, 64)}
    figure = training_figures.width_gains(spread).figure
    for name in training_experiments.NAMES:
        _, gain = data(figure, 0, name)
        expected = spread[8][name].mean(0) - spread[64][name].mean(0)
        np.testing.assert_allclose(np.log10(gain), expected, atol=1e-9)
        of_seeds = spread[8][name] - spread[64][name]
        for seed in range(3):
            _, dot = data(figure, 0, f"{name}: seed {seed}")
            np.testing.assert_allclose(np.log10(dot), of_seeds[seed, :1], atol=1e-9)
        (band,) = [one for one in figure.axes[0].collections if one.get_gid() == f"{name}: seeds"]
        heights = np.log10(band.get_paths()[0].vertices[:, 1])
        assert heights.min() == pytest.approx(of_seeds.min())
        assert heights.max() == pytest.approx(of_seeds.max())
    level, middle = data(figure, 0, "edm")
    assert 5 <= level[middle.argmax()] <= 7
    check_nothing_is_cut(figure)
    check_type(figure)
    with pytest.raises(ValueError, match="two widths"):
        training_figures.width_gains({8: spread[8]})


def test_weight_times_excess_is_drawn_as_a_share_and_as_a_logarithm():
    logs = training_experiments.excesses(8)
    left, right = training_figures.left_to_win(logs).figure.axes
    grid = training_experiments.GRID
    for o in training_experiments.chosen():
        product = o.weighting(grid) * 10 ** logs[o.name].mean(0)
        (share,) = [line.get_ydata() for line in left.lines if line.get_gid() == o.name]
        (peak,) = [line.get_ydata() for line in right.lines if line.get_gid() == o.name]
        assert np.trapezoid(share, grid) == pytest.approx(1)
        np.testing.assert_allclose(share / share.max(), product / product.max())
        np.testing.assert_allclose(peak, np.log10(product / product.max()), atol=1e-9)
    named = {text.get_text() for text in right.texts}
    assert named == {*training_experiments.NAMES, "λ = 4"}
    check_nothing_is_cut(left.figure)
    check_type(left.figure)
    with pytest.raises(ValueError, match="shape"):
        training_experiments.weighted_excess({"edm": [0.0]})


def test_samples_print_the_distance_of_the_dots():
    figure = figures.draw("samples")
    there, floor, floors = training_experiments.held()
    assert len(figure.axes) == 10  # five runs for each of two widths
    for panel, ax in enumerate(figure.axes):
        name, words = ax.get_title().split("\n", 1)
        x = np.stack(data(figure, panel, name), 1)
        times, percent = re.fullmatch(r"([\d.]+) × truth, ([\d.]+)% astray", words).groups()
        assert (
            float(times)
            == pytest.approx(training_experiments.sliced_w2(x, there) / floor, abs=0.051)
            and float(times) > 1
        )
        assert float(percent) == pytest.approx(100 * training_experiments.astray(x), abs=0.051)
        assert (float(percent) > 15) == (panel < 5)  # width 8 above, 64 below
        circles = [patch for patch in ax.patches if patch.get_gid() == "mode"]
        apart = [np.linalg.norm(x - circle.center, axis=1) / circle.radius for circle in circles]
        assert 100 * (np.min(apart, 0) > 1).mean() == pytest.approx(float(percent), abs=0.051)
    low, high = floors.min() / floor, floors.max() / floor
    said = "the wider networks leave fewer samples between the modes"
    spread = f"two sets of true points: {low:.1f} to {high:.1f} × truth"
    assert figure.get_suptitle() == f"{said}   ({spread})"


def test_the_bounds_of_a_floor_are_named_beside_their_lines():
    """A name has the colour of its line, and the band has no edge straight down."""
    band = training_experiments.fashion_floor()
    ax = training_figures.floor_between(band)
    assert ax.get_legend() is None
    lines = {line.get_gid(): line.get_color() for line in ax.lines if line.get_gid() in BOUNDS}
    named = {text.get_color(): text.get_text() for text in ax.texts}
    wanted = {lines[name]: label for name, (label, *_) in BOUNDS.items()}
    assert named.items() >= wanted.items()
    edge = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert edge.min() > 1e-9
    check_nothing_is_cut(ax.figure)
    check_type(ax.figure)


def test_networks_that_were_trained_beside_one_another_show_their_excess_and_samples():
    rng = np.random.default_rng(0)
    names = ("drawn", "fm-ot")
    logs = dict(zip(names, rng.normal(-2, 1, (2, len(training_experiments.GRID))), strict=True))
    samples = dict(zip(names, rng.normal(size=(2, 50, 2)) * 1.3, strict=True))
    ax = training_figures.trained_beside(logs, samples)
    colours = {"drawn": DRAWN, "fm-ot": dv.plots.colour("fm-ot")}
    for panel, name in enumerate(names, start=1):
        np.testing.assert_array_equal(data(ax.figure, 0, name)[1], logs[name])
        np.testing.assert_array_equal(np.stack(data(ax.figure, panel, name), 1), samples[name])
        outside = (np.abs(samples[name]).max(1) > 4.5).sum()
        title = f"{name}: 50 samples,\n{outside} of them outside the frame"
        assert ax.figure.axes[panel].get_title() == title
    said = {text.get_text(): text.get_color() for text in ax.texts}
    assert {name: said[name] for name in names} == colours
    check_nothing_is_cut(ax.figure)
    check_type(ax.figure)
    with pytest.raises(ValueError, match="samples is empty"):
        training_figures.trained_beside(logs, {})


def test_clouds_beside_one_another_move_no_points():
    points = {"truth": np.random.default_rng(0).standard_normal((20, 2)), "fm-ot": np.ones((5, 2))}
    figure = training_figures.beside(points).figure
    for panel, (name, wanted) in enumerate(points.items()):
        np.testing.assert_array_equal(np.stack(data(figure, panel, name), 1), wanted)


def test_with_equal_draws_all_objectives_see_the_same_levels():
    objectives = [training_experiments.evened(one) for one in training_experiments.chosen()]
    seen = []
    dv.fit(
        objectives,
        training_experiments.truth().data,
        steps=3,
        batch=64,
        model=dv.models.MLP(width=4, depth=1),
        callback=seen.append,
        progress=False,
    )
    for step in seen:
        assert (step.logsnr == step.logsnr[0]).all()
        assert step.logsnr.min() > -10 and step.logsnr.max() < 14
        if step.step == seen[0].step:  # the same network so far, on the same points and noise
            assert torch.allclose(step.error, step.error[:1].expand_as(step.error), rtol=1e-5)


def test_an_interval_is_students():
    rows = np.random.default_rng(0).standard_normal((5, 4))
    found = training_experiments.interval(rows)
    low, high = stats.ttest_1samp(rows, 0).confidence_interval(0.95)
    np.testing.assert_allclose(found.mean - found.half, low)
    np.testing.assert_allclose(found.mean + found.half, high)
    np.testing.assert_array_equal(found.excludes_zero, (low > 0) | (high < 0))
    with pytest.raises(ValueError, match="two seeds"):
        training_experiments.interval(rows[:1])


def test_equal_draws_shows_means_over_seeds():
    fair = training_experiments.control()
    figure = figures.draw("equal-draws")
    levels = [float(ax.get_title().split("= ")[1].replace("−", "-")) for ax in figure.axes]
    assert levels == [-6, 0, 4, 10]
    for panel, level in enumerate(levels):
        for row, name in enumerate(training_experiments.NAMES):
            for kind, logs in (("own density", fair.own), ("equal draws", fair.even)):
                x, y = data(figure, panel, f"{name}:{kind}")
                assert x == pytest.approx(logs[name][:, at(level)].mean())
                assert round(float(y[0])) == row
    with pytest.raises(ValueError, match="unknown objective 'edn'"):
        fair.gaps("edn")
    np.testing.assert_array_equal(fair.own["elbo"], fair.even["elbo"])  # it drew evenly before


def test_gaps_to_the_elbo_are_drawn_seed_by_seed_on_axes_of_one_length():
    fair = training_experiments.control()
    figure = training_figures.equal_draws(fair, beside="elbo", title="what is seen").figure
    assert figure.get_suptitle() == "what is seen"
    check_nothing_is_cut(figure)
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == [name for name in training_experiments.NAMES if name != "elbo"]
    for panel, level in enumerate((-6, 0, 4, 10)):
        for name in names:
            gap = (fair.even[name] - fair.even["elbo"])[:, at(level)]
            x, _ = data(figure, panel, f"{name}:equal draws")
            assert x == pytest.approx(gap.mean())
    lengths = [np.ptp(ax.get_xlim()) for ax in figure.axes]
    assert lengths == pytest.approx([lengths[0]] * 4)
    with pytest.raises(ValueError, match="unknown objective 'edn'"):
        training_figures.equal_draws(fair, beside="edn")


def test_a_level_between_those_that_are_known_is_drawn_and_named_at_the_nearest():
    figure = training_figures.equal_draws(levels=(3.1, 99.0)).figure
    assert [ax.get_title() for ax in figure.axes] == ["λ = 3", "λ = 14"]
    with pytest.raises(ValueError, match="a level"):
        training_figures.equal_draws(levels=(np.nan,))


def test_the_dots_of_each_level_fill_its_panel_and_share_their_heights():
    axes = figures.draw("astray-over-excess").axes
    assert len({ax.get_ylim() for ax in axes}) == 1
    for ax in axes:
        places = np.concatenate([np.asarray(line.get_xdata()) for line in ax.lines])
        low, high = ax.get_xlim()
        assert low < places.min() <= places.max() < high
        assert np.ptp(places) > 0.85 * (high - low)


def test_a_dot_is_the_share_astray_of_one_network_over_its_excess():
    figure = figures.draw("astray-over-excess")
    for panel, level in enumerate((-6, 4, 10)):
        places, heights = [], []
        for width in (8, 64):
            for name, logs in training_experiments.excesses(width).items():
                x, y = data(figure, panel, f"{name}:{width}")
                np.testing.assert_allclose(x, logs[:, at(level)])
                runs = [training_experiments.trained(width, seed)[name] for seed in range(3)]
                samples = [training_experiments.samples(run) for run in runs]
                shares = [100 * training_experiments.astray(points) for points in samples]
                np.testing.assert_allclose(y, shares)
                places.extend(x)
                heights.extend(y)
        ranks = [stats.rankdata(values) for values in (places, heights)]
        rank = np.corrcoef(ranks)[0, 1]
        title = f"λ = {level}: rank correlation {rank:.2f}".replace("-", "−")
        assert figure.axes[panel].get_title() == title
    shades = {line.get_color() for line in figure.axes[0].lines}
    assert shades == {dv.plots.colour(name) for name in training_experiments.NAMES}


def test_dots_of_wide_networks_are_empty_and_the_legend_says_so():
    shares = {width: {"edm": np.array([0.1, 0.2])} for width in (8, 64)}
    spread = {width: {"edm": np.zeros((2, 45)) + np.arange(2)[:, None]} for width in (8, 64)}
    ax = training_figures.astray_over_excess(shares, spread)
    faces = {line.get_gid(): line.get_markerfacecolor() for line in ax.lines}
    assert faces == {"edm:8": dv.plots.colour("edm"), "edm:64": "white"}
    (legend,) = ax.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["edm", "width 8", "width 64"]
    with pytest.raises(ValueError, match="a level"):
        training_figures.astray_over_excess(shares, spread, levels=(np.nan,))


@pytest.mark.parametrize("name", NAMES)
def test_type_is_large_enough(name):
    check_type(figures.draw(name))


def test_over_the_floor_stand_the_log_and_the_truth():
    floor = np.linspace(1, 2, len(training_experiments.GRID))
    logged = {"edm": (1.5 * floor, 0.1 * floor), "elbo": (floor, 0.2 * floor)}
    excess = {"edm": 0.25 * floor, "elbo": 0 * floor}
    figure = training_figures.over_floor(logged, excess, floor, title="what is seen").figure
    assert figure.get_suptitle() == "what is seen"
    check_nothing_is_cut(figure)
    for panel, (name, mean, exact) in enumerate((("edm", 1.5, 1.25), ("elbo", 1, 1))):
        np.testing.assert_allclose(data(figure, panel, "logged")[1], mean)
        np.testing.assert_allclose(data(figure, panel, name)[1], exact)
    with pytest.raises(ValueError, match="excess has no values for elbo"):
        training_figures.over_floor(logged, {"edm": floor}, floor)
    with pytest.raises(ValueError, match="at least one"):
        training_figures.over_floor({}, {}, floor)


def test_what_is_left_to_win_is_drawn_as_it_is_given_and_named_at_the_ends():
    grid = training_experiments.GRID
    logs = {"edm": 0.1 * grid, "fm-ot": 0.1 * grid, "elbo": -1 + 0 * grid}
    ax = training_figures.excess_by_level(logs)
    for name, values in logs.items():
        np.testing.assert_allclose(data(ax.figure, 0, name), (grid, values))
    shades = {text.get_text(): text.get_color() for text in ax.texts}
    assert shades == {name: dv.plots.colour(name) for name in logs}
    heights = {text.get_text(): text.xy[1] for text in ax.texts}
    assert heights["edm"] == heights["fm-ot"] > heights["elbo"]
    check_nothing_is_cut(ax.figure)
    check_type(ax.figure)


def test_objectives_are_named_beside_their_weightings_and_beside_the_excess():
    panels = figures.draw("capacity").axes
    level = "λ = 4"  # at which all weightings are equal, beside its line
    names = [*training_experiments.NAMES, level]
    said = [sorted(text.get_text() for text in ax.texts) for ax in panels]
    assert said == [sorted(names), [level], sorted(names)]
    (away,) = [text for text in panels[0].texts if text.get_text() == "sd3"]
    assert away.xy[0] < 10 and panels[0].get_ylim()[0] < away.xy[1]  # where its line is seen
    assert panels[1].get_ylim() == panels[2].get_ylim()
    for ax in panels:
        (line,) = [line for line in ax.lines if line.get_gid() == "anchor"]
        assert set(line.get_xdata()) == {4}
    assert not any(ax.get_legend() for ax in panels)
