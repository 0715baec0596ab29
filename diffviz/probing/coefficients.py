"""Coefficients of one chunk: alpha, sigma, a, b and the factor of each draw.

For a squared loss c |out - target|^2 the gradient at the network's output is

    g(out) = h (out - target),    h = 2 c,    z = alpha x + sigma eps,    target = a x + b eps.

The same draws are replayed with data and noise on or off. Three runs tell everything exactly, where
v is any known output (here random signs):

    data alone,  out = 0:    z = alpha x      g = -h a x
    noise alone, out = 0:    z = sigma eps    g = -h b eps
    both,        out = v:    h v = this g minus the other two

A loss whose weight differs between these states, or whose gradient is not linear in the output, is
read in each state by itself; see ``Method``. Where components weigh differently, each is divided by
its own h, and those without weight tell nothing of the target. Where they differ in level, each
group of them is read like a sample of its own; see ``layout``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import Enum, auto

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffviz.checks import require
from diffviz.probing.layout import Layout
from diffviz.probing.session import Chunk, State

LOCAL_ERROR = 0.1  # error of a component at which h is taken where the gradient is not linear
NEAR_OUTPUT = 2.0**5  # the bisection looks for the target between minus and plus this,
LARGEST_OUTPUT = 2.0**14  # and where it is not there, between these
BRACKET = 2.0**-16  # width of the last interval
SECANTS = (15, 9)  # halvings before the last interval at which a secant may give it at once
SMALLEST_ERROR = 1e-3  # at which h is taken where the least error is smaller, for float32
SMALL_GRADIENT = 1e-3  # relative size of a gradient that counts as 0
MOST = 0.5  # share of the samples that must have a gradient near the target of a name
NEARLY_ALL = 0.99  # share of the samples whose gradient must vanish at it
ROUNDING = 1e-3  # relative size of a part of the target up to which it may be rounding

NAMES = ("eps", "x", "eps - x", "x - eps", "v", "-v")  # of targets that are tried

ErrorSize = Callable[[NDArray], NDArray]  # root mean square error of the target at log-SNR


@dataclass(frozen=True)
class LeastError:
    """The error of the ideal denoiser, as the size of the error at which h is taken.

    Attributes:
        of_eps: Root mean square error of a component of eps at log-SNR; that of the target is its
            gain times as much.
    """

    of_eps: ErrorSize


class Method(Enum):
    """How h and the target follow from gradients.

    ``SUM_RULE``: from the three runs above; h is the same in all states.
    ``TWO_OUTPUTS``: from two outputs in each state; the gradient is linear in the output.
    ``BISECTION``: the target is where the gradient changes its sign, and h is the slope near it.
    ``DIRECTION``: the gradient of each sample is along its error, with a weight that depends on the
    errors of others; see ``_along_the_gradient``.
    ``NAMED``: the target is one of ``NAMES``, and h is the slope near it.
    """

    SUM_RULE = auto()
    TWO_OUTPUTS = auto()
    BISECTION = auto()
    DIRECTION = auto()
    NAMED = auto()


BY_STATE = (Method.TWO_OUTPUTS, Method.BISECTION)  # which read a target in each state by itself


@dataclass(frozen=True, eq=False)
class Assumptions:
    """What a reading takes for granted about a loss.

    Attributes:
        direction: The known output v, shape (d,).
        method: How h and the target are found.
        external_noise: The noise is not drawn by torch's normal functions and is always on.
        constant_input: z is not 0 where data and noise are off.
        estimated_noise: z holds other noise than what was recorded; sigma is its size.
        changed_data: Data reach the network changed; alpha is a ratio of sizes.
        uneven: Components weigh differently, and each is divided by its own h.
        layout: Which numbers the components of z hold, and how they are grouped.
        error: Size of the error at which h is taken where the gradient is not linear; None stands
            for ``LOCAL_ERROR`` everywhere.
        stride: One component in so many is read.
        guess: a, and b of each noise, that all draws may have, as others had; they are tried before
            a bisection.
    """

    direction: Tensor
    method: Method = Method.SUM_RULE
    external_noise: bool = False
    constant_input: bool = True
    estimated_noise: bool = False
    changed_data: bool = False
    uneven: bool = False
    layout: Layout = field(default_factory=Layout)
    error: ErrorSize | LeastError | None = None
    stride: int = 1
    guess: tuple[float, tuple[float, ...]] | None = None
    named: str = "eps"

    @property
    def components(self) -> slice:
        """The components that are read."""
        return slice(None, None, self.stride)


@dataclass(frozen=True, eq=False)
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
        group: Number of the group of components that was read, int, shape (n,).
        sharers: For each of the k noises how many components share a number.
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
    group: NDArray
    scalars: list[NDArray]
    each_component: tuple[bool, ...]
    sharers: tuple[int, ...]

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
    field.name
    for field in fields(Coefficients)
    if field.name not in {"scalars", "each_component", "sharers"}
]


@dataclass(frozen=True, eq=False)
class Observed:
    """z and the target in one state, each of shape (n, components)."""

    z: Tensor
    target: Tensor

    def __sub__(self, other: "Observed") -> "Observed":
        return Observed(self.z - other.z, self.target - other.target)


@dataclass(frozen=True, eq=False)
class Observations:
    """z and the target in all states, and the slope of the gradient.

    Attributes:
        nothing: With data and noise off.
        data: With the data alone.
        noise: With the noise alone.
        both: With both.
        h: Slope of the gradient in each component's own output with both on, shape (n, components).
        scalars: The network's other arguments with one number, or one for each sample.
    """

    nothing: Observed
    data: Observed
    noise: Observed
    both: Observed
    h: Tensor
    scalars: list[Tensor]


def read(chunk: Chunk, assumptions: Assumptions) -> Coefficients:
    """Read the coefficients of each draw of a chunk, and by how much each assumption fails.

    Args:
        chunk: The batch that the loss is run on.
        assumptions: What is known about the loss.

    Returns:
        The coefficients of its n draws; of each group of components, one group after the other.
    """
    states = observe(chunk, assumptions)
    layout = assumptions.layout
    if layout.retraced:
        layout = layout.retrace(chunk)
    x = layout.rows_of_data(chunk)[:, assumptions.components].contiguous()
    if layout.gaps:
        states = _without_gaps(states, external=assumptions.external_noise)
    of_data = states.data - states.nothing
    if assumptions.changed_data:
        x = of_data.z * _size_of_changed_data(chunk, assumptions, x, states)[:, None]
    of_noise = states.noise if assumptions.external_noise else states.noise - states.nothing
    noises = _noises(chunk, assumptions, layout, of_noise.z)
    everything = torch.arange(x.shape[1])
    groups = layout.groups or (everything,)
    parts = [
        _read_group(chunk, assumptions, states, x, noises, group, number)
        for number, group in enumerate(groups)
    ]
    return joined(parts)


@dataclass(frozen=True, eq=False)
class Noises:
    """The noises that z is made of.

    Attributes:
        values: Their numbers in the order of z, each of shape (n, components).
        sharers: For each how many components share a number.
    """

    values: list[Tensor]
    sharers: tuple[int, ...]


def _read_group(
    chunk: Chunk,
    assumptions: Assumptions,
    states: Observations,
    x: Tensor,
    noises: Noises,
    group: Tensor,
    number: int,
) -> Coefficients:
    """Read one group of components as if it were all."""
    external = assumptions.external_noise
    gaps = assumptions.layout.gaps
    if len(group) < x.shape[1]:
        states = _only(states, group)
        x = x[:, group]
        noises = Noises([value[:, group] for value in noises.values], noises.sharers)
    of_data = states.data - states.nothing
    of_noise = states.noise if external else states.noise - states.nothing
    alpha, data_error = solve([x], of_data.z)
    a, target_error_of_data = solve([x], of_data.target)
    sigma, noise_error = solve(noises.values, of_noise.z)
    b, target_error_of_noise = solve(noises.values, of_noise.target)
    target_error = torch.maximum(
        _apart_from_rounding(target_error_of_data, of_data.target, of_noise.target),
        _apart_from_rounding(target_error_of_noise, of_noise.target, of_data.target),
    )
    if assumptions.method in BY_STATE and x.shape[1] > 1 + len(noises.values):
        a, b, target_error = _completed(a, b, target_error, states, x, noises)
    each = states.h
    if assumptions.method is Method.DIRECTION:
        direction = assumptions.direction[assumptions.components][group]
        gradient = states.both.target
        a, b, each, target_error = _along_the_gradient(gradient, direction, x, noises)
    h = each.nanmean(1, keepdim=True) if gaps else each.mean(1, keepdim=True)
    constant = 0 * alpha[:, 0] if external or gaps else states.nothing.z.mean(1)
    sum_of_parts = states.data.z + states.noise.z - states.nothing.z
    rows = len(x)
    return Coefficients(
        alpha=_float64(alpha[:, 0]),
        sigma=_float64(sigma),
        a=_float64(a[:, 0]),
        b=_float64(b),
        h=_float64(h[:, 0]),
        kurtosis=_float64((of_noise.z**4).mean(1) / of_noise.z.square().mean(1) ** 2),
        shift=_float64(constant / alpha[:, 0]),
        data_error=_float64(torch.maximum(data_error, relative_error(states.both.z, sum_of_parts))),
        noise_error=_float64(noise_error),
        target_error=_float64(target_error),
        square_error=_float64(_square_error(each, h)),
        order=np.resize(chunk.draws.order, rows),
        group=np.full(rows, number),
        scalars=[_of_each_row(value, rows) for value in states.scalars],
        each_component=tuple(count == 1 for count in noises.sharers),
        sharers=noises.sharers,
    )


def _along_the_gradient(
    gradient: Tensor, direction: Tensor, x: Tensor, noises: Noises
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Target and weight of each sample from its gradient at one output v.

    Where a loss is any function of the squared errors of its samples, as one that compares pairs of
    them, the gradient of a sample is h (v − a x − b eps), whatever h depends on.

    Args:
        gradient: The gradient at the output v with data and noise on, shape (n, d).
        direction: The output v, shape (d,).
        x: Data as z holds them, shape (n, d).
        noises: The noises that z is made of.

    Returns:
        a of shape (n, 1), b of shape (n, k) and h of shape (n, 1), the first two NaN where h is 0,
        and the relative size of what is left, shape (n,).
    """
    found, left = solve([direction.expand_as(x), x, *noises.values], gradient)
    h = found[:, :1]
    target = torch.where(h == 0, torch.nan, -found[:, 1:] / h)
    return target[:, :1], target[:, 1:], h, left


