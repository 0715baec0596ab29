"""How answers are read: as a number, as an objective, as a number near the truth."""

from typing import Any

from diffviz import checks
from diffviz.lab.exercises.registry import RIGHT
from diffviz.recipes.entries import objective
from diffviz.theory.objectives import Objective


def number(answer: Any) -> float:
    """An answer as a finite number.

    Args:
        answer: A number.

    Returns:
        The number.

    Raises:
        TypeError: It is no number.
        ValueError: It is not finite, or there is more than one.
    """
    checks.require(
        not isinstance(answer, str), "the answer is a number: leave the quotes out", TypeError
    )
    return checks.number(answer, "the answer")


def name_of(answer: Any) -> str:
    """The name that an answer gives.

    Args:
        answer: An objective or its name.

    Returns:
        The name.

    Raises:
        TypeError: It is neither.
    """
    name = getattr(answer, "name", answer)
    checks.require(isinstance(name, str), "an objective or its name is needed", TypeError)
    return name


def entry(answer: Any) -> Objective:
    """The entry of the catalogue that an answer names.

    Args:
        answer: An objective of the catalogue or its name.

    Returns:
        The entry.

    Raises:
        TypeError: It is neither.
        ValueError: The catalogue has no such entry; the message lists near ones.
    """
    return objective(name_of(answer))


def near(answer: Any, truth: float, hint: str) -> str:
    """Judge a number that half a percent, or rounding to three decimals, may be off.

    Args:
        answer: A number.
        truth: The number that is right.
        hint: What to say if the answer is not near it.

    Returns:
        ``RIGHT``, or the hint and the side on which the answer lies.

    Raises:
        TypeError: The answer is no number.
        ValueError: It is not finite.
    """
    value = number(answer)
    if abs(value - truth) <= max(0.005 * abs(truth), 0.0005):
        return RIGHT
    return f"{hint} Yours is too {'low' if value < truth else 'high'}."
