"""The weighting explorer: curves of objectives and families, and where their loss is spent."""

import html
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path as File
from typing import cast

import ipywidgets as w
import numpy as np
from matplotlib.figure import Figure
from scipy.special import expit

from diffviz import plots
from diffviz.checks import unknown
from diffviz.lab.explorers.base import Explorer, control, offer, show
from diffviz.recipes.entries import CATALOGUE, objective
from diffviz.theory import analysis, frames, paths
from diffviz.theory.families import FAMILIES
from diffviz.theory.objectives import Objective, from_weighting

MOST = 8
TIMES = {"linear path": paths.LINEAR, "cosine path": paths.COSINE, "VP linear β": paths.vp_linear()}
SIGMAS = {
    "linear path": (frames.STRAIGHT, "linear"),
    "VP": (frames.VP, "linear"),
    "VE (log scale)": (frames.VE, "log"),
}


def _time(path: paths.Path) -> Callable:
    return lambda logsnr: np.where(path.schedule.pdf(logsnr) > 0, path.time(logsnr), np.nan)


AXES: dict[
    str, tuple[Callable, str, str]
] = {  # where each λ stands (NaN outside the path), label, scale of the axis
    "λ": (np.asarray, plots.LOGSNR, "linear"),
    **{
        f"t, {name}": (_time(path), f"time t   [0 data, 1 noise],  {name}", "linear")
        for name, path in TIMES.items()
    },
    **{
        f"σ, {name}": (frame.sigma, f"σ   [data ← → noise],  {name}", scale)
        for name, (frame, scale) in SIGMAS.items()
    },
}
LOG, MAX, SPENT = "log10, anchored", "w / max", "loss density"
LIMITS = {
    LOG: lambda low, high: (max(low, -6) - 0.3, min(high, 6) + 0.3)
}  # of y; from 0 up in the other views
VIEWS: dict[
    str, tuple
] = {  # what is drawn of an objective, in which scale, label, the controls that act on it
    LOG: (Objective.weighting, LOG, "log₁₀ w on the {} error, 0 at the anchor", ("base", "anchor")),
    MAX: (Objective.weighting, MAX, plots.SCALES[MAX][1], ("base",)),
    SPENT: (
        lambda o, grid, _: analysis.loss_density(o, grid),
        "unit area",
        "share of the loss per nat, N(0, I) data",
        (),
    ),
}


@lru_cache(64)
def _words(objective: Objective) -> str:
    v = analysis.verdict(objective)
    kind = "monotone" if v.monotone else f"peak {v.peak + 0.0:.2f}, negative {v.negative_share:.1%}"
    low, high = objective.law.support()
    if low >= 10 or high <= -10:
        return f"<td>{kind}</td><td colspan=2>outside [-10, 10]</td>"
    below, loss = analysis.share_below(objective), analysis.share_below(objective, mmse=expit)
    return f"<td style='padding-right:12px'>{kind}</td><td>{below:.1%}</td><td>{loss:.1%}</td>"