def _apart_from_rounding(error: Tensor, part: Tensor, other: Tensor) -> Tensor:
    """The relative error of a part of the target, 0 where the part is rounding beside the other.

    A loss that turns the output into another target by z leaves such rounding.
    """
    size, beside = (_sizes(values.nan_to_num()) for values in (part, other))
    return torch.where(size < ROUNDING * beside, 0, error)


def _size_of_changed_data(
    chunk: Chunk, assumptions: Assumptions, x: Tensor, states: Observations
) -> Tensor:
    """Size of what stands for the data over that of the part of z that comes from them, (n,).

    A function of the data alone gives one and the same sample one and the same value: then z tells
    alpha of each draw in units of that value. Where the loss cannot take equal samples, as where it
    divides by their spread, alpha is the ratio of the size of z to that of the data.
    """
    of_data = states.data.z - states.nothing.z
    ratio = x.norm(dim=1) / of_data.norm(dim=1)
    if assumptions.external_noise:
        return ratio
    sample = chunk.repeated_sample
    z = chunk.run(State.DATA, data=sample).only(assumptions.components).z - states.nothing.z
    size = chunk.rows(sample)[:, assumptions.components].norm(dim=1) / z.norm(dim=1)
    return torch.where(size.isfinite() & (size > 0), size, ratio)


