from . import maps, objectives, pairs, training
from .maps import FlowMap, exact_map
from .objectives import FewStep, few_step, few_step_catalogue
from .training import train, train_seeds

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
    "train_seeds",
    "training",
]
