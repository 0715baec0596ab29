"""Figures 34 to 37 and their kin: spectra, which λ is which frequency, and the weightings that eyes and ears imply."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MultipleLocator

from diffviz import plots
from diffviz.lab.experiments.perception import (
    DISTANCES,
    NAMES,
    SPENDERS,
    noised,
    photos,
    pink_spectrum,
    seen,
    smaller,
    spectrum,
)
from diffviz.lab.figures.registry import figure
from diffviz.perception.sensitivities import SENSITIVITIES, SPECIES, Curve, a_weighting, species
from diffviz.perception.spectra import Implied, image_spectrum, implied
from diffviz.recipes.entries import CATALOGUE
from diffviz.theory import analysis

RULERS = ("elbo", "fm-ot")  # drawn beside what is implied
RATE = 44100  # samples a second
FREQUENCY = "spatial frequency   [cycles per image]"
GRID = np.linspace(-10, 10, 201)
INK = {  # one colour a name in every picture, and one where two names stand for the same curve; none is a ruler's
    "Mannos–Sakrison 1974": "#0072B2", "Barten 1999": "#009E73", "Barten 2004": "#CC79A7", "Daly 1993": "#E69F00",
    "Movshon–Kiorpes 1988": "#56B4E9", "human": "#56B4E9", "tree shrew": "#009E73", "cat": "#CC79A7", "triplefin": "#882255",
    "goldfish": "#E69F00", "mouse": "#0072B2",
    "10 pixels per degree": "#7A7A00", "30 pixels per degree": "#CC79A7", "60 pixels per degree": "#882255",
    "rate–distortion": "#004488", "projection": "#5588BB",
}  # fmt: skip


def colour_of(name: str) -> str:
    """The colour of a curve by its name, an objective's own where it is one of the catalogue."""
    return INK.get(name) or plots.colour(name)


def _logs(
    curves: Mapping[str, Curve], ax: Axes, title="", ylabel="", xlabel=plots.LOGSNR, legend=True
) -> None:
    """log10 of weightings, 0 at λ = 0, beside the rulers."""
    known = {name: CATALOGUE[name].weighting for name in RULERS}
    drawn = {
        name: plots.scaled(w(GRID), GRID, "log10, anchored")
        for name, w in (known | dict(curves)).items()
    }
    plots.lines(
        GRID,
        drawn,
        xlabel=xlabel,
        ylabel=ylabel,
        title=title,
        outside=None,
        colours=colour_of,
        ax=ax,
    )
    for line in ax.lines:
        if line.get_gid() in RULERS:
            line.set(lw=3, alpha=0.45, zorder=2)
    ax.set(xlim=(-10, 10), ylim=(-4, 4.2))
    ax.xaxis.set_major_locator(MultipleLocator(5))
    if legend:
        ax.legend(handles=ax.lines[::2], frameon=False, fontsize=8, handlelength=3)


@figure(
    "spectra",
    "Power of natural images by spatial frequency; with noise, a hinge that moves with λ.",
)
def spectra() -> Axes:
    left, right = plots.axes(11.0, 4.6, columns=2)
    rings = spectrum().frequency < 0.5  # the corners beyond have few coefficients
    f, power = spectrum().frequency[rings] * 256, lambda one: one.power[rings]
    curves = {name: power(spectrum(name)) for name in photos()} | {"all eight": power(spectrum())}
    ink = dict(zip(curves, (*plots.PALETTE[:8], "black"), strict=True))
    words: dict[str, Any] = {"xlabel": FREQUENCY, "ylabel": "power per coefficient"}
    plots.lines(f, curves, **words, title="eight photographs", colours=ink.__getitem__, ax=left)
    for line in left.lines:
        line.set(lw=2.8 if line.get_gid() == "all eight" else 1.1, ls="-")
    left.legend(handles=left.lines[::2], frameon=False, fontsize=8, ncols=2, loc="lower left")
    image, noise = (
        power(spectrum("camera")),
        power(image_spectrum(noised(np.zeros((256, 256)), 0.0))),
    )
    curves, ink = (
        {"camera": image, "noise, λ = 0": noise},
        {"camera": plots.PALETTE[0], "noise, λ = 0": "0.55"},
    )
    for level, colour in zip((4.0, 0.0, -4.0), plots.PALETTE[1:4], strict=True):
        name = f"λ = {level:g}".replace("-", "−")
        curves |= {
            f"{name}, noised": power(image_spectrum(noised(photos()["camera"], level))),
            name: image + np.exp(-level),
        }
        ink |= {f"{name}, noised": colour, name: colour}
    plots.lines(
        f,
        curves,
        **words,
        title="camera + noise of power e^(−λ)",
        colours=ink.__getitem__,
        ax=right,
    )
    for line in right.lines[::2]:
        wide = str(line.get_gid()).endswith("noised")
        line.set(ls="-", lw=4.5 if wide else 1.4, alpha=0.3 if wide else 1, zorder=3 if wide else 4)
    right.legend(
        handles=[one for one in right.lines[::2] if one.get_alpha() == 1], frameon=False, fontsize=9
    )
    for ax in (left, right):
        ax.set(xscale="log", yscale="log", xlim=(0.9, 140), ylim=(3e-4, 3e3))
    return left


