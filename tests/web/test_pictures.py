"""Records of what is shown: as messages to the browser, as columns, as figures."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.patches import Patch

from diffviz import plots
from diffviz.web.figures import FEW_TRAILS, figure
from diffviz.web.pictures import (
    Chart,
    Cloud,
    Images,
    Note,
    Packer,
    Table,
    View,
    Working,
    columns_of,
    to_message,
)

X = np.linspace(-1, 1, 5)
CHART = Chart(
    X,
    {"edm": X**2, "own": np.array([np.nan, 1, 2, 3, np.inf])},
    xlabel="λ",
    ylabel="w",
    colours={"own": "#112233"},
    dashes={"own": 2},
    faint=("own",),
    marks={"here": 0.5},
    bands={"edm": (X**2 - 1, X**2 + 1)},
    dots={"seen": ([0.0, 0.5], [1.0, 2.0])},
    ylim=(-2, 4),
)
PATHS = np.arange(12.0).reshape(3, 2, 2)
CLOUD = Cloud(
    points={"data": [[0, 1], [2, 3]]},
    paths={"fm-ot": PATHS},
    colours={"fm-ot": [[1, 0, 0], [0, 0, 1]]},
    times=[3, 2, 1],
    clock="λ",
    arrows=[[0, 0, 1, 1]],
    xlim=(-1, 12),
)
IMAGES = Images(np.stack([np.zeros((2, 3)), np.full((2, 3), 2.0)]), labels=("dark", "bright"))
TABLE = Table(("", "verdict"), (("edm", "peak"), ("elbo", "monotone")), ("#009E73", "#000000"))
VIEW = View((CHART, CLOUD, IMAGES, TABLE, Note("all of it", strong=True)), columns=2)


def unpacked(value, buffers):
    """What the browser makes of a message."""
    if isinstance(value, list):
        return [unpacked(one, buffers) for one in value]
    if not isinstance(value, dict):
        return value
    if "buffer" in value and "shape" in value:
        numbers = np.frombuffer(buffers[value["buffer"]], value["type"])
        return numbers.reshape(value["shape"])
    return {name: unpacked(one, buffers) for name, one in value.items()}


def test_columns_have_the_widths_that_are_asked_for():
    view = View((CHART, CHART), columns=2, widths=(2.0, 1.0))
    assert to_message(view)[0]["widths"] == [2.0, 1.0]
    assert to_message(VIEW)[0]["widths"] == []
    drawing = figure(view)
    drawing.canvas.draw()
    wide, narrow = (ax.get_position().width for ax in drawing.axes)
    assert wide == pytest.approx(2 * narrow, rel=0.2)


@pytest.mark.parametrize(
    "widths", [(1.0,), (1.0, 0.0), (1.0, -2.0), (1.0, np.nan), "ab", (1, 2, 3)]
)
def test_widths_that_are_none_are_refused(widths):
    with pytest.raises((TypeError, ValueError), match="widths"):
        View((CHART, CHART), columns=2, widths=widths)


@pytest.fixture(scope="module")
def panels():
    message, buffers = to_message(VIEW)
    plain = json.loads(json.dumps(message))
    assert plain["columns"] == 2
    return unpacked(plain, buffers)["panels"]


def test_a_message_holds_each_panel_with_its_arrays(panels):
    chart, cloud, images, table, note = panels
    assert [one["kind"] for one in panels] == ["chart", "cloud", "images", "table", "note"]
    np.testing.assert_array_equal(chart["x"], X.astype("f4"))
    np.testing.assert_array_equal(chart["curves"]["own"], CHART.curves["own"].astype("f4"))
    np.testing.assert_array_equal(chart["bands"]["edm"][1], (X**2 + 1).astype("f4"))
    np.testing.assert_array_equal(chart["dots"]["seen"], [[0, 0.5], [1, 2]])
    np.testing.assert_array_equal(cloud["paths"]["fm-ot"], PATHS)
    np.testing.assert_array_equal(cloud["colours"]["fm-ot"], [[255, 0, 0], [0, 0, 255]])
    np.testing.assert_array_equal(images["pixels"], np.repeat([0, 255], 6).reshape(2, 2, 3))
    assert table["rows"] == [["edm", "peak"], ["elbo", "monotone"]]
    assert note["text"] == "all of it" and note["strong"] is True


def test_every_name_has_its_colour(panels):
    chart, cloud = panels[:2]
    assert chart["colours"]["edm"] == plots.colour("edm")
    assert chart["colours"]["own"] == "#112233"
    assert chart["colours"]["seen"] == plots.colour("seen")
    assert cloud["colours"]["data"] == plots.colour("data")


def test_curves_may_have_places_of_their_own():
    chart = Chart({"a": [0, 1], "b": [0, 1, 2]}, {"a": [1, 2], "b": [3, 4, 5]}, "x", "y")
    message, buffers = to_message(View((chart,)))
    x = unpacked(message, buffers)["panels"][0]["x"]
    assert {name: places.tolist() for name, places in x.items()} == {"a": [0, 1], "b": [0, 1, 2]}
    columns = columns_of(View((chart,)))
    assert list(columns) == ["x of a", "a", "x of b", "b"]
    np.testing.assert_array_equal(columns["a"], [1, 2, np.nan])


def test_data_for_the_browser_keeps_its_digits():
    packer = Packer()
    packed = packer.data({"w": np.array([1 / 3]), "names": ["a"], "n": np.int64(3)})
    assert packed["n"] == 3 and packed["names"] == ["a"]
    assert unpacked(packed, packer.buffers)["w"].tolist() == [1 / 3]


def test_columns_of_several_charts_are_numbered():
    columns = columns_of(View((CHART, CHART)))
    assert list(columns) == ["1:x", "1:edm", "1:own", "2:x", "2:edm", "2:own"]
    assert columns_of(View((Note("none"),))) == {}


def test_columns_of_clouds_are_coordinates_step_by_step():
    paths = {"samples": np.arange(8.0).reshape(2, 2, 2)}
    cloud = Cloud({"data": np.array([[9.0, 8.0]])}, paths)
    columns = columns_of(View((cloud,)))
    assert list(columns) == ["data x", "data y", "samples step", "samples x", "samples y"]
    np.testing.assert_array_equal(columns["data x"], [9, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(columns["samples step"], [0, 0, 1, 1])
    np.testing.assert_array_equal(columns["samples x"], [0, 2, 4, 6])
    np.testing.assert_array_equal(columns["samples y"], [1, 3, 5, 7])
    beside = list(columns_of(View((cloud, CHART))))
    assert "x" in beside and beside[-1] == "2:samples y"


def test_the_figure_draws_what_the_record_says():
    drawn = figure(VIEW)
    axes = drawn.axes
    lines = {line.get_gid(): line for line in axes[0].lines}
    np.testing.assert_array_equal(lines["edm"].get_ydata(), X**2)
    assert lines["edm"].get_color() == plots.colour("edm")
    assert lines["own"].get_color() == "#112233" and lines["own"].get_alpha() == 0.4
    assert lines["own"].get_linestyle() == "--"
    assert lines["here:mark"].get_xdata() == [0.5, 0.5]
    assert lines["seen"].get_ydata().tolist() == [1, 2]
    assert axes[0].get_xlim() == (-1, 1) and axes[0].get_ylim() == (-2, 4)
    assert {one.get_gid() for one in axes[0].collections} == {"edm:band"}
    ends = next(one for one in axes[1].collections if one.get_gid() == "fm-ot")
    np.testing.assert_array_equal(ends.get_offsets(), PATHS[-1])
    assert [text.get_text() for text in axes[2].texts] == ["dark", "bright"]
    words = {text.get_text() for text in axes[3].texts}
    assert {"edm", "peak", "monotone", "verdict", "all of it", "■"} <= words


FILM = Cloud(
    paths={"fm-ot": PATHS},
    colours={"fm-ot": [[1, 0, 0], [0, 0, 1]]},
    trails=1,
    strong=("fm-ot",),
    captions=("begins", "half way", "ends"),
    present=0.5,
    arrows=[[[0, 0, 1, 1]], [[1, 1, 2, 0]], [[2, 2, 1, 1]]],
    reach=(9.0, 8.0, 7.0),
    title="film",
)


def test_the_legend_of_the_figure_shows_dashes_and_pale_lines():
    curves = {"new": [0.0, 1.0], "old": [1.0, 1.0]}
    chart = Chart([0.0, 1.0], curves, "x", "y", dashes={"new": 2, "old": 0}, faint=("old",))
    (ax,) = figure(View((chart,))).axes
    legend = ax.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["new", "old"]
    new, old = legend.get_lines()
    assert new.is_dashed() and not old.is_dashed()
    assert old.get_alpha() == 0.4 and new.get_alpha() is None


def test_what_is_to_come_is_drawn_stronger_where_trails_are_few():
    opacities = []
    for count in (FEW_TRAILS, FEW_TRAILS + 1):
        cloud = Cloud(paths={"samples": np.zeros((3, count, 2))})
        (ax,) = figure(View((cloud,))).axes
        (whole,) = [one for one in ax.collections if one.get_gid() == "samples:paths"]
        opacities.append(whole.get_alpha())
    assert opacities == [0.5, 0.25]


def test_a_still_picture_of_a_film_is_that_of_the_present():
    ax = figure(View((FILM,))).axes[0]
    found = {one.get_gid(): one for one in ax.collections}
    np.testing.assert_array_equal(found["fm-ot"].get_offsets(), PATHS[1])
    (so_far,) = found["fm-ot:so far"].get_segments()
    (whole,) = found["fm-ot:paths"].get_segments()
    np.testing.assert_array_equal(so_far, PATHS[:2, 0])
    np.testing.assert_array_equal(whole, PATHS[:, 0])
    assert ax.get_title() == "film\nhalf way"
    assert ax.get_xlim() == ax.get_ylim() == (-8, 8)
    arrows = next(one for one in ax.collections if hasattr(one, "U"))
    assert (arrows.X, arrows.Y, arrows.U, arrows.V) == (1, 1, 2, 0)


def test_a_film_is_sent_with_its_times_and_axes():
    message, buffers = to_message(View((FILM,)))
    (cloud,) = unpacked(json.loads(json.dumps(message)), buffers)["panels"]
    assert cloud["arrows"].shape == (3, 1, 4) and cloud["reach"].tolist() == [9, 8, 7]
    assert cloud["captions"] == ["begins", "half way", "ends"] and cloud["trails"] == 1


def test_a_long_note_is_broken_into_lines_that_fit():
    words = [f"word{number}" for number in range(60)]
    view = View((Note(" ".join(words)), Table(("head",), (("cell",),))))
    drawing = figure(view)
    drawing.draw_without_rendering()
    texts = drawing.axes[0].texts
    assert " ".join(text.get_text() for text in texts) == " ".join([*words, "head", "cell"])
    heights = [text.get_position()[1] for text in texts]
    np.testing.assert_allclose(np.diff(heights), heights[1] - heights[0])  # one under the other
    assert all(text.get_window_extent().x1 <= drawing.bbox.x1 for text in texts)


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_a_long_title_of_points_is_broken_into_lines_that_fit(columns):
    caption = " ".join(f"word{number}" for number in range(20))
    cloud = replace(CLOUD, title="where they are", captions=[caption] * 3)
    drawing = figure(View([cloud] * columns, columns=columns))
    drawing.draw_without_rendering()
    titles = [ax.title for ax in drawing.axes]
    assert {" ".join(one.get_text().split()) for one in titles} == {f"where they are {caption}"}
    boxes = [one.get_window_extent() for one in titles]
    assert boxes[0].x0 >= 0 and boxes[-1].x1 <= drawing.bbox.x1
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


def test_the_text_of_a_view_has_its_tables_and_notes():
    assert VIEW.text.splitlines() == ["  verdict", "edm  peak", "elbo  monotone", "all of it"]


@pytest.mark.parametrize("view", [View(()), View((Note("only words"),)), View((Cloud(),))])
def test_a_view_with_little_in_it_is_drawn(view):
    figure(view).canvas.draw()


@pytest.mark.parametrize("progress", [-0.1, 1.1, np.nan, "half"])
def test_progress_is_a_share(progress):
    with pytest.raises((TypeError, ValueError), match="progress"):
        Working(progress)


def test_a_figure_has_the_dashes_of_the_chart_in_its_lines_and_in_its_legend():
    x = np.linspace(0.0, 1.0, 5)
    curves = {"a": x, "b": x**2}
    chart = Chart(x, curves, xlabel="x", ylabel="y", dashes={"b": 1})
    images = Images(np.zeros((1, 4, 4)), title="the picture")
    left, right = figure(View((chart, images), columns=2)).axes[:2]
    (line,) = (one for one in left.lines if one.get_gid() == "b")
    (entry,) = (one for one in left.get_legend().legend_handles if one.get_label() == "b")
    assert line.is_dashed() and entry.is_dashed()
    assert right.get_title() == "the picture"


def test_dots_lie_over_curves_unless_they_are_said_to_lie_under():
    dots = {"seen": ([0.0], [1.0]), "cloud": ([0.5], [1.0])}
    chart = Chart(X, {"edm": X}, "x", "y", dots=dots, under=("cloud",))
    order = {line.get_gid(): line.get_zorder() for line in figure(View((chart,))).axes[0].lines}
    assert order["cloud"] < order["edm"] < order["seen"]


def test_the_legend_shows_dots_and_bands_where_a_name_has_no_curve():
    nothing = np.full(len(X), np.nan)
    names = ("edm", "floor", "guess", "least", "empty")
    chart = Chart(
        X,
        {name: X if name == "edm" else nothing for name in names},
        "x",
        "y",
        bands={"floor": (X, X + 1)},
        dots={"edm": ([0.5], [0.5]), "guess": ([0.5], [1.0]), "least": ([0.2], [1.0])},
        symbols={"edm": "disc", "guess": "diamond", "least": "star"},
    )
    for columns in (1, 2):
        ax = figure(View([chart, replace(CLOUD)][:columns], columns=columns)).axes[0]
        legend = ax.get_legend()
        labels = [text.get_text() for text in legend.get_texts()]
        handles = dict(zip(labels, legend.legend_handles, strict=True))
        edm, floor, guess, least, empty = (handles[name] for name in names)
        assert (edm.get_linestyle(), edm.get_marker()) == ("-", "None")
        assert isinstance(floor, Patch)
        assert [one.get_marker() for one in (guess, least)] == ["D", "*"]
        assert guess.get_linestyle() == "None" and empty.get_linestyle() == "-"


def test_an_unknown_symbol_is_refused():
    with pytest.raises(ValueError, match="unknown symbol 'square'"):
        Chart(X, {"edm": X}, "x", "y", dots={"a": ([0], [0])}, symbols={"a": "square"})


def test_a_chart_has_the_ticks_it_asks_for():
    ticks = {"xscale": "log", "xlim": (3, 70), "xticks": (4, 8, 64), "yticks": range(3)}
    chart = Chart([4.0, 64.0], {"edm": [0.0, 2.0]}, "x", "y", **ticks)
    (ax,) = figure(View((chart,))).axes
    for axis, wanted in ((ax.xaxis, ["4", "8", "64"]), (ax.yaxis, ["0", "1", "2"])):
        assert [text.get_text() for text in axis.get_ticklabels()] == wanted
        assert not len(axis.get_minorticklocs())


def test_one_curve_that_the_axis_names_has_no_legend():
    def legend_of(*names, ylabel):
        chart = Chart(X, dict.fromkeys(names, X), "x", ylabel)
        return figure(View((chart,))).axes[0].get_legend()

    assert legend_of("reward", ylabel="mean reward") is None
    assert legend_of("edm", ylabel="mean reward") is not None
    assert legend_of("reward", "edm", ylabel="mean reward") is not None


@pytest.mark.parametrize(
    ("names", "columns", "wanted"),
    [
        (("ab", "ab"), 2, "x."),
        (("ab", "abc"), 2, ".x"),  # the right one has all of the left one
        (("ab", "bc"), 2, "xx"),
        (("ab", "ab", "ab", "ab", "ab", "ab"), 3, "....x."),
    ],
)
def test_what_several_legends_would_say_is_said_once(names, columns, wanted):
    charts = tuple(Chart(X, {one: X**k for k, one in enumerate(of)}, "x", "y") for of in names)
    panels = figure(View(charts, columns=columns)).axes
    assert "".join("x" if ax.get_legend() else "." for ax in panels) == wanted


def test_legends_with_other_colours_or_dashes_are_all_shown():
    for change in ({"colours": {"a": "#112233"}}, {"dashes": {"a": 1}}):
        charts = (Chart(X, {"a": X, "b": X**2}, "x", "y", **each) for each in ({}, change))
        assert all(ax.get_legend() for ax in figure(View(tuple(charts), columns=2)).axes)


def test_crosses_lie_over_what_moves_and_are_as_strong_as_its_points():
    cloud = Cloud(
        {"data": [[0, 1]], "goals": [[1, 1], [2, 0]]}, {"fm-ot": PATHS}, crosses=["goals"]
    )
    drawn = {one.get_gid(): one for one in figure(View((cloud,))).axes[0].collections}
    goals, data = drawn["goals"], drawn["data"]
    assert not goals.get_paths()[0].codes.tolist().count(79)  # strokes, which are not closed
    assert data.get_paths()[0].codes.tolist().count(79)
    assert goals.get_alpha() is None and data.get_alpha() == 0.5
    assert goals.get_zorder() > max(
        one.get_zorder() for gid, one in drawn.items() if gid != "goals"
    )


def test_charts_in_a_row_with_a_square_are_squares_of_its_height():
    chart = Chart(X, {"edm": X}, "x", "y")
    drawn = figure(View((chart, chart, CLOUD, Note("below")), columns=3))
    drawn.canvas.draw()
    boxes = [ax.get_window_extent() for ax in drawn.axes[:3]]
    assert [box.width for box in boxes] == pytest.approx([boxes[0].height] * 3, rel=0.01)
    assert [box.y0 for box in boxes] == pytest.approx([boxes[0].y0] * 3, abs=1)


def test_no_line_of_the_heading_ends_in_a_separator():
    parts = "\u00a0\u00a0·  ".join(["a part of some length".replace(" ", "\u00a0")] * 9)
    drawn = figure(View((CHART,)), heading=parts)
    lines = [text.get_text() for text in drawn.axes[0].texts]
    assert len(lines) > 1 and not any(line.endswith(("·", " ")) for line in lines)


def test_a_legend_in_columns_lies_under_its_axes():
    names = ("a", "b", "a name that is longer than the others")
    curves = {name: np.linspace(0, k, 5) for k, name in enumerate(names)}
    others = {f"{name}'": values for name, values in curves.items()}
    charts = (Chart(np.arange(5.0), each, "x", "y", title="t") for each in (curves, others))
    drawing = figure(View((*charts, Note("words")), columns=2))
    drawing.canvas.draw()
    for ax in drawing.axes[:2]:
        legend = ax.get_legend().get_window_extent()
        label = ax.xaxis.label.get_window_extent()
        assert legend.y1 <= label.y0 + 1 and legend.y0 >= 0


def test_images_alone_in_their_row_take_all_of_it():
    chart = Chart(X, {"edm": X**2}, xlabel="λ", ylabel="w")
    images = Images(np.zeros((4, 8, 8)), columns=4)
    drawing = figure(View((chart, chart, images), columns=2))
    drawing.draw_without_rendering()
    left, right, row = (ax.get_window_extent() for ax in drawing.axes)
    assert row.x0 < left.x1 and row.x1 > right.x0
    beside = figure(View((chart, images), columns=2))
    beside.draw_without_rendering()
    assert beside.axes[1].get_window_extent().x0 > beside.axes[0].get_window_extent().x1


def test_images_stand_close_together_with_the_names_of_their_rows():
    pixels = np.linspace(0, 1, 5)[:, None, None] * np.ones((5, 8, 16))
    images = Images(pixels, columns=3, rows=("upper", "lower"), title="all")
    drawing = figure(View((images,)))
    drawing.draw_without_rendering()
    (ax,) = drawing.axes
    assert len(ax.images) == 5 and ax.get_title() == "all"
    first, second, _, fourth, _ = (image.get_window_extent() for image in ax.images)
    assert first.width == pytest.approx(2 * first.height, rel=0.01)
    assert 0 < second.x0 - first.x1 < 0.1 * first.width
    assert 0 < first.y0 - fourth.y1 < 0.2 * first.height
    upper, lower = (text.get_window_extent() for text in ax.texts)
    assert 0 <= upper.x0 < upper.x1 < first.x0
    assert first.y0 < upper.y0 < upper.y1 < first.y1
    assert fourth.y0 < lower.y0 < lower.y1 < fourth.y1


def test_equal_axes_hold_the_points_and_no_more():
    square = Cloud(points={"data": [[-1.0, -1.0], [1.0, 1.0]]})
    drawing = figure(View((square,)))
    drawing.draw_without_rendering()
    ax = drawing.axes[0]
    assert ax.get_xlim()[1] < 1.2 and ax.get_ylim()[1] < 1.2
    box = ax.get_window_extent()
    assert box.width == pytest.approx(box.height, rel=0.01)
    assert box.height > 0.8 * drawing.bbox.height


def test_words_under_a_picture_have_nine_points_and_fit():
    heads = ("cycles per degree, from", *(f"{2**k}–{2 ** (k + 1)}" for k in range(7)))
    view = View((CHART, TABLE, Table(heads, (heads,)), Note("visible distortion left at λ " * 8)))
    drawing = figure(view)
    drawing.draw_without_rendering()
    texts = drawing.axes[-1].texts
    assert {text.get_fontsize() for text in texts} == {9}
    assert all(text.get_window_extent().x1 <= drawing.bbox.x1 for text in texts)
