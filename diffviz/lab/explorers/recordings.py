"""What an ear implies on a sound, and what noise at a level of λ leaves of it."""

from functools import lru_cache

import numpy as np

from diffviz.lab.experiments.perception import Recording
from diffviz.lab.explorers.colours import BESIDE, REFERENCE, SUBJECT
from diffviz.perception.sensitivities import a_weighting
from diffviz.perception.spectra import Implied, implied
from diffviz.web.description import State
from diffviz.web.pictures import Chart, Note, Table

HEARD, KNOWN = "heard (A-weighting)", "known at λ"
SOUND, NOISY = "sound", "at λ"
COLOURS = {HEARD: BESIDE, KNOWN: REFERENCE, SOUND: REFERENCE, NOISY: SUBJECT}


@lru_cache(8)
def implied_by_ear(recording: Recording) -> Implied:
    """The weightings that an ear implies on a sound.

    Args:
        recording: The sound.

    Returns:
        The weightings.
    """
    return implied(recording.spectrum, a_weighting, recording.rate)


def band_chart(recording: Recording, level: float) -> Chart:
    """What is heard and what is known of each band.

    Args:
        recording: The sound.
        level: λ in nats.

    Returns:
        The chart over Hz.
    """
    hertz = recording.spectrum.frequency * recording.rate
    heard = a_weighting(hertz)
    return Chart(
        hertz,
        {HEARD: heard / heard.max(), KNOWN: recording.spectrum.captured(level)},
        xlabel="Hz",
        ylabel="share",
        title="bands heard and known",
        xscale="log",
        xlim=(float(hertz[0]), float(hertz[-1])),
        ylim=(0, 1.05),
        colours=COLOURS,
    )


def wave_chart(recording: Recording, level: float) -> Chart:
    """A stretch of the sound, and the same with noise.

    Args:
        recording: The sound.
        level: λ in nats.

    Returns:
        The chart over milliseconds.
    """
    stretch = recording.stretch
    time = 1e3 * np.arange(len(stretch)) / recording.rate
    height = float(np.abs(stretch).max())
    return Chart(
        time,
        {NOISY: recording.noisy(level), SOUND: stretch},
        xlabel="ms",
        ylabel="samples",
        title="its loudest stretch at λ",
        ylim=(-2 * height, 2 * height),
        colours=COLOURS,
        dashes={NOISY: 0, SOUND: 0},
    )


def octave_table(recording: Recording, level: float) -> Table:
    """The share of power that is known at λ in each octave.

    Args:
        recording: The sound.
        level: λ in nats.

    Returns:
        The table.
    """
    octaves = recording.octaves
    known = (f"{recording.known_share(*octave, level):.0%}" for octave in octaves)
    heads = (f"{low:g}–{high:g}" for low, high in octaves)
    return Table(("Hz", *heads), [("known of its power", *known)])


def words(recording: Recording, state: State) -> Note:
    """How long the sound is, and what is left to be heard at λ.

    Args:
        recording: The sound.
        state: A value for each control.

    Returns:
        The note.
    """
    left, most = implied_by_ear(recording).distortion(np.array([state["logsnr"], -20.0]))
    text = (
        f"sound: {recording.seconds:.2f} s at {recording.rate} Hz; "
        f"distortion left to be heard at λ = {state['logsnr']:.1f}: {left / most:.1%}"
    )
    return Note(text.replace("= -", "= −"))
