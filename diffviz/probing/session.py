"""Runs of a training loss on recorded draws, with data and noise switched on or off.

A session holds what is common to all runs: the loss, its data, the stand-in for its network and the
states of everything random. A chunk is one batch of it with its recorded draws. It can be run
again and again, and gives the noised data z and the gradient with respect to the network's output.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np
import torch
from torch import Tensor

from diffviz.checks import require
from diffviz.probing.draws import Batch, Draws, KroneckerGrids
from diffviz.probing.standin import StandIn


class State(Enum):
    """Which parts of z = alpha x + sigma eps are on."""

    NOTHING = (False, False)
    DATA = (True, False)
    NOISE = (False, True)
    BOTH = (True, True)

    def __init__(self, data: bool, noise: bool):
        self.data = data
        self.noise = noise


@dataclass(frozen=True)
class Response:
    """What one run of the loss tells.

    Attributes:
        z: Noised data that the network got, shape (n, d).
        gradient: Gradient of the summed losses of the samples at the network's output, shape (n,
            d).
        scalars: The network's other arguments with one number, or one a sample: times, noise
            levels.
        dtype: The dtype in which the network got z.
    """

    z: Tensor
    gradient: Tensor
    scalars: list[Tensor]
    dtype: torch.dtype

    def only(self, components: slice) -> "Response":
        """The response at some components.

        Args:
            components: Which ones.

        Returns:
            The same with z and gradient of these alone.
        """
        return replace(self, z=self.z[:, components], gradient=self.gradient[:, components])


class Session:
    """What is common to all runs of one loss.

    Attributes:
        x: Data, shape (any number, ...).
        standin: Answers in the place of the network.
        bit_generators: NumPy's bit generators that the loss draws from.
        generator_states: torch's generators that the loss draws from, with the state in which they
            were met first.
    """

    def __init__(
        self,
        loss: Callable[[Tensor], Any],
        x: Tensor,
        standin: StandIn,
        *,
        seed: int,
        stratified: bool,
        bit_generators: Sequence[Any] = (),
    ):
        """Hold a loss and its data.

        Args:
            loss: The loss as a function of the data alone.
            x: Data, floating point, shape (any number, ...).
            standin: Answers in the place of the network.
            seed: Seed of all draws.
            stratified: Whether times are replaced by quantiles of their law.
            bit_generators: NumPy's bit generators that the loss draws from.
        """
        self.x = x
        self.standin = standin
        self.bit_generators = list(bit_generators)
        self.generator_states: dict[torch.Generator, Tensor] = {}
        self._loss = loss
        self._seed = seed
        self._grids = KroneckerGrids() if stratified else None

    def chunk(self, number: int, total: int, size: int) -> "Chunk":
        """A batch with draws of its own.

        Args:
            number: Number of the chunk, from 0.
            total: Number of chunks in all.
            size: Number of samples; the data are used in turn.

        Returns:
            The chunk, whose draws are recorded in its first run.
        """
        rows = torch.arange(number * size, (number + 1) * size) % len(self.x)
        batch = Batch(self.x[rows], number, total, self._seed + number)
        draws = Draws(batch, self._grids, self.generator_states)
        return Chunk(self._loss, draws, self.standin, self.bit_generators)


class Chunk:
    """One batch of data with its recorded draws.

    Attributes:
        x: Data, shape (n, ...).
        draws: The draws of the loss on them.
        standin: Answers in the place of the network.
        dtype: The dtype in which gradients are read: that of the data, or float32 if it has fewer
            bits.
    """

    def __init__(
        self,
        loss: Callable[[Tensor], Any],
        draws: Draws,
        standin: StandIn,
        bit_generators: Sequence[Any],
    ):
        """Hold a batch; see ``Session.chunk``."""
        self.x = draws.batch.x
        self.draws = draws
        self.standin = standin
        self.dtype = torch.promote_types(self.x.dtype, torch.float32)
        self._loss = loss
        self._bit_generators = bit_generators
        self._bit_states = [bits.state for bits in bit_generators]

    @property
    def size(self) -> int:
        """Number of samples."""
        return len(self.x)

    def rows(self, values: Tensor) -> Tensor:
        """Numbers in the shape of the data as one row a sample, shape (n, d), in ``dtype``."""
        return values.reshape(self.size, -1).to(self.dtype)

    def run(self, state: State, output: Tensor | None = None) -> Response:
        """Run the loss once.

        Args:
            state: Which of data and noise are on.
            output: What the network answers, shape (n, d) or (d,); None stands for zeros.

        Returns:
            z and the gradient at the network's output.

        Raises:
            ValueError: The loss does not call its network, or carries no gradient to its output.
            TypeError: The loss returns no tensor.
        """
        self._reset_generators()
        self.draws.rewind(state.noise)
        self.standin.reset(None if output is None else output.expand(self.size, -1))
        x = self.x.clone() if state.data else torch.zeros_like(self.x)
        with self.draws:
            value = _tensor_of(self._loss(x))
        call = self.standin.choose()
        require(
            call.z.numel() == x.numel(),
            f"the network gets {tuple(call.z.shape)} for x {tuple(x.shape)}: pick z by inputs=, or "
            "give x as the network sees it",
        )
        gradient = self._gradient(value, call.output)
        return Response(self.rows(call.z), self.rows(gradient), call.scalars, call.z.dtype)

    def _reset_generators(self) -> None:
        """Set everything else that the loss may draw from to where it was before."""
        seed = self.draws.batch.seed
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        random.seed(seed)
        for bits, state in zip(self._bit_generators, self._bit_states, strict=True):
            bits.state = state

    def _gradient(self, value: Tensor, output: Tensor) -> Tensor:
        """Gradient of the summed losses of the samples at the output of the network."""
        require(
            value.requires_grad,
            "the loss carries no gradient: detached, under no_grad, or without the network's "
            "output",
        )
        total = value.sum() * (self.size if value.numel() == 1 else 1)
        (gradient,) = torch.autograd.grad(total, output, allow_unused=True)
        require(
            gradient is not None,
            "the loss ignores the output of this call of its network; choose another one by call=",
        )
        return gradient


def _tensor_of(result: Any) -> Tensor:
    """The loss in what a training step returns: bare, first in a tuple, or named "loss"."""
    if isinstance(result, dict):
        value = result.get("loss")
    elif isinstance(result, (tuple, list)):
        value = result[0] if result else None
    else:
        value = getattr(result, "loss", result)
    if not isinstance(value, Tensor):
        raise TypeError(
            f"the loss must return a tensor, bare, in a tuple or under 'loss', not {value}"
        )
    return value
