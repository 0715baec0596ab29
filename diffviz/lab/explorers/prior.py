"""Explorer of notebook 7: how bright are samples that start from N(0, I) at a level where training left something else?"""

from typing import Any, cast

import ipywidgets as w
import numpy as np
from matplotlib.figure import Figure
from scipy.special import expit

from diffviz import plots
from diffviz.checks import unknown
from diffviz.lab.experiments import prior as prior_experiments
from diffviz.lab.explorers.base import Explorer, control, show

OWN = "own λ"
START = "offset in the start too"


class PriorExplorer(Explorer):
    """Brightness of Gaussian images, of data and of samples, by the log-SNR at the end of training, image size and offset noise.

    Args:
        schedule: whose last level is chosen at first, one of ``prior_figures.TERMINAL`` or "zero terminal SNR".
    """

    grid = np.linspace(-24, 0, 193)
    tone = np.linspace(-1.5, 1.5, 301)

    def __init__(self, schedule: str = "Stable Diffusion"):
        self.ends = prior_experiments.TERMINAL | {prior_experiments.ZERO: -np.inf}
        if schedule not in self.ends:
            raise unknown("schedule", schedule, self.ends, "prior_figures.TERMINAL")
        self.controls: dict[str, Any] = {
            "schedule": control(w.Dropdown, "ends like", options=[*self.ends, OWN], value=schedule),
            "logsnr": control(
                w.FloatSlider, "λ at the end", self._place(schedule), min=-24, max=0, step=0.05
            ),
            "side": control(
                w.SelectionSlider, "pixels/side", options=[8, 16, 32, 64, 128, 256, 512], value=64
            ),
            "mean": control(
                w.FloatSlider, "data: mean", prior_experiments.MEAN, min=-1, max=1, step=0.05
            ),
            "std": control(w.FloatSlider, "data: std", 0.22, min=0.02, max=0.4, step=0.01),
            "offset": control(
                w.FloatSlider, "offset c", 0.0, min=0, max=0.3, step=0.005, readout_format=".3f"
            ),
            "start": control(w.Checkbox, START, value=True, indent=False),
        }
        self.panels = plots.axes(8.8, 4.3, columns=2)
        super().__init__(cast(Figure, self.panels[0].figure), self.controls, self._show)

    def _place(self, schedule: str) -> float:
        return float(max(self.ends[schedule], -24.0))

    def level(self) -> float:
        """λ at the end, −inf for zero terminal SNR."""
        return self.ends.get(self.controls["schedule"].value, self.controls["logsnr"].value)

    def ratios(self, level) -> tuple[np.ndarray, np.ndarray]:
        """Mean brightness of samples over the data's, and standard deviations likewise, at λ."""
        c = self.controls
        side, std, mean = (
            c["side"].value,
            c["std"].value,
            1.0,
        )  # the ratio does not depend on the mean
        return prior_experiments.offset_bias(
            level, c["offset"].value, side, mean, std, also_at_start=c["start"].value
        )

    def _show(self, changed: str) -> str:
        c = self.controls
        if changed == "schedule" and c["schedule"].value != OWN:
            c["logsnr"].value = self._place(c["schedule"].value)
        elif changed == "logsnr":
            c["schedule"].value = OWN
        show(c["start"], c["offset"].value > 0)  # without an offset the start is the same
        level = self.level()
        (kept, spread), (means, spreads) = self.ratios(level), self.ratios(self.grid)
        left, right = self.panels
        laws = {"data": (c["mean"].value, c["std"].value)}
        laws["samples"] = (c["mean"].value * float(kept), c["std"].value * float(spread))
        bells = {
            name: np.exp(-(((self.tone - mean) / std) ** 2) / 2)
            for name, (mean, std) in laws.items()
        }
        label = "mean brightness of an image   [−1 black, 1 white]"
        plots.lines(
            self.tone, bells, xlabel=label, ylabel="density / its maximum", outside=None, ax=left
        )
        at = max(level, self.grid[0])
        curves = {
            "mean / data's": means,
            "std / data's": spreads,
            "here": np.linspace(0, 1, len(self.grid)),
        }
        x = dict.fromkeys(curves, self.grid) | {"here": np.full(len(self.grid), at)}
        xlabel, ink = (
            "λ at the end   [nats; −24 stands for −∞]",
            dict(zip(curves, (*plots.PALETTE[:2], "black"), strict=True)),
        )
        label = "ratio of samples to data"
        plots.lines(
            x, curves, xlabel=xlabel, ylabel=label, outside=None, colours=ink.__getitem__, ax=right
        )
        if not changed:
            self._furnish()
        return self._words(level, laws)

    def _furnish(self) -> None:
        """Once: limits, legends, and where schedules end."""
        left, right = self.panels
        next(line for line in left.lines if line.get_gid() == "samples").set_linestyle(
            plots.DASHES[1]
        )  # where nothing is lost
        left.set(xlim=(-1.5, 1.5), ylim=(0, 1.3))
        right.set(xlim=(-25.5, 0), ylim=(0, 1.35))
        for name, level in self.ends.items():
            place = max(level, self.grid[0])
            right.axvline(place, ymax=1 / 1.35, color="0.55", ls=":", lw=1, zorder=1)
            words = "zero\nSNR" if name == prior_experiments.ZERO else name.replace(" ", "\n")
            right.annotate(words, (place, 1.02), ha="center", fontsize=7)
        for ax in self.panels:
            ax.legend(handles=ax.lines[:4:2], frameon=False, fontsize=9, loc="upper right", ncols=2)

    def _words(self, level: float, laws: dict[str, tuple[float, float]]) -> str:
        c, alpha2 = self.controls, expit(level)
        k = 1 + (c["offset"].value * c["side"].value) ** 2
        (mean, std), (found, spread) = laws.values()
        rows = [
            f"λ = {level:.3f}: α_T = {np.sqrt(alpha2):.4f}, SNR_T = {np.exp(level):.3g}",
            f"frequency 0 has λ = {level - np.log(k):.3f} with this offset noise, a shift of −ln(1 + c² N) = {-np.log(k) + 0.0:.3f}",
            f"data {mean:.2f} ± {std:.2f}, <b>samples {found:.3f} ± {spread:.3f}</b>: mean off by {found - mean + 0.0:.3f}, "
            f"{spread / std:.1%} of the spread",
        ]
        return "<br>".join(rows).replace("-inf", "−∞").replace("-", "−")
