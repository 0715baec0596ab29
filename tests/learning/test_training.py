import copy
import math
import os
import resource
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest
import torch

import diffviz as dv
from diffviz.learning import optimiser, outputs, settings
from diffviz.learning.batches import BLOCK
from diffviz.learning.models import MLP, Transformer
from diffviz.learning.training import Diverged, Trainer, fit


@dataclass(frozen=True)
class Flow:
    """Flow matching as its velocity loss has it: (1 + e^(-λ/2))² on the eps error."""

    name: str = "flow"
    spread: float = 2.0

    def draw(self, n, rng):
        u = (rng.permutation(n) + rng.random(n)) / n
        logsnr = self.spread * np.log(u / (1 - u))
        return logsnr, (1 + np.exp(-logsnr / 2)) ** 2


@dataclass
class Fixed:
    """Draws what it is told to, from a given call on."""

    logsnr: float = 0.0
    factor: float = 1.0
    after: int = 0
    name: str = "fixed"
    calls: int = 0

    def draw(self, n, rng):
        self.calls += 1
        late = self.calls > self.after
        return np.full(n, self.logsnr if late else 0.0), np.full(n, self.factor if late else 1.0)


def ring(n, seed=0):
    rng = np.random.default_rng(seed)
    angle = rng.integers(0, 8, n) * np.pi / 4
    return (
        2 * np.stack([np.cos(angle), np.sin(angle)], 1) + 0.1 * rng.standard_normal((n, 2))
    ).astype("f4")


def train(objectives=None, data=None, **settings):
    settings = {
        "steps": 40,
        "batch": 64,
        "model": MLP(width=16, depth=2),
        "progress": False,
    } | settings
    return fit(objectives or [Flow()], ring(500) if data is None else data, **settings)


def adam_step(trainer, gradient):
    """The trainer's state after a step of Adam along a gradient of the test's own."""
    squared_length = gradient.square().sum(1, keepdim=True)
    return optimiser.adam_step(trainer._state, gradient, squared_length, trainer.settings)


def same(a, b):
    return all(
        torch.equal(a.state[key], b.state[key]) for key in a.state | b.state
    ) and np.array_equal(a.loss, b.loss)


# what is learned


def gaussian_denoiser(z, logsnr, mean, std):
    """E[x|z] for data N(mean, std²), written from the conditional of a joint Gaussian."""
    alpha, sigma = (1 / (1 + math.exp(-logsnr))) ** 0.5, (1 / (1 + math.exp(logsnr))) ** 0.5
    return mean + alpha * std**2 / (alpha**2 * std**2 + sigma**2) * (z - alpha * mean)


@pytest.mark.slow
@pytest.mark.parametrize(("output", "bound"), [("eps", 0.1), ("x", 0.1), ("v", 0.01), ("F", 0.01)])
def test_every_output_learns_the_denoiser_of_a_gaussian(output, bound):
    data = 3 + 0.5 * torch.randn(20000, 2, generator=torch.Generator().manual_seed(0))
    (run,) = train([Flow(spread=1.0)], data, steps=500, batch=256, output=output)
    for logsnr in (0.0, 2.0, 4.0):
        alpha, sigma = math.sqrt(1 / (1 + math.exp(-logsnr))), math.sqrt(1 / (1 + math.exp(logsnr)))
        noise = torch.randn(2000, 2, generator=torch.Generator().manual_seed(1))
        z = alpha * data[:2000] + sigma * noise
        off = run.denoise(z, logsnr) - gaussian_denoiser(z, logsnr, 3, 0.5)
        assert off.square().mean().sqrt() < bound


