"""Objectives of Hugging Face diffusers: what a scheduler, its prediction type and a training weighting amount to.

Read off the config in float64; diffusers is not imported. A scheduler trains on T discrete levels, the atoms of ``paths.atoms``. Flow
matching draws u and takes sigma = table[int(u T)] from a *falling* table, so ``logit_mean`` has the opposite sign to SD3's m. A level
that holds no signal (the last one after zero-SNR rescaling, sigma = 1) has logsnr −inf: it is left out, and the note says so.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import stats
from scipy.special import expit

from diffviz import densities, paths, weightings
from diffviz.checks import finite, positive
from diffviz.frames import STRAIGHT, VE, VP
from diffviz.objectives import Objective
from diffviz.targets import EPS, U, V, X

PREDICTIONS = {"epsilon": EPS, "sample": X, "v_prediction": V}
UNIFORM, CONSTANT = stats.uniform(), weightings.constant
# fmt: off
ALPHA_BARS = {  # diffusers.schedulers.scheduling_ddpm.betas_for_alpha_bar
    "squaredcos_cap_v2": lambda t: np.cos((t + 0.008) / 1.008 * np.pi / 2) ** 2,
    "laplace": lambda t: np.sqrt(expit(-0.5 * np.copysign(1, 0.5 - t) * np.log(1 - 2 * np.abs(0.5 - t) + 1e-6))),
}
BETAS: dict[str, Any] = {
    "linear": np.linspace,
    "scaled_linear": lambda low, high, steps: np.linspace(low**0.5, high**0.5, steps) ** 2,
    "sigmoid": lambda low, high, steps: expit(np.linspace(-6, 6, steps)) * (high - low) + low,
} | {name: lambda low, high, steps, bar=bar: np.minimum(1 - np.divide(*(bar(np.arange(i, steps + i) / steps) for i in (1, 0))), 0.999)
     for name, bar in ALPHA_BARS.items()}
# by kind of scheduler, with the training examples' names: (target, options) -> law of u, multiplier on the target's own error
WEIGHTINGS: dict[str, dict[str, Any]] = {
    "beta table": {
        "min_snr": lambda target, gamma=5.0: (UNIFORM, weightings.min_snr(gamma, target.name)),
        "soft_min_snr": lambda target, gamma=4.0: _on_eps(weightings.soft_min_snr(gamma), target),
        "p2": lambda target, gamma=1.0, k=1.0: _on_eps(weightings.p2(gamma, k), target),
        "debiased": lambda target, cap=1000.0: _on_eps(weightings.debiased(cap), target),
    },
    "flow": {
        "logit_normal": lambda target, logit_mean=0.0, logit_std=1.0: (densities.logit_normal(logit_mean, logit_std), CONSTANT),
        "mode": lambda target, mode_scale=1.29: (densities.mode(mode_scale), CONSTANT),
        "cosmap": lambda target: (UNIFORM, weightings.cosmap),
        "sigma_sqrt": lambda target: (UNIFORM, weightings.sigma_sqrt),
    },
    "EDM": {"edm": lambda target, sigma_data=0.5: (UNIFORM, weightings.edm(sigma_data))},
}
# fmt: on


def _on_eps(multiplier, target):
    return UNIFORM, _pick(
        {"eps": multiplier}, target.name, "this weighting is for the eps error, a target"
    )


def _pick(table: Mapping, name: object, what: str):
    if name not in table:
        raise ValueError(f"{what} {name!r} does not apply: take {', '.join(table)}")
    return table[name]


def _beta_table(config: Mapping):
    """Levels of a table of β's, target and frame; the zero-SNR rescaling is Lin et al. 2023, arXiv 2305.08891, algorithm 1."""
    if config.get("use_flow_sigmas"):
        raise ValueError(
            "use_flow_sigmas replaces the betas: give the FlowMatchEulerDiscreteScheduler of the training"
        )
    target = _pick(PREDICTIONS, config.get("prediction_type", "epsilon"), "prediction_type")
    make, betas = (
        _pick(BETAS, config["beta_schedule"], "beta_schedule"),
        config.get("trained_betas"),
    )
    betas = (
        make(config["beta_start"], config["beta_end"], config["num_train_timesteps"])
        if betas is None
        else betas
    )
    betas = finite(betas, "betas")
    if betas.ndim != 1 or len(betas) < 2 or not ((betas > 0) & (betas < 1)).all():
        raise ValueError(f"betas are two or more numbers strictly within (0, 1), got {betas}")
    depth, scale = (
        -np.cumsum(np.log1p(-betas)),
        positive(config.get("snr_shift_scale", 1.0), "snr_shift_scale"),
    )
    logsnr = -depth - np.log(-np.expm1(-depth)) - np.log(scale)
    if config.get("rescale_betas_zero_snr"):
        root = VP.alpha(logsnr)
        root = (root - root[-1]) * root[0] / (root[0] - root[-1])
        with np.errstate(divide="ignore"):
            logsnr = 2 * np.log(root) - np.log1p(-(root**2))
    return logsnr, target, VP


