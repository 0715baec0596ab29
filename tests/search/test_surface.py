"""A quadratic through noisy points, against closed forms and against repeated experiments."""

import numpy as np
import pytest
from scipy import stats

from diffviz.search.smooth import SmoothSurface
from diffviz.search.surface import Surface, coefficient_count, lattice, least_in_cube

BOX = (("a", -2.0, 4.0), ("b", 0.0, 1.0))
LOW, HIGH = np.array([ends for _, *ends in BOX]).T
UNIT = stats.qmc.Sobol(2, rng=np.random.default_rng(1)).random_base2(4)
POINTS = LOW + (HIGH - LOW) * UNIT
TRUTH = np.array([1.0, -0.5, 0.3, 0.8, 0.4, 0.6])  # 1, x, y, xx, xy, yy on [-1, 1]


def height(points, c=TRUTH):
    x, y = (2 * (np.asarray(points) - LOW) / (HIGH - LOW) - 1).T
    return c[0] + c[1] * x + c[2] * y + c[3] * x * x + c[4] * x * y + c[5] * y * y


def measured(rng, seeds=6, noise=0.1, shift=3.0, extra=0.0):
    return (
        height(POINTS)[:, None]
        + extra
        + shift * rng.standard_normal(seeds)
        + noise * rng.standard_normal((16, seeds))
    )


def test_a_quadratic_is_found_exactly_whatever_seeds_add():
    values = height(POINTS)[:, None] + np.array([5.0, -2.0, -3.0])
    surface = Surface(BOX, POINTS, values)
    assert surface.names == ["1", "a", "b", "a a", "a b", "b b"]
    np.testing.assert_allclose(surface.coefficients, TRUTH, atol=1e-6)
    np.testing.assert_allclose(surface.at(POINTS), height(POINTS), atol=1e-6)
    np.testing.assert_allclose(surface.errors, 0, atol=1e-6)


