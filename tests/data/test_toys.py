import math

import numpy as np
import pytest
import torch
from cells import in_one_test
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats

import diffviz as dv
from diffviz.data import densities, expectations
from diffviz.data.files import FOLDER, load
from diffviz.data.toys import TOYS, dataset, mixture, toy

LEVELS = np.arange(-8, 9, 2.0)
MMSE = {  # -8, -6 ... 8: quadrature of an independent prototype
    "gaussian": (
        "3.353501304665e-4 2.472623156635e-3 1.798620996209e-2 0.1192029220221 "
        "0.5 0.8807970779779 0.9820137900379 0.9975273768434 0.9996646498695"
    ),
    "gmm1": (
        "3.001489253548e-4 2.213568343560e-3 1.612654893948e-2 0.1075700840095 "
        "0.4184057103386 0.3960277676905 0.7311639987700 0.9511844339251 0.9930720646265"
    ),
    "ring8": (
        "1.347651069961e-3 9.915182823173e-3 7.101299762838e-2 0.4258041251775 "
        "1.106137538037 0.6435606738823 0.7065484114606 1.602724352524 1.935085125847"
    ),
}
FEW = ["gaussian", "gmm1", "ring8", "circle", "checkerboard"]
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
    np.testing.assert_allclose(
        toy(name).mmse(LEVELS), np.array(MMSE[name].split(), float), rtol=1e-9
    )


def test_mmse_of_the_circle_has_the_reference_values():
    expected = [
        3.35406369751e-4,
        2.47568387093e-3,
        1.81494229658e-2,
        0.126742489794,
        0.654851196937,
    ]
    np.testing.assert_allclose(toy("circle").mmse(LEVELS[:5]), expected, rtol=1e-10)


@pytest.mark.parametrize("level", [-3.0, 2.0, 4.0, 6.0, 8.0])
def test_mmse_of_the_circle_agrees_with_adaptive_quadrature(level):
    alpha, sigma = (float(one) for one in channel(level))

    def error(r):  # 1 − (I₁/I₀)², against the Rice density of r
        k = alpha * r / sigma**2
        ratio = special.ive(1, k) / special.ive(0, k)
        return (1 - ratio**2) * stats.rice.pdf(r, alpha / sigma, scale=sigma)

    result = integrate.quad(
        error, max(0, alpha - 9 * sigma), alpha + 9 * sigma, epsabs=0, epsrel=1e-12, limit=500
    )[0]
    assert toy("circle").mmse(level) == pytest.approx(math.exp(level) * result, rel=1e-10)


def test_the_series_of_the_bessel_ratio_joins_the_ratio():
    alpha, sigma = channel(math.log(100.0))
    r = torch.linspace(1.9, 2.5, 20, dtype=torch.float64)[:, None]
    k = (alpha * r / sigma**2)[:, 0].numpy()
    assert k.min() < 200 < k.max()
    ratio = special.ive(1, k) / special.ive(0, k)
    result = toy("circle").law.posterior(torch.cat([r, 0 * r], 1), alpha, sigma).error
    np.testing.assert_allclose(result, 100 * (1 - ratio) * (1 + ratio), rtol=2e-12)


def test_mmse_of_the_circle_tends_to_its_dimension():
    np.testing.assert_allclose(
        toy("circle").mmse([2, 4, 6, 8, 30]),
        [1.09497021896, 1.00961559841, 1.00124714146, 1.00016787219, 1],
        1e-9,
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_mmse_is_the_slope_of_the_information(name):
    known, (low, high) = toy(name), (0.5 - 1e-3, 0.5 + 1e-3)

    def information(level):
        return known.entropy(level) - math.prod(known.shape) / 2 * math.log(
            2 * math.pi * math.e / (1 + math.exp(level))
        )

    slope = (information(high) - information(low)) / (high - low)
    assert 2 * slope == pytest.approx(float(known.mmse(0.5)), rel=1e-6)


def test_information_of_the_ring_has_the_reference_values():
    expected = [0.0361527728, 0.2403220995, 1.0419387077, 2.0319476070, 2.5150843681, 3.6957136348]
    levels = np.arange(-4, 7, 2.0)
    result = [
        toy("ring8").entropy(one) - math.log(2 * math.pi * math.e) + np.logaddexp(0, one)
        for one in levels
    ]
    np.testing.assert_allclose(result, expected, atol=2e-10)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("gaussian", 1.4189385332),
        ("gmm1", 0.5419236198),
        ("ring8", 0.3121484221),
        ("checkerboard", math.log(32)),
    ],
)
def test_entropy_has_the_reference_values(name, value):
    assert toy(name).entropy() == pytest.approx(value, abs=3e-10)


