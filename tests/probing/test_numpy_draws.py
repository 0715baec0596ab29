"""Draws of NumPy, SciPy and Python's random: quantiles, replay, and nothing left behind."""

import random

import numpy as np
import pytest
import torch
from scipy import stats

from diffviz.probing.counters import Counters
from diffviz.probing.draws import Axes, Batch, KroneckerGrids
from diffviz.probing.measure import probe
from diffviz.probing.numpy_draws import Interceptor, NumpyDraws, state_of_random
from diffviz.probing.quantiles import NUMPY_QUANTILES

N = 500
X = torch.zeros(N, 3, 4)

LAWS = {
    "random_sample": (lambda rng: rng.random_sample(N), stats.uniform()),
    "random": (lambda rng: rng.random(N), stats.uniform()),
    "uniform": (lambda rng: rng.uniform(2, 5, N), stats.uniform(2, 3)),
    "standard_normal": (lambda rng: rng.standard_normal(N), stats.norm()),
    "normal": (lambda rng: rng.normal(1, 2, N), stats.norm(1, 2)),
    "lognormal": (lambda rng: rng.lognormal(0.5, 0.7, N), stats.lognorm(0.7, 0, np.e**0.5)),
    "logistic": (lambda rng: rng.logistic(1, 2, N), stats.logistic(1, 2)),
    "laplace": (lambda rng: rng.laplace(1, 2, N), stats.laplace(1, 2)),
    "exponential": (lambda rng: rng.exponential(2, N), stats.expon(scale=2)),
    "beta": (lambda rng: rng.beta(2, 3, N), stats.beta(2, 3)),
    "gamma": (lambda rng: rng.gamma(2, 3, N), stats.gamma(2, scale=3)),
    "chisquare": (lambda rng: rng.chisquare(3, N), stats.chi2(3)),
    "standard_t": (lambda rng: rng.standard_t(4, N), stats.t(4)),
    "standard_cauchy": (lambda rng: rng.standard_cauchy(N), stats.cauchy()),
    "gumbel": (lambda rng: rng.gumbel(1, 2, N), stats.gumbel_r(1, 2)),
    "pareto": (lambda rng: rng.pareto(3, N), stats.lomax(3)),
    "power": (lambda rng: rng.power(3, N), stats.powerlaw(3)),
    "rayleigh": (lambda rng: rng.rayleigh(2, N), stats.rayleigh(scale=2)),
    "triangular": (lambda rng: rng.triangular(1, 2, 5, N), stats.triang(0.25, 1, 4)),
    "weibull": (lambda rng: rng.weibull(2, N), stats.weibull_min(2)),
}
TABLES = {
    "randint": lambda rng: rng.randint(5, 15, N),
    "integers": lambda rng: rng.integers(10, size=N) + 5,
}


def sources():
    """Both kinds of source of NumPy, as a loss gets them."""
    interceptor = Interceptor()
    batch = Batch(X, 0, 1, 7)
    interceptor.reset(NumpyDraws(batch, Axes(batch, KroneckerGrids())), 7)
    return interceptor


def drawn(function, name):
    interceptor = sources()
    with interceptor.installed():
        legacy = np.random.mtrand._rand
        generator = np.random.default_rng()
        return [function(rng) for rng in (legacy, generator) if hasattr(rng, name)]