def _square_error(each: Tensor, h: Tensor) -> Tensor:
    """Relative part of the slope that is not one h for all components; 1 where it is not finite."""
    if not each.isfinite().any():
        return torch.ones_like(h[:, 0])
    error = relative_error(each.nan_to_num(0), h.expand_as(each).where(~each.isnan(), 0))
    return torch.where(each.isfinite().any(1), error, 1)


def _without_gaps(states: Observations, *, external: bool) -> Observations:
    """The observations with NaN where a component holds no data or no noise."""
    of_data = states.data.z - states.nothing.z
    of_noise = states.noise.z if external else states.noise.z - states.nothing.z
    held = (of_data != 0) & (of_noise != 0)
    observed = {}
    for name in ("nothing", "data", "noise", "both"):
        one = getattr(states, name)
        z = torch.where(held, one.z, torch.nan)
        observed[name] = Observed(z, torch.where(held, one.target, torch.nan))
    return Observations(
        **observed, h=torch.where(held, states.h, torch.nan), scalars=states.scalars
    )


def _of_each_row(values: Tensor, rows: int) -> NDArray:
    """An argument of the network with one number, or one for each row."""
    return _float64(values.reshape(-1).expand(rows))


def _only(states: Observations, group: Tensor) -> Observations:
    """The observations of some components alone."""
    observed = {
        name: Observed(getattr(states, name).z[:, group], getattr(states, name).target[:, group])
        for name in ("nothing", "data", "noise", "both")
    }
    return Observations(**observed, h=states.h[:, group], scalars=states.scalars)


