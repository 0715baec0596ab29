"""The explorer of sampling: trajectories to play and scrub, z and x_hat side by side."""

from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path as File
from typing import Any, cast

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from diffviz import checks
from diffviz.lab.experiments import walks
from diffviz.lab.experiments.walks import BETWEEN, DATA, DRAWN, FRAMES, LAWS, RANGE, SOLVERS
from diffviz.lab.explorers.colours import BESIDE
from diffviz.lab.explorers.colours import OWN as OWN_COLOUR
from diffviz.lab.explorers.controls import EXAMPLE, require_option, take_drawing
from diffviz.lab.explorers.films import film_path, save_film
from diffviz.lab.explorers.view import Changed, ViewExplorer
from diffviz.sampling import couplings
from diffviz.sampling.integrate import Trajectory
from diffviz.web import figures
from diffviz.web.description import (
    Action,
    Clock,
    Control,
    Description,
    Menu,
    Points,
    Slider,
    State,
    Switch,
    Text,
)
from diffviz.web.pictures import Cloud, Note, View, Working

MOST_STEPS = 64
PATHS = 12  # points whose whole ways are drawn as lines
NOTHING = "nothing"
SAMPLES, OWN, BEHIND = "samples", "your starts", "data"
SIZE = (9.0, 4.4)  # inches of a picture in an animation
SECONDS = 4.0  # that an animation lasts
FILE = "trajectory.gif"
NOISY = tuple(name for name, solver in SOLVERS.items() if solver.noise_option)
SLID = "linear", "VP", "VE"  # the frames at 0, 1 and 2 of the slider
SLIGHT = 0.005  # a part that is written as 0.00


def data_controls() -> tuple[Control, ...]:
    """Which data, and a drawing of one's own."""
    drawn = {"data": (DRAWN,)}
    return (
        Menu("data", "data", (*DATA, DRAWN), DATA[0], tip="Of unit variance, or your own points."),
        Points(
            "drawing", "drawing", EXAMPLE, most=200, when=drawn, tip="Draw or click on the right."
        ),
        Slider(
            "width",
            "kernel",
            0.02,
            0.5,
            0.01,
            0.1,
            tip="Width of the kernel density, in standard deviations of the points.",
            when=drawn,
        ),
    )


def sampler_controls() -> tuple[Control, ...]:
    """The solver, its steps and its noise, and the frame."""
    return (
        Menu("solver", "solver", tuple(SOLVERS), "DDIM"),
        Menu("grid", "grid", tuple(LAWS), "FM, uniform t", tip="How the steps lie in λ."),
        Slider("steps", "steps", 1, MOST_STEPS, 1, 12, whole=True),
        Menu(
            "frame",
            "frame",
            (*FRAMES, BETWEEN),
            "VP",
            buttons=True,
            tip="The common scale of z: linear (flow matching), VP, VE, or one between them.",
        ),
        Slider(
            "place",
            "linear to VE",
            0,
            2,
            0.05,
            0.5,
            tip="0 is the linear frame, 1 is VP, 2 is VE. Time is that of the linear path.",
            when={"frame": (BETWEEN,)},
        ),
        Slider(
            "noise",
            "noise",
            0,
            1,
            0.05,
            0.0,
            tip="Share of the most noise that the solver takes.",
            when={"solver": NOISY},
        ),
    )


def view_controls() -> tuple[Control, ...]:
    """What else is shown, and the animation."""
    return (
        Menu(
            "beside",
            "beside",
            (NOTHING, *SOLVERS),
            NOTHING,
            tip="Another solver on the same steps: its ways from the same starts, in black.",
        ),
        Points(
            "starts", "your starts", most=walks.OWN_POINTS, tip="Click on the left to start one."
        ),
        Switch("field", "velocities", tip="Where the flow goes at the present step."),
        Text("file", "file", FILE, "a .gif, or an .mp4 where ffmpeg is installed", rare=True),
        Action("save", "save animation", rare=True),
        Clock("time", "time", 0.5),
    )


