"""Experiments on sampling: frames, solvers, grids, and when a sample is settled.

All data has unit variance and all exact denoisers are those of mixtures, unless said otherwise.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft, stats

import diffviz as dv
from diffviz import checks
from diffviz.checks import array, count, increasing, number, one_of, positive, require
from diffviz.compute import threads
from diffviz.compute.cache import cached
from diffviz.data import files
from diffviz.lab.experiments.common import TIME as TIME
from diffviz.protocols import Denoiser, Law
from diffviz.theory import paths
from diffviz.theory.frames import STRAIGHT, VP, Frame, noise_ratio
from diffviz.theory.paths import COSINE, LINEAR, Path

if TYPE_CHECKING:
    from torch import Tensor

    from diffviz.data.densities import Mixture
    from diffviz.sampling.integrate import Trajectory

STEPS = "share of the steps done"  # label of an axis
GRIDS = {
    "FM, uniform t": LINEAR,
    "FM, shift 3": paths.shifted(LINEAR, 3),
    "VP cosine": COSINE,
    "DDPM linear β": paths.vp_linear(),
    "EDM's grid": paths.karras(),
}
TRAINED = "fm-ot", "v-cosine", "edm", "sd3"  # the first two are one weighting under two densities
LOW, HIGH = -9.0, 9.0  # λ in nats, within what all of these look at in training
INSIDE = np.linspace(1 - 1e-9, 1e-9, 7)  # times of 6 steps, noise to data, where λ is finite


# --- starts, grids and denoisers ---------------------------------------------------------------


def normal(n: int, *shape: int, seed: int = 0) -> "Tensor":
    """Standard normal starts, the same on every call.

    Args:
        n: Number of starts.
        *shape: Shape of each.
        seed: Seed of the draws.

    Returns:
        The starts in float64, shape (n, *shape).

    Raises:
        TypeError: A count or the seed is no whole number.
        ValueError: A count is not positive, or the seed is negative.
    """
    import torch

    sizes = [count(size, "size") for size in (n, *shape)]
    generator = torch.Generator().manual_seed(checks.seed(seed))
    return torch.randn(*sizes, generator=generator, dtype=torch.float64)


def unit_grid(name: str) -> Path:
    """A grid of ``GRIDS`` for data of unit variance; EDM's is made for a deviation of 0.5.

    Args:
        name: Name of the grid.

    Returns:
        The path that carries the grid.

    Raises:
        ValueError: There is no such grid.
    """
    path = GRIDS[one_of(name, "grid", GRIDS)]
    return paths.shifted(path, 2) if name.startswith("EDM") else path


def karras(low: float, high: float) -> Any:
    """The law of Karras' grid (arXiv 2206.00364, eq. 5) between two levels.

    Args:
        low: Lowest λ in nats.
        high: Highest λ in nats.

    Returns:
        A frozen distribution of λ on [low, high].

    Raises:
        ValueError: A level is not finite, or ``low`` is not below ``high``.
    """
    low, high = number(low, "low"), number(high, "high")
    require(low < high, f"low must be below high, got {low:g} and {high:g}")
    return paths.karras(float(noise_ratio(high)), float(noise_ratio(low))).schedule


@dataclass(frozen=True, eq=False)
class ExactDenoiser:
    """E[x|z] of a mixture of isotropic Gaussians, a few times faster than the toy's own.

    Attributes:
        logs: Logarithms of the components' shares, shape (k,).
        means: Their means, shape (k, d).
        variance: Their variances, shape (k,).
        mean: Mean of the data, in the shape of a point.
    """

    logs: "Tensor"
    means: "Tensor"
    variance: "Tensor"
    mean: "Tensor"

    def denoise(self, z: "Tensor", logsnr: "Tensor") -> "Tensor":
        """E[x|z] on the variance-preserving frame.

        Args:
            z: Noisy points, shape (n, *shape).
            logsnr: λ in nats, one level.

        Returns:
            x_hat, like z.
        """
        flat = z.flatten(1).double()
        alpha, noise = logsnr.sigmoid().sqrt(), (-logsnr).sigmoid()
        total = alpha**2 * self.variance + noise
        square = (
            flat.square().sum(1, keepdim=True)
            - 2 * alpha * flat @ self.means.T
            + alpha**2 * self.means.square().sum(1)
        )
        log_share = self.logs - self.means.shape[1] / 2 * total.log() - square / (2 * total)
        share = log_share.softmax(1) / total
        shrunk = alpha * (share * self.variance).sum(1, keepdim=True) * flat
        return (noise * share @ self.means + shrunk).to(z).view_as(z)

    def multiply_adds(self, n: int) -> int:
        """Multiply-adds of the largest operation on n points; see ``compute.threads``."""
        return n * len(self.means) * max(self.means.shape[1], threads.ELEMENT)


def exact(name: str) -> ExactDenoiser:
    """The exact denoiser of a toy of unit variance that is a mixture.

    Args:
        name: Name of the toy.

    Returns:
        The denoiser.

    Raises:
        ValueError: There is no such toy.
    """
    toy = dv.toy(name, unit=True)
    mixture = cast("Mixture", toy.law)
    return ExactDenoiser(mixture.weights.log(), mixture.means, mixture.std**2, toy.mean)


# --- frames and straightness -------------------------------------------------------------------

VARIANCES = 0.01, 0.05, 0.1, 0.5, 1.0


@dataclass(frozen=True)
class Blend:
    """Curves on the way from one frame to another, the linear and VP by default.

    Attributes:
        share: 0 for the first frame, 1 for the second.
        first: The first frame.
        second: The second frame.
    """

    share: float
    first: Frame = STRAIGHT
    second: Frame = VP

    def alpha(self, logsnr: NDArray) -> NDArray:
        """Scale of the signal at ``logsnr``."""
        first, second = self.first.alpha(logsnr), self.second.alpha(logsnr)
        return first ** (1 - self.share) * second**self.share

    def sigma(self, logsnr: NDArray) -> NDArray:
        """Scale of the noise at ``logsnr``."""
        first, second = self.first.sigma(logsnr), self.second.sigma(logsnr)
        return first ** (1 - self.share) * second**self.share

    def slope(self, logsnr: NDArray) -> NDArray:
        """Slope d log alpha/dλ at ``logsnr``."""
        return (1 - self.share) * self.first.slope(logsnr) + self.share * self.second.slope(logsnr)


def between(share: float) -> Frame:
    """A frame between the linear and the variance-preserving one.

    alpha = (1 − t)/((1 − t)² + t²)^(share/2), and sigma likewise.

    Args:
        share: 0 for the linear frame, 1 for the variance-preserving one.

    Returns:
        The frame.

    Raises:
        ValueError: ``share`` is outside [0, 1].
    """
    blend = Blend(number(share, "share", 0, 1))
    return Frame(f"to VP, {blend.share:g}", blend.alpha, blend.sigma, blend.slope)


def _walk(data: Denoiser, solver: str, **options: Any) -> NDArray:
    """Points along 6 steps of uniform time from z = 1, shape (7,)."""
    import torch

    start = torch.ones(1, 1, dtype=torch.float64)
    steps = dv.sample(data, LINEAR.logsnr(INSIDE), solver=solver, start=start, **options)
    return steps.z[:, 0, 0].numpy()


class FrameWalks(NamedTuple):
    """Six steps on N(0, 0.25) in several frames, all drawn in the variance-preserving one.

    Attributes:
        time: Times of the steps, shape (7,).
        walks: z along the steps by solver and frame, each (7,).
        exact_time: Times of the exact flow, shape (201,).
        exact: z of the exact flow, shape (201,).
        shares: Frames between linear (0) and VP (1), shape (21,).
        ends: The last z over ``shares`` by solver, each (21,).
    """

    time: NDArray
    walks: dict[str, NDArray]
    exact_time: NDArray
    exact: NDArray
    shares: NDArray
    ends: dict[str, NDArray]


def frame_walks() -> FrameWalks:
    """DDIM and Euler's method in frames between the linear and the variance-preserving one."""
    data = dv.mixture([[0.0]], 0.5)

    def euler(share: float) -> NDArray:
        return _walk(data, "euler", path=Path("", between(share), LINEAR.schedule))

    ddim = _walk(data, "ddim")
    time, shares = np.linspace(1, 0, 201), np.linspace(0, 1, 21)
    exact_z = np.hypot((1 - time) * 0.5, time) / np.hypot(1 - time, time)
    return FrameWalks(
        time=INSIDE,
        walks={
            "DDIM": ddim,
            "Euler, linear frame": euler(0.0),
            "Euler, half way": euler(0.5),
            "Euler, VP frame": euler(1.0),
        },
        exact_time=time,
        exact=exact_z,
        shares=shares,
        ends={
            "DDIM": np.full(len(shares), ddim[-1]),
            "Euler": np.array([euler(share)[-1] for share in shares]),
            "exact flow": np.full(len(shares), exact_z[-1]),
        },
    )


