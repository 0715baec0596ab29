"""Walks of samplers over points of the plane, with exact denoisers: where each step is.

The data are toys of unit variance, or points that a reader draws: the kernel density of points is a
mixture, whose denoiser is exact, so nothing is trained.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

import diffviz as dv
from diffviz import checks
from diffviz.lab.experiments.sampling import (
    BY_RHO,
    EVEN,
    GRIDS,
    RANGE,
    Blend,
    ExactDenoiser,
    between,
    exact,
    karras,
    normal,
    unit_grid,
)
from diffviz.plots.style import REFERENCE, VIVID
from diffviz.theory import paths
from diffviz.theory.frames import VE, VP, Frame
from diffviz.theory.paths import COSINE, LINEAR, Path

if TYPE_CHECKING:
    from torch import Tensor

    from diffviz.data.densities import Mixture
    from diffviz.sampling.integrate import Trajectory

DRAWN = "drawn"  # data that a reader draws
DATA = ("ring8", "gmm2d", "moons", "swissroll", "dino")
POINTS = 150  # points that are sampled
OWN_POINTS = 24  # starts of one's own
SHOWN = 600  # points of a toy that are shown
LEAST = 2  # different points that a drawing needs
FINE = 120  # steps of RK4, even in λ, to where the exact flow ends; off by 1e-5 or less
QUICK = 70  # steps for a drawing, which changes with each stroke; off by 5e-5 or less
COMPARED = 60  # points of a drawing whose ends are compared
REACH = 3.3  # half width of the axes of z where it has unit variance
SAMPLE_REACH = 2.6  # half width of the axes of x_hat
COLOUR_REACH = 1.6  # half width of the square that the colours of ends fill
ARROWS = 13  # arrows of the field along each axis
BETWEEN = "slide"  # the frame that slides
GREY = REFERENCE  # of data behind what moves
# red, green and blue at the corners of that square
CORNERS = np.array([list(bytes.fromhex(shade[1:])) for shade in VIVID]) / 255

Points = tuple[tuple[float, float], ...]


def figure_of_eight(count: int = 48) -> Points:
    """Points on a lying figure of eight, an example of a drawing.

    Args:
        count: How many.

    Returns:
        The points, to two decimals.
    """
    angle = 2 * np.pi * np.arange(checks.count(count, "count")) / count
    points = np.stack([1.6 * np.sin(angle), 1.1 * np.sin(2 * angle)], 1).round(2) + 0.0
    return tuple((float(x), float(y)) for x, y in points)


# --- what can be chosen --------------------------------------------------------------------------


class SolverOption(NamedTuple):
    """A solver in a menu.

    Args:
        name: Its name in ``diffviz.solvers``.
        noise_option: Its option for noise, "" if it has none.
        std: The standard deviation that it is told, with which it runs in the angle; None for none.
    """

    name: str
    noise_option: str = ""
    std: float | None = None


SOLVERS: dict[str, SolverOption] = {
    "DDIM": SolverOption("ddim", "eta"),
    "Euler in the frame": SolverOption("euler", "eta"),
    "Heun": SolverOption("heun", "churn"),
    "DPM++ 2M": SolverOption("dpm++2m"),
    "DPM++ 2S": SolverOption("dpm++2s"),
    "AB3 in θ": SolverOption("ab3", std=1.0),
    "RK4 in λ": SolverOption("rk4"),
    "RK4 in θ": SolverOption("rk4", std=1.0),
}
LAWS: dict[str, Any] = {
    name: unit_grid(name).schedule for name in GRIDS if not name.startswith("EDM")
}
LAWS |= {BY_RHO: karras(*RANGE), EVEN: stats.uniform(RANGE[0], RANGE[1] - RANGE[0])}

# sigma linear in time, over a little more than RANGE
WIDE_VE = paths.karras(math.exp(-RANGE[1] / 2 - 1), math.exp(1 - RANGE[0] / 2), rho=1)
FRAMES: dict[str, Path] = {
    "linear": LINEAR,
    "VP": COSINE,
    "VE": Path("VE", VE, WIDE_VE.schedule),
}


def slid_frame(place: float) -> Frame:
    """A frame on the way from the linear one over VP to VE.

    Args:
        place: 0 for the linear frame, 1 for VP, 2 for VE.

    Returns:
        The frame.

    Raises:
        ValueError: The place lies outside [0, 2].
    """
    place = checks.number(place, "place", 0, 2)
    if place <= 1:
        return between(place)
    blend = Blend(place - 1, VP, VE)
    return Frame(f"to VE, {place - 1:g}", blend.alpha, blend.sigma, blend.slope)


@lru_cache(64)
def frame_path(frame: str, place: float = 1.0) -> Path:
    """The path in whose z and t a walk is seen, and in which Euler steps.

    Args:
        frame: A key of ``FRAMES``, or ``BETWEEN``.
        place: Where between the frames, see ``slid_frame``; its time is that of the linear path.

    Returns:
        The path.

    Raises:
        ValueError: The frame is unknown, or the place lies outside [0, 2].
    """
    checks.one_of(frame, "frame", (*FRAMES, BETWEEN))
    if frame != BETWEEN:
        return FRAMES[frame]
    return Path(BETWEEN, slid_frame(place), LINEAR.schedule)


@dataclass(frozen=True)
class Setting:
    """What a walk depends on.

    Args:
        data: One of ``DATA``, or ``DRAWN``.
        solver: A key of ``SOLVERS``.
        grid: A key of ``LAWS``.
        steps: Number of steps.
        frame: A key of ``FRAMES``, or ``BETWEEN``.
        place: Where between the frames; see ``slid_frame``.
        noise: Share of the most noise that the solver takes, in [0, 1].
        drawing: Points of drawn data.
        width: Standard deviation of their kernel, in standard deviations of the points.
        starts: Up to 24 places of one's own at the first step, in the frame.
    """

    data: str = "ring8"
    solver: str = "DDIM"
    grid: str = "FM, uniform t"
    steps: int = 12
    frame: str = "VP"
    place: float = 1.0
    noise: float = 0.0
    drawing: Points = ()
    width: float = 0.1
    starts: Points = ()

    @property
    def path(self) -> Path:
        """The path of the frame."""
        return frame_path(self.frame, self.place)

    @property
    def is_noisy(self) -> bool:
        """Whether the solver adds noise."""
        return bool(SOLVERS[self.solver].noise_option and self.noise)

    @property
    def has_data(self) -> bool:
        """Whether there are data; a drawing needs two different points."""
        return self.data != DRAWN or len(set(self.drawing)) >= LEAST

    def solver_options(self) -> dict[str, Any]:
        """What the solver is called with besides the grid."""
        solver = SOLVERS[self.solver]
        options: dict[str, Any] = {}
        if solver.noise_option == "eta":
            options["eta"] = self.noise
        elif solver.noise_option == "churn":
            # in a step, Heun takes noise up by a factor of √2 at most
            options["churn"] = self.noise * self.steps * (math.sqrt(2) - 1)
        if solver.name == "euler":
            options["path"] = self.path
        if solver.std is not None:
            options["std"] = solver.std
        return options

    def of_sampling(self) -> "Setting":
        """The setting without what the sampled points do not depend on."""
        sampled = replace(self, starts=())
        if self.data != DRAWN:
            sampled = replace(sampled, drawing=(), width=0.1)
        if self.solver != "Euler in the frame":
            sampled = replace(sampled, frame="VP")
        if sampled.frame != BETWEEN:
            sampled = replace(sampled, place=1.0)
        return sampled


# --- data, starts and ends -----------------------------------------------------------------------


@lru_cache(16)
def drawn_denoiser(drawing: Points, width: float) -> ExactDenoiser:
    """The exact denoiser of drawn points: that of their kernel density.

    Args:
        drawing: The points, two or more different ones.
        width: Standard deviation of the kernel, in standard deviations of the points.

    Returns:
        The denoiser.

    Raises:
        ValueError: There are fewer than two different points, or the width is not above 0.
    """
    toy = dv.dataset(np.array(drawing), bandwidth=width, unit=False)
    mixture = cast("Mixture", toy.law)
    return ExactDenoiser(mixture.weights.log(), mixture.means, mixture.std**2, toy.mean)


class Ends(NamedTuple):
    """Data, and where the exact flow takes the points.

    Args:
        denoiser: The exact denoiser.
        start: z at the first level, shape (n, 2).
        end: z at the last level by a fine run, of the first points, shape (k, 2).
        data: Points of the data, shape (m, 2).
    """

    denoiser: ExactDenoiser
    start: "Tensor"
    end: "Tensor"
    data: NDArray


@lru_cache(16)
def ends_of(data: str, drawing: Points = (), width: float = 0.1) -> Ends:
    """The exact denoiser of some data, the starts, and where they end.

    Args:
        data: One of ``DATA``, or ``DRAWN``.
        drawing: Points of drawn data.
        width: Standard deviation of their kernel.

    Returns:
        The denoiser, the starts, the ends, and points of the data.

    Raises:
        ValueError: The data are unknown, or there are fewer than two different points.
    """
    import torch

    if data == DRAWN:
        denoiser = drawn_denoiser(drawing, width)
        points = np.array(drawing)
        steps, compared = QUICK, COMPARED
    else:
        denoiser = exact(checks.one_of(data, "data", DATA))
        toy = dv.toy(data, unit=True)
        points = toy.sample(SHOWN, torch.Generator().manual_seed(0)).numpy()
        steps, compared = FINE, POINTS
    start = normal(POINTS, 2)
    fine = np.linspace(*RANGE, steps + 1)
    end = dv.sample(denoiser, fine, solver="rk4", start=start[:compared]).z[-1]
    return Ends(denoiser, start, end, points)


# --- the walk ------------------------------------------------------------------------------------


class Noise:
    """Draws of noise for so many points, of which a walk takes the first.

    A start that is added to others leaves their noise as it was.

    Args:
        seed: Seed of the draws.
        points: Number of points of a draw.
    """

    def __init__(self, seed: int, points: int):
        import torch

        self._generator = torch.Generator().manual_seed(seed)
        self._shape = (points, 2)

    def __call__(self, like: "Tensor") -> "Tensor":
        """Noise like some points (n, 2), with n up to the number of points of a draw."""
        import torch

        drawn = torch.randn(self._shape, generator=self._generator, dtype=torch.float64)
        return drawn[: len(like)]


def sampled_noise() -> Noise:
    """The noise of the sampled points, the same for all settings."""
    return Noise(1, POINTS)


def own_noise() -> Noise:
    """The noise of starts of one's own, the same for all settings."""
    return Noise(2, OWN_POINTS)


