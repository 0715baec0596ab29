"""Every public callable refuses what it cannot take in words, and lets no NaN pass in silence.

A few of the inputs that ``benchmarks/fuzz.py`` tries, on all doors. A new public callable is found
by itself, and needs a valid call: in ``test_doors``, ``room_doors`` or ``more_calls``.
"""

import inspect
import math

import attack
import hostile
import more_calls
import numpy as np
import pytest
import torch
from public_calls import Door, Valid

from diffviz import checks

EACH = 3  # inputs on a door


def test_every_public_callable_has_a_valid_call():
    missing = attack.without_valid_call()
    assert not missing, f"add a valid call of {missing} to tests/more_calls.py"


def test_the_doors_of_all_rooms_are_found():
    names = attack.valid_calls().keys()
    assert len(names) > 350
    for door in (
        "theory.analysis.verdict",
        "learning.training.fit",
        "learning.tracking.LossByLogSNR.update",
        "masked.worlds.MarkovWorld.posterior",
        "few_steps.training.train",
        "policy.surrogates.fpo",
        "web.description.Slider",
        "plots.curves.lines",
        "theory.paths.restricted",
        "search.experiment.search",
    ):
        assert door in names


def test_no_hostile_input_is_a_fault(tmp_path):
    faults = []
    for one in attack.plan(EACH, seed=0, folder=tmp_path):
        verdict, reason = attack.attack(one, tmp_path)
        if verdict is attack.Verdict.FAULT:
            faults.append(f"{one}: {reason}")
    assert not faults, "\n".join(faults)


# --- the attack itself ---------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def functions_of_this_file_are_of_the_package(monkeypatch):
    monkeypatch.setattr(attack, "PACKAGE", (*attack.PACKAGE, __file__))


def verdict_of(function, value, holds="", signs=()):
    """What the attack says of a function of one argument ``x`` for a value."""
    door = Door("mine", function, function.__code__, inspect.signature(function))
    given = hostile.Hostile("a value", value, signs, holds)
    try:
        result = Valid(door, {"x": 1.0}).with_arguments({"x": value})
    except Exception as error:
        return attack.refusal(error, {"x": given}).verdict
    return attack.accepted("mine", result, {"x": given}).verdict


def refuses_by_name(x):
    return checks.number(x, "x")


def refuses_another(x):
    raise checks.unknown("thing", "else", ["one"])


def refuses_a_range(x):
    raise ValueError("y must lie in [1, 3]")


def refuses_a_number(x):
    raise ValueError("y must lie in [1, 2], got 3")


def refuses_none(x):
    raise ValueError("y must not be None")


def suggests(x):
    raise ValueError("unknown thing; did you mean 'edm'?")


def fails_deep(x):
    return np.linalg.inv(x)


def fails_here(x):
    return x.shape[0]


def asserts(x):
    assert x is None


def lets_pass(x):
    return 1.0


def makes_nan(x):
    return {"part": [torch.tensor([1.0, math.nan])]}


@pytest.mark.parametrize(
    ("function", "value", "holds", "expected"),
    [
        (refuses_by_name, "words", "", "refused"),
        (refuses_by_name, math.nan, "nan", "refused"),
        (refuses_by_name, 2.0, "", "accepted"),
        (refuses_another, 3, "", "fault"),
        (refuses_a_range, np.array([3.0]), "", "fault"),
        (refuses_a_range, True, "", "fault"),
        (refuses_a_number, np.array([3.0]), "", "refused"),
        (refuses_none, [1.0], "", "fault"),
        (suggests, "edm 2", "", "fault"),
        (fails_deep, "words", "", "fault"),
        (fails_here, [1.0], "", "fault"),
        (asserts, 3, "", "fault"),
        (lets_pass, math.nan, "nan", "fault"),
        (lets_pass, math.inf, "inf", "fault"),
        (lets_pass, 3, "", "accepted"),
        (makes_nan, 3, "", "fault"),
    ],
)
def test_the_attack_tells_refusals_from_faults(function, value, holds, expected):
    assert verdict_of(function, value, holds) == expected


def test_an_error_that_shows_the_value_names_it():
    def refuses(x):
        raise checks.unknown("name", x, ["one"])

    assert verdict_of(refuses, "no-such-name") == "refused"


def test_what_a_function_of_the_caller_stumbles_over_is_not_of_the_caller():
    assert not attack.is_of_caller(raised(more_calls.double, object()))


def test_only_a_value_that_holds_nan_is_meant_by_a_star():
    nan, other = hostile.Hostile("an entry NaN", 0, holds="nan"), hostile.Hostile("negated", 0)
    assert attack.is_meant("plots.curves.lines", "curves", nan)
    assert not attack.is_meant("plots.curves.lines", "curves", other)


def test_a_message_that_repeats_a_long_name_is_a_fault():
    error = ValueError(f"x is unknown: {hostile.LONG}")
    error = error.with_traceback(raised(checks.require, False, "").__traceback__)
    found = attack.refusal(error, {"x": hostile.Hostile("", hostile.LONG)})
    assert found.verdict == "fault" and "characters" in found.reason


def raised(function, *arguments):
    """The error that a function raises."""
    try:
        function(*arguments)
    except Exception as error:
        return error
    return None


def test_the_plan_is_the_same_each_time_and_reaches_every_door(tmp_path):
    first, again = (list(attack.plan(2, 1, tmp_path)) for _ in range(2))
    assert first == again
    assert {one.door for one in first} == {
        name for name, valid in attack.valid_calls().items() if attack.arguments_of(valid)
    }
    assert first != list(attack.plan(2, 2, tmp_path))
