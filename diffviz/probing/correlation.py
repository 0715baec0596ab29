"""How the noise of a loss is spread over directions, where it is not white.

Log-SNR is one number only where the noise has one variance in all directions. Of other noise λ is
taken at the mean variance, and its range over frequencies or directions is given with it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BANDS = 8  # of spatial frequency
SIGNIFICANT = 6  # standard errors from which on a variance differs from the mean


@dataclass(frozen=True)
class Spread:
    """Variances of noise relative to their mean.

    Attributes:
        low: The least of them.
        high: The largest of them.
        over: What they are compared over, "frequency" or "direction".
    """

    low: float
    high: float
    over: str

    def __str__(self) -> str:
        with np.errstate(divide="ignore"):
            up, down = -np.log(self.low), np.log(self.high)
        return f"from {-down:.2f} to {up:+.2f} nats about it by {self.over}"


def spread(noise: NDArray, shape: tuple[int, ...]) -> Spread | None:
    """Find how noise is spread.

    Args:
        noise: Noise of many samples, shape (n, d).
        shape: Shape of a sample; the last two dimensions of three or more are taken for space.

    Returns:
        The spread, or None where the noise is white as far as these samples tell.
    """
    size = np.sqrt((noise**2).mean(1, keepdims=True))
    unit = (noise / np.where(size > 0, size, 1))[size[:, 0] > 0]
    if not len(unit):
        return None
    if len(shape) >= 3 and min(shape[-2:]) > 1:
        return _over_frequencies(unit.reshape(len(unit), -1, *shape[-2:]))
    if len(unit) >= 4 * unit.shape[1]:
        return _over_directions(unit)
    return None


def _over_frequencies(images: NDArray) -> Spread | None:
    """Spread over bands of frequency, of images of shape (n, channels, height, width)."""
    power = (np.abs(np.fft.fft2(images, norm="ortho")) ** 2).mean((0, 1))
    rows, columns = (np.fft.fftfreq(size) for size in power.shape)
    radius = np.hypot(rows[:, None], columns)
    band = np.minimum((radius / radius.max() * BANDS).astype(int), BANDS - 1).ravel()
    modes = np.bincount(band, minlength=BANDS)
    filled = modes > 0
    variance = np.bincount(band, power.ravel(), minlength=BANDS)[filled] / modes[filled]
    error = np.sqrt(2 / (modes[filled] * images.shape[0] * images.shape[1]))
    if (np.abs(variance - 1) < SIGNIFICANT * error).all():
        return None
    return Spread(float(variance.min()), float(variance.max()), "frequency")


def _over_directions(unit: NDArray) -> Spread | None:
    """Spread over the axes of the covariance, beyond what so many samples scatter.

    The eigenvalues of white noise lie within (1 ± sqrt(d/n))^2 (Marchenko and Pastur 1967).
    """
    n, d = unit.shape
    variance = np.linalg.eigvalsh(unit.T @ unit / n)
    scatter = np.sqrt(d / n)
    margin = 1 + SIGNIFICANT * n ** (-2 / 3)
    low, high = (1 - scatter) ** 2 / margin, (1 + scatter) ** 2 * margin
    if variance.min() > low and variance.max() < high:
        return None
    return Spread(max(float(variance.min()), 0.0), float(variance.max()), "direction")
