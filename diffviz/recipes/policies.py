"""Robot policies: what generates a chunk of actions."""

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import expit

from diffviz.recipes.closed_forms import flow_matching
from diffviz.recipes.ddpm import eps_cosine_with_offset
from diffviz.recipes.flow_times import PI0_TIME, pi0
from diffviz.theory import paths
from diffviz.theory.objectives import Objective
from diffviz.theory.paths import LINEAR
from diffviz.theory.targets import EPS, U, X

GR00T = "NVIDIA/Isaac-GR00T flow-matching action head, sample_time"
RDT = "Liu et al. 2024 (arXiv 2410.07864), thu-ml/RoboticsDiffusionTransformer configs/base.yaml"
DIFFUSION_POLICY = "Chi et al. 2023 (arXiv 2303.04137), real-stanford/diffusion_policy configs"


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
