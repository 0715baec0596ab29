from . import adaptive, models, runs, tracking, training, validation, variance, velocity
from .adaptive import RULES, AdaptiveObjective
from .runs import Run
from .tracking import LossByLogSNR
from .training import Diverged, Step, Trainer, fit
from .validation import validation_loss

__all__ = [
    "RULES",
    "AdaptiveObjective",
    "Diverged",
    "LossByLogSNR",
    "Run",
    "Step",
    "Trainer",
    "adaptive",
    "fit",
    "models",
    "runs",
    "tracking",
    "training",
    "validation",
    "validation_loss",
    "variance",
    "velocity",
]
