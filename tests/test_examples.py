"""The examples in docstrings and on pages run, and every public name has one.

An example starts from ``import numpy as np``, ``import torch`` and ``import diffviz as dv``, as the
reference says, and from an empty folder.
"""

import doctest
import importlib
import inspect
import re
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from cells import in_one_test

import diffviz as dv
from diffviz.data.toys import Toy
from diffviz.learning.floors.record import Floor
from diffviz.learning.logs.record import LossLog
from diffviz.masked.measurement import MaskedMeasured
from diffviz.reports.measurement import Report
from diffviz.reports.page import Page
from diffviz.sampling.integrate import Trajectory
from diffviz.sampling.likelihood import Bound
from diffviz.theory.cascades import Cascade

ROOT = Path(__file__).parents[1]
REFERENCE = sorted((ROOT / "docs" / "reference").glob("*.rst"))
RETURNED = (
    Bound,
    Cascade,
    Floor,
    LossLog,
    MaskedMeasured,
    Page,
    Report,
    Toy,
    Trajectory,
)  # classes of what public functions return
# A mapping has no docstring; its example stands in the reference.
ON_ITS_PAGE = {"catalogue", "few_step_catalogue", "masked_catalogue"}
NEEDS_OTHER_PROCESSES = {"LossByLogSNR.all_reduce", "LossLog.all_reduce"}
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def methods_of(kind):
    """The public methods of a class that the package defines, by name."""
    fields = getattr(kind, "__dataclass_fields__", {})
    return {
        f"{kind.__name__}.{name}": method
        for name, method in inspect.getmembers(kind, inspect.isroutine)
        if not name.startswith("_") and name not in fields
        if (getattr(method, "__module__", None) or "").startswith("diffviz.")
    }


def public_objects():
    """Everything public that has a docstring of its own: names, classes and their methods."""
    objects = {name: getattr(dv, name) for name in dir(dv) if name not in ON_ITS_PAGE}
    objects |= {"diffviz": dv} | {kind.__name__: kind for kind in RETURNED}
    classes = [thing for thing in objects.values() if inspect.isclass(thing)]
    for kind in classes:
        objects |= methods_of(kind)
    return {name: thing for name, thing in objects.items() if name not in NEEDS_OTHER_PROCESSES}


PUBLIC = public_objects()


def run_session(text, name):
    """Run the ``>>>`` lines of a text, and compare what they print with what the text says."""
    names = {"np": np, "torch": torch, "dv": dv}
    session = doctest.DocTestParser().get_doctest(text, names, name, None, 0)
    assert session.examples, f"{name} has no example"
    assert any(example.want for example in session.examples), f"{name} shows no result"
    report = []
    result = doctest.DocTestRunner(optionflags=FLAGS).run(session, out=report.append)
    assert not result.failed, "".join(report)


def python_blocks(page):
    """The Python blocks of a page, with the heading that each stands under."""
    heading = ""
    blocks = []
    for part in re.split(r"^(?=## |```python\n)", page.read_text(encoding="utf-8"), flags=re.M):
        if part.startswith("## "):
            heading = part.splitlines()[0].removeprefix("## ")
        elif part.startswith("```python\n"):
            blocks.append((heading, part.removeprefix("```python\n").split("\n```")[0] + "\n"))
    return blocks


# --- docstrings ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_has_an_example_that_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    docstring = inspect.getdoc(PUBLIC[name])
    assert re.search(r"^Example:\n    >>> ", docstring, re.M), f"{name} has no section Example"
    run_session(docstring, name)


def test_the_enumeration_finds_functions_classes_methods_and_modules():
    """So that a filter that is too strict does not leave examples out in silence."""
    assert PUBLIC.keys() >= set(dir(dv)) - ON_ITS_PAGE
    assert PUBLIC.keys() >= {"Objective.draw", "Run.load", "Report.table", "Report.edges"}
    assert not PUBLIC.keys() & {"Objective.multiplier", "Diverged.add_note", "Run.model"}


def test_what_has_no_example_is_public_still():
    assert set(dir(dv)) >= ON_ITS_PAGE
    methods = methods_of(dv.LossByLogSNR) | methods_of(LossLog)
    assert methods.keys() >= NEEDS_OTHER_PROCESSES


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("No example.", "has no example"),
        (">>> x = 1", "shows no result"),
        (">>> 1 + 1\n3", "Expected"),
        (">>> 1 / 0\n3", "ZeroDivisionError"),
    ],
)
def test_a_bad_example_fails(text, message):
    with pytest.raises(AssertionError, match=message):
        run_session(text, "bad")


# --- pages --------------------------------------------------------------------------------------


def test_the_sessions_of_the_readme_show_what_they_print():
    blocks = [block for _, block in python_blocks(ROOT / "README.md")]
    assert blocks
    for block in blocks:
        run_session(block, "README.md")


def test_the_sessions_of_the_reference_show_what_they_print():
    pages = [page for page in REFERENCE if ">>> " in page.read_text(encoding="utf-8")]
    assert "objectives.rst" in [page.name for page in pages]  # has that of the catalogue
    for page in pages:
        run_session(page.read_text(encoding="utf-8"), page.name)


