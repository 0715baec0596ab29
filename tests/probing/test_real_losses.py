"""What real training code does otherwise than a textbook: each is read right, or named.

The right value is known in closed form. A loss that has no weighting is refused in words.
"""

import random

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import expit
from torch import nn
from torch.nn import functional as F

import diffviz as dv
from diffviz.probing.measure import probe

pytestmark = pytest.mark.slow

FRAMES = 4


@pytest.fixture(scope="module")
def x():
    return torch.randn(64, FRAMES, 4, 4, generator=torch.Generator().manual_seed(0))


def wide(t, x):
    return t.reshape(len(x), *[1] * (x.ndim - 1))


def flow(model, x, t=None, noise=None, weight=1.0):
    """Flow matching on the linear path: w = exp(-λ/2) for uniform times."""
    t = torch.rand(len(x)) if t is None else t
    noise = torch.randn_like(x) if noise is None else noise
    level = wide(t, x)
    error = model((1 - level) * x + level * noise, t) - (noise - x)
    return (weight * error**2).mean()


def of_flow(logsnr):
    return np.exp(-logsnr / 2)


def deviations(measured, closed=of_flow):
    """Middles of 40 bins over 98 % of the draws, and relative deviations of the weighting."""
    edges = measured.edges(40, 0.98)
    fine = np.linspace(edges[:-1], edges[1:], 201)[:-1] + np.diff(edges) / 400
    ratio = measured.weighting(edges)[0] / closed(fine).mean(0)
    return (edges[1:] + edges[:-1]) / 2, np.abs(ratio / np.median(ratio) - 1)


def off(measured, closed=of_flow):
    return deviations(measured, closed)[1].max()


def says(measured, text):
    return any(text in note for note in measured.notes)


# Choices made once a batch -----------------------------------------------------------------------


def narrow_by_torch(n):
    return torch.rand(n) * 0.3 + 0.3 if torch.rand(1) < 0.5 else torch.rand(n)


def narrow_by_random(n):
    return torch.rand(n) * 0.3 + 0.3 if random.random() < 0.5 else torch.rand(n)


def narrow_by_numpy(n):
    return torch.rand(n) * 0.3 + 0.3 if np.random.rand() < 0.5 else torch.rand(n)  # noqa: NPY002


@pytest.mark.parametrize("times", [narrow_by_torch, narrow_by_random, narrow_by_numpy])
def test_a_coin_thrown_once_a_batch_is_averaged_over_its_sides(times, x):
    """Half of the times are uniform, half are in [0.3, 0.6]: the density there is 13/3 as high."""

    def step(logsnr):
        t = 1 / (1 + np.exp(logsnr / 2))
        return np.exp(-logsnr / 2) * np.where((t > 0.3) & (t < 0.6), 13 / 3, 1)

    measured = probe(lambda model, x: flow(model, x, times(len(x))), x, draws=40_000, batch=100)
    logsnr, deviation = deviations(measured, step)
    ends = 2 * np.log((1 - np.array([0.3, 0.6])) / np.array([0.3, 0.6]))
    away = np.abs(logsnr[:, None] - ends).min(1) > 0.5
    assert np.median(deviation) < 0.01
    assert deviation[away].max() < 0.05
    assert "equal to" not in str(dv.probe(lambda model, x: flow(model, x, times(len(x))), x))


def test_a_shift_for_each_batch_is_averaged_and_named(x):
    def loss(model, x):
        t, shift = torch.rand(len(x)), 10 ** (2 * torch.rand(1) - 1)
        return flow(model, x, shift * t / (1 + (shift - 1) * t))

    measured = probe(loss, x)
    assert says(measured, "levels differ between calls of the loss")
    assert measured.logsnr.mean() == pytest.approx(0, abs=0.05)


