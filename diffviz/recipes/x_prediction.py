"""Prediction of the data or of the previous step, and codes whose weight makes it the eps loss."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from diffviz.recipes.closed_forms import eps_cosine, flow_matching, linear_density, linear_rate
from diffviz.recipes.noise_paths import VP_LINEAR
from diffviz.recipes.sources import KINGMA_GAO, SALIMANS_HO
from diffviz.theory import multipliers
from diffviz.theory.objectives import Objective
from diffviz.theory.paths import COSINE, LINEAR
from diffviz.theory.targets import PREVIOUS, V, X

DELBRACIO_MILANFAR = "Delbracio & Milanfar 2023 (arXiv 2303.11435)"
HO = "hojonathanho/diffusion model_mean_type='xprev'"
LUCIDRAINS = "lucidrains/denoising-diffusion-pytorch denoising_diffusion_pytorch.py"


def x_cosine(logsnr: NDArray) -> NDArray:
    """e^(−λ) sech(λ/2), of the plain x error on the cosine path (Salimans & Ho 2022)."""
    return np.exp(-logsnr) * eps_cosine(logsnr)


def truncated_snr(logsnr: NDArray) -> NDArray:
    """sech(λ/2) max(1, e^(−λ)) (Salimans & Ho 2022, arXiv 2202.00512, eq. 9)."""
    return eps_cosine(logsnr) * np.maximum(1, np.exp(-logsnr))


def indi(logsnr: NDArray) -> NDArray:
    """e^(−λ) sech²(λ/4) (Kingma & Gao 2023, arXiv 2303.00848, appendix D)."""
    return np.exp(-logsnr) * linear_density(logsnr)


def signal_variance(logsnr: NDArray) -> NDArray:
    """SNR/(SNR + 1) = alpha², the weight of lucidrains' v loss."""
    return expit(logsnr)


ENTRIES = (
    Objective(
        name="x-cosine",
        family="x",
        year=2022,
        source=f"{SALIMANS_HO} ('constant')",
        path=COSINE,
        target=X,
        stated=x_cosine,
    ),
    Objective(
        name="pd-snr",
        family="x",
        year=2022,
        source=f"{SALIMANS_HO} ('snr')",
        path=COSINE,
        target=X,
        multiplier=multipliers.snr,
        stated=eps_cosine,
    ),
    Objective(
        name="pd-truncated-snr",
        family="x",
        year=2022,
        source=f"{SALIMANS_HO} ('snr_trunc'), eq. 9",
        path=COSINE,
        target=X,
        multiplier=multipliers.truncated_snr,
        stated=truncated_snr,
    ),
    Objective(
        name="pd-snr-plus-one",
        family="x",
        year=2022,
        source=f"{SALIMANS_HO}, eq. 9; openai/consistency_models",
        path=COSINE,
        target=X,
        multiplier=multipliers.snr_plus_one,
        stated=flow_matching,
    ),
    Objective(
        name="indi",
        family="x",
        year=2023,
        source=f"{DELBRACIO_MILANFAR}; {KINGMA_GAO}, app. D",
        path=LINEAR,
        target=X,
        stated=indi,
        note="The paper was not read here. The weighting is the one that Kingma & Gao give.",
    ),
    Objective(
        name="ddpm-mu-unweighted",
        family="x",
        year=2020,
        source=HO,
        path=VP_LINEAR,
        target=PREVIOUS,
        stated=linear_rate,
        note="This is the limit of many steps.",
    ),
    Objective(
        name="lucidrains-v",
        family="v",
        year=2022,
        source=f"{LUCIDRAINS} (pred_v)",
        path=COSINE,
        target=V,
        multiplier=signal_variance,
        stated=eps_cosine,
        note="The code's weight SNR/(SNR + 1) cancels the gain of v. This is the eps weighting, "
        "not Salimans & Ho's v. Later versions take a sigmoid schedule by default.",
    ),
    Objective(
        name="lucidrains-x0",
        family="x",
        year=2022,
        source=f"{LUCIDRAINS} (pred_x0)",
        path=COSINE,
        target=X,
        multiplier=multipliers.snr,
        stated=eps_cosine,
        note="The default weight is SNR, which makes it the eps loss.",
    ),
)
