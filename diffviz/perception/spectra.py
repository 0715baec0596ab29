"""Which noise level hides which frequency, and which weighting an eye or an ear implies.

Take an orthonormal coefficient with power S(f). An exact denoiser of Gaussian data leaves the
variance v = S/(1 + S e^λ) of it. Its eps error is c = e^λ v, and

    mmse(λ) = Σ c,      I(λ) = ½ Σ log(1 + S e^λ).

A frequency drowns at λ = −ln S(f), where noise and signal are level. An octave of f^−β is therefore
β ln 2 in λ.

Let q be the squared sensitivity at each frequency and D(λ) = Σ q v the perceptual distortion that
is left. Two weightings on the eps error follow:

    rate-distortion   2 Σ q v²/Σ v = (−dD/dλ)/(dI/dλ)    distortion removed per nat,
    projection        Σ q v/Σ v                          the sensitivity-weighted eps error over
                                                         the plain one.

With the first, ½ ∫ w mmse dλ = D(λ_min) − D(λ_max). The second depends on whose error is a unit.
An error of x is e^λ times as large in eps, so the projection of the x error is, as a weighting on
the eps error, e^−λ Σ q v/Σ v (``Implied.projection_of_x``). All three disagree about low SNR. Each
is a callable of λ, so ``dv.from_weighting`` makes an objective of it.

Limits: Gaussian data bound the loss from above; sensitivities are thresholds (``sensitivities``);
pixel values stand for contrast. Frequencies are cycles per sample unless a sensitivity names its
unit.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray
from scipy import fft, stats
from scipy.special import digamma, expit, log_expit

from diffviz.checks import count as whole_number
from diffviz.checks import cut, finite, number, positive, require
from diffviz.data.signals import samples
from diffviz.perception.sensitivities import Curve

# variance of an average of half-overlapping Hann segments, which correlate by 1/6 with the next
WELCH_LOSS = 18 / 19


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Power S of each orthonormal coefficient, and the Gaussian channel over it.

    The module says what its methods compute. They take λ of any shape.

    Args:
        frequency: Increasing, above 0, shape (k,).
        each: Power of each of m recordings, shape (m, k). Their mean is S.
        count: Independent coefficients behind each power, and so its weight in a sum, shape (k,).

    Raises:
        TypeError: An argument holds no real numbers.
        ValueError: The shapes or the order are others, or a power is negative, not finite, or 0
            throughout a recording.
    """

    frequency: NDArray
    each: NDArray
    count: NDArray

    def __post_init__(self) -> None:
        for name, label in (("frequency", "frequency"), ("each", "power"), ("count", "count")):
            object.__setattr__(self, name, finite(getattr(self, name), label))
        self._check_shapes()
        self._check_values()

    def _check_shapes(self) -> None:
        """Refuse arrays that do not fit together."""
        k = self.frequency.shape
        fits = len(k) == 1 and self.each.ndim == 2
        require(
            fits and self.each.shape[1:] == k and self.count.shape == k,
            "frequency (k,), each (m, k) and count (k,) have shapes "
            f"{k}, {self.each.shape}, {self.count.shape}",
        )

    def _check_values(self) -> None:
        """Refuse what is no frequency, no power or no count."""
        require(
            (np.diff(self.frequency, prepend=0) > 0).all(),
            "frequency must increase from above 0; the mean has no place in a spectrum",
        )
        has_power = len(self.each) > 0 and self.each.any(axis=1).all()
        require(
            has_power and (self.each >= 0).all() and (self.count > 0).all(),
            "each power must be >= 0 and somewhere positive (is a recording constant, or is there "
            "none?), count > 0",
        )

    @property
    def power(self) -> NDArray:
        """Mean power S of the recordings, shape (k,)."""
        return self.each.mean(0)

    @property
    def stderr(self) -> NDArray:
        """Standard error of S for Gaussian data, S sqrt(2/(m count)), shape (k,)."""
        return self.power * np.sqrt(2 / (len(self.each) * self.count))

    @property
    def drowns(self) -> NDArray:
        """λ = −ln S where noise and signal are level, shape (k,); inf where there is no signal."""
        with np.errstate(divide="ignore"):
            return -np.log(self.power)

    def remaining(self, logsnr: ArrayLike) -> NDArray:
        """Variance that is left in each coefficient of x, v = S/(1 + S e^λ).

        Args:
            logsnr: λ in nats, any shape.

        Returns:
            The variance, shape (..., k).

        Raises:
            TypeError: λ is no real number.
            ValueError: λ is not finite.
        """
        return self.power * expit(self.drowns - finite(logsnr, "logsnr")[..., None])

    def captured(self, logsnr: ArrayLike) -> NDArray:
        """Eps error of each coefficient, and the share of it that is known: S e^λ/(1 + S e^λ).

        Args:
            logsnr: λ in nats, any shape.

        Returns:
            The share, shape (..., k).

        Raises:
            TypeError: λ is no real number.
            ValueError: λ is not finite.
        """
        return expit(finite(logsnr, "logsnr")[..., None] - self.drowns)

    def mmse(self, logsnr: ArrayLike) -> NDArray:
        """E‖eps_hat − eps‖² of the exact denoiser, summed over coefficients.

        Args:
            logsnr: λ in nats, any shape.

        Returns:
            The error, same shape.

        Raises:
            TypeError: λ is no real number.
            ValueError: λ is not finite.
        """
        return self.captured(logsnr) @ self.count

    def information(self, logsnr: ArrayLike) -> NDArray:
        """Mutual information I(x; z_λ) = ½ Σ log(1 + S e^λ).

        Args:
            logsnr: λ in nats, any shape.

        Returns:
            The information in nats, same shape.

        Raises:
            TypeError: λ is no real number.
            ValueError: λ is not finite.
        """
        log_snr_of_each = finite(logsnr, "logsnr")[..., None] - self.drowns
        return np.logaddexp(0, log_snr_of_each) @ self.count / 2

    def slopes(self, low: float = 1 / 128, high: float = 1 / 4) -> NDArray:
        """β of S ∝ f^−β for each recording, by least squares in log-log; octaves weigh alike.

        The mean log of a chi-square over its d degrees of freedom is ψ(d/2) − ln(d/2). It is taken
        off, so that rings of few coefficients do not bend the line.

        Args:
            low: Lowest frequency of the fit.
            high: Highest frequency of the fit.

        Returns:
            β of each recording, shape (m,).

        Raises:
            TypeError: An end is no number.
            ValueError: The band holds fewer than three frequencies, or one without power.
        """
        low = number(low, "low")
        high = number(high, "high")
        band = (self.frequency >= low) & (self.frequency <= high)
        f = self.frequency[band]
        power = self.each[:, band]
        half = self.count[band] / 2
        require(
            len(f) >= 3 and power.all(),
            f"a slope needs 3 frequencies with power from low={low:g} to high={high:g}; "
            "widen the band",
        )
        log_power = np.log(power) - digamma(half) + np.log(half)
        slope, _ = np.polyfit(np.log(f), log_power.T, 1, w=f**-0.5)
        return -slope


