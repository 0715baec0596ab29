"""From the coefficients of each draw to the path, the target, the factor and the notes."""

import numpy as np
from numpy.typing import NDArray

from diffviz.checks import require
from diffviz.probing.measured import Measured
from diffviz.probing.session import _Session

VP, LINEAR, VE = (
    "variance-preserving",
    "linear (alpha + sigma = 1)",
    "variance-exploding (alpha = 1)",
)
FRAMES = {  # the size of the data for which (alpha, sigma) lies on the frame
    VP: lambda alpha, sigma: alpha / np.sqrt(np.maximum(1 - sigma**2, 1e-12)),
    LINEAR: lambda alpha, sigma: alpha / np.maximum(1 - sigma, 1e-12),
    VE: lambda alpha, sigma: alpha,
}


def conclude(
    session: _Session, read: dict, times: list[NDArray], notes: list[str], scale: float | None
) -> Measured:
    """From coefficients to path, target, factor and words."""
    tolerance, wide, s, b, alpha = (
        session.tolerance,
        np.array(session.wide),
        read["sigma"],
        read["b"],
        read["alpha"],
    )
    with np.errstate(all="ignore"):
        size = np.ma.filled(np.ma.median(np.ma.masked_invalid(np.abs(s)), axis=0), 0)
        own = wide & (size > 0)
        for j in np.flatnonzero(~wide & (size > tolerance * size.max())):
            times_eps = np.nanmedian(np.abs(s[:, j] / s[:, own][:, 0]))
            notes += [
                f"noise shared by components is added, {times_eps:.3g} times eps: λ is that of eps"
            ]
        for j in np.flatnonzero(own & (size < size.max())):
            share = s[:, j] / alpha
            if (
                np.nanstd(share) < tolerance * abs(np.nanmean(share))
                and np.nanstd(alpha) > tolerance
            ):
                own[j] = False
                notes += [
                    f"data are drawn at random too ({abs(np.nanmean(share)):.3g} times a normal draw): counted as data"
                ]
        sigma = np.sqrt((s[:, own] ** 2).sum(1))
        along = (s[:, own] * b[:, own]).sum(1) / sigma
        apart = np.sqrt(np.maximum((b[:, own] ** 2).sum(1) - along**2, 0)) / np.hypot(
            along, read["a"]
        )
        good = (
            np.isfinite(2 * np.log(np.abs(alpha) / sigma))
            & np.isfinite(along)
            & (session.blind | np.isfinite(read["h"]))
        )
        words = "is inputs= the noised x? is the loss NaN, or its weight 0 without data?"
        require(good.any(), f"no draw has data, noise and a finite gradient at once: {words}")
        lost, read = (
            1 - good.mean(),
            read | {"alpha": alpha, "sigma": sigma, "b": along, "apart": apart},
        )
        read = {key: value[good] for key, value in read.items()}
        alpha, sigma = read["alpha"], read["sigma"]
        sizes = {}
        clear = (sigma > 0.02) & ((sigma < 0.98) | (sigma.min() >= 0.98))
        for name, ratio in FRAMES.items():
            values = ratio(alpha[clear], sigma[clear])
            if np.quantile(np.abs(values / np.median(values) - 1), 0.99) < tolerance:
                sizes[name] = float(np.median(values))
        shift = np.median(read["shift"])
        found = (
            2.0
            if abs(shift + 0.5) < tolerance
            else next(iter(sizes.values()), 1.0)
            if abs(shift) > tolerance
            else 1.0
        )
        scale = (
            scale
            if scale is not None
            else 1.0
            if any(abs(v - 1) < tolerance for v in sizes.values())
            else found
        )
        alpha, a, b = alpha / scale, read["a"] / scale, read["b"]
        logsnr = 2 * np.log(np.abs(alpha) / sigma)
    words = (
        "{} for data in units of {:.4g} (if the loss multiplies x by {:.4g}, give that as scale=)"
    )
    frame = next(
        (words.format(name, scale / v, v) for name, v in sizes.items()),
        "on none of the usual frames",
    )
    frame = next((name for name, v in sizes.items() if abs(scale / v - 1) < tolerance), frame)
    multiplier = read["h"] / 2 if not session.blind else np.full_like(alpha, np.nan)
    off = {
        key: np.quantile(np.nan_to_num(read[key], posinf=1), 0.9)
        for key in ("data", "noise", "target", "apart", "squared")
    }
    with np.errstate(all="ignore"):
        steps = np.abs(
            np.diff(np.log(multiplier * (b - a * sigma / alpha) ** 2)[np.argsort(logsnr)])
        )
        off["factor"] = (
            float(np.median(steps[np.isfinite(steps)])) if np.isfinite(steps).any() else 0.0
        )
    why = [
        (tolerance > 0.01, "the network gets numbers of few bits (bfloat16, half): alpha, sigma and λ are rounded, most in the tails"),
        (lost > 0, f"{lost:.2g} of the draws gave no finite log-SNR or factor (no signal, no noise, or NaN): left out"),
        (session.changed, f"data reach the network changed at random or not linearly (off by {off['data']:.2g}): |alpha| is a ratio of sizes"),
        (session.estimated and not session.external, f"noise is not made of recorded draws (off by {off['noise']:.2g}): sigma is estimated"),
        (session.estimated and session.components >= 64 and abs(np.median(read["tail"]) - 3) > 0.2,
         f"the noise is not Gaussian (kurtosis {np.median(read['tail']):.2f}): λ and w(λ) mean nothing without Gaussian noise"),
        (off["apart"] > tolerance, f"the target holds other noise than z (off by {off['apart']:.2g}): b is its regression on the noise in z"),
        (off["target"] > tolerance and session.how != "each", f"the target is no a x + b eps (off by {off['target']:.2g})"),
        (off["factor"] > 0.02, f"factors at the same λ scatter by {off['factor']:.2g}: computed from the data or over the batch?"),
        (session.blind, "neither squared nor a function of each component's error: the factor cannot be told, path and density can"),
    ]  # fmt: skip
    notes = [*notes, *(words for fails, words in why if fails)]
    kind = _kind(alpha, sigma, a, b, logsnr, frame, tolerance)
    label, order, even = _labels(times, good, logsnr), read["order"].astype(int), session.stratified
    return Measured(
        logsnr,
        alpha,
        sigma,
        a,
        b,
        multiplier,
        label,
        order,
        kind,
        frame,
        scale,
        even,
        off,
        tuple(notes),
    )


