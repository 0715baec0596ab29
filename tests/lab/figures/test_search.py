"""What the figure of a search shows, read from its artists."""

import numpy as np
import pytest
from pictures import check, check_nothing_is_cut, check_type

from diffviz.lab import figures
from diffviz.lab.experiments import search as search_experiments
from diffviz.lab.figures import search as search_figures
from diffviz.search import experiment as search_experiment
from diffviz.search import report as search_report
from diffviz.search.surface import Surface

pytestmark = pytest.mark.slow

LAWS = {"levels alike": "same", "own levels": "own"}
TINY = search_experiments.SMALL | {"points": 7, "seeds": 2, "steps": 8}


@pytest.fixture(scope="module")
def picture():
    return figures.draw("search")


def line(ax, gid):
    (one,) = [one for one in ax.lines if one.get_gid() == gid]
    return np.stack(one.get_data(), 1)


def test_the_surface_has_its_points_their_noise_and_the_spread_of_the_optimum(picture):
    found, left = search_experiments.small(), picture.axes[0]
    s = found.surface
    np.testing.assert_array_equal(line(left, "points"), s.points)
    np.testing.assert_array_equal(line(left, "optima"), s.optima)
    np.testing.assert_array_equal(line(left, "optimum")[0], found.optimum)
    assert line(left, "failed").shape == (0, 2)
    said = [text.get_text() for text in left.texts]  # 24 numbers would hide the surface
    assert said == ["least", "theory's guess"]


def test_few_points_have_their_numbers_beside_them(tiny):
    left, s = search_figures.searched(tiny), tiny.surface
    said = {text.get_text() for text in left.texts} - {"least", "theory's guess"}
    at = zip(s.alone.mean(1), s.stderr, strict=True)
    assert said == {f"{value:.4f} ± {error:.4f}".replace("-", "−") for value, error in at}


def test_the_valley_is_the_least_of_each_row(picture):
    """On a finer lattice than the figure's, and only where it is no end of the box."""
    left, s = picture.axes[0], search_experiments.small().surface
    power = np.linspace(0, 2, 801)
    for best, octaves in line(left, "valley")[::6]:
        row = s.at(np.c_[power, np.full(len(power), octaves)])
        assert s.at([[best, octaves]])[0] == pytest.approx(row.min(), abs=2e-5)
        assert 0 < best < 2


def test_the_dotted_line_is_the_floor_of_the_valley(picture):
    left, s = picture.axes[0], search_experiments.small().surface
    (floor,) = left.collections[-1].get_paths()
    inside = floor.vertices[(floor.vertices[:, 0] < 1.99) & (floor.vertices[:, 1] > -2.99)]
    least = s.at(s.least()[None])[0]
    np.testing.assert_allclose(s.at(inside), least + 0.01, atol=1e-3)


def test_the_shades_are_the_surface(picture):
    left, s = picture.axes[0], search_experiments.small().surface
    shades = left.collections[0]
    low, high = shades.get_array().min(), shades.get_array().max()
    nodes = np.stack(np.meshgrid(*[np.linspace(*ends, 61) for _, *ends in s.box]), -1).reshape(
        -1, 2
    )
    assert low == pytest.approx(s.at(nodes).min(), abs=0.02) and high == pytest.approx(
        s.at(nodes).max(), abs=0.02
    )


def test_candidates_stand_with_their_intervals_best_first(picture):
    found, right = search_experiments.small(), picture.axes[1]
    names = [text.get_text() for text in right.get_yticklabels()]
    assert sorted(names) == sorted(found.beside) and "rate-distortion" in names
    middles = []
    for place, name in enumerate(names):
        (bars,) = [one for one in right.containers if one.lines[0].get_gid() == name]
        ((low, high),) = (one.get_segments()[0][:, 0] for one in bars.lines[2])
        off, half = found.beside[name]
        assert ((low + high) / 2, (high - low) / 2) == pytest.approx((off, half))
        assert bars.lines[0].get_ydata()[0] == place
        middles.append(off)
    assert middles == sorted(middles)


