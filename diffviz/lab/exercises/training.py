"""Judges of notebook 3: trainings under several weightings."""

from typing import Any

import numpy as np

from diffviz.checks import offers, require
from diffviz.lab.exercises.answers import number
from diffviz.lab.exercises.registry import RIGHT, Lesson, exercise
from diffviz.lab.experiments.training import GRID, NAMES, SMALL, excess_of, excesses, floor
from diffviz.protocols import Trainable
from diffviz.recipes.entries import CATALOGUE, objective


def _index(logsnr: float) -> int:
    """Where on the grid a level is."""
    return int(abs(GRID - logsnr).argmin())


def _best_at(logsnr: float) -> str:
    """The objective that leaves the least excess at a level, on average over seeds."""
    errors = {name: logs.mean(0)[_index(logsnr)] for name, logs in excesses(SMALL).items()}
    return min(errors, key=lambda name: errors[name])


@exercise("who-is-best-where")
def who_is_best_where(answer: Any) -> str:
    """The objectives with the least excess at λ = −6 and at λ = 10."""
    given = list(answer)
    if len(given) != 2 or set(given) - set(NAMES):
        return f"Two names of {', '.join(NAMES)}: the best at λ = −6, the best at λ = 10."
    for level, name in zip((-6.0, 10.0), given, strict=True):
        if name != _best_at(level):
            place = f"λ = {level:g}".replace("-", "−")
            return (
                f"Look again at {place}: which curve is lowest there, "
                "and which weighting is largest?"
            )
    return RIGHT


@exercise("least-possible-loss")
def least_possible_loss(answer: Any) -> str:
    """The least loss ½ ∫ w·mmse dλ that any network can reach under fm-ot on ring8."""
    value, grid = number(answer), np.linspace(-30, 30, 61)  # steps of one nat
    truth = CATALOGUE["fm-ot"].weighting(grid) @ floor(tuple(grid)) / 2
    if abs(value - truth) < 0.003 * truth:  # a trained network is further away
        return RIGHT
    if value == 0:
        return "Even the exact denoiser cannot know the noise: its eps error is mmse(λ), the floor."
    from diffviz.data.toys import toy

    unscaled = CATALOGUE["fm-ot"].weighting(grid) @ toy("ring8").mmse(grid) / 2
    if abs(value - unscaled) < 0.01 * unscaled:
        return (
            "That is the ring as it comes. Here it has unit variance: dv.toy('ring8', unit=True)."
        )
    average = "verage factor(λ)·mmse(λ) over the density that fm-ot draws λ from"
    if value < truth:
        return f"No denoiser gets there. A{average}."
    return f"An exact denoiser does better: a{average}, far into both tails."


def _cost_at_the_ends(trainable: Trainable) -> str:
    """What an objective costs at both ends of λ, beside the best of the five there."""
    excess = 10 ** excess_of(trainable, SMALL)
    costs = []
    for level in (-6.0, 10.0):
        at = _index(level)
        least = min(10 ** logs[0, at] for logs in excesses(SMALL).values())
        place = f"λ = {level:g}".replace("-", "−")
        costs.append(f"{excess[at] / least:.2g} times at {place}")
    return (
        f"What it costs: beside the best of the five its excess is {' and '.join(costs)}. "
        "Capacity that goes to one level is taken from others."
    )


@exercise("buy-the-middle")
def buy_the_middle(answer: Any) -> str:
    """An objective that leaves 20 % less excess at λ = 4 than the best of the five."""
    trainable = objective(answer) if isinstance(answer, str) else answer
    require(
        offers(trainable, Trainable),
        "an objective is needed, such as dv.from_weighting(...) makes",
        TypeError,
    )
    middle = _index(4)
    excess = 10 ** excess_of(trainable, SMALL)[middle]
    first_seed = {name: 10 ** logs[0, middle] for name, logs in excesses(SMALL).items()}
    best = min(first_seed, key=lambda name: first_seed[name])
    least = first_seed[best]
    if excess < 0.8 * least:
        return Lesson(_cost_at_the_ends(trainable))
    return (
        f"At λ = 4 it leaves {excess:.2f}, the best of the five ({best}) {least:.2f}; "
        f"wanted is 20 % less, {0.8 * least:.2f}. What a weighting asks of other levels takes "
        "capacity away: how narrow may yours be?"
    )
