"""The loss by log-SNR and its errors; adaptive laws against exact ones; validation losses."""

import copy
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import expit

import diffviz as dv
from diffviz.data import toys
from diffviz.lab.experiments.tracking import log_variance
from diffviz.learning import tracking
from diffviz.learning.adaptive import RULES, AdaptiveObjective
from diffviz.learning.tracking import LossByLogSNR
from diffviz.learning.validation import validation_loss
from diffviz.learning.variance import draw_moments
from diffviz.theory import laws
from diffviz.theory.families import flow_uniform
from diffviz.theory.objectives import from_weighting
from diffviz.theory.paths import COSINE, LINEAR
from diffviz.theory.targets import base_gain

EDGES = np.linspace(-10, 10, 101)
MIDDLE = (EDGES[1:] + EDGES[:-1]) / 2
FM = flow_uniform()
FLAT = stats.uniform(-10, 20)


def gaussian_loss(logsnr, rng):
    """Squared error of the exact denoiser on N(0, 1): sigmoid(λ) times chi-squared."""
    return expit(logsnr) * rng.standard_normal(logsnr.shape) ** 2


def filled(edges=EDGES, batches=400, n=500, law=FLAT, loss=gaussian_loss, seed=0, **options):
    tracker, rng = LossByLogSNR(edges, **options), np.random.default_rng(seed)
    for _ in range(batches):
        logsnr = law.rvs(n, random_state=rng)
        tracker.update(logsnr, loss(logsnr, rng))
    return tracker


def noiseless(edges):
    """A tracker with exactly E‖·‖² = sigmoid(λ) and E‖·‖⁴ = 3 sigmoid(λ)² at its middles.

    Each bin gets two draws.
    """
    tracker, middle = LossByLogSNR(edges), (edges[1:] + edges[:-1]) / 2
    tracker.update(
        np.r_[middle, middle], np.r_[expit(middle) * (1 + 2**0.5), expit(middle) * (1 - 2**0.5)]
    )
    return tracker


def by_hand(logsnr, loss, edges, decay):
    """Weighted mean and its standard error in each bin, sample by sample, from lists of batches."""
    weight = np.concatenate(
        [np.full(len(one), decay ** (len(loss) - 1 - i)) for i, one in enumerate(loss)]
    )
    logsnr, loss = np.concatenate(logsnr), np.concatenate(loss)
    mean, error = [], []
    for low, high in pairwise(edges):
        inside = (logsnr >= low) & (logsnr < high)
        w, y = weight[inside] / weight[inside].sum(), loss[inside]
        mean.append(w @ y)
        error.append(np.sqrt((w @ y**2 - mean[-1] ** 2) * (w @ w) / (1 - w @ w)))
    return np.array(mean), np.array(error)


@pytest.mark.parametrize(
    "edges", [EDGES, np.array([-10, -4.0, -1.5, 0, 0.5, 3, 10])], ids=["even", "uneven"]
)
def test_the_average_is_that_of_all_draws_weighted_by_their_age(edges):
    rng = np.random.default_rng(0)
    logsnr = [
        rng.integers(-1000, 1000, n) / 100 + 0.005 for n in [700] * 150 + [300] * 7
    ]  # none on an edge
    loss = [gaussian_loss(one, rng) for one in logsnr]
    tracker = LossByLogSNR(edges, 0.95)
    for pair in zip(logsnr, loss, strict=True):
        tracker.update(*pair)
    mean, error = by_hand(logsnr, loss, edges, 0.95)
    got = tracker.curve()
    np.testing.assert_allclose(got[0], mean, rtol=1e-9)
    np.testing.assert_allclose(got[1], error, rtol=1e-6)
    np.testing.assert_array_equal(
        tracker.count[1:-1], np.histogram(np.concatenate(logsnr), edges)[0]
    )
    np.testing.assert_array_equal((tracker.mean, tracker.stderr), tracker.curve()[:2])


def test_a_batch_counts_a_hundredth_less_than_the_next_by_default():
    tracker = LossByLogSNR([-1, 0, 1])
    for loss in (1.0, 3.0):
        tracker.update([0.5, 0.5], [loss, loss])
    assert tracker.curve().mean[1] == pytest.approx((0.99 * 1 + 3) / 1.99, rel=1e-12)


def test_the_error_of_a_weighted_loss_is_that_of_its_bins_added_in_squares():
    """Sample by sample: a sum over bins of w · width · mean, each bin with its own error."""
    rng = np.random.default_rng(3)
    edges = np.array([-2.0, -0.5, 0.0, 3.0])
    logsnr, loss = rng.uniform(-2, 3, 300), rng.exponential(2.0, 300)
    tracker = LossByLogSNR(edges)
    tracker.update(logsnr, loss)
    squares = 0.0
    for low, high in pairwise(edges):
        inside = loss[(logsnr >= low) & (logsnr < high)]
        weight = np.exp(-(low + high) / 4) * (high - low)
        squares += weight**2 * inside.var(ddof=1) / len(inside)
    stderr = tracker.weighted(lambda level: np.exp(-level / 2)).stderr
    assert stderr == pytest.approx(np.sqrt(squares) / 2, rel=1e-9)


def test_several_decays_at_once_are_several_trackers():
    several = filled(decay=(0.9, 0.99), batches=70)
    for i, decay in enumerate((0.9, 0.99)):
        for curves, curve in zip(
            several.curve(), filled(decay=decay, batches=70).curve(), strict=True
        ):
            np.testing.assert_allclose(curves[i], curve, rtol=1e-12)
    loss, error, seen = several.weighted(FM)
    assert loss.shape == error.shape == (2,) and seen == 1 and several.count.shape == (102,)


def test_every_sample_of_a_batch_counts_also_many_in_one_bin():
    tracker = LossByLogSNR([-1, 0, 1])
    tracker.update(np.full(1000, 0.5), np.arange(1000.0))
    mean, error, second = tracker.curve()
    assert mean[1] == pytest.approx(499.5) and second[1] == pytest.approx(
        (np.arange(1000.0) ** 2).mean()
    )
    assert error[1] == pytest.approx(np.arange(1000).std(ddof=1) / np.sqrt(1000))


