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


@exercise("uniform-mistake")
def uniform_mistake(answer: Any) -> str:
    """Score entropy of (½, ¼, ¼) at λ = 0 where uniform noise of three tokens turned 0 into 1."""
    value = number(answer)
    p_hat = np.array([0.5, 0.25, 0.25])
    q, q_hat = (0.5 * p + 0.5 / 3 for p in (np.eye(3)[0], p_hat))
    ratio, guess, plain = q[0] / q[1], q_hat[0] / q_hat[1], p_hat[0] / p_hat[1]
    truth = _term(ratio, guess) / 6  # the term of y = 2 is 0, since both ratios are 1
    mistakes = {
        np.log(2): "That is the cross-entropy, as for masking. Here the ratios of all y enter.",
        6 * truth: "Do not forget the factor m/K in front of the sum.",
        2 * truth: "The factor is m/K, and m = ½ at λ = 0.",
        3 * truth: "The factor is m/K, and K = 3.",
        _term(ratio, plain) / 6: "The estimate is q̂ = α p̂ + m/K; you took the ratio of the p̂.",
        _term(guess, ratio) / 6: "You have s and ŝ the other way round.",
        _term(1 / ratio, 1 / guess) / 6: "s_y is q(y | x) over q(z | x), with z = 1 below.",
    }
    for wrong, hint in mistakes.items():
        if abs(value / wrong - 1) < 0.005:
            return hint
    hint = "q(y | x) is ½ + 1/6 for y = 0, else 1/6. So s_0 = 4, and the term of y = 2 is 0."
    return near(answer, truth, hint)


def _term(ratio: float, guess: float) -> float:
    """What one other token adds to the score entropy, before its factor m/K."""
    return float(guess - ratio * np.log(guess) + ratio * (np.log(ratio) - 1))


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
