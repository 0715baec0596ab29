"""What an object holds, as JSON has it, so that equal objects read the same in another process.

A function or class stands by its name, an array or tensor by type, shape and check sum, a method by
its owner too, and a ``torch.nn.Module`` by its class and the check sum of all its parts. Another
object stands by its class and by what pickle would keep of it, and by its own words only where that
is nothing: words may leave out much, hold an address, or name a set in any order. A lambda or a
function made within another stands by what it does, too, since many have one name: by a check sum
of its compiled code, which differs between versions of Python, and by what it closes over. Where a
random generator stands is left out, since it moves as it is drawn from.
"""

import json
import random
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from functools import cached_property, partial
from pathlib import PurePath
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils.hooks import RemovableHandle

PICKLED = 4  # protocol of pickle that says what an object holds
# objects whose words say all
WORDS_SAY_ALL = (bytes, bytearray, complex, np.dtype, PurePath)
LONG_FLOATS = "gG"  # characters of NumPy's long doubles, real and complex
COMPILED = "torch._dynamo.eval_frame.OptimizedModule"  # whose import takes seconds
MOVES = (
    *(random.Random, np.random.Generator, np.random.RandomState, np.random.BitGenerator),
    torch.Generator,
    RemovableHandle,  # of a hook, whose number counts all hooks before it
)


def name_of(code: Any) -> str:
    """Module and name of a class or function.

    Args:
        code: A class, function or method.

    Returns:
        Both with a dot between them.
    """
    return f"{getattr(code, '__module__', None)}.{code.__qualname__}"


def settings_of(value: Any) -> dict[str, Any]:
    """What an object was made with: its fields and attributes.

    Args:
        value: The object.

    Returns:
        By name each as JSON has it, without what a ``cached_property`` keeps.
    """
    return _plain(_attributes(value), (id(value),))


def _attributes(value: Any) -> dict[str, Any]:
    """Fields of a dataclass and attributes of an object, without what is computed from them."""
    names = [field.name for field in fields(value)] if is_dataclass(value) else []
    held = {name: getattr(value, name) for name in names}
    state = object.__getstate__(value)
    for part in state if isinstance(state, tuple) else (state,):  # attributes, and those of slots
        held |= part or {}
    return _without_computed(value, held)


