"""Laws of noisy steps, against the published formulas, a solver, and closed forms of Gaussians."""

import math
import pickle
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import integrate, stats

import diffviz as dv
from diffviz.policy import methods, policies, steps, surrogates
from diffviz.sampling import solvers

RULES = [
    steps.FlowGRPOStep(0.7),
    steps.DanceGRPOStep(0.3),
    steps.CPSStep(0.5),
    steps.DDIMStep(1.0),
    steps.DDIMStep(0.4, frame=dv.paths.LINEAR.frame),
]
BEFORE, AFTER = -0.9, -0.2


def level(t):
    """λ of a time of the linear path."""
    return 2 * math.log((1 - t) / t)


def states(n=5, shape=(3,), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(n, *shape, generator=generator, dtype=torch.float64) for _ in range(2)]


def shifted(mean):
    """The exact policy N(mean, I)."""
    policy = policies.Shift()
    policy.mean.data = torch.tensor(mean, dtype=torch.float64)
    return policy


# --- laws of one step ---------------------------------------------------------------------------


def test_flow_grpo_is_the_step_that_its_paper_states():
    z, x_hat = states()
    t, after = 0.6, 0.45
    scale = 0.7
    law = steps.FlowGRPOStep(scale).law(z, x_hat, level(t), level(after))
    u_hat = (z - x_hat) / t  # since z = (1 − t) x + t ε and u = ε − x
    g = scale * math.sqrt(t / (1 - t))
    dt = after - t
    drift = u_hat + g**2 / (2 * t) * (z + (1 - t) * u_hat)
    torch.testing.assert_close(law.mean, z + drift * dt, rtol=1e-12, atol=1e-12)
    assert law.std == pytest.approx(g * math.sqrt(-dt), rel=1e-12)


def test_dance_grpo_is_the_step_that_its_code_makes():
    z, x_hat = states()
    t, after = 0.35, 0.3
    eta = 0.3
    law = steps.DanceGRPOStep(eta).law(z, x_hat, level(t), level(after))
    u_hat = (z - x_hat) / t
    score = -(z - (1 - t) * x_hat) / t**2
    expected = z + (after - t) * (u_hat - eta**2 / 2 * score)
    torch.testing.assert_close(law.mean, expected, rtol=1e-12, atol=1e-12)
    assert law.std == pytest.approx(eta * math.sqrt(t - after), rel=1e-12)


def test_coefficient_preserving_sampling_keeps_the_noise_at_t():
    z, x_hat = states()
    t, after = 0.35, 0.3
    rule = steps.CPSStep(0.5)
    law = rule.law(z, x_hat, level(t), level(after))
    eps_hat = (z - (1 - t) * x_hat) / t
    kept = after * math.cos(0.25 * math.pi)
    torch.testing.assert_close(law.mean, (1 - after) * x_hat + kept * eps_hat, rtol=1e-12, atol=0)
    assert math.hypot(law.std, kept) == pytest.approx(after, rel=1e-12)


def test_ddim_with_eta_1_is_the_ancestral_step():
    """Kingma et al. 2021, eq. 32, written out."""
    z, x_hat = states()
    law = steps.DDIMStep(1.0).law(z, x_hat, BEFORE, AFTER)
    alpha, sigma = (math.sqrt(1 / (1 + math.exp(-sign * BEFORE))) for sign in (1, -1))
    next_alpha, next_sigma = (math.sqrt(1 / (1 + math.exp(-sign * AFTER))) for sign in (1, -1))
    c = 1 - math.exp(BEFORE - AFTER)
    mean = next_alpha * ((1 - c) / alpha * z + c * x_hat)
    torch.testing.assert_close(law.mean, mean, rtol=1e-12, atol=1e-12)
    assert law.std == pytest.approx(next_sigma * math.sqrt(c), rel=1e-12)
    assert sigma > next_sigma


class OneCall:
    """What a solver asks for: a fixed x_hat and fixed noise."""

    def __init__(self, x_hat, noise):
        self.x_hat = x_hat
        self.drawn = noise

    def __call__(self, y, s):
        return self.x_hat

    def noise(self, y):
        return self.drawn


