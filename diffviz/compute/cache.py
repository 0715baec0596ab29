"""Results of experiments, kept in memory and on disk.

A result is found again by the function, its arguments and the fingerprint of all source code that
it depends on (``sources``). A changed formula therefore never shows an old result. Results are kept
in the user's cache folder; the variable ``DIFFVIZ_CACHE`` names another folder, or is ``off``.

Example:
    >>> from diffviz.compute import cache
    >>> @cache.cached
    ... def squares(n: int) -> list[int]:
    ...     return [k**2 for k in range(n)]
    >>> squares(4), squares(n=4) is squares(4)
    ([0, 1, 4, 9], True)
"""

import hashlib
import inspect
import io
import itertools
import os
import pickle
import shutil
import stat
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache, partial, wraps
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple, ParamSpec, TypeVar

import numpy as np
import platformdirs

from diffviz.checks import count
from diffviz.compute import locks, sources

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

VARIABLE = "DIFFVIZ_CACHE"
LIMIT = 10**9  # bytes on disk
REMEMBERED = 128  # results of one function in memory
TRIMMED_EVERY = 32  # entries that a process writes between two looks at the size
ENTRY = "output.pkl"  # joblib's name of the file of a result
LOCKS = "locks"  # folder of the files by which processes wait for one another
PARTS = ("joblib", LOCKS)  # what the folder holds
KNOWN_CODE = {*sys.stdlib_module_names, *sources.LIBRARIES}  # a fingerprint has their versions


# --- the folder --------------------------------------------------------------------------------


def folder() -> Path | None:
    """Where results are kept on disk.

    Returns:
        The folder that ``DIFFVIZ_CACHE`` names, else the user's cache folder; None where it is
        ``off``. It need not exist yet.

    Raises:
        ValueError: ``DIFFVIZ_CACHE`` names the home of a user that there is not.

    Example:
        >>> import os
        >>> os.environ["DIFFVIZ_CACHE"] = "off"
        >>> folder() is None
        True
    """
    setting = os.environ.get(VARIABLE, "")
    if setting.lower() == "off":
        return None
    if setting:
        try:
            return Path(setting).expanduser().absolute()
        except RuntimeError as error:  # such as ~name without such a user
            raise ValueError(f"{VARIABLE} is {setting!r}: {error} Name another folder") from error
    return Path(platformdirs.user_cache_dir("diffviz", appauthor=False))


class Size(NamedTuple):
    """What the cache holds on disk.

    Attributes:
        bytes: Size of its files in bytes.
        entries: Number of results.
    """

    bytes: int
    entries: int


def size() -> Size:
    """How much is kept on disk; files of others in the same folder do not count.

    Returns:
        Bytes and number of results; both are 0 where the cache is off.

    Example:
        >>> import os
        >>> os.environ["DIFFVIZ_CACHE"] = "off"
        >>> size()
        Size(bytes=0, entries=0)
    """
    place = folder()
    parts = [] if place is None else [place / part for part in PARTS]
    total = entries = 0
    for file in (file for part in parts for file in part.rglob("*")):
        with suppress(OSError):  # another process has just removed it
            status = file.stat()
            if stat.S_ISREG(status.st_mode):
                total += status.st_size
                entries += file.name == ENTRY
    return Size(total, entries)


def clear() -> None:
    """Remove all results from disk; those in the memory of a process stay there.

    Example:
        >>> import os
        >>> os.environ["DIFFVIZ_CACHE"] = "off"
        >>> clear()
    """
    place = folder()
    if place is not None:
        for part in PARTS:
            shutil.rmtree(place / part, ignore_errors=True)


def trim(limit: int = LIMIT) -> None:
    """Remove the results that were not read for the longest time, until the rest fits.

    Args:
        limit: Largest size on disk in bytes.

    Raises:
        TypeError: ``limit`` is no whole number.
        ValueError: ``limit`` is not positive.

    Example:
        >>> import os
        >>> os.environ["DIFFVIZ_CACHE"] = "off"
        >>> trim(10**6)
    """
    limit = count(limit, "limit")
    store = _store()
    if store is not None:
        with suppress(OSError):  # another process trims as well
            store.enforce_store_limits(limit)


# --- keys --------------------------------------------------------------------------------------


class ForeignCodeError(Exception):
    """An argument uses code that no key can tell: of a notebook, or a function without a name."""


