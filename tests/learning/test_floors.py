"""The floor between its bounds: the parts by a second route, the whole where it is known."""

import pickle

import numpy as np
import pytest
import torch
from numpy.polynomial.hermite_e import hermegauss
from scipy import fft, stats
from torch.utils.data import DataLoader, TensorDataset

import diffviz as dv
from diffviz.data import streams
from diffviz.learning.floors import kernels, linear, measure, own, parts
from diffviz.learning.floors.record import Floor

LEVELS = np.array([-6.0, -1.0, 2.0, 5.0])


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(n, d, seed=0):
    return torch.randn(n, d, generator=seeded(seed), dtype=torch.float64)


def points(x, **options):
    return parts.read(x, "data", np.random.default_rng(0), **options)


def floor_of_set(x, logsnr=LEVELS, draws=256, seed=0):
    rng = np.random.default_rng(seed)
    return own.own_floor(points(x), np.asarray(logsnr), draws, rng, seeded(seed), progress=False)


def bracket(x, logsnr=LEVELS, **options):
    return dv.floor(x, logsnr, progress=False, **options)


# --- the floor of the data set itself -----------------------------------------------------------


def half_mean_squared_distance(x, draws, logsnr):
    """Σ_j w_j ‖x_i − x_j‖² / 2 at each draw, straight from the posterior, shape (levels, q)."""
    found = np.empty((len(logsnr), len(draws.x)))
    for level, value in enumerate(logsnr):
        s = np.exp(-value / 2)
        y = draws.x + s * draws.eps
        weight = torch.softmax(-torch.cdist(y, x).square() / (2 * s**2), 1)
        found[level] = ((weight * torch.cdist(draws.x, x).square()).sum(1) / 2).numpy()
    return found


@pytest.fixture
def drawn(monkeypatch):
    """The noisy points of the last ``own_floor``."""
    kept = []
    monkeypatch.setattr(own, "Draws", lambda **given: kept.append(real(**given)) or kept[-1])
    return kept


real = own.Draws


def test_the_floor_of_a_set_is_that_of_its_posterior_group_by_group(drawn):
    x = points(normal(70, 3))
    result = floor_of_set(normal(70, 3), draws=200)
    (draws,) = drawn
    every = x.at(np.arange(70))
    each = np.exp(LEVELS)[:, None] * half_mean_squared_distance(every, draws, LEVELS)
    np.testing.assert_allclose(result.mean, each.mean(1), rtol=1e-9)

    group_of = {
        tuple(row): g for row, g in zip(draws.x.tolist(), draws.group.tolist(), strict=True)
    }
    groups = np.array([group_of[tuple(row)] for row in every.tolist()])
    assert sorted(np.bincount(groups)) == [2] * 26 + [3] * 6
    without = []
    for group in range(own.GROUPS):
        left = own.Draws(x=draws.x, eps=draws.eps, group=draws.group)
        kept = draws.group != group
        left = real(left.x[kept], left.eps[kept], left.group[kept])
        fewer = half_mean_squared_distance(every[groups != group], left, LEVELS)
        without.append(np.exp(LEVELS) * fewer.mean(1))
    spread = (own.GROUPS - 1) / own.GROUPS * ((without - np.mean(without, 0)) ** 2).sum(0)
    np.testing.assert_allclose(result.stderr, np.sqrt(spread), rtol=1e-6)


def test_half_a_mean_squared_distance_is_the_posterior_variance():
    x = torch.tensor([[-1.0], [0.2], [2.0]], dtype=torch.float64)
    nodes, weights = hermegauss(200)
    eps = torch.from_numpy(nodes)[:, None]
    levels = np.array([-4.0, 0.0, 2.0])
    mean = np.zeros(3)
    for point in x:
        draws = real(point.expand(200, 1), eps, torch.zeros(200))
        mean += half_mean_squared_distance(x, draws, levels) @ (weights / weights.sum()) / 3
    exact = dv.mixture(x.numpy(), 1e-6).mmse(levels)  # so narrow that the points are all
    np.testing.assert_allclose(np.exp(levels) * mean, exact, rtol=1e-6)


