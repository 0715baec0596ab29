"""A bandit in the plane: four goals, and a reward that falls with the distance to the nearest.

The interface is that of gymnasium, and an episode is one action. A policy that starts as N(0, I)
has a mean reward of

    4 width²/(1 + width²) · exp(−2.25/(1 + width²)) = 0.059,

but for the overlap of the goals.
"""

from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffviz import checks

Step = tuple[NDArray, NDArray, NDArray, NDArray, dict[str, NDArray]]


@runtime_checkable
class Environment(Protocol):
    """What a policy learns on: rewards of actions, in gymnasium's order."""

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Observation, reward (n,), terminated, truncated and info of actions (n, 2).

        ``info["goal"]`` is the number of the goal, 0 to 3, that each action counts for, shape (n,).
        """
        ...


class FourGoals:
    """Reward exp(−distance²/(2 width²)) for the distance of an action to the nearest of four goals.

    Attributes:
        width: Width of the reward around a goal.
        goals: Places of the goals, shape (4, 2).
    """

    width = 0.35
    goals = 1.5 * np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])

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
