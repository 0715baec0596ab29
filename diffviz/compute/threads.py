"""How many threads torch uses, decided in one place from the size of the work.

torch splits a large operation among its threads and waits for the last of them. On idle cores that
pays from 2^20 multiply-adds on, 20 µs of work. Where other programs hold the cores, a thread first
waits for its turn: 8 to 30 ms an operation, so that two threads pay from 2^30 on and make smaller
operations up to a thousand times slower (``benchmarks/threads.py``). One thread loses no more than
the number of cores. So what is below ``SMALL``, 5 ms on one core, runs on one thread, and what is
above it on as many as the caller has set.

``torch.set_num_threads`` sets the number of the thread that calls it, and also the number that new
threads begin with. Only the former is meant here, so that a thread that starts meanwhile has the
caller's number. On Linux it is set by OpenMP and MKL themselves, as torch does it. Elsewhere torch
sets both, and a new thread puts the latter back at once.
"""

import ctypes
import math
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from importlib import import_module
from typing import Any, ParamSpec, TypeVar

from diffviz.checks import attribute, offers
from diffviz.protocols import Sized

SMALL = 2.0**28  # multiply-adds up to which one thread is used
ELEMENT = 32  # multiply-adds in whose time a function such as exp takes one element
# environment variables of libraries that are loaded later
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

P = ParamSpec("P")
R = TypeVar("R")

_changing = threading.Lock()


@contextmanager
def suited(work: float, device: Any = "cpu") -> Iterator[None]:
    """Let torch compute on the threads that suit a piece of work.

    That is one thread for small work and the caller's number for large work, never more. The
    caller's number is back afterwards, whatever happens. Other threads keep theirs. Inside, what is
    large stays on one thread too, so that the outermost decides.

    Args:
        work: Multiply-adds of the largest operation; infinite where it is not known.
        device: Device of the tensors. Nothing is changed for one that is not the CPU.

    Example:
        >>> from diffviz.compute import threads
        >>> with threads.suited(1000.0):
        ...     torch.get_num_threads()
        1
    """
    torch = import_module("torch")  # by name: what is below learning must not reach torch
    before = torch.get_num_threads()
    if before == 1 or work > SMALL or torch.device(device).type != "cpu":
        yield
        return
    try:
        _set_here(1)
        yield
    finally:
        _set_here(before)


def _set_here(number: int) -> None:
    """Set the number of threads of this thread, and leave that of new threads as it is."""
    setters = _own_setters()
    for set_own in setters:
        set_own(number)
    if not setters:
        _set_by_torch(number)


@cache
def _own_setters() -> tuple[Callable[[int], Any], ...]:
    """The functions of OpenMP and MKL that set the number of the thread that calls them.

    They are those that ``torch.set_num_threads`` calls; () where torch is built in another way.
    """
    torch = import_module("torch")
    if sys.platform != "linux" or "backend: OpenMP" not in torch.__config__.parallel_info():
        return ()
    names = ["omp_set_num_threads"]
    if torch.backends.mkl.is_available():
        names.append("MKL_Set_Num_Threads_Local")
    try:
        library = ctypes.CDLL(f"{torch.__path__[0]}/lib/libtorch_cpu.so")
        return tuple(getattr(library, name) for name in names)
    except (AttributeError, OSError):
        return ()


def _set_by_torch(number: int) -> None:
    """``_set_here`` by torch alone.

    Only a new thread can tell what new threads begin with. One is started, reads the number before
    it is overwritten, and writes it again afterwards.
    """
    torch = import_module("torch")
    is_read = threading.Event()
    is_overwritten = threading.Event()

    def keep() -> None:
        number_of_new_threads = torch.get_num_threads()
        is_read.set()
        is_overwritten.wait()
        torch.set_num_threads(number_of_new_threads)

    with _changing:  # else one would keep what another has just overwritten
        keeper = threading.Thread(target=keep, daemon=True)
        keeper.start()
        try:
            is_read.wait()
        finally:
            torch.set_num_threads(number)
            is_overwritten.set()
            keeper.join()


def decided_by(work: Callable[..., float]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function run on the threads that suit its arguments.

    Args:
        work: Multiply-adds of the largest operation, from the arguments of the function. It must
            not fail on arguments that the function refuses.

    Returns:
        A decorator.

    Example:
        >>> from diffviz.compute import threads
        >>> @threads.decided_by(threads.elements)
        ... def threads_for(x):
        ...     return torch.get_num_threads()
        >>> threads_for(torch.zeros(10))
        1
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def on_suited_threads(*arguments: P.args, **options: P.kwargs) -> R:
            with suited(work(*arguments, **options)):
                return function(*arguments, **options)

        return on_suited_threads

    return decorate


def elements(*arguments: Any, **options: Any) -> float:
    """Work of functions such as exp on each element of the largest tensor or array.

    Args:
        *arguments: Tensors, arrays, and anything else, which does not count.
        **options: The same, by name.

    Returns:
        Multiply-adds; infinite if a tensor is not on the CPU.

    Example:
        >>> from diffviz.compute import threads
        >>> threads.elements(torch.zeros(10, 10))
        3200.0
    """
    values = [*arguments, *options.values()]
    if not on_cpu(*values):
        return math.inf
    shapes = [attribute(value, "shape", ()) for value in values]
    return float(ELEMENT * max(math.prod(shape) for shape in [(), *shapes]))


def on_cpu(*values: Any) -> bool:
    """Whether all tensors among some values are on the CPU.

    Args:
        *values: Tensors, and anything else, which does not count.

    Returns:
        False if a tensor is elsewhere.

    Example:
        >>> from diffviz.compute import threads
        >>> threads.on_cpu(torch.zeros(3), "text"), threads.on_cpu(torch.zeros(3, device="meta"))
        (True, False)
    """
    devices = [attribute(value, "device") for value in values]
    return all(attribute(device, "type", "cpu") == "cpu" for device in devices)


def denoising(denoiser: Any, n: int) -> float:
    """Work of a denoiser on n points.

    Args:
        denoiser: A denoiser, or its method ``denoise``.
        n: Number of points in a call.

    Returns:
        Multiply-adds; infinite for a denoiser without ``multiply_adds``.

    Example:
        >>> from diffviz.compute import threads
        >>> threads.denoising(dv.toy("ring8"), 100)
        25600.0
    """
    owner = attribute(denoiser, "__self__", denoiser)
    return float(owner.multiply_adds(n)) if offers(owner, Sized) else math.inf


def one_per_process() -> None:
    """Let this process compute on one thread, as the initializer of a pool of processes.

    It holds for torch, and for the libraries of NumPy and SciPy unless they are loaded already.

    Example:
        >>> from concurrent.futures import ProcessPoolExecutor
        >>> from diffviz.compute import threads
        >>> with ProcessPoolExecutor(1, initializer=threads.one_per_process) as pool:
        ...     pool.submit(torch.get_num_threads).result()
        1
    """
    os.environ |= ONE_THREAD
    if "torch" in sys.modules:  # else it reads the settings when it is loaded
        sys.modules["torch"].set_num_threads(1)