@figure(
    "frequency-map",
    "Which λ drowns which spatial frequency, by resolution; where objectives spend their loss on "
    "photographs.",
)
def frequency_map() -> Axes:
    left, right = plots.axes(11.0, 4.6, columns=2)
    for k, times in enumerate((1, 2, 4, 8)):
        one, side = smaller(times), 256 // times
        rings, name = one.frequency < 0.5, f"{side}² pixels"
        style: dict[str, Any] = {
            "color": plots.PALETTE[k],
            "ls": plots.DASHES[k],
            "lw": 2,
            "gid": name,
            "label": name,
        }
        left.plot(one.frequency[rings] * side, one.drowns[rings], **style)
    left.set(xscale="log", xlim=(0.9, 140), ylim=(-7.5, 7.5))
    left.set(
        xlabel=FREQUENCY,
        ylabel="λ = −ln S   [nats; noise below, data above]",
        title="where a frequency drowns",
    )
    left.legend(frameon=False, fontsize=9, loc="upper left", handlelength=3)
    mmse = spectrum().mmse
    spent = {
        name: plots.scaled(analysis.loss_density(CATALOGUE[name], GRID, mmse), GRID, "unit area")
        for name in SPENDERS
    }
    words: dict[str, Any] = {
        "xlabel": plots.LOGSNR,
        "ylabel": "share of the loss per nat",
        "title": "what objectives spend on photographs",
    }
    plots.lines(GRID, spent, **words, colours=plots.colour, ax=right)
    right.axvline(0, color="0.5", lw=0.8)
    right.set(xlim=(-10, 10), ylim=(0, None))
    right.xaxis.set_major_locator(MultipleLocator(5))
    right.legend(
        handles=[one for one in right.lines if one.get_gid() in spent],
        frameon=False,
        fontsize=8,
        loc="upper left",
    )
    return left


@figure(
    "contrast-sensitivity",
    "Published contrast sensitivity curves, and the human one at the scale of other eyes.",
)
def contrast_sensitivity() -> Axes:
    left, right = plots.axes(11.0, 4.4, columns=2)
    f = np.geomspace(0.02, 80, 400)
    scaled = lambda curve: np.where(
        curve(f) > 1e-3 * curve(f).max(), curve(f) / curve(f).max(), np.nan
    )
    words: dict[str, Any] = {
        "xlabel": "spatial frequency   [cycles per degree]",
        "ylabel": "sensitivity / its maximum",
    }
    plots.lines(
        f,
        {NAMES[n]: scaled(c) for n, c in SENSITIVITIES.items()},
        **words,
        title="people",
        colours=colour_of,
        ax=left,
    )
    beasts = {name: scaled(species(name)) for name in SPECIES if name != "macaque"}
    plots.lines(
        f, beasts, **words, title="one shape, moved to published peaks", colours=colour_of, ax=right
    )
    for ax in (left, right):
        ax.set(xscale="log", yscale="log", xlim=(0.02, 80), ylim=(3e-3, 1.5))
        ax.legend(
            handles=ax.lines[::2],
            frameon=False,
            fontsize=9,
            loc="lower center" if ax is left else "lower left",
        )
    return left


@figure(
    "csf-weighting",
    "The weightings that contrast sensitivity implies, by model, distance and species, beside "
    "ELBO and FM.",
)
def csf_weighting() -> Axes:
    panels = plots.axes(13.2, 8.0, columns=3, rows=2)
    beasts = [name for name in SPECIES if name not in ("macaque", "triplefin")]
    columns = {
        "models, 30 pixels per degree": {NAMES[name]: seen(name) for name in SENSITIVITIES},
        "Barten 2004, by distance": {
            f"{rate} pixels per degree": seen(rate=float(rate)) for rate in DISTANCES
        },
        "species, 30 pixels per degree": {
            name: seen("movshon_kiorpes", animal=name) for name in beasts
        },
    }
    for column, (title, views) in enumerate(columns.items()):
        for row, kind in enumerate(Implied._fields[:2]):
            label = f"log₁₀ w, {('rate–distortion', 'projection')[row]}" if not column else ""
            curves = {name: getattr(view, kind) for name, view in views.items()}
            _logs(
                curves,
                panels[3 * row + column],
                title if not row else "",
                label,
                plots.LOGSNR if row else "",
                not row,
            )
    panels[0].figure.subplots_adjust(hspace=0.12)
    return panels[0]


@figure("hearing", "A-weighting, and the weightings that it implies on pink noise.")
def hearing() -> Axes:
    left, right = plots.axes(11.0, 4.4, columns=2)
    f = np.geomspace(20, 20000, 300)
    decibels = {"A-weighting": 20 * np.log10(a_weighting(f))}
    plots.lines(
        f,
        decibels,
        xlabel="frequency   [Hz]",
        ylabel="gain   [dB, 0 at 1 kHz]",
        title="IEC 61672-1",
        ax=left,
    )
    left.set(xscale="log", xlim=(20, 20000), ylim=(-55, 5))
    view = implied(pink_spectrum(), a_weighting, RATE)
    curves = {"rate–distortion": view.rate_distortion, "projection": view.projection}
    _logs(curves, right, "pink noise of variance 1, 44.1 kHz", "log₁₀ w on the ε error, 0 at λ = 0")
    right.set_ylim(-4.2, 2.4)
    return left
