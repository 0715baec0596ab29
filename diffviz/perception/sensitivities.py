"""How well contrast is seen and sound is heard at each frequency: published formulas with their constants and units.

A contrast sensitivity is 1/(threshold contrast), over cycles per degree of visual angle; ``pixels_per_degree`` ties it to a screen. Past
acuity, near 60 cycles per degree for people, it is below 1 (nothing is visible) and goes on falling. All are thresholds of a grating or
a tone on its own: no masking, colour or eccentricity, and well above threshold contrast looks nearly the same at all frequencies.
A frequency that is not finite and above 0 is a ValueError, as is any size, luminance or distance that is not.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffviz.checks import finite, positive

Curve = Callable[[NDArray], NDArray]


def field_of_view(extent: float, distance: float) -> float:
    """Degrees that ``extent`` fills, seen from ``distance`` (same unit)."""
    return float(
        np.degrees(2 * np.arctan(positive(extent, "extent") / (2 * positive(distance, "distance"))))
    )


def pixels_per_degree(pitch: float, distance: float) -> float:
    """Pixels in a degree straight ahead, ``pitch`` apart and seen from ``distance`` (same unit)."""
    return 1 / field_of_view(pitch, distance)


def _above_zero(frequency: ArrayLike) -> NDArray:
    f = finite(frequency, "frequency")
    if (f <= 0).any():
        raise ValueError(f"frequency must be > 0, got {f.min():g}: one senses change, not the mean")
    return f


def mannos_sakrison(frequency: ArrayLike) -> NDArray:
    """Relative contrast sensitivity, cycles per degree (Mannos & Sakrison 1974, doi 10.1109/TIT.1974.1055250)."""
    f = 0.114 * _above_zero(frequency)
    return 2.6 * (0.0192 + f) * np.exp(-(f**1.1))


def barten_1999(
    frequency: ArrayLike, field: float = 60.0, luminance: float = 20.0, pupil: float = 2.1
) -> NDArray:
    """Contrast sensitivity, cycles per degree; degrees a side, cd/m², mm (Barten 1999, doi 10.1117/3.353254)."""
    u, d = _above_zero(frequency), positive(pupil, "pupil")
    trolands = (
        np.pi / 4 * d**2 * positive(luminance, "luminance") * (1 - (d / 9.7) ** 2 + (d / 12.4) ** 4)
    )
    photons, nerves = 1 / (0.03 * 1.2274e6 * trolands), 3e-8 / -np.expm1(-((u / 7) ** 2))
    per_area = positive(field, "field") ** -2 + 12**-2 + (u / 15) ** 2
    blur = np.exp(-2 * (np.pi * u / 60) ** 2 * (0.5**2 + (0.08 * d) ** 2))
    return blur / 3 / np.sqrt(2 / 0.1 * per_area * (photons + nerves))


def barten_2004(frequency: ArrayLike, field: float = 10.0, luminance: float = 100.0) -> NDArray:
    """Contrast sensitivity, cycles per degree; degrees a side, cd/m² (Barten 2004, doi 10.1117/12.537476)."""
    u, luminance = _above_zero(frequency), positive(luminance, "luminance")
    per_area = 1 + 144 / positive(field, "field") ** 2 + 0.64 * u**2
    noise = 63 / luminance**0.83 - 1 / np.expm1(-0.02 * u**2)
    return 5200 * np.exp(-0.0016 * u**2 * (1 + 100 / luminance) ** 0.08) / np.sqrt(per_area * noise)


def daly(
    frequency: ArrayLike, area: float = 100.0, luminance: float = 100.0, distance: float = 0.5
) -> NDArray:
    """Contrast sensitivity, cycles per degree; degrees², cd/m², m (Daly 1993, doi 10.1117/12.135952; no eccentricity, level)."""
    f = np.stack(
        [
            _above_zero(frequency),
            frequency / np.asarray(0.856 * positive(distance, "distance") ** 0.14),
        ]
    )
    decay = 0.9 * 0.3 * (1 + 100 / positive(luminance, "luminance")) ** 0.15 * f
    size = (
        (1 + (3.23 * (f**2 * positive(area, "area")) ** -0.3) ** 5) ** -0.2
        * 0.801
        * (1 + 0.7 / luminance) ** -0.2
    )
    return 250 * (size * 0.9 * f * np.sqrt(np.exp(-2 * decay) + 0.06 * np.exp(-decay))).min(0)


def movshon_kiorpes(frequency: ArrayLike) -> NDArray:
    """Contrast sensitivity, cycles per degree (Movshon & Kiorpes 1988, JOSA A 5, 2166; constants second-hand)."""
    f = _above_zero(frequency)
    return 75 * f**0.8 * np.exp(-0.2 * f)


def a_weighting(frequency: ArrayLike) -> NDArray:
    """Gain on sound pressure relative to 1 kHz, Hz (A-weighting, IEC 61672-1, annex E); decibels are 20 log10 of it."""
    a, b, c, d = np.square([20.598997, 107.65265, 737.86223, 12194.217])
    gain = lambda f: f**4 / ((f**2 + a) * np.sqrt((f**2 + b) * (f**2 + c)) * (f**2 + d))
    return gain(_above_zero(frequency)) / gain(1000.0)


SENSITIVITIES = {
    f.__name__: f for f in (mannos_sakrison, barten_1999, barten_2004, daly, movshon_kiorpes)
}
# peaks in cycles per degree: De Valois, Morgan & Snodderly 1974 (human and macaque 3–5, of one form); Petry, Fox & Casagrande 1984;
# Campbell, Maffei & Piccolino 1973 (a tenth of the human); Santon, Münch & Michiels 2019; Northmore & Dvorak 1979; Harmening 2017
SPECIES = {
    "human": 4.0,
    "macaque": 4.0,
    "tree shrew": 0.7,
    "cat": 0.4,
    "triplefin": 0.375,
    "goldfish": 0.3,
    "mouse": 0.1,
}


def species(name: str, human: Curve = movshon_kiorpes) -> Curve:
    """A human curve moved as an animal's published peak is from ours, assuming one shape for all; ValueError without a peak."""
    if name not in SPECIES:
        raise ValueError(
            f"no published peak for species {name!r}; SPECIES has {', '.join(SPECIES)}"
        )
    return lambda frequency: human(SPECIES["human"] / SPECIES[name] * np.asarray(frequency))
