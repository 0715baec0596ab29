"""The explorer of weightings: curves of objectives and families, and where their loss is spent."""

import html
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path as File
from typing import Any, NamedTuple

import ipywidgets as widgets
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from diffviz import plots
from diffviz.lab.explorers.base import (
    Explorer,
    Parameter,
    control,
    figure_of,
    indented_button,
    name_tuple,
    offer,
    parameter_sliders,
    require_option,
    show,
)
from diffviz.recipes.entries import CATALOGUE, objective
from diffviz.recipes.settings import from_settings
from diffviz.theory import analysis, frames, paths
from diffviz.theory.families import FAMILIES
from diffviz.theory.objectives import Objective, from_weighting

MOST = 8  # objectives of the catalogue at once
ALL_FAMILIES, NO_FAMILY = "all families", "none"
OWN_TABLE, OWN_SETTINGS = "own table", "own settings"

# --- where each λ stands on the horizontal axis ---------------------------------------------------


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


class View(NamedTuple):
    """A way to look at objectives.

    Args:
        values: Function of an objective, the grid and the base.
        scale: Scale on which the values are drawn, one of ``plots.SCALES``.
        label: Label of the vertical axis, with a place for the error.
        controls: Names of the controls that have an effect in this view.
        limits: Function of the least and the largest value with the limits of the axis.
    """

    values: Callable[[Objective, NDArray, str], NDArray]
    scale: str
    label: str
    controls: tuple[str, ...] = ()
    limits: Callable[[float, float], tuple[float, float]] = limits_from_zero


VIEWS: dict[str, View] = {
    "log10, anchored": View(
        values=weighting_values,
        scale="log10, anchored",
        label="log₁₀ w on the {} error, 0 at the anchor",
        controls=("base", "anchor"),
        limits=anchored_limits,
    ),
    "w / max": View(
        values=weighting_values,
        scale="w / max",
        label=plots.SCALES["w / max"].label,
        controls=("base",),
    ),
    "loss density": View(
        values=loss_values,
        scale="unit area",
        label="share of the loss per nat, N(0, I) data",
    ),
}

# --- the explorer ---------------------------------------------------------------------------------


