"""EDM and what descends from it: log-normal noise, and a weight that evens out the output."""

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from diffviz.recipes.closed_forms import edm_density, edm_weighting, elbo, squared_edm_gain
from diffviz.recipes.sources import ESSER, KINGMA_GAO
from diffviz.theory import multipliers, paths
from diffviz.theory.families import edm
from diffviz.theory.frames import trigonometric
from diffviz.theory.objectives import Objective
from diffviz.theory.paths import Path
from diffviz.theory.targets import Target, X

KARRAS_2022 = "Karras et al. 2022 (arXiv 2206.00364, eq. 8, table 1), NVlabs/edm EDMLoss"
KARRAS_2024 = "Karras et al. 2024 (arXiv 2312.02696, eq. 14-16), NVlabs/edm2"
CONSISTENCY_MODELS = "openai/consistency_models KarrasDenoiser ('karras', lognormal)"
GENERATIVE_MODELS = "Stability-AI/generative-models EDMSampling"
EDM_VE_LOSS = "NVlabs/edm training/loss.py VELoss"
LU_SONG = "Lu & Song 2024 (arXiv 2410.11081); xandergos/sCM-mnist train_diffusion.py"

# the maximum of EDM's w(λ), and where it lies, for P_mean = −1.2, P_std = 1.2 and sigma_data = 0.5
EDM_PEAK = -3.307777482987498
EDM_MAXIMUM = 0.27102715714696646

TRIGFLOW_FRAME = trigonometric(signal=1, noise=0.5)
TRIGFLOW_PATH = paths.from_density(
    stats.norm(3.46, 2.8), frame=TRIGFLOW_FRAME, name="TrigFlow(-1.73, 1.4)"
)


def edm_held_at_its_maximum(logsnr: NDArray) -> NDArray:
    """EDM's w above its peak, and its maximum below it (Kingma & Gao 2023, sec. 5)."""
    return np.where(logsnr < EDM_PEAK, EDM_MAXIMUM, edm_weighting(logsnr))


def consistency_multiplier(logsnr: NDArray) -> NDArray:
    """SNR + 1/σ_data² with σ_data = ½, on the x error (openai/consistency_models, 'karras')."""
    return np.exp(logsnr) + 4


def trigflow_data_coefficient(logsnr: NDArray, path: Path) -> NDArray:
    """−sin θ, the coefficient of x in TrigFlow's target (Lu & Song 2024, arXiv 2410.11081)."""
    return -TRIGFLOW_FRAME.sigma(logsnr) / 0.5


def trigflow_noise_coefficient(logsnr: NDArray, path: Path) -> NDArray:
    """σ_data cos θ, the coefficient of eps: TrigFlow's noise has std σ_data (Lu & Song 2024)."""
    return 0.5 * TRIGFLOW_FRAME.alpha(logsnr)


def inverse_data_variance(logsnr: NDArray) -> NDArray:
    """1/σ_data² = 4 (Lu & Song 2024, arXiv 2410.11081)."""
    return 4 * np.ones_like(logsnr)


def trigflow_weighting(logsnr: NDArray) -> NDArray:
    """N(λ; 3.46, 2.8²)(e^(−λ) + ¼) (Lu & Song 2024, arXiv 2410.11081)."""
    return stats.norm.pdf(logsnr, 3.46, 2.8) * squared_edm_gain(logsnr)


TRIGFLOW_VELOCITY = Target(
    "v (TrigFlow)", a=trigflow_data_coefficient, b=trigflow_noise_coefficient
)

ENTRIES = (
    Objective(
        name="edm-monotonic",
        family="EDM",
        year=2023,
        source=f"{KINGMA_GAO}, sec. 5 (not read; from its description)",
        path=paths.edm(mean=-1.2, std=1.2),
        target=X,
        multiplier=multipliers.edm_monotonic(mean=-1.2, std=1.2, sigma_data=0.5),
        stated=edm_held_at_its_maximum,
        note="The weighting is EDM's, held at its maximum below the peak.",
    ),
    edm(
        mean=-1.2,
        std=1.2,
        sigma_data=0.5,
        name="edm",
        family="EDM",
        year=2022,
        source=KARRAS_2022,
    ),
    edm(
        mean=-0.4,
        std=1.0,
        sigma_data=0.5,
        name="edm2",
        family="EDM",
        year=2024,
        source=KARRAS_2024,
        note="The learned log-variance is frozen at 0. At its optimum w = p/E‖eps error‖², "
        "which depends on the data and the model.",
    ),
    edm(
        mean=0.0,
        std=0.6,
        sigma_data=0.5,
        name="edm-sd3-study",
        family="EDM",
        year=2024,
        source=f"{ESSER}, sec. 5.1 edm(0.00, 0.60)",
    ),
    Objective(
        name="consistency-models-karras",
        family="EDM",
        year=2023,
        source=CONSISTENCY_MODELS,
        path=paths.edm(mean=-1.2, std=1.2),
        target=X,
        multiplier=consistency_multiplier,
        stated=edm_weighting,
    ),
    edm(
        mean=-1.2,
        std=1.2,
        sigma_data=1.0,
        name="sgm-edm-v",
        family="EDM",
        year=2023,
        source=f"{GENERATIVE_MODELS}, VWeighting",
        note="This is what the library offers. "
        "The density that CosXL was trained with was not found.",
    ),
    Objective(
        name="sgm-edm-eps",
        family="EDM",
        year=2023,
        source=f"{GENERATIVE_MODELS}, EpsWeighting",
        path=paths.edm(mean=-1.2, std=1.2),
        target=X,
        multiplier=multipliers.snr,
        stated=edm_density,
    ),
    Objective(
        name="edm-repo-ve",
        family="EDM",
        year=2022,
        source=EDM_VE_LOSS,
        path=paths.ve(sigma_min=0.02, sigma_max=100),
        target=X,
        multiplier=multipliers.snr,
        stated=elbo,
    ),
    Objective(
        name="trigflow",
        family="EDM",
        year=2024,
        source=LU_SONG,
        path=TRIGFLOW_PATH,
        target=TRIGFLOW_VELOCITY,
        multiplier=inverse_data_variance,
        stated=trigflow_weighting,
        note="The target is cos·z − sin·x, where the noise z has std sigma_data = 0.5.",
    ),
)
