"""Two roads from a diffusion policy to a likelihood: its loss, and the steps of a noisy sampler."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffviz.checks import count, number, one_of
from diffviz.compute.cache import cached
from diffviz.lab.experiments.policy import DEFAULT, WEIGHTINGS

if TYPE_CHECKING:
    from diffviz.policy.methods import Method
    from diffviz.policy.steps import NoisyStep

ENDS = (0.98, 0.02)  # times of the linear path where trajectories begin and end
COUNTS = (5, 10, 20, 40, 80, 160)  # steps of a trajectory
METHODS = ("Flow-GRPO", "DanceGRPO", "CPS", "DDIM")
USUAL = {  # rules at settings of the kind that they are used with: name to method and setting
    "Flow-GRPO, a = 0.7": ("Flow-GRPO", 0.7),
    "DanceGRPO, η_D = 0.3": ("DanceGRPO", 0.3),
    "CPS, η_C = 0.5": ("CPS", 0.5),
    "DDIM, η = 1": ("DDIM", 1.0),
}
RULES = tuple(USUAL)
ROADS = (
    "FPO",
    "FPO as released",
    "AWM",
    "NFT",
    "Flow-GRPO",
    "Flow-GRPO as released",
    "CPS as released",
)
FIRST_ROAD = {"FPO, flow matching": "fm-ot", "FPO, default": DEFAULT}  # name to its weighting
STEP = (0.6, 0.5)  # times of the linear path between which released ratios are looked at
LEVEL_DRAWS = 4000  # levels at which FPO's losses are averaged
SEEDS = 3
BATCHES = 12
BATCH, EPOCHS, RATE = 256, 8, 2e-3  # actions of a batch, steps of Adam on it, their rate


def rule_of(method: str, setting: float) -> "NoisyStep":
    """A rule of noise by its method.

    Args:
        method: One of ``METHODS``.
        setting: The method's own setting: a of Flow-GRPO, η of the others.

    Returns:
        The rule.

    Raises:
        ValueError: The method is unknown, or the setting not one of its own.
    """
    from diffviz.policy import steps

    kinds: dict[str, Callable[[float], NoisyStep]] = {
        "Flow-GRPO": steps.FlowGRPOStep,
        "DanceGRPO": steps.DanceGRPOStep,
        "CPS": steps.CPSStep,
        "DDIM": steps.DDIMStep,
    }
    return kinds[one_of(method, "method", METHODS)](setting)


def rule(name: str) -> "NoisyStep":
    """A rule of noise by its name.

    Args:
        name: One of ``RULES``.

    Returns:
        The rule, with the setting that its name states.

    Raises:
        ValueError: The name is unknown.
    """
    return rule_of(*USUAL[one_of(name, "rule", RULES)])


def levels(steps: int) -> NDArray:
    """Levels of equal steps in the time of the linear path, from ``ENDS[0]`` to ``ENDS[1]``.

    Args:
        steps: Number of steps.

    Returns:
        Increasing λ in nats, shape (steps + 1,).

    Raises:
        ValueError: There is no step.
    """
    times = np.linspace(*ENDS, count(steps, "steps") + 1)
    return 2 * np.log((1 - times) / times)


def equal_etas(name: str, steps: int) -> NDArray:
    """The η of DDIM that adds as much noise, step by step.

    Args:
        name: One of ``RULES``.
        steps: Number of steps.

    Returns:
        η for each step, shape (steps,).
    """
    return etas_of(rule(name), steps)


def etas_of(chosen: "NoisyStep", steps: int) -> NDArray:
    """The η of DDIM that adds as much noise as a rule, step by step.

    Args:
        chosen: The rule.
        steps: Number of steps.

    Returns:
        η for each step, shape (steps,).
    """
    return np.array([chosen.ddim_eta(*each) for each in pairwise(levels(steps))])


def excess(name: str, steps: int) -> float:
    """KL of trajectories over the KL of the actions that they end in, for a policy that moves.

    Args:
        name: One of ``RULES``.
        steps: Number of steps.

    Returns:
        The ratio, at least 1; 1 for ancestral sampling in continuous time.
    """
    return excess_of(rule(name), steps)


@lru_cache(512)
def excess_of(chosen: "NoisyStep", steps: int) -> float:
    """KL of trajectories over that of the actions that they end in, for a policy that moves.

    The policy N(0, I) becomes N(mean, I). Trajectories of both start from one law, the noised first
    policy. All laws are Gaussian, and the mean of the next state is linear in the state, so the
    number is exact. The actions are those that the sampler draws, which in few steps are not yet
    those of the policy. By the chain rule the ratio is at least 1. It does not depend on the mean.
    A log-ratio of trajectories has twice its KL as variance.

    Args:
        chosen: The rule.
        steps: Number of steps.

    Returns:
        The ratio; 1 for ancestral sampling in continuous time.
    """
    return float(step_costs(chosen, steps).sum())


def step_costs(chosen: "NoisyStep", steps: int) -> NDArray:
    """What each step adds to the KL of trajectories, over the KL of the actions; see ``excess_of``.

    Args:
        chosen: The rule.
        steps: Number of steps.

    Returns:
        KL over KL for each step, shape (steps,).
    """
    from diffviz.policy.steps import scales

    alpha, sigma = scales(chosen.frame, levels(steps)[0])
    mean, variance = 0.0, alpha**2 + sigma**2  # by how far the mean of a state has moved
    added = []  # twice the KL of each step
    for before, after in pairwise(levels(steps)):
        step = _linear(chosen, before, after)
        added.append((step.push / step.std) ** 2)
        mean = step.slope * mean + step.push
        variance = step.slope**2 * variance + step.std**2
    return np.array(added) * variance / mean**2


class _Linear(NamedTuple):
    """A step of a Gaussian policy: the next state is slope · z + push · mean + std · noise.

    Attributes:
        slope: Factor on the state.
        push: Factor on the policy's mean.
        std: Standard deviation of the fresh noise.
    """

    slope: float
    push: float
    std: float


def _linear(chosen: "NoisyStep", before: float, after: float) -> _Linear:
    """A step of a rule for the policy N(mean, I), whose denoiser is linear."""
    import torch

    from diffviz.policy.steps import scales

    alpha, sigma = scales(chosen.frame, before)
    along = alpha / (alpha**2 + sigma**2)  # of x_hat, for each unit of z
    moved = 1 - alpha * along  # of x_hat, for a mean of 1
    z = torch.tensor([[0.0], [1.0], [0.0]], dtype=torch.float64)
    x_hat = torch.tensor([[0.0], [along], [moved]], dtype=torch.float64)
    law = chosen.law(z, x_hat, before, after)
    still, slope, push = law.mean.flatten().tolist()
    return _Linear(slope - still, push - still, law.std)


class Power(NamedTuple):
    """To which power of the exact ratio of two policies a released code comes.

    Attributes:
        measured: Log-ratio of the code over the exact one.
        formula: What it is, such as "1/d".
    """

    measured: float
    formula: str


def released_powers(components: int = 3) -> dict[str, Power]:
    """The power of the exact ratio that released codes compute, measured on one action.

    On the road of steps it is one step, from ``STEP[0]`` to ``STEP[1]``. On that of losses the
    policy N(0, I) moves its mean, and the losses are averaged over the components as FPO's code
    does (akanazawa/fpo, ``_compute_cfm_loss``).

    Args:
        components: Number of components d of an action.

    Returns:
        Name of a method, with its setting or weighting, to the power.

    Raises:
        ValueError: There is no component.
    """
    d = count(components, "components")
    formulas = {"Flow-GRPO": "1/d", "DanceGRPO": "1/d", "CPS": "2 s²/d"}
    powers = {}
    for name, (method, _) in USUAL.items():
        if method in formulas:
            powers[name] = Power(_step_power(rule(name), d), formulas[method])
    for name, weighting in FIRST_ROAD.items():
        powers[name] = Power(_loss_power(weighting, d), "κ(1)/d")
    return powers


def clip_powers(components: int, time: float, weighting: str = "fm-ot") -> dict[str, float]:
    """The power of the exact ratio that released codes clip, by formula; see ``released_powers``.

    Args:
        components: Number of components d of an action.
        time: Time t' of the linear path where the step ends; only CPS, at its usual η, asks for it.
        weighting: That of FPO, one of ``FIRST_ROAD``'s.

    Returns:
        "Flow-GRPO", "CPS" and "FPO" to the power.

    Raises:
        ValueError: There is no component, the time is not in (0, 1), or the weighting is unknown.
    """
    from diffviz.theory import elbo_mixture

    d = count(components, "components")
    std = number(time, "time", 0.0, 1.0) * np.sin(USUAL["CPS, η_C = 0.5"][1] * np.pi / 2)
    gain = elbo_mixture.gain(WEIGHTINGS[one_of(weighting, "weighting", FIRST_ROAD.values())])
    return {"Flow-GRPO": 1 / d, "CPS": float(2 * std**2 / d), "FPO": float(gain) / d}


def _step_power(chosen: "NoisyStep", components: int) -> float:
    """The released log-ratio of a step over the exact one."""
    import torch

    times = np.array(STEP)
    step = 2 * np.log((1 - times) / times)
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(4, 1, components, generator=generator, dtype=torch.float64)
    z, x_hat, moved, state = drawn
    old, new = (chosen.law(z, each, *step) for each in (x_hat, moved))
    released = chosen.released(new, state) - chosen.released(old, state)
    return float(released / (new.log_prob(state) - old.log_prob(state)))


@dataclass(frozen=True, eq=False)
class Moved:
    """The exact denoiser of N(mean, I).

    Args:
        mean: A tensor of shape (d,).
    """

    mean: Any

    def denoise(self, z: Any, logsnr: Any) -> Any:
        """E[x|z], a tensor of the shape of z."""
        alpha, variance = logsnr.sigmoid().sqrt()[:, None], (-logsnr).sigmoid()[:, None]
        return alpha * z + variance * self.mean


def _loss_power(weighting: str, components: int) -> float:
    """FPO's log-ratio, of losses averaged over the components, over the exact one."""
    import torch

    from diffviz.policy import surrogates

    generator = torch.Generator().manual_seed(0)
    x, mean = torch.randn(2, 1, components, generator=generator, dtype=torch.float64)
    rng = np.random.default_rng(0)
    level, factor, noise = surrogates.draws(WEIGHTINGS[weighting], x, LEVEL_DRAWS, rng)
    twice = surrogates.Draws(  # noise and its negative, whose linear terms cancel
        torch.cat([level, level]), torch.cat([factor, factor]), torch.cat([noise, -noise])
    )
    old, new = (
        surrogates.losses(Moved(each), x, twice).mean() / components
        for each in (torch.zeros_like(mean[0]), mean[0])
    )
    exact = (x * mean).sum() - mean.square().sum() / 2
    return float((old - new) / exact)


