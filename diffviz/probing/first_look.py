"""A first look at a loss: which assumptions hold, and by which method it is read.

One chunk is enough. What is found is a frozen record, ``FirstLook``, that the measurement takes as
its argument. What cannot be taken for granted is said in its notes.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffviz.checks import require
from diffviz.probing.augmentation import NOTE as AUGMENTED
from diffviz.probing.augmentation import read_augmented
from diffviz.probing.coefficients import (
    LOCAL_ERROR,
    Assumptions,
    Coefficients,
    ErrorSize,
    LeastError,
    Method,
    find_name,
    level_of,
    observe,
    read,
    relative_error,
)
from diffviz.probing.correlation import spread
from diffviz.probing.coupling import (
    BY_OTHERS,
    COMMON,
    OF_KNOWN_TARGET,
    OUTPUTS,
    Coupling,
    find_coupling,
    has_no_target,
    is_linear,
)
from diffviz.probing.dependence import CATEGORICAL, Dependence, find_dependence, judges_of
from diffviz.probing.draws import NOTHING_KNOWN, Known, Role, Signature
from diffviz.probing.layout import (
    Layout,
    Traced,
    has_gaps,
    level_groups,
    relative_data_scale,
    trace_all,
    trace_noise,
)
from diffviz.probing.session import Chunk, Response, State

TOLERANCE = 2e-3  # relative error up to which an assumption holds
TOLERANCE_OF_FEW_BITS = 0.05  # the same where the network gets bfloat16 or half
LARGEST_DATA = OUTPUTS[1] / COMMON  # beyond, an output looks as if it did not count
STANDARDISE = "standardise them, x = (x - x.mean(0)) / x.std(), and probe again"
RARE = 0.01  # share of draws that may miss the tolerance
A_LITTLE = 0.01  # by which data grow, so little that hardly any cross a threshold
FEW_COMPONENTS = 256  # components that are read where all agree
SCATTER = 0.01  # relative scatter of the weights of one level that counts
FAR = 2.0**7  # size of output at which a squared error outgrows what is added to it
NEARLY_SQUARED = 0.02  # relative deviation there from one slope for all components
MIXED = 0.1  # relative change of a slope by errors of other components that counts
SAMPLES_OF_NOISE = 512  # from which correlations are told
NUMBERS_OF_NOISE = 2**18
SCATTER_OF_SIZE = 10.0  # nats times the root of the number of components, in estimates of a level
SAME_LEVEL = 0.2  # nats, less than which rounding to few bits may move a level
ADDED = (
    "the loss has a term besides the squared error that mixes components and grows more slowly (a "
    "similarity of output and target or of features, a norm?): target and factor cannot be told; "
    "probe the loss without that term"
)
CORRELATED = "the noise is correlated"  # with which notes on such noise begin
ONE_LEVEL_A_FACTOR = (
    "a batch has one level, and its gradients are divided by what its own errors give: the weight "
    "of a level is that of its error; probe the loss before that step"
)


@dataclass(frozen=True)
class FirstLook:
    """What a first look finds.

    Attributes:
        assumptions: What a reading may take for granted.
        tolerance: Relative error up to which an assumption holds.
        components: Number of components of a sample.
        one_level: All samples of a call have one noise level.
        scatters: Samples of one level differ in weight.
        factor_readable: Whether the factor can be read; path and density always can.
        notes: What cannot be taken for granted, in words.
        dependence: What of the target comes from a network.
        known: What is known of draws beyond their shapes.
        inexact: Log-SNR or factor are no exact description of the loss; a note says why.
        coupling: What of a sample's weight is not its own.
        mixed: The gradient at one component depends on the errors of others.
        loose: Levels depend on draws that were not put in even order.
        added: Something that is no squared error is added to one, and hides its target.
    """

    assumptions: Assumptions
    tolerance: float
    components: int
    one_level: bool
    factor_readable: bool
    notes: tuple[str, ...]
    dependence: Dependence = field(default_factory=Dependence)
    known: Known = NOTHING_KNOWN
    inexact: bool = False
    scatters: bool = False
    coupling: Coupling = field(default_factory=Coupling)
    mixed: bool = False
    loose: bool = False
    added: bool = False


@dataclass(frozen=True)
class LossForm:
    """How the loss depends on the network's output.

    Attributes:
        method: How h and the target are found.
        notes: What this means for the factor, in words.
        factor_readable: Whether the factor can be read.
        uneven: Components weigh differently.
        inexact: The factor is no exact description of the loss.
        mixed: The gradient at one component depends on the errors of others.
        added: Something that is no squared error is added to one, and hides its target.
    """

    method: Method
    notes: tuple[str, ...] = ()
    factor_readable: bool = True
    uneven: bool = False
    mixed: bool = False
    inexact: bool = False
    added: bool = False


@dataclass(frozen=True)
class Finding:
    """A step of a first look.

    Attributes:
        assumptions: What a reading may take for granted.
        notes: What cannot be, in words.
        inexact: Log-SNR is no exact description of the loss.
    """

    assumptions: Assumptions
    notes: tuple[str, ...] = ()
    inexact: bool = False


def look(chunk: Chunk, error: ErrorSize | LeastError | None = None) -> FirstLook:
    """Look at one chunk.

    Args:
        chunk: A small batch with recorded draws.
        error: Size of the error at which a loss that is not squared is read.

    Returns:
        What holds of the loss.

    Raises:
        ValueError: The loss draws what cannot be replayed, or only one sample reaches it.
        TypeError: The loss returns no tensor.
    """
    signs = np.random.default_rng(0)
    chunk = _with_known_draws(chunk)
    nothing = chunk.run(State.NOTHING)
    direction = _random_signs(signs, nothing.z)
    noise = chunk.run(State.NOISE)
    again = chunk.run(State.NOISE, direction)
    _check_replay(noise, again, chunk.run(State.NOISE, direction))
    tolerance = _tolerance(again.dtype)
    components = noise.z.shape[1]
    external_noise = torch.equal(nothing.z, noise.z)
    assumptions = Assumptions(
        direction,
        external_noise=external_noise,
        estimated_noise=external_noise,
        constant_input=bool(nothing.z.any() or nothing.gradient.any()),
        error=error,
    )
    notes = _notes_on_noise(chunk, external_noise, components) + _notes_on_calls(chunk)

    chunk, path = _path_and_noise(chunk, assumptions, tolerance)
    assumptions = path.assumptions
    first = read(chunk, assumptions)
    form = LossForm(Method.SUM_RULE)
    if _fails(first.square_error, tolerance):
        other = _random_signs(signs, nothing.z)
        form = _form_of(chunk, assumptions, other, tolerance)
    assumptions = _with_form(assumptions, form)
    unexplained = not form.added and _fails(np.nan_to_num(first.target_error), tolerance)
    dependence = find_dependence(chunk, direction, unexplained=unexplained)
    one_level = _has_one_level(first, tolerance)
    coupling = _coupling_of(chunk, direction, form, dependence)
    coupling = _without_common_level(coupling) if one_level else coupling
    coupling = _with_target(chunk, assumptions, coupling, tolerance)
    if coupling.clamped:
        form, coupling, named = _below_the_bound(chunk, assumptions, form, coupling)
        assumptions = replace(_with_form(assumptions, form), named=named)
    if coupling.has_target:
        assumptions = replace(assumptions, method=Method.DIRECTION)
        form = LossForm(Method.DIRECTION, factor_readable=False)
    return FirstLook(
        assumptions=replace(assumptions, stride=_stride(assumptions, components)),
        tolerance=tolerance,
        components=components,
        one_level=one_level,
        factor_readable=form.factor_readable,
        notes=notes + path.notes + form.notes + dependence.notes + coupling.notes,
        dependence=dependence,
        known=chunk.draws.known,
        scatters=bool(np.std(first.h) > SCATTER * abs(np.mean(first.h))),
        inexact=path.inexact or form.inexact or form.added or coupling.found or dependence.changes,
        coupling=coupling,
        mixed=form.mixed,
        added=form.added,
        loose=_follows_the_seed(chunk, path.assumptions, first),
    )


def _with_form(assumptions: Assumptions, form: LossForm) -> Assumptions:
    """The same with how h and the target are found."""
    uneven = form.uneven or assumptions.layout.has_parts  # some of which may have no weight
    return replace(assumptions, method=form.method, uneven=uneven)


def _below_the_bound(
    chunk: Chunk, assumptions: Assumptions, form: LossForm, coupling: Coupling
) -> tuple[LossForm, Coupling, str]:
    """How a clamped loss is read below its bound, or why it is not, and the name of its target.

    Where the usual outputs are beyond the bound in some states, gradients there tell nothing of h.
    """
    is_plain = not (assumptions.external_noise or assumptions.changed_data)
    name = find_name(chunk, assumptions) if is_plain else None
    if name is not None:
        note = f"the factor is read at an error of {LOCAL_ERROR} a component"
        return LossForm(Method.NAMED, (note,), uneven=True), coupling, name
    is_read = form.method is Method.SUM_RULE and _reaches_all(chunk, assumptions)
    if is_read or not form.factor_readable:
        return form, coupling, assumptions.named
    reason = (
        "no weighting: the loss is clamped, errors at the outputs that tell the target are beyond "
        "the bound, and the target is none of eps, x, u and v: probe the loss before that step"
    )
    return form, replace(coupling, refusal=reason), assumptions.named


def _reaches_all(chunk: Chunk, assumptions: Assumptions) -> bool:
    """Whether all outputs of the sum rule have a gradient in all samples with data or noise."""
    gradients = [
        chunk.run(State.BOTH, assumptions.direction).gradient,
        chunk.run(State.DATA, LOCAL_ERROR * assumptions.direction).gradient,
        chunk.run(State.NOISE, LOCAL_ERROR * assumptions.direction).gradient,
    ]
    return all(bool((gradient != 0).double().mean() > 1 - RARE) for gradient in gradients)


def _follows_the_seed(chunk: Chunk, assumptions: Assumptions, first: Coefficients) -> bool:
    """Whether levels are others with other draws, though the times in even order are the same."""
    if not chunk.is_stratified:
        return False
    other = read(chunk.reseeded(), assumptions)
    levels = level_of(first), level_of(other)
    if len(levels[0]) != len(levels[1]):
        return True
    known = np.isfinite(levels).all(0)
    allowed = SAME_LEVEL
    if assumptions.external_noise or assumptions.estimated_noise:
        allowed += SCATTER_OF_SIZE / np.sqrt(chunk.x[0].numel())
    return bool((np.abs(levels[1][known] - levels[0][known]) > allowed).any())


def _with_target(
    chunk: Chunk, assumptions: Assumptions, coupling: Coupling, tolerance: float
) -> Coupling:
    """The same with what the directions of gradients tell, where errors of others weight them."""
    fewest = 3 + len(chunk.draws.noises)  # unknowns, and one more to tell them by
    if not coupling.by_errors or assumptions.direction.numel() < fewest:
        return coupling
    part = read(chunk, replace(assumptions, method=Method.DIRECTION))
    weighted = (part.h != 0) & np.isfinite(part.h)
    if not weighted.any() or _fails(part.target_error[weighted], tolerance):
        return coupling
    refusal = f"no weighting: {BY_OTHERS}: {OF_KNOWN_TARGET}"
    return replace(coupling, has_target=True, refusal=refusal)


def _too_large(chunk: Chunk) -> str:
    """A note where the network sees data beside which no output that is tried counts."""
    largest = float(chunk.x.abs().max())
    if largest <= LARGEST_DATA or float(chunk.run(State.DATA).z.abs().median()) <= LARGEST_DATA:
        return ""
    return (
        f"the network sees data that reach {largest:.3g}, beside which the outputs that are "
        f"tried are too small to find a target: {STANDARDISE}"
    )


def _cause(chunk: Chunk, by: str) -> str:
    """Why no output is the best: the data are too large, or something judges the output."""
    largest = float(chunk.x.abs().max())
    if largest > OUTPUTS[-1]:
        return f"or the data, which reach {largest:.3g}, are too large to tell: {STANDARDISE}"
    return (
        f"something judges it{by}: an adversarial, preference or similarity loss? path and "
        "density are as told"
    )


def _coupling_of(
    chunk: Chunk, direction: Tensor, form: LossForm, dependence: Dependence
) -> Coupling:
    """What of a sample's weight is not its own, or why there is no such weight."""
    if dependence.found:
        return Coupling()
    if note := _too_large(chunk):
        return Coupling(notes=(note,), refusal=f"no weighting: {note}")
    judges = judges_of(chunk, direction)
    by = f" ({', '.join(judges)})" if judges else ""
    if CATEGORICAL & set(judges) and not form.added:
        note = (
            f"the network answers with categories{by}: a discrete or masked diffusion has no "
            "Gaussian noise, and so no weighting over log-SNR"
        )
        return Coupling(notes=(note,), refusal=f"no weighting: {note}")
    coupling = find_coupling(chunk, direction, mixed=form.mixed)
    is_squared = form.method is Method.SUM_RULE and form.factor_readable
    if coupling.refusal or (is_squared and not is_linear(chunk, direction)):
        return coupling
    if is_squared or has_no_target(chunk, direction):
        note = f"the loss pulls the output towards no target; {_cause(chunk, by)}"
        return Coupling(notes=(note,), refusal=f"no weighting: {note}")
    return coupling


