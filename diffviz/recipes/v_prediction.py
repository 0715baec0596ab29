"""Prediction of v, and the schedules that end without signal and therefore need it."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from diffviz.recipes.closed_forms import (
    ROOT_BETA_END,
    ROOT_BETA_START,
    flow_matching,
    linear_rate,
    scaled_linear_beta,
    squared_v_gain,
    v_scaled_linear,
)
from diffviz.recipes.noise_paths import SCALED_LINEAR, VP_LINEAR
from diffviz.recipes.sources import ESSER, SALIMANS_HO
from diffviz.theory import paths
from diffviz.theory.objectives import Objective
from diffviz.theory.paths import COSINE
from diffviz.theory.targets import EPS, V

STABLE_DIFFUSION_2 = "Stable Diffusion 2; diffusers DDPMScheduler(v_prediction)"
LIN = "Lin et al. 2023 (arXiv 2305.08891, algorithm 1)"

ZERO_TERMINAL_SNR = paths.zero_terminal_snr(SCALED_LINEAR)


def v_linear(logsnr: NDArray) -> NDArray:
    """e^(−λ)/β, of v prediction with DDPM's linear table (Esser et al. 2024, sec. 5.1)."""
    return np.exp(-logsnr) / linear_rate(logsnr)


def eps_zero_terminal_snr(logsnr: NDArray) -> NDArray:
    """Factor alpha sigma²/(alpha₀ β), of eps on the rescaled table (Lin et al. 2023, algorithm 1).

    Before the rescaling the signal was alpha₀ = alpha (1 − alpha_T) + alpha_T, and β is the rate
    of the table there.
    """
    start, end = ROOT_BETA_START, ROOT_BETA_END
    last = np.exp(-1000 * (end**2 + end * start + start**2) / 6)
    alpha = np.sqrt(expit(logsnr))
    variance = expit(-logsnr)
    depth = -2 * np.log1p(-variance / (1 + alpha) * (1 - last))
    return alpha * variance / (np.exp(-depth / 2) * scaled_linear_beta(depth))


def v_zero_terminal_snr(logsnr: NDArray) -> NDArray:
    """The same with v's gain 1 + e^(−λ) (Lin et al. 2023, arXiv 2305.08891)."""
    return eps_zero_terminal_snr(logsnr) * squared_v_gain(logsnr)


ENTRIES = (
    Objective(
        name="v-cosine",
        family="v",
        year=2022,
        source=SALIMANS_HO,
        path=COSINE,
        target=V,
        stated=flow_matching,
        note="The code clips λ to [-20, 20].",
    ),
    Objective(
        name="v-linear",
        family="v",
        year=2024,
        source=f"{ESSER}, sec. 5.1 v/linear",
        path=VP_LINEAR,
        target=V,
        stated=v_linear,
    ),
    Objective(
        name="sd2-v-scaled-linear",
        family="v",
        year=2022,
        source=STABLE_DIFFUSION_2,
        path=SCALED_LINEAR,
        target=V,
        stated=v_scaled_linear,
    ),
    Objective(
        name="ztsnr-v",
        family="v",
        year=2023,
        source=LIN,
        path=ZERO_TERMINAL_SNR,
        target=V,
        stated=v_zero_terminal_snr,
        note="The table keeps its first step. This is its continuous limit.",
    ),
    Objective(
        name="ztsnr-eps",
        family="eps",
        year=2023,
        source=LIN,
        path=ZERO_TERMINAL_SNR,
        target=EPS,
        stated=eps_zero_terminal_snr,
        note="At the last step of the table z holds no x, so eps is no target there.",
    ),
)
