"""The settings of kohya-ss/musubi-tuner, which trains video and image models by flow matching.

What was read: ``training/timesteps.py`` (commit afbdfc3), ``training/parser_common.py`` (82f45b1),
the sampling of ``training/trainer_base.py`` (007f142),
``modules/scheduling_flow_match_discrete.py`` (51906b5), ``wan_train_network.py`` (06aab28),
``krea2_train_network.py`` (0eefda2), ``ideogram4_train_network.py`` (14403b6) and
``hidream_o1_train_network.py`` (02b3730), the branch main of 2026. All scripts share one parser and
its defaults, except that of Ideogram 4.

The loss compares the velocity, and for HiDream-O1 the clean pixels, under noise of 8 times the
size. With sigma the share of noise:

- "sigma", the default, draws the index min + (max − min) u into the falling table 1, 0.999 ...
  0.001, with u by ``weighting_scheme``. The table ignores ``discrete_flow_shift``. A positive
  ``logit_mean`` means less noise, and ``min_timestep`` and ``max_timestep`` count from the *noisy*
  end.
- "logsnr" draws λ itself from N(logit_mean, logit_std²).
- "qinglong" takes the shifted sigmoid with probability 0.8, the law of "logsnr" with 0.075 and
  λ ~ N(5.36, 1) with 0.125.
- "ideogram4_shift" draws the logit of sigma from N(log(tokens/1024)/2, 1.5²), and does not read
  ``sigmoid_scale``. It is the default of the scripts for Ideogram 4, which know no weight and
  refuse any ``weighting_scheme`` but "none".
- Elsewhere ``min_timestep`` and ``max_timestep`` squeeze the law into their range, or cut it where
  ``preserve_distribution_shape`` is set.
- The weights "sigma_sqrt" and "cosmap" always count. They are taken at the nearest entry of the
  falling table to sigma + 0.001.
- ``num_timestep_buckets`` draws sigma evenly and changes no law.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.special import expit

from diffviz.recipes.resolution import shift_on_line
from diffviz.recipes.settings.draws import STEPS, UNIFORM_TIME, cut, drawn_steps, stretched
from diffviz.recipes.settings.kohya import (
    DENSITY_OPTIONS,
    WITHOUT_EFFECT,
    index_law,
    time_range,
    tokens_of,
)
from diffviz.recipes.settings.levels import Levels, flow_objective, index_masses, linear_logsnr
from diffviz.recipes.settings.trainer import Option, Reading, Trainer, Values, by_name
from diffviz.theory import laws, multipliers, paths
from diffviz.theory.frames import Curve
from diffviz.theory.paths import LINEAR
from diffviz.theory.targets import X

VERSION = "main, 2026, commits afbdfc3, 82f45b1, 007f142"
SOURCE = "kohya-ss/musubi-tuner"
# the method with the numbers of tokens and mu = log shift between which mu is linear
POINTS = {
    "flux_shift": ((256, 0.5), (4096, 1.15)),
    "flux2_shift": ((256, 0.5), (4096, 1.15)),
    "qwen_shift": ((256, 0.5), (8192, 0.9)),
    "krea2_shift": ((256, 0.5), (6400, 1.15)),
    "qinglong_flux": ((256, 0.5), (4096, 1.15)),
    "qinglong_qwen": ((256, 0.5), (8192, 0.9)),
}
METHODS = ("sigma", "uniform", "sigmoid", "shift", "logsnr", "ideogram4_shift", *POINTS)
SCHEMES = ("none", "logit_normal", "mode", "cosmap", "sigma_sqrt")
IDEOGRAM_STD = 1.5  # of the logit of sigma
IDEOGRAM_TOKENS = 1024  # of 512 x 512, where its mean is 0
FARTHEST = 100.0  # |λ| at which a weight has long reached its limit
SHARES = (0.8, 0.075, 0.125)  # of the three laws of qinglong
NOISE_SCALES = {"full": 8.0, "dev": 7.5}  # of HiDream-O1's variants
CLIPPED_AT = {"full": 0.0, "dev": 2.5}  # standard deviations of their noise; 0 clips nothing
CLEAN_LAW = stats.norm(5.36, 1.0)  # of λ, the third of them
WEIGHTS: dict[str, Curve] = {
    "sigma_sqrt": multipliers.sigma_sqrt,
    "cosmap": multipliers.cosmap,
}


@dataclass(frozen=True)
class NextEntry:
    """A weight that is taken at sigma + 0.001.

    The trainer rounds this to the nearest entry of its table. The curve goes through these entries
    without the steps between them.

    Args:
        weight: The weight as a function of λ.
    """

    weight: Curve

    def __call__(self, logsnr: ArrayLike) -> NDArray:
        """The multiplier at λ in nats, same shape."""
        sigma = expit(-np.asarray(logsnr, dtype=float) / 2)
        entry = np.minimum(sigma + 1 / STEPS, 1.0)
        return self.weight(np.maximum(linear_logsnr(entry), -FARTHEST))


def shifted_sigmoid(values: Values, method: str) -> Any:
    """Law of λ for the shifted sigmoid of a scaled normal."""
    shift = 1.0
    if method == "shift":
        shift = values["discrete_flow_shift"]
    elif method in POINTS:
        shift = shift_on_line(tokens_of(values, method), *POINTS[method])
    return laws.logit_normal_logsnr(0.0, values["sigmoid_scale"], shift)


def ideogram_law(values: Values) -> Any:
    """Law of λ for Ideogram 4: a normal logit of sigma, whose mean grows with the resolution.

    The trainer clips λ to [−18, 15], where the law has less than 1e-6 beyond.
    """
    mean = np.log(tokens_of(values, "ideogram4_shift") / IDEOGRAM_TOKENS) / 2
    return laws.logit_normal_logsnr(mean, IDEOGRAM_STD)


def continuous_law(values: Values, method: str) -> Any:
    """Law of λ for a sigma that is no entry of a table, before its range."""
    if method == "uniform":
        return UNIFORM_TIME
    if method == "logsnr":
        return stats.norm(values["logit_mean"], values["logit_std"])
    if method == "ideogram4_shift":
        return ideogram_law(values)
    law = shifted_sigmoid(values, method)
    if not method.startswith("qinglong"):
        return law
    plain = stats.norm(values["logit_mean"], values["logit_std"])
    return laws.mixture((law, plain, CLEAN_LAW), SHARES)


def sampled(values: Values, method: str) -> Levels:
    """The levels that ``timestep_sampling`` draws."""
    first, last = time_range(values)
    if method == "sigma":
        mass = index_masses(index_law(values, values["weighting_scheme"]), STEPS, first, last)
        return drawn_steps(linear_logsnr(1 - np.arange(STEPS) / STEPS), mass)
    law = continuous_law(values, method)
    limit = cut if values["preserve_distribution_shape"] else stretched
    return Levels(limit(law, first / STEPS, last / STEPS))


def words_of(values: Values, method: str) -> str:
    """The law of sigma in words."""
    first, last = time_range(values)
    within = "" if (first, last) == (0, STEPS) else f", timesteps {first} to {last}"
    if method == "sigma":
        scheme = values["weighting_scheme"]
        drawn = scheme.replace("_", "-") if scheme in ("logit_normal", "mode") else "uniform"
        return f"{drawn} index into a falling table{within}"
    return f"timestep_sampling {method}{within}"


def ignored(values: Values, method: str) -> tuple[str, ...]:
    """Why options that were given have no effect, each a sentence."""
    scheme = values["weighting_scheme"]
    unread = [name for name in values.given if name not in values.read]
    sentences = []
    for name in unread:
        reads_density = method == "sigma" and name in ("logit_mean", "logit_std", "mode_scale")
        reason = (
            f"weighting_scheme={scheme!r}" if reads_density else f"timestep_sampling={method!r}"
        )
        sentences.append(f"{name} has no effect with {reason}.")
    if scheme in ("logit_normal", "mode") and method != "sigma":
        sentences.append(
            f"weighting_scheme={scheme!r} has no effect with timestep_sampling={method!r}: only "
            "'sigma' draws by it."
        )
    return tuple(sentences)


def index_notes(values: Values, method: str) -> tuple[str, ...]:
    """What to say of an index into a falling table."""
    if method != "sigma":
        return ()
    notes = []
    if values["weighting_scheme"] == "logit_normal" and values["logit_mean"] != 0:
        notes.append("u indexes a falling table: a positive logit_mean means less noise.")
    if time_range(values) != (0, STEPS):
        notes.append("min_timestep and max_timestep count the index from the noisy end.")
    return tuple(notes)


def bucket_notes(values: Values, method: str) -> tuple[str, ...]:
    """What to say of sigma in buckets."""
    if method == "sigma" or not values["num_timestep_buckets"]:
        return ()
    return ("num_timestep_buckets draws sigma evenly; its law stays.",)


def build_ideogram(values: Values) -> Reading:
    """The objective of options of the scripts for Ideogram 4.

    Args:
        values: The options.

    Returns:
        The reading.
    """
    reading = build(values)
    scheme = values["weighting_scheme"]
    if scheme == "none":
        return reading
    refused = f"weighting_scheme={scheme!r} is refused by the scripts for Ideogram 4: leave it out."
    return replace(reading, contradictions=(refused,))


def build_hidream(values: Values) -> Reading:
    """The objective of options of the script for HiDream-O1.

    Its noisy pixels are (1 − sigma) x + sigma · scale · ε, so that λ is less by 2 log scale. Its
    loss compares x.

    Args:
        values: The options.

    Returns:
        The reading.
    """
    variant = values["model_type"]
    scale = given_or(values["noise_scale_start"], NOISE_SCALES[variant])
    last = given_or(values["noise_scale_end"], scale)
    clipped = given_or(values["noise_clip_std"], CLIPPED_AT[variant])
    scheme = values["weighting_scheme"]
    reading = build(values)
    objective = replace(
        reading.objective,
        name=f"musubi-tuner HiDream-O1 {values['timestep_sampling']}",
        path=paths.shifted(LINEAR, scale),
        target=X,
        law=laws.moved(reading.objective.law, -2 * np.log(scale)),
    )
    refused = []
    if scheme != "none":
        refused.append(
            f"weighting_scheme={scheme!r} is refused by the script for HiDream-O1: leave it out."
        )
    if last != scale:
        refused.append(
            f"noise_scale_start={scale:g} and noise_scale_end={last:g} make the size of the noise "
            "change with sigma, which is not read: give one number for both."
        )
    cut_off = f"The noise is cut off at {clipped:g} standard deviations, which is not in w(λ)."
    return replace(
        reading,
        objective=objective,
        sentence=(
            f"musubi-tuner trains the clean pixels of HiDream-O1, with noise times {scale:g}, "
            f"{words_of(values, values['timestep_sampling'])}, without a weight."
        ),
        notes=(*reading.notes, *([cut_off] if clipped else [])),
        contradictions=tuple(refused),
    )


def given_or(value: float | None, default: float) -> float:
    """The value of an option, or what stands for it where it is not given."""
    return default if value is None else value


def build(values: Values) -> Reading:
    """The objective of options of musubi-tuner.

    Args:
        values: The options.

    Returns:
        The reading.
    """
    method = values["timestep_sampling"]
    scheme = values["weighting_scheme"]
    levels = sampled(values, method)
    weight = WEIGHTS.get(scheme, multipliers.constant)
    if scheme in WEIGHTS and method != "sigma":
        weight = NextEntry(weight)
    objective = flow_objective(
        f"musubi-tuner {method}{' ' + scheme if scheme != 'none' else ''}",
        f"{SOURCE}, {VERSION}",
        levels,
        weight,
    )
    weighted = f"weighted by {scheme}" if scheme in WEIGHTS else "without a weight"
    return Reading(
        objective=objective,
        sentence=(
            "musubi-tuner trains the velocity of the linear path, "
            f"{words_of(values, method)}, {weighted}."
        ),
        notes=(*levels.notes, *index_notes(values, method), *bucket_notes(values, method)),
        no_effect=ignored(values, method),
    )


def timestep_options(method: str) -> tuple[Option, ...]:
    """The options of the scripts, which share all defaults but that of ``timestep_sampling``."""
    return (
        Option("timestep_sampling", "choice", method, "how sigma is drawn", METHODS),
        Option("sigmoid_scale", "number", 1.0, "scale of the logit of sigma", low=1e-12),
        Option("discrete_flow_shift", "number", 1.0, "shift of sigma", low=1e-12),
        Option("weighting_scheme", "choice", "none", "law of the index, or weight", SCHEMES),
        *DENSITY_OPTIONS,
        Option("min_timestep", "whole", 0, "least timestep", low=0, high=STEPS),
        Option("max_timestep", "whole", STEPS, "largest timestep", low=0, high=STEPS),
        Option("preserve_distribution_shape", "flag", False, "cut the law, do not squeeze it"),
        Option("num_timestep_buckets", "whole", None, "draws sigma evenly; the law stays"),
    )


TRAINERS = (
    Trainer(
        name="musubi",
        title="musubi-tuner",
        version=VERSION,
        source=SOURCE,
        scripts=(
            "hv_train*",
            "hv_1_5_train*",
            "wan_train*",
            "fpack_train*",
            "flux_kontext_train*",
            "flux_2_train*",
            "qwen_image_train*",
            "zimage_train*",
            "kandinsky5_train*",
            "krea2_train*",
        ),
        options=by_name(*timestep_options("sigma")),
        passed_over=WITHOUT_EFFECT,
        build=build,
    ),
    Trainer(
        name="musubi-ideogram4",
        title="musubi-tuner (Ideogram 4)",
        version="main, 2026, commit 14403b6",
        source=SOURCE,
        scripts=("ideogram4_train*",),
        by_script_only=True,
        options=by_name(*timestep_options("ideogram4_shift")),
        passed_over=WITHOUT_EFFECT,
        build=build_ideogram,
    ),
    Trainer(
        name="musubi-hidream-o1",
        title="musubi-tuner (HiDream-O1)",
        version="main, 2026, commit 02b3730",
        source=SOURCE,
        scripts=("hidream_o1_train*",),
        by_script_only=True,
        options=by_name(
            *timestep_options("sigma"),
            Option("model_type", "choice", "full", "variant of the model", tuple(NOISE_SCALES)),
            Option("noise_scale_start", "number", None, "size of the noise", low=1e-12),
            Option("noise_scale_end", "number", None, "size at the cleanest sigma", low=1e-12),
            Option("noise_clip_std", "number", None, "where the noise is cut off", low=0.0),
        ),
        passed_over=(*WITHOUT_EFFECT, "dino_loss_*", "skip_t2i_visual_dummy", "task"),
        build=build_hidream,
    ),
)
