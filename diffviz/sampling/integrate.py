"""Run a solver along a grid of log-SNR and keep the trajectory.

``sample`` is the door: it checks its input and fills in defaults, ``walk`` makes the steps, and
``trajectory_of`` writes down where they went.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit
from torch import Tensor

from diffviz.checks import (
    attribute,
    brief,
    count,
    increasing,
    offers,
    positive,
    require,
    returned_tensor,
    tensor,
    torch_generator,
    unknown,
)
from diffviz.compute import threads
from diffviz.protocols import Denoiser, Law
from diffviz.sampling import grids
from diffviz.sampling.calls import answer
from diffviz.sampling.draws import drawn
from diffviz.sampling.solvers import SOLVERS, Call, Solver, abm4
from diffviz.theory.frames import VP, noise_ratio
from diffviz.theory.paths import LINEAR, Path, shifted

# the default grid, for data of unit variance
STEPS = 20
SHIFT = 0.5  # factor on sigma/alpha of the linear path, by the calls on mixtures and toys
COARSE = 1e-5  # rounding of a start in float32, in standard deviations of the data
LOWEST = -10.0  # λ where it begins
HIGHEST = 14.0  # λ where it ends
RARE = 1e-6  # share of training at either end that counts as not trained

Denoise = Callable[[Tensor, Tensor], Tensor]
Noise = Callable[[Tensor], Tensor]


class Centred(Protocol):
    """What says where its data lie: their mean, shape (*shape) or what is spread over it."""

    @property
    def mean(self) -> Tensor:
        """Mean of x, shape (*shape), or one for each channel, as (c, 1, 1)."""


class Scaled(Protocol):
    """What says how large its data are: their standard deviation."""

    @property
    def std(self) -> float:
        """Standard deviation of x, averaged over its coordinates."""


class Trained(Protocol):
    """What says which objective it was trained under."""

    @property
    def objective(self) -> Any:
        """What the loss was."""


class Lawful(Protocol):
    """An objective that says at which levels it trains."""

    @property
    def law(self) -> Law:
        """Density of the levels that training looks at."""


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Where samples were at the beginning of every step, and at the end.

    Args:
        logsnr: λ in nats, increasing, shape (steps + 1,).
        z: Samples in the variance-preserving frame, shape (steps + 1, n, *shape).
        x_hat: What the denoiser said there, shape (steps + 1, n, *shape).
        calls: Number of calls of the denoiser, with the one for the last x_hat.

    Example:
        >>> trajectory = dv.sample(dv.toy("ring8"), grid=[-8.0, 1.0, 8.0], solver="ddim", n=10)
        >>> trajectory.logsnr.round(3), trajectory.z.shape
        (array([-8.,  1.,  8.]), torch.Size([3, 10, 2]))
    """

    logsnr: NDArray
    z: Tensor
    x_hat: Tensor
    calls: int

    def __repr__(self) -> str:
        if not len(self.logsnr):
            return "Trajectory(no step)"
        first, last = self.logsnr[[0, -1]]
        count, *shape = self.samples.shape
        return (
            f"Trajectory({len(self.logsnr) - 1} steps from log-SNR {first:.3g} to {last:.3g}, "
            f"{count} samples of shape {tuple(shape)}, {self.calls} calls)"
        )

    @property
    def samples(self) -> Tensor:
        """The last x_hat, shape (n, *shape).

        Raises:
            ValueError: There is none, since the denoiser failed at its first call.
        """
        require(
            len(self.logsnr) > 0,
            "the trajectory has no step: the denoiser failed at its first call",
        )
        return self.x_hat[-1]

    def on(self, path: Path) -> tuple[NDArray, Tensor]:
        """The trajectory on a path, as ``couplings.straightness`` and ``path_ratio`` take it.

        Args:
            path: The path whose time and frame are asked for.

        Returns:
            Times, shape (steps + 1,), and z in the frame of the path, like ``z``.

        Raises:
            TypeError: ``path`` is no path.
            ValueError: The trajectory leaves the levels of the path, where it has no time.

        Example:
            >>> trajectory = dv.sample(dv.toy("ring8"), grid=[-8.0, 1.0, 8.0], solver="ddim", n=10)
            >>> time, z = trajectory.on(dv.paths.LINEAR)
            >>> time.round(3), z.shape
            (array([0.982, 0.378, 0.018]), torch.Size([3, 10, 2]))
        """
        require(
            isinstance(path, Path),
            f"path must be a path such as paths.LINEAR, got {path!r}",
            TypeError,
        )
        low, high = path.schedule.support()
        slack = 1e-9 * np.abs(self.logsnr).max(initial=1.0)  # levels are rounded in sigma/alpha
        outside = (self.logsnr < low - slack) | (self.logsnr > high + slack)
        if outside.any():
            raise ValueError(
                f"the path {path.name} has logsnr {low:.4g} to {high:.4g}, and the trajectory goes "
                f"to {self.logsnr[outside][0]:.4g}; take another path, or a grid within it"
            )
        ratio = path.frame.alpha(self.logsnr) / VP.alpha(self.logsnr)
        scale = torch.as_tensor(ratio).to(self.z)
        with threads.suited(threads.elements(self.z)):
            return path.time(self.logsnr), (scale * self.z.movedim(0, -1)).movedim(-1, 0)