@pytest.mark.parametrize("output", outputs.OUTPUTS)
def test_the_loss_is_the_factor_times_the_squared_eps_error_whatever_the_output(output):
    data = ring(500)
    seen = []
    (run,) = train(data=data, steps=1, output=output, callback=seen.append)
    (step,) = seen
    # a network starts at r = 0: the error of eps_hat follows from the denoiser at the same draws
    trainer = Trainer(Flow(), data, batch=64, model=MLP(width=16, depth=2), output=output, steps=1)
    before = trainer.runs()[0].at(0.0)
    trainer.advance()
    x, eps = (
        torch.as_tensor(data)[trainer._drawn.block.index[0]].double(),
        trainer._drawn.block.noise[0].double(),
    )
    logsnr, factor = step.logsnr[0].double(), (1 + torch.exp(-step.logsnr[0].double() / 2)) ** 2
    alpha, sigma = torch.sigmoid(logsnr).sqrt()[:, None], torch.sigmoid(-logsnr).sqrt()[:, None]
    eps_hat = (
        alpha * x + sigma * eps - alpha * before.denoise(alpha * x + sigma * eps, logsnr)
    ) / sigma
    error = (eps_hat - eps).square().sum(1)
    assert torch.allclose(step.error[0].double(), error, rtol=2e-3, atol=1e-4)
    assert step.loss.item() == pytest.approx((factor * error).mean().item(), rel=1e-3)
    assert run.loss.tolist() == [step.loss.item()]


@pytest.mark.parametrize("name", ["fm-ot", "edm", "v-cosine"])
def test_each_step_gets_one_draw_of_every_stratum(name):
    seen = []
    train(name, steps=40, batch=64, callback=seen.append)
    for step in seen:
        u = np.sort(dv.objective(name).law.cdf(step.logsnr[0].double().numpy()))
        np.testing.assert_array_less(np.abs(64 * u - np.arange(64) - 0.5), 0.5 + 1e-4)


def test_draws_without_strata_or_order_train_as_well():
    class Plain:
        name = "plain"

        def draw(self, n, rng):
            return rng.normal(size=n), np.ones(n)

    assert np.isfinite(train([Plain()])[0].loss).all()


def test_training_reduces_the_loss():
    """At λ = 2 the eight modes are apart, which the linear start cannot see.

    The mean loss is 1.8 at the start; that of the exact denoiser is 0.64.
    """
    (run,) = train([Fixed(logsnr=2.0)], steps=300)
    assert run.loss[-50:].mean() < 0.5 * run.loss[:3].mean()


def test_scaled_and_shifted_data_give_the_scaled_and_shifted_denoiser():
    """A level moves by 2 ln scale: the draws of one run are those of the other, moved."""

    class Moved(Flow):
        def draw(self, n, rng):
            logsnr, factor = super().draw(n, rng)
            return logsnr - 2 * math.log(4), factor

    (a,), (b,) = (
        train([Flow()], ring(500), steps=100),
        train([Moved()], 4 * ring(500) + 3, steps=100),
    )
    z, sigma = torch.randn(50, 2, generator=torch.Generator().manual_seed(0)), math.sqrt(0.5)
    x_hat = a.denoise(z, 0.0)
    # the point y = z / alpha has noise 1; four times that is noise 4 on the larger data
    y = 4 * z / sigma + 3
    moved = b.denoise(y / math.sqrt(17), -2 * math.log(4))
    assert torch.allclose(moved, 4 * x_hat + 3, atol=2e-3)


def test_where_the_columns_lie_does_not_count_for_their_spread():
    far = ring(500) + np.array([0, 100], dtype="f4")
    (near,), (moved,) = train(), train(data=far)
    assert moved.std == pytest.approx(near.std, rel=1e-4)
    np.testing.assert_allclose(moved.loss, near.loss, rtol=1e-2)


# side by side


@pytest.mark.slow
def test_side_by_side_equals_alone():
    several = [Flow(), Flow("narrow", 1.0), Flow("middle", 1.5)]
    together = train(several, steps=100)
    for objective, run in zip(several, together, strict=True):
        (alone,) = train([objective], steps=100)
        assert run.objective is objective
        np.testing.assert_allclose(run.loss, alone.loss, rtol=1e-5)
        for key in run.state:
            torch.testing.assert_close(run.state[key], alone.state[key], rtol=0, atol=1e-5)


def test_equal_objectives_side_by_side_stay_equal():
    a, b = train([Flow(), Flow("again")])
    assert same(a, b)


