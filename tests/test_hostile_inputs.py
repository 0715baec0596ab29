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
from cells import in_one_test
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


# What the large attack has found, one of each kind: an array, a number, a count, anything else.
HUGE = "1000000000000000000000000000000000000000... (401 characters)"
FOUND = [
    ("accepted", "data.toys.Toy.entropy", "logsnr", "number", "tensor(0.5000, requires_grad=True)"),
    ("accepted", "learning.runs.Run.denoise", "z", "array", "long doubles"),
    ("accepted", "learning.tracking.LossByLogSNR.update", "logsnr", "array", "other byte order"),
    ("accepted", "perception.sensitivities.a_weighting", "frequency", "array", "an entry 1e300"),
    ("accepted", "sampling.trajectories.ddim_error", "k", "count", "AsIndex(3)"),
    ("refused", "data.densities.Mixture", "means", "array", "quantised"),
    ("refused", "data.toys.Toy.denoise", "logsnr", "array", "quantised"),
    ("refused", "data.toys.Toy.sample", "n", "count", HUGE),
    ("refused", "few_steps.pairs.dyadic", "steps", "count", "np.uint64(9223372036854775808)"),
    ("refused", "learning.tracking.LossByLogSNR.update", "loss", "array", "quantised"),
    ("refused", "masked.measurement.probe_masked", "x", "array", "unsigned"),
    ("refused", "masked.noises.exact_elbo", "reach", "number", "1.7976931348623157e+308"),
    ("refused", "data.toys.dataset", "bandwidth", "number", "1.7976931348623157e+308"),
    ("refused", "policy.surrogates.nft", "beta", "number", "1.7976931348623157e+308"),
    ("refused", "policy.surrogates.awr", "loss", "array", "a complex tensor"),
    ("refused", "policy.surrogates.fpo", "old", "array", "an entry 1e300"),
    ("refused", "plots.losses.loss_curves", "errors", "other", "3"),
    ("refused", "reports.measurement.probe_arrays", "uniforms", "count", "np.int64(3)"),
    ("refused", "theory.analysis.share_below", "high", "number", "1e+300"),
    ("refused", "theory.laws.truncated", "low", "number", "1.7976931348623157e+308"),
    ("refused", "web.description.Slider", "whole", "flag", "array([ True, False])"),
]


@in_one_test
@pytest.mark.parametrize(("expected", "door", "argument", "kind", "words"), FOUND)
def test_what_was_found_once_stays_mended(tmp_path, expected, door, argument, kind, words):
    found = attack.attack(attack.Input(door, ((argument, kind, words),)), tmp_path)
    assert found.verdict == expected, found
    assert found.reason != "cannot be made"


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
