"""Noise paths z = alpha x + sigma eps: a frame says where z lives, a schedule says when.

Time runs from data (t = 0) to noise (t = 1) and λ(t) falls. Draw t uniformly and λ becomes a random variable, which knows all about the
schedule: with its survival function S and density p,

    t(λ) = S(λ),      λ(t) = S⁻¹(t),      |dt/dλ| = p(λ).

That is why a path carries a SciPy distribution, for instance logistic(scale=2) when linear and hypsecant(scale=2) when cosine.
Parameters out of range raise ValueError.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.optimize.elementwise import find_root
from scipy.special import expit, log_expit, logit

from diffviz.checks import finite, increasing, positive
from diffviz.frames import STRAIGHT, SUB_VP, VE, VP, Curve, Frame, noise_ratio, smoothed, straight


class Transformed(stats.rv_continuous):
    """Law of y = forward(x), a monotone map with its inverse (array to array), for x with the frozen SciPy law ``base``.

    ``slope`` is |d inverse/dy| as a function of y; ``rising`` says whether forward increases: a schedule λ(t) does not.
    """

    def __init__(
        self, base, forward: Curve, inverse: Curve, slope: Curve, rising: bool = False, **names
    ):
        forward = np.errstate(divide="ignore")(
            forward
        )  # an end without noise or without signal is at ±inf
        self._parts = {
            "base": base,
            "forward": forward,
            "inverse": inverse,
            "slope": slope,
            "rising": rising,
        }
        ends = sorted(float(forward(np.array(x))) for x in base.support())
        super().__init__(**{"a": ends[0], "b": ends[1], "name": "transformed", **names})
        below, above = (base.cdf, base.sf) if rising else (base.sf, base.cdf)
        lower, upper = (base.ppf, base.isf) if rising else (base.isf, base.ppf)
        self._cdf, self._sf = (lambda y: below(inverse(y))), (lambda y: above(inverse(y)))
        self._ppf, self._isf = (lambda q: forward(lower(q))), (lambda q: forward(upper(q)))

    def _updated_ctor_param(self):
        return super()._updated_ctor_param() | self._parts

    @np.errstate(all="ignore")  # at an infinite end, where the density is 0
    def _pdf(self, y):
        base, inverse, slope = (self._parts[key] for key in ("base", "inverse", "slope"))
        low, high = base.support()
        flat = (
            base.dist.name == "uniform"
        )  # then no inverse is needed, and elsewhere rounding must not leave the support
        at = 1 / (high - low) if flat else base.pdf(np.clip(inverse(y), low, high))
        return np.where(np.isfinite(y), at * slope(y), 0.0)


@dataclass(frozen=True)
class Path:
    """A noise path: ``frame`` gives alpha and sigma at a λ, ``schedule`` is the law of λ under uniform time.

    All methods take a float or an array of any shape and return an array of that shape; t = 0 is data, λ is in nats.
    """

    name: str
    frame: Frame
    schedule: Any

    def logsnr(self, t: ArrayLike) -> NDArray:
        """λ(t); ±inf where the path ends without noise or without signal. Raises ValueError outside 0 <= t <= 1."""
        time = np.asarray(t, dtype=float)
        if not ((time >= 0) & (time <= 1)).all():
            raise ValueError(
                f"t must lie in [0, 1] (0 is data, 1 noise), got {time[~((time >= 0) & (time <= 1))][0]}"
            )
        return self.schedule.isf(time)

    def time(self, logsnr: ArrayLike) -> NDArray:
        """t(λ), the inverse of ``logsnr``; 0 above and 1 below the path's range. Raises ValueError on NaN."""
        if np.isnan(logsnr).any():
            raise ValueError("logsnr is NaN; t(logsnr) needs numbers")
        return self.schedule.sf(logsnr)

    def slope(self, t: ArrayLike) -> NDArray:
        """dλ/dt <= 0; −inf at an end that the path reaches only in the limit."""
        with np.errstate(divide="ignore"):
            return -1 / self.schedule.pdf(self.logsnr(t))

    def alpha(self, t: ArrayLike) -> NDArray:
        """Signal scale at t."""
        return self.frame.alpha(self.logsnr(t))

    def sigma(self, t: ArrayLike) -> NDArray:
        """Noise scale at t."""
        return self.frame.sigma(self.logsnr(t))


