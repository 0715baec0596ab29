from . import (
    composer,
    elbo,
    few_steps,
    masked,
    noise,
    perception,
    policy,
    prior,
    probe,
    roads,
    sampling,
    schedule,
    search,
    stack,
    training,
    training_views,
    view,
    weighting,
)
from .composer import ComposerExplorer
from .elbo import ElboExplorer
from .few_steps import FewStepExplorer
from .masked import MaskedExplorer
from .noise import NoiseExplorer
from .perception import PerceptionExplorer
from .policy import LearningExplorer, PolicyExplorer
from .prior import PriorExplorer
from .probe import ProbeExplorer
from .roads import ClipExplorer, StepNoiseExplorer
from .sampling import TrajectoryExplorer
from .schedule import ScheduleExplorer
from .search import SearchExplorer
from .stack import StackExplorer
from .training import CapacityExplorer, TrainingDashboard
from .weighting import WeightingExplorer

__all__ = [
    "CapacityExplorer",
    "ClipExplorer",
    "ComposerExplorer",
    "ElboExplorer",
    "FewStepExplorer",
    "LearningExplorer",
    "MaskedExplorer",
    "NoiseExplorer",
    "PerceptionExplorer",
    "PolicyExplorer",
    "PriorExplorer",
    "ProbeExplorer",
    "ScheduleExplorer",
    "SearchExplorer",
    "StackExplorer",
    "StepNoiseExplorer",
    "TrainingDashboard",
    "TrajectoryExplorer",
    "WeightingExplorer",
    "composer",
    "elbo",
    "few_steps",
    "masked",
    "noise",
    "perception",
    "policy",
    "prior",
    "probe",
    "roads",
    "sampling",
    "schedule",
    "search",
    "stack",
    "training",
    "training_views",
    "view",
    "weighting",
]
