"""The settings of SimpleTuner, for models with a table of β and for flow models.

What was read: the package simpletuner 3.1.6 (2025), ``helpers/models/common.py``,
``helpers/training/custom_schedule.py``, ``helpers/training/min_snr_gamma.py`` and the models' own
files.

Flow models compare the velocity on the linear path, without a weight.

- sigma is sigmoid(``flow_sigmoid_scale`` · N(0, 1)), uniform, or Beta, in this order of precedence:
  uniform, Beta, then FLUX's fast schedule (0.7 pure noise, 0.75, 0.5, 0.25), then sigmoid.
- ``flow_schedule_shift`` is 3 by default and acts on all but the fast schedule.
  ``flow_schedule_auto_shift`` is refused beside it: set the shift to 0.
- ``flow_schedule_auto_shift`` takes exp(mu) on the line of the checkpoint's scheduler, which for
  LTX-Video and Qwen-Image is not FLUX's. It counts a quarter of the latent pixels of one frame:
  for LTX-Video these are (height/64) · (width/64) tokens, for most others (height/16) · (width/16).
- Chroma squares the distance of sigma to the nearer end, but for the sigmoid alone. Since the
  square of ½ is ¼, it never trains between sigma = 0.25 and 0.75.
- Wan 2.2 sets the shift to 5, whatever is given.
- Sana and ACE-Step ignore every option of the schedule. They are not read here, since they draw
  from the table of the checkpoint's scheduler.
- Losses other than L2, ``snr_gamma``, offset noise and timestep bias have no effect on flow models.

Models with a table of β draw a step.

- The biases "earlier" and "later" multiply the weights of the first and the last share of the
  table, "range" those from ``timestep_bias_begin`` on and before ``timestep_bias_end``.
- With a batch above 1, the steps are drawn from as many segments of equal size, one from each. A
  bias acts *within* each segment only: between them all stay equally likely.
- Without segments (a batch of 1, or switched off) ``refiner_training`` has no effect on the steps.
- min-SNR is over SNR + 1 if the *checkpoint's* scheduler predicts v. ``prediction_type`` changes
  the target and not the weight.
- ``use_soft_min_snr`` is parsed and never used.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from diffviz.checks import positive, require
from diffviz.recipes.resolution import shift_on_line
from diffviz.recipes.settings.levels import (
    STABLE_DIFFUSION,
    Levels,
    beta_logsnr,
    beta_objective,
    drawn_from,
    drawn_sigma,
    flow_objective,
    linear_logsnr,
    linear_path,
    uniform,
)
from diffviz.recipes.settings.trainer import Option, Reading, Trainer, Values, by_name
from diffviz.theory import laws, multipliers, paths
from diffviz.theory.frames import Curve
from diffviz.theory.laws import Transformed
from diffviz.theory.targets import EPS, Target, V


@dataclass(frozen=True)
class BetaFamily:
    """A family of models with a table of β.

    Args:
        config: Config of its scheduler.
        target: What it predicts unless ``prediction_type`` says otherwise.
        fixed: Whether ``prediction_type`` has no effect on it.
    """

    config: Mapping[str, Any]
    target: Target = EPS
    fixed: bool = False


@dataclass(frozen=True)
class FlowFamily:
    """A family of flow models.

    Args:
        tokens: Points (tokens, mu) of the line of its shift by resolution.
    """

    tokens: tuple[tuple[float, float], tuple[float, float]] = ((256, 0.5), (4096, 1.15))


LINEAR_BETAS = STABLE_DIFFUSION | {"beta_schedule": "linear"}
BETA_FAMILIES: Mapping[str, BetaFamily] = MappingProxyType(
    {
        "sd1x": BetaFamily(STABLE_DIFFUSION),
        "sd2x": BetaFamily(STABLE_DIFFUSION, V),
        "sdxl": BetaFamily(STABLE_DIFFUSION),
        "kolors": BetaFamily(STABLE_DIFFUSION | {"beta_end": 0.014, "num_train_timesteps": 1100}),
        "pixart_sigma": BetaFamily(LINEAR_BETAS | {"beta_start": 0.0001, "beta_end": 0.02}),
        "deepfloyd": BetaFamily(
            STABLE_DIFFUSION | {"beta_schedule": "squaredcos_cap_v2"}, fixed=True
        ),
    }
)
FLOW_FAMILIES: Mapping[str, FlowFamily] = MappingProxyType(
    {
        "flux": FlowFamily(),
        "flux2": FlowFamily(),
        "chroma": FlowFamily(),
        "sd3": FlowFamily(),
        "auraflow": FlowFamily(),
        "hidream": FlowFamily(),
        "hunyuanvideo": FlowFamily(),
        "kandinsky5-image": FlowFamily(),
        "kandinsky5-video": FlowFamily(),
        "ltxvideo": FlowFamily(((1024, 0.95), (4096, 2.05))),
        "lumina2": FlowFamily(),
        "qwen_image": FlowFamily(((256, 0.5), (8192, 0.9))),
        "wan": FlowFamily(),
        "z-image": FlowFamily(),
    }
)
FAMILIES = (*BETA_FAMILIES, *FLOW_FAMILIES)
BIASES = ("none", "earlier", "later", "range")
LOSSES = ("l2", "huber", "smooth_l1")
PREDICTIONS = ("epsilon", "v_prediction", "sample", "flow_matching")
TARGETS_BY_PREDICTION = MappingProxyType({"epsilon": EPS, "v_prediction": V})
STEPS = 1000  # number by which sigma is multiplied for a timestep of a flow
FAST_SHARES = MappingProxyType({1000: 0.7, 750: 0.1, 500: 0.1, 250: 0.1})  # by timestep


# --- flow models ---------------------------------------------------------------------------------


def fast_levels() -> Levels:
    """The four levels of FLUX's fast schedule, among the 1,000 timesteps."""
    timestep = np.arange(STEPS) + 1
    return drawn_from(
        linear_logsnr(timestep / STEPS), [FAST_SHARES.get(t, 0.0) for t in timestep.tolist()]
    )


