"""Every public callable of the package, and a valid call of each, seen while examples run.

Public is what ``import diffviz`` offers, what a room's ``__init__`` offers, and what the reference
documents with its module. Nothing is listed by hand, so that a new door is found by itself. Its
valid call is seen, too: the rows of ``test_doors`` and ``room_doors`` run, then ``more_calls``, and
the arguments of each public callable are noted when it is entered for the first time.
"""

import atexit
import contextlib
import dataclasses
import importlib
import inspect
import os
import pkgutil
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache, partial
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import diffviz as dv

ROOT = Path(__file__).parents[1]
REFERENCE = sorted((ROOT / "docs" / "reference").glob("*.rst"))
WHOLE_MODULE = re.compile(r"automodule:: (diffviz[\w.]*)\n +:members:$", re.M)
WHOLE_CLASS = re.compile(r"autoclass:: (diffviz[\w.]*)\.(\w+)\n +:members:", re.M)


@dataclass(frozen=True)
class Door:
    """A public callable.

    ``call`` is what a user calls, with the object itself as its first argument if it is a method.
    ``code`` is what runs when it is entered, and ``signature`` that of the code.
    """

    name: str
    call: Callable[..., Any]
    code: CodeType
    signature: inspect.Signature


@dataclass(frozen=True)
class Valid:
    """A valid call of a door: its arguments by name."""

    door: Door
    arguments: dict[str, Any]

    def with_arguments(self, changed: dict[str, Any]) -> Any:
        """Call the door with some arguments replaced, and return its result."""
        bound = self.door.signature.bind_partial()
        bound.arguments.update(self.arguments | changed)
        return self.door.call(*bound.args, **bound.kwargs)


# --- which callables are public ------------------------------------------------------------------

# Documented for readers of the code, and called with what the package has made itself.
PARTS = {
    "diffviz.compute.gradients",
    "diffviz.compute.interrupts",
    "diffviz.compute.locks",
    "diffviz.compute.sources",
    "diffviz.compute.threads",
    "diffviz.theory.atoms",
    "diffviz.theory.discretisation",
}
# Single functions of the same kind, by pattern.
INNER = (
    "data.densities.*.*",  # a Toy calls them, with tensors that it has checked
    "few_steps.maps.FlowMap.along",  # as any network, called with tensors of its own making
    "few_steps.maps.FlowMap.forward",
    "few_steps.maps.features*",  # parts of networks
    "few_steps.maps.perceptron_along",
    "few_steps.training.*_errors",  # terms of ``loss``
    "few_steps.training.clean",
    "lab.explorers.view.ViewExplorer.compute",  # written anew by each explorer
    "lab.explorers.view.ViewExplorer.opening",
    "lab.explorers.view.ViewExplorer.settled",
    "lab.explorers.view.ViewExplorer.uploaded",
    "learning.models.level",  # parts of networks
    "learning.models.linear",
    "learning.models.multiply_adds",
    "learning.models.raw_output",
    "learning.runs.Run.denoise_with",  # for torch.func, which hides values
    "learning.tracking.LossByLogSNR.all_reduce",  # needs processes that talk to each other
    "masked.schedules.logsnr_of",  # at rates that a schedule has made
    "masked.schedules.rates_at",
    "masked.worlds.messages",
    "plots.canvas.Drawing.set",  # Matplotlib's
    "plots.curves.draw_lines",
    "plots.curves.label_axes",
    "plots.curves.place_legend",
    "policy.steps.scales",
    "theory.laws.Completed",  # of a law that is checked
    "theory.laws.exceeded",  # of laws and numbers that are checked
    "theory.laws.log_density",
    "theory.laws.quantile",
    "theory.laws.is_in_gap",
    "theory.laws.probabilities",
    "theory.laws.survival",
    "sampling.trajectories.band_masks",  # parts of ``explained``
    "sampling.trajectories.explained_in",
    "sampling.solvers.*",  # steps, which ``sample`` calls
    "theory.laws.Transformed",
    "theory.laws.density",
    "theory.laws.inverted",
    "theory.laws.limit",  # checks, as those of ``diffviz.checks``
    "theory.laws.ordered",
    "theory.laws.moved",
    "theory.elbo_mixture.about",  # parts of ``share_below`` and ``verdict``
    "theory.elbo_mixture.narrow_places",
    "theory.elbo_mixture.with_ends",
    "theory.laws.check_quantiles",
    "theory.laws.stretch",
    "theory.laws.two_sided",
    "theory.multipliers.logarithm",
    "theory.paths.path_of",  # parts of the functions that make paths
    "theory.paths.rescaled_logsnr",
    "theory.paths.scheduled",
    "theory.targets.*_of_*",  # coefficients of a target, at levels that are checked
    "theory.targets.one",
    "theory.targets.speed",
    "theory.targets.zero",
    "web.description.*.from_texts",  # ``Description.from_query`` calls these
    "web.description.*.to_texts",
    "web.description.Control*",  # the part that all controls have
    "web.description.nearest_step",
    "web.bundle.module",  # files of the package, for its own pages
    "web.pictures.Packer",
    "web.pictures.as_bytes",
    "web.pictures.plain",
)


def offered() -> Iterator[tuple[Any, bool]]:
    """Everything public, and whether its methods are public, too.

    The methods of a class are where a package offers the class itself or the reference shows its
    members. A module that is documented as a whole offers its functions.
    """
    packages = [dv, *(importlib.import_module(f"diffviz.{room}") for room in rooms())]
    for package in packages:
        for name in package.__all__:
            yield getattr(package, name), True
    for page in REFERENCE:
        text = page.read_text(encoding="utf-8")
        for name in set(WHOLE_MODULE.findall(text)) - PARTS:
            for thing in own_members(importlib.import_module(name)):
                yield thing, False
        for module, name in WHOLE_CLASS.findall(text):
            yield getattr(importlib.import_module(module), name), True


