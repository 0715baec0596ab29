"""What a draw of λ costs: the variance of a loss's value and of its gradient.

One draw is Y = w/(2p) e with λ ~ p. Here e is the squared error ‖eps_hat − eps‖² (the value of the
loss) or its slope in the weights of the network (the gradient). From the mean and the mean squared
length of e at each λ,

    Var Y = ∫ (w/2)² E‖e‖²/p dλ − ‖∫ w/2 E e dλ‖²,      least at p ∝ w sqrt(E‖e‖²).

With one draw in each of n equal shares of probability ("stratified", what ``Objective.draw`` does),
n times the variance of the mean tends to ∫ (w/2)² (E‖e‖² − ‖E e‖²)/p dλ: what varies with λ alone
is gone. Integrals run over the levels, and densities are cut to them.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import simpson
from torch import Tensor

from diffviz import checks
from diffviz.compute import threads
from diffviz.learning.runs import Run
from diffviz.protocols import Law
from diffviz.theory.analysis import window
from diffviz.theory.atoms import density
from diffviz.theory.frames import VP
from diffviz.theory.laws import quantile
from diffviz.theory.objectives import Objective

FARTHEST = 60.0  # nats; beyond, the rounding of x in float64 times e^λ counts
UNEVEN = 1e-3  # by how much steps between levels may differ, relative; float32 rounds by less
UNIFORM = 0.05  # share of ``dv.AdaptiveObjective``


class ExactToy(Protocol):
    """A toy with its ideal denoiser."""

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Points, shape (n, *shape)."""
        ...

    def denoise(self, z: Tensor, logsnr: Tensor) -> Tensor:
        """E[x|z], like z."""
        ...

    def moments(self, logsnr: ArrayLike, *, draws: int = ...) -> Any:
        """E‖eps_hat − eps‖² and E‖eps_hat − eps‖⁴ of the ideal denoiser, both of λ's shape."""
        ...


@dataclass(frozen=True, eq=False)
class Moments:
    """Moments of a random e of length d at each level λ.

    Args:
        logsnr: Increasing levels in nats, shape (levels,); ``best`` needs an even spacing.
        means: Two independent estimates of E e, whose product has no bias, shape (2, levels, d).
        second: E‖e‖², shape (levels,).

    Raises:
        TypeError: A field is masked, complex or no numbers.
        ValueError: The levels do not increase, a number is not finite, or the shapes do not fit.
    """

    logsnr: NDArray
    means: NDArray
    second: NDArray

    def __post_init__(self) -> None:
        logsnr = checks.array(self.logsnr, "logsnr", ndim=1)
        means = checks.array(self.means, "means", ndim=3)
        second = checks.array(self.second, "second", ndim=1)
        if means.shape[:2] != (2, len(logsnr)) or second.shape != logsnr.shape:
            raise ValueError(
                f"means must be (2, {len(logsnr)}, d) and second ({len(logsnr)},), "
                f"got {means.shape} and {second.shape}"
            )
        if (np.diff(logsnr) <= 0).any():
            raise ValueError(
                f"logsnr must increase from level to level, got {checks.brief(logsnr)}; "
                "np.argsort(logsnr) orders it and the moments alike"
            )
        for name, value in {"logsnr": logsnr, "means": means, "second": second}.items():
            object.__setattr__(self, name, value)

    def best(self, objective: Objective, uniform: float = 0.0) -> NDArray:
        """The density of least variance, mixed with a uniform share.

        Args:
            objective: The objective whose loss is drawn.
            uniform: The uniform share, in [0, 1].

        Returns:
            The density at each level, times the spacing of levels, shape (levels,).

        Raises:
            ValueError: The share is outside [0, 1], the loss is 0 at every level, there is only
                one, or they are not evenly spaced.
        """
        share = checks.number(uniform, "uniform", 0, 1)
        chosen = objective.weighting(self.logsnr) * np.sqrt(self.second)
        checks.require(chosen.any(), f"the loss of {objective.name} is 0 at every level")
        cells = self._cells(objective)
        steps = np.diff(self.logsnr)
        if np.ptp(steps) > UNEVEN * steps.max():
            first, last = self.logsnr[[0, -1]]
            raise ValueError(
                f"logsnr must be evenly spaced, got steps from {steps.min():g} to "
                f"{steps.max():g}; take np.linspace({first:g}, {last:g}, {len(self.logsnr)})"
            )
        own = chosen * steps.mean() / (cells @ chosen)
        return (1 - share) * own + share / len(chosen)

    def variance(
        self, objective: Objective, p: ArrayLike | None = None, stratified: bool = False
    ) -> float:
        """Variance of one draw of the objective's loss.

        Args:
            objective: The objective whose loss is drawn.
            p: Density of λ on the levels, up to a constant, shape (levels,). By default the
                objective's own.
            stratified: Take n times the variance of the mean of n stratified draws instead.

        Returns:
            The variance; infinite if the density is 0 where the weighting is not.

        Raises:
            ValueError: The density has another shape, is negative or 0 everywhere, or there is only
                one level.
        """
        cells = self._cells(objective)
        density = self._density(objective, p, cells)
        half = objective.weighting(self.logsnr) / 2
        with np.errstate(divide="ignore"):
            each = np.divide(half**2, density, out=np.zeros_like(half), where=half > 0)
        cost = each * cells
        half = half * cells
        if np.isinf(cost).any():
            return np.inf
        first, second = self.means
        at_each_level = cost @ (first * second).sum(1)
        overall = (half @ first) @ (half @ second)
        known = at_each_level if stratified else overall
        return float(cost @ self.second - known)

    def _cells(self, objective: Objective) -> NDArray:
        """Widths of the cells of the levels where the objective looks, shape (levels,).

        A cell ends midway to the next level, at the first and the last level, and where the
        support of the law does.
        """
        n = len(self.logsnr)
        checks.require(n > 1, f"an integral over logsnr needs two or more levels, got {n}")
        middles = (self.logsnr[1:] + self.logsnr[:-1]) / 2
        edges = np.concatenate([self.logsnr[:1], middles, self.logsnr[-1:]])
        return np.diff(np.clip(edges, *objective.law.support()))

    def _density(self, objective: Objective, p: ArrayLike | None, cells: NDArray) -> NDArray:
        """A density on the levels with integral 1, the objective's own by default."""
        own = density(objective.law, self.logsnr)
        chosen = checks.array(own if p is None else p, "p")
        if chosen.shape != self.second.shape or (chosen < 0).any() or not chosen.any():
            raise ValueError(
                f"p must be a density on {len(self.second)} levels, >= 0 and somewhere above 0; "
                f"got shape {chosen.shape}, from {chosen.min():g}"
            )
        beyond = (chosen[cells == 0] > 0).any()  # its cells are not those of the objective
        return chosen / np.trapezoid(chosen, self.logsnr) if beyond else chosen / (cells @ chosen)


