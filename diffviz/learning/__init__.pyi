from . import (
    adam,
    adaptive,
    batches,
    callbacks,
    checkpoints,
    designs,
    doors,
    files,
    floors,
    identity,
    importance,
    logs,
    models,
    optimiser,
    outputs,
    runs,
    settings,
    spread,
    tracking,
    training,
    validation,
    variance,
    velocity,
)
from .adaptive import RULES, AdaptiveObjective
from .floors.measure import floor
from .floors.record import Floor
from .logs.door import read_log
from .runs import Run
from .settings import Settings
from .tracking import LossByLogSNR
from .training import Diverged, Step, Trainer, fit
from .validation import validation_loss

__all__ = [
    "RULES",
    "AdaptiveObjective",
    "Diverged",
    "Floor",
    "LossByLogSNR",
    "Run",
    "Settings",
    "Step",
    "Trainer",
    "adam",
    "adaptive",
    "batches",
    "callbacks",
    "checkpoints",
    "designs",
    "doors",
    "files",
    "fit",
    "floor",
    "floors",
    "identity",
    "importance",
    "logs",
    "models",
    "optimiser",
    "outputs",
    "read_log",
    "runs",
    "settings",
    "spread",
    "tracking",
    "training",
    "validation",
    "validation_loss",
    "variance",
    "velocity",
]
