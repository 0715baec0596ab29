"""A Gaussian process through noisy points, against the kriging equations and known valleys."""

import numpy as np
import pytest
from scipy import stats

from diffviz.search.smooth import SmoothSurface
from diffviz.search.surface import Surface

BOX = (("a", -2.0, 4.0), ("b", 0.0, 1.0))
LOW, HIGH = np.array([ends for _, *ends in BOX]).T
UNIT = stats.qmc.Sobol(2, rng=np.random.default_rng(1)).random_base2(5)[:24]
POINTS = LOW + (HIGH - LOW) * UNIT


def valley(points):
    """A curved valley with its least, −1, at scaled (0.3, −0.2): no quadratic."""
    x, y = (2 * (np.asarray(points) - LOW) / (HIGH - LOW) - 1).T
    bend = x - 0.3 - 0.8 * (y + 0.2) ** 2
    return -1 - 0.6 * np.expm1(-2 * bend**2) + 0.3 * (y + 0.2) ** 2


def measured(rng, seeds=4, noise=0.01, points=POINTS):
    """The valley with noise, and what each seed adds to all points."""
    return (
        valley(points)[:, None]
        + 3 * rng.standard_normal(seeds)
        + noise * rng.standard_normal((len(points), seeds))
    )


@pytest.fixture(scope="module")
def surface():
    return SmoothSurface(BOX, POINTS, measured(np.random.default_rng(0)))


def kriging(surface, points, kept):
    """Estimate and its variance by the Lagrange system of ordinary kriging, at scaled points."""
    size, lengths = surface.scales
    x = 2 * (surface.points[kept] - LOW) / (HIGH - LOW) - 1
    y = surface.alone.mean(1)[kept]

    def covariance(one, other):
        return size**2 * np.exp(-(((one - other) / lengths) ** 2).sum(-1) / 2)

    n = len(x)
    system = np.ones((n + 1, n + 1))
    system[n, n] = 0
    system[:n, :n] = [[covariance(one, other) for other in x] for one in x]
    system[np.arange(n), np.arange(n)] += surface.stderr[kept] ** 2
    found = []
    for point in 2 * (points - LOW) / (HIGH - LOW) - 1:
        right = np.append([covariance(point, other) for other in x], 1.0)
        weights = np.linalg.solve(system, right)
        found.append((weights[:n] @ y, size**2 - weights @ right))
    return np.array(found).T


def covers(surface, place):
    """Whether each parameter of a place lies in the interval of the optimum, of lattice nodes."""
    half = (HIGH - LOW) / 32 / 2
    low, high = np.quantile(surface.optima, [0.025, 0.975], axis=0)
    return (low - half <= place) & (place <= high + half)


def test_the_surface_is_that_of_the_kriging_equations(surface):
    places = LOW + (HIGH - LOW) * np.random.default_rng(3).random((12, 2))
    expected, _ = kriging(surface, places, np.arange(24))
    np.testing.assert_allclose(surface.at(places), expected, rtol=1e-4, atol=1e-4)


def test_the_misfit_is_that_of_points_left_out_one_at_a_time(surface):
    terms = []
    for left_out in range(24):
        kept = np.delete(np.arange(24), left_out)
        value, variance = kriging(surface, POINTS[[left_out]], kept)
        error = surface.alone.mean(1)[left_out] - value[0]
        terms.append(error**2 / (variance[0] + surface.stderr[left_out] ** 2))
    assert surface.misfit == pytest.approx(np.mean(terms), rel=1e-4)


def test_no_other_scales_are_likelier(surface):
    x = 2 * (POINTS - LOW) / (HIGH - LOW) - 1
    y = surface.alone.mean(1)

    def log_likelihood(size, lengths):
        distance = ((x[:, None] - x) / lengths) ** 2
        covariance = size**2 * np.exp(-distance.sum(-1) / 2) + np.diag(surface.stderr**2)
        weights = np.linalg.solve(covariance, np.ones(24))
        constant = weights @ y / weights.sum()
        return stats.multivariate_normal(np.full(24, constant), covariance).logpdf(y)

    best = log_likelihood(*surface.scales)
    rng = np.random.default_rng(0)
    for factor in np.exp(0.2 * rng.standard_normal((20, 3))):
        other = log_likelihood(surface.scales.size * factor[0], surface.scales.lengths * factor[1:])
        assert other < best + 1e-3


@pytest.mark.parametrize("scales", [(0.7, 0.5, 1.2), (0.1, 2.0, 0.3)])
def test_the_slope_of_the_likelihood_is_that_of_its_values(surface, scales):
    place = np.log(scales)
    steps = 1e-5 * np.eye(3)
    values = [[surface._surprise(place + s * step)[0] for s in (1, -1)] for step in steps]
    slopes = -np.diff(values)[:, 0] / 2e-5
    np.testing.assert_allclose(surface._surprise(place)[1], slopes, rtol=1e-5, atol=1e-5)


def test_it_fits_a_valley_that_a_quadratic_does_not(surface):
    quadratic = Surface(BOX, POINTS, surface.values)
    assert quadratic.misfit > 10
    assert surface.misfit < 3
    others = LOW + (HIGH - LOW) * np.random.default_rng(5).uniform(0.1, 0.9, (200, 2))
    shift = surface.alone.mean() - valley(POINTS).mean()
    smooth, plain = (
        np.sqrt(np.mean((one.at(others) - shift - valley(others)) ** 2))
        for one in (surface, quadratic)
    )
    assert smooth < 0.3 * plain


