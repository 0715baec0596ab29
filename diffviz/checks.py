"""Checks at public doors: what a function accepts, and how it refuses the rest.

Each check takes the value and the name of the argument, returns the value in the form that the code
below works with, and raises an error that names the argument, shows the value and says the way out.
A wrong kind of thing is a TypeError, a wrong value of the right kind a ValueError.

Arrays are decided in one place, ``array``. Lists, tuples, tensors, read-only arrays and negative
strides are welcome. Masked arrays, complex numbers, dates, text and objects are refused, and so are
NaN and infinity wherever they have no meaning.
"""

import math
import operator
import os
import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from typing_extensions import TypeIs  # in typing from Python 3.13 on

MOST = 2**53  # a count above which no array and no float64 can go
DEEPEST = 64  # lists in lists, as many as NumPy has dimensions
LONGEST_VALUE = 200  # characters of a value in a message
LONGEST_MESSAGE = 1200
# of the web or of a store; pathlib makes one stroke of two
ADDRESS = re.compile("(https?|ftp|file|s3|gs|hf|az|abfs):/", re.IGNORECASE)
LARGEST_RATE = 1e30  # a step of Adam, ten times as long at first, still fits into float32
SPECIAL_MEMBERS = ("__call__", "__getitem__")  # special methods that protocols ask for
NOTHING = object()  # stands for an attribute that is not there
Offered = TypeVar("Offered")
KINDS = {
    "c": "complex numbers",
    "M": "dates",
    "m": "time spans",
    "U": "text",
    "S": "bytes",
    "T": "text",
    "O": "objects",
    "V": "records",
}


def array(
    value: ArrayLike, name: str, *, ndim: int | None = None, infinite: bool = False
) -> NDArray[np.float64]:
    """An array of real numbers as float64.

    Args:
        value: Numbers: a scalar, list, array or tensor.
        name: Name of the argument, for messages.
        ndim: Number of dimensions that is asked for; any number by default.
        infinite: Whether ±inf has a meaning here. NaN never has.

    Returns:
        The numbers as float64, in the shape that they came in.

    Raises:
        TypeError: The value is masked, complex, a date, text or an object.
        ValueError: A number is NaN or infinite, rows differ in length, or the dimensions are wrong.
    """
    numbers = real_numbers(value, name).astype(np.float64)
    if ndim is not None and numbers.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} dimension(s), got shape {numbers.shape}")
    bad = np.isnan(numbers) if infinite else ~np.isfinite(numbers)
    if bad.any():
        asked = "must not be NaN" if infinite else "must be finite"
        raise ValueError(
            f"{name} {asked}, got {numbers[bad][0]} ({bad.sum()} of {numbers.size}); "
            "drop or mask such entries first"
        )
    return numbers


def real_numbers(value: ArrayLike, name: str) -> NDArray:
    """Real numbers in the type that they came in, without a copy and without a look at them.

    Args:
        value: Numbers: a scalar, list, array or tensor. NaN and infinity may stand among them.
        name: Name of the argument, for messages.

    Returns:
        The numbers, in the shape that they came in; those of a memory-mapped array stay on disk.

    Raises:
        TypeError: The value is masked, complex, a date, text or an object.
        ValueError: Rows differ in length.
    """
    if type(value) is np.ndarray and value.dtype == np.float64:
        return value  # as nearly always; the checks below take longer than a short curve
    if holds_mask(value):
        what, filled = "is a masked array", f"{name}.filled()"
        if isinstance(value, list | tuple):
            what, filled = "holds a masked array", f"[one.filled() for one in {name}]"
        raise TypeError(f"{name} {what}; fill it or drop what is masked: {filled}")
    if has(value, "detach"):
        value = _readable(value, name)
    try:
        numbers = np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:  # ragged rows, a list of tensors
        raise ValueError(f"{name} is no array of numbers: {error}") from error
    if numbers.dtype == object and numbers.ndim == 0 and callable(attribute(value, "sample")):
        raise TypeError(
            f"{name} must hold real numbers, got a {type(value).__name__}; draw points from it: "
            "toy.sample(1000, torch.Generator().manual_seed(0))"
        )
    if numbers.dtype.kind in KINDS:
        kind = KINDS[numbers.dtype.kind]
        raise TypeError(f"{name} must hold real numbers, got {kind} (dtype {numbers.dtype})")
    return numbers


