"""Figures of what objectives weight, in which base, and what follows.

Where a figure takes a ``strip``, the same example at several noise levels stands under its axes.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MultipleLocator, NullFormatter
from numpy.typing import NDArray

from diffviz import plots
from diffviz.checks import require
from diffviz.lab.experiments.common import TIME, WIDE, chosen
from diffviz.lab.experiments.weighting import (
    CLASSICS,
    Spending,
    augmentation,
    bugs,
    factors,
    likeness,
    logsnr_laws,
    peak,
    spending_on_data,
    time_laws,
)
from diffviz.lab.experiments.weighting import heuristics as heuristic_weightings
from diffviz.lab.figures.registry import figure
from diffviz.lab.figures.style import (
    NEUTRAL,
    SHORT_LOGSNR,
    draw_under,
    headline,
    label_ends,
    last_points,
    legend,
    line_of,
    put_under,
)
from diffviz.plots.style import DASHES, FOCUS, NEGATIVE, REFERENCE

BASES = ("eps", "x", "v", "u")
TAILS = (-6.6, 3.2)  # log₁₀ w of the classics on the whole axis
SMALL = 0.01  # negative share below which the red area cannot be seen


@figure(
    "weightings",
    "The classics on one axis: what each objective weights on the eps error, anchored at log-SNR 0",
)
def classics(objectives: Sequence[str] = CLASSICS, strip: plots.Strip | None = None) -> Axes:
    """Draw weightings on two scales: anchored at λ = 0, and over their maxima.

    The names stand between the panels, at the ends of the curves of the left one.

    Args:
        objectives: Names of the catalogue.
        strip: One example at several noise levels, drawn under the axes.

    Returns:
        The left panel.

    Raises:
        ValueError: A name is unknown.
    """
    left, right = plots.axes(10.5, 4.4, columns=2)
    left.figure.subplots_adjust(wspace=0.5)  # room for names
    curves = chosen(*objectives)
    title = "logarithms: tails show"
    plots.weighting_curves(WIDE, curves, ax=left, outside=None, title=title)
    title = "the same over the maximum: peaks show"
    plots.weighting_curves(WIDE, curves, scale="w / max", ax=right, outside=None, title=title)
    left.set_ylim(*TAILS)
    for ax in (left, right):
        ax.set_xlabel(SHORT_LOGSNR)
    for line, on_the_right in zip(left.lines, right.lines, strict=True):
        line.set_linestyle(on_the_right.get_linestyle())
    label_ends(left, last_points(left), plots.colour)
    put_under((left, right), strip)
    return left


@figure(
    "fm-is-v-cosine",
    "Flow matching with uniform time and v-prediction with the cosine schedule are one weighting "
    "by two routes",
)
def fm_is_v_cosine(strip: plots.Strip | None = None) -> Axes:
    """Draw gain² and density of both recipes, and their product.

    Args:
        strip: One example at several noise levels, drawn under the axes.

    Returns:
        The left panel.
    """
    left, right = plots.axes(9.5, 4.2, columns=2)
    logs = {name: np.log10(values) for name, values in factors().items()}
    pair = chosen("fm-ot", "v-cosine")
    recipes = np.repeat([plots.colour(name) for name in pair], 2)  # gain² and density of each
    plots.lines(
        WIDE,
        logs,
        xlabel=plots.LOGSNR,
        ylabel="log₁₀ of the factor",
        title="factors of two recipes: they differ",
        colours=dict(zip(logs, recipes.tolist(), strict=True)).__getitem__,
        ax=left,
    )
    left.xaxis.set_major_locator(MultipleLocator(5))
    title = "their products 2 · gain² · p: one curve"
    plots.weighting_curves(WIDE, pair, ax=right, outside=None, title=title)
    draw_under(right, "fm-ot")
    legend(right)
    put_under((left, right), strip)
    return left


@figure(
    "sd3-vs-edm",
    "SD3's and EDM's weightings, scaled to their maxima: correlation 0.994, largest gap 0.129",
)
def sd3_vs_edm(ax: Axes | None = None, strip: plots.Strip | None = None) -> Axes:
    """Draw both weightings over their maxima.

    Args:
        ax: Axes to draw on; new ones by default.
        strip: One example at several noise levels, drawn under the axes.

    Returns:
        The Axes.
    """
    pair = ("sd3", "edm")
    title = "SD3 and EDM: one peak, two tails"
    curves = chosen(*pair)
    ax = plots.weighting_curves(WIDE, curves, scale="w / max", title=title, outside=False, ax=ax)
    _mark_gap(ax, pair)
    put_under((ax,), strip)
    return ax


def _mark_gap(ax: Axes, pair: tuple[str, str]) -> None:
    """Mark where two curves are farthest from each other, and say how alike they are."""
    x, (one, other) = WIDE, [np.asarray(line_of(ax, name).get_ydata()) for name in pair]
    place = int(np.abs(one - other).argmax())
    ends = one[place], other[place]
    ax.plot([x[place]] * 2, ends, color=NEUTRAL, lw=1.5, gid="gap")
    correlation, gap = likeness(*pair)
    ax.annotate(
        f"largest gap {gap:.3f}\ncorrelation {correlation:.3f}",
        (x[place], max(ends)),
        xytext=(10, 14),
        textcoords="offset points",
    )


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
def base_switch(
    objectives: Sequence[str] = ("elbo", "iddpm-cosine", "fm-ot", "sd3"),
    strip: plots.Strip | None = None,
) -> Axes:
    """Draw the same weightings on four errors.

    Args:
        objectives: Names of the catalogue.
        strip: One example at several noise levels, drawn under the axes.

    Returns:
        The first of four panels.

    Raises:
        ValueError: A name is unknown.
    """
    panels = plots.axes(9, 6.6, columns=2, rows=2)
    curves = chosen(*objectives)
    for ax, base in zip(panels, BASES, strict=True):
        outside = False if ax is panels[0] else None
        title = f"base {plots.ERROR_OF[base]}"
        plots.weighting_curves(WIDE, curves, base=base, ax=ax, outside=outside, title=title)
        ax.set(ylim=(-5, 5), xlabel=SHORT_LOGSNR, ylabel="log₁₀ w, 0 at λ = 0")
    headline(panels[0], "whether w falls, rises or peaks depends on the base")
    put_under(panels[2:], strip)
    return panels[0]


@figure(
    "loss-density",
    "What the loss spends where: w(λ)·E‖ε̂ − ε‖² on N(0, I) data and on the spectrum of "
    "photographs, with the shares below log-SNR 0",
)
def loss_density(
    spent: Mapping[str, Mapping[str, Spending]] | None = None,
    strip: plots.Strip | None = None,
) -> Axes:
    """Draw weightings and loss densities, with the shares of all below λ = 0 in a legend.

    Args:
        spent: What ``experiments.weighting.spending_on_data`` returned; computed by default.
        strip: One example at several noise levels, drawn under the axes.

    Returns:
        The left panel.
    """
    spent = spending_on_data() if spent is None else spent
    first, *others = plots.axes(13.5, 4.2, columns=1 + len(spent), legend=3.1)
    records = next(iter(spent.values()))
    weightings = {name: record.weighting for name, record in records.items()}
    title = "weighting alone (ε base)"
    plots.weighting_curves(WIDE, weightings, scale="unit area", ax=first, outside=None, title=title)
    for ax, (data, of_data) in zip(others, spent.items(), strict=True):
        losses = {name: record.loss for name, record in of_data.items()}
        outside = True if ax is others[-1] else None
        title = f"loss density, {data}"
        plots.weighting_curves(WIDE, losses, scale="unit area", ax=ax, outside=outside, title=title)
        ax.set_ylabel("share of the loss per nat (base-free)")
    top = max(ax.get_ylim()[1] for ax in others)
    for ax in others:
        ax.set_ylim(top=top)  # one scale, so that heights compare
    for ax in (first, *others):
        ax.set_xlabel(SHORT_LOGSNR)
    others[-1].figure.subplots_adjust(wspace=0.36)
    _tell_shares(others[-1], spent)
    put_under((first, *others), strip)
    return first


def _tell_shares(ax: Axes, spent: Mapping[str, Mapping[str, Spending]]) -> None:
    """Write the shares below λ = 0 of weighting and losses into a legend."""
    legend = ax.get_legend()
    assert legend is not None
    legend.set_title(f"share below 0: w / {' / '.join(spent)}")
    records = next(iter(spent.values()))
    for text, name in zip(legend.get_texts(), records, strict=True):
        shares = [f"{of_data[name].loss_below:.3f}" for of_data in spent.values()]
        text.set_text(f"{name}  {records[name].weighting_below:.3f} / {' / '.join(shares)}")


def loss_by_data(
    spent: Mapping[str, Mapping[str, Spending]] | None = None,
    *,
    title: str = "where each loss lies, by the data",
) -> Axes:
    """Draw the loss density of each objective on all kinds of data, in a panel of its own.

    The title of a panel has the shares of its losses below λ = 0, in the order of the data.

    Args:
        spent: What ``experiments.weighting.spending_on_data`` returned; computed by default.
        title: What is seen, in a line above the panels.

    Returns:
        The first panel.

    Raises:
        ValueError: The objectives do not fill two rows.
    """
    spent = spending_on_data() if spent is None else spent
    names = list(next(iter(spent.values())))
    columns = _in_two_rows(names)
    panels = plots.axes(3.4 * columns, 5.6, columns=columns, rows=2)
    for ax, name in zip(panels, names, strict=True):
        _draw_losses(ax, name, {data: records[name] for data, records in spent.items()})
    top = max(ax.get_ylim()[1] for ax in panels)
    for place, ax in enumerate(panels):
        ax.set_ylim(0, top)  # one scale, so that heights compare
        if place % columns:
            ax.yaxis.set_major_formatter(NullFormatter())
        else:
            ax.set_ylabel("share of the loss per nat")
    for ax in panels[columns:]:
        ax.set_xlabel(SHORT_LOGSNR)
    panels[0].figure.subplots_adjust(wspace=0.1)
    dashes = zip(spent, reversed(DASHES[: len(spent)]), strict=True)
    handles = [Line2D([], [], color=NEUTRAL, lw=2, ls=dash, label=data) for data, dash in dashes]
    legend(panels[0], handles, loc="upper left", handlelength=3)
    headline(panels[0], title)
    return panels[0]


def _in_two_rows(names: Sequence[str]) -> int:
    """The number of columns in which panels of these names fill two rows."""
    columns, rest = divmod(len(names), 2)
    require(columns and not rest, f"objectives must fill two rows, got {len(names)}")
    return columns


def _draw_losses(ax: Axes, name: str, by_data: Mapping[str, Spending]) -> None:
    """Loss densities of one objective with unit area, whole and shaded on the last data."""
    curves = {
        data: plots.scaled(record.loss, WIDE, "unit area") for data, record in by_data.items()
    }
    for (data, values), dash in zip(curves.items(), reversed(DASHES[: len(curves)]), strict=True):
        gid = f"{name}:{data}"
        ax.plot(WIDE, values, color=plots.colour(name), lw=2, ls=dash, gid=gid)
    ax.fill_between(WIDE, values, 0, color=plots.colour(name), alpha=0.12, lw=0)
    ax.axvline(0, color=NEUTRAL, lw=1, zorder=1)
    ax.xaxis.set_major_locator(MultipleLocator(5))
    shares = " → ".join(f"{record.loss_below:.0%}" for record in by_data.values())
    ax.set_title(f"{name}: {shares} below 0", fontsize=11)


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
    """Draw −dw/dλ · L of an objective with its negative part shaded, and the verdict as the title.

    L(λ) is the part of the ELBO of a stack that stops at λ, here on N(0, 1) data. So the two areas
    are in the proportion in which ELBOs count with a minus and with a plus.

    Args:
        ax: Axes to draw on.
        name: Name of the catalogue.

    Raises:
        ValueError: The name is unknown.
    """
    implied = augmentation(name)
    counted = implied.elbos
    ax.plot(WIDE, counted, color=plots.colour(name), lw=2, gid=name)
    sides = {
        "positive": (np.maximum(counted, 0), plots.colour(name), 0.15),
        "negative": (np.minimum(counted, 0), NEGATIVE, 0.9),
    }
    for side, (values, colour, alpha) in sides.items():
        gid = f"{name}:{side}"
        ax.fill_between(WIDE, values, 0, color=colour, alpha=alpha, lw=0, gid=gid)
    ax.axhline(0, color=NEUTRAL, lw=0.8)
    verdict = "monotone" if implied.monotone else f"negative {implied.negative_share:.2%}"
    ax.set_title(f"{name}: {verdict}", fontsize=10)
    ax.set(ylim=(-0.35, 1.1), yticks=(0, 0.5, 1))
    if 0 < implied.negative_share < SMALL:
        _enlarge_negative(ax, counted)


def _enlarge_negative(ax: Axes, counted: NDArray) -> None:
    """Draw the negative part again straight above its place, on a vertical scale of its own."""
    height = 0.42  # in units of the panel
    negative = np.minimum(counted, 0)
    left, right = WIDE[0], np.ceil(WIDE[negative < 0].max())
    bounds = (left, 0.25, right - left, height)
    inset = ax.inset_axes(bounds, transform=ax.transData, label="enlarged")
    inset.fill_between(WIDE, negative, 0, color=NEGATIVE, alpha=0.9, lw=0)
    inset.axhline(0, color=NEUTRAL, lw=0.8)
    inset.set(xlim=(left, right), ylim=(negative.min(), 0), xticks=(), yticks=())
    times = height / -negative.min()
    inset.set_title(f"red × {times:.0f}", fontsize=9)
    inset.spines[["top", "right"]].set_visible(False)


@figure(
    "monotone",
    "Which classics are sums of ELBOs of noised data: how much each level of noise counts, "
    "−dw/dλ times the ELBO there, its negative part in red",
)
def monotone(
    objectives: Sequence[str] = (*CLASSICS, "edm-monotonic"), strip: plots.Strip | None = None
) -> Axes:
    """Draw how much the ELBO at each noise level counts in objectives, one panel each.

    Args:
        objectives: Names of the catalogue, which fill two rows.
        strip: One example at several noise levels, drawn under the axes.

    Returns:
        The first panel.

    Raises:
        ValueError: A name is unknown, or their number is odd.
    """
    columns = _in_two_rows(objectives)
    panels = plots.axes(2.4 * max(columns, 4), 5.4, columns=columns, rows=2)
    for ax, name in zip(panels, objectives, strict=True):
        draw_augmentation(ax, name)
    for ax in panels[columns:]:
        ax.set_xlabel(SHORT_LOGSNR)
    for first_of_row in panels[::columns]:
        first_of_row.set_ylabel("−w′ · L, scaled")
    put_under(panels[columns:], strip)
    return panels[0]


@figure("edm-monotonic", "EDM made monotone: held at its peak value left of log-SNR −3.308")
def edm_monotonic(ax: Axes | None = None, strip: plots.Strip | None = None) -> Axes:
    """Draw EDM's weighting and its monotone version, with the peak marked.

    Args:
        ax: Axes to draw on; new ones by default.
        strip: One example at several noise levels, drawn under the axes.

    Returns:
        The Axes.
    """
    pair = chosen("edm", "edm-monotonic")
    title = "EDM's weighting, held at its peak"
    ax = plots.weighting_curves(WIDE, pair, scale="w / max", title=title, outside=None, ax=ax)
    draw_under(ax, "edm")
    line_of(ax, "edm-monotonic").set(color=FOCUS, ls="-", lw=1.5)
    legend(ax)
    top = peak("edm")
    ax.axvline(top, color=NEUTRAL, lw=1, ls=":", gid="peak")
    ax.annotate(
        f"peak −{-top:.3f}",
        (top, 0.02),
        ha="left",
        xytext=(4, 0),
        textcoords="offset points",
        fontsize=9,
    )
    put_under((ax,), strip)
    return ax


@figure(
    "historical-bugs",
    "Wrong weightings beside what was meant: three that were released, and a default left in place",
)
def historical_bugs(strip: plots.Strip | None = None) -> Axes:
    """Draw each mistake beside what was meant, one panel each.

    Args:
        strip: One example at several noise levels, drawn under the axes.

    Returns:
        The first panel.
    """
    panels = plots.axes(9.5, 7, columns=2, rows=2)
    for ax, (title, pair) in zip(panels, bugs().items(), strict=True):
        meant, wrong = pair
        roles = {meant: REFERENCE, wrong: NEGATIVE}
        plots.weighting_curves(
            WIDE, pair, ax=ax, outside=False, title=title, colours=roles.__getitem__
        )
        line_of(ax, meant).set(lw=6, ls="-", solid_capstyle="butt")
        line_of(ax, wrong).set_linestyle("-")
        ax.set(ylim=(-5, 5), xlabel=SHORT_LOGSNR, ylabel="log₁₀ w on the ε error, 0 at λ = 0")
        legend(ax)
    put_under(panels[2:], strip)
    return panels[0]
