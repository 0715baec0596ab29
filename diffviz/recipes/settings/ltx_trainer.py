"""The settings of the two trainers of Lightricks: LTX-Video-Trainer and the LTX-2 trainer.

What was read: LTX-Video-Trainer (2025, commit 1fe49a4), ``config.py``, ``trainer.py`` and
``timestep_samplers.py``; LTX-2 (2026, commit 32ac2e1), ``packages/ltx-trainer``, the same files.

- Both train the velocity on the linear path, without a weight. A mask leaves out tokens that are
  given as a condition.
- "shifted_logit_normal" draws sigma = sigmoid(N(mu, std²)). Here mu grows with the number of
  tokens of a sample, on the line through 0.95 at 1,024 and 2.05 at 4,096. LTX-Video-Trainer goes
  on along the line; the LTX-2 trainer stops at 4,096 tokens.
- mu is positive: a long sequence means *more* noise. It is no option: only ``std`` is.
- The LTX-2 trainer stretches that law, so that its quantiles at 0.5 % and 99.9 % become 0 and 1;
  reflects what falls below ``eps``; cuts at 1, which makes a level of pure noise; and draws a
  share ``uniform_prob`` of the samples uniformly from ``eps`` to 1 instead.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.special import expit, logit, ndtr

from diffviz.checks import number, positive, require
from diffviz.recipes.resolution import interpolated_mu
from diffviz.recipes.settings.levels import Levels, drawn_sigma, flow_objective, uniform
from diffviz.recipes.settings.trainer import Option, Reading, Trainer, Values, by_name
from diffviz.theory import laws
from diffviz.theory.laws import Transformed, inverted

MODES = ("uniform", "shifted_logit_normal")
FEW_TOKENS = (1024, 0.95)
MANY_TOKENS = (4096, 2.05)
LOWEST = -2.5758  # the quantiles of the standard normal law that are stretched to 0 and 1
HIGHEST = 3.0902


@dataclass(frozen=True)
class StretchedQuantiles:
    """The map from a probability to a sigma of the LTX-2 trainer, given that sigma < 1.

    Args:
        mu: Mean of logit sigma before the stretching.
        std: Its standard deviation.
        eps: Where small values are reflected.
        uniform: Share of the samples that are drawn uniformly from eps to 1.
    """

    mu: float
    std: float
    eps: float
    uniform: float

    def _before_stretching(self, y: NDArray) -> NDArray:
        """The logit-normal variable that is stretched to y."""
        low = expit(self.mu + self.std * LOWEST)
        high = expit(self.mu + self.std * HIGHEST)
        return low + y * (high - low)

    def _stretched_below(self, y: NDArray) -> NDArray:
        """Probability that the stretched variable lies below y."""
        inner = np.clip(self._before_stretching(y), 0.0, 1.0)
        with np.errstate(divide="ignore"):
            return ndtr((logit(inner) - self.mu) / self.std)

    def _stretched_density(self, y: NDArray) -> NDArray:
        """Density of the stretched variable at y."""
        inner = self._before_stretching(y)
        inside = (inner > 0) & (inner < 1)
        at = np.where(inside, inner, 0.5)
        density = stats.norm.pdf(logit(at), self.mu, self.std) / (at * (1 - at))
        width = self._before_stretching(np.array(1.0)) - self._before_stretching(np.array(0.0))
        return np.where(inside, density * width, 0.0)

    def below(self, y: NDArray) -> NDArray:
        """Probability of a sigma below y, for y in [eps, 1]."""
        folded = self._stretched_below(y) - self._stretched_below(2 * self.eps - y)
        even = (y - self.eps) / (1 - self.eps)
        return (1 - self.uniform) * folded + self.uniform * even

    @property
    def cut(self) -> float:
        """Probability of a sigma that is cut to 1."""
        return 1 - float(self.below(np.array(1.0)))

    def inverse(self, y: NDArray) -> NDArray:
        """Probability of a sigma below y, given that it is below 1."""
        return self.below(np.clip(y, self.eps, 1.0)) / (1 - self.cut)

    def slope(self, y: NDArray) -> NDArray:
        """Density of sigma at y, given that it is below 1."""
        folded = self._stretched_density(y) + self._stretched_density(2 * self.eps - y)
        both = (1 - self.uniform) * folded + self.uniform / (1 - self.eps)
        return np.where((y >= self.eps) & (y <= 1), both / (1 - self.cut), 0.0)

    def forward(self, q: NDArray) -> NDArray:
        """The sigma of a probability, by root search."""
        share = np.asarray(q, dtype=float)
        return self.eps + (1 - self.eps) * inverted(self._on_unit, share, start=share)

    def _on_unit(self, x: NDArray) -> tuple[NDArray, NDArray]:
        """Probability and its derivative at sigma = eps + (1 − eps) x."""
        sigma = self.eps + (1 - self.eps) * x
        return self.inverse(sigma), self.slope(sigma) * (1 - self.eps)


def stretched_levels(mu: float, std: float, eps: float, share: float) -> Levels:
    """The levels of the LTX-2 trainer.

    Args:
        mu: Mean of logit sigma before the stretching.
        std: Its standard deviation.
        eps: Where small values are reflected.
        share: Share of the samples that are drawn uniformly from eps to 1.

    Returns:
        The law of λ, with the probability of pure noise.
    """
    quantiles = StretchedQuantiles(mu, std, eps, share)
    time = Transformed(stats.uniform(), quantiles, rising=True).freeze()
    return replace(drawn_sigma(time), pure_noise=quantiles.cut)


def mean_of_logit(values: Values, longest: float) -> float:
    """The mean mu of logit sigma for the number of tokens.

    Args:
        values: The settings.
        longest: Number of tokens from which on mu stays the same.

    Returns:
        The mean.

    Raises:
        ValueError: The number of tokens is not given.
    """
    tokens = values.named_tokens()
    if tokens is None:
        raise ValueError(
            "shifted_logit_normal depends on the tokens of a sample: give tokens=, which is "
            "((frames - 1)/8 + 1) · (height/32) · (width/32)"
        )
    return interpolated_mu(min(tokens, longest), FEW_TOKENS, MANY_TOKENS)


def uniform_law(values: Values) -> Any:
    """The uniform law of sigma, a frozen SciPy distribution."""
    low = number(values["timestep_sampling_params.min_value"], "min_value", 0.0, 1.0)
    high = number(values["timestep_sampling_params.max_value"], "max_value", 0.0, 1.0)
    require(low < high, f"min_value must be below max_value, got {low:g} and {high:g}")
    return uniform(low, high)


def reading_of(trainer: Trainer, mode: str, levels: Levels, sentence: str) -> Reading:
    """A reading of plain flow matching with given levels."""
    source = f"{trainer.source}, {trainer.version}"
    objective = flow_objective(f"{trainer.name} {mode}", source, levels)
    return Reading(objective, f"Velocity on the linear path, {sentence}.", notes=levels.notes)


def build_ltx_video(values: Values) -> Reading:
    """What settings of LTX-Video-Trainer amount to."""
    mode = values["timestep_sampling_mode"]
    if mode == "uniform":
        return reading_of(TRAINER, mode, drawn_sigma(uniform_law(values)), "uniform sigma")
    mu = mean_of_logit(values, np.inf)
    std = values["timestep_sampling_params.std"]
    levels = Levels(laws.logit_normal_logsnr(mu, std))
    return reading_of(TRAINER, mode, levels, f"logit sigma ~ N({mu:.4g}, {std:g}²)")


def build_ltx2(values: Values) -> Reading:
    """What settings of the LTX-2 trainer amount to."""
    mode = values["timestep_sampling_mode"]
    if mode == "uniform":
        return reading_of(LTX2_TRAINER, mode, drawn_sigma(uniform_law(values)), "uniform sigma")
    mu = mean_of_logit(values, MANY_TOKENS[0])
    std = positive(values["timestep_sampling_params.std"], "std")
    share = values["timestep_sampling_params.uniform_prob"]
    levels = stretched_levels(mu, std, values["timestep_sampling_params.eps"], share)
    sentence = (
        f"logit sigma ~ N({mu:.4g}, {std:g}²) stretched to [0, 1], "
        f"and {share:.0%} of the samples uniform"
    )
    return reading_of(LTX2_TRAINER, mode, levels, sentence)


PASSED_OVER = (
    "model.*",
    "lora.*",
    "conditioning.*",
    "training_strategy.*",
    "optimization.*",
    "acceleration.*",
    "data.*",
    "validation.*",
    "checkpoints.*",
    "hub.*",
    "wandb.*",
    "seed",
    "output_dir",
)

MODE = Option(
    "timestep_sampling_mode", "choice", "shifted_logit_normal", "law of sigma", choices=MODES
)
STD = Option("timestep_sampling_params.std", "number", 1.0, "of logit sigma", low=0.0)
LEAST = Option("timestep_sampling_params.min_value", "number", 0.0, "least uniform sigma")
LARGEST = Option("timestep_sampling_params.max_value", "number", 1.0, "largest uniform sigma")

TRAINER = Trainer(
    name="ltx-video-trainer",
    title="LTX-Video-Trainer",
    version="commit 1fe49a4 (2025)",
    source="Lightricks/LTX-Video-Trainer",
    scripts=(),
    options=by_name(MODE, STD, LEAST, LARGEST),
    passed_over=PASSED_OVER,
    build=build_ltx_video,
    marks=("flow_matching.timestep_sampling_*", "acceleration.compile_with_inductor"),
)

LTX2_TRAINER = Trainer(
    name="ltx2-trainer",
    title="LTX-2 trainer",
    version="commit 32ac2e1 (2026)",
    source="Lightricks/LTX-2",
    scripts=(),
    options=by_name(
        MODE,
        STD,
        LEAST,
        LARGEST,
        Option("timestep_sampling_params.eps", "number", 1e-3, "least sigma", low=1e-12, high=0.49),
        Option(
            "timestep_sampling_params.uniform_prob",
            "number",
            0.1,
            "share of uniform samples",
            low=0.0,
            high=1.0,
        ),
    ),
    passed_over=PASSED_OVER,
    build=build_ltx2,
    marks=("flow_matching.timestep_sampling_*", "training_strategy.*"),
)

TRAINERS = (TRAINER, LTX2_TRAINER)