def scheduled(name: str, frame: Frame, logsnr: Curve, time: Curve, rate: Curve) -> Path:
    """Path from λ(t), t(λ) and |dt/dλ| as a function of λ, for the laws that SciPy does not have."""
    return Path(name, frame, Transformed(stats.uniform(), logsnr, time, rate)())


def inverted(forward: Curve) -> Curve:
    """The inverse of a monotone map of [0, 1], by root search."""
    return lambda y: (
        find_root(
            lambda t, goal: forward(t) - goal, (np.zeros_like(y), np.ones_like(y)), args=(y,)
        ).x
    )


def _from_rate(name: str, total: Curve, inverse: Curve, rate: Curve, frame: Frame = VP) -> Path:
    """Path with alpha² = e^(−B): B(t) = ∫β, its inverse, β as a function of B; sigma² = 1 − e^(−B), or its square if sub-VP."""
    order, depth = (
        (2, lambda l: 2 * np.arcsinh(noise_ratio(l) / 2))
        if frame is SUB_VP
        else (1, lambda l: np.logaddexp(0, -l))
    )
    logsnr = lambda t: -total(t) - order * np.log(-np.expm1(-total(t)))
    return scheduled(
        name,
        frame,
        logsnr,
        lambda l: inverse(depth(l)),
        lambda l: 2 * frame.slope(l) / rate(depth(l)),
    )


def _linear_rate(name: str, beta_min: float, beta_max: float, frame: Frame) -> Path:
    b, rise = positive(beta_min, "beta_min"), positive(beta_max - beta_min, "beta_max - beta_min")
    root = lambda depth: np.sqrt(b**2 + 2 * rise * depth)
    total, inverse = (
        (lambda t: b * t + rise * t**2 / 2),
        (lambda depth: 2 * depth / (b + root(depth))),
    )
    return _from_rate(name.format(b, beta_max), total, inverse, root, frame)


def vp_linear(beta_min: float = 0.1, beta_max: float = 20.0) -> Path:
    """Linear β(t), continuous limit of DDPM's table (Song et al. 2021, arXiv 2011.13456, eq. 32)."""
    return _linear_rate("VP linear beta({:g}, {:g})", beta_min, beta_max, VP)


def sub_vp(beta_min: float = 0.1, beta_max: float = 20.0) -> Path:
    """Sub-VP: alpha² = e^(−B), sigma = 1 − e^(−B) (Song et al. 2021, arXiv 2011.13456, eq. 29)."""
    return _linear_rate("sub-VP", beta_min, beta_max, SUB_VP)


def scaled_linear(beta_start: float = 0.00085, beta_end: float = 0.012, steps: int = 1000) -> Path:
    """sqrt(β) linear, continuous limit of Stable Diffusion's table (LDM calls it 'linear', diffusers 'scaled_linear')."""
    root, rise = (
        np.sqrt(positive(beta_start, "beta_start")),
        np.sqrt(positive(beta_end, "beta_end")) - np.sqrt(beta_start),
    )
    growth = 3 * positive(rise, "beta_end - beta_start") / (positive(steps, "steps") * root**3)
    total = lambda t: steps * root**2 * t * (1 + rise * t / root + (rise * t / root) ** 2 / 3)
    inverse = lambda depth: root / rise * np.expm1(np.log1p(growth * depth) / 3)
    rate = lambda depth: steps * root**2 * np.exp(2 / 3 * np.log1p(growth * depth))
    return _from_rate(f"VP scaled-linear beta({beta_start:g}, {beta_end:g})", total, inverse, rate)


