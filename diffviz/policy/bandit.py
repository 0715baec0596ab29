"""The loop that learns a policy of the plane from reward or from preference.

Each iteration draws a batch of actions, records how good they are, and takes some steps of Adam on
the method's surrogate at draws that are fixed for the batch.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from diffviz import checks
from diffviz.compute import gradients, threads
from diffviz.learning.adam import Adam
from diffviz.policy import surrogates
from diffviz.policy.environment import Environment, FourGoals, judged
from diffviz.policy.methods import KL_DRAWS, METHODS, Generators, KLTerm, Method
from diffviz.policy.policies import Flow, Shift, act
from diffviz.protocols import Denoiser, Trainable

__all__ = ["Flow", "FourGoals", "History", "Learner", "Settings", "Shift", "act", "learn"]

KEPT_SHARE = 0.05  # a goal is kept if this share of the actions that reach a goal reach it


@dataclass
class History:
    """A policy that learns, and how it did before each batch of updates and at the end.

    Attributes:
        model: The policy.
        reward: Mean reward of each batch of actions.
        goals: Number of goals that were kept in each batch. A goal is kept if 5 % or more of the
            actions that reach any goal reach it. Empty if the environment's info has no "goal".
    """

    model: nn.Module
    reward: list[float] = field(default_factory=list)
    goals: list[int] = field(default_factory=list)

    def record(self, reward: NDArray, goal: NDArray | None, near: float = -math.inf) -> None:
        """Add a batch of actions.

        Args:
            reward: Reward of each action, shape (n,).
            goal: Number of its nearest goal, shape (n,); None where there are no goals.
            near: Reward above which an action has reached its goal.
        """
        self.reward.append(float(reward.mean()))
        if goal is not None:
            _, reached = np.unique(goal[reward > near], return_counts=True)
            self.goals.append(int((reached >= KEPT_SHARE * reached.sum()).sum()))


@dataclass(frozen=True)
class Settings:
    """How a policy learns, besides the method.

    Args:
        iterations: Batches of actions that are learned from.
        batch: Actions of a batch.
        epochs: Steps of Adam on each batch.
        rate: Learning rate of Adam.
        keep: Strength of the KL term, which holds the policy to the first one.
        objective: Draws the levels of the KL term.

    Raises:
        TypeError: A number is none, or the objective has no draw(n, rng).
        ValueError: A number is out of range.
    """

    iterations: int = 20
    batch: int = 512
    epochs: int = 16
    rate: float = 1e-3
    keep: float = 0.0
    objective: Trainable = surrogates.MODES["u"]

    def __post_init__(self) -> None:
        checks.count(self.iterations, "iterations", least=0)
        checks.count(self.batch, "batch", least=2)
        checks.count(self.epochs, "epochs")
        object.__setattr__(self, "rate", checks.rate(self.rate, "rate"))
        keep = checks.number(self.keep, "keep", low=0.0, high=checks.LARGEST_RATE)
        object.__setattr__(self, "keep", keep)
        surrogates.check_objective(self.objective)


class Learner:
    """A policy, the method by which it learns, and the state of both.

    Args:
        method: How it learns.
        env: What it learns on.
        model: The policy, which is changed in place.
        settings: How long and how fast.
        seed: Seed of actions, draws and preferences.

    Raises:
        TypeError: The environment has no step, the model cannot denoise or learn, or the seed is no
            whole number.
        ValueError: The seed is below 0.

    Attributes:
        history: How it did so far.
        first: A copy of the policy as it was at the start.
    """

    def __init__(
        self, method: Method, env: Environment, model: nn.Module, settings: Settings, seed: int
    ) -> None:
        """Copy the first policy and start Adam; see the class."""
        _check_parts(env, model)
        checks.instance(settings, "settings", Settings, "settings such as Settings()")
        self.method = method
        self.env = env
        self.model: Any = model
        self.settings = settings
        self.history = History(model)
        self.first: Any = copy.deepcopy(model)
        self.generators = Generators.from_seed(seed)
        self.optimiser = Adam(model.parameters(), settings.rate)

    def act(self) -> tuple[list[Tensor], NDArray]:
        """Draw a batch of actions and record it.

        Returns:
            The path to the actions, as ``Method.act`` returns it, and their rewards, shape (n,).

        Raises:
            TypeError: The environment does not answer in gymnasium's form.
            ValueError: There is not one finite reward for each action.
        """
        path = self.method.act(self.model, self.settings.batch, self.generators.generator)
        verdict = judged(self.env, path[-1].numpy())
        self.history.record(*verdict)
        return path, verdict.reward

    def update(self, path: list[Tensor], reward: NDArray) -> None:
        """Take the steps of Adam on one batch.

        Args:
            path: What ``act`` returned.
            reward: Rewards of the actions, shape (n,).

        Raises:
            ValueError: All rewards are equal, or a loss or a ratio is not finite.
        """
        compare = self.method.compare(path, self.first, self.env, self.generators)
        old = compare(self.method.old_policy(self.model, self.first)).detach()
        advantage = (reward - reward.mean()) / (reward.std() + 1e-12)
        kl_term = self._kl_term(path[-1])
        for _ in range(self.settings.epochs):
            self.optimiser.zero_grad()
            loss = self.method.loss(old, compare(self.model), advantage)
            if kl_term is not None:
                loss = loss + self.settings.keep * kl_term(self.model)
            loss.backward()
            self.optimiser.step()

    def _kl_term(self, actions: Tensor) -> KLTerm | None:
        """The KL term on a batch of actions, if there is one."""
        if not self.settings.keep:
            return None
        return KLTerm.draw(self.settings.objective, actions, self.first, self.generators.rng)


@gradients.recorded()
def learn(
    method: str | Method = "fpo",
    env: Environment | None = None,
    *,
    model: nn.Module | None = None,
    iterations: int = 20,
    batch: int = 512,
    epochs: int = 16,
    rate: float = 1e-3,
    seed: int = 0,
    callback: Callable[[History], Any] | None = None,
    objective: Trainable | None = None,
    keep: float = 0.0,
    draws: int | None = None,
    clip: float | None = None,
    temperature: float | None = None,
    beta: float | None = None,
    scale: float | None = None,
) -> History:
    """Learn a policy. The stop button ends it early, and what was learned by then is returned.

    Args:
        method: "fpo", "awr", "ddpo", "dpo", "grpo", "awm" or "nft", or a ``methods.Method`` with
            its options, such as ``methods.GRPO(steps.CPSStep(0.5))``.
        env: Anything with gymnasium's ``step(actions)``; ``FourGoals()`` by default.
        model: The policy, a denoiser of points of the plane that is changed in place;
            ``Flow(seed)`` by default.
        iterations: Batches of actions that are learned from.
        batch: Actions of a batch, 2 or more.
        epochs: Steps of Adam on each batch.
        rate: Learning rate of Adam.
        seed: Seed of the default policy, of actions, draws and preferences.
        callback: Called with the history after every batch of actions.
        objective: Draws the levels of the method's losses and of the KL term; FPO's "u" by default,
            or that of the method. DDPO and GRPO have no weighting, so there it counts for the KL
            term only.
        keep: Strength of the KL term, which holds the policy to the first one; 0 for none.
        draws: Draws for each action; an option of "fpo", "awr", "dpo", "awm" and "nft".
        clip: How far a ratio may move from 1 before it stops to count; of "fpo", "ddpo", "grpo" and
            "awm".
        temperature: How large an advantage counts e times; of "awr".
        beta: How strongly the first policy holds, of "dpo"; length of a step, of "nft".
        scale: How surely the judge prefers the larger reward; of "dpo".

    Returns:
        The policy, with its rewards and goals: one number for each batch, and one for the end.
        There are no goals where the environment's info has no "goal".

    Raises:
        TypeError: A number is none, the environment, the model or the objective lacks a method, or
            the environment does not answer in gymnasium's form.
        ValueError: The method is unknown, an option is out of range or does not apply to it, all
            rewards are equal, a reward is not finite, there is not one for each action, or a loss
            is not finite.
    """
    options = {
        "draws": draws,
        "clip": clip,
        "temperature": temperature,
        "beta": beta,
        "scale": scale,
    }
    given = {name: value for name, value in options.items() if value is not None}
    chosen = _method(method, objective, given)
    if objective is None:
        objective = getattr(chosen, "objective", surrogates.MODES["u"])
    settings = Settings(iterations, batch, epochs, rate, keep, objective)
    seed = checks.seed(seed)
    env = FourGoals() if env is None else env
    model = Flow(seed) if model is None else model
    learner = Learner(chosen, env, model, settings, seed)
    with threads.suited(threads.denoising(model, _points_at_once(chosen, settings))):
        _learn(learner, callback)
    return learner.history


def _points_at_once(method: Method, settings: Settings) -> int:
    """The most noisy actions that the policy denoises in one call."""
    return int(settings.batch) * max(int(getattr(method, "draws", 1)), KL_DRAWS)


def _learn(learner: Learner, callback: Callable[[History], Any] | None) -> None:
    """Learn from all batches; a KeyboardInterrupt ends this early and is not passed on."""
    try:
        for _ in range(learner.settings.iterations):
            batch_of_actions = learner.act()
            _report(learner.history, callback)
            learner.update(*batch_of_actions)
        learner.act()
        _report(learner.history, callback)
    except KeyboardInterrupt:
        pass


def _report(history: History, callback: Callable[[History], Any] | None) -> None:
    """Call the callback, if there is one."""
    if callback is not None:
        callback(history)


def _method(method: str | Method, objective: Trainable | None, options: dict[str, Any]) -> Method:
    """The method of a name with its options; an option that it does not have is refused."""
    if isinstance(method, Method):
        if options or objective is not None:
            given = ", ".join([*options, *["objective"] * (objective is not None)])
            raise ValueError(f"{method!r} has its options already, got {given} beside it")
        return method
    kind = METHODS[checks.one_of(method, "method", METHODS)]
    known = [option.name for option in fields(kind)]  # type: ignore[arg-type]
    for name in options:
        if name not in known:
            raise ValueError(f"{name} is no option of {method!r}, which has {', '.join(known)}")
    if objective is not None and "objective" in known:
        options = options | {"objective": objective}
    return kind(**options)


def _check_parts(env: Environment, model: nn.Module) -> None:
    """Refuse an environment without step, and a model that cannot denoise or learn."""
    if not checks.offers(env, Environment):
        raise TypeError(f"env must have gymnasium's step(actions), got {checks.brief(env)}")
    if not checks.offers(model, Denoiser) or not isinstance(model, nn.Module):
        raise TypeError(
            "model must be a torch module with denoise(z, logsnr) -> x_hat, "
            f"got {checks.brief(model)}"
        )