def line_flow(points: int = 11, data: str = "gmm1") -> "Trajectory":
    """The exact flow of evenly spaced points of noise on a line, in 100 steps.

    Args:
        points: Number of points, from −2 to 2.
        data: Name of a toy on the line, scaled to unit variance.

    Returns:
        The trajectory.

    Raises:
        ValueError: ``points`` is not positive, or there is no such toy.
    """
    import torch

    start = torch.linspace(-2, 2, count(points, "points"), dtype=torch.float64)[:, None]
    grid = dv.grid(LINEAR.schedule, 100, -12, 12)
    return dv.sample(dv.toy(data, unit=True), grid, start=start)


def off_chord(variance: float, path: str) -> float:
    """Largest distance of the exact flow of N(0, variance) from its chord, over uniform time.

    Args:
        variance: Variance of the data.
        path: "FM" for the linear path or "VP" for the cosine path.

    Returns:
        The distance; the flow starts at z = 1.

    Raises:
        ValueError: The variance is not above 0, or the path is another.
    """
    t = np.linspace(0, 1, 4001)
    z = exact_path(variance, path, t)
    return float(np.abs(z - z[0] - t * (z[-1] - z[0])).max())


def exact_path(variance: float, path: str, t: ArrayLike) -> NDArray:
    """The exact flow of N(0, variance), z(t) = sqrt(alpha² variance + sigma²), from 1 at t = 1.

    The flow keeps z in units of its standard deviation.

    Args:
        variance: Variance of the data.
        path: "FM" for the linear path or "VP" for the cosine path.
        t: Times in [0, 1], any shape.

    Returns:
        z, in the shape of ``t``.

    Raises:
        ValueError: The variance is not above 0, the path is another, or a time is not finite.
    """
    variance, t = positive(variance, "variance"), array(t, "t")
    one_of(path, "path", ("FM", "VP"))
    alpha, sigma = (1 - t, t) if path == "FM" else (np.cos(np.pi * t / 2), np.sin(np.pi * t / 2))
    return np.sqrt(alpha**2 * variance + sigma**2)


