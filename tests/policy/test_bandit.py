"""The environment and the learning loop: rewards, goals kept, the gain law, interruption."""

import pickle

import numpy as np
import pytest
import torch

import diffviz as dv
from diffviz.policy import bandit, methods, surrogates
from diffviz.theory import elbo_mixture

pytestmark = pytest.mark.slow


class Slope:
    """Utility 2 x₁: what DPO's optimum moves by is known."""

    def step(self, action):
        return (
            np.zeros(0),
            2 * np.asarray(action)[..., 0],
            None,
            None,
            {"goal": np.zeros(len(action), int)},
        )


def test_the_environment_has_gymnasiums_interface_and_four_goals():
    env = bandit.FourGoals()
    observation, info = env.reset(seed=0)
    assert observation.shape == (0,) and info == {}
    _, reward, terminated, truncated, info = env.step(np.array([1.5, 1.5]))
    assert reward == 1 and terminated and not truncated and info["goal"] == 0
    _, reward, terminated, truncated, info = env.step(env.goals + np.array([env.width, 0]))
    assert (
        np.allclose(reward, np.exp(-0.5))
        and terminated.all()
        and not truncated.any()
        and (info["goal"] == range(4)).all()
    )


def test_the_first_policy_is_the_standard_normal_and_its_reward_the_closed_form():
    x = bandit.act(bandit.Flow(3), 40_000, torch.Generator().manual_seed(0))[-1]
    assert x.mean(0).abs().max() < 0.02 and (x.std(0) - 1).abs().max() < 0.02
    reward, width = bandit.FourGoals().step(x.numpy())[1], 0.35**2
    assert reward.mean() == pytest.approx(
        4 * width / (1 + width) * np.exp(-2.25 / (1 + width)), abs=4 * reward.std() / 200
    )


@pytest.mark.parametrize(
    "call",
    [
        lambda m, x: dv.elbo(m, x, levels=600).nats,
        lambda m, x: -dv.log_likelihood(m, x, steps=80)[0],
    ],
)
def test_a_float32_network_has_the_likelihood_of_the_normal_that_it_is(call):
    x = torch.tensor([[0.3, -1.0]], dtype=torch.float64).expand(40, 2)
    found = call(bandit.Flow(0), x)
    exact = np.log(2 * np.pi) + 1.09 / 2
    assert abs(found.mean().item() - exact) < 4 * found.std().item() / 40**0.5 + 1e-3


def test_fpo_reaches_the_reward_and_keeps_its_goals_at_every_seed():
    for seed in range(3):
        found = bandit.learn("fpo", iterations=12, seed=seed)
        assert found.reward[0] < 0.09 and found.reward[-1] > 0.45 and min(found.goals) >= 3, (
            seed,
            found.reward,
            found.goals,
        )


@pytest.mark.parametrize(
    ("method", "iterations", "reward"), [("awr", 6, 0.3), ("ddpo", 6, 0.09), ("dpo", 8, 0.12)]
)
def test_the_other_methods_learn_too(method, iterations, reward):
    found = bandit.learn(method, iterations=iterations, rate=5e-4 if method == "dpo" else 1e-3)
    assert found.reward[0] < 0.09 and found.reward[-1] > reward, found.reward


def test_awr_loses_goals_that_fpo_keeps():
    assert bandit.learn("awr", iterations=10).goals[-1] < 3


@pytest.mark.parametrize(("mode", "beta"), [("u", 1.0), ("u", 4.0), ("eps", 8.0)])
def test_dpo_moves_a_mean_as_the_gain_law_says(mode, beta):
    """Optimum 2/(β κ), on three seeds within their spread and 5 % for the noise of the draws."""
    objective, ends = surrogates.MODES[mode], []
    expected = 2 / (beta * elbo_mixture.gain(objective))
    for seed in range(3):
        model = bandit.Shift()
        options = {"objective": objective, "beta": beta, "scale": 1.0, "draws": 16, "batch": 256}
        bandit.learn(
            "dpo",
            Slope(),
            model=model,
            iterations=90,
            epochs=1,
            rate=0.05 * expected,
            seed=seed,
            **options,
        )
        ends.append(model.mean[0].item())
    assert abs(np.mean(ends) - expected) < 0.05 * expected + 2 * np.std(ends, ddof=1) / 3**0.5, (
        ends,
        expected,
    )


