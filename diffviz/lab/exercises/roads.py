"""Judges of notebook 12: the likelihood of a sampler's steps, and losses that are no square."""

import math
from typing import Any

from diffviz.lab.exercises.answers import number
from diffviz.lab.exercises.registry import RIGHT, exercise

ANCESTRAL = math.sqrt(2)  # a of Flow-GRPO in short steps


def _cost(a: float) -> float:
    """KL of trajectories over that of actions for Flow-GRPO in short steps."""
    eta = a / math.sqrt(2)
    return ((1 + eta**2) / (2 * eta)) ** 2


@exercise("twice-the-kl")
def twice_the_kl(answer: Any) -> str:
    """The a below that of ancestral sampling at which trajectories pay twice the KL."""
    a = number(answer)
    if not 1e-3 <= a <= 1e3:
        return "a is a number above 0; try between 0.1 and 10."
    cost = _cost(a)
    if abs(cost - 2) > 0.02:
        return f"With that a trajectories pay {cost:.3g} times the KL of the actions."
    if a > ANCESTRAL:
        return "That pays twice, too, but with more noise than ancestral sampling adds."
    return RIGHT


@exercise("quarter-power")
def quarter_power(answer: Any) -> str:
    """How many times as strongly m^(1/4) counts an error where m is a sixteenth."""
    factor = number(answer)
    mistakes = {
        1.0: "That would be a squared loss, whose slope in m does not depend on m.",
        0.125: "The other way round: q − 1 is below 0, so the factor grows as m falls.",
        16.0: "The slope goes with m^(q−1), and q − 1 is −3/4 here.",
        2.0: "That is the quarter power itself. What counts is its slope in m.",
        0.5: "That is by how much the loss falls. What counts is its slope in m.",
    }
    for value, hint in mistakes.items():
        if math.isclose(factor, value, rel_tol=1e-2):
            return hint
    if math.isclose(factor, 8.0, rel_tol=1e-2):
        return RIGHT
    return "Put m/16 in the place of m in c q m^(q−1) with q = 1/4, and divide by what it was."