@pytest.mark.parametrize("level", [-40.0, -2.0, 3.0, 55.0])
@pytest.mark.parametrize("name", ["gaussian", "gmm1", "gmm2d", "ring8"])
def test_the_entropy_of_a_mixture_is_the_mean_of_its_log_density(name, level):
    """From products of Gaussians on a line, and from the posterior at each node."""
    levels = torch.tensor([level], dtype=torch.float64).numpy()
    expected = expectations.expectation(toy(name).law, expectations.surprise, levels, 2)[0]
    assert toy(name).entropy(level) == pytest.approx(expected.item(), abs=1e-12)


@pytest.mark.parametrize(
    ("name", "value"), [("gaussian", 1), ("gmm1", 20.8106273317), ("ring8", 200)]
)
def test_fisher_information_has_the_reference_values(name, value):
    result, weight = toy(name).law.quadrature(*channel(55.0))
    assert float(
        (weight * result.log_prob.exp() * result.score.square().sum(1)).sum()
    ) == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "points", "values"),
    [
        (
            "gmm1",
            [-1.5, -0.5, 0.5, 1.2],
            [-0.9189385332, -6.4711258526, 0.3338244354, -5.7911755647],
        ),
        (
            "gmm2d",
            [(0, 0), (-1.2, -0.4), (0.9, 0.8), (1.5, -1.5)],
            [-4.43063175, -0.69825168, -0.63359682, -4.18102062],
        ),
        (
            "ring8",
            [(2, 0), (1.9, 0.1), (2.4, 0.3), (1, 0.5)],
            [0.6878515779, -0.3121484221, -11.8121484221, -49.68010868],
        ),
    ],
)
def test_log_density_has_the_reference_values(name, points, values):
    z = np.array(points, dtype=float).reshape(4, -1)
    np.testing.assert_allclose(toy(name).log_prob(z), values, atol=5e-9)


@in_one_test
@pytest.mark.parametrize("level", [-40.0, 0.0, 6.0])
@pytest.mark.parametrize("name", SMALL)
def test_an_estimate_is_the_first_part_of_the_posterior(name, level):
    known = toy(name)
    z = noised(known, level)[0].flatten(1)
    posterior = densities.posterior_in_pieces(known.law, z, *channel(level))
    estimate = densities.estimate_in_pieces(known.law, z, *channel(level))
    for part, whole in zip(estimate, posterior[:3], strict=True):
        assert torch.equal(part, whole)


@in_one_test
@pytest.mark.parametrize("level", [-40.0, -12.0, 0.0, 6.0, 40.0])
@pytest.mark.parametrize("name", SMALL)
def test_score_is_the_gradient_and_tweedie_holds(name, level):
    known, (alpha, sigma) = toy(name), channel(level)
    z = noised(known, level)[0].requires_grad_()
    gradient = torch.autograd.grad(known.log_prob(z, level).sum(), z)[0]
    score = known.score(z, level)
    assert (sigma * (gradient - score)).abs().max() < 1e-8
    # at 40, x_hat is z to rounding and sigma is 2e-9
    assert ((alpha * known.denoise(z, level) - z - sigma**2 * score) / sigma).abs().max() < (
        1e-6 if level == 40 else 1e-11
    )


