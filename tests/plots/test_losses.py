"""Losses over a band, read from the artists' data."""

import numpy as np
import pytest

from diffviz import plots

X = np.array([-4.0, 0.0, 4.0])
LOSS = np.array([0.1, 1.0, 2.0])
BAND = X, np.array([0.05, 0.5, 0.0]), np.array([0.08, 0.9, 1.9])


def shade(ax, gid):
    (found,) = (one for one in ax.collections if one.get_gid() == gid)
    return found.get_paths()[0].vertices


def test_losses_have_shades_and_stand_over_the_band():
    ax = plots.loss_curves(X, {"run": LOSS}, errors={"run": 0.1 * LOSS}, band=BAND, base="v")
    np.testing.assert_allclose(ax.lines[0].get_ydata(), LOSS)
    assert np.isclose(shade(ax, "run:stderr")[:, 1].max(), 2.2)
    assert np.isclose(shade(ax, "floor")[:, 1].max(), 1.9)
    assert ax.get_yscale() == "log" and "of v" in ax.get_ylabel()
    low, high = ax.get_ylim()
    assert 0.01 < low < 0.05 and 2.0 < high < 4.0  # a bound of 0 does not stretch the axis
    assert shade(ax, "floor")[:, 1].min() == low  # nor is it an edge straight down


@pytest.mark.parametrize("loss", [np.full(3, np.nan), np.zeros(3)])
def test_a_loss_that_a_logarithmic_axis_cannot_show_leaves_it_empty(loss):
    ax = plots.loss_curves(X, {"run": loss}, errors={"run": loss})
    ax.figure.canvas.draw()
    assert ax.get_ylim() == (0.1, 10.0)


def test_drawing_again_moves_lines_and_shades():
    ax = plots.loss_curves(X, {"run": LOSS}, errors={"run": 0.1 * LOSS}, band=BAND)
    before = ax.lines[0]
    plots.loss_curves(X, {"run": 2 * LOSS}, band=BAND, ax=ax)
    assert ax.lines[0] is before and [one.get_gid() for one in ax.collections] == ["floor"]
    np.testing.assert_allclose(before.get_ydata(), 2 * LOSS)


def names_in_legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_the_band_is_named_in_the_legend_as_long_as_it_is_drawn():
    ax = plots.loss_curves(X, {"run": LOSS}, band=BAND)
    assert names_in_legend(ax) == ["run", "floor"]
    plots.loss_curves(X, {"run": LOSS, "other": 2 * LOSS}, band=BAND, ax=ax)
    assert names_in_legend(ax) == ["run", "other", "floor"]
    plots.loss_curves(X, {"run": LOSS}, ax=ax)
    assert names_in_legend(ax) == ["run"]
    assert plots.loss_curves(X, {"run": LOSS}, band=BAND, outside=None).get_legend() is None


@pytest.mark.parametrize("base", ["eps", "x"])
def test_the_labels_of_a_picture_are_inside_it(base):
    figure = plots.loss_curves(X, {"run": 1e-3 * LOSS}, band=BAND, base=base).figure
    figure.canvas.draw()
    (ax,) = figure.axes
    box = ax.yaxis.label.get_window_extent()
    assert box.x0 >= 0 and box.y0 >= 0 and box.y1 <= figure.bbox.height


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"base": "w"}, "base"),
        ({"band": BAND[:2]}, "band must be"),
        ({"band": (X, LOSS, LOSS[:2])}, "one shape"),
        ({"errors": {"other": LOSS}}, "no curve for other"),
        ({"errors": {"run": LOSS[:2]}}, "must have the shape"),
    ],
)
def test_what_does_not_fit_is_refused(change, words):
    with pytest.raises((TypeError, ValueError), match=words):
        plots.loss_curves(X, {"run": LOSS}, **change)
