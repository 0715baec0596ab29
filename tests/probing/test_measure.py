"""The probe on losses written from the papers' own pseudo-code.

Kinds, densities and factors are found; bad input is refused; nothing is left behind.
"""

import random
import re

import numpy as np
import pytest
import torch
from torch import nn

import diffviz as dv
from diffviz.probing.measure import probe


def wide(t, x):
    return t.reshape(-1, *[1] * (x.ndim - 1))


def cosine(x):
    t = torch.rand(len(x))
    return (
        t,
        wide(torch.cos(torch.pi * t / 2), x),
        wide(torch.sin(torch.pi * t / 2), x),
        torch.randn_like(x),
    )


def eps_cosine(model, x):
    t, a, s, e = cosine(x)
    return ((model(a * x + s * e, t) - e) ** 2).mean()


def x_cosine(model, x):
    t, a, s, e = cosine(x)
    return ((model(a * x + s * e, t) - x) ** 2).mean()


def v_cosine(model, x):
    t, a, s, e = cosine(x)
    return ((model(a * x + s * e, t) - (a * e - s * x)) ** 2).mean()


def score_ve(model, x):
    sigma = wide(0.01 * 5000 ** torch.rand(len(x)), x)
    e = torch.randn_like(x)
    return (sigma**2 * (model(x + sigma * e, sigma) + e / sigma) ** 2).mean()


def edm_output(model, x, sd=0.5):
    sigma = wide((1.2 * torch.randn(len(x)) - 1.2).exp(), x)
    z = x + sigma * torch.randn_like(x)
    skip, out, scale = (
        sd**2 / (sigma**2 + sd**2),
        sigma * sd / (sigma**2 + sd**2).sqrt(),
        1 / (sigma**2 + sd**2).sqrt(),
    )
    weight = (sigma**2 + sd**2) / (sigma * sd) ** 2
    return (weight * (skip * z + out * model(scale * z, sigma.log() / 4) - x) ** 2).mean()


def flow(model, x):
    t, e = torch.rand(len(x)), torch.randn_like(x)
    return ((model((1 - wide(t, x)) * x + wide(t, x) * e, t) - (e - x)) ** 2).mean()


CASES = {
    "eps": (eps_cosine, "eps", lambda l: 1 / np.cosh(l / 2)),
    "x": (x_cosine, "x", lambda l: np.exp(-l) / np.cosh(l / 2)),
    "v": (v_cosine, "v", lambda l: np.exp(-l / 2)),
    "score": (score_ve, "score", np.ones_like),
    "F": (edm_output, "F", lambda l: np.exp(-(((l - 2.4) / 2.4) ** 2) / 2) * (np.exp(-l) + 0.25)),
    "u": (flow, "u", lambda l: np.exp(-l / 2)),
}


def deviation(measured, closed):
    edges = measured.edges()
    w, _ = measured.weighting(edges)
    nodes, rule = np.polynomial.legendre.leggauss(20)
    ratio = w / (rule @ closed((edges[1:] + edges[:-1]) / 2 + np.diff(edges) / 2 * nodes[:, None]))
    return np.abs(ratio / np.median(ratio) - 1).max()


