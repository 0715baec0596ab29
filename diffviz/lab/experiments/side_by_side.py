"""A training of a few objectives side by side, which can be watched, stopped and found again.

The data lie in the plane: a toy, or points that a reader draws, whose kernel density has an exact
denoiser. So the loss stands over its exact floor, and its excess is known:

    E‖eps_hat − eps‖² = mmse + excess.

With even levels all objectives draw λ from one uniform law. The factor w/(2p) keeps the weighting
of each, so that what differs is w alone and not where the network looks.

Example:
    >>> from diffviz.lab.experiments.side_by_side import side_by_side
    >>> *_, trained = side_by_side(["elbo", "fm-ot"], "ring8", steps=20, width=8)
    >>> trained.step, trained.excess.shape, trained.samples.shape
    (20, (1, 2, 45), (2, 500, 2))
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffviz import checks
from diffviz.compute import threads
from diffviz.compute.cache import cached
from diffviz.lab.experiments import progress
from diffviz.lab.experiments.training import GRID, Truth, chosen, evened, samples, sliced_w2
from diffviz.lab.experiments.walks import DRAWN, Points
from diffviz.theory.objectives import Objective

if TYPE_CHECKING:
    from diffviz.data.toys import Toy
    from diffviz.learning.runs import Run
    from diffviz.learning.tracking import LossByLogSNR

TOYS = ("ring8", "moons", "gmm2d", "8gaussians", "circle", "checkerboard", "swissroll", "dino")
DATA = (*TOYS, DRAWN)
EDGES = np.linspace(-8.25, 14.25, 46)  # bins whose middles are ``GRID``
DECAY = 0.98  # of the tracked loss, for each step
BATCH = 256
POINTS = 256  # fixed points of each level, at which the excess is measured
SAMPLES = 500
LEVELS = 512  # quantiles of a law over which its least loss is averaged
PAUSE = 0.25  # least seconds between two reports
FAR = 12.0  # nats beyond the grid to which the floor is continued
KNOWN = 0.2  # largest relative error of a loss that is shown
KERNEL = 0.1  # standard deviation of the kernel of a drawing, in those of its points
LEAST_POINTS = 2  # different points that a drawing needs


def as_points(points: ArrayLike) -> Points:
    """Points as the settings of a training keep them.

    Args:
        points: Points, shape (n, 2).

    Returns:
        Pairs of numbers.

    Raises:
        ValueError: They are no finite points of the plane.
    """
    values = checks.array(points, "drawing")
    if values.size == 0:
        return ()
    message = f"drawing must have shape (n, 2), got {values.shape}"
    checks.require(values.ndim == 2 and values.shape[1] == 2, message)
    return tuple((float(x), float(y)) for x, y in values)


@dataclass(frozen=True)
class Training:
    """What a training depends on. Trainings are equal if their objectives do the same.

    Args:
        objectives: One or several objectives, each with its own name; see ``known_objective``.
        data: One of ``TOYS``, of unit variance, or "drawn".
        drawing: Points of drawn data, two different ones or more.
        kernel: Standard deviation of the kernel of drawn data, in standard deviations of the
            points.
        steps: Number of steps.
        seeds: Seeds of the trainings.
        width: Width of a network with three hidden layers.
        rate: Learning rate at the start.
        even: Whether all draw their levels from one uniform law.

    Raises:
        TypeError: A number is of the wrong kind.
        ValueError: There is no objective, two have one name, the data are unknown, or a number is
            out of range.
    """

    objectives: tuple[Objective, ...] = field(compare=False)
    data: str = "ring8"
    drawing: Points = ()
    kernel: float = KERNEL
    steps: int = 800
    seeds: tuple[int, ...] = (0,)
    width: int = 32
    rate: float = 1e-2
    even: bool = False
    identities: tuple[tuple[str, str], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._check_objectives()
        checks.one_of(self.data, "data", DATA)
        is_drawn = self.data == DRAWN  # else these two have no effect
        object.__setattr__(self, "drawing", as_points(self.drawing) if is_drawn else ())
        object.__setattr__(self, "kernel", self.kernel if is_drawn else KERNEL)
        checks.positive(self.kernel, "kernel")
        checks.count(self.steps, "steps")
        object.__setattr__(self, "seeds", tuple(checks.seeds(self.seeds)))
        checks.count(self.width, "width")
        checks.positive(self.rate, "rate")

    def _check_objectives(self) -> None:
        """Keep the objectives and what they do; there must be one, and no two of one name."""
        checks.require(self.objectives, "nothing is chosen: choose one objective or more")
        identities = tuple((one.name, one.identity) for one in self.objectives)
        object.__setattr__(self, "objectives", tuple(self.objectives))
        object.__setattr__(self, "identities", identities)
        for name in self.names:
            message = f"two objectives are called {name!r}: give each its own name"
            checks.require(self.names.count(name) == 1, message)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the objectives."""
        return tuple(one.name for one in self.objectives)

    @property
    def trained_objectives(self) -> tuple[Objective, ...]:
        """The objectives as they are trained: with even levels, or with their own."""
        return tuple(map(evened, self.objectives)) if self.even else self.objectives


