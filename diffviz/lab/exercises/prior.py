"""Judges of notebook 7: where sampling starts."""

from typing import Any

import numpy as np

from diffviz.lab.exercises.answers import near
from diffviz.lab.exercises.registry import exercise
from diffviz.lab.experiments.prior import TERMINAL
from diffviz.theory import prior


@exercise("terminal-level")
def terminal_level(answer: Any) -> str:
    """The last level that leaves 99 % of the spread of brightness of 256² images."""
    truth = prior.lowest_logsnr(0.05 * 256**2, 0.01)
    hint = (
        "The spread left is 1/√v, v = α²V + σ², with V = N·var and α² = sigmoid(λ); "
        "it shall be 0.99."
    )
    return near(answer, truth, hint)


@exercise("offset-strength")
def offset_strength(answer: Any) -> str:
    """The offset that takes Stable Diffusion's last level to DDPM's, at frequency 0 of 64²."""
    gap = TERMINAL["Stable Diffusion"] - TERMINAL["DDPM linear"]
    hint = f"The shift −ln(1 + c² N) must be −{gap:.3f}, with N = 64²."
    return near(answer, np.sqrt(np.expm1(gap) / 64**2), hint)


@exercise("straight-variance")
def straight_variance(answer: Any) -> str:
    """The variance of the data at which flow matching's straightness is 0.1."""
    truth = (0.1 / (2 - np.pi / 2)) ** 2
    return near(answer, truth, "S = √c (2 − π/2) for N(0, 1) → N(0, c); solve for c.")
