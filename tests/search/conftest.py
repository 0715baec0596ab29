"""A stand-in for training: goals from the weighting alone, so that a search takes no time."""

import numpy as np
import pytest

from diffviz.search import experiment
from diffviz.search.measurement import Outcome


class StandIn:
    """Takes the place of ``train_and_measure``, and counts what would have been trained.

    Attributes:
        batches: Number of candidates and seed of each batch.
        interrupt_at: The seed at which the stop button is pressed.
    """

    def __init__(self):
        self.batches = []
        self.interrupt_at = None

    def __call__(self, candidates, seed, settings):
        if seed == self.interrupt_at:
            raise KeyboardInterrupt
        self.batches.append((len(candidates), seed))
        rng = np.random.default_rng(seed)
        outcomes = []
        for candidate in candidates:
            low, high = np.log(candidate.w(np.array([-4.0, 4.0])))
            noise = 0.01 * rng.standard_normal()
            outcomes.append(Outcome(float((low - high) ** 2 / 10 + noise)))
        return outcomes


@pytest.fixture
def untrained(monkeypatch):
    """A search whose candidates are not trained."""
    stand_in = StandIn()
    monkeypatch.setattr(experiment, "train_and_measure", stand_in)
    return stand_in


@pytest.fixture
def fast():
    """Arguments of the smallest search."""
    return {"points": 7, "seeds": 2, "steps": 10}
