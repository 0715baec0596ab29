from . import command, experiment, families, goals, report, surface
from .experiment import search
from .families import FAMILIES
from .goals import GOALS
from .report import Search
from .surface import Surface

__all__ = [
    "FAMILIES",
    "GOALS",
    "Search",
    "Surface",
    "command",
    "experiment",
    "families",
    "goals",
    "report",
    "search",
    "surface",
]
