"""The explorer of sampling: a trajectory to walk along, z and x_hat side by side."""

import html
import io
import math
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path as File
from typing import Any, NamedTuple

import ipywidgets as widgets
import torch
from matplotlib.axes import Axes
from numpy.typing import NDArray
from PIL import Image
from scipy import stats
from torch import Tensor

import diffviz as dv
from diffviz import checks, plots
from diffviz.lab.experiments.sampling import EVEN, GRIDS, RANGE, best, karras, unit_grid
from diffviz.lab.explorers.base import (
    Explorer,
    control,
    figure_of,
    indented_button,
    require_option,
    show,
)
from diffviz.sampling import couplings, trajectories
from diffviz.sampling.integrate import Trajectory
from diffviz.theory import paths
from diffviz.theory.frames import VE
from diffviz.theory.paths import COSINE, LINEAR, Path

DATA = "ring8", "gmm2d", "moons", "swissroll", "dino"
POINTS, PATHS = 150, 12  # points that are sampled, and those whose whole paths are drawn
SAMPLE_REACH = 2.6  # half width of the axes of x_hat


class FrameView(NamedTuple):
    """A frame in which z is drawn.

    Args:
        path: The path of the frame, in whose time Euler steps.
        reach: Half width of the axes.
        scale: Matplotlib's scale of the axes, "linear" or "symlog".
    """

    path: Path
    reach: float
    scale: str


class Solver(NamedTuple):
    """A solver in the menu.

    Args:
        name: Its name in ``diffviz.solvers``.
        noise_option: Its option for noise, "" if it has none.
    """

    name: str
    noise_option: str = ""


# sigma linear in time, over a little more than RANGE
WIDE_VE = paths.karras(math.exp(-RANGE[1] / 2 - 1), math.exp(1 - RANGE[0] / 2), rho=1)
FRAMES: dict[str, FrameView] = {
    "VP": FrameView(COSINE, 3.3, "linear"),
    "linear": FrameView(LINEAR, 3.3, "linear"),
    "VE": FrameView(Path("VE", VE, WIDE_VE.schedule), 600.0, "symlog"),
}
SOLVERS: dict[str, Solver] = {
    "DDIM": Solver("ddim", "eta"),
    "Euler in the frame": Solver("euler", "eta"),
    "Heun": Solver("heun", "churn"),
    "DPM++ 2M": Solver("dpm++2m"),
    "DPM++ 2S": Solver("dpm++2s"),
    "AB3 on dz/dθ": Solver("ab3"),
    "RK4": Solver("rk4"),
}
LAWS: dict[str, Any] = {
    name: unit_grid(name).schedule for name in GRIDS if not name.startswith("EDM")
}
LAWS |= {"EDM, Karras ρ = 7": karras(*RANGE), EVEN: stats.uniform(RANGE[0], RANGE[1] - RANGE[0])}


@dataclass(frozen=True)
class Setting:
    """What a trajectory depends on.

    Args:
        data: One of ``DATA``.
        solver: A key of ``SOLVERS``.
        grid: A key of ``LAWS``.
        steps: Number of steps.
        frame: A key of ``FRAMES``.
        noise: Share of the most noise that the solver takes, in [0, 1].
    """

    data: str
    solver: str
    grid: str
    steps: int
    frame: str
    noise: float

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
            options["path"] = FRAMES[self.frame].path
        return options

    @property
    def is_noisy(self) -> bool:
        """Whether the solver adds noise."""
        return bool(SOLVERS[self.solver].noise_option and self.noise)


class Walk(NamedTuple):
    """A sampled trajectory and what is drawn of it.

    Args:
        setting: What it was sampled with.
        trajectory: The trajectory.
        explained: R² of x_hat with the sample at each step, shape (steps + 1,).
        times: Times on the path of the frame, shape (steps + 1,).
        z: z in the frame, shape (steps + 1, n, 2).
    """

    setting: Setting
    trajectory: Trajectory
    explained: Any
    times: NDArray
    z: Tensor


