"""Levels that could not be put in even order: named, never exact, and judged by their scatter."""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import special

from diffviz.probing.binning import pooled_errors
from diffviz.probing.draws import REPLICATES, KroneckerGrids
from diffviz.probing.evenness import LIMIT, Evenness, is_uneven, share_of_chance
from diffviz.probing.measure import probe
from diffviz.reports.measurement import Report

X = torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
STEPS = 1000
NOTE = "levels could not be put in even order"


def flow_matching(model, x, t):
    """Flow matching on the linear path."""
    noise = torch.randn_like(x)
    z = (1 - t)[:, None] * x + t[:, None] * noise
    return ((model(z, t) - (noise - x)) ** 2).mean()


def in_table(steps):
    return (torch.as_tensor(steps) + 0.5) / STEPS


def shuffled_by_random(n):
    steps = list(range(STEPS))
    random.shuffle(steps)
    return in_table(steps[:n])


def shuffled_by_numpy(n):
    steps = np.arange(STEPS)
    np.random.shuffle(steps)  # noqa: NPY002
    return in_table(steps[:n])


def order_of_uniforms(n):
    return in_table(torch.rand(STEPS).argsort()[:n])


def list_of_random(n):
    return torch.tensor([random.random() for _ in range(n)])


def rejected(n):
    t = torch.rand(4 * n)
    return t[t > 0.3][:n]


def rejected_steps(n):
    return (torch.floor(100 * rejected(n)) + 0.5) / 100


def measured(times, draws=2000):
    return probe(lambda model, x: flow_matching(model, x, times(len(x))), X, draws=draws)


def off(one, low=-4.0, high=4.0):
    """Largest deviation from e^(-λ/2) in bins of half a nat."""
    edges = np.linspace(low, high, 1 + round(2 * (high - low)))
    exact = -np.diff(np.exp(-edges / 2)) / np.diff(edges)
    ratio = one.weighting(edges)[0] / exact
    return np.abs(ratio / np.median(ratio) - 1).max()


@pytest.mark.parametrize("times", [shuffled_by_random, shuffled_by_numpy, order_of_uniforms])
def test_the_first_of_a_shuffled_table_are_read_right(times):
    one = measured(times)
    assert off(one) < 0.01
    assert one.exact
    assert "equal to fm-ot" in str(Report(**vars(one)))


def test_a_list_of_random_numbers_is_read_right_and_not_called_sampled():
    """Its numbers are even over all calls, though not in each."""
    one = measured(list_of_random)
    assert off(one) < 0.01
    assert one.notes == ()
    assert one.exact and not one.sampled


def test_rejected_levels_are_named_and_not_told_apart_from_the_truth():
    """t > 0.3 cuts the law at λ = 2 log(7/3) = 1.69; below it w is that of flow matching."""
    one = measured(rejected)
    assert any(NOTE in note for note in one.notes)
    assert one.sampled
    assert not one.exact
    assert not one.stratified
    assert one.logsnr.max() == pytest.approx(2 * np.log(7 / 3), abs=0.05)
    report = str(Report(**vars(one)))
    assert "not told apart from fm-ot" in report
    assert "equal to" not in report


def test_sampled_levels_of_a_table_are_judged_by_their_scatter_too():
    one = measured(rejected_steps)
    assert one.discrete
    assert one.sampled
    assert "not told apart from fm-ot" in str(Report(**vars(one)))


def test_another_weighting_is_told_apart_though_levels_are_sampled():
    def loss(model, x):
        t = rejected(len(x))
        noise = torch.randn_like(x)
        z = (1 - t)[:, None] * x + t[:, None] * noise
        error = (model(z, t) - (noise - x)) ** 2
        return (torch.exp(-2 * (2 * t - 1) ** 2)[:, None] * error).mean()

    report = str(Report(**vars(probe(loss, X, draws=2000))))
    assert "not told apart" not in report
    assert "closest to" in report


def test_the_share_of_chance_is_0_for_even_levels_and_1_for_independent_ones():
    even = measured(torch.rand)
    assert share_of_chance(even, 100) < 0.02
    assert even.exact
    as_is = probe(
        lambda model, x: flow_matching(model, x, torch.rand(len(x))), X, draws=2000, mode="as-is"
    )
    assert share_of_chance(as_is, 100) == pytest.approx(1, abs=0.4)
    assert is_uneven(share_of_chance(as_is, 100), 2000, Evenness(loose=True))