def test_a_curriculum_that_counts_its_calls_is_replayed_and_its_drift_named(x):
    class Trainer:
        step = 0

        def loss(self, model, x):
            self.step += 1
            return flow(model, x, torch.rand(len(x)) * min(1, self.step / 150))

    trainer = Trainer()
    trainer.step = 7
    measured = probe(trainer.loss, x)
    assert measured.kind == "u"
    assert says(measured, "levels drift with the number of calls")
    assert trainer.step == 7
    assert not says(probe(flow, x), "calls")


# Targets that come from a network ----------------------------------------------------------------


def consistency(model, x):
    s, noise = torch.rand(len(x)), torch.randn_like(x)
    r = 0.8 * s
    with torch.no_grad():
        target = model((1 - wide(r, x)) * x + wide(r, x) * noise, r)
    return ((model((1 - wide(s, x)) * x + wide(s, x) * noise, s) - target) ** 2).mean()


def consistency_with_gradient(model, x):
    s, noise = torch.rand(len(x)), torch.randn_like(x)
    r = 0.8 * s
    target = model((1 - wide(r, x)) * x + wide(r, x) * noise, r).detach()
    return ((model((1 - wide(s, x)) * x + wide(s, x) * noise, s) - target) ** 2).mean()


def mean_flow(model, x):
    t, noise = torch.rand(len(x)), torch.randn_like(x)
    z, velocity = (1 - wide(t, x)) * x + wide(t, x) * noise, noise - x
    mean, slope = torch.func.jvp(model, (z, t), (velocity, torch.ones_like(t)))
    return ((mean - (velocity - 0.5 * slope).detach()) ** 2).mean()


TEACHER = nn.Conv2d(FRAMES, FRAMES, 1)


def distillation(model, x):
    t, noise = torch.rand(len(x)), torch.randn_like(x)
    z = (1 - wide(t, x)) * x + wide(t, x) * noise
    with torch.no_grad():
        target = TEACHER(z)
    return ((model(z, t) - target) ** 2).mean()


OF_NETWORKS = {
    consistency: "another call of the same network",
    consistency_with_gradient: "another call of the same network",
    mean_flow: "the derivative of the network",
    distillation: r"another network (Conv2d)",
}


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
@pytest.mark.parametrize("loss", OF_NETWORKS, ids=lambda loss: loss.__name__)
def test_a_target_from_a_network_has_levels_and_no_weighting(loss, x):
    measured = dv.probe(loss, x, draws=2000)
    assert measured.kind == "network"
    assert says(measured, f"the target depends on {OF_NETWORKS[loss]}")
    assert "catalogue:" not in str(measured)
    np.testing.assert_allclose(np.sort(measured.sigma), (np.arange(2000) + 0.5) / 2000, atol=1e-4)
    np.testing.assert_allclose(measured.multiplier, 1 / x[0].numel(), rtol=1e-4)
    with pytest.raises(ValueError, match="no weighting: the target depends on"):
        measured.weighting([-1.0, 1.0])


def test_a_difference_of_two_other_calls_is_found(x):
    """One is made before the call that trains, one after it, and they answer differently."""

    def loss(model, x):
        t, noise = torch.rand(len(x)), torch.randn_like(x)
        z = (1 - wide(t, x)) * x + wide(t, x) * noise
        with torch.no_grad():
            before = model(z, t / 2)
        output = model(z, t)
        with torch.no_grad():
            after = model(z, t / 4)
        return ((output - (noise - x) - (after - before)) ** 2).mean()

    measured = dv.probe(loss, x, draws=400)
    assert measured.kind == "network"
    assert says(measured, "the target depends on another call of the same network")


@pytest.mark.parametrize("shift", [0.0, 3.0])
def test_the_levels_of_the_other_call_are_told(x, shift):
    """s = 1/2 and r = 2/5 of the way: the middle of log-SNR is 2 log(3/2) higher at r.

    A shift of the data is neither signal nor noise.
    """

    def loss(model, x):
        x = x + shift
        s, noise = torch.full((len(x),), 0.5), torch.randn_like(x)
        with torch.no_grad():
            target = model(0.6 * x + 0.4 * noise, 0.8 * s)
        return ((model(0.5 * x + 0.5 * noise, s) - target) ** 2).mean()

    assert says(probe(loss, x, draws=100), "a log-SNR higher by 0.811")


