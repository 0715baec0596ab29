"""Two roads from a diffusion policy to a likelihood: its loss, and the steps of a noisy sampler."""

from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffviz.checks import count, one_of
from diffviz.compute.cache import cached

if TYPE_CHECKING:
    from diffviz.policy.methods import Method
    from diffviz.policy.steps import NoisyStep

ENDS = (0.98, 0.02)  # times of the linear path where trajectories begin and end
COUNTS = (5, 10, 20, 40, 80, 160)  # steps of a trajectory
METHODS = ("Flow-GRPO", "DanceGRPO", "CPS", "DDIM")
USUAL = {  # rules at settings of the kind that they are used with: name to method and setting
    "Flow-GRPO, a = 0.7": ("Flow-GRPO", 0.7),
    "DanceGRPO, η = 0.3": ("DanceGRPO", 0.3),
    "CPS, η = 0.5": ("CPS", 0.5),
    "DDIM, η = 1": ("DDIM", 1.0),
}
RULES = tuple(USUAL)
ROADS = ("FPO", "AWM", "NFT", "Flow-GRPO", "Flow-GRPO as released", "CPS as released")
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

    kinds = (steps.FlowGRPOStep, steps.DanceGRPOStep, steps.CPSStep, steps.DDIMStep)
    return dict(zip(METHODS, kinds, strict=True))[one_of(method, "method", METHODS)](setting)


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
    from diffviz.policy.steps import scales

    alpha, sigma = scales(chosen.frame, levels(steps)[0])
    mean, variance = 0.0, alpha**2 + sigma**2  # by how far the mean of a state has moved
    trajectories = 0.0  # twice the KL
    for before, after in pairwise(levels(steps)):
        step = _linear(chosen, before, after)
        trajectories += (step.push / step.std) ** 2
        mean = step.slope * mean + step.push
        variance = step.slope**2 * variance + step.std**2
    return float(trajectories * variance / mean**2)


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


def _method(name: str) -> "Method":
    """The method of a road."""
    from diffviz.policy import methods, steps

    of_roads = (
        methods.FPO(draws=4),
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
