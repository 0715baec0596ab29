"""An exercise takes the right answer, refuses wrong ones with a hint, and the solution folded below it is right."""

import re
from pathlib import Path

import numpy as np
import pytest

import diffviz as dv
from diffviz.lab.exercises import EXERCISES, check

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("edm-peak", 2.4),
        ("edm-peak", -5),
        ("same-as-fm", "sd3"),
        ("same-as-fm", ["fm-cosine"]),
        ("centre-the-loss", 3),
        ("centre-the-loss", -1),
        ("shift-for-variance-4", 0.5),
        ("decay-for-half-the-error", 0.995),
        ("decay-for-half-the-error", 1.5),
        ("doublings-of-shift-3", 3),
        ("equally-straight", 0.2),
        ("equally-straight", -1),
        ("equally-straight", float("nan")),
        ("sixteen-calls", ("ddim", np.linspace(-10, 12, 17))),
        ("sixteen-calls", ("heun", np.linspace(-10, 12, 17))),
        ("sixteen-calls", ("ab3", np.linspace(-9, 12, 17))),
        ("sixteen-calls", "ab3"),
        ("slow-down", 3),
        ("slow-down", 0),
    ],
)
def test_a_wrong_answer_gets_a_hint(name, answer, capsys):
    check(name, answer)
    assert "not yet" in capsys.readouterr().out


def test_no_answer_is_not_judged(capsys):
    check("edm-peak", None)
    assert "None" in capsys.readouterr().out


def test_an_unknown_exercise_names_near_ones():
    with pytest.raises(ValueError, match="'edm-peak'"):
        check("edm-peek", 1)


@pytest.mark.slow
@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda f: f.stem)
def test_the_solutions_in_the_notebook_are_right(file, capsys):
    import nbformat

    cells = nbformat.read(file, 4).cells
    asked = [re.search(r'check\("([^"]+)"', c.source) for c in cells if c.cell_type == "code"]
    asked = [m.group(1) for m in asked if m]
    solutions = [
        m
        for c in cells
        if c.cell_type == "markdown"
        for m in re.findall(r"<summary>Solution</summary>\s+`answer = (.+?)`", c.source)
    ]
    assert len(asked) == len(solutions) >= 3 and set(asked) <= set(EXERCISES)
    for name, source in zip(asked, solutions, strict=True):
        check(name, eval(source, {"dv": dv, "np": np}))
        assert capsys.readouterr().out == f"{name}: right!\n", f"{name}: {source}"


@pytest.mark.parametrize("name", ["edm-peak", "dpo-beta", "gain-one", "flat-above", "bits"])
@pytest.mark.parametrize("answer", ["abc", [1, 2], dv.verdict, float("nan"), 0, 10**400])
def test_a_silly_answer_is_met_without_a_traceback(name, answer, capsys):
    check(name, answer)
    assert "not yet" in capsys.readouterr().out
