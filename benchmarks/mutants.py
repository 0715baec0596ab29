"""Do the tests notice when a formula is wrong? A seeded sample of small faults, one at a time.

A mutant is the package with one expression changed: a comparison, a sign, an operator, a number, a
default. Each is met with the tests of its room, in a process that is forked from one which has the
large libraries loaded; the first test that fails ends it. A mutant that no test notices survives;
the table of survivors is what to read. Results are kept by mutant, so that a run can be stopped and
goes on.

The tests of a mutant come in this order: fast tests that execute its line, the quickest files
first (``executed.py`` measures which those are, once); then ``tests/ROOM/test_MODULE.py`` and the
files of ``tests/ROOM`` that name the function, class or entry around the mutant, those that name it
most often first, since a result may be kept from an earlier test; and then the slow tests of the
first of these. Tests that take longer than the limit notice a mutant, too, and are counted by
themselves. A mutant that is noticed costs about a second, and one that survives all tests of its
room a minute. With ``--quick`` it meets the first tests only, so that ``--quick`` for all and then
``--again`` for what is left is the shortest way.

``EQUIVALENT`` names the mutants that no test can tell from the package, with the reason.

Run: nice -n 19 python benchmarks/mutants.py [--sample N] [--seed S] [--rooms ROOM ...]
    [--limit SECONDS] [--minutes M] [--quick] [--again] [--part K --parts N] [--only TEXT]
"""

