"""Figures 12 to 17: a noise schedule is a law of log-SNR, and what sampling by another one costs."""

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray
from scipy import stats
from scipy.special import expit, log_expit

from diffviz import paths, plots, weightings
from diffviz.checks import positive
from diffviz.objectives import Objective
from diffviz.paths import COSINE, LINEAR
from diffviz.recipes import CATALOGUE
from suite.figures import WIDE, figure

TIME = "time t   [0 data, 1 noise]"


@figure(
    "resolution-shift",
    "Shift s moves log-SNR by −2 log s: −1.386 per doubling of resolution, −2.197 for flow's shift 3",
)
def resolution_shift() -> Axes:
    left, right = plots.axes(9.5, 4.2, columns=2)
    t = np.linspace(0.002, 0.998, 500)
    moved = {
        f"shift {s:g}{' (one doubling)' * (s == 2)}": paths.shifted(LINEAR, s)
        for s in (1.0, 2.0, 3.0)
    }
    levels = {name: path.logsnr(t) for name, path in moved.items()}
    plots.lines(t, levels, xlabel=TIME, ylabel="log-SNR λ(t)", title="linear path", ax=left)
    laws = {name: path.schedule.pdf(WIDE) for name, path in moved.items()}
    title = "the same in log-SNR: a plain move"
    plots.lines(
        WIDE,
        laws,
        xlabel=plots.LOGSNR,
        ylabel="density p(λ) per nat",
        title=title,
        outside=None,
        ax=right,
    )
    return left


@figure(
    "schedules",
    "α, σ and total standard deviation of z over time: cosine (VP), linear, variance-exploding",
)
def schedules() -> Axes:
    row = plots.axes(12, 3.9, columns=3)
    t = np.linspace(0, 1, 401)
    for ax, path in zip(row, (COSINE, LINEAR, paths.ve(0.01, 50)), strict=True):
        alpha, sigma = path.alpha(t), path.sigma(t)
        curves = {"α": alpha, "σ": sigma, "total √(α² + σ²)": np.hypot(alpha, sigma)}
        plots.lines(t, curves, xlabel=TIME, ylabel="scale", title=path.name, ax=ax)
    row[2].set_yscale("log")
    return row[0]


@figure(
    "cosine-six-panel",
    "One schedule, six views: time, σ and log-SNR of the cosine path against each other",
)
def cosine_six_panel() -> Axes:
    grid = plots.axes(11.5, 6.6, columns=3, rows=2)
    t = np.linspace(0.001, 0.999, 800)
    logsnr, sigma = COSINE.logsnr(t), COSINE.sigma(t)
    offset = paths.cosine(0.008, normalise=False)  # as published: λ(0) is finite
    level, most = "log-SNR λ", float(offset.logsnr(0))
    views = (
        (t, {"s = 0": logsnr, "s = 0.008": offset.logsnr(t)}, TIME, level, "λ = −2 log tan(πt/2)"),
        (t, {"s = 0": sigma}, TIME, "σ", "σ = sin(πt/2)"),
        (logsnr, {"s = 0": sigma}, level, "σ", "σ² = sigmoid(−λ)"),
        (logsnr, {"s = 0": COSINE.schedule.pdf(logsnr)}, level, "p(λ)", "p = sech(λ/2)/2π, std π"),
        (sigma, {"s = 0": 2 / (np.pi * np.sqrt(1 - sigma**2))}, "σ", "p(σ)", "the same law over σ"),
        (t, {"s = 0": COSINE.slope(t)}, TIME, "dλ/dt", "speed through log-SNR"),
    )
    for ax, (x, y, xlabel, ylabel, title) in zip(grid, views, strict=True):
        plots.lines(
            x,
            y,
            xlabel=xlabel,
            ylabel=ylabel,
            title=title,
            outside=False if len(y) > 1 else None,
            ax=ax,
        )
    grid[0].annotate(f"λ(0) = {most:.3f}", (0.02, most), (0.2, 9.5), fontsize=9)
    grid[4].set_ylim(0, 6)
    grid[5].set_ylim(-60, 0)
    return grid[0]


SAMPLERS = {
    "cosine": COSINE.schedule, "FM uniform t": LINEAR.schedule, "uniform λ on [−15, 15]": stats.uniform(-15, 30),
    "EDM log-normal": stats.norm(2.4, 2.4), "logit-normal(0, 1)": stats.norm(0, 2),
}  # fmt: skip