def _flow(config: Mapping):
    """Levels as int(u T) counts them; with dynamic shifting the examples train on the plain table."""
    index = np.arange(config["num_train_timesteps"])
    shift = 1.0 if config.get("use_dynamic_shifting") else positive(config["shift"], "shift")
    with np.errstate(divide="ignore"):
        return 2 * np.log(index / (len(index) - index) / shift), U, STRAIGHT


def _edm(config: Mapping):
    """Levels as the examples' EDM-style training indexes them, T of T + 1 sigmas; the loss compares x."""
    u, high, low = (
        np.arange(config["num_train_timesteps"]),
        config["sigma_max"],
        config["sigma_min"],
    )
    span = {"karras": paths.karras(low, high, config["rho"]), "exponential": paths.ve(low, high)}
    return _pick(span, config["sigma_schedule"], "sigma_schedule").logsnr(1 - u / len(u)), X, VE


KINDS = {
    "sigma_data": ("EDM", _edm),
    "beta_schedule": ("beta table", _beta_table),
    "shift": ("flow", _flow),
}


def from_diffusers(
    scheduler, weighting: str | Callable | None = None, *, precondition_outputs=False, **options
) -> Objective:
    """The objective that training with a diffusers scheduler optimises.

    Args:
        scheduler: a scheduler or its config: with β's (DDPM, DDIM, Euler ...), FlowMatchEulerDiscrete, or EDM.
        weighting: None, a callable c(λ) on the target's own error, or a name with its options. β's: ``min_snr`` (gamma) and, on the
            eps error, ``soft_min_snr`` (gamma), ``p2`` (gamma, k), ``debiased`` (cap). Flow matching: ``logit_normal`` (logit_mean,
            logit_std), ``mode`` (mode_scale), ``cosmap``, ``sigma_sqrt``. EDM: ``edm`` (sigma_data).
        precondition_outputs: flow matching only: the loss compares x, not the velocity (the default of train_dreambooth_sd3.py).
    Raises TypeError if it is no scheduler, ValueError for a kind, weighting or option that does not apply there.
    """
    config = scheduler if isinstance(scheduler, Mapping) else getattr(scheduler, "config", None)
    if not isinstance(config, Mapping):
        raise TypeError(f"need a diffusers scheduler or its config, got {scheduler!r}")
    label = config.get("_class_name") or type(scheduler).__name__
    kind, read = next((KINDS[key] for key in KINDS if key in config), (None, None))
    if kind is None or read is None:
        raise ValueError(
            f"{label} has none of {', '.join(KINDS)}: give a scheduler with betas, flow matching or EDM"
        )
    wanted = f"for {label} ({kind}), a callable c(logsnr) aside, the weighting"
    plain: Any = lambda target: (UNIFORM, weighting if callable(weighting) else CONSTANT)
    make = (
        plain
        if callable(weighting)
        else _pick({"none": plain} | WEIGHTINGS[kind], weighting or "none", wanted)
    )
    idle = {*options, *["precondition_outputs"] * (precondition_outputs and kind != "flow")}
    if idle := idle - {*inspect.signature(make).parameters}:
        raise ValueError(
            f"{', '.join(sorted(idle))} has no effect with weighting {weighting!r} on {label}: leave it out"
        )
    try:
        levels, target, frame = read(config)
    except KeyError as error:
        raise ValueError(
            f"the config lacks {error}; pass the scheduler, or its whole config"
        ) from error
    target = X if precondition_outputs else target
    law, multiplier = make(target, **options)
    mass, held = np.diff(law.cdf(np.arange(len(levels) + 1) / len(levels))), np.isfinite(levels)
    density = paths.atoms(levels[held], mass[held])
    path = (
        paths.LINEAR
        if kind == "flow"
        else paths.from_density(density, frame, f"{label}, {len(levels)} steps")
    )
    lost = (
        "" if held.all() else f"; one without signal (probability {mass[~held].sum():.2g}) left out"
    )
    about = label if weighting is None else f"{label} {getattr(weighting, '__name__', weighting)}"
    source = f"huggingface/diffusers {label}, {len(levels)} steps"
    return Objective(
        about, "diffusers", 0, source, path, target, multiplier, density, note=source + lost
    )
