"""The registry of exercises, and the check of an answer."""

import reprlib
from collections.abc import Callable
from importlib import import_module
from typing import Any

from diffviz.checks import require, unknown

Judge = Callable[[Any], str]

RIGHT = ""  # what a judge returns for a right answer; else it returns a hint


class Lesson(str):
    """What a judge returns for a right answer that teaches something more."""


EXERCISES: dict[str, Judge] = {}


def exercise(name: str) -> Callable[[Judge], Judge]:
    """Register a judge.

    Args:
        name: Name of the exercise, as the notebook gives it to ``check``.

    Returns:
        A decorator for a function that takes an answer and returns ``RIGHT``, a ``Lesson``, or a
        hint.

    Raises:
        TypeError: The name is no text.
        ValueError: The name is taken by another judge.
    """
    require(isinstance(name, str), f"name must be text, got {name!r}", TypeError)

    def register(judge: Judge) -> Judge:
        known = EXERCISES.get(name, judge)
        require(
            _origin(known) == _origin(judge),
            f"there is an exercise {name!r} already, in {known.__module__}; choose another name",
        )
        EXERCISES[name] = judge
        return judge

    return register


def _origin(judge: Judge) -> tuple[str, str]:
    """Where a judge is defined, which a reload of its module does not change."""
    return judge.__module__, getattr(judge, "__qualname__", repr(judge))


def check(name: str, answer: object) -> None:
    """Print whether an answer is right, with a hint if it is not.

    Args:
        name: Name of the exercise.
        answer: The answer. Nothing is judged while it is None.

    Raises:
        ValueError: There is no such exercise; the message lists near ones.
    """
    import_module("diffviz.lab.exercises.judges")  # not before: judges load most of the package
    if name not in EXERCISES:
        raise unknown("exercise", name, EXERCISES, "diffviz.lab.exercises.EXERCISES")
    if answer is None:
        print(f"{name}: put your answer in place of None and run the cell again")
        return
    said = _judged(EXERCISES[name], answer)
    if isinstance(said, Lesson):
        print(f"{name}: right! {said}")
    else:
        print(f"{name}: right!" if said == RIGHT else f"{name}: not yet. {said}")


def _judged(judge: Judge, answer: object) -> str:
    """What a judge says of an answer, and a hint where it can make nothing of it."""
    try:
        return judge(answer)
    except Exception as error:  # an answer is code of its own, and may raise anything
        return f"{_shown(answer)} is no answer of the right kind ({error})."


def _shown(answer: object) -> str:
    """A short text for an answer, whatever it is."""
    try:
        return reprlib.repr(answer)
    except Exception:
        return f"This {type(answer).__name__}"
