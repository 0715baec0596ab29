"""Judges of notebook 11: objectives with two times."""

from typing import Any

from diffviz.few_steps.objectives import LOGIT_NORMAL, few_step
from diffviz.few_steps.pairs import dyadic
from diffviz.lab.exercises.answers import near
from diffviz.lab.exercises.registry import exercise


@exercise("sorted-shift")
def sorted_shift(answer: Any) -> str:
    """By how many nats the mean of MeanFlow's diagonal lies below that of one draw."""
    diagonal = few_step("meanflow").diagonal
    assert diagonal is not None
    shift = float(LOGIT_NORMAL.mean() - diagonal.law.mean())
    return near(answer, shift, "A standard deviation of λ is 2 nats here.")


@exercise("half-factor")
def half_factor(answer: Any) -> str:
    """The squared error at which MeanFlow's factor is half of its largest value."""
    adaptive = few_step("meanflow").adaptive
    assert adaptive is not None
    truth = adaptive.floor * (2 ** (1 / adaptive.power) - 1)
    return near(answer, truth, "The factor 1/(‖Δ‖² + c) is largest where ‖Δ‖² is 0.")


@exercise("whole-jump")
def whole_jump(answer: Any) -> str:
    """The share of all draws of a shortcut model with eight steps that jump from noise to data."""
    share = (1 - few_step("shortcut").diagonal_share) * dyadic(8).share[0]
    return near(answer, share, "A quarter of the draws jump, by 1/4, 1/2 or 1 equally often.")
