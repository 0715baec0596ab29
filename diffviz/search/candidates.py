"""Candidates: the weightings that a search trains, as objectives.

What is varied is w(λ) alone, on one range of λ. The setting ``law`` says how levels are drawn:

- "same" for all candidates, even in λ. They see the same levels, data and noise, and differ by a
  factor.
- "own" for each, with the density p ∝ w · mmse of Gaussian data, under which the loss is quiet.

A result that holds under one of them only is about how levels are drawn, probably about the noise
of the gradient, and not about weightings.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from diffviz import checks
from diffviz.search import families, goals
from diffviz.search.datasets import split
from diffviz.search.goals import HIGH, LOW
from diffviz.search.settings import Settings
from diffviz.theory.frames import Curve
from diffviz.theory.objectives import Objective, from_weighting

CATALOGUE = ("fm-ot", "edm", "sd3", "iddpm-cosine", "elbo", "sigmoid-bias2")
BINS = 180  # of a law of levels
EVEN_SHARE = 0.1  # of a candidate's own law, so that no level is left out


@dataclass(frozen=True)
class Candidate:
    """A weighting to train.

    Args:
        name: A name that no other candidate has.
        w: The weighting, a function of λ that pickles.

    Raises:
        TypeError: The name is no text, or w is no function.
    """

    name: str
    w: Curve

    def __post_init__(self) -> None:
        checks.require(
            isinstance(self.name, str), f"name must be text, got {self.name!r}", TypeError
        )
        checks.require(callable(self.w), f"w must be a function of λ, got {self.w!r}", TypeError)


def member(settings: Settings, values: ArrayLike, prefix: str = "") -> Candidate:
    """A member of the family that is searched.

    Args:
        settings: They name the family and the data.
        values: One for each parameter, in order.
        prefix: What its name begins with.

    Returns:
        The candidate, named by its values.

    Raises:
        TypeError: Values are masked, complex, text or objects.
        ValueError: A value is not finite, or there are too few or too many.
    """
    family = families.FAMILIES[settings.family]
    values = checks.array(values, "values", ndim=1)
    if len(values) != len(family.box):
        names = ", ".join(name for name, *_ in family.box)
        raise ValueError(f"{settings.family!r} needs values of {names}, got {len(values)}")
    named = zip(family.box, values, strict=True)
    name = " ".join(f"{parameter}={value:.4g}" for (parameter, *_), value in named)
    return Candidate(prefix + name, family.build(settings.data, *values))


def published(settings: Settings) -> list[Candidate]:
    """The weightings that the optimum is compared with.

    Args:
        settings: They name the data and the goal.

    Returns:
        Some of the catalogue, and those that a theory would call best for the goal.
    """
    names = dict.fromkeys([*CATALOGUE, *goals.GOALS[settings.goal].predictions])
    return [Candidate(name, families.published(settings.data, name)) for name in names]


def training_objective(candidate: Candidate, settings: Settings) -> Objective:
    """The objective that trains a candidate, on the range of λ that all share.

    Args:
        candidate: The weighting.
        settings: They name the data and the law of levels.

    Returns:
        The objective, of the candidate's name.
    """
    edges = np.linspace(LOW, HIGH, BINS + 1)
    middles = (edges[1:] + edges[:-1]) / 2
    if settings.law == "own":
        mass = _own_mass(candidate.w, middles, settings.data)
    else:
        mass = np.ones(BINS)
    law = stats.rv_histogram((mass, edges), density=False)()
    return from_weighting(candidate.w, law, candidate.name)


def _own_mass(w: Curve, logsnr: NDArray, data: str) -> NDArray:
    """Mass of bins under p ∝ w · mmse of Gaussian data, with a share that is even in λ."""
    variances = _gaussian_variances(data)
    mmse = (variances / (variances + np.exp(-logsnr)[:, None])).sum(1)
    mass = w(logsnr) * mmse
    return (1 - EVEN_SHARE) * mass / mass.sum() + EVEN_SHARE / len(mass)


@cache
def _gaussian_variances(data: str) -> NDArray:
    """Variances of Gaussian data with the covariance of a data set, shape (d,)."""
    points = split(data, 0).train.flatten(1).numpy()
    return np.linalg.eigvalsh(np.cov(points.T)).clip(0)
