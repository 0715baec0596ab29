"""Usual targets under another weight: P2, Min-SNR, soft Min-SNR and debiased estimation.

Functions whose name ends in ``multiplier`` act on the squared error of the entry's own target. All
others are closed forms from the literature: the whole weighting on the squared eps error, up to a
constant. They stand in entries as ``stated``, and the tests compare them with what the rule gives.

An entry made by ``p2``, ``min_snr`` or ``soft_min_snr`` is on the cosine path with an eps target.
Every other entry is an ``Objective``, with its multiplier from ``theory.multipliers`` where that
has it.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from diffviz.recipes.closed_forms import (
    eps_cosine,
    eps_scaled_linear,
    linear_rate,
    min_snr_5_factor,
    v_scaled_linear,
)
from diffviz.recipes.noise_paths import SCALED_LINEAR, VP_LINEAR
from diffviz.theory import multipliers
from diffviz.theory.families import min_snr, p2, soft_min_snr
from diffviz.theory.objectives import Objective
from diffviz.theory.paths import COSINE
from diffviz.theory.targets import EPS, V, X

CHOI = "Choi et al. 2022 (arXiv 2204.00227, eq. 8), jychoi118/P2-weighting"
HANG = "Hang et al. 2023 (arXiv 2303.09556), TiankaiHang/Min-SNR-Diffusion-Training"
TEXT_TO_IMAGE = "huggingface/diffusers train_text_to_image.py"
SDXL_LORA = "huggingface/diffusers train_dreambooth_lora_sdxl.py"
CROWSON = "Crowson et al. 2024 (arXiv 2401.11605)"
YU = "Yu et al. 2023 (arXiv 2310.08442)"
KOHYA = "kohya-ss/sd-scripts custom_train_functions.apply_debiased_estimation"


def p2_linear(logsnr: NDArray) -> NDArray:
    """sigma⁴/β, of P2 with γ = k = 1 and DDPM's linear table (Choi et al. 2022, eq. 8)."""
    return expit(-logsnr) ** 2 / linear_rate(logsnr)


def min_snr_5_cosine(logsnr: NDArray) -> NDArray:
    """sech(λ/2) min(1, 5 e^(−λ)), of Min-SNR with γ = 5 on the cosine path (Hang et al. 2023)."""
    return eps_cosine(logsnr) * min_snr_5_factor(logsnr)


def min_snr_5_scaled_linear(logsnr: NDArray) -> NDArray:
    """sigma²/β · min(1, 5 e^(−λ)), of Min-SNR with γ = 5 and Stable Diffusion's table."""
    return eps_scaled_linear(logsnr) * min_snr_5_factor(logsnr)


def sdxl_min_snr_multiplier(logsnr: NDArray) -> NDArray:
    """min(SNR, 5)/SNR + 1, on the v error (diffusers, train_dreambooth_lora_sdxl.py)."""
    return np.minimum(1, 5 * np.exp(-logsnr)) + 1


def sdxl_min_snr_v(logsnr: NDArray) -> NDArray:
    """e^(−λ)/β · (min(1, 5 e^(−λ)) + 1) (diffusers, train_dreambooth_lora_sdxl.py)."""
    return v_scaled_linear(logsnr) * (min_snr_5_factor(logsnr) + 1)


def debiased_cosine(logsnr: NDArray) -> NDArray:
    """sigmoid(−λ), of eps/sqrt(SNR) on the cosine path (Yu et al. 2023, arXiv 2310.08442)."""
    return expit(-logsnr)


def debiased_scaled_linear(logsnr: NDArray) -> NDArray:
    """sigma²/β · max(e^(−λ/2), 1000^(−½)), with Stable Diffusion's table (kohya-ss/sd-scripts)."""
    return eps_scaled_linear(logsnr) * np.maximum(np.exp(-logsnr / 2), 1000**-0.5)


