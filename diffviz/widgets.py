"""Explorers: controls by name, one drawing function, and a picture that a reader without a kernel sees too.

The picture is a PNG in an ``Image`` widget, fed by an Agg figure. While axes, labels and legend stay, only the lines are drawn, over a
cached background; anything else takes the full path once. Nothing is written through ``Output`` or ``interact``.
"""

import base64
import html
import io
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path as File
from typing import Any, cast

import ipywidgets as w
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image as Pillow
from scipy.special import expit

from diffviz import paths, plots, weightings
from diffviz.objectives import FAMILIES, Objective, from_weighting, unknown
from diffviz.recipes import CATALOGUE, objective

MOST = 8
WIDE = {"description_width": "92px"}
AXES = {
    "λ": paths.COSINE, "t, linear path": paths.LINEAR, "t, cosine path": paths.COSINE, "t, VP linear β": paths.vp_linear(),
    "σ, linear path": paths.LINEAR, "σ, VP": paths.COSINE, "σ, VE (log scale)": paths.edm(),
}  # fmt: skip


class Picture:
    """PNG of a figure; lines with a ``gid`` move over a cached background until something else changes."""

    def __init__(self, figure: Figure):
        self.figure = figure
        self._key: object = None
        self._background = None

    def _scenery(self) -> tuple:
        each = []
        for ax in self.figure.axes:
            legend = ax.get_legend()
            texts = [t.get_text() for t in legend.get_texts()] if legend else []
            colours = [h.get_color() for h in legend.get_lines()] if legend else []
            words = (ax.get_xlabel(), ax.get_ylabel(), ax.get_title(), ax.get_xscale(), *texts, *colours)
            each.append((ax.get_xlim(), ax.get_ylim(), words, len(ax.patches), len(ax.collections)))
        return tuple(each)

    def png(self) -> bytes:
        """The figure as it is now."""
        canvas = cast(FigureCanvasAgg, self.figure.canvas)
        moving = [(ax, line) for ax in self.figure.axes for line in ax.lines if line.get_gid()]
        if self._scenery() != self._key:
            for _, line in moving:
                line.set_animated(True)
            canvas.draw()
            self._background, self._key = canvas.copy_from_bbox(self.figure.bbox), self._scenery()
        canvas.restore_region(self._background)
        for ax, line in sorted(moving, key=lambda pair: pair[1].get_zorder()):
            line.set_animated(True)
            ax.draw_artist(line)
        pixels = np.asarray(canvas.buffer_rgba())[..., :3]
        file = io.BytesIO()
        Pillow.fromarray(pixels).save(file, "PNG", compress_level=1)
        return file.getvalue()


class Explorer(w.VBox):
    """Controls beside a picture.

    Args:
        figure: the Agg figure that ``draw`` moves the lines of.
        controls: name to widget; a change of any ``value`` redraws.
        draw: called with the name of the control that changed ("" at first), returns HTML for the text under the picture.
        panel: how the controls are laid out.
    """

    def __init__(self, figure: Figure, controls: dict[str, Any], draw: Callable[[str], str], panel: w.Widget):
        self.controls, self.figure = controls, figure
        self._draw, self._picture, self._busy = draw, Picture(figure), False
        width, height = (int(x) for x in figure.get_size_inches() * figure.dpi)
        self._image = w.Image(
            format="png", layout=w.Layout(width=f"{width}px", height=f"{height}px", max_width="100%", object_fit="contain")
        )
        self.text = w.HTML()
        super().__init__([w.HBox([panel, w.VBox([self._image, self.text])], layout=w.Layout(flex_flow="row wrap"))])
        for name, control in controls.items():
            if control.has_trait("value"):
                control.observe(lambda change, name=name: self.redraw(name), "value")
        self._busy = True
        self.text.value = draw("")
        self._busy = False
        self._image.value = self._picture.png()

    def redraw(self, name: str = "") -> None:
        """Draw again after the control ``name`` changed; an error is shown under the picture, which stays as it was."""
        if self._busy:  # a control set by the drawing itself
            return
        self._busy = True
        try:
            self.text.value = self._draw(name)
            self._image.value = self._picture.png()
        except Exception as error:  # shown here, or it would end in a log console that nobody opens
            self.text.value = f"<b style='color:#CC3311'>{type(error).__name__}: {html.escape(str(error))}</b>"
        finally:
            self._busy = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self.controls)})"

    @property
    def png(self) -> bytes:
        """The picture on show."""
        return self._image.value

    def _repr_mimebundle_(self, **kwargs):
        bundle = super()._repr_mimebundle_(**kwargs) or {}
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        return data | {"image/png": base64.b64encode(self.png).decode()}


def show(control: w.Widget, on: bool) -> None:
    """Show or hide a control that has nothing to say in the present view."""
    control.layout.display = "" if on else "none"


