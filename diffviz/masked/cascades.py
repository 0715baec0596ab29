"""A masked loss as an average of bounds whose models are exact in part, counted through.

The model of masked diffusion unmasks tokens one by one. Where k are masked, the *optimal decoder*
unmasks the next token by its exact law given the visible ones. Put it in the place of the predictor
for all k but those of a set S. Averaged over the data the ELBO of that model is (our own
derivation, after the idea of Shi and Titsias 2025, arXiv 2511.19664)

    E[−ELBO_S(x)] = entropy + Σ_{k in S} (C_k − F_k)/k,

with C_k the cross-entropy summed over k masked tokens, and F_k its least value. An objective that
gives C_k the weight a_k weights each count by k a_k relative to the ELBO. With M = max_k k a_k,

    entropy + Σ_k (k a_k/M) (C_k − F_k)/k

is an average of these bounds, in which the share k a_k/M has the predictor at k. Where w falls
relative to the ELBO, k a_k grows with k. The exact part is then at the end: where few tokens are
masked, the rest of the sequence is drawn from its exact law.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffviz.checks import instance, real_numbers, require
from diffviz.masked.bounds import Assessment, weighed
from diffviz.masked.objectives import MaskedObjective, checked_objective

NEGLIGIBLE = (
    1e-5  # rise of a share, such as that of a schedule that stops just before all is masked
)


def learned_shares(objective: MaskedObjective, length: int) -> NDArray:
    """Share of the bounds in which the predictor decodes, for each number of masked tokens.

    Args:
        objective: A masked objective.
        length: Number of tokens of a sequence.

    Returns:
        k a_k over its maximum for k = 1 to ``length``, shape (length,). For the ELBO it is 1.

    Raises:
        TypeError: It is no masked objective, or the length no whole number.
        ValueError: The length is below 1.

    Example:
        >>> from diffviz.masked import cascades
        >>> cascades.learned_shares(dv.masked_objective("simple"), 4).round(2)
        array([0.25, 0.5 , 0.75, 1.  ])
    """
    weights = checked_objective(objective).count_weights(length)
    relative = weights * np.arange(1, len(weights) + 1)
    return relative / relative.max()


def partly_exact(assessment: Assessment, counts: NDArray) -> Assessment:
    """The model with its own predictor at some numbers of masked tokens, and the exact elsewhere.

    Args:
        assessment: A predictor on a world.
        counts: Whether the predictor stays, for k = 1 to L masked tokens, shape (L,).

    Returns:
        The model; its ELBO and its likelihood are those of any other.

    Raises:
        TypeError: ``assessment`` is no ``Assessment``.
        ValueError: There is not one truth value for each number of masked tokens.

    Example:
        >>> from diffviz.masked import Assessment, MarkovWorld, cascades
        >>> world = MarkovWorld([0.5, 0.5], [[0.9, 0.1], [0.1, 0.9]], length=3)
        >>> blind = Assessment.of(world, lambda z: np.full((len(z), 3, 2), 0.5))
        >>> none = cascades.partly_exact(blind, np.zeros(3, bool))
        >>> bool(np.allclose(none.elbo, world.log_probability(world.sequences)))
        True
    """
    world = _checked(assessment).world
    keep = real_numbers(counts, "counts")
    require(
        keep.shape == (world.length,) and keep.dtype == bool,
        f"counts must hold {world.length} truth values, got {keep.dtype} of shape {keep.shape}",
    )
    hidden = (world.states == world.alphabet).sum(1)
    stays = np.concatenate([[False], keep])[hidden]
    exact = world.posterior(world.states)
    return Assessment(world, np.where(stays[:, None, None], assessment.table, exact))


@dataclass(frozen=True)
class MaskedBounds:
    """What a masked loss bounds, on a world, in nats above the entropy; from ``masked_bounds``.

    Args:
        entropy: Entropy of the world in nats.
        elbo: −ELBO of the predictor less the entropy.
        bound: The average of the bounds less the entropy.
        likelihood: The average of −log p of their models less the entropy; at most ``bound``.
        noised: The average of the KL of masked data, of which the loss is a bound in the reading
            of Kingma and Gao; NaN where the weighting does not fall relative to the ELBO.
        learned: Share of the steps that the predictor takes, on average.

    Example:
        >>> from diffviz.masked import Assessment, MarkovWorld, cascades
        >>> world = MarkovWorld([0.5, 0.5], [[0.9, 0.1], [0.1, 0.9]], length=3)
        >>> blind = Assessment.of(world, lambda z: np.full((len(z), 3, 2), 0.5))
        >>> found = cascades.masked_bounds(blind, dv.masked_objective("simple"))
        >>> round(found.elbo, 3), round(found.bound, 3), round(found.likelihood, 3)
        (0.736, 0.352, 0.33)
    """

    entropy: float
    elbo: float
    bound: float
    likelihood: float
    noised: float
    learned: float


def masked_bounds(assessment: Assessment, objective: MaskedObjective) -> MaskedBounds:
    """The bounds of which a masked loss is an average, and the likelihoods that they bound.

    Args:
        assessment: A predictor on a world.
        objective: A masked objective.

    Returns:
        Bounds and likelihoods, by counting through.

    Raises:
        TypeError: ``assessment`` is no ``Assessment``, or the objective is not masked.
    """
    world = _checked(assessment).world
    share = learned_shares(objective, world.length)
    count = np.arange(1, world.length + 1)
    lost = (assessment.mean(assessment.by_count) - world.floor_by_count)[1:] / count
    heights = np.concatenate([[0.0], np.unique(share[share > 0])])
    models = [partly_exact(assessment, share >= height) for height in heights[1:]]
    nats = [float(model.mean(-model.log_likelihood)) for model in models]
    return MaskedBounds(
        entropy=world.entropy,
        elbo=float(lost.sum()),
        bound=weighed(share, lost),
        likelihood=float(np.diff(heights) @ nats) - world.entropy,
        noised=_noised(assessment, share),
        learned=float(share.mean()),
    )


def _checked(assessment: Assessment) -> Assessment:
    """An assessment; a TypeError for anything else."""
    return instance(assessment, "assessment", Assessment, "an Assessment of a world")


def _noised(assessment: Assessment, share: NDArray) -> float:
    """Average KL of masked data under the law of the number of masks that a loss implies."""
    law = np.diff(share, prepend=0.0)  # probability of stopping where k − 1 tokens are masked
    if (law < -NEGLIGIBLE).any():
        return float("nan")
    return weighed(law, visible_divergence(assessment)[:-1])


def visible_divergence(assessment: Assessment) -> NDArray:
    """KL of the visible tokens to what the model unmasks, by the number of masked tokens.

    Args:
        assessment: A predictor on a world.

    Returns:
        Nats for 0 to L masked tokens, averaged over sequences and masks, shape (L + 1,).

    Raises:
        TypeError: ``assessment`` is no ``Assessment``.

    Example:
        >>> from diffviz.masked import Assessment, MarkovWorld, cascades
        >>> world = MarkovWorld([0.5, 0.5], [[0.9, 0.1], [0.1, 0.9]], length=3)
        >>> exact = Assessment.of(world, world.posterior)
        >>> bool(np.abs(cascades.visible_divergence(exact)).max() < 1e-12)
        True
    """
    world = _checked(assessment).world
    exact = Assessment.of(world, world.posterior)
    with np.errstate(invalid="ignore"):  # of sequences that cannot happen, which count nothing
        lost = exact.log_visible - assessment.log_visible
    return assessment.by_size(exact.mean(lost))