class Stopped(FloatingPointError):
    """The denoiser failed on the way.

    Args:
        message: Where and how.
        trajectory: The steps before.
    """

    def __init__(self, message: str, trajectory: Trajectory):
        super().__init__(message)
        self.trajectory = trajectory

    def __reduce__(self) -> tuple:
        return type(self), (str(self), self.trajectory)


class RecordedDenoiser:
    """A denoiser as solvers see it: in y = z/alpha and s = sigma/alpha, counted and recorded.

    A solver may call it several times in a step. The first call of each step, where the step
    begins, goes into the history: multistep solvers read it, and the trajectory is made of it.

    Args:
        denoise: Function of variance-preserving z and λ, with E[x|z].
        noise: Draws of noise like the tensor that it is given.
        steps: Number of steps of the whole trajectory.
        centre: What is taken from y and x_hat where solvers and the history see them, (*shape);
            None for nothing.
    """

    def __init__(self, denoise: Denoise, noise: Noise, steps: int, centre: Tensor | None = None):
        self.centre = centre
        self.denoise = denoise
        self.draw = noise
        self.steps = steps
        self.step = 0
        self.calls = 0
        self.history: list[Call] = []

    def begin_step(self, step: int) -> None:
        """Note that the next call is the first one of a step."""
        self.step = step

    def noise(self, y: Tensor) -> Tensor:
        """A draw of noise like y; an error if it is no tensor or has another shape."""
        drawn = returned_tensor(self.draw(y), "noise")
        require(
            drawn.shape == y.shape,
            f"noise must be like z, {tuple(y.shape)}, got {tuple(drawn.shape)}",
        )
        return drawn

    def __call__(self, y: Tensor, s: float) -> Tensor:
        """E[x|z] for y = z/alpha at s = sigma/alpha.

        Args:
            y: z/alpha without the centre, shape (n, *shape).
            s: sigma/alpha, above 0.

        Returns:
            x_hat without the centre, like y.

        Raises:
            TypeError: The denoiser returns no tensor.
            FloatingPointError: It returns NaN, infinity or another shape.
        """
        logsnr = -2 * math.log(s)
        level = torch.tensor(logsnr, dtype=y.dtype, device=y.device)
        z = self.placed(y) / math.hypot(1, s)
        x_hat = returned_tensor(answer(self.denoise, z, level), "the denoiser")
        if x_hat.shape != y.shape:
            raise FloatingPointError(
                f"the denoiser returned {tuple(x_hat.shape)} for z {tuple(y.shape)} "
                f"at logsnr {logsnr:.4g}; it must return x_hat, like z"
            )
        if not torch.isfinite(x_hat).all():
            raise FloatingPointError(
                f"z or the denoiser's answer is NaN or inf at logsnr {logsnr:.4g}"
            )
        # a copy: the denoiser may write its next answer into the same memory
        x_hat = x_hat.clone() if self.centre is None else x_hat - self.centre
        self.calls += 1
        begins_step = len(self.history) == self.step
        if begins_step:
            self.history.append(Call(s, y, x_hat))
        return x_hat

    def placed(self, centred: Tensor) -> Tensor:
        """Points where the denoiser sees them, with the centre."""
        return centred if self.centre is None else centred + self.centre


@dataclass(frozen=True)
class StandardNormal:
    """Draws of standard normal noise.

    Args:
        generator: Source of the randomness; None for torch's own.
    """

    generator: torch.Generator | None

    def __call__(self, like: Tensor) -> Tensor:
        """Noise with the shape, dtype and device of a tensor."""
        return drawn(
            torch.randn,
            like.shape,
            generator=self.generator,
            device=like.device,
            dtype=like.dtype,
        )