import argparse
import ast
import collections
import contextlib
import copy
import hashlib
import importlib
import json
import math
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import executed

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / ".mutants"
EXECUTED = OUT / "executed"
ROOMS = ("theory", "recipes", "learning", "probing", "sampling")
LIBRARIES = (
    *("numpy", "scipy.stats", "scipy.integrate", "scipy.optimize", "scipy.interpolate", "mpmath"),
    *("torch", "torch.utils.data", "torchdiffeq", "safetensors.torch", "matplotlib.figure"),
    *("matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg", "joblib", "pytest"),
    *("filelock", "platformdirs", "yaml", "hypothesis.strategies", "xdist.plugin", "psutil"),
)
PLUGINS = ("xdist.plugin", "pytest_timeout", "_hypothesis_pytestplugin")  # what conftest.py needs
PASSED, FAILED, INTERRUPTED, NO_TESTS, BROKEN = 0, 1, 2, 5, 70  # codes of pytest, and ours
PATIENCE = 6  # times the processor time after which a run that waits is ended
NEED_OTHERS = ("diffviz/learning/logs/", "diffviz/learning/callbacks/")  # packages of others.txt
NEED_OTHERS_OF_TESTS = ("tests/learning/test_log", "tests/learning/test_callbacks")
BESIDE = (".peers", ".others")  # what make installs for single tests
FOR_EVERY_ROOM = "tests/test_records.py"
FIRST_FILES = 4  # test files that execute the line and are run before the others that do
QUICK = 8.0  # seconds of the tests in each of the two parts of a quick look
MOST_FILES = 8  # test files that name what is around a mutant
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
ONE_WIDTH = "records of one length that agree elsewhere have steps of one width"
AT_THE_BOUND = "a share that is exactly the bound may count on either side"
ONE_LENGTH = "both are made of one length, so that the check is never met"
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
        "diffviz/learning/logs/scalars.py",
        "alike &= ((rows[:, step] >= 128) == (rows[0, step] >= 128)).all(1)",
        "1",
    ): ONE_WIDTH,
    (
        "diffviz/learning/training.py",
        "if seen is None or self._state.block is None:",
        "seen is None and self._state.block is None",
    ): "both are there or neither",
    (
        "diffviz/probing/first_look.py",
        "return all(bool((gradient != 0).double().mean() > 1 - RARE) for gradient in gradients)",
        "(gradient != 0).double().mean() >= 1 - RARE",
    ): AT_THE_BOUND,
    (
        "diffviz/probing/notes.py",
        'if first_look.dependence.found or not evidence.residuals["factor"] > 0.02:',
        "0.022000000000000002",
    ): A_CHOICE,
    (
        "diffviz/sampling/likelihood.py",
        "LINE = torch.arange(-40, 41, dtype=torch.float64) / 5  # "
        "lattice of noise for exact expectations",
        "42",
    ): "a lattice of noise that ends where the normal law has nothing left",
    (
        "diffviz/sampling/likelihood.py",
        "evaluations = (len(strata) - 1) * len(data) * "
        "(len(NODE) * len(LINE) ** d if exact else 1)",
        "len(LINE) * d",
    ): "the count of work says how many threads compute, and changes no number",
    (
        "diffviz/probing/binning.py",
        "FEWEST_REGULAR = 200  # gaps from which on a quantile function is "
        "smooth enough to differentiate",
        "201",
    ): A_CHOICE,
    (
        "diffviz/learning/floors/kernels.py",
        "step = max(1, SLICE // len(self.points))",
        "2",
    ): "the size of a block changes no sum",
    (
        "diffviz/probing/numpy_draws.py",
        "for _ in range(4):",
        "5",
    ): "four rounds undo a shift by 7 of 32 bits, and a fifth changes nothing",
    (
        "diffviz/probing/first_look.py",
        "chunk.run(State.NOISE, LOCAL_ERROR * assumptions.direction).gradient,",
        "LOCAL_ERROR / assumptions.direction",
    ): "the direction is of signs, and 1 over a sign is that sign",
    (
        "diffviz/probing/counters.py",
        "DEPTH = 2  # objects in objects",
        "3",
    ): A_CHOICE,
    (
        "diffviz/learning/logs/runs.py",
        "FEWEST = 200  # samples in each half from which on they are compared",
        "201",
    ): A_CHOICE,
    (
        "diffviz/theory/elbo_mixture.py",
        "return np.linspace(low, high, int(np.ceil(2 * (high - low))) + 1)",
        "2",
    ): "panels of nearly the same width hold the same curve",
    (
        "diffviz/probing/reading.py",
        "of_z_alone=bool(np.median(np.abs(gain) / np.hypot(b, b - gain)) < NO_GAIN),",
        "b + gain",
    ): "where a gain is small beside b, b with it or without it is the same",
    (
        "diffviz/learning/floors/measure.py",
        "method = [KNOWN if cut else name for cut, name in zip(above, method, strict=True)]",
        "False",
    ): ONE_LENGTH,
    (
        "diffviz/learning/variance.py",
        "FARTHEST = 60.0  # nats; beyond, the rounding of x in float64 times e^λ counts",
        "66.0",
    ): A_CHOICE,
    (
        "diffviz/learning/checkpoints.py",
        "for there, here in zip(saved, self.objectives, strict=True)",
        "False",
    ): ONE_LENGTH,
    (
        "diffviz/probing/draws.py",
        "MAX_REPEATS = 8  # of the data inside a loss",
        "9",
    ): A_CHOICE,
    (
        "diffviz/theory/elbo_mixture.py",
        "FAR = 60.0  # |λ| in nats beyond which a gain at ordinary scales has nothing left",
        "66.0",
    ): A_CHOICE,
    (
        "diffviz/theory/tables.py",
        "counts = whole and len(levels) >= FEW and 0 <= levels[0] <= 1 and levels[-1] > LARGEST",
        "len(levels) > FEW",
    ): A_CHOICE,
    (
        "diffviz/probing/target_kind.py",
        "return bool((direction * cosine > ALONG).mean() > MOST)",
        "(direction * cosine > ALONG).mean() >= MOST",
    ): AT_THE_BOUND,
    (
        "diffviz/recipes/resolution.py",
        'return float(np.exp(number(mu, "mu", -40.0, 40.0)))',
        "44.0",
    ): A_CHOICE,
    (
        "diffviz/learning/tracking.py",
        "return bool(np.ptp(self.width) < 1e-9 * self.width[0])",
        "1.1000000000000001e-09",
    ): A_CHOICE,
    (
        "diffviz/learning/logs/runs.py",
        "SHOWN = 8  # names of runs in a message",
        "9",
    ): A_CHOICE,
    (
        "diffviz/theory/analysis.py",
        "def equivalent(objectives: Iterable[Item], tolerance: float = 1e-6) -> list[list[Item]]:",
        "1.1e-06",
    ): A_CHOICE,
    (
        "diffviz/recipes/settings/simpletuner.py",
        'Option("soft_min_snr_sigma_data", "number", 0.0, "never used"),',
        "1.0",
    ): "an option that nothing reads",
    (
        "diffviz/theory/mixed_laws.py",
        "rest = 1 - self.share",
        "2",
    ): "λ is that of the ratio of both, from which it drops out",
    (
        "diffviz/recipes/settings/diffsynth.py",
        "LTX2_MU = interpolated_mu(4096, (1024, 0.95), (4096, 2.05))",
        "1025",
    ): "the line is read at its end, where its start drops out",
    (
        "diffviz/recipes/nearest.py",
        "if not usable.any() or not ((w > 0) & (v > 0)).all():",
        "w >= 0",
    ): "a ratio of 0 is no closer to the others than they are large",
    (
        "diffviz/learning/batches.py",
        "shape = (1, *points.shape)",
        "2",
    ): "a number of points that only stands in for one that is not 0",
    (
        "diffviz/probing/first_look.py",
        "level = level_of(first) / 2",
        "level_of(first) * 2",
    ): A_CHOICE,
    (
        "diffviz/learning/tracking.py",
        "return sums[..., :-1], logsnr.new_empty(2, 0)",
        "3",
    ): "nothing was left out, so that no row is read",
    (
        "diffviz/recipes/settings/simpletuner.py",
        'Option("use_soft_min_snr", "flag", False, "never used"),',
        "True",
    ): "a flag that counts only where it is given",
    (
        "diffviz/theory/elbo_mixture.py",
        "beyond = EVEN * np.exp(GROWTH * np.arange(1, np.log(FARTHEST / EVEN) / GROWTH))",
        "FARTHEST * EVEN",
    ): "places beyond the range, which are cut off",
    (
        "diffviz/probing/dropped.py",
        "CHANCE_OF_SHARE = 1e-3  # probability of shares as different as those that "
        "depend on the level",
        "0.0011",
    ): A_CHOICE,
    (
        "diffviz/recipes/settings/simpletuner.py",
        "mass[low : high + 1] += left[low : high + 1] / batch",
        "left[low:high + 1] * batch",
    ): "probabilities that count up to a constant",
    (
        "diffviz/learning/tracking.py",
        "if _size(loss) > LARGE:",
        "_size(loss) >= LARGE",
    ): A_CHOICE,
}


