"""How an answer that is a function is judged: run on hidden inputs, against the exact function.

A judge also knows the usual mistakes, each as a function of its own. Where an answer agrees with
one of them on every input, the hint names it.
"""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from diffviz import checks
from diffviz.lab.exercises.registry import RIGHT

UNANSWERED = "Put your formula in the place of the dots, and run the cell again."
TOLERANCE = 1e-6  # relative


def values_of(function: Callable[..., Any], case: Sequence[Any]) -> Any:
    """What a function returns for one input, as numbers; a hint where it returns none.

    Args:
        function: The function.
        case: Its arguments.

    Returns:
        The numbers, shape of the answer, or a hint as text.
    """
    copies = [value.copy() if isinstance(value, np.ndarray) else value for value in case]
    try:
        said = function(*copies)  # it may change them
    except Exception as error:  # an answer is code of its own, and may raise anything
        return f"Your function raised {type(error).__name__}: {textwrap.shorten(str(error), 160)}."
    if said is None or said is Ellipsis:
        return UNANSWERED
    try:
        return checks.array(said, "what your function returns")
    except (TypeError, ValueError) as error:
        return f"Your function must return numbers ({error})."


def agrees(values: Any, truth: Any) -> bool:
    """Whether two arrays have one shape and the same numbers, to a millionth.

    Args:
        values: Numbers.
        truth: Numbers.

    Returns:
        Whether they agree.
    """
    if np.shape(values) != np.shape(truth):
        return False
    scale = np.abs(truth).max(initial=1e-12)
    return bool(np.abs(np.subtract(values, truth)).max(initial=0.0) <= TOLERANCE * scale)


def judged(
    answer: Any,
    truth: Callable[..., Any],
    cases: Sequence[Sequence[Any]],
    mistakes: Mapping[str, Callable[..., Any]],
    hint: str,
) -> str:
    """Judge a function by its values on several inputs.

    Args:
        answer: The function to judge.
        truth: The exact function, of the same arguments.
        cases: Arguments of each call.
        mistakes: What to say of a usual mistake, to the function that makes it.
        hint: What to say of any other.

    Returns:
        ``RIGHT``, or a hint.

    Raises:
        TypeError: The answer is no function.
    """
    checks.require(callable(answer), "the answer is a function here: def ...", TypeError)
    exact = [np.asarray(truth(*case)) for case in cases]
    said = []
    for case, wanted in zip(cases, exact, strict=True):
        values = values_of(answer, case)
        if isinstance(values, str):
            return values
        if values.shape != wanted.shape:
            return f"Your function returns the shape {values.shape}, and {wanted.shape} is needed."
        said.append(values)
    if all(map(agrees, said, exact)):
        return RIGHT
    for words, mistake in mistakes.items():
        if all(map(agrees, said, [np.asarray(mistake(*case)) for case in cases])):
            return words
    return _off_by_a_factor(said, exact) or hint


def _off_by_a_factor(said: Sequence[Any], exact: Sequence[Any]) -> str:
    """A hint where an answer is the exact one times a constant; else no text."""
    ours, theirs = (np.concatenate([np.ravel(each) for each in some]) for some in (said, exact))
    norm = theirs @ theirs
    factor = float(ours @ theirs / norm) if norm > 0 else 0.0
    if factor == 0 or not agrees(ours, factor * theirs):
        return ""
    return f"Yours is {factor:.4g} times the right value on every input: look for a constant."
