"""How real code calls its network, and what breaks an assumption: each is read right, or named."""

import random

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn
from torch.nn import functional as F

from diffviz.probing.measure import probe
from diffviz.probing.standin import Output

pytestmark = pytest.mark.slow


def wide(t, x):
    return t.reshape(-1, *[1] * (x.ndim - 1))


def path(x, t=None):
    t = torch.rand(len(x)) if t is None else t
    e, s = torch.randn_like(x), wide(t, x)
    return t, (1 - s) * x + s * e, e - x


@pytest.fixture(scope="module")
def x():
    return torch.randn(64, 4, 4, 4, generator=torch.Generator().manual_seed(0))


def off(measured, closed=lambda l: np.exp(-l / 2)):
    edges = measured.edges(40, 0.98)
    fine = np.linspace(edges[:-1], edges[1:], 201)[:-1] + np.diff(edges) / 400
    ratio = measured.weighting(edges)[0] / closed(fine).mean(0)
    return np.abs(ratio / np.median(ratio) - 1).max()


def keyword(model, x):
    t, z, u = path(x)
    return F.mse_loss(
        model(timestep=1000 * t, sample=z, encoder_hidden_states=torch.zeros(len(x), 77, 8)), u
    )


def labels(model, x):
    t, z, u = path(x)
    return F.mse_loss(model(t, z, torch.zeros(len(x), dtype=torch.long)), u)


def same_size_text(model, x):
    t, z, u = path(x)
    return F.mse_loss(model(torch.ones(len(x), 64), z, t), u)


def attribute(model, x):
    t, z, u = path(x)
    return F.mse_loss(model(z, t).sample, u)


def entry(model, x):
    t, z, u = path(x)
    return F.mse_loss(model(z, t)["sample"], u)


def first(model, x):
    t, z, u = path(x)
    return F.mse_loss(model(z, t)[0], u)


def no_dict(model, x):
    t, z, u = path(x)
    return F.mse_loss(model(z, t, return_dict=False)[0], u)


def variance(model, x):
    t, z, u = path(x)
    return F.mse_loss(model(z, t).chunk(2, dim=1)[0], u)


def inpainting(model, x):
    t, z, u = path(x)
    return F.mse_loss(model(torch.cat([z, torch.ones_like(x[:, :1])], 1), t), u)


def self_conditioned(model, x):
    (t, z, u), before = path(x), torch.zeros_like(x)
    if random.random() < 0.5:
        with torch.no_grad():
            before = model(z, before, t)
    return F.mse_loss(model(z, before, t), u)


def steps(model, x):
    t, z, u = path(x, (torch.randint(0, 1000, (len(x),)) + 0.5) / 1000)
    return F.mse_loss(model(z, (1000 * t).long()), u)


def one_time(model, x):
    t, z, u = path(x, torch.rand(()))
    return F.mse_loss(model(z, t), u)


def summed(model, x):
    t, z, u = path(x)
    return F.mse_loss(model(z, t), u, reduction="sum")


def per_sample(model, x):
    t, z, u = path(x)
    return F.mse_loss(model(z, t), u, reduction="none").mean((1, 2, 3))


def per_component(model, x):
    t, z, u = path(x)
    return F.mse_loss(model(z, t), u, reduction="none")


def logged(model, x):
    t, z, u = path(x)
    return {"loss": F.mse_loss(model(z, t), u), "t": t}


def weighed(model, x):
    t, z, u = path(x)
    weight = torch.ones_like(t).requires_grad_()
    return (wide(weight.detach(), x) * (model(z, t) - u) ** 2).mean()


NAMED_SAMPLE = {"output": "sample"}
TUPLE = {"output": lambda out: (out, None)}
TWICE_AS_WIDE = {"output": lambda out: torch.cat([out, out.detach()], 1)}
Z_IS_SECOND = {"inputs": 1}
Z_IS_SAMPLE = {"inputs": "sample"}
Z_IS_CUT = {"inputs": lambda z, t: z[:, :4]}
CALLS = [
    (keyword, {}),
    (keyword, Z_IS_SAMPLE),
    (labels, {}),
    (labels, Z_IS_SECOND),
    (same_size_text, Z_IS_SECOND),
    (attribute, NAMED_SAMPLE),
    (entry, NAMED_SAMPLE),
    (first, TUPLE),
    (no_dict, {}),
    (no_dict, TUPLE),
    (variance, TWICE_AS_WIDE),
    (inpainting, Z_IS_CUT),
    (self_conditioned, {}),
    (steps, {}),
    (summed, {}),
    (per_sample, {}),
    (per_component, {}),
    (logged, {}),
    (weighed, {}),
]


