"""Experiments on weightings: recipes taken apart, heuristics on one footing, released mistakes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.special import expit

from diffviz.checks import array, finite, increasing, require
from diffviz.lab.experiments.common import WIDE, chosen
from diffviz.protocols import Law
from diffviz.recipes.entries import objective
from diffviz.theory import analysis, laws, multipliers
from diffviz.theory.families import edm
from diffviz.theory.frames import Curve
from diffviz.theory.objectives import Objective, from_weighting
from diffviz.theory.paths import COSINE, LINEAR
from diffviz.theory.targets import EPS, V, X

CLASSICS = (
    "elbo",
    "iddpm-cosine",
    "fm-ot",
    "edm",
    "sd3",
    "min-snr-5-eps",
    "p2-gamma1",
    "indi",
    "sigmoid-bias2",
)
SPENDERS = ("elbo", "fm-ot", "iddpm-cosine", "edm", "sd3", "sd3-cosmap")
DRAWN = "drawn"  # name of a weighting that was drawn by hand


# --- two recipes, one weighting ----------------------------------------------------------------


def factors(logsnr: ArrayLike = WIDE) -> dict[str, NDArray]:
    """The factors of w = 2 · gain² · p of flow matching and of v-prediction on the cosine path.

    Args:
        logsnr: Increasing grid in nats, shape (n,).

    Returns:
        gain² and p(λ) of both recipes by label, each (n,).

    Raises:
        ValueError: The grid does not increase.
    """
    logsnr = increasing(logsnr, "logsnr")
    flow, cosine = objective("fm-ot"), objective("v-cosine")
    return {
        "fm-ot: gain², u target": flow.target.gain(logsnr, LINEAR) ** 2,
        "fm-ot: p(λ), logistic": flow.law.pdf(logsnr),
        "v-cosine: gain², v target": V.gain(logsnr, COSINE) ** 2,
        "v-cosine: p(λ), hypsecant": cosine.law.pdf(logsnr),
    }


def likeness(first: str, second: str, logsnr: ArrayLike = WIDE) -> tuple[float, float]:
    """How alike two weightings of the catalogue are, each scaled to a maximum of 1 on the grid.

    Args:
        first: Name of an objective.
        second: Name of another.
        logsnr: Increasing grid in nats, shape (n,).

    Returns:
        The correlation of the two curves, and their largest gap.

    Raises:
        ValueError: A name is unknown, or the grid does not increase.
    """
    logsnr = increasing(logsnr, "logsnr")
    one, other = (objective(name).weighting(logsnr) for name in (first, second))
    one, other = one / one.max(), other / other.max()
    return float(np.corrcoef(one, other)[0, 1]), float(np.abs(one - other).max())


# --- where training looks ----------------------------------------------------------------------


def time_laws() -> dict[str, Law]:
    """Laws of time of SD3 (Esser et al. 2024, arXiv 2403.03206, sec. 3.1), by label."""
    normals = ((0, 1), (0.5, 0.6), (-0.5, 1))
    return {
        **{f"logit-normal({m:g}, {s:g})": laws.logit_normal(m, s) for m, s in normals},
        **{f"mode({s:g})": laws.mode(s) for s in (1.29, 0.81, -0.54)},
        "CosMap": laws.cosmap(),
        "uniform": stats.uniform(),
    }


def logsnr_laws() -> dict[str, Law]:
    """Laws of log-SNR of well-known recipes, by objective."""
    names = ("edm", "sd3", "sd3-ln-1-0.6", "sd3-cosmap", "laplace-eps", "ncsnpp-ve")
    return {
        "fm-ot": LINEAR.schedule,
        "iddpm-cosine": COSINE.schedule,
        **{name: objective(name).law for name in names},
    }


# --- what the loss spends ----------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Spending:
    """Where an objective spends its loss on some data.

    Attributes:
        weighting: w on the eps error, on the grid, shape (n,).
        loss: Loss density w · mmse on the grid, shape (n,).
        weighting_below: Share of w below λ = 0.
        loss_below: Share of the loss below λ = 0.
    """

    weighting: NDArray
    loss: NDArray
    weighting_below: float
    loss_below: float


def spending(
    names: Sequence[str] = SPENDERS,
    logsnr: ArrayLike = WIDE,
    mmse: Curve = analysis.gaussian_mmse,
) -> dict[str, Spending]:
    """What objectives spend where.

    Args:
        names: Names of objectives.
        logsnr: Increasing grid in nats, shape (n,).
        mmse: Error of the exact denoiser on the data at λ in nats; that of N(0, I) by default.

    Returns:
        A record for each objective, by name.

    Raises:
        ValueError: A name is unknown, or the grid does not increase.
    """
    logsnr = increasing(logsnr, "logsnr")
    return {
        name: Spending(
            weighting=entry.weighting(logsnr),
            loss=analysis.loss_density(entry, logsnr, mmse),
            weighting_below=analysis.share_below(entry),
            loss_below=analysis.share_below(entry, mmse=mmse),
        )
        for name, entry in chosen(*names).items()
    }


def spending_on_data(
    names: Sequence[str] = SPENDERS, logsnr: ArrayLike = WIDE
) -> dict[str, dict[str, Spending]]:
    """What objectives spend where, on white Gaussian data and on the spectrum of photographs.

    Args:
        names: Names of objectives.
        logsnr: Increasing grid in nats, shape (n,).

    Returns:
        By the data, a record for each objective by name.

    Raises:
        ValueError: A name is unknown, or the grid does not increase.
    """
    from diffviz.lab.experiments import perception

    return {
        "N(0, I)": spending(names, logsnr),
        "photographs": spending(names, logsnr, perception.spectrum().mmse),
    }


# --- weightings drawn by hand -------------------------------------------------------------------


def drawn_levels(points: ArrayLike, monotone: bool = False) -> tuple[NDArray, NDArray]:
    """The function of λ that a stroke draws; where the stroke turns back, its newest part counts.

    Args:
        points: Places λ in nats and heights log10 w along the stroke, shape (n, 2).
        monotone: Hold the heights of the points where they would rise with λ.

    Returns:
        Increasing λ and the heights there, shape (m,) each with m at most n.

    Raises:
        ValueError: The points are no pairs of finite numbers.
    """
    pairs = finite(points, "points")
    if pairs.size == 0:
        return np.empty(0), np.empty(0)
    require(
        pairs.ndim == 2 and pairs.shape[1] == 2,
        f"points must be pairs of λ and log10 w, got the shape {pairs.shape}",
    )
    newest_first = pairs[::-1]
    places = newest_first[:, 0]
    # a stroke is connected, so that its newer part covers all between the ends of that part
    beyond = np.ones(len(places), dtype=bool)
    beyond[1:] = places[1:] < np.minimum.accumulate(places)[:-1]
    beyond[1:] |= places[1:] > np.maximum.accumulate(places)[:-1]
    kept = newest_first[beyond]
    logsnr, heights = kept[np.argsort(kept[:, 0])].T
    return logsnr, np.minimum.accumulate(heights) if monotone else heights


@lru_cache(16)
def drawn_objective(points: tuple[tuple[float, float], ...], monotone: bool = False) -> Objective:
    """The objective of a weighting on the eps error that was drawn by hand.

    Between the points log w is linear in λ, beyond them w is 0, and λ is drawn uniformly.

    Args:
        points: Pairs of λ in nats and log10 w along the stroke.
        monotone: Hold w at the points where it would rise with λ.

    Returns:
        The objective.

    Raises:
        ValueError: Fewer than two λ are drawn.
    """
    logsnr, heights = drawn_levels(points, monotone)
    require(len(logsnr) > 1, f"a weighting needs two points at different λ, got {points!r}")
    w = 10 ** (heights - heights.max())
    return from_weighting({"logsnr": logsnr, "w": w}, name=DRAWN)


# --- heuristics --------------------------------------------------------------------------------


def max_snr(logsnr: ArrayLike, limit: float = 5.0) -> NDArray:
    """max(SNR, γ)/SNR on the eps error: Min-SNR with ``max`` in the place of ``min``.

    Args:
        logsnr: λ in nats, any shape.
        limit: γ.

    Returns:
        The factor, in the shape of ``logsnr``.
    """
    return np.maximum(1, limit * np.exp(-array(logsnr, "logsnr")))


def heuristics(logsnr: ArrayLike = WIDE) -> dict[str, NDArray]:
    """Heuristic multipliers on one footing: the weightings that they give on the cosine schedule.

    Args:
        logsnr: Increasing grid in nats, shape (n,).

    Returns:
        w on the eps error by label, each (n,).

    Raises:
        ValueError: The grid does not increase.
    """
    logsnr = increasing(logsnr, "logsnr")
    density = objective("iddpm-cosine").weighting(logsnr)
    x_to_eps = np.exp(-logsnr)
    sigma = expit(-logsnr / 2)
    on_eps = {
        "constant": multipliers.constant(logsnr),
        "SNR": multipliers.snr(logsnr),
        "truncated SNR on x": multipliers.truncated_snr(logsnr) * x_to_eps,
        "SNR + 1 on x": multipliers.snr_plus_one(logsnr) * x_to_eps,
        "Min-SNR-5": multipliers.min_snr(5)(logsnr),
        "max-SNR-5 (the bug)": max_snr(logsnr),
        "soft-Min-SNR-4": multipliers.soft_min_snr(4)(logsnr),
        "P2": multipliers.p2()(logsnr),
        "debiased": multipliers.debiased()(logsnr),
        "sigmoid(2 − λ)": expit(2 - logsnr) / density,
        "Laplace(0, 2)": stats.laplace.pdf(logsnr, 0, 2) / density,
        "Cauchy(0, 2)": stats.cauchy.pdf(logsnr, 0, 2) / density,
        "CosMap": multipliers.cosmap(logsnr),
        "sigma_sqrt": sigma**-2.0,
        "bell": multipliers.bell(logsnr),
    }
    return {name: factor * density for name, factor in on_eps.items()}


# --- noise augmentation ------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Augmentation:
    """The noise augmentation under which a weighted loss is a sum of ELBOs, if it is one.

    Attributes:
        density: −dw/dλ on a grid, scaled to a largest magnitude of 1, shape (n,).
        elbos: −dw/dλ · L(λ) for N(0, 1) data, scaled likewise, shape (n,). L is the part of the
            ELBO of a stack that stops at λ, so that the area says how much each level counts.
        monotone: Whether w never rises on the grid.
        negative_share: Integral of the negative part over that of the rest.
    """

    density: NDArray
    elbos: NDArray
    monotone: bool
    negative_share: float


def augmentation(name: str, logsnr: ArrayLike = WIDE) -> Augmentation:
    """The noise augmentation that an objective of the catalogue implies (arXiv 2303.00848).

    Args:
        name: Name of an objective.
        logsnr: Increasing grid in nats, shape (n,).

    Returns:
        The scaled density −dw/dλ and the verdict on it.

    Raises:
        ValueError: The name is unknown, or the grid does not increase.
    """
    verdict = analysis.verdict(objective(name), logsnr)
    rounding = 1e-9 * verdict.w.max()  # the noise of a flat w stays flat
    elbos = verdict.augmentation * analysis.gaussian_information(logsnr)
    return Augmentation(
        density=verdict.augmentation / max(np.abs(verdict.augmentation).max(), rounding),
        elbos=elbos / max(np.abs(elbos).max(), rounding),
        monotone=verdict.monotone,
        negative_share=analysis.verdict(objective(name)).negative_share,
    )


def peak(name: str) -> float:
    """λ in nats at which the weighting of an objective of the catalogue is largest."""
    return float(analysis.verdict(objective(name)).peak)


# --- released mistakes -------------------------------------------------------------------------


def min_snr_plus_one(logsnr: ArrayLike) -> NDArray:
    """min(SNR + 1, 5)/(SNR + 1) on the v error, where min(SNR, 5)/(SNR + 1) was meant.

    Args:
        logsnr: λ in nats, any shape.

    Returns:
        The factor, in the shape of ``logsnr``.
    """
    snr = np.exp(array(logsnr, "logsnr"))
    return np.minimum(snr + 1, 5) / (snr + 1)


def _mistakes() -> dict[str, Objective]:
    """Wrong weightings, by the entry of the catalogue that was meant.

    The SD3 script multiplied the error of x by sigmoid(u), drawn independently of the time, where
    the time was to be drawn as sigmoid(u). A factor that knows nothing of the time is a constant
    on average, and the target x on the linear path leaves σ² times flow matching's weighting.
    """
    return {
        "min-snr-5-v": Objective(
            name="min-snr-5 v, SNR + 1 (wrong)",
            family="bug",
            year=2023,
            source="huggingface/diffusers issue 5654",
            path=COSINE,
            target=V,
            multiplier=min_snr_plus_one,
        ),
        "min-snr-5-eps": Objective(
            name="max-snr-5 (wrong)",
            family="bug",
            year=2023,
            source="lucidrains/recurrent-interface-network-pytorch issue 11",
            path=COSINE,
            target=EPS,
            multiplier=max_snr,
        ),
        "sd3-shift3": Objective(
            name="sd3, random factor (wrong)",
            family="bug",
            year=2024,
            source="huggingface/diffusers PR 8528",
            path=LINEAR,
            target=X,
            multiplier=multipliers.constant,
            law=objective("fm-shift3").law,
        ),
        "edm": edm(
            -1.2,
            1.2,
            1.0,
            "edm, sigma_data 1 (wrong)",
            family="bug",
            year=2022,
            source="a default left in place",
        ),
    }


def bugs() -> dict[str, dict[str, Objective]]:
    """Historical mistakes beside what was meant.

    Returns:
        By what went wrong: the objective that was meant and the wrong one, by name.
    """
    titles = {
        "min-snr-5-v": "Min-SNR for v: the noise end is left in",
        "min-snr-5-eps": "Min-SNR: min written as max",
        "sd3-shift3": "SD3: a factor in the place of a density",
        "edm": "EDM: σ_data left at 1",
    }
    return {
        titles[meant]: {meant: objective(meant), wrong.name: wrong}
        for meant, wrong in _mistakes().items()
    }
