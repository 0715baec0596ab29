"""From pasted settings to an objective: ``from_settings`` and ``explain``."""

import dataclasses
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path, PurePosixPath
from pkgutil import iter_modules
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from diffviz.checks import brief, count, cut, require, unknown
from diffviz.recipes.nearest import closest
from diffviz.recipes.settings.reading import Pairs, Setting, read, read_file
from diffviz.recipes.settings.trainer import Option, Reading, Trainer, Values, is_null
from diffviz.theory import analysis
from diffviz.theory.atoms import atomic
from diffviz.theory.objectives import Objective

NODES, _WEIGHTS = np.polynomial.legendre.leggauss(5)
SHARES = _WEIGHTS / 2  # of a bin, for its average
MOST_NAMED = 3  # unknown options in one message
FILE_OPTIONS = ("config_file", "config")  # options that name a file with further settings


def trainers() -> Mapping[str, Trainer]:
    """The trainers whose settings can be read, by name.

    Returns:
        The trainers.

    Example:
        >>> from diffviz.recipes import settings
        >>> "sd-scripts-flux" in settings.trainers()
        True
    """
    return MappingProxyType(_trainers())


@cache
def _trainers() -> dict[str, Trainer]:
    """The trainers of every module of this package that has some."""
    known: dict[str, Trainer] = {}
    for module in iter_modules([str(Path(__file__).parent)]):
        content = import_module(f"diffviz.recipes.settings.{module.name}")
        single = (content.TRAINER,) if hasattr(content, "TRAINER") else ()
        for trainer in getattr(content, "TRAINERS", single):
            known[trainer.name] = trainer
    return known


@dataclass(frozen=True)
class Line:
    """An option as it was read.

    Args:
        name: Its name.
        value: Its value.
        where: Where it stands, or "default".
        meaning: What it does.
        has_effect: Whether the objective depends on it.
    """

    name: str
    value: Any
    where: str
    meaning: str
    has_effect: bool


@dataclass(frozen=True)
class Explained:
    """What settings train on, and how they were read.

    Args:
        objective: The objective.
        trainer: The trainer whose settings they are.
        sentence: What is trained, in one sentence.
        lines: The options that were given or whose defaults count.
        no_effect: Options that were given and had no effect, each a sentence.
        notes: What else one should know.
        passed_over: Settings that have nothing to do with the objective.
        script: Name of the script that was run, without its folder and ending; empty for a file.
    """

    objective: Objective
    trainer: Trainer
    sentence: str
    lines: tuple[Line, ...]
    no_effect: tuple[str, ...]
    notes: tuple[str, ...]
    passed_over: tuple[Setting, ...]
    script: str = ""

    @cached_property
    def nearest(self) -> str:
        """The nearest entry of the catalogue, in words; it takes longer than all the rest."""
        return nearest_entry(self.objective)

    def __str__(self) -> str:
        """The reading as text, a paragraph for each part."""
        parts = [
            self.sentence,
            f"Nearest entry: {self.nearest}.",
            f"Verdict: {analysis.verdict(self.objective)}.",
            self._place(),
            f"Read by what is known of {self.trainer.title} ({self.trainer.version}).",
            *(f"Note: {note}" for note in self.notes),
            *(f"No effect: {sentence}" for sentence in self.no_effect),
        ]
        return "\n".join(parts)

    def _place(self) -> str:
        """Where the training looks and spends its loss, as a sentence."""
        share = analysis.share_below(self.objective, mmse=expit)
        return (
            f"Median λ = {self.objective.law.median():.2f}; on data from N(0, I), {share:.0%} of "
            "the loss lies below λ = 0."
        )

    def table(self) -> str:
        """What was read, from where, and what had no effect, as lines of text."""
        places = [line.where for line in self.lines]
        places += [setting.where for setting in self.passed_over]
        width = max([24, *map(len, places)])
        rows = []
        for line in self.lines:
            effect = "" if line.has_effect else "no effect"
            rows.append(
                f"{line.name:28} {line.value!s:16} {line.where:{width}} {effect:10} {line.meaning}"
            )
        rows += [
            f"{setting.name:28} {setting.value!s:16.16} {setting.where:{width}} passed over"
            for setting in self.passed_over
        ]
        return "\n".join(row.rstrip() for row in rows)

    def as_dict(self) -> dict[str, Any]:
        """The reading as plain values, for JSON."""
        return {
            "trainer": self.trainer.name,
            "version": self.trainer.version,
            "sentence": self.sentence,
            "nearest": self.nearest,
            "median": float(self.objective.law.median()),
            "target": self.objective.target.name,
            "options": [dataclasses.asdict(line) for line in self.lines],
            "no_effect": list(self.no_effect),
            "notes": list(self.notes),
            "passed_over": [setting.name for setting in self.passed_over],
        }


