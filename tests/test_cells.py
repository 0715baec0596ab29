"""A test of many cells runs each of them, and names each that fails."""

import numpy as np
import pytest
import torch
from cells import in_one_test

SEEN = []


@in_one_test
@pytest.mark.parametrize("factor", [2, 3], ids=lambda factor: f"times {factor}")
@pytest.mark.parametrize(("low", "high"), {(0, 1): 0, (2, 3): 0}, ids=["left", "right"])
def record(low, high, factor):
    SEEN.append((low * factor, high * factor))


def test_every_combination_is_run():
    SEEN.clear()
    record()
    assert SEEN == [(0, 2), (0, 3), (4, 6), (6, 9)]


@pytest.mark.slow
@in_one_test
@pytest.mark.parametrize(
    "number", [1, pytest.param(2, id="two"), 3, 4], ids=["one", "II", "three", "four"]
)
def fails_for_even_numbers(number, limit):
    assert number % 2 or number > limit


def test_the_cell_that_fails_is_named():
    with pytest.raises(AssertionError) as raised:
        fails_for_even_numbers(limit=3)
    assert raised.value.__notes__ == ["in the cell [two]"]


def test_all_cells_that_fail_are_named():
    summary = "2 of 4 cells fail: two, four"
    with pytest.RaisesGroup(AssertionError, AssertionError, match=summary) as raised:
        fails_for_even_numbers(limit=9)
    assert [one.__notes__ for one in raised.value.exceptions] == [
        ["in the cell [two]"],
        ["in the cell [four]"],
    ]


def test_a_missing_error_is_a_failure_of_its_cell():
    @in_one_test
    @pytest.mark.parametrize("text", ["1", "a"])
    def refuses(text):
        with pytest.raises(ValueError, match="invalid"):
            int(text)

    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE") as raised:
        refuses()
    assert raised.value.__notes__ == ["in the cell [1]"]


def test_each_cell_draws_the_same_whatever_ran_before():
    drawn = []

    @in_one_test
    @pytest.mark.parametrize(("n", "when"), [(3, "first"), (5, "then"), (3, "again")])
    def draws(n, when):
        drawn.append([*np.random.rand(n), *torch.rand(n)])  # noqa: NPY002

    draws()
    assert drawn[0] == drawn[2]


@in_one_test
@pytest.mark.parametrize("n", [1, 2])
def test_fixtures_are_there_in_every_cell(n, tmp_path):
    (tmp_path / f"{n}").touch()
    assert len(list(tmp_path.iterdir())) == n


def test_other_marks_stay():
    assert [mark.name for mark in fails_for_even_numbers.pytestmark] == ["slow"]


def test_a_cell_with_a_mark_is_no_part_of_a_table():
    with pytest.raises(AssertionError, match="a test of its own"):

        @in_one_test
        @pytest.mark.parametrize("n", [1, pytest.param(2, marks=pytest.mark.slow)])
        def marked(n):
            """Never run."""
