"""Curves c(λ) on a target's own error, and what a weighting w(λ) on the eps error says.

    L_w = ½ ∫ w(λ) E‖eps_hat − eps‖² dλ        (Kingma & Gao 2023, arXiv 2303.00848)

Weightings are compared up to a constant. A w that falls with λ makes the loss an ELBO of noised data, with −dw/dλ as the law of the
noise level; where w rises that law would be negative. Whatever the base, the product w(λ) E‖eps_hat − eps‖², the *loss density*, is
the same. Parameters out of range raise ValueError.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path as File

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import simpson
from scipy.optimize import brentq
from scipy.special import expit

from diffviz.checks import finite, increasing, positive
from diffviz.paths import Curve, Path
from diffviz.targets import base_gain


def constant(logsnr: ArrayLike) -> NDArray:
    """1: the plain squared error."""
    return np.ones_like(np.asarray(logsnr, dtype=float))


def snr(logsnr: ArrayLike) -> NDArray:
    """SNR = e^λ on the x error: the eps loss (Salimans & Ho 2022, arXiv 2202.00512, sec. 4)."""
    return np.exp(logsnr)


def truncated_snr(logsnr: ArrayLike) -> NDArray:
    """max(SNR, 1) on the x error (Salimans & Ho 2022, arXiv 2202.00512, eq. 9)."""
    return np.maximum(np.exp(logsnr), 1)


def snr_plus_one(logsnr: ArrayLike) -> NDArray:
    """SNR + 1 on the x error: the v loss (Salimans & Ho 2022, arXiv 2202.00512, eq. 9)."""
    return np.exp(logsnr) + 1


def min_snr(gamma: float = 5.0, target: str = "eps") -> Curve:
    """min(SNR, γ) over SNR, 1, SNR + 1 on the eps, x, v error (Hang et al. 2023, arXiv 2303.09556); no other target."""
    positive(gamma, "gamma")
    own: dict[str, Curve] = {"eps": snr, "x": constant, "v": snr_plus_one}
    if target not in own:
        raise ValueError(f"min-SNR is defined on {', '.join(own)}, not on {target!r}")
    return lambda logsnr: np.minimum(np.exp(logsnr), gamma) / own[target](logsnr)


def soft_min_snr(gamma: float = 4.0) -> Curve:
    """γ/(SNR + γ) on the eps error (Crowson et al. 2024, arXiv 2401.11605). Raises ValueError unless gamma > 0."""
    positive(gamma, "gamma")
    return lambda logsnr: expit(np.log(gamma) - logsnr)


def p2(gamma: float = 1.0, k: float = 1.0) -> Curve:
    """1/(k + SNR)^γ on the eps error (Choi et al. 2022, arXiv 2204.00227, eq. 8). Raises ValueError unless gamma, k > 0."""
    positive(gamma, "gamma"), positive(k, "k")
    return lambda logsnr: (k + np.exp(logsnr)) ** -gamma


def debiased(cap: float = np.inf) -> Curve:
    """1/sqrt(min(SNR, cap)) on the eps error (Yu et al. 2023, arXiv 2310.08442; kohya-ss/sd-scripts caps at 1000)."""
    if not cap > 0:
        raise ValueError(f"cap must be > 0, got {cap}")
    return lambda logsnr: np.minimum(np.exp(logsnr), cap) ** -0.5


def likelihood(path: Path) -> Curve:
    """−dλ/dt on the eps error, under uniform time on ``path``: the ELBO (Kingma et al. 2021, arXiv 2107.00630, eq. 17)."""
    return lambda logsnr: 1 / path.schedule.pdf(logsnr)


def sigmoid(bias: float, path: Path) -> Curve:
    """−dλ/dt e^b sigmoid(λ − b) on the x error, i.e. w = sigmoid(b − λ) (Kingma & Gao 2023; Hoogeboom et al. 2024, arXiv 2410.19324, eq. 4)."""
    finite(bias, "bias")
    return lambda logsnr: (
        np.exp(bias) * expit(np.asarray(logsnr) - bias) / path.schedule.pdf(logsnr)
    )


def edm(sigma_data: float = 0.5) -> Curve:
    """(σ² + σ_data²)/(σ σ_data)² on the x error, σ = e^(−λ/2) (Karras et al. 2022, arXiv 2206.00364, table 1)."""
    variance = positive(sigma_data, "sigma_data") ** 2
    return lambda logsnr: 1 / variance + np.exp(logsnr)


def edm_monotonic(mean: float = -1.2, std: float = 1.2, sigma_data: float = 0.5) -> Curve:
    """EDM's, with its w held at the maximum below the peak (Kingma & Gao 2023, sec. 5); under λ ~ N(−2 mean, (2 std)²)."""
    centre, scale, plain = -2 * mean, 2 * positive(std, "std"), edm(sigma_data)
    slope = lambda l: (centre - l) / scale**2 - expit(-l - 2 * np.log(sigma_data))
    peak = brentq(slope, centre - 2 * scale**2 - 1, centre, xtol=1e-14, rtol=1e-14)
    bend = lambda l: ((l - centre) ** 2 - (peak - centre) ** 2) / (2 * scale**2)
    rise = lambda l: np.exp(
        l - peak + bend(l)
    )  # w ∝ c e^(−λ) p: below the peak c = c(peak) · e^(λ − peak) · p(peak)/p(λ)
    return np.errstate(over="ignore")(
        lambda l: plain(np.maximum(l, peak)) * rise(np.minimum(l, peak))
    )  # p underflows first


