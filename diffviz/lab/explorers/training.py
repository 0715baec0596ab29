"""The explorers of training: objectives side by side, and what a network's width buys.

Nothing is trained before a reader asks for it. A training shows its progress, is stopped by its
stop button, and is kept in the cache when it is done.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffviz import checks, plots
from diffviz.lab.experiments import progress
from diffviz.lab.experiments import training as training_experiments
from diffviz.lab.experiments.side_by_side import DATA as TOYS
from diffviz.lab.experiments.side_by_side import (
    KERNEL,
    Trained,
    Training,
    has_data,
    known,
    known_objective,
)
from diffviz.lab.experiments.training import AtWidth
from diffviz.lab.experiments.walks import DRAWN
from diffviz.lab.explorers import training_views as views
from diffviz.lab.explorers.controls import EXAMPLE, name_tuple, require_option, take_drawing
from diffviz.lab.explorers.view import Changed, ViewExplorer
from diffviz.lab.explorers.weighting import entry_chips
from diffviz.lab.explorers.work import Newest
from diffviz.recipes.entries import CATALOGUE as OBJECTIVES
from diffviz.web.description import (
    Action,
    Chips,
    Control,
    Description,
    Menu,
    Points,
    Slider,
    State,
    Switch,
)
from diffviz.web.pictures import Chart, Cloud, Note, Panel, Table, View, Working

__all__ = ["OBJECTIVES", "TOYS", "CapacityExplorer", "TrainingDashboard"]

MOST = 4  # objectives at once
LEVELS, STEPS, SAMPLES, WIDTH = "by level", "by step", "samples", "by width"
START = ("elbo", "fm-ot")
DRAW = "Draw the data: drag the pointer over the empty picture, or click two points or more."


def data_controls() -> tuple[Control, ...]:
    """Which data, and a drawing of one's own."""
    drawn = {"toy": (DRAWN,)}
    return (
        Menu("toy", "data", TOYS, TOYS[0], tip="Of unit variance, or points that you draw."),
        Points(
            "drawing",
            "drawing",
            EXAMPLE,
            most=200,
            when=drawn,
            tip="Draw over the data, or click: each point is a small Gaussian.",
        ),
        Slider(
            "kernel",
            "kernel",
            0.02,
            0.5,
            0.01,
            KERNEL,
            when=drawn,
            tip="Width of these Gaussians, in standard deviations of the points.",
        ),
    )


def training_controls() -> tuple[Control, ...]:
    """What is trained, and how."""
    names = Chips(
        "names",
        "objectives",
        entry_chips(),
        START,
        most=MOST,
        tip="Up to four, from the same start on the same data and noise.",
    )
    width = Slider(
        "width", "width", 4, 128, 4, 32, whole=True, tip="Of a network with three hidden layers."
    )
    rate = Slider(
        "rate", "rate", 1e-4, 1e-1, 0.1, 1e-2, scale="log", rare=True, tip="Learning rate."
    )
    return (
        names,
        *data_controls(),
        width,
        Slider("steps", "steps", 200, 4000, 100, 800, whole=True),
        Slider("seeds", "seeds", 1, 5, 1, 1, whole=True, tip="How often, from other starts."),
        Switch(
            "even",
            "same levels",
            tip="All draw λ evenly from −10 to 14; factors keep the weighting of each.",
        ),
        Menu("picture", "picture", (LEVELS, STEPS, SAMPLES), LEVELS, buttons=True),
        rate,
        Slider("seed", "first seed", 0, 99, 1, 0, whole=True, rare=True),
        Action("train", "Train", main=True, tip="A training that is done is kept."),
    )