def interval(values: ArrayLike, level: float = 0.95) -> tuple[float, float, float]:
    """Mean of values, and the ends of Student's confidence interval for it.

    Args:
        values: Independent values, shape (m,).
        level: Probability that the interval holds the mean.

    Returns:
        Mean, lower end and upper end.

    Raises:
        TypeError: An argument holds no real numbers.
        ValueError: There are fewer than two values, or the level lies outside (0, 1).
    """
    values = finite(values, "values")
    level = number(level, "level")
    require(0 < level < 1, f"level must lie between 0 and 1, such as 0.95; got {level:g}")
    require(
        values.ndim == 1 and len(values) > 1,
        f"a spread over recordings needs at least two of them, got shape {values.shape}",
    )
    mean = float(values.mean())
    half = float(stats.t.isf((1 - level) / 2, len(values) - 1) * stats.sem(values))
    return mean, mean - half, mean + half


class Transform(NamedTuple):
    """Power of images in an orthonormal basis.

    Args:
        axis: Frequency along one side, shape (n,).
        power: Power of each coefficient, shape (m, n, n).
        share: Independent coefficients for each coefficient.
    """

    axis: NDArray
    power: NDArray
    share: float


def _cosine_transform(x: NDArray) -> Transform:
    """Power in the orthonormal DCT-II."""
    n = x.shape[-1]
    coefficients = fft.dctn(x, axes=(1, 2), norm="ortho")
    return Transform(np.arange(n) / (2 * n), coefficients**2, 1.0)


