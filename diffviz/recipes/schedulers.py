"""The schedulers of Hugging Face diffusers: which of them state a training, and on which steps.

A config names its class in ``_class_name``, which decides what the entries mean. ``CLASSES``
has the classes that state a training schedule: tables of β, flow matching and EDM. ``REFUSED`` has
the others with the reason. An entry that is missing has the value that the class gives it, as in
``from_config``; entries of other classes have no effect. Without a class the entries alone decide,
and the note says so.

diffusers is not imported. The facts are those of its version 0.42.1.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffviz.checks import attribute, count, positive, require, unknown
from diffviz.recipes import schemes
from diffviz.recipes.betas import (
    betas_by_name,
    checked_betas,
    choose,
    logsnr_of_betas,
    rescaled_to_zero_snr,
)
from diffviz.recipes.resolution import flag_of
from diffviz.recipes.schemes import PLAIN, MakeScheme, UniformSteps
from diffviz.theory import multipliers, paths
from diffviz.theory.frames import STRAIGHT, VE, VP, Frame
from diffviz.theory.targets import EPS, Target, U, V, X

Config = Mapping[str, Any]

PREDICTIONS = MappingProxyType(
    {
        "epsilon": EPS,
        "sample": X,
        "v_prediction": V,
    }
)
FLOW_PREDICTIONS = MappingProxyType(
    {
        "flow_prediction": U,
        "epsilon": EPS,
        "sample": X,
    }
)
LEAST_SIGNAL = 2.0**-24  # alpha² that some samplers give the step without signal


@dataclass(frozen=True, eq=False)
class Steps:
    """The T steps that a scheduler trains on.

    Args:
        logsnr: λ of each step in nats, in the order in which u counts them, shape (T,).
        target: What the loss compares.
        frame: Where the noised data live.
    """

    logsnr: NDArray
    target: Target
    frame: Frame


# what each kind of scheduler trains on
def number_of_steps(config: Config) -> int:
    """The entry ``num_train_timesteps``; an error that names it unless it is a whole number."""
    return count(config["num_train_timesteps"], "num_train_timesteps")


def betas_of(config: Config) -> NDArray:
    """The table of β of a config.

    Args:
        config: Config of a scheduler with betas.

    Returns:
        β of each step, shape (T,).

    Raises:
        ValueError: The schedule is unknown, a β does not lie strictly within (0, 1), or
            ``trained_betas`` are not as many as the steps.
    """
    trained = config.get("trained_betas")
    if trained is None:
        return checked_betas(betas_by_name(config, number_of_steps(config)))
    betas = checked_betas(trained)
    steps = number_of_steps(config)
    require(
        len(betas) == steps,
        f"trained_betas has {len(betas)} values, but num_train_timesteps is {steps}: "
        "a training draws from the one and looks up in the other; make them agree",
    )
    return betas


def beta_steps(config: Config) -> Steps:
    """Steps of a scheduler with betas, on the variance-preserving path."""
    if config.get("timestep_type") == "continuous":
        raise ValueError(
            "timestep_type 'continuous' makes the config that of a sampler (as for Stable Video "
            "Diffusion): its levels are the sampler's, and it states no law of training. "
            "State the training by dv.families.edm(mean, std)"
        )
    if flag_of(config, "use_flow_sigmas"):
        raise ValueError(
            "use_flow_sigmas replaces the betas, but this scheduler has none: "
            "give the FlowMatchEulerDiscreteScheduler of the training"
        )
    target = choose(PREDICTIONS, config.get("prediction_type", "epsilon"), "prediction_type")
    scale = positive(config.get("snr_shift_scale", 1.0), "snr_shift_scale")
    logsnr = logsnr_of_betas(betas_of(config)) - np.log(scale)
    if flag_of(config, "rescale_betas_zero_snr"):
        logsnr = rescaled_to_zero_snr(logsnr)
    return Steps(logsnr=logsnr, target=target, frame=VP)


def beta_steps_with_signal(config: Config) -> Steps:
    """Steps of the samplers that keep alpha² = 2^−24 where zero-SNR rescaling leaves none."""
    steps = beta_steps(config)
    least = np.log(LEAST_SIGNAL) - np.log1p(-LEAST_SIGNAL)
    logsnr = np.where(np.isneginf(steps.logsnr), least, steps.logsnr)
    return Steps(logsnr=logsnr, target=steps.target, frame=VP)


def flow_steps(config: Config) -> Steps:
    """Steps of flow matching, where u = 0 is noise."""
    prediction = config.get("prediction_type", "flow_prediction")
    target = choose(FLOW_PREDICTIONS, prediction, "prediction_type of flow matching")
    index = np.arange(number_of_steps(config))
    shift = positive(config["shift"], "shift")
    with np.errstate(divide="ignore"):
        logsnr = 2 * np.log(index / (len(index) - index) / shift)
    return Steps(logsnr=logsnr, target=target, frame=STRAIGHT)


def _edm_steps(config: Config, ramp: NDArray) -> Steps:
    """Steps along a ramp from the largest to the least sigma; the loss compares x."""
    low = config["sigma_min"]
    high = config["sigma_max"]
    schedules = {
        "karras": paths.karras(low, high, config["rho"]),
        "exponential": paths.ve(low, high),
    }
    schedule = choose(schedules, config["sigma_schedule"], "sigma_schedule")
    return Steps(logsnr=schedule.logsnr(1 - ramp), target=X, frame=VE)


def edm_steps(config: Config) -> Steps:
    """Steps of the examples' EDM-style training: T of T + 1 sigmas, without the least."""
    steps = number_of_steps(config)
    return _edm_steps(config, np.arange(steps) / steps)


