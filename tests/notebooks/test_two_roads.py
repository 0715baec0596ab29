"""Every number in the prose of notebook 12 is computed here again, and looked for in the text."""

import re
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
import torch
from notebook_prose import assert_says, printed

import diffviz as dv
from diffviz.lab.exercises import PREDICTIONS, predict
from diffviz.lab.experiments import forward_process, roads
from diffviz.lab.experiments import policy as policy_experiments
from diffviz.lab.experiments.policy import DEFAULT, WEIGHTINGS
from diffviz.lab.explorers import ClipExplorer, StepNoiseExplorer
from diffviz.policy import bandit, methods, steps, surrogates
from diffviz.theory import elbo_mixture

NOTEBOOK = "12_two_roads"

pytestmark = pytest.mark.slow


def test_noise_of_steps_by_its_numbers(text):
    level = [2 * np.log((1 - t) / t) for t in (0.6, 0.5)]
    scale = 1 / steps.FlowGRPOStep(1.0).ddim_eta(*level)
    etas = roads.equal_etas("Flow-GRPO, a = 0.7", 10)
    assert_says(
        text,
        rf"the same noise needs $a = {scale:.2f}\, \eta$",
        f"For Flow-GRPO the first step adds {etas[0]:.1f} times that noise, "
        f"and the last one {etas[-1]:.1f} times",
    )
    every = {name: roads.equal_etas(name, 10) for name in roads.RULES}
    dance = every["DanceGRPO, η_D = 0.3"]
    assert dance[-1] == max(values.max() for values in every.values())
    assert dance[0] == min(values.min() for values in every.values())
    assert_says(
        text,
        f"its first step adds least of all, and its last one most: {dance[-1]:.1f} times the "
        "ancestral noise",
        rf"it would take $a = {np.sqrt(2):.2f}\, \eta$",
    )
    own = {
        name: [roads.rule(name).std(*each) for each in pairwise(roads.levels(10))]
        for name in roads.RULES
    }
    assert own["DanceGRPO, η_D = 0.3"] == pytest.approx([own["DanceGRPO, η_D = 0.3"][0]] * 10)
    assert max(map(max, own.values())) == own["Flow-GRPO, a = 0.7"][0]
    assert_says(text, "own noise $s$ is the same in each", "that of the first step of Flow-GRPO")
    assert (np.diff(dance) > 0).all()  # s/η, the ancestral noise, falls
    assert_says(text, "ancestral noise, shrinks towards the data")
    limit = steps.FlowGRPOStep(0.7).ddim_eta(level[0], level[0] + 1e-6)
    assert limit == pytest.approx(0.7 / np.sqrt(2), rel=1e-4)
    assert_says(text, r"DDIM with $\eta = a/\sqrt 2$")
    eta = 0.7 / np.sqrt(2)
    in_the_limit = ((1 + eta**2) / (2 * eta)) ** 2
    assert_says(text, f"is η = {eta:.3f}, and the formula gives {in_the_limit:.2f}")
    costs = {name: roads.excess(name, 10) for name in roads.RULES}
    many = roads.excess("Flow-GRPO, a = 0.7", 160)
    assert many == pytest.approx(in_the_limit, rel=0.02)
    assert costs["Flow-GRPO, a = 0.7"] > 1.2 * in_the_limit
    assert_says(
        text,
        f"Ten steps of DanceGRPO pay {costs['DanceGRPO, η_D = 0.3']:.1f} times the KL of their "
        f"actions, and those of Flow-GRPO {costs['Flow-GRPO, a = 0.7']:.1f} times",
        f"and that of Flow-GRPO to {many:.1f}. That of CPS rises again",
        f"even ancestral sampling pays {costs['DDIM, η = 1']:.1f} times there",
        "With ten steps Flow-GRPO pays more than that",
    )


def test_the_steps_are_those_that_are_stated(text):
    start, end = roads.ENDS
    times = 1 / (1 + np.exp(np.asarray(roads.levels(10)) / 2))
    np.testing.assert_allclose(times, np.linspace(start, end, 11), atol=1e-12)
    variance = start**2 + end**2  # at the last time alpha = 0.98 and sigma = 0.02
    assert_says(
        text,
        f"All steps are equally long in $t$, from {start} to {end}",
        f"which is {variance:.2f}",
    )
    for name in (DEFAULT, "fm-ot"):
        assert_says(text, f"{elbo_mixture.gain(WEIGHTINGS[name]):.3g} under")


