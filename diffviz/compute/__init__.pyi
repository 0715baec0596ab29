from . import threads

__all__ = [
    "threads",
]