def _without_common_level(coupling: Coupling) -> Coupling:
    """The same where a call has one level, of which a factor common to the call is no part."""
    if not coupling.common:
        return coupling
    return replace(coupling, refusal=f"no weighting: {ONE_LEVEL_A_FACTOR}")


# Path --------------------------------------------------------------------------------------------


def _with_known_draws(chunk: Chunk) -> Chunk:
    """The same batch, with what the shapes of its draws do not tell.

    Noise may be rescaled or drawn in parts, and a normal draw may be a time or no noise at all.
    """
    nothing = chunk.run(State.NOTHING)
    if not nothing.z.isfinite().all():
        for needs_data in (False, True):  # as a mask that is made of them does
            known = replace(chunk.draws.known, always_on=True, needs_data=needs_data)
            if _is_rescaled_noise(chunk.knowing(known)):
                return chunk.knowing(replace(known, unit_noise=True))
    if _needs_data(chunk) or _has_levels_of_data(chunk):
        grows = _grows_with_data(chunk)
        chunk = chunk.knowing(replace(chunk.draws.known, needs_data=True, grows_with_data=grows))
    if all(noise.numel() != chunk.x.numel() for noise in chunk.draws.noises):
        in_parts = chunk.knowing(replace(chunk.draws.known, in_parts=True))
        chunk = in_parts if _has_noise_in_parts(in_parts) else chunk
    roles = _roles_of_noises(chunk)
    chunk = chunk.knowing(replace(chunk.draws.known, roles=roles)) if roles else chunk
    is_fixed = _has_noise_of_fixed_size(chunk)
    return chunk.knowing(replace(chunk.draws.known, unit_noise=True)) if is_fixed else chunk


