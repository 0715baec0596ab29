"""Each entry of a scheduler's config is checked by its own name."""

import numpy as np
import pytest

import diffviz as dv

DDPM = {
    "_class_name": "DDPMScheduler",
    "num_train_timesteps": 10,
    "beta_start": 1e-4,
    "beta_end": 0.02,
    "beta_schedule": "linear",
}
FLOW = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 10, "shift": 3.0}


@pytest.mark.parametrize("value", ["10", 10.0, np.nan, None, [10], True])
@pytest.mark.parametrize("config", [DDPM, FLOW])
def test_the_number_of_steps_is_a_whole_number(config, value):
    with pytest.raises(TypeError, match="num_train_timesteps must be a whole number"):
        dv.from_diffusers(config | {"num_train_timesteps": value})


@pytest.mark.parametrize("name", ["beta_start", "beta_end"])
@pytest.mark.parametrize("value", ["0.1", -0.1, 2**70, np.inf, [0.1, 0.2], None])
@pytest.mark.parametrize("schedule", ["linear", "scaled_linear"])
def test_the_ends_of_beta_are_numbers_from_0_to_1(name, value, schedule):
    with pytest.raises((TypeError, ValueError), match=f"{name} must"):
        dv.from_diffusers(DDPM | {"beta_schedule": schedule, name: value})


@pytest.mark.parametrize("name", ["beta_schedule", "prediction_type"])
@pytest.mark.parametrize("value", [["linear"], {}, np.ones(2), 3])
def test_what_is_no_text_is_no_name_of_a_table(name, value):
    with pytest.raises(ValueError, match=f"{name} .* does not apply"):
        dv.from_diffusers(DDPM | {name: value})


@pytest.mark.parametrize("value", ["False", "no", "", [], 2])
def test_a_flag_of_a_config_is_not_read_from_text(value):
    for config, name in (
        (DDPM, "rescale_betas_zero_snr"),
        (DDPM, "use_flow_sigmas"),
        (FLOW, "use_dynamic_shifting"),
    ):
        with pytest.raises(ValueError, match=f"unknown {name}"):
            dv.from_diffusers(config | {name: value})
    with pytest.raises(ValueError, match="unknown precondition_outputs"):
        dv.from_diffusers(FLOW, precondition_outputs=value)


def test_a_missing_flag_and_null_are_false():
    plain = dv.from_diffusers(DDPM)
    for value in (None, False, np.False_):
        config = DDPM | {"rescale_betas_zero_snr": value}
        assert dv.from_diffusers(config).identity == plain.identity
