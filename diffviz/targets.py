"""What a loss compares: target = a x + b eps, and the one rule that replaces all pairwise converters.

Once z = alpha x + sigma eps is given, a wrong eps_hat makes the target wrong in proportion:

    gain = |b − a sigma/alpha|,        ‖target error‖² = gain² ‖eps error‖²

(Kingma & Gao 2023, arXiv 2303.00848, appendix A, for eps, x, v). ``v`` = alpha eps − sigma x uses variance-preserving scales
(Salimans & Ho 2022, arXiv 2202.00512); ``u`` = dz/dt is the flow velocity of the path at hand. The two are different targets.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffviz.checks import positive
from diffviz.frames import VP, noise_ratio
from diffviz.paths import LINEAR, Path


@dataclass(frozen=True)
class Target:
    """A target a x + b eps; ``a`` and ``b`` are functions of (λ, path)."""

    name: str
    a: Callable[[NDArray, Path], NDArray]
    b: Callable[[NDArray, Path], NDArray]

    def gain(self, logsnr: ArrayLike, path: Path) -> NDArray:
        """|b − a sigma/alpha|: the factor by which an error in eps_hat shows up in the target. λ and result of one shape."""
        at = np.asarray(logsnr, dtype=float)
        a = self.a(at, path)
        with np.errstate(
            invalid="ignore"
        ):  # a target without x gains nothing from it, also where sigma/alpha overflows
            return np.abs(self.b(at, path) - np.where(a == 0, 0.0, a * noise_ratio(at)))


def _velocity(logsnr: NDArray, path: Path, log_slope: ArrayLike) -> NDArray:
    """d log(scale)/dt from d log(scale)/dλ: the path's own speed |dλ/dt| runs towards noise."""
    with np.errstate(divide="ignore"):
        return -np.asarray(log_slope) / path.schedule.pdf(logsnr)


def edm_output(sigma_data: float = 0.5) -> Target:
    """EDM's network output F = (x − c_skip z)/c_out (Karras et al. 2022, arXiv 2206.00364, eq. 7), at sigma/alpha = e^(−λ/2)."""
    sd = positive(sigma_data, "sigma_data")
    size = lambda l: np.hypot(noise_ratio(l), sd)
    return Target(
        f"F(sigma_data={sd:g})",
        lambda l, path: noise_ratio(l) / (sd * size(l)),
        lambda l, path: -sd / size(l),
    )


_zero, _one = (
    (lambda logsnr, path: np.zeros_like(logsnr)),
    (lambda logsnr, path: np.ones_like(logsnr)),
)
EPS, X = Target("eps", _zero, _one), Target("x", _one, _zero)
V = Target("v", lambda logsnr, path: -VP.sigma(logsnr), lambda logsnr, path: VP.alpha(logsnr))
U = Target(
    "u",
    lambda logsnr, path: (
        path.frame.alpha(logsnr) * _velocity(logsnr, path, path.frame.slope(logsnr))
    ),
    lambda logsnr, path: (
        path.frame.sigma(logsnr) * _velocity(logsnr, path, path.frame.slope(logsnr) - 0.5)
    ),
)
SCORE = Target("score", _zero, lambda logsnr, path: -1 / path.frame.sigma(logsnr))
F = edm_output()
# DDPM's posterior mean of x_{t−dt}, as the step (mean − z)/dt in the limit of many steps (Ho et al. 2020, arXiv 2006.11239, eq. 7)
PREVIOUS = Target(
    "x_{t-1}",
    lambda logsnr, path: -VP.alpha(logsnr) * VP.sigma(logsnr) ** 2 * _velocity(logsnr, path, 0.5),
    lambda logsnr, path: (
        VP.sigma(logsnr) * (1 + VP.alpha(logsnr) ** 2) * _velocity(logsnr, path, 0.5)
    ),
)

TARGETS: Mapping[str, Target] = MappingProxyType(
    {t.name: t for t in (EPS, X, V, U, SCORE)} | {"F": F}
)
# in whose error a weight is expressed; u is the linear path's velocity eps − x
BASES: Mapping[str, Target] = MappingProxyType(
    {name: TARGETS[name] for name in ("eps", "x", "v", "u")}
)


def base_gain(base: str, logsnr: ArrayLike) -> NDArray:
    """Gain of a base, 1, e^(−λ/2), sqrt(1 + e^(−λ)), 1 + e^(−λ/2) for eps, x, v, u (linear path); ValueError for another."""
    if base not in BASES:
        raise ValueError(f"unknown base {base!r}; one of {', '.join(BASES)}")
    at = np.asarray(logsnr, dtype=float)
    return 1 + noise_ratio(at) if base == "u" else BASES[base].gain(at, LINEAR)


def convert(
    value: ArrayLike, z: ArrayLike, logsnr: ArrayLike, source: Target, to: Target, path: Path
) -> NDArray:
    """A prediction of one target as a prediction of another, given z: the linear rule, exact both ways.

    Args:
        value, z: the predicted ``source`` target and the noised data on ``path``, shape (..., d); logsnr: λ, broadcastable.
    Returns the predicted ``to`` target, same shape.
    Raises ValueError where the source does not determine x and eps (gain 0) or a scale is not finite.
    """
    at = np.asarray(logsnr, dtype=float)
    alpha, sigma, a, b = (
        path.frame.alpha(at),
        path.frame.sigma(at),
        source.a(at, path),
        source.b(at, path),
    )
    det = alpha * b - a * sigma
    if not (np.isfinite(det) & (det != 0)).all():
        raise ValueError(
            f"target {source.name!r} does not determine x and eps on {path.name!r} at some of these logsnr"
        )
    x, eps = (b * z - sigma * value) / det, (alpha * value - a * z) / det
    return to.a(at, path) * x + to.b(at, path) * eps
