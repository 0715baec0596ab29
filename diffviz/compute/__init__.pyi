from . import cache, executors, locks, sources, threads
from .cache import cached
from .executors import WorkerDied, completed, executor, in_order

__all__ = [
    "WorkerDied",
    "cache",
    "cached",
    "completed",
    "executor",
    "executors",
    "in_order",
    "locks",
    "sources",
    "threads",
]