def test_where_trajectories_pay(text):
    dance = roads.step_costs(roads.rule("DanceGRPO, η_D = 0.3"), 10)
    etas = roads.equal_etas("DanceGRPO, η_D = 0.3", 10)
    assert dance[:6].sum() > 0.8 * dance.sum() and (etas[:6] < 0.35).all()
    assert (dance[-2:] < 0.15).all()
    for name in ("DDIM, η = 1", "CPS, η_C = 0.5"):
        costs = roads.step_costs(roads.rule(name), 10)
        assert costs.argmax() == 9
        assert costs.sum() == pytest.approx(roads.excess(name, 10))
    assert_says(
        text,
        "DanceGRPO pays in its first six steps",
        f"In the last step its noise is {etas[-1]:.1f} times the ancestral one, and costs next to "
        "nothing",
        "Ancestral sampling and CPS pay most in their last step",
        "there its trajectories pay",
    )


def test_in_ten_steps_more_noise_than_ancestral_is_the_cheapest(text):
    rule = steps.FlowGRPOStep(1.4)
    etas = roads.etas_of(rule, 10)
    assert etas.min() == pytest.approx(1.43, abs=0.02)  # in the middle
    alpha, sigma = steps.scales(rule.frame, roads.levels(1)[-1])
    found = variance_at_the_end(rule, 10)
    assert roads.excess("DDIM, η = 1", 10) > 1.5 * roads.excess_of(rule, 10)
    assert_says(
        text,
        f"ten steps of a = 1.4 | {etas[0]:.1f} | {etas[4]:.1f} | {etas[-1]:.0f} |",
        f"and ancestral sampling {roads.excess('DDIM, η = 1', 10):.2f} times",
        "So the cheapest of these rules in ten steps adds more noise than ancestral sampling, most "
        "of it at the two ends",
        f"theirs have the variance {found:.2f}, where {alpha**2 + sigma**2:.2f} is right",
        "In few steps more noise than ancestral is cheaper still",
    )


def test_actions_of_ten_steps_are_not_those_of_the_policy(text):
    over = {}
    for name in ("Flow-GRPO, a = 0.7", "DDIM, η = 1"):
        rule = roads.rule(name)
        alpha, sigma = steps.scales(rule.frame, roads.levels(1)[-1])
        over[name] = variance_at_the_end(rule, 10) / (alpha**2 + sigma**2)
    assert_says(
        text,
        f"Its actions then have {over['Flow-GRPO, a = 0.7']:.2f} times the variance that they "
        f"should have, and those of ancestral sampling {over['DDIM, η = 1']:.2f} times",
        "The actions are those that the sampler itself draws",
    )
    assert_says(text, "By the chain rule, ", "So the ratio is never below 1")


def ancestral_noise(frame, before, after):
    return steps.scales(frame, after)[1] * np.sqrt(-np.expm1(before - after))


@dataclass(frozen=True)
class ConstantEuler(steps.NoisyStep):
    """Euler–Maruyama's mean, with one η for all steps."""

    eta: float = 1.0

    def std(self, before, after):
        return self.eta * ancestral_noise(self.frame, before, after)

    def mean(self, z, x_hat, before, after):
        alpha, t = steps.scales(self.frame, before)
        _, next_t = steps.scales(self.frame, after)
        eps_hat = (z - alpha * x_hat) / t
        flow = z - (t - next_t) * (eps_hat - x_hat)
        return flow - self.std(before, after) ** 2 / (2 * t) * eps_hat

    def released(self, law, state):
        raise NotImplementedError


@dataclass(frozen=True)
class ConstantDDIM(steps._Preserving):
    """DDIM's mean, with one η for all steps; no step can add more than all of its noise."""

    eta: float = 1.0

    def std(self, before, after):
        whole = float(steps.scales(self.frame, after)[1])
        return min(self.eta * ancestral_noise(self.frame, before, after), 0.9999 * whole)

    def released(self, law, state):
        raise NotImplementedError


def variance_of_actions(rule, number=10):
    levels = roads.levels(number)
    alpha, sigma = steps.scales(rule.frame, levels[0])
    variance = alpha**2 + sigma**2
    for before, after in pairwise(levels):
        step = roads._linear(rule, before, after)
        variance = step.slope**2 * variance + step.std**2
    return variance


def test_no_constant_eta_is_as_cheap_as_noise_at_the_ends(text):
    etas = np.linspace(1, 3, 41)
    for kind, variance in ((ConstantDDIM, 0.39), (ConstantEuler, 0.99)):
        costs = np.array([roads.excess_of(kind(eta=eta), 10) for eta in etas])
        best = etas[costs.argmin()]
        assert costs.min() > 1.2 > 1.02 > roads.excess_of(steps.FlowGRPOStep(1.4), 10)
        assert variance_of_actions(kind(eta=best)) == pytest.approx(variance, abs=0.01)
        assert_says(text, f"| {costs[0]:.2f} | {costs.min():.2f}, ")
        if kind is ConstantEuler:
            assert best == pytest.approx(1.7, abs=0.1)
            assert_says(text, "near η = 1.7")
    assert_says(text, "But no constant η comes near 1.01", "whose variance should be 0.96")


