"""Experiments on the ELBO: data whose terms are known, and how far bounds lie from the truth.

With e(λ) = E‖eps − eps_hat‖² of the exact denoiser, the information is I(x; z_λ) = ½ ∫ e dλ from −∞
(Guo, Shamai and Verdú 2005), and the divergence of a single point is L(λ; x) = ½ ∫ e(λ; x) dλ.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import BSpline, make_interp_spline
from scipy.special import expit

from diffviz.checks import array, increasing, number
from diffviz.compute.cache import cached
from diffviz.recipes.entries import objective
from diffviz.theory import analysis
from diffviz.theory.paths import COSINE

LOWEST, HIGHEST = -20.0, 20.0  # λ in nats, between which the terms of data are known
PICTURE_RANGE = -10.0, 10.0  # λ in nats, the range of the pictures


# --- data whose terms are known ----------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class LogSpline:
    """A positive curve over log-SNR, given by a spline of its logarithm.

    Attributes:
        logarithm: Spline of the logarithm.
    """

    logarithm: BSpline

    def __call__(self, logsnr: ArrayLike) -> NDArray:
        """The curve at ``logsnr``, in its shape."""
        return np.exp(self.logarithm(logsnr))


class Data(NamedTuple):
    """What the average ELBO of an exact denoiser needs to know of data.

    Attributes:
        dimension: Number of dimensions d.
        square: E‖x‖².
        entropy: Entropy in nats.
        mmse: e(λ), the least eps error summed over dimensions.
        information: I(x; z_λ) in nats.
    """

    dimension: int
    square: float
    entropy: float
    mmse: LogSpline
    information: LogSpline

    def terms(self, low: ArrayLike, high: ArrayLike) -> tuple[NDArray, NDArray, NDArray]:
        """The three terms of the average −ELBO (Kingma et al. 2021, arXiv 2107.00630, eq. 3).

        Args:
            low: Lowest λ in nats, within [−20, 20]; any shape that broadcasts with ``high``.
            high: Highest λ in nats, within [−20, 20].

        Returns:
            Prior, diffusion and reconstruction term in nats, in the common shape.

        Raises:
            ValueError: A λ is not finite or outside [−20, 20].
        """
        low, high = _level(low, "low"), _level(high, "high")
        of_unit = self.dimension * (expit(-low) - 1 + np.logaddexp(0, low))
        prior = (of_unit + expit(low) * self.square) / 2
        diffusion = self.information(high) - self.information(low)
        reconstruction = self.dimension / 2 * (np.log(2 * np.pi) + 1 - high)
        return prior + 0 * high, diffusion, reconstruction + 0 * low


def _level(value: ArrayLike, name: str) -> NDArray:
    """Levels of λ at which the terms are known."""
    level = array(value, name)
    outside = (level < LOWEST) | (level > HIGHEST)
    if outside.any():
        raise ValueError(f"{name} must lie in [−20, 20], got {level[outside].flat[0]:g}")
    return level


@cached
def known(name: str) -> Data:
    """What is known of a toy.

    Its mmse is computed by quadrature at 161 levels of [−20, 20], with a spline of degree 7 of its
    logarithm in between.

    Args:
        name: Name of a toy that is a mixture, such as "gmm1", "ring8" or "gmm2d".

    Returns:
        The record of its terms.

    Raises:
        ValueError: There is no such toy, or its entropy cannot be computed.
    """
    from diffviz.data import densities, toys  # torch only for those who ask

    toy = toys.toy(name)
    law = toy.law
    if not isinstance(law, densities.Mixture):
        raise ValueError(
            f"{name} has no entropy in closed reach; take a mixture such as gmm1, ring8 or gmm2d"
        )
    levels = np.linspace(LOWEST, HIGHEST, 161)
    mmse = LogSpline(make_interp_spline(levels, np.log(toy.mmse(levels)), k=7))
    dimension = law.means.shape[1]
    component_square = law.means.square().sum(1) + dimension * law.std**2
    return Data(
        dimension=dimension,
        square=float(law.weights @ component_square),
        entropy=toy.entropy(),
        mmse=mmse,
        information=_information(levels, mmse),
    )


def _information(levels: NDArray, mmse: LogSpline) -> LogSpline:
    """I = ½ ∫ e dλ by Gauss–Legendre panels between the levels (n,)."""
    nodes, weights = np.polynomial.legendre.leggauss(12)
    half = (levels[1] - levels[0]) / 2
    panels = mmse(levels[:-1, None] + half * (1 + nodes)) @ weights * half
    start = mmse(LOWEST) / 2  # e falls as e^λ to the left, so that its integral there is e itself
    logs = np.log(start + np.r_[0, panels.cumsum()] / 2)
    return LogSpline(make_interp_spline(levels, logs, k=5))


def divergence(
    name: str, x: ArrayLike, logsnr: ArrayLike, low: float = LOWEST, high: float = 10.0
) -> NDArray:
    """L(λ; x) = KL(q(z_λ|x) ‖ p(z_λ)) of single points, as ½ ∫ e(λ; x) dλ from ``low``.

    Args:
        name: Name of a toy on a line.
        x: Points, shape (n,).
        logsnr: Levels in nats within [low, high], any shape.
        low: Where the integral starts, in nats.
        high: Where it ends, in nats.

    Returns:
        Nats, shape (n, *logsnr.shape).

    Raises:
        ValueError: There is no such toy, a number is not finite, or ``low`` is not below ``high``.
    """
    from diffviz.data import toys
    from diffviz.sampling import likelihood

    x = array(x, "x", ndim=1)
    logsnr = array(logsnr, "logsnr")
    low, high = number(low, "low"), number(high, "high")
    strata = int(4 * (high - low))
    bound = likelihood.elbo(
        toys.toy(name), x[:, None], low=low, high=high, levels=strata, exact=True
    )
    steps = (bound.weight * bound.error).reshape(strata, -1, len(x)).sum(1) / 2
    edges = np.linspace(low, high, strata + 1)
    values = np.r_[np.zeros((1, len(x))), steps.cumsum(0)]
    return make_interp_spline(edges, values, k=5)(logsnr).T


# --- a weighted loss as a mixture of ELBOs -----------------------------------------------------


class Mixture(NamedTuple):
    """A weighted loss as a signed mixture of the divergences L(t; x) (arXiv 2303.00848, thm 1).

    Attributes:
        law: dw/dt over the maximum of w: the law p_w(t) of the noise, shape (n,).
        mixture: The loss as w(λ) L at the ends less ∫ w′ L dλ, in nats.
        direct: The loss as ½ ∫ w e dλ, in nats.
    """

    law: NDArray
    mixture: float
    direct: float


class Divergences(NamedTuple):
    """L(t; x) of gmm1 over the time of the cosine path, and weighted losses as mixtures of it.

    Attributes:
        time: Time of the cosine path, falling, shape (n,).
        curves: L(t; x) in nats by label: of three points, and the mean; each (n,).
        mixtures: The weighted losses, by objective.
    """

    time: NDArray
    curves: dict[str, NDArray]
    mixtures: dict[str, Mixture]


@cached
def divergences(
    objectives: Sequence[str] = ("sigmoid-bias2", "edm"), logsnr: ArrayLike | None = None
) -> Divergences:
    """Weighted losses on gmm1 as mixtures of ELBOs.

    Args:
        objectives: Names of the catalogue.
        logsnr: Increasing grid in nats, shape (n,); 401 levels of [−10, 10] by default.

    Returns:
        Divergences of points, their mean, and each loss by two routes.

    Raises:
        ValueError: A name is unknown, or the grid does not increase.
    """
    from diffviz.data import toys

    grid = np.linspace(*PICTURE_RANGE, 401) if logsnr is None else logsnr
    logsnr = increasing(grid, "logsnr")
    toy = toys.toy("gmm1")
    time = COSINE.time(logsnr)
    noise_entropy = np.log(2 * np.pi * math.e * expit(-logsnr)) / 2
    mean = np.array([toy.entropy(level) for level in logsnr]) - noise_entropy  # I(x; z_λ)
    points = np.array([-1.5, 0.0, 0.5])
    labels = [f"x = {x:g}".replace("-", "−") for x in points]
    curves = dict(zip(labels, divergence("gmm1", points, logsnr), strict=True))
    mmse = toy.mmse(logsnr)
    mixtures = {}
    for name in objectives:
        w = objective(name).weighting(logsnr)
        mixtures[name] = Mixture(
            law=np.gradient(w, time) / w.max(),
            mixture=w[-1] * mean[-1] - w[0] * mean[0] - np.trapezoid(mean, w),
            direct=np.trapezoid(w * mmse, logsnr) / 2,
        )
    return Divergences(time, curves | {"mean": mean}, mixtures)


def negative_share(name: str, toy: str = "gmm1") -> float:
    """Share of the negative part of an objective's mixture of ELBOs, on a toy.

    Args:
        name: Name of an objective.
        toy: Name of a toy that is a mixture.

    Returns:
        The negative part over the rest, at least 0.

    Raises:
        ValueError: A name is unknown, or the toy is no mixture.
    """
    verdict = analysis.verdict(objective(name), information=known(toy).information)
    return verdict.negative_share


# --- the terms over the end points -------------------------------------------------------------


class EndPoints(NamedTuple):
    """The terms of −ELBO of ring8 as its end points move, in nats.

    Attributes:
        high: λ_max in nats, with λ_min = −10, shape (n,).
        terms: Diffusion, reconstruction and −ELBO over ``high`` by label, each (n,).
        reconstruction_gap: E[−ELBO] less the entropy over ``high``, shape (n,).
        leading_gap: Its leading term ½ e^(−λ_max) E‖score‖², shape (n,).
        low: λ_min in nats, with λ_max = 10, shape (m,).
        prior: The prior term over ``low``, shape (m,).
        prior_gap: The prior term less I(x; z_λ_min) over ``low``, shape (m,).
        entropy: Entropy of the data.
    """

    high: NDArray
    terms: dict[str, NDArray]
    reconstruction_gap: NDArray
    leading_gap: NDArray
    low: NDArray
    prior: NDArray
    prior_gap: NDArray
    entropy: float


def end_points() -> EndPoints:
    """How the terms of −ELBO of ring8 change with λ_min and λ_max."""
    ring = known("ring8")
    high, low = np.linspace(2, 20, 181), np.linspace(-14, 0, 141)
    prior, diffusion, reconstruction = ring.terms(-10.0, high)
    total = prior + diffusion + reconstruction
    noisiest_prior = ring.terms(low, 10.0)[0]
    fisher_information = 200.0  # E‖score‖² of the data: d/std² with std 0.1
    return EndPoints(
        high=high,
        terms={"diffusion": diffusion, "reconstruction": reconstruction, "−ELBO": total},
        reconstruction_gap=total - ring.entropy,
        leading_gap=fisher_information / 2 * np.exp(-high),
        low=low,
        prior=noisiest_prior,
        prior_gap=noisiest_prior - ring.information(low),
        entropy=ring.entropy,
    )


# --- three routes to a likelihood --------------------------------------------------------------


class Routes(NamedTuple):
    """−log p(x) of gmm1 by three routes.

    Attributes:
        x: Points, shape (n,).
        exact: By the formula, in nats, shape (n,).
        ode: By the probability-flow ODE.
        bound: By the ELBO.
    """

    x: NDArray
    exact: NDArray
    ode: NDArray
    bound: NDArray


@cached
def routes() -> Routes:
    """−log p of gmm1 at 112 points: exact, by the ODE, by the ELBO with λ up to 10."""
    import torch

    from diffviz.data import toys
    from diffviz.sampling import likelihood

    toy = toys.toy("gmm1")
    x = torch.linspace(-2.5, 1.2, 112, dtype=torch.float64)[:, None]
    exact = -toy.log_prob(x)
    ode = -likelihood.log_likelihood(toy, x)[0]
    bound = likelihood.elbo(toy, x, levels=10, exact=True).nats
    return Routes(*(values.numpy() for values in (x[:, 0], exact, ode, bound)))


@cached
def probe_spread(gaussian: bool, probes: Sequence[int] = tuple(2 ** np.arange(7))) -> NDArray:
    """Standard deviation of Hutchinson's estimate of log p of gmm2d at (0, 0).

    Args:
        gaussian: Whether probes are Gaussian; else their coordinates are ±1.
        probes: Numbers of probes that are averaged, divisors of 4096.

    Returns:
        Nats, one for each number of probes.
    """
    import torch

    from diffviz.data import toys
    from diffviz.sampling import likelihood

    estimates = likelihood.log_likelihood(
        toys.toy("gmm2d"),
        torch.zeros(4096, 2, dtype=torch.float64),
        steps=24,
        probes=1,
        gaussian=gaussian,
        generator=torch.Generator().manual_seed(0),
    )[0]
    return np.array([estimates.reshape(-1, int(k)).mean(1).std().item() for k in probes])