def test_same_seed_same_bytes_and_another_seed_others():
    assert same(*train(seed=3), *train(seed=3))
    assert not same(*train(seed=3), *train(seed=4))


def test_the_scale_of_an_objective_does_not_matter():
    class Huge(Flow):
        def draw(self, n, rng):
            logsnr, factor = super().draw(n, rng)
            return logsnr, 2.0**30 * factor

    a, b = train([Flow(), Huge()])
    torch.testing.assert_close(a.state[0.0], b.state[0.0], rtol=1e-5, atol=1e-6)


def test_an_outlier_is_clipped():
    """A gradient 1e4 times the usual counts as one three times the usual.

    The mean square of gradients grows by a tenth, not by 1e6.
    """
    trainer = Trainer(Flow(), ring(500), steps=40, batch=64, model=MLP(width=16, depth=2), clip=3)
    for _ in range(20):
        trainer.advance()
    trainer._drawn.block.weight.mul_(1e4)
    before = trainer._state.second.sum() / (1 - 0.99**20)
    trainer.advance()
    after = trainer._state.second.sum() / (1 - 0.99**21)
    assert before < after < 1.5 * before


def test_an_objective_that_counts_nowhere_at_first_is_learned_once_it_does():
    """A gradient of zero sets no limit to those after it."""

    class Late(Fixed):
        def draw(self, n, rng):
            logsnr, factor = super().draw(n, rng)
            return logsnr, factor * (self.calls > 1)

    (run,) = train([Late(logsnr=2.0)], steps=300)
    assert (
        not run.loss[:BLOCK].any()
        and run.loss[-50:].mean() < 0.6 * run.loss[BLOCK : BLOCK + 3].mean()
    )


@pytest.mark.parametrize("schedule", settings.SCHEDULES)
def test_the_update_is_that_of_adam(schedule):
    """By a second route: torch's own, with its schedule, on slopes that vary a lot."""
    trainer = Trainer(
        Flow(),
        ring(9),
        steps=20,
        batch=4,
        model=MLP(width=2),
        learning_rate=0.1,
        schedule=schedule,
        clip=math.inf,
    )
    weights = trainer._state.weights.clone()
    adam = torch.optim.Adam([weights], lr=0.1, betas=optimiser.BETAS, eps=1e-15)
    shares = {
        "cosine": lambda step: 0.5 + 0.5 * math.cos(math.pi * step / 20),
        "constant": lambda step: 1.0,
    }
    lower = torch.optim.lr_scheduler.LambdaLR(adam, shares[schedule])
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        slope = torch.randn(weights.shape, generator=generator) ** 3
        trainer._state = adam_step(trainer, slope)
        weights.grad = slope
        adam.step()
        lower.step()
    torch.testing.assert_close(trainer._state.weights, weights, rtol=1e-4, atol=1e-5)


def test_all_is_made_on_the_device_of_the_data():
    """Nothing may land on the default device instead: operands on two devices are an error."""
    with torch.device("meta"):
        (run,) = train(data=torch.from_numpy(ring(500)))
        images = torch.from_numpy(np.random.default_rng(0).normal(size=(9, 8, 8)))
        train(data=images, steps=2, batch=4, model=None)
    assert same(run, *train())


def test_a_tensor_or_an_array_of_any_type_is_data():
    for data in (
        ring(100),
        torch.as_tensor(ring(100)),
        ring(100).astype(float),
        (ring(100) * 9).astype(int),
        ring(100).tolist(),
    ):
        assert np.isfinite(train(data=data, steps=3)[0].loss).all()


def test_fewer_points_than_a_batch_are_drawn_with_replacement():
    assert len(train(data=ring(5), batch=64)[0].loss) == 40


@pytest.mark.parametrize("shape", [(8, 8), (1, 8, 8), (3, 12, 20), (14, 14), (28, 28)])
def test_images_of_every_shape_train(shape):
    data = torch.randn(20, *shape, generator=torch.Generator().manual_seed(0))
    (run,) = train(data=data, steps=2, batch=4, model=None)
    assert isinstance(run.model, Transformer)
    assert run.denoise(data, 0.0).shape == data.shape


