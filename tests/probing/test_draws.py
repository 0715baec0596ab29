"""Random draws of a loss: their roles, their quantiles, their replay."""

import copy
import itertools
import pickle

import numpy as np
import pytest
import torch
from scipy import stats

from diffviz.probing.draws import (
    KRONECKER_STEPS,
    NORMAL,
    WITHOUT_QUANTILES,
    Axes,
    Batch,
    Draws,
    KroneckerGrids,
    RandomCall,
    Role,
    classify,
)
from diffviz.probing.quantiles import QUANTILES

N = 500
X = torch.zeros(N, 3, 4)


def recording(*, stratified=True, x=X, number=0, total=1, seed=0):
    grids = KroneckerGrids() if stratified else None
    return Draws(Batch(x, number, total, seed), grids, {})


def drawn(function, **settings):
    """What a function draws while its draws are recorded."""
    with recording(**settings):
        return function()


ROLES = {
    "noise of the size of the data": (lambda: torch.randn_like(X), Role.NOISE),
    "noise in place": (lambda: torch.empty_like(X).normal_(), Role.NOISE),
    "noise that components share": (lambda: torch.randn(N, 3, 1), Role.NOISE),
    "noise for each channel": (lambda: torch.randn(N, 3), Role.NOISE),
    "fewer numbers than samples": (lambda: torch.randn(1, 3, 4), Role.TIME),
    "uniform numbers of the size of the data": (lambda: torch.rand_like(X), Role.OTHER),
    "noise of the same size in another order": (lambda: torch.randn(12 * N), Role.OTHER),
    "a time": (lambda: torch.rand(N), Role.TIME),
    "a normal time": (lambda: torch.randn(N), Role.TIME),
    "a time with dimensions to come": (lambda: torch.rand(N, 1, 1), Role.TIME),
    "three times": (lambda: torch.rand(N, 3), Role.TIME),
    "five times": (lambda: torch.rand(N, 5), Role.OTHER),
    "one time for all": (lambda: torch.rand(()), Role.TIME),
    "nothing": (lambda: torch.rand(0), Role.OTHER),
    "an order": (lambda: torch.randperm(N), Role.OTHER),
    "a step": (lambda: torch.randint(0, 10, (N,)), Role.TIME),
    "integers of the full range": (lambda: torch.empty(N).random_(), Role.OTHER),
    "integers below a bound": (lambda: torch.empty(N).random_(7), Role.TIME),
    "categories": (lambda: torch.multinomial(torch.ones(5), N, replacement=True), Role.TIME),
    "categories by position": (lambda: torch.multinomial(torch.ones(5), N, True), Role.TIME),
    "categories that are used up": (lambda: torch.multinomial(torch.ones(N), N), Role.OTHER),
    "shares": (lambda: torch.distributions.Beta(2.0, 1.0).sample((N,)), Role.TIME),
    "shares of three": (
        lambda: torch.distributions.Dirichlet(torch.ones(3)).sample((N,)),
        Role.OTHER,
    ),
    "a gamma variable": (lambda: torch.distributions.Gamma(2.0, 1.0).sample((N,)), Role.OTHER),
}


@pytest.mark.parametrize("name", ROLES)
def test_a_draw_has_the_role_of_its_size_and_law(name):
    function, role = ROLES[name]
    with (draws := recording()):
        function()
    assert [draw.role for draw in draws.recorded] == [role]


def test_classify_needs_the_call_the_draw_and_the_data_alone():
    call = RandomCall("randn", ((4, 2),), {})
    assert classify(call, torch.zeros(4, 2), torch.zeros(4, 2)) is Role.NOISE
    assert classify(call, torch.zeros(4), torch.zeros(4, 2)) is Role.TIME


