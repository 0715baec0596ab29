"""Explorers of schedules and of training: what a density over log-SNR does to the same loss, and a training run to watch."""

from typing import cast

import ipywidgets as w
import numpy as np
from matplotlib.figure import Figure
from scipy import stats
from scipy.special import expit

from diffviz import paths, plots
from diffviz.recipes import CATALOGUE
from diffviz.widgets import WIDE, Explorer

SCHEDULES = {
    "cosine": paths.COSINE, "linear (flow)": paths.LINEAR, "VP linear β": paths.vp_linear(), "scaled-linear β": paths.scaled_linear(),
    "cosine, s = 0.008": paths.cosine(0.008), "VE, σ 0.01 to 50": paths.ve(0.01, 50), "EDM log-normal": paths.edm(),
    "sigmoid": paths.sigmoid(), "Laplace(0, 2)": paths.from_density(stats.laplace(0, 2), name="Laplace(0, 2)"),
}  # fmt: skip


def second_moment_ratio(weighting, density, mmse, reach: float = 25.0) -> tuple[float, float]:
    """What it costs to estimate a weighted loss under ``density``, for Gaussian data and an exact denoiser.

    There E‖eps error‖⁴ ∝ mmse², so E[Y²] of one draw Y = w/p·‖eps error‖² over its smallest value under any density on the same
    support is ∫(w·mmse)²/p dλ over (∫w·mmse dλ)², and the best density is w·mmse itself.

    Returns:
        That ratio, inf where the tails of the density are too thin for it; and the share of the loss outside its support.
    """
    grid = np.linspace(-reach, reach, 4001)
    p = density.pdf(grid)
    spent = weighting(grid) * mmse(grid)
    inside = np.where(p > 0, spent, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        cost = np.where(p > 0, inside**2 / p, 0.0)
    whole, inner = cost.sum(), cost[np.abs(grid) < 0.8 * reach].sum()
    ratio = whole * (grid[1] - grid[0]) / np.trapezoid(inside, grid) ** 2 if whole < 1.5 * inner else np.inf
    return float(ratio), float(1 - inside.sum() / spent.sum())


class ScheduleExplorer(Explorer):
    """One schedule in four views: λ(t), the scales, where it looks beside where the loss is, and what that costs in variance."""

    grid = np.linspace(-15, 15, 601)
    t = np.linspace(0.001, 0.999, 400)

    def __init__(self, schedule: str = "cosine", weighting: str = "fm-ot"):
        def text():
            return {"style": WIDE, "layout": w.Layout(width="330px")}

        names = ("fm-ot", "elbo", "iddpm-cosine", "edm", "sd3", "sigmoid-bias2", "min-snr-5-eps")
        c = {
            "schedule": w.Dropdown(options=list(SCHEDULES), value=schedule, description="schedule", **text()),
            "shift": w.FloatSlider(1, min=0.25, max=8, step=0.05, description="shift", **text()),
            "weighting": w.Dropdown(options=names, value=weighting, description="weighting", **text()),
            "variance": w.FloatLogSlider(1, min=-3, max=3, step=0.1, description="data variance", **text()),
        }
        self.controls = c
        self.panels = plots.axes(8.6, 6.2, columns=2, rows=2)
        super().__init__(
            cast(Figure, self.panels[0].figure), c, self._show, w.VBox(list(c.values()), layout=w.Layout(width="350px"))
        )

    def _show(self, changed: str) -> str:
        c = self.controls
        path = SCHEDULES[c["schedule"].value]
        path = path if c["shift"].value == 1 else paths.shifted(path, c["shift"].value)
        weighting, shift = CATALOGUE[c["weighting"].value].weighting, np.log(c["variance"].value)
        logsnr, spent = path.logsnr(self.t), weighting(self.grid) * expit(self.grid + shift)
        ideal, law = spent / np.trapezoid(spent, self.grid), path.schedule
        time, (a, b, e, f) = "time t   [0 data, 1 noise]", self.panels
        plots.lines(self.t, {"λ(t)": logsnr}, xlabel=time, ylabel="log-SNR λ", outside=None, ax=a)
        plots.lines(self.t, {"α": path.alpha(self.t), "σ": path.sigma(self.t)}, xlabel=time, ylabel="scale", ax=b)
        looks = {"where it looks, p(λ)": law.pdf(self.grid), "where the loss is": ideal}
        plots.lines(self.grid, looks, xlabel="log-SNR λ", ylabel="share per nat", ax=e)
        seen = {"draws": law.cdf(self.grid), "loss": np.cumsum(ideal) * (self.grid[1] - self.grid[0])}
        plots.lines(self.grid, seen, xlabel="log-SNR λ", ylabel="share below λ", ax=f)
        a.set_ylim(-15, 15)
        b.set_ylim(0, 1.05 if path.frame.name in ("VP", "linear") else 5)
        e.set_ylim(0, 0.3)
        f.set_ylim(-0.02, 1.02)
        ratio, missed = second_moment_ratio(weighting, law, lambda level: expit(level + shift))
        cost = (
            f"{ratio:.3f} times the smallest" if np.isfinite(ratio) else "infinite: the density is too thin where the loss is"
        )
        left_out = f"; {missed:.1%} of the loss lies outside its range" if missed > 1e-3 else ""
        return f"second moment of one draw: <b>{cost}</b>{left_out} (Gaussian data, exact denoiser)"
