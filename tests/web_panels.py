"""Panels that the browser has computed beside those of Python, and states to compare them at."""

import json
import re
from collections.abc import Mapping

import numpy as np
import pytest

from diffviz import plots
from diffviz.lab.experiments.roads import METHODS
from diffviz.lab.experiments.walks import SOLVERS, figure_of_eight
from diffviz.lab.explorers import (
    ElboExplorer,
    FewStepExplorer,
    MaskedExplorer,
    NoiseExplorer,
    PerceptionExplorer,
    PriorExplorer,
    ScheduleExplorer,
    StackExplorer,
    StepNoiseExplorer,
    TrajectoryExplorer,
)
from diffviz.lab.explorers.elbo import DATA, ENTRIES
from diffviz.lab.explorers.few_steps import FACTOR, IDENTITY, MAP
from diffviz.lab.explorers.masked import BY_COUNT, BY_RATE, SPENT
from diffviz.lab.explorers.noise import SHARES, WEIGHTS
from diffviz.lab.explorers.perception import SENSITIVITY_NAMES
from diffviz.lab.explorers.schedule import DENSITIES
from diffviz.recipes.entries import CATALOGUE
from diffviz.theory.families import FAMILIES
from diffviz.web.description import Chips, Menu, Slider, Switch
from diffviz.web.pictures import Chart, Cloud, Images, Note, as_bytes

CLOSE = 1e-6  # largest departure, over the largest value of a curve
ROUNDING = 1e-9  # share of the largest value up to which one that is missing is no value
DRAWINGS = ((), ((0.5, -1.0),), ((0.5, -1.0), (1.0, 0.5), (-1.2, 0.25)), figure_of_eight())
STARTS = ((), ((0.5, -1.0), (2.0, 2.0)))
PUBLISHED = tuple(name for name in ENTRIES if name in CATALOGUE)  # elbo.js has their formulas
# each module that computes in the browser: its explorer, and values of what is not at random
MODULES = {
    "elbo.js": (
        ElboExplorer,
        {"weighting": (*FAMILIES, *PUBLISHED), "beside": ((), ("edm",), ("elbo", "sd3"))},
    ),
    "few_steps.js": (FewStepExplorer, {}),
    "masked.js": (MaskedExplorer, {}),
    "noise.js": (NoiseExplorer, {}),
    "perception.js": (PerceptionExplorer, {}),
    "prior.js": (PriorExplorer, {}),
    "roads.js": (StepNoiseExplorer, {}),
    "sampling.js": (TrajectoryExplorer, {"drawing": DRAWINGS, "starts": STARTS}),
    "schedule.js": (ScheduleExplorer, {"picture": ("one draw", "six views")}),
    "stack.js": (StackExplorer, {}),
}
# what is gone through option by option, and what is held meanwhile
IN_TURN = {
    "elbo.js": ("weighting", (*FAMILIES, *PUBLISHED), {"beside": ()}),
    "few_steps.js": ("shows", (FACTOR, MAP, IDENTITY), {}),
    "masked.js": ("shows", (BY_RATE, BY_COUNT, SPENT), {}),
    "noise.js": ("shows", (SHARES, WEIGHTS), {}),
    "perception.js": ("curve", tuple(SENSITIVITY_NAMES), {}),
    "prior.js": ("shows", ("brightness", "couplings"), {}),
    "roads.js": ("method", METHODS, {"others": True}),
    "sampling.js": ("solver", tuple(SOLVERS), {"noise": 0.5, "field": True, "steps": 5}),
    "schedule.js": ("density", tuple(DENSITIES), {"picture": "one draw"}),
    "stack.js": ("data", tuple(DATA), {}),
}
NUMBER = re.compile(r"[−-]?\d+(?:\.\d+)?(?:e[+-]\d+)?")


def numbers(values):
    return np.array(values, dtype=float)  # of numbers, and of texts such as NaN and Infinity


