from . import executors
from .executors import WorkerDied, completed, executor, in_order

__all__ = ["WorkerDied", "completed", "executor", "executors", "in_order"]
