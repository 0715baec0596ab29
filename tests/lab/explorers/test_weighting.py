"""Explorers: a control is set, the line is read."""

import base64
import pickle
import re

import numpy as np
import pytest
import torch

import diffviz as dv
from diffviz import plots
from diffviz.lab.experiments import perception
from diffviz.lab.experiments.weighting import drawn_levels
from diffviz.lab.explorers.weighting import AXES, DRAWN_COLOUR, WeightingExplorer, parameter_name
from diffviz.theory.families import FAMILIES

OTHERS = (
    *("names", "family", "scale", "base", "anchor", "axis", "loss"),
    *("table", "settings", "drawing"),
)
BACK_AND_FORTH = ((-6.0, 1.0), (2.0, 0.0), (6.0, -1.0), (0.0, 0.5))  # log10 w along a stroke


@pytest.fixture
def explorer():
    return WeightingExplorer(("fm-ot", "edm"), "flow logit-normal")


def line(explorer, name):
    """Places and values of a curve on show."""
    chart = explorer.view.charts[0]
    return chart.places(name), np.asarray(chart.curves[name])


def test_the_anchor_moves_the_curves(explorer):
    explorer.set("anchor", 2)
    x, y = line(explorer, "fm-ot")
    np.testing.assert_allclose(y, (2 - np.asarray(x)) / 2 / np.log(10), atol=1e-9)


def test_the_base_switch_multiplies_by_e_to_the_logsnr(explorer):
    before = line(explorer, "edm")[1]
    explorer.set("base", "x")
    x, y = line(explorer, "edm")
    np.testing.assert_allclose(y - before, np.asarray(x) / np.log(10), atol=1e-9)


def test_a_parameter_slider_moves_its_family_only(explorer):
    others = line(explorer, "edm")[1]
    explorer.set("flow_logit_normal_mean", 0.5)
    x, y = line(explorer, "flow logit-normal")
    w = FAMILIES["flow logit-normal"].build(mean=0.5).weighting(np.asarray(x))
    np.testing.assert_allclose(y, np.log10(w / w[300]), atol=1e-9)
    np.testing.assert_array_equal(line(explorer, "edm")[1], others)


@pytest.mark.parametrize("axis", ["t, linear path", "σ, VP", "σ, VE (log scale)"])
def test_the_axis_shows_the_same_values_elsewhere(explorer, axis):
    before = line(explorer, "edm")[1]
    explorer.set("axis", axis)
    x, y = (np.asarray(v, dtype=float) for v in line(explorer, "edm"))
    np.testing.assert_array_equal(y, before)
    where = {
        "t, linear path": 1 / (1 + np.exp(explorer.grid / 2)),
        "σ, VP": (1 + np.exp(explorer.grid)) ** -0.5,
    }
    np.testing.assert_allclose(x, where.get(axis, np.exp(-explorer.grid / 2)), rtol=1e-12)
    assert axis[3:] in explorer.view.charts[0].xlabel


def test_a_pasted_table_is_drawn_within_its_ends(explorer):
    explorer.set("table", "-4, 1\n0, 2\n4, 1")
    x, y = (np.asarray(v) for v in line(explorer, "own table"))
    assert np.isnan(y[np.abs(x) > 4.01]).all()
    np.testing.assert_allclose(y[300], 0)
    np.testing.assert_allclose(y[x == x[np.abs(x + 4).argmin()]], -np.log10(2), atol=1e-9)


BAD_TABLES = ["1 2\n3", "a, b\nc, d", "0, 1\n0, 2", "0, -1\n1, 1", "0\n1", "t, w\n0, 1\n1, 2"]


