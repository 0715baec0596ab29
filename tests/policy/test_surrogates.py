"""Surrogates against closed forms, the gain law and published formulas; bad input."""

import re
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import diffviz as dv
from diffviz.data import toys
from diffviz.policy import surrogates
from diffviz.theory import elbo_mixture


def gaussian(mean):
    wide = lambda value, z: value.expand(len(z)).reshape(-1, *[1] * (z.ndim - 1))
    return SimpleNamespace(
        denoise=lambda z, l: wide(l, z).sigmoid().sqrt() * z + wide(-l, z).sigmoid() * mean
    )


FM = surrogates.MODES["u"]
X = torch.randn(400, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
MEAN = torch.tensor([0.4, -0.2], dtype=torch.float64)


def surrogate(objective, old, new, x=X, m=64, seed=0):
    at = surrogates.draws(objective, x, m, np.random.default_rng(seed))
    return surrogates.losses(old, x, at) - surrogates.losses(new, x, at)


@pytest.mark.parametrize("name", ["u", "eps", "u_but_supervise_as_eps"])
def test_the_modes_of_fpo_imply_their_weightings(name):
    level = np.linspace(-9, 9, 37)
    stated = np.exp(-level / 2) if name == "u" else np.cosh(level / 4) ** -2 / 4
    assert np.allclose(surrogates.MODES[name].weighting(level), stated, rtol=1e-12)
    assert elbo_mixture.gain(surrogates.MODES[name]) == pytest.approx(
        np.pi / 2 if name == "u" else 1 - np.pi / 4, abs=1e-9
    )
    assert dv.verdict(surrogates.MODES[name]).monotone == (name == "u")


@pytest.mark.parametrize("name", ["fm-ot", "iddpm-cosine", "sd3", "edm"])
def test_the_surrogate_of_a_moved_gaussian_is_its_gain_times_the_log_ratio(name):
    """At every x, within four standard errors of the draws for 99 of 100."""
    objective = dv.objective(name)
    found = surrogate(objective, gaussian(0 * MEAN), gaussian(MEAN), m=500)
    exact = elbo_mixture.gain(objective) * (X @ MEAN - MEAN.square().sum() / 2)
    off = (found.mean(0) - exact) / (found.std(0) / 500**0.5)
    assert (off.abs() < 4).double().mean() > 0.98 and off.mean().abs() < 0.3


def test_any_objective_and_any_shape_will_do_and_shapes_are_as_documented():
    toy = toys.mixture(np.zeros((1, 2, 3)), 1.0)
    x = toy.sample(5, torch.Generator().manual_seed(0))
    at = surrogates.draws(dv.objective("edm"), x, 4, np.random.default_rng(0))
    assert at[0].shape == at[1].shape == (4, 5) and at[2].shape == (4, 5, 2, 3)
    assert surrogates.losses(toy, x, at).shape == (4, 5)


def test_the_mean_loss_is_the_weighted_loss_of_the_elbo():
    toy, x = toys.toy("gmm2d"), X[:1].expand(4000, 2)
    found = surrogates.losses(toy, x, surrogates.draws(FM, x, 4, np.random.default_rng(1))).mean(0)
    exact = dv.elbo(toy, X[:1], low=-20, high=20, levels=20, exact=True).weighted(FM)
    assert abs(found.mean() - exact) < 4 * found.std() / 4000**0.5


def test_fpo_averages_draws_before_the_exponential_and_clips():
    old, new = (
        torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.2, 0.0]]),
        torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 0.4]]),
    )
    advantage = torch.tensor([1.0, -1.0, 2.0])
    ratio = torch.tensor([0.5, 0.1, -0.2]).exp()
    terms = torch.tensor([1.05, -ratio[1], 2 * ratio[2]])  # clipped only where that lowers the gain
    assert surrogates.fpo(old, new, advantage).item() == pytest.approx(
        -terms.mean().item(), rel=1e-6
    )


