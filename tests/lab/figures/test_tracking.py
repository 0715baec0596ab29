"""The figures of tracking, adapting and sampling show their numbers, read from the artists."""

import subprocess
import sys

import numpy as np
import pytest
from pictures import check_nothing_is_cut, check_type, data

import diffviz as dv
from diffviz.lab import figures
from diffviz.lab.experiments import tracking as tracking_experiments
from diffviz.lab.experiments.tracking import DECAYS, EDGES, MIDDLE, RULES, Distance, over_least

pytestmark = pytest.mark.slow

NAMES = "ema-loss", "adaptive-schedules", "edm2-weighting", "density-or-grid"


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_cut_off_at_the_edge(name, drawn):
    check_nothing_is_cut(drawn[name])


def test_trained_figures_have_the_same_bytes_in_another_process(drawn, tmp_path):
    folder = str(tmp_path / "other")
    code = f"from diffviz.lab import figures; figures.write({list(NAMES)}, {folder!r})"
    subprocess.run([sys.executable, "-c", code], check=True)
    for name in NAMES:
        assert (
            dv.plots.save(drawn[name], tmp_path / f"{name}.svg").read_bytes()
            == (tmp_path / "other" / f"{name}.svg").read_bytes()
        )


def test_the_floor_is_the_exact_eps_mmse_of_the_ring(drawn):
    floor = tracking_experiments.watched_loss().floor
    x, over = data(drawn["ema-loss"], 0, "decay 0.9")
    np.testing.assert_array_equal(x, MIDDLE)
    np.testing.assert_allclose(over * floor, tracking_experiments.watched_loss().mean[0.9])
    known = {
        -8: 1.347651069961e-3,
        -4: 7.101299762838e-2,
        -2: 0.4258041251775,
        0: 1.106137538037,
        2: 0.6435606738823,
        6: 1.602724352524,
    }
    for level, value in known.items():  # between the middles of two bins, on a cubic through four
        near = np.abs(MIDDLE - level).argsort()[:4]
        cubic = np.polynomial.Polynomial.fit(x[near], np.log(floor[near]), 3)
        assert np.exp(cubic(level)) == pytest.approx(value, rel=5e-4)


def test_a_training_ends_near_its_floor_and_the_longest_memory_is_late(drawn):
    over = {
        decay: data(drawn["ema-loss"], panel, f"decay {decay:g}")[1]
        for panel, decay in enumerate(DECAYS)
    }
    dip = np.abs(MIDDLE - 2.9) < 0.5
    assert over[0.99][dip].mean() > 1
    # 0.09 to 0.15 from seed to seed
    assert over[0.999][dip].mean() > over[0.99][dip].mean() + 0.05
    for decay in (0.99, 0.999):
        assert over[decay][MIDDLE < 0].mean() == pytest.approx(1, abs=0.02)
    roughness = [np.abs(np.diff(over[decay])).mean() for decay in DECAYS]
    assert roughness[0] > 2 * roughness[1] > 2.8 * roughness[2]


def test_the_dark_line_is_the_finished_network(drawn):
    """Its error on other points than the figure's, by the error itself and not by the excess."""
    import torch

    ring, generator = dv.toy("ring8"), torch.Generator()
    x = ring.sample(50_000, generator.manual_seed(0)).float()
    (run,) = dv.fit("fm-ot", x, progress=False)
    level = torch.tensor(MIDDLE[64], dtype=torch.float64)
    held = ring.sample(40_000, generator.manual_seed(1))
    eps = torch.randn(held.shape, generator=generator.manual_seed(2), dtype=held.dtype)
    z = level.sigmoid().sqrt() * held + (-level).sigmoid().sqrt() * eps
    network, floor = ((each.denoise(z, level) - held).square().sum() for each in (run, ring))
    for panel in range(3):
        _, finished = data(drawn["ema-loss"], panel, "the finished network")
        assert finished[64] == pytest.approx(float(network / floor), abs=0.02)
        assert (finished > 1 - 1e-9).all()


def test_the_bands_are_the_standard_errors(drawn):
    figure, (_, stderr, _) = (
        drawn["ema-loss"],
        tracking_experiments.tracked_training().tracker.curve(),
    )
    floor = tracking_experiments.watched_loss().floor
    for panel, (row, decay) in enumerate(zip(stderr, DECAYS, strict=True)):
        name = f"decay {decay:g}"
        (band,) = (c for c in figure.axes[panel].collections if c.get_gid() == f"{name}:stderr")
        corners, middle = band.get_paths()[0].vertices, data(figure, panel, name)[1]
        for at, centre, error in zip(MIDDLE[::9], middle[::9], (row / floor)[::9], strict=True):
            ends = corners[np.isclose(corners[:, 0], at), 1]
            assert (ends.min(), ends.max()) == pytest.approx((centre - error, centre + error))


