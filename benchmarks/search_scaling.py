"""How a search scales: measured from one worker to two, and simulated beyond.

Measured are the trainings of a design in batches of 16: in this process, by two processes, by two
Dask workers, and by two Dask workers of which one is killed at the first result. Each row has the
CPU seconds of all processes, and how evenly the work was shared: the ideal speed is the sum of the
workers' CPU seconds over the largest. On a machine with idle cores that is the speed in wall time;
the wall time itself stands beside it, and means little where other programs run. All values must be
the same to the last bit.

Simulated is one round of a search by a list schedule: each worker takes the next task when it is
free, and the scheduler hands out one task after another. A task costs what was measured here, and
handing one out costs what Dask took for an empty task.

Run: OMP_NUM_THREADS=1 python benchmarks/search_scaling.py [--points N] [--seeds N] [--steps N]
    [--trainings N]
"""

import argparse
import heapq
import math
import os
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import dataclass

import dask
import numpy as np
from distributed import LocalCluster
from timing import machine

from diffviz.compute.executors import completed, executor, in_order
from diffviz.search import families
from diffviz.search.candidates import Candidate, member
from diffviz.search.design import sobol_points
from diffviz.search.measurement import Outcome, train_and_measure
from diffviz.search.settings import Settings

Task = tuple[list[Candidate], int, Settings]
Cost = Callable[[int], float]  # CPU seconds of a batch, by the number of its candidates
TOGETHER = 16
WORKERS = (1, 2, 10, 100, 400, 1600)
EMPTY = 2000  # tasks that do nothing, to measure the scheduler
SECOND_ROUND = 7  # candidates of the second round, for each seed


@dataclass(frozen=True)
class Measured:
    """One row of what is measured.

    Args:
        values: Goal of each training, in the order of the tasks.
        cpu: CPU seconds of the tasks, by process.
        wall: Seconds on the clock, without the start of the workers.
    """

    values: list[float]
    cpu: dict[int, float]
    wall: float


def timed(
    batch: list[Candidate], seed: int, settings: Settings
) -> tuple[list[Outcome], float, int]:
    """A task, its CPU seconds, and the process that ran it."""
    start = time.process_time()
    outcomes = train_and_measure(batch, seed, settings)
    return outcomes, time.process_time() - start, os.getpid()


def nothing(number: int) -> int:
    """A task that does nothing."""
    return number


def warm_up(settings: Settings, seed: int) -> int:
    """Import what a training needs, and wait for a while so that each worker gets one such task."""
    tiny = Settings(settings.data, settings.goal, settings.family, steps=1, batch=8)
    train_and_measure(design(settings, 1), seed, tiny)
    time.sleep(1)
    return os.getpid()


def design(settings: Settings, points: int) -> list[Candidate]:
    """Points of the design, as candidates."""
    box = families.FAMILIES[settings.family].box
    return [member(settings, place) for place in sobol_points(box, points)]


def tasks_of(settings: Settings, points: int, seeds: int, together: int) -> list[Task]:
    """The tasks of the first round of a search."""
    candidates = design(settings, points)
    starts = range(0, points, together)
    return [(candidates[i : i + together], s, settings) for s in range(seeds) for i in starts]


def measure(
    pool: Executor, tasks: Sequence[Task], at_first: Callable[[int], object] | None = None
) -> Measured:
    """Run tasks on an executor; ``at_first`` gets the process of the first result."""
    in_order(pool, warm_up, [(tasks[0][2], seed) for seed in range(2)])
    start = time.perf_counter()
    values: dict[tuple[str, int], float] = {}
    cpu: dict[int, float] = {}
    for (batch, seed, _), future in completed(pool, timed, tasks):
        outcomes, seconds, process = future.result()
        cpu[process] = cpu.get(process, 0.0) + seconds
        values |= {(c.name, seed): o.value for c, o in zip(batch, outcomes, strict=True)}
        if at_first is not None:
            at_first(process)
            at_first = None
    wall = time.perf_counter() - start
    ordered = [values[c.name, seed] for batch, seed, _ in tasks for c in batch]
    return Measured(ordered, cpu, wall)


def kill(process: int) -> None:
    """Kill a worker, as the system does when memory runs out."""
    os.kill(process, signal.SIGKILL)


def local_cluster(stack: ExitStack) -> str:
    """The address of a Dask cluster of two processes."""
    stack.enter_context(dask.config.set({"distributed.admin.log-format": "%(message)s"}))
    cluster = stack.enter_context(
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            silence_logs="CRITICAL",
        )
    )
    return cluster.scheduler_address