def sample(
    denoiser: Denoiser | Denoise,
    grid: ArrayLike | None = None,
    solver: str | Solver | None = None,
    *,
    n: int = 1000,
    start: Tensor | ArrayLike | None = None,
    generator: torch.Generator | None = None,
    noise: Noise | None = None,
    **options: Any,
) -> Trajectory:
    """Sample from a denoiser along a grid of log-SNR.

    The defaults need few calls: fourth-order Adams–Bashforth–Moulton in the angle atan(s/std), on a
    grid that is even in the time of the linear path (see ``default_grid``). On data of unit
    variance with exact denoisers, the fewest calls that bring the RMS error of a coordinate below
    0.01 are

        data                                   ring8   gmm2d   moons   checkerboard
        default solver, grid of n steps           13       9       9             10
        same solver, even in linear time          21       9      14             17
        Heun, the best of five grids              31      49      53             57
        DPM-Solver++(2M), the best of five        21      31      27             31

    against an adaptive reference from the same starts (``benchmarks/samplers.py``). The default
    grid has 20 steps, 21 calls, and leaves an error of 0.0009, 0.0004, 0.0005 and 0.0022.

    A warning says where the grid leaves the levels that a run was trained on.

    Args:
        denoiser: A run, a toy, anything with ``denoise(z, logsnr)`` → x_hat for variance-preserving
            z, or that function. A network in another type than z is called in its own
            (``sampling.calls``). λ has the shape (), or (n,) where the denoiser looks for an axis.
        grid: Increasing levels in nats, noise to data, shape (steps + 1,); None for
            ``default_grid``.
        solver: A name of ``SOLVERS``, or a function such as those; None for "abm4" with the
            standard deviation of the data, where the denoiser states it as ``std``, else with 1.
        n: Number of samples where there is no ``start``; the denoiser must then state its ``mean``.
        start: z at the first level, shape (n, *shape). By default normal draws with the mean and
            the variance that z has there, from those of the data. In float32, or in float64 for
            data so far from 0 that float32 would round them by 1e-5 of their standard deviation.
        generator: Source of the randomness; None for torch's own.
        noise: Draws for a stochastic solver, like the tensor that it is given; standard normal by
            default.
        options: Options of the solver: ``eta`` of "ddim", ``path`` and ``eta`` of "euler",
            ``churn`` of "heun", ``std`` of "abm4" and so on.

    Returns:
        The trajectory; its ``samples`` are the last x_hat.

    Raises:
        TypeError: An argument is of the wrong kind, or the solver has no such option.
        ValueError: The grid does not increase, the solver is unknown, an option is out of range,
            or there is neither a ``start`` nor a mean.
        Stopped: The denoiser returned NaN, infinity or another shape, or an adaptive solver cannot
            keep its tolerance; it carries the steps so far.

    Example:
        >>> trajectory = dv.sample(dv.toy("ring8"), n=100)
        >>> trajectory.samples.shape, trajectory.calls
        (torch.Size([100, 2]), 21)
    """
    denoise = denoise_function(denoiser)
    step = solver_step(denoiser, solver, options)
    if grid is None:
        levels = default_grid(denoiser)
    else:
        levels = increasing(grid, "the grid, noise to data,")
    if generator is not None:
        torch_generator(generator)
    require(noise is None or callable(noise), f"noise must be a function, got {noise!r}", TypeError)
    n = count(n, "n")
    if start is None:
        first = normal_start(denoiser, n, float(levels[0]), generator)
    else:
        first = tensor(start, "start")
        require(first.ndim > 0, "start must have shape (n, *shape), got one number")
        check_shape(first, denoiser, "start")
    warn_outside_training(denoiser, levels)
    centre = far_mean(denoiser)
    if centre is not None:
        with threads.suited(threads.elements(first), first.device):
            first, centre = first.double(), centre.to(first.device)
    recorded = RecordedDenoiser(
        denoise, noise or StandardNormal(generator), len(levels) - 1, centre
    )
    with threads.suited(threads.denoising(denoiser, len(first)), first.device):
        try:
            walk(recorded, step, first, noise_ratio(levels).tolist())
        except FloatingPointError as error:
            message = f"step {recorded.step} of {recorded.steps}: {error}"
            raise Stopped(message, trajectory_of(recorded, first)) from error
        return trajectory_of(recorded, first)


# --- input and defaults -------------------------------------------------------------------------


def denoise_function(denoiser: Any) -> Denoise:
    """The function (z, logsnr) → x_hat of a denoiser; a TypeError for what is none."""
    if offers(denoiser, Denoiser):
        return denoiser.denoise
    if not callable(denoiser):
        raise TypeError(
            "the denoiser must have denoise(z, logsnr), as a run or a toy, or be that function; "
            f"got {brief(denoiser)}"
        )
    return denoiser