DENSITIES = [*tracking_experiments.STILL, *RULES]
SHOWN = [name for name in DENSITIES if name != "VDM"]  # in the order of the panels
BOTH = "minimum variance"  # whose panel has VDM as well
SMOOTH = ("Kingma–Gao", "minimum variance", "VDM")


def panel_of(name):
    """The place of the panel that shows a density."""
    return SHOWN.index(BOTH if name == "VDM" else name)


def test_adaptive_densities_are_densities(drawn):
    figure = drawn["adaptive-schedules"]
    titles = [f"{name}, VDM" if name == BOTH else name for name in SHOWN]
    assert [ax.get_title() for ax in figure.axes] == titles
    for name in RULES:
        density = data(figure, panel_of(name), name)[1]
        assert density.sum() * 0.2 == pytest.approx(1, rel=1e-9)
    for panel, (name, law) in enumerate(tracking_experiments.STILL.items()):
        np.testing.assert_array_equal(data(figure, panel, name)[1], law.pdf(MIDDLE))


def test_each_density_lies_over_the_one_of_least_variance(drawn):
    best = tracking_experiments.least_variance_density()
    assert over_least(best) == pytest.approx(1, abs=1e-12)
    for ax in drawn["adaptive-schedules"].axes:
        (area,) = (c for c in ax.collections if c.get_gid() == "least variance")
        corners = area.get_paths()[0].vertices
        for level, height in zip(MIDDLE[::9], best[::9], strict=True):
            assert corners[np.isclose(corners[:, 0], level), 1].max() == pytest.approx(height)


def test_smooth_densities_are_less_ragged_than_the_others(drawn):
    figure = drawn["adaptive-schedules"]
    turns = {
        name: np.abs(np.diff(data(figure, panel_of(name), name)[1], 2)).mean() for name in RULES
    }
    roughest = max(turns[name] for name in SMOOTH)
    assert roughest < 0.5 * min(turns[name] for name in RULES if name not in SMOOTH)


def test_variance_ratios_end_where_theory_says():
    steps, ratios = tracking_experiments.variance_ratios()
    uniform = ratios["Kingma–Gao"]
    assert (steps[0], steps[-1]) == (0, 1600) and uniform[0] == pytest.approx(2.42, abs=0.01)
    assert ratios["FM, uniform t"][-1] == pytest.approx(1.177, abs=1e-3)
    assert ratios["cosine"][-1] == pytest.approx(1.105, abs=1e-3)
    exact = dv.objective("fm-ot").weighting(MIDDLE) * dv.toy("ring8").mmse(MIDDLE)
    assert over_least(exact) == pytest.approx(1.117, abs=1e-3)
    last = {name: ratios[name][-10:] for name in RULES}
    assert (np.abs(last["Kingma–Gao"] - 1.14) < 0.03).all()
    assert (last["minimum variance"] < 1.04).all() and (last["minimum variance"] >= 1).all()
    np.testing.assert_allclose(last["VDM"], last["minimum variance"], rtol=1e-3)
    assert (
        np.ptp(last["second moment (iDDPM)"]) > 5 * np.ptp(last["minimum variance"])
        and (last["time warp (CDCD)"] > 1.3).all()
    )


