import hashlib
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats

from diffviz import data
from diffviz.data import TOYS, dataset, load, mixture, toy

FOLDER = Path(__file__).parents[1] / "data"
LEVELS = np.arange(-8, 9, 2.0)
MMSE = {  # -8, -6 ... 8: quadrature of an independent prototype
    "gaussian": "3.353501304665e-4 2.472623156635e-3 1.798620996209e-2 0.1192029220221 0.5 0.8807970779779 0.9820137900379 0.9975273768434 0.9996646498695",
    "gmm1": "3.001489253548e-4 2.213568343560e-3 1.612654893948e-2 0.1075700840095 0.4184057103386 0.3960277676905 0.7311639987700 0.9511844339251 0.9930720646265",
    "ring8": "1.347651069961e-3 9.915182823173e-3 7.101299762838e-2 0.4258041251775 1.106137538037 0.6435606738823 0.7065484114606 1.602724352524 1.935085125847",
}
SMALL = [name for name in TOYS if name not in ("digits", "fashion")]
PLANE = ["gmm2d", "ring8", "moons", "circle", "checkerboard"]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def channel(logsnr):
    level = torch.tensor(logsnr, dtype=torch.float64)
    return level.sigmoid().sqrt(), (-level).sigmoid().sqrt()


def noised(law, logsnr, n=40, seed=0):
    """z, and the noise in it."""
    (alpha, sigma), generator = channel(logsnr), seeded(seed)
    x = law.sample(n, generator)
    eps = torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return alpha * x + sigma * eps, eps


@pytest.mark.parametrize("name", MMSE)
def test_mmse_has_the_reference_values(name):
    np.testing.assert_allclose(toy(name).mmse(LEVELS), np.array(MMSE[name].split(), float), rtol=1e-9)


def test_mmse_of_the_circle_has_the_reference_values():
    want = [3.35406369751e-4, 2.47568387093e-3, 1.81494229658e-2, 0.126742489794, 0.654851196937]
    np.testing.assert_allclose(toy("circle").mmse(LEVELS[:5]), want, rtol=1e-10)


@pytest.mark.parametrize("level", [-3.0, 2.0, 4.0, 6.0, 8.0])
def test_mmse_of_the_circle_agrees_with_adaptive_quadrature(level):
    alpha, sigma = (float(one) for one in channel(level))

    def error(r):  # 1 − (I₁/I₀)², against the Rice density of r
        k = alpha * r / sigma**2
        ratio = special.ive(1, k) / special.ive(0, k)
        return (1 - ratio**2) * stats.rice.pdf(r, alpha / sigma, scale=sigma)

    found = integrate.quad(error, max(0, alpha - 9 * sigma), alpha + 9 * sigma, epsabs=0, epsrel=1e-12, limit=500)[0]
    assert toy("circle").mmse(level) == pytest.approx(math.exp(level) * found, rel=1e-10)


def test_the_series_of_the_bessel_ratio_joins_the_ratio():
    alpha, sigma = channel(math.log(100.0))
    r = torch.linspace(1.9, 2.5, 20, dtype=torch.float64)[:, None]
    k = (alpha * r / sigma**2)[:, 0].numpy()
    assert k.min() < 200 < k.max()
    ratio = special.ive(1, k) / special.ive(0, k)
    found = toy("circle").law.posterior(torch.cat([r, 0 * r], 1), alpha, sigma).error
    np.testing.assert_allclose(found, 100 * (1 - ratio) * (1 + ratio), rtol=2e-12)


def test_mmse_of_the_circle_tends_to_its_dimension():
    np.testing.assert_allclose(
        toy("circle").mmse([2, 4, 6, 8, 30]), [1.09497021896, 1.00961559841, 1.00124714146, 1.00016787219, 1], 1e-9
    )


@pytest.mark.parametrize("name", SMALL)
def test_mmse_is_the_slope_of_the_information(name):
    known, (low, high) = toy(name), (0.5 - 1e-3, 0.5 + 1e-3)

    def information(level):
        return known.entropy(level) - math.prod(known.shape) / 2 * math.log(2 * math.pi * math.e / (1 + math.exp(level)))

    slope = (information(high) - information(low)) / (high - low)
    assert 2 * slope == pytest.approx(float(known.mmse(0.5)), rel=1e-6)


def test_information_of_the_ring_has_the_reference_values():
    want = [0.0361527728, 0.2403220995, 1.0419387077, 2.0319476070, 2.5150843681, 3.6957136348]
    levels = np.arange(-4, 7, 2.0)
    found = [toy("ring8").entropy(one) - math.log(2 * math.pi * math.e) + np.logaddexp(0, one) for one in levels]
    np.testing.assert_allclose(found, want, atol=2e-10)