def edm_steps_to_the_end(config: Config) -> Steps:
    """Steps of EDM's DPM-Solver: T sigmas, with the least."""
    return _edm_steps(config, np.linspace(0, 1, number_of_steps(config)))


@dataclass(frozen=True)
class Kind:
    """A kind of scheduler.

    Args:
        name: Its name in messages.
        key: Entry by which a config without a class is known.
        steps: Reads the steps off the config.
        schemes: Weighting schemes of the training scripts, by name.
        preconditions: Whether the scripts can make the loss compare x instead of the target.
    """

    name: str
    key: str
    steps: Callable[[Config], Steps]
    schemes: Mapping[str, MakeScheme]
    preconditions: bool = False


EDM = Kind(
    name="EDM",
    key="sigma_data",
    steps=edm_steps,
    schemes={
        "none": PLAIN,
        "edm": schemes.edm,
    },
)
BETA_TABLE = Kind(
    name="beta table",
    key="beta_schedule",
    steps=beta_steps,
    schemes={
        "none": PLAIN,
        "min_snr": schemes.min_snr,
        "soft_min_snr": schemes.soft_min_snr,
        "p2": schemes.p2,
        "debiased": schemes.debiased,
    },
)
FLOW = Kind(
    name="flow",
    key="shift",
    steps=flow_steps,
    schemes={
        "none": PLAIN,
        "logit_normal": schemes.logit_normal,
        "mode": schemes.mode,
        "cosmap": UniformSteps(multipliers.cosmap),
        "sigma_sqrt": UniformSteps(multipliers.sigma_sqrt),
    },
    preconditions=True,
)
KINDS = (EDM, BETA_TABLE, FLOW)


@dataclass(frozen=True)
class SchedulerClass:
    """A class of diffusers that states a training schedule.

    Args:
        kind: What it trains on.
        steps: Reads the steps off the config.
        defaults: The entries that bear on the training, as the class sets them where the config is
            silent.
        beta_schedules: The names that the class knows, of a table of β.
    """

    kind: Kind
    steps: Callable[[Config], Steps]
    defaults: Config = field(default_factory=dict)
    beta_schedules: tuple[str, ...] = ()


# the entries that bear on the training
DDPM_ENTRIES = {
    "num_train_timesteps": 1000,
    "beta_start": 0.0001,
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "trained_betas": None,
    "prediction_type": "epsilon",
}
ZERO_SNR = {"rescale_betas_zero_snr": False}
FLOW_SIGMAS = {"use_flow_sigmas": False, "flow_shift": 1.0}
DYNAMIC = {"use_dynamic_shifting": False, "time_shift_type": "exponential"}
LATENT_ENDS = {"beta_start": 0.00085, "beta_end": 0.012}
COGVIDEO = LATENT_ENDS | {"beta_schedule": "scaled_linear", "snr_shift_scale": 3.0}
FLOW_MATCH = {"num_train_timesteps": 1000, "shift": 1.0}
RESOLUTION = {
    "base_shift": 0.5,
    "max_shift": 1.15,
    "base_image_seq_len": 256,
    "max_image_seq_len": 4096,
}
EDM_ENTRIES = {
    "num_train_timesteps": 1000,
    "sigma_min": 0.002,
    "sigma_max": 80.0,
    "sigma_schedule": "karras",
    "rho": 7.0,
    "sigma_data": 0.5,
}
USUAL = ("linear", "scaled_linear", "squaredcos_cap_v2")