def known_objective(objective: str | Objective) -> Objective:
    """An objective to train under.

    Args:
        objective: The objective, or a name of the catalogue; "elbo" is that of ``training.chosen``.

    Returns:
        The objective.

    Raises:
        TypeError: It is neither.
        ValueError: The name is unknown.
    """
    if isinstance(objective, str):
        return chosen(objective)[0]
    message = f"an objective or the name of one is trained, got {objective!r}"
    checks.require(isinstance(objective, Objective), message, TypeError)
    return objective


# --- the data ------------------------------------------------------------------------------------


class Known(NamedTuple):
    """What is known of data before any training.

    Attributes:
        floor: Mean squared eps error of the exact denoiser on ``GRID``, shape (45,).
        points: Points of the data, shape (500, 2).
        distance: Median distance of two such sets of points.
        slope: Limit of mmse / e^λ for much noise: the variance, summed over dimensions.
    """

    floor: NDArray
    points: NDArray
    distance: float
    slope: float

    def mmse(self, logsnr: NDArray) -> NDArray:
        """The floor at any level, on lines between levels that are known.

        Args:
            logsnr: λ in nats, shape (n,).

        Returns:
            The mean squared eps error, shape (n,).
        """
        low, high = GRID[0] - FAR, GRID[-1] + FAR
        grid = np.concatenate([[low], GRID, [high]])
        logarithm = np.log(np.concatenate([[self.slope], self.floor, self.floor[-1:]]))
        logarithm[0] += low  # much noise tells nothing of a point but the mean
        inside = np.exp(np.interp(logsnr, grid, logarithm))
        return inside * np.exp(np.minimum(0.0, logsnr - low))


def has_data(data: str, drawing: Points) -> bool:
    """Whether there is something to train on: a drawing needs two different points.

    Args:
        data: One of ``DATA``.
        drawing: Points of drawn data.

    Returns:
        Whether there is.
    """
    return data != DRAWN or len(set(drawing)) >= LEAST_POINTS


def toy_of(data: str, drawing: Points = (), kernel: float = KERNEL) -> "Toy":
    """The data of a training, with their exact denoiser.

    Args:
        data: One of ``TOYS``, of unit variance, or "drawn".
        drawing: Points of drawn data, which stay where they are.
        kernel: Standard deviation of their kernel, in standard deviations of the points.

    Returns:
        The data.

    Raises:
        ValueError: The data are unknown, or a drawing has fewer than two different points.
    """
    from diffviz.data.toys import dataset, toy

    if checks.one_of(data, "data", DATA) != DRAWN:
        return toy(data, unit=True)
    if not has_data(data, drawing):
        raise ValueError("drawn data need two different points or more: draw or click them")
    return dataset(np.array(drawing), bandwidth=kernel, unit=False, name=DRAWN)