@pytest.mark.parametrize("level", [-5.0, 1.0, 5.0])
@pytest.mark.parametrize("name", PLANE)
def test_the_spread_of_the_noise_is_the_trace_of_the_jacobian(name, level):
    """Cov[x|z] = (sigma²/alpha) ∂x_hat/∂z, in closed form on one side and by differentiation on the
    other.
    """
    known, (alpha, sigma) = toy(name), channel(level)
    z = noised(known, level)[0]
    jacobian = torch.func.vmap(
        torch.func.jacrev(lambda one: known.denoise(one[None], torch.tensor(level))[0])
    )(z)
    result = densities.posterior_in_pieces(known.law, z, alpha, sigma).error
    torch.testing.assert_close(
        result, alpha * jacobian.diagonal(dim1=1, dim2=2).sum(1), rtol=1e-9, atol=1e-11
    )


@pytest.mark.slow
@pytest.mark.parametrize("level", [-4.0, 1.0, 5.0])
@pytest.mark.parametrize("name", [*PLANE, "digits"])
def test_moments_are_the_means_of_the_error_of_the_denoiser(name, level):
    known, (alpha, sigma), n = toy(name), channel(level), 2000 if name == "digits" else 20000
    z, eps = noised(known, level, n)
    error = ((z - alpha * known.denoise(z, level)) / sigma - eps).flatten(1).square().sum(1)
    value, stderr = known.moments(level, stderr=True)
    for power in (1, 2):
        noise = (error**power).std().item() / math.sqrt(n)
        assert abs((error**power).mean().item() - value[power - 1]) < 4 * math.hypot(
            noise, stderr[power - 1]
        )
    assert (stderr == 0).all() == (name != "digits")
    assert known.mmse(level) == pytest.approx(value[0], rel=1e-12)  # sums by threads differ in bits


def test_moments_of_a_gaussian_have_their_closed_form():
    """The error is N(0, m) per dimension, m = sigmoid(λ + log variance): E‖·‖⁴ = (d² + 2 d) m²."""
    for d in (1, 2, 5):
        m = special.expit(LEVELS + math.log(0.25))
        result = mixture(np.ones((1, d)), 0.5).moments(LEVELS)
        np.testing.assert_allclose(result, [d * m, (d**2 + 2 * d) * m**2], rtol=1e-11)


@pytest.mark.parametrize("level", [-3.0, 0.5, 4.0])
def test_the_fourth_moment_agrees_with_integrals_over_x(level):
    """For two spikes with noise, from the joint density of x and z on a plain lattice."""
    alpha, sigma = (float(one) for one in channel(level))
    x, z = (
        np.linspace(-3.5, 2.5, 1201),
        np.linspace(-3.5 * alpha - 9 * sigma, 2.5 * alpha + 9 * sigma, 1001)[:, None],
    )
    joint = (
        0.3 * stats.norm.pdf(x, -1.5, 0.3) + 0.7 * stats.norm.pdf(x, 0.5, 0.2)
    ) * stats.norm.pdf(z, alpha * x, sigma)
    x_hat = (joint * x).sum(1, keepdims=True) / joint.sum(1, keepdims=True)
    means = [
        (joint * (alpha / sigma * (x - x_hat)) ** power).sum() / joint.sum() for power in (2, 4)
    ]
    np.testing.assert_allclose(toy("gmm1").moments(level), means, rtol=1e-8)


def test_the_fourth_moment_of_the_circle_agrees_with_integrals_over_the_angle():
    alpha, sigma = channel(math.log(100.0))
    r = torch.tensor(
        [1e-9, 0.1, 1.0, 1.9, 2.1, 2.4], dtype=torch.float64
    )  # k = 200 between the fourth and the fifth
    angle = np.linspace(-np.pi, np.pi, 20001)[:-1]
    k = (alpha * r / sigma**2).numpy()[:, None]
    share = special.softmax(k * np.cos(angle), 1)
    ratio = (share * np.cos(angle)).sum(1, keepdims=True)
    expected = 100**2 * (share * (1 + ratio**2 - 2 * ratio * np.cos(angle)) ** 2).sum(1)
    result = toy("circle").law.posterior(torch.stack([r, 0 * r], 1), alpha, sigma)
    np.testing.assert_allclose(result.fourth, expected, rtol=1e-8)