def test_two_losses_on_one_network_do_not_depend_on_each_other(x):
    def loss(model, x):
        return flow(model, x) + flow(model, x)

    assert probe(loss, x, draws=2000).kind == "u"


def test_loss_modules_and_encoders_are_no_teachers(x):
    encoder = nn.Conv2d(FRAMES, FRAMES, 1, bias=False)
    with torch.no_grad():
        encoder.weight.copy_(torch.eye(FRAMES)[:, :, None, None])
    criterion = nn.MSELoss()

    def loss(model, x):
        with torch.no_grad():
            latents = encoder(x)
        t, noise = torch.rand(len(x)), torch.randn_like(x)
        z = (1 - wide(t, x)) * latents + wide(t, x) * noise
        return criterion(model(z, t), noise - latents)

    assert probe(loss, x, draws=2000).kind == "u"


# Weights -----------------------------------------------------------------------------------------


def test_a_weight_of_zero_is_a_weight(x):
    def loss(model, x):
        t = torch.rand(len(x))
        return flow(model, x, t, weight=wide((t > 0.3).float(), x))

    measured = dv.probe(loss, x)
    assert measured.kind == "u"
    edges = np.linspace(-12, 12, 49)
    density, _ = measured.density(edges)
    exact = np.diff(1 / (1 + np.exp(-edges / 2))) / np.diff(edges)
    np.testing.assert_allclose(density, exact, rtol=2e-3)
    w, _ = measured.weighting(edges)
    edge_of_weight = 2 * np.log(0.7 / 0.3)
    assert (w[edges[:-1] > edge_of_weight] == 0).all()
    below = edges[1:] < edge_of_weight
    expected = -2 * np.diff(np.exp(-edges / 2))
    ratio = w[below] / expected[below]
    np.testing.assert_allclose(ratio / ratio[0], 1, rtol=5e-3)
    assert "equal to" not in str(measured)


def test_a_loss_without_any_weight_has_a_summary(x):
    assert "weight of 0" in str(dv.probe(lambda model, x: 0 * flow(model, x), x, draws=500))