def _needs_data(chunk: Chunk) -> bool:
    """Whether noise reaches components beside the data, and not without them."""
    noise = chunk.run(State.NOISE).z
    beside = chunk.run(State.BOTH).z - chunk.run(State.DATA).z
    if noise.shape != beside.shape:
        return len(noise) == 0
    lost = (noise == chunk.run(State.NOTHING).z) | noise.isnan()
    return bool((lost & (beside != 0) & beside.isfinite()).double().mean() > RARE)


def _grows_with_data(chunk: Chunk) -> bool:
    """Whether the noise beside twice the data is twice as large, as in units of their spread."""
    once = chunk.run(State.BOTH).z - chunk.run(State.DATA).z
    data = 2 * chunk.x
    twice = chunk.run(State.BOTH, data=data).z - chunk.run(State.DATA, data=data).z
    return not _differ(twice, 2 * once)


def _has_levels_of_data(chunk: Chunk) -> bool:
    """Whether data and noise add up only while the data are there, as where data choose levels."""
    alone = [chunk.run(state).z for state in (State.DATA, State.NOISE, State.NOTHING)]
    both = chunk.run(State.BOTH).z
    if len({z.shape for z in (both, *alone)}) > 1 or not chunk.draws.noises:
        return False
    if not _differ(alone[0] + alone[1] - alone[2], both):
        return False
    beside = chunk.knowing(replace(chunk.draws.known, needs_data=True))
    noise, data = (beside.run(state).z for state in (State.NOISE, State.DATA))
    twice = {number: 2 * noise for number, noise in enumerate(beside.draws.noises)}
    more_noise = beside.run(State.NOISE, noises=twice).z
    added = beside.run(State.DATA, data=(1 + A_LITTLE) * beside.x).z - data
    return not (_differ(more_noise, 2 * noise) or _differ(added, A_LITTLE * data))


