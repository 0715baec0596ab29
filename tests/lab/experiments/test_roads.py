"""The numbers of two roads to a likelihood."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from diffviz.lab.experiments import roads
from diffviz.lab.experiments.policy import DEFAULT
from diffviz.policy import surrogates
from diffviz.policy.steps import scales


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
    assert roads.excess(roads.RULES[0], 2000) == pytest.approx(limit, rel=0.02)  # between two ends
    assert roads.excess(roads.RULES[3], 2000) == pytest.approx(1, abs=1e-3)


def linear_path_steps(name, count):
    """Slope, shift for a mean of 1 and noise of each step, from the formulas of the notebook."""
    method, _, setting = name.partition(", ")
    setting = float(setting.partition(" = ")[2])
    for t, end in pairwise(np.linspace(*roads.ENDS, count + 1)):
        length, along = t - end, (1 - t) / ((1 - t) ** 2 + t**2)  # of x_hat in z
        moved = 1 - (1 - t) * along  # of x_hat, for a mean of 1
        x_hat = np.array([along, moved])
        eps_hat = (np.array([1.0, 0.0]) - (1 - t) * x_hat) / t
        if method == "CPS":
            std = end * np.sin(setting * np.pi / 2)
            mean = (1 - end) * x_hat + np.sqrt(end**2 - std**2) * eps_hat
        else:
            rate = setting**2 * (t / (1 - t) if method == "Flow-GRPO" else 1.0)
            std = np.sqrt(rate * length)
            mean = [1, 0] - length * (eps_hat - x_hat) - std**2 / (2 * t) * eps_hat
        yield *mean, std


@pytest.mark.parametrize("name", roads.RULES[:3])
@pytest.mark.parametrize("count", [5, 10, 40])
def test_the_ratio_is_that_of_whole_trajectories_and_of_their_ends(name, count):
    """A second route: the KL of joint Gaussians, from the states as sums of all noises."""
    start = np.hypot(1 - roads.ENDS[0], roads.ENDS[0])
    mean, mixing = [0.0], np.zeros((count + 1, count + 1))
    mixing[0, 0] = start
    for place, (slope, shift, std) in enumerate(linear_path_steps(name, count)):
        mean.append(slope * mean[-1] + shift)
        mixing[place + 1] = slope * mixing[place]
        mixing[place + 1, place + 1] = std
    trajectories = np.square(np.linalg.solve(mixing, mean)).sum() / 2
    actions = mean[-1] ** 2 / (2 * np.square(mixing[-1]).sum())
    assert roads.excess(name, count) == pytest.approx(trajectories / actions, rel=1e-9)


@pytest.mark.parametrize("method", roads.METHODS)
def test_by_the_chain_rule_trajectories_never_differ_less_than_their_ends(method):
    for setting in (0.05, 0.3, 0.7, 1.0):
        for count in (1, 2, 3, 5, 10, 40):
            assert roads.excess_of(roads.rule_of(method, setting), count) >= 1 - 1e-12
    if method in ("Flow-GRPO", "DanceGRPO"):
        for setting in (1.4, 2.0, 3.0):
            for count in (1, 5, 10, 160):
                assert roads.excess_of(roads.rule_of(method, setting), count) >= 1 - 1e-12


def test_one_step_is_its_end():
    for name in roads.RULES:
        assert roads.excess(name, 1) == pytest.approx(_over_noise(roads.rule(name)), rel=1e-12)


def _over_noise(rule):
    """Variance of the end of a single step over that of its fresh noise alone."""
    before, after = roads.levels(1)
    alpha, sigma = scales(rule.frame, before)
    step = roads._linear(rule, before, after)
    return 1 + step.slope**2 * (alpha**2 + sigma**2) / step.std**2


def test_trajectories_cost_what_the_text_says():
    """At ten steps: 2.0, 7.9, 1.9 and 1.5 times the KL of the actions."""
    ratios = [roads.excess(name, 10) for name in roads.RULES]
    np.testing.assert_allclose(ratios, [2.006, 7.883, 1.919, 1.521], atol=2e-3)
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


@pytest.mark.parametrize("components", [1, 2, 5])
def test_a_released_power_is_what_its_formula_says(components):
    """By the losses and densities themselves, and for clips by the formula."""
    measured = roads.released_powers(components)
    gains = {"fm-ot": np.pi / 2, DEFAULT: 1 - np.pi / 4}
    for name, power in measured.items():
        if power.formula == "1/d":
            expected = 1 / components
        elif name.startswith("CPS"):
            expected = 2 * (0.5 * np.sin(np.pi / 4)) ** 2 / components
        else:
            expected = gains[roads.FIRST_ROAD[name]] / components
        assert power.measured == pytest.approx(expected, rel=2e-3), name
    for name, weighting in roads.FIRST_ROAD.items():
        by_formula = roads.clip_powers(components, 0.5, weighting)
        assert by_formula["FPO"] == pytest.approx(measured[name].measured, rel=2e-3)
        assert by_formula["CPS"] == pytest.approx(measured["CPS, η_C = 0.5"].measured)


def test_the_averaged_loss_of_fpo_is_that_of_its_code():
    """A mean over the two components in the place of a sum, at the same draws."""
    rng = (np.random.default_rng(1) for _ in range(2))
    x = torch.randn(6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    written, averaged = (
        surrogates.losses(
            roads.Moved(x[0]), x, surrogates.draws(roads._method(name).objective, x, 3, next(rng))
        )
        for name in ("FPO", "FPO as released")
    )
    torch.testing.assert_close(averaged, written / 2)
