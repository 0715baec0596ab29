from . import exercises, experiments, explorers, figures, losses, slides

__all__ = [
    "exercises",
    "experiments",
    "explorers",
    "figures",
    "losses",
    "slides",
]
