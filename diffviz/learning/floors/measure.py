"""The floor of data of one's own, between two bounds with errors.

The lower bound is the floor of the data set itself, see ``own``. The upper bound is the error of
denoisers on points that they were not made from. Half of the points make denoisers; two quarters
try them. At each level each quarter chooses the denoiser that the other one reports: the least of
several noisy errors would be too small, but what a denoiser does on points that did not choose it
is not. The mean of both is reported. Both reports are a little correlated: where the quarters agree
on a denoiser by chance, it looks good on both. For k denoisers of one error whose noise is
independent the correlation is e²/(k − 1), where e is the mean of the least of k standard normal
numbers. It is at most 0.36, which the error allows for.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from torch import Tensor

from diffviz import checks
from diffviz.compute import threads
from diffviz.data.toys import Toy
from diffviz.learning.floors.kernels import TRIALS, KernelDenoiser, draws_of, kernel_denoiser
from diffviz.learning.floors.linear import filters
from diffviz.learning.floors.network import WRONG, Denoise, network_errors
from diffviz.learning.floors.own import LEAST_DRAWS, OwnFloor, own_floor
from diffviz.learning.floors.parts import Parts, Points, divide, read
from diffviz.learning.floors.record import Floor, Loss
from diffviz.learning.floors.shipped import KnownFloor, find
from diffviz.protocols import Denoiser

LARGEST_LEVEL = 40.0  # nats
NETWORK_DRAWS = 1024  # noisy points of a half
TIE = 0.003  # relative difference of errors up to which the simpler denoiser is chosen
KNOWN = "z/alpha"  # the denoiser whose error is the number of components
CORRELATION = 0.36  # of what both halves report, at most, for three denoisers
COPIES = 0.01  # share of held-out points that are mentioned if others are equal to them

Losses = dict[str, Loss]  # by method, on the points of a half


class Trials(NamedTuple):
    """Denoisers tried on both halves.

    Args:
        losses: Their losses on each half.
        kernels: The denoiser of the kernel density.
        copies: Share of the points on which it was tried that have copies among its own.
    """

    losses: tuple[Losses, Losses]
    kernels: KernelDenoiser
    copies: float


class Measured(NamedTuple):
    """All that a floor is made from.

    Args:
        own: The floor of the data set.
        parts: What denoisers were made from and tried on.
        trials: How they did.
    """

    own: OwnFloor
    parts: Parts
    trials: Trials


@torch.no_grad()
def floor(
    data: Any,
    logsnr: ArrayLike,
    *,
    denoiser: Denoiser | Denoise | None = None,
    held_out: Any = None,
    draws: int | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Floor:
    """What is known about the least loss on data of your own, by log-SNR.

    The loss is the squared eps error, summed over the components of a point, as in ``Toy.mmse``. A
    finite set does not determine its least value, which is therefore given between two bounds.

    ``lower`` is the least loss on the data set itself, which only memorising reaches. ``upper`` is
    the loss of a denoiser on points that it was not made from: a Wiener filter, a kernel density,
    the mean, z/alpha, or a network of yours. By level it is chosen on other points than those that
    report its loss. In expectation the floor of the law behind the data lies between both, if the
    points are independent; the errors are those of the sample of points. With more points than fit
    into memory or time both are computed from some of them, which leaves them on their sides.

    Points may come in any order, but must be independent draws. Frames of a video or flipped copies
    of images are not. Of such points ``lower`` is still on its side, but its error is too small,
    and ``upper`` is too small, since a point that is held out has relatives among the others. Give
    whole videos as ``held_out``. No error knows of what the points do not show: where a law has
    rare points far out, which decide at low log-SNR, both bounds are likely to be too small.

    Args:
        data: Points (n, *shape), 8 or more: an array or tensor, also memory-mapped, or batches
            such as those of a torch ``DataLoader``. Scale them as for training; images of uint8
            are brought to [−1, 1].
        logsnr: λ in nats, one or several increasing within [−40, 40], shape (levels,).
        denoiser: A trained network: an object with ``denoise``, such as a ``Run``, or a function
            of variance-preserving z and λ (n,) that returns x_hat.
        held_out: Points that neither the denoiser was trained on nor ``data`` has, like ``data``.
            A denoiser needs them. Without one, half of the data are held out.
        draws: Noisy points for each estimate, at least 32. By default what takes some 20 s of one
            core, from 256 to 2,048.
        seed: Seed of the parts and of the noise.
        progress: Whether long work shows a bar.

    Returns:
        The bounds with their standard errors, and the method by level.

    Raises:
        TypeError: An argument is of the wrong kind.
        ValueError: There are too few points, one is not finite, all are equal, or float32 rounds
            them away; levels do not increase; a denoiser comes without points that are held out,
            or returns another shape or target than x_hat.

    Example:
        >>> x = dv.toy("gaussian").sample(1000, torch.Generator().manual_seed(0))
        >>> band = dv.floor(x, [-4.0, 0.0, 4.0])
        >>> band.lower.round(2), band.upper.round(2)
        (array([0.02, 0.49, 0.97]), array([0.02, 0.49, 0.98]))
        >>> dv.toy("gaussian").mmse([-4.0, 0.0, 4.0]).round(2)
        array([0.02, 0.5 , 0.98])
    """
    levels = _checked_levels(logsnr)
    asked = None if draws is None else checks.count(draws, "draws", least=32)
    denoise = _checked_denoiser(denoiser, held_out)
    progress = checks.one_of(progress, "progress", (False, True))
    seed = checks.seed(seed)
    random = rng, _ = generators(seed)
    with threads.suited(threads.elements(data, held_out)):
        points, tried = _checked_points(data, held_out, rng)
    work = float(len(points.centre)) * points.count * LEAST_DRAWS
    with threads.suited(work, points.centre.device):
        known = find(points, tried, levels, draws=asked, seed=seed, network=denoise is not None)
        made = measured(points, tried, levels, asked, denoise, random, progress, known)
    own, parts, trials = made
    upper, stderr, method = _reported(trials.losses)
    losses = _joined(trials.losses)
    return Floor(
        logsnr=levels,
        lower=own.mean,
        upper=upper,
        lower_stderr=own.stderr,
        upper_stderr=stderr * _wider_of_few(*map(len, parts.halves)),
        method=method,
        tried=losses,
        lower_of_half=own.half,
        points=own.points,
        total=points.total,
        shape=points.shape,
        notes=_notes(points, own.points, parts, trials) + _doubts(losses, levels),
    )


# --- what comes in ----------------------------------------------------------------------------


def _checked_levels(logsnr: ArrayLike) -> NDArray:
    """Increasing levels, shape (levels,)."""
    levels = np.atleast_1d(checks.finite(logsnr, "logsnr"))
    if levels.ndim > 1 or not levels.size or (np.diff(levels) <= 0).any():
        raise ValueError(
            f"logsnr must be one level or increasing ones, got shape {levels.shape}; "
            "np.unique sorts them"
        )
    if abs(levels).max() > LARGEST_LEVEL:
        raise ValueError(
            f"logsnr must lie in [-{LARGEST_LEVEL:g}, {LARGEST_LEVEL:g}], got "
            f"{levels[abs(levels).argmax()]:g}"
        )
    return levels


def _checked_denoiser(denoiser: Any, held_out: Any) -> Denoise | None:
    """The function of a denoiser, which needs points that it was not trained on."""
    if denoiser is None:
        return None
    denoise = denoiser.denoise if checks.offers(denoiser, Denoiser) else denoiser
    checks.require(
        callable(denoise),
        f"denoiser must have a method denoise(z, logsnr) or be such a function, got {denoiser!r}",
        TypeError,
    )
    checks.require(
        held_out is not None,
        "denoiser needs held_out, points that it was not trained on: its loss on others can be "
        "below the floor",
    )
    return denoise


def _checked_points(
    data: Any, held_out: Any, rng: np.random.Generator
) -> tuple[Points, Points | None]:
    """The points of both arguments."""
    for name, value in (("data", data), ("held_out", held_out)):
        if isinstance(value, Toy):
            raise TypeError(
                f"{name} is a toy, whose floor is known: toy.mmse(logsnr); "
                "for a bracket from points take toy.sample(n, generator)"
            )
    points = read(data, "data", rng)
    if held_out is None:
        return points, None
    tried = read(held_out, "held_out", rng)
    if tried.shape != points.shape:
        raise ValueError(
            f"held_out must have points of the shape {points.shape} of data, got {tried.shape}"
        )
    return points, tried


def generators(seed: int) -> tuple[np.random.Generator, torch.Generator]:
    """What draws the parts and what draws the noise, from one seed.

    Args:
        seed: A whole number from 0.

    Returns:
        A generator of NumPy and one of torch.
    """
    rng = np.random.default_rng(seed)
    return rng, torch.Generator().manual_seed(int(rng.integers(2**62)))


def measured(
    points: Points,
    tried: Points | None,
    logsnr: NDArray,
    draws: int | None,
    denoise: Denoise | None,
    random: tuple[np.random.Generator, torch.Generator],
    progress: bool = False,
    known: KnownFloor | None = None,
) -> Measured:
    """Both bounds of data that are read.

    Args:
        points: The data.
        tried: Points that are held out; without any, half of the data are.
        logsnr: λ in nats, shape (levels,).
        draws: Noisy points for each estimate, if their number was asked for.
        denoise: The function of a network, if there is one.
        random: Draws the parts, and draws the noise.
        progress: Whether long work shows a bar.
        known: What a table has of this. The rest is what it would be without one.

    Returns:
        The parts of the result.
    """
    rng, generator = random
    tabulated = None if known is None else known.own
    own = own_floor(points, logsnr, draws, rng, generator, progress, tabulated)
    parts = divide(points, tried, rng)
    return Measured(own, parts, _tried(parts, logsnr, draws, denoise, generator, known))


# --- the upper bound --------------------------------------------------------------------------


def _tried(
    parts: Parts,
    logsnr: NDArray,
    draws: int | None,
    denoise: Denoise | None,
    generator: torch.Generator,
    known: KnownFloor | None,
) -> Trials:
    """Make denoisers, and try all of them on both halves."""
    made_from = parts.made_from
    linear = filters(made_from, parts.shape)
    noise = _noise(made_from, TRIALS, generator)
    if known is None:
        kernels = kernel_denoiser(made_from, logsnr, noise)
    else:
        kernels = KernelDenoiser(made_from[: known.kernels], logsnr, known.ratios)
    each = draws or draws_of(kernels)
    halves: list[Losses] = []
    copies = tried = 0
    for number, half in enumerate(parts.halves):
        # eps_hat = 0, with the mean error d
        losses = {KNOWN: Loss(np.full(len(logsnr), float(made_from.shape[1])), 0 * logsnr)}
        losses |= {one.name: _loss(one.errors(half, logsnr)) for one in linear}
        some = half[:each]
        if known is None:
            losses["kernels"] = _loss(_repeated(kernels.errors, some, each, generator))
        else:
            _repeated(_no_errors, some, each, generator)  # the noise that comes next stays the same
            losses["kernels"] = known.losses[number]
        if denoise is not None:
            network = partial(network_errors, denoise, parts, logsnr)
            count = draws or NETWORK_DRAWS
            losses["network"] = _loss(_repeated(network, half[:count], count, generator))
        copies += kernels.copies(some)
        tried += len(some)
        halves.append(losses)
    return Trials((halves[0], halves[1]), kernels, copies / tried)


def _no_errors(x: Tensor, eps: Tensor) -> Tensor:
    """Errors of no points, where a table has the loss and only the noise has to be drawn."""
    return x[:0, 0]


def _loss(errors: Tensor) -> Loss:
    """The mean over points of errors (levels, n), with its standard error."""
    values = errors.cpu().numpy()
    return Loss(values.mean(1), values.std(1, ddof=1) / values.shape[1] ** 0.5)


def _repeated(
    errors: Callable[[Tensor, Tensor], Tensor], x: Tensor, draws: int, generator: torch.Generator
) -> Tensor:
    """Errors of points, the mean over as many draws of noise as make ``draws`` noisy points."""
    repeats = -(-draws // len(x))
    each = [errors(x, _noise(x, len(x), generator)) for _ in range(repeats)]
    return torch.stack(each).mean(0)


def _noise(like: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Noise for a number of points, drawn on the CPU."""
    shape = count, like.shape[1]
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(like.device)


