"""What few-step objectives draw, and what small networks learn of the exact flow map."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, softmax

from diffviz.checks import array, count, increasing, number, one_of, positive
from diffviz.checks import seed as checked_seed
from diffviz.compute.cache import cached
from diffviz.few_steps.objectives import Adaptive, FewStep, few_step
from diffviz.few_steps.pairs import SortedPairs
from diffviz.theory.objectives import Objective
from diffviz.theory.paths import LINEAR

if TYPE_CHECKING:
    from torch import Tensor

    from diffviz.data.toys import Toy
    from diffviz.few_steps.maps import FlowMap

NAMES = ("meanflow", "imeanflow", "shortcut", "ict")
DATA = ("N(0, 0.3²)", "gmm1")
STEPS = (1, 2, 4)
SEEDS = (0, 1, 2)
ENDS = (0.99, 0.01)  # times of the linear path between which a sample is made
EDGES = np.linspace(-10, 14, 49)  # bins of λ, in nats
TRAINING = {"steps": 1500, "width": 64}
POINTS = 1000
PATH_TIMES = np.linspace(*ENDS, 50)
PATH_STARTS = np.linspace(-3, 3, 121)  # states at the first time


class Plane(NamedTuple):
    """What an objective draws, over the plane (λ_t, λ_r).

    Attributes:
        mass: Probability off the diagonal by bins, shape (k, k); with ``on`` it sums to 1.
        on: Probability on the diagonal by bins, shape (k,).
    """

    mass: NDArray
    on: NDArray


def plane(name: str, edges: ArrayLike = EDGES) -> Plane:
    """Where an objective looks.

    Args:
        name: A key of ``dv.few_step_catalogue``.
        edges: Increasing edges of bins of λ, in nats, shape (k + 1,).

    Returns:
        Probabilities on and off the diagonal.

    Raises:
        ValueError: The name is unknown, or the edges do not increase.
    """
    entry = few_step(name)
    grid = increasing(edges, "edges")
    on = np.zeros(len(grid) - 1)
    if entry.diagonal is not None:
        on = entry.diagonal_share * np.diff(entry.diagonal.law.cdf(grid))
    return Plane((1 - entry.diagonal_share) * entry.pairs.mass(grid), on)


def share_of_long_jumps(name: str, start: float = 0.9, end: float = 0.1) -> float:
    """Share of the draws that jump from above one time to below another, as a sampler does.

    Args:
        name: A key of ``dv.few_step_catalogue``.
        start: Time of the linear path above which a jump starts.
        end: Time below which it ends.

    Returns:
        The share of all draws, from 0 to 1.
    """
    levels = [2 * np.log((1 - t) / t) for t in (start, end)]
    far = 1e3  # beyond any level that is drawn, in nats
    return float(plane(name, [-far, *levels, far]).mass[0, -1])


@dataclass(frozen=True)
class LeastError:
    """E‖u − E[u|z]‖² for data N(0, std²) on the linear path: what no network can go below.

    It is std²/((1 − t)² std² + t²), by the variance of one Gaussian given another.

    Args:
        std: Standard deviation of the data, above 0.
    """

    std: float

    def __post_init__(self) -> None:
        positive(self.std, "std")

    def __call__(self, logsnr: ArrayLike) -> NDArray:
        """The squared error at λ in nats, any shape."""
        level = array(logsnr, "logsnr")
        alpha, sigma = expit(level / 2), expit(-level / 2)  # 1 − t and t
        return self.std**2 / ((alpha * self.std) ** 2 + sigma**2)


def local(name: str, std: float = 0.3, power: float = 1.0, floor: float = 0.01) -> Objective:
    """The local weighting on a diagonal, at the least error for data N(0, std²).

    Args:
        name: A key of ``dv.few_step_catalogue`` with a loss on its diagonal.
        std: Standard deviation of the data.
        power: Power p of the factor 1/(‖Δ‖² + c)^p; 0 for none.
        floor: The c of the factor.

    Returns:
        The diagonal with the factor as its multiplier.

    Raises:
        ValueError: The name is unknown, has no loss on its diagonal, or a number is out of range.
    """
    factor = Adaptive(number(power, "power", low=0.0), positive(floor, "floor"))
    return replace(few_step(name), adaptive=factor).at_error(LeastError(std))


class Errors(NamedTuple):
    """How far a network's samples lie from the exact flow map's.

    Attributes:
        steps: Numbers of steps.
        rms: Root of the mean squared distance, by number of steps; NaN where the method does not
            map from level to level.
        unmoved: That of states that are left where they start.
    """

    steps: tuple[int, ...]
    rms: NDArray
    unmoved: float


def _data(name: str) -> "Toy":
    from diffviz.data import toys

    if one_of(name, "data", DATA) == DATA[0]:
        return toys.mixture([[0.0]], 0.3)
    return toys.toy(name)


class Paths(NamedTuple):
    """Paths of the exact flow of data on a line.

    Attributes:
        states: z at each of ``PATH_TIMES`` of the path from each of ``PATH_STARTS``, (50, 121).
        velocity: u*(z, t) there, the same shape.
    """

    states: NDArray
    velocity: NDArray

    def at(self, t: float) -> "Paths":
        """States and velocities at one time, each (121,), between rows on the line through them.

        Args:
            t: Time of the linear path, within ``ENDS``.

        Returns:
            The row.

        Raises:
            ValueError: The time is outside.
        """
        start, end = ENDS
        time = number(t, "t", end, start)
        place = (start - time) / (start - end) * (len(PATH_TIMES) - 1)
        row = min(int(place), len(PATH_TIMES) - 2)
        part = place - row
        states, velocity = (
            (1 - part) * table[row] + part * table[row + 1]
            for table in (self.states, self.velocity)
        )
        return Paths(states, velocity)


@cached
def paths(data: str) -> Paths:
    """Paths of the exact flow from near pure noise to near the data.

    Args:
        data: One of ``DATA``.

    Returns:
        States and velocities.

    Raises:
        ValueError: The data are unknown.
    """
    import torch

    from diffviz.few_steps import maps

    toy = _data(data)
    z = torch.from_numpy(PATH_STARTS)[:, None]
    states = [z]
    for t, r in pairwise(PATH_TIMES.tolist()):
        states.append(maps.exact_map(toy, states[-1], t, r))
    velocity = []
    for t, state in zip(PATH_TIMES.tolist(), states, strict=True):
        level = torch.full((len(state),), 2 * math.log((1 - t) / t), dtype=torch.float64)
        x_hat = toy.denoise(state / math.hypot(1 - t, t), level)
        velocity.append((state - x_hat) / t)
    tables = (torch.cat(rows, 1).T.numpy() for rows in (states, velocity))
    return Paths(*tables)


@cached
def exact_ends(data: str) -> "tuple[Tensor, Tensor]":
    """States near pure noise, and where the exact flow carries them.

    Args:
        data: One of ``DATA``.

    Returns:
        States at both of ``ENDS``, each (1000, dim), float64.
    """
    import torch

    from diffviz.few_steps import maps

    toy = _data(data)
    generator = torch.Generator().manual_seed(7)
    x = toy.sample(POINTS, generator)
    eps = torch.randn(x.shape, generator=generator, dtype=torch.float64)
    start, end = ENDS
    z = (1 - start) * x + start * eps
    return z, maps.exact_map(toy, z, start, end)


def errors(name: str, data: str, seed: int = 0) -> Errors:
    """Train a small network and compare it with the exact flow map.

    The networks of ``SEEDS`` are trained side by side, so that one of them brings the others.

    Args:
        name: One of ``NAMES``.
        data: One of ``DATA``.
        seed: Seed of weights, data, noise and times.

    Returns:
        Errors at one, two and four steps that are equal in t.

    Raises:
        TypeError: The seed is no whole number.
        ValueError: A name is unknown, or the seed is negative.
    """
    seed = checked_seed(seed)
    together = SEEDS if seed in SEEDS else (seed,)
    return _errors(name, data, together)[together.index(seed)]


@cache
def _networks(name: str, data: str, seeds: tuple[int, ...]) -> "list[FlowMap]":
    """A network for each seed, trained side by side; kept, since two functions look at them."""
    from diffviz.few_steps import training

    one_of(name, "few-step objective", NAMES)
    return training.train_seeds(name, _data(data), seeds, **TRAINING)


@cached
def _errors(name: str, data: str, seeds: tuple[int, ...]) -> list[Errors]:
    """Errors of a network for each seed, which are trained side by side."""
    models = _networks(name, data, seeds)
    z, exact = exact_ends(data)
    unmoved = float((z - exact).square().sum(1).mean().sqrt())
    # ict maps to the data only, and adds noise between
    possible = STEPS if name != "ict" else (1,)
    return [Errors(STEPS, _distances(model, data, possible), unmoved) for model in models]


def _distances(model: "FlowMap", data: str, possible: Sequence[int] = STEPS) -> NDArray:
    """RMS distances of a network's samples from the exact ones, by ``STEPS``; NaN if impossible."""
    z, exact = exact_ends(data)
    rms = np.full(len(STEPS), np.nan)
    for place, steps in enumerate(STEPS):
        if steps in possible:
            carried = model.carry(z.float(), np.linspace(*ENDS, steps + 1))
            rms[place] = (carried - exact).square().sum(1).mean().sqrt()
    return rms