def test_the_clip_of_the_first_road_is_counted_by_the_gain(text):
    flow, default = (elbo_mixture.gain(WEIGHTINGS[name]) for name in ("fm-ot", DEFAULT))
    rows = (
        ("sum, as written", "flow matching", f"{flow:.2f}", flow),
        ("sum, as written", "its default", f"{default:.3f}", default),
        ("mean, as released", "flow matching", f"{flow / 2:.3f}", flow / 2),
        ("mean, as released", "its default", f"{default / 2:.3f}", default / 2),
    )
    for loss, weighting, shown, power in rows:
        clip = 1.05 ** (1 / power)
        assert_says(text, f"| {loss} | {weighting} | {shown} | {clip:.2f} |")
    assert flow > 1 > flow / 2
    assert_says(text, "As written, under flow matching, the ratio is *sharpened*. In all other")


def test_what_released_codes_print_is_their_power():
    said = dict(re.findall(r"^(.+?) +released / exact ([\d.]+) = ", printed(NOTEBOOK), re.M))
    powers = roads.released_powers(3)
    assert {name: float(value) for name, value in said.items()} == pytest.approx(
        {name: power.measured for name, power in powers.items()}, abs=1e-4
    )
    assert all(power.measured < 1 for power in powers.values())


def test_the_answers_on_clips_are_those_of_the_explorer(text):
    assert pytest.approx(1.0247, abs=5e-5) == 1.05**0.5
    assert int(np.ceil(np.log(10) / np.log(1.05))) == 48
    at = {}
    for time in (0.9, 0.1):
        rows = ClipExplorer(components=2, time=time).view.panels[2].rows
        at[time] = next(float(ratio) for name, _, ratio in rows if name == "CPS")
    assert at[0.1] > 10_000
    assert_says(
        text,
        "Near δ = 0.025. The root of 1.05 is 1.0247",
        "At 48: the clip acts at $1.05^d$",
        f"ends at $t' = 0.9$ the clip acts at the exact ratio {at[0.9]:.2f}, and for one that ends "
        "at $t' = 0.1$ at more than ten thousand",
    )


def test_a_clip_is_of_a_step_or_of_an_action(text):
    """Rows of what is clipped: ten steps, one mean over draws, each draw."""
    assert len(methods.EVEN_TIMES) == 11
    old, new, advantage = torch.zeros(4, 3), torch.full((4, 3), 0.1), [1.0, -1.0, 0.5]
    for loss, rows in ((surrogates.fpo, 1), (surrogates.awm, 4)):
        spread = torch.tensor([0.3, -0.1, 0.1, 0.1])[:, None] + 0 * new
        clipped = loss(-old, -spread, advantage, 0.05)
        by_hand = spread.mean(0, keepdim=True) if rows == 1 else spread
        expected = surrogates.ddpo(torch.zeros_like(by_hand), by_hand, advantage, 0.05)
        torch.testing.assert_close(clipped, expected)
    assert_says(
        text,
        "each *step* has its own ratio and its own clip, ten of them for an action of ten steps",
        "FPO has one for each action, of the mean over its draws",
        "| AWM | one ratio for each draw |",
    )


def test_what_released_code_computes(text):
    """The d-th root of a ratio, and for CPS a power of 2 s²/d, in other numbers of components."""
    level = [2 * np.log((1 - t) / t) for t in (0.6, 0.5)]
    assert_says(text, r"the $d$-th root of the exact one", r"^{1/d}", r"^{2 s^2/d}")
    for d in (1, 5):
        generator = torch.Generator().manual_seed(d)
        z, x_hat, moved, state = torch.randn(4, 2, d, generator=generator, dtype=torch.float64)
        for name in roads.RULES[:3]:
            rule = roads.rule(name)
            old, new = (rule.law(z, each, *level) for each in (x_hat, moved))
            power = 2 * old.std**2 / d if name.startswith("CPS") else 1 / d
            exact = new.log_prob(state) - old.log_prob(state)
            released = rule.released(new, state) - rule.released(old, state)
            torch.testing.assert_close(released, power * exact, rtol=1e-9, atol=1e-12)