def _differ(one: Tensor, other: Tensor) -> bool:
    """Whether more than a few rows differ, or are not finite."""
    error = relative_error(one, other)
    return bool(((error > TOLERANCE_OF_FEW_BITS) | ~other.isfinite().all(1)).double().mean() > RARE)


def _has_noise_of_fixed_size(chunk: Chunk) -> bool:
    """Whether noise of twice the size is the same noise, as where it is divided by its size."""
    nothing, once = chunk.run(State.NOTHING).z, chunk.run(State.NOISE).z
    noises = enumerate(chunk.draws.noises)
    twice = chunk.run(State.NOISE, noises={number: 2 * noise for number, noise in noises}).z
    if not once.shape == twice.shape == nothing.shape or torch.equal(once, nothing):
        return False
    change = relative_error(twice - nothing, once - nothing)
    return bool(once.isfinite().all() and change.median() < TOLERANCE_OF_FEW_BITS)


def _is_rescaled_noise(chunk: Chunk) -> bool:
    """Whether z with noise that is always on is finite and linear in the data.

    So it is where noise is divided by its own size, and not where z is. The data are taken three
    times: a factor of 2 would fit whatever z does, since with such noise a state without data is
    extrapolated from once and twice the data.
    """
    without = chunk.run(State.NOTHING).z
    once = chunk.run(State.DATA).z - without
    thrice = chunk.run(State.DATA, data=3 * chunk.x).z - without
    adds = relative_error(thrice, 3 * once).median() < TOLERANCE_OF_FEW_BITS
    return bool(without.isfinite().all() and once.isfinite().all() and adds)


def _has_noise_in_parts(chunk: Chunk) -> bool:
    """Whether parts of noise are together one of which every number reaches z, or all of z."""
    chunk.run(State.NOTHING)  # records the draws
    whole = [i for i, noise in enumerate(chunk.draws.noises) if noise.shape == chunk.x.shape]
    traced = [trace_noise(chunk, number) for number in whole]
    held = [one for one in traced if one is not None]
    return any(one.reaches_all(chunk.x.numel()) or one.held is None for one in held)


def _roles_of_noises(chunk: Chunk) -> dict[Signature, Role]:
    """Roles of normal draws that have not the shape of the data and are no noise.

    As times do and noise does not, some change the coefficient of the data. Others, such as a
    condition, reach neither z nor the target.
    """
    others = [one for one in enumerate(chunk.draws.noises) if one[1].shape != chunk.x.shape]
    if not others:
        return {}
    roles = {}
    off = _data_alone(chunk, {})
    for number, noise in others:
        on = _data_alone(chunk, {number: noise})
        if on.shape != off.shape:
            continue
        if _moves(on, off):
            roles[chunk.draws.signature_of_noise(number)] = Role.TIME
        elif _is_idle(chunk, number):
            roles[chunk.draws.signature_of_noise(number)] = Role.OTHER
    return roles


def _is_idle(chunk: Chunk, number: int) -> bool:
    """Whether z and the gradient are the same with a noise and without it, all others being on."""
    noises = dict(enumerate(chunk.draws.noises))
    on = chunk.run(State.BOTH, noises=noises)
    off = chunk.run(State.BOTH, noises={key: noises[key] for key in noises if key != number})
    return torch.equal(on.z, off.z) and torch.equal(on.gradient, off.gradient)


def _moves(one: Tensor, other: Tensor) -> bool:
    """Whether most rows differ by more than rounding to few bits."""
    return bool(relative_error(one, other).median() > TOLERANCE_OF_FEW_BITS)


def _data_alone(chunk: Chunk, noises: dict[int, Tensor]) -> Tensor:
    """The part of z that comes from the data, with some noises on."""
    return chunk.run(State.DATA, noises=noises).z - chunk.run(State.NOTHING, noises=noises).z


