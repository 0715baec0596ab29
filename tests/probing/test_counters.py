"""What a loss keeps between its calls is as before after each replay."""

from collections import deque

import numpy as np
import torch
from torch import nn

from diffviz.probing.counters import Counters


class State:
    def __init__(self):
        self.mean = None
        self.started = False


class Trainer(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.register_buffer("history", torch.zeros(10))
        self.step = 3
        self.phase = "first"
        self.losses = deque([1.0, 2.0], maxlen=2)
        self.counts = {"calls": 1}
        self.bins = np.ones(4)
        self.state = State()
        self.notes = []

    def loss(self, model, x):
        self.step += 1
        self.phase = "second"
        self.losses.append(5.0)
        self.counts["calls"] += 1
        self.bins[2] = 7
        self.history[1] = 4
        self.layer.weight.data[0, 0] = 9
        self.late = 1.5
        self.notes.append(x)


def test_numbers_text_tensors_lists_and_mappings_are_put_back():
    trainer = Trainer()
    losses, bins = trainer.losses, trainer.bins
    counters = Counters(trainer.loss)
    before = counters.take()
    trainer.loss(None, torch.zeros(1))
    counters.put_back(before)
    assert (trainer.step, trainer.phase, trainer.counts) == (3, "first", {"calls": 1})
    assert trainer.losses is losses
    assert list(losses) == [1, 2]
    assert trainer.bins is bins
    assert bins.tolist() == [1, 1, 1, 1]
    assert not trainer.history.any()
    assert not hasattr(trainer, "late")


def test_weights_and_what_a_loss_notes_for_itself_are_left_alone():
    trainer = Trainer()
    counters = Counters(trainer.loss)
    before = counters.take()
    trainer.loss(None, torch.zeros(1))
    counters.put_back(before)
    assert trainer.layer.weight[0, 0] == 9
    assert len(trainer.notes) == 1


def test_objects_in_the_object_of_a_loss_are_put_back():
    class Outer:
        def __init__(self):
            self.state = State()

        def loss(self, model, x):
            self.state.mean = torch.ones(3)
            self.state.started = True

    outer = Outer()
    counters = Counters(outer.loss)
    before = counters.take()
    outer.loss(None, None)
    counters.put_back(before)
    assert (outer.state.mean, outer.state.started) == (None, False)


def test_variables_of_a_closure_are_put_back_whatever_their_kind():
    mean, calls = None, 0

    def loss(model, x):
        nonlocal mean, calls
        mean = torch.ones(())
        calls += 1

    counters = Counters(loss)
    before = counters.take()
    loss(None, None)
    counters.put_back(before)
    assert (mean, calls) == (None, 0)