class TrajectoryExplorer(ViewExplorer):
    """Where each step of a sampler is, and what the exact denoiser answers there.

    On the left is z in a frame of choice, on the right x_hat. The points are coloured by where they
    end. A player walks along the steps. A click on the left starts a trajectory of one's own; a
    drawing on the right is data of one's own, whose kernel density has an exact denoiser. The walk
    can be saved as an animation.

    Args:
        data: Toy of unit variance at first, one of ``walks.DATA``, or "drawn".
        solver: Solver at first, a key of ``walks.SOLVERS``.
        grid: Grid of λ at first, a key of ``walks.LAWS``.
        **state: Values of other controls at first, such as ``steps=24``.

    Raises:
        ValueError: A name is unknown, or a value is not allowed.
    """

    def __init__(
        self,
        data: str = "ring8",
        solver: str = "DDIM",
        grid: str = "FM, uniform t",
        **state: Any,
    ):
        module = "diffviz.lab.experiments.walks"
        require_option("data", data, (*DATA, DRAWN), f"{module}.DATA")
        require_option("solver", solver, SOLVERS, f"{module}.SOLVERS")
        require_option("grid", grid, LAWS, f"{module}.LAWS")
        description = Description(
            "Trajectories",
            (*data_controls(), *sampler_controls(), *view_controls()),
            local="sampling.js",
        )
        super().__init__(description, {"data": data, "solver": solver, "grid": grid, **state})

    def settled(self, state: State, changed: str) -> State:
        """The state after a change: what is drawn becomes the data."""
        if changed == "drawing":
            take_drawing(state, "data")
        return state

    def compute(self, state: State, changed: Changed) -> View | Iterator[View | Working]:
        """Z and x_hat at each step, and what the whole walk comes to.

        Args:
            state: A value for each control.
            changed: Names of the controls that were moved.

        Returns:
            Two clouds and a note; the progress of an animation that is saved.

        Raises:
            ValueError: The animation has no name that can be written.
        """
        if "save" in changed:
            return self._saving(state, film_path(state["file"].strip() or FILE))
        return walk_view(state)

    def page_data(self) -> dict[str, Any]:
        """Data with their starts and ends, levels of all grids, and draws of noise."""
        return {
            "data": {name: ends_data(walks.ends_of(name)) for name in DATA},
            "start": walks.ends_of(DATA[0]).start.numpy(),
            "grids": {name: walks.all_levels(name, MOST_STEPS) for name in LAWS},
            "noise": walks.draws(walks.sampled_noise(), walks.POINTS, MOST_STEPS),
            "ownNoise": walks.draws(walks.own_noise(), walks.OWN_POINTS, MOST_STEPS),
            "noisy": {name: SOLVERS[name].noise_option for name in NOISY},
            "range": RANGE,
            "example": EXAMPLE,
            "sizes": {
                "reach": walks.REACH,
                "sampleReach": walks.SAMPLE_REACH,
                "colourReach": walks.COLOUR_REACH,
                "trails": PATHS,
                "arrows": walks.ARROWS,
                "quick": walks.QUICK,
                "compared": walks.COMPARED,
            },
            "corners": walks.CORNERS.tolist(),
            "colours": {"data": walks.GREY, "own": OWN_COLOUR, "beside": BESIDE},
        }

    def trajectory(self) -> Trajectory:
        """The trajectory of the present setting."""
        return walks.walk(setting_of(self.state)).trajectory

    def pictures(self) -> Iterator[Image.Image]:
        """The picture at every step of the present setting, from the first to the last."""
        clouds = walk_view(self.state).panels[:2]
        steps = self.state["steps"]
        for step in range(steps + 1):
            present = tuple(replace(cloud, present=step / steps) for cloud in clouds)
            drawing = figures.figure(View(present, columns=2), SIZE)
            canvas = cast(FigureCanvasAgg, drawing.canvas)
            canvas.draw()
            yield Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])

    def save(self, path: str | File, seconds: float = SECONDS) -> File:
        """Write the picture, or the walk along the trajectories as an animation.

        Args:
            path: Where to write: .gif, or .mp4 where ffmpeg is installed, for the animation; .svg,
                .pdf or .png for the picture, .html for a page.
            seconds: How long the animation lasts.

        Returns:
            The path of the file.

        Raises:
            ValueError: The path has another ending, ffmpeg is missing, or ``seconds`` is not
                positive.
        """
        step_seconds = checks.positive(seconds, "seconds") / (self.state["steps"] + 1)
        if File(path).suffix.lower() in (".svg", ".pdf", ".png", ".html"):
            return super().save(path)
        return save_film(self.pictures(), path, step_seconds)

    def _saving(self, state: State, file: File) -> Iterator[View | Working]:
        """Draw the pictures of the animation one by one, then write them."""
        count = state["steps"] + 1
        drawn = []
        for picture in self.pictures():
            drawn.append(picture)
            yield Working(len(drawn) / count, f"picture {len(drawn)} of {count}")
        saved = save_film(drawn, file, SECONDS / count).resolve()
        view = walk_view(self.state)
        yield View((*view.panels, Note(f"saved {saved}")), view.columns)


# --- what a page computes with --------------------------------------------------------------------


def ends_data(ends: walks.Ends) -> dict[str, Any]:
    """What the browser needs of data.

    Args:
        ends: The data with their denoiser.

    Returns:
        The mixture, the ends of the exact flow, and points of the data.
    """
    denoiser = ends.denoiser
    return {
        "mixture": {
            "logs": denoiser.logs.numpy(),
            "means": denoiser.means.numpy(),
            "variance": denoiser.variance.expand(len(denoiser.means)).numpy(),
        },
        "end": ends.end.numpy(),
        "points": ends.data,
    }


# --- what is shown of a state --------------------------------------------------------------------


def setting_of(state: State) -> walks.Setting:
    """What the walk of a state depends on.

    Args:
        state: A value for each control.

    Returns:
        The setting.
    """
    return walks.Setting(**{one.name: state[one.name] for one in fields(walks.Setting)})