def _path_and_noise(
    chunk: Chunk, assumptions: Assumptions, tolerance: float
) -> tuple[Chunk, Finding]:
    """How z is made, and the batch by which it is told.

    Where sigma is the size of what reaches z, the noise is of unit size in each sample.
    """
    is_rescaled = chunk.draws.known.unit_noise
    path = _look_at_path(chunk, assumptions, tolerance)
    if path.assumptions.estimated_noise and not (assumptions.external_noise or is_rescaled):
        chunk = chunk.knowing(replace(chunk.draws.known, unit_noise=True))
        chunk.run(State.NOTHING)  # records the draws
        path = _look_at_path(chunk, assumptions, tolerance)
    is_changed = is_rescaled or chunk.draws.known.grows_with_data
    return chunk, replace(path, inexact=path.inexact or is_changed)


def _look_at_path(chunk: Chunk, assumptions: Assumptions, tolerance: float) -> Finding:
    """Find how z is made of the data and the noise."""
    in_order = _may_be_in_order(chunk)
    may_lack_noise = assumptions.external_noise and chunk.draws.known.needs_data
    if in_order and not may_lack_noise:
        first = read(chunk, assumptions)
        data_fails = _fails(first.data_error, tolerance)
        noise_fails = _fails(first.noise_error, tolerance)
        if not (data_fails or noise_fails):
            return _finish(chunk, Finding(assumptions))
    data, noises = trace_all(chunk)
    z = chunk.standin.calls[chunk.standin.number or 0].z
    require(
        in_order or data is not None,
        f"the network gets {tuple(z.shape)} for x {tuple(chunk.x.shape)}, and {_misfit(chunk, z)}",
    )
    left_out = data is not None and data.held is not None
    augmented = read_augmented(chunk, assumptions, tolerance) if left_out else None
    if augmented is not None:
        return _finish(chunk, Finding(augmented[1], (AUGMENTED,)))
    return _look_at_places(chunk, assumptions, tolerance, data, noises)


def _misfit(chunk: Chunk, z: Tensor) -> str:
    """Why the numbers of z are not those of x, and what to do, in words."""
    if chunk.draws.noises or z.numel() >= chunk.x.numel():
        return (
            "its numbers are not those of x one by one: pick z by inputs=, or give x as the "
            "network sees it"
        )
    return (
        "no noise is drawn: if x holds pairs of data and noise, as for reflow, write a loss that "
        "takes the data alone and draws the noise; path, levels and factor are the same"
    )


def _look_at_places(
    chunk: Chunk,
    assumptions: Assumptions,
    tolerance: float,
    data: Traced | None,
    noises: list[Traced | None],
) -> Finding:
    """Find how z is made of data and noise that are not in their order, from where they are."""
    external = assumptions.external_noise
    known = [_is_known(chunk, number, noise) for number, noise in enumerate(noises)]
    mixed = _notes_on_mixed_noise(noises) if all(known) else ()
    is_drawn = all(known) and any(noise is not None for noise in noises)
    estimated = external or bool(mixed) or not is_drawn
    layout, notes = _layout(chunk, data, [] if estimated else noises, tolerance)
    notes += mixed
    changed = data is None
    assumptions = replace(
        assumptions, layout=layout, changed_data=changed, estimated_noise=estimated
    )
    reading = read(chunk, assumptions)
    if _is_function_of_data(chunk, assumptions, reading, tolerance):
        return _finish(chunk, Finding(replace(assumptions, changed_data=True), inexact=True))
    bent = _notes_on_bent_input(chunk, reading, tolerance, changed=changed)
    inexact = changed or bool(bent) or bool(mixed) or layout.gaps
    return _finish(chunk, Finding(assumptions, notes + bent, inexact=inexact))


def _is_known(chunk: Chunk, number: int, noise: Traced | None) -> bool:
    """Whether it is known what z holds of a noise, or that it holds nothing of it."""
    if noise is not None:
        return True
    drawn = chunk.draws.noises[number]
    on, off = chunk.run(State.NOISE, noises={number: drawn}), chunk.run(State.NOTHING)
    return torch.equal(on.z, off.z)


def _notes_on_mixed_noise(noises: list[Traced | None]) -> tuple[str, ...]:
    """Says that some components hold noise that others hold too, and none of their own."""
    traced = [noise for noise in noises if noise is not None]
    own = [noise.coefficient != 0 for noise in traced if not noise.source.shared]
    shared = [noise.coefficient != 0 for noise in traced if noise.source.shared]
    if not own or not shared:
        return ()
    lacking = torch.stack(shared).any(0) & ~torch.stack(own).any(0)
    if not lacking.any():
        return ()
    return (
        f"{CORRELATED} between components: {float(lacking.double().mean()):.2g} of them "
        "hold noise that others hold too and none of their own, so that λ differs between "
        "directions; that of each component is taken",
    )


def _is_function_of_data(
    chunk: Chunk, assumptions: Assumptions, reading: Coefficients, tolerance: float
) -> bool:
    """Whether z is a sum of noise and a function of the data that is not the data, as clamped."""
    layout = assumptions.layout
    if assumptions.changed_data or layout.has_parts or layout.data_scale is not None:
        return False
    if not _fails(reading.data_error, tolerance):
        return False
    changed = read(chunk, replace(assumptions, changed_data=True))
    return not (_fails(changed.data_error, tolerance) or _fails(changed.noise_error, tolerance))


