"""Formulas of objectives, typeset. None is printed that has not been compared with the numbers.

A part of an objective is known as a function. Of the candidates here, the first that equals it at
``LEVELS`` up to a constant is its formula. Parameters come from the parts themselves.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Any

import numpy as np
import sympy
from numpy.typing import NDArray
from scipy import stats

from diffviz.theory.objectives import Objective

LEVELS = np.linspace(-6.0, 6.0, 25) + 0.0137  # off the kinks
CLOSE = 1e-8  # largest relative departure
DIGITS = 4  # of a parameter

L = sympy.Symbol("lambda", real=True)
VALUES: dict[sympy.Symbol, float] = {}  # of the symbols that stand for parameters
SNR = sympy.exp(L)
NSR = sympy.exp(-L)
HALF = sympy.exp(-L / 2)
DEPTH = sympy.log(1 + NSR)  # integral of the rate of a VP path


@dataclass(frozen=True)
class Formulas:
    """The formulas of an objective in LaTeX; empty where none is known.

    Args:
        weighting: w(λ) on the squared eps error, up to a constant.
        density: p(λ).
        gain: Squared gain of the target.
        multiplier: c(λ).
    """

    weighting: str
    density: str
    gain: str
    multiplier: str


def formulas(objective: Objective) -> Formulas:
    """The formulas of an objective.

    Args:
        objective: The objective.

    Returns:
        What is known.
    """
    density = _first(objective.law.pdf, densities(objective))
    gain = _first(lambda level: objective.target.gain(level, objective.path) ** 2, gains(objective))
    multiplier = _first(objective.multiplier, multipliers(objective))
    whole = _first(objective.weighting, weightings(objective))
    parts = (multiplier, gain, density)
    if whole is None and all(part is not None for part in parts):
        whole = sympy.Mul(*parts, evaluate=True)
    return Formulas(*map(_typeset, (whole, density, gain, multiplier)))


def _typeset(expression: sympy.Expr | None) -> str:
    """LaTeX of an expression."""
    if expression is None:
        return ""
    text = sympy.latex(expression, mul_symbol=r"\,")
    return text.replace(r"\operatorname{sech}", r"\mathrm{sech}")


class Normal(sympy.Function):
    """The density of a normal law, of λ, its mean and its standard deviation."""

    def _latex(self, printer: Any) -> str:
        level, mean, std = map(printer.doprint, self.args)
        return rf"\mathcal{{N}}({level};\, {mean},\, {std}^2)"


def number(value: float) -> sympy.Expr:
    """A parameter: a whole number as such, another as a symbol that is its digits."""
    if float(value) == round(value):
        return sympy.Integer(round(value))
    if value < 0:
        return -number(-value)
    symbol = sympy.Symbol(f"{value:.{DIGITS}g}", positive=True)
    VALUES[symbol] = float(value)
    return symbol


@cache
def _function(expression: sympy.Expr) -> Callable[[NDArray], NDArray]:
    """An expression as a function of arrays."""
    parameters = [symbol for symbol in expression.free_symbols if symbol != L]
    values = {symbol: VALUES[symbol] for symbol in parameters}
    known = [{"sech": _sech, "Normal": stats.norm.pdf}, "numpy"]
    return sympy.lambdify(L, expression.subs(values), known)


def _sech(x: NDArray) -> NDArray:
    """1/cosh."""
    return 1 / np.cosh(x)


def _first(curve: Callable[[NDArray], Any], candidates: Iterable[sympy.Expr]) -> sympy.Expr | None:
    """The first candidate that equals a curve up to a constant."""
    with np.errstate(all="ignore"):
        values = np.asarray(curve(LEVELS), dtype=float)
        known = np.isfinite(values) & (values > 0)
        if known.sum() < 5:
            return None
        for candidate in candidates:
            guess = np.broadcast_to(_function(candidate)(LEVELS), LEVELS.shape)
            ratio = values[known] / guess[known]
            middle = np.median(ratio)
            if np.allclose(ratio, middle, rtol=CLOSE, atol=0):
                return candidate
    return None


# --- candidates -----------------------------------------------------------------------------------


def densities(objective: Objective) -> Iterable[sympy.Expr]:
    """Candidates of p(λ)."""
    law = objective.law
    _, place, scale = law.dist._parse_args(*law.args, **law.kwds)
    at, width = number(place), number(scale)
    z = (L - at) / width
    forms = {
        "hypsecant": sympy.sech(z),
        "norm": Normal(L, at, width),
        "logistic": sympy.sech(z / 2) ** 2,
        "laplace": sympy.exp(-sympy.Abs(z)),
        "cauchy": 1 / (1 + z**2),
        "uniform": sympy.Integer(1),
    }
    if law.dist.name in forms:
        yield forms[law.dist.name]
    yield from (sympy.sech(L / 2), sympy.sech(L / 4) ** 2)
    yield from (_linear_rate(), _scaled_linear_rate(), _offset_cosine())
    for shift in (2.0, 3.0, 4.0):
        move = number(2 * np.log(shift))
        yield from (sympy.sech((L + move) / 2), sympy.sech((L + move) / 4) ** 2)


def _linear_rate(low: float = 0.1, high: float = 20.0) -> sympy.Expr:
    """Density of λ under uniform time on the VP path with a rate that rises linearly."""
    rate = sympy.sqrt(number(low) ** 2 + number(2 * (high - low)) * DEPTH)
    return 1 / ((1 + SNR) * rate)


def _scaled_linear_rate(low: float = 0.00085, high: float = 0.012) -> sympy.Expr:
    """The same where the root of the rate rises linearly, over 1,000 steps."""
    first, last = np.sqrt(1000 * low), np.sqrt(1000 * high)
    cube = number(first**3) + number(3 * (last - first)) * DEPTH
    return 1 / ((1 + SNR) * cube ** sympy.Rational(2, 3))


def _offset_cosine(offset: float = 0.008) -> sympy.Expr:
    """The same on the cosine path with an offset, divided by its first value."""
    first = number(float(np.cos(np.pi / 2 * offset / (1 + offset)) ** 2))
    signal = 1 / (1 + NSR)
    return sympy.sqrt(signal) / (1 + SNR) / sympy.sqrt(1 - first * signal)


def gains(objective: Objective) -> Iterable[sympy.Expr]:
    """Candidates of the squared gain."""
    yield sympy.Integer(1)
    yield NSR
    yield SNR
    yield 1 + SNR
    yield 1 + NSR
    yield (1 + HALF) ** 2
    for sigma_data in _settings(objective.target, "sigma_data"):
        yield (NSR + number(sigma_data) ** 2) / number(sigma_data) ** 2
    yield NSR + number(0.25)


def multipliers(objective: Objective) -> Iterable[sympy.Expr]:
    """Candidates of c(λ)."""
    yield sympy.Integer(1)
    yield SNR
    yield NSR
    yield sympy.Max(SNR, 1)
    yield 1 + SNR
    yield 1 / (1 + SNR)
    yield 1 / (1 + NSR)
    yield HALF
    yield (1 + sympy.exp(L / 2)) ** 2
    for gamma in (*_settings(objective.multiplier, "gamma"), 5.0):
        clipped = sympy.Min(SNR, number(gamma))
        yield from (
            clipped,
            clipped / SNR,
            clipped / (SNR + 1),
            number(gamma) / (SNR + number(gamma)),
        )
        for k in _settings(objective.multiplier, "k"):
            yield (number(k) + SNR) ** -number(gamma)
    for sigma_data in _settings(objective.multiplier, "sigma_data"):
        yield SNR + 1 / number(sigma_data) ** 2
    density = _first(objective.law.pdf, densities(objective))
    if density is not None:
        yield 1 / density
        for bias in _settings(objective.multiplier, "bias"):
            yield 1 / (1 + sympy.exp(number(bias) - L)) / density


def weightings(objective: Objective) -> Iterable[sympy.Expr]:
    """Candidates of w(λ), the simplest first."""
    yield sympy.Integer(1)
    yield HALF
    yield NSR
    yield sympy.sech(L / 2)
    yield sympy.sech(L / 4) ** 2
    yield NSR * sympy.sech(L / 4) ** 2
    stated = objective.stated
    for mean, std in zip(_settings(stated, "mean"), _settings(stated, "std"), strict=True):
        for shift in (*_settings(stated, "shift"), 1.0):
            centre = number(-2 * mean - 2 * np.log(shift))
            yield Normal(L, centre, number(2 * std)) * (1 + HALF) ** 2
        for sigma_data in _settings(stated, "sigma_data"):
            yield Normal(L, number(-2 * mean), number(2 * std)) * (NSR + number(sigma_data**2))
    yield Normal(L, number(2.4), number(2.4)) * (NSR + number(0.25))
    for bias in _settings(stated, "bias"):
        yield 1 / (1 + sympy.exp(L - number(bias)))
    for gamma in _settings(stated, "gamma"):
        yield sympy.sech(L / 2) * sympy.Min(1, number(gamma) * NSR)
        yield sympy.sech(L / 2) * number(gamma) / (SNR + number(gamma))
        for k in _settings(stated, "k"):
            yield sympy.sech(L / 2) * (number(k) + SNR) ** -number(gamma)


def _settings(part: Any, name: str) -> Iterable[float]:
    """The value of a field of a part, and of the functions that it is made of."""
    if not is_dataclass(part) or isinstance(part, type):
        return
    for field in fields(part):
        value = getattr(part, field.name)
        if field.name == name:
            yield value
        elif is_dataclass(value):
            yield from _settings(value, name)
