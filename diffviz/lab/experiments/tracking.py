"""Experiments on tracking: a training watched by log-SNR, laws that adapt to it, their samples."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

import diffviz as dv
from diffviz.checks import array, count, one_of, require
from diffviz.compute.cache import cached
from diffviz.protocols import Denoiser, Law
from diffviz.recipes.entries import CATALOGUE
from diffviz.theory.paths import COSINE, LINEAR

if TYPE_CHECKING:
    from torch import Tensor

    from diffviz.data.toys import Toy

EDGES = np.linspace(-10, 10, 101)  # of 100 bins of λ in nats
MIDDLE, WIDTH = (EDGES[1:] + EDGES[:-1]) / 2, 0.2
DECAYS = 0.9, 0.99, 0.999
NEW_POINTS = 4000  # that a finished network is measured on
FM = CATALOGUE["fm-ot"]


class Rule(NamedTuple):
    """How a law adapts.

    Attributes:
        name: Name of the rule.
        decay: Decay of the tracker.
        uniform: Share of draws that stay uniform.
    """

    name: str
    decay: float
    uniform: float


RULES = {  # by name in the picture
    "Kingma–Gao": Rule("kingma-gao", 0.99, 0.05),
    "minimum variance": Rule("minimum-variance", 0.99, 0.05),
    # a history of ten and a share of 0.001, as in arXiv 2102.09672
    "second moment (iDDPM)": Rule("second-moment", 0.9, 0.001),
    "VDM": Rule("vdm", 0.99, 0.05),
    "time warp (CDCD)": Rule("time-warp", 0.99, 0.05),
}
STILL = {"FM, uniform t": LINEAR.schedule, "cosine": COSINE.schedule}  # laws that do not adapt
BLOCK, BATCH = 32, 128  # the law is looked up once a block of steps


# --- one training, watched ---------------------------------------------------------------------


@cached
def ring_moments() -> NDArray:
    """E‖eps_hat − eps‖² and E‖eps_hat − eps‖⁴ of ring8's exact denoiser in each bin, (2, 100)."""
    return np.asarray(dv.toy("ring8").moments(MIDDLE))


class Tracked(NamedTuple):
    """A training that was watched.

    Attributes:
        tracker: Its loss by log-SNR.
        measured: The loss of the finished network on new points, in each bin, shape (100,).
    """

    tracker: "dv.LossByLogSNR"
    measured: NDArray


@cached
def tracked_training(steps: int = 800) -> Tracked:
    """A small network trained on ring8 with flow matching, watched at three decays.

    Args:
        steps: Number of training steps.

    Returns:
        The tracker, and what the finished network loses.

    Raises:
        ValueError: ``steps`` is not positive.
    """
    import torch

    tracker = dv.LossByLogSNR(EDGES, DECAYS)

    def watch(step: Any) -> None:
        tracker.update(step.logsnr, step.error)

    toy = dv.toy("ring8")
    x = toy.sample(50_000, torch.Generator().manual_seed(0)).float()
    (run,) = dv.fit("fm-ot", x, steps=count(steps, "steps"), progress=False, callback=watch)
    new = toy.sample(NEW_POINTS, torch.Generator().manual_seed(9)).float()
    return Tracked(tracker, ring_moments()[0] + excess_by_level(run, new))


def excess_by_level(model: Denoiser, points: "Tensor") -> NDArray:
    """How much larger the mean squared error of ε̂ is than that of the exact denoiser of ring8.

    The two differ by E‖ε̂ − E[ε|z]‖², since the exact denoiser's error is orthogonal to every
    function of z. This is e^λ times the squared distance of both x̂.

    Args:
        model: The denoiser.
        points: Points of ring8, shape (n, 2).

    Returns:
        The excess at the middle of each bin, shape (100,).
    """
    import torch

    toy, generator = dv.toy("ring8"), torch.Generator().manual_seed(10)
    eps = torch.randn(points.shape, generator=generator, dtype=points.dtype)
    excess = []
    for logsnr in torch.from_numpy(MIDDLE):
        z = logsnr.sigmoid().sqrt() * points + (-logsnr).sigmoid().sqrt() * eps
        apart = model.denoise(z, logsnr) - toy.denoise(z, logsnr)
        excess.append(float(logsnr.exp() * apart.square().sum(1).mean()))
    return np.array(excess)


