"""Curves: what is drawn, read from the artists' data."""

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


def test_curves_that_are_no_objectives_may_have_colours_of_their_own():
    colours = {"measured": "#332288", "intended": "#44AA99"}
    curves = dict.fromkeys(colours, np.ones(len(GRID)))
    ax = plots.weighting_curves(GRID, curves, colours=colours.__getitem__)
    drawn = {line.get_gid(): line.get_color() for line in ax.lines}
    assert {name: drawn[name] for name in colours} == colours


def test_lines_that_coincide_differ_in_dash():
    ax = plots.weighting_curves(
        GRID, {"fm-ot": dv.objective("fm-ot"), "v-cosine": dv.objective("v-cosine")}
    )
    assert line(ax, "fm-ot").get_linestyle() != line(ax, "v-cosine").get_linestyle()


@pytest.mark.parametrize("bad", [{"scale": "log"}, {"base": "score"}])
def test_an_unknown_scale_or_base_is_refused_with_the_choice(bad):
    with pytest.raises(ValueError, match="one of"):
        plots.weighting_curves(GRID, {}, **bad)


def test_lines_whose_places_differ_in_number_are_drawn_together():
    x = {"short": [0.0, 1.0], "long": [0.0, 1.0, 2.0]}
    ax = plots.lines(x, {"short": [1, 2], "long": [1, 2, 3]}, xlabel="", ylabel="")
    assert [len(line(ax, name).get_xdata()) for name in x] == [2, 3]


def test_nothing_is_drawn_where_a_value_is_nan_and_the_ends_are_dotted():
    ax = plots.lines(range(5), {"a": [np.nan, 1, 2, -np.inf, 3]}, xlabel="", ylabel="")
    np.testing.assert_allclose(line(ax, "a").get_ydata(), [np.nan, 1, 2, -np.inf, 3])
    np.testing.assert_allclose(line(ax, "a:ends").get_xdata(), [1.0])


def test_more_curves_than_colours_are_drawn():
    curves = {name: [float(k), k + 1.0] for k, name in enumerate([*plots.COLOURS, "a", "b"])}
    ax = plots.lines([0, 1], curves, xlabel="", ylabel="")
    assert line(ax, "a").get_color() != line(ax, "b").get_color()
    many = {str(k): [float(k), k + 1.0] for k in range(100)}
    assert len(plots.lines([0, 1], many, xlabel="", ylabel="", outside=None).lines) == 200


@pytest.mark.parametrize("outside", ["right", 2, np.array([True, False])])
def test_a_place_of_the_legend_that_there_is_not_is_refused(outside):
    with pytest.raises(ValueError, match="outside"):
        plots.lines([0, 1], {"a": [0, 1]}, xlabel="", ylabel="", outside=outside)
    with pytest.raises(ValueError, match="outside"):
        plots.weighting_curves([0, 1], {"edm": dv.objective("edm")}, outside=outside)


@pytest.mark.parametrize(
    ("outside", "names"), [(False, ["a", "b"]), (True, ["a", "b"]), (None, None)]
)
def test_a_legend_names_the_curves_unless_none_is_wanted(outside, names):
    ax = plots.lines([0, 1], {"a": [0, 1], "b": [1, 0]}, xlabel="", ylabel="", outside=outside)
    legend = ax.get_legend()
    assert (legend and [text.get_text() for text in legend.get_texts()]) == names


def test_labels_are_set_only_when_they_change():
    ax = plots.lines([0, 1], {"a": [0, 1]}, xlabel="x", ylabel="y", title="t")
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title()) == ("x", "y", "t")
    ax.figure.canvas.draw()
    for artist in ax.lines:
        artist.set_animated(True)
    plots.lines([0, 1], {"a": [1, 0]}, xlabel="x", ylabel="y", title="t", ax=ax)
    assert not ax.figure.stale
    plots.lines([0, 1], {"a": [1, 0]}, xlabel="x", ylabel="y", title="new", ax=ax)
    assert ax.figure.stale


@pytest.mark.parametrize("grid", [GRID[::-1][::-1], list(GRID), GRID.astype(">f8")])
def test_a_grid_may_be_a_list_or_have_strides_of_its_own(grid):
    ax = plots.weighting_curves(grid, {"fm-ot": dv.objective("fm-ot")})
    np.testing.assert_allclose(line(ax, "fm-ot").get_ydata(), -GRID / 2 / np.log(10), atol=1e-9)


@pytest.mark.parametrize(
    ("x", "curve", "error", "words"),
    [
        ([0, 1], [1, 2, 3], ValueError, "curve 'a' has 3 values, but x 2"),
        ([0, 1], np.ma.masked_array([1, 2], [0, 1]), TypeError, "curve 'a' is a masked array"),
        ([0, 1], [1j, 2], TypeError, "curve 'a' must hold real numbers, got complex"),
        ([0, 1], ["1", "2"], TypeError, "curve 'a' must hold real numbers, got text"),
        ([0, 1], [[1, 2]], ValueError, "curve 'a' must have 1 dimension"),
        ([0, 1], [object(), None], TypeError, "curve 'a' must hold real numbers, got objects"),
        (np.array(["2020-01-01"] * 2, "M8[D]"), [1, 2], TypeError, "x must hold real numbers"),
        ({"b": [0, 1]}, [1, 2], ValueError, "x has no places for the curves a"),
    ],
)
def test_lines_refuse_what_they_cannot_draw(x, curve, error, words):
    with pytest.raises(error, match=words):
        plots.lines(x, {"a": curve}, xlabel="", ylabel="")


@pytest.mark.parametrize(
    ("bad", "error", "words"),
    [
        ({"curves": [1, 2]}, TypeError, "curves must map names"),
        ({"ax": "here"}, TypeError, "ax must be Matplotlib Axes"),
        ({"logsnr": GRID[::-1]}, ValueError, "logsnr must be 1-D and strictly increasing"),
        ({"logsnr": [0.0, np.nan]}, ValueError, "logsnr must be finite"),
        ({"anchor": np.nan}, ValueError, "anchor must be finite"),
        ({"anchor": True}, TypeError, "anchor must be a number"),
        ({"curves": {"a": np.ones(3)}}, ValueError, "curve 'a' must have the shape"),
        ({"curves": {"a": np.full(401, np.inf)}}, ValueError, "curve 'a' must be finite"),
        ({"base": ["eps"]}, ValueError, "unknown base"),
    ],
)
def test_weighting_curves_refuse_what_they_cannot_draw(bad, error, words):
    given = {"logsnr": GRID, "curves": {"edm": dv.objective("edm")}} | bad
    with pytest.raises(error, match=words):
        plots.weighting_curves(given.pop("logsnr"), given.pop("curves"), **given)
