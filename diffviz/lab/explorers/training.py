"""The explorers of training: a dashboard to watch, and a slider over what a network's width buys.

The dashboard trains on the event loop that answers its buttons, in slices of a tenth of a second,
so that the controls stay alive; nothing runs in a thread of its own. Without a kernel it leaves the
picture of the steps that were done when it was made.
"""

import asyncio
import html
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import ipywidgets as widgets
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from diffviz import checks, plots
from diffviz.compute import threads
from diffviz.lab.experiments import training as training_experiments
from diffviz.lab.explorers.base import RED, Explorer, control, figure_of, name_tuple, require_option
from diffviz.lab.figures import training as training_figures
from diffviz.learning.models import MLP
from diffviz.learning.runs import Run
from diffviz.learning.tracking import LossByLogSNR
from diffviz.learning.training import Trainer

SLICE = 0.1  # seconds of training between two looks at the event loop
PAUSE = 0.25  # least seconds between two pictures
MOST = 4  # objectives at once
EDGES = np.linspace(-8.25, 14.25, 46)  # the bins' middles are the grid of the exact values
OBJECTIVES = (
    *training_experiments.NAMES,
    "v-cosine",
    "x-cosine",
    "min-snr-5-eps",
    "p2-gamma1",
    "sigmoid-bias2",
    "laplace-eps",
    "indi",
)
TOYS = ("ring8", "moons", "gmm2d", "8gaussians", "circle", "checkerboard", "swissroll", "dino")
WIDTHS = (4, 8, 16, 32, 64, 128)
LEAST_STEPS, MOST_STEPS = 200, 4000
LEAST_RATE, MOST_RATE = 1e-4, 1e-1
SAMPLES, EXCESS = "samples", "excess error"
FLOOR = "exact floor"
LOGSNR = "log-SNR λ   [noise ← → data]"
ROW = "<tr><td style='color:{}'>■</td><td style='padding-right:12px'>{}</td>{}</tr>"
LOGSNR_LIMITS, EXCESS_LIMITS = (-8.5, 14.5), (-6.5, 1)


@dataclass(frozen=True)
class Settings:
    """What the controls say of a training.

    Args:
        objectives: Names of one to four objectives.
        toy: Name of the data.
        width: Width of a network with three hidden layers.
        steps: Number of steps.
        rate: Learning rate.
    """

    objectives: tuple[str, ...]
    toy: str
    width: int
    steps: int
    rate: float

    def changes_from(self, other: "Settings") -> str:
        """The settings that differ from others, in words; "" where none does.

        Args:
            other: The settings to compare with.

        Returns:
            Names and new values.
        """
        texts = {
            "objectives": f"objectives {', '.join(self.objectives)}",
            "toy": f"data {self.toy}",
            "width": f"width {self.width:.3g}",
            "steps": f"steps {self.steps:.3g}",
            "rate": f"rate {self.rate:.3g}",
        }
        changed = (name for name in texts if getattr(self, name) != getattr(other, name))
        return "; ".join(texts[name] for name in changed)


class Session:
    """One training: its settings, its data with exact values, the trainer, the loss by noise level.

    Args:
        settings: The settings.

    Raises:
        ValueError: There is no objective.
    """

    def __init__(self, settings: Settings):
        if not settings.objectives:
            raise ValueError("nothing is chosen: pick one to four objectives")
        self.settings = settings
        self.truth = training_experiments.truth(settings.toy, points=256)
        self.trainer = Trainer(
            training_experiments.chosen(*settings.objectives),
            self.truth.data,
            steps=settings.steps,
            learning_rate=settings.rate,
            batch=256,
            model=MLP(width=settings.width),
        )
        self.trackers = [LossByLogSNR(EDGES, decay=0.98) for _ in settings.objectives]

    @property
    def step(self) -> int:
        """The number of steps that are done."""
        return self.trainer.step

    @property
    def is_done(self) -> bool:
        """Whether all steps are done."""
        return self.trainer.step == self.trainer.steps

    def runs(self) -> dict[str, Run]:
        """What is trained so far, by objective."""
        return dict(zip(self.settings.objectives, self.trainer.runs(), strict=True))

    def losses(self) -> dict[str, NDArray]:
        """The mean loss at each noise level, by objective, shape (n,)."""
        means = (tracker.mean for tracker in self.trackers)
        return dict(zip(self.settings.objectives, means, strict=True))

    def train(self, seconds: float = np.inf, steps: float = np.inf) -> None:
        """Train for a while.

        Args:
            seconds: How long at most.
            steps: How many steps at most; fewer if the training ends before.
        """
        start = time.monotonic()
        last = min(self.trainer.step + steps, self.trainer.steps)
        with threads.suited(self.trainer.work):
            while self.trainer.step < last and time.monotonic() - start < seconds:
                self._advance()

    def _advance(self) -> None:
        """Train one step, and track its losses."""
        step = self.trainer.advance()
        for tracker, logsnr, error in zip(self.trackers, step.logsnr, step.error, strict=True):
            tracker.update(logsnr, error)