class Road(NamedTuple):
    """How a policy has learned on one road.

    Attributes:
        reward: Mean reward by seed and batch, shape (seeds, batches + 1).
        goals: Number of goals kept, same shape.
        calls: Calls of the network for each action, until each batch, shape (batches + 1,).
    """

    reward: NDArray
    goals: NDArray
    calls: NDArray


def half(logsnr: NDArray) -> NDArray:
    """The multiplier ½ at every λ: a mean over two components in the place of a sum."""
    return np.full(np.shape(logsnr), 0.5)


def _method(name: str) -> "Method":
    """The method of a road; FPO's code averages the loss over the two components."""
    from diffviz.policy import methods, steps, surrogates

    averaged = replace(surrogates.MODES["u"], name="FPO u, averaged", multiplier=half)
    of_roads = (
        methods.FPO(draws=4),
        methods.FPO(averaged, draws=4),
        methods.AWM(draws=4),
        methods.NFT(draws=4),
        methods.GRPO(),
        methods.GRPO(released=True),
        methods.GRPO(steps.CPSStep(0.5), released=True),
    )
    return dict(zip(ROADS, of_roads, strict=True))[one_of(name, "road", ROADS)]


class Calls:
    """A count of the points that a network is asked for.

    Attributes:
        points: Number of points so far.
        noted: That number at each batch of actions.
    """

    def __init__(self) -> None:
        """Start at 0."""
        self.points = 0
        self.noted: list[int] = []

    def count(self, network: Any, inputs: tuple[Any, ...], outputs: Any) -> None:
        """Count the points of a call, as a forward hook."""
        self.points += len(inputs[0])

    def note(self, history: Any) -> None:
        """Note the number, as a callback of learning."""
        self.noted.append(self.points)


