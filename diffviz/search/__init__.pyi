from . import (
    candidates,
    command,
    datasets,
    design,
    experiment,
    families,
    goals,
    measurement,
    report,
    results,
    settings,
    smooth,
    surface,
    tasks,
    vision,
)
from .experiment import Stopped, search
from .families import FAMILIES
from .goals import GOALS, add_goal
from .report import Search
from .settings import Settings
from .smooth import SmoothSurface
from .surface import Surface

__all__ = [
    "FAMILIES",
    "GOALS",
    "Search",
    "Settings",
    "SmoothSurface",
    "Stopped",
    "Surface",
    "add_goal",
    "candidates",
    "command",
    "datasets",
    "design",
    "experiment",
    "families",
    "goals",
    "measurement",
    "report",
    "results",
    "search",
    "settings",
    "smooth",
    "surface",
    "tasks",
    "vision",
]
