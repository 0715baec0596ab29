"""Even draws: each has the law of a plain draw, every step is even, and gradients vary less."""

import numpy as np
import pytest
import torch
from scipy import stats

import diffviz as dv
from diffviz.learning import importance
from diffviz.learning.batches import BLOCK, draw_block, training_data
from diffviz.learning.designs import (
    CLEAN,
    MOST_DIMENSIONS,
    MOST_POINTS,
    even_design,
    halving_order,
    opposite_pairs,
)
from diffviz.learning.importance import ImportanceSampled
from diffviz.learning.models import MLP, raw_output
from diffviz.learning.optimiser import initial_state
from diffviz.learning.settings import Settings

POINTS = 1000
FM = dv.objective("fm-ot")
ORDER = np.random.default_rng(0).permutation(POINTS)


def even(n=64, seed=0, order=ORDER, d=2):
    return even_design(BLOCK, n, order, d, np.random.default_rng(seed))


@pytest.mark.parametrize("n", [1, 7, 64])
def test_a_design_has_the_shapes_of_a_block(n):
    many = MOST_DIMENSIONS + 1
    for d in (2, many):
        data = training_data(np.random.default_rng(1).normal(size=(POINTS, d)))
        design = data.design(n, 0, np.random.default_rng(0))
        noise = torch.stack([design.noise[step] for step in range(BLOCK)])
        assert design.index.shape == (BLOCK, n)
        assert design.noise.shape == noise.shape == (BLOCK, n, d)
        assert noise.dtype == torch.float32
        np.testing.assert_array_equal(np.sort(design.order, 1), np.tile(np.arange(BLOCK), (n, 1)))
        assert noise.isfinite().all()
        assert 0 <= design.index.min() <= design.index.max() < POINTS


def test_a_block_uses_all_points_equally_often():
    # 32 · 125 draws of 1000 points; Sobol points differ from 4 each by at most a cell
    order = np.arange(1024)
    design = even(128, order=order)
    np.testing.assert_array_equal(np.bincount(design.index.ravel()), np.full(1024, 4))


