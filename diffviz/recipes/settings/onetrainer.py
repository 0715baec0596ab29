"""The settings of OneTrainer, for diffusion models with a table of β and for flow models.

What was read: OneTrainer (2025, commits 0ad2768 and 03cae2b), ``ModelSetupNoiseMixin.py`` (again
at cca49eb), ``ModelSetupDiffusionLossMixin.py`` (again at b7dce13),
``ModelSetupFlowMatchingMixin.py`` (again at a44df08), ``QwenModel.py`` (commit 0cfed03), and the
law BETA of pull request 1225 (2026), which is merged, in copies of the repository that hold it.

- An index is drawn from 0 to 999, where 999 is noise. A flow model trains at sigma =
  (index + 1)/1000: the table *rises*, so that a positive ``noising_bias`` means more noise.
- UNIFORM, LOGIT_NORMAL, HEAVY_TAIL and BETA are drawn between the two strengths and then shifted.
  Since the shift comes last, it moves the two ends too.
- COS_MAP, SIGMOID and INVERTED_PARABOLA are weights on the indices between the strengths, and
  their shift stays between the ends. SIGMOID applies the inverse shift twice to its argument.
- The scale of LOGIT_NORMAL is ``noising_weight`` + 1. Of HEAVY_TAIL it is ``noising_weight``.
- BETA is Beta(``noising_weight``, ``noising_bias``), where 0.0001 replaces what is smaller. The
  defaults are 0, with which nearly every draw lies at one of the two ends. With a bias of 1, a
  weight below 1 favours little noise.
- ``dynamic_timestep_shifting`` takes exp(mu), and mu lies on the line of the checkpoint's
  scheduler over the number of tokens, for FLUX and for Qwen alike.
- SIGMA takes the weight from the same rising table as the noise, which is read here. Before (commit
  03cae2b) it took the entry of this index from the scheduler's table, which *falls* and holds the
  scheduler's own shift: there the weight was least at pure noise.
- ``timestep_shift`` acts on models with a table of β, too.
- Flow models know the weights CONSTANT and SIGMA, the others all but SIGMA. What does not apply is
  ignored (since pull request 1123 of November 2025 it stops with an error).
- With v-prediction min-SNR is over SNR + 1, debiased is 1/sqrt(min(SNR, 1000) + 1), and P2 is
  (2 + SNR)^−γ: 1 is added twice.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.special import expit

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
    uniform,
    unshifted,
)
from diffviz.recipes.settings.trainer import Option, Reading, Trainer, Values, by_name
from diffviz.theory import laws, multipliers
from diffviz.theory.frames import Curve
from diffviz.theory.frames import levels as checked_levels
from diffviz.theory.objectives import Objective
from diffviz.theory.targets import EPS, Target, V

STEPS = 1000
RISING_TABLE = (np.arange(STEPS) + 1) / STEPS

BETAS = MappingProxyType(
    {
        "STABLE_DIFFUSION_1": STABLE_DIFFUSION,
        "STABLE_DIFFUSION_2": STABLE_DIFFUSION,
        "STABLE_DIFFUSION_XL": STABLE_DIFFUSION,
        "PIXART": STABLE_DIFFUSION
        | {"beta_schedule": "linear", "beta_start": 0.0001, "beta_end": 0.02},
    }
)
FLOWS = (
    "STABLE_DIFFUSION_3",
    "FLUX",
    "SANA",
    "HUNYUAN_VIDEO",
    "HI_DREAM",
    "CHROMA",
    "QWEN",
    "Z_IMAGE",
)
# points of the line of mu over the number of tokens, from the scheduler of the checkpoint
DYNAMIC_SHIFTS = MappingProxyType(
    {"FLUX_DEV": ((256, 0.5), (4096, 1.15)), "QWEN": ((256, 0.5), (8192, 0.9))}
)
V_MODELS = ("STABLE_DIFFUSION_20", "STABLE_DIFFUSION_21")

DISTRIBUTIONS = (
    "UNIFORM",
    "SIGMOID",
    "LOGIT_NORMAL",
    "HEAVY_TAIL",
    "COS_MAP",
    "INVERTED_PARABOLA",
    "BETA",
)
LEAST_BETA = 1e-4  # of either parameter of BETA
LOSS_WEIGHTS = ("CONSTANT", "MIN_SNR_GAMMA", "DEBIASED_ESTIMATION", "P2", "SIGMA")


@dataclass(frozen=True)
class DebiasedOnV:
    """1/sqrt(min(SNR, cap) + 1), OneTrainer's debiased weight on the v error.

    Args:
        cap: Largest SNR that counts.
    """

    cap: float

    def __call__(self, logsnr: ArrayLike) -> NDArray:
        """The multiplier at λ in nats, same shape."""
        level = checked_levels(logsnr)
        return (np.minimum(np.exp(level), self.cap) + 1) ** -0.5


def sigma_weight(logsnr: ArrayLike) -> NDArray:
    """The sigma of the linear path, as a multiplier.

    Args:
        logsnr: λ in nats, any shape.

    Returns:
        The multiplier, same shape.
    """
    return expit(-checked_levels(logsnr) / 2)


# --- the indices that are drawn ------------------------------------------------------------------


def cos_map(x: NDArray, values: Values, shift: float) -> NDArray:
    """Weights of COS_MAP at points of [0, 1], before the shift's derivative."""
    return 2 / (np.pi * (1 - 2 * x + 2 * x**2))


