"""One training spread over devices: the same runs, checkpoints of each, and what is refused."""

import numpy as np
import pytest
import torch

import diffviz as dv

NAMES = ["fm-ot", "edm", "sd3"]
OPTIONS = {"steps": 40, "batch": 32, "progress": False}


@pytest.fixture(scope="module")
def data():
    return dv.toy("ring8").sample(256, torch.Generator().manual_seed(0))


def assert_same(runs, expected):
    """The same runs to the last bit."""
    assert [run.name for run in runs] == [run.name for run in expected]
    for run, other in zip(runs, expected, strict=True):
        np.testing.assert_array_equal(run.loss, other.loss)
        assert run.state.keys() == other.state.keys()
        assert all(torch.equal(run.state[age], other.state[age]) for age in run.state)


@pytest.mark.slow
def test_objectives_on_two_devices_are_trained_as_on_one(data, tmp_path):
    two = dv.fit(NAMES, data, **OPTIONS, devices=["cpu", "cpu"], checkpoint=tmp_path / "c")
    parts = [*dv.fit(NAMES[:2], data, **OPTIONS), *dv.fit(NAMES[2], data, **OPTIONS)]
    assert_same(two, parts)
    one = dv.fit(NAMES, data, **OPTIONS)
    for run, other in zip(two, one, strict=True):
        np.testing.assert_allclose(run.loss, other.loss, rtol=1e-3)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["c.0", "c.1"]
    resumed = dv.fit(NAMES, data, **OPTIONS, devices=["cpu", "cpu"], checkpoint=tmp_path / "c")
    assert_same(resumed, two)


def test_one_device_needs_no_process(data):
    assert_same(dv.fit(NAMES, data, **OPTIONS, devices=["cpu"]), dv.fit(NAMES, data, **OPTIONS))
    more_than_objectives = dv.fit("edm", data, **OPTIONS, devices=["cpu"] * 3)
    assert_same(more_than_objectives, dv.fit("edm", data, **OPTIONS))


@pytest.mark.slow
def test_a_training_that_diverges_on_a_device_is_told(data):
    with pytest.raises(dv.Diverged, match="not finite at step") as diverged:
        dv.fit(NAMES, data, **OPTIONS, learning_rate=1e30, devices=["cpu", "cpu"])
    assert diverged.value.runs


@pytest.mark.parametrize(
    ("wrong", "kind", "message"),
    [
        ({"devices": "cuda:0"}, TypeError, "devices must be a list"),
        ({"devices": []}, TypeError, "devices must be a list"),
        ({"devices": ["gpu"]}, ValueError, "there is no device 'gpu' here"),
        ({"devices": ["cpu", "cuda:99"]}, ValueError, "there is no device 'cuda:99' here"),
        ({"devices": ["meta"]}, ValueError, "there is no device 'meta' here"),
        ({"devices": ["cpu"], "callback": print}, ValueError, "without a callback"),
    ],
)
def test_devices_that_cannot_be_used_are_refused(data, wrong, kind, message):
    with pytest.raises(kind, match=message):
        dv.fit(NAMES, data, **OPTIONS, **wrong)
