"""sd-scripts for FLUX, Lumina and SD3: its own steps draw what the objective says."""

import numpy as np
import pytest
from scipy.special import expit
from trainer_draws import (
    check_factor,
    check_law,
    density,
    grid,
    logsnr_of,
    normal,
    on_data,
    on_velocity,
)

import diffviz as dv
from diffviz.recipes import settings

FALLING = np.linspace(1, 1000, 1000)[::-1] / 1000


def shifted(sigma, shift):
    return sigma * shift / (1 + (shift - 1) * sigma)


def own_weight(scheme, sigma):
    with np.errstate(divide="ignore"):
        if scheme == "sigma_sqrt":
            return sigma**-2.0
        if scheme == "cosmap":
            return 2 / (np.pi * (1 - 2 * sigma + 2 * sigma**2))
    return np.ones_like(sigma)


def by_index(scheme, shift, **options):
    indices = (density(scheme, **options) * 1000).astype(int)
    return shifted(FALLING, shift)[indices]


# a line of options, the sigmas that it draws, and the scheme whose weight counts
FLUX = {
    "": (by_index("none", 3.0), "none"),
    "--weighting_scheme logit_normal --logit_mean 0.5 --logit_std 0.8": (
        by_index("logit_normal", 3.0, mean=0.5, std=0.8),
        "none",
    ),
    "--weighting_scheme mode --mode_scale 0.8 --discrete_flow_shift 1": (
        by_index("mode", 1.0, scale=0.8),
        "none",
    ),
    "--weighting_scheme sigma_sqrt --discrete_flow_shift 2": (by_index("none", 2.0), "sigma_sqrt"),
    "--timestep_sampling uniform --weighting_scheme cosmap": (grid(), "cosmap"),
    "--timestep_sampling uniform --weighting_scheme cosmap --model_prediction_type raw": (
        grid(),
        "none",
    ),
    "--timestep_sampling sigmoid --sigmoid_scale 1.5": (expit(1.5 * normal()), "none"),
    "--timestep_sampling shift --discrete_flow_shift 3.1582": (
        shifted(expit(normal()), 3.1582),
        "none",
    ),
    "--timestep_sampling flux_shift --resolution 1024,1024": (
        1 / (1 + np.exp(-1.15) * (1 / expit(normal()) - 1)),
        "none",
    ),
}


@pytest.mark.parametrize("line", FLUX)
def test_flux_draws_and_weights_as_its_own_steps(line):
    sigma, scheme = FLUX[line]
    objective = dv.from_settings("flux_train_network.py --cache_latents " + line)
    check_law(objective, logsnr_of(sigma))
    check_factor(objective, logsnr_of(sigma), own_weight(scheme, sigma) * on_velocity(sigma))


def test_lumina_has_other_defaults():
    objective = dv.from_settings("lumina_train_network.py")
    check_law(objective, logsnr_of(shifted(expit(normal()), 6.0)))
    objective = dv.from_settings(
        "lumina_train_network.py --timestep_sampling nextdit_shift", tokens=256
    )
    check_law(objective, logsnr_of(shifted(grid(), np.exp(0.5))))


def test_hunyuan_image_indexes_a_table_with_shift_5():
    objective = dv.from_settings("hunyuan_image_train_network.py --weighting_scheme cosmap")
    sigma = by_index("none", 5.0)
    check_law(objective, logsnr_of(sigma))
    check_factor(objective, logsnr_of(sigma), on_velocity(sigma))
    assert "only 'sigma_scaled' weights the loss" in objective.note


def test_anima_draws_a_sigmoid_and_always_weights():
    objective = dv.from_settings("anima_train_network.py --weighting_scheme cosmap")
    sigma = expit(normal())
    check_law(objective, logsnr_of(sigma))
    check_factor(objective, logsnr_of(sigma), own_weight("cosmap", sigma) * on_velocity(sigma))


def test_the_exponential_threshold_of_anima_reads_timesteps_up_to_1():
    line = "anima_train_network.py --loss_type smooth_l1 --huber_schedule exponential --huber_c 0.3"
    sigma = expit(normal())
    threshold = np.exp(np.log(0.3) / 1000 * sigma)  # the steps of its parser end at 1000
    check_factor(dv.from_settings(line), logsnr_of(sigma), on_velocity(sigma) / threshold)


def own_sd3(scheme="uniform", shift=1.0, first=0, last=1000, **options):
    """Its sigmas: u is shifted, and the index counts upwards."""
    u = density(scheme, **options)
    u = (u * shift) / (1 + (shift - 1) * u)
    return (u * (last - first) + first).astype(int) / 1000


