"""Experiments on the ELBO: data whose terms are known, and how far bounds lie from the truth.

With e(λ) = E‖eps − eps_hat‖² of the exact denoiser, the information is I(x; z_λ) = ½ ∫ e dλ from −∞
(Guo, Shamai and Verdú 2005), and the divergence of a single point is L(λ; x) = ½ ∫ e(λ; x) dλ.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import BSpline, make_interp_spline
from scipy.special import expit

from diffviz.checks import array, count, increasing, number, require
from diffviz.compute.cache import cached
from diffviz.recipes.entries import objective
from diffviz.theory import analysis
from diffviz.theory.objectives import Objective

if TYPE_CHECKING:
    from diffviz.sampling.likelihood import Bound

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


def negative_elbo(data: Data, low: ArrayLike, high: ArrayLike) -> NDArray:
    """The average −ELBO of an exact denoiser, the sum of its three terms.

    Args:
        data: The data, from ``known``.
        low: Lowest λ in nats, within [−20, 20]; any shape that broadcasts with ``high``.
        high: Highest λ in nats, within [−20, 20].

    Returns:
        Nats, in the common shape.

    Raises:
        ValueError: A λ is not finite or outside [−20, 20].
    """
    prior, diffusion, reconstruction = data.terms(low, high)
    return prior + diffusion + reconstruction


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


@cached
def information_from_entropies(name: str) -> BSpline:
    """I(x; z_λ) of a toy as the entropy of z less that of the noise in it, without any error.

    The entropy of z is computed by quadrature at 161 levels of [−20, 20], with a spline of degree 5
    in between. ``known`` has the same as ½ ∫ mmse dλ, so that each checks the other.

    Args:
        name: Name of a toy that is a mixture, such as "gmm1" or "ring8".

    Returns:
        The information in nats, a function of λ in nats.

    Raises:
        ValueError: There is no such toy, or its entropy cannot be computed.

    Example:
        >>> from diffviz.lab.experiments import elbo
        >>> float(elbo.information_from_entropies("gaussian")(0.0).round(6))  # ½ log 2
        0.346574
    """
    from diffviz.data import toys

    toy = toys.toy(name)
    levels = np.linspace(LOWEST, HIGHEST, 161)
    dimension = len(toy.mean)
    of_noise = dimension / 2 * np.log(2 * np.pi * math.e * expit(-levels))
    of_z = np.array([toy.entropy(level) for level in levels])
    return make_interp_spline(levels, of_z - of_noise, k=5)


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
    """A weighted loss as a signed mixture of the divergences L(λ; x) (arXiv 2303.00848, thm 1).

    Attributes:
        weighting: w over its maximum, shape (n,).
        law: −dw/dλ over the maximum of w: the signed law of noise levels, shape (n,).
        mixture: The loss as w(λ) L at the ends less ∫ w′ L dλ, in nats.
        direct: The loss as ½ ∫ w e dλ, in nats.
    """

    weighting: NDArray
    law: NDArray
    mixture: float
    direct: float


class Divergences(NamedTuple):
    """L(λ; x) of gmm1, and weighted losses as mixtures of it.

    Attributes:
        logsnr: Grid of λ in nats, shape (n,).
        curves: L(λ; x) in nats by label: of three points, and the mean; each (n,).
        mixtures: The weighted losses, by objective.
    """

    logsnr: NDArray
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
            weighting=w / w.max(),
            law=-np.gradient(w, logsnr) / w.max(),
            mixture=w[-1] * mean[-1] - w[0] * mean[0] - np.trapezoid(mean, w),
            direct=np.trapezoid(w * mmse, logsnr) / 2,
        )
    return Divergences(logsnr, curves | {"mean": mean}, mixtures)


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


@dataclass(frozen=True, eq=False)
class SignedMixture:
    """A weighted loss on known data between two ends, by errors and by ELBOs.

    Attributes:
        logsnr: Grid of λ in nats, shape (n,).
        plain: The weighting as it is, shape (n,).
        w: The weighting that is meant, which may be held at its peak, shape (n,).
        augmentation: −dw/dλ, the signed law of noise levels; 0 for a constant w, shape (n,).
        information: L(λ) = I(x; z_λ) of the data in nats, shape (n,).
        mmse: Error of the exact denoiser, shape (n,).
        loss: ½ ∫ w·mmse dλ.
        between: −∫ w′ L dλ, the ELBOs between the ends.
        at_high: w L at λ_max.
        at_low: −w L at λ_min.
    """

    logsnr: NDArray
    plain: NDArray
    w: NDArray
    augmentation: NDArray
    information: NDArray
    mmse: NDArray
    loss: float
    between: float
    at_high: float
    at_low: float

    @property
    def mixture(self) -> float:
        """The loss as a signed mixture of ELBOs."""
        return self.between + self.at_high + self.at_low

    @property
    def scaled_law(self) -> NDArray:
        """−dw/dλ over its largest absolute value, shape (n,)."""
        largest = np.abs(self.augmentation).max()
        return self.augmentation / largest if largest > 0 else self.augmentation

    @property
    def added(self) -> float:
        """By which share the loss grew when w was held at its peak."""
        return self.loss / (np.trapezoid(self.plain * self.mmse, self.logsnr) / 2) - 1

    def verdict(self, data: Data) -> analysis.Verdict:
        """The verdict on w, with the share that is negative on some data.

        Args:
            data: The data.

        Returns:
            The verdict.
        """
        return analysis.verdict(self.w, self.logsnr, information=data.information)


def signed_mixture(
    objective: Objective,
    data: Data,
    low: float = LOWEST,
    high: float = 10.0,
    *,
    held: bool = False,
    points: int = 801,
) -> SignedMixture:
    """A weighted loss as a signed mixture of ELBOs (Kingma and Gao 2023, theorem 1).

    By parts, since dL/dλ = mmse/2:

        ½ ∫ w·mmse dλ = w(λ_max) L(λ_max) − w(λ_min) L(λ_min) − ∫ w′ L dλ.

    Args:
        objective: The objective whose w it is.
        data: The data, from ``known``.
        low: λ_min in nats, within [−20, 20].
        high: λ_max in nats, within [−20, 20].
        held: Whether w is held at its peak to the left: the least non-increasing curve above it.
        points: Number of levels.

    Returns:
        The loss by both routes. The sum over w′ takes L at the middle of each step.

    Raises:
        ValueError: An end is outside [−20, 20], or the objective has no support between the ends.
    """
    low, high = float(_level(low, "low")), float(_level(high, "high"))
    logsnr = analysis.window(objective, low=low, high=high, points=points)
    plain = objective.weighting(logsnr)
    w = np.maximum.accumulate(plain[::-1])[::-1] if held else plain
    is_flat = np.ptp(w) < 1e-9 * w.max()  # its derivative is only rounding noise
    mmse, information = data.mmse(logsnr), data.information(logsnr)
    middle = data.information((logsnr[1:] + logsnr[:-1]) / 2)
    return SignedMixture(
        logsnr=logsnr,
        plain=plain,
        w=w,
        augmentation=0 * w if is_flat else -np.gradient(w, logsnr),
        information=information,
        mmse=mmse,
        loss=float(np.trapezoid(w * mmse, logsnr) / 2),
        between=-float(np.diff(w) @ middle),
        at_high=float(w[-1] * information[-1]),
        at_low=-float(w[0] * information[0]),
    )


class Gaps(NamedTuple):
    """How far the ELBO lies above the entropy as either end of λ moves, in nats.

    Attributes:
        high: λ_max with λ_min in its place, shape (n,).
        over_high: E[−ELBO] less the entropy at each, shape (n,).
        low: λ_min with λ_max in its place, shape (m,).
        over_low: E[−ELBO] less the entropy at each, shape (m,).
        nats: E[−ELBO] between both ends.
        gap: E[−ELBO] less the entropy between both ends.
    """

    high: NDArray
    over_high: NDArray
    low: NDArray
    over_low: NDArray
    nats: float
    gap: float


def gaps(data: Data, low: float, high: float) -> Gaps:
    """The gap of the unweighted ELBO of an exact denoiser, between and around two ends.

    Args:
        data: The data, from ``known``.
        low: λ_min in nats, within [−20, 20].
        high: λ_max in nats, within [−20, 20].

    Returns:
        The gaps; each end moves between 3 and 20 nats from 0.

    Raises:
        ValueError: An end is not finite or outside [−20, 20].
    """
    highs, lows = np.linspace(3, HIGHEST, 171), np.linspace(LOWEST, -3, 171)
    nats = float(negative_elbo(data, low, high))
    return Gaps(
        high=highs,
        over_high=negative_elbo(data, low, highs) - data.entropy,
        low=lows,
        over_low=negative_elbo(data, lows, high) - data.entropy,
        nats=nats,
        gap=nats - data.entropy,
    )


# --- a stack of layers ---------------------------------------------------------------------------

LAYER_COUNTS = tuple(sorted([8 * 2**k for k in range(9)] + [12 * 2**k for k in range(8)]))


class StackCosts(NamedTuple):
    """The average −ELBO of a stack with the exact denoiser, and where it loses nats.

    The last three add up to −ELBO less the entropy of the data.

    Attributes:
        prior: KL of the noisiest level to N(0, I), in nats.
        diffusion: The KLs of all layers.
        reconstruction: What the last decoder costs.
        limit: The diffusion term without steps.
        at_noise: The prior term less I(x; z_λ_min), which a perfect prior would cost.
        by_steps: The diffusion term less its limit.
        at_data: Entropy of x with the noise of λ_max, less the entropy of x.
    """

    prior: float
    diffusion: float
    reconstruction: float
    limit: float
    at_noise: float
    by_steps: float
    at_data: float

    @property
    def nats(self) -> float:
        """The average −ELBO of the stack."""
        return self.prior + self.diffusion + self.reconstruction

    @property
    def lost(self) -> float:
        """The average −ELBO of the stack less the entropy."""
        return self.at_noise + self.by_steps + self.at_data


def layer_costs(data: Data, low: float, high: float, layers: int) -> NDArray:
    """KL of each layer of a stack: ½ (e^Δλ − 1) times the error at its noisier end.

    Source: Kingma et al. 2021, arXiv 2107.00630, eq. 14, for layers of one thickness in λ.

    Args:
        data: The data, from ``known``.
        low: λ_min in nats, within [−20, 20].
        high: λ_max in nats, above ``low`` and within [−20, 20].
        layers: Number of layers T.

    Returns:
        Nats, shape (T,), from noise to data.

    Raises:
        ValueError: An end is outside [−20, 20], the ends do not rise, or there is no layer.
    """
    low, high = float(_level(low, "low")), float(_level(high, "high"))
    layers = count(layers, "layers")
    require(low < high, f"high must be above low, got {low:g} and {high:g}")
    thickness = (high - low) / layers
    noisier = low + thickness * np.arange(layers)
    return np.expm1(thickness) / 2 * data.mmse(noisier)


def stack_costs(data: Data, low: float, high: float, layers: int) -> StackCosts:
    """What a stack costs, and how much of it is lost at its ends and by its steps.

    Args:
        data: The data, from ``known``.
        low: λ_min in nats, within [−20, 20].
        high: λ_max in nats, above ``low`` and within [−20, 20].
        layers: Number of layers.

    Returns:
        The costs in nats.

    Raises:
        ValueError: An end is outside [−20, 20], the ends do not rise, or there is no layer.

    Example:
        >>> from diffviz.lab.experiments import elbo
        >>> found = elbo.stack_costs(elbo.known("gaussian"), -10, 10, 10)
        >>> round(found.diffusion, 2), round(found.limit, 2)
        (14.38, 5.0)
    """
    diffusion = float(layer_costs(data, low, high, layers).sum())
    prior, limit, reconstruction = map(float, data.terms(low, high))
    return StackCosts(
        prior=prior,
        diffusion=diffusion,
        reconstruction=reconstruction,
        limit=limit,
        at_noise=prior - float(data.information(low)),
        by_steps=diffusion - limit,
        at_data=float(data.information(high)) + reconstruction - data.entropy,
    )


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


class Averages(NamedTuple):
    """The average −log p of a toy by four routes, in nats.

    Attributes:
        exact: The entropy.
        bound: The average −ELBO of the exact denoiser with λ in [−10, 10].
        trace: By the ODE with the exact trace, at some points.
        probes: The same with four probes of ±1.
        stderr: Standard error of ``probes``.
    """

    exact: float
    bound: float
    trace: float
    probes: float
    stderr: float


@cached
def averages(name: str, points: int = 300) -> Averages:
    """The average −log p of a toy, exactly, by its ELBO and by the ODE.

    The ODE is run at some points only. What it differs by from log p there is added to the entropy.

    Args:
        name: Name of a toy that is a mixture.
        points: Number of points for the ODE.

    Returns:
        The averages.

    Raises:
        ValueError: There is no such toy, or it is no mixture.
    """
    import torch

    from diffviz.data import toys
    from diffviz.sampling import likelihood

    toy, theory = toys.toy(name), known(name)
    x = toy.sample(points, torch.Generator().manual_seed(0))
    noise = torch.Generator().manual_seed(1)
    trace, probes = (
        toy.log_prob(x) - estimate + theory.entropy
        for estimate, _ in (
            likelihood.log_likelihood(toy, x, steps=100, probes=count, generator=noise)
            for count in (None, 4)
        )
    )
    return Averages(
        exact=theory.entropy,
        bound=float(negative_elbo(theory, *PICTURE_RANGE)),
        trace=trace.mean().item(),
        probes=probes.mean().item(),
        stderr=probes.std().item() / math.sqrt(points),
    )


# --- bits of images and levels of a loss -------------------------------------------------------


class Bits(NamedTuple):
    """Bits per dimension of some images under one model, on average.

    Attributes:
        bound: By the ELBO.
        exact: By the density.
        difference: How far the first lies above the second.
        stderr: Standard error of the difference.
    """

    bound: float
    exact: float
    difference: float
    stderr: float


@cached
def bits_of_clothing(images: int = 12) -> dict[str, Bits]:
    """Bits of clothes under a kernel density of 4,000 of them, a diffusion model that memorises.

    Pixels of 0 to 255 get uniform noise of one step and are mapped to [−1, 1], so that
    bits = nats / (d log 2) + log₂ 128.

    Args:
        images: Number of images of each kind.

    Returns:
        Bits of images that the model holds ("held") and of new ones ("new").
    """
    import torch

    from diffviz.data import files, toys
    from diffviz.sampling import likelihood

    whole = files.load("fashion")["images"]
    pixels = (whole + np.random.default_rng(0).random(whole.shape)) / 128 - 1
    memory = toys.dataset(pixels[:4000], bandwidth=0.3, unit=False)
    found = {}
    for kind, some in {"held": pixels[:images], "new": pixels[4500 : 4500 + images]}.items():
        noise = torch.Generator().manual_seed(0)
        bound = likelihood.elbo(memory, some, low=-12, high=12, generator=noise).bits + 7
        exact = 7 - memory.log_prob(some) / (some[0].size * math.log(2))
        off = bound - exact
        found[kind] = Bits(
            bound=bound.mean().item(),
            exact=exact.mean().item(),
            difference=off.mean().item(),
            stderr=off.std().item() / math.sqrt(images),
        )
    return found


def lost_by_level(
    bound: "Bound", ideal: "Bound", pieces: Sequence[tuple[float, float]]
) -> list[float]:
    """Nats that a network loses against the exact denoiser, by pieces of λ.

    Args:
        bound: The network's ELBO.
        ideal: That of the exact denoiser, at the same levels and with the same noise.
        pieces: Lowest and highest λ of each piece, in nats.

    Returns:
        Nats of each piece, averaged over the data.
    """
    lost = ((bound.error - ideal.error) * ideal.weight).mean(1) / 2
    level = ideal.logsnr[:, 0]
    return [lost[(level >= low) & (level < high)].sum().item() for low, high in pieces]
