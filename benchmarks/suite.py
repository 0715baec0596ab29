"""What people wait for, in CPU seconds at one thread: one table, before and after, in one run.

Each piece of work runs in a process of its own. Figures and notebooks run twice with a fresh cache
folder; a checkout that has no cache does the work twice. With several checkouts of the repository,
each piece runs for all of them in turn, and the ratio of the last to the first is printed. What an
older checkout cannot do yet has a dash. ``tests`` is the whole of ``make test`` in a clean clone,
with what it installs. The searches train the same candidates in each row, and the run stops if
their results differ: with one worker, two processes, two Dask workers, and two of which one is
killed at the first result. ``floor`` prints under its rows how soon samples are within twice the
noise floor of the truth: by this package, by a plain loop and by others, on seven sets of points;
the others must be in ``.peers``, where ``make test`` installs them.

Run: python benchmarks/suite.py [CHECKOUT ...] [--parts PART ...] [--notebooks NAME ...]
    [--points N] [--seeds N] [--steps N] [--jobs N]

All of it takes more than an hour for each checkout on two quiet cores, most of it ``floor``, the
tests and the notebooks. An older revision goes into a checkout of its own by ``git worktree add``.
"""

import argparse
import ctypes
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parents[1]
PARTS = ("import", "list", "figures", "notebooks", "trainings", "floor", "search", "tests")
LAST_CALL = 10.0  # seconds in which the processes of a piece that has ended are waited for
PR_SET_CHILD_SUBREAPER = 36  # of <sys/prctl.h>
EXECUTE = """
import sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], 4)
folder = {"metadata": {"path": sys.argv[2]}}
NotebookClient(notebook, timeout=None, kernel_name="python3", resources=folder).execute()
"""
TOGETHER = (
    "fm-ot sd3 edm elbo iddpm-cosine ddpm-linear v-cosine x-cosine min-snr-5-eps p2-gamma1 "
    "sigmoid-bias2 laplace-eps"
)
TRAIN = """
import ast, sys, torch
import diffviz as dv
data = dv.toy("moons").sample(50_000, torch.Generator().manual_seed(0)).float()
settings = ast.literal_eval(sys.argv[2])
dv.fit(sys.argv[1].split(), data, seed=0, progress=False, **settings)
"""
SEARCH = """
import os, signal, sys, dask
from distributed import LocalCluster
from diffviz.search.experiment import search
out, points, seeds, steps, death = sys.argv[1], *map(int, sys.argv[2:])
def watch(message):
    global death
    if death:
        death = 0
        os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)
settings = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "host": "127.0.0.1",
            "dashboard_address": None, "silence_logs": "CRITICAL"}
dask.config.set({"distributed.admin.log-format": "%(message)s"})
if __name__ == "__main__":
    with LocalCluster(**settings) as cluster:
        search(points=points, seeds=seeds, steps=steps, out=out, tell=watch,
               cluster=cluster.scheduler_address)
"""


class Time(NamedTuple):
    """What a piece of work took.

    Attributes:
        cpu: CPU seconds of its processes, user and system.
        wall: Seconds on the clock.
        printed: What they printed.
    """

    cpu: float
    wall: float
    printed: str = ""


class Failed(Exception):
    """A piece of work that a checkout cannot do."""


@dataclass(frozen=True)
class Work:
    """A piece of work.

    Attributes:
        name: What the table calls it.
        arguments: Of the program, in the checkout.
        times: How often it runs with the same cache folder.
        program: What runs it.
        clean: Whether it runs in a clean clone of the checkout.
        result: Name of the file of results that it writes in its folder; the same name means the
            same results.
        is_shown: Whether the table shows what it prints.
    """

    name: str
    arguments: tuple[str, ...]
    times: int = 1
    program: str = sys.executable
    clean: bool = False
    result: str = ""
    is_shown: bool = False


class Size(NamedTuple):
    """How large the searches are.

    Attributes:
        points: Candidates of the design.
        seeds: Trainings of each.
        steps: Steps of a training.
    """

    points: int
    seeds: int
    steps: int


@dataclass(frozen=True)
class Effort:
    """How thoroughly all is measured.

    Attributes:
        parts: Parts that are done if none are asked for.
        search: Size of the searches.
        trained: Arguments of the benchmark of this package's trainings.
        others: Arguments of the benchmark of other packages'.
    """

    parts: tuple[str, ...]
    search: Size
    trained: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


