"""Experiments on perception: spectra of photographs, what an eye implies, where the loss lies."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from scipy import fft

from diffviz import checks
from diffviz.checks import array, count, increasing, number, one_of, positive, unknown
from diffviz.compute.cache import cached
from diffviz.data.signals import image_of_bytes, samples
from diffviz.perception.sensitivities import SENSITIVITIES, SPECIES, Curve, a_weighting, species
from diffviz.perception.spectra import Implied, Spectrum, image_spectrum, implied, sound_spectrum
from diffviz.recipes.entries import CATALOGUE, objective
from diffviz.theory import analysis

NAMES = {  # as people write them
    "mannos_sakrison": "Mannos–Sakrison 1974",
    "barten_1999": "Barten 1999",
    "barten_2004": "Barten 2004",
    "daly": "Daly 1993",
    "movshon_kiorpes": "Movshon–Kiorpes 1988",
}
DISTANCES = (10, 30, 60)  # pixels per degree: a monitor of 0.25 mm pixels from 14, 43 and 86 cm
SPENDERS = ("elbo", "iddpm-cosine", "edm", "sigmoid-bias2", "min-snr-5-eps", "fm-ot", "sd3", "indi")
TEXTURES = ("brick", "grass", "gravel")  # the photographs that are close-ups
SIDE = 256  # pixels of a photograph
DIVISORS = (1, 2, 4, 8, 16, 32, 64, 128)  # of SIDE, that leave a spectrum
NYQUIST = 0.5  # cycles per pixel; the corners beyond have few coefficients
STRETCH = 400  # samples of a sound that are shown
SOUND_RATE = 44100  # samples a second


# --- photographs and their spectra -------------------------------------------------------------


@lru_cache
def photos() -> Mapping[str, NDArray]:
    """The eight photographs of ``data/`` by name, each (256, 256) on [−1, 1]."""
    from diffviz.data.files import load

    return {name: samples(photo) for name, photo in load("photos").items()}


@lru_cache
def spectrum(name: str = "") -> Spectrum:
    """The power spectrum of photographs.

    Args:
        name: Name of one photograph; all eight by default.

    Returns:
        The spectrum.

    Raises:
        ValueError: There is no such photograph.
    """
    if name and name not in photos():
        raise unknown("photograph", name, photos(), "experiments.perception.photos()")
    return image_spectrum(photos()[name] if name else np.stack(list(photos().values())))


def smaller(times: int) -> Spectrum:
    """The spectrum of all photographs at a lower resolution.

    Args:
        times: Side in pixels of the squares that are averaged, a power of 2 up to 128.

    Returns:
        The spectrum.

    Raises:
        ValueError: ``times`` is no such power.
    """
    times = one_of(times, "times", DIVISORS)
    side = SIDE // times
    squares = np.stack(list(photos().values())).reshape(-1, side, times, side, times)
    return image_spectrum(squares.mean((2, 4)))


def noised(image: ArrayLike, logsnr: float, seed: int = 0) -> NDArray:
    """Add noise: x + e^(−λ/2) eps, which is z/alpha in the units of x; the same eps at every λ.

    Args:
        image: Pixels, any shape.
        logsnr: λ in nats.
        seed: Seed of eps.

    Returns:
        The noised pixels, in the shape of the image.

    Raises:
        ValueError: A pixel or the level is not finite, or the seed is negative.
    """
    image = array(image, "image")
    logsnr = number(logsnr, "logsnr")
    rng = np.random.default_rng(checks.seed(seed))
    return image + np.exp(-logsnr / 2) * rng.standard_normal(image.shape)


class Power(NamedTuple):
    """Power by spatial frequency.

    Attributes:
        frequency: Cycles per image, shape (k,).
        curves: Power per coefficient by label, each (k,).
        slopes: β of S ∝ f^−β for each photograph, from 2 to 64 cycles per image.
    """

    frequency: NDArray
    curves: dict[str, NDArray]
    slopes: dict[str, float]


def _rings(spectrum_of_images: Spectrum) -> NDArray:
    """Which frequencies of a spectrum of images lie below Nyquist's."""
    return spectrum_of_images.frequency < NYQUIST


