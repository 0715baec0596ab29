"""The settings of kohya-ss/sd-scripts for SD 1.x, 2.x and SDXL, which train on a table of betas.

What was read: ``train_network.py`` (commit 0010c81) with the functions that it calls in
``library/custom_train_functions.py`` and ``library/train_util.py``, the branch main of 2025.

- The scheduler is fixed: 1,000 steps with scaled-linear betas from 0.00085 to 0.012, for every
  model. ``v2`` changes no level.
- A step is drawn uniformly from ``min_timestep`` to ``max_timestep`` − 1.
- ``min_snr_gamma``, ``scale_v_pred_loss_like_noise_pred``, ``v_pred_like_loss`` and
  ``debiased_estimation_loss`` multiply: none excludes the others.
- Debiased estimation is 1/sqrt(min(SNR, 1000)) on the eps error, but 1/(min(SNR, 1000) + 1) on the
  v error. Older versions (commit 0329bea) take the first for both.
- The SNR that the weights use is taken from the table *before* ``zero_terminal_snr`` mends it. The
  weights belong to the old levels, the noise to the new ones.
- ``noise_offset`` and ``multires_noise_iterations`` change the noise and the target alike.
  ``ip_noise_gamma`` changes the noise and leaves the target.
"""

import numpy as np
from numpy.typing import NDArray

from diffviz.recipes.settings.draws import STEPS, on_levels
from diffviz.recipes.settings.kohya import HUBER_OPTIONS, WITHOUT_EFFECT, loss_notes, thresholds
from diffviz.recipes.settings.levels import (
    STABLE_DIFFUSION,
    beta_logsnr,
    beta_objective,
    drawn_from,
)
from diffviz.recipes.settings.trainer import Option, Reading, Trainer, Values, by_name
from diffviz.theory.targets import EPS, V

VERSION = "main, 2025, commit 0010c81"
SOURCE = "kohya-ss/sd-scripts"
MOST_SNR = 1000.0  # where debiased estimation and the v-prediction weights cap the SNR


def scaled_snr(snr: NDArray) -> NDArray:
    """SNR/(SNR + 1) with the SNR capped at 1000, which turns a v loss into an eps loss."""
    capped = np.minimum(snr, MOST_SNR)
    return capped / (capped + 1)


def factors(values: Values, snr: NDArray, is_v: bool) -> NDArray:
    """The factor on the target's squared error at each step.

    Args:
        values: The options.
        snr: SNR of each step of the table before it is mended, shape (1000,).
        is_v: Whether the target is v.

    Returns:
        The factors, shape (1000,).
    """
    factor = np.ones(len(snr))
    gamma = values["min_snr_gamma"]
    if gamma:
        factor *= np.minimum(snr, gamma) / (snr + 1 if is_v else snr)
    if values["scale_v_pred_loss_like_noise_pred"]:
        factor *= scaled_snr(snr)
    if values["v_pred_like_loss"]:
        factor *= 1 + values["v_pred_like_loss"] / scaled_snr(snr)
    if values["debiased_estimation_loss"]:
        capped = np.minimum(snr, MOST_SNR)
        factor *= 1 / (capped + 1) if is_v else capped**-0.5
    return factor


def contradictions(values: Values) -> tuple[str, ...]:
    """Options that the trainer itself refuses together, each a sentence."""
    is_v = values["v_parameterization"]
    found = []
    if values["scale_v_pred_loss_like_noise_pred"] and not is_v:
        found.append(
            "scale_v_pred_loss_like_noise_pred needs v_parameterization: set it, or leave the "
            "first out."
        )
    if values["v_pred_like_loss"] and is_v:
        found.append("v_pred_like_loss contradicts v_parameterization: leave one out.")
    if values.has("adaptive_noise_scale") and not values["noise_offset"]:
        found.append("adaptive_noise_scale needs noise_offset: set it, or leave the first out.")
    return tuple(found)


def noise_notes(values: Values) -> tuple[str, ...]:
    """What to say of options that change the noise and the target alike."""
    notes = []
    offset = values["noise_offset"]
    if offset:
        notes.append(
            f"noise_offset adds a constant of standard deviation {offset:g} to each channel of the "
            "noise; the curve is for the noise without it."
        )
    if values["multires_noise_iterations"]:
        notes.append(
            "multires_noise_iterations correlates the noise; the curve is for white noise."
        )
    return tuple(notes)


def perturbation_notes(values: Values) -> tuple[str, ...]:
    """What to say of noise that the target leaves out."""
    gamma = values["ip_noise_gamma"]
    if not gamma:
        return ()
    return (
        "ip_noise_gamma adds noise that the target leaves out: the true λ is lower than that of "
        f"the curve by up to {np.log1p(gamma**2):.2g}.",
    )


