"""The controls of an explorer, and their state.

A control is a frozen record: its name in the state, its label, its limits, its value at the start.
A ``Description`` is a title with controls. It checks states, and writes them into links. The values
of a state are those that were set, never those that a control can show: a slider shows the nearest
step, and does not write it back.

Example:
    >>> from diffviz.web import Description, Menu, Slider
    >>> base = Menu("base", "error of", ("eps", "x"), "eps")
    >>> anchor = Slider("anchor", "anchor", -8, 8, 0.25, 0.0, unit="nats")
    >>> settings = Description("Weightings", (base, anchor))
    >>> settings.checked({"anchor": 1.1})
    {'base': 'eps', 'anchor': 1.1}
    >>> settings.to_query({"base": "x", "anchor": 0.0})
    'base=x'
    >>> settings.from_query("base=x&anchor=1.1")
    {'base': 'x', 'anchor': 1.1}
"""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode

import numpy as np

from diffviz import checks

State = dict[str, Any]  # name of a control -> its value
SCALES = ("linear", "log")


@dataclass(frozen=True)
class Control:
    """What all controls have in common.

    Args:
        name: Name in the state, in links and in code; an identifier of Python.
        label: What stands beside the control.
        tip: A sentence that explains it, shown when the pointer rests on it.
        rare: Whether it is folded away until a reader asks for more.
        when: Names of other controls with the values that they must have for this one to be shown.
    """

    name: str
    label: str
    tip: str = field(default="", kw_only=True)
    rare: bool = field(default=False, kw_only=True)
    when: Mapping[str, tuple[Any, ...]] = field(default_factory=dict, kw_only=True, hash=False)

    def __post_init__(self) -> None:
        checks.text(self.label, "label")
        if not checks.text(self.name, "name").isidentifier():
            given = checks.brief(self.name)
            raise ValueError(f"the name of a control must be an identifier, got {given}")

    @property
    def has_value(self) -> bool:
        """Whether the control has a value in the state; a button has none."""
        return True

    def checked(self, value: Any) -> Any:
        """A value as the state keeps it; a ValueError or TypeError for one that is not allowed."""
        raise NotImplementedError

    def to_texts(self, value: Any) -> list[str]:
        """A value as the texts that a link holds, one for each item of a list."""
        return [str(value)]

    def from_texts(self, texts: list[str]) -> Any:
        """The value of the texts of a link, checked."""
        return self.checked(texts[-1])

    def record(self) -> dict[str, Any]:
        """The control as plain data for JSON, with its kind."""
        return {"kind": type(self).__name__.lower(), **asdict(self)}


@dataclass(frozen=True)
class _Number(Control):
    """A control whose value is a number."""

    def to_texts(self, value: float) -> list[str]:
        """The number with all its digits."""
        return [repr(value)]

    def from_texts(self, texts: list[str]) -> float:
        """The number of the last text."""
        try:
            return self.checked(float(texts[-1]))
        except ValueError as error:
            raise ValueError(f"{self.name}={texts[-1]}: {error}") from None


@dataclass(frozen=True)
class Slider(_Number):
    """A number within limits.

    Args:
        low: Least value.
        high: Largest value.
        step: Distance of the positions, in the unit of the value, on a log scale in decades.
        value: Value at the start; it need not be a position.
        unit: Unit that stands behind the value.
        scale: "linear" or "log".
        whole: Whether the values are whole numbers.
    """

    low: float
    high: float
    step: float
    value: float
    unit: str = ""
    scale: str = "linear"
    whole: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.positive(self.step, f"step of {self.name}")
        for name in ("low", "high", "step"):
            value = checks.number(getattr(self, name), f"{name} of {self.name}")
            if not isinstance(getattr(self, name), int | float):
                object.__setattr__(self, name, value)  # an array of one number cannot be sent
        checks.one_of(self.scale, f"scale of {self.name}", SCALES)
        checks.one_of(self.whole, f"whole of {self.name}", (False, True))
        if not self.low < self.high or (self.scale == "log" and self.low <= 0):
            raise ValueError(
                f"the slider {self.name} needs low < high, and low > 0 on a log scale; "
                f"got low {self.low!r}, high {self.high!r}"
            )
        try:
            self.checked(self.value)
        except ValueError as error:
            raise ValueError(
                f"the value of {self.name} does not fit its low, high or whole: {error}"
            ) from None

    def checked(self, value: Any) -> float:
        """The number, if it lies within the limits."""
        number = checks.number(value, self.name, self.low, self.high)
        if not self.whole:
            return number
        checks.require(number == round(number), f"{self.name} must be whole, got {value!r}")
        return int(number)


