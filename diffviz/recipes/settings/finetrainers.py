"""The settings of finetrainers, which trains video models by flow matching, and CogVideoX.

What was read: the package finetrainers 0.2.0 (2025), ``utils/diffusion.py``,
``trainer/sft_trainer/trainer.py`` and ``models/*/base_specification.py``.

- Flow models use a ``FlowMatchEulerDiscreteScheduler`` with its default config, whatever the
  checkpoint says: 1,000 sigmas from 1 to 0.001, shift 1.
- u is drawn uniformly, logit-normal or by mode, and the level is entry int(1000 u) of that table.
  The table falls, so that a positive ``flow_logit_mean`` means *less* noise.
- ``flow_shift``, ``flow_resolution_shifting`` and the four options of the latter are parsed and
  never used: the functions that would shift are not called.
- "sigma_sqrt" and "cosmap" are weights of the loss under uniform u, as in the examples of
  diffusers: sigma^−2 and CosMap's density.
- CogView4 shifts sigma itself by the number of tokens n, by sqrt(n/256) · 0.75 + 0.25, and takes
  the weight at the shifted sigma.
- CogVideoX draws a step of its beta table uniformly, whatever ``flow_weighting_scheme`` says. The
  network predicts v, the loss compares x, and the weight 1/(1 − alpha²) makes of that the plain
  v loss.
"""

from typing import Any

import numpy as np

from diffviz.checks import positive
from diffviz.recipes.diffusers import from_diffusers
from diffviz.recipes.settings.levels import (
    Levels,
    drawn_from,
    flow_objective,
    index_masses,
    linear_logsnr,
    shifted,
    uniform,
)
from diffviz.recipes.settings.trainer import Option, Reading, Trainer, Values, by_name
from diffviz.theory import laws, multipliers
from diffviz.theory.frames import Curve

STEPS = 1000
FALLING_TABLE = (STEPS - np.arange(STEPS)) / STEPS

MODELS = ("cogvideox", "cogview4", "flux", "hunyuan_video", "ltx_video", "wan")
SCHEMES = ("none", "logit_normal", "mode", "cosmap", "sigma_sqrt")
WEIGHTS: dict[str, Curve] = {"cosmap": multipliers.cosmap, "sigma_sqrt": multipliers.sigma_sqrt}

COGVIDEOX = {  # scheduler of CogVideoX-5b; that of CogVideoX-2b has snr_shift_scale 3
    "_class_name": "CogVideoXDDIMScheduler",
    "num_train_timesteps": STEPS,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "rescale_betas_zero_snr": True,
    "prediction_type": "v_prediction",
}


def law_of_u(values: Values, scheme: str) -> Any:
    """The law of u in [0, 1], a frozen SciPy distribution."""
    if scheme == "logit_normal":
        return laws.logit_normal(values["flow_logit_mean"], values["flow_logit_std"])
    if scheme == "mode":
        return laws.mode(values["flow_mode_scale"])
    return uniform()


def cogview4_shift(tokens: int | None) -> float:
    """The shift of CogView4 for a number of tokens.

    Raises:
        ValueError: The number of tokens is not given.
    """
    if tokens is None:
        raise ValueError(
            "finetrainers shifts the levels of CogView4 by the number of tokens: give tokens=, "
            "for example tokens=4096 for images of 1024 x 1024"
        )
    return float(np.sqrt(positive(tokens, "tokens") / 256) * 0.75 + 0.25)


def flow_levels(values: Values, scheme: str, shift: float) -> Levels:
    """The levels of flow matching after a shift."""
    sigma = shifted(FALLING_TABLE, shift)
    return drawn_from(linear_logsnr(sigma), index_masses(law_of_u(values, scheme), STEPS))


def flow_reading(values: Values, model: str) -> Reading:
    """What the settings of a flow model amount to."""
    scheme = values["flow_weighting_scheme"]
    shift = cogview4_shift(values.named_tokens()) if model == "cogview4" else 1.0
    levels = flow_levels(values, scheme, shift)
    objective = flow_objective(
        name=f"finetrainers {model} {scheme}",
        source=f"{TRAINER.source}, {TRAINER.version}",
        levels=levels,
        multiplier=WEIGHTS.get(scheme, multipliers.constant),
    )
    drawn = "uniform" if scheme in ("none", *WEIGHTS) else scheme.replace("_", "-")
    weight = f", weighted by {scheme}" if scheme in WEIGHTS else ""
    moved = f", shift {shift:.4g}" if shift != 1 else ""
    notes = levels.notes
    if scheme == "logit_normal" and values["flow_logit_mean"] != 0:
        notes += (
            "u counts a falling table of sigma: a positive flow_logit_mean means less noise.",
        )
    return Reading(
        objective=objective,
        sentence=f"Velocity on the linear path, {drawn} index into 1,000 sigmas{moved}{weight}.",
        notes=notes,
        no_effect=never_used(values),
    )


