"""Explorers: a control is set, the line is read."""

import base64
import io
import pickle

import numpy as np
import pytest
from PIL import Image

import diffviz as dv
from diffviz.lab.explorers.base import Picture
from diffviz.lab.explorers.weighting import AXES, WeightingExplorer
from diffviz.theory.families import FAMILIES

pytestmark = pytest.mark.slow


@pytest.fixture
def explorer():
    return WeightingExplorer(("fm-ot", "edm"), "flow logit-normal")


def line(explorer, name):
    return next(one for one in explorer.axes.lines if one.get_gid() == name)


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)))


def test_the_anchor_moves_the_curves(explorer):
    explorer.controls["anchor"].value = 2
    x, y = line(explorer, "fm-ot").get_data()
    np.testing.assert_allclose(y, (2 - np.asarray(x)) / 2 / np.log(10), atol=1e-9)


def test_the_base_switch_multiplies_by_e_to_the_logsnr(explorer):
    before = line(explorer, "edm").get_ydata().copy()
    explorer.controls["base"].value = "x"
    x, y = line(explorer, "edm").get_data()
    np.testing.assert_allclose(y - before, np.asarray(x) / np.log(10), atol=1e-9)


def test_a_parameter_slider_moves_its_family_only(explorer):
    others = line(explorer, "edm").get_ydata().copy()
    explorer.controls["p0"].value = 0.5
    x, y = line(explorer, "flow logit-normal").get_data()
    w = FAMILIES["flow logit-normal"].build(mean=0.5).weighting(np.asarray(x))
    np.testing.assert_allclose(y, np.log10(w / w[300]), atol=1e-9)
    np.testing.assert_array_equal(line(explorer, "edm").get_ydata(), others)


@pytest.mark.parametrize("family", [*FAMILIES, "none"])
def test_each_family_brings_its_own_sliders(explorer, family):
    explorer.controls["parametric"].value = family
    wanted = [p[0] for p in FAMILIES[family].parameters] if family in FAMILIES else []
    sliders = [explorer.controls[f"p{i}"] for i in range(3)]
    assert [s.description for s in sliders if s.layout.display != "none"] == wanted
    assert "Error" not in explorer.text.value
    for slider in sliders[: len(wanted)]:
        for value in (slider.min, slider.max):
            slider.value = value
            assert "Error" not in explorer.text.value, (family, slider.description, value)


@pytest.mark.parametrize("axis", ["t, linear path", "σ, VP", "σ, VE (log scale)"])
def test_the_axis_shows_the_same_values_elsewhere(explorer, axis):
    before = line(explorer, "edm").get_ydata().copy()
    explorer.controls["axis"].value = axis
    x, y = (np.asarray(v, dtype=float) for v in line(explorer, "edm").get_data())
    np.testing.assert_array_equal(y, before)
    where = {
        "t, linear path": 1 / (1 + np.exp(explorer.grid / 2)),
        "σ, VP": (1 + np.exp(explorer.grid)) ** -0.5,
    }
    np.testing.assert_allclose(x, where.get(axis, np.exp(-explorer.grid / 2)), rtol=1e-12)
    assert axis[3:] in explorer.axes.get_xlabel()


def test_the_loss_density_view_is_base_free_and_has_unit_area(explorer):
    explorer.controls["scale"].value = "loss density"
    x, y = line(explorer, "fm-ot").get_data()
    assert np.trapezoid(y, x) == pytest.approx(1)
    np.testing.assert_allclose(np.asarray(y) * np.cosh(np.asarray(x) / 2), y[300], rtol=1e-9)
    assert (
        explorer.controls["base"].layout.display
        == explorer.controls["anchor"].layout.display
        == "none"
    )


def test_search_and_family_filter_but_keep_what_is_chosen(explorer):
    explorer.controls["search"].value = "kohya"
    options = explorer.controls["objectives"].options
    assert (
        options[:2] == ("fm-ot", "edm") and "kohya-debiased-v" in options and "sd3" not in options
    )
    assert explorer.controls["objectives"].value == ("fm-ot", "edm")
    explorer.controls["search"].value = ""
    explorer.controls["group"].value = "sigmoid"
    assert set(explorer.controls["objectives"].options) == {
        "fm-ot",
        "edm",
        "sigmoid-bias0",
        "sigmoid-bias2",
        "sigmoid-bias-3",
    }


def test_more_than_eight_objectives_are_left_out_by_name(explorer):
    names = tuple(dv.catalogue)[:10]
    explorer.controls["objectives"].value = names
    assert f"{names[8]}, {names[9]} left out" in explorer.text.value
    assert set(names[:8]) <= {one.get_gid() for one in explorer.axes.lines} and names[8] not in {
        one.get_gid() for one in explorer.axes.lines
    }


def test_a_pasted_table_is_drawn_within_its_ends(explorer):
    explorer.controls["table"].value = "-4, 1\n0, 2\n4, 1"
    explorer.redraw("use")
    x, y = (np.asarray(v) for v in line(explorer, "own table").get_data())
    assert np.isnan(y[np.abs(x) > 4.01]).all()
    np.testing.assert_allclose(y[300], 0)
    np.testing.assert_allclose(y[x == x[np.abs(x + 4).argmin()]], -np.log10(2), atol=1e-9)


BAD_TABLES = ["", "1 2\n3", "a, b\nc, d", "0, 1\n0, 2", "0, -1\n1, 1", "0\n1", "t, w\n0, 1\n1, 2"]


@pytest.mark.parametrize("text", BAD_TABLES)
def test_a_bad_table_is_named_in_the_widget_and_the_picture_stays(explorer, text):
    before = explorer.png
    explorer.controls["table"].value = text
    explorer.redraw("use")
    assert "ValueError" in explorer.text.value and explorer.png == before
    explorer.controls["anchor"].value = 1  # and the explorer goes on
    assert "ValueError" not in explorer.text.value


