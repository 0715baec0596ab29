"""Likelihood training: the ELBO, as papers and codes call it."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from diffviz.recipes import closed_forms
from diffviz.recipes.noise_paths import (
    SDE_SUB_VP,
    SDE_VE,
    SDE_VP,
    SIT_LINEAR,
    SUB_VP,
    VE,
    VP_LINEAR,
)
from diffviz.recipes.sources import SIT, SONG
from diffviz.theory import laws, paths
from diffviz.theory.multipliers import likelihood
from diffviz.theory.objectives import Objective
from diffviz.theory.paths import COSINE
from diffviz.theory.targets import EPS

KINGMA = "Kingma et al. 2021 (arXiv 2107.00630, eq. 17-18)"
VDM = "google-research/vdm model_vdm.py"
SONG_LIKELIHOOD = f"{SONG}; arXiv 2101.09258, eq. 7"

VDM_UNIFORM = paths.uniform_logsnr(low=-5, high=13.3)
VDM_LEVELS = 13.3 - 18.3 * np.arange(1, 1001) / 1000


def vdm_step_weight(logsnr: NDArray) -> NDArray:
    """T/2 · (e^Δ − 1) with Δ = 18.3/T and T = 1000 (Kingma et al. 2021)."""
    return np.ones_like(logsnr) * 500 * np.expm1(18.3 / 1000)


def sit_likelihood_weight(logsnr: NDArray) -> NDArray:
    """1/(alpha sigma) on the linear path, SiT's ``drift_var / sigma²``."""
    return 1 / (expit(logsnr / 2) * expit(-logsnr / 2))


ENTRIES = (
    Objective(
        name="elbo",
        family="ELBO",
        year=2021,
        source=KINGMA,
        path=COSINE,
        target=EPS,
        multiplier=likelihood(COSINE),
        stated=closed_forms.elbo,
        note="Any monotone path gives the same weighting; this entry takes the cosine path.",
    ),
    Objective(
        name="vdm",
        family="ELBO",
        year=2021,
        source=f"{VDM}, configs/cifar10.py",
        path=VDM_UNIFORM,
        target=EPS,
        multiplier=likelihood(VDM_UNIFORM),
        stated=closed_forms.elbo,
        note="γ = −λ, and its end points are those of the initialisation. "
        "The code adds the prior and the reconstruction term.",
    ),
    Objective(
        name="vdm-discrete",
        family="ELBO",
        year=2021,
        source=f"{VDM} (T = 1000)",
        path=paths.from_density(laws.atoms(VDM_LEVELS), name="VDM, T = 1000"),
        target=EPS,
        multiplier=vdm_step_weight,
        stated=closed_forms.elbo,
        note="It lies above the continuous ELBO by the factor expm1(Δλ)/Δλ = 1.0092.",
    ),
    Objective(
        name="score-sde-vp-likelihood",
        family="ELBO",
        year=2021,
        source=SONG_LIKELIHOOD,
        path=SDE_VP,
        target=EPS,
        multiplier=likelihood(VP_LINEAR),
        stated=closed_forms.elbo,
        note="g² = sigma²·(−dλ/dt) for each of the three SDEs.",
    ),
    Objective(
        name="score-sde-ve-likelihood",
        family="ELBO",
        year=2021,
        source=SONG_LIKELIHOOD,
        path=SDE_VE,
        target=EPS,
        multiplier=likelihood(VE),
        stated=closed_forms.elbo,
    ),
    Objective(
        name="score-sde-subvp-likelihood",
        family="ELBO",
        year=2021,
        source=SONG_LIKELIHOOD,
        path=SDE_SUB_VP,
        target=EPS,
        multiplier=likelihood(SUB_VP),
        stated=closed_forms.elbo,
    ),
    Objective(
        name="sit-linear-likelihood",
        family="ELBO",
        year=2024,
        source=f"{SIT} (LIKELIHOOD)",
        path=SIT_LINEAR,
        target=EPS,
        multiplier=sit_likelihood_weight,
        stated=closed_forms.elbo,
        note="The code's weight is drift_var/sigma² = 1/(alpha sigma).",
    ),
)