WEIGHTS = {
    "by component": lambda x, t: torch.tensor([1, 1, 0.1, 0.0]).reshape(4, 1, 1),
    "by sample": lambda x, t: wide(torch.rand(len(x)), x),
    "by random masks": lambda x, t: (torch.rand_like(x) < 0.5).float(),
    "by the size of data": lambda x, t: 1 + x.abs(),
    "of no data": lambda x, t: x.abs(),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_that_scatter_are_averaged_and_the_target_stays(name, x):
    def loss(model, x):
        t = torch.rand(len(x))
        return flow(model, x, t, weight=WEIGHTS[name](x, t))

    measured = probe(loss, x)
    assert measured.kind == "u"
    assert off(measured) < 0.02


# Places and levels of components -----------------------------------------------------------------


def packed(values):
    """2 x 2 patches as tokens, as FLUX has them."""
    n, c, h, w = values.shape
    return (
        values.reshape(n, c, h // 2, 2, w // 2, 2)
        .permute(0, 2, 4, 1, 3, 5)
        .reshape(n, h * w // 4, 4 * c)
    )


def test_tokens_packed_before_the_network_are_found(x):
    def loss(model, x):
        t, noise = torch.rand(len(x)), torch.randn_like(x)
        z = (1 - wide(t, x)) * x + wide(t, x) * noise
        return ((model(packed(z), t) - packed(noise - x)) ** 2).mean()

    measured = probe(loss, x)
    assert (measured.kind, measured.frame) == ("u", "linear (alpha + sigma = 1)")
    assert off(measured) < 2e-3
    assert not measured.notes


@pytest.mark.parametrize(
    "change",
    [lambda x: x.repeat(2, 1, 1, 1), lambda x: x[: len(x) // 2], lambda x: x.flip(-1)],
    ids=["repeated", "half", "flipped"],
)
def test_a_batch_that_is_repeated_cut_or_flipped_is_read(change, x):
    measured = probe(lambda model, x: flow(model, change(x)), x, draws=4000)
    assert measured.kind == "u"
    assert off(measured) < 0.01


def test_frames_in_the_place_of_samples_are_read(x):
    def loss(model, x):
        t, noise = torch.rand(len(x)), torch.randn_like(x)
        z = (1 - wide(t, x)) * x + wide(t, x) * noise
        return ((model(z.flatten(0, 1)) - (noise - x).flatten(0, 1)) ** 2).mean()

    measured = probe(loss, x, draws=4000)
    assert measured.kind == "u"
    assert off(measured) < 0.01


FRAME_TIMES = {
    "uniform": (lambda n: torch.rand(n, FRAMES), of_flow),
    "logit-normal": (
        lambda n: torch.sigmoid(torch.randn(n, FRAMES)),
        lambda l: np.exp(-(l**2) / 8) * (1 + np.exp(-l / 2)) ** 2,
    ),
}


@pytest.mark.parametrize("name", FRAME_TIMES)
def test_levels_of_frames_have_each_its_own_weighting(name, x):
    times, closed = FRAME_TIMES[name]

    def loss(model, x):
        t, noise = times(len(x)), torch.randn_like(x)
        level = t[:, :, None, None]
        return ((model((1 - level) * x + level * noise, t) - (noise - x)) ** 2).mean()

    measured = probe(loss, x)
    assert says(measured, "a sample holds 4 noise levels, in groups of 16, 16, 16, 16")
    assert not says(measured, "left out")
    with pytest.raises(ValueError, match=r"several noise levels.*parts"):
        measured.weighting([-1.0, 1.0])
    for part in measured.parts:
        assert part.kind == "u"
        assert off(part, closed) < 2e-3


def test_a_clean_first_frame_is_left_out(x):
    def loss(model, x):
        t, noise = torch.rand(len(x)), torch.randn_like(x)
        level = wide(t, x).expand(-1, FRAMES, 1, 1).clone()
        level[:, 0] = 0
        error = model((1 - level) * x + level * noise, t) - (noise - x)
        return (error[:, 1:] ** 2).mean()

    measured = probe(loss, x)
    assert says(measured, "16 of 64 components hold no noise")
    assert off(measured) < 2e-3
    part = probe(loss, x, inputs=lambda z, t: z[:, 1:], draws=4000)
    assert off(part) < 2e-3


def test_levels_in_places_that_change_have_no_one_weighting(x):
    def loss(model, x):
        first, second = wide(torch.rand(len(x)), x), wide(torch.rand(len(x)) ** 2, x)
        level, noise = torch.where(torch.rand_like(x) < 0.5, first, second), torch.randn_like(x)
        return ((model((1 - level) * x + level * noise) - (noise - x)) ** 2).mean()

    measured = probe(loss, x, draws=4000)
    assert says(measured, "places that change with the draw")
    with pytest.raises(ValueError, match="several noise levels"):
        measured.weighting([-1.0, 1.0])


def test_data_scaled_by_channel_are_read_in_their_scaled_units(x):
    mean = torch.tensor([0.1, 0.2, 0.3, 0.4]).reshape(4, 1, 1)
    std = torch.tensor([0.5, 1, 2, 4.0]).reshape(4, 1, 1)
    for shift in (0, mean):
        measured = probe(lambda model, x, shift=shift: flow(model, (x - shift) / std), x)
        assert (measured.kind, measured.frame) == ("u", "linear (alpha + sigma = 1)")
        assert off(measured) < 2e-3
        assert says(measured, "runs from -2.08 to +2.08 nats")


# Noise and input ---------------------------------------------------------------------------------


def blurred(noise):
    kernel = torch.ones(1, 1, 2, 2) / 2
    ring = F.pad(noise.flatten(0, 1)[:, None], (0, 1, 0, 1), mode="circular")
    return F.conv2d(ring, kernel).reshape(noise.shape)


def pink(noise):
    f = torch.fft.fftfreq(noise.shape[-1])
    size = 1 / (0.2 + (f[:, None] ** 2 + f**2).sqrt())
    return torch.fft.ifft2(torch.fft.fft2(noise) * size / size.square().mean().sqrt()).real


def with_coarse(noise):
    coarse = torch.randn(*noise.shape[:2], 2, 2)
    return noise + F.interpolate(coarse, scale_factor=2, mode="nearest")


@pytest.mark.parametrize("change", [blurred, pink, with_coarse])
def test_correlated_noise_is_named_and_nothing_is_called_equal(change, x):
    measured = dv.probe(lambda model, x: flow(model, x, noise=change(torch.randn_like(x))), x)
    assert says(measured, "the noise is correlated")
    assert "equal to" not in str(measured)


def test_coarse_noise_lowers_log_snr_by_what_it_adds(x):
    """Four components share a number as large as eps: the variance of their mean is 1 + 4."""
    measured = probe(lambda model, x: flow(model, x, noise=with_coarse(torch.randn_like(x))), x)
    assert says(measured, f"lower by {np.log(5):.2g} along what 4 components share")


def test_noise_of_centred_points_is_named(x):
    points = torch.randn(64, 5, 3, generator=torch.Generator().manual_seed(0))

    def loss(model, x):
        noise = torch.randn_like(x)
        x = x - x.mean(1, keepdim=True)
        return flow(model, x, noise=noise - noise.mean(1, keepdim=True))

    measured = dv.probe(loss, points, draws=2000)
    assert says(measured, "the noise is correlated")
    assert "equal to" not in str(measured)


BENT = {
    "clipped at ±3": lambda z: z.clamp(-3, 3),
    "rounded to": lambda z: (z * 4).round() / 4,
    "not linearly": lambda z: 3 * torch.tanh(z / 3),
}


@pytest.mark.parametrize("text", BENT)
def test_an_input_that_is_no_sum_is_named(text, x):
    def loss(model, x):
        sigma, noise = wide((1.2 * torch.randn(len(x)) - 1.2).exp(), x), torch.randn_like(x)
        return ((model(BENT[text](x + sigma * noise), sigma) - x) ** 2 / sigma**2).mean()

    measured = dv.probe(loss, x, draws=4000)
    assert says(measured, text)
    assert "equal to" not in str(measured)


def test_an_input_of_few_numbers_is_not_called_rounded_where_it_is_bent():
    points = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))

    def loss(model, x):
        sigma, noise = torch.rand(len(x), 1), torch.randn_like(x)
        return ((model(torch.tanh(x + sigma * noise), sigma) - x) ** 2).mean()

    measured = dv.probe(loss, points, draws=400)
    assert says(measured, "data reach the network changed at random, not linearly")
    assert not says(measured, "rounded to")


def test_one_time_a_batch_is_found_at_the_precision_of_few_bits(x):
    def loss(model, x):
        t, noise = torch.rand(1), torch.randn_like(x)
        z = (1 - t) * x + t * noise
        return ((model(z.bfloat16(), t).float() - (noise - x)) ** 2).mean()

    measured = probe(loss, x, draws=400)
    assert measured.kind == "u"
    assert len(np.unique(measured.logsnr)) > 300
    assert off(measured) < 0.1


# Seeds and sources -------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1, 42])
def test_data_of_a_small_seed_are_not_the_noise_of_the_probe(seed):
    seen = []
    torch.manual_seed(seed)
    x = torch.randn(32, 8)

    def loss(model, x):
        noise = torch.randn_like(x)
        seen.append(noise.clone())
        return flow(model, x, noise=noise)

    measured = probe(loss, x, draws=500, batch=32)
    assert measured.kind == "u"
    assert not any(torch.isclose(noise, x, atol=1e-6).any(1).all() for noise in seen)


SOURCES = {
    "rand": lambda n: np.random.rand(n),  # noqa: NPY002
    "uniform": lambda n: np.random.uniform(0, 1, n),  # noqa: NPY002
    "default_rng": lambda n: np.random.default_rng().random(n),
    "uniform of a generator": lambda n: np.random.default_rng().uniform(size=n),
    "scipy": lambda n: stats.uniform.rvs(size=n),
}


@pytest.mark.parametrize("name", SOURCES)
def test_times_of_numpy_are_quantiles_too(name, x):
    times = SOURCES[name]
    measured = dv.probe(lambda model, x: flow(model, x, torch.from_numpy(times(len(x))).float()), x)
    assert off(measured) < 2e-3
    assert "equal to fm-ot" in str(measured)


def test_times_that_are_drawn_one_by_one_are_quantiles_too(x):
    def loss(model, x):
        return flow(model, x, torch.tensor([random.random() for _ in range(len(x))]))

    measured = dv.probe(loss, x)
    assert off(measured) < 2e-3
    assert "equal to fm-ot" in str(measured)


def test_times_that_cannot_be_put_evenly_are_judged_by_all_bins(x):
    """Two gamma variables make one time."""

    def drawn(n):
        return np.array([random.betavariate(1.0, 1.0) for _ in range(n)])

    def loss(model, x):
        return flow(model, x, torch.from_numpy(drawn(len(x))).float())

    measured = dv.probe(loss, x)
    assert "not told apart from" in str(measured)
    assert "levels" not in str(measured).split("\n")[2]
    assert "stratified" in str(measured)

    def other(model, x):
        return flow(model, x, torch.from_numpy(drawn(len(x)) ** 1.2).float())

    assert "not told apart from fm-ot" not in str(dv.probe(other, x))


# Error size and names ----------------------------------------------------------------------------


def huber(model, x):
    t, noise = torch.rand(len(x)), torch.randn_like(x)
    z = (1 - wide(t, x)) * x + wide(t, x) * noise
    return F.huber_loss(model(z, t), noise - x, delta=0.5)


def test_a_huber_loss_is_read_at_the_error_that_is_given(x):
    """Beyond its width δ the slope is δ/error of that inside."""
    inside, beyond = (probe(huber, x, draws=200, error=size) for size in (0.1, 2.0))
    np.testing.assert_allclose(beyond.multiplier / inside.multiplier, 0.25, rtol=1e-3)
    curve = probe(huber, x, draws=200, error=lambda logsnr: np.where(logsnr > 0, 0.1, 2.0))
    ratio = curve.multiplier / inside.multiplier
    np.testing.assert_allclose(ratio, np.where(curve.logsnr > 0, 1, 0.25), rtol=1e-3)


def test_a_huber_loss_is_read_at_the_least_error_of_a_toy():
    """Given z, eps − x of N(0, I) data has the variance 1/((1 − t)² + t²) in each component."""
    toy = dv.mixture(np.zeros((1, 3)), 1.0)
    least, inside = (probe(huber, toy, draws=200, error=size) for size in ("mmse", 0.1))
    t = expit(-least.logsnr / 2)
    size = ((1 - t) ** 2 + t**2) ** -0.5
    assert size.min() < 1.01
    assert size.max() > 1.4
    np.testing.assert_allclose(least.multiplier / inside.multiplier, 0.5 / size, rtol=2e-3)
    assert any("at an error of the least size for these data" in note for note in least.notes)


def test_a_least_error_follows_the_target_of_the_loss():
    """Of eps itself it is that of the toy, and at high noise it is inside the width of the loss."""

    def eps_huber(model, x):
        t, noise = torch.rand(len(x)), torch.randn_like(x)
        return F.huber_loss(model((1 - wide(t, x)) * x + wide(t, x) * noise), noise, delta=0.5)

    toy = dv.toy("ring8")
    least, inside = (probe(eps_huber, toy, draws=200, error=size) for size in ("mmse", 0.1))
    size = np.sqrt(toy.mmse(least.logsnr) / 2)
    assert size.min() < 0.3
    expected = 0.5 / np.maximum(size, 0.5)
    np.testing.assert_allclose(least.multiplier / inside.multiplier, expected, rtol=5e-3)


def test_the_least_error_of_other_data_is_not_known(x):
    with pytest.raises(ValueError, match="needs data whose least error is known, got Tensor"):
        probe(huber, x, draws=200, error="mmse")
    with pytest.raises(ValueError, match="error must be a number, a function or 'mmse', got 'mse'"):
        probe(huber, x, draws=200, error="mse")


@pytest.mark.parametrize("error", [0, -1.0, lambda logsnr: 0 * logsnr, np.nan])
def test_an_error_that_is_not_positive_is_refused(error, x):
    with pytest.raises(ValueError, match="error must"):
        probe(huber, x, draws=200, error=error)


def test_a_loss_under_another_name_is_found_by_its_key(x):
    def loss(model, x):
        return {"train/mse": flow(model, x)}

    assert probe(loss, x, draws=500, loss_key="train/mse").kind == "u"
    with pytest.raises(TypeError, match=r"loss_key= gives another name.*train/mse"):
        probe(loss, x, draws=500)


# Networks that answer otherwise, and losses that fail --------------------------------------------


class Answer:
    def __init__(self, sample):
        self.sample = sample


class Answering(nn.Module):
    """A network that answers in a form of its own."""

    def __init__(self, form):
        super().__init__()
        self.form = form

    def forward(self, z, t):
        return self.form(z)


FORMS = {
    "a tuple": (lambda z: (z, None), lambda out: out[0]),
    "an attribute": (Answer, lambda out: out.sample),
    "a dict": (lambda z: {"sample": z}, lambda out: out["sample"]),
    "variance": (lambda z: torch.cat([z, z], 1), lambda out: out.chunk(2, 1)[0]),
}


@pytest.mark.parametrize("name", FORMS)
def test_the_form_of_an_answer_is_learned_from_the_network(name, x):
    form, read = FORMS[name]
    network = Answering(form)
    measured = probe(
        lambda model, x: flow(lambda z, t: read(model(z, t)), x), x, model=network, draws=500
    )
    assert measured.kind == "u"


@pytest.mark.parametrize(
    ("read", "says"),
    [
        (lambda out: out.sample, "give output='sample'"),
        (lambda out: sum(zip(*out, strict=True)), "output"),
        (lambda out: out["sample"], "give that name as output="),
        (lambda out: {"a": out}["sample"], "give output='sample'"),
    ],
)
def test_a_loss_that_expects_another_answer_is_told_what_to_pass(read, says, x):
    def loss(model, x):
        return flow(lambda z, t: read(model(z, t)), x)

    if says == "output":

        def loss(model, x):
            one, two = model(x + torch.randn_like(x))
            return one.mean() + two.mean()

    with pytest.raises(Exception, match=says) as told:
        probe(loss, x, draws=200)
    assert told.value.__cause__ is not None


def test_an_assertion_is_told_with_its_line(x):
    def loss(model, x):
        assert x.shape[1] == 3
        return flow(model, x)

    with pytest.raises(ValueError, match=r"asserts .assert x\.shape\[1\] == 3"):
        probe(loss, x, draws=200)


def test_a_loss_that_calls_backward_is_told_to_return_before(x):
    def loss(model, x):
        value = flow(model, x)
        value.backward()
        return value

    with pytest.raises(RuntimeError, match="calls backward itself: return it"):
        probe(loss, x, draws=200)


def test_a_network_behind_module_is_found(x):
    measured = probe(lambda model, x: flow(lambda z, t: model.module(z, t), x), x, draws=500)
    assert measured.kind == "u"
