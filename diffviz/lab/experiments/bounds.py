"""Experiments on weighted losses as averages of bounds: how tight each is, on exact worlds.

Data and model are mixtures of Gaussians on a line. The model has the exact denoiser of another
mixture. In a bound whose network decodes from the level a to the level b, and exact decoders do the
rest, the ratio of model to data at b is, with q for the data and p for the other mixture,

    h_b(z) = p_b(z)/q_b(z) E[q_a(z_a)/p_a(z_a) | z_b = z],

where z_a is z_b with more noise: a step of a reverse process is Bayes' rule on that of the forward
process. The model of the data themselves has the ratio E[h_b(z_b) | x].
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.polynomial import hermite_e, legendre
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline
from scipy.optimize import brentq
from scipy.special import expit, log_expit

from diffviz.checks import one_of, positive, require
from diffviz.compute.cache import cached
from diffviz.lab.experiments import masked
from diffviz.lab.experiments.elbo import PICTURE_RANGE, LogSpline
from diffviz.masked.bounds import Assessment
from diffviz.masked.cascades import MaskedBounds, masked_bounds
from diffviz.masked.entries import masked_objective
from diffviz.masked.worlds import MarkovWorld
from diffviz.recipes.entries import objective
from diffviz.theory.cascades import Cascade, cascade

WEIGHTINGS = (
    *("elbo", "sigmoid-bias2", "edm-monotonic", "fm-ot"),
    *("edm", "sd3", "iddpm-cosine", "min-snr-5-eps"),
)
MASKED_WEIGHTINGS = ("elbo", "simple", "maskgit", "amused", "maskgit-square-root", "dplm-linear")
GRID = np.linspace(-9, 9, 901)  # z and x, on which densities are integrated
LEVELS = np.linspace(*PICTURE_RANGE, 201)  # λ in nats, at which losses are computed
OUTER, INNER = 24, 16  # Gauss–Hermite nodes of the noise on x and of that on z

# nodes and weights, which NumPy finds anew each time; not to be written to
_legendre = cache(legendre.leggauss)
_hermite = cache(hermite_e.hermegauss)


# --- the levels of bounds -------------------------------------------------------------------------


def heights() -> tuple[NDArray, NDArray]:
    """Nodes and weights over the heights of bounds, between 0 and 1.

    A stretch closes like a root at the top. Towards the bottom its ends go with the logarithm.

    Returns:
        Heights and weights, each shape (n,).
    """
    node, weight = _legendre(16)
    root = np.sqrt(0.9) * (1 + node) / 2
    top, top_weight = 1 - root**2, np.sqrt(0.9) * weight * root
    node, weight = _legendre(20)
    span = np.log(1e6)
    logs = np.log(1e-7) + span * (1 + node) / 2
    bottom = np.exp(logs)
    return np.concatenate([bottom, top]), np.concatenate([bottom * span * weight / 2, top_weight])


def _log_sum(logs: NDArray) -> NDArray:
    """Logarithm of the sum of exponentials over the first axis.

    NumPy goes along long rows ten times as fast as along short columns, and SciPy's ``logsumexp``
    passes over them more often.
    """
    top = logs.max(0)
    return top + np.log(np.exp(logs - top).sum(0))


def _log_mean(logs: NDArray, weight: NDArray) -> NDArray:
    """Logarithm of the weighted mean of exponentials over the last axis."""
    top = logs.max(-1)
    return top + np.log(np.exp(logs - top[..., None]) @ (weight / weight.sum()))


# --- a wrong mixture on a line --------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Line:
    """A mixture of Gaussians on a line at every level of noise.

    Attributes:
        weights: Shares of the parts, shape (k,).
        means: Their means, shape (k,).
        stds: Their standard deviations, shape (k,).
    """

    weights: NDArray
    means: NDArray
    stds: NDArray

    def parts(self, z: NDArray, logsnr: float) -> NDArray:
        """Log-densities of the parts at z, shape (k, *z)."""
        mean = np.sqrt(expit(logsnr)) * self.means
        variance = expit(logsnr) * self.stds**2 + expit(-logsnr)
        height = np.log(self.weights) - np.log(2 * np.pi * variance) / 2
        return np.stack(
            [
                top - (z - middle) ** 2 / (2 * spread)
                for top, middle, spread in zip(height, mean, variance, strict=True)
            ]
        )

    def log_density(self, z: NDArray, logsnr: float = np.inf) -> NDArray:
        """Log-density of z at λ, in the shape of z."""
        return _log_sum(self.parts(z, logsnr))

    def denoise(self, z: NDArray, logsnr: float) -> NDArray:
        """E[x|z] at λ, in the shape of z."""
        parts = self.parts(z, logsnr)
        share = np.exp(parts - _log_sum(parts))
        alpha = np.sqrt(expit(logsnr))
        slope = alpha * self.stds**2 / (alpha**2 * self.stds**2 + expit(-logsnr))
        given = self.means + slope * (z[..., None] - alpha * self.means)
        return (share * np.moveaxis(given, -1, 0)).sum(0)


DATA = Line(np.array([0.3, 0.7]), np.array([-1.5, 0.5]), np.array([0.3, 0.2]))  # gmm1
MODELS = {
    "wrong shares": Line(np.array([0.5, 0.5]), DATA.means, DATA.stds),
    "too wide": Line(DATA.weights, DATA.means, 1.3 * DATA.stds),
}


@dataclass(frozen=True, eq=False)
class Mistaken:
    """Data on a line, and a model with the exact denoiser of other data.

    Attributes:
        data: The data.
        model: The other data.
    """

    data: Line
    model: Line

    def loss_at(self, logsnr: float) -> float:
        """½ (E‖eps − eps_hat‖² − mmse) at λ: ½ SNR times the squared distance of both x_hat."""
        mass = np.exp(self.data.log_density(GRID, logsnr))
        miss = self.model.denoise(GRID, logsnr) - self.data.denoise(GRID, logsnr)
        return float(np.exp(logsnr) / 2 * np.trapezoid(mass * miss**2, GRID))

    @cached_property
    def loss(self) -> LogSpline:
        """The same as a spline of λ between −10 and 10."""
        values = np.log([self.loss_at(level) for level in LEVELS.tolist()])
        return LogSpline(make_interp_spline(LEVELS, values, k=7))

    def path_divergence(self, low: float, high: float) -> float:
        """KL of the paths if the network decodes from ``low`` to ``high``: the integral of loss."""
        node, weight = _legendre(80)
        half = (high - low) / 2
        return float(half * weight @ self.loss(low + half * (1 + node)))

    def log_ratio(self, z: NDArray, low: float, high: float) -> NDArray:
        """Logarithm of h of the module at z, for a network that decodes from low to high."""
        node, weight = _hermite(INNER)
        ratio = np.exp((log_expit(low) - log_expit(high)) / 2)  # of the scales alpha
        spread = np.sqrt(expit(-low) - ratio**2 * expit(-high))
        noisier = ratio * z[..., None] + spread * node
        back = self.data.log_density(noisier, low) - self.model.log_density(noisier, low)
        here = self.model.log_density(z, high) - self.data.log_density(z, high)
        return here + _log_mean(back, weight)

    def divergences(self, low: float, high: float) -> tuple[float, float]:
        """KL to the model of the data, and to that of z at ``high``.

        Args:
            low: Where the network begins to decode, λ in nats.
            high: Where it ends.

        Returns:
            KL(q(x) ‖ p(x)) and KL(q(z) ‖ p(z)) in nats.
        """
        node, weight = _hermite(OUTER)
        x = GRID[np.abs(GRID) < 6.5][::4]
        alpha, sigma = np.sqrt(expit(high)), np.sqrt(expit(-high))
        inner = self.log_ratio(alpha * x[:, None] + sigma * node, low, high)
        of_data = _log_mean(inner, weight)
        mass = np.exp(self.data.log_density(x))
        z = GRID[::2]
        noised = np.exp(self.data.log_density(z, high))
        return (
            -float(np.trapezoid(mass * of_data, x)),
            -float(np.trapezoid(noised * self.log_ratio(z, low, high), z)),
        )


@dataclass(frozen=True)
class Row:
    """What one weighted loss bounds, in nats above the entropy of the data.

    Attributes:
        name: Name of the objective.
        shape: How its w goes with λ.
        learned: Share of the range on which the network decodes, on average.
        bound: The average of the bounds.
        likelihood: The average of −log p of their models; at most ``bound``.
        noised: The average KL of noised data, in the reading of Kingma and Gao; NaN where w rises.
    """

    name: str
    shape: str
    learned: float
    bound: float
    likelihood: float
    noised: float


def average(found: Cascade, value: Callable[[float, float], tuple[float, float]]) -> NDArray:
    """Average of two values over the bounds of a cascade.

    Args:
        found: A cascade whose bounds have one stretch each.
        value: The two values as a function of the ends of the stretch.

    Returns:
        The averages, shape (2,).
    """
    if found.shape == "flat":
        return np.array(value(found.low, found.high))
    height, weight = heights()
    pairs = [value(*found.stretches(one)[0]) for one in height.tolist()]
    return weight @ np.array(pairs) / weight.sum()


def row(name: str, mistaken: Mistaken) -> Row:
    """What a weighted loss bounds on data and a model.

    Args:
        name: Name of an objective whose w has at most one peak.
        mistaken: Data and model.

    Returns:
        The row.

    Raises:
        ValueError: The name is unknown, or w has several peaks.
    """
    found = cascade(objective(name), *PICTURE_RANGE)
    require(
        found.shape != "several peaks",
        f"{name} has several peaks, and its models several stretches; take one with one peak",
    )
    likelihood, noised = average(found, mistaken.divergences)
    falls = found.shape in ("flat", "falling")
    return Row(
        name=name,
        shape=found.shape,
        learned=found.learned,
        bound=found.gap(mistaken.loss),
        likelihood=float(likelihood),
        noised=float(noised) if falls else float("nan"),
    )


@cached
def rows(model: str = "wrong shares", names: tuple[str, ...] = WEIGHTINGS) -> list[Row]:
    """The bounds of several weighted losses, for one wrong model of gmm1.

    Args:
        model: "wrong shares" (both parts equally likely) or "too wide" (standard deviations 1.3
            times those of the data).
        names: Names of objectives whose w has at most one peak.

    Returns:
        A row for each.

    Raises:
        ValueError: There is no such model, a name is unknown, or a w has several peaks.
    """
    mistaken = Mistaken(DATA, MODELS[one_of(model, "model", tuple(MODELS))])
    return [row(name, mistaken) for name in names]


# --- masked ---------------------------------------------------------------------------------------


def another_chain(z: NDArray) -> NDArray:
    """The exact predictor of another world: a chain that is halfway to independent tokens."""
    start = np.asarray(masked.WORLD.start)
    transition = (np.asarray(masked.WORLD.transition) + start) / 2
    return MarkovWorld(start, transition, masked.WORLD.length).posterior(z)


def blurred(z: NDArray) -> NDArray:
    """The exact predictor, less sure where more is masked; orders of unmasking differ."""
    hidden = (z == masked.WORLD.alphabet).mean(1)[:, None, None]
    return (1 - 0.5 * hidden) * masked.WORLD.posterior(z) + 0.5 * hidden / masked.WORLD.alphabet


PREDICTORS = {"another chain": another_chain, "blurred": blurred}


@cached
def masked_rows(
    predictor: str = "another chain", names: tuple[str, ...] = MASKED_WEIGHTINGS
) -> dict[str, MaskedBounds]:
    """The bounds of several masked losses, for one wrong predictor of the world.

    Args:
        predictor: "another chain" or "blurred".
        names: Names of ``dv.masked_catalogue``.

    Returns:
        Name to bounds.

    Raises:
        ValueError: There is no such predictor, or a name is unknown.
    """
    chosen = PREDICTORS[one_of(predictor, "predictor", tuple(PREDICTORS))]
    known = Assessment.of(masked.WORLD, chosen)
    return {name: masked_bounds(known, masked_objective(name)) for name in names}


# --- a claim that does not hold for every network -------------------------------------------------


@dataclass(frozen=True)
class Repaired:
    """A model of N(0, 1) whose later decoders undo what its earlier ones did wrong.

    Attributes:
        later: Variance of the data for which the decoders beyond λ = 0 are exact.
        bound: −ELBO less the entropy in nats.
        divergence: KL(q(x) ‖ p(x)) in nats.
        partly_exact_bound: The same bound with exact decoders beyond λ = 0.
        partly_exact_divergence: KL of that model.
    """

    later: float
    bound: float
    divergence: float
    partly_exact_bound: float
    partly_exact_divergence: float


def gaussian_divergence(variance: float) -> float:
    """KL(N(0, 1) ‖ N(0, variance)) in nats.

    Args:
        variance: The variance of the second law, above 0.

    Returns:
        ½ (1/v − 1 + log v).
    """
    variance = positive(variance, "variance")
    return float((1 / variance - 1 + np.log(variance)) / 2)


def decoded(later: float, noised: float) -> float:
    """Variance of x from decoders of N(0, ``later``), if z at λ = 0 has the variance ``noised``.

    Args:
        later: Variance of the data for which the decoders are exact.
        noised: Variance of z.

    Returns:
        The variance of x.
    """
    own = (later + 1) / 2  # of z, where the decoders are right
    return later - later**2 / (2 * own) + later**2 / (2 * own**2) * noised


def repaired(earlier: float = 2.0) -> Repaired:
    """Decoders of N(0, ``earlier``) up to λ = 0, and beyond it those that repair the variance.

    Args:
        earlier: Variance of the data for which the noisier decoders are exact, above 0.

    Returns:
        The bounds and the KLs of the whole model and of that with exact decoders beyond λ = 0.

    Raises:
        ValueError: ``earlier`` is not above 0.

    Example:
        >>> from diffviz.lab.experiments import bounds
        >>> found = bounds.repaired(2.0)
        >>> found.divergence < found.partly_exact_divergence < found.partly_exact_bound
        True
    """
    noised = (positive(earlier, "earlier") + 1) / 2

    def excess(later: float) -> float:
        return decoded(later, noised) - 1

    later = float(brentq(excess, 1e-3, 1e3))
    first = gaussian_divergence(noised)
    second = gaussian_divergence(later) - gaussian_divergence((later + 1) / 2)
    return Repaired(
        later=later,
        bound=first + second,
        divergence=gaussian_divergence(decoded(later, noised)),
        partly_exact_bound=first,
        partly_exact_divergence=gaussian_divergence(decoded(1.0, noised)),
    )