@dataclass(frozen=True)
class Mutant:
    """One changed expression of a file, by its place in bytes of the lines.

    Its name holds the text of the line and not the number, so that it stays when lines move.
    """

    file: str
    text: str
    among: int  # how many of the same in lines of the same text come before
    line: int
    column: int
    end_line: int
    end_column: int
    before: str
    after: str

    @property
    def key(self) -> str:
        """What it is kept under."""
        number = f" #{self.among + 1}" if self.among else ""
        return f"{self.file}: {self.text}: {self.before} -> {self.after}{number}"

    def rank(self, seed: int) -> str:
        """Its place in the order of a seed, which no other mutant changes."""
        return hashlib.sha256(f"{seed} {self.key}".encode()).hexdigest()


@dataclass(frozen=True)
class Batch:
    """Tests that are run together.

    Attributes:
        files: Test files, in their order.
        marks: Expression of pytest's option ``-m``.
        only: Names of the tests that are run, the quickest first within their file; None for all.
        without: Names of tests that have been run before.
    """

    files: tuple[str, ...]
    marks: str = "not slow"
    only: tuple[str, ...] | None = None
    without: frozenset[str] = frozenset()

    def pytest_collection_modifyitems(self, config: Any, items: list[Any]) -> None:
        """Keep the tests of this batch, as a plugin of pytest."""
        place = {name: k for k, name in enumerate(self.only or ())}
        kept = [
            item
            for item in items
            if item.nodeid not in self.without and (self.only is None or item.nodeid in place)
        ]
        kept_names = {item.nodeid for item in kept}
        left_out = [item for item in items if item.nodeid not in kept_names]
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept if self.only is None else sorted(kept, key=lambda one: place[one.nodeid])


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
    text = file.read_text(encoding="utf-8")
    lines = text.splitlines()
    sites = Sites()
    sites.visit(ast.parse(text))
    counts: collections.Counter[tuple[str, str, str]] = collections.Counter()
    for node in sites.nodes:
        for other in changed(node):
            line = lines[node.lineno - 1].strip()
            before = ast.unparse(node)
            after = ast.unparse(ast.fix_missing_locations(copy.deepcopy(other)))
            yield Mutant(
                file=str(file.relative_to(ROOT)),
                text=line,
                among=counts[line, before, after],
                line=node.lineno,
                column=node.col_offset,
                end_line=node.end_lineno or node.lineno,
                end_column=node.end_col_offset or 0,
                before=before,
                after=after,
            )
            counts[line, before, after] += 1