def draws(noise: Noise, points: int, most: int) -> NDArray:
    """The first draws of a noise.

    Args:
        noise: The noise, new.
        points: Number of points.
        most: Number of draws.

    Returns:
        Standard normal values, shape (most, points, 2).

    Raises:
        TypeError: A number is no whole number.
        ValueError: A number is below 1.
    """
    import torch

    like = torch.empty(checks.count(points, "points"), 2)
    return torch.stack([noise(like) for _ in range(checks.count(most, "most"))]).numpy()


class Walk(NamedTuple):
    """Sampled points, and what is shown of them at each step.

    Args:
        setting: What they were sampled with.
        trajectory: The points in the variance-preserving frame.
        explained: R² of x_hat with the sample at each step, shape (steps + 1,).
        own: Trajectories of the starts of one's own, None without them.
    """

    setting: Setting
    trajectory: "Trajectory"
    explained: NDArray
    own: "Trajectory | None"

    @property
    def scales(self) -> NDArray:
        """Scale of the frame over that of VP at each step, shape (steps + 1,)."""
        logsnr = self.trajectory.logsnr
        return self.setting.path.frame.alpha(logsnr) / VP.alpha(logsnr)

    @property
    def times(self) -> NDArray:
        """Times on the path of the frame, shape (steps + 1,)."""
        return self.setting.path.time(self.trajectory.logsnr)

    @property
    def reach(self) -> NDArray:
        """Half width of the axes of z at each step, shape (steps + 1,).

        VE has no fixed scale, so its axes shrink with the noise and stay straight.
        """
        return REACH * np.maximum(self.scales, 1)

    def in_frame(self, trajectory: "Trajectory") -> NDArray:
        """Z of a trajectory in the frame, shape (steps + 1, n, 2)."""
        return trajectory.on(self.setting.path)[1].numpy()