def sigmoid(x: NDArray, values: Values, shift: float) -> NDArray:
    """Weights of SIGMOID, at points to which the inverse shift is applied once more."""
    return expit(values["noising_weight"] * (unshifted(x, shift) - values["noising_bias"] - 0.5))


def inverted_parabola(x: NDArray, values: Values, shift: float) -> NDArray:
    """Weights of INVERTED_PARABOLA, 2 − weight (x − ½ − bias)², at least 0."""
    squares = (x - values["noising_bias"] - 0.5) ** 2
    return np.maximum(2 - values["noising_weight"] * squares, 0)


INDEX_WEIGHTS: Mapping[str, Callable[[NDArray, Values, float], NDArray]] = MappingProxyType(
    {
        "COS_MAP": cos_map,
        "SIGMOID": sigmoid,
        "INVERTED_PARABOLA": inverted_parabola,
    }
)


def law_between(values: Values, distribution: str) -> Any:
    """The law on [0, 1] that is drawn before the shift, a frozen SciPy distribution."""
    if distribution == "LOGIT_NORMAL":
        return laws.logit_normal(values["noising_bias"], values["noising_weight"] + 1)
    if distribution == "HEAVY_TAIL":
        return laws.mode(values["noising_weight"])
    if distribution == "BETA":
        alpha = max(values["noising_weight"], LEAST_BETA)
        return stats.beta(alpha, max(values["noising_bias"], LEAST_BETA))
    return uniform()


def drawn_mass(values: Values, shift: float) -> NDArray:
    """Probabilities of the indices, up to a constant.

    Args:
        values: The settings.
        shift: Time shift.

    Returns:
        Probability of each index, shape (1000,).

    Raises:
        ValueError: The strengths leave no index.
    """
    first = int(STEPS * values["min_noising_strength"])
    last = int(STEPS * values["max_noising_strength"])
    require(
        first < last,
        f"min_noising_strength {values['min_noising_strength']:g} must be below "
        f"max_noising_strength {values['max_noising_strength']:g}",
    )
    distribution = values["timestep_distribution"]
    if distribution in INDEX_WEIGHTS:
        # the weights stand on a grid with both ends, one point for each index
        grid = np.linspace(0, 1, last - first)
        slope = shift / (shift + grid - shift * grid) ** 2
        mass = np.zeros(STEPS)
        weight = INDEX_WEIGHTS[distribution]
        mass[first:last] = weight(unshifted(grid, shift), values, shift) * slope
        return mass
    edges = unshifted(np.arange(STEPS + 1) / STEPS, shift) * STEPS
    return laws.probabilities(law_between(values, distribution), (edges - first) / (last - first))


