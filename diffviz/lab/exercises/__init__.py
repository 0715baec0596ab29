"""Exercises of the notebooks: ``check(name, answer)`` says whether an answer is right.

``registry`` holds the exercises and checks answers, and ``answers`` reads them. Each other file has
the judges of one notebook. A judge computes the truth; no solution is typed in here.
"""

from diffviz.lab.exercises import (  # each registers its judges
    elbo,
    perception,
    policy,
    prior,
    probing,
    sampling,
    schedule,
    training,
    weighting,
)
from diffviz.lab.exercises.registry import EXERCISES, check, exercise

__all__ = [
    "EXERCISES",
    "check",
    "elbo",
    "exercise",
    "perception",
    "policy",
    "prior",
    "probing",
    "sampling",
    "schedule",
    "training",
    "weighting",
]
