"""Which noise level is which frequency, and which weighting an eye or an ear implies.

Of an orthonormal coefficient with power S(f), an exact denoiser of Gaussian data leaves v = S/(1 + S e^λ). With c = e^λ v its eps-mmse,

    mmse(λ) = Σ c,      I(λ) = ½ Σ log(1 + S e^λ),      and a frequency drowns at λ = −ln S(f): an octave of f^−β is β ln 2 in λ.

With q the squared sensitivity at each frequency and D(λ) = Σ q v the perceptual distortion left, two weightings on the eps error are

    rate-distortion   2 Σ q v²/Σ v = (−dD/dλ)/(dI/dλ)    distortion removed per nat;  ½ ∫ w mmse dλ = D(λ_min) − D(λ_max)
    projection        Σ q v/Σ v                          the sensitivity-weighted eps error over the plain one

and they disagree about low SNR. Either is a callable of λ, so that ``dv.from_weighting`` makes an objective of it. Limits: Gaussian data bound
the loss from above; sensitivities are thresholds (see ``sensitivities``); pixel values stand for contrast. Frequencies are cycles per sample
unless a sensitivity names its unit.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft, signal, stats
from scipy.special import digamma, expit

from diffviz.checks import finite, positive
from diffviz.data.signals import samples
from diffviz.perception.sensitivities import Curve


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Power S per orthonormal coefficient, and the Gaussian channel over it (module docstring). Methods take λ of any shape.

    Args:
        frequency: increasing, above 0, shape (k,).
        each: power of each of m recordings, shape (m, k); their mean is S.
        count: independent coefficients behind each power, and so its weight in a sum, shape (k,).
    Raises:
        ValueError: for other shapes or order, and power that is negative, not finite, or 0 throughout a recording.
    """

    frequency: NDArray
    each: NDArray
    count: NDArray

    def __post_init__(self):
        k, mk, of_count = (np.shape(one) for one in (self.frequency, self.each, self.count))
        if len(k) != 1 or mk[1:] != k or of_count != k:
            raise ValueError(
                f"frequency (k,), each (m, k) and count (k,) have shapes {k}, {mk}, {of_count}"
            )
        if (np.diff(finite(self.frequency, "frequency"), prepend=0) <= 0).any():
            raise ValueError(
                "frequency must increase from above 0; the mean has no place in a spectrum"
            )
        if (
            (finite(self.each, "power") < 0).any()
            or not (len(self.each) and self.each.any(axis=1).all())
            or (finite(self.count, "count") <= 0).any()
        ):
            raise ValueError(
                "power must be >= 0 and somewhere positive (is a recording constant, or is there none?), count > 0"
            )

    @property
    def power(self) -> NDArray:
        """S, shape (k,)."""
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
        """v = S/(1 + S e^λ): variance left in each coefficient of x, shape (..., k)."""
        return self.power * expit(self.drowns - finite(logsnr, "logsnr")[..., None])

    def captured(self, logsnr: ArrayLike) -> NDArray:
        """c = S e^λ/(1 + S e^λ): eps-mmse of each coefficient and the share of it that is known, shape (..., k)."""
        return expit(finite(logsnr, "logsnr")[..., None] - self.drowns)

    def mmse(self, logsnr: ArrayLike) -> NDArray:
        """E‖eps_hat − eps‖² of the exact denoiser, summed over coefficients."""
        return self.captured(logsnr) @ self.count

    def information(self, logsnr: ArrayLike) -> NDArray:
        """I(x; z_λ) = ½ Σ log(1 + S e^λ) in nats."""
        return np.logaddexp(0, finite(logsnr, "logsnr")[..., None] - self.drowns) @ self.count / 2

    def slopes(self, low: float = 1 / 128, high: float = 1 / 4) -> NDArray:
        """β of S ∝ f^−β for each recording, shape (m,): least squares in log-log on [low, high], octaves weighing alike.

        The mean log of a chi-square over its d, ψ(d/2) − ln(d/2), is taken off, so that rings of few coefficients do not bend the line.
        Raises ValueError if the band holds fewer than three frequencies, or one without power.
        """
        band = (self.frequency >= low) & (self.frequency <= high)
        f, power, half = self.frequency[band], self.each[:, band], self.count[band] / 2
        if len(f) < 3 or not power.all():
            raise ValueError(
                f"a slope needs 3 frequencies with power in [{low:g}, {high:g}]; widen the band"
            )
        return -np.polyfit(
            np.log(f), (np.log(power) - digamma(half) + np.log(half)).T, 1, w=f**-0.5
        )[0]


def interval(values: ArrayLike, level: float = 0.95) -> tuple[float, float, float]:
    """Mean of ``values`` (m,), and the ends of Student's confidence interval for it; ValueError for fewer than two values."""
    values = finite(values, "values")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, such as 0.95; got {level}")
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(
            f"a spread over recordings needs at least two of them, got shape {values.shape}"
        )
    mean, half = (
        float(values.mean()),
        float(stats.t.isf((1 - level) / 2, len(values) - 1) * stats.sem(values)),
    )
    return mean, mean - half, mean + half