def _windowed_transform(x: NDArray, window: str) -> Transform:
    """Power of the Fourier transform under a window of mean square 1.

    Tapering makes neighbours in a ring alike, so fewer of them are independent.
    """
    n = x.shape[-1]
    try:
        taper = scipy.signal.get_window(window, n)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"window must be the name of a window of SciPy: {cut(str(error))}"
        ) from error
    taper /= np.sqrt(np.mean(taper**2))
    power = np.abs(fft.fft2(x * np.outer(taper, taper), norm="ortho")) ** 2
    return Transform(np.abs(fft.fftfreq(n)), power, 1 / np.mean(taper**4))


def _centred_images(images: ArrayLike) -> NDArray:
    """Square grey images less their means, shape (m, n, n)."""
    x = samples(images, "images")
    if x.ndim not in (2, 3) or x.shape[-1] != x.shape[-2]:
        raise ValueError(
            f"images must be grey and square, got {x.shape}; drop alpha, average the colours, crop"
        )
    x = x[None] if x.ndim == 2 else x
    if not x.size or (np.ptp(x, axis=(1, 2)) == 0).any():
        raise ValueError("a constant image (or none) has no spectrum; leave it out")
    return x - x.mean((1, 2), keepdims=True)


def image_spectrum(images: ArrayLike, window: str | None = None) -> Spectrum:
    """Power of square grey images by rings of frequency up to the corners, about their means.

    Args:
        images: Images, shape (n, n) or (m, n, n).
        window: None for the orthonormal DCT-II, which has no edge to wrap round; or the name of a
            SciPy window for the Fourier transform.

    Returns:
        The spectrum, with one recording for each image.

    Raises:
        TypeError: The images have no known full scale; see ``samples``.
        ValueError: An image is not square, constant, or not finite, or it has colour or alpha
            channels.
    """
    x = _centred_images(images)
    transform = _cosine_transform(x) if window is None else _windowed_transform(x, window)
    radius = np.hypot.outer(transform.axis, transform.axis).ravel()
    ring = np.rint(radius / transform.axis[1]).astype(int)
    count = np.bincount(ring)
    sums = [np.bincount(ring, power.ravel()) for power in transform.power]
    frequency = np.bincount(ring, radius) / count
    each = np.array(sums) / count
    return Spectrum(frequency[1:], each[:, 1:], count[1:] * transform.share)


