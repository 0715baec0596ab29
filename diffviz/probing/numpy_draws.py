"""Interception of the draws that a loss makes by NumPy, SciPy and Python's ``random``.

NumPy's legacy functions all draw from one hidden ``RandomState``, and so do SciPy's laws unless
they are told otherwise. While a loss runs, that object is replaced by one that answers from a
record, and so are the generators that ``numpy.random.default_rng()`` makes inside the loss. Times
among these draws become quantiles of their law, as those of torch do.

Python's ``random`` cannot be replaced in code that has imported its functions. But its state can be
set: the next 624 words of a Mersenne Twister are its state itself, slightly scrambled. Each of the
first numbers that a call of the loss draws with it is thus even over the calls, and so are lists of
such numbers. ``random.sample`` and ``random.shuffle`` are answered from the record.
"""

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from diffviz.checks import require
from diffviz.probing.draws import (
    Axes,
    Batch,
    Draws,
    RandomCall,
    Role,
    classify,
    may_be_levels,
    repeated,
    rows_of,
)
from diffviz.probing.quantiles import NUMPY_QUANTILES, distinct

WITHOUT_REPLACEMENT = frozenset({"permutation", "choice", "sample"})
OF_ALL = frozenset({"permutation", "shuffle"})  # their draws hold each number of the pool
SCRAMBLER = "scipy.stats._qmc"
NORMAL_OF_NUMPY = frozenset({"standard_normal", "normal"})
WORDS = 624  # words in the state of a Mersenne Twister
# of a Kronecker sequence; neither it nor 10 times it is one of the times
STEP_OF_RANDOM = np.sqrt(43)


@dataclass(frozen=True)
class RecordedArray:
    """A draw of NumPy's as it is replayed.

    Attributes:
        function: Name of the function that made it.
        value: An array or a number.
        is_time: Whether it is a time.
        is_noise: Whether it is noise; then it is among the draws of torch, and can be off.
    """

    function: str
    value: Any
    is_time: bool = False
    is_noise: bool = False