@pytest.mark.slow
@pytest.mark.parametrize("file", ["a.svg", "a.pdf", "a.png"])
def test_the_picture_can_be_saved(explorer, file, tmp_path):
    explorer.controls["file"].value = str(tmp_path / file)
    explorer.redraw("save")
    assert (tmp_path / file).stat().st_size > 2000 and str(tmp_path / file) in explorer.text.value


def test_the_curves_can_be_saved_as_a_table(explorer, tmp_path):
    explorer.controls["file"].value = str(tmp_path / "a.csv")
    explorer.redraw("save")
    rows = np.genfromtxt(tmp_path / "a.csv", delimiter=",", skip_header=1)
    assert (tmp_path / "a.csv").read_text().splitlines()[0] == "logsnr,fm-ot,edm,flow logit-normal"
    np.testing.assert_array_equal(rows[:, 1], dv.objective("fm-ot").weighting(rows[:, 0]))


@pytest.mark.parametrize("file", ["a.gif", "no/such/folder/a.csv"])
def test_a_save_that_fails_is_shown(explorer, file, tmp_path):
    explorer.controls["file"].value = str(tmp_path / file)
    explorer.redraw("save")
    assert "Error" in explorer.text.value


def test_verdict_and_shares_stand_under_the_picture(explorer):
    assert (
        "99.3%" in explorer.text.value
        and "50.0%" in explorer.text.value
        and "monotone" in explorer.text.value
    )
    assert "peak -3.31, negative 0.3%" in explorer.text.value


def test_blitting_draws_what_a_full_redraw_draws(explorer):
    explorer.controls["p0"].value = 0.8
    quick = pixels(explorer.png)
    np.testing.assert_array_equal(quick, pixels(Picture(explorer.figure).png()))


def test_the_saved_notebook_shows_the_picture_without_a_kernel(explorer):
    bundle = explorer._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert base64.b64decode(bundle["image/png"]) == explorer.png


@pytest.mark.parametrize(
    ("names", "family", "near"), [(("edmm",), "none", "'edm'"), (("edm",), "EDMM", "'EDM'")]
)
def test_an_explorer_of_unknown_names_is_refused_with_near_ones(names, family, near):
    with pytest.raises(ValueError, match=near):
        WeightingExplorer(names, family)


def test_a_table_outside_the_usual_range_does_not_block_the_explorer(explorer):
    explorer.controls["table"].value = "logsnr, w\n13, 1\n14, 2"
    explorer.redraw("use")
    explorer.controls["anchor"].value = 1
    assert "Error" not in explorer.text.value and "outside [-10, 10]" in explorer.text.value
    explorer.controls["table"].value = ""
    explorer.redraw("use")
    assert "own table" not in explorer.objectives()


def test_an_explorer_with_nothing_chosen_says_what_to_do():
    with pytest.raises(ValueError, match="pick an objective"):
        WeightingExplorer((), "none")


def test_whatever_is_added_to_the_figure_comes_into_the_next_picture(explorer):
    before = explorer._picture.png()
    assert explorer._picture.png() == before
    explorer.axes.text(0, 0, "added")
    after = explorer._picture.png()
    assert after != before and after == Picture(explorer.figure).png()


def test_a_button_is_a_control(explorer, tmp_path):
    explorer.controls["file"].value = str(tmp_path / "a.csv")
    explorer.controls["save"].click()
    assert (tmp_path / "a.csv").exists()


def test_a_slider_step_does_not_draw_the_background_again(explorer, monkeypatch):
    monkeypatch.setattr(explorer.figure.canvas, "draw", lambda: pytest.fail("full draw"))
    before = explorer.png
    explorer.controls["p0"].value, explorer.controls["anchor"].value = 0.5, 1.0
    assert explorer.png != before and "Error" not in explorer.text.value


def test_one_text_is_no_list_of_names():
    with pytest.raises(TypeError, match="names must be a list of names"):
        WeightingExplorer("edm")


@pytest.mark.parametrize("text", ["0 1\n1 2", "0, 1\n1, 2", "logsnr;w\n0;1\n1;2", " 0 1 \n1\t2\n"])
def test_a_table_is_read_with_any_separator_and_without_its_header(explorer, text):
    explorer.controls["table"].value = text
    explorer.redraw("use")
    np.testing.assert_allclose(explorer.table.weighting([0.0, 1.0]), [1, 2], rtol=1e-9)


@pytest.mark.parametrize("name", AXES)
def test_each_axis_pickles(name):
    grid = np.linspace(-4, 4, 9)
    place = pickle.loads(pickle.dumps(AXES[name].place))
    np.testing.assert_array_equal(place(grid), AXES[name].place(grid))


def test_pasted_settings_are_drawn_and_described(explorer):
    options = "flux_train_network.py --timestep_sampling sigmoid --discrete_flow_shift 3"
    explorer.controls["settings"].value = options
    explorer.redraw("read")
    assert "discrete_flow_shift has no effect" in explorer.text.value
    drawn = line(explorer, "own settings").get_ydata()
    explorer.controls["objectives"].value = ("sd3",)
    np.testing.assert_allclose(drawn, line(explorer, "sd3").get_ydata(), atol=1e-9)
    explorer.controls["settings"].value = ""
    explorer.redraw("read")
    assert "own settings" not in explorer.objectives()


def test_settings_that_cannot_be_read_are_answered(explorer):
    explorer.controls["settings"].value = "flux_train_network.py --logit_maen 1"
    explorer.redraw("read")
    assert "did you mean" in explorer.text.value
