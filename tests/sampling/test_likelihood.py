"""ELBO and ODE likelihood against closed forms, exact mixtures, Monte Carlo and each other."""

import math
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats

import diffviz as dv
from diffviz.data import toys
from diffviz.sampling import likelihood, odes
from diffviz.sampling.integrate import Stopped
from diffviz.theory.paths import COSINE, LINEAR

pytestmark = pytest.mark.slow

POINTS = torch.tensor([[0.0, 0.0], [-1.2, -0.4], [0.9, 0.8], [1.5, -1.5]], dtype=torch.float64)


def seed(n):
    return torch.Generator().manual_seed(n)


def column(*values):
    return torch.tensor(values, dtype=torch.float64)[:, None]


def smoothed(toy, y, high):
    """Log density of z/alpha at ``high``."""
    alpha = torch.tensor(high, dtype=torch.float64).sigmoid().sqrt()
    return toy.log_prob(alpha * y, high) + y[0].numel() * alpha.log()


def lattice(d, step):
    line = torch.arange(-8, 8 + step / 2, step, dtype=torch.float64)
    nodes = torch.cartesian_prod(*[line] * d).reshape(-1, d)
    return nodes, (-nodes.square().sum(1) / 2).softmax(0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "x"),
    [
        ("gaussian", column(2, 0.3)),
        ("gmm1", column(-1.5, 0.5, 0.2)),
        ("gmm2d", POINTS[::3]),
        ("ring8", POINTS[1:2]),
    ],
)
def test_the_elbo_of_an_exact_denoiser_is_the_exact_likelihood_of_the_smoothed_density(name, x):
    toy = toys.toy(name)
    bound = dv.elbo(toy, x, low=-26, high=10, levels=18, exact=True)
    nodes, mass = lattice(x.shape[1], 0.1)
    exact = torch.stack([mass @ smoothed(toy, one + math.exp(-5) * nodes, 10.0) for one in x])
    assert (bound.nats + exact).abs().max() < 1e-8


def test_the_bound_holds_for_the_density_smoothed_by_twice_the_noise_at_the_end_and_not_by_once():
    toy, x = toys.toy("gmm1"), torch.linspace(-2.5, 1.2, 112, dtype=torch.float64)[:, None]
    bound = dv.elbo(toy, x, low=-20, high=10, levels=15, exact=True).nats
    kept = [
        torch.distributions.Normal(toy.law.means[:, 0], (toy.law.std**2 + k * math.exp(-10)) ** 0.5)
        for k in (1, 2)
    ]
    once, twice = (-(toy.law.weights.log() + one.log_prob(x)).logsumexp(1) for one in kept)
    assert (bound - twice).min() > -1e-8 and (bound - once).min() < -5e-3


def test_the_bound_of_one_x_may_lie_below_its_negative_log_likelihood():
    toy, x = toys.toy("gaussian"), column(2)
    bound = dv.elbo(toy, x, levels=10, exact=True).nats.item()
    assert bound == pytest.approx(2.9188931, abs=5e-8)
    assert -toy.log_prob(x).item() == pytest.approx(2.9189385, abs=5e-8)


TABLE = {  # toy, range: E prior, diffusion, E[−ELBO], gap
    ("gaussian", -20, 20): (1.0306e-9, 10.0, 1.4189385342, 1.03e-9),
    ("gaussian", -10, 10): (2.26994e-5, 5.0, 1.4189612326, 2.27e-5),
    ("gaussian", -5, 13.3): (3.357674e-3, 6.6466431630, 1.4189393704, 8.37e-7),
    ("gmm1", -10, 10): (2.0543e-5, 4.1234369251, 0.5423960017, 4.72e-4),
    ("ring8", -20, 20): (4.1429e-9, 17.4742715585, 0.3121486282, 2.06e-7),
    ("ring8", -10, 10): (9.12507e-5, 7.4787098243, 0.3166781414, 4.53e-3),
    ("ring8", -5, 13.3): (1.347513e-2, 10.7609864100, 0.3123386062, 1.90e-4),
}


