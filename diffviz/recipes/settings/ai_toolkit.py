"""The settings of ai-toolkit, for flow models and for Stable Diffusion.

What was read: ai-toolkit (2025), ``toolkit/samplers/custom_flowmatch_sampler.py``,
``toolkit/timestep_weighing/default_weighing_scheme.py`` (commit d54b751), ``toolkit/sampler.py``
(commit 0b8a32d), ``toolkit/train_tools.py`` (commit bfe29e2),
``jobs/process/BaseSDTrainProcess.py`` (commit fc5b416), ``toolkit/config_modules.py`` and
``extensions_built_in/sd_trainer/SDTrainer.py``.

With ``noise_scheduler: flowmatch`` the loss compares the velocity on the linear path.

- A table of 1,000 falling sigmas is made for each batch, and an index into it is drawn. An index
  of 0 is noise. The last entry, which has the least noise, is never drawn.
- "sigmoid", the default, sorts 1,000 draws of sigmoid(N(0, 1)) for each batch. "linear" runs from
  1 to 0.001. "shift", "flux_shift" and "lumina2_shift" are one and the same: the model's own
  shift, by resolution for FLUX. With a fixed shift s the table ends at the shifted 0.001, shifted
  again.
- ``content_or_style: content`` cubes u, which favours *noise*; "style" takes 1 − u³ and favours
  little noise. Both act on the rank in the table, so that they combine with every type.
- ``linear_timesteps`` switches to the linear table and weights the loss by a bell over sigma;
  ``linear_timesteps2`` holds the maximum on the side of little noise. Both override
  ``timestep_type``.
- "weighted" is the linear table with a measured weight for each of its 1,000 entries (of Flex.1),
  and wins over the bells. In a revision of the sampler (commit 004e5a6) an ``if`` stands where
  others have ``elif``: there the bell overwrites these weights, so that "weighted" is the linear
  table under ``linear_timesteps``. The weights that win are read here.
- "lognorm_blend" sorts 250 even sigmas and 750 values 1 − X/max X, where X is log-normal, and cuts
  each to a thousandth. The largest X gives sigma = 0, which is never drawn.
- "one_step" trains at index 0, which is pure noise and has no weighting. "next_sample" takes a
  shifted table of 8 sigmas, and its loss compares the next sample.
- ``min_snr_gamma`` and ``snr_gamma`` need the table of β of a model that is no flow model.

Else the model has a table of β, and a step is drawn that leaves out some at both ends. The table is
Stable Diffusion's, or PixArt's linear one for ``arch: pixart``, ``is_pixart`` and
``is_pixart_sigma``, whatever the checkpoint says. ``arch: pixart_sigma`` sets no ``is_pixart``, so
that it trains on Stable Diffusion's table.

- ``min_snr_gamma`` multiplies by min(γ/SNR, 1), on the error of v too.
- ``snr_gamma`` is no min-SNR: it multiplies by γ/SNR without a bound, and wins over the other.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.interpolate import PchipInterpolator
from scipy.special import expit, ndtr, ndtri

from diffviz.checks import positive, require
from diffviz.recipes.resolution import shift_on_line
from diffviz.recipes.settings.levels import (
    STABLE_DIFFUSION,
    Levels,
    beta_logsnr,
    beta_objective,
    drawn_from,
    flow_objective,
    linear_logsnr,
    shifted,
    uniform,
)
from diffviz.recipes.settings.trainer import Option, Reading, Trainer, Values, by_name
from diffviz.theory import laws, multipliers
from diffviz.theory.frames import Curve
from diffviz.theory.frames import levels as checked_levels
from diffviz.theory.targets import EPS, Target, V

STEPS = 1000
BLENDED_DRAWS = 750  # log-normal draws among the 1,000 entries of "lognorm_blend"
BLENDED_SCALE = 0.333  # standard deviation of their logarithm
NODES = 2001  # of the law of a rank in sorted draws
LEAST_QUANTILE = 1e-9  # where its table starts; none of a thousand draws lies below
LEAST_SHARE = 1e-12  # probability that its ends leave out
LINEAR_TABLE = (STEPS - np.arange(STEPS)) / STEPS
SHIFTS = ("shift", "flux_shift", "lumina2_shift")
TYPES = ("sigmoid", "linear", *SHIFTS, "one_step", "weighted", "lognorm_blend", "next_sample")
SCHEDULERS = ("ddpm", "flowmatch", "ddim", "euler", "lcm", "custom_lcm")
FIXED_SHIFTS = MappingProxyType({"lumina2": 6.0, "zimage": 3.0})
PIXART_BETAS = STABLE_DIFFUSION | {"beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02}
FLAGS = MappingProxyType(  # of the model, the last that is set counts
    {
        "is_pixart": "pixart",
        "is_pixart_sigma": "pixart",
        "is_flux": "flux",
        "is_lumina2": "lumina2",
    }
)
FLUX_LINE = ((256, 0.5), (4096, 1.15))
FLUX_LIKE = ("flux", "flux_kontext", "flex1", "flex2")

# a curve through the weights of "weighted": index into the falling table, and weight
KNOTS = (
    *((0, 0.903), (3, 0.938), (6, 0.974), (9, 1.034), (13, 1.103), (17, 1.144), (21, 1.183)),
    *((26, 1.224), (38, 1.319), (56, 1.397), (69, 1.456), (100, 1.505), (130, 1.520)),
    *((147, 1.511), (209, 1.426), (331, 1.206), (500, 0.925), (644, 0.766), (700, 0.732)),
    *((757, 0.714), (820, 0.720), (868, 0.733), (898, 0.719), (930, 0.651), (966, 0.523)),
    *((981, 0.473), (987, 0.456), (999, 0.446)),
)
WEIGHT_BY_INDEX = PchipInterpolator(*zip(*KNOTS, strict=True))


def measured_weight(logsnr: ArrayLike) -> NDArray:
    """The weight of "weighted", on a smooth curve of 28 knots and cubic pieces without overshoot.

    The knots are fitted by least squares to all 1,000 weights of the trainer. From index 30 on the
    curve lies within 0.38 % of them, and within 1.2 % of the first 30, which are jagged. The
    weights as 32-bit floats in little-endian order have the SHA-256 485f5c69b93051c920b737f4ab87a9
    0b9cc362c4501e422579ef6fedffc070fb.

    Args:
        logsnr: λ in nats, any shape.

    Returns:
        The multiplier, same shape.
    """
    index = STEPS * expit(checked_levels(logsnr) / 2)
    return WEIGHT_BY_INDEX(np.clip(index, KNOTS[0][0], KNOTS[-1][0]))


@dataclass(frozen=True)
class HalfBell:
    """``multipliers.bell`` that keeps its maximum where sigma <= ½."""

    def __call__(self, logsnr: ArrayLike) -> NDArray:
        """The multiplier at λ in nats, same shape."""
        return multipliers.bell(np.minimum(checked_levels(logsnr), 0.0))


@dataclass(frozen=True)
class OverSNR:
    """γ/SNR.

    Args:
        gamma: γ.
    """

    gamma: float

    def __call__(self, logsnr: ArrayLike) -> NDArray:
        """The multiplier at λ in nats, same shape."""
        return self.gamma * np.exp(-checked_levels(logsnr))


# --- the index that is drawn ---------------------------------------------------------------------


def ends_of(values: Values) -> tuple[int, int]:
    """The first and the last index that may be drawn.

    Raises:
        ValueError: There is none between them.
    """
    first = max(values["min_denoising_steps"], 0)
    last = min(values["max_denoising_steps"], STEPS - 1)
    require(
        first < last,
        f"min_denoising_steps must be below max_denoising_steps, got {first} and {last}",
    )
    return first, last


def law_of_rank(bias: str) -> Any:
    """The law of the share of the way from noise to data, a frozen SciPy distribution."""
    if bias == "content":
        return stats.beta(1 / 3, 1)  # u³
    if bias == "style":
        return stats.beta(1, 1 / 3)  # 1 − u³
    return uniform()


def index_mass(values: Values, is_flow: bool) -> NDArray:
    """Probabilities of the indices, shape (1000,)."""
    first, last = ends_of(values)
    bias = values["content_or_style"]
    mass = np.zeros(STEPS)
    if bias == "balanced":
        inner = slice(first, last) if is_flow else slice(first + 1, last - 1)
        mass[inner] = 1 / len(mass[inner])
        return mass
    # int(first + v (last − first)) with v = 1000 w/999, where w is cubic, cut at the last index
    edges = (np.arange(first, last + 2) - first) / (last - first) * (STEPS - 1) / STEPS
    edges[-1] = 1.0
    mass[first : last + 1] = laws.probabilities(law_of_rank(bias), edges)
    return mass


# --- flow models ---------------------------------------------------------------------------------


def architecture_of(values: Values) -> str:
    """The model, by a flag such as ``is_flux``, else by ``arch`` without its tag."""
    named = [model for flag, model in FLAGS.items() if values[flag]]
    return named[-1] if named else values["arch"].split(":")[0]


def model_table(values: Values) -> tuple[NDArray, float]:
    """The shifted table of a model, shape (1000,), and its shift.

    Raises:
        ValueError: The shift of the model is not known, or it needs tokens.
    """
    architecture = architecture_of(values)
    if architecture in FIXED_SHIFTS:
        shift = FIXED_SHIFTS[architecture]
        return shifted(np.linspace(1, shifted(1 / STEPS, shift), STEPS), shift), shift
    require(
        architecture in FLUX_LIKE,
        f"timestep_type shift takes the shift of the model, which is not known for arch "
        f"{architecture!r}, only for {', '.join((*FLUX_LIKE, *FIXED_SHIFTS))}",
    )
    tokens = values.named_tokens()
    require(
        tokens is not None,
        "timestep_type shift goes by resolution for FLUX: give tokens=, which is "
        "(height/16) · (width/16)",
    )
    shift = shift_on_line(positive(tokens, "tokens"), *FLUX_LINE)
    return shifted(LINEAR_TABLE, shift), shift


@dataclass(frozen=True, eq=False)
class RankedQuantiles:
    """The map from a probability to the λ of a rank in sorted draws, whose rank is drawn too.

    With C(j) the probability of a rank below j, the probability of a λ below a quantile v of the
    law that is sorted is E C(B) for B binomial with 1,000 trials of probability v. That is C as a
    Bernstein polynomial. It is tabulated here, and cubic between the nodes.

    Args:
        law: Law of each λ that is sorted, a frozen SciPy distribution.
        mass: Probability of each rank from noise to data, shape (1000,).
    """

    law: Any
    mass: NDArray

    @cached_property
    def below(self) -> PchipInterpolator:
        """Probability below λ, for λ between the ends."""
        at = self.law.ppf(LEAST_QUANTILE) * np.linspace(1, -1, NODES)
        quantile = self.law.cdf(at)[:, None]
        hits = np.arange(STEPS + 1)
        chance = stats.binom.pmf(hits, STEPS, quantile)
        share = chance @ np.concatenate([[0.0], np.cumsum(self.mass)])
        inner = np.flatnonzero((share > LEAST_SHARE) & (share < 1 - LEAST_SHARE))
        held = slice(max(inner[0] - 1, 0), inner[-1] + 2)
        share[held][[0, -1]] = 0.0, 1.0
        return PchipInterpolator(at[held], share[held])

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the largest λ."""
        return float(self.below.x[0]), float(self.below.x[-1])

    def inverse(self, y: NDArray) -> NDArray:
        """Probability below λ."""
        return self.below(np.clip(y, *self.ends))

    def slope(self, y: NDArray) -> NDArray:
        """Density at λ."""
        low, high = self.ends
        return np.where((y >= low) & (y <= high), self.below(np.clip(y, low, high), 1), 0.0)

    def forward(self, q: NDArray) -> NDArray:
        """The λ of a probability, by root search."""
        low, high = self.ends
        share = np.asarray(q, dtype=float)
        return low + (high - low) * laws.inverted(self._on_unit, share, start=share)

    def _on_unit(self, x: NDArray) -> tuple[NDArray, NDArray]:
        """Probability and its derivative at a share of the way between the ends."""
        low, high = self.ends
        at = low + (high - low) * x
        return self.below(at), self.below(at, 1) * (high - low)


