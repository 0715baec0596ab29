"""Figures of the weighted loss as a mixture of ELBOs, the terms of one, and its rivals."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MultipleLocator
from numpy.typing import NDArray

from diffviz import plots
from diffviz.checks import count
from diffviz.lab.experiments.elbo import (
    Divergences,
    EndPoints,
    Routes,
    divergences,
    end_points,
    probe_spread,
    routes,
)
from diffviz.lab.figures.registry import figure
from diffviz.lab.figures.style import (
    NEUTRAL,
    OTHERS,
    SHORT_LOGSNR,
    draw_under,
    label_ends,
    last_points,
    legend,
    line_of,
    set_gaps,
)
from diffviz.plots.style import BEST, NEGATIVE

# One colour for one quantity in all pictures of this file.
SHADE_OF = {
    "diffusion": OTHERS[0],
    "reconstruction": plots.PALETTE[0],
    "prior": OTHERS[2],
    "−ELBO": BEST,
    "ODE": OTHERS[4],
}
# of three points, and of their mean, which is −ELBO up to a constant; far from those of objectives
RED_TIMES = 50  # by which EDM's red is enlarged, as in the explorer at first
POINT_SHADES = (plots.PALETTE[0], plots.PALETTE[3], plots.PALETTE[9], SHADE_OF["−ELBO"])


@figure(
    "augmentation",
    "Two weightings, their signed laws of noise −w′, L(λ; x) on gmm1, and the product −w′ · L: a "
    "falling weighting is a sum of ELBOs, EDM's a mixture with a minus",
)
def augmentation(losses: Divergences | None = None) -> Axes:
    """Draw two weightings, their slopes, L(λ; x) of points, and what each ELBO adds to the loss.

    Args:
        losses: What ``experiments.elbo.divergences`` returned; computed by default.

    Returns:
        The first of four panels: w, −w′, L, −w′ · L.
    """
    losses = divergences() if losses is None else losses
    panels = plots.axes(10.5, 7, columns=2, rows=2)
    logsnr, mean = losses.logsnr, losses.curves["mean"]
    laws = {name: loss.law for name, loss in losses.mixtures.items()}
    shades = dict(zip(losses.curves, POINT_SHADES, strict=False))
    drawn: tuple[tuple[str, str, Mapping[str, NDArray]], ...] = (
        (
            "one weighting falls, one has a peak",
            "w over its maximum",
            {name: loss.weighting for name, loss in losses.mixtures.items()},
        ),
        ("the slope −w′: red where w rises", "−w′ over the maximum of w", laws),
        ("L on gmm1 is almost 0 at the noise end", "L, nats", losses.curves),
        (
            "so −w′ · L has next to no red",
            "−w′ · L, over the maximum of w",
            {name: law * mean for name, law in laws.items()},
        ),
    )
    for ax, (title, ylabel, curves) in zip(panels, drawn, strict=True):
        colours = shades.__getitem__ if curves is losses.curves else plots.colour
        plots.lines(
            logsnr,
            curves,
            xlabel=SHORT_LOGSNR,
            ylabel=ylabel,
            title=title,
            colours=colours,
            outside=None,
            ax=ax,
        )
        ax.xaxis.set_major_locator(MultipleLocator(5))
    for ax in panels[:2]:
        legend(ax)
    line_of(panels[2], "mean").set_linewidth(3.5)
    label_ends(panels[2], last_points(panels[2]), shades.__getitem__, size=10)
    for ax in (panels[1], panels[3]):
        _fill_negative(ax, logsnr, laws, mean if ax is panels[3] else np.ones_like(mean))
    _tell_both_routes(panels[3], losses)
    _enlarge_red(panels[3], logsnr, laws["edm"] * mean)
    panels[0].figure.subplots_adjust(wspace=0.42)  # room for names
    return panels[0]


def _enlarge_red(ax: Axes, logsnr: NDArray, added: NDArray) -> None:
    """Draw what EDM has below 0 again in a frame, on a vertical scale of its own."""
    below = np.minimum(added, 0)
    left, right = logsnr[0], np.ceil(logsnr[below < 0].max())
    bottom, height = 0.25 * ax.get_ylim()[1], RED_TIMES * -below.min()
    inset = ax.inset_axes((left, bottom, right - left, height), transform=ax.transData)
    inset.set_label("enlarged")
    inset.fill_between(logsnr, below, 0, color=NEGATIVE, alpha=0.6, lw=0)
    inset.axhline(0, color=NEUTRAL, lw=0.8)
    inset.set(xlim=(left, right), ylim=(below.min(), 0), xticks=(), yticks=())
    inset.set_title(f"edm: red × {RED_TIMES}", fontsize=9)
    inset.spines[["top", "right"]].set_visible(False)


def _fill_negative(ax: Axes, logsnr: NDArray, laws: Mapping[str, NDArray], factor: NDArray) -> None:
    """Fill what is negative of each law times a factor, and draw the line of 0."""
    for name, law in laws.items():
        below = np.minimum(law * factor, 0)
        gid = f"{name}:negative"
        ax.fill_between(logsnr, below, 0, color=NEGATIVE, alpha=0.6, lw=0, gid=gid)
    ax.axhline(0, color=NEUTRAL, lw=0.8)


def _tell_both_routes(ax: Axes, losses: Divergences) -> None:
    """Write into the legend what the loss adds up to by ELBOs and by errors."""
    told = [
        f"{name}: {loss.mixture:.3f} by ELBOs, {loss.direct:.3f} by errors"
        for name, loss in losses.mixtures.items()
    ]
    ax.set_ylim(top=1.35 * ax.get_ylim()[1])  # room for the legend
    legend(ax, [line_of(ax, name) for name in losses.mixtures], labels=told, loc="upper left")


@figure(
    "elbo-terms",
    "The three terms of −ELBO over the end points of λ, ring8: in nats and in nats over d log 2, "
    "and what is left of the gap",
)
def elbo_terms(ring: EndPoints | None = None) -> Axes:
    """Draw the terms over λ_max, and the gaps at both ends.

    Args:
        ring: What ``experiments.elbo.end_points`` returned; computed by default.

    Returns:
        The left panel.
    """
    left, middle, right = plots.axes(13, 4.2, columns=3)
    ring = end_points() if ring is None else ring
    label = "$\\lambda_{\\max}$   [$\\lambda_{\\min}$ = −10]"
    prior = np.full(len(ring.high), np.interp(-10, ring.low, ring.prior))
    plots.lines(
        ring.high,
        {"prior": prior, **ring.terms},
        xlabel=label,
        ylabel="nats",
        title="two large terms; the sum settles",
        colours=SHADE_OF.__getitem__,
        ax=left,
    )
    left.set_ylim(bottom=-28)  # room for the frame
    label_ends(left, last_points(left), SHADE_OF.__getitem__, size=10)
    left.axhline(ring.entropy, color=NEUTRAL, ls=":", lw=1.2, gid="entropy", label="entropy")
    legend(left, [line_of(left, "entropy")], loc="upper left")
    _enlarge_sum(left, ring)
    gaps = {
        "E[−ELBO] − entropy": ring.reconstruction_gap,
        "½ e^(−λ_max) · 200": ring.leading_gap,
    }
    title = "what is lost at the data end"
    plots.lines(
        ring.high,
        gaps,
        xlabel=label,
        ylabel="nats",
        title=title,
        colours=dict(zip(gaps, (SHADE_OF["−ELBO"], NEUTRAL), strict=True)).__getitem__,
        ax=middle,
    )
    draw_under(middle, "E[−ELBO] − entropy")
    line_of(middle, "½ e^(−λ_max) · 200").set(ls="--", lw=1.4)
    told = ["E[−ELBO] − entropy", "½ exp(−$\\lambda_{\\max}$) · 200"]
    legend(middle, [line_of(middle, name) for name in gaps], labels=told, handlelength=3)
    ends = {"prior term": ring.prior, "lost: prior term − I(x; z_λ_min)": ring.prior_gap}
    plots.lines(
        ring.low,
        ends,
        xlabel="$\\lambda_{\\min}$",
        ylabel="nats",
        title="the prior term, and what of it is lost",
        colours=dict(zip(ends, (SHADE_OF["prior"], NEUTRAL), strict=True)).__getitem__,
        ax=right,
    )
    told = ["prior term", "lost: prior term − I(x; z) at $\\lambda_{\\min}$"]
    legend(right, [line_of(right, name) for name in ends], labels=told, loc="upper left")
    for ax in (middle, right):
        ax.set_yscale("log")
    for ax in (left, middle):
        ax.xaxis.set_major_locator(MultipleLocator(4))
    middle.set_ylim(1e-7, 20)
    right.set_ylim(1e-10, 3)
    right.set_xticks(range(-14, 1, 2))
    set_gaps((left, middle, right), (1.75, 0.85))  # names stand at the ends of the left one
    return left


def _enlarge_sum(ax: Axes, ring: EndPoints) -> None:
    """Draw −ELBO and the entropy again in a frame, where the one settles at the other."""
    inset = ax.inset_axes((0.11, 0.09, 0.4, 0.22), label="enlarged")
    shown = (ring.high >= 4) & (ring.high <= 12)
    high, total = ring.high[shown], ring.terms["−ELBO"][shown]
    inset.plot(high, total, color=SHADE_OF["−ELBO"], gid="−ELBO")
    inset.axhline(ring.entropy, color=NEUTRAL, ls=":", lw=1.2, gid="entropy")
    inset.set(xlim=(4, 12), ylim=(0, 1.5), xticks=(4, 8, 12), yticks=(0, 1))
    inset.tick_params(labelsize=9)
    inset.set_title("−ELBO, enlarged", fontsize=9)
    inset.spines[["top", "right"]].set_visible(False)


def _draw_probes(ax: Axes) -> None:
    """The spread of Hutchinson's estimate over the number of probes, both kinds of probe."""
    probes = 2 ** np.arange(7)
    kinds = (("±1", False, "o", OTHERS[5]), ("Gaussian", True, "s", OTHERS[7]))
    for name, gaussian, marker, colour in kinds:
        spread = probe_spread(gaussian)
        ax.plot(probes, spread, marker, color=colour, label=f"{name} probes", gid=name)
        ax.plot(probes, spread[0] / np.sqrt(probes), ":", color=colour)
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="probes   (dotted: 1/√probes)",
        ylabel="standard deviation, nats",
        title="Hutchinson, gmm2d at (0, 0)",
    )
    ax.set_xticks(probes, probes, minor=False)
    ax.minorticks_off()
    ax.set_yticks([0.3, 1, 3, 10], ["0.3", "1", "3", "10"])
    legend(ax)


