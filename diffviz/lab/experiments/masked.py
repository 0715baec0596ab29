"""Experiments on masked diffusion: weightings on one axis, exact bounds, small transformers.

Example:
    >>> from diffviz.lab.experiments import masked
    >>> round(masked.WORLD.entropy, 2)
    4.68
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc, expit

from diffviz.checks import count, finite
from diffviz.compute.cache import cached
from diffviz.masked import MarkovWorld, MaskedObjective, noises
from diffviz.masked.bounds import Assessment, even
from diffviz.masked.entries import CATALOGUE, masked_objective
from diffviz.theory.analysis import Verdict, equivalent, verdict

if TYPE_CHECKING:
    from diffviz.masked.training import MaskedRun

WORLD = MarkovWorld([0.5, 0.3, 0.2], [[0.8, 0.15, 0.05], [0.1, 0.7, 0.2], [0.3, 0.1, 0.6]], 6)
SMALL = MarkovWorld(WORLD.start, WORLD.transition, 3)
LEVELS = np.linspace(-8, 8, 321)  # λ in nats
CLASSES = ("elbo", "maskgit", "maskgit-square-root", "simple", "dplm-linear")
TRAINED = ("elbo", "any-order", "maskgit", "simple")
SEEDS = (0, 1, 2)
STEPS = (1, 2, 4, 8, 16, 32, 64)  # of the bound and of the sampler
NOISES = {
    "masking": noises.absorbing(WORLD.alphabet),
    "uniform": noises.uniform(WORLD.alphabet),
    "half of each": noises.hybrid(WORLD.alphabet, 0.5),
}


def curves(names: Sequence[str], base: str = "sum", logsnr: NDArray = LEVELS) -> dict[str, NDArray]:
    """Weightings of masked objectives, each with the value 1 at λ = 0.

    Args:
        names: Names of ``dv.masked_catalogue``.
        base: "sum", "token" or "elbo".
        logsnr: λ in nats, shape (n,).

    Returns:
        Name to weighting, NaN outside the support, each (n,).

    Raises:
        ValueError: A name or the base is unknown.
    """
    result = {}
    for name in names:
        entry = masked_objective(name)
        low, high = entry.law.support()
        anchor = min(max(0.0, low + 1e-6), high - 1e-6)
        result[name] = inside(entry, logsnr, base) / entry.weighting([anchor], base)
    return result


def inside(entry: MaskedObjective, logsnr: NDArray, base: str = "sum") -> NDArray:
    """A weighting, NaN outside the support of its law.

    Args:
        entry: A masked objective.
        logsnr: λ in nats, shape (n,).
        base: "sum", "token" or "elbo".

    Returns:
        The weighting, shape (n,).
    """
    w = entry.weighting(logsnr, base)
    low, high = entry.law.support()
    return np.where((logsnr > low) & (logsnr < high), w, np.nan)


def is_elbo(found: Verdict) -> bool:
    """Whether a masked objective is the ELBO up to a constant.

    Args:
        found: Its verdict.

    Returns:
        Whether its weighting relative to the ELBO is constant.
    """
    return bool(np.ptp(found.w) < 1e-6 * found.w.max())


@dataclass(frozen=True)
class Row:
    """A class of equal objectives.

    Attributes:
        names: Names of its members.
        verdict: Whether it is the ELBO, a sum of ELBOs, or a mixture with a minus, in words.
    """

    names: tuple[str, ...]
    verdict: str


def with_minus(entry: MaskedObjective, digits: int = 1) -> str:
    """How much of a mixture of ELBOs has a minus: for independent tokens, and on the chain.

    Args:
        entry: A masked objective whose ratio to the ELBO rises somewhere.
        digits: Digits of the percentages after the point.

    Returns:
        The words.
    """
    alone, on_chain = verdict(entry).negative_share, share_on_chain(entry)
    return f"mixture, minus {alone:.{digits}%} (chain {on_chain:.{digits}%})"


def verdict_words(entry: MaskedObjective, digits: int = 1) -> str:
    """Whether the loss of an objective is the ELBO, a sum of ELBOs, or a mixture with a minus.

    Args:
        entry: A masked objective.
        digits: Digits of the percentages after the point.

    Returns:
        The words.
    """
    found = verdict(entry)
    if is_elbo(found):
        return "the ELBO"
    return "a sum of ELBOs" if found.monotone else with_minus(entry, digits)


def classes() -> list[Row]:
    """The catalogue in classes of equal weightings.

    Returns:
        A row for each class.
    """
    rows = []
    for group in equivalent(CATALOGUE.values()):
        names = tuple(member.name for member in group)
        rows.append(Row(names, verdict_words(group[0], digits=0)))
    return rows


def visible_elbo(logsnr: ArrayLike) -> NDArray:
    """−ELBO of the world's sequences of which only a share sigmoid(λ) is visible.

    It is ∫ sigmoid · floor dλ up to λ. With S_k for the floor summed over k masked tokens that is
    Σ_k S_k/k times the chance that at most k − 1 of the L tokens are masked.

    Args:
        logsnr: λ in nats, any shape.

    Returns:
        Nats, same shape; the entropy where all is visible.

    Raises:
        ValueError: λ is not finite.

    Example:
        >>> from diffviz.lab.experiments import masked
        >>> masked.visible_elbo([-40.0, 0.0, 40.0]).round(3)
        array([0.   , 2.149, 4.679])
    """
    visible = expit(finite(logsnr, "logsnr"))
    length, floor = WORLD.length, WORLD.floor_by_count
    parts = [floor[k] / k * betainc(length - k + 1, k, visible) for k in range(1, length + 1)]
    return np.sum(parts, axis=0)


def share_on_chain(entry: MaskedObjective) -> float:
    """Negative share of a mixture of ELBOs on the world's sequences, whose tokens depend.

    Args:
        entry: A masked objective.

    Returns:
        What the ELBOs with a minus add up to, over what those with a plus do.
    """
    return verdict(entry, information=visible_elbo).negative_share


# --- exact bounds ---------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Gaps:
    """How far finitely many steps are from the entropy, with the exact predictor.

    Attributes:
        steps: Numbers of steps, shape (n,).
        bound: −ELBO less the entropy in nats, shape (n,).
        sampler: −log-likelihood of the sampler less the entropy in nats, shape (n,).
        continuous: −ELBO of continuous time less the entropy.
    """

    steps: NDArray
    bound: NDArray
    sampler: NDArray
    continuous: float


@cached
def gaps(steps: tuple[int, ...] = STEPS) -> Gaps:
    """Gaps of the bound and of the sampler in steps.

    Args:
        steps: Numbers of even steps.

    Returns:
        The gaps.

    Raises:
        ValueError: A number is below 1.
    """
    exact = Assessment.of(WORLD, WORLD.posterior)
    grids = [even(number) for number in steps]
    bound = [exact.mean(-exact.elbo_in_steps(grid)) for grid in grids]
    sampler = [exact.mean(-exact.log_likelihood_in_steps(grid)) for grid in grids]
    return Gaps(
        steps=np.array(steps),
        bound=np.array(bound) - WORLD.entropy,
        sampler=np.array(sampler) - WORLD.entropy,
        continuous=float(exact.mean(-exact.elbo)) - WORLD.entropy,
    )


@cached
def noise_densities(levels: int = 121) -> dict[str, NDArray]:
    """−dELBO/dλ of the exact prediction for several noises, averaged over sequences of three.

    Args:
        levels: Number of λ between −8 and 8.

    Returns:
        Name of the noise to density, each (levels,). Every one has the entropy as its area.
    """
    grid = np.linspace(-8, 8, count(levels, "levels", least=2))
    return {name: noises.mean_density(SMALL, noise, grid) for name, noise in NOISES.items()}


@cached
def noise_areas() -> dict[str, float]:
    """−ELBO of the exact prediction for several noises, the mean over sequences of three.

    Returns:
        Name of the noise to the area under its density, in nats.
    """
    truth = SMALL.log_probability(SMALL.sequences)
    return {
        name: float(-(np.exp(truth) * noises.exact_elbo(SMALL, noise)).sum())
        for name, noise in NOISES.items()
    }


# --- training -------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class TrainedMasked:
    """A small transformer trained under one objective.

    Attributes:
        name: Name of the objective.
        logsnr: Middles of the bins of the tracker in nats, shape (bins,).
        seen: Cross-entropy by λ as the training saw it, shape (bins,).
        stderr: Its standard error, shape (bins,).
        exact: The same of the trained network, counted through, shape (bins,).
        elbo: −ELBO in nats for each sequence.
        likelihood: −log-likelihood in nats for each sequence.
    """

    name: str
    logsnr: NDArray
    seen: NDArray
    stderr: NDArray
    exact: NDArray
    elbo: float
    likelihood: float


def trained(
    names: tuple[str, ...] = TRAINED, steps: int = 600, seed: int = 0
) -> list[TrainedMasked]:
    """Train a small transformer under each objective, from the same weights.

    Args:
        names: Names of ``dv.masked_catalogue``.
        steps: Number of steps.
        seed: Seed of weights and draws. All of ``SEEDS`` are trained together.

    Returns:
        What each has learned, exactly.

    Raises:
        ValueError: A name is unknown, or ``steps`` is below 1.
    """
    seeds = SEEDS if seed in SEEDS else (seed,)
    return _trained_seeds(names, steps, seeds)[seeds.index(seed)]


@cached
def _trained_seeds(
    names: tuple[str, ...], steps: int, seeds: tuple[int, ...]
) -> list[list[TrainedMasked]]:
    """What ``trained`` returns, for each of some seeds."""
    from diffviz.masked.training import Settings, fit_masked_seeds

    chosen = Settings(steps=count(steps, "steps"))
    objectives = [masked_objective(name) for name in names]
    runs_of_seeds = fit_masked_seeds(objectives, WORLD, seeds, chosen)
    return [[_assessed(run) for run in runs] for runs in runs_of_seeds]


def _assessed(run: "MaskedRun") -> TrainedMasked:
    """What a network has learned, exactly."""
    curve = run.tracker.curve()
    known = run.assess()
    return TrainedMasked(
        name=run.objective.name,
        logsnr=run.tracker.middle,
        seen=np.asarray(curve.mean),
        stderr=np.asarray(curve.stderr),
        exact=known.cross_entropy(run.tracker.middle),
        elbo=float(known.mean(-known.elbo)),
        likelihood=float(known.mean(-known.log_likelihood)),
    )


def table() -> str:
    """The gaps of the trained networks to the entropy, in rows, for each seed."""
    seeded = f"seeds {SEEDS[0]} to {SEEDS[-1]}"
    lines = [f"{'trained under':14}{f'−ELBO, {seeded}':>24}  {f'−log p, {seeded}':>24}"]
    seeds = [trained(seed=seed) for seed in SEEDS]
    for runs in zip(*seeds, strict=True):
        bounds, likely = (
            "".join(f"{value - WORLD.entropy:8.4f}" for value in values)
            for values in ([run.elbo for run in runs], [run.likelihood for run in runs])
        )
        lines.append(f"{runs[0].name:14}{bounds}  {likely}")
    return "\n".join(lines)


class GradientNoise(NamedTuple):
    """How noisy the gradients of two recipes are, at the weights at which trainings begin.

    Attributes:
        noise: By name: E‖g − ḡ‖²/‖ḡ‖² of the gradient g of a batch, whose mean is ḡ.
        cosine: Cosine of the angle between the mean gradients of the two.
    """

    noise: dict[str, float]
    cosine: float


@cached
def gradient_noise(
    first: str = "elbo", second: str = "any-order", batches: int = 400
) -> GradientNoise:
    """Measure the gradients of two objectives on many batches.

    Args:
        first: A name of ``dv.masked_catalogue``.
        second: Another one.
        batches: Number of batches.

    Returns:
        Their noise, and how well their means agree.

    Raises:
        ValueError: A name is unknown, or there are fewer than two batches.
    """
    batches = count(batches, "batches", least=2)
    drawn = {name: _gradients(masked_objective(name), batches) for name in (first, second)}
    means = {name: gradients.mean(0) for name, gradients in drawn.items()}
    lengths = {name: float(np.linalg.norm(mean)) for name, mean in means.items()}
    noise = {
        name: float(gradients.var(0, ddof=1).sum()) / lengths[name] ** 2
        for name, gradients in drawn.items()
    }
    product = float(means[first] @ means[second])
    return GradientNoise(noise, product / (lengths[first] * lengths[second]))


def _gradients(objective: MaskedObjective, batches: int) -> NDArray:
    """Gradients of the loss at the first weights, shape (batches, weights)."""
    import torch

    from diffviz.compute import threads
    from diffviz.masked.networks import transformer
    from diffviz.masked.objectives import draw_masks
    from diffviz.masked.training import Settings, cross_entropies

    chosen = Settings()
    network = transformer(WORLD.alphabet, WORLD.length, chosen.width, chosen.layers, chosen.seed)
    weights = list(network.parameters())
    rng = np.random.default_rng(chosen.seed)
    rows = []
    size = chosen.batch * WORLD.length * chosen.width**2 * 12.0
    with threads.suited(size):
        for _ in range(batches):
            x = WORLD.sample(chosen.batch, rng)
            batch = draw_masks(objective, chosen.batch, WORLD.length, rng)
            spent = cross_entropies(network, x, batch.mask, WORLD.alphabet)
            loss = (torch.from_numpy(batch.weight).float() * spent).mean()
            parts = torch.autograd.grad(loss, weights, allow_unused=True)
            rows.append(torch.cat([part.flatten() for part in parts if part is not None]).numpy())
    return np.stack(rows).astype(float)


def elbo_density(logsnr: NDArray = LEVELS) -> NDArray:
    """The floor of the world times sigmoid(λ); its area is the entropy.

    Args:
        logsnr: λ in nats, shape (n,).

    Returns:
        The density in nats for each nat, shape (n,).
    """
    grid = finite(logsnr, "logsnr")
    return expit(grid) * WORLD.floor(grid)