def sigma_sqrt(logsnr: ArrayLike) -> NDArray:
    """σ^−2 on the linear path, despite its name (diffusers ``compute_loss_weighting_for_sd3``)."""
    return (1 + np.exp(np.asarray(logsnr) / 2)) ** 2


def cosmap(logsnr: ArrayLike) -> NDArray:
    """2/(π(1 − 2σ + 2σ²)) on the linear path: CosMap's density used as a loss weight (diffusers)."""
    sigma = expit(-np.asarray(logsnr) / 2)
    return 2 / (np.pi * (1 - 2 * sigma + 2 * sigma**2))


def bell(logsnr: ArrayLike) -> NDArray:
    """exp(−2(σ − ½)²) − e^(−½) on the linear path; 0 at both ends (DiffSynth-Studio's Wan template)."""
    half = np.asarray(logsnr) / 2
    return np.exp(-0.5) * np.expm1(2 * expit(half) * expit(-half))  # −2(σ − ½)² = −½ + 2σ(1 − σ)


def tabulated(table: str | File | ArrayLike) -> tuple[Curve, float, float]:
    """A weighting and its ends, read from a CSV or array of two columns λ and w: linear in λ, on log w if all w > 0, 0 outside.

    Raises ValueError for a table that is not two numeric columns with increasing λ and w >= 0, or that is 0 throughout.
    """
    try:
        rows = (
            np.genfromtxt(table, delimiter=",")
            if isinstance(table, (str, File))
            else np.asarray(table, dtype=float)
        )
    except ValueError as error:
        raise ValueError(f"cannot read a table of numbers: {error}") from error
    rows = (
        rows[1:] if rows.ndim == 2 and len(rows) and np.isnan(rows[0]).all() else rows
    )  # a header line
    if rows.ndim != 2 or rows.shape[1] != 2 or len(rows) < 2:
        raise ValueError(
            f"a weighting table has two columns, logsnr and w, and at least two rows; got shape {rows.shape}"
        )
    grid, w = (
        increasing(rows[:, 0], "first column (logsnr)"),
        finite(rows[:, 1], "second column (w)"),
    )
    if (w < 0).any() or not w.any():
        raise ValueError(
            f"w must be >= 0 and somewhere positive; smallest {w.min():g}, largest {w.max():g}"
        )
    if (w > 0).all():
        return (
            lambda logsnr: np.exp(np.interp(logsnr, grid, np.log(w), -np.inf, -np.inf)),
            grid[0],
            grid[-1],
        )
    return lambda logsnr: np.interp(logsnr, grid, w, 0, 0), grid[0], grid[-1]


def evaluate(w, logsnr: ArrayLike) -> NDArray:
    """w on a grid, for an objective (or anything with ``weighting``), a probed loss, a callable, or values already on it."""
    if isinstance(w, str):
        raise TypeError(
            f"a weighting is an objective, a callable or an array; for a name say dv.objective({w!r})"
        )
    if hasattr(w, "edges"):  # a measured loss: bin averages, between the middles of its bins
        edges = w.edges()
        if np.min(logsnr) < edges[0] or np.max(logsnr) > edges[-1]:
            raise ValueError(
                f"the loss was measured on logsnr [{edges[0]:.4g}, {edges[-1]:.4g}] only; nothing is extrapolated"
            )
        values = np.exp(
            np.interp(
                np.asarray(logsnr), (edges[1:] + edges[:-1]) / 2, np.log(w.weighting(edges)[0])
            )
        )
    else:
        values = w.weighting(logsnr) if hasattr(w, "weighting") else w(logsnr) if callable(w) else w
    values = finite(values, "weighting")
    if values.shape != np.shape(logsnr):
        raise ValueError(f"weighting has shape {values.shape}, logsnr {np.shape(logsnr)}")
    if (values < 0).any():
        raise ValueError(
            f"a weighting is >= 0, got {values.min():g} at logsnr {np.ravel(logsnr)[values.argmin()]:g}"
        )
    return values


