from . import entries, objectives, schedules
from .entries import masked_catalogue, masked_objective
from .objectives import MaskedObjective

__all__ = [
    "MaskedObjective",
    "entries",
    "masked_catalogue",
    "masked_objective",
    "objectives",
    "schedules",
]
