"""Values that a person could pass by mistake, by the kind of argument.

``kind_of`` says what an argument holds, from a valid value of it or from its annotation.
``spoilt`` makes a value that is wrong, odd, or right in an odd form. Its description stands in
reports, and ``broken`` marks values that hold NaN, infinity or what is no number at all.
"""

import array
import collections
import inspect
import math
import re
import tempfile
import types
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

LONG = "long" * 1250  # 5,000 letters
LOOKALIKE = "еdm"  # its first letter is Cyrillic
RESULT_OF_RAISING = "this callable raises on purpose"


class Hostile(NamedTuple):
    """A hostile value.

    ``words`` describe it in a report, ``signs`` are words by which a refusal may show it, and
    ``holds`` is "nan" or "inf" if it holds such a number.
    """

    words: str
    value: Any
    signs: tuple[str, ...] = ()
    holds: str = ""


class OnPurpose(Exception):
    """What a hostile callable raises: the error of its author, which passes through."""


# --- arrays --------------------------------------------------------------------------------------


def as_array(value: Any) -> np.ndarray:
    """A valid value as an array that can be changed."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    return np.array(value, dtype=np.asarray(value).dtype)


def with_entry(value: Any, number: float) -> Any:
    """Floats whose first entry is another."""
    copy = np.atleast_1d(as_array(value).astype(float))
    if copy.size:
        copy.flat[0] = number
    return like(copy, value)


def like(array: np.ndarray, value: Any) -> Any:
    """An array in the form of the valid value: as a tensor of its type if that is one."""
    if not isinstance(value, torch.Tensor):
        return array
    dtype = value.dtype if value.dtype.is_floating_point else None
    return torch.tensor(np.ascontiguousarray(array), dtype=dtype)


ARRAYS: dict[str, Callable[[Any], Hostile]] = {
    "an entry NaN": lambda v: Hostile("", with_entry(v, math.nan), ("nan",), "nan"),
    "an entry inf": lambda v: Hostile("", with_entry(v, math.inf), ("inf",), "inf"),
    "an entry -inf": lambda v: Hostile("", with_entry(v, -math.inf), ("inf",), "inf"),
    "all NaN": lambda v: Hostile("", like(as_array(v) * np.nan, v), ("nan",), "nan"),
    "an entry 1e12": lambda v: Hostile("", with_entry(v, 1e12), ("1e+12", "inf")),
    "zeros": lambda v: Hostile("", like(as_array(v) * 0, v)),
    "negated": lambda v: Hostile("", like(-as_array(v).astype(float), v)),
    "reversed view": lambda v: Hostile("", np.atleast_1d(as_array(v))[::-1]),
    "strided view": lambda v: Hostile("", np.repeat(np.atleast_1d(as_array(v)), 2, axis=0)[::2]),
    "Fortran order": lambda v: Hostile("", np.asfortranarray(as_array(v))),
    "read-only": lambda v: Hostile("", frozen(as_array(v))),
    "objects": lambda v: Hostile("", as_array(v).astype(object), ("object",)),
    "text": lambda v: Hostile("", as_array(v).astype(str), ("text",)),
    "complex": lambda v: Hostile("", as_array(v) + 1j, ("complex",)),
    "dates": lambda v: Hostile("", as_array(v).astype(int).astype("M8[D]"), ("date",)),
    "masked": lambda v: Hostile("", np.ma.masked_array(as_array(v), mask=True), ("masked",)),
    "half precision": lambda v: Hostile("", as_array(v).astype(np.float16)),
    "integers": lambda v: Hostile("", as_array(v).astype(int)),
    "bytes": lambda v: Hostile("", as_array(v).astype(np.uint8)),
    "bools": lambda v: Hostile("", as_array(v) > 0),
    "a list": lambda v: Hostile("", as_array(v).tolist()),
    "a tuple": lambda v: Hostile("", tuple(np.atleast_1d(as_array(v)).tolist())),
    "a list of tensors": lambda v: Hostile("", list(torch.tensor(np.atleast_1d(as_array(v))))),
    "a tensor": lambda v: Hostile("", torch.tensor(as_array(v))),
    "bfloat16": lambda v: Hostile("", torch.tensor(as_array(v)).bfloat16()),
    "with a gradient": lambda v: Hostile(
        "", torch.tensor(as_array(v).astype(float), requires_grad=True)
    ),
    "on meta": lambda v: Hostile("", torch.tensor(as_array(v)).to("meta"), ("meta",)),
    "sparse": lambda v: Hostile(
        "", torch.tensor(np.atleast_1d(as_array(v))).to_sparse(), ("sparse",)
    ),
    "a scalar": lambda v: Hostile("", 1.0, ("shape ()", "()")),
    "0-d": lambda v: Hostile("", np.array(1.0), ("shape ()", "()")),
    "empty": lambda v: Hostile("", like(np.zeros(0), v), ("empty", "(0,)", "none", "no ")),
    "one entry": lambda v: Hostile("", np.atleast_1d(as_array(v))[:1]),
    "one entry less": lambda v: Hostile("", like(np.atleast_1d(as_array(v))[:-1], v)),
    "another axis": lambda v: Hostile("", like(as_array(v)[None], v)),
    "three axes more": lambda v: Hostile("", like(as_array(v)[None, None, None], v)),
    "ragged": lambda v: Hostile("", [[1.0, 2.0], [3.0]], ("inhomogeneous",)),
    "a word": lambda v: Hostile("", "words", ("text",)),
    "None": lambda v: Hostile("", None, ("object", "none")),
    "a set": lambda v: Hostile("", {1.0, 2.0}, ("object",)),
    "a dict": lambda v: Hostile("", {"a": 1.0}, ("object",)),
    "a generator": lambda v: Hostile("", (k for k in range(3)), ("object", "generator")),
    "an object": lambda v: Hostile("", object(), ("object",)),
    "an entry 1e300": lambda v: Hostile("", with_entry(v, 1e300), ("1e+300", "inf")),
    "an entry 5e-324": lambda v: Hostile("", with_entry(v, 5e-324), ("5e-324", "4.94066e-324")),
    "all 1e-300": lambda v: Hostile("", like(0 * as_array(v) + 1e-300, v), ("1e-300",)),
    "memory-mapped": lambda v: Hostile("", mapped(as_array(v))),
    "a subclass of ndarray": lambda v: Hostile("", as_array(v).view(Labelled)),
    "a Parameter": lambda v: Hostile("", torch.nn.Parameter(torch.tensor(as_array(v)).double())),
    "expanded": lambda v: Hostile("", torch.tensor(as_array(v)).flatten()[:1].expand(np.shape(v))),
    "half on torch": lambda v: Hostile("", torch.tensor(as_array(v)).half()),
    "a complex tensor": lambda v: Hostile("", torch.tensor(as_array(v)) + 1j, ("complex",)),
    "quantised": lambda v: Hostile("", quantised(v), ("quantised", "quint8")),
    "sparse rows": lambda v: Hostile(
        "", torch.eye(2) @ torch.eye(2).to_sparse_csr(), ("sparse", "shape")
    ),
    "masked in part": lambda v: Hostile(
        "",
        np.ma.masked_array(as_array(v), mask=np.arange(np.size(v)).reshape(np.shape(v)) == 0),
        ("masked",),
    ),
    "long doubles": lambda v: Hostile("", as_array(v).astype(np.longdouble)),
    "unsigned": lambda v: Hostile("", np.full(np.shape(v), 2**64 - 1, dtype=np.uint64)),
    "other byte order": lambda v: Hostile("", as_array(v).astype(">f8")),
    "fractions": lambda v: Hostile("", [Fraction(1, 2)] * np.size(v), ("object",)),
    "decimals": lambda v: Hostile("", [Decimal("0.5")] * np.size(v), ("object",)),
    "NumPy's bools": lambda v: Hostile("", [np.True_] * np.size(v)),
    "a Series": lambda v: Hostile("", series(v)),
    "a buffer": lambda v: Hostile("", memoryview(as_array(v).astype(float).ravel())),
    "raw bytes": lambda v: Hostile("", as_array(v).tobytes(), ("bytes", "text")),
    "array.array": lambda v: Hostile("", array.array("d", as_array(v).astype(float).ravel())),
    "a deque": lambda v: Hostile("", collections.deque(as_array(v).ravel().tolist())),
    "a range": lambda v: Hostile("", range(np.size(v))),
    "records": lambda v: Hostile(
        "", np.zeros(np.shape(v), dtype=[("a", float), ("b", float)]), ("fields", "void", "[('a'")
    ),
    "a generator that breaks": lambda v: Hostile("", breaking(), ("object", "generator")),
    "an array that breaks": lambda v: Hostile("", BreaksAsArray()),
    "a mapping": lambda v: Hostile("", types.MappingProxyType({"a": 1.0}), ("object",)),
    "another record": lambda v: Hostile("", Another(1.0), ("object", "another")),
}


class Labelled(np.ndarray):
    """A subclass of arrays, as many packages have one."""


def mapped(values: np.ndarray) -> np.ndarray:
    """The numbers in a file that is mapped into memory, for reading."""
    if not values.size:
        raise ValueError("an empty file cannot be mapped")
    with tempfile.TemporaryFile() as file:
        file.write(np.ascontiguousarray(values).tobytes())
        file.flush()
        return np.memmap(file, values.dtype, mode="r", shape=values.shape)


def quantised(value: Any) -> torch.Tensor:
    """A tensor of 8 bits with a scale, as networks for phones have them."""
    floats = torch.tensor(as_array(value)).float()
    return torch.quantize_per_tensor(floats, 0.1, 0, torch.quint8)


def series(value: Any) -> Any:
    """A Series of pandas with labels of its own, where pandas is installed."""
    try:
        import pandas
    except ImportError as error:
        raise ValueError("pandas is not installed") from error
    flat = np.atleast_1d(as_array(value)).ravel()
    return pandas.Series(flat, index=[f"row {k}" for k in range(len(flat))])


def breaking() -> Iterator[float]:
    """A generator that fails after two numbers."""
    yield 1.0
    yield 2.0
    raise OnPurpose(RESULT_OF_RAISING)


class BreaksAsArray:
    """What says that it is an array, and fails when it is asked for one."""

    shape = (3,)

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise OnPurpose(RESULT_OF_RAISING)

    def __len__(self) -> int:
        raise OnPurpose(RESULT_OF_RAISING)


@dataclass(frozen=True)
class Another:
    """A record that has nothing to do with the package."""

    other: float


def frozen(array: np.ndarray) -> np.ndarray:
    """The array, read-only."""
    array.flags.writeable = False
    return array


# --- single values -------------------------------------------------------------------------------


def constants(*values: Any) -> dict[str, Callable[[Any], Hostile]]:
    """Makers of values that do not depend on the valid one."""

    def maker(value: Any) -> Callable[[Any], Hostile]:
        return lambda _: Hostile("", value, holds=not_finite(value))

    return {short(value): maker(value) for value in values}


def not_finite(value: Any) -> str:
    """Says "nan" or "inf" of a number that is one."""
    if isinstance(value, (np.ndarray, torch.Tensor)) and value.ndim == 0:
        value = value.item()
    if not isinstance(value, (float, np.floating, Decimal)):
        return ""
    return "nan" if math.isnan(value) else "inf" if math.isinf(value) else ""


def short(value: Any) -> str:
    """A value in a few characters, the same in every process."""
    text = re.sub(" at 0x[0-9a-f]+", "", repr(value))
    return text if len(text) < 60 else f"{text[:40]}... ({len(text)} characters)"


class AsNumber:
    """What turns itself into a float, as numbers of other packages do."""

    def __init__(self, value: float) -> None:
        self.value = value

    def __float__(self) -> float:
        return self.value

    def __repr__(self) -> str:
        return f"AsNumber({self.value})"


class AsIndex:
    """What turns itself into a whole number."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value

    def __repr__(self) -> str:
        return f"AsIndex({self.value})"


