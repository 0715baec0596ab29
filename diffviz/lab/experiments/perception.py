"""Experiments on perception: spectra of photographs, what an eye implies, and where the loss lies."""

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from diffviz.checks import unknown
from diffviz.data.signals import samples
from diffviz.perception.sensitivities import SENSITIVITIES, Curve, species
from diffviz.perception.spectra import Implied, Spectrum, image_spectrum, implied
from diffviz.recipes.entries import CATALOGUE
from diffviz.theory import analysis

NAMES = {  # as people write them
    "mannos_sakrison": "Mannos–Sakrison 1974", "barten_1999": "Barten 1999", "barten_2004": "Barten 2004",
    "daly": "Daly 1993", "movshon_kiorpes": "Movshon–Kiorpes 1988",
}  # fmt: skip
DISTANCES = (10, 30, 60)  # pixels per degree: a monitor of 0.25 mm pixels from 14, 43 and 86 cm
SPENDERS = ("elbo", "iddpm-cosine", "edm", "sigmoid-bias2", "min-snr-5-eps", "fm-ot", "sd3", "indi")


@lru_cache
def photos() -> Mapping[str, NDArray]:
    """The eight photographs of ``data/``, (256, 256) on [−1, 1], by name."""
    from diffviz.data.files import load

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
    each = np.array([analysis.share_below(one, mmse=spectrum(photo).mmse) for photo in photos()])
    return analysis.share_below(one), analysis.share_below(one, mmse=spectrum().mmse), each


def share_table() -> str:
    """Shares below λ = 0 of some objectives, as text."""
    rows = ["                 of w   of the loss: white noise   eight photographs   one at a time"]
    for name in SPENDERS:
        w, loss, each = shares(name)
        white = analysis.share_below(CATALOGUE[name], mmse=analysis.gaussian_mmse)
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