class TrainingDashboard(ViewExplorer):
    """Train up to four objectives side by side, and watch.

    The curves are the own loss by step over the loss of the exact denoiser, the loss by noise level
    over its exact floor, and the excess over that floor, pale for the training before. The samples
    stand over the data. A drawing over the data becomes the data.

    Args:
        names: Objectives at first, of the catalogue.
        toy: Data at first, one of ``TOYS``.
        **state: Values of other controls at first, such as ``width=8``.

    Raises:
        TypeError: A value is of the wrong kind.
        ValueError: A name is unknown, or a value is not allowed.
    """

    def __init__(self, names: Iterable[str] = START, toy: str = TOYS[0], **state: Any):
        module = "diffviz.lab.explorers.training"
        names = name_tuple(names, "names")
        for name in names:
            require_option("objective", name, OBJECTIVES, f"{module}.OBJECTIVES")
        require_option("toy", toy, TOYS, f"{module}.TOYS")
        self._results = views.Trainings(views.KEPT)
        description = Description("Training", training_controls())
        super().__init__(description, {"names": names, "toy": toy, **state})

    def settled(self, state: State, changed: str) -> State:
        """The state after a change: what is drawn becomes the data, and is seen."""
        if changed == "toy" and state["toy"] == DRAWN:
            state["picture"] = SAMPLES
        if changed == "drawing":
            take_drawing(state, "toy")
        return state

    def compute(self, state: State, changed: Changed) -> View | Iterator[View | Working]:
        """What is known and trained so far, or a training.

        Args:
            state: A value for each control.
            changed: Names of the controls that were moved.

        Returns:
            The view, or one that goes on as the networks learn.

        Raises:
            ValueError: Nothing is chosen to train.
        """
        if "train" in changed:
            return views.watched(training_of(state), self._results, self._show_now)
        return self._show(state)

    def _show_now(self) -> View:
        """The view of the present state."""
        return self._show(self.state)

    def _show(self, state: State) -> View:
        """The view of a state."""
        if not has_data(state["toy"], state["drawing"]):
            empty = views.point_cloud("data", np.empty((0, 2)), strokes="drawing")
            return View((empty, Note(DRAW, strong=True)))
        data = known(state["toy"], *drawing_of(state))
        cloud = views.point_cloud("data", data.points, strokes="drawing")
        if not state["names"]:
            return View((cloud, Note("Choose an objective, or up to four.", strong=True)))
        training = training_of(state)
        trained = views.found(training, self._results)
        words = (
            views.state_note(training, trained),
            views.result_table(training, data, trained),
        )
        if state["picture"] == SAMPLES:
            clouds = views.sample_clouds(training, data.points, trained) if trained else ()
            count = 1 + len(clouds)
            return View((cloud, *clouds, *words), columns=count if 1 < count < 5 else 3)
        if state["picture"] == STEPS:
            steps = views.step_chart(training, data, trained)
            if trained:
                cloud = views.sample_cloud(training, data.points, trained, strokes="drawing")
            return View((steps, cloud, *words), columns=2)
        levels = views.level_chart(training, data, trained)
        right = self._excess(training, trained) if trained else cloud
        return View((levels, right, *words), columns=2)

    def _excess(self, training: Training, trained: Trained) -> Chart:
        """The excess of a training, over that of the newest other one of the same data."""
        before = self._results.before(training)
        is_like = before is not None and places_of(before[0]) == places_of(training)
        return views.excess_chart(training, trained, before if is_like else None)


def drawing_of(state: State) -> tuple[Any, float]:
    """The points and the kernel of drawn data; those of the start for other data.

    Args:
        state: A value for each control.

    Returns:
        The points, and the standard deviation of their kernel.
    """
    return (state["drawing"], state["kernel"]) if state["toy"] == DRAWN else ((), KERNEL)


def training_of(state: State) -> Training:
    """What is trained in a state.

    Args:
        state: A value for each control.

    Returns:
        The training.

    Raises:
        ValueError: Nothing is chosen.
    """
    drawing, kernel = drawing_of(state)
    return Training(
        tuple(map(known_objective, state["names"])),
        data=state["toy"],
        drawing=drawing,
        kernel=kernel,
        steps=state["steps"],
        seeds=tuple(range(state["seed"], state["seed"] + state["seeds"])),
        width=state["width"],
        rate=state["rate"],
        even=state["even"],
    )


def places_of(training: Training) -> tuple[Any, ...]:
    """What the excess of a training is measured on.

    Args:
        training: The training.

    Returns:
        The data, their points and kernel.
    """
    return training.data, training.drawing, training.kernel


# --- capacity ------------------------------------------------------------------------------------

