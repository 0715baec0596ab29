"""Adam for the parameters of a torch module, by torch's own function.

The first optimiser *object* of torch that a process makes loads torch's compiler, which takes
longer than many of the small trainings here. The function behind it does not.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim.adam import adam

BETAS = 0.9, 0.999  # decays of both moments (Kingma and Ba 2015, arXiv 1412.6980)
EPSILON = 1e-8


class Adam:
    """Adam (Kingma and Ba 2015, arXiv 1412.6980) with a rate that is constant or falls to 0.

    Args:
        parameters: What is learned, which is changed in place.
        rate: Learning rate at the start.
        steps: Number of steps over which the rate falls to 0 by a half cosine; by default it stays
            what it is.

    Attributes:
        rate: Learning rate of the next step.
        done: Number of steps done.

    Example:
        >>> weight = torch.nn.Parameter(torch.ones(()))
        >>> adam = Adam([weight], rate=0.25)
        >>> weight.square().backward()
        >>> adam.step()
        >>> round(weight.item(), 4)
        0.75
    """

    def __init__(
        self, parameters: Iterable[torch.nn.Parameter], rate: float, steps: int | None = None
    ) -> None:
        """Start with moments of 0; see the class."""
        self.parameters = list(parameters)
        self.rate = rate
        self.steps = steps
        self.done = 0
        self._first = [torch.zeros_like(each) for each in self.parameters]
        self._second = [torch.zeros_like(each) for each in self.parameters]
        self._counts = [torch.zeros(()) for _ in self.parameters]  # as the function has them

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move all parameters, and lower the rate; no gradient counts as one of 0."""
        values: list[Tensor] = list(self.parameters)
        adam(
            values,
            [torch.zeros_like(one) if one.grad is None else one.grad for one in values],
            self._first,
            self._second,
            [],
            self._counts,
            foreach=True,
            has_complex=any(one.is_complex() for one in values),
            amsgrad=False,
            beta1=BETAS[0],
            beta2=BETAS[1],
            lr=self.rate,
            weight_decay=0.0,
            eps=EPSILON,
            maximize=False,
        )
        self.done += 1
        if self.steps is not None:
            self.rate *= _cosine_factor(self.done, self.steps)


def _cosine_factor(done: int, steps: int) -> float:
    """What the rate is multiplied by after a step, so that it falls by a half cosine.

    Like torch's own schedule it goes from rate to rate, so that it rounds in the same places.
    """
    if done > steps:
        return 0.0
    return (1 + math.cos(math.pi * done / steps)) / (1 + math.cos(math.pi * (done - 1) / steps))
