"""Judges of notebook 2: noise schedules."""

from typing import Any

import numpy as np

from diffviz.lab.exercises.answers import number
from diffviz.lab.exercises.registry import RIGHT, exercise
from diffviz.lab.experiments.schedule import second_moment
from diffviz.recipes.entries import CATALOGUE
from diffviz.theory.families import flow_uniform
from diffviz.theory.paths import COSINE


@exercise("shift-for-variance-4")
def shift_for_variance_4(answer: Any) -> str:
    """The shift of the cosine law under which data of variance 4 has the least noise."""
    shift = number(answer)
    moment = second_moment(CATALOGUE["fm-ot"], COSINE.schedule, shift=shift, variance=4.0)
    if moment.value < 1.001 * moment.least:
        return RIGHT
    if abs(shift - 4) < 0.01:
        return "A shift s moves λ by −2 log s. With s = 4 that is twice as far as log 4."
    if abs(shift - 0.5) < 0.01:
        return "The sign: data of larger variance need more noise, so λ moves down."
    return (
        f"With this shift E Y² is {moment.value / moment.least:.3f} times the least. "
        "The loss lies at λ = −log 4, a shift s moves every λ by −2 log s."
    )


def relative_error(decay: float) -> float:
    """Standard error of a moving average over that at a decay of 0.99.

    Args:
        decay: Decay of the average, in (0, 1).

    Returns:
        The ratio; the variance is Σ weights² over (Σ weights)² with weights decay^age.
    """
    variance = (1 - decay) / (1 + decay)
    return float(np.sqrt(variance / ((1 - 0.99) / (1 + 0.99))))


@exercise("decay-for-half-the-error")
def decay_for_half_the_error(answer: Any) -> str:
    """The decay whose standard error is half of that of 0.99."""
    decay = number(answer)
    if not 0 < decay < 1:
        return "A decay lies between 0 and 1."
    error = relative_error(decay)
    if abs(error - 0.5) < 0.005:
        return RIGHT
    return (
        f"With this decay the average is worth {1 / error**2:.2f} times as many batches as with "
        "0.99. Half of the error needs four times as many."
    )


@exercise("doublings-of-shift-3")
def doublings_of_shift_3(answer: Any) -> str:
    """How many doublings of the resolution flow's shift 3 is."""
    move, doubling = flow_uniform(3.0).law.median(), flow_uniform(2.0).law.median()
    if abs(number(answer) - move / doubling) < 0.01:
        return RIGHT
    return (
        f"A doubling of the side moves λ by {doubling:.3f}, shift 3 by {move:.3f}; "
        "how many of the one make the other?"
    )
