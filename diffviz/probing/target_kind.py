"""Names of the path's frame and of the target, from coefficients.

A frame is a curve on which (alpha, sigma) lies, such as alpha^2 + sigma^2 = 1. It is known up to
the unit in which the data are measured. A target is named by comparing (a, b) with those of the
known targets.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Frame:
    """A curve on which (alpha, sigma) may lie.

    Attributes:
        name: Its name in words.
        data_size: Size of the data for which (alpha, sigma) lies on it, draw by draw.
    """

    name: str
    data_size: Callable[[NDArray, NDArray], NDArray]


def _size_on_the_circle(alpha: NDArray, sigma: NDArray) -> NDArray:
    """Size of the data in units in which alpha^2 + sigma^2 = 1."""
    return alpha / np.sqrt(np.maximum(1 - sigma**2, 1e-12))


def _size_on_the_line(alpha: NDArray, sigma: NDArray) -> NDArray:
    """Size of the data in units in which alpha + sigma = 1."""
    return alpha / np.maximum(1 - sigma, 1e-12)


def _size_of_alpha(alpha: NDArray, sigma: NDArray) -> NDArray:
    """Size of the data in units in which alpha = 1."""
    return alpha


VP = Frame("variance-preserving", _size_on_the_circle)
LINEAR = Frame("linear (alpha + sigma = 1)", _size_on_the_line)
VE = Frame("variance-exploding (alpha = 1)", _size_of_alpha)
FRAMES = (VP, LINEAR, VE)
ALONG = 0.99  # cosine of the angle between a target and the path that it runs along
MOST = 0.97  # share of the draws that must agree


@dataclass(frozen=True)
class FrameFit:
    """The frame that a path lies on, and the unit of its data.

    Attributes:
        frame: The frame, where the data are in its units; None elsewhere.
        description: The same in words.
        scale: Factor by which the loss multiplies x before noise is added.
    """

    frame: Frame | None
    description: str
    scale: float


@np.errstate(all="ignore")
def fit_frame(
    alpha: NDArray, sigma: NDArray, shift: float, scale: float | None, tolerance: float
) -> FrameFit:
    """Find the frame and the scale of the data.

    Args:
        alpha: Coefficient of x in z, shape (n,).
        sigma: Coefficient of the noise in z, shape (n,).
        shift: Constant that the loss adds to x, in units of alpha; -1/2 for x -> 2x - 1.
        scale: Factor of the data, if it is known.
        tolerance: Relative error up to which a frame fits.

    Returns:
        Frame, its description and the scale.
    """
    sizes = _data_sizes(alpha, sigma, tolerance)
    if scale is None:
        scale = _scale_of(sizes, shift, tolerance)
    in_its_units = [frame for frame, size in sizes.items() if abs(scale / size - 1) < tolerance]
    if in_its_units:
        return FrameFit(in_its_units[0], in_its_units[0].name, scale)
    if sizes:
        frame, size = next(iter(sizes.items()))
        description = (
            f"{frame.name} for data in units of {scale / size:.4g} "
            f"(if the loss multiplies x by {size:.4g}, give that as scale=)"
        )
        return FrameFit(None, description, scale)
    return FrameFit(None, "on none of the usual frames", scale)


def _data_sizes(alpha: NDArray, sigma: NDArray, tolerance: float) -> dict[Frame, float]:
    """The frames that fit, with the size of the data on each."""
    near_end = sigma >= 0.98 if sigma.min() < 0.98 else np.zeros(len(sigma), bool)
    clear = (sigma > 0.02) & ~near_end
    sizes = {}
    for frame in FRAMES if clear.any() else ():
        size = frame.data_size(alpha[clear], sigma[clear])
        median = np.median(size)
        if np.quantile(np.abs(size / median - 1), 0.99) < tolerance:
            sizes[frame] = float(median)
    return sizes


def _scale_of(sizes: dict[Frame, float], shift: float, tolerance: float) -> float:
    """The scale where it is not given: 1 if that fits, else what a shift of the data tells."""
    if any(abs(size - 1) < tolerance for size in sizes.values()):
        return 1.0
    if abs(shift + 0.5) < tolerance:
        return 2.0
    if abs(shift) > tolerance and sizes:
        return next(iter(sizes.values()))
    return 1.0


# Targets -----------------------------------------------------------------------------------------


def _sign(factor: NDArray) -> NDArray:
    """The sign of a factor, if it may have no other size than 1."""
    return np.sign(np.median(factor))


def _any_of_each_draw(factor: NDArray) -> NDArray:
    """A factor that may differ between draws."""
    return factor


@dataclass(frozen=True, eq=False)
class KnownTarget:
    """A target that has a name.

    Attributes:
        kind: Its name.
        a: Coefficient of x, a number or shape (n,).
        b: Coefficient of eps, a number or shape (n,).
        common: Which common factor of (a, b) is still the same target.
        leeway: Multiple of the tolerance that is allowed.
    """

    kind: str
    a: NDArray | float
    b: NDArray | float
    common: Callable[[NDArray], NDArray] = np.median
    leeway: float = 1.0

    def deviation(self, a: NDArray, b: NDArray) -> float:
        """Relative deviation of (a, b) from this target, exceeded by a twentieth of the draws."""
        factor = self.common((a * self.a + b * self.b) / (self.a**2 + self.b**2))
        distance = np.hypot(a - factor * self.a, b - factor * self.b)
        return float(np.quantile(distance / np.hypot(a, b), 0.95))


@np.errstate(all="ignore")
def name_target(
    alpha: NDArray,
    sigma: NDArray,
    a: NDArray,
    b: NDArray,
    frame: Frame | None,
    tolerance: float,
) -> str:
    """Name the target a x + b eps: up to its sign, and eps, x and score up to a constant.

    Args:
        alpha: Coefficient of x in z, shape (n,).
        sigma: Coefficient of the noise in z, shape (n,).
        a: Coefficient of x in the target, shape (n,).
        b: Coefficient of the noise in the target, shape (n,).
        frame: The frame that alpha and sigma lie on.
        tolerance: Relative error up to which a target is recognised.

    Returns:
        The kind of the target, or "other".
    """
    for target in _known_targets(alpha, sigma, a, b, frame):
        if target.deviation(a, b) < tolerance * target.leeway:
            return target.kind
    return "other"


def _known_targets(
    alpha: NDArray, sigma: NDArray, a: NDArray, b: NDArray, frame: Frame | None
) -> list[KnownTarget]:
    """The targets that have names, on a given path."""
    targets = [KnownTarget("eps", 0, 1), KnownTarget("x", 1, 0)]
    if frame == VP:
        norm = np.hypot(alpha, sigma)
        targets.append(KnownTarget("v", -sigma / norm, alpha / norm, common=_sign))
    targets.append(KnownTarget("score", 0, 1 / sigma))
    targets.append(_edm_target(alpha, sigma, a, b))
    if frame == LINEAR:
        targets.append(KnownTarget("u", -1, 1))
    elif len(alpha) > 1:
        targets.append(_velocity(alpha, sigma))
    return targets


def _edm_target(alpha: NDArray, sigma: NDArray, a: NDArray, b: NDArray) -> KnownTarget:
    """EDM's F, with the sigma_data that its coefficients tell (Karras et al. 2022, eq. 8)."""
    ratio = sigma / alpha
    sigma_data = np.sqrt(np.median((1 - b**2) / a**2))
    norm = np.hypot(ratio, sigma_data)
    return KnownTarget(
        kind=f"F (sigma_data {sigma_data:.3g})",
        a=ratio / sigma_data / norm,
        b=-sigma_data / norm,
        common=_sign,
    )


