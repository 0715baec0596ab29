"""Settings as people have them: a command line, TOML, YAML or JSON, a file of these, or a mapping.

What is read is a list of names and values with the place where each stands. What they mean is for
the trainers to say.
"""

import json
import os
import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import yaml

from diffviz.checks import require

OPTION = re.compile(r"--?[A-Za-z]")
PAIR = re.compile(r"(?:export\s+|set\s+)?([A-Za-z_][\w.]*)=(.*)", re.DOTALL)
CONTINUED = re.compile(r"[\\^`][ \t]*\r?\n")  # line breaks of sh, cmd and PowerShell
COMMENT_LINE = re.compile(r"^[ \t]*(#|::|REM\s).*\n?", re.MULTILINE)
COMMENT = re.compile(r"\s#[^\n'\"]*$", re.MULTILINE)
SEPARATORS = frozenset({"&&", "||", "|", ";", "&"})
SUFFIXES = (".toml", ".yaml", ".yml", ".json", ".sh", ".bat", ".txt")


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
        return read_text(source.read_text(encoding="utf-8"), source.suffix)
    if not isinstance(source, str):
        raise TypeError(f"settings are text, a path or a mapping, got {type(source).__name__}")
    path = Path(source.strip())
    if _names_file(source):
        return read_text(path.read_text(encoding="utf-8"), path.suffix)
    return read_text(source)


def _names_file(text: str) -> bool:
    """Whether a text is the path of a file; an error if it looks like one that is not there."""
    stripped = text.strip()
    if not stripped or "\n" in stripped:
        return False
    if os.path.isfile(stripped):  # Path.is_file raises an error where a text is too long for a path
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
    require(text.strip(), "the settings are empty: paste a command line, TOML, YAML or JSON")
    if suffix in ("", ".sh", ".bat", ".txt") and _is_command(text):
        return read_command(text)
    form, content = parsed(text, suffix)
    require(
        isinstance(content, Mapping) and content,
        f"the settings are no table of names and values ({form}): "
        "paste a command line, TOML, YAML or JSON",
    )
    return Pairs(tuple(flat(content, "key")), form=form)


# --- files ----------------------------------------------------------------------------------------


def parsed(text: str, suffix: str = "") -> tuple[str, Any]:
    """The content of TOML, YAML or JSON.

    Args:
        text: The text.
        suffix: Ending of its file; where there is none, each form is tried.

    Returns:
        Name of the form, and the content.

    Raises:
        ValueError: The text is none of the forms.
    """
    parsers = {"JSON": json.loads, "TOML": tomllib.loads, "YAML": yaml.safe_load}
    named = {".toml": "TOML", ".yaml": "YAML", ".yml": "YAML", ".json": "JSON"}.get(suffix)
    looks_like_json = text.lstrip().startswith("{")
    forms = [named] if named else (["JSON", "YAML"] if looks_like_json else ["TOML", "YAML"])
    errors = []
    for form in forms:
        try:
            return form, parsers[form](text)
        except (ValueError, yaml.YAMLError) as error:
            errors.append(f"{form}: {' '.join(str(error).split())}")
    raise ValueError(f"the settings cannot be read ({'; '.join(errors)})")


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
    return COMMENT.sub("", CONTINUED.sub(" ", COMMENT_LINE.sub("", text)))


def _is_command(text: str) -> bool:
    """Whether a text is a command line: it has options with dashes, or name=value alone."""
    plain = one_line_each(text)
    if re.search(r"(^|\s)(--[A-Za-z]|\S+\.py(\s|$))", plain):
        return True
    words = plain.split()
    quoted = re.search(r"['\"\[{]", plain)
    return not quoted and len(words) > 0 and all(PAIR.fullmatch(word) for word in words)


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
    words, variables = _command_words(text)
    places = [at for at, word in enumerate(words) if _is_script(words, at)]
    scripts = [words[at] for at in places]
    require(
        len(places) <= 1,
        f"the text holds more than one command ({', '.join(scripts)}): give one at a time",
    )
    start = places[0] + 1 if places else 0
    filled = [Template(word).safe_substitute(variables) for word in words[start:]]
    return Pairs(tuple(_options(filled)), script=scripts[0] if scripts else "", form="command line")


def _command_words(text: str) -> tuple[list[str], dict[str, str]]:
    """The words of a command, and the variables that lines before it set."""
    variables: dict[str, str] = {}
    words: list[str] = []
    for line in one_line_each(text).splitlines():
        try:
            parts = shlex.split(line)
        except ValueError as error:
            raise ValueError(f"the command line cannot be read ({error}): {line.strip()}") from None
        assignment = PAIR.fullmatch(" ".join(parts))
        is_variable = line.lstrip().startswith(("export ", "set ")) or _is_constant(parts)
        if assignment and is_variable:
            value = Template(assignment[2]).safe_substitute(variables)
            variables[assignment[1]] = value
        else:
            words += parts
    return words, variables


def _is_constant(parts: list[str]) -> bool:
    """Whether a line sets one variable in capitals, as in shell scripts."""
    return len(parts) == 1 and re.match(r"[A-Z][A-Z0-9_]*=", parts[0]) is not None


def _is_script(words: list[str], at: int) -> bool:
    """Whether a word names what is run: a Python file, or the module after -m."""
    if at > 0 and OPTION.match(words[at - 1]) and words[at - 1] != "-m":
        return False  # the value of an option
    if at > 0 and words[at - 1] == "-m":
        return not words[at].startswith(("accelerate", "torch.distributed"))
    return words[at].endswith(".py") and "=" not in words[at]


def _options(words: list[str]) -> Iterator[Setting]:
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
    yield Setting(name.lstrip("-").replace("-", "_"), value, name)