@pytest.mark.parametrize("level", [-2.0, 1.0])
def test_the_moments_of_the_checkerboard_agree_with_integrals_over_its_squares(level):
    known, (alpha, sigma) = toy("checkerboard"), (float(one) for one in channel(level))
    node, weight = np.polynomial.legendre.leggauss(60)
    x = np.add.outer([-3, -1, 1, 3], node).ravel()  # along a side of four intervals
    kind, weight = np.repeat([0, 1, 0, 1], 60), np.tile(weight, 4)
    dark = np.outer(weight, weight) * (kind[:, None] == kind)
    for z in [(0.1, -0.7), (1.9, 0.2), (3.0, -3.5), (0.0, 0.0)]:
        share = dark * np.exp(
            -((z[0] - alpha * x[:, None]) ** 2 + (z[1] - alpha * x) ** 2) / (2 * sigma**2)
        )
        share /= share.sum()
        mean = share.sum(1) @ x, share.sum(0) @ x
        square = math.exp(level) * ((x[:, None] - mean[0]) ** 2 + (x - mean[1]) ** 2)
        result = densities.posterior_in_pieces(
            known.law, torch.tensor([z], dtype=torch.float64), *channel(level)
        )
        np.testing.assert_allclose(result.x_hat[0], mean, atol=1e-12)
        expected = (share * square).sum(), (share * square**2).sum()
        np.testing.assert_allclose([result.error[0], result.fourth[0]], expected, rtol=1e-10)


@pytest.mark.parametrize("name", FEW)
def test_moments_tend_to_those_of_noise_in_the_dimension_of_the_data(name):
    """Far into the data the error is a Gaussian of the data's own dimension d, which a circle has
    one of: d and d² + 2 d.
    """
    d = 1 if name == "circle" else math.prod(toy(name).shape)
    np.testing.assert_allclose(toy(name).moments(40.0), [d, d**2 + 2 * d], rtol=1e-7)


@pytest.mark.slow
def test_the_variance_of_losses_on_the_ring_has_the_reference_ratios():
    """Second moment of w/p ‖eps_hat − eps‖²/2 over its least, for p ∝ w mmse, cosine, uniform flow
    time and uniform λ.
    """
    grid = np.linspace(-10, 10, 81)
    second, fourth = toy("ring8").moments(grid)
    for w, ratios in (
        (np.exp(-grid / 2), (1.117, 1.105, 1.177, 2.42)),  # flow
        (
            stats.norm.pdf(grid, 2.4, 2.4) * (np.exp(-grid) + 0.25),
            (1.120, 1.126, 1.237, 2.66),
        ),  # EDM
        (np.ones_like(grid), (1.093, 11.5, 7.64, 1.80)),  # ELBO
    ):
        for p, ratio in zip(
            (w * second, 1 / np.cosh(grid / 2), np.cosh(grid / 4) ** -2.0, np.ones(81)),
            ratios,
            strict=True,
        ):
            result = (
                np.trapezoid(w**2 * fourth / p, grid)
                * np.trapezoid(p, grid)
                / np.trapezoid(w * np.sqrt(fourth), grid) ** 2
            )
            assert result == pytest.approx(ratio, rel=2e-3)


@pytest.mark.parametrize("method", ["mmse", "moments"])
def test_a_level_that_is_no_number_is_refused(method):
    with pytest.raises(ValueError, match="logsnr must be finite"):
        getattr(toy("gmm1"), method)([0.0, math.nan])
    assert (
        toy("gmm1").moments(np.zeros((3, 2))).shape == (2, 3, 2) and toy("gmm1").mmse(0).shape == ()
    )


def test_monte_carlo_agrees_with_quadrature_in_one_dimension_less():
    """A third coordinate that is Gaussian and independent adds its own closed form."""
    means, std, levels = (
        np.array([(-1.2, -0.4, 0), (0.9, 0.8, 0), (0.6, -1, 0)]),
        0.3,
        np.array([-4.0, 0.0, 3.0]),
    )
    value, stderr = mixture(means, std).mmse(levels, stderr=True)
    expected = mixture(means[:, :2], std).mmse(levels) + special.expit(levels + 2 * math.log(std))
    assert (stderr > 0).all() and (np.abs(value - expected) < 4 * stderr).all()


