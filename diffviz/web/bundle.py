"""Several modules of JavaScript as one, for a notebook.

A page loads the modules beside this file as they are. A notebook's widget loads its module from the
text that Python sends, where the address of another module means nothing. So the modules that it
imports are put in front of it, each in a function of its own, in the order of their imports.

Imports have the form ``import { a, b as c } from "./x.js";``, each on one line or on several.

Example:
    >>> from diffviz.web import bundle
    >>> text = bundle.module("widget.js")
    >>> ' from "./' in text, "export default" in text
    (False, True)
"""

import re
from functools import lru_cache
from pathlib import Path

from diffviz import checks

FOLDER = Path(__file__).parent
IMPORT = re.compile(r'^import \{([^}]*)\} from "\./([\w./-]+\.js)";\n', re.M)
ANY_IMPORT = re.compile(r"^(?:import\b|export\b[^;{]*\bfrom\b).*$", re.M)
LONGEST = 200  # characters of the path of a file of the views
DECLARED = re.compile(r"^export ((?:async )?function\*?|class|const|let) (\w+)", re.M)
LISTED = re.compile(r"^export \{([^}]*)\};\n", re.M)
DEFAULT = re.compile(r"^export default ", re.M)


def read(name: str) -> str:
    """The text of a file of the views.

    Args:
        name: Its path inside ``diffviz/web``, such as "chart.js" or "vendor/uPlot.js".

    Returns:
        The text.

    Raises:
        ValueError: There is no such file.
    """
    file = FOLDER / checks.text(name, "name")[:LONGEST]
    if "\0" in name or not file.is_file():
        modules = [path.relative_to(FOLDER).as_posix() for path in sorted(FOLDER.rglob("*.js"))]
        raise checks.unknown("module", name, modules)
    return file.read_text(encoding="utf-8")


@lru_cache
def style() -> str:
    """The style sheets of all views, as one text."""
    return "\n".join(read(name) for name in ("vendor/uPlot.css", "style.css"))


@lru_cache
def module(name: str, local: str = "") -> str:
    """A module with all that it imports, as the text of one.

    Args:
        name: The module, such as "widget.js".
        local: The module that computes in the browser, which takes the place of "local.js"; none
            by default.

    Returns:
        The text, without imports; only the module itself exports.

    Raises:
        ValueError: A module does not exist, imports in another form, or imports itself.
    """
    order: list[str] = []
    places = {"local.js": local} if local else {}
    _visit(name, places, order, ())
    parts = [_scoped(each, places) for each in order[:-1]]
    return "".join([*parts, _linked(read(name), places)])


def _visit(name: str, places: dict[str, str], order: list[str], path: tuple[str, ...]) -> None:
    """Put a module at the end of the order, after those that it imports."""
    if name in path:
        raise ValueError(f"modules import each other: {' -> '.join([*path, name])}")
    if name in order:
        return
    for _, other in IMPORT.findall(read(name)):
        _visit(places.get(other, other), places, order, (*path, name))
    order.append(name)


def _variable(name: str) -> str:
    """The variable that holds the exports of a module."""
    return "module_" + re.sub(r"\W", "_", name)


def _pairs(names: str) -> list[tuple[str, str]]:
    """Pairs of a name and its alias, of the names between the braces."""
    parts = [part.split(" as ") for part in map(str.strip, names.split(",")) if part]
    return [(part[0].strip(), part[-1].strip()) for part in parts]


def _linked(text: str, places: dict[str, str]) -> str:
    """A module's text with its imports taken from the variables of those modules."""

    def constant(found: re.Match[str]) -> str:
        names = ", ".join(": ".join(pair) for pair in _pairs(found[1]))
        other = places.get(found[2], found[2])
        return f"const {{ {names} }} = {_variable(other)};\n"

    linked = IMPORT.sub(constant, text)
    left = ANY_IMPORT.search(linked)
    if left:
        raise ValueError(
            f'an import must have the form import {{ a }} from "./x.js";, got {left[0]}'
        )
    return linked


def _scoped(name: str, places: dict[str, str]) -> str:
    """A module as a function that returns its exports, called once."""
    text = _linked(read(name), places)
    if DEFAULT.search(text):
        raise ValueError(f"{name} is imported by others, so it must not export a default")
    exports = [(own, own) for _, own in DECLARED.findall(text)]
    for names in LISTED.findall(text):
        exports += _pairs(names)
    body = LISTED.sub("", DECLARED.sub(r"\1 \2", text))
    listed = ", ".join(f"{alias}: {own}" for own, alias in exports)
    return f"const {_variable(name)} = (() => {{\n{body}\nreturn {{ {listed} }};\n}})();\n"
