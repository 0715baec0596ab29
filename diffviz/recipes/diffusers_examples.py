"""Training scripts in the examples of Hugging Face diffusers: EDM-style SDXL, and SD3."""

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import expit

from diffviz.recipes.closed_forms import sech, squared_velocity_gain
from diffviz.theory import laws, multipliers, paths
from diffviz.theory.objectives import Objective
from diffviz.theory.paths import LINEAR
from diffviz.theory.targets import U, X

SDXL_LORA = "huggingface/diffusers train_dreambooth_lora_sdxl.py (do_edm_style_training)"
SD3_SCRIPT = "huggingface/diffusers examples/dreambooth/train_dreambooth_sd3.py, training_utils"

LINEAR_SHIFT_3 = paths.shifted(LINEAR, 3)


def edm_style(logsnr: NDArray) -> NDArray:
    """e^(−λ) e^(−λ/14), of the plain x error on Karras et al.'s sigmas with ρ = 7."""
    return np.exp(-15 * logsnr / 14)


def shift_3_density(logsnr: NDArray) -> NDArray:
    """sech²((λ + 2 log 3)/4), of uniform time on the linear path with shift 3."""
    return sech(logsnr / 4 + np.log(3) / 2) ** 2


def logit_normal_x(logsnr: NDArray) -> NDArray:
    """N(λ; −2 log 3, 2²) e^(−λ), of the x error under logit-normal time with shift 3."""
    return stats.norm.pdf(logsnr, -2 * np.log(3), 2) * np.exp(-logsnr)


def sigma_sqrt_x(logsnr: NDArray) -> NDArray:
    """The density of shift 3, times (1 + e^(−λ/2))²: x error over σ² is velocity error."""
    return shift_3_density(logsnr) * squared_velocity_gain(logsnr)


def cosmap_x(logsnr: NDArray) -> NDArray:
    """The density of shift 3, times e^(−λ)/(1 − 2σ + 2σ²), with 1 − 2σ + 2σ² = 1 − 2σ(1 − σ)."""
    bell = 1 - 2 * expit(-logsnr / 2) * expit(logsnr / 2)
    return shift_3_density(logsnr) * np.exp(-logsnr) / bell


def logit_normal_u(logsnr: NDArray) -> NDArray:
    """N(λ; 1 − 2 log 3, 2²)(1 + e^(−λ/2))², of the velocity under logit_mean = 0.5."""
    return stats.norm.pdf(logsnr, 1 - 2 * np.log(3), 2) * squared_velocity_gain(logsnr)


EDM_STYLE = (
    Objective(
        name="diffusers-edm-style",
        family="EDM",
        year=2024,
        source=SDXL_LORA,
        path=paths.karras(),
        target=X,
        stated=edm_style,
        note="This has neither EDM's weight nor its density.",
    ),
)

SD3 = (
    Objective(
        name="diffusers-sd3",
        family="flow",
        year=2024,
        source=SD3_SCRIPT,
        path=LINEAR,
        target=X,
        law=laws.logit_normal_logsnr(0, 1, 3),
        stated=logit_normal_x,
        note="The default is precondition_outputs = 1: the plain x error, sigma² times SD3's.",
    ),
    Objective(
        name="diffusers-sd3-sigma-sqrt",
        family="flow",
        year=2024,
        source=f"{SD3_SCRIPT} (sigma_sqrt)",
        path=LINEAR_SHIFT_3,
        target=X,
        multiplier=multipliers.sigma_sqrt,
        stated=sigma_sqrt_x,
        note="The weight is sigma^−2, whatever its name says.",
    ),
    Objective(
        name="diffusers-sd3-cosmap",
        family="flow",
        year=2024,
        source=f"{SD3_SCRIPT} (cosmap)",
        path=LINEAR_SHIFT_3,
        target=X,
        multiplier=multipliers.cosmap,
        stated=cosmap_x,
        note="CosMap is a weight of the loss here and a density of time in SD3. "
        "The two are equal only for shift 1 without preconditioning.",
    ),
    Objective(
        name="diffusers-sd3-ln0.5",
        family="flow",
        year=2024,
        source=f"{SD3_SCRIPT} (logit_mean = 0.5, precondition_outputs = 0)",
        path=LINEAR,
        target=U,
        law=laws.logit_normal_logsnr(-0.5, 1, 3),
        stated=logit_normal_u,
        note="u indexes a falling table of sigma, so logit_mean has the opposite sign to SD3's m.",
    ),
)