def test_the_number_in_a_panel_is_the_median_of_the_second_half(drawn):
    ratios = tracking_experiments.variance_ratios()[1]
    for ax, name in zip(drawn["adaptive-schedules"].axes, SHOWN, strict=False):
        settled = np.median(ratios[name][len(ratios[name]) // 2 :])
        assert ax.texts[0].get_text() == f"{settled:.2f} ×"


def test_kingma_gao_keeps_the_weighting_and_edm2_does_not(drawn):
    figure, kept = drawn["edm2-weighting"], tracking_experiments.adapted_weightings()
    x, asked = data(figure, 0, "flow matching")
    np.testing.assert_allclose(np.diff(asked), -0.1 / np.log(10), rtol=1e-9)
    kingma_gao = dv.plots.scaled(kept["Kingma–Gao"], x, "log10, anchored")
    np.testing.assert_allclose(kingma_gao, asked, atol=0.02)
    changed = data(figure, 0, "EDM2 log-variance")[1]
    wanted = np.log10(dv.objective("fm-ot").law.pdf(x) / dv.toy("ring8").mmse(x))
    apart = changed - wanted
    assert np.std(apart[np.abs(x) < 7]) < 0.1  # of the noise of a tracker; the range is 3
    assert np.abs(changed - asked).max() > 0.8
    line = figure.axes[0].lines[0]
    assert (line.get_gid(), line.get_color()) == ("flow matching", dv.plots.colour("fm-ot"))


def test_the_key_is_in_the_empty_place_and_hides_nothing(drawn):
    figure = drawn["adaptive-schedules"]
    (key,) = figure.legends
    words = [text.get_text() for text in key.get_texts()]
    assert words == ["the best density", "what a rule learnt", "VDM"]
    box = key.get_window_extent()
    assert not any(ax.get_tightbbox().overlaps(box) for ax in figure.axes)
    check_nothing_is_cut(figure)


def test_fewer_rules_leave_no_empty_axes():
    panels = figures.tracking.adaptive_schedules(["VDM", "Kingma–Gao"]).figure.axes
    assert [ax.get_title() for ax in panels][2:] == ["VDM", "Kingma–Gao"]


def test_a_grid_is_named_where_its_two_lines_begin_and_no_name_hides_a_point(drawn):
    figure = drawn["density-or-grid"]
    ax = figure.axes[0]
    names = {text.get_text(): text.get_window_extent() for text in ax.texts}
    assert [*names] == ["cosine grid", "EDM grid", "uniform-λ grid", "true points"]
    first = ax.transData.transform((tracking_experiments.STEPS[0], 1))[0]
    assert max(box.x1 for box in names.values()) < first
    key = ax.get_legend().get_window_extent()
    assert not any(box.overlaps(key) for box in names.values())
    for line in ax.lines:
        points = ax.transData.transform(np.column_stack(line.get_data()))
        assert not any(key.contains(*point) for point in points)


def test_the_grid_sets_the_quality(drawn):
    figure, places, trained = (
        drawn["density-or-grid"],
        tracking_experiments.GRIDS,
        tracking_experiments.TRAINED,
    )
    far = np.array(
        [[data(figure, 0, f"{g} grid, trained with {t}")[1] for t in trained] for g in places]
    )  # (grids, trainings, steps)
    assert (far[2] / far[0])[:, :3].min() > 1.6  # uniform λ against cosine, by training
    assert (
        (far[:, 0] / far[:, 1])[:, :2].max()
        < 1.35
        < far[:, :, 1].max(0).min() / far[:, :, 1].min(0).max()
    )
    assert (np.diff(far, axis=2) < 0).all()  # more steps, nearer
    own = far[2, 1]
    assert (own >= far[:, 1].max(0) - 1e-9).all()  # a network trained with uniform λ is worst there


def test_the_distance_of_truth_is_a_floor():
    moons = dv.toy("moons")
    far = Distance(moons)
    assert np.median(far.floors) == far.floor and far.floors.max() < 4 * far.floor
    import torch

    x = moons.sample(4000, torch.Generator().manual_seed(3)).float()
    moved = far(x + torch.tensor([1.0, 0.0])) * far.floor
    # of a shift a: the root mean square of a cos over directions
    assert moved == pytest.approx(1 / np.sqrt(2), rel=0.05)


def test_figures_come_from_the_registry_without_torch():
    code = (
        "import sys; from diffviz.lab import figures; "
        f"assert {set(NAMES)} <= set(figures.FIGURES); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_there_are_a_hundred_bins_and_three_decays():
    assert len(EDGES) == 101 and DECAYS == (0.9, 0.99, 0.999)


GAINS = {
    "points": {"fm-ot": (1.4, 1.3, 1.2, 0.8, 1.0), "elbo": (20.0, 19.0, 10.0, 5.0, 7.0)},
    "images": {"fm-ot": (3.2, 2.9, 1.0, 1.1, 1.2), "elbo": (370.0, 245.0, 11.0, 9.0, 10.0)},
}


def test_gains_are_bars_from_one(drawn):
    """Three of the five columns: one draw, stratified draws, and the gradient."""
    panels = figures.tracking.variance_gains_figure(GAINS).figure.axes
    for ax, rows in zip(panels, GAINS.values(), strict=True):
        assert [label.get_text() for label in ax.get_yticklabels()] == ["flow matching", "ELBO"]
        for container, column in zip(ax.containers, (0, 2, 3), strict=True):
            ends = [bar.get_x() + bar.get_width() for bar in container]
            assert ends == pytest.approx([row[column] for row in rows.values()])
            assert {bar.get_x() for bar in container} == {1}
    check_nothing_is_cut(panels[0].figure)
    check_type(panels[0].figure)


@pytest.mark.parametrize("name", NAMES)
def test_type_is_large_enough(name, drawn):
    check_type(drawn[name])
