"""Scales: weightings normalised before they are compared."""

import numpy as np
import pytest

import diffviz as dv
from diffviz import plots

GRID = np.linspace(-10, 10, 401)


def line(ax, name):
    return next(one for one in ax.lines if one.get_gid() == name)


def test_each_scale_keeps_the_shape():
    w = dv.objective("sd3").weighting(GRID)
    over = line(plots.weighting_curves(GRID, {"sd3": w}, scale="w / max"), "sd3").get_ydata()
    area = line(plots.weighting_curves(GRID, {"sd3": w}, scale="unit area"), "sd3").get_ydata()
    assert over.max() == 1
    assert np.trapezoid(area, GRID) == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(over / over[200], area / area[200])


def test_the_anchor_of_a_bounded_support_is_its_nearest_end():
    w = np.where(GRID > 2, np.exp(-GRID), 0.0)
    logs = plots.scaled(w, GRID, "log10, anchored", anchor=0.0)
    assert np.isnan(logs[GRID <= 2]).all()
    assert logs[GRID > 2][0] == 0


@pytest.mark.parametrize("scale", plots.SCALES)
def test_a_weighting_that_is_nowhere_positive_is_not_drawn(scale):
    assert np.isnan(plots.scaled(np.zeros(401), GRID, scale)).all()


def test_each_label_has_places_for_the_error_and_the_anchor():
    labels = {name: scale.label.format("x", 1.5) for name, scale in plots.SCALES.items()}
    assert labels["log10, anchored"] == "log₁₀ w on the x error, 0 at λ = 1.5"
    assert all("x error" in label for label in labels.values())


@pytest.mark.parametrize(
    ("w", "logsnr", "scale", "error", "words"),
    [
        ([1, 2], [0, 1], "log", ValueError, "unknown scale 'log'"),
        ([1, np.nan], [0, 1], "w / max", ValueError, "w must be finite"),
        ([1, 2], [1, 0], "unit area", ValueError, "logsnr must be 1-D and strictly increasing"),
        ([1, 2, 3], [0, 1], "w / max", ValueError, "w must have the shape"),
        (np.ma.masked_array([1, 2], [0, 1]), [0, 1], "w / max", TypeError, "w is a masked array"),
        ([1j, 2], [0, 1], "w / max", TypeError, "w must hold real numbers"),
    ],
)
def test_scaled_refuses_what_is_no_weighting_on_a_grid(w, logsnr, scale, error, words):
    with pytest.raises(error, match=words):
        plots.scaled(w, logsnr, scale)
