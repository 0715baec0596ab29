"""Figures of where sampling starts, and which sample a start leads to."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from diffviz import plots
from diffviz.lab.experiments import walks
from diffviz.lab.experiments.common import TIME
from diffviz.lab.experiments.prior import (
    C_VALUES,
    COUPLINGS,
    MEAN,
    NO_SIGNAL,
    SIDE,
    SIZES,
    STD,
    TERMINAL,
    ZERO,
    Coupled,
    Mismatch,
    coupled,
    gaussian_flow,
    gaussian_images,
    kl,
    measured_brightness,
    offset_bias,
    offset_shifts,
    straightness,
    terminal_bias,
)
from diffviz.lab.experiments.starts import COUPLING_REACH
from diffviz.lab.figures.registry import figure
from diffviz.lab.figures.style import (
    NEUTRAL,
    OTHERS,
    from_noise,
    legend,
    line_of,
    minus,
    name_curve,
    named_lines,
)
from diffviz.plots.style import BLUES, FOCUS
from diffviz.theory import prior

SIZE_COLOURS = dict(zip(SIZES, reversed(BLUES), strict=True))  # the larger, the darker
CIRCLES = 11.0, 7.5, 4.0  # sizes of circles by that of images, so that each is seen in one place
PRIOR = OTHERS[2]  # the term of the ELBO, as in the figures of that
RAISED = str.maketrans("−0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
END = "log-SNR λ at the end   [nats; noise ← → data]"
LAST_LEVELS = np.linspace(-22, 0, 221)  # λ in nats
NO_SIGNAL_PLACE = -23.0  # where λ = −inf is drawn
ALL_ENDS = TERMINAL | {ZERO: NO_SIGNAL_PLACE}
SHOWN_PAIRS, SHOWN_POINTS = 80, 300
LEARNT = COUPLINGS[1:]  # each by the same network, with the same number of steps
FLOWS = {  # below the pairs: which flow, and how it is called
    "independent, exact": "independent, exact flow",
    "independent, learnt": "independent, learnt flow",
    "minibatch OT": "minibatch OT, learnt flow",
}
COUPLING_RANGE, COUPLING_HEIGHTS = (-6.6, 6.6), (-7.8, 6.2)
COUPLING_TYPE = 13  # size of the type in points, of a picture that is 11.4 inches wide


def in_powers(value: float) -> str:
    """Three figures of a number, with a power of ten where it is small.

    Args:
        value: The number, not negative.

    Returns:
        Such as "0.0464" or "2.83·10⁻⁶".
    """
    mantissa, _, power = f"{value:.3g}".partition("e")
    return f"{mantissa}·10{minus(str(int(power))).translate(RAISED)}" if power else mantissa


def size_label(side: int) -> str:
    """The label of images of that side in pixels."""
    return f"{side}² pixels"


def size_colour(label: str) -> str:
    """The colour of a ``size_label``."""
    return SIZE_COLOURS[int(label.split("²")[0])]


def _mark_ends(ax: Axes, ends: Mapping[str, float]) -> None:
    """Dotted lines where schedules end, with their names above the axes, where no curve runs."""
    for name, level in ends.items():
        ax.axvline(level, color="0.55", ls=":", lw=1, zorder=1)
        ax.annotate(
            name.replace(" ", "\n", 1),
            (level, 1.01),
            xycoords=("data", "axes fraction"),
            va="bottom",
            ha="right" if name == ZERO else "center",
            fontsize=9,
            color="0.25",
        )


def _break_axis(ax: Axes) -> None:
    """Write −∞ where λ = −∞ is drawn, with a break in the axis between it and the numbers."""
    numbers = range(-20, 1, 5)
    ax.set_xticks([NO_SIGNAL_PLACE, *numbers], ["−∞", *(minus(str(number)) for number in numbers)])
    ax.text(
        (NO_SIGNAL_PLACE - LAST_LEVELS[0]) / 2 + LAST_LEVELS[0],
        0.0,
        "//",
        transform=ax.get_xaxis_transform(),
        ha="center",
        va="center",
        fontsize=11,
        color="0.25",
        gid="break",
    )


@figure(
    "prior-kl",
    "What the prior term costs by the log-SNR at the end, and the part of it that shows in samples "
    "(64² Gaussian images)",
)
def prior_kl_figure(mismatch: Mismatch | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw the prior KL and the part that reaches the samples, with the ends of schedules.

    Args:
        mismatch: What ``experiments.prior.kl`` returned at ``LAST_LEVELS``; computed by default.
        ax: Axes to draw on; new ones by default.

    Returns:
        The Axes.
    """
    ax = ax or plots.axes(7.8, 4.6)[0]
    total, marginal = kl(LAST_LEVELS) if mismatch is None else mismatch
    term = "prior KL, a term of the ELBO"
    shown = "the part that can show in samples"
    plots.lines(
        LAST_LEVELS,
        {term: total, shown: marginal},
        xlabel=END,
        ylabel="nats per image of 4,096 pixels",
        outside=None,
        colours={term: PRIOR, shown: NEUTRAL}.__getitem__,
        ax=ax,
    )
    ends = list(TERMINAL.values())
    for name, nats, above in zip((term, shown), kl(ends), (True, False), strict=True):
        line = line_of(ax, name)
        line.set_linestyle("-")  # the colours tell them apart
        ax.plot(ends, nats, "o", color=line.get_color(), gid=f"schedules: {name}")
        for end, value in zip(ends, nats, strict=True):
            ax.annotate(
                in_powers(value),
                (end, value),
                (-7, 9) if above else (7, -9),
                textcoords="offset points",
                ha="right" if above else "left",
                va="center",
                color=line.get_color(),
                fontsize=10,
            )
    ax.set(yscale="log", ylim=(1e-7, 3e3), xlim=(-23, 0))
    ax.set_xticks(range(-20, 1, 5))
    _mark_ends(ax, TERMINAL)
    ground = {"frameon": True, "framealpha": 1, "edgecolor": "none"}  # over the dotted lines
    legend(ax, [line_of(ax, name) for name in (term, shown)], loc="lower right", **ground)
    ax.set_title("at low SNR each nat more of noise at the end divides the prior term by e", pad=38)
    ax.figure.subplots_adjust(top=0.82)
    return ax