class WatchedLoss(NamedTuple):
    """The loss of ``tracked_training`` in each bin.

    Attributes:
        mean: Moving averages by decay, each (100,).
        stderr: Their standard errors by decay, each (100,).
        floor: Loss of the exact denoiser, shape (100,).
        measured: Loss of the finished network on new points, shape (100,).
    """

    mean: dict[float, NDArray]
    stderr: dict[float, NDArray]
    floor: NDArray
    measured: NDArray


def watched_loss() -> WatchedLoss:
    """The loss of a training by log-SNR at three decays, its floor, and where it ends."""
    tracked = tracked_training()
    mean, stderr, _ = tracked.tracker.curve()
    return WatchedLoss(
        mean=dict(zip(DECAYS, mean, strict=True)),
        stderr=dict(zip(DECAYS, stderr, strict=True)),
        floor=ring_moments()[0],
        measured=tracked.measured,
    )


# --- laws that adapt ---------------------------------------------------------------------------


def log_variance(tracker: "dv.LossByLogSNR", objective: dv.Objective) -> NDArray:
    """The weighting where EDM2's learned uncertainty ends; this one does change w.

    E[L/e^u + u] is least at u = log E L. With L = factor ‖·‖² that leaves w/(factor E‖·‖²), which
    is 2p/E‖·‖² (Karras et al. 2024, arXiv 2312.02696, eq. 14 to 21).

    Args:
        tracker: Loss by log-SNR of a training; its first decay counts.
        objective: The objective of that training.

    Returns:
        A table of λ and w for ``dv.from_weighting``, shape (n, 2), without bins that had no loss.
    """
    mean = np.reshape(tracker.curve()[0], (-1, len(tracker.middle)))[0]
    curve = np.column_stack([tracker.middle, 2 * objective.law.pdf(tracker.middle) / mean])
    return curve[np.isfinite(mean)]