class WeightingExplorer(Explorer):
    """What objectives weight.

    The picture shows up to eight objectives of the catalogue, one parametric family, a table of
    one's own and the pasted settings of a trainer. Under it stand the verdict on each, and the
    shares of w and of the loss below λ = 0. The picture and the curves can be saved.

    Args:
        names: Objectives of the catalogue at first.
        family: Parametric family at first, a key of ``diffviz.theory.families.FAMILIES``; "none"
            for none.

    Raises:
        TypeError: ``names`` is no list of names.
        ValueError: A name is unknown, or nothing is chosen.
    """

    grid = np.linspace(-12, 12, 601)  # λ in nats

    def __init__(
        self,
        names: Iterable[str] = ("elbo", "iddpm-cosine", "fm-ot", "edm", "sd3"),
        family: str = "flow logit-normal",
    ):
        families = (NO_FAMILY, *FAMILIES)
        require_option("family", family, families, "diffviz.theory.families.FAMILIES")
        chosen = tuple(objective(name).name for name in name_tuple(names, "names"))
        self.table: Objective | None = None
        self.settings: Objective | None = None
        self.axes = plots.axes(8.0, 4.6, legend=2.0)[0]
        controls = self._make_controls(chosen, family)
        super().__init__(figure_of(self.axes), controls, self._update)

    def objectives(self) -> dict[str, Objective]:
        """The objectives on show, by their names in the legend."""
        family = self.controls["parametric"].value
        names = self.controls["objectives"].value[:MOST]
        objectives = {name: CATALOGUE[name] for name in names}
        if family in FAMILIES:
            objectives[family] = FAMILIES[family].build(**self._family_values())
        if self.table:
            objectives[OWN_TABLE] = self.table
        if self.settings:
            objectives[OWN_SETTINGS] = self.settings
        return objectives

    def curves(self) -> dict[str, NDArray]:
        """What the view shows of each objective on ``grid``, before it is scaled, by name."""
        view, base = self._view(), self.controls["base"].value
        return {
            name: view.values(objective, self.grid, base)
            for name, objective in self.objectives().items()
        }

    def _make_controls(self, names: tuple[str, ...], family: str) -> dict[str, Any]:
        """The controls by name."""
        groups = (ALL_FAMILIES, *dict.fromkeys(entry.family for entry in CATALOGUE.values()))
        families = (NO_FAMILY, *FAMILIES)
        menu, text = widgets.Dropdown, widgets.Text
        sliders = parameter_sliders(3)
        offer(list(sliders.values()), _parameters(family))
        base = control(widgets.ToggleButtons, "error of", options=list(plots.ERROR_OF))
        base.style.button_width = "50px"
        return {
            "search": control(text, "search", placeholder="part of a name, paper, repository"),
            "group": control(menu, "family", options=groups),
            "objectives": control(
                widgets.SelectMultiple,
                "objectives",
                options=_entries("", ALL_FAMILIES, names),
                value=names,
                rows=9,
            ),
            "parametric": control(menu, "parametric", options=families, value=family),
            **sliders,
            "scale": control(menu, "scale", options=list(VIEWS)),
            "anchor": control(widgets.FloatSlider, "anchor λ", 0.0, min=-8, max=8, step=0.25),
            "base": base,
            "axis": control(menu, "axis", options=list(AXES)),
            "table": control(
                widgets.Textarea,
                "own table",
                placeholder="λ, w  (two columns, one row a line)",
                rows=3,
            ),
            "use": indented_button("use table"),
            "settings": control(
                widgets.Textarea,
                "settings",
                placeholder="a trainer's command line, TOML, YAML or JSON",
                rows=3,
            ),
            "read": indented_button("use settings"),
            "file": control(
                text,
                "file",
                "weightings.svg",
                tooltip="svg, pdf, png: the picture; csv: the curves",
            ),
            "save": indented_button("save"),
        }

    def _view(self) -> View:
        """The view that is chosen."""
        return VIEWS[self.controls["scale"].value]

    def _family_values(self) -> dict[str, float]:
        """The values of the parametric family's sliders, by parameter."""
        parameters = _parameters(self.controls["parametric"].value)
        return {
            parameter[0]: self.controls[f"p{index}"].value
            for index, parameter in enumerate(parameters)
        }

    # --- what a change of a control does

    def _update(self, changed: str) -> str:
        """Do what the control says, draw, and describe what is on show."""
        note = self._act(changed)
        left_out = self.controls["objectives"].value[MOST:]
        if left_out:
            note += f"<i>up to {MOST} at once: {', '.join(left_out)} left out</i>"
        objectives = self.objectives()
        if not objectives:
            raise ValueError("nothing is chosen: pick an objective, a parametric family or a table")
        for name in ("base", "anchor"):
            show(self.controls[name], name in self._view().controls)
        self._draw()
        if changed not in ("p0", "p1", "p2", "anchor"):
            self._fit_axes()
        return self._describe(objectives) + note

    def _act(self, changed: str) -> str:
        """Do what a control asks for besides drawing; what it tells the reader, as HTML."""
        if changed == "save":
            return self._save()
        if changed == "use":
            self._use_table()
        elif changed == "read":
            return self._read_settings()
        elif changed == "parametric":
            sliders = [self.controls[f"p{index}"] for index in range(3)]
            offer(sliders, _parameters(self.controls["parametric"].value))
        elif changed in ("search", "group"):
            self._filter_entries()
        return ""

    def _filter_entries(self) -> None:
        """List the entries that match the search and the family, after those that are chosen."""
        menu = self.controls["objectives"]
        chosen = menu.value
        options = _entries(self.controls["search"].value, self.controls["group"].value, chosen)
        menu.value = ()  # first, or the page selects rows that are no longer there
        menu.options = options
        menu.value = chosen

    def _use_table(self) -> None:
        """Take the weighting from the pasted table; an empty one drops the table in use."""
        text = self.controls["table"].value.strip()
        if not text and self.table:
            self.table = None
        else:  # the end of a line makes it the text of a table, not a file
            self.table = from_weighting(f"{text}\n", name=OWN_TABLE)

    def _read_settings(self) -> str:
        """Take the objective of the pasted settings, or drop it; its note, as HTML."""
        text = self.controls["settings"].value
        if not text.strip():
            self.settings = None
            return ""
        self.settings = from_settings(text)
        return f"<i>{html.escape(self.settings.note)}</i>"

    def _save(self) -> str:
        """Write the picture or the curves to the file; where it is, as HTML."""
        file = File(self.controls["file"].value.strip() or "weightings.svg")
        if file.suffix == ".csv":
            self._write_curves(file)
        else:
            plots.save(self.figure, file)
        return f"<i>saved {html.escape(str(file.resolve()))}</i>"

    def _write_curves(self, file: File) -> None:
        """Write the grid and the curves as columns of a CSV file."""
        columns = {"logsnr": self.grid, **self.curves()}
        table = np.column_stack(list(columns.values()))
        np.savetxt(file, table, "%.17g", ",", header=",".join(columns), comments="")

    # --- the picture and the text

    def _draw(self) -> None:
        """Draw the curves on the chosen axes."""
        view, axis = self._view(), AXES[self.controls["axis"].value]
        anchor = self.controls["anchor"].value
        curves = {
            name: plots.scaled(values, self.grid, view.scale, anchor)
            for name, values in self.curves().items()
        }
        plots.lines(
            axis.place(self.grid),
            curves,
            xlabel=axis.label,
            ylabel=view.label.format(plots.ERROR_OF[self.controls["base"].value]),
            outside=True,
            colours=plots.colour,
            ax=self.axes,
        )

    def _fit_axes(self) -> None:
        """Set the limits of the axes by what is drawn."""
        self.axes.set_xscale(AXES[self.controls["axis"].value].scale)
        x, y = np.concatenate([line.get_xydata() for line in self.axes.lines]).T
        self.axes.set_xlim(np.nanmin(x), np.nanmax(x))
        self.axes.set_ylim(self._view().limits(np.nanmin(y), np.nanmax(y)))

    def _describe(self, objectives: dict[str, Objective]) -> str:
        """The verdict on each objective and its shares below λ = 0, as an HTML table."""
        head = (
            "<tr><td></td><td></td><td><b>verdict</b></td>"
            "<td><b>w below 0&nbsp;</b></td><td><b>loss below 0</b></td></tr>"
        )
        rows = "".join(
            f"<tr>{self._label_cells(name)}{verdict_cells(objective)}</tr>"
            for name, objective in objectives.items()
        )
        return f"<table style='line-height:1.25'>{head}{rows}</table>"

    def _label_cells(self, name: str) -> str:
        """Colour and name of an objective, with the values of a family, as HTML cells."""
        label = name
        if name in FAMILIES:
            values = self._family_values().items()
            label += f" ({', '.join(f'{parameter} {value:g}' for parameter, value in values)})"
        return (
            f"<td style='color:{plots.colour(name)}'>■</td>"
            f"<td style='padding-right:12px'>{html.escape(label)}</td>"
        )


