"""A measurement as an object: levels, bins and words from draws made by hand; bad input; travel."""

import copy
import dataclasses
import pickle
import re

import numpy as np
import pytest
import torch
from scipy import stats

from diffviz import protocols
from diffviz.checks import offers
from diffviz.probing.binning import (
    Levels,
    bin_averages,
    cells,
    describe_family,
    nearest_family,
    smoothed,
    smoothing_reach,
)
from diffviz.probing.measure import probe
from diffviz.probing.measured import Measured

N = 4000


def measured(logsnr, multiplier=None, label=None, **changes):
    """A measurement of eps prediction on the variance-preserving path at the given log-SNR."""
    logsnr = np.asarray(logsnr, float)
    n = len(logsnr)
    settings = {
        "logsnr": logsnr,
        "alpha": 1 / np.sqrt(1 + np.exp(-logsnr)),
        "sigma": 1 / np.sqrt(1 + np.exp(logsnr)),
        "a": np.zeros(n),
        "b": np.ones(n),
        "multiplier": np.ones(n) if multiplier is None else multiplier,
        "label": np.arange(n) if label is None else label,
        "order": np.arange(n),
        "kind": "eps",
        "frame": "variance-preserving",
        "scale": 1.0,
        "stratified": True,
        "residuals": {},
        "notes": ("a note",),
    }
    return Measured(**(settings | changes))


def quantiles(law, n=N):
    return law.ppf((np.arange(n) + 0.5) / n)


@pytest.fixture(scope="module")
def logistic():
    return measured(quantiles(stats.logistic(scale=2)))