def sampled(options: argparse.Namespace) -> list[Mutant]:
    """The mutants of a run, in the order in which they are tried."""
    found = [
        mutant
        for room in options.rooms
        for file in sorted((ROOT / "diffviz" / room).rglob("*.py"))
        for mutant in mutants_of(file)
    ]
    return sorted(found, key=lambda mutant: mutant.rank(options.seed))[: options.sample]


def applied(mutant: Mutant, text: bytes) -> bytes:
    """The text of a file with one expression changed."""
    lines = text.splitlines(keepends=True)
    start = sum(map(len, lines[: mutant.line - 1])) + mutant.column
    end = sum(map(len, lines[: mutant.end_line - 1])) + mutant.end_column
    return text[:start] + f"({mutant.after})".encode() + text[end:]


# --- which tests look at a module ----------------------------------------------------------------


def batches_of(mutant: Mutant, seen: executed.Executed, is_quick: bool = False) -> Iterator[Batch]:
    """The tests that a mutant is met with, in their order; of a quick look the first ones only."""
    room = f"tests/{Path(mutant.file).parts[1]}/"
    names = executed.tests_of_line(seen, ROOT, mutant.file, mutant.line)
    of_file = collections.defaultdict(list)
    for name in sorted(names, key=seen.seconds.__getitem__):
        if name.startswith(room):
            of_file[name.partition("::")[0]].append(name)
    own = f"test_{Path(mutant.file).stem}"

    def cost(file: str) -> tuple[bool, float]:
        return Path(file).stem != own, sum(map(seen.seconds.__getitem__, of_file[file]))

    files = sorted(of_file, key=cost)
    run: frozenset[str] = frozenset()
    for part in (files[:FIRST_FILES], files[FIRST_FILES:]):
        only = tuple(name for file in part for name in of_file[file])
        if is_quick:
            only = within(QUICK, only, seen)
        if only:
            yield Batch(tuple(part), only=only)
        run |= frozenset(only)
    if is_quick:
        return
    naming = tests_naming(mutant)
    yield Batch((*naming, FOR_EVERY_ROOM), without=run)
    yield Batch(tuple(naming[:MOST_SLOW_FILES]), marks="slow")


