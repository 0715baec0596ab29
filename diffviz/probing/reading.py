"""From the coefficients of each draw to path, target, factor and notes.

The steps, in the order of ``conclude``: combine the noises to one, leave out draws without a finite
log-SNR or factor, fit the frame and its scale, name the target, and write down by how much each
assumption fails.

The letters are those of ``coefficients``: z = alpha x + sigma eps, target = a x + b eps, and the
gradient of a draw at the network's output is h (output − target), where h = 2 c and c is the
multiplier. A loss may draw several noises; until they are combined, sigma and b have one column for
each.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffviz.checks import require
from diffviz.probing.coefficients import Coefficients
from diffviz.probing.first_look import FirstLook
from diffviz.probing.measured import Measured
from diffviz.probing.notes import Evidence, write_notes
from diffviz.probing.target_kind import fit_frame, name_target


@dataclass(frozen=True)
class Noise:
    """The noises of a loss, combined to the one eps of unit variance that z holds.

    Attributes:
        sigma: Coefficient of eps in z, shape (n,).
        b: Coefficient of eps in the target, shape (n,).
        apart: Size of the noise in the target that is not in z, relative to the size of the target,
            shape (n,).
        notes: Notes on noises that do not count as eps.
    """

    sigma: NDArray
    b: NDArray
    apart: NDArray
    notes: list[str]

    def select(self, mask: NDArray) -> "Noise":
        """The noise of some draws.

        Args:
            mask: Which draws are kept, bool, shape (n,).

        Returns:
            The same for these draws alone.
        """
        return Noise(self.sigma[mask], self.b[mask], self.apart[mask], self.notes)


@np.errstate(all="ignore")
def conclude(
    first_look: FirstLook, coefficients: Coefficients, *, stratified: bool, scale: float | None
) -> Measured:
    """Conclude what the loss optimises.

    Args:
        first_look: What the first look found.
        coefficients: What was read off each draw.
        stratified: Whether times were quantiles of their law.
        scale: Factor by which the loss multiplies x, if it is known.

    Returns:
        The measured path, target, factor and notes, for all draws with a finite log-SNR.

    Raises:
        ValueError: No draw has data, noise and a finite gradient at once.
    """
    noise = _combine_noises(coefficients, first_look.tolerance)
    usable = _usable(first_look, coefficients, noise)
    require(
        usable.any(),
        "no draw has data, noise and a finite gradient at once: is inputs= the noised x? is the "
        "loss NaN, or its weight 0 without data?",
    )
    coefficients = coefficients.select(usable)
    noise = noise.select(usable)

    shift = float(np.median(coefficients.shift))
    frame = fit_frame(coefficients.alpha, noise.sigma, shift, scale, first_look.tolerance)
    alpha = coefficients.alpha / frame.scale
    a = coefficients.a / frame.scale
    logsnr = 2 * np.log(np.abs(alpha) / noise.sigma)
    gain = noise.b - a * noise.sigma / alpha  # with its sign; only the square is used
    multiplier = coefficients.h / 2  # h = 2 c
    if not first_look.factor_readable:
        multiplier = np.full_like(alpha, np.nan)

    residuals = _residuals(coefficients, noise)
    residuals["factor"] = _scatter(multiplier * gain**2, logsnr)
    evidence = Evidence(
        first_look,
        residuals,
        lost=float(1 - usable.mean()),
        kurtosis=float(np.median(coefficients.kurtosis)),
    )
    return Measured(
        logsnr=logsnr,
        alpha=alpha,
        sigma=noise.sigma,
        a=a,
        b=noise.b,
        multiplier=multiplier,
        label=_label_levels(coefficients.scalars, logsnr),
        order=coefficients.order,
        kind=name_target(alpha, noise.sigma, a, noise.b, frame.frame, first_look.tolerance),
        frame=frame.description,
        scale=frame.scale,
        stratified=stratified,
        residuals=residuals,
        notes=(*first_look.notes, *noise.notes, *write_notes(evidence)),
    )


# Noise sources -----------------------------------------------------------------------------------


def _combine_noises(coefficients: Coefficients, tolerance: float) -> Noise:
    """Combine the recorded noises to one.

    A noise is part of eps if every component has its own number. Noise that components share is not
    part of it. Neither is noise in a fixed ratio to alpha, since it belongs to the data: they are
    drawn at random.
    """
    sigmas = coefficients.sigma
    each_component = np.array(coefficients.each_component)
    size = _median_size(sigmas)
    in_eps = each_component & (size > 0)
    shared = ~each_component & (size > tolerance * size.max())
    notes = _notes_on_shared_noise(sigmas, in_eps, shared)
    for j in np.flatnonzero(in_eps & (size < size.max())):
        ratio = sigmas[:, j] / coefficients.alpha
        if _follows_alpha(ratio, coefficients.alpha, tolerance):
            in_eps[j] = False
            notes.append(
                f"data are drawn at random too ({abs(np.nanmean(ratio)):.3g} times a normal "
                "draw): counted as data"
            )
    # eps is the sum of these noises in z, scaled to unit variance; b is the target's part along it
    sigma_parts = sigmas[:, in_eps]
    b_parts = coefficients.b[:, in_eps]
    sigma = np.sqrt((sigma_parts**2).sum(1))
    b = (sigma_parts * b_parts).sum(1) / sigma
    apart = np.sqrt(np.maximum((b_parts**2).sum(1) - b**2, 0))
    return Noise(sigma, b, apart / np.hypot(b, coefficients.a), notes)


def _notes_on_shared_noise(sigmas: NDArray, in_eps: NDArray, shared: NDArray) -> list[str]:
    """Notes on noise that components share, with its size in units of the first noise in eps."""
    if not shared.any():
        return []
    require(
        in_eps.any(),
        "all noise is shared by components: z holds no noise of each component's own, and so no "
        "log-SNR; draw the noise in the shape of x",
    )
    ratios = np.abs(sigmas[:, shared] / sigmas[:, in_eps][:, :1])
    return [
        f"noise shared by components is added, {multiple:.3g} times eps: λ is that of eps"
        for multiple in np.nanmedian(ratios, axis=0)
    ]


def _median_size(sigmas: NDArray) -> NDArray:
    """Median size of each noise over the draws where it is finite, else 0, shape (k,)."""
    sizes = np.ma.median(np.ma.masked_invalid(np.abs(sigmas)), axis=0)
    return np.ma.filled(sizes, 0)


def _follows_alpha(ratio: NDArray, alpha: NDArray, tolerance: float) -> bool:
    """Whether alpha varies and the ratio of a noise to it does not: it is part of the data."""
    constant = np.nanstd(ratio) < tolerance * abs(np.nanmean(ratio))
    return bool(constant and np.nanstd(alpha) > tolerance)


def _usable(first_look: FirstLook, coefficients: Coefficients, noise: Noise) -> NDArray:
    """Which draws have a finite log-SNR, target and factor, shape (n,)."""
    logsnr = 2 * np.log(np.abs(coefficients.alpha) / noise.sigma)
    usable = np.isfinite(logsnr) & np.isfinite(noise.b)
    if first_look.factor_readable:
        usable &= np.isfinite(coefficients.h)
    return usable


# Residuals and levels ----------------------------------------------------------------------------


def _residuals(coefficients: Coefficients, noise: Noise) -> dict[str, float]:
    """By what relative amount each assumption fails; ``conclude`` adds that of the factor."""
    return {
        "data": _typical(coefficients.data_error),
        "noise": _typical(coefficients.noise_error),
        "target": _typical(coefficients.target_error),
        "apart": _typical(noise.apart),
        "squared": _typical(coefficients.square_error),
    }


def _typical(errors: NDArray) -> float:
    """The 0.9 quantile of the errors, where NaN counts as 0 and infinity as 1."""
    return float(np.quantile(np.nan_to_num(errors, posinf=1), 0.9))


def _scatter(factor: NDArray, logsnr: NDArray) -> float:
    """Median step of the log factor between draws of neighbouring log-SNR."""
    log_factor = np.log(factor)[np.argsort(logsnr)]
    steps = np.abs(np.diff(log_factor))
    finite = steps[np.isfinite(steps)]
    return float(np.median(finite)) if len(finite) else 0.0


def _label_levels(times: list[NDArray], logsnr: NDArray) -> NDArray:
    """Number the discrete levels, and give each draw the number of its level, shape (n,).

    Draws of equal time are one level if their log-SNR is equal too. If no argument of the network
    is such a time, draws of equal log-SNR are one level. If log-SNR hardly repeats either, the law
    is continuous and each draw has a number of its own.
    """
    for values in (*times, np.round(logsnr, 4)):
        _, label = np.unique(values, return_inverse=True)
        repeats = label.max() < 0.9 * len(label)
        if repeats and _agree(label, logsnr):
            return label
    return np.arange(len(logsnr))


def _agree(label: NDArray, logsnr: NDArray) -> bool:
    """Whether all draws of one label have nearly the same log-SNR."""
    mean = np.bincount(label, logsnr) / np.bincount(label)
    allowed = 0.02 * min(1, np.ptp(logsnr)) + 1e-4
    return bool(np.abs(logsnr - mean[label]).max() < allowed)