def from_settings(
    text: str | Path | Mapping[str, Any] | None = None,
    *,
    trainer: str | None = None,
    model: str | None = None,
    tokens: int | None = None,
    **settings: Any,
) -> Objective:
    """The objective of a trainer's settings.

    Options that have nothing to do with the objective, such as paths and the batch size, are passed
    over. What was given and has no effect is named in the note of the objective.

    Args:
        text: A command line, TOML, YAML or JSON; the path of such a file; or a mapping.
        trainer: Name of the trainer; by default it is recognised by the script or the options.
        model: Name of the model, where the objective depends on it and the settings do not say.
        tokens: Number of tokens of an image or video, for shifts that depend on the resolution.
        **settings: Settings by name, in place of the text or in addition to it.

    Returns:
        The objective. Its note says what is trained and which options had no effect.

    Raises:
        FileNotFoundError: The file is not here, or one that an option such as ``--config_file``
            names.
        OSError: The file cannot be opened.
        TypeError: An argument is of the wrong kind.
        ValueError: The trainer is not recognised, an option is unknown, has an impossible value or
            contradicts another.

    Example:
        >>> line = "flux_train_network.py --timestep_sampling shift --discrete_flow_shift 3.1582"
        >>> line += " --model_prediction_type raw --logit_mean 0.5"
        >>> objective = dv.from_settings(line)
        >>> round(float(objective.law.median()), 2)
        -2.3
        >>> "logit_mean has no effect" in objective.note
        True
    """
    read_settings = _reading(text, trainer, model, tokens, settings)
    reading = read_settings.reading
    note = " ".join([reading.sentence, *reading.notes, *read_settings.no_effect])
    return dataclasses.replace(reading.objective, note=note)


def explain(
    text: str | Path | Mapping[str, Any] | None = None,
    *,
    trainer: str | None = None,
    model: str | None = None,
    tokens: int | None = None,
    **settings: Any,
) -> Explained:
    """What a trainer's settings train on, and how they were read.

    Args:
        text: As for ``from_settings``, and so are the others.
        trainer: Name of the trainer.
        model: Name of the model.
        tokens: Number of tokens of an image or video.
        **settings: Settings by name.

    Returns:
        The objective with a sentence, the nearest entry, and what was read, from where.

    Raises:
        FileNotFoundError: The file is not here, or one that an option such as ``--config_file``
            names.
        OSError: The file cannot be opened.
        TypeError: An argument is of the wrong kind.
        ValueError: As for ``from_settings``.

    Example:
        >>> from diffviz.recipes import settings
        >>> line = "--timestep_sampling sigmoid --discrete_flow_shift 3"
        >>> settings.explain(line, trainer="musubi").no_effect
        ("discrete_flow_shift has no effect with timestep_sampling='sigmoid'.",)
    """
    found = _reading(text, trainer, model, tokens, settings)
    reading = found.reading
    note = " ".join([reading.sentence, *reading.notes, *found.no_effect])
    objective = dataclasses.replace(reading.objective, note=note)
    return Explained(
        objective=objective,
        trainer=found.trainer,
        sentence=reading.sentence,
        lines=tuple(_lines(found.values)),
        no_effect=found.no_effect,
        notes=reading.notes,
        passed_over=found.passed_over,
        script=found.values.script,
    )