def holds_mask(value: Any) -> bool:
    """Whether a value is a masked array or a list with one in it, whose mask NumPy would drop."""
    if not isinstance(value, list | tuple):
        return bool(np.ma.isMaskedArray(value))
    lists = {id(value): value}
    for _ in range(DEEPEST):
        parts = list(chain.from_iterable(lists.values()))
        kinds = set(map(type, parts))
        if any(issubclass(kind, np.ma.MaskedArray) for kind in kinds):
            return True
        if not any(issubclass(kind, list | tuple) for kind in kinds):
            return False
        lists = {id(part): part for part in parts if isinstance(part, list | tuple)}
    return False


def _readable(value: Any, name: str) -> Any:
    """A tensor that NumPy can read: dense, on the CPU, without a gradient, not in bfloat16."""
    plain = dense_tensor(value, name).cpu().resolve_neg().resolve_conj()
    return plain.float() if str(plain.dtype) == "torch.bfloat16" else plain


def dense_tensor(value: Any, name: str) -> Any:
    """A tensor without its gradient; a TypeError for one that is sparse, quantised or on meta."""
    if value.is_meta or value.is_quantized or value.layout != import_module("torch").strided:
        other = f"a quantised one ({value.dtype})" if value.is_quantized else value.layout
        kind = "one on the device meta" if value.is_meta else other
        raise TypeError(f"{name} must be a dense tensor with values, got {kind}")
    return value.detach()


def for_torch(numbers: NDArray) -> NDArray:
    """A copy that torch can take: writable, forwards, in this machine's order of bytes.

    Args:
        numbers: Real numbers as ``real_numbers`` gives them.

    Returns:
        The same numbers; long doubles become float64, other types stay.
    """
    native = numbers.dtype.newbyteorder("=")
    is_long = native.kind == "f" and native.itemsize > 8
    return np.array(numbers, dtype=np.float64 if is_long else native)


def finite(value: ArrayLike, name: str) -> NDArray[np.float64]:
    """Finite real numbers as float64; see ``array``."""
    return array(value, name)


def increasing(value: ArrayLike, name: str) -> NDArray[np.float64]:
    """A grid of two or more finite, strictly increasing numbers, shape (n,); else a ValueError."""
    grid = array(value, name)
    if grid.ndim != 1 or len(grid) < 2 or (grid[1:] <= grid[:-1]).any():
        raise ValueError(
            f"{name} must be 1-D and strictly increasing (shape {grid.shape}); np.unique sorts it"
        )
    return grid


def number(value: Any, name: str, low: float = -np.inf, high: float = np.inf) -> float:
    """One finite real number within [low, high].

    Args:
        value: The number: an int, a float, a NumPy number or an array or tensor of one element.
        name: Name of the argument, for messages.
        low: Least value that is allowed.
        high: Largest value that is allowed.

    Returns:
        The number as a float.

    Raises:
        TypeError: The value is no real number; a bool is none.
        ValueError: It is NaN, infinite or outside [low, high].
    """
    if type(value) is float and math.isfinite(value) and low <= value <= high:
        return value  # the common case, ten times as fast: a solver asks in each of its steps
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be a number, got {value!r}")
    single = array(value, name)
    if single.size != 1:
        raise ValueError(f"{name} must be one number, got shape {single.shape}")
    result = float(single.reshape(()))
    if not low <= result <= high:
        raise ValueError(f"{name} must lie in [{low:g}, {high:g}], got {brief(value)}")
    return result


def positive(value: Any, name: str) -> float:
    """One finite number above 0, as a float; anything else is a ValueError."""
    result = number(value, name) if _looks_real(value) else np.nan
    if not result > 0:
        raise ValueError(f"{name} must be a finite number > 0, got {brief(value)}")
    return result


