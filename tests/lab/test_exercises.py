"""An exercise takes the right answer, refuses wrong ones with a hint; its solution is right."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from cells import in_one_test

import diffviz as dv
from diffviz.lab.exercises import EXERCISES, check, exercise

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("edm2-peak", 0.8),
        ("edm2-peak", -5),
        ("same-as-fm", "sd3"),
        ("same-as-fm", ["fm-cosine"]),
        ("centre-the-loss", 3),
        ("least-possible-loss", 2.55),
        ("least-possible-loss", 2.54),
        ("least-possible-loss", 2.5),
        ("centre-the-loss", -1),
        ("shift-for-variance-4", 0.5),
        ("decay-for-half-the-error", 0.995),
        ("decay-for-half-the-error", 1.5),
        ("doublings-of-shift-3", 3),
        ("equally-straight", 0.2),
        ("equally-straight", -1),
        ("equally-straight", float("nan")),
        ("twelve-calls", ("ddim", np.linspace(-10, 12, 13))),
        ("twelve-calls", ("heun", np.linspace(-10, 12, 13))),
        ("twelve-calls", ("ab3", np.linspace(-9, 12, 13))),
        ("twelve-calls", "ab3"),
        ("slow-down", 3),
        ("slow-down", 0),
        ("eta-for-variance", 0.5),
        ("eta-for-variance", 0.9),
        ("eta-for-variance", 1.5),
        ("long-jump-std", 2.15),
        ("long-jump-std", 1),
        ("long-jump-std", -2.06),
        ("long-jump-std", float("nan")),
        ("whole-jump", 1 / 28),
        ("whole-jump", 1 / 3),
        ("twice-the-kl", 1),
        ("twice-the-kl", -0.586),
        ("quarter-power", 3),
        ("paired-interval", (0.01, 0.0029)),
        ("paired-interval", (0.007, 0.01)),
        ("power-like-fm", 1),
        ("power-like-fm", 3),
    ],
)
def test_a_wrong_answer_gets_a_hint(name, answer, capsys):
    check(name, answer)
    assert "not yet" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("v-cosine", "v-cosine counts: it regresses on v. One more is missing"),
        (["v-cosine", "v-cosine"], "One more is missing"),
        (["fm-ot", "pd-snr-plus-one"], "pd-snr-plus-one counts: it regresses on x"),
        (["v-cosine", "sd3"], "sd3 differs by"),
        ("rectified-flow", "rectified-flow is the same loss with the target u"),
        ([], "Name two objectives"),
    ],
)
def test_what_is_right_and_what_is_missing_is_said(answer, said, capsys):
    check("same-as-fm", answer)
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "answer", "said"),
    [
        ("shift-for-variance-4", 4, "twice as far"),
        ("shift-for-variance-4", 0.5, "The sign"),
        ("shift-for-variance-4", 3, "times the least"),
        ("decay-for-half-the-error", 0.995, "worth 2.01 times as many batches"),
        ("decay-for-half-the-error", 0.99, "worth 1.00 times"),
        ("best-lambda-max", 10, "A smaller λ_max loses less"),
        ("best-lambda-max", 20, "2.7 by the steps"),
        ("best-lambda-max", 5.5, "A larger λ_max loses less"),
        ("best-lambda-max", 0, "between 1 and 20"),
        ("triangle-share", 1, "each λ counts with L"),
        ("triangle-share", 0.2044, "not by both together"),
        ("triangle-share", 3.893, "other way round"),
        ("triangle-share", 0.3457, "rising side alone"),
        ("triangle-share", 0.1728, "minus alone adds up to"),
        ("triangle-share", 25.69, "percentage"),
        ("triangle-share", 0.4, "too high"),
        ("uniform-mistake", np.log(2), "cross-entropy"),
        ("uniform-mistake", 1.547, "factor m/K in front"),
        ("uniform-mistake", 0.5157, "m = ½"),
        ("uniform-mistake", 0.7735, "K = 3"),
        ("uniform-mistake", 0.1288, "ratio of the p̂"),
        ("uniform-mistake", 0.1834, "other way round"),
        ("uniform-mistake", 0.0321, "with z = 1 below"),
        ("uniform-mistake", 0.4, "too high"),
        ("twice-the-kl", 2 + np.sqrt(2), "more noise than ancestral"),
        ("twice-the-kl", 0.7, "pay 1.58 times"),
        ("quarter-power", 1, "squared loss"),
        ("quarter-power", 1 / 8, "other way round"),
        ("quarter-power", 2, "quarter power itself"),
        ("paired-interval", (-0.007, 0.0029), "The other way"),
        ("paired-interval", (0.007, 0.0009), "standard error"),
        ("paired-interval", (0.007, 0.0058), "the whole interval"),
        ("paired-interval", (0.007, 0.0261), "the seeds are the same"),
        ("paired-interval", 0.007, "two numbers"),
        ("power-like-fm", 0.5, "a larger power is steeper"),
        ("what-is-backed", "abc", "not that they are equal"),
        ("what-is-backed", "a, c, e", "noise of a gradient"),
        ("what-is-backed", "ad", "leave out 0"),
        ("what-is-backed", "a", "one more"),
        ("what-is-backed", "c", "one more"),
        ("what-is-backed", "xy", "letters a to e"),
    ],
)
def test_a_usual_slip_is_named(name, answer, said, capsys):
    check(name, answer)
    assert said in capsys.readouterr().out


def _shortcut(second):
    """A target of a shortcut model with another second half."""

    def target(u, z, r, t):
        m = (t + r) / 2
        first = u(z, m, t)
        return (first + second(u, z, first, r, m, t)) / 2

    return target


@pytest.mark.parametrize(
    ("second", "said"),
    [
        (lambda u, z, first, r, m, t: u(z - (t - m) * first, r, m), "right!"),
        (lambda u, z, first, r, m, t: u(z, r, m), "at z_m and not at z"),
        (lambda u, z, first, r, m, t: u(z - (t - m) * first, r, t), "at the time m"),
        (lambda u, z, first, r, m, t: u(z + (t - m) * first, r, m), "The sign"),
        (lambda u, z, first, r, m, t: u(z - (t - r) * first, r, m), "the length t − m"),
        (lambda u, z, first, r, m, t: 3 * first, "Jump from t to m"),
    ],
)
def test_a_target_of_a_shortcut_model_is_judged(second, said, capsys):
    check("shortcut-target", _shortcut(second))
    assert said in capsys.readouterr().out


def _meanflow(z_rate=1.0, r_rate=0.0, t_rate=1.0, length=None, sign=1.0):
    """MeanFlow's error with other rates, another length or sign of the correction."""

    def error(u, z, v, r, t):
        h = 1e-4
        after, before = (
            u(z + step * z_rate * v, r + step * r_rate, t + step * t_rate) for step in (h, -h)
        )
        u_dot = (after - before) / (2 * h)
        return u(z, r, t) - v + sign * (t - r if length is None else length) * u_dot

    return error


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (_meanflow(), "right!"),
        (_meanflow(z_rate=0.0), "The state has to move"),
        (_meanflow(t_rate=0.0), "The time t has to move"),
        (_meanflow(r_rate=1.0), "The time r stays"),
        (_meanflow(sign=-1.0), "The sign"),
        (_meanflow(length=1.0), "The length is missing"),
        (lambda *case: -_meanflow()(*case), "target less the network"),
        (lambda u, z, v, r, t: u(z, r, t) - _meanflow()(u, z, v, r, t), "That is the target."),
        (lambda u, z, v, r, t: u(z, r, t) - v, "u̇ follows z at the rate v"),
    ],
)
def test_the_error_of_meanflow_is_judged(answer, said, capsys):
    check("meanflow-error", answer)
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda error, q, gaussian: np.log((error @ q).sum() / gaussian.sum()), "right!"),
        (lambda error, q, gaussian: (error @ q).sum() / gaussian.sum(), "the logarithm"),
        (lambda error, q, gaussian: np.log(gaussian.sum() / (error @ q).sum()), "The other way"),
        (lambda error, q, gaussian: np.log(error.sum() / gaussian.sum()), "The eye is missing"),
        (lambda error, q, gaussian: np.log(error @ q / gaussian).mean(), "Add up the levels"),
        (lambda error, q, gaussian: np.log(error.sum()), "error @ q"),
    ],
)
def test_the_goal_of_a_search_is_judged(answer, said, capsys):
    check("visible-goal", answer)
    assert said in capsys.readouterr().out