@pytest.mark.slow
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
    parts = [
        stats.multivariate_normal(alpha * np.array(m), v).logpdf(z)
        for m, v in zip(means, var, strict=True)
    ]
    terms = np.stack(parts, 1) + np.log(weights)
    share = special.softmax(terms, 1)
    each = [
        np.array(m) + alpha * s**2 / v * (z - alpha * np.array(m))
        for m, s, v in zip(means, std, var, strict=True)
    ]
    np.testing.assert_allclose(
        known.log_prob(z, level), special.logsumexp(terms, 1), rtol=1e-9, atol=1e-9
    )
    np.testing.assert_allclose(
        known.denoise(z, level), np.einsum("nk,knd->nd", share, each), rtol=1e-8, atol=1e-8
    )


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
    """E‖x − x_hat‖² = E‖x‖² − E‖x_hat‖², with x_hat from erf by Tweedie, summed over a plain
    lattice.
    """
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


@pytest.mark.parametrize("width", [1e-3, 1e-6, 1e-8])
def test_narrow_kernels_keep_their_density_and_their_error(width):
    """Near one of far points the density and the error are those of its kernel alone."""
    centres = np.array([[0.1, 4.0], [3.3, -2.0], [-2.7, 0.5]])
    narrow = mixture(centres, [width, 2 * width, width])
    steps = torch.tensor([[0.0, 0.0], [1.0, 0.5], [-2.0, 1.0]], dtype=torch.float64)
    z = torch.from_numpy(centres) + width * steps
    # z − m in float64 is off by half a last digit of z
    miss = 1e-15 / width
    std = torch.tensor([width, 2 * width, width], dtype=torch.float64)
    unit = (z - torch.from_numpy(centres)) / std[:, None]
    expected = -math.log(3 * 2 * math.pi) - 2 * std.log() - unit.square().sum(1) / 2
    assert (narrow.log_prob(z) - expected).abs().max() < 1e-9 + 10 * miss
    level = -2 * math.log(width)  # as much noise as there is spread
    alpha, sigma = (
        torch.full((3, 1), float(scale), dtype=torch.float64) for scale in channel(level)
    )
    posterior = narrow.law.posterior(alpha * z, alpha, sigma)
    share = 1 / (1 + (std / width) ** 2)  # of the noise that is left: eps given z is Gaussian
    assert (posterior.error - 2 * (1 - share)).abs().max() < 1e-6 + 10 * miss


@pytest.mark.parametrize(
    "make",
    [
        lambda: mixture([[0.0]], 1e-14),
        lambda: mixture([[-1.0], [1.0]], [0.1, 1e-10]),
        lambda: mixture([[0.0], [1e6]], 1e-5).unit(),
        lambda: dataset([[0.0], [1.0]], bandwidth=1e-10),
        lambda: dataset([[0.0], [1e-13]], unit=False),
        lambda: dv.data.Toy(densities.Circle(1e-12), (2,)),
    ],
)
def test_scales_that_drown_in_the_last_noise_are_refused(make):
    with pytest.raises(ValueError, match=r"at least 1e-09.* got .*; rescale the data"):
        make()


def test_data_of_any_scale_may_be_brought_to_unit_variance():
    points = np.array([[0.0], [1.0], [3.0]])
    tiny, plain = dataset(points * 1e-20), dataset(points)
    assert torch.allclose(tiny.law.means, plain.law.means)
    with pytest.raises(ValueError, match=r"variance of the data is below .* rescale"):
        dataset(points * 1e-200)
    assert mixture([[0.0]], 1e-9).entropy() == pytest.approx(
        math.log(1e-9) + (1 + math.log(2 * math.pi)) / 2, abs=1e-6
    )


def test_a_kernel_density_of_many_dimensions_and_a_narrow_kernel_is_exact():
    x = np.random.default_rng(0).standard_normal((50, 64))
    own = dataset(x, bandwidth=1e-7, unit=False)
    points = torch.from_numpy(x)
    width = 1e-7 * math.sqrt(x.var(0).mean())
    expected = -math.log(50) - 32 * math.log(2 * math.pi * width**2)
    assert (own.log_prob(points) - expected).abs().max() < 1e-6


