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
    made: list[Any] = []
    try:
        try:
            yield _acquire(made, file, patience)
        finally:
            _let_go(made, file)
    finally:
        _let_go(made, file)  # again, since an interrupt may come before the first has begun


# An interrupt within ``filelock`` may leave one of its own locks held, for which other threads wait
# without end. So locks are made, taken, released and thrown away while interrupts wait.


def _acquire(made: list[Any], file: Path, patience: float) -> bool:
    """Make a lock and wait for it; whether there is one. An interrupt comes between two looks."""
    from filelock import FileLock, Timeout

    with interrupts.held_back():
        made.append(FileLock(file))
    end = time.monotonic() + patience
    while True:
        try:
            with interrupts.held_back():
                made[0].acquire(blocking=False)
            return True
        except Timeout:
            if patience >= 0 and time.monotonic() >= end:
                raise
        except (OSError, NotImplementedError):
            return False
        time.sleep(PAUSE)


def _let_go(made: list[Any], file: Path) -> None:
    """Remove the file of a lock that is held, if the system lets us, and release the lock."""
    with interrupts.held_back():
        if made and made[0].is_locked:
            with suppress(OSError):
                file.unlink()
            made[0].release()
        made.clear()
