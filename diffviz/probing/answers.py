"""The form in which a network answers, learned from one run of its own forward.

A network may answer with a tuple, with a dict or an object of several names, or with more channels
than its input has, such as a variance beside the mean. It is run once on two samples; afterwards
the stand-in answers in the same form.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import _pop_mode_temporarily

from diffviz.probing.outside import names_in

FEW = 2  # samples of the run
MOST_TIMES = 4  # as many channels as z, at most


@dataclass(frozen=True)
class Learned:
    """Answers in the form of an example.

    Attributes:
        example: What the network answered.
    """

    example: Any

    def __call__(self, output: Tensor) -> Any:
        """The output in the form of the example, in the place of its first tensor that fits."""
        filled, _ = _filled(self.example, output, found=False)
        return filled


def learned_form(
    forward: Callable[..., Any] | None, z: Tensor, args: tuple, kwargs: dict[str, Any]
) -> Learned | None:
    """Run a network once.

    Args:
        forward: Its own forward; None where the loss has no network.
        z: Which of its arguments is noised data.
        args: Positional arguments of the call.
        kwargs: Keyword arguments of the call.

    Returns:
        The form of its answer, or None where it fails, or answers with a tensor like z.
    """
    if forward is None:
        return None
    n = len(z)
    few_args = tuple(_few(value, n) for value in args)
    few_kwargs = {name: _few(value, n) for name, value in kwargs.items()}
    try:
        with _pop_mode_temporarily(), torch.random.fork_rng(devices=[]), torch.no_grad():
            answer = forward(*few_args, **few_kwargs)
    except Exception:  # the network need not run: its form is a convenience
        return None
    if isinstance(answer, Tensor) and answer.shape[1:] == z.shape[1:]:
        return None
    _, found = _filled(answer, z[:FEW].detach(), found=False)
    return Learned(answer) if found else None


def _few(value: Any, n: int) -> Any:
    """An argument for a few samples alone."""
    is_batch = isinstance(value, Tensor) and value.ndim > 0 and len(value) == n
    return value[:FEW] if is_batch else value


def _filled(example: Any, output: Tensor, *, found: bool) -> tuple[Any, bool]:
    """An example with the output in the place of its first tensor that fits."""
    if isinstance(example, Tensor):
        if found or not _fits(example, output):
            return example, found
        return _widened(example, output), True
    if isinstance(example, (tuple, list)) and not hasattr(example, "_fields"):
        values = []
        for value in example:
            value, found = _filled(value, output, found=found)
            values.append(value)
        return type(example)(values), found
    names = list(example) if isinstance(example, Mapping) else _tensors_of(example)
    copied = copy.copy(example)
    for name in names:
        old = example[name] if isinstance(example, Mapping) else getattr(example, name)
        value, found = _filled(old, output, found=found)
        if isinstance(example, Mapping):
            copied[name] = value
        else:
            setattr(copied, name, value)
    return copied, found


def _tensors_of(value: Any) -> list[str]:
    """Names of the attributes of an object that hold tensors."""
    attributes = names_in(value) or {}
    return [name for name, one in attributes.items() if isinstance(one, Tensor)]


def _fits(example: Tensor, output: Tensor) -> bool:
    """Whether a tensor is like the output, but for a multiple of channels."""
    if example.ndim != output.ndim or example.ndim < 2 or not example.is_floating_point():
        return False
    times, rest = divmod(example.shape[1], output.shape[1])
    same_elsewhere = example.shape[2:] == output.shape[2:]
    return same_elsewhere and rest == 0 and 1 <= times <= MOST_TIMES


def _widened(example: Tensor, output: Tensor) -> Tensor:
    """The output with zeros in the channels that it lacks."""
    times = example.shape[1] // output.shape[1]
    zeros = [torch.zeros_like(output)] * (times - 1)
    return torch.cat([output, *zeros], 1) if zeros else output
