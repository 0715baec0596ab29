from . import (
    base,
    elbo,
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
from .elbo import ElboExplorer
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
    "ElboExplorer",
    "Explorer",
    "LearningExplorer",
    "PerceptionExplorer",
    "PolicyExplorer",
    "PriorExplorer",
    "ProbeExplorer",
    "ScheduleExplorer",
    "TrainingDashboard",
    "TrajectoryExplorer",
    "WeightingExplorer",
    "base",
    "elbo",
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