@pytest.mark.parametrize("text", BAD_TABLES)
def test_a_bad_table_is_named_in_the_widget_and_the_picture_stays(explorer, text):
    before = explorer.png
    explorer.set("table", text)
    assert "ValueError" in explorer.error and explorer.png == before
    explorer.set("anchor", 1)  # and the explorer goes on
    assert explorer.error == ""


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("nan, 1\n0, 2\n1, 3", r"row 1 \(line 1\), column 1: 'nan' is not finite"),
        ("0, NaN\n1, 2", r"row 1 \(line 1\), column 2: 'NaN' is not finite"),
        ("logsnr, w\n0, 1\n1, nan", r"row 2 \(line 3\), column 2 \(w\): 'nan' is not finite"),
        ("0\t1\n1\tinf", r"row 2 \(line 2\), column 2: 'inf' is not finite"),
        ("[[0, 1], [1, NaN]]\n", r"row 2, column 2: nan is not finite"),
    ],
)
def test_a_pasted_cell_that_is_no_finite_number_is_named_by_its_place(explorer, text, place):
    explorer.set("table", text)
    assert re.search(place, explorer.error), explorer.error
    assert "own table" not in explorer.objectives()


def test_the_saved_notebook_shows_the_picture_without_a_kernel(explorer):
    bundle, _ = explorer._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert base64.b64decode(bundle["image/png"]) == explorer.png


@pytest.mark.parametrize(
    ("names", "family", "near"), [(("edmm",), "none", "'edm'"), (("edm",), "EDMM", "'EDM'")]
)
def test_an_explorer_of_unknown_names_is_refused_with_near_ones(names, family, near):
    with pytest.raises(ValueError, match=near):
        WeightingExplorer(names, family)


def test_a_table_outside_the_usual_range_does_not_block_the_explorer(explorer):
    explorer.set("table", "logsnr, w\n13, 1\n14, 2")
    explorer.set("anchor", 1)
    assert explorer.error == "" and "outside [−10, 10]" in explorer.view.text
    explorer.set("table", "")
    assert "own table" not in explorer.objectives()


def test_an_explorer_with_nothing_chosen_says_what_to_do():
    with pytest.raises(ValueError, match="pick an objective"):
        WeightingExplorer((), "none")


def test_one_text_is_no_list_of_names():
    with pytest.raises(TypeError, match="names must be a list of names"):
        WeightingExplorer("edm")


@pytest.mark.parametrize("text", ["0 1\n1 2", "0, 1\n1, 2", "logsnr;w\n0;1\n1;2", " 0 1 \n1\t2\n"])
def test_a_table_is_read_with_any_separator_and_without_its_header(explorer, text):
    explorer.set("table", text)
    np.testing.assert_allclose(
        explorer.objectives()["own table"].weighting([0.0, 1.0]), [1, 2], rtol=1e-9
    )


@pytest.mark.parametrize("name", AXES)
def test_each_axis_pickles(name):
    grid = np.linspace(-4, 4, 9)
    place = pickle.loads(pickle.dumps(AXES[name].place))
    np.testing.assert_array_equal(place(grid), AXES[name].place(grid))


def test_pasted_settings_are_drawn_and_described(explorer):
    options = "flux_train_network.py --timestep_sampling sigmoid --discrete_flow_shift 3"
    explorer.set("settings", options)
    assert "discrete_flow_shift has no effect" in explorer.view.text
    drawn = line(explorer, "own settings")[1]
    explorer.set("names", ("sd3",))
    np.testing.assert_allclose(drawn, line(explorer, "sd3")[1], atol=1e-9)
    explorer.set("settings", "")
    assert "own settings" not in explorer.objectives()


def test_settings_that_cannot_be_read_are_answered(explorer):
    explorer.set("settings", "flux_train_network.py --logit_maen 1")
    assert "did you mean" in explorer.error
    assert "own settings" not in explorer.objectives()


@pytest.mark.parametrize("family", [*FAMILIES, "none"])
def test_each_family_brings_its_own_sliders(explorer, family):
    explorer.set("family", family)
    offered = FAMILIES[family].parameters if family in FAMILIES else ()
    names = [parameter_name(family, parameter.name) for parameter in offered]
    shown = explorer.description.shown(explorer.state)
    sliders = [explorer.description[name] for name in shown if name not in OTHERS]
    assert [slider.name for slider in sliders] == names
    assert [slider.label for slider in sliders] == [parameter.name for parameter in offered]
    for slider in sliders:
        for value in (slider.low, slider.high):
            explorer.set(slider.name, value)
            assert explorer.error == "", (family, slider.name, value)


