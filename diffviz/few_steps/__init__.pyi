from . import maps, objectives, pairs, training
from .maps import FlowMap, exact_map
from .objectives import FewStep, few_step, few_step_catalogue
from .training import train

__all__ = [
    "FewStep",
    "FlowMap",
    "exact_map",
    "few_step",
    "few_step_catalogue",
    "maps",
    "objectives",
    "pairs",
    "train",
    "training",
]