class BreaksAsMapping(collections.abc.Mapping):
    """A mapping that fails when it is read."""

    def __getitem__(self, key: str) -> Any:
        raise OnPurpose(RESULT_OF_RAISING)

    def __iter__(self) -> Iterator[str]:
        return iter(("a",))

    def __len__(self) -> int:
        return 1


NOT_NUMBERS = ("3", "many", None, [1.0, 2.0], {}, 1j, True, object, np.datetime64("2020-01-01"))
NUMBERS = constants(
    *(math.nan, math.inf, -math.inf, np.float32("nan"), 0.0, -0.0, -1.0, -1e-9, 1e-300, 1e300),
    *(-1e300, 5e-324, 10**30, 2, np.int64(2), np.uint8(1), np.float16(0.5), np.float32(0.5)),
    *(np.array(0.5), np.array([0.5]), torch.tensor(0.5), 1.0 + 1e-12, *NOT_NUMBERS),
    *(Decimal("0.5"), Decimal("NaN"), Fraction(1, 2), np.True_, np.longdouble(0.5), 10**400),
    *(b"3", np.str_("3"), np.array(math.nan), torch.tensor(math.nan), np.complex64(1)),
    *(np.ma.masked, torch.tensor(0.5, dtype=torch.bfloat16), torch.tensor(0.5, requires_grad=True)),
    *(torch.tensor(0.5, device="meta"), np.float64(-0.0), 2.0**-1074, 1.7976931348623157e308),
    *(AsNumber(0.5), AsNumber(math.inf), BreaksAsArray()),
)
COUNTS = constants(
    *(0, -1, -(2**40), 1, 2, np.int64(3), np.uint8(3), np.array(3), torch.tensor(3), 3.0, 2.5),
    *(math.nan, math.inf, "3", None, True, [3], 1j, object),
    *(Fraction(3), Decimal(3), 10**400, np.True_, b"3", np.float64(3.0), np.uint64(2**63)),
    *(np.array([3]), torch.tensor([3]), AsIndex(3), AsNumber(3.0), np.ma.masked),
)
SEEDS = constants(
    *(0, -1, 2**31, 2**63, 2**64, 2**100, np.int64(3), np.uint8(3), 3.0, 0.5, math.nan, "a"),
    *(None, True, [3], torch.Generator(), np.random.default_rng(0)),
    *(np.uint64(2**64 - 1), AsIndex(3), b"3", Fraction(3), np.array(3), torch.tensor(3)),
)
FLAGS = constants(
    *("yes", "", 2, 0, None, math.nan, [True], np.True_, object(), np.array([True, False])),
    *(torch.tensor(True), np.array(True), b"yes", 1.0, Fraction(1)),
)
NAMES = constants(
    *("", " ", "no-such-name", "EDM", LOOKALIKE, LONG, "edm\n", "\x00", "\x1b[31mred", "../up"),
    *("<b>&amp;</b>", "λ", "a\ud800", "%s %d {0} {x}", 3, None, math.nan, b"edm", ["edm"], object),
    *(np.str_("edm"), bytearray(b"edm"), Path("edm"), "edm\u202e", "\ufeffedm", ("edm",), {"edm"}),
    *(True, Another(1.0)),
)
GENERATORS = constants(0, None, "seed", object, np.random.RandomState(0))
WORDS = (None, 3, math.nan, "no-such-thing", [], {}, object, len)
RECORDS = (Another(1.0), Another, types.SimpleNamespace(name="edm"), collections.UserDict())
OTHERS = constants(
    *(*WORDS, np.zeros(3), torch.zeros(3), {"a": math.nan}, LONG, *RECORDS, b"edm", Path("edm")),
    *(Fraction(1, 2), frozenset(), np.array(None), np.datetime64("NaT"), Ellipsis, NotImplemented),
)
MAPPINGS = constants(
    *(None, [], {}, {1: 2}, {"a": math.nan}, {"a": None}, {"": ""}, {LONG: LONG}, "text", 3),
    [("a", 1)],
    *(types.MappingProxyType({}), {b"a": 1}, {("a",): 1}, {"a": Decimal("NaN")}, BreaksAsMapping()),
)


