"""Tasks for workers in other processes, and weightings that kill the process that uses them."""

import multiprocessing
import os
import signal
import struct
import sys
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import numpy as np


def die():
    """End this process at once, as the system does when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


def square(x):
    return x * x


def fail(x):
    raise ValueError(f"no {x}")


def interrupt():
    raise KeyboardInterrupt


def surroundings():
    """Process, threads of torch, settings of other libraries, and whether torch was there."""
    preloaded = "torch" in sys.modules
    import torch

    settings = [os.environ.get(f"{name}_NUM_THREADS") for name in ("OMP", "MKL", "OPENBLAS")]
    return os.getpid(), torch.get_num_threads(), settings, preloaded


def square_unless_3(x):
    if x == 3:
        die()
    return x * x


def square_at_the_second_try(x, folder):
    flag = Path(folder) / str(x)
    if not flag.exists():
        flag.touch()
        die()
    return x * x


def die_in_the_middle_of_a_result():
    """End this process when a part of its answer is written."""
    frame = sys._getframe()
    while "link" not in frame.f_locals:
        frame = frame.f_back
    length = struct.pack("!i", 1000)  # of the message that follows, as multiprocessing writes it
    os.write(frame.f_locals["link"].fileno(), length + b"a part")
    die()


def wait_forever(folder):
    """Tell that it has begun, by a file with the number of the process, and never end."""
    started = Path(folder) / "started.tmp"
    started.write_text(str(os.getpid()))
    started.rename(Path(folder) / "started")
    threading.Event().wait()


def what_does_not_pickle():
    return threading.Lock()


class NeedsTwo(Exception):
    """An error that pickles and does not unpickle."""

    def __init__(self, one, two):
        super().__init__(one)


def fail_in_an_odd_way():
    raise NeedsTwo(1, 2)


class OnlySubmits:
    """All that is asked of an executor. It waits for a number of tasks and runs the last first."""

    def __init__(self, number):
        self.number = number
        self.waiting = []

    def submit(self, function, *arguments):
        future = Future()
        self.waiting.append((future, function, arguments))
        if len(self.waiting) == self.number:
            for one, call, given in reversed(self.waiting):
                one.set_result(call(*given))
            self.waiting.clear()
        return future


@dataclass(frozen=True)
class Bell:
    """A weighting with its peak at ``mean``; a process that computes it may die.

    Args:
        mean: The peak.
        deadly: The peak at which each worker dies; the main process never does.
        folder: Where a worker leaves a file before it dies for the first time, and if it finds the
            file it lives; "" for none.
    """

    mean: float
    deadly: float = np.inf
    folder: str = ""

    def __call__(self, logsnr):
        if multiprocessing.parent_process() is not None:
            if self.mean == self.deadly:
                die()
            if self.folder:
                square_at_the_second_try(0, self.folder)
        return np.exp(-((np.asarray(logsnr) - self.mean) ** 2) / 32)


@dataclass(frozen=True)
class Bells:
    """Builds the members of a family of bells."""

    deadly: float = np.inf
    folder: str = ""

    def __call__(self, data, mean):
        return Bell(mean, self.deadly, self.folder)
