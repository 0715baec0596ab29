"""The explorer of perception: what an eye at a distance implies, and what noise leaves visible."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path as File
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffviz import checks, plots
from diffviz.data import signals
from diffviz.lab.experiments import perception as perception_experiments
from diffviz.lab.experiments.perception import Album, Photograph, Recording
from diffviz.lab.explorers import recordings
from diffviz.lab.explorers.colours import BESIDE, REFERENCE
from diffviz.lab.explorers.controls import require_option
from diffviz.lab.explorers.view import Changed, ViewExplorer
from diffviz.lab.explorers.weighting import LOGARITHMIC, SHORT_LOGSNR, entry_chips
from diffviz.lab.figures import perception as perception_figures
from diffviz.perception.sensitivities import SENSITIVITIES, SPECIES
from diffviz.perception.sensitivities import species as eye_of
from diffviz.perception.spectra import Implied, implied
from diffviz.recipes.entries import CATALOGUE
from diffviz.web.description import Chips, Control, Description, Menu, Slider, State, Switch, Upload
from diffviz.web.pictures import Chart, Images, Note, Table, View, as_bytes

SENSITIVITY_NAMES = {label: name for name, label in perception_experiments.NAMES.items()}
START_BESIDE = ("elbo", "fm-ot")  # more would not fit on a telephone
MOST_BESIDE = 5
RATE_DISTORTION, PROJECTION = "rate–distortion", "projection of ε"
PROJECTION_OF_X = "projection of x"
ALL = "all eight"  # photographs, as one of the pictures
ALL_COLUMNS = 3  # of the small pictures of these
SEEN, KNOWN, HALF = "seen / its peak", "known share", "one half"
LEVEL = "λ"
COLOURS = {SEEN: BESIDE, KNOWN: REFERENCE, HALF: REFERENCE}
WIDTHS = 1.3, 1.0, 0.9  # of the columns
REACH_OF_PEOPLE, REACH_OF_ANIMALS = (-6.0, 5.0), (-7.0, 7.0)  # of log10 w, at any distance
OF_PEOPLE = "human", "macaque"  # two names of one form
SOUNDS = (".wav", ".wave")  # endings of files that are read as sounds
BRIGHTEST = 1.6  # value of z that is drawn white; that of x is 1


def perception_controls(
    pictures: tuple[str, ...], sounds: tuple[str, ...] = ()
) -> tuple[Control, ...]:
    """The controls of the explorer.

    Args:
        pictures: Names of the pictures.
        sounds: Names of the sounds.

    Returns:
        What is looked at or heard, by whom and from where, and how much noise there is.
    """
    seen = {"image": pictures}
    return (
        Menu("image", "picture", (*pictures, *sounds), "camera"),
        Upload(
            "own",
            "your own",
            accept="image/*,.wav",
            tip="A picture of your own, whose middle is taken in grey, or a sound as a WAV file.",
        ),
        Slider(
            "rate",
            "distance",
            3,
            120,
            1,
            30.0,
            unit="px/°",
            tip="Pixels in one degree of the field of view: more of them from further away.",
            when=seen,
        ),
        Menu(
            "curve",
            "sensitivity",
            tuple(SENSITIVITY_NAMES),
            "Barten 2004",
            tip="Published contrast sensitivity of people.",
            when=seen,
        ),
        Menu(
            "species",
            "eye of",
            tuple(SPECIES),
            "human",
            tip="The sensitivity is moved to the peak of this species.",
            when=seen,
        ),
        Slider("logsnr", "noise to λ", -8, 8, 0.1, 0.0, unit="nats"),
        Switch("guess", "best guess", tip="Show the best linear estimate instead.", when=seen),
        Chips(
            "beside",
            "beside",
            entry_chips(),
            START_BESIDE,
            most=MOST_BESIDE,
            tip="Published objectives to compare with.",
        ),
    )


def perception_description(pictures: tuple[str, ...], sounds: tuple[str, ...] = ()) -> Description:
    """The explorer with some pictures and sounds.

    Args:
        pictures: Names of the pictures.
        sounds: Names of the sounds.

    Returns:
        The description.
    """
    controls = perception_controls(pictures, sounds)
    return Description("Perception", controls, local="perception.js")


class PerceptionExplorer(ViewExplorer):
    """What an eye implies on a photograph, and what noise at a level of λ leaves of it.

    On the left are the implied weightings, in the middle the share of each band of frequencies that
    the eye sees and that is known at λ, on the right the photograph noised to λ. The table gives
    the known share by octave.

    Args:
        image: Name of one of the eight photographs, "all eight", or a name of ``pictures``.
        curve: Contrast sensitivity at first, a key of ``SENSITIVITY_NAMES``.
        species: Whose eye, a key of ``diffviz.perception.sensitivities.SPECIES``.
        pictures: Name to one's own square grey picture, shape (n, n): bytes, or floats on [−1, 1].
        **state: Values of other controls at first, such as ``rate=60.0``.

    Raises:
        TypeError: ``pictures`` is no mapping, or a picture has no known full scale.
        ValueError: A name is unknown, or a picture is not square.
    """

    grid = np.linspace(-10, 10, 161)  # λ in nats

    def __init__(
        self,
        image: str = "camera",
        curve: str = "Barten 2004",
        species: str = "human",
        pictures: Mapping[str, ArrayLike] | None = None,
        **state: Any,
    ):
        given: Any = {} if pictures is None else pictures
        message = "pictures must map names to square grey pictures"
        checks.require(isinstance(given, Mapping), message, TypeError)
        self._own = {str(name): Photograph(pixels) for name, pixels in given.items()}
        self._sounds: dict[str, Recording] = {}
        names = self._names()
        require_option("image", image, names, "the explorer's menu")
        require_option("curve", curve, SENSITIVITY_NAMES, "the explorer's menu")
        require_option("species", species, SPECIES, "the explorer's menu")
        chosen = {"image": image, "curve": curve, "species": species, **state}
        super().__init__(perception_description(names), chosen)

    def page_data(self) -> dict[str, Any]:
        """The photographs with their spectra, published weightings, and what scales an eye."""
        viewed = {name: self._viewed({"image": name}) for name in self._names()}
        side = perception_experiments.SIDE
        shown = {name: viewed_data(one) for name, one in viewed.items() if one.side == side}
        names = (RATE_DISTORTION, PROJECTION, PROJECTION_OF_X, *CATALOGUE)
        return {
            "photographs": shown,
            "noise": perception_experiments.noise_coefficients(side).astype(np.float32),
            "grid": self.grid,
            "entries": {name: one.weighting(self.grid) for name, one in CATALOGUE.items()},
            "peaks": {name: peak_of(name) for name in SENSITIVITY_NAMES},
            "factors": {name: eye_of(name).factor for name in SPECIES},
            "label": SHORT_LOGSNR,
            "colours": COLOURS | {name: perception_figures.colour_of(name) for name in names},
        }

    def uploaded(self, control: str, file: str, content: bytes) -> None:
        """Look at a picture or listen to a sound of the reader's own.

        Args:
            control: Not used.
            file: Name of the file.
            content: Its bytes.

        Raises:
            ValueError: It is neither, or a constant picture, or a silent or short sound.
        """
        name = File(file).stem or "your own"
        if name in (*perception_experiments.photos(), ALL):
            name = f"{name} (your own)"
        if File(file).suffix.lower() in SOUNDS:
            recording = Recording(*signals.sound_of_bytes(content, file))
            self._own.pop(name, None)
            self._sounds[name] = recording
        else:
            picture = Photograph(perception_experiments.picture_of(content, file))
            self._sounds.pop(name, None)
            self._own[name] = picture
        self.description = perception_description(self._names(), tuple(self._sounds))
        self._state = self.description.checked(self._state | {"image": name})

    def photograph(self) -> Photograph | Album:
        """The picture that is chosen, or all eight."""
        return self._viewed(self.state)

    def implied(self) -> Implied:
        """The weightings that are implied by what is chosen."""
        return self._implied(self.state)

    def picture(self) -> NDArray:
        """The picture at λ, or the best linear estimate of it, (n, n); of all eight (8, n, n)."""
        return self._picture(self.state)

    def compute(self, state: State, changed: Changed) -> View:
        """The implied weightings, the bands, the picture at λ, and the octaves.

        Args:
            state: A value for each control.
            changed: Not used.

        Returns:
            Two charts, an image or a chart of a sound, a table and a note.
        """
        if state["image"] in self._sounds:
            return self._sound_view(state, self._sounds[state["image"]])
        pixels = (self._picture(state) / BRIGHTEST + 1) / 2
        kind = "best guess at" if state["guess"] else f"{state['image']} at"
        title = f"{kind} λ = {state['logsnr']:.1f}".replace("= -", "= −")
        is_one = pixels.ndim == 2
        pixels = pixels[None] if is_one else pixels
        image = Images(pixels, columns=1 if is_one else ALL_COLUMNS, title=title)
        charts = self._weightings(state, self._implied(state)), self._bands(state)
        panels = (*charts, image, self._octaves(state), self._words(state))
        return View(panels, columns=3, widths=WIDTHS)

    def _arguments(self) -> list[str]:
        """The arguments of what is on show; one's own pictures are called ``pictures``."""
        passed = ["pictures=pictures"] if self._own else []
        return [*passed, *super()._arguments()]

    def _names(self) -> tuple[str, ...]:
        """The names of all pictures."""
        return tuple(dict.fromkeys((*perception_experiments.photos(), ALL, *self._own)))

    def _viewed(self, state: State) -> Photograph | Album:
        """The picture of a state, or all eight."""
        name = state["image"]
        if name in self._own:
            return self._own[name]
        if name == ALL:
            return perception_experiments.album()
        return perception_experiments.photograph(name)

    def _implied(self, state: State) -> Implied:
        """The implied weightings of a state."""
        return _implied(self._viewed(state), state["curve"], state["species"], float(state["rate"]))

    def _picture(self, state: State) -> NDArray:
        """The picture of a state at its level."""
        viewed = self._viewed(state)
        return viewed.guess(state["logsnr"]) if state["guess"] else viewed.noisy(state["logsnr"])

    def _sound_view(self, state: State, recording: Recording) -> View:
        """The view of a sound."""
        level = state["logsnr"]
        panels = (
            self._weightings(state, recordings.implied_by_ear(recording)),
            recordings.band_chart(recording, level),
            recordings.wave_chart(recording, level),
            recordings.octave_table(recording, level),
            recordings.words(recording, state),
        )
        return View(panels, columns=3, widths=WIDTHS)

    def _weightings(self, state: State, of_sense: Implied) -> Chart:
        """log10 of the implied weightings and of those beside them."""
        curves = {
            RATE_DISTORTION: of_sense.rate_distortion,
            PROJECTION: of_sense.projection,
            PROJECTION_OF_X: of_sense.projection_of_x,
        }
        curves |= {name: CATALOGUE[name].weighting for name in state["beside"]}
        values = {
            name: plots.scaled(w(self.grid), self.grid, LOGARITHMIC) for name, w in curves.items()
        }
        return Chart(
            self.grid,
            values,
            xlabel=SHORT_LOGSNR,
            ylabel="log₁₀ w on the ε error",
            title="implied weightings",
            ylim=REACH_OF_PEOPLE if state["species"] in OF_PEOPLE else REACH_OF_ANIMALS,
            colours={name: perception_figures.colour_of(name) for name in values},
            dashes={RATE_DISTORTION: 0, PROJECTION: 1, PROJECTION_OF_X: 2},  # of one colour
            marks={LEVEL: state["logsnr"]},
        )

    def _bands(self, state: State) -> Chart:
        """What is seen and what is known of each band."""
        photograph = self._viewed(state)
        rings = photograph.spectrum.frequency < perception_experiments.NYQUIST
        frequency = photograph.spectrum.frequency[rings]
        known = photograph.spectrum.captured(state["logsnr"])[rings]
        human = SENSITIVITIES[SENSITIVITY_NAMES[state["curve"]]]
        eye = eye_of(state["species"], human)
        seen = eye(frequency * state["rate"]) / peak_of(state["curve"])
        return Chart(
            frequency * photograph.side,
            {SEEN: seen, KNOWN: known, HALF: np.full(frequency.size, 0.5)},
            xlabel="cycles per image",
            ylabel="share",
            title="seen, and known at λ",
            xscale="log",
            xlim=(0.9, 0.55 * photograph.side),
            ylim=(0, 1.05),
            colours=COLOURS,
            dashes={SEEN: 0, KNOWN: 0, HALF: 2},
        )

    def _octaves(self, state: State) -> Table:
        """The share of power that is known at λ in each octave."""
        photograph, level = self._viewed(state), state["logsnr"]
        octaves = photograph.octaves
        degrees = (f"{low / photograph.side * state['rate']:.2g}" for low, _ in octaves)
        known = (f"{photograph.known_share(*octave, level):.0%}" for octave in octaves)
        return Table(
            ("cycles per image", *(f"{low:g}–{high:g}" for low, high in octaves)),
            [("per degree, from", *degrees), ("known of its power", *known)],
        )

    def _words(self, state: State) -> Note:
        """The width of the picture, the slopes of its weighting, and the distortion left."""
        of_eye, level = self._implied(state), state["logsnr"]
        width = self._viewed(state).side / state["rate"]
        noisy, middle, clean = perception_experiments.slopes(of_eye.rate_distortion)
        left, most = of_eye.distortion(np.array([level, -20.0]))
        words = (
            f"{state['species']}, {state['curve']}: {width:.1f}° wide; "
            f"visible distortion left at λ = {level:.1f}: {left / most:.1%}\n"
            f"slope of the rate–distortion weighting {noisy:+.2f} from −8 to −4, "
            f"{middle:+.2f} from −4 to 2, {clean:+.2f} from 2 to 8 (flow matching: −0.50)"
        )
        return Note(words.replace("-", "−"))


