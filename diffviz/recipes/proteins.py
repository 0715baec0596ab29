"""Diffusion over the coordinates of atoms: proteins, complexes, molecules and crystals."""

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import expit

from diffviz.recipes.closed_forms import elbo, flow_matching, squared_velocity_gain
from diffviz.theory import laws, paths
from diffviz.theory.families import edm
from diffviz.theory.frames import VP
from diffviz.theory.objectives import Objective
from diffviz.theory.paths import LINEAR
from diffviz.theory.targets import EPS, U, X

BOLTZ = "jwohlwend/boltz diffusion.py (Wohlwend et al. 2024)"
BOLTZGEN = (
    "HannesStark/boltzgen model/modules/diffusion.py (commit 3454e12), "
    "resources/config/train/boltzgen.yaml (commit ff2c840)"
)
PROTENIX = "bytedance/Protenix model/generator.py, model/loss.py (2025)"
ALPHAFOLD3 = "Abramson et al. 2024 (AlphaFold 3), as lucidrains/alphafold3-pytorch states its text"
SIMPLEFOLD = "Wang et al. 2025 (arXiv 2509.18480), apple/ml-simplefold simplefold.py"
PROTEINA = "Geffner et al. 2025 (Proteina), NVIDIA-Digital-Bio/proteina"
LA_PROTEINA = "Geffner et al. 2025 (arXiv 2507.09466), La-Proteina"
FRAMEFLOW = "Yim et al. 2023 (FrameFlow), microsoft/protein-frame-flow"
E3_DIFFUSION = "Hoogeboom et al. 2022 (arXiv 2203.17003), ehoogeboom/e3_diffusion_for_molecules"
MATTERGEN = "Zeni et al. 2023 (MatterGen), microsoft/mattergen wrapped_normal_loss.py (06fa57a)"

ANGSTROMS = 16.0  # σ_data of AlphaFold 3 and its relatives
LOG_ANGSTROMS = float(np.log(ANGSTROMS))


def alphafold3_multiplier(logsnr: NDArray) -> NDArray:
    """(σ² + 16²)/(σ + 16)² on the x error, σ = e^(−λ/2); EDM has the product below."""
    sigma = np.exp(-logsnr / 2)
    return (sigma**2 + ANGSTROMS**2) / (sigma + ANGSTROMS) ** 2


def alphafold3(logsnr: NDArray) -> NDArray:
    """N(λ; 2.4 − 2 log 16, 3²) e^(−λ)(σ² + 16²)/(σ + 16)²."""
    density = stats.norm.pdf(logsnr, 2.4 - 2 * LOG_ANGSTROMS, 3)
    return density * np.exp(-logsnr) * alphafold3_multiplier(logsnr)


def simplefold_mixture(logsnr: NDArray) -> NDArray:
    """(0.98 N(λ; 1.6, 3.4²) + 0.02 sech²(λ/4)/8)(1 + e^(−λ/2))²."""
    uniform = 1 / (8 * np.cosh(logsnr / 4) ** 2)
    density = 0.98 * stats.norm.pdf(logsnr, 1.6, 3.4) + 0.02 * uniform
    return density * squared_velocity_gain(logsnr)


def simplefold_sum(logsnr: NDArray) -> NDArray:
    """f(t) e^(−λ/2), with f the density of 0.98 logit-normal(−0.8, 1.7) + 0.02 uniform."""
    noise = expit(-logsnr / 2)
    signal = expit(logsnr / 2)
    with np.errstate(divide="ignore"):
        last = np.log(noise) - np.log(np.clip(signal - 0.02, 0, None))  # logit of t/0.98
        first = np.log(np.clip(noise - 0.02, 0, None)) - np.log(signal)  # of (t − 0.02)/0.98
    below = stats.norm.cdf(last, -0.8, 1.7) - stats.norm.cdf(first, -0.8, 1.7)
    above = stats.norm.sf(first, -0.8, 1.7) - stats.norm.sf(last, -0.8, 1.7)
    return np.where(first < -0.8, below, above) * flow_matching(logsnr)