def plain(value):
    """What an explorer sends to the browser, as JSON holds it; see ``arrays`` of answer.js."""
    if isinstance(value, Mapping):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if not isinstance(value, np.ndarray):
        return value
    kind = "uint8" if value.dtype == np.uint8 else "float64"
    return {"numbers": value.ravel().tolist(), "shape": list(value.shape), "type": kind}


def random_state(rng, description):
    """A state with every slider, menu, switch and search at random."""
    state = {}
    for control in description.controls:
        if isinstance(control, Menu):
            state[control.name] = str(rng.choice(control.options))
        elif isinstance(control, Switch):
            state[control.name] = bool(rng.integers(2))
        elif isinstance(control, Chips):
            count = int(rng.integers(0, min(3, control.most) + 1))
            chosen = rng.choice(len(control.options), count, replace=False)
            state[control.name] = tuple(control.options[index].value for index in chosen)
        elif isinstance(control, Slider):
            state[control.name] = _place(rng, control)
    return description.checked(state)


def states_of(module, explorer, count, seed):
    """Random states that the module computes."""
    _, options = MODULES[module]
    rng = np.random.default_rng(seed)
    states = []
    for _ in range(count):
        chosen = {name: values[rng.integers(len(values))] for name, values in options.items()}
        states.append(
            explorer.description.checked(random_state(rng, explorer.description) | chosen)
        )
    return states


def states_in_turn(module, explorer, seed):
    """A random state for each option of a menu."""
    name, options, held = IN_TURN[module]
    states = states_of(module, explorer, len(options), seed)
    for state, option in zip(states, options, strict=True):
        state.update(held)
        state[name] = option
        if state.get("data") == "drawn":
            state["data"] = "ring8"  # not every drawing is data
    return states


def assert_same_views(views, states, explorer):
    """Views of the browser beside those of Python; what one refuses the other refuses."""
    compared = 0
    for state, got in zip(states, views, strict=True):
        about = json.dumps(state, ensure_ascii=False)
        try:
            expected = explorer.compute(state, ())
        except ValueError:
            assert "error" in got, about
            continue
        assert got is not None and "error" not in got, (got, about)
        assert got["columns"] == expected.columns
        assert len(got["panels"]) == len(expected.panels), about
        for panel, own in zip(got["panels"], expected.panels, strict=True):
            assert_same(panel, own, about)
        compared += 1
    assert compared > 0.8 * len(states)


def _place(rng, slider):
    """A value of a slider, seldom one of its positions."""
    if slider.scale == "log":
        value = float(np.exp(rng.uniform(np.log(slider.low), np.log(slider.high))))
    else:
        value = float(rng.uniform(slider.low, slider.high))
    return round(value) if slider.whole else value


def assert_same(got, expected, about):
    """A panel of the browser beside that of Python: the same texts, curves within 1e-6."""
    if isinstance(expected, Chart):
        _assert_same_chart(got, expected, about)
    elif isinstance(expected, Cloud):
        _assert_same_cloud(got, expected, about)
    elif isinstance(expected, Images):
        _assert_same_images(got, expected, about)
    elif isinstance(expected, Note):
        assert got["strong"] == expected.strong, about
        assert_same_text(got["text"], expected.text, about)
    else:
        assert got["head"] == list(expected.head), about
        assert got["colours"] == list(expected.colours), about
        assert [len(row) for row in got["rows"]] == [len(row) for row in expected.rows], about
        for row, own in zip(got["rows"], expected.rows, strict=True):
            for cell, text in zip(row, own, strict=True):
                assert_same_text(cell, text, about)


def assert_same_text(got, expected, about):
    """The same words, and numbers that differ by one in their last figure at most."""
    if got == expected:
        return
    assert NUMBER.sub("#", got) == NUMBER.sub("#", expected), about
    for mine, own in zip(NUMBER.findall(got), NUMBER.findall(expected), strict=True):
        unit = _last_figure(own)
        assert abs(_number(mine) - _number(own)) <= 1.001 * unit, (got, expected, about)


def _number(text):
    return float(text.replace("−", "-"))