def raising(*_: Any, **__: Any) -> Any:
    """A function with a fault of its own."""
    raise OnPurpose(RESULT_OF_RAISING)


def returning(value: Any) -> Callable[..., Any]:
    """A function that returns the same whatever it is given."""

    def constant(*_: Any, **__: Any) -> Any:
        return value

    return constant


def breaking_after(valid: Any, calls: int) -> Callable[..., Any]:
    """The valid function, which fails after some calls."""
    if not callable(valid):
        raise TypeError("there is no function to spoil")
    left = iter(range(calls))

    def broken(*args: Any, **kwargs: Any) -> Any:
        if next(left, None) is None:
            raise OnPurpose(RESULT_OF_RAISING)
        return valid(*args, **kwargs)

    return broken


def no_arguments() -> float:
    """A function that takes none."""
    return 1.0


CALLABLES: dict[str, Callable[[Any], Hostile]] = {
    "raises": lambda v: Hostile("", raising),
    "returns None": lambda v: Hostile("", returning(None)),
    "returns text": lambda v: Hostile("", returning("text")),
    "returns NaN": lambda v: Hostile("", returning(np.float64("nan")), ("nan", "finite")),
    "returns the wrong shape": lambda v: Hostile("", returning(np.zeros((2, 7))), ("shape",)),
    "returns a wrong tensor": lambda v: Hostile("", returning(torch.zeros(2, 7)), ("shape",)),
    "takes no arguments": lambda v: Hostile("", no_arguments, ("argument",)),
    "returns complex": lambda v: Hostile("", returning(np.complex128(1j)), ("complex",)),
    "returns masked": lambda v: Hostile("", returning(np.ma.masked), ("masked",)),
    "returns a ragged list": lambda v: Hostile("", returning([[1.0], [1.0, 2.0]]), ("inhomog",)),
    "returns a generator": lambda v: Hostile("", returning(iter([1.0])), ("object",)),
    "breaks later": lambda v: Hostile("", breaking_after(v, 2)),
    "a class": lambda v: Hostile("", Another, ("object", "another")),
    "a partial": lambda v: Hostile("", partial(no_arguments), ("argument",)),
    **constants(None, 3, "exp", np.zeros(3), object()),
}


