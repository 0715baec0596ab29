"""What a draw of λ costs: the variance of a loss's value and of its gradient, by density and weighting.

One draw is Y = w/(2p) e with λ ~ p; e is the squared error ‖eps_hat − eps‖² (the value of the loss) or its slope in the weights of
the network (the gradient). From the mean and the mean squared length of e at each λ,

    Var Y = ∫ (w/2)² E‖e‖²/p dλ − ‖∫ w/2 E e dλ‖²,      least at p ∝ w sqrt(E‖e‖²).

With one draw in each of n equal shares of probability ("stratified", what ``Objective.draw`` does), n times the variance of the mean
tends to ∫ (w/2)² (E‖e‖² − ‖E e‖²)/p dλ: what varies with λ alone is gone. Integrals run over the levels, densities are cut to them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import simpson
from torch.nn.attention import SDPBackend, sdpa_kernel

from diffviz.theory.analysis import window
from diffviz.theory.frames import VP
from diffviz.theory.objectives import Objective

UNIFORM = 0.05  # share of ``dv.AdaptiveObjective``


@dataclass(frozen=True)
class Moments:
    """Of a random e of length d at each level λ.

    Args:
        logsnr: evenly spaced levels in nats, shape (levels,).
        means: two independent estimates of E e, whose product has no bias, shape (2, levels, d).
        second: E‖e‖², shape (levels,).
    """

    logsnr: NDArray
    means: NDArray
    second: NDArray

    def best(self, objective: Objective, uniform: float = 0.0) -> NDArray:
        """Masses of the density of least variance on the levels, mixed with a uniform share, shape (levels,)."""
        mass = objective.weighting(self.logsnr) * np.sqrt(self.second)
        return (1 - uniform) * mass / mass.sum() + uniform / len(mass)

    def variance(
        self, objective: Objective, p: ArrayLike | None = None, stratified: bool = False
    ) -> float:
        """Variance of one draw of the objective's loss.

        Args:
            p: density of λ on the levels, up to a constant, shape (levels,); the objective's own by default.
            stratified: n times the variance of the mean of n stratified draws instead.
        """
        density = np.asarray(objective.law.pdf(self.logsnr) if p is None else p)
        half, mass = (
            objective.weighting(self.logsnr) / 2 * np.gradient(self.logsnr),
            density / density.sum(),
        )
        one, two = self.means
        known = (half**2 / mass) @ (one * two).sum(1) if stratified else (half @ one) @ (half @ two)
        return float((half**2 / mass) @ self.second - known)


def exact(toy, logsnr: ArrayLike, draws: int = 4096) -> Moments:
    """Of the squared error of a toy's ideal denoiser."""
    mean, second = toy.moments(logsnr, draws=draws)
    return Moments(np.asarray(logsnr, dtype=float), np.stack([mean, mean])[..., None], second)


def trained(run, x: torch.Tensor, logsnr: ArrayLike, seed: int = 0) -> tuple[Moments, Moments]:
    """Of a trained denoiser's squared error, and of the slope of that in its weights, over the points x (n, *shape) with fresh noise."""
    generator, weights = torch.Generator().manual_seed(seed), run.state[run.ema]

    def error(flat, z, point, level):
        x_hat = replace(run, state={run.ema: flat}).denoise(z[None], level)[0]
        return (x_hat - point).square().sum() * level.exp()

    slopes = torch.func.vmap(torch.func.grad_and_value(error), (None, 0, 0, None))
    rows = []
    for level in torch.as_tensor(np.asarray(logsnr), dtype=x.dtype):
        z = VP.alpha(level.item()) * x + VP.sigma(level.item()) * torch.randn(
            x.shape, generator=generator
        )
        with sdpa_kernel(SDPBackend.MATH):  # the one that knows vmap
            slope, value = slopes(weights, z.to(x), x, level)
        rows.append([_halves_and_second(e) for e in (value[:, None], slope)])
    levels = np.asarray(logsnr, dtype=float)
    value_rows, slope_rows = (zip(*one, strict=True) for one in zip(*rows, strict=True))
    (halves, second), (slope_halves, slope_second) = (
        map(np.stack, one) for one in (value_rows, slope_rows)
    )
    return Moments(levels, halves.swapaxes(0, 1), second), Moments(
        levels, slope_halves.swapaxes(0, 1), slope_second
    )


