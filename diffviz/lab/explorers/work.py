"""Long work of an explorer: one piece at a time, in a thread that can be stopped."""

import threading
from collections.abc import Callable, Hashable, Iterator
from typing import Any, Generic, TypeVar

from diffviz.lab.experiments import progress

Settings = TypeVar("Settings", bound=Hashable)
Result = TypeVar("Result")


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


class Newest(Generic[Settings, Result]):
    """The newest results of long work by their settings; the oldest of many are forgotten.

    Work keeps results in its thread while another shows them.

    Args:
        most: How many results are kept.
    """

    def __init__(self, most: int):
        self._most = most
        self._results: dict[Settings, Result] = {}  # the newest stands last

    def keep(self, settings: Settings, result: Result) -> None:
        """Keep a result as the newest one.

        Args:
            settings: What it depends on.
            result: The result.
        """
        self._results.pop(settings, None)
        self._results[settings] = result
        for oldest in list(self._results)[: -self._most]:
            self._results.pop(oldest, None)  # the other thread may have been here

    def get(self, settings: Settings) -> Result | None:
        """The result of some settings.

        Args:
            settings: What it depends on.

        Returns:
            The result; None if it is not kept.
        """
        return self._results.get(settings)

    def found(
        self, settings: Settings, experiment: Callable[..., Result], *args: Any, **kwargs: Any
    ) -> Result | None:
        """The result of some settings, remembered here or in the cache.

        Args:
            settings: What it depends on.
            experiment: The cached experiment; see ``progress.kept``.
            *args: Its arguments.
            **kwargs: Its arguments by name.

        Returns:
            The result, which is remembered from now on; None if it is not known.
        """
        here = self.get(settings)
        if here is None:
            here = progress.kept(experiment, *args, **kwargs)
            if here is not None:
                self.keep(settings, here)
        return here

    def before(self, settings: Settings) -> tuple[Settings, Result] | None:
        """The newest result of other settings.

        Args:
            settings: The settings.

        Returns:
            The other settings and their result; None if there is none.
        """
        others = [pair for pair in list(self._results.items()) if pair[0] != settings]
        return others[-1] if others else None
