"""Interrupts that wait until compiled code is through.

Compiled code may swallow an exception and keep what it has half-made. SciPy does so with the tables
of its Sobol points, which it makes once in a process: an interrupt there is lost, and all points
after it are wrong.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def held_back() -> Iterator[None]:
    """Let Ctrl-C wait until the block ends, on systems whose signals can be held back."""
    mask = getattr(signal, "pthread_sigmask", None)  # Windows has none
    before = mask(signal.SIG_BLOCK, {signal.SIGINT}) if mask else None
    try:
        yield
    finally:
        if mask:
            mask(signal.SIG_SETMASK, before)