@figure(
    "ode-likelihood",
    "Exact log-density, ODE and ELBO on mixtures; the error of Hutchinson's estimate by number "
    "of probes",
)
def ode_likelihood(found: Routes | None = None) -> Axes:
    """Draw three routes to −log p, their differences, and Hutchinson's error.

    Args:
        found: What ``experiments.elbo.routes`` returned; computed by default.

    Returns:
        The first panel.
    """
    left, middle, right = plots.axes(13, 4.2, columns=3)
    x, exact, ode, bound = routes() if found is None else found
    nats = {"exact −log p": exact, "ODE": ode, "−ELBO": bound}
    colours = {"exact −log p": NEUTRAL, **SHADE_OF}
    plots.lines(
        x,
        nats,
        xlabel="x",
        ylabel="nats",
        title="three routes, one curve (gmm1)",
        colours=colours.__getitem__,
        ax=left,
    )
    draw_under(left, "exact −log p")
    line_of(left, "ODE").set(ls="-", lw=1.2)
    line_of(left, "−ELBO").set(ls=plots.DASHES[1], lw=2)
    told = ["exact −log $p_{\\mathrm{data}}$", "ODE", "−ELBO"]
    legend(left, [line_of(left, name) for name in nats], labels=told, handlelength=3)
    thousandths = {"ODE": 1e3 * (ode - exact), "−ELBO": 1e3 * (bound - exact)}
    plots.lines(
        x,
        thousandths,
        xlabel="x",
        ylabel="10⁻³ nats above −log $p_{\\mathrm{data}}$",
        title="ODE and −ELBO, less the exact one",
        colours=colours.__getitem__,
        ax=middle,
    )
    middle.axhline(0, color=NEUTRAL, lw=0.8)
    _draw_probes(right)
    return left