def window(*objects, low: float = -20.0, high: float = 20.0, points: int = 4001) -> NDArray:
    """Grid over the stretch of [low, high] on which every object with a law, or measured edges, has support, ends a hair inside."""
    ends = [
        o.edges()[[1, -2]] if hasattr(o, "edges") else o.law.support()
        for o in objects
        if hasattr(o, "law") or hasattr(o, "edges")
    ]
    low, high = max([low, *(e[0] for e in ends)]), min([high, *(e[1] for e in ends)])
    if low >= high:
        raise ValueError(
            "the supports do not overlap: " + ", ".join(f"[{a:.3g}, {b:.3g}]" for a, b in ends)
        )
    hair = 1e-12 * (high - low)
    return np.linspace(low + hair, high - hair, points)


def augmentation_density(w: ArrayLike, logsnr: ArrayLike) -> NDArray:
    """Which noise levels the data are augmented with when a falling w is read as an ELBO: −dw/dλ (Kingma & Gao 2023, sec. 3).

    Args:
        w: values on the grid, a callable or an objective, >= 0; logsnr: increasing λ in nats, shape (n,); else ValueError.
    Returns central differences, shape (n,), below 0 where w rises; with w(λ_max) as a last lump they add up to w(λ_min).
    """
    grid = increasing(logsnr, "logsnr")
    return -np.gradient(evaluate(w, grid), grid)


def gaussian_mmse(logsnr: ArrayLike) -> NDArray:
    """E‖eps_hat − eps‖² per dimension of the exact denoiser on N(0, 1): sigmoid(λ)."""
    return expit(logsnr)


def gaussian_information(logsnr: ArrayLike) -> NDArray:
    """I(x; z_λ) = ½ log(1 + e^λ) in nats, for x ~ N(0, 1)."""
    return np.logaddexp(0, logsnr) / 2


@dataclass(frozen=True)
class Verdict:
    """What ``verdict`` found, on the grid ``logsnr``: shape (n,) arrays ``w`` and ``augmentation``."""

    monotone: bool
    rises: tuple[tuple[float, float], ...]
    peak: float
    negative_share: float
    logsnr: NDArray
    w: NDArray
    augmentation: NDArray

    def __str__(self) -> str:
        if self.monotone:
            return "monotone: an ELBO with noise augmentation"
        where = ", ".join(
            f"below {b:.2f}" if a == self.logsnr[0] else f"on [{a:.2f}, {b:.2f}]"
            for a, b in self.rises[:3]
        )
        more = " ..." if len(self.rises) > 3 else ""
        return f"not monotone: rises {where}{more}; peak at {self.peak:.3f}; negative share {self.negative_share:.2%}"


def _peak(grid: NDArray, values: NDArray) -> float:
    """Place of the largest value, by a quartic through it and two neighbours on each side."""
    i = int(values.argmax())
    if not 2 <= i < len(grid) - 2:
        return float(grid[i])
    near = slice(i - 2, i + 3)
    turns = np.polynomial.Polynomial.fit(grid[near], values[near] / values[i], 4).deriv().roots()
    best = turns[np.abs(turns - grid[i]).argmin()].real if len(turns) else grid[i]
    return float(best if grid[i - 1] < best < grid[i + 1] else grid[i])


def verdict(
    w, logsnr: ArrayLike | None = None, information: Curve = gaussian_information
) -> Verdict:
    """Is w monotone (non-increasing in λ), where does it rise, and how much of its ELBO mixture is negative?

    The loss is a signed mixture of ELBOs, L_w = w(λ_max) L(λ_max) − w(λ_min) L(λ_min) − ∫ w′(λ) L(λ) dλ (Kingma & Gao 2023, theorem 1).
    The negative share is ∫ (w′)₊ L over w(λ_max) L(λ_max) + ∫ (−w′)₊ L, with L the exact denoiser's L(λ) = I(x; z_λ); the term at λ_min
    is left out, since it vanishes as the range grows.

    Args:
        w: an objective, a callable of λ, or values on ``logsnr``; information: I(x; z_λ) of the data.
        logsnr: increasing grid in nats, shape (n,); by default [−20, 20] cut to the support.
    Raises ValueError for a grid that does not increase, a negative or non-finite w, or values without a grid.
    """
    if logsnr is None and not (callable(w) or hasattr(w, "weighting")):
        raise ValueError("values of w need their grid: verdict(w, logsnr)")
    grid = window(w) if logsnr is None else increasing(logsnr, "logsnr")
    values = evaluate(w, grid)
    if not values.any():
        raise ValueError("the weighting is 0 on the whole grid; pass a grid inside its support")
    steps = np.diff(values)
    rising = steps > 1e-9 * np.maximum(values[1:], values[:-1])
    rises = tuple(
        (a, b)
        for a, b in grid[np.flatnonzero(np.diff(rising, prepend=0, append=0))]
        .reshape(-1, 2)
        .tolist()
    )
    spent = steps * finite(information((grid[1:] + grid[:-1]) / 2), "information")
    negative = spent[rising].sum()
    whole = values[-1] * float(information(grid[-1])) - spent[~rising].sum()
    share = float(negative / whole) if negative else 0.0
    return Verdict(
        not rises,
        rises,
        _peak(grid, values),
        share,
        grid,
        values,
        augmentation_density(values, grid),
    )