def _completed(
    a: Tensor, b: Tensor, error: Tensor, states: Observations, x: Tensor, noises: Noises
) -> tuple[Tensor, Tensor, Tensor]:
    """Coefficients of the target from both together, where a weight of 0 hides those of one."""
    together, left = solve([x, *noises.values], states.both.target)
    unknown = ~(a.isfinite().all(1) & b.isfinite().all(1))
    a = torch.where(unknown[:, None], together[:, :1], a)
    b = torch.where(unknown[:, None], together[:, 1:], b)
    return a, b, torch.where(unknown, left, error)


def joined(parts: Sequence[Coefficients]) -> Coefficients:
    """The coefficients of all chunks as one.

    Args:
        parts: Those of each chunk, at least one.

    Returns:
        The same with all draws, in the order of the chunks.
    """
    noises = sorted({part.sigma.shape[1] for part in parts})
    require(
        len(noises) == 1,
        f"the loss draws {noises[0]} noises in some calls and {noises[-1]} in others (one is added "
        "now and then?): probe it with the choice made always, and made never",
    )
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ARRAYS}
    scalars = zip(*(part.scalars for part in parts), strict=False)
    return Coefficients(
        **arrays,
        scalars=[np.concatenate(values) for values in scalars],
        each_component=parts[-1].each_component,
        sharers=parts[-1].sharers,
    )


def level_of(coefficients: Coefficients) -> NDArray:
    """Log-SNR of each draw, of all noises together.

    Args:
        coefficients: Those of n draws.

    Returns:
        Log-SNR in nats, shape (n,); not finite where data or noise are off.
    """
    sigma = np.linalg.norm(coefficients.sigma, axis=1)
    with np.errstate(all="ignore"):
        return 2 * np.log(np.abs(coefficients.alpha) / sigma)


def averaged(coefficients: Coefficients) -> Coefficients:
    """The mean over the draws of a chunk that has one level, of each group of components.

    Args:
        coefficients: Those of the chunk.

    Returns:
        The same with one draw for each group. Draws without weight tell nothing of the target.
    """
    groups = np.unique(coefficients.group)
    parts = []
    for group in groups:
        part = _with_levels(coefficients.select(coefficients.group == group))
        first = part.select(np.arange(len(part.h)) == 0)
        known = {name: _mean_of_known(getattr(part, name)) for name in ARRAYS}
        known |= {"order": first.order, "group": first.group}
        parts.append(replace(first, **known))  # type: ignore[arg-type]
    return joined(parts)


def _with_levels(coefficients: Coefficients) -> Coefficients:
    """The draws that hold data and noise, or all where there are none."""
    held = (coefficients.alpha != 0) & (coefficients.sigma != 0).any(1)
    return coefficients.select(held) if held.any() else coefficients