def cosine(offset: float = 0.0, normalise: bool = True, frame: Frame = VP) -> Path:
    """Cosine path: alpha² = cos²(θ(t)), θ = (t + s)/(1 + s)·π/2 (Nichol & Dhariwal 2021, arXiv 2102.09672, eq. 17).

    ``offset`` is s: 0 for the ideal path, 0.008 for the published one, whose code divides alpha² by its value at t = 0
    (``normalise``); without that λ(0) = 8.769. Raises ValueError for s < 0.
    """
    ideal = Path("cosine", frame, stats.hypsecant(scale=2))
    if offset == 0:
        return ideal
    first = positive(offset, "offset") / (1 + offset)
    name = f"cosine(s={offset:g})"
    if not normalise:
        return restricted(ideal, first, 1.0, name)
    start, span = (
        np.pi / 2 * first,
        np.pi / 2 * (1 - first),
    )  # θ at t = 0, and what is left of the quarter turn
    low, high = np.sin(start), np.cos(start)
    sine, cosin = (
        (lambda l: np.hypot(low, high * VP.sigma(l))),
        (lambda l: high * VP.alpha(l)),
    )  # of θ at λ

    def forward(t):  # cos θ = sin((1 − t) span), without cancellation at t = 1
        return 2 * np.log(np.sin((1 - t) * span)) - np.log(
            np.sin(t * span) * np.sin(t * span + 2 * start)
        )

    def inverse(
        logsnr,
    ):  # the turn θ − start, its sine as (sin² θ − sin² start)/sin(θ + start) to keep small t exact
        s, c = sine(logsnr), cosin(logsnr)
        return (
            np.arctan2((high * VP.sigma(logsnr)) ** 2 / (s * high + c * low), c * high + s * low)
            / span
        )

    # cos θ = high alpha ⇒ sin θ dθ = high alpha sigma²/2 dλ
    return scheduled(
        name, frame, forward, inverse, lambda l: cosin(l) * VP.sigma(l) ** 2 / (2 * sine(l) * span)
    )


def ve(sigma_min: float, sigma_max: float) -> Path:
    """Geometric sigma on the variance-exploding path: λ uniform (Song et al. 2021, arXiv 2011.13456, eq. 30)."""
    positive(sigma_min, "sigma_min"), positive(sigma_max - sigma_min, "sigma_max - sigma_min")
    return replace(
        uniform_logsnr(-2 * np.log(sigma_max), -2 * np.log(sigma_min), VE),
        name=f"VE({sigma_min:g}, {sigma_max:g})",
    )


def uniform_logsnr(low: float, high: float, frame: Frame = VP) -> Path:
    """λ linear in t between its ends (Kingma et al. 2021, arXiv 2107.00630: VDM's γ = −λ). ValueError unless low < high."""
    return Path(
        f"uniform logsnr({low:g}, {high:g})",
        frame,
        stats.uniform(low, positive(high - low, "high - low")),
    )


def from_density(density, frame: Frame = VP, name: str = "from density") -> Path:
    """The path whose λ has law ``density`` under uniform time: EDM's, Laplace's, Cauchy's, an adaptive schedule's."""
    return Path(name, frame, density)


def edm(mean: float = -1.2, std: float = 1.2) -> Path:
    """ln sigma ~ N(mean, std²) on alpha = 1 (Karras et al. 2022, arXiv 2206.00364, table 1). ValueError unless std > 0."""
    return from_density(
        stats.norm(-2 * mean, 2 * positive(std, "std")), VE, f"EDM({mean:g}, {std:g})"
    )


def karras(sigma_min: float = 0.002, sigma_max: float = 80.0, rho: float = 7.0) -> Path:
    """sigma^(1/ρ) uniform between its ends (Karras et al. 2022, arXiv 2206.00364, eq. 5)."""
    low, high = (
        positive(sigma_min, "sigma_min") ** (1 / positive(rho, "rho")),
        positive(sigma_max, "sigma_max") ** (1 / rho),
    )
    span = positive(high - low, "sigma_max - sigma_min")
    name, root = (
        f"Karras({sigma_min:g}, {sigma_max:g}, rho={rho:g})",
        lambda l: np.exp(-l / (2 * rho)),
    )  # sigma^(1/ρ) at λ
    logsnr = lambda t: -2 * rho * np.log(low + t * span)
    return scheduled(
        name, VE, logsnr, lambda l: (root(l) - low) / span, lambda l: root(l) / (2 * rho * span)
    )


def sigmoid(start: float = -3.0, end: float = 3.0, tau: float = 1.0) -> Path:
    """alpha² a rescaled sigmoid (Jabri et al. 2022, arXiv 2212.11972; pix2seq's ``sigmoid_schedule``)."""
    width = positive(end - start, "end - start") / positive(tau, "tau")
    low, span = expit(start / tau), expit(end / tau) - expit(start / tau)

    noise = lambda l: (
        expit(-l) * span
    )  # sigmoid(x) − sigmoid(start/tau): the noise variance before the rescaling

    def forward(t):
        left, right = (
            np.sinh(t * width / 2),
            np.sinh((1 - t) * width / 2),
        )  # sigmoid differences without cancellation
        return np.log(right / np.cosh(end / tau / 2)) - np.log(left / np.cosh(start / tau / 2))

    inverse = lambda l: (
        (np.log1p(noise(l) / low) - np.log1p(-noise(l) / (1 - low))) / width
    )  # logit(x) − start/tau, likewise
    rate = lambda l: noise(l) * expit(l) / ((low + noise(l)) * (1 - low - noise(l)) * width)
    return scheduled(f"sigmoid({start:g}, {end:g}, {tau:g})", VP, forward, inverse, rate)


