"""Explorers of one notebook each: two training losses side by side, and one loss under any density of λ."""

from collections.abc import Callable
from typing import Any, cast

import ipywidgets as w
import numpy as np
from matplotlib.figure import Figure
from scipy import stats
from scipy.special import expit

from diffviz import plots
from diffviz.checks import unknown
from diffviz.lab.experiments import schedule as schedule_experiments
from diffviz.lab.explorers.base import Explorer, control, offer
from diffviz.recipes.entries import CATALOGUE, objective
from diffviz.theory import analysis, laws
from diffviz.theory.paths import COSINE, LINEAR

DENSITIES: dict[
    str, tuple[Callable, tuple]
] = {  # law of λ, and its parameters: name, default, lowest, highest, step
    "cosine": (lambda: COSINE.schedule, ()),
    "FM, uniform t": (lambda: LINEAR.schedule, ()),
    "SD3, logit-normal t": (
        laws.logit_normal_logsnr,
        (("m", 0, -2, 2, 0.05), ("s", 1, 0.2, 2, 0.05)),
    ),
    "EDM, log-normal σ": (
        laws.logit_normal_logsnr,
        (("mean", -1.2, -3, 1, 0.05), ("std", 1.2, 0.4, 2, 0.05)),
    ),
    "uniform λ": (
        lambda low, high: stats.uniform(low, high - low),
        (("from λ", -10, -20, -1, 0.5), ("to λ", 10, 1, 20, 0.5)),
    ),
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
LOOKS, SPENDS = "p(λ): where training looks", "w·mmse: where the loss is, the best p"


class ScheduleExplorer(Explorer):
    """One weighted loss under any density of λ: where training looks, where the loss is, what the mismatch costs in variance.

    Args:
        density: training density at first, one of ``DENSITIES``.
        weighting: objective whose w the loss has at first, whatever density that objective itself trains under.
    """

    grid = np.linspace(-20, 20, 801)

    def __init__(self, density: str = "FM, uniform t", weighting: str = "fm-ot"):
        if density not in DENSITIES:
            raise unknown("density", density, DENSITIES, "explorers.DENSITIES")
        names = tuple(
            dict.fromkeys((*WEIGHTINGS, objective(weighting).name))
        )  # an unknown one is refused
        self.controls: dict[str, Any] = {
            "density": control(w.Dropdown, "density", options=list(DENSITIES), value=density),
            **{f"p{i}": control(w.FloatSlider, "", readout_format=".2f") for i in range(2)},
            "shift": control(w.FloatSlider, "shift", 1.0, min=0.25, max=8, step=0.05),
            "weighting": control(w.Dropdown, "weighting", options=names, value=weighting),
            "log c": control(w.FloatSlider, "data: log c", 0.0, min=-6, max=6, step=0.1),
        }
        self._offer()
        self.panels = plots.axes(8.6, 4.2, columns=2)
        super().__init__(cast(Figure, self.panels[0].figure), self.controls, self._show)

    def _offer(self) -> None:
        offer(
            [self.controls["p0"], self.controls["p1"]], DENSITIES[self.controls["density"].value][1]
        )

    def _show(self, changed: str) -> str:
        if changed == "density":
            self._offer()
        c = self.controls
        (build, parameters), chosen = DENSITIES[c["density"].value], CATALOGUE[c["weighting"].value]
        law = build(*(c[f"p{i}"].value for i in range(len(parameters))))
        shift, logvar = c["shift"].value, c["log c"].value
        second, smallest, missed = schedule_experiments.second_moment(
            chosen, law, shift, np.exp(logvar)
        )
        loss = analysis.loss_density(chosen, self.grid, lambda logsnr: expit(logsnr + logvar))
        shown = np.trapezoid(loss, self.grid)
        whole = (
            np.sqrt(smallest / 0.75) if np.isfinite(smallest) else shown
        )  # ∫ w·mmse over the range of p
        logp = law.logpdf(self.grid + 2 * np.log(shift))
        logp[np.isneginf(logp)] = np.nan  # outside the range of p there is nothing to draw
        with np.errstate(divide="ignore"):
            logbest = np.log10(loss / whole) + 0 * logp
        looks = {LOOKS: np.exp(logp), SPENDS: loss / shown}
        costs = {LOOKS: 2 * logbest - logp / np.log(10), SPENDS: logbest}
        left, right = self.panels
        title = "where training looks, where the loss is"
        plots.lines(
            self.grid,
            looks,
            xlabel=plots.LOGSNR,
            ylabel="density per nat",
            title=title,
            outside=None,
            ax=left,
        )
        label, title = (
            "log₁₀ of E Y² per nat, over the smallest E Y²",
            "what one draw contributes: w²·mmse²/p",
        )
        plots.lines(
            self.grid, costs, xlabel=plots.LOGSNR, ylabel=label, title=title, outside=None, ax=right
        )
        if not changed:  # once: limits, a legend for both, and a dash, since the two coincide for the best density
            for ax in self.panels:
                next(line for line in ax.lines if line.get_gid() == SPENDS).set_linestyle(
                    plots.DASHES[1]
                )
                ax.set_xlim(-20, 20)
            right.set_ylim(-6, 3)
            left.legend(frameon=False, fontsize=9, handlelength=3, loc="upper left")
        top = 0.25 * 2 ** max(0, np.ceil(np.log2(np.nanmax([*looks.values()]) / 0.2)))
        if left.get_ylim() != (0, top):  # in steps, so that a slider seldom moves them
            left.set_ylim(0, top)
        with np.errstate(over="ignore"):
            within = float(
                np.trapezoid(np.nan_to_num(10 ** costs[LOOKS], posinf=np.inf), self.grid)
            )
        moved = f"shift {shift:g} moves λ by −2 log s = {-2 * np.log(shift) + 0.0:.3f}".replace(
            "-", "−"
        )
        return f"{_words(second, smallest, missed, within)}<br>{moved}"


def _words(second: float, smallest: float, missed: float, within: float) -> str:
    """What ``schedule_figures.second_moment`` found, as HTML; ``within`` is the ratio that the picture shows."""
    if np.isinf(smallest):
        found = "the loss itself is <b>infinite</b>: w·mmse does not fall off; on a bounded range (uniform λ) it is finite"
    elif np.isinf(second):
        found = "E Y² is <b>infinite</b>: p(λ) has thinner tails than the loss, and no number of draws averages that out"
        found += f" (within |λ| ≤ 20 alone the ratio is {within:.4g})"
    else:
        found = f"E Y² = {second:.4g}, smallest {smallest:.4g} (p ∝ w·mmse), <b>ratio {second / smallest:.4f}</b>"
    unseen = (
        f"<br>{missed:.2%} of the loss lies outside the range of p(λ) and is never seen"
        if missed > 5e-5
        else ""
    )
    if np.isnan(missed) and np.isfinite(smallest):
        unseen = "<br>outside the range of p(λ) the loss is infinite, and never seen"
    return f"one draw Y = w/p · ½‖ε̂ − ε‖² on N(0, c), exact denoiser: {found}{unseen}"