def test_the_floor_of_a_set_is_in_expectation_below_that_of_its_law_and_grows():
    """All sets of n coins, each with its probability."""
    levels = np.array([-3.0, 0.0])
    exact = dv.mixture([[-1.0], [1.0]], 1e-6).mmse(levels)
    means = []
    for n in (8, 16):
        shares = stats.binom(n, 0.5).pmf(np.arange(n + 1))
        sets = [np.repeat([[1.0], [-1.0]], [heads, n - heads], 0) for heads in range(n + 1)]
        floors = [
            floor_of_set(x, levels, draws=4096).mean if 0 < heads < n else np.zeros(2)
            for heads, x in enumerate(sets)
        ]
        means.append(shares @ floors)
    # at low SNR a set has the share 1 − 1/n of the variance; the draws leave 1 % of noise
    np.testing.assert_allclose(means[0][0] / exact[0], 1 - 1 / 8, atol=0.03)
    assert (means[0] < means[1]).all() and (means[1] < exact).all()


def test_the_floor_of_half_the_points_is_that_of_halves(drawn):
    x = normal(64, 2)
    result = floor_of_set(x, draws=640)
    (draws,) = drawn
    every = draws.x[: len(x)]
    group = draws.group[: len(x)]
    halves = []
    for first in (True, False):
        inside = (draws.group < own.GROUPS // 2) == first
        some = real(draws.x[inside], draws.eps[inside], draws.group[inside])
        among = every[(group < own.GROUPS // 2) == first]
        halves.append(half_mean_squared_distance(among, some, LEVELS).mean(1))
    np.testing.assert_allclose(result.half, np.exp(LEVELS) * np.mean(halves, 0), rtol=1e-9)


def test_work_is_bounded_by_fewer_draws_and_then_by_fewer_points():
    count, draws = own.plan(5000, 2, 9, None)
    assert (count, draws) == (5000, own.MOST_DRAWS)
    count, draws = own.plan(100_000, 4096, 25, None)
    assert count == 100_000 and own.LEAST_DRAWS < draws < own.MOST_DRAWS
    count, draws = own.plan(10**7, 4096, 25, None)
    assert count < 10**6 and draws == own.LEAST_DRAWS
    assert own.plan(100, 2, 9, 64) == (100, 64)


# --- denoisers ----------------------------------------------------------------------------------


def squared_errors(denoise, x, level):
    """Mean squared eps errors of a linear denoiser of y over the noise, by exact cubature."""
    d = x.shape[1]
    s = np.exp(-level / 2)
    corners = torch.cat([torch.eye(d), -torch.eye(d)]).double() * d**0.5
    each = [(denoise(x + s * eps) - x).square().sum(1) for eps in corners]
    return torch.stack(each).mean(0) / s**2


def dense(one, d):
    """The directions of a filter as columns, shape (d, k)."""
    return one.project(torch.eye(d, dtype=torch.float64))


@pytest.mark.parametrize("n", [12, 100], ids=["fewer points than numbers", "more"])
def test_a_filter_has_the_error_of_its_own_denoiser(n):
    shape = 2, 4, 4
    x = normal(n, 32) * torch.linspace(0.2, 2, 32) + 1
    tried = normal(5, 32, seed=1) + 1
    for one in linear.filters(x, shape):
        basis = dense(one, 32)
        k = basis.shape[1]
        np.testing.assert_allclose(basis.T @ basis, np.eye(k), atol=1e-10)
        for index, level in enumerate(LEVELS):
            noise = np.exp(-level)
            rest = one.rest / (one.rest + noise)
            gain = one.variances / (one.variances + noise) - rest

            def denoise(y, one=one, basis=basis, rest=rest, gain=gain):
                c = y - one.mean
                return one.mean + rest * c + (c @ basis * gain) @ basis.T

            errors = one.errors(tried, LEVELS)[index]
            np.testing.assert_allclose(errors, squared_errors(denoise, tried, level), rtol=1e-9)


def test_filters_use_cosines_channels_and_eigenvectors():
    shape = 2, 4, 4
    named = {one.name: one for one in linear.filters(normal(100, 32), shape)}
    images = normal(3, 32, seed=2)
    turned = named["Wiener, spectrum"].project.channels
    channels = torch.einsum("ac,nchw->nahw", turned, images.reshape(3, *shape))
    expected = fft.dctn(channels.numpy(), axes=(2, 3), norm="ortho").reshape(3, -1)
    np.testing.assert_allclose(named["Wiener, spectrum"].project(images), expected, atol=1e-12)

    stretched = normal(400, 6) @ torch.diag(torch.tensor([9.0, 1, 1, 1, 1, 1]).double())
    rotation = torch.linalg.qr(normal(6, 6, seed=3))[0]
    one = linear.filters(stretched @ rotation, (6,))[-1]
    assert one.name == "Wiener, covariance"
    assert abs(dense(one, 6)[:, -1] @ rotation[0]) > 0.99
    assert one.variances[-1] > 20 * one.variances[:-1].max()


def test_variances_are_of_points_that_the_eigenvectors_were_not_made_from():
    """In 60 dimensions the eigenvalues of 40 points of unit variance reach from 0 to 4."""
    one = linear.filters(normal(80, 60), (60,))[-1]
    values = np.linalg.eigvalsh(np.cov(normal(80, 60)[:40].T))
    assert values.max() > 3 and one.variances.max() < 2 and one.variances.min() > 0.3


def test_a_kernel_denoiser_is_that_of_the_kernel_density():
    x, tried, eps = normal(30, 2), normal(7, 2, seed=1), normal(7, 2, seed=2)
    ratios = np.array([0.25, 1.0, 4.0, 16.0])
    found = kernels.KernelDenoiser(x, LEVELS, ratios).errors(tried, eps)
    for level, ratio, errors in zip(LEVELS, ratios, found, strict=True):
        density = dv.mixture(x.numpy(), np.sqrt(ratio) * np.exp(-level / 2))
        alpha = (1 + np.exp(-level)) ** -0.5
        z = alpha * (tried + np.exp(-level / 2) * eps)
        expected = np.exp(level) * (density.denoise(z, level) - tried).square().sum(1)
        np.testing.assert_allclose(errors, expected, rtol=1e-8)


def test_the_ratio_of_the_kernels_is_the_best_on_points_of_their_own(monkeypatch):
    x = normal(60, 2)
    eps = normal(50, 2, seed=1)
    chosen = kernels.kernel_denoiser(x, LEVELS, eps)
    tried = x[30:][torch.arange(50) % 30]
    means = []
    for ratio in kernels.RATIOS:
        one = kernels.KernelDenoiser(x[:30], LEVELS, np.full(4, ratio))
        means.append(one.errors(tried, eps).mean(1).numpy())
    np.testing.assert_array_equal(chosen.ratios, np.array(kernels.RATIOS)[np.argmin(means, 0)])
    assert len(chosen.points) == 60
    monkeypatch.setattr(kernels, "SLICE", 100)  # three points at once
    again = kernels.kernel_denoiser(x, LEVELS, eps)
    np.testing.assert_array_equal(again.ratios, chosen.ratios)
    np.testing.assert_allclose(again.errors(tried, eps), chosen.errors(tried, eps), rtol=1e-12)


def reported(*halves):
    """What is reported of the errors (levels, n) of denoisers on two halves."""
    return measure._reported(
        tuple({name: measure._loss(errors) for name, errors in half.items()} for half in halves)
    )


def test_each_half_chooses_for_the_other():
    first = {"mean": torch.tensor([[2.0, 4.0]]), "kernels": torch.tensor([[1.0, 3.0]])}
    second = {"mean": torch.tensor([[5.0, 6.0, 7.0]]), "kernels": torch.tensor([[8.0, 9.0, 10.0]])}
    mean, stderr, method = reported(first, second)
    # the first half prefers kernels, which are 9 on the second, which prefers the mean, there 3
    np.testing.assert_allclose(mean, [(9 + 3) / 2])
    np.testing.assert_allclose(stderr, [np.sqrt(1 / 3 + 1 + 2 * 0.36 * 3**-0.5) / 2])
    assert method == ("kernels or mean",)


@pytest.mark.parametrize("k", [2, 3, 5])
def test_halves_that_choose_for_each_other_are_correlated_by_no_more_than_is_allowed_for(k):
    """The formula for equal denoisers, against the choice itself."""
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, 200_000, k))
    rows = np.arange(len(first))
    reports = second[rows, first.argmin(1)], first[rows, second.argmin(1)]
    least = first.min(1).mean()
    correlation = np.mean(reports[0] * reports[1])
    assert correlation == pytest.approx(least**2 / (k - 1), abs=0.02)  # 7 standard errors
    assert correlation < measure.CORRELATION + 0.02


def test_among_equals_the_simpler_denoiser_is_chosen():
    trial = {
        "mean": torch.full((1, 3), 1.002),
        "kernels": torch.ones(1, 3),
    }
    assert reported(trial, trial)[2] == ("mean",)


def test_no_bound_is_above_the_number_of_components():
    trial = {"z/alpha": torch.full((1, 2), 2.0), "kernels": torch.tensor([[1.9, 2.05]])}
    other = {"z/alpha": torch.full((1, 2), 2.0), "kernels": torch.tensor([[2.1, 2.3]])}
    mean, stderr, method = reported(trial, other)
    assert (mean[0], stderr[0], method[0]) == (2.0, 0.0, "z/alpha")  # the halves report 2.2 and 2


# --- the bracket --------------------------------------------------------------------------------


def outside(band, truth, errors):
    """Whether the truth is outside a bracket, with some errors on each side, by level."""
    spare = 1e-9 * truth
    too_high = band.lower - errors * band.lower_stderr > truth + spare
    return too_high | (band.upper + errors * band.upper_stderr < truth - spare)


@pytest.mark.parametrize(
    "variances",
    [np.ones(2), 1 / np.arange(1, 65.0), 1 / np.arange(1, 3073.0) ** 0.5],
    ids=["2", "64", "3,072"],
)
def test_the_floor_of_a_gaussian_is_in_the_bracket(variances):
    d = len(variances)
    shape = (3, 32, 32) if d == 3072 else (d,)
    x = (normal(200, d) * torch.from_numpy(variances).sqrt()).reshape(200, *shape)
    logsnr = np.array([-8.0, -3.0, 0.0, 4.0, 9.0])
    truth = (variances / (variances + np.exp(-logsnr)[:, None])).sum(1)
    band = bracket(x, logsnr, draws=128)
    assert not outside(band, truth, 5).any()
    assert (band.upper < 1.35 * truth).all()  # no plug-in filter is this near


@pytest.mark.parametrize("name", ["gmm1", "ring8", "circle", "checkerboard"])
def test_the_floor_of_a_toy_is_in_the_bracket(name):
    toy = dv.toy(name)
    logsnr = np.array([-6.0, 0.0, 3.0, 6.0])
    band = bracket(toy.sample(1000, seeded(1)), logsnr, draws=400)
    truth = toy.mmse(logsnr)
    assert not outside(band, truth, 5).any()
    assert (band.lower[:2] > 0.8 * truth[:2]).all() and (band.upper[:2] < 1.3 * truth[:2]).all()


def test_the_upper_bound_is_no_memory():
    """What the 30 points of its own make easy stays hard on others."""
    x = normal(60, 64)
    band = bracket(x, [6.0], draws=64)
    truth = 64 / (1 + np.exp(-6.0))
    assert band.lower < 1e-3 and band.upper > 0.97 * truth


@pytest.mark.parametrize("given", [False, True], ids=["kernels", "a denoiser"])
def test_data_may_be_sorted_by_class(given):
    """The first class alone has a floor of 0.001 at this level, both together one of 0.8."""
    toy = dv.mixture([[-20.0, 0.0], [20.0, 0.0]], [0.01, 1.0])
    x = toy.sample(1200, seeded())
    in_order = x[x[:, 0].argsort()]
    options = {"denoiser": toy, "held_out": in_order[::2]} if given else {}
    band = bracket(in_order[1::2], [2.0], draws=64, **options)
    truth = toy.mmse([2.0])
    assert abs(band.tried["network" if given else "kernels"].mean / truth - 1) < 0.3
    assert not outside(band, truth, 5).any()


def test_each_part_of_the_points_is_in_a_random_order():
    x = torch.arange(600.0)[:, None]
    parts_of = parts.divide(points(x), None, np.random.default_rng(0))
    every = [parts_of.made_from, *parts_of.halves]
    assert sorted(torch.cat(every).flatten().tolist()) == (x - 299.5).flatten().tolist()
    for part in every:
        head = part[: len(part) // 4].flatten()
        assert stats.kstest(head.numpy(), stats.uniform(-300, 600).cdf).pvalue > 1e-3


@pytest.mark.parametrize("points", [2, 4, 16])
def test_two_errors_of_few_points_hold_as_often_as_those_of_many(points):
    """Each of 40,000 levels is a set. Without Student's quantile two points have a rate of 0.82."""
    halves = torch.randn(2, 40_000, points, generator=seeded(), dtype=torch.float64)
    mean, stderr, _ = reported({"mean": halves[0]}, {"mean": halves[1]})
    stderr = stderr / np.sqrt(1.36)  # the halves are independent here
    rate = np.mean(abs(mean) < 2 * stderr * measure._wider_of_few(points, points))
    assert rate == pytest.approx(2 * stats.norm.cdf(2) - 1, abs=0.01)


@pytest.mark.slow
def test_the_bracket_holds_as_often_as_two_errors_claim():
    """95 % or more; with this many sets fewer successes have a probability below 1e-6."""
    toy = dv.toy("gmm1")
    logsnr = np.array([-2.0, 3.0])
    truth = toy.mmse(logsnr)
    sets = 200
    failed = np.zeros(2)
    for seed in range(sets):
        band = bracket(toy.sample(200, seeded(seed)), logsnr, draws=200, seed=seed)
        failed += outside(band, truth, 2)
    assert (failed <= stats.binom(sets, 0.05).isf(1e-6)).all(), failed


def test_more_points_bring_the_bounds_together():
    toy = dv.toy("moons")
    x = toy.sample(4000, seeded())
    few, many = (bracket(x[:n], [5.0], draws=512) for n in (100, 4000))
    assert many.lower > few.lower + 3 * few.lower_stderr
    assert many.upper - many.lower < (few.upper - few.lower) / 2
    assert few.lower_of_half < few.lower


def test_levels_far_out_are_finite():
    band = bracket(normal(40, 3), [-40.0, 40.0])
    np.testing.assert_allclose(band.upper[1], 3)
    np.testing.assert_allclose(band.lower[1], 0, atol=1e-12)
    np.testing.assert_allclose(band.lower[0] * np.exp(40), 3, rtol=0.5)


@pytest.mark.parametrize("power", [-20, 20])
def test_the_scale_of_the_data_only_moves_the_floor_along_log_snr(power):
    x = normal(40, 2).float()
    shift = 2 * power * np.log(2)
    near = bracket(x, [-2.0, 0.0, 3.0], draws=64)
    far = bracket(2.0**power * x, np.array([-2.0, 0.0, 3.0]) - shift, draws=64)
    np.testing.assert_allclose(far.lower, near.lower, rtol=1e-9)
    np.testing.assert_allclose(far.upper, near.upper, rtol=1e-9)


def test_points_beyond_the_digits_of_the_noise_are_told_apart():
    """Rounding of products of 1e30 is larger than the noise by any measure."""
    band = bracket(1e30 * normal(40, 2), [0.0, 40.0], draws=64)
    np.testing.assert_array_equal(band.lower, 0)
    np.testing.assert_array_equal(band.upper, 2)


def test_points_far_from_zero_and_copies_lose_no_digits():
    x = normal(50, 2).float()
    near, far = (floor_of_set(x.double() + shift, [3.0]) for shift in (0.0, 4096.0))
    np.testing.assert_allclose(far.mean, near.mean, rtol=1e-3)  # float32 is that coarse there
    doubled = floor_of_set(torch.cat([x, x]), [30.0])
    np.testing.assert_allclose(doubled.mean, 0, atol=1e-12)


def test_the_same_seed_gives_the_same_bytes():
    x = normal(40, 2)
    one, two, other = (bracket(x, seed=seed) for seed in (1, 1, 2))
    assert one.upper.tobytes() == two.upper.tobytes() and one.lower.tobytes() == two.lower.tobytes()
    assert one.lower.tobytes() != other.lower.tobytes()


# --- what comes in ------------------------------------------------------------------------------


def test_a_mapped_file_and_batches_give_what_the_array_gives(tmp_path):
    x = normal(60, 6).float().reshape(60, 2, 3)
    x.numpy().tofile(tmp_path / "x")
    mapped = np.memmap(tmp_path / "x", "f4", "r", shape=(60, 2, 3))
    batches = DataLoader(TensorDataset(x), batch_size=7)
    expected = bracket(x)
    for data in (x.numpy(), mapped, batches):
        found = bracket(data)
        np.testing.assert_array_equal(found.lower, expected.lower)
        np.testing.assert_array_equal(found.upper, expected.upper)
        assert found.shape == (2, 3) and found.points == 60


def test_images_of_uint8_are_scaled_as_for_training():
    images = np.random.default_rng(0).integers(0, 256, (40, 4, 4), np.uint8)
    np.testing.assert_allclose(bracket(images).lower, bracket(images / 127.5 - 1).lower, rtol=1e-5)


def test_of_many_batches_each_point_is_kept_alike(monkeypatch):
    monkeypatch.setattr(parts, "HELD", 40)  # numbers, of points of two
    x = torch.arange(100.0).repeat_interleave(2).reshape(100, 2)
    batches = streams.Batches([x[:30], x[30:37], x[37:]])
    counts = np.zeros(100)
    for seed in range(200):
        kept, total = parts._kept(batches, np.random.default_rng(seed))
        values = kept.values[:, 0].int().tolist()
        assert total == 100 and len(set(values)) == 20
        counts[values] += 1
    low, high = stats.binom(200, 0.2).isf([1 - 1e-6, 1e-6])
    assert (counts >= low).all() and (counts <= high).all()
    band = bracket(batches)
    assert band.points == 20 and band.total == 100
    assert "lower is from 20 of 100 points" in band.text()


def test_parts_of_the_points_are_named_with_the_side_on_which_they_leave_a_bound(monkeypatch):
    monkeypatch.setattr(kernels, "WORK", 2.0**20)
    monkeypatch.setattr(own, "WORK", 2.0**22)
    lower, upper = bracket(normal(400, 2)).notes
    assert lower.startswith("lower is from ") and "of 400 points" in lower and "smaller" in lower
    assert upper.startswith("filters are made from 200, kernels from ") and "larger" in upper


def test_a_denoiser_is_tried_on_points_that_it_was_not_trained_on():
    toy = dv.toy("ring8")
    x, held = toy.sample(30, seeded(0)), toy.sample(400, seeded(1))
    band = bracket(x, [3.0, 5.0], denoiser=toy, held_out=held)
    assert band.method == ("network", "network")
    truth = toy.mmse([3.0, 5.0])
    assert (abs(band.upper - truth) < 5 * band.upper_stderr).all()
    function = bracket(x, [3.0, 5.0], denoiser=toy.denoise, held_out=held)
    np.testing.assert_array_equal(function.upper, band.upper)
    # both halves chose the network, so that its loss is the bound
    np.testing.assert_allclose(band.tried["network"].mean, band.upper, rtol=1e-12)
    ratio = band.tried["network"].stderr / band.upper_stderr
    assert (ratio < 1).all() and (ratio > 0.85).all()
    np.testing.assert_allclose(band.tried["z/alpha"].mean, 2)
    assert "network" in [line.get_gid() for line in band.plot().lines]


def returning(toy, target):
    """The denoiser of a toy that returns another target, or nothing."""

    def denoise(z, logsnr):
        alpha, sigma = logsnr.sigmoid().sqrt()[:, None], (-logsnr).sigmoid().sqrt()[:, None]
        x_hat = toy.denoise(z, logsnr)
        eps_hat = (z - alpha * x_hat) / sigma
        known = {"x": x_hat, "eps": eps_hat, "v": alpha * eps_hat - sigma * x_hat, "nothing": 0 * z}
        return known[target]

    return denoise


@pytest.mark.parametrize("target", ["eps", "v"])
def test_a_network_that_returns_another_target_is_refused_with_the_formula(target):
    toy = dv.toy("ring8")
    x, held = toy.sample(100, seeded(0)), toy.sample(200, seeded(1))
    options = {"held_out": held, "draws": 64}
    formula = {"eps": "(z - sigma * eps_hat) / alpha", "v": "alpha * z - sigma * v_hat"}[target]
    levels = [-6.0, -2.0, 0.0, 2.0, 6.0]
    with pytest.raises(ValueError, match="near to " + target) as refusal:
        bracket(x, levels, denoiser=returning(toy, target), **options)
    assert formula in str(refusal.value)

    # what the message says makes x_hat of it
    def wrapped(z, logsnr):
        scale = {"sigma": (-logsnr).sigmoid().sqrt(), "alpha": logsnr.sigmoid().sqrt()}
        scale = {name: value[:, None] for name, value in scale.items()}
        output = {f"{target}_hat": returning(toy, target)(z, logsnr)}
        return eval(formula, {"z": z} | scale | output)

    again, expected = (
        bracket(x, levels, denoiser=one, **options).tried["network"].mean for one in (wrapped, toy)
    )
    np.testing.assert_allclose(again, expected, rtol=1e-4)


def test_a_network_is_not_tried_on_points_that_float32_rounds():
    x, held = 1e4 + normal(200, 2), 1e4 + normal(40, 2, seed=1)
    options = {"denoiser": lambda z, logsnr: z, "held_out": held, "draws": 32}
    assert "network" in bracket(x, [3.0, 9.0], **options).tried
    # half of 2^-10, the distance of numbers between 8192 and 16384, and exp(-7)
    with pytest.raises(ValueError, match=r"rounds by 0\.0006, .* logsnr 14 is 0\.00091; train"):
        bracket(x, [3.0, 14.0], **options)


def test_a_network_that_knows_nothing_is_doubted_and_not_refused():
    toy = dv.toy("ring8")
    x, held = toy.sample(100, seeded(0)), toy.sample(200, seeded(1))
    for target, doubted in (("nothing", True), ("x", False)):
        options = {"denoiser": returning(toy, target), "held_out": held, "draws": 64}
        assert (
            "times that of z/alpha" in bracket(x, [-6.0, 0.0, 6.0], **options).text()
        ) == doubted


def test_a_denoiser_that_remembers_is_not_believed():
    """On its own points it is far below the floor of the law, on others above it."""
    toy = dv.toy("gaussian")
    x, held = toy.sample(30, seeded(0)), toy.sample(200, seeded(1))
    memory = dv.dataset(x.numpy(), bandwidth=1e-3, unit=False)
    band = bracket(x, [6.0], denoiser=memory, held_out=held)
    assert band.lower < 0.7 * toy.mmse([6.0]) and band.upper > 0.99 * toy.mmse([6.0])
    with pytest.raises(ValueError, match="held_out"):
        bracket(x, [6.0], denoiser=memory)


def test_copies_among_the_points_are_named():
    x = normal(40, 3)
    assert not bracket(x).notes
    (note,) = bracket(torch.cat([x, x])).notes
    assert "copies among the others" in note


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data": normal(7, 2)}, "8 or more points"),
        ({"data": np.zeros(100)}, r"data\[:, None\]"),
        ({"data": normal(40, 2).index_fill(0, torch.tensor([3]), np.nan)}, "at place 3"),
        ({"data": dv.toy("ring8")}, "toy.mmse"),
        ({"data": iter([normal(40, 2)])}, "used up"),
        ({"logsnr": [1.0, 0.0]}, "increasing"),
        ({"logsnr": [[0.0, 1.0]]}, "increasing"),
        ({"logsnr": [0.0, 41.0]}, "41"),
        ({"draws": 8}, "draws must be at least 32"),
        ({"progress": 2}, "progress"),
        ({"held_out": normal(40, 3)}, "shape"),
        ({"held_out": normal(4, 2)}, "held_out must be 8"),
        ({"denoiser": 3, "held_out": normal(40, 2)}, "denoiser must have a method"),
        ({"denoiser": lambda z, l: z[:, :1], "held_out": normal(40, 2)}, "shape of z"),
        ({"denoiser": lambda z, l: z * np.nan, "held_out": normal(40, 2)}, "NaN"),
        ({"denoiser": lambda z, l: (z,), "held_out": normal(40, 2)}, "a tensor like z, got tuple"),
        ({"data": torch.ones(40, 2)}, "different points"),
        ({"data": torch.ones(40, 8, 8, 3)}, "channels last"),
        ({"data": normal(40, 2) * 1e200}, "too large for float32, the first at place 0"),
        ({"data": normal(40, 2) + 1e6}, r"mean reaches 1e\+06.* 0.062 apart.*subtract the mean"),
    ],
)
def test_what_cannot_be_bracketed_is_refused(change, words):
    call = {"data": normal(40, 2), "logsnr": [0.0, 1.0], "progress": False} | change
    with pytest.raises((TypeError, ValueError), match=words):
        dv.floor(call.pop("data"), call.pop("logsnr"), **call)


