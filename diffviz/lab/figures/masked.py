"""Figures of masked diffusion: weightings on one axis, exact bounds, trainings, other noises."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray
from scipy.special import expit

from diffviz import plots
from diffviz.lab.experiments import masked
from diffviz.lab.figures.registry import figure
from diffviz.lab.figures.style import (
    NEUTRAL,
    label_ends,
    last_points,
    legend,
    line_of,
    minus,
    name_curve,
    one_of_row,
    share_height,
    title_over,
)
from diffviz.plots.style import BLUES, FOCUS, OTHERS

NOISED_LOGSNR = "log-SNR λ = log(α/(1 − α))   [all noised ← → none]"
SHORT = "log-SNR of masking λ   [masked ← → visible]"
COLOURS = {  # those that stand in one picture differ in hue
    "elbo": plots.colour("elbo"),
    "any-order": plots.PALETTE[0],
    "maskgit": plots.PALETTE[1],
    "maskgit-square-root": plots.PALETTE[2],
    "dplm-linear": plots.PALETTE[3],
    "simple": plots.PALETTE[4],
    "amused": plots.PALETTE[5],
    "simple-batch": plots.PALETTE[8],
    "yours": FOCUS,  # what a reader makes
}
# Each word with the share of visible words from which on it is one of them.
SENTENCE = (
    ("the", 9 / 12),
    ("cat", 5 / 12),
    ("sat", 1 / 12),
    ("on", 7 / 12),
    ("the", 11 / 12),
    ("mat", 3 / 12),
)
WORD_LEVELS = range(-8, 9, 2)  # λ in nats, under which the sentence stands
WORD_BELOW, WORD_LINE = 0.62, 0.15  # inches below the axes, and from one word to the next
HIGHEST = 2.6  # of the ratios to the ELBO that are shown
FLOOR, DENSITY = "C of the exact predictor", "sigmoid(λ) · C"
NOISE_NAMES: dict[str, tuple[float, tuple[float, float], Literal["left", "center", "right"]]] = {
    # where the name of a curve stands in λ, how many points from it, and its side
    "masking": (-1.6, (-7, 0), "right"),
    "uniform": (2.3, (7, 0), "left"),
    "half of each": (0.4, (0, 8), "center"),
}
DOT: dict[str, Any] = {  # a ring with a white rim, which can be seen on any bar
    "ls": "",
    "marker": "o",
    "ms": 5,
    "mfc": "white",
    "mec": "0.2",
    "mew": 1.2,
    "path_effects": [withStroke(linewidth=3, foreground="white")],
}
BOUND, SAMPLER = "bound in T steps", "sampler in T steps"


def colour(name: str) -> str:
    """The colour of a masked objective, the same in figures and in the explorer."""
    return COLOURS.get(name) or plots.colour(name)


@figure(
    "masked-weightings",
    "Five classes of masked objectives on one axis: the weighting of the cross-entropy summed over "
    "masked tokens, and the same over that of the ELBO",
)
def masked_weightings() -> Axes:
    """Draw weightings of five classes, and their ratio to the ELBO; returns the left panel."""
    left, right = plots.axes(13.0, 5.4, columns=2, legend=1.35)
    left.figure.subplots_adjust(wspace=0.5, bottom=0.33)
    weightings = masked.curves(masked.CLASSES)
    plots.lines(
        masked.LEVELS,
        weightings,
        xlabel=SHORT,
        ylabel="w on Σ cross-entropy, 1 at λ = 0",
        title="five weightings of the cross-entropy",
        outside=None,
        colours=colour,
        ax=left,
    )
    left.set_ylim(-0.2, 4.2)  # room for the names that end at 0
    label_ends(left, _ends(weightings), colour)
    ratios = masked.curves(masked.CLASSES, "elbo")
    plots.lines(
        masked.LEVELS,
        ratios,
        xlabel=SHORT,
        ylabel="ratio r to the ELBO's, 1 at λ = 0",
        title="over the ELBO's: only the ELBO is flat everywhere",
        outside=None,
        colours=colour,
        ax=right,
    )
    right.set_ylim(-0.1, HIGHEST)
    label_ends(right, _ends(ratios), colour)
    _say_where_it_leaves(right, "maskgit", ratios["maskgit"])
    for ax in (left, right):
        _write_sentence(ax)
    return left


def masked_words(logsnr: float) -> list[str]:
    """The sentence of the pictures at one level of noise.

    Args:
        logsnr: λ of masking, in nats.

    Returns:
        Its words in their order; one that is hidden is "".
    """
    visible = expit(logsnr)
    return [word if visible > share else "" for word, share in SENTENCE]


def _write_sentence(ax: Axes) -> None:
    """Write the sentence under some levels of the axis, from top to bottom, with grey masks."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    inches = ax.get_position().height * figure.get_figheight()
    height = WORD_LINE * len(SENTENCE)
    bounds = (0.0, -(WORD_BELOW + height) / inches, 1.0, height / inches)
    panel = ax.inset_axes(bounds, label="sentence")
    panel.axis("off")
    panel.set(xlim=ax.get_xlim(), ylim=(len(SENTENCE) - 0.5, -0.5))
    ax.set_xticks(list(WORD_LEVELS))
    for level in WORD_LEVELS:
        for row, word in enumerate(masked_words(level)):
            if word:
                panel.text(level, row, word, ha="center", va="center", fontsize=9)
            else:
                panel.add_patch(Rectangle((level - 0.6, row - 0.36), 1.2, 0.72, color="0.85", lw=0))