@cached
def learned_map(name: str, data: str) -> NDArray:
    """Where small networks carry states in one step, from near pure noise to near the data.

    Args:
        name: One of ``NAMES``.
        data: One of ``DATA``.

    Returns:
        States at the second of ``ENDS`` by seed, from each of ``PATH_STARTS``, shape (3, 121).

    Raises:
        ValueError: A name is unknown.
    """
    return _ends(_networks(name, data, SEEDS))


def _ends(models: "Sequence[FlowMap]") -> NDArray:
    """Where networks carry ``PATH_STARTS`` in one step, a row for each, shape (k, 121)."""
    import torch

    z = torch.from_numpy(PATH_STARTS)[:, None].float()
    carried = [model.carry(z, np.array(ENDS)) for model in models]
    return torch.cat(carried, 1).T.numpy()


def errors_by_seed(name: str, data: str) -> NDArray:
    """The errors of several trainings.

    Args:
        name: One of ``NAMES``.
        data: One of ``DATA``.

    Returns:
        RMS distances, shape (seeds, numbers of steps).
    """
    return np.array([errors(name, data, seed).rms for seed in SEEDS])


# --- why a small MeanFlow is far off on a line ---------------------------------------------------

PUBLISHED, UNIFORM = "as published", "uniform times"
NO_FACTOR, BOTH = "without the factor", "uniform times, without the factor"
CHANGES = PUBLISHED, UNIFORM, NO_FACTOR, BOTH