@pytest.mark.parametrize("row", TABLE, ids=str)
def test_average_terms_of_the_bound_are_those_of_the_table(row):
    """Gaussian and gmm1 by a lattice of x around each mean; ring8 by 900 draws, within four
    standard errors.
    """
    toy, low, high = toys.toy(row[0]), *row[1:]
    prior, diffusion, total, gap = TABLE[row]
    if row[0] == "ring8":
        drawn = toy.sample(900, seed(1))
        bound = dv.elbo(toy, drawn, low=low, high=high, levels=60, generator=seed(0))
        for result, stated in (
            (bound.prior, prior),
            (bound.diffusion, diffusion),
            (bound.nats, total),
        ):
            assert abs(result.mean() - stated) < 4 * result.std() / 30
        return
    line, weight = lattice(1, 0.25)
    x, mass = (
        (line * toy.law.std + toy.law.means[:, 0]).T.reshape(-1, 1),
        torch.outer(toy.law.weights, weight).flatten(),
    )
    bound = dv.elbo(toy, x, low=low, high=high, levels=10 if high < 15 else 20, exact=True)
    assert mass @ bound.prior == pytest.approx(prior, rel=3e-5)
    assert mass @ bound.diffusion == pytest.approx(diffusion, abs=2e-9)
    assert mass @ bound.nats == pytest.approx(total, abs=2e-9)
    assert mass @ bound.nats - toy.entropy() == pytest.approx(gap, rel=3e-3, abs=2e-10)


@pytest.mark.parametrize(("high", "off"), [(10, 2.5e-3), (13.3, 1e-4)])
def test_the_average_gap_is_half_the_noise_times_the_fisher_information(high, off):
    toy = toys.toy("ring8")
    gap = (
        toy.entropy(high) - math.log(1 / (1 + math.exp(-high))) - toy.entropy()
    )  # of z/alpha over x
    x = toy.sample(4000, seed(0))
    energy = toy.score(x, 40.0).square().sum(1)
    assert gap == pytest.approx(math.exp(-high) / 2 * 200, rel=off)
    assert abs(energy.mean() - 200) < 4 * energy.std() / 4000**0.5


@pytest.mark.parametrize(
    ("steps", "stated"), [(10, 14.3755212474), (100, 5.4797232901), (1000, 5.0452851302)]
)
def test_the_bound_of_finitely_many_steps_has_the_known_loss_and_falls_to_the_integral(
    steps, stated
):
    bound = dv.elbo(
        toys.toy("gaussian"), column(1), levels=steps, finite=True, exact=True
    )  # x² = 1: the average over x
    assert bound.diffusion.item() == pytest.approx(stated, abs=1e-9)
    assert steps < 1000 or (stated - 5) * steps == pytest.approx(45, rel=0.01)


@pytest.mark.parametrize(
    "law",
    [None, COSINE.schedule, LINEAR.schedule, stats.norm(0, 4)],
    ids=["uniform", "cosine", "linear", "normal"],
)
def test_the_expectation_does_not_depend_on_the_schedule(law):
    bound = dv.elbo(
        toys.toy("gmm1"), column(0.2).expand(1500, 1), law=law, levels=32, generator=seed(5)
    )
    exact = dv.elbo(toys.toy("gmm1"), column(0.2), levels=10, exact=True)
    assert abs(bound.nats.mean() - exact.nats) < 4 * bound.nats.std() / 1500**0.5
    fm = dv.objective("fm-ot")
    assert (
        abs(bound.weighted(fm).mean() - exact.weighted(fm))
        < 4 * bound.weighted(fm).std() / 1500**0.5
    )


@pytest.mark.parametrize(
    ("name", "stated"),
    [("fm-ot", 1.55732064), ("iddpm-cosine", 0.49571055), ("edm", 1.62755103), ("sd3", 1.74126369)],
)
def test_a_weighted_loss_comes_from_the_same_errors(name, stated):
    bound = dv.elbo(toys.toy("gaussian"), column(1), levels=20, exact=True)
    assert bound.weighted(dv.objective(name)).item() == pytest.approx(stated, abs=1e-8)


def test_a_wrong_model_pays_its_divergence():
    wrong = SimpleNamespace(
        denoise=lambda z, l: 2 * (a := torch.sigmoid(l)[:, None]).sqrt() * z / (1 + a)
    )  # of N(0, 2)
    bound = dv.elbo(wrong, column(1), levels=10, exact=True)
    assert bound.diffusion.item() == pytest.approx(5.096567915031, abs=1e-11)


def test_bits_are_nats_per_dimension_over_ln_2_and_shapes_are_as_documented():
    toy = toys.mixture(np.zeros((1, 2, 3)), 1.0)
    bound = dv.elbo(toy, toy.sample(5, seed(0)), levels=7, generator=seed(1))
    assert bound.nats.shape == bound.prior.shape == (
        5,
    ) and bound.error.shape == bound.logsnr.shape == bound.weight.shape == (
        7,
        5,
    )
    assert torch.allclose(bound.bits, bound.nats / (6 * math.log(2)))
    again = dv.elbo(toy, toy.sample(5, seed(0)), levels=7, generator=seed(1))
    assert torch.equal(again.nats, bound.nats)


