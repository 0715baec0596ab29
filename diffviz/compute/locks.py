"""Files by which processes wait for one another.

The system releases a lock when its process ends, however it ends.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

FOREVER = -1.0  # a patience without end


@contextmanager
def held(file: Path, patience: float = FOREVER) -> Iterator[bool]:
    """Hold a lock in a ``with`` block, and remove its file at the end.

    Where the folder has no locks or is for reading only, there is none.

    Args:
        file: The file of the lock, which need not exist.
        patience: How long to wait for another process, in seconds.

    Yields:
        Whether there is a lock.

    Raises:
        TimeoutError: Another process holds it for longer.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from diffviz.compute import locks
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with locks.held(Path(folder) / "lock") as is_locked:
        ...         is_locked
        True
    """
    from filelock import FileLock, Timeout

    lock = FileLock(file)
    with ExitStack() as stack:
        try:
            stack.enter_context(lock.acquire(timeout=patience))
        except Timeout:
            raise
        except (OSError, NotImplementedError):
            pass
        else:
            stack.callback(_remove, file)
        yield lock.is_locked


def _remove(file: Path) -> None:
    """Remove a file, if the system lets us."""
    with suppress(OSError):
        file.unlink()
