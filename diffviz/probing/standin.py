"""The stand-in for the network: it notes what it is given and returns what it is told to."""

import inspect
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn


class Output(dict):
    """The output under its name: ``out.sample``, ``out["sample"]``, ``out[0]``."""

    __getattr__ = dict.__getitem__


class StandIn:
    """Notes what the network is given and returns what it is told to; calls without gradient (self-conditioning) get zeros."""

    def __init__(self, pick, wrap, call):
        self.pick, self.wrap, self.call = pick, wrap, call
        self.which: Any = None
        self.value: Any = None
        self.seen: list = []

    def __call__(self, *args, **kwargs):
        z = self.pick(*args, **kwargs).detach()
        if not torch.is_grad_enabled():
            return self.answer(torch.zeros_like(z), kwargs)
        told = self.value is not None and len(self.seen) == self.which
        out = (
            self.value.reshape(z.shape).to(z.dtype) if told else torch.zeros_like(z)
        ).requires_grad_()
        rest = [
            a.detach()
            for a in (*args, *kwargs.values())
            if isinstance(a, Tensor) and a.numel() in (1, len(z))
        ]
        self.seen.append((z, out, rest))
        return self.answer(out, kwargs)

    def answer(self, out, kwargs):
        return (
            self.wrap(out) if self.wrap else (out,) if kwargs.get("return_dict") is False else out
        )


class _Network(nn.Module):
    """Given to a loss when no network is; it has one parameter, for losses that ask for a device or dtype."""

    def __init__(self, x: Tensor):
        super().__init__()
        self.anchor = nn.Parameter(x.new_zeros(1))

    def __getattr__(self, name):
        if name in self.__dict__.get("_parameters", ()):
            return self._parameters[name]
        raise AttributeError(
            f"the loss reads {name!r} of its network: give probe(..., model=) a module that has it"
        )


def network_like(loss, model, x: Tensor) -> nn.Module:
    """The module whose forward is replaced: given, found by its name in the loss, or an empty one."""
    if model is None:
        return _Network(x)
    if isinstance(model, str):
        first, *rest = model.split(".")
        owner = getattr(loss, "__self__", loss)
        seen = inspect.getclosurevars(loss) if inspect.isfunction(inspect.unwrap(loss)) else None
        names = {**seen.globals, **seen.nonlocals} if seen else {}
        if not hasattr(owner, first) and first not in names:
            raise ValueError(
                f"model={model!r}: the loss has no {first!r}; name an attribute of it or a variable that it uses"
            )
        model = reduce(
            getattr, rest, getattr(owner, first) if hasattr(owner, first) else names[first]
        )
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"model must be an nn.Module or the name of one in the loss, got {type(model).__name__}"
        )
    return model


def first_like(inputs, x: Tensor):
    """How z is found among the arguments of the network."""

    def found(*args, **kwargs):
        for value in (*args, *kwargs.values()):
            if (
                isinstance(value, Tensor)
                and value.is_floating_point()
                and value.shape[1:].numel() == x[0].numel()
            ):
                return value
        raise ValueError(
            f"no argument of the network is of the size of x {tuple(x.shape[1:])} a sample; say which by inputs="
        )

    if inputs is None or callable(inputs):
        return inputs or found
    return lambda *args, **kwargs: kwargs[inputs] if isinstance(inputs, str) else args[inputs]
