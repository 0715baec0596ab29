"""What a loss keeps between its calls, such as the counter of a curriculum or a running mean.

A replay must find it as the first run did. It is looked for where the loss can reach it by name:
in its object, on the function itself, in the variables of its closure, in its globals, in defaults
of its parameters, in what it is bound to, in classes, and in the objects that these name, two deep;
see ``outside``. The functions that it names are searched in the same way, where these are of its
own package. Numbers, text, small tensors and arrays, mappings of these and lists of numbers are
remembered; weights, data, iterators, sets and lists in which a loss notes other things are not.
"""

import inspect
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import FunctionType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from diffviz.probing.outside import (
    Slots,
    closure_of,
    functions_of,
    globals_of,
    held_by,
    helpers_of,
    is_shown,
    names_in,
    names_of,
    namespaces,
    parts_of,
    values_of,
)

LARGEST = 4096  # numbers in a tensor, or entries of a list, that are remembered
DEPTH = 2  # objects in objects
OF_ANY_MODULE = frozenset(vars(nn.Module()))  # what modules keep for themselves
PLAIN = (type(None), bool, int, float, complex, str)


@dataclass(frozen=True)
class Kept:
    """A value that a loss keeps, as it was.

    Attributes:
        value: The value itself.
        content: A copy of what it holds; None where it cannot change by itself.
    """

    value: Any
    content: Any = None

    def restored(self) -> Any:
        """The value with what it held."""
        if self.content is None:
            return self.value
        if isinstance(self.value, Tensor):
            if not torch.equal(self.value, self.content):
                with torch.no_grad():
                    self.value.copy_(self.content)
        elif isinstance(self.value, np.ndarray):
            self.value[...] = self.content
        elif isinstance(self.value, dict):
            self.value.clear()
            self.value.update({name: one.restored() for name, one in self.content.items()})
        else:
            self.value.clear()
            self.value.extend(one.restored() for one in self.content)
        return self.value


class Counters:
    """Remembers and restores what a loss keeps."""

    def __init__(self, loss: Callable[..., Any]):
        """Find it.

        Args:
            loss: The loss.
        """
        self._cells: list[Any] = []
        self._dicts: list[dict[str, Any]] = []
        self._loose: list[Any] = []
        self._modules: list[nn.Module] = []
        self._seen: set[int] = set()
        functions = functions_of(loss)
        packages = {_package_of(function) for function in functions}
        helpers = [one for one in helpers_of(loss) if _is_of(one, packages)]
        for value in (*functions, *values_of(loss)):
            self._add_object(value, DEPTH)
        for part in (*parts_of(loss), *helpers):
            if isinstance(part, FunctionType):
                self._add_variables(part)
            elif isinstance(part, partial):
                self._add_bound(part)
        reached = [value for one in (loss, *helpers) for value in values_of(one)]
        names = [names_of(one.__code__) for part in (loss, *helpers) for one in functions_of(part)]
        self._add_classes(reached, packages, set().union(*names))

    def _add_variables(self, function: FunctionType) -> None:
        """Find what a function keeps in its closure, in globals and in defaults."""
        variables = globals_of(function)
        defaults = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
        for value in (*closure_of(function).values(), *variables.values(), *defaults):
            self._add_object(value, DEPTH)
        self._cells += [cell for cell in function.__closure__ or () if _keep(_content(cell))]
        if any(map(_keep, variables.values())):
            namespace = function.__globals__
            self._dicts.append(_Names(variables, namespace, namespace.__setitem__))
        self._loose += function.__defaults__ or ()
        if function.__kwdefaults__:
            self._dicts.append(function.__kwdefaults__)

    def _add_bound(self, part: partial) -> None:
        """Find what is kept in the arguments that a partial has bound."""
        for value in (*part.args, *part.keywords.values()):
            self._add_object(value, DEPTH)
        self._loose += part.args
        self._dicts.append(part.keywords)

    def _add_classes(self, reached: list[Any], packages: set[str], names: set[str]) -> None:
        """Find what is kept in classes of the loss's own package, under names in its code."""
        spaces = {id(one): one for value in reached for one in namespaces(value)}
        for space in spaces.values():
            if isinstance(space, type) and _package_of(space) in packages:
                held = vars(space)
                kept = [name for name in names & held.keys() if _keep(held[name])]
                if kept:
                    self._dicts.append(_Names(kept, held, partial(setattr, space)))

    def _add_object(self, value: Any, depth: int) -> None:
        """Find what an object and those in it keep."""
        if id(value) in self._seen or not is_shown(value):
            return
        held = _attributes_of(value)
        if held is None or inspect.ismodule(value) or isinstance(value, type | Tensor):
            return
        self._seen.add(id(value))
        if is_set_up(value):
            self._modules.append(value)
        self._dicts.append(held)
        if depth > 1 and not isinstance(value, (FunctionType, nn.Module)):
            for one in list(held.values()):
                self._add_object(one, depth - 1)

    def take(self) -> list[Any]:
        """What is kept as it is now.

        Returns:
            What ``put_back`` takes.
        """
        dicts = [(dict(_kept_in(one)), set(one)) for one in self._dicts]
        cells = [_keep(_content(cell)) for cell in self._cells]
        buffers = [one for part in self._modules for one in part.buffers()]
        return [dicts, cells, [_keep(one) for one in (*buffers, *self._loose)]]

    def put_back(self, taken: list[Any], *, keep_new: bool = False) -> None:
        """Set all to what it was.

        Args:
            taken: What ``take`` gave.
            keep_new: Whether to leave names that the loss has made since.
        """
        dicts, cells, in_place = taken
        for holder, (kept, names) in zip(self._dicts, dicts, strict=True):
            new = () if keep_new else dict(_kept_in(holder)).keys() - names
            for name in new:
                del holder[name]
            for name, one in kept.items():
                holder[name] = one.restored()
        for cell, one in zip(self._cells, cells, strict=True):
            if one is not None:
                cell.cell_contents = one.restored()
        for one in in_place:
            if one is not None:
                one.restored()


