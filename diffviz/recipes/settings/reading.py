"""Settings as people have them: a command line, TOML, YAML or JSON, a file of these, or a mapping.

What is read is a list of names and values with the place where each stands. What they mean is for
the trainers to say.
"""

import json
import os
import re
import shlex
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import yaml

from diffviz.checks import require
from diffviz.delimited import text_of

DASHES = "-–—"  # word processors and web pages make the longer ones of "--"
OPTION = re.compile(rf"[{DASHES}]+[A-Za-z]")
PAIR = re.compile(r"(?:export\s+|set\s+)?([A-Za-z_][\w.]*)=(.*)", re.DOTALL)
CONTINUED = re.compile(r"[\\^`][ \t]*\r?\n")  # line breaks of sh, cmd and PowerShell
COMMENT_LINE = re.compile(r"^[ \t]*(#|::|REM\s).*\n?", re.MULTILINE)
COMMENT = re.compile(r"\s#[^\n'\"]*$", re.MULTILINE)
FENCE = re.compile(r"^[ \t]*(```|~~~).*\n?", re.MULTILINE)  # around code in Markdown
SHELL_LINE = re.compile(r"^[ \t]*(set [-+]|echo )[^\n]*$", re.MULTILINE)  # runs no trainer
ARRAY = re.compile(r"^[ \t]*(\w+)\+?=\((.*?)\)[ \t]*$", re.MULTILINE | re.DOTALL)  # of bash
ELEMENTS = re.compile(r"[\"']?\$\{(\w+)\[[@*]\]\}[\"']?")  # of an array
DEFAULT = re.compile(r"\$\{(\w+)(:?)-([^{}]*)\}")  # a variable with what counts where it is not set
PERCENT = re.compile(r"%(\w+)%")  # a variable of cmd
UNSET = re.compile(r"\$\{?\w|%\w+%$")  # a variable that no line sets
SEVERAL = re.compile(r"ARGS|OPTIONS|OPTS|FLAGS|PARAMS", re.IGNORECASE)  # what may hold options
WINDOWS_PATH = re.compile(r"(^|[\s\"'=])([A-Za-z]:|\.{1,2})\\")
LAUNCHER_FLAGS = ("--multi_gpu", "--standalone", "--use_deepspeed", "--use_fsdp", "--debug")
SEPARATORS = frozenset({"&&", "||", ";", "&"})
OUTPUT = re.compile(r"\||(\d|&)?>{1,2}(&\d)?.*")  # where the output of a command goes
FORMS = {".toml": "TOML", ".yaml": "YAML", ".yml": "YAML", ".json": "JSON"}
SUFFIXES = (*FORMS, ".sh", ".bat", ".cmd", ".ps1", ".txt")
ANSWER = frozenset({"trainer", "sentence", "nearest", "options"})  # keys of explain's own answer


@dataclass(frozen=True)
class Setting:
    """A name with its value.

    Args:
        name: Name without dashes, "_" for "-"; of nested files the dotted path.
        value: Text of a command line, True for an option without a value, a tuple of text for
            several; in files what stands there.
        where: Where it stands, in words.
    """

    name: str
    value: Any
    where: str


@dataclass(frozen=True)
class Pairs:
    """What a text says.

    Args:
        settings: The settings in their order.
        script: The script of a command line, as it stands there; empty where there is none.
        form: "command line", "TOML", "YAML", "JSON" or "arguments".
    """

    settings: tuple[Setting, ...]
    script: str = ""
    form: str = "arguments"


def read(source: str | Path | Mapping[str, Any]) -> Pairs:
    """The settings in a text, a file or a mapping.

    Args:
        source: A command line, TOML, YAML or JSON; the path of a file with one of these; or a
            mapping, which may be nested.

    Returns:
        The settings.

    Raises:
        OSError: The file cannot be opened.
        TypeError: The source is of another kind.
        ValueError: The text holds no settings, more than one command, or cannot be parsed.
    """
    if isinstance(source, Mapping):
        return Pairs(tuple(flat(source, "argument")), form="arguments")
    if isinstance(source, Path):
        return read_file(source)
    if not isinstance(source, str):
        raise TypeError(
            f"settings are text, a path or a mapping, got {type(source).__name__}; of a list of "
            "words pass shlex.join(words), of a namespace vars(namespace)"
        )
    if _names_file(source):
        return read_file(Path(source.strip()))
    return read_text(source)


