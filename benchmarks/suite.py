"""What people wait for: figures, notebooks, the import and a list, in CPU seconds at one thread.

Each piece of work runs in a process of its own. Figures and notebooks run twice with a fresh cache
folder; a checkout that has no cache does the work twice. With several checkouts of the repository,
each piece runs for all of them in turn, and the ratio of the last to the first is printed.

Run: python benchmarks/suite.py [CHECKOUT ...] [--parts PART ...] [--notebooks NAME ...]

All of it takes about ten minutes for each checkout without a cache.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parents[1]
PARTS = ("import", "list", "figures", "notebooks")
EXECUTE = """
import sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], 4)
folder = {"metadata": {"path": sys.argv[2]}}
NotebookClient(notebook, timeout=None, kernel_name="python3", resources=folder).execute()
"""


class Time(NamedTuple):
    """What a piece of work took.

    Attributes:
        cpu: CPU seconds of its processes, user and system.
        wall: Seconds on the clock.
    """

    cpu: float
    wall: float


@dataclass(frozen=True)
class Work:
    """A piece of work.

    Attributes:
        name: What the table calls it.
        arguments: Of Python, in the checkout.
        times: How often it runs with the same cache folder.
    """

    name: str
    arguments: tuple[str, ...]
    times: int = 1


def pieces(parts: list[str], notebooks: list[str], jobs: int, scratch: str) -> Iterator[Work]:
    """The work of the parts that are asked for.

    Args:
        parts: Of ``PARTS``.
        notebooks: Names of notebooks.
        jobs: Processes that draw figures; 1 for a checkout that knows no other number.
        scratch: A folder for the figures.

    Yields:
        The pieces, in the order of the table.
    """
    if "import" in parts:
        yield Work("import diffviz", ("-c", "import diffviz"))
    if "list" in parts:
        yield Work("python -m diffviz list", ("-m", "diffviz", "list"))
    if "figures" in parts:
        command = ("-m", "diffviz", "figures", "--out", scratch)
        more = ("--jobs", str(jobs)) if jobs > 1 else ()
        yield Work("figures", (*command, *more), times=2)
    if "notebooks" in parts:
        for name in notebooks:
            yield Work(name, ("-c", EXECUTE, f"notebooks/{name}", "notebooks"), times=2)


def spent(work: Work, checkout: Path, cache: str) -> Time:
    """Run a piece of work in a checkout.

    Args:
        work: The work.
        checkout: A checkout of the repository.
        cache: Folder of the cache of results.

    Returns:
        Its CPU and wall time; that of its own child processes is included.

    Raises:
        SystemExit: It failed.
    """
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    environment = os.environ | one_thread | {"PYTHONPATH": str(checkout), "DIFFVIZ_CACHE": cache}
    before, start = _children(), time.perf_counter()
    run = subprocess.run(
        [sys.executable, *work.arguments],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
    )
    wall = time.perf_counter() - start
    if run.returncode:
        raise SystemExit(f"{work.name} failed in {checkout}:\n{run.stderr}")
    return Time(_children() - before, wall)


def _children() -> float:
    """CPU seconds of all processes that were started and waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def rows(work: Work, checkouts: list[Path]) -> Iterator[str]:
    """The rows of a piece of work: one for the first time, one for the second."""
    with tempfile.TemporaryDirectory() as scratch:
        for turn in range(work.times):
            times = [
                spent(work, checkout, f"{scratch}/{number}")
                for number, checkout in enumerate(checkouts)
            ]
            label = work.name if work.times == 1 else f"{work.name}, {('first', 'again')[turn]}"
            cells = [f"{one.cpu:8.2f} {one.wall:8.2f}" for one in times]
            ratio = f"{times[-1].cpu / times[0].cpu:7.2f}" if len(times) > 1 else ""
            yield f"{label:32}{'  '.join(cells)} {ratio}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkouts", nargs="*", type=Path, default=[HERE], help="default: this one")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="default: all")
    parser.add_argument("--notebooks", nargs="+", help="names of notebooks; default: all")
    parser.add_argument("--jobs", type=int, default=1, help="processes that draw the figures")
    options = parser.parse_args()
    checkouts = [checkout.resolve() for checkout in options.checkouts]
    present = sorted(file.name for file in (checkouts[0] / "notebooks").glob("*.ipynb"))
    for number, checkout in enumerate(checkouts, start=1):
        print(f"{number}: {checkout}")
    heads = [
        f"{f'CPU s {number}':>8} {f'wall {number}':>8}" for number in range(1, len(checkouts) + 1)
    ]
    print(f"{'':32}{'  '.join(heads)} {'ratio' if len(checkouts) > 1 else '':>7}", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        for work in pieces(options.parts, options.notebooks or present, options.jobs, scratch):
            for row in rows(work, checkouts):
                print(row, flush=True)


if __name__ == "__main__":
    main()
