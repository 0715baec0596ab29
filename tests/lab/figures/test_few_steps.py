"""The figure of few-step objectives shows what the experiment computes."""

import numpy as np
import pytest
from pictures import check_nothing_is_cut, check_type

import diffviz as dv
from diffviz import plots
from diffviz.lab.experiments import few_steps
from diffviz.lab.figures import few_steps as figures

MEANFLOWS = ("meanflow", "imeanflow")


@pytest.mark.parametrize("name", few_steps.NAMES)
def test_a_plane_shows_the_probabilities(name):
    ax = plots.axes(4, 4)[0]
    figures.draw_plane(ax, name)
    mass, on = few_steps.plane(name)
    shown = ax.collections[0].get_array().filled(np.nan).reshape(mass.shape)
    seen = mass >= figures.LEAST
    np.testing.assert_allclose(shown.T[seen], np.log10(mass[seen]))
    assert np.isnan(shown.T[~seen]).all()
    hills = [patch for patch in ax.patches if patch.get_gid() == f"{name} diagonal"]
    assert len(hills) == bool(on.any())
    for hill in hills:
        heights = hill.get_data().values - few_steps.EDGES[0]
        np.testing.assert_allclose(heights, figures.HILL * on, atol=1e-12)
        assert (
            heights < few_steps.EDGES[1:] - few_steps.EDGES[0] + 0.5
        ).all()  # under the diagonal


@pytest.mark.parametrize("name", few_steps.NAMES)
def test_a_plane_says_how_often_the_long_jump_is_drawn(name):
    ax = plots.axes(5, 4)[0]
    figures.draw_plane(ax, name)
    mass, _ = few_steps.plane(name, [-1e3, 2 * np.log(0.1 / 0.9), 2 * np.log(0.9 / 0.1), 1e3])
    share = mass[0, -1]
    words = f"long jump 1 in {1 / share:,.0f}" if share else "compares neighbours"
    assert ax.get_title() == f"{name}: {words}"
    (frame,) = (line for line in ax.lines if line.get_gid() == "long jumps")
    np.testing.assert_allclose(frame.get_xdata()[1:], 2 * np.log(0.1 / 0.9))
    np.testing.assert_allclose(frame.get_ydata()[:2], 2 * np.log(0.9 / 0.1))
    check_type(ax.figure)


@pytest.mark.parametrize("name", few_steps.NAMES)
def test_a_plane_marks_the_cell_of_the_whole_jump_where_it_is_drawn(name):
    """Only a shortcut model draws t = 1 and r = 0, and its frame holds nothing else."""
    ax = plots.axes(5, 4)[0]
    figures.draw_plane(ax, name)
    corner = few_steps.plane(name).mass[0, -1]
    marks = [line for line in ax.lines if line.get_gid() == "whole jump"]
    assert len(marks) == (name == "shortcut") == (corner > figures.LEAST)
    for mark in marks:
        assert mark.get_xydata() == pytest.approx(np.array([[-9.75, 13.75]]))
        assert corner == pytest.approx(few_steps.share_of_long_jumps(name))
        assert any(text.get_text() == "from t = 1\nto r = 0:\n1 in 28" for text in ax.texts)


def test_a_plane_of_compared_levels_is_named_so():
    """The levels of ict are neighbours: no draw lies more than two cells off the diagonal."""
    ax = plots.axes(5, 4)[0]
    figures.draw_plane(ax, "ict")
    mass = few_steps.plane("ict").mass
    assert np.triu(mass, 3).sum() == 0 and np.tril(mass, -1).sum() == 0
    assert ax.get_ylabel() == "λ of the level it is compared with"
    assert [bar.get_ylabel() for bar in ax.child_axes] == ["probability of a cell"]
    ax = plots.axes(5, 4)[0]
    figures.draw_plane(ax, "ict", bar=False)
    assert ax.child_axes == []


@pytest.mark.slow
def test_errors_are_those_of_the_experiment():
    ax = plots.axes(5, 4)[0]
    figures.draw_errors(ax, few_steps.DATA[0], ["shortcut"])
    runs = [few_steps.errors("shortcut", few_steps.DATA[0], seed) for seed in few_steps.SEEDS]
    rms = np.array([run.rms for run in runs])
    lines = {line.get_label(): line for line in ax.lines}
    np.testing.assert_allclose(lines["shortcut"].get_ydata(), rms.mean(0))
    np.testing.assert_allclose(lines["not moved"].get_ydata(), runs[0].unmoved)
    (bars,) = ax.collections
    ends = [segment[:, 1] for segment in bars.get_segments()]
    np.testing.assert_allclose(ends, np.stack([rms.min(0), rms.max(0)], 1))
    check_type(ax.figure)


