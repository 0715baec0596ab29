"""Where work runs: in this process, or in a pool of processes."""

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager

from diffviz.checks import count, require


@contextmanager
def executor(jobs: int = 1, cluster: str | None = None) -> Iterator[Executor]:
    """An executor for the time of a ``with`` block.

    Args:
        jobs: Number of processes.
        cluster: Not yet known here.

    Yields:
        The executor.

    Raises:
        TypeError: ``jobs`` is no whole number.
        ValueError: ``jobs`` is below 1, or a cluster is given.
    """
    require(cluster is None, f"no cluster is known here, got {cluster!r}")
    if count(jobs, "jobs") == 1:
        with ThreadPoolExecutor(1) as pool:
            yield pool
    else:
        with ProcessPoolExecutor(jobs, multiprocessing.get_context("forkserver")) as pool:
            yield pool
