"""Where work runs: in this process, in a pool of processes, or on a cluster.

``executor`` gives a ``concurrent.futures.Executor``. Nothing but its ``submit`` is used in this
package, so that executors of other packages (loky, ipyparallel, mpi4py) serve as well.
``completed`` submits tasks as they come and yields them as they finish.

A task is a function of its arguments alone, so that it may be run anywhere, and again. If the
process that runs it dies, it is tried again. If it dies again and again, ``WorkerDied`` says so,
and the other tasks are finished.
"""

import asyncio
import atexit
import json
import multiprocessing
import os
import re
import reprlib
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, InvalidStateError
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from queue import Empty, SimpleQueue
from types import ModuleType
from typing import Any, NamedTuple, TypeVar

import cloudpickle

import diffviz
from diffviz import checks, extras
from diffviz.compute import threads

TRIES = 3  # of a task whose worker dies
AHEAD = 2048  # tasks that are submitted and not finished; more only fill a scheduler's memory
ADDRESS = re.compile(r"\w+://\S+|\S+:\d+", re.ASCII)
PATIENCE = 10  # seconds in which the scheduler of a cluster must answer
NO_MORE = b""  # what a worker gets in the place of a task, to end
PRELOADED = ["torch", "scipy.stats"]  # what a new worker has at once where it is forked
Task = TypeVar("Task", bound=tuple)


class WorkerDied(RuntimeError):
    """The process that ran a task died each time that the task was tried."""


@contextmanager
def executor(jobs: int = 1, cluster: str | None = None) -> Iterator[Executor]:
    """An executor for the time of a ``with`` block.

    If an error or Ctrl-C leaves the block, what runs on this machine is stopped at once.

    Args:
        jobs: Number of processes on this machine, each with one thread. 1 runs everything in this
            process, inside ``submit``.
        cluster: Address of a Dask scheduler, such as ``"tcp://10.0.0.5:8786"``, or the path
            of its scheduler file, which ends in ".json".

    Yields:
        The executor.

    Raises:
        ConnectionError: No scheduler answers at the address within 10 seconds, or its workers
            cannot import diffviz.
        ModuleNotFoundError: Dask is not installed; the message has the line that installs it.
        TypeError: ``jobs`` is no whole number, or ``cluster`` no text.
        ValueError: ``jobs`` is below 1 or given beside ``cluster``, or the workers of the cluster
            have another version of diffviz.

    Example:
        >>> from diffviz.compute.executors import executor
        >>> with executor(jobs=1) as pool:
        ...     pool.submit(pow, 2, 10).result()
        1024
    """
    jobs = checks.count(jobs, "jobs")
    if cluster is not None:
        checks.require(
            jobs == 1,
            f"jobs={jobs} is about this machine and cluster={cluster!r} about others; give one",
        )
        with _client(cluster) as client:
            yield ClusterExecutor(client)
    elif jobs == 1:
        with SerialExecutor() as pool:
            yield pool
    else:
        with ProcessExecutor(jobs) as pool:
            yield pool


@contextmanager
def chosen(pool: Executor | None, jobs: int = 1, cluster: str | None = None) -> Iterator[Executor]:
    """An executor that a caller has passed, or else a new one for the time of a ``with`` block.

    Args:
        pool: The executor of the caller, which is left open; None for a new one.
        jobs: As for ``executor``.
        cluster: As for ``executor``.

    Yields:
        The executor.

    Raises:
        ConnectionError: The cluster does not answer.
        TypeError: ``pool`` is no executor, or as for ``executor``.
        ValueError: ``jobs`` or ``cluster`` are given beside ``pool``, or as for ``executor``.
    """
    if pool is None:
        with executor(jobs, cluster) as made:
            yield made
        return
    checks.require(
        checks.count(jobs, "jobs") == 1 and cluster is None,
        f"jobs={jobs} and cluster={cluster!r} make an executor, and executor={pool!r} is one; "
        "give one of the three",
    )
    yield check_executor(pool)


def in_order(pool: Executor, function: Callable, tasks: Iterable[Task]) -> list:
    """Results of tasks in the order of the tasks, as of many seeds.

    Args:
        pool: Any executor.
        function: What is called.
        tasks: Arguments of each call.

    Returns:
        What each call returned.

    Raises:
        TypeError: ``pool`` is no executor, ``function`` no function or a task no tuple.
        WorkerDied: A task killed its worker again and again. This and any other error of a task
            is raised as soon as it comes, and the tasks that have not begun are dropped.

    Example:
        >>> from diffviz.compute.executors import executor, in_order
        >>> with executor(jobs=1) as pool:
        ...     in_order(pool, pow, [(2, seed) for seed in range(4)])
        [1, 2, 4, 8]
    """
    results = {}
    for place, _, future in _finished(pool, function, tasks, AHEAD):
        results[place] = future.result()
    return [results[place] for place in range(len(results))]


