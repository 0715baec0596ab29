"""Coefficients of one chunk: alpha, sigma, a, b and the factor of each draw.

For a squared loss c |out - target|^2 the gradient at the network's output is

    g(out) = h (out - target),    h = 2 c,    z = alpha x + sigma eps,    target = a x + b eps.

The same draws are replayed with data and noise on or off. Three runs tell everything exactly, where
v is any known output (here random signs):

    data alone,  out = 0:    z = alpha x      g = -h a x
    noise alone, out = 0:    z = sigma eps    g = -h b eps
    both,        out = v:    h v = this g minus the other two

A loss whose weight differs between these states, or whose gradient is not linear in the output, is
read in each state by itself; see ``Method``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from enum import Enum, auto

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffviz.probing.session import Chunk, State

LOCAL_ERROR = 0.1  # error of a component at which h is taken where the gradient is not linear
LARGEST_OUTPUT = 2.0**14  # the bisection looks for the target between minus and plus this
BISECTIONS = 48


class Method(Enum):
    """How h and the target follow from gradients.

    ``SUM_RULE``: from the three runs above; h is the same in all states.
    ``TWO_OUTPUTS``: from two outputs in each state; the gradient is linear in the output.
    ``BISECTION``: the target is where the gradient changes its sign, and h is the slope near it.
    """

    SUM_RULE = auto()
    TWO_OUTPUTS = auto()
    BISECTION = auto()


@dataclass(frozen=True)
class Assumptions:
    """What a reading takes for granted about a loss.

    Attributes:
        direction: The known output v, shape (d,).
        method: How h and the target are found.
        external_noise: The noise is not drawn by torch's normal functions and is always on.
        constant_input: z is not 0 where data and noise are off.
        estimated_noise: z holds other noise than what was recorded; sigma is its size.
        changed_data: Data reach the network changed; alpha is a ratio of sizes.
        stride: One component in so many is read.
    """

    direction: Tensor
    method: Method = Method.SUM_RULE
    external_noise: bool = False
    constant_input: bool = True
    estimated_noise: bool = False
    changed_data: bool = False
    stride: int = 1

    @property
    def components(self) -> slice:
        """The components that are read."""
        return slice(None, None, self.stride)


@dataclass(frozen=True)
class Coefficients:
    """What was read off each draw, float64; n draws, k recorded noises.

    Attributes:
        alpha: Coefficient of x in z, shape (n,).
        sigma: Coefficient of each noise in z, shape (n, k).
        a: Coefficient of x in the target, shape (n,).
        b: Coefficient of each noise in the target, shape (n, k).
        h: Slope of the gradient in the output, shape (n,).
        kurtosis: Fourth moment of the noise over its second squared, shape (n,).
        shift: Constant in z, in units of alpha, shape (n,).
        data_error: Relative part of z that is no alpha x, shape (n,).
        noise_error: Relative part of z that is no sigma eps, shape (n,).
        target_error: Relative part of the target that is no a x + b eps, shape (n,).
        square_error: Relative part of the slope that is not h v, shape (n,).
        order: Place in the stratified sequence, int, shape (n,).
        scalars: The network's other arguments, such as times, each of shape (n,).
        each_component: For each of the k noises whether every component has its own number.
    """

    alpha: NDArray
    sigma: NDArray
    a: NDArray
    b: NDArray
    h: NDArray
    kurtosis: NDArray
    shift: NDArray
    data_error: NDArray
    noise_error: NDArray
    target_error: NDArray
    square_error: NDArray
    order: NDArray
    scalars: list[NDArray]
    each_component: tuple[bool, ...]

    def select(self, mask: NDArray) -> "Coefficients":
        """The coefficients of some draws.

        Args:
            mask: Which draws are kept, bool, shape (n,).

        Returns:
            The same for these draws alone.
        """
        arrays = {name: getattr(self, name)[mask] for name in ARRAYS}
        return replace(self, **arrays, scalars=[values[mask] for values in self.scalars])


ARRAYS = [
    field.name for field in fields(Coefficients) if field.name not in {"scalars", "each_component"}
]


@dataclass(frozen=True)
class Observed:
    """z and the target in one state, each of shape (n, components)."""

    z: Tensor
    target: Tensor

    def __sub__(self, other: "Observed") -> "Observed":
        return Observed(self.z - other.z, self.target - other.target)


@dataclass(frozen=True)
class Observations:
    """z and the target in all states, and the slope of the gradient.

    Attributes:
        nothing: With data and noise off.
        data: With the data alone.
        noise: With the noise alone.
        z: z with both, shape (n, components).
        slope: h v with both, shape (n, components).
        scalars: The network's other arguments with one number, or one for each sample.
    """

    nothing: Observed
    data: Observed
    noise: Observed
    z: Tensor
    slope: Tensor
    scalars: list[Tensor]


def read(chunk: Chunk, assumptions: Assumptions) -> Coefficients:
    """Read the coefficients of each draw of a chunk, and by how much each assumption fails.

    Args:
        chunk: The batch that the loss is run on.
        assumptions: What is known about the loss.

    Returns:
        The coefficients of its n draws.
    """
    states = observe(chunk, assumptions)
    direction = assumptions.direction[assumptions.components]
    of_data = states.data - states.nothing
    of_noise = states.noise if assumptions.external_noise else states.noise - states.nothing

    x = chunk.rows(chunk.x)[:, assumptions.components]
    if assumptions.changed_data:
        x = of_data.z * (x.norm(dim=1) / of_data.z.norm(dim=1))[:, None]
    noises, each_component = _noises(chunk, assumptions, of_noise.z)

    alpha, data_error = solve([x], of_data.z)
    a, target_error_of_data = solve([x], of_data.target)
    sigma, noise_error = solve(noises, of_noise.z)
    b, target_error_of_noise = solve(noises, of_noise.target)
    h = (states.slope * direction).mean(1, keepdim=True)
    constant = 0 * alpha[:, 0] if assumptions.external_noise else states.nothing.z.mean(1)
    sum_of_parts = states.data.z + states.noise.z - states.nothing.z
    return Coefficients(
        alpha=_float64(alpha[:, 0]),
        sigma=_float64(sigma),
        a=_float64(a[:, 0]),
        b=_float64(b),
        h=_float64(h[:, 0]),
        kurtosis=_float64((of_noise.z**4).mean(1) / of_noise.z.square().mean(1) ** 2),
        shift=_float64(constant / alpha[:, 0]),
        data_error=_float64(torch.maximum(data_error, relative_error(states.z, sum_of_parts))),
        noise_error=_float64(noise_error),
        target_error=_float64(torch.maximum(target_error_of_data, target_error_of_noise)),
        square_error=_float64(relative_error(states.slope, h * direction)),
        order=chunk.draws.order,
        scalars=[_float64(value.reshape(-1).expand(chunk.size)) for value in states.scalars],
        each_component=each_component,
    )


def joined(parts: Sequence[Coefficients]) -> Coefficients:
    """The coefficients of all chunks as one.

    Args:
        parts: Those of each chunk, at least one.

    Returns:
        The same with all draws, in the order of the chunks.
    """
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ARRAYS}
    scalars = zip(*(part.scalars for part in parts), strict=False)
    return Coefficients(
        **arrays,
        scalars=[np.concatenate(values) for values in scalars],
        each_component=parts[-1].each_component,
    )


def observe(chunk: Chunk, assumptions: Assumptions) -> Observations:
    """Run the loss in all states.

    Args:
        chunk: The batch that the loss is run on.
        assumptions: What is known about the loss.

    Returns:
        z and the target in each state, and the slope.
    """
    if assumptions.method is Method.SUM_RULE:
        return _by_the_sum_rule(chunk, assumptions)
    return _state_by_state(chunk, assumptions)


def _by_the_sum_rule(chunk: Chunk, assumptions: Assumptions) -> Observations:
    """Three runs, or four where z is not 0 with nothing on."""
    components = assumptions.components
    data = chunk.run(State.DATA).only(components)
    noise = chunk.run(State.NOISE).only(components)
    both = chunk.run(State.BOTH, assumptions.direction).only(components)
    if assumptions.external_noise:
        nothing = noise
    elif assumptions.constant_input:
        nothing = chunk.run(State.NOTHING).only(components)
    else:
        nothing = replace(noise, z=0 * noise.z, gradient=0 * noise.gradient)
    slope = both.gradient - data.gradient - noise.gradient + nothing.gradient
    h = (slope * assumptions.direction[components]).mean(1, keepdim=True)
    return Observations(
        nothing=Observed(nothing.z, -nothing.gradient / h),
        data=Observed(data.z, -data.gradient / h),
        noise=Observed(noise.z, -noise.gradient / h),
        z=both.z,
        slope=slope,
        scalars=both.scalars,
    )


def _state_by_state(chunk: Chunk, assumptions: Assumptions) -> Observations:
    """Target and slope of each state from runs in this state alone."""
    data = observe_state(chunk, assumptions, State.DATA)
    noise = observe_state(chunk, assumptions, State.NOISE)
    both = observe_state(chunk, assumptions, State.BOTH)
    external = assumptions.external_noise
    nothing = noise if external else observe_state(chunk, assumptions, State.NOTHING)
    return Observations(
        nothing=nothing.observed,
        data=data.observed,
        noise=noise.observed,
        z=both.observed.z,
        slope=both.slope,
        scalars=both.scalars,
    )


@dataclass(frozen=True)
class ObservedState:
    """One state read by itself.

    Attributes:
        observed: z and the target.
        slope: h v, shape (n, d).
        scalars: The network's other arguments.
    """

    observed: Observed
    slope: Tensor
    scalars: list[Tensor]


def observe_state(chunk: Chunk, assumptions: Assumptions, state: State) -> ObservedState:
    """Read target and slope from runs in one state alone.

    Args:
        chunk: The batch that the loss is run on.
        assumptions: What is known about the loss; the method is not the sum rule.
        state: Which of data and noise are on.

    Returns:
        z, target and slope in this state.
    """
    direction = assumptions.direction
    at_zero = chunk.run(state)
    if assumptions.method is Method.TWO_OUTPUTS:
        slope = chunk.run(state, direction).gradient - at_zero.gradient
        target = -at_zero.gradient / (slope * direction).mean(1, keepdim=True)
    else:
        target = _bisect(chunk, state, at_zero.z)
        near = chunk.run(state, target + LOCAL_ERROR * direction)
        slope = near.gradient / LOCAL_ERROR
    return ObservedState(Observed(at_zero.z, target), slope, at_zero.scalars)


def _bisect(chunk: Chunk, state: State, z: Tensor) -> Tensor:
    """The output at which the gradient of each component changes its sign, shape (n, d)."""
    low = -LARGEST_OUTPUT * torch.ones_like(z)
    high = LARGEST_OUTPUT * torch.ones_like(z)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        below = chunk.run(state, middle).gradient < 0
        low = torch.where(below, middle, low)
        high = torch.where(below, high, middle)
    return (low + high) / 2


def _noises(
    chunk: Chunk, assumptions: Assumptions, z_of_noise: Tensor
) -> tuple[list[Tensor], tuple[bool, ...]]:
    """The noises that z is made of, and for each whether every component has its own number.

    Where they were not recorded, the part of z that is noise stands for them, scaled to size 1.
    """
    drawn = chunk.draws.noises
    if assumptions.estimated_noise or not drawn:
        size = z_of_noise.square().mean(1, keepdim=True).sqrt()
        return [z_of_noise / size], (True,)
    full = [chunk.rows(_as_large_as(value, chunk.x)) for value in drawn]
    noises = [value[:, assumptions.components] for value in full]
    each_component = tuple(value.numel() == chunk.x.numel() for value in drawn)
    return noises, each_component


def _as_large_as(noise: Tensor, x: Tensor) -> Tensor:
    """Noise in the data's shape, where it has one number for several components."""
    if noise.numel() == x.numel():
        return noise
    missing = x.ndim - noise.ndim
    return noise.reshape(*noise.shape, *[1] * missing).expand(x.shape)


def solve(basis: Sequence[Tensor], y: Tensor) -> tuple[Tensor, Tensor]:
    """Regression of each sample on a basis of its own.

    Args:
        basis: k tensors of shape (n, d).
        y: What is regressed, shape (n, d).

    Returns:
        Coefficients of shape (n, k), and the relative size of what is left, shape (n,).
    """
    rows = torch.stack(list(basis), 1)
    coefficients = torch.linalg.solve_ex(rows @ rows.mT, rows @ y[..., None])[0]
    rest = y - (rows.mT @ coefficients)[..., 0]
    return coefficients[..., 0], (rest.norm(dim=1) / y.norm(dim=1)).nan_to_num(0)


def relative_error(y: Tensor, expected: Tensor) -> Tensor:
    """Size of a difference in units of what was expected.

    Args:
        y: What was observed, shape (n, d).
        expected: What was expected, shape (n, d).

    Returns:
        The relative error of each sample, shape (n,); 0 for 0/0 and 1 where 0 was expected.
    """
    return ((y - expected).norm(dim=1) / expected.norm(dim=1)).nan_to_num(0, posinf=1)


def _float64(values: Tensor) -> NDArray:
    """A tensor as a float64 array."""
    return values.detach().double().numpy(force=True)
