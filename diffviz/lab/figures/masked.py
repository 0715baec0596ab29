"""Figures of masked diffusion: weightings on one axis, exact bounds, trainings, other noises."""

import numpy as np
from matplotlib.axes import Axes

from diffviz import plots
from diffviz.lab.experiments import masked
from diffviz.lab.figures.registry import figure
from diffviz.lab.figures.style import NEUTRAL, legend

MASKED_LOGSNR = "log-SNR of masking λ = log(α/(1 − α))   [all masked ← → none]"
SHORT = "log-SNR of masking λ   [masked ← → visible]"
COLOURS = dict(zip(masked.CLASSES, plots.PALETTE, strict=False)) | {
    "elbo": "black",
    "any-order": plots.PALETTE[6],
}
FLOOR = "least possible"


def colour(name: str) -> str:
    """The colour of a masked objective, or of a noise."""
    return COLOURS.get(name, NEUTRAL)


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
        title="the weighting",
        colours=colour,
        ax=left,
    )
    left.set_ylim(0, 2.2)
    plots.lines(
        masked.LEVELS,
        masked.curves(masked.CLASSES, "elbo"),
        xlabel=SHORT,
        ylabel="w / sigmoid(λ), 1 at λ = 0",
        title="relative to the ELBO",
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
        {"floor": floor, "sigmoid(λ) · floor": density},
        xlabel=SHORT,
        ylabel="nats",
        title=f"the area in grey is the entropy, {masked.WORLD.entropy:.3f} nats",
        colours={"floor": NEUTRAL, "sigmoid(λ) · floor": "black"}.__getitem__,
        ax=left,
    )
    left.fill_between(masked.LEVELS, density, color="0.85", lw=0, gid="area")
    found = masked.gaps()
    plots.lines(
        found.steps,
        {"bound in T steps": found.bound, "sampler in T steps": found.sampler},
        xlabel="steps T",
        ylabel="nats over the entropy",
        title="the exact predictor, in steps",
        colours={
            "bound in T steps": plots.PALETTE[0],
            "sampler in T steps": plots.PALETTE[1],
        }.__getitem__,
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
        title=f"the loss of a training under {run.name}",
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
        color=plots.PALETTE[0],
        label="moving average, ± 1 standard error",
        gid="seen",
    )
    legend(ax, fontsize=8)


@figure(
    "masked-training",
    "A small transformer trained under four masked objectives: its moving loss by log-SNR over the "
    "least possible one, what is left to learn under each, and its bound and likelihood",
)
def masked_training() -> Axes:
    """Draw the loss that a training saw, the excess of each, bound and likelihood."""
    first, left, right = plots.axes(14.5, 4.4, columns=3)
    runs = masked.trained()
    _draw_seen(first, runs[0])
    curves = {}
    for run in runs:
        curves[run.name] = run.exact - masked.WORLD.floor(run.logsnr)
    plots.lines(
        runs[0].logsnr,
        curves,
        xlabel=SHORT,
        ylabel="Σ cross-entropy over the floor, nats",
        title="what is left to learn",
        colours=colour,
        ax=left,
    )
    place = np.arange(len(runs))
    for shift, label, values in (
        (-0.18, "−ELBO", [run.elbo for run in runs]),
        (0.18, "−log p", [run.likelihood for run in runs]),
    ):
        right.bar(
            place + shift,
            np.array(values) - masked.WORLD.entropy,
            0.34,
            color=[colour(run.name) for run in runs],
            alpha=1.0 if shift < 0 else 0.45,
            label=label,
            gid=label,
        )
    right.set_xticks(place, [run.name for run in runs])
    right.set(ylabel="nats over the entropy", title="−ELBO (full) and −log p (pale)")
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
    colours = dict(zip(densities, ("black", *plots.PALETTE), strict=False))
    ax = plots.lines(
        grid,
        densities,
        xlabel=MASKED_LOGSNR,
        ylabel="nats of loss for each nat of λ",
        title="one entropy, three ways to spend it",
        colours=colours.__getitem__,
    )
    legend(ax)
    return ax