def _mean_of_known(values: NDArray) -> NDArray:
    """Mean over the draws where they are known, NaN where none is; the first dimension stays."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0).sum(0, keepdims=True)
    count = known.sum(0, keepdims=True)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


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
    if assumptions.method is Method.BISECTION:
        return _by_bisection(chunk, assumptions)
    if assumptions.method is Method.DIRECTION:
        return _at_one_output(chunk, assumptions)
    if assumptions.method is Method.NAMED:
        return _by_name(chunk, assumptions)
    return _state_by_state(chunk, assumptions)


def _target(gradient: Tensor, h: Tensor) -> Tensor:
    """The target from the gradient at output 0; NaN where the weight is 0."""
    return torch.where(h == 0, torch.nan, -gradient / h)


def _slopes(slope: Tensor, direction: Tensor, *, uneven: bool) -> tuple[Tensor, Tensor]:
    """Slope of each component, and the h by which gradients are divided: its own or the mean."""
    each = slope * direction
    return each, each if uneven else each.mean(1, keepdim=True)


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
    direction = assumptions.direction[components]
    each, h = _slopes(slope, direction, uneven=assumptions.uneven)
    at_zero = data.gradient + noise.gradient - nothing.gradient
    return Observations(
        nothing=Observed(nothing.z, _target(nothing.gradient, h)),
        data=Observed(data.z, _target(data.gradient, h)),
        noise=Observed(noise.z, _target(noise.gradient, h)),
        both=Observed(both.z, _target(at_zero, h)),
        h=each,
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
        both=both.observed,
        h=both.h,
        scalars=both.scalars,
    )


def _by_bisection(chunk: Chunk, assumptions: Assumptions) -> Observations:
    """Targets from changes of sign; that of both is the sum of the others unless it proves not."""
    first = chunk.run(State.DATA)  # records the draws
    guessed = _guessed_targets(chunk, assumptions, first.z.shape)
    data = _sign_change(chunk, State.DATA, guessed.get(State.DATA))
    if chunk.draws.known.needs_data:
        noise = _of_unknown_target(chunk, State.NOISE)
    else:
        noise = _sign_change(chunk, State.NOISE, guessed.get(State.NOISE))
    if assumptions.external_noise:
        nothing = noise
    elif assumptions.constant_input:
        nothing = _sign_change(chunk, State.NOTHING)
    else:
        nothing = Observed(0 * noise.z, torch.zeros_like(noise.target))
    total = data.target if assumptions.external_noise else data.target + (noise - nothing).target
    if isinstance(assumptions.error, LeastError):
        of_noise = noise if assumptions.external_noise else noise - nothing
        size = _least_error(chunk, assumptions, assumptions.error, data - nothing, of_noise)
    else:
        size = _error_size(chunk, assumptions, data.z, noise.z, nothing.z)
    both = observe_state(chunk, assumptions, State.BOTH, total, size)
    return Observations(nothing, data, noise, both.observed, both.h, both.scalars)


def _at_one_output(chunk: Chunk, assumptions: Assumptions) -> Observations:
    """Z in all states, and the gradient at one output in the place of the target of both."""
    components = assumptions.components
    data = chunk.run(State.DATA).only(components)
    noise = chunk.run(State.NOISE).only(components)
    both = chunk.run(State.BOTH, assumptions.direction).only(components)
    nothing = noise if assumptions.external_noise else chunk.run(State.NOTHING).only(components)
    unread = torch.zeros_like(both.z)
    return Observations(
        nothing=Observed(nothing.z, unread),
        data=Observed(data.z, unread),
        noise=Observed(noise.z, unread),
        both=Observed(both.z, both.gradient),
        h=unread,
        scalars=both.scalars,
    )


def _usual_target(name: str, alpha: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    """(a, b) of the target of a name in ``NAMES``, in the shape of alpha and sigma."""
    zero, one = torch.zeros_like(alpha), torch.ones_like(alpha)
    usual = {
        "eps": (zero, one),
        "x": (one, zero),
        "eps - x": (-one, one),
        "x - eps": (one, -one),
        "v": (-sigma, alpha),
        "-v": (sigma, -alpha),
    }
    return usual[name]


def _by_name(chunk: Chunk, assumptions: Assumptions) -> Observations:
    """Z in all states, the target by its name, and the slope of the gradient near it."""
    data, noise, nothing = (chunk.run(state) for state in (State.DATA, State.NOISE, State.NOTHING))
    of_data, of_noise = data.z - nothing.z, noise.z - nothing.z
    x = assumptions.layout.rows_of_data(chunk)
    noises = _noises(chunk, assumptions, assumptions.layout, of_noise).values
    alpha, _ = solve([x], of_data)
    sigma = solve(noises, of_noise)[0].norm(dim=1, keepdim=True)
    a, b = _usual_target(assumptions.named, alpha, sigma)
    on_data, on_noise = a * x, b * of_noise / sigma
    direction = assumptions.direction
    near = chunk.run(State.BOTH, on_data + on_noise + LOCAL_ERROR * direction)
    zero = torch.zeros_like(near.z)
    return Observations(
        nothing=Observed(nothing.z, zero),
        data=Observed(data.z, on_data),
        noise=Observed(noise.z, on_noise),
        both=Observed(near.z, on_data + on_noise),
        h=near.gradient * direction / LOCAL_ERROR,
        scalars=near.scalars,
    )


def find_name(chunk: Chunk, assumptions: Assumptions) -> str | None:
    """Which of the usual targets a loss has, by its gradient there.

    Args:
        chunk: The batch that the loss is run on.
        assumptions: What is known about the loss.

    Returns:
        The name in ``NAMES`` of an output at which the gradient vanishes, and near which it does
        not, in most samples; the others have no gradient at all. None where there is no such name.
    """
    for name in NAMES:
        states = _by_name(chunk, replace(assumptions, named=name))
        target = states.both.target
        if target.isfinite().all():
            at_target = chunk.run(State.BOTH, target).gradient.norm(dim=1)
            away = LOCAL_ERROR * states.h.norm(dim=1)
            known = away > 0
            fits = at_target <= SMALL_GRADIENT * away
            if bool(known.double().mean() > MOST) and bool(fits.double().mean() > NEARLY_ALL):
                return name
    return None


def _guessed_targets(
    chunk: Chunk, assumptions: Assumptions, shape: torch.Size
) -> dict[State, Tensor]:
    """Targets of data alone and of noise alone by the guess, in the shape of z; else empty."""
    is_plain = not (
        assumptions.external_noise
        or assumptions.estimated_noise
        or assumptions.changed_data
        or assumptions.constant_input
        or assumptions.layout.retraced
    )
    if assumptions.guess is None or not is_plain:
        return {}
    layout = assumptions.layout
    a, bs = assumptions.guess
    noises = _noises(chunk, assumptions, layout, chunk.x).values
    if len(noises) != len(bs):
        return {}
    noise = sum((b * values for b, values in zip(bs, noises, strict=True)), torch.zeros(()))
    targets = {State.DATA: a * layout.rows_of_data(chunk), State.NOISE: noise}
    return targets if all(target.shape == shape for target in targets.values()) else {}


def _of_unknown_target(chunk: Chunk, state: State) -> Observed:
    """Z of a state without the target, which is that of both states less the other's."""
    z = chunk.run(state).z
    return Observed(z, torch.full_like(z, torch.nan))