@lru_cache(4)
def truth_of(data: str, drawing: Points = (), kernel: float = KERNEL) -> Truth:
    """What the exact denoiser knows at fixed points of the data.

    Args:
        data: One of ``DATA``.
        drawing: Points of drawn data.
        kernel: Standard deviation of their kernel.

    Returns:
        The record.

    Raises:
        ValueError: The data are unknown, or a drawing has fewer than two different points.
    """
    return Truth(toy_of(data, drawing, kernel), points=POINTS)


@lru_cache(16)
def known(data: str, drawing: Points = (), kernel: float = KERNEL) -> Known:
    """What is known of data before any training.

    The floor of a toy is exact; that of a drawing is a mean over 256 points of each level.

    Args:
        data: One of ``DATA``.
        drawing: Points of drawn data.
        kernel: Standard deviation of their kernel.

    Returns:
        The record.

    Raises:
        ValueError: The data are unknown, or a drawing has fewer than two different points.
    """
    if data != DRAWN:
        return known_toy(data)
    return _known(toy_of(data, drawing, kernel), truth_of(data, drawing, kernel).mmse)


@cached
def known_toy(name: str) -> Known:
    """What is known of a toy before any training.

    Args:
        name: One of ``TOYS``.

    Returns:
        The record.

    Raises:
        ValueError: There is no such toy.
    """
    toy = toy_of(name)
    return _known(toy, np.asarray(toy.mmse(GRID)))


def _known(toy: "Toy", floor: NDArray) -> Known:
    """What is known of data with a floor on ``GRID``."""
    import torch

    sets = [toy.sample(SAMPLES, torch.Generator().manual_seed(seed)).numpy() for seed in range(9)]
    distances = [sliced_w2(other, sets[0]) for other in sets[1:]]
    return Known(floor, sets[0], float(np.median(distances)), 2 * toy.std**2)


def least_loss(objective: Objective, known: Known) -> float:
    """The training loss of the exact denoiser: the mean of factor · mmse over the law.

    Args:
        objective: The objective.
        known: What is known of the data.

    Returns:
        The loss.
    """
    logsnr = objective.law.ppf((np.arange(LEVELS) + 0.5) / LEVELS)
    return float((objective.factor(logsnr) * known.mmse(logsnr)).mean())


# --- the training --------------------------------------------------------------------------------


class Trained(NamedTuple):
    """How far a training has come. There are s seeds and k objectives.

    Attributes:
        step: Number of steps that are done.
        loss: Own training loss of each step, shape (s, k, step).
        by_level: Mean squared eps error on ``GRID`` over the last steps of all seeds, (k, 45); NaN
            where too few levels were drawn to know it within a fifth.
        excess: Excess over the exact denoiser on ``GRID``, shape (s, k, 45).
        samples: Samples of the first seed, shape (k, 500, 2).
        distance: Their distance from points of the data, in multiples of the median distance of
            two sets of such points, shape (k,).
    """

    step: int
    loss: NDArray
    by_level: NDArray
    excess: NDArray
    samples: NDArray
    distance: NDArray


def known_means(tracker: "LossByLogSNR") -> NDArray:
    """The tracked losses that are known within a fifth.

    Args:
        tracker: A tracker of losses.

    Returns:
        The mean in each bin, NaN where its standard error is larger, shape (bins,).
    """
    mean = np.asarray(tracker.mean)
    return np.where(tracker.stderr < KNOWN * mean, mean, np.nan)