class TrajectoryExplorer(Explorer):
    """Where each step of a sampler is, and what the exact denoiser answers there.

    On the left is z in a frame of choice, on the right x_hat. A setting is sampled once; the slider
    of the step only moves points. The walk can be saved as an animation.

    Args:
        data: Toy of unit variance at first, one of ``DATA``.
        solver: Solver at first, a key of ``SOLVERS``.
        grid: Grid of λ at first, a key of ``LAWS``.

    Raises:
        ValueError: A name is unknown.
    """

    def __init__(self, data: str = "ring8", solver: str = "DDIM", grid: str = "FM, uniform t"):
        module = "diffviz.lab.explorers.sampling"
        require_option("data", data, DATA, f"{module}.DATA")
        require_option("solver", solver, SOLVERS, f"{module}.SOLVERS")
        require_option("grid", grid, LAWS, f"{module}.LAWS")
        self._walk: Walk | None = None
        self.panels = plots.axes(9.0, 4.4, columns=2)
        controls = self._make_controls(data, solver, grid)
        super().__init__(figure_of(self.panels[0]), controls, self._update)

    def trajectory(self) -> Trajectory:
        """The trajectory of the present setting, sampled when the setting is new."""
        return self._present_walk().trajectory

    def pictures(self) -> Iterator[Image.Image]:
        """The picture at every step of the present setting."""
        walk = self._present_walk()
        for step in range(walk.setting.steps + 1):
            self._draw_step(walk, step)
            yield Image.open(io.BytesIO(self._picture.png()))

    def save(self, file: str | File, seconds: float = 4.0) -> str:
        """Write the walk along the trajectory as an animation.

        Args:
            file: Where to write: a .gif, or an .mp4 where ffmpeg is installed.
            seconds: How long the animation lasts.

        Returns:
            Where the file is, as HTML.

        Raises:
            ValueError: The file has another ending, ffmpeg is missing, or ``seconds`` is not
                positive.
        """
        file = File(str(file).strip() or "trajectory.gif")
        step_seconds = checks.positive(seconds, "seconds") / (self.controls["steps"].value + 1)
        ending = file.suffix.lower()
        if ending == ".gif":
            self._write_gif(file, step_seconds)
        elif ending == ".mp4":
            self._write_mp4(file, step_seconds)
        else:
            raise ValueError(
                f"cannot write {file.name!r}: the ending is .gif, or .mp4 where ffmpeg is installed"
            )
        return f"<br><i>saved {html.escape(str(file.resolve()))}</i>"

    @staticmethod
    def _make_controls(data: str, solver: str, grid: str) -> dict[str, Any]:
        """The controls by name."""
        menu, whole = widgets.Dropdown, widgets.IntSlider
        frame = control(widgets.ToggleButtons, "frame", options=list(FRAMES))
        frame.style.button_width = "76px"
        return {
            "step": control(whole, "step", 6, min=0, max=12),
            "data": control(menu, "data", options=DATA, value=data),
            "solver": control(menu, "solver", options=list(SOLVERS), value=solver),
            "grid": control(menu, "grid", options=list(LAWS), value=grid),
            "steps": control(whole, "steps", 12, min=1, max=64),
            "frame": frame,
            "noise": control(widgets.FloatSlider, "noise", 0.0, min=0, max=1, step=0.05),
            "file": control(
                widgets.Text,
                "file",
                "trajectory.gif",
                tooltip="gif, or mp4 where ffmpeg is installed",
            ),
            "save": indented_button("save animation"),
        }

    # --- the trajectory

    def _setting(self) -> Setting:
        """What the controls say."""
        names = ("data", "solver", "grid", "steps", "frame", "noise")
        return Setting(**{name: self.controls[name].value for name in names})

    def _present_walk(self) -> Walk:
        """The walk of the present setting, sampled when the setting is new."""
        setting = self._setting()
        if self._walk is None or self._walk.setting != setting:
            self._walk = sample_walk(setting)
        return self._walk

    # --- what a change of a control does

    def _update(self, changed: str) -> str:
        """Draw what the controls say, and describe it."""
        show(self.controls["noise"], bool(SOLVERS[self.controls["solver"].value].noise_option))
        self._fit_step_slider()
        walk = self._present_walk()
        if changed in ("", "frame", "data"):
            self._clear_axes(walk.setting)
        note = self.save(self.controls["file"].value) if changed == "save" else ""
        step = self.controls["step"].value
        self._draw_step(walk, step)
        return describe_step(walk, step) + describe_end(walk) + note

    def _fit_step_slider(self) -> None:
        """Let the step run over all steps, and stay at the same share of the way."""
        step, steps = self.controls["step"], self.controls["steps"].value
        if step.max != steps:
            value = round(step.value / step.max * steps)
            step.max = max(steps, 1)
            step.value = value

    # --- the picture

    def _clear_axes(self, setting: Setting) -> None:
        """Draw both axes anew: the data in grey, and lines without points."""
        frame = FRAMES[setting.frame]
        toy = dv.toy(setting.data, unit=True)
        data = toy.sample(600, torch.Generator().manual_seed(0)).numpy()
        left, right = self.panels
        _clear(left, data, f"z, {setting.frame} frame", frame.reach, frame.scale)
        _clear(right, data, "x̂, the exact denoiser's answer", SAMPLE_REACH, "linear")

    def _draw_step(self, walk: Walk, step: int) -> None:
        """Move what moves: whole paths in grey, the way so far, and all points where they are."""
        for ax, points in zip(self.panels, (walk.z, walk.trajectory.x_hat), strict=True):
            lines = {line.get_gid(): line for line in ax.lines if line.get_gid()}
            lines["paths"].set_data(*broken_line(points[:, :PATHS]))
            lines["so far"].set_data(*broken_line(points[: step + 1, :PATHS]))
            lines["points"].set_data(*points[step].T.numpy())

    # --- animations

    def _write_gif(self, file: File, step_seconds: float) -> None:
        """Write the pictures as a GIF, which rests at the end."""
        first, *others = (picture.quantize(64) for picture in self.pictures())
        milliseconds = max(20, round(1000 * step_seconds))
        durations = [milliseconds] * len(others) + [1500]
        first.save(file, save_all=True, append_images=others, duration=durations, loop=0)

    def _write_mp4(self, file: File, step_seconds: float) -> None:
        """Write the pictures as a video, with ffmpeg."""
        ffmpeg = shutil.which("ffmpeg")
        if not ffmpeg:
            raise ValueError("an .mp4 needs ffmpeg, which is not installed here; take a .gif")
        stream = io.BytesIO()
        for picture in self.pictures():
            picture.save(stream, "PNG")
        rate = f"{1 / step_seconds:.3f}"
        source = ["-loglevel", "error", "-f", "image2pipe", "-framerate", rate, "-i", "-"]
        video = ["-pix_fmt", "yuv420p", "-r", "25", str(file)]
        subprocess.run([ffmpeg, "-y", *source, *video], input=stream.getvalue(), check=True)