class NumpyDraws:
    """The draws of NumPy's functions on one batch, recorded once and then replayed."""

    def __init__(self, batch: Batch, axes: Axes | None, draws: Draws | None = None):
        """Prepare to record.

        Args:
            batch: The data and their place among all batches.
            axes: Probabilities for the times; None leaves the times as they were drawn.
            draws: The draws of torch on the same batch, which noise is added to; None leaves noise
                always on.
        """
        self._batch = batch
        self._axes = axes
        self._draws = draws
        self._recorded: list[RecordedArray] = []
        self._position = 0

    def rewind(self) -> None:
        """Start the next run of the loss."""
        self._position = 0

    def answer(self, call: RandomCall, function: Callable[..., Any]) -> Any:
        """Answer a call from the record.

        Args:
            call: The call.
            function: What makes the draw where none is recorded.

        Returns:
            A copy of the recorded numbers.

        Raises:
            ValueError: The loss draws otherwise than before.
        """
        if self._position == len(self._recorded):
            drawn = function(*call.args, **call.kwargs)
            self._recorded.append(self._record(call, drawn))
        draw = self._recorded[self._position]
        self._position += 1
        require(
            draw.function == call.function,
            f"the loss draws numpy's {draw.function} once and {call.function} the next time with "
            "the same seed: it cannot be replayed",
        )
        if draw.is_noise and self._draws is not None:
            value = self._draws.replay(call)
            return value.numpy().astype(draw.value.dtype).reshape(draw.value.shape)
        return draw.value.copy() if isinstance(draw.value, np.ndarray) else draw.value

    @contextmanager
    def repeating_levels(self, kept: int) -> Iterator[None]:
        """Give all samples from one on the times of the first one, for the while.

        Args:
            kept: Number of samples that keep their times.
        """
        before = self._recorded
        self._recorded = [self._repeated(draw, kept) for draw in before]
        try:
            yield
        finally:
            self._recorded = before

    def _repeated(self, draw: RecordedArray, kept: int) -> RecordedArray:
        """A time whose rows from one on are like the first; any other draw as it is."""
        if not (draw.is_time and isinstance(draw.value, np.ndarray)):
            return draw
        values = repeated(torch.from_numpy(draw.value), kept, len(self._batch.x))
        return replace(draw, value=values.numpy())

    def _record(self, call: RandomCall, drawn: Any) -> RecordedArray:
        """A draw, with quantiles of the call's law in the place of a time."""
        if call.function in WITHOUT_REPLACEMENT | OF_ALL:
            return self._record_without_replacement(call, drawn)
        numbers = torch.from_numpy(np.array(drawn, dtype=np.float64, ndmin=0))
        if self._draws is not None and isinstance(drawn, np.ndarray):
            numbers = self._draws.known.noise(call, numbers, self._batch.x)
            drawn = numbers.numpy().astype(drawn.dtype)
        if self._draws is not None and self._is_noise(call, numbers):
            self._draws.add_noise(call, numbers)
            return RecordedArray(call.function, drawn, is_noise=True)
        is_time = classify(call, numbers, self._batch.x) is Role.TIME
        if is_time and self._axes is not None and not self._axes.used_up(numbers.numel()):
            drawn = self._evened(call, drawn, numbers, self._axes)
        return RecordedArray(call.function, drawn, is_time)

    def _is_noise(self, call: RandomCall, numbers: torch.Tensor) -> bool:
        """Whether a draw is normal and as large as the data, and can be switched off."""
        can_be_off = self._draws is not None and not self._draws.known.always_on
        is_normal = call.function in NORMAL_OF_NUMPY
        return can_be_off and is_normal and numbers.numel() == self._batch.x.numel()

    def _record_without_replacement(self, call: RandomCall, drawn: Any) -> RecordedArray:
        """A draw of which no number comes twice, with even levels at its start."""
        x = self._batch.x
        pool = call.args[0] if call.args else call.kwargs["a"]
        values = np.arange(pool) if isinstance(pool, (int, np.integer)) else np.asarray(pool)
        taken = np.size(drawn)
        whole = call.function in OF_ALL
        is_time = may_be_levels(taken, x) if whole else taken == len(x) <= len(values)
        if is_time and self._axes is not None and not self._axes.used_up(len(x)):
            u = self._axes.probabilities((len(x),), len(x))
            drawn = values[distinct(u, len(values), self._batch.seed)[:taken]]
        return RecordedArray(call.function, np.asarray(drawn), is_time)

    def _evened(self, call: RandomCall, drawn: Any, numbers: torch.Tensor, axes: Axes) -> Any:
        """Quantiles of the call's law in the shape and type of a draw."""
        u = axes.probabilities(numbers.shape, rows_of(numbers, self._batch.x))
        value = NUMPY_QUANTILES[call.function](u, *call.args, **call.kwargs)
        if isinstance(drawn, np.ndarray):
            return np.asarray(value).astype(drawn.dtype).reshape(drawn.shape)
        return type(drawn)(np.asarray(value).item())


