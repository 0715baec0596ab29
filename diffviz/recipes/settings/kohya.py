"""What the scripts of kohya-ss have in common: options that pass unread, and Huber losses.

For an error d and a threshold c, sd-scripts computes 2c (sqrt(d² + c²) − c) for "huber", which is
d² for small errors, and 2 (sqrt(d² + c²) − c) for "smooth_l1", which is d²/c. The threshold depends
on the timestep by ``huber_schedule``.
"""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from diffviz.recipes.settings.draws import STEPS
from diffviz.recipes.settings.trainer import Option, Values
from diffviz.theory import laws

WITHOUT_EFFECT = (
    "pretrained_model*",
    "dit*",
    "vae*",
    "ae",
    "clip_*",
    "t5*",
    "gemma2*",
    "text_encoder*",
    "*_path",
    "*_dir",
    "*_dtype",
    "*_name",
    "dataset_*",
    "datasets.*",
    "general.*",
    "in_json",
    "reg_*",
    "train_data_*",
    "caption_*",
    "shuffle_caption",
    "keep_tokens*",
    "weighted_captions",
    "max_token_length",
    "resolution",
    "*bucket*",
    "cache_*",
    "color_aug",
    "flip_aug",
    "random_crop",
    "face_crop*",
    "masked_loss",
    "alpha_mask",
    "prior_loss_weight",
    "batch_size",
    "train_batch_size",
    "max_train_*",
    "learning_rate*",
    "*_lr",
    "lr_*",
    "*optimizer*",
    "optimizer*",
    "max_grad_norm",
    "scale_weight_norms",
    "gradient_*",
    "network_*",
    "base_weights*",
    "dim_from_weights",
    "*_dropout*",
    "seed",
    "mixed_precision",
    "full_*",
    "fp8_*",
    "no_half_vae",
    "lowram",
    "highvram",
    "xformers",
    "sdpa",
    "mem_eff_*",
    "flash*",
    "sage_attn",
    "split_*",
    "attn_mode",
    "apply_*_attn_mask",
    "blocks_to_swap",
    "*offload*",
    "compile*",
    "cuda_*",
    "dynamo_*",
    "torch_compile",
    "persistent_data_loader_workers",
    "max_data_loader_n_workers",
    "ddp_*",
    "deepspeed*",
    "save_*",
    "resume*",
    "output_*",
    "log_*",
    "logging_*",
    "wandb_*",
    "sample_*",
    "metadata_*",
    "training_comment",
    "no_metadata",
    "huggingface_*",
    "async_upload",
    "config_file",
    "guidance_scale",
    "v2",
    "task",
    "disable_*",
    "enable_*",
    "bulk_*",
    "train_text_encoder",
    "token_*",
    "class_tokens",
    "init_word",
    "stop_text_encoder_training",
    "no_token_padding",
    "num_cpu_threads_per_process",
    "timestep_boundary",
    "show_timesteps",
    "fused_*",
    "skip_*",
    "clip",
    "image_encoder*",
    "f1",
    "one_frame*",
    "latent_*",
    "edit*",
    "num_layers",
    "model_version",
    "model_type",
    "force_*",
    "use_*",
    "no_*",
    "secondary_separator",
    "debug_dataset",
    "tokenizer_*",
    "train_inpainting",
    "block_lr",
    "diffusers_xformers",
    "prompt*",
    "system_prompt",
    "validation_*",
    "validate_*",
    "max_validation_steps",
    "initial_*",
    "initialize_*",
    "console_*",
    "*blocks_to_swap",
    "weights",
    "controlnet_*",
    "cond_emb_dim",
    "pos_emb_random_crop_rate",
    "num_repeats",
    "is_reg",
    "differential_output_preservation",
    "contrast*",
    "repeats",
    "name",
    "logging",
    "qwen3*",
    "llm_adapter*",
    "byt5",
    "turbo_*",
    "unconditional_dit",
    "sampler_preset",
    "block_swap_*",
    "warn_on_caption_issues",
    "ideogram4_timestep_*",
    "trainable_modules",
    "resize_interpolation",
    "opt_channels_last",
    "zero_stage",
    "zero3_*",
    "fp16_master_*",
    "num_vectors*",
)

HUBER_OPTIONS = (
    Option("loss_type", "choice", "l2", "squared or not", ("l1", "l2", "huber", "smooth_l1")),
    Option(
        "huber_schedule",
        "choice",
        "snr",
        "how the threshold depends on the level",
        ("constant", "exponential", "snr"),
    ),
    Option("huber_c", "number", 0.1, "threshold of the Huber loss", low=1e-12),
    Option("huber_scale", "number", 1.0, "factor on the threshold", low=1e-12),
)
DENSITY_OPTIONS = (
    Option("logit_mean", "number", 0.0, "mean of the logit"),
    Option("logit_std", "number", 1.0, "standard deviation of the logit", low=1e-12),
    Option("mode_scale", "number", 1.29, "scale of mode sampling"),
)


def thresholds(values: Values, logsnr: NDArray) -> NDArray:
    """The threshold c of a Huber loss at each step of a table of betas.

    Args:
        values: The options.
        logsnr: λ of each step in nats, shape (1000,).

    Returns:
        The thresholds, shape (1000,).
    """
    least = values["huber_c"]
    schedule = values["huber_schedule"]
    if schedule == "snr":
        with np.errstate(over="ignore"):
            return (1 - least) / (1 + np.exp(-logsnr / 2)) ** 2 + least
    scale = values["huber_scale"]
    if schedule == "constant":
        return np.full(len(logsnr), least * scale)
    return least ** (np.arange(len(logsnr)) / STEPS) * scale


def loss_notes(kind: str) -> tuple[str, ...]:
    """What to say of a loss that is not squared.

    Args:
        kind: Value of ``loss_type``.

    Returns:
        A sentence, or none for a squared loss.
    """
    if kind == "l2":
        return ()
    if kind == "l1":
        return (
            "loss_type l1 is no squared error: the curve is that of the squared loss with the same "
            "levels and factors.",
        )
    return (
        f"loss_type {kind} is squared for errors below its threshold only: the curve is that of "
        "small errors, and larger ones count less.",
    )


def time_range(values: Values) -> tuple[int, int]:
    """The least and the largest timestep, of 0 to 1000.

    Raises:
        ValueError: The first is not below the second.
    """
    first = values["min_timestep"]
    last = values["max_timestep"]
    if not first < last:
        raise ValueError(f"min_timestep={first} must lie below max_timestep={last}")
    return first, last


def index_law(values: Values, scheme: str) -> Any:
    """Law of u in [0, 1] by the weighting scheme, a frozen SciPy distribution."""
    if scheme == "logit_normal":
        return laws.logit_normal(values["logit_mean"], values["logit_std"])
    if scheme == "mode":
        return laws.mode(values["mode_scale"])
    return stats.uniform()


def tokens_of(values: Values, method: str) -> int:
    """The number of tokens on which a shift depends, given or by the option ``resolution``.

    Args:
        values: The options.
        method: Name of the method that asks for it, for messages.

    Returns:
        The number of tokens.

    Raises:
        ValueError: Neither is given.
    """
    given = values.named_tokens()
    if given is not None:
        return given
    resolution = values["resolution"] if "resolution" in values.options else ""
    sides = [int(side) for side in re.findall(r"\d+", resolution)]
    if not sides:
        raise ValueError(
            f"{method} shifts by the resolution: give tokens=, such as tokens=4096 for 1024 x 1024"
        )
    return (sides[0] // 16) * (sides[-1] // 16)