@pytest.mark.parametrize(
    ("loss", "how"),
    CALLS,
    ids=[f"{loss.__name__}-{'-'.join(how) or 'as is'}" for loss, how in CALLS],
)
def test_the_same_loss_is_found_however_the_network_is_called(loss, how, x):
    measured = probe(loss, x, draws=4000, **how)
    assert measured.kind == "u" and off(measured) < 0.01 and not measured.notes


def test_an_output_that_goes_by_another_name_is_refused_with_the_way_out(x):
    with pytest.raises(AttributeError, match="reads 'sample' of the network's output: name it by"):
        probe(attribute, x, output="prediction")
    assert not hasattr(Output({"sample": x, 0: x}), "prediction")


def test_an_output_that_is_used_up_by_reading_is_refused(x):
    with pytest.raises(TypeError, match=r"output= must return what the loss reads.* tensor"):
        probe(keyword, x, output=lambda output: (part for part in (output,)))


def test_data_that_are_not_dense_are_refused_by_name(x):
    with pytest.raises(TypeError, match=r"x must be a dense tensor with values, got torch.sparse"):
        probe(keyword, x.to_sparse())


@pytest.mark.parametrize(
    ("output", "named"),
    [(lambda z: [[1.0], [2.0, 3.0]], "list"), (lambda z: None, "NoneType"), ("exp", "Output")],
)
def test_an_output_that_the_loss_cannot_read_is_named(output, named, x):
    def plain(model, x):
        t, z, u = path(x)
        return (model(z, t) - u).square().mean()

    with pytest.raises(TypeError, match=f"what output= returns, of type {named}: return what"):
        probe(plain, x, output=output)


@pytest.mark.slow
def test_one_time_per_call_is_scanned(x):
    measured = probe(one_time, x, draws=500)  # off by 3e-6; 200 are off by 0.18
    assert measured.kind == "u" and len(measured.logsnr) == 500 and off(measured) < 0.01


def test_one_of_several_calls_is_chosen_and_said(x):
    def two(model, x):
        t, z, u = path(x)
        return F.mse_loss(model(z, t), u) + 3 * F.mse_loss(model(z, t), x)

    assert [probe(two, x, draws=500, call=call).kind for call in (0, 1)] == ["u", "x"]
    assert any(
        "calls its network 2 times: this is call 1" in note
        for note in probe(two, x, draws=500).notes
    )
    with pytest.raises(ValueError, match="call=2, but the loss calls its network 2 time"):
        probe(two, x, draws=500, call=2)


class Preconditioned(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, z, sigma):
        s = wide(sigma, z)
        scale = (s**2 + 0.25).sqrt()
        return 0.25 / scale**2 * z + 0.5 * s / scale * self.inner(z / scale, sigma.log() / 4)


def test_a_preconditioner_is_probed_from_outside_and_inside(x):
    wrapper = Preconditioned(nn.Identity())

    def loss(model, x):
        sigma = (1.2 * torch.randn(len(x)) - 1.2).exp()
        error = wrapper(x + wide(sigma, x) * torch.randn_like(x), sigma) - x
        return (wide((sigma**2 + 0.25) / (0.5 * sigma) ** 2, x) * error**2).mean()

    outside, inside = probe(loss, x, model=wrapper), probe(loss, x, model=wrapper.inner)
    assert (outside.kind, inside.kind) == ("x", "F (sigma_data 0.5)")
    assert all(
        off(one, lambda l: np.exp(-(((l - 2.4) / 2.4) ** 2) / 2) * (np.exp(-l) + 0.25)) < 0.01
        for one in (outside, inside)
    )


def test_attributes_are_those_of_the_network_given(x):
    def loss(model, x):
        t, z, u = path(x / model.scale)
        return F.mse_loss(model(z, t), u)

    net = nn.Identity()
    net.scale = 0.5
    assert probe(loss, x, model=net, draws=1000).frame.startswith(
        "linear (alpha + sigma = 1) for data in units of 0.5 (if"
    )
    assert probe(loss, x, model=net, draws=1000, scale=2.0).kind == "u"
    with pytest.raises(AttributeError, match="reads 'scale' of its network: give probe"):
        probe(loss, x, draws=1000)


class Lit(nn.Module):
    """Shaped like a Lightning module: the network is an attribute, the loss a method."""

    def __init__(self):
        super().__init__()
        self.model, self.said = nn.Conv2d(4, 4, 1), []

    def log(self, name, value):
        self.said.append(value.item())

    def training_step(self, batch, number):
        _, z, u = path(batch["image"])
        loss = F.mse_loss(self.model(z), u)
        self.log("train_loss", loss)
        return {"loss": loss}


