"""The explorer of perception: what an eye at a distance implies, and what noise leaves visible."""

from functools import lru_cache
from itertools import pairwise
from typing import Any

import ipywidgets as widgets
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from diffviz import plots
from diffviz.lab.experiments import perception as perception_experiments
from diffviz.lab.explorers.base import Explorer, control, figure_of, find_line, require_option
from diffviz.lab.figures import perception as perception_figures
from diffviz.perception.sensitivities import SENSITIVITIES, SPECIES
from diffviz.perception.sensitivities import species as eye_of
from diffviz.perception.spectra import Implied, Spectrum
from diffviz.recipes.entries import CATALOGUE

SENSITIVITY_NAMES = {label: name for name, label in perception_experiments.NAMES.items()}
BESIDE = (
    "elbo",
    "iddpm-cosine",
    "edm",
    "sigmoid-bias2",
    "min-snr-5-eps",
    "fm-ot",
    "sd3",
    "p2-gamma1",
    "indi",
)
RATE_DISTORTION, PROJECTION = "rate–distortion", "projection"
SEEN, KNOWN, LEVEL = "seen (sensitivity)", "known at λ", "λ"
COLOURS = {SEEN: "#6A3D9A", KNOWN: "#7F7F7F", LEVEL: "0.4"}
OCTAVES = 2.0 ** np.arange(8)  # cycles per image
SIDE = 256  # pixels