def test_every_mark_of_the_surface_and_the_line_of_the_optimum_are_named(picture):
    (drawn,) = picture.legends
    said = [text.get_text() for text in drawn.get_texts()]
    for name in ("trained weightings", "optima of surfaces as likely"):
        assert name in said
    assert len(said) == 4
    right = picture.axes[1].get_legend()
    assert [text.get_text() for text in right.get_texts()] == ["the optimum"]
    check_type(picture)
    picture.canvas.draw()
    bar = picture.axes[0].child_axes[0]
    names = [label.get_window_extent().x0 for label in picture.axes[1].get_yticklabels()]
    assert bar.yaxis.label.get_window_extent().x1 < min(names)


def test_it_has_the_same_bytes_on_every_run_and_nothing_is_cut(tmp_path):
    check("search", tmp_path)


@pytest.fixture(scope="module")
def tiny():
    """The small search with fewer and shorter trainings."""
    return search_experiment.search(**TINY)


def test_searching_again_finds_the_same(tiny):
    assert str(search_experiment.search(**TINY)) == str(tiny)


@pytest.mark.parametrize("seeds", [1, 3])
def test_one_parameter_is_a_curve_with_error_bars_and_failures_are_marked(seeds):
    points = np.linspace(-3, 9, 7)[:, None]
    values = (points - 4) ** 2 / 20 + 0.01 * np.random.default_rng(0).standard_normal((7, seeds))
    values[1] = np.nan
    second = {
        "optimum": np.zeros(seeds),
        "fm-ot": np.full(seeds, 0.1),
        "edm": np.full(seeds, np.nan),
    }
    settings = {"goal": "likelihood", "data": "ring8"}
    found = search_report.Search(settings, Surface((("bias", -4.0, 10.0),), points, values), second)
    picture = search_figures.drawn(found).figure
    left, right = picture.axes
    curve = line(left, "surface")
    np.testing.assert_allclose(curve[:, 1], found.surface.at(curve[:, :1]))
    assert line(left, "failed")[0, 0] == -1 and len(line(left, "optima")) == (
        200 if seeds > 1 else 0
    )
    assert abs(line(left, "optimum")[0, 0] - 4) < 0.5
    words = {text.get_gid(): text.get_text() for text in right.texts}
    assert words == {
        "fm-ot:words": "+0.1000 ± 0.0000" if seeds > 1 else "+0.1000",
        "edm:words": "failed",
    }


# --- step by step ------------------------------------------------------------------------------


def test_the_goal_is_drawn_in_three_steps():
    parts = search_experiments.goal_parts()
    left, middle, right = search_figures.goal(parts).figure.axes
    for name, error in parts.left.items():
        np.testing.assert_array_equal(line(left, name), np.c_[parts.cycles, error])
    assert line(middle, "eye")[:, 1].max() == 1
    largest = parts.sensitivity.max()
    place = list(parts.logsnr).index(parts.level)
    for name, error in parts.left.items():
        drawn = line(right, name)[place, 1]
        assert drawn == pytest.approx((error * parts.sensitivity).sum() / largest)
    assert line(right, "level")[0, 0] == parts.level == 0
    check_type(left.figure)
    check_nothing_is_cut(left.figure)


def test_the_family_is_drawn_by_what_is_varied():
    figure = search_figures.family().figure
    left, right = figure.axes
    powers = [name for name in (one.get_gid() for one in left.lines) if name.startswith("power")]
    assert len({*powers}) == 8  # four curves, and the dots at their ends
    flat = line(left, "power 0")
    np.testing.assert_allclose(flat[:, 1], 0, atol=1e-12)
    np.testing.assert_allclose(
        line(left, "power 2")[:, 1], 2 * line(left, "power 1")[:, 1], atol=1e-9
    )
    np.testing.assert_array_equal(line(left, "power 1"), line(right, "octaves 0"))
    check_type(figure)
    check_nothing_is_cut(figure)


def test_the_surface_is_drawn_in_percent_above_its_least():
    found = search_experiments.small()
    figure = search_figures.trained_surface(found).figure
    ax = figure.axes[0]
    np.testing.assert_array_equal(line(ax, "points"), found.surface.points)
    assert tuple(line(ax, "guess")[0]) == (1.0, 0.0)
    above = search_figures.above_least(found.surface, np.array([[0.0, 0.0], [1.0, 0.0]]))
    assert above[0] == pytest.approx(10, abs=2.5) and above[1] < 1
    said = [text.get_text() for text in ax.texts]
    assert {"0.5 %", "1 %"} <= {*said}
    check_type(figure)
    check_nothing_is_cut(figure)