def shift_of(values: Values, model: str) -> float:
    """The time shift, fixed or by the number of tokens.

    Raises:
        ValueError: The shift by resolution of this model is not known, or there are no tokens.
    """
    if not values["dynamic_timestep_shifting"]:
        return positive(values["timestep_shift"], "timestep_shift")
    points = [points for name, points in DYNAMIC_SHIFTS.items() if model.startswith(name)]
    require(
        points,
        f"dynamic_timestep_shifting of {model} is not known here, only of "
        f"{', '.join(DYNAMIC_SHIFTS)}: give timestep_shift and switch it off",
    )
    tokens = values.named_tokens()
    require(
        tokens is not None,
        "dynamic_timestep_shifting depends on the resolution: give tokens=, which is "
        "(height/16) · (width/16)",
    )
    return shift_on_line(positive(tokens, "tokens"), *points[0])


# --- the objective -------------------------------------------------------------------------------


def diffusion_weight(values: Values, target: Target) -> Curve:
    """The weight of the loss of a model with a table of β, on the error of its target."""
    name = values["loss_weight_fn"]
    if name == "MIN_SNR_GAMMA":
        return multipliers.min_snr(values["loss_weight_strength"], target.name)
    if name == "DEBIASED_ESTIMATION":
        return DebiasedOnV(1000.0) if target == V else multipliers.debiased(1000.0)
    if name == "P2":
        return multipliers.p2(values["loss_weight_strength"], k=2.0 if target == V else 1.0)
    return multipliers.constant


def target_of(values: Values, model: str) -> Target:
    """What a model with a table of β predicts."""
    if values["force_v_prediction"]:
        return V
    if values["force_epsilon_prediction"]:
        return EPS
    is_v = model.startswith(V_MODELS) and not model.endswith("BASE")
    return V if is_v else EPS


def contradictions_of(values: Values) -> tuple[str, ...]:
    """Options that cannot both hold."""
    if values["force_v_prediction"] and values["force_epsilon_prediction"]:
        return ("force_v_prediction and force_epsilon_prediction contradict each other: keep one",)
    return ()


def notes_of_noise(values: Values) -> tuple[str, ...]:
    """What to say of changes of the noise and of the loss, which no weighting holds."""
    notes: tuple[str, ...] = ()
    if values["offset_noise_weight"] > 0:
        notes += ("Offset noise makes the noise of a channel's mean larger; it is left out.",)
    weight = values["perturbation_noise_weight"]
    if weight > 0:
        moved = np.log1p(weight**2)
        notes += (
            f"perturbation_noise_weight adds noise that the target holds too: the true λ lies "
            f"{moved:.3g} lower; it is left out.",
        )
    others = ("mae_strength", "log_cosh_strength", "huber_strength")
    parts = [name for name in others if values[name] != 0]
    require(
        values["mse_strength"] != 0,
        "mse_strength is 0, and a weighting is that of a squared error: give it a strength",
    )
    if parts:
        notes += (f"{' and '.join(parts)} add losses that are not squared; they are left out.",)
    return notes


def note_on_beta(values: Values) -> tuple[str, ...]:
    """What to say of parameters of BETA that are replaced, as those that are not given are."""
    small = [name for name in ("noising_weight", "noising_bias") if values[name] < LEAST_BETA]
    if not small:
        return ()
    return (
        f"BETA replaces {' and '.join(small)} by {LEAST_BETA:g}: nearly every draw lies at an end.",
    )


def flow_part(values: Values, model: str, mass: NDArray) -> tuple[Objective, str, Levels]:
    """The objective of a flow model, what its loss compares in words, and its levels."""
    levels = drawn_from(linear_logsnr(RISING_TABLE), mass)
    weighted = values["loss_weight_fn"] == "SIGMA"
    objective = flow_objective(
        name=f"onetrainer {model}",
        source=f"{TRAINER.source}, {TRAINER.version}",
        levels=levels,
        multiplier=sigma_weight if weighted else multipliers.constant,
    )
    words = "velocity on the linear path" + (", weighted by sigma" if weighted else "")
    return objective, words, levels