@pytest.mark.slow
def test_rk4_is_fourth_order_and_below_1e_5_at_400_steps():
    toy, steps = toys.toy("gmm2d"), (100, 200, 400)
    errors = [
        (
            dv.log_likelihood(toy, POINTS, steps=n, prior=lambda z: toy.log_prob(z, -12.0))[0]
            - smoothed(toy, POINTS, 10.0)
        )
        .abs()
        .max()
        for n in steps
    ]
    assert 3.8 < -np.polyfit(np.log(steps), np.log(errors), 1)[0] < 4.2
    assert errors[-1] < 2e-7


def test_the_density_of_the_ode_is_that_of_the_data_but_for_the_noise_at_the_end():
    stated = torch.tensor([-4.43063175, -0.69825168, -0.63359682, -4.18102062], dtype=torch.float64)
    toy = toys.toy("gmm2d")
    assert torch.allclose(toy.log_prob(POINTS), stated, atol=1e-8, rtol=0)
    result, stderr = dv.log_likelihood(toy, POINTS, low=-14, high=14, steps=200)
    assert (result - stated).abs().max() < 1e-3 and (stderr == 0).all()


@pytest.mark.parametrize(("mean", "std"), [(1e4, 1.0), (0.0, 1e3), (1e8, 1e3), (-3.0, 0.1)])
def test_the_density_of_the_ode_knows_where_and_how_large_the_data_are(mean, std):
    """A Gaussian stays one, so that the flow is exact but for its steps and the end at high."""
    toy = dv.mixture([[mean]], std)
    x = column(mean - std, mean, mean + 2 * std)
    result, _ = dv.log_likelihood(toy, x, steps=100)
    stated = stats.norm(mean, math.hypot(std, math.exp(-5))).logpdf(x[:, 0].numpy())
    assert result.numpy() == pytest.approx(stated, abs=1e-3)


def test_two_far_peaks_have_their_density():
    toy = dv.mixture([[9e3], [11e3]], 50.0)
    x = column(9e3, 10.9e3)
    result, _ = dv.log_likelihood(toy, x, steps=100)
    assert (result - toy.log_prob(x)).abs().max() < 0.01


def test_data_too_large_for_a_denoiser_that_does_not_state_them_are_warned_of():
    toy = dv.mixture([[0.0]], 1e3)
    nameless = model(toy.denoise)
    x = column(500.0, -700.0)
    with pytest.warns(UserWarning, match=r"size 608 .*; give a prior, .* or low=-18") as caught:
        dv.log_likelihood(nameless, x, steps=4)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = dv.log_likelihood(nameless, x, low=-18, steps=20)[0]
        dv.log_likelihood(nameless, x, steps=4, prior=lambda z: toy.log_prob(z, -12.0))
    assert (found - toy.log_prob(x)).abs().max() < 1


def test_the_adaptive_solver_keeps_its_tolerance():
    toy = toys.toy("gmm2d")
    for tolerance in (1e-5, 1e-7):
        result, _ = dv.log_likelihood(
            toy, POINTS, steps=None, tolerance=tolerance, prior=lambda z: toy.log_prob(z, -12.0)
        )
        assert (result - smoothed(toy, POINTS, 10.0)).abs().max() < 30 * tolerance


def test_a_denoiser_on_which_no_tolerance_can_be_kept_ends_with_an_error(monkeypatch):
    monkeypatch.setattr(odes, "MOST_CALLS", 100)
    generator = torch.Generator().manual_seed(0)
    noisy = model(lambda z, l: z * torch.rand(1, generator=generator, dtype=z.dtype))
    with pytest.raises(FloatingPointError, match=r"100 calls were not enough\); .*random"):
        dv.log_likelihood(noisy, POINTS, steps=None)
    with pytest.raises(Stopped, match=r"step 0 of 2: the adaptive solver .* eval\(\)"):
        dv.sample(noisy, [-4, 0, 4], solver="adaptive", start=POINTS)
    monkeypatch.setattr(odes, "MOST_CALLS", 10**9)
    start, span = column(1.0), torch.tensor([0.0, 2.0], dtype=torch.float64)
    with pytest.raises(FloatingPointError, match=r"underflow in dt .*\); .*random"):
        odes.odeint(lambda t, y: y**2, start, span, method="dopri5")  # infinite at t = 1


