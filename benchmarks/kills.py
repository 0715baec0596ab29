"""Kill or interrupt trainings and searches at any moment, go on, and see that nothing is lost.

Each trial is a job in a process forked from this one, which has the libraries loaded. It ends at a
moment that a seed has drawn: a number of calls of functions, of Python and of C, so that the moment
is the same on a busy machine. Half of the moments lie within the writing of files. SIGKILL ends the
process there; SIGINT is what Ctrl-C sends. Then a second process goes on with what is on the disk.

A trial is a fault if the job does not come out bit for bit as without a disturbance, if a
checkpoint or a row that was finished is not there, if an interrupt raises anything but
KeyboardInterrupt, or if the folder holds a file, a lock or a temporary folder too many.

Run: python benchmarks/kills.py [--kills N] [--interrupts N] [--jobs JOB ...] [--seed S]
"""

import argparse
import collections
import hashlib
import itertools
import json
import os
import random
import re
import select
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch

import diffviz as dv
from diffviz.compute import cache
from diffviz.learning import checkpoints, files
from diffviz.learning.models import MLP
from diffviz.search import search
from diffviz.search.results import Results
from diffviz.theory.prior import offset_shift

PATIENCE = 120.0  # seconds that one process may take
FINISHED = "finished"  # beside the folder of a job: what it has saved so far
STEPS = 48
SEARCH = {"points": 4, "seeds": 2, "steps": 4, "batch": 16, "family": "sigmoid", "together": 2}


class Job(NamedTuple):
    """Something that is disturbed.

    Attributes:
        run: Does it in a folder, or goes on there, and returns what must come out.
        saved: How much of it is on the disk.
    """

    run: Callable[[Path], dict[str, Any]]
    saved: Callable[[Path], int]


class Alone(NamedTuple):
    """What a job does if it is left alone.

    Attributes:
        outcome: What it returned.
        calls: Number of calls of functions.
        saving: First and last call of each writing of a file.
        files: Names of the files at the end, from the folder of the job.
    """

    outcome: Any
    calls: int
    saving: list[list[int]]
    files: set[str]


class Ended(NamedTuple):
    """How a process ended.

    Attributes:
        how: "returned", "interrupted", "killed", "raised" or "no end".
        outcome: What the job returned, or the error.
    """

    how: str
    outcome: Any = None


@dataclass
class Moments:
    """Counts calls of functions, and disturbs the process at one of them.

    It waits for an event that is no return. Python ends a generator without its ``finally`` where
    an error is raised while a yield is reported, and no signal comes there by itself.

    Args:
        at: The number of the call; None to count only.
        disturb: What happens there.
    """

    at: int | None = None
    disturb: Callable[[], Any] = lambda: None
    calls: int = 0
    saving: list[tuple[int, int]] = field(default_factory=list)

    def __call__(self, frame: Any, event: str, argument: Any) -> None:
        """Count an event; see ``sys.setprofile``."""
        self.calls += 1
        if self.at is not None and self.calls >= self.at and event != "return":
            sys.setprofile(None)
            self.disturb()


# --- the jobs ------------------------------------------------------------------------------------


def digest(*tensors: Any) -> str:
    """Numbers in a few letters, equal for the same bits only."""
    total = hashlib.sha256()
    for tensor in tensors:
        total.update(torch.as_tensor(tensor).contiguous().numpy().tobytes())
    return total.hexdigest()[:16]


def trained(folder: Path, **settings: Any) -> dict[str, Any]:
    """A training of two objectives with checkpoints."""
    data = dv.toy("ring8").sample(64, torch.Generator().manual_seed(0))
    runs = dv.fit(
        ["fm-ot", "edm"],
        data,
        model=MLP(width=8, depth=1),
        steps=STEPS,
        batch=8,
        checkpoint=folder / "checkpoint",
        every=5,
        progress=False,
        **settings,
    )
    weights = [tensor for run in runs for tensor in run.state.values()]
    return {"steps": len(runs[0].loss), "sum": digest(*weights, *(run.loss for run in runs))}


def trained_adaptively(folder: Path) -> dict[str, Any]:
    """A training whose levels follow what it has measured."""
    return trained(folder, adaptive=True)


