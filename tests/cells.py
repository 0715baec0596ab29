"""Many small cells of a table in one test, since a test costs more than what such a cell looks at.

``@in_one_test`` above ``@pytest.mark.parametrize`` goes through all the cells in one test. It looks
at every cell, and names each that fails by the id that pytest would give it. To run a cell by
itself, take the decorator away and choose it with ``-k``.
"""

import functools
import inspect
import itertools

import numpy as np
import pytest
import torch

FAILURES = (Exception, pytest.fail.Exception)
ParameterSet = type(pytest.param())
HAS_GPU = torch.cuda.is_available() or torch.backends.mps.is_available()


def seed_globals():
    """What a test draws without a generator of its own does not depend on what ran before it.

    Where there is no GPU, ``torch.manual_seed`` notes the stack of its callers for later. With
    ours that takes several milliseconds.
    """
    seed_torch = torch.manual_seed if HAS_GPU else torch.default_generator.manual_seed
    seed_torch(0)
    np.random.seed(0)  # noqa: NPY002


def name_cell(row, position, ids):
    """The id of a cell, as pytest would make it where it is given, or else its values."""
    if callable(ids):
        return "-".join(str(ids(value)) for value in row)
    if ids is not None:
        return str(ids[position])
    return "-".join(map(str, row))


def columns(mark):
    """The cells of one ``parametrize``: pairs of an id and the arguments."""
    names, rows = mark.args
    names = names.replace(" ", "").split(",") if isinstance(names, str) else names
    ids = mark.kwargs.get("ids")
    ids = ids if ids is None or callable(ids) else list(ids)
    for position, row in enumerate(rows):
        own = None
        if isinstance(row, ParameterSet):
            assert not row.marks, "a cell with a mark is a test of its own"
            own, row = row.id, row.values
        elif len(names) == 1:
            row = (row,)
        yield own or name_cell(row, position, ids), dict(zip(names, row, strict=True))


def product(marks):
    """All combinations of the cells of several ``parametrize``."""
    for cells in itertools.product(*map(columns, marks)):
        labels, arguments = zip(*cells, strict=True)
        yield "-".join(labels), {name: value for part in arguments for name, value in part.items()}


def in_one_test(test):
    """Turn a parametrised test into one test that goes through all cells.

    Raises:
        Exception: What the cell that fails raised, with a note that names the cell; a group of such
            exceptions where several fail.
    """
    marks = [mark for mark in test.pytestmark if mark.name == "parametrize"]
    cells = list(product(marks))
    assert cells, "a test needs a cell"
    names = cells[0][1].keys()

    @functools.wraps(test)
    def over_all_cells(**fixtures):
        errors = {}
        for label, arguments in cells:
            seed_globals()
            try:
                test(**fixtures, **arguments)
            except FAILURES as error:
                error.add_note(f"in the cell [{label}]")
                errors[label] = error
        if len(errors) > 1:
            summary = f"{len(errors)} of {len(cells)} cells fail: {', '.join(errors)}"
            raise BaseExceptionGroup(summary, list(errors.values()))
        for error in errors.values():
            raise error

    kept = [one for one in inspect.signature(test).parameters.values() if one.name not in names]
    over_all_cells.__signature__ = inspect.Signature(kept)
    over_all_cells.pytestmark = [mark for mark in test.pytestmark if mark.name != "parametrize"]
    return over_all_cells
