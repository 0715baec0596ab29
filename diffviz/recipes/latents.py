"""Latent models of images, video and sound whose tables of β differ from Stable Diffusion's."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from diffviz.recipes.closed_forms import (
    ROOT_BETA_END,
    ROOT_BETA_START,
    scaled_linear_beta,
    squared_v_gain,
    vp_depth,
)
from diffviz.recipes.noise_paths import SCALED_LINEAR
from diffviz.recipes.v_prediction import v_zero_terminal_snr
from diffviz.theory import paths
from diffviz.theory.families import edm
from diffviz.theory.objectives import Objective
from diffviz.theory.targets import EPS, V

AUDIOLDM = "Liu et al. 2023 (arXiv 2301.12503), AudioLDM; CompVis/latent-diffusion configs"
HUNYUAN_DIT = "Li et al. 2024 (arXiv 2405.08748), Tencent/HunyuanDiT (beta_end = 0.03)"
COGVIDEOX = "Yang et al. 2024 (arXiv 2408.06072), diffusers CogVideoXDDIMScheduler"
SVD_XTEND = "pixeli99/SVD_Xtend train_svd.py (2023), P_mean = 0.7, P_std = 1.6"

COGVIDEOX_2B = paths.zero_terminal_snr(paths.shifted(SCALED_LINEAR, np.sqrt(3)))


@dataclass(frozen=True)
class ScaledLinearEps:
    """sigma²/β of eps on a table whose sqrt β is linear in time.

    Args:
        beta_start: First β.
        beta_end: Last β.
        steps: Number of steps.
    """

    beta_start: float
    beta_end: float
    steps: int

    def __call__(self, logsnr: NDArray) -> NDArray:
        """The weighting at λ in nats, up to a constant; same shape."""
        first, last = np.sqrt([self.beta_start, self.beta_end])
        cube = first**3 + 3 * (last - first) * vp_depth(logsnr) / self.steps
        return expit(-logsnr) / cube ** (2 / 3)


@dataclass(frozen=True)
class ScaledLinearV(ScaledLinearEps):
    """The same with v's gain 1 + e^(−λ)."""

    def __call__(self, logsnr: NDArray) -> NDArray:
        """The weighting at λ in nats, up to a constant; same shape."""
        return super().__call__(logsnr) * squared_v_gain(logsnr)


def cogvideox_2b(logsnr: NDArray) -> NDArray:
    """V's gain times dt/dλ on a table with its SNR over 3, rescaled to end without signal.

    Before the rescaling the signal was alpha₀ = alpha (1 − alpha_T) + alpha_T, with the SNR s₀. The
    rate there is β(∫β)/sigma² of the table itself, whose SNR is 3 s₀ (our own derivation).
    """
    start, end = ROOT_BETA_START, ROOT_BETA_END
    depth = 1000 * (end**2 + end * start + start**2) / 3
    last = np.sqrt(1 / (3 * np.expm1(depth) + 1))  # of an SNR of 1/(3 (e^depth − 1))
    alpha = np.sqrt(expit(logsnr))
    variance = expit(-logsnr)
    # 1 − alpha₀ = (1 − alpha)(1 − alpha_T), without cancellation
    missing = variance / (1 + alpha) * (1 - last)
    before = 1 - missing
    noise = missing * (1 + before)
    inverse_snr = noise / before**2 / 3  # of the table
    spread = inverse_snr / (1 + inverse_snr)
    rate = scaled_linear_beta(np.log1p(inverse_snr)) / spread
    return alpha * variance / (before * noise * rate) * squared_v_gain(logsnr)


ENTRIES = (
    Objective(
        name="audioldm",
        family="eps",
        year=2023,
        source=AUDIOLDM,
        path=paths.scaled_linear(beta_start=0.0015, beta_end=0.0195, steps=1000),
        target=EPS,
        stated=ScaledLinearEps(0.0015, 0.0195, 1000),
        note="β from 0.0015 to 0.0195, as in the first latent-diffusion models. The config was "
        "not read here.",
    ),
    Objective(
        name="hunyuan-dit",
        family="v",
        year=2024,
        source=HUNYUAN_DIT,
        path=paths.scaled_linear(beta_start=0.00085, beta_end=0.03, steps=1000),
        target=V,
        stated=ScaledLinearV(0.00085, 0.03, 1000),
        note="The code was not read here; later versions end at β = 0.018.",
    ),
    Objective(
        name="cogvideox-2b",
        family="v",
        year=2024,
        source=f"{COGVIDEOX} (snr_shift_scale = 3)",
        path=COGVIDEOX_2B,
        target=V,
        stated=cogvideox_2b,
        note="The SNR is divided by 3 and then rescaled to end without signal. This is the "
        "continuous limit of its table.",
    ),
    Objective(
        name="cogvideox-5b",
        family="v",
        year=2024,
        source=f"{COGVIDEOX} (snr_shift_scale = 1)",
        path=paths.zero_terminal_snr(SCALED_LINEAR),
        target=V,
        stated=v_zero_terminal_snr,
        note="Without a shift it is the rescaled table of Stable Diffusion.",
    ),
    edm(
        mean=0.7,
        std=1.6,
        sigma_data=1.0,
        name="svd-xtend",
        family="EDM",
        year=2023,
        source=SVD_XTEND,
        note="A script that trains Stable Video Diffusion on. How the model itself was trained was "
        "not found.",
    ),
)
