"""Figures 15, 16 and 33: the loss by noise level of a training, schedules that adapt to it, and what a sampler makes of either."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

import diffviz as dv
from diffviz import plots
from diffviz.lab.experiments.tracking import (
    BLOCK,
    DECAYS,
    EDGES,
    FM,
    GRIDS,
    MIDDLE,
    RULES,
    STEPS,
    TRAINED,
    WIDTH,
    Distance,
    adapted,
    log_variance,
    over_least,
    ring_moments,
    sampled,
    tracked_training,
)
from diffviz.lab.figures.registry import figure
from diffviz.theory.paths import COSINE, LINEAR


@figure(
    "ema-loss",
    "Loss by noise level while training: moving averages in 100 bins at three decays, the "
    "irreducible loss under them",
)
def ema_loss() -> Axes:
    left, right = plots.axes(11.5, 4.4, columns=2)
    (mean, stderr, _), floor = tracked_training().curve(), ring_moments()[0]
    curves = {f"decay {decay:g}": row for decay, row in zip(DECAYS, mean, strict=True)} | {
        "exact denoiser": floor
    }
    words: dict[str, Any] = {
        "xlabel": plots.LOGSNR,
        "ylabel": "E‖ε̂ − ε‖², summed over 2 dimensions",
        "title": "the loss in 100 bins of λ",
    }
    ink = lambda name: (
        "black" if name == "exact denoiser" else plots.PALETTE[list(curves).index(name)]
    )
    plots.lines(MIDDLE, curves, **words, colours=ink, ax=left)
    left.set_yscale("log")
    above = {name: row / floor for name, row in curves.items()}
    words = {
        "xlabel": plots.LOGSNR,
        "ylabel": "loss / irreducible loss",
        "title": "over the floor, ± 1 standard error",
    }
    plots.lines(MIDDLE, above, **words, outside=None, colours=ink, ax=right)
    for (name, row), error in zip(above.items(), stderr / floor, strict=False):
        right.fill_between(
            MIDDLE, row - error, row + error, color=ink(name), alpha=0.2, lw=0, gid=f"{name}:stderr"
        )
    right.set_ylim(0.6, 2.4)
    return left


@figure(
    "adaptive-schedules",
    "Densities that five adaptive rules learn, what they save in variance, and EDM2's "
    "log-variance, which changes the weighting",
)
def adaptive_schedules() -> Axes:
    left, middle, right = plots.axes(14.5, 4.4, columns=3)
    paths = {name: adapted(name)[0] for name in RULES}
    greys = {
        "least variance": "black",
        "FM, uniform t": "0.4",
        "cosine": "0.4",
        "flow matching": "0.4",
        "EDM2 log-variance": "#882255",
    }
    ink = lambda name: greys.get(name) or plots.PALETTE[list(RULES).index(name)]
    best = FM.weighting(MIDDLE) * np.sqrt(ring_moments()[1])
    laws = {name: path[-1] for name, path in paths.items()} | {
        "least variance": best / best.sum() / WIDTH
    }
    plots.lines(
        MIDDLE,
        laws,
        xlabel=plots.LOGSNR,
        ylabel="density p(λ) per nat",
        title="learned densities",
        colours=ink,
        ax=left,
    )
    left.set_ylim(0, 0.5)  # room for the legend
    steps = BLOCK * np.arange(len(paths["VDM"]))
    ratios = {name: over_least(path) for name, path in paths.items()}
    still = {"FM, uniform t": LINEAR.schedule, "cosine": COSINE.schedule}
    ratios |= {
        name: np.full(len(steps), over_least(law.pdf(MIDDLE))) for name, law in still.items()
    }
    words: dict[str, Any] = {
        "xlabel": "step",
        "ylabel": "E Y² / least E Y²",
        "title": "noise of the loss's value, same w",
    }
    plots.lines(steps, ratios, **words, outside=None, colours=ink, ax=middle)
    middle.set_ylim(0.95, 2.6)
    flat = [line for line in middle.lines if line.get_gid() in still]
    middle.legend(
        flat,
        [f"{name}: {ratios[name][0]:.3f}" for name in still],
        frameon=False,
        fontsize=9,
        handlelength=3,
    )
    law = adapted("Kingma–Gao")[1]
    logsnr, factor = law.draw(200_000, np.random.default_rng(1))
    drawn = (
        2 * np.histogram(logsnr, EDGES, weights=factor)[0] / len(factor) / WIDTH
    )  # 2 E factor per nat is w, whatever draws
    seen, changed = log_variance(law.tracker, FM).T
    curves = {
        "flow matching": FM.weighting(MIDDLE),
        "Kingma–Gao": drawn,
        "EDM2 log-variance": np.interp(MIDDLE, seen, changed),
    }
    logs = {name: plots.scaled(w, MIDDLE, "log10, anchored") for name, w in curves.items()}
    label = plots.SCALES["log10, anchored"][1].format("ε", 0)
    plots.lines(
        MIDDLE,
        logs,
        xlabel=plots.LOGSNR,
        ylabel=label,
        title="the weighting: kept, and changed",
        colours=ink,
        ax=right,
    )
    return left


@figure(
    "density-or-grid",
    "One weighting trained under two densities of log-SNR, both sampled on three grids: the grid "
    "sets the quality, not the training's density",
)
def train_sample_schedules() -> Axes:
    import torch

    axes = plots.axes(14.5, 4.4, columns=3)
    moons, pair = (
        dv.toy("moons"),
        [dv.from_weighting(FM.weighting, law, name) for name, law in TRAINED.items()],
    )
    x = moons.sample(50_000, torch.Generator().manual_seed(0)).float()
    runs, far = dv.fit(pair, x, progress=False), Distance(moons)
    found = {
        f"{place} grid, trained with {run.name}": [far(sampled(run, law, steps)) for steps in STEPS]
        for place, law in GRIDS.items()
        for run in runs
    }
    ink = lambda name: (
        "0.4"
        if name == "truth"
        else plots.PALETTE[[name.startswith(place) for place in GRIDS].index(True)]
    )
    words: dict[str, Any] = {
        "xlabel": "steps of DDIM",
        "ylabel": "sliced W₂ to the truth, in floors",
        "title": "two trainings, three grids",
    }
    plots.lines(STEPS, found | {"truth": [1.0] * len(STEPS)}, **words, colours=ink, ax=axes[0])
    for line in axes[0].lines:
        line.set_linestyle("--" if str(line.get_gid()).endswith("trained with uniform λ") else "-")
    axes[0].set(yscale="log", ylim=(0.8, 150))
    axes[0].legend(frameon=False, fontsize=8, handlelength=3)
    for ax, place in zip(axes[1:], ("cosine", "uniform λ"), strict=True):
        z = sampled(runs[1], GRIDS[place], 8, 1500).numpy()
        ax.plot(*x[:1500].T.numpy(), ".", ms=2, color="0.8", gid="truth")
        ax.plot(*z.T, ".", ms=2, color=plots.PALETTE[list(GRIDS).index(place)], gid="samples")
        ax.set(title=f"uniform-λ training, 8 steps, {place} grid", xlim=(-1.7, 2.7))
        ax.set_aspect("equal", adjustable="datalim")
    return axes[0]
