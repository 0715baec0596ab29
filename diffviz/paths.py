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
from diffviz.frames import STRAIGHT, SUB_VP, VE, VP, Curve, Frame, smoothed, straight, trigonometric  # noqa: F401


class Transformed(stats.rv_continuous):
    """Law of y = forward(x) for a monotone map and x with the law ``base``.

    Args:
        base: frozen SciPy distribution of x.
        forward, inverse: the map and its inverse, array to array.
        slope: |d inverse/dy| as a function of y.
        rising: whether ``forward`` increases; a schedule λ(t) does not.
    """

    def __init__(self, base, forward: Curve, inverse: Curve, slope: Curve, rising: bool = False, **names):
        forward = np.errstate(divide="ignore")(forward)  # an end without noise or without signal is at ±inf
        self._parts = {"base": base, "forward": forward, "inverse": inverse, "slope": slope, "rising": rising}
        low, high = base.support()
        self._flat = 1 / (high - low) if base.dist.name == "uniform" else None  # then the pdf needs no inverse
        ends = sorted(float(forward(np.array(x))) for x in base.support())
        super().__init__(**{"a": ends[0], "b": ends[1], "name": "transformed", **names})

    def _updated_ctor_param(self):
        return super()._updated_ctor_param() | self._parts

    def _at(self, which: str, other: str, y):
        base, rising = self._parts["base"], self._parts["rising"]
        return getattr(base, which if rising else other)(self._parts["inverse"](y))

    def _pdf(self, y):
        base = self._parts["base"]
        with np.errstate(all="ignore"):  # at an infinite end, where the density is 0
            at = self._flat or base.pdf(np.clip(self._parts["inverse"](y), *base.support()))  # rounding must not leave it
            return np.where(np.isfinite(y), at * self._parts["slope"](y), 0.0)

    def _cdf(self, y):
        return self._at("cdf", "sf", y)

    def _sf(self, y):
        return self._at("sf", "cdf", y)

    def _ppf(self, q):
        base = self._parts["base"]
        return self._parts["forward"](base.ppf(q) if self._parts["rising"] else base.isf(q))

    def _isf(self, q):
        base = self._parts["base"]
        return self._parts["forward"](base.isf(q) if self._parts["rising"] else base.ppf(q))


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
            raise ValueError(f"t must lie in [0, 1] (0 is data, 1 noise), got {time[~((time >= 0) & (time <= 1))][0]}")
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


def _vp_from_rate(name: str, total: Curve, inverse: Curve, rate: Curve) -> Path:
    """Variance-preserving path with alpha² = e^(−B): B(t) = ∫β, its inverse, and β as a function of B."""

    def depth(logsnr):
        return np.logaddexp(0, -logsnr)  # B at λ

    return scheduled(
        name,
        VP,
        lambda t: -total(t) - np.log(-np.expm1(-total(t))),
        lambda logsnr: inverse(depth(logsnr)),
        lambda logsnr: expit(-logsnr) / rate(depth(logsnr)),
    )


def vp_linear(beta_min: float = 0.1, beta_max: float = 20.0) -> Path:
    """Linear β(t), continuous limit of DDPM's table (Song et al. 2021, arXiv 2011.13456, eq. 32)."""
    b, rise = positive(beta_min, "beta_min"), positive(beta_max - beta_min, "beta_max - beta_min")
    return _vp_from_rate(
        f"VP linear beta({b:g}, {beta_max:g})",
        lambda t: b * t + rise * t**2 / 2,
        lambda depth: 2 * depth / (b + np.sqrt(b**2 + 2 * rise * depth)),
        lambda depth: np.sqrt(b**2 + 2 * rise * depth),
    )