def _with_betas(
    *entries: Config,
    schedules: tuple[str, ...] = USUAL,
    steps: Callable[[Config], Steps] = beta_steps,
    without: tuple[str, ...] = (),
) -> SchedulerClass:
    """A class with a table of β: DDPM's entries, changed and added to."""
    defaults: dict[str, Any] = dict(DDPM_ENTRIES)
    for more in entries:
        defaults |= more
    for name in without:
        del defaults[name]
    return SchedulerClass(BETA_TABLE, steps, defaults, schedules)


def _unclip() -> SchedulerClass:
    """UnCLIP's class, which knows the cosine schedule only."""
    return _with_betas(
        {"beta_schedule": "squaredcos_cap_v2"},
        schedules=("squaredcos_cap_v2",),
        without=("beta_start", "beta_end", "trained_betas"),
    )


ALL_OF_DDPM = (*USUAL, "sigmoid", "laplace")
CLASSES: Mapping[str, SchedulerClass] = MappingProxyType(
    {
        "DDPMScheduler": _with_betas(ZERO_SNR, schedules=ALL_OF_DDPM),
        "DDPMParallelScheduler": _with_betas(ZERO_SNR, schedules=ALL_OF_DDPM),
        "DDIMScheduler": _with_betas(ZERO_SNR),
        "DDIMParallelScheduler": _with_betas(ZERO_SNR),
        "DDIMInverseScheduler": _with_betas(ZERO_SNR),
        "PNDMScheduler": _with_betas(),
        "LMSDiscreteScheduler": _with_betas(),
        "EulerDiscreteScheduler": _with_betas(
            ZERO_SNR, {"timestep_type": "discrete"}, steps=beta_steps_with_signal
        ),
        "EulerAncestralDiscreteScheduler": _with_betas(ZERO_SNR, steps=beta_steps_with_signal),
        "HeunDiscreteScheduler": _with_betas(LATENT_ENDS, schedules=(*USUAL, "exp")),
        "KDPM2DiscreteScheduler": _with_betas(LATENT_ENDS),
        "KDPM2AncestralDiscreteScheduler": _with_betas(LATENT_ENDS),
        "DPMSolverSDEScheduler": _with_betas(LATENT_ENDS),
        "DPMSolverSinglestepScheduler": _with_betas(FLOW_SIGMAS, DYNAMIC),
        "DPMSolverMultistepScheduler": _with_betas(
            FLOW_SIGMAS, DYNAMIC, ZERO_SNR, steps=beta_steps_with_signal
        ),
        "DPMSolverMultistepInverseScheduler": _with_betas(FLOW_SIGMAS),
        "DEISMultistepScheduler": _with_betas(FLOW_SIGMAS, DYNAMIC),
        "SASolverScheduler": _with_betas(FLOW_SIGMAS),
        "UniPCMultistepScheduler": _with_betas(
            FLOW_SIGMAS, DYNAMIC, ZERO_SNR, steps=beta_steps_with_signal
        ),
        "CogVideoXDDIMScheduler": _with_betas(COGVIDEO, ZERO_SNR),
        "CogVideoXDPMScheduler": _with_betas(COGVIDEO, ZERO_SNR),
        "RePaintScheduler": _with_betas(
            schedules=(*USUAL, "sigmoid"), without=("prediction_type",)
        ),
        "UnCLIPScheduler": _unclip(),
        "FlowMatchEulerDiscreteScheduler": SchedulerClass(
            FLOW, flow_steps, FLOW_MATCH | DYNAMIC | RESOLUTION
        ),
        "FlowMatchHeunDiscreteScheduler": SchedulerClass(FLOW, flow_steps, FLOW_MATCH),
        "EDMEulerScheduler": SchedulerClass(EDM, edm_steps, EDM_ENTRIES),
        "EDMDPMSolverMultistepScheduler": SchedulerClass(EDM, edm_steps_to_the_end, EDM_ENTRIES),
    }
)

