"""Objectives of Hugging Face diffusers: what a scheduler and a training weighting amount to.

Everything is read off the scheduler's config in float64, and diffusers is not imported. A
scheduler trains on T steps, so the law of λ has T atoms. An example script draws u in [0, 1] and
takes the step int(u T).

There are two traps. Flow matching takes sigma from a *falling* table, so ``logit_mean`` has the
opposite sign to SD3's m. A step without signal (the last one after zero-SNR rescaling, or
sigma = 1) has λ = −inf: it is left out, and the objective's note says so.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import expit

from diffviz.checks import count, finite, number, one_of, positive
from diffviz.theory import laws, multipliers, paths
from diffviz.theory.frames import STRAIGHT, VE, VP, Curve, Frame
from diffviz.theory.objectives import Objective
from diffviz.theory.paths import Path
from diffviz.theory.targets import EPS, Target, U, V, X

Config = Mapping[str, Any]

UNIFORM = stats.uniform()
PREDICTIONS = MappingProxyType(
    {
        "epsilon": EPS,
        "sample": X,
        "v_prediction": V,
    }
)


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class Scheme:
    """How a training script weights the steps (``weighting_scheme`` in the examples of diffusers).

    Args:
        time: Law of u in [0, 1], a frozen SciPy distribution.
        multiplier: Factor on the target's own squared error, as a function of λ.
    """

    time: Any
    multiplier: Curve


@dataclass(frozen=True)
class UniformSteps:
    """The scheme that takes all steps equally often, with a multiplier."""

    multiplier: Curve

    def __call__(self, target: Target) -> Scheme:
        """The scheme, which is the same for every target."""
        return Scheme(time=UNIFORM, multiplier=self.multiplier)


# weighting schemes: functions of the target and of the options of the training scripts
def on_eps(multiplier: Curve, target: Target) -> Scheme:
    """A scheme whose multiplier is defined on the eps error; refused for another target."""
    if target is not EPS:
        raise ValueError(
            f"this weighting acts on the eps error, but the scheduler predicts {target.name!r}: "
            "take prediction_type='epsilon' or another weighting"
        )
    return Scheme(time=UNIFORM, multiplier=multiplier)


def min_snr(target: Target, gamma: float = 5.0) -> Scheme:
    """Min-SNR (Hang et al. 2023, arXiv 2303.09556)."""
    return Scheme(time=UNIFORM, multiplier=multipliers.min_snr(gamma, target.name))


def soft_min_snr(target: Target, gamma: float = 4.0) -> Scheme:
    """Soft Min-SNR (Crowson et al. 2024, arXiv 2401.11605)."""
    return on_eps(multipliers.soft_min_snr(gamma), target)


def p2(target: Target, gamma: float = 1.0, k: float = 1.0) -> Scheme:
    """P2 (Choi et al. 2022, arXiv 2204.00227, eq. 8)."""
    return on_eps(multipliers.p2(gamma, k), target)


def debiased(target: Target, cap: float = 1000.0) -> Scheme:
    """Debiased estimation (Yu et al. 2023, arXiv 2310.08442; kohya-ss/sd-scripts)."""
    return on_eps(multipliers.debiased(cap), target)


def logit_normal(target: Target, logit_mean: float = 0.0, logit_std: float = 1.0) -> Scheme:
    """Logit-normal u (Esser et al. 2024, arXiv 2403.03206, eq. 19)."""
    time = laws.logit_normal(logit_mean, logit_std)
    return Scheme(time=time, multiplier=multipliers.constant)


def mode(target: Target, mode_scale: float = 1.29) -> Scheme:
    """Mode-sampled u (Esser et al. 2024, arXiv 2403.03206, eq. 20)."""
    return Scheme(time=laws.mode(mode_scale), multiplier=multipliers.constant)


def edm(target: Target, sigma_data: float = 0.5) -> Scheme:
    """EDM's weight (Karras et al. 2022, arXiv 2206.00364, table 1)."""
    return Scheme(time=UNIFORM, multiplier=multipliers.edm(sigma_data))


# tables of β: functions of the first β, the last β and the number of steps
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


BETA_SCHEDULES: Mapping[str, Callable[[float, float, int], NDArray]] = MappingProxyType(
    {
        "linear": linear_betas,
        "scaled_linear": scaled_linear_betas,
        "sigmoid": sigmoid_betas,
        "squaredcos_cap_v2": squared_cosine_betas,
        "laplace": laplace_betas,
    }
)


def choose(table: Mapping[str, Any], name: Any, what: str) -> Any:
    """The entry of a table, or a ValueError that lists what the table holds."""
    if not isinstance(name, str) or name not in table:
        raise ValueError(f"{what} {name!r} does not apply: take {', '.join(table)}")
    return table[name]


