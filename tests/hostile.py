"""Values that a person could pass by mistake, by the kind of argument.

``kind_of`` says what an argument holds, from a valid value of it or from its annotation.
``spoilt`` makes a value that is wrong, odd, or right in an odd form. Its description stands in
reports, and ``broken`` marks values that hold NaN, infinity or what is no number at all.
"""

import inspect
import math
import re
from collections.abc import Callable, Mapping
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
}


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
    if not isinstance(value, (float, np.floating)):
        return ""
    return "nan" if math.isnan(value) else "inf" if math.isinf(value) else ""


def short(value: Any) -> str:
    """A value in a few characters, the same in every process."""
    text = re.sub(" at 0x[0-9a-f]+", "", repr(value))
    return text if len(text) < 60 else f"{text[:40]}... ({len(text)} characters)"


NOT_NUMBERS = ("3", "many", None, [1.0, 2.0], {}, 1j, True, object, np.datetime64("2020-01-01"))
NUMBERS = constants(
    *(math.nan, math.inf, -math.inf, np.float32("nan"), 0.0, -0.0, -1.0, -1e-9, 1e-300, 1e300),
    *(-1e300, 5e-324, 10**30, 2, np.int64(2), np.uint8(1), np.float16(0.5), np.float32(0.5)),
    *(np.array(0.5), np.array([0.5]), torch.tensor(0.5), 1.0 + 1e-12, *NOT_NUMBERS),
)
COUNTS = constants(
    *(0, -1, -(2**40), 1, 2, np.int64(3), np.uint8(3), np.array(3), torch.tensor(3), 3.0, 2.5),
    *(math.nan, math.inf, "3", None, True, [3], 1j, object),
)
SEEDS = constants(
    *(0, -1, 2**31, 2**63, 2**64, 2**100, np.int64(3), np.uint8(3), 3.0, 0.5, math.nan, "a"),
    *(None, True, [3], torch.Generator(), np.random.default_rng(0)),
)
FLAGS = constants("yes", "", 2, 0, None, math.nan, [True], np.True_, object())
NAMES = constants(
    *("", " ", "no-such-name", "EDM", LOOKALIKE, LONG, "edm\n", "\x00", "\x1b[31mred", "../up"),
    *("<b>&amp;</b>", "λ", "a\ud800", "%s %d {0} {x}", 3, None, math.nan, b"edm", ["edm"], object),
    np.str_("edm"),
)
GENERATORS = constants(0, None, "seed", object, np.random.RandomState(0))
WORDS = (None, 3, math.nan, "no-such-thing", [], {}, object, len)
OTHERS = constants(*WORDS, np.zeros(3), torch.zeros(3), {"a": math.nan}, LONG)
MAPPINGS = constants(
    *(None, [], {}, {1: 2}, {"a": math.nan}, {"a": None}, {"": ""}, {LONG: LONG}, "text", 3),
    [("a", 1)],
)


def raising(*_: Any, **__: Any) -> Any:
    """A function with a fault of its own."""
    raise OnPurpose(RESULT_OF_RAISING)


def returning(value: Any) -> Callable[..., Any]:
    """A function that returns the same whatever it is given."""

    def constant(*_: Any, **__: Any) -> Any:
        return value

    return constant


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
    return constants(*files, *map(str, files), *others, LONG, None, 10**6, b"a.csv", object())


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
        with np.errstate(all="ignore"):
            made = make(usable)
        # only where numbers are asked for does NaN pass as one
        holds = made.holds if kind in ("array", "number", "count", "seed") else ""
        return made._replace(words=words, holds=holds)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return None