def sound_spectrum(sound: ArrayLike, segment: int = 1024) -> Spectrum:
    """Power of a sound by Welch's method, without mean and Nyquist frequency.

    Segments have a Hann window and overlap by half.

    Args:
        sound: One channel of samples, shape (n,).
        segment: Samples of a segment, at least 4.

    Returns:
        The spectrum, with one recording.

    Raises:
        TypeError: The sound has no known full scale (see ``samples``), or ``segment`` is no whole
            number.
        ValueError: The sound has several channels, is silent, or is shorter than two segments.
    """
    x = samples(sound, "sound")
    segment = whole_number(segment, "segment")
    if x.ndim != 1:
        raise ValueError(
            f"sound of shape {x.shape} has several channels; pass one of them or their mean"
        )
    if segment < 4 or len(x) < 2 * segment or np.ptp(x) == 0:
        raise ValueError(
            f"sound must hold two segments of {segment} >= 4 samples, not constant; "
            f"got {len(x)} samples"
        )
    frequency, density = scipy.signal.welch(x, nperseg=segment)
    inner = slice(1, (segment + 1) // 2)
    averages = (len(x) - segment) // (segment - segment // 2) + 1
    count = np.full(len(frequency), 2 * averages * WELCH_LOSS)  # a sine and a cosine each
    return Spectrum(frequency[inner], density[None, inner] / 2, count[inner])


def logsnr_shift(resolution: float = 1.0, contrast: float = 1.0) -> float:
    """Shift of the λ at which a structure drowns when a picture is resized or rescaled.

    Args:
        resolution: Pixels of a side after, over those before.
        contrast: Values after, over those before.

    Returns:
        The shift in nats.

    Raises:
        ValueError: An argument is not a finite number above 0.
    """
    factor = positive(resolution, "resolution") * positive(contrast, "contrast")
    return -2 * float(np.log(factor))


@dataclass(frozen=True, eq=False)
class WeightedSpectrum:
    """A spectrum under an eye or an ear.

    Args:
        spectrum: The spectrum.
        weight: Count times squared sensitivity at each frequency, shape (k,).
    """

    spectrum: Spectrum
    weight: NDArray

    def rate_distortion(self, logsnr: ArrayLike) -> NDArray:
        """2 Σ q v²/Σ v at λ in nats, same shape."""
        largest, v = self._normed(logsnr)
        return 2 * np.exp(largest) * (v**2 @ self.weight) / (v @ self.spectrum.count)

    def projection(self, logsnr: ArrayLike) -> NDArray:
        """Σ q v/Σ v at λ in nats, same shape."""
        _, v = self._normed(logsnr)
        return v @ self.weight / (v @ self.spectrum.count)

    def _normed(self, logsnr: ArrayLike) -> tuple[NDArray, NDArray]:
        """Logarithm of the largest v, in the shape of λ, and all v over the largest, (..., k).

        Far up the axis v itself underflows, and its squares sooner.
        """
        drowns = self.spectrum.drowns
        log_v = log_expit(drowns - finite(logsnr, "logsnr")[..., None]) - drowns
        largest = log_v.max(-1)
        return largest, np.exp(log_v - largest[..., None])

    def distortion(self, logsnr: ArrayLike) -> NDArray:
        """Σ q v at λ in nats, same shape."""
        return self.spectrum.remaining(logsnr) @ self.weight


class Implied(NamedTuple):
    """Functions of λ: two weightings on the eps error, and the distortion that is left.

    Args:
        rate_distortion: 2 Σ q v²/Σ v, the distortion removed per nat.
        projection: Σ q v/Σ v, the sensitivity-weighted eps error over the plain one.
        distortion: Σ q v.
    """

    rate_distortion: Curve
    projection: Curve
    distortion: Curve

    def projection_of_x(self, logsnr: ArrayLike) -> NDArray:
        """The projection with the x error as its base, as a weighting on eps: e^−λ Σ q v/Σ v.

        Args:
            logsnr: λ in nats, any shape.

        Returns:
            The weighting, same shape.

        Raises:
            TypeError: λ is no real number.
            ValueError: λ is not finite.

        Example:
            >>> flat = Spectrum([0.25], [[1.0]], [1.0])
            >>> float(implied(flat, np.ones_like, 1.0).projection_of_x(0.0))
            1.0
        """
        levels = finite(logsnr, "logsnr")
        return np.exp(-levels) * self.projection(levels)


def implied(spectrum: Spectrum, sensitivity: Curve, rate: float) -> Implied:
    """The weightings that a sensitivity implies for data with this spectrum.

    Args:
        spectrum: Spectrum of the data.
        sensitivity: A function of the frequency, in its own unit.
        rate: Samples per unit of that frequency: pixels per degree, or samples per second.

    Returns:
        Two weightings and the distortion, functions of λ. They pickle.

    Raises:
        TypeError: ``spectrum`` is no spectrum, or ``sensitivity`` no function.
        ValueError: The rate is not above 0, or a sensitivity is negative, not finite, or 0 at every
            frequency.
    """
    require(
        isinstance(spectrum, Spectrum),
        f"spectrum must be one of image_spectrum or sound_spectrum, got {type(spectrum).__name__}",
        TypeError,
    )
    require(
        callable(sensitivity),
        f"sensitivity must be a function of frequency, got {sensitivity!r}",
        TypeError,
    )
    unit = spectrum.frequency * positive(rate, "rate (pixels per degree, or samples per second)")
    try:
        sensitivities = finite(sensitivity(unit), "sensitivity")
    except ValueError as error:
        raise ValueError(f"{error}; the rate is {rate}") from None
    if sensitivities.shape != unit.shape:
        raise ValueError(
            f"sensitivity must give one value a frequency, shape {unit.shape}; "
            f"got {sensitivities.shape}"
        )
    if (sensitivities < 0).any() or not sensitivities.any():
        raise ValueError(
            "sensitivity must be >= 0, and positive at one of the spectrum's frequencies"
        )
    weighted = WeightedSpectrum(spectrum, spectrum.count * sensitivities**2)
    return Implied(weighted.rate_distortion, weighted.projection, weighted.distortion)