def test_a_network_inside_a_module_or_a_closure_is_named(x):
    lit = Lit()
    image = torch.randn(2, 4, 4, 4)
    before = lit.model(image)
    step = lambda x: lit.training_step({"image": x}, 0)
    assert probe(step, x, model="lit.model", draws=1000).kind == "u"
    assert torch.equal(lit.model(image), before) and lit.model.weight.grad is None
    with pytest.raises(ValueError, match="the loss has no 'net'"):
        probe(step, x, model="net")
    with pytest.raises(TypeError, match=r"must be an nn\.Module or the name of one"):
        probe(step, x, model="lit.said")


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 0.005), (torch.bfloat16, 0.1)])
def test_other_precisions(dtype, bound, x):
    measured = probe(one_number, x.to(dtype), draws=4000)
    assert measured.kind == "u" and off(measured) < bound


def one_number(model, x):
    t, z, u = path(x)
    return F.mse_loss(model(z.to(x.dtype), t).float(), u.float())


def test_times_drawn_with_rejection_end_and_keep_their_law(x):
    def loss(model, x):
        t, z, u = path(x, nn.init.trunc_normal_(torch.empty(len(x)), 0.5, 0.2, 0.0, 1.0))
        return F.mse_loss(model(z, t), u)

    measured = probe(loss, x, draws=4000)
    law = stats.truncnorm(-2.5, 2.5, 0.5, 0.2)
    assert (
        np.abs(measured.sigma.mean() - 0.5) < 2e-3
        and stats.kstest(measured.sigma, law.cdf).statistic < 0.01
    )


@pytest.mark.parametrize("first", [1.5, torch.tensor(1.5)])
def test_times_of_a_beta_distribution_are_its_quantiles(first, x):
    def loss(model, x):
        t, z, u = path(x, torch.distributions.Beta(first, 1.0).sample((len(x),)))
        return F.mse_loss(model(z, t), u)

    assert stats.kstest(probe(loss, x, draws=4000).sigma, stats.beta(1.5, 1).cdf).statistic < 5e-4


def test_one_offset_for_evenly_spread_times_of_a_batch_is_even_between_them(x):
    """VDM's times (u + i/n) mod 1, with one u a batch: all batches have every time once."""

    def loss(model, x):
        t, z, u = path(x, (torch.rand(()) + torch.arange(len(x)) / len(x)) % 1)
        return F.mse_loss(model(z, t), u)

    measured = probe(loss, x, draws=4000, batch=200)
    np.testing.assert_allclose(np.sort(measured.sigma), (np.arange(4000) + 0.5) / 4000, atol=1e-6)
    assert not measured.notes and off(measured) < 1e-3