@pytest.fixture(scope="module")
def x():
    return torch.randn(128, 3, 4, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", CASES)
def test_target_and_weighting_are_found_to_a_permille(name, x):
    loss, kind, closed = CASES[name]
    measured = probe(loss, x)
    assert measured.kind.startswith(kind)
    assert deviation(measured, closed) < 2e-3
    assert (
        len(measured.logsnr)
        == len(measured.factor)
        == len(measured.alpha)
        == len(measured.target[0])
        == 20_000
    )


@pytest.mark.parametrize("name", CASES)
def test_the_factor_is_exact_draw_by_draw(name, x):
    """Factor = multiplier·gain², both read off; c·gain² is the recipe's in the paper's scales."""
    measured = probe(CASES[name][0], x, draws=500)
    order = np.argsort(measured.logsnr)
    logsnr, factor = measured.logsnr[order], measured.factor[order]
    wanted = {
        "eps": 1,
        "x": np.exp(-logsnr),
        "v": 1 + np.exp(-logsnr),
        "score": 1,
        "F": 1 + 4 * np.exp(-logsnr),
        "u": (1 + np.exp(-logsnr / 2)) ** 2,
    }
    ratio = factor / wanted[name]
    middle = np.abs(logsnr) < 12
    assert np.ptp(ratio[middle]) < 2e-2 * np.median(ratio[middle])


def test_losses_of_one_number_and_of_one_per_sample_agree(x):
    def each(model, x):
        t, a, s, e = cosine(x)
        return ((model(a * x + s * e, t) - e) ** 2).flatten(1).mean(1)

    one, two = probe(eps_cosine, x, draws=2000), probe(each, x, draws=2000)
    assert dv.compare(one, two).deviation < 1e-3


def test_as_is_draws_are_the_losses_own_and_carry_errors(x):
    measured = probe(flow, x, mode="as-is", generator=torch.Generator().manual_seed(1))
    edges = np.linspace(-4, 4, 9)
    w, stderr = measured.weighting(edges)
    p, _ = measured.density(edges)
    known = np.diff(-2 * np.exp(-edges / 2)) / np.diff(edges)
    ratio = w / known
    assert (np.abs(ratio / np.median(ratio) - 1) < 6 * stderr / w + 0.02).all() and (
        stderr > 0
    ).all()
    assert np.abs(p - np.diff(1 / (1 + np.exp(-edges / 2))) / np.diff(edges)).max() < 0.01


def test_data_rescaled_inside_the_loss_are_seen_through(x):
    def rescaled(model, x):
        return flow(model, 2 * x - 1)

    measured = probe(rescaled, x)
    assert measured.kind == "u" and measured.scale == pytest.approx(2, rel=1e-3)
    assert deviation(measured, lambda l: np.exp(-l / 2)) < 2e-3


def test_an_output_under_a_name_and_a_network_by_name(x):
    class Trainer:
        def __init__(self):
            self.net = nn.Conv2d(3, 3, 1)

        def loss(self, x):
            t, e = torch.rand(len(x)), torch.randn_like(x)
            return ((self.net((1 - wide(t, x)) * x + wide(t, x) * e) - (e - x)) ** 2).mean()

    trainer = Trainer()
    before = [p.clone() for p in trainer.net.parameters()]
    measured = probe(trainer.loss, x, model="net")
    assert measured.kind == "u"
    assert all(
        p.grad is None and torch.equal(p, q)
        for p, q in zip(trainer.net.parameters(), before, strict=True)
    )
    assert trainer.net(x).shape == x.shape  # the network answers again as it did

    def wrapped(model, x):
        t, e = torch.rand(len(x)), torch.randn_like(x)
        return (
            (model((1 - wide(t, x)) * x + wide(t, x) * e, timestep=t).sample - (e - x)) ** 2
        ).mean()

    assert probe(wrapped, x, output="sample").kind == "u"


def test_nothing_is_left_behind_also_after_an_exception(x):
    net = nn.Linear(2, 2).eval()

    def broken(model, x):
        torch.rand(3)
        raise RuntimeError("mine")

    torch.manual_seed(5)
    expected = torch.rand(4)
    for loss, fails in ((flow, False), (broken, True)):
        torch.manual_seed(5)
        state = np.random.get_state()[1].copy()  # noqa: NPY002
        if fails:
            with pytest.raises(RuntimeError, match="mine"):
                probe(loss, x, model=net)
        else:
            probe(loss, x, model=net, draws=500)
        assert torch.equal(torch.rand(4), expected) and (np.random.get_state()[1] == state).all()  # noqa: NPY002
        assert not net.training and all(p.grad is None for p in net.parameters())
        assert net(torch.ones(1, 2)).shape == (1, 2)


def test_the_same_seed_gives_the_same_measurement(x):
    one, two = (
        probe(flow, x, draws=500, generator=torch.Generator().manual_seed(4)) for _ in range(2)
    )
    assert np.array_equal(one.logsnr, two.logsnr) and np.array_equal(one.factor, two.factor)


def test_a_huber_loss_is_named_and_its_factor_local(x):
    def huber(model, x):
        t, e = torch.rand(len(x)), torch.randn_like(x)
        return nn.functional.huber_loss(
            model((1 - wide(t, x)) * x + wide(t, x) * e, t), e - x, delta=0.5
        )

    assert any("not a squared loss" in note for note in probe(huber, x, draws=500).notes)


def test_noise_drawn_outside_torch_is_named(x):
    def outside(model, x):
        t = torch.rand(len(x))
        e = torch.tensor([random.gauss(0, 1) for _ in range(x.numel())]).reshape(x.shape)
        return ((model((1 - wide(t, x)) * x + wide(t, x) * e, t) - (e - x)) ** 2).mean()

    assert any("not drawn by torch" in note for note in probe(outside, x, draws=1000).notes)


def test_a_target_that_z_tells_already_leaves_nothing_to_denoise(x):
    def of_z(model, x):
        t, e = torch.rand(len(x)), torch.randn_like(x)
        z = (1 - wide(t, x)) * x + wide(t, x) * e
        return ((model(z, t) - 3 * z) ** 2).mean()

    assert any("the target is a multiple of z" in note for note in probe(of_z, x, draws=500).notes)


def test_a_source_that_is_not_gaussian_is_named_with_its_kurtosis(x):
    """That of a uniform law is 9/5, whatever its width."""
    x = torch.randn(64, 3, 8, 8, generator=torch.Generator().manual_seed(0))

    def uniform(model, x):
        t, e = torch.rand(len(x)), 3**0.5 * (2 * torch.rand_like(x) - 1)
        return ((model((1 - wide(t, x)) * x + wide(t, x) * e, t) - (e - x)) ** 2).mean()

    notes = " ".join(probe(uniform, x, draws=500).notes)
    kurtosis = float(re.search(r"not Gaussian \(kurtosis ([\d.]+)\)", notes)[1])
    assert kurtosis == pytest.approx(9 / 5, abs=0.03)


@pytest.mark.parametrize(
    ("loss", "says"),
    [
        (lambda model, x: (x * torch.randn_like(x)).mean(), "never calls its network"),
        (lambda model, x: model(x + torch.randn_like(x)).detach().mean(), "no gradient"),
        (
            lambda model, x: (
                (model(x + torch.randn_like(x)) * 0).sum().detach() + x.sum().requires_grad_()
            ),
            "ignores the output|no gradient",
        ),
        (lambda model, x: 3.0, "must return a tensor"),
        (lambda model, x: model(x[:, :1] + torch.randn_like(x[:, :1])).mean(), "inputs="),
        ("flow", "callable"),
    ],
)
def test_a_loss_that_cannot_be_probed_is_refused_with_the_way_out(loss, says, x):
    with pytest.raises((ValueError, TypeError), match=says):
        probe(loss, x, draws=200)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (torch.zeros(4, 2, dtype=torch.int64), "floating-point"),
        (torch.ones(4), "at least 2 numbers"),
        (np.ones((4, 2)), "tensor"),
        (torch.full((4, 2), float("nan")), "finite"),
        (torch.zeros(4, 2), "zeros"),
    ],
)
def test_data_of_the_wrong_kind_are_refused(bad, says):
    with pytest.raises((ValueError, TypeError), match=says):
        probe(flow, bad)


