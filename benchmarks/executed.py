"""Which test executes which line of the package: what a mutant is met with first.

Each test file runs once in a fork of the calling process, under coverage.py with a context for each
test. What was seen is kept by file, with the sources of the package, and measured again when the
test file has changed. Lines of the package that have moved since are followed.

A line that runs when its module is imported belongs to no test, such as a default, a constant or an
entry of the catalogue. Then the tests count that execute a function which uses the name.
"""

import ast
import difflib
import hashlib
import importlib
import json
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

Lines = dict[str, set[int]]  # lines by file of the package
SOURCES = "sources"  # the folder of the sources, by their digests
MODULE_LEVEL = ""  # the context of what runs while modules are imported


@dataclass(frozen=True)
class Executed:
    """What the tests of some files execute.

    Attributes:
        seconds: Processor time of each test, by its name.
        tests: Names of the tests by file and line.
    """

    seconds: dict[str, float]
    tests: dict[str, dict[int, frozenset[str]]]

    def by(self, file: str, lines: Iterator[int] | Sequence[int] | set[int]) -> set[str]:
        """Names of the tests that execute one of some lines."""
        of_file = self.tests.get(file, {})
        return {name for line in lines for name in of_file.get(line, ())}


class Recorder:
    """A plugin of pytest that names the context of each test, and notes its time."""

    def __init__(self, coverage: Any) -> None:
        self.coverage = coverage
        self.seconds: dict[str, float] = {}

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Begin the context of a test."""
        self.coverage.switch_context(nodeid)
        self.seconds[nodeid] = time.process_time()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """End it."""
        self.seconds[nodeid] = time.process_time() - self.seconds[nodeid]
        self.coverage.switch_context(MODULE_LEVEL)


def recorded(place: Path, run: Callable[[list[Any]], int]) -> dict[str, Any]:
    """What one run of pytest executes below a place.

    Args:
        place: A copy of the repository.
        run: Runs pytest with some plugins, and returns its code.

    Returns:
        Code, seconds by test, and lines by test and file.
    """
    coverage = importlib.import_module("coverage").Coverage(
        data_file=None, config_file=False, include=[f"{place}/diffviz/*"]
    )
    coverage.start()
    recorder = Recorder(coverage)
    try:
        code = run([recorder])
    finally:
        coverage.stop()
    return {"code": int(code), "seconds": recorder.seconds, "lines": lines_of(coverage, place)}


def lines_of(coverage: Any, place: Path) -> dict[str, dict[str, list[int]]]:
    """Lines by test and by file of the package, from what coverage.py has seen."""
    data = coverage.get_data()
    found: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for file in sorted(data.measured_files()):
        short = os.path.relpath(file, place)
        for line, contexts in sorted(data.contexts_by_lineno(file).items()):
            for context in contexts:
                if context != MODULE_LEVEL:
                    found[context][short].append(line)
    return found


# --- what is kept --------------------------------------------------------------------------------


def digest(*files: Path) -> str:
    """A few letters that change with the content of some files."""
    total = hashlib.sha256()
    for file in files:
        total.update(file.read_bytes())
    return total.hexdigest()[:16]


@cache
def digest_of(file: Path) -> str:
    """The digest of a file, which does not change while this runs."""
    return digest(file)


def record_of(file: str, folder: Path) -> Path:
    """Where what a test file executes is kept."""
    return folder / f"{file.replace('/', '-')}.json"


def is_known(file: str, root: Path, folder: Path) -> bool:
    """Whether a record is there, of this test file as it is now."""
    record = record_of(file, folder)
    if not record.exists():
        return False
    return json.loads(record.read_text(encoding="utf-8"))["test"] == digest(root / file)


def keep(file: str, root: Path, folder: Path, seen: dict[str, Any]) -> None:
    """Write the record of a test file, and the sources whose lines it names."""
    (folder / SOURCES).mkdir(parents=True, exist_ok=True)
    sources = {}
    for one in sorted({name for files in seen["lines"].values() for name in files}):
        sources[one] = digest(root / one)
        copy = folder / SOURCES / sources[one]
        if not copy.exists():
            copy.write_bytes((root / one).read_bytes())
    record = seen | {"test": digest(root / file), "sources": sources}
    place = record_of(file, folder)
    place.with_suffix(".part").write_text(json.dumps(record), encoding="utf-8")
    place.with_suffix(".part").replace(place)


def read(root: Path, folder: Path) -> Executed:
    """All records of a folder, with the lines of the package as it is now."""
    seconds: dict[str, float] = {}
    tests: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    places = Places(root, folder)
    for record in sorted(folder.glob("*.json")):
        kept = json.loads(record.read_text(encoding="utf-8"))
        seconds |= kept["seconds"]
        for name, files in kept["lines"].items():
            for file, lines in files.items():
                for line in places.now(file, kept["sources"][file], lines):
                    tests[file][line].add(name)
    frozen = {
        file: {line: frozenset(names) for line, names in lines.items()}
        for file, lines in tests.items()
    }
    return Executed(seconds, frozen)


class Places:
    """Where lines of earlier sources stand now.

    Args:
        root: The repository.
        folder: That of the records.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self.root = root
        self.folder = folder
        self.known: dict[tuple[str, str], dict[int, int]] = {}

    def now(self, file: str, source: str, lines: Sequence[int]) -> list[int]:
        """The lines of a source as they are numbered now; those that are gone are left out."""
        if not (self.root / file).exists():
            return []
        if source == digest_of(self.root / file):
            return list(lines)
        if (file, source) not in self.known:
            old = (self.folder / SOURCES / source).read_text(encoding="utf-8").splitlines()
            new = (self.root / file).read_text(encoding="utf-8").splitlines()
            self.known[file, source] = moved(old, new)
        table = self.known[file, source]
        return [table[line] for line in lines if line in table]


