"""The settings of kohya-ss/sd-scripts for FLUX, Lumina, SD3 and others that train flow matching.

What was read: ``library/flux_train_utils.py`` (commit 5dff02a), ``library/sd3_train_utils.py``
(002d751) and ``sd3_train_network.py`` (0031d91), ``library/lumina_train_util.py`` (the form that
draws sigma), ``hunyuan_image_train_network.py`` (077f6a4), ``anima_train_network.py`` (02a7594) and
``library/anima_train_utils.py`` (063ef10), the branch main of 2025 and 2026.

FLUX, Lumina and HunyuanImage compare the velocity, in whatever form the network predicts it.

- Only ``timestep_sampling`` "sigma" reads ``weighting_scheme`` for its law, and with it
  ``logit_mean``, ``logit_std`` and ``mode_scale``. It draws an index into a *falling* table that is
  shifted by ``discrete_flow_shift``, so that a positive ``logit_mean`` means less noise.
- Only "shift" and "sigma" read ``discrete_flow_shift``. "uniform" reads no other option.
- "nextdit_shift" (Lumina) shifts a uniform sigma by the resolution. Before the scripts for Lumina
  drew sigma, they drew its complement, the share of data, by the same laws (commit 999df5e): a
  shift above 1 then meant less noise.
- The weights "sigma_sqrt" and "cosmap" count only where ``model_prediction_type`` is
  "sigma_scaled".
- ``min_timestep``, ``max_timestep``, ``noise_offset``, ``multires_noise_iterations`` and the
  weights of the scripts for SD, such as ``min_snr_gamma``, are not read.
- The Huber schedule "snr", which is the default, raises an error in these scripts.

Anima compares the velocity, too, and has no ``model_prediction_type``: its weight always counts.
Its timesteps are divided by 1000 before the Huber schedule "exponential" reads them, so that the
threshold hardly falls.

SD3 compares x, whatever the options: sigma² times the velocity error.

- u is drawn by ``weighting_scheme`` and shifted by ``training_shift``. The index
  min + (max − min) u counts *upwards*: sigma is the index over 1,000, and a positive
  ``logit_mean`` means more noise.
- Index 0 has no noise. With "sigma_sqrt" its loss is 0 times infinity, which is NaN.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from diffviz.recipes.resolution import shift_on_line
from diffviz.recipes.settings.draws import STEPS, UNIFORM_TIME, drawn_steps
from diffviz.recipes.settings.kohya import (
    DENSITY_OPTIONS,
    HUBER_OPTIONS,
    WITHOUT_EFFECT,
    index_law,
    loss_notes,
    time_range,
    tokens_of,
)
from diffviz.recipes.settings.levels import (
    Levels,
    flow_objective,
    index_masses,
    linear_logsnr,
    shifted,
    step_edges,
    unshifted,
)
from diffviz.recipes.settings.sd_scripts import SOURCE, perturbation_notes
from diffviz.recipes.settings.trainer import Option, Reading, Trainer, Values, by_name
from diffviz.theory import laws, multipliers
from diffviz.theory.frames import Curve
from diffviz.theory.objectives import Objective
from diffviz.theory.paths import LINEAR
from diffviz.theory.targets import X

VERSION = "main, 2025 and 2026, commits 5dff02a, 002d751, 077f6a4, 02a7594"
FALLING_SIGMA = 1 - np.arange(STEPS) / STEPS
FLUX_POINTS = ((256, 0.5), (4096, 1.15))  # number of tokens and mu = log shift
WEIGHTS: dict[str, Curve] = {
    "sigma_sqrt": multipliers.sigma_sqrt,
    "cosmap": multipliers.cosmap,
}
SCHEMES = ("none", "uniform", "logit_normal", "mode", "sigma_sqrt", "cosmap")
NOISE_OPTIONS = (
    Option("noise_offset", "number", None, "constant noise in each channel"),
    Option("multires_noise_iterations", "whole", None, "noise at several scales"),
    Option("ip_noise_gamma", "number", None, "noise that the target leaves out"),
    Option("ip_noise_gamma_random_strength", "flag", False, "draw ip_noise_gamma"),
)
UNREAD_FLAGS = (  # the parsers take these from the scripts for SD, and nothing reads them
    "noise_offset_random_strength",
    "zero_terminal_snr",
    "v_parameterization",
    "scale_v_pred_loss_like_noise_pred",
    "debiased_estimation_loss",
)
UNREAD_NUMBERS = (
    "adaptive_noise_scale",
    "multires_noise_discount",
    "min_snr_gamma",
    "v_pred_like_loss",
)
UNREAD_OPTIONS = (
    *(Option(name, "flag", False, "not read", never_read=True) for name in UNREAD_FLAGS),
    *(Option(name, "number", None, "not read", never_read=True) for name in UNREAD_NUMBERS),
)
NEVER_READ = ("noise_offset", "multires_noise_iterations", *UNREAD_FLAGS, *UNREAD_NUMBERS)


# --- FLUX, Lumina, HunyuanImage and Anima ---------------------------------------------------------


def sampled(values: Values, method: str) -> tuple[Levels, str]:
    """The levels that ``timestep_sampling`` draws, and the law in words.

    Args:
        values: The options.
        method: Value of ``timestep_sampling``.

    Returns:
        The levels and the words.
    """
    if method == "sigma":
        return sampled_index(values)
    if method == "uniform":
        return Levels(UNIFORM_TIME), "uniform sigma"
    if method == "nextdit_shift":
        shift = shift_on_line(tokens_of(values, method), *FLUX_POINTS)
        return Levels(laws.moved(UNIFORM_TIME, -2 * np.log(shift))), f"uniform sigma{by(shift)}"
    scale = values["sigmoid_scale"]
    shift = 1.0
    if method == "shift":
        shift = values["discrete_flow_shift"]
    elif method == "flux_shift":
        shift = shift_on_line(tokens_of(values, method), *FLUX_POINTS)
    law = laws.logit_normal_logsnr(0.0, scale, shift)
    return Levels(law), f"sigmoid of {scale:g} times a normal{by(shift)}"


def by(shift: float) -> str:
    """A shift in words; nothing for 1."""
    return "" if shift == 1 else f", shifted by {shift:.4g}"


def sampled_index(values: Values) -> tuple[Levels, str]:
    """The levels of an index into the falling table, and the law in words."""
    scheme = values["weighting_scheme"]
    shift = values["discrete_flow_shift"]
    logsnr = linear_logsnr(shifted(FALLING_SIGMA, shift))
    levels = drawn_steps(logsnr, index_masses(index_law(values, scheme), STEPS))
    drawn = scheme if scheme in ("logit_normal", "mode") else "uniform"
    return levels, f"{drawn.replace('_', '-')} index into a falling table{by(shift)}"


def flow_weight(values: Values) -> tuple[Curve, str]:
    """The weight of the loss, and its name; "" without one."""
    if not weighs(values):
        return multipliers.constant, ""
    scheme = values["weighting_scheme"]
    return WEIGHTS.get(scheme, multipliers.constant), scheme if scheme in WEIGHTS else ""


def weighs(values: Values) -> bool:
    """Whether the weight of ``weighting_scheme`` counts."""
    if "model_prediction_type" not in values.options:
        return True
    return values["model_prediction_type"] == "sigma_scaled"


def ignored(values: Values, method: str) -> tuple[str, ...]:
    """Why options that were given have no effect, each a sentence."""
    unread = [name for name in values.given if name not in values.read]
    density = [option.name for option in DENSITY_OPTIONS]
    sampling = (*density, "discrete_flow_shift", "sigmoid_scale")
    absent = (*NEVER_READ, "min_timestep", "max_timestep")
    reasons = dict.fromkeys(sampling, f"with timestep_sampling={method!r}")
    reasons |= dict.fromkeys(absent, "in these scripts")
    if method == "sigma":
        scheme = values["weighting_scheme"]
        reasons |= dict.fromkeys(density, f"with weighting_scheme={scheme!r}")
    sentences = [f"{name} has no effect {reasons[name]}." for name in unread if name in reasons]
    return (*sentences, *idle_scheme(values, method))


def idle_scheme(values: Values, method: str) -> tuple[str, ...]:
    """Why ``weighting_scheme`` has no effect where it was given and has none."""
    if "weighting_scheme" not in values.given:
        return ()
    scheme = values["weighting_scheme"]
    if scheme in WEIGHTS and not weighs(values):
        kind = values["model_prediction_type"]
        return (
            f"weighting_scheme={scheme!r} has no effect with model_prediction_type={kind!r}: only "
            "'sigma_scaled' weights the loss.",
        )
    if scheme in ("logit_normal", "mode") and method != "sigma":
        return (
            f"weighting_scheme={scheme!r} has no effect with timestep_sampling={method!r}: only "
            "'sigma' draws by it.",
        )
    return ()


def flow_contradictions(values: Values) -> tuple[str, ...]:
    """A Huber schedule that these scripts refuse, as a sentence."""
    kind = values["loss_type"]
    if kind not in ("huber", "smooth_l1"):
        return ()
    if values["huber_schedule"] == "snr":
        return (
            f"loss_type={kind!r} contradicts huber_schedule='snr', which is the default: these "
            "scripts have no SNR; take 'constant' or 'exponential'.",
        )
    return ()


def falling_notes(values: Values, method: str) -> tuple[str, ...]:
    """A word on the sign of ``logit_mean`` where a falling table is indexed."""
    if method != "sigma" or values["weighting_scheme"] != "logit_normal":
        return ()
    if values["logit_mean"] == 0:
        return ()
    return ("u indexes a falling table: a positive logit_mean means less noise.",)


def huber_factor(values: Values, weight: Curve, last: float = STEPS) -> Curve:
    """The weight with that of smooth_l1 for small errors; ``last`` is the timestep of sigma 1."""
    if values["loss_type"] not in ("huber", "smooth_l1"):
        return weight
    least = values["huber_c"]
    scale = values["huber_scale"]
    if values["loss_type"] == "huber":  # small errors are squared, whatever the threshold
        return weight
    if values["huber_schedule"] == "constant":
        return Divided(weight, least * scale, 0.0)
    return Divided(weight, scale, -np.log(least) * last / STEPS)


@dataclass(frozen=True)
class Divided:
    """A multiplier over the threshold scale · e^(−rate sigma) of smooth_l1.

    Args:
        weight: The multiplier.
        scale: The threshold at sigma = 0.
        rate: How fast it falls with sigma.
    """

    weight: Curve
    scale: float
    rate: float

    def __call__(self, logsnr: ArrayLike) -> NDArray:
        """The multiplier at λ in nats, same shape."""
        level = np.asarray(logsnr, dtype=float)
        sigma = expit(-level / 2)
        return self.weight(level) / (self.scale * np.exp(-self.rate * sigma))


def build_flow(values: Values) -> Reading:
    """The objective of options of the scripts for FLUX, Lumina and HunyuanImage.

    Args:
        values: The options.

    Returns:
        The reading.
    """
    return read_flow(values, last=STEPS)


def build_anima(values: Values) -> Reading:
    """The objective of options of the scripts for Anima, whose timesteps end at 1.

    Args:
        values: The options.

    Returns:
        The reading.
    """
    return read_flow(values, last=1)


def read_flow(values: Values, last: float) -> Reading:
    """What the options amount to; ``last`` is the timestep of sigma 1."""
    method = values["timestep_sampling"]
    levels, words = sampled(values, method)
    weight, weight_name = flow_weight(values)
    objective = flow_objective(
        f"sd-scripts {method}{' ' if weight_name else ''}{weight_name}",
        f"{SOURCE}, {VERSION}",
        levels,
        huber_factor(values, weight, last),
    )
    weighted = f"weighted by {weight_name}" if weight_name else "without a weight"
    return Reading(
        objective=objective,
        sentence=f"sd-scripts trains the velocity of the linear path, {words}, {weighted}.",
        notes=(
            *levels.notes,
            *falling_notes(values, method),
            *perturbation_notes(values),
            *loss_notes(values["loss_type"]),
        ),
        no_effect=ignored(values, method),
        contradictions=flow_contradictions(values),
    )


# --- SD3 ------------------------------------------------------------------------------------------


def build_sd3(values: Values) -> Reading:
    """The objective of options of the scripts for SD3.

    Args:
        values: The options.

    Returns:
        The reading.

    Raises:
        ValueError: ``min_timestep`` is not below ``max_timestep``.
    """
    scheme = values["weighting_scheme"]
    shift = values["training_shift"]
    first, last = time_range(values)
    edges = unshifted(step_edges(STEPS, first, last), shift)
    mass = laws.probabilities(index_law(values, scheme), edges)
    levels = drawn_steps(linear_logsnr(np.arange(STEPS) / STEPS), mass)
    objective = Objective(
        name=f"sd-scripts SD3 {scheme}",
        family="settings",
        year=0,
        source=f"{SOURCE}, {VERSION}",
        path=LINEAR,
        target=X,
        multiplier=huber_factor(values, WEIGHTS.get(scheme, multipliers.constant)),
        law=levels.law,
    )
    drawn = scheme.replace("_", "-") if scheme in ("logit_normal", "mode") else "uniform"
    weighted = f"weighted by {scheme}" if scheme in WEIGHTS else "without a weight"
    return Reading(
        objective=objective,
        sentence=(
            f"sd-scripts trains SD3 on the error of x, {drawn} steps {first} to {last - 1}"
            f"{by(shift)}, {weighted}."
        ),
        notes=(
            *levels.notes,
            *rising_notes(levels, scheme),
            *loss_notes(values["loss_type"]),
        ),
        no_effect=tuple(
            f"{name} has no effect in these scripts."
            for name in values.given
            if name in (*NEVER_READ, "ip_noise_gamma", "ip_noise_gamma_random_strength")
        ),
        contradictions=flow_contradictions(values),
    )


def rising_notes(levels: Levels, scheme: str) -> tuple[str, ...]:
    """What to say of index 0, where the weight is infinite."""
    if scheme != "sigma_sqrt" or levels.pure_data <= 0:
        return ()
    return ("At index 0 sigma_sqrt is 1/0 on an error of 0: the loss there is NaN.",)


# --- what is known of the scripts -----------------------------------------------------------------


def flow_options(shift: float, method: str, kind: str | None, methods: tuple[str, ...]) -> tuple:
    """The options of the scripts that compare the velocity, which have different defaults."""
    kinds = ("raw", "additive", "sigma_scaled")
    prediction = Option("model_prediction_type", "choice", kind, "what is predicted", kinds)
    return (
        Option("timestep_sampling", "choice", method, "how sigma is drawn", methods),
        Option("sigmoid_scale", "number", 1.0, "scale of the logit of sigma", low=1e-12),
        Option("discrete_flow_shift", "number", shift, "shift of sigma", low=1e-12),
        *(() if kind is None else (prediction,)),
        Option("weighting_scheme", "choice", "none", "law of the index, or weight", SCHEMES),
        *DENSITY_OPTIONS,
        Option("min_timestep", "whole", None, "not read"),
        Option("max_timestep", "whole", None, "not read"),
        Option("resolution", "text", "", "size of the images, for shifts that depend on it"),
        *HUBER_OPTIONS,
        *NOISE_OPTIONS,
        *UNREAD_OPTIONS,
    )


METHODS = ("sigma", "uniform", "sigmoid", "shift", "flux_shift")

TRAINERS = (
    Trainer(
        name="sd-scripts-flux",
        title="sd-scripts (FLUX)",
        version=VERSION,
        source=SOURCE,
        scripts=("flux_train*",),
        options=by_name(*flow_options(3.0, "sigma", "sigma_scaled", METHODS)),
        passed_over=WITHOUT_EFFECT,
        build=build_flow,
    ),
    Trainer(
        name="sd-scripts-lumina",
        title="sd-scripts (Lumina)",
        version=VERSION,
        source=SOURCE,
        scripts=("lumina_train*",),
        options=by_name(*flow_options(6.0, "shift", "raw", (*METHODS, "nextdit_shift"))),
        passed_over=WITHOUT_EFFECT,
        build=build_flow,
    ),
    Trainer(
        name="sd-scripts-hunyuan-image",
        title="sd-scripts (HunyuanImage)",
        version=VERSION,
        source=SOURCE,
        scripts=("hunyuan_image_train*",),
        by_script_only=True,
        options=by_name(*flow_options(5.0, "sigma", "raw", METHODS)),
        passed_over=WITHOUT_EFFECT,
        build=build_flow,
    ),
    Trainer(
        name="sd-scripts-anima",
        title="sd-scripts (Anima)",
        version=VERSION,
        source=SOURCE,
        scripts=("anima_train_network",),
        by_script_only=True,
        options=by_name(*flow_options(1.0, "sigmoid", None, METHODS)),
        passed_over=WITHOUT_EFFECT,
        build=build_anima,
    ),
    Trainer(
        name="sd-scripts-sd3",
        title="sd-scripts (SD3)",
        version=VERSION,
        source=SOURCE,
        scripts=("sd3_train*",),
        options=by_name(
            Option("weighting_scheme", "choice", "uniform", "law of u, or weight", SCHEMES),
            *DENSITY_OPTIONS,
            Option("training_shift", "number", 1.0, "shift of u", low=1e-12),
            Option("min_timestep", "whole", 0, "first step that is drawn", low=0, high=STEPS),
            Option("max_timestep", "whole", STEPS, "end of the steps", low=0, high=STEPS),
            *HUBER_OPTIONS,
            *NOISE_OPTIONS,
            *UNREAD_OPTIONS,
        ),
        passed_over=WITHOUT_EFFECT,
        build=build_sd3,
    ),
)
