"""How an eye sees the images: the weighting that it implies, and the error that it can see.

An eye that looks at images with a given number of pixels per degree senses a spatial frequency f as
strongly as its contrast sensitivity q(f) says.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from diffviz import checks
from diffviz.perception import sensitivities, spectra
from diffviz.search.datasets import IMAGES, images

PIXELS_PER_DEGREE = 30.0
SENSITIVITY = sensitivities.mannos_sakrison
BASES = ("eps", "x")  # whose error a projection takes as its unit


@cache
def eye(name: str, pixels_per_degree: float = PIXELS_PER_DEGREE) -> spectra.Implied:
    """What the eye implies for images: weightings, and the distortion that Gaussian data leave.

    Args:
        name: "digits" or "fashion".
        pixels_per_degree: From how far they are looked at.

    Returns:
        Functions of λ.

    Raises:
        ValueError: There are no images of that name, or the rate is not above 0.
    """
    return spectra.implied(spectra.image_spectrum(images(name)), SENSITIVITY, pixels_per_degree)


@dataclass(frozen=True)
class EyeWeighting:
    """A power of the rate-distortion weighting that the eye implies: w(λ) = w_rd(λ)^power.

    It is the geometric mixture of the ELBO's weighting (power 0) and the rate-distortion weighting
    (power 1).

    Args:
        data: "digits" or "fashion".
        power: The exponent.
        octaves: The images are looked at with 30 · 2^octaves pixels per degree.

    Raises:
        TypeError: A number is none.
        ValueError: There are no such images, or a number is not finite.
    """

    data: str
    power: float = 1.0
    octaves: float = 0.0

    def __post_init__(self) -> None:
        checks.one_of(self.data, "images", IMAGES)
        checks.number(self.power, "power")
        checks.number(self.octaves, "octaves")

    def __call__(self, logsnr: ArrayLike) -> NDArray:
        """The weighting at λ, same shape."""
        implied = eye(self.data, PIXELS_PER_DEGREE * 2.0**self.octaves)
        return implied.rate_distortion(checks.finite(logsnr, "logsnr")) ** self.power


@dataclass(frozen=True)
class ProjectedWeighting:
    """How visible a unit of error is on average, as a weighting on the eps error.

    With the error of eps as its base it is Σ q v/Σ v, with that of x e^−λ Σ q v/Σ v. The second is
    what the goal "distortion" itself gives to each level.

    Args:
        data: "digits" or "fashion".
        base: Whose error is a unit, "eps" or "x".

    Raises:
        ValueError: There are no such images, or the base is another.
    """

    data: str
    base: str = "eps"

    def __post_init__(self) -> None:
        checks.one_of(self.data, "images", IMAGES)
        checks.one_of(self.base, "base", BASES)

    def __call__(self, logsnr: ArrayLike) -> NDArray:
        """The weighting at λ, same shape."""
        implied = eye(self.data)
        w = implied.projection if self.base == "eps" else implied.projection_of_x
        return w(checks.finite(logsnr, "logsnr"))


def visible_error(error: ArrayLike) -> NDArray:
    """What the eye sees of errors of images.

    Each squared orthonormal DCT coefficient is weighted by the squared sensitivity at its
    frequency. The mean of an image does not count, since an eye senses change.

    Args:
        error: Errors of n square images, shape (n, side, side).

    Returns:
        The weighted sum for each image, shape (n,).

    Raises:
        TypeError: Errors are masked, complex, text or objects.
        ValueError: An error is not finite, or the images are not square.
    """
    error = checks.array(error, "error", ndim=3)
    side = error.shape[-1]
    checks.require(error.shape[1] == side, f"need square images, got shape {error.shape}")
    axis = np.arange(side) / (2 * side)  # cycles per pixel
    radius = np.hypot.outer(axis, axis)
    ring = np.rint(radius / axis[1]).astype(int)  # as in the spectrum
    frequency = np.bincount(ring.ravel(), radius.ravel()) / np.bincount(ring.ravel())
    weight = np.concatenate([[0.0], SENSITIVITY(PIXELS_PER_DEGREE * frequency[1:]) ** 2])
    spectrum = fft.dctn(error, axes=(1, 2), norm="ortho") ** 2
    return (weight[ring] * spectrum).sum((1, 2))
