"""Closed forms that the stated weightings of several entries share.

A function of ``logsnr`` takes λ in nats, as a float array of any shape, and returns an array of
that shape. Weightings act on the squared eps error. Weightings and densities hold up to a
constant.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import expit

# ends of Stable Diffusion's table of β, as square roots
ROOT_BETA_START = np.sqrt(0.00085)
ROOT_BETA_END = np.sqrt(0.012)


def sech(x: NDArray) -> NDArray:
    """Hyperbolic secant, 1/cosh."""
    return 1 / np.cosh(x)


# β as a function of its integral or of λ, in continuous time
def vp_depth(logsnr: NDArray) -> NDArray:
    """∫β dt = log(1 + e^(−λ)) on a variance-preserving path."""
    return np.logaddexp(0, -logsnr)


def linear_beta(depth: NDArray) -> NDArray:
    """β of DDPM's linear table, from 0.1 to 20, where its integral is ``depth``."""
    return np.sqrt(0.1**2 + 2 * 19.9 * depth)


def scaled_linear_beta(depth: NDArray) -> NDArray:
    """β of Stable Diffusion's table, where its integral is ``depth``: sqrt β is linear in time."""
    growth = 3 * (ROOT_BETA_END - ROOT_BETA_START)
    return (ROOT_BETA_START**3 + growth * depth / 1000) ** (2 / 3)


def linear_rate(logsnr: NDArray) -> NDArray:
    """β of DDPM's linear table at λ."""
    return linear_beta(vp_depth(logsnr))


def scaled_linear_rate(logsnr: NDArray) -> NDArray:
    """β of Stable Diffusion's table at λ."""
    return scaled_linear_beta(vp_depth(logsnr))


# squared gains: the factor from a squared eps error to the squared error of a target
def squared_v_gain(logsnr: NDArray) -> NDArray:
    """Squared gain 1 + e^(−λ) of v (Kingma & Gao 2023, arXiv 2303.00848, appendix A)."""
    return 1 + np.exp(-logsnr)


def squared_velocity_gain(logsnr: NDArray) -> NDArray:
    """Squared gain (1 + e^(−λ/2))² of u = eps − x on the linear path."""
    return (1 + np.exp(-logsnr / 2)) ** 2


def squared_edm_gain(logsnr: NDArray) -> NDArray:
    """σ² + ¼, EDM's multiplier times the squared gain of x, at σ_data = ½ (Karras et al. 2022)."""
    return np.exp(-logsnr) + 0.25


def min_snr_5_factor(logsnr: NDArray) -> NDArray:
    """min(SNR, 5)/SNR on the eps error: Min-SNR with γ = 5 (Hang et al. 2023, arXiv 2303.09556)."""
    return np.minimum(1, 5 * np.exp(-logsnr))


# densities
def linear_density(logsnr: NDArray) -> NDArray:
    """sech²(λ/4), the density of λ under uniform time on the linear path."""
    return sech(logsnr / 4) ** 2


def edm_density(logsnr: NDArray) -> NDArray:
    """N(λ; 2.4, 2.4²), from ln σ ~ N(−1.2, 1.2²) (Karras et al. 2022, table 1)."""
    return stats.norm.pdf(logsnr, 2.4, 2.4)


# weightings
def elbo(logsnr: NDArray) -> NDArray:
    """1: the ELBO weighs all λ alike (Kingma et al. 2021, arXiv 2107.00630, eq. 17)."""
    return np.ones_like(logsnr)


def eps_cosine(logsnr: NDArray) -> NDArray:
    """sech(λ/2), of eps prediction on the cosine path (Kingma & Gao 2023)."""
    return sech(logsnr / 2)


def eps_linear(logsnr: NDArray) -> NDArray:
    """sigma²/β, of eps prediction with DDPM's linear table (Ho et al. 2020, arXiv 2006.11239)."""
    return expit(-logsnr) / linear_rate(logsnr)


def eps_scaled_linear(logsnr: NDArray) -> NDArray:
    """sigma²/β, of eps prediction with Stable Diffusion's table."""
    return expit(-logsnr) / scaled_linear_rate(logsnr)


def v_scaled_linear(logsnr: NDArray) -> NDArray:
    """e^(−λ)/β, of v prediction with Stable Diffusion's table."""
    return np.exp(-logsnr) / scaled_linear_rate(logsnr)


def flow_matching(logsnr: NDArray) -> NDArray:
    """e^(−λ/2), of flow matching and of v on the cosine path (Kingma & Gao 2023)."""
    return np.exp(-logsnr / 2)


def edm_weighting(logsnr: NDArray) -> NDArray:
    """N(λ; 2.4, 2.4²)(e^(−λ) + ¼), of EDM (Kingma & Gao 2023)."""
    return edm_density(logsnr) * squared_edm_gain(logsnr)
