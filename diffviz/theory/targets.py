"""What a loss compares: target = a x + b eps. One rule replaces all pairwise converters.

Once z = alpha x + sigma eps is given, a wrong eps_hat makes the target wrong in proportion:

    gain = |b − a sigma/alpha|,        ‖target error‖² = gain² ‖eps error‖²

(Kingma and Gao 2023, arXiv 2303.00848, appendix A, for eps, x, v). The target ``v`` = alpha eps −
sigma x uses variance-preserving scales (Salimans and Ho 2022, arXiv 2202.00512). The target ``u`` =
dz/dt is the flow velocity of the path at hand. The two are different.

Example:
    >>> dv.targets.U.gain([-2.0, 0.0, 2.0], dv.paths.LINEAR).round(3)
    array([3.718, 2.   , 1.368])
    >>> dv.targets.V.gain([-2.0, 0.0, 2.0], dv.paths.COSINE).round(3)
    array([2.896, 1.414, 1.066])
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffviz.checks import brief, finite, instance, positive
from diffviz.theory.frames import VP, levels, noise_ratio
from diffviz.theory.laws import density
from diffviz.theory.paths import LINEAR, Path, checked_path

Coefficient = Callable[[NDArray, Path], NDArray]
Coefficients = Callable[[NDArray, Path], tuple[NDArray, NDArray]]


@dataclass(frozen=True)
class Target:
    """A target a x + b eps.

    Args:
        name: What plots and errors call the target.
        a: Coefficient of x, a function of λ and the path.
        b: Coefficient of eps, a function of λ and the path.
        both: a and b at once, where together they cost less than singly.
        short_gain: |b − a sigma/alpha| as one formula, where there is a shorter one.
    """

    name: str
    a: Coefficient
    b: Coefficient
    both: Coefficients | None = None
    short_gain: Coefficient | None = None

    def coefficients(self, logsnr: NDArray, path: Path) -> tuple[NDArray, NDArray]:
        """Both coefficients at λ.

        Args:
            logsnr: λ in nats, any shape.
            path: The path that z lives on.

        Returns:
            a and b, each in λ's shape.
        """
        if self.both is not None:
            return self.both(logsnr, path)
        return self.a(logsnr, path), self.b(logsnr, path)

    def gain(self, logsnr: ArrayLike, path: Path) -> NDArray:
        """How much an error in eps_hat shows up in the target: |b − a sigma/alpha|.

        Args:
            logsnr: λ in nats, any shape.
            path: The path that z lives on.

        Returns:
            The gain, same shape.

        Raises:
            TypeError: λ is no real number, or ``path`` is no path.
            ValueError: λ is NaN.
        """
        at = levels(logsnr)
        path = checked_path(path)
        if self.short_gain is not None:
            return self.short_gain(at, path)
        a, b = self.coefficients(at, path)
        if not np.any(a):  # eps and its multiples, for which sigma/alpha is computed in vain
            return np.abs(b - a)
        with np.errstate(invalid="ignore"):  # 0 · inf where sigma/alpha overflows
            from_x = np.where(a == 0, 0.0, a * noise_ratio(at))
            return np.abs(b - from_x)


# --- coefficients: functions of λ (any shape, nats) and the path, of λ's shape --------------------


def zero(logsnr: NDArray, path: Path) -> NDArray:
    """0."""
    return np.zeros_like(logsnr)


def one(logsnr: NDArray, path: Path) -> NDArray:
    """1."""
    return np.ones_like(logsnr)


def v_of_x(logsnr: NDArray, path: Path) -> NDArray:
    """Coefficient of x in v: −sigma, variance-preserving."""
    return -VP.sigma(logsnr)


def v_of_eps(logsnr: NDArray, path: Path) -> NDArray:
    """Coefficient of eps in v: alpha, variance-preserving."""
    return VP.alpha(logsnr)


def speed(logsnr: NDArray, path: Path, log_slope: ArrayLike) -> NDArray:
    """Derivative d log(scale)/dt of a scale with a given d log(scale)/dλ; λ falls with time.

    Args:
        logsnr: λ in nats, any shape.
        path: The path that z lives on.
        log_slope: d log(scale)/dλ, a float or λ's shape.

    Returns:
        d log(scale)/dt, λ's shape.
    """
    with np.errstate(divide="ignore"):
        return -np.asarray(log_slope) / density(path.schedule, logsnr)


def u_of_both(logsnr: NDArray, path: Path) -> tuple[NDArray, NDArray]:
    """Coefficients of x and eps in u: d alpha/dt and d sigma/dt."""
    slope = path.frame.slope(logsnr)
    pace = speed(logsnr, path, 1.0)
    a = path.frame.alpha(logsnr) * (slope * pace)
    b = path.frame.sigma(logsnr) * ((slope - 0.5) * pace)
    return a, b


def u_of_x(logsnr: NDArray, path: Path) -> NDArray:
    """Coefficient of x in u: d alpha/dt."""
    return u_of_both(logsnr, path)[0]


def u_of_eps(logsnr: NDArray, path: Path) -> NDArray:
    """Coefficient of eps in u: d sigma/dt."""
    return u_of_both(logsnr, path)[1]


def gain_of_u(logsnr: NDArray, path: Path) -> NDArray:
    """Gain of u, ½ sigma |dλ/dt|: alpha′ = s alpha λ′ and sigma′ = (s − ½) sigma λ′ in the rule.

    Here s is d log alpha/dλ, and it cancels in sigma′ − alpha′ sigma/alpha.
    """
    return path.frame.sigma(logsnr) * np.abs(speed(logsnr, path, 0.5))


def score_of_eps(logsnr: NDArray, path: Path) -> NDArray:
    """Coefficient of eps in the score of the noising kernel: −1/sigma."""
    return -1 / path.frame.sigma(logsnr)


def previous_of_x(logsnr: NDArray, path: Path) -> NDArray:
    """Coefficient of x in DDPM's step to its posterior mean, for many steps."""
    return -VP.alpha(logsnr) * VP.sigma(logsnr) ** 2 * speed(logsnr, path, 0.5)


