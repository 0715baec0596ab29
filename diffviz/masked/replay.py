"""Interception of the random draws of a masked loss: the masks are recorded as noise is elsewhere.

While ``Draws`` is active, every random function of torch passes through it. A draw has one of three
roles, which follows from its shape:

- a *time* is one number or a few for each sequence. Quantiles of its law at even probabilities
  stand for it, so that few runs show the whole law;
- a *mask* is a uniform or Bernoulli number for each token. It can be set to chosen numbers. By
  bisection of these the rate of each token is found to all digits;
- anything else is drawn from a seed of its own, which tells runs apart.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.overrides import TorchFunctionMode

from diffviz.probing.quantiles import QUANTILES

UNIFORM = frozenset({"rand", "rand_like", "uniform_"})
CHOICES = frozenset({"bernoulli", "bernoulli_"})
RANDOM = frozenset(QUANTILES) | {"randperm", "_standard_gamma", "poisson", "geometric_"}
MOST_TIMES = 4  # numbers for each sequence that are times, or else one for each block of tokens
STEP = np.sqrt(5)  # from batch to batch, of the strata of a row


@dataclass(frozen=True, eq=False)
class Plan:
    """What one run of a loss draws.

    Args:
        batch: Number of this batch, from 0.
        batches: Number of batches in all.
        shape: Shape (n, L) of the tokens.
        seed: Seed of all draws that are no times.
        fill: Numbers for the masks, shape (n, L); None draws them from the seed.
        times: "even" over all batches, "drawn" from the seed too, or all in the "middle" of
            their law.
    """

    batch: int
    batches: int
    shape: tuple[int, int]
    seed: int = 0
    fill: Tensor | None = None
    times: str = "even"

    def probabilities(self, shape: tuple[int, ...], call: int) -> NDArray:
        """Even probabilities for the times of one call, in the shape of the draw.

        Over all batches, and over those of one row, they are even too.
        """
        if self.times == "middle":
            return np.full(shape, 0.5)
        rows = shape[0] if shape else 1
        columns = int(np.prod(shape)) // max(rows, 1)
        rng = np.random.default_rng([call, 17])
        u = np.empty((rows, columns))
        shift = int(rows * (self.batch * STEP % 1))
        for column in range(columns):
            strata = (rng.permutation(rows) + shift) % rows
            place = rng.permutation(self.batches)[self.batch]
            u[:, column] = (strata + (place + 0.5) / self.batches) / rows
        return u.reshape(shape)


class Draws(TorchFunctionMode):
    """The draws of one run of a masked loss.

    Attributes:
        names: Functions that were called, in order.
        found_mask: Whether one of them was taken for the mask.
    """

    def __init__(self, plan: Plan):
        super().__init__()
        self.plan = plan
        self.names: list[str] = []
        self.found_mask = False

    def __torch_function__(self, func, types, args=(), kwargs=None):
        """Answer a call of a random function; let all other functions pass."""
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if name not in RANDOM:
            return func(*args, **kwargs)
        call = len(self.names)
        self.names.append(name)
        drawn = self._seeded(func, args, kwargs, call)
        value = self._replaced(name, drawn, args, kwargs, call)
        if value is None:
            return drawn
        value = value.reshape(drawn.shape).to(drawn.dtype).to(drawn.device)
        return args[0].copy_(value) if name.endswith("_") else value

    def _seeded(self, func: Callable, args: tuple, kwargs: dict[str, Any], call: int) -> Tensor:
        """A draw from a seed that belongs to its place among all draws."""
        number = (self.plan.seed * 1009 + self.plan.batch) * 1013 + call
        if kwargs.get("generator") is not None:
            kwargs["generator"] = torch.Generator().manual_seed(number)
        torch.default_generator.manual_seed(number)  # a tenth of the time of torch.manual_seed
        return func(*args, **kwargs)

    def _replaced(
        self, name: str, drawn: Tensor, args: tuple, kwargs: dict[str, Any], call: int
    ) -> Tensor | None:
        """What stands for a draw; None leaves it as it was drawn."""
        if self._is_mask(name, drawn):
            self.found_mask = True
            return self._mask_value(name, args, kwargs)
        if name in QUANTILES and self._is_time(name, drawn):
            return self._time_value(name, drawn, args, kwargs, call)
        return None

    def _is_mask(self, name: str, drawn: Tensor) -> bool:
        """Whether a draw has a uniform or Bernoulli number for each token."""
        is_first = not self.found_mask
        return is_first and name in UNIFORM | CHOICES and drawn.numel() == np.prod(self.plan.shape)

    def _is_time(self, name: str, drawn: Tensor) -> bool:
        """Whether a draw has a number or a few for each sequence, or one for each block."""
        if name in CHOICES or self.plan.times == "drawn":
            return False
        n, length = self.plan.shape
        numbers = drawn.numel()
        if name == "_sample_dirichlet":
            numbers //= drawn.shape[-1]
        if numbers == 1:
            return True
        is_few = drawn.shape[0] in (n, numbers) and numbers <= MOST_TIMES * n
        is_for_blocks = (
            drawn.shape[0] == n and numbers < n * length and length % (numbers // n) == 0
        )
        return is_few or is_for_blocks

    def _mask_value(self, name: str, args: tuple, kwargs: dict[str, Any]) -> Tensor | None:
        """Chosen numbers in the place of a mask."""
        if self.plan.fill is None:
            return None
        if name in UNIFORM:
            return self.plan.fill
        rate = kwargs.get("p", args[1] if len(args) > 1 else 0.5)
        if name == "bernoulli":
            rate = args[0] if args else kwargs["input"]
        return self.plan.fill.reshape(torch.as_tensor(rate).shape or self.plan.shape) < rate

    def _time_value(
        self, name: str, drawn: Tensor, args: tuple, kwargs: dict[str, Any], call: int
    ) -> Tensor:
        """Quantiles in the place of a time."""
        kwargs = {key: value for key, value in kwargs.items() if key != "generator"}
        if name == "_sample_dirichlet":
            first = self.plan.probabilities(tuple(drawn.shape[:-1]), call)
            u = np.stack([first, first], -1)
        else:
            u = self.plan.probabilities(tuple(drawn.shape), call)
        value = QUANTILES[name](torch.from_numpy(u).to(drawn.device), *args, **kwargs)
        if name in UNIFORM and drawn.dtype != torch.float64:
            value = value.clamp(max=1 - 2.0**-24)
        return value