def test_the_loss_density_view_is_base_free_and_has_unit_area(explorer):
    explorer.set("scale", "loss density")
    x, y = line(explorer, "fm-ot")
    assert np.trapezoid(y, x) == pytest.approx(1)
    np.testing.assert_allclose(np.asarray(y) * np.cosh(np.asarray(x) / 2), y[300], rtol=1e-9)
    assert not {"base", "anchor"} & set(explorer.description.shown(explorer.state))
    explorer.set("scale", "w / max")
    assert "base" in explorer.description.shown(explorer.state)
    assert "anchor" not in explorer.description.shown(explorer.state)


def test_the_loss_density_of_photographs_is_that_of_their_spectrum(explorer):
    explorer.set("scale", "loss density, photographs")
    x, y = line(explorer, "edm")
    spectrum = perception.spectrum()
    signal = spectrum.power * np.exp(np.array([-4.0, 0.0, 4.0]))[:, None]
    error = (spectrum.count * signal / (1 + signal)).sum(1)
    expected = dv.objective("edm").weighting([-4.0, 0.0, 4.0]) * error
    np.testing.assert_allclose(y[[200, 300, 400]] / y[300], expected / expected[1], rtol=1e-9)
    assert np.trapezoid(y, x) == pytest.approx(1)
    assert "the share of the loss on N(0, I) data" in explorer.view.text


def test_an_entry_is_found_by_its_source_and_stands_in_its_family(explorer):
    chips = {chip.value: chip for chip in explorer.description["names"].options}
    assert set(chips) == set(dv.catalogue)
    found = {name for name, chip in chips.items() if "kohya" in chip.keywords.lower()}
    assert "kohya-debiased-v" in found and "sd3" not in found
    assert {name for name, chip in chips.items() if chip.group == "sigmoid"} == {
        "sigmoid-bias0",
        "sigmoid-bias2",
        "sigmoid-bias-3",
    }


def test_more_than_eight_objectives_are_refused_by_name(explorer):
    names = tuple(dv.catalogue)[:10]
    with pytest.raises(ValueError, match=f"leave out {names[8]}, {names[9]}"):
        explorer.set("names", names)
    explorer.set("names", names[:8])
    assert set(names[:8]) == set(explorer.view.charts[0].curves) - {"flow logit-normal"}


@pytest.mark.parametrize("file", ["a.svg", "a.pdf", "a.png"])
def test_the_picture_can_be_saved(explorer, file, tmp_path):
    assert explorer.save(tmp_path / file) == tmp_path / file
    assert (tmp_path / file).stat().st_size > 2000


def test_the_curves_can_be_saved_as_a_table(explorer, tmp_path):
    explorer.set("scale", "w / max")
    explorer.save(tmp_path / "a.csv")
    rows = np.genfromtxt(tmp_path / "a.csv", delimiter=",", skip_header=1)
    assert (tmp_path / "a.csv").read_text().splitlines()[0] == "x,fm-ot,edm,flow logit-normal"
    w = dv.objective("fm-ot").weighting(rows[:, 0])
    np.testing.assert_array_equal(rows[:, 1], w / w.max())


@pytest.mark.parametrize("file", ["a.gif", "a"])
def test_a_file_of_another_ending_is_refused(explorer, file, tmp_path):
    with pytest.raises(ValueError, match="ending is one of"):
        explorer.save(tmp_path / file)


def test_verdict_and_shares_stand_under_the_picture(explorer):
    assert "fm-ot  monotone  99.3%  50.0%" in explorer.view.text
    assert "peak −3.31, negative 0.3%" in explorer.view.text