def _ends(curves: Mapping[str, NDArray]) -> dict[str, tuple[float, float]]:
    """The last point of each curve."""
    return {name: (masked.LEVELS[-1], float(values[-1])) for name, values in curves.items()}


def _say_where_it_leaves(ax: Axes, name: str, values: NDArray) -> None:
    """Write beside a curve that leaves the top of the picture how high it rises, and when."""
    last = np.flatnonzero(values > HIGHEST)[-1]
    text = f"{name}: {values[0]:.0f} at λ = {masked.LEVELS[0]:g} (long sequences)"
    place = masked.LEVELS[last] + 0.4, 0.97 * HIGHEST
    ax.annotate(minus(text), place, ha="left", va="top", color=colour(name), fontsize=9)


@figure(
    "masked-elbo",
    "The ELBO of masked diffusion on exact data: its density over log-SNR, and what "
    "a number of steps costs the bound and the sampler, in nats above the entropy",
)
def masked_elbo() -> Axes:
    """Draw the density whose area is the entropy, and what steps cost; returns the left panel."""
    left, right = plots.axes(11.5, 4.4, columns=2)
    density = masked.elbo_density()
    floor = masked.WORLD.floor(masked.LEVELS)
    plots.lines(
        masked.LEVELS,
        {FLOOR: floor, DENSITY: density},
        xlabel=SHORT,
        ylabel="nats",
        title=f"the area in blue is the entropy, {masked.WORLD.entropy:.3f} nats",
        colours={FLOOR: NEUTRAL, DENSITY: "black"}.__getitem__,
        ax=left,
    )
    left.fill_between(masked.LEVELS, density, color=BLUES[2], alpha=0.6, lw=0, gid="area")
    found = masked.gaps()
    plots.lines(
        found.steps,
        {BOUND: found.bound, SAMPLER: found.sampler},
        xlabel="steps T",
        ylabel="nats above the entropy",
        title="the bound overstates what steps cost",
        colours={BOUND: FOCUS, SAMPLER: OTHERS[5]}.__getitem__,
        ax=right,
    )
    right.set(xscale="log", yscale="log")
    right.set_xticks(found.steps, [str(number) for number in found.steps])
    right.minorticks_off()
    return left


