"""sd-scripts for SD and SDXL: its own steps, written anew, draw what the objective says."""

import numpy as np
import pytest
from trainer_draws import check_factor, check_law, stable_diffusion

import diffviz as dv

SCRIPT = "accelerate launch sdxl_train_network.py --learning_rate 1e-4 "


def own_weight(snr, v=False, gamma=None, like_noise=False, v_like=0.0, debiased=False):
    """The factor on the loss of a step, as the trainer multiplies it together."""
    weight = np.ones_like(snr)
    capped = np.minimum(snr, 1000)
    if gamma:
        weight = weight * np.minimum(snr, gamma) / (snr + 1 if v else snr)
    if like_noise:
        weight = weight * (capped / (capped + 1))
    if v_like:
        weight = weight + weight / (capped / (capped + 1)) * v_like
    if debiased:
        weight = weight / (capped + 1 if v else np.sqrt(capped))
    return weight


CASES = {
    "": {},
    "--min_snr_gamma 5": {"gamma": 5},
    "--min_snr_gamma=1 --v_parameterization": {"gamma": 1, "v": True},
    "--debiased_estimation_loss": {"debiased": True},
    "--debiased_estimation_loss --v_parameterization": {"debiased": True, "v": True},
    "--v_parameterization --scale_v_pred_loss_like_noise_pred": {"v": True, "like_noise": True},
    "--v_pred_like_loss 0.3": {"v_like": 0.3},
    "--min_snr_gamma 5 --debiased_estimation_loss": {"gamma": 5, "debiased": True},
}


@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("line", CASES)
def test_the_levels_and_the_factors_are_those_of_its_own_steps(line, zero):
    options = CASES[line]
    objective = dv.from_settings(SCRIPT + line + (" --zero_terminal_snr" if zero else ""))
    before = stable_diffusion()
    alphas = stable_diffusion(zero_terminal=zero)
    with np.errstate(divide="ignore"):
        logsnr = np.log(alphas) - np.log1p(-alphas)
        gain = 1 / alphas if options.get("v") else 1.0
    check_law(objective, logsnr)
    weight = own_weight(before / (1 - before), **options)  # of the table before it is mended
    check_factor(objective, logsnr, weight * gain)


def test_a_range_of_timesteps_leaves_the_others_out():
    objective = dv.from_settings(SCRIPT + "--min_timestep 200 --max_timestep 700")
    alphas = stable_diffusion()[200:700]
    check_law(objective, np.log(alphas / (1 - alphas)))


@pytest.mark.parametrize("schedule", ["snr", "exponential", "constant"])
def test_smooth_l1_counts_small_errors_by_the_inverse_of_its_threshold(schedule):
    line = f"--loss_type smooth_l1 --huber_schedule {schedule} --huber_c 0.2"
    objective = dv.from_settings(SCRIPT + line)
    alphas = stable_diffusion()
    ratio = np.sqrt((1 - alphas) / alphas)
    threshold = {
        "snr": 0.8 / (1 + ratio) ** 2 + 0.2,
        "exponential": np.exp(np.log(0.2) / 1000 * np.arange(1000)),
        "constant": np.full(1000, 0.2),
    }[schedule]
    error = 1e-4
    loss = 2 * (np.sqrt(error**2 + threshold**2) - threshold)
    check_factor(objective, np.log(alphas / (1 - alphas)), loss / error**2, rtol=1e-5)


def test_options_that_change_the_noise_are_named():
    note = dv.from_settings(SCRIPT + "--noise_offset 0.05 --ip_noise_gamma 0.1").note
    assert "noise_offset adds a constant of standard deviation 0.05" in note
    assert "lower than that of the curve by up to 0.01" in note


@pytest.mark.parametrize(
    ("line", "both"),
    [
        ("--scale_v_pred_loss_like_noise_pred", "v_parameterization"),
        ("--v_pred_like_loss 1 --v_parameterization", "contradicts v_parameterization"),
        ("--adaptive_noise_scale 0.1", "needs noise_offset"),
        ("--min_timestep 500 --max_timestep 500", "max_timestep=500"),
    ],
)
def test_options_that_contradict_each_other_are_refused(line, both):
    with pytest.raises(ValueError, match=both):
        dv.from_settings(SCRIPT + line)
