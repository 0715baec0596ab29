"""Interrupts that wait until a block is through.

Some steps may not be broken off in the middle. Compiled code may swallow an exception and keep what
it has half-made: SciPy does so with the tables of its Sobol points, which it makes once in a
process, and all points after an interrupt there are wrong. A lock that is taken, and not yet noted
as taken, would never be released.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def held_back() -> Iterator[None]:
    """Let Ctrl-C wait until the block ends.

    What Python does at Ctrl-C is exchanged, not the mask of signals: a signal that one thread masks
    goes to another thread, and Python raises KeyboardInterrupt in the main thread all the same. In
    other threads nothing needs to wait, since it is never raised there.
    """
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or handler is None:
        yield  # None is a handler of another language, which raises nothing here
        return
    waiting = []
    signal.signal(signal.SIGINT, lambda number, frame: waiting.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if waiting:
            signal.raise_signal(signal.SIGINT)
