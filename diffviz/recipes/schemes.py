"""How the training scripts of diffusers weight the steps of a scheduler.

A scheme is a law of u in [0, 1], which takes the step int(u T), and a multiplier on the squared
error of the target. The examples call it ``weighting_scheme``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scipy import stats

from diffviz.theory import laws, multipliers
from diffviz.theory.frames import Curve
from diffviz.theory.targets import EPS, Target

UNIFORM = stats.uniform()


@dataclass(frozen=True)
class Scheme:
    """How a training script weights the steps (``weighting_scheme`` in the examples of diffusers).

    Args:
        time: Law of u in [0, 1], a frozen SciPy distribution.
        multiplier: Factor on the target's own squared error, as a function of λ.
    """

    time: Any
    multiplier: Curve


@dataclass(frozen=True)
class UniformSteps:
    """The scheme that takes all steps equally often, with a multiplier."""

    multiplier: Curve

    def __call__(self, target: Target) -> Scheme:
        """The scheme, which is the same for every target."""
        return Scheme(time=UNIFORM, multiplier=self.multiplier)


MakeScheme = Callable[..., Scheme]
PLAIN = UniformSteps(multipliers.constant)


def on_eps(multiplier: Curve, target: Target) -> Scheme:
    """A scheme whose multiplier is defined on the eps error; refused for another target."""
    if target != EPS:
        raise ValueError(
            f"this weighting acts on the eps error, but the scheduler predicts {target.name!r}: "
            "take prediction_type='epsilon' or another weighting"
        )
    return Scheme(time=UNIFORM, multiplier=multiplier)


def min_snr(target: Target, gamma: float = 5.0) -> Scheme:
    """Min-SNR (Hang et al. 2023, arXiv 2303.09556)."""
    return Scheme(time=UNIFORM, multiplier=multipliers.min_snr(gamma, target.name))


def soft_min_snr(target: Target, gamma: float = 4.0) -> Scheme:
    """Soft Min-SNR (Crowson et al. 2024, arXiv 2401.11605)."""
    return on_eps(multipliers.soft_min_snr(gamma), target)


def p2(target: Target, gamma: float = 1.0, k: float = 1.0) -> Scheme:
    """P2 (Choi et al. 2022, arXiv 2204.00227, eq. 8)."""
    return on_eps(multipliers.p2(gamma, k), target)


def debiased(target: Target, cap: float = 1000.0) -> Scheme:
    """Debiased estimation (Yu et al. 2023, arXiv 2310.08442; kohya-ss/sd-scripts)."""
    return on_eps(multipliers.debiased(cap), target)


def logit_normal(target: Target, logit_mean: float = 0.0, logit_std: float = 1.0) -> Scheme:
    """Logit-normal u (Esser et al. 2024, arXiv 2403.03206, eq. 19)."""
    time = laws.logit_normal(logit_mean, logit_std)
    return Scheme(time=time, multiplier=multipliers.constant)


def mode(target: Target, mode_scale: float = 1.29) -> Scheme:
    """Mode-sampled u (Esser et al. 2024, arXiv 2403.03206, eq. 20)."""
    return Scheme(time=laws.mode(mode_scale), multiplier=multipliers.constant)


def edm(target: Target, sigma_data: float = 0.5) -> Scheme:
    """EDM's weight (Karras et al. 2022, arXiv 2206.00364, table 1)."""
    return Scheme(time=UNIFORM, multiplier=multipliers.edm(sigma_data))