@pytest.mark.parametrize(("gaussian", "std"), [(False, 2.21), (True, 9.90)])
def test_hutchinson_is_unbiased_and_has_the_known_spread(gaussian, std):
    toy, n = toys.toy("gmm2d"), 1500
    result, stderr = dv.log_likelihood(
        toy, POINTS[:1].expand(n, 2), steps=40, probes=1, gaussian=gaussian, generator=seed(2)
    )
    exact, _ = dv.log_likelihood(toy, POINTS[:1], steps=40)
    assert abs(result.mean() - exact) < 4 * result.std() / n**0.5
    assert result.std() == pytest.approx(std, rel=0.12)
    assert stderr.isnan().all()


def test_the_standard_error_falls_with_the_number_of_probes_and_covers_the_exact_trace():
    toy, x = toys.toy("gmm2d"), POINTS[:1].expand(60, 2)
    exact, _ = dv.log_likelihood(toy, POINTS[:1], steps=30)
    means = []
    for probes in (4, 16):
        result, stderr = dv.log_likelihood(toy, x, steps=30, probes=probes, generator=seed(3))
        assert result.std().item() == pytest.approx(stderr.square().mean().sqrt().item(), rel=0.4)
        assert ((result - exact).abs() < 2 * stderr).double().mean() > 0.75
        means.append(stderr.square().mean().sqrt())
    assert (means[0] / means[1]).item() == pytest.approx(2, rel=0.35)


def test_images_have_a_likelihood_too_and_the_trace_is_that_of_the_vectors():
    means = np.random.default_rng(0).normal(size=(3, 2, 3))
    toy, flat = toys.mixture(means, 0.5), toys.mixture(means.reshape(3, 6), 0.5)
    x = toy.sample(4, seed(0))
    result, _ = dv.log_likelihood(toy, x, steps=60, prior=lambda z: toy.log_prob(z, -12.0))
    other, _ = dv.log_likelihood(
        flat, x.flatten(1), steps=60, prior=lambda z: flat.log_prob(z, -12.0)
    )
    assert torch.allclose(result, other, atol=1e-10)
    assert (result - smoothed(toy, x, 10.0)).abs().max() < 1e-3
    assert dv.log_likelihood(toy, x, steps=3, probes=2, generator=seed(0))[0].shape == (4,)


def test_elbo_and_ode_agree_on_average_for_an_exact_denoiser():
    toy = toys.toy("gmm2d")
    x = toy.sample(400, seed(4))
    bound, ode = (
        dv.elbo(toy, x, levels=64, low=-12, generator=seed(0)).nats,
        -dv.log_likelihood(toy, x, steps=60)[0],
    )
    difference = bound - ode
    assert abs(difference.mean()) < 4 * difference.std() / 20 and difference.std() > 0.05


@pytest.mark.slow
def test_a_trained_run_has_both_likelihoods_within_a_tenth_of_a_nat_of_the_entropy():
    """At 1,500 new points: each lies above the exact −log p by what the network lost, and they
    agree within their noise.
    """
    toy = dv.toy("gmm2d", True)
    run = dv.fit("fm-ot", toy.sample(20_000, seed(0)), steps=800, progress=False)[0]
    x = toy.sample(1500, seed(5))
    bound, ode = (
        dv.elbo(run, x, levels=256, generator=seed(1)).nats,
        -dv.log_likelihood(run, x, low=-10, steps=60)[0],
    )
    above = [one + toy.log_prob(x) for one in (bound, ode)]
    noise = [one.std().item() / 1500**0.5 for one in above]
    assert all(-4 * error < one.mean() < 0.1 for one, error in zip(above, noise, strict=True))
    assert abs((bound - ode).mean()) < 4 * noise[0] + 0.02


def model(denoise):
    return SimpleNamespace(denoise=denoise)


identity, LEARNED = model(lambda z, l: z), torch.nn.Linear(2, 2).double()