THOROUGH = Effort(PARTS, Size(points=32, seeds=4, steps=400))
QUICK = Effort(
    parts=tuple(part for part in PARTS if part != "tests"),
    search=Size(points=12, seeds=2, steps=200),
    trained=("--seeds", "1", "--points", "2000"),
    others=("--limit", "6", "--points", "2000"),
)


def pieces(parts: Sequence[str], notebooks: list[str], jobs: int, effort: Effort) -> Iterator[Work]:
    """The work of the parts that are asked for.

    Args:
        parts: Of ``PARTS``.
        notebooks: Names of notebooks.
        jobs: Processes that draw figures; 1 for a checkout that knows no other number.
        effort: How thoroughly all is measured.

    Yields:
        The pieces, in the order of the table. In their arguments ``{scratch}`` is a folder that is
        theirs alone.
    """
    if "import" in parts:
        yield Work("import diffviz", ("-c", "import diffviz"))
    if "list" in parts:
        yield Work("python -m diffviz list", ("-m", "diffviz", "list"))
    if "figures" in parts:
        command = ("-m", "diffviz", "figures", "--out", "{scratch}/figures")
        more = ("--jobs", str(jobs)) if jobs > 1 else ()
        yield Work("figures", (*command, *more), times=2)
    if "notebooks" in parts:
        for name in notebooks:
            yield Work(name, ("-c", EXECUTE, f"notebooks/{name}", "notebooks"), times=2)
    if "trainings" in parts:
        adaptive = "{'adaptive': True, 'steps': 1300, 'learning_rate': 2e-2}"
        yield Work("12 objectives, defaults", ("-c", TRAIN, TOGETHER, "{}"))
        yield Work("12 objectives, adaptive", ("-c", TRAIN, TOGETHER, adaptive))
        floors = ("benchmarks/training.py", "--parts", "together", "--toys", "moons")
        yield Work("12 objectives, in floors", (*floors, *effort.trained), is_shown=True)
    if "floor" in parts:
        ours = ("benchmarks/training.py", "--parts", "floor", "defaults", "fewest", *effort.trained)
        yield Work("twice the floor, here", ours, is_shown=True)
        others = ("benchmarks/peers_training.py", *effort.others)
        yield Work("twice the floor, others", others, is_shown=True)
    if "search" in parts:
        yield from searches(effort.search)
    if "tests" in parts:
        yield Work("make test", ("test",), program="make", clean=True)


def searches(size: Size) -> Iterator[Work]:
    """One search with one worker, two, two of Dask, and one of these killed."""
    numbers = [f"--{name}={value}" for name, value in size._asdict().items()]
    command = ("-m", "diffviz", "search", *numbers, "--out", "{scratch}/search.csv")
    yield Work("search, one worker", command, result="search.csv")
    yield Work("search, two workers", (*command, "--jobs", "2"), result="search.csv")
    for name, death in (("two Dask workers", "0"), ("two, one killed", "1")):
        script = ("-c", SEARCH, "{scratch}/search.csv", *map(str, size), death)
        yield Work(f"search, {name}", script, result="search.csv")


def spent(work: Work, checkout: Path, scratch: Path) -> Time:
    """Run a piece of work in a checkout.

    Args:
        work: The work.
        checkout: A checkout of the repository.
        scratch: A folder of this piece and checkout, with the cache of results in it.

    Returns:
        Its CPU and wall time; that of its own child processes is included.

    Raises:
        Failed: It ended with an error.
    """
    place = cloned(checkout, scratch / "clone") if work.clean else checkout
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    cache = str(scratch / "cache")
    environment = os.environ | one_thread | {"PYTHONPATH": str(place), "DIFFVIZ_CACHE": cache}
    arguments = [argument.replace("{scratch}", str(scratch)) for argument in work.arguments]
    before, start = _children(), time.perf_counter()
    run = subprocess.run(
        [work.program, *arguments], cwd=place, env=environment, capture_output=True, text=True
    )
    wall = time.perf_counter() - start
    if run.returncode:
        raise Failed(f"{work.name} failed in {checkout}:\n{(run.stdout + run.stderr)[-2000:]}")
    return Time(_children() - before, wall, run.stdout)


def cloned(checkout: Path, place: Path) -> Path:
    """A clean clone of what a checkout has committed."""

    def git(*arguments: str) -> str:
        run = subprocess.run(["git", *arguments], check=True, capture_output=True, text=True)
        return run.stdout.strip()

    of_checkout = ("-C", str(checkout), "rev-parse")
    repository = git(*of_checkout, "--path-format=absolute", "--git-common-dir")
    git("clone", "-q", "--no-checkout", repository, str(place))
    git("-C", str(place), "checkout", "-q", "--detach", git(*of_checkout, "HEAD"))
    return place


