"""Interrupts that wait until a block is through."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from diffviz.compute import interrupts


@pytest.fixture
def found():
    """What has been done at each interrupt, as the test's own handler notes it."""
    found = []
    before = signal.signal(signal.SIGINT, lambda *_: found.append("interrupt"))
    yield found
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_waits_until_the_block_ends(found):
    with interrupts.held_back():
        signal.raise_signal(signal.SIGINT)
        found.append("tables")
    assert found == ["tables", "interrupt"]


def test_an_interrupt_waits_for_the_outermost_block(found):
    with interrupts.held_back():
        with interrupts.held_back():
            signal.raise_signal(signal.SIGINT)
        found.append("tables")
    assert found == ["tables", "interrupt"]


def test_an_interrupt_waits_though_other_threads_run(found):
    """The system gives a signal to any thread that does not mask it."""
    is_over = threading.Event()
    other = threading.Thread(target=is_over.wait)
    other.start()
    with interrupts.held_back():
        os.kill(os.getpid(), signal.SIGINT)
        found.append(sum(range(10**6)) > 0)  # time enough for the signal
    is_over.set()
    other.join()
    assert found == [True, "interrupt"]


def test_ctrl_c_is_as_before_after_a_block():
    """A process that a shell has started in the background ignores it at first."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), interrupts.held_back():
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_interrupt_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupts.held_back():
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_has_no_interrupt_to_hold_back():
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def work():
        with interrupts.held_back():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


HELD = """
import signal, sys, threading
from pathlib import Path
from diffviz.compute import locks

class InterruptAt:
    # It waits for an event that is no return. Python ends a generator without its ``finally`` where
    # an error is raised while a yield is reported, and no signal comes there by itself.
    def __init__(self, moment):
        self.moment = moment
        self.calls = 0

    def __call__(self, frame, event, argument):
        self.calls += 1
        if self.calls >= self.moment and event != "return":
            sys.setprofile(None)
            signal.raise_signal(signal.SIGINT)

def held_and_interrupted(file, moment):
    disturbed = InterruptAt(moment)
    try:
        sys.setprofile(disturbed)
        with locks.held(file):
            pass
        sys.setprofile(None)
    except KeyboardInterrupt:
        global interrupted
        interrupted += 1
    finally:
        sys.setprofile(None)
    return disturbed.calls >= moment

interrupted = 0

def held(file, found):
    with locks.held(file, patience=0) as is_locked:
        found.append(is_locked)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a background process ignores it
file = Path(sys.argv[1])
held_and_interrupted(file, 10**9)  # what is loaded at the first use
moment = 1
while held_and_interrupted(file, moment):
    assert not file.exists(), moment
    found = []
    other = threading.Thread(target=held, args=(file, found), daemon=True)
    other.start()
    other.join(30)
    assert found == [True], moment
    moment += 1
print(interrupted)
"""


def test_an_interrupt_leaves_no_lock_whenever_it_comes(tmp_path):
    """Neither the file nor a lock within the library, for which another thread would wait.

    It has a process of its own, since interrupts come at any place. Nearly each is raised: Python
    raises none where an object is thrown away.
    """
    done = subprocess.run(
        [sys.executable, "-c", HELD, tmp_path / "lock"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100