def within(seconds: float, names: Sequence[str], seen: executed.Executed) -> tuple[str, ...]:
    """The quickest of some tests that take no longer together, in the order that they had."""
    total, kept = 0.0, set()
    for name in sorted(names, key=seen.seconds.__getitem__):
        total += seen.seconds[name]
        if kept and total > seconds:
            break
        kept.add(name)
    return tuple(name for name in names if name in kept)


def tests_naming(mutant: Mutant) -> list[str]:
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
    return [str(one.relative_to(ROOT)) for one in ordered[:MOST_FILES]]


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


def run_tests(place: Path, batch: Batch, limit: float, others: bool = False) -> tuple[str, str]:
    """What the tests say of the package as it stands in a place: an outcome and the first failure.

    The tests run in a fork of this process, which has not loaded the package, with what users bring
    to us on the path if ``others`` says so.
    """
    report = place / "report.txt"
    child = forked(lambda: pytest_in(place, batch, report, others), report, limit)
    code = awaited(child, PATIENCE * limit)
    if code is None or code == -signal.SIGXCPU:
        return "too long", ""
    if code not in (PASSED, FAILED, NO_TESTS, INTERRUPTED):
        raise SystemExit(f"pytest ended with {code}: {report.read_text(errors='replace')[-2000:]}")
    first = [line for line in report.read_text(errors="replace").splitlines() if "FAILED" in line]
    passed = code in (PASSED, NO_TESTS)
    return "survived" if passed else "killed", "".join(first[:1])[:200]


def forked(work: Callable[[], int], report: Path, limit: float) -> int:
    """The process that does some work and ends with its code, or after a limit of its time."""
    child = os.fork()
    if child == 0:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(limit), math.ceil(limit) + 5))
        try:
            os._exit(work())
        except BaseException:
            report.write_text(traceback.format_exc(), encoding="utf-8")
            os._exit(BROKEN)
    return child


def pytest_in(
    place: Path, batch: Batch, report: Path, others: bool, plugins: Sequence[Any] = ()
) -> int:
    """Run pytest on some files of a copy, and return its code."""
    os.chdir(place)
    folders = [str(place), str(place / "tests")]
    folders += [str(place / ".others")] if others else []
    sys.path[:0] = folders
    os.environ["PYTHONPATH"] = os.pathsep.join(folders)  # for processes that a test starts
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    sys.dont_write_bytecode = True
    with report.open("w") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
        pytest = importlib.import_module("pytest")
        options = [
            "-x",
            "-q",
            "--no-header",
            "--tb=line",
            "--assert=plain",
            "-p",
            "no:cacheprovider",
        ]
        options += [part for name in PLUGINS for part in ("-p", name)]
        return int(pytest.main([*options, "-m", batch.marks, *batch.files], [batch, *plugins]))


def awaited(child: int, limit: float) -> int | None:
    """The exit code of a child, or None if it had to be ended."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def seconds_of_children() -> float:
    """Processor time of all processes that have been waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def tried(
    mutant: Mutant, place: Path, options: argparse.Namespace, seen: executed.Executed
) -> dict[str, Any]:
    """The record of a mutant: what the tests of its room make of it."""
    file = place / mutant.file
    original, times = file.read_bytes(), file.stat()
    started = seconds_of_children()
    file.write_bytes(applied(mutant, original))
    os.utime(file, (1, 1))  # so that no compiled file is taken for this one
    outcome, first = "survived", ""  # where no test of the room executes the line
    try:
        others = mutant.file.startswith(NEED_OTHERS)
        for batch in batches_of(mutant, seen, options.quick):
            outcome, first = run_tests(place, batch, options.limit, others)
            if outcome != "survived":
                break
    finally:
        file.write_bytes(original)
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    return asdict(mutant) | {
        "key": mutant.key,
        "outcome": outcome,
        "by": first,
        "seconds": round(seconds_of_children() - started, 1),
        "quick": options.quick,
    }