def off_chords(variances: ArrayLike) -> dict[str, NDArray]:
    """``off_chord`` of both paths.

    Args:
        variances: Variances of the data, shape (n,).

    Returns:
        Distances for "FM" and "VP", each (n,).

    Raises:
        ValueError: A variance is not above 0.
    """
    values = array(variances, "variances", ndim=1)
    return {
        path: np.array([off_chord(variance, path) for variance in values]) for path in ("FM", "VP")
    }


# --- noise on the way --------------------------------------------------------------------------


def churn_weights(
    etas: Sequence[float] = (0.0, 0.5, 1.0), steps: int = 100
) -> dict[float, NDArray]:
    """How much each step's v counts in the last z, on a grid of the cosine path.

    Args:
        etas: Shares of DDPM's noise.
        steps: Number of steps.

    Returns:
        |weight| of each step by share of noise, each (steps,).

    Raises:
        ValueError: ``steps`` is not positive.
    """
    from diffviz.sampling import trajectories

    times = np.linspace(1 - 1e-9, 1e-9, count(steps, "steps") + 1)
    grid = COSINE.logsnr(times)
    return {eta: np.abs(trajectories.prediction_weights(grid, eta=eta))[1:] for eta in etas}


def next_draw(draws: Iterator["Tensor"], like: "Tensor") -> "Tensor":
    """The next of given draws, for a sampler that asks for noise like ``like``.

    Args:
        draws: The draws that are left.
        like: What the noise has to look like.

    Returns:
        The next draw.
    """
    return next(draws)