def test_the_share_of_chance_does_not_count_a_sample_by_its_rows():
    """A sample of several parts has a row for each, whose levels are no draws of their own."""
    as_is = probe(
        lambda model, x: flow_matching(model, x, torch.rand(len(x))), X, draws=2000, mode="as-is"
    )
    rows = {name: np.tile(getattr(as_is, name), 3) for name in ("logsnr", "label", "order")}
    several = replace(as_is, **rows)
    assert share_of_chance(several, 100) == pytest.approx(share_of_chance(as_is, 100), rel=0.05)


@pytest.mark.parametrize("reduce", [torch.median, torch.max])
def test_the_loss_of_one_sample_of_a_batch_is_refused_as_that(reduce):
    def loss(model, x):
        t = torch.rand(len(x))
        noise = torch.randn_like(x)
        z = (1 - t)[:, None] * x + t[:, None] * noise
        return reduce(((model(z, t) - (noise - x)) ** 2).mean(1))

    with pytest.raises(ValueError, match="median"):
        probe(loss, X, draws=200)


# Levels of which some are left out ---------------------------------------------------------------


def antithetic(n):
    t = torch.rand((n + 1) // 2)
    return torch.cat([t, 1 - t])[:n]


def test_pairs_of_times_in_an_odd_batch_are_read_and_called_sampled():
    """Of 33 times, one half of a pair is left out in each call: at random it were 3.4 % off."""

    def loss(model, x):
        return flow_matching(model, x, antithetic(len(x)))

    odd = probe(loss, X, draws=20_000, batch=33)
    assert off(odd) < 0.02
    assert not odd.exact
    assert odd.sampled
    assert any(NOTE in note for note in odd.notes)
    even = probe(loss, X, draws=20_000, batch=100)
    assert even.exact
    assert even.notes == ()


def test_numbers_drawn_for_something_else_do_not_make_levels_sampled():
    def loss(model, x):
        torch.rand(3)
        return flow_matching(model, x, torch.rand(len(x)))

    assert probe(loss, X, draws=2000).exact


def test_levels_of_a_scrambled_sequence_are_sampled_and_those_of_the_entry():
    def loss(model, x):
        sequence = torch.quasirandom.SobolEngine(1, scramble=True)
        return flow_matching(model, x, sequence.draw(len(x))[:, 0])

    one = probe(loss, X, draws=4000)
    assert not one.exact
    assert any(NOTE in note for note in one.notes)
    assert "not told apart from fm-ot up to a constant, as all bins" in str(Report(**vars(one)))


def test_a_loop_that_rejects_levels_is_not_refused():
    def loss(model, x):
        t = torch.rand(len(x))
        while (t < 0.5).any():
            t = torch.where(t < 0.5, torch.rand(len(x)), t)
        return flow_matching(model, x, t)

    one = probe(loss, X, draws=4000)
    assert one.kind == "u"
    assert one.sampled
    assert any(NOTE in note for note in one.notes)


# Levels made of several numbers ------------------------------------------------------------------


def largest_of_two(u, v, _):
    return torch.maximum(u, v)


def middle_of_three(u, v, w):
    return torch.stack([u, v, w]).median(0).values


def chosen_by_the_third(u, v, w):
    return torch.where(w < 0.5, u, torch.maximum(u, v))


def chosen_by_the_first(w, u, v):
    return torch.where(w < 0.5, torch.minimum(u, v), torch.maximum(u, v))


def mean_of_three(u, v, w):
    return (u + v + w) / 3


@pytest.mark.parametrize(
    "rule",
    [
        largest_of_two,
        middle_of_three,
        chosen_by_the_third,
        chosen_by_the_first,
        mean_of_three,
    ],
)
def test_levels_made_of_several_numbers_are_named_and_are_no_samples(rule):
    """All numbers are known and even each by itself, and less so jointly."""

    def loss(model, x):
        return flow_matching(model, x, rule(*(torch.rand(len(x)) for _ in range(3))))

    one = probe(loss, X, draws=20_000)
    assert any("a level is made of several random numbers" in note for note in one.notes)
    assert one.exact and one.stratified and not one.sampled


LAWS = {
    "largest of two": (lambda u, v, _: np.maximum(u, v), lambda t: t**2),
    "least of two": (lambda u, v, _: np.minimum(u, v), lambda t: 1 - (1 - t) ** 2),
    "product": (lambda u, v, _: u * v, lambda t: t * (1 - np.log(t))),
    "difference": (lambda u, v, _: np.abs(u - v), lambda t: 1 - (1 - t) ** 2),
    "turned round": (lambda u, v, _: (u + v) % 1, lambda t: t),
    "mean of two": (
        lambda u, v, _: (u + v) / 2,
        lambda t: np.where(t < 0.5, 2 * t**2, 1 - 2 * (1 - t) ** 2),
    ),
    "largest of three": (lambda u, v, w: np.maximum(np.maximum(u, v), w), lambda t: t**3),
    "least of three": (lambda u, v, w: np.minimum(np.minimum(u, v), w), lambda t: 1 - (1 - t) ** 3),
    "middle of three": (
        lambda u, v, w: np.median([u, v, w], axis=0),
        lambda t: 3 * t**2 - 2 * t**3,
    ),
    "chosen by the third": (
        lambda u, v, w: np.where(w < 0.5, u, np.maximum(u, v)),
        lambda t: (t + t**2) / 2,
    ),
    "chosen by the first": (
        lambda w, u, v: np.where(w < 0.5, np.minimum(u, v), np.maximum(u, v)),
        lambda t: (1 - (1 - t) ** 2 + t**2) / 2,
    ),
    "unevenly chosen": (
        lambda w, u, v: np.where(w < 0.3, u, np.sqrt(v)),
        lambda t: 0.3 * t + 0.7 * t**2,
    ),
}


def even_numbers(rows=200, calls=100):
    """Three numbers of each draw as the probe gives them, and the replicate of each."""
    place = np.arange(rows * calls)
    grids = KroneckerGrids()
    others = [grids.grid(axis, rows, calls) for axis in (1, 2)]
    return [(place + 0.5) / len(place), *others], place % REPLICATES


def test_the_error_of_levels_made_of_several_numbers_holds_in_95_of_100_bins():
    """Against closed forms, in 20 bins over 99.8 % of the draws of each law."""
    numbers, replicate = even_numbers()
    held = []
    for make, cdf in LAWS.values():
        logsnr = -2 * special.logit(make(*numbers))
        grid = np.linspace(-30, 30, 60_001)
        low, high = np.interp([0.001, 0.999], 1 - cdf(special.expit(-grid / 2)), grid)
        edges = np.linspace(low, high, 21)
        exact = -np.diff(cdf(special.expit(-edges / 2)))
        counts = np.array(
            [np.histogram(logsnr[replicate == one], edges)[0] for one in range(REPLICATES)]
        )
        shares = counts / (len(logsnr) / REPLICATES)
        mean = shares.mean(0)
        error = shares.std(0, ddof=1) / np.sqrt(REPLICATES)
        limit = LIMIT * pooled_errors(mean, error, counts.sum(0))
        held.append(np.abs(mean - exact) < limit)
    assert np.mean(held) >= 0.95


def test_the_tail_of_a_level_chosen_by_a_third_number_is_within_what_is_stated():
    """At λ = -9 the density of the times is (1 + 2 t)/2, and log-SNR is -2 logit(t)."""

    def loss(model, x):
        return flow_matching(model, x, chosen_by_the_third(*(torch.rand(len(x)) for _ in range(3))))

    one = probe(loss, X, draws=20_000)
    edges = np.linspace(-10, -8, 5)
    density, error = one.density(edges)
    t = special.expit(-edges / 2)
    exact = -np.diff((t + t**2) / 2) / np.diff(edges)
    assert (np.abs(density - exact) < LIMIT * error).all()
    (note,) = one.notes
    middle, tails = (float(word[1:]) for word in note.split() if word.startswith("±"))
    assert middle < 3 and middle < tails
    assert (np.abs(density / exact - 1) < tails / 100).all()


def test_errors_of_few_replicates_are_pooled_in_units_of_chance():
    mean, draws = np.array([1.0, 2.0, 4.0]), np.array([100, 400, 100])
    error = mean / np.sqrt(draws) * np.array([0.0, 1.0, 2.0])
    pooled = pooled_errors(mean, error, draws)
    np.testing.assert_allclose(pooled, mean / np.sqrt(draws) * np.sqrt(5 / 3))
    empty = pooled_errors(mean, error, np.array([100, 0, 100]))
    assert empty[1] == error[1]


def test_one_number_for_each_level_has_no_note():
    assert measured(torch.rand, draws=20_000).notes == ()


def test_a_short_scan_of_the_numbers_of_random_is_even_and_has_no_note():
    def loss(model, x):
        return flow_matching(model, x, torch.full((len(x),), random.random()))

    one = probe(loss, X, draws=150)
    assert one.stratified and one.exact and not one.sampled
    assert one.notes == ()