def sigmoid_levels(values: Values) -> Levels:
    """The levels of sorted draws of sigmoid(N(0, 1)), of which a rank is drawn."""
    mass = index_mass(values, True)
    sorted_law = laws.logit_normal_logsnr()
    if (mass[:-1] == mass[0]).all():  # every rank but the last, which is one draw in a thousand
        return Levels(sorted_law)
    quantiles = RankedQuantiles(sorted_law, mass)
    return Levels(laws.Transformed(stats.uniform(), quantiles, rising=True).freeze())


def share_below_largest(ratio: NDArray) -> NDArray:
    """Probability that a log-normal draw is below a share of the largest of its batch.

    For a largest draw exp(s z) the others are draws below it, so that the probability is the mean
    of Φ(z + log(ratio)/s)/Φ(z) over the law of z, which is the largest of normal draws.

    Args:
        ratio: Share of the largest draw in [0, 1], shape (n,).

    Returns:
        Probability, shape (n,).
    """
    level = (np.arange(NODES) + 0.5) / NODES
    largest = ndtri(level ** (1 / BLENDED_DRAWS))
    with np.errstate(divide="ignore"):
        step = np.log(ratio) / BLENDED_SCALE
    return np.mean(ndtr(largest + step[:, None]) / ndtr(largest), axis=1)


