"""Candidates as objectives, under both laws of levels; the points of the design."""

import pickle

import numpy as np
import pytest
from scipy import stats

import diffviz as dv
from diffviz.search import candidates, families, goals
from diffviz.search.candidates import Candidate
from diffviz.search.design import sobol_points
from diffviz.search.settings import LAWS, Settings

GRID = np.linspace(-7.5, 9.5, 35)


def training_objective(name, law):
    candidate = Candidate(name, dv.objective(name).weighting)
    return candidates.training_objective(candidate, Settings(law=law))


@pytest.mark.parametrize("law", LAWS)
def test_a_law_of_levels_changes_neither_the_weighting_nor_the_mean_loss(law):
    w = dv.objective("fm-ot").weighting
    objective = training_objective("fm-ot", law)
    np.testing.assert_allclose(objective.weighting(GRID), w(GRID), rtol=1e-9)
    level, factor = objective.draw(200_000, np.random.default_rng(0))
    fine = np.linspace(goals.LOW, goals.HIGH, 4001)
    # of the exact denoiser on N(0, 1)
    mean = np.trapezoid(w(fine) * stats.logistic.cdf(fine), fine) / 2
    assert (factor * stats.logistic.cdf(level)).mean() == pytest.approx(mean, rel=2e-3)


def test_under_the_same_law_all_candidates_see_the_same_levels_and_an_own_law_is_quieter():
    def draw(name, law):
        return training_objective(name, law).draw(4096, np.random.default_rng(0))

    names = ("fm-ot", "edm")
    (first, _), (second, _) = (draw(name, "same") for name in names)
    np.testing.assert_array_equal(first, second)
    assert not np.allclose(draw("fm-ot", "own")[0], draw("edm", "own")[0])
    for name in names:
        spread = {}
        for law in LAWS:
            level, factor = draw(name, law)
            spread[law] = np.std(factor * stats.logistic.cdf(level))
        assert spread["own"] < spread["same"] / 2


def test_published_candidates_are_the_catalogues_and_what_theory_predicts():
    plain = candidates.published(Settings())
    eye = candidates.published(Settings("digits", "distortion"))
    assert [candidate.name for candidate in plain] == list(candidates.CATALOGUE)
    assert [candidate.name for candidate in eye] == [
        *candidates.CATALOGUE,
        "rate-distortion",
        "visible-error",
        "projection",
    ]


def test_a_member_is_named_by_its_values_and_pickles():
    member = candidates.member(Settings(), [-1.25, 1.0], prefix="optimum ")
    assert member.name == "optimum mean=-1.25 std=1"
    again = pickle.loads(pickle.dumps(member))
    assert again.name == member.name
    np.testing.assert_array_equal(again.w(GRID), member.w(GRID))


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: candidates.member(Settings(), [0.0]), ValueError, "values of mean, std, got 1"),
        (lambda: candidates.member(Settings(), [0.0, np.nan]), ValueError, "must be finite"),
        (lambda: candidates.member(Settings(), ["0", "1"]), TypeError, "must hold real numbers"),
        (lambda: Candidate("a", 1.0), TypeError, "w must be a function of λ, got 1.0"),
        (lambda: Candidate(3, np.exp), TypeError, "name must be text, got 3"),
    ],
)
def test_candidates_that_cannot_be_trained_are_refused(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


def test_more_points_of_the_design_continue_the_same_sequence_in_the_box():
    box = families.FAMILIES["logit-normal"].box
    few, many = sobol_points(box, 7), sobol_points(box, np.int64(16))
    np.testing.assert_array_equal(many[:7], few)
    low, high = np.array([ends for _, *ends in box]).T
    assert (many >= low).all()
    assert (many <= high).all()


@pytest.mark.parametrize(("n", "kind"), [(0, ValueError), (1.5, TypeError), (True, TypeError)])
def test_a_design_has_a_whole_number_of_points(n, kind):
    with pytest.raises(kind, match="n must be"):
        sobol_points(families.FAMILIES["sigmoid"].box, n)
