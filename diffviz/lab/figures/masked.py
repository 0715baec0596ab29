"""Figures of masked diffusion: weightings on one axis, exact bounds, trainings, other noises."""

import numpy as np
from matplotlib.axes import Axes

from diffviz import plots
from diffviz.lab.experiments import masked
from diffviz.lab.figures.registry import figure
from diffviz.lab.figures.style import NEUTRAL, draw_under, legend
from diffviz.plots.style import FOCUS, OTHERS

NOISED_LOGSNR = "log-SNR λ = log(α/(1 − α))   [all noised ← → none]"
SHORT = "log-SNR of masking λ   [masked ← → visible]"
COLOURS = dict(zip(masked.CLASSES, plots.PALETTE, strict=False)) | {
    "elbo": "black",
    "any-order": plots.PALETTE[6],
}
FLOOR = "least possible"
DENSITY = "sigmoid(λ) · floor"
BOUND, SAMPLER = "bound in T steps", "sampler in T steps"


def colour(name: str) -> str:
    """The colour of a masked objective, the same in figures and in the explorer."""
    return COLOURS.get(name) or plots.colour(name)


@figure(
    "masked-weightings",
    "Six classes of masked objectives on one axis: the weighting of the cross-entropy summed over "
    "masked tokens, and the same over that of the ELBO",
)
def masked_weightings() -> Axes:
    """Draw weightings of six classes, and their ratio to the ELBO; returns the left panel."""
    left, right = plots.axes(11.5, 4.4, columns=2)
    plots.lines(
        masked.LEVELS,
        masked.curves(masked.CLASSES),
        xlabel=SHORT,
        ylabel="w on Σ cross-entropy, 1 at λ = 0",
        title="six weightings of the cross-entropy",
        colours=colour,
        ax=left,
    )
    left.set_ylim(0, 4.2)
    legend(left, loc="upper left")
    plots.lines(
        masked.LEVELS,
        masked.curves(masked.CLASSES, "elbo"),
        xlabel=SHORT,
        ylabel="w / sigmoid(λ), 1 at λ = 0",
        title="the same over the ELBO's: only the ELBO is flat",
        outside=None,
        colours=colour,
        ax=right,
    )
    right.set_ylim(0, 2.2)
    return left


@figure(
    "masked-elbo",
    "The ELBO of masked diffusion on exact data: its density over log-SNR, and the gap that a "
    "number of steps leaves in the bound and in the sampler",
)
def masked_elbo() -> Axes:
    """Draw the density whose area is the entropy, and gaps by steps; returns the left panel."""
    left, right = plots.axes(11.5, 4.4, columns=2)
    density = masked.elbo_density()
    floor = masked.WORLD.floor(masked.LEVELS)
    plots.lines(
        masked.LEVELS,
        {"floor": floor, DENSITY: density},
        xlabel=SHORT,
        ylabel="nats",
        title=f"the area in grey is the entropy, {masked.WORLD.entropy:.3f} nats",
        colours={"floor": NEUTRAL, DENSITY: "black"}.__getitem__,
        ax=left,
    )
    left.fill_between(masked.LEVELS, density, color="0.85", lw=0, gid="area")
    found = masked.gaps()
    plots.lines(
        found.steps,
        {BOUND: found.bound, SAMPLER: found.sampler},
        xlabel="steps T",
        ylabel="nats over the entropy",
        title="the bound overstates what steps cost",
        colours={BOUND: FOCUS, SAMPLER: OTHERS[5]}.__getitem__,
        ax=right,
    )
    right.set(xscale="log", yscale="log")
    right.set_xticks(found.steps, [str(number) for number in found.steps])
    right.minorticks_off()
    return left


def _draw_seen(ax: Axes, run: masked.TrainedMasked) -> None:
    """The moving loss by log-SNR of one training, its floor, and the trained network's own."""
    curves = {"trained network, exactly": run.exact, FLOOR: masked.WORLD.floor(run.logsnr)}
    plots.lines(
        run.logsnr,
        curves,
        xlabel=SHORT,
        ylabel="cross-entropy over masked tokens, nats",
        title=f"trained under {run.name}: loss and floor",
        colours={"trained network, exactly": colour(run.name), FLOOR: NEUTRAL}.__getitem__,
        ax=ax,
    )
    ax.errorbar(
        run.logsnr,
        run.seen,
        run.stderr,
        fmt=".",
        ms=4,
        lw=0.8,
        color=FOCUS,
        label="moving average, ± 1 standard error",
        gid="seen",
    )
    draw_under(ax, FLOOR)
    legend(ax, fontsize=8.5)


def _draw_left(ax: Axes, seeds: list[list[masked.TrainedMasked]]) -> None:
    """What is left to learn by log-SNR: the mean over seeds in a band from least to most."""
    floor = masked.WORLD.floor(seeds[0][0].logsnr)
    means = {}
    for number, run in enumerate(seeds[0]):
        excess = np.array([runs[number].exact for runs in seeds]) - floor
        means[run.name] = excess.mean(0)
        low, high = excess.min(0), excess.max(0)
        ax.fill_between(run.logsnr, low, high, color=colour(run.name), alpha=0.15, lw=0)
    plots.lines(
        seeds[0][0].logsnr,
        means,
        xlabel=SHORT,
        ylabel="Σ cross-entropy over the floor, nats",
        title="what is left to learn, by λ",
        colours=colour,
        ax=ax,
    )


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
            ax.plot(place + shift, row, "o", ms=4, mfc="white", mec="0.2", mew=1, ls="")
    ax.set_xticks(place, names)
    ax.set(ylabel="nats over the entropy", title="−ELBO (full) and −log p (pale) by seed")


@figure(
    "masked-training",
    "A small transformer trained under four masked objectives: its moving loss by log-SNR over the "
    "least possible one, what is left to learn under each, and its bound and likelihood, for three "
    "seeds",
)
def masked_training() -> Axes:
    """Draw the loss that a training saw, the excess of each, bound and likelihood."""
    first, left, right = plots.axes(14.5, 4.6, columns=3)
    seeds = [masked.trained(seed=seed) for seed in masked.SEEDS]
    _draw_seen(first, seeds[0][0])
    _draw_left(left, seeds)
    _draw_bars(right, seeds)
    return first


@figure(
    "masked-noises",
    "The density of the ELBO over log-SNR for masking, uniform noise and half of each, with the "
    "exact prediction: three curves with the area of the entropy",
)
def masked_noises() -> Axes:
    """Draw the densities of three noises; returns the Axes."""
    densities = masked.noise_densities()
    grid = np.linspace(-8, 8, len(next(iter(densities.values()))))
    colours = dict(zip(densities, ("black", OTHERS[0], OTHERS[6]), strict=True))
    ax = plots.lines(
        grid,
        densities,
        xlabel=NOISED_LOGSNR,
        ylabel="nats of loss for each nat of λ",
        title=f"three tokens: each area is their entropy, {masked.SMALL.entropy:.2f} nats",
        colours=colours.__getitem__,
    )
    legend(ax)
    return ax