def blended_levels(values: Values) -> Levels:
    """The levels of "lognorm_blend".

    Raises:
        ValueError: Ranks are not all equally likely, for which this table is not read.
    """
    require(
        values["content_or_style"] == "balanced" and ends_of(values) == (0, STEPS - 1),
        "timestep_type lognorm_blend is read with content_or_style balanced and without "
        "min_denoising_steps and max_denoising_steps only",
    )
    thousandths = np.arange(STEPS + 1)
    drawn = -np.diff(share_below_largest(1 - thousandths / STEPS), append=0.0)
    even = STEPS - BLENDED_DRAWS
    rank = np.arange(even)
    entry = (STEPS * (even - 1) - (STEPS - 1) * rank) // (even - 1)
    mass = (BLENDED_DRAWS - 1) * drawn + np.bincount(entry, minlength=STEPS + 1)
    without_noise = mass[0] / mass.sum()
    levels = drawn_from(linear_logsnr(thousandths[1:] / STEPS), mass[1:])
    return Levels(levels.law, levels.pure_noise * (1 - without_noise), without_noise)


def flow_levels(values: Values, kind: str) -> tuple[Levels, str]:
    """The levels of a flow model, and how they are drawn in words."""
    if kind == "sigmoid":
        return sigmoid_levels(values), "rank in sorted draws of sigmoid(N(0, 1))"
    if kind == "lognorm_blend":
        return blended_levels(values), "rank in 750 log-normal draws and 250 even sigmas"
    if kind == "linear":
        levels = drawn_from(linear_logsnr(LINEAR_TABLE), index_mass(values, True))
        return levels, "index into 1,000 even sigmas"
    table, shift = model_table(values)
    levels = drawn_from(linear_logsnr(table), index_mass(values, True))
    return levels, f"index into 1,000 sigmas of shift {shift:.4g}"