def test_an_empty_choice_is_answered_and_the_next_one_mends_it(explorer):
    explorer.set("family", "none")
    before = explorer.png
    explorer.set("names", ())
    assert "pick an objective" in explorer.error and explorer.png == before
    explorer.set("names", ("sd3",))
    assert explorer.error == "" and list(explorer.view.charts[0].curves) == ["sd3"]


def test_the_code_of_an_explorer_makes_it_again(explorer):
    explorer.set("family", "EDM")
    explorer.set("edm_mean", -1.0)
    names = {}
    exec(explorer.code().replace("\n\n", "\n\nagain = "), names)
    assert names["again"].state == explorer.state
    assert WeightingExplorer.from_link(explorer.link()).state == explorer.state


def test_where_a_stroke_turns_back_its_newest_part_counts():
    logsnr, heights = drawn_levels(BACK_AND_FORTH)
    np.testing.assert_array_equal(logsnr, [-6, 0, 6])
    np.testing.assert_array_equal(heights, [1, 0.5, -1])
    mirrored = [(-at, height) for at, height in BACK_AND_FORTH]
    np.testing.assert_array_equal(drawn_levels(mirrored)[0], [-6, 0, 6])


def test_a_drawn_weighting_is_an_objective(explorer):
    explorer.set("drawn", BACK_AND_FORTH)
    drawn = explorer.objectives()["drawn"]
    between = drawn.weighting([-6.0, -3.0, 3.0, 6.0])
    np.testing.assert_allclose(np.log10(between / between[0]), [0, -0.25, -1.25, -2], atol=1e-12)
    np.testing.assert_array_equal(drawn.weighting([-6.1, 6.1]), 0)
    assert "drawn  monotone" in explorer.view.text
    again = WeightingExplorer.from_link(explorer.link())
    assert again.objectives()["drawn"].identity == drawn.identity


def test_a_rise_is_held_if_the_reader_wants(explorer):
    explorer.set("drawing", True)
    assert "Drag over the chart" in explorer.view.text
    explorer.set("drawn", ((-4.0, 0.0), (-2.0, 1.0), (4.0, -1.0)))
    assert "it is held" not in explorer.view.text
    assert (
        "rises with λ on [−4.00, −2.00]: there ELBOs of noised data count with a minus"
        in explorer.view.text
    )
    explorer.set("monotone", True)
    assert "never rises with λ" in explorer.view.text
    w = explorer.objectives()["drawn"].weighting([-4.0, -2.0, 1.0, 4.0])
    np.testing.assert_allclose(np.log10(w / w[0]), [0, 0, -0.5, -1], atol=1e-12)
    explorer.set("drawn", ())
    assert "it is held" in explorer.view.text
    assert "drawn" not in explorer.objectives()


def test_the_drawn_curve_and_the_axis_stay_where_they_are_while_one_draws(explorer):
    explorer.set("drawing", True)
    limits = explorer.view.charts[0].ylim
    explorer.set("drawn", BACK_AND_FORTH)
    assert explorer.view.charts[0].ylim == limits
    assert line(explorer, "drawn")[1][explorer.grid == 3.0] == pytest.approx(-0.25)
    explorer.set("base", "x")  # heights on another error are not what was drawn
    assert explorer.view.charts[0].strokes == ""
    assert line(explorer, "drawn")[1][explorer.grid == 0.0] == pytest.approx(0)


def test_a_drawn_curve_has_a_colour_of_its_own(explorer):
    explorer.set("drawn", BACK_AND_FORTH)
    drawn = explorer.view.charts[0].colours["drawn"]
    shades = {plots.colour(name) for name in (*dv.catalogue, *FAMILIES, *explorer.passed)}
    assert drawn == explorer.view.panels[1].colours[-1] and drawn not in shades


def test_nothing_else_need_be_chosen_to_draw():
    explorer = WeightingExplorer((), "none", drawing=True)
    assert list(explorer.view.charts[0].curves) == ["drawn"]
    assert explorer.view.charts[0].ylim == (-4, 4) and len(explorer.png) > 2000