LAWS = {
    "rand": (lambda: torch.rand(N), stats.uniform()),
    "rand_like": (lambda: torch.rand_like(torch.zeros(N)), stats.uniform()),
    "randn": (lambda: torch.randn(N), stats.norm()),
    "randn_like": (lambda: torch.randn_like(torch.zeros(N)), stats.norm()),
    "normal": (lambda: torch.normal(2.0, 3.0, (N,)), stats.norm(2, 3)),
    "normal of tensors": (
        lambda: torch.normal(torch.full((N,), 2.0), torch.full((N,), 3.0)),
        stats.norm(2, 3),
    ),
    "normal_": (lambda: torch.empty(N).normal_(1, 2), stats.norm(1, 2)),
    "normal_ by keyword": (lambda: torch.empty(N).normal_(mean=1, std=2), stats.norm(1, 2)),
    "log_normal_": (lambda: torch.empty(N).log_normal_(0.5, 0.7), stats.lognorm(0.7, 0, np.e**0.5)),
    "uniform_": (lambda: torch.empty(N).uniform_(2, 5), stats.uniform(2, 3)),
    "uniform_ by keyword": (
        lambda: torch.empty(N).uniform_(**{"from": 2.0, "to": 5.0}),
        stats.uniform(2, 3),
    ),
    "exponential_": (lambda: torch.empty(N).exponential_(2.0), stats.expon(scale=0.5)),
    "cauchy_": (lambda: torch.empty(N).cauchy_(1.0, 2.0), stats.cauchy(1, 2)),
    "beta": (
        lambda: torch.distributions.Beta(2.0, 3.0).sample((N,)),
        stats.beta(2, 3),
    ),
}
TABLES = {
    "randint": (lambda: torch.randint(10, (N,)), np.arange(10)),
    "randint of two bounds": (lambda: torch.randint(5, 15, (N,)), np.arange(5, 15)),
    "randint by keyword": (lambda: torch.randint(low=5, high=15, size=(N,)), np.arange(5, 15)),
    "randint_like": (lambda: torch.randint_like(torch.zeros(N), 10), np.arange(10)),
    "random_": (lambda: torch.empty(N).random_(10), np.arange(10)),
    "random_ of two bounds": (lambda: torch.empty(N).random_(5, 15), np.arange(5, 15)),
    "multinomial": (
        lambda: torch.multinomial(torch.ones(10), N, replacement=True),
        np.arange(10),
    ),
    "multinomial by keyword": (
        lambda: torch.multinomial(input=torch.ones(10), num_samples=N, replacement=True),
        np.arange(10),
    ),
    "bernoulli": (lambda: torch.bernoulli(torch.full((N,), 0.5)), np.arange(2)),
    "bernoulli by keyword": (lambda: torch.bernoulli(input=torch.full((N,), 0.5)), np.arange(2)),
    "bernoulli_": (lambda: torch.empty(N).bernoulli_(0.5), np.arange(2)),
}


@pytest.mark.parametrize("name", LAWS)
def test_times_are_the_quantiles_of_their_law(name):
    function, law = LAWS[name]
    even = (np.arange(N) + 0.5) / N
    np.testing.assert_allclose(
        np.sort(drawn(function).numpy()), law.ppf(even), rtol=2e-4, atol=2e-4
    )


