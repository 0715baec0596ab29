"""Ink: what is drawn, read from the artists' data."""

import numpy as np
import pytest

import diffviz as dv
from diffviz import plots

GRID = np.linspace(-10, 10, 401)


def line(ax, name):
    return next(one for one in ax.lines if one.get_gid() == name)


def test_anchored_curves_are_log10_ratios_to_the_anchor():
    ax = plots.weighting_curves(GRID, {"fm-ot": dv.objective("fm-ot")}, anchor=2.0)
    np.testing.assert_allclose(
        line(ax, "fm-ot").get_ydata(), (2 - GRID) / 2 / np.log(10), atol=1e-9
    )


def test_each_scale_keeps_the_shape():
    w = dv.objective("sd3").weighting(GRID)
    over = line(plots.weighting_curves(GRID, {"sd3": w}, scale="w / max"), "sd3").get_ydata()
    area = line(plots.weighting_curves(GRID, {"sd3": w}, scale="unit area"), "sd3").get_ydata()
    assert over.max() == 1
    assert np.trapezoid(area, GRID) == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(over / over[200], area / area[200])


def test_a_curve_ends_with_its_support_and_shows_the_end():
    ax = plots.weighting_curves(GRID, {"ncsn": dv.objective("ncsn")})
    y = line(ax, "ncsn").get_ydata()
    assert np.isnan(y[GRID < 0]).all() and np.isfinite(y[(GRID > 0) & (GRID < 9.2)]).all()
    np.testing.assert_allclose(line(ax, "ncsn:ends").get_xdata(), [0.0, 9.2])


def test_drawing_again_on_the_same_axes_moves_the_line():
    ax = plots.weighting_curves(GRID, {"edm": dv.objective("edm")})
    before = line(ax, "edm")
    plots.weighting_curves(GRID, {"edm": dv.objective("edm2")}, ax=ax)
    assert line(ax, "edm") is before
    np.testing.assert_allclose(before.get_ydata()[200], 0)
    plots.weighting_curves(GRID, {"sd3": dv.objective("sd3")}, ax=ax)
    assert {one.get_gid() for one in ax.lines} == {"sd3", "sd3:ends"}


def test_an_objective_has_one_colour_in_every_picture():
    one = plots.weighting_curves(GRID, {"sd3": dv.objective("sd3"), "jit": dv.objective("jit")})
    two = plots.weighting_curves(GRID, {"jit": dv.objective("jit")})
    assert line(one, "jit").get_color() == line(two, "jit").get_color() == plots.colour("jit")
    assert len(set(plots.COLOURS.values())) == len(plots.COLOURS)


def test_lines_that_coincide_differ_in_dash():
    ax = plots.weighting_curves(
        GRID, {"fm-ot": dv.objective("fm-ot"), "v-cosine": dv.objective("v-cosine")}
    )
    assert line(ax, "fm-ot").get_linestyle() != line(ax, "v-cosine").get_linestyle()


@pytest.mark.parametrize("bad", [{"scale": "log"}, {"base": "score"}])
def test_an_unknown_scale_or_base_is_refused_with_the_choice(bad):
    with pytest.raises(ValueError, match="one of"):
        plots.weighting_curves(GRID, {}, **bad)


@pytest.mark.parametrize("ending", ["svg", "pdf", "png"])
def test_a_saved_figure_has_the_same_bytes_each_time(tmp_path, ending):
    files = []
    for k in range(2):
        ax = plots.weighting_curves(GRID, {"sd3": dv.objective("sd3")})
        files.append(plots.save(ax.figure, tmp_path / f"{k}.{ending}").read_bytes())
    assert files[0] == files[1] and len(files[0]) > 1000


def test_saving_under_an_unknown_ending_names_the_endings(tmp_path):
    with pytest.raises(ValueError, match=r"\.svg, \.pdf, \.png"):
        plots.save(plots.axes()[0].figure, tmp_path / "a.gif")


def test_a_figure_shows_itself_in_a_notebook():
    assert plots.axes()[0].figure._repr_png_().startswith(b"\x89PNG")
