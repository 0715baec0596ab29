"""Parametric families for sliders: what builds an objective, and the range of each parameter."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
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
    parametric,
    sigmoid,
    soft_min_snr,
)
from diffviz.paths import COSINE
from diffviz.targets import EPS


def laplace(centre: float = 0.0, scale: float = 0.5, name: str = "Laplace", **about) -> Objective:
    """Laplace schedule, eps target (Hang & Gu 2024, arXiv 2407.03297)."""
    path = paths.from_density(
        stats.laplace(centre, positive(scale, "scale")), VP, f"Laplace({centre:g}, {scale:g})"
    )
    return parametric(about, name, path, EPS, lambda l: np.exp(-np.abs(l - centre) / scale))


def cosine(shift: float = 1.0, name: str = "cosine shifted", **about) -> Objective:
    """Cosine schedule moved by −2 log shift, eps target (arXiv 2301.11093)."""
    return parametric(
        about, name, paths.shifted(COSINE, shift), EPS, lambda l: 1 / np.cosh(l / 2 + np.log(shift))
    )


@dataclass(frozen=True)
class Family:
    """A parametric family for sliders: ``build(**values)`` and (name, default, lowest, highest, step) of each parameter."""

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
