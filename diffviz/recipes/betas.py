"""Tables of β, the share of noise that a step of a discrete schedule adds.

A scheduler of diffusers names a table by ``beta_schedule``. The level of step k is

    alpha_k² = Π_{j ≤ k} (1 − β_j),      λ_k = log(alpha_k² / (1 − alpha_k²)).

Everything is float64, so that λ keeps its digits where alpha² is near 0 or 1.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from diffviz.checks import finite, number, require
from diffviz.theory.frames import VP, Curve


def linear_betas(start: float, end: float, steps: int) -> NDArray:
    """β linear in the step (DDPM)."""
    return np.linspace(start, end, steps)


def scaled_linear_betas(start: float, end: float, steps: int) -> NDArray:
    """Rates β with sqrt β linear in the step (Stable Diffusion)."""
    return np.linspace(start**0.5, end**0.5, steps) ** 2


def sigmoid_betas(start: float, end: float, steps: int) -> NDArray:
    """β a sigmoid from −6 to 6 (GeoDiff)."""
    return expit(np.linspace(-6, 6, steps)) * (end - start) + start


def squared_cosine_betas(start: float, end: float, steps: int) -> NDArray:
    """β of the cosine schedule with offset 0.008; ``start`` and ``end`` have no effect."""
    return betas_from_signal(cosine_signal, steps)


def laplace_betas(start: float, end: float, steps: int) -> NDArray:
    """β of the Laplace schedule; ``start`` and ``end`` have no effect."""
    return betas_from_signal(laplace_signal, steps)


def exponential_betas(start: float, end: float, steps: int) -> NDArray:
    """β of a signal that falls exponentially; ``start`` and ``end`` have no effect."""
    return betas_from_signal(exponential_signal, steps)


def betas_from_signal(signal: Curve, steps: int) -> NDArray:
    """β from alpha²(t), at most 0.999 (diffusers, ``betas_for_alpha_bar``)."""
    before = signal(np.arange(steps) / steps)
    after = signal(np.arange(1, steps + 1) / steps)
    return np.minimum(1 - after / before, 0.999)


def cosine_signal(t: NDArray) -> NDArray:
    """alpha² of the cosine schedule (Nichol & Dhariwal 2021, arXiv 2102.09672, eq. 17)."""
    return np.cos((t + 0.008) / 1.008 * np.pi / 2) ** 2


def laplace_signal(t: NDArray) -> NDArray:
    """Scale alpha of the Laplace schedule, which diffusers uses as if it were alpha²."""
    quantile = np.copysign(1, 0.5 - t) * np.log(1 - 2 * np.abs(0.5 - t) + 1e-6)
    return np.sqrt(expit(-0.5 * quantile))


def exponential_signal(t: NDArray) -> NDArray:
    """alpha² that falls by twelve e-folds (diffusers, ``alpha_transform_type="exp"``)."""
    return np.exp(-12 * t)


BETA_SCHEDULES: Mapping[str, Callable[[float, float, int], NDArray]] = MappingProxyType(
    {
        "linear": linear_betas,
        "scaled_linear": scaled_linear_betas,
        "sigmoid": sigmoid_betas,
        "squaredcos_cap_v2": squared_cosine_betas,
        "laplace": laplace_betas,
        "exp": exponential_betas,
    }
)
WITHOUT_ENDS = frozenset({"squaredcos_cap_v2", "laplace", "exp"})


def choose(table: Mapping[str, Any], name: Any, what: str) -> Any:
    """The entry of a table, or a ValueError that lists what the table holds."""
    if not isinstance(name, str) or name not in table:
        raise ValueError(f"{what} {name!r} does not apply: take {', '.join(table)}")
    return table[name]


def betas_by_name(config: Mapping[str, Any], steps: int) -> NDArray:
    """The table that ``beta_schedule`` names.

    Args:
        config: Config of a scheduler. Its entries ``beta_start`` and ``beta_end`` are read where
            the schedule has ends.
        steps: Number of steps T.

    Returns:
        β of each step, shape (T,).

    Raises:
        KeyError: An entry that is needed is missing.
        TypeError: An end is no number.
        ValueError: The schedule is unknown, or an end lies outside [0, 1].
    """
    name = config["beta_schedule"]
    make = choose(BETA_SCHEDULES, name, "beta_schedule")
    if name in WITHOUT_ENDS:
        return make(0.0, 1.0, steps)
    start = number(config["beta_start"], "beta_start", 0.0, 1.0)
    end = number(config["beta_end"], "beta_end", 0.0, 1.0)
    return make(start, end, steps)


def checked_betas(values: Any) -> NDArray:
    """A table of β, shape (T,); a ValueError unless all lie strictly within (0, 1)."""
    betas = finite(values, "betas")
    require(
        betas.ndim == 1 and len(betas) > 1 and ((betas > 0) & (betas < 1)).all(),
        f"betas are two or more numbers strictly within (0, 1), got {betas}",
    )
    return betas


def logsnr_of_betas(betas: NDArray) -> NDArray:
    """λ of each step of a table of β.

    Args:
        betas: β, shape (T,).

    Returns:
        Falling λ in nats, shape (T,).
    """
    depth = -np.cumsum(np.log1p(-betas))
    return -depth - np.log(-np.expm1(-depth))


def rescaled_to_zero_snr(logsnr: NDArray) -> NDArray:
    """λ after alpha is moved so that the last step holds no signal (Lin et al. 2023, algorithm 1).

    Args:
        logsnr: Falling λ in nats, shape (T,).

    Returns:
        λ of the rescaled steps, shape (T,); the last is −inf.
    """
    alpha = VP.alpha(logsnr)
    alpha = (alpha - alpha[-1]) * alpha[0] / (alpha[0] - alpha[-1])
    with np.errstate(divide="ignore"):
        return 2 * np.log(alpha) - np.log1p(-(alpha**2))