def test_every_step_has_a_draw_in_each_cell_of_noise_and_of_data():
    """A step of 64 draws has one quantile of the noise, and one of the data, in each 64th."""
    design = even(64, order=np.arange(64 * 100))
    for step in range(BLOCK):
        one_each = np.arange(64)
        np.testing.assert_array_equal(np.sort(design.index[step] // 100), one_each)
        for axis in range(2):
            cell = np.floor(64 * stats.norm.cdf(design.noise[step, :, axis].astype(float)))
            np.testing.assert_array_equal(np.sort(cell), one_each)


@pytest.mark.parametrize("n", [48, 64])
def test_a_draw_at_any_place_has_the_law_of_a_plain_draw(n):
    """Over seeds, whose scramblings are independent: moments and quantiles of single draws."""
    seeds = 600
    designs = [even(n, seed) for seed in range(seeds)]
    for step, place in ((0, 0), (5, 20), (31, n - 1)):
        noise = np.array([design.noise[step, place] for design in designs])
        index = np.array([design.index[step, place] for design in designs])
        # the seeds are fixed; a law off by 5 % of a standard deviation is at p below 1e-3
        for sample in (noise[:, 0], noise[:, 1]):
            assert stats.kstest(sample, "norm").pvalue > 1e-3
        assert stats.kstest(np.argsort(ORDER)[index] / POINTS, "uniform").pvalue > 1e-3
        assert abs(np.corrcoef(noise.T)[0, 1]) < 4 / np.sqrt(seeds)


def test_halving_brings_neighbours_together():
    points = np.random.default_rng(0).normal(size=(1001, 2))
    order = halving_order(points)
    np.testing.assert_array_equal(np.sort(order), np.arange(1001))
    # the first cut is at the median of the wider coordinate, each half then at its own
    axis = np.ptp(points, axis=0).argmax()
    first, second = points[order[:500]], points[order[500:]]
    assert first[:, axis].max() < second[:, axis].min()
    steps = np.linalg.norm(np.diff(points[order], axis=0), axis=1)
    assert np.median(steps) < 0.1 * np.median(np.linalg.norm(np.diff(points, axis=0), axis=1))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_few_points_are_put_in_order_too(n):
    order = halving_order(np.arange(2.0 * n).reshape(n, 2))
    np.testing.assert_array_equal(np.sort(order), np.arange(n))


def test_many_points_stay_in_their_order():
    points = np.random.default_rng(0).normal(size=(MOST_POINTS + 1, 1))
    np.testing.assert_array_equal(halving_order(points), np.arange(len(points)))


def test_equal_points_are_put_in_order_too():
    np.testing.assert_array_equal(np.sort(halving_order(np.zeros((9, 1)))), np.arange(9))


def test_points_of_many_dimensions_and_images_are_drawn_plainly():
    for shape in ((MOST_DIMENSIONS + 1,), (3, 3)):
        assert training_data(np.random.default_rng(0).normal(size=(20, *shape))).even_order is None
    few = np.random.default_rng(0).normal(size=(20, MOST_DIMENSIONS))
    assert training_data(few).even_order is not None


def gradients(even_draws, blocks, n, objective=FM, is_paired=False, flat=None):
    """Gradients of an objective, at random weights by default, for each step of several blocks."""
    data = training_data(dv.toy("moons").sample(2000, torch.Generator().manual_seed(0)))
    if not even_draws:
        data.__dict__["even_order"] = None
    settings = Settings(model=MLP(16, 2), batch=n)
    if flat is None:
        flat = initial_state(settings, (2,), 1, torch.device("cpu")).weights
        flat = flat + 0.3 * torch.randn(flat.shape, generator=torch.Generator().manual_seed(1))
    rows = []
    for number in range(blocks):
        block = draw_block([objective], settings, data, number, is_paired)
        for row in range(BLOCK):
            weights = flat.clone().requires_grad_()
            part = block.coefficients_at(row)
            x, eps = block.draws_at(row, data)
            z = part.alpha * x + part.sigma * eps
            target = part.a * x + part.b * eps
            error = (raw_output(settings.model, weights, z, block.level[row]) - target).square()
            loss = (block.weight[row] * error.sum(-1)).mean()
            rows.append(torch.autograd.grad(loss, weights)[0][0])
    return torch.stack(rows).double()


def assert_same_means(*ways):
    """Gradients of two kinds of draws, in blocks of steps, have means within four errors."""
    onto = np.random.default_rng(0).normal(size=(ways[0].shape[1], 12))
    means, errors = [], []
    for rows in ways:
        by_block = (rows.numpy() @ onto).reshape(-1, BLOCK, 12).mean(1)  # blocks are independent
        means.append(by_block.mean(0))
        errors.append(by_block.var(0, ddof=1) / len(by_block))
    assert (np.abs(means[0] - means[1]) < 4 * np.sqrt(errors[0] + errors[1])).all()


def test_even_draws_have_the_same_mean_gradient():
    assert_same_means(*(gradients(even_draws, 16, 64) for even_draws in (False, True)))


def test_even_draws_have_less_than_half_of_the_variance_of_the_gradient():
    plain, spread = gradients(False, 2, 512), gradients(True, 2, 512)
    assert spread.var(0).sum() < plain.var(0).sum() / 2


# --- pairs of opposite noise ----------------------------------------------------------------------


def test_clean_draws_take_the_point_and_the_opposite_noise_of_the_one_before():
    level = torch.tensor([[[-9.0, CLEAN - 1, CLEAN - 0.1, CLEAN + 1, CLEAN + 2, 9, 30, 31, 32]]])
    x, eps = torch.randn(2, 9, 2, generator=torch.Generator().manual_seed(0))
    paired_x, paired_eps = opposite_pairs(level).at(0, x, eps)
    assert paired_x.shape == paired_eps.shape == (1, 9, 2)
    for place, (partner, sign) in {5: (4, -1), 7: (6, -1)}.items():
        assert torch.equal(paired_x[0, place], x[partner])
        assert torch.equal(paired_eps[0, place], sign * eps[partner])
    alone = [0, 1, 2, 3, 4, 6, 8]  # the partner of the fourth is not clean, the last has none
    assert torch.equal(paired_x[0, alone], x[alone])
    assert torch.equal(paired_eps[0, alone], eps[alone])


def test_images_come_in_pairs_too():
    x, eps = torch.randn(2, 4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    paired_x, paired_eps = opposite_pairs(torch.full((1, 2, 4), 20.0)).at(0, x, eps)
    for k in range(2):
        assert torch.equal(paired_x[k], x[[0, 0, 2, 2]])
        assert torch.equal(paired_eps[k, [1, 3]], -eps[[0, 2]])


def sampled(name):
    """An objective drawn by importance, of which nothing is explained at clean levels."""
    objective = dv.objective(name)
    edges = np.concatenate([[-np.inf], importance.level_bins(objective).edges])
    draws = np.full(len(edges), 5000.0)
    return ImportanceSampled(objective, np.stack([draws, np.where(edges > 4, 1.0, 0.5) * draws]))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fm-ot", "elbo"])
def test_pairs_have_the_mean_gradient_and_less_variance_the_more_clean_levels_count(name):
    """Half at most for the ELBO, most of whose gradient is noise; fm-ot has little to lose.

    The network has learnt a little: v_hat is small where v is all noise.
    """
    points = dv.toy("moons").sample(2000, torch.Generator().manual_seed(0))
    (run,) = dv.fit(name, points, model=MLP(16, 2), steps=100, batch=256, progress=False)
    weights = run.state[run.ema][None]
    single, paired = (gradients(True, 8, 64, sampled(name), one, weights) for one in (False, True))
    assert_same_means(single, paired)
    most = {"elbo": 1 / 2, "fm-ot": 1.1}[name]
    assert paired.var(0).sum() < most * single.var(0).sum()