@lru_cache(64)
def verdict_cells(objective: Objective) -> str:
    """The verdict on an objective and its shares below λ = 0.

    Args:
        objective: The objective.

    Returns:
        Three HTML cells: the verdict, the share of w, and the share of the loss on N(0, I) data.
    """
    verdict = analysis.verdict(objective)
    words = "monotone"
    if not verdict.monotone:
        words = f"peak {verdict.peak + 0.0:.2f}, negative {verdict.negative_share:.1%}"
    low, high = objective.law.support()
    if low >= 10 or high <= -10:
        return f"<td>{words}</td><td colspan=2>outside [-10, 10]</td>"
    of_w = analysis.share_below(objective)
    of_loss = analysis.share_below(objective, mmse=expit)
    return f"<td style='padding-right:12px'>{words}</td><td>{of_w:.1%}</td><td>{of_loss:.1%}</td>"


def _parameters(family: str) -> tuple[Parameter, ...]:
    """The parameters of a family, none for "none"."""
    return FAMILIES[family].parameters if family in FAMILIES else ()


def _entries(search: str, group: str, chosen: tuple[str, ...]) -> list[str]:
    """Names of entries for the menu: the chosen ones first, then those that match."""
    sought = search.lower().strip()
    others = [
        entry
        for entry in CATALOGUE.values()
        if group in (ALL_FAMILIES, entry.family) and entry.name not in chosen
    ]
    matching = [
        entry.name
        for entry in others
        if sought in f"{entry.name} {entry.source} {entry.note}".lower()
    ]
    return [*chosen, *matching]
