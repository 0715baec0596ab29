"""What a search can measure of a trained denoiser. Less is better.

A goal is measured on held-out data of the seed that a denoiser was trained with. Its random numbers
come from that seed too, so that all candidates of a seed meet the same.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from diffviz import checks
from diffviz.compute import threads
from diffviz.protocols import Denoiser
from diffviz.recipes.entries import objective
from diffviz.search.datasets import IMAGES, Split, images
from diffviz.search.vision import eye, visible_error

__all__ = [
    "GOALS",
    "HIGH",
    "LOW",
    "Goal",
    "add_goal",
    "distortion",
    "energy_distance",
    "images",
    "likelihood",
    "sample_quality",
]

LOW, HIGH = -8.0, 10.0  # range of λ of training and of goals, in nats
LEVELS = 32  # strata of λ
AT_ONCE = 4  # strata at which images are denoised together: calls cost more than points
SAMPLING_STEPS = 24
FLOOR_DRAWS = 8  # draws of training points for the floor of the energy distance

Measure = Callable[[Denoiser, Split, int], float]


def likelihood(denoiser: Denoiser, data: Split, seed: int) -> float:
    """Negative ELBO of the held-out points.

    Args:
        denoiser: What was trained.
        data: The data of the seed.
        seed: Seed of levels and noise.

    Returns:
        The mean over points, in nats.

    Raises:
        TypeError: The denoiser has no denoise(z, logsnr), or the data are no ``Split``.
        ValueError: The denoiser returns NaN, inf or another shape.
    """
    import torch

    from diffviz.sampling.likelihood import elbo

    _check_arguments(denoiser, data)
    generator = torch.Generator().manual_seed(checks.seed(seed))
    bound = elbo(denoiser, data.held, low=LOW, high=HIGH, levels=LEVELS, generator=generator)
    return bound.nats.mean().item()


def sample_quality(denoiser: Denoiser, data: Split, seed: int) -> float:
    """Logarithm of the energy distance of samples from held-out points, over its floor.

    The floor is the median distance of 8 draws of as many training points.

    Args:
        denoiser: What was trained.
        data: The data of the seed.
        seed: Seed of the samples' start and of the floor.

    Returns:
        ln(energy distance / floor).

    Raises:
        TypeError: The denoiser has no denoise(z, logsnr), or the data are no ``Split``.
        FloatingPointError: The denoiser returns NaN or inf.
    """
    import torch

    from diffviz.sampling import grids, integrate

    _check_arguments(denoiser, data)
    generator = torch.Generator().manual_seed(checks.seed(seed))
    grid = grids.grid(objective("fm-ot").law, SAMPLING_STEPS, LOW, HIGH)
    start = torch.randn(data.held.shape, generator=generator)
    # the function, not the run: all candidates are sampled on one grid, wherever each was trained
    trajectory = integrate.sample(denoiser.denoise, grid, "heun", start=start)
    samples = _as_points(trajectory.samples)
    held, train = _as_points(data.held), _as_points(data.train)
    floors = []
    for _ in range(FLOOR_DRAWS):
        chosen = torch.randperm(len(train), generator=generator)[: len(held)]
        floors.append(energy_distance(train[chosen], held))
    return float(np.log(energy_distance(samples, held) / np.median(floors)))


def distortion(denoiser: Denoiser, data: Split, seed: int, levels: int = LEVELS) -> float:
    """Logarithm of the distortion that the eye sees, over that of a Gaussian denoiser.

    The distortion is ∫ D(λ) dλ, where D is the ``visible_error`` of x_hat. It is compared with the
    best denoiser of Gaussian data of mean zero with the spectrum of the images. That does not know
    the images' mean, so that a linear denoiser which knows it is below 0 too.

    Args:
        denoiser: What was trained.
        data: Images of the seed, whose spectrum is known by their name.
        seed: Seed of levels and noise.
        levels: Strata of λ, one draw in each for every image.

    Returns:
        ln(visible distortion / that of the Gaussian denoiser).

    Raises:
        TypeError: The denoiser has no denoise(z, logsnr), or the data are no ``Split``.
        ValueError: The denoiser returns NaN or inf, or the data are no images.
    """
    import torch

    _check_arguments(denoiser, data)
    checks.one_of(data.name, "images", IMAGES)
    levels = checks.count(levels, "levels")
    generator = torch.Generator().manual_seed(checks.seed(seed))
    with threads.suited(threads.denoising(denoiser, len(data.held))):
        error = _mean_visible_error(denoiser, data, levels, generator)
    grid = np.linspace(LOW, HIGH, 1001)
    gaussian = np.trapezoid(eye(data.name).distortion(grid), grid) / (HIGH - LOW)
    return float(np.log(error / gaussian))


def _mean_visible_error(denoiser: Denoiser, data: Split, levels: int, generator: Any) -> float:
    """Mean over strata of λ of the error that the eye sees in held-out images."""
    errors = []
    for start in range(0, levels, AT_ONCE):
        strata = range(start, min(start + AT_ONCE, levels))
        errors.append(_visible_errors(denoiser, data, strata, levels, generator))
    return float(np.concatenate(errors).mean())


def _visible_errors(
    denoiser: Denoiser, data: Split, strata: range, levels: int, generator: Any
) -> Any:
    """The error that the eye sees in each of the held-out images, for each of some strata of λ."""
    import torch

    width = (HIGH - LOW) / levels
    parts = []
    noises = []
    for k in strata:  # drawn level by level, so that the draws do not depend on AT_ONCE
        parts.append(LOW + width * (k + torch.rand(len(data.held), generator=generator)))
        noises.append(torch.randn(data.held.shape, generator=generator))
    logsnr = torch.cat(parts)
    clean = data.held.repeat(len(strata), 1, 1)
    alpha = logsnr.sigmoid().sqrt()[:, None, None]
    sigma = (-logsnr).sigmoid().sqrt()[:, None, None]
    z = alpha * clean + sigma * torch.cat(noises)
    with torch.no_grad():
        x_hat = checks.returned_tensor(denoiser.denoise(z, logsnr), "the denoiser")
    return visible_error((x_hat - clean).double().numpy())


def energy_distance(x: Any, y: Any) -> float:
    """Root of the energy distance between two sets of points, over all pairs.

    (2 E|x − y| − E|x − x'| − E|y − y'|)^½ (Székely and Rizzo 2013).

    Args:
        x: Points, a tensor of shape (n, d).
        y: Points, a tensor of shape (m, d).

    Returns:
        The distance, 0 or more.

    Raises:
        TypeError: Points are masked, complex, text or objects.
        ValueError: A coordinate is not finite, or the dimensions differ.
    """
    x, y = checks.tensor(x, "x"), checks.tensor(y, "y")
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(
            f"need points (n, d) and (m, d), got shapes {tuple(x.shape)} and {tuple(y.shape)}"
        )
    with threads.suited(max(len(x), len(y)) ** 2 * max(x.shape[1], threads.ELEMENT), x.device):
        squared = 2 * _mean_distance(x, y) - _mean_distance(x, x) - _mean_distance(y, y)
    return max(squared, 0.0) ** 0.5


def _check_arguments(denoiser: Denoiser, data: Split) -> None:
    """Refuse what is no denoiser, and data that are no split."""
    if not checks.offers(denoiser, Denoiser):
        raise TypeError(f"denoiser must have denoise(z, logsnr) -> x_hat, got {denoiser!r}")
    if not isinstance(data, Split):
        raise TypeError(f"data must be what datasets.split returns, got {type(data).__name__}")


def _mean_distance(x: Any, y: Any) -> float:
    """Mean distance over all pairs, by the direct formula: products lose half the digits."""
    import torch

    x, y = x.double(), y.double()  # ``cdist`` takes only one type
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist").mean().item()


def _as_points(data: Any) -> Any:
    """Data (n, *shape) as points (n, d) in float64."""
    return data.double().flatten(1)


@dataclass(frozen=True)
class Goal:
    """What is measured, and in which unit.

    Args:
        measure: Function of a denoiser, the data of a seed and the seed; less is better.
        unit: What the number is, for tables and axes.
        predictions: Names of the weightings that a theory would call best.
        needs_images: Whether it can be measured on images only.
    """

    measure: Measure
    unit: str
    predictions: tuple[str, ...] = ()
    needs_images: bool = False


GOALS: dict[str, Goal] = {
    "likelihood": Goal(
        measure=likelihood,
        unit="held-out −ELBO [nats]",
        predictions=("elbo",),
    ),
    "sample": Goal(
        measure=sample_quality,
        unit="ln(energy distance / floor)",
    ),
    "distortion": Goal(
        measure=distortion,
        unit="ln(visible distortion / Gaussian denoiser's)",
        predictions=("rate-distortion", "visible-error", "projection"),
        needs_images=True,
    ),
}
BUILT_IN = tuple(GOALS)


def add_goal(name: str, measure: Measure, unit: str) -> Goal:
    """Add a goal of one's own, which ``search`` then knows by its name.

    A goal of the same name that was added before is replaced. Processes that train elsewhere (more
    ``jobs``, a ``cluster``) know only what they add themselves.

    Args:
        name: What it is called.
        measure: Function of a trained denoiser, the data of a seed and the seed. It returns one
            number, and less is better. A logarithm makes a difference a percentage.
        unit: What the number is, for tables and axes.

    Returns:
        The goal.

    Raises:
        TypeError: ``measure`` is no function, or a name no text.
        ValueError: The name is empty, or that of one of the three goals that are always there.

    Example:
        >>> def answer_to_nothing(denoiser, data, seed):
        ...     silent = data.held.new_full((len(data.held),), -8.0)
        ...     return float(denoiser.denoise(0 * data.held, silent).abs().mean())
        >>> add_goal("answer to nothing", answer_to_nothing, unit="mean |x_hat|").unit
        'mean |x_hat|'
        >>> del GOALS["answer to nothing"]
    """
    checks.require(checks.text(name, "name"), "name must not be empty")
    checks.require(name not in BUILT_IN, f"name {name!r} is a goal already; take another one")
    goal = Goal(checks.function(measure, "measure"), checks.text(unit, "unit"))
    GOALS[name] = goal
    return goal