# a Run


def test_denoise_keeps_shape_and_type_and_takes_one_level_or_many():
    (run,) = train()
    z = torch.randn(7, 2, dtype=torch.float64)
    many = run.denoise(z, torch.zeros(7))
    assert many.shape == z.shape and many.dtype == z.dtype
    assert torch.equal(many, run.denoise(z, 0.0)) and torch.equal(
        many, run.denoise(z, torch.tensor(0.0))
    )
    with pytest.raises(ValueError, match=r"z must be \(7, 2\)"):
        run.denoise(z[:, :1], 0.0)
    with pytest.raises(ValueError, match=r"logsnr \(7,\)"):
        run.denoise(z, torch.zeros(6))


def test_denoise_is_finite_and_differentiable_at_both_ends():
    (run,) = train()
    z = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)
    for logsnr in (-40.0, 40.0):
        x_hat = run.denoise(z, logsnr)
        assert torch.isfinite(x_hat).all()
        assert torch.isfinite(torch.autograd.grad(x_hat.sum(), z)[0]).all()
    torch.testing.assert_close(run.denoise(z, 40.0), z, rtol=0, atol=1e-6)
    torch.testing.assert_close(
        run.denoise(z, -40.0), run.mean.expand(4, 2).double(), rtol=0, atol=2.5 * run.std
    )


def test_averages_have_the_mean_age_they_name():
    """Weights that grow by one a step are averaged to what lags behind them by the share."""
    n, shares = 2000, (0.1, 0.25, 0.5)
    trainer = Trainer(
        Flow(),
        ring(500),
        steps=n,
        batch=4,
        model=MLP(width=2, depth=1),
        ema=shares,
        learning_rate=1,
        schedule="constant",
    )
    start, slope = trainer._state.weights.clone(), -torch.ones_like(trainer._state.weights)
    for _ in range(n):
        trainer._state = adam_step(trainer, slope)
    torch.testing.assert_close(trainer._state.weights, start + n, rtol=1e-4, atol=0)
    for share, average in zip(shares, trainer._state.averages, strict=True):
        assert ((average - start).mean() / n).item() == pytest.approx(1 - share, abs=2e-3)


def test_several_averages_come_from_one_training():
    (run,) = train(ema=(0.05, 0.2), learning_rate=0.02, schedule="constant")
    assert run.ema == 0.05 and set(run.state) == {0.05, 0.2, 0.0}
    z = torch.randn(5, 2)
    assert not torch.equal(run.denoise(z, 1.0), run.at(0.2).denoise(z, 1.0))
    with pytest.raises(ValueError, match=r"no average of length 0.3; there are 0.05, 0.2, 0.0"):
        run.at(0.3)
    (plain,) = train(ema=(), learning_rate=0.02, schedule="constant")
    assert torch.equal(plain.denoise(z, 1.0), run.at(0.0).denoise(z, 1.0)) and run.name == "flow"


# stopping and going on


def stop_at(n):
    def callback(step):
        if step.step == n:
            raise KeyboardInterrupt

    return callback


def test_an_interrupt_keeps_what_is_trained():
    whole, part = train()[0], train(callback=stop_at(25))[0]
    assert len(part.loss) == 25
    np.testing.assert_array_equal(part.loss, whole.loss[:25])


def test_an_interrupt_within_a_step_leaves_the_state_of_the_last(monkeypatch):
    trainer = Trainer(Flow(), ring(500), steps=40, batch=64, model=MLP(width=16, depth=2))
    trainer.advance()
    before = copy.deepcopy(trainer._state.tensors())

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "addcdiv", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trainer.advance()
    monkeypatch.undo()
    after = trainer._state.tensors()
    assert trainer.step == 1
    assert all(torch.equal(before[key], after[key]) for key in before if key != "losses")
    for _ in range(39):
        trainer.advance()
    assert same(trainer.runs()[0], *train())


