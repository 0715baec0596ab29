"""Which code a result depends on, as a hash that changes when any of it does.

The imports of a module are read from its source, those inside functions too, and followed through
the package. A package whose names load at their first use, such as ``diffviz`` itself, leads where
its stub ``__init__.pyi`` says. Nothing is executed for this.
"""

import ast
import hashlib
import platform
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from diffviz import extras
from diffviz.checks import require

PACKAGE = Path(__file__).parents[1]
# the files of ``data``, where a wheel puts them and where they are in the repository
DATA_FOLDERS = (PACKAGE / "_data", PACKAGE.parent / "data")
BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")  # fields of ast with statements
LIBRARIES = ("numpy", "scipy", "torch", "torchdiffeq")  # those that results are computed with


class Reference(NamedTuple):
    """What an import statement names.

    Attributes:
        module: A module, such as "diffviz.theory".
        name: A name in it, or "" for the module itself.
    """

    module: str
    name: str = ""


@dataclass(frozen=True)
class Module:
    """A module as its source tells.

    Attributes:
        name: Its full name.
        file: Its source; for a package that of ``__init__``.
        text: What the file holds.
        stub: The text of the stub ``__init__.pyi`` of a package, else empty.
    """

    name: str
    file: Path
    text: bytes
    stub: bytes

    @property
    def package(self) -> str:
        """Name of the package that its relative imports start from."""
        return self.name if self.file.stem == "__init__" else self.name.rpartition(".")[0]


@cache
def find(name: str) -> Module | None:
    """Find the source of a module without importing it.

    Args:
        name: Full name, such as "diffviz.theory.laws".

    Returns:
        The module, or None where it is no source file of a package that is imported.
    """
    root, *rest = name.split(".")
    for folder in getattr(sys.modules.get(root), "__path__", ()):
        place = Path(folder, *rest)
        for file in (place / "__init__.py", place.with_name(f"{place.name}.py")):
            if file.is_file() and (rest or file.parent == place):
                stub = file.with_suffix(".pyi")
                return Module(name, file, file.read_bytes(), _text(stub))
    return None


def _text(file: Path) -> bytes:
    """What a file holds; nothing where there is none."""
    return file.read_bytes() if file.is_file() else b""


# --- imports -----------------------------------------------------------------------------------


def _absolute(node: ast.ImportFrom, package: str) -> str:
    """The full name of the module that ``from ... import`` names."""
    if not node.level:
        return node.module or ""
    parts = package.split(".")
    above = parts[: len(parts) - node.level + 1]
    return ".".join([*above, *filter(None, [node.module])])