def test_interruption_keeps_what_was_learned():
    def stop(history):
        if len(history.reward) == 4:
            raise KeyboardInterrupt

    found = bandit.learn("fpo", iterations=50, callback=stop)
    assert len(found.reward) == 4
    assert any(
        (p - q).abs().max() > 1e-3
        for p, q in zip(found.model.parameters(), bandit.Flow(0).parameters(), strict=True)
    )


def test_the_same_seed_gives_the_same_curve():
    one, two = (bandit.learn("fpo", iterations=2, seed=7).reward for _ in range(2))
    assert one == two


@pytest.mark.parametrize(
    ("method", "options", "says"),
    [
        ("ppo", {}, "unknown method 'ppo'.*fpo, awr, ddpo, dpo"),
        ("fpo", {"batch": 1}, "batch must be at least 2, got 1"),
        ("fpo", {"iterations": -1}, "iterations must be at least 0, got -1"),
        ("awr", {"epochs": 0}, "epochs must be at least 1, got 0"),
        ("fpo", {"keep": float("nan")}, "keep must be finite"),
        ("fpo", {"keep": -1.0}, "keep must lie in"),
        ("fpo", {"keep": 1e300}, "keep must lie in"),
        ("fpo", {"rate": 0.0}, "rate must be a finite number > 0"),
        ("fpo", {"rate": 1e300}, r"rate must lie in .*1e\+30\], got 1e\+300"),
        ("fpo", {"seed": -1}, "seed must be at least 0"),
        ("fpo", {"draws": 0}, "draws must be at least 1"),
        ("fpo", {"clip": -0.1}, "clip must be a finite number > 0"),
        ("awr", {"temperature": 0.0}, "temperature must be a finite number > 0"),
        ("dpo", {"beta": float("inf")}, "beta must be a finite number > 0"),
        ("dpo", {"scale": float("nan")}, "scale must be finite"),
        ("fpo", {"beta": 1.0}, "beta is no option of 'fpo', which has objective, draws, clip"),
        ("ddpo", {"draws": 4}, "draws is no option of 'ddpo', which has clip"),
        (methods.FPO(), {"clip": 0.1}, "has its options already, got clip"),
        (methods.FPO(), {"objective": surrogates.MODES["eps"]}, "already, got objective"),
    ],
)
def test_unknown_methods_and_options_that_make_no_sense_are_refused(method, options, says):
    with pytest.raises(ValueError, match=says):
        bandit.learn(method, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clipp": 1}, "clipp"),
        ({"iterations": 1.5}, "iterations must be a whole number, got 1.5"),
        ({"batch": True}, "batch must be a whole number, got True"),
        ({"seed": 0.5}, "seed must be a whole number"),
        ({"objective": "fm-ot"}, r"dv\.objective"),
        ({"env": bandit.Flow(0)}, "env must have gymnasium's step"),
        ({"model": lambda z, logsnr: z}, "model must be a torch module with denoise"),
        ({"model": torch.nn.Linear(2, 2)}, "model must be a torch module with denoise"),
    ],
)
def test_the_wrong_kind_of_thing_is_refused_by_name(options, message):
    with pytest.raises(TypeError, match=message):
        bandit.learn(**options)


def test_an_objective_beside_ddpo_is_that_of_its_kl_term():
    options = {"iterations": 1, "batch": 32, "epochs": 3}
    objectives = (None, surrogates.MODES["eps"])
    free = [bandit.learn("ddpo", objective=o, **options).reward for o in objectives]
    held = [bandit.learn("ddpo", objective=o, keep=50.0, **options).reward for o in objectives]
    assert free[0] == free[1]
    assert held[0] != held[1]


