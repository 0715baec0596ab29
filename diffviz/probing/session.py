"""Runs of a training loss on recorded draws, with data and noise switched on or off.

A session holds what is common to all runs: the loss, its data, the stand-in for its network and the
states of everything random. A chunk is one batch of it with its recorded draws. It can be run
again and again, and gives the noised data z and the gradient with respect to the network's output.
"""

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np
import torch
from torch import Tensor

from diffviz.checks import attribute, require, text
from diffviz.probing.counters import Counters
from diffviz.probing.draws import NOTHING_KNOWN, Batch, Draws, Known, KroneckerGrids
from diffviz.probing.explain import explaining
from diffviz.probing.numpy_draws import Interceptor, NumpyDraws, state_of_random
from diffviz.probing.standin import PLAIN, Answers, Call, StandIn

OF_THE_PROBE = 0x70726F62  # keeps the probe's seeds apart from those that people use


class State(Enum):
    """Which parts of z = alpha x + sigma eps are on."""

    NOTHING = (False, False)
    DATA = (True, False)
    NOISE = (False, True)
    BOTH = (True, True)

    def __init__(self, data: bool, noise: bool):
        self.data = data
        self.noise = noise


@dataclass(frozen=True, eq=False)
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

        They are copied, so that the others take no more memory and what is computed next is small.

        Args:
            components: Which ones.

        Returns:
            The same with z and gradient of these alone.
        """
        z = self.z[:, components].contiguous()
        return replace(self, z=z, gradient=self.gradient[:, components].contiguous())


class Session:
    """What is common to all runs of one loss.

    Attributes:
        x: Data, shape (any number, ...).
        standin: Answers in the place of the network.
        bit_generators: NumPy's bit generators that the loss draws from.
        generator_states: torch's generators that the loss draws from, with the state in which they
            were met first.
        interceptor: What answers in the place of NumPy's sources while the loss runs.
        counters: Numbers that the loss keeps between its calls; None where none are looked for.
        loss_key: Name of the loss in what the loss function returns; None takes the usual ones.
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
        counters: Counters | None = None,
        loss_key: str | None = None,
    ):
        """Hold a loss and its data.

        Args:
            loss: The loss as a function of the data alone.
            x: Data, floating point, shape (any number, ...).
            standin: Answers in the place of the network.
            seed: Seed of all draws.
            stratified: Whether times are replaced by quantiles of their law.
            bit_generators: NumPy's bit generators that the loss draws from.
            counters: Numbers that the loss keeps between its calls.
            loss_key: Name of the loss in what the loss function returns.
        """
        self.x = x
        self.standin = standin
        self.bit_generators = list(bit_generators)
        self.generator_states: dict[torch.Generator, Tensor] = {}
        self.interceptor = Interceptor()
        self.counters = counters
        self.loss_key = None if loss_key is None else text(loss_key, "loss_key")
        self._loss = loss
        self._seed = seed
        self._grids = KroneckerGrids() if stratified else None

    def chunk(
        self,
        number: int,
        total: int,
        size: int,
        known: Known = NOTHING_KNOWN,
        *,
        independent: bool = False,
        salt: int = 0,
    ) -> "Chunk":
        """A batch with draws of its own.

        Args:
            number: Number of the chunk, from 0.
            total: Number of chunks in all.
            size: Number of samples; the data are used in turn.
            known: What is known of draws beyond their shapes.
            independent: Whether the levels of a chunk are independent of each other.
            salt: A number that other draws than even times depend on.

        Returns:
            The chunk, whose draws are recorded in its first run.
        """
        rows = torch.arange(number * size, (number + 1) * size) % len(self.x)
        batch = Batch(self.x[rows], number, total, self.seed_of(number, salt), independent)
        return Chunk(self, Draws(batch, self._grids, self.generator_states, known))

    def seed_of(self, number: int, salt: int = 0) -> int:
        """Seed of one chunk, which differs from any that a user is likely to have used.

        Args:
            number: Number of the chunk.
            salt: Another number gives another seed.

        Returns:
            A seed of 63 bits.
        """
        sequence = np.random.SeedSequence([OF_THE_PROBE, self._seed, number, salt])
        return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))

    def call_loss(self, x: Tensor) -> Tensor:
        """The loss on a batch.

        Args:
            x: Data, shape (n, ...).

        Returns:
            The tensor in what the loss returns.

        Raises:
            TypeError: There is none.
        """
        explained = explaining(lambda: self.standin.answered)
        with explained, np.errstate(divide="ignore", invalid="ignore"):  # of noise that is off
            value = self._loss(x)
        return _tensor_of(value, self.loss_key)


