"""A device that any machine has, so that a forgotten device is found without a GPU.

``ELSEWHERE`` is simulated. Its tensors are ordinary ones of a class of their own, which says that
it lies there, and which refuses what a real device refuses: an operation together with a tensor of
the CPU (numbers without a dimension apart), a conversion to NumPy, and a generator of another
device. Indices may lie on the CPU, as torch allows. ``simulated()`` lets ``torch.zeros(...,
device=ELSEWHERE)`` and its like make such tensors.
"""

from contextlib import contextmanager

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

ELSEWHERE = torch.device("xpu", 0)
MOVES = {"to", "cpu", "type_as"}
MAKERS = {"as_tensor", "asarray", "tensor"}
MIXED = {"__getitem__", "__setitem__", "_has_compatible_shallow_copy_type"}
TO_NUMPY = {"numpy", "__array__", "__dlpack__"}


class Elsewhere(torch.Tensor):
    """A tensor that lies elsewhere."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = function.__name__
        if name == "__get__" and function.__self__ is torch.Tensor.device:
            return ELSEWHERE
        if name in TO_NUMPY and kwargs.get("force"):
            return function(args[0].as_subclass(torch.Tensor))
        if name in TO_NUMPY:
            raise TypeError("can't convert a tensor that lies elsewhere to NumPy; use .cpu() first")
        if name in MOVES:
            return moved(function, args, kwargs)
        if name not in MIXED:
            refuse_mixtures(name, args, kwargs)
        refuse_generators(ELSEWHERE, kwargs)
        target = kwargs.get("device")
        if target is not None:
            kwargs = kwargs | {"device": "cpu"}
        result = super().__torch_function__(function, types, args, kwargs)
        if target is not None and torch.device(target).type == "cpu":
            return tree_map(brought, result)
        return sent(result)  # torch itself leaves out ``grad``

    def __reduce_ex__(self, protocol):
        return self.as_subclass(torch.Tensor).__reduce_ex__(protocol)


class ElsewhereGenerator(torch.Generator):
    """A generator that lies elsewhere."""

    device = ELSEWHERE


class Factories(TorchFunctionMode):
    """Lets functions that make tensors know the device."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = getattr(function, "__name__", "")
        if name in MOVES:
            return moved(function, args, kwargs)
        if name in MAKERS and isinstance(args[0], Elsewhere):
            made = function(brought(args[0]), *args[1:], **(kwargs | {"device": "cpu"}))
            stays = kwargs.get("device", args[0].device)
            return sent(made) if torch.device(stays) == ELSEWHERE else made
        if any(isinstance(leaf, Elsewhere) for leaf in tree_leaves((args, kwargs))):
            return function(*args, **kwargs)
        device = kwargs.get("device")
        lies_elsewhere = device is not None and torch.device(device) == ELSEWHERE
        refuse_generators(ELSEWHERE if lies_elsewhere else torch.device("cpu"), kwargs)
        if not lies_elsewhere:
            return function(*args, **kwargs)
        return tree_map(sent, function(*args, **(kwargs | {"device": "cpu"})))


def sent(value):
    """A tensor as one that lies elsewhere; what does so already stays a leaf of autograd."""
    is_new = isinstance(value, torch.Tensor) and not isinstance(value, Elsewhere)
    return value.as_subclass(Elsewhere) if is_new else value


def brought(value):
    """A tensor as one on the CPU."""
    return value.as_subclass(torch.Tensor) if isinstance(value, torch.Tensor) else value


def moved(function, args, kwargs):
    """A tensor with the device, and the type, that a move asks for."""
    first, *rest = args
    goal = ELSEWHERE if isinstance(first, Elsewhere) else torch.device("cpu")
    plain = []
    if function.__name__ == "cpu":
        goal = torch.device("cpu")
    for value in [*rest, *kwargs.values()]:
        if isinstance(value, torch.Tensor):
            goal = value.device
            plain.append(value.dtype)
        elif isinstance(value, (str, torch.device)):
            goal = torch.device(value)
        elif isinstance(value, torch.dtype):
            plain.append(value)
    result = brought(first).to(*plain)
    return sent(result) if goal.type == ELSEWHERE.type else result


def refuse_mixtures(name, args, kwargs):
    """Refuse tensors of the CPU beside those elsewhere, unless they are single numbers."""
    for leaf in tree_leaves((args, kwargs)):
        if isinstance(leaf, torch.Tensor) and not isinstance(leaf, Elsewhere):
            with torch._C.DisableTorchFunctionSubclass():
                if leaf.ndim:
                    raise RuntimeError(
                        f"{name}: expected all tensors to be on the same device, one of shape "
                        f"{tuple(leaf.shape)} is on the CPU and another elsewhere"
                    )


def refuse_generators(device, kwargs):
    """Refuse a generator of another device than that of the numbers that it draws."""
    generator = kwargs.get("generator")
    if generator is not None and generator.device.type != device.type:
        raise RuntimeError(f"expected a generator on {device}, got one on {generator.device}")


@contextmanager
def simulated():
    """Make ``ELSEWHERE`` a device on which tensors and modules can be."""
    before = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        with Factories():
            yield ELSEWHERE
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(before)
