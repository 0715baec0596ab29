from . import sensitivities, spectra
from .sensitivities import SENSITIVITIES, SPECIES
from .spectra import Implied, Spectrum, image_spectrum, implied, sound_spectrum

__all__ = [
    "SENSITIVITIES",
    "SPECIES",
    "Implied",
    "Spectrum",
    "image_spectrum",
    "implied",
    "sensitivities",
    "sound_spectrum",
    "spectra",
]
