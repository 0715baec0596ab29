"""Experiments on sampling: frames, solvers, grids, and when a sample is settled."""

from functools import lru_cache, partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy import fft, stats

import diffviz as dv
from diffviz.data import files
from diffviz.theory import paths
from diffviz.theory.frames import STRAIGHT, VP, Frame, noise_ratio
from diffviz.theory.paths import COSINE, LINEAR, Path

if TYPE_CHECKING:
    from diffviz.data.densities import Mixture

TIME, STEPS = "time t   [0 data, 1 noise]", "share of the steps done"
GRIDS = {
    "FM, uniform t": LINEAR, "FM, shift 3": paths.shifted(LINEAR, 3), "VP cosine": COSINE, "DDPM linear β": paths.vp_linear(),
    "EDM, Karras ρ = 7": paths.karras(),
}  # fmt: skip
TRAINED = "fm-ot", "v-cosine", "edm", "sd3"  # the first two are one weighting under two densities
LOW, HIGH = -9.0, 9.0  # within what all of these look at in training


def normal(n: int, *shape: int, seed: int = 0) -> Any:
    """Standard normal starts (n, *shape), the same on every call."""
    import torch

    return torch.randn(
        n, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )


def unit_grid(name: str) -> Path:
    """A grid of ``GRIDS`` for data of unit variance: EDM's is made for a standard deviation of 0.5."""
    return paths.shifted(GRIDS[name], 2) if name.startswith("EDM") else GRIDS[name]


def karras(low: float, high: float) -> Any:
    """Law of Karras' grid between two levels."""
    return paths.karras(float(noise_ratio(high)), float(noise_ratio(low))).schedule


def exact(name: str) -> Any:
    """The exact denoiser of a mixture toy of unit variance; x_hat alone, a few times faster than the toy's own ``denoise``."""
    toy = dv.toy(name, unit=True)
    mixture = cast("Mixture", toy.law)
    logs, means, variance = mixture.weights.log(), mixture.means, mixture.std**2

    def denoise(z, logsnr):
        flat, alpha, noise = z.flatten(1).double(), logsnr.sigmoid().sqrt(), (-logsnr).sigmoid()
        total = alpha**2 * variance + noise
        square = (
            flat.square().sum(1, keepdim=True)
            - 2 * alpha * flat @ means.T
            + alpha**2 * means.square().sum(1)
        )
        share = (logs - means.shape[1] / 2 * total.log() - square / (2 * total)).softmax(1) / total
        x_hat = noise * share @ means + alpha * (share * variance).sum(1, keepdim=True) * flat
        return x_hat.to(z).view_as(z)

    return SimpleNamespace(denoise=denoise, mean=toy.mean)


# --- frames and straightness -------------------------------------------------------------------------------------------------


def between(share: float) -> Frame:
    """A frame on the way from the linear one (0) to VP (1): alpha = (1 − t)/((1 − t)² + t²)^(share/2), sigma likewise."""
    return Frame(
        f"to VP, {share:g}",
        lambda l: STRAIGHT.alpha(l) ** (1 - share) * VP.alpha(l) ** share,
        lambda l: STRAIGHT.sigma(l) ** (1 - share) * VP.sigma(l) ** share,
        lambda l: (1 - share) * STRAIGHT.slope(l) + share * VP.slope(l),
    )


VARIANCES = 0.01, 0.05, 0.1, 0.5, 1.0


def off_chord(variance: float, path: str) -> float:
    """Largest distance of the exact flow of N(0, variance) from its chord, started at z = 1, over uniform time; path "FM" or "VP"."""
    t = np.linspace(0, 1, 4001)
    z = exact_path(variance, path, t)
    return float(np.abs(z - z[0] - t * (z[-1] - z[0])).max())


def exact_path(variance: float, path: str, t: NDArray) -> NDArray:
    """The flow keeps z in units of its standard deviation: z(t) = sqrt(alpha² variance + sigma²), from 1 at t = 1."""
    alpha, sigma = (1 - t, t) if path == "FM" else (np.cos(np.pi * t / 2), np.sin(np.pi * t / 2))
    return np.sqrt(alpha**2 * variance + sigma**2)


