"""What a trajectory tells.

How much of the sample is settled at each step, where a solver makes its errors, and how strongly
each prediction of the network counts in the sample.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import fft, stats
from torch import Tensor

from diffviz.checks import count, increasing, instance, require
from diffviz.compute import threads
from diffviz.sampling.integrate import Trajectory, sample
from diffviz.sampling.solvers import step_with_constant_x
from diffviz.theory.frames import noise_ratio
from diffviz.theory.paths import LINEAR
from diffviz.theory.targets import Target, V, checked_target

CALLS_A_STEP = 4  # the most that a solver with fixed steps makes
ROUNDED = 4.0  # error of a step over that of rounding, below which it is one of rounding
MOST_ROUNDED = 0.02  # mass of a law of errors that may lie in such steps


# --- what is settled when -----------------------------------------------------------------------


def explained(trajectory: Trajectory, edges: ArrayLike | None = None) -> NDArray:
    """R² of every x_hat with the final sample, 1 − E‖x_hat − x‖²/Var x.

    Args:
        trajectory: The trajectory of samples (n, *shape).
        edges: Increasing edges of bands in cycles per image, shape (bands + 1,), for images
            (n, ..., height, width); None for all frequencies together.

    Returns:
        R², shape (steps + 1,), or (steps + 1, bands) with ``edges``.

    Raises:
        ValueError: The edges do not increase, the samples are no images although there are edges,
            or the samples do not vary in a band.
    """
    _check_trajectory(trajectory)
    x = trajectory.x_hat.double().cpu().numpy()
    if edges is None:
        everything = np.full((1, *x.shape[2:]), True)
        return explained_in(x, everything)[:, 0]
    require(
        x.ndim >= 4,
        f"bands are of images, (n, ..., height, width), got samples of {x.shape[1:]}; "
        "leave edges out",
    )
    bands = band_masks(increasing(edges, "edges of bands"), x.shape[2:])
    return explained_in(fft.dctn(x, axes=(-2, -1), norm="ortho"), bands)


def _check_trajectory(value: Any, name: str = "trajectory") -> None:
    """Refuse what is no trajectory."""
    instance(value, name, Trajectory, "a trajectory, as dv.sample returns it")
    require(len(value.logsnr) > 0, f"{name} has no step: the denoiser failed at its first call")


def band_masks(edges: NDArray, shape: tuple[int, ...]) -> NDArray:
    """Which cosine coefficients lie in which band.

    Args:
        edges: Increasing edges in cycles per image, shape (bands + 1,).
        shape: Shape of an image, (..., height, width).

    Returns:
        Whether a coefficient is in a band, shape (bands, ..., height, width).
    """
    rate = np.hypot(*np.indices(shape[-2:])) / 2
    masks = [(low <= rate) & (rate < high) for low, high in pairwise(edges)]
    return np.array([np.broadcast_to(mask, shape) for mask in masks])


def explained_in(x: NDArray, bands: NDArray) -> NDArray:
    """R² with the last of several predictions, by band.

    Args:
        x: Predictions, shape (steps + 1, n, *shape).
        bands: Which coordinates are in which band, shape (bands, *shape).

    Returns:
        R², shape (steps + 1, bands).

    Raises:
        ValueError: The last predictions do not vary in a band.
    """
    error = ((x - x[-1]) ** 2).mean(1)
    variance = x[-1].var(0)
    total = np.array([variance[band].sum() for band in bands])
    require((total > 0).all(), f"the samples do not vary in band {total.argmin()} of {len(bands)}")
    return 1 - np.stack([error[:, band].sum(1) for band in bands], 1) / total


# --- where a solver errs ------------------------------------------------------------------------


def error_law(pilot: Trajectory) -> Any:
    """Law of λ for ``grid`` under which the steps of DDIM make equal errors.

    The local error, root mean square in z, goes with the square of a step. The mass of a step of
    the pilot is therefore the root of the error that DDIM makes in it.

    Args:
        pilot: A fine trajectory of another solver, such as "heun". In float32 about 100 steps are
            enough; the errors of many more are smaller than the rounding of z.

    Returns:
        A frozen SciPy distribution.

    Raises:
        ValueError: There is no step, a step has no error, as those of DDIM itself, or the errors
            of many steps are those of rounding.
    """
    _check_trajectory(pilot, "pilot")
    with threads.suited(threads.elements(pilot.z)):
        errors = np.array([ddim_error(pilot, k) for k in range(len(pilot.logsnr) - 1)])
        sizes = np.array([z.norm().item() for z in pilot.z[:-1]])
    require(
        len(errors) > 0 and errors.min() > 0,
        "a step of the pilot has no local error; take a solver such as 'heun'",
    )
    rounding = torch.finfo(pilot.z.dtype).eps * sizes
    mass = np.sqrt(errors) / np.sqrt(errors).sum()
    rounded = mass[errors < ROUNDED * rounding].sum()
    require(
        rounded < MOST_ROUNDED,
        f"{rounded:.0%} of the law would lie in steps whose error is that of rounding in "
        f"{pilot.z.dtype}: make the pilot with fewer than its {len(errors)} steps, or from a start "
        "in float64",
    )
    return stats.rv_histogram((np.sqrt(errors), pilot.logsnr), density=False)()


def ddim_error(trajectory: Trajectory, k: int) -> float:
    """Distance of step k of a trajectory, in z, from where DDIM goes from the same place."""
    _check_trajectory(trajectory)
    steps = len(trajectory.logsnr) - 1
    k = count(k, "k", least=0)
    require(k < steps, f"k must be below the {steps} steps, got {k}")
    start, end = noise_ratio(trajectory.logsnr[k : k + 2]).tolist()
    scale_before, scale_after = np.hypot(1, [start, end]).tolist()
    y = trajectory.z[k] * scale_before
    z = step_with_constant_x(trajectory.x_hat[k], y, start, end) / scale_after
    return (z - trajectory.z[k + 1]).norm().item()


# --- how strongly a prediction counts -----------------------------------------------------------


@dataclass(frozen=True, eq=False)
class UnitPredictions:
    """A denoiser whose k-th prediction is the k-th unit vector, whatever it is asked.

    Args:
        target: What the network puts out.
        units: Unit vectors that are left, shape (1, calls) each.
    """

    target: Target
    units: Iterator[Tensor]

    def __call__(self, z: Tensor, logsnr: Tensor) -> Tensor:
        """x_hat from the next prediction, by target = a x + b eps and z = alpha x + sigma eps."""
        level = logsnr.numpy()
        a = float(self.target.a(level, LINEAR))
        b = float(self.target.b(level, LINEAR))
        minus_sigma = float(V.a(level, LINEAR))
        alpha = float(V.b(level, LINEAR))
        return (b * z + minus_sigma * next(self.units)) / (b * alpha + a * minus_sigma)

    def multiply_adds(self, n: int) -> int:
        """Multiply-adds of a call, next to nothing."""
        return n * threads.ELEMENT


def prediction_weights(
    grid: ArrayLike, solver: str = "ddim", target: Target = V, **options: Any
) -> NDArray:
    """Weight of the start and of each call's prediction in the last z.

    These are the solver's own coefficients; of the mean, where the solver adds noise.

    Args:
        grid: Increasing levels in nats, shape (steps + 1,).
        solver: One of ``SOLVERS`` with fixed steps.
        target: What the network predicts.
        options: Options of the solver.

    Returns:
        Weights, first that of the start, shape (1 + calls,) without the call for the last x_hat.

    Raises:
        ValueError: The solver is "adaptive", which has no fixed steps.
    """
    levels = increasing(grid, "the grid, noise to data,")
    checked_target(target, "target")
    adapts = isinstance(solver, str) and solver == "adaptive"
    require(
        not adapts,
        "the calls of the adaptive solver depend on the data; take one with fixed steps",
    )
    size = CALLS_A_STEP * len(levels)
    units = iter(torch.eye(size, dtype=torch.float64)[:, None])
    start = next(units)
    trajectory = sample(
        UnitPredictions(target, units),
        levels,
        solver,
        start=start,
        noise=torch.zeros_like,
        **options,
    )
    return trajectory.z[-1, 0, : trajectory.calls].numpy()
