"""The explorer of schedules: one weighted loss under any density of λ."""

from collections.abc import Callable
from typing import Any, NamedTuple

import ipywidgets as widgets
import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import expit

from diffviz import plots
from diffviz.lab.experiments import schedule as schedule_experiments
from diffviz.lab.explorers.base import (
    Explorer,
    Parameter,
    control,
    figure_of,
    find_line,
    offer,
    parameter_sliders,
    require_option,
)
from diffviz.recipes.entries import CATALOGUE, objective
from diffviz.theory import analysis, laws
from diffviz.theory.objectives import Objective
from diffviz.theory.paths import COSINE, LINEAR


class Density(NamedTuple):
    """A density over λ with parameters for sliders.

    Args:
        build: Function of the parameters, in their order, that returns the law.
        parameters: Name, default, lowest value, highest value and step of each.
    """

    build: Callable[..., Any]
    parameters: tuple[Parameter, ...] = ()


def cosine_law() -> Any:
    """The law of λ of the cosine path under uniform time."""
    return COSINE.schedule


def linear_law() -> Any:
    """The law of λ of the linear path under uniform time."""
    return LINEAR.schedule


def uniform_law(low: float, high: float) -> Any:
    """The uniform law of λ.

    Args:
        low: Lowest λ in nats.
        high: Highest λ in nats.

    Returns:
        A frozen SciPy distribution.
    """
    return stats.uniform(low, high - low)


DENSITIES: dict[str, Density] = {
    "cosine": Density(cosine_law),
    "FM, uniform t": Density(linear_law),
    "SD3, logit-normal t": Density(
        laws.logit_normal_logsnr, (("m", 0, -2, 2, 0.05), ("s", 1, 0.2, 2, 0.05))
    ),
    "EDM, log-normal σ": Density(
        laws.logit_normal_logsnr, (("mean", -1.2, -3, 1, 0.05), ("std", 1.2, 0.4, 2, 0.05))
    ),
    "uniform λ": Density(uniform_law, (("from λ", -10, -20, -1, 0.5), ("to λ", 10, 1, 20, 0.5))),
}
WEIGHTINGS = (
    "fm-ot",
    "iddpm-cosine",
    "edm",
    "sd3",
    "sigmoid-bias2",
    "min-snr-5-eps",
    "p2-gamma1",
    "elbo",
)
LOOKS = "p(λ): where training looks"
SPENDS = "w·mmse: where the loss is, the best p"


class Cost(NamedTuple):
    """What one draw Y = w/p · ½‖ε̂ − ε‖² costs in variance.

    Args:
        second_moment: E[Y²] under the training density.
        smallest: Its smallest value under any density on the same range.
        missed: Share of the loss outside the range of the density.
    """

    second_moment: float
    smallest: float
    missed: float


