from . import (
    cells,
    columns,
    delimited,
    door,
    events,
    frames,
    levels,
    lines,
    record,
    runs,
    scalars,
    sources,
    table,
    text,
)
from .door import read_log
from .record import LossLog, Reading, Spending

__all__ = [
    "LossLog",
    "Reading",
    "Spending",
    "cells",
    "columns",
    "delimited",
    "door",
    "events",
    "frames",
    "levels",
    "lines",
    "read_log",
    "record",
    "runs",
    "scalars",
    "sources",
    "table",
    "text",
]