def _reported(trials: tuple[Losses, Losses]) -> tuple[NDArray, NDArray, tuple[str, ...]]:
    """The error by level of what one half chooses on the other, both ways.

    Args:
        trials: Losses on both halves.

    Returns:
        Mean and standard error, shape (levels,) each, and the names of the denoisers.
    """
    names = list(trials[0])
    means = [np.stack([half[name].mean for name in names]) for half in trials]
    errors = [np.stack([half[name].stderr for name in names]) for half in trials]
    # the names begin with the simplest
    first, second = ((mean <= (1 + TIE) * mean.min(0)).argmax(0) for mean in means)
    levels = np.arange(means[0].shape[1])
    mean = (means[1][first, levels] + means[0][second, levels]) / 2
    one, other = errors[1][first, levels], errors[0][second, levels]
    stderr = np.sqrt(one**2 + other**2 + 2 * CORRELATION * one * other) / 2
    method = [
        names[i] if i == j else f"{names[i]} or {names[j]}"
        for i, j in zip(first, second, strict=True)
    ]
    if KNOWN in names:  # no floor is above the error of eps_hat = 0, which is not measured
        largest = means[0][names.index(KNOWN)]
        above = mean >= largest
        mean = np.where(above, largest, mean)
        stderr = np.where(above, 0, stderr)
        method = [KNOWN if cut else name for cut, name in zip(above, method, strict=True)]
    return mean, stderr, tuple(method)