def data_std(denoiser: Any) -> float:
    """Standard deviation of the data where the denoiser states it, else 1."""
    if not offers(denoiser, Scaled) or callable(denoiser.std):
        return 1.0
    return positive(denoiser.std, "std of the denoiser")


def data_mean(denoiser: Any) -> Tensor | None:
    """Mean of the data, (*shape) or spread over it, where the denoiser states it, else None."""
    if not offers(denoiser, Centred) or callable(denoiser.mean):
        return None
    return tensor(denoiser.mean, "mean of the denoiser")


def spread_of_z(denoiser: Any, logsnr: float) -> float:
    """Standard deviation of z = alpha x + sigma eps at λ, with that of the data."""
    alpha, sigma = math.sqrt(expit(logsnr)), math.sqrt(expit(-logsnr))
    return math.hypot(alpha * data_std(denoiser), sigma)


def far_mean(denoiser: Any) -> Tensor | None:
    """The mean of data that lie far from 0.

    Args:
        denoiser: The denoiser, which may state the mean of the data and their ``std``.

    Returns:
        The mean in float64, shape (*shape), if float32 rounds it by more than ``COARSE`` of the
        standard deviation; else None, as where no mean is stated. Solvers then work with what is
        left without it: they are of finite order in the mean too.
    """
    mean = data_mean(denoiser)
    if mean is None:
        return None
    with threads.suited(threads.elements(mean), mean.device):
        mean = mean.double()
        largest = float(mean.abs().max()) if mean.numel() else 0.0
    rounding = torch.finfo(torch.float32).eps * largest
    return mean if rounding > COARSE * data_std(denoiser) else None


def solver_step(denoiser: Any, solver: str | Solver | None, options: dict[str, Any]) -> Solver:
    """A solver with its options.

    Args:
        denoiser: The denoiser, which may state the standard deviation of the data.
        solver: Name, function, or None for the default.
        options: Options of the solver.

    Returns:
        The function that makes a step.

    Raises:
        ValueError: No solver has this name.
        TypeError: It is neither a name nor a function.
    """
    if solver is None:
        return partial(abm4, **{"std": data_std(denoiser)} | options)
    if callable(solver):
        return partial(solver, **options)
    if not isinstance(solver, str):
        raise TypeError(f"solver must be a name or a function, got {solver!r}")
    if solver not in SOLVERS:
        raise unknown("solver", solver, SOLVERS)
    return partial(SOLVERS[solver], **options)


def trained_levels(denoiser: Any) -> tuple[float, float] | None:
    """λ between which training looked, but for a millionth at either end; None if not stated."""
    if not offers(denoiser, Trained) or not offers(denoiser.objective, Lawful):
        return None
    law = denoiser.objective.law
    if not offers(law, Law):
        return None
    low, high = law.ppf([RARE, 1 - RARE])
    return float(low), float(high)


def default_grid(denoiser: Any, steps: int = STEPS) -> NDArray:
    """A grid that is even in the time of the linear path, for data of any scale.

    The time is that of the linear path shifted by 0.5, sigma/(sigma + 0.5 alpha) for data of unit
    variance: more steps go to the clean end. Data of standard deviation s look at λ as
    data of unit variance do at λ + 2 log s, so the grid is moved by −2 log s. It begins and ends
    where training looked.

    Args:
        denoiser: The denoiser, which may state ``std`` and ``objective``.
        steps: Number of steps.

    Returns:
        Increasing levels in nats, shape (steps + 1,).

    Raises:
        ValueError: Training looked at no level between the ends.
    """
    std = data_std(denoiser)
    low = LOWEST - 2 * math.log(std)
    high = HIGHEST - 2 * math.log(std)
    if trained := trained_levels(denoiser):
        low = max(low, trained[0])
        high = min(high, trained[1])
    return grids.grid(shifted(LINEAR, SHIFT * std).schedule, steps, low, high)


def warn_outside_training(denoiser: Any, levels: NDArray) -> None:
    """Warn the caller of ``sample`` of a grid that leaves the levels of training by over 1 %."""
    trained = trained_levels(denoiser)
    if trained is None:
        return
    low, high = trained
    outside = max(low - levels[0], levels[-1] - high)
    if outside > (high - low) / 100:
        warnings.warn(
            f"the grid leaves logsnr {low:.4g} to {high:.4g}, where training looked", stacklevel=3
        )