@dataclass(frozen=True)
class ChromaTime:
    """Chroma's map of sigma: the square of its distance to the nearer end."""

    def forward(self, x: NDArray) -> NDArray:
        """The sigma that is trained."""
        return np.where(x < 0.5, x**2, 1 - (1 - x) ** 2)

    def inverse(self, y: NDArray) -> NDArray:
        """The sigma that was drawn; ½ for what is never trained."""
        return np.where(y < 0.5, np.minimum(np.sqrt(y), 0.5), np.maximum(1 - np.sqrt(1 - y), 0.5))

    def slope(self, y: NDArray) -> NDArray:
        """Derivative of the inverse, 0 for what is never trained."""
        trained = (y < 0.25) | (y >= 0.75)
        return np.where(trained, 0.5 / np.sqrt(np.minimum(y, 1 - y)), 0.0)


def chroma_levels(scale: float, shift: float) -> Levels:
    """The levels of Chroma under the sigmoid."""
    drawn = laws.logit_normal(np.log(shift), scale)
    time = Transformed(drawn, ChromaTime(), rising=True).freeze()
    return Levels(paths.push_forward(time, linear_path(1.0)))


def sets_its_shift(values: Values, family: str) -> bool:
    """Whether a model sets the shift itself."""
    return family == "wan" and values["model_flavour"].endswith(("2.2-high", "2.2-low"))


def shift_of(values: Values, family: str) -> float:
    """The time shift, fixed or by the number of tokens.

    Raises:
        ValueError: The shift goes by resolution, and there are no tokens.
    """
    if sets_its_shift(values, family):
        return 5.0
    fixed = values["flow_schedule_shift"]
    if fixed > 0:
        return float(fixed)
    if not values["flow_schedule_auto_shift"]:
        return 1.0
    tokens = values.named_tokens()
    if tokens is None:
        raise ValueError(
            "flow_schedule_auto_shift goes by resolution: give tokens=, which is "
            "(height/16) · (width/16) for most models, (height/64) · (width/64) for LTX-Video"
        )
    return shift_on_line(tokens, *FLOW_FAMILIES[family].tokens)


