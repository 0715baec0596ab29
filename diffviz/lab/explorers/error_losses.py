"""Losses that are not squared, in the explorer of weightings: what they weight at given errors."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from threading import Thread
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffviz.checks import count, require
from diffviz.lab.experiments import perception
from diffviz.lab.figures.style import minus
from diffviz.theory import analysis, losses
from diffviz.theory.frames import Curve
from diffviz.theory.objectives import Objective
from diffviz.theory.weightings import Resolved
from diffviz.web.description import Control, Menu, Slider, State

SQUARED = "squared"
KINDS = {"Huber": losses.huber, "pseudo-Huber": losses.pseudo_huber, "log-cosh": losses.log_cosh}
CONSTANT, BY_SNR = "constant", "by SNR"
PHOTOGRAPHS = "photographs"
TOYS = {"two modes (gmm1)": "gmm1", "ring of 8 (ring8)": "ring8"}
ERRORS = ("N(0, 1)", PHOTOGRAPHS, *TOYS)
HEAD = ("", "verdict at these errors", "w at λ < 0", "least φ")
SHARES = 10.0  # λ in nats, on either side of 0, between which shares of w are taken
FAR = 100.0  # λ in nats beyond which an end of a support is nowhere on a picture
NOT_SQUARED = {"loss": tuple(KINDS)}


def controls(passed: Iterable[str] = ()) -> tuple[Control, ...]:
    """The kind of loss, its threshold, and the errors at which it is looked at.

    Args:
        passed: Names of errors that were passed from Python.

    Returns:
        The controls.
    """
    return (
        Menu(
            "loss",
            "loss",
            (SQUARED, *KINDS),
            SQUARED,
            tip="What stands in the place of the squared error of each component of the target.",
        ),
        Menu(
            "schedule",
            "δ is",
            (CONSTANT, BY_SNR),
            CONSTANT,
            buttons=True,
            tip="By SNR it falls from 1 at data, as in kohya's sd-scripts.",
            when=NOT_SQUARED,
        ),
        Slider(
            "threshold",
            "δ",
            0.01,
            10,
            0.05,
            0.5,
            scale="log",
            tip="Errors of the target far below δ count squared, far above it by their size.",
            when=NOT_SQUARED | {"schedule": (CONSTANT,)},
        ),
        Slider(
            "least",
            "δ at noise",
            0.01,
            1,
            0.05,
            0.1,
            scale="log",
            when=NOT_SQUARED | {"schedule": (BY_SNR,)},
        ),
        Menu(
            "errors",
            "errors on",
            (*ERRORS, *passed),
            ERRORS[0],
            tip="Errors of the exact denoiser of these data, or errors that were passed.",
            when=NOT_SQUARED,
        ),
    )


# --- the errors -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class ToyErrors:
    """Mean squared eps error of one component, of the exact denoiser of a toy.

    Args:
        name: Name of the toy.
    """

    name: str

    def __call__(self, logsnr: NDArray) -> NDArray:
        """The error at λ in nats, same shape."""
        from diffviz.data import toys  # torch only for those who choose it

        toy = toys.toy(self.name)
        return np.asarray(toy.mmse(logsnr)) / np.prod(toy.shape)


@lru_cache(1)
def load_toys() -> Thread:
    """Import the toys, and torch with them, beside other work: it takes a second.

    Returns:
        The thread. Python waits for it at its end, since torch cannot be left half imported.
    """
    thread = Thread(target=_import_toys)
    thread.start()
    return thread


def _import_toys() -> None:
    """Import the toys if torch is installed; who chooses one without it is told so then."""
    with suppress(ImportError):
        import_module("diffviz.data.toys")


def photograph_errors(logsnr: NDArray) -> NDArray:
    """Mean squared eps error of one pixel, for Gaussian data with the spectrum of photographs.

    Args:
        logsnr: λ in nats, any shape.

    Returns:
        The error, same shape.
    """
    spectrum = perception.spectrum()
    return spectrum.mmse(logsnr) / spectrum.count.sum()


@dataclass(frozen=True)
class OfOneComponent:
    """Errors that sum over components, for one of them.

    Args:
        errors: Mean squared eps error as a function of λ.
        components: Number of components that it sums over.
    """

    errors: Curve
    components: int

    def __call__(self, logsnr: NDArray) -> NDArray:
        """The error at λ in nats, same shape."""
        return np.asarray(self.errors(logsnr)) / self.components


def passed_errors(errors: Mapping[str, Any], components: int) -> dict[str, Curve]:
    """What is passed from Python as errors of one component.

    Args:
        errors: Errors by name, as ``dv.with_loss`` takes them.
        components: Number of components that they sum over.

    Returns:
        Functions of λ by name.

    Raises:
        TypeError: They are no mapping of names to errors.
        ValueError: A name is taken, or an error is not above 0.
    """
    components = count(components, "components")
    if not isinstance(errors, Mapping):
        raise TypeError(f"network_errors maps names to errors, got {errors!r:.80}")
    for name in errors:
        require(isinstance(name, str), f"network_errors has the name {name!r}, no text", TypeError)
        require(name not in ERRORS, f"the name {name!r} in network_errors is taken")
    return {name: OfOneComponent(losses.errors_of(one), components) for name, one in errors.items()}


def errors_of(name: str) -> Curve:
    """Mean squared eps error of one component as a function of λ.

    Args:
        name: One of ``ERRORS``.

    Returns:
        The function.
    """
    if name in TOYS:
        return ToyErrors(TOYS[name])
    return photograph_errors if name == PHOTOGRAPHS else analysis.gaussian_mmse


# --- the weighting at these errors ----------------------------------------------------------------


def is_squared(state: State) -> bool:
    """Whether the loss of a state is the squared one.

    Args:
        state: A value for each control.

    Returns:
        Whether it is.
    """
    return state["loss"] == SQUARED


def chosen_loss(state: State) -> losses.ErrorLoss:
    """The loss of a state that is not squared.

    Args:
        state: A value for each control.

    Returns:
        The loss.
    """
    by_snr = state["schedule"] == BY_SNR
    threshold = losses.by_snr(state["least"]) if by_snr else state["threshold"]
    return KINDS[state["loss"]](threshold)


def local_objective(objective: Objective, state: State, errors: Curve) -> Objective:
    """An objective with the loss of a state, at the errors of its data.

    Args:
        objective: The objective with the squared loss, or one whose loss is another already.
        state: A value for each control.
        errors: Mean squared eps error of one component as a function of λ.

    Returns:
        The objective; the same one where its loss is another already, or the chosen one is squared.
    """
    if is_squared(state) or isinstance(objective.multiplier, losses.LocalMultiplier):
        return objective
    return losses.with_loss(objective, chosen_loss(state), errors)


def slopes(objective: Objective, state: State, errors: Curve, logsnr: NDArray) -> NDArray:
    """By what a loss multiplies the weighting of the squared one, φ(m(λ)).

    Args:
        objective: The objective with the squared loss.
        state: A value for each control.
        errors: Mean squared eps error of one component as a function of λ.
        logsnr: λ in nats, shape (n,).

    Returns:
        φ in (0, 1], shape (n,); 1 where the objective has no weight, and for one whose loss is
        another already.
    """
    result = np.ones(logsnr.shape)
    local = local_objective(objective, state, errors).multiplier
    if local is objective.multiplier or not isinstance(local, losses.LocalMultiplier):
        return result
    inside = objective.weighting(logsnr) > 0
    result[inside] = local.slope(logsnr[inside])
    return result


@dataclass(frozen=True, eq=False)
class OnGrid:
    """A weighting that is known on one grid.

    Args:
        values: w on it, shape (n,).
    """

    values: NDArray

    def __call__(self, logsnr: NDArray) -> NDArray:
        """The weighting on that grid, shape (n,)."""
        return self.values


def verdict_words(verdict: analysis.Verdict) -> str:
    """A verdict in a few words.

    Args:
        verdict: The verdict.

    Returns:
        The words, such as "peak −3.31, negative 0.3%".
    """
    if verdict.monotone:
        return "monotone"
    return f"peak {minus(f'{verdict.peak:z.2f}')}, negative {verdict.negative_share:.1%}"


def cells(objective: Objective, state: State, errors: Curve, grid: NDArray) -> tuple[str, str, str]:
    """What a loss makes of an objective, from what is drawn of it.

    Args:
        objective: The objective with the squared loss.
        state: A value for each control.
        errors: Mean squared eps error of one component as a function of λ.
        grid: λ in nats, shape (n,).

    Returns:
        The verdict, the share of w below λ = 0, and the least φ.
    """
    slope = slopes(objective, state, errors, grid)
    w = objective.weighting(grid) * slope
    if not w.any():
        return minus(f"outside [{grid[0]:g}, {grid[-1]:g}]"), "", ""
    verdict = analysis.verdict(Resolved(OnGrid(w), objective.law.support()), grid)
    below, whole = (np.trapezoid(w[at], grid[at]) for at in _parts(grid))
    share = f"{below / whole:.1%}" if whole > 0 else ""
    return verdict_words(verdict), share, f"{slope.min():.3f}"


def _parts(grid: NDArray) -> tuple[NDArray, NDArray]:
    """Which places of a grid lie in [−10, 0] and in [−10, 10], but for rounding."""
    hair = 1e-9
    inside = np.abs(grid) <= SHARES + hair
    return inside & (grid <= hair), inside


def note(state: State) -> str:
    """What a loss that is not squared does, and at which errors, in words.

    Args:
        state: A value for each control.

    Returns:
        The text.
    """
    threshold = f"= {state['threshold']:g}"
    if state["schedule"] == BY_SNR:
        threshold = f"from 1 at data to {state['least']:g} at noise"
    name = state["errors"]
    whose = f"of the exact denoiser on {name}" if name in ERRORS else f"that were passed as {name}"
    return (
        f"The loss is {state['loss']} with δ {threshold} on each component of the target, at the "
        f"errors {whose}: w is that of the squared loss times φ = E[r ρ′(r)]/(2 E r²). It is "
        "local, since it changes with the errors. The verdict is for λ in [-12, 12], the share of "
        "w for [-10, 10]."
    )


# --- what the browser needs -----------------------------------------------------------------------


def local_data(
    objectives: Mapping[str, Objective], passed: Mapping[str, Curve], grid: NDArray
) -> dict[str, Any]:
    """What the browser computes the weightings of these losses with.

    Args:
        objectives: The objectives that have no formula there, by name.
        passed: Errors that were passed from Python, by name.
        grid: λ in nats, shape (n,).

    Returns:
        Gains on the grid, each kind once, and which of them an objective has; ends of supports;
        errors on the grid; the head of the table.
    """
    gains: dict[bytes, str] = {}
    arrays: dict[str, NDArray] = {}
    gain_of = {}
    for name, objective in objectives.items():
        gain = gain_on(objective, grid)
        key = gains.setdefault(gain.tobytes(), str(len(gains)))
        arrays[key] = gain
        gain_of[name] = key
    return {
        "gains": arrays,
        "gainOf": gain_of,
        "supports": {name: support(one) for name, one in objectives.items()},
        "errorsOn": {name: errors_of(name)(grid) for name in ERRORS if name not in TOYS}
        | {name: errors(grid) for name, errors in passed.items()},
        "passedErrors": list(passed),
        "localHead": HEAD,
    }


@lru_cache(1)
def _toy_errors(low: float, high: float, points: int) -> dict[str, NDArray]:
    """The errors of the toys on an even grid, by their names in the menu."""
    grid = np.linspace(low, high, points)
    return {name: errors_of(name)(grid) for name in TOYS}


def page_data(grid: NDArray) -> dict[str, Any]:
    """The errors that a kernel would be asked for.

    Args:
        grid: Even λ in nats, shape (n,).

    Returns:
        Errors of the toys on the grid.
    """
    return {"toyErrorsOn": _toy_errors(float(grid[0]), float(grid[-1]), len(grid))}


def support(objective: Objective) -> NDArray:
    """Ends of the support of a law, shape (2,), far out where there are none."""
    return np.clip(objective.law.support(), -FAR, FAR)


def gain_on(objective: Objective, grid: NDArray) -> NDArray:
    """The gain of an objective's target where it has weight, 0 elsewhere.

    Args:
        objective: The objective; one whose loss is another already has the gain 0.
        grid: λ in nats, shape (n,).

    Returns:
        The gain, shape (n,).
    """
    gain = np.zeros(grid.shape)
    if isinstance(objective.multiplier, losses.LocalMultiplier):
        return gain
    inside = objective.weighting(grid) > 0
    gain[inside] = objective.target.gain(grid[inside], objective.path)
    return gain
