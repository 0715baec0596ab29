"""What a public callable makes of a hostile value: accepted, refused in words, or a fault.

A fault is an error from the deep, a refusal that names neither the argument nor the value, NaN or
infinity that pass without a word, or a call that does not end. ``plan`` lists inputs for all doors
by a seed, so that a run can be shared, resumed and repeated.
"""

import contextlib
import copy
import dataclasses
import dis
import fnmatch
import inspect
import io
import math
import re
import warnings
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import hostile
import numpy as np
import torch
from public_calls import Valid, doors, folder, valid_calls

TESTS = Path(__file__).parent
HARNESS = {"attack", "public_calls", "hostile", "test_hostile_inputs"}
PACKAGE = (str(TESTS.parent / "diffviz"),)
ALIASES = {  # what messages call an argument, as a pattern
    "a": "weighting",
    "b": "weighting",
    "w": "(weighting|table)",
    "x": "(x|batch of data)",
    "text": "settings",
    "source": "data",
    "on_page": "page",
    "x_hat": "denoiser",
    "follow": "state",
    "ema": "length",
    "given": "model",
    "link": "text",
    "content": "image",
    "value": "(anchor|names|base|shown|note|drawn|pasted|step)",  # what the control is called
}
LEFT_ALONE = {"self", "cls", "_self", "progress", "on_step", "callback"}
LONGEST_MESSAGE = 1500  # characters; what repeats a name of 5,000 letters cannot be read
DEEPEST = 4  # levels of a result at which numbers are looked for
MEANT = (  # where NaN or infinity has a meaning
    "*(logsnr=inf)",  # no noise, or no signal
    "few_steps.pairs.Jumps(*=inf)",  # an end without signal or without noise
    "data.toys.Toy.*(z=*)",  # of a point that is not known nothing is known
    "data.toys.Toy.*(z=an entry 1e300)",  # its square is infinite
    "learning.runs.Run.denoise(z=inf)",
    "learning.settings.Settings(clip=inf)",  # gradients of any length
    "learning.training.Trainer(clip=inf)",
    "learning.training.fit(clip=inf)",
    "learning.logs.record.LossLog.take_batches(*)",  # counted, and left out of averages
    "learning.tracking.LossByLogSNR.update*(*)",
    "learning.callbacks.loop.Follower.__call__(*)",
    "compute.executors.*(function=returns NaN)",  # what a call returned, as it is
    "sampling.likelihood.log_likelihood(probes=1)",  # one probe has no spread
    "plots.*.lines(*)",  # a gap
    "plots.*.loss_curves(*)",
    "sampling.grids.grid(*=inf)",  # the end of the law
    "search.surface.Surface(values=*)",  # a training that failed
    "search.smooth.SmoothSurface(values=*)",
    "plots.scales.scaled(*)",
    "plots.scales.scaled(w=bytes)",
    "plots.scales.scaled(w=integers)",  # those below 1 are 0, where nothing is drawn
    "plots.scales.scaled(w=negated)",
    "plots.scales.scaled(w=zeros)",
    "masked.bounds.weighed(values=inf)",  # what cannot happen
    "masked.bounds.Assessment.mean(*)",  # a sum over whatever stands there
    "masked.bounds.Assessment.by_size(values=inf)",
    "masked.worlds.by_rate(by_count=inf)",
    "search.report.Search(*)",
    "theory.laws.truncated(*=inf)",  # no end
    "theory.multipliers.debiased(cap=inf)",  # no cap
    "web.pictures.Chart*(*)",  # a gap
)
OF_THE_CALLER = re.compile(
    r"^(no_arguments|object|len|double|Another\.__init__)\(\) takes|operand .*'Another'"
)
ALLOWED = (ValueError, TypeError, OSError, ModuleNotFoundError, RuntimeError, ArithmeticError)


