"""Figures 34 to 37 and their kin: spectra, which λ is which frequency, and the weightings that eyes and ears imply."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MultipleLocator
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from diffviz import plots, weightings
from diffviz.objectives import unknown
from diffviz.recipes import CATALOGUE
from suite.figures import figure
from suite.sensitivities import SENSITIVITIES, SPECIES, a_weighting, species
from suite.spectra import Curve, Implied, Spectrum, image_spectrum, implied, samples

NAMES = {  # as people write them
    "mannos_sakrison": "Mannos–Sakrison 1974", "barten_1999": "Barten 1999", "barten_2004": "Barten 2004",
    "daly": "Daly 1993", "movshon_kiorpes": "Movshon–Kiorpes 1988",
}  # fmt: skip
DISTANCES = (10, 30, 60)  # pixels per degree: a monitor of 0.25 mm pixels from 14, 43 and 86 cm
SPENDERS = ("elbo", "iddpm-cosine", "edm", "sigmoid-bias2", "min-snr-5-eps", "fm-ot", "sd3", "indi")
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


@lru_cache
def photos() -> Mapping[str, NDArray]:
    """The eight photographs of ``data/``, (256, 256) on [−1, 1], by name."""
    from diffviz.data import load

    return {name: samples(photo) for name, photo in load("photos").items()}


@lru_cache
def spectrum(name: str = "") -> Spectrum:
    """Spectrum of one photograph, or by default of all eight; ValueError for another name."""
    if name and name not in photos():
        raise unknown("photograph", name, photos(), "perception_figures.photos()")
    return image_spectrum(photos()[name] if name else np.stack(list(photos().values())))


def smaller(times: int) -> Spectrum:
    """Spectrum of all photographs with squares of ``times``² pixels averaged."""
    n = 256 // times
    return image_spectrum(
        np.stack(list(photos().values())).reshape(8, n, times, n, times).mean((2, 4))
    )


def noised(image: NDArray, logsnr: float, seed: int = 0) -> NDArray:
    """x + e^(−λ/2) eps: z/alpha, in the units of the image; the same eps at every λ."""
    return image + np.exp(-logsnr / 2) * np.random.default_rng(seed).standard_normal(image.shape)


@lru_cache
def seen(
    curve: str = "barten_2004", rate: float = 30.0, image: str = "", animal: str = "human"
) -> Implied:
    """Weightings implied on a photograph (by default on all) by a sensitivity at an animal's scale; ``rate`` in pixels per degree."""
    if curve not in SENSITIVITIES:
        raise unknown("sensitivity", curve, SENSITIVITIES, "sensitivities.SENSITIVITIES")
    return implied(spectrum(image), species(animal, SENSITIVITIES[curve]), rate)


def slopes(w: Curve, knots: ArrayLike = (-8.0, -4.0, 2.0, 8.0)) -> NDArray:
    """d ln w/dλ between neighbouring knots, (k − 1,)."""
    knots = np.asarray(knots, dtype=float)
    return np.diff(np.log(w(knots))) / np.diff(knots)


def slope_table() -> str:
    """Slopes of both implied weightings for every sensitivity at three distances, and flow matching's, as text."""
    rows = [
        f"{'slopes −8 to −4, −4 to 2, 2 to 8':36}rate–distortion        projection             its peak"
    ]
    grid, words = (
        np.linspace(-12, 12, 481),
        lambda w: " ".join(f"{one:+.2f}" for one in slopes(w)).replace("-", "−"),
    )
    for name in SENSITIVITIES:
        for rate in DISTANCES:
            view = seen(name, float(rate))
            peak = grid[view.projection(grid).argmax()]
            place = f"λ = {peak:+.1f}".replace("-", "−") if peak < grid[-1] else "none, it rises"
            rows.append(
                f"{NAMES[name]:21} {rate} px/degree   {words(view.rate_distortion):23}{words(view.projection):23}{place}"
            )
    return "\n".join([*rows, f"{'flow matching (fm-ot)':36}{words(CATALOGUE['fm-ot'].weighting)}"])


def nearest(w: Curve, k: int = 3) -> dict[str, float]:
    """The k entries of the catalogue nearest to w, one of each class: standard deviation of ln of the ratio on [−6, 6], by name."""
    grid = np.linspace(-6, 6, 241)
    values = {name: one.weighting(grid) for name, one in CATALOGUE.items()}
    gaps = {
        round(float(np.std(np.log(w(grid) / v))), 9): name
        for name, v in reversed(values.items())
        if (v > 0).all()
    }
    return {gaps[one]: one for one in sorted(gaps)[:k]}


def shares(name: str) -> tuple[float, float, NDArray]:
    """Share of w below λ = 0, of the loss on all photographs together, and on each of them (8,); all on [−10, 10]."""
    one = CATALOGUE[name]
    each = np.array([weightings.share_below(one, mmse=spectrum(photo).mmse) for photo in photos()])
    return weightings.share_below(one), weightings.share_below(one, mmse=spectrum().mmse), each


def share_table() -> str:
    """Shares below λ = 0 of some objectives, as text."""
    rows = ["                 of w   of the loss: white noise   eight photographs   one at a time"]
    for name in SPENDERS:
        w, loss, each = shares(name)
        white = weightings.share_below(CATALOGUE[name], mmse=weightings.gaussian_mmse)
        rows.append(
            f"{name:14}{w:7.1%}{white:20.1%}{loss:20.1%}{each.min():14.1%} to {each.max():.1%}"
        )
    return "\n".join(rows)


def pink(n: int = 2**18, seed: int = 0) -> NDArray:
    """Pink noise, power 1/f, with a standard deviation of 0.2; shape (n,)."""
    frequency = fft.rfftfreq(n)
    frequency[0] = np.inf
    sound = fft.irfft(fft.rfft(np.random.default_rng(seed).standard_normal(n)) * frequency**-0.5, n)
    return 0.2 * sound / sound.std()


def pink_spectrum() -> Spectrum:
    """1/f from 1/4000 of the Nyquist frequency up, mean power 1 per coefficient."""
    f = np.arange(1, 4001) / 8000
    return Spectrum(f, f[None] ** -1.0 / np.mean(1 / f), np.full(len(f), 2.0))


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
    "Which λ drowns which spatial frequency, by resolution; where objectives spend their loss on photographs.",
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
        name: plots.scaled(weightings.loss_density(CATALOGUE[name], GRID, mmse), GRID, "unit area")
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
    "The weightings that contrast sensitivity implies, by model, distance and species, beside ELBO and FM.",
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
