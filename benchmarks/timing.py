"""How the other benchmarks measure time."""

import time
from collections.abc import Callable, Iterable


def seconds(
    steps: Iterable[Callable[[], object]], clock: Callable[[], float] = time.process_time
) -> list[float]:
    """Seconds that each call takes, by a clock of CPU time, or of the wall where other processes do the work."""
    spent = []
    for step in steps:
        start = clock()
        step()
        spent.append(clock() - start)
    return spent