def read_file(path: Path) -> Pairs:
    """The settings in a file.

    Args:
        path: The file.

    Returns:
        The settings.

    Raises:
        OSError: The file cannot be opened.
        ValueError: As for ``read_text``; the message begins with the name of the file.
    """
    text = text_of(path)
    try:
        return read_text(text, path.suffix)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _names_file(text: str) -> bool:
    """Whether a text is the path of a file; an error if it looks like one that is not there."""
    stripped = text.strip()
    if not stripped or "\n" in stripped:
        return False
    if os.path.exists(stripped):  # Path.exists raises an error where a text is too long for a path
        return True
    is_path = stripped.lower().endswith(SUFFIXES) and not re.search(r"\s|=", stripped)
    require(not is_path, f"there is no file {stripped!r}", FileNotFoundError)
    return False


def read_text(text: str, suffix: str = "") -> Pairs:
    """The settings in a text.

    Args:
        text: A command line, TOML, YAML or JSON.
        suffix: Ending of the file that it comes from, if any, such as ".toml".

    Returns:
        The settings.

    Raises:
        ValueError: The text holds no settings, more than one command, or cannot be parsed.
    """
    text = FENCE.sub("", text.removeprefix("\ufeff"))
    suffix = suffix.lower()
    require(text.strip(), "the settings are empty: paste a command line, TOML, YAML or JSON")
    if suffix not in FORMS and _is_command(text):
        return read_command(text)
    form, content = parsed(text, suffix)
    require(
        not content.keys() >= ANSWER,
        "this is an answer of explain, not settings: give the settings that it was made from",
    )
    return Pairs(tuple(flat(content, "key")), form=form)


# --- files ----------------------------------------------------------------------------------------


def parsed(text: str, suffix: str = "") -> tuple[str, Mapping[str, Any]]:
    """The table of names and values in TOML, YAML or JSON.

    Args:
        text: The text.
        suffix: Ending of its file; where there is none, each form is tried.

    Returns:
        Name of the form, and the table.

    Raises:
        ValueError: The text is none of the forms, is no table, or names a key twice.
    """
    parsers: Mapping[str, Callable[[str], Any]]
    parsers = {"JSON": _json, "TOML": tomllib.loads, "YAML": _yaml}
    named = FORMS.get(suffix)
    looks_like_json = text.lstrip().startswith("{")
    forms = [named] if named else (["JSON", "YAML"] if looks_like_json else ["TOML", "YAML"])
    errors = []
    for form in forms:
        try:
            content = parsers[form](text)
        except GivenTwice:
            raise
        except (ValueError, yaml.YAMLError, RecursionError) as error:
            errors.append(f"{form}: {' '.join(str(error).split())}")
            continue
        if isinstance(content, Mapping) and content:
            return form, content
        errors.append(f"{form}: no table of names and values")
    raise ValueError(
        f"the settings cannot be read ({'; '.join(errors)}): "
        "paste a command line, TOML, YAML or JSON"
    )


class GivenTwice(ValueError):
    """A table names a key twice; its form is known then."""


def _refuse_twice(keys: Iterable[Any]) -> None:
    """Refuse a table that names a key twice, of which a parser would keep the last."""
    for key, times in Counter(map(str, keys)).items():
        require(times == 1, f"{key} is given twice in one table; leave one out", GivenTwice)


