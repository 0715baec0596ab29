"""Flow matching on the linear path with another law of time, or another weight."""

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import expit

from diffviz.recipes.closed_forms import eps_cosine, flow_matching, sech, squared_velocity_gain
from diffviz.recipes.sources import ESSER
from diffviz.theory import laws, multipliers, paths
from diffviz.theory.families import flow, flow_uniform, mode
from diffviz.theory.objectives import Objective
from diffviz.theory.paths import LINEAR
from diffviz.theory.targets import U, X

SD3_LOGNORMAL = f"{ESSER}, eq. 19 rf/lognorm"
SD3_MODE = f"{ESSER}, eq. 20"
FLUX = "kohya-ss/sd-scripts flux_train_utils; black-forest-labs/flux time_shift, mu = 1.15"
MEANFLOW = "Geng et al. 2025 (arXiv 2505.13447), r = t part as its text reads"
MEANFLOW_CODE = "Gsunshine/meanflow sample_tr; py-meanflow time_sampler"
ACE_STEP = "ACE-Step 1.5 (arXiv 2602.00744), sample_t_r, as its LoRA trainer restates it (2026)"
LI_HE = "Li & He 2025 (arXiv 2511.13720), JiT denoiser.py (fork read)"
FLOW_MATCH_EULER = "diffusers FlowMatchEulerDiscreteScheduler(shift=3)"
WAN = "modelscope/DiffSynth-Studio flow_match.py (Wan)"
OPENPI = "Physical-Intelligence/openpi pi0.py sample_time"
LEE = "Lee et al. 2024 (arXiv 2405.20320), sangyun884/rfpp t_dist.py"

MODE_TAILS = "In the tails w → e^(−λ/2)/(1 + s), at both ends."

# Wan shifts uniform time by 5
WAN_DENSITY = stats.logistic(-2 * np.log(5), 2)
PI0_TIME = stats.beta(1.5, 1, 0.001, 0.999)
U_SHAPED_TIME = laws.stretched(laws.u_shaped(4), 1e-5, 1 - 1e-5)


def meanflow_as_coded(logsnr: NDArray) -> NDArray:
    """p(λ) S(λ)(1 + e^(−λ/2))² with p = N(0.8, 2²) and S its survival function."""
    density = stats.norm.pdf(logsnr, 0.8, 2)
    survival = stats.norm.sf(logsnr, 0.8, 2)
    return density * survival * squared_velocity_gain(logsnr)


def jit_multiplier(logsnr: NDArray) -> NDArray:
    """1/max(σ, 0.05)² on the linear path: velocity error from x error (Li & He 2025)."""
    return 1 / np.maximum(expit(-logsnr / 2), 0.05) ** 2


def jit(logsnr: NDArray) -> NDArray:
    """N(λ; −1.6, 1.6²) e^(−λ)/max(σ, 0.05)² (Li & He 2025, arXiv 2511.13720)."""
    clamped = np.maximum(expit(-logsnr / 2), 0.05) ** 2
    return stats.norm.pdf(logsnr, -1.6, 1.6) * np.exp(-logsnr) / clamped


def cosmap_time(logsnr: NDArray) -> NDArray:
    """sech(λ/2)(1 + e^(−λ/2))² (Esser et al. 2024, arXiv 2403.03206, eq. 21)."""
    return eps_cosine(logsnr) * squared_velocity_gain(logsnr)


def wan_bell(logsnr: NDArray) -> NDArray:
    """sech²((λ + 2 log 5)/4)(1 + e^(−λ/2))²(e^(2σ(1 − σ)) − 1) (DiffSynth-Studio, Wan)."""
    density = sech(logsnr / 4 + np.log(5) / 2) ** 2
    bell = np.expm1(2 * expit(-logsnr / 2) * expit(logsnr / 2))
    return density * squared_velocity_gain(logsnr) * bell


def pi0(logsnr: NDArray) -> NDArray:
    """sqrt(σ − 0.001) e^(−λ/2), from t ~ 0.001 + 0.999 Beta(1.5, 1) (openpi)."""
    return np.sqrt(expit(-logsnr / 2) - 0.001) * flow_matching(logsnr)


def u_shaped(logsnr: NDArray) -> NDArray:
    """cosh(4(t − ½)) e^(−λ/2), where t is σ but for a cut of 1e-5 at both ends.

    From Lee et al. 2024 (arXiv 2405.20320).
    """
    time = (expit(-logsnr / 2) - 1e-5) / (1 - 2e-5)
    return np.cosh(4 * (time - 0.5)) * flow_matching(logsnr)


