"""Judges of notebook 0: noise levels, errors and shares."""

from typing import Any

import numpy as np

from diffviz.lab.exercises.answers import entry, near, number
from diffviz.lab.exercises.registry import RIGHT, exercise
from diffviz.recipes.entries import CATALOGUE
from diffviz.theory import analysis

COMPARED = "fm-ot", "edm", "sd3", "elbo"


@exercise("four-to-one")
def four_to_one(answer: Any) -> str:
    """The λ at which the variance of the noise is four times that of the picture."""
    hint = "λ = log(α²/σ²) with the natural logarithm, and here α²/σ² = 1/4."
    if abs(number(answer) - np.log(4)) < 0.01:
        return "The sign: with more noise than picture, λ is below 0."
    return near(answer, -np.log(4), hint)


@exercise("error-of-x")
def error_of_x(answer: Any) -> str:
    """The squared error of x̂ at λ = 4 where that of ε̂ is 0.1."""
    over_eps = number(answer) / 0.1
    if abs(over_eps / np.exp(-4) - 1) < 0.02:
        return RIGHT
    if abs(over_eps / np.exp(-2) - 1) < 0.02:
        return "The errors are squared: the factor is σ²/α², not σ/α."
    if abs(over_eps / np.exp(4) - 1) < 0.02:
        return "The other way round: at λ = 4 there is little noise, and x̂ is better than ε̂."
    return "‖x̂ − x‖² = e^(−λ) ‖ε̂ − ε‖², at λ = 4."


@exercise("most-weight-on-noise")
def most_loss_on_noise(answer: Any) -> str:
    """Which of four objectives has the largest share of its weight below λ = 0."""
    name = entry(answer).name
    if name not in COMPARED:
        return f"Choose one of {', '.join(COMPARED)}."
    shares = {each: analysis.share_below(CATALOGUE[each]) for each in COMPARED}
    if shares[name] == max(shares.values()):
        return RIGHT
    return f"{name} has {shares[name]:.0%} there; another one has more."