def _ddpm(data: Denoiser, start: "Tensor", levels: ArrayLike, draws: Sequence["Tensor"]) -> Any:
    """DDPM's steps along levels with given noise, as ``dv.sample`` returns them."""
    noise = partial(next_draw, iter(draws))
    return dv.sample(data, levels, solver="ddim", eta=1.0, start=start, noise=noise)


def _ddim_twice(data: Denoiser, start: "Tensor", begin: float, end: float) -> "Tensor":
    """Where a DDIM step of twice the length in log-SNR ends."""
    return dv.sample(data, [begin, 2 * end - begin], solver="ddim", start=start).z[-1]


def _noised(z: "Tensor", begin: float, end: float, draw: "Tensor") -> "Tensor":
    """Take z up to a noisier level: y = z/alpha gains the variance s_end² − s_begin²."""
    gained = np.sqrt(noise_ratio(end) ** 2 - noise_ratio(begin) ** 2)
    alpha_begin, alpha_end = VP.alpha(np.array([begin, end]))
    return (z / alpha_begin + gained * draw) * alpha_end


class Chain(NamedTuple):
    """A chain of DDPM steps beside DDIM steps of twice the length with noise half way back.

    Attributes:
        grid: Levels of DDPM's steps in nats, shape (n + 1,).
        ddpm: Its z, shape (n + 1,).
        level: Levels of the other chain: down, back, down, ...; shape (2 n + 1,).
        z: Its z, shape (2 n + 1,).
    """

    grid: NDArray
    ddpm: NDArray
    level: NDArray
    z: NDArray


def ddpm_chain() -> Chain:
    """One chain of 8 steps on gmm1 from z = 0.4, both ways with the same draws."""
    import torch

    data = dv.toy("gmm1", unit=True)
    grid = np.linspace(-6, 6, 9)
    draws = list(normal(20, 1, seed=3)[: len(grid) - 1, None])
    chain = _ddpm(data, torch.full((1, 1), 0.4, dtype=torch.float64), grid, draws)
    level, z = [grid[0]], [chain.z[0].item()]
    for draw, (begin, end) in zip(draws, pairwise(grid), strict=True):
        here = torch.tensor([[z[-1]]], dtype=torch.float64)
        far = _ddim_twice(data, here, begin, end)
        level += [2 * end - begin, end]
        z += [far.item(), _noised(far, 2 * end - begin, end, draw).item()]
    return Chain(grid, chain.z[:, 0, 0].numpy(), np.array(level), np.array(z))


class OneStep(NamedTuple):
    """Distributions of z after one step, by two routes.

    Attributes:
        middle: Middles of the bins, shape (k,).
        densities: Density of z by route, each (k,).
    """

    middle: NDArray
    densities: dict[str, NDArray]


def ddpm_step(n: int = 500_000) -> OneStep:
    """One step on gmm1 from z = 0.4 at λ = −1 to λ = 1, by DDPM and by DDIM and noise.

    Args:
        n: Number of draws by each route.

    Returns:
        Histograms of z over 50 bins of [−2.5, 2.5].

    Raises:
        ValueError: ``n`` is not positive.
    """
    import torch

    data = dv.toy("gmm1", unit=True)
    begin = -1.0
    end = 1.0
    start = torch.full((count(n, "n"), 1), 0.4, dtype=torch.float64)
    far = _ddim_twice(data, start, begin, end)
    z = {
        "DDPM step": _ddpm(data, start, [begin, end], [normal(n, 1, seed=1)]).z[-1],
        "DDIM of twice the length, noise": _noised(far, 2 * end - begin, end, normal(n, 1, seed=2)),
    }
    edges = np.linspace(-2.5, 2.5, 51)
    densities = {
        name: np.histogram(points.numpy(), edges, density=True)[0] for name, points in z.items()
    }
    return OneStep((edges[1:] + edges[:-1]) / 2, densities)