def flow_weight(values: Values) -> tuple[Curve, str]:
    """The weight of the velocity's error, and what it is called; empty for none."""
    if values["timestep_type"] == "weighted":
        return measured_weight, "measured weights"
    if values["linear_timesteps2"]:
        return HalfBell(), "half a bell"
    if values["linear_timesteps"]:
        return multipliers.bell, "a bell"
    return multipliers.constant, ""


def flow_reading(values: Values) -> Reading:
    """What the settings of a flow model amount to."""
    multiplier, shape = flow_weight(values)
    kind = "linear" if shape else values["timestep_type"]
    require(
        kind not in REASONS,
        f"timestep_type {kind!r} is not read here: {REASONS.get(kind)}",
    )
    levels, words = flow_levels(values, kind)
    bias = values["content_or_style"]
    objective = flow_objective(
        name=f"ai-toolkit {values['timestep_type']}",
        source=f"{TRAINER.source}, {TRAINER.version}",
        levels=levels,
        multiplier=multiplier,
    )
    end = f", weighted by {shape}" if shape else ""
    return Reading(
        objective=objective,
        sentence=f"Velocity on the linear path, {bias} {words}{end}.",
        notes=levels.notes + bias_note(bias),
        no_effect=without_effect_on_flows(values),
    )


def bias_note(bias: str) -> tuple[str, ...]:
    """What a bias means."""
    if bias == "balanced":
        return ()
    favoured = "much" if bias == "content" else "little"
    return (f"content_or_style {bias} favours {favoured} noise.",)