def walk(setting: Setting) -> Walk:
    """Sample points with the exact denoiser.

    Args:
        setting: What the walk depends on.

    Returns:
        The walk; the samples are kept for the next setting that shares them.

    Raises:
        ValueError: A name is unknown, or drawn data are fewer than two different points.
    """
    trajectory, explained = _sampled(setting.of_sampling())
    own = None
    if setting.starts:
        places = np.array(setting.starts)
        path = setting.path
        first = trajectory.logsnr[:1]
        start = places * (VP.alpha(first) / path.frame.alpha(first))
        own = _trajectory(setting, start, own_noise())
    return Walk(setting, trajectory, explained, own)


@lru_cache(32)
def _sampled(setting: Setting) -> "tuple[Trajectory, NDArray]":
    """The trajectory of the common starts, and R² of x_hat at each step."""
    from diffviz.sampling import trajectories

    trajectory = _trajectory(setting, ends_of(*_data(setting)).start, sampled_noise())
    return trajectory, trajectories.explained(trajectory)


def _data(setting: Setting) -> tuple[str, Points, float]:
    """The arguments of ``ends_of`` in a setting."""
    if setting.data != DRAWN:
        return setting.data, (), 0.1
    return setting.data, setting.drawing, setting.width


def _trajectory(setting: Setting, start: "Tensor | NDArray", noise: Noise) -> "Trajectory":
    """Sample from given starts in the variance-preserving frame."""
    import torch

    return dv.sample(
        ends_of(*_data(setting)).denoiser,
        dv.grid(LAWS[setting.grid], setting.steps, *RANGE),
        solver=SOLVERS[setting.solver].name,
        start=torch.as_tensor(start, dtype=torch.float64),
        noise=noise,
        **setting.solver_options(),
    )


