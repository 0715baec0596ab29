"""Every door runs on the device of its data, and computes the same there.

``elsewhere`` is a simulated device, so that a forgotten device is found on any machine.
"""

import dataclasses
import functools

import elsewhere
import numpy as np
import pytest
import room_doors
import torch
from torch.utils._pytree import tree_leaves

import diffviz as dv

# on a real device a generator of its own draws other numbers than one of the CPU
OWN_NUMBERS = {
    "policy.surrogates.chain",
    "probing.measure.probe",
    "sampling.couplings.independent",
    "sampling.couplings.minibatch_ot",
    "sampling.integrate.sample",
    "sampling.integrate.sample with noise",
}
# these compute in float64, which MPS does not have
DOUBLE = (
    "data.toys",
    "learning.tracking",
    "learning.validation",
    "learning.variance",
    "probing",
    "sampling",
)
# without data of the caller, or with a policy and data of their own, these stay on the CPU
AT_HOME = {
    "learning.variance.draws",
    "learning.variance.exact",
    "learning.variance.squared_errors",
    "policy.bandit.learn",
    "policy.policies.act",
    "search.goals.distortion",
    "search.goals.likelihood",
    "search.goals.sample_quality",
}
ROWS = [name for name in room_doors.ROWS if name not in AT_HOME]


def leaves(result):
    """All tensors and arrays of a result, those in the fields of its objects too."""
    for leaf in tree_leaves(result):
        if dataclasses.is_dataclass(leaf):
            yield from leaves([getattr(leaf, field.name) for field in dataclasses.fields(leaf)])
        elif isinstance(leaf, (torch.Tensor, np.ndarray, float)):
            yield leaf


def plain(leaf):
    return leaf.detach().cpu().numpy() if isinstance(leaf, torch.Tensor) else np.asarray(leaf)


def skip_without_float64(device):
    if device.type == "mps":
        pytest.skip("MPS has no float64")


@functools.cache
def on_cpu(name):
    """What a row returns on the CPU."""
    return [plain(leaf) for leaf in leaves(room_doors.ROWS[name]("cpu"))]


