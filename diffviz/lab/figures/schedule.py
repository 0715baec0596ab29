"""Figures 12 to 17: a noise schedule is a law of log-SNR, and what sampling by another one costs."""

import numpy as np
from matplotlib.axes import Axes
from scipy.special import expit

from diffviz import plots
from diffviz.lab.experiments.common import WIDE
from diffviz.lab.experiments.schedule import SAMPLERS, TIME, draw_variance
from diffviz.lab.figures.registry import figure
from diffviz.theory import paths
from diffviz.theory.paths import COSINE, LINEAR


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