# --- how settings are read ------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """A reading with what led to it.

    Args:
        trainer: The trainer.
        values: The values of its options.
        reading: What they amount to.
        no_effect: Options without effect, each a sentence.
        passed_over: Settings that have nothing to do with the objective.
    """

    trainer: Trainer
    values: Values
    reading: Reading
    no_effect: tuple[str, ...]
    passed_over: tuple[Setting, ...]


def _reading(
    text: str | Path | Mapping[str, Any] | None,
    trainer: str | None,
    model: str | None,
    tokens: int | None,
    settings: Mapping[str, Any],
) -> Found:
    """Read settings of any form; see ``from_settings``."""
    pairs = _with_files(_all_pairs(text, settings))
    chosen = _trainer_of(pairs, trainer)
    given, passed_over = _options_of(chosen, pairs)
    values = Values(
        options=chosen.options,
        given=given,
        script=_basename(pairs.script),
        model=_checked_model(chosen, model),
        tokens=None if tokens is None else count(tokens, "tokens"),
    )
    reading = chosen.build(values)
    require(not reading.contradictions, " ".join(reading.contradictions))
    _refuse_unread(chosen, values)
    return Found(chosen, values, reading, _without_effect(values, reading), passed_over)


def _all_pairs(text: str | Path | Mapping[str, Any] | None, settings: Mapping[str, Any]) -> Pairs:
    """The settings of the text and of keyword arguments."""
    require(
        text is not None or settings,
        "there are no settings: give a command line, TOML, YAML, JSON, a file or keyword arguments",
    )
    own = read(settings) if settings else Pairs(())
    pasted = Pairs(()) if text is None else read(text)
    return Pairs((*pasted.settings, *own.settings), pasted.script, pasted.form)


def _with_files(pairs: Pairs) -> Pairs:
    """Settings with those of the files that they name; a file that is not here is an error."""
    named = {setting.name for setting in pairs.settings}
    from_file = [
        further
        for setting in pairs.settings
        if setting.name in FILE_OPTIONS and not is_null(setting.value)
        for further in _settings_of_file(_file_of(setting))
        if further.name.rsplit(".", 1)[-1] not in named  # the command line comes before its file
    ]
    return dataclasses.replace(pairs, settings=(*pairs.settings, *from_file))


def _file_of(setting: Setting) -> Path:
    """The file that a setting names, whose ending ".toml" may be left out."""
    name = setting.value
    if not isinstance(name, str | Path):
        raise ValueError(
            f"{setting.name} must name one file, got {brief(name)} ({cut(setting.where)})"
        )
    for path in (f"{name}", f"{name}.toml"):
        if os.path.isfile(path):  # Path.is_file raises an error where a name is too long
            return Path(path)
    raise FileNotFoundError(
        f"{setting.name} names a file that is not here, {brief(str(name))} ({cut(setting.where)}); "
        f"the folder is {Path.cwd()}. Give the path of the file, or paste its content, or leave "
        f"{setting.name} out and give the options that stand in the file"
    )


def _settings_of_file(path: Path) -> list[Setting]:
    """The settings of a file that a command line names, each with the file where it stands."""
    settings = read_file(path).settings
    return [dataclasses.replace(one, where=f"{one.where} of {path.name}") for one in settings]


def _basename(script: str) -> str:
    """The name of a script without its folder and its ending."""
    return PurePosixPath(script.replace("\\", "/")).name.removesuffix(".py").rsplit(".", 1)[-1]


def _trainer_of(pairs: Pairs, name: str | None) -> Trainer:
    """The trainer that is named, or that the script or the options show."""
    known = trainers()
    if name is not None:
        if not isinstance(name, str) or name not in known:
            raise unknown("trainer", name, known)
        return known[name]
    candidates = _by_script(known.values(), pairs) or _by_marks(known.values(), pairs)
    if len(candidates) == 1:
        return candidates[0]
    return _by_options(
        candidates or [one for one in known.values() if not one.by_script_only], pairs
    )


def _by_options(candidates: list[Trainer], pairs: Pairs) -> Trainer:
    """The one trainer that knows all settings; a ValueError if there are none or several."""
    able = [one for one in candidates if _strangers(one, pairs) == 0]
    if len(able) == 1:
        return able[0]
    nearest = sorted(candidates, key=lambda one: _strangers(one, pairs))[:3]
    names = ", ".join(one.name for one in able or nearest)
    script = f" of the script {pairs.script!r}" if pairs.script else ""
    raise ValueError(
        f"the trainer{script} is not clear from these settings: pass trainer=, such as {names}"
        f"{_unknown_to_all(candidates, pairs)}"
    )


def _unknown_to_all(candidates: list[Trainer], pairs: Pairs) -> str:
    """A sentence on settings that no trainer knows, with names near the first; empty for none."""
    unknowns = [one for one in pairs.settings if not any(it.knows(one.name) for it in candidates)]
    if not unknowns:
        return ""
    names = sorted({name for one in candidates for name in _names(one)})
    listed = ", ".join(f"{one.name!r} ({one.where})" for one in unknowns[:MOST_NAMED])
    return f". No trainer that it may be knows {listed}{_near(unknowns[0], names)}"


def _names(trainer: Trainer) -> list[str]:
    """The names of options that a trainer has or passes over, without patterns."""
    return [*trainer.options, *(one for one in trainer.passed_over if "*" not in one)]


def _near(setting: Setting, names: list[str]) -> str:
    """A question that names options near to a setting; empty where there are none."""
    near = get_close_matches(setting.name.rsplit(".", 1)[-1], names, 3, 0.6)
    return f"; did you mean {', '.join(map(repr, near))}?" if near else ""


def _by_script(known: Iterable[Trainer], pairs: Pairs) -> list[Trainer]:
    """The trainers to which the script belongs."""
    name = _basename(pairs.script)
    return [
        trainer
        for trainer in known
        if name and any(fnmatchcase(name, pattern) for pattern in trainer.scripts)
    ]


def _by_marks(known: Iterable[Trainer], pairs: Pairs) -> list[Trainer]:
    """The trainers of which the settings hold the most marks, at least one."""
    marks = {
        trainer.name: sum(
            any(fnmatchcase(one.name, mark) for one in pairs.settings) for mark in trainer.marks
        )
        for trainer in known
    }
    most = max(marks.values())
    return [trainer for trainer in known if most and marks[trainer.name] == most]


def _strangers(trainer: Trainer, pairs: Pairs) -> int:
    """How many settings do not speak for a trainer."""
    return sum(not trainer.speaks_for(setting.name) for setting in pairs.settings)


def _options_of(trainer: Trainer, pairs: Pairs) -> tuple[dict[str, Setting], tuple[Setting, ...]]:
    """The settings by the name of their option, and those that are passed over."""
    given: dict[str, Setting] = {}
    passed_over = []
    for setting in pairs.settings:
        option = trainer.option_of(setting.name)
        if option is not None:
            _refuse_second(given.get(option.name), setting, option)
            given[option.name] = setting
        elif trainer.passes_over(setting.name):
            passed_over.append(setting)
        else:
            raise _unknown_option(trainer, setting)
    for name, setting in given.items():  # a wrong value is refused even where nothing reads it
        trainer.options[name].value(setting)
    return given, tuple(passed_over)


def _refuse_second(first: Setting | None, second: Setting, option: Option) -> None:
    """Refuse an option that is given twice with different values."""
    if first is None or option.value(first) == option.value(second):
        return
    raise ValueError(
        f"{option.name} is given twice: {first.value!r} ({first.where}) and {second.value!r} "
        f"({second.where}); leave one out"
    )


def _unknown_option(trainer: Trainer, setting: Setting) -> ValueError:
    """The error for an option that a trainer does not know."""
    hint = _near(setting, _names(trainer)) or "."
    return ValueError(
        f"unknown option {brief(setting.name)} ({cut(setting.where)}) of {trainer.title}{hint} "
        "Leave it out if it has nothing to do with the loss. Options that count: "
        f"{', '.join(trainer.options)}"
    )


def _checked_model(trainer: Trainer, model: str | None) -> str | None:
    """The model that was named, if the trainer has it."""
    if model is None:
        return None
    require(trainer.models, f"{trainer.title} takes no model: leave model out, got {model!r}")
    if model not in trainer.models:
        raise unknown("model", model, trainer.models)
    return model


def _refuse_unread(trainer: Trainer, values: Values) -> None:
    """Refuse ``model`` and ``tokens`` where nothing depends on them."""
    for name, value in {"model": values.model, "tokens": values.tokens}.items():
        require(
            value is None or name in values.read,
            f"{name}={value!r} has no effect on these settings of {trainer.title}: leave it out",
        )


def _without_effect(values: Values, reading: Reading) -> tuple[str, ...]:
    """Why options that were given have no effect, each a sentence."""
    told = {sentence.split(" ", 1)[0].rstrip(",") for sentence in reading.no_effect}
    silent = [name for name in values.given if name not in values.read and name not in told]
    return (*reading.no_effect, *(f"{name} has no effect with these settings." for name in silent))


def _lines(values: Values) -> list[Line]:
    """The options that were given or whose defaults count."""
    lines = []
    for name, option in values.options.items():
        setting = values.given.get(name)
        if setting is None and name not in values.read:
            continue
        lines.append(
            Line(
                name=name,
                value=option.default if setting is None else option.value(setting),
                where="default" if setting is None else setting.where,
                meaning=option.meaning,
                has_effect=name in values.read,
            )
        )
    return lines


@dataclass(frozen=True, eq=False)
class AsMeasured:
    """An objective in the form of a measured loss without errors, so that entries can be compared.

    Args:
        objective: The objective.
    """

    objective: Objective

    @property
    def kind(self) -> str:
        """Name of the target."""
        return self.objective.target.name

    @property
    def discrete(self) -> bool:
        """Whether the objective trains on a table of levels."""
        return atomic(self.objective.law) is not None

    def edges(self, bins: int = 160, mass: float = 0.998) -> NDArray:
        """Edges of bins of equal width over the central ``mass`` of the draws."""
        low, high = self.objective.law.ppf([(1 - mass) / 2, (1 + mass) / 2])
        return np.linspace(low, high, bins + 1)

    def weighting(self, edges: ArrayLike) -> tuple[NDArray, NDArray]:
        """The weighting averaged over each bin, and 0 for its standard error."""
        ends = np.asarray(edges, dtype=float)
        half = np.diff(ends) / 2
        logsnr = ends[:-1] + half * (1 + NODES[:, None])
        w = SHARES @ self.objective.weighting(logsnr)
        return w, np.zeros_like(w)

    def levels(self) -> tuple[NDArray, NDArray, NDArray]:
        """Levels in nats, their masses, and the factor at each, shapes (T,)."""
        table = atomic(self.objective.law)
        assert table is not None  # asked for only where ``discrete`` holds
        return table.levels, table.mass, self.objective.factor(table.levels)


def nearest_entry(objective: Objective) -> str:
    """The entry of the catalogue that is nearest to an objective, in words.

    Args:
        objective: The objective.

    Returns:
        Its name with the largest deviation over the central part of what the objective draws.
    """
    matches = closest(AsMeasured(objective), 1)
    if not matches:
        return "none, since no entry has weight over what these settings draw"
    (match,) = matches
    table = f", {match.table}" if match.table else ""
    return f"{match.name} (deviates by {match.deviation:.2%} at most, at λ = {match.at:.1f}{table})"
