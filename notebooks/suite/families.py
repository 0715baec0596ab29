"""Parametric families for sliders: what builds an objective, and the range of each parameter."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from diffviz import paths
from diffviz.checks import positive
from diffviz.frames import VP
from diffviz.objectives import (
    Objective,
    edm,
    flow,
    flow_uniform,
    min_snr,
    mode,
    p2,
    sigmoid,
    soft_min_snr,
)
from diffviz.paths import COSINE
from diffviz.targets import EPS


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
        ValueError: The scale is not above 0, or the centre is NaN.
    """
    law = stats.laplace(centre, positive(scale, "scale"))
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


@dataclass(frozen=True)
class Family:
    """A parametric family for sliders.

    Args:
        build: Makes the objective from values by name.
        parameters: Name, default, lowest, highest and step of each parameter.
    """

    build: Callable[..., Objective]
    parameters: tuple[tuple[str, float, float, float, float], ...]


FAMILIES: Mapping[str, Family] = MappingProxyType({
    "flow logit-normal": Family(flow, (("mean", 0, -2, 2, 0.05), ("std", 1, 0.2, 2, 0.05), ("shift", 1, 0.25, 8, 0.05))),
    "flow uniform t": Family(flow_uniform, (("shift", 1, 0.25, 8, 0.05),)),
    "flow mode": Family(mode, (("scale", 1.29, -1, 1.75, 0.01),)),
    "EDM": Family(edm, (("mean", -1.2, -3, 1, 0.05), ("std", 1.2, 0.4, 2, 0.05), ("sigma_data", 0.5, 0.1, 2, 0.05))),
    "sigmoid": Family(sigmoid, (("bias", 2, -6, 6, 0.1),)),
    "Min-SNR": Family(min_snr, (("gamma", 5, 0.5, 20, 0.5),)),
    "soft-Min-SNR": Family(soft_min_snr, (("gamma", 4, 0.5, 20, 0.5),)),
    "P2": Family(p2, (("gamma", 1, 0.1, 2, 0.05), ("k", 1, 0.1, 4, 0.1))),
    "Laplace": Family(laplace, (("centre", 0, -4, 4, 0.1), ("scale", 0.5, 0.2, 3, 0.05))),
    "cosine shifted": Family(cosine, (("shift", 1, 0.25, 8, 0.05),)),
})  # fmt: skip
