"""What an objective is compared by when a training goes on or a run is loaded.

A name says little: every objective made from a weighting is called "custom" unless it is named.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

from diffviz import checks
from diffviz.protocols import Trainable
from diffviz.recipes.entries import CATALOGUE
from diffviz.recipes.entries import objective as entry


class Identified(Protocol):
    """An object that knows what it does, as a hash; see ``Objective.identity``."""

    @property
    def identity(self) -> str:
        """Hexadecimal digits that are equal for objects that do the same."""
        ...


@dataclass(frozen=True)
class Record:
    """An objective as a file keeps it.

    Args:
        name: Its name, for messages; it is not compared if there is an identity.
        identity: What is compared. For an objective it is the hash of what it does, for an
            ``AdaptiveObjective`` that of its objective, rule and edges. For any other object that
            has no ``identity`` of its own it is its name and class.

    Raises:
        TypeError: One of them is no text, as in a file of another program.
    """

    name: str
    identity: str

    def __post_init__(self) -> None:
        for part, value in (("name", self.name), ("identity", self.identity)):
            checks.require(
                isinstance(value, str), f"{part} of an objective must be text: {value!r}", TypeError
            )

    def __str__(self) -> str:
        return f"{self.name!r} with identity {self.identity}"


def record(objective: Any) -> Record:
    """What a file keeps of an objective.

    Args:
        objective: Anything with a name.

    Returns:
        Its name and identity.

    Raises:
        TypeError: It has no name.
    """
    if not isinstance(checks.attribute(objective, "name"), str):
        raise TypeError(f"objective must have a name, got {objective!r}")
    if checks.offers(objective, Identified):
        return Record(objective.name, objective.identity)  # type: ignore[attr-defined]
    cls = type(objective)
    identity = f"{objective.name} of class {cls.__module__}.{cls.__qualname__}"
    return Record(objective.name, identity)


@dataclass(frozen=True)
class MissingObjective:
    """Stands for the objective of a loaded run where it is not at hand.

    It has the name and the identity. Whatever else is asked of it is met with an AttributeError
    that says how to load the run with its objective.

    Args:
        name: Name of the objective.
        identity: What it was compared by.
    """

    name: str
    identity: str

    def __getattr__(self, attribute: str) -> NoReturn:
        if attribute.startswith("_"):  # what pickle, copy and notebooks look for
            raise AttributeError(attribute)
        raise AttributeError(
            f"the run knows its objective {self.name!r} (identity {self.identity}) by name only; "
            f"for its {attribute!r} load the run with it: dv.Run.load(path, objective=...)"
        )


def resolve(saved: Record, given: Any = None) -> Any:
    """The objective of a record.

    Args:
        saved: What a file keeps of it.
        given: The objective, or its name in the catalogue. By default it is looked up there.

    Returns:
        The objective, or a ``MissingObjective`` if none is given and the catalogue has none with
        this name and identity.

    Raises:
        ValueError: The objective that is given has another identity.
    """
    if given is not None:
        objective = entry(given) if isinstance(given, str) else given
        here = record(objective)
        if here.identity != saved.identity:
            raise ValueError(
                f"the run was trained under {saved}, but objective= is {here}; "
                "give the objective of the training, or none"
            )
        return objective
    listed = CATALOGUE.get(saved.name)
    if listed is not None and listed.identity == saved.identity:
        return listed
    return MissingObjective(saved.name, saved.identity)


def trainables(objectives: Any) -> list[Trainable]:
    """One or several objectives as a list, with names looked up in the catalogue.

    Args:
        objectives: One or several of: names of the catalogue, objects with ``name`` and
            ``draw(n, rng)``.

    Returns:
        The objectives.

    Raises:
        TypeError: There is none, or one of them cannot draw.
        ValueError: A name is not in the catalogue.
    """
    given = [objectives]
    if not (isinstance(objectives, str) or checks.offers(objectives, Trainable)):
        with suppress(TypeError):  # nothing to go through, such as an array without dimensions
            given = list(objectives)
    resolved = [entry(item) if isinstance(item, str) else item for item in given]
    if not resolved or not all(_can_draw(item) for item in resolved):
        raise TypeError(
            "objectives are names of the catalogue or have name and draw(n, rng); "
            f"got {objectives!r}"
        )
    return resolved


def _can_draw(objective: Any) -> bool:
    """Whether an object can be trained under; a class cannot."""
    return checks.offers(objective, Trainable) and not isinstance(objective, type)
