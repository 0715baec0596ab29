"""Adam with relative clipping and averaged weights, for k networks in one tensor.

A step makes a new state and leaves the old one as it was, so that an interrupt finds nothing half
done. Another optimiser is another function like ``adam_step``, with its moments in ``State``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

from diffviz.learning.settings import Settings

BETAS = 0.9, 0.99  # decays of both moments of Adam (Kingma and Ba 2015)
EPSILON = 1e-15


@dataclass(frozen=True, eq=False)
class State:
    """All that a step of training changes.

    Args:
        weights: Flat weights, shape (k, parameters).
        first: First moment of the gradient, like ``weights``.
        second: Second moment of the gradient, like ``weights``.
        averages: Averaged weights, shape (averaging lengths, k, parameters).
        losses: Loss of every step, shape (k, steps); what comes after ``step`` is 0.
        seen: What ``importance`` knew when it drew the block, shape (k, 2, bins + 2); None if
            levels are drawn by the objectives' own laws.
        block: λ and squared eps error of the steps of the block so far, shape
            (2, steps of a block, k, n); None with ``seen``.
        step: Number of steps done.
    """

    weights: Tensor
    first: Tensor
    second: Tensor
    averages: Tensor
    losses: Tensor
    seen: Tensor | None = None
    block: Tensor | None = None
    step: int = 0

    def tensors(self) -> dict[str, Tensor]:
        """The tensors by name, for a checkpoint."""
        names = [field.name for field in fields(self) if field.name != "step"]
        values = {name: getattr(self, name) for name in names}
        return {name: value for name, value in values.items() if value is not None}


def initial_state(settings: Settings, shape: Sequence[int], k: int, device: torch.device) -> State:
    """The state before the first step: the same random weights for all k networks.

    Args:
        settings: Settings of the training.
        shape: Shape of one point.
        k: Number of networks.
        device: Where the tensors lie.

    Returns:
        The state.
    """
    rng = np.random.default_rng(settings.seed)
    pieces = [
        std * rng.standard_normal(math.prod(size), "f4")
        for size, std in settings.model.weights(tuple(shape))
    ]
    weights = torch.from_numpy(np.concatenate(pieces)).to(device).repeat(k, 1)
    return State(
        weights=weights,
        first=0 * weights,
        second=0 * weights,
        averages=weights.repeat(len(settings.ema), 1, 1),
        losses=weights.new_zeros(k, settings.steps),
    )


def clip_factor(state: State, squared_length: Tensor, clip: float) -> Tensor:
    """What a gradient is multiplied by so that it is no longer than the limit.

    A loss has no scale of its own. The limit is therefore ``clip`` times the running root mean
    square of the gradient's length. A gradient of zero sets no limit to those after it.

    Args:
        state: The state before the step.
        squared_length: Squared length of each network's gradient, shape (k, 1).
        clip: The limit in units of the root mean square.

    Returns:
        Factors in [0, 1], shape (k, 1).
    """
    # the second moment sums to the mean squared length
    mean_square = state.second.sum(1, keepdim=True) / (1 - BETAS[1] ** max(state.step, 1))
    limit = clip**2 * mean_square
    return torch.where(limit > 0, limit / squared_length, 1.0).clamp(max=1).sqrt()


def average_weights(state: State, weights: Tensor, shares: Sequence[float]) -> Tensor:
    """Averages that take in the weights of one more step.

    The mean age of what is averaged is a share of the steps done: the power function of Karras et
    al. 2024 (arXiv 2312.02696), sec. 3.1.

    Args:
        state: The state before the step.
        weights: The weights after it, shape (k, parameters).
        shares: Mean ages as shares of the steps done, each in (0, 0.5].

    Returns:
        The averages, shape (shares, k, parameters).
    """
    kept = 1 - 1 / (state.step + 1)
    fresh = weights.new_tensor([1 - kept ** (1 / share - 1) for share in shares])
    return state.averages.lerp(weights, fresh[:, None, None])


def adam_step(state: State, gradient: Tensor, squared_length: Tensor, settings: Settings) -> State:
    """The state after one step of Adam.

    Args:
        state: The state before.
        gradient: Gradient of the loss by the weights, shape (k, parameters).
        squared_length: Squared length of each network's gradient, shape (k, 1).
        settings: Settings of the training.

    Returns:
        A new state.
    """
    done = state.step + 1
    gradient = gradient * clip_factor(state, squared_length, settings.clip)
    first = state.first.lerp(gradient, 1 - BETAS[0])
    second = (BETAS[1] * state.second).addcmul_(gradient, gradient, value=1 - BETAS[1])
    size = settings.learning_rate_at(state.step) / (1 - BETAS[0] ** done)
    scale = (second / (1 - BETAS[1] ** done)).sqrt_().add_(EPSILON)
    weights = torch.addcdiv(state.weights, first, scale, value=-size)
    averages = average_weights(state, weights, settings.ema)
    return replace(state, weights=weights, first=first, second=second, averages=averages, step=done)