class _Names(dict):
    """Some names of a namespace that is no dictionary of the loss alone; writing reaches it."""

    def __init__(
        self,
        names: Iterable[str],
        namespace: Mapping[str, Any],
        write: Callable[[str, Any], None],
    ):
        super().__init__(dict.fromkeys(names))
        self._namespace = namespace
        self._write = write

    def items(self) -> Any:
        """Names and values as they are now."""
        return [(name, self._namespace[name]) for name in self if name in self._namespace]

    def values(self) -> Any:
        """Values as they are now."""
        return [value for _, value in self.items()]

    def __setitem__(self, name: str, value: Any) -> None:
        if self._namespace.get(name, _Names) is not value:
            self._write(name, value)

    def __delitem__(self, name: str) -> None:
        """Leave a name that was taken by another kind of value."""


def _attributes_of(value: Any) -> dict[str, Any] | None:
    """The attributes of an object, which can be set; None where it has none."""
    held = held_by(value)
    if isinstance(held, Slots):
        return _Names(held, held, held.write)
    return names_in(value)


def _package_of(value: FunctionType | type) -> str:
    """The package in which a function or a class was defined, or its module."""
    return str(value.__module__).partition(".")[0]


def _is_of(helper: FunctionType | partial, packages: set[str]) -> bool:
    """Whether a function, or one that a partial is made of, is of one of these packages."""
    return any(_package_of(function) in packages for function in functions_of(helper))


def is_set_up(value: Any) -> bool:
    """Whether a value is a module with parts and buffers.

    A class may derive from ``nn.Module`` and never call its constructor, such as a scheduler.

    Args:
        value: Anything.

    Returns:
        Whether its parts and buffers can be listed.
    """
    return isinstance(value, nn.Module) and "_buffers" in vars(value)


def _kept_in(holder: dict[str, Any]) -> Iterator[tuple[str, Kept]]:
    """Names of a holder and what they keep."""
    for name, value in list(holder.items()):
        kept = None if name in OF_ANY_MODULE else _keep(value)
        if kept is not None:
            yield name, kept


def _content(cell: Any) -> Any:
    """What a cell of a closure holds; where it is empty, a class, which is never remembered."""
    try:
        return cell.cell_contents
    except ValueError:
        return type


def _keep(value: Any) -> Kept | None:
    """A value with a copy of what it holds; None where it is of a kind that is not remembered."""
    if not is_shown(value):
        return None
    if isinstance(value, PLAIN):
        return Kept(value)
    if isinstance(value, (Tensor, np.ndarray)):
        return _keep_array(value)
    if isinstance(value, dict):
        return _keep_mapping(value)
    if isinstance(value, (list, deque)) and 0 < len(value) < LARGEST:
        is_of_numbers = all(issubclass(type(one), (int, float)) for one in value)
        return Kept(value, [Kept(one) for one in value]) if is_of_numbers else None
    return None


def _keep_array(value: Any) -> Kept | None:
    """A small tensor or array; None for a large one, or one that is trained."""
    if isinstance(value, Tensor):
        is_small = value.numel() <= LARGEST and value.layout == torch.strided
        return Kept(value, value.clone()) if is_small and not value.requires_grad else None
    is_plain = value.size <= LARGEST and value.dtype != object and value.flags.writeable
    return Kept(value, value.copy()) if is_plain else None


def _keep_mapping(value: dict) -> Kept | None:
    """A plain mapping of values that are remembered; None for any other."""
    if type(value).__module__ not in ("builtins", "collections") or len(value) > LARGEST:
        return None
    values = {name: _keep(one) for name, one in value.items()}
    return None if None in values.values() else Kept(value, values)
