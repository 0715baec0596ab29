"""Judges of notebook 9: what eyes imply."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffviz.lab.exercises.answers import number
from diffviz.lab.exercises.functions import judged
from diffviz.lab.exercises.registry import RIGHT, exercise
from diffviz.lab.experiments.perception import seen, slopes, spectrum
from diffviz.perception import sensitivities, spectra
from diffviz.perception.sensitivities import Curve


def log_slope(w: Curve, logsnr: float, step: float = 1e-3) -> float:
    """Slope d ln w/dλ by central differences.

    Args:
        w: A weighting, a function of λ.
        logsnr: λ in nats.
        step: Half of the distance of the two points.

    Returns:
        The slope.
    """
    middle = np.array(logsnr)
    return float(np.log(w(middle + step) / w(middle - step)) / (2 * step))


def shift_of_twice_the_distance() -> float:
    """How far an implied weighting moves in λ when the viewer goes twice as far off.

    Returns:
        The shift in nats, for Barten's eye and images of power 1/f² without an end.
    """
    f = np.geomspace(1e-7, 1e12, 4001)
    endless = spectra.Spectrum(f, f[None] ** -2.0, f**2)
    near, far = (
        spectra.implied(endless, sensitivities.barten_2004, rate).rate_distortion
        for rate in (30, 60)
    )
    level, grid = -12.0, np.linspace(-8, 8, 3201)
    slope = np.gradient(np.log(far(level + grid)), grid)
    return float(grid[abs(slope - log_slope(near, level)).argmin()])


@exercise("twice-as-far")
def twice_as_far(answer: Any) -> str:
    """How far the implied weighting moves when the viewer goes twice as far off."""
    value, truth = number(answer), shift_of_twice_the_distance()
    if abs(value - truth) < 0.03:
        return RIGHT
    if abs(value + truth) < 0.03:
        return (
            "The other way: from farther off, a cycle per degree is a coarser structure of the "
            "picture, which drowns at a lower λ."
        )
    return (
        "The eye's peak moves to half the cycles per image, an octave down; "
        "an octave of f^−β is β ln 2 in λ."
    )


@exercise("eight-cycles")
def eight_cycles(answer: Any) -> str:
    """The λ at which half of the power at 8 cycles per image is known."""
    photographs = spectrum()
    captured = photographs.captured(number(answer))
    known = float(np.interp(8 / 256, photographs.frequency, captured))
    if abs(known - 0.5) < 0.02:
        return RIGHT
    return f"At that λ {known:.0%} of the power at 8 cycles is known; half is −ln S there."


@exercise("as-steep-as-fm")
def as_steep_as_fm(answer: Any) -> str:
    """Pixels per degree at which Movshon and Kiorpes' eye weights as steeply as flow matching."""
    rate = number(answer)
    if not 1 <= rate <= 200:
        return (
            "Pixels per degree: a monitor has about 10 from 14 cm, 42 from 60 cm, 100 from 143 cm."
        )
    slope = slopes(seen("movshon_kiorpes", rate).rate_distortion)[1]
    if abs(slope + 0.5) < 0.01:
        return RIGHT
    text = f"There the slope from −4 to 2 is {slope:.2f}; from farther off it is steeper."
    return text.replace("-", "−")


@exercise("leans-neither-way")
def leans_neither_way(answer: Any) -> str:
    """Pixels per degree at which the projection of Barten's eye counts both ends of λ alike."""
    rate = number(answer)
    if not 1 <= rate <= 200:
        return "Pixels per degree: try between 10 and 100."
    projection = seen("barten_2004", rate).projection
    noise, data = (float(projection(np.array(level))) for level in (-10.0, 10.0))
    if abs(np.log(noise / data)) < 0.03:
        return RIGHT
    way = "nearer" if noise > data else "farther off"
    return f"There λ = −10 counts {noise / data:.2f} times as much as λ = 10. Go {way}."


def _remaining(power: NDArray, logsnr: float) -> NDArray:
    """Variance of each coefficient that z leaves open, S/(1 + S e^λ)."""
    return power / (1 + power * np.exp(logsnr))


def _removed_per_nat(power: NDArray, visible: NDArray, logsnr: float) -> NDArray:
    """2 Σ q v²/Σ v."""
    v = _remaining(power, logsnr)
    return np.array(2 * (visible * v**2).sum() / v.sum())


@exercise("removed-per-nat")
def removed_per_nat(answer: Any) -> str:
    """The rate–distortion weighting at one λ, from the powers and squared sensitivities."""
    rng = np.random.default_rng(7)
    cases = [
        (rng.uniform(0.1, 5, 12), rng.uniform(0.1, 2, 12), float(level))
        for level in rng.uniform(-4, 4, 4)
    ]

    def average(values: Any) -> Any:
        def weighted(power: NDArray, visible: NDArray, logsnr: float) -> NDArray:
            v = _remaining(power, logsnr)
            return np.array(values(visible, v) / v.sum())

        return weighted

    mistakes = {
        "That is the projection. The distortion falls by q v² e^λ, so v has to be squared.": (
            average(lambda q, v: (q * v).sum())
        ),
        "That is twice the projection: v has to be squared in the sum above.": (
            average(lambda q, v: 2 * (q * v).sum())
        ),
        "Divide by the sum of v, which is what a nat costs; you divided by that of v².": (
            average(lambda q, v: 2 * (q * v**2).sum() * v.sum() / (v**2).sum())
        ),
        "The sensitivity is missing: weight each coefficient by q.": (
            average(lambda q, v: 2 * (v**2).sum())
        ),
        "The sensitivities that come in are squared already.": (
            average(lambda q, v: 2 * (q**2 * v**2).sum())
        ),
        "The sign of λ: noise has the power e^(−λ), so v = S/(1 + S e^λ).": (
            lambda power, visible, logsnr: _removed_per_nat(power, visible, -logsnr)
        ),
    }
    hint = "With v = S/(1 + S e^λ) it is 2 Σ q v²/Σ v."
    return judged(answer, _removed_per_nat, cases, mistakes, hint)
