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
    surface,
    vision,
)
from .experiment import search
from .families import FAMILIES
from .goals import GOALS
from .report import Search
from .settings import Settings
from .surface import Surface

__all__ = [
    "FAMILIES",
    "GOALS",
    "Search",
    "Settings",
    "Surface",
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
    "surface",
    "vision",
]
