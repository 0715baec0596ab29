"""The measurement: run a training loss on recorded draws and read what it weights.

For a squared loss c |out - target|^2 the gradient at the network's output is h (out - target), h =
2 c. A stand-in for the network sees z = alpha x + sigma eps and takes this gradient. With data and
noise switched on and off, three runs give alpha, sigma, target = a x + b eps and h of each draw
exactly; see ``coefficients``. From these follow

    gain = |b - a sigma/alpha|,    factor = h/2 gain^2 on the eps squared error,
    w(λ) = 2 factor p(λ),          λ = log(alpha^2/sigma^2).

Draws of a number or so per sample (times) are replaced by quantiles at evenly spread
probabilities, so that p(λ) is the derivative of a quantile function and carries no noise; see
``draws``. What the method assumes is checked, and what fails is said in ``Measured.notes``.
"""

import math
import operator
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from tqdm.auto import tqdm

from diffviz.checks import attribute, count, number, one_of, require, tensor, torch_generator
from diffviz.compute import gradients, threads
from diffviz.data.streams import examples
from diffviz.data.toys import Toy
from diffviz.probing.augmentation import NOTE as AUGMENTED
from diffviz.probing.augmentation import is_misplaced, read_augmented
from diffviz.probing.coefficients import (
    Coefficients,
    ErrorSize,
    LeastError,
    Method,
    averaged,
    common_target,
    joined,
    level_of,
    read,
)
from diffviz.probing.counters import Counters, is_set_up
from diffviz.probing.coupling import without_common_factors
from diffviz.probing.draws import REPLICATES
from diffviz.probing.evenness import (
    ALL,
    Evenness,
    are_quantiles,
    is_uneven,
    note_on_levels,
    share_of_chance,
)
from diffviz.probing.first_look import FirstLook, look
from diffviz.probing.measured import Measured
from diffviz.probing.outside import attributes_of, bound_to, helpers_of, values_of
from diffviz.probing.reading import conclude
from diffviz.probing.session import OF_THE_PROBE, Session
from diffviz.probing.standin import NamedOutput, Selector, StandIn, network_for, selector_of_z

FEWEST_DRAWS = 100
MAX_SCAN = 2000  # draws where each costs a call of the loss, or many
NUMBERS_A_CALL = 2**20  # size of a batch in numbers, where it is free
MEMORY_TO_KEEP = 2**25 - 2**14  # bytes; the C library of Linux learns from no block above 2**25
CALLS = 100  # over which draws are spread, so that choices made once a batch are averaged
CALLS_OF_A_BISECTION = 25
LEAST_BATCH = 16
SAMPLES_OF_A_LEVEL = 32  # in one call, where their weights differ
FIRST_LOOK = 32  # samples of the first look
WAIT = 5  # seconds after which a bar shows the progress
FEWEST_OF_A_NOTE = 8  # calls from which on they are compared
POINTS_OF_A_TOY = 4096
SPREAD = 0.05  # deviation between calls of the mean rank of their levels that is no chance


