"""How well contrast is seen and sound is heard at each frequency.

The formulas are published ones, with their constants and units. A contrast sensitivity is
1/(threshold contrast) over cycles per degree of visual angle; ``pixels_per_degree`` ties it to a
screen. Past acuity, near 60 cycles per degree for people, it is below 1 (nothing is visible) and
goes on falling.

All are thresholds of a grating or a tone on its own. They know nothing of masking, colour or
eccentricity. Well above the threshold, contrast looks nearly the same at all frequencies.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffviz.checks import brief, finite, number, positive, require

Curve = Callable[[NDArray], NDArray]

FIELDS = (1e-6, 360.0)  # degrees that a picture may fill
PUPILS = (0.1, 20.0)  # mm


# --- viewing geometry -----------------------------------------------------------------------------


def field_of_view(extent: float, distance: float) -> float:
    """Degrees that something fills, seen straight ahead.

    Args:
        extent: Its width.
        distance: Distance of the eye, in the same unit.

    Returns:
        The angle in degrees.

    Raises:
        ValueError: An argument is not a finite number above 0.
    """
    half = positive(extent, "extent") / (2 * positive(distance, "distance"))
    return float(np.degrees(2 * np.arctan(half)))


def pixels_per_degree(pitch: float, distance: float) -> float:
    """Pixels in a degree straight ahead.

    Args:
        pitch: Distance between neighbouring pixels.
        distance: Distance of the eye, in the same unit.

    Returns:
        Pixels per degree.

    Raises:
        ValueError: An argument is not a finite number above 0.
    """
    angle = field_of_view(pitch, distance)
    require(angle > 0, f"a pitch of {pitch} is too small to be seen from a distance of {distance}")
    return 1 / angle


def checked_frequency(frequency: ArrayLike) -> NDArray:
    """Frequencies that a caller passed, as float64.

    Args:
        frequency: Frequencies, any shape.

    Returns:
        The frequencies, same shape.

    Raises:
        TypeError: A frequency is no real number.
        ValueError: A frequency is not finite and above 0.
    """
    f = finite(frequency, "frequency")
    if (f <= 0).any():
        raise ValueError(f"frequency must be > 0, got {f.min():g}: one senses change, not the mean")
    return f


# --- contrast sensitivities -----------------------------------------------------------------------


def mannos_sakrison(frequency: ArrayLike) -> NDArray:
    """Relative contrast sensitivity of Mannos and Sakrison.

    Source: Mannos and Sakrison 1974 (doi 10.1109/TIT.1974.1055250).

    Args:
        frequency: Cycles per degree, any shape.

    Returns:
        The sensitivity, near 1 at its peak, same shape.

    Raises:
        TypeError: A frequency is no real number.
        ValueError: A frequency is not finite and above 0.
    """
    f = 0.114 * checked_frequency(frequency)
    return 2.6 * (0.0192 + f) * np.exp(-(f**1.1))


def barten_1999(
    frequency: ArrayLike, field: float = 60.0, luminance: float = 20.0, pupil: float = 2.1
) -> NDArray:
    """Contrast sensitivity of Barten, with the optics of the eye.

    Source: Barten 1999 (doi 10.1117/3.353254).

    Args:
        frequency: Cycles per degree, any shape.
        field: Side of the picture, from 1e-6 to 360 degrees.
        luminance: Luminance in cd/m².
        pupil: Diameter of the pupil, from 0.1 to 20 mm.

    Returns:
        The sensitivity, same shape.

    Raises:
        TypeError: A frequency is no real number.
        ValueError: An argument is not finite and above 0, or field or pupil is out of range.
    """
    u = checked_frequency(frequency)
    d = number(positive(pupil, "pupil"), "pupil", *PUPILS)
    light = np.pi / 4 * d**2 * positive(luminance, "luminance")
    trolands = light * (1 - (d / 9.7) ** 2 + (d / 12.4) ** 4)
    photon_noise = 1 / (0.03 * 1.2274e6 * trolands)
    neural_noise = 3e-8 / -np.expm1(-((u / 7) ** 2))
    per_area = number(positive(field, "field"), "field", *FIELDS) ** -2 + 12**-2 + (u / 15) ** 2
    blur = np.exp(-2 * (np.pi * u / 60) ** 2 * (0.5**2 + (0.08 * d) ** 2))
    return blur / 3 / np.sqrt(2 / 0.1 * per_area * (photon_noise + neural_noise))


def barten_2004(frequency: ArrayLike, field: float = 10.0, luminance: float = 100.0) -> NDArray:
    """Contrast sensitivity of Barten, the shorter formula.

    Source: Barten 2004 (doi 10.1117/12.537476).

    Args:
        frequency: Cycles per degree, any shape.
        field: Side of the picture, from 1e-6 to 360 degrees.
        luminance: Luminance in cd/m².

    Returns:
        The sensitivity, same shape.

    Raises:
        TypeError: A frequency is no real number.
        ValueError: An argument is not finite and above 0, or field is out of range.
    """
    u = checked_frequency(frequency)
    luminance = positive(luminance, "luminance")
    per_area = 1 + 144 / number(positive(field, "field"), "field", *FIELDS) ** 2 + 0.64 * u**2
    noise = 63 / luminance**0.83 - 1 / np.expm1(-0.02 * u**2)
    optics = np.exp(-0.0016 * u**2 * (1 + 100 / luminance) ** 0.08)
    return 5200 * optics / np.sqrt(per_area * noise)


def _daly_curve(frequency: NDArray, area: float, luminance: float) -> NDArray:
    """Daly's sensitivity before the distance enters."""
    decay = 0.9 * 0.3 * (1 + 100 / luminance) ** 0.15 * frequency
    size = (1 + (3.23 * (frequency**2 * area) ** -0.3) ** 5) ** -0.2
    amplitude = size * 0.801 * (1 + 0.7 / luminance) ** -0.2
    shape = np.sqrt(np.exp(-2 * decay) + 0.06 * np.exp(-decay))
    return 250 * (amplitude * 0.9 * frequency * shape)