# --- the record ---------------------------------------------------------------------------------


def record(**changes):
    fields = {
        "logsnr": np.array([-4.0, 0.0, 4.0, 8.0, 12.0]),
        "lower": np.array([0.1, 0.5, 1.0, 0.8, 0.01]),
        "upper": np.array([0.1, 0.54, 1.6, 1.6, 2.0]),
        "lower_stderr": np.array([0.01, 0.02, 0.01, 0.02, 0.001]),
        "upper_stderr": np.array([0.01, 0.02, 0.1, 0.01, 0.0]),
        "method": ("mean", "mean", "kernels", "kernels", "z/alpha"),
        "tried": {},
        "lower_of_half": np.array([0.1, 0.48, 1.0, 0.48, 0.005]),
        "points": 100,
        "total": 100,
        "shape": (2,),
    }
    return Floor(**(fields | changes))


def test_the_record_says_what_would_settle_each_level():
    band = record()
    np.testing.assert_array_equal(band.known(), [True, True, False, False, False])
    np.testing.assert_array_equal(record().known(0.5), [True, True, True, True, False])
    # 0.9 · 1.6 − 0.8 are two doublings by 0.32
    np.testing.assert_allclose(band.more_points(), [1, 1, np.inf, 4, np.inf])
    assert band.text().splitlines() == [
        "floor: 100 points of shape 2, eps error summed over components",
        "known within 10% or two errors: λ from -4 to 0",
        "more points would settle: λ = 8 (4 times as many, at the rate of the last doubling)",
        "a better denoiser would settle: λ = 4",
        "more than 100 times as many points needed: λ = 12",
        "widest: 0.01 ± 0.001 to 2 ± 0 at λ = 12",
        "upper bound by: mean (λ from -4 to 0), kernels (λ from 4 to 8), z/alpha (λ = 12)",
    ]
    assert str(band) == repr(band) == band.text()


