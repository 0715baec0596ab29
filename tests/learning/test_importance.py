"""Importance sampling of levels: the masses follow what is explained, and leave every mean."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.integrate import quad
from scipy.special import expit

import diffviz as dv
from diffviz.learning import importance
from diffviz.learning.batches import BLOCK
from diffviz.learning.importance import BINS, EVEN, OWN, DataScale, ImportanceSampled, level_bins
from diffviz.learning.models import MLP
from diffviz.learning.training import Trainer

NAMES = "fm-ot", "edm", "elbo", "x-cosine", "laplace-eps", "ddpm-linear"
# two narrow clusters, of which a small network soon explains much
POINTS = 0.1 * torch.randn(300, 2, generator=torch.Generator().manual_seed(0))
POINTS[::2] += 2
SMALL = {"steps": 70, "batch": 128, "model": MLP(16, 1), "learning_rate": 0.05}


def seen(seed=0, unexplained=None):
    """What differs at random by bins, with a bin that nothing has seen."""
    rng = np.random.default_rng(seed)
    draws = rng.integers(1000, 5000, BINS + 2).astype(float)
    draws[5] = 0
    v_error = rng.random(BINS + 2) if unexplained is None else unexplained
    return np.stack([draws, draws * v_error])


@pytest.mark.parametrize("name", NAMES)
def test_the_density_integrates_to_one_and_keeps_a_share_of_the_own_law(name):
    sampled = ImportanceSampled(dv.objective(name), seen())
    assert sampled.masses.sum() == pytest.approx(1, abs=1e-12)
    assert sampled.own.sum() == pytest.approx(1, abs=1e-12)
    assert (sampled.masses >= OWN * sampled.own - 1e-15).all()
    assert not np.allclose(sampled.masses, sampled.own, rtol=0.1)


def moments_of(logsnr):
    """Functions of λ that are bounded, so that their means exist under every law."""
    return np.stack([np.ones_like(logsnr), np.tanh(logsnr / 3), np.cos(logsnr), logsnr < 1.0])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_mean_is_that_of_the_own_law(name, seed):
    """Against quadrature over the quantiles of the law, which knows of no bins and no masses."""
    objective = dv.objective(name)
    sampled = ImportanceSampled(objective, seen(seed))
    logsnr, factor = sampled.draw(2**17, np.random.default_rng(seed))
    # relative to the own factor, so that the expectation is of the functions alone
    ratio = factor / objective.factor(logsnr)
    assert ratio.max() <= 1 / OWN + 1e-9
    nodes = (np.arange(2**17) + 0.5) / 2**17
    expected = moments_of(objective.law.ppf(nodes)).mean(1)
    # strata leave an error of about ratio · 2^-17 a jump; a draw less in a bin would be 1e-3
    assert (ratio * moments_of(logsnr)).mean(1) == pytest.approx(expected, abs=2e-4)


def test_the_density_that_is_drawn_times_the_factor_is_the_weighting():
    """w(λ) = 2 p(λ) · factor, with p the slope of the cdf of the draws."""
    objective = dv.objective("edm")
    sampled = ImportanceSampled(objective, seen())
    logsnr, factor = sampled.draw(2**18, np.random.default_rng(0))
    order = np.argsort(logsnr)
    logsnr, factor = logsnr[order], factor[order]
    width = level_bins(objective).width[0]
    for low, high in ((0.0, 2.0), (-1.0, 5.0), (3.0, 3.0 + width)):
        inside = (logsnr > low) & (logsnr < high)
        mass = 2 * factor[inside].sum() / len(logsnr)
        exact = quad(lambda level: float(objective.weighting([level])[0]), low, high)[0]
        assert mass == pytest.approx(exact, rel=2e-3)


def test_nothing_seen_draws_by_the_own_law():
    objective = dv.objective("edm")
    sampled = ImportanceSampled(objective, importance.begin(1)[0].numpy())
    np.testing.assert_array_equal(sampled.masses, sampled.own)
    logsnr, factor = sampled.draw(1000, np.random.default_rng(0))
    own, own_factor = objective.draw(1000, np.random.default_rng(0))
    np.testing.assert_allclose(logsnr, own, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(factor, own_factor, rtol=1e-6)


def adapted_masses(sampled):
    """What is neither the own law nor even in λ, as masses that sum to one."""
    even = np.full(BINS + 2, 1 / BINS)
    even[[0, -1]] = 0
    return (sampled.masses - OWN * sampled.own - EVEN * even) / (1 - OWN - EVEN)


def test_the_rest_of_the_masses_goes_where_something_is_explained():
    unexplained = np.ones(BINS + 2)
    unexplained[10:20] = 0.5
    sampled = ImportanceSampled(dv.objective("laplace-eps"), seen(unexplained=unexplained))
    moved = adapted_masses(sampled)
    # ten bins of one width share it evenly, but for two standard errors of 1000 draws or more
    np.testing.assert_allclose(moved[10:20], 0.1, rtol=0.15)
    np.testing.assert_allclose(np.delete(moved, np.s_[10:20]), 0, atol=1e-12)


def test_where_nothing_is_explained_the_own_law_is_drawn():
    sampled = ImportanceSampled(dv.objective("fm-ot"), seen(unexplained=0.97))
    np.testing.assert_array_equal(sampled.masses, sampled.own)


@pytest.mark.parametrize("name", NAMES)
def test_every_level_between_the_edges_is_drawn(name):
    """By the share of draws in equal stretches of λ, which knows of no masses."""
    unexplained = np.ones(BINS + 2)
    unexplained[10:14] = 0.5
    sampled = ImportanceSampled(dv.objective(name), seen(unexplained=unexplained))
    logsnr, _ = sampled.draw(2**14, np.random.default_rng(0))
    edges = level_bins(sampled.objective).edges
    shares = np.histogram(logsnr, np.linspace(edges[0], edges[-1], 9))[0] / len(logsnr)
    assert shares.min() > 0.99 * EVEN / 8


def test_draws_spread_by_one_bin_where_the_law_hardly_looks():
    """The last bins of laplace-eps hold less than a draw in a block; known are those before."""
    known = 5000.0 * (np.arange(BINS + 2) <= 25)
    sampled = ImportanceSampled(dv.objective("laplace-eps"), np.stack([known, 0.5 * known]))
    moved = adapted_masses(sampled)
    assert BLOCK * 512 * sampled.own[29:].max() < 1
    assert moved[26] / moved[25] == pytest.approx(0.5, rel=1e-6)
    np.testing.assert_allclose(moved[27:], 0, atol=1e-12)
    logsnr, _ = sampled.draw(2**14, np.random.default_rng(0))
    edges = level_bins(sampled.objective).edges
    drawn = ((logsnr > edges[25]) & (logsnr < edges[26])).mean()
    assert drawn == pytest.approx(sampled.masses[26], abs=1e-3)
    assert drawn > 20 * sampled.own[26]


def test_levels_are_adapted_wherever_samples_of_a_run_go():
    """The grid of ``dv.sample`` ends at the same quantiles, where they are within −10 and 14."""
    for name in NAMES:
        objective = dv.objective(name)
        edges = level_bins(objective).edges
        low, high = objective.law.ppf([1e-6, 1 - 1e-6])
        assert edges[0] <= max(low, -10.0) + 1e-9
        assert edges[-1] >= min(high, 14.0) - 1e-9


@pytest.mark.parametrize("name", ["edm", "laplace-eps"])
def test_what_is_learnt_is_the_unexplained_variance_of_v(name):
    """From vectors: v = alpha eps − sigma x at unit variance, against its estimate from eps_hat."""
    objective = dv.objective(name)
    rng = np.random.default_rng(0)
    n, std = 400, 0.5
    logsnr = objective.law.ppf(rng.random(n))
    level = (logsnr + 2 * math.log(std))[:, None]
    alpha, sigma = np.sqrt(expit(level)), np.sqrt(expit(-level))
    x, eps, eps_hat = rng.normal(size=(3, n, 2))
    z = alpha * x + sigma * eps
    v_hat = alpha * eps_hat - sigma * (z - sigma * eps_hat) / alpha
    v_error = ((v_hat - (alpha * eps - sigma * x)) ** 2).mean(1)
    error = ((eps_hat - eps) ** 2).sum(1)
    arguments = (
        [objective],
        torch.from_numpy(logsnr)[None, None],
        torch.from_numpy(error)[None, None],
        DataScale(std, 2),
    )
    known = importance.learn(importance.begin(1), *arguments)
    place = np.searchsorted(level_bins(objective).edges, logsnr)
    for bin_ in range(BINS + 2):
        inside = place == bin_
        np.testing.assert_allclose(known[0, :, bin_], [inside.sum(), v_error[inside].sum()])
    twice = importance.learn(known, *arguments)
    np.testing.assert_allclose(twice, (1 + importance.DECAY) * known)


def test_a_law_on_one_level_is_drawn_there():
    objective = dv.objective("fm-ot")
    point = dv.Objective(
        name="point",
        family="test",
        year=2025,
        source="test",
        path=objective.path,
        target=objective.target,
        multiplier=objective.multiplier,
        law=stats.uniform(1.0, 1e-9),
    )
    logsnr, factor = ImportanceSampled(point, seen()).draw(100, np.random.default_rng(0))
    np.testing.assert_allclose(logsnr, 1.0, atol=1e-8)
    assert factor.mean() == pytest.approx(float(point.factor(1.0)), rel=0.3)


# --- in training ----------------------------------------------------------------------------------


def train(names=("fm-ot", "elbo"), checkpoint=None, callback=None, **settings):
    settings = SMALL | {"adaptive": True} | settings
    return dv.fit(
        list(names), POINTS, checkpoint=checkpoint, callback=callback, progress=False, **settings
    )


def losses(runs):
    return np.stack([run.loss for run in runs])


def test_the_first_block_is_drawn_as_ever_and_the_next_by_what_was_seen():
    adaptive, plain = losses(train()), losses(train(adaptive=False))
    np.testing.assert_allclose(adaptive[:, :BLOCK], plain[:, :BLOCK], rtol=1e-3)
    assert not np.allclose(adaptive[:, BLOCK : BLOCK + 8], plain[:, BLOCK : BLOCK + 8], rtol=1e-2)


@pytest.mark.parametrize("stop", [1, 31, 32, 33, 64, 69])
def test_a_resumed_training_is_bit_identical(tmp_path, stop):
    def callback(step):
        if step.step == stop:
            raise KeyboardInterrupt

    whole = train()
    train(checkpoint=tmp_path / "c", callback=callback)
    resumed = train(checkpoint=tmp_path / "c")
    np.testing.assert_array_equal(losses(resumed), losses(whole))
    for one, other in zip(resumed, whole, strict=True):
        assert torch.equal(one.state[0.0], other.state[0.0])


@pytest.mark.parametrize("stop", [32, 40])
def test_an_interrupt_within_a_step_changes_nothing(monkeypatch, stop):
    whole = Trainer(["fm-ot"], POINTS, **SMALL, adaptive=True)
    trainer = Trainer(["fm-ot"], POINTS, **SMALL, adaptive=True)
    for _ in range(stop):
        trainer.advance()
    with monkeypatch.context() as patch:
        patch.setattr("diffviz.learning.training.replace", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            trainer.advance()
    steps = [trainer.advance().loss.item() for _ in range(70 - stop)]
    expected = [whole.advance().loss.item() for _ in range(70)][stop:]
    assert steps == expected


def _interrupted(*_args, **_changes):
    raise KeyboardInterrupt


def test_a_checkpoint_of_a_training_by_the_own_law_is_refused(tmp_path):
    train(steps=2, adaptive=False, checkpoint=tmp_path / "c")
    with pytest.raises(ValueError, match="adaptive is False in the file, True here"):
        train(steps=2, checkpoint=tmp_path / "c")


def test_what_is_drawn_lies_on_the_device_of_the_data(device):
    settings = {"steps": BLOCK + 8, "batch": 16, "model": MLP(8, 1), "adaptive": True}
    (run,) = dv.fit("elbo", POINTS.to(device), progress=False, **settings)
    assert run.state[run.ema].device.type == device.type
    assert np.isfinite(run.loss).all()


def test_side_by_side_equals_alone():
    both = losses(train())
    for row, name in zip(both, ("fm-ot", "elbo"), strict=True):
        np.testing.assert_allclose(losses(train([name]))[0], row, rtol=1e-3)


class Draws:
    """What can be trained under, but has no law that could be drawn otherwise."""

    name = "draws"

    def draw(self, n, rng):
        return rng.normal(size=n), np.ones(n)


def test_what_has_no_law_is_refused():
    with pytest.raises(TypeError, match="adaptive=True draws the levels of an Objective"):
        dv.fit(Draws(), POINTS, steps=1, adaptive=True, progress=False)


def test_adaptive_is_a_flag():
    with pytest.raises((TypeError, ValueError), match="adaptive"):
        dv.fit("fm-ot", POINTS, steps=1, adaptive="yes", progress=False)