def test_two_roads_by_their_numbers(text):
    """What is said of goals and rewards holds with a margin; counts of calls are exact."""
    runs = {name: roads.learned(name) for name in roads.ROADS}
    last = {name: road.reward[:, -1] for name, road in runs.items()}
    assert (last["Flow-GRPO as released"] > last["Flow-GRPO"] + 0.1).all()
    assert (last["CPS as released"] > last["Flow-GRPO"]).all()
    assert (runs["CPS as released"].goals[:, -1] <= 2).all()
    table = {
        name: re.findall(rf"^{name} +reward \[(.*?)\]", printed(NOTEBOOK), re.M)[0].split()
        for name in ("Flow-GRPO as released", "Flow-GRPO")
    }
    released, own = (np.array(rewards, dtype=float) for rewards in table.values())
    assert (released > own + 0.25).all()
    assert_says(text, "higher by more than 0.25 at every seed")
    (kept,) = re.findall(r"^CPS as released .*goals \[(.*)\]", printed(NOTEBOOK), re.M)
    assert kept.split() == ["1", "1", "1"]
    assert_says(text, "in these runs each seed keeps **one goal of four**")
    assert last["FPO as released"].min() > last["FPO"].max() + 0.05
    assert_says(text, "As released its reward is above that of FPO as written at every seed")
    assert_says(text, "Its reward is above that of Flow-GRPO's exact ratio at every seed")
    there = bandit.Settings()
    assert (there.batch, there.epochs) == (2 * roads.BATCH, 2 * roads.EPOCHS)
    assert_says(text, "Batches are half as large here as there", "learned from half as long")
    assert 2 * there.rate == roads.RATE
    weighting = roads._method("FPO").objective.weighting(np.linspace(-6, 6, 13))
    flow = WEIGHTINGS["fm-ot"].weighting(np.linspace(-6, 6, 13))
    np.testing.assert_allclose(weighting, flow, rtol=1e-9)
    assert_says(
        text,
        "at twice the learning rate",
        "*FPO*, the magenta lines,",
        "It has the weighting of flow matching here, not its default",
    )
    assert last["AWM"].max() < last["FPO"].min() < last["FPO"].max() < last["NFT"].min()
    assert_says(text, "NFT learns faster than FPO as written, and AWM is slowest")
    (goals,) = re.findall(r"^NFT .*goals \[(.*)\]", printed(NOTEBOOK), re.M)
    assert sorted(goals.split()) == ["3", "4", "4"]
    assert_says(text, "In these runs NFT has lost one goal at one seed")
    for name in roads.ROADS:
        assert len(runs[name].calls) == roads.BATCHES + 1 == 13
        forward = name in ("FPO", "FPO as released", "AWM", "NFT")
        assert runs[name].calls[-1] == (965 if forward else 1210)
    assert_says(text, "Twelve batches take 965 calls of the network for an action, against 1,210")


def test_the_forward_process_by_its_numbers(text):
    losses = forward_process.FORWARD
    fine = {name: 1 / forward_process.forward_gains(name)[20] for name in losses}
    assert policy_experiments.SCALES[20] == pytest.approx(0.01)
    assert all(fine[name] == pytest.approx(27.4, abs=0.3) for name in losses[2:])
    assert fine["AWM"] == pytest.approx(10, abs=1e-6)
    for policy in forward_process.POLICIES:
        assert dv.compare(
            forward_process.forward_objective("FPO", policy), WEIGHTINGS[DEFAULT]
        ).same
    assert_says(text, "FPO has its default, the weighting w = sech²(λ/4)/4")
    assert_says(text, "a change of variance 0.01 about 27 times less", "counts it ten times less")
    verdicts = {
        (name, policy): dv.verdict(forward_process.forward_objective(name, policy))
        for name in losses
        for policy in forward_process.POLICIES
    }
    awm = [verdicts["AWM as released", policy] for policy in forward_process.POLICIES]
    assert awm[0].monotone and not awm[1].monotone
    assert 0 < awm[1].rises[0][0] < awm[1].rises[0][1] < 2
    assert_says(text, "a shoulder between λ = 0 and 2", "of AWM as released even rises")
    assert verdicts["NFT as released", forward_process.FIRST].monotone
    assert_says(text, "At the first policy it is one.")
    for name in losses[:2]:
        first, learned = (verdicts[name, policy] for policy in forward_process.POLICIES)
        np.testing.assert_array_equal(first.w, learned.w)


def cost(method, setting, count):
    """What trajectories of a rule pay, as the explorer's table has it."""
    shown = StepNoiseExplorer(method, steps=count, **{setting[0]: setting[1]})
    return shown.view.panels[2].rows[0][-1]


