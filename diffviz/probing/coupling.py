"""Whether the weight of one sample depends on the others of its batch, and of what size errors are.

A loss that divides by the sum of its weights in a batch has no weight of a sample's own: that of a
level is a mean over what else may be drawn, and differs between sizes of a batch. A loss that keeps
the hardest samples, or compares pairs of them, weights a sample by the errors of others. Both are
found by changing half of a batch and looking at the gradient of the other half.

A loss that is clamped has no gradient where the error is large, or small. It is found by outputs of
very different sizes.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffviz.probing.session import Chunk, Response, State

MOVED = 0.01  # relative change of a gradient that counts
COMMON = 1e-3  # relative scatter of a change that is one factor for all samples
OUTPUTS = (0.737, 23.7, 741.3)  # sizes of output at which a gradient is looked for
NEAR = 0.02  # error of a component at which the gradient is compared with that of large ones
OFF = 0.1  # relative difference of these gradients that counts
KNOTS = 40  # between which weights follow a line
NEAR_EACH_OTHER = 0.3  # size of outputs between which samples that are pushed apart feel it
ADDED = 0.1  # relative part of a change of gradients that is along no sample's own
RARE = 0.01  # share of the numbers that may differ by chance

BY_OTHERS = (
    "the weight of a sample depends on the errors of the others (the hardest are kept, or samples "
    "are ranked or compared in pairs, as chosen with rejected ones?)"
)
OF_OTHERS = (
    "the loss has a term besides the error of each sample: its gradient at one sample depends on "
    "the outputs of others (samples are pushed apart or compared, as by a dispersive term?): path "
    "and density are as told; probe the loss without that term"
)
OF_UNKNOWN_TARGET = (
    "path and density are as told, the target is not; probe the loss before that step"
)
OF_KNOWN_TARGET = "path, density and target are as told; probe the loss before that step"


@dataclass(frozen=True)
class Coupling:
    """What of a sample's weight is not its own.

    Attributes:
        by_levels: It depends on the levels of the other samples; the note on it names the size of
            the batch, and is written where that is known.
        notes: What was found, in words.
        refusal: Why there is no weighting; empty where there is one.
        common: All gradients of a batch have a factor in common that is no other batch's.
        has_target: There is no weighting, but a target, which the directions of gradients tell.
        clamped: Large errors have no gradient.
    """

    by_levels: bool = False
    notes: tuple[str, ...] = ()
    refusal: str = ""
    common: bool = False
    has_target: bool = False
    clamped: bool = False

    @property
    def by_errors(self) -> bool:
        """Whether the weight of a sample depends on the errors of others, each in its own way."""
        return BY_OTHERS in self.notes

    @property
    def found(self) -> bool:
        """Whether anything was found."""
        return self.by_levels or bool(self.notes)


def has_no_target(chunk: Chunk, direction: Tensor) -> bool:
    """Whether a loss pulls the output towards nothing, as an adversarial loss does.

    Args:
        chunk: A small batch with recorded draws.
        direction: An output of random signs, shape (d,).

    Returns:
        Whether the loss does not rise from the middle towards large outputs of both signs. Outputs
        at which it overflows tell nothing.
    """
    for size in reversed(OUTPUTS):
        far = size * direction
        above = (chunk.run(State.BOTH, far).gradient * direction).sum(1)
        below = (chunk.run(State.BOTH, -far).gradient * direction).sum(1)
        known = above.isfinite() & below.isfinite()
        if known.double().mean() > 0.5:
            break
    active = known & ((above != 0) | (below != 0))
    if active.double().mean() < 0.5:  # clamped
        return False
    return bool(((above > 0) & (below < 0))[active].double().mean() < 0.5)


def is_linear(chunk: Chunk, direction: Tensor) -> bool:
    """Whether the gradient is the same at all outputs, so that no output is the best.

    Args:
        chunk: A small batch with recorded draws.
        direction: An output of random signs, shape (d,).

    Returns:
        Whether there is a gradient, and it does not change with the output.
    """
    middle = chunk.run(State.BOTH).gradient
    far = chunk.run(State.BOTH, OUTPUTS[1] * direction).gradient
    return bool((far - middle).norm() < COMMON * middle.norm())


def find_coupling(chunk: Chunk, direction: Tensor, *, mixed: bool = False) -> Coupling:
    """Change half of the batch, and the size of all errors, and see what moves.

    Args:
        chunk: A small batch with recorded draws.
        direction: An output of random signs, shape (d,).
        mixed: The gradient at one component depends on the errors of others, so that it does not
            tell where the target of a component is.

    Returns:
        What was found.
    """
    plain = chunk.run(State.BOTH, direction)
    rows = len(plain.z)
    kept = rows // 2  # samples that are left alone
    if rows != chunk.size or not kept:
        return _flatness(chunk, direction, mixed)
    by_errors = _coupled_errors(chunk, plain, direction)
    if by_errors is not None:
        return by_errors
    flat = _flatness(chunk, direction, mixed)
    try:
        with chunk.repeating_levels(kept):
            levels = chunk.run(State.BOTH, direction)
    except ValueError:  # what else is drawn depends on the levels, as where some are rejected
        return flat
    same_input = not _moved(plain.z[:kept], levels.z[:kept])
    if flat.found or not (same_input and _moved(plain.gradient[:kept], levels.gradient[:kept])):
        return flat
    return Coupling(by_levels=True)


def _coupled_errors(chunk: Chunk, plain: Response, direction: Tensor) -> Coupling | None:
    """What is said where errors of some samples change the gradients of others; None where not.

    Every second sample is changed too, since samples may be compared with their neighbours alone.
    """
    place = torch.arange(len(plain.z))
    for kept in (place < len(place) // 2, place % 2 == 0):
        size = torch.where(kept, 1.0, 4.0).to(direction)[:, None]
        others = chunk.run(State.BOTH, size * direction)
        before, after = plain.gradient[kept], others.gradient[kept]
        if not _moved(plain.z[kept], others.z[kept]) and _moved(before, after):
            return _by_errors(before, after)
    return _coupled_outputs(chunk, plain.z)


def _coupled_outputs(chunk: Chunk, z: Tensor) -> Coupling | None:
    """What is said where outputs of other samples near a sample's own change its gradient.

    So they do where samples are pushed apart, and not where all have the same output or very
    different ones.
    """
    generator = torch.Generator().manual_seed(0)
    near, other = (
        NEAR_EACH_OTHER * torch.randn(z.shape, generator=generator).to(z) for _ in range(2)
    )
    kept = torch.arange(len(z)) < len(z) // 2
    one = chunk.run(State.BOTH, near)
    two = chunk.run(State.BOTH, torch.where(kept[:, None].to(z.device), near, other))
    before, after = one.gradient[kept], two.gradient[kept]
    if _moved(one.z[kept], two.z[kept]) or not _moved(before, after):
        return None
    return _by_errors(before, after)


def _is_added(before: Tensor, after: Tensor) -> bool:
    """Whether gradients of samples change by more than a factor of each, as by a term of others."""
    change = after - before
    along = (change * before).sum(1, keepdim=True) / before.square().sum(1, keepdim=True)
    rest = change - along.nan_to_num(0) * before
    return bool(rest.norm() > ADDED * change.norm())


def _by_errors(before: Tensor, after: Tensor) -> Coupling:
    """What is said where the errors of some samples change the gradients of others."""
    if _is_added(before, after):
        return Coupling(notes=(OF_OTHERS,), refusal=f"no weighting: {OF_OTHERS}")
    ratio = (after * before).sum(1) / before.square().sum(1)
    known = ratio[ratio.isfinite()]
    is_one_factor = len(known) > 1 and bool((known / known[0] - 1).abs().max() < COMMON)
    if is_one_factor and known[0] > 0:
        note = (
            "gradients are divided by what the errors of the whole batch give (the loss itself, or "
            "a running mean of it?): weights are relative, for errors of one size in all samples"
        )
        return Coupling(notes=(note,), common=True)
    return Coupling(notes=(BY_OTHERS,), refusal=f"no weighting: {BY_OTHERS}: {OF_UNKNOWN_TARGET}")


def without_common_factors(h: NDArray, logsnr: NDArray, call: NDArray) -> NDArray:
    """Weights without the factor that those of one call have in common.

    The logarithm of a weight is fitted by a function of log-SNR plus a number for each call. The
    function is a line between knots at quantiles of log-SNR.

    Args:
        h: Weights, shape (n,); not positive ones are left as they are.
        logsnr: Log-SNR in nats, shape (n,).
        call: Number of the call of each draw, int, shape (n,).

    Returns:
        The weights over the factors of their calls, whose geometric mean is 1, shape (n,).
    """
    known = (h > 0) & np.isfinite(h) & np.isfinite(logsnr)
    if not known.any():
        return h
    level = logsnr[known]
    knots = np.unique(np.quantile(level, np.linspace(0, 1, KNOTS)))
    of_level = np.array([np.interp(level, knots, unit) for unit in np.eye(len(knots))]).T
    calls = np.unique(call[known])
    of_call = (call[known][:, None] == calls).astype(float)
    fit, *_ = np.linalg.lstsq(np.hstack([of_level, of_call]), np.log(h[known]), rcond=None)
    logs = np.zeros(call.max() + 1)
    logs[calls] = fit[len(knots) :] - fit[len(knots) :].mean()
    return h / np.exp(logs)[call]


def _flatness(chunk: Chunk, direction: Tensor, mixed: bool) -> Coupling:
    """What is said where errors of some sizes have no gradient."""
    gradients = [chunk.run(State.BOTH, size * direction).gradient for size in OUTPUTS]
    active = torch.stack([gradient != 0 for gradient in gradients])
    if not active.any():
        note = (
            "no output gives a gradient (clamped at small errors, or weights of 0?): nothing tells "
            "the weighting"
        )
        return Coupling(notes=(note,), refusal=f"no weighting: {note}")
    differs = active.any(0) & ~active.all(0)
    if differs.double().mean() > RARE:
        note = (
            "the loss is clamped: large errors have no gradient; the weighting is that of errors "
            "below the bound"
        )
        return Coupling(notes=(note,), clamped=True)
    if not mixed and _is_flat_near_the_target(chunk, direction):
        note = (
            "the gradient near the target is not that of a squared loss (clamped from below, "
            "or an absolute error is added?): the weighting is that of large errors"
        )
        return Coupling(notes=(note,))
    return Coupling()


def _is_flat_near_the_target(chunk: Chunk, direction: Tensor) -> bool:
    """Whether a loss that is squared at large errors is none at small ones."""
    at_zero = chunk.run(State.BOTH)
    if torch.finfo(at_zero.dtype).bits < 32:
        return False
    slopes = (chunk.run(State.BOTH, direction).gradient - at_zero.gradient) * direction
    twice = (chunk.run(State.BOTH, 2 * direction).gradient - at_zero.gradient) * direction
    weighted = slopes != 0
    h = torch.where(weighted, slopes, 1)
    is_squared = ((twice / h / 2 - 1).abs() < OFF) & weighted
    if is_squared.double().sum() < 0.9 * weighted.double().sum() or not weighted.any():
        return False
    target = torch.where(weighted, -at_zero.gradient / h, 0)
    near = chunk.run(State.BOTH, target + NEAR * direction).gradient * direction / NEAR
    off = ((near / h - 1).abs() > OFF) & is_squared
    return bool(off.double().sum() > 0.5 * is_squared.double().sum())


def _moved(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors differ by more than rounding."""
    return bool((one - other).norm() > MOVED * one.norm())