def _draw_ratio(ax: Axes, curves: dict[int, NDArray], what: str, title: str) -> None:
    """A ratio to the data over the log-SNR at the end, by size."""
    labelled = {size_label(side): curve for side, curve in curves.items()}
    plots.lines(
        LAST_LEVELS,
        labelled,
        xlabel=END,
        ylabel=f"{what}, samples / data",
        colours=size_colour,
        outside=None,
        ax=ax,
    )
    for line in named_lines(ax):
        line.set_linestyle("-")  # colours tell the sizes apart, in both panels alike
    ax.set_title(title, pad=38)
    ax.set(ylim=(0, 1.06), xlim=(-24, 0))
    _break_axis(ax)


def _draw_measured(ax: Axes, measured: NDArray) -> None:
    """Circles for ratios (4, 3) that sampling has, by schedule and size."""
    places = [*TERMINAL.values(), NO_SIGNAL_PLACE]
    columns = zip(SIZE_COLOURS.items(), measured.T, CIRCLES, strict=True)
    for (side, colour), ratio, size in columns:
        ax.plot(
            places,
            ratio,
            "o",
            ms=size,
            mfc="none",
            mew=1.6,
            color=colour,
            gid=f"{side}² measured",
            zorder=5,
        )


@figure(
    "terminal-snr",
    "Brightness where sampling starts from N(0, I): Stable Diffusion ends at α_T = .0683, SNR_T = "
    ".00468; zero terminal SNR mends it",
)
def terminal_snr(measured: tuple[NDArray, NDArray] | None = None) -> Axes:
    """Draw mean and deviation of brightness over those of the data.

    Args:
        measured: What ``experiments.prior.measured_brightness`` returned; computed by default.

    Returns:
        The left panel.
    """
    left, right = plots.axes(11.5, 4.9, columns=2)
    bias = terminal_bias(LAST_LEVELS)
    measured_mean, measured_std = measured_brightness() if measured is None else measured
    means = {side: mean for side, (mean, _) in bias.items()}
    _draw_ratio(left, means, "mean", "the larger the image, the less of its mean is kept")
    _mark_ends(left, ALL_ENDS)
    spreads = {side: spread for side, (_, spread) in bias.items()}
    _draw_ratio(right, spreads, "spread", "the spread falls later than the mean")
    _mark_ends(right, ALL_ENDS)
    _draw_measured(left, measured_mean / MEAN)
    _draw_measured(right, measured_std / STD)
    handles = right.lines[: 2 * len(SIZES) : 2]
    legend(left, handles, loc="lower left", bbox_to_anchor=(0.19, 0.0))
    note = "curves: closed form\ncircles: DDIM, 1000 steps;\nthe larger, the smaller the image"
    right.annotate(note, (0.2, 0.06), xycoords="axes fraction", fontsize=9)
    left.figure.subplots_adjust(top=0.82)
    return left


