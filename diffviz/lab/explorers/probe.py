"""The probe explorer: what a training loss really weights."""

from typing import cast

import ipywidgets as w
import numpy as np
import torch
from matplotlib.figure import Figure

from diffviz import plots
from diffviz.lab import losses as lab_losses
from diffviz.lab.explorers.base import Explorer, control
from diffviz.recipes import nearest
from diffviz.report import measurement


class ProbeExplorer(Explorer):
    """Two losses probed side by side: their weightings, their ratio, and the closest entries of the catalogue.

    Args:
        losses: name to ``loss(model, x)``; those of ``diffviz.lab.losses`` by default.
        x: data to probe with, (n, *shape); 256 standard normal points of the plane by default.
    """

    grid = np.linspace(-8, 8, 161)

    def __init__(self, losses=None, x: torch.Tensor | None = None):
        self.losses = dict(losses or lab_losses.LOSSES)
        if len(self.losses) < 2:
            raise ValueError(f"two losses are compared, {len(self.losses)} given")
        self.x = torch.randn(256, 2, generator=torch.Generator().manual_seed(0)) if x is None else x
        self._known: dict[str, tuple[np.ndarray, str]] = {}

        names = list(self.losses)
        c = {
            "left": control(w.Dropdown, "loss", options=names, value=names[0]),
            "right": control(w.Dropdown, "beside", options=names, value=names[1]),
            "anchor": control(w.FloatSlider, "anchor λ", 0.0, min=-6, max=6, step=0.25),
        }
        self.controls = c
        self.panels = plots.axes(8.6, 4.2, columns=2)
        super().__init__(cast(Figure, self.panels[0].figure), c, self._show)

    def measured(self, name: str) -> tuple[np.ndarray, str]:
        """log10 w of a loss on the grid (NaN outside what it draws), and its target and closest entries; each is probed once."""
        if name not in self._known:
            found = measurement.probe(
                self.losses[name], self.x, generator=torch.Generator().manual_seed(0)
            )
            edges = found.edges()
            middle, (value, _) = (edges[1:] + edges[:-1]) / 2, found.weighting(edges)
            inside = (self.grid >= middle[0]) & (self.grid <= middle[-1])
            with np.errstate(divide="ignore"):
                curve = np.where(inside, np.interp(self.grid, middle, np.log10(value)), np.nan)
            near = ", ".join(
                f"{match.name} ({match.deviation:.1%})" for match in nearest.closest(found, 2)
            )
            self._known[name] = curve, f"target {found.kind}; closest: {near}"
        return self._known[name]

    def _show(self, changed: str) -> str:
        anchor = int(np.abs(self.grid - self.controls["anchor"].value).argmin())
        names = [self.controls[side].value for side in ("left", "right")]
        one, two = (self.measured(name)[0] - self.measured(name)[0][anchor] for name in names)
        left, right = self.panels
        label = "log₁₀ w on the ε error, 0 at the anchor"
        plots.lines(
            self.grid,
            {"loss": one, "beside": two},
            xlabel=plots.LOGSNR,
            ylabel=label,
            outside=None,
            ax=left,
        )
        plots.lines(
            self.grid,
            {"ratio": one - two},
            xlabel=plots.LOGSNR,
            ylabel="log₁₀ of their ratio",
            outside=None,
            ax=right,
        )
        if not changed:  # the two may coincide: the second is dashed, on top
            next(line for line in left.lines if line.get_gid() == "beside").set_linestyle(
                plots.DASHES[1]
            )
            left.legend(frameon=False)
            left.set_ylim(-6, 3)
            right.set_ylim(-3, 3)
        rows = (
            f"<tr><td><b>{name}</b>&nbsp;</td><td>{self.measured(name)[1]}</td></tr>"
            for name in names
        )
        return f"<table>{''.join(rows)}</table>"