def test_no_answer_is_not_judged(capsys):
    check("edm2-peak", None)
    assert "None" in capsys.readouterr().out


def test_an_unknown_exercise_names_near_ones():
    with pytest.raises(ValueError, match="'edm2-peak'"):
        check("edm2-peek", 1)


SOLUTION = r"<summary>Solution</summary>\s+(?:`answer = ([^\n]+?)`|```python\n(.+?)```)"


def solved(value, code):
    """What a solution of a notebook says: a value, an answer, or the function that it defines."""
    names = {"dv": dv, "np": np, "torch": torch}
    if value:
        return eval(value, names)
    known = set(names)
    exec(code, names)
    if "answer" in names:
        return names["answer"]
    (defined,) = set(names) - known - {"__builtins__"}
    return names[defined]


@pytest.mark.slow
@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda f: f.stem)
def test_the_solutions_in_the_notebook_are_right(file, capsys):
    import nbformat

    cells = nbformat.read(file, 4).cells
    asked = [re.search(r'check\("([^"]+)"', c.source) for c in cells if c.cell_type == "code"]
    asked = [m.group(1) for m in asked if m]
    solutions = [
        m for c in cells if c.cell_type == "markdown" for m in re.findall(SOLUTION, c.source, re.S)
    ]
    assert len(asked) == len(solutions) >= 3 and set(asked) <= set(EXERCISES)
    for name, (value, code) in zip(asked, solutions, strict=True):
        check(name, solved(value, code))
        said = capsys.readouterr().out
        assert re.fullmatch(rf"{name}: right!( What it costs: .+)?\n", said), f"{name}: {said}"


