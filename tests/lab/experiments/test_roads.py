"""The numbers of two roads to a likelihood."""

import math

import numpy as np
import pytest

from diffviz.lab.experiments import roads


@pytest.mark.parametrize("name", roads.RULES)
def test_equal_etas_are_those_of_the_rule(name):
    etas = roads.equal_etas(name, 10)
    assert etas.shape == (10,)
    if name.startswith("DDIM"):
        np.testing.assert_allclose(etas, 1, rtol=1e-12)


def test_flow_grpo_adds_more_noise_than_ancestral_sampling_at_both_ends():
    """In ten steps: 1.7 times at the first, 4.0 times at the last, 0.7 in between."""
    etas = roads.equal_etas(roads.RULES[0], 10)
    np.testing.assert_allclose(etas[[0, 4, -1]], [1.739, 0.717, 3.977], atol=1e-3)


def test_trajectories_of_flow_grpo_add_a_factor_that_is_known():
    eta = 0.7 / math.sqrt(2)
    limit = ((1 + eta**2) / (2 * eta)) ** 2
    mass = roads.levels(1)
    share = np.diff(1 / (1 + np.exp(-mass))).item()  # of the KL, between the two ends
    assert roads.excess(roads.RULES[0], 2000) == pytest.approx(limit * share, rel=1e-3)


def test_trajectories_cost_what_the_text_says():
    """At ten steps: 1.6, 9.6, 2.8 and 2.3 times the KL of the actions."""
    ratios = [roads.excess(name, 10) for name in roads.RULES]
    np.testing.assert_allclose(ratios, [1.575, 9.551, 2.785, 2.307], atol=2e-3)
    few, many = (roads.excess(roads.RULES[2], n) for n in (80, 160))
    assert many > 1.5 * few  # no limit


@pytest.mark.slow
def test_a_tempered_ratio_is_clipped_later():
    """At the same clip the released code moves farther, and CPS loses goals."""
    final = {name: roads.learned(name).reward[:, -1] for name in roads.ROADS}
    assert final["Flow-GRPO as released"].min() > final["Flow-GRPO"].max() + 0.1
    assert (roads.learned("CPS as released").goals[:, -1] < 3).all()
    assert (roads.learned("Flow-GRPO").goals[:, -1] >= 3).all()


@pytest.mark.slow
def test_calls_to_a_reward_are_between_two_batches():
    road = roads.learned("NFT")
    calls = roads.calls_to("NFT", 0.3)
    place = np.searchsorted(road.calls, calls)
    mean = road.reward.mean(0)
    assert mean[place - 1] < 0.3 <= mean[place]
    assert roads.calls_to("NFT", 1.0) == math.inf