def completed(
    pool: Executor, function: Callable, tasks: Iterable[Task], ahead: int = AHEAD
) -> Iterator[tuple[Task, Future]]:
    """Submit tasks as they come, and yield each of them when it is finished.

    Where several tasks share a pool, the death of one worker fails them all. Which of them caused
    it is not known. All of them are therefore tried once more after the others, one at a time. If
    this generator is closed, tasks that have not begun are cancelled.

    Args:
        pool: Any executor.
        function: What is called, a function of a module.
        tasks: Arguments of each call.
        ahead: Number of tasks that are submitted and not finished, at most.

    Yields:
        Each task with its finished future, in the order in which they finish. A future may hold an
        error; it is ``WorkerDied`` if the task killed its worker again and again.

    Raises:
        BrokenExecutor: The executor takes no more tasks.
        ConnectionError: The cluster went away.
        TypeError: ``pool`` is no executor, ``function`` no function or a task no tuple.

    Example:
        >>> from diffviz.compute.executors import completed, executor
        >>> with executor(jobs=1) as pool:
        ...     for task, future in completed(pool, pow, [(2, 3), (3, 2)]):
        ...         print(task, future.result())
        (2, 3) 8
        (3, 2) 9
    """
    for _, task, future in _finished(pool, function, tasks, checks.count(ahead, "ahead")):
        yield task, future


def check_executor(pool: Any) -> Executor:
    """Refuse what has no ``submit``.

    Args:
        pool: What should be an executor.

    Returns:
        The executor.

    Raises:
        TypeError: It is none.
    """
    checks.require(
        callable(checks.attribute(pool, "submit")) and not isinstance(pool, type),
        f"executor must have submit(function, *arguments), as those of concurrent.futures, "
        f"got {pool!r}",
        TypeError,
    )
    return pool


def _finished(
    pool: Executor, function: Callable, tasks: Iterable[Task], ahead: int
) -> Iterator[tuple[int, Task, Future]]:
    """Tasks as they finish, each with its place in the order of the tasks; see ``completed``."""
    check_executor(pool)
    checks.require(
        callable(function), f"function must be a function of a task, got {function!r}", TypeError
    )
    numbered = enumerate(map(_checked_task, checks.one_by_one(tasks, "tasks")))
    interrupted = []
    for place, task, future in _flow(pool, function, numbered, ahead):
        if _worker_died(future):
            interrupted.append((place, task))
        else:
            yield place, task, future
    for place, task, future in _flow(pool, function, interrupted, 1):
        if _worker_died(future):
            future = _failed(WorkerDied(_death_message(function, task)))
        yield place, task, future


def _checked_task(task: Any) -> Any:
    """Refuse arguments that do not stand in a tuple; a text would be taken letter by letter."""
    checks.require(
        isinstance(task, tuple | list),
        f"a task must be a tuple of the arguments of a call, such as ({task!r},), got {task!r}",
        TypeError,
    )
    return task


def _flow(
    pool: Executor, function: Callable, tasks: Iterable[tuple[int, Task]], ahead: int
) -> Iterator[tuple[int, Task, Future]]:
    """Numbered tasks as they finish, with a limited number of them under way."""
    finished: SimpleQueue[Future] = SimpleQueue()
    under_way: dict[Future, tuple[int, Task]] = {}
    try:
        for place, task in tasks:
            future = pool.submit(function, *task)
            under_way[future] = place, task
            future.add_done_callback(finished.put)
            del future  # a future of Dask keeps its result on the cluster
            while len(under_way) >= ahead or not finished.empty():
                yield _next(pool, finished, under_way)
        while under_way:
            yield _next(pool, finished, under_way)
    finally:
        for future in under_way:
            future.cancel()


def _next(
    pool: Executor, finished: SimpleQueue, under_way: dict[Future, tuple[int, Task]]
) -> tuple[int, Task, Future]:
    """The next task that finishes."""
    future = None
    while future is None:
        with suppress(Empty):
            future = finished.get(timeout=PATIENCE)
        if future is None and isinstance(pool, ClusterExecutor):
            pool.warn_without_workers()
    if future.cancelled():
        raise ConnectionError(
            "the executor gave up a task that it had taken; what is finished is kept, and the "
            "rest needs a new executor"
        )
    return *under_way.pop(future), future