def test_bounds_that_contradict_each_other_are_named_and_not_known():
    changes = {"lower": np.array([0.1, 0.65, 1.0, 0.8, 0.01])}
    near = record(**changes)  # 0.11 above, with an error of 0.028 twice the distance is 4
    far = record(lower=np.array([0.1, 0.66, 1.0, 0.8, 0.01]))
    assert near.known()[1] and not far.known()[1] and np.isinf(far.more_points()[1])
    assert "contradict" not in near.text()
    assert "bounds contradict each other: λ = 0 (the points are not independent" in far.text()
    other = bracket(normal(300, 2), [-3.0], held_out=0.2 * normal(300, 2, seed=1), draws=64)
    assert "contradict" in other.text() and not other.known().any()


def test_the_record_travels_and_is_shown():
    band = record(notes=("a <note>",))
    again = pickle.loads(pickle.dumps(band))
    np.testing.assert_array_equal(again.upper, band.upper)
    page = band._repr_html_()
    assert page.count("<svg") == 2 and "a &lt;note&gt;" in page
    one = bracket(normal(40, 2), 0.0)
    assert one.lower.shape == (1,) and "<svg" not in one._repr_html_()


def test_excess_is_between_the_loss_over_both_bounds():
    excess = record().excess([0.1, 0.6, 2.0, 2.0, 2.0], stderr=0.1)
    np.testing.assert_allclose(excess.least, [0, 0.06, 0.4, 0.4, 0])
    np.testing.assert_allclose(excess.most, [0, 0.1, 1.0, 1.2, 1.99])
    np.testing.assert_allclose(excess.stderr_of_least, np.hypot(0.1, [0.01, 0.02, 0.1, 0.01, 0]))
    np.testing.assert_allclose(excess.stderr_of_most, np.hypot(0.1, record().lower_stderr))
    with pytest.raises(ValueError, match="shape"):
        record().excess([1.0, 2.0])


