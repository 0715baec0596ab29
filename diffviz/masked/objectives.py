"""Masked objectives: weightings of a cross-entropy over the log-SNR of masking.

A recipe draws a masking rate m = sigmoid(−λ), hides each token with that rate, and multiplies the
cross-entropy summed over the masked tokens by a factor c. With p the density of λ,

    L = ∫ w(λ) E[Σ_masked −log p_hat(x_l|z)] dλ,      w(λ) = c(λ) p(λ).

The schedule decides how the integral is sampled, and only w is optimised. The ELBO has
c = −alpha′/m (Sahoo et al. 2024, arXiv 2406.07524; Shi et al. 2024, arXiv 2406.04329). Since
dλ = dalpha/(alpha m), it has under every schedule

    w(λ) = sigmoid(λ).

The *relative* weighting r(λ) = w(λ)/sigmoid(λ) has the place that w has for Gaussian noise: it is
constant for the ELBO, and where it never rises the loss is a sum of ELBOs of masked data.

How a code averages matters. "sum" and "length" do not depend on the mask. "masked" divides by the
number of masked tokens of each sequence, which in long sequences is m times their length, so that
its w has a further 1/m. "batch" divides by the number of masked tokens of the whole batch, which in
large batches is a constant.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, gammaln, log_expit

from diffviz.checks import brief, count, finite, one_of, random_generator, require
from diffviz.masked.schedules import Schedule, rates_at
from diffviz.theory import multipliers
from diffviz.theory.frames import LARGEST_LEVEL, Curve, levels
from diffviz.theory.laws import checked_law, exceeded, log_density, quantile, survival
from diffviz.theory.objectives import SMALLEST, check_description, identity_of, quantile_draws

BASES = ("sum", "token", "elbo")
AVERAGES = ("sum", "length", "masked", "batch")
MASKS = ("independent", "up", "nearest")
NODES, WEIGHTS = np.polynomial.legendre.leggauss(20)
PANELS = 64  # of uniform time, over which counts of masked tokens are averaged
LEAST = 1e-280  # probability of the half of a law beyond which nothing counts
TAIL = 10.0 ** -np.arange(4, 84, 4)  # probabilities at which further panels end, at a finite end
MOST_PROBABILITIES = 2**22  # that are held at once
NO_RATE = -1e300  # logarithm of a rate that is 0
REACH = np.arange(-40.0, 41.0, 2.0)  # λ at which further panels end, for rates near 0 and 1


# --- factors on the cross-entropy, functions of λ -------------------------------------------------


@dataclass(frozen=True)
class ElboRate:
    """−alpha′(t)/(1 − alpha(t)), the factor that makes the loss an ELBO under uniform time.

    Args:
        schedule: The schedule of the training.
    """

    schedule: Schedule

    def __call__(self, logsnr: NDArray) -> NDArray:
        """The factor at λ in nats, same shape."""
        mask, keep = rates_at(logsnr)
        return 1 / (mask * self.schedule.form.slope(mask, keep))


def inverse_rate(logsnr: NDArray) -> NDArray:
    """1/m: the ELBO under a uniform masking rate.

    Args:
        logsnr: λ in nats, any shape.

    Returns:
        The factor, same shape.
    """
    mask, _ = rates_at(logsnr)
    return 1 / mask


def kept_share(logsnr: NDArray) -> NDArray:
    """The share of tokens that is kept, alpha = 1 − m.

    Args:
        logsnr: λ in nats, any shape.

    Returns:
        The factor, same shape.
    """
    return expit(np.asarray(logsnr, dtype=float))


# --- error of data without structure --------------------------------------------------------------


def independent_floor(logsnr: ArrayLike) -> NDArray:
    """Least cross-entropy of one token that depends on no other, as a share of its entropy: m.

    Args:
        logsnr: λ in nats, any shape; ±inf is allowed.

    Returns:
        sigmoid(−λ), same shape.

    Raises:
        TypeError: λ is no real number.
        ValueError: λ is NaN.
    """
    return expit(-levels(logsnr))


def independent_information(logsnr: ArrayLike) -> NDArray:
    """Information I(x; z_λ) of one token that depends on no other, as a share of its entropy.

    Args:
        logsnr: λ in nats, any shape; ±inf is allowed.

    Returns:
        sigmoid(λ), same shape.

    Raises:
        TypeError: λ is no real number.
        ValueError: λ is NaN.
    """
    return expit(levels(logsnr))


def base_factor(base: str, logsnr: NDArray) -> NDArray:
    """What a weighting on the sum over masked tokens is multiplied by to act on another base.

    Args:
        base: "sum", the cross-entropy summed over masked tokens; "token", that of one token, given
            that it is masked; or "elbo", the ELBO's own density over λ.
        logsnr: λ in nats, any shape.

    Returns:
        1, m or 1/alpha, same shape.

    Raises:
        ValueError: The base is unknown.
    """
    mask, keep = rates_at(logsnr)
    factors = {"sum": np.ones_like(mask), "token": mask, "elbo": 1 / keep}
    return factors[one_of(base, "base", BASES)]


@dataclass(frozen=True, eq=False)
class MaskedObjective:
    """A training objective of masked diffusion.

    It pickles and deep-copies if the multiplier and the stated form do; all that this package
    makes do.

    Args:
        name: What plots and errors call the objective.
        family: The group of objectives that it belongs to.
        year: Year of its source.
        source: Paper or code that states it.
        schedule: Masking rate as a function of time.
        multiplier: Factor on the cross-entropy of masked tokens, a function of λ.
        average: What the sum over masked tokens is divided by: nothing ("sum"), the length of the
            sequence ("length"), the masked tokens of each sequence ("masked"), or those of the
            whole batch ("batch").
        masks: How tokens are masked: each by itself ("independent"), or as many as the rate times
            the length, rounded up ("up") or to the nearest whole number from 1 ("nearest").
        law: Law of λ, a frozen SciPy distribution. By default that of uniform time.
        stated: Closed form of w(λ) from the literature, up to a constant.
        note: Traps and remarks.

    Raises:
        TypeError: A part is of the wrong kind.
        ValueError: The year is negative, or ``average`` or ``masks`` is unknown.

    Example:
        >>> from diffviz.masked import schedules
        >>> mine = dv.MaskedObjective(
        ...     name="mine",
        ...     family="masked",
        ...     year=2026,
        ...     source="my notebook",
        ...     schedule=schedules.LINEAR,
        ... )
        >>> mine.weighting([-2.0, 0.0, 2.0], base="token").round(4)
        array([0.0925, 0.125 , 0.0125])
    """

    name: str
    family: str
    year: int
    source: str
    schedule: Schedule
    multiplier: Curve = multipliers.constant
    average: str = "sum"
    masks: str = "independent"
    law: Any = None
    stated: Curve | None = None
    note: str = ""

    def __post_init__(self) -> None:
        check_description(self)
        if not isinstance(self.schedule, Schedule):
            raise TypeError(
                "schedule must be a masking schedule such as diffviz.masked.schedules.LINEAR, "
                f"got {brief(self.schedule)}"
            )
        one_of(self.average, "average", AVERAGES)
        one_of(self.masks, "masks", MASKS)
        if self.law is None:
            object.__setattr__(self, "law", self.schedule.law)
        checked_law(self.law)

    def __repr__(self) -> str:
        return (
            f"MaskedObjective({self.name!r}: {self.schedule.name} schedule, "
            f"{self.average} over masked tokens, {self.source})"
        )

    @property
    def identity(self) -> str:
        """What the objective does, as 16 hexadecimal digits.

        It is a hash as that of a Gaussian objective: of quantiles of the law and of the factor at
        each, with the kind of average and of masks. Name, note and source do not enter.
        """
        kind = f"cross-entropy {self.average} {self.masks}"
        return identity_of(self.law, self._raw_factor, kind)

    def _raw_factor(self, logsnr: NDArray) -> NDArray:
        """The factor on the sum over masked tokens before any check."""
        mask, _ = rates_at(logsnr)
        value = np.asarray(self.multiplier(logsnr))
        return value / mask if self.average == "masked" else value

    def factor(self, logsnr: ArrayLike) -> NDArray:
        """What the loss multiplies the cross-entropy summed over masked tokens by.

        Under the average "masked" it is that of long sequences, up to their length.

        Args:
            logsnr: λ in nats, any shape.

        Returns:
            The factor, same shape.

        Raises:
            TypeError: λ is no real number.
            ValueError: λ is NaN or infinite, or the factor is negative or not finite.

        Example:
            >>> dv.masked_objective("llada").factor([-2.0, 0.0, 2.0]).round(3)
            array([1.135, 2.   , 8.389])
        """
        at = finite(logsnr, "logsnr")
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # refused below
            return self._accepted(self._raw_factor(at), at)

    def _accepted(self, factor: NDArray, logsnr: NDArray) -> NDArray:
        """Factors at some λ, if they are finite and >= 0."""
        if factor.shape not in ((), logsnr.shape):
            raise ValueError(
                f"{self.name}: the multiplier returns the shape {factor.shape} for logsnr of "
                f"shape {logsnr.shape}"
            )
        factor = np.broadcast_to(factor, logsnr.shape)
        bad = ~(np.isfinite(factor) & (factor >= 0))
        if bad.any():
            raise ValueError(
                f"{self.name}: the factor is {factor[bad].flat[0]} at logsnr "
                f"{logsnr[bad].flat[0]:g}; it must be finite and >= 0: stay within ±700 nats, or "
                "mend the multiplier"
            )
        return factor

    def _multiplied(self, logsnr: NDArray) -> NDArray:
        """The multiplier at some λ, if it is finite and >= 0 there."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # refused
            return self._accepted(np.asarray(self.multiplier(logsnr), dtype=float), logsnr)

    def weighting(self, logsnr: ArrayLike, base: str = "sum") -> NDArray:
        """Implied w(λ) on the cross-entropy; 0 outside the support of the law.

        Args:
            logsnr: λ in nats, any shape.
            base: "sum" over masked tokens; "token", of one masked token; or "elbo", relative to
                the ELBO, which is constant there.

        Returns:
            The weighting, same shape.

        Raises:
            TypeError: λ is no real number.
            ValueError: A λ is not finite, the base is unknown, or the factor is negative or not
                finite.

        Example:
            >>> mdlm = dv.masked_objective("mdlm")
            >>> mdlm.weighting([-4.0, 0.0, 4.0]).round(3)
            array([0.018, 0.5  , 0.982])
            >>> mdlm.weighting([-4.0, 0.0, 4.0], base="elbo").round(3)
            array([1., 1., 1.])
        """
        at = finite(logsnr, "logsnr")
        low, high = self.law.support()
        inside = (at >= low) & (at <= high)
        level = at[inside]
        w = np.zeros(at.shape)
        factor = self.factor(level)
        on_sum = factor * self.law.pdf(level)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # refused below
            on_base = on_sum * base_factor(base, level)
            faint = on_sum < SMALLEST  # where the product underflows, though w need not
            logarithm = np.log(factor[faint]) + log_density(self.law, level[faint])
            on_base[faint] = np.exp(logarithm + np.log(base_factor(base, level[faint])))
        w[inside] = on_base
        if not np.isfinite(w).all():
            raise ValueError(
                f"{self.name}: the weighting on the base {base!r} leaves float64 at logsnr "
                f"{at[~np.isfinite(w)].flat[0]:g}; stay within ±700 nats"
            )
        return w

    def over_elbo(self, logsnr: NDArray) -> NDArray:
        """The weighting relative to the ELBO, w(λ)/sigmoid(λ).

        Args:
            logsnr: λ in nats, any shape.

        Returns:
            The relative weighting, same shape.

        Example:
            >>> dv.masked_objective("maskgit").over_elbo(np.array([-2.0, 0.0, 2.0])).round(3)
            array([1.345, 0.735, 0.641])
        """
        return self.weighting(logsnr, base="elbo")

    @property
    def information(self) -> Curve:
        """I(x; z_λ) of data without structure, by which a verdict counts what is negative."""
        return independent_information

    @property
    def floor(self) -> Curve:
        """Least error on data without structure, which a loss density has by default."""
        return independent_floor

    def draw(
        self, n: int, rng: np.random.Generator, stratified: bool = True
    ) -> tuple[NDArray, NDArray]:
        """Levels to train at and the factor on the sum over masked tokens there.

        Args:
            n: Number of draws.
            rng: NumPy generator.
            stratified: Take one draw in each of n equal shares of probability, in mixed order.

        Returns:
            λ in nats and factor, both float64 of shape (n,). The mean of factor · Σ_masked CE
            estimates the loss.

        Raises:
            TypeError: n is no whole number, or rng is no generator.
            ValueError: n is below 1, ``stratified`` is no bool, or a factor is not finite.

        Example:
            >>> logsnr, factor = dv.masked_objective("mdlm").draw(1000, np.random.default_rng(0))
            >>> logsnr.shape, bool((factor >= 0.9).all())
            ((1000,), True)
        """
        n = count(n, "n")
        rng = random_generator(rng)
        stratified = one_of(stratified, "stratified", (False, True))
        logsnr = quantile(self.law, quantile_draws(n, rng, stratified))
        return logsnr, self.factor(logsnr)

    def count_weights(self, length: int) -> NDArray:
        """Weight of each number of masked tokens in sequences of one length, exactly.

        A loss of masked diffusion is Σ_k weight_k S_k, where S_k is the cross-entropy summed over
        the masked tokens, averaged over all masks of k tokens. That of the ELBO is 1/k. Two losses
        are the same for sequences of this length if their weights are proportional.

        Args:
            length: Number of tokens of a sequence.

        Returns:
            Weights of k = 1 to ``length`` masked tokens, shape (length,).

        Raises:
            TypeError: The length is no whole number.
            ValueError: It is below 1, or a factor is negative or not finite.

        Example:
            >>> weights = dv.masked_objective("llada").count_weights(4)
            >>> (weights / weights[0]).round(2)
            array([1.  , 0.5 , 0.33, 0.25])
        """
        length = count(length, "length")
        masked = np.arange(1, length + 1)
        logsnr, weight = self._levels(length)
        weights = self._by_count(length, logsnr, weight * self._multiplied(logsnr))
        mean = float(masked @ self._by_count(length, logsnr, weight))
        divisor = {"sum": 1.0, "length": float(length), "masked": masked, "batch": mean}
        return weights / divisor[self.average]

    def _levels(self, length: int) -> tuple[NDArray, NDArray]:
        """Nodes and weights of an integral over the law, from the middle to either end.

        Where a rate is rounded to a number of tokens, panels end where the number changes.
        """
        turns = REACH
        if self.masks != "independent":
            half = 0.5 if self.masks == "nearest" else 0.0
            rate = (np.arange(1, length) + half) / length
            turns = np.concatenate([turns, -np.log(rate / (1 - rate))])
        noisy, below = graded(self.law.cdf(turns), self.law.ppf)
        clean, above = graded(survival(self.law, turns), partial(exceeded, self.law))
        return np.concatenate([noisy, clean]), np.concatenate([below, above])

    def _by_count(self, length: int, logsnr: NDArray, mass: NDArray) -> NDArray:
        """Masses of levels by the number of tokens that are masked there, shape (length,)."""
        if self.masks != "independent":
            fixed = fixed_counts(self.masks, length, logsnr).astype(int)
            return np.bincount(fixed - 1, mass, length)
        masked = np.arange(1, length + 1)
        blocks = np.array_split(masked, 1 + length * len(logsnr) // MOST_PROBABILITIES)
        parts = [binomial_probabilities(block, length, logsnr) @ mass for block in blocks]
        return np.concatenate(parts)


def graded(ends: NDArray, quantile: Curve) -> tuple[NDArray, NDArray]:
    """Nodes and weights of an integral over the half of a law beyond its median.

    A function of the masking rate may grow without bound as the probability falls to 0, as some
    power of it. In its logarithm it is smooth.

    Args:
        ends: Probabilities at which panels end; those above ½ do not count.
        quantile: λ in nats beyond which a probability lies.

    Returns:
        λ of the nodes in nats and their weights, both of shape (n,); the weights sum to ½.
    """
    with np.errstate(divide="ignore"):
        end = float(quantile(np.zeros(1))[0])

    def is_inside(logsnr: NDArray) -> NDArray:
        """Whether λ is no end of the law; nearer to one, rates are rounded to it."""
        return (np.abs(logsnr) < LARGEST_LEVEL) & (logsnr != end)

    even = np.arange(1, PANELS // 2 + 1) / PANELS
    inner = np.concatenate([even, ends[(ends > LEAST) & (ends < 0.5)]])
    if np.isfinite(end):
        inner = np.concatenate([inner, TAIL])
    with np.errstate(divide="ignore"):
        inner = np.unique(inner[is_inside(quantile(inner))])
    require(
        len(inner) > 0,
        f"half of the law of λ lies beyond ±{LARGEST_LEVEL:g} nats or in one point, where masking "
        "rates are rounded; take a law within ±700",
    )
    share = (NODES + 1) / 2
    first = inner[0] * share
    step = np.log(inner[1:] / inner[:-1])[:, None]
    others = inner[:-1, None] * np.exp(step * share)
    nodes = np.concatenate([first, others.ravel()])
    weights = np.concatenate([inner[0] * WEIGHTS / 2, (others * step * WEIGHTS / 2).ravel()])
    with np.errstate(divide="ignore"):
        levels = quantile(nodes)
    return np.where(is_inside(levels), levels, quantile(inner[:1])), weights


def fixed_counts(masks: str, length: int, logsnr: NDArray) -> NDArray:
    """Number of masked tokens where the rate fixes it, at least 1.

    Args:
        masks: "up" or "nearest", the way in which rate times length is rounded.
        length: Number of tokens of a sequence.
        logsnr: λ in nats, any shape.

    Returns:
        The numbers, same shape.
    """
    rate, _ = rates_at(logsnr)
    rounded = np.ceil(rate * length) if masks == "up" else np.round(rate * length)
    return np.maximum(rounded, 1)


def binomial_probabilities(masked: NDArray, length: int, logsnr: NDArray) -> NDArray:
    """Probability of numbers of masked tokens where each is masked by itself.

    Args:
        masked: Numbers of masked tokens, shape (k,).
        length: Number of tokens of a sequence.
        logsnr: λ in nats, shape (n,); ±inf is allowed.

    Returns:
        The probabilities, shape (k, n).
    """
    # finite, so that 0 of them are 0
    log_mask = np.maximum(log_expit(-np.asarray(logsnr, dtype=float)), NO_RATE)
    log_keep = np.maximum(log_expit(np.asarray(logsnr, dtype=float)), NO_RATE)
    kept = length - masked
    ways = gammaln(length + 1) - gammaln(masked + 1) - gammaln(kept + 1)
    return np.exp(ways[:, None] + masked[:, None] * log_mask + kept[:, None] * log_keep)


@dataclass(frozen=True, eq=False)
class MaskedBatch:
    """Masks of a batch, and what the loss multiplies the cross-entropy of each sequence by.

    Args:
        mask: Which tokens are hidden, shape (n, L).
        logsnr: λ in nats, shape (n,).
        weight: Factor on the sum over masked tokens, shape (n,). The mean over the batch of
            weight · Σ_masked CE is the loss.
    """

    mask: NDArray
    logsnr: NDArray
    weight: NDArray


def draw_masks(
    objective: MaskedObjective, n: int, length: int, rng: np.random.Generator
) -> MaskedBatch:
    """Masks to train on, as a code draws them that follows the recipe to the letter.

    Args:
        objective: A masked objective.
        n: Number of sequences.
        length: Number of tokens of each.
        rng: NumPy generator.

    Returns:
        The masks with their weights.

    Raises:
        TypeError: It is no masked objective, a number is not whole, or rng is no generator.
        ValueError: A number is below 1, or the multiplier is negative or not finite.

    Example:
        >>> from diffviz.masked.objectives import draw_masks
        >>> rng = np.random.default_rng(0)
        >>> draw_masks(dv.masked_objective("maskgit"), 4, 8, rng).mask.shape
        (4, 8)
    """
    recipe = checked_objective(objective)
    n = count(n, "n")
    length = count(length, "length")
    logsnr = quantile(recipe.law, quantile_draws(n, random_generator(rng)))
    order = rng.random((n, length))
    if recipe.masks == "independent":
        mask = order < rates_at(logsnr)[0][:, None]
    else:
        fixed = fixed_counts(recipe.masks, length, logsnr)
        mask = order.argsort(1).argsort(1) < fixed[:, None]
    hidden = mask.sum(1)
    divisor = {
        "sum": np.ones(n),
        "length": np.full(n, float(length)),
        "masked": np.maximum(hidden, 1),
        "batch": np.full(n, max(hidden.mean(), 1 / n)),
    }
    return MaskedBatch(mask, logsnr, recipe._multiplied(logsnr) / divisor[recipe.average])


def checked_objective(value: Any, name: str = "objective") -> MaskedObjective:
    """A masked objective that a caller passed.

    Args:
        value: The objective.
        name: Name of the argument, for messages.

    Returns:
        The objective.

    Raises:
        TypeError: It is none.
    """
    if not isinstance(value, MaskedObjective):
        raise TypeError(
            f"{name} must be a masked objective such as dv.masked_objective('mdlm'), "
            f"got {brief(value)}"
        )
    return value