def photo_power() -> Power:
    """Power of each photograph and of all eight, by spatial frequency."""
    everything = spectrum()
    rings = _rings(everything)
    curves = {name: spectrum(name).power[rings] for name in photos()}
    slopes = {name: float(spectrum(name).slopes()[0]) for name in photos()}
    curves["all eight"] = everything.power[rings]
    return Power(everything.frequency[rings] * SIDE, curves, slopes)


class NoisedPower(NamedTuple):
    """Power of one photograph with noise.

    Attributes:
        name: Name of the photograph.
        frequency: Cycles per image, shape (k,).
        image: Power of the photograph, shape (k,).
        noise: Power of noise at λ = 0, shape (k,).
        measured: Power of the noised photograph by λ, each (k,).
        predicted: ``image`` + e^(−λ) by λ, each (k,).
    """

    name: str
    frequency: NDArray
    image: NDArray
    noise: NDArray
    measured: dict[float, NDArray]
    predicted: dict[float, NDArray]


def noised_power(name: str = "camera", levels: Iterable[float] = (4.0, 0.0, -4.0)) -> NoisedPower:
    """Power of a photograph under noise, measured and predicted.

    Args:
        name: Name of a photograph.
        levels: Levels λ in nats.

    Returns:
        The powers by level.

    Raises:
        ValueError: There is no such photograph, or a level is not finite.
    """
    clean = spectrum(name)
    rings = _rings(clean)
    image = clean.power[rings]
    noise = image_spectrum(noised(np.zeros((SIDE, SIDE)), 0.0)).power[rings]
    levels = tuple(levels)
    return NoisedPower(
        name=name,
        frequency=clean.frequency[rings] * SIDE,
        image=image,
        noise=noise,
        measured={
            level: image_spectrum(noised(photos()[name], level)).power[rings] for level in levels
        },
        predicted={level: image + np.exp(-level) for level in levels},
    )


