"""Experiments on probing: what losses of the lab weight, and losses that a reader types in.

Example:
    >>> from diffviz.lab.experiments import probing
    >>> loss = probing.own_loss(probing.EXAMPLE)
    >>> reading = probing.measure(loss, probing.default_data())
    >>> reading.target, reading.matches[0].name
    ('u', 'fm-ot')
"""

import linecache
import math
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffviz import checks
from diffviz.compute.cache import cached
from diffviz.recipes import nearest
from diffviz.theory.objectives import from_weighting

if TYPE_CHECKING:
    import torch

POINTS = 256  # of the default data
NEAREST = 2  # entries of the catalogue that are kept
MISTAKE_GRID = np.linspace(-8, 8, 161)  # λ in nats, with 0 in the middle
OWN_FILE = "your loss"  # what stands for the name of a file in messages
EXAMPLE = """def loss(model, x):
    t = torch.rand(len(x), 1)
    eps = torch.randn_like(x)
    z = (1 - t) * x + t * eps
    return F.mse_loss(model(z, t), eps - x)
"""


class Reading(NamedTuple):
    """What a probe says of a loss.

    Attributes:
        logsnr: Middles of the bins in nats, shape (n,).
        w: Weighting on the eps error, averaged over each bin, shape (n,).
        target: Name of the target.
        path: Name of the path's frame.
        matches: The nearest entries of the catalogue, the nearest first.
        notes: What the probe assumes and the loss breaks, in words.
    """

    logsnr: NDArray
    w: NDArray
    target: str
    path: str
    matches: tuple[nearest.Match, ...]
    notes: tuple[str, ...]


def default_data() -> "torch.Tensor":
    """256 standard normal points of the plane, shape (256, 2)."""
    import torch

    return torch.randn(POINTS, 2, generator=torch.Generator().manual_seed(0))


def measure(loss: Callable[..., Any], x: "torch.Tensor") -> Reading:
    """Probe a loss.

    Args:
        loss: ``loss(model, x)``.
        x: Data to probe with, shape (n, *shape).

    Returns:
        The reading.

    Raises:
        ValueError: The loss cannot be probed, or has no weighting.
    """
    import torch

    from diffviz.reports import measurement

    report = measurement.probe(loss, x, generator=torch.Generator().manual_seed(0))
    logsnr, w = report.table().T
    matches = tuple(nearest.closest(report, NEAREST))
    return Reading(logsnr, w, report.kind, report.frame, matches, report.notes)


@cached
def library_reading(name: str) -> Reading:
    """The reading of a loss of ``diffviz.lab.losses`` on the default data.

    Args:
        name: A key of ``LOSSES``.

    Returns:
        The reading.

    Raises:
        ValueError: The name is unknown.
    """
    from diffviz.lab import losses

    return measure(losses.LOSSES[checks.one_of(name, "loss", losses.LOSSES)], default_data())


class MistakenPair(NamedTuple):
    """Measured weightings of a loss with a mistake and of the loss that was meant.

    Attributes:
        letter: The letter of the loss with a mistake.
        measured: log10 of its weighting on ``MISTAKE_GRID``, 0 at λ = 0, shape (161,). It is NaN
            where too few draws fall to measure it.
        meant: Likewise of the loss that was meant.
    """

    letter: str
    measured: NDArray
    meant: NDArray

    @property
    def ratio(self) -> NDArray:
        """log10 of the measured weighting over the one that was meant, shape (161,)."""
        return self.measured - self.meant


@cached
def mistaken_pair(letter: str, x: "torch.Tensor | None" = None) -> MistakenPair:
    """Probe a mystery of ``diffviz.lab.losses`` and what was meant by it.

    Args:
        letter: A key of ``MYSTERIES``.
        x: Data to probe with, shape (n, *shape); ``default_data`` if not given.

    Returns:
        Both weightings.

    Raises:
        ValueError: There is no such letter.

    Example:
        >>> from diffviz.lab.experiments import probing
        >>> pair = probing.mistaken_pair("D")
        >>> float((pair.ratio[100] - pair.ratio[60]).round(1))  # a tilt, over 4 nats
        0.9
    """
    from diffviz.lab import losses

    letter = checks.one_of(letter, "letter", losses.MYSTERIES)
    data = default_data() if x is None else x
    curves = [_anchored(one[letter], data) for one in (losses.MYSTERIES, losses.INTENDED)]
    return MistakenPair(letter, *curves)


def _anchored(loss: Callable[..., Any], x: "torch.Tensor") -> NDArray:
    """log10 of the weighting of a loss on ``MISTAKE_GRID``, 0 at λ = 0, NaN where it is 0."""
    reading = measure(loss, x)
    table = np.column_stack([reading.logsnr, reading.w])
    w = from_weighting(table).weighting(MISTAKE_GRID)
    logs = np.log10(np.where(w > 0, w, np.nan))
    return logs - logs[len(logs) // 2]


# --- losses that are typed in ------------------------------------------------------------------


def own_loss(text: str) -> Callable[..., Any]:
    """The loss of a piece of Python.

    The code is run: it can do whatever Python can. ``torch``, ``nn``, ``F``, ``np`` and ``math``
    are there without an import.

    Args:
        text: Code that defines ``loss(model, x)``, or one function of another name.

    Returns:
        The loss.

    Raises:
        ValueError: The code fails, or it defines no such function.
    """
    import torch

    names: dict[str, Any] = {
        "torch": torch,
        "nn": torch.nn,
        "F": torch.nn.functional,
        "np": np,
        "math": math,
    }
    linecache.cache[OWN_FILE] = (len(text), None, text.splitlines(keepends=True), OWN_FILE)
    try:
        exec(compile(text, OWN_FILE, "exec"), names)
    except Exception as error:
        raise ValueError(in_own_lines(error)) from error
    functions = [value for value in names.values() if _is_own(value)]
    named = [one for one in functions if one.__name__ == "loss"] or functions
    if len(named) != 1:
        raise ValueError(
            f"the box must define loss(model, x); it defines {len(functions)} functions, "
            "none of them with the name loss"
        )
    return named[0]


def _is_own(value: Any) -> bool:
    """Whether a value is a function that the typed code defines."""
    code = getattr(value, "__code__", None)
    return code is not None and code.co_filename == OWN_FILE


def in_own_lines(error: Exception) -> str:
    """An error with the line of the typed code in which it came up.

    Args:
        error: The error.

    Returns:
        Its kind, its message and, where it is known, the line.
    """
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__} in line {error.lineno} of your loss: {error.msg}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == OWN_FILE]
    place = f" in line {lines[-1]} of your loss" if lines else ""
    return f"{type(error).__name__}{place}: {error}"
