"""The exact moments: tables, lattices and memory, against each other and against plain sums."""

import math

import mpmath as mp
import numpy as np
import pytest

import diffviz as dv
from diffviz.data import expectations, separable, tables
from diffviz.data.densities import Checkerboard, Circle
from diffviz.data.toys import DRAWS, TOYS, mixture, toy

TABULATED = [name for name in TOYS if name not in ("digits", "fashion")]
LEVELS = np.array([-37.3, -12.6, -3.1, 2.3, 4.29, 6.7, 13.3, 28.9])


def exact(law, logsnr):
    return expectations.computed_moments(law, np.asarray(logsnr), DRAWS)[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", TABULATED)
@pytest.mark.parametrize("unit", [False, True])
def test_a_table_is_exact_at_any_level(name, unit):
    known = toy(name, unit)
    # levels at which no table has a node, and beyond both of its ends
    levels = LEVELS if name == "circle" else np.append(LEVELS, 53.1)
    assert tables.tabulated_moments(known.law, levels) is not None
    np.testing.assert_allclose(known.moments(levels), exact(known.law, levels), rtol=1e-8)
    np.testing.assert_array_equal(known.mmse(levels), known.moments(levels)[0])


def test_a_table_stands_in_for_the_computation_where_that_is_cheap():
    for name in ("gaussian", "gmm1", "gmm2d", "circle"):
        levels = LEVELS[:4]
        np.testing.assert_allclose(toy(name).moments(levels), exact(toy(name).law, levels), 1e-9)


def test_every_toy_in_the_plane_finds_its_table():
    for name in TABULATED:
        for unit in (False, True):
            assert tables.tabulated_moments(toy(name, unit).law, LEVELS) is not None, name


def test_a_table_serves_a_toy_at_any_scale():
    """What the ideal denoiser does depends on the product of scale² and SNR only."""
    scaled = mixture(3 * toy("ring8").law.means, 0.3)
    result = scaled.moments(LEVELS)
    np.testing.assert_allclose(result, exact(scaled.law, LEVELS), rtol=1e-10)
    np.testing.assert_allclose(result, toy("ring8").moments(LEVELS + 2 * math.log(3)), rtol=1e-12)


def test_a_changed_toy_never_reads_an_old_table(monkeypatch):
    before = toy("moons").law

    def moved():
        means = before.means.numpy().copy()
        means[0, 0] += 1e-6
        return mixture(means, 0.1)

    monkeypatch.setitem(TOYS, "moons", moved)
    changed = dv.toy("moons")
    assert tables.tabulated_moments(changed.law, LEVELS) is None
    result = changed.mmse([2.0])
    np.testing.assert_array_equal(result, exact(changed.law, [2.0])[0])
    assert 1e-10 < abs(result[0] / exact(before, [2.0])[0, 0] - 1) < 1e-5


@pytest.mark.parametrize("part", ["weights", "std", "order"])
def test_every_parameter_of_a_mixture_counts(part):
    law = toy("gmm2d").law
    weights, means, std = law.weights.numpy(), law.means.numpy(), law.std.numpy()
    if part == "weights":
        weights = np.add(weights, [1e-9, -1e-9, 0])
    if part == "std":
        std = np.add(std, [0, 0, 1e-9])
    if part == "order":  # the same density, in other words: computed, and equal
        weights, means, std = weights[::-1], means[::-1], std[::-1]
    changed = mixture(means, std, weights)
    assert tables.tabulated_moments(changed.law, LEVELS) is None
    np.testing.assert_allclose(changed.mmse([1.0]), toy("gmm2d").mmse([1.0]), rtol=1e-8)


@pytest.mark.parametrize("d", [1, 2])
def test_the_lattice_agrees_with_a_fine_plain_sum(d):
    """From the definition: posterior means of components on one lattice four times as fine."""
    rng = np.random.default_rng(0)
    means = rng.normal(size=(5, d))
    std = np.array([0.3, 0.5, 0.4, 0.8, 0.35])
    weights = np.array([0.1, 0.3, 0.2, 0.15, 0.25])
    level = 1.7
    snr = math.exp(level)
    alpha, sigma = math.sqrt(snr / (1 + snr)), math.sqrt(1 / (1 + snr))
    v = alpha**2 * std**2 + sigma**2
    step = math.sqrt(v.min()) / (40 if d == 1 else 12)
    axis = np.arange(-8, 8, step)
    z = np.stack(np.meshgrid(*[axis] * d), -1).reshape(-1, d)
    apart = z[:, None] - alpha * means
    density = weights * np.exp(-(apart**2).sum(-1) / (2 * v)) / (2 * np.pi * v) ** (d / 2)
    p = density.sum(1)
    share = density / p[:, None]
    eps = sigma * apart / v[:, None]
    eps_hat = (share[..., None] * eps).sum(1)
    offset = ((eps - eps_hat[:, None]) ** 2).sum(-1)
    spread = alpha**2 * std**2 / v
    second = offset + d * spread
    fourth = second**2 + 2 * d * spread**2 + 4 * offset * spread
    expected = [(p * (share * moment).sum(1)).sum() * step**d for moment in (second, fourth)]
    result = separable.mixture_moments(weights, means, std, np.array([level]))[:, 0]
    np.testing.assert_allclose(result, expected, rtol=1e-11)


def test_tiles_and_portions_leave_the_moments_alone(monkeypatch):
    law = toy("ring8").law
    arguments = (law.weights.numpy(), law.means.numpy(), law.std.numpy(), np.array([-2.0, 3.0]))
    result = separable.mixture_moments(*arguments)
    for name, value in (("TILE", 17), ("COMPONENTS", 3), ("NODES_PER_STD", 14)):
        monkeypatch.setattr(separable, name, value)
        np.testing.assert_allclose(separable.mixture_moments(*arguments), result, rtol=1e-11)


def test_where_a_lattice_is_too_big_the_draws_have_an_error(monkeypatch):
    means = np.random.default_rng(1).normal(size=(3, 2))
    near, error = mixture(means, 0.2).mmse([0.5], stderr=True)
    assert error == 0
    monkeypatch.setattr(separable, "MAX_LATTICE", 1)
    law = mixture(means, 0.2).law
    monkeypatch.setattr("diffviz.data.densities.MAX_LATTICE", 1)
    parts = (law.weights.numpy(), law.means.numpy(), law.std.numpy())
    (drawn, _), (stderr, _) = expectations.mixture_moments(*parts, np.array([0.5]), 5000)
    assert stderr > 0
    assert abs(drawn - near) < 4 * stderr


def test_the_checkerboard_agrees_with_its_quadrature_of_posteriors():
    law = Checkerboard(4.0)
    levels = np.array([-8.0, -5.0, -2.0])  # where twelve nodes to a panel are enough
    drawn = expectations.expectation(law, expectations.both_moments, levels, DRAWS)[0]
    np.testing.assert_allclose(exact(law, levels), drawn, rtol=1e-11)


def test_a_mixture_of_ones_own_is_computed_once(monkeypatch):
    calls = []
    plain = separable.mixture_moments

    def counted(*arguments):
        calls.append(1)
        return plain(*arguments)

    monkeypatch.setattr(separable, "mixture_moments", counted)
    means = [[0.0, 0.1234], [1.0, 0.0]]
    first = mixture(means, 0.5).moments([0.0, 1.0])
    expected = first.copy()
    first[:] = 0  # the caller's own copy
    again = mixture(means, 0.5).moments([0.0, 1.0])
    np.testing.assert_array_equal(again, expected)
    np.testing.assert_array_equal(mixture(means, 0.5).mmse([0.0, 1.0]), expected[0])
    assert len(calls) == 1
    mixture(means, 0.5).mmse([0.0, 1.5])
    mixture(means, 0.50001).mmse([0.0, 1.0])
    assert len(calls) == 3


def test_the_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(expectations, "REMEMBERED", 2)
    calls = []

    @expectations.remembered
    def square(x):
        calls.append(float(x[0]))
        return x**2

    for value in (1.0, 2.0, 1.0, 3.0, 1.0, 2.0):
        assert square(np.array([value])) == value**2
    assert calls == [1.0, 2.0, 3.0, 2.0]  # 2 was used longest ago when 3 came


def test_a_circle_of_any_radius_has_a_table():
    levels = np.array([-2.0, 3.0])
    result = expectations.moments(Circle(0.7), levels, DRAWS)[0]
    np.testing.assert_allclose(result, exact(Circle(0.7), levels), rtol=1e-9)


def test_a_mixture_in_three_dimensions_is_drawn():
    assert np.isnan(
        separable.mixture_moments(np.ones(1), np.zeros((1, 3)), np.ones(1), LEVELS)
    ).all()
    _, error = mixture(np.eye(3), 0.5).mmse([0.0], stderr=True)
    assert error > 0


def moments_of_two_gaussians(std, logsnr):
    """Both moments of the mixture of N(±1, std²) from their integrals over z, by mpmath.

    With v = alpha² std² + sigma², T = tanh(alpha z/v) and c = alpha sigma/v, the residual has the
    mean c (±1 − T) with probability (1 ± T)/2 and the variance φ = alpha² std²/v about it.
    """
    with mp.workdps(25):
        level, std = mp.mpf(logsnr), mp.mpf(std)
        alpha, sigma = 1 / mp.sqrt(1 + mp.exp(-level)), 1 / mp.sqrt(1 + mp.exp(level))
        v = alpha**2 * std**2 + sigma**2
        within = alpha**2 * std**2 / v
        square = (alpha * sigma / v) ** 2

        def integrand(z):
            tanh = mp.tanh(alpha * z / v)
            density = mp.npdf(z, alpha, mp.sqrt(v))
            return mp.matrix([1 - tanh**2, (1 - tanh**2) * (1 + 3 * tanh**2)]) * density

        unit = v / alpha  # the width of T
        breaks = sorted({*(k * unit for k in range(-30, 31, 5)), alpha, *(
            alpha + k * mp.sqrt(v) for k in range(-12, 13, 4))})  # fmt: skip
        second, fourth = (mp.quad(lambda z, i=i: integrand(z)[i], breaks) for i in (0, 1))
        mmse = within + square * second
        return np.array(
            [mmse, square**2 * fourth + 6 * within * square * second + 3 * within**2], float
        )


@pytest.mark.parametrize(
    ("std", "logsnr"),
    [(0.001, 2.7), (0.001, 4.0), (1e-6, 4.0), (1e-6, 5.0), (0.3, -6.0), (0.3, 4.0), (3.0, 9.0)],
)
def test_moments_of_narrow_and_wide_components_are_right(std, logsnr):
    result = dv.mixture([[-1.0], [1.0]], std).moments(logsnr)
    np.testing.assert_allclose(result, moments_of_two_gaussians(std, logsnr), rtol=1e-10)


def test_moments_of_narrow_components_have_the_known_values():
    result = dv.mixture([[-1.0], [1.0]], 0.001).moments(2.7)
    np.testing.assert_allclose(result, [0.00265663492, 0.0948133879], rtol=2e-9)


def test_narrow_components_in_the_plane_have_the_moments_of_the_line():
    line = dv.mixture([[-1.0], [1.0]], 0.01).moments([2.0, 3.5])
    plane = dv.mixture([[-0.6, -0.8], [0.6, 0.8]], 0.01).moments([2.0, 3.5])
    within = 1e-4 * np.exp([2.0, 3.5]) / (1 + 1e-4 * np.exp([2.0, 3.5]))
    second = line[0] + within  # a Gaussian across the line of the centres, apart from the rest
    fourth = line[1] + 2 * line[0] * within + 3 * within**2
    np.testing.assert_allclose(plane, [second, fourth], rtol=1e-9)