class Interceptor:
    """What stands in the place of NumPy's sources of random numbers while a loss runs.

    Attributes:
        draws: The record that answers; it changes from batch to batch.
    """

    def __init__(self) -> None:
        self.draws: NumpyDraws | None = None
        self._legacy = _intercepting(np.random.RandomState, self)(0)
        self._generator = _intercepting(np.random.Generator, self)
        self._hidden: Any = None
        self._made = 0
        self._seed = 0

    def reset(self, draws: NumpyDraws, seed: int) -> None:
        """Start the next run of the loss.

        Args:
            draws: The record of its batch.
            seed: Seed of the generators that the loss makes.
        """
        self.draws = draws
        if self._hidden is not None:  # laws of SciPy that were made before may still draw from it
            self._hidden.seed(seed % 2**32)
        self._seed = seed
        self._made = 0

    def default_rng(self, seed: Any = None) -> np.random.Generator:
        """A generator, of recorded draws unless the loss gives it a seed.

        Args:
            seed: As NumPy takes it.

        Returns:
            The generator.
        """
        if seed is not None:
            return self._plain_rng(seed)
        self._made += 1
        if sys._getframe(1).f_globals.get("__name__") == SCRAMBLER:  # its bits are no times
            return self._plain_rng([self._seed, self._made])
        return self._generator(np.random.PCG64([self._seed, self._made]))

    def _sampler(self, plain: Callable[..., list]) -> Callable[..., list]:
        """``random.sample`` that answers from the record."""

        def sample(population: Any, k: int, **kwargs: Any) -> list:
            if self.draws is None or kwargs or not len(population):
                return plain(population, k, **kwargs)
            places = range(len(population))
            call = RandomCall("sample", (len(population), k), {})
            drawn = self.draws.answer(call, lambda *_: np.array(plain(places, k), dtype=int))
            return [population[place] for place in drawn]

        return sample

    def _shuffler(self, plain: Callable[[Any], None]) -> Callable[[Any], None]:
        """``random.shuffle`` that answers from the record."""

        def shuffled_places(total: int) -> NDArray:
            places = list(range(total))
            plain(places)
            return np.array(places, dtype=int)

        def shuffle(items: Any) -> None:
            if self.draws is None or not len(items):
                return plain(items)
            call = RandomCall("shuffle", (len(items),), {})
            drawn = self.draws.answer(call, shuffled_places)
            items[:] = [items[place] for place in drawn]

        return shuffle

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Record no draws for the while, as those that a recorded draw is made of.

        It also decorates a function, whose own draws are then not recorded.
        """
        before = self.draws
        self.draws = None
        try:
            yield
        finally:
            self.draws = before

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Replace NumPy's sources for the while."""
        module = np.random
        hidden = module.mtrand._rand  # type: ignore[attr-defined]
        self._plain_rng = module.default_rng
        with ExitStack() as undo:
            for name in dir(module):
                function = getattr(module, name)
                if getattr(function, "__self__", None) is hidden:
                    undo.callback(setattr, module, name, function)
                    setattr(module, name, getattr(self._legacy, name))
            undo.callback(setattr, module.mtrand, "_rand", hidden)
            undo.callback(setattr, module, "default_rng", module.default_rng)
            for law in vars(stats).values():
                if getattr(law, "_random_state", None) is hidden:
                    undo.callback(setattr, law, "_random_state", hidden)
                    law._random_state = self._legacy
            undo.callback(setattr, random, "sample", random.sample)
            random.sample = self._sampler(random.sample)  # type: ignore[assignment]
            undo.callback(setattr, random, "shuffle", random.shuffle)
            random.shuffle = self._shuffler(random.shuffle)  # type: ignore[assignment]
            self._hidden = hidden
            module.mtrand._rand = self._legacy  # type: ignore[attr-defined]
            module.default_rng = self.default_rng
            yield


def _intercepting(source: type, interceptor: Interceptor) -> Any:
    """A class like one of NumPy's sources, whose methods with quantiles answer from the record."""
    methods = {name: _method(source, name, interceptor) for name in NUMPY_QUANTILES}
    methods |= {name: _method(source, name, interceptor) for name in WITHOUT_REPLACEMENT}
    present = {name: method for name, method in methods.items() if hasattr(source, name)}
    present["shuffle"] = _shuffle_of(source, interceptor)
    if source is np.random.RandomState:
        present.pop("random", None)  # it calls random_sample
        present.pop("choice", None)  # it calls randint or random_sample
    return type(f"Intercepted{source.__name__}", (source,), present)


def _method(source: type, name: str, interceptor: Interceptor) -> Callable[..., Any]:
    """A method that answers from the record."""
    plain: Any = getattr(source, name, None)

    def answer(self: Any, *args: Any, **kwargs: Any) -> Any:
        has_record = name not in WITHOUT_REPLACEMENT or _is_without_replacement(name, args, kwargs)
        if interceptor.draws is None or not has_record:
            return plain(self, *args, **kwargs)
        function = interceptor.paused()(partial(plain, self))
        return interceptor.draws.answer(RandomCall(name, args, kwargs), function)

    return answer