def sample_shape(denoiser: Any) -> tuple[int, ...] | None:
    """Shape of a sample where the mean of the data says it, else None.

    A mean that is one number, or one for each channel, as (3, 1, 1), says it only if the denoiser
    states the same ``shape``.
    """
    mean = data_mean(denoiser)
    if mean is None:
        return None
    shape = tuple(mean.shape)
    is_spread = mean.ndim == 0 or (mean.ndim > 1 and set(shape[1:]) == {1})
    return shape if not is_spread or attribute(denoiser, "shape") == shape else None


def check_shape(points: Tensor, denoiser: Any, name: str) -> None:
    """Refuse points of another shape than the data, as far as the denoiser says it.

    Args:
        points: The points, shape (n, *shape).
        denoiser: The denoiser, which may state the ``mean`` of the data.
        name: Name of the points, for messages.

    Raises:
        ValueError: They have another shape, or the mean cannot be spread over them.
    """
    mean = data_mean(denoiser)
    if mean is None:
        return
    shape = sample_shape(denoiser)
    got = tuple(points.shape)
    if shape is not None and got[1:] != shape:
        raise ValueError(f"{name} must have shape {('n', *shape)}, as the data have it, got {got}")
    pairs = zip(reversed(mean.shape), reversed(got[1:]), strict=False)
    if mean.ndim >= len(got) or any(one not in (1, other) for one, other in pairs):
        raise ValueError(
            f"{name} must have samples over which the denoiser's mean of shape "
            f"{tuple(mean.shape)} can be spread, got {got}"
        )


def normal_start(denoiser: Any, n: int, logsnr: float, generator: torch.Generator | None) -> Tensor:
    """Normal draws with the first two moments of z = alpha x + sigma eps.

    Standard normal draws are off by alpha times the mean of the data. Where training looked at
    nothing noisier than λ = −6.6 (laplace-eps) that alone moves samples by more than the noise of
    10,000 draws.

    Args:
        denoiser: The denoiser, which states the mean of the data, and may state their ``std``.
        n: Number of draws.
        logsnr: λ of the first level in nats.
        generator: Source of the randomness.

    Returns:
        z, shape (n, *shape).

    Raises:
        TypeError: ``n`` is no whole number.
        ValueError: There is no mean that says the shape of a sample.
    """
    size = count(n, "n")
    mean = data_mean(denoiser)
    if mean is None:
        raise ValueError(
            "the denoiser has no mean that says the shape of a sample; give start, (n, *shape)"
        )
    if sample_shape(denoiser) is None:
        raise ValueError(
            f"the denoiser's mean has shape {tuple(mean.shape)}, which may be spread over samples "
            "and does not say their shape; give start, (n, *shape)"
        )
    draws = drawn(torch.randn, size, *mean.shape, generator=generator, device=mean.device)
    is_far = far_mean(denoiser) is not None
    alpha = math.sqrt(expit(logsnr))
    spread = spread_of_z(denoiser, logsnr)
    with threads.suited(threads.elements(draws), mean.device):
        draws = draws.double() if is_far else draws
        return spread * draws + alpha * mean.to(draws)


# --- the steps and the result -------------------------------------------------------------------


@torch.no_grad()
def walk(denoise: RecordedDenoiser, step: Solver, start: Tensor, ratios: list[float]) -> None:
    """Make all steps, and a last call where they end.

    Args:
        denoise: The denoiser, which records the way.
        step: The solver.
        start: z at the first level, shape (n, *shape).
        ratios: sigma/alpha at all levels, falling.
    """
    y = start * math.hypot(1, ratios[0])
    if denoise.centre is not None:
        y = y - denoise.centre
    for k, (here, there) in enumerate(pairwise(ratios)):
        denoise.begin_step(k)
        y = step(denoise, y, here, there)
    denoise.begin_step(denoise.steps)
    denoise(y, ratios[-1])


def trajectory_of(denoise: RecordedDenoiser, start: Tensor) -> Trajectory:
    """What was recorded, with z in the variance-preserving frame.

    Args:
        denoise: The denoiser after the walk, or after the part of it that went well.
        start: z at the first level, shape (n, *shape).

    Returns:
        The trajectory, which has no rows if the first call failed.
    """
    history = denoise.history
    if not history:
        empty = start.new_empty(0, *start.shape)
        return Trajectory(np.zeros(0), empty, empty, denoise.calls)
    x_hat = denoise.placed(torch.stack([call.x_hat for call in history]))
    return Trajectory(
        logsnr=-2 * np.log([call.s for call in history]),
        z=torch.stack([denoise.placed(call.y) / math.hypot(1, call.s) for call in history]),
        x_hat=x_hat.to(torch.promote_types(x_hat.dtype, start.dtype)),
        calls=denoise.calls,
    )
