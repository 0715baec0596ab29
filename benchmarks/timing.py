"""How the other benchmarks measure time. It is imported by them and is not run."""

import os
import statistics
import time
from collections.abc import Callable, Iterable

Clock = Callable[[], float]


def seconds(steps: Iterable[Callable[[], object]], clock: Clock = time.process_time) -> list[float]:
    """Time that each call takes.

    Args:
        steps: What is called, once each.
        clock: CPU time by default; ``time.perf_counter`` where other processes do the work.

    Returns:
        Seconds of each call.
    """
    spent = []
    for step in steps:
        start = clock()
        step()
        spent.append(clock() - start)
    return spent


def milliseconds(steps: Iterable[Callable[[], object]]) -> float:
    """Median time of the calls on the wall clock, in ms."""
    return 1e3 * statistics.median(seconds(steps, time.perf_counter))


def machine() -> str:
    """What a time depends on besides the code: torch, its threads, and the load of the machine."""
    import torch

    line = f"torch {torch.__version__}, {torch.get_num_threads()} thread(s) of {os.cpu_count()}"
    if hasattr(os, "getloadavg"):  # not on Windows
        line += f", load {os.getloadavg()[0]:.1f}"
    return line