def diffusion_part(
    values: Values, model: str, config: Mapping[str, Any], mass: NDArray
) -> tuple[Objective, str, Levels]:
    """The objective of a model with a table of β, what its loss compares, and its levels."""
    rescaled = values["rescale_noise_scheduler_to_zero_terminal_snr"]
    logsnr = beta_logsnr(dict(config) | {"rescale_betas_zero_snr": rescaled})
    levels = drawn_from(logsnr, mass)
    target = target_of(values, model)
    objective = beta_objective(
        name=f"onetrainer {model}",
        source=f"{TRAINER.source}, {TRAINER.version}",
        target=target,
        multiplier=diffusion_weight(values, target),
        levels=levels,
    )
    words = f"{target.name} on the model's table of β"
    if rescaled:
        words += " with zero terminal SNR"
    if values["loss_weight_fn"] not in ("CONSTANT", "SIGMA"):
        words += f", weighted by {values['loss_weight_fn']}"
    return objective, words, levels


def without_effect(values: Values, is_flow: bool) -> tuple[str, ...]:
    """What to say of a weight that the kind of model does not know."""
    name = values["loss_weight_fn"]
    known = ("CONSTANT", "SIGMA") if is_flow else LOSS_WEIGHTS[:-1]
    if name in known:
        return ()
    kind = "flow models" if is_flow else "models with a table of β"
    return (f"loss_weight_fn {name} has no effect on {kind}, which know {', '.join(known)}.",)


def build(values: Values) -> Reading:
    """What settings of OneTrainer amount to."""
    model = (values.named_model() or values["model_type"]).upper()
    configs = [config for name, config in BETAS.items() if model.startswith(name)]
    is_flow = model.startswith(FLOWS)
    require(
        is_flow or configs,
        f"model_type {model} is not known here: one that starts with {', '.join((*BETAS, *FLOWS))}",
    )
    shift = shift_of(values, model)
    mass = drawn_mass(values, shift)
    if is_flow:
        objective, words, levels = flow_part(values, model, mass)
    else:
        objective, words, levels = diffusion_part(values, model, configs[0], mass)
    moved = f", shift {shift:.4g}" if shift != 1 else ""
    notes = levels.notes
    if values["timestep_distribution"] == "SIGMOID" and shift != 1:
        notes += ("SIGMOID applies the inverse of the shift twice to its argument.",)
    if values["timestep_distribution"] == "BETA":
        notes += note_on_beta(values)
    if is_flow and values["loss_weight_fn"] == "SIGMA":
        notes += (
            "Before November 2025 SIGMA took its weights from the scheduler's falling table, in "
            "reverse: least at pure noise.",
        )
    return Reading(
        objective=objective,
        sentence=f"{model}: {words}, {values['timestep_distribution']} index{moved}.",
        notes=notes + notes_of_noise(values),
        no_effect=without_effect(values, is_flow),
        contradictions=contradictions_of(values),
    )