@lru_cache
def peak_of(curve: str) -> float:
    """The highest sensitivity of a curve.

    Args:
        curve: A key of ``SENSITIVITY_NAMES``.

    Returns:
        The sensitivity.
    """
    human = SENSITIVITIES[SENSITIVITY_NAMES[curve]]
    return float(human(np.geomspace(0.05, 60, 200)).max())


def viewed_data(viewed: Photograph | Album) -> dict[str, Any]:
    """What the browser needs of a photograph, or of all eight.

    Args:
        viewed: The photograph, or all eight.

    Returns:
        Its side, its spectrum by rings of frequency, and its pixels as bytes; or the names of the
        photographs in the place of the last.
    """
    spectrum = viewed.spectrum
    record: dict[str, Any] = {
        "side": viewed.side,
        "frequency": spectrum.frequency,
        "power": spectrum.power,
        "count": spectrum.count,
    }
    if isinstance(viewed, Album):
        return record | {"members": tuple(perception_experiments.photos())}
    return record | {"pixels": as_bytes((viewed.pixels + 1) / 2)}


@lru_cache(64)
def _implied(viewed: Photograph | Album, curve: str, species: str, rate: float) -> Implied:
    """The weightings that an eye at a distance implies on what it looks at."""
    eye = eye_of(species, SENSITIVITIES[SENSITIVITY_NAMES[curve]])
    return implied(viewed.spectrum, eye, rate)
