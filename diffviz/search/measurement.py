"""Training of candidates side by side, and the goal of each.

``train_and_measure`` depends on its arguments alone, and arguments and results pickle, so that
batches may run in other processes. It computes on one thread: the number of threads would change
the order of sums, and so the last digits.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from diffviz import checks
from diffviz.compute import threads
from diffviz.search import goals
from diffviz.search.candidates import Candidate, training_objective
from diffviz.search.datasets import IMAGES, Split, split
from diffviz.search.settings import Settings


class Outcome(NamedTuple):
    """What came of one training.

    Attributes:
        value: The goal; NaN if the training failed.
        failure: Why it failed; empty if it did not.
    """

    value: float
    failure: str = ""


def train_and_measure(
    candidates: Sequence[Candidate], seed: int, settings: Settings
) -> list[Outcome]:
    """Train candidates as one batch, and measure the goal of each.

    A training that diverges ends the whole batch. Then its halves are trained again, down to the
    candidate that diverges.

    Args:
        candidates: What is trained.
        seed: Seed of data, start, noise and goal.
        settings: How they are trained, and for which goal.

    Returns:
        One outcome for each candidate, in order.

    Raises:
        ValueError: There are no candidates.
        KeyboardInterrupt: The stop button was pressed during the training.
    """
    checks.require(len(candidates) > 0, "there are no candidates to train")
    with threads.suited(0.0):  # small enough for one thread, whatever its size
        return _outcomes(candidates, seed, settings)


def _outcomes(candidates: Sequence[Candidate], seed: int, settings: Settings) -> list[Outcome]:
    """What came of each training of a batch that is not empty; see ``train_and_measure``."""
    from diffviz.learning.training import Diverged

    data = split(settings.data, seed)
    try:
        runs = _train(candidates, data, seed, settings)
    except Diverged as error:
        if len(candidates) == 1:
            return [Outcome(np.nan, f"seed {seed}, {error}")]
        half = len(candidates) // 2
        first = _outcomes(candidates[:half], seed, settings)
        return first + _outcomes(candidates[half:], seed, settings)
    return [_measure(run, data, seed, settings.goal) for run in runs]


def _train(
    candidates: Sequence[Candidate], data: Split, seed: int, settings: Settings
) -> list[Any]:
    """One run for each candidate: small networks, larger ones for images."""
    from diffviz.learning.models import MLP
    from diffviz.learning.training import fit

    runs = fit(
        [training_objective(candidate, settings) for candidate in candidates],
        data.train,
        model=MLP(64, 2, ()) if settings.data in IMAGES else MLP(32, 2),
        steps=settings.steps,
        batch=settings.batch,
        learning_rate=settings.learning_rate,
        seed=seed,
        progress=False,
    )
    if len(runs[0].loss) < settings.steps:
        raise KeyboardInterrupt  # ``fit`` takes the stop button as an early end
    return runs


def _measure(run: Any, data: Split, seed: int, goal: str) -> Outcome:
    """The goal of one run; a failure if its denoiser returns NaN or inf."""
    try:
        return Outcome(goals.GOALS[goal].measure(run, data, seed))
    except (FloatingPointError, ValueError) as error:
        return Outcome(np.nan, f"seed {seed}, {run.name}: {error}")
