"""Interception of the random draws of a training loss: recorded once, then replayed.

While ``Draws`` is active, every random function of torch passes through it. The first run of the
loss records what is drawn, and each later run gets the same numbers again, with the noise on or
off.

A draw has one of three roles, decided by ``classify``:

- noise is normal and as large as the data; it can be switched off;
- a time is one number or a few for each sample; it is replaced by quantiles of its own law;
- anything else is replayed as it was drawn.

The quantiles belong to evenly spread probabilities u = (i + 1/2)/N. Each time axis takes its share
of this grid in the order of a Kronecker sequence, so that several axes are even jointly.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.overrides import TorchFunctionMode

from diffviz.checks import require
from diffviz.probing.quantiles import QUANTILES

MAX_TIME_AXES = 10  # a loop that rejects draws ends only if later draws are new ones
MAX_TIMES_PER_SAMPLE = 4
KRONECKER_STEPS = np.sqrt([0, 1.25, 2, 3, 7, 11, 13, 17, 19, 23, 29, 31, 37])
WITHOUT_QUANTILES = frozenset({"randperm", "_standard_gamma", "poisson", "geometric_"})
NORMAL = frozenset({"randn", "randn_like", "normal", "normal_"})
BELOW_ONE = frozenset({"rand", "rand_like"})


# Roles -------------------------------------------------------------------------------------------


class Role(Enum):
    """What a random draw is for.

    ``NOISE``: normal and as large as the data, or one number for several components; can be off.
    ``TIME``: a number or a few for each sample, of a law whose quantiles are known.
    ``OTHER``: anything else.
    """

    NOISE = auto()
    TIME = auto()
    OTHER = auto()


@dataclass(frozen=True)
class RandomCall:
    """A call of one of torch's random functions.

    Attributes:
        function: Name of the function.
        args: Its positional arguments; the first one is filled if it works in place.
        kwargs: Its keyword arguments.
    """

    function: str
    args: tuple
    kwargs: dict[str, Any]

    @property
    def in_place(self) -> bool:
        """Whether the call fills its first argument."""
        return self.function.endswith("_")


@dataclass(frozen=True)
class Recorded:
    """A draw as it is replayed.

    Attributes:
        function: Name of the torch function that made it.
        value: The numbers.
        role: What it is for; noise can be switched off.
    """

    function: str
    value: Tensor
    role: Role


def classify(call: RandomCall, drawn: Tensor, data: Tensor) -> Role:
    """Tell what a random draw is for.

    Args:
        call: The call that made it.
        drawn: The numbers that it gave, of any shape.
        data: The data of this run, shape (n, ...).

    Returns:
        Whether it is noise, a time whose quantiles are known, or anything else.
    """
    if call.function != "_sample_dirichlet" and _is_as_large_as_data(call, drawn, data):
        one_a_sample = len(drawn) == len(data)
        return Role.NOISE if call.function in NORMAL and one_a_sample else Role.OTHER
    if _has_quantiles(call) and _is_few_per_sample(drawn, data):
        return Role.TIME
    return Role.OTHER


def _is_as_large_as_data(call: RandomCall, drawn: Tensor, data: Tensor) -> bool:
    """Whether a draw is as large as the data, or can be broadcast to several numbers a sample."""
    if drawn.numel() == data.numel():
        return True
    if drawn.numel() <= len(data):
        return False
    return _broadcasts(drawn, data) or (call.function in NORMAL and _leads(drawn, data))


def _broadcasts(drawn: Tensor, data: Tensor) -> bool:
    """Whether each dimension of a draw is that of the data, or 1."""
    if drawn.ndim != data.ndim:
        return False
    pairs = zip(drawn.shape, data.shape, strict=True)
    return all(size in (1, full) for size, full in pairs)


def _leads(drawn: Tensor, data: Tensor) -> bool:
    """Whether a draw has the first dimensions of the data, such as one number for each channel."""
    return drawn.ndim > 1 and drawn.shape == data.shape[: drawn.ndim]


def _has_quantiles(call: RandomCall) -> bool:
    """Whether the law of a call has a quantile function that can stand for it."""
    if call.function == "random_":
        return len(call.args) > 1  # without bounds the full range of integers is meant
    if call.function == "multinomial":
        return _draws_with_replacement(call)
    if call.function == "_sample_dirichlet":
        return call.args[0].shape[-1] == 2  # torch draws a Beta variable so
    return call.function in QUANTILES


def _draws_with_replacement(call: RandomCall) -> bool:
    """Whether a call of ``multinomial`` draws each time from all of one list of weights."""
    weights = call.args[0] if call.args else call.kwargs["input"]
    replacement = call.kwargs.get("replacement") or call.args[2:3] == (True,)
    return weights.ndim == 1 and bool(replacement)


def _is_few_per_sample(drawn: Tensor, data: Tensor) -> bool:
    """Whether a draw has a number or a few for each sample, or fewer."""
    rows = _rows(drawn, data)
    return 0 < rows <= len(data) and drawn.numel() <= MAX_TIMES_PER_SAMPLE * rows


def _rows(drawn: Tensor, data: Tensor) -> int:
    """Rows of a draw: all its numbers if they are at most one a sample, else its length."""
    return drawn.numel() if drawn.numel() <= len(data) else drawn.shape[0]


# Even probabilities ------------------------------------------------------------------------------


class KroneckerGrids:
    """Grids (i + 1/2)/N of probabilities in the order of Kronecker sequences, made once."""

    def __init__(self) -> None:
        self._grids: dict[tuple[int, int], NDArray] = {}

    def grid(self, axis: int, total: int) -> NDArray:
        """The grid of one time axis.

        Args:
            axis: Number of the time axis. The first is in its own order, each other has an
                irrational step.
            total: Number of points.

        Returns:
            (i + 1/2)/total in the order of the sequence, shape (total,).
        """
        if (axis, total) not in self._grids:
            sequence = np.arange(total) * KRONECKER_STEPS[axis] % 1
            rank = np.argsort(np.argsort(sequence, kind="stable"))
            self._grids[axis, total] = (rank + 0.5) / total
        return self._grids[axis, total]


@dataclass(frozen=True)
class Batch:
    """The data of one run of the loss, and its place among all runs.

    Attributes:
        x: Data, shape (n, ...).
        number: Number of this batch, from 0.
        total: Number of batches in all.
        seed: Seed of the draws that are recorded for it.
    """

    x: Tensor
    number: int
    total: int
    seed: int

    def places(self, rows: int) -> NDArray:
        """This batch's places in a sequence of ``rows * total`` points, shuffled, shape (rows,)."""
        shuffled = np.random.default_rng(self.seed).permutation(rows)
        return shuffled * self.total + self.number