def _alpha_power(name: str, frame: Frame, log_sigma: Curve, time: Curve, n: float = 1.0) -> Path:
    """Path with alpha = (1 − t)^n, from log sigma(t) and t(λ): |dt/dλ| = (1 − t)/n · d log alpha/dλ."""
    logsnr = lambda t: 2 * (n * np.log1p(-t) - log_sigma(t))
    return scheduled(
        name, frame, logsnr, time, lambda l: frame.alpha(l) ** (1 / n) * frame.slope(l) / n
    )


def power(n: float = 2.0) -> Path:
    """alpha = (1 − t)^n, sigma = 1 − alpha (flow_matching's ``PolynomialConvexScheduler``). Raises ValueError for n <= 0."""
    positive(n, "n")
    log_sigma = lambda t: np.log(-np.expm1(n * np.log1p(-t)))
    return _alpha_power(
        f"polynomial(n={n:g})", STRAIGHT, log_sigma, lambda l: -np.expm1(log_expit(l / 2) / n), n
    )


def linear_vp() -> Path:
    """alpha = 1 − t, sigma = sqrt(1 − alpha²) (flow_matching's ``LinearVPScheduler``)."""
    time = lambda l: VP.sigma(l) ** 2 / (1 + VP.alpha(l))  # 1 − alpha without cancellation
    return _alpha_power("linear VP", VP, lambda t: np.log(t * (2 - t)) / 2, time)


def icfm(width: float) -> Path:
    """Path of torchcfm's ``ConditionalFlowMatcher(sigma=width)``: alpha = 1 − t, sigma² = t² + width²."""
    frame = smoothed(width)
    return _alpha_power(
        f"I-CFM({width:g})",
        frame,
        lambda t: np.log(np.hypot(t, width)),
        lambda l: 1 - frame.alpha(l),
    )


def sigma_min_path(sigma_min: float) -> Path:
    """alpha = 1 − t, sigma = sigma_min + (1 − sigma_min) t: Lipman et al.'s OT path (arXiv 2210.02747, eq. 20)."""
    frame = straight(positive(sigma_min, "sigma_min"))
    log_sigma = lambda t: np.log(sigma_min + (1 - sigma_min) * t)
    time = lambda l: (
        (frame.sigma(l) - sigma_min) / (1 - sigma_min)
    )  # 1 − alpha without cancellation
    return _alpha_power(f"linear, sigma_min {sigma_min:g}", frame, log_sigma, time)


def shifted(path: Path, shift: float) -> Path:
    """λ moved by −2 log shift: resolution shift (Hoogeboom et al. 2023, arXiv 2301.11093; SD3, arXiv 2403.03206, eq. 23)."""
    move = 2 * np.log(positive(shift, "shift"))
    law = Transformed(
        path.schedule, lambda x: x - move, lambda y: y + move, np.ones_like, rising=True
    )()
    return replace(path, name=f"{path.name}, shift {shift:g}", schedule=law)


def restricted(path: Path, start: float, end: float, name: str | None = None) -> Path:
    """The stretch start <= t <= end of a path, run through in unit time. Raises ValueError unless 0 <= start < end <= 1."""
    if not 0 <= start < end <= 1:
        raise ValueError(f"need 0 <= start < end <= 1, got {start}, {end}")
    law = Transformed(
        stats.uniform(start, end - start), path.schedule.isf, path.schedule.sf, path.schedule.pdf
    )()
    return replace(path, name=name or f"{path.name} on t in [{start:g}, {end:g}]", schedule=law)


