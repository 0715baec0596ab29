"""Flags are bools, functions can be called, and text is text."""

import dataclasses

import numpy as np
import pytest

import diffviz as dv

EDM = dv.objective("edm")
GRID = np.linspace(-2.0, 2.0, 5)
NO_FLAGS = ["no", "False", "", None, 2, np.nan, [], np.array([True, False])]
NO_FUNCTIONS = [1.5, "expit", np.ones(5), [1.0], float]


@pytest.mark.parametrize("value", NO_FLAGS)
def test_a_flag_that_is_no_bool_is_refused(value):
    with pytest.raises(ValueError, match="unknown stratified"):
        EDM.draw(4, np.random.default_rng(0), stratified=value)
    with pytest.raises(ValueError, match="unknown normalise"):
        dv.paths.cosine(normalise=value)


@pytest.mark.parametrize("value", [True, np.True_])
def test_numpy_bools_are_flags(value):
    drawn = EDM.draw(4, np.random.default_rng(0), stratified=value)
    assert np.array_equal(drawn, EDM.draw(4, np.random.default_rng(0)))


@pytest.mark.parametrize("value", NO_FUNCTIONS)
def test_what_is_no_function_of_the_level_is_refused_by_name(value):
    with pytest.raises(TypeError, match="information must be a function of λ"):
        dv.verdict(EDM, information=value)
    with pytest.raises(TypeError, match="mmse must be a function of λ"):
        dv.share_below(EDM, mmse=value)
    with pytest.raises(TypeError, match="mmse must be a function of λ"):
        dv.loss_density(np.ones(5), GRID, value)


@pytest.mark.parametrize("value", ["eps", None, 3, dv.targets.Target])
def test_the_name_of_a_target_is_no_target(value):
    eps = dv.targets.EPS
    with pytest.raises(TypeError, match=r"source must be a target such as dv.targets.EPS"):
        dv.targets.convert(GRID, GRID, GRID, value, eps, dv.paths.COSINE)
    with pytest.raises(TypeError, match=r"to must be a target such as dv.targets.EPS"):
        dv.targets.convert(GRID, GRID, GRID, eps, value, dv.paths.COSINE)


@pytest.mark.parametrize("field", ["name", "family", "source", "note"])
@pytest.mark.parametrize("value", [None, 3, b"edm", ["edm"]])
def test_an_objective_is_described_by_text(field, value):
    with pytest.raises(TypeError, match=f"{field} must be text"):
        dataclasses.replace(EDM, **{field: value})


@pytest.mark.parametrize("value", ["2022", 2022.0, None, True])
def test_the_year_of_an_objective_is_a_whole_number(value):
    with pytest.raises(TypeError, match="year must be a whole number"):
        dataclasses.replace(EDM, year=value)


@pytest.mark.parametrize("value", [np.array(3), np.ma.masked, 3, "edm", ""])
def test_a_single_thing_is_no_list_of_objectives(value):
    with pytest.raises(TypeError, match="objectives must be a list of objectives"):
        dv.equivalent(value)
