"""Judges of notebook 6: diffusion losses in the place of log p."""

from typing import Any

import numpy as np

from diffviz.lab.exercises.answers import name_of, number
from diffviz.lab.exercises.registry import RIGHT, exercise
from diffviz.lab.experiments.policy import WEIGHTINGS
from diffviz.recipes.entries import CATALOGUE
from diffviz.theory import elbo_mixture


@exercise("gain-one")
def gain_one(answer: Any) -> str:
    """The scale at which flow matching counts a change once."""
    scale = number(answer)
    if not 1e-6 <= scale <= 1e6:
        return "A variance is a number above 0; try between 0.01 and 100."
    gain = elbo_mixture.gain(CATALOGUE["fm-ot"], scale)
    if abs(gain - 1) < 0.01:
        return RIGHT
    return (
        f"There flow matching counts a change {gain:.3g} times; "
        "its gain grows with the square root of c."
    )


@exercise("flat-above")
def flat_above(answer: Any) -> str:
    """The weighting, other than the ELBO, whose gains at c = 10 and c = 1 are most alike."""
    candidates = {name: entry for name, entry in WEIGHTINGS.items() if name != "elbo"}
    name = name_of(answer)
    if name not in candidates:
        return f"One of {', '.join(candidates)}."
    ratios = {
        each: elbo_mixture.gain(entry, 10.0) / elbo_mixture.gain(entry)
        for each, entry in candidates.items()
    }
    if name == min(ratios, key=lambda each: abs(np.log(ratios[each]))):
        return RIGHT
    return (
        f"{name} counts the coarser change {ratios[name]:.2f} times as often; one is closer to 1."
    )


@exercise("dpo-beta")
def dpo_beta(answer: Any) -> str:
    """The β at which DPO under flow matching moves the mean by two standard deviations."""
    beta = number(answer)
    if not beta > 0:
        return "β is a number above 0."
    move = 2 / (beta * elbo_mixture.gain(CATALOGUE["fm-ot"]))
    if abs(move - 2) < 0.02:
        return RIGHT
    return f"With that β the mean moves by {move:.3g}; the loss has a gain at c = 1."