@pytest.mark.parametrize("setting", [{"mode": "exact"}, {"draws": 3}, {"batch": 0}])
def test_settings_out_of_range_are_refused(setting, x):
    with pytest.raises(ValueError, match="got"):
        probe(flow, x, **setting)


def test_edges_that_do_not_increase_are_refused(x):
    with pytest.raises(ValueError, match="strictly increasing"):
        probe(flow, x, draws=200).weighting([1, 0])


@pytest.mark.parametrize(
    ("setting", "error", "says"),
    [
        ({"inputs": 1.5}, TypeError, "inputs must be"),
        ({"inputs": True}, TypeError, "inputs must be"),
        ({"inputs": 7}, ValueError, r"inputs=7, but the network gets 2 positional argument"),
        ({"inputs": "sample"}, ValueError, "inputs='sample', but the network gets the keywords"),
        ({"inputs": lambda z, t: None}, TypeError, "inputs= must pick a floating-point tensor"),
        ({"inputs": lambda z, t: z.long()}, TypeError, "inputs= must pick a floating-point tensor"),
        ({"output": 3}, TypeError, "output must be a name or a function"),
        ({"model": 3}, TypeError, r"model must be an nn\.Module"),
        ({"model": "net.inner"}, ValueError, "the loss has no 'net'"),
        ({"model": "nn.Nothing"}, ValueError, "model='nn.Nothing'"),
        ({"call": 0.5}, TypeError, "call must be a whole number"),
        ({"call": True}, TypeError, "call must be a whole number"),
        ({"scale": 0}, ValueError, "scale must not be 0"),
        ({"scale": np.nan}, ValueError, "scale must be finite"),
        ({"scale": "two"}, TypeError, "scale must hold real numbers"),
        ({"scale": True}, TypeError, "scale must be a number"),
        ({"draws": 1000.0}, TypeError, "draws must be a whole number"),
        ({"draws": True}, TypeError, "draws must be a whole number"),
        ({"batch": 2.5}, TypeError, "batch must be a whole number"),
        ({"batch": -1}, ValueError, "batch must be at least 1"),
        ({"mode": None}, ValueError, "mode must be 'stratified' or 'as-is', got None"),
        ({"generator": 3}, TypeError, r"generator must be a torch\.Generator"),
        ({"generator": np.random.default_rng(0)}, TypeError, r"generator must be a torch\.Gen"),
    ],
)
def test_a_setting_of_the_wrong_kind_is_refused_by_name(setting, error, says, x):
    with pytest.raises(error, match=says):
        probe(uses_modules, x, **setting)


def uses_modules(model, x):
    return flow(model, x) * nn.Identity()(torch.ones(()))