# --- when is a sample settled? -----------------------------------------------------------------

PHOTOS = ("camera", "astronaut", "coffee", "chelsea", "rocket")
BANDS = {"below 2": (0, 2), "2 to 8": (2, 8), "8 to 32": (8, 33)}  # cycles per image of 64²
BANDED = ("FM, uniform t", "VP cosine")


@lru_cache
def spectrum(size: int = 64) -> NDArray:
    """Power of the cosine coefficients of photographs on [−1, 1], averaged over rings.

    Args:
        size: Side of the images in pixels, a divisor of 256.

    Returns:
        The power, shape (size, size).

    Raises:
        TypeError: ``size`` is no whole number.
        ValueError: It does not divide 256.
    """
    photos = files.load("photos")
    images = np.stack([photos[name] for name in PHOTOS]) / 127.5 - 1
    whole = images.shape[1]
    require(whole % count(size, "size") == 0, f"size must divide {whole}, got {size}")
    side = whole // size
    images = images.reshape(len(images), size, side, size, side).mean((2, 4))
    power = (fft.dctn(images, axes=(1, 2), norm="ortho") ** 2).mean(0)
    ring = np.rint(np.hypot(*np.indices(power.shape))).astype(int)
    return (np.bincount(ring.flat, power.flat) / np.bincount(ring.flat))[ring]


def share_of_spectrum(power: ArrayLike, grid: ArrayLike) -> NDArray:
    """R² of x_hat with the end of DDIM's own walk, for Gaussian data and its exact denoiser.

    Walks start at noised data. Every coefficient is scaled at each step, so no samples are drawn.
    In y = z/alpha and s = exp(−λ/2) a coefficient of variance c has x_hat = c y/(c + s²), and a
    step to s' keeps (c + s s')/(c + s²) of y.

    Args:
        power: Variances of the coefficients, any shape.
        grid: λ in nats, noise first, shape (n,).

    Returns:
        R², shape (n,); the last is 1.

    Raises:
        ValueError: A number is not finite, or the grid has another shape.
    """
    power, grid = array(power, "power").ravel(), array(grid, "grid", ndim=1)
    s = noise_ratio(grid)[:, None]
    total = power + s**2
    kept = (power + s[:-1] * s[1:]) / total[:-1]
    y = np.sqrt(total[0]) * np.cumprod(np.vstack([np.ones_like(power), kept]), axis=0)
    x_hat = power / total * y
    return 1 - ((x_hat - x_hat[-1]) ** 2).sum(1) / (x_hat[-1] ** 2).sum()


def settled_photos(path: Path, size: int = 64, steps: int = 100) -> NDArray:
    """R² with the own end along DDIM's steps, for images with the spectrum of photographs.

    Args:
        path: Path that carries the grid.
        size: Side of the images in pixels, a divisor of 256.
        steps: Number of steps.

    Returns:
        R², shape (steps + 1,).

    Raises:
        ValueError: ``size`` does not divide 256, or ``steps`` is not positive.
    """
    return share_of_spectrum(spectrum(size), dv.grid(path.schedule, steps, -16, 16))


def settled_bands(steps: int = 100) -> dict[tuple[str, str], NDArray]:
    """R² with the own end in bands of spatial frequency, for the grids of ``BANDED``.

    Args:
        steps: Number of steps.

    Returns:
        R² by grid and band of ``BANDS``, each (steps + 1,).

    Raises:
        ValueError: ``steps`` is not positive.
    """
    settled_by_band = {}
    for name in BANDED:
        levels = dv.grid(GRIDS[name].schedule, steps, -16, 16)
        for band, power in _banded_power().items():
            settled_by_band[name, band] = share_of_spectrum(power, levels)
    return settled_by_band


