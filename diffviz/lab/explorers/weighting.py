"""The explorer of weightings: curves of objectives and families, and where their loss is spent."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from diffviz import plots
from diffviz.checks import offers
from diffviz.lab.experiments import perception
from diffviz.lab.experiments.side_by_side import Training
from diffviz.lab.experiments.weighting import DRAWN, drawn_levels, drawn_objective
from diffviz.lab.explorers import drawn_training, error_losses, training_views
from diffviz.lab.explorers.colours import OWN as DRAWN_COLOUR
from diffviz.lab.explorers.controls import (
    anchor_slider,
    base_menu,
    name_tuple,
    parameter_slider,
    require_option,
    table_box,
)
from diffviz.lab.explorers.view import Changed, ViewExplorer
from diffviz.protocols import Measured
from diffviz.recipes.entries import CATALOGUE, objective
from diffviz.recipes.settings import from_settings
from diffviz.theory import analysis, frames, paths
from diffviz.theory.families import FAMILIES
from diffviz.theory.frames import Curve
from diffviz.theory.objectives import Objective, from_weighting
from diffviz.web.description import (
    Chip,
    Chips,
    Control,
    Description,
    Menu,
    Paste,
    Points,
    Slider,
    State,
    Switch,
    slug,
)
from diffviz.web.pictures import Chart, Limits, Note, Table, View, Working

NO_FAMILY = "none"
OWN_TABLE, OWN_SETTINGS = "own table", "own settings"
START = ("elbo", "iddpm-cosine", "fm-ot", "edm", "sd3")
LOGARITHMIC, PHOTOGRAPHS = "log10, anchored", "loss density, photographs"
# on which w is drawn by hand
PAPER = {
    "scale": (LOGARITHMIC,),
    "base": ("eps",),
    "axis": ("λ",),
    "loss": (error_losses.SQUARED,),
}
HEIGHT = 4.0  # decades on either side of 0 in which it is drawn, at least
AS_DRAWN = "the drawn curve stands as it was drawn, the others are scaled"
FEW = 3  # stretches that are listed
HEAD = ("", "verdict", "w at λ < 0", "loss at λ < 0")

# --- where each λ stands on the horizontal axis ---------------------------------------------------

SHORT_LOGSNR = training_views.LOGSNR  # the label where two charts share the width


class Axis(NamedTuple):
    """A horizontal axis.

    Args:
        place: Function of the grid of λ with the places, NaN outside a path.
        label: Label of the axis.
        scale: Matplotlib's scale of the axis, "linear" or "log".
    """

    place: Callable[[NDArray], NDArray]
    label: str
    scale: str


@dataclass(frozen=True)
class TimeOf:
    """Time on a path as a function of λ; NaN where the path never comes.

    Args:
        path: The path.
    """

    path: paths.Path

    def __call__(self, logsnr: NDArray) -> NDArray:
        """Time at each λ, in the shape of ``logsnr``."""
        is_on_path = self.path.schedule.pdf(logsnr) > 0
        return np.where(is_on_path, self.path.time(logsnr), np.nan)


def time_axis(name: str, path: paths.Path) -> Axis:
    """The axis of time on a path.

    Args:
        name: Name of the path.
        path: The path.

    Returns:
        The axis.
    """
    return Axis(TimeOf(path), f"time t   [0 data, 1 noise],  {name}", "linear")


def sigma_axis(name: str, frame: frames.Frame, scale: str) -> Axis:
    """The axis of the noise's scale in a frame.

    Args:
        name: Name of the frame.
        frame: The frame.
        scale: "linear" or "log".

    Returns:
        The axis.
    """
    return Axis(frame.sigma, f"σ   [data ← → noise],  {name}", scale)


AXES: dict[str, Axis] = {
    "λ": Axis(np.asarray, plots.LOGSNR, "linear"),
    "t, linear path": time_axis("linear path", paths.LINEAR),
    "t, cosine path": time_axis("cosine path", paths.COSINE),
    "t, VP linear β": time_axis("VP linear β", paths.vp_linear()),
    "σ, linear path": sigma_axis("linear path", frames.STRAIGHT, "linear"),
    "σ, VP": sigma_axis("VP", frames.VP, "linear"),
    "σ, VE (log scale)": sigma_axis("VE (log scale)", frames.VE, "log"),
}

# --- what is drawn of an objective ----------------------------------------------------------------


def weighting_values(objective: Objective, logsnr: NDArray, base: str) -> NDArray:
    """The weighting of an objective on the error of a base, shape (n,).

    Args:
        objective: The objective.
        logsnr: Grid in nats, shape (n,).
        base: "eps", "x", "v" or "u".

    Returns:
        The weighting, shape (n,).
    """
    return objective.weighting(logsnr, base)


def loss_values(objective: Objective, logsnr: NDArray, base: str) -> NDArray:
    """The loss density of an objective on N(0, I) data, which does not depend on the base.

    Args:
        objective: The objective.
        logsnr: Grid in nats, shape (n,).
        base: Not used.

    Returns:
        w(λ) times the error of the ideal denoiser, shape (n,).
    """
    return analysis.loss_density(objective, logsnr)


def log10(values: NDArray) -> NDArray:
    """Logarithm of a curve, NaN where it is not above 0.

    Args:
        values: The curve, shape (n,).

    Returns:
        The logarithm, shape (n,).
    """
    return np.log10(np.where(values > 0, values, np.nan))


def photo_mmse(logsnr: NDArray) -> NDArray:
    """Error of the exact denoiser on Gaussian data with the spectrum of photographs.

    Args:
        logsnr: λ in nats, any shape.

    Returns:
        E‖eps_hat − eps‖² summed over the coefficients, same shape.
    """
    return perception.spectrum().mmse(logsnr)


def photo_loss_values(objective: Objective, logsnr: NDArray, base: str) -> NDArray:
    """The loss density of an objective on Gaussian data with the spectrum of photographs.

    Args:
        objective: The objective.
        logsnr: Grid in nats, shape (n,).
        base: Not used.

    Returns:
        w(λ) times the error of the ideal denoiser, shape (n,).
    """
    return analysis.loss_density(objective, logsnr, mmse=photo_mmse)


def anchored_limits(low: float, high: float) -> tuple[float, float]:
    """Limits of log10 w: around the values, but not beyond six decades from the anchor.

    Args:
        low: Least value that is drawn.
        high: Largest value that is drawn.

    Returns:
        Lower and upper limit.
    """
    return max(low, -6) - 0.3, min(high, 6) + 0.3


def limits_from_zero(low: float, high: float) -> tuple[float, float]:
    """Limits from 0 to a little above the largest value.

    Args:
        low: Not used.
        high: Largest value that is drawn.

    Returns:
        Lower and upper limit.
    """
    return 0, 1.05 * high


class Look(NamedTuple):
    """A way to look at objectives.

    Args:
        values: Function of an objective, the grid and the base.
        scale: Scale on which the values are drawn, one of ``plots.SCALES``.
        label: Label of the vertical axis, with places for the error and for the anchor.
        limits: Function of the least and the largest value with the limits of the axis.
    """

    values: Callable[[Objective, NDArray, str], NDArray]
    scale: str
    label: str
    limits: Callable[[float, float], tuple[float, float]] = limits_from_zero


LOOKS: dict[str, Look] = {
    LOGARITHMIC: Look(
        values=weighting_values,
        scale=LOGARITHMIC,
        label=plots.SCALES[LOGARITHMIC].label,
        limits=anchored_limits,
    ),
    "w / max": Look(
        values=weighting_values,
        scale="w / max",
        label=plots.SCALES["w / max"].label,
    ),
    "loss density": Look(
        values=loss_values,
        scale="unit area",
        label="share of the loss per nat, N(0, I) data",
    ),
    PHOTOGRAPHS: Look(
        values=photo_loss_values,
        scale="unit area",
        label="share of the loss per nat, spectrum of photographs",
    ),
}

# --- the explorer ---------------------------------------------------------------------------------


def parameter_name(family: str, parameter: str) -> str:
    """Name of the control of a family's parameter.

    Args:
        family: A key of ``FAMILIES``.
        parameter: Name of the parameter.

    Returns:
        The name, such as "edm_sigma_data".
    """
    return f"{slug(family)}_{parameter}"


def family_sliders(menu: str = "family") -> tuple[Slider, ...]:
    """The sliders of all families; only those of the chosen one are shown.

    Args:
        menu: Name of the menu in which a family is chosen.

    Returns:
        The sliders.
    """
    return tuple(
        parameter_slider(parameter_name(family, parameter.name), parameter, menu, family)
        for family, offered in FAMILIES.items()
        for parameter in offered.parameters
    )


def entry_chips() -> tuple[Chip, ...]:
    """The entries of the catalogue as options."""
    return tuple(
        Chip(
            entry.name,
            group=entry.family,
            keywords=f"{entry.source} {entry.note}",
            colour=plots.colour(entry.name),
        )
        for entry in CATALOGUE.values()
    )


def drawing_controls() -> tuple[Control, ...]:
    """The controls of a weighting that is drawn by hand."""
    return (
        Switch(
            "drawing",
            "draw a w",
            tip="Drag over the chart to draw a weighting. Meanwhile it stands where it is drawn.",
            when=PAPER,
        ),
        Points(
            "drawn",
            "drawn",
            tip="Between the points log w is linear in λ; beyond them w is 0.",
            when=PAPER | {"drawing": (True,)},
        ),
        Switch(
            "monotone",
            "no rise",
            tip="Hold the drawn w where it would rise with λ: its loss is then a sum of ELBOs.",
            when=PAPER | {"drawing": (True,)},
        ),
    )


def weighting_controls(errors: Iterable[str]) -> tuple[Control, ...]:
    """The controls of the explorer, where errors of these names were passed."""
    return (
        Chips("names", "objectives", entry_chips(), START, tip="Published objectives."),
        Menu("family", "parametric", (NO_FAMILY, *FAMILIES), "flow logit-normal"),
        *family_sliders(),
        Menu("scale", "scale", tuple(LOOKS), LOGARITHMIC),
        base_menu(when={"scale": (LOGARITHMIC, "w / max")}),
        anchor_slider(when={"scale": (LOGARITHMIC,)}),
        Menu("axis", "axis", tuple(AXES), "λ"),
        *error_losses.controls(errors),
        *drawing_controls(),
        *drawn_training.controls(PAPER | {"drawing": (True,)}),
        table_box(),
        Paste(
            "settings",
            "settings",
            placeholder="a trainer's command line, TOML, YAML or JSON",
            apply="use settings",
            accept=".toml,.yaml,.yml,.json,.txt,.sh",
            rare=True,
        ),
    )


class WeightingExplorer(ViewExplorer):
    """What objectives weight.

    The picture shows up to eight objectives of the catalogue, one parametric family, a table of
    one's own, the pasted settings of a trainer, what is passed from Python, and a weighting that is
    drawn by hand: ``objectives()["drawn"]``. Under it stand the verdict on each, and the shares of
    w and of the loss below λ = 0. In the place of the squared error there may be a loss of another
    kind, whose weighting is shown at the errors of an exact denoiser.

    Args:
        names: Objectives of the catalogue at first.
        family: Parametric family at first, a key of ``diffviz.theory.families.FAMILIES``; "none"
            for none.
        objectives: Objectives and measured losses that are shown beside them, by name in the
            legend.
        network_errors: Errors of a network by name, at which losses that are not squared can be
            looked at: a ``LossByLogSNR``, a function of λ, or a pair (logsnr, error).
        components: Number of components that these errors sum over.
        **state: Values of other controls at first, such as ``scale="loss density"``.

    Raises:
        TypeError: ``names`` is no list of names, or ``objectives`` or ``network_errors`` holds
            something else.
        ValueError: A name is unknown or taken, or nothing is chosen.

    Example:
        >>> own = dv.from_weighting([[-8.0, 2.0], [8.0, 1.0]])
        >>> explorer = dv.lab.explorers.WeightingExplorer(("edm",), "none", objectives={"own": own})
        >>> list(explorer.objectives())
        ['edm', 'own']
    """

    grid = np.linspace(-12, 12, 601)  # λ in nats

    def __init__(
        self,
        names: Iterable[str] = START,
        family: str = "flow logit-normal",
        objectives: Mapping[str, Objective | Measured] | None = None,
        network_errors: Mapping[str, Any] | None = None,
        components: int = 1,
        **state: Any,
    ):
        families = (NO_FAMILY, *FAMILIES)
        require_option("family", family, families, "diffviz.theory.families.FAMILIES")
        chosen = tuple(objective(name).name for name in name_tuple(names, "names"))
        self.passed = passed_objectives(objectives or {})
        self.passed_errors = error_losses.passed_errors(network_errors or {}, components)
        self._components = components
        self._trainings = training_views.Trainings(training_views.KEPT)
        controls = weighting_controls(self.passed_errors)
        description = Description("Weightings", controls, local="weighting.js")
        super().__init__(description, {"names": chosen, "family": family, **state})
        require_something(self.objectives(), self.state)

    def objectives(self) -> dict[str, Objective]:
        """The objectives on show with the chosen loss, by their names in the legend."""
        state = self.state
        return {
            name: error_losses.local_objective(one, state, self._errors(state))
            for name, one in chosen_objectives(state, self.passed).items()
        }

    def curves(self) -> dict[str, NDArray]:
        """What is shown of each objective on ``grid``, before it is scaled, by name."""
        return self._curves(self.state)

    def settled(self, state: State, changed: str) -> State:
        """The state after a change: what is trained is shown."""
        if changed == "train" and len(drawn_levels(state["drawn"])[0]) > 1:
            state["picture"] = drawn_training.TRAINING
        if changed == "loss" and not error_losses.is_squared(state):
            error_losses.load_toys()
        return state

    def compute(self, state: State, changed: Changed) -> View | Iterator[View | Working]:
        """The curves and the verdicts, or the training of the drawn weighting.

        Args:
            state: A value for each control.
            changed: Names of the controls that were moved.

        Returns:
            A chart, a table and notes, or a training that goes on.

        Raises:
            ValueError: Nothing is chosen, nothing is drawn to be trained, or a text cannot be read.
        """
        if "train" in changed:
            training = self._training(state)
            return training_views.watched(training, self._trainings, self._show_now)
        return self._show(state)

    def _show_now(self) -> View:
        """The view of the present state."""
        return self._show(self.state)

    def _training(self, state: State) -> Training:
        """The training of the drawn weighting beside two others."""
        return drawn_training.training_of(state, chosen_objectives(state, self.passed), DRAWN)

    def _show(self, state: State) -> View:
        """The view of a state."""
        objectives = chosen_objectives(state, self.passed)
        if is_training(state) and DRAWN not in objectives:
            return View((self._chart(state), drawn_training.invitation(state)))
        if is_training(state):
            shades = {DRAWN: DRAWN_COLOUR}
            training = self._training(state)
            return drawn_training.view(training, self._trainings, self._chart(state), shades)
        require_something(objectives, state)
        notes = [Note(objectives[OWN_SETTINGS].note)] if OWN_SETTINGS in objectives else []
        if is_drawing(state):
            notes.append(Note(drawn_text(objectives.get(DRAWN), state["monotone"])))
        if not error_losses.is_squared(state):
            notes.append(Note(error_losses.note(state)))
        elif state["scale"] == PHOTOGRAPHS:
            notes.append(Note("The table has the share of the loss on N(0, I) data."))
        return View((self._chart(state), self._table(state, objectives), *notes))

    def local_data(self) -> dict[str, Any]:
        """What the browser draws families, bases, axes, anchors and scales with."""
        parameters = {
            family: {one.name: parameter_name(family, one.name) for one in offered.parameters}
            for family, offered in FAMILIES.items()
        }
        shared = look_data(self.grid)
        known = {**CATALOGUE, **self.passed}
        return shared | {
            "entries": shared["entries"] | weightings(self.passed, self.grid),
            "cells": {name: verdict_cells(one) for name, one in known.items()},
            "passed": list(self.passed),
            "photographs": photo_mmse(self.grid),
            "parameters": parameters,
            "colours": {name: colour_of(name) for name in (*known, *FAMILIES, DRAWN)},
            "head": HEAD,
            **error_losses.local_data(known, self.passed_errors, self.grid),
        }

    def page_data(self) -> dict[str, Any]:
        """The errors for which a kernel is asked where there is one."""
        return error_losses.page_data(self.grid)

    def _arguments(self) -> list[str]:
        """The arguments of what is on show; what was passed has the names of its arguments."""
        passed = ["objectives=objectives"] if self.passed else []
        if self.passed_errors:
            passed += ["network_errors=network_errors", f"components={self._components}"]
        return [*passed, *super()._arguments()]

    def _curves(self, state: State) -> dict[str, NDArray]:
        """What is shown of each objective in a state, by name."""
        look = LOOKS[state["scale"]]
        return {
            name: look.values(objective, self.grid, state["base"])
            * error_losses.slopes(objective, state, self._errors(state), self.grid)
            for name, objective in chosen_objectives(state, self.passed).items()
        }

    def _chart(self, state: State) -> Chart:
        """The scaled curves on the chosen axis."""
        look = LOOKS[state["scale"]]
        axis = AXES[state["axis"]]
        curves = {
            name: plots.scaled(values, self.grid, look.scale, state["anchor"])
            for name, values in self._curves(state).items()
            if not (name == DRAWN and is_drawing(state))
        }
        limits = drawn_limits(curves, look)
        ylabel = look.label.format(plots.ERROR_OF[state["base"]], state["anchor"])
        if is_drawing(state):  # the curve stays under the pointer, and the axis where it is
            low, high = limits or (0.0, 0.0)
            limits = min(low, -HEIGHT), max(high, HEIGHT)
            curves[DRAWN] = drawn_heights(state, self.grid)
        return Chart(
            axis.place(self.grid),
            curves,
            xlabel=axis.label,
            ylabel=ylabel,
            title=AS_DRAWN if is_drawing(state) else "",
            xscale=axis.scale,
            ylim=limits,
            colours={DRAWN: colour_of(DRAWN)} if DRAWN in curves else {},
            dashes={DRAWN: 0} if DRAWN in curves else {},
            strokes="drawn" if is_drawing(state) else "",
        )

    def _table(self, state: State, objectives: dict[str, Objective]) -> Table:
        """The verdict on each objective and its shares below λ = 0."""
        rows = [
            (name_with_values(name, state), *self._cells(one, state))
            for name, one in objectives.items()
        ]
        head = HEAD if error_losses.is_squared(state) else error_losses.HEAD
        return Table(head, rows, [colour_of(name) for name in objectives])

    def _cells(self, objective: Objective, state: State) -> tuple[str, str, str]:
        """What the table says of an objective under the loss of a state."""
        if error_losses.is_squared(state):
            return verdict_cells(objective)
        return error_losses.cells(objective, state, self._errors(state), self.grid)

    def _errors(self, state: State) -> Curve:
        """The errors of a state, of one component."""
        passed = self.passed_errors.get(state["errors"])
        return error_losses.errors_of(state["errors"]) if passed is None else passed


def is_training(state: State) -> bool:
    """Whether a state shows the training of a drawn weighting.

    Args:
        state: A value for each control.

    Returns:
        Whether it does.
    """
    return is_drawing(state) and state["picture"] == drawn_training.TRAINING


def look_data(grid: NDArray) -> dict[str, Any]:
    """What the browser draws published weightings with, on any axis and in any look.

    Args:
        grid: λ in nats, shape (n,).

    Returns:
        The grid, the weightings of the catalogue on it, colours and labels by name.
    """
    return {
        "grid": grid,
        "entries": weightings(CATALOGUE, grid),
        "colours": {name: plots.colour(name) for name in (*CATALOGUE, *FAMILIES)},
        "axes": {name: {"label": axis.label, "scale": axis.scale} for name, axis in AXES.items()},
        "labels": {name: look.label for name, look in LOOKS.items()},
        "errors": plots.ERROR_OF,
    }


def weightings(objectives: Mapping[str, Objective], grid: NDArray) -> dict[str, NDArray]:
    """The weightings of objectives on the eps error.

    Args:
        objectives: The objectives by name.
        grid: λ in nats, shape (n,).

    Returns:
        Name to weighting, shape (n,).
    """
    return {name: one.weighting(grid) for name, one in objectives.items()}


def colour_of(name: str) -> str:
    """The colour of a curve: one of its own for what is drawn by hand, else the objective's.

    Args:
        name: Name in the legend.

    Returns:
        The colour as "#RRGGBB".
    """
    return DRAWN_COLOUR if name == DRAWN else plots.colour(name)


def passed_objectives(objectives: Mapping[str, Objective | Measured]) -> dict[str, Objective]:
    """What is passed from Python as objectives; a measured loss by its averages over bins.

    Args:
        objectives: Objectives and measured losses by name.

    Returns:
        Objectives by name.

    Raises:
        TypeError: One is neither an objective nor a measured loss.
        ValueError: A name is that of something else in the legend.
    """
    if not isinstance(objectives, Mapping):
        raise TypeError(f"objectives maps names to objectives, got {objectives!r}")
    taken = {*CATALOGUE, *FAMILIES, OWN_TABLE, OWN_SETTINGS, DRAWN}
    passed = {}
    for name, one in objectives.items():
        if name in taken:
            raise ValueError(f"the name {name!r} in objectives is taken; choose another")
        passed[name] = one if isinstance(one, Objective) else objective_of_measured(one, name)
    return passed


def objective_of_measured(measured: Measured, name: str) -> Objective:
    """A measured loss as an objective: its averages at the centres of bins, log w linear between.

    Args:
        measured: The measured loss.
        name: Name in the legend.

    Returns:
        The objective.

    Raises:
        TypeError: It is no measured loss.
    """
    if not offers(measured, Measured):
        raise TypeError(
            f"objectives[{name!r}] must be an objective or a measured loss, got {measured!r}"
        )
    edges = measured.edges()
    averages, _ = measured.weighting(edges)
    centres = (edges[1:] + edges[:-1]) / 2
    return from_weighting({"logsnr": centres, "w": averages}, name=name)


def is_drawing(state: State) -> bool:
    """Whether the pointer draws a weighting: that is chosen, and the chart shows its log w over λ.

    Args:
        state: A value for each control.

    Returns:
        Whether it does.
    """
    return state["drawing"] and all(state[name] in values for name, values in PAPER.items())


def drawn_heights(state: State, grid: NDArray) -> NDArray:
    """The drawn log10 w where it was drawn.

    Args:
        state: A value for each control.
        grid: λ in nats, shape (n,).

    Returns:
        Heights, NaN beyond the points, shape (n,).
    """
    logsnr, heights = drawn_levels(state["drawn"], state["monotone"])
    if len(logsnr) < 2:
        return np.full(grid.shape, np.nan)
    return np.interp(grid, logsnr, heights, np.nan, np.nan)


def drawn_text(objective: Objective | None, monotone: bool) -> str:
    """The verdict on a drawn weighting in a sentence, or how to draw one.

    Args:
        objective: The objective of the drawn weighting, None without one.
        monotone: Whether w is held where it would rise.

    Returns:
        The sentence.
    """
    if objective is None:
        held = " Where it would rise with λ, it is held." if monotone else ""
        return (
            "Drag over the chart. Where the stroke turns back, its newest part counts; between its "
            f"points log w is linear, and beyond them w is 0.{held}"
        )
    verdict = analysis.verdict(objective)
    if verdict.monotone:
        return "The drawn w never rises with λ: its loss is a sum of ELBOs of noised data."
    rises = [f"[{low:.2f}, {high:.2f}]" for low, high in verdict.rises]
    more = f" and {len(rises) - FEW} more stretches" if len(rises) > FEW else ""
    where = f"{', '.join(rises[:FEW])}{more}".replace("-", "−")
    return f"The drawn w rises with λ on {where}: there ELBOs of noised data count with a minus."


def chosen_objectives(state: State, passed: Mapping[str, Objective]) -> dict[str, Objective]:
    """The objectives of a state.

    Args:
        state: A value for each control.
        passed: What was passed from Python, by name.

    Returns:
        Name in the legend to objective.

    Raises:
        ValueError: A table or settings cannot be read.
    """
    objectives = {name: CATALOGUE[name] for name in state["names"]} | dict(passed)
    family = state["family"]
    if family in FAMILIES:
        objectives[family] = FAMILIES[family].build(**family_values(state))
    if state["table"].strip():
        objectives[OWN_TABLE] = own_table(state["table"])
    if state["settings"].strip():
        objectives[OWN_SETTINGS] = own_settings(state["settings"])
    if len(drawn_levels(state["drawn"])[0]) > 1:
        objectives[DRAWN] = drawn_objective(state["drawn"], state["monotone"])
    return objectives


def require_something(objectives: dict[str, Objective], state: State) -> None:
    """Refuse to show nothing; an empty chart is something to draw on.

    Args:
        objectives: The objectives on show.
        state: A value for each control.

    Raises:
        ValueError: There are none.
    """
    if not objectives and not is_drawing(state):
        raise ValueError("nothing is chosen: pick an objective, a parametric family or a table")


def family_values(state: State) -> dict[str, float]:
    """The values of the parametric family's sliders.

    Args:
        state: A value for each control.

    Returns:
        Parameter to value; empty without a family.
    """
    family = state["family"]
    offered = FAMILIES[family].parameters if family in FAMILIES else ()
    return {one.name: state[parameter_name(family, one.name)] for one in offered}


@lru_cache(16)
def own_table(text: str) -> Objective:
    """The weighting of a pasted table.

    Args:
        text: Two columns, λ and w.

    Returns:
        The objective.

    Raises:
        ValueError: The table cannot be read.
    """
    # the end of a line makes it the text of a table, not a file
    return from_weighting(f"{text.strip()}\n", name=OWN_TABLE)


@lru_cache(16)
def own_settings(text: str) -> Objective:
    """The objective of pasted settings of a trainer.

    Args:
        text: A command line, TOML, YAML or JSON.

    Returns:
        The objective.

    Raises:
        FileNotFoundError: A file that the settings name is not here.
        ValueError: The settings cannot be read.
    """
    return from_settings(text)


def drawn_limits(curves: dict[str, NDArray], look: Look) -> Limits | None:
    """Ends of the vertical axis.

    Args:
        curves: Name to scaled values; NaN where nothing is drawn.
        look: The look.

    Returns:
        The ends, None where nothing is drawn at all.
    """
    values = np.concatenate([*curves.values(), np.empty(0)])
    drawn = values[np.isfinite(values)]
    return look.limits(float(drawn.min()), float(drawn.max())) if drawn.size else None


def name_with_values(name: str, state: State) -> str:
    """Name of an objective, with the values of a family.

    Args:
        name: Name in the legend.
        state: A value for each control.

    Returns:
        The name, such as "EDM (mean -1.2, std 1.2, sigma_data 0.5)".
    """
    if name not in FAMILIES:
        return name
    values = family_values(state).items()
    return f"{name} ({', '.join(f'{parameter} {value:g}' for parameter, value in values)})"


@lru_cache(256)
def verdict_cells(objective: Objective, at: float = 0.0) -> tuple[str, str, str]:
    """The verdict on an objective and its shares below a λ.

    Args:
        objective: The objective.
        at: λ in nats.

    Returns:
        The verdict, the share of w, and the share of the loss on N(0, I) data.
    """
    words = error_losses.verdict_words(analysis.verdict(objective))
    low, high = objective.law.support()
    if low >= 10 or high <= -10:
        return words, "outside [−10, 10]", ""
    of_w = analysis.share_below(objective, at)
    of_loss = analysis.share_below(objective, at, mmse=expit)
    return words, f"{of_w:.1%}", f"{of_loss:.1%}"