def test_the_answers_on_steps_are_those_of_the_explorer(text):
    tried = np.arange(0.1, 3.01, 0.05)
    pays = [roads.excess_of(steps.FlowGRPOStep(float(a)), 10) for a in tried]
    assert tried[int(np.argmin(pays))] == pytest.approx(1.4, abs=0.06)
    assert cost("Flow-GRPO", ("a", 1.4), 10) == "1.01"
    assert_says(text, "Near a = 1.4 ten steps pay 1.01 times the KL of their actions")
    by_count = {count: roads.excess("CPS, η_C = 0.5", count) for count in roads.COUNTS}
    assert min(by_count, key=by_count.get) == 20
    few, many = (cost("CPS", ("cps", 0.5), count) for count in (20, 160))
    assert_says(text, f"With 20 steps it is {few}, and with 160 steps {many}")
    few, many = (cost("DDIM", ("ddim", 1.0), count) for count in (5, 160))
    assert_says(text, f"It falls from {few} to {many}")
    assert_says(text, f"the same a = 1.4 pays {cost('Flow-GRPO', ('a', 1.4), 5)} times")


def variance_at_the_end(rule, count):
    """Variance of the last z of a policy N(0, I), step by step."""
    levels = roads.levels(count)
    alpha, sigma = steps.scales(rule.frame, levels[0])
    variance = alpha**2 + sigma**2
    for before, after in pairwise(levels):
        alpha, sigma = steps.scales(rule.frame, before)
        z = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
        law = rule.law(z, z * alpha / (alpha**2 + sigma**2), before, after)
        variance = float(law.mean[1] - law.mean[0]) ** 2 * variance + law.std**2
    return variance


def test_coarse_steps_end_at_other_actions(text):
    found = variance_at_the_end(steps.FlowGRPOStep(1.4), 5)
    alpha, sigma = steps.scales(steps.FlowGRPOStep(1.4).frame, roads.levels(1)[-1])
    true = alpha**2 + sigma**2
    assert round(true, 2) == 0.96
    assert_says(text, f"and the last state has a variance of {found:.2f}: so coarse")


@pytest.mark.parametrize(
    ("name", "truth"),
    [
        ("dearest-in-ten-steps", "DanceGRPO, η_D = 0.3"),
        ("under-one-clip", "the root"),
        ("local-weightings", "the two released losses"),
    ],
)
def test_a_prediction_is_what_the_text_goes_on_to_say(name, truth):
    predict(name)
    assert PREDICTIONS[name].truth() == truth


def test_the_remarks_of_a_prediction_are_so():
    """Flow-GRPO about three quarters, DanceGRPO less in most steps, CPS nearly as much in each."""
    flow, dance, cps, _ = (roads.equal_etas(name, 10) for name in roads.RULES)
    assert np.median(flow) == pytest.approx(0.77, abs=0.05)
    assert (dance < 0.6).sum() >= 8
    assert cps.min() > 0.7 and cps.max() < 1


def test_what_more_steps_do_to_the_rules(text):
    flow, dance, cps, ancestral = (
        [roads.excess(name, count) for count in roads.COUNTS] for name in roads.RULES
    )
    assert (np.diff(ancestral) < 0).all() and ancestral[-1] < 1.005
    assert (np.diff(flow[:4]) < 0).all() and np.ptp(flow[3:]) < 0.01
    assert (np.diff(cps[2:]) > 0).all() and cps[-1] > 2 * cps[2]
    assert_says(text, "With more steps the ratio of ancestral sampling falls to 1")
    assert (np.diff(dance) > 0).all() and np.diff(dance)[-1] < 0.2
    assert_says(text, f"DanceGRPO rises, from {dance[0]:.1f} to {dance[-1]:.1f}, and levels off")
    share = np.mean(roads.equal_etas("DanceGRPO, η_D = 0.3", 160) < 0.5)
    assert share > 0.7
    assert_says(text, "stays far below the ancestral one on most of the way")


def test_the_exercises_numbers(text):
    a = 2 - np.sqrt(2)
    eta = a / np.sqrt(2)
    assert ((1 + eta**2) / (2 * eta)) ** 2 == pytest.approx(2, rel=1e-12)
    assert eta == pytest.approx(np.sqrt(2) - 1, rel=1e-12)
    assert_says(text, f"`answer = 2 - np.sqrt(2)` is {a:.3f}")
    assert_says(text, f"With δ = 0.05 and the two components here that is {1.05**2:.4f}")
    pull = [m**-0.75 / 4 for m in (1.0, 1 / 16)]  # q m^(q−1)
    assert pull[1] / pull[0] == pytest.approx(8)
    assert_says(text, "`answer = 16 ** 0.75` is 8")