def exact(toy: ExactToy, logsnr: ArrayLike, draws: int = 4096) -> Moments:
    """Moments of the squared error of a toy's ideal denoiser.

    Args:
        toy: The toy.
        logsnr: Evenly spaced levels in nats, shape (levels,).
        draws: Number of draws behind each moment.

    Returns:
        The moments, with d = 1.
    """
    checks.able(toy, "toy", ("moments",), TOY)
    levels = checks.array(logsnr, "logsnr", ndim=1)
    mean, second = toy.moments(levels, draws=checks.count(draws, "draws"))
    return Moments(levels, np.stack([mean, mean])[..., None], second)


def trained(
    run: Run, x: Tensor | ArrayLike, logsnr: ArrayLike, seed: int = 0
) -> tuple[Moments, Moments]:
    """Moments of a trained denoiser's squared error, and of its slope in the weights.

    Args:
        run: The denoiser.
        x: Points, shape (n, *shape) with n of at least 2; each gets fresh noise at each level.
        logsnr: Evenly spaced levels within ±60 nats, shape (levels,).
        seed: Seed of the noise.

    Returns:
        Moments of the value (d = 1), and of the gradient (d = parameters).

    Raises:
        TypeError: x or logsnr holds no real numbers.
        ValueError: There are fewer than two points, no level or one beyond ±60 nats, or a number is
            not finite.
    """
    checks.instance(run, "run", Run, "a run, as dv.fit returns them")
    points = checks.tensor(x, "x")
    levels = _levels(logsnr)
    checks.require(
        points.ndim > 1 and len(points) > 1,
        f"x must be two or more points (n, *shape), got shape {tuple(points.shape)}",
    )
    generator = torch.Generator().manual_seed(checks.seed(seed))
    with threads.suited(threads.denoising(run, len(points)), points.device):
        return _trained(run, points, levels, generator)