def rate(value: Any, name: str) -> float:
    """A learning rate with which a step of Adam fits into float32.

    Args:
        value: The rate.
        name: Name of the argument, for messages.

    Returns:
        The rate as a float.

    Raises:
        TypeError: It is no real number.
        ValueError: It is not above 0, or above 1e30.
    """
    return number(positive(value, name), name, high=LARGEST_RATE)


def _looks_real(value: Any) -> bool:
    """Whether a value can be taken as one finite real number."""
    try:
        number(value, "value")
    except (TypeError, ValueError):
        return False
    return True


def count(value: Any, name: str, least: int = 1) -> int:
    """A whole number of at least ``least``.

    Args:
        value: An int, a NumPy integer or anything with ``__index__``. A bool or a float is none.
        name: Name of the argument, for messages.
        least: Smallest value that is allowed.

    Returns:
        The number as an int.

    Raises:
        TypeError: The value is no whole number.
        ValueError: It is below ``least``, or above 2^53.
    """
    result = _whole(value, name)
    if result < least:
        raise ValueError(f"{name} must be at least {least}, got {brief(result)}")
    if result > MOST:
        raise ValueError(f"{name} must be at most 2**53, got {brief(result)}")
    return result


def _whole(value: Any, name: str) -> int:
    """A whole number of any size; a TypeError for anything else."""
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number, got {brief(value)}") from None


def seed(value: Any, name: str = "seed") -> int:
    """A seed: a whole number from 0 that fits into 64 bits, NumPy integers too."""
    result = _whole(value, name)
    if result < 0:
        raise ValueError(f"{name} must be at least 0, got {brief(result)}")
    if result >= 2**64:
        raise ValueError(f"{name} must be below 2**64, got {brief(result)}")
    return result


def seeds(value: Any, name: str = "seeds") -> list[int]:
    """Several seeds, one or more.

    Args:
        value: A list, another iterable, or a tensor or array with one axis.
        name: Name of the argument, for messages.

    Returns:
        The seeds as ints.

    Raises:
        TypeError: The value is no list, or one of them no whole number.
        ValueError: There is none, or one is out of range.
    """
    given = dense_tensor(value, name).tolist() if has(value, "is_meta") else value
    each = [seed(one, f"{name}[{i}]") for i, one in enumerate(items(given, name))]
    require(each, f"{name} is empty; give one for each network, such as (0, 1, 2)")
    return each


def one_of(value: Any, name: str, options: Iterable[Any]) -> Any:
    """A value that is one of the options; else a ValueError that lists near ones, or all if few."""
    known = list(options)
    try:
        if value in known:
            return value
    except ValueError:  # an array, which compares element by element
        pass
    raise unknown(name, value, known)


def unknown(kind: str, name: object, known: Iterable[Any], listing: str = "") -> ValueError:
    """The error for a name that is not there.

    Args:
        kind: What was asked for, such as "objective".
        name: The name that was given.
        known: The names that there are.
        listing: Where all of them are listed; by default the message lists them itself.

    Returns:
        The error, with near names and the place where all are listed.
    """
    names = [str(one) for one in known]
    lower = {one.lower(): one for one in names}
    asked = str(name)[:LONGEST_VALUE].lower()
    near = [lower[one] for one in get_close_matches(asked, lower, 3, 0.4)]
    hint = f"; did you mean {', '.join(map(repr, near))}?" if near else ""
    everything = f"{listing} lists all {len(names)}" if listing else f"one of {', '.join(names)}"
    return ValueError(f"unknown {kind} {brief(name)}{hint} ({everything})")


def require(holds: Any, message: str, error: type[Exception] = ValueError) -> None:
    """Raise ``error`` with the message, whose middle is cut if it is long, unless it holds."""
    if not holds:
        raise error(cut(message, LONGEST_MESSAGE))


