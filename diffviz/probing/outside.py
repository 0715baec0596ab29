"""What a callable takes from outside: the functions that it runs, and the values that these name.

A loss may be a function, a method, an object with ``__call__``, a module, a ``functools.partial``
or a decorated one of these. Each of them is taken apart down to plain functions, and so is what
stands for a method in a class, such as a static method or a property. What these reach by name are
variables of their closure, globals, defaults of their parameters, arguments that a partial has
bound, and the object of a method with what its class defines.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial, partialmethod, singledispatchmethod
from types import (
    CodeType,
    FunctionType,
    MappingProxyType,
    MemberDescriptorType,
    MethodType,
    WrapperDescriptorType,
)
from typing import Any

from torch import nn

from diffviz.checks import attribute
from diffviz.learning.content import closure_of

INNER = {  # what wraps callables, also as it stands in a class, and where it has them
    partial: ("func",),
    partialmethod: ("func",),
    cached_property: ("func",),
    singledispatchmethod: ("dispatcher",),
    property: ("fget", "fset", "fdel"),
    MethodType: ("__func__",),
    staticmethod: ("__func__",),
    classmethod: ("__func__",),
}


def parts_of(value: Any) -> list[Any]:
    """A callable and those that it is made of.

    Args:
        value: Anything.

    Returns:
        The value itself first, then what it calls, down to plain functions.
    """
    parts: list[Any] = []
    left = [value]
    while left:
        part = left.pop(0)
        if not any(part is one for one in parts):
            parts.append(part)
            left += _inner_callables(part)
    return parts


def _inner_callables(part: Any) -> list[Any]:
    """What a callable calls next."""
    for kind, names in INNER.items():
        if isinstance(part, kind):
            inner = [getattr(part, name) for name in names]
            return [one for one in inner if one is not None]  # a property may lack a setter
    attributes = names_in(part) or {}
    registry = attributes.get("registry")
    if isinstance(part, FunctionType) and isinstance(registry, MappingProxyType):
        return [*registry.values()]  # of functools.singledispatch
    if "__wrapped__" in attributes:
        return [attributes["__wrapped__"]]
    return [] if isinstance(part, type | FunctionType) else _call_of(part, attributes)


def _call_of(part: Any, attributes: Any) -> list[Any]:
    """What runs where an object is called: its ``__call__``, or the forward of a module."""
    call = _of_class(type(part), "__call__")
    if call is nn.Module.__call__:
        call = attributes.get("forward", _of_class(type(part), "forward"))
    return [] if isinstance(call, WrapperDescriptorType | None) else [call]


def _of_class(kind: type, name: str) -> Any:
    """What a class or one above it holds under a name, as it stands there; None without it.

    A lookup would call what stands there where it is a descriptor, which may refuse a class.
    """
    return next((vars(one)[name] for one in kind.__mro__ if name in vars(one)), None)


def bound_to(value: Any) -> Any:
    """The object of a bound method; anything else itself, whatever it answers when it is asked.

    An object may answer any name, as a dictionary does whose keys are attributes.

    Args:
        value: Anything.

    Returns:
        The object.
    """
    is_bound = _of_class(type(value), "__self__") is not None
    return attribute(value, "__self__", value) if is_bound else value


def names_in(value: Any) -> Any:
    """The attributes that an object holds, as ``vars`` gives them.

    Args:
        value: Anything.

    Returns:
        Its ``__dict__``, a read-only one for a class; None where it has none, or does not show it.
    """
    names = attribute(value, "__dict__")
    return names if isinstance(names, dict | MappingProxyType) else None


class Slots(Mapping):
    """The values of an object whose class has slots, by name; empty slots have none.

    Args:
        value: The object.
    """

    def __init__(self, value: Any):
        self._value = value
        own = [vars(one) for one in type(value).__mro__ if "__slots__" in vars(one)]
        held = (names.items() for names in own)  # other members are those of built-in types
        self._members = {
            name: member
            for items in held
            for name, member in items
            if isinstance(member, MemberDescriptorType) and not name.startswith("__")
        }

    def __getitem__(self, name: str) -> Any:
        try:
            return self._members[name].__get__(self._value)
        except AttributeError:
            raise KeyError(name) from None

    def write(self, name: str, value: Any) -> None:
        """Set a slot, whatever else has its name in the class."""
        self._members[name].__set__(self._value, value)

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._members if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def held_by(value: Any) -> Mapping[str, Any] | None:
    """The attributes that an object holds, in a dictionary or in slots.

    Args:
        value: Anything.

    Returns:
        Its ``__dict__`` where it has one, else its slots; None where it has neither.
    """
    names = names_in(value)
    if names is not None:
        return names
    return Slots(value) or None


def is_shown(value: Any) -> bool:
    """Whether an object lets itself be asked of what class it is.

    The proxy of an object that is gone, or not there yet, raises an error instead.

    Args:
        value: Anything.

    Returns:
        Whether ``isinstance`` can be asked.
    """
    return attribute(value, "__class__") is not None


def functions_of(value: Any) -> list[FunctionType]:
    """The plain functions that a callable runs.

    Args:
        value: Anything.

    Returns:
        The functions, the outermost first; none for what is not callable or is not written in
        Python.
    """
    return [part for part in parts_of(value) if isinstance(part, FunctionType)]


def helpers_of(loss: Callable) -> list[FunctionType | partial]:
    """The plain functions that a callable reaches by name, and may run, with their partials.

    Args:
        loss: Any callable.

    Returns:
        The functions and the partials around them, without those of the callable itself.
    """
    own = parts_of(loss)
    reached = [part for value in values_of(loss) for part in parts_of(value)]
    helpers = [one for one in reached if isinstance(one, FunctionType | partial)]
    return list({id(one): one for one in helpers if not any(one is part for part in own)}.values())


def globals_of(function: FunctionType) -> dict[str, Any]:
    """Globals that a function, or one within it, names.

    Args:
        function: The function.

    Returns:
        The globals by name. Names of attributes count, too.
    """
    namespace = function.__globals__
    return {name: namespace[name] for name in names_of(function.__code__) if name in namespace}


def names_of(code: CodeType) -> set[str]:
    """Names of globals and attributes in compiled code, comprehensions and lambdas included.

    Args:
        code: The code of a function.

    Returns:
        The names.
    """
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= names_of(constant)
    return names


def _defaults_of(function: FunctionType) -> dict[str, Any]:
    """Defaults of the parameters of a function by name."""
    defaults = function.__defaults__ or ()
    positional = function.__code__.co_varnames[: function.__code__.co_argcount]
    by_position = zip(reversed(positional), reversed(defaults), strict=False)
    return {**dict(by_position), **(function.__kwdefaults__ or {})}


def _variables_of_part(part: Any) -> dict[str, Any]:
    """What a part of a callable has from outside under a name."""
    if isinstance(part, partial | partialmethod):
        return part.keywords
    if isinstance(part, FunctionType):
        return {**globals_of(part), **closure_of(part), **_defaults_of(part)}
    return {}


def variables_of(loss: Callable) -> dict[str, Any]:
    """The variables from outside that a callable uses.

    Args:
        loss: Any callable.

    Returns:
        Globals, variables of closures, defaults of parameters and keywords of partials by name. Of
        two with one name, that of the outer callable counts.
    """
    variables: dict[str, Any] = {}
    for part in reversed(parts_of(loss)):
        variables |= _variables_of_part(part)
    return variables


def owners_of(loss: Callable) -> list[Any]:
    """The objects whose methods a callable runs.

    Args:
        loss: Any callable.

    Returns:
        Objects of bound methods and objects with ``__call__``, the outermost first.
    """
    owners = []
    for part in parts_of(loss):
        if not isinstance(part, partial | FunctionType):
            owners.append(bound_to(part))
    return owners


def values_of(loss: Callable) -> list[Any]:
    """Everything that a callable reaches by one name.

    Args:
        loss: Any callable.

    Returns:
        Its variables, bound arguments and owners, and the attributes of its owners and of classes
        and modules among these that its code names.
    """
    values = owners_of(loss)
    for part in parts_of(loss):
        values += _variables_of_part(part).values()
        values += part.args if isinstance(part, partial | partialmethod) else ()
    values = list(filter(is_shown, values))
    names = set().union(*(names_of(one.__code__) for one in functions_of(loss)))
    spaces = {id(one): one for value in values for one in namespaces(value)}
    named = [vars(one)[name] for one in spaces.values() for name in names & vars(one).keys()]
    return values + list(filter(is_shown, named))


def namespaces(value: Any) -> Iterator[Any]:
    """The classes or the module in which an attribute of a value is looked up.

    Args:
        value: Anything.

    Yields:
        A module itself; of a class and of an object the class and all above it.
    """
    if inspect.ismodule(value):
        yield value
    else:
        yield from value.__mro__ if isinstance(value, type) else type(value).__mro__


def attributes_of(values: list[Any]) -> list[Any]:
    """Attributes of objects.

    Args:
        values: Anything.

    Returns:
        What the objects among them hold, without modules and classes.
    """
    objects = [one for one in values if not isinstance(one, type) and not inspect.ismodule(one)]
    held = (value for one in objects for value in (held_by(one) or {}).values())
    return list(filter(is_shown, held))