def sample_walk(setting: Setting) -> Walk:
    """Sample a trajectory with the exact denoiser.

    Args:
        setting: What the trajectory depends on.

    Returns:
        The trajectory and what is drawn of it.
    """
    model, start, _ = best(setting.data, POINTS)
    trajectory = dv.sample(
        model,
        dv.grid(LAWS[setting.grid], setting.steps, *RANGE),
        solver=SOLVERS[setting.solver].name,
        start=start,
        generator=torch.Generator().manual_seed(1),
        **setting.solver_options(),
    )
    times, z = trajectory.on(FRAMES[setting.frame].path)
    return Walk(setting, trajectory, trajectories.explained(trajectory), times, z)


def describe_step(walk: Walk, step: int) -> str:
    """Where a step is, in words.

    Args:
        walk: The walk.
        step: The step, from 0.

    Returns:
        A line of HTML.
    """
    words = (
        f"step {step} of {walk.setting.steps}: λ = {walk.trajectory.logsnr[step]:.2f}, "
        f"t = {walk.times[step]:.3f} of the frame's path; "
        f"R² of x̂ with the sample {walk.explained[step]:.3f}<br>"
    )
    return words.replace("= -", "= −")


def describe_end(walk: Walk) -> str:
    """The whole trajectory in words.

    Args:
        walk: The walk.

    Returns:
        The number of calls, how straight the paths are, and the error of the end, as HTML.
    """
    trajectory = walk.trajectory
    words = (
        f"{trajectory.calls - 1} calls; "
        f"path length over distance in this frame {couplings.path_ratio(walk.z):.3f}; "
    )
    if walk.setting.is_noisy:
        return words + "with noise the end is another sample: no error against the reference"
    _, _, end = best(walk.setting.data, POINTS)
    error = (trajectory.z[-1] - end).square().mean().sqrt().item()
    return words + f"<b>rms error of the end {error:.2e}</b> against the adaptive reference"


def broken_line(points: Tensor) -> NDArray:
    """One line through the points of each path, with a gap after each path.

    Args:
        points: Steps of the paths, shape (steps, n, 2).

    Returns:
        Coordinates, shape (2, n · (steps + 1)); NaN at the gaps.
    """
    by_path = points.movedim(1, 0)
    gap = torch.full((len(by_path), 1, 2), math.nan, dtype=points.dtype)
    return torch.cat([by_path, gap], 1).flatten(0, 1).T.numpy()


def _clear(ax: Axes, data: NDArray, title: str, reach: float, scale: str) -> None:
    """Draw axes anew: the data in grey, and lines without points."""
    ax.clear()
    ax.plot(*data.T, ".", color="0.8", ms=3, zorder=1)
    ax.plot([], [], "-", color="0.55", lw=0.7, gid="paths")
    ax.plot([], [], "-", color=plots.PALETTE[1], lw=1.3, gid="so far")
    ax.plot([], [], "o", color=plots.PALETTE[0], ms=4, gid="points")
    ax.set_title(title)
    options: dict[str, Any] = {"linthresh": 3} if scale == "symlog" else {}
    ax.set_xscale(scale, **options)
    ax.set_yscale(scale, **options)
    limits = (-reach, reach)
    ax.set(xlim=limits, ylim=limits, xlabel="first coordinate", ylabel="second coordinate")
    if scale == "symlog":
        ticks = (-100, -10, 0, 10, 100)
        ax.set(xticks=ticks, yticks=ticks)
    ax.grid(alpha=0.25)