def _shuffle_of(source: Any, interceptor: Interceptor) -> Callable[..., None]:
    """A method that shuffles the rows of an array or list by a recorded order."""

    def shuffle(self: Any, x: Any, *args: Any, **kwargs: Any) -> None:
        if interceptor.draws is None or args or kwargs or not len(x):
            return source.shuffle(self, x, *args, **kwargs)
        function = interceptor.paused()(partial(source.permutation, self))
        order = interceptor.draws.answer(RandomCall("shuffle", (len(x),), {}), function)
        x[:] = x[order] if isinstance(x, np.ndarray) else [x[place] for place in order]

    return shuffle


def _is_without_replacement(name: str, args: tuple, kwargs: dict[str, Any]) -> bool:
    """Whether a call draws some of a list, none twice, each as likely as any other."""
    pool = args[0] if args else kwargs.get("a")
    if name == "permutation":
        return isinstance(pool, (int, np.integer))
    given: dict[str, Any] = dict(zip(("a", "size", "replace", "p"), args, strict=False)) | kwargs
    size = given.get("size")
    is_plain = set(given) <= {"a", "size", "replace", "p"} and given.get("p") is None
    of_one_list = np.ndim(given["a"]) < 2 and size is not None and np.size(size) == 1
    return is_plain and of_one_list and given.get("replace") is False


# Python's random ---------------------------------------------------------------------------------


def state_of_random(
    number: int, total: int, seed: int, *, stratified: bool, rows: int = 1
) -> tuple:
    """State of ``random`` for one call of the loss.

    Args:
        number: Number of the call, from 0.
        total: Number of calls in all.
        seed: Seed of the numbers.
        stratified: Whether the numbers are even over all calls.
        rows: Length of the lists of numbers that are even as a whole.

    Returns:
        What ``random.setstate`` takes.
    """
    version, state, gauss = random.Random(seed).getstate()
    if not stratified:
        return version, state, gauss
    words = (_even_numbers(number, total, rows) * 2.0**32).astype(np.uint64)
    return version, (*_unscrambled(words).tolist(), 0), gauss


def _even_numbers(number: int, total: int, rows: int) -> NDArray:
    """Numbers of one call in [0, 1), one a word, each even over all calls, shape (624,).

    A number of ``random()`` takes two words, of which the first gives all that matters. The numbers
    of a list have different places in their cells, so that all together are a finer grid; the first
    is in the middle.
    """
    place = (np.arange(WORDS) // 2 + rows // 2) % rows
    return (_orders(total)[:, number] + (place + 0.5) / rows) / total


@lru_cache(maxsize=2)
def _orders(total: int) -> NDArray:
    """Places of all calls in the order of each word, shape (624, total); not to be written to."""
    rng = np.random.default_rng(total)
    orders = rng.permuted(np.tile(np.arange(total, dtype=np.int32), (WORDS, 1)), axis=1)
    # the first, which is often the only one, is even also over each stretch of calls
    orders[0] = np.argsort(np.argsort(np.arange(total) * STEP_OF_RANDOM % 1))
    return orders


def _unscrambled(words: NDArray) -> NDArray:
    """The state of a Mersenne Twister that gives these words next.

    It inverts the tempering of Matsumoto and Nishimura (1998), eq. 2.2 to 2.5.
    """
    y = words.copy()
    y ^= y >> np.uint64(18)
    y ^= (y << np.uint64(15)) & np.uint64(0xEFC60000)
    z = y.copy()
    for _ in range(4):
        z = y ^ ((z << np.uint64(7)) & np.uint64(0x9D2C5680))
    y = z & np.uint64(0xFFFFFFFF)
    z = y.copy()
    for _ in range(2):
        z = y ^ (z >> np.uint64(11))
    return z & np.uint64(0xFFFFFFFF)
