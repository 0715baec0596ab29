"""The examples of diffusers: their own steps, written anew, draw what the objective says."""

import numpy as np
import pytest
from trainer_draws import (
    check_factor,
    check_law,
    density,
    logsnr_of,
    on_data,
    on_velocity,
    stable_diffusion,
)

import diffviz as dv
from diffviz.recipes import settings

ALPHAS = stable_diffusion()
SNR = ALPHAS / (1 - ALPHAS)
FLUX = "train_dreambooth_lora_flux.py --pretrained_model_name_or_path=black-forest-labs/FLUX.1-dev "
SANA = "train_dreambooth_lora_sana.py --pretrained_model_name_or_path=Efficient-Large-Model/Sana "
HIDREAM = "train_dreambooth_lora_hidream.py "
Z_IMAGE = "train_dreambooth_lora_z_image.py --pretrained_model_name_or_path Tongyi-MAI/Z-Image"
SD21 = "--pretrained_model_name_or_path=stabilityai/stable-diffusion-2-1"


def biased(**options):
    """Probabilities of the steps with a bias, as train_text_to_image_sdxl.py makes them."""
    weights = np.ones(1000)
    weights[options["where"]] *= options["by"]
    return weights / weights.sum()


# a command line, the probabilities of the steps, the weight, and whether the target is v
TABLES = {
    "train_text_to_image.py": (np.full(1000, 1e-3), 1.0, False),
    "train_text_to_image_lora.py --snr_gamma=5.0": (
        np.full(1000, 1e-3),
        np.minimum(SNR, 5) / SNR,
        False,
    ),
    "train_text_to_image.py --snr_gamma 5 --prediction_type v_prediction": (
        np.full(1000, 1e-3),
        np.minimum(SNR, 5) / (SNR + 1),
        True,
    ),
    "train_dreambooth.py --snr_gamma 5 " + SD21: (
        np.full(1000, 1e-3),
        np.minimum(SNR, 5) / SNR + 1,
        True,
    ),
    "train_text_to_image_sdxl.py --timestep_bias_strategy later --timestep_bias_multiplier 3": (
        biased(where=slice(-250, None), by=3),
        1.0,
        False,
    ),
    "train_text_to_image_sdxl.py --timestep_bias_strategy earlier --timestep_bias_multiplier 3": (
        biased(where=slice(0, 250), by=3),
        1.0,
        False,
    ),
    "train_text_to_image_sdxl.py --timestep_bias_strategy range --timestep_bias_begin 200 "
    "--timestep_bias_end 500 --timestep_bias_multiplier 0.5": (
        biased(where=slice(200, 500), by=0.5),
        1.0,
        False,
    ),
    # x over sigma² with sigma = e^(−λ/2) is the eps error
    "train_dreambooth_lora_sdxl.py --do_edm_style_training": (np.full(1000, 1e-3), 1.0, False),
}


@pytest.mark.parametrize("line", TABLES)
def test_a_table_of_betas_is_drawn_and_weighted_as_by_its_own_steps(line):
    share, weight, is_v = TABLES[line]
    objective = dv.from_settings("accelerate launch " + line)
    check_law(objective, np.log(SNR), share)
    check_factor(objective, np.log(SNR), weight * (1 / ALPHAS if is_v else 1.0))


FALLING = np.linspace(1, 1000, 1000)[::-1] / 1000


def by_index(scheme, shift=1.0, **options):
    sigma = shift * FALLING / (1 + (shift - 1) * FALLING)
    return sigma[(density(scheme, **options) * 1000).astype(int)]


def one(sigma):
    return np.ones_like(sigma)


def sigma_sqrt(sigma):
    return sigma**-2.0


def cosmap(sigma):
    return 2 / (np.pi * (1 - 2 * sigma + 2 * sigma**2))