def test_what_is_passed_from_python_is_shown_beside_the_others():
    own = dv.from_weighting([[-8.0, 2.0], [8.0, 1.0]])
    explorer = WeightingExplorer(("edm",), "none", objectives={"mine": own})
    assert list(explorer.view.charts[0].curves) == ["edm", "mine"]
    assert "mine  monotone" in explorer.view.text
    names = {"objectives": {"mine": own}}
    exec(explorer.code().replace("\n\n", "\n\nagain = "), names)
    assert names["again"].state == explorer.state and "mine" in names["again"].objectives()


def test_a_measured_loss_is_shown_as_its_averages():
    x = torch.linspace(-1, 1, 128).reshape(64, 2)
    measured = dv.probe(dv.lab.losses.edm, x, draws=4000)
    shown = WeightingExplorer(("edm",), "none", objectives={"probe": measured}).objectives()
    at = np.linspace(-2, 6, 9)
    ratio = shown["probe"].weighting(at) / shown["edm"].weighting(at)
    np.testing.assert_allclose(ratio / ratio.mean(), 1, atol=0.15)


@pytest.mark.parametrize(
    ("objectives", "error", "message"),
    [
        ({"edm": dv.objective("sd3")}, ValueError, "the name 'edm' in objectives is taken"),
        ({"mine": 3}, TypeError, "must be an objective or a measured loss, got 3"),
        ([dv.objective("sd3")], TypeError, "objectives maps names to objectives"),
    ],
)
def test_what_cannot_be_shown_is_refused(objectives, error, message):
    with pytest.raises(error, match=message):
        WeightingExplorer(objectives=objectives)


STROKE = ((-6.0, 0.0), (0.0, 1.0), (6.0, -2.0))


def test_a_drawn_weighting_is_trained_beside_the_first_two_others():
    explorer = WeightingExplorer(("sd3", "edm"), "none", drawing=True, drawn=STROKE, steps=100)
    explorer.act("train")
    explorer.wait()
    assert explorer.error == "" and explorer.state["picture"] == "training"
    *_, note, table = explorer.view.panels
    assert [row[0] for row in table.rows] == ["drawn", "sd3", "edm"]
    assert "100 steps" in note.text and note.text.endswith("done")
    excess = explorer.view.charts[1]
    assert set(excess.curves) == {"drawn", "sd3", "edm"}
    assert excess.colours["drawn"] == table.colours[0] == DRAWN_COLOUR
    assert np.isfinite([*excess.curves.values()]).all()
    explorer.set("steps", 200)
    untrained = explorer.view.panels[-1]  # that is another training
    assert len(untrained.head) < len(table.head) and "drawn" in untrained.rows[0]
    explorer.set("steps", 100)
    assert explorer.view.panels[-1] == table
    explorer.set("family", "EDM")  # others are shown, and are not trained
    before = explorer.view.charts[0]
    explorer.set("edm_mean", 0.5)
    after = explorer.view.charts[0]
    assert list(after.faint) == ["EDM"] and after.colours["drawn"] == DRAWN_COLOUR
    assert not np.array_equal(before.curves["EDM"], after.curves["EDM"])
    assert explorer.view.panels[-1] == table


def test_what_is_not_drawn_cannot_be_trained():
    explorer = WeightingExplorer(drawing=True)
    explorer.act("train")
    assert "no drawn weighting yet" in explorer.error and explorer.state["picture"] == "weightings"
    explorer.set("picture", "training")
    assert explorer.error == "" and "can then be trained on ring8" in explorer.view.text


def test_others_are_taken_from_the_usual_ones_where_few_are_chosen():
    explorer = WeightingExplorer((), "none", drawing=True, drawn=STROKE, picture="training")
    assert [row[0] for row in explorer.view.panels[-1].rows] == ["drawn", "fm-ot", "edm"]