def band_shares() -> dict[str, float]:
    """The share of the variance of photographs at 64² in each of ``BANDS``."""
    total = spectrum().sum()
    return {band: float(power.sum() / total) for band, power in _banded_power().items()}


def _banded_power() -> dict[str, NDArray]:
    """The power of the coefficients of photographs at 64² in each of ``BANDS``."""
    power = spectrum()
    rate = np.hypot(*np.indices(power.shape)) / 2  # cycles per image
    return {band: power[(low <= rate) & (rate < high)] for band, (low, high) in BANDS.items()}


@cached
def settled(
    data: str,
    grid: str,
    trained: str = "",
    steps: int = 60,
    ends: tuple[float, float] = (LOW, HIGH),
) -> NDArray:
    """R² of x_hat with the final sample along DDIM's steps.

    Args:
        data: "digits", "ring8" and so on; it is brought to unit variance.
        grid: One of ``GRIDS``.
        trained: An objective of ``TRAINED`` for a network (digits only), or "" for the exact
            denoiser.
        steps: Number of steps.
        ends: The lowest and the highest λ of the steps in nats; by default what networks have
            looked at in training.

    Returns:
        R², shape (steps + 1,).

    Raises:
        ValueError: A name is unknown, a network is asked for on other data than digits, or the
            ends are not finite and increasing.
    """
    from diffviz.sampling import trajectories

    one_of(trained, "trained", ("", *TRAINED))
    require(
        not trained or data == "digits",
        f"networks are trained on digits, not on {data!r}; leave trained empty",
    )
    model = digit_runs()[trained] if trained else exact(data)
    starts = normal(150 if data == "digits" else 1000, *model.mean.shape)
    levels = dv.grid(unit_grid(grid).schedule, steps, *ends)
    walk = dv.sample(model, levels, solver="ddim", start=starts.to(model.mean.dtype))
    return trajectories.explained(walk)


@cached
def digit_runs() -> dict[str, Any]:
    """Networks trained on the digits as vectors (64,), one for each objective of ``TRAINED``."""
    import torch

    x = dv.toy("digits", unit=True).sample(20_000, torch.Generator().manual_seed(0)).flatten(1)
    model = dv.models.MLP(128, 3, ())
    runs = dv.fit(list(TRAINED), x, model=model, steps=600, batch=128, progress=False)
    return dict(zip(TRAINED, runs, strict=True))


# --- solvers and grids -------------------------------------------------------------------------

RANGE = -10.0, 12.0  # λ in nats
SOLVERS = {
    "DDIM": "ddim",
    "Heun": "heun",
    "DPM++ 2M": "dpm++2m",
    "RK4 in λ": "rk4",
    "RK4 in θ": "rk4",
    "AB3 in θ": "ab3",
}
IN_ANGLE: Mapping[str, Any] = {"std": 1.0}  # of data of unit variance
OPTIONS = {"RK4 in θ": IN_ANGLE, "AB3 in θ": IN_ANGLE}
FINE = 1000
EVEN, MEASURED = "uniform in λ", "even measured error"
BY_RHO = "Karras ρ = 7"  # between the ends of ``RANGE``; "EDM's grid" has those of the paper
LAWS = "FM, uniform t", EVEN, BY_RHO, MEASURED


@cached
def best(name: str, points: int = 64) -> "tuple[ExactDenoiser, Tensor, Tensor]":
    """The flow over ``RANGE`` to ten digits: RK4 in the angle, in ``FINE`` steps.

    An adaptive solver in λ agrees to 1e-9, and ends a little farther off.

    Args:
        name: A toy, brought to unit variance.
        points: Number of starts.

    Returns:
        The exact denoiser, the starts (points, 2), and where they end.

    Raises:
        ValueError: There is no such toy, or ``points`` is not positive.
    """
    toy = exact(name)
    start = normal(points, 2)
    levels = dv.grid(COSINE.schedule, FINE, *RANGE)
    return toy, start, dv.sample(toy, levels, "rk4", start=start, **IN_ANGLE).z[-1]