def _sign_change(chunk: Chunk, state: State, guessed: Tensor | None = None) -> Observed:
    """Z and the output at which the gradient changes its sign, which may have been guessed.

    Z is the same in each run of a state, whatever the network answers.
    """
    at_guess = chunk.run(state, guessed)
    z = at_guess.z
    if guessed is not None:
        away = chunk.run(state, guessed + LOCAL_ERROR).gradient
        if _is_proved(at_guess.gradient, away):
            return Observed(z, guessed)
    return Observed(z, _bisect(chunk, state, z))


def _is_proved(at_target: Tensor, away: Tensor) -> bool:
    """Whether the gradient vanishes at an output, and rises from there in every component."""
    small = at_target.norm(dim=1) <= SMALL_GRADIENT * away.norm(dim=1)
    return bool((away > 0).all()) and bool(small.all())


def common_target(part: Coefficients) -> tuple[float, tuple[float, ...]] | None:
    """The coefficients of x and of each noise in the target, where all draws have the same.

    Args:
        part: Coefficients of some draws.

    Returns:
        a and all b; None where draws differ.
    """
    columns = np.column_stack([part.a, part.b])
    if not np.isfinite(columns).all() or (np.ptp(columns, axis=0) > ROUNDING).any():
        return None
    a, *bs = (float(value) for value in np.median(columns, axis=0))
    return a, tuple(bs)


@dataclass(frozen=True, eq=False)
class ObservedState:
    """One state read by itself.

    Attributes:
        observed: z and the target.
        h: Slope of the gradient in each component's own output, shape (n, d).
        scalars: The network's other arguments.
    """

    observed: Observed
    h: Tensor
    scalars: list[Tensor]


def observe_state(
    chunk: Chunk,
    assumptions: Assumptions,
    state: State,
    supposed: Tensor | None = None,
    size: Tensor | None = None,
) -> ObservedState:
    """Read target and slope from runs in one state alone.

    Args:
        chunk: The batch that the loss is run on.
        assumptions: What is known about the loss; the method is not the sum rule.
        state: Which of data and noise are on.
        supposed: What the target may be, shape (n, d); it is tried before it is searched for.
        size: Error at which h is taken, shape (n, 1).

    Returns:
        z, target and slope in this state.
    """
    direction = assumptions.direction
    if assumptions.method is not Method.TWO_OUTPUTS:
        return _near_the_target(chunk, direction, state, supposed, size)
    at_zero = chunk.run(state)
    slope = chunk.run(state, direction).gradient - at_zero.gradient
    each, h = _slopes(slope, direction, uneven=assumptions.uneven)
    target = _target(at_zero.gradient, h)
    return ObservedState(Observed(at_zero.z, target), each, at_zero.scalars)