def _json(text: str) -> Any:
    """The content of JSON."""
    return json.loads(text, object_pairs_hook=_table)


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A table of JSON, whose keys differ."""
    _refuse_twice(key for key, _ in pairs)
    return dict(pairs)


class _Loader(yaml.SafeLoader):
    """YAML's loader without code, which refuses a key that is given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A table, whose keys differ before others are merged into it."""
        _refuse_twice(key.value for key, _ in node.value if key.value != "<<")
        return super().construct_mapping(node, deep)


def _yaml(text: str) -> Any:
    """The content of YAML."""
    return yaml.load(text, Loader=_Loader)  # which derives from the safe loader


def flat(content: Mapping[str, Any], kind: str, prefix: str = "") -> Iterator[Setting]:
    """The leaves of nested tables.

    Args:
        content: The table. Lists of tables are numbered from 0; other lists are values. Dashes
            before a name are dropped.
        kind: What ``where`` calls a name, "key" or "argument".
        prefix: Dotted path of the table.

    Yields:
        The settings with their dotted paths.
    """
    for key, value in content.items():
        name = f"{prefix}{str(key).lstrip('-')}".replace("-", "_")
        if isinstance(value, Mapping):
            yield from flat(value, kind, f"{name}.")
        elif _holds_tables(value):
            numbered = {str(index): each for index, each in enumerate(value)}
            yield from flat(numbered, kind, f"{name}.")
        else:
            yield Setting(name, value, f"{kind} {name}")


def _holds_tables(value: Any) -> bool:
    """Whether a value is a list of tables."""
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and any(isinstance(each, Mapping) for each in value)
    )


# --- command lines --------------------------------------------------------------------------------


def one_line_each(text: str) -> str:
    """Commands without comments, each on one line.

    Args:
        text: Commands of a shell. A line that is commented out may stand between others.

    Returns:
        The commands.
    """
    plain = SHELL_LINE.sub("", COMMENT_LINE.sub("", text))
    return COMMENT.sub("", CONTINUED.sub(" ", plain))


def _is_command(text: str) -> bool:
    """Whether a text is a command line: it has options with dashes, or name=value alone."""
    plain = one_line_each(text)
    if re.search(rf"(^|\s)([{DASHES}]{{2}}[A-Za-z]|—[A-Za-z]|\S+\.py(\s|$))", plain):
        return not _is_table(text)
    words = plain.split()
    quoted = re.search(r"['\"\[{]", plain)
    return not quoted and len(words) > 0 and all(PAIR.fullmatch(word) for word in words)


def _is_table(text: str) -> bool:
    """Whether a text is a file of names and values, though a value looks like an option."""
    try:
        _, content = parsed(text)
    except GivenTwice:
        return True
    except ValueError:
        return False
    return not any(re.search(rf"\s|^[{DASHES}]", str(key)) for key in content)


def read_command(text: str) -> Pairs:
    """The settings of one command line, with the variables that are set before it.

    Args:
        text: The command line, perhaps with ``export NAME=value`` lines before it. The options of a
            launcher, which stand before the script, are left out.

    Returns:
        The settings and the script.

    Raises:
        ValueError: There is more than one script, or a quotation is not closed.
    """
    words = _command_words(text)
    places = [at for at, word in enumerate(words) if _is_script(words, at)]
    scripts = [words[at] for at in places]
    require(
        len(places) <= 1,
        f"the text holds more than one command ({', '.join(scripts)}): give one at a time",
    )
    start = places[0] + 1 if places else 0
    script = scripts[0] if scripts else ""
    return Pairs(tuple(_options(_arguments(words[start:]))), script, form="command line")


def _command_words(text: str) -> list[str]:
    """The words of a command, with the variables that lines before it set filled in."""
    variables: dict[str, str] = {}
    words: list[str] = []
    for line in _with_arrays(one_line_each(text)).splitlines():
        parts = _split(line)
        assignment = PAIR.fullmatch(" ".join(parts))
        is_variable = line.lstrip().startswith(("export ", "set ")) or _is_constant(parts)
        if assignment and is_variable:
            variables[assignment[1]] = _filled(assignment[2], variables)
        else:
            words += [word for part in parts for word in _expanded(part, variables)]
    return words