class TrainingDashboard(Explorer):
    """Train up to four objectives side by side, and watch.

    On the left is the loss by noise level over the exact floor, on the right samples or the excess
    error. A changed setting takes effect at the next start or reset, as the red line says.

    Args:
        names: Objectives at first, of ``OBJECTIVES``.
        toy: Data at first, one of ``TOYS``.
        width: Width of a network with three hidden layers, one of ``WIDTHS``.
        steps: Number of steps of the training, from 200 to 4000.
        rate: Learning rate, from 1e-4 to 0.1.
        first: Steps that are done when the dashboard is made, for a picture that needs no kernel.

    Raises:
        TypeError: ``steps`` or ``first`` is no whole number, or ``rate`` no number.
        ValueError: A name is unknown, or a number is out of range.
    """

    def __init__(
        self,
        names: Iterable[str] = ("elbo", "fm-ot"),
        toy: str = "ring8",
        width: int = 32,
        steps: int = 1000,
        rate: float = 1e-2,
        first: int = 200,
    ):
        module = "diffviz.lab.explorers.training"
        names = name_tuple(names, "names")
        for name in names:
            require_option("objective", name, OBJECTIVES, f"{module}.OBJECTIVES")
        require_option("toy", toy, TOYS, f"{module}.TOYS")
        checks.one_of(width, "width", WIDTHS)
        steps = checks.count(steps, "steps", least=LEAST_STEPS)
        checks.require(steps <= MOST_STEPS, f"steps must be at most {MOST_STEPS}, got {steps}")
        rate = checks.number(rate, "rate", LEAST_RATE, MOST_RATE)
        first = checks.count(first, "first", least=0)
        controls = self._make_controls(names, toy, width, steps, rate)
        self.controls = controls  # before they are shown, for the first steps
        self.running = False
        self._task: asyncio.Task | None = None
        self._error: Exception | None = None
        self.left, self.right = plots.axes(8.6, 4.4, columns=2)
        figure = figure_of(self.left)
        self._notice = figure.text(
            0.99, 0.985, "", ha="right", va="top", fontsize=9, color=RED, gid="next"
        )
        self._session = Session(self._settings())
        self._session.train(steps=first)
        super().__init__(figure, controls, self._update, self._make_panel(controls))

    @property
    def runs(self) -> list[Run]:
        """What is trained so far, one Run for each objective."""
        return list(self._session.runs().values())

    def advance(self, steps: int) -> None:
        """Train here and now, and draw.

        Args:
            steps: Number of steps; fewer are done if the training ends before.

        Raises:
            TypeError: ``steps`` is no whole number.
            ValueError: ``steps`` is negative.
        """
        self._session.train(steps=checks.count(steps, "steps", least=0))
        self.redraw("training")

    @staticmethod
    def _make_controls(
        names: tuple[str, ...], toy: str, width: int, steps: int, rate: float
    ) -> dict[str, Any]:
        """The controls by name."""
        view = control(widgets.ToggleButtons, "right", options=(SAMPLES, EXCESS))
        view.style.button_width = "105px"
        settings = {
            "objectives": control(
                widgets.SelectMultiple, "objectives", options=OBJECTIVES, value=names, rows=7
            ),
            "toy": control(widgets.Dropdown, "data", options=TOYS, value=toy),
            "width": control(widgets.SelectionSlider, "width", options=WIDTHS, value=width),
            "steps": control(
                widgets.IntSlider, "steps", value=steps, min=LEAST_STEPS, max=MOST_STEPS, step=100
            ),
            "rate": control(
                widgets.FloatLogSlider,
                "rate",
                value=rate,
                min=-4,
                max=-1,
                step=0.1,
                readout_format=".2g",
            ),
            "view": view,
        }
        layout = {"layout": widgets.Layout(width="104px")}
        buttons = {
            name: widgets.Button(description=name, **layout) for name in ("start", "pause", "reset")
        }
        return settings | buttons

    @staticmethod
    def _make_panel(controls: dict[str, Any]) -> widgets.Widget:
        """The settings one under the other, and the buttons in a row."""
        is_button = {name: isinstance(one, widgets.Button) for name, one in controls.items()}
        settings = [one for name, one in controls.items() if not is_button[name]]
        buttons = [one for name, one in controls.items() if is_button[name]]
        return widgets.VBox(
            [*settings, widgets.HBox(buttons)], layout=widgets.Layout(width="350px")
        )

    def _settings(self) -> Settings:
        """What the controls say."""
        return Settings(
            objectives=self.controls["objectives"].value[:MOST],
            toy=self.controls["toy"].value,
            width=self.controls["width"].value,
            steps=self.controls["steps"].value,
            rate=self.controls["rate"].value,
        )

    # --- what the buttons do

    def _press(self, button: str) -> None:
        """Do what a button asks for; nothing for another control."""
        if button == "start":
            self._start()
        elif button == "pause":
            self.running = False
        elif button == "reset":
            self.running = False
            self._session = Session(self._settings())

    def _start(self) -> None:
        """Go on with the training, or begin anew where it is done or the settings have changed."""
        if self._session.is_done or self._session.settings != self._settings():
            self._session = Session(self._settings())
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise RuntimeError(
                "start trains on a notebook's event loop, and none runs here; call advance(steps)"
            ) from None
        self.running = True
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._train())

    async def _train(self) -> None:
        """Train in slices, with pictures at most four times a second and half of the time."""
        due = 0.0
        while self.running:
            self._train_slice()
            if time.monotonic() >= due or not self.running:
                start = time.monotonic()
                self.redraw("training")
                due = time.monotonic() + max(PAUSE, time.monotonic() - start)
            await asyncio.sleep(0.001)

    def _train_slice(self) -> None:
        """Train one slice; what it raises is kept for the text under the picture."""
        try:
            self._session.train(SLICE)
            self.running = not self._session.is_done
        except Exception as error:  # in a task nobody would see it
            self.running = False
            self._error = error

    # --- the picture and the text

    def _update(self, changed: str) -> str:
        """Do what a button asks for, draw, and describe the training."""
        self._press(changed)
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        notice = self._settings().changes_from(self._session.settings)
        if notice:
            notice = f"at the next start or reset: {notice}"
        self._notice.set_text(notice)
        if changed not in vars(self._session.settings):  # settings change no picture
            self._draw(changed)
        return self._describe() + self._describe_left_out() + html.escape(notice)

    def _draw(self, changed: str) -> None:
        """Draw the loss on the left, samples or excess errors on the right."""
        is_new = changed in ("", "start", "reset")
        self._draw_loss(is_new)
        if self.controls["view"].value == SAMPLES:
            self._draw_samples(is_new or changed == "view")
        else:
            self._draw_excess(is_new or changed == "view")

    def _draw_loss(self, is_new: bool) -> None:
        """Draw the loss of each objective by noise level, over the exact floor."""
        truth = self._session.truth
        plots.lines(
            truth.grid,
            {FLOOR: truth.mmse, **self._session.losses()},
            xlabel=LOGSNR,
            ylabel="loss by noise level,  E‖ε̂ − ε‖²",
            colours=_colour,
            ax=self.left,
        )
        if is_new:
            self.left.set(xlim=LOGSNR_LIMITS, ylim=(0, 3))
            _make_solid(self.left)

    def _draw_excess(self, is_new: bool) -> None:
        """Draw the excess error of each objective by noise level."""
        ax, truth = self.right, self._session.truth
        if is_new:
            ax.clear()
            ax.grid(alpha=0.25)
            ax.set(xlim=LOGSNR_LIMITS, ylim=EXCESS_LIMITS, aspect="auto")
        with np.errstate(divide="ignore"):
            curves = {
                name: np.log10(truth.excess(run)) for name, run in self._session.runs().items()
            }
        plots.lines(
            truth.grid,
            curves,
            xlabel=LOGSNR,
            ylabel=training_figures.EXCESS,
            outside=None,
            colours=plots.colour,
            ax=ax,
        )
        if is_new:
            ax.set(ylim=EXCESS_LIMITS, xlim=LOGSNR_LIMITS)
            _make_solid(ax)

    def _draw_samples(self, is_new: bool) -> None:
        """Draw samples of each objective beside true points."""
        runs = self._session.runs()
        centres = _centres(["truth", *runs])
        if is_new:
            self._clear_samples(centres)
        for name, run in runs.items():
            samples = training_experiments.samples(run, n=500, steps=10)
            is_inside = (abs(samples) < 2.9).all(1, keepdims=True)  # not over the neighbours
            shown = np.where(is_inside, samples, np.nan)
            training_figures.cloud(
                self.right, shown, name, plots.colour(name), centres[name], size=2.5
            )

    def _clear_samples(self, centres: dict[str, NDArray]) -> None:
        """Clear the axes of samples; name the places and draw the true points."""
        ax = self.right
        right = 6 * _columns(len(centres)) - 3
        ax.clear()
        ax.set(xlim=(-3, right), ylim=(-9, 3.6), aspect="equal", xticks=[], yticks=[])
        for name, (x, y) in centres.items():
            ax.annotate(name, (x, y + 2.7), ha="center", fontsize=9)
        data = self._session.truth.data[:500].numpy()
        training_figures.cloud(ax, data, "truth", "0.35", size=2.5)
        ax.set_xlabel("samples beside true points")

    def _describe(self) -> str:
        """The state of the training and the loss of each run, as an HTML table."""
        settings, step = self._session.settings, self._session.step
        rows = []
        for name, run in self._session.runs().items():
            loss = f"{run.loss[-50:].mean():.3g}" if step else "–"
            rows.append(ROW.format(plots.colour(name), html.escape(name), f"<td>{loss}</td>"))
        head = (
            f"<b>{self._state()}</b>, step {step} of {settings.steps} "
            f"({settings.toy}, width {settings.width}, rate {settings.rate:.2g}); "
            "own training loss, mean of the last 50 steps:"
        )
        return f"{head}<table style='line-height:1.25'>{''.join(rows)}</table>"

    def _state(self) -> str:
        """The state of the training in a word or two."""
        if self.running:
            return "training"
        if self._session.is_done:
            return "done"
        return "paused" if self._session.step else "not started"

    def _describe_left_out(self) -> str:
        """The chosen objectives that are too many, as HTML."""
        left_out = self.controls["objectives"].value[MOST:]
        if not left_out:
            return ""
        return f"<i>up to {MOST} at once: {', '.join(left_out)} left out</i><br>"