@pytest.mark.parametrize(
    ("name", "value"),
    [("gaussian", 1.4189385332), ("gmm1", 0.5419236198), ("ring8", 0.3121484221), ("checkerboard", math.log(32))],
)
def test_entropy_has_the_reference_values(name, value):
    assert toy(name).entropy() == pytest.approx(value, abs=3e-10)


@pytest.mark.parametrize(("name", "value"), [("gaussian", 1), ("gmm1", 20.8106273317), ("ring8", 200)])
def test_fisher_information_has_the_reference_values(name, value):
    assert toy(name).fisher() == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "points", "values"),
    [
        ("gmm1", [-1.5, -0.5, 0.5, 1.2], [-0.9189385332, -6.4711258526, 0.3338244354, -5.7911755647]),
        ("gmm2d", [(0, 0), (-1.2, -0.4), (0.9, 0.8), (1.5, -1.5)], [-4.43063175, -0.69825168, -0.63359682, -4.18102062]),
        ("ring8", [(2, 0), (1.9, 0.1), (2.4, 0.3), (1, 0.5)], [0.6878515779, -0.3121484221, -11.8121484221, -49.68010868]),
    ],
)
def test_log_density_has_the_reference_values(name, points, values):
    z = np.array(points, dtype=float).reshape(4, -1)
    np.testing.assert_allclose(toy(name).log_prob(z), values, atol=5e-9)


@pytest.mark.parametrize("level", [-40.0, -12.0, 0.0, 6.0, 40.0])
@pytest.mark.parametrize("name", SMALL)
def test_score_is_the_gradient_and_tweedie_holds(name, level):
    known, (alpha, sigma) = toy(name), channel(level)
    z = noised(known, level)[0].requires_grad_()
    gradient = torch.autograd.grad(known.log_prob(z, level).sum(), z)[0]
    score = known.score(z, level)
    assert (sigma * (gradient - score)).abs().max() < 1e-8
    # at 40, x_hat is z to rounding and sigma is 2e-9
    assert ((alpha * known.denoise(z, level) - z - sigma**2 * score) / sigma).abs().max() < (1e-6 if level == 40 else 1e-11)


