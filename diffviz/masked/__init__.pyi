from . import (
    bounds,
    cascades,
    entries,
    measurement,
    nearest,
    networks,
    noises,
    objectives,
    rate_laws,
    readings,
    replay,
    schedules,
    session,
    training,
    worlds,
)
from .bounds import Assessment
from .entries import masked_catalogue, masked_objective
from .measurement import MaskedMeasured, probe_masked
from .nearest import closest_masked
from .objectives import MaskedObjective
from .training import MaskedRun, Settings, fit_masked
from .worlds import MarkovWorld

__all__ = [
    "Assessment",
    "MarkovWorld",
    "MaskedMeasured",
    "MaskedObjective",
    "MaskedRun",
    "Settings",
    "bounds",
    "cascades",
    "closest_masked",
    "entries",
    "fit_masked",
    "masked_catalogue",
    "masked_objective",
    "measurement",
    "nearest",
    "networks",
    "noises",
    "objectives",
    "probe_masked",
    "rate_laws",
    "readings",
    "replay",
    "schedules",
    "session",
    "training",
    "worlds",
]