def _may_be_in_order(chunk: Chunk) -> bool:
    """Whether z and all noises have the shape of the data, or can be broadcast to it."""
    z = chunk.standin.choose().z
    if z.numel() != chunk.x.numel() or len(z) != len(chunk.x):
        return False
    leading = [noise.shape == chunk.x.shape[: noise.ndim] for noise in chunk.draws.noises]
    broadcast = [
        noise.ndim == chunk.x.ndim
        and all(a in (1, b) for a, b in zip(noise.shape, chunk.x.shape, strict=True))
        for noise in chunk.draws.noises
    ]
    same_size = [noise.numel() == chunk.x.numel() for noise in chunk.draws.noises]
    return all(map(any, zip(leading, broadcast, same_size, strict=True)))


def _layout(
    chunk: Chunk, data: Traced | None, noises: list[Traced | None], tolerance: float
) -> tuple[Layout, tuple[str, ...]]:
    """Places and groups of components, and notes on them."""
    if data is None:
        return Layout(), ()
    held = [noise for noise in noises if noise is not None]
    layout = _places(data, noises)
    own = [noise.coefficient for noise in held if not noise.source.shared]
    alpha = data.coefficient
    sigma = torch.stack(own).square().sum(0).sqrt() if own else _places_of_noise(chunk)
    if has_gaps(alpha, sigma):
        share = float((alpha == 0).double().mean())
        note = (
            f"{share:.2g} of the components reach the network without data, others in each sample "
            "(dropped or masked at random?): λ and w are those of a component that is kept"
        )
        return replace(layout, gaps=True), (*_notes_on_places(chunk, layout), note)
    if not own:
        return layout, _notes_on_places(chunk, layout)
    scale = relative_data_scale(alpha.numpy(force=True), sigma.numpy(force=True))
    if scale is not None:
        if np.abs(scale - 1).max() > tolerance:
            layout = replace(layout, data_scale=torch.from_numpy(scale).to(chunk.dtype))
        return layout, _notes_on_places(chunk, layout) + _notes_on_scale(layout)
    logsnr = 2 * (alpha.abs() / sigma).log()
    groups, mixed = level_groups(logsnr)
    require(groups, "no component of z holds both data and noise; is inputs= the noised x?")
    layout = replace(layout, groups=groups, mixed=mixed)
    return layout, _notes_on_places(chunk, layout) + _notes_on_groups(layout, logsnr)


def _places_of_noise(chunk: Chunk) -> Tensor:
    """1 where noise that is always on may reach z, and 0 elsewhere, shape (rows, d)."""
    z = chunk.run(State.NOISE).z
    return (z != 0).to(z) if chunk.draws.known.needs_data else torch.ones_like(z)


def _places(data: Traced, noises: list[Traced | None]) -> Layout:
    """Which numbers the components hold; those of a noise that is not in z are None."""
    sources = [None if noise is None else noise.source for noise in noises]
    known = [data.source, *(source for source in sources if source is not None)]
    return Layout(
        data=None if data.source.in_order else data.source,
        noises=tuple(sources),
        retraced=any(source.inside is None for source in known),
    )


def _notes_on_places(chunk: Chunk, layout: Layout) -> tuple[str, ...]:
    """Says where data reach the network otherwise than in their order."""
    if layout.retraced and layout.data is not None and len(layout.data.places) == chunk.size:
        return (
            "data reach the network changed at random (flipped, moved or paired anew in each "
            "sample): their places are found in each batch",
        )
    return ()


def _notes_on_scale(layout: Layout) -> tuple[str, ...]:
    """Says where data are scaled component by component."""
    if layout.data_scale is None:
        return ()
    sizes = layout.data_scale.abs()
    return (
        "data are scaled component by component (by channel?): λ is that of the scaled data; of x "
        f"itself it runs from {-2 * float(sizes.max().log()):+.2f} to "
        f"{-2 * float(sizes.min().log()):+.2f} nats about it",
    )


def _notes_on_groups(layout: Layout, logsnr: Tensor) -> tuple[str, ...]:
    """Says where components of one sample differ in level."""
    notes = []
    d = logsnr.shape[1]
    count = sum(len(group) for group in layout.groups)
    if layout.mixed:
        notes.append(
            "a sample holds many noise levels, or several in places that change with the draw; "
            f"each of the {len(layout.groups)} parts is one component, and all have no weighting"
        )
    elif len(layout.groups) > 1:
        sizes = ", ".join(str(len(group)) for group in layout.groups[:8])
        notes.append(
            f"a sample holds {len(layout.groups)} noise levels, in groups of {sizes}"
            f"{', ...' if len(layout.groups) > 8 else ''} components: each has a weighting of its "
            "own in parts"
        )
    if not layout.mixed and count < d:
        notes.append(f"{d - count} of {d} components hold no noise or no data: left out")
    return tuple(notes)