def never_used(values: Values) -> tuple[str, ...]:
    """What to say of options for shifting that were given."""
    return tuple(
        f"{name} is parsed and never used: this version shifts no sigma."
        for name in SHIFT_OPTIONS
        if values.has(name)
    )


def cogvideox_reading(values: Values) -> Reading:
    """What the settings of CogVideoX amount to."""
    checkpoint = values["pretrained_model_name_or_path"]
    scale = 3.0 if "2b" in checkpoint.lower() else 1.0
    objective = from_diffusers(COGVIDEOX | {"snr_shift_scale": scale})
    no_effect = tuple(
        f"{name} has no effect: CogVideoX draws the steps of its beta table uniformly."
        for name in ("flow_weighting_scheme", "flow_logit_mean", "flow_logit_std")
        if values.has(name)
    )
    return Reading(
        objective=objective,
        sentence="CogVideoX: v on its beta table with zero terminal SNR, "
        f"snr_shift_scale {scale:g}, uniform steps; the x loss over 1 − alpha² is the v loss.",
        notes=(objective.note,) if objective.note else (),
        no_effect=no_effect + never_used(values),
    )


def build(values: Values) -> Reading:
    """What settings of finetrainers amount to."""
    model = values.named_model() or values["model_name"]
    if model == "cogvideox":
        return cogvideox_reading(values)
    return flow_reading(values, model)


SHIFT_OPTIONS = (
    "flow_shift",
    "flow_resolution_shifting",
    "flow_base_seq_len",
    "flow_max_seq_len",
    "flow_base_shift",
    "flow_max_shift",
)

PASSED_OVER = (
    "model_type",
    "revision",
    "variant",
    "cache_dir",
    "*_id",
    "*_dtype",
    "*_steps",
    "*_dir",
    "*_config",
    "*_type",
    "layerwise_*",
    "enable_*",
    "dataset*",
    "data_root",
    "dataloader_*",
    "pin_memory",
    "batch_size",
    "precompute_*",
    "precomputation_*",
    "caption_*",
    "id_token",
    "image_resolution_buckets",
    "video_*",
    "gradient_*",
    "checkpointing_*",
    "resume_from_checkpoint",
    "optimizer*",
    "lr*",
    "beta1",
    "beta2",
    "beta3",
    "weight_decay",
    "epsilon",
    "max_grad_norm",
    "seed",
    "rank",
    "lora_alpha",
    "target_modules",
    "train_*",
    "control_*",
    "frame_conditioning_*",
    "validation_*",
    "tracker*",
    "push_to_hub",
    "hub_*",
    "report_to",
    "logging_*",
    "nccl_timeout",
    "init_timeout",
    "parallel_backend",
    "attn_provider_*",
    "compile_*",
    "*_degree",
    "dp_*",
    "pp_*",
    "tp_*",
    "cp_*",
    "verbose",
    "allow_tf32",
    "float32_matmul_precision",
    "list_models",
    "max_data_samples",
)

TRAINER = Trainer(
    name="finetrainers",
    title="finetrainers",
    version="0.2.0 (2025)",
    source="a-r-r-o-w/finetrainers",
    scripts=("train",),
    options=by_name(
        Option("model_name", "choice", "ltx_video", "the model", choices=MODELS),
        Option("pretrained_model_name_or_path", "text", "", "the checkpoint"),
        Option("flow_weighting_scheme", "choice", "none", "law of u or weight", choices=SCHEMES),
        Option("flow_logit_mean", "number", 0.0, "mean of logit u"),
        Option("flow_logit_std", "number", 1.0, "standard deviation of logit u", low=0.0),
        Option("flow_mode_scale", "number", 1.29, "scale of mode sampling"),
        Option("flow_shift", "number", 1.0, "time shift; never used"),
        Option("flow_resolution_shifting", "flag", False, "shift by resolution; never used"),
        Option("flow_base_seq_len", "whole", 256, "of resolution shifting; never used"),
        Option("flow_max_seq_len", "whole", 4096, "of resolution shifting; never used"),
        Option("flow_base_shift", "number", 0.5, "of resolution shifting; never used"),
        Option("flow_max_shift", "number", 1.15, "of resolution shifting; never used"),
    ),
    passed_over=PASSED_OVER,
    build=build,
    marks=("flow_weighting_scheme", "flow_logit_*", "flow_mode_scale", "flow_shift"),
    models=MODELS,
)