def adopt_orphans() -> None:
    """Let the kernel of Linux hand over what the processes of a piece leave behind.

    The workers of a forkserver would count nowhere, since none of its parents waits for it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _children() -> float:
    """CPU seconds of all processes that were started and have ended."""
    give_up = time.monotonic() + LAST_CALL
    with suppress(ChildProcessError):  # none is left
        while time.monotonic() < give_up:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.05)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Table:
    """The table as it grows, row by row.

    Args:
        checkouts: Checkouts of the repository; the last is the one that must do everything.
    """

    def __init__(self, checkouts: list[Path]) -> None:
        self.checkouts = checkouts
        self.results: dict[tuple[Path, str], list[str]] = {}
        for number, checkout in enumerate(checkouts, start=1):
            print(f"{number}: {checkout}")
        heads = [f"{f'CPU s {n}':>8} {f'wall {n}':>8}" for n in range(1, len(checkouts) + 1)]
        ratio = "ratio" if len(checkouts) > 1 else ""
        print(f"{'':32}{'  '.join(heads)} {ratio:>7}", flush=True)

    def add(self, work: Work) -> None:
        """Do a piece of work and print its rows: one for the first time, one for the second."""
        with tempfile.TemporaryDirectory() as scratch:
            folders = [Path(scratch, str(number)) for number in range(len(self.checkouts))]
            for folder in folders:
                folder.mkdir()
            for turn in range(work.times):
                places = zip(self.checkouts, folders, strict=True)
                times = [self.time(work, checkout, folder) for checkout, folder in places]
                label = work.name
                if work.times > 1:
                    label = f"{work.name}, {('first', 'again')[turn]}"
                print(line(label, times), flush=True)
                if work.is_shown:
                    print(*(time.printed for time in times if time), sep="\n", flush=True)

    def time(self, work: Work, checkout: Path, folder: Path) -> Time | None:
        """The time of a piece of work; None where an older checkout cannot do it."""
        try:
            measured = spent(work, checkout, folder)
        except Failed as error:
            if checkout == self.checkouts[-1]:
                raise SystemExit(str(error)) from error
            return None
        if work.result:
            self.compare(work, checkout, folder / work.result)
        return measured

    def compare(self, work: Work, checkout: Path, file: Path) -> None:
        """Stop if the results of a piece are not those of the piece before, in any order."""
        lines = sorted(file.read_text().splitlines())
        if lines != self.results.setdefault((checkout, work.result), lines):
            raise SystemExit(f"{work.name} has other results in {checkout} than the row before")


def line(label: str, times: list[Time | None]) -> str:
    """A row of the table."""
    cells = [f"{t.cpu:8.2f} {t.wall:8.2f}" if t else f"{'-':>8} {'-':>8}" for t in times]
    first, last = times[0], times[-1]
    ratio = f"{last.cpu / first.cpu:7.2f}" if len(times) > 1 and first and last else ""
    return f"{label:32}{'  '.join(cells)} {ratio}".rstrip()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("checkouts", nargs="*", type=Path, default=[HERE], help="default: this one")
    parser.add_argument("--quick", action="store_true", help="smaller, and without the tests")
    parser.add_argument("--parts", nargs="+", choices=PARTS, help="default: all")
    parser.add_argument("--notebooks", nargs="+", help="names of notebooks; default: all")
    parser.add_argument("--jobs", type=int, default=1, help="processes that draw the figures")
    parser.add_argument("--points", type=int, help="candidates of a search; 32, quickly 12")
    parser.add_argument("--seeds", type=int, help="trainings of each candidate; 4, quickly 2")
    parser.add_argument("--steps", type=int, help="steps of each training; 400, quickly 200")
    options = parser.parse_args()
    effort = QUICK if options.quick else THOROUGH
    checkouts = [checkout.resolve() for checkout in options.checkouts]
    present = sorted(file.name for file in (checkouts[-1] / "notebooks").glob("*.ipynb"))
    asked = {name: getattr(options, name) for name in Size._fields if getattr(options, name)}
    effort = replace(effort, search=effort.search._replace(**asked))
    parts, notebooks = options.parts or effort.parts, options.notebooks or present
    adopt_orphans()
    table = Table(checkouts)
    for work in pieces(parts, notebooks, options.jobs, effort):
        table.add(work)


if __name__ == "__main__":
    main()