def scaled_linear(beta_start: float = 0.00085, beta_end: float = 0.012, steps: int = 1000) -> Path:
    """sqrt(β) linear, continuous limit of Stable Diffusion's table (LDM calls it 'linear', diffusers 'scaled_linear')."""
    root, rise = (np.sqrt(positive(beta_start, "beta_start")), np.sqrt(positive(beta_end, "beta_end")) - np.sqrt(beta_start))
    growth = 3 * positive(rise, "beta_end - beta_start") / (positive(steps, "steps") * root**3)
    return _vp_from_rate(
        f"VP scaled-linear beta({beta_start:g}, {beta_end:g})",
        lambda t: steps * root**2 * t * (1 + rise * t / root + (rise * t / root) ** 2 / 3),
        lambda depth: root / rise * np.expm1(np.log1p(growth * depth) / 3),
        lambda depth: steps * root**2 * np.exp(2 / 3 * np.log1p(growth * depth)),
    )


def sub_vp(beta_min: float = 0.1, beta_max: float = 20.0) -> Path:
    """Sub-VP: alpha² = e^(−B), sigma = 1 − e^(−B) (Song et al. 2021, arXiv 2011.13456, eq. 29)."""
    base = vp_linear(beta_min, beta_max)

    def as_vp(logsnr):  # λ of the VP path at the same B = −log1p(−sigma)
        with np.errstate(divide="ignore"):
            vp = 2 * np.log(SUB_VP.alpha(logsnr)) - np.log(SUB_VP.sigma(logsnr))
        return np.maximum(vp, base.schedule.support()[0])  # rounding must not leave the path at its last step

    def forward(t):
        vp = base.schedule.isf(t)
        return vp - log_expit(-vp)  # log(alpha²/sigma²) with sigma = 1 − alpha² = sigma_vp²

    def rate(logsnr):  # dλ_sub = (1 + alpha²) dλ_vp
        return base.schedule.pdf(as_vp(logsnr)) / (1 + SUB_VP.alpha(logsnr) ** 2)

    return scheduled("sub-VP", SUB_VP, forward, lambda logsnr: base.schedule.sf(as_vp(logsnr)), rate)


def cosine(offset: float = 0.0, normalise: bool = True, frame: Frame = VP) -> Path:
    """Cosine path: alpha² = cos²(θ(t)), θ = (t + s)/(1 + s)·π/2 (Nichol & Dhariwal 2021, arXiv 2102.09672, eq. 17).

    Args:
        offset: s; 0 is the ideal path, 0.008 the published one.
        normalise: divide alpha² by its value at t = 0 as the code does; otherwise λ(0) = 8.769 for s = 0.008.
    """
    if offset == 0:
        return Path("cosine", frame, stats.hypsecant(scale=2))
    quarter = np.pi / 2
    start = quarter * positive(offset, "offset") / (1 + offset)
    if not normalise:
        return restricted(Path("cosine", frame, stats.hypsecant(scale=2)), start / quarter, 1.0, f"cosine(s={offset:g})")
    top = np.cos(start) ** 2

    def angle(logsnr):  # θ from tan² = (1 − alpha² top)/(alpha² top), alpha² = expit(λ)
        return np.arctan2(np.sqrt(np.sin(start) ** 2 + top * expit(-logsnr)), np.cos(start) * np.exp(log_expit(logsnr) / 2))

    def forward(t):
        passed, left = t * (quarter - start), (1 - t) * (quarter - start)  # cos θ = sin(left), without cancellation at t = 1
        return 2 * np.log(np.sin(left)) - np.log(np.sin(passed) * np.sin(passed + 2 * start))

    def inverse(logsnr):  # sin² θ − sin² start = sin(θ − start) sin(θ + start) keeps small t exact
        gap = top * expit(-logsnr) / np.sin(angle(logsnr) + start)
        return np.where(gap < 0.5, np.arcsin(np.minimum(gap, 1)), angle(logsnr) - start) / (quarter - start)

    def rate(logsnr):  # cos² θ = top·expit(λ) ⇒ sin 2θ dθ = top·expit(λ)·expit(−λ) dλ
        theta = angle(logsnr)
        half = np.cos(start) * np.exp(log_expit(logsnr) / 2)  # cos θ
        return top * expit(logsnr) * expit(-logsnr) / (2 * np.sin(theta) * half * (quarter - start))

    return scheduled(f"cosine(s={offset:g})", frame, forward, inverse, rate)


