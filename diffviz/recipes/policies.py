"""Robot policies: what generates a chunk of actions."""

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import expit

from diffviz.recipes.closed_forms import flow_matching, squared_velocity_gain
from diffviz.recipes.ddpm import eps_cosine_with_offset
from diffviz.recipes.flow_times import PI0_TIME, pi0
from diffviz.theory import laws, paths
from diffviz.theory.objectives import Objective
from diffviz.theory.paths import LINEAR
from diffviz.theory.targets import EPS, U, X

GR00T = "NVIDIA/Isaac-GR00T flow-matching action head, sample_time"
RDT = "Liu et al. 2024 (arXiv 2410.07864), thu-ml/RoboticsDiffusionTransformer configs/base.yaml"
SMOLVLA = "huggingface/lerobot policies/smolvla/modeling_smolvla.py sample_time (commit 00f4c86)"
COSMOS_POLICY = (
    "NVIDIA cosmos-policy modules/hybrid_edm_sde.py, models/policy_text2world_model.py, config of "
    "LIBERO (2025), read in copies of them"
)
DIFFUSION_POLICY = "Chi et al. 2023 (arXiv 2303.04137), real-stanford/diffusion_policy configs"


COSMOS_SCALE = 3.0  # √9, of the latent frames of a sample
COSMOS_CENTRE = -2 * np.log(4 * COSMOS_SCALE)  # λ at the median of the log-normal noise
COSMOS_RANGE = (COSMOS_SCALE * 1.0, COSMOS_SCALE * 85.0)  # of the uniform noise
COSMOS_LAW = laws.mixture(
    [stats.norm(COSMOS_CENTRE, 2.4), paths.karras(*COSMOS_RANGE, rho=1).schedule], [0.7, 0.3]
)


def cosmos_policy(logsnr: NDArray) -> NDArray:
    """(0.7 N(λ; −2 log 12, 2.4²) + 0.3 σ/504 for σ from 3 to 255)(1 + e^(−λ/2))², σ = e^(−λ/2)."""
    sigma = np.exp(-logsnr / 2)
    low, high = COSMOS_RANGE
    even = np.where((sigma >= low) & (sigma <= high), sigma / (2 * (high - low)), 0.0)
    density = 0.7 * stats.norm.pdf(logsnr, COSMOS_CENTRE, 2.4) + 0.3 * even
    return density * squared_velocity_gain(logsnr)


def rdt(logsnr: NDArray) -> NDArray:
    """e^(−λ) times eps's weighting on the cosine path with s = 0.008: the x error."""
    return np.exp(-logsnr) * eps_cosine_with_offset(logsnr)


def beta_time(logsnr: NDArray) -> NDArray:
    """sqrt(σ) e^(−λ/2), from σ ~ Beta(1.5, 1), σ = sigmoid(−λ/2)."""
    return np.sqrt(expit(-logsnr / 2)) * flow_matching(logsnr)


ENTRIES = (
    Objective(
        name="gr00t-n1",
        family="flow",
        year=2025,
        source=f"{GR00T} (N1, N1.5: (noise_s − sample)/noise_s)",
        path=LINEAR,
        target=U,
        law=paths.push_forward(stats.beta(1.5, 1), LINEAR),
        stated=beta_time,
        note="The share of data is (0.999 − b)/0.999 with b ~ Beta(1.5, 1). It is negative for "
        "0.15 % of the draws, which are left out; the others are Beta(1.5, 1) exactly.",
    ),
    Objective(
        name="gr00t-n1.7",
        family="flow",
        year=2026,
        source=f"{GR00T} (N1.6, N1.7: (1 − sample) · noise_s)",
        path=LINEAR,
        target=U,
        law=paths.push_forward(PI0_TIME, LINEAR),
        stated=pi0,
        note="The same as π₀.",
    ),
    Objective(
        name="smolvla",
        family="flow",
        year=2025,
        source=SMOLVLA,
        path=LINEAR,
        target=U,
        law=paths.push_forward(PI0_TIME, LINEAR),
        stated=pi0,
        note="The same as π₀.",
    ),
    Objective(
        name="cosmos-policy",
        family="flow",
        year=2025,
        source=COSMOS_POLICY,
        path=LINEAR,
        target=U,
        law=COSMOS_LAW,
        stated=cosmos_policy,
        note="σ is log-normal about 4 with probability 0.7, and uniform from 1 to 85 otherwise, "
        "times √9 for 9 latent frames, which hold actions, images and a value. That factor and the "
        "weight (1 + σ)²/σ² on the x error, which is the velocity error, are those of "
        "Cosmos-Predict2.",
    ),
    Objective(
        name="rdt",
        family="x",
        year=2024,
        source=RDT,
        path=paths.cosine(offset=0.008),
        target=X,
        stated=rdt,
        note="squaredcos_cap_v2 with prediction_type = sample, read in a note on its config. β is "
        "capped at 0.999 in the last steps, which is left out.",
    ),
    Objective(
        name="diffusion-policy",
        family="eps",
        year=2023,
        source=DIFFUSION_POLICY,
        path=paths.cosine(offset=0.008),
        target=EPS,
        stated=eps_cosine_with_offset,
        note="The limit of its 100 steps. The config was not read here.",
    ),
)