def interpolated(low: Path, high: Path) -> Path:
    """λ(t) = t λ_low(t) + (1 − t) λ_high(t) (Hoogeboom et al. 2023, arXiv 2301.11093, eq. 15), in the frame of ``high``; the inverse is a root search."""

    if not np.isfinite([*low.schedule.support(), *high.schedule.support()]).all():
        raise ValueError(
            "interpolated paths need finite logsnr ends; use restricted(path, start, end) first"
        )
    forward = lambda t: t * low.schedule.isf(t) + (1 - t) * high.schedule.isf(t)
    inverse = inverted(forward)

    def rate(logsnr):
        t = inverse(logsnr)
        first, last = low.schedule.isf(t), high.schedule.isf(t)
        return 1 / (last - first + t / low.schedule.pdf(first) + (1 - t) / high.schedule.pdf(last))

    return scheduled(f"{low.name} to {high.name}", high.frame, forward, inverse, rate)


def zero_terminal_snr(path: Path) -> Path:
    """alpha moved affinely to end at 0, alpha(0) kept (Lin et al. 2023, arXiv 2305.08891, algorithm 1); VP frame."""
    if path.frame is not VP:
        raise ValueError(
            f"zero terminal SNR moves the alpha of a variance-preserving path; {path.name!r} is {path.frame.name}"
        )
    first, last = VP.alpha(path.schedule.isf([0.0, 1.0]))
    scale, kept = (
        (first - last) / first,
        last * (1 - first) / first,
    )  # kept: what 1 − alpha is short of

    @np.errstate(divide="ignore")
    def moved(
        logsnr, alpha_by, gap_by, scale
    ):  # λ where alpha becomes (alpha + alpha_by) scale, 1 − alpha likewise
        alpha = np.maximum(VP.alpha(logsnr) + alpha_by, 0) * scale
        gap = (
            VP.sigma(logsnr) ** 2 / (1 + VP.alpha(logsnr)) + gap_by
        ) * scale  # 1 − alpha without cancellation
        return 2 * np.log(alpha) - np.log(gap * (1 + alpha))

    before = lambda l: moved(
        l, last / scale, kept / scale, scale
    )  # the λ of the original path that is moved to this one
    grown = lambda l: VP.alpha(l) * VP.sigma(l) ** 2  # 2 d alpha/dλ
    forward = lambda t: moved(path.schedule.isf(t), -last, -kept, 1 / scale)
    rate = lambda l: path.schedule.pdf(before(l)) * grown(l) * scale / grown(before(l))
    return scheduled(
        f"{path.name}, zero terminal SNR", VP, forward, lambda l: path.schedule.sf(before(l)), rate
    )


def atoms(logsnr: ArrayLike, mass: ArrayLike | None = None):
    """Law of discrete levels λ_i, each spread over the cell between the midpoints to its neighbours (outer cells symmetric).

    Args:
        logsnr: T distinct levels in nats, any order, shape (T,); mass: probabilities up to a constant, shape (T,), or equal.
    Raises ValueError for levels that repeat or are not finite (a zero-SNR step has λ = −inf and no cell: leave it out).
    """
    levels = finite(logsnr, "logsnr of the atoms")
    order = np.argsort(levels)
    levels = increasing(levels[order], "logsnr of the atoms")
    weight = np.ones_like(levels) if mass is None else finite(mass, "mass")
    if weight.shape != levels.shape or (weight < 0).any() or not weight.any():
        raise ValueError(
            f"mass is one probability >= 0 for each of the {len(levels)} levels, not all 0; got {weight}"
        )
    inner = (levels[1:] + levels[:-1]) / 2
    edges = np.concatenate([[2 * levels[0] - inner[0]], inner, [2 * levels[-1] - inner[-1]]])
    return stats.rv_histogram((weight[order], edges), density=False)()


def discrete(alphas_cumprod: ArrayLike) -> Path:
    """Path through a table of T falling values alpha² (``alphas_cumprod``), each step equally likely; VP frame."""
    table = finite(alphas_cumprod, "alphas_cumprod")
    if not ((table > 0) & (table < 1)).all():
        raise ValueError(
            "alphas_cumprod must lie strictly within (0, 1); drop a last step with zero SNR: it has logsnr -inf"
        )
    return Path(f"table of {table.size} steps", VP, atoms(logit(table)))


LINEAR = Path("linear", STRAIGHT, stats.logistic(scale=2))
COSINE = cosine()
GVP = Path("trigonometric (GVP)", VP, stats.hypsecant(scale=2))
