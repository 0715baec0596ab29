"""Cached experiments that report: they are followed, stopped, and found again."""

import os
import subprocess
import sys
import threading

import pytest

from diffviz.compute.cache import cached
from diffviz.lab.experiments import progress

LONGEST = 20.0  # s that a test waits for a thread


class Squares:
    """An experiment of some steps that counts how many it has computed."""

    def __init__(self):
        self.steps = 0
        self.gate = threading.Event()
        self.ended = threading.Event()
        self.waits_at = None

        @cached
        def experiment(n):
            progress.begin()
            squares = []
            try:
                for k in range(n):
                    if k == self.waits_at:
                        assert self.gate.wait(LONGEST)
                    self.steps += 1
                    squares.append(k**2)
                    progress.report(list(squares))
                if n == 13:
                    raise ArithmeticError("unlucky")
            finally:
                self.ended.set()
            return squares

        self.experiment = experiment


@pytest.fixture
def squares():
    return Squares()


def test_a_call_computes_without_anybody_who_listens(squares):
    assert squares.experiment(3) == [0, 1, 4] and squares.steps == 3


def test_what_is_followed_reports_and_is_known_afterwards(squares):
    assert progress.kept(squares.experiment, 3) is None and squares.steps == 0
    reports = [*progress.followed(squares.experiment, 3)]
    assert reports == [[0], [0, 1], [0, 1, 4], [0, 1, 4]]
    assert progress.kept(squares.experiment, 3) == [0, 1, 4]
    assert [*progress.followed(squares.experiment, 3)] == [[0, 1, 4]]
    assert squares.steps == 3
    assert squares.experiment(2) == [0, 1]  # the question for what is kept is over


def test_what_nobody_follows_any_more_stops_at_its_next_report_and_is_not_kept(squares):
    squares.waits_at = 2
    reports = progress.followed(squares.experiment, 100)
    assert [next(reports), next(reports)] == [[0], [0, 1]]
    reports.close()
    squares.gate.set()
    assert squares.ended.wait(LONGEST) and squares.steps == 3
    assert progress.kept(squares.experiment, 100) is None


def test_an_error_reaches_who_follows(squares):
    reports = progress.followed(squares.experiment, 13)
    with pytest.raises(ArithmeticError, match="unlucky"):
        list(reports)


def test_two_threads_do_not_hear_each_other(squares):
    first = progress.followed(squares.experiment, 4)
    second = progress.followed(squares.experiment, 5)
    assert [next(first), next(second)] == [[0], [0]]
    assert list(first)[-1] == [0, 1, 4, 9] and list(second)[-1] == [0, 1, 4, 9, 16]


LEAVING = """
from diffviz.lab.experiments import progress, side_by_side

training = side_by_side.Training((side_by_side.known_objective("edm"),), steps=4000, width=4)
reports = progress.followed(side_by_side.trained, training)
print(next(reports).step < 4000)
if {closed}:
    reports.close()
"""


@pytest.mark.slow
@pytest.mark.parametrize("closed", [True, False], ids=["closed", "open"])
def test_a_process_that_ends_in_the_middle_of_a_training_ends_well(closed):
    command = [sys.executable, "-c", LEAVING.format(closed=closed)]
    own = os.environ | {"DIFFVIZ_CACHE": "off"}
    result = subprocess.run(command, capture_output=True, text=True, env=own, timeout=300)
    assert (result.returncode, result.stdout, result.stderr) == (0, "True\n", "")
