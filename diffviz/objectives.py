"""An objective is a recipe as its source states it; its weighting is computed, never typed in.

A recipe is a path, a density of λ (from the law of time), a target and a multiplier c on the target's own squared error. Then

    w(λ) = 2 c(λ) gain(λ)² p(λ),      L = E_{λ~p}[c ‖target error‖²] = ½ ∫ w(λ) E‖eps_hat − eps‖² dλ.

``stated`` is the literature's closed form of w, a claim beside the rule that tests hold against it.
"""

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path as File
from typing import Any

import numpy as np
from numpy import cosh, exp
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from diffviz import densities, paths, weightings
from diffviz.checks import finite, positive
from diffviz.paths import COSINE, LINEAR, Curve, Path
from diffviz.targets import EPS, Target, U, X, base_gain


@dataclass(frozen=True, eq=False)
class Objective:
    """A training objective.

    Args:
        name, family, year, source, note: who says so; ``note`` holds traps.
        path: frame and schedule; ``law``: of λ, a frozen SciPy distribution (uniform time on the path if left out).
        target: what the loss compares; ``multiplier``: c(λ) on the target's squared error, array to array.
        stated: closed form of w(λ) from the literature, up to a constant.
    Raises ValueError if the density reaches outside the path's range.
    """

    name: str
    family: str
    year: int
    source: str
    path: Path
    target: Target
    multiplier: Curve = weightings.constant
    law: Any = None
    stated: Curve | None = None
    note: str = ""

    def __post_init__(self):
        if self.law is None:
            object.__setattr__(self, "law", self.path.schedule)
        (low, high), (first, last) = self.law.support(), self.path.schedule.support()
        slack = 1e-9 * max([1.0, *(abs(end) for end in (first, last) if np.isfinite(end))])
        if not (low >= first - slack and high <= last + slack):  # NaN too
            lives = f"{self.name}: the density lives on logsnr [{low:.4g}, {high:.4g}], the path {self.path.name!r} only on"
            raise ValueError(
                f"{lives} [{first:.4g}, {last:.4g}]; truncate the density or take another path"
            )

    def __repr__(self) -> str:
        return f"Objective({self.name!r}: {self.target.name} target, {self.path.name} path, {self.source})"

    def factor(self, logsnr: ArrayLike) -> NDArray:
        """c(λ)·gain²: what the loss multiplies the eps squared error by; λ's shape. ValueError if negative or not finite."""
        at = np.asarray(logsnr, dtype=float)
        with np.errstate(over="ignore", invalid="ignore"):  # refused below
            value = np.asarray(self.multiplier(at)) * self.target.gain(at, self.path) ** 2
        bad = ~(np.isfinite(value) & (value >= 0))
        if bad.any():
            found = f"{self.name}: multiplier times gain² of the {self.target.name} target is {value[bad].flat[0]}"
            mend = "a weighting is finite and >= 0: stay within ±700 nats, restrict the density or mend the multiplier"
            raise ValueError(f"{found} at logsnr {at[bad].flat[0]:g}; {mend}")
        return value

    def weighting(self, logsnr: ArrayLike, base: str = "eps") -> NDArray:
        """Implied w(λ) on the squared error of ``base`` (eps, x, v or u); 0 outside the support.

        Args:
            logsnr: λ in nats, float or any shape; w has the same.
        Raises ValueError for a λ that is not finite, an unknown base, or a multiplier that is negative or not finite.
        """
        at = finite(logsnr, "logsnr")
        low, high = self.law.support()
        inside = (at >= low) & (at <= high)
        w, level = np.zeros(at.shape), at[inside]
        w[inside] = 2 * self.factor(level) * self.law.pdf(level) / base_gain(base, level) ** 2
        return w

    def draw(
        self, n: int, rng: np.random.Generator, stratified: bool = True
    ) -> tuple[NDArray, NDArray]:
        """Levels to train at and the factor on the eps squared error there, for anybody's training loop.

        Args:
            n: number of draws; rng: NumPy generator; stratified: one draw in each of n equal shares of probability, shuffled.
        Returns logsnr and factor, float64 (n,): factor · ‖eps_hat − eps‖² (summed over dimensions) averages to the loss.
        Raises ValueError for n < 1, an rng that is no generator, or a factor that is not finite.
        """
        if not isinstance(n, int | np.integer) or n < 1 or not isinstance(rng, np.random.Generator):
            says = (
                "n must be at least 1 and whole, rng a generator such as np.random.default_rng(0)"
            )
            raise ValueError(f"{says}; got {n!r}, {rng!r}")
        u = (rng.permutation(n) + rng.random(n)) / n if stratified else rng.random(n)
        logsnr = self.law.ppf(u)
        return logsnr, self.factor(logsnr)


