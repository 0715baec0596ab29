"""Do the tests notice when a formula is wrong? A seeded sample of small faults, one at a time.

A mutant is the package with one expression changed: a comparison, a sign, an operator, a number, a
default. Each is met with the tests of its module, in a process that is forked from one which has
the large libraries loaded. A mutant that no test notices survives; the table of survivors is what
to read. Results are kept by mutant, so that a run can be stopped and goes on.

The tests of ``diffviz/ROOM/MODULE.py`` are first ``tests/ROOM/test_MODULE.py``, then the files of
``tests/ROOM`` that name the function, class or entry around the mutant, those that name it most
often first; and then, for what is left, the slow tests of the first files. Tests that take longer
than the limit notice a mutant, too, and are counted by themselves.

``EQUIVALENT`` names the mutants that no test can tell from the package, with the reason.

Run: nice -n 19 python benchmarks/mutants.py [--sample N] [--seed S] [--rooms ROOM ...]
    [--limit SECONDS] [--minutes M] [--again]
"""

import argparse
import ast
import collections
import contextlib
import copy
import importlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / ".mutants"
ROOMS = ("theory", "recipes", "learning", "probing", "sampling")
LIBRARIES = ("numpy", "scipy.stats", "torch", "matplotlib.figure")  # pytest loads plugins itself
PASSED, FAILED, INTERRUPTED, NO_TESTS, BROKEN = 0, 1, 2, 5, 70  # codes of pytest, and ours
NEED_OTHERS = ("diffviz/learning/logs/", "diffviz/learning/callbacks/")  # packages of others.txt
FOR_EVERY_ROOM = "tests/test_records.py"
MOST_FILES = 8  # test files for a mutant
MOST_SLOW_FILES = 2  # of these, whose slow tests are run at last
COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
A_CHOICE = "a choice within a range, which changes no formula"
SAME_ROOT = "a search for a root finds the same one by other steps"
A_YEAR = "the source is a repository, which states no year"
EQUIVALENT = {  # file, line and what stands there then: why no test can tell
    (
        "diffviz/learning/floors/network.py",
        "ENOUGH = 32  # points from which it is told which target is returned",
        "33",
    ): A_CHOICE,
    (
        "diffviz/recipes/settings/door.py",
        "NODES, _WEIGHTS = np.polynomial.legendre.leggauss(5)",
        "6",
    ): "a quadrature that is exact to rounding with fewer nodes",
    (
        "diffviz/recipes/settings/ltx_trainer.py",
        "return self.inverse(sigma), self.slope(sigma) * (1 - self.eps)",
        "2",
    ): SAME_ROOT,
    (
        "diffviz/recipes/settings/musubi.py",
        'Option("discrete_flow_shift", "number", 1.0, "shift of sigma", low=1e-12),',
        "1.1000000000000002e-12",
    ): A_CHOICE,
    (
        "diffviz/recipes/settings/ai_toolkit.py",
        "*((147, 1.511), (209, 1.426), (331, 1.206), (500, 0.925), (644, 0.766), (700, 0.732)),",
        "701",
    ): "a curve through a jagged table, whose scatter is larger",
    (
        "diffviz/probing/reading.py",
        "low, high = np.quantile(size, [0.01, 0.99])",
        "0.011000000000000001",
    ): "a note with two digits, which are the same",
    (
        "diffviz/probing/draws.py",
        "[0, 1 / PLASTIC, PLASTIC**-2, *np.sqrt([2, 3, 7, 11, 13, 17, 19, 23, 29, 31])]",
        "14",
    ): "any irrational step spreads points evenly",
    (
        "diffviz/probing/notes.py",
        "SOME = 0.01  # share of the draws that is more than chance",
        "0.011000000000000001",
    ): A_CHOICE,
    (
        "diffviz/theory/mixed_laws.py",
        "lambda x: self._sf(x) > q, self._blended(plain, 1.0), self._blended(plain, 0.0)",
        "self._sf(x) >= q",
    ): SAME_ROOT,
    ("diffviz/recipes/kdiffusion.py", "year=2023,", "2024"): A_YEAR,
    (
        "diffviz/learning/training.py",
        "if seen is None or self._state.block is None:",
        "seen is None and self._state.block is None",
    ): "both are there or neither",
}


