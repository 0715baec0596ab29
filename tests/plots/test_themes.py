"""Looks: proportions, type as large as fits, and colours that can be read on a dark ground."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb, to_rgba
from matplotlib.text import Text

from diffviz import plots
from diffviz.plots import themes

GRID = np.linspace(-10, 10, 101)


def two_panels(title="a title"):
    left, right = plots.axes(8.0, 4.0, columns=2)
    for ax in (left, right):
        plots.lines(
            GRID, {"black": GRID, "blue": -GRID}, xlabel="λ", ylabel="w", title=title, ax=ax
        )
    left.lines[0].set_color("black")
    left.lines[2].set_color("#0072B2")
    return left.figure


def sizes(figure):
    figure.canvas.draw()
    return [text.get_fontsize() for text in figure.findobj(Text) if text.get_text()]


@pytest.mark.parametrize("size", [(16, 9), (4, 3), (1, 1), (9, 16)])
def test_a_figure_gets_the_proportions(size):
    figure = plots.restyle(two_panels(), "slide", size)
    width, height = figure.get_size_inches()
    assert width / height == pytest.approx(size[0] / size[1])
    assert width >= 8.0 - 1e-9
    assert height >= 4.0 - 1e-9


def test_the_type_of_a_slide_is_larger():
    plain, slide = two_panels(), plots.restyle(two_panels(), "slide", (16, 9))
    assert min(sizes(slide)) >= 1.2 * min(sizes(plain))
    assert max(sizes(slide)) >= 1.2 * max(sizes(plain))


def test_the_type_is_only_as_large_as_fits():
    long = "a title that nearly fills a panel of the plain figure"
    plain, slide = two_panels(long), plots.restyle(two_panels(long), "slide", (16, 9))
    assert max(sizes(slide)) < 1.5 * max(sizes(plain))


@pytest.mark.parametrize("theme", themes.THEMES)
def test_nothing_is_cut(theme):
    figure = plots.restyle(two_panels(), theme, (16, 9))
    figure.canvas.draw()
    box = figure.get_tightbbox(figure.canvas.get_renderer())
    width, height = figure.get_size_inches()
    assert box.x0 >= -0.01 and box.y0 >= -0.01
    assert box.x1 <= width + 0.01 and box.y1 <= height + 0.01


def test_paper_leaves_the_figure_as_it_is(tmp_path):
    before = plots.save(two_panels(), tmp_path / "a.png").read_bytes()
    after = plots.save(plots.restyle(two_panels(), "paper"), tmp_path / "b.png").read_bytes()
    assert before == after


def luminance(colour):
    """By the formula of WCAG, written anew."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first, second):
    dark, light = sorted([luminance(first), luminance(second)])
    return (light + 0.05) / (dark + 0.05)


def test_all_can_be_read_on_a_dark_ground():
    figure = plots.restyle(two_panels(), "dark")
    ground = figure.get_facecolor()
    assert luminance(ground) < 0.02
    for ax in figure.axes:
        assert luminance(ax.get_facecolor()) < 0.02
        for line in ax.lines:
            assert contrast(line.get_color(), ground) >= 4.5
        for text in (ax.title, ax.xaxis.label, *ax.get_xticklabels()):
            assert contrast(text.get_color(), ground) >= 7
        assert contrast(ax.spines["left"].get_edgecolor(), ground) >= 4.5


def test_a_dark_figure_leaves_what_is_written_on_an_image():
    (ax,) = plots.axes(4.0, 3.0)
    ax.imshow([[0.0, 1.0]], aspect="auto")
    on_image = ax.text(0, 0, "0.0", color="white")
    beside = ax.text(1.2, 0.5, "beside", color="black", transform=ax.transAxes)
    plots.restyle(ax.figure, "dark")
    assert to_rgb(on_image.get_color()) == (1, 1, 1)
    assert min(to_rgb(beside.get_color())) > 0.8
    assert min(to_rgb(ax.yaxis.label.get_color())) > 0.8


def test_a_colour_keeps_its_hue():
    figure = plots.restyle(two_panels(), "dark")
    red, green, blue = to_rgb(figure.axes[0].lines[2].get_color())
    assert blue > green > red


@pytest.mark.parametrize("size", [16, "16x9", (16,), (1, 2, 3), None.__class__])
def test_what_is_no_size_is_refused(size):
    with pytest.raises(TypeError, match="size must be a width and a height"):
        plots.restyle(two_panels(), "slide", size)


@pytest.mark.parametrize("size", [(0, 9), (16, -9), (np.nan, 9), (51, 9), (np.inf, 1)])
def test_an_impossible_size_is_refused(size):
    with pytest.raises(ValueError, match="size"):
        plots.restyle(two_panels(), "slide", size)


def test_an_unknown_theme_and_what_is_no_figure_are_refused():
    with pytest.raises(ValueError, match="theme"):
        plots.restyle(two_panels(), "slides")
    with pytest.raises(TypeError, match=r"such as ax\.figure"):
        plots.restyle(two_panels().axes[0])


def test_names_beside_a_panel_stay_clear_of_the_next_one():
    """Each has a line to its curve, which lies within the panel and is not counted."""
    left, right = plots.axes(9, 4, columns=2)
    left.figure.subplots_adjust(wspace=0.45)
    right.set_ylabel("what is drawn")
    arrow = {"arrowstyle": "-"}
    for place in (0.3, 0.6):
        left.annotate(
            "a long name",
            (0.9, place),
            (1.02, place),
            xycoords="axes fraction",
            textcoords="axes fraction",
            arrowprops=arrow,
        )
    plots.restyle(left.figure, "slide")
    left.figure.draw_without_rendering()
    label = right.yaxis.label.get_window_extent()
    names = [Text.get_window_extent(text) for text in left.texts]
    assert all(name.x1 < label.x0 for name in names)
    assert left.texts[0].get_fontsize() >= 10


def test_a_marker_that_follows_a_black_line_is_turned_round_once():
    (ax,) = plots.axes(4, 3)
    (line,) = ax.plot([0, 1], [0, 1], "o-", color="black")
    plots.restyle(ax.figure, "dark")
    shade = to_rgba(line.get_color())
    assert min(shade[:3]) > 0.9
    assert to_rgba(line.get_markerfacecolor()) == to_rgba(line.get_markeredgecolor()) == shade


def test_the_ground_of_a_text_is_as_dark_as_the_figure():
    (ax,) = plots.axes(4, 3)
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8}
    text = ax.text(0.5, 0.5, "24 %", bbox=box)
    plots.restyle(ax.figure, "dark")
    assert text.get_bbox_patch().get_edgecolor()[3] == 0
    ground = to_rgb(text.get_bbox_patch().get_facecolor())
    assert max(ground) < 0.15
    assert contrast(to_rgb(text.get_color()), ground) > 4.5