def _near_the_target(
    chunk: Chunk, direction: Tensor, state: State, supposed: Tensor | None, size: Tensor | None
) -> ObservedState:
    """The target where the gradient changes its sign, and the slope a step away from there."""
    first = chunk.run(state, None if supposed is None else supposed.nan_to_num(0))
    size = torch.as_tensor(LOCAL_ERROR).to(first.z) if size is None else size

    def away_from(target: Tensor) -> Tensor:
        return chunk.run(state, target.nan_to_num(0) + size * direction).gradient

    away = None if supposed is None else away_from(supposed)
    if supposed is None or away is None or not _is_target(first.gradient, away):
        supposed = _bisect(chunk, state, first.z)
        away = away_from(supposed)
    each = torch.where(supposed.isnan(), 0, away * direction / size)
    return ObservedState(Observed(first.z, supposed), each, first.scalars)


def _least_error(
    chunk: Chunk,
    assumptions: Assumptions,
    error: LeastError,
    of_data: Observed,
    of_noise: Observed,
) -> Tensor:
    """Least error of a component of the target, |b − a sigma/alpha| times that of eps, (n, 1)."""
    layout = assumptions.layout
    x = layout.rows_of_data(chunk)
    noises = _noises(chunk, assumptions, layout, of_noise.z).values
    alpha, a = (solve([x], values)[0][:, 0] for values in (of_data.z, of_data.target))
    sigmas, bs = (solve(noises, values)[0] for values in (of_noise.z, of_noise.target))
    sigma = sigmas.norm(dim=1)
    gain = ((sigmas * bs).sum(1) / sigma - a * sigma / alpha).abs()
    logsnr = _float64(2 * (alpha.abs() / sigma).log())
    size = np.full_like(logsnr, LOCAL_ERROR)
    known = np.isfinite(logsnr) & gain.isfinite().numpy(force=True)
    size[known] = error.of_eps(logsnr[known]) * _float64(gain)[known]
    return torch.from_numpy(size.clip(min=SMALLEST_ERROR)).to(x)[:, None]


def _error_size(
    chunk: Chunk, assumptions: Assumptions, data: Tensor, noise: Tensor, nothing: Tensor
) -> Tensor:
    """Error at which h is taken, shape (n, 1), from z in three states."""
    if not callable(assumptions.error):
        return torch.full((len(noise), 1), LOCAL_ERROR).to(noise)
    layout = assumptions.layout
    of_noise = noise if assumptions.external_noise else noise - nothing
    alpha, _ = solve([layout.rows_of_data(chunk)], data - nothing)
    sigma, _ = solve(_noises(chunk, assumptions, layout, of_noise).values, of_noise)
    with np.errstate(divide="ignore"):
        logsnr = 2 * np.log(_float64(alpha.abs()[:, 0]) / _float64(sigma.norm(dim=1)))
    size = np.broadcast_to(assumptions.error(logsnr), logsnr.shape)
    return torch.from_numpy(size.copy()).to(noise)[:, None]


def _is_target(at_target: Tensor, away: Tensor) -> bool:
    """Whether the gradient vanishes at an output, compared with that a step away."""
    vanishes = at_target.norm(dim=1) <= SMALL_GRADIENT * away.norm(dim=1)
    return bool(vanishes.double().mean() > 0.99)


def _bisect(chunk: Chunk, state: State, z: Tensor) -> Tensor:
    """The output at which the gradient of each component changes its sign, shape (n, d).

    It is NaN where the gradient is 0 on both sides. A last step by the secant is exact where the
    gradient is linear near its zero. There an earlier secant gives the last interval at once, which
    the signs at its two ends prove.
    """
    for reach in (NEAR_OUTPUT, LARGEST_OUTPUT):
        low, high = -reach * torch.ones_like(z), reach * torch.ones_like(z)
        at_low, at_high = chunk.run(state, low).gradient, chunk.run(state, high).gradient
        if bool((at_low <= 0).all()) and bool((at_high >= 0).all()):
            break
    weighted = (at_low.nan_to_num() != 0) | (at_high.nan_to_num() != 0)
    ends = _Ends(low, high, at_low, at_high)
    steps = int(np.log2(2 * reach / BRACKET))
    for left in range(steps, 0, -1):
        if left in SECANTS:
            root = ends.secant()
            ends = ends.cut(chunk, state, root - BRACKET / 2).cut(chunk, state, root + BRACKET / 2)
        if bool(((ends.high - ends.low <= BRACKET * 1.01) | ~weighted).all()):
            break
        ends = ends.cut(chunk, state, (ends.low + ends.high) / 2)
    return torch.where(weighted, ends.secant(), torch.nan)


