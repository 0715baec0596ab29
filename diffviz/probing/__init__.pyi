from . import draws, measure, measured, reading, session, standin
from .measured import Measured

__all__ = [
    "Measured",
    "draws",
    "measure",
    "measured",
    "reading",
    "session",
    "standin",
]