def test_the_floor_holds_theorys_guess_and_the_least():
    found = search_experiments.small()
    figure = search_figures.floor_map(found).figure
    ax = figure.axes[0]
    (floor,) = ax.collections[0].get_paths()
    assert floor.contains_point((1.0, 0.0))
    np.testing.assert_array_equal(line(ax, "optimum")[0], found.optimum)
    (optima,) = [one for one in ax.collections if one.get_gid() == "optima"]
    number = (optima.get_sizes() - search_figures.SMALLEST_DOT) / search_figures.DOT
    assert number.sum() == pytest.approx(len(found.surface.optima))
    places = np.asarray(optima.get_offsets())
    for place, times in zip(places, number, strict=True):
        same = np.isclose(found.surface.optima, place, atol=1e-5).all(1)
        assert same.sum() == pytest.approx(times)
    said = [text.get_text().replace("\n", " ") for text in ax.get_legend().get_texts()]
    assert said[-1] == "the floor: within 1 % of the least"
    assert "the best power at each distance, with a 95 % band" in said
    check_type(figure)
    check_nothing_is_cut(figure)


def test_the_band_of_the_best_power_is_that_of_surfaces_as_likely():
    """By drawing each of the surfaces along its rows, and by what the reader is told of it."""
    surface = search_experiments.small().surface
    low, high, octaves = search_figures.valley_band(surface)
    nodes, heights = surface.likely
    for place in (0, 16, 32):
        row = nodes[:, 1] == octaves[place]
        best = np.sort(nodes[row, 0][heights[row].argmin(0)])
        assert (best < low[place]).mean() <= 0.03 and (best > high[place]).mean() <= 0.03
    line_of = search_figures.valley(surface)
    inside = np.interp(line_of[:, 1], octaves, low), np.interp(line_of[:, 1], octaves, high)
    within = (inside[0] - 0.07 <= line_of[:, 0]) & (line_of[:, 0] <= inside[1] + 0.07)
    assert within.mean() > 0.95
    ax = search_figures.floor_map()
    (band,) = [one for one in ax.collections if one.get_gid() == "valley: band"]
    drawn = band.get_paths()[0].get_extents()
    assert (drawn.x0, drawn.x1) == pytest.approx((low.min(), high.max()))


def test_one_search_alone_says_who_is_ahead():
    found = search_experiments.small()
    ax = search_figures.intervals({"levels alike": found})
    assert ax.get_title() == "two weightings are ahead of the optimum"
    assert found.verdicts["better"] == ["fm-ot", "visible-error"]
    check_nothing_is_cut(ax.figure)


def test_the_intervals_of_both_searches_are_drawn_in_percent():
    found = {law: search_experiments.small(law=key) for law, key in LAWS.items()}
    ax = search_figures.intervals(found)
    for law, result in found.items():
        for name, (off, half) in result.beside.items():
            (bars,) = [one for one in ax.containers if one.lines[0].get_gid() == f"{name}: {law}"]
            ((low, high),) = (one.get_segments()[0][:, 0] for one in bars.lines[2])
            assert ((low + high) / 2, (high - low) / 2) == pytest.approx((100 * off, 100 * half))
            assert (bars.lines[0].get_markerfacecolor() == "white") == (law == "own levels")
    labels = [label.get_text() for label in ax.get_yticklabels()]
    guess = "theory's guess,\nrate–distortion"
    assert labels[:3] == ["flow matching", "the goal's own", guess]
    marks = {bars.lines[0].get_gid(): bars.lines[0].get_marker() for bars in ax.containers}
    assert {name for name, mark in marks.items() if mark == "D"} == {
        f"rate-distortion: {law}" for law in LAWS
    }
    assert labels[-2:] == ["projection of ε", "ELBO"]
    check_type(ax.figure)
    check_nothing_is_cut(ax.figure)