class _KeyPickler(pickle.Pickler):
    """Writes arguments so that equal content gives equal bytes.

    Functions and classes are written by name, those of a package with the fingerprint of their
    module. Tensors are written as their elements.
    """

    def reducer_override(self, value: Any) -> Any:
        """How a value is written; NotImplemented where pickle knows best."""
        if isinstance(value, FunctionType | type):
            return _reduced_code(value)
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(value, torch.Tensor):
            return _reduced_tensor(value, torch)
        if isinstance(value, np.random.RandomState):
            return str, ("NumPy's global generator, to which SciPy's distributions refer",)
        return NotImplemented


def _reduced_code(value: FunctionType | type) -> Any:
    """A function or class as its name and the fingerprint of its module."""
    module = value.__module__ or ""  # None where ``exec`` or ``eval`` made it
    if module.partition(".")[0] in KNOWN_CODE:
        return NotImplemented
    nameless = not module or "<" in value.__qualname__  # such as <lambda>, which may hold variables
    if nameless or sources.find(module) is None:
        raise ForeignCodeError(value.__qualname__)
    return str, (f"{module}.{value.__qualname__}", sources.fingerprint(module))


def _reduced_tensor(value: Any, torch: Any) -> Any:
    """A tensor as its elements."""
    plain = value.detach().cpu().contiguous()
    elements = plain.reshape(-1).view(torch.uint8).numpy().tobytes() if plain.numel() else b""
    return str, (str(plain.dtype), str(value.device), tuple(plain.shape), elements)


def _plain(value: Any) -> Any:
    """An argument in the form in which it is compared: lists as tuples, NumPy's numbers as ours."""
    if isinstance(value, np.generic):
        return value.item()
    if type(value) is str:
        return sys.intern(value)  # pickle writes the same object once
    if type(value) in (list, tuple):
        return tuple(_plain(part) for part in value)
    return value


@dataclass(frozen=True)
class _Call:
    """A call of a function.

    Attributes:
        key: 32 hexadecimal digits; calls of one function with equal keys are equal.
        compute: Computes the result.
    """

    key: str
    compute: Callable[[], Any] = field(compare=False, repr=False)


def _called(function: Callable, signature: inspect.Signature, args: Any, kwargs: Any) -> _Call:
    """A call with its key, from the arguments that its signature completes."""
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    plain = {name: _plain(value) for name, value in bound.arguments.items()}
    written = io.BytesIO()
    try:
        _KeyPickler(written, protocol=5).dump(plain)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise TypeError(
            f"the arguments of {function.__qualname__} cannot be told apart: {error}; "
            "pass numbers, text, arrays or objects that pickle"
        ) from error
    key = hashlib.sha256(written.getvalue()).hexdigest()[:32]
    return _Call(key, partial(function, *bound.args, **bound.kwargs))


# --- entries on disk ---------------------------------------------------------------------------


class _Entry(NamedTuple):
    """A result as it is kept.

    Attributes:
        item: Where it is kept: function, fingerprint and key of the call.
        digest: SHA-256 of the pickle.
        pickled: The pickle of the result.
    """

    item: tuple[str, str, str]
    digest: str
    pickled: bytes


class _UnreadableError(Exception):
    """There is no result on disk, or one that cannot be trusted."""


_refused: set[Path] = set()  # folders that cannot be written, each told once
_written = itertools.count()  # numbers the entries that this process writes


def _store() -> Any:
    """The store of joblib for the folder; None where there is no cache."""
    place = folder()
    return None if place is None or place in _refused else _opened(place)


@lru_cache
def _opened(place: Path) -> Any:
    """The store of joblib in a folder that exists from now on; None where that is impossible."""
    import joblib  # 0.2 s

    try:
        return joblib.Memory(str(place), verbose=0).store_backend
    except OSError as error:
        _refuse(place, error)
        return None


def _refuse(place: Path, reason: object) -> None:
    """Do without a folder that cannot be written, and say so once."""
    if place not in _refused:
        _refused.add(place)
        warnings.warn(
            f"results cannot be kept in {place}, so that they are computed each time: {reason}; "
            f"set {VARIABLE} to another folder, or to off",
            stacklevel=2,
        )


def _read(store: Any, item: tuple[str, str, str]) -> Any:
    """A result from disk; else an _UnreadableError."""
    try:
        entry = _Entry(*store.load_item(item, verbose=0))
        if entry.item == item and entry.digest == hashlib.sha256(entry.pickled).hexdigest():
            with suppress(OSError):  # the folder may be for reading only
                os.utime(_file(store, item))  # it was used now
            return pickle.loads(entry.pickled)
    except Exception as error:  # a damaged file can make pickle raise anything
        raise _UnreadableError from error
    raise _UnreadableError


def _file(store: Any, item: tuple[str, str, str]) -> Path:
    """Where joblib keeps a result."""
    return Path(store.location, *item, ENTRY)