WIDTHS = (4, 8, 16, 32, 64)
WIDTH_MARGIN = 1.15  # factor from the ends of the widths to the ends of their axis
DECADES = 3.5  # of the axis of excess over width
SAMPLED = "fm-ot"  # the objective whose samples are shown at first
MEANT = "over the exact denoiser, seed 0, 800 steps on ring8"


def capacity_controls(widths: tuple[int, ...], width: int) -> tuple[Control, ...]:
    """The controls of the explorer of widths.

    Args:
        widths: Widths that can be chosen.
        width: Width at first.

    Returns:
        The controls.
    """
    names = training_experiments.NAMES
    options = tuple(map(str, widths))
    return (
        Menu("width", "width", options, str(width), buttons=True, tip="Units of two layers."),
        Menu("picture", "picture", (SAMPLES, WIDTH), SAMPLES, buttons=True),
        Menu("name", "samples of", names, SAMPLED, when={"picture": (SAMPLES,)}),
        Slider("level", "at λ", -8, 14, 0.5, 4.0, unit="nats", tip="Where excesses are compared."),
        Action("train", "Train this width", main=True, tip="What is trained is kept."),
        Action("all", "Train all widths"),
    )


class CapacityExplorer(ViewExplorer):
    """What does a weighting buy with a small network, and where?

    On the left is the excess error of five objectives by noise level at one width, on the right
    samples of one objective over true points, or the excess at one level by width. A width is
    trained by a button, and then kept in the cache.

    Args:
        widths: Widths of networks with two hidden layers.
        name: Objective whose samples are shown at first, one of
            ``diffviz.lab.experiments.training.NAMES``.
        width: Width at first, one of the widths; by default 8, or else the first of them.
        **state: Values of other controls at first, such as ``level=-6.0``.

    Raises:
        TypeError: A width is no whole number.
        ValueError: The name is unknown, a width is not positive or not among the widths, or there
            is none.
    """

    def __init__(
        self,
        widths: Iterable[int] = WIDTHS,
        name: str = SAMPLED,
        width: int | str | None = None,
        **state: Any,
    ):
        listing = "diffviz.lab.experiments.training.NAMES"
        require_option("objective", name, training_experiments.NAMES, listing)
        self.widths = tuple(dict.fromkeys(checks.count(one, "width") for one in widths))
        checks.require(self.widths, "widths must hold one width or more")
        first = 8 if 8 in self.widths else self.widths[0]
        controls = capacity_controls(self.widths, first)
        chosen = str(first if width is None else width)
        self._results = Newest[int, AtWidth](len(self.widths))
        description = Description("Capacity", controls)
        super().__init__(description, {"width": chosen, "name": name, **state})

    def compute(self, state: State, changed: Changed) -> View | Iterator[View | Working]:
        """What is trained so far, or the training of one width or of all.

        Args:
            state: A value for each control.
            changed: Names of the controls that were moved.

        Returns:
            The view, or one that goes on as the networks learn.
        """
        if "train" in changed:
            return self._train((int(state["width"]),))
        if "all" in changed:
            return self._train(self.widths)
        return self._show(state)

    def _arguments(self) -> list[str]:
        """The arguments that reproduce what is on show, as code."""
        own = [] if self.widths == WIDTHS else [f"widths={self.widths!r}"]
        return own + super()._arguments()

    def _train(self, widths: tuple[int, ...]) -> Iterator[View | Working]:
        """Train the widths that are not known yet, one after the other."""
        yield Working(0.0, "the first steps")
        for k, width in enumerate(widths):
            if self._found(width) is None:
                for news in progress.followed(training_experiments.at_width, width):
                    if isinstance(news, AtWidth):
                        self._results.keep(width, news)
                    else:
                        yield Working((k + news) / len(widths), f"width {width}")
            yield self._show(self.state)

    def _found(self, width: int) -> AtWidth | None:
        """What is trained at a width; None if nothing is."""
        return self._results.found(width, training_experiments.at_width, width)

    def _show(self, state: State) -> View:
        """The view of a state."""
        by_width = {width: self._found(width) for width in self.widths}
        known_widths = {width: one for width, one in by_width.items() if one is not None}
        width = int(state["width"])
        here = by_width[width]
        level = state["level"]
        if state["picture"] == WIDTH:
            right: Panel = excess_by_width(self.widths, known_widths, level)
        else:
            right = capacity_cloud(state["name"], here)
        left = excess_by_level(width, here, level)
        note = Note(width_text(width, here, state["name"]), strong=here is not None)
        table = () if here is None else (quality_table(here, level),)
        return View((left, right, note, *table), columns=2)


