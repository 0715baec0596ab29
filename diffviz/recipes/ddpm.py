"""Noise prediction without a weight: w is the density of λ."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from diffviz.recipes.closed_forms import eps_cosine, eps_linear, eps_scaled_linear, linear_beta
from diffviz.recipes.noise_paths import SCALED_LINEAR, SDE_SUB_VP, SDE_VP, VP_LINEAR
from diffviz.recipes.sources import SONG
from diffviz.theory import paths
from diffviz.theory.objectives import Objective
from diffviz.theory.paths import COSINE
from diffviz.theory.targets import EPS

HO = "Ho et al. 2020 (arXiv 2006.11239, eq. 14), hojonathanho/diffusion"
NICHOL_DHARIWAL = "Nichol & Dhariwal 2021 (arXiv 2102.09672, eq. 17), s = 0"
IMPROVED_DIFFUSION = "openai/improved-diffusion get_named_beta_schedule('cosine')"
LATENT_DIFFUSION = "CompVis/latent-diffusion make_beta_schedule('linear')"


def eps_cosine_with_offset(logsnr: NDArray) -> NDArray:
    """Factor alpha sigma²/sqrt(1 − cos²(θ₀) alpha²) with θ₀ = π/2 · s/(1 + s) and s = 0.008.

    From Nichol & Dhariwal 2021 (arXiv 2102.09672, eq. 17).
    """
    first = np.cos(np.pi / 2 * 0.008 / 1.008) ** 2
    return np.sqrt(expit(logsnr)) * expit(-logsnr) / np.sqrt(1 - first * expit(logsnr))


def eps_sub_vp(logsnr: NDArray) -> NDArray:
    """tanh(B/2)/β with B = ∫β = 2 arcsinh(e^(−λ/2)/2), on the sub-VP path.

    From Song et al. 2021 (arXiv 2011.13456).
    """
    depth = 2 * np.arcsinh(np.exp(-logsnr / 2) / 2)
    return np.tanh(depth / 2) / linear_beta(depth)


ENTRIES = (
    Objective(
        name="iddpm-cosine",
        family="eps",
        year=2021,
        source=NICHOL_DHARIWAL,
        path=COSINE,
        target=EPS,
        stated=eps_cosine,
        note="This is the idealisation with s = 0, as in Kingma & Gao's table.",
    ),
    Objective(
        name="iddpm-cosine-as-coded",
        family="eps",
        year=2021,
        source=IMPROVED_DIFFUSION,
        path=paths.cosine(offset=0.008),
        target=EPS,
        stated=eps_cosine_with_offset,
        note="The offset s = 0.008 weights clean data less: "
        "0.74 of sech(λ/2) at λ = 8.6, and 0.20 of it at λ = 12.",
    ),
    Objective(
        name="ddpm-linear",
        family="eps",
        year=2020,
        source=HO,
        path=VP_LINEAR,
        target=EPS,
        stated=eps_linear,
    ),
    Objective(
        name="score-sde-vp",
        family="eps",
        year=2021,
        source=f"{SONG}; NVlabs/edm VPLoss",
        path=SDE_VP,
        target=EPS,
        stated=eps_linear,
    ),
    Objective(
        name="score-sde-subvp",
        family="eps",
        year=2021,
        source=f"{SONG}, sde_lib.subVPSDE",
        path=SDE_SUB_VP,
        target=EPS,
        stated=eps_sub_vp,
    ),
    Objective(
        name="ldm-scaled-linear",
        family="eps",
        year=2022,
        source=LATENT_DIFFUSION,
        path=SCALED_LINEAR,
        target=EPS,
        stated=eps_scaled_linear,
        note="LDM calls this schedule linear. Its sqrt_linear is DDPM's linear schedule.",
    ),
)
