from . import cache, executors, sources, threads
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
    "sources",
    "threads",
]