# what each kind of scheduler trains on
def number_of_steps(config: Config) -> int:
    """The entry ``num_train_timesteps``; an error that names it unless it is a whole number."""
    return count(config["num_train_timesteps"], "num_train_timesteps")


def flag_of(config: Config, name: str) -> bool:
    """An entry that is true or false, and false if it is missing or None; text is refused."""
    value = config.get(name)
    return False if value is None else one_of(value, name, (False, True))


def betas_of(config: Config) -> NDArray:
    """The table of β of a config.

    Args:
        config: Config of a scheduler with betas.

    Returns:
        β of each step, shape (T,).

    Raises:
        ValueError: The schedule is unknown, or a β does not lie strictly within (0, 1).
    """
    make = choose(BETA_SCHEDULES, config["beta_schedule"], "beta_schedule")
    betas = config.get("trained_betas")
    if betas is None:
        betas = make(
            number(config["beta_start"], "beta_start", 0.0, 1.0),
            number(config["beta_end"], "beta_end", 0.0, 1.0),
            number_of_steps(config),
        )
    betas = finite(betas, "betas")
    if betas.ndim != 1 or len(betas) < 2 or not ((betas > 0) & (betas < 1)).all():
        raise ValueError(f"betas are two or more numbers strictly within (0, 1), got {betas}")
    return betas


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


def beta_steps(config: Config) -> Steps:
    """Steps of a scheduler with betas, on the variance-preserving path."""
    if flag_of(config, "use_flow_sigmas"):
        raise ValueError(
            "use_flow_sigmas replaces the betas: "
            "give the FlowMatchEulerDiscreteScheduler of the training"
        )
    target = choose(PREDICTIONS, config.get("prediction_type", "epsilon"), "prediction_type")
    depth = -np.cumsum(np.log1p(-betas_of(config)))
    scale = positive(config.get("snr_shift_scale", 1.0), "snr_shift_scale")
    logsnr = -depth - np.log(-np.expm1(-depth)) - np.log(scale)
    if flag_of(config, "rescale_betas_zero_snr"):
        logsnr = rescaled_to_zero_snr(logsnr)
    return Steps(logsnr=logsnr, target=target, frame=VP)


def flow_steps(config: Config) -> Steps:
    """Steps of flow matching, where u = 0 is noise."""
    index = np.arange(number_of_steps(config))
    # under dynamic shifting the examples train on the plain table
    plain = flag_of(config, "use_dynamic_shifting")
    shift = 1.0 if plain else positive(config["shift"], "shift")
    with np.errstate(divide="ignore"):
        logsnr = 2 * np.log(index / (len(index) - index) / shift)
    return Steps(logsnr=logsnr, target=U, frame=STRAIGHT)


def edm_steps(config: Config) -> Steps:
    """Steps of the examples' EDM-style training: T of T + 1 sigmas, and the loss compares x."""
    u = np.arange(number_of_steps(config))
    low = config["sigma_min"]
    high = config["sigma_max"]
    schedules = {
        "karras": paths.karras(low, high, config["rho"]),
        "exponential": paths.ve(low, high),
    }
    schedule = choose(schedules, config["sigma_schedule"], "sigma_schedule")
    return Steps(logsnr=schedule.logsnr(1 - u / len(u)), target=X, frame=VE)


@dataclass(frozen=True)
class Kind:
    """A kind of scheduler.

    Args:
        name: Its name in messages.
        key: Entry that only the configs of this kind have.
        steps: Reads the steps off the config.
        schemes: Weighting schemes of the training scripts, by name.
        preconditions: Whether the scripts can make the loss compare x instead of the target.
    """

    name: str
    key: str
    steps: Callable[[Config], Steps]
    schemes: Mapping[str, Callable[..., Scheme]]
    preconditions: bool = False


PLAIN = UniformSteps(multipliers.constant)
KINDS = (
    Kind(
        name="EDM",
        key="sigma_data",
        steps=edm_steps,
        schemes={
            "none": PLAIN,
            "edm": edm,
        },
    ),
    Kind(
        name="beta table",
        key="beta_schedule",
        steps=beta_steps,
        schemes={
            "none": PLAIN,
            "min_snr": min_snr,
            "soft_min_snr": soft_min_snr,
            "p2": p2,
            "debiased": debiased,
        },
    ),
    Kind(
        name="flow",
        key="shift",
        steps=flow_steps,
        schemes={
            "none": PLAIN,
            "logit_normal": logit_normal,
            "mode": mode,
            "cosmap": UniformSteps(multipliers.cosmap),
            "sigma_sqrt": UniformSteps(multipliers.sigma_sqrt),
        },
        preconditions=True,
    ),
)