def softened_velocity(logsnr: NDArray) -> NDArray:
    """1/(σ² + 1e-5) on the x error of the linear path: all but the velocity error."""
    return 1 / (expit(-logsnr / 2) ** 2 + 1e-5)


def proteina(logsnr: NDArray) -> NDArray:
    """(0.02 + 0.98 · 1.9 alpha^0.9) σ²/(σ² + 1e-5) e^(−λ/2), alpha = sigmoid(λ/2) = 1 − σ."""
    density = 0.02 + 0.98 * 1.9 * expit(logsnr / 2) ** 0.9
    return density * expit(-logsnr / 2) ** 2 * softened_velocity(logsnr) * flow_matching(logsnr)


def la_proteina_latents(logsnr: NDArray) -> NDArray:
    """(0.02 + 0.98 · 1.5 σ^0.5) σ²/(σ² + 1e-5) e^(−λ/2), σ = sigmoid(−λ/2)."""
    sigma = expit(-logsnr / 2)
    density = 0.02 + 0.98 * 1.5 * np.sqrt(sigma)
    return density * sigma**2 * softened_velocity(logsnr) * flow_matching(logsnr)


def clipped_velocity(logsnr: NDArray) -> NDArray:
    """1/max(σ, 0.1)² on the x error of the linear path."""
    return 1 / np.maximum(expit(-logsnr / 2), 0.1) ** 2


def frameflow(logsnr: NDArray) -> NDArray:
    """e^(−λ/2) min(1, σ/0.1)²: the velocity error, but for σ < 0.1."""
    return flow_matching(logsnr) * np.minimum(1, expit(-logsnr / 2) / 0.1) ** 2


# --- the schedule of molecules: alpha = 1 − t² ----------------------------------------------------


def molecule_logsnr(t: NDArray) -> NDArray:
    """λ at a time, with 1 − alpha² = t² (2 − t²)."""
    with np.errstate(divide="ignore"):
        return 2 * (np.log1p(-t) + np.log1p(t) - np.log(t)) - np.log(2 - t**2)


def molecule_time(logsnr: NDArray) -> NDArray:
    """Time at a λ: t² = 1 − alpha = sigma²/(1 + alpha)."""
    return np.sqrt(expit(-logsnr) / (1 + VP.alpha(logsnr)))


def molecule_rate(logsnr: NDArray) -> NDArray:
    """|dt/dλ| = alpha sigma²/(4 t)."""
    return VP.alpha(logsnr) * expit(-logsnr) / (4 * molecule_time(logsnr))


def molecule_density(logsnr: NDArray) -> NDArray:
    """Weighting alpha sigma sqrt(1 + alpha), of eps with alpha = 1 − t² (our own derivation)."""
    alpha = np.sqrt(expit(logsnr))
    return alpha * np.sqrt(expit(-logsnr) * (1 + alpha))


MOLECULES = paths.scheduled("molecules (1 − t²)", VP, molecule_logsnr, molecule_time, molecule_rate)

