"""Experiments on training: networks under several objectives, their excess over the floor, samples."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from diffviz.recipes.entries import objective
from diffviz.theory import multipliers
from diffviz.theory.objectives import Objective, from_weighting

NAMES = ("elbo", "iddpm-cosine", "fm-ot", "edm", "sd3")
GRID = np.linspace(-8, 14, 45)
SMALL, LARGE, SEEDS = 8, 64, (0, 1, 2)


def chosen(*names: str) -> list[Objective]:
    """Objectives by name. The ELBO of the catalogue looks with the cosine density; here it looks evenly, up to the least noise."""
    even = from_weighting(multipliers.constant, stats.uniform(-10, 24), "elbo")
    return [even if name == "elbo" else objective(name) for name in names or NAMES]


class Truth:
    """A toy of unit variance in the plane, 20,000 points to train on, and what an exact denoiser knows at fixed points."""

    def __init__(self, name: str = "ring8", grid: NDArray = GRID, points: int = 512):
        import torch

        from diffviz.data.toys import toy
        from diffviz.theory.frames import VP

        self.toy, self.grid = toy(name, unit=True), grid
        draw = torch.Generator().manual_seed(0)
        self.data = self.toy.sample(20_000, draw).float()
        x, eps = (
            self.toy.sample(points, draw),
            torch.randn(points, 2, generator=draw, dtype=torch.float64),
        )
        level = torch.from_numpy(np.repeat(grid, points))
        self.level, (alpha, sigma) = (
            level,
            (torch.from_numpy(f(level.numpy()))[:, None] for f in (VP.alpha, VP.sigma)),
        )
        self.z = alpha * x.repeat(len(grid), 1) + sigma * eps.repeat(len(grid), 1)
        rows = [
            self.toy.law.posterior(*piece)
            for piece in zip(*(a.split(points) for a in (self.z, alpha, sigma)), strict=True)
        ]
        self.x_hat = torch.cat([row.x_hat for row in rows])
        self.mmse = np.array([row.error.mean() for row in rows])

    def excess(self, model) -> NDArray:
        """E‖eps_hat − eps_hat*‖², summed over dimensions, at each level of the grid; of anything with ``denoise``."""
        import torch

        with torch.no_grad():
            off = (model.denoise(self.z, self.level) - self.x_hat).square().sum(1)
        return np.exp(self.grid) * off.reshape(len(self.grid), -1).mean(1).numpy()


@cache
def truth(name: str = "ring8", points: int = 512) -> Truth:
    """Made once."""
    return Truth(name, points=points)


@cache
def floor(logsnr: tuple[float, ...] = tuple(GRID), name: str = "ring8") -> NDArray:
    """mmse by quadrature: the least eps squared error of any denoiser at those levels."""
    return np.asarray(truth(name).toy.mmse(np.array(logsnr)))


def samples(model, n: int = 2000, steps: int = 24, seed: int = 0, solver: str = "heun") -> NDArray:
    """Samples (n, 2) by a grid uniform in flow-matching time, from the same start for every model."""
    import torch

    from diffviz.sampling import grids, integrate

    grid = grids.grid(objective("fm-ot").law, steps)
    start = torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))
    # a function, not a run: that the grid leaves what some of them were trained on is what is shown, no reason to warn
    return (
        integrate.sample(model.denoise, grid, solver=solver, start=start).samples.double().numpy()
    )


def astray(x: NDArray, name: str = "ring8") -> float:
    """Share of samples further than four standard deviations from every mode; of true points e^(−8) = 0.03 % are."""
    law: Any = truth(name).toy.law  # a mixture
    apart = np.linalg.norm(x[:, None] - law.means.numpy(), axis=-1) / law.std.numpy()
    return float((apart.min(1) > 4).mean())


def sliced_w2(x: NDArray, y: NDArray, directions: int = 64) -> float:
    """Sliced Wasserstein-2 distance of two point sets (n, 2) of one size: root mean square over directions of the distances in 1-D."""
    if np.shape(x) != np.shape(y):
        raise ValueError(f"two sets of one size are compared, got {np.shape(x)} and {np.shape(y)}")
    angle = np.arange(directions) * np.pi / directions
    apart = np.sort(x @ [np.cos(angle), np.sin(angle)], 0) - np.sort(
        y @ [np.cos(angle), np.sin(angle)], 0
    )
    return float(np.sqrt((apart**2).mean()))


@cache
def held(name: str = "ring8", n: int = 2000, draws: int = 20) -> tuple[NDArray, float, NDArray]:
    """True points to compare samples with; the floor, the median distance of other true points from them; those distances."""
    import torch

    there, *others = (
        truth(name).toy.sample(n, torch.Generator().manual_seed(1000 + k)).numpy()
        for k in range(draws + 1)
    )
    floors = np.array([sliced_w2(other, there) for other in others])
    return there, float(np.median(floors)), floors


def _fit(objectives: list[Objective], width: int, seed: int):
    from diffviz.learning.models import MLP
    from diffviz.learning.training import fit

    return fit(
        objectives,
        truth().data,
        steps=800,
        batch=256,
        seed=seed,
        model=MLP(width=width, depth=2),
        progress=False,
    )


@cache
def trained(width: int, seed: int = 0) -> Mapping:
    """Runs by objective: networks of two layers of that width, trained side by side for 800 steps on the same points of ring8."""
    return {run.name: run for run in _fit(chosen(), width, seed)}


@cache
def excesses(width: int, seeds: Sequence[int] = SEEDS) -> Mapping[str, NDArray]:
    """log10 of the excess error by objective, (seeds, levels)."""
    found = {
        seed: {name: truth().excess(run) for name, run in trained(width, seed).items()}
        for seed in seeds
    }
    return {name: np.log10([found[seed][name] for seed in seeds]) for name in NAMES}


def excess_of(one: Objective, width: int, seed: int = 0) -> NDArray:
    """log10 of the excess error of an objective of your own, trained as the five were, on the grid."""
    (run,) = _fit([one], width, seed)
    return np.log10(truth().excess(run))
