from . import cache, executors, gradients, locks, sources, threads
from .cache import cached
from .executors import WorkerDied, completed, executor, in_order

__all__ = [
    "WorkerDied",
    "cache",
    "cached",
    "completed",
    "executor",
    "executors",
    "gradients",
    "in_order",
    "locks",
    "sources",
    "threads",
]
