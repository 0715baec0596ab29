"""Judges of notebook 10: masked diffusion."""

from typing import Any

import numpy as np

from diffviz.lab.exercises.answers import near
from diffviz.lab.exercises.registry import exercise


@exercise("masked-token-base")
def token_base(answer: Any) -> str:
    """The ELBO's weighting of the cross-entropy of one masked token at λ = 2."""
    truth = 1 / (1 + np.exp(-2.0)) / (1 + np.exp(2.0))
    hint = "A token is masked with probability sigmoid(−λ); the sum has one term for each."
    return near(answer, truth, hint)


@exercise("masked-count-weight")
def count_weight(answer: Any) -> str:
    """How often the ELBO counts a mask of one token of 12 over a mask of all 12."""
    return near(answer, 12.0, "The ELBO weights the sum over k masked tokens by 1/k.")


@exercise("masked-negative-share")
def negative_share(answer: Any) -> str:
    """The negative share of MaskGIT's square-root schedule: ∫ alpha dalpha over 1."""
    return near(answer, 0.5, "dv.verdict(dv.masked_objective(...)) knows it, as a number below 1.")
