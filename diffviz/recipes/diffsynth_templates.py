"""The tables that DiffSynth-Studio trains its models on, in the limit of many steps.

Each is uniform time on the linear path with a shift of its own, and the bell weight that is 0 at
pure noise. Templates with a terminal sigma map t to terminal + (1 − terminal) t after the shift.
Ideogram 4 has the quantiles of a logit-normal law instead. The two networks of Wan 2.2 share one
table: its scripts train each on a part of the indices.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import expit

from diffviz.recipes.closed_forms import flow_matching, squared_velocity_gain
from diffviz.recipes.flow_times import WAN_DENSITY, wan_bell
from diffviz.recipes.settings.diffsynth import LTX2_MU, TEMPLATES
from diffviz.recipes.settings.draws import UNIFORM_TIME
from diffviz.theory import laws, multipliers
from diffviz.theory.objectives import Objective
from diffviz.theory.paths import LINEAR
from diffviz.theory.targets import U

DIFFSYNTH = "modelscope/DiffSynth-Studio diffsynth/diffusion/flow_match.py (commit 038bad0)"
WAN_SCRIPTS = "modelscope/DiffSynth-Studio scripts of Wan 2.2 (2025), read in copies of them"


@dataclass(frozen=True)
class BellOverShift:
    """f(t) e^(−λ/2)(e^(2t(1 − t)) − 1), with f the density of a shifted uniform time.

    Time goes to low + (1 − low) t before the shift and to terminal + (1 − terminal) t after it.

    Args:
        shift: Time shift s.
        low: Least time before the shift.
        terminal: Least time after it.
    """

    shift: float
    low: float = 0.0
    terminal: float = 0.0

    def __call__(self, logsnr: NDArray) -> NDArray:
        """The weighting at λ in nats, up to a constant; same shape."""
        noise = expit(-logsnr / 2)
        after = (noise - self.terminal) / (1 - self.terminal)
        slope = self.shift / (self.shift - (self.shift - 1) * after) ** 2
        return slope * flow_matching(logsnr) * np.expm1(2 * noise * expit(logsnr / 2))


def ideogram4(logsnr: NDArray) -> NDArray:
    """N(λ; −2 log 2, 3²)(1 + e^(−λ/2))²(e^(2t(1 − t)) − 1), t = sigmoid(−λ/2)."""
    density = stats.norm.pdf(logsnr, -2 * np.log(2), 3)
    bell = np.expm1(2 * expit(-logsnr / 2) * expit(logsnr / 2))
    return density * squared_velocity_gain(logsnr) * bell


def wan_boundary(share: float) -> float:
    """λ at a share of the indices of Wan's table, which falls from pure noise: u = 1 − share."""
    return float(-2 * np.log(5 * (1 - share) / share))


def wan_half(name: str, boundary: float, noisy: bool, note: str) -> Objective:
    """Training of one of the two networks of Wan 2.2 on its part of the table.

    Args:
        name: Name of the entry.
        boundary: Share of the indices at which the parts meet.
        noisy: Whether it is the part with more noise.
        note: Traps and remarks.

    Returns:
        The entry.
    """
    meeting = wan_boundary(boundary)
    ends = (-np.inf, meeting) if noisy else (meeting, np.inf)
    return Objective(
        name=name,
        family="flow",
        year=2025,
        source=WAN_SCRIPTS,
        path=LINEAR,
        target=U,
        multiplier=multipliers.bell,
        law=laws.truncated(WAN_DENSITY, *ends),
        stated=wan_bell,
        note=note,
    )


def uniform_from(low: float, shift: float) -> stats.rv_continuous:
    """Law of λ for a time that is uniform from ``low`` to 1 and then shifted."""
    return laws.moved(laws.squeezed(UNIFORM_TIME, low, 1.0), -2 * np.log(shift))


FLUX_LOW = TEMPLATES["FLUX.1"].last
QWEN_SHIFT = TEMPLATES["Qwen-Image"].shift
LTX2_SHIFT = float(np.exp(LTX2_MU))
BOOGU_MU = 1.15
IDEOGRAM_LAW = laws.logit_normal_logsnr(np.log(2), 1.5)
T2V_BOUNDARY = 0.417  # of the indices; sigma = 0.875 there
I2V_BOUNDARY = 0.358  # sigma = 0.9

