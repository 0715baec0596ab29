"""Figures of schedules: a schedule is a law of log-SNR, and what sampling by another one costs.

In ``plots.lines`` the argument ``outside`` is about the legend: False puts it inside the axes, True
beside them, and None draws none.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from diffviz import plots
from diffviz.lab.experiments.common import TIME, WIDE
from diffviz.lab.experiments.schedule import (
    CosineViews,
    Draws,
    cosine_views,
    draws,
    scales,
    shifted,
)
from diffviz.lab.figures.registry import figure
from diffviz.lab.figures.style import NEUTRAL, OTHERS, from_noise
from diffviz.theory import paths
from diffviz.theory.paths import COSINE, LINEAR, Path

BARS = OTHERS[-1]


def _shift_label(shift: float) -> str:
    """Name of a shifted path in the legend."""
    return "shift 2 (one doubling)" if shift == 2 else f"shift {shift:g}"


@figure(
    "resolution-shift",
    "Shift s moves log-SNR by −2 log s: −1.386 per doubling of resolution, "
    "−2.197 for flow's shift 3",
)
def resolution_shift(shifts: Sequence[float] = (1, 2, 3)) -> Axes:
    """Draw λ(t) and p(λ) of the linear path under several shifts.

    Args:
        shifts: The shifts, each above 0.

    Returns:
        The left panel.

    Raises:
        ValueError: A shift is not positive.
    """
    left, right = plots.axes(9.5, 4.2, columns=2)
    t = np.linspace(0.002, 0.998, 500)
    moved = shifted(t, shifts=shifts)
    paths_by_label = {_shift_label(shift): path for shift, path in moved.items()}
    levels = {label: path.logsnr for label, path in paths_by_label.items()}
    plots.lines(t, levels, xlabel=TIME, ylabel="log-SNR λ(t)", title="linear path", ax=left)
    from_noise(left)
    densities = {label: path.density for label, path in paths_by_label.items()}
    plots.lines(
        WIDE,
        densities,
        xlabel=plots.LOGSNR,
        ylabel="density p(λ) per nat",
        title="the same in log-SNR: a plain move",
        outside=None,
        ax=right,
    )
    return left


@figure(
    "schedules",
    "α, σ and total standard deviation of z over time: cosine (VP), linear, variance-exploding",
)
def schedules(shown: Sequence[Path] = (COSINE, LINEAR, paths.ve(0.01, 50))) -> Axes:
    """Draw the scales of three paths; the last on a logarithmic axis.

    Args:
        shown: Three paths.

    Returns:
        The first panel.

    Raises:
        ValueError: There are not three paths.
    """
    panels = plots.axes(12, 3.9, columns=3)
    t = np.linspace(0, 1, 401)
    for ax, path in zip(panels, shown, strict=True):
        plots.lines(t, scales(path, t), xlabel=TIME, ylabel="scale", title=path.name, ax=ax)
        from_noise(ax)
    panels[-1].set_yscale("log")
    return panels[0]


@figure(
    "cosine-six-panel",
    "One schedule, six views: time, σ and log-SNR of the cosine path against each other",
)
def cosine_six_panel(views: CosineViews | None = None) -> Axes:
    """Draw six views of the cosine schedule.

    Args:
        views: What ``experiments.schedule.cosine_views`` returned; computed by default.

    Returns:
        The first panel.
    """
    panels = plots.axes(11.5, 6.6, columns=3, rows=2)
    view = cosine_views() if views is None else views
    t, level, sigma = view.time, view.logsnr, view.sigma
    both_offsets = {"s = 0": level, "s = 0.008": view.offset_logsnr}
    label = "log-SNR λ"
    contents = (  # x, curves, label of x, label of y, title
        (t, both_offsets, TIME, label, "λ = −2 log tan(πt/2)"),
        (t, {"s = 0": sigma}, TIME, "σ", "σ = sin(πt/2)"),
        (level, {"s = 0": sigma}, label, "σ", "σ² = sigmoid(−λ)"),
        (level, {"s = 0": view.logsnr_density}, label, "p(λ)", "p = sech(λ/2)/2π, std π"),
        (sigma, {"s = 0": view.sigma_density}, "σ", "p(σ)", "the same law over σ"),
        (t, {"s = 0": view.slope}, TIME, "dλ/dt", "speed through log-SNR"),
    )
    for ax, (x, curves, xlabel, ylabel, title) in zip(panels, contents, strict=True):
        outside = False if len(curves) > 1 else None  # one curve needs no legend
        plots.lines(x, curves, xlabel=xlabel, ylabel=ylabel, title=title, outside=outside, ax=ax)
    start = view.offset_start
    panels[0].annotate(f"λ(0) = {start:.3f}", (0.02, start), (0.42, 9.5), fontsize=9)
    panels[4].set_ylim(0, 6)
    panels[5].set_ylim(-60, 0)
    for panel in (panels[0], panels[1], panels[5]):
        from_noise(panel)
    return panels[0]


def _variance_text(statistics: Draws) -> str:
    """The exact variance of one draw; where that is infinite, also the variance of the sample."""
    if np.isfinite(statistics.exact_variance):
        return f"{statistics.exact_variance:.4g}"
    return f"infinite (these draws: {statistics.variance:.3g})"


@figure(
    "invariance",
    "One weighted loss under five sampling densities: the same mean, very different variance "
    "(N(0, 1), exact denoiser)",
)
def invariance(by_law: dict[str, Draws] | None = None) -> Axes:
    """Draw mean and variance of one loss under each law of ``SAMPLERS``.

    Args:
        by_law: What ``experiments.schedule.draws`` returned; computed by default.

    Returns:
        The left panel.
    """
    left, right = plots.axes(11.5, 4.2, columns=2)
    by_law = draws() if by_law is None else by_law
    rows = np.arange(len(by_law))[::-1]  # the first law on top
    for row, (name, statistics) in zip(rows, by_law.items(), strict=True):
        colour = BARS  # the same for all: the rows are named
        half_width = statistics.half_width
        left.errorbar(statistics.mean, row, xerr=half_width, fmt="o", color=colour, gid=name)
        # an infinite variance is a bar that reaches past the end of the axis
        right.barh(row, min(statistics.exact_variance, 1e4), color=colour, gid=name)
        text = _variance_text(statistics)
        right.annotate(text, (12, row), va="center", fontsize=9, color="white", weight="bold")
    left.axvline(np.pi, color=NEUTRAL, ls=":", lw=1)  # the exact mean
    left.set(
        xlabel="mean of 20,000 draws ± 95 %   (dotted: π)", title="the mean does not depend on it"
    )
    left.set_yticks(rows, [*by_law])
    right.set(xlabel="variance of one draw", xscale="log", xlim=(10, 1500), title="its noise does")
    right.set_yticks(rows, [""] * len(by_law))
    left.figure.subplots_adjust(left=0.17)
    return left
