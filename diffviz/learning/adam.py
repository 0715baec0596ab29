"""Adam for the parameters of a torch module, with the numbers of ``torch.optim.Adam``.

The first optimiser of torch that a process makes loads torch's compiler, which takes longer than
many of the small trainings here, and each of its steps has a few hundred operations of Python.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

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
        self._groups = [_Group(alike) for alike in _alike(self.parameters)]

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move all parameters, and lower the rate; no gradient counts as one of 0."""
        self.done += 1
        for group in self._groups:
            group.step(self.rate, self.done)
        if self.steps is not None:
            self.rate *= _cosine_factor(self.done, self.steps)


class _Group:
    """Parameters of one type on one device, whose moments lie in one tensor each.

    Args:
        parameters: The parameters.
    """

    def __init__(self, parameters: list[torch.nn.Parameter]) -> None:
        self.parameters = parameters
        shapes = [_real(each).shape for each in parameters]
        like = _real(parameters[0]).detach()
        self.first = like.new_zeros(sum(shape.numel() for shape in shapes))
        self.second = torch.zeros_like(self.first)
        self.scale = torch.zeros_like(self.first)
        self._firsts, self._scales = (
            [piece.view(shape) for piece, shape in zip(_pieces(whole, shapes), shapes, strict=True)]
            for whole in (self.first, self.scale)
        )

    def step(self, rate: float, done: int) -> None:
        """Move the parameters, where ``done`` counts this step."""
        gradients = [_gradient(each).flatten() for each in self.parameters]
        gradient = torch.cat(gradients)
        self.first.lerp_(gradient, 1 - BETAS[0])
        self.second.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        torch.sqrt(self.second, out=self.scale)
        self.scale.div_((1 - BETAS[1] ** done) ** 0.5).add_(EPSILON)
        size = rate / (1 - BETAS[0] ** done)
        for parameter, first, scale in zip(
            self.parameters, self._firsts, self._scales, strict=True
        ):
            _real(parameter).addcdiv_(first, scale, value=-size)


def _alike(parameters: list[torch.nn.Parameter]) -> list[list[torch.nn.Parameter]]:
    """Parameters in groups of one type on one device."""
    groups: dict[tuple[torch.dtype, torch.device], list[torch.nn.Parameter]] = {}
    for each in parameters:
        groups.setdefault((each.dtype, each.device), []).append(each)
    return list(groups.values())


def _pieces(whole: Tensor, shapes: list[torch.Size]) -> tuple[Tensor, ...]:
    """Views of a vector, one for each shape, each a vector too."""
    return whole.split([shape.numel() for shape in shapes])


def _gradient(parameter: torch.nn.Parameter) -> Tensor:
    """The gradient of a parameter, 0 where there is none."""
    gradient = parameter.grad
    return _real(torch.zeros_like(parameter) if gradient is None else gradient)


def _real(value: Tensor) -> Tensor:
    """Complex numbers as pairs of real ones, in the same memory; real ones as they are."""
    return torch.view_as_real(value) if value.is_complex() else value


def _cosine_factor(done: int, steps: int) -> float:
    """What the rate is multiplied by after a step, so that it falls by a half cosine.

    Like torch's own schedule it goes from rate to rate, so that it rounds in the same places.
    """
    if done > steps:
        return 0.0
    return (1 + math.cos(math.pi * done / steps)) / (1 + math.cos(math.pi * (done - 1) / steps))
