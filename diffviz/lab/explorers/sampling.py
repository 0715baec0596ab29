"""A trajectory to walk along: z and x_hat side by side, for any solver, grid, number of steps, frame and share of noise."""

import html
import io
import math
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path as File
from typing import Any, cast

import ipywidgets as w
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from scipy import stats
from torch import Tensor

import diffviz as dv
from diffviz import plots
from diffviz.checks import unknown
from diffviz.lab.experiments.sampling import EVEN, GRIDS, RANGE, best, karras, unit_grid
from diffviz.lab.explorers.base import Explorer, control, show
from diffviz.sampling import couplings, trajectories
from diffviz.sampling.integrate import Trajectory
from diffviz.theory import paths
from diffviz.theory.frames import VE
from diffviz.theory.paths import COSINE, LINEAR, Path

DATA = "ring8", "gmm2d", "moons", "swissroll", "dino"
# s linear in time, a little more than RANGE
WIDER = paths.karras(math.exp(-RANGE[1] / 2 - 1), math.exp(1 - RANGE[0] / 2), rho=1)
# where z lives and the time that Euler steps in, half width of the axes, their scale
FRAMES: dict[str, tuple[Path, float, str]] = {
    "VP": (COSINE, 3.3, "linear"),
    "linear": (LINEAR, 3.3, "linear"),
    "VE": (Path("VE", VE, WIDER.schedule), 600.0, "symlog"),
}
SOLVERS: dict[
    str, tuple[str, str]
] = {  # its name in the package, and its option for noise ("" for none)
    "DDIM": ("ddim", "eta"),
    "Euler in the frame": ("euler", "eta"),
    "Heun": ("heun", "churn"),
    "DPM++ 2M": ("dpm++2m", ""),
    "DPM++ 2S": ("dpm++2s", ""),
    "AB3 on dz/dθ": ("ab3", ""),
    "RK4": ("rk4", ""),
}
LAWS: dict[str, Any] = {
    name: unit_grid(name).schedule for name in GRIDS if not name.startswith("EDM")
}
LAWS |= {"EDM, Karras ρ = 7": karras(*RANGE), EVEN: stats.uniform(RANGE[0], RANGE[1] - RANGE[0])}
POINTS, PATHS = 150, 12