def next_draw(draws, like):
    return next(draws)


# --- when is a sample settled? -----------------------------------------------------------------------------------------------


@lru_cache
def spectrum(size: int = 64) -> NDArray:
    """Power of the cosine coefficients of the photographs at hand, [−1, 1] scale, averaged over rings of frequency, (size, size)."""
    photos = files.load("photos")
    images = (
        np.stack([photos[name] for name in ("camera", "astronaut", "coffee", "chelsea", "rocket")])
        / 127.5
        - 1
    )
    side = images.shape[1] // size
    images = images.reshape(len(images), size, side, size, side).mean((2, 4))
    power = (fft.dctn(images, axes=(1, 2), norm="ortho") ** 2).mean(0)
    ring = np.rint(np.hypot(*np.indices(power.shape))).astype(int)
    return (np.bincount(ring.flat, power.flat) / np.bincount(ring.flat))[ring]


def share_of_spectrum(power: NDArray, grid: NDArray) -> NDArray:
    """R² = 1 − mmse/Var along a grid for Gaussian data with these powers, exact denoiser; shape of the grid."""
    power = power.ravel()
    return (power / (1 + np.exp(-np.asarray(grid))[:, None] / power)).sum(1) / power.sum()


def settled_photos(path: Path, size: int = 64, steps: int = 100) -> NDArray:
    """R² along the steps of a grid, for images with the spectrum of photographs; shape (steps + 1,)."""
    return share_of_spectrum(spectrum(size), dv.grid(path.schedule, steps, -16, 16))


@lru_cache
def settled(data: str, grid: str, trained: str = "", steps: int = 60) -> NDArray:
    """R² of x_hat with the final sample along DDIM's steps, shape (steps + 1,).

    Args:
        data: "digits", "ring8" ..., of unit variance; grid: one of ``GRIDS``.
        trained: an objective of ``TRAINED`` for a network (digits only), or "" for the exact denoiser.
    """
    from diffviz.sampling import trajectories

    model = digit_runs()[trained] if trained else exact(data)
    low, high = (LOW, HIGH) if trained else (-14.0, 14.0)
    start = normal(150 if data == "digits" else 1000, *model.mean.shape).to(model.mean.dtype)
    levels = dv.grid(unit_grid(grid).schedule, steps, low, high)
    return trajectories.explained(dv.sample(model, levels, solver="ddim", start=start))


@lru_cache
def digit_runs() -> dict[str, Any]:
    """Networks trained on the digits as vectors (64,), one for each objective of ``TRAINED``."""
    import torch

    x = dv.toy("digits", unit=True).sample(20_000, torch.Generator().manual_seed(0)).flatten(1)
    model = dv.models.MLP(128, 3, ())
    return dict(
        zip(
            TRAINED,
            dv.fit(list(TRAINED), x, model=model, steps=600, batch=128, progress=False),
            strict=True,
        )
    )


# --- solvers and grids -------------------------------------------------------------------------------------------------------

RANGE = -10.0, 12.0
SOLVERS = {
    "DDIM": "ddim",
    "Heun": "heun",
    "DPM++ 2M": "dpm++2m",
    "RK4": "rk4",
    "AB3 on dz/dθ": "ab3",
}
EVEN, MEASURED = "uniform in λ", "even measured error"


@lru_cache
def best(name: str, points: int = 64) -> Any:
    """Exact denoiser of a unit-variance toy, starts (points, 2) and where the adaptive reference ends from them, over ``RANGE``."""
    toy, start = exact(name), normal(points, 2)
    adaptive = partial(
        dv.solvers.runge_kutta, method="dopri8"
    )  # a third of dopri5's time to the same tolerance
    return toy, start, dv.sample(toy, RANGE, solver=adaptive, start=start).z[-1]


