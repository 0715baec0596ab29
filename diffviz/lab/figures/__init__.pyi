from . import (
    elbo,
    gallery,
    perception,
    policy,
    popular,
    prior,
    registry,
    sampling,
    schedule,
    search,
    style,
    tracking,
    training,
    weighting,
)
from .gallery import FIGURES, draw, write
from .registry import figure

__all__ = [
    "FIGURES",
    "draw",
    "elbo",
    "figure",
    "gallery",
    "perception",
    "policy",
    "popular",
    "prior",
    "registry",
    "sampling",
    "schedule",
    "search",
    "style",
    "tracking",
    "training",
    "weighting",
    "write",
]