def flow_levels(values: Values, family: str) -> tuple[Levels, str]:
    """The levels of a flow model, and how they are drawn in words."""
    if values["flow_use_uniform_schedule"]:
        shift = shift_of(values, family)
        return drawn_sigma(uniform(), shift), f"uniform sigma, shift {shift:.4g}"
    if values["flow_use_beta_schedule"]:
        shift = shift_of(values, family)
        alpha = positive(values["flow_beta_schedule_alpha"], "flow_beta_schedule_alpha")
        beta = positive(values["flow_beta_schedule_beta"], "flow_beta_schedule_beta")
        levels = drawn_sigma(stats.beta(alpha, beta), shift)
        return levels, f"sigma ~ Beta({alpha:g}, {beta:g}), shift {shift:.4g}"
    if values["flux_fast_schedule"]:
        return fast_levels(), "sigma 1 with probability 0.7, else 0.75, 0.5 or 0.25"
    shift = shift_of(values, family)
    scale = positive(values["flow_sigmoid_scale"], "flow_sigmoid_scale")
    words = f"logit sigma ~ N(0, {scale:g}²), shift {shift:.4g}"
    if family == "chroma":
        return chroma_levels(scale, shift), f"{words}, moved to the ends by Chroma"
    return Levels(laws.logit_normal_logsnr(0.0, scale, shift)), words


def both_shifts(values: Values) -> tuple[str, ...]:
    """Whether the two kinds of shift are asked for at once, which stops SimpleTuner."""
    shift = values["flow_schedule_shift"]
    if values["flow_schedule_auto_shift"] and shift > 0:
        return (
            f"flow_schedule_auto_shift and flow_schedule_shift = {shift:g} (3 by default) "
            "contradict each other: set flow_schedule_shift to 0.",
        )
    return ()


def flow_reading(values: Values, family: str) -> Reading:
    """What the settings of a flow model amount to."""
    levels, words = flow_levels(values, family)
    objective = flow_objective(
        name=f"simpletuner {family}",
        source=f"{TRAINER.source}, {TRAINER.version}",
        levels=levels,
    )
    notes = levels.notes
    if values["flow_schedule_auto_shift"] and family.endswith("video"):
        notes += ("The shift by resolution counts the tokens of one frame only.",)
    if family == "chroma" and "Chroma" in words:
        notes += ("No level between sigma = 0.25 and 0.75 is ever trained.",)
    return Reading(
        objective=objective,
        sentence=f"{family}: velocity on the linear path, {words}.",
        notes=notes + perturbation_note(values),
        no_effect=without_effect_on_flows(values, family),
        contradictions=both_shifts(values),
    )


def without_effect_on_flows(values: Values, family: str) -> tuple[str, ...]:
    """What to say of options that flow models ignore."""
    said = []
    if sets_its_shift(values, family) and values.has("flow_schedule_shift"):
        said.append("flow_schedule_shift has no effect: Wan 2.2 sets it to 5.")
    for name in ("snr_gamma", "loss_type", "offset_noise", "timestep_bias_strategy"):
        if values.has(name):
            said.append(f"{name} has no effect on flow models.")
    if values.has("train_batch_size"):
        said.append(
            "train_batch_size has no effect on the levels of a flow model: each sample draws its "
            "own."
        )
    return tuple(said)


# --- models with a table of β --------------------------------------------------------------------


def biased(values: Values, steps: int) -> NDArray:
    """Weights of the steps after the bias, shape (steps,)."""
    weights = np.ones(steps)
    strategy = values["timestep_bias_strategy"]
    if strategy == "none":
        return weights
    portion = int(values["timestep_bias_portion"] * steps)
    if strategy == "later":
        chosen = slice(-portion, None)
    elif strategy == "earlier":
        chosen = slice(0, portion)
    else:
        chosen = slice(values["timestep_bias_begin"], values["timestep_bias_end"])
    multiplier = positive(values["timestep_bias_multiplier"], "timestep_bias_multiplier")
    weights[chosen] *= multiplier
    return weights


def trained_range(values: Values, steps: int) -> tuple[int, int]:
    """Last and first step of a segmented draw."""
    if not values["refiner_training"]:
        return steps - 1, 0
    reach = int(steps * values["refiner_training_strength"])
    return (steps - 1, reach) if values["refiner_training_invert_schedule"] else (reach - 1, 0)