@pytest.mark.parametrize(
    ("rule", "eta"),
    [
        (steps.FlowGRPOStep(0.7), 0.7 / math.sqrt(2)),
        (steps.DanceGRPOStep(0.3), 0.3 * math.sqrt((1 - 0.6) / (2 * 0.6))),
    ],
)
def test_an_euler_maruyama_solver_makes_the_same_step(rule, eta):
    """η of the SDE is a/√2 for Flow-GRPO, and η √((1 − t)/(2t)) for DanceGRPO."""
    z, x_hat = states()
    noise = torch.full_like(z, 0.8)
    t, after = 0.6, 0.45
    law = rule.law(z, x_hat, level(t), level(after))
    y = solvers.euler(OneCall(x_hat, noise), z / (1 - t), t / (1 - t), after / (1 - after), eta=eta)
    torch.testing.assert_close((1 - after) * y, law.mean + law.std * noise, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("t", [0.2, 0.6, 0.9])
def test_the_eta_of_ddim_has_the_stated_limits(t):
    def eta(rule, step):
        return rule.ddim_eta(level(t), level(t - step))

    assert eta(steps.FlowGRPOStep(0.7), 1e-6) == pytest.approx(0.7 / math.sqrt(2), rel=1e-4)
    limit = 0.3 * math.sqrt((1 - t) / (2 * t))
    assert eta(steps.DanceGRPOStep(0.3), 1e-6) == pytest.approx(limit, rel=1e-4)
    growth = eta(steps.CPSStep(0.5), 1e-6) / eta(steps.CPSStep(0.5), 4e-6)
    assert growth == pytest.approx(2.0, rel=1e-4)


def test_a_step_of_a_tenth_is_far_from_the_limit_of_flow_grpo():
    """At t = 0.6 and Δ = 0.1 the same noise needs a = 0.96 η, not √2 η."""
    eta = steps.FlowGRPOStep(1.0).ddim_eta(level(0.6), level(0.5))
    assert 1 / eta == pytest.approx(0.9622504486, rel=1e-9)


# --- log-probabilities --------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_the_exact_log_density_is_that_of_scipy_and_integrates_to_one(rule):
    z, x_hat = states()
    law = rule.law(z, x_hat, BEFORE, AFTER)
    state, _ = states(seed=1)
    expected = stats.norm(law.mean.numpy(), law.std).logpdf(state.numpy()).sum(1)
    np.testing.assert_allclose(law.log_prob(state).numpy(), expected, rtol=1e-12)
    one = steps.StepLaw(law.mean[:1, :1], law.std)
    mass, _ = integrate.quad(
        lambda place: math.exp(one.log_prob(torch.tensor([[place]], dtype=torch.float64))),
        float(one.mean) - 12 * law.std,
        float(one.mean) + 12 * law.std,
    )
    assert mass == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("rule", RULES[:3], ids=repr)
def test_released_log_probabilities_are_exact_ones_that_are_tempered(rule):
    """Flow-GRPO and DanceGRPO take the d-th root of a ratio; CPS tempers it by 2 std²/d."""
    z, x_hat = states()
    state, other = states(seed=1)
    old, new = (rule.law(z, each, BEFORE, AFTER) for each in (x_hat, other))
    exact = new.log_prob(state) - old.log_prob(state)
    released = rule.released(new, state) - rule.released(old, state)
    share = 2 * old.std**2 / 3 if isinstance(rule, steps.CPSStep) else 1 / 3
    torch.testing.assert_close(released, share * exact, rtol=1e-9, atol=1e-12)


def kl_of_trajectories(rule, low, high, count):
    """KL of trajectories of N(mean, I) from those of N(0, I), over that of the actions."""
    mean = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    total = 0.0
    levels = np.linspace(low, high, count + 1)
    for before, after in pairwise(levels):
        z = torch.zeros(1, 2, dtype=torch.float64)
        x_hat = mean / (1 + math.exp(before))  # sigma² of the frame VP, times the mean
        moved = rule.law(z, x_hat, before, after).mean - rule.law(z, 0 * x_hat, before, after).mean
        total += float(moved.square().sum()) / (2 * rule.std(before, after) ** 2)
    return total / 0.5


def limit_of_kl(rule):
    """``kl_of_trajectories`` for ever shorter steps, by Richardson's extrapolation."""
    return 2 * kl_of_trajectories(rule, -16, 16, 2000) - kl_of_trajectories(rule, -16, 16, 1000)


@pytest.mark.parametrize("eta", [0.3, 0.7 / math.sqrt(2), 1.0])
def test_trajectories_differ_by_more_than_actions_do(eta):
    """In continuous time the KL of trajectories is ((1 + η²)/(2η))² that of the actions."""
    factor = ((1 + eta**2) / (2 * eta)) ** 2
    for rule in (steps.FlowGRPOStep(math.sqrt(2) * eta), steps.DDIMStep(eta)):
        assert limit_of_kl(rule) == pytest.approx(factor, rel=1e-3)


def test_coefficient_preserving_steps_have_no_limit():
    """Their KL grows by tan²(η π/4) for each step that a nat has: they replace a fixed share."""
    few, many = (kl_of_trajectories(steps.CPSStep(0.5), -16, 16, n) for n in (1000, 2000))
    assert (many - few) / (1000 / 32) == pytest.approx(math.tan(math.pi / 8) ** 2, rel=5e-3)


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_a_walk_has_the_log_probabilities_of_its_steps(rule):
    policy = shifted([0.3, -0.2])
    levels = [-4.0, -1.0, 0.5, 3.0]
    path = steps.walk(policy, 6, levels, rule, torch.Generator().manual_seed(0))
    table = steps.log_probs(policy, path, levels, rule)
    assert table.shape == (3, 6)
    for place in range(3):
        state, law = steps.step(
            policy, path[place], *levels[place : place + 2], rule, follow=path[place + 1]
        )
        torch.testing.assert_close(table[place], law.log_prob(state))
    gradient = torch.autograd.grad(table.sum(), policy.mean)[0]
    assert gradient.abs().sum() > 0


def test_walks_of_an_exact_policy_end_at_its_actions():
    """Trajectories of a Gaussian stay Gaussian: mean and variance follow by linear recursion."""
    policy = shifted([0.5, 0.0])
    rule = steps.DDIMStep(0.6)
    levels = np.linspace(-12, 12, 1201)
    mean, variance = 0.0, 1.0
    for before, after in pairwise(levels):
        point = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
        at = torch.tensor(before, dtype=torch.float64)
        x_hat = at.sigmoid().sqrt() * point + (-at).sigmoid() * 0.5
        start, end = rule.law(point, x_hat, before, after).mean[:, 0].tolist()
        mean = start + (end - start) * mean
        variance = (end - start) ** 2 * variance + rule.std(before, after) ** 2
    assert mean == pytest.approx(0.5, abs=2e-3)
    assert variance == pytest.approx(1, abs=2e-2)
    path = steps.walk(policy, 50, levels[::100], rule, torch.Generator().manual_seed(0))
    assert len(path) == 13 and path[-1].shape == (50, 2)


# --- methods ------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_grpo_sees_no_change_in_the_policy_that_acted(rule):
    policy = shifted([0.3, -0.2])
    method = methods.GRPO(rule=rule, levels=(-4, 0, 4))
    path = method.act(policy, 8, torch.Generator().manual_seed(0))
    assert len(path) == 4  # three states and the actions
    compare = method.compare(path, policy, None, None)
    old = compare(policy).detach()
    advantage = np.linspace(-1, 1, 8)
    assert float(method.loss(old, old, advantage)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("name", "clip"), [("grpo", None), ("awm", 0.3), ("nft", None)])
def test_learning_raises_the_reward(name, clip):
    history = dv.policy.learn(
        name, iterations=12, batch=256, epochs=8, rate=2e-3, seed=0, clip=clip
    )
    assert history.reward[-1] > history.reward[0] + 0.15
    pickle.loads(pickle.dumps(methods.METHODS[name]()))


def test_the_first_step_of_nft_is_a_weighted_diffusion_loss():
    """At new = old the gradient is β (2 r − 1) that of factor · ‖e‖², with either factor."""
    old, _ = states(4, (6, 2))
    share = torch.tensor([0.1, 0.4, 0.5, 0.7, 0.9, 1.0], dtype=torch.float64)
    own = surrogates.local_factor(old)
    for factor, weight in ((None, own), (torch.full_like(own, 2.0), torch.full_like(own, 2.0))):
        new = old.clone().requires_grad_()
        loss = surrogates.nft(old, new, share, factor, beta=0.7)
        (gradient,) = torch.autograd.grad(loss, new)
        plain = old.clone().requires_grad_()
        expected = ((2 * share - 1) * weight * plain.square().mean(2)).mean() * 0.7
        torch.testing.assert_close(gradient, torch.autograd.grad(expected, plain)[0])


def test_advantage_weighted_matching_exponentiates_each_draw():
    """At new = old its gradient is that of E[A ℓ]; away from it the draws have their own ratios."""
    old = torch.tensor([[1.0, 2.0], [3.0, 6.0]], dtype=torch.float64)
    advantage = torch.tensor([-1.0, 2.0], dtype=torch.float64)
    new = old.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(surrogates.awm(old, new, advantage, clip=0.5), new)
    torch.testing.assert_close(gradient, advantage.expand(2, 2) / 4)
    moved = old + torch.tensor([[0.1, -0.1], [0.2, 0.0]], dtype=torch.float64)
    ratios = (old - moved).exp()
    loss = surrogates.awm(old, moved, advantage, clip=0.5)
    assert float(loss) == pytest.approx(float(-(ratios * advantage).mean()))
    assert float(surrogates.fpo(old, moved, advantage, clip=0.5)) != pytest.approx(float(loss))


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: steps.FlowGRPOStep(0.0), "scale"),
        (lambda: steps.FlowGRPOStep(math.nan), "scale"),
        (lambda: steps.DanceGRPOStep(-1), "eta"),
        (lambda: steps.CPSStep(1.5), "eta"),
        (lambda: steps.CPSStep(0), "eta"),
        (lambda: steps.DDIMStep(0.0), "eta"),
        (lambda: steps.FlowGRPOStep().ddim_eta(1, 0), "goes up in λ"),
        (lambda: steps.FlowGRPOStep().ddim_eta(0, math.inf), "after"),
        (lambda: steps.FlowGRPOStep().ddim_eta(-1e4, 1e4), "before must lie in"),
        (lambda: steps.DDIMStep().ddim_eta(0, 701), "after must lie in"),
        (lambda: steps.scales(dv.paths.LINEAR.frame, math.nan), "level must be finite"),
        (lambda: methods.GRPO(levels=(0, 0)), "levels"),
        (lambda: surrogates.nft(*states(2, (3, 2)), [0.5, 1.5, 0]), "from 0 to 1"),
        (lambda: surrogates.nft(*states(2, (3, 2)), [0.5, 1.0]), "each of the 3"),
        (lambda: surrogates.nft(*states(2, (3, 2)), [0.5, 1, 0], beta=0), "beta"),
        (
            lambda: surrogates.nft(states(2, (3, 2))[0], states(3, (3, 2))[0], [0.5, 1, 0]),
            "one shape",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_numbers_of_numpy_are_kept_as_floats():
    assert type(steps.DanceGRPOStep(np.int64(1)).eta) is float
    assert steps.FlowGRPOStep(np.array([0.7])) == steps.FlowGRPOStep(0.7)


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda z, policy: steps.DDIMStep(1.0, frame="vp"), TypeError, "frame must be that of a"),
        (
            lambda z, policy: steps.log_probs(policy, [z, z * math.nan], [0, 1], RULES[0]),
            ValueError,
            "follow must hold finite floats",
        ),
        (
            lambda z, policy: steps.log_probs(policy, [z, z[:1]], [0, 1], RULES[0]),
            ValueError,
            "follow has shape",
        ),
        (
            lambda z, policy: steps.log_probs(policy, None, [0, 1], RULES[0]),
            TypeError,
            "trajectory must be a list",
        ),
        (
            lambda z, policy: steps.log_probs(policy, [z, z], [0, 1], RULES[0], released="no"),
            ValueError,
            "released",
        ),
        (
            lambda z, policy: steps.step(policy, z, 0, 1, RULES[0], follow=z.numpy()),
            TypeError,
            "follow must be a tensor",
        ),
        (lambda z, policy: RULES[0].law(z, z[:1], 0.0, 1.0), ValueError, "x_hat has shape"),
        (lambda z, policy: RULES[0].law(z, z, "0", 1.0), TypeError, "before must hold real"),
        (lambda z, policy: RULES[0].law(z, z, True, 2.0), TypeError, "before must be a number"),
        (lambda z, policy: RULES[3].law(z, z, -math.inf, 0.0), ValueError, "before must be fin"),
        (lambda z, policy: RULES[3].law(z, z, 0.0, math.inf), ValueError, "after must be finite"),
        (
            lambda z, policy: RULES[3].law(z.float(), -z.float(), 300.0, 301.0),
            ValueError,
            r"leaves torch.float32; take levels nearer to 0",
        ),
        (
            lambda z, policy: RULES[2].released(RULES[2].law(z, z, 0.0, 1.0), z[:1]),
            ValueError,
            "state has shape",
        ),
        (
            lambda z, policy: steps.step(policy, z, 0, 1, RULES[0], generator=0),
            TypeError,
            "generator must be a torch.Generator",
        ),
        (lambda z, policy: steps.scales("linear", 0.0), TypeError, "frame must be that of a path"),
        (lambda z, policy: RULES[0].law(z, z, 1.0, 0.0), ValueError, "goes up in λ"),
        (
            lambda z, policy: RULES[0].law(z, z, 0.0, 1.0).log_prob(z[:1]),
            ValueError,
            "state has shape",
        ),
    ],
)
def test_states_that_do_not_fit_are_refused(make, error, says):
    with pytest.raises(error, match=says):
        make(states(4, (2,))[0], policies.Shift())