@dataclass(frozen=True, eq=False)
class _Ends:
    """Outputs between which the gradient changes its sign, and the gradients there, (n, d) each."""

    low: Tensor
    high: Tensor
    at_low: Tensor
    at_high: Tensor

    def secant(self) -> Tensor:
        """Where the straight line between the ends is 0."""
        rise = self.at_high - self.at_low
        share = torch.where(rise > 0, -self.at_low / rise, 0.5)
        return self.low + share * (self.high - self.low)

    def cut(self, chunk: Chunk, state: State, output: Tensor) -> "_Ends":
        """The part on that side of an output where the sign changes."""
        output = torch.minimum(torch.maximum(output, self.low), self.high)
        gradient = chunk.run(state, output).gradient
        below = gradient < 0
        return _Ends(
            torch.where(below, output, self.low),
            torch.where(below, self.high, output),
            torch.where(below, gradient, self.at_low),
            torch.where(below, self.at_high, gradient),
        )


def _noises(chunk: Chunk, assumptions: Assumptions, layout: Layout, z_of_noise: Tensor) -> Noises:
    """The noises that z is made of.

    Where they were not recorded, the part of z that is noise stands for them, scaled to size 1.
    """
    drawn = chunk.draws.noises
    if assumptions.estimated_noise or not drawn:
        size = z_of_noise.square().nanmean(1, keepdim=True).sqrt()
        return Noises([z_of_noise / size], (1,))
    if layout.noises:
        held = [
            (value, source)
            for value, source in zip(drawn, layout.noises, strict=True)
            if source is not None
        ]
        values = [source.of(value).to(chunk.dtype) for value, source in held]
        return Noises(values, tuple(source.sharers for _, source in held))
    full = [chunk.rows(_as_large_as(value, chunk.x)) for value in drawn]
    values = [value[:, assumptions.components].contiguous() for value in full]
    return Noises(values, tuple(max(1, chunk.x.numel() // value.numel()) for value in drawn))


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
        y: What is regressed, shape (n, d); NaN where it is unknown, and left out.

    Returns:
        Coefficients of shape (n, k), NaN where nothing is known, and the relative size of what is
        left, shape (n,).
    """
    unknown = y.isnan()
    has_gaps = bool(unknown.any()) or not y.shape[1]
    if has_gaps:
        y = torch.where(unknown, 0, y)
        basis = [torch.where(unknown, 0, values) for values in basis]
    if len(basis) == 1:
        (row,) = basis
        coefficients = ((row * y).sum(1) / row.square().sum(1))[:, None]
        rest = y - coefficients * row
    else:
        rows = torch.stack(list(basis), 1)
        coefficients = torch.linalg.solve_ex(rows @ rows.mT, rows @ y[..., None])[0][..., 0]
        rest = y - (rows.mT @ coefficients[..., None])[..., 0]
    left = (_sizes(rest) / _sizes(y)).nan_to_num(0)
    if has_gaps:
        coefficients = torch.where(unknown.all(1, keepdim=True), torch.nan, coefficients)
    return coefficients, left


def relative_error(y: Tensor, expected: Tensor) -> Tensor:
    """Size of a difference in units of what was expected.

    Args:
        y: What was observed, shape (n, d).
        expected: What was expected, shape (n, d).

    Returns:
        The relative error of each sample, shape (n,); 0 for 0/0 and 1 where 0 was expected.
    """
    return (_sizes(y - expected) / _sizes(expected)).nan_to_num(0, posinf=1)


def _sizes(values: Tensor) -> Tensor:
    """Norm of each row, shape (n,), without the other kinds that ``Tensor.norm`` chooses from."""
    return torch.linalg.vector_norm(values, dim=1)


def _float64(values: Tensor) -> NDArray:
    """A tensor as a float64 array."""
    return values.detach().double().numpy(force=True)