@lru_cache
def law(grid: str, data: str) -> Law:
    """The law of λ of a grid over ``RANGE``.

    Args:
        grid: One of ``LAWS``. The measured one takes a pilot run of 100 Heun steps.
        data: A toy, brought to unit variance.

    Returns:
        The law.

    Raises:
        ValueError: A name is unknown.
    """
    from diffviz.sampling import trajectories

    if grid == MEASURED:
        toy, start, _ = best(data)
        pilot = dv.sample(toy, np.linspace(*RANGE, 101), solver="heun", start=start)
        return trajectories.error_law(pilot)
    known = {
        "FM, uniform t": LINEAR.schedule,
        EVEN: stats.uniform(RANGE[0], RANGE[1] - RANGE[0]),
        BY_RHO: karras(*RANGE),
    }
    return known[one_of(grid, "grid", known)]


def error_of(solver: str, levels: ArrayLike, data: str, **options: Any) -> tuple[float, int]:
    """Error of a solver against the exact flow.

    Args:
        solver: Name in ``dv.solvers.SOLVERS``.
        levels: Increasing grid over ``RANGE`` in nats, shape (steps + 1,).
        data: A toy, brought to unit variance.
        options: Options of the solver, such as ``std``.

    Returns:
        Root mean square error of a coordinate of the last z, and the calls that it took.

    Raises:
        ValueError: The grid does not increase or runs over another range, or a name is unknown.
    """
    toy, start, end = best(data)
    levels = increasing(levels, "levels")
    if not np.allclose(levels[[0, -1]], RANGE):
        raise ValueError(
            f"the grid runs from {RANGE[0]:g} to {RANGE[1]:g}, got {levels[0]:g} to {levels[-1]:g}"
        )
    walk = dv.sample(toy, levels, solver=solver, start=start, **options)
    error = (walk.z[-1] - end).square().mean().sqrt().item()
    return error, walk.calls - 1  # the last call is for x_hat alone


@lru_cache(4096)
def rms(solver: str, grid: str, data: str, steps: int) -> tuple[float, int]:
    """``error_of`` a solver of ``SOLVERS`` on a grid of ``LAWS``.

    Args:
        solver: One of ``SOLVERS``.
        grid: One of ``LAWS``.
        data: A toy, brought to unit variance.
        steps: Number of steps.

    Returns:
        Root mean square error of a coordinate of the last z, and the calls that it took.

    Raises:
        ValueError: A name is unknown, or ``steps`` is not positive.
    """
    method = SOLVERS[one_of(solver, "solver", SOLVERS)]
    levels = dv.grid(law(grid, data), steps, *RANGE)
    return error_of(method, levels, data, **OPTIONS.get(solver, {}))


@cached
def calls_to(
    solver: str, grid: str, data: str, tolerance: float = 1e-2, most: int = 512
) -> int | None:
    """Fewest calls that reach an error, by bisection over the number of steps.

    Args:
        solver: One of ``SOLVERS``.
        grid: One of ``LAWS``.
        data: A toy, brought to unit variance.
        tolerance: The error to reach.
        most: Largest number of steps that is tried.

    Returns:
        The calls; None if ``most`` steps do not reach the error.

    Raises:
        ValueError: A name is unknown, or ``tolerance`` is not above 0.
    """
    tolerance = positive(tolerance, "tolerance")
    low, high = 1, 2
    while rms(solver, grid, data, high)[0] > tolerance:
        low, high = high, 2 * high
        if high > most:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        if rms(solver, grid, data, middle)[0] > tolerance:
            low = middle
        else:
            high = middle
    return rms(solver, grid, data, high)[1]


def order(
    solver: str, grid: str, data: str = "gmm2d", steps: tuple[int, ...] = (64, 128, 256)
) -> float:
    """Order of convergence: minus the slope of log error over log steps.

    Args:
        solver: One of ``SOLVERS``.
        grid: One of ``LAWS``.
        data: A toy, brought to unit variance.
        steps: Numbers of steps.

    Returns:
        The order.

    Raises:
        ValueError: A name is unknown.
    """
    errors = [rms(solver, grid, data, n)[0] for n in steps]
    return -float(np.polyfit(np.log(steps), np.log(errors), 1)[0])