def _draw_strip(ax: Axes, images: NDArray, name: str) -> None:
    """Eight images side by side, with the brightness of all (n, side, side) in the title."""
    gap = 4  # pixels
    padded = np.pad(images[:8], ((0, 0), (0, 0), (0, gap)), constant_values=1.0)
    strip = padded.transpose(1, 0, 2).reshape(SIDE, -1)[:, :-gap]
    ax.imshow(strip, cmap="gray", vmin=-1.2, vmax=1.0, gid="images", interpolation="nearest")
    means = images.mean((1, 2))
    spread = f"{means.mean():.2f} ± {means.std():.2f} ({len(images)} images, 8 shown)"
    ax.set_title(minus(f"{name}: brightness {spread}"), fontsize=10)
    ax.axis("off")


@figure(
    "brightness",
    "The same noise, three starts: only the start from N(0, I) at Stable Diffusion's last level "
    "turns dark images grey",
)
def brightness_figure(last: float = TERMINAL["Stable Diffusion"]) -> Axes:
    """Draw images of the Gaussian model from three starts, a row each.

    Args:
        last: The noisiest log-SNR of the schedule, in nats.

    Returns:
        The first row.
    """
    rows = plots.axes(8.2, 4.2, rows=3)
    place = minus(f"λ = {last:.2f}")
    starts = {
        f"start as training left it, z drawn from q(z) at {place}": (last, "data"),
        f"start from N(0, I) at {place}": (last, "prior"),
        "start from N(0, I), zero terminal SNR": (NO_SIGNAL, "prior"),
    }
    for ax, (name, (level, start)) in zip(rows, starts.items(), strict=True):
        _draw_strip(ax, gaussian_images(level, start), name)
    rows[0].figure.subplots_adjust(left=0.02, right=0.98, bottom=0.02, top=0.94, hspace=0.16)
    return rows[0]


@figure(
    "offset-noise",
    "Offset noise at Stable Diffusion's last level: what it moves, and what becomes of brightness "
    "with it at both ends or in training only",
)
def offset_noise(largest: float = 0.3) -> Axes:
    """Draw the shift at frequency 0, and the brightness of samples.

    Args:
        largest: The largest strength κ of the offset.

    Returns:
        The left panel.
    """
    left, right = plots.axes(11.5, 4.3, columns=2)
    strength = np.linspace(0, largest, 151)
    label = "strength κ of the offset, ε + κ ξ"
    plots.lines(
        strength,
        {size_label(side): shifts for side, shifts in offset_shifts(strength).items()},
        xlabel=label,
        ylabel="shift of λ, −log(1 + κ² N)   [nats]",
        title="frequency 0 moves towards noise",
        colours=size_colour,
        ax=left,
    )
    shift = prior.offset_shift(0.1, SIDE**2)
    left.plot([0.1], [shift], "o", color=SIZE_COLOURS[SIDE], gid="κ = 0.1")
    text = minus(f"κ = 0.1: {shift:.3f}")
    left.annotate(text, (0.1, shift), (8, 6), textcoords="offset points", fontsize=9)
    last = TERMINAL["Stable Diffusion"]
    mean, spread = offset_bias(last, strength)
    _, plain = offset_bias(last, strength, also_at_start=False)
    curves = {
        "mean": mean,
        "spread, offset in the start too": spread,
        "spread, plain start": plain,
    }
    # not the colours of sizes, which are on the left: those of mean and spread in the explorer
    colours = dict(zip(curves, (FOCUS, OTHERS[5], OTHERS[3]), strict=True))
    plots.lines(
        strength,
        curves,
        xlabel=label,
        ylabel="samples / data, from λ = −5.364",
        title="64² pixels: with a plain start the spread shrinks",
        outside=None,
        colours=colours.__getitem__,
        ax=right,
    )
    right.set(ylim=(0, 1.1))
    name_curve(right, "mean", 0.2, (0, -13), label="mean, either start")
    name_curve(right, "spread, offset in the start too", 0.2, (0, 9))
    name_curve(right, "spread, plain start", 0.2, (0, 10))
    _mark_usual_strength(right, colours, last)
    return left