def segmented(weights: NDArray, batch: int, start: int, end: int) -> NDArray:
    """Probabilities of the steps if each sample of a batch has a segment of its own.

    Neighbouring segments share a step, whose weight is already normalised in the second.

    Args:
        weights: Weights of the steps, shape (T,).
        batch: Number of samples, each with a segment.
        start: Last step that is trained.
        end: First step that is trained.

    Returns:
        Probabilities, shape (T,).
    """
    left = weights.copy()
    mass = np.zeros_like(weights)
    size = max((start - end + 1) // batch, 1)
    for sample in range(batch):
        high = start - sample * size
        low = end if sample == batch - 1 else max(high - size, end)
        left[low : high + 1] /= left[low : high + 1].sum()
        mass[low : high + 1] += left[low : high + 1] / batch
    return mass


def step_masses(values: Values, steps: int) -> tuple[NDArray, str]:
    """Probabilities of the steps up to a constant, and how they are drawn in words."""
    weights = biased(values, steps)
    batch = values["train_batch_size"]
    if batch == 1 or values["disable_segmented_timestep_sampling"]:
        return weights, "independent steps"
    start, end = trained_range(values, steps)
    require(
        start - end + 1 >= batch,
        f"{start - end + 1} steps do not make a segment for each of {batch} samples: "
        "raise refiner_training_strength or lower train_batch_size",
    )
    return segmented(weights, batch, start, end), f"a step from each of {batch} segments"


def beta_weight(values: Values, family: BetaFamily, target: Target) -> Curve:
    """The weight of the loss on the target's error."""
    gamma = values["snr_gamma"]
    if gamma == 0:
        return multipliers.constant
    if target == family.target:
        return multipliers.min_snr(gamma, target.name)
    return multipliers.MinSNR(gamma, multipliers.MIN_SNR_DIVISORS[family.target.name])


def beta_reading(values: Values, name: str) -> Reading:
    """What the settings of a model with a table of β amount to."""
    family = BETA_FAMILIES[name]
    kind = None if family.fixed else values["prediction_type"]
    require(
        kind is None or kind in TARGETS_BY_PREDICTION,
        f"SimpleTuner has no loss for prediction_type {kind!r} of {name}: "
        "take epsilon or v_prediction",
    )
    target = family.target if kind is None else TARGETS_BY_PREDICTION[kind]
    rescaled = values["rescale_betas_zero_snr"]
    logsnr = beta_logsnr(dict(family.config) | {"rescale_betas_zero_snr": rescaled})
    mass, words = step_masses(values, len(logsnr))
    levels = drawn_from(logsnr, mass)
    objective = beta_objective(
        name=f"simpletuner {name}",
        source=f"{TRAINER.source}, {TRAINER.version}",
        target=target,
        multiplier=beta_weight(values, family, target),
        levels=levels,
    )
    table = "table of β with zero terminal SNR" if rescaled else "table of β"
    gamma = values["snr_gamma"]
    weighted = f", min-SNR-{gamma:g}" if gamma else ""
    return Reading(
        objective=objective,
        sentence=f"{name}: {target.name} on the model's {table}, {words}{weighted}.",
        notes=levels.notes + notes_on_betas(values, family, target) + perturbation_note(values),
        no_effect=without_effect_on_betas(values),
    )


def notes_on_betas(values: Values, family: BetaFamily, target: Target) -> tuple[str, ...]:
    """What one should know about the steps and the loss."""
    notes: tuple[str, ...] = ()
    segments = values["train_batch_size"] > 1 and not values["disable_segmented_timestep_sampling"]
    if values["timestep_bias_strategy"] != "none" and segments:
        notes += (
            "The bias acts within the segment of each sample of a batch; all segments stay "
            "equally likely. Set disable_segmented_timestep_sampling for a bias over all steps.",
        )
    if values["snr_gamma"] and target != family.target:
        notes += (
            f"min-SNR is that of the checkpoint's {family.target.name}, though the target is "
            f"{target.name}.",
        )
    if values["snr_gamma"] and values["rescale_betas_zero_snr"] and family.target == EPS:
        notes += (
            "At the last step min-SNR is 0/0 (SNR 0 over SNR 0): whenever it is drawn, the loss "
            "is not a number.",
        )
    if values["loss_type"] != "l2":
        notes += (
            f"loss_type {values['loss_type']} is no squared error; the weighting is that of "
            "small errors.",
        )
    if values["offset_noise"]:
        notes += ("Offset noise makes the noise of a channel's mean larger; it is left out.",)
    return notes


def perturbation_note(values: Values) -> tuple[str, ...]:
    """What to say of noise that the input has and the target has not."""
    size = values["input_perturbation"]
    if size == 0:
        return ()
    return (
        f"input_perturbation {size:g} adds noise to the input that the target does not hold: the "
        f"true λ lies {np.log1p(size**2):.3g} lower; it is left out.",
    )


def without_effect_on_betas(values: Values) -> tuple[str, ...]:
    """What to say of options that have no effect on models with a table of β."""
    said = []
    if values.has("use_soft_min_snr") and values["use_soft_min_snr"]:
        said.append("use_soft_min_snr is parsed and never used: the weight stays min-SNR.")
    if values["train_batch_size"] == 1 and values.has("refiner_training"):
        said.append("refiner_training has no effect on the steps of a batch of 1.")
    return tuple(said)


def build(values: Values) -> Reading:
    """What settings of SimpleTuner amount to."""
    method = values["distillation_method"]
    require(
        not method,
        f"distillation_method {method!r} trains on another loss, which has no weighting",
    )
    family = values.named_model() or values["model_family"]
    if family in BETA_FAMILIES:
        return beta_reading(values, family)
    return flow_reading(values, family)


PASSED_OVER = (
    "accelerate_config",
    "accelerate_extra_args",
    "accelerator_cache_clear_interval",
    "acestep_lora_target",
    "adam_*",
    "allow_dataset_oversubscription",
    "aspect_bucket_*",
    "assistant_lora_*",
    "attention_mechanism",
    "audio_*",
    "aws_max_pool_connections",
    "base_model_*",
    "cache_*",
    "caption_*",
    "checkpoint*",
    "compress_disk_cache",
    "conditioning_*",
    "configs_dir",
    "context_parallel_*",
    "control",
    "controlnet*",
    "custom_tracker",
    "data_*",
    "dataloader_*",
    "debug_*",
    "deepspeed_config",
    "delete_*",
    "disable_assistant_lora",
    "disable_benchmark",
    "disable_bucket_pruning",
    "disable_tf32",
    "distillation_config",
    "dynamo_*",
    "ema_*",
    "enable_*",
    "eval_*",
    "evaluation_*",
    "feed_forward_*",
    "framerate",
    "freeze_encoder_*",
    "fsdp_*",
    "fully_unload_text_encoder",
    "fuse*",
    "flux_attention_masked_training",
    "flux_guidance_*",
    "flux_lora_target",
    "grad*",
    "group_offload_*",
    "hidream_*",
    "hub_model_id",
    "i_know_what_i_am_doing",
    "ignore_*",
    "image_processing_batch_size",
    "inference_*",
    "init_*",
    "instance_prompt",
    "keep_vae_loaded",
    "layer_freeze_strategy",
    "learning_rate",
    "local_rank",
    "log*",
    "lora_*",
    "lr_*",
    "lycoris_config",
    "lyrics_*",
    "machine_rank",
    "main_process_*",
    "masked_loss_probability",
    "max_*",
    "maximum_image_size",
    "merge_environment_config",
    "metadata_*",
    "minimum_image_size",
    "mixed_precision",
    "model_card_*",
    "model_type",
    "num_*",
    "offload_*",
    "only_instance_prompt",
    "optimizer*",
    "output_dir",
    "override_dataset_config",
    "parquet_*",
    "peft_*",
    "post_*",
    "prepend_instance_prompt",
    "preserve_data_backend_cache",
    "pretrained_*",
    "print_*",
    "prodigy_steps",
    "publishing_config",
    "push_*",
    "quantize_*",
    "ramtorch*",
    "read_batch_size",
    "report_to",
    "resolution*",
    "resume_from_checkpoint",
    "revision",
    "sageattention_usage",
    "same_network",
    "sana_complex_human_instruction",
    "save_*",
    "sd3_*",
    "sdxl_refiner_uses_full_range",
    "seed*",
    "set_grads_to_none",
    "singlora_*",
    "skip_file_discovery",
    "sla_config",
    "t5_padding",
    "target_downsample_size",
    "text_encoder_*",
    "tokenizer_max_length",
    "torch_num_threads",
    "tracker_*",
    "train_text_encoder",
    "training_scheduler_timestep_spacing",
    "tread_config",
    "unet_attention_slice",
    "use_dora",
    "use_ema",
    "user_prompt_library",
    "vae_*",
    "validation_*",
    "variant",
    "wan_*",
    "webhook_*",
    "write_batch_size",
    "ltx_*",
)

TRAINER = Trainer(
    name="simpletuner",
    title="SimpleTuner",
    version="3.1.6 (2025)",
    source="bghira/SimpleTuner",
    scripts=("train", "simpletuner*"),
    options=by_name(
        Option("model_family", "choice", "flux", "the model", choices=FAMILIES),
        Option("model_flavour", "text", "", "variant of the model"),
        Option("prediction_type", "choice", None, "target", choices=PREDICTIONS),
        Option("flow_sigmoid_scale", "number", 1.0, "standard deviation of logit sigma"),
        Option("flow_use_uniform_schedule", "flag", False, "uniform sigma"),
        Option("flow_use_beta_schedule", "flag", False, "Beta-distributed sigma"),
        Option("flow_beta_schedule_alpha", "number", 2.0, "first parameter of Beta"),
        Option("flow_beta_schedule_beta", "number", 2.0, "second parameter of Beta"),
        Option("flux_fast_schedule", "flag", False, "FLUX's four levels"),
        Option("flow_schedule_shift", "number", 3.0, "time shift"),
        Option("flow_schedule_auto_shift", "flag", False, "shift by resolution"),
        Option("snr_gamma", "number", 0.0, "γ of min-SNR", low=0.0),
        Option("use_soft_min_snr", "flag", False, "never used"),
        Option("soft_min_snr_sigma_data", "number", 0.0, "never used"),
        Option("snr_weight", "number", 1.0, "constant factor of the loss"),
        Option("loss_type", "choice", "l2", "kind of loss", choices=LOSSES),
        Option("huber_schedule", "text", "snr", "threshold of the Huber loss by step"),
        Option("huber_c", "number", 0.1, "threshold of the Huber loss"),
        Option("rescale_betas_zero_snr", "flag", False, "zero terminal SNR"),
        Option("timestep_bias_strategy", "choice", "none", "bias of the steps", choices=BIASES),
        Option("timestep_bias_multiplier", "number", 1.0, "factor of the bias"),
        Option("timestep_bias_portion", "number", 0.25, "share of steps", low=0.0, high=1.0),
        Option("timestep_bias_begin", "whole", 0, "first step of a range", low=0),
        Option("timestep_bias_end", "whole", 1000, "end of a range", low=1),
        Option("train_batch_size", "whole", 4, "samples, each with a segment of steps", low=1),
        Option("disable_segmented_timestep_sampling", "flag", False, "independent steps"),
        Option("refiner_training", "flag", False, "train part of the steps"),
        Option("refiner_training_strength", "number", 0.2, "share of steps", low=0.0, high=1.0),
        Option("refiner_training_invert_schedule", "flag", False, "train the other part"),
        Option("distillation_method", "text", "", "another loss"),
        Option("offset_noise", "flag", False, "offset noise"),
        Option("noise_offset", "number", 0.1, "size of the offset noise"),
        Option("noise_offset_probability", "number", 0.25, "share of samples with offset noise"),
        Option("input_perturbation", "number", 0.0, "additional noise of the input"),
        Option("input_perturbation_steps", "whole", 0, "steps with additional noise"),
    ),
    passed_over=PASSED_OVER,
    build=build,
    marks=("model_family", "flow_schedule_*", "flow_sigmoid_scale", "data_backend_config"),
    models=FAMILIES,
)