class _Session:
    """The trainers of a training, one for each seed, and the loss by noise level."""

    def __init__(self, training: Training):
        from diffviz.learning.models import MLP
        from diffviz.learning.tracking import LossByLogSNR
        from diffviz.learning.training import Trainer

        place = training.data, training.drawing, training.kernel
        self.training = training
        self.truth = truth_of(*place)
        self.known = known(*place)
        self.trainers = [
            Trainer(
                training.trained_objectives,
                self.truth.data,
                steps=training.steps,
                learning_rate=training.rate,
                batch=BATCH,
                seed=seed,
                model=MLP(width=training.width),
            )
            for seed in training.seeds
        ]
        self.trackers = [LossByLogSNR(EDGES, decay=DECAY) for _ in training.objectives]

    @property
    def is_done(self) -> bool:
        """Whether all steps are done."""
        return self.trainers[-1].step == self.training.steps

    def advance(self) -> None:
        """Train a step of each seed, and track its losses."""
        import torch

        steps = [trainer.advance() for trainer in self.trainers]
        logsnr = torch.cat([step.logsnr for step in steps], dim=1)
        error = torch.cat([step.error for step in steps], dim=1)
        for tracker, levels, errors in zip(self.trackers, logsnr, error, strict=True):
            tracker.update(levels, errors)

    def look(self) -> Trained:
        """What is trained so far."""
        runs = [trainer.runs() for trainer in self.trainers]
        drawn = np.stack([self._samples(run) for run in runs[0]])
        distances = [sliced_w2(points, self.known.points) for points in drawn]
        return Trained(
            step=self.trainers[0].step,
            loss=np.array([[run.loss for run in of_seed] for of_seed in runs]),
            by_level=np.array([known_means(tracker) for tracker in self.trackers]),
            excess=np.array([[self.truth.excess(run) for run in of_seed] for of_seed in runs]),
            samples=drawn,
            distance=np.array(distances) / self.known.distance,
        )

    def _samples(self, run: "Run") -> NDArray:
        """Samples of a run; those that leave float32 show that its training diverges."""
        from diffviz.learning.training import Diverged

        try:
            return samples(run, SAMPLES, steps=10)
        except FloatingPointError as error:
            raise Diverged(
                f"{run.objective.name}: samples are not finite after step "
                f"{self.trainers[0].step}; try a learning_rate below {self.training.rate:g}",
                [run],
            ) from error


@cached
def trained(training: Training) -> Trained:
    """A training, which reports how far it has come.

    Reports come at most four times a second, and take half of the time at most.

    Args:
        training: What it depends on.

    Returns:
        The whole training.

    Raises:
        Diverged: A loss or gradient is not finite.
        ValueError: A drawing has fewer than two different points.
    """
    progress.begin()
    session = _Session(training)
    due = time.monotonic() + PAUSE
    with threads.suited(session.trainers[0].work):
        while not session.is_done:
            session.advance()
            start = time.monotonic()
            if start >= due and not session.is_done:
                progress.report(session.look())
                due = time.monotonic() + max(PAUSE, time.monotonic() - start)
        return session.look()


def side_by_side(
    objectives: Iterable[str | Objective],
    data: str = "ring8",
    steps: int = 800,
    seed: int = 0,
    *,
    seeds: int = 1,
    drawing: ArrayLike = (),
    kernel: float = KERNEL,
    width: int = 32,
    rate: float = 1e-2,
    even: bool = False,
) -> Iterator[Trained]:
    """Train objectives side by side, and watch.

    A training that is done is kept in the cache, and comes at once the next time. It stops at its
    next report when the iterator is closed.

    Args:
        objectives: Objectives, or names of the catalogue; see ``known_objective``.
        data: One of ``TOYS``, or "drawn".
        steps: Number of steps.
        seed: The first seed.
        seeds: Number of seeds.
        drawing: Points of drawn data, shape (n, 2), two different ones or more.
        kernel: Standard deviation of their kernel, in standard deviations of the points.
        width: Width of a network with three hidden layers.
        rate: Learning rate at the start.
        even: Whether all draw their levels from one uniform law.

    Yields:
        How far it has come; at last the whole training.

    Raises:
        Diverged: A loss or gradient is not finite.
        TypeError: An argument is of the wrong kind.
        ValueError: An argument is unknown or out of range.
    """
    training = Training(
        tuple(map(known_objective, objectives)),
        data=data,
        drawing=as_points(drawing),
        kernel=kernel,
        steps=steps,
        seeds=tuple(range(seed, seed + checks.count(seeds, "seeds"))),
        width=width,
        rate=rate,
        even=even,
    )
    yield from progress.followed(trained, training)
