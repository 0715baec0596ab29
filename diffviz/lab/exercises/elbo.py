"""Judges of notebook 5: the ELBO."""

from typing import Any

import numpy as np
from scipy.integrate import quad
from scipy.special import expit

from diffviz.lab.exercises.answers import entry, near, number
from diffviz.lab.exercises.registry import RIGHT, exercise
from diffviz.lab.experiments.elbo import StackCosts, known, stack_costs
from diffviz.recipes.entries import CATALOGUE
from diffviz.theory import analysis
from diffviz.theory.frames import Curve

DIMENSIONS = 3072  # of an image of 32² pixels in three colours
HIGHS = np.linspace(1, 20, 381)  # values of λ_max that are tried
NEARLY_LEAST = 1.005  # times the least loss, which is right as well
TRIANGLE = (-2.0, 0.0, 2.0)  # λ in nats: where w begins to rise, its peak, and where it is 0 again
PIXEL_STEPS = 127.5  # steps of a pixel to one unit of [−1, 1]


@exercise("smallest-lambda-max")
def smallest_lambda_max(answer: Any) -> str:
    """The λ_max at which the average gap of ring8's ELBO is a thousandth of a nat."""
    high = number(answer)
    if not 2 <= high <= 20:
        return "λ_max lies between 2 and 20."
    ring = known("ring8")
    gap = float(sum(ring.terms(-20.0, high)) - ring.entropy)
    if abs(gap / 1e-3 - 1) < 0.03:
        return RIGHT
    return f"There the average gap is {gap:.3g} nats; it falls as e^(−λ_max)."


@exercise("best-lambda-max")
def best_lambda_max(answer: Any) -> str:
    """The λ_max at which a stack of 100 layers from λ = −10 loses least on ring8."""
    high = number(answer)
    if not 1 <= high <= 20:
        return "λ_max lies between 1 and 20."
    here = _stack_of_100(high)
    least = min(_stack_of_100(other).lost for other in HIGHS.tolist())
    if here.lost < NEARLY_LEAST * least:
        return RIGHT
    is_low = _stack_of_100(min(high + 0.05, 20.0)).lost < here.lost
    return (
        f"There {here.at_data:.2g} nats are lost at λ_max and {here.by_steps:.2g} by the steps, "
        f"{here.lost:.3g} in all. A {'larger' if is_low else 'smaller'} λ_max loses less."
    )


def _stack_of_100(high: float) -> StackCosts:
    """What a stack of 100 layers from λ = −10 to λ_max costs on ring8."""
    return stack_costs(known("ring8"), -10.0, high, 100)


@exercise("bits")
def bits(answer: Any) -> str:
    """Nats of an image of 3 bits per dimension, as a density on [−1, 1]."""
    value = number(answer)
    truth = (3 - np.log2(PIXEL_STEPS)) * DIMENSIONS * np.log(2)
    if abs(value - truth) < 1:
        return RIGHT
    one_bit, step = DIMENSIONS * np.log(2), np.log2(PIXEL_STEPS)
    mistakes = {
        3 * one_bit: "Those are the nats of the pixels 0 to 255; on [−1, 1] a pixel step is "
        "1/127.5 wide.",
        (3 - 7) * one_bit: "7 is log2 of 128. Here a pixel step is 1/127.5 wide.",
        (3 + step) * one_bit: "From nats to bits log2(127.5) is added; you go the other way.",
        -truth: "The sign is the other way round; a density may exceed 1, and −ELBO be negative.",
        truth / 3: "Each of three colours counts: there are 3 × 32 × 32 dimensions.",
        truth / np.log(2): "Those are bits: a bit is ln 2 nats.",
        truth / DIMENSIONS: "That is one dimension of 3 × 32 × 32.",
    }
    for wrong, hint in mistakes.items():
        if abs(value - wrong) < 1:
            return hint
    return "Solve the formula for bits per dimension for nats, with 127.5 in the place of 128."


@exercise("triangle-share")
def triangle_share(answer: Any) -> str:
    """The negative share of a triangle w over λ, on data N(0, 1) with L = ½ log(1 + e^λ)."""
    share = number(answer)
    rise, fall = _both_sides(lambda level: np.logaddexp(0, level) / 2)
    left, right = _both_sides(lambda level: (1 - abs(level) / 2) * expit(level))
    mistakes = {
        1.0: "w rises as much as it falls, but each λ counts with L, which grows.",
        rise / (rise + fall): "Divide by what the plus adds up to, not by both together.",
        fall / rise: "The other way round: what has the minus is divided by what has the plus.",
        left / right: "That splits the loss by errors, ½ w mmse. By ELBOs each λ adds −w′ L.",
        rise: "That is the integral of L on the rising side alone. Divide it by that of the other.",
        rise / 2: "That is what the minus alone adds up to. Divide it by the plus.",
        100 * rise / fall: "That is the percentage; give the share, which lies between 0 and 1.",
    }
    for wrong, hint in mistakes.items():
        if abs(share / wrong - 1) < 0.005:
            return hint
    hint = "Integrate L from −2 to 0 and from 0 to 2; |w′| is ½ on both sides, and w(2) is 0."
    return near(share, rise / fall, hint)


def _both_sides(curve: Curve) -> tuple[float, float]:
    """Integrals of a function of λ over the rising and the falling side of the triangle."""
    start, peak, end = TRIANGLE
    return quad(curve, start, peak)[0], quad(curve, peak, end)[0]


@exercise("most-negative")
def most_negative(answer: Any) -> str:
    """The entry of the catalogue whose mixture of ELBOs has the largest negative part."""
    name = entry(answer).name
    shares = {each: analysis.verdict(other).negative_share for each, other in CATALOGUE.items()}
    more = sum(share > shares[name] for share in shares.values())
    if not more:
        return RIGHT
    return f"{name} has {shares[name]:.2%}; {more} of the catalogue have more."
