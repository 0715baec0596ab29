"""Which columns of a log hold the loss, the noise level, the step and the run.

A column that is not named is guessed from its name, and the record says so. Of "train/loss",
"run 7 - loss" and "metrics.loss" the last part counts; what belongs to a validation does not.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType

from diffviz import checks

# what a column may be called, the likeliest first
LOSSES = (
    "loss",
    "train_loss",
    "training_loss",
    "loss_per_sample",
    "per_sample_loss",
    "sample_loss",
    "losses",
    "mse",
    "mse_loss",
    "error",
)
LEVELS = MappingProxyType(
    {
        "logsnr": ("logsnr", "log_snr", "lambda", "λ"),
        "timestep": ("timestep", "timesteps", "t", "time", "times"),
        "sigma": ("sigma", "sigmas", "σ", "noise_level"),
    }
)
STEPS = ("step", "global_step", "train_step", "training_step", "iteration", "iter", "update")
RUNS = ("run", "run_id", "run_name", "runid", "experiment")
# settings that change what a loss means
SETTINGS = (
    "scheduler",
    "prediction_type",
    "loss_type",
    "loss_weighting",
    "weighting_scheme",
    "weighting",
    "timestep_sampling",
    "shift",
    "discrete_flow_shift",
    "snr_gamma",
    "min_snr_gamma",
    "logit_mean",
    "logit_std",
    "mode_scale",
    "sigma_data",
    "objective",
    "resolution",
)
HINTS = ("loss", "mse", "error", "time", "sigma", "snr", "noise", "step")  # likely parts of names
SHOWN = 12  # columns that a message names
WIDTH = 60  # characters of a cell in a message
EACH_STEP = "_step"  # what Lightning puts behind a name if it logs the mean of an epoch too
ELSEWHERE = ("val", "valid", "validation", "eval", "test")  # parts of names that are not meant
EXTREMES = ("__min", "__max")  # ends of the extra columns of an export of W&B


@dataclass(frozen=True)
class Columns:
    """The columns of a log that are read.

    Args:
        loss: Name of the column of losses.
        level: Name of the column of noise levels.
        kind: What the level is: "logsnr", "timestep" or "sigma".
        step: Name of the column of steps; None if there is none.
        run: Name of the column of runs; None if there is none.
        settings: Names of columns of settings that change what a loss means.
        guessed: Names of those that were not named by the caller.
    """

    loss: str
    level: str
    kind: str
    step: str | None
    run: str | None
    settings: tuple[str, ...]
    guessed: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns that are read."""
        optional = [name for name in (self.step, self.run) if name is not None]
        return tuple(dict.fromkeys([self.loss, self.level, *optional, *self.settings]))

    def text(self) -> str:
        """The columns in words."""
        parts = [f"loss {self.loss!r}", f"{self.kind} {self.level!r}"]
        parts += [f"step {self.step!r}"] if self.step is not None else ["no step"]
        parts += [f"run {self.run!r}"] if self.run is not None else []
        guessed = f" ({', '.join(map(repr, self.guessed))} by name)" if self.guessed else ""
        return ", ".join(parts) + guessed


def choose(
    names: tuple[str, ...],
    source: str,
    *,
    loss: str | None,
    levels: Mapping[str, str | None],
    step: str | None,
) -> Columns:
    """The columns to read.

    Args:
        names: Names of the columns of the log.
        source: What messages call the log.
        loss: Name that the caller gave, or None.
        levels: Kind of level to the name that the caller gave, or None.
        step: Name that the caller gave, or None.

    Returns:
        The columns.

    Raises:
        TypeError: A name is no text.
        ValueError: A named column is not there, two kinds of level are named, or none can be
            guessed.
    """
    named = {kind: name for kind, name in levels.items() if name is not None}
    checks.require(
        len(named) < 2,
        f"{' and '.join(named)} name one level twice; pass one of them",
    )
    for argument, name in {"loss": loss, **named, "step": step}.items():
        _check_named(argument, name, names, source)
    kind, level = next(iter(named.items())) if named else _guessed_level(names, source)
    chosen = loss if loss is not None else _guessed_loss(names, source)
    steps = step if step is not None else _guess(names, STEPS)
    _check_single((chosen, level, steps), names, source)
    settings = [name for name in names if _last_part(name) in SETTINGS]
    return Columns(
        loss=chosen,
        level=level,
        kind=kind,
        step=steps,
        run=_guess(names, RUNS),
        settings=tuple(settings),
        guessed=_guessed((chosen, loss), (level, named.get(kind)), (steps, step)),
    )


