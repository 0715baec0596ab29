from . import (
    composer,
    elbo,
    perception,
    policy,
    prior,
    probe,
    sampling,
    schedule,
    training,
    training_views,
    view,
    weighting,
)
from .composer import ComposerExplorer
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
    "ComposerExplorer",
    "ElboExplorer",
    "LearningExplorer",
    "PerceptionExplorer",
    "PolicyExplorer",
    "PriorExplorer",
    "ProbeExplorer",
    "ScheduleExplorer",
    "TrainingDashboard",
    "TrajectoryExplorer",
    "WeightingExplorer",
    "composer",
    "elbo",
    "perception",
    "policy",
    "prior",
    "probe",
    "sampling",
    "schedule",
    "training",
    "training_views",
    "view",
    "weighting",
]