@pytest.mark.parametrize("level", [-5.0, 1.0, 5.0])
@pytest.mark.parametrize("name", PLANE)
def test_the_spread_of_the_noise_is_the_trace_of_the_jacobian(name, level):
    """Cov[x|z] = (sigma²/alpha) ∂x_hat/∂z, in closed form on one side and by differentiation on the other."""
    known, (alpha, sigma) = toy(name), channel(level)
    z = noised(known, level)[0]
    jacobian = torch.func.vmap(torch.func.jacrev(lambda one: known.denoise(one[None], torch.tensor(level))[0]))(z)
    found = known.law.posterior(z, alpha, sigma).error
    torch.testing.assert_close(found, alpha * jacobian.diagonal(dim1=1, dim2=2).sum(1), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("level", [-2.0, 3.0])
@pytest.mark.parametrize("name", [*PLANE, "digits"])
def test_mmse_is_the_mean_squared_error(name, level):
    known, (alpha, sigma) = toy(name), channel(level)
    z, eps = noised(known, level, 4000)
    error = ((z - alpha * known.denoise(z, level)) / sigma - eps).flatten(1).square().sum(1)
    value, stderr = known.mmse(level, stderr=True)
    assert abs(error.mean().item() - value) < 4 * math.hypot(error.std().item() / math.sqrt(4000), stderr)
    assert (stderr == 0) == (name != "digits")


def test_monte_carlo_agrees_with_quadrature_in_one_dimension_less():
    """A third coordinate that is Gaussian and independent adds its own closed form."""
    means, std, levels = np.array([(-1.2, -0.4, 0), (0.9, 0.8, 0), (0.6, -1, 0)]), 0.3, np.array([-4.0, 0.0, 3.0])
    value, stderr = mixture(means, std).mmse(levels, stderr=True)
    want = mixture(means[:, :2], std).mmse(levels) + special.expit(levels + 2 * math.log(std))
    assert (stderr > 0).all() and (np.abs(value - want) < 4 * stderr).all()


@settings(deadline=None, max_examples=30)
@given(
    means=st.lists(st.tuples(st.floats(-3, 3), st.floats(-3, 3)), min_size=3, max_size=3),
    std=st.lists(st.floats(0.05, 3), min_size=3, max_size=3),
    level=st.floats(-20, 20),
)
def test_any_mixture_agrees_with_its_definition(means, std, level):
    weights, (alpha, sigma) = [0.5, 0.3, 0.2], (float(one) for one in channel(level))
    known = mixture(means, std, weights)
    z = noised(known, level, 5)[0].numpy()
    var = alpha**2 * np.square(std) + sigma**2
    parts = [stats.multivariate_normal(alpha * np.array(m), v).logpdf(z) for m, v in zip(means, var, strict=True)]
    terms = np.stack(parts, 1) + np.log(weights)
    share = special.softmax(terms, 1)
    each = [np.array(m) + alpha * s**2 / v * (z - alpha * np.array(m)) for m, s, v in zip(means, std, var, strict=True)]
    np.testing.assert_allclose(known.log_prob(z, level), special.logsumexp(terms, 1), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(known.denoise(z, level), np.einsum("nk,knd->nd", share, each), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("level", [-4.0, 0.0, 4.0, 12.0])
def test_the_checkerboard_agrees_with_erf(level):
    known, (alpha, sigma) = toy("checkerboard"), (float(one) for one in channel(level))
    z = noised(known, level)[0].numpy()
    edges = (alpha * np.arange(-4, 5, 2) - z[..., None]) / sigma
    inside = np.diff(special.ndtr(edges)) / (2 * alpha)  # (n, 2, 4)
    dark = [(i, j) for i in range(4) for j in range(4) if (i + j) % 2 == 0]
    density = sum(inside[:, 0, i] * inside[:, 1, j] for i, j in dark) / 8
    np.testing.assert_allclose(known.log_prob(z, level), np.log(density), atol=1e-10)
    bright = known.log_prob([(1.0, 3.0), (0.5, -0.5), (4.5, 1)])
    assert (bright < -1e20).all() and torch.allclose(
        known.log_prob([(1.0, 1.0), (-3.0, 0.5)]), torch.tensor(-math.log(32)).double()
    )


@pytest.mark.parametrize("level", [-3.0, 1.0, 5.0])
def test_mmse_of_the_checkerboard_is_the_variance_that_x_hat_lacks(level):
    """E‖x − x_hat‖² = E‖x‖² − E‖x_hat‖², with x_hat from erf by Tweedie, summed over a plain lattice."""
    alpha, sigma = (float(one) for one in channel(level))
    z = np.arange(-4 * alpha - 9 * sigma, 4 * alpha + 9 * sigma, sigma / 10)
    edges = (alpha * np.arange(-4, 5, 2)[:, None] - z) / sigma
    side = np.where(edges[:-1] > 0, -1, 1)  # of the tail in which the difference does not cancel
    inside = side * (special.ndtr(side * edges[1:]) - special.ndtr(side * edges[:-1])) / (2 * alpha)
    slope = -np.diff(stats.norm.pdf(edges), axis=0) / (2 * alpha * sigma)
    pairs = [(inside[i::2].sum(0), slope[i::2].sum(0)) for i in (0, 1)]
    density = np.maximum(sum(np.outer(p, p) for p, _ in pairs) / 8, 1e-40)
    score = sum(np.outer(q, p) for p, q in pairs) / 8 / density
    x_hat = (z[:, None] + sigma**2 * score) / alpha
    lacking = 64 / 12 - (density * x_hat**2).sum() * (sigma / 10) ** 2
    assert toy("checkerboard").mmse(level) == pytest.approx(2 * math.exp(level) * lacking, rel=1e-8)


def test_only_the_circle_has_no_density():
    with pytest.raises(ValueError, match="give logsnr"):
        toy("circle").log_prob([[1.0, 0.0]])
    assert torch.allclose(toy("circle").denoise([[0.3, 0.4]], math.inf), torch.tensor([[0.6, 0.8]]).double())


@pytest.mark.parametrize("level", [-40.0, 0.0, 40.0])
@pytest.mark.parametrize("name", list(TOYS))
def test_all_is_finite_fifty_standard_deviations_out(name, level):
    known = toy(name, unit=True)
    z = 50 * torch.randn(3, *known.shape, generator=seeded(), dtype=torch.float64)
    z[0] = 0
    for found in (known.log_prob(z, level), known.score(z, level), known.denoise(z, level)):
        assert torch.isfinite(found).all()
    assert (known.log_prob(z, level)[1:] < -100).all()


@pytest.mark.parametrize("name", list(TOYS))
def test_samples_have_the_mean_variance_and_entropy_of_the_law(name):
    known = toy(name, unit=True)
    x = known.sample(4000, seeded())
    assert x.shape == (4000, *known.shape) and x.dtype == torch.float64
    assert torch.equal(x, known.sample(4000, seeded())) and not torch.equal(x, known.sample(4000, seeded(1)))
    assert x.square().mean().item() == pytest.approx(1, abs=0.05) and x.mean(0).abs().max() < 0.08
    assert known.mean.shape == known.shape and known.mean.abs().max() < 1e-12
    if name not in ("circle", "digits", "fashion"):
        surprise = -known.log_prob(x)
        assert abs(surprise.mean() - known.entropy()) <= 4 * surprise.std() / math.sqrt(4000) + 1e-9


def test_unit_variance_shifts_the_level():
    known, scaled = toy("gmm1"), toy("gmm1", unit=True)
    variance = 0.3 * 0.09 + 0.7 * 0.04 + 0.21 * 4
    np.testing.assert_allclose(scaled.mmse(LEVELS + math.log(variance)), known.mmse(LEVELS), rtol=1e-9)


def test_moons_lie_on_the_arcs_of_scikit_learn():
    sklearn = pytest.importorskip("sklearn.datasets")
    points = torch.from_numpy(sklearn.make_moons(1000, noise=None)[0])
    distance = torch.cdist(points, toy("moons").law.means).min(1).values
    assert distance.max() <= math.pi / 80 + 1e-9
    inner = toy("moons").log_prob(torch.from_numpy(np.stack([np.cos(t := np.linspace(1.9, 2.4, 200)), np.sin(t)], 1)))
    assert inner.max() - inner.min() < 1e-6  # no beads on the string


def test_levels_by_row_and_pieces_change_nothing(monkeypatch):
    known = toy("gmm2d")
    z = torch.randn(20, 2, generator=seeded(), dtype=torch.float64)
    levels = torch.linspace(-5, 5, 20)
    each = torch.cat([known.denoise(z[i : i + 1], levels[i]) for i in range(20)])
    torch.testing.assert_close(known.denoise(z, levels), each)
    monkeypatch.setattr(data, "CHUNK", 12)
    torch.testing.assert_close(known.denoise(z, levels), each)


def test_the_denoiser_keeps_the_type_of_z():
    z = torch.zeros(3, 8, 8)
    assert toy("digits").denoise(z, 0.0).dtype == torch.float32 and toy("digits").score(z, 0.0).shape == (3, 8, 8)


@pytest.mark.parametrize(
    ("z", "level"), [(np.zeros((3, 3)), 0.0), (np.zeros(2), 0.0), (np.zeros((3, 2)), [0.0, 1.0]), (np.zeros((3, 2)), math.nan)]
)
def test_points_and_levels_that_do_not_fit_are_refused(z, level):
    with pytest.raises(ValueError, match="z must be"):
        toy("ring8").denoise(z, level)


def test_the_empirical_denoiser_is_the_softmax_over_images():
    images = load("digits")["images"][:300, None] / 8 - 1
    known = dataset(images, 0.1, unit=False)
    assert known.shape == (1, 8, 8)
    level, spread = 1.0, (0.1 * math.sqrt(images.var(0).mean())) ** 2
    (alpha, sigma), z = (float(one) for one in channel(level)), noised(known, level, 6)[0].numpy()
    var = alpha**2 * spread + sigma**2
    share = special.softmax(-((z[:, None] - alpha * images) ** 2).sum((2, 3, 4)) / (2 * var), 1)
    want = np.einsum("nk,k...->n...", share, images) * sigma**2 / var + alpha * spread / var * z
    np.testing.assert_allclose(known.denoise(z, level), want, atol=1e-12)


def test_a_table_a_file_and_an_array_give_the_same(tmp_path):
    points = np.random.default_rng(0).normal(5, 3, (50, 2))
    np.save(tmp_path / "a.npy", points)
    np.savetxt(tmp_path / "b.csv", points, delimiter=",", header="x,y", comments="", fmt="%.17g")
    np.savetxt(tmp_path / "c.csv", points, delimiter=",", fmt="%.17g")
    found = [
        dataset(one)
        for one in (points, torch.from_numpy(points), tmp_path / "a.npy", tmp_path / "b.csv", str(tmp_path / "c.csv"))
    ]
    assert all(torch.equal(one.law.means, found[0].law.means) for one in found)
    assert found[2].name == "a" and abs(float(found[0].law.means.square().mean()) - 1) < 0.01


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([[0.0, math.nan], [1, 2], [3, math.inf]], "in 2 rows, the first is row 0"),
        ([1.0, 2.0, 3.0], r"data\[:, None\]"),
        ([[1.0, 2.0]], "2 or more points"),
        (np.empty((5, 0)), "2 or more points"),
        ([[1.0, 2.0], [1.0, 2.0]], "must differ"),
        ("nowhere.csv", "no .csv or .npy file"),
        (FOLDER, "no .csv or .npy file"),
    ],
)
def test_data_that_cannot_be_used_are_refused(source, message):
    with pytest.raises(ValueError, match=message):
        dataset(source)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x\n1\n2\n", "only one column"),
        ("x;y\n1;2\n3;4\n", "numbers with commas"),
        ("1,2\n3,oops\n", "oops"),
        ("1,2\n3\n", "numbers with commas"),
        ("", "2 or more points"),
        ("x,y\n", "2 or more points"),
        ("1,2\n3,nan\n", "NaN or inf in 1 rows, the first is row 1"),
    ],
)
def test_tables_that_cannot_be_read_are_refused(tmp_path, text, message):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        dataset(tmp_path / "a.csv")