def test_averaging_after_the_exponential_would_count_noise_as_ratio():
    """Jensen: the mean of the ratio stays near its true value only if draws are averaged first."""
    found = surrogate(dv.objective("iddpm-cosine"), gaussian(0 * MEAN), gaussian(2 * MEAN), m=32)
    exact = torch.exp(
        elbo_mixture.gain(dv.objective("iddpm-cosine")) * (2 * X @ MEAN - 2 * MEAN.square().sum())
    )
    before, after = found.mean(0).exp().mean(), found.exp().mean()
    assert abs(before - exact.mean()) < 0.05 < after - exact.mean()


def test_ddpo_is_ppo_on_every_step_of_the_chain():
    old, new = torch.zeros(2, 2), torch.tensor([[0.02, -0.02], [0.3, -0.3]])
    found = surrogates.ddpo(old, new, torch.tensor([1.0, -1.0]), clip=0.1)
    terms = [np.exp(0.02), -np.exp(-0.02), 1.1, -0.9]
    assert found.item() == pytest.approx(-np.mean(terms), rel=1e-6)


def test_awr_weighs_losses_by_the_exponential_of_the_advantage():
    loss, advantage = torch.tensor([[1.0, 2.0], [3.0, 2.0]]), torch.tensor([0.5, 10.0])
    assert surrogates.awr(loss, advantage, temperature=0.5).item() == pytest.approx(
        (2 * np.e + 2 * 20) / 2, rel=1e-6
    )


def test_dpo_is_minus_log_sigmoid_of_the_difference_of_log_ratios():
    losses = [torch.tensor([[value], [value + 1]]) for value in (0.1, 0.7, 0.5, 0.4)]
    expected = np.log1p(np.exp(-2 * ((0.5 - 0.1) - (0.4 - 0.7))))
    assert surrogates.dpo(*losses, beta=2.0).item() == pytest.approx(expected, rel=1e-6)


def test_a_step_of_the_chain_is_a_gaussian_and_the_chain_samples_the_data():
    toy, generator = toys.toy("gmm1"), torch.Generator().manual_seed(0)
    z = torch.randn(4000, 1, generator=generator, dtype=torch.float64)
    grid = np.linspace(-9, 9, 120)
    for before, after in pairwise(grid):
        start, (z, log_prob) = z, surrogates.chain(toy, z, before, after, generator=generator)
        again = surrogates.chain(toy, start, before, after, follow=z)
        assert (
            torch.equal(again[0], z)
            and torch.equal(again[1], log_prob)
            and log_prob.shape == (4000,)
        )
    assert z.mean() == pytest.approx(-0.1, abs=4 * 0.95 / 4000**0.5 + 0.01)
    assert (z < -0.5).double().mean().item() == pytest.approx(0.3, abs=0.03)
    line = torch.linspace(-6, 6, 4001, dtype=torch.float64)[:, None]
    density = surrogates.chain(toy, torch.full_like(line, 0.3), -1.0, 1.0, follow=line)[1].exp()
    assert torch.trapezoid(density, line[:, 0]).item() == pytest.approx(1, abs=1e-9)