def _labels(times: list[NDArray], good: NDArray, logsnr: NDArray) -> NDArray:
    """Draws of equal time belong to one level, where equal time means equal λ; else equal λ does."""
    for time in (*(time[good] for time in times if len(time) == len(good)), np.round(logsnr, 4)):
        _, label = np.unique(time, return_inverse=True)
        if label.max() < 0.9 * len(label):
            mean = np.bincount(label, logsnr) / np.bincount(label)
            if np.abs(logsnr - mean[label]).max() < 0.02 * min(1, np.ptp(logsnr)) + 1e-4:
                return label
    return np.arange(len(logsnr))


def _kind(alpha, sigma, a, b, logsnr, frame, tolerance):
    """Name of the target a x + b eps, up to its sign; eps, x and score up to a constant too."""
    with np.errstate(all="ignore"):
        ratio, norm, order = sigma / alpha, np.hypot(alpha, sigma), np.argsort(logsnr)
        units = np.sqrt(np.median((1 - b**2) / a**2))
        slope = [np.gradient(values[order])[np.argsort(order)] for values in (alpha, sigma)]
        each, one, sign = (
            (lambda f: f),
            np.median,
            (lambda f: np.sign(np.median(f))),
        )  # what a common factor may be
        tries: dict[str, tuple] = {
            "eps": (0, 1, one), "x": (1, 0, one), "v": (-sigma / norm, alpha / norm, sign), "score": (0, 1 / sigma, one),
            f"F (sigma_data {units:.3g})": (ratio / units / np.hypot(ratio, units), -units / np.hypot(ratio, units), sign),
            "u": (-1, 1, one) if frame == LINEAR else (*slope, each),
        }  # fmt: skip
        for kind, (first, second, free) in tries.items():
            factor = free((a * first + b * second) / (first**2 + second**2))
            miss = np.quantile(
                np.hypot(a - factor * first, b - factor * second) / np.hypot(a, b), 0.95
            )
            if miss < tolerance * (10 if free is each else 1) and (kind != "v" or frame == VP):
                return kind
    return "other"
