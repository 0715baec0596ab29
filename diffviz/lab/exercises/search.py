"""Judges of notebook 13: comparing weightings by what trained networks leave."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from diffviz import checks
from diffviz.lab.exercises.answers import number
from diffviz.lab.exercises.functions import judged
from diffviz.lab.exercises.registry import RIGHT, exercise
from diffviz.lab.experiments.perception import slopes
from diffviz.lab.experiments.search import member
from diffviz.perception.spectra import interval

FIRST = np.array([-0.512, -0.494, -0.507, -0.521])  # goals of two weightings under four seeds
SECOND = np.array([-0.506, -0.485, -0.502, -0.513])
STUDENT = stats.t.isf(0.025, len(FIRST) - 1)  # of an interval of 95 %
ROUNDING = 6e-5  # of a number with four decimals


def _half_width(values: NDArray) -> float:
    """Half of Student's 95 % interval for a mean."""
    _, low, high = interval(values)
    return (high - low) / 2


def _unpaired() -> float:
    """Half of the interval of two means that do not share their seeds."""
    return float(np.hypot(_half_width(FIRST), _half_width(SECOND)))


@exercise("paired-interval")
def paired_interval(answer: Any) -> str:
    """The mean of paired differences, and half of its 95 % interval."""
    values = checks.array(answer, "the answer")
    message = "give two numbers, such as (0.01, 0.002): the difference and half of its interval"
    checks.require(values.shape == (2,), message, TypeError)
    mean, half = map(float, values)
    differences = SECOND - FIRST
    if abs(mean + differences.mean()) < ROUNDING:
        return "The other way: how far is the second above the first?"
    if abs(mean - differences.mean()) >= ROUNDING:
        return "Subtract seed by seed, second less first, and take the mean."
    spread = differences.std(ddof=1)
    mistakes = {
        "That is the standard error. Student's t makes an interval of it.": spread / 2,
        "That is the whole interval, or that of one difference: it is t · std(d)/√n.": (
            STUDENT * spread
        ),
        "1.96 is for many seeds. For four of them Student's t is larger.": 1.96 * spread / 2,
        "Divide the squares by n − 1 (ddof=1), since the mean is one of these seeds' own.": (
            STUDENT * differences.std() / 2
        ),
        "That forgets that the seeds are the same: take the spread of the differences.": (
            _unpaired()
        ),
    }
    if abs(half - _half_width(differences)) < ROUNDING:
        return RIGHT
    for words, mistake in mistakes.items():
        if abs(half - mistake) < ROUNDING:
            return words
    return "The difference is right. Half of the interval is t · std(d)/√n, with t for n − 1 = 3."


def _goal(error: NDArray, q: NDArray, gaussian: NDArray) -> NDArray:
    """The logarithm of the visible error of all levels over that of the Gaussian denoiser."""
    return np.log((error @ q).sum() / gaussian.sum())


@exercise("visible-goal")
def visible_goal(answer: Any) -> str:
    """The goal of a search, from errors, squared sensitivities and the Gaussian denoiser's."""
    rng = np.random.default_rng(13)
    cases = [
        (rng.uniform(0.1, 2, (6, 5)), rng.uniform(0.1, 1, 5), rng.uniform(1, 4, 6))
        for _ in range(4)
    ]
    mistakes = {
        "The goal is the logarithm of the ratio.": (
            lambda error, q, gaussian: (error @ q).sum() / gaussian.sum()
        ),
        "The other way: the network's error stands above, so that less is better.": (
            lambda error, q, gaussian: -_goal(error, q, gaussian)
        ),
        "The sensitivities that come in are squared already.": (
            lambda error, q, gaussian: _goal(error, q**2, gaussian)
        ),
        "The eye is missing: weight each coefficient by q.": (
            lambda error, q, gaussian: _goal(error, np.ones_like(q), gaussian)
        ),
        "Add up the levels first, and take one logarithm of the two areas.": (
            lambda error, q, gaussian: np.log(error @ q / gaussian).mean()
        ),
        "Logarithms are natural here.": (
            lambda error, q, gaussian: _goal(error, q, gaussian) / np.log(10)
        ),
    }
    hint = "The visible error of each level is error @ q; the goal is the log of a ratio of sums."
    return judged(answer, _goal, cases, mistakes, hint)


@exercise("power-like-fm")
def power_like_fm(answer: Any) -> str:
    """The power at which an eye at octaves 2 weights as steeply as flow matching in the middle."""
    power = number(answer)
    if not 0 <= power <= 2:
        return "The search looks at powers from 0 to 2."
    slope = slopes(member(power, 2.0))[1]
    if abs(slope + 0.5) < 0.01:
        return RIGHT
    text = f"There the slope from −4 to 2 is {slope:.2f}; a larger power is steeper."
    return text.replace("-", "−")


@exercise("what-is-backed")
def what_is_backed(answer: Any) -> str:
    """Which of five sentences two tables of goals back, seed by seed."""
    message = 'give the letters of the sentences that are backed, such as "ab"'
    checks.require(isinstance(answer, str), message, TypeError)
    letters = set(answer.lower()) - set(" ,")
    if not letters or not letters <= set("abcde"):
        return "The sentences have the letters a to e."
    mistakes = {
        "b": "That two cannot be told apart is not that they are equal.",
        "d": "Take the differences of A seed by seed: does their interval leave out 0?",
        "e": "Which of the numbers is the noise of a gradient?",
    }
    for letter, words in mistakes.items():
        if letter in letters:
            return f"{letter} is not backed. {words}"
    if letters == {"a", "c"}:
        return RIGHT
    if letters == {"a"}:
        return (
            "There is one more. Both tables have the same seeds, so their leads can be subtracted."
        )
    return "There is one more. Does the interval of A less B leave out 0 with levels alike?"