@pytest.mark.parametrize("end", [2, 2.5], ids=["even", "uneven"])
def test_empty_bins_stay_empty_and_draws_outside_are_counted_apart(end):
    tracker = LossByLogSNR([-2, -1, 0, 1, end])
    tracker.update(np.array([-0.5, -0.2, 1.5, -7, np.inf, -np.inf, 30, 31]), np.ones(8))
    mean, error, second = tracker.curve()
    np.testing.assert_array_equal(np.isnan(mean), [True, False, True, False])
    np.testing.assert_array_equal(np.isnan(second), np.isnan(mean))
    np.testing.assert_array_equal(
        np.isnan(error), [True, False, True, True]
    )  # one draw tells no spread
    np.testing.assert_array_equal(tracker.count, [2, 0, 2, 0, 1, 3])
    loss, stderr, seen = tracker.weighted()
    assert loss == end / 2 and np.isnan(stderr) and seen == end / (2 + end)


@pytest.mark.parametrize("bins", [2, 8, 40, 100, 334])
@pytest.mark.parametrize("reach", [1.0, 6.6, 10.0, 13.3, 20.0])
def test_a_level_in_the_very_middle_is_in_the_bin_above_it(bins, reach):
    tracker = LossByLogSNR(np.linspace(-reach, reach, bins + 1))
    tracker.update(np.zeros(1), np.ones(1))
    assert np.flatnonzero(tracker.count).tolist() == [bins // 2 + 1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_level_on_an_edge_is_in_the_bin_above_it(dtype):
    """But for the last edge. Even bins are found by a product, others by a search."""
    for first, last, bins in (
        (0, 4, 4),
        (-10, 14, 48),
        (-13.3, 5.1, 100),
        (10, 12, 20),
        (-7, 3, 9),
    ):
        edges = np.linspace(first, last, bins + 1)
        nearly = edges + np.where(np.arange(bins + 1) == 1, 0.1 * (edges[1] - edges[0]), 0.0)
        for on in (edges, nearly):
            tracker = LossByLogSNR(on)
            tracker.update(torch.tensor(on, dtype=dtype), torch.ones(bins + 1, dtype=dtype))
            assert tracker.count.tolist() == [0, *[1] * (bins - 1), 2, 0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_both_ends_of_the_edges_are_inside(dtype):
    for edges in (
        np.linspace(-13.3, 5.1, 101),
        np.r_[-13.3, 0, 5.1],
        np.linspace(-13.3, 5.1, 1001),
        np.linspace(-4, 4, 5),
        np.linspace(-20, 20, 41),
        np.linspace(-3.3, 12, 4),
    ):
        tracker = LossByLogSNR(edges)
        ends = torch.tensor(edges[[0, -1]], dtype=dtype)
        tracker.update(ends, torch.ones(2, dtype=dtype))
        assert tracker.count[[0, 1, -2, -1]].tolist() == [0, 1, 1, 0]


def test_a_bin_is_forgotten_only_after_its_draws_have_decayed():
    tracker = LossByLogSNR([0, 1, 2], 0.5)
    tracker.update(np.array([0.5, 0.5]), np.array([3.0, 5.0]))
    for _ in range(330):
        tracker.update(np.array([1.5]), np.array([1.0]))
    np.testing.assert_allclose(tracker.curve()[0], [4, 1])
    for _ in range(20):
        tracker.update(np.array([1.5]), np.array([1.0]))
    assert np.isnan(tracker.curve()[0][0]) and tracker.count[1] == 2


@pytest.mark.parametrize(
    "law",
    [stats.logistic(0, 2), stats.norm(2, 3), stats.uniform(-10, 20)],
    ids=["logistic", "normal", "flat"],
)
def test_the_mean_does_not_depend_on_the_law_that_draws(law):
    mean, error, _ = filled(law=law, decay=0.999).curve()
    z = ((mean - expit(MIDDLE)) / error)[error < 0.2 * mean]
    assert len(z) > 60 and abs(z.mean()) < 4 / np.sqrt(len(z)) and (abs(z) < 5).all()


@pytest.mark.slow
def test_there_is_no_bias_from_the_start():
    runs = np.array(
        [
            filled([-1, 1], batches=3, n=20, law=stats.uniform(-1, 2), decay=0.999, seed=i).curve()[
                0
            ][0]
            for i in range(600)
        ]
    )
    assert abs(runs.mean() - 0.5) < 4 * runs.std() / np.sqrt(len(runs)) < 0.03


def test_intervals_of_two_standard_errors_cover_as_they_should():
    edges, hits = np.linspace(-4, 4, 41), []
    exact = np.diff(np.logaddexp(0, edges)) / np.diff(edges)  # mean of sigmoid over a bin
    for seed in range(30):
        mean, error, _ = filled(
            edges, batches=300, n=128, law=stats.uniform(-4, 8), seed=seed
        ).curve()
        hits.append(abs(mean - exact) < 1.96 * error)
    assert 0.93 < np.mean(hits) < 0.97


def test_torch_and_numpy_give_the_same_and_the_loop_may_reuse_its_tensors():
    rng = np.random.default_rng(0)
    tracker, other = LossByLogSNR(EDGES), LossByLogSNR(EDGES)
    level, error = torch.empty(4, 25), torch.empty(4, 25, dtype=torch.float64)
    for _ in range(70):
        logsnr = rng.uniform(-10, 10, (4, 25)).astype(np.float32)
        loss = gaussian_loss(logsnr, rng)
        level.copy_(torch.from_numpy(logsnr)), error.copy_(torch.from_numpy(loss))
        tracker.update(level, error)
        other.update(np.broadcast_to(logsnr, logsnr.shape), loss.tolist())
    np.testing.assert_allclose(tracker.curve(), other.curve(), rtol=1e-6)


def test_an_update_keeps_no_graph():
    tracker, net = LossByLogSNR(EDGES), torch.nn.Linear(1, 1)
    loss = net(torch.ones(5, 1)).square().sum(1)
    tracker.update(torch.zeros(5), loss)
    assert all(not pair.requires_grad for pair in tracker._pairs)
    loss.sum().backward()


def test_updates_do_not_ask_the_device_for_values(monkeypatch):
    tracker = LossByLogSNR(EDGES, buffer=8 * 64)
    looks = []
    for name in ("item", "tolist", "numpy", "cpu", "__bool__", "__float__", "__int__", "nonzero"):
        own = getattr(torch.Tensor, name)
        monkeypatch.setattr(
            torch.Tensor,
            name,
            lambda self, *a, own=own, name=name, **k: looks.append(name) or own(self, *a, **k),
        )
    for _ in range(33):
        tracker.update(torch.zeros(64), torch.ones(64))
    assert looks == ["__float__"] * 4  # one look a buffer, at whether all was finite


def test_curves_convert_to_the_error_of_any_base():
    tracker = filled()
    for base in ("eps", "x", "v", "u"):
        for power, one, two in zip((2, 2, 4), tracker.curve(base), tracker.curve(), strict=True):
            np.testing.assert_allclose(one, two * base_gain(base, MIDDLE) ** power, rtol=1e-12)
    with pytest.raises(ValueError, match="unknown base 'z'"):
        tracker.curve("z")


def test_the_loss_under_any_weighting_is_that_of_the_exact_denoiser():
    tracker = filled(decay=0.9999, batches=1000)
    for w, exact in (
        (FM, 1.55732064),
        (dv.objective("edm"), 1.62755103),
        (np.ones_like, 5.0),
    ):  # N(0, 1) on [−10, 10]
        loss, error, seen = tracker.weighted(w)
        assert abs(loss - exact) < 4 * error < 0.05 * exact and seen == 1
    assert tracker.weighted()[0] == tracker.weighted(np.ones_like)[0]


def test_a_saved_tracker_goes_on_as_if_nothing_had_happened(tmp_path):
    whole, first = filled(batches=90), filled(batches=40)
    torch.save(first.state_dict(), tmp_path / "state.pt")
    later = LossByLogSNR(EDGES)
    later.update(np.zeros(3), np.ones(3))  # given up when the state is loaded
    later.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    rng = np.random.default_rng(0)
    for i in range(90):
        logsnr = stats.uniform(-10, 20).rvs(500, random_state=rng)
        loss = gaussian_loss(logsnr, rng)
        if i >= 40:
            later.update(logsnr, loss)
    np.testing.assert_allclose(later.curve(), whole.curve(), rtol=1e-10)


def test_a_state_does_not_change_when_the_tracker_goes_on():
    tracker = filled(batches=3)
    state, count = tracker.state_dict(), tracker.count
    before = state["averages"].clone(), count.copy()
    tracker.update(np.zeros(9), np.ones(9))
    tracker.flush()
    assert torch.equal(state["averages"], before[0]) and np.array_equal(count, before[1])


def test_merging_is_drawing_side_by_side():
    rng = np.random.default_rng(0)
    left, right, both = (LossByLogSNR(EDGES) for _ in range(3))
    for _ in range(50):
        logsnr = rng.uniform(-12, 12, 200)
        loss = gaussian_loss(logsnr, rng)
        (
            left.update(logsnr[:80], loss[:80]),
            right.update(logsnr[80:], loss[80:]),
            both.update(logsnr, loss),
        )
    alone = left.curve()
    merged = left.merge(right)
    np.testing.assert_allclose(merged.curve(), both.curve(), rtol=1e-9)
    np.testing.assert_array_equal(merged.count, both.count)
    np.testing.assert_array_equal(left.curve(), alone)


WORKER = """
import sys, numpy as np, torch.distributed as dist
from diffviz.learning.tracking import LossByLogSNR
rank = int(sys.argv[1])
dist.init_process_group("gloo", init_method="file://" + sys.argv[2], rank=rank, world_size=2)
tracker = LossByLogSNR(np.linspace(-10, 10, 11))
for batch in range(5):
    rng = np.random.default_rng(10 * rank + batch)
    tracker.update(rng.uniform(-11, 11, 300), rng.random(300))
merged = tracker.all_reduce()
assert tracker.count.sum() == 1500
print(*merged.curve()[0], *merged.count)
dist.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_come_to_one_tracker(tmp_path):
    place = os.environ | {
        "GLOO_SOCKET_IFNAME": "lo",
        "PYTHONPATH": str(Path(dv.__file__).parents[1]),
    }
    command = [sys.executable, "-c", WORKER]
    start = [[*command, str(rank), str(tmp_path / "meeting")] for rank in range(2)]
    workers = [subprocess.Popen(one, stdout=subprocess.PIPE, text=True, env=place) for one in start]
    found = [
        np.array(worker.communicate(timeout=120)[0].split(), dtype=float) for worker in workers
    ]
    both = LossByLogSNR(np.linspace(-10, 10, 11))
    for batch in range(5):
        pair = [np.random.default_rng(10 * rank + batch) for rank in range(2)]
        both.update(
            *np.concatenate([[rng.uniform(-11, 11, 300), rng.random(300)] for rng in pair], 1)
        )
    for one in found:
        np.testing.assert_allclose(one, np.r_[both.curve()[0], both.count], rtol=1e-12)


UNEVEN = np.sort(np.r_[-10, 10, np.random.default_rng(1).uniform(-10, 10, 60)])


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("edges", [EDGES, UNEVEN], ids=["even", "uneven"])
def test_an_adaptive_density_is_one_and_its_functions_agree(rule, edges):
    density = AdaptiveObjective(FM, filled(edges, batches=100), rule).law
    grid = np.linspace(-10, 10, 4001)[1:-1]
    height = density.pdf((edges[1:] + edges[:-1]) / 2)
    assert height @ np.diff(edges) == pytest.approx(1, rel=1e-12) and height.min() > 0.0499 / 20
    np.testing.assert_allclose(density.ppf(density.cdf(grid)), grid, atol=1e-9)
    assert density.support() == (-10, 10)
    drawn = np.histogram(density.rvs(200_000, random_state=np.random.default_rng(0)), edges)[0]
    assert stats.chisquare(drawn, 200_000 * height * np.diff(edges)).pvalue > 1e-4


def total_variation(density, exact, edges=EDGES):
    exact = exact / (exact @ np.diff(edges))
    return abs(density.pdf((edges[1:] + edges[:-1]) / 2) - exact) @ np.diff(edges) / 2


@pytest.mark.parametrize("edges", [EDGES, UNEVEN], ids=["even", "uneven"])
def test_each_rule_finds_its_closed_form(edges):
    middle = (edges[1:] + edges[:-1]) / 2
    sech = 1 / np.cosh(
        middle / 2
    )  # w sigmoid(λ) for flow matching: Kingma and Gao's law, and for Gaussian data the best one
    for rule in ("kingma-gao", "minimum-variance", "second-moment", "vdm"):
        assert (
            total_variation(AdaptiveObjective(FM, noiseless(edges), rule, 1e-9).law, sech, edges)
            < 1e-6
        )
    slope = (
        np.gradient(expit(-middle), middle) if edges is UNEVEN else -0.25 / np.cosh(middle / 2) ** 2
    )
    assert (
        total_variation(
            AdaptiveObjective(FM, noiseless(edges), "time-warp", 1e-9).law, -slope, edges
        )
        < 0.03
    )


def test_kingma_gao_and_minimum_variance_part_where_the_tails_do():
    def loss(logsnr, rng):  # of mean 1; below 0 it is 10 once in ten times
        return np.where(logsnr < 0, 10 * (rng.random(logsnr.shape) < 0.1), 1)

    tracker = filled(loss=loss, decay=0.999)
    flat = from_weighting(np.ones_like, stats.uniform(-10, 20))
    for rule, share in (("kingma-gao", 0.5), ("minimum-variance", 10**0.5 / (1 + 10**0.5))):
        assert AdaptiveObjective(flat, tracker, rule, 1e-9).law.cdf(0) == pytest.approx(
            share, abs=0.01
        )


@pytest.mark.parametrize("rule", RULES)
def test_before_anything_was_seen_the_law_is_uniform(rule):
    density = AdaptiveObjective(FM, LossByLogSNR(UNEVEN), rule).law
    np.testing.assert_allclose(density.pdf([-9, 0, 3, 9.9]), 0.05, rtol=1e-12)


def test_a_bin_that_was_not_seen_follows_its_neighbours():
    tracker = noiseless(EDGES)
    fewer = LossByLogSNR(EDGES)
    here = np.r_[MIDDLE[:40], MIDDLE[45:], MIDDLE[:40], MIDDLE[45:]]
    fewer.update(here, expit(here))
    full, holes = (AdaptiveObjective(FM, one).law.pdf(MIDDLE) for one in (tracker, fewer))
    np.testing.assert_allclose(holes, full, rtol=0.1)


@pytest.mark.parametrize("rule", RULES)
def test_an_adaptive_objective_keeps_its_weighting(rule):
    law = AdaptiveObjective(FM, filled(batches=100), rule)
    rng = np.random.default_rng(0)
    logsnr, factor = law.draw(200_000, rng)
    assert law.name == f"{FM.name}, {rule}"
    np.testing.assert_allclose(
        factor[:100], FM.weighting(logsnr[:100]) / (2 * law.law.pdf(logsnr[:100])), rtol=0.02
    )
    for f, exact in ((expit, 1.5573206437), (lambda l: expit(-l) ** 2 * (l > -2), None)):
        grid = np.linspace(-10, 10, 200_001)
        exact = exact or np.trapezoid(FM.weighting(grid) * f(grid), grid) / 2
        assert (factor * f(logsnr)).mean() == pytest.approx(exact, rel=2e-3)
    np.testing.assert_allclose(
        from_weighting(FM.weighting, law.law).weighting(MIDDLE),
        FM.weighting(MIDDLE),
        rtol=1e-12,
    )


ON_A_TABLE = dv.objective("fm-ot")
ON_A_TABLE = replace(ON_A_TABLE, law=laws.atoms([-12.0, -3.0, 0.0, 0.5, 4.0], [1, 1, 2, 3, 4]))


@pytest.mark.parametrize("rule", RULES)
def test_an_adaptive_objective_on_a_table_draws_its_levels_and_keeps_their_weights(rule):
    """Within the edges the loss is Σ mass · factor · error, whatever is drawn."""
    adaptive = AdaptiveObjective(ON_A_TABLE, filled(batches=100), rule)
    logsnr, factor = adaptive.draw(100_000, np.random.default_rng(0))
    levels = np.array([-3.0, 0.0, 0.5, 4.0])
    assert set(logsnr) == set(levels)
    terms = ON_A_TABLE.factor(levels) * np.array([1, 2, 3, 4]) / 11
    drawn = [(factor * (logsnr == level)).mean() for level in levels]
    np.testing.assert_allclose(drawn, terms, rtol=1e-3)


def test_an_adaptive_objective_needs_two_levels_within_the_edges():
    with pytest.raises(ValueError, match=r"has 1 of its levels .* \[1, 9\]; take edges with two"):
        AdaptiveObjective(ON_A_TABLE, LossByLogSNR([1.0, 9.0]))


@pytest.mark.parametrize("levels", [2, 32])
def test_validation_of_an_objective_on_a_table_looks_at_its_levels(levels):
    x = Gaussian().sample(4000, torch.Generator().manual_seed(1))
    seen = set()

    def denoise(z, logsnr):
        seen.update(logsnr.tolist())
        return Gaussian().denoise(z, logsnr)

    table = laws.atoms([-3.0, 0.0, 4.0], [1, 2, 3])
    loss, error, _ = validation_loss(denoise, x, replace(FM, law=table), levels=levels)
    at = table.dist.levels
    assert seen <= set(at)
    if levels == 32:
        exact = (table.dist.mass * FM.factor(at) * expit(at)).sum()
        assert abs(loss - exact) < 4 * error


@pytest.mark.parametrize("rule", RULES)
def test_where_there_is_no_weight_only_the_uniform_share_is_drawn(rule):
    narrow = from_weighting(np.ones_like, stats.uniform(-5, 10))
    density = AdaptiveObjective(narrow, filled(batches=100), rule, 0.1).law
    np.testing.assert_allclose(density.pdf([-9, -5.1, 5.1, 9]), 0.1 / 20, rtol=1e-9)
    assert density.cdf(5) - density.cdf(-5) == pytest.approx(0.95)


def test_draws_repeat_with_the_seed_and_follow_the_tracker():
    tracker = filled(batches=5)
    draws = [AdaptiveObjective(FM, tracker).draw(50, np.random.default_rng(3)) for _ in range(2)]
    np.testing.assert_array_equal(draws[0], draws[1])
    law = AdaptiveObjective(from_weighting(np.ones_like, FLAT), tracker)
    assert 0.05 < law.law.cdf(0) < 0.3
    for _ in range(2000):
        tracker.update(MIDDLE, np.where(MIDDLE > 0, 0.01, 1.0))
    assert (
        0.9
        < law.law.cdf(0)
        == pytest.approx(np.mean(law.draw(4000, np.random.default_rng(0))[0] < 0), abs=0.001)
    )


class Gaussian:
    """N(0, 1) with its exact denoiser."""

    def sample(self, n, generator):
        return torch.randn(n, 1, generator=generator, dtype=torch.float64)

    def denoise(self, z, logsnr):
        return z * logsnr.sigmoid().sqrt()[:, None]

    def mmse(self, logsnr):
        return expit(logsnr)


def errors(toy, logsnr, generator):
    level = torch.as_tensor(logsnr)
    x = toy.sample(len(level), generator)
    noise = torch.randn(x.shape, generator=generator, dtype=torch.float64)
    alpha, sigma = level.sigmoid().sqrt()[:, None], (-level).sigmoid().sqrt()[:, None]
    return (toy.denoise(alpha * x + sigma * noise, level) - x).square().sum(1) * level.exp()


@pytest.mark.slow
@pytest.mark.parametrize("toy", [Gaussian(), toys.toy("ring8")], ids=["gaussian", "ring8"])
def test_three_thousand_steps_find_the_density_and_nearly_all_that_it_saves(toy):
    tracker, rng, generator = (
        LossByLogSNR(EDGES),
        np.random.default_rng(0),
        torch.Generator().manual_seed(0),
    )
    law = AdaptiveObjective(FM, tracker)
    for _ in range(94):  # 32 steps of 128 draws each
        logsnr = law.draw(32 * 128, rng)[0]
        for step, loss in zip(
            np.split(logsnr, 32), errors(toy, logsnr, generator).split(128), strict=True
        ):
            tracker.update(step, loss)
    exact = FM.weighting(MIDDLE) * toy.mmse(MIDDLE)
    assert total_variation(law.law, exact) < 0.05
    second = np.array(
        [errors(toy, np.full(1000, at), generator).square().mean().item() for at in MIDDLE]
    )
    squares = FM.weighting(MIDDLE) ** 2 * second
    found, ideal, uniform = (
        squares @ (1 / p)
        for p in (law.law.pdf(MIDDLE), exact / exact.sum() / 0.2, np.full(100, 0.05))
    )
    assert uniform - found > 0.9 * (uniform - ideal) > 0


@pytest.mark.slow
def test_edm2_changes_the_weighting_to_what_gradient_descent_finds():
    edges = np.linspace(-6, 6, 25)
    tracker, objective = noiseless(edges), dv.objective("edm")
    table = log_variance(tracker, objective)
    middle = (edges[1:] + edges[:-1]) / 2
    loss = torch.as_tensor(objective.factor(middle) * expit(middle))
    u = torch.zeros(24, dtype=torch.float64, requires_grad=True)
    newton = torch.optim.LBFGS(
        [u], max_iter=60, line_search_fn="strong_wolfe", tolerance_grad=1e-9, tolerance_change=0
    )

    def step():
        newton.zero_grad()
        total = (loss / u.exp() + u).sum()
        total.backward()
        return total

    newton.step(step)
    np.testing.assert_allclose(
        table[:, 1], objective.weighting(middle) * np.exp(-u.detach().numpy()), rtol=1e-5
    )
    np.testing.assert_array_equal(table[:, 0], middle)
    spent = from_weighting(table).weighting(middle) * expit(
        middle
    )  # what is spent where it is drawn, per draw: the same at each λ
    np.testing.assert_allclose(spent / objective.law.pdf(middle), 2, rtol=1e-9)
    assert not dv.compare(from_weighting(table), objective, middle).same


def moments(law):
    """Under another law of λ, of a draw of flow matching's loss on N(0, 1), exact denoiser."""
    return draw_moments(
        from_weighting(lambda l: np.exp(-l / 2), law), expit, lambda l: 3 * expit(l) ** 2
    )


def test_moments_of_a_draw_have_their_closed_forms():
    uniform, best = moments(LINEAR.schedule), moments(COSINE.schedule)
    np.testing.assert_allclose(uniform, (np.pi / 2, 3 + 1.5 * np.pi), rtol=1e-9)
    np.testing.assert_allclose(best, (np.pi / 2, 0.75 * np.pi**2), rtol=1e-9)
    np.testing.assert_allclose(
        draw_moments(FM, expit, lambda l: 3 * expit(l) ** 2), uniform, rtol=1e-9
    )
    half = np.arctan(np.sinh(7.5))
    np.testing.assert_allclose(
        moments(stats.uniform(-15, 30)), (half, 22.5 * np.tanh(7.5)), rtol=1e-9
    )


def test_moments_of_a_draw_are_those_of_draws():
    rng = np.random.default_rng(0)
    logsnr, factor = FM.draw(400_000, rng, stratified=False)
    y = factor * gaussian_loss(logsnr, rng)
    for power, exact in enumerate(draw_moments(FM, expit, lambda l: 3 * expit(l) ** 2), 1):
        assert abs((y**power).mean() - exact) < 4 * (y**power).std() / np.sqrt(len(y))


def test_moments_that_are_not_finite_are_refused():
    for mean, second, says in ((np.log, expit, "mean"), (expit, np.log, "second")):
        with np.errstate(all="ignore"), pytest.raises(ValueError, match=f"{says} must be finite"):
            draw_moments(FM, mean, second)


def test_gaussian_tails_of_the_law_give_an_infinite_variance():
    for law in (dv.objective("edm").law, stats.norm(0, 2)):
        mean, second = moments(law)
        assert np.isinf(second) and mean == pytest.approx(np.pi / 2, rel=1e-9)


def test_validation_loss_is_the_loss_and_repeats():
    x = Gaussian().sample(4000, torch.Generator().manual_seed(1))
    denoise = Gaussian().denoise
    loss, error, each = validation_loss(denoise, x, FM)
    assert abs(loss - np.pi / 2) < 4 * error < 0.05 * loss
    assert each.shape == (4000,) and torch.equal(validation_loss(denoise, x, FM)[2], each)
    assert not torch.equal(validation_loss(denoise, x, FM, seed=1)[2], each)
    runs = torch.stack(
        [validation_loss(denoise, x[:500], FM, seed=i, levels=16)[0] for i in range(40)]
    )
    assert 0.3 < runs.std() / (error * 8**0.5) < 1.1  # the data stay, the noise changes


def test_validation_loss_shows_a_small_difference_of_two_models():
    x = Gaussian().sample(2000, torch.Generator().manual_seed(1))
    good = validation_loss(Gaussian().denoise, x, FM)
    worse = validation_loss(
        lambda z, logsnr: (1 + 0.5 * (-logsnr).sigmoid()[:, None]) * Gaussian().denoise(z, logsnr),
        x,
        FM,
    )
    gap = worse[2] - good[2]
    assert gap.mean() > 5 * gap.std() / len(gap) ** 0.5
    assert worse[0] - good[0] < 2 * torch.hypot(
        worse[1], good[1]
    )  # hidden where samples are not paired


def test_a_flat_model_has_the_loss_of_the_prior_variance():
    x = torch.ones(5, 2, 3, dtype=torch.float32)
    loss, error, _ = validation_loss(
        lambda z, logsnr: 0 * z, x, from_weighting(lambda l: np.exp(-l), stats.uniform(-3, 6))
    )
    assert loss == pytest.approx(6 * 6 / 2, rel=1e-6) and error < 1e-6


def test_bad_input_is_refused_with_the_way_out():
    for edges in ([0, 2, 1], [0, np.nan], [1.0]):
        with pytest.raises(ValueError, match="edges"):
            LossByLogSNR(edges)
    for decay in (0, 1, 1.5, -0.1, np.nan, (0.9, 1), [], [[0.9]]):
        with pytest.raises(ValueError, match="decay"):
            LossByLogSNR(EDGES, decay)
    tracker = LossByLogSNR(EDGES)
    for logsnr, loss in (
        (torch.zeros(4), torch.zeros(3)),
        (torch.zeros(4), torch.zeros(4, 2)),
        (np.zeros(4), 1.0),
        (0.0, 1.0),
    ):
        with pytest.raises(ValueError, match="one λ for each loss"):
            tracker.update(logsnr, loss)
    for other in (
        LossByLogSNR(EDGES[:-1]),
        LossByLogSNR(EDGES + 1e-3),
        LossByLogSNR(EDGES, 0.9),
        LossByLogSNR(EDGES, [0.99]),
    ):
        with pytest.raises(ValueError, match=r"this one has 100 bins on \[-10, 10\], decay 0.99"):
            tracker.merge(other)
        with pytest.raises(ValueError, match="other edges or decays"):
            tracker.load_state_dict(other.state_dict())
    with pytest.raises(
        ValueError, match=r"unknown rule 'kingma'; did you mean 'kingma-gao'.*lists all 5"
    ):
        AdaptiveObjective(FM, tracker, "kingma")
    for uniform in (0, -1, 1.1, np.nan):
        with pytest.raises(ValueError, match="uniform"):
            AdaptiveObjective(FM, tracker, uniform=uniform)
    with pytest.raises(ValueError, match="within the edges"):
        AdaptiveObjective(dv.objective("ncsnpp-ve"), LossByLogSNR([30, 31, 32]))
    for x, says in (
        (torch.ones(1, 2), "two or more samples"),
        (torch.ones(3, 2) * torch.nan, "x must be finite, got nan"),
    ):
        with pytest.raises(ValueError, match=says):
            validation_loss(Gaussian().denoise, x, FM)
    with pytest.raises(ValueError, match="samples with finite losses"):
        validation_loss(lambda z, logsnr: z * torch.nan, torch.ones(3, 2), FM)


@pytest.mark.parametrize("edges", [EDGES, UNEVEN], ids=["even", "uneven"])
@pytest.mark.parametrize(
    ("logsnr", "loss"),
    [(2.5, np.nan), (2.5, np.inf), (2.5, 1e200), (np.nan, 1.0), (np.nan, 0.0), (99, np.nan)],
)
def test_what_is_not_finite_is_named_and_counted_and_loses_nothing_else(edges, logsnr, loss):
    tracker, clean = LossByLogSNR(edges, buffer=8), LossByLogSNR(edges, buffer=8)
    for step in range(6):
        for one in (tracker, clean):
            one.update(np.array([0.0, 1.0]), np.array([1.0 + step, 3.0 - step]))
    tracker.update(np.array([0.0, logsnr]), np.array([7.0, loss]))
    clean.update(np.array([0.0]), np.array([7.0]))
    with pytest.warns(
        RuntimeWarning, match=f"loss {loss:g} at logsnr {logsnr:g}".replace("+", ".")
    ):
        curve = tracker.curve()
    np.testing.assert_allclose(curve, clean.curve(), rtol=1e-12)
    np.testing.assert_array_equal(tracker.count, clean.count)
    expected = np.zeros(len(edges) + 2)
    level = np.searchsorted(edges, logsnr, "right") if np.isfinite(logsnr) else -1
    expected[level] = 1
    np.testing.assert_array_equal(tracker.not_finite, expected)


def test_only_the_first_that_is_not_finite_warns_and_all_are_counted():
    tracker = LossByLogSNR([-1, 0, 1])
    tracker.update([-2.0, -0.5, 0.5, 2.0, np.nan], [np.nan, np.inf, 1.0, -np.inf, 1.0])
    with pytest.warns(RuntimeWarning, match="loss nan at logsnr -2"):
        tracker.flush()
    tracker.update([0.5, 0.5], [np.nan, 3.0])
    np.testing.assert_array_equal(tracker.not_finite, [1, 1, 1, 1, 1])
    np.testing.assert_array_equal(tracker.count, [0, 0, 2, 0])


def test_a_warning_that_is_an_error_still_loses_nothing():
    tracker = LossByLogSNR([-1, 0, 1])
    tracker.update([-0.5, 0.5], [np.nan, 2.0])
    with pytest.raises(RuntimeWarning, match=r"loss nan at logsnr -0\.5"):
        tracker.flush()
    assert tracker.mean[1] == 2 and tracker.not_finite.sum() == 1


def test_losses_of_half_precision_that_overflow_do_not_stop_a_run():
    tracker = LossByLogSNR(EDGES)
    level = torch.linspace(-9.9, 9.9, 100).half()
    error = (torch.linspace(0, 1000, 100).half()) ** 2  # infinite beyond 65504
    for _ in range(5):
        tracker.update(level, error)
    with pytest.warns(RuntimeWarning, match="loss inf at logsnr"):
        tracker.flush()
    assert tracker.not_finite.sum() == 5 * int(error.isinf().sum()) > 0
    assert tracker.count.sum() == 5 * int(error.isfinite().sum())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_levels_of_half_precision_lie_in_their_own_bins(dtype):
    level = torch.linspace(-9.95, 9.95, 200).to(dtype)
    half, whole = LossByLogSNR(EDGES), LossByLogSNR(EDGES)
    half.update(level, torch.ones(200).to(dtype))
    whole.update(level.double(), torch.ones(200))
    moved = abs(half.count - whole.count).sum()  # rounded levels may lie on an edge
    assert moved <= 2 * np.isin(level.double().numpy().round(6), EDGES.round(6)).sum()


def test_what_is_not_finite_travels_with_the_state():
    tracker = LossByLogSNR([-1, 0, 1])
    tracker.update([0.5], [np.nan])
    with pytest.warns(RuntimeWarning):
        tracker.flush()
    twice = tracker.merge(copy.deepcopy(tracker))
    np.testing.assert_array_equal(twice.not_finite, [0, 0, 2, 0, 0])
    loaded = LossByLogSNR([-1, 0, 1]).load_state_dict(tracker.state_dict())
    np.testing.assert_array_equal(loaded.not_finite, tracker.not_finite)


def test_a_loss_that_is_not_finite_is_found_without_reading():
    tracker = LossByLogSNR(EDGES, buffer=4)
    for loss in (1, np.nan, 1, 1):
        tracker.update(np.zeros(1), np.array([loss]))
    with pytest.warns(RuntimeWarning, match="loss nan at logsnr 0"):
        tracker.update(np.zeros(1), np.ones(1))


# batches of a finished run, and of one that returns nothing


def logged(folder, steps=40, n=50):
    """A run's log on disk, memory-mapped read-only: λ and loss, shape (steps, n)."""
    rng = np.random.default_rng(0)
    logsnr = rng.uniform(-12, 12, (steps, n))
    np.save(folder / "logsnr.npy", logsnr.astype("f4"))
    np.save(folder / "loss.npy", gaussian_loss(logsnr, rng).astype("f4"))
    return tuple(np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("logsnr", "loss"))


def test_batches_of_every_kind_are_those_taken_in_one_by_one(tmp_path):
    logsnr, loss = logged(tmp_path)
    plain = LossByLogSNR(EDGES)
    for pair in zip(logsnr, loss, strict=True):
        plain.update(*pair)
    tensors = [torch.from_numpy(np.array(one)) for one in (logsnr, loss)]
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(*(one.flatten() for one in tensors)), batch_size=50
    )
    mappings = [{"logsnr": a, "loss": b} for a, b in zip(logsnr, loss, strict=True)]
    for batches in (zip(logsnr, loss, strict=True), loader, mappings):
        tracker = LossByLogSNR(EDGES)
        tracker.update_many(batches)
        np.testing.assert_array_equal(tracker.curve(), plain.curve())


def test_a_large_batch_is_binned_piece_by_piece(tmp_path, monkeypatch):
    logsnr, loss = logged(tmp_path, steps=3, n=5000)
    whole = LossByLogSNR(EDGES)
    whole.update(logsnr, loss)
    whole.update(logsnr[:1], loss[:1])
    monkeypatch.setattr(tracking, "LARGE", 6000)
    pieces = LossByLogSNR(EDGES)
    pieces.update(logsnr, loss)
    assert not pieces._pairs  # no copy is kept
    pieces.update(logsnr[:1], loss[:1])
    np.testing.assert_allclose(pieces.curve(), whole.curve(), rtol=1e-12)
    np.testing.assert_array_equal(pieces.count, whole.count)
    spoilt = np.array(loss)
    spoilt[-1, -1] = np.nan
    with pytest.warns(RuntimeWarning, match="loss nan"):
        pieces.update(logsnr, spoilt)
    assert pieces.not_finite.sum() == 1
    with pytest.raises(ValueError, match="one λ for each loss"):
        pieces.update(logsnr, loss[0])


@pytest.mark.parametrize("batches", [3, [1.0], [(1.0, 2.0, 3.0)], [{"logsnr": [0.0]}]])
def test_what_is_no_pair_is_not_taken_in(batches):
    with pytest.raises(TypeError, match="batch"):
        LossByLogSNR(EDGES).update_many(batches)


def test_a_hook_takes_the_prediction_that_a_loop_keeps_to_itself():
    torch.manual_seed(0)
    network = torch.nn.Linear(3, 2)
    adam = torch.optim.Adam(network.parameters())
    drawn, losses = [], []

    def step(x):  # a loop of somebody else's, which returns nothing
        level = torch.rand(len(x)) * 20 - 10
        eps = torch.randn_like(x)
        z = level.sigmoid().sqrt()[:, None] * x + (-level).sigmoid().sqrt()[:, None] * eps
        drawn.append((level, eps))
        with torch.no_grad():
            network(torch.cat([z, level[:, None]], 1))  # such as self-conditioning
        error = (network(torch.cat([z, level[:, None]], 1)) - eps).square().sum(1)
        losses.append(error.detach().clone())
        adam.zero_grad()
        error.mean().backward()
        adam.step()

    def read(arguments, eps_hat):
        (inputs,) = arguments
        return inputs[:, -1], (eps_hat - drawn[-1][1]).square().sum(1)

    watched, plain = LossByLogSNR(EDGES), LossByLogSNR(EDGES)
    with watched.watch(network, read):
        for _ in range(5):
            step(torch.randn(40, 2))
        network.eval()
        network(torch.zeros(4, 3))  # a sampler
        network.train()
    step(torch.randn(40, 2))  # after the end
    for (level, _), error in zip(drawn[:5], losses[:5], strict=True):
        plain.update(level, error)
    np.testing.assert_array_equal(watched.curve(), plain.curve())
    assert watched.count.sum() == 200 and not network._forward_hooks


def test_a_hook_gets_arguments_by_keyword_behind_the_others():
    class Network(torch.nn.Module):
        def forward(self, z, logsnr):
            return z

    tracker, network = LossByLogSNR([-1, 0, 1]), Network()
    with tracker.watch(network, lambda arguments, output: (arguments[1], output[:, 0])):
        network(torch.ones(3, 2), logsnr=torch.full((3,), 0.5))
    np.testing.assert_array_equal(tracker.count, [0, 0, 3, 0])


def test_a_hook_on_what_is_no_network_is_refused():
    tracker = LossByLogSNR(EDGES)
    with pytest.raises(TypeError, match=r"network must be a torch.nn.Module"):
        tracker.watch(lambda z: z, lambda *_: None)
    with pytest.raises(TypeError, match="read must be a function"):
        tracker.watch(torch.nn.Linear(1, 1), None)


@pytest.mark.parametrize(
    ("logsnr", "loss", "says"),
    [
        (np.ma.masked_array(np.zeros(3)), np.ones(3), "logsnr is a masked array"),
        (np.zeros(3), np.ma.masked_array(np.ones(3), [True, False, False]), "loss is a masked"),
        (np.zeros(3), np.ones(3) * 1j, "loss must hold real numbers, got complex"),
        (torch.zeros(3) * 1j, torch.ones(3), "logsnr must hold real numbers, got complex"),
        (["a", "b"], [1.0, 2.0], "logsnr must hold real numbers, got text"),
        (np.zeros(3, "M8[s]"), np.ones(3), "logsnr must hold real numbers, got dates"),
        ([None, 0.0], [1.0, 2.0], "logsnr must hold real numbers, got objects"),
    ],
)
def test_what_are_no_real_numbers_is_not_taken_in(logsnr, loss, says):
    tracker = LossByLogSNR(EDGES)
    with pytest.raises(TypeError, match=says):
        tracker.update(logsnr, loss)
    assert tracker.count.sum() == 0


def test_batches_of_any_memory_layout_and_type_are_taken_in():
    plain, other = LossByLogSNR(EDGES), LossByLogSNR(EDGES)
    logsnr, loss = np.arange(-4, 4), np.arange(8)
    backwards = logsnr[::-1]
    backwards.flags.writeable = False
    plain.update(logsnr.astype(float), loss.astype(float))
    other.update(backwards, loss[::-1].tolist())
    np.testing.assert_allclose(other.curve(), plain.curve(), rtol=1e-12)


def test_settings_of_a_tracker_are_refused_with_their_names():
    for edges in (np.ma.masked_array([0.0, 1.0]), [0, 1j], ["a", "b"]):
        with pytest.raises(TypeError, match="edges"):
            LossByLogSNR(edges)
    for buffer, error in ((0, ValueError), (2.5, TypeError), (True, TypeError)):
        with pytest.raises(error, match="buffer must be"):
            LossByLogSNR(EDGES, buffer=buffer)
    assert LossByLogSNR(EDGES, buffer=np.int64(8)).buffer == 8


def test_tensors_without_values_and_sparse_ones_are_refused():
    tracker = LossByLogSNR(EDGES)
    for odd in (torch.zeros(2, device="meta"), torch.ones(2).to_sparse()):
        with pytest.raises(TypeError, match="logsnr must be a dense tensor"):
            tracker.update(odd, torch.ones(2))
        with pytest.raises(TypeError, match="loss must be a dense tensor"):
            tracker.update(torch.zeros(2), odd)


def test_a_damaged_state_is_refused():
    tracker = filled(batches=2)
    state = tracker.state_dict()
    cut = {name: state[name] for name in ("edges", "decay")}
    short = [state | {name: state[name][1:]} for name in ("averages", "not_finite")]
    lists = {name: value.tolist() for name, value in state.items()}
    for damaged in (cut, *short, state | {"averages": state["averages"][:, 1:]}, lists, {}, 3):
        with pytest.raises(ValueError, match="other edges or decays"):
            tracker.load_state_dict(damaged)
    with pytest.raises(ValueError, match="needs a state"):
        tracker.load_state_dict()
    with pytest.raises(TypeError, match="other must be a tracker, got 3"):
        tracker.merge(3)


def test_a_copied_tracker_goes_on_alone():
    tracker = filled(batches=3)
    tracker.update(np.zeros(5), np.ones(5))  # still in the buffer
    expected = copy.deepcopy(tracker).curve()
    copied = pickle.loads(pickle.dumps(tracker))
    np.testing.assert_array_equal(copied.curve(), expected)
    copied.update(np.zeros(5), np.full(5, 9.0))
    assert copied.curve().mean[50] > tracker.curve().mean[50]
    np.testing.assert_array_equal(tracker.curve(), expected)


def test_the_text_of_a_tracker_says_its_bins():
    assert repr(LossByLogSNR(EDGES)) == "LossByLogSNR(100 bins on [-10, 10], decay 0.99)"


def test_curves_have_names():
    tracker = filled(batches=3)
    curve, weighted = tracker.curve(), tracker.weighted(FM)
    np.testing.assert_array_equal(curve.mean, tracker.mean)
    np.testing.assert_array_equal(curve.stderr, tracker.stderr)
    assert (weighted.loss, weighted.stderr, weighted.seen) == tuple(weighted)


def test_an_adaptive_objective_refuses_what_it_cannot_follow():
    tracker = LossByLogSNR(EDGES)
    with pytest.raises(TypeError, match=r"must be an Objective: dv.objective\('fm-ot'\)"):
        AdaptiveObjective("fm-ot", tracker)
    with pytest.raises(TypeError, match="objective must be an Objective, got 3"):
        AdaptiveObjective(3, tracker)
    with pytest.raises(TypeError, match=r"tracker must be a dv\.LossByLogSNR"):
        AdaptiveObjective(FM, EDGES)
    for uniform in (True, "half", 1j):
        with pytest.raises(TypeError, match="uniform must"):
            AdaptiveObjective(FM, tracker, uniform=uniform)
    with pytest.raises(ValueError, match="unknown rule 3"):
        AdaptiveObjective(FM, tracker, rule=3)


def test_a_validation_loss_refuses_what_it_cannot_integrate():
    x = Gaussian().sample(5, torch.Generator().manual_seed(0))
    denoise = Gaussian().denoise
    for change, error, says in (
        ({"denoise": None}, TypeError, "denoise must be callable"),
        ({"objective": "fm-ot"}, TypeError, r"such as dv.objective\('fm-ot'\), got 'fm-ot'"),
        ({"x": x * 1j}, TypeError, "x must hold real numbers, got complex"),
        ({"x": x[:, 0]}, ValueError, r"samples \(n, \*shape\), got \(5,\)"),
        ({"levels": 0}, ValueError, "levels must be at least 1"),
        ({"seed": -1}, ValueError, "seed must be at least 0"),
        ({"denoise": lambda z, logsnr: z[:, 0]}, ValueError, "must return the shape of z"),
    ):
        with pytest.raises(error, match=says):
            validation_loss(**({"denoise": denoise, "x": x, "objective": FM} | change))
    whole = torch.tensor([[1], [2], [-1]])
    expected = validation_loss(lambda z, logsnr: 0 * z, whole.float(), FM, levels=np.int64(8))
    found = validation_loss(lambda z, logsnr: 0 * z, whole, FM, levels=8)
    assert torch.equal(found.each, expected.each)
    assert found.loss == found[0] and found.stderr == found[1]
