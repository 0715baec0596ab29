"""A first look at a loss: which assumptions hold, and by which method it is read.

One chunk is enough. What is found is a frozen record, ``FirstLook``, that the measurement takes as
its argument. What cannot be taken for granted is said in its notes.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffviz.checks import require
from diffviz.probing.coefficients import (
    LOCAL_ERROR,
    Assumptions,
    Coefficients,
    Method,
    observe_state,
    read,
    relative_error,
)
from diffviz.probing.session import Chunk, Response, State

TOLERANCE = 2e-3  # relative error up to which an assumption holds
TOLERANCE_OF_FEW_BITS = 0.05  # the same where the network gets bfloat16 or half
RARE = 0.01  # share of draws that may miss the tolerance
FEW_COMPONENTS = 256  # components that are read where all agree


@dataclass(frozen=True)
class FirstLook:
    """What a first look finds.

    Attributes:
        assumptions: What a reading may take for granted.
        tolerance: Relative error up to which an assumption holds.
        components: Number of components of a sample.
        one_level: All samples of a call have one noise level.
        factor_readable: Whether the factor can be read; path and density always can.
        notes: What cannot be taken for granted, in words.
    """

    assumptions: Assumptions
    tolerance: float
    components: int
    one_level: bool
    factor_readable: bool
    notes: tuple[str, ...]


@dataclass(frozen=True)
class LossForm:
    """How the loss depends on the network's output.

    Attributes:
        method: How h and the target are found.
        notes: What this means for the factor, in words.
        factor_readable: Whether the factor can be read.
    """

    method: Method
    notes: tuple[str, ...] = ()
    factor_readable: bool = True


def look(chunk: Chunk) -> FirstLook:
    """Look at one chunk.

    Args:
        chunk: A small batch with recorded draws.

    Returns:
        What holds of the loss.

    Raises:
        ValueError: The loss draws what cannot be replayed, or only one sample reaches it.
        TypeError: The loss returns no tensor.
    """
    signs = np.random.default_rng(0)
    direction = _random_signs(signs, chunk.x)
    nothing = chunk.run(State.NOTHING)
    noise = chunk.run(State.NOISE)
    again = chunk.run(State.NOISE, direction)
    _check_replay(noise, again)
    tolerance = _tolerance(again.dtype)
    components = noise.z.shape[1]
    external_noise = torch.equal(nothing.z, noise.z)
    assumptions = Assumptions(
        direction,
        external_noise=external_noise,
        estimated_noise=external_noise,
        constant_input=bool(nothing.z.any()),
    )
    notes = _notes_on_noise(external_noise, components) + _notes_on_calls(chunk)

    first = read(chunk, assumptions)
    assumptions = replace(
        assumptions,
        changed_data=_fails(first.data_error, tolerance),
        estimated_noise=external_noise or _fails(first.noise_error, tolerance),
    )
    form = LossForm(Method.SUM_RULE)
    if _fails(first.square_error, tolerance):
        other = _random_signs(signs, chunk.x)
        form = _form_of(chunk, assumptions, other, tolerance)
    assumptions = replace(assumptions, method=form.method)
    return FirstLook(
        assumptions=replace(assumptions, stride=_stride(assumptions, components)),
        tolerance=tolerance,
        components=components,
        one_level=_has_one_level(first),
        factor_readable=form.factor_readable,
        notes=notes + form.notes,
    )


def _random_signs(rng: np.random.Generator, x: Tensor) -> Tensor:
    """An output of random signs, shape (d,)."""
    return torch.from_numpy(rng.choice([-1.0, 1.0], x[0].numel())).to(x)


def _check_replay(noise: Response, again: Response) -> None:
    """Refuse a loss that cannot be replayed, or whose gradient reaches one sample only."""
    require(
        torch.equal(noise.z.nan_to_num(), again.z.nan_to_num()),
        "the loss draws what cannot be replayed; draw with torch, np.random, or a generator it "
        "reaches by name",
    )
    samples_with_gradient = again.gradient.any(1).sum()
    require(
        len(again.gradient) == 1 or samples_with_gradient != 1,
        "only one sample's output reaches the loss: if it takes out[0] of a tuple, "
        "output=lambda out: (out,)",
    )


def _tolerance(dtype: torch.dtype) -> float:
    """Relative error up to which an assumption holds, by the bits of what the network gets."""
    return TOLERANCE_OF_FEW_BITS if torch.finfo(dtype).bits < 32 else TOLERANCE


def _fails(error: NDArray, tolerance: float) -> bool:
    """Whether an assumption fails for more than a few draws."""
    return bool((error > tolerance).mean() > RARE)


def _notes_on_noise(external: bool, components: int) -> tuple[str, ...]:
    """Says that sigma is estimated where the noise cannot be switched off."""
    if not external:
        return ()
    percent = 100 / np.sqrt(2 * components)
    return (
        "the noise is not drawn by torch's normal functions for each sample: "
        f"sigma is estimated, each draw to ±{percent:.2g} %",
    )


def _notes_on_calls(chunk: Chunk) -> tuple[str, ...]:
    """Says which call is probed where the loss calls its network several times."""
    calls = len(chunk.standin.calls)
    if calls == 1:
        return ()
    return (
        f"the loss calls its network {calls} times: this is call {chunk.standin.number}, "
        "the others gave 0 (choose by call=)",
    )


def _has_one_level(first: Coefficients) -> bool:
    """Whether all samples of a call have the same log-SNR."""
    with np.errstate(all="ignore"):
        level = np.log(first.alpha / np.linalg.norm(first.sigma, axis=1))
    return len(level) > 1 and bool(np.abs(level - level[0]).max() < 1e-4)


def _stride(assumptions: Assumptions, components: int) -> int:
    """One component in how many is read: where all agree, some tell as much as all."""
    exact = not (assumptions.changed_data or assumptions.estimated_noise)
    if assumptions.method is Method.SUM_RULE and exact:
        return components // FEW_COMPONENTS | 1
    return 1


def _form_of(chunk: Chunk, assumptions: Assumptions, other: Tensor, tolerance: float) -> LossForm:
    """How a loss that breaks the sum rule depends on the output."""
    direction = assumptions.direction
    none = chunk.run(State.BOTH, 0.0 * direction).gradient
    once = chunk.run(State.BOTH, 1.0 * direction).gradient
    twice = chunk.run(State.BOTH, 2.0 * direction).gradient
    slope = once - none
    linear = relative_error(twice - once, slope).median() < tolerance
    if not linear:
        return _local_form(chunk, replace(assumptions, method=Method.BISECTION))
    slope_of_other = chunk.run(State.BOTH, other).gradient - none
    mixed = relative_error(slope_of_other * other, slope * direction).median() > tolerance
    mean_slope = (slope * direction).mean(1, keepdim=True)
    even = relative_error(slope, mean_slope * direction).median() < tolerance
    return LossForm(Method.TWO_OUTPUTS, (_note_on_weight(bool(even), bool(mixed)),))


def _note_on_weight(even: bool, mixed: bool) -> str:
    """Says what the factor means where the weight is not a number for each sample."""
    if even:
        return (
            "the weight depends on the data or the noise: its value at x and eps as drawn is taken"
        )
    if mixed:
        return "errors are mixed across components: factor and target are averages"
    return "components weigh differently (a mask?): factor and target are averages"


def _local_form(chunk: Chunk, assumptions: Assumptions) -> LossForm:
    """The form of a loss that is not squared: a factor near the target, if components are apart."""
    direction = assumptions.direction
    state = observe_state(chunk, assumptions, State.BOTH)
    target = state.observed.target
    at_target = chunk.run(State.BOTH, target).gradient
    size_nearby = state.slope.norm(dim=1) * LOCAL_ERROR
    left_at_target = (at_target.norm(dim=1) / size_nearby).median()
    at_one = (chunk.run(State.BOTH, target + direction).gradient * direction).mean(1)
    decay = at_one / (state.slope * direction).mean(1)
    note = (
        "not a squared loss, or weighted by its error: the factor is local, at an error of "
        f"{LOCAL_ERROR} a component; at 1 it is {decay.median():.3g} times that"
    )
    components_apart = not left_at_target > 0.1 and bool((decay > 0).all())
    method = Method.BISECTION if components_apart else Method.SUM_RULE
    return LossForm(method, (note,), factor_readable=components_apart)
