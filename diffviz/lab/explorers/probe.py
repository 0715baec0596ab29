"""The explorer of the probe: what a training loss really weights."""

from collections.abc import Callable, Mapping
from html import escape
from typing import Any, NamedTuple

import ipywidgets as widgets
import numpy as np
import torch
from numpy.typing import NDArray

from diffviz import checks, plots
from diffviz.lab import losses as lab_losses
from diffviz.lab.explorers.base import Explorer, control, figure_of, find_line
from diffviz.recipes import nearest
from diffviz.reports import measurement

LOSS, BESIDE = "loss", "beside"


class Reading(NamedTuple):
    """What the explorer shows of a probed loss.

    Args:
        logs: log10 w on the explorer's grid, shape (n,); NaN outside what the loss draws.
        summary: The target and the closest entries of the catalogue, in words.
    """

    logs: NDArray
    summary: str


class ProbeExplorer(Explorer):
    """Two losses probed side by side.

    On the left are their weightings, on the right the ratio of the two. Under the picture stand the
    target of each and the closest entries of the catalogue. A loss is probed once.

    Args:
        losses: Name to ``loss(model, x)``, two or more; those of ``diffviz.lab.losses`` by default.
        x: Data to probe with, shape (n, *shape); by default 256 points of N(0, I) in the plane.

    Raises:
        TypeError: ``losses`` is no mapping, or ``x`` holds no real numbers.
        ValueError: There are fewer than two losses, or a number of ``x`` is not finite.
    """

    grid = np.linspace(-8, 8, 161)  # λ in nats

    def __init__(
        self,
        losses: Mapping[str, Callable[..., torch.Tensor]] | None = None,
        x: torch.Tensor | None = None,
    ):
        given: Any = lab_losses.LOSSES if losses is None else losses
        checks.require(isinstance(given, Mapping), "losses must map names to losses", TypeError)
        self.losses = dict(given)
        if len(self.losses) < 2:
            raise ValueError(f"two losses are compared, {len(self.losses)} given")
        self.x = self._default_data() if x is None else checks.tensor(x, "x")
        self._readings: dict[str, Reading] = {}
        self.panels = plots.axes(8.6, 4.2, columns=2)
        super().__init__(figure_of(self.panels[0]), self._make_controls(), self._update)

    def measured(self, name: str) -> Reading:
        """The reading of a loss, which is probed when it is first asked for.

        Args:
            name: Name of the loss, a key of ``losses``.

        Returns:
            log10 w on the grid, and a summary in words.
        """
        if name not in self._readings:
            self._readings[name] = self._probe(name)
        return self._readings[name]

    @staticmethod
    def _default_data() -> torch.Tensor:
        """256 standard normal points of the plane."""
        return torch.randn(256, 2, generator=torch.Generator().manual_seed(0))

    def _make_controls(self) -> dict[str, Any]:
        """The controls by name."""
        names = list(self.losses)
        return {
            "left": control(widgets.Dropdown, "loss", options=names, value=names[0]),
            "right": control(widgets.Dropdown, "beside", options=names, value=names[1]),
            "anchor": control(widgets.FloatSlider, "anchor λ", 0.0, min=-6, max=6, step=0.25),
        }

    def _probe(self, name: str) -> Reading:
        """Probe a loss."""
        generator = torch.Generator().manual_seed(0)
        report = measurement.probe(self.losses[name], self.x, generator=generator)
        edges = report.edges()
        middles = (edges[1:] + edges[:-1]) / 2
        w, _ = report.weighting(edges)
        is_drawn = (self.grid >= middles[0]) & (self.grid <= middles[-1])
        with np.errstate(divide="ignore"):
            logs = np.where(is_drawn, np.interp(self.grid, middles, np.log10(w)), np.nan)
        matches = nearest.closest(report, 2)
        near = ", ".join(f"{match.name} ({match.deviation:.1%})" for match in matches)
        return Reading(logs, f"target {report.kind}; closest: {near}")

    def _update(self, changed: str) -> str:
        """Draw what the controls say, and describe it."""
        names = [self.controls["left"].value, self.controls["right"].value]
        self._draw_losses(*(self._anchored(name) for name in names))
        if not changed:
            self._furnish_axes()
        return self._describe(names)

    def _anchored(self, name: str) -> NDArray:
        """log10 w of a loss, moved to 0 at the anchor, shape (n,)."""
        logs = self.measured(name).logs
        return logs - logs[np.abs(self.grid - self.controls["anchor"].value).argmin()]

    def _draw_losses(self, loss: NDArray, beside: NDArray) -> None:
        """Draw two weightings on the left and their ratio on the right."""
        left, right = self.panels
        plots.lines(
            self.grid,
            {LOSS: loss, BESIDE: beside},
            xlabel=plots.LOGSNR,
            ylabel="log₁₀ w on the ε error, 0 at the anchor",
            outside=None,
            ax=left,
        )
        plots.lines(
            self.grid,
            {"ratio": loss - beside},
            xlabel=plots.LOGSNR,
            ylabel="log₁₀ of their ratio",
            outside=None,
            ax=right,
        )

    def _furnish_axes(self) -> None:
        """Set limits and the legend, and dash the second line, which may cover the first."""
        left, right = self.panels
        find_line(left, BESIDE).set_linestyle(plots.DASHES[1])
        left.legend(frameon=False)
        left.set_ylim(-6, 3)
        right.set_ylim(-3, 3)

    def _describe(self, names: list[str]) -> str:
        """The summary of each loss, as an HTML table."""
        rows = (
            f"<tr><td>{line}:&nbsp;</td><td><b>{escape(name)}</b>&nbsp;</td>"
            f"<td>{self.measured(name).summary}</td></tr>"
            for line, name in zip((LOSS, BESIDE), names, strict=True)
        )
        return f"<table>{''.join(rows)}</table>"
