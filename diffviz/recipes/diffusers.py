"""Objectives of Hugging Face diffusers: what a scheduler and a training weighting amount to.

Everything is read off the scheduler's config in float64, and diffusers is not imported. A
scheduler trains on T steps, so the law of λ has T atoms. An example script draws u in [0, 1] and
takes the step int(u T). ``schedulers`` decides by the class what a config says, ``betas`` has the
tables of β, ``resolution`` the shift of flow matching, and ``schemes`` the laws of u.

There are two traps. Flow matching takes sigma from a *falling* table, so ``logit_mean`` has the
opposite sign to SD3's m. A step without signal (the last one after zero-SNR rescaling, or
sigma = 1) has λ = −inf: it is left out, and the objective's note says so.
"""

import inspect
from typing import Any

import numpy as np

from diffviz.checks import one_of, require
from diffviz.recipes.betas import BETA_SCHEDULES
from diffviz.recipes.resolution import shift_of
from diffviz.recipes.schedulers import FLOW, KINDS, Kind, Reading, Steps, read
from diffviz.recipes.schemes import MakeScheme, UniformSteps
from diffviz.theory import laws, paths
from diffviz.theory.frames import STRAIGHT, Curve
from diffviz.theory.objectives import Objective
from diffviz.theory.paths import Path
from diffviz.theory.targets import X

__all__ = ["BETA_SCHEDULES", "KINDS", "Steps", "from_diffusers", "law_of", "path_of"]

LEAST_NOTED = 1e-6  # probability of a level that is left out, from which on it is noted


def scheme_of(kind: Kind, weighting: str | Curve | None, label: str) -> MakeScheme:
    """The scheme that ``weighting`` names, still to be given its target and options."""
    if callable(weighting):
        return UniformSteps(weighting)
    name = "none" if weighting is None else weighting
    if not isinstance(name, str) or name not in kind.schemes:
        raise ValueError(
            f"weighting {weighting!r} does not apply to {label} ({kind.name}): "
            f"take {', '.join(kind.schemes)}, or a callable c(logsnr)"
        )
    return kind.schemes[name]


def refuse_without_effect(names: set[str], weighting: object, label: str) -> None:
    """Raise a ValueError if there are options that nothing reads."""
    if names:
        raise ValueError(
            f"{', '.join(sorted(names))} has no effect with weighting {weighting!r} on {label}: "
            "leave it out"
        )


def steps_of(reading: Reading, tokens: int | None, mu: float | None) -> tuple[Steps, str]:
    """The steps of a config, and what to note about their shift.

    Args:
        reading: What the config says.
        tokens: Number of tokens, for a shift by resolution.
        mu: μ of such a shift.

    Returns:
        The steps, and a sentence or nothing.

    Raises:
        ValueError: The config lacks an entry, or one has a wrong value.
    """
    config = reading.config
    remark = ""
    try:
        if reading.kind == FLOW:
            shift = shift_of(config, tokens, mu)
            config = {**config, "shift": shift.value}
            remark = shift.remark
        return reading.steps(config), remark
    except KeyError as error:
        raise ValueError(
            f"the config lacks {error}; pass the scheduler, or its whole config"
        ) from error


def law_of(steps: Steps, time: Any) -> tuple[Any, float]:
    """Law of λ when u has the law ``time``.

    Args:
        steps: The steps of the scheduler.
        time: Law of u, a frozen SciPy distribution on [0, 1].

    Returns:
        Law of λ over the steps with signal, and the probability of the steps without.
    """
    edges = np.arange(len(steps.logsnr) + 1) / len(steps.logsnr)
    mass = laws.probabilities(time, edges)
    held = np.isfinite(steps.logsnr)
    require(
        held.sum() > 1,
        f"of num_train_timesteps={len(held)} steps {held.sum()} hold signal, but a law of log-SNR "
        "needs two or more: take the config of the training",
    )
    law = laws.atoms(steps.logsnr[held], mass[held], table=steps.logsnr)
    return law, float(mass[~held].sum())