@contextmanager
def _at_the_start(name: str) -> Iterator[None]:
    """Say of a refusal that the value at the start does not fit the options."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"the value of {name} does not fit its options: {error}") from None


@dataclass(frozen=True)
class Menu(Control):
    """One of several options.

    Args:
        options: The options; they are also what the reader sees.
        value: The option at the start.
        buttons: Whether the options stand side by side as buttons; for few and short ones.
    """

    options: tuple[str, ...]
    value: str
    buttons: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "options", tuple(checks.items(self.options, "options")))
        with _at_the_start(self.name):
            self.checked(self.value)

    def checked(self, value: Any) -> str:
        """The option."""
        return checks.one_of(value, self.name, self.options)


@dataclass(frozen=True)
class Chip:
    """An option of ``Chips``.

    Args:
        value: The option, as the state keeps it and the reader sees it.
        group: Group in which it is listed.
        keywords: Words by which a search finds it besides its value.
        colour: Its colour as "#RRGGBB"; none by default.
    """

    value: str
    group: str = ""
    keywords: str = ""
    colour: str = ""


@dataclass(frozen=True)
class Chips(Control):
    """Several of many options, found by a search and shown as chips.

    Args:
        options: The options: ``Chip`` records, or plain texts.
        value: The options at the start.
        most: How many can be chosen at once.
    """

    options: tuple[Chip, ...]
    value: tuple[str, ...] = ()
    most: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "most", checks.count(self.most, "most", least=0))
        options = checks.items(self.options, "options")
        chips = tuple(one if isinstance(one, Chip) else Chip(one) for one in options)
        object.__setattr__(self, "options", chips)
        with _at_the_start(self.name):
            object.__setattr__(self, "value", self.checked(self.value))

    def checked(self, value: Any) -> tuple[str, ...]:
        """The options that are chosen, each once."""
        message = f"{self.name} must be a list of names, such as ['edm', 'sd3'], got {value!r}"
        checks.require(not isinstance(value, (str, bytes)), message, TypeError)
        try:
            chosen = tuple(dict.fromkeys(value))
        except TypeError as error:  # nothing to go through, such as an array without dimensions
            raise TypeError(message) from error
        known = [chip.value for chip in self.options]
        for one in chosen:
            if one not in known:
                raise checks.unknown(self.name, one, known)
        if len(chosen) > self.most:
            left_out = ", ".join(chosen[self.most :])
            raise ValueError(f"{self.name} takes {self.most} at once; leave out {left_out}")
        return chosen

    def to_texts(self, value: tuple[str, ...]) -> list[str]:
        """One text for each option; an empty one where nothing is chosen."""
        return list(value) or [""]

    def from_texts(self, texts: list[str]) -> tuple[str, ...]:
        """The options of the texts."""
        return self.checked([text for text in texts if text])


@dataclass(frozen=True)
class Switch(Control):
    """Yes or no.

    Args:
        value: Whether it is on at the start.
    """

    value: bool = False

    def checked(self, value: Any) -> bool:
        """The value as a bool."""
        message = f"{self.name} must be True or False, got {value!r}"
        checks.require(isinstance(value, (bool, np.bool_)), message, TypeError)
        return bool(value)

    def to_texts(self, value: bool) -> list[str]:
        """1 or 0."""
        return [str(int(value))]

    def from_texts(self, texts: list[str]) -> bool:
        """Whether the last text is 1."""
        return checks.one_of(texts[-1], self.name, ("0", "1")) == "1"


@dataclass(frozen=True)
class Text(Control):
    """A line of text, which counts when the reader leaves it or presses Enter.

    Args:
        value: The text at the start.
        placeholder: What stands in the empty field.
    """

    value: str = ""
    placeholder: str = ""

    def checked(self, value: Any) -> str:
        """The text."""
        checks.require(
            isinstance(value, str), f"{self.name} must be text, got {value!r}", TypeError
        )
        return value


@dataclass(frozen=True)
class Paste(Text):
    """A box for several lines, with a button that applies them; it also takes a file.

    Args:
        apply: What stands on the button.
        accept: Endings of the files that can be chosen, such as ".csv,.txt".
    """

    apply: str = "apply"
    accept: str = ""


@dataclass(frozen=True)
class Points(Control):
    """Points that a reader sets in a picture, by clicking or drawing.

    A chart or a cloud names the control as its ``strokes``.

    Args:
        value: The points at the start, pairs of coordinates.
        most: How many points are kept; the oldest go first.
    """

    value: tuple[tuple[float, float], ...] = ()
    most: int = 2000

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "most", checks.count(self.most, "most"))
        object.__setattr__(self, "value", self.checked(self.value))

    def checked(self, value: Any) -> tuple[tuple[float, float], ...]:
        """The points as pairs of numbers."""
        points = checks.array(value, self.name)
        if points.size == 0:
            return ()
        if points.ndim != 2 or points.shape[1] != 2:
            raise ValueError(f"{self.name} must be pairs, got the shape {points.shape}")
        return tuple((float(x), float(y)) for x, y in points[-self.most :])

    def to_texts(self, value: tuple[tuple[float, float], ...]) -> list[str]:
        """All points as one text, such as ``0.5_-1*2_0.25``, which a link holds as it is."""
        return ["*".join(f"{x:.6g}_{y:.6g}" for x, y in value) or "[]"]

    def from_texts(self, texts: list[str]) -> tuple[tuple[float, float], ...]:
        """The points of the last text, which may be a list of JSON too, such as "[]" for none."""
        text = texts[-1]
        try:
            if text.startswith("["):
                return self.checked(json.loads(text))
            return self.checked([tuple(map(float, one.split("_"))) for one in text.split("*")])
        except (ValueError, RecursionError) as error:
            raise ValueError(
                f'{self.name} must be points such as "0.5_-1*2_0.25", got {text[:40]!r} ({error})'
            ) from None


@dataclass(frozen=True)
class Clock(_Number):
    """The time of the clouds, which a player under the pictures plays, pauses and scrubs.

    Without it the player has the same buttons, and its place is not part of the state.

    Args:
        value: Share of the film that is over at the start, from 0 to 1.
    """

    value: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.checked(self.value)

    def checked(self, value: Any) -> float:
        """The share, if it lies in [0, 1]."""
        return checks.number(value, self.name, 0.0, 1.0)


@dataclass(frozen=True)
class Action(Control):
    """A button. It has no value.

    Args:
        main: Whether it stands out.
    """

    main: bool = False

    @property
    def has_value(self) -> bool:
        """A button has no value in the state."""
        return False


@dataclass(frozen=True)
class Upload(Control):
    """A button that hands the bytes of a file to Python. It has no value, so no link holds them.

    Args:
        accept: Endings or kinds of the files that can be chosen, such as ".png,.jpg" or "image/*".
        most: Bytes of the largest file that is taken.
    """

    accept: str = ""
    most: int = 20_000_000

    @property
    def has_value(self) -> bool:
        """A file is no part of the state."""
        return False

    def checked_file(self, file: str, content: bytes) -> bytes:
        """The bytes of a file, if there are some and not too many.

        Args:
            file: Its name.
            content: Its bytes.

        Returns:
            The bytes.

        Raises:
            ValueError: The file is empty or too large.
        """
        checks.instance(content, "content", (bytes, bytearray, memoryview), "bytes")
        checks.require(len(content) > 0, f"content of {file!r} is empty")
        checks.require(
            len(content) <= self.most,
            f"{file!r} has {len(content) / 1e6:.1f} MB; up to {self.most / 1e6:g} MB are taken",
        )
        return content


@dataclass(frozen=True)
class Description:
    """The controls of an explorer.

    Args:
        title: Name of the explorer.
        controls: The controls, in the order in which they stand.
        local: Name of the module of JavaScript that computes views in the browser, such as
            "weighting.js"; none by default.

    Raises:
        ValueError: Two controls have one name, or ``when`` names a control that is not there.
    """

    title: str
    controls: tuple[Control, ...]
    local: str = ""

    def __post_init__(self) -> None:
        checks.text(self.title, "title")
        controls = checks.items(self.controls, "controls")
        for control in controls:
            checks.instance(control, "each of controls", Control, "a control such as Slider(...)")
        object.__setattr__(self, "controls", tuple(controls))
        names = [control.name for control in self.controls]
        if len(set(names)) < len(names):
            raise ValueError(f"two controls have the same name: {', '.join(sorted(names))}")
        for control in self.controls:
            for name in control.when:
                checks.one_of(name, f"control in 'when' of {control.name}", names)

    def __getitem__(self, name: str) -> Control:
        """The control of a name.

        Args:
            name: The name.

        Returns:
            The control.

        Raises:
            ValueError: There is none.
        """
        by_name = {control.name: control for control in self.controls}
        if not isinstance(name, str) or name not in by_name:
            raise checks.unknown("control", name, by_name)
        return by_name[name]

    @property
    def valued(self) -> tuple[Any, ...]:
        """The controls that have a value."""
        return tuple(control for control in self.controls if control.has_value)

    @property
    def start(self) -> State:
        """The state at the start."""
        return {control.name: control.value for control in self.valued}

    def checked(self, state: Mapping[str, Any]) -> State:
        """A whole state from some of its values.

        Args:
            state: Values by the names of their controls. The others are as at the start.

        Returns:
            The state: a value for each control.

        Raises:
            TypeError: A value is of the wrong kind.
            ValueError: A name is unknown, or a value is not allowed.
        """
        known = [control.name for control in self.valued]
        if not isinstance(state, Mapping):
            raise TypeError(
                f"state must map names of controls to values, got {checks.brief(state)}"
            )
        for name in state:
            if name not in known:
                raise checks.unknown("control in the state,", name, known)
        return {
            control.name: control.checked(state.get(control.name, control.value))
            for control in self.valued
        }

    def changes(self, state: Mapping[str, Any]) -> State:
        """The values of a state that differ from those at the start.

        Args:
            state: Values by the names of their controls.

        Returns:
            Those that differ, in the order of the controls.
        """
        whole = self.checked(state)
        start = self.start
        return {name: value for name, value in whole.items() if value != start[name]}

    def shown(self, state: Mapping[str, Any]) -> tuple[str, ...]:
        """The controls that have an effect in a state.

        Args:
            state: A whole state.

        Returns:
            Their names.
        """
        return tuple(
            control.name
            for control in self.controls
            if all(state[name] in values for name, values in control.when.items())
        )

    def to_query(self, state: Mapping[str, Any]) -> str:
        """The part of a link that brings a state back.

        Args:
            state: Values by the names of their controls.

        Returns:
            Names and values that differ from the start, such as "base=x&names=edm&names=sd3".
        """
        texts = {name: self[name].to_texts(value) for name, value in self.changes(state).items()}
        return urlencode(texts, doseq=True)

    def from_query(self, text: str) -> State:
        """The state that a link holds.

        Args:
            text: A link, or its part after "?" or "#".

        Returns:
            The whole state.

        Raises:
            ValueError: A name is unknown, or a value is broken; the message says which.
        """
        query = checks.text(text, "text").replace("?", "#").rpartition("#")[2]
        texts = parse_qs(query, keep_blank_values=True)
        known = [control.name for control in self.valued]
        state = {}
        for name, values in texts.items():
            if name not in known:
                raise checks.unknown("control", name, known)
            state[name] = self[name].from_texts(values)
        return self.checked(state)

    def record(self) -> dict[str, Any]:
        """The description as plain data for JSON."""
        return {
            "title": self.title,
            "local": self.local,
            "controls": [control.record() for control in self.controls],
        }


def nearest_step(slider: Slider, value: float) -> float:
    """The position of a slider that is nearest to a value; what its handle shows.

    Args:
        slider: The slider.
        value: A value within its limits.

    Returns:
        The value of the nearest position.
    """
    low, place = slider.low, value
    if slider.scale == "log":
        low, place = math.log10(low), math.log10(place)
    position = low + round((place - low) / slider.step) * slider.step
    shown = 10**position if slider.scale == "log" else position
    return min(max(shown, slider.low), slider.high)


def slug(text: str) -> str:
    """A text as a name of a control: small letters, figures and underscores.

    Args:
        text: The text, such as "flow logit-normal".

    Returns:
        The name, such as "flow_logit_normal".
    """
    plain = checks.text(text, "text").lower()
    return "".join(letter if letter.isalnum() else "_" for letter in plain)