def _notes_on_bent_input(
    chunk: Chunk, first: Coefficients, tolerance: float, *, changed: bool
) -> tuple[str, ...]:
    """Says how z is bent, where it is not the sum of its parts."""
    fails = _fails(first.data_error, tolerance) or _fails(first.noise_error, tolerance)
    how = _bend(chunk.run(State.BOTH).z)
    if changed:  # which is said in a note of its own
        return (f"z is {how}",) if how else ()
    if not fails:
        return ()
    errors = np.maximum(first.data_error, first.noise_error)
    error = float(np.median(errors[errors > tolerance]))
    return (
        f"z is not the sum of a part of x and a part of the noise (off by {error:.2g}; "
        f"{how or 'normalised, bent, or paired anew when the noise is on'}): λ is that of each "
        "part alone",
    )


def _bend(z: Tensor) -> str:
    """What was done to the numbers of z, in words; empty where it cannot be told."""
    largest = z.abs().max()
    at_the_end = float((z.abs() > largest * (1 - 1e-6)).double().mean())
    if at_the_end > 2 / z.numel():
        return f"clipped at ±{float(largest):.3g}"
    values = len(z.unique())
    return f"rounded to {values} values" if values < min(1000, z.numel() / 2) else ""


def _finish(chunk: Chunk, finding: Finding) -> Finding:
    """Add what is to be said of correlated noise."""
    note = _note_on_correlation(chunk, finding.assumptions)
    if not note:
        return finding
    return replace(finding, notes=(*finding.notes, note), inexact=True)