def paths(folder: Path) -> dict[str, Callable[[Any], Hostile]]:
    """Hostile places below a folder; the files in it are made here."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        "garbage.bin": bytes(range(192, 256)),
        "empty.csv": b"",
        "text.csv": b"a,b\nc,d\n",
        "nan.csv": b"logsnr,w\n-1,nan\n0,1\n1,nan\n",
        "object.json": b"{}",
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    files = [folder / name for name in contents]
    others = [folder, folder / "missing" / "no.csv", "", "http://127.0.0.1:9/x.csv", "nul\x00.csv"]
    more = [Path("nul\x00.csv"), Path("a\udcff.csv"), "/dev/null", "x" * 256, "a/" * 200 + "b"]
    more += [folder / "text.csv" / "below", "file:///a.csv", Path(), math.nan, ["a.csv"]]
    return constants(
        *files, *map(str, files), *others, *more, LONG, None, 10**6, b"a.csv", object()
    )


# --- by kind -------------------------------------------------------------------------------------

KINDS = {
    "array": ARRAYS,
    "number": NUMBERS,
    "count": COUNTS,
    "seed": SEEDS,
    "flag": FLAGS,
    "name": NAMES,
    "generator": GENERATORS,
    "callable": CALLABLES,
    "mapping": MAPPINGS,
    "other": OTHERS,
}
PATH_NAMES = {"path", "file", "folder", "out", "checkpoint", "destination"}


def kind_of(name: str, value: Any, annotation: Any) -> str:
    """The kind of an argument, from its name, a valid value and, where that is None, its type."""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    if name in PATH_NAMES or isinstance(value, Path):
        return "path"
    if name == "seed":
        return "seed"
    if value is None or value is inspect.Parameter.empty:
        return kind_of_annotation(text)
    return kind_of_value(value, text)


def kind_of_value(value: Any, annotation: str) -> str:
    """The kind of an argument that holds a value."""
    tests: dict[str, Callable[[], bool]] = {
        "flag": lambda: isinstance(value, (bool, np.bool_)),
        "number": lambda: isinstance(value, (float, np.floating)) or annotation == "float",
        "count": lambda: isinstance(value, (int, np.integer)),
        "name": lambda: isinstance(value, str),
        "generator": lambda: isinstance(value, (np.random.Generator, torch.Generator)),
        "array": lambda: is_array(value),
        "mapping": lambda: isinstance(value, Mapping),
        "callable": lambda: inspect.isroutine(value),
    }
    return next((kind for kind, holds in tests.items() if holds()), "other")


def is_array(value: Any) -> bool:
    """Whether a value holds numbers: an array, a tensor or a list of numbers."""
    if isinstance(value, torch.Tensor):
        return not value.is_complex()
    if not isinstance(value, (np.ndarray, list, tuple)):
        return False
    try:
        return np.asarray(value).dtype.kind in "fiub"
    except (ValueError, TypeError, RuntimeError):
        return False


def kind_of_annotation(annotation: str) -> str:
    """The kind of an argument without a value, from its type."""
    words = {
        "ArrayLike": "array",
        "Tensor": "array",
        "NDArray": "array",
        "Generator": "generator",
        "Callable": "callable",
        "Curve": "callable",
        "Mapping": "mapping",
        "bool": "flag",
        "int": "count",
        "float": "number",
        "str": "name",
    }
    return next((kind for word, kind in words.items() if word in annotation), "other")


def values_of(kind: str, folder: Path) -> dict[str, Callable[[Any], Hostile]]:
    """The makers of hostile values of a kind by their descriptions."""
    return paths(folder) if kind == "path" else KINDS[kind]


def spoilt(kind: str, words: str, valid: Any, folder: Path) -> Hostile | None:
    """A hostile value, None where this one cannot be made from the valid value."""
    make = values_of(kind, folder)[words]
    usable = valid
    if kind == "array" and (not is_array(valid) or not np.size(valid)):
        usable = np.array([1.0, 2.0, 3.0])
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of kinds that it means to change
            made = make(usable)
        # only where numbers are asked for does NaN pass as one
        holds = made.holds if kind in ("array", "number", "count", "seed") else ""
        return made._replace(words=words, holds=holds)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return None
