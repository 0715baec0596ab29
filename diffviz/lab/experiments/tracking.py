"""Experiments on tracking: a training watched by log-SNR, laws that adapt to it, and their samples."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

import diffviz as dv
from diffviz.recipes.entries import CATALOGUE
from diffviz.theory.paths import COSINE, LINEAR

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
    curve = np.column_stack([tracker.middle, 2 * objective.law.pdf(tracker.middle) / mean])
    return curve[np.isfinite(mean)]


@lru_cache
def ring_moments() -> NDArray:
    """E‖eps_hat − eps‖² and E‖eps_hat − eps‖⁴ of the exact denoiser on ring8 in the middle of each bin, shape (2, 100)."""
    return np.asarray(dv.toy("ring8").moments(MIDDLE))


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


@lru_cache
def adapted(name: str, steps: int = 1600) -> tuple[NDArray, Any]:
    """Densities on ``MIDDLE`` by block, (blocks + 1, 100), of one of ``RULES`` with flow matching's w on ring8, and the law it ends with."""
    import torch

    from diffviz.learning import variance

    rule, decay, uniform = RULES[name]
    tracker, toy = dv.LossByLogSNR(EDGES, decay), dv.toy("ring8")
    law, rng, generator = (
        dv.AdaptiveObjective(FM, tracker, rule, uniform),
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

    grid = dv.grid(law, steps)
    return dv.sample(
        run, grid, solver="ddim", n=n, generator=torch.Generator().manual_seed(0)
    ).samples
