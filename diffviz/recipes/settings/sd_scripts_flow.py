"""The settings of kohya-ss/sd-scripts for FLUX, Lumina and SD3, which train flow matching.

What was read: the branch main of 2025, ``library/flux_train_utils.py``,
``library/lumina_train_util.py`` and ``library/sd3_train_utils.py``.

FLUX and Lumina compare the velocity, in whatever form the network predicts it.

- Only ``timestep_sampling`` "sigma" reads ``weighting_scheme`` for its law, and with it
  ``logit_mean``, ``logit_std`` and ``mode_scale``. It draws an index into a *falling* table that is
  shifted by ``discrete_flow_shift``, so that a positive ``logit_mean`` means less noise.
- Only "shift" and "sigma" read ``discrete_flow_shift``. "uniform" reads no other option.
- "nextdit_shift" (Lumina) shifts a uniform sigma by the resolution. Until 2025 it shifted the
  sigmoid of a normal.
- The weights "sigma_sqrt" and "cosmap" count only where ``model_prediction_type`` is
  "sigma_scaled".
- ``min_timestep``, ``max_timestep``, ``noise_offset`` and ``multires_noise_iterations`` are not
  read.
- The Huber schedule "snr", which is the default, raises an error in these scripts.

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

from diffviz.recipes.settings.draws import STEPS, UNIFORM_TIME, drawn_steps
from diffviz.recipes.settings.kohya import (
    DENSITY_OPTIONS,
    HUBER_OPTIONS,
    WITHOUT_EFFECT,
    index_law,
    loss_notes,
    shift_of,
    tokens_of,
)
from diffviz.recipes.settings.levels import (
    Levels,
    flow_objective,
    index_masses,
    linear_logsnr,
    shifted,
    unshifted,
)
from diffviz.recipes.settings.sd_scripts import SOURCE, VERSION, perturbation_notes
from diffviz.recipes.settings.trainer import Option, Reading, Trainer, Values, by_name
from diffviz.theory import laws, multipliers
from diffviz.theory.frames import Curve
from diffviz.theory.objectives import Objective
from diffviz.theory.paths import LINEAR
from diffviz.theory.targets import X

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
)


# --- FLUX and Lumina ------------------------------------------------------------------------------


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
        shift = shift_of(tokens_of(values, method), *FLUX_POINTS)
        return Levels(laws.moved(UNIFORM_TIME, -2 * np.log(shift))), f"uniform sigma{by(shift)}"
    scale = values["sigmoid_scale"]
    shift = 1.0
    if method == "shift":
        shift = values["discrete_flow_shift"]
    elif method == "flux_shift":
        shift = shift_of(tokens_of(values, method), *FLUX_POINTS)
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
    if values["model_prediction_type"] != "sigma_scaled":
        return multipliers.constant, ""
    scheme = values["weighting_scheme"]
    return WEIGHTS.get(scheme, multipliers.constant), scheme if scheme in WEIGHTS else ""


def ignored(values: Values, method: str) -> tuple[str, ...]:
    """Why options that were given have no effect, each a sentence."""
    unread = [name for name in values.given if name not in values.read]
    reasons = {
        "logit_mean": f"with timestep_sampling={method!r}",
        "logit_std": f"with timestep_sampling={method!r}",
        "mode_scale": f"with timestep_sampling={method!r}",
        "discrete_flow_shift": f"with timestep_sampling={method!r}",
        "sigmoid_scale": f"with timestep_sampling={method!r}",
        "noise_offset": "in these scripts",
        "multires_noise_iterations": "in these scripts",
        "min_timestep": "in these scripts",
        "max_timestep": "in these scripts",
    }
    if method == "sigma":
        scheme = values.options["weighting_scheme"].default
        if "weighting_scheme" in values.given:
            scheme = values["weighting_scheme"]
        density = dict.fromkeys(("logit_mean", "logit_std", "mode_scale"))
        reasons |= dict.fromkeys(density, f"with weighting_scheme={scheme!r}")
    sentences = [f"{name} has no effect {reasons[name]}." for name in unread if name in reasons]
    return (*sentences, *idle_scheme(values, method))


def idle_scheme(values: Values, method: str) -> tuple[str, ...]:
    """Why ``weighting_scheme`` has no effect where it was given and has none."""
    if "weighting_scheme" not in values.given:
        return ()
    scheme = values["weighting_scheme"]
    kind = values["model_prediction_type"]
    if scheme in WEIGHTS and kind != "sigma_scaled":
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


def huber_factor(values: Values, weight: Curve) -> Curve:
    """The weight with that of smooth_l1 for small errors."""
    if values["loss_type"] not in ("huber", "smooth_l1"):
        return weight
    least = values["huber_c"]
    scale = values["huber_scale"]
    if values["loss_type"] == "huber":  # small errors are squared, whatever the threshold
        return weight
    if values["huber_schedule"] == "constant":
        return Divided(weight, least * scale, 0.0)
    return Divided(weight, scale, -np.log(least))


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
    """The objective of options of the scripts for FLUX and Lumina.

    Args:
        values: The options.

    Returns:
        The reading.
    """
    method = values["timestep_sampling"]
    levels, words = sampled(values, method)
    weight, weight_name = flow_weight(values)
    objective = flow_objective(
        f"sd-scripts {method}{' ' if weight_name else ''}{weight_name}",
        f"{SOURCE}, {VERSION}",
        levels,
        huber_factor(values, weight),
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
    first = values["min_timestep"]
    last = values["max_timestep"]
    if not first < last:
        raise ValueError(f"min_timestep={first} must lie below max_timestep={last}")
    edges = np.clip((np.arange(STEPS + 1) - first) / (last - first), 0, 1)
    mass = np.diff(index_law(values, scheme).cdf(unshifted(edges, shift)))
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
        contradictions=flow_contradictions(values),
    )


def rising_notes(levels: Levels, scheme: str) -> tuple[str, ...]:
    """What to say of index 0, where the weight is infinite."""
    if scheme != "sigma_sqrt" or levels.pure_data <= 0:
        return ()
    return ("At index 0 sigma_sqrt is 1/0 on an error of 0: the loss there is NaN.",)


# --- what is known of the scripts -----------------------------------------------------------------


def flow_options(shift: float, method: str, kind: str, methods: tuple[str, ...]) -> tuple:
    """The options of FLUX and Lumina, which have different defaults."""
    kinds = ("raw", "additive", "sigma_scaled")
    return (
        Option("timestep_sampling", "choice", method, "how sigma is drawn", methods),
        Option("sigmoid_scale", "number", 1.0, "scale of the logit of sigma", low=1e-12),
        Option("discrete_flow_shift", "number", shift, "shift of sigma", low=1e-12),
        Option("model_prediction_type", "choice", kind, "what the network predicts", kinds),
        Option("weighting_scheme", "choice", "none", "law of the index, or weight", SCHEMES),
        *DENSITY_OPTIONS,
        Option("min_timestep", "whole", None, "not read"),
        Option("max_timestep", "whole", None, "not read"),
        Option("resolution", "text", "", "size of the images, for shifts that depend on it"),
        *HUBER_OPTIONS,
        *NOISE_OPTIONS,
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
        ),
        passed_over=WITHOUT_EFFECT,
        build=build_sd3,
    ),
)