def test_a_batch_that_drops_some_of_its_times_drops_them_at_random(x):
    """Antithetic steps for half a batch and one more: no particular steps are cut off."""

    def loss(model, x):
        at = torch.randint(0, 1000, (len(x) // 2 + 1,))
        at = torch.cat([at, 999 - at])[: len(x)]
        t, z, u = path(x, (at + 0.5) / 1000)
        return F.mse_loss(model(z, t), u)

    share = probe(loss, x, draws=20_000, batch=1000).levels()[1]
    assert (
        len(share) == 1000
        and share[:20].sum() == pytest.approx(0.02, rel=0.05) == share[-20:].sum()
    )


def test_few_bits_inside_the_loss_are_named_and_the_target_is_found(x):
    measured = probe(lambda model, x: one_number(model, x.bfloat16()), x, draws=2000)
    assert measured.kind == "u" and any("few bits" in note for note in measured.notes)
    assert not probe(one_number, x, draws=2000).notes


def test_latents_scaled_inside_the_loss_are_named_with_the_way_out(x):
    def loss(model, x, scaling_factor=0.18215):
        return cosine(model, scaling_factor * x)

    def cosine(model, x):
        t, e = torch.rand(len(x)), torch.randn_like(x)
        return F.mse_loss(model(wide((1 - t**2).sqrt(), x) * x + wide(t, x) * e, t), e)

    plain, scaled = probe(cosine, x, draws=2000), probe(loss, x, draws=2000)
    assert "if the loss multiplies x by 0.1822, give that as scale=" in scaled.frame
    np.testing.assert_allclose(scaled.logsnr, plain.logsnr + 2 * np.log(0.18215), atol=1e-3)
    seen = probe(loss, x, draws=2000, scale=0.18215)
    assert seen.frame == "variance-preserving"
    np.testing.assert_allclose(seen.logsnr, plain.logsnr, atol=1e-3)


def test_a_network_input_normalised_by_itself_is_refused_with_a_sentence(x):
    def loss(model, x):
        t, z, u = path(x)
        return F.mse_loss(model(z / z.std((1, 2, 3), keepdim=True), t), u)

    with pytest.raises(ValueError, match="no draw has data, noise and a finite gradient at once"):
        probe(loss, x, draws=500)


# An assumption fails: it is named, and what can still be read is read -----------------------------
def pseudo_huber(model, x, c=0.3):
    t, z, u = path(x)
    return (((model(z, t) - u) ** 2 + c**2).sqrt() - c).mean()


def perceptual(model, x):
    t, z, u = path(x)
    out, mix = model(z, t), torch.linspace(-1, 1, 64 * 16).reshape(64, 16).sin()
    return F.mse_loss(out, u) + 0.1 * F.mse_loss(
        torch.tanh(out.flatten(1) @ mix), torch.tanh(u.flatten(1) @ mix)
    )


def augmented(model, x):
    t, z, u = path(torch.where(wide(torch.rand(len(x)) < 0.5, x), x.flip(-1), x))
    return F.mse_loss(model(z, t), u)


def by_its_error(model, x):
    t, z, u = path(x)
    error = (model(z, t) - u) ** 2
    return (error / (error.detach().mean((1, 2, 3), keepdim=True) + 1e-3)).mean()


def by_the_data(model, x):
    t, z, u = path(x)
    return ((1 + x.square().mean((1, 2, 3), keepdim=True)) * (model(z, t) - u) ** 2).mean()


def over_the_batch(model, x):
    t, z, u = path(x)
    snr = ((1 - t) / t) ** 2
    weight = snr / snr.mean()
    return (wide(weight, x) * (model(z, t) - u) ** 2).mean()


def masked(model, x):
    t, z, u = path(x)
    return (torch.arange(4.0).reshape(4, 1, 1) * (model(z, t) - u) ** 2).mean()


def uniform_source(model, x):
    t, e = torch.rand(len(x)), 12**0.5 * (torch.rand_like(x) - 0.5)
    return F.mse_loss(model((1 - wide(t, x)) * x + wide(t, x) * e, t), e - x)


def noise_from_elsewhere(model, x):
    """Noise of Python's ``random``, which is always on."""
    t = torch.rand(len(x))
    e = torch.tensor([random.gauss(0, 1) for _ in range(x.numel())]).reshape(x.shape)
    return F.mse_loss(model((1 - wide(t, x)) * x + wide(t, x) * e, t), e - x)


def offset_noise(model, x):
    t = torch.rand(len(x))
    e = torch.randn_like(x) + 0.1 * torch.randn(len(x), 4, 1, 1)
    return F.mse_loss(model((1 - wide(t, x)) * x + wide(t, x) * e, t), e - x)


def offset_without_places(model, x):
    t = torch.rand(len(x))
    e = torch.randn_like(x) + 0.1 * torch.randn(x.shape[:2])[:, :, None, None]
    return F.mse_loss(model((1 - wide(t, x)) * x + wide(t, x) * e, t), e - x)


def zero_terminal(model, x):
    alphas = torch.linspace(1, 0, 1001)[1:]
    at = torch.randint(0, 1000, (len(x),))
    a, e = wide(alphas[at], x), torch.randn_like(x)
    snr = a**2 / (1 - a**2)
    return (snr.clamp(max=5) / snr * (model(a * x + (1 - a**2).sqrt() * e, at) - e) ** 2).mean(
        (1, 2, 3)
    )


FAILS = [
    (pseudo_huber, "not a squared loss.*at an error of 0.1", "u"),
    (perceptual, "components|neither squared|not a squared", None),
    (augmented, "data reach the network changed at random", None),
    (by_its_error, "not a squared loss, or weighted by its error", None),
    (by_the_data, "the weight depends on the data", "u"),
    (masked, "components weigh differently", None),
    (uniform_source, "the noise is not Gaussian", None),
    (noise_from_elsewhere, "not drawn by torch.*each draw to ±", None),
    (offset_noise, "noise shared by components is added, 0.1 times", "u"),
    (offset_without_places, "noise shared by components is added, 0.1 times", "u"),
    (zero_terminal, "0.001 of the draws gave no finite", "eps"),
]


@pytest.mark.parametrize(("loss", "says", "kind"), FAILS, ids=[loss.__name__ for loss, *_ in FAILS])
def test_an_assumption_that_fails_is_named(loss, says, kind, x):
    import re

    measured = probe(loss, x, draws=1000)
    assert any(re.search(says, note) for note in measured.notes), measured.notes
    assert kind is None or measured.kind == kind
    assert (
        np.isfinite(measured.logsnr).all()
        and np.isfinite(measured.density(measured.edges(20, 0.9))[0]).all()
    )


def test_a_weight_normalised_over_a_small_batch_scatters_and_is_named(x):
    assert any(
        "computed from the data or over the batch" in note
        for note in probe(over_the_batch, x, draws=400, batch=4).notes
    )


def test_a_weight_of_zero_without_data_is_read_with_the_data_on(x):
    def loss(model, x):
        t, z, u = path(x)
        return (x.square().mean((1, 2, 3), keepdim=True) * (model(z, t) - u) ** 2).mean()

    measured = probe(loss, x, draws=20_000)
    assert measured.kind == "u"
    assert off(measured) < 0.04
    assert any("weight depends on the data" in note for note in measured.notes)


@pytest.mark.slow
def test_memory_is_that_of_a_chunk_whatever_the_number_of_draws(x):
    largest = []

    def loss(model, x):
        largest.append(len(x))
        return one_number(model, x)

    for draws in (1000, 8000):
        probe(loss, x[:, :3].repeat(1, 1, 8, 8), draws=draws)
    assert max(largest) * 3 * 32 * 32 <= 2**18 and len(largest) > 3 * 8000 * 3072 / 2**18


def test_the_first_sample_of_a_plain_output_is_no_tuple(x):
    def loss(model, x):
        t, z, u = path(x)
        return ((model(z, t)[0] - u) ** 2).mean()

    with pytest.raises(ValueError, match="only one sample's output reaches the loss"):
        probe(loss, x, draws=500)


def test_the_local_factor_of_a_pseudo_huber_loss_is_stated_with_its_error(x):
    """The derivative of √(r² + c²) over r is 1/√(r² + c²).

    From an error of 0.1 to one of 1 it falls to √(0.1/1.09) at c = 0.3.
    """
    measured = probe(pseudo_huber, x, draws=1000)
    assert any(
        f"at 1 it is {(0.1 / 1.09) ** 0.5:.3g} times that" in note for note in measured.notes
    )
    assert off(measured) < 0.02  # flow matching's curve: the factor is the same at every level


def test_noise_from_elsewhere_gives_sigma_to_the_error_that_is_said(x):
    """Of 64 components the relative error is 1/√128 a draw.

    On the linear path 1 − alpha is the sigma that it should be.
    """
    measured = probe(noise_from_elsewhere, x, draws=2000)
    assert any("each draw to ±8.8 %" in note for note in measured.notes)
    exact = 1 - measured.alpha
    inside = (exact > 0.05) & (exact < 0.95)
    miss = measured.sigma[inside] / exact[inside] - 1
    assert 0.5 < np.std(miss) * 128**0.5 < 1.5


def test_modes_generators_and_gradients_are_put_back_also_after_an_exception(x):
    net, own, numpy_own, calls = (
        nn.Sequential(nn.Conv2d(4, 4, 1)).eval(),
        torch.Generator().manual_seed(3),
        np.random.default_rng(3),
        [],
    )

    def loss(model, x):
        model.train()
        calls.append(1)
        if len(calls) > 4:
            raise RuntimeError("mine")
        t = torch.rand(len(x), generator=own) + 0 * numpy_own.random() + 0 * random.random()
        return one_number_at(model, x, t)

    def one_number_at(model, x, t):
        _, z, u = path(x, t)
        return F.mse_loss(model(z), u)

    random.seed(5)
    before = (
        own.get_state(),
        numpy_own.bit_generator.state,
        random.getstate(),
        torch.get_rng_state(),
        torch.rand,
    )
    answer = net(x[:2]).detach()
    torch.set_rng_state(before[3])
    with pytest.raises(RuntimeError, match="mine"):
        probe(loss, x, model=net, draws=500)
    assert (
        torch.equal(own.get_state(), before[0])
        and numpy_own.bit_generator.state == before[1]
        and random.getstate() == before[2]
    )
    assert (
        torch.equal(torch.get_rng_state(), before[3])
        and torch.rand is before[4]
        and "forward" not in vars(net)
    )
    assert (
        not net.training and not net[0].training and all(p.grad is None for p in net.parameters())
    )
    assert torch.equal(net(x[:2]), answer)