def _without_computed(value: Any, held: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes without those of a ``cached_property``, which come with use."""
    of_class = type(value)
    return {
        name: part
        for name, part in held.items()
        if not isinstance(getattr(of_class, name, None), cached_property)
    }


def _plain(value: Any, within: tuple[int, ...]) -> Any:
    """A value as JSON has it; what it lies in is known by ``id``, so that a circle ends."""
    if isinstance(value, float) and value != value:
        return {"float": "nan"}  # as a number it would differ from itself
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if id(value) in within:
        return "itself"
    within = (*within, id(value))
    if isinstance(value, Mapping):
        return _mapping(value, within)
    if isinstance(value, list | tuple):
        return [_plain(part, within) for part in value]
    if isinstance(value, set | frozenset):
        return sorted((_plain(part, within) for part in value), key=_sorted_json)
    return _object_as_text(value, within)


def _mapping(value: Mapping, within: tuple[int, ...]) -> dict[str, Any]:
    """A mapping as JSON has it; as pairs where a key is no text, so that 1 is not "1"."""
    pairs = [[_plain(key, within), _plain(part, within)] for key, part in value.items()]
    if all(isinstance(key, str) for key in value):
        return dict(pairs)
    return {"pairs": sorted(pairs, key=_sorted_json)}


def _sorted_json(value: Any) -> str:
    """A value of JSON as text that does not depend on the order of a mapping."""
    return json.dumps(value, sort_keys=True)


def _object_as_text(value: Any, within: tuple[int, ...]) -> Any:
    """An array, a function, a class or another object as JSON has it."""
    if isinstance(value, Tensor):
        return _tensor_as_text(value)
    if isinstance(value, np.ndarray | np.generic):
        return _array_as_text(np.asarray(value), within)
    if isinstance(value, ModuleType):
        return {"module": value.__name__}  # its words have the place of its file
    if isinstance(value, partial):
        return {"partial": _plain([value.func, value.args, value.keywords], within)}
    if isinstance(value, nn.Module | FunctionType) and (made_from := _before_compiling(value)):
        return {"compiled": _plain(made_from[0], within)}
    if isinstance(value, nn.Module):
        return _module_as_text(value, within)
    if hasattr(value, "__qualname__"):
        return _code_as_text(value, within)
    if isinstance(value, WORDS_SAY_ALL):
        return repr(value)
    held = _plain(_content(value), within)
    words = "" if held else _words_of(value)
    return words or {name_of(type(value)): held}


def _words_of(value: Any) -> str:
    """What an object says of itself, empty if that is nothing or holds an address."""
    if type(value).__repr__ is object.__repr__:
        return ""
    words = repr(value)
    return "" if " at 0x" in words else words


# --- what objects hold ---------------------------------------------------------------------------


def _content(value: Any) -> Any:
    """What an object holds: its fields, or what pickle would keep."""
    if isinstance(value, MOVES):
        return {}
    if is_dataclass(value):
        return _attributes(value)
    try:
        reduced: Any = value.__reduce_ex__(PICKLED)
    except Exception:  # what does not pickle may raise anything
        return _attributes(value)
    if isinstance(reduced, str):
        return {}
    return _of_pickle(value, *reduced)


def _of_pickle(
    value: Any,
    make: Any,
    args: tuple,
    state: Any = None,
    elements: Iterable | None = None,
    pairs: Iterable | None = None,
    *_: Any,
) -> Any:
    """What pickle would keep of an object, in the order in which ``__reduce_ex__`` returns it."""
    held = _without_computed(value, state) if isinstance(state, Mapping) else state
    parts = [list(elements or ()), list(pairs or ())]
    is_plain = getattr(make, "__name__", "") == "__newobj__" and args == (type(value),)
    if is_plain and not any(parts):
        return held or {}
    return [make, args, held, parts]


def _module_as_text(module: nn.Module, within: tuple[int, ...]) -> str:
    """A module of torch by its class and the check sum of its weights, buffers, parts and settings.

    What any module has besides, such as hooks, is left out: it differs between releases of torch.
    """
    common = vars(nn.Module()).keys() - {"training"}
    own = {name: part for name, part in vars(module).items() if name not in common}
    parts = [
        _without_computed(module, own),
        dict(module.named_parameters(recurse=False)),
        dict(module.named_buffers(recurse=False)),
        dict(module.named_children()),
    ]
    content = zlib.crc32(_sorted_json(_plain(parts, within)).encode())
    return f"{name_of(type(module))} with check sum {content}"


def _before_compiling(value: nn.Module | FunctionType) -> tuple[Any, ...]:
    """What ``torch.compile`` made a module or function from; empty where it did not.

    The compiled one holds addresses and what it has compiled so far.
    """
    if isinstance(value, nn.Module):
        is_compiled = name_of(type(value)) == COMPILED
        return (value.get_submodule("_orig_mod"),) if is_compiled else ()
    held = vars(value)
    return (held["_torchdynamo_orig_callable"],) if "_torchdynamo_orig_callable" in held else ()


# --- functions -----------------------------------------------------------------------------------


def _code_as_text(value: Any, within: tuple[int, ...]) -> Any:
    """A function or class by its name, by its owner, and by its code where the name says little."""
    name = name_of(value)
    owner = getattr(value, "__self__", None)
    if owner is not None and not isinstance(owner, ModuleType | type):
        return {name: _plain(owner, within)}
    is_made_within = isinstance(value, FunctionType) and (value.__closure__ or "<" in name)
    if not is_made_within:
        return name
    defaults = [value.__defaults__, value.__kwdefaults__]
    content = zlib.crc32(repr(_instructions(value.__code__)).encode())
    enclosed = [*closure_of(value).values()]
    return {f"{name} with check sum {content}": _plain([defaults, enclosed], within)}


def closure_of(function: FunctionType) -> dict[str, Any]:
    """Variables of the closure of a function by name.

    Args:
        function: The function.

    Returns:
        The variables that have a value. One that was deleted or is not set yet has none.
    """
    variables = {}
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    for name, cell in cells:
        with suppress(ValueError):  # the cell is empty
            variables[name] = cell.cell_contents
    return variables


def _instructions(code: CodeType) -> list[Any]:
    """What compiled code does, without the place where it stands in a file."""
    return [code.co_code, code.co_names, *(_constant(one) for one in code.co_consts)]


def _constant(value: Any) -> Any:
    """A constant of compiled code in a form whose text is the same in each process."""
    if isinstance(value, CodeType):
        return _instructions(value)
    if isinstance(value, frozenset):
        return sorted(map(repr, value))
    return value


# --- arrays --------------------------------------------------------------------------------------


def _array_as_text(value: NDArray, within: tuple[int, ...]) -> Any:
    """Type, shape and check sum of an array, or its elements where they are objects.

    Fields of records are looked at one by one, and long floats as text: between the numbers lie
    bytes that mean nothing.
    """
    if value.dtype.names:
        fields_of = {name: _array_as_text(value[name], within) for name in value.dtype.names}
        return {f"{value.dtype} {value.shape}": fields_of}
    if value.dtype.char in LONG_FLOATS:
        return {f"{value.dtype} {value.shape}": value.astype(str).tolist()}
    if value.dtype.hasobject:
        return {f"{value.dtype} {value.shape}": _plain(value.tolist(), within)}
    content = zlib.crc32(np.ascontiguousarray(value).tobytes())
    return f"{value.dtype} {value.shape} with check sum {content}"


def _tensor_as_text(value: Tensor) -> Any:
    """Type, shape and check sum of a tensor, of types that NumPy lacks too."""
    kind = str(value.dtype).removeprefix("torch.")
    if is_lazy(value):
        return f"{kind} without shape"
    if value.is_nested:
        return [_tensor_as_text(part) for part in value.unbind()]
    shape = tuple(value.shape)
    if value.is_meta:
        return f"{kind} {shape} without numbers"
    dense = value.detach() if value.layout is torch.strided else value.detach().to_dense()
    plain = dense.cpu().resolve_conj().resolve_neg().contiguous()
    elements = plain.reshape(-1).view(torch.uint8).numpy().tobytes() if plain.numel() else b""
    return f"{kind} {shape} with check sum {zlib.crc32(elements)}"
