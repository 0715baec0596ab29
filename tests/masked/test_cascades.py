"""Masked losses as averages of bounds with partly exact models, against all orders of unmasking."""

from itertools import combinations, permutations

import numpy as np
import pytest
from cells import in_one_test

import diffviz as dv
from diffviz.masked import Assessment, MarkovWorld, cascades

WORLD = MarkovWorld([0.5, 0.3, 0.2], [[0.8, 0.15, 0.05], [0.1, 0.7, 0.2], [0.3, 0.1, 0.6]], 3)
OTHER = MarkovWorld([0.4, 0.3, 0.3], [[0.6, 0.2, 0.2], [0.2, 0.5, 0.3], [0.3, 0.3, 0.4]], 3)
LENGTH = WORLD.length
MASK = WORLD.alphabet
NAMES = ("elbo", "simple", "maskgit", "maskgit-square-root", "dplm-linear", "amused", "llada")


def blurred(z):
    """A predictor that is wrong, and differs between orders."""
    hidden = (z == MASK).mean(1)[:, None, None]
    return (1 - 0.5 * hidden) * WORLD.posterior(z) + 0.5 * hidden / MASK


PREDICTORS = {"another chain": OTHER.posterior, "blurred": blurred}


def assessed(name):
    return Assessment.of(WORLD, PREDICTORS[name])


def along(x, order, predictor, learned):
    """log p of the tokens of an order one after the other, exact where k is not learned."""
    z = np.full((1, LENGTH), MASK)
    total = 0.0
    for place in order:
        masked = (z == MASK).sum()
        law = predictor(z) if learned[masked - 1] else WORLD.posterior(z)
        total += np.log(law[0, place, x[place]])
        z[0, place] = x[place]
    return total


def average(values):
    return float(WORLD.probability @ np.array(values))


def by_orders(predictor, learned):
    """−ELBO and −log p less the entropy, over all orders of all sequences."""
    elbo, likelihood = [], []
    for x in WORLD.sequences:
        paths = [along(x, order, predictor, learned) for order in permutations(range(LENGTH))]
        elbo.append(-np.mean(paths))
        likelihood.append(-np.log(np.mean(np.exp(paths))))
    return average(elbo) - WORLD.entropy, average(likelihood) - WORLD.entropy


@in_one_test
@pytest.mark.parametrize("predictor", PREDICTORS)
@pytest.mark.parametrize("name", ["elbo", "simple", "maskgit", "amused"])
def test_bound_and_likelihood_are_those_of_all_orders(predictor, name):
    share = cascades.learned_shares(dv.masked_objective(name), LENGTH)
    heights = np.unique(np.concatenate([[0.0], share]))
    pairs = [by_orders(PREDICTORS[predictor], share >= height) for height in heights[1:]]
    bound, likelihood = np.diff(heights) @ np.array(pairs)
    found = cascades.masked_bounds(assessed(predictor), dv.masked_objective(name))
    assert found.bound == pytest.approx(bound, abs=1e-12)
    assert found.likelihood == pytest.approx(likelihood, abs=1e-12)


@in_one_test
@pytest.mark.parametrize("predictor", PREDICTORS)
@pytest.mark.parametrize("name", NAMES)
def test_the_bounds_have_their_order(predictor, name):
    found = cascades.masked_bounds(assessed(predictor), dv.masked_objective(name))
    assert -1e-12 < found.likelihood <= found.bound + 1e-12
    assert found.bound <= found.elbo + 1e-12
    assert 0 < found.learned <= 1


def visible_by_orders(predictor, size):
    """KL of the visible tokens if ``size`` are masked, over all sets and orders."""
    everywhere = [True] * LENGTH
    total = []
    for x in WORLD.sequences:
        sets = []
        for shown in combinations(range(LENGTH), LENGTH - size):
            orders = list(permutations(shown))
            model, exact = (
                np.mean([np.exp(along(x, order, one, everywhere)) for order in orders])
                for one in (predictor, WORLD.posterior)
            )
            sets.append(np.log(exact / model))
        total.append(np.mean(sets))
    return average(total)


@in_one_test
@pytest.mark.parametrize("predictor", PREDICTORS)
def test_the_kl_of_masked_data_is_that_of_all_sets_and_orders(predictor):
    counted = [visible_by_orders(PREDICTORS[predictor], size) for size in range(LENGTH + 1)]
    found = cascades.visible_divergence(assessed(predictor))
    assert found == pytest.approx(np.array(counted), abs=1e-12)


@in_one_test
@pytest.mark.parametrize("name", ["elbo", "simple", "maskgit", "amused"])
def test_masked_data_are_bounded_tightly_where_the_predictor_is_exact_for_another_world(name):
    found = cascades.masked_bounds(assessed("another chain"), dv.masked_objective(name))
    assert found.noised == pytest.approx(found.bound, abs=1e-12)