def without_effect_on_flows(values: Values) -> tuple[str, ...]:
    """What to say of options that flow models ignore."""
    said = []
    kind = values["timestep_type"]
    bells = [name for name in ("linear_timesteps", "linear_timesteps2") if values[name]]
    if kind == "weighted":
        said += [f"{name} has no effect beside timestep_type weighted." for name in bells]
    elif bells and values.has("timestep_type") and kind != "linear":
        said.append(f"timestep_type has no effect: {bells[0]} switches to the linear table.")
    for name in ("min_snr_gamma", "snr_gamma"):
        if values.has(name):
            said.append(f"{name} is for models with a table of β; a flow model has none.")
    return tuple(said)


REASONS = MappingProxyType(
    {
        "one_step": "it trains at pure noise alone, which has no weighting",
        "next_sample": "its loss compares the next sample, and is no denoising loss",
    }
)


# --- models with a table of β --------------------------------------------------------------------


def beta_weight(values: Values, target: Target) -> Curve:
    """The weight of the error of the target."""
    if values["snr_gamma"] > 1e-6:
        return OverSNR(values["snr_gamma"])
    gamma = values["min_snr_gamma"]
    # the weight of the eps error, whatever the target is
    return multipliers.min_snr(gamma, "eps") if gamma > 1e-6 else multipliers.constant


def beta_reading(values: Values) -> Reading:
    """What the settings of a model with a table of β amount to."""
    scheduler = values["noise_scheduler"]
    require(
        scheduler in ("ddpm", "ddim", "euler"),
        f"noise_scheduler {scheduler!r} is not read here: take ddpm or flowmatch",
    )
    target = V if values["is_v_pred"] else EPS
    mass = index_mass(values, False)
    architecture = architecture_of(values)
    is_pixart = architecture == "pixart"
    betas = PIXART_BETAS if is_pixart else STABLE_DIFFUSION
    levels = drawn_from(beta_logsnr(betas)[::-1], mass)
    objective = beta_objective(
        name=f"ai-toolkit {target.name}",
        source=f"{TRAINER.source}, {TRAINER.version}",
        target=target,
        multiplier=beta_weight(values, target),
        levels=levels,
    )
    notes = levels.notes + bias_note(values["content_or_style"])
    if architecture == "pixart_sigma":
        notes += (
            "arch pixart_sigma trains on Stable Diffusion's table; is_pixart_sigma takes PixArt's.",
        )
    if values["snr_gamma"] > 1e-6:
        notes += ("snr_gamma is no min-SNR: its weight γ/SNR has no bound.",)
    elif target == V and values["min_snr_gamma"] > 1e-6:
        notes += ("min(γ/SNR, 1) acts on the v error, without the + 1 of min-SNR for v.",)
    no_effect: tuple[str, ...] = ()
    if values.has("timestep_type"):
        no_effect = ("timestep_type is for noise_scheduler flowmatch only.",)
    return Reading(
        objective=objective,
        sentence=f"{target.name} on {'PixArt' if is_pixart else 'Stable Diffusion'}'s table of β, "
        f"{values['content_or_style']} steps.",
        notes=notes,
        no_effect=no_effect,
    )


def refuse_other_losses(values: Values) -> None:
    """Raise a ValueError where the loss is no weighted squared error of the model's target."""
    require(
        values["loss_type"] == "mse",
        f"loss_type {values['loss_type']!r} is no squared error, and has no weighting: take mse",
    )
    require(
        values["loss_target"] == "noise",
        f"loss_target {values['loss_target']!r} is not read here: take noise",
    )
    for name in ("train_turbo", "learnable_snr_gos"):
        require(not values[name], f"{name} trains on another loss, which has no weighting")


def notes_on_noise(values: Values) -> tuple[str, ...]:
    """What to say of changes of the noise and the data, which no weighting holds."""
    notes = []
    scale = values["noise_multiplier"] / values["latent_multiplier"]
    if scale != 1:
        notes.append(
            "noise_multiplier and latent_multiplier scale the noise against the data: the true λ "
            f"lies {2 * np.log(scale):.3g} lower; it is left out."
        )
    if values["noise_offset"] != 0:
        notes.append("noise_offset makes the noise of a channel's mean larger; it is left out.")
    for name in ("random_noise_multiplier", "random_noise_shift"):
        if values[name] != 0:
            notes.append(f"{name} changes the noise of each channel by chance; it is left out.")
    return tuple(notes)