def _draw_seed(ax: Axes, runs: list[masked.TrainedMasked]) -> None:
    """What is left to learn by log-SNR in the trainings of one seed."""
    floor = masked.WORLD.floor(runs[0].logsnr)
    plots.lines(
        runs[0].logsnr,
        {run.name: run.exact - floor for run in runs},
        xlabel="λ   [masked ← → visible]",
        ylabel="",
        colours=colour,
        outside=None,
        ax=ax,
    )
    for run in runs:
        line_of(ax, run.name).set_linestyle("-")  # the colours tell them apart
    ax.set_yscale("log")


def _draw_seeds(panels: Sequence[Axes], seeds: list[list[masked.TrainedMasked]]) -> None:
    """A panel for each seed on one scale, with the names at the ends of the last."""
    for ax, seed, runs in zip(panels, masked.SEEDS, seeds, strict=True):
        _draw_seed(ax, runs)
        ax.set_title(f"seed {seed}", fontsize=12)
    share_height(panels)
    panels[0].set_ylabel("C above its least, nats")
    label_ends(panels[-1], last_points(panels[-1]), colour, leaders=False, apart=0.06)
    title = "elbo has most left at every λ; below −3 maskgit or simple has least"
    title_over(panels, title, 1.12, 13)


def _draw_bars(ax: Axes, seeds: list[list[masked.TrainedMasked]]) -> None:
    """Bound and likelihood over the entropy: bars are means over seeds, dots the seeds."""
    names = [run.name for run in seeds[0]]
    bounds = np.array([[run.elbo for run in runs] for runs in seeds]) - masked.WORLD.entropy
    likely = np.array([[run.likelihood for run in runs] for runs in seeds]) - masked.WORLD.entropy
    place = np.arange(len(names))
    for shift, label, values in ((-0.18, "−ELBO", bounds), (0.18, "−log p", likely)):
        ax.bar(
            place + shift,
            values.mean(0),
            0.34,
            color=[colour(name) for name in names],
            alpha=0.8 if shift < 0 else 0.35,
            label=label,
            gid=label,
        )
        for row in values:
            ax.plot(place + shift, row, **DOT)
    ax.set_xticks(place, names, fontsize=12)
    ax.set_ylabel("nats above the entropy")
    ax.set_title("any-order is best and elbo worst, at each seed (dots)", fontsize=13)
    patches = [Patch(color="0.3"), Patch(color="0.3", alpha=0.4)]
    legend(ax, patches, labels=["−ELBO", "−log p"], loc="upper right")


@figure(
    "masked-training",
    "A small transformer trained under four masked objectives: what is left to learn under each by "
    "log-SNR, and its bound and likelihood, for three seeds",
)
def masked_training() -> Axes:
    """Draw what is left in each training, its bound and its likelihood; returns the first panel."""
    panels = plots.axes(12.0, 8.4, columns=len(masked.SEEDS), rows=2)
    upper = panels[: len(masked.SEEDS)]
    bars = one_of_row(panels[len(masked.SEEDS) :], 1)
    bars.figure.subplots_adjust(top=0.91, right=0.9, wspace=0.08, hspace=0.42)
    seeds = [masked.trained(seed=seed) for seed in masked.SEEDS]
    _draw_seeds(upper, seeds)
    _draw_bars(bars, seeds)
    return upper[0]


@figure(
    "masked-noises",
    "The density of the ELBO over log-SNR for masking, uniform noise and half of each, with the "
    "exact prediction: three curves with the area of the entropy",
)
def masked_noises() -> Axes:
    """Draw the densities of three noises; returns the Axes."""
    densities = masked.noise_densities()
    grid = np.linspace(-8, 8, len(next(iter(densities.values()))))
    colours = dict(zip(densities, ("black", plots.PALETTE[6], plots.PALETTE[7]), strict=True))
    ax = plots.lines(
        grid,
        densities,
        xlabel=NOISED_LOGSNR,
        ylabel="nats of loss for each nat of λ",
        title=f"three tokens: each area is their entropy, {masked.SMALL.entropy:.2f} nats",
        colours=colours.__getitem__,
        outside=None,
    )
    ax.set_ylim(top=0.72)
    for name, (at, offset, side) in NOISE_NAMES.items():
        name_curve(ax, name, at, offset, ha=side)
    return ax
