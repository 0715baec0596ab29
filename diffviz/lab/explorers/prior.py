"""The explorer of the prior.

Sampling starts from N(0, I), at a level of noise at which training left something else. How bright
are the samples?
"""

from typing import Any

import ipywidgets as widgets
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from diffviz import plots
from diffviz.lab.experiments import prior as prior_experiments
from diffviz.lab.explorers.base import Explorer, control, figure_of, find_line, require_option, show

OWN_LEVEL = "own λ"  # the entry of the menu for a level that the slider sets
DATA, SAMPLES = "data", "samples"
MEAN_RATIO, STD_RATIO, HERE = "mean / data's", "std / data's", "here"
COLOURS = {MEAN_RATIO: plots.PALETTE[0], STD_RATIO: plots.PALETTE[1], HERE: "black"}

Bell = tuple[float, float]  # mean and standard deviation of brightness


class PriorExplorer(Explorer):
    """Brightness of Gaussian images: of the data, and of samples that start from N(0, I).

    The controls set the log-SNR at the end of training, the size of the images, the mean and the
    spread of their brightness, and the strength of offset noise. On the left are the two laws of
    brightness, on the right the ratios of samples to data by the log-SNR at the end.

    Args:
        schedule: Name of the schedule whose last level is chosen at first: a key of
            ``diffviz.lab.experiments.prior.TERMINAL``, or "zero terminal SNR".

    Raises:
        ValueError: The schedule is unknown.
    """

    grid = np.linspace(-24, 0, 193)  # λ at the end of training
    tone = np.linspace(-1.5, 1.5, 301)  # brightness

    def __init__(self, schedule: str = "Stable Diffusion"):
        self.last_levels = prior_experiments.TERMINAL | {prior_experiments.ZERO: -np.inf}
        listing = "diffviz.lab.experiments.prior.TERMINAL"
        require_option("schedule", schedule, self.last_levels, listing)
        self.panels = plots.axes(8.8, 4.3, columns=2)
        controls = self._make_controls(schedule)
        super().__init__(figure_of(self.panels[0]), controls, self._update)

    def level(self) -> float:
        """λ at the end of training in nats, −inf for zero terminal SNR."""
        schedule = self.controls["schedule"].value
        return self.last_levels.get(schedule, self.controls["logsnr"].value)

    def ratios(self, level: ArrayLike) -> tuple[NDArray, NDArray]:
        """Brightness of samples over that of the data.

        Args:
            level: λ at the end of training in nats, a number or shape (n,).

        Returns:
            Ratio of the means and ratio of the standard deviations, in the shape of ``level``.
        """
        c = self.controls
        return prior_experiments.offset_bias(
            level,
            c["offset"].value,
            c["side"].value,
            1.0,  # the ratio does not depend on the mean
            c["std"].value,
            also_at_start=c["start"].value,
        )

    def _make_controls(self, schedule: str) -> dict[str, Any]:
        """The controls by name."""
        slider = widgets.FloatSlider
        mean = prior_experiments.MEAN
        sides = [8, 16, 32, 64, 128, 256, 512]
        place = self._place(schedule)
        return {
            "schedule": control(
                widgets.Dropdown,
                "ends like",
                options=[*self.last_levels, OWN_LEVEL],
                value=schedule,
            ),
            "logsnr": control(slider, "λ at the end", place, min=-24, max=0, step=0.05),
            "side": control(widgets.SelectionSlider, "pixels/side", options=sides, value=64),
            "mean": control(slider, "data: mean", mean, min=-1, max=1, step=0.05),
            "std": control(slider, "data: std", 0.22, min=0.02, max=0.4, step=0.01),
            "offset": control(
                slider, "offset c", 0.0, min=0, max=0.3, step=0.005, readout_format=".3f"
            ),
            "start": control(widgets.Checkbox, "offset in the start too", value=True, indent=False),
        }

    def _place(self, schedule: str) -> float:
        """Where the slider of λ stands for a schedule; its lowest value stands for −∞."""
        return float(max(self.last_levels[schedule], self.grid[0]))

    def _stands_on(self, schedule: str) -> bool:
        """Whether the slider stands on a schedule's level, which a browser rounds to a step."""
        logsnr = self.controls["logsnr"]
        return schedule != OWN_LEVEL and bool(
            abs(logsnr.value - self._place(schedule)) <= logsnr.step / 2
        )

    def _update(self, changed: str) -> str:
        """Draw what the controls say, and describe it."""
        self._connect_controls(changed)
        bells = self._bells()
        self._draw_bells(bells)
        self._draw_ratios()
        if not changed:
            self._furnish_axes()
        return self._describe(bells)

    def _connect_controls(self, changed: str) -> None:
        """Let the menu of schedules and the slider of λ follow each other."""
        schedule, logsnr = self.controls["schedule"], self.controls["logsnr"]
        if changed == "schedule" and schedule.value != OWN_LEVEL:
            logsnr.value = self._place(schedule.value)
        elif changed == "logsnr" and not self._stands_on(schedule.value):
            schedule.value = OWN_LEVEL
        # without an offset the start is the same
        show(self.controls["start"], self.controls["offset"].value > 0)

    def _bells(self) -> dict[str, Bell]:
        """Mean and standard deviation of brightness, of the data and of samples."""
        mean, std = self.controls["mean"].value, self.controls["std"].value
        mean_ratio, std_ratio = self.ratios(self.level())
        return {DATA: (mean, std), SAMPLES: (mean * float(mean_ratio), std * float(std_ratio))}

    def _draw_bells(self, bells: dict[str, Bell]) -> None:
        """Draw the two densities of brightness on the left."""
        curves = {
            name: np.exp(-(((self.tone - mean) / std) ** 2) / 2)
            for name, (mean, std) in bells.items()
        }
        plots.lines(
            self.tone,
            curves,
            xlabel="mean brightness of an image   [−1 black, 1 white]",
            ylabel="density / its maximum",
            outside=None,
            ax=self.panels[0],
        )

    def _draw_ratios(self) -> None:
        """Draw both ratios by λ on the right, and a line at the present λ."""
        mean_ratio, std_ratio = self.ratios(self.grid)
        size = len(self.grid)
        here = np.full(size, max(self.level(), self.grid[0]))
        plots.lines(
            {MEAN_RATIO: self.grid, STD_RATIO: self.grid, HERE: here},
            {MEAN_RATIO: mean_ratio, STD_RATIO: std_ratio, HERE: np.linspace(0, 1, size)},
            xlabel="λ at the end   [nats; −24 stands for −∞]",
            ylabel="ratio of samples to data",
            outside=None,
            colours=COLOURS.__getitem__,
            ax=self.panels[1],
        )

    def _furnish_axes(self) -> None:
        """Set limits, legends and the marks of the schedules; once is enough."""
        left, right = self.panels
        # where nothing is lost, the samples lie over the data
        find_line(left, SAMPLES).set_linestyle(plots.DASHES[1])
        left.set(xlim=(-1.5, 1.5), ylim=(0, 1.3))
        right.set(xlim=(-25.5, 0), ylim=(0, 1.35))
        for schedule in self.last_levels:
            self._mark_schedule(right, schedule)
        for ax in self.panels:
            ax.legend(handles=ax.lines[:4:2], frameon=False, fontsize=9, loc="upper right", ncols=2)

    def _mark_schedule(self, ax: Axes, schedule: str) -> None:
        """Mark the level at which a schedule ends."""
        is_zero = schedule == prior_experiments.ZERO
        label = "zero\nSNR" if is_zero else schedule.replace(" ", "\n")
        place = self._place(schedule)
        ax.axvline(place, ymax=1 / 1.35, color="0.55", ls=":", lw=1, zorder=1)
        ax.annotate(label, (place, 1.02), ha="center", fontsize=7)

    def _describe(self, bells: dict[str, Bell]) -> str:
        """The numbers of the present setting, as HTML."""
        level = self.level()
        # offset noise has this much more power at frequency 0
        factor = 1 + (self.controls["offset"].value * self.controls["side"].value) ** 2
        shift = -np.log(factor) + 0.0
        (data_mean, data_std), (mean, std) = bells[DATA], bells[SAMPLES]
        rows = [
            f"λ = {level:.3f}: α_T = {np.sqrt(expit(level)):.4f}, SNR_T = {np.exp(level):.3g}",
            f"frequency 0 has λ = {level + shift:.3f} with this offset noise, "
            f"a shift of −ln(1 + c² N) = {shift:.3f}",
            f"data {data_mean:.2f} ± {data_std:.2f}, <b>samples {mean:.3f} ± {std:.3f}</b>: "
            f"mean off by {mean - data_mean + 0.0:.3f}, {std / data_std:.1%} of the spread",
        ]
        return "<br>".join(rows).replace("-inf", "−∞").replace("-", "−")