ONES = torch.ones(3, 4)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda: surrogates.dpo(ONES, ONES[:, :3], ONES, ONES[:, :3]),
            r"every winner has its loser.*winner \(3, 4\), loser \(3, 3\)",
        ),
        (lambda: surrogates.fpo(ONES, ONES, np.full(4, 0.3)), "all advantages are equal"),
        (lambda: surrogates.awr(ONES, np.zeros(4)), "all advantages are equal"),
        (lambda: surrogates.ddpo(ONES, ONES, np.ones(4)), "all advantages are equal"),
        (
            lambda: surrogates.fpo(ONES, ONES, np.arange(3)),
            r"one advantage for each of the 4 actions; got shape \(3,\)",
        ),
        (
            lambda: surrogates.fpo(ONES, ONES, [0, 1, np.nan, 2]),
            "advantage must be finite, got nan",
        ),
        (
            lambda: surrogate(FM, gaussian(MEAN), gaussian(MEAN * float("nan"))),
            "not finite at logsnr",
        ),
        (
            lambda: surrogates.fpo(ONES[:2], ONES, np.arange(4)),
            r"of one shape.*old \(2, 4\), new \(3, 4\)",
        ),
        (lambda: surrogates.ddpo(ONES[:, :1], ONES, np.arange(4)), r"old \(3, 1\), new \(3, 4\)"),
        (lambda: surrogates.awr(ONES[0], np.arange(4)), r"\(draws, actions\).*got loss \(4,\)"),
        (lambda: surrogates.awr(ONES[:0], np.arange(4)), r"got loss \(0, 4\)"),
        (lambda: surrogates.fpo(ONES, ONES * float("nan"), np.arange(4)), "new holds NaN or inf"),
        (lambda: surrogates.dpo(ONES, ONES, ONES, ONES / 0), "reference_loser holds NaN or inf"),
        (lambda: surrogates.fpo(1e4 * ONES, ONES, np.arange(4)), "overflows"),
        (lambda: surrogates.fpo(ONES, ONES, np.arange(4), clip=-0.1), "clip"),
        (lambda: surrogates.awr(ONES, np.arange(4), temperature=0.0), "temperature"),
        (lambda: surrogates.dpo(ONES, ONES, ONES, ONES, beta=float("nan")), "beta"),
        (
            lambda: surrogates.draws(FM, X.long(), 4, np.random.default_rng(0)),
            "finite floats .* torch.int64",
        ),
        (lambda: surrogates.draws(FM, X[:, 0], 4, np.random.default_rng(0)), r"x\[:, None\]"),
        (
            lambda: surrogates.draws(FM, X * float("nan"), 4, np.random.default_rng(0)),
            "finite floats",
        ),
        (
            lambda: surrogates.losses(
                None, X[:1], surrogates.draws(FM, X, 4, np.random.default_rng(0))
            ),
            "draw again",
        ),
        (
            lambda: surrogate(FM, gaussian(MEAN), SimpleNamespace(denoise=lambda z, l: z.T)),
            r"returned shape \(2, 25600\)",
        ),
        (lambda: surrogates.chain(gaussian(MEAN), X, 1.0, 1.0), "goes up"),
        (lambda: surrogates.chain(gaussian(MEAN), X, 0.0, float("inf")), "after must be finite"),
        (lambda: surrogates.chain(gaussian(MEAN), X, 0.0, 1.0), "a generator to draw with"),
        (
            lambda: surrogates.chain(gaussian(MEAN), X, 0.0, 1.0, follow=X[:1]),
            r"follow has shape \(1, 2\)",
        ),
        (lambda: surrogates.chain(gaussian(MEAN), X.long(), 0.0, 1.0), "z must hold finite floats"),
        (lambda: surrogates.draws(FM, X, 0, np.random.default_rng(0)), "m must be at least 1"),
    ],
)
def test_bad_input_is_refused_with_the_way_out(make, says):
    with pytest.raises(ValueError, match=says):
        make()