@cached
def adapted(name: str, steps: int = 1600) -> tuple[NDArray, Any]:
    """A law that adapts to the exact denoiser's loss on ring8, under flow matching's w.

    Args:
        name: One of ``RULES``.
        steps: Number of steps of 128 draws; the law is looked up every 32.

    Returns:
        Densities on ``MIDDLE`` before the first and after each block, shape (blocks + 1, 100), and
        the ``AdaptiveObjective`` in the end.

    Raises:
        ValueError: The rule is unknown, or ``steps`` is not positive.
    """
    import torch

    from diffviz.learning import variance

    rule = RULES[one_of(name, "rule", RULES)]
    toy = dv.toy("ring8")
    tracker = dv.LossByLogSNR(EDGES, rule.decay)
    adaptive = dv.AdaptiveObjective(FM, tracker, rule.name, rule.uniform)
    rng = np.random.default_rng(0)
    generator = torch.Generator().manual_seed(0)
    densities = [adaptive.law.pdf(MIDDLE)]
    for _ in range(count(steps, "steps") // BLOCK):
        logsnr = adaptive.draw(BLOCK * BATCH, rng)[0]
        pairs = np.stack([logsnr, variance.squared_errors(toy, logsnr, generator)])
        for batch in np.split(pairs, BLOCK, axis=1):
            tracker.update(*batch)
        densities.append(adaptive.law.pdf(MIDDLE))
    return np.array(densities), adaptive


def least_variance_density() -> NDArray:
    """The density on ``MIDDLE`` of least E[Y²] for flow matching's w on ring8, shape (100,)."""
    root = FM.weighting(MIDDLE) * np.sqrt(ring_moments()[1])
    return root / root.sum() / WIDTH


def over_least(p: ArrayLike) -> NDArray:
    """E[Y²] of one draw over the least under any density, for flow matching's w on ring8.

    Args:
        p: Densities on ``MIDDLE``, cut to [−10, 10], shape (..., 100).

    Returns:
        The ratio, at least 1, shape (...).

    Raises:
        ValueError: A density is not finite, or there are not 100 bins.
    """
    p = array(p, "p")
    require(p.shape[-1:] == MIDDLE.shape, f"p must have 100 bins, got shape {p.shape}")
    share = p / p.sum(-1, keepdims=True)
    square = FM.weighting(MIDDLE) ** 2 * ring_moments()[1]
    return (square / share).sum(-1) / np.sqrt(square).sum() ** 2


def variance_ratios() -> tuple[NDArray, dict[str, NDArray]]:
    """E[Y²] over the least as laws adapt, and that of laws that do not.

    Returns:
        Steps, shape (blocks + 1,), and ratios by name of ``RULES`` and ``STILL``, likewise.
    """
    ratios = {name: over_least(adapted(name)[0]) for name in RULES}
    steps = BLOCK * np.arange(len(ratios["VDM"]))
    for name, law in STILL.items():
        ratios[name] = np.full(len(steps), over_least(law.pdf(MIDDLE)))
    return steps, ratios


def adapted_weightings() -> dict[str, NDArray]:
    """Weightings on ``MIDDLE``, each (100,): asked for, kept by a rule that adapts, and changed.

    Under a law that adapts, 2 E[factor] per nat is w, whatever is drawn.
    """
    adaptive = adapted("Kingma–Gao")[1]
    logsnr, factor = adaptive.draw(200_000, np.random.default_rng(1))
    drawn = 2 * np.histogram(logsnr, EDGES, weights=factor)[0] / len(factor) / WIDTH
    seen, changed = log_variance(adaptive.tracker, FM).T
    return {
        "flow matching": FM.weighting(MIDDLE),
        "Kingma–Gao": drawn,
        "EDM2 log-variance": np.interp(MIDDLE, seen, changed),
    }


# --- when adapting pays -------------------------------------------------------------------------

COMPARED = "iddpm-cosine", "elbo", "sigmoid-bias2", "fm-ot", "sd3"


@cached
def variance_gains(names: Sequence[str] = COMPARED) -> dict[str, dict[str, tuple[float, ...]]]:
    """How much quieter a better density makes value and gradient, on two trained networks.

    The networks learned flow matching's objective on the ring of eight and on digits.

    Args:
        names: Names of objectives.

    Returns:
        Data set to objective to the five gains of ``learning.variance.gains``.

    Raises:
        ValueError: An objective is not in the catalogue.
    """
    import torch

    from diffviz.learning import models, variance

    chosen = [dv.objective(name) for name in names]
    levels = np.linspace(-10, 10, 41)
    ring = dv.toy("ring8").sample(50_000, torch.Generator().manual_seed(0)).float()
    digits = dv.toy("digits").sample(20_000, torch.Generator().manual_seed(1)).float().flatten(1)
    (on_ring,) = dv.fit("fm-ot", ring, progress=False)
    (on_digits,) = dv.fit(
        "fm-ot",
        digits,
        model=models.MLP(128),
        steps=200,
        batch=256,
        learning_rate=3e-3,
        progress=False,
    )
    moments = {
        "ring of eight, 2 dimensions": variance.trained(on_ring, ring[:256], levels),
        "digits, 64 dimensions": variance.trained(on_digits, digits[:128], levels),
    }
    return {
        data: {entry.name: variance.gains(entry, *found) for entry in chosen}
        for data, found in moments.items()
    }


# --- density of training or grid of sampling ---------------------------------------------------

GRIDS = {
    "cosine": COSINE.schedule,
    "log-normal σ (EDM)": stats.norm(2.4, 2.4),
    "uniform λ": stats.uniform(-10, 24),
}
TRAINED = {"uniform t": LINEAR.schedule, "uniform λ": stats.uniform(-10, 24)}
STEPS = 4, 8, 16, 32


class Distance:
    """Sliced Wasserstein-2 distance from points of the plane to held-out points of a toy.

    It is averaged over 64 directions and comes in units of ``floor``, the median distance of 20
    sets of as many true points.

    Args:
        toy: A toy in the plane.
        n: Number of points in each set.

    Attributes:
        directions: Unit vectors, shape (2, 64).
        held: Projections of the held-out points, sorted, shape (n, 64).
        floors: Distances of the sets of true points, shape (20,).
        floor: Their median.

    Raises:
        TypeError: ``n`` is no whole number.
        ValueError: ``n`` is not positive.
    """

    def __init__(self, toy: "Toy", n: int = 4000):
        import torch

        def draw(seed: int) -> "Tensor":
            return toy.sample(size, torch.Generator().manual_seed(seed)).float()

        size = count(n, "n")
        angle = torch.arange(64) * torch.pi / 64
        self.directions = torch.stack([angle.cos(), angle.sin()])
        self.held = self._projections(draw(1000))
        self.floors = np.array([self._distance(draw(2000 + i)) for i in range(20)])
        self.floor = float(np.median(self.floors))

    def _projections(self, x: "Tensor") -> "Tensor":
        """Sorted projections of points on all directions, (n, 64)."""
        return (x.float() @ self.directions).sort(0).values

    def _distance(self, x: "Tensor") -> float:
        """The distance in the units of the points."""
        return (self._projections(x) - self.held).square().mean().sqrt().item()

    def __call__(self, x: "Tensor") -> float:
        """The distance of points in units of the floor.

        Args:
            x: As many points as are held out, shape (n, 2).

        Returns:
            The distance.

        Raises:
            ValueError: There are more or fewer points, or they are not in the plane.
        """
        size = (len(self.held), 2)
        require(tuple(x.shape) == size, f"x must have shape {size}, got {tuple(x.shape)}")
        return self._distance(x) / self.floor


def sampled(run: Denoiser, law: Law, steps: int, n: int = 4000) -> "Tensor":
    """Samples of a run along a grid of equal shares of a law, by DDIM from the same noise.

    Args:
        run: A denoiser.
        law: Law of λ.
        steps: Number of steps.
        n: Number of samples.

    Returns:
        The samples, shape (n, *shape).

    Raises:
        ValueError: A count is not positive.
    """
    import torch

    grid = dv.grid(law, count(steps, "steps"))
    generator = torch.Generator().manual_seed(0)
    return dv.sample(run, grid, solver="ddim", n=count(n, "n"), generator=generator).samples


class DensityOrGrid(NamedTuple):
    """One weighting trained on moons under two densities, sampled on three grids.

    Attributes:
        truth: Points of the data, shape (1500, 2).
        distances: Distance in floors for ``STEPS``, by grid and training, each (4,).
        samples: Points of the uniform-λ training after 8 steps, by grid, each (1500, 2).
    """

    truth: NDArray
    distances: Mapping[tuple[str, str], Sequence[float]]
    samples: Mapping[str, NDArray]


@cached
def density_or_grid() -> DensityOrGrid:
    """Train flow matching's weighting under both of ``TRAINED`` and sample on all ``GRIDS``."""
    import torch

    moons = dv.toy("moons")
    x = moons.sample(50_000, torch.Generator().manual_seed(0)).float()
    pair = [dv.from_weighting(FM.weighting, law, name) for name, law in TRAINED.items()]
    runs = dv.fit(pair, x, progress=False)
    distance = Distance(moons)
    distances = {
        (place, run.name): [distance(sampled(run, law, steps)) for steps in STEPS]
        for place, law in GRIDS.items()
        for run in runs
    }
    uniform = runs[1]
    samples = {name: sampled(uniform, law, 8, 1500).numpy() for name, law in GRIDS.items()}
    return DensityOrGrid(x[:1500].numpy(), distances, samples)
