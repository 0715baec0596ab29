"""Losses outside torch: each library's arrays are read, and JAX itself where it is installed."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import diffviz as dv
from diffviz.lab import losses

ROOT = Path(__file__).parents[2]
X = np.random.default_rng(0).standard_normal((64, 2, 3))


def flow(x, eps, u):
    t = u[:, None, None]
    return (1 - t) * x + t * eps, eps - x, 1.0


def min_snr(x, eps, u):
    """Noise prediction on the cosine path with a weight for each sample."""
    angle = np.pi * u[:, None, None] / 2
    snr = np.tan(angle[:, 0, 0]) ** -2
    weight = np.minimum(snr, 5) / snr
    return np.cos(angle) * x + np.sin(angle) * eps, eps, weight


def test_flow_matching_of_numpy_is_the_entry_of_the_catalogue():
    measured = dv.probe_arrays(flow, X)
    assert (measured.kind, measured.frame) == ("u", "linear (alpha + sigma = 1)")
    assert "equal to fm-ot" in str(measured)


def test_a_weight_for_each_sample_is_read():
    measured = dv.probe_arrays(min_snr, X)
    assert measured.kind == "eps"
    assert dv.closest(measured)[0].deviation < 2e-3
    assert "equal to min-snr-5-eps" in str(measured)


def test_it_measures_the_same_as_the_probe_of_torch():
    import torch

    here = dv.probe_arrays(flow, X, draws=2000)
    there = dv.probe(losses.flow_matching, torch.from_numpy(X).float(), draws=2000)
    np.testing.assert_allclose(np.sort(here.logsnr), np.sort(there.logsnr), atol=1e-4)


def test_several_uniform_numbers_come_as_columns():
    def step(x, eps, u):
        assert u.shape == (len(x), 2)
        return flow(x, eps, np.where(u[:, 0] < 0.5, u[:, 1], 0.3 + 0.3 * u[:, 1]))

    assert dv.probe_arrays(step, X, uniforms=2, draws=2000).kind == "u"


@pytest.mark.slow
def test_the_example_of_the_docs_reads_jax():
    """It runs in a process of its own, since JAX starts threads and warns when a process forks."""
    if importlib.util.find_spec("jax") is None:
        pytest.skip("JAX is not installed: pip install '.[jax]'")
    page = (ROOT / "docs" / "probed.md").read_text()
    (example,) = (
        block for block in re.findall(r"```python\n(.*?)```", page, re.S) if "jnp" in block
    )
    start = (
        "import diffviz as dv; import jax; import jax.numpy as jnp\n"
        "data = jax.random.normal(jax.random.key(0), (64, 8))\n"
    )
    # no bar of progress, which a probe shows on a slow machine
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "TQDM_DISABLE": "1"}
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-c", start + example],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert not finished.stderr
    assert "target: u" in finished.stdout
    assert "equal to fm-ot" in finished.stdout


BAD_STEPS = {
    "two values": (lambda x, eps, u: (x, eps), TypeError, "z, target and weight"),
    "one array": (lambda x, eps, u: x, TypeError, "z, target and weight"),
    "other shapes": (lambda x, eps, u: (x, eps[:, :1], 1.0), ValueError, "one shape"),
    "a weight of components": (
        lambda x, eps, u: (x, eps, np.ones(x.shape[1] + 1)),
        ValueError,
        "weight must be one number, one for each of 32 samples",
    ),
    "complex": (lambda x, eps, u: (x * 1j, eps, 1.0), TypeError, "z must hold real numbers"),
}


@pytest.mark.parametrize("name", BAD_STEPS)
def test_a_step_that_returns_something_else_is_refused(name):
    step, error, says = BAD_STEPS[name]
    with pytest.raises(error, match=says):
        dv.probe_arrays(step, X, draws=200)


def test_settings_of_the_wrong_kind_are_refused_by_name():
    with pytest.raises(TypeError, match="step must be callable"):
        dv.probe_arrays("flow", X)
    with pytest.raises(ValueError, match="uniforms must be at least 1"):
        dv.probe_arrays(flow, X, uniforms=0)
    with pytest.raises(TypeError, match="x must hold real numbers"):
        dv.probe_arrays(flow, np.array([["a", "b"]]))