def from_weighting(w, law=None, name: str = "custom", path: Path = COSINE) -> Objective:
    """Objective from a weighting of one's own on the eps error.

    Args:
        w: callable of λ, or a table (CSV path or array (n, 2)) of λ and w.
        law: of λ, to train under; by default uniform over a table's range, or uniform time on ``path``.
    Raises ValueError for a table that is no weighting (see ``weightings.tabulated``), or a law outside the path or the table.
    """
    source = "callable" if callable(w) else f"table {w}" if isinstance(w, (str, File)) else "table"
    if not callable(w):
        w, low, high = weightings.tabulated(w)
        law = law or stats.uniform(low, high - low)
        if law.support()[0] < low - 1e-9 or law.support()[1] > high + 1e-9:
            raise ValueError(
                f"the law reaches outside the table's logsnr [{low:g}, {high:g}]; nothing is extrapolated"
            )
    law = law or path.schedule
    if (
        not hasattr(law, "ppf")
        or not hasattr(law, "support")
        or np.shape(w(law.ppf([0.25, 0.75]))) != (2,)
    ):
        raise ValueError(
            "law is a frozen SciPy distribution of λ, and a callable w returns one value for each λ"
        )
    return Objective(
        name, "custom", 0, source, path, EPS, lambda logsnr: w(logsnr) / (2 * law.pdf(logsnr)), law
    )


# parametric families: what the catalogue is made of
def flow(
    mean: float = 0.0,
    std: float = 1.0,
    shift: float = 1.0,
    name: str = "flow logit-normal",
    **about,
) -> Objective:
    """Flow matching, logit t ~ N(mean, std²), time shift; u target on the linear path (arXiv 2403.03206, eq. 19 and 23)."""
    stated = lambda l: (
        stats.norm.pdf(l, -2 * mean - 2 * np.log(shift), 2 * std) * (1 + exp(-l / 2)) ** 2
    )
    return parametric(
        about, name, LINEAR, U, stated, law=densities.logit_normal_logsnr(mean, std, shift)
    )


def flow_uniform(shift: float = 1.0, name: str = "flow uniform t", **about) -> Objective:
    """Flow matching, uniform t with a time shift; u target on the linear path (arXiv 2403.03206, eq. 23)."""
    stated = lambda l: cosh((l + 2 * np.log(shift)) / 4) ** -2.0 * (1 + exp(-l / 2)) ** 2
    return parametric(
        about,
        name,
        LINEAR,
        U,
        stated,
        law=stats.logistic(-2 * np.log(positive(shift, "shift")), 2),
    )


def edm(
    mean: float = -1.2, std: float = 1.2, sigma_data: float = 0.5, name: str = "EDM", **about
) -> Objective:
    """EDM: ln sigma ~ N(mean, std²), x target, weight (σ² + σ_data²)/(σ σ_data)² (arXiv 2206.00364, table 1)."""
    stated = lambda l: stats.norm.pdf(l, -2 * mean, 2 * std) * (exp(-l) + sigma_data**2)
    return parametric(about, name, paths.edm(mean, std), X, stated, weightings.edm(sigma_data))


def sigmoid(bias: float = 2.0, name: str = "sigmoid", **about) -> Objective:
    """Sigmoid weighting sigmoid(b − λ), stated on x under uniform time on the cosine path (arXiv 2303.00848; 2410.19324, eq. 4)."""
    return parametric(
        about, name, COSINE, X, lambda l: 1 / (1 + exp(l - bias)), weightings.sigmoid(bias, COSINE)
    )


def min_snr(gamma: float = 5.0, name: str = "Min-SNR", **about) -> Objective:
    """Min-SNR-γ on the eps error, cosine path (arXiv 2303.09556)."""
    stated = lambda l: np.minimum(1, gamma * exp(-l)) / cosh(l / 2)
    return parametric(about, name, COSINE, EPS, stated, weightings.min_snr(gamma))


def soft_min_snr(gamma: float = 4.0, name: str = "soft-Min-SNR", **about) -> Objective:
    """Soft-Min-SNR on the eps error, cosine path (arXiv 2401.11605)."""
    stated = lambda l: gamma / (gamma + exp(l)) / cosh(l / 2)
    return parametric(about, name, COSINE, EPS, stated, weightings.soft_min_snr(gamma))


def p2(gamma: float = 1.0, k: float = 1.0, name: str = "P2", **about) -> Objective:
    """P2 on the eps error, cosine path (arXiv 2204.00227, eq. 8)."""
    return parametric(
        about,
        name,
        COSINE,
        EPS,
        lambda l: (k + exp(l)) ** -gamma / cosh(l / 2),
        weightings.p2(gamma, k),
    )


def mode(scale: float = 1.29, name: str = "flow mode", **about) -> Objective:
    """Flow matching, SD3's mode-sampled time; u target on the linear path (arXiv 2403.03206, eq. 20)."""
    return parametric(
        about, name, LINEAR, U, law=densities.push_forward(densities.mode(scale), LINEAR)
    )


def parametric(
    about, name, path, target, stated=None, multiplier=weightings.constant, law=None
) -> Objective:
    """An objective of a family; ``about`` may say family, year, source and note."""
    about = {"family": "parametric", "year": 0, "source": "parametric family"} | about
    return Objective(
        name,
        path=path,
        target=target,
        multiplier=multiplier,
        law=law,
        stated=stated,
        **about,
    )


def unknown(kind: str, name: object, known, listing: str) -> ValueError:
    """The error for a name that is not there: near names, and where all are listed."""
    lower = {str(one).lower(): one for one in known}
    near = [lower[one] for one in get_close_matches(str(name).lower(), lower, 3, 0.4)]
    hint = f"; did you mean {', '.join(map(repr, near))}?" if near else ""
    return ValueError(f"unknown {kind} {name!r}{hint} ({listing} lists all {len(known)})")