def test_the_optimum_is_where_the_slope_is_zero():
    inner = np.linalg.solve([[2 * TRUTH[3], TRUTH[4]], [TRUTH[4], 2 * TRUTH[5]]], -TRUTH[1:3])
    assert (abs(inner) < 1).all()
    found = Surface(BOX, POINTS, measured(np.random.default_rng(0))).least(TRUTH)
    np.testing.assert_allclose(found, LOW + (HIGH - LOW) * (inner + 1) / 2, atol=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_the_optimum_of_any_quadratic_is_the_least_of_a_fine_lattice(seed):
    c = np.random.default_rng(seed).standard_normal(6)  # saddles and hills too
    surface = Surface(BOX, POINTS, measured(np.random.default_rng(0)))
    lattice = np.stack(np.meshgrid(*np.linspace(LOW, HIGH, 301).T), -1).reshape(-1, 2)
    assert height(surface.least(c)[None], c)[0] == pytest.approx(height(lattice, c).min(), abs=1e-3)


@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_no_node_of_a_lattice_lies_below_the_optimum(dimension):
    """Of bowls, saddles and hills, and of quadratics without a slope or a curvature."""
    number = coefficient_count(dimension)
    quadratics = np.random.default_rng(dimension).standard_normal((200, number))
    quadratics[0] = 0
    quadratics[1, dimension + 1 :] = 0
    found = least_in_cube(quadratics, dimension)
    assert (abs(found) <= 1).all()

    def heights(x):
        x = np.append(np.ones((*x.shape[:-1], 1)), x, -1)
        return np.stack([x[..., j] * x[..., k] for j, k in zip(*pairs, strict=True)], -1)

    pairs = np.triu_indices(dimension + 1)
    nodes = lattice(np.linspace(-1, 1, 21), dimension)
    least = (heights(found) * quadratics).sum(-1)
    lowest = (heights(nodes) @ quadratics.T).min(0)
    assert (least <= lowest + 1e-12).all()
    assert (least >= lowest - 0.05).all()


@pytest.mark.parametrize("tilt", [0.0, 0.2])
def test_standard_errors_are_the_spread_of_repeated_experiments(tilt):
    """Also where a seed tilts the surface, so that the points of one seed are off together."""
    rng, x = np.random.default_rng(2), 2 * UNIT - 1
    found = [
        Surface(BOX, POINTS, measured(rng, extra=tilt * x @ rng.standard_normal((2, 6))))
        for _ in range(400)
    ]
    spread = np.std(
        [one.coefficients[1:] for one in found], axis=0
    )  # the first also holds the mean of what seeds add
    stated = np.sqrt(np.mean([one.errors[1:] ** 2 for one in found], axis=0))
    assert (stated > 0.85 * spread).all() and (
        stated < 1.3 * spread
    ).all()  # chance misfits above 1 stretch it a little
    if not tilt:
        assert np.mean([one.stderr.mean() for one in found]) == pytest.approx(
            0.1 / np.sqrt(6), rel=0.06
        )


@pytest.mark.slow
def test_the_interval_of_the_optimum_covers_the_truth_in_95_of_100_experiments():
    """Of each parameter, with four seeds.

    A plain bootstrap of the seeds covers it in 80 only, for want of Student's tails.
    """
    rng, x, true = (
        np.random.default_rng(3),
        2 * UNIT - 1,
        Surface(BOX, POINTS, measured(np.random.default_rng(0))).least(TRUTH),
    )
    covered = []
    for _ in range(50):
        found = Surface(
            BOX, POINTS, measured(rng, seeds=4, extra=0.2 * x @ rng.standard_normal((2, 4)))
        )
        low, high = np.quantile(found.optima, [0.025, 0.975], axis=0)
        covered.append((low <= true) & (true <= high))
    assert found.optima.shape == (200, 2) and 0.89 <= np.mean(covered) <= 0.99


def test_a_surface_of_small_values_is_that_of_large_ones():
    values = measured(np.random.default_rng(5))
    large, small = (Surface(BOX, POINTS, scale * values) for scale in (1.0, 1e-10))
    assert small.misfit == pytest.approx(large.misfit, rel=1e-6)
    np.testing.assert_allclose(small.stderr, 1e-10 * large.stderr, rtol=1e-6)


def test_a_point_that_is_far_off_does_not_set_the_errors_of_the_others():
    values = measured(np.random.default_rng(6), seeds=3)
    before = np.median(Surface(BOX, POINTS, values).stderr)
    values[0] = 1e8 * np.array([1, 2, 0.5])
    assert np.median(Surface(BOX, POINTS, values).stderr) < 5 * before


@pytest.mark.parametrize("value", [0.0, 1e-300, 5.0])
def test_a_surface_of_equal_values_is_flat(value):
    flat = Surface(BOX, POINTS, np.full((len(POINTS), 3), value))
    np.testing.assert_allclose(flat.coefficients[1:], 0, atol=1e-9)


def test_misfit_is_one_for_noise_and_large_for_a_cubic_and_stretches_errors():
    rng = np.random.default_rng(4)
    plain = [Surface(BOX, POINTS, measured(rng)) for _ in range(100)]
    assert np.mean([one.misfit for one in plain]) == pytest.approx(1, abs=0.25)
    x = (2 * (POINTS[:, 0] - LOW[0]) / 6 - 1)[:, None]
    bent = Surface(BOX, POINTS, measured(rng, extra=2 * x**3))
    assert bent.misfit > 20
    assert (
        bent.errors > 0.8 * np.sqrt(((bent._solution * bent.stderr) ** 2).sum(1) * bent.misfit)
    ).all()
    assert (bent.optima.std(0) > 0).any()


def test_a_wild_point_does_not_blur_the_others():
    rng = np.random.default_rng(5)
    values = measured(rng)
    values[3] += 5 * rng.standard_normal(6)
    surface = Surface(BOX, POINTS, values)
    assert surface.stderr[3] > 5 * np.median(surface.stderr) and np.median(surface.stderr) < 0.06


def test_failed_trainings_leave_their_point_out_and_no_other():
    values = height(POINTS)[:, None] + np.zeros(3)
    values[2, 1] = np.nan
    surface = Surface(BOX, POINTS, values)
    assert surface.kept.sum() == 15 and not surface.kept[2] and np.isnan(surface.alone.mean(1)[2])
    np.testing.assert_allclose(surface.coefficients, TRUTH, atol=1e-6)
    values[:10] = np.nan
    with pytest.raises(ValueError, match="needs 7 points without a failed training, there are 6"):
        Surface(BOX, POINTS, values)


def test_one_seed_gives_a_surface_and_no_noise():
    surface = Surface(BOX, POINTS, height(POINTS)[:, None])
    np.testing.assert_allclose(surface.coefficients, TRUTH, atol=1e-9)
    assert (
        np.isnan(surface.stderr).all()
        and np.isnan(surface.misfit)
        and surface.optima.shape == (0, 2)
    )


VALUES = height(POINTS)[:, None] + np.zeros(2)


@pytest.mark.parametrize(
    ("box", "points", "values", "error", "message"),
    [
        (BOX, POINTS[:, :1], VALUES, ValueError, r"need points \(n, 2\).*\(16, 1\)"),
        (BOX, POINTS[:9], VALUES, ValueError, r"\(9, 2\) and \(16, 2\)"),
        (BOX, POINTS, VALUES[:, 0], ValueError, "values must have 2 dimension"),
        (BOX, POINTS * np.nan, VALUES, ValueError, "points must be finite"),
        (BOX, POINTS * 1j, VALUES, TypeError, "points must hold real numbers"),
        (BOX, POINTS, VALUES * 1j, TypeError, "values must hold real numbers"),
        (BOX, POINTS, VALUES.astype(str), TypeError, "values must hold real numbers"),
        (BOX, POINTS, np.ma.masked_less(VALUES, 1), TypeError, "values is a masked array"),
        (((("a", 4.0, -2.0)), BOX[1]), POINTS, VALUES, ValueError, "the range of a is empty"),
        (
            (("a", -np.inf, 0.0), BOX[1]),
            POINTS,
            VALUES,
            ValueError,
            "lowest value of a must be fin",
        ),
        (
            (("a", "0", "1"), BOX[1]),
            POINTS,
            VALUES,
            TypeError,
            "the lowest value of a must hold real",
        ),
        (
            BOX,
            np.tile(POINTS[:6], (3, 1))[:16],
            VALUES,
            ValueError,
            "needs 7 different points, there are 6 among 16 with finite values; measure",
        ),
        (
            BOX,
            np.linspace([-2.0, 0.5], [4.0, 2.0], 16),
            VALUES,
            ValueError,
            "points fix 3 of the 6 coefficients of a quadratic, since they lie on a line",
        ),
    ],
)
def test_measurements_that_make_no_surface_are_refused(box, points, values, error, message):
    with pytest.raises(error, match=message):
        Surface(box, points, values)


@pytest.mark.parametrize("kind", [Surface, SmoothSurface])
def test_two_places_that_are_measured_twice_make_no_surface(kind):
    points, values = [[0], [0], [1], [1]], np.arange(8.0).reshape(4, 2)
    with pytest.raises(ValueError, match="needs 4 different points, there are 2 among 4"):
        kind([("a", 0.0, 1.0)], points, values)


def test_a_place_may_be_measured_twice_beside_enough_others():
    twice = Surface(BOX, np.tile(POINTS, (2, 1)), np.tile(VALUES, (2, 1)))
    np.testing.assert_allclose(twice.coefficients, Surface(BOX, POINTS, VALUES).coefficients)


@pytest.mark.parametrize("kind", [Surface, SmoothSurface])
def test_a_box_may_be_used_up_by_reading(kind):
    values = VALUES + 0.01 * np.cos(np.arange(32).reshape(16, 2))
    expected = kind(BOX, POINTS, values).at(POINTS)
    np.testing.assert_array_equal(kind(iter(BOX), POINTS, values).at(POINTS), expected)


def test_measurements_may_be_lists_integers_and_views():
    integers = np.arange(32).reshape(16, 2) ** 2
    expected = Surface(BOX, POINTS, integers.astype(float)).coefficients
    backwards = np.ascontiguousarray(POINTS[::-1])[::-1]
    for points, values in ((POINTS.tolist(), integers.tolist()), (backwards, integers)):
        np.testing.assert_array_equal(Surface(BOX, points, values).coefficients, expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda surface: surface.at([0.0, 1.0]), "points must have 2 dimension"),
        (lambda surface: surface.at([[0.0]]), r"points must have shape \(m, 2\)"),
        (lambda surface: surface.at([[0.0, np.nan]]), "points must be finite"),
        (lambda surface: surface.least([1.0, 2.0]), "need 6 coefficients, got 2"),
    ],
)
def test_a_surface_refuses_points_and_coefficients_of_another_box(call, message):
    with pytest.raises(ValueError, match=message):
        call(Surface(BOX, POINTS, VALUES))
