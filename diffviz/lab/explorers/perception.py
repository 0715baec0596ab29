"""Explorer of notebook 9: what an eye at a distance implies, and which bands of a picture a noise level leaves."""

from functools import lru_cache
from itertools import pairwise
from typing import Any, cast

import ipywidgets as w
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import fft

from diffviz import plots
from diffviz.checks import unknown
from diffviz.lab.experiments import perception as perception_experiments
from diffviz.lab.explorers.base import Explorer, control
from diffviz.lab.figures import perception as perception_figures
from diffviz.perception.sensitivities import SENSITIVITIES, SPECIES
from diffviz.perception.sensitivities import species as eye_of
from diffviz.perception.spectra import Implied
from diffviz.recipes.entries import CATALOGUE

CURVES = {label: name for name, label in perception_experiments.NAMES.items()}
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
SEEN, KNOWN, POWER = "seen (sensitivity)", "known at λ", "λ"
INK = {SEEN: "#6A3D9A", KNOWN: "#7F7F7F", POWER: "0.4"}
OCTAVES = 2.0 ** np.arange(8)  # cycles per image
N = 256


@lru_cache
def _coefficients(image: str) -> NDArray:
    return fft.dctn(perception_experiments.photos()[image], norm="ortho")


@lru_cache
def _noise() -> NDArray:
    return fft.dctn(perception_experiments.noised(np.zeros((N, N)), 0.0), norm="ortho")


