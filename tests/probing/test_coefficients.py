"""Coefficients of a loss whose path, target and factor are known exactly, by each method."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from diffviz.probing.coefficients import (
    Assumptions,
    Method,
    joined,
    observe_state,
    read,
    relative_error,
    solve,
)
from diffviz.probing.first_look import look
from diffviz.probing.session import Session, State
from diffviz.probing.standin import StandIn, selector_of_z

X = torch.randn(16, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
SIGNS = torch.tensor([1.0, -1, 1, 1, -1, 1], dtype=torch.float64)
ALPHA, SIGMA, A, B, FACTOR = 0.8, 0.5, -0.3, 0.7, 2.0


def constant_weight(eps):
    return 1.0


def session(penalty, data=X, weight=constant_weight):
    """A loss on z = ALPHA x + SIGMA eps with target A x + B eps and a penalty of the error."""
    standin = StandIn(selector_of_z(None, data), None, -1)

    def loss(x):
        eps = torch.randn_like(x)
        error = standin(ALPHA * x + SIGMA * eps) - (A * x + B * eps)
        return weight(eps) * penalty(error).sum(1)

    return Session(loss, data, standin, seed=0, stratified=True)


def squared(error):
    return FACTOR * error**2


def huber(error):
    return nn.functional.huber_loss(error, torch.zeros_like(error), reduction="none", delta=0.5)


@pytest.mark.parametrize("method", [Method.SUM_RULE, Method.TWO_OUTPUTS])
def test_both_methods_read_a_squared_loss_exactly(method):
    read_off = read(session(squared).chunk(0, 1, 16), Assumptions(SIGNS, method=method))
    np.testing.assert_allclose(read_off.alpha, ALPHA)
    np.testing.assert_allclose(read_off.sigma, SIGMA)
    np.testing.assert_allclose(read_off.a, A)
    np.testing.assert_allclose(read_off.b, B)
    np.testing.assert_allclose(read_off.h, 2 * FACTOR)
    np.testing.assert_allclose(read_off.target_error, 0, atol=1e-12)
    assert read_off.each_component == (True,)


def weight_of_noise(eps):
    """None where the noise is off."""
    return (eps != 0).any(1)


@pytest.mark.parametrize("width", [3, 6])
def test_what_a_weight_of_zero_hides_follows_from_data_and_noise_together(width):
    """Three components are enough for the two unknowns a and b and an error."""
    chunk = session(squared, X[:, :width], weight_of_noise).chunk(0, 1, 16)
    read_off = read(chunk, Assumptions(SIGNS[:width], method=Method.TWO_OUTPUTS))
    np.testing.assert_allclose(read_off.a, A)
    np.testing.assert_allclose(read_off.b, B)
    np.testing.assert_allclose(read_off.target_error, 0, atol=1e-12)


def test_two_components_cannot_tell_what_a_weight_of_zero_hides():
    """Any target would fit: two unknowns and two numbers."""
    chunk = session(squared, X[:, :2], weight_of_noise).chunk(0, 1, 16)
    read_off = read(chunk, Assumptions(SIGNS[:2], method=Method.TWO_OUTPUTS))
    assert np.isnan(read_off.a).all()


def test_bisection_finds_the_target_and_the_local_factor_of_a_huber_loss():
    """Below its width a Huber loss is half of the squared error, so that h is 1."""
    read_off = read(session(huber).chunk(0, 1, 16), Assumptions(SIGNS, method=Method.BISECTION))
    np.testing.assert_allclose(read_off.a, A, atol=1e-9)
    np.testing.assert_allclose(read_off.b, B, atol=1e-9)
    np.testing.assert_allclose(read_off.h, 1, rtol=1e-6)


def test_a_state_alone_has_the_target_of_what_is_on():
    chunk = session(squared).chunk(0, 1, 16)
    assumptions = Assumptions(SIGNS, method=Method.TWO_OUTPUTS)
    data = observe_state(chunk, assumptions, State.DATA).observed
    torch.testing.assert_close(data.z, ALPHA * X)
    torch.testing.assert_close(data.target, A * X)


def test_some_components_tell_as_much_as_all():
    chunk = session(squared).chunk(0, 1, 16)
    every = read(chunk, Assumptions(SIGNS))
    some = read(chunk, Assumptions(SIGNS, stride=3))
    np.testing.assert_allclose(some.b, every.b)
    np.testing.assert_allclose(some.h, every.h)


def test_a_squared_loss_is_read_by_the_sum_rule_and_a_huber_loss_by_bisection():
    plain = look(session(squared).chunk(0, 1, 16))
    assert plain.assumptions.method is Method.SUM_RULE
    assert plain.notes == ()
    assert not plain.assumptions.constant_input
    local = look(session(huber).chunk(0, 1, 16))
    assert local.assumptions.method is Method.BISECTION
    assert local.factor_readable


def test_the_chunks_are_joined_in_their_order_and_draws_can_be_selected():
    both = session(squared)
    parts = [read(both.chunk(number, 2, 8), Assumptions(SIGNS)) for number in (0, 1)]
    whole = joined(parts)
    assert sorted(whole.order) == list(range(16))
    np.testing.assert_array_equal(whole.b, np.concatenate([part.b for part in parts]))
    first = whole.select(np.arange(16) < 8)
    np.testing.assert_array_equal(first.order, parts[0].order)
    assert first.each_component == whole.each_component


def test_regression_gives_coefficients_and_what_is_left():
    basis = [torch.eye(3)[:1], torch.eye(3)[1:2]]
    coefficients, left = solve(basis, torch.tensor([[3.0, 4.0, 12.0]]))
    torch.testing.assert_close(coefficients, torch.tensor([[3.0, 4.0]]))
    torch.testing.assert_close(left, torch.tensor([12 / 13]))


def test_a_relative_error_of_nothing_is_zero_and_of_something_one():
    zero, one = torch.zeros(1, 2), torch.ones(1, 2)
    assert relative_error(zero, zero).item() == 0
    assert relative_error(one, zero).item() == 1
    assert relative_error(1.1 * one, one).item() == pytest.approx(0.1)


def test_assumptions_and_first_looks_are_frozen():
    first_look = look(session(squared).chunk(0, 1, 16))
    with pytest.raises(AttributeError):
        first_look.tolerance = 1.0
    with pytest.raises(AttributeError):
        first_look.assumptions.stride = 2
    assert replace(first_look.assumptions, stride=2).components == slice(None, None, 2)