def _halves_and_second(e: torch.Tensor) -> tuple[NDArray, float]:
    """Means of both halves of e (n, d), shape (2, d), and the mean squared length."""
    return torch.stack([half.mean(0) for half in e.chunk(2)]).double().numpy(), e.square().sum(
        1
    ).double().mean().item()


def squared_errors(toy, logsnr: ArrayLike, generator: torch.Generator) -> NDArray:
    """‖eps_hat − eps‖² of a toy's exact denoiser, one fresh point and noise for each λ, shape (n,)."""
    level = torch.as_tensor(np.asarray(logsnr))
    alpha, sigma = level.sigmoid().sqrt()[:, None], (-level).sigmoid().sqrt()[:, None]
    x = toy.sample(len(level), generator)
    z = alpha * x + sigma * torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return ((toy.denoise(z, level) - x).square().sum(1) * level.exp()).numpy()


def draws(objective: Objective, law, toy, n: int = 20_000, seed: int = 0) -> NDArray:
    """n draws Y of an objective's loss on a toy's exact denoiser when λ follows ``law`` instead, stratified, shape (n,)."""
    rng = np.random.default_rng(seed)
    logsnr = law.ppf((rng.permutation(n) + rng.random(n)) / n)
    factor = objective.weighting(logsnr) / (2 * law.pdf(logsnr))
    return factor * squared_errors(toy, logsnr, torch.Generator().manual_seed(seed))


COLUMNS = "one draw", "5 % uniform", "stratified", "gradient", "its best p"


def gains(
    objective: Objective, value: Moments, gradient: Moments | None = None
) -> tuple[float, ...]:
    """Variance under the objective's own density over that under another: how many times fewer draws say as much.

    Of the value under the p that is best for it: one draw, the same with ``AdaptiveObjective``'s uniform share, stratified draws; then of the
    gradient: under that p with the uniform share, and under the p that is best for the gradient.
    """
    best, mixed = value.best(objective), value.best(objective, UNIFORM)
    cases = [(value, best, False), (value, mixed, False), (value, best, True)]
    cases += (
        [(gradient, mixed, False), (gradient, gradient.best(objective), False)] if gradient else []
    )
    return tuple(m.variance(objective, None, s) / m.variance(objective, p, s) for m, p, s in cases)


def table(objectives: Iterable[Objective], value: Moments, gradient: Moments | None = None) -> str:
    """``gains`` of each objective as lines of text."""
    rows = {one.name: gains(one, value, gradient) for one in objectives}
    head = f"{'':14}" + "".join(f"{name:>13}" for name in COLUMNS[: len(next(iter(rows.values())))])
    return "\n".join(
        [
            head,
            *(
                f"{name:14}" + "".join(f"{gain:13.2f}" for gain in row)
                for name, row in rows.items()
            ),
        ]
    )


def draw_moments(objective: Objective, mean: Callable, second: Callable) -> tuple[float, float]:
    """E Y and E Y² of one draw of the loss, from E‖·‖² and E‖·‖⁴ as functions of λ; infinite if still growing at ±60."""
    grid = window(objective, low=-60, high=60, points=24_001)
    factor, inner = objective.factor(grid), abs(grid) < 50
    half = objective.law.pdf(grid) * factor  # w/2
    square = half * factor * second(grid)
    grows = simpson(square, x=grid) > 1.001 * simpson(square[inner], x=grid[inner])
    return float(simpson(half * mean(grid), x=grid)), np.inf if grows else float(
        simpson(square, x=grid)
    )