def _note_on_correlation(chunk: Chunk, assumptions: Assumptions) -> str:
    """Says how far λ differs between directions; empty where it does not, or is told elsewhere."""
    layout = assumptions.layout
    is_changed = assumptions.estimated_noise or chunk.draws.known.unit_noise
    if layout.retraced or layout.has_parts or not is_changed:
        return ""
    more = chunk.larger(min(SAMPLES_OF_NOISE, max(1, NUMBERS_OF_NOISE // chunk.x[0].numel())))
    nothing = 0 if assumptions.external_noise else more.run(State.NOTHING).z
    noise = more.run(State.NOISE).z - nothing
    variances = spread(noise.double().numpy(force=True), tuple(chunk.x.shape[1:]))
    if variances is None:
        return ""
    return f"{CORRELATED} between components: λ is that of its mean variance, and runs {variances}"


def _random_signs(rng: np.random.Generator, z: Tensor) -> Tensor:
    """An output of random signs, shape (d,)."""
    return torch.from_numpy(rng.choice([-1.0, 1.0], z.shape[1])).to(z)


def _check_replay(noise: Response, again: Response, third: Response) -> None:
    """Refuse a loss that cannot be replayed, or whose gradient reaches one sample only.

    The second and the third run have the same output of the network.
    """
    gradients = [run.gradient.double().nan_to_num() for run in (again, third)]
    moved = (gradients[1] - gradients[0]).norm() > _tolerance(again.dtype) * gradients[0].norm()
    require(
        torch.equal(noise.z.nan_to_num(), again.z.nan_to_num()) and not moved,
        "the loss draws what cannot be replayed; draw with torch, np.random, or a generator it "
        "reaches by name, and keep counters where it reaches them by name",
    )
    reached = again.gradient.any(1)
    if len(reached) == 1 or reached.sum() != 1:
        return
    require(
        not reached[1:].any(),
        "the loss of a batch is that of one of its samples (the median, the largest?): such a loss "
        "has no weighting of each level; probe the losses of all samples, before that step",
    )
    raise ValueError(
        "only one sample's output reaches the loss: if it takes out[0] of a tuple, "
        "output=lambda out: (out,); if it takes the median or the largest loss, probe the losses "
        "of all samples"
    )


def _tolerance(dtype: torch.dtype) -> float:
    """Relative error up to which an assumption holds, by the bits of what the network gets."""
    return TOLERANCE_OF_FEW_BITS if torch.finfo(dtype).bits < 32 else TOLERANCE


def _fails(error: NDArray, tolerance: float) -> bool:
    """Whether an assumption fails for more than a few draws."""
    return bool((error > tolerance).mean() > RARE)


def _notes_on_noise(chunk: Chunk, external: bool, components: int) -> tuple[str, ...]:
    """Says where sigma is estimated, or is one of rescaled noise."""
    if chunk.draws.known.grows_with_data:
        return (
            "the noise grows with the data (drawn in units of their own spread or size?): all is "
            "read for the first sample in the place of each, and λ is higher by 2 log k for data "
            "of a k times smaller spread; to have no such step, give x standardised and leave it "
            "out",
        )
    if chunk.draws.known.unit_noise:
        return (
            "the noise is rescaled by its own statistics (divided by its standard deviation, norm "
            "or largest value?): sigma is the size that it has then",
        )
    if not external:
        return ()
    percent = 100 / np.sqrt(2 * components)
    return (
        "the noise is not drawn by torch's or NumPy's normal functions for all samples at once: "
        f"sigma is estimated, each draw to ±{percent:.2g} %; where the loss draws it sample by "
        "sample, give batch=1",
    )


def _notes_on_calls(chunk: Chunk) -> tuple[str, ...]:
    """Says which call is probed where the loss calls its network several times."""
    calls = len(chunk.standin.calls)
    if calls == 1:
        return ()
    if calls == chunk.size:
        return (
            f"the loss calls its network {calls} times, once for each sample: this is the last; "
            "give batch=1 to have all read",
        )
    return (
        f"the loss calls its network {calls} times: this is call {chunk.standin.number}, "
        "the others gave 0 (choose by call=)",
    )


def _has_one_level(first: Coefficients, tolerance: float) -> bool:
    """Whether all samples of a call have the same log-SNR, as exactly as it can be told."""
    alike = 1e-4 if tolerance <= TOLERANCE else tolerance
    level = level_of(first) / 2
    has_level = np.isfinite(level)  # data or noise are dropped elsewhere
    groups = [level[(first.group == group) & has_level] for group in np.unique(first.group)]
    return all(len(one) > 1 and bool(np.ptp(one) < alike) for one in groups)


def _stride(assumptions: Assumptions, components: int) -> int:
    """One component in how many is read: where all agree, some tell as much as all."""
    exact = not (assumptions.changed_data or assumptions.estimated_noise)
    even = not assumptions.uneven and assumptions.layout.plain
    if assumptions.method is Method.SUM_RULE and exact and even:
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
        return _local_form(chunk, replace(assumptions, method=Method.BISECTION), other)
    slope_of_other = chunk.run(State.BOTH, other).gradient - none
    mixed = relative_error(slope_of_other * other, slope * direction).median() > tolerance
    mean_slope = (slope * direction).mean(1, keepdim=True)
    even = bool(relative_error(slope, mean_slope * direction).median() < tolerance)
    if mixed and not even:
        note = "errors are mixed across components: factor and target are averages"
        return LossForm(Method.TWO_OUTPUTS, (note,), inexact=True, mixed=True)
    fixed = not _fails_by_state(chunk, slope, direction, tolerance)
    notes = _notes_on_weight(even=even, fixed=fixed)
    method = Method.SUM_RULE if fixed else Method.TWO_OUTPUTS
    return LossForm(method, notes, uneven=not even)


def _fails_by_state(chunk: Chunk, slope: Tensor, direction: Tensor, tolerance: float) -> bool:
    """Whether the weight of more than a few samples differs between states of data and noise."""
    for state in (State.NOTHING, State.DATA, State.NOISE):
        alone = chunk.run(state, direction).gradient - chunk.run(state).gradient
        known = alone.isfinite().all(1)  # a mean over no components is none
        differs = known & (relative_error(alone, slope) > tolerance)
        if differs.double().mean() > RARE or not known.double().mean() > 0.5:
            return True
    return False


def _notes_on_weight(*, even: bool, fixed: bool) -> tuple[str, ...]:
    """Says what the factor means where the weight is not a number for each sample."""
    notes = []
    if not fixed:
        notes.append(
            "the weight depends on the data or the noise: its value at x and eps as drawn is taken"
        )
    if not even:
        notes.append(
            "components weigh differently (a mask?): the factor is the mean over all of them"
        )
    return tuple(notes)


def _local_form(chunk: Chunk, assumptions: Assumptions, other: Tensor) -> LossForm:
    """The form of a loss that is not squared: a factor near the target, if components are apart."""
    direction = assumptions.direction
    states = observe(chunk, assumptions)
    target = states.both.target.nan_to_num(0)
    near = chunk.run(State.BOTH, target + LOCAL_ERROR * direction).gradient * direction
    near_other = chunk.run(State.BOTH, target + LOCAL_ERROR * other).gradient * other
    mixed = relative_error(near_other, near).median() > MIXED
    at_one = (chunk.run(State.BOTH, target + direction).gradient * direction).mean(1)
    decay = at_one / states.h.mean(1)
    note = (
        "not a squared loss, or weighted by its error: the factor is local, at an error of "
        f"{_size_in_words(assumptions)} a component"
    )
    if decay.isfinite().any():
        note += f"; at 1 it is {decay.nanmedian():.3g} times that"
    if mixed and _is_squared_far_out(chunk, direction, other):
        return LossForm(method=Method.SUM_RULE, notes=(ADDED,), factor_readable=False, added=True)
    components_apart = not mixed and bool((decay[decay.isfinite()] > 0).all())
    method = Method.BISECTION if components_apart else Method.SUM_RULE
    return LossForm(
        method, (note,), factor_readable=components_apart, uneven=components_apart, inexact=True
    )


def _is_squared_far_out(chunk: Chunk, direction: Tensor, other: Tensor) -> bool:
    """Whether a loss is a squared error where errors are large, with one weight for a sample.

    So it is where something is added that grows more slowly, such as a cosine.
    """
    slopes = []
    for signs in (direction, other):
        far, farther = (chunk.run(State.BOTH, FAR * k * signs).gradient for k in (1, 2))
        slopes.append((farther - far) * signs)
    h = slopes[0].mean(1, keepdim=True)
    active = (h > 0)[:, 0] & h[:, 0].isfinite()
    error = torch.stack([relative_error(one, h.expand_as(one)) for one in slopes]).amax(0)
    return bool(active.any() and error[active].median() < NEARLY_SQUARED)


def _size_in_words(assumptions: Assumptions) -> str:
    """The size of the error at which the factor is local."""
    if isinstance(assumptions.error, LeastError):
        return "the least size for these data"
    return f"{LOCAL_ERROR}" if assumptions.error is None else "the given size"
