"""The explorer of the search: a control is set, the curves or the words are read."""

import numpy as np
import pytest

from diffviz.lab.experiments import search as search_experiments
from diffviz.lab.explorers.search import (
    CHOSEN,
    EDGE,
    GROUND,
    GUESS,
    LEAST,
    SLICE,
    VALLEY,
    SearchExplorer,
    count_on_floor,
    surface_of,
)
from diffviz.lab.figures.search import GUESS_COLOUR, above_least
from diffviz.search import experiment as search_experiment
from diffviz.search.goals import HIGH, LOW

pytestmark = pytest.mark.slow

TINY = search_experiments.SMALL | {"points": 7, "seeds": 2, "steps": 8}


@pytest.fixture(scope="module")
def tiny():
    """The small search with fewer and shorter trainings."""
    return search_experiment.search(**TINY)


@pytest.fixture
def explorer(tiny):
    """An explorer that knows the surface of the tiny search."""
    shown = SearchExplorer()
    shown._results.keep("small", tiny)
    shown.set("power", 0.5)
    return shown


def test_without_a_search_the_weighting_is_there_and_the_way_to_the_surface(monkeypatch):
    monkeypatch.setattr("diffviz.lab.experiments.progress.kept", lambda *_: None)
    shown = SearchExplorer()
    assert [chart.title for chart in shown.view.charts] == ["the weighting"]
    assert "press search" in shown.view.text


def test_the_weighting_is_the_power_of_the_eyes(explorer):
    explorer.set("octaves", 2.0)
    chart = explorer.view.charts[0]
    grid = chart.places(CHOSEN)
    assert (grid[0], grid[-1]) == (LOW, HIGH)
    whole = search_experiments.member(1.0, 2.0)
    expected = 0.5 * np.log10(whole(grid) / whole(0.0))
    np.testing.assert_allclose(chart.curves[CHOSEN], expected, atol=1e-6)
    assert set(chart.curves) == {CHOSEN, GUESS, "elbo", "fm-ot"}


def test_at_power_0_it_is_the_elbo(explorer):
    explorer.set("power", 0.0)
    chart = explorer.view.charts[0]
    np.testing.assert_allclose(chart.curves[CHOSEN], chart.curves["elbo"], atol=1e-12)


def test_the_surface_is_shown_along_the_power_at_the_distance(explorer, tiny):
    explorer.set("octaves", -1.0)
    chart = explorer.view.charts[2]
    powers = chart.places(SLICE)
    expected = above_least(tiny.surface, np.c_[powers, np.full(len(powers), -1.0)])
    np.testing.assert_allclose(chart.curves[SLICE], expected)
    assert set(chart.curves[EDGE]) == {1.0}
    (power,), (height,) = chart.dots[CHOSEN]
    assert power == 0.5
    assert height == pytest.approx(np.interp(0.5, powers, expected))


def test_the_surface_is_shown_along_the_distance_at_the_power(explorer, tiny):
    explorer.set("octaves", 2.0)
    chart = explorer.view.charts[3]
    octaves = chart.places(SLICE)
    expected = above_least(tiny.surface, np.c_[np.full(len(octaves), 0.5), octaves])
    np.testing.assert_allclose(chart.curves[SLICE], expected)
    (place,), (height,) = chart.dots[CHOSEN]
    assert place == 2.0
    assert height == pytest.approx(np.interp(2.0, octaves, expected))
    assert chart.title == "along the distance, at power 0.5"