def walk_view(state: State) -> View:
    """Z and x_hat at each step, and what the whole walk comes to.

    Args:
        state: A value for each control.

    Returns:
        Two clouds and a note; without data, axes to draw on and how to.
    """
    setting = setting_of(state)
    if not setting.has_data:
        words = "Draw the data in the right picture: drag the pointer, or click two points or more."
        return View((_left(state), _right(state, setting), Note(words, strong=True)), columns=2)
    walked = walks.walk(setting)
    other = walks.walk(replace(setting, solver=state["beside"])) if has_beside(state) else None
    ends = walks.end_colours(walked.trajectory.samples.numpy())
    colours: dict[str, Any] = {
        SAMPLES: ends,
        OWN: OWN_COLOUR,
        BEHIND: walks.GREY,
        state["beside"]: BESIDE,
    }
    left = replace(
        _left(state),
        paths=_named(walked, other, walked.in_frame),
        colours=colours,
        reach=walked.reach,
        captions=[describe_step(walked, step) for step in range(setting.steps + 1)],
        arrows=walks.velocities(walked) if state["field"] else (),
    )
    right = replace(
        _right(state, setting),
        paths=_named(walked, other, answers),
        colours=colours,
    )
    notes = [Note(describe_end(one)) for one in (walked, other) if one is not None]
    return View((left, right, *notes), columns=2)


def _left(state: State) -> Cloud:
    """The axes of z, where a click starts a trajectory."""
    return Cloud(
        xlabel="z₁",
        ylabel="z₂",
        title=f"noisy points z {frame_words(state)}",
        xlim=(-walks.REACH, walks.REACH),
        ylim=(-walks.REACH, walks.REACH),
        present=state["time"],
        trails=PATHS,
        strong=(OWN,),
        strokes="starts",
    )


def frame_words(state: State) -> str:
    """In which frame z is drawn.

    Args:
        state: A value for each control.

    Returns:
        Such as "in the VP frame", or how far it is from one frame to the next.
    """
    if state["frame"] != BETWEEN:
        return f"in the {state['frame']} frame"
    before = min(int(state["place"]), len(SLID) - 1)
    part = state["place"] - before
    if part < SLIGHT:
        return f"in the {SLID[before]} frame"
    return f"{part:.2f} of the way from {SLID[before]} to {SLID[before + 1]}"


def _right(state: State, setting: walks.Setting) -> Cloud:
    """The axes of x_hat over the data, where a drawing is data."""
    return Cloud(
        {BEHIND: walks.data_points(setting)},
        xlabel="x̂₁",
        ylabel="x̂₂",
        title="exact x̂ (grey: data, colour: end)",
        colours={BEHIND: walks.GREY},
        xlim=(-walks.SAMPLE_REACH, walks.SAMPLE_REACH),
        ylim=(-walks.SAMPLE_REACH, walks.SAMPLE_REACH),
        present=state["time"],
        trails=PATHS,
        strong=(OWN,),
        strokes="drawing",
    )


def has_beside(state: State) -> bool:
    """Whether another solver is shown.

    Args:
        state: A value for each control.

    Returns:
        Whether it is.
    """
    return state["beside"] not in (NOTHING, state["solver"])


def _named(walked: walks.Walk, other: walks.Walk | None, points: Any) -> dict[str, Any]:
    """A function's points of the samples, of another solver, and of the starts of one's own."""
    named = {SAMPLES: points(walked.trajectory)}
    if other is not None:
        named[other.setting.solver] = points(other.trajectory)[:, :PATHS]
    if walked.own is not None:
        named[OWN] = points(walked.own)
    return named


def answers(trajectory: Trajectory) -> Any:
    """x_hat along a trajectory, shape (steps + 1, n, 2).

    Args:
        trajectory: The trajectory.

    Returns:
        The denoiser's answers.
    """
    return trajectory.x_hat.numpy()


def describe_step(walked: walks.Walk, step: int) -> str:
    """Where a step is, in words.

    Args:
        walked: The walk.
        step: The step, from 0.

    Returns:
        The step, λ, the time on the path of the frame, and R² of x_hat with the sample.
    """
    words = (
        f"step {step} of {walked.setting.steps}: λ = {walked.trajectory.logsnr[step]:.2f}, "
        f"t = {walked.times[step]:.3f}, R² = {walked.explained[step]:.3f}"
    )
    return words.replace("= -", "= −")


def describe_end(walked: walks.Walk) -> str:
    """The whole walk in words.

    Args:
        walked: The walk.

    Returns:
        The number of calls, how straight the ways are, and the error of the end.
    """
    trajectory = walked.trajectory
    ratio = couplings.path_ratio(trajectory.on(walked.setting.path)[1])
    solver = walked.setting.solver
    name = f"{solver} with noise" if walked.setting.is_noisy else solver
    words = (
        f"{name}: {trajectory.calls - 1} calls; length over distance in this frame {ratio:.3f}; "
    )
    if walked.setting.is_noisy:
        return words + "the end is another sample: no error against the reference"
    error = walks.error_of_end(walked)
    return words + f"rms error of the end {error:.2e}"