@pytest.mark.parametrize("call", [dv.elbo, dv.log_likelihood])
@pytest.mark.parametrize(
    ("denoiser", "x", "options", "says"),
    [
        (model(lambda z, l: z * float("nan")), POINTS, {}, "NaN or inf at logsnr"),
        (
            model(lambda z, l: torch.where(l[:, None] > 2, float("inf"), z)),
            POINTS,
            {},
            "NaN or inf at logsnr [2-9]|NaN or inf at logsnr 10",
        ),
        (model(lambda z, l: z[:, :1]), POINTS, {}, r"\(\d+, 1\) for z \(\d+, 2\)"),
        (identity, POINTS, {"low": 1, "high": 1}, "low < high"),
        (identity, POINTS, {"low": 3, "high": -3}, "low < high"),
        (identity, POINTS, {"low": float("nan")}, "low must be finite, got nan"),
        (identity, POINTS * float("nan"), {}, "finite"),
        (identity, POINTS[0], {}, r"x\[:, None\]"),
    ],
)
def test_bad_input_is_refused_with_the_way_out(call, denoiser, x, options, says):
    with pytest.raises(ValueError, match=says):
        call(denoiser, x, **options)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: dv.elbo(identity, POINTS, levels=0), "levels must be at least 1, got 0"),
        (lambda: dv.elbo(identity, torch.zeros(2, 3), exact=True), "2 dimensions"),
        (lambda: dv.log_likelihood(identity, POINTS, probes=0), "probes must be at least 1"),
        (lambda: dv.log_likelihood(identity, POINTS, steps=0), "steps must be at least 1"),
        (lambda: dv.log_likelihood(identity, POINTS, tolerance=0.0), "tolerance must be .* > 0"),
        (
            lambda: dv.log_likelihood(identity, POINTS, steps=None, tolerance=1e-30),
            "tolerance must be at least 1e-13, got 1e-30",
        ),
        (lambda: dv.log_likelihood(model(lambda z, l: z.detach()), POINTS), "gradient"),
        (lambda: dv.log_likelihood(model(torch.no_grad()(lambda z, l: 2 * z)), POINTS), "gradient"),
        (lambda: dv.log_likelihood(model(lambda z, l: LEARNED(z.detach())), POINTS), "gradient"),
        (
            lambda: dv.log_likelihood(identity, POINTS, steps=2, prior=lambda z: z[:, :1]),
            r"prior .* got \(4, 1\)",
        ),
        (
            lambda: dv.log_likelihood(
                identity, POINTS, steps=2, prior=lambda z: z[:, 0] * float("nan")
            ),
            "prior .* without NaN",
        ),
        (
            lambda: dv.log_likelihood(toys.toy("gmm2d"), torch.zeros(3, 5), steps=2),
            r"x must have shape .* got \(3, 5\)",
        ),
        (
            lambda: dv.elbo(identity, POINTS, levels=4).weighted(lambda l: -np.ones_like(l)),
            ">= 0, got -1 at logsnr",
        ),
    ],
)
def test_counts_below_one_and_denoisers_without_gradient_are_refused(make, says):
    with pytest.raises(ValueError, match=says):
        make()


@pytest.mark.parametrize("call", [dv.elbo, dv.log_likelihood])
def test_integers_lists_and_read_only_arrays_are_welcome(call):
    """Integers become float and keep their values; the answer is in float64."""
    toy = toys.toy("gmm2d")
    settings = {"levels": 1, "exact": True} if call is dv.elbo else {"steps": 2}

    def answer(x):
        result = call(toy, x, **settings)
        return result.nats if call is dv.elbo else result[0]

    values = np.array([[0, 1], [2, -1]])
    expected = answer(torch.from_numpy(values).double())
    assert expected.dtype == torch.float64
    locked = values.astype(float)[::-1]
    locked.setflags(write=False)
    for x in (values, values.tolist(), torch.from_numpy(values), values.astype("i2")):
        assert torch.equal(answer(x), expected)
    assert torch.allclose(answer(locked), expected.flip(0))


def test_integers_beyond_single_precision_keep_their_values():
    toy = dv.mixture([[2.0**24]], 0.1)
    whole, real = (
        dv.elbo(toy, np.array([[2**24 + 1]], kind), levels=4, exact=True) for kind in ("i8", "f8")
    )
    assert torch.equal(whole.diffusion, real.diffusion)


def test_a_prior_that_returns_no_tensor_is_refused():
    with pytest.raises(TypeError, match=r"prior must return a tensor of shape \(n,\), got ndarray"):
        dv.log_likelihood(identity, POINTS, steps=1, prior=lambda z: z.numpy()[:, 0])