def _worker_died(future: Future) -> bool:
    """Whether a finished future failed since the process that ran it died."""
    error = future.exception()
    return isinstance(error, BrokenExecutor) or type(error).__name__ == "KilledWorker"


def _death_message(function: Callable, arguments: tuple) -> str:
    """The message about a task whose worker died each time."""
    name = getattr(function, "__name__", repr(function))
    return f"the process that ran {name}{reprlib.repr(arguments)} died each time it was tried"


def _failed(error: Exception) -> Future:
    """A finished future with an error."""
    future: Future = Future()
    future.set_exception(error)
    return future


# In this process


class SerialExecutor(Executor):
    """Runs each task in this process when it is submitted.

    Ctrl-C during a task leaves ``submit``.
    """

    def submit(self, fn: Callable, /, *args: Any, **kwargs: Any) -> Future:
        """Run a task.

        Args:
            fn: What is called.
            *args: Its arguments.
            **kwargs: Its keyword arguments.

        Returns:
            A finished future.
        """
        future: Future = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


# In processes of this machine


class _Call(NamedTuple):
    """A task that waits for a worker."""

    future: Future
    function: Callable
    arguments: tuple
    pickled: bytes  # function and arguments


class ProcessExecutor(Executor):
    """A pool of processes in which the death of one touches nothing but its own task.

    Each worker has a thread here that hands it one task after the other, so that it is known which
    task it ran when it died. That task is tried again in a new process, three times in all.

    Functions and classes of the main module, such as those of a notebook's cells, are sent by
    value. Workers never run the main script, which therefore needs no ``if __name__ ==
    "__main__"``.

    Args:
        jobs: Number of processes.

    Raises:
        TypeError: ``jobs`` is no whole number.
        ValueError: It is below 1.
    """

    def __init__(self, jobs: int) -> None:
        """Start the processes; see the class."""
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._closed = False
        self._stopped = threading.Event()
        self._workers = [_Worker() for _ in range(checks.count(jobs, "jobs"))]
        self._threads = [
            threading.Thread(target=self._serve, args=(worker,), daemon=True)
            for worker in self._workers
        ]
        for thread in self._threads:
            thread.start()
        self._owner = os.getpid()
        atexit.register(self._end_with_program)

    def submit(self, fn: Callable, /, *args: Any, **kwargs: Any) -> Future:
        """Hand a task to the next worker that is free.

        Args:
            fn: What is called.
            *args: Its arguments, which must pickle.
            **kwargs: Its keyword arguments, which must pickle.

        Returns:
            Its future.

        Raises:
            PicklingError: Function or arguments do not pickle.
            RuntimeError: The executor is shut down.
        """
        checks.require(not self._closed, "the executor is shut down; make a new one", RuntimeError)
        pickled = cloudpickle.dumps((fn, args, kwargs))
        call = _Call(Future(), fn, args, pickled)
        self._calls.put(call)
        return call.future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks, and end the processes when the tasks are done.

        What still runs at the end of the program is ended with it.

        Args:
            wait: Whether to wait until they are.
            cancel_futures: Whether to drop tasks that have not begun.
        """
        if cancel_futures:
            self._cancel_waiting()
        if not self._closed:
            self._closed = True
            for _ in self._workers:
                self._calls.put(None)
        if wait:
            for thread in self._threads:
                thread.join()
            atexit.unregister(self._end_with_program)

    def terminate(self) -> None:
        """End the processes now. Their tasks fail, and those that have not begun are cancelled."""
        self._stopped.set()
        self._cancel_waiting()
        for worker in self._workers:
            worker.terminate()
        self.shutdown()

    def _end_with_program(self) -> None:
        """End the processes, for which Python would wait, but not at the end of a forked copy."""
        if os.getpid() == self._owner:
            self.terminate()

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        """Wait for what was submitted, or end it if an error leaves the block."""
        if kind is None:
            self.shutdown()
        else:
            self.terminate()

    def _cancel_waiting(self) -> None:
        """Cancel the tasks that no worker has taken."""
        waiting = []
        with suppress(Empty):
            while True:
                waiting.append(self._calls.get_nowait())
        for call in waiting:
            if call is None:
                self._calls.put(None)
            else:
                call.future.cancel()
                call.future.set_running_or_notify_cancel()

    def _serve(self, worker: "_Worker") -> None:
        """Run tasks in a worker until there are no more."""
        try:
            while (call := self._calls.get()) is not None:
                if call.future.set_running_or_notify_cancel():
                    self._run(call, worker)
                del call  # an idle thread keeps no task
        finally:
            worker.close()

    def _run(self, call: _Call, worker: "_Worker") -> None:
        """Run a task in a worker and settle its future."""
        try:
            call.future.set_result(self._result(call, worker))
        except BaseException as error:
            call.future.set_exception(error)

    def _result(self, call: _Call, worker: "_Worker") -> Any:
        """The result of a task from a worker, which is started again if it dies."""
        for _ in range(TRIES):
            try:
                return worker.run(call.pickled)
            except BrokenProcessPool:
                if self._stopped.is_set():
                    raise
                worker.start()
                if self._stopped.is_set():  # just now
                    worker.terminate()
        raise WorkerDied(_death_message(call.function, call.arguments))


class _Worker:
    """One process, which can be started again.

    Tasks and results go over a link of its own. A process that dies in the middle of a result
    closes its end, so that nobody waits for the rest. (The standard library's pool of processes
    waits for ever in this case.)
    """

    def __init__(self) -> None:
        self._link: Connection
        self._process: BaseProcess
        self.start()

    def start(self) -> None:
        """Start the process, in the place of one that died."""
        context: Any = _context()  # ``Process`` is no part of the type that all contexts share
        with _STARTING, _environment(threads.ONE_THREAD), _without_main_module():
            link, far_end = context.Pipe()
            with far_end:
                process = context.Process(target=_work, args=(far_end, dict(os.environ)))
                process.start()
        self._link, self._process = link, process

    def run(self, pickled: bytes) -> Any:
        """Run a task and return its result; BrokenProcessPool if the process dies."""
        try:
            self._link.send_bytes(pickled)
            wait([self._link, self._process.sentinel])
            if not self._link.poll():
                raise EOFError("the process has ended without a result")
            answer = self._link.recv_bytes()
        except (EOFError, OSError) as error:
            raise BrokenProcessPool("the process that ran a task died") from error
        succeeded, result = cloudpickle.loads(answer)
        if succeeded:
            return result
        raise result

    def terminate(self) -> None:
        """End the process now."""
        self._process.terminate()

    def close(self) -> None:
        """Let the process end, and wait for it."""
        with suppress(OSError):  # it has died
            self._link.send_bytes(NO_MORE)
        self._link.close()
        self._process.join()


_STARTING = threading.Lock()


def _context() -> multiprocessing.context.BaseContext:
    """Forkserver with torch preloaded, or spawn where there is none.

    A plain fork would copy torch's threads in whatever state they are.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Environment variables for the processes that are started in the block."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _without_main_module() -> Iterator[None]:
    """Hide the main module, which multiprocessing would run again in each new process.

    What belongs to it travels by value, so that no worker needs it.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _prepare(environment: Mapping[str, str]) -> None:
    """What a worker does first: compute on one thread, leave Ctrl-C and its end to its parent.

    The server that forked it may have an older environment than its parent.
    """
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threads.one_per_process()  # a forkserver from before may have torch with more threads
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    """End this process when its parent is gone, as after a kill that nothing can catch."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _work(link: Connection, environment: Mapping[str, str]) -> None:
    """Run tasks until there are no more, or the parent is gone."""
    _prepare(environment)
    if hasattr(os, "register_at_fork"):  # the end of this process must be the end of the link
        os.register_at_fork(after_in_child=link.close)
    with suppress(EOFError, OSError):
        for pickled in iter(link.recv_bytes, NO_MORE):
            link.send_bytes(_call(pickled))