class Curved:
    """A denoiser that is neither linear nor the same at all levels."""

    def denoise(self, z, logsnr):
        return torch.tanh(z.flip(1)) * (1 + 0.1 * logsnr[:, None]) - 0.3


def scales_of(rule, logsnr):
    """Signal and noise of the linear path by its time, or of the preserving one by cosine."""
    if rule.frame == dv.paths.LINEAR.frame:
        t = 1 / (1 + math.exp(logsnr / 2))
        return 1 - t, t
    angle = math.atan(math.exp(-logsnr / 2))
    return math.cos(angle), math.sin(angle)


def step_of(rule, z, x_hat, before, after):
    """Mean and deviation of a step, each rule as its paper or code states it."""
    (alpha, t), (next_alpha, next_t) = scales_of(rule, before), scales_of(rule, after)
    eps_hat = (z - alpha * x_hat) / t
    dt = next_t - t
    if isinstance(rule, steps.FlowGRPOStep):
        u_hat = eps_hat - x_hat
        g = rule.scale * math.sqrt(t / (1 - t))
        drift = u_hat + g**2 / (2 * t) * (z + (1 - t) * u_hat)
        return z + drift * dt, g * math.sqrt(-dt)
    if isinstance(rule, steps.DanceGRPOStep):
        score = -eps_hat / t
        drift = eps_hat - x_hat - rule.eta**2 * score / 2
        return z + drift * dt, rule.eta * math.sqrt(-dt)
    if isinstance(rule, steps.CPSStep):
        angle = rule.eta * math.pi / 2
        mean = next_alpha * x_hat + next_t * math.cos(angle) * eps_hat
        return mean, next_t * math.sin(angle)
    ratio = (next_t / next_alpha) ** 2 / (t / alpha) ** 2
    fresh = rule.eta * next_t * math.sqrt(1 - ratio)
    return next_alpha * x_hat + math.sqrt(next_t**2 - fresh**2) * eps_hat, fresh


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_log_probabilities_are_those_of_scipy_on_any_grid(rule):
    rng = np.random.default_rng(7)
    for length in (2, 3, 8):
        grid = np.sort(rng.uniform(-8, 8, length))
        states = [rng.standard_normal((4, 3)) for _ in grid]
        got = steps.log_probs(Curved(), [torch.from_numpy(z) for z in states], grid, rule)
        for row, (z, follow), (before, after) in zip(
            got, pairwise(states), pairwise(grid), strict=True
        ):
            size = math.hypot(*scales_of(rule, before))
            logsnr = torch.full((4,), before, dtype=torch.float64)
            x_hat = Curved().denoise(torch.from_numpy(z / size), logsnr).numpy()
            mean, std = step_of(rule, z, x_hat, before, after)
            exact = stats.norm.logpdf(follow, mean, std).sum(1)
            np.testing.assert_allclose(row.numpy(), exact, rtol=1e-9)