# why the other classes state no training
CONSISTENCY = (
    "is for a distilled model, whose training compares the network with itself or with a teacher "
    "along a path; its config states no loss at a noise level. Give the scheduler of the teacher"
)
SAMPLER = (
    "only samples: its levels are those of the sampler, and its config states no training "
    "schedule. Give the scheduler of the training, or an objective of the catalogue"
)
DISCRETE = "is for discrete tokens, which have no log-SNR: there is no weighting to compute"
STAGES = (
    "trains in stages, each between two noise levels of its own at its own resolution; one table "
    "of steps cannot state that"
)
CONTINUOUS = "draws time continuously, so that it has no table of steps: take dv.objective({!r})"
REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "CMStochasticIterativeScheduler": CONSISTENCY,
        "ConsistencyDecoderScheduler": CONSISTENCY,
        "FlowMapEulerDiscreteScheduler": CONSISTENCY,
        "FlowMatchLCMScheduler": CONSISTENCY,
        "HeliosDMDScheduler": CONSISTENCY,
        "LCMScheduler": CONSISTENCY,
        "PiflowScheduler": CONSISTENCY,
        "SCMScheduler": CONSISTENCY,
        "TCDScheduler": CONSISTENCY,
        "CosineDPMSolverMultistepScheduler": (
            "only samples, between its own sigma_min and sigma_max. The trainings that use it draw "
            "v on the cosine path, which its config does not state: take dv.objective('v-cosine')"
        ),
        "IPNDMScheduler": SAMPLER,
        "KarrasVeScheduler": SAMPLER,
        "LTXEulerAncestralRFScheduler": SAMPLER,
        "MiniMaxH3Scheduler": SAMPLER,
        "RFD4ProteinaScheduler": SAMPLER,
        "ScoreSdeVeScheduler": (
            "states levels but no loss: its training weights the score by sigma². "
            "Take dv.objective('ncsnpp-ve')"
        ),
        "ScoreSdeVpScheduler": CONTINUOUS.format("score-sde-vp"),
        "DDPMWuerstchenScheduler": CONTINUOUS.format("iddpm-cosine-as-coded"),
        "HeliosScheduler": STAGES,
        "AmusedScheduler": DISCRETE,
        "BlockRefinementScheduler": DISCRETE,
        "DiscreteDDIMScheduler": DISCRETE,
        "EntropyBoundScheduler": DISCRETE,
        "VQDiffusionScheduler": DISCRETE,
    }
)

# entries that do not bear on the training of a class, though people may think so
FLAGS_OF_SAMPLING = (
    "invert_sigmas",
    "stochastic_sampling",
    "thresholding",
    "use_beta_sigmas",
    "use_exponential_sigmas",
    "use_karras_sigmas",
    "use_lu_lambdas",
)
VALUES_OF_SAMPLING = ("final_sigmas_type", "shift_terminal", "timestep_spacing")
# entries that a config should have; the class fills them in, and the note says so
WEIGHTY = (
    "num_train_timesteps",
    "beta_start",
    "beta_end",
    "beta_schedule",
    "prediction_type",
    "shift",
    "sigma_min",
    "sigma_max",
    "sigma_schedule",
    "rho",
)
USUAL_VALUES = (None, False, "zero", "leading", "linspace", "discrete", 0)


@dataclass(frozen=True)
class Reading:
    """What a scheduler's config says, with the entries that bear on its training.

    Args:
        label: The class of the scheduler, or "config".
        kind: What it trains on.
        steps: Reads the steps off ``config``.
        config: The entries that bear on the training.
        remarks: Sentences for the note.
    """

    label: str
    kind: Kind
    steps: Callable[[Config], Steps]
    config: Config
    remarks: tuple[str, ...] = ()


def config_of(scheduler: object) -> Config:
    """The config of a scheduler, or the config itself; a TypeError for anything else."""
    config = scheduler if isinstance(scheduler, Mapping) else attribute(scheduler, "config")
    if not isinstance(config, Mapping):
        raise TypeError(
            f"need a diffusers scheduler or its config, got {scheduler!r}; of a file or its text "
            "pass what json.load returns, of a class an instance"
        )
    return config


def class_of(scheduler: object, config: Config) -> str | None:
    """The name of the class that decides what a config means.

    Args:
        scheduler: The scheduler or its config.
        config: Its config.

    Returns:
        For a scheduler the nearest class of diffusers that it is or derives from; else what the
        config says, or None. The classes for Flax state what those for torch state.
    """
    if not isinstance(scheduler, Mapping):
        for ancestor in type(scheduler).__mro__:
            if ancestor.__name__ in CLASSES or ancestor.__name__ in REFUSED:
                return ancestor.__name__
    name = config.get("_class_name")
    return name.removeprefix("Flax") if isinstance(name, str) else name