def _draw_arrow(ax: Axes, start: float, end: float, height: float, name: str, colour: str) -> None:
    """An arrow from one variable to the next, with what it is over or under it."""
    arrow = {"arrowstyle": "-|>", "color": colour, "lw": 1.8, "connectionstyle": "arc3,rad=0.35"}
    ax.annotate("", (end, height), (start, height), arrowprops=arrow)
    above = end < start
    ax.text(
        (start + end) / 2,
        height + (0.42 if above else -0.42),
        name,
        ha="center",
        va="bottom" if above else "top",
        color=colour,
        fontsize=10,
    )


@figure(
    "vae-stack",
    "A diffusion model as a stack of VAEs: fixed encoders towards noise, learnt decoders back, and "
    "the terms of the ELBO",
)
def vae_stack(layers: int = 2) -> Axes:
    """Draw variables from noise on the left to data, encoders, decoders, and the three terms.

    A decoder has the colour of the term that it belongs to.

    Args:
        layers: Number T of decoders that are learnt, at least 1; there is one encoder more.

    Returns:
        The Axes.

    Raises:
        ValueError: ``layers`` is below 1.
    """
    layers = count(layers, "layers", least=1)
    steps = layers + 1
    ax = plots.axes(11, 3.5)[0]
    names = [f"z at λ{chr(0x2080 + k)}" for k in range(1, steps + 1)]
    names = [f"{names[0]} = $\\lambda_{{\\min}}$", *names[1:], "data x"]
    names[layers] += " = $\\lambda_{\\max}$"
    for place, name in enumerate(names):
        style = {"boxstyle": "round,pad=0.5", "fc": "white", "ec": NEUTRAL, "lw": 1.5}
        ax.text(place, 0, name, ha="center", va="center", fontsize=11, bbox=style, gid=name)
    for place in range(steps):
        left, right = place + 0.14, place + 0.86
        _draw_arrow(ax, right, left, 0.28, "encoder: adds noise", "0.35")
        is_last = place == layers  # it adds what noise is left, and has no network
        words = "decoder: N(z/α, σ²/α²)" if is_last else "decoder: uses x̂(z, λ)"
        shade = SHADE_OF["reconstruction" if is_last else "diffusion"]
        _draw_arrow(ax, left, right, -0.28, words, shade)
    spans = (
        (-0.28, 0.28, "prior"),
        (0.28, layers, "diffusion: one KL for each learnt decoder"),
        (layers, steps, "reconstruction"),
    )
    for left, right, name in spans:
        shade = SHADE_OF[name.split(":", maxsplit=1)[0]]
        ax.plot([left + 0.06, right - 0.06], [-1.3] * 2, color=shade, lw=3, gid=name)
        ax.text((left + right) / 2, -1.4, name, ha="center", va="top", color=shade)
    ax.set(xlim=(-0.45, steps + 0.35), ylim=(-1.85, 1.15))
    ax.axis("off")
    ax.set_title(
        f"{steps} encoders, {layers} learnt decoders, and 3 terms of the ELBO", fontsize=11
    )
    ax.figure.subplots_adjust(left=0.02, right=0.98, bottom=0.03, top=0.9)
    return ax