SD3 = {
    "": ({}, "none"),
    "--weighting_scheme logit_normal --logit_mean 0.5": (
        {"scheme": "logit_normal", "mean": 0.5},
        "none",
    ),
    "--weighting_scheme mode --training_shift 3": ({"scheme": "mode", "shift": 3.0}, "none"),
    "--weighting_scheme cosmap --min_timestep 100 --max_timestep 800": (
        {"first": 100, "last": 800},
        "cosmap",
    ),
    "--weighting_scheme sigma_sqrt --training_shift 0.5": ({"shift": 0.5}, "sigma_sqrt"),
}


@pytest.mark.parametrize("line", SD3)
def test_sd3_draws_upwards_and_compares_x(line):
    options, scheme = SD3[line]
    sigma = own_sd3(**options)
    objective = dv.from_settings("sd3_train_network.py " + line)
    check_law(objective, logsnr_of(sigma))
    held = sigma > 0
    factor = own_weight(scheme, sigma[held]) * on_data(sigma[held])
    check_factor(objective, logsnr_of(sigma[held]), factor)
    sentence = settings.explain("sd3_train_network.py " + line).sentence
    drawn = options.get("scheme", "uniform").replace("_", "-")
    first, last = options.get("first", 0), options.get("last", 1000)
    assert f"{drawn} steps {first} to {last - 1}" in sentence


def test_a_positive_logit_mean_means_less_noise_for_flux_and_more_for_sd3():
    line = "--weighting_scheme logit_normal --logit_mean 1"
    flux = dv.from_settings("flux_train.py --discrete_flow_shift 1 " + line)
    sd3 = dv.from_settings("sd3_train.py " + line)
    assert flux.law.median() == pytest.approx(2, abs=0.01)
    assert sd3.law.median() == pytest.approx(-2, abs=0.01)
    assert "a positive logit_mean means less noise" in flux.note


@pytest.mark.parametrize(
    ("line", "idle"),
    [
        ("--timestep_sampling shift --logit_mean 1", "logit_mean has no effect with timestep"),
        ("--weighting_scheme mode --logit_std 2", "logit_std has no effect with weighting_scheme"),
        ("--timestep_sampling sigmoid --discrete_flow_shift 5", "discrete_flow_shift has no eff"),
        ("--min_timestep 100", "min_timestep has no effect in these scripts"),
        ("--min_snr_gamma 5", "min_snr_gamma has no effect in these scripts"),
        ("--zero_terminal_snr", "zero_terminal_snr has no effect in these scripts"),
        (
            "--weighting_scheme sigma_sqrt --model_prediction_type raw",
            "only 'sigma_scaled' weights the loss",
        ),
        ("--timestep_sampling uniform --weighting_scheme mode", "only 'sigma' draws by it"),
    ],
)
def test_options_without_effect_are_named_with_the_reason(line, idle):
    explained = settings.explain("flux_train_network.py " + line)
    assert len(explained.no_effect) == 1
    assert idle in explained.no_effect[0]
    assert explained.no_effect[0] in explained.objective.note


def test_sd3_reads_no_noise_options():
    line = "sd3_train_network.py --ip_noise_gamma 0.1 --noise_offset 0.05"
    assert settings.explain(line).no_effect == (
        "ip_noise_gamma has no effect in these scripts.",
        "noise_offset has no effect in these scripts.",
    )


def test_an_option_that_has_no_effect_changes_nothing():
    line = "flux_train_network.py --timestep_sampling uniform"
    assert (
        dv.from_settings(line + " --discrete_flow_shift 9 --logit_mean 2").identity
        == dv.from_settings(line).identity
    )


def test_the_snr_schedule_of_huber_is_refused():
    with pytest.raises(ValueError, match="loss_type='huber' contradicts huber_schedule='snr'"):
        dv.from_settings("flux_train_network.py --loss_type huber")


def test_smooth_l1_counts_small_errors_by_the_inverse_of_its_threshold():
    line = "flux_train_network.py --timestep_sampling uniform --loss_type smooth_l1"
    objective = dv.from_settings(line + " --huber_schedule exponential --huber_c 0.3")
    threshold = np.exp(np.log(0.3) / 1000 * (1000 * grid()))
    error = 1e-4
    loss = 2 * (np.sqrt(error**2 + threshold**2) - threshold)
    check_factor(objective, logsnr_of(grid()), loss / error**2 * on_velocity(grid()), rtol=1e-5)


def test_a_shift_by_resolution_asks_for_the_tokens():
    with pytest.raises(ValueError, match="give tokens="):
        dv.from_settings("flux_train_network.py --timestep_sampling flux_shift")


def test_the_nan_of_sd3_is_named():
    note = dv.from_settings("sd3_train_network.py --weighting_scheme sigma_sqrt").note
    assert "the loss there is NaN" in note