class Convergence(NamedTuple):
    """Error of a solver by the calls that it takes.

    Attributes:
        calls: Calls of the denoiser, shape (n,).
        errors: Root mean square errors of a coordinate of the last z, shape (n,).
        order: Order of convergence.
    """

    calls: NDArray
    errors: NDArray
    order: float


# numbers of steps besides those of all solvers: twelve calls of each, and fewer where a step takes
# several
FEW_STEPS: Mapping[str, tuple[int, ...]] = {
    "DDIM": (12,),
    "Heun": (4, 6),
    "DPM++ 2M": (12,),
    "RK4 in λ": (2, 3),
    "RK4 in θ": (2, 3),
    "AB3 in θ": (12,),
}


@cached
def convergence(
    grid: str, data: str = "gmm2d", steps: Sequence[int] = (8, 16, 32, 64, 128, 256)
) -> dict[str, Convergence]:
    """Errors of all ``SOLVERS`` on a grid.

    Args:
        grid: One of ``LAWS``.
        data: A toy, brought to unit variance.
        steps: Numbers of steps, besides those of ``FEW_STEPS``.

    Returns:
        Errors and order by solver.

    Raises:
        ValueError: A name is unknown.
    """
    by_solver = {}
    for solver in SOLVERS:
        pairs = [rms(solver, grid, data, n) for n in sorted({*FEW_STEPS[solver], *steps})]
        errors, calls = (np.array(column) for column in zip(*pairs, strict=True))
        by_solver[solver] = Convergence(calls, errors, order(solver, grid, data))
    return by_solver


# --- train on one schedule, sample on another --------------------------------------------------

OWN_GRIDS = {  # with which the recipe of each training is sampled
    "fm-ot": "FM, uniform t",
    "v-cosine": "VP cosine",
    "edm": "EDM's grid",
    "sd3": "FM, shift 3",
}

COUNTS = 4, 8, 16, 32, 64, 128


@cached
def point_runs(data: str = "gmm2d") -> dict[str, Any]:
    """Denoisers of a toy of unit variance.

    Args:
        data: Name of the toy.

    Returns:
        The exact denoiser under "exact", and a trained network for each of ``TRAINED``.

    Raises:
        ValueError: There is no such toy.
    """
    import torch

    x = dv.toy(data, unit=True).sample(20_000, torch.Generator().manual_seed(0))
    runs = dv.fit(list(TRAINED), x, steps=800, progress=False)
    return {"exact": exact(data), **dict(zip(TRAINED, runs, strict=True))}


@cached
def distance(trained: str, grid: str, steps: int, data: str = "gmm2d") -> float:
    """How far DDIM ends from where the exact flow takes the same start.

    Args:
        trained: "exact" or one of ``TRAINED``.
        grid: One of ``GRIDS``.
        steps: Number of steps.
        data: A toy, brought to unit variance.

    Returns:
        Root mean square distance of a coordinate of the last z.

    Raises:
        ValueError: A name is unknown, or ``steps`` is not positive.
    """
    one_of(grid, "grid", GRIDS)
    model = point_runs(data)[one_of(trained, "trained", ("exact", *TRAINED))]
    schedule = karras(LOW, HIGH) if grid.startswith("EDM") else unit_grid(grid).schedule
    start = normal(256, 2).to(model.mean.dtype)
    z = dv.sample(model, dv.grid(schedule, steps, LOW, HIGH), solver="ddim", start=start).z[-1]
    return (z.double() - _flow_end(data)).square().mean().sqrt().item()


@cached
def _flow_end(data: str) -> "Tensor":
    """Where the exact flow takes 256 starts between LOW and HIGH, shape (256, 2)."""
    return dv.sample(exact(data), [LOW, HIGH], solver="adaptive", start=normal(256, 2)).z[-1]