def measured_rows(tasks: Sequence[Task]) -> tuple[dict[str, Measured], float]:
    """What is measured, by where it ran, and the seconds of Dask for an empty task."""
    rows = {}
    with executor() as pool:
        rows["one worker"] = measure(pool, tasks)
    with executor(2) as pool:
        rows["two processes"] = measure(pool, tasks)
    with ExitStack() as stack:
        address = local_cluster(stack)
        pool = stack.enter_context(executor(cluster=address))
        rows["two Dask workers"] = measure(pool, tasks)
        start = time.perf_counter()
        in_order(pool, nothing, [(number,) for number in range(EMPTY)])
        overhead = (time.perf_counter() - start) / EMPTY
        rows["..., one killed"] = measure(pool, tasks, at_first=kill)
    return rows, overhead


def list_schedule(seconds: Sequence[float], workers: int, overhead: float) -> float:
    """When the last task ends, if each worker takes the next task when it is free.

    Args:
        seconds: Cost of each task.
        workers: Number of workers.
        overhead: Seconds in which the scheduler hands out a task.

    Returns:
        The end of the last task, in seconds.
    """
    free = [0.0] * min(workers, len(seconds))
    handed_out = 0.0
    end = 0.0
    for cost in seconds:
        handed_out = max(handed_out, heapq.heappop(free)) + overhead
        heapq.heappush(free, handed_out + cost)
        end = max(end, handed_out + cost)
    return end


def simulated_rounds(
    cost: Cost, points: int, seeds: int, together: int, workers: int, scheduler: float
) -> float:
    """Seconds of both rounds of a search; the second begins when the first is over."""
    batches = [together] * (points // together) + [points % together] * (points % together > 0)
    first = [cost(size) for size in batches for _ in range(seeds)]
    second_batches = math.ceil(SECOND_ROUND / together)
    second = [cost(math.ceil(SECOND_ROUND / second_batches))] * second_batches * seeds
    return sum(list_schedule(tasks, workers, scheduler) for tasks in (first, second))


def print_measured(rows: dict[str, Measured], overhead: float) -> None:
    """The table of what is measured."""
    print(f"{'where':20}{'CPU s':>8}{'by worker':>22}{'ideal speed':>13}{'wall s':>8}  values")
    reference = rows["one worker"].values
    for name, row in rows.items():
        total, largest = sum(row.cpu.values()), max(row.cpu.values())
        shares = ", ".join(f"{seconds:.1f}" for seconds in row.cpu.values())
        same = "the same" if row.values == reference else "DIFFERENT"
        print(f"{name:20}{total:8.1f}{shares:>22}{total / largest:13.2f}{row.wall:8.1f}  {same}")
    print(f"Dask: {1e3 * overhead:.2f} ms for an empty task\n")


def print_simulated(costs: dict[int, float], steps: int, trainings: int, overhead: float) -> None:
    """The table of what is simulated, for the steps measured and for 100 times as many."""
    seeds = 10
    points = trainings // seeds
    slope = (costs[TOGETHER] - costs[1]) / (TOGETHER - 1)
    for longer in (1, 100):
        print(f"{trainings} trainings of {steps * longer} steps: hours (speed)")
        print(f"{'workers':>8}" + "".join(f"{f'batches of {size}':>22}" for size in (16, 4, 1)))

        def cost(size: int, longer: int = longer) -> float:
            return longer * (costs[1] + slope * (size - 1))

        alone = simulated_rounds(cost, points, seeds, TOGETHER, 1, overhead)
        for workers in WORKERS:
            cells = ""
            for size in (16, 4, 1):
                end = simulated_rounds(cost, points, seeds, size, workers, overhead)
                cells += f"{end / 3600:14.3f} ({alone / end:5.0f})"
            print(f"{workers:8}{cells}")


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--points", type=int, default=32)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--trainings", type=int, default=10_000)
    options = parser.parse_args()
    settings = Settings(steps=options.steps)
    print(machine())
    tasks = tasks_of(settings, options.points, options.seeds, TOGETHER)
    rows, overhead = measured_rows(tasks)
    print_measured(rows, overhead)
    costs = {}
    for size in (1, TOGETHER):
        seconds = [timed(design(settings, size), seed, settings)[1] for seed in range(3)]
        costs[size] = float(np.median(seconds))
        print(f"a batch of {size:2}: {costs[size]:.2f} CPU s, {costs[size] / size:.3f} a training")
    print_simulated(costs, options.steps, options.trainings, overhead)


if __name__ == "__main__":
    main()