def searched(folder: Path) -> dict[str, Any]:
    """A search with its file."""
    found = search(out=folder / "search.csv", **SEARCH)
    rows = (folder / "search.csv").read_text(encoding="utf-8").splitlines()
    values = [*found.surface.values.ravel(), *itertools.chain(*found.second.values())]
    return {"rows": sorted(rows), "sum": digest(values)}


kept_shift = cache.cached(offset_shift)


def kept(folder: Path) -> dict[str, Any]:
    """Results of a function in the cache."""
    os.environ[cache.VARIABLE] = str(folder / "cache")
    return {"sum": digest([kept_shift(0.1, pixels) for pixels in range(64, 72)])}


def steps_saved(folder: Path) -> int:
    """The step of a checkpoint, 0 where there is none."""
    path = folder / "checkpoint"
    return files.read(path, "checkpoint")[0]["step"] if path.exists() else 0


def rows_saved(folder: Path) -> int:
    """Number of whole rows in the file of a search."""
    path = folder / "search.csv"
    return path.read_text(encoding="utf-8").count("\n") if path.exists() else 0


def results_saved(folder: Path) -> int:
    """Number of whole results in the cache."""
    return len(list(folder.glob("cache/joblib/**/output.pkl")))


JOBS = {
    "fit": Job(trained, steps_saved),
    "fit-adaptive": Job(trained_adaptively, steps_saved),
    "search": Job(searched, rows_saved),
    "cache": Job(kept, results_saved),
}


# --- one process ---------------------------------------------------------------------------------


