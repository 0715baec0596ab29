"""All exercises, from all notebooks."""

from diffviz.lab.exercises import (  # noqa: F401  each registers its judges
    elbo,
    few_steps,
    formulas,
    masked,
    perception,
    policy,
    prior,
    probing,
    roads,
    sampling,
    schedule,
    search,
    start,
    training,
    weighting,
)
from diffviz.lab.exercises.registry import EXERCISES

__all__ = ["EXERCISES"]