def previous_of_eps(logsnr: NDArray, path: Path) -> NDArray:
    """Coefficient of eps in DDPM's step to its posterior mean, for many steps."""
    return VP.sigma(logsnr) * (1 + VP.alpha(logsnr) ** 2) * speed(logsnr, path, 0.5)


@dataclass(frozen=True)
class OutputOfX:
    """Coefficient of x in EDM's F: r/(sigma_data · sqrt(r² + sigma_data²)), r = sigma/alpha.

    Args:
        sigma_data: Standard deviation of the data.
    """

    sigma_data: float

    def __call__(self, logsnr: NDArray, path: Path) -> NDArray:
        """The coefficient at λ in nats, same shape."""
        ratio = noise_ratio(logsnr)
        return ratio / (self.sigma_data * np.hypot(ratio, self.sigma_data))


@dataclass(frozen=True)
class OutputOfEps:
    """Coefficient of eps in EDM's F: −sigma_data/sqrt(r² + sigma_data²), r = sigma/alpha.

    Args:
        sigma_data: Standard deviation of the data.
    """

    sigma_data: float

    def __call__(self, logsnr: NDArray, path: Path) -> NDArray:
        """The coefficient at λ in nats, same shape."""
        return -self.sigma_data / np.hypot(noise_ratio(logsnr), self.sigma_data)


def edm_output(sigma_data: float = 0.5) -> Target:
    """EDM's network output F = (x − c_skip z)/c_out, at sigma/alpha = e^(−λ/2).

    Source: Karras et al. 2022 (arXiv 2206.00364), eq. 7.

    Args:
        sigma_data: Standard deviation of the data.

    Returns:
        The target.

    Raises:
        ValueError: sigma_data is not a finite number above 0.
    """
    scale = positive(sigma_data, "sigma_data")
    return Target(f"F(sigma_data={scale:g})", OutputOfX(scale), OutputOfEps(scale))


