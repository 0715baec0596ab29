from . import executors, threads
from .executors import WorkerDied, completed, executor, in_order

__all__ = ["WorkerDied", "completed", "executor", "executors", "in_order", "threads"]