@lru_cache(64)
def _words(objective: Objective) -> str:
    v = weightings.verdict(objective)
    kind = "monotone" if v.monotone else f"peak {v.peak + 0.0:.2f}, negative {v.negative_share:.1%}"
    low, high = objective.density.support()
    if low >= 10 or high <= -10:
        return f"<td>{kind}</td><td colspan=2>outside [-10, 10]</td>"
    below, loss = weightings.share_below(objective), weightings.share_below(objective, mmse=expit)
    return f"<td style='padding-right:12px'>{kind}</td><td>{below:.1%}</td><td>{loss:.1%}</td>"


class WeightingExplorer(Explorer):
    """What do these objectives weight? Up to eight of the catalogue, one parametric family, and a table of one's own.

    Args:
        names: objectives on show at first.
        family: parametric family at first ("none" for none), see ``diffviz.FAMILIES``.
    """

    grid = np.linspace(-12, 12, 601)

    def __init__(
        self, names: tuple[str, ...] = ("elbo", "iddpm-cosine", "fm-ot", "edm", "sd3"), family: str = "flow logit-normal"
    ):
        names = tuple(objective(name).name for name in names)
        if family not in ("none", *FAMILIES):
            raise unknown("family", family, FAMILIES, "dv.FAMILIES")
        self.table: Objective | None = None

        def text():  # a layout of its own each, since some are hidden
            return {"style": WIDE, "layout": w.Layout(width="330px")}

        groups = ("all families", *dict.fromkeys(o.family for o in CATALOGUE.values()))
        c: dict[str, Any] = {
            "search": w.Text(description="search", placeholder="part of a name, paper, repository", **text()),
            "group": w.Dropdown(options=groups, description="family", **text()),
            "objectives": w.SelectMultiple(options=list(CATALOGUE), value=names, rows=9, description="objectives", **text()),
            "parametric": w.Dropdown(options=("none", *FAMILIES), value=family, description="parametric", **text()),
            **{f"p{i}": w.FloatSlider(continuous_update=True, readout_format=".2f", **text()) for i in range(3)},
            "scale": w.Dropdown(options=(*list(plots.SCALES)[:2], "loss density"), description="scale", **text()),
            "anchor": w.FloatSlider(0.0, min=-8, max=8, step=0.25, description="anchor λ", **text()),
            "base": w.ToggleButtons(
                options=("eps", "x", "v", "u"),
                description="error of",
                style=WIDE | {"button_width": "50px"},
                layout=w.Layout(width="330px"),
            ),
            "axis": w.Dropdown(options=list(AXES), description="axis", **text()),
            "table": w.Textarea(placeholder="λ, w  (two columns, one row a line)", description="own table", rows=3, **text()),
            "file": w.Text(
                "weightings.svg", description="file", tooltip="svg, pdf, png: the picture; csv: the curves", **text()
            ),
        }
        use, save = (
            w.Button(description=d, layout=w.Layout(width="150px", margin="2px 2px 2px 96px")) for d in ("use table", "save")
        )
        use.on_click(lambda _: self.redraw("use"))
        save.on_click(lambda _: self.redraw("save"))
        self.controls = c
        self.axes = plots.axes(8.0, 4.6, legend=2.0)[0]
        panel = w.VBox([*list(c.values())[:-1], use, c["file"], save], layout=w.Layout(width="350px"))
        super().__init__(cast(Figure, self.axes.figure), c, self._show, panel)

    def shown(self) -> dict[str, Objective]:
        """The objectives on show, by the name in the legend."""
        c = self.controls
        some = {name: CATALOGUE[name] for name in c["objectives"].value[:MOST]}
        if c["parametric"].value != "none":
            family = FAMILIES[c["parametric"].value]
            some[c["parametric"].value] = family.build(**{p[0]: c[f"p{i}"].value for i, p in enumerate(family.parameters)})
        return some | ({"own table": self.table} if self.table else {})

    def curves(self) -> dict[str, np.ndarray]:
        """w on ``grid`` in the chosen base (the loss density in that view), by name."""
        base, spent = self.controls["base"].value, self.controls["scale"].value == "loss density"
        return {
            n: weightings.loss_density(o, self.grid) if spent else o.weighting(self.grid, base) for n, o in self.shown().items()
        }

    def _filter(self) -> None:
        c = self.controls
        wanted, group = c["search"].value.lower().strip(), c["group"].value
        kept = c["objectives"].value
        found = [
            n
            for n, o in CATALOGUE.items()
            if wanted in f"{n} {o.source} {o.note}".lower() and group in ("all families", o.family)
        ]
        c["objectives"].value = ()  # first, or the page selects rows that are no longer there
        c["objectives"].options = [*kept, *(n for n in found if n not in kept)]
        c["objectives"].value = kept

    def _sliders(self) -> None:
        family = FAMILIES.get(self.controls["parametric"].value)
        parameters = family.parameters if family else ()
        for i in range(3):
            slider = self.controls[f"p{i}"]
            show(slider, i < len(parameters))
            if i < len(parameters):
                name, default, low, high, step = parameters[i]
                slider.min, slider.max = min(low, slider.min), high  # never min > max on the way
                slider.min, slider.step, slider.description = low, step, name
                slider.value = default

    def _save(self) -> str:
        file = File(self.controls["file"].value.strip() or "weightings.svg")
        if file.suffix == ".csv":
            columns = self.curves()
            np.savetxt(
                file,
                np.column_stack([self.grid, *columns.values()]),
                "%.17g",
                ",",
                header=",".join(["logsnr", *columns]),
                comments="",
            )
        else:
            plots.save(self.figure, file)
        return f"<i>saved {html.escape(str(file.resolve()))}</i>"

    def _show(self, changed: str) -> str:
        c = self.controls
        if changed in ("", "search", "group"):
            self._filter()
        if changed in ("", "parametric"):
            self._sliders()
        if changed == "use":
            rows = [line.replace(",", " ").replace(";", " ").split() for line in c["table"].value.strip().splitlines()]
            rows = rows[1:] if rows and any(word[:1].isalpha() for word in rows[0]) else rows  # a header line
            if len({len(row) for row in rows}) > 1:
                raise ValueError("every row of the table has the same number of columns: logsnr and w")
            self.table = None if not rows and self.table else from_weighting(np.array(rows, dtype=float), name="own table")
        note = self._save() if changed == "save" else ""
        over = c["objectives"].value[MOST:]
        if over:
            note += f"<i>up to {MOST} at once: {', '.join(over)} left out</i>"
        if not self.shown():
            raise ValueError("nothing is chosen: pick an objective, a parametric family or a table")
        self._redraw_axes(keep=changed in ("p0", "p1", "p2", "anchor"))
        rows = []
        for name, shown in self.shown().items():
            values = ", ".join(
                f"{c[f'p{i}'].description} {c[f'p{i}'].value:g}" for i in range(3) if c[f"p{i}"].layout.display != "none"
            )
            label = f"{name} ({values})" if name in FAMILIES else name
            mark = f"<td style='color:{plots.colour(name)}'>■</td><td style='padding-right:12px'>{html.escape(label)}</td>"
            rows.append(f"<tr>{mark}{_words(shown)}</tr>")
        head = "<tr><td></td><td></td><td><b>verdict</b></td><td><b>w below 0&nbsp;</b></td><td><b>loss below 0</b></td></tr>"
        return f"<table style='line-height:1.25'>{head}{''.join(rows)}</table>{note}"

    def _redraw_axes(self, keep: bool) -> None:
        c, ax = self.controls, self.axes
        axis, scale = c["axis"].value, c["scale"].value
        spent = scale == "loss density"
        show(c["base"], not spent)
        show(c["anchor"], scale == "log10, anchored")
        plots.weighting_curves(
            self.grid,
            self.curves(),
            base=c["base"].value,
            scale="unit area" if spent else scale,
            anchor=c["anchor"].value,
            ax=ax,
        )
        if spent:
            ax.set_ylabel("share of the loss per nat, N(0, I) data")
        if scale == "log10, anchored":
            ax.set_ylabel(ax.get_ylabel().replace(f"λ = {c['anchor'].value:g}", "the anchor"))
        if axis != "λ":
            path = AXES[axis]
            low, high = path.schedule.support()
            place = path.time(self.grid) if axis.startswith("t") else path.frame.sigma(self.grid)
            at = dict(zip(self.grid, np.where((self.grid >= low) & (self.grid <= high), place, np.nan), strict=True))
            for line in ax.lines:
                line.set_xdata([at[x] for x in np.asarray(line.get_xdata())])
            ax.set_xlabel(("time t   [0 data, 1 noise]" if axis.startswith("t") else "σ   [data ← → noise]") + f",  {axis[3:]}")
        if not keep:
            ax.set_xscale("log" if "log" in axis else "linear")
            ax.xaxis.set_major_locator(plots.MultipleLocator(5)) if axis == "λ" else None
            ys = np.concatenate([line.get_ydata() for line in ax.lines])
            xs = np.concatenate([np.asarray(line.get_xdata(), dtype=float) for line in ax.lines])
            ys, xs = ys[np.isfinite(ys)], xs[np.isfinite(xs)]
            ax.set_xlim(xs.min(), xs.max())
            ax.set_ylim(
                *((max(ys.min(), -6) - 0.3, min(ys.max(), 6) + 0.3) if scale.startswith("log") else (0, 1.05 * ys.max()))
            )