# --- the targets --------------------------------------------------------------------------------

EPS = Target("eps", zero, one)
X = Target("x", one, zero)
V = Target("v", v_of_x, v_of_eps)
U = Target("u", u_of_x, u_of_eps, u_of_both, gain_of_u)
SCORE = Target("score", zero, score_of_eps)
F = edm_output()
# DDPM's posterior mean of x_{t−dt}, as the step (mean − z)/dt in the limit of many steps
# (Ho et al. 2020, arXiv 2006.11239, eq. 7)
PREVIOUS = Target("x_{t-1}", previous_of_x, previous_of_eps)

TARGETS: Mapping[str, Target] = MappingProxyType(
    {
        "eps": EPS,
        "x": X,
        "v": V,
        "u": U,
        "score": SCORE,
        "F": F,
    }
)
# in whose error a weight is expressed; u is the linear path's velocity eps − x
BASES: Mapping[str, Target] = MappingProxyType({"eps": EPS, "x": X, "v": V, "u": U})


def base_gain(base: str, logsnr: ArrayLike) -> NDArray:
    """Gain of a base: 1, e^(−λ/2), sqrt(1 + e^(−λ)), 1 + e^(−λ/2) for eps, x, v, u.

    The base u is the velocity of the linear path.

    Args:
        base: "eps", "x", "v" or "u".
        logsnr: λ in nats, any shape.

    Returns:
        The gain, same shape.

    Raises:
        TypeError: λ is no real number.
        ValueError: The base is another, or λ is NaN.
    """
    if not isinstance(base, str) or base not in BASES:
        raise ValueError(f"unknown base {brief(base)}; one of {', '.join(BASES)}")
    at = levels(logsnr)
    if base == "eps":
        return np.ones_like(at)
    if base == "u":
        return 1 + noise_ratio(at)
    return BASES[base].gain(at, LINEAR)


def checked_target(value: Any, name: str) -> Target:
    """A target; a TypeError for anything else, such as the name of one."""
    return instance(value, name, Target, "a target such as dv.targets.EPS")


def _check_broadcast(**arrays: NDArray) -> None:
    """Refuse arrays whose shapes do not broadcast."""
    shapes = {name: array.shape for name, array in arrays.items()}
    try:
        np.broadcast_shapes(*shapes.values())
    except ValueError:
        stated = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"shapes must broadcast, got {stated}") from None


def convert(
    value: ArrayLike, z: ArrayLike, logsnr: ArrayLike, source: Target, to: Target, path: Path
) -> NDArray:
    """A prediction of one target as a prediction of another, given z.

    The rule is linear, and exact both ways.

    Args:
        value: The predicted ``source`` target, shape (..., d).
        z: The noised data on ``path``, shape (..., d).
        logsnr: λ in nats, of a shape that broadcasts with them.
        source: The target that is given.
        to: The target that is wanted.
        path: The path that z lives on.

    Returns:
        The predicted ``to`` target, shape (..., d).

    Raises:
        TypeError: An argument holds no real numbers, or ``path`` is no path, or
            ``source`` or ``to`` no target.
        ValueError: The source does not determine x and eps (gain 0), or a number or a scale is not
            finite.
    """
    at = finite(logsnr, "logsnr")
    prediction = finite(value, "value")
    noised = finite(z, "z")
    path = checked_path(path)
    source = checked_target(source, "source")
    to = checked_target(to, "to")
    _check_broadcast(value=prediction, z=noised, logsnr=at)
    alpha = path.frame.alpha(at)
    sigma = path.frame.sigma(at)
    a = source.a(at, path)
    b = source.b(at, path)
    determinant = alpha * b - a * sigma
    if not (np.isfinite(determinant) & (determinant != 0)).all():
        raise ValueError(
            f"target {source.name!r} does not determine x and eps on {path.name!r} "
            "at some of these logsnr"
        )
    x = (b * noised - sigma * prediction) / determinant
    eps = (alpha * prediction - a * noised) / determinant
    return to.a(at, path) * x + to.b(at, path) * eps