def ve(sigma_min: float, sigma_max: float) -> Path:
    """Geometric sigma on the variance-exploding path: λ uniform (Song et al. 2021, arXiv 2011.13456, eq. 30)."""
    positive(sigma_min, "sigma_min"), positive(sigma_max - sigma_min, "sigma_max - sigma_min")
    return replace(uniform_logsnr(-2 * np.log(sigma_max), -2 * np.log(sigma_min), VE), name=f"VE({sigma_min:g}, {sigma_max:g})")


def uniform_logsnr(low: float, high: float, frame: Frame = VP) -> Path:
    """λ linear in t between its ends (Kingma et al. 2021, arXiv 2107.00630: VDM's γ = −λ)."""
    return Path(f"uniform logsnr({low:g}, {high:g})", frame, stats.uniform(low, positive(high - low, "high - low")))


def from_density(density, frame: Frame = VP, name: str = "from density") -> Path:
    """The path whose λ has law ``density`` under uniform time: EDM's, Laplace's, Cauchy's, an adaptive schedule's."""
    return Path(name, frame, density)


def edm(mean: float = -1.2, std: float = 1.2) -> Path:
    """ln sigma ~ N(mean, std²) on alpha = 1 (Karras et al. 2022, arXiv 2206.00364, table 1)."""
    return from_density(stats.norm(-2 * mean, 2 * positive(std, "std")), VE, f"EDM({mean:g}, {std:g})")


def karras(sigma_min: float = 0.002, sigma_max: float = 80.0, rho: float = 7.0) -> Path:
    """sigma^(1/ρ) uniform between its ends (Karras et al. 2022, arXiv 2206.00364, eq. 5)."""
    low, high = (positive(sigma_min, "sigma_min") ** (1 / positive(rho, "rho")), positive(sigma_max, "sigma_max") ** (1 / rho))
    span = positive(high - low, "sigma_max - sigma_min")
    return scheduled(
        f"Karras({sigma_min:g}, {sigma_max:g}, rho={rho:g})",
        VE,
        lambda t: -2 * rho * np.log(low + t * span),
        lambda logsnr: (np.exp(-logsnr / (2 * rho)) - low) / span,
        lambda logsnr: np.exp(-logsnr / (2 * rho)) / (2 * rho * span),
    )


def sigmoid(start: float = -3.0, end: float = 3.0, tau: float = 1.0) -> Path:
    """alpha² a rescaled sigmoid (Jabri et al. 2022, arXiv 2212.11972; pix2seq's ``sigmoid_schedule``)."""
    width = positive(end - start, "end - start") / positive(tau, "tau")
    low, span = expit(start / tau), expit(end / tau) - expit(start / tau)

    def forward(t):
        left, right = np.sinh(t * width / 2), np.sinh((1 - t) * width / 2)  # sigmoid differences without cancellation
        return np.log(right / np.cosh(end / tau / 2)) - np.log(left / np.cosh(start / tau / 2))

    def inverse(logsnr):
        noise = expit(-logsnr) * span  # sigmoid(x) − sigmoid(start/tau), of which logit(x) − start/tau without cancellation:
        return np.minimum((np.log1p(noise / low) - np.log1p(-noise / (1 - low))) / width, 1)

    def rate(logsnr):
        at = low + expit(-logsnr) * span
        return span * expit(logsnr) * expit(-logsnr) / (at * (1 - at)) / width

    return scheduled(f"sigmoid({start:g}, {end:g}, {tau:g})", VP, forward, inverse, rate)


def power(n: float = 2.0) -> Path:
    """alpha = (1 − t)^n, sigma = 1 − alpha (flow_matching's ``PolynomialConvexScheduler``)."""
    positive(n, "n")
    return scheduled(
        f"polynomial(n={n:g})",
        STRAIGHT,
        lambda t: 2 * n * np.log1p(-t) - 2 * np.log(-np.expm1(n * np.log1p(-t))),
        lambda logsnr: -np.expm1(log_expit(logsnr / 2) / n),
        lambda logsnr: np.exp(log_expit(logsnr / 2) / n) * expit(-logsnr / 2) / (2 * n),
    )


