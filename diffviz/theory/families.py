"""Parametric families for sliders: what builds an objective, and the range of each parameter.

Example:
    >>> dv.compare(dv.families.edm(sigma_data=0.5), dv.objective("edm")).same
    True
    >>> [parameter.name for parameter in dv.families.FAMILIES["EDM"].parameters]
    ['mean', 'std', 'sigma_data']
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from diffviz.checks import number, positive
from diffviz.theory import laws, multipliers, paths
from diffviz.theory.frames import VP
from diffviz.theory.objectives import Objective
from diffviz.theory.paths import COSINE, LINEAR
from diffviz.theory.targets import EPS, U, X

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
        """The weighting at λ in nats, up to a constant; same shape."""
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
        ValueError: std or shift is not above 0, or mean is not within ±1e300.
    """
    mean = number(mean, "mean", -laws.FURTHEST_MEAN, laws.FURTHEST_MEAN)
    std = positive(std, "std")
    shift = positive(shift, "shift")
    return Objective(
        name=name,
        family=family,
        year=year,
        source=source,
        path=LINEAR,
        target=U,
        law=laws.logit_normal_logsnr(mean, std, shift),
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
        """The weighting at λ in nats, up to a constant; same shape."""
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
    shift = positive(shift, "shift")
    return Objective(
        name=name,
        family=family,
        year=year,
        source=source,
        path=LINEAR,
        target=U,
        law=stats.logistic(-2 * np.log(shift), 2),
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
        """The weighting at λ in nats, up to a constant; same shape."""
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
        ValueError: std or sigma_data is not above 0, or mean is not within ±1e300.
    """
    mean = number(mean, "mean", -laws.FURTHEST_MEAN, laws.FURTHEST_MEAN)
    std = positive(std, "std")
    sigma_data = positive(sigma_data, "sigma_data")
    return Objective(
        name=name,
        family=family,
        year=year,
        source=source,
        path=paths.edm(mean, std),
        target=X,
        multiplier=multipliers.edm(sigma_data),
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
        """The weighting at λ in nats, up to a constant; same shape."""
        return 1 / (1 + np.exp(logsnr - self.bias))


def sigmoid(
    bias: float = 2.0,
    name: str = "sigmoid",
    family: str = "parametric",
    year: int = 0,
    source: str = "parametric family",
    note: str = "",
) -> Objective:
    """Weighting 1/(1 + e^(λ − b)), stated on x under uniform time on the cosine path.

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
    bias = number(bias, "bias")
    return Objective(
        name=name,
        family=family,
        year=year,
        source=source,
        path=COSINE,
        target=X,
        multiplier=multipliers.sigmoid(bias, COSINE),
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
        """The weighting at λ in nats, up to a constant; same shape."""
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
    gamma = positive(gamma, "gamma")
    return Objective(
        name=name,
        family=family,
        year=year,
        source=source,
        path=COSINE,
        target=EPS,
        multiplier=multipliers.min_snr(gamma),
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
        """The weighting at λ in nats, up to a constant; same shape."""
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
    gamma = positive(gamma, "gamma")
    return Objective(
        name=name,
        family=family,
        year=year,
        source=source,
        path=COSINE,
        target=EPS,
        multiplier=multipliers.soft_min_snr(gamma),
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
        """The weighting at λ in nats, up to a constant; same shape."""
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
    gamma = positive(gamma, "gamma")
    k = positive(k, "k")
    return Objective(
        name=name,
        family=family,
        year=year,
        source=source,
        path=COSINE,
        target=EPS,
        multiplier=multipliers.p2(gamma, k),
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
        law=paths.push_forward(laws.mode(scale), LINEAR),
        note=note,
    )


@dataclass(frozen=True)
class LaplaceWeighting:
    """Weighting of the eps target under a Laplace law: exp(−|λ − centre|/scale).

    Args:
        centre: Centre of the law of λ.
        scale: Scale of the law of λ.
    """

    centre: float
    scale: float

    def __call__(self, logsnr: NDArray) -> NDArray:
        """The weighting at λ in nats, up to a constant; same shape."""
        return np.exp(-np.abs(logsnr - self.centre) / self.scale)


def laplace(
    centre: float = 0.0,
    scale: float = 0.5,
    name: str = "Laplace",
    family: str = "parametric",
    year: int = 0,
    source: str = "parametric family",
    note: str = "",
) -> Objective:
    """Laplace schedule, eps target.

    Source: Hang and Gu 2024 (arXiv 2407.03297).

    Args:
        centre: Centre of the law of λ.
        scale: Scale of the law of λ.
        name: What plots and errors call the objective.
        family: The group of objectives that it belongs to.
        year: Year of its source.
        source: Paper or code that states it.
        note: Traps and remarks.

    Returns:
        The objective.

    Raises:
        ValueError: The scale is not above 0, or the centre is not finite.
    """
    centre = number(centre, "centre")
    scale = positive(scale, "scale")
    law = stats.laplace(centre, scale)
    return Objective(
        name=name,
        family=family,
        year=year,
        source=source,
        path=paths.from_density(law, VP, f"Laplace({centre:g}, {scale:g})"),
        target=EPS,
        stated=LaplaceWeighting(centre, scale),
        note=note,
    )


@dataclass(frozen=True)
class ShiftedCosineWeighting:
    """Weighting of the eps target on the shifted cosine path: sech(λ/2 + log shift).

    Args:
        shift: Factor on sigma/alpha.
    """

    shift: float

    def __call__(self, logsnr: NDArray) -> NDArray:
        """The weighting at λ in nats, up to a constant; same shape."""
        return 1 / np.cosh(logsnr / 2 + np.log(self.shift))


def cosine(
    shift: float = 1.0,
    name: str = "cosine shifted",
    family: str = "parametric",
    year: int = 0,
    source: str = "parametric family",
    note: str = "",
) -> Objective:
    """Cosine schedule moved by −2 log shift, eps target.

    Source: Hoogeboom et al. 2023 (arXiv 2301.11093).

    Args:
        shift: Factor on sigma/alpha.
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
    shift = positive(shift, "shift")
    return Objective(
        name=name,
        family=family,
        year=year,
        source=source,
        path=paths.shifted(COSINE, shift),
        target=EPS,
        stated=ShiftedCosineWeighting(shift),
        note=note,
    )


class Parameter(NamedTuple):
    """A parameter of a family, with the range of its slider.

    Args:
        name: Name of the argument of ``Family.build``.
        default: Value at the start.
        low: Lowest value.
        high: Highest value.
        step: Step of the slider.
    """

    name: str
    default: float
    low: float
    high: float
    step: float


@dataclass(frozen=True)
class Family:
    """A parametric family for sliders.

    Args:
        build: Makes the objective from values by name.
        parameters: The parameters, in the order of their sliders.
    """

    build: Callable[..., Objective]
    parameters: tuple[Parameter, ...]


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "flow logit-normal": Family(
            build=flow,
            parameters=(
                Parameter("mean", default=0, low=-2, high=2, step=0.05),
                Parameter("std", default=1, low=0.2, high=2, step=0.05),
                Parameter("shift", default=1, low=0.25, high=8, step=0.05),
            ),
        ),
        "flow uniform t": Family(
            build=flow_uniform,
            parameters=(Parameter("shift", default=1, low=0.25, high=8, step=0.05),),
        ),
        "flow mode": Family(
            build=mode,
            parameters=(Parameter("scale", default=1.29, low=-1, high=1.75, step=0.01),),
        ),
        "EDM": Family(
            build=edm,
            parameters=(
                Parameter("mean", default=-1.2, low=-3, high=1, step=0.05),
                Parameter("std", default=1.2, low=0.4, high=2, step=0.05),
                Parameter("sigma_data", default=0.5, low=0.1, high=2, step=0.05),
            ),
        ),
        "sigmoid": Family(
            build=sigmoid,
            parameters=(Parameter("bias", default=2, low=-6, high=6, step=0.1),),
        ),
        "Min-SNR": Family(
            build=min_snr,
            parameters=(Parameter("gamma", default=5, low=0.5, high=20, step=0.5),),
        ),
        "soft-Min-SNR": Family(
            build=soft_min_snr,
            parameters=(Parameter("gamma", default=4, low=0.5, high=20, step=0.5),),
        ),
        "P2": Family(
            build=p2,
            parameters=(
                Parameter("gamma", default=1, low=0.1, high=2, step=0.05),
                Parameter("k", default=1, low=0.1, high=4, step=0.1),
            ),
        ),
        "Laplace": Family(
            build=laplace,
            parameters=(
                Parameter("centre", default=0, low=-4, high=4, step=0.1),
                Parameter("scale", default=0.5, low=0.2, high=3, step=0.05),
            ),
        ),
        "cosine shifted": Family(
            build=cosine,
            parameters=(Parameter("shift", default=1, low=0.25, high=8, step=0.05),),
        ),
    }
)