@contextmanager
def watched(job: Job, folder: Path, moments: Moments) -> Iterator[None]:
    """Note what is saved, and at which calls, while a job runs; disturb it at its moment."""
    note = os.open(folder.with_name(FINISHED), os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def noting(save: Callable[..., Any]) -> Callable[..., Any]:
        def saved(*args: Any, **kwargs: Any) -> Any:
            first = moments.calls
            result = save(*args, **kwargs)
            profile = sys.getprofile()
            sys.setprofile(None)
            os.write(note, f"{job.saved(folder)}\n".encode())
            moments.saving.append((first, moments.calls))
            sys.setprofile(profile)
            return result

        return saved

    checkpoints.save = noting(checkpoints.save)
    Results.append = noting(Results.append)
    cache._write = noting(cache._write)
    sys.setprofile(moments)
    try:
        yield
    finally:
        sys.setprofile(None)


def worked(job: Job, folder: Path, moments: Moments) -> dict[str, Any]:
    """What a process has to say of a job: how it ended, and the calls that it counted."""
    try:
        with watched(job, folder, moments):
            outcome = job.run(folder)
        ended = Ended("returned", outcome)
    except KeyboardInterrupt:
        ended = Ended("interrupted")
    except BaseException:
        ended = Ended("raised", traceback.format_exc())
    return {"ended": ended, "calls": moments.calls, "saving": moments.saving}


def forked(job: Job, folder: Path, moments: Moments) -> dict[str, Any]:
    """The same from a process of its own, which may be killed."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        temporary = folder.with_name("temporary")
        temporary.mkdir(exist_ok=True)
        tempfile.tempdir = os.environ["TMPDIR"] = str(temporary)
        warnings.simplefilter("ignore")  # a row that was cut short is told
        try:
            said = worked(job, folder, moments)
            os.write(writer, json.dumps(said).encode())
        finally:
            os._exit(0)
    os.close(writer)
    text = read_until_closed(reader, PATIENCE)
    if text is None:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if text is None:
        return {"ended": Ended("no end")}
    if os.waitstatus_to_exitcode(status) == -signal.SIGKILL:
        return {"ended": Ended("killed")}
    said = json.loads(text)
    return said | {"ended": Ended(*said["ended"])}


def read_until_closed(reader: int, patience: float) -> bytes | None:
    """All that comes through a pipe, None if its other end stays open for too long."""
    end = time.monotonic() + patience
    content = b""
    try:
        while select.select([reader], [], [], max(0.0, end - time.monotonic()))[0]:
            piece = os.read(reader, 2**16)
            if not piece:
                return content
            content += piece
        return None
    finally:
        os.close(reader)


# --- one trial -----------------------------------------------------------------------------------


def kill() -> None:
    """End this process as the system does when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


def interrupt() -> None:
    """Do what Ctrl-C does."""
    signal.raise_signal(signal.SIGINT)


def files_in(folder: Path) -> set[str]:
    """Names of the files of a job, and of temporary ones, from its folder."""
    places = (folder, folder.with_name("temporary"))
    return {
        str(path.relative_to(folder.parent))
        for place in places
        for path in place.rglob("*")
        if path.is_file() or place != folder
    }


def trial(job: Job, alone: Alone, at: int, disturb: Callable[[], Any], place: Path) -> list[str]:
    """The faults of one trial: none if all is well."""
    folder = place / "work"
    folder.mkdir()
    first = forked(job, folder, Moments(at, disturb))["ended"]
    faults = []
    if first.how in ("raised", "no end"):
        faults.append(f"the disturbed run ended otherwise: {first.how} {first.outcome}")
    if disturb is kill and first.how == "returned":
        faults.append("it was not killed: the moment never came")
    if first.how in ("interrupted", "returned"):
        faults += [f"{name} was left at once" for name in files_in(folder) - alone.files]
    note = place / FINISHED
    finished = [int(row) for row in note.read_text().split()] if note.exists() else [0]
    if job.saved(folder) < max(finished, default=0):
        faults.append(f"{max(finished)} was saved, and {job.saved(folder)} is there")
    second = forked(job, folder, Moments())["ended"]
    if second.how != "returned":
        faults.append(f"it does not go on: {second.how} {second.outcome}")
    elif second.outcome != alone.outcome:
        faults.append(f"it comes out as {second.outcome}, not {alone.outcome}")
    return faults + [f"{name} was left" for name in files_in(folder) - alone.files]


def undisturbed(job: Job) -> Alone:
    """A job that is left alone; twice the same, with no lock and no temporary file at the end."""
    said = []
    for _ in range(2):
        with tempfile.TemporaryDirectory(prefix="kills-") as place:
            folder = Path(place) / "work"
            folder.mkdir()
            said.append(forked(job, folder, Moments()))
            files_at_the_end = files_in(folder)
    first, second = (one["ended"] for one in said)
    left = [name for name in files_at_the_end if re.search(r"^temporary|lock|te?mp", name)]
    if first.how != "returned" or first != second or left:
        raise SystemExit(f"the job does not go by itself: {first}, {second}, left are {left}")
    return Alone(first.outcome, said[0]["calls"], said[0]["saving"], files_at_the_end)


def drawn_moment(rng: random.Random, alone: Alone) -> int:
    """The number of a call: any, or one within the writing of a file."""
    if rng.random() < 0.5:
        return rng.randint(1, alone.calls)
    return rng.randint(*rng.choice(alone.saving))


def trials(options: argparse.Namespace) -> Iterator[tuple[str, str, int, list[str]]]:
    """Job, signal, moment and faults of each trial, the jobs in turn."""
    alone = {name: undisturbed(JOBS[name]) for name in options.jobs}
    rng = random.Random(options.seed)
    kinds = [("SIGKILL", kill)] * options.kills + [("SIGINT", interrupt)] * options.interrupts
    for (kind, disturb), name in zip(kinds, itertools.cycle(options.jobs), strict=False):
        at = drawn_moment(rng, alone[name])
        place = Path(tempfile.mkdtemp(prefix="kills-"))
        try:
            faults = trial(JOBS[name], alone[name], at, disturb, place)
            yield name, kind, at, faults
        finally:
            with suppress(OSError):
                shutil.rmtree(place)


def main() -> None:
    """Run all trials, print each fault and a table, and exit with 1 if there is a fault."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200, help="number of kills")
    parser.add_argument("--interrupts", type=int, default=200, help="number of interrupts")
    parser.add_argument("--jobs", nargs="+", default=list(JOBS), choices=JOBS, help="what runs")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments")
    options = parser.parse_args()
    torch.set_num_threads(1)  # a process with more of them must not be forked
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
    counts = collections.defaultdict(collections.Counter)
    for name, kind, at, faults in trials(options):
        counts[name, kind].update(trials=1, faults=bool(faults))
        for fault in faults:
            print(f"{name}, {kind} at call {at}: {fault}", flush=True)
    print("| job | signal | trials | faults |\n| --- | --- | --- | --- |")
    for (name, kind), count in counts.items():
        print(f"| {name} | {kind} | {count['trials']} | {count['faults']} |")
    sys.exit(1 if any(count["faults"] for count in counts.values()) else 0)


if __name__ == "__main__":
    main()