# Recording and replay ----------------------------------------------------------------------------


class Draws(TorchFunctionMode):
    """The random draws of the loss on one batch, recorded in its first run and replayed afterwards.

    Attributes:
        batch: The data and their place among all batches.
        order: Place of each sample in the stratified sequence, shape (n,).
        recorded: The draws in the order in which the loss makes them.
    """

    def __init__(
        self,
        batch: Batch,
        grids: KroneckerGrids | None,
        generator_states: dict[torch.Generator, Tensor],
    ):
        """Prepare to record.

        Args:
            batch: The data and their place among all batches.
            grids: Probabilities for the times; None leaves the times as they were drawn.
            generator_states: Generators that the loss draws from, with the state in which they were
                met first. New ones are added, so that the caller can put them back.
        """
        super().__init__()
        self.batch = batch
        self.order = batch.places(len(batch.x))
        self.recorded: list[Recorded] = []
        self._grids = grids
        self._generator_states = generator_states
        self._rng_state = torch.Generator().manual_seed(batch.seed).get_state()
        self._position = 0
        self._noise_on = True
        self._time_axes = 0

    @property
    def noises(self) -> list[Tensor]:
        """The draws that are noise, in the order in which the loss makes them."""
        return [draw.value for draw in self.recorded if draw.role is Role.NOISE]

    def rewind(self, noise: bool) -> None:
        """Start the next run of the loss.

        Args:
            noise: Whether the noise is on; where it is off, zeros are replayed instead.
        """
        self._position = 0
        self._noise_on = noise

    def __torch_function__(self, func, types, args=(), kwargs=None):
        """Answer a call of a random function from the record; let all other functions pass."""
        call = RandomCall(getattr(func, "__name__", ""), args, kwargs or {})
        if call.function not in QUANTILES and call.function not in WITHOUT_QUANTILES:
            return func(*call.args, **call.kwargs)
        if self._position == len(self.recorded):
            self.recorded.append(self._record(func, call))
        value = self._replay(call)
        return call.args[0].copy_(value) if call.in_place else value

    def _replay(self, call: RandomCall) -> Tensor:
        """The next recorded numbers, or zeros for noise that is off."""
        draw = self.recorded[self._position]
        self._position += 1
        require(
            draw.function == call.function,
            f"the loss draws {draw.function} once and {call.function} the next time with the same "
            "seed: it cannot be replayed",
        )
        if draw.role is Role.NOISE and not self._noise_on:
            return torch.zeros_like(draw.value)
        return draw.value.clone()

    def _record(self, func: Callable[..., Tensor], call: RandomCall) -> Recorded:
        """Make a draw, tell its role, and put quantiles in the place of a time."""
        self._remember_generator(call)
        drawn = self._draw(func, call)
        role = classify(call, drawn, self.batch.x)
        if role is Role.TIME and self._grids is not None:
            drawn = self._stratified(call, drawn, self._grids)
        return Recorded(call.function, drawn, role)

    def _remember_generator(self, call: RandomCall) -> None:
        """Note the state of a generator that the loss gives to a random function."""
        generator = call.kwargs.get("generator")
        if generator is not None:
            self._generator_states.setdefault(generator, generator.get_state())

    def _draw(self, func: Callable[..., Tensor], call: RandomCall) -> Tensor:
        """Draw from a state of its own: a replay takes nothing from the generator of the loss."""
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(self._rng_state)
            result = func(*call.args, **call.kwargs)
            drawn = result.detach().clone()  # what is drawn in place is a tensor of the loss
            self._rng_state = torch.get_rng_state()
        return drawn

    def _stratified(self, call: RandomCall, drawn: Tensor, grids: KroneckerGrids) -> Tensor:
        """Quantiles of the call's law at even probabilities, in the shape and type of the draw.

        Once all time axes are used up, it is the draw itself.
        """
        if self._time_axes >= MAX_TIME_AXES:
            return drawn
        rows = _rows(drawn, self.batch.x)
        columns = [self._probabilities(rows, grids) for _ in range(drawn.numel() // rows)]
        u = np.stack(columns, -1).reshape(drawn.shape)
        quantile = QUANTILES[call.function]
        value = quantile(torch.from_numpy(u).to(drawn.device), *call.args, **call.kwargs)
        if call.function in BELOW_ONE:  # also after rounding to few bits
            value = value.clamp(max=1 - torch.finfo(drawn.dtype).eps / 2)
        return value.to(drawn.dtype)

    def _probabilities(self, rows: int, grids: KroneckerGrids) -> NDArray:
        """This batch's share of the grid of the next time axis, shape (rows,)."""
        grid = grids.grid(self._time_axes, rows * self.batch.total)
        self._time_axes += 1
        u = grid[self.batch.places(rows)]
        n = len(self.batch.x)
        if rows == 1 and self.batch.total <= n:
            # one offset for n evenly spread times: make it even between them too
            return (np.floor(u * n) + u) / n
        return u
