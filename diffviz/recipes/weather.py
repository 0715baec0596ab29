"""Weather: EDM with other laws of the noise."""

import numpy as np
from numpy.typing import NDArray

from diffviz.theory import multipliers, paths
from diffviz.theory.families import edm
from diffviz.theory.objectives import Objective
from diffviz.theory.targets import X

GENCAST = "Price et al. 2023 (arXiv 2312.15796), google-deepmind/graphcast gencast.py (ad03c6b)"
CORRDIFF = "Mardani et al. 2023 (arXiv 2309.15214), NVIDIA/physicsnemo ResidualLoss"


def gencast(logsnr: NDArray) -> NDArray:
    """e^(−λ/14)(1 + e^(−λ)): EDM's weight with σ_data = 1 where σ^(1/7) is uniform."""
    return np.exp(-logsnr / 14) * (1 + np.exp(-logsnr))


ENTRIES = (
    Objective(
        name="gencast",
        family="EDM",
        year=2023,
        source=GENCAST,
        path=paths.karras(sigma_min=0.02, sigma_max=88.0, rho=7.0),
        target=X,
        multiplier=multipliers.edm(sigma_data=1.0),
        stated=gencast,
        note="Levels are drawn as EDM's sampler spaces them. The noise is white on the sphere, not "
        "on the grid of pixels.",
    ),
    edm(
        mean=0.0,
        std=1.2,
        sigma_data=0.5,
        name="corrdiff",
        family="EDM",
        year=2023,
        source=CORRDIFF,
        note="The data is what a regression leaves over.",
    ),
)