def test_a_damaged_array_file_is_refused(tmp_path):
    for content in (b"", b"no array", b"\x93NUMPY"):
        (tmp_path / "a.npy").write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.npy"):
            dataset(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"means": [1.0, 2.0]}, r"means\[:, None\]"),
        ({"means": [[math.nan]]}, "finite"),
        ({"weights": [0.5, 0.6]}, "sum to 1"),
        ({"weights": [0.0, 1.0]}, "positive"),
        ({"weights": [1.0]}, "2 positive numbers"),
        ({"std": 0.0}, "std must be"),
        ({"std": [1.0, 1.0, 1.0]}, "std must be"),
    ],
)
def test_mixtures_that_are_none_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        mixture(**{"means": [[0.0], [1.0]], "std": 1.0} | settings)


@pytest.mark.parametrize("bandwidth", [0.0, -1.0, math.nan, math.inf])
def test_a_bandwidth_that_is_none_is_refused(bandwidth):
    with pytest.raises(ValueError, match="bandwidth"):
        dataset([[0.0, 1.0], [2.0, 3.0]], bandwidth)


def test_an_unknown_toy_is_answered_with_near_names():
    with pytest.raises(ValueError, match=r"unknown toy 'rng8'; did you mean 'ring8'"):
        toy("rng8")
    with pytest.raises(ValueError, match="there are gaussian, gmm1"):
        toy("zzz")
    assert toy("ring8").name == "ring8" and toy("dino").name == "dino"


