"""Denoising score matching on the variance-exploding path."""

import numpy as np
from numpy.typing import NDArray

from diffviz.recipes.closed_forms import elbo
from diffviz.recipes.noise_paths import SDE_VE, VE
from diffviz.recipes.sources import SONG
from diffviz.theory import paths
from diffviz.theory.objectives import Objective
from diffviz.theory.targets import SCORE

NCSN = "ermongroup/ncsn losses/dsm.py, anneal.yml"
NCSNV2 = "ermongroup/ncsnv2 losses/dsm.py, cifar10.yml"
VINCENT = "Vincent 2011; ermongroup/ncsn dsm_score_estimation"


def noise_variance(logsnr: NDArray) -> NDArray:
    """sigma² = e^(−λ), the weight on the score error (Song et al. 2021, arXiv 2011.13456)."""
    return np.exp(-logsnr)


def half_noise_variance(logsnr: NDArray) -> NDArray:
    """sigma²/2 = e^(−λ)/2, the weight on the score error (ermongroup/ncsn losses/dsm.py)."""
    return np.exp(-logsnr) / 2


def unweighted_score(logsnr: NDArray) -> NDArray:
    """e^λ, of the plain score error under uniform λ (Vincent 2011)."""
    return np.exp(logsnr)


ENTRIES = (
    Objective(
        name="ncsnpp-ve",
        family="eps",
        year=2021,
        source=f"{SONG}, sde_lib.VESDE",
        path=SDE_VE,
        target=SCORE,
        multiplier=noise_variance,
        stated=elbo,
        note="Score matching with the weight sigma² has the weighting of the ELBO on its support.",
    ),
    Objective(
        name="ncsn",
        family="eps",
        year=2019,
        source=NCSN,
        path=paths.ve(sigma_min=0.01, sigma_max=1),
        target=SCORE,
        multiplier=half_noise_variance,
        stated=elbo,
        note="sigma stops at 1, so there is nothing below λ = 0.",
    ),
    Objective(
        name="ncsnv2",
        family="eps",
        year=2020,
        source=NCSNV2,
        path=VE,
        target=SCORE,
        multiplier=half_noise_variance,
        stated=elbo,
    ),
    Objective(
        name="dsm-unweighted-ve",
        family="eps",
        year=2011,
        source=VINCENT,
        path=VE,
        target=SCORE,
        stated=unweighted_score,
        note="The weighting increases with λ: all the weight lies on the finest noise.",
    ),
)