class ScheduleExplorer(Explorer):
    """One weighted loss under any density of λ.

    On the left is where training looks and where the loss is, on the right what one draw
    contributes to the second moment. The text says what the mismatch costs in variance. The data
    are N(0, c), and the denoiser is exact.

    Args:
        density: Training density at first, a key of ``DENSITIES``.
        weighting: Objective whose w the loss has at first, whatever density that objective itself
            trains under.

    Raises:
        ValueError: A name is unknown.
    """

    grid = np.linspace(-20, 20, 801)  # λ in nats

    def __init__(self, density: str = "FM, uniform t", weighting: str = "fm-ot"):
        require_option("density", density, DENSITIES, "diffviz.lab.explorers.schedule.DENSITIES")
        self.panels = plots.axes(8.6, 4.2, columns=2)
        controls = self._make_controls(density, objective(weighting).name)
        super().__init__(figure_of(self.panels[0]), controls, self._update)

    def _make_controls(self, density: str, weighting: str) -> dict[str, Any]:
        """The controls by name."""
        names = tuple(dict.fromkeys((*WEIGHTINGS, weighting)))
        sliders = parameter_sliders(2)
        offer(list(sliders.values()), DENSITIES[density].parameters)
        slider = widgets.FloatSlider
        return {
            "density": control(widgets.Dropdown, "density", options=list(DENSITIES), value=density),
            **sliders,
            "shift": control(slider, "shift", 1.0, min=0.25, max=8, step=0.05),
            "weighting": control(widgets.Dropdown, "weighting", options=names, value=weighting),
            "log c": control(slider, "data: log c", 0.0, min=-6, max=6, step=0.1),
        }

    def _density(self) -> Density:
        """The density that is chosen."""
        return DENSITIES[self.controls["density"].value]

    def _weighting(self) -> Objective:
        """The objective whose w is chosen."""
        return CATALOGUE[self.controls["weighting"].value]

    def _law(self) -> Any:
        """The law of λ before the shift, with the values of the sliders."""
        density = self._density()
        values = (self.controls[f"p{index}"].value for index in range(len(density.parameters)))
        return density.build(*values)

    def _update(self, changed: str) -> str:
        """Draw what the controls say, and describe it."""
        if changed == "density":
            sliders = [self.controls["p0"], self.controls["p1"]]
            offer(sliders, self._density().parameters)
        cost = self._cost()
        looks, costs = self._curves(cost)
        self._draw_curves(looks, costs)
        if not changed:
            self._furnish_axes()
        self._fit_height(looks)
        return self._describe(cost, costs)

    def _cost(self) -> Cost:
        """The second moment of one draw, by quadrature over all λ."""
        shift, variance = self.controls["shift"].value, np.exp(self.controls["log c"].value)
        moments = schedule_experiments.second_moment(
            self._weighting(), self._law(), shift, variance
        )
        return Cost(*moments)

    def _mmse(self, logsnr: NDArray) -> NDArray:
        """Error of the exact denoiser on N(0, c), shape (n,)."""
        return expit(logsnr + self.controls["log c"].value)

    def _curves(self, cost: Cost) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
        """Both densities per nat, and log10 of what a draw from each contributes per nat."""
        loss = analysis.loss_density(self._weighting(), self.grid, self._mmse)
        inside = np.trapezoid(loss, self.grid)
        # ∫ w·mmse over the range of p; the second moment is at least ¾ of its square
        total = np.sqrt(cost.smallest / 0.75) if np.isfinite(cost.smallest) else inside
        logp = self._law().logpdf(self.grid + 2 * np.log(self.controls["shift"].value))
        logp[np.isneginf(logp)] = np.nan  # outside the range of p there is nothing to draw
        with np.errstate(divide="ignore"):
            log_best = np.log10(loss / total) + 0 * logp
        looks = {LOOKS: np.exp(logp), SPENDS: loss / inside}
        costs = {LOOKS: 2 * log_best - logp / np.log(10), SPENDS: log_best}
        return looks, costs

    def _draw_curves(self, looks: dict[str, NDArray], costs: dict[str, NDArray]) -> None:
        """Draw the densities on the left, what a draw contributes on the right."""
        left, right = self.panels
        plots.lines(
            self.grid,
            looks,
            xlabel=plots.LOGSNR,
            ylabel="density per nat",
            title="where training looks, where the loss is",
            outside=None,
            ax=left,
        )
        plots.lines(
            self.grid,
            costs,
            xlabel=plots.LOGSNR,
            ylabel="log₁₀ of E Y² per nat, over the smallest E Y²",
            title="what one draw contributes: w²·mmse²/p",
            outside=None,
            ax=right,
        )

    def _furnish_axes(self) -> None:
        """Set limits and one legend for both, and dash a line that may cover the other."""
        left, right = self.panels
        for ax in self.panels:
            find_line(ax, SPENDS).set_linestyle(plots.DASHES[1])
            ax.set_xlim(-20, 20)
        right.set_ylim(-6, 3)
        left.legend(frameon=False, fontsize=9, handlelength=3, loc="upper left")

    def _fit_height(self, looks: dict[str, NDArray]) -> None:
        """Set the height on the left, in steps, so that a slider seldom moves it."""
        left = self.panels[0]
        highest = np.nanmax([*looks.values()])
        top = 0.25 * 2 ** max(0, np.ceil(np.log2(highest / 0.2)))
        if left.get_ylim() != (0, top):
            left.set_ylim(0, top)

    def _describe(self, cost: Cost, costs: dict[str, NDArray]) -> str:
        """The cost and the shift, as HTML."""
        shift = self.controls["shift"].value
        moved = f"shift {shift:g} moves λ by −2 log s = {-2 * np.log(shift) + 0.0:.3f}"
        with np.errstate(over="ignore"):
            contributions = np.nan_to_num(10 ** costs[LOOKS], posinf=np.inf)
            ratio_inside = float(np.trapezoid(contributions, self.grid))
        return f"{describe_cost(cost, ratio_inside)}<br>{moved.replace('-', '−')}"


def describe_cost(cost: Cost, ratio_inside: float) -> str:
    """The cost of one draw in words.

    Args:
        cost: The cost over all λ.
        ratio_inside: E[Y²] over its smallest value within |λ| ≤ 20, which the picture shows.

    Returns:
        The words as HTML.
    """
    second, smallest, missed = cost
    if np.isinf(smallest):
        moment = (
            "the loss itself is <b>infinite</b>: w·mmse does not fall off; "
            "on a bounded range (uniform λ) it is finite"
        )
    elif np.isinf(second):
        moment = (
            "E Y² is <b>infinite</b>: p(λ) has thinner tails than the loss, "
            "and no number of draws averages that out"
            f" (within |λ| ≤ 20 alone the ratio is {ratio_inside:.4g})"
        )
    else:
        moment = (
            f"E Y² = {second:.4g}, smallest {smallest:.4g} (p ∝ w·mmse), "
            f"<b>ratio {second / smallest:.4f}</b>"
        )
    unseen = ""
    if missed > 5e-5:
        unseen = f"<br>{missed:.2%} of the loss lies outside the range of p(λ) and is never seen"
    if np.isnan(missed) and np.isfinite(smallest):
        unseen = "<br>outside the range of p(λ) the loss is infinite, and never seen"
    return f"one draw Y = w/p · ½‖ε̂ − ε‖² on N(0, c), exact denoiser: {moment}{unseen}"