class CapacityExplorer(Explorer):
    """What does a weighting buy with a small network, and where?

    On the left is the excess error of five objectives by noise level, on the right samples of one
    of them. A slider runs over the widths; everything is trained when the explorer is made.

    Args:
        widths: Widths of networks with two hidden layers.
        name: Objective whose samples are shown at first, one of
            ``diffviz.lab.experiments.training.NAMES``.

    Raises:
        TypeError: A width is no whole number.
        ValueError: The name is unknown, a width is not positive, or there is none.
    """

    def __init__(self, widths: Iterable[int] = (4, 8, 16, 32, 64), name: str = "fm-ot"):
        listing = "diffviz.lab.experiments.training.NAMES"
        require_option("objective", name, training_experiments.NAMES, listing)
        options = tuple(checks.count(width, "width") for width in widths)
        checks.require(options, "widths must hold one width or more")
        self.truth = training_experiments.truth()
        self.points, self.floor, _ = training_experiments.held()
        self.excess: dict[tuple[int, str], NDArray] = {}
        self.samples: dict[tuple[int, str], NDArray] = {}
        for width in options:
            self._train(width)
        self.tables = {width: self._table(width) for width in options}
        self.left, self.right = plots.axes(8.6, 4.2, columns=2)
        super().__init__(figure_of(self.left), self._make_controls(options, name), self._update)

    def _train(self, width: int) -> None:
        """Train networks of a width, and keep their excess errors and samples."""
        for name, run in training_experiments.trained(width).items():
            self.excess[width, name] = np.log10(self.truth.excess(run))
            self.samples[width, name] = training_experiments.samples(run)

    def _table(self, width: int) -> str:
        """How far the samples of each objective lie from the truth, as an HTML table."""
        head = (
            "<tr><td></td><td></td><td><b>distance of samples&nbsp;</b></td>"
            "<td><b>astray</b></td></tr>"
        )
        rows = []
        for name in training_experiments.NAMES:
            samples = self.samples[width, name]
            distance = training_experiments.sliced_w2(samples, self.points) / self.floor
            texts = f"{distance:.1f} × floor", f"{training_experiments.astray(samples):.1%}"
            cells = "".join(f"<td style='padding-right:12px'>{text}</td>" for text in texts)
            rows.append(ROW.format(plots.colour(name), name, cells))
        return f"<table style='line-height:1.25'>{head}{''.join(rows)}</table>"

    @staticmethod
    def _make_controls(widths: tuple[int, ...], name: str) -> dict[str, Any]:
        """The controls by name."""
        names = training_experiments.NAMES
        width = 8 if 8 in widths else widths[0]
        return {
            "width": control(widgets.SelectionSlider, "width", options=widths, value=width),
            "name": control(widgets.Dropdown, "samples of", options=names, value=name),
        }

    def _update(self, changed: str) -> str:
        """Draw what the controls say, and describe it."""
        width, name = self.controls["width"].value, self.controls["name"].value
        self._draw_excess(width)
        if not changed:
            self._furnish_axes()
        samples = self.samples[width, name]
        training_figures.cloud(self.right, samples, "samples", plots.colour(name))
        return f"<b>width {width}</b>, samples of {name}{self.tables[width]}"

    def _draw_excess(self, width: int) -> None:
        """Draw the excess error of each objective on the left."""
        plots.lines(
            training_experiments.GRID,
            {name: self.excess[width, name] for name in training_experiments.NAMES},
            xlabel=LOGSNR,
            ylabel=training_figures.EXCESS,
            title="where each weighting is good",
            colours=plots.colour,
            ax=self.left,
        )

    def _furnish_axes(self) -> None:
        """Set limits and a legend, and draw the true points; once is enough."""
        self.left.set_ylim(EXCESS_LIMITS)
        self.left.legend(frameon=False, fontsize=9, loc="lower right")
        _make_solid(self.left)
        training_figures.cloud(self.right, self.points, "truth", "0.75")
        self.right.set(xlim=(-2, 2), ylim=(-2, 2), aspect="equal", xticks=[], yticks=[])
        self.right.set_xlabel("samples (colour) over true points (grey)")


def _colour(name: str) -> str:
    """The colour of a loss or of the floor."""
    return "0.55" if name == FLOOR else plots.colour(name)


def _make_solid(ax: Axes) -> None:
    """Draw every line without dashes."""
    for line in ax.lines:
        line.set_linestyle("-")


def _columns(places: int) -> int:
    """The number of columns for that many clouds in two rows."""
    return 2 if places < 5 else 3


def _centres(names: list[str]) -> dict[str, NDArray]:
    """The centre of each cloud, side by side in rows, shape (2,)."""
    columns = _columns(len(names))
    return {
        name: 6.0 * np.array([index % columns, -(index // columns)])
        for index, name in enumerate(names)
    }
