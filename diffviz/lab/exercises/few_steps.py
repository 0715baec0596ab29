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


DIFFERENCE = 1e-4  # half of the way of a central difference
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


def _along(
    u: Average,
    z: NDArray,
    r: float,
    t: float,
    *,
    z_rate: NDArray | float,
    rates: tuple[float, float],
) -> NDArray:
    """The derivative of u as z, r and t move at some rates, by a central difference."""
    r_rate, t_rate = rates
    after, before = (
        u(z + h * z_rate, r + h * r_rate, t + h * t_rate) for h in (DIFFERENCE, -DIFFERENCE)
    )
    return (after - before) / (2 * DIFFERENCE)


def _meanflow_error(
    sign: float = 1.0, rates: tuple[float, float] = (0.0, 1.0), moves: bool = True
) -> Callable[..., NDArray]:
    """The error of MeanFlow, or one in which something is wrong.

    Args:
        sign: Of the correction; 1 is right.
        rates: At which r and t move; r stays, and t moves at the rate 1.
        moves: Whether the state moves at the rate v; else it stays.
    """

    def error(u: Average, z: NDArray, v: NDArray, r: float, t: float) -> NDArray:
        u_dot = _along(u, z, r, t, z_rate=v if moves else 0.0, rates=rates)
        return u(z, r, t) - (v - sign * (t - r) * u_dot)

    return error


@exercise("meanflow-error")
def meanflow_error(answer: Any) -> str:
    """What MeanFlow squares off the diagonal, from the network and the velocity of the pair."""
    rng = np.random.default_rng(12)
    cases = [
        (_some_average(rng), *rng.standard_normal((2, 6)), *np.sort(rng.uniform(0, 1, 2)).tolist())
        for _ in range(4)
    ]
    right = _meanflow_error()
    mistakes = {
        "The state has to move too, at the rate v.": _meanflow_error(moves=False),
        "The time t has to move too, at the rate 1.": _meanflow_error(rates=(0.0, 0.0)),
        "The time r stays where it is.": _meanflow_error(rates=(1.0, 1.0)),
        "The sign: the target is v − (t − r) u̇.": _meanflow_error(sign=-1.0),
        "The length is missing: the target is v − (t − r) u̇.": (
            lambda u, z, v, r, t: u(z, r, t) - v + _along(u, z, r, t, z_rate=v, rates=(0.0, 1.0))
        ),
        "That is the target less the network. The error is the network less the target.": (
            lambda *case: -right(*case)
        ),
        "That is the target. The error is the network less the target.": (
            lambda u, z, v, r, t: u(z, r, t) - right(u, z, v, r, t)
        ),
    }
    hint = "The target is v − (t − r) u̇, and u̇ follows z at the rate v and t at the rate 1."
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