@dataclass(frozen=True)
class Comparison:
    """Whether two weightings agree up to a constant: ``ratio`` on ``logsnr`` (median 1), its largest deviation from 1, and where."""

    same: bool
    deviation: float
    at: float
    logsnr: NDArray
    ratio: NDArray

    def __str__(self) -> str:
        found = "same up to a constant" if self.same else "different"
        return (
            f"{found}: the ratio deviates by {self.deviation:.2g} at most, at logsnr {self.at:.2f}"
        )


def compare(a, b, logsnr: ArrayLike | None = None, tolerance: float = 1e-6) -> Comparison:
    """Are two weightings the same up to a constant, on the stretch of [−12, 12] where both have support?

    Args:
        a, b: objectives, callables of λ, or values on ``logsnr``; tolerance: of the ratio, relative, to count as the same.
    Raises ValueError if the supports do not overlap, or b is 0 where it should divide.
    """
    positive(tolerance, "tolerance")
    grid = (
        window(a, b, low=-12, high=12, points=2001)
        if logsnr is None
        else increasing(logsnr, "logsnr")
    )
    over, under = evaluate(a, grid), evaluate(b, grid)
    if not ((over > 0) & (under > 0)).all():
        raise ValueError(
            "a weighting is 0 inside the window, the ratio has no meaning there; pass a narrower logsnr grid"
        )
    ratio = over / under / np.median(over / under)
    worst = np.abs(ratio - 1).argmax()
    deviation = float(abs(ratio[worst] - 1))
    return Comparison(deviation <= tolerance, deviation, float(grid[worst]), grid, ratio)


def classes(objectives: Iterable, tolerance: float = 1e-6) -> list[list]:
    """Objectives grouped by identical weighting, up to a constant and where supports overlap; each group by its first member."""
    grid = np.linspace(-12, 12, 2001)
    groups: list[tuple[NDArray, list]] = []
    for one in objectives:
        w = evaluate(one, grid)
        for known, group in groups:
            both = (w > 0) & (known > 0)
            ratio = w[both] / known[both]
            if both.sum() > 100 and np.ptp(ratio) <= tolerance * np.median(ratio):
                group.append(one)
                break
        else:
            groups.append((w, [one]))
    return sorted((group for _, group in groups), key=len, reverse=True)


def rebase(w: ArrayLike, logsnr: ArrayLike, base: str) -> NDArray:
    """A weighting on the eps error as one on the error of ``base``: divided by gain² (the loss itself does not change)."""
    return finite(w, "weighting") / base_gain(base, finite(logsnr, "logsnr")) ** 2


def loss_density(w, logsnr: ArrayLike, mmse: Curve = gaussian_mmse) -> NDArray:
    """w(λ) E‖eps_hat − eps‖² per nat, for an exact denoiser on data with this eps-mmse (σ(λ) is that of N(0, 1)); shape (n,)."""
    return evaluate(w, logsnr) * finite(mmse(np.asarray(logsnr, dtype=float)), "mmse")


def share_below(
    w, at: float = 0.0, mmse: Curve | None = None, low: float = -10.0, high: float = 10.0
) -> float:
    """Share of ∫w dλ on [low, high] below λ = ``at``, or of the loss ∫ w·mmse dλ; ValueError if that is 0 or low >= high."""
    if not (low < high and np.isfinite(at)) or not (callable(w) or hasattr(w, "weighting")):
        raise ValueError(
            f"a share needs an objective or a callable, a finite at and low < high; got at {at}, [{low}, {high}]"
        )
    start = max(low, w.law.support()[0]) if hasattr(w, "law") else low
    grids = [window(w, low=low, high=end) if start < end else None for end in (high, min(at, high))]
    mass = [
        0.0 if g is None else simpson(evaluate(w, g) * (mmse or constant)(g), x=g) for g in grids
    ]
    if not mass[0] > 0:
        raise ValueError(f"there is no weight on logsnr [{low:g}, {high:g}]; widen the range")
    return float(mass[1] / mass[0])