@pytest.mark.parametrize(
    ("dtype", "largest"), [(torch.float16, 1e5), (torch.float32, 1e39)], ids=["half", "single"]
)
@pytest.mark.parametrize(
    "surrogate_of",
    [
        lambda table, a: surrogates.ddpo(table, table + 0.001, a),
        lambda table, a: surrogates.fpo(table, table + 0.001, a),
        lambda table, a: surrogates.awm(table, table + 0.001, a),
        surrogates.awr,
    ],
    ids=["ddpo", "fpo", "awm", "awr"],
)
def test_advantages_that_the_table_cannot_hold_are_refused(surrogate_of, dtype, largest):
    table = torch.ones(3, 2, dtype=dtype)
    message = re.escape(f"advantage {-largest:g} is too large for {dtype}; divide")
    with pytest.raises(ValueError, match=message):
        surrogate_of(table, [0.0, -largest])
    assert torch.isfinite(surrogate_of(table, [0.0, -1.0]))


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda t: surrogates.ddpo(t, t + 1, [0.0, -3e38]), r"inf, .*advantage 3e\+38, ratio 2.7"),
        (lambda t: surrogates.awr(t + 3e38, [0.0, 9.0]), r"inf, .*loss 3e\+38, weight 20"),
        (lambda t: surrogates.dpo(t + 3e38, t, t - 3e38, t), r"inf, .*reference_winner 3e\+38"),
        (lambda t: surrogates.dpo(t + 3e38, t, t - 3e38, t - 3e38), "inf, since torch.float32"),
        (lambda t: surrogates.nft(t[..., None], t[..., None] + 1e30, [0, 1], t), "nan, .*new 1e"),
    ],
)
def test_a_loss_that_overflows_is_refused(loss, message):
    with pytest.raises(ValueError, match="the loss is " + message):
        loss(torch.zeros(3, 2))


def test_the_name_of_an_objective_is_not_an_objective():
    with pytest.raises(TypeError, match=r"dv\.objective"):
        surrogates.draws("fm-ot", X, 4, np.random.default_rng(0))


TABLE = torch.zeros(2, 3)
SPARSE = torch.ones(2, 3).to_sparse()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: surrogates.draws(FM, X.numpy(), 4, np.random.default_rng(0)),
            "x must be a tensor",
        ),
        (
            lambda: surrogates.draws(FM, X, 2.5, np.random.default_rng(0)),
            "m must be a whole number",
        ),
        (lambda: surrogates.draws(FM, X, 4, 0), "rng must be a NumPy generator"),
        (
            lambda: surrogates.losses(
                None, X, surrogates.draws(FM, X, 4, np.random.default_rng(0))
            ),
            r"model must have denoise",
        ),
        (lambda: surrogates.chain(lambda z, logsnr: z, X, 0.0, 1.0), "model must have denoise"),
        (lambda: surrogates.fpo(np.zeros((2, 3)), TABLE, np.arange(3)), "old must be a tensor"),
        (
            lambda: surrogates.fpo(TABLE, TABLE, np.ma.masked_equal([0, 1, 2], 1)),
            "advantage is a masked array",
        ),
        (lambda: surrogates.fpo(TABLE, TABLE, [0j, 1, 2]), "advantage must hold real numbers"),
        (
            lambda: surrogates.awr(TABLE, torch.tensor([0j, 1, 2])),
            "advantage must hold real numbers",
        ),
        (lambda: surrogates.awr(TABLE, ["0", "1", "2"]), "advantage must hold real numbers"),
        (lambda: surrogates.awr(TABLE.long(), [0.5, 1, 2]), r"got torch.int64; take .*double\(\)"),
        (
            lambda: surrogates.awm(SPARSE, SPARSE, [0.5, 1, 2]),
            "old must be a dense tensor with values, got torch.sparse_coo",
        ),
        (lambda: surrogates.local_factor(SPARSE), "error must be a dense tensor"),
    ],
)
def test_the_wrong_kind_of_thing_is_refused_by_name(call, message):
    with pytest.raises(TypeError, match=message):
        call()


@pytest.mark.parametrize(
    "advantage",
    [[0, 1, 2], np.arange(3), np.arange(3.0)[::-1][::-1], torch.arange(3), (0.0, 1.0, 2.0)],
    ids=["list", "integers", "negative strides", "integer tensor", "tuple"],
)
def test_advantages_may_be_any_array_of_real_numbers(advantage):
    expected = surrogates.awr(TABLE + 1, torch.arange(3.0))
    assert torch.equal(surrogates.awr(TABLE + 1, advantage), expected)


def test_numpy_integers_count_draws_and_draws_have_names():
    at = surrogates.draws(FM, X, np.int64(2), np.random.default_rng(0))
    assert at.logsnr.shape == at.factor.shape == (2, 400)
    assert at.eps.shape == (2, 400, 2)