@pytest.mark.parametrize("name", ROWS)
def test_a_door_runs_on_the_device_of_its_data(name, device):
    if name.startswith(DOUBLE):
        skip_without_float64(device)
    found = list(leaves(room_doors.ROWS[name](device)))
    assert found
    for leaf in found:
        assert not isinstance(leaf, torch.Tensor) or leaf.device.type == device.type
    if name in OWN_NUMBERS and device.type in ("cuda", "mps"):
        return
    for one, other in zip(found, on_cpu(name), strict=True):
        np.testing.assert_allclose(plain(one), other, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("source", ["cpu", "own"])
def test_a_generator_may_lie_on_the_cpu_or_with_the_data(device, source):
    skip_without_float64(device)
    generator = room_doors.generator(device if source == "own" else "cpu")
    start = room_doors.points(device)
    run = room_doors.run(device)
    assert dv.elbo(run, start, levels=2, generator=generator).nats.device.type == device.type
    density, _ = dv.log_likelihood(run, start, steps=2, probes=2, generator=generator)
    assert density.device.type == device.type
    options = {"start": start, "generator": generator, "eta": 1.0}
    noisy = dv.sample(run, room_doors.GRID, "ddim", **options)
    assert noisy.samples.device.type == device.type


def test_a_saved_run_loads_on_the_cpu_and_denoises_alike_everywhere(device, tmp_path):
    run = room_doors.run(device)
    run.save(tmp_path / "run.safetensors")
    loaded = dv.Run.load(tmp_path / "run.safetensors")
    assert loaded.mean.device.type == "cpu"
    z = room_doors.points(device)
    x_hat = loaded.denoise(z, 0.0)
    assert x_hat.device.type == device.type
    np.testing.assert_allclose(plain(x_hat), plain(run.denoise(z, 0.0)), atol=1e-5)


def test_a_training_resumes_on_its_device(device, tmp_path):
    sizes = {"steps": 40, "batch": 8, "progress": False}
    whole = dv.fit("fm-ot", room_doors.points(device), **sizes)[0]
    file = tmp_path / "training"

    def stop(step):
        if step.step == 32:
            raise KeyboardInterrupt

    dv.fit("fm-ot", room_doors.points(device), checkpoint=file, callback=stop, **sizes)
    resumed = dv.fit("fm-ot", room_doors.points(device), checkpoint=file, **sizes)[0]
    assert resumed.mean.device.type == device.type
    np.testing.assert_allclose(resumed.loss, whole.loss, rtol=1e-5)


def test_levels_may_lie_on_another_device_than_losses(device, monkeypatch):
    """``Objective.draw`` returns λ of NumPy, beside losses of the device."""
    skip_without_float64(device)
    logsnr, _ = dv.objective("fm-ot").draw(64, np.random.default_rng(0))
    loss = torch.rand(64, generator=torch.Generator().manual_seed(0))
    expected = dv.LossByLogSNR(np.linspace(-6, 6, 5))
    expected.update(logsnr, loss)
    for large in (False, True):
        if large:
            monkeypatch.setattr("diffviz.learning.tracking.LARGE", 10)
        for pair in ((logsnr, loss.to(device)), (torch.from_numpy(logsnr).to(device), loss)):
            tracker = dv.LossByLogSNR(np.linspace(-6, 6, 5))
            tracker.update(*pair)
            np.testing.assert_allclose(tracker.mean, expected.mean, rtol=1e-6)


def test_batches_of_one_shape_may_lie_on_several_devices(device):
    skip_without_float64(device)
    tracker, expected = (dv.LossByLogSNR([-4.0, 0.0, 4.0]) for _ in range(2))
    for k, place in enumerate((device, "cpu", device, device)):
        logsnr, loss = torch.tensor([-1.0, 1.0, 3.0]), torch.tensor([1.0, 2.0, 3.0]) + k
        expected.update(logsnr, loss)
        tracker.update(logsnr.to(place), loss.to(place))
    np.testing.assert_allclose(tracker.mean, expected.mean)
    np.testing.assert_array_equal(tracker.count, expected.count)


# --- the simulated device -----------------------------------------------------------------------


@pytest.fixture
def simulated():
    with elsewhere.simulated() as device:
        yield device


def test_the_simulated_device_refuses_what_lies_on_the_cpu(simulated):
    x = torch.ones(3, device=simulated)
    with pytest.raises(RuntimeError, match="add: expected all tensors"):
        x + torch.ones(3)
    with pytest.raises(RuntimeError, match="cat: expected all tensors"):
        torch.cat([torch.ones(3), x])
    with pytest.raises(TypeError, match="NumPy"):
        x.numpy()
    with pytest.raises(TypeError, match="NumPy"):
        np.asarray(x)
    with pytest.raises(RuntimeError, match="expected a generator on xpu"):
        torch.randn(3, device=simulated, generator=torch.Generator())
    with pytest.raises(RuntimeError, match="expected a generator on cpu"):
        torch.randn(3, generator=room_doors.generator(simulated))
    with pytest.raises(RuntimeError, match="linear: expected all tensors"):
        torch.nn.Linear(3, 2)(x)


def test_the_simulated_device_takes_what_lies_there(simulated):
    x = torch.ones(3, device=simulated)
    there = [
        x + 1,
        x * torch.tensor(2.0),
        torch.zeros_like(x),
        x.new_zeros(2),
        torch.ones(3).to(simulated),
        torch.ones(3).to(x),
        x.double(),
        x[torch.tensor([0, 1])],
        torch.as_tensor(x, dtype=torch.float64),
        torch.nn.Linear(3, 2).to(simulated)(x),
        torch.autograd.grad((x.requires_grad_() ** 2).sum(), x)[0],
    ]
    assert all(tensor.device == simulated for tensor in there)
    assert there[4].dtype == torch.float32 and there[6].dtype == torch.float64
    assert x.detach().cpu().device.type == "cpu"
    assert x.detach().cpu().numpy().tolist() == [1.0, 1.0, 1.0]
    assert x.detach().to("cpu").device.type == "cpu"
