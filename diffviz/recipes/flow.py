"""Flow matching with uniform time: the target is the velocity dz/dt, and the paths differ."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from diffviz.recipes.closed_forms import flow_matching, linear_density, linear_rate
from diffviz.recipes.noise_paths import SIT_LINEAR, VP_LINEAR
from diffviz.recipes.sources import SIT
from diffviz.theory import paths
from diffviz.theory.families import flow_uniform
from diffviz.theory.objectives import Objective
from diffviz.theory.paths import LINEAR, restricted
from diffviz.theory.targets import EPS, U

LIU_LIPMAN = "Liu et al. 2022 (arXiv 2209.03003), Lipman et al. 2022 (arXiv 2210.02747)"
RECTIFIED_FLOW = "gnobitab/RectifiedFlow get_rectified_flow_loss_fn (eps = 1e-3)"
LIPMAN = "Lipman et al. 2022 (arXiv 2210.02747, eq. 20-23), torchcfm TargetConditionalFlowMatcher"
TONG = "Tong et al. 2023, atong01/conditional-flow-matching ConditionalFlowMatcher(sigma=0.1)"
FLOW_MATCHING_CODE = "facebookresearch/flow_matching path/scheduler"


def icfm(logsnr: NDArray) -> NDArray:
    """(1 − alpha + s²)/alpha with s = 0.1, of independent flow matching (Tong et al. 2023)."""
    root = np.sqrt(np.maximum(1.01 * np.exp(-logsnr) - 0.01, 0))
    alpha = 1.01 / (1 + root)
    return (1 - alpha + 0.01) / alpha


def quadratic(logsnr: NDArray) -> NDArray:
    """sigma/sqrt(alpha), of alpha = (1 − t)² and sigma = 1 − alpha."""
    return expit(-logsnr / 2) / np.sqrt(expit(logsnr / 2))


def linear_vp(logsnr: NDArray) -> NDArray:
    """sqrt(1 + e^(−λ)) = 1/alpha, of alpha = 1 − t (flow_matching, LinearVPScheduler)."""
    return np.sqrt(1 + np.exp(-logsnr))


def sit_velocity_weight(logsnr: NDArray) -> NDArray:
    """1/alpha² on the linear path, of SiT's VELOCITY weighting."""
    return expit(logsnr / 2) ** -2.0


ENTRIES = (
    flow_uniform(
        shift=1.0,
        name="fm-ot",
        family="flow",
        year=2022,
        source=LIU_LIPMAN,
        note="Paths are straight lines and t is uniform.",
    ),
    Objective(
        name="rectified-flow",
        family="flow",
        year=2022,
        source=RECTIFIED_FLOW,
        path=LINEAR,
        target=U,
        law=restricted(LINEAR, 0, 1 - 1e-3).schedule,
        stated=flow_matching,
        note="Its t runs from noise to data.",
    ),
    Objective(
        name="fm-ot-sigma-min",
        family="flow",
        year=2022,
        source=LIPMAN,
        path=paths.sigma_min_path(1e-4),
        target=U,
        stated=flow_matching,
        note="The weighting is e^(−λ/2) for every sigma_min, up to λ = −2 log sigma_min.",
    ),
    Objective(
        name="torchcfm-icfm",
        family="flow",
        year=2023,
        source=TONG,
        path=paths.icfm(0.1),
        target=U,
        stated=icfm,
        note="The regression is on the total noise, and λ stays below 4.605.",
    ),
    Objective(
        name="fm-polynomial2",
        family="flow",
        year=2024,
        source=f"{FLOW_MATCHING_CODE} PolynomialConvexScheduler(n=2)",
        path=paths.power(2),
        target=U,
        stated=quadratic,
    ),
    Objective(
        name="fm-linear-vp",
        family="flow",
        year=2024,
        source=f"{FLOW_MATCHING_CODE} LinearVPScheduler",
        path=paths.linear_vp(),
        target=U,
        stated=linear_vp,
    ),
    Objective(
        name="fm-cosine",
        family="flow",
        year=2024,
        source=f"{FLOW_MATCHING_CODE} CosineScheduler; SiT GVP; stochastic interpolants 'trig'",
        path=paths.GVP,
        target=U,
        stated=flow_matching,
    ),
    Objective(
        name="fm-vp",
        family="flow",
        year=2024,
        source=f"{FLOW_MATCHING_CODE} VPScheduler; SiT VPCPlan",
        path=VP_LINEAR,
        target=U,
        stated=linear_rate,
    ),
    Objective(
        name="sit-linear-eps-velocity-weighted",
        family="flow",
        year=2024,
        source=f"{SIT} (VELOCITY)",
        path=SIT_LINEAR,
        target=EPS,
        multiplier=sit_velocity_weight,
        stated=flow_matching,
    ),
    Objective(
        name="sit-linear-eps",
        family="flow",
        year=2024,
        source=f"{SIT} (NONE)",
        path=SIT_LINEAR,
        target=EPS,
        stated=linear_density,
    ),
)