def excess_by_level(width: int, here: AtWidth | None, level: float) -> Chart:
    """The excess error of each objective by noise level, at one width.

    Args:
        width: The width.
        here: What is trained at it; None if nothing is.
        level: The λ that is marked.

    Returns:
        The chart.
    """
    grid, names = training_experiments.GRID, training_experiments.NAMES
    nothing = {name: np.full(len(grid), np.nan) for name in names}
    return Chart(
        grid,
        nothing if here is None else here.excess,
        xlabel=views.LOGSNR,
        ylabel=views.EXCESS,
        title=f"width {width}",
        xlim=views.LEVEL_LIMITS,
        ylim=views.EXCESS_LIMITS,
        marks={"λ": level},
    )


def excess_by_width(
    widths: tuple[int, ...], known_widths: dict[int, AtWidth], level: float
) -> Chart:
    """The excess error of each objective at one noise level, by width.

    Args:
        widths: All widths.
        known_widths: What is trained, by width.
        level: The λ.

    Returns:
        The chart, with a dot for each width that is trained.
    """
    order = sorted(known_widths)
    places = np.array(order, dtype=float)
    curves, dots = {}, {}
    for name in training_experiments.NAMES:
        values = [known_widths[width].excess_at(name, level) for width in order]
        curves[name] = np.array(values or [np.nan])
        dots[name] = places, np.array(values)
    return Chart(
        places if order else np.array([float(min(widths))]),
        curves,
        xlabel="width of the layers",
        ylabel=views.EXCESS,
        title=f"at λ = {level:g}".replace("-", "−"),
        xscale="log",
        xlim=(min(widths) / WIDTH_MARGIN, max(widths) * WIDTH_MARGIN),
        xticks=tuple(map(float, sorted(widths))),
        ylim=decades_about(np.concatenate(list(curves.values()))) if order else views.EXCESS_LIMITS,
        dots=dots if order else {},
    )


def decades_about(values: NDArray) -> tuple[float, float]:
    """Limits of an axis of one length about the middle of some logarithms.

    Args:
        values: The logarithms, shape (n,).

    Returns:
        The ends; farther apart where the values need it.
    """
    middle = (values.min() + values.max()) / 2
    reach = max(DECADES / 2, 0.55 * np.ptp(values))
    return float(middle - reach), float(middle + reach)


def capacity_cloud(name: str, here: AtWidth | None) -> Cloud:
    """Samples of an objective over true points.

    Args:
        name: Name of the objective.
        here: What is trained at the width; None if nothing is.

    Returns:
        The cloud.
    """
    points = known(TOYS[0]).points
    if here is None:
        return views.point_cloud(f"no samples of {name} yet", points)
    return views.point_cloud(f"samples of {name}", points, {name: here.samples[name]})


def width_text(width: int, here: AtWidth | None, name: str) -> str:
    """A width in words.

    Args:
        width: The width.
        here: What is trained at it; None if nothing is.
        name: Name of the objective whose samples are shown.

    Returns:
        The words.
    """
    if here is None:
        return (
            f"width {width} is not trained yet: press Train for five networks, {MEANT}, "
            f"and samples of {name}"
        )
    return f"width {width}: the error {MEANT}"


def quality_table(here: AtWidth, level: float) -> Table:
    """How good the network of each objective is.

    Args:
        here: What is trained at a width.
        level: The λ at which the excess is told.

    Returns:
        The table.
    """
    rows = [
        (
            name,
            f"{here.excess_at(name, level):.2f}".replace("-", "−"),
            f"{here.floors[name]:.1f} × truth",
            f"{here.astray[name]:.1%}",
        )
        for name in training_experiments.NAMES
    ]
    head = ("", f"log₁₀ excess, λ = {level:g}", "distance of samples", "astray")
    colours = [plots.colour(row[0]) for row in rows]
    return Table([one.replace("-", "−") for one in head], rows, colours)