class PerceptionExplorer(Explorer):
    """What an eye implies on a photograph, and what noise at a level of λ leaves of it.

    On the left are the implied weightings, in the middle the share of each band of frequencies that
    the eye sees and that is known at λ, on the right the photograph noised to λ. The table gives
    the known share by octave.

    Args:
        image: Name of one of the eight photographs.
        curve: Contrast sensitivity at first, a key of ``SENSITIVITY_NAMES``.
        species: Whose eye, a key of ``diffviz.perception.sensitivities.SPECIES``.

    Raises:
        ValueError: A name is unknown.
    """

    grid = np.linspace(-10, 10, 161)  # λ in nats

    def __init__(self, image: str = "camera", curve: str = "Barten 2004", species: str = "human"):
        require_option("image", image, perception_experiments.photos(), "the explorer's menu")
        require_option("curve", curve, SENSITIVITY_NAMES, "the explorer's menu")
        require_option("species", species, SPECIES, "the explorer's menu")
        self.panels = plots.axes(10.8, 3.9, columns=3)
        self._weightings: dict[str, NDArray] = {}
        controls = self._make_controls(image, curve, species)
        figure, panel = figure_of(self.panels[0]), self._make_panel(controls)
        super().__init__(figure, controls, self._update, panel)

    def view(self) -> Implied:
        """The weightings that are implied by what is chosen."""
        c = self.controls
        sensitivity = SENSITIVITY_NAMES[c["curve"].value]
        rate, image, species = c["rate"].value, c["image"].value, c["species"].value
        return perception_experiments.seen(sensitivity, rate, image, species)

    def picture(self) -> NDArray:
        """The photograph at λ, shape (256, 256).

        It is z = alpha x + sigma eps, or the linear estimate of x from it. The estimate takes of
        each coefficient the share that is known; the mean of the photograph counts as known.
        """
        image, level = self.controls["image"].value, self.controls["logsnr"].value
        coefficients = _coefficients(image)
        noisy = coefficients + np.exp(-level / 2) * _noise_coefficients()
        if not self.controls["guess"].value:
            return fft.idctn(noisy, norm="ortho") / np.sqrt(1 + np.exp(-level))
        known_share = np.append(1.0, self._spectrum().captured(level))
        estimate = noisy * known_share[_rings()]
        estimate[0, 0] = coefficients[0, 0]
        return fft.idctn(estimate, norm="ortho")

    def _make_controls(self, image: str, curve: str, species: str) -> dict[str, Any]:
        """The controls by name."""
        menu, slider = widgets.Dropdown, widgets.FloatSlider
        photos, curves = list(perception_experiments.photos()), list(SENSITIVITY_NAMES)
        return {
            "image": control(menu, "picture", options=photos, value=image),
            "rate": control(
                slider, "pixels/degree", 30.0, min=3, max=120, step=1, readout_format=".0f"
            ),
            "curve": control(menu, "sensitivity", options=curves, value=curve),
            "species": control(menu, "eye of", options=list(SPECIES), value=species),
            "logsnr": control(
                slider, "noise to λ", 0.0, min=-8, max=8, step=0.1, readout_format=".1f"
            ),
            "guess": control(
                widgets.Checkbox, "show the best Gaussian guess instead", False, indent=False
            ),
            "beside": control(
                widgets.SelectMultiple,
                "beside",
                options=BESIDE,
                value=("elbo", "fm-ot", "sd3"),
                rows=6,
            ),
        }

    @staticmethod
    def _make_panel(controls: dict[str, Any]) -> widgets.Widget:
        """The controls in three columns above the picture, which is wide."""
        columns = (("image", "rate", "curve", "species"), ("logsnr", "guess"), ("beside",))
        boxes = [widgets.VBox([controls[name] for name in column]) for column in columns]
        return widgets.HBox(boxes, layout=widgets.Layout(width="1080px", flex_flow="row wrap"))

    def _spectrum(self) -> Spectrum:
        """The power spectrum of the photograph that is chosen."""
        return perception_experiments.spectrum(self.controls["image"].value)

    def _update(self, changed: str) -> str:
        """Draw what the controls say, and describe it."""
        if changed not in ("logsnr", "guess"):  # which change no weighting
            self._weightings = self._scaled_weightings()
        self._draw_weightings()
        self._draw_bands()
        self._draw_picture()
        if not changed:
            self._furnish_axes()
        if changed in ("", "beside"):
            self._place_legend()
        return self._describe()

    def _scaled_weightings(self) -> dict[str, NDArray]:
        """log10 of the implied weightings and of those beside them, by name, shape (n,)."""
        view = self.view()
        weightings = {RATE_DISTORTION: view.rate_distortion, PROJECTION: view.projection}
        weightings |= {name: CATALOGUE[name].weighting for name in self.controls["beside"].value}
        return {
            name: plots.scaled(weighting(self.grid), self.grid, "log10, anchored")
            for name, weighting in weightings.items()
        }

    def _draw_weightings(self) -> None:
        """Draw the weightings on the left, and a line at λ."""
        size = len(self.grid)
        curves = self._weightings | {LEVEL: np.linspace(-5, 5, size)}
        x = dict.fromkeys(curves, self.grid)
        x[LEVEL] = np.full(size, self.controls["logsnr"].value)
        plots.lines(
            x,
            curves,
            xlabel="log-SNR λ   [nats; noise ← → data]",
            ylabel="log₁₀ w on the ε error, 0 at λ = 0",
            title="implied weightings",
            outside=None,
            colours=_colour,
            ax=self.panels[0],
        )

    def _draw_bands(self) -> None:
        """Draw in the middle what is seen and what is known of each band."""
        spectrum = self._spectrum()
        rings = spectrum.frequency < 0.5  # cycles per pixel
        frequency = spectrum.frequency[rings]
        known = spectrum.captured(self.controls["logsnr"].value)[rings]
        plots.lines(
            frequency * SIDE,
            {SEEN: self._sensitivity(frequency), KNOWN: known},
            xlabel=perception_figures.FREQUENCY,
            ylabel="share of the band, of the peak",
            title="bands",
            outside=None,
            colours=_colour,
            ax=self.panels[1],
        )

    def _sensitivity(self, frequency: NDArray) -> NDArray:
        """Sensitivity at frequencies in cycles per pixel, over the peak of the human one."""
        human = SENSITIVITIES[SENSITIVITY_NAMES[self.controls["curve"].value]]
        eye = eye_of(self.controls["species"].value, human)
        peak = human(np.geomspace(0.05, 60, 200)).max()
        return eye(frequency * self.controls["rate"].value) / peak

    def _draw_picture(self) -> None:
        """Draw the photograph at λ on the right."""
        ax = self.panels[2]
        picture = self.picture()
        if ax.images:
            ax.images[0].set_data(picture)
            return
        ax.imshow(picture, cmap="gray", vmin=-1.6, vmax=1.6, interpolation="nearest", gid="picture")

    def _furnish_axes(self) -> None:
        """Set limits, a legend, and hide the axes of the photograph; once is enough."""
        left, middle, right = self.panels
        left.set(xlim=(-10, 10), ylim=(-4, 3.5))
        find_line(left, LEVEL).set(lw=1, ls=":")
        middle.set(xscale="log", xlim=(0.9, 140), ylim=(0, 1.25))
        middle.legend(
            handles=middle.lines[::2], frameon=False, fontsize=8, loc="upper right", ncols=2
        )
        right.set(xticks=[], yticks=[], title="the picture at λ")
        right.grid(False)
        right.spines[:].set_visible(False)

    def _place_legend(self) -> None:
        """Name the weightings on the left."""
        left = self.panels[0]
        handles = [line for line in left.lines if line.get_gid() in self._weightings]
        left.legend(handles=handles, frameon=False, fontsize=8, handlelength=2.5, loc="lower left")

    def _describe(self) -> str:
        """Slopes of the weighting, the distortion that is left, and the octaves, as HTML."""
        view, level = self.view(), self.controls["logsnr"].value
        width = SIDE / self.controls["rate"].value
        noisy, middle, clean = perception_experiments.slopes(view.rate_distortion)
        left, most = view.distortion(np.array([level, -20.0]))
        words = (
            f"picture: {width:.1f}° wide; "
            f"slope of the rate–distortion weighting {noisy:+.2f} from −8 to −4, "
            f"<b>{middle:+.2f} from −4 to 2</b>, {clean:+.2f} from 2 to 8 (flow matching: −0.50); "
            f"visible distortion left at λ = {level:.1f}: {left / most:.1%}"
        )
        return words.replace("-", "−") + self._describe_octaves()

    def _describe_octaves(self) -> str:
        """The share of power that is known at λ in each octave, as an HTML table."""
        octaves = list(pairwise(OCTAVES))
        rate = self.controls["rate"].value
        rows = [
            ("cycles per image", *(f"{low:g}–{high:g}" for low, high in octaves)),
            ("from, cycles per degree", *(f"{low / SIDE * rate:.2g}" for low, _ in octaves)),
            ("known of its power", *(f"{self._known_share(*octave):.0%}" for octave in octaves)),
        ]
        cells = [[f"<td style='padding-right:10px'>{cell}</td>" for cell in row] for row in rows]
        table = "".join(f"<tr>{''.join(row)}</tr>" for row in cells)
        return f"<table style='line-height:1.25'>{table}</table>"

    def _known_share(self, low: float, high: float) -> float:
        """Share of the power between two frequencies, in cycles per image, that is known at λ."""
        spectrum = self._spectrum()
        frequency = spectrum.frequency * SIDE
        band = (frequency >= low) & (frequency < high)
        power = spectrum.power * spectrum.count
        known = spectrum.captured(self.controls["logsnr"].value) * power
        return known[band].sum() / power[band].sum()


def _colour(name: str) -> str:
    """The colour of a line."""
    return COLOURS.get(name) or perception_figures.colour_of(name)


@lru_cache
def _coefficients(image: str) -> NDArray:
    """DCT coefficients of a photograph, shape (256, 256)."""
    return fft.dctn(perception_experiments.photos()[image], norm="ortho")


@lru_cache
def _noise_coefficients() -> NDArray:
    """DCT coefficients of standard normal noise, as ``noised`` adds it, shape (256, 256)."""
    return fft.dctn(perception_experiments.noised(np.zeros((SIDE, SIDE)), 0.0), norm="ortho")


@lru_cache
def _rings() -> NDArray:
    """Ring of each DCT coefficient, as in ``image_spectrum``; ring 0 is the mean; (256, 256)."""
    index = np.arange(SIDE)
    return np.rint(np.hypot.outer(index, index)).astype(int)
