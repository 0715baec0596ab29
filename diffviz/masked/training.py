"""Training on masked sequences under several weightings, each watched over log-SNR."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from diffviz.checks import array, count, function, instance, items, number, positive, require, seed
from diffviz.compute import gradients, threads
from diffviz.learning.tracking import LossByLogSNR
from diffviz.masked.bounds import Assessment
from diffviz.masked.networks import laws, transformer
from diffviz.masked.objectives import MaskedObjective, checked_objective, draw_masks
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
        positive(self.learning_rate, "learning_rate")
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


@gradients.recorded()
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
        TypeError: An objective is no masked objective.
        ValueError: There are none.

    Example:
        >>> from diffviz.masked import MarkovWorld, Settings, fit_masked
        >>> world = MarkovWorld([0.5, 0.5], [[0.9, 0.1], [0.1, 0.9]], length=3)
        >>> runs = fit_masked([dv.masked_objective("elbo")], world, Settings(steps=4))
        >>> runs[0].losses.shape
        (4,)
    """
    members = [checked_objective(one) for one in items(objectives, "objectives")]
    require(members, "objectives must hold at least one masked objective")
    instance(world, "world", MarkovWorld, "a world such as MarkovWorld(start, transition)")
    chosen = Settings() if settings is None else settings
    instance(chosen, "settings", Settings, "settings such as Settings(steps=100)")
    size = chosen.batch * world.length * chosen.width**2 * 12.0
    with threads.suited(size):
        return [_fit_one(objective, world, chosen) for objective in members]


def _fit_one(objective: MaskedObjective, world: MarkovWorld, settings: Settings) -> MaskedRun:
    """One training."""
    network = transformer(
        world.alphabet, world.length, settings.width, settings.layers, settings.seed
    )
    optimiser = torch.optim.Adam(network.parameters(), lr=settings.learning_rate)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.steps)
    rng = np.random.default_rng(settings.seed)
    tracker = LossByLogSNR(EDGES, settings.decay)
    losses = np.empty(settings.steps)
    for step in range(settings.steps):
        x = world.sample(settings.batch, rng)
        batch = draw_masks(objective, settings.batch, world.length, rng)
        spent = cross_entropies(network, x, batch.mask, world.alphabet)
        loss = (torch.from_numpy(batch.weight).float() * spent).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        falling.step()
        losses[step] = loss.item()
        tracker.update(batch.logsnr, spent.detach())
    return MaskedRun(objective, world, network.eval(), tracker, losses)


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
    """
    function(network, "network")
    tokens = torch.from_numpy(array(x, "x", ndim=2).astype(np.int64))
    hidden = torch.from_numpy(array(mask, "mask", ndim=2) != 0)
    require(
        tokens.shape == hidden.shape,
        f"mask must have the shape {tuple(tokens.shape)} of x, got {tuple(hidden.shape)}",
    )
    mask_token = count(mask_token, "mask_token", least=0)
    logits = _logits(network, tokens.masked_fill(hidden, mask_token))
    each = nn.functional.cross_entropy(logits.transpose(1, 2), tokens, reduction="none")
    return (each * hidden).sum(1)
