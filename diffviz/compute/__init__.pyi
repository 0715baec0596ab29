from . import executors
from .executors import WorkerDied, completed, executor

__all__ = ["WorkerDied", "completed", "executor", "executors"]