def rooms() -> list[str]:
    """Names of the rooms."""
    return [room.name for room in pkgutil.iter_modules(dv.__path__) if room.ispkg]


def own_members(module: ModuleType) -> list[Any]:
    """What a module defines itself, but for private things."""
    return [
        thing
        for name, thing in vars(module).items()
        if not name.startswith("_") and getattr(thing, "__module__", None) == module.__name__
    ]


def doors_of_class(kind: type, with_methods: bool) -> Iterator[Door]:
    """Making an object, if the class checks what it is made of, and its public methods."""
    if issubclass(kind, BaseException) or getattr(kind, "_is_protocol", False):
        return
    name = f"{kind.__module__.removeprefix('diffviz.')}.{kind.__name__}"
    written = {"__post_init__"} if dataclasses.is_dataclass(kind) else {"__init__"}
    if written & vars(kind).keys():  # a plain record checks nothing
        yield made(name, partial(construct, kind), kind.__init__)
    for own, method in vars(kind).items() if with_methods else ():
        if own.startswith("_") and own != "__call__":
            continue
        if isinstance(method, classmethod):
            yield made(f"{name}.{own}", partial(of_class, method), method.__func__)
        elif inspect.isfunction(method) and len(inspect.signature(method).parameters) > 1:
            yield made(f"{name}.{own}", method, method)


def of_class(method: classmethod, kind: type, *arguments: Any, **named: Any) -> Any:
    """What a method of a class returns, for the class that was noted."""
    return method.__func__(kind, *arguments, **named)


def construct(kind: type, _self: Any, *arguments: Any, **named: Any) -> Any:
    """A new object; what was noted as ``self`` is of the call that was seen."""
    return kind(*arguments, **named)


def made(name: str, call: Callable[..., Any], function: Callable[..., Any]) -> Door:
    """The door of a function, which may be wrapped."""
    inner = inspect.unwrap(function)
    return Door(name, call, inner.__code__, inspect.signature(inner))


@cache
def doors() -> dict[str, Door]:
    """All public callables by name, without the first ``diffviz.``."""
    found = {}
    for thing, with_methods in offered():
        if not (getattr(thing, "__module__", None) or "").startswith("diffviz"):
            continue
        if inspect.isclass(thing):
            found |= {door.name: door for door in doors_of_class(thing, with_methods)}
        elif inspect.isfunction(inspect.unwrap(thing)):
            whole = f"{thing.__module__.removeprefix('diffviz.')}.{thing.__name__}"
            found[whole] = made(whole, thing, thing)
    return {
        name: door
        for name, door in found.items()
        if door.signature.parameters and not any(fnmatch(name, inner) for inner in INNER)
    }


# --- a valid call of each ------------------------------------------------------------------------


class Watch:
    """Notes the arguments of the first call of each door that is entered."""

    def __init__(self, wanted: dict[str, Door]):
        # by identity, since the code of two classes with the same fields is equal
        self.missing = {id(door.code): door for door in wanted.values()}
        self.seen: dict[str, Valid] = {}

    def note(self, frame: Any) -> None:
        """Note the arguments of a call of a door that is missing."""
        door = self.missing.pop(id(frame.f_code))
        names = door.signature.parameters
        values = {name: frame.f_locals[name] for name in names if name in frame.f_locals}
        # less what stands for a field that a dataclass makes itself, and that nobody passes
        factory = dataclasses._HAS_DEFAULT_FACTORY
        values = {name: value for name, value in values.items() if value is not factory}
        self.seen[door.name] = Valid(door, values)

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Look at each call that is made meanwhile."""
        missing = self.missing

        def look(frame: Any, event: str, _: Any) -> None:
            # a plain function, and short, since Python calls it at each call and each return
            if event == "call" and id(frame.f_code) in missing:
                self.note(frame)

        before = sys.getprofile()
        sys.setprofile(look)
        try:
            yield
        finally:
            sys.setprofile(before)


def run_rows() -> Iterator[Callable[[], Any]]:
    """The rows of the tables of doors."""
    import more_calls
    import room_doors
    import test_doors

    yield from more_calls.CALLS
    for entry in test_doors.DOORS.values():
        yield entry.call
    for call in room_doors.ROWS.values():
        yield partial(call, "cpu")


@contextlib.contextmanager
def nothing_kept() -> Iterator[None]:
    """Forget what earlier calls have kept, in memory and on disk, so that all calls are seen."""
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] in {"diffviz", "more_calls", "room_doors", "test_doors"}:
            forget(module)
    kept = os.environ.get("DIFFVIZ_CACHE")
    os.environ["DIFFVIZ_CACHE"] = str(Path(folder()) / "results")
    try:
        yield
    finally:
        os.environ.pop("DIFFVIZ_CACHE")
        if kept is not None:
            os.environ["DIFFVIZ_CACHE"] = kept


def forget(module: ModuleType) -> None:
    """Clear what the cached functions of a module keep."""
    for value in list(vars(module).values()):
        if callable(getattr(value, "cache_clear", None)):
            value.cache_clear()


@cache
def folder() -> str:
    """The folder of the files that valid calls read and write; it goes with the process."""
    kept = tempfile.TemporaryDirectory(prefix="valid-calls-")
    atexit.register(kept.cleanup)
    return kept.name


@cache
def valid_calls() -> dict[str, Valid]:
    """A valid call of each public callable for which one is known."""
    watch = Watch(doors())
    with nothing_kept(), contextlib.chdir(folder()):
        for row in run_rows():
            with watch.watching():
                row()
    return {name: watch.seen[name] for name in sorted(watch.seen)}