def linear_vp() -> Path:
    """alpha = 1 − t, sigma = sqrt(1 − alpha²) (flow_matching's ``LinearVPScheduler``)."""
    return scheduled(
        "linear VP",
        VP,
        lambda t: 2 * np.log1p(-t) - np.log(t * (2 - t)),
        lambda logsnr: VP.sigma(logsnr) ** 2 / (1 + VP.alpha(logsnr)),
        lambda logsnr: VP.alpha(logsnr) * VP.sigma(logsnr) ** 2 / 2,
    )


def icfm(width: float) -> Path:
    """Path of torchcfm's ``ConditionalFlowMatcher(sigma=width)``: alpha = 1 − t, sigma² = t² + width²."""
    frame = smoothed(width)
    return scheduled(
        f"I-CFM({width:g})",
        frame,
        lambda t: 2 * (np.log1p(-t) - np.log(np.hypot(t, width))),
        lambda logsnr: 1 - frame.alpha(logsnr),
        lambda logsnr: frame.alpha(logsnr) * frame.sigma(logsnr) ** 2 / (2 * (1 - frame.alpha(logsnr) + width**2)),
    )


def sigma_min_path(sigma_min: float) -> Path:
    """alpha = 1 − t, sigma = sigma_min + (1 − sigma_min) t: Lipman et al.'s OT path (arXiv 2210.02747, eq. 20)."""
    frame = straight(positive(sigma_min, "sigma_min"))
    return scheduled(
        f"linear, sigma_min {sigma_min:g}",
        frame,
        lambda t: 2 * (np.log1p(-t) - np.log(sigma_min + (1 - sigma_min) * t)),
        lambda logsnr: np.maximum(frame.sigma(logsnr) - sigma_min, 0) / (1 - sigma_min),  # 1 − alpha without cancellation
        lambda logsnr: frame.alpha(logsnr) * frame.sigma(logsnr) / 2,
    )


def shifted(path: Path, shift: float) -> Path:
    """λ moved by −2 log shift: resolution shift (Hoogeboom et al. 2023, arXiv 2301.11093; SD3, arXiv 2403.03206, eq. 23)."""
    move = 2 * np.log(positive(shift, "shift"))
    law = Transformed(path.schedule, lambda x: x - move, lambda y: y + move, np.ones_like, rising=True)()
    return replace(path, name=f"{path.name}, shift {shift:g}", schedule=law)


def restricted(path: Path, start: float, end: float, name: str | None = None) -> Path:
    """The stretch start <= t <= end of a path, run through in unit time."""
    if not 0 <= start < end <= 1:
        raise ValueError(f"need 0 <= start < end <= 1, got {start}, {end}")
    law = Transformed(stats.uniform(start, end - start), path.schedule.isf, path.schedule.sf, path.schedule.pdf)()
    return replace(path, name=name or f"{path.name} on t in [{start:g}, {end:g}]", schedule=law)


def interpolated(low: Path, high: Path) -> Path:
    """λ(t) = t λ_low(t) + (1 − t) λ_high(t) (Hoogeboom et al. 2023, arXiv 2301.11093, eq. 15), in the frame of ``high``; the inverse is a root search."""

    def forward(t):
        return t * low.schedule.isf(t) + (1 - t) * high.schedule.isf(t)

    def inverse(logsnr):
        target = np.asarray(logsnr, dtype=float)
        return find_root(lambda t, goal: forward(t) - goal, (np.zeros_like(target), np.ones_like(target)), args=(target,)).x

    def rate(logsnr):
        t = inverse(logsnr)
        bend = high.schedule.isf(t) - low.schedule.isf(t) + t / low.schedule.pdf(low.schedule.isf(t))
        return 1 / (bend + (1 - t) / high.schedule.pdf(high.schedule.isf(t)))

    if not np.isfinite([*low.schedule.support(), *high.schedule.support()]).all():
        raise ValueError("interpolated paths need finite logsnr ends; use restricted(path, start, end) first")
    return scheduled(f"{low.name} to {high.name}", high.frame, forward, inverse, rate)


