"""The settings of DiffSynth-Studio, which trains flow models on a fixed table with a bell weight.

What was read: the package diffsynth 2.1.12 (2026), ``diffusion/flow_match.py``,
``diffusion/loss.py`` and ``diffusion/training_module.py``; the scripts that are no part of it,
``examples/flux/model_training/train.py`` (commit 04da82c) and that of Wan (commit 040e7fd).

- The pipeline of a model has a template. Training sets it to 1,000 sigmas with the template's own
  shift: no option changes it, and the size of images has no effect. Qwen-Image trains with
  mu = 0.8 and LTX-2 as for 4,096 tokens at every resolution.
- Templates with a terminal sigma stretch the table so that its last entry is that one.
- The index is uniform between ``min_timestep_boundary`` and ``max_timestep_boundary``. The table
  falls: a boundary of 0 is *noise*, 1 is data. They are shares of the index, not of sigma.
- The velocity error has the weight exp(−2 (sigma − ½)²) − e^(−½), which is 0 at sigma = 1, and
  there is no option to switch it off.
- The step is cast to the type of the pipeline, before its sigma is looked up. The scripts load
  bfloat16, and no option changes that. So only some of the entries are ever used, and more of the
  draws are pure noise.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from diffviz.checks import require, unknown
from diffviz.recipes.resolution import interpolated_mu
from diffviz.recipes.settings.levels import drawn_from, flow_objective, linear_logsnr, shifted
from diffviz.recipes.settings.trainer import Option, Reading, Trainer, Values, by_name
from diffviz.theory import multipliers

STEPS = 1000
LTX2_MU = interpolated_mu(4096, (1024, 0.95), (4096, 2.05))


@dataclass(frozen=True)
class Template:
    """The table of a family of models.

    Args:
        shift: Time shift.
        last: Last sigma before the shift; the first is 1.
        terminal: Last sigma after a final stretch; None without one.
        models: Parts of model identifiers in lower case that have this template.
    """

    shift: float
    last: float = 1 / STEPS
    terminal: float | None = None
    models: tuple[str, ...] = ()

    def sigmas(self) -> NDArray:
        """The falling table, shape (1000,)."""
        sigma = shifted(np.linspace(1.0, self.last, STEPS), self.shift)
        if self.terminal is None:
            return sigma
        return 1 - (1 - sigma) * (1 - self.terminal) / (1 - sigma[-1])


# where parts of two templates occur in an identifier, the longest counts
TEMPLATES: Mapping[str, Template] = MappingProxyType(
    {
        "FLUX.1": Template(3.0, last=0.003 / 1.002, models=("flux.1", "flux1")),
        "FLUX.2": Template(np.exp(0.8), models=("flux.2", "flux2")),
        "Wan": Template(5.0, models=("wan2", "wan-ai", "wan_video")),
        "Qwen-Image": Template(np.exp(0.8), terminal=0.02, models=("qwen-image", "qwen_image")),
        "Z-Image": Template(3.0, models=("z-image", "z_image")),
        "LTX-2": Template(np.exp(LTX2_MU), terminal=0.1, models=("ltx-2", "ltx2")),
    }
)


def template_of(values: Values) -> str:
    """The template of the model that is trained.

    Raises:
        ValueError: The model is not given, or is none of the known ones.
    """
    named = values.named_model()
    if named is not None:
        if named not in TEMPLATES:
            raise unknown("template of DiffSynth-Studio", named, TEMPLATES)
        return named
    text = f"{values['model_id_with_origin_paths']} {values['model_paths']}".lower()
    matches = {
        part: name
        for name, template in TEMPLATES.items()
        for part in template.models
        if part in text
    }
    require(
        matches,
        "the template of DiffSynth-Studio cannot be told from model_id_with_origin_paths "
        f"{values['model_id_with_origin_paths']!r}: give model=, one of {', '.join(TEMPLATES)}",
    )
    return matches[max(matches, key=len)]


def bfloat16(value: NDArray) -> NDArray:
    """Numbers rounded to bfloat16: 8 bits of significand, ties to even."""
    fraction, exponent = np.frexp(value)
    return np.ldexp(np.round(fraction * 256) / 256, exponent)


def looked_up(sigma: NDArray) -> NDArray:
    """The entries of a table that are used for each index, once its step is a bfloat16.

    Args:
        sigma: The table, shape (T,).

    Returns:
        Index of the entry whose sigma is used, shape (T,).
    """
    steps = (sigma * STEPS).astype(np.float32)  # as the trainer holds them
    rounded = bfloat16(steps)
    return np.abs(steps[None, :] - rounded[:, None]).argmin(axis=1)


def rounding_note(sigma: NDArray, kept: slice) -> str:
    """What the rounding of the step to bfloat16 does to the table."""
    used = sigma[looked_up(sigma)[kept]]
    distinct = len(np.unique(used))
    return (
        "The step is cast to bfloat16 before its sigma is looked up, which is left out here: "
        f"of {len(used)} entries {distinct} are used, and {np.mean(used == 1):.2g} of the draws "
        "are pure noise, where the weight is 0."
    )


def drawn_indices(values: Values) -> slice:
    """The indices that are drawn.

    Raises:
        ValueError: The boundaries leave no index.
    """
    low = values["min_timestep_boundary"]
    high = values["max_timestep_boundary"]
    first = int(low * STEPS)
    last = int(high * STEPS)
    require(
        first < last,
        f"min_timestep_boundary {low:g} leaves no index below max_timestep_boundary {high:g}: "
        "take a smaller minimum",
    )
    return slice(first, last)


def build(values: Values) -> Reading:
    """What settings of DiffSynth-Studio amount to."""
    task = values["task"]
    require(
        task == "sft" or task.startswith("sft:"),
        f"task {task!r} is no plain denoising loss, so that it has no weighting: "
        "only task 'sft' is read",
    )
    name = template_of(values)
    template = TEMPLATES[name]
    sigma = template.sigmas()
    kept = drawn_indices(values)
    mass = np.zeros(STEPS)
    mass[kept] = 1
    levels = drawn_from(linear_logsnr(sigma), mass)
    objective = flow_objective(
        name=f"diffsynth {name}",
        source=f"{TRAINER.source}, {TRAINER.version}",
        levels=levels,
        multiplier=multipliers.bell,
    )
    ends = sigma[kept][[0, -1]]
    return Reading(
        objective=objective,
        sentence=f"Velocity on the linear path, template {name}: uniform index into 1,000 sigmas "
        f"of shift {template.shift:.4g}, from {ends[0]:.4g} to {ends[1]:.4g}, bell weight.",
        notes=notes_of(values, sigma, kept) + levels.notes,
    )


def notes_of(values: Values, sigma: NDArray, kept: slice) -> tuple[str, ...]:
    """What one should know about the table and its boundaries."""
    notes: tuple[str, ...] = (
        "The shift is that of the template at every resolution; no option changes it.",
        rounding_note(sigma, kept),
    )
    if values.has("min_timestep_boundary") or values.has("max_timestep_boundary"):
        notes += (
            "The boundaries are shares of the index into a falling table: 0 is noise, 1 is data.",
        )
    return notes


PASSED_OVER = (
    "dataset_*",
    "data_file_keys",
    "height",
    "width",
    "max_pixels",
    "num_frames",
    "extra_inputs",
    "fp8_models",
    "offload_models",
    "resume_from_checkpoint",
    "quant_options",
    "learning_rate",
    "num_epochs",
    "trainable_models",
    "find_unused_parameters",
    "weight_decay",
    "customized_optimizer",
    "output_path",
    "remove_prefix_in_ckpt",
    "save_steps",
    "lora_*",
    "preset_lora_*",
    "use_gradient_checkpointing*",
    "gradient_accumulation_steps",
    "template_model_id_or_path",
    "enable_*",
    "cpu_offload_*",
    "swanlab_*",
    "wandb_*",
    "dmd2_*",
    "tokenizer_path",
    "*_tokenizer_path",
    "*_processor_path",
    "initialize_model_on_cpu",
    "align_to_opensource_format",
    "zero_cond_t",
)

TRAINER = Trainer(
    name="diffsynth",
    title="DiffSynth-Studio",
    version="2.1.12 (2026)",
    source="modelscope/DiffSynth-Studio",
    scripts=("train",),
    options=by_name(
        Option("model_id_with_origin_paths", "text", "", "the models that are loaded"),
        Option("model_paths", "text", "", "files of the models that are loaded"),
        Option("task", "text", "sft", "kind of training"),
        Option("min_timestep_boundary", "number", 0.0, "first index as a share", low=0.0, high=1.0),
        Option("max_timestep_boundary", "number", 1.0, "last index as a share", low=0.0, high=1.0),
    ),
    passed_over=PASSED_OVER,
    build=build,
    marks=("model_id_with_origin_paths", "remove_prefix_in_ckpt", "*_timestep_boundary"),
    models=tuple(TEMPLATES),
)