def test_only_the_circle_has_no_density():
    for method in ("log_prob", "score"):
        with pytest.raises(ValueError, match="below 55"):
            getattr(toy("circle"), method)([[1.0, 0.0]], math.inf)
    with pytest.raises(ValueError, match="below 55"):
        toy("circle").log_prob([[1.0, 0.0]])
    with pytest.raises(ValueError, match="below 55"):
        toy("circle").entropy()
    with pytest.raises(ValueError, match="logsnr"):
        toy("gmm1").entropy(math.nan)


@pytest.mark.parametrize("name", FEW)
def test_at_infinite_noise_the_mean_is_left_and_far_levels_stay_finite(name):
    known = toy(name)
    z = torch.randn(5, *known.shape, generator=seeded(), dtype=torch.float64)
    torch.testing.assert_close(
        known.denoise(z, -math.inf), known.mean.expand(5, *known.shape), rtol=0, atol=1e-12
    )
    torch.testing.assert_close(known.score(z, -math.inf), -z)
    assert 0 < known.mmse(-680.0) < 1e-290 and known.mmse(680.0) == pytest.approx(
        1 if name == "circle" else z.shape[1], abs=1e-5
    )


@in_one_test
@pytest.mark.parametrize("level", [-40.0, 0.0, 40.0])
@pytest.mark.parametrize("name", list(TOYS))
def test_all_is_finite_fifty_standard_deviations_out(name, level):
    known = toy(name, unit=True)
    z = 50 * torch.randn(3, *known.shape, generator=seeded(), dtype=torch.float64)
    z[0] = 0
    for result in (known.log_prob(z, level), known.score(z, level), known.denoise(z, level)):
        assert torch.isfinite(result).all()
    assert (known.log_prob(z, level)[1:] < -100).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", list(TOYS))
def test_samples_have_the_mean_variance_and_entropy_of_the_law(name):
    known = toy(name, unit=True)
    x = known.sample(4000, seeded())
    assert x.shape == (4000, *known.shape) and x.dtype == torch.float64
    assert torch.equal(x, known.sample(4000, seeded())) and not torch.equal(
        x, known.sample(4000, seeded(1))
    )
    assert x.square().mean().item() == pytest.approx(1, abs=0.05) and x.mean(0).abs().max() < 0.08
    assert known.mean.shape == known.shape and known.mean.abs().max() < 1e-12
    if name not in ("circle", "digits", "fashion"):
        surprise = -known.log_prob(x)
        assert abs(surprise.mean() - known.entropy()) <= 4 * surprise.std() / math.sqrt(4000) + 1e-9


def test_unit_variance_shifts_the_level():
    known, scaled = toy("gmm1"), toy("gmm1", unit=True)
    variance = 0.3 * 0.09 + 0.7 * 0.04 + 0.21 * 4
    np.testing.assert_allclose(
        scaled.mmse(LEVELS + math.log(variance)), known.mmse(LEVELS), rtol=1e-9
    )


def test_moons_lie_on_their_arcs_as_an_even_string():
    """The arcs that scikit-learn's make_moons states."""
    t = np.linspace(0, np.pi, 1001)
    arcs = np.r_[
        np.stack([np.cos(t), np.sin(t)], 1), np.stack([1 - np.cos(t), 1 - np.sin(t) - 0.5], 1)
    ]
    distance = torch.cdist(torch.from_numpy(arcs), toy("moons").law.means)
    assert (
        distance.min(1).values.max() <= math.pi / 80 + 1e-9 and distance.min(0).values.max() < 2e-3
    )
    inner = toy("moons").log_prob(np.stack([np.cos(t := np.linspace(1.9, 2.4, 200)), np.sin(t)], 1))
    assert inner.max() - inner.min() < 1e-6  # no beads on the string