def _split(line: str) -> list[str]:
    """The words of a line, as a shell splits it."""
    if WINDOWS_PATH.search(line):  # where a backslash escapes nothing
        line = line.replace("\\", "/")
    try:
        return shlex.split(line)
    except ValueError as error:
        raise ValueError(f"the command line cannot be read ({error}): {line.strip()}") from None


def _with_arrays(text: str) -> str:
    """Commands with the arrays of bash written out where their elements are asked for."""
    arrays: dict[str, str] = {}
    for name, elements in ARRAY.findall(text):
        arrays[name] = f"{arrays.get(name, '')} {' '.join(elements.split())}"
    rest = ARRAY.sub("", text)
    return ELEMENTS.sub(lambda match: arrays.get(match[1], match[0]), rest)


def _filled(word: str, variables: Mapping[str, str]) -> str:
    """A word with the variables in it, of sh and of cmd; those that are not set stay."""
    word = DEFAULT.sub(lambda match: _or_default(match, variables), word)
    plain = PERCENT.sub(lambda match: variables.get(match[1], match[0]), word)
    return Template(plain).safe_substitute(variables)


def _or_default(match: re.Match[str], variables: Mapping[str, str]) -> str:
    """The value of a variable, or its default where no line sets it; with ":" also if empty."""
    name, colon, default = match.groups()
    value = variables.get(name)
    return default if value is None or (colon and not value) else value


def _expanded(word: str, variables: Mapping[str, str]) -> list[str]:
    """The words that a word stands for: a variable alone may hold several options."""
    filled = _filled(word, variables)
    if filled != word and OPTION.match(filled) and not OPTION.match(word):
        return _split(filled)
    return [filled]


def _arguments(words: list[str]) -> Iterator[str]:
    """The words after a script that are its own: not where the output goes, nor a last "&"."""
    for at, word in enumerate(words):
        if OUTPUT.fullmatch(word) or (word in ("&", ";") and at == len(words) - 1):
            return
        is_value = at > 0 and OPTION.match(words[at - 1]) and not SEVERAL.search(word)
        require(
            is_value or not UNSET.match(word),
            f"{word} is not set in the text, and may hold options: write them out",
        )
        yield word


def _is_constant(parts: list[str]) -> bool:
    """Whether a line sets one variable in capitals, as in shell scripts."""
    return len(parts) == 1 and re.match(r"[A-Z][A-Z0-9_]*=", parts[0]) is not None


def _is_script(words: list[str], at: int) -> bool:
    """Whether a word names what is run: a Python file, or the module after -m."""
    if at > 0 and _takes_value(words[at - 1]):
        return False
    if at > 0 and words[at - 1] == "-m":
        return not words[at].startswith(("accelerate", "torch.distributed"))
    return words[at].endswith(".py") and "=" not in words[at]


def _takes_value(word: str) -> bool:
    """Whether the next word is the value of an option."""
    is_open = OPTION.match(word) is not None and "=" not in word
    return is_open and word not in ("-m", *LAUNCHER_FLAGS)


def _options(words: Iterable[str]) -> Iterator[Setting]:
    """The options among words, each with the words that follow it up to the next."""
    name = ""
    values: list[str] = []
    for word in words:
        require(
            word not in SEPARATORS,
            f"the text holds more than one command (at {word!r}): give one at a time",
        )
        pair = PAIR.fullmatch(word)
        if OPTION.match(word):
            yield from _option(name, values)
            name, _, value = word.partition("=")
            values = [value] if "=" in word else []
        elif not name and pair:
            yield Setting(pair[1].replace("-", "_"), pair[2], pair[1])
        else:
            values.append(word)
    yield from _option(name, values)


def _option(name: str, values: list[str]) -> Iterator[Setting]:
    """The setting of an option with its values; none for words before the first option."""
    if not name:
        return
    several = tuple(values) if values else True
    value = values[0] if len(values) == 1 else several
    yield Setting(name.lstrip(DASHES).replace("-", "_"), value, name)