ENTRIES = (
    edm(
        mean=-1.2 + LOG_ANGSTROMS,
        std=1.5,
        sigma_data=ANGSTROMS,
        name="boltz",
        family="EDM",
        year=2024,
        source=BOLTZ,
        note="EDM in units of 16 Å, with P_std = 1.5 instead of 1.2 and sigma_data = 1 in these "
        "units, so it is no shifted copy of EDM's weighting. The target is aligned first.",
    ),
    edm(
        mean=-1.2 + LOG_ANGSTROMS,
        std=1.5,
        sigma_data=ANGSTROMS,
        name="protenix",
        family="EDM",
        year=2025,
        source=PROTENIX,
        note="The weighting of Boltz. The target is aligned first.",
    ),
    edm(
        mean=-1.2 + LOG_ANGSTROMS,
        std=1.5,
        sigma_data=ANGSTROMS,
        name="boltzgen",
        family="EDM",
        year=2025,
        source=BOLTZGEN,
        note="The weighting of Boltz, for the design of binders. The target is aligned first, and "
        "atoms of nucleotides and ligands count more.",
    ),
    Objective(
        name="alphafold3",
        family="EDM",
        year=2024,
        source=ALPHAFOLD3,
        path=paths.edm(mean=-1.2 + LOG_ANGSTROMS, std=1.5),
        target=X,
        multiplier=alphafold3_multiplier,
        stated=alphafold3,
        note="The text divides by the square of a sum where EDM has a product. The paper was not "
        "read here. The target is aligned first.",
    ),
    Objective(
        name="simplefold",
        family="flow",
        year=2025,
        source=SIMPLEFOLD,
        path=LINEAR,
        target=U,
        law=laws.mixture([stats.norm(1.6, 3.4), stats.logistic(0, 2)], [0.98, 0.02]),
        stated=simplefold_mixture,
        note="The mixture that the formula of the text suggests; the paper was not read here.",
    ),
    Objective(
        name="simplefold-as-coded",
        family="flow",
        year=2025,
        source=f"{SIMPLEFOLD} flow_matching_train_step",
        path=LINEAR,
        target=U,
        law=laws.blended(stats.norm(1.6, 3.4), 0.02),
        stated=simplefold_sum,
        note="The code adds 0.98 times a logit-normal draw and 0.02 times a uniform one, which is "
        "no mixture. It then moves t by 1e-4 from both ends, which is left out. The target is "
        "aligned first.",
    ),
    Objective(
        name="proteina",
        family="flow",
        year=2025,
        source=f"{PROTEINA} (mix_unif_beta, compute_fm_loss)",
        path=LINEAR,
        target=X,
        multiplier=softened_velocity,
        law=laws.mixture(
            [stats.logistic(0, 2), paths.push_forward(stats.beta(1, 1.9), LINEAR)], [0.02, 0.98]
        ),
        stated=proteina,
        note="Its t is the share of data, 0.02 uniform and 0.98 Beta(1.9, 1). La-Proteina draws "
        "the level of the backbone in the same way.",
    ),
    Objective(
        name="la-proteina-latents",
        family="flow",
        year=2025,
        source=LA_PROTEINA,
        path=LINEAR,
        target=X,
        multiplier=softened_velocity,
        law=laws.mixture(
            [stats.logistic(0, 2), paths.push_forward(stats.beta(1.5, 1), LINEAR)], [0.02, 0.98]
        ),
        stated=la_proteina_latents,
        note="A sample has two levels; this is the law of the latents', 0.02 uniform and 0.98 "
        "Beta(1, 1.5) of the share of data. The config was not read here.",
    ),
    Objective(
        name="frameflow-translations",
        family="flow",
        year=2023,
        source=FRAMEFLOW,
        path=LINEAR,
        target=X,
        multiplier=clipped_velocity,
        law=laws.squeezed(stats.logistic(0, 2), 0.01, 0.99),
        stated=frameflow,
        note="t_normalize_clip = 0.9 and min_t = 0.01 are its config's, not read here. Rotations "
        "are no Gaussian channel.",
    ),
    Objective(
        name="e3-diffusion",
        family="eps",
        year=2022,
        source=f"{E3_DIFFUSION} (polynomial_2, l2)",
        path=MOLECULES,
        target=EPS,
        stated=molecule_density,
        note="alpha² = (1 − 2s)(1 − t²)² + s, read in copies of it. s = 1e-5, which keeps λ within "
        "±11.5, is left out.",
    ),
    Objective(
        name="mattergen-coordinates",
        family="score",
        year=2023,
        source=MATTERGEN,
        path=paths.ve(sigma_min=0.005, sigma_max=5.0),
        target=EPS,
        stated=elbo,
        note="The noise wraps around the cell, so this holds while it is much smaller than the "
        "cell. The range of sigma is the config's, not read here.",
    ),
)
