"""Runs of a loss: data and noise on and off, everything random replayed, losses of any form."""

import random

import numpy as np
import pytest
import torch

from diffviz.probing.session import Session, State
from diffviz.probing.standin import Output, StandIn, selector_of_z

X = torch.randn(16, 2, 3, generator=torch.Generator().manual_seed(0))


def chunk_of(loss, *, call=-1, wrap=None, x=X, bit_generators=()):
    standin = StandIn(selector_of_z(None, x), wrap, call)
    session = Session(
        lambda x: loss(standin, x),
        x,
        standin,
        seed=3,
        stratified=True,
        bit_generators=bit_generators,
    )
    return session.chunk(0, 1, len(x))


def plain(model, x):
    noise = torch.randn_like(x)
    return ((model(3 * x + 2 * noise) - noise) ** 2).flatten(1).mean(1)


@pytest.mark.parametrize("state", State, ids=lambda state: state.name)
def test_data_and_noise_are_on_as_the_state_says(state):
    chunk = chunk_of(plain)
    z = chunk.run(state).z
    noise = chunk.draws.noises[0]
    expected = 3 * X * state.data + 2 * noise * state.noise
    torch.testing.assert_close(z, expected.flatten(1))


def test_the_gradient_is_that_of_each_samples_loss():
    """A mean over a batch is multiplied by its size, so that losses of both forms agree."""
    each = chunk_of(plain).run(State.BOTH).gradient
    one = chunk_of(lambda model, x: plain(model, x).mean()).run(State.BOTH).gradient
    torch.testing.assert_close(each, one)


def test_the_output_that_is_asked_for_reaches_the_loss():
    chunk = chunk_of(plain)
    chunk.run(State.NOTHING)
    output = torch.arange(6.0)
    gradient = chunk.run(State.NOTHING, output).gradient
    torch.testing.assert_close(gradient, (2 * output / 6).expand(16, 6))


def test_everything_random_is_replayed():
    rng = np.random.default_rng(5)

    def loss(model, x):
        shift = random.random() + np.random.rand() + rng.random() + torch.rand(())  # noqa: NPY002
        return plain(lambda z: model(z + shift), x)

    chunk = chunk_of(loss, bit_generators=[rng.bit_generator])
    first = chunk.run(State.BOTH)
    second = chunk.run(State.BOTH)
    assert torch.equal(first.z, second.z)
    assert torch.equal(first.gradient, second.gradient)


@pytest.mark.parametrize(
    "form",
    [
        lambda loss: loss,
        lambda loss: (loss, None),
        lambda loss: [loss],
        lambda loss: {"loss": loss, "t": 0},
        lambda loss: Output(loss=loss),
    ],
    ids=["bare", "tuple", "list", "dict", "attribute"],
)
def test_a_loss_is_taken_from_what_training_steps_return(form):
    chunk = chunk_of(lambda model, x: form(plain(model, x)))
    assert chunk.run(State.BOTH).gradient.shape == (16, 6)


def test_calls_without_gradient_are_answered_and_not_counted():
    def loss(model, x):
        with torch.no_grad():
            assert not model(x).any()
        return plain(model, x)

    chunk = chunk_of(loss)
    chunk.run(State.BOTH)
    assert len(chunk.standin.calls) == 1


def test_numbers_for_each_sample_are_kept_beside_z():
    def loss(model, x):
        time = torch.rand(len(x))
        return plain(lambda z: model(z, time, torch.zeros(16, 5), step=torch.tensor(2)), x)

    scalars = chunk_of(loss).run(State.BOTH).scalars
    assert [tuple(value.shape) for value in scalars] == [(16,), ()]


def test_data_are_used_in_turn():
    session = Session(lambda x: x, X, None, seed=0, stratified=True)
    torch.testing.assert_close(session.chunk(1, 3, 10).x, X[[*range(10, 16), *range(4)]])


def test_half_precision_is_read_in_single():
    chunk = chunk_of(plain, x=X.bfloat16())
    response = chunk.run(State.BOTH)
    assert response.gradient.dtype == torch.float32
    assert response.dtype == torch.bfloat16