# from a scheduler to an objective
def config_of(scheduler: object) -> Config:
    """The config of a scheduler, or the config itself; a TypeError for anything else."""
    config = scheduler if isinstance(scheduler, Mapping) else getattr(scheduler, "config", None)
    if not isinstance(config, Mapping):
        raise TypeError(f"need a diffusers scheduler or its config, got {scheduler!r}")
    return config


def _label_of(scheduler: object) -> str:
    """What to call a scheduler whose config does not name its class."""
    return "config" if isinstance(scheduler, Mapping) else type(scheduler).__name__


def kind_of(config: Config, label: str) -> Kind:
    """The first kind whose key the config has; a ValueError if there is none."""
    for kind in KINDS:
        if kind.key in config:
            return kind
    keys = ", ".join(kind.key for kind in KINDS)
    raise ValueError(
        f"{label} has none of {keys}: give a scheduler with betas, flow matching or EDM"
    )


def scheme_of(kind: Kind, weighting: str | Curve | None, label: str) -> Callable[..., Scheme]:
    """The scheme that ``weighting`` names, still to be given its target and options."""
    if callable(weighting):
        return UniformSteps(weighting)
    name = weighting or "none"
    if name not in kind.schemes:
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


def steps_of(kind: Kind, config: Config) -> Steps:
    """The steps of a config; a ValueError that names the entry if the config lacks one."""
    try:
        return kind.steps(config)
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
    mass = np.diff(time.cdf(edges))
    held = np.isfinite(steps.logsnr)
    law = laws.atoms(steps.logsnr[held], mass[held], steps=len(steps.logsnr))
    return law, float(mass[~held].sum())


def path_of(steps: Steps, law: Any, name: str) -> Path:
    """The path of the steps."""
    if steps.frame is STRAIGHT:  # the velocity is that of the linear path, not of its steps
        return paths.LINEAR
    return paths.from_density(law, steps.frame, name)


def without_signal(steps: Steps, probability: float) -> str:
    """What to note about steps that hold no signal; nothing where all hold some."""
    if np.isfinite(steps.logsnr).all():
        return ""
    return f"One step without signal (probability {probability:.2g}) is left out."


def from_diffusers(
    scheduler: object,
    weighting: str | Curve | None = None,
    *,
    precondition_outputs: bool = False,
    **options: float,
) -> Objective:
    """The objective that training with a diffusers scheduler optimises.

    Args:
        scheduler: A scheduler or its config: with betas (DDPM, DDIM, Euler ...),
            FlowMatchEulerDiscrete, or EDM.
        weighting: None, a callable c(λ) on the target's own error, or the name of a scheme.
            With betas: "min_snr" (gamma) and, on the eps error, "soft_min_snr" (gamma), "p2"
            (gamma, k), "debiased" (cap). Flow matching: "logit_normal" (logit_mean, logit_std),
            "mode" (mode_scale), "cosmap", "sigma_sqrt". EDM: "edm" (sigma_data).
        precondition_outputs: Whether the loss compares x, not the velocity: flow matching only,
            and the default of train_dreambooth_sd3.py.
        **options: Options of the scheme, those in brackets above.

    Returns:
        The objective. Its law has the scheduler's steps as atoms.

    Raises:
        TypeError: ``scheduler`` is no scheduler and no config.
        ValueError: The kind of scheduler is unknown, or a weighting or option does not apply.

    Example:
        >>> config = {"_class_name": "FlowMatchEulerDiscreteScheduler"}
        >>> config |= {"num_train_timesteps": 1000, "shift": 3.0}
        >>> dv.from_diffusers(config, "logit_normal").law.ppf([0.25, 0.75]).round(2)
        array([-3.55, -0.85])
    """
    config = config_of(scheduler)
    label = config.get("_class_name") or _label_of(scheduler)
    kind = kind_of(config, label)
    make_scheme = scheme_of(kind, weighting, label)

    without_effect = set(options) - (set(inspect.signature(make_scheme).parameters) - {"target"})
    precondition_outputs = one_of(precondition_outputs, "precondition_outputs", (False, True))
    if precondition_outputs and not kind.preconditions:
        without_effect.add("precondition_outputs")
    refuse_without_effect(without_effect, weighting, label)

    steps = steps_of(kind, config)
    target = X if precondition_outputs else steps.target
    scheme = make_scheme(target, **options)
    law, lost = law_of(steps, scheme.time)
    title = f"{label}, {len(steps.logsnr)} steps"
    name = label if weighting is None else f"{label} {getattr(weighting, '__name__', weighting)}"
    return Objective(
        name=name,
        family="diffusers",
        year=0,
        source=f"huggingface/diffusers {title}",
        path=path_of(steps, law, title),
        target=target,
        multiplier=scheme.multiplier,
        law=law,
        note=without_signal(steps, lost),
    )