@dataclass(frozen=True)
class Plan:
    """How many calls a measurement makes, and of what size.

    Attributes:
        draws: Number of draws.
        batch: Number of draws in a call.
        averaged: The draws of a call have one level, and their mean counts as one draw.
    """

    draws: int
    batch: int
    averaged: bool = False

    @property
    def calls(self) -> int:
        """Number of calls; the last may go beyond the number of draws."""
        return -(-self.draws // self.batch)

    @property
    def samples(self) -> int:
        """Number of draws that are read, a call of one level being one."""
        return self.calls if self.averaged else self.calls * self.batch

    @property
    def order(self) -> NDArray:
        """Order in which the calls are made, shape (calls,): none that a counter could follow."""
        return np.random.default_rng(0).permutation(self.calls)


def _work(loss: Any = None, x: Any = None, *, batch: Any = None, **options: Any) -> float:
    """Multiply-adds of the largest operation of a loss on a batch; see ``compute.threads``."""
    if isinstance(x, Toy):
        x = torch.empty(1, *x.shape)
    if not isinstance(x, Tensor) or x.device.type != "cpu":
        return math.inf
    numbers = math.prod(x.shape[1:])
    given = isinstance(batch, int)
    return threads.ELEMENT * (batch * numbers if given else max(numbers, NUMBERS_A_CALL))


@threads.decided_by(_work)
def probe(
    loss: Callable[..., Any],
    x: Tensor | np.memmap | Toy | Iterable[Any],
    *,
    inputs: Selector | None = None,
    output: str | Callable[[Tensor], Any] | None = None,
    model: nn.Module | str | None = None,
    call: int = -1,
    scale: float | None = None,
    draws: int = 20_000,
    batch: int | None = None,
    mode: Literal["stratified", "as-is"] = "stratified",
    generator: torch.Generator | None = None,
    error: float | Literal["mmse"] | Callable[[NDArray], ArrayLike] | None = None,
    loss_key: str | None = None,
    progress: bool = True,
) -> Measured:
    """Measure what a training loss optimises: path, target, density and weighting.

    The loss is run with a stand-in for its network. Network, modes and random states are as before
    afterwards, whatever happens.

    Args:
        loss: ``loss(model, x)``, or ``loss(x)`` where ``model`` is a name. It returns a tensor
            with one number, one for each sample or one for each component; bare, first in a tuple
            or under "loss".
        x: Example data as the loss takes them, a floating-point tensor of shape (any number, ...)
            with at least 2 numbers a sample. They are used in turn. A toy or mixture serves
            too, a memory-mapped array of floating point, and so do batches, such as those of a
            torch ``DataLoader`` or a generator: tensors, tuples (x, label) or mappings. No more
            than the first 2²⁴ numbers are used, and of batches the first 20,000 samples.
        inputs: Which of the network's arguments is z: position, keyword, or a function of the
            arguments. By default it is the first of the size of x.
        output: How the network answers: a name, for losses that read ``out.sample``,
            ``out["sample"]`` or ``out[0]``, or a function of the plain tensor. By default it is
            learned from one run of the forward of the model that is given, or a plain tensor.
        model: The network that the loss gets, whose attributes are read and whose forward is
            replaced for the while, or its dotted name in the loss. By default it is an empty
            module.
        call: Which of several calls of the network with gradients is probed; -1 is the last.
        scale: Factor by which the loss multiplies x before noise is added. By default it is found
            where that is possible, such as for x -> 2x - 1.
        draws: Number of draws, at least 100.
        batch: Number of draws in a call. By default it is as memory allows; give it where the loss
            fixes it.
        mode: "stratified", or "as-is" for the loss's own random numbers.
        generator: Seeds the draws; by default they are always the same.
        error: Root mean square error of a component of the target at which a loss that is not
            squared is read: a number, or a function of log-SNR. "mmse" is the error of the ideal
            denoiser, where x is a toy or mixture. By default it is 0.1.
        loss_key: Name of the loss in the dict or object that the loss returns. By default it is
            "loss".
        progress: Whether a probe of more than 5 s shows a bar with the time that it still takes.

    Returns:
        The measurement, draw by draw.

    Raises:
        TypeError: The loss, the data or a setting is of the wrong kind.
        ValueError: The loss cannot be probed, or a setting is out of range. The message says what
            to change.
    """
    size = _error_size(error, x)
    data: Tensor = _points(x) if isinstance(x, Toy) else examples(x)
    _check_loss_and_data(loss, data)
    x = data.detach()
    call = _whole_number(call, "call")
    draws = count(draws, "draws", least=FEWEST_DRAWS)
    batch = None if batch is None else count(batch, "batch")
    scale = _checked_scale(scale)
    stratified = _is_stratified(mode)
    progress = one_of(progress, "progress", (False, True))
    wrap = _wrapper_of(output)
    network = network_for(loss, model, x)
    session = Session(
        loss if isinstance(model, str) else partial(loss, network),
        x,
        StandIn(
            selector_of_z(inputs, x),
            wrap,
            call,
            numbers=x[0].numel(),
            forward=None if model is None or wrap is not None else network.forward,
        ),
        seed=_seed_from(generator),
        stratified=stratified,
        bit_generators=_bit_generators(loss),
        counters=Counters(loss),
        loss_key=loss_key,
    )
    _keep_freed_memory()
    with _borrowed(network, _modules(network, loss), session):
        first_batch = batch or min(draws, FIRST_LOOK, max(1, NUMBERS_A_CALL // x[0].numel()))
        first_look = _look(session, first_batch, size)
        plan = _plan(first_look, x, draws, batch)
        reading = _measure(session, first_look, plan, progress=progress)
    measured = conclude(
        reading.first_look,
        reading.coefficients,
        stratified=stratified and reading.evenly,
        scale=scale,
    )
    return _with_notes_on_calls(
        measured, reading, plan, stratified=stratified, given=batch is not None
    )


def _look(session: Session, batch: int, error: ErrorSize | LeastError | None) -> FirstLook:
    """A first look; where noise grows with the data, one sample stands for all from then on."""
    first_look = look(session.chunk(0, 1, batch), error)
    if not first_look.known.grows_with_data or len(session.x) == 1:
        return first_look
    session.x = session.x[:1]  # so that the noise has one unit
    return look(session.chunk(0, 1, batch), error)


def _with_notes_on_calls(
    measured: Measured, reading: "Reading", plan: Plan, *, stratified: bool, given: bool
) -> Measured:
    """The same with what its levels have in common, or not, in and between calls."""
    first_look = reading.first_look
    if first_look.one_level:
        measured = _of_whole_calls(measured, plan)
    assumptions = first_look.assumptions
    evenness = Evenness(
        fits=reading.fits,
        loose=reading.loose or not reading.evenly,
        estimated=assumptions.external_noise or assumptions.estimated_noise,
        lost=measured.samples < plan.samples,
    )
    is_known = stratified and not first_look.assumptions.external_noise  # sigma is estimated there
    measured = _with_scatter(measured, plan, evenness, stratified=is_known)
    if first_look.one_level:
        return measured
    note = _note_on_batches(measured, first_look, plan, given=given)
    return replace(measured, notes=(*measured.notes, note)) if note else measured


def _note_on_batches(measured: Measured, first_look: FirstLook, plan: Plan, *, given: bool) -> str:
    """Says what a batch has in common, or what differs between batches; empty where nothing."""
    if first_look.coupling.by_levels:
        return _note_on_normalised_weights(plan, given=given)
    note = _note_on_calls(measured, plan)
    return note if note or given else _note_on_batch(measured, plan)


@dataclass(frozen=True)
class Reading:
    """What all calls tell.

    Attributes:
        coefficients: Those of all draws.
        evenly: Whether quantiles were put in the place of any draw.
        fits: Whether numbers were drawn for all samples, or for equal parts of them.
        loose: Whether levels depend on draws that were not put in even order, or some of these were
            left out.
        first_look: The first look, with what further calls showed.
    """

    coefficients: Coefficients
    evenly: bool
    fits: bool
    loose: bool
    first_look: FirstLook


def _measure(session: Session, first_look: FirstLook, plan: Plan, *, progress: bool) -> Reading:
    """Read the coefficients of all draws.

    A call whose data are elsewhere than in the first look is read by their places of its own.
    """
    parts = []
    times: set[int] = set()
    assumptions = first_look.assumptions
    evenly = False
    fits = True
    augmented = False
    dropped = 0.0
    found = True
    silent = not progress
    bar = tqdm(plan.order, desc="probe", unit="call", delay=WAIT, leave=False, disable=silent)
    for index in bar:
        chunk = session.chunk(
            int(index),
            plan.calls,
            plan.batch,
            first_look.known,
            independent=first_look.coupling.by_levels,
        )
        part = read(chunk, assumptions)
        assumptions = replace(assumptions, guess=common_target(part))
        if found and is_misplaced(part, first_look.tolerance):
            other = read_augmented(chunk, assumptions, first_look.tolerance)
            found = other is not None
            augmented = augmented or found
            part = part if other is None else other[0]
        evenly = evenly or chunk.draws.has_even_times
        rows = len(part.alpha) // len(np.unique(part.group))
        fits = fits and chunk.draws.fits(rows)
        times.add(chunk.draws.times)
        if plan.averaged:
            dropped += float((~np.isfinite(level_of(part))).mean())
            part = averaged(part)
        parts.append(part)
    coefficients = joined(parts)
    if first_look.coupling.common:
        call = coefficients.order % plan.calls
        h = without_common_factors(coefficients.h, level_of(coefficients), call)
        coefficients = replace(coefficients, h=h)
    first_look = _with_notes_on_data(first_look, dropped / plan.calls, augmented=augmented)
    loose = first_look.loose or len(times) > 1
    return Reading(coefficients, evenly, fits, loose, first_look)


def _with_notes_on_data(first_look: FirstLook, share: float, *, augmented: bool) -> FirstLook:
    """Says that data were moved, and that a share was left out of the means of calls."""
    if augmented and AUGMENTED not in first_look.notes:
        first_look = replace(first_look, notes=(*first_look.notes, AUGMENTED))
    if not share:
        return first_look
    note = (
        f"in {share:.2g} of the samples data or noise do not reach the network (dropped at "
        "random?): path, target and w are those of the others"
    )
    return replace(first_look, notes=(*first_look.notes, note), inexact=True)


def _of_whole_calls(measured: Measured, plan: Plan) -> Measured:
    """The same, where the draws of a call count as one, since they have one level."""
    parts = tuple(_of_whole_calls(part, plan) for part in measured.parts)
    return replace(measured, order=measured.order % plan.calls, parts=parts)


def _with_scatter(
    measured: Measured, plan: Plan, evenness: Evenness, *, stratified: bool
) -> Measured:
    """The same with the share of chance in its levels, and a note where they are uneven.

    Args:
        measured: The measurement.
        plan: How many calls it made.
        evenness: What is known of the numbers that levels are made of.
        stratified: Whether levels were to be put in even order.
    """
    parts = tuple(
        _with_scatter(part, plan, evenness, stratified=stratified) for part in measured.parts
    )
    share = share_of_chance(measured, plan.calls)
    measured = replace(measured, residuals={**measured.residuals, "levels": share}, parts=parts)
    if not stratified:
        return measured
    if are_quantiles(measured):
        return replace(measured, stratified=True)
    if not is_uneven(share, measured.samples, evenness):
        return measured
    notes = (*measured.notes, note_on_levels(measured, share, evenness))
    if not evenness.is_sampled:
        return replace(measured, notes=notes)
    return replace(measured, stratified=False, sampled=measured.exact, exact=False, notes=notes)


def _note_on_normalised_weights(plan: Plan, *, given: bool) -> str:
    """Says for what batches the curve holds, where weights are normalised over the batch."""
    size = f"of {plan.batch}, as given" if given else f"of {plan.batch}; give your own as batch="
    return (
        "weights are normalised over the batch: that of a sample depends on what is drawn for the "
        "others (levels, masks), and its mean on the size of the batch; the curve is that of "
        f"batches {size}"
    )


def _note_on_batch(measured: Measured, plan: Plan) -> str:
    """Says that every call has the same levels, one for each sample; empty where it has not."""
    levels = len(np.unique(measured.label))
    if plan.calls < FEWEST_OF_A_NOTE or levels != plan.batch:
        return ""
    return (
        f"all calls have the same {levels} levels, as many as samples (spread evenly over the "
        "batch?): another batch size has others; give your own as batch="
    )


def _note_on_calls(measured: Measured, plan: Plan) -> str:
    """Says that calls of the loss draw different levels; empty where they do not."""
    rank = np.argsort(np.argsort(measured.logsnr)) / len(measured.logsnr)
    call = np.argsort(plan.order)[measured.order % plan.calls]
    drawn = np.bincount(call, minlength=plan.calls)
    if plan.calls < FEWEST_OF_A_NOTE or plan.batch < LEAST_BATCH or not drawn.all():
        return ""
    means = np.bincount(call, rank) / drawn
    widths = np.bincount(call, np.abs(rank - 0.5)) / drawn
    by_chance = 1 / np.sqrt(12 * min(plan.batch, drawn.mean()))
    share = measured.residuals["levels"]
    is_whole = measured.stratified and drawn.mean() >= plan.batch  # a part of even ones is not even
    by_chance *= 1.0 if not is_whole else np.sqrt(share) if share < ALL else 0.0
    allowed = SPREAD + 2 * by_chance
    if np.std(means) < allowed and np.std(widths) < allowed / 2:
        return ""
    place = np.arange(plan.calls)
    if abs(np.corrcoef(place, means)[0, 1]) > 0.7:
        return (
            f"levels drift with the number of calls (a counter?): this is the mean over the first "
            f"{plan.calls} calls"
        )
    return (
        "levels differ between calls of the loss (something is chosen once a batch): this is the "
        f"mean over {plan.calls} calls"
    )


# Plan --------------------------------------------------------------------------------------------


def _free_batch(x: Tensor, draws: int) -> int:
    """Size of a batch where the caller fixes none."""
    spread = max(LEAST_BATCH, draws // CALLS)
    return min(draws, spread, max(1, NUMBERS_A_CALL // x[0].numel()))


def _plan(first_look: FirstLook, x: Tensor, draws: int, batch: int | None) -> Plan:
    """Number of draws and size of a batch, by what a draw costs."""
    size = batch or _free_batch(x, draws)
    if first_look.one_level:
        size = batch or (SAMPLES_OF_A_LEVEL if first_look.scatters else 1)
        return Plan(min(draws, MAX_SCAN) * size, size, averaged=batch is None and size > 1)
    elif first_look.assumptions.method is Method.BISECTION:
        draws = min(draws, MAX_SCAN)
        size = batch or min(size, MAX_SCAN // CALLS_OF_A_BISECTION)
    if first_look.coupling.by_levels:  # replicates of whole calls tell the error
        size = size if batch else _even_size(draws, size)
        calls = REPLICATES * -(-draws // (REPLICATES * size))
        return Plan(calls * size, size)
    return Plan(draws, size if batch else _even_size(draws, size))


def _even_size(draws: int, size: int) -> int:
    """A batch that divides the number of draws, if there is one of at least a third of the size."""
    divisor = max(k for k in range(1, size + 1) if draws % k == 0)
    return divisor if 3 * divisor > size else size


# Checks of the input -----------------------------------------------------------------------------


def _check_loss_and_data(loss: Any, x: Any) -> None:
    """Refuse a loss that is not callable, and data from which nothing can be read."""
    require(
        callable(loss),
        f"loss must be callable as loss(model, x), got {type(loss).__name__}",
        TypeError,
    )
    kind = f"{type(x).__name__} {attribute(x, 'dtype', '')}".rstrip()
    require(
        isinstance(x, Tensor) and x.is_floating_point(),
        f"x must be a floating-point tensor of example data, got {kind}; "
        "torch.as_tensor(x).float() makes one of real numbers, and for tokens dv.probe_masked "
        "measures losses of masked diffusion",
        TypeError,
    )
    require(
        x.ndim > 1 and len(x) > 0 and x[0].numel() > 1,
        "x must be a batch with at least 2 numbers a sample, got shape "
        f"{tuple(x.shape)}; for scalars give (n, 8)",
    )
    tensor(x, "x")
    zeros = ~x.flatten(1).any(1)
    require(
        not zeros.any(),
        f"x must have no sample of zeros alone, got {int(zeros.sum())} of {len(x)}: alpha is read "
        "off the data; drop these samples",
    )


def _whole_number(value: Any, name: str) -> int:
    """A whole number of any sign."""
    require(
        isinstance(value, (int, np.integer)) and not isinstance(value, bool),
        f"{name} must be a whole number, got {value!r}",
        TypeError,
    )
    return operator.index(value)


def _checked_scale(scale: Any) -> float | None:
    """The factor of the data, any finite number but 0, or None."""
    if scale is None:
        return None
    factor = number(scale, "scale")
    require(factor != 0, "scale must not be 0; leave it out to have it found")
    return factor


def _is_stratified(mode: str) -> bool:
    """Whether times are replaced by quantiles of their law."""
    require(
        mode in ("stratified", "as-is"),
        f"mode must be 'stratified' or 'as-is', got {mode!r}",
    )
    return mode == "stratified"


def _wrapper_of(output: Any) -> Callable[[Tensor], Any] | None:
    """The function that turns a plain tensor into what the loss expects of its network."""
    if output is None or callable(output):
        return output
    require(
        isinstance(output, str),
        f"output must be a name or a function of the plain tensor, got {output!r}",
        TypeError,
    )
    return NamedOutput(output)


def _points(toy: Toy) -> Tensor:
    """Points of data that are known by their density."""
    generator = torch.Generator().manual_seed(OF_THE_PROBE)
    size = max(1, min(POINTS_OF_A_TOY, NUMBERS_A_CALL // math.prod(toy.shape)))
    return toy.sample(size, generator).float()


def _error_size(error: Any, data: Any) -> ErrorSize | LeastError | None:
    """The size of the error as a function of log-SNR; None where it is not given."""
    if error is None:
        return None
    if isinstance(error, str):
        return _least_error(error, data)
    if callable(error):
        return _CheckedSize(error)
    size = number(error, "error", low=0)
    require(size > 0, f"error must be above 0, got {size}")
    return _CheckedSize(lambda logsnr: np.full_like(logsnr, size))


def _least_error(error: str, data: Any) -> LeastError:
    """The error of the ideal denoiser for data whose own is known."""
    require(error == "mmse", f"error must be a number, a function or 'mmse', got {error!r}")
    require(
        isinstance(data, Toy),
        f"error='mmse' needs data whose least error is known, got {type(data).__name__}: give a "
        "toy or mixture as x, such as dv.toy('ring8'), or a function of log-SNR as error",
    )
    return LeastError(_RootMeanSquare(data))


@dataclass(frozen=True)
class _RootMeanSquare:
    """Least error of a component of eps of data with a known density."""

    toy: Toy

    def __call__(self, logsnr: NDArray) -> NDArray:
        total = self.toy.mmse(logsnr)
        return np.sqrt(np.asarray(total) / math.prod(self.toy.shape))


@dataclass(frozen=True)
class _CheckedSize:
    """A function of log-SNR whose values are positive."""

    function: Callable[[NDArray], ArrayLike]

    def __call__(self, logsnr: NDArray) -> NDArray:
        size = np.asarray(self.function(logsnr), float)
        require(
            np.isfinite(size).all() and (size > 0).all(),
            f"error must give positive numbers for all log-SNR, got {size.min()}",
        )
        return size


def _keep_freed_memory() -> None:
    """Let the C library keep the memory of freed tensors for the next ones.

    By default it gives blocks of this size back to the system, which then hands out the same pages
    again, filled with zeros: a quarter of the time of a probe. The size of the largest block that
    was ever freed is the size up to which it keeps blocks. No page of this one is touched.
    """
    torch.empty(MEMORY_TO_KEEP, dtype=torch.uint8, device="cpu")


def _seed_from(generator: Any) -> int:
    """A seed drawn from a generator, or 0 where there is none."""
    if generator is None:
        return 0
    torch_generator(generator)
    return int(torch.randint(2**31, (), generator=generator, device=generator.device))


# What is borrowed and put back -------------------------------------------------------------------


class _StateOf:
    """The state of a generator that has two functions for it, as an attribute."""

    def __init__(self, read: Callable[[], Any], write: Callable[[Any], Any]):
        """Hold both.

        Args:
            read: Returns the state.
            write: Sets it.
        """
        self._read = read
        self._write = write

    @property
    def state(self) -> Any:
        """The state as it is now."""
        return self._read()

    @state.setter
    def state(self, value: Any) -> None:
        self._write(value)


def _bit_generators(loss: Callable) -> list[Any]:
    """What holds the states of the generators of NumPy and of ``random`` that the loss reaches.

    It may use a method of one, or a function that does so. The hidden generators of both modules
    are left out, since the probe sets these itself.
    """
    values = [one for part in (loss, *helpers_of(loss)) for one in values_of(part)]
    attributes = attributes_of(values)
    values += attributes + attributes_of(attributes)
    owners = map(bound_to, values)
    found = {id(one): one for one in owners}
    for own in (random.random, np.random.rand):
        found.pop(id(bound_to(own)), None)
    holders = map(_holder_of_state, found.values())
    return [holder for holder in holders if holder is not None]


def _holder_of_state(value: Any) -> Any:
    """What has the state of a generator as an attribute; None where a value is no generator."""
    if isinstance(value, np.random.Generator):
        return value.bit_generator
    if isinstance(value, np.random.RandomState):
        return _StateOf(value.get_state, value.set_state)
    if isinstance(value, random.Random) and not isinstance(value, random.SystemRandom):
        return _StateOf(value.getstate, value.setstate)
    return None


def _modules(network: nn.Module, loss: Callable) -> list[nn.Module]:
    """The modules that the loss reaches and may switch between training and evaluation."""
    values = values_of(loss)
    reachable = [network, loss, *values, *attributes_of(values)]
    return [value for value in reachable if is_set_up(value)]


@contextmanager
def _borrowed(network: nn.Module, modules: Sequence[nn.Module], session: Session) -> Iterator[None]:
    """Let the stand-in answer for the network; afterwards put everything back, whatever happens."""
    with ExitStack() as undo:
        undo.callback(_put_back_generators, session)
        undo.callback(np.random.set_state, np.random.get_state())  # noqa: NPY002
        undo.callback(random.setstate, random.getstate())
        for bits in session.bit_generators:
            undo.callback(setattr, bits, "state", bits.state)
        for module in modules:
            for part in module.modules():
                undo.callback(setattr, part, "training", part.training)
        undo.callback(_put_back_forward, network, network.__dict__.get("forward"))
        network.__dict__["forward"] = session.standin
        if session.counters:
            taken = session.counters.take()
            undo.callback(session.counters.put_back, taken, keep_new=True)
        undo.enter_context(session.interceptor.installed())
        undo.enter_context(torch.random.fork_rng())
        undo.enter_context(gradients.recorded())
        yield


def _put_back_generators(session: Session) -> None:
    """Set torch's generators that the loss drew from to the state in which they were met."""
    for generator, state in session.generator_states.items():
        generator.set_state(state)


def _put_back_forward(network: nn.Module, forward: Any) -> None:
    """Give a network its own forward again, or that of its class."""
    if forward is None:
        del network.__dict__["forward"]
    else:
        network.__dict__["forward"] = forward
