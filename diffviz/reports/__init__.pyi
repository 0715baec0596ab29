from . import card, measurement, page, pictures
from .card import Card
from .measurement import Report, probe, probe_arrays
from .page import Page, report

__all__ = [
    "Card",
    "Page",
    "Report",
    "card",
    "measurement",
    "page",
    "pictures",
    "probe",
    "probe_arrays",
    "report",
]