class TrajectoryExplorer(Explorer):
    """Where each step of a sampler is, in the frame of choice, and what the exact denoiser would answer there.

    A setting is sampled once; the slider of the step only moves points.

    Args:
        data: one of ``DATA``, of unit variance; solver: one of ``SOLVERS``; grid: one of ``LAWS``, at first.
    """

    def __init__(self, data: str = "ring8", solver: str = "DDIM", grid: str = "FM, uniform t"):
        known: tuple[tuple[str, str, Any], ...] = (
            ("data", data, DATA),
            ("solver", solver, SOLVERS),
            ("grid", grid, LAWS),
        )
        for kind, name, those in known:
            if name not in those:
                raise unknown(
                    kind,
                    name,
                    those,
                    f"sampling_explorer.{ {'data': 'DATA', 'solver': 'SOLVERS', 'grid': 'LAWS'}[kind] }",
                )
        self.controls: dict[str, Any] = {
            "step": control(w.IntSlider, "step", 6, min=0, max=12),
            "data": control(w.Dropdown, "data", options=DATA, value=data),
            "solver": control(w.Dropdown, "solver", options=list(SOLVERS), value=solver),
            "grid": control(w.Dropdown, "grid", options=list(LAWS), value=grid),
            "steps": control(w.IntSlider, "steps", 12, min=1, max=64),
            "frame": control(w.ToggleButtons, "frame", options=list(FRAMES)),
            "noise": control(w.FloatSlider, "noise", 0.0, min=0, max=1, step=0.05),
            "file": control(
                w.Text, "file", "trajectory.gif", tooltip="gif, or mp4 where ffmpeg is installed"
            ),
            "save": w.Button(
                description="save animation",
                layout=w.Layout(width="150px", margin="2px 2px 2px 96px"),
            ),
        }
        self.controls["frame"].style.button_width = "76px"
        self._setting: tuple = ()
        self.panels = plots.axes(9.0, 4.4, columns=2)
        super().__init__(cast(Figure, self.panels[0].figure), self.controls, self._show)

    def trajectory(self) -> Trajectory:
        """The trajectory of the present setting, sampled when the setting is new."""
        setting = tuple(
            self.controls[name].value
            for name in ("data", "solver", "grid", "steps", "frame", "noise")
        )
        if setting != self._setting:
            data, solver, grid, steps, frame, noise = setting
            model, start, _ = best(data, POINTS)
            name, option = SOLVERS[solver]
            share = {
                "eta": noise,
                "churn": noise * steps * (math.sqrt(2) - 1),
            }  # the most that Heun takes is a factor √2
            options: dict[str, Any] = {option: share[option]} if option else {}
            options |= {"path": FRAMES[frame][0]} if name == "euler" else {}
            levels = dv.grid(LAWS[grid], steps, *RANGE)
            generator = torch.Generator().manual_seed(1)
            self._found = dv.sample(
                model, levels, solver=name, start=start, generator=generator, **options
            )
            self._explained = trajectories.explained(self._found)
            self._place: tuple[NDArray, Tensor] = self._found.on(FRAMES[frame][0])
            self._end = self._words(data, noise if option else 0.0)
            self._setting = setting
        return self._found

    def _words(self, data: str, noise: float) -> str:
        """What is said of the whole trajectory."""
        found, (_, z) = self._found, self._place
        words = f"{found.calls - 1} calls; path length over distance in this frame {couplings.path_ratio(z):.3f}"
        if noise:
            return f"{words}; with noise the end is another sample: no error against the reference"
        error = (found.z[-1] - best(data, POINTS)[2]).square().mean().sqrt().item()
        return f"{words}; <b>rms error of the end {error:.2e}</b> against the adaptive reference"

    def _show(self, changed: str) -> str:
        c = self.controls
        show(c["noise"], bool(SOLVERS[c["solver"].value][1]))
        if c["step"].max != c["steps"].value:  # stay at the same share of the way
            at = round(c["step"].value / c["step"].max * c["steps"].value)
            c["step"].max, c["step"].value = max(c["steps"].value, 1), at
        self.trajectory()
        if changed in ("", "frame", "data"):
            self._axes()
        note = self.save(c["file"].value) if changed == "save" else ""
        self._draw_step(c["step"].value)
        time = self._place[0][c["step"].value]
        at = f"step {c['step'].value} of {c['steps'].value}: λ = {self._found.logsnr[c['step'].value]:.2f}, t = {time:.3f} of the frame's path"
        return f"{at}; R² of x̂ with the sample {self._explained[c['step'].value]:.3f}<br>{self._end}{note}".replace(
            "= -", "= −"
        )

    def _draw_step(self, step: int) -> None:
        """Move what moves: whole paths in grey, the way so far, and all points where they are."""
        for ax, points in zip(self.panels, (self._place[1], self._found.x_hat), strict=True):
            lines = {line.get_gid(): line for line in ax.lines if line.get_gid()}
            few = points[:, :PATHS].movedim(1, 0)
            gap = torch.full((PATHS, 1, 2), math.nan, dtype=few.dtype)
            lines["paths"].set_data(*torch.cat([few, gap], 1).flatten(0, 1).T.numpy())
            lines["so far"].set_data(
                *torch.cat([few[:, : step + 1], gap], 1).flatten(0, 1).T.numpy()
            )
            lines["points"].set_data(*points[step].T.numpy())

    def _axes(self) -> None:
        c = self.controls
        _, half, scale = FRAMES[c["frame"].value]
        x = dv.toy(c["data"].value, unit=True).sample(600, torch.Generator().manual_seed(0)).numpy()
        for ax, name, wide in zip(
            self.panels, ("z", "x̂, the exact denoiser's answer"), (half, 2.6), strict=True
        ):
            ax.clear()
            ax.plot(*x.T, ".", color="0.8", ms=3, zorder=1)
            ax.plot([], [], "-", color="0.55", lw=0.7, gid="paths")
            ax.plot([], [], "-", color=plots.PALETTE[1], lw=1.3, gid="so far")
            ax.plot([], [], "o", color=plots.PALETTE[0], ms=4, gid="points")
            ax.set_title(f"{name}, {c['frame'].value} frame" if name == "z" else name)
            kind: dict[str, Any] = {"linthresh": 3} if scale == "symlog" and name == "z" else {}
            for axis in ("x", "y"):
                getattr(ax, f"set_{axis}scale")(scale if name == "z" else "linear", **kind)
            ax.set(
                xlim=(-wide, wide),
                ylim=(-wide, wide),
                xlabel="first coordinate",
                ylabel="second coordinate",
            )
            if kind:
                ax.set(xticks=(-100, -10, 0, 10, 100), yticks=(-100, -10, 0, 10, 100))
            ax.grid(alpha=0.25)

    def pictures(self) -> Iterator[Image.Image]:
        """The picture at every step of the present setting."""
        self.trajectory()
        for step in range(self.controls["steps"].value + 1):
            self._draw_step(step)
            yield Image.open(io.BytesIO(self._picture.png()))

    def save(self, file: str | File, seconds: float = 4.0) -> str:
        """Write the walk along the trajectory as a .gif, or as an .mp4 where ffmpeg is; returns what to tell the reader.

        Raises:
            ValueError: for another ending, or an .mp4 without ffmpeg.
        """
        file = File(str(file).strip() or "trajectory.gif")
        writers: dict[str, Callable[[File, float], None]] = {
            ".gif": self._gif,
            ".mp4": partial(self._mp4, shutil.which("ffmpeg")),
        }
        if file.suffix.lower() not in writers:
            raise ValueError(
                f"cannot write {file.name!r}: the ending is .gif, or .mp4 where ffmpeg is installed"
            )
        writers[file.suffix.lower()](file, seconds / (self.controls["steps"].value + 1))
        return f"<br><i>saved {html.escape(str(file.resolve()))}</i>"

    def _gif(self, file: File, each: float) -> None:
        first, *rest = (one.quantize(64) for one in self.pictures())
        pause = max(20, round(1000 * each))
        first.save(
            file, save_all=True, append_images=rest, duration=[pause] * len(rest) + [1500], loop=0
        )

    def _mp4(self, ffmpeg: str | None, file: File, each: float) -> None:
        if not ffmpeg:
            raise ValueError("an .mp4 needs ffmpeg, which is not installed here; take a .gif")
        stream = io.BytesIO()
        for one in self.pictures():
            one.save(stream, "PNG")
        command = [
            ffmpeg,
            "-y",
            "-loglevel",
            "error",
            "-f",
            "image2pipe",
            "-framerate",
            f"{1 / each:.3f}",
            "-i",
            "-",
        ]
        subprocess.run(
            [*command, "-pix_fmt", "yuv420p", "-r", "25", str(file)],
            input=stream.getvalue(),
            check=True,
        )