def test_the_code_of_the_first_steps_runs():
    blocks = python_blocks(ROOT / "docs" / "start.md")
    assert [heading for heading, _ in blocks] == ["First steps"]
    names = {}
    exec(blocks[0][1], names)
    assert names["edm"] is dv.objective("edm")


def test_the_code_on_logs_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    blocks = python_blocks(ROOT / "docs" / "logs.md")
    assert len(blocks) == 2
    for heading, block in blocks:
        exec(compile(block, f"logs.md, {heading}", "exec"), names)
    assert names["log"].count.sum() == 10_000  # the last half of the samples


@pytest.mark.slow
def test_the_code_of_the_tour_runs(tmp_path, monkeypatch):
    """From the first block to the last, each with the names of those before it."""
    monkeypatch.chdir(tmp_path)
    names = {}
    blocks = python_blocks(ROOT / "docs" / "tour.md")
    assert {heading for heading, _ in blocks} == {
        "Objectives and their weightings",
        "Training, and the loss by noise level",
        "Sampling and likelihood",
        "From what you have",
        "Results that are computed once",
    }
    for heading, block in blocks:
        exec(compile(block, f"tour.md, {heading}", "exec"), names)
    assert [run.name for run in names["runs"]] == ["fm-ot", "sd3"]
    assert names["run"].name == "fm-ot" and Path("fm-ot.safetensors").exists()
    assert names["adapted"].name == "laplace-eps"
    for measured in (names["measured"], names["outside"]):
        assert dv.closest(measured, 1)[0].deviation < 0.01


# --- reference ----------------------------------------------------------------------------------


class Entry(NamedTuple):
    """An object that a page of the reference documents."""

    directive: str
    name: str
    members: list[str]


IS_OF_KIND = {
    "automodule": inspect.ismodule,
    "autoclass": inspect.isclass,
    "autoexception": inspect.isclass,
    "autofunction": inspect.isfunction,
    "py:data": lambda thing: not callable(thing),
}


def entries_of(page):
    """What a page documents, with the members that it picks or leaves out."""
    module = ""
    entries = []
    for line in page.read_text(encoding="utf-8").splitlines():
        directive = re.match(r"\.\. (auto\w+|py:data|py:currentmodule):: (\S+)", line)
        members = re.match(r" +:(?:exclude-)?members: (.+)", line)
        if members:
            entries[-1].members.extend(re.split(r",\s*", members[1]))
        elif directive and directive[1] == "py:currentmodule":
            module = directive[2] + "."
        elif directive and directive[1] == "py:data":
            entries.append(Entry("py:data", module + directive[2], []))
        elif directive:
            entries.append(Entry(directive[1], directive[2], []))
    return entries


def resolved(name):
    """The object of a full dotted name: a module, or an attribute of one."""
    parts = name.split(".")
    thing = importlib.import_module(parts[0])
    for place, part in enumerate(parts[1:], start=2):
        if inspect.ismodule(thing) and not hasattr(thing, part):
            importlib.import_module(".".join(parts[:place]))
        thing = getattr(thing, part)
    return thing


@pytest.mark.parametrize("page", REFERENCE, ids=lambda page: page.stem)
def test_the_reference_names_nothing_that_does_not_exist(page):
    for directive, name, members in entries_of(page):
        thing = resolved(name)
        assert IS_OF_KIND[directive](thing), f"{page.name}: {name} is not for {directive}"
        for member in members:
            assert hasattr(thing, member), f"{page.name}: {name} has no {member}"


@in_one_test
@pytest.mark.parametrize("name", dir(dv))
def test_a_public_name_is_in_the_reference(name):
    documented = [entry.name for page in REFERENCE for entry in entries_of(page)]
    assert any(resolved(entry) is getattr(dv, name) for entry in documented), (
        f"docs/reference has no entry for diffviz.{name}"
    )


def test_classes_with_examples_are_in_the_reference():
    documented = [resolved(entry.name) for page in REFERENCE for entry in entries_of(page)]
    missing = [kind.__name__ for kind in RETURNED if kind not in documented]
    assert not missing, f"docs/reference has no entry for {missing}"


def classes_of(page):
    """The classes that a page documents, by themselves or with their module."""
    things = [resolved(entry.name) for entry in entries_of(page)]
    for module in filter(inspect.ismodule, things):
        own = inspect.getmembers(module, inspect.isclass)
        things += [kind for _, kind in own if kind.__module__ == module.__name__]
    return [thing for thing in things if inspect.isclass(thing)]


@pytest.mark.parametrize("page", REFERENCE, ids=lambda page: page.stem)
def test_no_property_has_a_colon_in_its_first_line(page):
    """Sphinx's Google style takes what stands before the colon for the type, and hides it."""
    for kind in classes_of(page):
        for name, thing in inspect.getmembers_static(kind):  # those of widgets warn when read
            if isinstance(thing, (property, cached_property)) and not name.startswith("_"):
                first_line = inspect.getdoc(thing).splitlines()[0]
                assert ":" not in first_line, f"{kind.__name__}.{name}: {first_line}"


def test_a_name_that_does_not_exist_is_not_resolved():
    assert resolved("diffviz.theory.paths.Path") is dv.paths.Path
    with pytest.raises((AttributeError, ImportError)):
        resolved("diffviz.theory.no_such_module")
    with pytest.raises((AttributeError, ImportError)):
        resolved("diffviz.theory.paths.no_such_name")
