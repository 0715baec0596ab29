from . import measurement
from .measurement import Report, probe

__all__ = [
    "Report",
    "measurement",
    "probe",
]