def image_spectrum(images: ArrayLike, window: str | None = None) -> Spectrum:
    """Power of square grey images (n, n) or (m, n, n) by rings of frequency up to the corners, about each image's mean.

    Args:
        window: None for the orthonormal DCT-II, which has no edge to wrap round; or a SciPy window for the Fourier transform.
    Raises:
        TypeError, ValueError: see ``samples``; and for images not square, constant, or with colour or alpha channels.
    """
    x = samples(images, "images")
    if x.ndim not in (2, 3) or x.shape[-1] != x.shape[-2]:
        raise ValueError(
            f"images must be grey and square, got {x.shape}; drop alpha, average the colours, crop"
        )
    n = x.shape[-1]
    x = x[None] if x.ndim == 2 else x
    if not x.size or (np.ptp(x, axis=(1, 2)) == 0).any():
        raise ValueError("a constant image (or none) has no spectrum; leave it out")
    x = x - x.mean((1, 2), keepdims=True)
    if window is None:
        axis, share, power = (
            np.arange(n) / (2 * n),
            1.0,
            fft.dctn(x, axes=(1, 2), norm="ortho") ** 2,
        )
    else:
        taper = signal.get_window(window, n)
        taper /= np.sqrt(np.mean(taper**2))
        axis, share = (
            np.abs(fft.fftfreq(n)),
            1 / np.mean(taper**4),
        )  # tapering makes neighbours in a ring alike
        power = np.abs(fft.fft2(x * np.outer(taper, taper), norm="ortho")) ** 2
    radius = np.hypot.outer(axis, axis).ravel()
    ring = np.rint(radius / axis[1]).astype(int)
    count = np.bincount(ring)
    each = np.array([np.bincount(ring, one.ravel()) for one in power]) / count
    return Spectrum((np.bincount(ring, radius) / count)[1:], each[:, 1:], count[1:] * share)


def sound_spectrum(sound: ArrayLike, segment: int = 1024) -> Spectrum:
    """Power of a sound (n,) by Welch's method (Hann, half overlap), without mean and Nyquist frequency.

    Raises:
        TypeError, ValueError: see ``samples``; for several channels, silence, fewer than two segments of at least 4 samples.
    """
    x = samples(sound, "sound")
    if x.ndim != 1:
        raise ValueError(
            f"sound of shape {x.shape} has several channels; pass one of them or their mean"
        )
    if segment < 4 or len(x) < 2 * segment or np.ptp(x) == 0:
        raise ValueError(
            f"sound must hold two segments of {segment} >= 4 samples, not constant; got {len(x)} samples"
        )
    frequency, density = signal.welch(x, nperseg=segment)
    inner, averages = (
        slice(1, (segment + 1) // 2),
        (len(x) - segment) // (segment - segment // 2) + 1,
    )
    count = np.full(
        len(frequency), 2 * averages * 18 / 19
    )  # sine and cosine; neighbouring segments correlate by 1/6
    return Spectrum(frequency[inner], density[None, inner] / 2, count[inner])


def logsnr_shift(resolution: float = 1.0, contrast: float = 1.0) -> float:
    """Shift of the λ at which a structure drowns, given ``resolution`` × the pixels a side and ``contrast`` × the values."""
    return -2 * float(np.log(positive(resolution, "resolution") * positive(contrast, "contrast")))


class Implied(NamedTuple):
    """Functions of λ: two weightings on the eps error, and the distortion left (module docstring)."""

    rate_distortion: Curve
    projection: Curve
    distortion: Curve


def implied(spectrum: Spectrum, sensitivity: Curve, rate: float) -> Implied:
    """The weightings that a sensitivity implies for data with this spectrum.

    Args:
        rate: samples per unit of the sensitivity's frequency: pixels per degree, or samples per second.
    Raises:
        ValueError: for a rate <= 0, or a sensitivity that is negative, not finite, or 0 at every frequency.
    """
    unit = spectrum.frequency * positive(rate, "rate (pixels per degree, or samples per second)")
    seen = finite(sensitivity(unit), "sensitivity")
    if seen.shape != unit.shape:
        raise ValueError(
            f"sensitivity must give one value a frequency, shape {unit.shape}; got {seen.shape}"
        )
    if (seen < 0).any() or not seen.any():
        raise ValueError(
            "sensitivity must be >= 0, and positive at one of the spectrum's frequencies"
        )
    n, q, v = spectrum.count, spectrum.count * seen**2, spectrum.remaining
    return Implied(
        lambda l: 2 * v(l) ** 2 @ q / (v(l) @ n),
        lambda l: v(l) @ q / (v(l) @ n),
        lambda l: v(l) @ q,
    )