@pytest.mark.parametrize("stop", [1, 31, 32, 33, 39])
def test_a_resumed_training_is_bit_identical(tmp_path, stop):
    objectives = [Flow(), Flow("narrow", 1.0)]
    whole = train(objectives)
    train(objectives, checkpoint=tmp_path / "c", callback=stop_at(stop))
    resumed = train(objectives, checkpoint=tmp_path / "c")
    assert all(same(a, b) for a, b in zip(whole, resumed, strict=True))
    again = train(
        objectives, checkpoint=tmp_path / "c", callback=pytest.fail
    )  # all is done: its runs come back untrained
    assert all(same(a, b) for a, b in zip(whole, again, strict=True))
    assert os.listdir(tmp_path) == ["c"]


def test_a_training_killed_outright_goes_on_from_its_last_checkpoint(tmp_path):
    class Killed(Exception):
        pass

    def callback(step):
        if step.step == 25:
            raise Killed

    with pytest.raises(Killed):
        train(checkpoint=tmp_path / "c", every=10, callback=callback)
    seen = []
    resumed = train(checkpoint=tmp_path / "c", every=10, callback=seen.append)
    assert seen[0].step == 21 and same(*resumed, *train())


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\x10\0\0\0\0\0\0\0{}", "cut", "flipped", "plain"]
)
def test_a_corrupt_or_foreign_checkpoint_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "c"
    train(checkpoint=path, callback=stop_at(9))
    good = path.read_bytes()
    if content == "plain":
        import safetensors.torch

        safetensors.torch.save_file({"x": torch.zeros(1)}, path)
    else:
        path.write_bytes(
            {"cut": good[:-5], "flipped": good[:-5] + bytes([good[-5] ^ 1]) + good[-4:]}.get(
                content, content
            )
        )
    content = path.read_bytes()
    with pytest.raises(
        ValueError, match=r"c is no checkpoint of this training .*name another file"
    ):
        train(checkpoint=path)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("key", "settings"),
    [
        ("seed", {"seed": 1}),
        ("steps", {"steps": 41}),
        ("model", {"model": MLP(width=17, depth=2)}),
        ("data", {"data": ring(500, seed=1)}),
        ("objectives", {"objectives": [Flow("other")]}),
        ("learning_rate", {"learning_rate": 0.1}),
    ],
)
def test_a_checkpoint_of_another_training_is_refused_by_name(tmp_path, key, settings):
    train(checkpoint=tmp_path / "c", callback=stop_at(9))
    content = (tmp_path / "c").read_bytes()
    with pytest.raises(ValueError, match=rf"no checkpoint of this training \({key} "):
        train(checkpoint=tmp_path / "c", **settings)
    assert (tmp_path / "c").read_bytes() == content


@pytest.fixture
def full_disk():
    """Call it, and a limit on the size of files makes a write fail half-way, as on a full disk.

    Call it with False at the end of a test: pytest writes its dot before a fixture ends, perhaps to
    a file.
    """
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(is_full=True):
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit[1]) if is_full else limit)

    yield fill
    fill(False)


def test_a_full_disk_leaves_the_old_checkpoint_and_the_training(tmp_path, full_disk):
    def callback(step):
        if step.step == 15:
            full_disk()

    with pytest.warns(RuntimeWarning, match="the old one stays: .*File too large") as caught:
        (run,) = train(checkpoint=tmp_path / "c", every=10, callback=callback)
    full_disk(False)
    assert [str(one.message)[:22] for one in caught] == [
        f"no checkpoint at step {n}"[:22] for n in (20, 30, 40, 40)
    ]
    assert same(run, *train()) and os.listdir(tmp_path) == ["c"]
    trainer = Trainer(Flow(), ring(500), steps=40, batch=64, model=MLP(width=16, depth=2))
    trainer.resume(tmp_path / "c")
    assert trainer.step == 10


def test_a_checkpoint_that_cannot_be_written_is_refused_before_training(tmp_path, full_disk):
    seen = []
    with pytest.raises(FileNotFoundError):
        train(checkpoint=tmp_path / "nowhere" / "c", callback=seen.append)
    full_disk()
    with pytest.raises(OSError, match="File too large"):
        train(checkpoint=tmp_path / "c", callback=seen.append)
    full_disk(False)
    assert not seen and not os.listdir(tmp_path)