def _guessed(*pairs: tuple[str | None, str | None]) -> tuple[str, ...]:
    """The chosen names that were not given, of pairs (chosen, given)."""
    return tuple(chosen for chosen, given in pairs if chosen is not None and given is None)


def _check_named(argument: str, name: str | None, names: tuple[str, ...], source: str) -> None:
    """Refuse the name of a column that is not there."""
    if name is None or name in names:
        return
    checks.require(
        isinstance(name, str),
        f"{argument} names a column of the log, got {name!r}",
        TypeError,
    )
    lower = {one.lower(): one for one in names}
    near = [lower[one] for one in get_close_matches(name.lower(), lower, 3, 0.4)]
    hint = f"; did you mean {', '.join(map(repr, near))}?" if near else ""
    raise ValueError(
        f"{argument}={checks.brief(name)} is no column of {source}{hint} "
        f"(there are {_listed(names)})"
    )


def _check_single(chosen: tuple[str | None, ...], names: tuple[str, ...], source: str) -> None:
    """Refuse a name that two columns share, so that neither can be taken."""
    for name in chosen:
        checks.require(
            names.count(str(name)) < 2,
            f"{source} has two columns of the name {name!r}: rename one",
        )


def _listed(names: Sequence[str]) -> str:
    """Names of columns for a message, of many those that may be meant."""
    if len(names) <= SHOWN:
        return ", ".join(checks.cut(name, WIDTH) for name in names) or "none"
    likely = [name for name in names if any(word in name.lower() for word in HINTS)]
    first = list(dict.fromkeys([*likely, *names]))[:SHOWN]
    shown = ", ".join(checks.cut(name, WIDTH) for name in first)
    return f"{shown} and {len(names) - len(first):,} more"


def _guessed_level(names: tuple[str, ...], source: str) -> tuple[str, str]:
    """Kind and name of the column of levels."""
    for kind, known in LEVELS.items():
        name = _guess(names, known, kind)
        if name is not None:
            return kind, name
    raise ValueError(
        f"{source} has no noise level: its columns are {_listed(names)}. A mean over all levels "
        "can no longer be told apart by level. If a column holds it, name it by timestep=, sigma= "
        "or logsnr=; else log a row for each sample, such as "
        '{"step": step, "timestep": t, "loss": loss}, or add a callback of '
        "diffviz.learning.callbacks to the training"
    )


def _guessed_loss(names: tuple[str, ...], source: str) -> str:
    """Name of the column of losses."""
    name = _guess(names, LOSSES, "loss")
    if name is None:
        near = [one for one in names if "loss" in one.lower() or "mse" in one.lower()]
        hint = f", such as loss={near[0]!r}" if near else ""
        raise ValueError(
            f"{source} has no column of the loss that can be told by its name: its columns are "
            f"{_listed(names)}; name it by loss={hint}"
        )
    return name


def _guess(names: tuple[str, ...], known: tuple[str, ...], what: str = "") -> str | None:
    """The name that is most likely meant, by the likeliest known word; None where none fits.

    Where several columns are called the same, the one without a prefix counts, then that of the
    training. Beyond that they are refused under the name ``what`` if it is given.
    """
    ours = [name for name in names if not _is_elsewhere(name)]
    for word in (word + end for word in known for end in ("", EACH_STEP)):
        fits = [name for name in ours if _last_part(name) == word]
        if fits:
            return _likeliest(fits, what)
    return None


def _likeliest(fits: list[str], what: str) -> str:
    """The likeliest of several columns that are called the same."""
    plain = [name for name in fits if len(_parts(name)) == 1]
    trained = [name for name in fits if "train" in _parts(name)]
    best = plain or trained or fits
    if len(best) > 1 and what and not plain:
        raise ValueError(
            f"{_listed([repr(name) for name in best])} could each be the {what}; "
            f"name one by {what}="
        )
    return best[0]


def _parts(name: str) -> list[str]:
    """The parts of a name, lower case, without signs at their ends."""
    parts = re.split(r"/|\.|\s-\s|:", name.lower())
    return [re.sub(r"[\s-]+", "_", part.strip()).strip("_") for part in parts]


def _last_part(name: str) -> str:
    """The part of a name that says what the column holds; empty for an extreme of W&B."""
    return "" if name.lower().endswith(EXTREMES) else _parts(name)[-1]


def _is_elsewhere(name: str) -> bool:
    """Whether a column belongs to a validation."""
    words = {word for part in _parts(name) for word in part.split("_")}
    return bool(words & set(ELSEWHERE))
