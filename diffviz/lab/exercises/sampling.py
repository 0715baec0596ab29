"""Judges of notebook 8: solvers and grids."""

import math
from itertools import pairwise
from typing import Any

import numpy as np

from diffviz.lab.exercises.answers import number
from diffviz.lab.exercises.registry import RIGHT, exercise
from diffviz.lab.experiments.sampling import SOLVERS, error_of, off_chord, settled_photos
from diffviz.theory import paths

CALLS = {"heun": 2, "rk4": 4}  # a step, of solvers that take several
ONE_CALL = tuple(name for name in dict.fromkeys(SOLVERS.values()) if name not in CALLS)
VARIANCE = 0.75  # that ten steps are to leave


@exercise("equally-straight")
def equally_straight(answer: Any) -> str:
    """The variance at which flow matching and VP leave their chords equally far."""
    variance = number(answer)
    if not variance > 0:
        return "A variance is a finite number above 0."
    flow, vp = (off_chord(variance, path) for path in ("FM", "VP"))
    if abs(flow - vp) < 0.004:
        return RIGHT
    return (
        f"There the exact path leaves its chord by {flow:.3f} under flow matching "
        f"and by {vp:.3f} under VP: not the same."
    )


@exercise("twelve-calls")
def twelve_calls(answer: Any) -> str:
    """A solver of one call a step, and a grid, with an error of 0.004 on gmm2d in 12 calls."""
    if not (isinstance(answer, tuple | list) and len(answer) == 2):
        return 'The answer is a pair in brackets, such as ("ddim", levels).'
    solver, levels = answer
    if solver not in SOLVERS.values():
        return f"The solver is one of {', '.join(ONE_CALL)}."
    if solver not in ONE_CALL:
        return f"{solver!r} takes {CALLS[solver]} calls a step. Look for a solver that takes one."
    error, calls = error_of(solver, levels, "gmm2d")
    if calls > 12:
        return f"That takes {calls} calls."
    if error <= 4e-3:
        return RIGHT
    hint = "The table of calls names a solver that needs fewer."
    if solver == "ab3":
        hint = "Over which variable does this solver take its slopes? Make the steps even in it."
    return f"{calls} calls, rms error {error:.4f}. {hint}"


@exercise("slow-down")
def slow_down(answer: Any) -> str:
    """The shift under which R² of a photograph is ¾ after half of the steps."""
    shift = number(answer)
    if not 1 <= shift <= 100:
        return "A shift above 1 spends more steps on noise; try between 1 and 20."
    reached = settled_photos(paths.shifted(paths.LINEAR, shift))[50]
    if abs(reached - 0.75) < 0.005:
        return RIGHT
    way = "A larger" if reached > 0.75 else "A smaller"
    return f"With this shift R² is {reached:.3f} after half of the steps. {way} one is needed."


def variance_left(eta: float, steps: int = 10) -> float:
    """Variance of N(0, 1) after steps of the cosine grid with the exact denoiser.

    The guess is α z, so a step is linear in z, and the variance is followed from step to step.

    Args:
        eta: Share of DDPM's noise, 0 to 1.
        steps: Number of steps.

    Returns:
        The variance of the last z.
    """
    variance = 1.0
    angles = np.linspace(np.pi / 2, 0, steps + 1).tolist()  # s is their tangent
    for angle, after in pairwise(angles):
        ratio = math.tan(after) / math.tan(angle)
        noise = eta * math.tan(after) * math.sqrt(1 - ratio**2)
        kept = math.cos(angle) + math.sqrt(math.tan(after) ** 2 - noise**2) * math.sin(angle)
        variance = math.cos(after) ** 2 * (kept**2 * variance + noise**2)
    return variance


@exercise("eta-for-variance")
def eta_for_variance(answer: Any) -> str:
    """The share of DDPM's noise with which ten steps leave a variance of 0.75."""
    eta = number(answer)
    if not 0 <= eta <= 1:
        return "η is 0 for DDIM and 1 for DDPM, and lies between them here."
    left = variance_left(eta)
    if abs(left - VARIANCE) < 0.001:
        return RIGHT
    way = "More" if left > VARIANCE else "Less"
    return f"With that η the variance is {left:.3f}. {way} noise is needed."
