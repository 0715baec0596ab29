"""Interrupts that wait until compiled code is through."""

import signal

import pytest

from diffviz.compute import interrupts


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="signals of POSIX")
def test_an_interrupt_waits_until_the_tables_of_scipy_are_made():
    """SciPy's compiled code swallows an interrupt and keeps half-made tables."""
    made, found = [], []
    before = signal.signal(signal.SIGINT, lambda *_: found.append(list(made)))
    try:
        with interrupts.held_back():
            signal.raise_signal(signal.SIGINT)
            made.append("tables")
    finally:
        signal.signal(signal.SIGINT, before)
    assert found == [["tables"]]
