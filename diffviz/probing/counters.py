"""Numbers that a loss keeps between its calls, such as the counter of a curriculum.

A replay must find them as the first run did. They are looked for where the loss can reach them by
name: in its object, on the function itself, in the variables of its closure and in its globals, and
in the objects that these name.
"""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

Place = tuple[Any, Any]  # what holds a number, and under which name


class Counters:
    """Remembers and restores the numbers that a loss keeps."""

    def __init__(self, loss: Callable[..., Any]):
        """Find them.

        Args:
            loss: The loss.
        """
        self._cells: list[Any] = []
        self._dicts: list[dict[str, Any]] = []
        self._buffers: list[torch.Tensor] = []
        for function in {id(one): one for one in (inspect.unwrap(loss), loss)}.values():
            self._add_function(function)
        self._add_object(getattr(loss, "__self__", None))

    def _add_function(self, function: Any) -> None:
        """Find what a function keeps."""
        self._add_object(function)
        if not inspect.isfunction(function):
            return
        variables = inspect.getclosurevars(function)
        for value in (*variables.nonlocals.values(), *variables.globals.values()):
            self._add_object(value)
        self._cells += [cell for cell in function.__closure__ or () if _is_number(_content(cell))]
        if any(map(_is_number, variables.globals.values())):
            self._dicts.append(_Names(function.__globals__, dict(variables.globals)))

    def _add_object(self, value: Any) -> None:
        """Find what an object keeps."""
        if is_set_up(value):
            self._buffers += [one for one in value.buffers() if one.numel() == 1]
        if inspect.ismodule(value) or inspect.isclass(value) or not hasattr(value, "__dict__"):
            return
        self._dicts.append(vars(value))

    def take(self) -> list[Any]:
        """The numbers as they are now.

        Returns:
            What ``put_back`` takes.
        """
        dicts = [{name: v for name, v in one.items() if _is_number(v)} for one in self._dicts]
        cells = [cell.cell_contents for cell in self._cells]
        return [dicts, cells, [one.clone() for one in self._buffers]]

    def put_back(self, numbers: list[Any]) -> None:
        """Set the numbers to what they were.

        Args:
            numbers: What ``take`` gave.
        """
        dicts, cells, buffers = numbers
        for holder, values in zip(self._dicts, dicts, strict=True):
            for name, value in values.items():
                holder[name] = value
        for cell, value in zip(self._cells, cells, strict=True):
            cell.cell_contents = value
        with torch.no_grad():
            for buffer, value in zip(self._buffers, buffers, strict=True):
                buffer.copy_(value)


class _Names(dict):
    """The names of a module's globals that a function uses; writing reaches the module."""

    def __init__(self, namespace: dict[str, Any], used: dict[str, Any]):
        super().__init__(used)
        self._namespace = namespace

    def items(self) -> Any:
        """Names and values as they are now."""
        return [(name, self._namespace[name]) for name in self]

    def __setitem__(self, name: str, value: Any) -> None:
        self._namespace[name] = value


def is_set_up(value: Any) -> bool:
    """Whether a value is a module with parts and buffers.

    A class may derive from ``nn.Module`` and never call its constructor, such as a scheduler.

    Args:
        value: Anything.

    Returns:
        Whether its parts and buffers can be listed.
    """
    return isinstance(value, nn.Module) and "_buffers" in vars(value)


def _content(cell: Any) -> Any:
    """What a cell of a closure holds; None where it is empty."""
    try:
        return cell.cell_contents
    except ValueError:
        return None


def _is_number(value: Any) -> bool:
    """Whether a value is a plain number that may count."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)
