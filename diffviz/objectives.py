"""An objective is a recipe as its source states it; its weighting is computed, never typed in.

A recipe is a path, a law of λ (from the law of time), a target and a multiplier c on the target's
own squared error. With p the density of the law,

    w(λ) = 2 c(λ) gain(λ)² p(λ),
    L = E_{λ~p}[c ‖target error‖²] = ½ ∫ w(λ) E‖eps_hat − eps‖² dλ.

``stated`` is the literature's closed form of w, a claim that tests hold against the rule.
"""

from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path as File
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from diffviz import densities, paths, weightings
from diffviz.checks import finite, positive
from diffviz.frames import Curve
from diffviz.paths import COSINE, LINEAR, Path
from diffviz.targets import EPS, Target, U, X, base_gain

# where the identity of an objective is taken: both ends of the law, and the middles of 64 shares
IDENTITY_GRID = np.concatenate([[0.0], (np.arange(64) + 0.5) / 64, [1.0]])


@dataclass(frozen=True, eq=False)
class Objective:
    """A training objective.

    It pickles and deep-copies if the multiplier and the stated form do; all that this package
    makes do.

    Args:
        name: What plots and errors call the objective.
        family: The group of objectives that it belongs to.
        year: Year of its source.
        source: Paper or code that states it.
        path: Frame and schedule.
        target: What the loss compares.
        multiplier: c(λ) on the target's squared error, array to array.
        law: Law of λ, a frozen SciPy distribution. By default that of uniform time on the path.
        stated: Closed form of w(λ) from the literature, up to a constant.
        note: Traps and remarks.

    Raises:
        ValueError: The law reaches outside the path's range.
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

    def __post_init__(self) -> None:
        if self.law is None:
            object.__setattr__(self, "law", self.path.schedule)
        low, high = self.law.support()
        first, last = self.path.schedule.support()
        sizes = [abs(end) for end in (first, last) if np.isfinite(end)]
        slack = 1e-9 * max([1.0, *sizes])
        if not (low >= first - slack and high <= last + slack):  # NaN too
            raise ValueError(
                f"{self.name}: the density lives on logsnr [{low:.4g}, {high:.4g}], "
                f"the path {self.path.name!r} only on [{first:.4g}, {last:.4g}]; "
                "truncate the density or take another path"
            )

    def __repr__(self) -> str:
        return (
            f"Objective({self.name!r}: {self.target.name} target, {self.path.name} path, "
            f"{self.source})"
        )

    @property
    def identity(self) -> str:
        """What the objective does, as 16 hexadecimal digits.

        It is a hash of the law's quantiles on a fixed grid of probabilities and of the factor at
        each, both to 8 significant digits, so that another processor gives the same. Name, note
        and source do not enter. Quantiles within 1e-12 of 0 are rounding errors and count as 0.

        The ends of the support enter without a factor, since a multiplier may be infinite there.
        An infinite quantile enters as "inf", and its factor as "nan". A factor that ``factor``
        refuses (negative or not finite) enters as "nan" too.
        """
        with np.errstate(all="ignore"):
            quantiles = np.asarray(self.law.ppf(IDENTITY_GRID), dtype=float)
            inner = quantiles[1:-1]
            factors = self._raw_factor(np.where(np.isfinite(inner), inner, np.nan))
        accepted = np.isfinite(inner) & np.isfinite(factors) & (factors >= 0)
        numbers = np.concatenate(
            [
                np.where(np.abs(quantiles) < 1e-12, 0.0, quantiles),
                np.where(accepted, factors, np.nan),
            ]
        )
        text = " ".join(f"{number:.7e}" for number in numbers + 0.0)  # −0.0 + 0.0 is 0.0
        return sha256(text.encode()).hexdigest()[:16]

    def _raw_factor(self, logsnr: NDArray) -> NDArray:
        """c(λ) · gain² before any check."""
        return np.asarray(self.multiplier(logsnr)) * self.target.gain(logsnr, self.path) ** 2

    def factor(self, logsnr: ArrayLike) -> NDArray:
        """What the loss multiplies the eps squared error by: c(λ) · gain².

        Args:
            logsnr: λ in nats, any shape.

        Returns:
            The factor, same shape.

        Raises:
            ValueError: The factor is negative or not finite.
        """
        at = np.asarray(logsnr, dtype=float)
        with np.errstate(over="ignore", invalid="ignore"):  # refused below
            value = self._raw_factor(at)
        bad = ~(np.isfinite(value) & (value >= 0))
        if bad.any():
            raise ValueError(
                f"{self.name}: multiplier times gain² of the {self.target.name} target is "
                f"{value[bad].flat[0]} at logsnr {at[bad].flat[0]:g}; a weighting is finite and "
                ">= 0: stay within ±700 nats, restrict the density or mend the multiplier"
            )
        return value

    def weighting(self, logsnr: ArrayLike, base: str = "eps") -> NDArray:
        """Implied w(λ) on the squared error of a base; 0 outside the support of the law.

        Args:
            logsnr: λ in nats, any shape.
            base: "eps", "x", "v" or "u".

        Returns:
            The weighting, same shape.

        Raises:
            ValueError: A λ is not finite, the base is unknown, or the factor is negative or not
                finite.
        """
        at = finite(logsnr, "logsnr")
        low, high = self.law.support()
        inside = (at >= low) & (at <= high)
        level = at[inside]
        w = np.zeros(at.shape)
        w[inside] = 2 * self.factor(level) * self.law.pdf(level) / base_gain(base, level) ** 2
        return w

    def draw(
        self, n: int, rng: np.random.Generator, stratified: bool = True
    ) -> tuple[NDArray, NDArray]:
        """Levels to train at and the factor on the eps squared error there.

        Args:
            n: Number of draws.
            rng: NumPy generator.
            stratified: Take one draw in each of n equal shares of probability, in mixed order.

        Returns:
            λ in nats and factor, both float64 of shape (n,). The mean of factor ·
            ‖eps_hat − eps‖², summed over dimensions, estimates the loss.

        Raises:
            ValueError: n is not a whole number of at least 1, rng is no generator, or a factor is
                negative or not finite.
        """
        whole = isinstance(n, int | np.integer) and n >= 1
        if not whole or not isinstance(rng, np.random.Generator):
            raise ValueError(
                "n must be at least 1 and whole, rng a generator such as np.random.default_rng(0); "
                f"got {n!r}, {rng!r}"
            )
        u = (rng.permutation(n) + rng.random(n)) / n if stratified else rng.random(n)
        logsnr = self.law.ppf(u)
        return logsnr, self.factor(logsnr)


@dataclass(frozen=True)
class WeightingOverLaw:
    """The multiplier on the eps error that gives a weighting under a law: c = w/(2 p).

    Args:
        w: The weighting, a function of λ.
        law: Law of λ with the density p, a frozen SciPy distribution.
    """

    w: Curve
    law: Any

    def __call__(self, logsnr: NDArray) -> NDArray:
        return self.w(logsnr) / (2 * self.law.pdf(logsnr))


def _is_law_for(law: Any, w: Curve) -> bool:
    """Whether a law has quantiles and a support, and w returns one value for each λ."""
    if not hasattr(law, "ppf") or not hasattr(law, "support"):
        return False
    return np.shape(w(law.ppf([0.25, 0.75]))) == (2,)


def _source_of(w: Any) -> str:
    """What an objective made from a weighting says of its source."""
    if callable(w):
        return "callable"
    return f"table {w}" if isinstance(w, (str, File)) else "table"


def from_weighting(w: Any, law: Any = None, name: str = "custom", path: Path = COSINE) -> Objective:
    """Objective from a weighting of one's own on the eps error.

    It pickles if ``w`` does: any table does, and so does a named function of a module.

    Args:
        w: Callable of λ, or a table (CSV file or array of shape (n, 2)) of λ and w.
        law: Law of λ to train under, a frozen SciPy distribution. By default it is uniform over a
            table's range, or that of uniform time on ``path``.
        name: What plots and errors call the objective.
        path: Frame and schedule.

    Returns:
        The objective.

    Raises:
        ValueError: The table is no weighting (see ``weightings.tabulated``), or the law reaches
            outside the path or the table.
    """
    source = _source_of(w)
    if not callable(w):
        w, low, high = weightings.tabulated(w)
        law = law or stats.uniform(low, high - low)
        if law.support()[0] < low - 1e-9 or law.support()[1] > high + 1e-9:
            raise ValueError(
                f"the law reaches outside the table's logsnr [{low:g}, {high:g}]; "
                "nothing is extrapolated"
            )
    law = law or path.schedule
    if not _is_law_for(law, w):
        raise ValueError(
            "law is a frozen SciPy distribution of λ, and a callable w returns one value for each λ"
        )
    return Objective(
        name=name,
        family="custom",
        year=0,
        source=source,
        path=path,
        target=EPS,
        multiplier=WeightingOverLaw(w, law),
        law=law,
    )


# --- parametric families, with their closed forms: functions of λ, up to a constant ---------------


@dataclass(frozen=True)
class FlowWeighting:
    """Weighting of flow matching with logit-normal time: a normal density times (1 + e^(−λ/2))².

    Args:
        mean: Mean of logit t.
        std: Standard deviation of logit t.
        shift: Time shift.
    """

    mean: float
    std: float
    shift: float

    def __call__(self, logsnr: NDArray) -> NDArray:
        centre = -2 * self.mean - 2 * np.log(self.shift)
        return stats.norm.pdf(logsnr, centre, 2 * self.std) * (1 + np.exp(-logsnr / 2)) ** 2


def flow(
    mean: float = 0.0,
    std: float = 1.0,
    shift: float = 1.0,
    name: str = "flow logit-normal",
    family: str = "parametric",
    year: int = 0,
    source: str = "parametric family",
    note: str = "",
) -> Objective:
    """Flow matching with logit t ~ N(mean, std²) and a time shift; u target on the linear path.

    Source: Esser et al. 2024 (arXiv 2403.03206), eq. 19 and 23.

    Args:
        mean: Mean of logit t.
        std: Standard deviation of logit t.
        shift: Time shift.
        name: What plots and errors call the objective.
        family: The group of objectives that it belongs to.
        year: Year of its source.
        source: Paper or code that states it.
        note: Traps and remarks.

    Returns:
        The objective.

    Raises:
        ValueError: std or shift is not above 0, or mean is not finite.
    """
    return Objective(
        name=name,
        family=family,
        year=year,
        source=source,
        path=LINEAR,
        target=U,
        law=densities.logit_normal_logsnr(mean, std, shift),
        stated=FlowWeighting(mean, std, shift),
        note=note,
    )


@dataclass(frozen=True)
class UniformFlowWeighting:
    """Weighting of flow matching with uniform time: sech²((λ + 2 log shift)/4) (1 + e^(−λ/2))².

    Args:
        shift: Time shift.
    """

    shift: float

    def __call__(self, logsnr: NDArray) -> NDArray:
        density = np.cosh((logsnr + 2 * np.log(self.shift)) / 4) ** -2.0
        return density * (1 + np.exp(-logsnr / 2)) ** 2


def flow_uniform(
    shift: float = 1.0,
    name: str = "flow uniform t",
    family: str = "parametric",
    year: int = 0,
    source: str = "parametric family",
    note: str = "",
) -> Objective:
    """Flow matching with uniform t and a time shift; u target on the linear path.

    Source: Esser et al. 2024 (arXiv 2403.03206), eq. 23.

    Args:
        shift: Time shift.
        name: What plots and errors call the objective.
        family: The group of objectives that it belongs to.
        year: Year of its source.
        source: Paper or code that states it.
        note: Traps and remarks.

    Returns:
        The objective.

    Raises:
        ValueError: The shift is not above 0.
    """
    return Objective(
        name=name,
        family=family,
        year=year,
        source=source,
        path=LINEAR,
        target=U,
        law=stats.logistic(-2 * np.log(positive(shift, "shift")), 2),
        stated=UniformFlowWeighting(shift),
        note=note,
    )


@dataclass(frozen=True)
class EDMWeighting:
    """Weighting of EDM: a normal density times (e^(−λ) + sigma_data²).

    Args:
        mean: Mean of ln sigma.
        std: Standard deviation of ln sigma.
        sigma_data: Standard deviation of the data.
    """

    mean: float
    std: float
    sigma_data: float

    def __call__(self, logsnr: NDArray) -> NDArray:
        density = stats.norm.pdf(logsnr, -2 * self.mean, 2 * self.std)
        return density * (np.exp(-logsnr) + self.sigma_data**2)


def edm(
    mean: float = -1.2,
    std: float = 1.2,
    sigma_data: float = 0.5,
    name: str = "EDM",
    family: str = "parametric",
    year: int = 0,
    source: str = "parametric family",
    note: str = "",
) -> Objective:
    """EDM: ln sigma ~ N(mean, std²), x target, weight (σ² + σ_data²)/(σ σ_data)².

    Source: Karras et al. 2022 (arXiv 2206.00364), table 1.

    Args:
        mean: Mean of ln sigma.
        std: Standard deviation of ln sigma.
        sigma_data: Standard deviation of the data.
        name: What plots and errors call the objective.
        family: The group of objectives that it belongs to.
        year: Year of its source.
        source: Paper or code that states it.
        note: Traps and remarks.

    Returns:
        The objective.

    Raises:
        ValueError: std or sigma_data is not above 0, or mean is not finite.
    """
    return Objective(
        name=name,
        family=family,
        year=year,
        source=source,
        path=paths.edm(mean, std),
        target=X,
        multiplier=weightings.edm(sigma_data),
        stated=EDMWeighting(mean, std, sigma_data),
        note=note,
    )


@dataclass(frozen=True)
class SigmoidWeighting:
    """The weighting sigmoid(b − λ).

    Args:
        bias: b.
    """

    bias: float

    def __call__(self, logsnr: NDArray) -> NDArray:
        return 1 / (1 + np.exp(logsnr - self.bias))


def sigmoid(
    bias: float = 2.0,
    name: str = "sigmoid",
    family: str = "parametric",
    year: int = 0,
    source: str = "parametric family",
    note: str = "",
) -> Objective:
    """Sigmoid weighting sigmoid(b − λ), stated on x under uniform time on the cosine path.

    Source: Kingma and Gao 2023 (arXiv 2303.00848); Hoogeboom et al. 2024 (arXiv 2410.19324), eq. 4.

    Args:
        bias: b.
        name: What plots and errors call the objective.
        family: The group of objectives that it belongs to.
        year: Year of its source.
        source: Paper or code that states it.
        note: Traps and remarks.

    Returns:
        The objective.

    Raises:
        ValueError: The bias is not finite.
    """
    return Objective(
        name=name,
        family=family,
        year=year,
        source=source,
        path=COSINE,
        target=X,
        multiplier=weightings.sigmoid(bias, COSINE),
        stated=SigmoidWeighting(bias),
        note=note,
    )


@dataclass(frozen=True)
class MinSNRWeighting:
    """Weighting of Min-SNR-γ on the cosine path: min(1, γ e^(−λ)) sech(λ/2).

    Args:
        gamma: γ.
    """

    gamma: float

    def __call__(self, logsnr: NDArray) -> NDArray:
        return np.minimum(1, self.gamma * np.exp(-logsnr)) / np.cosh(logsnr / 2)


def min_snr(
    gamma: float = 5.0,
    name: str = "Min-SNR",
    family: str = "parametric",
    year: int = 0,
    source: str = "parametric family",
    note: str = "",
) -> Objective:
    """Min-SNR-γ on the eps error, cosine path.

    Source: Hang et al. 2023 (arXiv 2303.09556).

    Args:
        gamma: γ.
        name: What plots and errors call the objective.
        family: The group of objectives that it belongs to.
        year: Year of its source.
        source: Paper or code that states it.
        note: Traps and remarks.

    Returns:
        The objective.

    Raises:
        ValueError: gamma is not above 0.
    """
    return Objective(
        name=name,
        family=family,
        year=year,
        source=source,
        path=COSINE,
        target=EPS,
        multiplier=weightings.min_snr(gamma),
        stated=MinSNRWeighting(gamma),
        note=note,
    )


@dataclass(frozen=True)
class SoftMinSNRWeighting:
    """Weighting of soft-Min-SNR on the cosine path: γ/(γ + e^λ) sech(λ/2).

    Args:
        gamma: γ.
    """

    gamma: float

    def __call__(self, logsnr: NDArray) -> NDArray:
        return self.gamma / (self.gamma + np.exp(logsnr)) / np.cosh(logsnr / 2)


def soft_min_snr(
    gamma: float = 4.0,
    name: str = "soft-Min-SNR",
    family: str = "parametric",
    year: int = 0,
    source: str = "parametric family",
    note: str = "",
) -> Objective:
    """Soft-Min-SNR on the eps error, cosine path.

    Source: Crowson et al. 2024 (arXiv 2401.11605).

    Args:
        gamma: γ.
        name: What plots and errors call the objective.
        family: The group of objectives that it belongs to.
        year: Year of its source.
        source: Paper or code that states it.
        note: Traps and remarks.

    Returns:
        The objective.

    Raises:
        ValueError: gamma is not above 0.
    """
    return Objective(
        name=name,
        family=family,
        year=year,
        source=source,
        path=COSINE,
        target=EPS,
        multiplier=weightings.soft_min_snr(gamma),
        stated=SoftMinSNRWeighting(gamma),
        note=note,
    )


@dataclass(frozen=True)
class P2Weighting:
    """Weighting of P2 on the cosine path: (k + e^λ)^(−γ) sech(λ/2).

    Args:
        gamma: γ.
        k: k.
    """

    gamma: float
    k: float

    def __call__(self, logsnr: NDArray) -> NDArray:
        return (self.k + np.exp(logsnr)) ** -self.gamma / np.cosh(logsnr / 2)


def p2(
    gamma: float = 1.0,
    k: float = 1.0,
    name: str = "P2",
    family: str = "parametric",
    year: int = 0,
    source: str = "parametric family",
    note: str = "",
) -> Objective:
    """P2 on the eps error, cosine path.

    Source: Choi et al. 2022 (arXiv 2204.00227), eq. 8.

    Args:
        gamma: γ.
        k: k.
        name: What plots and errors call the objective.
        family: The group of objectives that it belongs to.
        year: Year of its source.
        source: Paper or code that states it.
        note: Traps and remarks.

    Returns:
        The objective.

    Raises:
        ValueError: gamma or k is not above 0.
    """
    return Objective(
        name=name,
        family=family,
        year=year,
        source=source,
        path=COSINE,
        target=EPS,
        multiplier=weightings.p2(gamma, k),
        stated=P2Weighting(gamma, k),
        note=note,
    )


def mode(
    scale: float = 1.29,
    name: str = "flow mode",
    family: str = "parametric",
    year: int = 0,
    source: str = "parametric family",
    note: str = "",
) -> Objective:
    """Flow matching with SD3's mode-sampled time; u target on the linear path.

    Source: Esser et al. 2024 (arXiv 2403.03206), eq. 20.

    Args:
        scale: Scale s of the mode sampling.
        name: What plots and errors call the objective.
        family: The group of objectives that it belongs to.
        year: Year of its source.
        source: Paper or code that states it.
        note: Traps and remarks.

    Returns:
        The objective.

    Raises:
        ValueError: The scale lies where t is not monotone.
    """
    return Objective(
        name=name,
        family=family,
        year=year,
        source=source,
        path=LINEAR,
        target=U,
        law=densities.push_forward(densities.mode(scale), LINEAR),
        note=note,
    )


def unknown(kind: str, name: object, known: Collection, listing: str) -> ValueError:
    """The error for a name that is not there, with near names and where all are listed.

    Args:
        kind: What the name should be one of.
        name: The name.
        known: All that there are.
        listing: Where they are listed.

    Returns:
        The error, to be raised.
    """
    lower = {str(one).lower(): one for one in known}
    near = [lower[one] for one in get_close_matches(str(name).lower(), lower, 3, 0.4)]
    hint = f"; did you mean {', '.join(map(repr, near))}?" if near else ""
    return ValueError(f"unknown {kind} {name!r}{hint} ({listing} lists all {len(known)})")
