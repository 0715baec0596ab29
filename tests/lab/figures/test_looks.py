"""Figures at the size of a slide, by name and from the command line."""

from itertools import pairwise

import numpy as np
import pytest
from pictures import check_nothing_is_cut
from PIL import Image

from diffviz import plots
from diffviz.lab import figures
from diffviz.lab.figures import gallery, style

NAME = "edm-monotonic"


def test_heights_are_spread_in_their_order_and_no_more_than_needed():
    free = np.array([0.9, 0.1, 0.5])
    np.testing.assert_allclose(style.spread_out(free, 0.1), free)
    np.testing.assert_allclose(style.spread_out(np.array([0.5, 0.5]), 0.2), [0.4, 0.6])
    close = np.array([0.52, 0.1, 0.5, 0.51])
    moved = style.spread_out(close, 0.05)
    assert np.diff(np.sort(moved)).min() > 0.0499
    np.testing.assert_array_equal(np.argsort(moved), np.argsort(close))
    np.testing.assert_allclose(moved[1:2], 0.1)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("scale", ["linear", "log"])
def test_names_stand_beside_the_ends_with_lines_to_those_that_are_moved(scale, side):
    (ax,) = plots.axes(6, 4)
    ax.set(xlim=(0, 10), ylim=(1, 100), yscale=scale)
    ends = {"one": (2.0, 10.0), "two": (2.0, 10.0), "far": (4.0, 100.0)}
    labels = {"far": "far away"}
    style.label_ends(ax, ends, plots.colour, labels=labels, side=side, apart=0.1)
    texts = {text.get_text(): text for text in ax.texts}
    assert texts.keys() == {"one", "two", "far away"}
    height = 0.5 if scale == "log" else 9 / 99
    for name, moved in (("one", -0.05), ("two", 0.05)):
        assert texts[name].xy == pytest.approx((0.4 if side == "right" else 0.2, height))
        assert texts[name].xyann[1] == pytest.approx(height + moved)
        assert texts[name].arrow_patch is not None
        assert texts[name].get_ha() == ("left" if side == "right" else "right")
    style.label_ends(ax, {"alone": (2.0, 10.0)}, plots.colour)
    assert ax.texts[-1].arrow_patch is None


def test_names_of_curves_beyond_the_limits_keep_their_order():
    (ax,) = plots.axes(6, 4)
    ax.set(xlim=(0, 10), ylim=(0, 1))
    style.label_ends(ax, {"low": (10.0, -2.0), "lowest": (10.0, -3.0)}, plots.colour)
    heights = {text.get_text(): text.xyann[1] for text in ax.texts}
    assert heights["lowest"] < heights["low"]


def test_the_last_points_are_the_last_that_are_drawn():
    curves = {"edm": [1.0, 2.0, 3.0], "elbo": [4.0, 5.0, np.nan]}
    ax = plots.lines([0.0, 1.0, 2.0], curves, xlabel="x", ylabel="y")
    assert style.last_points(ax) == {"edm": (2.0, 3.0), "elbo": (1.0, 5.0)}


def test_gaps_are_as_wide_as_asked_and_panels_equally_wide():
    panels = plots.axes(10, 4, columns=3)
    style.set_gaps(panels, (1.5, 0.5))
    style.headline(panels[0], "what they show together")
    places = [ax.get_position() for ax in panels]
    gaps = [10 * (after.x0 - before.x1) for before, after in pairwise(places)]
    assert gaps == pytest.approx([1.5, 0.5])
    assert np.ptp([place.width for place in places]) < 1e-9
    assert places[-1].x1 == pytest.approx(panels[0].figure.subplotpars.right)


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_a_name_beside_a_curve_belongs_to_its_point(scale):
    ax = plots.lines([0.0, 1.0, 2.0], {"edm": [1.0, 3.0, 10.0]}, xlabel="x", ylabel="y")
    ax.set_yscale(scale)
    style.name_curve(ax, "edm", 0.5, (3, -8), label="EDM", ha="left")
    style.name_curve(ax, "edm", 2.0)
    first, last = ax.texts
    assert (first.get_text(), last.get_text()) == ("EDM", "edm")
    assert (first.xy, last.xy) == ((0.5, 2.0), (2.0, 10.0))
    assert first.xyann == (3, -8)
    assert (first.get_ha(), last.get_ha()) == ("left", "center")
    assert first.get_color() == last.get_color() == plots.colour("edm")


def test_a_headline_stands_above_the_titles_of_panels():
    panels = plots.axes(8, 4, columns=2)
    for ax in panels:
        ax.set_title("a panel")
    style.headline(panels[0], "what they show together")
    figure = panels[0].figure
    check_nothing_is_cut(figure)
    (words,) = figure.texts
    assert words.get_text() == "what they show together"
    assert all(ax.title.get_window_extent().y1 < words.get_window_extent().y0 for ax in panels)


def test_a_figure_is_drawn_in_a_theme_and_in_proportions():
    plain, slide = figures.draw(NAME), figures.draw(NAME, "slide", (16, 9))
    assert np.divide(*slide.get_size_inches()) == pytest.approx(16 / 9)
    labels = [one.axes[0].xaxis.label.get_fontsize() for one in (plain, slide)]
    assert labels[1] >= 1.2 * labels[0]


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["slide", "dark"])
@pytest.mark.parametrize("name", ["weightings", "historical-bugs", "schedules"])
def test_nothing_is_cut_on_a_slide(name, theme):
    check_nothing_is_cut(figures.draw(name, theme, (16, 9)))


@pytest.mark.parametrize(("dpi", "pixels"), [("100", (1600, 900)), ("40", (640, 360))])
def test_a_png_has_the_pixels_that_were_asked_for(tmp_path, dpi, pixels):
    options = ["--format", "png", "--theme", "dark", "--size", "16x9", "--dpi", dpi]
    gallery.main([NAME, *options, "--out", str(tmp_path)])
    with Image.open(tmp_path / f"{NAME}.png") as image:
        assert image.size == pixels
        assert np.asarray(image.convert("L"))[:5, :5].max() < 40  # the ground


@pytest.mark.parametrize("ending", ["svg", "pdf"])
def test_vector_files_have_the_same_bytes_each_time(tmp_path, ending):
    look = gallery.Look("slide", (16, 9))
    files = [gallery.write([NAME], tmp_path / str(k), ending, look)[0] for k in range(2)]
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("text", ["16", "16x", "0x9", "ax9", "16x9x2", "-16x9", "nanx9"])
def test_a_broken_size_is_named(text, capsys):
    with pytest.raises(SystemExit):
        gallery.main([NAME, f"--size={text}"])
    assert "no size such as 16x9" in capsys.readouterr().err


@pytest.mark.parametrize("dpi", [0, -1, np.nan, np.inf, 1e9])
def test_an_impossible_resolution_is_refused(dpi):
    with pytest.raises(ValueError, match="dpi"):
        gallery.Look(dpi=dpi)


def test_a_picture_of_too_many_pixels_is_refused():
    with pytest.raises(ValueError, match="pixels on a side"):
        gallery.Look(size=(50, 40), dpi=1200)
    assert gallery.read_size("16:9") == (16.0, 9.0)