def _mark_usual_strength(ax: Axes, colours: Mapping[str, str], last: float) -> None:
    """A dot and its value on the curve of each name at κ = 0.1, for λ = last at the end."""
    mean, spread = offset_bias(last, 0.1)
    _, plain = offset_bias(last, 0.1, also_at_start=False)
    for (name, shade), value in zip(colours.items(), (mean, spread, plain), strict=True):
        at = 0.1, float(value)
        ax.plot(*at, "o", color=shade, gid=f"κ = 0.1: {name}")
        beside = (2, -14) if name == "mean" or value > 0.9 else (4, 6)
        ax.annotate(f"{value:.2f}", at, beside, textcoords="offset points", fontsize=9)


@figure(
    "straightness",
    "Flow matching from N(0, 1) to N(0, c): even between equal Gaussians paths bend, and for their "
    "energy they bend most there",
)
def straightness_figure(variance: float = 1.0) -> Axes:
    """Draw nine paths with their chords, and S over the energy by the variance.

    Args:
        variance: Variance c of the data on the left.

    Returns:
        The left panel.
    """
    left, right = plots.axes(10.5, 4.2, columns=2)
    flow_paths(variance, left)
    bend_by_variance(right)
    return left


def flow_paths(variance: float = 1.0, ax: Axes | None = None) -> Axes:
    """Draw nine paths of the flow from N(0, 1) to N(0, c) with their chords.

    Args:
        variance: Variance c of the data.
        ax: Axes to draw on; new ones by default.

    Returns:
        The Axes.
    """
    ax = ax or plots.axes(7.2, 4.2)[0]
    t, z = gaussian_flow(variance, 9)
    for k in range(z.shape[1]):
        ax.plot(t, z[:, k, 0], color=OTHERS[2], lw=1.6, gid=f"path {k}", label="path")
        ax.plot(
            [1, 0],
            z[[0, -1], k, 0],
            color="0.6",
            lw=0.9,
            ls="--",
            gid=f"chord {k}",
            label="straight line from start to end",
        )
    ax.set(xlabel=TIME, ylabel="z", title=f"N(0, 1) to N(0, {variance:g}): paths bend inwards")
    low, high = ax.get_ylim()
    ax.set_ylim(low - 0.17 * (high - low), high)
    legend(ax, ax.lines[-2:], loc="lower center", ncols=2)
    from_noise(ax)
    return ax


def bend_by_variance(ax: Axes | None = None) -> Axes:
    """Draw the straightness S over the energy, by the variance of the data.

    Args:
        ax: Axes to draw on; new ones by default.

    Returns:
        The Axes.
    """
    c = np.geomspace(0.01, 100, 101)
    ax = plots.lines(
        c,
        {"closed form": _bend_over_energy(c, np.sqrt(c) * (2 - np.pi / 2))},
        xlabel="variance c of the data",
        ylabel="S over the energy   [0: straight]",
        title="S over the energy is largest at c = 1",
        outside=None,
        colours=lambda name: "0.35",
        ax=ax or plots.axes(7.2, 4.2)[0],
    )
    ax.plot(
        C_VALUES,
        _bend_over_energy(np.array(C_VALUES), np.array(straightness(C_VALUES))),
        "o",
        color=OTHERS[2],
        gid="measured",
        zorder=3,
        label="the flow, integrated",
    )
    ax.set(xscale="log", ylim=(0, 1.1))
    legend(ax, [ax.lines[0], ax.lines[-1]], loc="lower center")  # under the curve
    return ax


def _bend_over_energy(variance: NDArray, bend: NDArray) -> NDArray:
    """S over the energy, the mean of ∫ż² dt, which is S and the chord's (1 − √c)²."""
    return bend / (bend + (1 - np.sqrt(variance)) ** 2)