def test_the_bounds_of_a_predictor_whose_orders_differ_are_loose():
    found = cascades.masked_bounds(assessed("blurred"), dv.masked_objective("simple"))
    assert found.likelihood < found.noised - 1e-4 < found.bound - 2e-4


def test_a_rising_weighting_has_no_law_of_masked_data():
    found = cascades.masked_bounds(assessed("blurred"), dv.masked_objective("dplm-linear"))
    assert np.isnan(found.noised)


@in_one_test
@pytest.mark.parametrize("name", ["elbo", "simple", "dplm-linear"])
def test_levels_and_counts_give_one_loss(name):
    """∫ w (error − floor) dλ and Σ_k a_k (C_k − F_k) compare two predictors alike.

    Only their constants differ: the maxima of w and of k a_k, and the length of a sequence.
    """
    entry = dv.masked_objective(name)
    by_level = dv.cascade(entry, low=-36, high=36)

    def gap(known):
        excess = lambda level: known.cross_entropy(level) - WORLD.floor(level)
        return by_level.gap(lambda level: excess(level) / (1 + np.exp(-level)))

    first, second = assessed("blurred"), assessed("another chain")
    counted = [cascades.masked_bounds(one, entry).bound for one in (first, second)]
    assert gap(first) / gap(second) == pytest.approx(counted[0] / counted[1], rel=1e-9)


def test_simple_weights_are_falling_and_those_of_the_elbo_flat():
    simple = cascades.learned_shares(dv.masked_objective("simple"), 8)
    assert simple == pytest.approx(np.arange(1, 9) / 8, abs=1e-12)
    elbo = cascades.learned_shares(dv.masked_objective("elbo"), 8)
    assert elbo == pytest.approx(np.ones(8), abs=1e-9)


@in_one_test
@pytest.mark.parametrize("counts", [[True, False], np.ones(3), np.ones((3, 1), bool)])
def test_counts_are_one_truth_value_for_each_number_of_masks(counts):
    with pytest.raises(ValueError, match="counts must hold 3 truth values"):
        cascades.partly_exact(assessed("blurred"), counts)


def test_what_is_no_assessment_is_refused():
    with pytest.raises(TypeError, match="assessment must be an Assessment"):
        cascades.masked_bounds(WORLD, dv.masked_objective("simple"))
    with pytest.raises(TypeError):
        cascades.masked_bounds(assessed("blurred"), dv.objective("edm"))
    for function in (cascades.visible_divergence, lambda it: cascades.partly_exact(it, [True] * 5)):
        with pytest.raises(TypeError, match="assessment must be an Assessment"):
            function(WORLD)


@pytest.mark.parametrize("row", [[0.7, 0.7, 0.7], [1.5, -0.5, 0.0], [np.nan] * 3, [0.0] * 3])
def test_what_is_no_law_is_refused(row):
    with pytest.raises(ValueError, match="what predictor returns must be laws"):
        Assessment.of(WORLD, lambda z: np.broadcast_to(row, (len(z), LENGTH, MASK)))


def test_sequences_that_cannot_happen_count_nothing():
    world = MarkovWorld(
        [0.5, 0.5, 0.0], [[0.9, 0.1, 0.0], [0.0, 1.0, 0.0], [0.2, 0.3, 0.5]], LENGTH
    )
    exact = cascades.masked_bounds(
        Assessment.of(world, world.posterior), dv.masked_objective("simple")
    )
    assert (exact.bound, exact.likelihood, exact.noised) == pytest.approx((0, 0, 0), abs=1e-12)
    wrong = cascades.masked_bounds(
        Assessment.of(world, OTHER.posterior), dv.masked_objective("simple")
    )
    assert 0 < wrong.likelihood < wrong.bound
    assert wrong.noised == pytest.approx(wrong.bound, abs=1e-12)


def test_what_a_predictor_rules_out_costs_infinitely_much():
    certain = lambda z: np.broadcast_to(np.array([1.0, 0.0, 0.0]), (len(z), LENGTH, MASK))
    found = cascades.masked_bounds(Assessment.of(WORLD, certain), dv.masked_objective("simple"))
    assert found.bound == found.likelihood == found.noised == np.inf


def test_a_schedule_that_stops_before_all_is_masked_is_not_quite_the_elbo():
    """MDLM masks at most 0.999 of the tokens, so that the share falls at the largest counts."""
    share = cascades.learned_shares(dv.masked_objective("mdlm"), 5)
    assert share[-1] == pytest.approx(0.995, abs=1e-4) and share.argmax() == 2