class Verdict(StrEnum):
    """What became of an input."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    FAULT = "fault"


class Finding(NamedTuple):
    """A verdict with its reason."""

    verdict: Verdict
    reason: str = ""


class Input(NamedTuple):
    """One attack: a door, the arguments that are spoilt, and how."""

    door: str
    spoilt: tuple[tuple[str, str, str], ...]  # argument, kind, description of the value

    def __str__(self) -> str:
        said = ", ".join(f"{argument}={words}" for argument, _, words in self.spoilt)
        return f"{self.door}({said})"


# --- which inputs --------------------------------------------------------------------------------


def arguments_of(valid: Valid) -> dict[str, str]:
    """The arguments that can be attacked, with their kinds."""
    found = {}
    for name, parameter in valid.door.signature.parameters.items():
        if name in LEFT_ALONE or parameter.kind in (
            inspect.Parameter.VAR_POSITIONAL,
            inspect.Parameter.VAR_KEYWORD,
        ):
            continue
        value = valid.arguments.get(name, parameter.default)
        found[name] = hostile.kind_of(name, value, parameter.annotation)
    return found


def single_inputs(valid: Valid, folder: Path) -> list[Input]:
    """All attacks on one argument of a door."""
    return [
        Input(valid.door.name, ((name, kind, words),))
        for name, kind in arguments_of(valid).items()
        for words in hostile.values_of(kind, folder)
    ]


def plan(each: int, seed: int, folder: Path, names: str = "*") -> Iterator[Input]:
    """Attacks on every door: first on one argument, and then, where there are few, on two.

    Args:
        each: Number of attacks on a door.
        seed: Seed of their choice.
        folder: Where files that are passed as paths lie.
        names: Pattern of the names of doors.
    """
    for name, valid in sorted(valid_calls().items()):
        if not fnmatch.fnmatch(name, names):
            continue
        rng = np.random.default_rng([seed, *name.encode()])
        singles = single_inputs(valid, folder)
        for index in rng.permutation(len(singles))[:each]:
            yield singles[index]
        for _ in range(each - len(singles) if singles else 0):
            first, second = rng.choice(len(singles), 2)
            pair = {part[0]: part for part in singles[first].spoilt + singles[second].spoilt}
            yield Input(name, tuple(pair.values()))


# --- what became of one --------------------------------------------------------------------------


def attack(one: Input, folder: Path) -> Finding:
    """Run one attack in this process."""
    valid = valid_calls()[one.door]
    values = {}
    for argument, kind, words in one.spoilt:
        value = hostile.spoilt(kind, words, valid.arguments.get(argument), folder)
        if value is not None:
            values[argument] = value
    if not values:
        return Finding(Verdict.ACCEPTED, "cannot be made")
    try:
        result = quietly(valid, {name: value.value for name, value in values.items()})
    except hostile.OnPurpose:
        return Finding(Verdict.ACCEPTED, "the error of the caller's own function")
    except Exception as error:
        return refusal(error, values)
    return accepted(one.door, result, values)


def quietly(valid: Valid, changed: Mapping[str, Any]) -> Any:
    """Call a door on copies of its valid arguments, without warnings and without output."""
    own = {name: copied(value) for name, value in valid.arguments.items() if name not in changed}
    torch.manual_seed(0)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        with contextlib.redirect_stderr(io.StringIO()), contextlib.chdir(folder()):
            return begun(Valid(valid.door, own).with_arguments(dict(changed)))


def begun(result: Any) -> Any:
    """A result; of a generator the first part, and what a context gives."""
    if inspect.isgenerator(result):
        return next(result, None)
    if isinstance(result, contextlib.AbstractContextManager) and hasattr(result, "gen"):
        with result as inner:
            return inner
    return result


def copied(value: Any) -> Any:
    """A copy, or the value itself where it cannot be copied."""
    if inspect.isroutine(value) or inspect.isclass(value) or inspect.ismodule(value):
        return value
    try:
        return copy.deepcopy(value)
    except Exception:
        return value


def refusal(error: Exception, values: Mapping[str, hostile.Hostile]) -> Finding:
    """The finding for an error."""
    message = str(error)
    said = f"{type(error).__name__}: {message[:300]}"
    if OF_THE_CALLER.search(message):
        return Finding(Verdict.ACCEPTED, "Python's own error on the caller's function")
    if is_of_caller(error):
        return Finding(Verdict.ACCEPTED, "an error within the caller's function")
    if not deliberate(error):
        return Finding(Verdict.FAULT, f"from the deep, {place_of(error)}: {said}")
    if isinstance(error, OSError) and error.filename is not None:
        return Finding(Verdict.REFUSED, said)
    if not isinstance(error, ALLOWED):
        return Finding(Verdict.FAULT, f"of another type, {place_of(error)}: {said}")
    if len(message) > LONGEST_MESSAGE and not isinstance(error, OSError):
        return Finding(Verdict.FAULT, f"{len(message)} characters, {place_of(error)}: {said}")
    if not any(names(message, argument, value) for argument, value in values.items()):
        return Finding(Verdict.FAULT, f"names nothing, {place_of(error)}: {said}")
    return Finding(Verdict.REFUSED, said)


def last_frame(error: BaseException) -> Any:
    """The entry of the traceback where an error was raised."""
    trace = error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace


def is_of_caller(error: BaseException) -> bool:
    """Whether a function that was passed refused on purpose, such as a denoiser of the tests.

    What such a function stumbles over is not of the caller: the package should have refused it.
    """
    frame = last_frame(error)
    file = Path(frame.tb_frame.f_code.co_filename)
    return file.parent == TESTS and file.stem not in HARNESS and raises(frame)


def place_of(error: BaseException) -> str:
    """File and line of the last frame within the package."""
    trace, found = error.__traceback__, "outside"
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file.startswith(PACKAGE):
            found = f"{file.removeprefix(PACKAGE[0] + '/')}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


def deliberate(error: BaseException) -> bool:
    """Whether a ``raise`` of the package raised an error, or the system on a file by its name."""
    if isinstance(error, AssertionError):
        return False
    if isinstance(error, OSError) and error.filename is not None:
        return True
    trace = last_frame(error)
    code = trace.tb_frame.f_code
    if not code.co_filename.startswith(PACKAGE):
        return code.co_filename == hostile.__file__
    return raises(trace)


def raises(trace: Any) -> bool:
    """Whether a ``raise`` stands where a traceback ends."""
    by_offset = {one.offset: one.opname for one in dis.get_instructions(trace.tb_frame.f_code)}
    return by_offset.get(trace.tb_lasti) in ("RAISE_VARARGS", "RERAISE")


def names(message: str, argument: str, hostile_value: hostile.Hostile) -> bool:
    """Whether a message names an argument, or shows what was passed."""
    value = hostile_value.value
    lower = message.lower()
    called = {argument, argument.removesuffix("s"), argument.removesuffix("es")}
    called |= {argument.replace("_", " "), ALIASES.get(argument, argument)}
    if any(re.search(rf"\b{one.lower()}s?\b", lower) for one in called):
        return True
    signs = {*forms(value), *hostile_value.signs} - {""}
    return (
        any(sign.lower() in lower for sign in signs)
        or shows_number(message, value)
        or quotes(message, value)
    )


def forms(value: Any) -> set[str]:
    """The forms in which a message may show a value."""
    shown = {text(value)[:40]}
    if isinstance(value, np.ndarray | torch.Tensor):
        shown.add(str(tuple(value.shape)))
    if isinstance(value, str | Path):
        shown |= {str(value)[:40], repr(str(value))[1:-1][:40]}
    if isinstance(value, bytes):
        shown.add(value.decode(errors="replace"))
    if isinstance(value, Mapping):
        shown |= {repr(str(key))[:40] for key in value}
    return shown


def shows_number(message: str, value: Any) -> bool:
    """Whether a message says that it got the number of a NumPy scalar or an array of one element.

    Numbers elsewhere in it, such as the ends of a range that is allowed, show nothing.
    """
    if not isinstance(value, np.generic | np.ndarray | torch.Tensor) or isinstance(value, np.str_):
        return False
    try:
        number = float(value.item())
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return False
    written = "|".join(re.escape(one) for one in (str(number), f"{number:g}"))
    given = message.partition("got")[2]
    return re.search(rf"(?<![\w.])({written})(?![\w.])", given) is not None


def quotes(message: str, value: Any) -> bool:
    """Whether a message quotes a part of a text, such as the name in a link that is unknown."""
    quoted = re.findall(r"'([^']{3,})'", message.partition("did you mean")[0])
    return isinstance(value, str) and any(part in value for part in quoted)


def text(value: Any) -> str:
    """What ``repr`` says, or the class where even that fails."""
    try:
        return repr(value)
    except Exception:
        return type(value).__name__


def accepted(door: str, result: Any, values: Mapping[str, hostile.Hostile]) -> Finding:
    """The finding for a result."""
    meant = {name: is_meant(door, name, value) for name, value in values.items()}
    passed = {value.holds for name, value in values.items() if value.holds and not meant[name]}
    if passed:
        return Finding(Verdict.FAULT, f"{' and '.join(sorted(passed))} accepted")
    if any(meant.values()):
        return Finding(Verdict.ACCEPTED, "it has a meaning here")
    own = any(holds_nan(value.value) for value in values.values())  # in a text of a record
    if not own and any(math.isnan(number) for number in numbers_of(result)):
        return Finding(Verdict.FAULT, "NaN in the result")
    return Finding(Verdict.ACCEPTED)


def is_meant(door: str, argument: str, value: hostile.Hostile) -> bool:
    """Whether NaN or infinity has a meaning here, in the argument or in what comes of it.

    A value that holds neither is meant only where a pattern names it, and not by a star.
    """
    if value.holds:
        held = f"{door}({argument}={value.holds})"
        if any(fnmatch.fnmatch(held, pattern) for pattern in MEANT):
            return True
    named = [pattern for pattern in MEANT if "*" not in pattern.partition("(")[2]]
    said = f"{door}({argument}={value.words})"
    return any(fnmatch.fnmatch(said, pattern) for pattern in named)


def holds_nan(value: Any) -> bool:
    """Whether a value is NaN, or a mapping to it."""
    if isinstance(value, hostile.BreaksAsMapping):
        return False
    parts = value.values() if isinstance(value, Mapping) else [value]
    return any(isinstance(part, float) and math.isnan(part) for part in parts)


def numbers_of(result: Any, level: int = 0) -> Iterator[float]:
    """Floats of a result: of arrays, tensors, tuples, mappings and records, not too deep."""
    if isinstance(result, (float, np.floating)):
        yield float(result)
    elif isinstance(result, torch.Tensor) and result.is_floating_point() and not result.is_meta:
        yield from result.detach().double().flatten()[:10_000].tolist()
    elif isinstance(result, np.ndarray) and result.dtype.kind == "f":
        yield from np.ma.getdata(result).astype(float).ravel()[:10_000].tolist()
    elif level < DEEPEST:
        for part in parts_of(result):
            yield from numbers_of(part, level + 1)


def parts_of(result: Any) -> list[Any]:
    """What a tuple, a list, a mapping or a record is made of."""
    if isinstance(result, (tuple, list)):
        return list(result[:100])
    if isinstance(result, Mapping) and not isinstance(result, hostile.BreaksAsMapping):
        return list(result.values())[:100]
    if dataclasses.is_dataclass(result) and not isinstance(result, type):
        return [getattr(result, field.name, None) for field in dataclasses.fields(result)]
    return []


def without_valid_call() -> list[str]:
    """Doors for which no valid call was seen."""
    return sorted(doors().keys() - valid_calls().keys())