def weight_words(values: Values) -> str:
    """The weights that are in force, in words."""
    words = []
    if values["min_snr_gamma"]:
        words.append(f"min-SNR-{values['min_snr_gamma']:g}")
    if values["scale_v_pred_loss_like_noise_pred"]:
        words.append("the v loss scaled like an eps loss")
    if values["v_pred_like_loss"]:
        words.append(f"a v-like loss added with {values['v_pred_like_loss']:g}")
    if values["debiased_estimation_loss"]:
        words.append("debiased estimation")
    return " times ".join(words) if words else "no weight"


def table_notes(values: Values) -> tuple[str, ...]:
    """What to say of the table of levels."""
    if not values["zero_terminal_snr"]:
        return ()
    notes = ["zero_terminal_snr moves the levels, but weights by SNR keep those before it."]
    if not values["v_parameterization"]:
        notes.append("Without v_parameterization nothing is learnt at the last step of SNR 0.")
    return tuple(notes)


def build(values: Values) -> Reading:
    """The objective of options of the scripts for SD and SDXL.

    Args:
        values: The options.

    Returns:
        The reading.

    Raises:
        ValueError: ``min_timestep`` is not below ``max_timestep``.
    """
    is_v = values["v_parameterization"]
    first = values["min_timestep"]
    last = values["max_timestep"]
    if not first + 1 < last:
        raise ValueError(
            f"min_timestep={first} must lie at least 2 below max_timestep={last}: a weighting "
            "needs two levels"
        )
    before = beta_logsnr(STABLE_DIFFUSION)
    after = before
    if values["zero_terminal_snr"]:
        after = beta_logsnr(dict(STABLE_DIFFUSION) | {"rescale_betas_zero_snr": True})
    factor = factors(values, np.exp(before), is_v)
    if values["loss_type"] == "smooth_l1":
        factor = factor / thresholds(values, after)
    elif values["loss_type"] == "huber":
        thresholds(values, after)  # the limit of small errors does not depend on it
    steps = np.arange(STEPS)
    levels = drawn_from(after, (steps >= first) & (steps < last))
    target = V if is_v else EPS
    objective = beta_objective(
        f"sd-scripts {target.name}, {weight_words(values)}",
        f"{SOURCE}, {VERSION}",
        target,
        on_levels(after, factor),
        levels,
    )
    return Reading(
        objective=objective,
        sentence=(
            f"sd-scripts trains {target.name} on steps {first} to {last - 1} of Stable Diffusion's "
            f"table, with {weight_words(values)}."
        ),
        notes=(
            *levels.notes,
            *table_notes(values),
            *noise_notes(values),
            *perturbation_notes(values),
            *loss_notes(values["loss_type"]),
        ),
        contradictions=contradictions(values),
    )


TRAINERS = (
    Trainer(
        name="sd-scripts",
        title="sd-scripts (SD 1.x, 2.x, SDXL)",
        version=VERSION,
        source=SOURCE,
        scripts=(
            "train_network",
            "sdxl_train*",
            "fine_tune",
            "train_db",
            "train_textual_inversion*",
            "train_controlnet",
            "train_control_net",
        ),
        options=by_name(
            Option("v_parameterization", "flag", False, "predict v instead of eps"),
            Option("zero_terminal_snr", "flag", False, "move the table to SNR 0 at its end"),
            Option("min_snr_gamma", "number", None, "gamma of min-SNR", low=0),
            Option("scale_v_pred_loss_like_noise_pred", "flag", False, "v loss like an eps loss"),
            Option("v_pred_like_loss", "number", None, "share of a v-like loss", low=0),
            Option("debiased_estimation_loss", "flag", False, "debiased estimation"),
            Option("min_timestep", "whole", 0, "first step that is drawn", low=0, high=STEPS),
            Option("max_timestep", "whole", STEPS, "end of the steps", low=0, high=STEPS),
            *HUBER_OPTIONS,
            Option("noise_offset", "number", None, "constant noise in each channel"),
            Option("adaptive_noise_scale", "number", None, "makes noise_offset follow the data"),
            Option("noise_offset_random_strength", "flag", False, "draw noise_offset"),
            Option("multires_noise_iterations", "whole", None, "noise at several scales"),
            Option("multires_noise_discount", "number", 0.3, "share of the next scale"),
            Option("ip_noise_gamma", "number", None, "noise that the target leaves out"),
            Option("ip_noise_gamma_random_strength", "flag", False, "draw ip_noise_gamma"),
        ),
        passed_over=WITHOUT_EFFECT,
        build=build,
    ),
)