def _velocity(alpha: NDArray, sigma: NDArray) -> KnownTarget:
    """dz/dt on any path: (a, b) is along the path, at any speed."""
    slope_of_alpha, slope_of_sigma = _slopes(alpha, sigma)
    return KnownTarget("u", slope_of_alpha, slope_of_sigma, common=_any_of_each_draw, leeway=10)


def _slopes(alpha: NDArray, sigma: NDArray) -> tuple[NDArray, NDArray]:
    """Steps of alpha and sigma from draw to draw along their path, which may cross alpha = 0."""
    order = np.argsort(np.arctan2(alpha, sigma))
    place = np.argsort(order)
    return np.gradient(alpha[order])[place], np.gradient(sigma[order])[place]


def crosses_zero(alpha: NDArray, sigma: NDArray, a: NDArray, b: NDArray) -> bool:
    """Whether the target runs along one path through alpha = 0, in one direction.

    Where a loss changes the sign of its data at random, the target runs along the path in both
    directions.

    Args:
        alpha: Coefficient of x in z, of both signs, shape (n,).
        sigma: Coefficient of the noise in z, shape (n,).
        a: Coefficient of x in the target, shape (n,).
        b: Coefficient of the noise in the target, shape (n,).

    Returns:
        Whether nearly all draws agree on the direction, and run along the path.
    """
    slope_of_alpha, slope_of_sigma = _slopes(alpha, sigma)
    lengths = np.hypot(slope_of_alpha, slope_of_sigma) * np.hypot(a, b)
    cosine = (a * slope_of_alpha + b * slope_of_sigma) / np.maximum(lengths, np.finfo(float).tiny)
    direction = np.sign(np.median(cosine))
    return bool((direction * cosine > ALONG).mean() > MOST)
