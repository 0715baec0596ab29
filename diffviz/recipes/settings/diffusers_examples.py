"""The settings of the training scripts in the examples of Hugging Face diffusers.

What was read: ``training_utils.py`` of diffusers 0.42.1 (2026), and the scripts of ``examples``:
text_to_image, dreambooth, controlnet, flux-control and advanced_diffusion_training. Those for flow
matching were read at these commits: train_dreambooth_lora_flux.py 0050dea, _flux2 04c6304,
_lora_sana 071190d, _lora_lumina2 06b9214, _lora_hidream 02372ba, _lora_qwen_image 02303d1,
_lora_z_image 027e8ee, train_dreambooth_sd3.py 01310e7, train_controlnet_flux.py 01337da,
train_controlnet_sd3.py 0695f81, train_control_lora_flux.py 086bf95.

Scripts for SD and SDXL draw a step of the scheduler's beta table uniformly.

- ``prediction_type`` replaces that of the scheduler. The scheduler itself comes with the model.
- ``snr_gamma`` is min(SNR, gamma)/SNR on the eps error in all scripts. On the v error it is
  min(SNR, gamma)/(SNR + 1) in the scripts of text_to_image, as published, but
  min(SNR, gamma)/SNR + 1 in those of dreambooth, which is never below 1.
- ``timestep_bias_strategy`` is an option of train_text_to_image_sdxl.py alone. It multiplies the
  probability of some steps; "earlier" means less noise, "later" more.
- ``do_edm_style_training`` compares x. With an EDM scheduler there is no weight. With an Euler
  scheduler the weight sigma^−2 makes of it the eps loss on the same levels.

Scripts for flow matching draw u, take the step int(1000 u) of the scheduler's table, and compare
the velocity.

- ``weighting_scheme`` is "logit_normal" by default in all scripts for SD3 and in
  train_controlnet_flux.py, and "none" in the others.
- The scheduler is loaded from the model's repository, as a FlowMatchEulerDiscreteScheduler. Those
  of Sana are configs of another class, whose ``flow_shift`` it does not know: the table stays
  unshifted, while the model samples with shift 3. The script for HiDream sets the shift to 3.
- The table falls, so that a positive ``logit_mean`` means less noise.
- ``logit_mean`` and ``logit_std`` count for "logit_normal" alone, ``mode_scale`` for "mode".
- "sigma_sqrt" and "cosmap" are weights under uniform u.
- Where the scheduler shifts by the resolution (FLUX.1 dev, FLUX.2, Qwen-Image), the table is not
  shifted: training ignores the shift, whatever the resolution.
- ``precondition_outputs`` is an option of the SD3 scripts, 1 by default. The loss compares x then,
  which is sigma² times the velocity error.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffviz.recipes.diffusers import from_diffusers
from diffviz.recipes.settings.draws import STEPS
from diffviz.recipes.settings.kohya import DENSITY_OPTIONS
from diffviz.recipes.settings.levels import (
    STABLE_DIFFUSION,
    beta_logsnr,
    beta_objective,
    drawn_from,
)
from diffviz.recipes.settings.trainer import Option, Reading, Trainer, Values, by_name
from diffviz.theory import multipliers
from diffviz.theory.frames import Curve
from diffviz.theory.objectives import Objective
from diffviz.theory.targets import EPS, V, X

VERSION = "0.42.1, 2026"
SOURCE = "huggingface/diffusers examples"

EDM_SCHEDULER: Mapping[str, Any] = {"_class_name": "EDMEulerScheduler"}  # with its own numbers


def known_model(text: str, patterns: Mapping[str, str]) -> str | None:
    """The model whose pattern a path or repository contains; None if there is none."""
    lower = text.lower()
    return next((model for part, model in patterns.items() if part in lower), None)


# --- tables of betas ------------------------------------------------------------------------------

BETA_MODELS: Mapping[str, str] = {  # prediction type of their schedulers
    "sd1": "epsilon",
    "sd2-base": "epsilon",
    "sd2": "v_prediction",
    "sdxl": "epsilon",
    "playground-v2.5": "edm",
}
BETA_PATTERNS = {  # parts of a repository's name, the first that fits counts
    "playground-v2.5": "playground-v2.5",
    "xl": "sdxl",
    "stable-diffusion-2-1-base": "sd2-base",
    "stable-diffusion-2-base": "sd2-base",
    "stable-diffusion-2": "sd2",
    "stable-diffusion-v1": "sd1",
    "sd-v1": "sd1",
}
TARGETS = {"epsilon": EPS, "v_prediction": V, "sample": X}


def beta_model(values: Values) -> tuple[str, tuple[str, ...]]:
    """The model, and what to note where it had to be assumed."""
    path = values["pretrained_model_name_or_path"]
    named = values.named_model() or known_model(path, BETA_PATTERNS)
    if named is not None:
        return named, ()
    model = "sdxl" if values.script.endswith("xl") else "sd1"
    return model, (f"The scheduler is taken to be that of {model}: model= names another.",)


def snr_weight(values: Values, prediction: str) -> tuple[Curve, str]:
    """The weight of ``snr_gamma`` and its name; "" without one.

    Raises:
        ValueError: The scripts have no weight for this prediction.
    """
    gamma = values["snr_gamma"]
    if gamma is None:
        return multipliers.constant, ""
    words = f"min-SNR-{gamma:g}"
    if prediction == "v_prediction" and values.script.startswith("train_dreambooth"):
        return RaisedMinSNR(multipliers.min_snr(gamma)), f"{words} plus 1"
    return multipliers.min_snr(gamma, TARGETS[prediction].name), words


@dataclass(frozen=True)
class RaisedMinSNR:
    """A weight plus 1.

    Args:
        weight: The weight, a function of λ.
    """

    weight: Curve

    def __call__(self, logsnr: NDArray) -> NDArray:
        """The multiplier at λ in nats, same shape."""
        return self.weight(logsnr) + 1


def step_masses(values: Values) -> NDArray:
    """Probabilities of the steps, up to a constant, shape (1000,).

    Raises:
        ValueError: The bias is no number above 0, or its range is empty.
    """
    mass = np.ones(STEPS)
    strategy = values["timestep_bias_strategy"]
    if strategy == "none":
        return mass
    biased = _biased_steps(values, strategy)
    mass[biased] *= values["timestep_bias_multiplier"]
    return mass


def _biased_steps(values: Values, strategy: str) -> slice:
    """The timesteps that a strategy favours, of which there must be one."""
    if strategy == "range":
        begin, end = values["timestep_bias_begin"], values["timestep_bias_end"]
        if not begin < end:
            raise ValueError(f"timestep_bias_begin={begin} must lie below timestep_bias_end={end}")
        return slice(begin, end)
    portion = values["timestep_bias_portion"]
    number = int(portion * STEPS)
    if number < 1:
        raise ValueError(
            f"timestep_bias_portion={portion} of {STEPS} timesteps is less than one; raise it, or "
            "leave the bias out"
        )
    return slice(0, number) if strategy == "earlier" else slice(STEPS - number, STEPS)


def bias_words(values: Values) -> str:
    """The bias of the steps in words; nothing without one."""
    strategy = values["timestep_bias_strategy"]
    if strategy == "none":
        return ""
    return f", biased to {strategy} steps by {values['timestep_bias_multiplier']:g}"


def noise_notes(values: Values) -> tuple[str, ...]:
    """What to say of options that change the noise."""
    notes = []
    if values["noise_offset"]:
        notes.append(
            f"noise_offset adds a constant of standard deviation {values['noise_offset']:g} to "
            "each channel of the noise; the curve is for the noise without it."
        )
    if values["dream_training"]:
        notes.append(
            "dream_training adds the network's own error to noise and target; the curve is for "
            "the loss without it."
        )
    gamma = values["input_perturbation"]
    if gamma:
        notes.append(
            "input_perturbation adds noise that the target leaves out: the true λ is "
            f"{np.log1p(gamma**2):.2g} lower than that of the curve."
        )
    return tuple(notes)


def edm_reading(values: Values, model: str, notes: tuple[str, ...]) -> Reading:
    """What ``do_edm_style_training`` amounts to."""
    is_edm = BETA_MODELS[model] == "edm"
    found = from_diffusers(dict(EDM_SCHEDULER if is_edm else STABLE_DIFFUSION))
    kind = "x without a weight on Karras's sigmas" if is_edm else "x over sigma², the eps loss"
    clash: tuple[str, ...] = ()
    if values["snr_gamma"] is not None:
        clash = ("snr_gamma contradicts do_edm_style_training: leave one out.",)
    return Reading(
        objective=renamed(found, f"diffusers EDM-style, {model}"),
        sentence=f"The examples of diffusers train {kind}, uniform steps of {model}'s table.",
        notes=(*notes, *noise_notes(values)),
        contradictions=clash,
    )


def renamed(found: Objective, name: str) -> Objective:
    """An objective under a name of these settings."""
    return Objective(
        name=name,
        family="settings",
        year=0,
        source=f"{SOURCE}, {VERSION}",
        path=found.path,
        target=found.target,
        multiplier=found.multiplier,
        law=found.law,
    )


def build_betas(values: Values) -> Reading:
    """The objective of options of the scripts for SD and SDXL.

    Args:
        values: The options.

    Returns:
        The reading.
    """
    model, notes = beta_model(values)
    if BETA_MODELS[model] == "edm" or values["do_edm_style_training"]:
        return edm_reading(values, model, notes)
    prediction = values.get("prediction_type", BETA_MODELS[model])
    weight, words = snr_weight(values, prediction)
    levels = drawn_from(beta_logsnr(STABLE_DIFFUSION), step_masses(values))
    target = TARGETS[prediction]
    weighted = f"with {words}" if words else "without a weight"
    objective = beta_objective(
        f"diffusers {model} {target.name}{' ' if words else ''}{words}",
        f"{SOURCE}, {VERSION}",
        target,
        weight,
        levels,
    )
    return Reading(
        objective=objective,
        sentence=(
            f"The examples of diffusers train {target.name} on {model}'s table of betas"
            f"{bias_words(values)}, {weighted}."
        ),
        notes=(*notes, *noise_notes(values)),
    )


# --- flow matching --------------------------------------------------------------------------------

SHIFTS: Mapping[str, float | None] = {  # of their schedulers; None where it is by the resolution
    "sd3": 3.0,
    "flux": None,
    "flux-schnell": 1.0,
    "flux2": None,
    "qwen-image": None,
    "sana": 1.0,
    "lumina2": 6.0,
    "hidream": 3.0,
    "z-image": 6.0,
    "z-image-turbo": 3.0,
}
FLOW_PATTERNS = {
    "stable-diffusion-3": "sd3",
    "flux.1-schnell": "flux-schnell",
    "flux.2": "flux2",
    "flux.1": "flux",
    "qwen-image": "qwen-image",
    "sana": "sana",
    "lumina-image-2": "lumina2",
    "hidream": "hidream",
    "z-image-turbo": "z-image-turbo",
    "z-image": "z-image",
}
SCRIPT_PATTERNS = {
    "sd3": "sd3",
    "flux2": "flux2",
    "flux": "flux",
    "qwen": "qwen-image",
    "sana": "sana",
    "lumina2": "lumina2",
    "hidream": "hidream",
}
SCHEMES = ("none", "sigma_sqrt", "logit_normal", "mode", "cosmap")
OPTIONS_OF = {"logit_normal": ("logit_mean", "logit_std"), "mode": ("mode_scale",)}


def flow_model(values: Values) -> str:
    """The model by its name, its repository or the script.

    Raises:
        ValueError: None of them tells.
    """
    path = values["pretrained_model_name_or_path"]
    by_path = known_model(path, FLOW_PATTERNS)
    named = values.named_model() or by_path or known_model(values.script, SCRIPT_PATTERNS)
    if named is None:
        raise ValueError(
            f"the scheduler comes with the model, and these settings name none: pass model=, one "
            f"of {', '.join(SHIFTS)}"
        )
    return named


def default_scheme(values: Values, model: str) -> str:
    """The ``weighting_scheme`` of the script where none is given."""
    is_logit_normal = model == "sd3" or values.script == "train_controlnet_flux"
    return "logit_normal" if is_logit_normal else "none"


def build_flow(values: Values) -> Reading:
    """The objective of options of the scripts for flow matching.

    Args:
        values: The options.

    Returns:
        The reading.
    """
    model = flow_model(values)
    shift = SHIFTS[model]
    is_sd3 = model == "sd3"
    scheme = values.get("weighting_scheme", default_scheme(values, model))
    compares_x = is_sd3 and bool(values["precondition_outputs"])
    config = {
        "_class_name": "FlowMatchEulerDiscreteScheduler",
        "num_train_timesteps": STEPS,
        "shift": shift or 1.0,
    }
    options = {name: values[name] for name in OPTIONS_OF.get(scheme, ())}
    found = from_diffusers(config, scheme, precondition_outputs=compares_x, **options)
    error = "x" if compares_x else "the velocity"
    table = "an unshifted table" if shift in (None, 1.0) else f"a table with shift {shift:g}"
    objective = renamed(found, f"diffusers {model} {scheme}")
    return Reading(
        objective=objective,
        sentence=(
            f"The examples of diffusers train {error} on {table} for {model}, "
            f"weighting_scheme {scheme}."
        ),
        notes=tuple(filter(None, (found.note, *flow_notes(values, model, scheme)))),
        no_effect=ignored(values, scheme),
    )


def flow_notes(values: Values, model: str, scheme: str) -> tuple[str, ...]:
    """What to say of the table and of the direction of u."""
    notes = []
    if model == "sana":
        notes.append("The scheduler's flow_shift of 3 is not read in training.")
    if SHIFTS[model] is None:
        notes.append(f"The scheduler of {model} shifts by the resolution; training does not.")
    if scheme == "logit_normal" and values["logit_mean"] != 0:
        notes.append("u indexes a falling table: a positive logit_mean means less noise.")
    return tuple(notes)


def ignored(values: Values, scheme: str) -> tuple[str, ...]:
    """Why options of another scheme have no effect, each a sentence."""
    names = ("logit_mean", "logit_std", "mode_scale")
    return tuple(
        f"{name} has no effect with weighting_scheme={scheme!r}."
        for name in names
        if name in values.given and name not in values.read
    )


# --- what is known of the scripts -----------------------------------------------------------------

WITHOUT_EFFECT = (
    "pretrained_vae*",
    "pretrained_text*",
    "pretrained_tokenizer*",
    "controlnet_*",
    "tokenizer_*",
    "revision",
    "variant",
    "bnb_*",
    "dataset*",
    "image_*",
    "instance_*",
    "class_*",
    "*_column",
    "caption*",
    "with_prior_preservation",
    "prior_loss_weight",
    "*_class_images",
    "*_data_dir",
    "*_dir",
    "*_prompt*",
    "*_images",
    "*_steps",
    "*_epochs",
    "repeats",
    "resolution",
    "aspect_ratio*",
    "center_crop",
    "random_flip",
    "proportion_empty_prompts",
    "train_*",
    "freeze_*",
    "token_abstraction",
    "num_new_tokens_*",
    "initializer_*",
    "use_ema",
    "offload_*",
    "cache_*",
    "foreach_ema",
    "non_ema_revision",
    "*_batch_size",
    "learning_rate",
    "*_lr",
    "lr_*",
    "scale_lr",
    "rank",
    "lora_*",
    "use_dora",
    "use_8bit_adam",
    "optimizer",
    "adam_*",
    "prodigy_*",
    "use_rslora",
    "max_grad_norm",
    "gradient_*",
    "enable_*",
    "allow_tf32",
    "mixed_precision",
    "upcast_before_saving",
    "prior_generation_precision",
    "local_rank",
    "seed",
    "report_to",
    "logging_dir",
    "tracker_*",
    "push_to_hub",
    "hub_*",
    "checkpoint*",
    "resume_from_checkpoint",
    "dataloader_num_workers",
    "set_grads_to_none",
    "max_sequence_length",
    "max_train_samples",
    "guidance_scale",
    "validation_*",
    "skip_final_inference",
    "final_validation_prompt",
    "num_double_layers",
    "num_single_layers",
    "jsonl_for_train",
    "debug_loss",
    "crops_coords_*",
    "output_kohya_format",
    "output_dir",
    "cond_image_column",
    "system_prompt",
    "do_fp8_training",
    "use_*",
    "vae_*",
    "text_encoder_*",
    "with_*",
    "dream_detail_preservation",
    "sample_*",
    "num_vectors",
    "learnable_property",
    "placeholder_token",
    "save_*",
    "upcast_vae",
    "layers_*",
    "alpha*",
    "remote_text_encoder",
    "offload",
    "fsdp_*",
    "log_*",
    "bucket_*",
    "complex_human_instruction",
    "gaussian_init_lora",
    "only_target_transformer_blocks",
    "pre_compute_text_embeddings",
    "skip_save_text_encoder",
    "initial_*",
    "conditioning_dropout_prob",
    "val_image_url",
    "modifier_token",
    "concepts_list",
    "real_prior",
    "hflip",
    "noaug",
    "no_safe_serialization",
    "shuffle_tags",
    "p_drop_tags",
)
MODEL_OPTION = Option("pretrained_model_name_or_path", "text", "", "the model, with its scheduler")
STRATEGIES = ("earlier", "later", "range", "none")

TRAINERS = (
    Trainer(
        name="diffusers",
        title="the examples of diffusers (SD, SDXL)",
        version=VERSION,
        source="huggingface/diffusers",
        scripts=(
            "train_text_to_image*",
            "train_dreambooth",
            "train_dreambooth_lora",
            "train_dreambooth_lora_sdxl*",
            "train_controlnet",
            "train_controlnet_sdxl",
            "train_instruct_pix2pix*",
            "textual_inversion*",
            "train_custom_diffusion",
        ),
        options=by_name(
            MODEL_OPTION,
            Option(
                "prediction_type",
                "choice",
                None,
                "what the network predicts, instead of the scheduler's",
                ("epsilon", "v_prediction"),
            ),
            Option("snr_gamma", "number", None, "gamma of min-SNR", low=1e-12),
            Option(
                "timestep_bias_strategy", "choice", "none", "which steps count more", STRATEGIES
            ),
            Option("timestep_bias_multiplier", "number", 1.0, "how much more", low=1e-12),
            Option("timestep_bias_begin", "whole", 0, "first step of the range", low=0),
            Option("timestep_bias_end", "whole", STEPS, "end of the range", high=STEPS),
            Option("timestep_bias_portion", "number", 0.25, "share of the steps", low=0, high=1),
            Option("do_edm_style_training", "flag", False, "compare x, as EDM does"),
            Option("dream_training", "flag", False, "add the network's own error to the noise"),
            Option("noise_offset", "number", 0.0, "constant noise in each channel"),
            Option("input_perturbation", "number", 0.0, "noise that the target leaves out"),
        ),
        passed_over=WITHOUT_EFFECT,
        build=build_betas,
        models=tuple(BETA_MODELS),
    ),
    Trainer(
        name="diffusers-flow",
        title="the examples of diffusers (flow matching)",
        version=VERSION,
        source="huggingface/diffusers",
        scripts=(
            "train_dreambooth_flux*",
            "train_dreambooth_sd3*",
            "train_dreambooth_lora_flux*",
            "train_dreambooth_lora_sd3*",
            "train_dreambooth_lora_sana*",
            "train_dreambooth_lora_lumina2",
            "train_dreambooth_lora_hidream",
            "train_dreambooth_lora_qwen_image",
            "train_dreambooth_lora_z_image",
            "train_controlnet_flux",
            "train_controlnet_sd3",
            "train_control_flux",
            "train_control_lora_flux",
        ),
        options=by_name(
            MODEL_OPTION,
            Option("weighting_scheme", "choice", None, "law of u, or weight", SCHEMES),
            *DENSITY_OPTIONS,
            Option("precondition_outputs", "whole", 1, "compare x (SD3)", low=0, high=1),
        ),
        passed_over=WITHOUT_EFFECT,
        build=build_flow,
        models=tuple(SHIFTS),
    ),
)
