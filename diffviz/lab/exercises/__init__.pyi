from . import (
    elbo,
    formulas,
    functions,
    perception,
    policy,
    predictions,
    prior,
    probing,
    questions,
    sampling,
    schedule,
    start,
    training,
    weighting,
)
from .judges import EXERCISES
from .predictions import PREDICTIONS, Question, guesses, predict
from .registry import check, exercise

__all__ = [
    "EXERCISES",
    "PREDICTIONS",
    "Question",
    "check",
    "elbo",
    "exercise",
    "formulas",
    "functions",
    "guesses",
    "perception",
    "policy",
    "predict",
    "predictions",
    "prior",
    "probing",
    "questions",
    "sampling",
    "schedule",
    "start",
    "training",
    "weighting",
]