@pytest.mark.parametrize("name", TABLES)
def test_each_level_of_a_table_is_drawn_equally_often(name):
    function, levels = TABLES[name]
    values, times = np.unique(drawn(function).numpy(), return_counts=True)
    assert values.tolist() == levels.tolist()
    assert set(times) == {N // len(levels)}


def test_every_function_with_quantiles_is_tested():
    tested = {name.split(" ")[0] for name in (*LAWS, *TABLES)} - {"beta"} | {"_sample_dirichlet"}
    assert tested == set(QUANTILES)
    assert not WITHOUT_QUANTILES & set(QUANTILES)
    assert set(QUANTILES) >= NORMAL


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_uniform_times_stay_below_one_in_few_bits(dtype):
    times = drawn(lambda: torch.rand(N, dtype=dtype), x=torch.zeros(N, 2, dtype=dtype))
    assert times.dtype == dtype
    assert times.max() < 1


def test_two_times_are_even_jointly():
    """Of N points each quarter of the unit square has a quarter, to a few."""
    with recording():
        first = torch.rand(N).numpy()
        second = torch.rand(N).numpy()
    quarter, *_ = np.histogram2d(first, second, bins=2, range=[[0, 1], [0, 1]])
    assert np.abs(quarter - N / 4).max() <= 5


def test_any_two_axes_of_times_are_even_jointly():
    """At random, a cell would have 250 of the 4000 draws, give or take 15."""
    grids = KroneckerGrids()
    axes = [grids.grid(axis, 40, 100) for axis in range(len(KRONECKER_STEPS))]
    for one, other in itertools.combinations(axes, 2):
        cells, *_ = np.histogram2d(one, other, bins=4, range=[[0, 1], [0, 1]])
        assert np.abs(cells - 250).max() < 60


def test_uniform_numbers_that_are_drawn_for_their_order_are_even():
    numbers = drawn(lambda: torch.rand(10 * N, dtype=torch.float64)).numpy()
    even = (np.arange(10 * N) + 0.5) / (10 * N)
    np.testing.assert_allclose(np.sort(numbers), even, atol=1e-12)
    strata = np.argsort(numbers)[:N] // 10  # the first of the order are levels
    np.testing.assert_array_equal(np.sort(strata), np.arange(N))


def test_all_batches_together_have_every_quantile_once():
    grids = KroneckerGrids()
    times = []
    for number in range(4):
        with Draws(Batch(X, number, 4, seed=number), grids, {}):
            times.append(torch.rand(N, dtype=torch.float64).numpy())
    even = (np.arange(4 * N) + 0.5) / (4 * N)
    np.testing.assert_allclose(np.sort(np.concatenate(times)), even, atol=1e-12)


def test_a_replay_gives_the_same_numbers_and_noise_can_be_off():
    def loss():
        return torch.rand(N), torch.randn_like(X), torch.randperm(N)

    draws = recording()
    with draws:
        time, noise, order = loss()
        draws.rewind(noise=False)
        same_time, no_noise, same_order = loss()
        draws.rewind(noise=True)
        _, same_noise, _ = loss()
    assert torch.equal(time, same_time)
    assert torch.equal(order, same_order)
    assert torch.equal(noise, same_noise)
    assert not no_noise.any()
    assert len(draws.noises) == 1


def test_what_a_loss_changes_in_place_is_not_what_is_replayed():
    draws = recording()
    with draws:
        first = torch.rand(N)
        kept = first.clone()
        first.zero_()
        draws.rewind(noise=True)
        assert torch.equal(torch.rand(N), kept)


def test_a_loss_that_draws_otherwise_the_second_time_is_refused():
    draws = recording()
    with draws:
        torch.rand(N)
        draws.rewind(noise=True)
        with pytest.raises(ValueError, match="draws rand once and randn the next time"):
            torch.randn(N)


def test_without_stratification_a_time_is_as_it_was_drawn():
    times = drawn(lambda: torch.rand(N), stratified=False)
    expected = torch.rand(N, generator=torch.Generator().manual_seed(0))
    assert torch.equal(times, expected)


def test_recording_leaves_the_generators_of_torch_alone():
    own = torch.Generator().manual_seed(3)
    before = own.get_state()
    global_before = torch.get_rng_state()
    states = {}
    with Draws(Batch(X, 0, 1, 0), None, states):
        torch.rand(N, generator=own)
        torch.rand(N)
    assert torch.equal(torch.get_rng_state(), global_before)
    assert torch.equal(states[own], before)


def test_after_ten_time_axes_further_draws_are_new_ones():
    """A loop that rejects draws would never end if it were given the same quantiles for ever."""
    with recording() as draws:
        values = [torch.rand(N) for _ in range(12)]
    even = torch.arange(N) / N + 0.5 / N
    is_even = [bool((value.sort()[0] - even).abs().max() < 1e-6) for value in values]
    assert is_even == [True] * 10 + [False] * 2
    assert len(draws.recorded) == 12


def test_quantile_functions_pickle():
    for name, quantile in QUANTILES.items():
        assert pickle.loads(pickle.dumps(quantile)) is quantile, name
        assert copy.deepcopy(quantile) is quantile


@pytest.mark.parametrize("rows", [7, 40])
def test_each_row_alone_is_even_over_all_batches_on_the_first_axis(rows):
    """Of rows in random order, the worst of so many deviates from the uniform law by 0.2 or so."""
    grids, total = KroneckerGrids(), 60
    x = torch.zeros(rows, 3)
    batches = [Axes(Batch(x, number, total, number), grids) for number in range(total)]
    u = np.array([axes.probabilities((rows,), rows) for axes in batches])
    even = (np.arange(rows * total) + 0.5) / (rows * total)
    np.testing.assert_allclose(np.sort(u.ravel()), even)
    strata = np.sort((u * rows).astype(int), axis=1)
    assert (strata == np.arange(rows)).all()
    middles = (np.arange(total) + 0.5)[:, None] / total
    assert np.abs(np.sort(u, axis=0) - middles).max() < 0.05


def test_bits_that_scramble_a_sequence_are_no_times():
    bits = torch.randint(2, (1, 30))
    call = RandomCall("randint", (2, (1, 30)), {})
    assert classify(call, bits, torch.zeros(200, 2)) is Role.OTHER
    assert classify(call, bits, torch.zeros(30, 2)) is Role.TIME