@pytest.mark.parametrize("rule", RULES, ids=repr)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_few_digits_of_a_state_do_not_shorten_its_density(rule, dtype):
    """The density of what the states are, once rounded, in float64."""
    z, x_hat = (one.to(dtype) for one in states(4, (50,)))
    law = rule.law(z, x_hat, 4.0, 4.2)
    follow = (law.mean + law.std).to(dtype)
    rounded = stats.norm(law.mean.double().numpy(), law.std)
    exact = rounded.logpdf(follow.double().numpy()).sum(1)
    got = law.log_prob(follow)
    assert got.dtype == torch.float32
    np.testing.assert_allclose(got.numpy(), exact, rtol=1e-6, atol=1e-5)


def test_steps_name_what_is_missing():
    z, _ = states(2, (2,))
    policy = policies.Shift()
    with pytest.raises(ValueError, match="give follow, or a generator"):
        steps.step(policy, z, 0, 1, RULES[0])
    with pytest.raises(TypeError, match="rule of noise such as"):
        steps.step(policy, z, 0, 1, 0.7, follow=z)
    with pytest.raises(ValueError, match="one state for each"):
        steps.log_probs(policy, [z], [0, 1], RULES[0])
    with pytest.raises(ValueError, match="z must hold finite floats"):
        steps.step(policy, z * math.nan, 0, 1, RULES[0], follow=z)