@dataclass(frozen=True)
class Mutant:
    """One changed expression of a file, by its place in bytes of the lines."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int
    before: str
    after: str

    @property
    def key(self) -> str:
        """What it is kept under."""
        return f"{self.file}:{self.line}:{self.column}: {self.before} -> {self.after}"


# --- which mutants there are ---------------------------------------------------------------------


def changed(node: ast.AST) -> Iterator[ast.expr]:
    """What an expression may be changed into."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        yield ast.Compare(node.left, [COMPARISONS[type(node.ops[0])]()], node.comparators)
    elif isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        yield ast.BinOp(node.left, OPERATORS[type(node.op)](), node.right)
    elif isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield ast.BoolOp(other, node.values)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
        yield node.operand
    elif isinstance(node, ast.IfExp):
        yield ast.IfExp(node.test, node.orelse, node.body)
    elif isinstance(node, ast.Constant):
        yield from changed_constant(node.value)


def changed_constant(value: Any) -> Iterator[ast.expr]:
    """Another value of the same kind; texts stay."""
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int):
        yield ast.Constant(value + 1)
    elif isinstance(value, float):
        yield ast.Constant(value * 1.1 if value else 1.0)


class Sites(ast.NodeVisitor):
    """Collects the expressions of a file that compute; types and messages are left alone."""

    def __init__(self) -> None:
        self.nodes: list[ast.expr] = []

    def visit_arg(self, node: ast.arg) -> None:
        """Skip the type of an argument."""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """Look at the value only."""
        if node.value is not None:
            self.visit(node.value)

    def visit_Raise(self, node: ast.Raise) -> None:
        """Skip messages."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Skip texts."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """Skip what is returned, as a type."""
        for part in (*node.decorator_list, node.args, *node.body):
            self.visit(part)

    def generic_visit(self, node: ast.AST) -> None:
        """Note an expression that can be changed, and go on below it."""
        if isinstance(node, ast.expr):
            self.nodes.append(node)
        super().generic_visit(node)


def mutants_of(file: Path) -> Iterator[Mutant]:
    """All mutants of a file."""
    sites = Sites()
    sites.visit(ast.parse(file.read_text(encoding="utf-8")))
    for node in sites.nodes:
        for other in changed(node):
            yield Mutant(
                file=str(file.relative_to(ROOT)),
                line=node.lineno,
                column=node.col_offset,
                end_line=node.end_lineno or node.lineno,
                end_column=node.end_col_offset or 0,
                before=ast.unparse(node),
                after=ast.unparse(ast.fix_missing_locations(copy.deepcopy(other))),
            )


def sampled(options: argparse.Namespace) -> list[Mutant]:
    """The mutants of a run, in the order in which they are tried."""
    found = [
        mutant
        for room in options.rooms
        for file in sorted((ROOT / "diffviz" / room).rglob("*.py"))
        for mutant in mutants_of(file)
    ]
    return random.Random(options.seed).sample(found, min(options.sample, len(found)))


def applied(mutant: Mutant, text: bytes) -> bytes:
    """The text of a file with one expression changed."""
    lines = text.splitlines(keepends=True)
    start = sum(map(len, lines[: mutant.line - 1])) + mutant.column
    end = sum(map(len, lines[: mutant.end_line - 1])) + mutant.end_column
    return text[:start] + f"({mutant.after})".encode() + text[end:]


# --- which tests look at a module ----------------------------------------------------------------


def tests_of(mutant: Mutant) -> list[str]:
    """The test files of a mutant: its module's own, then those of its room that name it most."""
    path = Path(mutant.file)
    folder = ROOT / "tests" / path.parts[1]
    texts = {one: one.read_text(encoding="utf-8") for one in sorted(folder.rglob("test_*.py"))}
    around = names_around(mutant)

    def relevance(file: Path) -> tuple[bool, bool, bool, int]:
        near = sum(len(re.findall(rf"\b{re.escape(name)}\b", texts[file])) for name in around)
        same_folder = file.parent.parts[-1] == path.parent.parts[-1]
        return file.stem == f"test_{path.stem}", near > 0, same_folder, near

    ordered = sorted(texts, key=relevance, reverse=True)
    return [str(one.relative_to(ROOT)) for one in ordered[:MOST_FILES]] + [FOR_EVERY_ROOM]


