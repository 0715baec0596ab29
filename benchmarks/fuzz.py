"""Attack every public callable with hostile values, and say what became of each input.

The doors are enumerated from the package and its reference, so that none is forgotten; the values
are those of ``tests/hostile.py``. A fault is an error from the deep, a refusal that names neither
the argument nor the value, NaN or infinity that pass without a word, or a call that does not end.
A run can be stopped and goes on where it was; shards run side by side; the same seed attacks with
the same inputs.

Run: python benchmarks/fuzz.py [--inputs N] [--seed S] [--shards N] [--doors PATTERN]
    [--out FILE] [--limit SECONDS] [--minutes M] [--fresh]
"""

import argparse
import collections
import faulthandler
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests"
PATIENCE = 3.0  # times the limit after which a call that cannot be interrupted is ended


class TooLong(BaseException):
    """A call took longer than its limit; no ``except Exception`` catches it."""


def interrupt(*_: Any) -> None:
    """End the call that is running."""
    raise TooLong


def records(file: Path) -> Iterator[dict[str, Any]]:
    """The records of a file, without a last line that was cut short."""
    if file.exists():
        for line in file.read_text(encoding="utf-8").splitlines():
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                continue


def append(file: Path, **record: Any) -> None:
    """Add a record to a file."""
    with file.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(record) + "\n")


# --- one worker ----------------------------------------------------------------------------------


def work(options: argparse.Namespace, shard: int) -> None:
    """Run the inputs of a shard that are not done yet."""
    sys.path.insert(0, str(TESTS))
    import attack

    file = shard_file(options.out, shard)
    done = {record["input"] for record in records(file) if "verdict" in record}
    folder = options.out.parent / "files"  # the same for every process: its name is in values
    os.chdir(tempfile.mkdtemp(prefix="fuzz-"))
    signal.signal(signal.SIGALRM, interrupt)
    for index, one in enumerate(inputs(options, folder)):
        if index % options.shards != shard or index in done:
            continue
        append(file, begun=index, door=one.door, text=str(one))
        started = time.perf_counter()
        faulthandler.dump_traceback_later(PATIENCE * options.limit, exit=True)
        signal.setitimer(signal.ITIMER_REAL, options.limit)
        try:
            verdict, reason = attack.attack(one, folder)
        except TooLong:
            verdict, reason = attack.Verdict.FAULT, f"no end after {options.limit:g} s"
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            faulthandler.cancel_dump_traceback_later()
        append(
            file,
            input=index,
            door=one.door,
            text=str(one),
            verdict=str(verdict),
            reason=reason,
            seconds=round(time.perf_counter() - started, 3),
        )


def inputs(options: argparse.Namespace, folder: Path) -> Iterator[Any]:
    """All inputs of a run, the same in each process."""
    import attack

    each = -(-options.inputs // len(attack.valid_calls()))
    return attack.plan(each, options.seed, folder, options.doors)


def shard_file(out: Path, shard: int) -> Path:
    """The file of a shard's records."""
    return out.with_suffix(f".{shard}.jsonl")


# --- all of them ---------------------------------------------------------------------------------


def start(options: argparse.Namespace, shard: int) -> subprocess.Popen:
    """Start the worker of a shard."""
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "DIFFVIZ_CACHE": tempfile.mkdtemp(prefix="fuzz-cache-"),
    }
    command = [sys.executable, __file__, *sys.argv[1:], "--worker", str(shard)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)


def run(options: argparse.Namespace) -> None:
    """Run all shards; a worker that dies leaves a fault, and another takes its place."""
    workers = {shard: start(options, shard) for shard in range(options.shards)}
    end = time.monotonic() + 60 * options.minutes
    while workers:
        time.sleep(0.2)
        if time.monotonic() > end:
            for worker in workers.values():
                worker.terminate()
            return
        for shard, worker in list(workers.items()):
            if worker.poll() is None:
                continue
            if worker.returncode == 0:
                del workers[shard]
                continue
            note_death(shard_file(options.out, shard), worker.returncode)
            workers[shard] = start(options, shard)


def note_death(file: Path, code: int) -> None:
    """Record that the input which a worker had begun ended the process."""
    last = None
    for record in records(file):
        last = record
    if last is None or "begun" not in last:
        raise SystemExit(f"a worker ended with {code} before its first input; see it with --worker")
    reason = f"the process ended with {code}"
    known = {"door": last["door"], "text": last["text"], "seconds": 0.0}
    append(file, input=last["begun"], verdict="fault", reason=reason, **known)


def report(options: argparse.Namespace) -> int:
    """Print the table by door and each fault, and return the number of faults."""
    found = [
        record
        for shard in range(options.shards)
        for record in records(shard_file(options.out, shard))
        if "verdict" in record
    ]
    by_door = collections.defaultdict(collections.Counter)
    for record in found:
        by_door[record["door"]][record["verdict"]] += 1
    print(f"{'door':60} accepted  refused  faults")
    for door, counts in sorted(by_door.items()):
        row = [counts[verdict] for verdict in ("accepted", "refused", "fault")]
        print(f"{door:60} {row[0]:8} {row[1]:8} {row[2]:7}")
    faults = [record for record in found if record["verdict"] == "fault"]
    for record in sorted(faults, key=lambda one: one["text"]):
        said = f"{record['text']}: {record['reason']}"
        print(said.encode(errors="backslashreplace").decode())
    print(f"{len(found)} inputs on {len(by_door)} doors, {len(faults)} faults")
    return len(faults)


def arguments() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--inputs", type=int, default=20_000, help="number of inputs in all")
    parser.add_argument("--seed", type=int, default=0, help="seed of their choice")
    parser.add_argument("--shards", type=int, default=1, help="processes side by side")
    parser.add_argument("--doors", default="*", help="pattern of the doors that are attacked")
    parser.add_argument("--out", type=Path, help="records; by default a file for each seed")
    parser.add_argument("--limit", type=float, default=20.0, help="seconds for one input")
    parser.add_argument("--minutes", type=float, default=1e9, help="minutes after which it stops")
    parser.add_argument("--fresh", action="store_true", help="forget what was done before")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.out = (options.out or ROOT / ".fuzz" / f"inputs-{options.seed}").resolve()
    return options


def main() -> None:
    """Attack, report, and exit with 1 if there are faults."""
    options = arguments()
    if options.worker is not None:
        work(options, options.worker)
        return
    options.out.parent.mkdir(parents=True, exist_ok=True)
    if options.fresh:
        for file in options.out.parent.glob(f"{options.out.name}.*.jsonl"):
            file.unlink()
    run(options)
    sys.exit(1 if report(options) else 0)


if __name__ == "__main__":
    main()
