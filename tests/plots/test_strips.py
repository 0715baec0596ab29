"""A strip under an axis: each example under its level, the picture above as it was."""

import re
from itertools import pairwise

import numpy as np
import pytest

from diffviz import plots
from diffviz.plots import strips

LEVELS = np.array([-4.0, -2.0, 0.0, 2.0, 4.0])
IMAGES = np.arange(5 * 6 * 6).reshape(5, 6, 6) / 100
CURVE = {"line": np.arange(9.0)}
GRID = np.linspace(-4, 4, 9)


def drawn(strip, **options):
    """Axes with one curve over log-SNR and a strip, and the axes of the strip."""
    ax = plots.lines(GRID, CURVE, xlabel="λ", ylabel="y", strip=strip, **options)
    (panel,) = ax.child_axes
    return ax, panel


def test_each_image_stands_under_its_level():
    ax, panel = drawn(plots.Strip(LEVELS, IMAGES))
    assert panel.get_label() == "strip"
    assert panel.get_xlim() == ax.get_xlim()
    assert len(panel.images) == len(LEVELS)
    for level, pixels, tile in zip(LEVELS, IMAGES, panel.images, strict=True):
        left, right, *_ = tile.get_extent()
        assert (left + right) / 2 == pytest.approx(level)
        assert 0 < right - left < 2.0  # the spacing, so that tiles do not touch
        np.testing.assert_array_equal(tile.get_array(), pixels)


def test_a_tile_is_square_on_paper():
    ax, panel = drawn(plots.Strip(LEVELS, IMAGES))
    ax.figure.canvas.draw()
    for tile in panel.images:
        box = tile.get_window_extent()
        assert box.width == pytest.approx(box.height, rel=0.02)


def test_the_strip_lies_below_the_label_and_within_the_figure():
    ax, panel = drawn(plots.Strip(LEVELS, IMAGES))
    ax.figure.canvas.draw()
    box = panel.get_window_extent()
    assert box.y1 < ax.xaxis.label.get_window_extent().y0
    assert box.y0 > 0


def test_the_axes_keep_their_size_in_inches():
    plain = plots.lines(GRID, CURVE, xlabel="λ", ylabel="y")
    ax, _ = drawn(plots.Strip(LEVELS, IMAGES))
    for one in (plain, ax):
        one.figure.canvas.draw()
    assert ax.get_window_extent().height == pytest.approx(plain.get_window_extent().height)
    assert ax.figure.get_figheight() > plain.figure.get_figheight()


def test_a_second_strip_takes_the_place_of_the_first():
    ax, panel = drawn(plots.Strip(LEVELS, IMAGES))
    height = ax.figure.get_figheight()
    other = plots.draw_strip(ax, plots.Strip(LEVELS, np.zeros((5, 30)), "sound"))
    assert ax.child_axes == [other]
    assert other is not panel
    assert ax.figure.get_figheight() == height


def test_two_panels_of_a_row_share_the_room():
    left, right = plots.axes(10, 4, columns=2)
    for ax in (left, right):
        plots.lines(GRID, CURVE, xlabel="λ", ylabel="y", ax=ax)
    plots.draw_strip(left, plots.Strip(LEVELS, IMAGES))
    height = left.figure.get_figheight()
    plots.draw_strip(right, plots.Strip(LEVELS, IMAGES))
    assert left.figure.get_figheight() == height


def test_several_strips_stand_one_below_the_other():
    sounds = plots.Strip(LEVELS, np.zeros((5, 30)), "sound")
    ax = plots.lines(
        GRID, CURVE, xlabel="λ", ylabel="y", strip=[plots.Strip(LEVELS, IMAGES), sounds]
    )
    ax.figure.canvas.draw()
    first, second = (panel.get_window_extent() for panel in ax.child_axes)
    assert first.y0 > second.y1 > second.y0 > 0
    assert [len(panel.images) for panel in ax.child_axes] == [5, 0]
    single, _ = drawn(sounds)
    assert ax.figure.get_figheight() > single.figure.get_figheight()
    with pytest.raises(ValueError, match="at least one"):
        plots.draw_strip(ax, [])
    with pytest.raises(TypeError, match=r"strip must be a plots\.Strip"):
        plots.draw_strip(ax, [sounds, None])


def test_the_ticks_stand_at_the_levels_of_the_strip():
    ax, _ = drawn(plots.Strip(LEVELS, IMAGES))
    assert ax.get_xticks().tolist() == LEVELS.tolist()