@pytest.mark.parametrize(
    "bad",
    [
        [[1.0, 2.0]],
        np.ma.masked_array(np.ones((4, 2))),
        torch.ones(4, 2, dtype=torch.complex64),
        torch.ones(4, 2, dtype=torch.bool),
        "data",
        None,
    ],
)
def test_data_that_are_no_floating_point_tensor_are_refused_with_the_way_out(bad):
    with pytest.raises(TypeError, match=r"x must be a floating-point tensor.*makes one"):
        probe(flow, bad)


def test_arrays_and_batches_are_measured_as_the_tensor(x, tmp_path):
    np.save(tmp_path / "x.npy", x.numpy())
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(x, torch.arange(len(x))), batch_size=10
    )
    plain = probe(flow, x, draws=500)
    pairs = ((part, torch.zeros(len(part))) for part in x.split(7))
    for data in (mapped, loader, [{"x": x}], pairs):
        measured = probe(flow, data, draws=500)
        np.testing.assert_array_equal(measured.logsnr, plain.logsnr)
        np.testing.assert_array_equal(measured.factor, plain.factor)


def test_infinite_data_are_refused_with_their_value(x):
    bad = x.clone()
    bad[3, 0, 0, 0] = -torch.inf
    with pytest.raises(ValueError, match="x must be finite, got -inf"):
        probe(flow, bad)


def test_integers_of_numpy_are_welcome_as_settings(x):
    plain = probe(flow, x, draws=500, batch=100, call=0, inputs=0)
    numpy = probe(
        flow,
        x,
        draws=np.int64(500),
        batch=np.int32(100),
        call=np.int16(0),
        inputs=np.uint8(0),
    )
    np.testing.assert_array_equal(plain.logsnr, numpy.logsnr)


def test_data_with_a_gradient_or_of_any_stride_are_read_as_they_are(x):
    plain = probe(flow, x, draws=500)
    turned = x.permute(1, 2, 3, 0).contiguous().permute(3, 0, 1, 2).requires_grad_()
    np.testing.assert_allclose(probe(flow, turned, draws=500).logsnr, plain.logsnr, atol=1e-4)
    assert turned.grad is None


@pytest.mark.parametrize("returned", [{}, {"t": 1}, (), [], None, 3.0, "loss"], ids=repr)
def test_a_loss_that_returns_no_tensor_is_refused(returned, x):
    def loss(model, x):
        flow(model, x)
        return returned

    with pytest.raises(TypeError, match="the loss must return a tensor"):
        probe(loss, x)


def test_noise_that_all_components_share_is_refused(x):
    def loss(model, x):
        t, e = wide(torch.rand(len(x)), x), torch.randn(len(x), 3, 1, 1)
        return ((model((1 - t) * x + t * e) - (e - x)) ** 2).mean()

    with pytest.raises(ValueError, match="all noise is shared by components"):
        probe(loss, x, draws=500)


@pytest.mark.slow
def test_a_loss_at_one_small_noise_level_is_measured(x):
    def loss(model, x):
        return ((model(x + 0.01 * torch.randn_like(x)) - x) ** 2).mean()

    measured = probe(loss, x, draws=500)
    assert measured.kind == "x"
    np.testing.assert_allclose(measured.logsnr, -2 * np.log(0.01), atol=1e-3)


def test_a_loss_wrapped_by_a_decorator_is_probed_and_its_network_found(x):
    import functools

    net = nn.Identity()

    def traced(function):
        @functools.wraps(function)
        def wrapper(x):
            return function(x)

        return wrapper

    @traced
    def loss(x):
        return flow(net, x)

    assert probe(loss, x, model="net", draws=500).kind == "u"


class Unfinished(nn.Module):
    """A scheduler that derives from a module and never calls its constructor, as MONAI's does."""

    def __init__(self):
        self.steps = 1000

    def times(self, x):
        return torch.rand(len(x)) * self.steps


def test_a_module_that_was_never_set_up_does_not_stop_a_probe(x):
    scheduler = Unfinished()

    def loss(model, x):
        t = wide(scheduler.times(x) / scheduler.steps, x)
        eps = torch.randn_like(x)
        return ((model((1 - t) * x + t * eps) - (eps - x)) ** 2).mean()

    measured = probe(loss, x, draws=2000)
    assert measured.kind == "u"
    assert dv.closest(measured, 1)[0].name == "fm-ot"


def test_a_probe_spreads_its_draws_over_a_hundred_calls_of_images():
    """Choices made once a batch are averaged, and no batch is smaller than it needs to be."""
    sizes = []

    def loss(model, x):
        sizes.append(len(x))
        t = torch.rand(len(x), 1, 1, 1)
        return ((model((1 - t) * x + t * torch.randn_like(x)) + x) ** 2).mean()

    probe(loss, torch.randn(4, 3, 32, 32), draws=20_000)
    assert max(sizes) == 200
    assert sizes.count(200) == 3 * 100
