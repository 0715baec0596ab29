"""Speech and text: schedules of codes that generate speech tokens and words."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from diffviz.recipes.closed_forms import squared_v_gain
from diffviz.recipes.ddpm import eps_cosine_with_offset
from diffviz.theory import paths
from diffviz.theory.frames import VP
from diffviz.theory.objectives import Objective
from diffviz.theory.targets import V, X

VIBEVOICE = "Peng et al. 2025 (arXiv 2508.19205), microsoft/VibeVoice diffusion head config"
DIFFUSION_LM = "Li et al. 2022 (arXiv 2205.14217), XiangLi1999/Diffusion-LM ('sqrt')"

ROOT_OFFSET = 1e-4


def vibevoice(logsnr: NDArray) -> NDArray:
    """Eps's weighting on the cosine path with s = 0.008, times v's gain 1 + e^(−λ)."""
    return eps_cosine_with_offset(logsnr) * squared_v_gain(logsnr)


# --- the schedule of words: sigma⁴ = s + (1 − s) t, s = 1e-4 --------------------------------------


def root_logsnr(t: NDArray) -> NDArray:
    """λ at a time, with 1 − sigma² = (1 − sigma⁴)/(1 + sigma²)."""
    variance = np.sqrt(ROOT_OFFSET + (1 - ROOT_OFFSET) * t)
    signal = (1 - ROOT_OFFSET) * (1 - t) / (1 + variance)
    return np.log(signal) - np.log(variance)


def root_time(logsnr: NDArray) -> NDArray:
    """Time at a λ."""
    return np.clip((expit(-logsnr) ** 2 - ROOT_OFFSET) / (1 - ROOT_OFFSET), 0, 1)


def root_rate(logsnr: NDArray) -> NDArray:
    """|dt/dλ| = 2 sigma⁴ alpha²/(1 − s)."""
    return 2 * expit(-logsnr) ** 2 * expit(logsnr) / (1 - ROOT_OFFSET)


def diffusion_lm(logsnr: NDArray) -> NDArray:
    """sigma⁶, of the x error (our own derivation)."""
    return expit(-logsnr) ** 3


ROOT_PATH = paths.scheduled("square root (1 − sqrt t)", VP, root_logsnr, root_time, root_rate)

ENTRIES = (
    Objective(
        name="vibevoice",
        family="v",
        year=2025,
        source=VIBEVOICE,
        path=paths.cosine(offset=0.008),
        target=V,
        stated=vibevoice,
        note="The offset moves v's weighting away from flow matching's where data is clean. The "
        "config was read in a port of it; β is capped in the last steps, which is left out.",
    ),
    Objective(
        name="diffusion-lm",
        family="x",
        year=2022,
        source=DIFFUSION_LM,
        path=ROOT_PATH,
        target=X,
        stated=diffusion_lm,
        note="alpha² = 1 − sqrt(t + 1e-4) was read in copies of it. The loss has further terms, on "
        "the first step and on the rounding to words.",
    ),
)