def test_the_optimum_lies_in_the_valley(surface):
    least = LOW + (HIGH - LOW) * (np.array([0.3, -0.2]) + 1) / 2
    assert valley(surface.least()[None])[0] < -0.97
    lattice = np.stack(np.meshgrid(*np.linspace(LOW, HIGH, 101).T), -1).reshape(-1, 2)
    assert surface.at(surface.least()[None])[0] <= surface.at(lattice).min() + 1e-6
    assert covers(surface, least).all()
    assert surface.optima.shape == (200, 2)
    assert np.quantile(valley(surface.optima), 0.95) < -0.9


def test_surfaces_as_likely_scatter_around_this_one_as_the_kriging_variance_says(surface):
    nodes, heights = surface.likely
    assert heights.shape == (len(nodes), 200)
    some = np.random.default_rng(4).choice(len(nodes), 200, replace=False)
    estimate, variance = kriging(surface, nodes[some], np.arange(24))
    off = (heights[some].mean(1) - estimate) / np.sqrt(variance / 200)
    assert 0.3 < np.mean(off**2) < 3
    ratio = heights[some].std(1) / np.sqrt(variance)
    assert 0.7 < np.median(ratio) < 1.6  # the noise of four seeds has Student's tails
    np.testing.assert_array_equal(surface.optima, nodes[heights.argmin(0)])


def test_more_noise_spreads_the_optima():
    quiet, loud = (
        SmoothSurface(BOX, POINTS, measured(np.random.default_rng(0), noise=noise))
        for noise in (0.005, 0.1)
    )
    assert (quiet.optima.std(0) < 0.7 * loud.optima.std(0)).all()


@pytest.mark.slow
def test_the_interval_of_the_optimum_covers_the_truth_in_about_95_of_100_experiments():
    least = LOW + (HIGH - LOW) * (np.array([0.3, -0.2]) + 1) / 2
    rng, covered = np.random.default_rng(2), []
    for _ in range(30):
        found = SmoothSurface(BOX, POINTS, measured(rng, noise=0.03))
        covered.append(covers(found, least))
    assert 0.85 <= np.mean(covered) <= 1.0


def test_one_parameter_is_a_curve():
    points = np.linspace(-4, 10, 9)[:, None]
    values = np.cos(points / 3) + 0.01 * np.random.default_rng(0).standard_normal((9, 3))
    curve = SmoothSurface((("bias", -4.0, 10.0),), points, values)
    assert curve.least() == pytest.approx(np.array([3 * np.pi]), abs=0.3)
    between = np.linspace(-3, 9, 13)[:, None]
    np.testing.assert_allclose(curve.at(between), np.cos(between[:, 0] / 3), atol=0.06)


def test_units_of_the_parameters_do_not_matter(surface):
    wide = tuple((name, 100 * low, 100 * high) for name, low, high in BOX)
    other = SmoothSurface(wide, 100 * POINTS, surface.values)
    np.testing.assert_allclose(other.at(100 * POINTS), surface.at(POINTS), atol=1e-9)
    np.testing.assert_allclose(other.least(), 100 * surface.least(), rtol=1e-4)


def test_an_offset_moves_the_heights_and_nothing_else(surface):
    moved = SmoothSurface(BOX, POINTS, surface.values + 1e5)
    np.testing.assert_allclose(moved.at(POINTS) - 1e5, surface.at(POINTS), atol=1e-6)
    np.testing.assert_allclose(moved.least(), surface.least(), rtol=1e-3)


@pytest.mark.parametrize("values", [np.ones((24, 3)), np.zeros((24, 2)), np.full((24, 3), -7.5)])
def test_where_all_measurements_are_equal_the_surface_is_flat(values):
    flat = SmoothSurface(BOX, POINTS, values)
    np.testing.assert_allclose(flat.at(POINTS), values[0, 0], atol=1e-6)


def test_failed_trainings_leave_their_point_out():
    values = measured(np.random.default_rng(0))
    values[2, 1] = np.nan
    with_failure = SmoothSurface(BOX, POINTS, values)
    without = SmoothSurface(BOX, np.delete(POINTS, 2, 0), np.delete(values, 2, 0))
    np.testing.assert_allclose(with_failure.at(POINTS), without.at(POINTS), atol=1e-9)


@pytest.mark.parametrize(
    ("points", "values", "said"),
    [
        (POINTS, np.zeros((24, 1)) + valley(POINTS)[:, None], "two seeds or more"),
        (POINTS[:6], measured(np.random.default_rng(0))[:6], "needs 7 points"),
        (POINTS[:, :1], measured(np.random.default_rng(0)), r"need points \(n, 2\)"),
    ],
)
def test_what_fixes_no_surface_is_refused(points, values, said):
    with pytest.raises(ValueError, match=said):
        SmoothSurface(BOX, points, values)


def test_places_of_another_shape_are_refused(surface):
    with pytest.raises(ValueError, match=r"points must have shape \(m, 2\)"):
        surface.at(np.zeros((3, 1)))
