"""Figures of schedules: a schedule is a law of log-SNR, and what sampling by another one costs.

In ``plots.lines`` the argument ``outside`` is about the legend: False puts it inside the axes, True
beside them, and None draws none.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Polygon
from matplotlib.ticker import MultipleLocator

from diffviz import plots
from diffviz.checks import count
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
from diffviz.lab.figures.style import NEUTRAL, from_noise, put_under
from diffviz.plots.style import FOCUS, UNIFORM
from diffviz.theory import paths
from diffviz.theory.paths import COSINE, LINEAR, Path

MOST_VARIANCE = 27.5  # at the end of the axis
BAR, HEAD = 0.8, 1.2  # height of a bar in rows, and length of an arrow's head
# A density has the colour of the objective that draws from it.
SAMPLER_COLOURS = {
    "cosine": plots.colour("iddpm-cosine"),
    "FM uniform t": plots.colour("fm-ot"),
    "uniform λ on [−15, 15]": UNIFORM,
    "EDM log-normal": plots.colour("edm"),
    "logit-normal(0, 1)": plots.colour("sd3"),
}
PATH_COLOURS = {COSINE.name: plots.colour("iddpm-cosine"), LINEAR.name: plots.colour("fm-ot")}


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
    right.xaxis.set_major_locator(MultipleLocator(5))
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
    "equal-times",
    "Equally spaced times of a path, the log-SNR of each, and their density: a schedule is a law "
    "of log-SNR",
)
def equal_times(path: Path = COSINE, n: int = 24, strip: plots.Strip | None = None) -> Axes:
    """Draw time over log-SNR, and lead equally spaced times down to their levels and the density.

    Args:
        path: The path that is drawn, under uniform time.
        n: Number of times.
        strip: One example at several noise levels, drawn under the lower panel; none by default.

    Returns:
        The upper panel.

    Raises:
        TypeError: ``n`` is no whole number, or ``strip`` no Strip.
        ValueError: ``n`` is not positive.
    """
    upper, lower = plots.axes(7.6, 4.8, rows=2)
    times = (np.arange(count(n, "n")) + 0.5) / n
    levels = path.logsnr(times)
    look: dict[str, Any] = {
        "outside": None,
        "colours": {path.name: PATH_COLOURS.get(path.name, FOCUS)}.__getitem__,
    }
    title = "equal steps of time lie close together where p(λ) is high"
    over = {path.name: path.time(WIDE)}
    plots.lines(WIDE, over, xlabel="", ylabel=TIME, title=title, ax=upper, **look)
    density = {path.name: path.schedule.pdf(WIDE)}
    label = "density p(λ) per nat"
    plots.lines(WIDE, density, xlabel=plots.LOGSNR, ylabel=label, ax=lower, **look)
    lower.set_ylim(bottom=0)
    upper.set_ylim(0, 1.02)
    left, right = lower.get_xlim()
    thin: dict[str, Any] = {"color": NEUTRAL, "lw": 0.8, "alpha": 0.7, "zorder": 1}
    upper.hlines(times, left, levels, gid="times", **thin)
    upper.vlines(levels, 0, times, gid="levels", **thin)
    lower.vlines(levels, 0, path.schedule.pdf(levels), gid="levels", **thin)
    for ax in (upper, lower):
        ax.set_xlim(left, right)
        ax.grid(False)
    upper.figure.subplots_adjust(hspace=0.14)
    upper.set_xticks([])
    put_under([lower], strip)
    return upper


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
        (t, both_offsets, TIME, label, "1 · log-SNR over time"),
        (t, {"s = 0": sigma}, TIME, "σ", "2 · noise over time"),
        (level, {"s = 0": sigma}, label, "σ", "3 · noise over log-SNR"),
        (level, {"s = 0": view.logsnr_density}, label, "p(λ)", "4 · where training looks"),
        (
            sigma,
            {"s = 0": view.sigma_density},
            "σ   [noise ← → data]",
            "p(σ)",
            "5 · the same over σ",
        ),
        (t, {"s = 0": view.slope}, TIME, "dλ/dt", "6 · speed through log-SNR"),
    )
    for ax, (x, curves, xlabel, ylabel, title) in zip(panels, contents, strict=True):
        outside = False if len(curves) > 1 else None  # one curve needs no legend
        plots.lines(x, curves, xlabel=xlabel, ylabel=ylabel, title=title, outside=outside, ax=ax)
    start = view.offset_start
    panels[0].annotate(
        f"λ(0) = {start:.3f}",
        (0.0, start),
        (0.62, 1.5),
        fontsize=9,
        arrowprops={"arrowstyle": "-", "color": NEUTRAL, "relpos": (1.0, 1.0)},
    )
    panels[4].set(ylim=(0, 6), xlim=(1.05, -0.05))  # noise on the left, as in the others
    panels[5].set_ylim(-60, 0)
    for panel in (panels[0], panels[1], panels[5]):
        from_noise(panel)
    panels[3].yaxis.set_major_locator(MultipleLocator(0.05))
    panels[0].figure.subplots_adjust(left=0.07)
    return panels[0]


def _add_head(ax: Axes, row: int, colour: str) -> None:
    """End a bar in the head of an arrow, since it goes on beyond the axis."""
    neck = MOST_VARIANCE - HEAD
    corners = [(neck, row - BAR / 2), (MOST_VARIANCE, row), (neck, row + BAR / 2)]
    ax.add_patch(Polygon(corners, color=colour, lw=0, gid="head"))


def _draw_law(left: Axes, right: Axes, row: int, name: str, statistics: Draws) -> None:
    """Draw the mean of the draws under one law, and the exact variance of one draw."""
    if np.isfinite(statistics.exact_variance):
        half_width, face, text = statistics.half_width, None, f"{statistics.exact_variance:.2f}"
    else:  # no interval holds for a mean of draws whose variance is infinite
        half_width, face, text = np.nan, "white", "infinite"
    colour = SAMPLER_COLOURS[name]
    left.errorbar(
        statistics.mean, row, xerr=half_width, fmt="o", color=colour, mfc=face, label=name, gid=name
    )
    goes_on = statistics.exact_variance > MOST_VARIANCE
    length = MOST_VARIANCE - HEAD if goes_on else statistics.exact_variance
    right.barh(row, length, height=BAR, color=colour, gid=name)
    if goes_on:
        _add_head(right, row, colour)
    place = 0.75 if goes_on else length + 0.5  # inside a bar that reaches the end
    right.annotate(text, (place, row), va="center", fontsize=10)


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
        _draw_law(left, right, int(row), name, statistics)
    left.axvline(np.pi / 2, color=NEUTRAL, ls=":", lw=1)  # the exact mean
    xlabel = "mean of Y, 20,000 draws   (dotted: π/2)"
    left.set(xlabel=xlabel, title="under each density the mean is π/2")
    left.set_yticks(rows, [*by_law])
    title = "but the variance differs widely"
    right.set(xlabel="variance of one Y", xlim=(0, MOST_VARIANCE), title=title)
    right.set_yticks(rows, [""] * len(by_law))
    for ax in (left, right):
        ax.set_ylim(-0.6, len(by_law) - 0.4)  # so that the rows of both panels line up
        ax.grid(False, axis="y")
        ax.set_axisbelow(True)
    left.figure.subplots_adjust(left=0.17, wspace=0.08)
    return left