def daly(
    frequency: ArrayLike, area: float = 100.0, luminance: float = 100.0, distance: float = 0.5
) -> NDArray:
    """Contrast sensitivity of Daly, without eccentricity and on the level.

    Source: Daly 1993 (doi 10.1117/12.135952).

    Args:
        frequency: Cycles per degree, any shape.
        area: Area of the picture in square degrees.
        luminance: Luminance in cd/m².
        distance: Distance of the eye in m.

    Returns:
        The sensitivity, same shape.

    Raises:
        TypeError: A frequency is no real number.
        ValueError: An argument is not finite and above 0.
    """
    f = checked_frequency(frequency)
    area = positive(area, "area")
    luminance = positive(luminance, "luminance")
    accommodation = 0.856 * positive(distance, "distance") ** 0.14
    as_it_is = _daly_curve(f, area, luminance)
    accommodated = _daly_curve(f / accommodation, area, luminance)
    return np.minimum(as_it_is, accommodated)


def movshon_kiorpes(frequency: ArrayLike) -> NDArray:
    """Contrast sensitivity of Movshon and Kiorpes.

    Source: Movshon and Kiorpes 1988, JOSA A 5, 2166. The constants are second-hand.

    Args:
        frequency: Cycles per degree, any shape.

    Returns:
        The sensitivity, same shape.

    Raises:
        TypeError: A frequency is no real number.
        ValueError: A frequency is not finite and above 0.
    """
    f = checked_frequency(frequency)
    return 75 * f**0.8 * np.exp(-0.2 * f)


SENSITIVITIES = {
    "mannos_sakrison": mannos_sakrison,
    "barten_1999": barten_1999,
    "barten_2004": barten_2004,
    "daly": daly,
    "movshon_kiorpes": movshon_kiorpes,
}


# --- hearing --------------------------------------------------------------------------------------


def _a_response(f: NDArray | float) -> NDArray:
    """Gain of the A-weighting up to a constant, from its six poles in Hz."""
    lowest, low, high, highest = (20.598997, 107.65265, 737.86223, 12194.217)
    rise = (f / np.hypot(f, lowest)) ** 2 * (f / np.hypot(f, low)) * (f / np.hypot(f, high))
    return rise * (highest / np.hypot(f, highest)) ** 2


def a_weighting(frequency: ArrayLike) -> NDArray:
    """Gain on sound pressure relative to 1 kHz; decibels are 20 log10 of it.

    Source: A-weighting, IEC 61672-1, annex E.

    Args:
        frequency: Hz, any shape.

    Returns:
        The gain, same shape.

    Raises:
        TypeError: A frequency is no real number.
        ValueError: A frequency is not finite and above 0.
    """
    return _a_response(checked_frequency(frequency)) / _a_response(1000.0)


# --- other animals --------------------------------------------------------------------------------

# Frequency of the highest contrast sensitivity, in cycles per degree.
SPECIES = {
    "human": 4.0,  # De Valois, Morgan and Snodderly 1974: people and macaques 3 to 5, of one form
    "macaque": 4.0,
    "tree shrew": 0.7,  # Petry, Fox and Casagrande 1984
    "cat": 0.4,  # Campbell, Maffei and Piccolino 1973: a tenth of the human one
    "triplefin": 0.375,  # Santon, Münch and Michiels 2019
    "goldfish": 0.3,  # Northmore and Dvorak 1979
    "mouse": 0.1,  # Harmening 2017
}


@dataclass(frozen=True)
class MovedCurve:
    """A sensitivity whose frequencies are scaled.

    Args:
        curve: The sensitivity before, a function of the frequency.
        factor: Frequency before over that after.
    """

    curve: Curve
    factor: float

    def __call__(self, frequency: ArrayLike) -> NDArray:
        """The sensitivity, of the shape of the frequency."""
        return self.curve(self.factor * checked_frequency(frequency))


def species(name: str, human: Curve = movshon_kiorpes) -> MovedCurve:
    """A human curve, moved as the published peak of an animal is from ours.

    It assumes that all species share one shape.

    Args:
        name: An animal of ``SPECIES``.
        human: The human sensitivity, a function of cycles per degree.

    Returns:
        The sensitivity of the animal, a function of cycles per degree.

    Raises:
        TypeError: ``human`` is no function.
        ValueError: There is no published peak for the animal.
    """
    if not isinstance(name, str) or name not in SPECIES:
        raise ValueError(
            f"no published peak for species {brief(name)}; SPECIES has {', '.join(SPECIES)}"
        )
    require(callable(human), f"human must be a function of frequency, got {human!r}", TypeError)
    return MovedCurve(human, SPECIES["human"] / SPECIES[name])