def test_a_dot_moves_on_the_map_of_the_floor():
    found = search_experiments.small()
    shown = SearchExplorer()
    shown._results.keep("small", found)
    shown.set("power", 1.5)
    shown.set("octaves", -1.0)
    chart = shown.view.charts[1]
    assert [float(one[0]) for one in chart.dots[CHOSEN]] == [1.5, -1.0]
    assert [float(one[0]) for one in chart.dots[GUESS]] == [1.0, 0.0]
    assert chart.colours[GUESS] == shown.view.charts[0].colours[GUESS] == GUESS_COLOUR
    powers, (near, far) = chart.places(GROUND), chart.bands[GROUND]
    assert {GROUND, VALLEY, LEAST, CHOSEN, GUESS} == set(chart.curves)  # all in the legend
    assert chart.symbols == {LEAST: "star", CHOSEN: "disc", GUESS: "diamond"}
    assert len({chart.colours[name] for name in chart.curves}) == 5
    for side in (near, far, (near + far) / 2):
        assert above_least(found.surface, np.c_[powers, side]).max() <= 1 + 1e-9
    for side, step in ((near, -0.1), (far, 0.1)):
        beyond = side + step
        inside = (beyond > -3) & (beyond < 5)
        assert above_least(found.surface, np.c_[powers, beyond][inside]).min() > 1


def test_another_surface_moves_the_least_the_floor_and_the_line():
    found = search_experiments.small()
    shown = SearchExplorer()
    shown._results.keep("small", found)
    before = shown.view.charts[1]
    shown.set("surface", 2)
    after = shown.view.charts[1]
    least = [float(one[0]) for one in after.dots[LEAST]]
    np.testing.assert_array_equal(least, found.surface.optima[1])
    assert least != [float(one[0]) for one in before.dots[LEAST]]
    assert not np.array_equal(before.bands[GROUND], after.bands[GROUND])
    assert not np.array_equal(before.dots[VALLEY], after.dots[VALLEY])
    for name in (CHOSEN, GUESS):
        np.testing.assert_array_equal(before.dots[name], after.dots[name])
    assert f"least at power {least[0]:.2f}, octaves {least[1]:.2f}" in shown.view.text


def test_another_surface_has_the_heights_of_a_likely_one(tiny):
    likely = tiny.surface.likely
    other = surface_of(tiny, 7)
    np.testing.assert_allclose(other.at(likely.nodes), likely.heights[:, 6])
    assert surface_of(tiny, 0) is tiny.surface


@pytest.mark.parametrize("place", [(1.0, 0.0), (0.5, 0.0), (1.9, -2.0)])
def test_the_surfaces_with_a_point_on_their_floor_are_counted(place):
    found = search_experiments.small()
    above = [above_least(surface_of(found, number), np.array([place])) for number in range(1, 201)]
    assert count_on_floor(found.surface, place) == (np.array(above) <= 1).sum()


def test_the_words_count_the_surfaces_with_the_point_on_their_floor(explorer, tiny):
    power, octaves = tiny.optimum
    explorer.set("power", float(power))
    explorer.set("octaves", float(octaves))
    count = count_on_floor(tiny.surface, (float(power), float(octaves)))
    assert f"it lies on the floor of {count} of the 200 other surfaces" in explorer.view.text


def test_the_words_say_whether_it_lies_on_the_floor(explorer, tiny):
    power, octaves = tiny.optimum
    explorer.set("power", float(power))
    explorer.set("octaves", float(octaves))
    assert "0.0 % above the least of the surface: on the floor" in explorer.view.text
    chart = explorer.view.charts[2]
    worst = float(chart.places(SLICE)[np.argmax(chart.curves[SLICE])])
    explorer.set("power", worst)
    above = np.max(chart.curves[SLICE])
    assert ("not on the floor" in explorer.view.text) == (above > 1)


def test_the_button_runs_the_search(tiny, monkeypatch):
    def followed(experiment):
        assert experiment is search_experiments.small
        yield 0.5
        yield tiny

    monkeypatch.setattr("diffviz.lab.experiments.progress.kept", lambda *_: None)
    monkeypatch.setattr("diffviz.lab.experiments.progress.followed", followed)
    shown = SearchExplorer()
    shown.act("search")
    shown.wait()
    assert shown.error == ""
    assert len(shown.view.charts) == 4
    assert "above the least" in shown.view.text


@pytest.mark.parametrize(
    "wrong", [{"power": 3.0}, {"octaves": 9.0}, {"surface": 201}, {"beside": ("nothing",)}]
)
def test_a_wrong_setting_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SearchExplorer(**wrong)