def _write(store: Any, item: tuple[str, str, str], pickled: bytes) -> None:
    """Keep a result; where that is impossible, do without the folder from now on."""
    entry = tuple(_Entry(item, hashlib.sha256(pickled).hexdigest(), pickled))
    for _ in range(2):  # another process may clear the folder at the same time
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            store.dump_item(item, entry, verbose=0)
        if not caught:
            break
    else:
        with suppress(OSError):
            store.clear_item(item)
        _refuse(Path(store.location).parent, str(caught[-1].message).rpartition("Exception: ")[2])
        return
    if next(_written) % TRIMMED_EVERY == 0:
        trim()


@contextmanager
def _alone(store: Any, item: tuple[str, str, str]) -> Iterator[None]:
    """Wait until no other process computes the same, where the folder has locks.

    The lock is of the function too. One that calls another with the same arguments would otherwise
    wait for itself.
    """
    lock = _lock(store, item)
    with suppress(OSError):
        lock.parent.mkdir(parents=True, exist_ok=True)
    with locks.held(lock) as is_locked:
        if is_locked:
            _clear_begun(_file(store, item))
        try:
            yield
        finally:
            if is_locked:  # what an interrupt leaves half written
                _clear_begun(_file(store, item))


def _lock(store: Any, item: tuple[str, str, str]) -> Path:
    """The file by which processes wait for a result."""
    name = hashlib.sha256("\n".join(item).encode()).hexdigest()[:32]
    return Path(store.location).parent / LOCKS / name


def _clear_lock(lock: Path) -> None:
    """Remove the lock of a process that was killed after it had written its result."""
    if lock.exists():
        with suppress(TimeoutError), locks.held(lock, patience=0):
            pass


def _clear_begun(file: Path) -> None:
    """Remove what processes that were killed had begun to write in the place of a result."""
    with suppress(OSError):
        for begun in file.parent.glob(f"{file.name}.*"):
            begun.unlink()


def _kept(function: Callable, call: _Call) -> Any:
    """The result of a call, from disk if it is there; else computed, and kept."""
    module = function.__module__
    store = _store()
    if store is None or not _has_source(function) or sources.changed(module):
        return call.compute()
    name = f"{module}.{function.__qualname__}"
    item = (name, sources.fingerprint(module), call.key)
    with suppress(_UnreadableError):
        result = _read(store, item)
        _clear_lock(_lock(store, item))
        return result
    with _alone(store, item):
        with suppress(_UnreadableError):
            return _read(store, item)  # another process has just computed it
        result = call.compute()
        pickled = _pickled(result, name)
        if not sources.changed(module):
            _write(store, item, pickled)
    return result


def _has_source(function: Callable) -> bool:
    """Whether a function stands at the top of a module of a package, and not in another function.

    What a function inside another one does depends on the variables around it too.
    """
    module = function.__module__ or ""  # None where ``exec`` made it
    return "<locals>" not in function.__qualname__ and sources.find(module) is not None


def _pickled(result: Any, name: str) -> bytes:
    """A result as bytes."""
    try:
        return pickle.dumps(result, protocol=5)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise TypeError(
            f"the result of {name} cannot be kept: {error}; "
            "return arrays, records or objects that pickle"
        ) from error


# --- the decorator -----------------------------------------------------------------------------


def cached(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Keep the results of a pure function, in memory and on disk.

    Calls are equal if their arguments are, whether by position, by name or by default. Arrays,
    tensors and objects are compared by content. Where an argument uses code that no key can tell,
    such as a function of a notebook or a lambda, the result is computed and not kept. The first
    process that needs a result computes it, and others wait for it. A damaged entry is computed
    again; a folder that cannot be written is done without, after one warning.

    Args:
        function: A function of a module of a package, whose result depends on its arguments alone.
            Elsewhere, as in a notebook, results are kept in memory only.

    Returns:
        The same function, which computes once. It returns the same object again, which callers
        leave as it is. It raises a TypeError where arguments or the result do not pickle.

    Example:
        >>> @cached
        ... def cube(n: int, power: int = 3) -> int:
        ...     print("computed")
        ...     return n**power
        >>> cube(2), cube(2, power=3)
        computed
        (8, 8)
    """
    if not callable(function):
        raise TypeError(f"function must be a function, got {function!r}")
    signature = inspect.signature(function)

    @lru_cache(REMEMBERED)
    def result(call: _Call) -> Any:
        return _kept(function, call)

    @wraps(function)
    def keep(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        try:
            call = _called(function, signature, args, kwargs)
        except ForeignCodeError:
            return function(*args, **kwargs)
        return result(call)

    return keep
