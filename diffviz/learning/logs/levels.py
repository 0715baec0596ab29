"""From logged timesteps and sigmas to log-SNR, and from logged losses to squared eps errors.

A timestep or a sigma means nothing by itself. Their log-SNR depends on the schedule: a step of a
table of betas, a time of flow matching (sigma, times the number of steps), or ln(sigma)/4 of EDM.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from diffviz import markup
from diffviz.checks import require, unknown
from diffviz.delimited import text_of
from diffviz.recipes.diffusers import from_diffusers
from diffviz.recipes.entries import CATALOGUE, objective
from diffviz.recipes.settings.door import Explained, from_settings
from diffviz.theory.atoms import atomic, cell_edges, nearest_level, quantiles
from diffviz.theory.frames import STRAIGHT, VE, VP
from diffviz.theory.multipliers import constant
from diffviz.theory.objectives import Objective
from diffviz.theory.targets import BASES, base_gain

FLOW_STEPS = 1000  # number by which trainers of flows multiply the time, if nothing else is said
LARGEST_C_NOISE = 12.0  # ln(sigma)/4 beyond which sigma would be above e^48
MEAN_OF = 1024  # levels over which a mean is looked for
ENOUGH = 8  # numbers that tell a mean from chance
FEWEST = 50  # levels from which on they are compared with the law of the run
DISTANCE = 0.1  # of the distribution functions from which on it is mentioned
CHANCE = 1e-6  # probability below which the levels are not drawn by the law
SAME = 0.05  # of a cell of a table, within which a logged level is the one of the table
NARROW = 0.75  # of the law's own spread, below which levels are called narrow
ROUNDING = 2e-7  # relative, of numbers that were logged as float32


@dataclass(frozen=True, eq=False)
class Levels:
    """Log-SNR of samples.

    Args:
        logsnr: λ in nats, shape (n,); NaN where none was logged.
        meaning: How it was found, in words.
    """

    logsnr: NDArray
    meaning: str


@dataclass(frozen=True, eq=False)
class Errors:
    """Squared eps errors of samples, summed over components.

    Args:
        squared: Squared errors, shape (n,).
        factor: What the training multiplies a squared error by, shape (n,).
        meaning: What the logged loss was taken for, in words.
    """

    squared: NDArray
    factor: NDArray
    meaning: str


def objective_of(scheduler: Any) -> Objective | None:
    """The objective behind what was passed as a scheduler.

    Args:
        scheduler: None, an objective, the name of an entry of the catalogue, a scheduler of
            diffusers or its config, a JSON file that holds one, or a trainer's settings: their text
            or what ``explain`` says of them.

    Returns:
        The objective, or None.

    Raises:
        TypeError: It is none of these.
        ValueError: There is no such entry and no such file, or the config cannot be read.
    """
    if scheduler is None or isinstance(scheduler, Objective):
        return scheduler
    if isinstance(scheduler, Explained):
        return scheduler.objective
    if not isinstance(scheduler, str | Path):
        return from_diffusers(scheduler)
    if str(scheduler) in CATALOGUE:
        return objective(str(scheduler))
    if isinstance(scheduler, str) and re.search(r"\s", scheduler.strip()):
        return from_settings(scheduler)
    file = Path(scheduler)
    if not file.is_file():
        require(file.suffix != ".json", f"there is no file {str(file)!r} for scheduler")
        raise unknown("scheduler", scheduler, CATALOGUE, "dv.catalogue or python -m diffviz list")
    try:
        config = json.loads(text_of(file))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file} holds no config of a scheduler in JSON: {error}") from error
    require(isinstance(config, Mapping), f"{file} holds no config of a scheduler")
    return from_diffusers(config)


def levels_of(values: NDArray, kind: str, known: Objective | None) -> Levels:
    """Log-SNR of logged levels.

    Args:
        values: Levels as they were logged, shape (n,); NaN where there is none.
        kind: "logsnr", "timestep" or "sigma".
        known: The objective of the run, or None.

    Returns:
        The log-SNR, with how it was found.

    Raises:
        ValueError: The levels mean nothing without a scheduler, or do not fit the one given.
    """
    if kind == "logsnr":
        return Levels(values, "logsnr as logged")
    with np.errstate(divide="ignore", invalid="ignore"):
        if kind == "sigma":
            return _of_sigma(values, known)
        return _of_timestep(values, known)


# --- sigma --------------------------------------------------------------------------------------


def _of_sigma(sigma: NDArray, known: Objective | None) -> Levels:
    """Log-SNR of sigmas: noise over signal, or the scale of the noise of a flow or a VP path."""
    require(not (sigma < 0).any(), f"sigma must be at least 0, got {np.nanmin(sigma):g}")
    largest = np.nanmax(sigma) if np.isfinite(sigma).any() else 0.0
    if known is not None and known.path.frame == STRAIGHT:
        require(
            largest <= 1,
            f"sigma of the flow {known.name!r} lies in [0, 1], got {largest:g}; another scheduler, "
            "or timestep= instead of sigma=?",
        )
        return Levels(2 * np.log((1 - sigma) / sigma), f"sigma of a flow, as in {known.name!r}")
    if known is not None and known.path.frame == VP and largest <= 1:
        return Levels(np.log((1 - sigma**2) / sigma**2), "sigma with alpha² = 1 − sigma²")
    is_ratio = largest > 1 or (known is not None and known.path.frame == VE)
    require(
        is_ratio,
        "sigma between 0 and 1 is that of a flow, of a variance-preserving path, or noise over "
        "signal: pass scheduler=, such as 'fm-ot' or 'edm'",
    )
    return Levels(-2 * np.log(sigma), "sigma as noise over signal")


# --- timestep -----------------------------------------------------------------------------------


def _of_timestep(timestep: NDArray, known: Objective | None) -> Levels:
    """Log-SNR of timesteps: steps of a table, or times of a path."""
    if known is None:
        raise ValueError(
            "a timestep has no log-SNR without its schedule: pass scheduler=, a scheduler of "
            "diffusers, its config, or the name of an entry such as 'fm-ot'"
        )
    table = atomic(known.law)
    if known.path.frame == STRAIGHT:
        return _of_flow_time(timestep, known.name, FLOW_STEPS if table is None else table.steps)
    if known.path.frame == VE:
        return _of_c_noise(timestep, known.name)
    if table is not None:
        return _of_step(timestep, table.table, known.name)
    require(
        np.nanmax(timestep, initial=0.0) <= 1,
        f"{known.name!r} has a continuous time in [0, 1], but timesteps reach "
        f"{np.nanmax(timestep):g}: pass the scheduler or its config, whose table tells their "
        "levels",
    )
    logsnr = np.full(timestep.shape, np.nan)
    seen = ~np.isnan(timestep)
    logsnr[seen] = known.path.logsnr(timestep[seen])
    return Levels(logsnr, f"time of {known.name!r}, 0 is data")


def _of_flow_time(timestep: NDArray, name: str, steps: int) -> Levels:
    """Log-SNR of the times of a flow, which are sigma or sigma times the number of steps."""
    largest = np.nanmax(timestep, initial=0.0)
    scale = 1 if largest <= 1 else steps
    outside = (timestep < 0) | (timestep > scale)
    require(
        not outside.any(),
        f"timesteps of {name!r} lie in [0, {scale}], got {timestep[outside][:1]}; another "
        "scheduler, or sigma= instead of timestep=?",
    )
    sigma = timestep / scale
    meaning = "timestep is sigma" if scale == 1 else f"timestep/{scale} is sigma"
    return Levels(2 * np.log((1 - sigma) / sigma), f"{meaning} of {name!r}, 0 is data")


def _of_c_noise(timestep: NDArray, name: str) -> Levels:
    """Log-SNR of the times of EDM, ln(sigma)/4 (Karras et al. 2022, table 1)."""
    largest = np.nanmax(abs(timestep), initial=0.0)
    require(
        largest <= LARGEST_C_NOISE,
        f"a timestep of {name!r} is ln(sigma)/4, but they reach {largest:g}; log sigma instead",
    )
    return Levels(-8 * timestep, f"timestep is ln(sigma)/4 of {name!r}")


def _of_step(timestep: NDArray, table: NDArray, name: str) -> Levels:
    """Log-SNR of the steps of a table, shape (T,)."""
    logsnr = np.full(timestep.shape, np.nan)
    seen = ~np.isnan(timestep)
    steps = timestep[seen]
    _check_steps(steps, len(table), name)
    logsnr[seen] = table[steps.astype(int)]
    return Levels(logsnr, f"step of the table of {name!r}, {len(table)} steps")


def _check_steps(steps: NDArray, size: int, name: str) -> None:
    """Refuse what are no steps of a table, such as means over a batch."""
    broken = steps[steps != np.rint(steps)]
    if len(broken):
        raise ValueError(
            f"timestep {broken[0]:g} is no step of the table of {name!r} ({len(broken)} of "
            f"{len(steps)}){_mean_of(broken)}; log the timestep and the loss of each sample"
        )
    outside = steps[(steps < 0) | (steps >= size)]
    if len(outside):
        raise ValueError(
            f"timestep {outside[0]:g} lies outside the table of {name!r}, 0 to {size - 1} "
            f"({len(outside)} of {len(steps)}); another scheduler?"
        )


def _mean_of(steps: NDArray) -> str:
    """What to say where all numbers are multiples of one over a whole number."""
    sizes = np.arange(2, MEAN_OF + 1)
    sums = steps[:32, None] * sizes
    fits = sizes[(abs(sums - np.rint(sums)) <= ROUNDING * abs(sums)).all(0)]
    if len(steps) < ENOUGH or not len(fits):
        return ", perhaps a mean over a batch: its levels can no longer be told"
    return (
        f", but a mean over {fits[0]} levels or a multiple of that: which of them a loss came "
        "from can no longer be told"
    )


def unlike_law(logsnr: NDArray, known: Objective | None) -> list[str]:
    """A note where the logged levels are drawn otherwise than the objective of the run draws them.

    Means over a batch look so: they crowd in the middle of the law.

    Args:
        logsnr: λ in nats, shape (n,).
        known: The objective of the run, or None.

    Returns:
        What to note.
    """
    if known is None:
        return []
    seen = _with_a_law(logsnr[~np.isnan(logsnr)], known.law)
    if len(seen) < FEWEST:
        return []
    distance = _distance(seen, known.law)
    if distance < DISTANCE or stats.kstwobign.sf(distance * np.sqrt(len(seen))) > CHANCE:
        return []
    unlike = f"the logged levels are not drawn as {known.name!r} draws them"
    has_level = np.isfinite(seen)
    if has_level.mean() < 1 - DISTANCE:
        missing = f"{1 - has_level.mean():.0%} of them hold no signal or no noise"
        return [f"{unlike}: {missing}; another scheduler=?"]
    logged = np.subtract(*np.quantile(seen[has_level], (0.75, 0.25)))
    drawn = float(np.subtract(*quantiles(known.law, np.array([0.75, 0.25]))))
    text = f"{unlike}: half of them lie within {logged:.2g} nats, {drawn:.2g} by its law"
    if logged < NARROW * drawn:
        return [f"{text}; means over batches crowd like this, and their levels cannot be told"]
    return [f"{text}; another scheduler=?"]


def _with_a_law(logsnr: NDArray, law: Any) -> NDArray:
    """The levels without the steps of a table that its law leaves out, of ±inf."""
    table = atomic(law)
    if table is None:
        return logsnr
    return logsnr[np.isfinite(logsnr) | ~np.isin(logsnr, table.table)]


def _distance(logsnr: NDArray, law: Any) -> float:
    """The largest distance between the distribution functions of logged levels and of a law."""
    table = atomic(law)
    if table is None:
        levels, counts = np.unique(logsnr, return_counts=True)
        reached = np.concatenate([[0.0], np.cumsum(counts) / len(logsnr)])
        below = law.cdf(levels)  # the log rises at a level, and is as far off just before it
        return float(max(abs(reached[1:] - below).max(), abs(reached[:-1] - below).max()))
    nearest = nearest_level(table.levels, logsnr)
    level = table.levels[nearest]
    cell = np.diff(cell_edges(table.levels))[nearest]
    logged = np.sort(np.where(abs(logsnr - level) <= SAME * cell, level, logsnr))
    points = np.union1d(logged, table.levels)
    of_log = np.searchsorted(logged, points, "right") / len(logged)
    reached = np.concatenate([[0.0], np.cumsum(table.mass)])
    of_law = reached[np.searchsorted(table.levels, points, "right")]
    return float(abs(of_log - of_law).max())


# --- losses -------------------------------------------------------------------------------------


def check_squares(loss: NDArray) -> None:
    """Refuse losses that are no squared errors, since one of them is below 0."""
    below = loss[np.isfinite(loss) & (loss < 0)]
    if len(below):
        raise ValueError(
            f"{len(below):,} of {markup.counted(len(loss), 'loss value')} are below 0, such as "
            f"{below[0]:g}, and no squared error is; name the column of the loss by loss="
        )


def errors_of(
    loss: NDArray, logsnr: NDArray, base: str | Objective, dim: int, known: Objective | None
) -> Errors:
    """Squared eps errors behind logged losses.

    Args:
        loss: Losses as they were logged, shape (n,).
        logsnr: λ in nats, shape (n,).
        base: The error that was logged, "eps", "x", "v" or "u", or the objective whose loss it is.
        dim: Number of components that it is the mean over; 1 for a sum.
        known: The objective of the run, or None.

    Returns:
        The errors, summed over components, with what the training multiplies them by.
    """
    logged = _factor(base, logsnr)
    trained = logged if known is None or known is base else _factor(known, logsnr)
    what = f"the squared {base} error"
    if isinstance(base, Objective):
        what = f"the loss of {base.name!r}, {_weight_of(base)}{base.target.name} error"
    each = "summed over components" if dim == 1 else f"a mean over {dim:,} components"
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        squared = loss * dim / logged
    return Errors(squared, trained, f"{what}, {each}")


def _factor(trainer: str | Objective, logsnr: NDArray) -> NDArray:
    """What a training multiplies the squared eps error by, shape (n,); 1 where λ is not finite."""
    factor = np.ones(len(logsnr))
    inside = np.isfinite(logsnr)
    if isinstance(trainer, Objective):
        factor[inside] = trainer.factor(logsnr[inside])
    else:
        factor[inside] = base_gain(trainer, logsnr[inside]) ** 2
    return factor


def _weight_of(known: Objective) -> str:
    """The multiplier of an objective in words, empty for 1."""
    return "" if known.multiplier is constant else "weight times the squared "


def error_of(meant: str | Objective) -> str:
    """The base of a logged loss: that of its target, "eps" where that is none of the four."""
    name = meant.target.name if isinstance(meant, Objective) else meant
    return name if name in BASES else "eps"


def base_of(base: Any, known: Objective | None) -> str | Objective:
    """What the logged loss is.

    Args:
        base: "eps", "x", "v" or "u", "weighted" for the loss of the run's own objective, an
            objective or its name, or None for "weighted" where the objective is known and "eps"
            where it is not.
        known: The objective of the run, or None.

    Returns:
        The name of a base, or an objective.

    Raises:
        TypeError: ``base`` is neither text nor an objective.
        ValueError: It is unknown, or "weighted" without an objective.
    """
    if isinstance(base, Objective):
        return base
    if base is None:
        return "eps" if known is None else known
    require(isinstance(base, str), f"base must be text or an objective, got {base!r}", TypeError)
    if base in BASES:
        return base
    if base == "weighted":
        if known is None:
            raise ValueError("base='weighted' is the loss of an objective: pass scheduler= too")
        return known
    if base in CATALOGUE:
        return objective(base)
    raise unknown("base", base, [*BASES, "weighted"])