@pytest.mark.slow
def test_a_right_answer_may_teach_what_it_costs(capsys):
    middle = dv.from_weighting(lambda logsnr: np.exp(-((logsnr - 4) ** 2) / 2))
    check("buy-the-middle", middle)
    said = capsys.readouterr().out
    low, high = (
        float(re.search(rf"([\d.e+]+) times at λ = {place}", said).group(1))
        for place in ("−6", "10")
    )
    assert said.startswith("buy-the-middle: right! What it costs")
    assert low > 2
    assert high > 2


class Hostile:
    """An answer whose own methods fail."""

    def __getattr__(self, name):
        raise RuntimeError("no such thing")

    def __repr__(self):
        raise RuntimeError("no text")


SILLY = {
    "text": "abc",
    "empty text": "",
    "list": [1, 2],
    "ragged list": [[1], [2, 3]],
    "function": dv.verdict,
    "NaN": float("nan"),
    "infinity": float("inf"),
    "zero": 0,
    "negative": -1.5,
    "huge": 10**400,
    "too long to print": 10**5000,
    "bool": True,
    "complex": 1j,
    "bytes": b"1",
    "dictionary": {"a": 1},
    "masked": np.ma.masked_array([1.0], [True]),
    "hostile": Hostile(),
}


@pytest.mark.slow
@in_one_test
@pytest.mark.parametrize("answer", SILLY.values(), ids=SILLY)
@pytest.mark.parametrize("name", sorted(EXERCISES))
def test_a_silly_answer_is_met_without_a_traceback(name, answer, capsys):
    check(name, answer)
    said = capsys.readouterr().out
    assert said.startswith(f"{name}: not yet. ") and len(said) < 400


@in_one_test
@pytest.mark.parametrize("letter", "ABCDE")
@pytest.mark.parametrize("answer", ["Max", "max ", ["max"], 3])
def test_a_mystery_is_answered_by_the_name_of_a_mistake(letter, answer, capsys):
    check(f"mystery-{letter}", answer)
    assert "The answer is one of numerator, max," in capsys.readouterr().out


def test_numpy_numbers_and_objectives_are_answers(capsys):
    peak = dv.verdict(dv.objective("edm2")).peak
    check("edm2-peak", np.float32(peak))
    check("edm2-peak", np.array([peak]))
    check("most-negative", dv.objective("sd3-mode-1.75"))
    assert capsys.readouterr().out.count("right!") == 3


def test_a_name_is_taken_once():
    with pytest.raises(ValueError, match="'edm2-peak' already"):
        exercise("edm2-peak")(lambda answer: "")
    with pytest.raises(TypeError, match="name must be text"):
        exercise(3)
