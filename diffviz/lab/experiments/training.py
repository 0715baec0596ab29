"""Experiments on training: networks under several objectives, their excess, their samples.

Errors are measured at fixed points z = alpha x + sigma eps of each level, against the exact
denoiser:

    E‖eps_hat − eps‖² = mmse + excess,    excess = E‖eps_hat − eps_hat*‖² = e^λ E‖x_hat − x_hat*‖²

since eps_hat* is the mean of eps given z. The excess has none of the noise of a loss: it is what
training can still win.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from diffviz.checks import array, count, increasing, one_of, require
from diffviz.compute import threads
from diffviz.compute.cache import cached
from diffviz.lab.experiments import progress
from diffviz.protocols import Denoiser, Trainable
from diffviz.recipes.entries import objective
from diffviz.theory import multipliers
from diffviz.theory.objectives import Objective, from_weighting

if TYPE_CHECKING:
    from torch import Tensor

    from diffviz.data.densities import Mixture
    from diffviz.data.toys import Toy
    from diffviz.learning.floors.record import Floor

NAMES = ("elbo", "iddpm-cosine", "fm-ot", "edm", "sd3")
GRID = np.linspace(-8, 14, 45)
SMALL, LARGE, SEEDS = 8, 64, (0, 1, 2)
EVEN = stats.uniform(-10, 24)  # the law of λ that all objectives share in the control
CONTROL_SEEDS = (0, 1, 2, 3, 4)


def chosen(*names: str) -> list[Objective]:
    """Look up objectives to train under.

    The ELBO of the catalogue looks with the cosine density. Here it looks evenly, up to the least
    noise.

    Args:
        *names: Names of the catalogue; those of ``NAMES`` by default.

    Returns:
        The objectives, in that order.

    Raises:
        ValueError: A name is unknown; the message lists near ones.
    """
    even = from_weighting(multipliers.constant, EVEN, "elbo")
    return [even if name == "elbo" else objective(name) for name in names or NAMES]


def evened(objective: Objective) -> Objective:
    """An objective whose levels are drawn from the law that all share; its weighting stays.

    Args:
        objective: The objective.

    Returns:
        One of the same name, whose weighting is 0 beyond that law.
    """
    return from_weighting(objective.weighting, EVEN, objective.name)


# --- what is known of the data -----------------------------------------------------------------


class Truth:
    """A toy in the plane, and what an exact denoiser knows at fixed points.

    Args:
        name: Name of a toy, which is brought to unit variance, or data in the plane as they are.
        grid: Increasing levels λ in nats, shape (n,).
        points: Number of fixed points at each level.

    Attributes:
        toy: The toy.
        grid: The levels, shape (n,).
        data: 20,000 points to train on, shape (20000, 2).
        level: λ of each fixed point, shape (n · points,).
        z: The fixed points, shape (n · points, 2).
        x_hat: E[x|z] at each, likewise.
        mmse: Mean squared eps error of the exact denoiser at each level, shape (n,).

    Raises:
        TypeError: ``points`` is no whole number.
        ValueError: There is no such toy, the grid does not increase, or ``points`` is not positive.
    """

    def __init__(self, name: "str | Toy" = "ring8", grid: ArrayLike = GRID, points: int = 512):
        import torch

        from diffviz.data.toys import toy
        from diffviz.theory.frames import VP

        self.toy = toy(name, unit=True) if isinstance(name, str) else name
        self.grid = increasing(grid, "grid")
        points = count(points, "points")
        generator = torch.Generator().manual_seed(0)
        self.data = self.toy.sample(20_000, generator).float()
        x = self.toy.sample(points, generator)
        eps = torch.randn(points, 2, generator=generator, dtype=torch.float64)
        levels = np.repeat(self.grid, points)
        self.level = torch.from_numpy(levels)
        alpha, sigma = (torch.from_numpy(f(levels))[:, None] for f in (VP.alpha, VP.sigma))
        copies = (len(self.grid), 1)
        self.z = alpha * x.repeat(copies) + sigma * eps.repeat(copies)
        pieces = zip(*(part.split(points) for part in (self.z, alpha, sigma)), strict=True)
        with threads.suited(threads.denoising(self.toy, points)):
            posteriors = [self.toy.law.posterior(*piece) for piece in pieces]
        self.x_hat = torch.cat([posterior.x_hat for posterior in posteriors])
        self.mmse = np.array([posterior.error.mean() for posterior in posteriors])

    def excess(self, model: Denoiser) -> NDArray:
        """E‖eps_hat − eps_hat*‖², summed over dimensions, at each level.

        Args:
            model: A denoiser.

        Returns:
            The excess, shape (n,).
        """
        import torch

        with threads.suited(threads.denoising(model, len(self.z))), torch.no_grad():
            off = (model.denoise(self.z, self.level) - self.x_hat).square().sum(1)
        return np.exp(self.grid) * off.reshape(len(self.grid), -1).mean(1).numpy()


@cache
def truth(name: str = "ring8", points: int = 512) -> Truth:
    """``Truth`` of a toy, made once.

    Args:
        name: Name of a toy that is a mixture.
        points: Number of fixed points at each level.

    Returns:
        The record.

    Raises:
        ValueError: There is no such toy, or ``points`` is not positive.
    """
    return Truth(name, points=points)


@cached
def floor(logsnr: tuple[float, ...] = tuple(GRID), name: str = "ring8") -> NDArray:
    """The least eps squared error of any denoiser, by quadrature.

    Args:
        logsnr: Levels λ in nats.
        name: Name of a toy that is a mixture.

    Returns:
        The mmse at the levels.

    Raises:
        ValueError: There is no such toy, or a level is not finite.
    """
    return np.asarray(truth(name).toy.mmse(array(logsnr, "logsnr")))


IMAGE_LEVELS = np.linspace(-8, 12, 21)  # λ in nats


def fashion_parts() -> "tuple[Tensor, Tensor]":
    """The images of Fashion-MNIST in a random order, brought to [−1, 1].

    Returns:
        4,000 images to train on and 1,000 that are held out, each (n, 14, 14).
    """
    import torch

    from diffviz.data import files

    images = torch.from_numpy(files.load("fashion")["images"] / 127.5 - 1).float()
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    return images[order[:4000]], images[order[4000:]]


@cached
def fashion_floor(steps: int = 1500) -> "Floor":
    """What is known of the floor of Fashion-MNIST, and how a small network does beside it.

    Of the 5,000 images of 14 × 14 pixels 4,000 are trained on with flow matching, and 1,000 are
    held out.

    Args:
        steps: Number of training steps.

    Returns:
        The bracket at ``IMAGE_LEVELS``, with the loss of the network among those that were tried.

    Raises:
        ValueError: ``steps`` is not positive.
    """
    import diffviz as dv

    train, held = fashion_parts()
    network = dv.models.MLP(width=128, depth=2)
    sizes: dict[str, Any] = {"steps": count(steps, "steps"), "batch": 128, "model": network}
    (run,) = dv.fit("fm-ot", train, progress=False, **sizes)
    return dv.floor(train, IMAGE_LEVELS, denoiser=run, held_out=held, progress=False)


# --- samples -----------------------------------------------------------------------------------


def samples(
    model: Denoiser, n: int = 2000, steps: int = 24, seed: int = 0, solver: str = "heun"
) -> NDArray:
    """Samples by a grid uniform in flow-matching time, from the same start for every model.

    Args:
        model: A denoiser of points of the plane.
        n: Number of samples.
        steps: Number of steps.
        seed: Seed of the start.
        solver: Name of the solver.

    Returns:
        The samples, shape (n, 2).

    Raises:
        ValueError: A count is not positive, or the solver is unknown.
    """
    import torch

    from diffviz import checks
    from diffviz.sampling import grids, integrate

    grid = grids.grid(objective("fm-ot").law, count(steps, "steps"))
    generator = torch.Generator().manual_seed(checks.seed(seed))
    start = torch.randn(count(n, "n"), 2, generator=generator)
    # A bare function, so that nothing warns: that the grid leaves the levels which some of the
    # models were trained on is what is shown.
    walk = integrate.sample(model.denoise, grid, solver=solver, start=start)
    return walk.samples.double().numpy()


def _plane(points: ArrayLike, name: str) -> NDArray:
    """Points of the plane, (n, 2)."""
    points = array(points, name, ndim=2)
    require(points.shape[1] == 2, f"{name} must have shape (n, 2), got {points.shape}")
    return points


def astray(x: ArrayLike, name: str = "ring8") -> float:
    """Share of samples further than four standard deviations from every mode.

    Of true points e^(−8), which is 0.03 %, are.

    Args:
        x: Samples, shape (n, 2).
        name: Name of a toy that is a mixture.

    Returns:
        The share.

    Raises:
        ValueError: There is no such toy, or a sample is not finite or not in the plane.
    """
    x = _plane(x, "x")
    law = cast("Mixture", truth(name).toy.law)
    apart = np.linalg.norm(x[:, None] - law.means.numpy(), axis=-1) / law.std.numpy()
    return float((apart.min(1) > 4).mean())


def sliced_w2(x: ArrayLike, y: ArrayLike, directions: int = 64) -> float:
    """Sliced Wasserstein-2 distance: root mean square over directions of the distances in 1-D.

    Args:
        x: Points, shape (n, 2).
        y: As many points, shape (n, 2).
        directions: Number of directions.

    Returns:
        The distance.

    Raises:
        TypeError: ``directions`` is no whole number.
        ValueError: The sets differ in size, a point is not finite, or there are no directions.
    """
    if np.shape(x) != np.shape(y):
        raise ValueError(f"two sets of one size are compared, got {np.shape(x)} and {np.shape(y)}")
    x, y = _plane(x, "x"), _plane(y, "y")
    angle = np.arange(count(directions, "directions")) * np.pi / directions
    lines = [np.cos(angle), np.sin(angle)]
    apart = np.sort(x @ lines, 0) - np.sort(y @ lines, 0)
    return float(np.sqrt((apart**2).mean()))


class Held(NamedTuple):
    """True points to compare samples with.

    Attributes:
        points: The points, shape (n, 2).
        floor: Median distance of other true points from them.
        distances: Those distances, shape (draws,).
    """

    points: NDArray
    floor: float
    distances: NDArray


@cache
def held(name: str = "ring8", n: int = 2000, draws: int = 20) -> Held:
    """True points of a toy, and how far other true points are from them.

    Args:
        name: Name of a toy that is a mixture.
        n: Number of points in each draw.
        draws: Number of other draws.

    Returns:
        The points, the floor and the distances.

    Raises:
        ValueError: There is no such toy, or a count is not positive.
    """
    import torch

    toy = truth(name).toy
    n = count(n, "n")
    draws = count(draws, "draws")
    there, *others = (
        toy.sample(n, torch.Generator().manual_seed(1000 + k)).numpy() for k in range(draws + 1)
    )
    distances = np.array([sliced_w2(other, there) for other in others])
    return Held(there, float(np.median(distances)), distances)


class Quality(NamedTuple):
    """Samples of one run.

    Attributes:
        points: The samples, shape (n, 2).
        floors: Their distance from the truth, in multiples of the floor.
        astray: Share that is far from every mode.
    """

    points: NDArray
    floors: float
    astray: float


@cached
def sample_quality(width: int) -> dict[str, Quality]:
    """Samples of the runs of ``trained``.

    Args:
        width: Width of the networks.

    Returns:
        Samples and their distance from the truth, by objective.

    Raises:
        ValueError: ``width`` is not positive.
    """
    there, least, _ = held()
    qualities = {}
    for name, run in trained(width).items():
        points = samples(run)
        qualities[name] = Quality(points, sliced_w2(points, there) / least, astray(points))
    return qualities


# --- trainings ---------------------------------------------------------------------------------


STEPS = 800
TOLD = 20  # steps from one report to the next


def _tell(step: Any) -> None:
    """Report the share of a training that is done, to whoever follows it."""
    if step.step % TOLD == 0:
        progress.report(step.step / STEPS)


def _fit(objectives: Sequence[Trainable], width: int, seed: int) -> list[Any]:
    """Networks of two layers, trained side by side on the same points of ring8."""
    from diffviz.learning.models import MLP
    from diffviz.learning.training import fit

    return fit(
        objectives,
        truth().data,
        steps=STEPS,
        batch=256,
        seed=seed,
        model=MLP(width=width, depth=2),
        callback=_tell,
        progress=False,
    )


@cached
def trained(width: int, seed: int = 0) -> Mapping[str, Any]:
    """Networks of two layers, trained side by side for 800 steps on the same points of ring8.

    Args:
        width: Width of the layers.
        seed: Seed of the training.

    Returns:
        Runs by objective of ``NAMES``.

    Raises:
        TypeError: A number is not whole.
        ValueError: ``width`` is not positive, or the seed is negative.
    """
    return {run.name: run for run in _fit(chosen(), count(width, "width"), seed)}


@cached
def excesses(width: int, seeds: Sequence[int] = SEEDS) -> Mapping[str, NDArray]:
    """log10 of the excess error of the runs of ``trained``.

    Args:
        width: Width of the layers.
        seeds: Seeds of the trainings, a tuple.

    Returns:
        log10 of the excess on ``GRID`` by objective, each (seeds, levels).

    Raises:
        TypeError: A number is not whole.
        ValueError: ``width`` is not positive, or a seed is negative.
    """
    excess = _of_each_seed(truth().excess, width, seeds)
    return {name: np.log10(errors) for name, errors in excess.items()}


def _of_each_seed(
    measure: Callable[[Any], Any], width: int, seeds: Sequence[int]
) -> dict[str, NDArray]:
    """What is measured on the runs of ``trained``, by objective, with a row for each seed."""
    by_seed = [{name: measure(run) for name, run in trained(width, seed).items()} for seed in seeds]
    return {name: np.array([values[name] for values in by_seed]) for name in NAMES}


@cached
def excess_of(trainable: Trainable, width: int, seed: int = 0) -> NDArray:
    """log10 of the excess error of an objective of your own, trained as the five were.

    Args:
        trainable: An objective.
        width: Width of the layers.
        seed: Seed of the training.

    Returns:
        log10 of the excess on ``GRID``.

    Raises:
        TypeError: A number is not whole.
        ValueError: ``width`` is not positive, or the seed is negative.
    """
    (run,) = _fit([trainable], count(width, "width"), seed)
    return np.log10(truth().excess(run))


def weighted_excess(logs: Mapping[str, ArrayLike]) -> dict[str, NDArray]:
    """Weight times excess over its integral: which levels hold what a loss can still win.

    Args:
        logs: Name of an objective of ``NAMES`` to log10 of its excess on ``GRID``, shape (45,).

    Returns:
        Shares per nat on ``GRID`` by objective, shape (45,) each.

    Raises:
        ValueError: A name is unknown, a value is not finite, or a shape is another.

    Example:
        >>> shares = weighted_excess({"fm-ot": np.zeros(45)})
        >>> round(float(np.trapezoid(shares["fm-ot"], GRID)), 6)
        1.0
    """
    shares = {}
    for entry in chosen(*logs) if logs else ():
        log = array(logs[entry.name], f"logs of {entry.name}")
        require(log.shape == GRID.shape, f"logs must have shape {GRID.shape}, got {log.shape}")
        product = entry.weighting(GRID) * 10**log
        shares[entry.name] = product / np.trapezoid(product, GRID)
    return shares


class Interval(NamedTuple):
    """A mean over seeds and what is known of it.

    Attributes:
        mean: Mean, shape (levels,).
        half: Half of the 95 % interval of Student's law, shape (levels,).
    """

    mean: NDArray
    half: NDArray

    @property
    def excludes_zero(self) -> NDArray:
        """Whether 0 lies outside the interval, shape (levels,)."""
        return np.abs(self.mean) > self.half


def interval(values: ArrayLike) -> Interval:
    """Mean over seeds with its 95 % interval, as if the seeds were drawn from a Gaussian law.

    Args:
        values: A row for each seed, shape (seeds, levels); at least two seeds.

    Returns:
        The interval at each level.

    Raises:
        ValueError: There are fewer than two seeds, or a value is not finite.
    """
    rows = array(values, "values", ndim=2)
    n = len(rows)
    require(n > 1, f"values must have two seeds or more, got {n}")
    reach = stats.t.ppf(0.975, n - 1) / np.sqrt(n)
    return Interval(rows.mean(0), reach * rows.std(0, ddof=1))


class Control(NamedTuple):
    """The same trainings with the densities of the papers, and with one density for all.

    Attributes:
        own: log10 of the excess on ``GRID`` by objective, where each draws λ as its paper does;
            (seeds, levels) each.
        even: Likewise, where all draw the same λ, evenly from [−10, 14], on the same points with
            the same noise, and factors keep the weighting of each.
    """

    own: Mapping[str, NDArray]
    even: Mapping[str, NDArray]

    def gaps(self, name: str, beside: str = "elbo", even: bool = True) -> Interval:
        """How much more log10 excess an objective has than another of the same seed.

        Args:
            name: Name of the objective.
            beside: Name of the other.
            even: Whether all drew the same λ.

        Returns:
            The mean difference at each level, with its interval.

        Raises:
            ValueError: There is no such objective.
        """
        for one in (name, beside):
            one_of(one, "objective", self.own)
        logs = self.even if even else self.own
        return interval(logs[name] - logs[beside])


@cached
def control(width: int = SMALL, seeds: Sequence[int] = CONTROL_SEEDS) -> Control:
    """What is left of the differences between objectives where all draw the same levels.

    Args:
        width: Width of the layers.
        seeds: Seeds of the trainings, a tuple.

    Returns:
        log10 of the excess under the densities of the papers, and under one density.

    Raises:
        TypeError: A number is not whole.
        ValueError: ``width`` is not positive, or a seed is negative.
    """
    fair = [evened(one) for one in chosen()]
    even = [
        {run.name: truth().excess(run) for run in _fit(fair, count(width, "width"), seed)}
        for seed in seeds
    ]
    return Control(
        own=excesses(width, tuple(seeds)),
        even={name: np.log10([errors[name] for errors in even]) for name in NAMES},
    )


class AtWidth(NamedTuple):
    """What networks of one width have learned, by objective of ``NAMES``.

    Attributes:
        excess: log10 of the excess on ``GRID``, shape (45,) each.
        samples: Samples, shape (2000, 2) each.
        floors: Their distance from the truth, in multiples of the floor.
        astray: Share of them that is far from every mode.
    """

    excess: dict[str, NDArray]
    samples: dict[str, NDArray]
    floors: dict[str, float]
    astray: dict[str, float]

    def excess_at(self, name: str, logsnr: float) -> float:
        """log10 of the excess of an objective at one level.

        Args:
            name: Name of the objective.
            logsnr: λ in nats, within ``GRID``.

        Returns:
            The logarithm, on a line between neighbours on ``GRID``.
        """
        return float(np.interp(logsnr, GRID, self.excess[name]))


@cached
def at_width(width: int) -> AtWidth:
    """What the networks of ``trained`` have learned; it reports the share that is trained.

    Args:
        width: Width of the layers.

    Returns:
        Excess and samples of the first seed.

    Raises:
        TypeError: The width is no whole number.
        ValueError: The width is not positive.
    """
    progress.begin()
    runs = trained(width)
    qualities = sample_quality(width)
    return AtWidth(
        excess={name: np.log10(truth().excess(run)) for name, run in runs.items()},
        samples={name: quality.points for name, quality in qualities.items()},
        floors={name: quality.floors for name, quality in qualities.items()},
        astray={name: quality.astray for name, quality in qualities.items()},
    )


@cached
def shares_astray(width: int, seeds: Sequence[int] = SEEDS) -> dict[str, NDArray]:
    """Share of samples that is far from every mode, of the runs of ``trained``.

    Args:
        width: Width of the layers.
        seeds: Seeds of the trainings, a tuple.

    Returns:
        Shares by objective, each (seeds,).

    Raises:
        TypeError: A number is not whole.
        ValueError: ``width`` is not positive, or a seed is negative.
    """
    return _of_each_seed(lambda run: astray(samples(run)), width, seeds)