def test_a_method_with_its_options_learns_as_its_name_does():
    options = {"iterations": 1, "batch": 32, "epochs": 2, "keep": 0.1}
    eps = surrogates.MODES["eps"]
    by_class = bandit.learn(methods.FPO(objective=eps, draws=4, clip=0.1), **options)
    by_name = bandit.learn("fpo", objective=eps, draws=4, clip=0.1, **options)
    assert by_class.reward == by_name.reward


@pytest.mark.parametrize("kind", methods.METHODS.values())
def test_a_method_and_what_it_compares_pickle(kind):
    method, policy = pickle.loads(pickle.dumps(kind())), bandit.Flow(0)
    generators = methods.Generators.from_seed(0)
    path = method.act(policy, 4, generators.generator)
    compare = method.compare(path, policy, bandit.FourGoals(), generators)
    copied = pickle.loads(pickle.dumps(compare))
    assert torch.equal(copied(policy), compare(policy))


def test_a_policy_leaves_torchs_global_generator_alone():
    state = torch.get_rng_state()
    bandit.Flow(3)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((None, 4, torch.Generator()), TypeError, "model must have denoise"),
        ((bandit.Flow(0), 0, torch.Generator()), ValueError, "n must be at least 1"),
        ((bandit.Flow(0), 4, 0), TypeError, "generator must be a torch generator"),
        ((bandit.Flow(0), 4, torch.Generator(), [1.0, 0.0]), ValueError, "strictly increasing"),
    ],
)
def test_acting_refuses_bad_input(arguments, error, message):
    with pytest.raises(error, match=message):
        bandit.act(*arguments)


def test_equal_rewards_are_refused():
    class Flat(bandit.FourGoals):
        def step(self, action):
            return (
                np.zeros(0),
                np.ones(len(action)),
                None,
                None,
                {"goal": np.zeros(len(action), int)},
            )

    with pytest.raises(ValueError, match="all advantages are equal"):
        bandit.learn("fpo", Flat())


class Answering(bandit.FourGoals):
    """Four goals, in the answer of which a part is another."""

    def __init__(self, change):
        self.change = change

    def step(self, action):
        return self.change(*super().step(action))


def with_reward(change):
    """An environment whose rewards are changed."""
    return Answering(lambda seen, reward, *rest: (seen, change(reward), *rest))


def with_info(info):
    """An environment with an info of its own."""
    return Answering(lambda *answer: (*answer[:4], info))


@pytest.mark.parametrize("method", ["fpo", "dpo"])
@pytest.mark.parametrize(
    ("env", "error", "message"),
    [
        (
            with_reward(lambda r: r * np.nan),
            ValueError,
            r"rewards, got nan \(8 of 8\); give",
        ),
        (with_reward(lambda r: r - np.inf), ValueError, "finite rewards, got -inf"),
        (with_reward(lambda r: r[:, None]), ValueError, r"shape \(8,\), got shape \(8, 1\)"),
        (with_reward(lambda r: r[0]), ValueError, r"one reward for each action.*got shape \(\)"),
        (with_reward(lambda r: r.astype(str)), TypeError, "reward of env.step must hold real"),
        (with_info(None), TypeError, "the info of env.step must be a dictionary, got None"),
        (with_info({"goal": np.zeros(8)}), TypeError, "must hold whole numbers, got float64"),
        (with_info({"goal": np.zeros(7, int)}), ValueError, r"for each action, shape \(8,\), got"),
        (with_info({"goal": np.full(8, -1)}), ValueError, "one number from 0"),
        (Answering(lambda *answer: answer[:4]), TypeError, "terminated, truncated and info"),
    ],
)
def test_what_an_environment_answers_is_looked_at(method, env, error, message):
    with pytest.raises(error, match=message):
        bandit.learn(method, env, iterations=1, batch=8, epochs=1)