PASSED_OVER = (
    "extra_model_name",
    "circular_mask_generation",
    "random_rotate_and_crop",
    "latent_caching*",
    "weight_decay",
    "train_text_encoder*",
    "train_unet*",
    "unet_learning_rate",
    "token_count",
    "initial_embedding_text",
    "__version",
    "training_method",
    "debug_*",
    "workspace_dir",
    "cache_dir",
    "tensorboard*",
    "validation*",
    "validate_*",
    "continue_*",
    "include_*",
    "multi_gpu",
    "device_indexes",
    "gradient_*",
    "fused_gradient_reduce",
    "async_*",
    "base_model_name",
    "output_*",
    "*_dtype",
    "compile",
    "enable_*",
    "layer_*",
    "force_circular_padding",
    "train_device",
    "temp_device",
    "concept*",
    "aspect_ratio_bucketing",
    "latent_caching",
    "clear_cache_before_training",
    "learning_rate*",
    "custom_learning_rate_scheduler",
    "scheduler_params*",
    "epochs",
    "batch_size",
    "ema*",
    "dataloader_threads",
    "resolution",
    "frames",
    "masked_training",
    "unmasked_*",
    "normalize_masked_area_loss",
    "masked_prior_preservation_weight",
    "loss_scaler",
    "clip_grad_norm",
    "dropout_probability",
    "unet.*",
    "prior.*",
    "transformer*",
    "text_encoder*",
    "vae.*",
    "effnet_encoder.*",
    "decoder*",
    "quantization.*",
    "embedding*",
    "additional_embeddings*",
    "cloud.*",
    "peft_type",
    "lora_*",
    "lokr_*",
    "oft_*",
    "bundle_additional_embeddings",
    "optimizer*",
    "sample*",
    "samples*",
    "non_ema_sampling",
    "backup_*",
    "rolling_backup*",
    "save_*",
    "align_prop*",
    "attention_mechanism",
    "preserve_embedding_norm",
    "coft_eps",
    "seed",
    "custom_conditioning_image",
    "only_cache",
    "preservation*",
    "secrets.*",
)

TRAINER = Trainer(
    name="onetrainer",
    title="OneTrainer",
    version="commit 0ad2768 (2025)",
    source="Nerogar/OneTrainer",
    scripts=(),
    options=by_name(
        Option("model_type", "text", "STABLE_DIFFUSION_15", "the model"),
        Option(
            "timestep_distribution", "choice", "UNIFORM", "law of the index", choices=DISTRIBUTIONS
        ),
        Option("noising_weight", "number", 0.0, "width or slope of the law"),
        Option("noising_bias", "number", 0.0, "centre of the law"),
        Option("min_noising_strength", "number", 0.0, "least share of steps", low=0.0, high=1.0),
        Option("max_noising_strength", "number", 1.0, "largest share of steps", low=0.0, high=1.0),
        Option("timestep_shift", "number", 1.0, "time shift"),
        Option("dynamic_timestep_shifting", "flag", False, "shift by resolution"),
        Option("loss_weight_fn", "choice", "CONSTANT", "weight", choices=LOSS_WEIGHTS),
        Option("loss_weight_strength", "number", 5.0, "γ of min-SNR and P2"),
        Option("force_v_prediction", "flag", False, "predict v"),
        Option("force_epsilon_prediction", "flag", False, "predict eps"),
        Option("rescale_noise_scheduler_to_zero_terminal_snr", "flag", False, "zero terminal SNR"),
        Option("offset_noise_weight", "number", 0.0, "offset noise"),
        Option("generalized_offset_noise", "flag", False, "offset noise by step"),
        Option("perturbation_noise_weight", "number", 0.0, "additional noise"),
        Option("mse_strength", "number", 1.0, "factor of the squared error"),
        Option("mae_strength", "number", 0.0, "factor of the absolute error"),
        Option("log_cosh_strength", "number", 0.0, "factor of log cosh"),
        Option("huber_strength", "number", 0.0, "factor of the Huber loss"),
        Option("huber_delta", "number", 1.0, "threshold of the Huber loss"),
        Option("vb_loss_strength", "number", 0.0, "factor of the variational bound"),
    ),
    passed_over=PASSED_OVER,
    build=build,
    marks=("timestep_distribution", "noising_weight", "noising_bias", "loss_weight_fn"),
    models=(
        "STABLE_DIFFUSION_15",
        "STABLE_DIFFUSION_21",
        "STABLE_DIFFUSION_XL_10_BASE",
        "PIXART_SIGMA",
        "STABLE_DIFFUSION_3",
        "STABLE_DIFFUSION_35",
        "FLUX_DEV_1",
        "CHROMA_1",
        "QWEN",
        "Z_IMAGE",
    ),
)