def _draw_ways(ax: Axes, ways: NDArray, data: NDArray, name: str) -> None:
    """Lines (n, k, 2) with their ends, in the colour of the place where each ends, over the data.

    That is the colour that a pair has in the explorer of couplings.
    """
    colours = walks.end_colours(ways[:, -1], COUPLING_REACH)
    lines = LineCollection(list(ways[:SHOWN_PAIRS]), colors=colours[:SHOWN_PAIRS], gid=name)
    lines.set(linewidth=1.1, alpha=0.6)
    ax.add_collection(lines)
    starts, ends = ways[:, 0], ways[:, -1]
    ax.scatter(starts[:, 0], starts[:, 1], s=14, c=colours, marker="s", lw=0, gid="source")
    ax.scatter(data[:, 0], data[:, 1], s=14, color=walks.GREY, lw=0, gid="data")
    ax.scatter(ends[:, 0], ends[:, 1], s=14, c=colours, lw=0, gid="ends")
    ax.set(xlim=COUPLING_RANGE, ylim=COUPLING_HEIGHTS, aspect="equal", xticks=(), yticks=())


def _draw_pairs(ax: Axes, name: str, coupling: Coupled) -> None:
    """Pairs of a coupling, with the share that crosses and the cost in the title."""
    pairs = np.stack([coupling.source[:SHOWN_PAIRS], coupling.x[:SHOWN_PAIRS]], 1)
    _draw_ways(ax, pairs, coupling.x[:SHOWN_POINTS], f"{name}: pairs")
    numbers = coupling.numbers()
    share = f"{100 * numbers['crossings']:.0f} % cross"
    words = f"{name} pairs\n{share}, cost {numbers['cost']:.1f}"
    ax.set_title(words, fontsize=COUPLING_TYPE)


def _draw_flow(ax: Axes, name: str, coupling: Coupled) -> None:
    """Paths of a flow, with its straightness and path ratio in the title."""
    paths = coupling.z[:, :SHOWN_POINTS].transpose(1, 0, 2)
    _draw_ways(ax, paths, coupling.x[:SHOWN_POINTS], f"{name}: paths")
    numbers = coupling.numbers()
    words = f"{FLOWS[name]}\nS = {numbers['S']:.2g}, path ratio {numbers['path ratio']:.2f}"
    ax.set_title(words, fontsize=COUPLING_TYPE)


def _name_kinds(ax: Axes, end: str) -> None:
    """A legend of the marks of ``_draw_ways``."""
    marks = {"source": ("s", NEUTRAL), end: ("o", NEUTRAL), "data": ("o", walks.GREY)}
    handles = [
        Line2D([], [], ls="", marker=marker, ms=6, mew=0, color=colour, label=label)
        for label, (marker, colour) in marks.items()
    ]
    options = {"loc": "lower right", "handletextpad": 0.1, "fontsize": COUPLING_TYPE - 2}
    legend(ax, handles, **options)


@figure(
    "couplings",
    "Which source goes with which sample: independent, minibatch OT and reflow; crossings, "
    "transport cost, straightness",
)
def couplings_figure(flows: dict[str, Coupled] | None = None) -> Axes:
    """Draw the pairs of three couplings, and below three flows.

    The flows are those of independent pairs, exact and learnt, and that of minibatch OT. The flow
    of reflow looks much like the last one and is left out.

    Args:
        flows: What ``experiments.prior.coupled`` returned; computed by default.

    Returns:
        The first panel.
    """
    panels = plots.axes(11.4, 8.8, columns=3, rows=2)
    flows = coupled() if flows is None else flows
    for name, ax in zip(LEARNT, panels[:3], strict=True):
        _draw_pairs(ax, name.split(",")[0], flows[name])
    for name, ax in zip(FLOWS, panels[3:], strict=True):
        _draw_flow(ax, name, flows[name])
    _name_kinds(panels[0], "end of a pair")
    _name_kinds(panels[3], "end of a path")
    room = {"left": 0.01, "right": 0.99, "bottom": 0.01, "top": 0.93}
    panels[0].figure.subplots_adjust(wspace=0.03, hspace=0.17, **room)
    return panels[0]
