"""Training on masked sequences under several weightings, each watched over log-SNR."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from diffviz.checks import (
    MOST,
    array,
    count,
    function,
    instance,
    items,
    number,
    rate,
    require,
    seed,
)
from diffviz.checks import seeds as checked_seeds
from diffviz.compute import gradients, threads
from diffviz.learning.adam import Adam
from diffviz.learning.tracking import LossByLogSNR
from diffviz.masked.bounds import Assessment
from diffviz.masked.networks import SideBySide, laws, transformer
from diffviz.masked.objectives import MaskedBatch, MaskedObjective, checked_objective, draw_masks
from diffviz.masked.worlds import MarkovWorld

EDGES = np.linspace(-6, 6, 25)  # of bins of λ in nats


@dataclass(frozen=True)
class Settings:
    """What a training depends on besides its objective and its world.

    Args:
        steps: Number of steps.
        batch: Sequences of a step.
        learning_rate: Largest learning rate of Adam; it falls to 0 like half a cosine.
        width: Size of a token in the network.
        layers: Layers of the network.
        decay: Decay of the tracker of the loss, in (0, 1).
        seed: Seed of the weights and of the draws.

    Raises:
        TypeError: A number is none.
        ValueError: A number is out of range.
    """

    steps: int = 600
    batch: int = 64
    learning_rate: float = 1e-2
    width: int = 16
    layers: int = 2
    decay: float = 0.99
    seed: int = 0

    def __post_init__(self) -> None:
        count(self.steps, "steps")
        count(self.batch, "batch")
        count(self.width, "width")
        count(self.layers, "layers")
        rate(self.learning_rate, "learning_rate")
        require(0 < number(self.decay, "decay") < 1, f"decay must be in (0, 1), got {self.decay}")
        seed(self.seed)


@dataclass(frozen=True, eq=False)
class MaskedRun:
    """A trained network.

    Args:
        objective: What it was trained under.
        world: What it was trained on.
        network: Masked sequences (n, L) to logits (n, L, V).
        tracker: Cross-entropy summed over masked tokens by λ, seen in training.
        losses: The loss of each step, shape (steps,).
    """

    objective: MaskedObjective
    world: MarkovWorld
    network: nn.Module
    tracker: LossByLogSNR
    losses: NDArray

    @property
    def predictor(self) -> Callable[[NDArray], NDArray]:
        """Laws of tokens as a function of masked sequences."""
        return partial(laws, self.network)

    def assess(self) -> Assessment:
        """The network on every masked sequence of its world."""
        return Assessment.of(self.world, self.predictor)


def fit_masked(
    objectives: Sequence[MaskedObjective], world: MarkovWorld, settings: Settings | None = None
) -> list[MaskedRun]:
    """Train one network for each objective, from the same weights.

    Args:
        objectives: Masked objectives.
        world: Where sequences come from; each step draws new ones.
        settings: Steps, batch and network.

    Returns:
        A run for each objective.

    Raises:
        FloatingPointError: A loss or a network is not finite; the message has the objective.
        TypeError: An objective is no masked objective.
        ValueError: There are none, or a multiplier is negative or not finite.

    Example:
        >>> from diffviz.masked import MarkovWorld, Settings, fit_masked
        >>> world = MarkovWorld([0.5, 0.5], [[0.9, 0.1], [0.1, 0.9]], length=3)
        >>> runs = fit_masked([dv.masked_objective("elbo")], world, Settings(steps=4))
        >>> runs[0].losses.shape
        (4,)
    """
    chosen = Settings() if settings is None else settings
    instance(chosen, "settings", Settings, "settings such as Settings(steps=100)")
    (runs,) = fit_masked_seeds(objectives, world, (chosen.seed,), chosen)
    return runs


@gradients.recorded()
def fit_masked_seeds(
    objectives: Sequence[MaskedObjective],
    world: MarkovWorld,
    seeds: Sequence[int],
    settings: Settings | None = None,
) -> list[list[MaskedRun]]:
    """Train one network for each objective and each seed, side by side.

    Each becomes what ``fit_masked`` makes with its seed, but for rounding, in less time than one
    after the other.

    Args:
        objectives: Masked objectives.
        world: Where sequences come from; each step draws new ones.
        seeds: Seeds of weights and draws.
        settings: Steps, batch and network; its seed does not count.

    Returns:
        For each seed, a run for each objective.

    Raises:
        FloatingPointError: A loss or a network is not finite; the message has the objective.
        TypeError: An objective is no masked objective.
        ValueError: There are none, or no seeds, or a multiplier is negative or not finite.

    Example:
        >>> from diffviz.masked import MarkovWorld, Settings
        >>> world = MarkovWorld([0.5, 0.5], [[0.9, 0.1], [0.1, 0.9]], length=3)
        >>> elbo = dv.masked_objective("elbo")
        >>> len(fit_masked_seeds([elbo], world, (0, 1), Settings(steps=2)))
        2
    """
    members = [checked_objective(one) for one in items(objectives, "objectives")]
    require(members, "objectives must hold at least one masked objective")
    instance(world, "world", MarkovWorld, "a world such as MarkovWorld(start, transition)")
    each_seed = checked_seeds(seeds)
    chosen = Settings() if settings is None else settings
    instance(chosen, "settings", Settings, "settings such as Settings(steps=100)")
    trainings = [_Training(one, world, chosen, start) for start in each_seed for one in members]
    size = len(trainings) * chosen.batch * world.length * chosen.width**2 * 12.0
    with threads.suited(size):
        _train(trainings, chosen)
    runs = [one.run() for one in trainings]
    return [runs[row : row + len(members)] for row in range(0, len(runs), len(members))]


class _Training:
    """One training: what it draws, from a generator of its own, and what it has seen.

    Args:
        objective: Draws the masks.
        world: Draws the sequences.
        settings: Steps, batch and network.
        start: Seed of weights and draws.
    """

    def __init__(
        self, objective: MaskedObjective, world: MarkovWorld, settings: Settings, start: int
    ) -> None:
        self.objective = objective
        self.world = world
        self.batch = settings.batch
        self.network = transformer(
            world.alphabet, world.length, settings.width, settings.layers, start
        )
        self.rng = np.random.default_rng(start)
        self.tracker = LossByLogSNR(EDGES, settings.decay)
        self.losses = np.empty(settings.steps)

    def draw(self) -> tuple[NDArray, MaskedBatch]:
        """Sequences of one step (n, L), and their masks."""
        x = self.world.sample(self.batch, self.rng)
        return x, draw_masks(self.objective, self.batch, self.world.length, self.rng)

    def run(self) -> MaskedRun:
        """What it leaves."""
        return MaskedRun(self.objective, self.world, self.network.eval(), self.tracker, self.losses)


def _train(trainings: Sequence[_Training], settings: Settings) -> None:
    """Train all networks, which are one batched model meanwhile."""
    networks = [one.network for one in trainings]
    together = SideBySide(networks)
    optimiser = Adam(together.parameters(), settings.learning_rate, settings.steps)
    k = len(trainings)

    def logits(masked: Tensor) -> Tensor:
        return together(masked.unflatten(0, (k, -1))).flatten(0, 1)

    for step in range(settings.steps):
        x, batches = zip(*(one.draw() for one in trainings), strict=True)
        mask = np.concatenate([batch.mask for batch in batches])
        spent = _summed_entropies(logits, np.concatenate(x), mask, trainings[0].world.alphabet)
        by_network = spent.view(k, -1)
        weight = torch.from_numpy(np.stack([batch.weight for batch in batches])).float()
        loss = (weight * by_network).mean(1)
        losses = loss.tolist()
        _refuse_diverged(trainings, losses, f"the loss at step {step}", settings)
        optimiser.zero_grad()
        loss.sum().backward()
        optimiser.step()
        for one, batch, lost, each in zip(
            trainings, batches, losses, by_network.detach(), strict=True
        ):
            one.losses[step] = lost
            one.tracker.update(batch.logsnr, each)
    together.hand_back(networks)
    with torch.no_grad():
        sizes = [sum(float(p.abs().sum()) for p in one.parameters()) for one in networks]
    _refuse_diverged(trainings, sizes, "the sum of all weights after the last step", settings)


def _refuse_diverged(
    trainings: Sequence[_Training], values: Sequence[float], what: str, settings: Settings
) -> None:
    """Raise a FloatingPointError for the first training whose value is not finite."""
    for one, value in zip(trainings, values, strict=True):
        require(
            math.isfinite(value),
            f"{one.objective.name}: {what} is {value}; try a learning_rate below "
            f"{settings.learning_rate:g}",
            FloatingPointError,
        )


def _logits(network: Callable[[Tensor], Tensor], masked: Tensor) -> Tensor:
    """Logits (n, L, V) of a network; refused in words where it has no place for a token."""
    try:
        logits = network(masked)
    except IndexError as error:  # of an embedding
        raise ValueError(
            f"network cannot take x and mask_token, whose largest token is {masked.max()}: {error}"
        ) from error
    instance(logits, "what network returns", Tensor, "a tensor of logits (n, L, V)")
    require(
        logits.ndim == 3 and logits.shape[:2] == masked.shape,
        f"network must return logits (n, L, V) for tokens {tuple(masked.shape)}, "
        f"got {tuple(logits.shape)}",
    )
    return logits


def _tokens(x: ArrayLike) -> Tensor:
    """Tokens (n, L), which are whole numbers from 0."""
    numbers = array(x, "x", ndim=2)
    bad = (numbers < 0) | (numbers > MOST) | (numbers != np.floor(numbers))
    require(
        not bad.any(),
        f"x must hold tokens, which are whole numbers from 0 to 2**53, got {numbers[bad][:1]} "
        f"({bad.sum()} of {bad.size}); give padding a token of its own, and leave it out of mask",
    )
    return torch.from_numpy(numbers.astype(np.int64))


def cross_entropies(
    network: Callable[[Tensor], Tensor], x: ArrayLike, mask: ArrayLike, mask_token: int
) -> Tensor:
    """Cross-entropy of each sequence, summed over its masked tokens.

    Args:
        network: Masked sequences (n, L) to logits (n, L, V), the mask being one more.
        x: Tokens, shape (n, L).
        mask: Which are masked, shape (n, L).
        mask_token: Token that stands for the mask.

    Returns:
        Nats, shape (n,).

    Raises:
        TypeError: The network is no function or returns no tensor, or an array holds no numbers.
        ValueError: A shape is another, x holds what is no token, a token of x or the mask is none
            that the network knows, or it returns NaN for a masked token.
    """
    function(network, "network")
    spent = _summed_entropies(network, x, mask, mask_token)
    if spent.isnan().any():
        raise ValueError(
            f"network returned NaN for masked tokens of {int(spent.isnan().sum())} of {len(spent)} "
            "sequences; logits are numbers or -inf, and not all of a token -inf"
        )
    return spent


def _summed_entropies(
    network: Callable[[Tensor], Tensor], x: ArrayLike, mask: ArrayLike, mask_token: int
) -> Tensor:
    """``cross_entropies``, with NaN where the network says so, as one that diverges does."""
    tokens = _tokens(x)
    hidden = torch.from_numpy(array(mask, "mask", ndim=2) != 0)
    require(
        tokens.shape == hidden.shape,
        f"mask must have the shape {tuple(tokens.shape)} of x, got {tuple(hidden.shape)}",
    )
    mask_token = count(mask_token, "mask_token", least=0)
    logits = _logits(network, tokens.masked_fill(hidden, mask_token))
    largest = int(tokens.max()) if tokens.numel() else 0
    require(
        largest < logits.shape[-1],
        f"x holds the token {largest}, but network returns logits of {logits.shape[-1]} tokens; "
        "number the tokens from 0, or give a network with one logit for each",
    )
    each = nn.functional.cross_entropy(logits.transpose(1, 2), tokens, reduction="none")
    return torch.where(hidden, each, 0.0).sum(1)  # no product: what is not masked may be infinite