def _trained(
    run: Run, points: Tensor, levels: NDArray, generator: torch.Generator
) -> tuple[Moments, Moments]:
    """``trained`` for arguments that are checked."""
    values, gradients = [], []
    for level in torch.as_tensor(levels, dtype=points.dtype, device=points.device):
        noise = torch.randn(points.shape, generator=generator).to(points.device)
        z = VP.alpha(level.item()) * points + VP.sigma(level.item()) * noise
        gradient, value = _slopes(run, z.to(points), points, level)
        if not value.isfinite().all():
            raise ValueError(
                f"the squared error at logsnr {level.item():g} leaves the range of {points.dtype}, "
                f"since x holds numbers up to {points.abs().max().item():g}; rescale the data"
            )
        values.append(_halves_and_second(value[:, None]))
        gradients.append(_halves_and_second(gradient))
    return _moments(levels, values), _moments(levels, gradients)


def _slopes(run: Run, z: Tensor, points: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient by the weights of the error of each point, shape (n, parameters), and the errors.

    Each point has a network of its own with the same weights. The transforms of ``torch.func``
    would load torch's compiler, which takes longer.
    """
    with torch.enable_grad():
        weights = run.state[run.ema].to(z.device).repeat(len(z), 1).requires_grad_()
        x_hat = run.denoise_with(weights, z, level)
        error = (x_hat - points).square().flatten(1).sum(1) * level.exp()
        (gradient,) = torch.autograd.grad(error.sum(), weights)
    return gradient, error.detach()


def _levels(logsnr: ArrayLike) -> NDArray:
    """Levels as float64, shape (n,), at which an error of x times e^λ is finite."""
    levels = checks.array(logsnr, "logsnr", ndim=1)
    checks.require(len(levels), "logsnr must hold at least one level, got an empty array")
    for end in (levels.min(), levels.max()):
        checks.number(end, "logsnr", -FARTHEST, FARTHEST)
    return levels


def _halves_and_second(e: Tensor) -> tuple[NDArray, float]:
    """Means of both halves of e (n, d), shape (2, d), and the mean squared length."""
    halves = torch.stack([half.mean(0) for half in e.chunk(2)])
    second = e.double().square().sum(1).mean()
    return halves.double().cpu().numpy(), second.item()


def _moments(levels: NDArray, rows: Sequence[tuple[NDArray, float]]) -> Moments:
    """Moments from ``_halves_and_second`` at each level."""
    means = np.stack([halves for halves, _ in rows], axis=1)
    return Moments(levels, means, np.array([second for _, second in rows]))


def squared_errors(toy: ExactToy, logsnr: ArrayLike, generator: torch.Generator) -> NDArray:
    """‖eps_hat − eps‖² of a toy's exact denoiser, with a fresh point and noise for each λ.

    Args:
        toy: The toy.
        logsnr: λ within ±60 nats, shape (n,).
        generator: Generator of points and noise.

    Returns:
        The squared errors, shape (n,).
    """
    checks.able(toy, "toy", ("sample", "denoise"), TOY)
    checks.torch_generator(generator)
    level = torch.as_tensor(_levels(logsnr))
    with threads.suited(threads.denoising(toy, len(level))):
        return _squared_errors(toy, level, generator)


def _squared_errors(toy: ExactToy, level: Tensor, generator: torch.Generator) -> NDArray:
    """``squared_errors`` at levels that are checked."""
    alpha = level.sigmoid().sqrt()[:, None]
    sigma = (-level).sigmoid().sqrt()[:, None]
    x = toy.sample(len(level), generator)
    z = alpha * x + sigma * torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return ((toy.denoise(z, level) - x).square().sum(1) * level.exp()).numpy()


def draws(objective: Objective, law: Law, toy: ExactToy, n: int = 20_000, seed: int = 0) -> NDArray:
    """Stratified draws Y of an objective's loss on a toy's exact denoiser under another law.

    Args:
        objective: The objective, whose weighting is kept.
        law: Law of λ.
        toy: The toy.
        n: Number of draws.
        seed: Seed of the draws.

    Returns:
        The draws, shape (n,).

    Raises:
        TypeError: ``law`` is no law of λ, or n or the seed is no whole number.
    """
    checks.require(
        checks.offers(law, Law), f"law must be a frozen SciPy distribution, got {law!r}", TypeError
    )
    _check_objective(objective)
    checks.able(toy, "toy", ("sample", "denoise"), TOY)
    count = checks.count(n, "n")
    rng = np.random.default_rng(checks.seed(seed))
    logsnr = quantile(law, (rng.permutation(count) + rng.random(count)) / count)
    factor = objective.weighting(logsnr) / (2 * law.pdf(logsnr))
    return factor * squared_errors(toy, logsnr, torch.Generator().manual_seed(checks.seed(seed)))


TOY = "a toy such as dv.toy('ring8')"
MOMENTS = "moments of the error, as exact(toy, logsnr) returns them"


def _check_objective(value: Any, name: str = "objective") -> None:
    """Refuse what is no objective, such as a name."""
    checks.instance(value, name, Objective, "an objective such as dv.objective('fm-ot')")


COLUMNS = "one draw", "5 % uniform", "stratified", "gradient", "its best p"


def gains(
    objective: Objective, value: Moments, gradient: Moments | None = None
) -> tuple[float, ...]:
    """How many times fewer draws say as much: variance under the objective's own p over another's.

    The columns are, of the value under the p that is best for it: one draw, the same with the
    uniform share of ``AdaptiveObjective``, stratified draws. Then, of the gradient: under that p
    with the uniform share, and under the p that is best for the gradient.

    Args:
        objective: The objective.
        value: Moments of the squared error.
        gradient: Moments of its slope; the last two columns are left out without it.

    Returns:
        One gain for each of ``COLUMNS``, or for the first three.
    """
    _check_objective(objective)
    checks.instance(value, "value", Moments, MOMENTS)
    if gradient is not None:
        checks.instance(gradient, "gradient", Moments, MOMENTS)
    best = value.best(objective)
    mixed = value.best(objective, UNIFORM)
    cases = [(value, best, False), (value, mixed, False), (value, best, True)]
    if gradient is not None:
        cases += [(gradient, mixed, False), (gradient, gradient.best(objective), False)]
    return tuple(
        moments.variance(objective, None, stratified) / moments.variance(objective, p, stratified)
        for moments, p, stratified in cases
    )


def table(objectives: Iterable[Objective], value: Moments, gradient: Moments | None = None) -> str:
    """``gains`` of each objective as lines of text.

    Args:
        objectives: One or more objectives.
        value: Moments of the squared error.
        gradient: Moments of its slope.

    Returns:
        A line of headings, and one line for each objective.

    Raises:
        ValueError: There is no objective.
    """
    members = checks.items(objectives, "objectives")
    for member in members:
        _check_objective(member, "each of objectives")
    rows = {objective.name: gains(objective, value, gradient) for objective in members}
    checks.require(rows, "a table needs at least one objective")
    columns = COLUMNS[: len(next(iter(rows.values())))]
    lines = [f"{'':14}" + "".join(f"{column:>13}" for column in columns)]
    for name, row in rows.items():
        lines.append(f"{name:14}" + "".join(f"{gain:13.2f}" for gain in row))
    return "\n".join(lines)


def draw_moments(
    objective: Objective,
    mean: Callable[[NDArray], NDArray],
    second: Callable[[NDArray], NDArray],
) -> tuple[float, float]:
    """E Y and E Y² of one draw of the loss.

    Args:
        objective: The objective.
        mean: E‖eps_hat − eps‖² as a function of λ, shape (n,); a number stands for a constant.
        second: E‖eps_hat − eps‖⁴ as such a function.

    Returns:
        Both moments. The second is infinite if its integral still grows at ±60 nats.

    Raises:
        ValueError: A moment of the squared error is not finite, or has another shape than λ.
    """
    _check_objective(objective)
    checks.function(mean, "mean")
    checks.function(second, "second")
    grid = window(objective, low=-60, high=60, points=24_001)
    inner = abs(grid) < 50
    factor = objective.factor(grid)
    half = density(objective.law, grid) * factor  # w/2
    square = half * factor * _on_grid(second, grid, "second")
    whole: Any = simpson(square, x=grid)
    grows = whole > 1.001 * simpson(square[inner], x=grid[inner])
    average = simpson(half * _on_grid(mean, grid, "mean"), x=grid)
    return float(average), np.inf if grows else float(whole)


def _on_grid(function: Callable[[NDArray], NDArray], grid: NDArray, name: str) -> NDArray:
    """What a function of λ returns on a grid; a number stands for a constant."""
    values = checks.array(function(grid), name)
    checks.require(
        values.shape in (grid.shape, ()),
        f"{name} must return one value for each λ, shape {grid.shape}, got {values.shape}",
    )
    return values
