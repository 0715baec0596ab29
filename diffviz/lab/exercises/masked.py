"""Judges of notebook 10: masked diffusion."""

from typing import Any

import numpy as np
from scipy.special import expit

from diffviz.checks import require
from diffviz.lab.exercises.answers import near, number
from diffviz.lab.exercises.functions import UNANSWERED
from diffviz.lab.exercises.registry import RIGHT, exercise
from diffviz.masked.entries import masked_objective
from diffviz.masked.objectives import MaskedObjective
from diffviz.masked.schedules import kept_power
from diffviz.theory.analysis import verdict

TWO_MEANS = "masked-mean", "simple-batch"  # of each sequence, and of the batch


@exercise("masked-token-base")
def token_base(answer: Any) -> str:
    """The ELBO's weighting of the cross-entropy of one masked token at λ = 2."""
    truth = 1 / (1 + np.exp(-2.0)) / (1 + np.exp(2.0))
    hint = "A token is masked with probability sigmoid(−λ); the sum has one term for each."
    return near(answer, truth, hint)


@exercise("elbo-of-square-rates")
def elbo_of_square_rates(answer: Any) -> str:
    """A loss whose rates are squares of uniform numbers, and that is the ELBO up to a constant."""
    import torch

    from diffviz.masked.measurement import probe_masked

    require(callable(answer), "the answer is a function here: def loss(model, x): ...", TypeError)
    x = torch.randint(0, 8, (16, 16), generator=torch.Generator().manual_seed(0))
    try:
        answer(_constant_logits, x)
    except TypeError as error:
        if "ellipsis" in str(error):  # the dots stand where the reader's formula is to be
            return UNANSWERED
        raise
    measured = probe_masked(answer, x, vocabulary=9)
    rate = expit(-measured.logsnr)
    if abs(rate.mean() - 1 / 3) > 0.05:
        return "The rates are to be squares of uniform numbers: leave t = u² as it is."
    if measured.is_elbo:
        return RIGHT
    if measured.average == "batch":
        return "Divide nothing by the masked tokens of the whole batch: count each sequence alone."
    edges = measured.edges(12)
    ratio = measured.weighting(edges, base="elbo")
    side = "few" if ratio[-1] > ratio[0] else "many"
    return (
        f"Relative to the ELBO it counts sequences with {side} masked tokens too much. The density "
        "of t is 1/(2√t); which factor makes up for that?"
    )


def _constant_logits(z: Any) -> Any:
    """A network that knows nothing: logits of nine tokens, shape (n, L, 9)."""
    return z.new_zeros((*z.shape, 9)).float()


@exercise("masked-negative-share")
def negative_share(answer: Any) -> str:
    """The negative share of the schedule m = 1 − ∛ρ: its ratio is alpha², so ∫ 2 alpha² dalpha."""
    hint = "The ratio is a power of α, and 1 at α = 1. Integrate its slope times α."
    return near(answer, verdict(_of_a_cube_root()).negative_share, hint)


@exercise("two-means")
def two_means(answer: Any) -> str:
    """How much more often the mean of a large batch counts 12 masked tokens than that of each."""
    each, batch = (masked_objective(name).count_weights(16) for name in TWO_MEANS)
    truth = (batch[11] / batch[0]) / (each[11] / each[0])
    if number(answer) == 1:
        return "The two means are two objectives: what does each divide by?"
    hint = "The mean of each sequence divides by k, that of a large batch by one number for all."
    return near(answer, truth, hint)


def _of_a_cube_root() -> MaskedObjective:
    """MaskGIT's mean under the schedule m = 1 − ∛ρ."""
    return MaskedObjective(
        name="cube root",
        family="MaskGIT",
        year=2022,
        source="an exercise",
        schedule=kept_power(1 / 3),
        average="masked",
        masks="up",
    )
