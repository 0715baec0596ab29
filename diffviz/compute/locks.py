"""Files by which processes wait for one another.

The system releases a lock when its process ends, however it ends.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from diffviz.compute import interrupts

FOREVER = -1.0  # a patience without end
PAUSE = 0.05  # seconds between two looks at a lock that another process holds


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
    from filelock import FileLock

    lock = FileLock(file)
    try:
        try:
            yield _acquire(lock, patience)
        finally:
            _let_go(lock, file)
    finally:
        _let_go(lock, file)  # again, since an interrupt may come before the first has begun


def _acquire(lock: Any, patience: float) -> bool:
    """Wait for a lock; whether there is one. An interrupt comes while it waits, or not at all."""
    from filelock import Timeout

    end = time.monotonic() + patience
    while True:
        try:
            with interrupts.held_back():
                lock.acquire(blocking=False)
            return True
        except Timeout:
            if patience >= 0 and time.monotonic() >= end:
                raise
        except (OSError, NotImplementedError):
            return False
        time.sleep(PAUSE)


def _let_go(lock: Any, file: Path) -> None:
    """Remove the file of a lock that is held, if the system lets us, and release the lock."""
    with interrupts.held_back():
        if lock.is_locked:
            with suppress(OSError):
                file.unlink()
            lock.release()