def names_around(mutant: Mutant) -> set[str]:
    """Names by which a test may reach a mutant: of the functions, classes and entries around it."""
    tree = ast.parse((ROOT / mutant.file).read_text(encoding="utf-8"))
    names = {Path(mutant.file).stem}
    for node in ast.walk(tree):
        first, last = getattr(node, "lineno", 0), getattr(node, "end_lineno", 0) or 0
        if not first <= mutant.line <= last:
            continue
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {one.id for one in node.targets if isinstance(one, ast.Name)}
        elif isinstance(node, ast.Call):
            names |= {
                word.value.value
                for word in node.keywords
                if word.arg == "name" and isinstance(word.value, ast.Constant)
            }
    return {str(name) for name in names}


# --- one mutant ----------------------------------------------------------------------------------


def run_tests(
    place: Path, files: list[str], marks: str, limit: float, others: bool = False
) -> tuple[str, str]:
    """What the tests say of the package as it stands in a place: an outcome and the first failure.

    The tests run in a fork of this process, which has not loaded the package, with what users bring
    to us on the path if ``others`` says so.
    """
    report = place / "report.txt"
    child = os.fork()
    if child == 0:
        os.setsid()
        try:
            os._exit(pytest_in(place, files, marks, report, others))
        except BaseException:
            report.write_text(traceback.format_exc(), encoding="utf-8")
            os._exit(BROKEN)
    code = awaited(child, limit)
    if code is None:
        return "too long", ""
    if code not in (PASSED, FAILED, NO_TESTS, INTERRUPTED):
        raise SystemExit(f"pytest ended with {code}: {report.read_text(errors='replace')[-2000:]}")
    first = [line for line in report.read_text(errors="replace").splitlines() if "FAILED" in line]
    passed = code in (PASSED, NO_TESTS)
    return "survived" if passed else "killed", "".join(first[:1])[:200]


def pytest_in(place: Path, files: list[str], marks: str, report: Path, others: bool) -> int:
    """Run pytest on some files of a copy, and return its code."""
    os.chdir(place)
    folders = [str(place), str(place / "tests")]
    folders += [str(ROOT / ".others")] if others else []
    sys.path[:0] = folders
    os.environ["PYTHONPATH"] = os.pathsep.join(folders)  # for processes that a test starts
    sys.dont_write_bytecode = True
    with report.open("w") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
        pytest = importlib.import_module("pytest")
        options = ["-x", "-q", "--no-header", "-p", "no:cacheprovider", "-m", marks]
        return int(pytest.main([*options, *files]))


