"""Long work of an explorer: one piece at a time, in a thread that can be stopped."""

import threading
from collections.abc import Callable, Iterator
from typing import Any


class Work:
    """Runs one iterator at a time in a thread of its own; a new one takes the place of the old.

    Work is stopped between two of its steps, so an iterator yields often.

    Args:
        step: Called with each thing that the iterator yields, in its thread.
        end: Called when it has ended, with the error that ended it or None; not for work that was
            stopped.
    """

    def __init__(self, step: Callable[[Any], None], end: Callable[[Exception | None], None]):
        self._step = step
        self._end = end
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_running(self) -> bool:
        """Whether work is going on."""
        return self._thread is not None and self._thread.is_alive() and not self._stop.is_set()

    def start(self, steps: Iterator[Any]) -> None:
        """Begin work, in the place of what is going on.

        Args:
            steps: The work; each step is one ``next``.
        """
        self.stop()
        self._stop = threading.Event()
        arguments = (steps, self._stop)
        self._thread = threading.Thread(target=self._run, args=arguments, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop after the step that is going on, without waiting for it."""
        self._stop.set()

    def wait(self, seconds: float | None = None) -> None:
        """Wait until the work has ended.

        Args:
            seconds: How long at most; without end by default.
        """
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self, steps: Iterator[Any], stopped: threading.Event) -> None:
        """Go through the steps until they end or are stopped."""
        failure = None
        try:
            for one in steps:
                if stopped.is_set():
                    break
                self._step(one)
        except Exception as error:  # shown in the explorer, where the reader looks
            failure = error
        finally:
            if hasattr(steps, "close"):
                steps.close()
        if not stopped.is_set():
            stopped.set()
            self._end(failure)