class PerceptionExplorer(Explorer):
    """Weightings that an eye implies on a photograph, the bands that are known at a λ, and the photograph noised to it.

    Args:
        image: one of the eight photographs; curve: a sensitivity by the name of its authors; species: whose eye.
    """

    grid = np.linspace(-10, 10, 161)

    def __init__(self, image: str = "camera", curve: str = "Barten 2004", species: str = "human"):
        for kind, name, among in (
            ("image", image, perception_experiments.photos()),
            ("curve", curve, CURVES),
            ("species", species, SPECIES),
        ):
            if name not in among:
                raise unknown(kind, name, among, "the explorer's menu")
        self.controls: dict[str, Any] = {
            "image": control(
                w.Dropdown, "picture", options=list(perception_experiments.photos()), value=image
            ),
            "rate": control(
                w.FloatSlider, "pixels/degree", 30.0, min=3, max=120, step=1, readout_format=".0f"
            ),
            "curve": control(w.Dropdown, "sensitivity", options=list(CURVES), value=curve),
            "species": control(w.Dropdown, "eye of", options=list(SPECIES), value=species),
            "logsnr": control(
                w.FloatSlider, "noise to λ", 0.0, min=-8, max=8, step=0.1, readout_format=".1f"
            ),
            "guess": control(
                w.Checkbox, "show the best Gaussian guess instead", False, indent=False
            ),
            "beside": control(
                w.SelectMultiple, "beside", options=BESIDE, value=("elbo", "fm-ot", "sd3"), rows=6
            ),
        }
        self.panels = plots.axes(10.8, 3.9, columns=3)
        c = self.controls  # above the picture, which is wide
        columns = (
            (c["image"], c["rate"], c["curve"], c["species"]),
            (c["logsnr"], c["guess"]),
            (c["beside"],),
        )
        panel = w.HBox(
            [w.VBox(column) for column in columns],
            layout=w.Layout(width="1080px", flex_flow="row wrap"),
        )
        super().__init__(cast(Figure, self.panels[0].figure), c, self._show, panel)

    def view(self) -> Implied:
        """The weightings implied by what is chosen."""
        c = self.controls
        return perception_experiments.seen(
            CURVES[c["curve"].value], c["rate"].value, c["image"].value, c["species"].value
        )

    def picture(self) -> NDArray:
        """z = alpha x + sigma eps at λ, or the linear estimate of x from it, (256, 256)."""
        c = self.controls
        level, spectrum, x = (
            c["logsnr"].value,
            perception_experiments.spectrum(c["image"].value),
            _coefficients(c["image"].value),
        )
        noisy = x + np.exp(-level / 2) * _noise()
        if (
            c["guess"].value
        ):  # each coefficient times the share of it that is known; the mean of the picture is known
            share = np.append(1.0, spectrum.captured(level))
            noisy = noisy * share[_rings()]
            noisy[0, 0] = x[0, 0]
            return fft.idctn(noisy, norm="ortho")
        return fft.idctn(noisy, norm="ortho") / np.sqrt(1 + np.exp(-level))

    def _show(self, changed: str) -> str:
        c, (left, middle, right) = self.controls, self.panels
        level, spectrum, view = (
            c["logsnr"].value,
            perception_experiments.spectrum(c["image"].value),
            self.view(),
        )
        if changed not in ("logsnr", "guess"):
            curves = {RATE_DISTORTION: view.rate_distortion, PROJECTION: view.projection}
            curves |= {name: CATALOGUE[name].weighting for name in c["beside"].value}
            self._drawn = {
                n: plots.scaled(f(self.grid), self.grid, "log10, anchored")
                for n, f in curves.items()
            }
        lines = self._drawn | {POWER: np.linspace(-5, 5, len(self.grid))}
        x = dict.fromkeys(lines, self.grid) | {POWER: np.full(len(self.grid), level)}
        ink = lambda name: INK.get(name) or perception_figures.colour_of(name)
        words: dict[str, Any] = {
            "xlabel": "log-SNR λ   [nats; noise ← → data]",
            "ylabel": "log₁₀ w on the ε error, 0 at λ = 0",
        }
        plots.lines(
            x, lines, **words, title="implied weightings", outside=None, colours=ink, ax=left
        )
        rings = spectrum.frequency < 0.5
        f = spectrum.frequency[rings]
        human = SENSITIVITIES[CURVES[c["curve"].value]]
        felt = (
            eye_of(c["species"].value, human)(f * c["rate"].value)
            / human(np.geomspace(0.05, 60, 200)).max()
        )
        bands = {SEEN: felt, KNOWN: spectrum.captured(level)[rings]}
        label = "share of the band, of the peak"
        plots.lines(
            f * N,
            bands,
            xlabel=perception_figures.FREQUENCY,
            ylabel=label,
            title="bands",
            outside=None,
            colours=ink,
            ax=middle,
        )
        image = self.picture()
        if not changed:
            self._furnish(image)
        right.images[0].set_data(image)
        if changed in ("", "beside"):
            handles = [line for line in left.lines if line.get_gid() in self._drawn]
            left.legend(
                handles=handles, frameon=False, fontsize=8, handlelength=2.5, loc="lower left"
            )
        return self._words(view, level)

    def _furnish(self, image: NDArray) -> None:
        """Once: limits, legends, and the picture's own axes."""
        left, middle, right = self.panels
        left.set(xlim=(-10, 10), ylim=(-4, 3.5))
        here = next(line for line in left.lines if line.get_gid() == POWER)
        here.set(lw=1, ls=":")
        middle.set(xscale="log", xlim=(0.9, 140), ylim=(0, 1.25))
        middle.legend(
            handles=middle.lines[::2], frameon=False, fontsize=8, loc="upper right", ncols=2
        )
        right.imshow(
            image, cmap="gray", vmin=-1.6, vmax=1.6, interpolation="nearest", gid="picture"
        )
        right.set(xticks=[], yticks=[], title="the picture at λ")
        right.grid(False)
        right.spines[:].set_visible(False)

    def _words(self, view: Implied, level: float) -> str:
        c = self.controls
        spectrum, rate = perception_experiments.spectrum(c["image"].value), c["rate"].value
        share = spectrum.captured(level)
        power = spectrum.power * spectrum.count
        cells = []
        for low, high in pairwise(OCTAVES):
            band = (spectrum.frequency * N >= low) & (spectrum.frequency * N < high)
            cells.append(
                (
                    f"{low:g}–{high:g}",
                    f"{low / N * rate:.2g}",
                    (share * power)[band].sum() / power[band].sum(),
                )
            )
        style = "style='padding-right:10px'"
        rows = [
            ("cycles per image", *(cell[0] for cell in cells)),
            ("from, cycles per degree", *(cell[1] for cell in cells)),
            ("known of its power", *(f"{cell[2]:.0%}" for cell in cells)),
        ]
        table = "".join(
            "<tr>" + "".join(f"<td {style}>{one}</td>" for one in row) + "</tr>" for row in rows
        )
        noisy, middle, clean = perception_experiments.slopes(view.rate_distortion)
        left = view.distortion(np.array([level, -20.0]))
        words = f"picture: {N / rate:.1f}° wide; slope of the rate–distortion weighting {noisy:+.2f} from −8 to −4, "
        words += (
            f"<b>{middle:+.2f} from −4 to 2</b>, {clean:+.2f} from 2 to 8 (flow matching: −0.50); "
        )
        words += f"visible distortion left at λ = {level:.1f}: {left[0] / left[1]:.1%}"
        return f"{words.replace('-', '−')}<table style='line-height:1.25'>{table}</table>"


@lru_cache
def _rings() -> NDArray:
    """Ring of each DCT coefficient, as in ``spectra.image_spectrum``: 0 is the mean; (256, 256)."""
    return np.rint(np.hypot.outer(np.arange(N), np.arange(N))).astype(int)
