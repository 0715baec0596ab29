"""Figures 18 and 19: the same small network trained under several weightings, what each of them buys, and where.

Errors are measured at fixed points z = alpha x + sigma eps of each level, against the exact denoiser:

    E‖eps_hat − eps‖² = mmse + excess,    excess = E‖eps_hat − eps_hat*‖² = e^λ E‖x_hat − x_hat*‖²

since eps_hat* is the mean of eps given z. The excess has none of the noise of a loss: it is what training can still win.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy import stats

from diffviz import plots, weightings
from diffviz.objectives import Objective, from_weighting
from diffviz.recipes import objective
from suite.figures import figure

NAMES = ("elbo", "iddpm-cosine", "fm-ot", "edm", "sd3")
GRID = np.linspace(-8, 14, 45)
EXCESS = "log₁₀ excess ε error,  E‖ε̂ − ε̂*‖²"
SMALL, LARGE, SEEDS = 8, 64, (0, 1, 2)


def chosen(*names: str) -> list[Objective]:
    """Objectives by name. The ELBO of the catalogue looks with the cosine density; here it looks evenly, up to the least noise."""
    even = from_weighting(weightings.constant, stats.uniform(-10, 24), "elbo")
    return [even if name == "elbo" else objective(name) for name in names or NAMES]


class Truth:
    """A toy of unit variance in the plane, 20,000 points to train on, and what an exact denoiser knows at fixed points."""

    def __init__(self, name: str = "ring8", grid: NDArray = GRID, points: int = 512):
        import torch

        from diffviz.data import toy
        from diffviz.frames import VP

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

    from diffviz import samplers

    grid = samplers.grid_of(objective("fm-ot").law, steps)
    start = torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))
    # a function, not a run: that the grid leaves what some of them were trained on is what is shown, no reason to warn
    return samplers.sample(model.denoise, grid, solver=solver, start=start).samples.double().numpy()


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
    from diffviz.models import MLP
    from diffviz.training import fit

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


@figure(
    "capacity",
    "The same small network under five weightings: excess error over the exact denoiser, three seeds, two widths",
)
def capacity() -> Axes:
    left, *row = plots.axes(12.5, 4.4, columns=3, legend=1.45)
    plots.weighting_curves(
        GRID,
        dict(zip(NAMES, chosen(), strict=True)),
        outside=None,
        title="what each weights",
        ax=left,
    )
    left.set_ylim(-5, 5)
    for ax, width in zip(row, (SMALL, LARGE), strict=True):
        spread = excesses(width)
        mean = {name: logs.mean(0) for name, logs in spread.items()}
        title = f"what it buys: width {width}"
        outside = True if width == LARGE else None
        plots.lines(
            GRID,
            mean,
            xlabel=plots.LOGSNR,
            ylabel=EXCESS,
            title=title,
            outside=outside,
            colours=plots.colour,
            ax=ax,
        )
        for name, logs in spread.items():
            ax.fill_between(
                GRID,
                logs.min(0),
                logs.max(0),
                color=plots.colour(name),
                alpha=0.15,
                lw=0,
                gid=f"{name}:seeds",
            )
        ax.set_ylim(-6.5, 0.5)
    for ax in (left, *row):
        ax.set_xlabel("log-SNR λ   [noise ← → data]")
    for ax in row:
        for line in ax.lines:
            line.set_linestyle("-")
    return left


def cloud(
    ax: Axes, points: NDArray, name: str, colour: str, centre=(0.0, 0.0), size: float = 1.5
) -> None:
    """Dots for points (n, 2), moved if they are there."""
    known = {line.get_gid(): line for line in ax.lines}
    if name not in known:
        (known[name],) = ax.plot([], [], ".", ms=size, mew=0, gid=name)
    known[name].set(data=(points + np.asarray(centre)).T, color=colour)


def beside(clouds: Mapping[str, NDArray], reach: float = 2.5) -> Axes:
    """Point sets (n, 2) by name, one panel each, beside one another."""
    row = plots.axes(4 * len(clouds), 4.2, columns=len(clouds))
    for ax, (name, points) in zip(row, clouds.items(), strict=True):
        cloud(ax, points, name, "0.35" if ax is row[0] else plots.colour(name), size=3)
        ax.set(
            xlim=(-reach, reach),
            ylim=(-reach, reach),
            aspect="equal",
            xticks=[],
            yticks=[],
            title=name,
        )
    return row[0]


@figure(
    "samples",
    "Samples of each run beside the truth: sliced Wasserstein-2 distance in multiples of the truth-against-truth floor",
)
def samples_beside_truth() -> Axes:
    grid = plots.axes(12.5, 5.6, columns=6, rows=2)
    there, floor, floors = held()
    for row, width in zip((grid[:6], grid[6:]), (SMALL, LARGE), strict=True):
        clouds = {"truth": there} | {name: samples(run) for name, run in trained(width).items()}
        for ax, (name, points) in zip(row, clouds.items(), strict=True):
            cloud(ax, points, name, "0.35" if name == "truth" else plots.colour(name))
            words = f"floor {floor:.3f}\n({floors.min():.3f} to {floors.max():.3f})"
            if name != "truth":
                words = (
                    f"{sliced_w2(points, there) / floor:.1f} × floor\n{astray(points):.1%} astray"
                )
            ax.set_title(f"{name}\n{words}", fontsize=10)
            ax.set(xlim=(-2, 2), ylim=(-2, 2), aspect="equal", xticks=[], yticks=[])
        row[0].set_ylabel(f"width {width}")
    grid[0].figure.subplots_adjust(
        left=0.03, right=0.99, bottom=0.02, top=0.87, wspace=0.05, hspace=0.4
    )
    return grid[0]
