"""Noise schedules that papers propose, with the target that they train."""

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import expit

from diffviz.recipes.closed_forms import eps_cosine, sech, squared_v_gain
from diffviz.recipes.noise_paths import between
from diffviz.theory import paths
from diffviz.theory.frames import trigonometric
from diffviz.theory.objectives import Objective
from diffviz.theory.paths import COSINE, Path
from diffviz.theory.targets import EPS, V

JABRI = "Jabri et al. 2022 (arXiv 2212.11972), google-research/pix2seq"
CHEN = "Chen 2023 (arXiv 2301.10972)"
HOOGEBOOM = "Hoogeboom et al. 2023 (arXiv 2301.11093); lucidrains simple_diffusion"
HANG_GU = "Hang & Gu 2024 (arXiv 2407.03297)"

SIMPLE_LINEAR = paths.from_density(stats.logistic(), name="alpha² = 1 - t")
COSINE_SCALED_INPUT = Path(
    name="cosine, x scaled by 0.5",
    frame=trigonometric(signal=0.5, noise=1),
    schedule=paths.shifted(COSINE, 2).schedule,
)
COSINE_CUT = between(COSINE, -15, 15, "cosine, |logsnr| < 15")
LAPLACE = paths.from_density(stats.laplace(0, 0.5), name="Laplace(0, 0.5)")
CAUCHY = paths.from_density(stats.cauchy(0, 0.5), name="Cauchy(0, 0.5)")
COSINE_SCALED = paths.from_density(stats.hypsecant(scale=1), name="cosine scaled, s = 2")


def sigmoid_schedule(logsnr: NDArray) -> NDArray:
    """alpha² sigma²/(s(1 − s)) with s the sigmoid before its rescaling (Jabri et al. 2022)."""
    noise = expit(-3) + expit(-logsnr) * (expit(3) - expit(-3))
    return expit(logsnr) * expit(-logsnr) / (noise * (1 - noise))


def simple_linear_schedule(logsnr: NDArray) -> NDArray:
    """sech²(λ/2), of alpha² = 1 − t (Chen 2023, arXiv 2301.10972)."""
    return eps_cosine(logsnr) ** 2


def input_scaling(logsnr: NDArray) -> NDArray:
    """sech((λ − 2 log b)/2) with b = ½, of the cosine path with scaled data (Chen 2023)."""
    return sech((logsnr - 2 * np.log(0.5)) / 2)


def shifted_cosine(logsnr: NDArray) -> NDArray:
    """sech(λ/2 + log 4), of the cosine path with shift 4 (Hoogeboom et al. 2023)."""
    return sech(logsnr / 2 + np.log(4))


def laplace_eps(logsnr: NDArray) -> NDArray:
    """e^(−|λ|/b) with b = ½ (Hang & Gu 2024, arXiv 2407.03297)."""
    return np.exp(-np.abs(logsnr) / 0.5)


def laplace_v(logsnr: NDArray) -> NDArray:
    """e^(−|λ|/b)(1 + e^(−λ)) with b = ½ (Hang & Gu 2024, arXiv 2407.03297)."""
    return laplace_eps(logsnr) * squared_v_gain(logsnr)


def cauchy_eps(logsnr: NDArray) -> NDArray:
    """1/(1 + (λ/γ)²) with γ = ½ (Hang & Gu 2024, arXiv 2407.03297)."""
    return 1 / (1 + (logsnr / 0.5) ** 2)


ENTRIES = (
    Objective(
        name="sigmoid-schedule-eps",
        family="eps",
        year=2022,
        source=JABRI,
        path=paths.sigmoid(),
        target=EPS,
        stated=sigmoid_schedule,
    ),
    Objective(
        name="simple-linear-eps",
        family="eps",
        year=2023,
        source=f"{CHEN}, google-research/pix2seq",
        path=SIMPLE_LINEAR,
        target=EPS,
        stated=simple_linear_schedule,
    ),
    Objective(
        name="input-scaling-cosine-eps",
        family="eps",
        year=2023,
        source=f"{CHEN}, pix2seq b_scale = 0.5",
        path=COSINE_SCALED_INPUT,
        target=EPS,
        stated=input_scaling,
        note="Scaling x by b moves λ by 2 log b.",
    ),
    Objective(
        name="simple-diffusion-shifted-cosine-eps",
        family="eps",
        year=2023,
        source=HOOGEBOOM,
        path=paths.shifted(COSINE_CUT, 4),
        target=EPS,
        stated=shifted_cosine,
        note="The range of λ moves with the shift. k-diffusion moves its cut-offs back.",
    ),
    Objective(
        name="laplace-eps",
        family="eps",
        year=2024,
        source=HANG_GU,
        path=LAPLACE,
        target=EPS,
        stated=laplace_eps,
        note="ComfyUI applies the Laplace quantile to ln sigma, so its scale in λ is 2b.",
    ),
    Objective(
        name="laplace-v",
        family="v",
        year=2024,
        source=HANG_GU,
        path=LAPLACE,
        target=V,
        stated=laplace_v,
    ),
    Objective(
        name="cauchy-eps",
        family="eps",
        year=2024,
        source=f"{HANG_GU}, table not read",
        path=CAUCHY,
        target=EPS,
        stated=cauchy_eps,
    ),
    Objective(
        name="cosine-scaled-eps",
        family="eps",
        year=2024,
        source=f"{HANG_GU}, table not read",
        path=COSINE_SCALED,
        target=EPS,
        stated=sech,
    ),
)
