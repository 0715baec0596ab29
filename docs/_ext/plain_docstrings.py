"""Read docstrings as plain text: |x| and * are themselves, and an indented formula keeps its lines.

The docstrings are written for a terminal. reStructuredText would take |b − a| for a substitution,
(n, *shape) for emphasis and an indented formula for a quotation.
"""

import ast
import re
import sys
from collections.abc import Iterator
from copy import copy
from functools import cache
from pathlib import Path
from typing import TypeAlias

from sphinx.application import Sphinx

SECTION = re.compile(r"(Args|Returns|Raises|Yields|Example|Examples|Attributes|Note):$")
Definition: TypeAlias = ast.ClassDef | ast.FunctionDef

LITERAL = re.compile(r"(``.*?``)")


def escaped(line: str) -> str:
    """A line whose bars and stars outside of literals mean themselves."""
    parts = LITERAL.split(line)
    parts[::2] = [re.sub(r"([|*])", r"\\\1", text) for text in parts[::2]]
    return "".join(parts)


def with_literal_blocks(lines: list[str]) -> list[str]:
    """The lines of a description, each indented block marked as one to be shown as it is."""
    marked: list[str] = []
    inside = False
    for line in lines:
        indented = line.startswith("    ")
        if indented and not inside and (not marked or not marked[-1].strip()):
            marked += ["::", ""]
            inside = True
        elif line.strip() and not indented:
            inside = False
        marked.append(line if inside else escaped(line))
    return marked


def process(
    app: Sphinx, kind: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """Change the lines of one docstring in place, before its sections are read."""
    stripped = [line.rstrip() for line in lines]
    first = next((i for i, line in enumerate(stripped) if SECTION.match(line)), len(stripped))
    examples = next(
        (i for i, line in enumerate(stripped) if re.match(r"Examples?:$", line)), len(stripped)
    )
    sections = [escaped(line) for line in stripped[first:examples]] + stripped[examples:]
    lines[:] = with_literal_blocks(stripped[:first]) + sections


def signature_in_source(thing: object) -> tuple[str, str] | None:
    """Arguments and result as the source writes them, so that ArrayLike stays ArrayLike."""
    name = getattr(thing, "__qualname__", "")
    node = definitions(getattr(thing, "__module__", None) or "").get(name)
    if isinstance(node, ast.ClassDef):
        return class_signature(node)
    if node is None:
        return None
    return arguments(node), ast.unparse(node.returns) if node.returns else ""


@cache
def definitions(module: str) -> dict[str, Definition]:
    """The classes and functions of a module by qualified name; its source is read once."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None or not file.endswith(".py"):
        return {}
    return dict(defined_in(ast.parse(Path(file).read_text(encoding="utf-8"))))


def defined_in(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, Definition]]:
    """The definitions within a module or a class, with their qualified names."""
    for one in ast.iter_child_nodes(node):
        if isinstance(one, ast.ClassDef | ast.FunctionDef):
            yield prefix + one.name, one
        if isinstance(one, ast.ClassDef):
            yield from defined_in(one, f"{prefix}{one.name}.")
        elif not isinstance(one, ast.FunctionDef):  # such as under a condition
            yield from defined_in(one, prefix)


def arguments(node: ast.FunctionDef) -> str:
    """The arguments of a function without ``self`` and ``cls``."""
    own = copy(node.args)
    own.args = [one for one in node.args.args if one.arg not in ("self", "cls")]
    return f"({ast.unparse(own)})"


def class_signature(node: ast.ClassDef) -> tuple[str, str] | None:
    """The arguments of ``__init__``, or the fields of a dataclass."""
    for one in node.body:
        if isinstance(one, ast.FunctionDef) and one.name == "__init__":
            return arguments(one), ""
    if not any("dataclass" in ast.unparse(one) for one in node.decorator_list):
        return None
    fields = [ast.unparse(one) for one in node.body if isinstance(one, ast.AnnAssign)]
    return f"({', '.join(fields)})", ""


def shorten(
    app: Sphinx, kind: str, name: str, thing: object, options: object, signature: str, returns: str
) -> tuple[str | None, str | None]:
    """Replace a signature whose types NumPy has written out as long unions."""
    found = signature_in_source(thing) if kind in ("function", "method", "class") else None
    return found or (signature, returns)


def setup(app: Sphinx) -> dict[str, bool]:
    """Process docstrings before napoleon does."""
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("autodoc-process-docstring", process, priority=100)
    app.connect("autodoc-process-signature", shorten)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