def test_the_swiss_roll_is_a_spiral():
    x, y = toy("swissroll").law.means.T.numpy()
    radius = np.hypot(x, y) * 10
    np.testing.assert_allclose(np.diff(radius), 3 * np.pi / 240)
    np.testing.assert_allclose(np.exp(1j * radius), (x + 1j * y) * 10 / radius, atol=1e-12)


def test_levels_by_row_and_pieces_change_nothing(monkeypatch):
    known = toy("gmm2d")
    z = torch.randn(20, 2, generator=seeded(), dtype=torch.float64)
    levels = torch.linspace(-5, 5, 20)
    each = torch.cat([known.denoise(z[i : i + 1], levels[i]) for i in range(20)])
    torch.testing.assert_close(known.denoise(z, levels), each)
    monkeypatch.setattr(densities, "CHUNK", 12)
    torch.testing.assert_close(known.denoise(z, levels), each)


def test_the_denoiser_keeps_the_type_of_z():
    z = torch.zeros(3, 8, 8)
    assert toy("digits").denoise(z, 0.0).dtype == torch.float32 and toy("digits").score(
        z, 0.0
    ).shape == (3, 8, 8)
    whole = torch.tensor([[1, 0], [2, 1]])
    assert torch.equal(toy("ring8").denoise(whole, 0.0), toy("ring8").denoise(whole.double(), 0.0))


@pytest.mark.parametrize(
    ("n", "generator", "error", "message"),
    [
        (5, None, TypeError, r"torch\.Generator"),
        (5, 0, TypeError, r"torch\.Generator"),
        (5, np.random.default_rng(0), TypeError, r"torch\.Generator"),
        (-1, torch.Generator(), ValueError, "n must be at least 0, got -1"),
        (2.5, torch.Generator(), TypeError, r"n must be a whole number, got 2\.5"),
        (True, torch.Generator(), TypeError, "n must be a whole number, got True"),
    ],
)
def test_samples_need_a_number_and_a_generator(n, generator, error, message):
    with pytest.raises(error, match=message):
        toy("ring8").sample(n, generator)


@pytest.mark.parametrize(
    ("z", "level"),
    [
        (np.zeros((3, 3)), 0.0),
        (np.zeros(2), 0.0),
        (np.zeros((3, 2)), [0.0, 1.0]),
        (np.zeros((3, 2)), math.nan),
    ],
)
def test_points_and_levels_that_do_not_fit_are_refused(z, level):
    with pytest.raises(ValueError, match=r"z must be|logsnr must not be NaN"):
        toy("ring8").denoise(z, level)


def test_the_empirical_denoiser_is_the_softmax_over_images():
    images = load("digits")["images"][:300, None] / 8 - 1
    known = dataset(images, 0.1, unit=False)
    assert known.shape == (1, 8, 8)
    level, spread = 1.0, (0.1 * math.sqrt(images.var(0).mean())) ** 2
    (alpha, sigma), z = (float(one) for one in channel(level)), noised(known, level, 6)[0].numpy()
    var = alpha**2 * spread + sigma**2
    share = special.softmax(-((z[:, None] - alpha * images) ** 2).sum((2, 3, 4)) / (2 * var), 1)
    expected = np.einsum("nk,k...->n...", share, images) * sigma**2 / var + alpha * spread / var * z
    np.testing.assert_allclose(known.denoise(z, level), expected, atol=1e-12)