def test_the_band_is_two_errors_wider_and_in_any_base():
    low, high = record().band()
    np.testing.assert_allclose(low, [0.08, 0.46, 0.98, 0.76, 0.008])
    np.testing.assert_allclose(high, [0.12, 0.58, 1.8, 1.62, 2.0])
    np.testing.assert_allclose(record().band("x")[1], high * np.exp(-record().logsnr))
    np.testing.assert_allclose(record().band(errors=0)[0], record().lower)


def test_the_plot_has_both_bounds_and_the_band():
    ax = record().plot("x")
    (shade,) = (one for one in ax.collections if one.get_gid() == "floor")
    corners = shade.get_paths()[0].vertices
    expected = record().band("x")
    assert np.isclose(corners[:, 1].max(), expected[1].max())
    lines = {line.get_gid(): line for line in ax.lines}
    gain = np.exp(-record().logsnr)
    np.testing.assert_allclose(lines["upper"].get_ydata(), gain * record().upper)
    np.testing.assert_allclose(lines["lower"].get_ydata(), gain * record().lower)
    assert ax.get_yscale() == "log"


def test_a_tracker_is_drawn_over_the_band():
    tracker = dv.LossByLogSNR([-4.0, 0.0, 4.0], decay=[0.5, 0.9])
    tracker.update([-3.0, -1.0, 2.0, 3.0], [0.25, 0.75, 1.0, 1.2])
    ax = tracker.plot(floor=record())
    assert [line.get_gid() for line in ax.lines][::2] == ["decay 0.5", "decay 0.9"]
    assert "floor" in [shade.get_gid() for shade in ax.collections]
    np.testing.assert_allclose(ax.lines[0].get_ydata(), tracker.mean[0])
    assert "floor" not in [shade.get_gid() for shade in tracker.plot().collections]
    with pytest.raises(TypeError, match="floor must be what"):
        tracker.plot(floor=[1.0])
