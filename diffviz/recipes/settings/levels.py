"""Laws of λ from what trainers draw: indices into tables, and sigmas on the linear path.

A trainer that draws an index into a table of levels trains on those levels and no others: the law
of λ has atoms. Levels that several indices share are one atom with all their probability. A level
of pure noise (sigma = 1 on the linear path, SNR 0 of a table of β) has λ = −inf, and one of pure
data has λ = +inf. Neither has a place in a law of λ: both are left out, and the probability that
falls on them is kept beside the law, for the note of the objective.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from diffviz.checks import require
from diffviz.recipes.diffusers import LEAST_NOTED, from_diffusers
from diffviz.theory import laws, multipliers, paths
from diffviz.theory.atoms import atomic
from diffviz.theory.frames import VP, Curve
from diffviz.theory.objectives import Objective
from diffviz.theory.paths import LINEAR, Path
from diffviz.theory.targets import Target, U


@dataclass(frozen=True)
class Levels:
    """What a trainer draws.

    Args:
        law: Law of λ, a frozen SciPy distribution.
        pure_noise: Probability of a level without signal.
        pure_data: Probability of a level without noise.
    """

    law: Any
    pure_noise: float = 0.0
    pure_data: float = 0.0

    @property
    def notes(self) -> tuple[str, ...]:
        """What to say of levels that the law leaves out."""
        kinds = (("signal", self.pure_noise), ("noise", self.pure_data))
        return tuple(
            f"Levels without {missing} (probability {probability:.2g}) are left out."
            for missing, probability in kinds
            if probability > LEAST_NOTED
        )


def linear_logsnr(sigma: ArrayLike) -> NDArray:
    """The λ of a sigma on the linear path, 2 log((1 − sigma)/sigma).

    Args:
        sigma: Share of noise in [0, 1], any shape.

    Returns:
        λ in nats, same shape; −inf at sigma = 1 and inf at 0.
    """
    noise = np.asarray(sigma, dtype=float)
    with np.errstate(divide="ignore"):
        return 2 * (np.log1p(-noise) - np.log(noise))


def shifted(sigma: ArrayLike, shift: float) -> NDArray:
    """The sigma after a time shift, s sigma/(1 + (s − 1) sigma).

    Source: Esser et al. 2024 (arXiv 2403.03206), eq. 23.

    Args:
        sigma: Share of noise in [0, 1], any shape.
        shift: Factor s on sigma/alpha.

    Returns:
        The shifted sigma, same shape.
    """
    noise = np.asarray(sigma, dtype=float)
    return shift * noise / (1 + (shift - 1) * noise)


def unshifted(sigma: ArrayLike, shift: float) -> NDArray:
    """The sigma that a time shift takes to the given one.

    Args:
        sigma: Share of noise in [0, 1], any shape.
        shift: Factor on sigma/alpha.

    Returns:
        The sigma before the shift, same shape.
    """
    return shifted(sigma, 1 / shift)


def drawn_from(logsnr: ArrayLike, mass: ArrayLike | None = None) -> Levels:
    """The law of the levels of a table.

    Args:
        logsnr: λ of each entry in nats, −inf without signal and inf without noise, shape (T,).
        mass: Probability of each entry up to a constant, shape (T,). By default all are equal.

    Returns:
        The law. Entries with the same λ are one level, and those of probability 0 are none.

    Raises:
        ValueError: Fewer than two different levels with signal and noise can be drawn.
    """
    at = np.asarray(logsnr, dtype=float)
    share = np.ones_like(at) if mass is None else np.asarray(mass, dtype=float)
    share = share / share.sum()
    held = np.isfinite(at) & (share > 0)
    level, entry = np.unique(at[held], return_inverse=True)
    require(
        len(level) >= 2,
        "these settings train on fewer than two levels with both signal and noise "
        f"(λ = {level}): a weighting needs at least two",
    )
    return Levels(
        law=laws.atoms(level, np.bincount(entry, weights=share[held]), table=at),
        pure_noise=float(share[at == -np.inf].sum()),
        pure_data=float(share[at == np.inf].sum()),
    )


def index_masses(time: Any, steps: int, first: float = 0.0, last: float | None = None) -> NDArray:
    """Probabilities of the steps int(first + (last − first) u) of a table.

    Args:
        time: Law of u in [0, 1], a frozen SciPy distribution.
        steps: Number of entries of the table.
        first: Where u = 0 goes.
        last: Where u = 1 goes; by default to the number of entries.

    Returns:
        Probability of each index, shape (steps,).
    """
    return laws.probabilities(time, step_edges(steps, first, steps if last is None else last))


def step_edges(steps: int, first: float, last: float) -> NDArray:
    """The u in [0, 1] between which int(first + (last − first) u) is the same step of a table.

    Args:
        steps: Number of entries of the table.
        first: Where u = 0 goes.
        last: Where u = 1 goes.

    Returns:
        Edges of the steps, shape (steps + 1,).
    """
    return np.clip((np.arange(steps + 1) - first) / (last - first), 0, 1)


def drawn_sigma(time: Any, shift: float = 1.0) -> Levels:
    """The law of λ for a sigma on the linear path that is drawn and then shifted.

    Args:
        time: Law of sigma before the shift, a frozen SciPy distribution on [0, 1].
        shift: Factor on sigma/alpha.

    Returns:
        The law.
    """
    return Levels(paths.push_forward(time, linear_path(shift)))


def linear_path(shift: float) -> Path:
    """The linear path after a time shift."""
    return LINEAR if shift == 1 else paths.shifted(LINEAR, shift)


def uniform(low: float = 0.0, high: float = 1.0) -> Any:
    """The uniform law between two numbers, a frozen SciPy distribution."""
    return stats.uniform(low, high - low)


def beta_logsnr(config: Mapping[str, Any]) -> NDArray:
    """The λ of each step of a table of β, in the order of the steps.

    Args:
        config: Config of a diffusers scheduler with betas.

    Returns:
        λ in nats, shape (T,); −inf for the last step after rescaling to zero terminal SNR.
    """
    table = atomic(from_diffusers(config).law)
    if table is None:
        raise TypeError(f"a table of β has discrete levels, {config} has none")
    return table.table


def beta_objective(
    name: str, source: str, target: Target, multiplier: Curve, levels: Levels
) -> Objective:
    """An objective on the variance-preserving path whose levels are steps of a table of β.

    Args:
        name: What plots and errors call it.
        source: Repository and version.
        target: What the loss compares.
        multiplier: Factor on the target's squared error, a function of λ.
        levels: The levels that are drawn.

    Returns:
        The objective.
    """
    return Objective(
        name=name,
        family="settings",
        year=0,
        source=source,
        path=paths.from_density(levels.law, VP, "table of β"),
        target=target,
        multiplier=multiplier,
        law=levels.law,
    )


def flow_objective(
    name: str, source: str, levels: Levels, multiplier: Curve = multipliers.constant
) -> Objective:
    """An objective that compares the velocity on the linear path.

    Args:
        name: What plots and errors call it.
        source: Repository and version.
        levels: The levels that are drawn.
        multiplier: Factor on the velocity's squared error, a function of λ.

    Returns:
        The objective.
    """
    return Objective(
        name=name,
        family="settings",
        year=0,
        source=source,
        path=LINEAR,
        target=U,
        multiplier=multiplier,
        law=levels.law,
    )


# tables of β of Stable Diffusion, which several trainers read from the checkpoint
STABLE_DIFFUSION = MappingProxyType(
    {
        "_class_name": "DDPMScheduler",
        "num_train_timesteps": 1000,
        "beta_schedule": "scaled_linear",
        "beta_start": 0.00085,
        "beta_end": 0.012,
    }
)