def test_the_pairs_of_dpo_need_finite_rewards_too():
    """The batch of actions was judged before; these are actions of the first policy."""
    policy, generators = bandit.Flow(0), methods.Generators.from_seed(0)
    path = methods.DPO().act(policy, 8, generators.generator)
    with pytest.raises(ValueError, match=r"finite rewards, got nan \(4 of 4\)"):
        methods.DPO().compare(path, policy, with_reward(lambda r: r * np.nan), generators)


def test_an_environment_needs_no_goals_and_may_return_a_list():
    options = {"iterations": 2, "batch": 16, "epochs": 1}
    usual = bandit.learn("fpo", **options)
    plain = bandit.learn("fpo", with_info({}), **options)
    listed = bandit.learn("fpo", with_reward(lambda r: r.tolist()), **options)
    assert plain.reward == listed.reward == usual.reward
    assert plain.goals == [] and listed.goals == usual.goals and len(usual.goals) == 3


def test_rewards_of_16_bits_are_centred_in_64():
    """The standard deviation of a batch around 1000 is infinite in float16."""
    rounded = with_reward(lambda r: (1000 + 100 * r).astype(np.float16))
    wide = with_reward(lambda r: (1000 + 100 * r).astype(np.float16).astype(float))
    options = {"iterations": 1, "batch": 128, "epochs": 1}
    found = bandit.learn("awr", rounded, **options)
    assert found.reward == bandit.learn("awr", wide, **options).reward


class Distance(bandit.FourGoals):
    """Rewards below 0, and so a bound of another size or none."""

    def step(self, action):
        seen, reward, *rest = super().step(action)
        return (seen, np.log(reward), *rest)


def test_a_goal_is_reached_at_the_environments_own_reward():
    options = {"iterations": 1, "batch": 64, "epochs": 1}
    usual, own = bandit.learn("fpo", **options), Distance()
    own.near = -2.0
    assert bandit.learn("fpo", own, **options).goals == usual.goals


@pytest.mark.parametrize("near", ["close", np.nan, lambda: 1.0])
def test_such_a_reward_is_a_number(near):
    own = Distance()
    own.near = near
    with pytest.raises((TypeError, ValueError), match="near of the environment"):
        bandit.learn("fpo", own, iterations=1, batch=8, epochs=1)


def test_without_such_a_reward_every_action_has_reached_its_goal():
    history = bandit.History(torch.nn.Identity())
    history.record(np.full(20, -5.0), np.array([0] * 19 + [1]))
    history.record(np.full(21, -5.0), np.array([0] * 20 + [1]))
    history.record(np.array([0.1, 0.1, 0.9]), np.array([0, 1, 2]), near=0.5)
    assert history.goals == [2, 1, 1]  # exactly 5 % is kept


@pytest.mark.parametrize("mode", ["u", "eps"])
def test_the_kl_term_is_the_kl_of_two_gaussians_times_the_gain(mode):
    """Both policies have variance 1, so KL = |mean|²/2 and every weighting counts it κ(1) times."""
    model, first = bandit.Shift(), bandit.Shift()
    model.mean.data = torch.tensor([0.6, -0.3], dtype=torch.float64)
    x = model.mean.detach() + torch.randn(
        20_000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    objective = surrogates.MODES[mode]
    kl_term = methods.KLTerm.draw(objective, x, first, np.random.default_rng(0))
    found = kl_term(model).item()
    assert found == pytest.approx(elbo_mixture.gain(objective) * 0.45 / 2, rel=2e-3)
    assert kl_term(first).item() == 0


def test_a_kl_term_holds_a_policy_back():
    free, held = (bandit.learn("awr", iterations=4, keep=keep).reward[-1] for keep in (0.0, 3.0))
    assert held < free - 0.1


@pytest.mark.parametrize(
    ("action", "says"),
    [([1.0, 2.0, 3.0], r"in the plane.*\(3,\)"), ([np.nan, 0.0], "action must be finite")],
)
def test_actions_are_points_in_the_plane(action, says):
    with pytest.raises(ValueError, match=says):
        bandit.FourGoals().step(action)