FLOW = {
    FLUX: (by_index("none"), one, on_velocity),
    FLUX + "--weighting_scheme=logit_normal --logit_mean=0.5 --logit_std=0.7": (
        by_index("logit_normal", mean=0.5, std=0.7),
        one,
        on_velocity,
    ),
    FLUX + "--weighting_scheme mode --mode_scale 1.0": (
        by_index("mode", scale=1.0),
        one,
        on_velocity,
    ),
    # the config of Sana's scheduler has a flow_shift, which the class of the script does not know
    SANA + "--weighting_scheme sigma_sqrt": (by_index("none"), sigma_sqrt, on_velocity),
    HIDREAM + "--weighting_scheme cosmap": (by_index("none", 3.0), cosmap, on_velocity),
    "train_dreambooth_lora_lumina2.py": (by_index("none", 6.0), one, on_velocity),
    Z_IMAGE: (by_index("none", 6.0), one, on_velocity),
    Z_IMAGE + "-Turbo": (by_index("none", 3.0), one, on_velocity),
    "train_controlnet_flux.py": (by_index("logit_normal"), one, on_velocity),
    "train_control_lora_flux.py": (by_index("none"), one, on_velocity),
    "train_controlnet_sd3.py": (by_index("logit_normal", 3.0), one, on_data),
    "train_dreambooth_sd3.py": (by_index("logit_normal", 3.0), one, on_data),
    "train_dreambooth_lora_sd3.py --precondition_outputs=0": (
        by_index("logit_normal", 3.0),
        one,
        on_velocity,
    ),
}


@pytest.mark.parametrize("line", FLOW)
def test_flow_matching_is_drawn_and_weighted_as_by_its_own_steps(line):
    sigma, weight, gain = FLOW[line]
    objective = dv.from_settings("accelerate launch --mixed_precision bf16 " + line)
    check_law(objective, logsnr_of(sigma))
    check_factor(objective, logsnr_of(sigma), weight(sigma) * gain(sigma))


def test_an_edm_scheduler_trains_x_on_the_sigmas_of_karras():
    line = "train_dreambooth_lora_sdxl.py --do_edm_style_training "
    line += "--pretrained_model_name_or_path=playgroundai/playground-v2.5-1024px-aesthetic"
    assert dv.compare(dv.from_settings(line), dv.objective("diffusers-edm-style")).same


def test_the_model_may_be_named_where_the_path_does_not_show_it():
    line = "train_text_to_image.py --pretrained_model_name_or_path=./mine --snr_gamma 5"
    assumed = dv.from_settings(line)
    assert assumed.target is dv.targets.EPS
    assert "taken to be that of sd1" in assumed.note
    assert dv.from_settings(line, model="sd2").target is dv.targets.V


@pytest.mark.parametrize(
    ("bias", "words"),
    [
        ("later --timestep_bias_portion 0.0005", "portion=0.0005 of 1000 timesteps is less than"),
        ("earlier --timestep_bias_portion 0.0009", "portion=0.0009 of 1000 timesteps is less"),
        ("range --timestep_bias_begin 500 --timestep_bias_end 200", "begin=500 must lie below"),
    ],
)
def test_a_bias_towards_no_timestep_is_refused_by_its_own_setting(bias, words):
    with pytest.raises(ValueError, match=words):
        dv.from_settings(f"train_text_to_image_sdxl.py --timestep_bias_strategy {bias}")


def test_a_model_that_is_not_known_is_asked_for():
    with pytest.raises(ValueError, match="pass model="):
        dv.from_settings(trainer="diffusers-flow", weighting_scheme="none")


def test_snr_gamma_contradicts_edm_style_training():
    with pytest.raises(ValueError, match="snr_gamma contradicts do_edm_style_training"):
        dv.from_settings("train_dreambooth_lora_sdxl.py --do_edm_style_training --snr_gamma 5")


@pytest.mark.parametrize(
    ("line", "idle"),
    [
        ("--logit_mean 1", "logit_mean has no effect with weighting_scheme='none'"),
        ("--weighting_scheme mode --logit_std 2", "logit_std has no effect with weighting_schem"),
        ("--precondition_outputs 1", "precondition_outputs has no effect with these settings"),
    ],
)
def test_options_without_effect_are_named(line, idle):
    (sentence,) = settings.explain(FLUX + line).no_effect
    assert idle in sentence


def test_the_scheduler_of_the_script_does_not_know_the_shift_of_sana():
    diffusers = pytest.importorskip("diffusers")
    config = {"flow_shift": 3.0, "use_flow_sigmas": True, "prediction_type": "flow_prediction"}
    solver = diffusers.DPMSolverMultistepScheduler(**config)
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler.from_config(solver.config)
    np.testing.assert_allclose(scheduler.sigmas, FALLING, atol=1e-6)
    assert "flow_shift of 3 is not read" in dv.from_settings(SANA).note


def test_the_shift_by_resolution_is_said_to_be_left_out_of_training():
    assert "shifts by the resolution; training does not" in dv.from_settings(FLUX).note