@contextlib.contextmanager
def copy_of_the_repository() -> Iterator[Path]:
    """A copy of what git knows of, with the package compiled and the packages of single tests."""
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
        for name in BESIDE:
            (place / name).symlink_to((ROOT / name).resolve(strict=True))
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


def test_files(rooms: Sequence[str]) -> list[str]:
    """The test files of some rooms."""
    folders = [ROOT / "tests" / room for room in rooms]
    return [str(one.relative_to(ROOT)) for top in folders for one in sorted(top.rglob("test_*.py"))]


def measure(options: argparse.Namespace, place: Path, end: float) -> bool:
    """Note what the fast tests execute, as far as it is not known; whether the time was enough."""
    for number, file in enumerate(test_files(options.rooms)):
        is_ours = number % options.parts == options.part
        if not is_ours or executed.is_known(file, ROOT, EXECUTED):
            continue
        if time.monotonic() > end:
            return False
        measure_file(file, place, 10 * options.limit)
        print(f"measured {file}", flush=True)
    return True


def measure_file(file: str, place: Path, limit: float) -> None:
    """Keep what the tests of one file execute, which a fork of this process finds out."""
    report = place / "report.txt"
    others = file.startswith(NEED_OTHERS_OF_TESTS)

    def tests(plugins: Sequence[Any]) -> int:
        return pytest_in(place, Batch((file,)), report, others, plugins)

    def work() -> int:
        seen = executed.recorded(place, tests)
        if seen["code"] in (PASSED, NO_TESTS):
            executed.keep(file, place, EXECUTED, seen)
        return int(seen["code"])

    code = awaited(forked(work, report, limit), PATIENCE * limit)
    if code not in (PASSED, NO_TESTS):
        raise SystemExit(f"{file} does not pass: {report.read_text(errors='replace')[-3000:]}")


def run(options: argparse.Namespace) -> None:
    """Try the mutants that are not known yet, until the time is over."""
    OUT.mkdir(exist_ok=True)
    end = time.monotonic() + 60 * options.minutes
    for library in LIBRARIES:
        importlib.import_module(library)
    with copy_of_the_repository() as place:
        if not measure(options, place, end):
            return
        seen = executed.read(ROOT, EXECUTED)
        for mutant in wanted(options):
            if time.monotonic() > end:
                break
            record = tried(mutant, place, options, seen)
            print(
                f"{record['outcome']:9} {record['seconds']:6.1f} s  {mutant.key[:150]}", flush=True
            )
            with (OUT / "results.jsonl").open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(record) + "\n")


def wanted(options: argparse.Namespace) -> Iterator[Mutant]:
    """The mutants of this process that are to be tried."""
    known = results()
    for number, mutant in enumerate(sampled(options)):
        is_ours = number % options.parts == options.part and options.only in mutant.key
        if is_ours and is_open(known.get(mutant.key), options.again):
            yield mutant


def is_open(record: dict[str, Any] | None, again: bool) -> bool:
    """Whether a mutant is to be tried: it never was, or it has survived for no known reason."""
    if record is None:
        return True
    return again and record["outcome"] == "survived" and not reason_of(record)


def reason_of(record: dict[str, Any]) -> str:
    """Why no test can tell a mutant from the package, nothing where none is known."""
    return EQUIVALENT.get((record["file"], record["text"], record["after"]), "")


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
    parser.add_argument("--limit", type=float, default=120.0, help="processor seconds of a run")
    parser.add_argument("--minutes", type=float, default=1e9, help="minutes after which it stops")
    parser.add_argument("--again", action="store_true", help="try survivors again")
    parser.add_argument("--quick", action="store_true", help="the first tests only; then --again")
    parser.add_argument("--part", type=int, default=0, help="which part of the mutants, from 0")
    parser.add_argument("--parts", type=int, default=1, help="number of parts, run side by side")
    parser.add_argument("--only", default="", help="what the name of a mutant must hold")
    options = parser.parse_args()
    run(options)
    report(options)


if __name__ == "__main__":
    main()
