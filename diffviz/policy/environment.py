"""A bandit in the plane: four goals, and a reward that falls with the distance to the nearest.

The interface is that of gymnasium, and an episode is one action. A policy that starts as N(0, I)
has a mean reward of

    4 width²/(1 + width²) · exp(−2.25/(1 + width²)) = 0.059,

but for the overlap of the goals.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffviz import checks

Step = tuple[NDArray, NDArray, NDArray, NDArray, dict[str, NDArray]]


class Environment(Protocol):
    """What a policy learns on: rewards of actions, in gymnasium's order."""

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Observation, reward (n,), terminated, truncated and info of actions (n, 2).

        ``info["goal"]``, if it is there, is the number of the goal that each action counts for,
        from 0, shape (n,). An attribute ``near``, if there is one, is the reward above which an
        action has reached its goal; without it every action has.
        """
        ...


class Verdict(NamedTuple):
    """What an environment says of actions.

    Attributes:
        reward: Finite rewards, shape (n,).
        goal: Number of the goal of each action, shape (n,); None where there are no goals.
        near: Reward above which an action has reached its goal.
    """

    reward: NDArray
    goal: NDArray | None
    near: float


def judged(env: Environment, actions: NDArray) -> Verdict:
    """Take actions, and look at what the environment answers.

    Args:
        env: The environment.
        actions: Points of the plane, shape (n, 2).

    Returns:
        Rewards in float64, goals, and the reward above which a goal is reached.

    Raises:
        TypeError: ``step`` does not answer in gymnasium's form, or rewards, goals or ``near`` are
            no numbers.
        ValueError: A reward is not finite, or there is not one reward and one goal for each action.
    """
    answer = env.step(actions)
    if not isinstance(answer, tuple | list) or len(answer) != 5:
        raise TypeError(
            "env.step must return observation, reward, terminated, truncated and info, as in "
            f"gymnasium; got {checks.brief(answer)}"
        )
    _, reward, _, _, info = answer
    if not isinstance(info, Mapping):
        raise TypeError(f"the info of env.step must be a dictionary, got {checks.brief(info)}")
    return Verdict(
        _checked_rewards(reward, len(actions)),
        _checked_goals(info["goal"], len(actions)) if "goal" in info else None,
        _checked_near(env),
    )


def _checked_rewards(reward: Any, n: int) -> NDArray:
    """Rewards as finite floats, shape (n,)."""
    numbers = checks.real_numbers(reward, "reward of env.step")
    if numbers.shape != (n,):
        raise ValueError(
            f"env.step must return one reward for each action, shape ({n},), got shape "
            f"{numbers.shape}; reward.reshape(-1) may be meant"
        )
    finite = np.isfinite(numbers)
    if not finite.all():
        raise ValueError(
            f"env.step must return finite rewards, got {numbers[~finite][0]} "
            f"({(~finite).sum()} of {n}); give such actions a low reward, such as 0"
        )
    return numbers.astype(np.float64)  # float16 rounds their mean, and their spread may overflow


def _checked_goals(goal: Any, n: int) -> NDArray:
    """Goals as whole numbers from 0, shape (n,)."""
    numbers = checks.real_numbers(goal, 'info["goal"] of env.step')
    if numbers.dtype.kind not in "iu":
        raise TypeError(
            f'info["goal"] of env.step must hold whole numbers, got {numbers.dtype}; '
            "goal.astype(int) makes them"
        )
    if numbers.shape != (n,) or (numbers < 0).any():
        raise ValueError(
            f'info["goal"] of env.step must hold one number from 0 for each action, shape ({n},), '
            f"got {checks.brief(numbers)}; leave it out where there are no goals"
        )
    return numbers


def _checked_near(env: Environment) -> float:
    """The reward above which a goal is reached; −inf where the environment states none."""
    near = checks.attribute(env, "near")
    return -math.inf if near is None else checks.number(near, "near of the environment")


class FourGoals:
    """Reward exp(−distance²/(2 width²)) for the distance of an action to the nearest of four goals.

    Attributes:
        width: Width of the reward around a goal.
        goals: Places of the goals, shape (4, 2).
        near: Reward at two widths from a goal, above which an action has reached it.
    """

    width = 0.35
    goals = 1.5 * np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    near = float(np.exp(-2.0))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray, dict[str, Any]]:
        """Begin an episode.

        Args:
            seed: Not used: nothing here is random.
            options: Not used.

        Returns:
            An observation without content, shape (0,), and an empty info.
        """
        return np.zeros(0), {}

    def step(self, action: ArrayLike) -> Step:
        """Take one action, or many at once; each ends its episode.

        Args:
            action: A point of the plane, shape (2,), or many, shape (n, 2).

        Returns:
            Observation (empty), reward, terminated (all true), truncated (all false) and info.
            ``info["goal"]`` is the number of the nearest goal. Rewards, flags and goals have shape
            () or (n,).

        Raises:
            TypeError: The action is masked, complex, text or an object.
            ValueError: A coordinate is not finite, or the action is no point of the plane.
        """
        place = checks.finite(action, "action")
        if place.shape[-1:] != (2,):
            raise ValueError(
                f"an action is a point in the plane, shape (2,) or (n, 2); got {place.shape}"
            )
        distance = np.linalg.norm(place[..., None, :] - self.goals, axis=-1)
        reward = np.exp(-((distance.min(-1) / self.width) ** 2) / 2)
        terminated = np.ones_like(reward, dtype=bool)
        return np.zeros(0), reward, terminated, ~terminated, {"goal": distance.argmin(-1)}