class Adaptive:
    """A law that moves to where the error was: to the average of levels, weighted by errors."""

    name = "adaptive"

    def __init__(self, centre=0.0):
        self.centre, self.kept, self.calls = centre, {}, 0

    def draw(self, n, rng):
        self.calls += 1
        return self.centre + rng.normal(size=n), np.ones(n)

    def callback(self, step):
        self.centre = (
            0.9 * self.centre + 0.1 * ((step.error * step.logsnr).sum() / step.error.sum()).item()
        )
        self.kept[step.step] = self.centre


def test_a_law_that_changes_while_training_is_asked_once_a_block():
    objective = Adaptive()
    train([objective], steps=3 * BLOCK + 1, callback=objective.callback)
    assert objective.calls == 4 and BLOCK == 32


def test_a_law_that_changes_goes_on_bit_for_bit_once_its_tracker_is_restored(tmp_path):
    whole = Adaptive()
    (run,) = train([whole], steps=100, callback=whole.callback)
    part = Adaptive()

    def callback(step):
        part.callback(step)
        if step.step == 64:
            raise KeyboardInterrupt

    train([part], steps=100, callback=callback, checkpoint=tmp_path / "c")
    for centre, equal in ((part.kept[64], True), (0.0, False)):
        (tmp_path / "d").write_bytes((tmp_path / "c").read_bytes())
        restored = Adaptive(centre)
        (resumed,) = train(
            [restored], steps=100, callback=restored.callback, checkpoint=tmp_path / "d"
        )
        assert same(run, resumed) == equal


# bad input


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.array([[0.0, 1], [np.nan, 1], [np.inf, 0]]), "2 rows, the first is row 1"),
        (np.zeros(5), r"data\[:, None\]"),
        (np.zeros((0, 2)), r"\(0, 2\)"),
        (np.zeros((1, 1, 1, 1, 1)), "must be real"),
        (np.ones((5, 2)), "all points of data are equal"),
    ],
)
def test_unusable_data_are_refused(data, message):
    with pytest.raises(ValueError, match=message):
        train(data=data)


@pytest.mark.parametrize(
    "settings",
    [
        {"steps": 0},
        {"batch": -1},
        {"batch": 6.5},
        {"learning_rate": math.inf},
        {"learning_rate": 0},
        {"learning_rate": 1e300},
        {"clip": math.nan},
        {"schedule": "cosin"},
        {"output": "u"},
        {"ema": (0.6,)},
    ],
)
def test_unusable_settings_are_refused(settings):
    with pytest.raises((TypeError, ValueError), match=str(next(iter(settings)))):
        train(**settings)


def test_what_cannot_draw_is_refused():
    for wrong in ([3], []):
        with pytest.raises(
            TypeError, match=r"names of the catalogue or have name and draw\(n, rng\); got \[3?\]"
        ):
            fit(wrong, ring(500))
    with pytest.raises(ValueError, match="did you mean 'fm-ot'"):
        train("fm-to")


def test_a_name_stands_for_its_entry_in_the_catalogue():
    assert same(*train("fm-ot"), *train([dv.objective("fm-ot")])) and same(
        *train("fm-ot"), *train(["fm-ot"])
    )


@pytest.mark.parametrize(
    "drawn", [(np.zeros(7), np.ones(7)), (0.0, 1.0), (np.zeros((2, 64)), np.ones((2, 64)))]
)
def test_too_few_draws_are_refused(drawn):
    class Short:
        name = "short"

        def draw(self, n, rng):
            return drawn

    with pytest.raises(
        ValueError, match=r"(?s)short drew logsnr and factor of shape .* needed: \(2, 2048\)"
    ):
        train([Short()])