def awaited(child: int, limit: float) -> int | None:
    """The exit code of a child, or None if it had to be ended."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def tried(mutant: Mutant, place: Path, limit: float) -> dict[str, Any]:
    """The record of a mutant: what the tests of its module make of it."""
    file = place / mutant.file
    original, times = file.read_bytes(), file.stat()
    started = time.perf_counter()
    files = tests_of(mutant)
    file.write_bytes(applied(mutant, original))
    os.utime(file, (1, 1))  # so that no compiled file is taken for this one
    try:
        others = mutant.file.startswith(NEED_OTHERS)
        outcome, first = run_tests(place, files, "not slow", limit, others)
        if outcome == "survived":
            outcome, first = run_tests(place, files[:MOST_SLOW_FILES], "slow", limit, others)
    finally:
        file.write_bytes(original)
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    seconds = round(time.perf_counter() - started, 1)
    return asdict(mutant) | {
        "key": mutant.key,
        "outcome": outcome,
        "by": first,
        "seconds": seconds,
    }


@contextlib.contextmanager
def copy_of_the_repository() -> Iterator[Path]:
    """A copy of what git knows of, with the package compiled."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        place = Path(folder)
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        ).stdout.decode()
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file():
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, place / name)
        subprocess.run(
            [sys.executable, "-m", "compileall", "-q", "diffviz", "tests"], cwd=place, check=False
        )
        yield place


# --- all of them ---------------------------------------------------------------------------------


def results() -> dict[str, dict[str, Any]]:
    """The records of mutants by key, the last of each."""
    file = OUT / "results.jsonl"
    rows = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    records = [json.loads(row) for row in rows if row.endswith("}")]
    return {record["key"]: record for record in records}


def run(options: argparse.Namespace) -> None:
    """Try the mutants that are not known yet, until the time is over."""
    OUT.mkdir(exist_ok=True)
    known = results()
    end = time.monotonic() + 60 * options.minutes
    for library in LIBRARIES:
        importlib.import_module(library)
    with copy_of_the_repository() as place:
        for mutant in sampled(options):
            old = known.get(mutant.key)
            if old and not (options.again and old["outcome"] == "survived"):
                continue
            if time.monotonic() > end:
                break
            record = tried(mutant, place, options.limit)
            print(
                f"{record['outcome']:9} {record['seconds']:6.1f} s  {mutant.key[:150]}", flush=True
            )
            with (OUT / "results.jsonl").open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(record) + "\n")


def reason_of(record: dict[str, Any]) -> str:
    """Why no test can tell a mutant from the package, nothing where none is known."""
    lines = (ROOT / record["file"]).read_text(encoding="utf-8").splitlines()
    line = lines[record["line"] - 1].strip()
    return EQUIVALENT.get((record["file"], line, record["after"]), "")


def report(options: argparse.Namespace) -> None:
    """Print how many were noticed, and write the table of those that were not."""
    keys = {mutant.key for mutant in sampled(options)}
    found = [record for key, record in results().items() if key in keys]
    counts = collections.Counter(record["outcome"] for record in found)
    survivors = sorted(
        (one for one in found if one["outcome"] == "survived"), key=lambda one: one["key"]
    )
    reasons = [reason_of(one) for one in survivors]
    rows = ["| file | line | before | after | why no test can tell |"]
    rows.append("| --- | --- | --- | --- | --- |")
    rows += [
        f"| {one['file']} | {one['line']} | `{one['before']}` | `{one['after']}` | {reason} |"
        for one, reason in zip(survivors, reasons, strict=True)
    ]
    (OUT / "survivors.md").write_text("\n".join(rows) + "\n", encoding="utf-8")
    print("\n".join(rows))
    noticed = counts["killed"] + counts["too long"]
    told = len(found) - sum(map(bool, reasons))
    print(
        f"{noticed} of {len(found)} noticed, {counts['too long']} by taking too long; "
        f"{len(found) - told} are equivalent: {noticed / max(1, told):.1%} of the others"
    )


def main() -> None:
    """Try the mutants of a sample, and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sample", type=int, default=400, help="number of mutants")
    parser.add_argument("--seed", type=int, default=0, help="seed of the sample")
    parser.add_argument("--rooms", nargs="+", default=ROOMS, help="rooms of the package")
    parser.add_argument("--limit", type=float, default=240.0, help="seconds for one run of tests")
    parser.add_argument("--minutes", type=float, default=1e9, help="minutes after which it stops")
    parser.add_argument("--again", action="store_true", help="try survivors again")
    options = parser.parse_args()
    run(options)
    report(options)


if __name__ == "__main__":
    main()