def read(scheduler: object) -> Reading:
    """Decide what a scheduler or its config says, by its class if it has one.

    Args:
        scheduler: A scheduler or its config.

    Returns:
        What it says.

    Raises:
        TypeError: It is no scheduler and no config.
        ValueError: The class is unknown or states no training schedule, or entries of a config
            without a class contradict each other.
    """
    config = config_of(scheduler)
    name = class_of(scheduler, config)
    if name is None:
        label = "config" if isinstance(scheduler, Mapping) else type(scheduler).__name__
        return _read_by_keys(config, label)
    if not isinstance(name, str):
        raise TypeError(f"_class_name must be text, got {name!r}")
    if name in REFUSED:
        raise ValueError(f"{name} {REFUSED[name]}")
    if name not in CLASSES:
        error = unknown("scheduler", name, CLASSES, "diffviz.recipes.schedulers.CLASSES")
        raise ValueError(f"{error}; for a class of your own leave _class_name out of the config")
    return _read_by_class(config, name)


def _read_by_class(config: Config, name: str) -> Reading:
    """What a config says whose class is known."""
    row = CLASSES[name]
    entries = {key: config.get(key, default) for key, default in row.defaults.items()}
    if row.beta_schedules and entries.get("trained_betas") is None:
        known = dict.fromkeys(row.beta_schedules)
        choose(known, entries["beta_schedule"], f"{name}: beta_schedule")
    remarks = [*_defaults_used(config, row), *_without_effect(config, row), *_variance(config)]
    if flag_of(config, "use_flow_sigmas"):
        require(
            "use_flow_sigmas" in entries or row.kind != BETA_TABLE,
            f"{name} does not know use_flow_sigmas and would train on its betas: give the "
            "FlowMatchEulerDiscreteScheduler of the training, or leave the entry out",
        )
        if "use_flow_sigmas" in entries:
            remarks.append("flow_shift is the sampler's; a training script may set another shift.")
            return Reading(name, FLOW, flow_steps, _as_flow(entries), tuple(remarks))
    return Reading(name, row.kind, row.steps, entries, tuple(remarks))


def _as_flow(config: Config) -> Config:
    """The entries of a solver with ``use_flow_sigmas`` under the names of flow matching."""
    names = ("num_train_timesteps", "prediction_type", *DYNAMIC)
    flow = {name: config[name] for name in names if name in config}
    shift = config.get("flow_shift", config.get("shift"))
    require(
        shift is not None,
        "use_flow_sigmas replaces the betas, but the config lacks flow_shift: "
        "give the FlowMatchEulerDiscreteScheduler of the training",
    )
    return flow | {"shift": shift}


def _read_by_keys(config: Config, label: str) -> Reading:
    """What a config says that names no class."""
    if flag_of(config, "use_flow_sigmas"):
        kind = FLOW
        entries = _as_flow(config)
    else:
        kind = _kind_by_keys(config, label)
        entries = config
    remark = f"No _class_name: read by its entries, as a scheduler of the kind {kind.name!r}."
    return Reading(label, kind, kind.steps, entries, (remark, *_variance(config)))


def _kind_by_keys(config: Config, label: str) -> Kind:
    """The one kind whose key a config has; a ValueError if it has none or several."""
    kinds = [kind for kind in KINDS if config.get(kind.key) is not None]
    keys = ", ".join(kind.key for kind in kinds or KINDS)
    require(
        kinds,
        f"{label} has none of {keys}: give a scheduler with betas, flow matching or EDM",
    )
    require(
        len(kinds) == 1,
        f"{label} has {keys}, which belong to different schedulers, and no _class_name that "
        "decides: add it, or leave out what does not belong",
    )
    return kinds[0]


def _defaults_used(config: Config, row: SchedulerClass) -> list[str]:
    """Which entries of weight a config leaves to its class."""
    given = config.get("trained_betas") is not None
    missing = [
        f"{name} {row.defaults[name]}"
        for name in WEIGHTY
        if name in row.defaults and name not in config and not (given and "beta" in name)
    ]
    return [f"As the class sets it: {', '.join(missing)}."] if missing else []


def _without_effect(config: Config, row: SchedulerClass) -> list[str]:
    """Which entries bear on sampling only, or on the training of other classes."""
    of_others = {name for other in CLASSES.values() for name in other.defaults} - {*row.defaults}
    idle = [name for name in FLAGS_OF_SAMPLING if config.get(name)]
    for name in (*VALUES_OF_SAMPLING, *sorted(of_others)):
        value = config.get(name)
        scalar = value is None or isinstance(value, (str, int, float))
        if not (scalar and value in USUAL_VALUES):
            idle.append(name)
    return [f"Without effect on the training: {', '.join(idle)}."] if idle else []


def _variance(config: Config) -> list[str]:
    """What to note about a network that also learns the variance."""
    if config.get("variance_type") not in ("learned", "learned_range"):
        return []
    return [f"The loss of the variance ({config['variance_type']}) is not counted."]
