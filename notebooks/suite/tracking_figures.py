"""Figures 15, 16 and 33: the loss by noise level of a training, schedules that adapt to it, and what a sampler makes of either."""

from functools import lru_cache
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy import stats

import diffviz as dv
from diffviz import plots
from diffviz.paths import COSINE, LINEAR
from diffviz.recipes import CATALOGUE
from suite.figures import figure

EDGES = np.linspace(-10, 10, 101)
MIDDLE, WIDTH = (EDGES[1:] + EDGES[:-1]) / 2, 0.2
DECAYS = 0.9, 0.99, 0.999
FM = CATALOGUE["fm-ot"]
RULES = {  # name in the picture: rule, decay of the tracker, uniform share
    "Kingma–Gao": ("kingma-gao", 0.99, 0.05),
    "minimum variance": ("minimum-variance", 0.99, 0.05),
    "second moment (iDDPM)": (
        "second-moment",
        0.9,
        0.001,
    ),  # a history of ten, a share of 0.001: arXiv 2102.09672
    "VDM": ("vdm", 0.99, 0.05),
    "time warp (CDCD)": ("time-warp", 0.99, 0.05),
}
BLOCK, BATCH = 32, 128  # the law is looked up once a block of steps


def log_variance(tracker: "dv.LossByLogSNR", objective: dv.Objective) -> NDArray:
    """The weighting where EDM2's learned uncertainty ends, a table (n, 2) for ``dv.from_weighting``. This one does change w.

    E[L/e^u + u] is least at u = log E L; L = factor ‖·‖² leaves w/(factor E‖·‖²) = 2p/E‖·‖² (arXiv 2312.02696, eq. 14–21).
    """
    mean = np.reshape(tracker.curve()[0], (-1, len(tracker.middle)))[0]
    return np.column_stack([tracker.middle, 2 * objective.law.pdf(tracker.middle) / mean])[
        np.isfinite(mean)
    ]


@lru_cache
def ring_moments() -> NDArray:
    """E‖eps_hat − eps‖² and E‖eps_hat − eps‖⁴ of the exact denoiser on ring8 in the middle of each bin, shape (2, 100)."""
    return dv.toy("ring8").moments(MIDDLE)


@lru_cache
def tracked_training(steps: int = 800):
    """A small network trained on ring8 with flow matching, its loss by noise level at three decays: the tracker."""
    import torch

    tracker = dv.LossByLogSNR(EDGES, DECAYS)
    x = dv.toy("ring8").sample(50_000, torch.Generator().manual_seed(0)).float()
    dv.fit(
        "fm-ot",
        x,
        steps=steps,
        progress=False,
        callback=lambda step: tracker.update(step.logsnr, step.error),
    )
    return tracker


@figure(
    "ema-loss",
    "Loss by noise level while training: moving averages in 100 bins at three decays, the irreducible loss under them",
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


@lru_cache
def adapted(name: str, steps: int = 1600) -> tuple[NDArray, Any]:
    """Densities on ``MIDDLE`` by block, (blocks + 1, 100), of one of ``RULES`` with flow matching's w on ring8, and the law it ends with."""
    import torch

    from suite import variance

    rule, decay, uniform = RULES[name]
    tracker, toy = dv.LossByLogSNR(EDGES, decay), dv.toy("ring8")
    law, rng, generator = (
        dv.Adaptive(FM, tracker, rule, uniform),
        np.random.default_rng(0),
        torch.Generator().manual_seed(0),
    )
    found = [law.law.pdf(MIDDLE)]
    for _ in range(steps // BLOCK):
        logsnr = law.draw(BLOCK * BATCH, rng)[0]
        pairs = np.stack([logsnr, variance.squared_errors(toy, logsnr, generator)])
        for batch in np.split(pairs, BLOCK, axis=1):
            tracker.update(*batch)
        found.append(law.law.pdf(MIDDLE))
    return np.array(found), law


def over_least(p: NDArray) -> NDArray:
    """E Y² of one draw under densities p (..., 100) over the least under any, flow matching's w on ring8 cut to [−10, 10]."""
    share, square = p / p.sum(-1, keepdims=True), FM.weighting(MIDDLE) ** 2 * ring_moments()[1]
    return (square / share).sum(-1) / np.sqrt(square).sum() ** 2


@figure(
    "adaptive-schedules",
    "Densities that five adaptive rules learn, what they save in variance, and EDM2's log-variance, which changes the weighting",
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


GRIDS = {
    "cosine": COSINE.schedule,
    "log-normal σ (EDM)": stats.norm(2.4, 2.4),
    "uniform λ": stats.uniform(-10, 24),
}
TRAINED = {"uniform t": LINEAR.schedule, "uniform λ": stats.uniform(-10, 24)}
STEPS = 4, 8, 16, 32


class Distance:
    """Sliced Wasserstein-2 (64 directions) from points of the plane to 4,000 held-out points of a toy, in units of ``floor``, the median
    of that from 20 sets of as many true points."""

    def __init__(self, toy, n: int = 4000):
        import torch

        draw = lambda seed: toy.sample(n, torch.Generator().manual_seed(seed)).float()
        angle = torch.arange(64) * torch.pi / 64
        self.directions = torch.stack([angle.cos(), angle.sin()])
        self.held, self.floor = (draw(1000) @ self.directions).sort(0).values, 1.0
        self.floors = np.array([self(draw(2000 + i)) for i in range(20)])
        self.floor = float(np.median(self.floors))

    def __call__(self, x) -> float:
        return (
            (x.float() @ self.directions).sort(0).values - self.held
        ).square().mean().sqrt().item() / self.floor


def sampled(run, law, steps: int, n: int = 4000):
    """Samples of a run along a grid of equal shares of ``law``, by DDIM from one and the same noise."""
    import torch

    grid = dv.samplers.grid_of(law, steps)
    return dv.sample(
        run, grid, solver="ddim", n=n, generator=torch.Generator().manual_seed(0)
    ).samples


@figure(
    "density-or-grid",
    "One weighting trained under two densities of log-SNR, both sampled on three grids: the grid sets the quality, not the training's density",
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
