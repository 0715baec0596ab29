"""Experiments on noise schedules: views of one, and the second moment of one draw of the loss."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.special import expit, log_expit

from diffviz import checks
from diffviz.checks import array, count, increasing, positive
from diffviz.compute.cache import cached
from diffviz.lab.experiments import progress
from diffviz.lab.experiments.common import TIME as TIME
from diffviz.lab.experiments.common import WIDE
from diffviz.protocols import Law
from diffviz.recipes.entries import CATALOGUE
from diffviz.theory import analysis, laws, paths
from diffviz.theory.objectives import Objective, from_weighting, quantile_draws
from diffviz.theory.paths import COSINE, LINEAR, Path

if TYPE_CHECKING:
    from diffviz.learning import AdaptiveObjective
    from diffviz.learning.training import Step

SAMPLERS = {
    "cosine": COSINE.schedule,
    "FM uniform t": LINEAR.schedule,
    "uniform λ on [−15, 15]": stats.uniform(-15, 30),
    "EDM log-normal": stats.norm(2.4, 2.4),
    "logit-normal(0, 1)": stats.norm(0, 2),
}
INFINITY = 40.0  # |λ| in nats that stands for infinity


# --- views of a schedule -----------------------------------------------------------------------


class Shifted(NamedTuple):
    """A path moved by a time shift.

    Attributes:
        logsnr: λ(t) on a grid of times, shape (n,).
        density: p(λ) on a grid of log-SNR, shape (m,).
    """

    logsnr: NDArray
    density: NDArray


def shifted(
    time: ArrayLike, logsnr: ArrayLike = WIDE, shifts: Sequence[float] = (1.0, 2.0, 3.0)
) -> dict[float, Shifted]:
    """Flow matching's linear path under time shifts (Esser et al. 2024, arXiv 2403.03206, eq. 23).

    Args:
        time: Increasing times within (0, 1), shape (n,).
        logsnr: Increasing grid in nats, shape (m,).
        shifts: Factors above 0.

    Returns:
        λ(t) and p(λ), by shift.

    Raises:
        ValueError: A grid does not increase, or a shift is not above 0.
    """
    time, logsnr = increasing(time, "time"), increasing(logsnr, "logsnr")
    moved = {shift: paths.shifted(LINEAR, positive(shift, "shift")) for shift in shifts}
    return {
        shift: Shifted(path.logsnr(time), path.schedule.pdf(logsnr))
        for shift, path in moved.items()
    }


def scales(path: Path, time: ArrayLike) -> dict[str, NDArray]:
    """α, σ and the total standard deviation of z for data of unit variance.

    Args:
        path: A path.
        time: Increasing times in [0, 1], shape (n,).

    Returns:
        The three by label, each (n,).

    Raises:
        ValueError: The times do not increase.
    """
    time = increasing(time, "time")
    alpha, sigma = path.alpha(time), path.sigma(time)
    return {"α": alpha, "σ": sigma, "total √(α² + σ²)": np.hypot(alpha, sigma)}


class CosineViews(NamedTuple):
    """The cosine schedule over time, σ and log-SNR.

    Attributes:
        time: t, shape (n,).
        logsnr: λ(t), shape (n,).
        offset_logsnr: λ(t) with the offset s = 0.008 as published, shape (n,).
        sigma: σ(t), shape (n,).
        logsnr_density: p(λ) at ``logsnr``, shape (n,).
        sigma_density: p(σ) at ``sigma``, shape (n,).
        slope: dλ/dt, shape (n,).
        offset_start: λ(0) with the offset, in nats; infinite without.
    """

    time: NDArray
    logsnr: NDArray
    offset_logsnr: NDArray
    sigma: NDArray
    logsnr_density: NDArray
    sigma_density: NDArray
    slope: NDArray
    offset_start: float


def cosine_views(time: ArrayLike | None = None) -> CosineViews:
    """Six views of the cosine schedule (Nichol and Dhariwal 2021, arXiv 2102.09672, eq. 17).

    Args:
        time: Increasing times within (0, 1), shape (n,); 800 of them by default.

    Returns:
        The values of each view on these times.

    Raises:
        ValueError: The times do not increase.
    """
    time = np.linspace(0.001, 0.999, 800) if time is None else increasing(time, "time")
    offset = paths.cosine(0.008, normalise=False)  # as published: λ(0) is finite
    logsnr, sigma = COSINE.logsnr(time), COSINE.sigma(time)
    return CosineViews(
        time=time,
        logsnr=logsnr,
        offset_logsnr=offset.logsnr(time),
        sigma=sigma,
        logsnr_density=COSINE.schedule.pdf(logsnr),
        sigma_density=2 / (np.pi * np.sqrt(1 - sigma**2)),
        slope=COSINE.slope(time),
        offset_start=float(offset.logsnr(0)),
    )


class Views(NamedTuple):
    """A law of log-SNR as a schedule: what each level is under uniform time.

    Attributes:
        time: t, the share of draws above a level, shape (n,).
        logsnr: λ(t), shape (n,).
        sigma: σ(t) on the variance-preserving path, shape (n,).
        logsnr_density: p(λ) at ``logsnr``, shape (n,).
        sigma_density: p(σ) at ``sigma``, shape (n,).
        slope: dλ/dt, shape (n,).
    """

    time: NDArray
    logsnr: NDArray
    sigma: NDArray
    logsnr_density: NDArray
    sigma_density: NDArray
    slope: NDArray


def views(law: Law, shift: float = 1.0, time: ArrayLike | None = None) -> Views:
    """Six views of a law of λ as a schedule, on the variance-preserving path.

    Time is t = P(λ' > λ), so that dλ/dt = −1/p(λ). With σ² = sigmoid(−λ) the density over σ is
    p(λ) · 2/(σ α²).

    Args:
        law: Law of λ, a frozen SciPy distribution.
        shift: Moves the law by −2 log(shift) nats.
        time: Increasing times within (0, 1), shape (n,); 400 of them by default.

    Returns:
        The values of each view on these times.

    Raises:
        ValueError: The times do not increase, or ``shift`` is not above 0.
    """
    time = np.linspace(0.001, 0.999, 400) if time is None else increasing(time, "time")
    start = law.ppf(1 - time)
    logsnr = start - 2 * np.log(positive(shift, "shift"))
    sigma = np.sqrt(expit(-logsnr))
    density = law.pdf(start)
    return Views(
        time=time,
        logsnr=logsnr,
        sigma=sigma,
        logsnr_density=density,
        sigma_density=density * 2 / (sigma * expit(logsnr)),
        slope=-1 / density,
    )


# --- the noise of one draw ---------------------------------------------------------------------


class ScoredLaw(Law, Protocol):
    """A law that knows the logarithm of its density, as SciPy's frozen distributions do."""

    def logpdf(self, x: ArrayLike) -> NDArray:
        """Logarithm of the density at x."""


def _integral(logs: NDArray, grid: NDArray) -> float:
    """∫ e^logs dλ over a grid, both (n,); inf where the integrand has not died out at ±INFINITY."""
    peak = logs.max()
    if not np.isfinite(peak):
        raise ValueError(
            f"there is no weight on logsnr [{grid[0]:g}, {grid[-1]:g}]; "
            "choose another density or weighting"
        )
    total = np.trapezoid(np.exp(logs - peak), grid)
    at_infinity = np.abs(grid[[0, -1]]) > 0.999 * INFINITY
    ends = logs[[0, -1]][at_infinity]
    if (np.exp(ends - peak) > 1e-3 * total).any():
        return np.inf
    with np.errstate(over="ignore"):
        return float(total * np.exp(peak))


class SecondMoment(NamedTuple):
    """What one draw of a weighted loss says.

    Attributes:
        value: E[Y²].
        least: Its smallest value under any density on the same range.
        missed: Share of the loss outside that range; NaN where the whole loss is infinite.
    """

    value: float
    least: float
    missed: float


def second_moment(
    objective: Objective, law: ScoredLaw, shift: float = 1.0, variance: float = 1.0
) -> SecondMoment:
    """What one draw says about a weighted loss.

    Y = w/p · ½(eps_hat − eps)² for N(0, variance) data, the exact denoiser and λ ~ p. The error is
    Gaussian with variance mmse = sigmoid(λ + log variance), so that E[Y²] = ¾ ∫ (w·mmse)²/p dλ,
    which is smallest for p ∝ w·mmse. Integrals that have not died out at |λ| = 40 are infinite.

    Args:
        objective: The objective whose w it is.
        law: Law of λ, a frozen SciPy distribution.
        shift: Moves the law by −2 log(shift) nats.
        variance: Variance of the data.

    Returns:
        E[Y²], the least possible, and the share of the loss that the law misses.

    Raises:
        ValueError: The law and the objective's own density do not overlap, or ``shift`` or
            ``variance`` is not a number above 0.
    """
    move = 2 * np.log(positive(shift, "shift"))
    log_variance = np.log(positive(variance, "variance"))

    def log_loss(grid: NDArray) -> NDArray:
        with np.errstate(divide="ignore"):
            return np.log(objective.weighting(grid)) + log_expit(grid + log_variance)

    least, most = np.subtract(law.support(), move)
    checks.require(
        least < INFINITY and most > -INFINITY,
        f"the supports do not overlap: λ is drawn from [{least:g}, {most:g}], and λ beyond "
        f"±{INFINITY:g} counts as infinite",
    )
    low, high = np.clip([least, most], -INFINITY, INFINITY)
    whole = analysis.window(objective, low=-INFINITY, high=INFINITY, points=8001)
    grid = analysis.window(objective, low=low, high=high, points=8001)
    seen = _integral(log_loss(grid), grid)
    everything = _integral(log_loss(whole), whole)
    value = _integral(2 * log_loss(grid) - law.logpdf(grid + move), grid)
    missed = np.nan if np.isinf(everything) else max(0.0, 1 - seen / everything)
    return SecondMoment(0.75 * value, 0.75 * seen**2, missed)


def draw_variance(law: ScoredLaw) -> float:
    """Variance of one draw Y = ½w/p·ε² with w = e^(−λ/2), whose mean is π/2 whatever the law.

    Args:
        law: Law of λ, a frozen SciPy distribution.

    Returns:
        The variance for N(0, 1) data and the exact denoiser; it may be infinite.
    """
    return second_moment(CATALOGUE["fm-ot"], law).value - np.pi**2 / 4


class Draws(NamedTuple):
    """Draws of Y = ½w/p·ε² under one law.

    Attributes:
        mean: Their mean, near π/2.
        half_width: Half of its 95 % interval.
        variance: Their variance.
        exact_variance: That of the distribution; it may be infinite.
    """

    mean: float
    half_width: float
    variance: float
    exact_variance: float


def draws(n: int = 20_000, seed: int = 0) -> dict[str, Draws]:
    """One loss, w = e^(−λ/2), drawn under each of ``SAMPLERS``; N(0, 1) data, exact denoiser.

    Args:
        n: Stratified draws under each law.
        seed: Seed of the draws.

    Returns:
        Mean and variance of the draws, by law.

    Raises:
        TypeError: A count or a seed is no whole number.
        ValueError: ``n`` is not positive, or the seed is negative.
    """
    n = count(n, "n")
    rng = np.random.default_rng(checks.seed(seed))
    by_law = {}
    for name, law in SAMPLERS.items():
        logsnr = law.ppf(quantile_draws(n, rng))
        ratio = np.exp(-logsnr / 2) / law.pdf(logsnr)
        y = ratio / 2 * expit(logsnr) * rng.standard_normal(n) ** 2
        half_width = 1.96 * y.std() / np.sqrt(n)
        by_law[name] = Draws(float(y.mean()), float(half_width), float(y.var()), draw_variance(law))
    return by_law


# --- the loss as it is drawn -------------------------------------------------------------------

EDGES = np.linspace(-12, 12, 61)  # of the bins of λ in nats
BATCH = 256
BLOCK = 8  # batches between two looks at the loss; an adaptive law changes as often


class Filling(NamedTuple):
    """A loss by log-SNR after some batches, and the laws that follow from it.

    Attributes:
        batches: Number of batches that have been drawn.
        mean: Moving average of the error in each bin, shape (bins,); NaN where none was drawn.
        stderr: Its standard error, shape (bins,).
        density: p(λ) of the law that draws, at the middles of the bins, shape (bins,).
        adaptive: The density by which the rule would draw, shape (bins,).
    """

    batches: int
    mean: NDArray
    stderr: NDArray
    density: NDArray
    adaptive: NDArray


def filling(
    objective: Objective,
    law: Law,
    shift: float = 1.0,
    variance: float = 1.0,
    *,
    rule: str = "kingma-gao",
    adapts: bool = False,
    decay: float = 0.99,
    batches: int = 200,
    seed: int = 0,
) -> Iterator[Filling]:
    """The error of the exact denoiser on N(0, variance) data, averaged by log-SNR as it is drawn.

    Nothing is trained: the error of a draw is Gaussian with variance sigmoid(λ + log variance).

    Args:
        objective: The objective whose w the adaptive law keeps.
        law: Law of λ, a frozen SciPy distribution.
        shift: Moves the law by −2 log(shift) nats.
        variance: Variance of the data.
        rule: How the adaptive law follows from the loss; a name in ``diffviz.learning.RULES``.
        adapts: Whether the adaptive law draws, in the place of ``law``.
        decay: Decay of the average per batch, in (0, 1).
        batches: Number of batches of 256 draws.
        seed: Seed of the draws.

    Yields:
        The loss after each 8 batches, and after the last.

    Raises:
        TypeError: A count or a seed is no whole number.
        ValueError: A number is out of its range, or the rule is unknown.
    """
    from diffviz.learning import AdaptiveObjective, LossByLogSNR  # torch only for those who ask

    start = laws.moved(law, -2 * np.log(positive(shift, "shift")))
    log_variance = np.log(positive(variance, "variance"))
    count(batches, "batches")
    rng = np.random.default_rng(checks.seed(seed))
    follower = AdaptiveObjective(objective, LossByLogSNR(EDGES, decay), rule)
    for done in range(0, batches, BLOCK):
        drawing = follower.law if adapts else start
        size = min(BLOCK, batches - done)
        for _ in range(size):
            logsnr = drawing.ppf(quantile_draws(BATCH, rng))
            error = expit(logsnr + log_variance) * rng.standard_normal(BATCH) ** 2
            follower.tracker.update(logsnr, error)
        yield _filled(done + size, follower, drawing)


def _filled(batches: int, follower: "AdaptiveObjective", drawing: Law) -> Filling:
    """The record of a loss as it is now, and of the laws that draw and follow it."""
    mean, stderr, _ = follower.tracker.curve()
    middle = follower.tracker.middle
    return Filling(
        batches=batches,
        mean=mean,
        stderr=stderr,
        density=drawing.pdf(middle),
        adaptive=follower.law.pdf(middle),
    )


@cached
def training(
    objective: Objective,
    law: Law,
    shift: float = 1.0,
    variance: float = 1.0,
    *,
    rule: str = "kingma-gao",
    adapts: bool = False,
    decay: float = 0.99,
    batches: int = 200,
    seed: int = 0,
) -> Filling:
    """The same for a small network on two modes, as it is trained; it reports each block.

    The data are those of the toy gmm1, times the root of ``variance``.

    Args:
        objective: The objective whose w is trained.
        law: Law of λ to train under, a frozen SciPy distribution.
        shift: Moves the law by −2 log(shift) nats.
        variance: Square of the factor on the data.
        rule: How the adaptive law follows from the loss; a name in ``diffviz.learning.RULES``.
        adapts: Whether the adaptive law draws, in the place of ``law``.
        decay: Decay of the average per batch, in (0, 1).
        batches: Number of steps of 256 draws.
        seed: Seed of the training.

    Returns:
        The loss after the last step.

    Raises:
        TypeError: A count or a seed is no whole number.
        ValueError: A number is out of its range, or the rule is unknown.
    """
    progress.begin()
    import torch

    from diffviz.data.toys import toy
    from diffviz.learning import AdaptiveObjective, LossByLogSNR, fit

    start = laws.moved(law, -2 * np.log(positive(shift, "shift")))
    follower = AdaptiveObjective(objective, LossByLogSNR(EDGES, decay), rule)
    still = from_weighting(objective.weighting, start, objective.name)
    generator = torch.Generator().manual_seed(checks.seed(seed))
    points = toy("gmm1").sample(20_000, generator).float()

    def watch(step: "Step") -> None:
        drawing = follower.law if adapts else start
        follower.tracker.update(step.logsnr, step.error)
        if step.step % BLOCK == 0:
            progress.report(_filled(step.step, follower, drawing))

    fit(
        follower if adapts else still,
        positive(variance, "variance") ** 0.5 * points,
        steps=count(batches, "batches"),
        batch=BATCH,
        seed=seed,
        callback=watch,
        progress=False,
    )
    return _filled(batches, follower, follower.law if adapts else start)


def bin_middles() -> NDArray:
    """Middles of the bins of ``filling``, in nats, shape (bins,)."""
    return (EDGES[1:] + EDGES[:-1]) / 2


def over_least(objective: Objective, density: ArrayLike, variance: float = 1.0) -> float:
    """E[Y²] of a density over the least possible, within the bins of ``filling``.

    Args:
        objective: The objective whose w it is.
        density: p(λ) at ``bin_middles``, shape (bins,).
        variance: Variance of the data.

    Returns:
        The ratio; infinite where the density is 0 and the loss is not.

    Raises:
        ValueError: The density has another shape, or ``variance`` is not a number above 0.
    """
    middle = bin_middles()
    density = array(density, "density", ndim=1)
    checks.require(
        len(density) == len(middle), f"density must have {len(middle)} values, got {len(density)}"
    )
    mass = density / density.sum()
    loss = objective.weighting(middle) * expit(middle + np.log(positive(variance, "variance")))
    with np.errstate(divide="ignore", invalid="ignore"):
        contributions = np.where(loss > 0, loss**2 / mass, 0)
    return float(contributions.sum() / loss.sum() ** 2)
