"""Figures of what objectives weight, in which base, and what follows."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from diffviz import plots
from diffviz.lab.experiments.common import TIME, WIDE, chosen
from diffviz.lab.experiments.weighting import (
    CLASSICS,
    SPENDERS,
    augmentation,
    bugs,
    factors,
    likeness,
    logsnr_laws,
    peak,
    spending,
    time_laws,
)
from diffviz.lab.experiments.weighting import heuristics as heuristic_weightings
from diffviz.lab.figures.registry import figure
from diffviz.lab.figures.style import NEGATIVE, NEUTRAL

BASES = ("eps", "x", "v", "u")


@figure(
    "weightings",
    "The classics on one axis: what each objective weights on the eps error, anchored at log-SNR 0",
)
def classics(objectives: Sequence[str] = CLASSICS) -> Axes:
    """Draw weightings on two scales: anchored at λ = 0, and over their maxima.

    Args:
        objectives: Names of the catalogue.

    Returns:
        The left panel.

    Raises:
        ValueError: A name is unknown.
    """
    left, right = plots.axes(10.5, 4.4, columns=2, legend=1.7)
    curves = chosen(*objectives)
    plots.weighting_curves(WIDE, curves, ax=left, outside=None, title="anchored at λ = 0")
    title = "scaled to the maximum on [−10, 10]"
    plots.weighting_curves(WIDE, curves, scale="w / max", ax=right, title=title)
    left.set_ylim(-5, 5)
    for line, as_in_legend in zip(left.lines, right.lines, strict=True):
        line.set_linestyle(as_in_legend.get_linestyle())
    return left


@figure(
    "fm-is-v-cosine",
    "Flow matching with uniform time and v-prediction with the cosine schedule are one weighting "
    "by two routes",
)
def fm_is_v_cosine() -> Axes:
    """Draw gain² and density of both recipes, and their product; returns the left panel."""
    left, right = plots.axes(9.5, 4.2, columns=2)
    logs = {name: np.log10(values) for name, values in factors().items()}
    title = "two different recipes ..."
    plots.lines(WIDE, logs, xlabel=plots.LOGSNR, ylabel="log₁₀", title=title, ax=left)
    pair = chosen("fm-ot", "v-cosine")
    title = "... and their product 2·gain²·p, anchored"
    plots.weighting_curves(WIDE, pair, ax=right, outside=False, title=title)
    return left


@figure(
    "sd3-vs-edm",
    "SD3's and EDM's weightings, scaled to their maxima: correlation 0.994, largest gap 0.129",
)
def sd3_vs_edm(ax: Axes | None = None) -> Axes:
    """Draw both weightings over their maxima.

    Args:
        ax: Axes to draw on; new ones by default.

    Returns:
        The Axes.
    """
    pair = ("sd3", "edm")
    correlation, gap = likeness(*pair)
    title = f"correlation {correlation:.3f}, largest gap {gap:.3f}"
    curves = chosen(*pair)
    return plots.weighting_curves(WIDE, curves, scale="w / max", title=title, outside=False, ax=ax)


@figure(
    "time-densities",
    "SD3's time densities: logit-normal(m, s), mode(s) and CosMap over t (t = 0 is data)",
)
def time_densities(ax: Axes | None = None) -> Axes:
    """Draw the densities of time that SD3 compares.

    Args:
        ax: Axes to draw on; new ones by default.

    Returns:
        The Axes.
    """
    t = np.linspace(0, 1, 1001)
    curves = {name: law.pdf(t) for name, law in time_laws().items()}
    return plots.lines(t, curves, xlabel=TIME, ylabel="density f(t)", outside=True, ax=ax)


@figure(
    "logsnr-densities",
    "Where training looks: densities over log-SNR; Laplace(0, 0.5) goes on to 1 at its peak",
)
def logsnr_densities(ax: Axes | None = None) -> Axes:
    """Draw the densities of log-SNR of well-known recipes, each inside its support.

    Args:
        ax: Axes to draw on; new ones by default.

    Returns:
        The Axes.
    """
    grid = np.linspace(-16, 16, 801)
    densities = {name: law.pdf(grid) for name, law in logsnr_laws().items()}
    curves = {name: np.where(p > 0, p, np.nan) for name, p in densities.items()}
    label = "density p(λ) per nat"
    ax = plots.lines(grid, curves, xlabel=plots.LOGSNR, ylabel=label, outside=True, ax=ax)
    ax.set_ylim(0, 0.4)
    return ax


@figure(
    "base-switch",
    "The same four losses, expressed in the eps, x, v and u errors: falling, rising or flat is a "
    "matter of base",
)
def base_switch(objectives: Sequence[str] = ("elbo", "iddpm-cosine", "fm-ot", "sd3")) -> Axes:
    """Draw the same weightings on four errors.

    Args:
        objectives: Names of the catalogue.

    Returns:
        The first of four panels.

    Raises:
        ValueError: A name is unknown.
    """
    panels = plots.axes(9, 6.6, columns=2, rows=2)
    curves = chosen(*objectives)
    for ax, base in zip(panels, BASES, strict=True):
        outside = False if ax is panels[-1] else None
        title = f"base {base}"
        plots.weighting_curves(WIDE, curves, base=base, ax=ax, outside=outside, title=title)
        ax.set(ylim=(-5, 5), xlabel="log-SNR λ")
    return panels[0]


@figure(
    "loss-density",
    "What the loss really spends where, for N(0, I) data: w(λ)·E‖ε̂ − ε‖², shares below log-SNR 0",
)
def loss_density(objectives: Sequence[str] = SPENDERS) -> Axes:
    """Draw weightings and loss densities, with the shares of both below λ = 0.

    Args:
        objectives: Names of the catalogue.

    Returns:
        The left panel.

    Raises:
        ValueError: A name is unknown.
    """
    left, right = plots.axes(10.5, 4.2, columns=2, legend=2.5)
    spent = spending(objectives)
    weightings = {name: record.weighting for name, record in spent.items()}
    losses = {name: record.loss for name, record in spent.items()}
    title = "weighting alone (ε base)"
    plots.weighting_curves(WIDE, weightings, scale="unit area", ax=left, outside=None, title=title)
    title = "loss density w·mmse"
    plots.weighting_curves(WIDE, losses, scale="unit area", ax=right, title=title)
    right.set_ylabel("share of the loss per nat (base-free)")
    legend = right.get_legend()
    assert legend is not None
    legend.set_title("share below 0: w / loss")
    for text, (name, record) in zip(legend.get_texts(), spent.items(), strict=True):
        text.set_text(f"{name}  {record.weighting_below:.3f} / {record.loss_below:.3f}")
    return left


@figure(
    "heuristics",
    "Heuristic multipliers on one footing: each on the eps error with the cosine schedule, "
    "anchored",
)
def heuristics() -> Axes:
    """Draw the weightings of heuristic multipliers in two panels; returns the left one."""
    left, right = plots.axes(11, 4.8, columns=2)
    curves = list(heuristic_weightings().items())
    for ax, part in ((left, curves[:8]), (right, curves[8:])):
        plots.weighting_curves(WIDE, dict(part), ax=ax, outside=False)
        ax.set_ylim(-6, 6)
    return left


def draw_augmentation(ax: Axes, name: str) -> None:
    """Draw −dw/dλ of an objective with its negative part shaded, and the verdict as the title.

    Args:
        ax: Axes to draw on.
        name: Name of the catalogue.

    Raises:
        ValueError: The name is unknown.
    """
    implied = augmentation(name)
    ax.plot(WIDE, implied.density, color=plots.colour(name), lw=2, gid=name)
    below = np.minimum(implied.density, 0)
    ax.fill_between(WIDE, below, 0, color=NEGATIVE, alpha=0.35, lw=0, gid=f"{name}:negative")
    ax.axhline(0, color=NEUTRAL, lw=0.8)
    verdict = "monotone" if implied.monotone else f"negative {implied.negative_share:.2%}"
    ax.set_title(f"{name}: {verdict}", fontsize=10)
    ax.set_ylim(-1.1, 1.1)


@figure(
    "monotone", "Which classics are ELBOs with noise augmentation: −dw/dλ, its negative part shaded"
)
def monotone(objectives: Sequence[str] = (*CLASSICS, "edm-monotonic")) -> Axes:
    """Draw the noise augmentation that each objective implies, one panel each.

    Args:
        objectives: Ten names of the catalogue.

    Returns:
        The first panel.

    Raises:
        ValueError: A name is unknown, or there are not ten.
    """
    panels = plots.axes(12, 5.4, columns=5, rows=2)
    for ax, name in zip(panels, objectives, strict=True):
        draw_augmentation(ax, name)
    panels[0].figure.supxlabel("log-SNR λ", fontsize=10)
    for first_of_row in (panels[0], panels[5]):
        first_of_row.set_ylabel("−dw/dλ, scaled")
    return panels[0]


@figure("edm-monotonic", "EDM made monotone: held at its peak value left of log-SNR −3.308")
def edm_monotonic(ax: Axes | None = None) -> Axes:
    """Draw EDM's weighting and its monotone version, with the peak marked.

    Args:
        ax: Axes to draw on; new ones by default.

    Returns:
        The Axes.
    """
    pair = chosen("edm", "edm-monotonic")
    ax = plots.weighting_curves(WIDE, pair, scale="w / max", outside=False, ax=ax)
    top = peak("edm")
    ax.axvline(top, color=NEUTRAL, lw=1, ls=":", gid="peak")
    ax.annotate(
        f"peak −{-top:.3f}",
        (top, 1.02),
        ha="left",
        xytext=(4, 0),
        textcoords="offset points",
        fontsize=9,
    )
    return ax


@figure(
    "historical-bugs",
    "Wrong weightings beside what was meant: three that were released, and a default left in place",
)
def historical_bugs() -> Axes:
    """Draw each mistake beside what was meant, one panel each; returns the first."""
    panels = plots.axes(9.5, 7, columns=2, rows=2)
    for ax, (title, pair) in zip(panels, bugs().items(), strict=True):
        plots.weighting_curves(WIDE, pair, ax=ax, outside=False, title=title)
        ax.set(ylim=(-5, 5), xlabel="log-SNR λ")
    return panels[0]