ENTRIES = (
    flow(
        mean=0.0,
        std=1.0,
        shift=1.0,
        name="sd3",
        family="flow",
        year=2024,
        source=f"{SD3_LOGNORMAL}(0, 1); cloneofsimo/minRF",
    ),
    flow(
        mean=1.0,
        std=0.6,
        shift=1.0,
        name="sd3-ln-1-0.6",
        family="flow",
        year=2024,
        source=f"{SD3_LOGNORMAL}(1, 0.6)",
    ),
    flow(
        mean=0.5,
        std=0.6,
        shift=1.0,
        name="sd3-ln-0.5-0.6",
        family="flow",
        year=2024,
        source=f"{SD3_LOGNORMAL}(0.5, 0.6)",
    ),
    flow(
        mean=-0.5,
        std=1.0,
        shift=1.0,
        name="sd3-ln-minus0.5-1",
        family="flow",
        year=2024,
        source=f"{SD3_LOGNORMAL}(-0.5, 1)",
    ),
    flow(
        mean=0.0,
        std=1.0,
        shift=3.0,
        name="sd3-shift3",
        family="flow",
        year=2024,
        source=f"{ESSER}, eq. 23, shift 3 at 1024²",
    ),
    flow(
        mean=0.0,
        std=1.0,
        shift=float(np.exp(1.15)),
        name="flux",
        family="flow",
        year=2024,
        source=FLUX,
    ),
    flow(
        mean=-0.4,
        std=1.0,
        shift=1.0,
        name="meanflow",
        family="flow",
        year=2025,
        source=MEANFLOW,
        note="The adaptive weight with norm_p = 1 also divides by the loss.",
    ),
    Objective(
        name="meanflow-as-coded",
        family="flow",
        year=2025,
        source=MEANFLOW_CODE,
        path=LINEAR,
        target=U,
        law=laws.lower_of_two(laws.logit_normal_logsnr(-0.4, 1)),
        stated=meanflow_as_coded,
        note="The code sets r to t after the swap, so t is the larger of two draws. "
        "The mean of λ is −0.33 instead of 0.8.",
    ),
    Objective(
        name="ace-step-1.5",
        family="flow",
        year=2026,
        source=ACE_STEP,
        path=LINEAR,
        target=U,
        law=laws.lower_of_two(laws.logit_normal_logsnr(-0.4, 1)),
        stated=meanflow_as_coded,
        note="MeanFlow's sampler with use_meanflow = False: r is set to t, the larger of two "
        "draws, for the whole batch. So this music model has the weighting of MeanFlow's code. "
        "The code clamps t to [1e-5, 1 − 1e-5], which is left out. The paper was not read here.",
    ),
    Objective(
        name="jit",
        family="flow",
        year=2025,
        source=LI_HE,
        path=LINEAR,
        target=X,
        multiplier=jit_multiplier,
        law=laws.logit_normal_logsnr(0.8, 0.8),
        stated=jit,
        note="Its t is the fraction of data, so P_mean = −0.8 means more noise. "
        "The v loss is clamped above λ = 5.89.",
    ),
    Objective(
        name="sd3-cosmap",
        family="flow",
        year=2024,
        source=f"{ESSER}, eq. 21; lucidrains/rectified-flow-pytorch",
        path=LINEAR,
        target=U,
        law=paths.push_forward(laws.cosmap(), LINEAR),
        stated=cosmap_time,
        note="CosMap time on the linear path gives the density of the cosine path.",
    ),
    mode(
        scale=1.29,
        name="sd3-mode-1.29",
        family="flow",
        year=2024,
        source=SD3_MODE,
        note=MODE_TAILS,
    ),
    mode(
        scale=1.75,
        name="sd3-mode-1.75",
        family="flow",
        year=2024,
        source=SD3_MODE,
        note=MODE_TAILS,
    ),
    mode(
        scale=-0.5,
        name="sd3-mode-minus0.5",
        family="flow",
        year=2024,
        source=SD3_MODE,
        note=MODE_TAILS,
    ),
    flow_uniform(
        shift=3.0,
        name="fm-shift3",
        family="flow",
        year=2024,
        source=f"{FLOW_MATCH_EULER}; {ESSER}, eq. 23",
    ),
    Objective(
        name="wan-bell",
        family="flow",
        year=2025,
        source=WAN,
        path=LINEAR,
        target=U,
        multiplier=multipliers.bell,
        law=WAN_DENSITY,
        stated=wan_bell,
        note="The multiplier vanishes at both ends, not w: the noisiest step is dropped.",
    ),
    Objective(
        name="pi0",
        family="flow",
        year=2024,
        source=OPENPI,
        path=LINEAR,
        target=U,
        law=paths.push_forward(PI0_TIME, LINEAR),
        stated=pi0,
    ),
    Objective(
        name="u-shaped",
        family="flow",
        year=2024,
        source=LEE,
        path=LINEAR,
        target=U,
        law=paths.push_forward(U_SHAPED_TIME, LINEAR),
        stated=u_shaped,
        note="The paper uses it with coupled (x, eps), "
        "where the identity of the eps error does not hold literally.",
    ),
)