def changed(change: str) -> FewStep:
    """MeanFlow with other times, without its adaptive factor, or with both changes.

    Args:
        change: One of ``CHANGES``. With uniform times, t is uniform on the diagonal, and t and r
            are the larger and the smaller of two uniform times off it.

    Returns:
        The objective, by the formula of MeanFlow.

    Raises:
        ValueError: The change is unknown.
    """
    one_of(change, "change", CHANGES)
    entry = few_step("meanflow")
    if change in (UNIFORM, BOTH):
        entry = replace(
            entry, diagonal=few_step("shortcut").diagonal, pairs=SortedPairs(LINEAR.schedule)
        )
    return entry if change in (PUBLISHED, UNIFORM) else replace(entry, adaptive=None)


class Outcome(NamedTuple):
    """What networks of all ``SEEDS`` have learned.

    Attributes:
        ends: Where one step carries ``PATH_STARTS``, shape (3, 121).
        rms: RMS distances from the exact map by seed and number of ``STEPS``, shape (3, 3).
    """

    ends: NDArray
    rms: NDArray


def outcome(change: str, data: str = DATA[1]) -> Outcome:
    """What a changed MeanFlow learns.

    Args:
        change: One of ``CHANGES``.
        data: One of ``DATA``.

    Returns:
        Ends of one step, and errors.

    Raises:
        ValueError: A name is unknown.
    """
    if one_of(change, "change", CHANGES) == PUBLISHED:
        return Outcome(learned_map("meanflow", data), errors_by_seed("meanflow", data))
    return _outcome(change, data)


@cached
def _outcome(change: str, data: str) -> Outcome:
    """What a MeanFlow learns that is not the published one."""
    from diffviz.few_steps import training

    models = training.train_seeds(changed(change), _data(data), SEEDS, **TRAINING)
    return Outcome(_ends(models), np.array([_distances(model, data) for model in models]))


class Guesses(NamedTuple):
    """What a network of unlimited size says of the data of noisy states, by its loss.

    Attributes:
        mean: Where the squared error is least, E[x|z], shape (n,).
        with_factor: Where the loss with the adaptive factor is least, shape (n,).
    """

    mean: NDArray
    with_factor: NDArray


@cached
def guesses(
    t: float, z: ArrayLike, data: str = DATA[1], floor: float = 0.01, points: int = 1001
) -> Guesses:
    """Where losses on the diagonal have their least value, with and without the adaptive factor.

    With p = 1 and no gradient through the factor, the error Δ of one coordinate has the gradient
    Δ/(Δ² + c), which is that of ½ log(Δ² + c). Its mean over the data of a state is computed on a
    grid, and so is its least value.

    Args:
        t: Time of the linear path, between 0 and 1.
        z: States at t, shape (n,).
        data: One of ``DATA``.
        floor: The c of the factor, on the error of u.
        points: Points of the grid of x, over all that the data reach.

    Returns:
        Guesses of x.

    Raises:
        ValueError: A name is unknown, or a number is out of range.
    """
    import torch

    time = number(t, "t", low=1e-3, high=1.0)
    states = array(z, "z")[:, None]
    toy = _data(data)
    reach = 6 * toy.std
    x = np.linspace(-reach, reach, count(points, "points", least=2)) + float(toy.mean)
    log_share = toy.log_prob(torch.from_numpy(x)[:, None]).numpy()
    log_share = log_share - (states - (1 - time) * x) ** 2 / (2 * time**2)
    share = softmax(log_share, axis=1)
    squared = ((x[:, None] - x) / time) ** 2  # of errors of u = (z − x)/t, by guess and by truth
    losses = share @ np.log(squared + positive(floor, "floor"))
    return Guesses(share @ x, _lowest(x, losses))


def _lowest(x: NDArray, losses: NDArray) -> NDArray:
    """Where each row of losses, (n, k), is least over an even grid, (k,); by a parabola between."""
    rows, place = np.arange(len(losses)), losses.argmin(1).clip(1, len(x) - 2)
    before, at, after = (losses[rows, place + step] for step in (-1, 0, 1))
    return x[place] + (x[1] - x[0]) * (before - after) / (2 * (before - 2 * at + after))