def brief(value: Any) -> str:
    """What ``repr`` says of a value, for messages: the beginning and the end if that is long.

    That of a tensor or a table takes long, so it is called only where an error is raised.
    """
    try:
        return cut(repr(value))
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return f"one {type(value).__name__} that cannot be shown"


def cut(text: str, longest: int = LONGEST_VALUE) -> str:
    """A text, without its middle if it is longer than allowed."""
    half = longest // 2
    return text if len(text) <= longest else f"{text[:half]} ... {text[-half:]}"


def instance(value: Any, name: str, kind: type | tuple[type, ...], example: str) -> Any:
    """A value of a class; ``offers`` asks for a protocol.

    Args:
        value: The value.
        name: Name of the argument, for messages.
        kind: The class, or several.
        example: What it may be, for messages, such as "a toy such as dv.toy('ring8')".

    Returns:
        The value.

    Raises:
        TypeError: It is no object of the kind, or a class itself.
    """
    if not isinstance(value, kind) or isinstance(value, type):
        raise TypeError(f"{cut(str(name))} must be {example}, got {brief(value)}")
    return value


def able(value: Any, name: str, methods: tuple[str, ...], example: str) -> Any:
    """An object that has some methods.

    Args:
        value: The object.
        name: Name of the argument, for messages.
        methods: The names of the methods.
        example: What it may be, for messages.

    Returns:
        The object.

    Raises:
        TypeError: A method is missing, or the value is a class itself.
    """
    has_all = all(callable(attribute(value, method)) for method in methods)
    if not has_all or isinstance(value, type):
        needed = " and ".join(methods)
        raise TypeError(f"{name} must be {example}, with {needed}; got {brief(value)}")
    return value


def attribute(value: Any, name: str, default: Any = None) -> Any:
    """An attribute of an object of the user's, whose class may look attributes up in its own way.

    ``getattr`` stops at whatever the lookup raises but an AttributeError: a KeyError of a
    dictionary whose keys are attributes, a RuntimeError of an object that is not loaded yet.

    Args:
        value: Anything.
        name: Name of the attribute.
        default: What stands for one that cannot be looked up, for whatever reason.

    Returns:
        The attribute, or the default.
    """
    try:
        return getattr(value, name, default)
    except Exception:  # it is the class that decides what is raised
        return default


def has(value: Any, name: str) -> bool:
    """Whether an attribute can be looked up; see ``attribute``."""
    return attribute(value, name, NOTHING) is not NOTHING


def offers(value: Any, protocol: type[Offered]) -> "TypeIs[Offered]":
    """Whether a value has all that a protocol names, also what a wrapper hands on.

    ``isinstance`` asks the class from Python 3.12 on. It does not see a mean that a network
    registers as a buffer, nor the methods behind a compiled or distributed network.

    Args:
        value: Anything.
        protocol: The protocol, with its properties and methods.

    Returns:
        Whether each of its members can be looked up.
    """
    members = _members(protocol)  # type: ignore[arg-type]  # every class can be hashed
    return all(has(value, name) for name in members)


@cache
def _members(protocol: type) -> tuple[str, ...]:
    """Names of the properties and methods of a protocol and of those that it extends."""
    names = (name for base in protocol.__mro__[:-1] for name in vars(base))
    return tuple(name for name in names if name in SPECIAL_MEMBERS or not name.startswith("_"))


def function(value: Any, name: str) -> Any:
    """A function or another callable object; a TypeError for anything else."""
    if not callable(value):
        raise TypeError(f"{name} must be a function, got {brief(value)}")
    return value


def one_by_one(value: Any, name: str) -> Iterator[Any]:
    """What a list or another iterable holds, as it is asked for; a TypeError for anything else."""
    try:
        return iter(value)
    except TypeError:  # nothing to go through, such as an array without dimensions
        raise TypeError(f"{name} must be a list, got {brief(value)}") from None


def items(value: Any, name: str) -> list[Any]:
    """What a list, a tuple or another iterable holds; a TypeError for text and single things."""
    try:
        if not isinstance(value, str | bytes):
            return list(value)
    except TypeError:  # nothing to go through, such as an array without dimensions
        pass
    raise TypeError(f"{name} must be a list, got {brief(value)}")


