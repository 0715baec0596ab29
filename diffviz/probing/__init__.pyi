from . import (
    binning,
    coefficients,
    draws,
    first_look,
    measure,
    measured,
    notes,
    quantiles,
    reading,
    session,
    standin,
    target_kind,
)
from .measured import Measured

__all__ = [
    "Measured",
    "binning",
    "coefficients",
    "draws",
    "first_look",
    "measure",
    "measured",
    "notes",
    "quantiles",
    "reading",
    "session",
    "standin",
    "target_kind",
]
