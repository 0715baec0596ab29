"""The weights of training scripts on a scheduler's steps, against the papers' formulas."""

import numpy as np
import pytest
from cells import in_one_test

from diffviz.recipes.diffusers import from_diffusers

TABLE = {
    "_class_name": "DDPMScheduler",
    "num_train_timesteps": 200,
    "beta_start": 0.0001,
    "beta_end": 0.1,  # SNR from 1e4 down to 3e-5, so that a cap of 1000 is reached
    "beta_schedule": "linear",
}


def snr_of_the_table():
    """SNR of each step, smallest first, from the betas."""
    betas = np.linspace(TABLE["beta_start"], TABLE["beta_end"], TABLE["num_train_timesteps"])
    kept = np.cumprod(1 - betas)
    return np.sort(kept / (1 - kept))


def min_snr(snr, gamma):
    return np.minimum(snr, gamma) / snr


def soft_min_snr(snr, gamma):
    return gamma / (snr + gamma)


def p2(snr, gamma, k):
    return 1 / (k + snr) ** gamma


def debiased(snr, cap):
    return 1 / np.sqrt(np.minimum(snr, cap))


@in_one_test
@pytest.mark.parametrize(
    ("scheme", "options", "formula", "values"),
    [
        ("min_snr", {}, min_snr, (5.0,)),  # Hang et al. 2023, sec. 3.4
        ("min_snr", {"gamma": 0.7}, min_snr, (0.7,)),
        ("soft_min_snr", {}, soft_min_snr, (4.0,)),  # Crowson et al. 2024, appendix C
        ("soft_min_snr", {"gamma": 30.0}, soft_min_snr, (30.0,)),
        ("p2", {}, p2, (1.0, 1.0)),  # Choi et al. 2022, sec. 3.2
        ("p2", {"gamma": 0.5, "k": 2.0}, p2, (0.5, 2.0)),
        ("debiased", {}, debiased, (1000.0,)),  # sd-scripts, apply_debiased_estimation
        ("debiased", {"cap": 10.0}, debiased, (10.0,)),
    ],
)
def test_a_scheme_weights_each_step_as_its_source_says(scheme, options, formula, values):
    snr = snr_of_the_table()
    factor = from_diffusers(TABLE, scheme, **options).factor(np.log(snr))
    np.testing.assert_allclose(factor, formula(snr, *values), rtol=1e-9)
