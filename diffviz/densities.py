"""Where the training loss looks: densities over log-SNR as SciPy distributions.

A training code states the law f(t) of time; through a path it becomes p(λ) = f(t(λ)) |dt/dλ|. Where a closed form exists it *is* a
SciPy distribution (logit-normal time on the linear path is normal in λ, EDM's log-normal sigma too); everywhere else one
push-forward gives the same interface: pdf, cdf, sf, ppf, isf, rvs, support. Parameters out of range raise ValueError.
"""

import numpy as np
from scipy import stats
from scipy.special import ndtr, ndtri

from diffviz.checks import finite, positive
from diffviz.paths import Path, Transformed, inverted


def push_forward(time, path: Path):
    """Law of λ when t has the law ``time``, a frozen SciPy distribution, on ``path``. Raises ValueError if it leaves [0, 1]."""
    low, high = time.support()
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"a time density lives on [0, 1] (0 is data), this one on [{low:g}, {high:g}]"
        )
    return Transformed(time, path.schedule.isf, path.schedule.sf, path.schedule.pdf)()


def logit_normal(mean: float = 0.0, std: float = 1.0):
    """Law of t with logit t ~ N(mean, std²): SD3's rf/lognorm (Esser et al. 2024, arXiv 2403.03206, eq. 19); SciPy's Johnson SB."""
    positive(std, "std"), finite(mean, "mean")
    return stats.johnsonsb(-mean / std, 1 / std)


def logit_normal_logsnr(mean: float = 0.0, std: float = 1.0, shift: float = 1.0):
    """Law of λ under ``logit_normal`` time, shifted, on the linear path: N(−2 mean − 2 log shift, (2 std)²) exactly.

    As such it is also that of ln(sigma/alpha) ~ N(mean, std²): EDM's P_mean, P_std (Karras et al. 2022, arXiv 2206.00364, table 1).
    """
    finite(mean, "mean")
    return stats.norm(-2 * mean - 2 * np.log(positive(shift, "shift")), 2 * positive(std, "std"))


def loglogistic_sigma(mean: float, scale: float):
    """Law of λ for ln sigma ~ logistic(mean, scale) (k-diffusion's ``rand_log_logistic``). ValueError unless scale > 0."""
    finite(mean, "mean")
    return stats.logistic(-2 * mean, 2 * positive(scale, "scale"))


def loguniform_sigma(low: float, high: float):
    """Law of λ for ln sigma uniform between the logs of its ends. Raises ValueError unless 0 < low < high."""
    ratio = positive(high, "high") / positive(low, "low")
    return stats.uniform(-2 * np.log(high), 2 * np.log(positive(ratio - 1, "high/low - 1") + 1))


def split_lognormal_sigma(mean: float, below: float, above: float):
    """Law of λ for ln sigma two-piece normal: scale ``below`` under its mode and ``above`` over it (k-diffusion)."""
    finite(mean, "mean")
    left, right, mode = (
        2 * positive(above, "above"),
        2 * positive(below, "below"),
        -2 * mean,
    )  # λ runs the other way
    share = left / (left + right)
    cdf = lambda l: np.where(
        l < mode,
        2 * share * ndtr((l - mode) / left),
        1 - 2 * (1 - share) * ndtr((mode - l) / right),
    )
    ppf = lambda q: (
        mode
        + np.where(
            q < share, left * ndtri(q / 2 / share), -right * ndtri((1 - q) / 2 / (1 - share))
        )
    )
    pdf = lambda l: (
        stats.norm.pdf((l - mode) / np.where(l < mode, left, right)) * 2 / (left + right)
    )
    return Transformed(stats.uniform(), ppf, cdf, pdf, rising=True)()


def mode(scale: float):
    """Law of t = 1 − u − s (cos²(πu/2) − 1 + u), u uniform: SD3's rf/mode (Esser et al. 2024, arXiv 2403.03206, eq. 20).

    With w = 1 − u this is t = (1 + s) w − s sin²(πw/2), symmetric about ½. Raises ValueError outside −1 <= s <= 2/(π − 2).
    """
    if not -1 <= scale <= 2 / (np.pi - 2):
        raise ValueError(
            f"mode scale must lie in [-1, {2 / (np.pi - 2):.4f}], got {scale}: t(u) is not monotone there"
        )

    forward = lambda w: (1 + scale) * w - scale * np.sin(np.pi * w / 2) ** 2
    inverse = inverted(forward)
    slope = lambda t: 1 / (1 + scale - scale * np.pi / 2 * np.sin(np.pi * inverse(t)))
    return Transformed(stats.uniform(), forward, inverse, slope, rising=True)()


def cosmap():
    """Law of t = 1 − 1/(tan(πu/2) + 1), density 2/(π(1 − 2t + 2t²)): SD3's CosMap (Esser et al. 2024, arXiv 2403.03206, eq. 21)."""
    forward = lambda u: np.sin(np.pi * u / 2) / (np.sin(np.pi * u / 2) + np.cos(np.pi * u / 2))
    inverse = lambda t: 2 / np.pi * np.arctan2(t, 1 - t)
    return Transformed(
        stats.uniform(),
        forward,
        inverse,
        lambda t: 2 / (np.pi * (1 - 2 * t + 2 * t**2)),
        rising=True,
    )()


def u_shaped(a: float = 4.0):
    """Law of t with density ∝ cosh(a(t − ½)) (Lee et al. 2024, arXiv 2405.20320, as coded in rfpp). ValueError unless a > 0."""
    half = np.sinh(positive(a, "a") / 2)
    forward = lambda q: 0.5 + np.arcsinh((2 * q - 1) * half) / a
    inverse = lambda t: 0.5 + np.sinh(a * (t - 0.5)) / (2 * half)
    return Transformed(
        stats.uniform(),
        forward,
        inverse,
        lambda t: a * np.cosh(a * (t - 0.5)) / (2 * half),
        rising=True,
    )()


def lower_of_two(density):
    """Law of the smaller of two independent λ (the noisier of two times): 2 S p, as MeanFlow's sampler draws when r is set to t."""
    return Transformed(stats.beta(2, 1), density.isf, density.sf, density.pdf)()


def stretched(density, low: float, high: float):
    """Law of low + (high − low) t: a time density kept off the ends of [0, 1]. Raises ValueError unless low < high."""
    width = positive(high - low, "high - low")
    forward, inverse = (lambda t: low + width * t), (lambda y: (y - low) / width)
    return Transformed(density, forward, inverse, lambda y: np.ones_like(y) / width, rising=True)()


def truncated(density, low: float, high: float):
    """``density`` conditioned on low <= λ <= high. Raises ValueError unless there is mass."""
    top, bottom = density.sf(low), density.sf(high)
    share = stats.uniform(
        bottom, positive(top - bottom, f"mass of the density in [{low:g}, {high:g}]")
    )
    return Transformed(share, density.isf, density.sf, density.pdf)()