def test_a_table_and_an_array_give_the_same(tmp_path):
    points = np.random.default_rng(0).normal(5, 3, (50, 2))
    np.savetxt(
        tmp_path / "a.csv",
        points,
        delimiter=",",
        header="\ufeffx,y",
        comments="",
        fmt="%.17g",
        encoding="utf-8",
    )
    np.savetxt(tmp_path / "b.csv", points, delimiter=",", fmt="%.17g")
    result = [
        dataset(one)
        for one in (points, torch.from_numpy(points), tmp_path / "a.csv", str(tmp_path / "b.csv"))
    ]
    assert all(torch.equal(one.law.means, result[0].law.means) for one in result)
    assert result[2].name == "a" and abs(float(result[0].law.means.square().mean()) - 1) < 0.01


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([[0.0, math.nan], [1, 2], [3, 4]], "data must be finite, got nan"),
        ([[0.0, math.inf], [1, 2]], "data must be finite, got inf"),
        ([1.0, 2.0, 3.0], r"data\[:, None\]"),
        (3.0, "2 or more different points"),
        ([[1.0, 2.0]], "2 or more different points"),
        (np.empty((5, 0)), "2 or more different points"),
        ([[1.0, 2.0], [1.0, 2.0]], "2 or more different points"),
        ("nowhere.csv", "cannot read nowhere.csv"),
        (FOLDER, "cannot read"),
        (FOLDER / "digits.npz", r"digits\.npz holds images, labels: say which by array="),
    ],
)
def test_data_that_cannot_be_used_are_refused(source, message):
    with pytest.raises(ValueError, match=message):
        dataset(source)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x\n1\n2\n", "only one column"),
        ("1,2\n3,oops\n", r"row 2 \(line 2\), column 2: 'oops' is no number"),
        ("x,2\n3,4\n5,6\n", r"row 1 \(line 1\), column 1: 'x' is no number"),
        ("1,2\n3\n", r"row 2 \(line 2\) has 1 cells, not 2"),
        ("", r"a\.csv is empty"),
        ("x,y\n", r"names of columns \(x, y\) but no numbers"),
        ("x,y\n1,2\n", "2 or more different points"),
        ("1,2\n3,nan\n", r"row 2 \(line 2\), column 2: 'nan' is not finite"),
        ("x,y\n1,2\n3,\n", r"row 2 \(line 3\), column 2 \(y\): the cell is empty"),
    ],
)
def test_tables_that_cannot_be_read_are_refused(tmp_path, text, message):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        dataset(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"means": [1.0, 2.0]}, r"means\[:, None\]"),
        ({"means": [[math.nan]]}, "finite"),
        ({"weights": [0.5, 0.6]}, "with sum 1"),
        ({"weights": [0.0, 1.0]}, "numbers > 0"),
        ({"weights": [1.0]}, "2 numbers > 0"),
        ({"weights": [math.nan, 1.0]}, "weights must be finite"),
        ({"std": 0.0}, "std must be one number of at least 1e-09"),
        ({"std": 5e-324}, "std must be one number of at least 1e-09, or 2 of them.* got 5e-324"),
        ({"std": [1.0, 1.0, 1.0]}, "std must be .* or 2 of them"),
        ({"std": math.inf}, "std must be finite"),
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
        dv.toy("rng8")
    with pytest.raises(ValueError, match=r"diffviz\.data\.TOYS lists all 12"):
        toy("zzz")
    assert dv.toy("ring8").name == "ring8" and toy("dino").name == "dino" and dv.dataset is dataset


def test_the_files_hold_what_they_say():
    digits, fashion, photos = load("digits"), load("fashion"), load("photos")
    assert (
        digits["images"].shape == (1797, 8, 8)
        and digits["images"].max() == 16
        and np.bincount(digits["labels"]).min() == 174
    )
    assert fashion["images"].shape == (5000, 14, 14) and np.bincount(fashion["labels"]).min() == 457
    assert set(photos) == {
        "camera",
        "astronaut",
        "coffee",
        "chelsea",
        "rocket",
        "brick",
        "grass",
        "gravel",
    }
    assert all(
        one.shape == (256, 256) and one.dtype == np.uint8 and one.std() > 10
        for one in photos.values()
    )
    with pytest.raises(ValueError, match="unknown data file 'digit'; did you mean 'digits'"):
        load("digit")


def test_the_dinosaur_has_its_points():
    points = np.loadtxt(FOLDER / "dino.csv", delimiter=",", skiprows=1)
    assert points.shape == (142, 2)
    np.testing.assert_allclose(
        toy("dino").law.means,
        (points - points.mean(0)) / points.var(0).mean() ** 0.5 / 1.0025**0.5,
        atol=1e-12,
    )


def test_a_toy_is_shown_in_one_line():
    assert repr(toy("moons")) == (
        "Toy('moons': Mixture(80 Gaussians in 2 dimensions), points of shape (2,))"
    )
    assert "\n" not in repr(toy("digits"))
