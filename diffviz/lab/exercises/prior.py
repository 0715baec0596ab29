"""Judges of notebook 7: where sampling starts."""

from typing import Any

import numpy as np

from diffviz.lab.exercises.answers import near, number
from diffviz.lab.exercises.registry import RIGHT, exercise
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
    if number(answer) > 0:
        hint = "At positive λ there is more signal than noise: training ends at a negative one."
    return near(answer, truth, hint)


@exercise("offset-strength")
def offset_strength(answer: Any) -> str:
    """The offset that takes Stable Diffusion's last level to DDPM's, at frequency 0 of 64²."""
    gap = TERMINAL["Stable Diffusion"] - TERMINAL["DDPM linear"]
    truth = np.sqrt(np.expm1(gap) / 64**2)
    hint = "By how many nats must frequency 0 move? Its noise has 1 + κ² N times the variance."
    if near(answer, truth**2, hint) == RIGHT:
        hint = "That is κ²."
    elif near(answer, truth * 64, hint) == RIGHT:
        hint = "That is κ √N, with N = 64² pixels."
    return near(answer, truth, hint)


@exercise("straight-variance")
def straight_variance(answer: Any) -> str:
    """The variance of the data at which flow matching's straightness is 0.1."""
    truth = (0.1 / (2 - np.pi / 2)) ** 2
    hint = "S was derived above for any c; put in 0.1 and solve for c."
    if near(answer, np.sqrt(truth), hint) == RIGHT:
        hint = "That is the standard deviation √c."
    return near(answer, truth, hint)