def _statements(tree: ast.AST) -> Iterator[ast.AST]:
    """All statements of a module, those inside others too, and what holds them."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for block in BLOCKS:
            waiting.extend(getattr(node, block, ()))


def _bindings(tree: ast.AST, package: str) -> Iterator[tuple[str, Reference]]:
    """The names that import statements bind, each with what it names."""
    for node in _statements(tree):
        if isinstance(node, ast.ImportFrom):
            module = _absolute(node, package)
            for alias in node.names:
                yield alias.asname or alias.name, Reference(module, alias.name)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name.partition(".")[0]
                if alias.asname is None and root != alias.name:
                    yield "", Reference(alias.name)
                yield alias.asname or root, Reference(alias.name if alias.asname else root)


def _uses(tree: ast.AST) -> tuple[dict[str, set[str]], set[str]]:
    """How names are used: the attributes read from each, and the names used in another way."""
    attributes: dict[str, set[str]] = {}
    occurrences: Counter[str] = Counter()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            occurrences[node.id] += 1
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            attributes.setdefault(node.value.id, set()).add(node.attr)
            occurrences[node.value.id] -= 1
    return attributes, {name for name, times in occurrences.items() if times > 0}


@cache
def _public(package: str) -> dict[str, Reference]:
    """Where the names of a package come from by its stub; empty where there is no stub."""
    module = find(package)
    tree = ast.parse(module.stub if module else b"")
    return {name: place for name, place in _bindings(tree, package) if name}


def _steps(reference: Reference) -> list[Reference]:
    """Where a reference leads next; a whole package leads to all that its stub names."""
    module, name = reference
    public = _public(module)
    if name in public and public[name] != reference:
        return [public[name]]
    if name and find(inner := f"{module}.{name}"):
        return [Reference(inner)]
    return list(public.values()) if name in ("", "*") else []


def _resolved(references: Iterable[Reference]) -> set[str]:
    """The modules that references lead to."""
    seen: set[Reference] = set()
    waiting = list(references)
    while waiting:
        reference = waiting.pop()
        if reference not in seen:
            seen.add(reference)
            waiting.extend(_steps(reference))
    return {reference.module for reference in seen}


@cache
def imports(name: str) -> frozenset[str]:
    """The modules that a module imports, as far as their source is found.

    Args:
        name: Full name of the module.

    Returns:
        Full names, the packages that hold them among them. Of a package with a stub that is only
        asked for attributes (``dv.fit``), these count; else all that the stub names.
    """
    module = find(name)
    if module is None:
        return frozenset()
    tree = ast.parse(module.text)
    uses = cache(partial(_uses, tree))  # which few modules need
    own = {name.partition(".")[0], PACKAGE.name}
    asked: set[Reference] = set()
    for local, reference in _bindings(tree, module.package):
        if reference.module.partition(".")[0] not in own:
            continue  # a library, of which the version counts
        whole = ".".join(filter(None, reference))
        if local and _public(whole) and local not in uses()[1]:
            read = uses()[0].get(local, ())
            asked.update(Reference(whole, attribute) for attribute in read)
        else:
            asked.add(reference)
    reached = _resolved(asked)
    parents = {one.rpartition(".")[0] for one in (*reached, name)}
    return frozenset(one for one in reached | parents if find(one))


@cache
def dependencies(name: str) -> tuple[Module, ...]:
    """A module and all that it imports, directly or through others.

    Args:
        name: Full name of the module.

    Returns:
        The modules whose source is found, by name.

    Example:
        >>> reached = {module.name for module in dependencies("diffviz.theory.laws")}
        >>> "diffviz.checks" in reached, "diffviz.learning.training" in reached
        (True, False)
    """
    reached: set[str] = set()
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current not in reached:
            reached.add(current)
            waiting.extend(imports(current))
    return tuple(module for one in sorted(reached) if (module := find(one)))


# --- the hash ----------------------------------------------------------------------------------


@cache
def surroundings() -> str:
    """Hash of the data files that ship with the package and of the versions of what computes."""
    total = hashlib.sha256()
    for folder in DATA_FOLDERS:
        for file in sorted(folder.glob("*.*")) if folder.is_dir() else ():
            total.update(f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    versions = [f"Python {platform.python_version()}"]
    for library in LIBRARIES:
        try:
            versions.append(f"{library} {metadata.version(library)}")
        except metadata.PackageNotFoundError:
            versions.append(f"no {library}")
    total.update("\n".join(versions).encode())
    return total.hexdigest()


@cache
def fingerprint(module: str) -> str:
    """Hash of all that a result of a module depends on, computed once in a process.

    Args:
        module: Full name of a module of a package that is imported.

    Returns:
        16 hexadecimal digits: of the sources of the module and of all that it imports from its
        package, of the data files that ship with diffviz, and of the versions of Python, NumPy,
        SciPy and torch.

    Raises:
        TypeError: The module is not named by text.
        ValueError: The module has no source file in a package that is imported.

    Example:
        >>> len(fingerprint("diffviz.theory.laws"))
        16
    """
    require(isinstance(module, str), f"module must be named by text, got {module!r}", TypeError)
    require(
        find(module) is not None,
        f"no source of {module!r} is found in a package that is imported; write it to a module of "
        "one",
    )
    total = hashlib.sha256(surroundings().encode())
    for one in dependencies(module):
        for text in (one.text, one.stub):
            total.update(f"{one.name} {hashlib.sha256(text).hexdigest()}\n".encode())
    return total.hexdigest()[:16]


def changed(module: str) -> bool:
    """Whether a source on which a module depends was changed after this process started.

    What is in memory may then be older than the file, so that its results belong to no fingerprint.

    Args:
        module: Full name of the module.

    Returns:
        Whether any file is newer than the process, or gone.

    Example:
        >>> changed("no.such.module")
        False
    """
    try:
        times = [one.file.stat().st_mtime for one in dependencies(module)]
    except OSError:
        return True
    return max(times, default=0.0) >= extras.STARTED