@lru_cache
def law(grid: str, data: str) -> Any:
    """Law of λ of a grid over ``RANGE``; the measured one takes a pilot run of 100 Heun steps on that data."""
    from diffviz.sampling import trajectories

    if grid == MEASURED:
        toy, start, _ = best(data)
        return trajectories.error_law(
            dv.sample(toy, np.linspace(*RANGE, 101), solver="heun", start=start)
        )
    known = {
        "uniform in FM's t": LINEAR.schedule,
        EVEN: stats.uniform(RANGE[0], RANGE[1] - RANGE[0]),
        "Karras ρ = 7": karras(*RANGE),
    }
    return known[grid]


LAWS = "uniform in FM's t", EVEN, "Karras ρ = 7", MEASURED


def error_of(solver: str, levels: Any, data: str) -> tuple[float, int]:
    """Root mean square error of a coordinate of the last z against the adaptive reference, and the calls that it took.

    Args:
        solver: name in ``dv.samplers.SOLVERS``; levels: grid over ``RANGE``, shape (steps + 1,); data: a toy, of unit variance.
    """
    toy, start, end = best(data)
    if not np.allclose(np.asarray(levels, dtype=float)[[0, -1]], RANGE):
        raise ValueError(f"the grid runs from {RANGE[0]:g} to {RANGE[1]:g}")
    found = dv.sample(toy, levels, solver=solver, start=start)
    return (
        found.z[-1] - end
    ).square().mean().sqrt().item(), found.calls - 1  # the last call is for x_hat alone


@lru_cache(4096)
def rms(solver: str, grid: str, data: str, steps: int) -> tuple[float, int]:
    """``error_of`` a solver of ``SOLVERS`` on a grid of ``LAWS``."""
    return error_of(SOLVERS[solver], dv.grid(law(grid, data), steps, *RANGE), data)


def calls_to(
    solver: str, grid: str, data: str, wanted: float = 1e-2, most: int = 512
) -> int | None:
    """Fewest calls to an error, by bisection over the number of steps; None if ``most`` steps do not reach it."""
    low, high = 1, 2
    while rms(solver, grid, data, high)[0] > wanted:
        low, high = high, 2 * high
        if high > most:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if rms(solver, grid, data, middle)[0] > wanted else (low, middle)
    return rms(solver, grid, data, high)[1]


def order(
    solver: str, grid: str, data: str = "gmm2d", steps: tuple[int, ...] = (64, 128, 256)
) -> float:
    """Order of convergence: minus the slope of log error over log steps."""
    return -float(
        np.polyfit(np.log(steps), np.log([rms(solver, grid, data, n)[0] for n in steps]), 1)[0]
    )


# --- train on one schedule, sample on another --------------------------------------------------------------------------------


@lru_cache
def point_runs(data: str = "gmm2d") -> dict[str, Any]:
    """The exact denoiser of a toy of unit variance, and networks trained on it, one for each objective of ``TRAINED``."""
    import torch

    toy = dv.toy(data, unit=True)
    x = toy.sample(20_000, torch.Generator().manual_seed(0))
    return {
        "exact": exact(data),
        **dict(zip(TRAINED, dv.fit(list(TRAINED), x, steps=800, progress=False), strict=True)),
    }


@lru_cache(4096)
def distance(trained: str, grid: str, steps: int, data: str = "gmm2d") -> float:
    """Rms distance of a coordinate of DDIM's last z from where the exact flow takes the same start."""
    runs, start = point_runs(data), normal(256, 2)
    fixed = karras(LOW, HIGH) if grid.startswith("EDM") else unit_grid(grid).schedule
    levels = dv.grid(fixed, steps, LOW, HIGH)
    model = runs[trained]
    z = dv.sample(model, levels, solver="ddim", start=start.to(model.mean.dtype)).z[-1]
    return (z.double() - _flow_end(data)).square().mean().sqrt().item()


@lru_cache
def _flow_end(data: str) -> Any:
    return dv.sample(exact(data), [LOW, HIGH], solver="adaptive", start=normal(256, 2)).z[-1]


COUNTS = 4, 8, 16, 32, 64, 128