@pytest.mark.slow
def test_every_line_of_the_two_pictures_of_networks_is_named():
    forms, others = figures.FORMS, figures.OTHER_METHODS
    assert (*forms, *others) == few_steps.NAMES
    for picture, other, groups in (
        (figures.one_step_maps, figures.EXACT, (forms, others, forms, others)),
        (figures.distances, "not moved", (few_steps.NAMES, few_steps.NAMES)),
    ):
        panels = picture().figure.axes
        for ax, names in zip(panels, groups, strict=True):
            assert {text.get_text() for text in ax.texts} == {*names, other}
            assert ax.get_legend() is None
        check_type(panels[0].figure)
        check_nothing_is_cut(panels[0].figure)


@pytest.mark.slow
@pytest.mark.parametrize("data", few_steps.DATA)
def test_no_seed_of_a_meanflow_follows_the_map(data):
    """As the titles of the maps say: each is farther off than each network of the shortcut."""
    far = [
        few_steps.errors(name, data, seed).rms[0] for name in MEANFLOWS for seed in few_steps.SEEDS
    ]
    near = [few_steps.errors("shortcut", data, seed).rms[0] for seed in few_steps.SEEDS]
    assert min(far) > 3 * max(near)


@pytest.mark.slow
@pytest.mark.parametrize("data", few_steps.DATA)
def test_a_map_is_where_one_step_of_each_network_ends(data):
    """Between its states it has the error that the other figure shows."""
    ax = plots.axes(5, 4, legend=1.0)[0]
    figures.draw_maps(ax, data, ["shortcut", "ict"])
    lines = {line.get_gid(): line for line in ax.lines}
    z, exact = (states.numpy().ravel() for states in few_steps.exact_ends(data))
    likely = np.abs(z) < figures.REACH
    between = np.interp(z, *lines["exact"].get_data())[likely] - exact[likely]
    assert np.quantile(np.abs(between), 0.95) < 0.01  # all but the step itself
    assert {text.get_text() for text in ax.texts} == {"shortcut", "ict", figures.EXACT}
    for name in ("shortcut", "ict"):
        seeds = [lines[f"{name}:{seed}"].get_ydata() for seed in few_steps.SEEDS]
        (tip,) = [text for text in ax.texts if text.get_text() == name]
        middle = np.median([ends[-1] for ends in seeds])  # of three, so that a line ends there
        assert tip.xy == pytest.approx((1.0, ax.transLimits.transform((0, middle))[1]))
        for seed in few_steps.SEEDS:
            line = lines[f"{name}:{seed}"]
            assert line.get_color() == figures.COLOURS[name]
            ends = np.interp(z, *line.get_data())[likely]
            rms = np.sqrt(np.square(ends - exact[likely]).mean())
            assert rms == pytest.approx(few_steps.errors(name, data, seed).rms[0], abs=0.02)
    check_type(ax.figure)
    check_nothing_is_cut(ax.figure)


@pytest.mark.slow
def test_maps_of_one_data_set_have_one_scale_that_holds_all_lines():
    for row in np.array(figures.one_step_maps().figure.axes).reshape(2, 2):
        (limits,) = {ax.get_ylim() for ax in row}
        for line in (line for ax in row for line in ax.lines):
            heights = np.asarray(line.get_ydata())
            assert limits[0] < heights.min() and heights.max() < limits[1]


@pytest.mark.slow
def test_each_changed_meanflow_is_drawn_under_its_distance():
    panels = figures.changes().figure.axes
    titles = {
        f"{change}: {few_steps.outcome(change).rms[:, 0].mean():.2f} off": change
        for change in few_steps.CHANGES
    }
    assert {titles[ax.get_title()] for ax in panels} == set(few_steps.CHANGES)
    likely = np.abs(few_steps.PATH_STARTS) <= figures.REACH
    for ax in panels:
        ends = few_steps.outcome(titles[ax.get_title()]).ends[:, likely]
        drawn = {line.get_gid(): line.get_ydata() for line in ax.lines}
        for seed in few_steps.SEEDS:
            np.testing.assert_array_equal(drawn[f"{titles[ax.get_title()]}:{seed}"], ends[seed])
        low, high = ax.get_ylim()
        assert all(low < each.min() and each.max() < high for each in drawn.values())
    check_type(panels[0].figure)
    check_nothing_is_cut(panels[0].figure)


def test_guesses_are_drawn_beside_the_clusters():
    ax = figures.guesses()
    lines = {line.get_label(): line.get_ydata() for line in ax.lines}
    z = np.linspace(-figures.REACH, figures.REACH, 121)
    np.testing.assert_array_equal(lines[figures.WITH], few_steps.guesses(0.9, z).with_factor)
    law = dv.toy("gmm1").law
    centres = law.means.flatten().tolist()
    shares = [f"{share:.0%}".replace("%", " %") for share in law.weights.tolist()]
    assert {
        f"{share} of the data": centre for share, centre in zip(shares, centres, strict=True)
    } == figures.CLUSTERS
    check_type(ax.figure)
    check_nothing_is_cut(ax.figure)
