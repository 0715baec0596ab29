"""The published scheduler configs of models, against the real scheduler classes."""

import inspect

import numpy as np
import pytest
from model_configs import MODELS, REFUSED
from real_schedulers import in_double, logsnr_of_alphas, logsnr_of_flow, real_class

import diffviz as dv
from diffviz.theory.frames import STRAIGHT, VE, VP

FLOW = "FlowMatchEulerDiscreteScheduler"


def real_scheduler(model):
    """The scheduler that trains a model, and that a pipeline loads: with T sigmas or T alphas."""
    name = model.scheduler.removeprefix("Flax")
    entries = dict(model.entries)
    if entries.get("use_flow_sigmas"):  # the solver only samples: the table is that of the shift
        name = FLOW
        entries = {"num_train_timesteps": 1000, "shift": entries["flow_shift"]}
    known = inspect.signature(real_class(name).__init__).parameters
    return in_double(name, {key: value for key, value in entries.items() if key in known})


def real_levels(scheduler, frame):
    """λ of the steps of a real scheduler that hold signal, increasing."""
    if frame is VP:
        logsnr = logsnr_of_alphas(scheduler)
    elif frame is STRAIGHT:
        logsnr = logsnr_of_flow(scheduler.sigmas)
    else:
        logsnr = -2 * np.log(scheduler.sigmas[:1000].numpy())
    return np.sort(logsnr[np.isfinite(logsnr)])


def frame_of(ours):
    return {"u": STRAIGHT, "x": VE}.get(ours.target.name, VP)


@pytest.mark.parametrize("name", MODELS)
def test_a_published_config_is_read_as_the_real_class_reads_it(name):
    model = MODELS[name]
    ours = dv.from_diffusers(model.config)
    scheduler = real_scheduler(model)
    real = real_levels(scheduler, frame_of(ours))
    np.testing.assert_allclose(ours.law.dist.levels, real, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(ours.law.dist.mass, 1 / len(real), rtol=1e-9)
    kind = getattr(scheduler.config, "prediction_type", "flow_prediction")
    targets = {"epsilon": "eps", "v_prediction": "v", "flow_prediction": "u"}
    edm = ours.path.frame is VE
    assert ours.target.name == ("x" if edm else targets[kind])


@pytest.mark.parametrize("name", MODELS)
def test_a_note_on_a_published_config_says_what_it_leaves_out(name):
    entries = MODELS[name].entries
    note = dv.from_diffusers(MODELS[name].config).note
    assert ("left out (use_dynamic_shifting)" in note) == bool(entries.get("use_dynamic_shifting"))
    assert ("flow_shift is the sampler's" in note) == bool(entries.get("use_flow_sigmas"))
    assert ("The loss of the variance" in note) == (entries.get("variance_type") == "learned_range")
    for flag in ("invert_sigmas", "shift_terminal", "thresholding"):
        assert (flag in note) == bool(entries.get(flag))


@pytest.mark.parametrize("name", REFUSED)
def test_a_published_config_of_a_sampler_is_refused(name):
    model, says = REFUSED[name]
    with pytest.raises(ValueError, match=says):
        dv.from_diffusers(model.config)


def test_thirty_models_are_held_against_their_classes():
    assert len(MODELS) >= 30
    assert all("/" in model.source for model in MODELS.values())