@pytest.mark.parametrize("call", [dv.elbo, dv.log_likelihood])
@pytest.mark.parametrize(
    ("denoiser", "x", "options", "says"),
    [
        (identity, np.ma.masked_less([[0.0, 1.0]], 1), {}, "x is a masked array"),
        (identity, [[1j, 2.0]], {}, "x must hold real numbers"),
        (identity, torch.ones(2, 2) * 1j, {}, "x must hold real numbers"),
        (identity, [["a", "b"]], {}, "x must hold real numbers"),
        (
            model(lambda z, l: (z, l)),
            POINTS,
            {},
            "the denoiser must return a tensor like z, got tuple; return the one entry",
        ),
        (
            model(lambda z, l: z.detach().numpy()),
            POINTS,
            {},
            "the denoiser must return a tensor like z, got ndarray; torch.as_tensor",
        ),
        (model(lambda z, l: None), POINTS, {}, "a tensor like z, got NoneType"),
        (identity, POINTS, {"low": "deep"}, "low must hold real numbers"),
        (identity, POINTS, {"high": True}, "high must be a number"),
        (identity, POINTS, {"generator": 0}, "must be a torch.Generator"),
        (lambda z, l: z, POINTS, {}, "must have denoise"),
    ],
)
def test_a_wrong_kind_of_thing_is_refused(call, denoiser, x, options, says):
    with pytest.raises(TypeError, match=says):
        call(denoiser, x, **options)


def test_a_law_that_leaves_levels_out_is_refused():
    """The prior and the reconstruction are those of the ends, and would not fit the integral."""
    law = stats.uniform(-5, 10)
    with pytest.raises(ValueError, match=r"cover all levels .* -10 to 10; its own end at -5 and 5"):
        dv.elbo(identity, POINTS, law=law)
    assert dv.elbo(identity, POINTS, law=law, low=-5, high=5).nats.shape == (4,)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: dv.elbo(identity, POINTS, levels=2.5), "levels must be a whole number"),
        (lambda: dv.elbo(identity, POINTS, law=LINEAR), "law must be a law of log-SNR"),
        (lambda: dv.log_likelihood(identity, POINTS, steps=2.5), "steps must be a whole"),
        (lambda: dv.log_likelihood(identity, POINTS, probes=True), "probes must be a whole"),
    ],
)
def test_counts_and_laws_that_are_none_are_refused(make, says):
    with pytest.raises(TypeError, match=says):
        make()


def test_a_bound_and_a_trajectory_are_shown_in_one_line():
    toy = toys.toy("moons", unit=True)
    bound = dv.elbo(toy, toy.sample(5, torch.Generator().manual_seed(0)))
    assert repr(bound) == f"Bound({bound.nats.mean().item():.4g} nats on average over 5 data)"
    walk = dv.sample(toy, n=7)
    steps = len(walk.logsnr) - 1
    assert repr(walk).startswith(f"Trajectory({steps} steps from log-SNR ")
    assert f"7 samples of shape (2,), {walk.calls} calls" in repr(walk)


# rounding


@pytest.mark.parametrize(("size", "high"), [(1.0, 67.0), (1e3, 53.0)])
def test_up_to_the_highest_level_the_bound_is_right_and_above_it_is_refused(size, high):
    """The density of one Gaussian is known in closed form; the noise at the end is nothing."""
    toy = dv.mixture([[0.0]], size)
    x = size * torch.tensor([[0.3], [-1.0]], dtype=torch.float64)
    exact = x[:, 0].square() / (2 * size**2) + math.log(size * math.sqrt(2 * math.pi))
    found = dv.elbo(toy, x, low=-30, high=high, levels=100, exact=True).nats
    torch.testing.assert_close(found, exact, rtol=0, atol=5e-3)
    for beyond in (high + 1, 75, 100, 700):
        with pytest.raises(ValueError, match=r"high must be at most .* the rounding"):
            dv.elbo(toy, x, low=-30, high=beyond, levels=100, exact=True)


@pytest.mark.parametrize("d", [3, 50, 1001])
def test_a_bound_does_not_depend_on_how_many_pairs_are_denoised_together(d, monkeypatch):
    x = torch.linspace(-1, 1, 7 * d).reshape(7, d)

    def bound():
        return dv.elbo(identity, x, levels=40, generator=torch.Generator().manual_seed(3))

    whole = bound()
    monkeypatch.setattr(likelihood, "NUMBERS_AT_ONCE", 100 * d)
    assert torch.equal(bound().nats, whole.nats)
    monkeypatch.setattr(likelihood, "NUMBERS_AT_ONCE", 1)
    assert likelihood.pairs_at_once(1, d) == 1
