from . import (
    elbo,
    few_steps,
    perception,
    policy,
    prior,
    probing,
    sampling,
    schedule,
    training,
    weighting,
)
from .judges import EXERCISES
from .registry import check, exercise

__all__ = [
    "EXERCISES",
    "check",
    "elbo",
    "exercise",
    "few_steps",
    "perception",
    "policy",
    "prior",
    "probing",
    "sampling",
    "schedule",
    "training",
    "weighting",
]
