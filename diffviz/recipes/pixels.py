"""Pixels and fields without time: noise that is louder than the data, and targets that fade."""

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import expit

from diffviz.recipes.closed_forms import flow_matching, sech
from diffviz.theory import laws, paths
from diffviz.theory.objectives import Objective
from diffviz.theory.paths import LINEAR
from diffviz.theory.targets import U, X

LI_HE_512 = "Li & He 2025 (arXiv 2511.13720), JiT main_jit.py --noise_scale 2.0 (script read)"
WANG_DU = "Wang & Du 2025 (arXiv 2510.02300), c(t) as soran-ghaderi/torchebm compute_eqm_ct has it"
HIDREAM = (
    "HiDream-O1 2026 (arXiv 2605.11061), kohya-ss/musubi-tuner hidream_o1_train_network.py "
    "(commit 02b3730)"
)

LOUD_PATH = paths.shifted(LINEAR, 2)
HIDREAM_PATH = paths.shifted(LINEAR, 8)


def loud_noise_multiplier(logsnr: NDArray) -> NDArray:
    """1/max(t, 0.05)² on the x error, where t/(1 − t) = e^(−λ/2)/2 is its clock."""
    return 1 / np.maximum(expit(-logsnr / 2 - np.log(2)), 0.05) ** 2


def jit_512(logsnr: NDArray) -> NDArray:
    """N(λ; −1.6 − 2 log 2, 1.6²) e^(−λ)/max(t, 0.05)², t = sigmoid(−λ/2 − log 2)."""
    clock = expit(-(logsnr + 2 * np.log(2)) / 2)
    density = stats.norm.pdf(logsnr, -1.6 - 2 * np.log(2), 1.6)
    return density * np.exp(-logsnr) / np.maximum(clock, 0.05) ** 2


def hidream_o1(logsnr: NDArray) -> NDArray:
    """e^(−λ) sech²((λ + 2 log 8)/4): the x error under uniform time and noise of 8 times the size.

    Our own derivation.
    """
    return np.exp(-logsnr) * sech((logsnr + 2 * np.log(8)) / 4) ** 2


def fading_multiplier(logsnr: NDArray) -> NDArray:
    """c(t)² with c = 4 min(1, 5t), t = sigmoid(−λ/2): the target is c times the velocity."""
    return (4 * np.minimum(1, 5 * expit(-logsnr / 2))) ** 2


def equilibrium(logsnr: NDArray) -> NDArray:
    """min(1, 5t)² e^(−λ/2), t = sigmoid(−λ/2) (our own derivation)."""
    return np.minimum(1, 5 * expit(-logsnr / 2)) ** 2 * flow_matching(logsnr)


ENTRIES = (
    Objective(
        name="jit-512",
        family="flow",
        year=2025,
        source=LI_HE_512,
        path=LOUD_PATH,
        target=X,
        multiplier=loud_noise_multiplier,
        law=laws.logit_normal_logsnr(0.8, 0.8, 2),
        stated=jit_512,
        note="At 512² pixels the noise has twice the size, so λ falls by 2 log 2 while the clock "
        "of the loss stays. The path is the linear one up to a known factor on z.",
    ),
    Objective(
        name="equilibrium-matching",
        family="flow",
        year=2025,
        source=WANG_DU,
        path=LINEAR,
        target=U,
        multiplier=fading_multiplier,
        stated=equilibrium,
        note="The target is c(t) u, and the network gets no time. The weighting acts on u; a "
        "network without time learns the average of c(t) u given z. The paper and its own code "
        "were not read here.",
    ),
    Objective(
        name="musubi-hidream-o1",
        family="flow",
        year=2026,
        source=HIDREAM,
        path=HIDREAM_PATH,
        target=X,
        stated=hidream_o1,
        note="z = (1 − t) x + 8 t eps with uniform t, which its guide says is the paper's for "
        "post-training, and the plain error of the predicted pixels. The paper was not read here. "
        "The variant dev takes 7.5 and clips the noise, which no longer is Gaussian.",
    ),
)