def place(path: str | os.PathLike) -> Path:
    """Where a file or folder is written: a ``~`` at the beginning is the home folder.

    Raises:
        ValueError: It is an address, of which a folder would be made here.
    """
    refuse_address(path)
    return Path(os.path.expanduser(path))


def refuse_address(path: str | os.PathLike) -> None:
    """Refuse an address of the web or of a store, which pathlib takes for folders of this machine.

    Raises:
        ValueError: It is one.
    """
    if ADDRESS.match(os.fspath(path)):
        raise ValueError(
            f"{cut(os.fspath(path))} is an address and no file: nothing is fetched or sent; name a "
            "file of this machine"
        )


def text(value: Any, name: str) -> str:
    """A text; a TypeError for anything else."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be text, got {brief(value)}")
    return value


def random_generator(value: Any, name: str = "rng") -> np.random.Generator:
    """A NumPy generator; a TypeError for anything else, such as a seed."""
    if not isinstance(value, np.random.Generator):
        raise TypeError(
            f"{name} must be a NumPy generator such as np.random.default_rng(0), got {brief(value)}"
        )
    return value


def torch_generator(value: Any, name: str = "generator") -> Any:
    """A torch generator; a TypeError for anything else, such as a seed or a NumPy generator."""
    torch = import_module("torch")  # by name, as in ``tensor``
    if not isinstance(value, torch.Generator):
        raise TypeError(
            f"{name} must be a torch.Generator, got {brief(value)}; "
            "take torch.Generator().manual_seed(0), for example"
        )
    return value


def tensor(value: Any, name: str, *, infinite: bool = False) -> Any:
    """Real numbers as a floating-point tensor.

    Args:
        value: A tensor, or what ``array`` takes. Floats keep their type. Integers become float32,
            or float64 where float32 would round one of them, as 16777217.
        name: Name of the argument, for messages.
        infinite: Whether ±inf has a meaning here. NaN never has.

    Returns:
        A tensor without a gradient, on the device that it was on.

    Raises:
        TypeError: The value is masked, complex, a date, text or an object.
        ValueError: A number is NaN or infinite.
    """
    # by name: the theory imports this file and must not reach torch
    torch = import_module("torch")
    if isinstance(value, torch.Tensor):
        given = dense_tensor(value, name)
    else:
        array(value, name, infinite=True) if infinite else array(value, name)
        given = torch.from_numpy(for_torch(real_numbers(value, name)))
    if given.is_complex():
        raise TypeError(f"{name} must hold real numbers, got complex numbers ({given.dtype})")
    numbers = given if given.is_floating_point() else _floating(given)
    bad = torch.isnan(numbers) if infinite else ~torch.isfinite(numbers)
    if bad.any():
        asked = "must not be NaN" if infinite else "must be finite"
        raise ValueError(f"{name} {asked}, got {numbers[bad].flatten()[0].item()}")
    return numbers


def returned_tensor(value: Any, name: str, form: str = "like z") -> Any:
    """The tensor that a function of the user's returned.

    Args:
        value: What it returned.
        name: What the function is, for messages.
        form: What the tensor must be like, for messages.

    Returns:
        The tensor.

    Raises:
        TypeError: It is none; the message has the type and the way out.
    """
    if isinstance(value, import_module("torch").Tensor):
        return value
    way_out = ""
    if isinstance(value, np.ndarray | np.generic | float | int):
        way_out = "; torch.as_tensor makes one of it"
    elif isinstance(value, tuple | list):
        way_out = "; return the one entry that is meant"
    elif has(value, "sample"):
        way_out = "; its .sample may be meant"
    raise TypeError(f"{name} must return a tensor {form}, got {type(value).__name__}{way_out}")


def _floating(whole: Any) -> Any:
    """Integers as float32 where that rounds none of them, else as float64."""
    single = whole.float()
    exact = single.cpu().double() == whole.cpu().double()
    return single if exact.all() else whole.double()
