"""Judges of notebook 11: objectives with two times."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from diffviz.few_steps.objectives import few_step
from diffviz.few_steps.pairs import dyadic
from diffviz.lab.exercises.answers import near, number
from diffviz.lab.exercises.functions import judged
from diffviz.lab.exercises.registry import RIGHT, exercise

Average = Callable[[NDArray, float, float], NDArray]  # u(z, r, t)


ONCE_IN = 100  # draws
PLACE = -0.4  # mean of logit t in MeanFlow


def _jump(u: Average, z: NDArray, t: float, r: float) -> NDArray:
    """Where a jump by the average velocity ends."""
    return z - (t - r) * u(z, r, t)


def _mean_of_halves(second: Callable[..., NDArray]) -> Callable[..., NDArray]:
    """The target for a second half step ``second(u, z, r, m, t)``, where m lies half way."""

    def target(u: Average, z: NDArray, r: float, t: float) -> NDArray:
        m = (t + r) / 2
        return (u(z, m, t) + second(u, z, r, m, t)) / 2

    return target


def _some_average(rng: np.random.Generator) -> Average:
    """A function of z, r and t that has no symmetry."""
    a, b, c = rng.uniform(0.5, 1.5, 3)
    return lambda z, r, t: np.sin(a * z + b * r) + c * t * z


@exercise("shortcut-target")
def shortcut_target(answer: Any) -> str:
    """What a shortcut model regresses on off the diagonal, from its own two half jumps."""
    rng = np.random.default_rng(11)
    cases = [
        (_some_average(rng), rng.standard_normal(6), *np.sort(rng.uniform(0, 1, 2)).tolist())
        for _ in range(4)
    ]
    mistakes = {
        "The second half starts where the first one ends, at z_m and not at z.": (
            _mean_of_halves(lambda u, z, r, m, t: u(z, r, m))
        ),
        "The second half starts at the time m, not at t.": (
            _mean_of_halves(lambda u, z, r, m, t: u(_jump(u, z, t, m), r, t))
        ),
        "The sign: z_m = z − (t − m) u(z, m, t), since time runs down to the data.": (
            _mean_of_halves(lambda u, z, r, m, t: u(2 * z - _jump(u, z, t, m), r, m))
        ),
        "The first half has the length t − m: z_m = z − (t − m) u(z, m, t).": (
            _mean_of_halves(lambda u, z, r, m, t: u(z - (t - r) * u(z, m, t), r, m))
        ),
    }
    right = _mean_of_halves(lambda u, z, r, m, t: u(_jump(u, z, t, m), r, m))
    hint = "Jump from t to m = (t + r)/2, then from there to r; average the two velocities."
    return judged(answer, right, cases, mistakes, hint)


def long_jumps(std: float) -> float:
    """Share of long jumps among MeanFlow's draws, if logit t has another standard deviation.

    Args:
        std: Standard deviation of logit t, above 0.

    Returns:
        The share of all draws that go from t > 0.9 to t < 0.1.
    """
    edge = math.log(0.9 / 0.1)
    law = stats.norm(PLACE, std)
    off = 1 - few_step("meanflow").diagonal_share
    return float(off * 2 * law.sf(edge) * law.cdf(-edge))


@exercise("long-jump-std")
def long_jump_std(answer: Any) -> str:
    """The standard deviation of logit t at which one draw of 100 of MeanFlow's is a long jump."""
    value = number(answer)
    if value <= 0:
        return "A standard deviation is above 0."
    share = long_jumps(value)
    if abs(share * ONCE_IN - 1) < 0.02:
        return RIGHT
    return f"With that one draw of {1 / share if share else math.inf:,.0f} is a long jump."


@exercise("whole-jump")
def whole_jump(answer: Any) -> str:
    """The share of all draws of a shortcut model with eight steps that jump from noise to data."""
    share = (1 - few_step("shortcut").diagonal_share) * dyadic(8).share[0]
    return near(answer, share, "A quarter of the draws jump, by 1/4, 1/2 or 1 equally often.")