def drowning(times: int) -> tuple[NDArray, NDArray]:
    """The level at which each frequency drowns in noise, at a lower resolution.

    Args:
        times: Side in pixels of the squares that are averaged, a power of 2 up to 128.

    Returns:
        Cycles per image and λ = −ln S in nats, both (k,).

    Raises:
        ValueError: ``times`` is no such power.
    """
    small = smaller(times)
    rings = _rings(small)
    return small.frequency[rings] * (SIDE // times), small.drowns[rings]


# --- one picture under noise -------------------------------------------------------------------


def noise_coefficients(side: int) -> NDArray:
    """Cosine coefficients of the noise that all pictures of a size are shown with.

    Args:
        side: Pixels a side.

    Returns:
        The coefficients, shape (side, side).

    Raises:
        TypeError: ``side`` is no whole number.
        ValueError: It is below 1.
    """
    side = count(side, "side")
    return fft.dctn(noised(np.zeros((side, side)), 0.0), norm="ortho")


def picture_of(content: bytes, name: str = "the file", side: int = SIDE) -> NDArray:
    """A picture of a file, grey and square: its middle, scaled.

    Args:
        content: The bytes of a file that Pillow reads, such as PNG or JPEG.
        name: Name of the file, for messages.
        side: Pixels a side of the result.

    Returns:
        The picture on [−1, 1], shape (side, side).

    Raises:
        TypeError: ``side`` is no whole number, or white is not known.
        ValueError: It is no picture, too small, or transparent, or a pixel is not finite.
    """
    size = (count(side, "side"),) * 2
    square = Image.fromarray(image_of_bytes(content, name).astype(np.float32))
    return np.clip(np.asarray(square.resize(size), dtype=float), -1, 1)


class Viewed:
    """What is looked at: its spectrum, and what is known of it at a level of noise.

    Args:
        spectrum: Its power spectrum.
        side: Pixels in a row.
    """

    def __init__(self, spectrum: Spectrum, side: int):
        self.spectrum = spectrum
        self.side = side

    @property
    def octaves(self) -> list[tuple[float, float]]:
        """Lower and upper end of each octave below Nyquist's frequency, in cycles per image."""
        ends = 2.0 ** np.arange(int(np.log2(self.side)))
        return list(pairwise(ends.tolist()))

    def known_share(self, low: float, high: float, logsnr: float) -> float:
        """Share of the power of a band that is known.

        Args:
            low: Lower end of the band, in cycles per image.
            high: Upper end.
            logsnr: λ in nats.

        Returns:
            The share.
        """
        cycles = self.spectrum.frequency * self.side
        band = (cycles >= low) & (cycles < high)
        power = self.spectrum.power * self.spectrum.count
        return float((self.spectrum.captured(logsnr) * power)[band].sum() / power[band].sum())


class Photograph(Viewed):
    """A square picture, its spectrum, and what noise leaves of it.

    The noise is the same at every level, so that a film of levels does not flicker.

    Args:
        pixels: Grey picture on [−1, 1], shape (n, n).

    Attributes:
        pixels: The picture, shape (n, n).
        spectrum: Its power spectrum.
        side: Pixels in a row.

    Raises:
        TypeError: The picture has no known full scale.
        ValueError: It is not square, constant, or not finite.
    """

    def __init__(self, pixels: ArrayLike):
        self.pixels = samples(pixels, "picture")
        super().__init__(image_spectrum(self.pixels), len(self.pixels))
        self._coefficients = fft.dctn(self.pixels, norm="ortho")
        self._noise = noise_coefficients(self.side)
        index = np.arange(self.side)
        self._ring = np.rint(np.hypot.outer(index, index)).astype(int)  # as in image_spectrum

    def noisy(self, logsnr: float) -> NDArray:
        """Z = alpha x + sigma eps on the variance-preserving path.

        Args:
            logsnr: λ in nats.

        Returns:
            The noisy picture, shape (n, n).
        """
        z = self._coefficients + np.exp(-logsnr / 2) * self._noise
        return fft.idctn(z, norm="ortho") / np.sqrt(1 + np.exp(-logsnr))

    def guess(self, logsnr: float, known: Spectrum | None = None) -> NDArray:
        """The linear estimate of x from z, which takes of each coefficient the share that is known.

        The mean of the picture counts as known.

        Args:
            logsnr: λ in nats.
            known: The spectrum that the estimate knows; that of the picture by default.

        Returns:
            The estimate, shape (n, n).
        """
        spectrum = self.spectrum if known is None else known
        shares = np.append(1.0, spectrum.captured(logsnr))
        estimate = (self._coefficients + np.exp(-logsnr / 2) * self._noise) * shares[self._ring]
        estimate[0, 0] = self._coefficients[0, 0]
        return fft.idctn(estimate, norm="ortho")


class Album(Viewed):
    """The eight photographs together: their mean spectrum, and what noise leaves of each.

    Attributes:
        photographs: The photographs.
        spectrum: The mean of their power spectra.
        side: Pixels in a row of each.
    """

    def __init__(self) -> None:
        self.photographs = [photograph(name) for name in photos()]
        super().__init__(spectrum(), SIDE)

    def noisy(self, logsnr: float) -> NDArray:
        """Each photograph with noise, as ``Photograph.noisy`` has it.

        Args:
            logsnr: λ in nats.

        Returns:
            The noisy pictures, shape (8, n, n).
        """
        return np.stack([one.noisy(logsnr) for one in self.photographs])

    def guess(self, logsnr: float) -> NDArray:
        """The linear estimate of each, which knows only the mean spectrum.

        Args:
            logsnr: λ in nats.

        Returns:
            The estimates, shape (8, n, n).
        """
        return np.stack([one.guess(logsnr, self.spectrum) for one in self.photographs])


class Recording:
    """A sound, its spectrum, and what noise leaves of its loudest stretch.

    Args:
        values: Samples of one channel on [−1, 1], shape (n,).
        rate: Samples a second.

    Attributes:
        rate: Samples a second.
        seconds: How long the sound is.
        spectrum: Its power spectrum.
        stretch: The samples around its loudest one, shape (m,).

    Raises:
        ValueError: The sound is silent, too short, or not finite, or the rate is not above 0.
    """

    def __init__(self, values: ArrayLike, rate: int):
        sound = samples(values, "sound")
        self.rate = count(rate, "rate")
        self.spectrum = sound_spectrum(sound)
        self.seconds = len(sound) / self.rate
        size = min(len(sound), STRETCH)
        start = min(max(0, int(np.abs(sound).argmax()) - size // 2), len(sound) - size)
        self.stretch = sound[start : start + size]
        self._noise = noised(np.zeros(size), 0.0)

    @property
    def octaves(self) -> list[tuple[float, float]]:
        """Lower and upper end of each octave around 1 kHz that is known, in Hz."""
        hertz = self.spectrum.frequency * self.rate
        centres = [1000 * 2.0**k for k in range(-5, 5)]
        ends = [(centre / np.sqrt(2), centre * np.sqrt(2)) for centre in centres]
        inside = [((hertz >= low) & (hertz < high)).any() for low, high in ends]
        return [pair for pair, holds in zip(ends, inside, strict=True) if holds]

    def noisy(self, logsnr: float) -> NDArray:
        """Z = alpha x + sigma eps of the stretch on the variance-preserving path.

        Args:
            logsnr: λ in nats.

        Returns:
            The noisy samples, shape (m,).
        """
        noise = np.exp(-logsnr / 2)
        return (self.stretch + noise * self._noise) / np.sqrt(1 + noise**2)

    def known_share(self, low: float, high: float, logsnr: float) -> float:
        """Share of the power of a band that is known.

        Args:
            low: Lower end of the band, in Hz.
            high: Upper end.
            logsnr: λ in nats.

        Returns:
            The share; 1 of a band without power.
        """
        hertz = self.spectrum.frequency * self.rate
        band = (hertz >= low) & (hertz < high)
        power = (self.spectrum.power * self.spectrum.count)[band]
        whole = power.sum()
        known = self.spectrum.captured(logsnr)[band] * power
        return float(known.sum() / whole) if whole else 1.0


@lru_cache
def photograph(name: str) -> Photograph:
    """One of the eight photographs of ``data/``.

    Args:
        name: Its name.

    Returns:
        The photograph.

    Raises:
        ValueError: There is no such photograph.
    """
    return Photograph(photos()[one_of(name, "photograph", photos())])


@lru_cache
def album() -> Album:
    """The eight photographs of ``data/`` together.

    Returns:
        The photographs with their mean spectrum.
    """
    return Album()


# --- what eyes and ears imply ------------------------------------------------------------------


@lru_cache
def seen(
    curve: str = "barten_2004", rate: float = 30.0, image: str = "", animal: str = "human"
) -> Implied:
    """The weightings that a sensitivity implies on photographs.

    Args:
        curve: Name of a sensitivity.
        rate: Pixels per degree.
        image: Name of one photograph; all eight by default.
        animal: Name of a species, to whose scale the sensitivity is moved.

    Returns:
        The rate–distortion and the projection weighting.

    Raises:
        ValueError: A name is unknown, or ``rate`` is not above 0.
    """
    if curve not in SENSITIVITIES:
        raise unknown("sensitivity", curve, SENSITIVITIES, "sensitivities.SENSITIVITIES")
    return implied(spectrum(image), species(animal, SENSITIVITIES[curve]), positive(rate, "rate"))


def relative_sensitivity(curve: Curve, frequency: ArrayLike) -> NDArray:
    """A sensitivity over its maximum on a grid; NaN where it is below a thousandth.

    Args:
        curve: A sensitivity, a function of cycles per degree.
        frequency: Cycles per degree, shape (n,).

    Returns:
        The relative sensitivity, shape (n,).

    Raises:
        ValueError: A frequency is not finite.
    """
    values = curve(array(frequency, "frequency"))
    peak = values.max()
    return np.where(values > 1e-3 * peak, values / peak, np.nan)


def sensitivity_curves(frequency: ArrayLike) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
    """Published contrast sensitivities of people, and one shape moved to other species' peaks.

    Args:
        frequency: Cycles per degree, shape (n,).

    Returns:
        Relative sensitivities by model, and by species; each (n,).

    Raises:
        ValueError: A frequency is not finite.
    """
    models = {
        NAMES[name]: relative_sensitivity(curve, frequency) for name, curve in SENSITIVITIES.items()
    }
    animals = {
        name: relative_sensitivity(species(name), frequency)
        for name in SPECIES
        if name != "macaque"  # close to the human one
    }
    return models, animals


def implied_by_column() -> dict[str, dict[str, Implied]]:
    """The weightings that contrast sensitivity implies: by model, by distance, by species."""
    animals = [name for name in SPECIES if name != "macaque"]  # it has the human peak
    return {
        "models, 30 pixels per degree": {NAMES[name]: seen(name) for name in SENSITIVITIES},
        "Barten 2004, by distance": {
            f"{rate} pixels per degree": seen(rate=float(rate)) for rate in DISTANCES
        },
        "species, 30 pixels per degree": {
            name: seen("movshon_kiorpes", animal=name) for name in animals
        },
    }


def heard() -> Implied:
    """The weightings that A-weighting implies on pink noise of variance 1 at 44.1 kHz."""
    return implied(pink_spectrum(), a_weighting, SOUND_RATE)


# --- slopes and neighbours ---------------------------------------------------------------------


def slopes(w: Curve, knots: ArrayLike = (-8.0, -4.0, 2.0, 8.0)) -> NDArray:
    """Mean slopes d ln w/dλ between neighbouring knots.

    Args:
        w: A weighting, a function of λ.
        knots: Increasing levels in nats, shape (k,).

    Returns:
        The slopes, shape (k − 1,).

    Raises:
        ValueError: The knots do not increase.
    """
    knots = increasing(knots, "knots")
    return np.diff(np.log(w(knots))) / np.diff(knots)


def _slope_text(w: Curve) -> str:
    """The slopes of w in a row."""
    return " ".join(f"{slope:+.2f}" for slope in slopes(w)).replace("-", "−")


def _peak_text(w: Curve) -> str:
    """Where on [−12, 12] a weighting is largest."""
    grid = np.linspace(-12, 12, 481)
    peak = grid[w(grid).argmax()]
    return f"λ = {peak:+.1f}".replace("-", "−") if peak < grid[-1] else "none, it rises"


@cached
def slope_table() -> str:
    """Slopes of implied weightings for every sensitivity at three distances, as text."""
    title = "slopes −8 to −4, −4 to 2, 2 to 8"
    rows = [f"{title:36}rate–distortion        projection             its peak"]
    for name in SENSITIVITIES:
        for rate in DISTANCES:
            view = seen(name, float(rate))
            label = f"{NAMES[name]:21} {rate} px/degree   "
            both = f"{_slope_text(view.rate_distortion):23}{_slope_text(view.projection):23}"
            rows.append(label + both + _peak_text(view.projection))
    flow = _slope_text(CATALOGUE["fm-ot"].weighting)
    return "\n".join([*rows, f"{'flow matching (fm-ot)':36}{flow}"])


def nearest(w: Curve, k: int = 3) -> dict[str, float]:
    """The entries of the catalogue that are nearest to a weighting, one of each class.

    Args:
        w: A weighting, a function of λ.
        k: How many.

    Returns:
        Standard deviation of ln of the ratio on [−6, 6] by name, nearest first.

    Raises:
        TypeError: ``k`` is no whole number.
        ValueError: ``k`` is not positive.
    """
    k = count(k, "k")
    grid = np.linspace(-6, 6, 241)
    values = {name: entry.weighting(grid) for name, entry in CATALOGUE.items()}
    gaps = {
        round(float(np.std(np.log(w(grid) / entry))), 9): name
        for name, entry in reversed(values.items())
        if (entry > 0).all()
    }
    return {gaps[gap]: gap for gap in sorted(gaps)[:k]}


# --- where the loss lies -----------------------------------------------------------------------


def photo_spending(logsnr: ArrayLike, names: Sequence[str] = SPENDERS) -> dict[str, NDArray]:
    """Loss densities of objectives on photographs.

    Args:
        logsnr: Increasing grid in nats, shape (n,).
        names: Objectives of the catalogue.

    Returns:
        w · mmse by name, each (n,).

    Raises:
        ValueError: The grid does not increase, or a name is unknown.
    """
    logsnr = increasing(logsnr, "logsnr")
    mmse = spectrum().mmse
    return {name: analysis.loss_density(objective(name), logsnr, mmse) for name in names}


class Shares(NamedTuple):
    """Shares below λ = 0 on [−10, 10].

    Attributes:
        weighting: Of w.
        loss: Of the loss on all photographs together.
        each: Of the loss on each photograph, shape (8,).
    """

    weighting: float
    loss: float
    each: NDArray


def shares(name: str) -> Shares:
    """Shares of an objective's weighting and of its loss on photographs below λ = 0.

    Args:
        name: Name of an objective.

    Returns:
        The shares.

    Raises:
        ValueError: The name is unknown.
    """
    entry = objective(name)
    each = [analysis.share_below(entry, mmse=spectrum(photo).mmse) for photo in photos()]
    return Shares(
        weighting=analysis.share_below(entry),
        loss=analysis.share_below(entry, mmse=spectrum().mmse),
        each=np.array(each),
    )


@cached
def share_table() -> str:
    """Shares below λ = 0 of the objectives of ``SPENDERS``, as text."""
    rows = ["                 of w   of the loss: white noise   eight photographs   one at a time"]
    for name in SPENDERS:
        weighting, loss, each = shares(name)
        white = analysis.share_below(CATALOGUE[name], mmse=analysis.gaussian_mmse)
        together = f"{name:14}{weighting:7.1%}{white:20.1%}{loss:20.1%}"
        rows.append(f"{together}{each.min():14.1%} to {each.max():.1%}")
    return "\n".join(rows)


# --- sounds ------------------------------------------------------------------------------------


def pink(n: int = 2**18, seed: int = 0) -> NDArray:
    """Pink noise, of power 1/f and a standard deviation of 0.2.

    Args:
        n: Number of samples, at least 2.
        seed: Seed of the noise.

    Returns:
        The sound, shape (n,).

    Raises:
        TypeError: A count or a seed is no whole number.
        ValueError: ``n`` is below 2, or the seed is negative.
    """
    n = count(n, "n", least=2)
    rng = np.random.default_rng(checks.seed(seed))
    frequency = fft.rfftfreq(n)
    frequency[0] = np.inf
    sound = fft.irfft(fft.rfft(rng.standard_normal(n)) * frequency**-0.5, n)
    return 0.2 * sound / sound.std()


def pink_spectrum() -> Spectrum:
    """1/f from 1/4000 of the Nyquist frequency up, with a mean power of 1 per coefficient."""
    f = np.arange(1, 4001) / 8000
    return Spectrum(f, f[None] ** -1.0 / np.mean(1 / f), np.full(len(f), 2.0))