ENTRIES = (
    Objective(
        name="diffsynth-flux1",
        family="flow",
        year=2025,
        source=f"{DIFFSYNTH} (FLUX.1)",
        path=LINEAR,
        target=U,
        multiplier=multipliers.bell,
        law=uniform_from(FLUX_LOW, 3.0),
        stated=BellOverShift(3.0, low=FLUX_LOW),
        note="Shift 3 at every resolution, from sigma = 0.003/1.002 before the shift.",
    ),
    Objective(
        name="diffsynth-z-image",
        family="flow",
        year=2025,
        source=f"{DIFFSYNTH} (Z-Image)",
        path=LINEAR,
        target=U,
        multiplier=multipliers.bell,
        law=stats.logistic(-2 * np.log(3), 2),
        stated=BellOverShift(3.0),
        note="Shift 3 at every resolution. ERNIE-Image and ACE-Step have the same table.",
    ),
    Objective(
        name="diffsynth-flux2",
        family="flow",
        year=2025,
        source=f"{DIFFSYNTH} (FLUX.2)",
        path=LINEAR,
        target=U,
        multiplier=multipliers.bell,
        law=stats.logistic(-1.6, 2),
        stated=BellOverShift(float(np.exp(0.8))),
        note="Training takes mu = 0.8 at every resolution; sampling takes another. So does Krea 2.",
    ),
    Objective(
        name="diffsynth-qwen-image",
        family="flow",
        year=2025,
        source=f"{DIFFSYNTH} (Qwen-Image)",
        path=LINEAR,
        target=U,
        multiplier=multipliers.bell,
        law=laws.squeezed(stats.logistic(-2 * np.log(QWEN_SHIFT), 2), 0.02, 1.0),
        stated=BellOverShift(float(QWEN_SHIFT), terminal=0.02),
        note="mu = 0.8, and the last sigma is 0.02: nothing cleaner than λ = 7.78 is trained.",
    ),
    Objective(
        name="diffsynth-ltx2",
        family="flow",
        year=2026,
        source=f"{DIFFSYNTH} (LTX-2)",
        path=LINEAR,
        target=U,
        multiplier=multipliers.bell,
        law=laws.squeezed(stats.logistic(-2 * LTX2_MU, 2), 0.1, 1.0),
        stated=BellOverShift(LTX2_SHIFT, terminal=0.1),
        note="As for 4,096 tokens at every size, and the last sigma is 0.1: nothing cleaner than "
        "λ = 4.39 is trained.",
    ),
    Objective(
        name="diffsynth-boogu",
        family="flow",
        year=2026,
        source=f"{DIFFSYNTH} (Boogu)",
        path=LINEAR,
        target=U,
        multiplier=multipliers.bell,
        law=stats.logistic(-2 * BOOGU_MU, 2),
        stated=BellOverShift(float(np.exp(BOOGU_MU))),
        note="mu = 1.15 at every resolution, FLUX's at 1024² pixels.",
    ),
    Objective(
        name="diffsynth-ideogram4",
        family="flow",
        year=2026,
        source=f"{DIFFSYNTH} (Ideogram4)",
        path=LINEAR,
        target=U,
        multiplier=multipliers.bell,
        law=IDEOGRAM_LAW,
        stated=ideogram4,
        note="The table holds the quantiles of a logit-normal law, as for 1024² pixels where "
        "training states no size. The bell is left out by musubi-tuner. λ is clamped to [−18, 15], "
        "which changes less than one of the 1,000 entries.",
    ),
    wan_half(
        name="diffsynth-wan2.2-t2v-high",
        boundary=T2V_BOUNDARY,
        noisy=True,
        note="The network for sigma above 0.875, the first 41.7 % of Wan's table: wan-bell below "
        "λ = −3.89. Earlier scripts (commit 2af3a6f) gave it the last 12.5 % of the falling table, "
        "which is the clean end.",
    ),
    wan_half(
        name="diffsynth-wan2.2-t2v-low",
        boundary=T2V_BOUNDARY,
        noisy=False,
        note="The network for sigma below 0.875: wan-bell above λ = −3.89.",
    ),
    wan_half(
        name="diffsynth-wan2.2-i2v-high",
        boundary=I2V_BOUNDARY,
        noisy=True,
        note="The network for sigma above 0.9, the first 35.8 % of Wan's table: wan-bell below "
        "λ = −4.39.",
    ),
    wan_half(
        name="diffsynth-wan2.2-i2v-low",
        boundary=I2V_BOUNDARY,
        noisy=False,
        note="The network for sigma below 0.9: wan-bell above λ = −4.39.",
    ),
)