def _last_figure(text):
    """The size of one in the last figure of a number."""
    digits, _, power = text.partition("e")
    after = len(digits.partition(".")[2])
    return 10.0 ** (int(power or 0) - after)


def _assert_close(got, expected, name, about):
    """Values within 1e-6 of the largest; a part below 0 may miss what is only rounding."""
    own = np.asarray(expected, dtype=float).ravel()
    mine = numbers(got)
    largest = max(1.0, np.max(np.abs(own[np.isfinite(own)]), initial=0.0))
    if mine.shape == own.shape:
        missing = np.isnan(mine) != np.isnan(own)
        there = np.where(np.isnan(mine), own, mine)[missing]
        assert np.all(np.abs(there) <= ROUNDING * largest), (name, about)
        mine, own = mine[~missing], own[~missing]
    near = {"rtol": 0, "atol": CLOSE * largest, "err_msg": f"{name} of {about}"}
    np.testing.assert_allclose(mine, own, **near)


def _assert_same_fields(got, expected, names, about):
    """The same texts and settings, and the same ends of axes."""
    for name in names:
        own = getattr(expected, name)
        assert got[name] == (list(own) if isinstance(own, tuple) else own), (name, about)
    for name in ("xlim", "ylim"):
        own = getattr(expected, name)
        if own is not None:
            np.testing.assert_allclose(got[name], own, rtol=1e-6, atol=1e-12)


def _assert_same_chart(got, expected, about):
    names = ("xlabel", "ylabel", "xscale", "yscale", "title", "strokes", "dashes", "faint")
    _assert_same_fields(got, expected, names, about)
    assert got["marks"] == pytest.approx(expected.marks, rel=1e-12), about
    assert got["symbols"] == dict(expected.symbols), about
    assert list(got["curves"]) == list(expected.curves), about
    for name, curve in expected.curves.items():
        places = got["x"][name] if isinstance(got["x"], Mapping) else got["x"]
        own = expected.places(name)
        near = {"rtol": 1e-9, "atol": 1e-12, "err_msg": f"places of {name} of {about}"}
        np.testing.assert_allclose(numbers(places), own, **near)
        _assert_close(got["curves"][name], curve, name, about)
        assert got["colours"][name] == expected.colours.get(name, plots.colour(name))
    for kind in ("bands", "dots"):
        pairs = getattr(expected, kind)
        assert list(got[kind]) == list(pairs), about
        for name, pair in pairs.items():
            for mine, own in zip(got[kind][name], pair, strict=True):
                _assert_close(mine, own, f"{kind} {name}", about)


def _assert_same_cloud(got, expected, about):
    names = ("xlabel", "ylabel", "title", "strokes", "clock", "trails", "strong", "equal")
    _assert_same_fields(got, expected, names, about)
    assert got["present"] == expected.present
    for kind in ("points", "paths"):
        own = getattr(expected, kind)
        assert list(got[kind]) == list(own), about
        for name, values in own.items():
            _assert_close(got[kind][name], values, f"{kind} {name}", about)
    _assert_close(got["reach"], expected.reach, "reach", about)
    _assert_close(got["times"], expected.times, "times", about)
    _assert_close(got["arrows"], expected.arrows, "arrows", about)
    assert len(got["captions"]) == len(expected.captions), about
    for mine, own in zip(got["captions"], expected.captions, strict=True):
        assert_same_text(mine, own, about)
    for name in (*expected.points, *expected.paths):
        shade = expected.colours.get(name, plots.colour(name))
        if isinstance(shade, str):
            assert got["colours"][name] == shade
        else:
            mine = numbers(got["colours"][name])
            assert np.abs(mine - as_bytes(shade).ravel()).max() <= 1


def _assert_same_images(got, expected, about):
    assert (got["title"], got["columns"]) == (expected.title, expected.columns), about
    assert got["labels"] == list(expected.labels), about
    pixels = as_bytes(expected.pixels).astype(int).ravel()
    assert np.abs(numbers(got["pixels"]) - pixels).max() <= 1, about  # a half may round up or down