def _wider_of_few(*points: int) -> float:
    """By how much an error from few points is too small.

    Args:
        points: Number of points of each half.

    Returns:
        Student's quantile at two standard errors, over two.
    """
    freedom = sum(points) - len(points)
    return float(stats.t.isf(stats.norm.sf(2), freedom) / 2)


def _joined(trials: tuple[Losses, Losses]) -> Losses:
    """Mean error of each denoiser over both halves."""
    first, second = trials
    return {
        name: Loss(
            mean=(first[name].mean + second[name].mean) / 2,
            stderr=np.hypot(first[name].stderr, second[name].stderr) / 2,
        )
        for name in first
    }


def _notes(points: Points, used: int, parts: Parts, trials: Trials) -> tuple[str, ...]:
    """What a reader must know besides the bounds."""
    notes = []
    if used < points.total:
        notes.append(
            f"lower is from {used:,} of {points.total:,} points, which makes it smaller, never "
            "larger, in expectation"
        )
    made_from = len(parts.made_from)
    kernels = len(trials.kernels.points)
    if kernels < parts.available:
        notes.append(
            f"filters are made from {made_from:,}, kernels from {kernels:,} of "
            f"{parts.available:,} points, which makes upper larger, never smaller, in expectation"
        )
    if trials.copies > COPIES:
        notes.append(
            f"{trials.copies:.1%} of the held-out points have copies among the others: if the "
            "points are not independent, upper can be too small"
        )
    return tuple(notes)


def _doubts(losses: dict[str, Loss], logsnr: NDArray) -> tuple[str, ...]:
    """A word where a network cannot have meant what it returns."""
    if "network" not in losses:
        return ()
    times = losses["network"].mean[-1] / losses[KNOWN].mean[-1]
    if times <= WRONG:
        return ()
    return (
        f"at λ = {logsnr[-1]:.3g} the loss of the network is {times:.2g} times that of z/alpha: "
        "does it return x_hat for variance-preserving z?",
    )