def build(values: Values) -> Reading:
    """What settings of ai-toolkit amount to."""
    refuse_other_losses(values)
    is_flow = values["noise_scheduler"] == "flowmatch"
    reading = flow_reading(values) if is_flow else beta_reading(values)
    return replace(reading, notes=reading.notes + notes_on_noise(values))


PASSED_OVER = (
    "job",
    "config.name",
    "*.name",
    "type",
    "*.type",
    "meta.*",
    "*.network.*",
    "*.save.*",
    "*.sample.*",
    "*.datasets.*",
    "*.logging.*",
    "*.adapter.*",
    "*.model.*",
    "*.performance_log_every",
    "*.training_folder",
    "*.device",
    "*.trigger_word",
    "*.sqlite_db_path",
    "*.ema_config.*",
    "*.optimizer_params.*",
    "*.lr_scheduler_params.*",
    "batch_size",
    "steps",
    "gradient_*",
    "train_unet",
    "train_text_encoder",
    "train_refiner",
    "optimizer",
    "lr",
    "*_lr",
    "lr_scheduler",
    "skip_first_sample",
    "force_first_sample",
    "disable_sampling",
    "dtype",
    "xformers",
    "sdp",
    "attention_backend",
    "max_grad_norm",
    "start_step",
    "unload_text_encoder",
    "cache_text_embeddings",
    "switch_boundary_every",
    "bypass_guidance_embedding",
    "merge_network_on_save*",
    "weight_jitter",
    "content_or_style_reg",
    "num_train_timesteps",
    "diff_output_preservation*",
    "blank_prompt_*",
    "do_differential_guidance",
    "differential_guidance_scale",
    "*paramiter_swapping*",
    "show_turbo_outputs",
    "free_u",
    "adapter_assist_*",
    "match_adapter_*",
    "img_multiplier",
    "negative_prompt",
    "max_negative_prompts",
    "reg_weight",
    "prompt_*",
    "short_and_long_captions*",
    "single_item_batching",
    "inverted_mask_prior*",
    "switch_boundary_every",
    "latent_feature_*",
    "diffusion_feature_*",
    "next_sample_timesteps",
    "optimal_noise_pairing_samples",
    "force_consistent_noise",
    "unconditional_prompt",
)

TRAINER = Trainer(
    name="ai-toolkit",
    title="ai-toolkit",
    version="commit fc5b416 (2025)",
    source="ostris/ai-toolkit",
    scripts=(),
    options=by_name(
        Option("noise_scheduler", "choice", "ddpm", "kind of model", choices=SCHEDULERS),
        Option("timestep_type", "choice", "sigmoid", "table of sigmas", choices=TYPES),
        Option(
            "content_or_style",
            "choice",
            "balanced",
            "bias of the index",
            choices=("balanced", "content", "style"),
        ),
        Option("linear_timesteps", "flag", False, "bell weight"),
        Option("linear_timesteps2", "flag", False, "half a bell as weight"),
        Option("min_denoising_steps", "whole", 0, "first index"),
        Option("max_denoising_steps", "whole", 999, "last index"),
        Option("min_snr_gamma", "number", 0.0, "γ of min-SNR", low=0.0),
        Option("snr_gamma", "number", 0.0, "γ of γ/SNR", low=0.0),
        Option("loss_type", "text", "mse", "kind of loss"),
        Option("loss_target", "text", "noise", "what the loss compares"),
        Option("train_turbo", "flag", False, "another loss"),
        Option("learnable_snr_gos", "flag", False, "a weight that is learned"),
        Option("noise_multiplier", "number", 1.0, "factor of the noise", low=1e-6),
        Option("latent_multiplier", "number", 1.0, "factor of the data", low=1e-6),
        Option("random_noise_multiplier", "number", 0.0, "random factor of the noise"),
        Option("random_noise_shift", "number", 0.0, "random mean of the noise"),
        Option("noise_offset", "number", 0.0, "offset noise"),
        Option("arch", "text", "", "the model"),
        Option("is_flux", "flag", False, "whether the model is FLUX"),
        Option("is_lumina2", "flag", False, "whether the model is Lumina 2"),
        Option("is_pixart", "flag", False, "whether the model is PixArt"),
        Option("is_pixart_sigma", "flag", False, "whether the model is PixArt-Sigma"),
        Option("is_v_pred", "flag", False, "whether the model predicts v"),
    ),
    passed_over=PASSED_OVER,
    build=build,
    marks=("config.process.*", "process.*"),
)
