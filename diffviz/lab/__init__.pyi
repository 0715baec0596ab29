from . import exercises, experiments, explorers, figures, losses

__all__ = [
    "exercises",
    "experiments",
    "explorers",
    "figures",
    "losses",
]
