"""Cached experiments that report as they go on, so that one can watch, stop and find them again.

Such an experiment is a ``cached`` function that calls ``begin`` first and ``report`` now and then:

    @cached
    def training(steps: int) -> Result:
        progress.begin()
        for step in range(steps):
            ...
            progress.report(result)
        return result

``training(100)`` computes it or finds it in the cache, as ever. ``kept(training, 100)`` only looks
there, and ``followed(training, 100)`` goes through the reports. Who listens is known to the thread
that computes, and is no argument, so that it does not enter the key of the cache.
"""

import atexit
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any


class NotKeptError(LookupError):
    """A result is not in the cache."""


class StoppedError(Exception):
    """Nobody follows the experiment any more."""


PATIENCE = 10.0  # s that the end of a process waits for a report
Receiver = Callable[[Any], None]
_receiver: ContextVar[Receiver | None] = ContextVar("receiver", default=None)


def _refuse(_: Any) -> None:
    """The receiver that lets nothing be computed."""


# threads that compute, each with what stops it
_followed: dict[Thread, Event] = {}


@atexit.register
def _stop_all() -> None:
    """Let what is computed end before the process does; torch aborts a process that ends sooner."""
    for thread, stopped in list(_followed.items()):
        stopped.set()
        thread.join(PATIENCE)


def begin() -> None:
    """Begin an experiment.

    Raises:
        NotKeptError: ``kept`` asks, so that nothing is to be computed.
    """
    if _receiver.get() is _refuse:
        raise NotKeptError("this result is not in the cache")


def report(value: Any) -> None:
    """Tell who follows the experiment, if anybody does.

    Args:
        value: How far it has come.

    Raises:
        StoppedError: Nobody follows it any more.
    """
    receiver = _receiver.get()
    if receiver is not None:
        receiver(value)


def kept(experiment: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """A result of before, if it is in the cache.

    Args:
        experiment: A cached function that calls ``begin``.
        *args: Its arguments.
        **kwargs: Its arguments by name.

    Returns:
        The result; None if it is not known yet.
    """
    token = _receiver.set(_refuse)
    try:
        return experiment(*args, **kwargs)
    except NotKeptError:
        return None
    finally:
        _receiver.reset(token)


def followed(experiment: Callable[..., Any], *args: Any, **kwargs: Any) -> Iterator[Any]:
    """An experiment as it goes on; a result of before comes at once.

    It goes on in a thread of its own, which ends at the next report when the iterator is closed, or
    when the process ends.

    Args:
        experiment: A cached function that calls ``report``.
        *args: Its arguments.
        **kwargs: Its arguments by name.

    Yields:
        What it reports, then its result.
    """
    news: SimpleQueue[tuple[Any, ...]] = SimpleQueue()
    stopped = Event()
    failures: list[Exception] = []

    def receive(value: Any) -> None:
        if stopped.is_set():
            raise StoppedError
        news.put((value,))

    def run() -> None:
        _receiver.set(receive)  # of this thread alone
        try:
            news.put((experiment(*args, **kwargs),))
        except Exception as error:  # raised again where somebody waits for news
            failures.append(error)
        news.put(())
        _followed.pop(thread, None)

    thread = Thread(target=run, daemon=True)
    _followed[thread] = stopped
    thread.start()
    try:
        while values := news.get():
            yield values[0]
    finally:
        stopped.set()
    if failures:
        raise failures[0]