def test_the_readme_states_the_checksum_of_every_file():
    stated = dict(re.findall(r"^\| `([^`]+)` \|.*\| `([0-9a-f]{64})` \|$", (FOLDER / "README.md").read_text(), re.M))
    files = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in FOLDER.iterdir() if file.suffix in (".npz", ".csv")
    }
    assert stated == files and len(files) == 4


def test_the_files_hold_what_they_say():
    digits, fashion, photos = load("digits"), load("fashion"), load("photos")
    assert (
        digits["images"].shape == (1797, 8, 8) and digits["images"].max() == 16 and np.bincount(digits["labels"]).min() == 174
    )
    assert fashion["images"].shape == (5000, 14, 14) and np.bincount(fashion["labels"]).min() == 457
    assert set(photos) == {"camera", "astronaut", "coffee", "chelsea", "rocket", "brick", "grass", "gravel"}
    assert all(one.shape == (256, 256) and one.dtype == np.uint8 and one.std() > 10 for one in photos.values())
    assert load("dino")["points"].shape == (142, 2)


def test_digits_are_those_of_scikit_learn():
    sklearn = pytest.importorskip("sklearn.datasets").load_digits()
    assert np.array_equal(load("digits")["images"], sklearn.images) and np.array_equal(load("digits")["labels"], sklearn.target)


def test_files_are_found_in_the_package_and_in_a_checkout(tmp_path, monkeypatch):
    (tmp_path / "mine.csv").write_text("0,1\n2,3\n")
    monkeypatch.setattr(data, "FOLDERS", (tmp_path / "absent", tmp_path))
    assert np.array_equal(load("mine")["points"], [[0, 1], [2, 3]])
    with pytest.raises(ValueError, match="no data file 'digits'; there are mine"):
        load("digits")
    monkeypatch.setattr(data, "FOLDERS", (tmp_path / "absent",))
    with pytest.raises(ValueError, match="not complete"):
        load("digits")