@pytest.mark.parametrize("name", LAWS)
def test_times_are_the_quantiles_of_their_law(name):
    function, law = LAWS[name]
    even = (np.arange(N) + 0.5) / N
    values = drawn(function, name)
    assert values
    for value in values:
        np.testing.assert_allclose(np.sort(value), law.ppf(even), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", TABLES)
def test_each_level_is_drawn_equally_often(name):
    for value in drawn(TABLES[name], name):
        levels, times = np.unique(value, return_counts=True)
        assert levels.tolist() == list(range(5, 15))
        assert set(times) == {N // 10}
        assert value.dtype.kind == "i"


def test_every_function_with_quantiles_is_tested():
    assert set(LAWS) | set(TABLES) == set(NUMPY_QUANTILES)


def test_a_replay_gives_the_same_and_a_loss_that_draws_otherwise_is_refused():
    interceptor = sources()
    draws = interceptor.draws
    with interceptor.installed():
        first = np.random.rand(N)  # noqa: NPY002
        draws.rewind()
        np.testing.assert_array_equal(np.random.rand(N), first)  # noqa: NPY002
        draws.rewind()
        with pytest.raises(ValueError, match="draws numpy's random_sample once and standard_norm"):
            np.random.randn(N)  # noqa: NPY002


def test_sources_are_put_back():
    before = (np.random.rand, np.random.default_rng, np.random.mtrand._rand)
    with sources().installed():
        assert np.random.mtrand._rand is not before[2]
    assert (np.random.rand, np.random.default_rng, np.random.mtrand._rand) == before
    assert stats.norm._random_state is before[2]


def test_a_seeded_generator_is_the_users_own():
    with sources().installed():
        seeded = np.random.default_rng(3).random(4)
    np.testing.assert_array_equal(seeded, np.random.default_rng(3).random(4))


def test_the_numbers_of_random_are_even_over_the_calls():
    """The state of the Mersenne Twister is set so that its first numbers are those of a grid."""
    before = random.getstate()
    try:
        rows = []
        for number in range(50):
            random.setstate(state_of_random(number, 50, number, stratified=True))
            rows.append([random.random() for _ in range(8)])
    finally:
        random.setstate(before)
    even = (np.arange(50) + 0.5) / 50
    np.testing.assert_allclose(np.sort(rows, axis=0), np.tile(even[:, None], 8), atol=1e-7)
    assert np.abs(np.corrcoef(np.array(rows).T) - np.eye(8)).max() < 0.5


def test_lists_of_the_numbers_of_random_are_one_grid():
    """All numbers of 50 lists of 20 together are the middles of 1000 cells."""
    before = random.getstate()
    try:
        lists = []
        for number in range(50):
            random.setstate(state_of_random(number, 50, number, stratified=True, rows=20))
            lists.append([random.random() for _ in range(20)])
    finally:
        random.setstate(before)
    even = (np.arange(1000) + 0.5) / 1000
    np.testing.assert_allclose(np.sort(np.ravel(lists)), even, atol=1e-7)


def test_shuffles_start_with_even_levels_and_keep_all_numbers():
    def by_legacy(pool):
        np.random.shuffle(pool)  # noqa: NPY002

    def by_generator(pool):
        np.random.default_rng().shuffle(pool)

    def by_random(pool):
        random.shuffle(pool)

    for shuffle in (by_random, by_legacy, by_generator):
        with sources().installed():
            pool = np.arange(1000)
            shuffle(pool)
        assert np.sort(pool).tolist() == list(range(1000))
        np.testing.assert_array_equal(np.sort(pool[:N]) // 2, np.arange(N))


def test_counters_of_objects_closures_and_buffers_are_put_back():
    class Holder:
        count = 0

    holder, inside = Holder(), 0
    holder.count = 3
    module = torch.nn.BatchNorm1d(2)

    def loss():
        nonlocal inside
        inside += 1
        holder.count += 1
        module.num_batches_tracked += 1
        return inside

    counters = Counters(loss)
    before = counters.take()
    assert loss() == 1
    assert (holder.count, int(module.num_batches_tracked)) == (4, 1)
    counters.put_back(before)
    assert (holder.count, int(module.num_batches_tracked)) == (3, 0)
    assert loss() == 1


@pytest.mark.parametrize(
    "noise_of",
    [
        lambda shape: np.random.randn(*shape),  # noqa: NPY002
        lambda shape: np.random.normal(size=shape),  # noqa: NPY002
        lambda shape: np.random.default_rng().standard_normal(shape),
        lambda shape: stats.norm.rvs(size=shape),
    ],
)
def test_noise_of_numpy_is_switched_off_as_that_of_torch(noise_of):
    x = torch.randn(32, 4, generator=torch.Generator().manual_seed(0))

    def loss(model, x):
        t = torch.rand(len(x), 1)
        noise = torch.from_numpy(noise_of(tuple(x.shape))).float()
        return ((model((1 - t) * x + t * noise, t) - (noise - x)) ** 2).mean()

    measured = probe(loss, x, draws=500)
    assert (measured.kind, measured.notes) == ("u", ())
    np.testing.assert_allclose(measured.alpha + measured.sigma, 1, atol=1e-5)