def zero_terminal_snr(path: Path) -> Path:
    """alpha moved affinely to end at 0, alpha(0) kept (Lin et al. 2023, arXiv 2305.08891, algorithm 1); VP frame."""
    if path.frame is not VP:
        raise ValueError(f"zero terminal SNR moves the alpha of a variance-preserving path; {path.name!r} is {path.frame.name}")
    first, last = (float(VP.alpha(path.schedule.isf(t))) for t in (0.0, 1.0))
    span, kept = (first - last) / first, last * (1 - first) / first

    def from_gap(alpha, gap):  # λ from alpha and 1 − alpha
        with np.errstate(divide="ignore"):
            return 2 * np.log(alpha) - np.log(gap * (1 + alpha))

    def gap(logsnr):  # 1 − alpha without cancellation
        return VP.sigma(logsnr) ** 2 / (1 + VP.alpha(logsnr))

    def before(logsnr):  # the λ of the original path whose alpha is moved to this one's
        return from_gap(VP.alpha(logsnr) * span + last, gap(logsnr) * span + kept)

    def forward(t):
        base = path.schedule.isf(t)
        return from_gap(np.maximum(VP.alpha(base) - last, 0) / span, (gap(base) - kept) / span)

    def rate(logsnr):  # d alpha/dλ = alpha sigma²/2 in the VP frame, on both sides
        base = before(logsnr)
        here = VP.alpha(logsnr) * VP.sigma(logsnr) ** 2 * span
        return path.schedule.pdf(base) * here / (VP.alpha(base) * VP.sigma(base) ** 2)

    return scheduled(f"{path.name}, zero terminal SNR", VP, forward, lambda logsnr: path.schedule.sf(before(logsnr)), rate)


def atoms(logsnr: ArrayLike, mass: ArrayLike | None = None):
    """Law of discrete levels λ_i, each spread over the cell between the midpoints to its neighbours (outer cells symmetric).

    Args:
        logsnr: T distinct finite levels in nats, any order, shape (T,).
        mass: their probabilities up to a constant, shape (T,); equal by default.
    Raises:
        ValueError: for levels that repeat or are not finite (a zero-SNR step has λ = −inf and no cell: leave it out).
    """
    levels = finite(logsnr, "logsnr of the atoms")
    order = np.argsort(levels)
    levels = increasing(levels[order], "logsnr of the atoms")
    weight = np.ones_like(levels) if mass is None else finite(mass, "mass")
    if weight.shape != levels.shape or (weight < 0).any() or not weight.any():
        raise ValueError(f"mass is one probability >= 0 for each of the {len(levels)} levels, not all 0; got {weight}")
    weight = weight[order]
    inner = (levels[1:] + levels[:-1]) / 2
    edges = np.concatenate([[2 * levels[0] - inner[0]], inner, [2 * levels[-1] - inner[-1]]])
    return stats.rv_histogram((weight, edges), density=False)()


def discrete(alphas_cumprod: ArrayLike) -> Path:
    """Path through a table of T falling values alpha² (``alphas_cumprod``), each step equally likely; VP frame."""
    table = finite(alphas_cumprod, "alphas_cumprod")
    if not ((table > 0) & (table < 1)).all():
        raise ValueError("alphas_cumprod must lie strictly within (0, 1); drop a last step with zero SNR: it has logsnr -inf")
    return Path(f"table of {table.size} steps", VP, atoms(logit(table)))


LINEAR = Path("linear", STRAIGHT, stats.logistic(scale=2))
COSINE = cosine()
GVP = Path("trigonometric (GVP)", VP, stats.hypsecant(scale=2))