def test_ticks_are_left_out_where_their_numbers_would_touch():
    levels = np.arange(-10.0, 11.0, 2.0)
    panels = plots.axes(9, 4, columns=3)
    for ax in panels:
        plots.lines(levels, {"line": levels}, xlabel="λ", ylabel="y", ax=ax)
        plots.draw_strip(ax, plots.Strip(levels, np.zeros((11, 4, 4))))
    panels[0].figure.canvas.draw()
    boxes = [label.get_window_extent() for label in panels[0].get_xticklabels()]
    assert 3 <= len(boxes) < 11
    assert all(one.x1 < other.x0 for one, other in pairwise(boxes))
    assert 0.0 in panels[0].get_xticks()


def test_a_loud_sound_is_shown_whole():
    sounds = np.outer(np.linspace(1, 5, 5), np.sin(np.linspace(0, 6, 30)))
    _, panel = drawn(plots.Strip(LEVELS, sounds, "sound"))
    heights = np.array([line.get_ydata() for line in panel.lines])
    assert heights.min() >= 0
    assert heights.max() <= 1
    np.testing.assert_allclose(heights - 0.5, (heights[4] - 0.5) * np.linspace(0.2, 1, 5)[:, None])


def test_levels_beyond_the_axis_are_left_out():
    ax = plots.lines(GRID, CURVE, xlabel="λ", ylabel="y")
    ax.set_xlim(-1, 3)
    panel = plots.draw_strip(ax, plots.Strip(LEVELS, IMAGES))
    assert len(panel.images) == 2
    ax.set_xlim(10, 20)
    with pytest.raises(ValueError, match=r"no level of the strip lies within .* 10 to 20"):
        plots.draw_strip(ax, plots.Strip(LEVELS, IMAGES))


def test_an_axis_may_run_the_other_way():
    ax = plots.lines(GRID, CURVE, xlabel="λ", ylabel="y")
    ax.set_xlim(5, -5)
    panel = plots.draw_strip(ax, plots.Strip(LEVELS, IMAGES))
    assert panel.get_xlim() == (5, -5)
    assert len(panel.images) == 5


def test_a_sound_is_a_line_from_the_left_of_its_tile_to_the_right():
    sounds = np.outer(np.ones(5), np.linspace(-1, 1, 30))
    _, panel = drawn(plots.Strip(LEVELS, sounds, "sound"))
    for level, line in zip(LEVELS, panel.lines, strict=True):
        x, y = line.get_data()
        assert x.mean() == pytest.approx(level)
        assert (np.diff(x) > 0).all()
        assert (np.diff(y) > 0).all()
        assert y[[0, -1]] == pytest.approx(0.5 + np.array([-1, 1]) / strips.LARGEST / 2)


def test_points_of_a_cloud_stay_inside_their_tile():
    points = np.random.default_rng(0).normal(size=(5, 200, 2)) * 3
    _, panel = drawn(plots.Strip(LEVELS, points, "points"))
    for level, line in zip(LEVELS, panel.lines, strict=True):
        x, y = line.get_data()
        assert (abs(x - level) < 1).all()
        assert ((y > 0) & (y < 1)).all()


@pytest.mark.parametrize(
    ("logsnr", "z", "kind", "said"),
    [
        (LEVELS, IMAGES, "film", "kind .*'film'"),
        ([0.0], IMAGES[:1], "image", "1-D and strictly increasing"),
        ([0.0, 1.0, 3.0], IMAGES[:3], "image", "evenly spaced, got steps from 1 to 2"),
        ([1.0, 0.0], IMAGES[:2], "image", "logsnr"),
        (LEVELS, IMAGES[:4], "image", "(n, height, width) with n = 5"),
        (LEVELS, IMAGES, "sound", "(n, samples)"),
        (LEVELS, IMAGES, "points", "(n, points, 2)"),
        (LEVELS, IMAGES * np.nan, "image", "z must be finite"),
    ],
)
def test_a_strip_that_does_not_fit_is_refused(logsnr, z, kind, said):
    pattern = said if "*" in said else re.escape(said)
    with pytest.raises(ValueError, match=pattern):
        plots.Strip(logsnr, z, kind)


def test_other_things_than_axes_and_strips_are_refused():
    with pytest.raises(TypeError, match="ax must be Matplotlib Axes"):
        plots.draw_strip(None, plots.Strip(LEVELS, IMAGES))
    with pytest.raises(TypeError, match=r"strip must be a plots\.Strip"):
        plots.draw_strip(plots.axes()[0], "image")
