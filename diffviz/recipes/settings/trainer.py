"""What is known about a trainer: its options, their defaults, and the objective that they make.

A trainer is described by a frozen record beside the facts that were read in its code. Its ``build``
takes the values of its options. It reads only those that have an effect with the others, so that
an option that was given and never read is known to have had none.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any, Literal

from diffviz.checks import count, cut, number, one_of
from diffviz.recipes.settings.reading import Setting
from diffviz.theory.objectives import Objective

Kind = Literal["number", "whole", "flag", "choice", "text"]

YES = frozenset({"true", "yes", "on", "1"})
NO = frozenset({"false", "no", "off", "0"})
NOTHING = frozenset({"none", "null", ""})  # text that stands for a value that is not given


@dataclass(frozen=True)
class Option:
    """An option of a trainer that has to do with the objective.

    Args:
        name: Its name, without dashes. In nested files it is the end of the dotted path, as much of
            it as is needed to tell it from others.
        kind: "number", "whole" (a whole number), "flag" (true or false), "choice" or "text".
        default: Its value where it is not given.
        meaning: What it does, in a few words.
        choices: The values of a choice.
        low: Least number that is allowed.
        high: Largest number that is allowed.
        never_read: Whether the trainer takes it and reads it nowhere. No trainer is recognised by
            such an option.
    """

    name: str
    kind: Kind
    default: Any
    meaning: str
    choices: tuple[str, ...] = ()
    low: float = -float("inf")
    high: float = float("inf")
    never_read: bool = False

    def value(self, setting: Setting) -> Any:
        """The value of a setting of this option.

        Args:
            setting: What was given.

        Returns:
            A float, an int, a bool or text, by the kind; the default for null.

        Raises:
            TypeError: The value is of another kind.
            ValueError: It lies outside the range, or is none of the choices.
        """
        try:
            return self._read(setting.value)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{error} ({cut(setting.where)})") from None

    def _read(self, given: Any) -> Any:
        """The value as what this option holds; ``value`` says where it stands."""
        if self.kind != "flag" and (given is True or isinstance(given, tuple)):
            raise ValueError(f"{self.name} needs one value, got {_shown(given)}")
        if self._is_open(given):
            return self.default
        if is_null(given):
            return given  # text such as "none" that is itself a choice
        if self.kind == "flag":
            return _flag(given, self.name)
        if self.kind == "text":
            return str(given)
        if self.kind == "choice":
            return one_of(given, self.name, self.choices)
        return self._number(given)

    def _is_open(self, given: Any) -> bool:
        """Whether a value leaves the option at its default: null, unless "none" is a choice."""
        return is_null(given) and not (self.kind == "choice" and given in self.choices)

    def _number(self, given: Any) -> float | int:
        """The value as a number within the range."""
        if isinstance(given, str):
            try:
                given = float(given)
            except ValueError:
                raise ValueError(f"{self.name} must be a number, got {given!r}") from None
        result = number(given, self.name, self.low, self.high)
        if self.kind == "number":
            return result
        return count(int(result) if result.is_integer() else result, self.name, least=-(2**62))


def _shown(given: Any) -> str:
    """What stands in the place of one value, in words."""
    return "none" if given is True else " ".join(map(str, given))


def _flag(given: Any, name: str) -> bool:
    """The value of a flag: a bool, 0 or 1, or a word for them."""
    word = str(given).strip().lower()
    if word in YES:
        return True
    if word in NO:
        return False
    raise ValueError(f"{name} must be true or false, got {given!r}")


def is_null(given: Any) -> bool:
    """Whether a value stands for one that is not given: None, or text such as "none"."""
    return given is None or (isinstance(given, str) and given.strip().lower() in NOTHING)


def by_name(*options: Option) -> Mapping[str, Option]:
    """Options as a mapping from their names."""
    return MappingProxyType({option.name: option for option in options})


@dataclass(frozen=True, eq=False)
class Values:
    """The values of a trainer's options, with a record of which were read.

    Args:
        options: The options of the trainer.
        given: The settings that were given, by the name of their option.
        script: Name of the script without its folder; empty where none was given.
        model: The model that the caller named, one of the trainer's; None where none was named.
        tokens: Number of tokens of an image or video that the caller named; None where none was.
        read: Names that ``build`` has read, "model" and "tokens" among them.
    """

    options: Mapping[str, Option]
    given: Mapping[str, Setting]
    script: str = ""
    model: str | None = None
    tokens: int | None = None
    read: set[str] = field(default_factory=set)

    def __getitem__(self, name: str) -> Any:
        """The value of an option, or its default where it is not given; it counts as read."""
        self.read.add(name)
        option = self.options[name]
        return option.value(self.given[name]) if name in self.given else option.default

    def get(self, name: str, default: Any) -> Any:
        """The value of an option, or a default that depends on others; it counts as read."""
        value = self[name]
        return value if self.has(name) else default

    def has(self, name: str) -> bool:
        """Whether an option was given, and not as null or as text such as "none"."""
        setting = self.given.get(name)
        return setting is not None and not self.options[name]._is_open(setting.value)

    def named_model(self) -> str | None:
        """The model that the caller named; it counts as read."""
        self.read.add("model")
        return self.model

    def named_tokens(self) -> int | None:
        """The number of tokens that the caller named; it counts as read."""
        self.read.add("tokens")
        return self.tokens


@dataclass(frozen=True)
class Reading:
    """What settings amount to.

    Args:
        objective: The objective.
        sentence: What is trained, in one sentence.
        notes: What else one should know, each a sentence.
        no_effect: Why an option that was given has no effect, each a sentence that starts with the
            name of the option. Options that ``build`` did not read are added by the caller.
        contradictions: Options that contradict each other, each a sentence that names them with
            the way out. They are refused.
    """

    objective: Objective
    sentence: str
    notes: tuple[str, ...] = ()
    no_effect: tuple[str, ...] = ()
    contradictions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trainer:
    """A trainer, or one family of its scripts.

    Args:
        name: What a caller names it by, such as "sd-scripts-flux".
        title: What messages call it.
        version: What was read of it: a release or a commit, and its date.
        source: Its repository, owner/name.
        scripts: Patterns of the scripts' names by which a command line is recognised.
        options: The options that have to do with the objective, by name.
        passed_over: Patterns of options that have nothing to do with the objective. They match
            the last part of a dotted name, or all of it.
        build: Makes the objective from the values.
        marks: Patterns of names by which a file of settings is recognised.
        models: Models that a caller may name.
        by_script_only: Whether it is never recognised by its options, since another trainer has
            the same ones.
    """

    name: str
    title: str
    version: str
    source: str
    scripts: tuple[str, ...]
    options: Mapping[str, Option]
    passed_over: tuple[str, ...]
    build: Callable[[Values], Reading]
    marks: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    by_script_only: bool = False

    def option_of(self, name: str) -> Option | None:
        """The option that a dotted name ends with, the longest if there are several.

        Args:
            name: Name of a setting.

        Returns:
            The option; None if the trainer has none of this name.
        """
        parts = name.split(".")
        for start in range(len(parts)):
            option = self.options.get(".".join(parts[start:]))
            if option is not None:
                return option
        return None

    def passes_over(self, name: str) -> bool:
        """Whether a setting is known to have nothing to do with the objective."""
        last = name.rsplit(".", 1)[-1]
        return any(
            fnmatchcase(name, pattern) or fnmatchcase(last, pattern) for pattern in self.passed_over
        )

    def knows(self, name: str) -> bool:
        """Whether the trainer has an option of this name, or passes it over."""
        return self.option_of(name) is not None or self.passes_over(name)

    def speaks_for(self, name: str) -> bool:
        """Whether a setting speaks for this trainer: it reads it, or passes it over."""
        option = self.option_of(name)
        return self.passes_over(name) if option is None else not option.never_read