@pytest.fixture(scope="module")
def table():
    """Three levels, of probabilities 1/4, 1/4 and 1/2."""
    label = np.repeat([0, 1, 2, 2], N // 4)
    return measured(np.array([-2.0, 0.0, 4.0])[label], label=label)


def test_the_density_of_quantiles_is_that_of_their_law(logistic):
    edges = logistic.edges()
    density, error = logistic.density(edges)
    exact = np.diff(stats.logistic(scale=2).cdf(edges)) / np.diff(edges)
    np.testing.assert_allclose(density, exact, rtol=2e-3)
    assert (error < 0.02 * density.max()).all()


def test_the_weighting_of_eps_prediction_is_twice_the_density(logistic):
    edges = logistic.edges()
    np.testing.assert_allclose(logistic.weighting(edges)[0], 2 * logistic.density(edges)[0])


def test_levels_are_distinct_and_increase(table):
    logsnr, mass, factor = table.levels()
    np.testing.assert_allclose(logsnr, [-2, 0, 4])
    np.testing.assert_allclose(mass, [0.25, 0.25, 0.5])
    np.testing.assert_allclose(factor, 1)
    assert table.discrete


def test_levels_of_some_draws_can_be_asked_for(table):
    np.testing.assert_allclose(table.levels(slice(N // 2, None))[0], [4])
    np.testing.assert_allclose(table.levels([0, N - 1])[1], [0.5, 0.5])
    np.testing.assert_allclose(table.levels(table.logsnr < 1)[0], [-2, 0])
    np.testing.assert_allclose(table.levels(0)[0], [-2])


def test_bins_of_a_table_hold_whole_levels(table):
    ends = cells(np.array([-2.0, 0.0, 4.0]))
    assert set(table.edges(160, 1.0)) <= set(ends)
    density, _ = table.density(ends)
    np.testing.assert_allclose(density * np.diff(ends), [0.25, 0.25, 0.5])


def test_the_cell_of_one_level_is_that_level():
    np.testing.assert_array_equal(cells(np.array([2.0])), [2, 2])
    np.testing.assert_array_equal(cells(np.array([0.0, 2.0])), [-1, 1, 3])


@pytest.mark.parametrize("edges", [[-1, 0, 1], (-1.0, 0.0, 1.0), np.array([-1, 0, 1])])
def test_edges_come_as_lists_tuples_or_whole_numbers(edges, logistic):
    reference = logistic.weighting(np.array([-1.0, 0.0, 1.0]))
    np.testing.assert_array_equal(logistic.weighting(edges), reference)


def test_edges_may_be_read_only_or_run_backwards_in_memory(logistic):
    reference = logistic.density([-1.0, 0.0, 1.0])
    backwards = np.array([1.0, 0.0, -1.0])[::-1]
    backwards.flags.writeable = False
    np.testing.assert_array_equal(logistic.density(backwards), reference)


BAD_EDGES = {
    "falling": ([1, 0], ValueError),
    "NaN": ([0, np.nan], ValueError),
    "infinite": ([0, np.inf], ValueError),
    "one": ([0], ValueError),
    "a number": (3.0, ValueError),
    "two-dimensional": ([[0, 1], [2, 3]], ValueError),
    "complex": ([0, 1j], TypeError),
    "text": (["0", "1"], TypeError),
    "masked": (np.ma.masked_array([0.0, 1.0], [False, True]), TypeError),
    "dates": (np.array(["2020", "2021"], "datetime64[Y]"), TypeError),
    "nothing": (None, TypeError),
}


@pytest.mark.parametrize("method", ["density", "weighting"])
@pytest.mark.parametrize("name", BAD_EDGES)
def test_edges_that_are_no_grid_are_refused_by_name(name, method, logistic):
    edges, error = BAD_EDGES[name]
    with pytest.raises(error, match="edges"):
        getattr(logistic, method)(edges)


@pytest.mark.parametrize(
    ("settings", "error", "name"),
    [
        ({"bins": 0}, ValueError, "bins"),
        ({"bins": 2.5}, TypeError, "bins"),
        ({"bins": True}, TypeError, "bins"),
        ({"bins": "many"}, TypeError, "bins"),
        ({"mass": 0}, ValueError, "mass"),
        ({"mass": 1.5}, ValueError, "mass"),
        ({"mass": np.nan}, ValueError, "mass"),
        ({"mass": True}, TypeError, "mass"),
        ({"mass": "all"}, TypeError, "mass"),
    ],
)
def test_settings_of_bins_out_of_range_are_refused_by_name(settings, error, name, logistic):
    with pytest.raises(error, match=f"^{name} must"):
        logistic.edges(**settings)


def test_numbers_of_numpy_are_welcome_as_settings(logistic):
    edges = logistic.edges(np.int64(10), np.float32(0.5))
    assert len(edges) == 11


def test_levels_of_no_draw_are_refused(logistic):
    with pytest.raises(ValueError, match="at least one draw"):
        logistic.levels(slice(0, 0))


def test_one_level_has_no_density_and_says_where_it_is():
    one = measured(np.full(200, 1.5), label=np.zeros(200, int))
    with pytest.raises(ValueError, match=r"one noise level, λ = 1\.5"):
        one.edges()
    assert "1 level, 1.5 to 1.5" in one.summary()


def test_a_factor_that_could_not_be_read_leaves_the_density():
    blind = measured(quantiles(stats.norm()), multiplier=np.full(N, np.nan))
    density, _ = blind.density([-1, 0, 1])
    np.testing.assert_allclose(density, 0.3413, rtol=1e-3)
    with pytest.raises(ValueError, match="only the density: a note"):
        blind.weighting([-1, 0, 1])
    assert "weighting" not in blind.summary()


def test_a_standard_error_needs_two_groups_of_draws():
    """The ten groups are the places modulo ten; five draws of one group tell no error."""
    few = measured(np.arange(5.0), order=10 * np.arange(5))
    mean, error = few.density([0.0, 2.0, 4.0])
    assert np.isfinite(mean).all()
    assert np.isnan(error).all()


def test_the_summary_names_target_path_density_and_weighting(logistic):
    lines = str(logistic).split("\n")
    assert lines[:2] == ["target: eps", "path: variance-preserving"]
    assert lines[2].startswith("density over log-SNR: logistic(loc=0, scale=2)")
    assert "1 at λ = 0" in lines[3]
    assert lines[4:] == ["note: a note"]
    assert repr(logistic) == logistic.summary()


def test_the_summary_tells_weights_relative_to_the_nearest_point_inside():
    """All draws are within [9, 14]: no point of the summary is at 0, and the first is the unit."""
    summary = measured(quantiles(stats.loguniform(9, 14))).summary()
    assert "nan" not in summary
    assert "weighting on the eps error: 1 at λ = " in summary


def test_the_unit_of_the_summary_lies_within_the_mass_and_not_at_its_edge():
    """5 % of the draws lie below 2.71, the nearest to 0 of the inner ones; 0.71 is at the edge."""
    law = stats.norm(6, 2)
    summary = measured(quantiles(law)).summary()
    (line,) = [one for one in summary.splitlines() if one.startswith("weighting")]
    at = {
        float(place): float(weight) for weight, place in re.findall(r"(\S+) at λ = ([^,]+)", line)
    }
    unit = law.ppf(0.05)
    assert at.keys() == {round(float(unit) + step, 2) for step in (-2, 0, 2, 4, 6)}
    for place, weight in at.items():
        assert weight == pytest.approx(law.pdf(place) / law.pdf(unit), rel=0.02)


def test_the_summary_survives_a_factor_of_zero():
    assert "weighting" not in measured(np.linspace(-5, 5, N), multiplier=np.zeros(N)).summary()


@pytest.mark.parametrize(
    "law",
    [
        stats.logistic(1, 2),
        stats.hypsecant(0, 2),
        stats.norm(2.4, 2.4),
        stats.uniform(-5, 18),
        stats.laplace(0, 0.5),
        stats.cauchy(0, 1),
    ],
    ids=lambda law: law.dist.name,
)
def test_the_family_of_quantiles_is_recognised(law):
    levels = Levels(quantiles(law), np.full(N, 1 / N), np.ones(N))
    fit = nearest_family(levels)
    loc, scale = law.args
    assert fit.name == law.dist.name
    assert (fit.loc, fit.scale) == pytest.approx((loc, scale), rel=1e-3, abs=1e-3)
    assert fit.distance < 1e-3
    assert describe_family(levels).startswith(f"{law.dist.name}(")


def test_a_short_table_is_described_by_its_number_of_levels(table):
    assert describe_family(Levels(*table.levels())) == "3 levels"


def flow(model, x):
    t, noise = torch.rand(len(x), 1), torch.randn_like(x)
    return ((model((1 - t) * x + t * noise, t) - (noise - x)) ** 2).mean()


@pytest.fixture(scope="module")
def probed():
    return probe(flow, torch.randn(64, 8, generator=torch.Generator().manual_seed(0)), draws=500)


@pytest.mark.parametrize("travel", [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_a_measurement_travels(travel, probed):
    again = travel(probed)
    for field in dataclasses.fields(Measured):
        here, there = getattr(probed, field.name), getattr(again, field.name)
        assert type(here) is type(there)
        np.testing.assert_array_equal(here, there)
    np.testing.assert_array_equal(again.weighting([-1, 0, 1]), probed.weighting([-1, 0, 1]))
    assert str(again) == str(probed)


def test_a_measurement_holds_plain_numbers(probed):
    assert type(probed.scale) is float
    assert {type(value) for value in probed.residuals.values()} == {float}
    assert type(probed.discrete) is bool
    assert offers(probed, protocols.Measured)


@pytest.mark.parametrize("part", ["first", 1.5, None, {}, [0.5], np.array([True])])
def test_what_is_no_part_of_the_draws_is_refused_by_name(table, part):
    with pytest.raises(TypeError, match="part must be a slice, indices or a mask"):
        table.levels(part)


# A jump of the density ---------------------------------------------------------------------------


def levels_of_cosmos(n):
    """λ of 5 % of pure noise with uniform log sigma and of a normal law, by one number each."""
    u = (np.arange(n) + 0.5) / n
    high = np.log(200) + np.log(1e5 / 200) * (1 - u / 0.05)
    low = np.log(24) / 2 - stats.norm.ppf(np.clip((u - 0.05) / 0.95, 1e-12, 1))
    return np.sort(-2 * np.where(u < 0.05, high, low))


@pytest.mark.parametrize(("bins", "mass", "bound"), [(20, 0.98, 0.02), (40, 0.998, 0.07)])
def test_draws_are_counted_where_the_density_jumps(bins, mass, bound):
    """Up to 16 draws, and 5, are in the bins beside the jump at λ = −10.6.

    The derivative of the quantile function, which reaches over it, is 15 % and 115 % off there.
    """
    n = 20_000
    logsnr = levels_of_cosmos(n)
    low, high = np.quantile(logsnr, [(1 - mass) / 2, (1 + mass) / 2])
    edges = np.linspace(low, high, bins + 1)
    share_of_noise = np.clip((edges + 2 * np.log(1e5)) / (2 * np.log(1e5 / 200)), 0, 1)
    cdf = 0.05 * share_of_noise + 0.95 * stats.norm(-np.log(24), 2).cdf(edges)
    levels = Levels(logsnr, np.full(n, 1 / n), np.ones(n))
    density = bin_averages(levels, edges, weighted=False, discrete=False)
    np.testing.assert_allclose(density, np.diff(cdf) / np.diff(edges), rtol=bound)


def test_replicates_are_smoothed_over_the_stretch_that_all_draws_are():
    """Lines through 1 % of the draws would be wider in a replicate, and hide the scatter."""
    n = 4000
    rng = np.random.default_rng(0)
    logsnr = quantiles(stats.logistic(scale=2), n)
    errors, deviations = [], []
    for _ in range(12):
        factor = rng.gamma(2, 0.5, n)
        one = measured(logsnr, factor)
        edges = one.edges(20, 0.9)
        w, error = one.weighting(edges)
        exact = 2 * np.diff(stats.logistic(scale=2).cdf(edges)) / np.diff(edges)
        errors.append(error / w)
        deviations.append(w / exact - 1)
    said, true = (np.sqrt(np.mean(np.square(values))) for values in (errors, deviations))
    assert true / said == pytest.approx(1, abs=0.25)


def test_the_error_of_a_table_is_that_of_the_mean_of_its_replicates():
    """A replicate has one draw in ten, and is a measurement by itself."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 40, 4000)
    levels = np.linspace(-5, 5, 40)
    factor = rng.gamma(2, 0.5, 4000)
    whole = measured(levels[label], factor, label)
    edges = np.linspace(-5.2, 5.2, 9)
    replicates = [
        measured(levels[label[one::10]], factor[one::10], label[one::10]).weighting(edges)[0]
        for one in range(10)
    ]
    _, error = whole.weighting(edges)
    np.testing.assert_allclose(error, stats.sem(replicates), rtol=1e-9)


@pytest.mark.parametrize("sign", [1, -1])
def test_factors_that_scatter_are_smoothed_up_to_a_jump_and_not_across_it(sign):
    """Before it their mean is 1, and 5 after it; a line across it would be off by 2 next to it."""
    rng = np.random.default_rng(0)
    logsnr = np.linspace(-5, 5, 4000)
    mean = np.where(logsnr < 0, 1.0, 5.0) * sign
    found = smoothed(logsnr, mean * rng.uniform(0.5, 1.5, len(mean)))
    near = np.abs(logsnr) < 0.08
    np.testing.assert_allclose(found[near], mean[near], rtol=0.2)


@pytest.mark.parametrize("curve", [np.ones_like, lambda at: np.exp(-at / 2), np.tanh])
def test_values_that_do_not_scatter_are_left_as_they_are(curve):
    logsnr = np.random.default_rng(0).permutation(np.linspace(-8, 8, 2000))
    values = curve(logsnr)
    assert smoothing_reach(logsnr, values) == 0
    assert smoothed(logsnr, values) is values


@pytest.mark.parametrize("side", [-1, 1])
def test_a_draw_far_from_all_others_has_its_share_over_its_cell(side):
    """Its cell goes half way to the next, and there the density jumps, so that it is counted."""
    n = 400
    logsnr = np.sort(side * np.append(10.0, np.linspace(0, 1, n - 1)))
    levels = Levels(logsnr, np.full(n, 1 / n), np.ones(n))
    far = slice(0, 2) if side < 0 else slice(-2, None)
    edges = np.sort(side * np.array([8.0, 9.0]))
    found = bin_averages(levels, edges, weighted=False, discrete=False)
    np.testing.assert_allclose(found, 1 / n / np.diff(cells(logsnr)[far]), rtol=1e-12)