def all_levels(grid: str, most: int) -> NDArray:
    """The levels of a grid with one step, with two steps, and so on, one after the other.

    Args:
        grid: A key of ``LAWS``.
        most: Largest number of steps.

    Returns:
        λ in nats, shape (most (most + 3)/2,).

    Raises:
        TypeError: ``most`` is no whole number.
        ValueError: The grid is unknown, or ``most`` is below 1.
    """
    law = LAWS[checks.one_of(grid, "grid", LAWS)]
    steps = range(1, checks.count(most, "most") + 1)
    return np.concatenate([dv.grid(law, count, *RANGE) for count in steps])


def data_points(setting: Setting) -> NDArray:
    """Points of the data of a setting, shape (m, 2)."""
    return ends_of(*_data(setting)).data if setting.has_data else np.empty((0, 2))


def error_of_end(walked: Walk) -> float:
    """Root mean square distance of the ends from those of the exact flow, by coordinate.

    Args:
        walked: The walk.

    Returns:
        The distance, in units of the data.
    """
    end = ends_of(*_data(walked.setting)).end
    return (walked.trajectory.z[-1, : len(end)] - end).square().mean().sqrt().item()


# --- what is drawn -------------------------------------------------------------------------------


def end_colours(points: ArrayLike, reach: float = COLOUR_REACH) -> NDArray:
    """A colour for each point by its place, mixed from a colour at each corner of a square.

    Args:
        points: The points, shape (n, 2).
        reach: Half the side of the square; points outside have the colour of its edge.

    Returns:
        Red, green and blue in [0, 1], shape (n, 3).

    Raises:
        ValueError: The points are not (n, 2), or not finite.
    """
    places = checks.array(points, "points")
    checks.require(
        places.ndim == 2 and places.shape[1] == 2, f"points must be (n, 2), got {places.shape}"
    )
    right, up = np.clip(places / reach, -1, 1).T / 2 + 0.5
    shares = np.stack([(1 - right) * up, right * up, (1 - right) * (1 - up), right * (1 - up)], 1)
    return shares @ CORNERS


def velocities(walked: Walk) -> NDArray:
    """Where the flow goes, as arrows on a lattice, at each step.

    In a frame, dz/dλ = alpha a x_hat + sigma (a − ½) eps_hat with a = d log alpha/dλ, and
    sigma eps_hat = z − alpha x_hat. An arrow is as long as a mesh of the lattice where the flow is
    among the fastest of its step, and shorter in proportion where it is slower.

    Args:
        walked: The walk.

    Returns:
        Rows x, y, dx, dy, shape (steps + 1, m, 4).
    """
    import torch

    denoiser = ends_of(*_data(walked.setting)).denoiser
    frame = walked.setting.path.frame
    ticks = np.linspace(-0.92, 0.92, ARROWS)
    lattice = np.stack(np.meshgrid(ticks, ticks), -1).reshape(-1, 2)
    rows = []
    for level, scale, reach in zip(
        walked.trajectory.logsnr, walked.scales, walked.reach, strict=True
    ):
        z = reach * lattice
        logsnr = torch.tensor(level)
        x_hat = denoiser.denoise(torch.from_numpy(z / scale), logsnr).numpy()
        alpha, slope = frame.alpha(level), frame.slope(level)
        velocity = alpha * slope * x_hat + (slope - 0.5) * (z - alpha * x_hat)
        speed = np.hypot(*velocity.T)
        longest = np.quantile(speed, 0.95) or 1.0
        arrow = velocity / np.maximum(speed, longest)[:, None] * reach * (ticks[1] - ticks[0])
        rows.append(np.hstack([z, arrow]))
    return np.array(rows)