def path_of(steps: Steps, law: Any, name: str) -> Path:
    """The path of the steps."""
    if steps.frame == STRAIGHT:  # the velocity is that of the linear path, not of its steps
        return paths.LINEAR
    return paths.from_density(law, steps.frame, name)


def without_signal(steps: Steps, probability: float) -> str:
    """What to note about steps that hold no signal; nothing where all hold some.

    A step that is hardly ever drawn, as at the end of a logit-normal law, is not noted either.
    """
    if np.isfinite(steps.logsnr).all() or probability <= LEAST_NOTED:
        return ""
    return f"One step without signal (probability {probability:.2g}) is left out."


def from_diffusers(
    scheduler: object,
    weighting: str | Curve | None = None,
    *,
    precondition_outputs: bool = False,
    tokens: int | None = None,
    mu: float | None = None,
    **options: float,
) -> Objective:
    """The objective that training with a diffusers scheduler optimises.

    Args:
        scheduler: A scheduler or its config: with betas (DDPM, DDIM, Euler ...),
            FlowMatchEulerDiscrete, or EDM. Its class decides what the entries mean.
        weighting: None, a callable c(λ) on the target's own error, or the name of a scheme.
            With betas: "min_snr" (gamma) and, on the eps error, "soft_min_snr" (gamma), "p2"
            (gamma, k), "debiased" (cap). Flow matching: "logit_normal" (logit_mean, logit_std),
            "mode" (mode_scale), "cosmap", "sigma_sqrt". EDM: "edm" (sigma_data).
        precondition_outputs: Whether the loss compares x, not the velocity: flow matching only,
            and the default of train_dreambooth_sd3.py.
        tokens: Number of tokens of the data, for a config whose shift depends on the resolution
            (``use_dynamic_shifting``): the shift is the one on the line of the config.
        mu: The same shift by its μ, instead of ``tokens``.
        **options: Options of the scheme, those in brackets above.

    Returns:
        The objective. Its law has the scheduler's steps as atoms. Its note says what was assumed,
        and which entries have no effect on the training.

    Raises:
        TypeError: ``scheduler`` is no scheduler and no config.
        ValueError: The scheduler is unknown or states no training schedule, entries contradict
            each other, or a weighting or option does not apply.

    Example:
        >>> config = {"_class_name": "FlowMatchEulerDiscreteScheduler"}
        >>> config |= {"num_train_timesteps": 1000, "shift": 3.0}
        >>> dv.from_diffusers(config, "logit_normal").law.ppf([0.25, 0.75]).round(2)
        array([-3.55, -0.85])
    """
    reading = read(scheduler)
    label = reading.label
    make_scheme = scheme_of(reading.kind, weighting, label)

    known = set(inspect.signature(make_scheme).parameters) - {"target"}
    without_effect = set(options) - known
    precondition_outputs = one_of(precondition_outputs, "precondition_outputs", (False, True))
    if precondition_outputs and not reading.kind.preconditions:
        without_effect.add("precondition_outputs")
    if reading.kind != FLOW:
        given = {"tokens": tokens, "mu": mu}
        without_effect |= {name for name, value in given.items() if value is not None}
    refuse_without_effect(without_effect, weighting, label)

    steps, shifted = steps_of(reading, tokens, mu)
    target = X if precondition_outputs else steps.target
    stated = {name: reading.config[name] for name in known if name in reading.config}
    scheme = make_scheme(target, **{**stated, **options})
    law, lost = law_of(steps, scheme.time)
    title = f"{label}, {len(steps.logsnr)} steps"
    name = label if weighting is None else f"{label} {getattr(weighting, '__name__', weighting)}"
    remarks = (without_signal(steps, lost), shifted, *reading.remarks)
    return Objective(
        name=name,
        family="diffusers",
        year=0,
        source=f"huggingface/diffusers {title}",
        path=path_of(steps, law, title),
        target=target,
        multiplier=scheme.multiplier,
        law=law,
        note=" ".join(remark for remark in remarks if remark),
    )