@pytest.mark.parametrize(
    ("objective", "found"),
    [
        (Fixed(logsnr=90.0), "90"),
        (Fixed(logsnr=-np.inf), "-inf"),
        (Fixed(factor=np.nan), "nan"),
        (Fixed(factor=-1.0), "-1"),
    ],
)
def test_an_objective_that_leaves_the_range_of_the_model_is_refused_by_name(objective, found):
    with pytest.raises(
        ValueError,
        match=rf"fixed drew .*{found}.*within ±80, finite factors >= 0: truncate its density",
    ):
        train([Flow(), objective])


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_weights(tmp_path):
    objectives = [Flow(), Fixed(factor=1e300, logsnr=1.5, after=1, name="blows up")]
    with pytest.raises(
        Diverged, match=r"blows up: loss or gradient not finite at step 32, largest at logsnr 1.5"
    ) as caught:
        train(objectives, checkpoint=tmp_path / "c", every=16)
    content = (tmp_path / "c").read_bytes()
    good = train([Flow(), Fixed(name="blows up")], callback=stop_at(32))
    assert all(same(a, b) for a, b in zip(caught.value.runs, good, strict=True))
    trainer = Trainer(
        [Flow(), Fixed(name="blows up")],
        ring(500),
        steps=40,
        batch=64,
        model=MLP(width=16, depth=2),
    )
    trainer.resume(tmp_path / "c")
    assert trainer.step == 32 and (tmp_path / "c").read_bytes() == content


def test_more_steps_than_planned_are_refused():
    trainer = Trainer(Flow(), ring(500), steps=1, batch=4)
    trainer.advance()
    with pytest.raises(ValueError, match="all 1 steps are done"):
        trainer.advance()


def test_points_train_on_one_thread_and_the_others_are_given_back():
    before, within = torch.get_num_threads(), []

    def callback(step):
        within.append(torch.get_num_threads())
        raise ZeroDivisionError

    torch.set_num_threads(3)
    try:
        with pytest.raises(ZeroDivisionError):
            train(callback=callback)
        assert within == [1] and torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.slow
def test_training_does_not_import_the_compiler():
    """Constructing an optimiser of torch.optim would, at 1.8 CPU seconds."""
    code = (
        "import sys, numpy as np, diffviz.learning.training as t\n"
        "class O:\n  name = 'o'\n  draw = lambda self, n, rng: (rng.normal(size=n), np.ones(n))\n"
        "t.fit(O(), np.random.default_rng(0).normal(size=(99, 2)), steps=2, progress=False)\n"
        "assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


LOOP = """
objective, rng = dv.objective("fm-ot"), np.random.default_rng(0)
hidden = torch.nn.Linear(3, 64), torch.nn.SiLU(), torch.nn.Linear(64, 64), torch.nn.SiLU()
model = torch.nn.Sequential(*hidden, torch.nn.Linear(64, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for _ in range(500):
    x = data[rng.integers(len(data), size=256)]
    logsnr, factor = (torch.from_numpy(one).float()[:, None] for one in objective.draw(len(x), rng))
    alpha, sigma, eps = logsnr.sigmoid().sqrt(), (-logsnr).sigmoid().sqrt(), torch.randn_like(x)
    z = alpha * x + sigma * eps
    v_hat = model(torch.cat([z, logsnr / 8], 1))
    eps_hat = sigma * z + alpha * v_hat
    loss = (factor * (eps_hat - eps).square()).sum(1).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def test_an_objective_drops_into_anybodys_loop():
    """Trained by it, the network is better than the best linear guess.

    For data of unit variance that is v_hat = 0.
    """
    data = torch.as_tensor(ring(2000))
    names = {"dv": dv, "np": np, "torch": torch, "data": data / data.std()}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        exec(LOOP, names)
    assert len(LOOP.strip().splitlines()) <= 15
    logsnr = torch.full((2000, 1), 2.0)
    alpha, sigma = logsnr.sigmoid().sqrt(), (-logsnr).sigmoid().sqrt()
    eps = torch.randn(2000, 2, generator=torch.Generator().manual_seed(0))
    z = alpha * names["data"] + sigma * eps
    with torch.no_grad():
        eps_hat = sigma * z + alpha * names["model"](torch.cat([z, logsnr / 8], 1))
    assert (eps_hat - eps).square().mean() < 0.75 * (sigma * z - eps).square().mean()
