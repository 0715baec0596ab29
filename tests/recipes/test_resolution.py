"""The shift by resolution, against the pipelines and the schedulers of diffusers."""

import numpy as np
import pytest
from real_schedulers import double_precision, function_of_diffusers, in_double, logsnr_of_flow

import diffviz as dv

FLUX = {
    "_class_name": "FlowMatchEulerDiscreteScheduler",
    "num_train_timesteps": 1000,
    "shift": 3.0,
    "use_dynamic_shifting": True,
    "base_shift": 0.5,
    "max_shift": 1.15,
    "base_image_seq_len": 256,
    "max_image_seq_len": 4096,
}
PLAIN = FLUX | {"use_dynamic_shifting": False}
calculate_shift = function_of_diffusers("pipelines/flux/pipeline_flux.py", "calculate_shift")


def shifted_levels(config, mu):
    """λ of the plain steps after a real scheduler has shifted them, increasing."""
    entries = {key: value for key, value in config.items() if key != "_class_name"}
    scheduler = in_double(config["_class_name"], entries)
    with double_precision():
        scheduler.set_timesteps(sigmas=1 - np.arange(1, 1000) / 1000, mu=mu)
        return logsnr_of_flow(scheduler.sigmas.numpy()[:-1])


def levels_of(objective):
    return objective.law.dist.levels


@pytest.mark.parametrize("tokens", [256, 1024, 4096, 16384])
def test_the_levels_at_a_resolution_are_those_of_pipeline_and_scheduler(tokens):
    mu = calculate_shift(tokens)
    real = shifted_levels(FLUX, mu)
    ours = dv.from_diffusers(FLUX, tokens=tokens)
    np.testing.assert_allclose(levels_of(ours), real, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(levels_of(dv.from_diffusers(FLUX, mu=mu)), real, atol=1e-9)
    assert ours.note.startswith("One step without signal")
    assert f"Shift {np.exp(mu):.4g}, by mu = {mu:.4g}." in ours.note


def test_flux_at_4096_tokens_has_its_median_at_0_7595():
    median = dv.from_diffusers(FLUX, tokens=4096).law.median()
    # t of the linear path; a step of a thousand without signal is left out
    assert 1 / (1 + np.exp(median / 2)) == pytest.approx(0.7595, abs=2e-4)


def test_linear_shifting_takes_mu_as_the_shift():
    config = FLUX | {"time_shift_type": "linear"}
    ours = dv.from_diffusers(config, mu=3.25)
    np.testing.assert_allclose(levels_of(ours), shifted_levels(config, 3.25), rtol=1e-9, atol=1e-9)
    assert dv.from_diffusers(config).note.endswith("(use_dynamic_shifting): pass mu=.")


def test_solvers_with_flow_sigmas_shift_by_mu():
    config = {"_class_name": "UniPCMultistepScheduler", "use_flow_sigmas": True}
    config |= {"prediction_type": "flow_prediction", "use_dynamic_shifting": True}
    ours = dv.from_diffusers(config, mu=0.8)
    np.testing.assert_allclose(levels_of(ours), shifted_levels(config, 0.8), rtol=1e-9, atol=1e-9)
    with pytest.raises(ValueError, match="lacks base_shift, max_shift, base_image_seq_len"):
        dv.from_diffusers(config, tokens=4096)


def test_without_a_resolution_the_note_says_what_was_left_out():
    ours = dv.from_diffusers(FLUX)
    unshifted = dv.from_diffusers(PLAIN | {"shift": 1.0})
    assert ours.identity == unshifted.identity
    assert "is left out (use_dynamic_shifting)" in ours.note
    assert "it would be 1.649 at 256 tokens and 3.158 at 4,096 tokens" in ours.note


@pytest.mark.parametrize(
    ("config", "given", "says"),
    [
        (PLAIN, {"tokens": 4096}, "tokens has no effect without use_dynamic_shifting.*is 3.0"),
        (PLAIN, {"mu": 1.0}, "mu has no effect"),
        (FLUX, {"tokens": 4096, "mu": 1.15}, "pass one of them"),
        (FLUX, {"tokens": 0}, "tokens must be at least 1"),
        (FLUX, {"mu": 1e3}, "mu must lie in"),
        (FLUX, {"mu": np.nan}, "mu must be finite"),
        (FLUX | {"time_shift_type": "linear"}, {"mu": -1.0}, "the shift itself"),
        (FLUX | {"time_shift_type": "linear"}, {"tokens": 4096}, "its own law there: pass mu="),
        (FLUX | {"time_shift_type": "cubic"}, {"mu": 1.0}, "unknown time_shift_type 'cubic'"),
        (FLUX | {"base_shift": None}, {"tokens": 4096}, "lacks base_shift"),
        (FLUX | {"base_image_seq_len": 4096}, {"tokens": 4096}, "are both 4096"),
        ({"_class_name": "DDPMScheduler"}, {"tokens": 4096}, "tokens has no effect with"),
        ({"_class_name": "EDMEulerScheduler"}, {"mu": 0.0}, "mu has no effect with"),
    ],
)
def test_a_resolution_that_does_not_apply_is_refused(config, given, says):
    with pytest.raises(ValueError, match=says):
        dv.from_diffusers(config, **given)


@pytest.mark.parametrize("given", [{"tokens": 4096.0}, {"tokens": "4096"}, {"mu": "1"}])
def test_a_resolution_of_the_wrong_kind_is_a_type_error(given):
    with pytest.raises(TypeError, match=f"{next(iter(given))} must"):
        dv.from_diffusers(FLUX, **given)
