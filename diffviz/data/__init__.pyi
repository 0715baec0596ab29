from . import densities, files, signals, streams, toys
from .densities import Checkerboard, Circle, Mixture, Posterior
from .files import load
from .signals import image, samples, sound
from .toys import TOYS, Toy, dataset, mixture, toy

__all__ = [
    "TOYS",
    "Checkerboard",
    "Circle",
    "Mixture",
    "Posterior",
    "Toy",
    "dataset",
    "densities",
    "files",
    "image",
    "load",
    "mixture",
    "samples",
    "signals",
    "sound",
    "streams",
    "toy",
    "toys",
]
