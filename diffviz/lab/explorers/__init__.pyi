from . import (
    base,
    composer,
    elbo,
    masked,
    perception,
    policy,
    prior,
    probe,
    sampling,
    schedule,
    training,
    view,
    weighting,
)
from .base import Explorer
from .composer import ComposerExplorer
from .elbo import ElboExplorer
from .masked import MaskedExplorer
from .perception import PerceptionExplorer
from .policy import LearningExplorer, PolicyExplorer
from .prior import PriorExplorer
from .probe import ProbeExplorer
from .sampling import TrajectoryExplorer
from .schedule import ScheduleExplorer
from .training import CapacityExplorer, TrainingDashboard
from .weighting import WeightingExplorer

__all__ = [
    "CapacityExplorer",
    "ComposerExplorer",
    "ElboExplorer",
    "Explorer",
    "LearningExplorer",
    "MaskedExplorer",
    "PerceptionExplorer",
    "PolicyExplorer",
    "PriorExplorer",
    "ProbeExplorer",
    "ScheduleExplorer",
    "TrainingDashboard",
    "TrajectoryExplorer",
    "WeightingExplorer",
    "base",
    "composer",
    "elbo",
    "masked",
    "perception",
    "policy",
    "prior",
    "probe",
    "sampling",
    "schedule",
    "training",
    "view",
    "weighting",
]