@cached
def learned(name: str) -> Road:
    """Learn four goals on one road, with three seeds.

    Args:
        name: One of ``ROADS``.

    Returns:
        Reward, goals and cost, batch by batch.

    Raises:
        ValueError: The name is unknown.
    """
    from diffviz.policy import bandit

    method = _method(name)
    rewards, goals, costs = [], [], []
    for seed in range(SEEDS):
        model = bandit.Flow(seed)
        calls = Calls()
        model.net.register_forward_hook(calls.count)
        history = bandit.learn(
            method,
            model=model,
            iterations=BATCHES,
            batch=BATCH,
            epochs=EPOCHS,
            rate=RATE,
            seed=seed,
            callback=calls.note,
        )
        rewards.append(history.reward)
        goals.append(history.goals)
        costs.append(np.array(calls.noted) / BATCH)
    return Road(np.array(rewards), np.array(goals), costs[0])


def calls_to(name: str, reward: float = 0.4) -> float:
    """Calls of the network for each action until a mean reward is reached.

    Args:
        name: One of ``ROADS``.
        reward: The mean reward, over seeds.

    Returns:
        Calls, by linear interpolation between batches; infinite if it is not reached.
    """
    road = learned(name)
    mean = road.reward.mean(0)
    reached = np.flatnonzero(mean >= reward)
    if not reached.size:
        return float("inf")
    last = int(reached[0])
    if last == 0:
        return float(road.calls[0])
    pair = slice(last - 1, last + 1)
    return float(np.interp(reward, mean[pair], road.calls[pair]))
