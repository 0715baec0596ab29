"""Judges of notebook 10: masked diffusion."""

from typing import Any

import numpy as np

from diffviz.lab.exercises.answers import near
from diffviz.lab.exercises.registry import exercise
from diffviz.lab.experiments.masked import WORLD
from diffviz.masked.bounds import Assessment, even


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


@exercise("masked-steps")
def steps(answer: Any) -> str:
    """The bound of two even steps on the notebook's sequences, over the entropy."""
    exact = Assessment.of(WORLD, WORLD.posterior)
    truth = exact.mean(-exact.elbo_in_steps(even(2))) - WORLD.entropy
    hint = "Take Assessment.of(world, world.posterior), then elbo_in_steps([1, 0.5, 0])."
    return near(answer, float(truth), hint)
