"""The explorer of noise levels: λ is moved, and pictures, curves and words are read."""

import numpy as np
import pytest
from scipy.special import expit

from diffviz.lab.experiments import strips
from diffviz.lab.explorers.noise import (
    DATA,
    FIRST,
    NOISE,
    POINTS,
    REACH,
    RECIPES,
    SPREAD,
    WEIGHTS,
    NoiseExplorer,
)
from diffviz.recipes.entries import CATALOGUE
from diffviz.web.pictures import Table

LEVELS = (-7.3, -2.0, 0.0, 4.1)


def z_of(explorer):
    """The noisy photograph as the picture shows it, and the noisy points."""
    image, points = explorer.view.panels[:2]
    return (2 * np.asarray(image.pixels)[0] - 1) * REACH, np.asarray(points.points[POINTS])


@pytest.mark.parametrize("level", LEVELS)
def test_both_pictures_have_the_log_snr_of_the_slider(level):
    """By least squares of z on the data and on the noise."""
    explorer = NoiseExplorer()
    explorer.set("logsnr", level)
    for kind, z in zip(("image", "points"), z_of(explorer), strict=True):
        parts = np.stack([one.ravel() for one in strips.example(kind)], 1)
        (alpha, sigma), residual = np.linalg.lstsq(parts, z.ravel())[:2]
        assert 2 * np.log(alpha / sigma) == pytest.approx(level)
        assert residual == pytest.approx(0, abs=1e-12)


def test_the_ends_of_the_slider_are_noise_and_data():
    for level, own in ((-10.0, 1), (10.0, 0)):
        explorer = NoiseExplorer(logsnr=level)
        for kind, z in zip(("image", "points"), z_of(explorer), strict=True):
            alone = strips.example(kind)[own].ravel()
            assert np.corrcoef(z.ravel(), alone)[0, 1] > 0.999


def test_no_point_leaves_its_axes():
    explorer = NoiseExplorer()
    for level in explorer.grid[::20]:
        explorer.set("logsnr", float(level))
        assert np.abs(z_of(explorer)[1]).max() < SPREAD


@pytest.mark.parametrize("level", LEVELS)
def test_the_shares_are_marked_at_the_level(level):
    explorer = NoiseExplorer(logsnr=level)
    (chart,) = explorer.view.charts
    assert [*chart.marks.values()] == [level]
    for name, share in ((DATA, expit(level)), (NOISE, expit(-level))):
        assert np.ravel(chart.dots[name]) == pytest.approx([level, share])
        assert np.interp(level, chart.x, chart.curves[name]) == pytest.approx(share, abs=1e-3)
        assert f"{share:.1%}" in explorer.view.text


CLOSED = {  # w over its value at λ = 0
    "fm-ot": lambda level: np.exp(-level / 2),
    "iddpm-cosine": lambda level: 1 / np.cosh(level / 2),
    "elbo": lambda level: 1.0,
}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", CLOSED)
def test_weights_at_the_level_are_those_of_the_literature(name, level):
    explorer = NoiseExplorer(logsnr=level, shows=WEIGHTS, names=(name,))
    (chart,) = explorer.view.charts
    weight = CLOSED[name](level)
    assert np.ravel(chart.dots[name]) == pytest.approx([level, np.log10(weight)])
    table = explorer.view.panels[-1]
    assert isinstance(table, Table)
    assert [list(row) for row in table.rows] == [[name, RECIPES[name], f"{weight:.3g}"]]


def test_dots_lie_on_their_curves():
    explorer = NoiseExplorer(logsnr=-3.7, shows=WEIGHTS, names=tuple(RECIPES))
    (chart,) = explorer.view.charts
    for name in RECIPES:
        (level,), (value,) = chart.dots[name]
        assert np.interp(level, chart.x, chart.curves[name]) == pytest.approx(value, abs=0.01)


def test_it_opens_with_shares_and_names_two_recipes_of_the_catalogue():
    explorer = NoiseExplorer()
    assert [*explorer.view.charts[0].curves] == [DATA, NOISE]
    explorer.set("shows", WEIGHTS)
    assert tuple(explorer.view.charts[0].curves) == FIRST
    assert set(RECIPES) <= set(CATALOGUE)
    explorer.set("names", ())
    assert not explorer.view.charts[0].curves and not explorer.error


@pytest.mark.parametrize(
    ("state", "named"),
    [({"logsnr": 11}, "logsnr"), ({"names": ("ddpm",)}, "names"), ({"shows": "w"}, "shows")],
)
def test_wrong_settings_are_refused(state, named):
    with pytest.raises(ValueError, match=named):
        NoiseExplorer(**state)