def kohya_debiased_v_multiplier(logsnr: NDArray) -> NDArray:
    """1/(min(SNR, 1000) + 1), on the v error (kohya-ss/sd-scripts)."""
    return 1 / (np.minimum(np.exp(logsnr), 1000) + 1)


def kohya_debiased_v(logsnr: NDArray) -> NDArray:
    """e^(−λ)/β/(min(SNR, 1000) + 1) (kohya-ss/sd-scripts)."""
    return v_scaled_linear(logsnr) / (np.minimum(np.exp(logsnr), 1000) + 1)


ENTRIES = (
    p2(
        gamma=1,
        k=1,
        name="p2-gamma1",
        family="reweighted",
        year=2022,
        source=CHOI,
        note="The path is the cosine path, as in Kingma & Gao's table.",
    ),
    p2(
        gamma=0.5,
        k=1,
        name="p2-gamma0.5",
        family="reweighted",
        year=2022,
        source=CHOI,
    ),
    Objective(
        name="p2-linear",
        family="reweighted",
        year=2022,
        source=f"{CHOI} README",
        path=VP_LINEAR,
        target=EPS,
        multiplier=multipliers.p2(gamma=1, k=1),
        stated=p2_linear,
        note="The repository's own runs use the linear β table, not the cosine path.",
    ),
    min_snr(
        gamma=5,
        name="min-snr-5-eps",
        family="reweighted",
        year=2023,
        source=HANG,
    ),
    Objective(
        name="min-snr-5-x",
        family="reweighted",
        year=2023,
        source=HANG,
        path=COSINE,
        target=X,
        multiplier=multipliers.min_snr(gamma=5, target="x"),
        stated=min_snr_5_cosine,
    ),
    Objective(
        name="min-snr-5-v",
        family="reweighted",
        year=2023,
        source=HANG,
        path=COSINE,
        target=V,
        multiplier=multipliers.min_snr(gamma=5, target="v"),
        stated=min_snr_5_cosine,
        note="The weight is min(SNR, 5)/(SNR + 1), as in the paper.",
    ),
    Objective(
        name="min-snr-5-eps-scaled-linear",
        family="reweighted",
        year=2023,
        source=TEXT_TO_IMAGE,
        path=SCALED_LINEAR,
        target=EPS,
        multiplier=multipliers.min_snr(gamma=5),
        stated=min_snr_5_scaled_linear,
    ),
    Objective(
        name="diffusers-sdxl-min-snr-v",
        family="reweighted",
        year=2024,
        source=SDXL_LORA,
        path=SCALED_LINEAR,
        target=V,
        multiplier=sdxl_min_snr_multiplier,
        stated=sdxl_min_snr_v,
        note="min(SNR, 5)/SNR + 1 is not Min-SNR for v. "
        "train_text_to_image.py divides min(SNR, 5) by SNR + 1.",
    ),
    soft_min_snr(
        gamma=4,
        name="soft-min-snr-4",
        family="reweighted",
        year=2024,
        source=CROWSON,
    ),
    Objective(
        name="debiased-cosine",
        family="reweighted",
        year=2023,
        source=f"{YU}; {KOHYA}",
        path=COSINE,
        target=EPS,
        multiplier=multipliers.debiased(),
        stated=debiased_cosine,
        note="This is exactly the sigmoid weighting with bias 0.",
    ),
    Objective(
        name="debiased-scaled-linear",
        family="reweighted",
        year=2023,
        source=KOHYA,
        path=SCALED_LINEAR,
        target=EPS,
        multiplier=multipliers.debiased(cap=1000),
        stated=debiased_scaled_linear,
    ),
    Objective(
        name="kohya-debiased-v",
        family="reweighted",
        year=2024,
        source=f"{KOHYA}(v_prediction=True)",
        path=SCALED_LINEAR,
        target=V,
        multiplier=kohya_debiased_v_multiplier,
        stated=kohya_debiased_v,
        note="On the eps error this weight is 1/SNR, while that of the eps branch is 1/sqrt(SNR).",
    ),
)
