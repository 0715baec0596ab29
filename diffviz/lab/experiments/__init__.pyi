from . import (
    common,
    elbo,
    perception,
    policy,
    popular,
    prior,
    sampling,
    schedule,
    search,
    tracking,
    training,
    weighting,
)

__all__ = [
    "common",
    "elbo",
    "perception",
    "policy",
    "popular",
    "prior",
    "sampling",
    "schedule",
    "search",
    "tracking",
    "training",
    "weighting",
]