def moved(old: Sequence[str], new: Sequence[str]) -> dict[int, int]:
    """Number of each line of a text in another text, from 1, for the lines that both have."""
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    return {
        first + k + 1: second + k + 1
        for first, second, size in matcher.get_matching_blocks()
        for k in range(size)
    }


# --- the tests of a line -------------------------------------------------------------------------


@cache
def tree_of(file: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(file.read_text(encoding="utf-8"))


def tests_of_line(executed: Executed, root: Path, file: str, line: int) -> set[str]:
    """Names of the tests that execute a line, or of those that use what it defines on import."""
    around = [node for node in ast.walk(tree_of(root / file)) if holds(node, line)]
    statements = [node for node in around if isinstance(node, ast.stmt)]
    innermost = min(statements, key=lambda node: (node.end_lineno or 0) - node.lineno)
    direct = executed.by(file, lines_of_statement(innermost, line))
    functions = [node for node in statements if isinstance(node, ast.FunctionDef)]
    if functions and line >= functions[-1].body[0].lineno:
        return direct
    users = [body_of(node) for node in functions]
    using = {test for body in users for test in executed.by(file, body)}
    for name in names_of(statements):
        using |= tests_of_name(executed, root, name)
    return direct | using


def holds(node: ast.AST, line: int) -> bool:
    """Whether a node covers a line."""
    return hasattr(node, "lineno") and first_line(node) <= line <= (node.end_lineno or 0)


def first_line(node: ast.AST) -> int:
    """The first line of a node with its decorators."""
    return min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))])


def lines_of_statement(node: ast.stmt, line: int) -> range:
    """The lines of a statement, without the statements within it."""
    body = getattr(node, "body", None)
    if body and line < body[0].lineno:
        return range(first_line(node), body[0].lineno)
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def body_of(node: ast.FunctionDef) -> range:
    """The lines of the body of a function."""
    return range(node.body[0].lineno, (node.end_lineno or node.lineno) + 1)


def names_of(statements: list[ast.stmt]) -> set[str]:
    """Names that statements assign to, and of the classes and functions among them."""
    names = {one.name for one in statements if isinstance(one, ast.ClassDef | ast.FunctionDef)}
    targets = [one.targets for one in statements if isinstance(one, ast.Assign)]
    targets += [[one.target] for one in statements if isinstance(one, ast.AnnAssign)]
    for target in (part for parts in targets for part in parts):
        names |= {node.id for node in ast.walk(target) if isinstance(node, ast.Name)}
    return names


def tests_of_name(executed: Executed, root: Path, name: str) -> set[str]:
    """Names of the tests that execute a function which uses a name."""
    return {test for file, body in users_of(root).get(name, ()) for test in executed.by(file, body)}


@cache
def users_of(root: Path) -> dict[str, list[tuple[str, range]]]:
    """The functions that use a name, as file and lines, by name."""
    found: dict[str, list[tuple[str, range]]] = defaultdict(list)
    for path in sorted((root / "diffviz").rglob("*.py")):
        file = str(path.relative_to(root))
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef):
                for name in names_used(node):
                    found[name].append((file, body_of(node)))
    return found


def names_used(function: ast.FunctionDef) -> set[str]:
    """Names and attributes that the body of a function reads."""
    nodes = [node for part in function.body for node in ast.walk(part)]
    return {node.id for node in nodes if isinstance(node, ast.Name)} | {
        node.attr for node in nodes if isinstance(node, ast.Attribute)
    }
