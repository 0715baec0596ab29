"""Densities and weights of k-diffusion, with sigma_data = ½.

They are ``utils.rand_*`` and ``layers.Denoiser.loss`` of the code. The loss compares EDM's
network output F. Its "karras" weight is 1 on that error.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from diffviz.recipes.closed_forms import edm_weighting, flow_matching, sech, squared_edm_gain
from diffviz.recipes.noise_paths import between
from diffviz.theory import laws, paths
from diffviz.theory.frames import VE
from diffviz.theory.objectives import Objective
from diffviz.theory.paths import COSINE, Path
from diffviz.theory.targets import F

KDIFFUSION = "crowsonkb/k-diffusion utils.rand_*, layers.Denoiser.loss"

LOGNORMAL = laws.logit_normal_logsnr(-1.2, 1.2)
LOGLOGISTIC = laws.loglogistic_sigma(mean=np.log(0.5), scale=0.5)
LOGUNIFORM = laws.loguniform_sigma(low=0.01, high=80)
SPLIT_LOGNORMAL = laws.split_lognormal_sigma(mean=-1.2, below=0.8, above=1.6)
# rand_v_diffusion: the cosine density in units of sigma_data, for sigma in [1e-3, 1e3]
COSINE_IN_UNITS_OF_DATA = laws.truncated(
    stats.hypsecant(2 * np.log(2), 2), -2 * np.log(1e3), 2 * np.log(1e3)
)


def cosine_interpolated() -> Path:
    """The path of ``rand_cosine_interpolated``: 256² images, noise 32 to 256, sigma in [1e-3, 1e3].

    The code counts log-SNR in units of sigma_data. It shifts the cosine path but not the ends of
    its range.

    Returns:
        The path between the two shifted cosine paths.
    """
    low = -2 * np.log(1e3 / 0.5)
    high = -2 * np.log(1e-3 / 0.5)
    coarse = between(paths.shifted(COSINE, 256 / 32), low, high)
    fine = between(paths.shifted(COSINE, 256 / 256), low, high)
    schedule = paths.shifted(paths.interpolated(coarse, fine), 0.5).schedule
    return Path(name="cosine-interpolated", frame=VE, schedule=schedule)


def soft_min_snr_multiplier(logsnr: NDArray) -> NDArray:
    """(σ σ_data)²/(σ² + σ_data²)², "soft-min-snr" on the F error (Crowson et al. 2024)."""
    return 0.25 * np.exp(-logsnr) / (np.exp(-logsnr) + 0.25) ** 2


def snr_multiplier(logsnr: NDArray) -> NDArray:
    """σ_data²/(σ² + σ_data²), "snr" on the F error (k-diffusion, layers.Denoiser)."""
    return 0.25 / (np.exp(-logsnr) + 0.25)


def lognormal_soft_min_snr(logsnr: NDArray) -> NDArray:
    """N(λ; 2.4, 2.4²) · 4/(4 + SNR)."""
    return stats.norm.pdf(logsnr, 2.4, 2.4) * 4 / (4 + np.exp(logsnr))


def cosine_in_units_of_data(logsnr: NDArray) -> NDArray:
    """sech(λ/2 − log 2), the cosine density for σ_data = ½."""
    return sech(logsnr / 2 - np.log(2))


def loglogistic_karras(logsnr: NDArray) -> NDArray:
    """e^(−λ/2) sech(λ/2 − log 2)."""
    return flow_matching(logsnr) * cosine_in_units_of_data(logsnr)


def split_lognormal_karras(logsnr: NDArray) -> NDArray:
    """A two-piece normal around 2.4, of scales 3.2 below and 1.6 above, times e^(−λ) + ¼."""
    scale = np.where(logsnr < 2.4, 3.2, 1.6)
    return np.exp(-(((logsnr - 2.4) / scale) ** 2) / 2) * squared_edm_gain(logsnr)


ENTRIES = (
    Objective(
        name="kdiff-lognormal-karras",
        family="k-diffusion",
        year=2023,
        source=KDIFFUSION,
        path=paths.from_density(LOGNORMAL, frame=VE, name="lognormal-karras"),
        target=F,
        stated=edm_weighting,
    ),
    Objective(
        name="kdiff-lognormal-soft-min-snr",
        family="k-diffusion",
        year=2023,
        source=KDIFFUSION,
        path=paths.from_density(LOGNORMAL, frame=VE, name="lognormal-soft-min-snr"),
        target=F,
        multiplier=soft_min_snr_multiplier,
        stated=lognormal_soft_min_snr,
    ),
    Objective(
        name="kdiff-loglogistic-karras",
        family="k-diffusion",
        year=2023,
        source=KDIFFUSION,
        path=paths.from_density(LOGLOGISTIC, frame=VE, name="loglogistic-karras"),
        target=F,
        stated=loglogistic_karras,
    ),
    Objective(
        name="kdiff-loguniform-karras",
        family="k-diffusion",
        year=2023,
        source=KDIFFUSION,
        path=paths.from_density(LOGUNIFORM, frame=VE, name="loguniform-karras"),
        target=F,
        stated=squared_edm_gain,
    ),
    Objective(
        name="kdiff-v-diffusion-karras",
        family="k-diffusion",
        year=2023,
        source=KDIFFUSION,
        path=paths.from_density(COSINE_IN_UNITS_OF_DATA, frame=VE, name="v-diffusion-karras"),
        target=F,
        stated=flow_matching,
        note="A cosine density in units of sigma_data has the weighting of flow matching.",
    ),
    Objective(
        name="kdiff-v-diffusion-snr",
        family="k-diffusion",
        year=2023,
        source=KDIFFUSION,
        path=paths.from_density(COSINE_IN_UNITS_OF_DATA, frame=VE, name="v-diffusion-snr"),
        target=F,
        multiplier=snr_multiplier,
        stated=cosine_in_units_of_data,
    ),
    Objective(
        name="kdiff-split-lognormal-karras",
        family="k-diffusion",
        year=2023,
        source=KDIFFUSION,
        path=paths.from_density(SPLIT_LOGNORMAL, frame=VE, name="split-lognormal-karras"),
        target=F,
        stated=split_lognormal_karras,
    ),
    Objective(
        name="kdiff-cosine-interpolated-soft-min-snr",
        family="k-diffusion",
        year=2023,
        source=KDIFFUSION,
        path=cosine_interpolated(),
        target=F,
        multiplier=soft_min_snr_multiplier,
        note="The code swaps logsnr_min and logsnr_max, which does no harm.",
    ),
)