class WeightingExplorer(Explorer):
    """What do these objectives weight? Up to eight of the catalogue, one parametric family, and a table of one's own.

    Args:
        names: objectives on show at first.
        family: parametric family at first ("none" for none), see ``diffviz.theory.families``.
    """

    grid = np.linspace(-12, 12, 601)

    def __init__(
        self,
        names: tuple[str, ...] = ("elbo", "iddpm-cosine", "fm-ot", "edm", "sd3"),
        family: str = "flow logit-normal",
    ):
        names = tuple(objective(name).name for name in names)
        if family not in ("none", *FAMILIES):
            raise unknown("family", family, FAMILIES, "diffviz.theory.families.FAMILIES")
        self.table: Objective | None = None
        groups = ("all families", *dict.fromkeys(o.family for o in CATALOGUE.values()))
        self.controls = c = {
            "search": control(w.Text, "search", placeholder="part of a name, paper, repository"),
            "group": control(w.Dropdown, "family", options=groups),
            "objectives": control(
                w.SelectMultiple, "objectives", options=list(CATALOGUE), value=names, rows=9
            ),
            "parametric": control(
                w.Dropdown, "parametric", options=("none", *FAMILIES), value=family
            ),
            **{f"p{i}": control(w.FloatSlider, "", readout_format=".2f") for i in range(3)},
            "scale": control(w.Dropdown, "scale", options=list(VIEWS)),
            "anchor": control(w.FloatSlider, "anchor λ", 0.0, min=-8, max=8, step=0.25),
            "base": control(w.ToggleButtons, "error of", options=list(plots.ERROR_OF)),
            "axis": control(w.Dropdown, "axis", options=list(AXES)),
            "table": control(
                w.Textarea, "own table", placeholder="λ, w  (two columns, one row a line)", rows=3
            ),
            "use": w.Button(description="use table"),
            "file": control(
                w.Text,
                "file",
                "weightings.svg",
                tooltip="svg, pdf, png: the picture; csv: the curves",
            ),
            "save": w.Button(description="save"),
        }
        c["base"].style.button_width = "50px"
        for button in (c["use"], c["save"]):
            button.layout = w.Layout(width="150px", margin="2px 2px 2px 96px")
        self._filter()
        self._sliders()
        self._acts: dict[str, Callable[[], str | None]] = {
            "use": self._use,
            "save": self._save,
            "parametric": self._sliders,
        }
        self._acts |= {"search": self._filter, "group": self._filter}
        self.axes = plots.axes(8.0, 4.6, legend=2.0)[0]
        super().__init__(cast(Figure, self.axes.figure), c, self._show)

    def _parameters(self) -> tuple:
        family = FAMILIES.get(self.controls["parametric"].value)
        return family.parameters if family else ()

    def _values(self) -> dict[str, float]:
        return {
            parameter[0]: self.controls[f"p{i}"].value
            for i, parameter in enumerate(self._parameters())
        }

    def shown(self) -> dict[str, Objective]:
        """The objectives on show, by the name in the legend."""
        family = self.controls["parametric"].value
        some = {name: CATALOGUE[name] for name in self.controls["objectives"].value[:MOST]}
        some |= {family: FAMILIES[family].build(**self._values())} if family in FAMILIES else {}
        return some | ({"own table": self.table} if self.table else {})

    def curves(self) -> dict[str, np.ndarray]:
        """w on ``grid`` in the chosen base (the loss density in that view), by name."""
        values, base = VIEWS[self.controls["scale"].value][0], self.controls["base"].value
        return {name: values(o, self.grid, base) for name, o in self.shown().items()}

    def _filter(self) -> None:
        c = self.controls
        wanted, group, kept = (
            c["search"].value.lower().strip(),
            c["group"].value,
            c["objectives"].value,
        )
        entries = [
            o
            for o in CATALOGUE.values()
            if group in ("all families", o.family) and o.name not in kept
        ]
        c["objectives"].value = ()  # first, or the page selects rows that are no longer there
        c["objectives"].options = [
            *kept,
            *(o.name for o in entries if wanted in f"{o.name} {o.source} {o.note}".lower()),
        ]
        c["objectives"].value = kept

    def _sliders(self) -> None:
        offer([self.controls[f"p{i}"] for i in range(3)], self._parameters())

    def _use(self) -> None:
        lines = self.controls["table"].value.strip().splitlines()
        rows = [line.replace(",", " ").replace(";", " ").split() for line in lines]
        rows = (
            rows[1:] if rows and any(word[:1].isalpha() for word in rows[0]) else rows
        )  # a header line
        if len({len(row) for row in rows}) > 1:
            raise ValueError("every row of the table has the same number of columns: logsnr and w")
        self.table = (
            None
            if not rows and self.table
            else from_weighting(np.array(rows, dtype=float), name="own table")
        )

    def _save(self) -> str:
        file = File(self.controls["file"].value.strip() or "weightings.svg")
        if file.suffix == ".csv":
            columns = {"logsnr": self.grid, **self.curves()}
            np.savetxt(
                file,
                np.column_stack(list(columns.values())),
                "%.17g",
                ",",
                header=",".join(columns),
                comments="",
            )
        else:
            plots.save(self.figure, file)
        return f"<i>saved {html.escape(str(file.resolve()))}</i>"

    def _show(self, changed: str) -> str:
        note = (self._acts[changed]() or "") if changed in self._acts else ""
        if over := self.controls["objectives"].value[MOST:]:
            note += f"<i>up to {MOST} at once: {', '.join(over)} left out</i>"
        if not (shown := self.shown()):
            raise ValueError("nothing is chosen: pick an objective, a parametric family or a table")
        self._redraw_axes(keep=changed in ("p0", "p1", "p2", "anchor"))
        values = ", ".join(f"{name} {value:g}" for name, value in self._values().items())
        rows = []
        for name, one in shown.items():
            label = html.escape(f"{name} ({values})" if name in FAMILIES else name)
            mark = f"<td style='color:{plots.colour(name)}'>■</td><td style='padding-right:12px'>{label}</td>"
            rows.append(f"<tr>{mark}{_words(one)}</tr>")
        head = "<tr><td></td><td></td><td><b>verdict</b></td><td><b>w below 0&nbsp;</b></td><td><b>loss below 0</b></td></tr>"
        return f"<table style='line-height:1.25'>{head}{''.join(rows)}</table>{note}"

    def _redraw_axes(self, keep: bool) -> None:
        c, ax, chosen = self.controls, self.axes, self.controls["scale"].value
        (place, xlabel, xscale), (_, scale, ylabel, used) = AXES[c["axis"].value], VIEWS[chosen]
        for name in ("base", "anchor"):
            show(c[name], name in used)
        curves = {
            name: plots.scaled(w, self.grid, scale, c["anchor"].value)
            for name, w in self.curves().items()
        }
        ylabel = ylabel.format(plots.ERROR_OF[c["base"].value])
        plots.lines(
            place(self.grid),
            curves,
            xlabel=xlabel,
            ylabel=ylabel,
            outside=True,
            colours=plots.colour,
            ax=ax,
        )
        if not keep:
            ax.set_xscale(xscale)
            xs, ys = np.concatenate([line.get_xydata() for line in ax.lines]).T
            ax.set_xlim(np.nanmin(xs), np.nanmax(xs))
            low, high = np.nanmin(ys), np.nanmax(ys)
            ax.set_ylim(LIMITS[chosen](low, high) if chosen in LIMITS else (0, 1.05 * high))
