"""Training to watch: a live dashboard with start, pause and reset, and a slider over what a network's width buys.

The dashboard trains on the event loop that its buttons are answered on, in slices of a tenth of a second, so that controls stay
alive; nothing runs in a thread of its own. Without a kernel it leaves the picture of the steps done when it was made.
"""

import asyncio
import html
import time
from typing import Any, cast

import ipywidgets as w
import numpy as np
import torch
from matplotlib.figure import Figure

from diffviz import plots
from diffviz.checks import unknown
from diffviz.lab.experiments import training as training_experiments
from diffviz.lab.explorers.base import Explorer, control
from diffviz.lab.figures import training as training_figures
from diffviz.learning.models import MLP
from diffviz.learning.runs import Run
from diffviz.learning.tracking import LossByLogSNR
from diffviz.learning.training import Trainer

SLICE, PAUSE = (
    0.1,
    0.25,
)  # s of training between two looks at the event loop, and least time between two pictures
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
MOST, EDGES = 4, np.linspace(-8.25, 14.25, 46)  # the bins' middles are the grid of the exact values
SAMPLES, EXCESS = "samples", "excess error"
ROW = "<tr><td style='color:{}'>■</td><td style='padding-right:12px'>{}</td>{}</tr>"


class TrainingDashboard(Explorer):
    """Train up to four objectives side by side and watch: EMA-binned loss over the exact floor, samples or excess error.

    Args:
        names: objectives at first; toy: data; width: of a network with three hidden layers; steps, rate: of the training.
        first: steps done when the dashboard is made, for a picture that needs no kernel.
    """

    def __init__(
        self, names=("elbo", "fm-ot"), toy="ring8", width=32, steps=1000, rate=1e-2, first=200
    ):
        if unlisted := [name for name in names if name not in OBJECTIVES]:
            raise unknown("objective", unlisted[0], OBJECTIVES, "dashboard.OBJECTIVES")
        if toy not in TOYS:
            raise unknown("toy", toy, TOYS, "dashboard.TOYS")
        c = {
            "objectives": control(
                w.SelectMultiple, "objectives", options=OBJECTIVES, value=tuple(names), rows=7
            ),
            "toy": control(w.Dropdown, "data", options=TOYS, value=toy),
            "width": control(
                w.SelectionSlider, "width", options=(4, 8, 16, 32, 64, 128), value=width
            ),
            "steps": control(w.IntSlider, "steps", value=steps, min=200, max=4000, step=100),
            "rate": control(
                w.FloatLogSlider, "rate", value=rate, min=-4, max=-1, step=0.1, readout_format=".2g"
            ),
            "view": control(w.ToggleButtons, "right", options=(SAMPLES, EXCESS)),
        }
        c["view"].style.button_width = "105px"
        width_of = {"layout": w.Layout(width="104px")}
        buttons = {
            name: w.Button(description=name, **width_of) for name in ("start", "pause", "reset")
        }
        self.controls, self.running = c | buttons, False
        self._task: asyncio.Task | None = None
        self._error: Exception | None = None
        self.left, self.right = plots.axes(8.6, 4.4, columns=2)
        self._next = self.left.figure.text(
            0.99, 0.985, "", ha="right", va="top", fontsize=9, color="#CC3311", gid="next"
        )
        self._fresh()
        self._slice(steps=first)
        panel = w.VBox(
            [*c.values(), w.HBox(list(buttons.values()))], layout=w.Layout(width="350px")
        )
        super().__init__(cast(Figure, self.left.figure), self.controls, self._show, panel)

    @property
    def runs(self) -> list[Run]:
        """What is trained so far, one Run for each objective."""
        return self._trainer.runs()

    def _settings(self) -> dict:
        names = self.controls["objectives"].value[:MOST]
        return {
            "objectives": names,
            **{name: self.controls[name].value for name in ("toy", "width", "steps", "rate")},
        }

    def _fresh(self) -> None:
        """A new training by the controls, at step 0."""
        chosen = self._settings()
        if not chosen["objectives"]:
            raise ValueError("nothing is chosen: pick one to four objectives")
        self._truth, self._made = training_experiments.truth(chosen["toy"], points=256), chosen
        about = {
            "steps": chosen["steps"],
            "learning_rate": chosen["rate"],
            "batch": 256,
            "model": MLP(width=chosen["width"]),
        }
        self._trainer = Trainer(
            training_experiments.chosen(*chosen["objectives"]), self._truth.data, **about
        )
        self._trackers = [LossByLogSNR(EDGES, decay=0.98) for _ in chosen["objectives"]]

    def _slice(self, seconds: float = np.inf, steps: float = np.inf) -> None:
        """Train for that long or that many steps, on one thread: more make a small network slower."""
        threads, start, last = torch.get_num_threads(), time.monotonic(), self._trainer.step + steps
        torch.set_num_threads(1)
        try:
            while (
                self._trainer.step < min(last, self._trainer.steps)
                and time.monotonic() - start < seconds
            ):
                step = self._trainer.advance()
                for tracker, logsnr, error in zip(
                    self._trackers, step.logsnr, step.error, strict=True
                ):
                    tracker.update(logsnr, error)
        finally:
            torch.set_num_threads(threads)

    def advance(self, steps: int) -> None:
        """Train some steps here and now, fewer if the training ends before, and draw."""
        self._slice(steps=steps)
        self.redraw("training")

    def _start(self) -> None:
        if self._settings() != self._made or self._trainer.step == self._trainer.steps:
            self._fresh()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise RuntimeError(
                "start trains on a notebook's event loop, and none runs here; call advance(steps)"
            ) from None
        self.running = True
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._train())

    def _pause(self) -> None:
        self.running = False

    def _reset(self) -> None:
        self.running = False
        self._fresh()

    async def _train(self) -> None:
        """Slices of training, and pictures at most four times a second and half of the time."""
        due = 0.0
        while self.running:
            try:
                self._slice(SLICE)
                self.running = self._trainer.step < self._trainer.steps
            except (
                Exception
            ) as error:  # for the text under the picture; in a task nobody would see it
                self.running, self._error = False, error
            if time.monotonic() >= due or not self.running:
                start = time.monotonic()
                self.redraw("training")
                due = time.monotonic() + max(PAUSE, time.monotonic() - start)
            await asyncio.sleep(0.001)

    def _show(self, changed: str) -> str:
        acts = {"start": self._start, "pause": self._pause, "reset": self._reset}
        if changed in acts:
            acts[changed]()
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        pending = {
            name: value for name, value in self._settings().items() if value != self._made[name]
        }
        words: dict[str, Any] = {
            "objectives": ", ".join,
            "toy": str,
            **dict.fromkeys(("width", "steps", "rate"), "{:.3g}".format),
        }
        told = "; ".join(
            f"{'data' if name == 'toy' else name} {words[name](value)}"
            for name, value in pending.items()
        )
        self._next.set_text(note := f"at the next start or reset: {told}" if pending else "")
        if changed not in self._made:
            self._draw_all(changed)
        over = self.controls["objectives"].value[MOST:]
        return (
            self._words()
            + (f"<i>up to {MOST} at once: {', '.join(over)} left out</i><br>" if over else "")
            + html.escape(note)
        )

    def _draw_all(self, changed: str) -> None:
        grid, names = self._truth.grid, self._made["objectives"]
        curves = {name: t.mean for name, t in zip(names, self._trackers, strict=True)}
        colours = {name: plots.colour(name) for name in names} | {"exact floor": "0.55"}
        loss = {"exact floor": self._truth.mmse, **curves}
        label = "loss by noise level,  E‖ε̂ − ε‖²"
        plots.lines(
            grid,
            loss,
            xlabel="log-SNR λ   [noise ← → data]",
            ylabel=label,
            colours=colours.__getitem__,
            ax=self.left,
        )
        if changed in ("", "start", "reset"):
            self.left.set(xlim=(-8.5, 14.5), ylim=(0, 3))
            for line in self.left.lines:
                line.set_linestyle("-")
        runs = dict(zip(names, self.runs, strict=True))
        (self._clouds if self.controls["view"].value == SAMPLES else self._excess)(runs, changed)

    def _excess(self, runs: dict, changed: str) -> None:
        if fresh := changed in ("", "start", "reset", "view"):
            self.right.clear()
            self.right.grid(alpha=0.25)
            self.right.set(xlim=(-8.5, 14.5), ylim=(-6.5, 1), aspect="auto")
        with np.errstate(divide="ignore"):
            curves = {name: np.log10(self._truth.excess(run)) for name, run in runs.items()}
        about: dict[str, Any] = {
            "xlabel": "log-SNR λ   [noise ← → data]",
            "ylabel": training_figures.EXCESS,
            "outside": None,
            "colours": plots.colour,
        }
        plots.lines(self._truth.grid, curves, ax=self.right, **about)
        if fresh:
            self.right.set(ylim=(-6.5, 1), xlim=(-8.5, 14.5))
            for line in self.right.lines:
                line.set_linestyle("-")

    def _clouds(self, runs: dict, changed: str) -> None:
        columns = 2 if len(runs) < 4 else 3
        names = ["truth", *runs]
        places = {
            name: 6.0 * np.array([k % columns, -(k // columns)]) for k, name in enumerate(names)
        }
        if changed in ("", "start", "reset", "view"):
            self.right.clear()
            self.right.set(
                xlim=(-3, 6 * columns - 3), ylim=(-9, 3.6), aspect="equal", xticks=[], yticks=[]
            )
            for name, place in places.items():
                self.right.annotate(name, (place[0], place[1] + 2.7), ha="center", fontsize=9)
            training_figures.cloud(
                self.right, self._truth.data[:500].numpy(), "truth", "0.35", size=2.5
            )
            self.right.set_xlabel("samples beside true points")
        for name, run in runs.items():
            drawn = training_experiments.samples(run, n=500, steps=10)
            inside = np.where(
                (abs(drawn) < 2.9).all(1, keepdims=True), drawn, np.nan
            )  # not over the neighbours
            training_figures.cloud(
                self.right, inside, name, plots.colour(name), places[name], size=2.5
            )

    def _words(self) -> str:
        step, steps = self._trainer.step, self._trainer.steps
        state = (
            "training"
            if self.running
            else "done"
            if step == steps
            else "paused"
            if step
            else "not started"
        )
        rows = []
        for run in self.runs:
            loss = f"{run.loss[-50:].mean():.3g}" if step else "–"
            rows.append(
                ROW.format(plots.colour(run.name), html.escape(run.name), f"<td>{loss}</td>")
            )
        made = self._made
        about = f"{made['toy']}, width {made['width']}, rate {made['rate']:.2g}"
        head = f"<b>{state}</b>, step {step} of {steps} ({about}); own training loss, mean of the last 50 steps:"
        return f"{head}<table style='line-height:1.25'>{''.join(rows)}</table>"


class CapacityExplorer(Explorer):
    """What does a weighting buy with a small network, and where? A slider over trained widths; everything is computed when made.

    Args:
        widths: of networks with two hidden layers.
        name: objective whose samples are shown at first, one of the five of figure "capacity".
    """

    def __init__(self, widths=(4, 8, 16, 32, 64), name: str = "fm-ot"):
        if name not in training_experiments.NAMES:
            raise unknown("objective", name, training_experiments.NAMES, "training_figures.NAMES")
        self.truth, (self.there, self.floor, _) = (
            training_experiments.truth(),
            training_experiments.held(),
        )
        self.excess, self.samples = {}, {}
        for width in widths:
            for one, run in training_experiments.trained(width).items():
                self.excess[width, one] = np.log10(self.truth.excess(run))
                self.samples[width, one] = training_experiments.samples(run)
        self.words = {width: self._table(width) for width in widths}
        self.controls = {
            "width": control(
                w.SelectionSlider,
                "width",
                options=tuple(widths),
                value=8 if 8 in widths else widths[0],
            ),
            "name": control(
                w.Dropdown, "samples of", options=training_experiments.NAMES, value=name
            ),
        }
        self.left, self.right = plots.axes(8.6, 4.2, columns=2)
        super().__init__(cast(Figure, self.left.figure), self.controls, self._show)

    def _table(self, width: int) -> str:
        rows = []
        for name in training_experiments.NAMES:
            drawn = self.samples[width, name]
            values = (
                f"{training_experiments.sliced_w2(drawn, self.there) / self.floor:.1f} × floor",
                f"{training_experiments.astray(drawn):.1%}",
            )
            cells = "".join(f"<td style='padding-right:12px'>{value}</td>" for value in values)
            rows.append(ROW.format(plots.colour(name), name, cells))
        head = "<tr><td></td><td></td><td><b>distance of samples&nbsp;</b></td><td><b>astray</b></td></tr>"
        return f"<table style='line-height:1.25'>{head}{''.join(rows)}</table>"

    def _show(self, changed: str) -> str:
        width, name = self.controls["width"].value, self.controls["name"].value
        curves = {one: self.excess[width, one] for one in training_experiments.NAMES}
        xlabel = "log-SNR λ   [noise ← → data]"
        about: dict[str, Any] = {
            "ylabel": training_figures.EXCESS,
            "title": "where each weighting is good",
            "colours": plots.colour,
        }
        plots.lines(training_experiments.GRID, curves, xlabel=xlabel, ax=self.left, **about)
        if not changed:
            self.left.set_ylim(-6.5, 1)
            self.left.legend(frameon=False, fontsize=9, loc="lower right")
            for line in self.left.lines:
                line.set_linestyle("-")
            training_figures.cloud(self.right, self.there, "truth", "0.75")
            self.right.set(xlim=(-2, 2), ylim=(-2, 2), aspect="equal", xticks=[], yticks=[])
            self.right.set_xlabel("samples (colour) over true points (grey)")
        training_figures.cloud(self.right, self.samples[width, name], "samples", plots.colour(name))
        return f"<b>width {width}</b>, samples of {name}{self.words[width]}"