class Chunk:
    """One batch of data with its recorded draws.

    Attributes:
        x: Data, shape (n, ...).
        draws: The draws of the loss on them.
        standin: Answers in the place of the network.
        dtype: The dtype in which gradients are read: that of the data, or float32 if it has fewer
            bits.
    """

    def __init__(self, session: Session, draws: Draws):
        """Hold a batch; see ``Session.chunk``."""
        self.x = draws.batch.x
        self.draws = draws
        self.standin = session.standin
        self.dtype = torch.promote_types(self.x.dtype, torch.float32)
        self._session = session
        self._numpy_draws = NumpyDraws(draws.batch, draws.axes, draws)
        self._bit_states = [bits.state for bits in session.bit_generators]
        self._torch_state = _torch_state(draws.batch.seed)
        self._counted = session.counters.take() if session.counters else None
        self._ran = False
        batch = draws.batch
        self._random_state = state_of_random(
            batch.number,
            batch.total,
            batch.seed,
            stratified=draws.axes is not None,
            rows=len(batch.x),
        )

    @property
    def size(self) -> int:
        """Number of samples."""
        return len(self.x)

    @property
    def repeated_sample(self) -> Tensor:
        """The first sample of all data in the place of each, shape (n, ...)."""
        return self._session.x[:1].expand_as(self.x)

    def rows(self, values: Tensor) -> Tensor:
        """Numbers in the shape of the data as one row a sample, shape (n, d), in ``dtype``."""
        return values.reshape(self.size, -1).to(self.dtype)

    def knowing(self, known: Known) -> "Chunk":
        """The same batch, not yet recorded, where more is known of its draws.

        Args:
            known: What is known of draws beyond their shapes.

        Returns:
            The chunk.
        """
        batch = self.draws.batch
        return self._session.chunk(batch.number, batch.total, len(batch.x), known)

    @property
    def is_stratified(self) -> bool:
        """Whether times are quantiles of their law."""
        return self.draws.axes is not None

    def reseeded(self) -> "Chunk":
        """The same batch with the same even times, where all other draws are new ones."""
        batch = self.draws.batch
        size = len(batch.x)
        return self._session.chunk(batch.number, batch.total, size, self.draws.known, salt=1)

    @contextmanager
    def repeating_levels(self, kept: int) -> Iterator[None]:
        """Give all samples from one on the times of the first one, for the while.

        Args:
            kept: Number of samples that keep their times.
        """
        with self.draws.repeating_levels(kept), self._numpy_draws.repeating_levels(kept):
            yield

    def larger(self, size: int) -> "Chunk":
        """A batch of another size, with the first samples and draws of its own, noise as drawn.

        Args:
            size: Number of samples.

        Returns:
            The chunk.
        """
        return self._session.chunk(0, 1, size, replace(self.draws.known, unit_noise=False))

    def run(
        self,
        state: State,
        output: Tensor | None = None,
        *,
        data: Tensor | None = None,
        noises: Mapping[int, Tensor] | None = None,
        answers: Answers = PLAIN,
    ) -> Response:
        """Run the loss once.

        Args:
            state: Which of data and noise are on.
            output: What the network answers, shape (n, d) or (d,); None stands for zeros.
            data: What takes the place of the data where they are on, in their shape.
            noises: What takes the place of some noises, by their number; the others are off.
            answers: How other calls of the network are answered.

        Returns:
            z and the gradient at the network's output. Where noise needs data, a state without
            them is the same one with data, less what the data alone give. Where noise is always on
            too, it is extrapolated from once and twice the data, 2 f(x) − f(2x). Neither looks at
            ``data``.

        Raises:
            ValueError: The loss does not call its network, or carries no gradient to its output.
            TypeError: The loss returns no tensor.
        """
        if state.data or not self.draws.known.needs_data:
            return self._run(state, output, data, noises, answers)
        if self.draws.known.always_on:
            once = self._run(State.BOTH, output, None, noises, answers)
            twice = self._run(State.BOTH, output, 2 * self.x, noises, answers)
            return replace(
                once, z=2 * once.z - twice.z, gradient=2 * once.gradient - twice.gradient
            )
        of_data = self._run(State.DATA)
        beside = State.BOTH if state.noise else State.DATA
        whole = self._run(beside, output, None, noises, answers)
        return replace(whole, z=whole.z - of_data.z, gradient=whole.gradient - of_data.gradient)

    def _run(
        self,
        state: State,
        output: Tensor | None = None,
        data: Tensor | None = None,
        noises: Mapping[int, Tensor] | None = None,
        answers: Answers = PLAIN,
    ) -> Response:
        """Run the loss once in a state as it is; see ``run``."""
        self._reset_generators()
        self.draws.rewind(state.noise, noises)
        self.standin.reset(output, answers)
        x = self.x if data is None else data
        x = x.clone() if state.data else torch.zeros_like(x)
        with self.draws:
            value = self._session.call_loss(x)
        call = self.standin.choose()
        gradient = self._gradient(value, call)
        shape = len(call.z), math.prod(call.z.shape[1:])  # of which there may be no row
        return Response(
            call.z.reshape(shape).to(self.dtype),
            call.of_part(gradient).reshape(shape).to(self.dtype),
            call.scalars,
            call.z.dtype,
        )

    def _reset_generators(self) -> None:
        """Set everything else that the loss may draw from to where it was before."""
        batch = self.draws.batch
        torch.default_generator.set_state(self._torch_state)
        self._numpy_draws.rewind()
        np.random.seed(batch.seed % 2**32)  # noqa: NPY002
        self._session.interceptor.reset(self._numpy_draws, batch.seed)
        random.setstate(self._random_state)
        for bits, state in zip(self._session.bit_generators, self._bit_states, strict=True):
            bits.state = state
        if self._session.counters and self._counted and self._ran:
            self._session.counters.put_back(self._counted)
        self._ran = True

    def _gradient(self, value: Tensor, call: Call) -> Tensor:
        """Gradient of the summed losses of the samples at the output of the network."""
        require(
            value.requires_grad,
            "the loss carries no gradient: detached, under no_grad, or without the network's "
            "output",
        )
        share = torch.full_like(value, len(call.z) if value.numel() == 1 else 1)
        with explaining():
            (gradient,) = torch.autograd.grad(value, call.output, share, allow_unused=True)
        require(
            gradient is not None,
            "the loss ignores the output of this call of its network; choose another one by call=",
        )
        return gradient


def _torch_state(seed: int) -> Tensor:
    """State of torch's generator after a seed."""
    return torch.Generator().manual_seed(seed).get_state()


def _tensor_of(result: Any, loss_key: str | None) -> Tensor:
    """The loss in what a training step returns: bare, first in a tuple, or under its name."""
    if loss_key is not None:
        value = _under_name(result, loss_key)
    elif isinstance(result, dict):
        value = result.get("loss")
    elif isinstance(result, (tuple, list)):
        value = result[0] if result else None
    else:
        value = attribute(result, "loss", result)
    if not isinstance(value, Tensor):
        names = f"; it has {sorted(map(str, result))}" if isinstance(result, dict) else ""
        raise TypeError(
            "the loss must return a tensor, bare, in a tuple or under 'loss' (loss_key= gives "
            f"another name), not {value}{names}"
        )
    return value


def _under_name(result: Any, name: str) -> Any:
    """What stands under a name in a dict or an object; None where there is nothing."""
    return result.get(name) if isinstance(result, dict) else attribute(result, name)
