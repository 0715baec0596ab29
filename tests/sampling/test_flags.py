"""Flags, methods and levels of sampling and likelihood."""

import numpy as np
import pytest
import torch

import diffviz as dv

RING = dv.toy("ring8")
POINT = torch.zeros(1, 2, dtype=torch.float64)


@pytest.mark.parametrize("value", ["no", "", None, 2, np.nan, []])
def test_a_flag_that_is_no_bool_is_refused(value):
    for name in ("finite", "exact"):
        with pytest.raises(ValueError, match=f"unknown {name}"):
            dv.elbo(RING, POINT, levels=2, **{name: value})
    with pytest.raises(ValueError, match="unknown gaussian"):
        dv.log_likelihood(RING, POINT, steps=1, probes=2, gaussian=value)
    with pytest.raises(ValueError, match="unknown unit"):
        dv.toy("ring8", unit=value)
    with pytest.raises(ValueError, match="unknown unit"):
        dv.dataset(np.eye(2), unit=value)
    for statistic in (RING.mmse, RING.moments):
        with pytest.raises(ValueError, match="unknown stderr"):
            statistic(0.0, stderr=value)


@pytest.mark.parametrize("value", [1.5, "normal", POINT])
def test_a_prior_that_is_no_function_is_refused(value):
    with pytest.raises(TypeError, match="prior must be a function of z"):
        dv.log_likelihood(RING, POINT, steps=1, prior=value)


@pytest.mark.parametrize("bad", [{"high": 1e308}, {"low": -800.0}])
def test_levels_beyond_the_exponential_are_refused(bad):
    (name,) = bad
    with pytest.raises(ValueError, match=f"{name} must lie in"):
        dv.elbo(RING, POINT, levels=2, **bad)


@pytest.mark.parametrize("value", ["dopri", "", None, 5, ["dopri5"], np.ones(2)])
def test_an_unknown_method_is_refused_with_the_known_ones(value):
    with pytest.raises(ValueError, match=r"unknown method .*dopri5"):
        dv.sample(RING, [-2.0, 2.0], "adaptive", n=2, method=value)


@pytest.mark.parametrize("value", [np.ones((2, 2)), "inf", None])
def test_a_bound_of_the_churn_that_is_no_number_is_refused(value):
    with pytest.raises((TypeError, ValueError), match="high must"):
        dv.sample(RING, [-2.0, 2.0], "heun", n=2, churn=1.0, high=value)


def test_an_empty_list_of_levels_is_refused():
    for statistic in (RING.mmse, RING.moments):
        with pytest.raises(ValueError, match="logsnr must hold at least one level"):
            statistic([])
