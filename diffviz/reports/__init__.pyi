from . import measurement
from .measurement import Report, probe, probe_arrays

__all__ = [
    "Report",
    "measurement",
    "probe",
    "probe_arrays",
]
