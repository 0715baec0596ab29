from . import kernels, linear, measure, network, own, parts, record, shipped
from .measure import floor
from .record import Excess, Floor, Loss

__all__ = [
    "Excess",
    "Floor",
    "Loss",
    "floor",
    "kernels",
    "linear",
    "measure",
    "network",
    "own",
    "parts",
    "record",
    "shipped",
]