def _total(logs: NDArray, grid: NDArray, end: float) -> float:
    """∫ e^logs over a grid of λ, both (n,); inf where the integrand has not died out at ±end, which stands for infinity."""
    peak = logs.max()
    if not np.isfinite(peak):
        raise ValueError(
            f"there is no weight on logsnr [{grid[0]:g}, {grid[-1]:g}]; choose another density or weighting"
        )
    total = np.trapezoid(np.exp(logs - peak), grid)
    edges = logs[[0, -1]][np.abs(grid[[0, -1]]) > 0.999 * end]
    with np.errstate(over="ignore"):
        return (
            np.inf if (np.exp(edges - peak) > 1e-3 * total).any() else float(total * np.exp(peak))
        )


def second_moment(
    objective: Objective, law, shift: float = 1.0, variance: float = 1.0
) -> tuple[float, float, float]:
    """What one draw says about a weighted loss: Y = w/p · ½(eps_hat − eps)², N(0, variance) data, exact denoiser, λ ~ p.

    The error is Gaussian with variance mmse = sigmoid(λ + log variance), so E[Y²] = ¾ ∫ (w·mmse)²/p dλ, smallest for p ∝ w·mmse.

    Args:
        objective: whose w; law: frozen SciPy distribution of λ.
        shift: moves the law by −2 log shift nats; variance: of the data.
    Returns:
        E[Y²], its smallest value under any density on the same range, and the share of the loss outside that range (NaN where the
        whole loss is infinite). Infinite are integrals that have not died out at |λ| = 40.
    Raises:
        ValueError: if the law and the objective's own density do not overlap, or shift or variance is not a number above 0.
    """
    end, move, logvar = (
        40.0,
        2 * np.log(positive(shift, "shift")),
        np.log(positive(variance, "variance")),
    )

    def loss(grid):
        with np.errstate(divide="ignore"):
            return np.log(objective.weighting(grid)) + log_expit(grid + logvar)

    low, high = np.clip(np.subtract(law.support(), move), -end, end)
    whole, grid = (
        weightings.window(objective, low=a, high=b, points=8001)
        for a, b in ((-end, end), (low, high))
    )
    seen, everything = _total(loss(grid), grid, end), _total(loss(whole), whole, end)
    second = _total(2 * loss(grid) - law.logpdf(grid + move), grid, end)
    return (
        0.75 * second,
        0.75 * seen**2,
        float("nan") if np.isinf(everything) else max(0.0, 1 - seen / everything),
    )


def draw_variance(law) -> float:
    """Variance of one draw Y = w/p·ε² with w = e^(−λ/2) under ``law``, N(0, 1) data and the exact denoiser; its mean is π."""
    return 4 * second_moment(CATALOGUE["fm-ot"], law)[0] - np.pi**2


@figure(
    "invariance",
    "One weighted loss under five sampling densities: the same mean, very different variance (N(0, 1), exact denoiser)",
)
def invariance() -> Axes:
    left, right = plots.axes(11.5, 4.2, columns=2)
    rng = np.random.default_rng(0)
    places = np.arange(len(SAMPLERS))[::-1]
    for place, (name, law) in zip(places, SAMPLERS.items(), strict=True):
        logsnr = law.ppf((rng.permutation(20_000) + rng.random(20_000)) / 20_000)
        draws = (
            np.exp(-logsnr / 2) / law.pdf(logsnr) * expit(logsnr) * rng.standard_normal(20_000) ** 2
        )
        bar, variance = 1.96 * draws.std() / np.sqrt(len(draws)), draw_variance(law)
        left.errorbar(draws.mean(), place, xerr=bar, fmt="o", color=plots.PALETTE[place], gid=name)
        right.barh(place, min(variance, 1e4), color=plots.PALETTE[place], gid=name)
        text = (
            f"{variance:.4g}"
            if np.isfinite(variance)
            else f"infinite (these draws: {draws.var():.3g})"
        )
        right.annotate(text, (12, place), va="center", fontsize=9, color="white", weight="bold")
    left.axvline(np.pi, color="0.4", ls=":", lw=1)
    left.set(
        xlabel="mean of 20,000 draws ± 95 %   (dotted: π)", title="the mean does not depend on it"
    )
    left.set_yticks(places, [*SAMPLERS])
    right.set(xlabel="variance of one draw", xscale="log", xlim=(10, 1500), title="its noise does")
    right.set_yticks(places, [""] * len(SAMPLERS))
    left.figure.subplots_adjust(left=0.17)
    return left