def _call(pickled: bytes) -> bytes:
    """Run a task in a worker: whether it succeeded, and its result or error, pickled."""
    try:
        function, arguments, keywords = cloudpickle.loads(pickled)
        return cloudpickle.dumps((True, function(*arguments, **keywords)))
    except BaseException as error:
        note = f"In a worker process:\n{traceback.format_exc()}"
        sent = _that_travels(error.with_traceback(None))
        sent.add_note(note)
        return cloudpickle.dumps((False, sent))


def _that_travels(error: BaseException) -> BaseException:
    """An error, or a TypeError that tells of it if it cannot be read in another process."""
    try:
        cloudpickle.loads(cloudpickle.dumps(error))
    except Exception as obstacle:
        return TypeError(
            f"{type(error).__name__}: {error} (this error does not pickle: {obstacle})"
        )
    return error


# On a cluster


class ClusterExecutor(Executor):
    """Runs tasks on the workers of a Dask cluster.

    Args:
        client: Client of its scheduler.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._has_warned = False

    def submit(self, fn: Callable, /, *args: Any, **kwargs: Any) -> Future:
        """Hand a task to the scheduler.

        Args:
            fn: What is called.
            *args: Its arguments, which must pickle.
            **kwargs: Its keyword arguments, which must pickle.

        Returns:
            Its future.
        """
        there = self._client.submit(partial(fn, **kwargs), *args, pure=False)
        here: Future = Future()
        here.add_done_callback(lambda _: there.cancel() if here.cancelled() else None)
        self._client.loop.add_callback(_pass_on, there, here)
        return here

    def warn_without_workers(self) -> None:
        """Say once that the cluster has no workers, since tasks wait for them without an end."""
        if not self._has_warned and not self._client.nthreads():
            self._has_warned = True
            warnings.warn(
                "the cluster has no workers, and the tasks wait for some; start workers, or press "
                "Ctrl-C, after which what is finished is kept",
                RuntimeWarning,
                stacklevel=2,
            )


async def _pass_on(there: Any, here: Future) -> None:
    """Hand the outcome of a task on a cluster to a future of this process.

    Dask's own executor never finishes its future if the worker dies between the end of the task
    and the fetching of its result.
    """
    try:
        result = await there
    except (CancelledError, asyncio.CancelledError):  # of the task, or of the loop that ends
        if here.cancel():
            here.set_running_or_notify_cancel()  # tells those who wait
    except Exception as error:
        with suppress(InvalidStateError):  # it was cancelled here
            here.set_exception(error)
    else:
        with suppress(InvalidStateError):
            here.set_result(result)


@contextmanager
def _client(address: str) -> Iterator[Any]:
    """A client of a Dask scheduler."""
    if not (isinstance(address, str) and address.isprintable() and address):
        raise TypeError(
            "cluster must be the address of a Dask scheduler, such as tcp://10.0.0.5:8786, "
            f"got {checks.brief(address)}"
        )
    # Dask tries other texts for half a minute
    if not ADDRESS.fullmatch(address) and Path(address).suffix != ".json":
        raise ValueError(
            "cluster must be an address with a port, such as tcp://10.0.0.5:8786, or a scheduler "
            f"file that ends in .json, got {checks.brief(address)}"
        )
    with extras.needed_by("a cluster"):
        from distributed import Client
    with ExitStack() as stack:
        try:
            place = _written_address(address) if Path(address).suffix == ".json" else address
            client = Client(place, timeout=PATIENCE)
        # Dask asserts that a text without a port is the name of a host
        except (OSError, ValueError, KeyError, AssertionError) as error:
            raise ConnectionError(
                f"no Dask scheduler answers at cluster={checks.brief(address)} "
                f"({checks.cut(str(error))}); start one by 'dask scheduler', which prints its "
                "address"
            ) from error
        stack.enter_context(client)
        _check_versions(client)
        yield client


def _written_address(file: str) -> str:
    """The address in a scheduler file. Dask itself would wait for the file for ever."""
    written = json.loads(Path(file).read_text())
    address = written.get("address") if isinstance(written, dict) else None
    if isinstance(address, str) and address:
        return address
    # without an address Dask would start a cluster of its own
    raise ValueError(f"the file states no address: {reprlib.repr(written)}")


def _check_versions(client: Any) -> None:
    """Refuse workers whose diffviz is another, since their numbers might be others."""
    try:
        versions = client.run(version)
    except ModuleNotFoundError as error:
        raise ConnectionError(
            f"workers of the cluster cannot import {error.name}; install diffviz "
            f"{diffviz.__version__} where they run: pip install 'diffviz[torch,cluster]'"
        ) from error
    others = {name: there for name, there in versions.items() if there != diffviz.__version__}
    if others:
        name, there = next(iter(others.items()))
        raise ValueError(
            f"{len(others)} of {len(versions)} workers of the cluster have another diffviz, such "
            f"as {there} at {name}; here it is {diffviz.__version__}: install the same everywhere"
        )


def version() -> str:
    """The version of diffviz where this is called, which may be a worker of a cluster."""
    return diffviz.__version__
